"""Carriers: a port, and its embedded citizen `own`, which needs no account.

A carrier rates a parcel, makes and cancels its label, and says where it is. Another one is a file with a function that opens it,
found by name: in `CARRIERS`, or as an entry point of the group `allot.carriers`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from api.ports import Declined, NoAnswer, found, names_of
from engine.carrying import Load, Rate
from engine.shipping import ShippingTerms
from solver.problem import Problem
from solver.refusal import Refusal

GROUP = "allot.carriers"
"""Entry points of carriers: each names an `Opener`."""
Status = Literal["in_transit", "out_for_delivery", "delivered", "failed", "returned"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a carrier is opened with; accounts and passwords it reads from its own settings (`ALLOT_CARRIER_NAME_...`).

    Attributes
    ----------
    tariffs
        A problem that has the retailer's services with their rate cards.
    """

    tariffs: Problem
    terms: ShippingTerms


@dataclass(frozen=True, slots=True)
class Wanted:
    """A label that is wanted.

    Attributes
    ----------
    key
        The same for the same label, each time that it is asked for.
    number
        Another one for each label, counted from 1.
    """

    key: str
    number: int
    service: str
    load: Load


@dataclass(frozen=True, slots=True)
class Made:
    """A label that a carrier made. `paper`: its document (PDF); we print one where there is none."""

    tracking: str
    cents: int
    paper: bytes | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """Where a parcel was seen, `at` milliseconds since 1970-01-01 UTC."""

    at: int
    status: Status


class Carrier(Protocol):
    """Somebody who carries parcels. Calls may take seconds, and raise `NoAnswer`; none is made in a transaction."""

    tracks: bool
    """Whether it can say where parcels are. Where it cannot, facts do (`OutForDelivery`, `Delivered`)."""

    def rate(self, load: Load) -> list[Rate]:
        """What its services take for a parcel, the cheapest first; none where it does not go."""
        ...

    def make(self, wanted: Wanted) -> Made:
        """Make a label. The same key again gives the same label with its paper, until the parcel is delivered.

        Raises
        ------
        Declined
            It does not take that parcel by that service.
        """
        ...

    def cancel(self, key: str, tracking: str | None) -> None:
        """Cancel the label of a key, if one was made (`tracking` may not be known). Again: nothing happens."""
        ...

    def track(self, tracking: str) -> list[Scan]:
        """Where a parcel was seen, in the order of time; nothing where it was not yet."""
        ...


Opener = Callable[[Setup], Carrier]
Openers = Mapping[str, Opener]


def _open_own(setup: Setup) -> Carrier:
    from api.carriers.own import Own

    return Own(setup.tariffs, setup.terms.gs1_prefix)


CARRIERS: Openers = {"own": _open_own}


def open_carrier(name: str, setup: Setup, known: Openers = CARRIERS) -> Carrier:
    """Open a carrier by name.

    Raises
    ------
    Refusal
        `unknown_carrier`.
    """
    opener = found(name, known, GROUP)
    if opener is None:
        there = ", ".join(carrier_names(known))
        raise Refusal("carrier", f"{name!r} is not a carrier here; there is {there}", "unknown_carrier")
    return opener(setup)


def carrier_names(known: Openers = CARRIERS) -> list[str]:
    """The carriers that there are."""
    return names_of(known, GROUP)


__all__ = [
    "CARRIERS",
    "GROUP",
    "Carrier",
    "Declined",
    "Load",
    "Made",
    "NoAnswer",
    "Openers",
    "Rate",
    "Scan",
    "Setup",
    "Wanted",
    "carrier_names",
    "open_carrier",
]
