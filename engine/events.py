"""Events: what of the log is told to other systems and to customers, each once, numbered by what it is about.

The relay reads facts behind where it has come to, makes events of them, a delivery for each webhook that wants them and a notice
for the order's recipient, and notes how far it is: one transaction, so that whatever dies in between, nothing is lost and
nothing is told twice. Events hold ids and no personal data.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from engine.calendar import MS_PER_DAY
from engine.database import Rows, Tx, decoded
from engine.entries import read_setting, write_setting
from engine.facts import Level, LineUnits, Name, short_id
from engine.log import Entry, Position, advance, read_log
from solver.refusal import Refusal

CONSUMER = "events"
TOGETHER = 200
"""Facts that are read in one transaction, at most."""
FRESH = 2 * MS_PER_DAY
"""Milliseconds after which customers are not told any more of what happened."""
THRESHOLDS = "thresholds"
"""The setting that says when stock is low."""
_EVERYWHERE = ("NodePaused", "NodeResumed", "NetworkLoaded")
"""Facts after which any SKU may be low."""


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When stock is low: with so many units available or fewer. Nobody is told where nothing is said."""

    units: Level | None = None
    """Of every SKU that is not among `skus`."""
    skus: Annotated[dict[Name, Level], Meta(max_length=10_000)] = {}

    def of(self, sku: str) -> int | None:
        """Units with which a SKU is low."""
        return self.skus.get(sku, self.units)


# --- what events say --------------------------------------------------------------------------------------------------


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says."""


class AboutOrder(Data, frozen=True, kw_only=True):
    """An order, by our id and by its channel's."""

    order: str
    channel: str
    external_id: str


class LineTold(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an order."""

    line: int
    sku: str
    units: int


class Confirmed(AboutOrder, frozen=True, kw_only=True):
    """An order was taken in, and is not held for review, or not any more."""

    lines: tuple[LineTold, ...]


class ParcelTold(msgspec.Struct, frozen=True, kw_only=True):
    """What is to leave a node by a service; '' is collected there."""

    node: str
    service: str
    arrives_day: int
    lines: tuple[LineUnits, ...]


class AllocatedTo(AboutOrder, frozen=True, kw_only=True):
    """Units of an order were tied to nodes: all of what it has now. It may change until it is released."""

    promise_day: int | None
    open: int
    parcels: tuple[ParcelTold, ...]


class Delayed(AboutOrder, frozen=True, kw_only=True):
    """An order arrives later than was told before."""

    promise_day: int
    """The day that was told before."""
    arrives_day: int


class Cancelled(AboutOrder, frozen=True, kw_only=True):
    """Units of an order were cancelled: those of `lines`, or, where there are none, all that was not released."""

    lines: tuple[LineUnits, ...]


class Moved(AboutOrder, frozen=True, kw_only=True):
    """A consignment went a step further: it was shipped, is out for delivery, can be collected, or was delivered."""

    consignment: str
    node: str
    collect: str | None
    """The node where it is collected."""
    service: str
    tracking: str | None
    until: int | None
    """When it must be collected by."""
    lines: tuple[LineUnits, ...]


class Returned(AboutOrder, frozen=True, kw_only=True):
    """A return was approved, or units came back."""

    rma: str | None
    consignment: str | None
    lines: tuple[LineUnits, ...]


class RefundDue(AboutOrder, frozen=True, kw_only=True):
    """Money is owed to the customer."""

    rma: str | None
    consignment: str | None
    refund_cents: int


class StockLow(Data, frozen=True, kw_only=True):
    """A SKU has as many units as its threshold says, or fewer. Told again once it had more in between."""

    sku: str
    available: int
    """On hand less reserved and safety, at nodes that work."""
    threshold: int


class Tested(Data, frozen=True, kw_only=True):
    """Somebody asked for this event, to see whether it arrives."""

    webhook: str


TEST = "webhook.test"
EVENTS: Mapping[str, type[Data]] = {
    "order.confirmed": Confirmed,
    "order.allocated": AllocatedTo,
    "order.delayed": Delayed,
    "order.cancelled": Cancelled,
    "order.shipped": Moved,
    "order.ready_for_pickup": Moved,
    "order.out_for_delivery": Moved,
    "order.delivered": Moved,
    "return.approved": Returned,
    "return.received": Returned,
    "refund.owed": RefundDue,
    "stock.low": StockLow,
    TEST: Tested,
}
"""What each type of event says."""


def put_thresholds(tx: Tx, thresholds: Thresholds, at: int, by: str = "") -> int:
    """Say when stock is low; returns whether that differs from what was said.

    Raises
    ------
    Refusal
        `unknown_sku`, or `bad_input` for a kit, which has no stock of its own.
    """
    found = dict(_by_id(tx, "SELECT s.id, s.is_kit FROM {rows} JOIN sku s ON s.id = rows.id", thresholds.skus))
    for sku in sorted(thresholds.skus):
        if sku not in found:
            raise Refusal("skus", f"there is no SKU {sku!r}", "unknown_sku")
        if found[sku]:
            raise Refusal("skus", f"{sku!r} is a kit and has no stock of its own; name its parts", "bad_input")
    return write_setting(tx, THRESHOLDS, msgspec.to_builtins(thresholds), at, by)


# --- the relay --------------------------------------------------------------------------------------------------------


def listen(tx: Tx) -> None:
    """Have events made of what is written down from now on, if they are not made already."""
    behind = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1" if tx.dialect == "postgresql" else "0"
    tx.run(
        f"INSERT INTO consumer (name, fact_tx, fact_no) SELECT :name, {behind}, COALESCE(MAX(no), 0) FROM fact "
        "WHERE true ON CONFLICT (name) DO UPDATE SET fact_no = consumer.fact_no",
        name=CONSUMER,
    )


def has_news(tx: Tx, notify: Collection[str] = ()) -> bool:
    """Whether the relay has anything to do: a look that writes nothing."""
    heard = bool(notify) or tx.first("SELECT 1 FROM webhook LIMIT 1") is not None
    found = tx.first("SELECT fact_tx, fact_no FROM consumer WHERE name = :name", name=CONSUMER)
    if not heard or found is None:
        return heard != (found is not None)
    return bool(read_log(tx, Position(*found), 1))


def relay(tx: Tx, at: int, notify: Collection[str] = ()) -> int:
    """Make events of the next facts of the log.

    Where there is no webhook and customers are told nothing, nobody listens: no events are made, and later ones begin with what is
    written down from then on.

    Parameters
    ----------
    at
        Milliseconds, now.
    notify
        Types of events of which customers are told.

    Returns
    -------
    int
        How many facts were read; 0 where nothing is left to read.
    """
    found = tx.first("SELECT fact_tx, fact_no FROM consumer WHERE name = :name" + tx.locking, name=CONSUMER)
    webhooks = _webhooks(tx)
    if not webhooks and not notify:
        tx.run("DELETE FROM consumer WHERE name = :name", name=CONSUMER)
        return 0
    if found is None:
        listen(tx)
        return 0
    entries = read_log(tx, Position(*found), TOGETHER)
    if entries:
        said = [decoded(entry.payload) for entry in entries]
        telling = _Telling(tx, entries, said)
        for entry, what in zip(entries, said, strict=True):
            if entry.kind in HEARD:
                HEARD[entry.kind](telling, entry, what)
        _look_at_stock(tx, telling, entries, said)
        _write(tx, telling, at, webhooks, notify)
        advance(tx, CONSUMER, entries[-1].position)
    return len(entries)


def try_out(tx: Tx, at: int, webhook: str) -> str:
    """Make an event for one webhook alone, to see whether it arrives; returns its id."""
    telling = _Telling(tx, [], [])
    telling.read([webhook])
    telling.tell(TEST, webhook, at, "", Tested(webhook=webhook))
    _write(tx, telling, at, [_Hears(webhook)], ())
    return telling.made[0].id


def forget(tx: Tx, before: int, limit: int = 1000) -> int:
    """Delete the oldest events made before then, with their deliveries and notices; says how many there were."""
    found = tx.all("SELECT no FROM event WHERE made_at < :before ORDER BY no LIMIT :limit", before=before, limit=limit)
    if found:
        rows = Rows(no=[no for (no,) in found])
        lock_deliveries(tx, "d.event_no IN (SELECT no FROM {rows})", rows)
        for table in ("attempt", "delivery", "notice"):
            tx.run(f"DELETE FROM {table} WHERE event_no IN (SELECT no FROM {{rows}})", rows)
        tx.run("DELETE FROM event WHERE no IN (SELECT no FROM {rows})", rows)
    return len(found)


def lock_deliveries(tx: Tx, which: str, rows: Rows | None = None, **values: Any) -> None:
    """Lock deliveries (`d`) in the order that everybody keeps, before many of them are changed; after their webhooks, if at all."""
    if tx.locking:
        these = f"SELECT 1 FROM delivery d WHERE {which} ORDER BY d.webhook, d.event_no{tx.locking}"
        tx.value(f"SELECT COUNT(*) FROM ({these}) AS locked", rows, **values)


@dataclass(frozen=True, slots=True)
class _Hears:
    """A webhook, and the types of events it wants; none is all."""

    id: str
    types: frozenset[str] = frozenset()
    disabled: bool = False

    def wants(self, type: str) -> bool:
        return not self.disabled and (not self.types or type in self.types)


@dataclass(slots=True)
class _Subject:
    """What was told of a subject."""

    sequence: int = 0
    held: bool = False
    day: int | None = None
    low: bool = False


@dataclass(frozen=True, slots=True)
class _Order:
    channel: str
    external_id: str
    recipient: str | None
    reviewed: bool
    """Whether orders of its channel are held for review."""


@dataclass(frozen=True, slots=True)
class _Consignment:
    order: str
    node: str
    collect: str | None
    service: str
    tracking: str | None


@dataclass(frozen=True, slots=True)
class _Made:
    """An event that was made."""

    id: str
    type: str
    subject: str
    sequence: int
    at: int
    fact: str
    data: Data


@dataclass
class _Telling:
    """What is told of some facts, and what must be known for it.

    Attributes
    ----------
    subjects
        What was told of them.
    changed
        Those of which something is told now, or remembered for later.
    """

    tx: Tx
    entries: Sequence[Entry]
    said: Sequence[Mapping[str, Any]]
    made: list[_Made] = field(default_factory=list)
    subjects: dict[str, _Subject] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)
    orders: dict[str, _Order] = field(default_factory=dict)
    consignments: dict[str, _Consignment] = field(default_factory=dict)
    lines: dict[str, tuple[LineUnits, ...]] = field(default_factory=dict)
    rmas: dict[str, str] = field(default_factory=dict)
    """The orders of returns."""

    def __post_init__(self) -> None:
        if not self.entries:
            return
        named = sorted({what["consignment"] for what in self.said if what.get("consignment")})
        self.consignments, self.lines = _consignments(self.tx, named)
        self.rmas = _rmas(self.tx, self.said)
        ids = {self.order_of(entry, what) for entry, what in zip(self.entries, self.said, strict=True)} - {""}
        self.orders = _orders(self.tx, ids)
        self.read(self.orders)

    def read(self, subjects: Iterable[str]) -> None:
        """Read what was told of these."""
        found = _by_id(
            self.tx,
            "SELECT t.subject, t.sequence, t.held, t.day, t.low FROM {rows} JOIN told t ON t.subject = rows.id",
            {*subjects} - self.subjects.keys(),
        )
        for subject, sequence, held, day, low in found:
            self.subjects[subject] = _Subject(sequence, bool(held), day, bool(low))

    def order_of(self, entry: Entry, said: Mapping[str, Any]) -> str:
        """The order that a fact is about; empty where there is none."""
        if entry.kind == "OrderPlaced":
            return entry.subject
        if said.get("order"):
            return str(said["order"])
        consignment = self.consignments.get(said.get("consignment") or "")
        return consignment.order if consignment else self.rmas.get(said.get("rma") or "", "")

    def subject(self, id: str) -> _Subject:
        """What was told of it; what becomes of that is remembered."""
        self.changed[id] = None
        return self.subjects.setdefault(id, _Subject())

    def tell(self, type: str, subject: str, at: int, fact: str, data: Data) -> None:
        """Make an event, the next of its subject."""
        told = self.subject(subject)
        told.sequence += 1
        id = short_id("evt", type, fact, subject, str(told.sequence))
        self.made.append(_Made(id, type, subject, told.sequence, at, fact, data))

    def tell_of_order(self, type: str, order: str, entry: Entry, **data: Any) -> None:
        """Make an event of an order that there is."""
        about = self.orders.get(order)
        if about is not None:
            own = EVENTS[type](order=order, channel=about.channel, external_id=about.external_id, **data)
            self.tell(type, order, entry.at, entry.id, own)


def _placed(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
    order = telling.orders.get(entry.subject)
    if order is not None and (said.get("review") or order.reviewed):
        telling.subject(entry.subject).held = True
    else:
        _confirm(telling, entry.subject, entry)


def _confirm(telling: _Telling, order: str, entry: Entry) -> None:
    found = telling.tx.all(
        "SELECT l.number, s.id, l.qty - l.cancelled FROM order_line l JOIN orders o ON o.no = l.order_no "
        "JOIN sku s ON s.no = l.sku_no WHERE o.id = :order AND l.qty > l.cancelled ORDER BY l.number",
        order=order,
    )
    lines = tuple(LineTold(line=number, sku=sku, units=units) for number, sku, units in found)
    telling.tell_of_order("order.confirmed", order, entry, lines=lines)


def _go_on(telling: _Telling, order: str, entry: Entry) -> _Subject:
    """What was told of an order that is not held, or not any more: one that was is confirmed first."""
    told = telling.subject(order)
    if told.held:
        told.held = False
        _confirm(telling, order, entry)
    return told


def _reviewed(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
    if said["accepted"]:
        _go_on(telling, said["order"], entry)
    else:
        telling.tell_of_order("order.cancelled", said["order"], entry, lines=())


def _cancelled(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
    telling.tell_of_order("order.cancelled", said["order"], entry, lines=_units(said.get("lines") or ()))


def _edited(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
    if said.get("promise_day") is not None:  # another day was asked for: the next allocation promises anew
        telling.subject(said["order"]).day = None


def _allocated(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
    order, parcels = said["order"], said["parcels"]
    told = _go_on(telling, order, entry)
    if not parcels:
        return
    telling.tell_of_order(
        "order.allocated", order, entry, promise_day=said.get("promise_day"), open=said.get("open", 0),
        parcels=tuple(
            ParcelTold(node=one["node"], service=one.get("service", ""), arrives_day=one["arrives_day"],
                       lines=_units(one["lines"]))
            for one in parcels
        ),
    )  # fmt: skip
    promised = said.get("promise_day")
    arrives = max(one["arrives_day"] for one in parcels)
    if told.day is None:
        told.day = arrives if promised is None else promised
    latest = max(arrives, told.day if promised is None else promised)
    if latest > told.day:
        telling.tell_of_order("order.delayed", order, entry, promise_day=told.day, arrives_day=latest)
        told.day = latest


def _moved(type: str) -> Callable[[_Telling, Entry, Mapping[str, Any]], None]:
    def tell(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
        one = telling.consignments.get(said["consignment"])
        if one is not None:
            telling.tell_of_order(
                type, one.order, entry, consignment=said["consignment"], node=one.node, collect=one.collect,
                service=one.service, tracking=said.get("tracking") or one.tracking, until=said.get("until"),
                lines=telling.lines.get(said["consignment"], ()),
            )  # fmt: skip

    return tell


def _returned(type: str) -> Callable[[_Telling, Entry, Mapping[str, Any]], None]:
    def tell(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
        units: dict[int, int] = defaultdict(int)
        for one in said.get("units") or said.get("lines") or ():
            units[one["line"]] += one.get("units", 0)
        telling.tell_of_order(
            type, telling.order_of(entry, said), entry, rma=said.get("rma"), consignment=said.get("consignment"),
            lines=tuple(LineUnits(line=line, units=count) for line, count in sorted(units.items())),
        )  # fmt: skip

    return tell


def _refund(telling: _Telling, entry: Entry, said: Mapping[str, Any]) -> None:
    if not said["cents"]:
        return  # an exchange or a fee has all of it
    telling.tell_of_order(
        "refund.owed", telling.order_of(entry, said), entry, rma=said.get("rma"), consignment=said.get("consignment"),
        refund_cents=said["cents"],
    )  # fmt: skip


HEARD: Mapping[str, Callable[[_Telling, Entry, Mapping[str, Any]], None]] = {
    "OrderPlaced": _placed,
    "OrderReviewed": _reviewed,
    "OrderEdited": _edited,
    "OrderCancelled": _cancelled,
    "Allocated": _allocated,
    "Shipped": _moved("order.shipped"),
    "ReadyForPickup": _moved("order.ready_for_pickup"),
    "OutForDelivery": _moved("order.out_for_delivery"),
    "Delivered": _moved("order.delivered"),
    "ReturnApproved": _returned("return.approved"),
    "ReturnReceived": _returned("return.received"),
    "RefundOwed": _refund,
}
"""What is told of a fact, by its kind."""


def _by_id(tx: Tx, sql: str, ids: Collection[str]) -> list[tuple[Any, ...]]:
    """The rows of a query for ids, none where there are none."""
    return tx.all(sql, Rows(id=sorted(ids))) if ids else []


def _units(lines: Iterable[Mapping[str, Any]]) -> tuple[LineUnits, ...]:
    return tuple(LineUnits(line=one["line"], units=one["units"]) for one in lines)


def _webhooks(tx: Tx) -> list[_Hears]:
    """Every webhook; one that is disabled hears of nothing. They stay until the transaction ends."""
    stays = " FOR KEY SHARE" if tx.dialect == "postgresql" else ""
    found = tx.all("SELECT id, types, disabled FROM webhook ORDER BY id" + stays)
    return [_Hears(id, frozenset(decoded(types)), bool(disabled)) for id, types, disabled in found]


def _orders(tx: Tx, ids: Collection[str]) -> dict[str, _Order]:
    found = _by_id(
        tx,
        "SELECT o.id, o.channel, o.external_id, o.recipient, c.review FROM {rows} JOIN orders o ON o.id = rows.id "
        "JOIN channel c ON c.id = o.channel",
        ids,
    )
    return {
        id: _Order(channel, external, recipient, bool(review)) for id, channel, external, recipient, review in found
    }


def _consignments(tx: Tx, ids: Sequence[str]) -> tuple[dict[str, _Consignment], dict[str, tuple[LineUnits, ...]]]:
    """Consignments, and the units of lines that are in them."""
    found = _by_id(
        tx,
        "SELECT k.id, o.id, n.id, c.id, k.service, k.tracking FROM {rows} JOIN consignment k ON k.id = rows.id "
        "JOIN orders o ON o.no = k.order_no JOIN node n ON n.no = k.node_no LEFT JOIN node c ON c.no = k.collect_no",
        ids,
    )
    units = _by_id(
        tx,
        "SELECT k.id, c.number, MIN(c.line_units) FROM {rows} JOIN consignment k ON k.id = rows.id "
        "JOIN consignment_line c ON c.consignment_no = k.no WHERE c.line_units > 0 GROUP BY k.id, c.number "
        "ORDER BY k.id, c.number",
        ids,
    )
    lines: dict[str, list[LineUnits]] = defaultdict(list)
    for id, number, count in units:
        lines[id].append(LineUnits(line=number, units=count))
    return {id: _Consignment(*rest) for id, *rest in found}, {id: tuple(some) for id, some in lines.items()}


def _rmas(tx: Tx, said: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The orders of returns that are named without their order."""
    found = _by_id(
        tx,
        "SELECT r.id, o.id FROM {rows} JOIN rma r ON r.id = rows.id JOIN orders o ON o.no = r.order_no",
        {what["rma"] for what in said if what.get("rma") and not what.get("order")},
    )
    return dict(found)


# --- stock ------------------------------------------------------------------------------------------------------------


def _look_at_stock(tx: Tx, telling: _Telling, entries: Sequence[Entry], said: Sequence[Mapping[str, Any]]) -> None:
    """Tell of SKUs that have become low by what happened."""
    thresholds = read_setting(tx, THRESHOLDS, Thresholds())
    if thresholds.units is None and not thresholds.skus:
        return
    found_by_sku = _available(tx, _touched(tx, telling, entries, said))
    telling.read(found_by_sku)
    for sku, available in found_by_sku.items():
        threshold = thresholds.of(sku)
        low = threshold is not None and available <= threshold
        if low == (sku in telling.subjects and telling.subjects[sku].low):
            continue
        telling.subject(sku).low = low
        if threshold is not None and low:
            data = StockLow(sku=sku, available=available, threshold=threshold)
            telling.tell("stock.low", sku, entries[-1].at, entries[-1].id, data)


def _touched(
    tx: Tx, telling: _Telling, entries: Sequence[Entry], said: Sequence[Mapping[str, Any]]
) -> list[str] | None:
    """SKUs whose stock may have changed; `None` where it may be any."""
    skus: set[str] = set()
    holds, orders = set(), set()
    for entry, what in zip(entries, said, strict=True):
        if entry.kind in _EVERYWHERE or (entry.kind == "CatalogueChanged" and what["entry"] == THRESHOLDS):
            return None
        if "sku" in what:
            skus.add(what["sku"])
        elif entry.kind in ("HoldPlaced", "HoldReleased"):
            holds.add(entry.subject)
        else:
            orders.add(telling.order_of(entry, what))
    ordered = _by_id(
        tx,
        "SELECT DISTINCT p.id FROM {rows} JOIN orders o ON o.id = rows.id JOIN order_line l ON l.order_no = o.no "
        "LEFT JOIN kit_part k ON k.kit_no = l.sku_no JOIN sku p ON p.no = COALESCE(k.part_no, l.sku_no)",
        orders - {""},
    )
    held = _by_id(
        tx,
        "SELECT DISTINCT s.id FROM {rows} JOIN hold_unit u ON u.hold = rows.id JOIN sku s ON s.no = u.sku_no",
        holds,
    )
    return sorted(skus | {sku for (sku,) in ordered} | {sku for (sku,) in held})


def _available(tx: Tx, skus: Sequence[str] | None) -> dict[str, int]:
    """Units on hand less reserved and safety at nodes that work, of these SKUs or of all that have stock."""
    if skus is not None and not skus:
        return {}
    of = "sku s" if skus is None else "{rows} JOIN sku s ON s.id = rows.id"
    found = tx.all(
        "SELECT s.id, SUM(CASE WHEN n.paused OR k.on_hand - k.reserved < k.safety_sell THEN 0 "
        f"ELSE k.on_hand - k.reserved - k.safety_sell END) FROM {of} JOIN stock k ON k.sku_no = s.no "
        "JOIN node n ON n.no = k.node_no GROUP BY s.id ORDER BY s.id",
        None if skus is None else Rows(id=skus),
    )
    return {sku: int(units) for sku, units in found}


# --- rows -------------------------------------------------------------------------------------------------------------


def _write(tx: Tx, telling: _Telling, at: int, webhooks: Sequence[_Hears], notify: Collection[str]) -> None:
    """Write events, what was told by them, and who is to be told."""
    told = {subject: telling.subjects[subject] for subject in sorted(telling.changed)}
    if told:
        tx.run(
            "INSERT INTO told (subject, sequence, held, day, low) SELECT subject, sequence, held, day, low FROM {rows} "
            "WHERE true ON CONFLICT (subject) DO UPDATE SET sequence = excluded.sequence, held = excluded.held, "
            "day = excluded.day, low = excluded.low",
            Rows(
                subject=list(told), sequence=[one.sequence for one in told.values()],
                held=[one.held for one in told.values()], day=[one.day for one in told.values()],
                low=[one.low for one in told.values()],
            ),
        )  # fmt: skip
    made = telling.made
    if not made:
        return
    inserted = tx.all(
        "INSERT INTO event (id, type, subject, sequence, at, made_at, fact, data) "
        "SELECT id, type, subject, sequence, at, :now, fact, data FROM {rows} WHERE true ORDER BY n RETURNING id, no",
        Rows(
            n=range(len(made)), id=[one.id for one in made], type=[one.type for one in made],
            subject=[one.subject for one in made], sequence=[one.sequence for one in made],
            at=[one.at for one in made], fact=[one.fact for one in made],
            data=[msgspec.json.encode(one.data).decode() for one in made],
        ),
        now=at,
    )  # fmt: skip
    numbers: dict[str, int] = dict(inserted)
    wanted = [(webhook.id, one) for one in made for webhook in webhooks if webhook.wants(one.type)]
    if wanted:
        tx.run(
            "INSERT INTO delivery (webhook, event_no, subject, next_at) SELECT webhook, event_no, subject, :now "
            "FROM {rows} WHERE true",
            Rows(
                webhook=[webhook for webhook, _ in wanted], event_no=[numbers[one.id] for _, one in wanted],
                subject=[one.subject for _, one in wanted],
            ),
            now=at,
        )  # fmt: skip
    people = [
        (numbers[one.id], telling.orders[one.subject].recipient)
        for one in made
        if one.type in notify and one.subject in telling.orders and one.at > at - FRESH
    ]
    people = [(no, recipient) for no, recipient in people if recipient is not None]
    if people:
        tx.run(
            "INSERT INTO notice (event_no, recipient, next_at) SELECT event_no, recipient, :now FROM {rows} WHERE true",
            Rows(event_no=[no for no, _ in people], recipient=[who for _, who in people]),
            now=at,
        )
