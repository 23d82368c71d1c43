"""Numbers of payment cards are refused wherever they are said: nobody here may have them, only tokens that a provider gave out.

A number counts as one where its length and first digits are an issuer's and its last digit is right (Luhn, ISO/IEC 7812-1), written
together or in groups. What only looks like one is refused as well, which is one in ten of the numbers of such a length and
beginning; so what is common in the trade is spared: UUIDs and long hexadecimal ids, 13 digits that are an EAN-13 or not alone in
their text (Visa has issued no such numbers for long), and 18 that are an SSCC.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from api.http.problems import Refused
from solver.refusal import Refusal

CODE = "card_number"
TOLD = "looks like the number of a payment card: send a token of your payment provider; nothing of it was kept"
_SEPARATOR, _WITHIN_A_LINE = r"[\s.\-‐-―]", r"(?:[^\S\n]|[.\-‐-―])"
_RUN = re.compile(rf"[0-9](?:{_SEPARATOR}{{0,2}}[0-9]){{12,}}")
_RUN_OF_A_LINE = re.compile(rf"[0-9](?:{_WITHIN_A_LINE}{{0,2}}[0-9]){{12,}}")
_IN_BYTES = re.compile(rb"[0-9](?:[\s.\-]{0,2}[0-9]){12}")
_DIGIT = re.compile(r"[^\D0-9]")
_HEX = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b(?=[0-9]*[a-fA-F])[0-9a-fA-F]{24,}\b", re.ASCII
)
"""Ids and hashes: their digits are not written as a number."""
_GROUP = re.compile(r"[0-9]+")
_ISSUERS = (
    (r"4", (13, 16, 19)),  # Visa
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
    (r"3[47]", (15,)),  # American Express
    (r"30[0-5]|3095|36|3[89]", (14, 16, 19)),  # Diners Club
    (r"6011|64[4-9]|65", (16, 17, 18, 19)),  # Discover
    (r"352[89]|35[3-8]", (16, 17, 18, 19)),  # JCB
    (r"62|81", (16, 17, 18, 19)),  # UnionPay, RuPay
    (r"50|5[6-8]|60|63|67", (16, 17, 18, 19)),  # Maestro, RuPay
    (r"220[0-4]", (16, 17, 18, 19)),  # Mir
)
SHORTEST, LONGEST = 13, 19
"""Digits of a number."""
_BY_LENGTH = {
    length: re.compile("|".join(issuer for issuer, lengths in _ISSUERS if length in lengths))
    for length in range(SHORTEST, LONGEST + 1)
}
_DOUBLED = str.maketrans("0123456789", "0246813579")
LEAST = 10**12
"""The smallest whole number that may be one."""


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
        text = _plain(text)
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


def has_card(text: str) -> bool:
    """Whether a text has the number of a card in it."""
    if len(text) < SHORTEST:
        return False
    if not text.isascii():
        text = _plain(text)
    if len(text) >= 24:
        text = _HEX.sub("x", text)
    return any(
        _is_card(digits, text, start, end)
        for found in _RUN.finditer(text)
        for digits, start, end in _candidates(text, *found.span())
    )


def _plain(text: str) -> str:
    """The same text with the digits of any script as ours."""
    return _DIGIT.sub(lambda found: str(int(found[0])), text)


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every text and large number of a body, with the place of its field; names of fields with the place that they are at."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield place, name
            yield from _texts(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{i}]")
    elif isinstance(value, int | float) and value >= LEAST and value < 10**19:
        yield place, f"n{int(value)}"


def _candidates(text: str, first: int, last: int) -> Iterator[tuple[str, int, int]]:
    """Groups of digits next to each other that are long enough together, and not too long; and where they are."""
    groups: deque[tuple[int, int]] = deque(maxlen=LONGEST)
    for found in _GROUP.finditer(text, first, last):
        groups.append(found.span())
        digits = ""
        for start, end in reversed(groups):
            if len(digits) + end - start > LONGEST:
                break
            digits = text[start:end] + digits
            if len(digits) >= SHORTEST and text.count(".", start, found.end()) != 1:  # else a decimal fraction
                yield digits, start, found.end()


def _is_card(digits: str, text: str, start: int, end: int) -> bool:
    length = len(digits)
    if not _BY_LENGTH[length].match(digits):
        return False
    if length == SHORTEST and (_is_gs1(digits) or not _is_alone(text, start, end)):
        return False
    if length == 18 and _is_gs1(digits):
        return False
    return sum(map(int, digits[::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def _is_gs1(digits: str) -> bool:
    """Whether its last digit is that of an EAN, GTIN or SSCC (GS1 General Specifications, 7.9)."""
    return sum(int(one) * (3 if i % 2 else 1) for i, one in enumerate(reversed(digits))) % 10 == 0


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether digits are apart from the words of a text, or in groups."""
    in_groups = end - start > SHORTEST
    return in_groups or (text[start - 1 : start].strip() == "" and text[end : end + 1].strip() == "")


__all__ = ["CODE", "check_body", "check_lines", "check_words", "has_card"]
