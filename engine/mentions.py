"""Whether free text mentions somebody: by name, street or contact, as whole words, in any spelling.

Telephone numbers are found by their digits, however these are parted.
A town, a country or a language alone identifies nobody, so nobody is looked for by these.
"""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

_CODE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_ESCAPE = re.compile(r"\\+([bfnrt\"/\\])")
_PHONE = re.compile(r"\+?[\d\s()./-]{7,}")
_BETWEEN = r"(?:\(0\)|[\s()./\u2010-\u2014-])*"
"""What may be between the digits of a telephone number."""
_TOWN = re.compile(r"\D{0,3}\d{4}")
_UNIT = re.compile(
    r"(?:flat|apt|apartment|unit|suite|ste|room|floor|level|block|building|bldg|top|tür|stiege|stock|etage|whg|wohnung|bus)"
    r"\b\.?\s*#?[\w/-]{0,6}|\d+\w{0,2}\.?\s*(?:floor|stock|og|etage)",
    re.IGNORECASE,
)
"""A part of an address that says where in a house."""
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no space between words."""


FEWEST_DIGITS = 7
"""Of a telephone number: fewer may be any number."""


class Mentions:
    """Finds any of some words in texts. Words are whole ones: nobody called Ann is in Anna, Joann or mary.ann@example.org."""

    def __init__(self, words: Iterable[str]) -> None:
        found = sorted({plain(word) for word in words} - {""})
        self._numbers = [number for number in map(_number, found) if number]
        self._words = [(word, _whole(word)) for word in found]

    def __contains__(self, text: str | bytes | None) -> bool:
        if not text:
            return False
        said = plain(text if isinstance(text, str) else bytes(text).decode(errors="replace"))
        return any(word in said and whole.search(said) for word, whole in self._words) or any(
            number.search(said) for number in self._numbers
        )


def plain(text: str) -> str:
    """Text without what spellings differ in: escapes of addresses and of JSON, case, composed letters, white space."""
    if "%" in text:
        text = unquote(text)
    if "\\" in text:
        text = _CODE.sub(lambda code: chr(int(code[1], 16)), text)
        text = _ESCAPE.sub(lambda escape: " " if escape[1].isalpha() else escape[1], text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.lower().split())


def _whole(word: str) -> re.Pattern[str]:
    """A word that is no part of another one, nor of an address of mail; an address or an id that is no part of another such."""
    if word.isalpha() or " " in word:
        before, after = r"(?<![\w@])(?<!\w['’-])", r"(?!-?\w)(?![\w.+-]*@)"
    else:
        before, after = r"(?<!\w)(?<!\w[.+'’-])", r"(?![.-]?\w)"
    before, after = ("" if _UNSPACED.match(word) else before), ("" if _UNSPACED.match(word[-1:]) else after)
    return re.compile(before + re.escape(word) + after)


def _number(word: str) -> re.Pattern[str] | None:
    """A telephone number that is no part of a longer one; nothing where the word is none."""
    digits = re.sub(r"\(0\)|\D", "", word).removeprefix("00")
    if not _PHONE.fullmatch(word) or len(digits) < FEWEST_DIGITS:
        return None
    return re.compile(r"(?<!\d)(?:00)?" + _BETWEEN.join(digits) + r"(?!\d)")


def street_of(address: str) -> str:
    """The line of an address that says where in a town; empty where it names a town alone.

    It is the longest part with a house number before the town's, which comes last and may have numbers too, else the first. Where
    in a house says nothing alone.
    """
    said = [part.strip() for line in address.splitlines() for part in line.split(",") if part.strip()]
    parts = [part for part in said if not _UNIT.fullmatch(part)]
    numbered = [part for part in parts if re.search(r"\d", part) and re.search(r"[^\W\d]", part)]
    last = numbered[-1:]
    if last != parts[:1] and ((len(numbered) > 1 and last == parts[-1:]) or any(map(_TOWN.match, last))):
        numbered.pop()
    if numbered:
        return max(numbered, key=len)
    return parts[0] if len(parts) > 1 else ""
