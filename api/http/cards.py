"""Numbers of payment cards are refused wherever they are said (`api.cards` finds them)."""

import re
from collections.abc import Iterator
from typing import Any

from api.cards import CODE, has_card, plain_digits, text_of
from api.http.problems import Refused
from solver.refusal import Refusal

TOLD = "looks like the number of a payment card: send a token of your payment provider; nothing of it was kept"
_WITHIN_A_LINE = r"(?:[^\S\n]|[.\-‐-―])"
_RUN_OF_A_LINE = re.compile(rf"[0-9](?:{_WITHIN_A_LINE}{{0,2}}[0-9]){{12,}}")
_IN_BYTES = re.compile(rb"[0-9](?:[\s.\-]{0,2}[0-9]){12}")


def check_body(raw: bytes, value: Any) -> None:
    """Refuse a JSON body that has the number of a card in it, at the field.

    Parameters
    ----------
    raw
        The body as it came: where nothing in it can be one, its fields are not looked at.

    Raises
    ------
    Refusal
        `card_number`.
    """
    if _IN_BYTES.search(raw) is None and b"\\" not in raw and raw.isascii():
        return
    for place, text in _texts(value, ""):
        if has_card(text):
            raise Refusal(place, TOLD, CODE)


def check_lines(raw: bytes) -> None:
    """Refuse a file that has the number of a card in it, naming the line.

    Raises
    ------
    Refused
        `card_number`.
    """
    text = raw.decode(errors="replace")
    if "\\u" in text:
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    if not text.isascii():
        text = plain_digits(text)
    for found in _RUN_OF_A_LINE.finditer(text):
        if has_card(f"n{found[0]}"):  # 13 digits are an id of a shop elsewhere
            raise Refused(CODE, f"line {text.count(chr(10), 0, found.start()) + 1} has what {TOLD}")


def check_words(**words: str | None) -> None:
    """Refuse headers, addresses and queries with the number of a card in them.

    Raises
    ------
    Refused
        `card_number`.
    """
    for name, word in words.items():
        if word and has_card(word):
            raise Refused(CODE, TOLD, pointer=name.replace("_", "-"))


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text and large number of a body, with the place of its field; names of fields with the place that they are at."""
    text = text_of(value)
    if text is not None:
        yield place, text
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield place, name
            yield from _texts(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{i}]")


__all__ = ["check_body", "check_lines", "check_words"]
