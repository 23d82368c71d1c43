"""The settings of every verb, each declared once: what a change in a scenario file may say.

A day is a date, or a whole number: the days of the history counted from 1. `from` and `until` are the first and the last day on
which a change holds; without them it holds from the beginning, or to the end.
"""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.network import Weekday
from solver.wave import Amount, Days, Id, Km, Lat, Lon

Percent = Annotated[float, Meta(ge=0, le=1000)]
"""100 leaves things as they are."""
Share = Annotated[float, Meta(gt=0, le=100)]
"""A part of them, in hundredths."""
Day = date | Annotated[int, Meta(ge=1, le=100_000)]
Names = Annotated[tuple[Id, ...], Meta(min_length=1)]
Nodes = Literal["all", "stores", "warehouses"] | Names
"""All nodes of a kind, or those named."""
Ofday = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""An hour and a minute, UTC."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a change may say."""

    @property
    def days(self) -> tuple[Day | None, Day | None]:
        """The first and the last day on which the change holds."""
        return None, None


class Dated(Settings, frozen=True, kw_only=True):
    """A change that may hold on some days only."""

    since: Day | None = msgspec.field(name="from", default=None)
    until: Day | None = None

    @property
    def days(self) -> tuple[Day | None, Day | None]:
        return self.since, self.until

    def __post_init__(self) -> None:
        first, last = self.since, self.until
        if isinstance(first, int) and isinstance(last, int) and last < first:
            raise ValueError(f"until is day {last}, before from, day {first}")
        if isinstance(first, date) and isinstance(last, date) and last < first:
            raise ValueError(f"until is {last}, before from, {first}")


class CloseNode(Dated, frozen=True, kw_only=True):
    """Nothing leaves a node. Closed for the whole run, what it holds and receives goes to other nodes.

    Attributes
    ----------
    stock_to
        `others` (where most of the same SKU lies), the id of a node, or `nobody`. Only for the whole run, and `others` then.
    """

    node: Id
    stock_to: Id | None = None


class OpenNode(Dated, frozen=True, kw_only=True):
    """A new node, like one that is there but for its place; before and after its days it is closed.

    Attributes
    ----------
    stock_percent
        What it gets of all other nodes' stock and receipts, in hundredths. With `from` or `until`, of the receipts on its days.
    """

    id: Id
    lat: Lat
    lon: Lon
    like: Id
    stock_percent: Annotated[float, Meta(ge=0, le=100)] = 0.0


class MoveStock(Settings, frozen=True, kw_only=True):
    """Stock that lies at one node at the beginning lies at another."""

    source: Id
    target: Id
    percent: Share = 100.0
    skus: Names | None = None


class RedirectReceipts(Dated, frozen=True, kw_only=True):
    """What would come in at one node comes in at another."""

    source: Id
    target: Id
    percent: Share = 100.0
    skus: Names | None = None


class SafetyStock(Settings, frozen=True, kw_only=True):
    """Units of every SKU at a node that are never sold."""

    units: Annotated[int, Meta(ge=1, le=2**31)]
    nodes: Nodes = "stores"
    skus: Names | None = None


class ScaleDemand(Dated, frozen=True, kw_only=True):
    """More or fewer orders; an order more is another like one that came, at the same minute and place.

    Attributes
    ----------
    regions
        Of the history, or of the nearest market where it names none.
    skus
        Then only these lines are more or fewer.
    stock_follows
        Whether stock and receipts of each SKU grow and shrink as what is asked of it.
    """

    percent: Percent
    regions: Names | None = None
    skus: Names | None = None
    stock_follows: bool = False


class PickupShare(Dated, frozen=True, kw_only=True):
    """Customers who live near a store collect their order there."""

    percent: Share
    nodes: Nodes = "stores"
    within_km: Km = 30.0


class FasterPromise(Dated, frozen=True, kw_only=True):
    """Orders are promised some days earlier, at the earliest on the day itself."""

    days_less: Annotated[int, Meta(ge=1, le=1000)]
    regions: Names | None = None


class ChangeRateCard(Dated, frozen=True, kw_only=True):
    """Carriage costs more or less, or takes longer or shorter; all services where none is named."""

    percent: Percent = 100.0
    more_days: Annotated[int, Meta(ge=-100, le=100)] = 0
    services: Names | None = None


class Surcharge(Dated, frozen=True, kw_only=True):
    """Each parcel of a service costs so much more.

    Attributes
    ----------
    above_g
        Only in weight steps that end above so many grams.
    """

    cents: Amount
    above_g: Amount = 0
    services: Names | None = None


class CarrierStrike(Dated, frozen=True, kw_only=True):
    """Services carry nothing; all of them where none is named."""

    services: Names | None = None


class CutOff(Dated, frozen=True, kw_only=True):
    """Nodes stop taking the day's work earlier, or at a minute of the day: one of both."""

    nodes: Nodes = "all"
    earlier_minutes: Annotated[int, Meta(ge=1, le=1439)] | None = None
    at: Ofday | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.earlier_minutes is None) is (self.at is None):
            raise ValueError("needs either earlier_minutes or at")


class ShipFromStore(Dated, frozen=True, kw_only=True):
    """Whether stores send parcels; where they do not, customers still collect there."""

    on: bool
    nodes: Nodes = "stores"


class Capacity(Dated, frozen=True, kw_only=True):
    """What nodes make in a day: a percentage of it, or so many parcels or units; a limit that is not there stays away."""

    nodes: Nodes = "all"
    percent: Percent = 100.0
    parcels: Amount | None = None
    units: Amount | None = None


class Labour(Dated, frozen=True, kw_only=True):
    """What work costs at nodes (handling and overtime), how long it takes, and on which weekdays it is done.

    Attributes
    ----------
    open_weekdays
        For the whole run only.
    """

    nodes: Nodes = "all"
    percent: Percent = 100.0
    ready_days: Days | None = None
    open_weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.open_weekdays is not None and self.days != (None, None):
            raise ValueError("open_weekdays holds for the whole run, without from and until")


class UsePolicy(Settings, frozen=True, kw_only=True):
    """Orders are decided by another policy."""

    name: Id
    settings: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The policy as it is named elsewhere, settings included."""
        return f"{self.name}:{msgspec.json.encode(self.settings).decode()}" if self.settings else self.name
