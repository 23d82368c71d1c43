"""What payloads of channels have in common: picking fields with a place for each, and the signatures that they come with.

A refusal here names the place in the payload, never what is there: that may be personal.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

from api.cards import has_card, text_of
from api.moments import read_moment
from engine.facts import LATEST
from solver.refusal import Refusal

MOST_PARTS = 1000
"""Entries of a list in a payload, at most."""
LONGEST = 200
_NO_TEXT = re.compile(
    r"(?:(?:\b|_)(?:id|ids|key|href|ip|site|token|urls?)|\b(?:order_|tracking_)?numbers?|\borders_(?:to_redact|requested)|[a-z]Id)"
    r"(?:\[\d+\])?\Z"
)
"""Names of fields that nobody writes a text into: shops elsewhere have ids of 14 digits, of which many look like a card's."""
_NAME = re.compile(r"\w{1,50}\Z", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_WIDE = {"CA": 3, "NL": 4}
"""Characters of a postal area, where a postcode is narrower."""


def signed_by(signature: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether one of these secrets made a signature: the HMAC-SHA256 of the body as it came, in base64."""
    given = signature.encode(errors="replace")
    found = False
    for secret in secrets:  # every one of them, so that the time tells nothing
        made = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256))
        found |= hmac.compare_digest(made, given)
    return found


def event_of(body: bytes, *parts: str) -> str:
    """A name for a message that has none of its own."""
    return hashlib.sha256("\0".join(parts).encode(errors="replace") + b"\0" + body).hexdigest()[:40]


def plain(text: str) -> str:
    """A text of one line, no longer than a name may be."""
    return _CONTROL.sub(" ", text).strip()[:LONGEST]


def without_cards(value: Any, place: str = "") -> tuple[Any, list[str]]:
    """The same payload with '' for texts and numbers that have the number of a payment card in them, and where these are.

    Ids are left as they are.
    """
    text = text_of(value)
    if text is not None:
        return ("", [place]) if not _NO_TEXT.search(place) and has_card(text) else (value, [])
    if isinstance(value, dict):
        parts = {
            name: without_cards(inner, f"{place}.{_shown(name)}".removeprefix(".")) for name, inner in value.items()
        }
        return {name: kept for name, (kept, _) in parts.items()}, [one for _, found in parts.values() for one in found]
    if isinstance(value, list):
        entries = [without_cards(inner, f"{place}[{i}]") for i, inner in enumerate(value)]
        return [kept for kept, _ in entries], [one for _, found in entries for one in found]
    return value, []


def _shown(name: str) -> str:
    """The name of a field, where it is nothing but a name."""
    return name if _NAME.match(name) and not has_card(name) else "*"


class Payload:
    """A part of a payload, and where it is.

    Raises
    ------
    Refusal
        `bad_payload`: it is no object. So do all methods, where something is not what it must be.
    """

    def __init__(self, value: Any, place: str = "") -> None:
        if not isinstance(value, dict):
            raise Refusal(place, "is no object", "bad_payload")
        self.value, self.place = value, place

    def at(self, name: str) -> str:
        """Where a field is."""
        return f"{self.place}.{name}" if self.place else name

    def bad(self, name: str, what: str) -> Refusal:
        """A field that is not what it must be."""
        return Refusal(self.at(name), what, "bad_payload")

    def has(self, name: str) -> bool:
        """Whether anything is said there."""
        return self.value.get(name) is not None

    def text(self, name: str, usual: str | None = None) -> str:
        """A text of one line, or a number as one."""
        value = self.value.get(name)
        if value is None and usual is not None:
            return usual
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.bad(name, "is no text")
        return plain(str(value))

    def id(self, name: str) -> str:
        """A text that says something."""
        found = self.text(name)
        if not found:
            raise self.bad(name, "is empty")
        return found

    def yes(self, name: str, usual: bool) -> bool:
        """Yes or no."""
        value = self.value.get(name)
        if value is None:
            return usual
        if not isinstance(value, bool):
            raise self.bad(name, "is neither true nor false")
        return value

    def units(self, name: str, usual: int | None = None) -> int:
        """A whole number of units, 0 or more."""
        value = self.value.get(name)
        if value is None and usual is not None:
            return usual
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**6:
            raise self.bad(name, "is no number of units")
        return value

    def number(self, name: str) -> float | None:
        """A number, if it is said."""
        value = self.value.get(name)
        if isinstance(value, str):
            try:
                value = float(value) if value.strip() else None
            except ValueError:
                raise self.bad(name, "is no number") from None
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(name, "is no number")
        return float(value)

    def moment(self, name: str, zone: str = "") -> int:
        """A moment, in milliseconds; `zone` is that of all that say none."""
        value = self.value.get(name)
        try:
            if not isinstance(value, str):
                raise ValueError("is no moment")
            found = read_moment(value if _has_zone(value) else value + zone)
        except ValueError:
            raise self.bad(name, "is no moment, as 2026-11-25T10:00:00Z is") from None
        if not 0 <= found <= LATEST:
            raise self.bad(name, "is no moment of our time")
        return found

    def part(self, name: str) -> "Payload":
        """An object; an empty one where nothing is said."""
        return Payload(self.value.get(name) or {}, self.at(name))

    def parts(self, name: str) -> Iterator["Payload"]:
        """The objects of a list; none where nothing is said."""
        found = self.value.get(name) or []
        if not isinstance(found, list):
            raise self.bad(name, "is no list")
        if len(found) > MOST_PARTS:
            raise self.bad(name, f"has more than {MOST_PARTS:,} entries")
        for i, one in enumerate(found):
            yield Payload(one, f"{self.at(name)}[{i}]")

    def money(self, name: str) -> str:
        """A decimal amount as it is said, to be looked at later; '' where it is not."""
        value = self.value.get(name)
        if value is None or value == "":
            return ""
        return plain(str(value))[:40] if isinstance(value, str | int | float) and not isinstance(value, bool) else "?"


def _has_zone(text: str) -> bool:
    return text.endswith(("Z", "z")) or bool(re.search(r"[+-]\d\d:?\d\d\Z", text))


def paid(each: str, units: int, less: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """What was paid for some units, with what comes off or on for all of them; what is no money stays as it is said."""
    if not each:
        return ""
    try:
        total = Decimal(each) * units + sum(map(_amount, more)) - sum(map(_amount, less))
        return f"{max(Decimal(0), total):f}" if total.is_finite() else each
    except InvalidOperation:
        return each if _is_no_money(each) else next((one for one in (*less, *more) if _is_no_money(one)), "?")


def _amount(text: str) -> Decimal:
    return Decimal(text or "0")


def _is_no_money(text: str) -> bool:
    try:
        Decimal(text)
    except InvalidOperation:
        return True
    return False


def postal_area(country: str, postcode: str) -> str:
    """The area of a postcode, wide enough to be nobody's: `NL 1012 AB` is 1012, `GB SW1A 1AA` is SW1A, `US 94103-1234` is 94103."""
    code = postcode.upper().strip()
    if country == "GB":
        joined = re.sub(r"[^A-Z0-9]", "", code)
        return joined[:-3] if len(joined) > 4 else joined
    first = re.sub(r"[^A-Z0-9]", "", re.split(r"[\s-]", code, maxsplit=1)[0])
    return first[: _WIDE.get(country, 5)]


def words(text: str) -> set[str]:
    """What is named with commas between."""
    return {word.strip() for word in text.split(",") if word.strip()}


def rest_after(answer: httpx.Response, usual: float) -> float:
    """Seconds after which more may be asked, as `Retry-After` says it; never none."""
    try:
        return min(3600.0, max(0.1, float(answer.headers["retry-after"])))
    except (KeyError, ValueError):
        return max(0.1, usual)


def address_lines(*lines: str) -> str:
    """An address, a line each."""
    return "\n".join(line for line in lines if line)[:500]
