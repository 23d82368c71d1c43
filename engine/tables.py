"""The rows: the truth about stock and orders, with every invariant as a constraint of the database.

Times are milliseconds since 1970-01-01 UTC (`_at`, `_until`), days are counted from there (`_day`), money is cents. Nodes, SKUs and
orders have a number inside (`_no`) and the id that people use. SQLModel declares; the hot paths speak SQL (`engine.database`).
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DefaultClause,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(column_0_label)s",
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
}

BIG = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both; only as `INTEGER` does SQLite count by itself."""


def _at_least_0(*names: str) -> list[CheckConstraint]:
    return [CheckConstraint(f"{name} >= 0", name=f"{name}_at_least_0") for name in names]


def _where(condition: str) -> dict[str, Any]:
    """Index only the rows of a condition, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _counter() -> Any:
    return Field(default=None, sa_column=Column(BIG, primary_key=True, autoincrement=True))


def _big(**more: Any) -> Any:
    return Field(sa_type=BIG, **more)


def _personal(kind: Any = String, **more: Any) -> Any:
    """A column that may say something of a person. The mark drives export, erasure and what logs hide (`engine.privacy`).

    Of the arguments, `common` marks what many people share, so that nobody is found by it, and `whole` what is of no use
    without, so that its row goes as a whole.
    """
    info: dict[str, bool] = {"pii": True, **{name: more.pop(name) for name in ("common", "whole") if name in more}}
    return Column(kind, info=info, **more)


class Sku(SQLModel, table=True):
    """What is sold. A kit has no stock of its own: its parts are held together (`KitPart`)."""

    __table_args__ = (
        *_at_least_0("weight_g", "unfilled_cents"),
        CheckConstraint(
            "presold >= 0 AND (presale_limit IS NULL OR presold <= presale_limit)", name="presold_in_limit"
        ),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    weight_g: int = _big()
    requires: list[str] = Field(default_factory=list, sa_type=JSON)
    """Tags that a node must have."""
    tags: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False, server_default=text("'[]'")))
    """What rules may go by."""
    services: list[str] | None = Field(default=None, sa_type=JSON)
    """Services that may carry it; any where not said."""
    unfilled_cents: int | None = _big(default=None)
    backorder: bool = True
    """Whether it is sold beyond what is there."""
    presale_limit: int | None = _big(default=None)
    """Units that may be sold before there are any; where it is set, the SKU is on pre-order until `sale_day`."""
    presold: int = _big(default=0)
    sale_day: int | None = None
    is_kit: bool = False
    version: int = 1


class KitPart(SQLModel, table=True):
    """What a kit is made of."""

    __tablename__ = "kit_part"
    __table_args__ = (CheckConstraint("units >= 1", name="units_at_least_1"),)

    kit_no: int = _big(foreign_key="sku.no", primary_key=True)
    part_no: int = _big(foreign_key="sku.no", primary_key=True)
    units: int


class Calendar(SQLModel, table=True):
    """When nodes work. `holidays` names a country or one of its parts (`NL`, `US-CA`), whose holidays are closed days too."""

    id: str = Field(primary_key=True)
    open_weekdays: list[str] = Field(sa_type=JSON)
    closed: list[str] = Field(default_factory=list, sa_type=JSON)
    holidays: str | None = None
    version: int = 1


class Node(SQLModel, table=True):
    """A place that holds stock and packs."""

    __table_args__ = (
        *_at_least_0("parcel_cents", "line_cents", "unit_cents", "ready_days"),
        CheckConstraint("cut_off_minute BETWEEN 0 AND 1439", name="cut_off_in_a_day"),
        CheckConstraint("kind IN ('warehouse', 'store')", name="kind_known"),
        CheckConstraint("lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180", name="on_earth"),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    kind: str
    region: str = ""
    lat: float
    lon: float
    parcel_cents: int = _big()
    line_cents: int = _big()
    unit_cents: int = _big()
    ready_days: int
    tags: list[str] = Field(default_factory=list, sa_type=JSON)
    calendar: str = Field(foreign_key="calendar.id")
    cut_off_minute: int
    capacity_parcels: int | None = _big(default=None)
    capacity_units: int | None = _big(default=None)
    overtime_cents: int | None = _big(default=None)
    collects: bool = False
    """Whether customers may collect here."""
    address: str = ""
    """Lines of text, as papers have it."""
    paused: bool = False
    version: int = 1


class Service(SQLModel, table=True):
    """A carrier product with its rate card, as the wave file has it."""

    id: str = Field(primary_key=True)
    card: dict[str, Any] = Field(sa_type=JSON)
    version: int = 1


class Channel(SQLModel, table=True):
    """Where orders come from, and how they are sourced."""

    __table_args__ = (CheckConstraint("safety >= 0", name="safety_at_least_0"),)

    id: str = Field(primary_key=True)
    policy: str = "cheapest"
    shadow: str | None = None
    """A policy that decides beside the live one."""
    stock_values: bool = True
    """Whether stock counts what it was worth to other orders in the last wave."""
    review: bool = False
    """Whether orders are held for review first."""
    safety: int = 0
    """Units of each SKU that are kept back from this channel."""
    rules: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    version: int = 1


class Setting(SQLModel, table=True):
    """Terms, currency, and whatever else is one value for the whole retailer."""

    name: str = Field(primary_key=True)
    value: dict[str, Any] = Field(sa_type=JSON)
    version: int = 1


class Stock(SQLModel, table=True):
    """The units of a SKU at a node. `value_cents`: what one is worth to other orders, by the prices of the last wave."""

    __table_args__ = (
        *_at_least_0("on_hand", "reserved", "damaged", "quarantined", "safety_sell", "safety_route", "value_cents"),
        CheckConstraint("reserved <= on_hand", name="reserved_at_most_on_hand"),
        CheckConstraint("missing >= 0 AND missing <= reserved", name="missing_at_most_reserved"),
        # the same row is changed all the time: room on its page spares the index
        {"postgresql_with": {"fillfactor": 70}},
    )

    sku_no: int = _big(foreign_key="sku.no", primary_key=True)
    node_no: int = _big(foreign_key="node.no", primary_key=True)
    on_hand: int = _big(default=0)
    reserved: int = _big(default=0)
    damaged: int = _big(default=0)
    quarantined: int = _big(default=0)
    missing: int = _big(default=0)
    """Units that a count did not find, of those handed to the node: picking says so, or they leave `on_hand` once free."""
    safety_sell: int = _big(default=0)
    """Kept back when promising and selling."""
    safety_route: int = _big(default=0)
    """Kept back when sourcing orders that are there already."""
    value_cents: int = _big(default=0)


class ChannelStock(SQLModel, table=True):
    """What a channel may sell of a SKU: a buffer kept back from it, and an allotment that is all it gets."""

    __tablename__ = "channel_stock"
    __table_args__ = (
        CheckConstraint("buffer >= 0", name="buffer_at_least_0"),
        CheckConstraint("sold >= 0 AND (allotment IS NULL OR sold <= allotment)", name="sold_in_allotment"),
    )

    channel: str = Field(foreign_key="channel.id", primary_key=True)
    sku_no: int = _big(foreign_key="sku.no", primary_key=True)
    buffer: int = _big(default=0)
    allotment: int | None = _big(default=None)
    sold: int = _big(default=0)


class Inbound(SQLModel, table=True):
    """Units that are to come."""

    __table_args__ = (
        CheckConstraint("units >= 1 AND received >= 0 AND received <= units", name="received_at_most_units"),
    )

    id: str = Field(primary_key=True)
    sku_no: int = _big(foreign_key="sku.no", index=True)
    node_no: int = _big(foreign_key="node.no")
    units: int = _big()
    received: int = _big(default=0)
    due_day: int
    cancelled: bool = False


class NodeDay(SQLModel, table=True):
    """The work of a node on a day: what is planned for it, and another capacity than usual."""

    __tablename__ = "node_day"
    __table_args__ = (*_at_least_0("parcels", "units"),)

    node_no: int = _big(foreign_key="node.no", primary_key=True)
    day: int = Field(primary_key=True)
    parcels: int = _big(default=0)
    units: int = _big(default=0)
    capacity_parcels: int | None = _big(default=None)
    capacity_units: int | None = _big(default=None)


class Recipient(SQLModel, table=True):
    """The one place of personal data. An erased recipient keeps its id and nothing else."""

    __table_args__ = (Index("ix_recipient_quiet", "active_at", "id", **_where("NOT erased")),)

    no: int | None = _counter()
    id: str = Field(unique=True)
    name: str | None = Field(default=None, sa_column=_personal())
    address: str | None = Field(default=None, sa_column=_personal())
    contact: str | None = Field(default=None, sa_column=_personal())
    locale: str | None = Field(default=None, sa_column=_personal(common=True))
    """The language that messages are in, as `de-AT`."""
    erased: bool = False
    active_at: int = _big(default=0)
    """When anything was known to happen to them last; what has happened to their orders since may be later (`engine.privacy`)."""


LINE_STATES = ("open", "allocated", "released", "shipped", "delivered", "returned", "cancelled")
"""Where a unit of a line is; in exactly one of these."""
_EVERY_UNIT = " + ".join(LINE_STATES)
_STATE = (
    "CASE WHEN review THEN 'held' WHEN open > 0 THEN 'open' WHEN allocated > 0 THEN 'allocated' "
    "WHEN released > 0 THEN 'released' WHEN shipped > 0 THEN 'shipped' WHEN delivered > 0 THEN 'delivered' "
    "WHEN returned > 0 THEN 'returned' ELSE 'cancelled' END"
)


class Order(SQLModel, table=True):
    """What a customer asked for. Its state is that of its unit that is least far."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("channel", "external_id", name="uq_orders_channel_external_id"),
        *_at_least_0(*LINE_STATES, "late_cents"),
        CheckConstraint("max_parcels IS NULL OR max_parcels >= 1", name="max_parcels_at_least_1"),
        Index("ix_orders_to_source", "priority", "placed_at", "no", **_where("open > 0")),
        Index("ix_orders_placed", "placed_at", "no"),
        Index("ix_orders_state", "state", "no"),
        Index("ix_orders_unreleased", "no", **_where("open + allocated > 0")),
        Index("ix_orders_recipient", "recipient", **_where("recipient IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    channel: str = Field(foreign_key="channel.id")
    external_id: str
    content: str
    """Hash of what was placed: the same order twice is one order, with other content a conflict."""
    placed_at: int = _big()
    priority: int = 0
    lat: float | None = None
    lon: float | None = None
    region: str = ""
    pickup: list[str] = Field(default_factory=list, sa_type=JSON)
    """Nodes where it may be collected; delivered to its place where there are none."""
    recipient: str | None = None
    promise_day: int
    """The day by which the customer has it: asked for, and from the first allocation on promised."""
    promised: bool = False
    late_cents: int = _big()
    max_parcels: int | None = None
    ship_complete: bool = False
    review: bool = False
    cancel_at: int | None = _big(default=None)
    """What is not released by then is cancelled."""
    open: int = _big(default=0)
    allocated: int = _big(default=0)
    released: int = _big(default=0)
    shipped: int = _big(default=0)
    delivered: int = _big(default=0)
    returned: int = _big(default=0)
    cancelled: int = _big(default=0)
    state: str | None = Field(default=None, sa_column=Column(String, Computed(_STATE, persisted=True)))
    leased_by: str | None = None
    leased_until: int | None = _big(default=None)
    failures: int = 0
    """Waves in a row that could not serve it whole."""
    version: int = 1


class OrderLine(SQLModel, table=True):
    """One SKU of an order, and where its units are."""

    __tablename__ = "order_line"
    __table_args__ = (
        *_at_least_0(*LINE_STATES),
        CheckConstraint("qty >= 1", name="qty_at_least_1"),
        CheckConstraint(f"qty = {_EVERY_UNIT}", name="every_unit_is_somewhere"),
        Index("ix_order_line_open", "sku_no", **_where("open > 0")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    order_no: int = _big(foreign_key="orders.no", primary_key=True)
    number: int = Field(primary_key=True)
    sku_no: int = _big(foreign_key="sku.no")
    qty: int = _big()
    unfilled_cents: int = _big()
    price_cents: int | None = _big(default=None)
    presale: bool = False
    """Whether its units count as presold, until cancelled."""
    allotted: bool = False
    """Whether its units count as sold of its channel's allotment, until cancelled."""
    open: int = _big()
    allocated: int = _big(default=0)
    released: int = _big(default=0)
    shipped: int = _big(default=0)
    delivered: int = _big(default=0)
    returned: int = _big(default=0)
    cancelled: int = _big(default=0)


class Parcel(SQLModel, table=True):
    """What is planned to leave one node by one service for an order (service '' is collected there)."""

    order_no: int = _big(foreign_key="orders.no", primary_key=True)
    node_no: int = _big(foreign_key="node.no", primary_key=True)
    service: str = Field(primary_key=True)
    collect_no: int | None = _big(default=None, foreign_key="node.no")
    """The node where it is collected."""
    work_day: int
    """The day whose capacity it takes."""
    arrives_day: int
    cents: int = _big()


class Claim(SQLModel, table=True):
    """Units of stock tied to a line, until released. A kit claims its parts; `line_units` counts the line's own units."""

    __table_args__ = (
        CheckConstraint("units >= 1 AND line_units >= 1", name="units_at_least_1"),
        Index("ix_claim_stock", "sku_no", "node_no"),
    )

    order_no: int = _big(foreign_key="orders.no", primary_key=True)
    number: int = Field(primary_key=True)
    sku_no: int = _big(primary_key=True)
    node_no: int = _big(primary_key=True)
    service: str = Field(primary_key=True)
    """That of its parcel; `engine.claims.UNDECIDED` where a hold became a claim and nothing is planned yet."""
    units: int = _big()
    line_units: int = _big()


class Consignment(SQLModel, table=True):
    """A parcel that was handed to its node: the one-way door."""

    __table_args__ = (
        CheckConstraint(
            "state IN ('released', 'picked', 'packed', 'shipped', 'out_for_delivery', 'ready', 'delivered', 'lapsed', "
            "'withdrawn')",
            name="state_known",
        ),
        CheckConstraint("state <> 'ready' OR collect_until IS NOT NULL", name="ready_has_an_end"),
        Index("ix_consignment_node", "node_no", "state", "no"),
        Index("ix_consignment_ready", "collect_until", **_where("state = 'ready'")),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    order_no: int = _big(foreign_key="orders.no", index=True)
    node_no: int = _big(foreign_key="node.no")
    service: str
    collect_no: int | None = _big(default=None, foreign_key="node.no")
    state: str
    released_at: int = _big()
    work_day: int
    arrives_day: int
    cents: int = _big()
    tracking: str | None = None
    shipped_at: int | None = _big(default=None)
    delivered_at: int | None = _big(default=None)
    collect_until: int | None = _big(default=None)
    """When what is ready for its customer is stock of the store again."""
    version: int = 1


class ConsignmentLine(SQLModel, table=True):
    """What a consignment holds: `units` still in it (reserved until shipped), `short` not found, `returned` come back."""

    __tablename__ = "consignment_line"
    __table_args__ = (
        *_at_least_0("units", "line_units", "short", "returned"),
        CheckConstraint("returned <= units", name="returned_at_most_shipped"),
        Index("ix_consignment_line_stock", "sku_no", "consignment_no"),
    )

    consignment_no: int = _big(foreign_key="consignment.no", primary_key=True)
    number: int = Field(primary_key=True)
    sku_no: int = _big(foreign_key="sku.no", primary_key=True)
    units: int = _big()
    line_units: int = _big()
    short: int = _big(default=0)
    returned: int = _big(default=0)


LABEL_STATES = ("wanted", "made", "refused", "unwanted", "cancelled")
"""A label is wanted until its carrier made or refused it, and unwanted until the carrier knows that it is cancelled."""


class Label(SQLModel, table=True):
    """What a carrier was asked to take. It is a row before the carrier is called, and says how that went."""

    __table_args__ = (
        *_at_least_0("tries", "grams", "cents"),
        CheckConstraint(f"state IN ({', '.join(map(repr, LABEL_STATES))})", name="state_known"),
        CheckConstraint("state <> 'made' OR (tracking IS NOT NULL AND made_at IS NOT NULL)", name="made_is_tracked"),
        UniqueConstraint("carrier", "tracking", name="uq_label_carrier_tracking"),
        Index("ix_label_consignment", "consignment_no"),
        Index("ix_label_live", "consignment_no", unique=True, **_where("state IN ('wanted', 'made')")),
        Index("ix_label_waiting", "next_at", **_where("state IN ('wanted', 'unwanted')")),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    """What the carrier knows it by, so that asking twice makes one label."""
    consignment_no: int = _big(foreign_key="consignment.no")
    carrier: str
    service: str
    state: str = "wanted"
    grams: int = _big()
    tries: int = 0
    next_at: int = _big()
    """When its carrier may be called again: not while somebody calls."""
    tracking: str | None = None
    cents: int | None = _big(default=None)
    wanted_at: int = _big()
    made_at: int | None = _big(default=None)
    looked_at: int = _big(default=0)
    """When its carrier was last asked where it is."""
    why: str = ""
    """Why it was refused, as a code."""


RETURN_ENDS = ("refused", "cancelled", "expired")
"""How a return ends that nothing came of."""
_RETURN_STATE = (
    "CASE WHEN review THEN 'requested' WHEN received > 0 OR (awaited > 0 AND inspected > 0) THEN 'received' "
    "WHEN awaited > 0 THEN 'approved' WHEN inspected > 0 THEN 'inspected' ELSE ended END"
)


class Rma(SQLModel, table=True):
    """A return: units of an order that are to come back, or came unannounced. Units are those of SKUs, of a kit's parts."""

    __table_args__ = (
        *_at_least_0("awaited", "received", "inspected", "closed", "carriage_cents", "label_cents", "exchange_cents"),
        CheckConstraint("wanted IN ('refund', 'exchange')", name="wanted_known"),
        CheckConstraint("how IN ('parcel', 'store', 'unannounced')", name="how_known"),
        CheckConstraint(
            f"ended IS NULL OR ended IN ({', '.join(repr(end) for end in RETURN_ENDS)})", name="ended_known"
        ),
        CheckConstraint("awaited + received + inspected > 0 OR ended IS NOT NULL", name="ended_where_nothing_is_left"),
        CheckConstraint("exchange_no IS NOT NULL OR exchange_cents = 0", name="exchange_has_order"),
        Index("ix_rma_awaited", "expires_at", **_where("awaited > 0")),
        Index("ix_rma_settle", "settle_at", **_where("settle_at IS NOT NULL")),
        Index("ix_rma_state", "state", "no"),
        Index("ix_rma_node", "node_no", "no"),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    order_no: int = _big(foreign_key="orders.no", index=True)
    wanted: str
    how: str
    requested_at: int = _big()
    expires_at: int = _big()
    review: bool = False
    ended: str | None = None
    awaited: int = _big(default=0)
    received: int = _big(default=0)
    """Came, and nobody has looked at them yet."""
    inspected: int = _big(default=0)
    closed: int = _big(default=0)
    """Are not to come any more."""
    state: str | None = Field(default=None, sa_column=Column(String, Computed(_RETURN_STATE, persisted=True)))
    lat: float | None = None
    lon: float | None = None
    node_no: int | None = _big(default=None, foreign_key="node.no")
    """Where it is to go."""
    service: str = ""
    cost_cents: int | None = _big(default=None)
    """Carriage and handling, less what the units are worth there."""
    decision: str = "{}"
    """Why it goes there, as JSON."""
    carriage_cents: int | None = _big(default=None)
    """What the customer paid for the delivery of the order, where that was said."""
    label_cents: int = _big(default=0)
    """What is kept for the parcel back."""
    exchange_no: int | None = _big(default=None, foreign_key="orders.no", unique=True)
    exchange_cents: int = _big(default=0)
    """What the order that took its place costs."""
    settle_at: int | None = _big(default=None)
    """When what was looked at is refunded where no exchange was ordered."""
    version: int = 1


class RmaLine(SQLModel, table=True):
    """Units of a SKU of a line that came with a consignment, and where they are on their way back."""

    __tablename__ = "rma_line"
    __table_args__ = (
        *_at_least_0("announced", "extra", "awaited", "received", "inspected", "closed"),
        CheckConstraint("announced + extra = awaited + received + inspected + closed", name="every_unit_is_somewhere"),
        Index("ix_rma_line_consignment", "consignment_no", "number", "sku_no"),
        Index("ix_rma_line_awaited", "sku_no", **_where("awaited > 0")),
    )

    rma_no: int = _big(foreign_key="rma.no", primary_key=True)
    consignment_no: int = _big(foreign_key="consignment.no", primary_key=True)
    number: int = Field(primary_key=True)
    sku_no: int = _big(foreign_key="sku.no", primary_key=True)
    reason: str
    announced: int = _big(default=0)
    extra: int = _big(default=0)
    """Came without being announced, or after they were closed."""
    awaited: int = _big(default=0)
    received: int = _big(default=0)
    inspected: int = _big(default=0)
    closed: int = _big(default=0)


class RmaReceipt(SQLModel, table=True):
    """Units of a return that came to a node, and how many of them somebody has looked at; the others are quarantined there."""

    __tablename__ = "rma_receipt"
    __table_args__ = (
        CheckConstraint("inspected >= 0 AND inspected <= units", name="inspected_at_most_units"),
        Index("ix_rma_receipt_waiting", "sku_no", "node_no", **_where("units > inspected")),
    )

    rma_no: int = _big(foreign_key="rma.no", primary_key=True)
    consignment_no: int = _big(foreign_key="consignment.no", primary_key=True)
    number: int = Field(primary_key=True)
    sku_no: int = _big(foreign_key="sku.no", primary_key=True)
    node_no: int = _big(foreign_key="node.no", primary_key=True)
    units: int = _big()
    inspected: int = _big(default=0)


class Inspection(SQLModel, table=True):
    """Units that somebody looked at: how they are, what became of them, what is owed for them. Rows are only added."""

    __table_args__ = (
        *_at_least_0("goods_cents", "fee_cents"),
        CheckConstraint("units >= 1", name="units_at_least_1"),
        CheckConstraint("percent BETWEEN 0 AND 100", name="percent_in_bounds"),
        CheckConstraint("fee_cents <= goods_cents", name="fee_at_most_goods"),
        Index("ix_inspection_rma", "rma_no", "no"),
    )

    no: int | None = _counter()
    rma_no: int = _big(foreign_key="rma.no")
    consignment_no: int = _big(foreign_key="consignment.no")
    number: int
    sku_no: int = _big(foreign_key="sku.no")
    node_no: int = _big(foreign_key="node.no")
    at: int = _big()
    condition: str
    disposition: str
    units: int = _big()
    percent: int
    """Of the price."""
    goods_cents: int = _big()
    fee_cents: int = _big()


class Refund(SQLModel, table=True):
    """What a customer is owed, once for what was looked at, or for a consignment that was not collected. Rows are only added."""

    __table_args__ = (
        *_at_least_0("goods_cents", "fee_cents", "carriage_cents", "label_cents", "cents"),
        CheckConstraint("exchange_cents >= 0 OR goods_cents = 0", name="exchange_cents_at_least_0_of_goods"),
        CheckConstraint(
            "cents = goods_cents - fee_cents + carriage_cents - label_cents - exchange_cents", name="cents_add_up"
        ),
        CheckConstraint("rma_no IS NOT NULL OR consignment_no IS NOT NULL", name="of_a_return_or_a_consignment"),
        Index("ix_refund_rma", "rma_no", "no"),
        Index("ix_refund_lapsed", "consignment_no", unique=True, **_where("rma_no IS NULL")),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    order_no: int = _big(foreign_key="orders.no", index=True)
    rma_no: int | None = _big(default=None, foreign_key="rma.no")
    consignment_no: int | None = _big(default=None, foreign_key="consignment.no")
    """What came of it, or was not collected; of none is what an exchange does not need any more."""
    at: int = _big()
    why: str
    inspection_no: int = _big(default=0)
    """The last inspection that it counts."""
    goods_cents: int = _big()
    fee_cents: int = _big(default=0)
    carriage_cents: int = _big(default=0)
    label_cents: int = _big(default=0)
    exchange_cents: int = _big(default=0)
    """What is kept for an exchange; below 0 where that does not need it any more."""
    cents: int = _big()


class Hold(SQLModel, table=True):
    """A timed claim before there is an order; it ends once."""

    __table_args__ = (
        CheckConstraint("state IN ('held', 'converted', 'released', 'expired')", name="state_known"),
        Index("ix_hold_until", "until", **_where("state = 'held'")),
        Index("ix_hold_order", "order_no", **_where("order_no IS NOT NULL")),
    )

    id: str = Field(primary_key=True)
    channel: str = Field(foreign_key="channel.id")
    state: str = "held"
    placed_at: int = _big()
    until: int = _big()
    content: str
    order_no: int | None = _big(default=None, foreign_key="orders.no")


class HoldUnit(SQLModel, table=True):
    """What a hold holds."""

    __tablename__ = "hold_unit"
    __table_args__ = (
        CheckConstraint("units >= 1", name="units_at_least_1"),
        Index("ix_hold_unit_stock", "sku_no", "node_no"),
    )

    hold: str = Field(foreign_key="hold.id", primary_key=True)
    sku_no: int = _big(primary_key=True)
    node_no: int = _big(primary_key=True)
    units: int = _big()


class HoldAllotted(SQLModel, table=True):
    """What a hold counts against its channel's allotment of a SKU (of a kit itself, not of its parts) while it holds."""

    __tablename__ = "hold_allotted"
    __table_args__ = (CheckConstraint("units >= 1", name="units_at_least_1"),)

    hold: str = Field(foreign_key="hold.id", primary_key=True)
    sku_no: int = _big(primary_key=True)
    units: int = _big()


class Movement(SQLModel, table=True):
    """The ledger: every change of stock, and what made it. Rows are only added."""

    __table_args__ = (Index("ix_movement_stock", "sku_no", "node_no"),)

    no: int | None = _counter()
    at: int = _big()
    sku_no: int = _big()
    node_no: int = _big()
    on_hand: int = _big(default=0)
    reserved: int = _big(default=0)
    damaged: int = _big(default=0)
    quarantined: int = _big(default=0)
    cause: str
    ref: str


class Fact(SQLModel, table=True):
    """What happened: audit, outbox and history in one. Rows are only added.

    `tx` is the transaction that wrote it, where the database tells (else 0): numbers are given before they are committed, so the
    log is read by transaction, then number, up to the oldest transaction that still runs (`engine.log`).
    """

    __table_args__ = (Index("ix_fact_subject", "subject", "no"), Index("ix_fact_log", "tx", "no"))

    no: int | None = _counter()
    id: str = Field(unique=True)
    kind: str
    at: int = _big()
    subject: str
    """The order, node or SKU that it is about."""
    by: str = ""
    """Which key did it; empty for the engine itself."""
    content: str
    payload: str
    tx: int = _big(default=0)


class Remark(SQLModel, table=True):
    """Free text of a fact, apart from the log: people are named in it, so it can be erased."""

    __table_args__ = (Index("ix_remark_subject", "subject"), Index("ix_remark_at", "at"))

    fact: str = Field(primary_key=True)
    field: str = Field(primary_key=True)
    subject: str
    at: int = _big()
    text: str | None = Field(default=None, sa_column=_personal(nullable=True))


class Consumer(SQLModel, table=True):
    """How far a reader of the log has come."""

    name: str = Field(primary_key=True)
    fact_tx: int = _big(default=0)
    fact_no: int = _big(default=0)


class Wave(SQLModel, table=True):
    """One joint decision, and how good it is."""

    no: int | None = _counter()
    id: str = Field(unique=True)
    at: int = _big()
    until: int = _big()
    """When its orders are anybody's again; whoever still decides then has died."""
    state: str = "deciding"
    policy: str
    version: str
    seed: int = _big()
    orders: int = 0
    lines: int = 0
    changed: int = 0
    conflicts: int = 0
    cost_cents: int | None = _big(default=None)
    bound_cents: float | None = None
    before_cents: int | None = _big(default=None)
    """What the same orders cost as they were allocated before."""
    seconds: float | None = None
    ended_at: int | None = _big(default=None)
    note: str = ""


class Decision(SQLModel, table=True):
    """Why an order is served as it is. Rows are only added."""

    __table_args__ = (Index("ix_decision_order", "order_no", "no"),)

    no: int | None = _counter()
    order_no: int = _big(foreign_key="orders.no")
    wave: str
    """The wave, or '' at capture."""
    at: int = _big()
    policy: str
    version: str
    seed: int = _big()
    cost_cents: int = _big()
    bound_cents: float
    body: str
    """Parcels, bill, candidates and reasons, as JSON."""


class Shadow(SQLModel, table=True):
    """What another policy would have done with the same orders, and what that would have cost."""

    no: int | None = _counter()
    at: int = _big()
    ref: str = Field(index=True)
    """The order, or the wave."""
    policy: str
    cost_cents: int = _big()
    live: str
    live_cents: int = _big()
    body: str


class Rejection(SQLModel, table=True):
    """A node that refused an order's line: it does not get it again until then."""

    order_no: int = _big(foreign_key="orders.no", primary_key=True)
    node_no: int = _big(foreign_key="node.no", primary_key=True)
    times: int = 1
    until: int = _big()
    reason: str = Field(default="", sa_column=_personal(nullable=False))


class FeedMark(SQLModel, table=True):
    """The newest message of a feed about a SKU at a node: older ones come too late."""

    __tablename__ = "feed_mark"

    source: str = Field(primary_key=True)
    sku_no: int = _big(primary_key=True)
    node_no: int = _big(primary_key=True)
    sequence: int = _big()


class Idempotency(SQLModel, table=True):
    """The answer that a key was given, for the same answer again."""

    owner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request: str
    """Hash of method, path and body. `key` is a hash too: callers make keys of anything."""
    at: int = _big(index=True)
    until: int | None = _big(default=None)
    """While it is being answered: when somebody else may try."""
    status: int | None = None
    headers: str = Field(default="{}", sa_column=_personal(nullable=False, whole=True))
    body: str = Field(default="", sa_column=_personal(nullable=False, whole=True))


class ApiKey(SQLModel, table=True):
    """Who may do what. The key itself is nowhere, only its hash."""

    __tablename__ = "api_key"

    id: str = Field(primary_key=True)
    hash: str = Field(unique=True)
    name: str
    scopes: list[str] = Field(sa_type=JSON)
    node: str | None = None
    created_at: int = _big()
    expires_at: int | None = _big(default=None)
    revoked_at: int | None = _big(default=None)


class Timer(SQLModel, table=True):
    """When something that happens again and again last began, so that of many processes one begins it."""

    name: str = Field(primary_key=True)
    at: int = _big()


class Job(SQLModel, table=True):
    """Long work: imports, solving a large wave. A worker that dies loses its lease, and another goes on."""

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="state_known"),
        Index("ix_job_waiting", "state", "no"),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    kind: str
    state: str = "waiting"
    by: str = ""
    created_at: int = _big()
    started_at: int | None = _big(default=None)
    ended_at: int | None = _big(default=None)
    leased_by: str | None = None
    leased_until: int | None = _big(default=None)
    tries: int = 0
    done: int = 0
    total: int = 0
    failed: int = 0
    input: bytes = Field(sa_column=_personal(LargeBinary, nullable=False))
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    result: bytes | None = Field(default=None, sa_column=_personal(LargeBinary))
    errors: str = Field(default="", sa_column=_personal(nullable=False))
    """One line of JSON for each line of input that was refused."""
    note: str = Field(default="", sa_column=_personal(nullable=False))


class OrderBill(SQLModel, table=True):
    """What an order costs beside the prices of its lines, as the caller said it last."""

    __tablename__ = "order_bill"
    __table_args__ = (*_at_least_0("carriage_cents"),)

    order_no: int = _big(foreign_key="orders.no", primary_key=True)
    carriage_cents: int = _big(default=0)
    taxes: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    """Line (0: carriage), rate in hundredths of a percent, cents, and the units that these are of."""


CHARGE_KINDS = ("shipment", "refund", "shortfall")


class Charge(SQLModel, table=True):
    """What the customer is to pay for a shipment, or is to get back by a refund. Rows are only added.

    A `shortfall` is to be paid because less came back than an exchange was credited with.
    """

    __table_args__ = (
        *_at_least_0("goods_cents", "carriage_cents", "tax_cents", "kept_cents", "passed_cents", "cents"),
        CheckConstraint("set_off_cents >= 0 OR goods_cents = 0", name="set_off_cents_at_least_0_of_goods"),
        CheckConstraint(f"kind IN ({', '.join(map(repr, CHARGE_KINDS))})", name="kind_known"),
        CheckConstraint(
            "cents + kept_cents + set_off_cents + passed_cents = goods_cents + carriage_cents "
            "+ CASE WHEN gross THEN 0 ELSE tax_cents END",
            name="adds_up",
        ),
        Index("ix_charge_order", "order_no"),
    )

    no: int | None = _counter()
    ref: str = Field(unique=True)
    """The consignment, or the fact that says what is owed, or withdrawn."""
    kind: str
    order_no: int = _big(foreign_key="orders.no")
    at: int = _big()
    gross: bool
    """Whether prices have the tax in them."""
    goods_cents: int = _big()
    carriage_cents: int = _big()
    tax_cents: int = _big()
    kept_cents: int = _big(default=0)
    """Fees, and carriage back, that are kept of a refund."""
    set_off_cents: int = _big(default=0)
    """What is kept of a refund for an exchange, or paid of its shipments by that; below 0 where it is not any more."""
    passed_cents: int = _big(default=0)
    """What of a refund was paid by another return, and is owed there."""
    cents: int = _big()
    """What is to be captured, or refunded."""
    body: str
    """Its lines, as JSON."""


PAYMENT_STATES = ("wanted", "authorised", "declined")


class Payment(SQLModel, table=True):
    """Money that a provider keeps for an order: taken as parcels leave, and given back. No card number is here, only a token."""

    __table_args__ = (
        *_at_least_0("authorised_cents", "captured_cents", "refunded_cents", "voided_cents"),
        CheckConstraint("cents >= 1 AND authorised_cents <= cents", name="authorised_at_most_asked"),
        CheckConstraint("captured_cents + voided_cents <= authorised_cents", name="captured_at_most_authorised"),
        CheckConstraint("refunded_cents <= captured_cents", name="refunded_at_most_captured"),
        CheckConstraint(f"state IN ({', '.join(map(repr, PAYMENT_STATES))})", name="state_known"),
        CheckConstraint("state = 'authorised' OR authorised_cents = 0", name="authorised_has_its_state"),
        Index("ix_payment_order", "order_no"),
        Index("ix_payment_expires", "expires_at", **_where("captured_cents + voided_cents < authorised_cents")),
        Index("ix_payment_token", "at", **_where("token <> ''")),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    order_no: int = _big(foreign_key="orders.no")
    provider: str
    token: str
    """What the provider knows how to pay by, sealed; empty once it is forgotten."""
    currency: str
    cents: int = _big()
    """What was asked for."""
    state: str = "wanted"
    authorised_cents: int = _big(default=0)
    captured_cents: int = _big(default=0)
    refunded_cents: int = _big(default=0)
    voided_cents: int = _big(default=0)
    reference: str | None = None
    """What the provider calls it."""
    often: bool = False
    """Whether it can be captured more than once; where not, the rest is voided with the first capture."""
    expires_at: int | None = _big(default=None)
    at: int = _big()
    why: str = ""


class PaymentStep(SQLModel, table=True):
    """A call to a provider: a row first, then the call with the row's id as its key, then the row says how it went."""

    __tablename__ = "payment_step"
    __table_args__ = (
        *_at_least_0("tries"),
        CheckConstraint("cents >= 1", name="cents_at_least_1"),
        CheckConstraint("kind IN ('authorise', 'capture', 'void', 'refund')", name="kind_known"),
        CheckConstraint("state IN ('wanted', 'done', 'refused', 'lost')", name="state_known"),
        CheckConstraint("(state = 'wanted') = (done_at IS NULL)", name="ended_has_its_time"),
        Index("ix_payment_step_payment", "payment_no", "no"),
        Index("ix_payment_step_waiting", "next_at", **_where("state = 'wanted'")),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    payment_no: int = _big(foreign_key="payment.no")
    kind: str
    cents: int = _big()
    charge: str = ""
    """What a capture or a refund is for: `charge.ref`."""
    state: str = "wanted"
    tries: int = 0
    next_at: int = _big()
    at: int = _big()
    asked_at: int | None = _big(default=None)
    """When its provider was first asked."""
    done_at: int | None = _big(default=None)
    why: str = ""


class PaymentException(SQLModel, table=True):
    """Money that could not be taken or given back: somebody has to look at it. Gone once it is settled."""

    __tablename__ = "payment_exception"
    __table_args__ = (CheckConstraint("cents >= 1", name="cents_at_least_1"),)

    order_no: int = _big(foreign_key="orders.no", primary_key=True)
    ref: str = Field(primary_key=True)
    """The charge, the payment, or the step that nobody answered for."""
    why: str
    cents: int = _big()
    at: int = _big()


class GatewayEntry(SQLModel, table=True):
    """The ledger of the embedded payment provider: what it was asked for, by key."""

    __tablename__ = "gateway_entry"
    __table_args__ = (Index("ix_gateway_entry_reference", "reference"),)

    key: str = Field(primary_key=True)
    reference: str
    kind: str
    cents: int = _big()
    answer: str
    """What was answered, as JSON."""


class InvoiceSeries(SQLModel, table=True):
    """The last number of a series in a year. It is counted in the transaction of the invoice, so that no number is missing."""

    __tablename__ = "invoice_series"

    series: str = Field(primary_key=True)
    year: int = Field(primary_key=True)
    last: int = _big()


class Invoice(SQLModel, table=True):
    """An invoice of a shipment, or a credit note of a refund. Rows are only added."""

    __table_args__ = (
        CheckConstraint("kind IN ('invoice', 'credit_note')", name="kind_known"),
        CheckConstraint("number >= 1", name="number_at_least_1"),
        UniqueConstraint("series", "year", "number", name="uq_invoice_series_year_number"),
        Index("ix_invoice_order", "order_no"),
        Index("ix_invoice_issued", "issued_at", "no"),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    kind: str
    series: str
    year: int
    number: int = _big()
    order_no: int = _big(foreign_key="orders.no")
    charge_no: int = _big(foreign_key="charge.no", unique=True)
    issued_at: int = _big()
    currency: str
    net_cents: int = _big()
    tax_cents: int = _big()
    cents: int = _big()
    body: str
    """Who issued it, its lines and taxes, and which invoices it corrects, as JSON."""


class Webhook(SQLModel, table=True):
    """Where another system wants to be told of events. No `types`: of all of them."""

    __table_args__ = (CheckConstraint("disabled IN ('', 'by_hand', 'failing', 'gone')", name="disabled_known"),)

    id: str = Field(primary_key=True)
    url: str
    types: list[str] = Field(default_factory=list, sa_type=JSON)
    description: str = Field(default="", sa_column=_personal(nullable=False))
    disabled: str = ""
    """Why nothing is sent; empty where it is."""
    failing_since: int | None = _big(default=None)
    """When the first try failed of those that have failed since the last that did not."""
    failures: int = 0
    """Tries in a row that failed."""
    rests_until: int = _big(default=0)
    """Nothing is tried until then: too much failed in a row."""
    created_at: int = _big()
    version: int = 1


class WebhookSecret(SQLModel, table=True):
    """What signs the deliveries of a webhook, sealed; until then, where a newer one takes its place."""

    __tablename__ = "webhook_secret"

    no: int | None = _counter()
    webhook: str = Field(foreign_key="webhook.id", index=True)
    sealed: str
    created_at: int = _big()
    until: int | None = _big(default=None)


class Told(SQLModel, table=True):
    """What was told of an order, a SKU or a webhook: the number of its last event, and what later ones depend on."""

    subject: str = Field(primary_key=True)
    sequence: int = _big(default=0)
    held: bool = False
    """Whether the order was held for review when it came in, and is not confirmed yet."""
    day: int | None = None
    """The latest day of arrival that was told."""
    low: bool = False
    """Whether the SKU is known to be low."""


class Event(SQLModel, table=True):
    """Something that others are told. `sequence` counts the events of its subject, without holes."""

    __table_args__ = (
        UniqueConstraint("subject", "sequence", name="uq_event_subject_sequence"),
        Index("ix_event_made", "made_at"),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    type: str
    subject: str
    sequence: int = _big()
    at: int = _big()
    """When it happened."""
    made_at: int = _big()
    fact: str
    """The fact that it comes from; empty for one that is asked for."""
    data: str
    """JSON, as the engine has it (`engine.events`)."""


class Delivery(SQLModel, table=True):
    """An event on its way to a webhook, or there, or given up (dead). Of a subject, one waits for those before it."""

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'delivered', 'dead')", name="state_known"),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended_has_a_time"),
        *_at_least_0("tries", "replays"),
        Index("ix_delivery_waiting", "webhook", "subject", "event_no", **_where("state = 'waiting'")),
        Index("ix_delivery_due", "webhook", "next_at", "event_no", **_where("state = 'waiting'")),
        Index("ix_delivery_event", "event_no"),
    )

    webhook: str = Field(foreign_key="webhook.id", primary_key=True)
    event_no: int = _big(foreign_key="event.no", primary_key=True)
    subject: str
    state: str = "waiting"
    tries: int = 0
    """Since it was asked for last."""
    replays: int = 0
    """How often it was asked for again."""
    next_at: int = _big()
    leased_by: str | None = None
    leased_until: int | None = _big(default=None)
    ended_at: int | None = _big(default=None)


class Attempt(SQLModel, table=True):
    """One try to deliver: what was answered (`code`), or why nothing was."""

    __table_args__ = (Index("ix_attempt_delivery", "webhook", "event_no", "no"), Index("ix_attempt_event", "event_no"))

    no: int | None = _counter()
    webhook: str
    event_no: int = _big()
    at: int = _big()
    ms: int
    code: int | None = None
    error: str = ""


class Notice(SQLModel, table=True):
    """A message to a recipient about an event; who and where that is, and what it says, is looked up when it is sent."""

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'skipped', 'dead')", name="state_known"),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended_has_a_time"),
        Index("ix_notice_due", "next_at", "event_no", **_where("state = 'waiting'")),
        Index("ix_notice_recipient", "recipient", "event_no"),
    )

    event_no: int = _big(foreign_key="event.no", primary_key=True)
    recipient: str
    state: str = "waiting"
    why: str = ""
    tries: int = 0
    next_at: int = _big()
    leased_by: str | None = None
    leased_until: int | None = _big(default=None)
    ended_at: int | None = _big(default=None)


class OptOut(SQLModel, table=True):
    """What a recipient does not want to be told; '' is everything."""

    __tablename__ = "opt_out"

    recipient: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    at: int = _big()


class Connection(SQLModel, table=True):
    """A shop elsewhere that sells on one of our channels: it sends its orders, and is told what it may sell."""

    __table_args__ = (CheckConstraint("push_tries >= 0", name="push_tries_at_least_0"),)

    id: str = Field(primary_key=True)
    kind: str
    """What it is: `shopify`, say (`api.channels`)."""
    channel: str = Field(foreign_key="channel.id", unique=True)
    account: str
    """Its name there: the shop's domain, the seller's id."""
    secrets: str = ""
    """Sealed: what it signs with, and what it lets us in by."""
    arrangement: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    active: bool = True
    push_at: int = _big(default=0)
    """When it is told levels again, at the earliest; whoever does so moves it first, so that nobody else does."""
    push_tries: int = 0
    """Times in a row that it could not be told."""
    push_problem: str = ""
    version: int = 1


class ChannelItem(SQLModel, table=True):
    """What a connection calls a SKU, and how many of it it was told that it may sell."""

    __tablename__ = "channel_item"
    __table_args__ = (Index("ix_channel_item_sku", "sku_no"),)

    connection: str = Field(foreign_key="connection.id", primary_key=True)
    external_sku: str = Field(primary_key=True)
    sku_no: int = _big(foreign_key="sku.no")
    ref: str = ""
    """What it is told levels by, as its kind has it; without, it is not told."""
    pushed: int | None = _big(default=None)
    pushed_at: int | None = _big(default=None)
    retry_at: int = _big(default=0)
    """Not told before: what it has is not what we thought, or it refuses."""
    problem: str = ""


class ChannelOrder(SQLModel, table=True):
    """An order as its connection last said it. Without an order of ours: nothing of it is ours to do yet, or any more."""

    __tablename__ = "channel_order"

    connection: str = Field(foreign_key="connection.id", primary_key=True)
    external_id: str = Field(primary_key=True)
    order_no: int | None = _big(default=None, foreign_key="orders.no", unique=True)
    said_at: int = _big(default=0)
    """When the newest state was that we have heard of, by its clock; what is older is not applied."""
    sent_at: int = _big(default=0)
    """When that was sent, of several at the same moment."""
    applied: int = 0
    """How often anything of it was applied: what facts made of it are told apart by."""
    destination: str = ""
    """Where it goes, as it was said and done."""
    said: str = ""
    """The newest state, without personal data, while something of it is not done."""
    waiting: str = ""
    """Changes that came before the order itself did."""


class ChannelLine(SQLModel, table=True):
    """A line as its connection calls it: `asked` units that it wants, `undone` that it gave up too late."""

    __tablename__ = "channel_line"
    __table_args__ = (
        *_at_least_0("asked", "undone", "elsewhere"),
        UniqueConstraint("order_no", "number", name="uq_channel_line_order_no_number"),
        Index("ix_channel_line_undone", "order_no", **_where("undone > 0")),
    )

    order_no: int = _big(foreign_key="orders.no", primary_key=True)
    ref: str = Field(primary_key=True)
    number: int
    asked: int = _big()
    undone: int = _big(default=0)
    elsewhere: int = _big(default=0)
    """Units that somebody else shipped, by what the connection says."""


class ChannelParcel(SQLModel, table=True):
    """A consignment that has left, of which its channel is told."""

    __tablename__ = "channel_parcel"
    __table_args__ = (
        *_at_least_0("tries"),
        CheckConstraint("state IN ('waiting', 'told', 'refused')", name="state_known"),
        Index("ix_channel_parcel_waiting", "next_at", **_where("state = 'waiting'")),
    )

    consignment_no: int = _big(foreign_key="consignment.no", primary_key=True)
    connection: str = Field(foreign_key="connection.id")
    state: str = "waiting"
    tries: int = 0
    next_at: int = _big()
    """When it may be told again: not while somebody does."""
    problem: str = ""


class ChannelEvent(SQLModel, table=True):
    """A message of a connection, so that the same again has no second effect."""

    __tablename__ = "channel_event"

    connection: str = Field(foreign_key="connection.id", primary_key=True)
    id: str = Field(primary_key=True)
    at: int = _big(index=True)
    topic: str
    external_id: str = ""
    outcome: str


class ChannelIssue(SQLModel, table=True):
    """Something that a connection said and that could not be done: for people to look at. Nothing personal is in it."""

    __tablename__ = "channel_issue"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'settled')", name="state_known"),
        UniqueConstraint("connection", "external_id", "code", "place", name="uq_channel_issue_what"),
        Index("ix_channel_issue_state", "state", "no"),
    )

    no: int | None = _counter()
    id: str = Field(unique=True)
    connection: str = Field(foreign_key="connection.id")
    external_id: str = ""
    code: str
    place: str
    detail: str
    state: str = "open"
    at: int = _big()
    times: int = 1
    settled_at: int | None = _big(default=None)
    settled_by: str = ""
    """The key of who settled it; empty where what was said later did."""


class PostalArea(SQLModel, table=True):
    """Where a postal area is, about: for places that are said without coordinates. The area '' is the whole country."""

    __tablename__ = "postal_area"
    __table_args__ = (CheckConstraint("lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180", name="on_earth"),)

    country: str = Field(primary_key=True)
    area: str = Field(primary_key=True)
    lat: float
    lon: float
    region: str = ""


APPEND_ONLY = ("movement", "fact", "decision", "inspection", "refund", "charge", "invoice")
"""Tables whose rows are never changed or deleted; triggers see to it."""


def _default_in_the_database_too() -> None:
    """What a row has where nothing is said holds for statements as well, not only for objects."""
    for table in SQLModel.metadata.tables.values():
        for column in table.columns:
            default = column.default
            if isinstance(default, ScalarElementColumnDefault) and column.server_default is None:
                value = default.arg
                spelt = str(value).lower() if isinstance(value, bool) else repr(value)
                column.server_default = DefaultClause(text(spelt))
                column.server_default._set_parent(column)


_default_in_the_database_too()
