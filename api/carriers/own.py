"""The embedded carrier: the retailer's own vans, or whoever comes by its rate cards. It needs no account and no network.

Parcels are numbered by GS1's Serial Shipping Container Code: an extension digit, the retailer's company prefix, a serial
number, and a check digit, 18 digits in all (GS1 General Specifications, 2.2.1 and 7.9). A label's own number is the serial number.
"""

from api.carriers import Declined, Made, Scan, Wanted
from engine.carrying import Load, Rate, rate
from solver.problem import Problem

SSCC_DIGITS = 18


class Own:
    """Rates by the retailer's rate cards, and numbers its parcels itself."""

    tracks = False

    def __init__(self, tariffs: Problem, gs1_prefix: str) -> None:
        self._tariffs, self._prefix = tariffs, gs1_prefix

    def rate(self, load: Load) -> list[Rate]:
        """What each service takes that may carry it and goes so far."""
        if load.sender.spot is None or load.recipient.spot is None:
            return []
        return rate(self._tariffs, load.sender.spot, load.recipient.spot, load.grams, load.services)

    def make(self, wanted: Wanted) -> Made:
        """Number a parcel; `unknown_service`, `not_allowed`, `no_place`, or `too_far` where it cannot be carried."""
        load = wanted.load
        if wanted.service not in self._tariffs.service_id:
            raise Declined("unknown_service")
        if wanted.service not in load.services:
            raise Declined("not_allowed")
        if load.recipient.spot is None:
            raise Declined("no_place")
        found = next((one for one in self.rate(load) if one.service == wanted.service), None)
        if found is None:
            raise Declined("too_far")
        return Made(sscc(self._prefix, wanted.number), found.cents)

    def cancel(self, key: str, tracking: str | None) -> None:
        """Nobody else knows of it."""

    def track(self, tracking: str) -> list[Scan]:
        """What happens to its parcels, facts say."""
        return []


def sscc(prefix: str, number: int) -> str:
    """The code of a parcel.

    Raises
    ------
    Declined
        `no_numbers_left`: the prefix has room for fewer.
    """
    digits = f"{number:0{SSCC_DIGITS - 1 - len(prefix)}d}"
    code = digits[0] + prefix + digits[1:]
    if len(code) >= SSCC_DIGITS:
        raise Declined("no_numbers_left")
    return code + check_digit(code)


def is_sscc(code: str) -> bool:
    """Whether a number is such a code, by its length and its check digit."""
    return len(code) == SSCC_DIGITS and code.isascii() and code.isdigit() and check_digit(code[:-1]) == code[-1]


def check_digit(digits: str) -> str:
    """What makes a sum of ten of digits that count three and one times in turn, from the right."""
    total = sum(int(digit) * (3 if i % 2 == 0 else 1) for i, digit in enumerate(reversed(digits)))
    return str(-total % 10)
