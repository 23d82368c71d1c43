"""What shops elsewhere say of their orders, in our words, and what comes of that (`engine.channels`).

Nothing personal is in it: people are told of apart (`Whom`).
"""

from dataclasses import dataclass
from typing import Literal

import msgspec


class Said(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that a connection says."""


class LineSaid(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order.

    Attributes
    ----------
    ref, sku
        What the connection calls it, and what is sold; `None` where it has no SKU.
    wanted
        Units that the customer is to have, or has.
    fulfilled
        Of these, units that have left, by what the connection knows.
    ships
        Whether there is anything to send: not of a download, nor of a gift card.
    ordered, paid
        Units, and the decimal amount for all of them together; '' where it is not said.
    """

    ref: str
    sku: str | None
    wanted: int
    fulfilled: int = 0
    ships: bool = True
    ordered: int = 1
    paid: str = ""


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """Something about an order that people should look at."""

    code: str
    place: str
    detail: str


class OrderSaid(Said, frozen=True, kw_only=True):
    """An order as it is by now.

    Attributes
    ----------
    said_at, sent_at
        When it was so, by the connection's clock; when that was sent, of several at the same moment (0: not known).
    waits
        It is no order yet: not paid, say.
    cancelled
        Nothing is wanted of it but what has left already.
    left_is_fine
        What has left need not come back: no issue.
    lat, lon
        Where it goes, to about a kilometre; else `country` and postal `area` say so.
    collect
        What the connection calls the place where it is collected, in any of its words.
    service
        What it calls the way of shipping.
    """

    order: str
    placed_at: int
    said_at: int
    sent_at: int = 0
    currency: str
    lines: tuple[LineSaid, ...]
    waits: bool = False
    cancelled: bool = False
    left_is_fine: bool = False
    lat: float | None = None
    lon: float | None = None
    country: str = ""
    area: str = ""
    collect: tuple[str, ...] = ()
    service: str = ""
    promise_day: int | None = None
    remarks: tuple[Remark, ...] = ()

    def __post_init__(self) -> None:
        for name in ("lat", "lon"):  # about a kilometre, as in a fact
            if (value := getattr(self, name)) is not None:
                msgspec.structs.force_setattr(self, name, round(value, 2))


class UnitsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a line more, or fewer."""

    ref: str
    units: int


class ChangeSaid(Said, frozen=True, kw_only=True):
    """What has changed of an order, and nothing else of it."""

    order: str
    said_at: int
    changes: tuple[UnitsChanged, ...]


class OrderGone(Said, frozen=True, kw_only=True):
    """An order was deleted: nothing of it is wanted but what has left."""

    order: str
    said_at: int


class ToForget(Said, frozen=True, kw_only=True):
    """The customer of these orders is to be forgotten, or (`everybody`) whoever ordered there."""

    orders: tuple[str, ...] = ()
    everybody: bool = False


class DataAsked(Said, frozen=True, kw_only=True):
    """The customer of these orders asks what is known of them."""

    orders: tuple[str, ...]


class Nothing(Said, frozen=True, kw_only=True):
    """Nothing that is ours to do."""

    why: str
    order: str = ""


AnySaid = OrderSaid | ChangeSaid | OrderGone | ToForget | DataAsked | Nothing


@dataclass(frozen=True, slots=True)
class Whom:
    """Who receives an order: all that is personal."""

    name: str | None = None
    address: str | None = None
    contact: str | None = None
    locale: str | None = None


Outcome = Literal["applied", "unchanged", "waits", "parked", "older", "seen", "ignored", "issue"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it. `order`: ours, if there is one; `issues`: what of it could not be done."""

    outcome: Outcome
    order: str | None = None
    issues: int = 0
