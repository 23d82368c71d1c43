"""A line of text in the order and the forms in which it is seen: what is read from right to left, and Arabic letters joined.

The order is that of Unicode's algorithm (UAX 9) for one line without embeddings, which addresses do not have.
"""

import unicodedata
from functools import cache
from itertools import pairwise

ISOLATED, INITIAL, FINAL, MEDIAL = range(4)
_NAMES = {"<isolated>": ISOLATED, "<initial>": INITIAL, "<final>": FINAL, "<medial>": MEDIAL}
_LAM, _STROKE = "\u0644", "\u0640"
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")
_LEFT, _RIGHT, _NUMBER, _NEUTRAL = "L", "R", "N", "-"


def visual(text: str) -> str:
    """A line as it is written from left to right."""
    seen = "".join(letter for letter in unicodedata.normalize("NFC", text) if _is_seen(letter))
    if not any(_direction(letter) == _RIGHT for letter in seen):
        return seen
    return _turned(_joined(seen))


def _is_seen(letter: str) -> bool:
    """Whether it is more than a hint for whoever lays out text."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Cn") and not "\ufe00" <= letter <= "\ufe0f"


def _direction(letter: str) -> str:
    found = unicodedata.bidirectional(letter)
    if found in ("R", "AL"):
        return _RIGHT
    if found in ("EN", "AN"):
        return _NUMBER
    return _LEFT if found == "L" else _NEUTRAL


def _joined(text: str) -> list[str]:
    """Letters, each with its marks, Arabic ones in the forms that they take beside each other."""
    forms = _forms()
    units: list[str] = []
    marks: list[str] = []
    for letter in text:
        if unicodedata.combining(letter) and units:
            marks[-1] += letter
        elif units and not marks[-1] and units[-1] == _LAM and _LAM + letter in forms:
            units[-1] += letter
        else:
            units.append(letter)
            marks.append("")
    own = [forms.get(unit, {}) for unit in units]
    joins = [INITIAL in before and FINAL in after for before, after in pairwise(own)]
    shapes = [
        (ISOLATED, INITIAL, FINAL, MEDIAL)[2 * before + after]
        for before, after in zip([False, *joins], [*joins, False], strict=True)
    ]
    return [known.get(shape, unit) + mark for known, shape, unit, mark in zip(own, shapes, units, marks, strict=True)]


@cache
def _forms() -> dict[str, dict[int, str]]:
    """The forms of each Arabic letter, and of lam with an alef, as Unicode lists them for older systems."""
    found: dict[str, dict[int, str]] = {_STROKE: dict.fromkeys(_NAMES.values(), _STROKE)}
    for code in (*range(0xFB50, 0xFE00), *range(0xFE70, 0xFF00)):
        name, *letters = unicodedata.decomposition(chr(code)).split() or ("",)
        text = "".join(chr(int(letter, 16)) for letter in letters)
        if name in _NAMES and (
            len(text) == 1 or (len(text) == 2 and text[0] == _LAM and text[1] in "\u0622\u0623\u0625\u0627")
        ):
            found.setdefault(text, {})[_NAMES[name]] = chr(code)
    return found


def _turned(units: list[str]) -> str:
    """Letters as they stand from left to right."""
    levels = _levels([_direction(unit[0]) for unit in units])
    order = list(range(len(units)))
    for level in range(max(levels), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = end + 1
    return "".join(units[i].translate(_MIRRORED) if levels[i] % 2 else units[i] for i in order)


def _levels(directions: list[str]) -> list[int]:
    """How deep each letter is turned: even ones go to the right, odd ones to the left."""
    base = next((one for one in directions if one in (_LEFT, _RIGHT)), _LEFT)
    strong: list[str] = []
    for one in directions:  # a number goes as the text before it
        before = next((other for other in reversed(strong) if other in (_LEFT, _RIGHT)), base)
        strong.append(_LEFT if one == _NUMBER and before == _LEFT else one)
    for i, one in enumerate(strong):
        if one == _NEUTRAL:
            before = _side(strong[:i][::-1], base)
            strong[i] = before if before == _side(strong[i:], base) else base
    right = int(base == _RIGHT)
    deep = {_LEFT: 2 * right, _RIGHT: 1, _NUMBER: 2}
    return [deep[one] for one in strong]


def _side(letters: list[str], base: str) -> str:
    """The direction of the nearest letter that has one; a number within text that goes to the left counts as that text."""
    near = next((one for one in letters if one != _NEUTRAL), base)
    return _RIGHT if near == _NUMBER else near
