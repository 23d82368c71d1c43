"""Numbers of payment cards, found in texts: nobody here may have them, only tokens that a provider gave out.

A number counts as one where its length and first digits are an issuer's and its last digit is right (Luhn, ISO/IEC 7812-1), written
together or in groups. What only looks like one is refused as well, which is one in ten of the numbers of such a length and
beginning; so what is common in the trade is spared: UUIDs and long hexadecimal ids, 13 digits that are an EAN-13 or not alone in
their text (Visa has issued no such numbers for long), and 18 that are an SSCC.
"""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

CODE = "card_number"
_SEPARATOR = r"[\s.\-‐-―]"
_RUN = re.compile(rf"[0-9](?:{_SEPARATOR}{{0,2}}[0-9]){{12,}}")
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


def has_card(text: str) -> bool:
    """Whether a text has the number of a card in it."""
    if len(text) < SHORTEST:
        return False
    if not text.isascii():
        text = plain_digits(text)
    if len(text) >= 24:
        text = _HEX.sub("x", text)
    return any(
        _is_card(digits, text, start, end)
        for found in _RUN.finditer(text)
        for digits, start, end in _candidates(text, *found.span())
    )


def plain_digits(text: str) -> str:
    """The same text with the digits of any script as ours."""
    return _DIGIT.sub(lambda found: str(int(found[0])), text)


def text_of(value: Any) -> str | None:
    """A value of JSON as the text in which a number would be found, if there may be one."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and LEAST <= value < 10**19:
        return f"n{int(value)}"
    return None


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


__all__ = ["CODE", "has_card", "plain_digits", "text_of"]
