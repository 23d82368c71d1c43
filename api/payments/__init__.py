"""Payments: a port, and its embedded citizen `own`, which needs no account.

A provider keeps money for an order by a token that it gave out itself, takes it, lets it go and gives it back. Another one is a
file with a function that opens it, found by name: in `PROVIDERS`, or as an entry point of the group `allot.payments`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from api.ports import Declined, NoAnswer, NothingDone, found, names_of
from api.settings import Settings
from engine.database import Database
from solver.refusal import Refusal

GROUP = "allot.payments"
"""Entry points of providers: each names an `Opener`."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a provider is opened with. `clock`: milliseconds since 1970-01-01 UTC."""

    settings: Settings
    database: Database
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Money that is to be kept.

    Attributes
    ----------
    key
        The same for the same money, each time that it is asked for.
    token
        What the provider knows how to pay by; not shown where this is written down.
    cents
        In the smallest unit of the currency.
    """

    key: str
    order: str
    token: str = field(repr=False)
    cents: int
    currency: str


@dataclass(frozen=True, slots=True)
class Kept:
    """Money that is kept.

    Attributes
    ----------
    reference
        What the provider calls it.
    expires_at
        Until when, if that is known.
    often
        Whether parts of it can be captured one after the other. Where not, the rest is let go with the first.
    """

    reference: str
    expires_at: int | None = None
    often: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Something to be done with money that is kept. `key`: as of `Wanted`."""

    key: str
    reference: str
    cents: int
    currency: str
    often: bool


class Provider(Protocol):
    """Somebody who moves money. Calls may take seconds, and raise `Declined` or `NoAnswer`; none is made in a transaction.

    `NothingDone` is raised where that is certain: what is asked long enough with another `NoAnswer` is given up.

    The same key again does nothing more, and is answered the same.
    """

    def authorise(self, wanted: Wanted) -> Kept:
        """Keep money for an order."""
        ...

    def capture(self, asked: Asked) -> None:
        """Take some of what is kept; `expired` where it is kept no longer."""
        ...

    def void(self, asked: Asked) -> None:
        """Let go whatever is still kept; nothing happens where nothing is."""
        ...

    def refund(self, asked: Asked) -> None:
        """Give back some of what was taken."""
        ...


Opener = Callable[[Setup], Provider]
Openers = Mapping[str, Opener]


def _open_own(setup: Setup) -> Provider:
    from api.payments.own import Own

    return Own(setup.database, setup.clock)


def _open_stripe(setup: Setup) -> Provider:
    from api.payments.stripe import open_stripe

    return open_stripe(setup.settings)


PROVIDERS: Openers = {"own": _open_own, "stripe": _open_stripe}


def open_provider(name: str, setup: Setup, known: Openers = PROVIDERS) -> Provider:
    """Open a provider by name.

    Raises
    ------
    Refusal
        `unknown_provider`, or `bad_setting` where it has no account here.
    """
    opener = found(name, known, GROUP)
    if opener is None:
        there = ", ".join(names_of(known, GROUP))
        raise Refusal("provider", f"{name!r} is not a provider here; there is {there}", "unknown_provider")
    return opener(setup)


__all__ = [
    "GROUP",
    "PROVIDERS",
    "Asked",
    "Declined",
    "Kept",
    "NoAnswer",
    "NothingDone",
    "Openers",
    "Provider",
    "Setup",
    "Wanted",
    "open_provider",
]
