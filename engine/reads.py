"""What people look at: orders, consignments, stock, holds, facts, waves, as one state of the database has them.

Lists go by number (or by id) from where the page before ended: a page costs the same however far back it is.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from engine.database import Rows, Tx, decoded
from solver.refusal import Refusal

T = TypeVar("T", bound=msgspec.Struct)
LAST = 1 << 62
Numbered = tuple[int, T]
"""What is listed, with the number by which the list goes on."""


class OrderSeen(msgspec.Struct, kw_only=True):
    """An order, and how many of its units are where."""

    id: str
    channel: str
    external_id: str
    state: str
    placed_at: int
    priority: int
    promise_day: int
    promised: bool
    review: bool
    open: int
    allocated: int
    released: int
    shipped: int
    delivered: int
    returned: int
    cancelled: int
    lat: float | None
    lon: float | None
    region: str
    pickup: list[str]
    recipient: str | None
    late_cents: int
    max_parcels: int | None
    ship_complete: bool
    cancel_at: int | None
    version: int


class LineSeen(msgspec.Struct, kw_only=True):
    """A line, and how many of its units are where."""

    line: int
    sku: str
    qty: int
    price_cents: int | None
    unfilled_cents: int
    open: int
    allocated: int
    released: int
    shipped: int
    delivered: int
    returned: int
    cancelled: int


class ParcelLine(msgspec.Struct, kw_only=True):
    """Units of a line in a parcel."""

    line: int
    units: int


class ParcelSeen(msgspec.Struct, kw_only=True):
    """What is allocated to a node and may still move."""

    node: str
    service: str
    collect: str | None
    arrives_day: int
    cost_cents: int
    lines: list[ParcelLine] = []


class ConsignmentLineSeen(msgspec.Struct, kw_only=True):
    """Units of a SKU of a line in a consignment."""

    line: int
    sku: str
    units: int
    line_units: int
    short: int
    returned: int


class ConsignmentSeen(msgspec.Struct, kw_only=True):
    """A parcel that was handed to its node."""

    id: str
    order: str
    node: str
    service: str
    collect: str | None
    state: str
    released_at: int
    work_day: int
    arrives_day: int
    cost_cents: int
    tracking: str | None
    shipped_at: int | None
    delivered_at: int | None
    collect_until: int | None
    version: int
    lines: list[ConsignmentLineSeen] = []


class OrderWhole(OrderSeen, kw_only=True):
    """An order with all that belongs to it."""

    lines: list[LineSeen] = []
    parcels: list[ParcelSeen] = []
    consignments: list[ConsignmentSeen] = []


class FactSeen(msgspec.Struct, kw_only=True):
    """Something that happened, and which key said so."""

    id: str
    kind: str
    at: int
    subject: str
    by: str
    payload: dict[str, Any]


class StockSeen(msgspec.Struct, kw_only=True):
    """The units of a SKU at a node."""

    sku: str
    node: str
    on_hand: int
    reserved: int
    damaged: int
    quarantined: int
    safety_sell: int
    safety_route: int
    free_to_sell: int
    free_to_route: int
    value_cents: int


class HeldSeen(msgspec.Struct, kw_only=True):
    """Units of a SKU kept at a node."""

    sku: str
    node: str
    units: int


class HoldSeen(msgspec.Struct, kw_only=True):
    """A timed claim, and what became of it."""

    id: str
    channel: str
    state: str
    placed_at: int
    until: int
    order: str | None
    units: list[HeldSeen] = []


class InboundSeen(msgspec.Struct, kw_only=True):
    """Units that are to come."""

    id: str
    sku: str
    node: str
    units: int
    received: int
    due_day: int
    cancelled: bool


class DaySeen(msgspec.Struct, kw_only=True):
    """The work of a node on a day; its capacity where it is another one than usual."""

    day: int
    parcels: int
    units: int
    capacity_parcels: int | None
    capacity_units: int | None


class WaveSeen(msgspec.Struct, kw_only=True):
    """One joint decision, and how good it is."""

    id: str
    at: int
    state: str
    policy: str
    version: str
    seed: int
    orders: int
    lines: int
    changed: int
    conflicts: int
    cost_cents: int | None
    bound_cents: float | None
    before_cents: int | None
    gap: float | None
    seconds: float | None
    ended_at: int | None
    note: str


class DecisionSeen(msgspec.Struct, kw_only=True):
    """Why an order is served as it is: by which policy, at what cost, against which bound, and of what candidates."""

    order: str
    wave: str
    at: int
    policy: str
    version: str
    seed: int
    cost_cents: int
    bound_cents: float
    gap: float
    record: dict[str, Any]


class ShadowSeen(msgspec.Struct, kw_only=True):
    """What another policy would have paid."""

    ref: str
    at: int
    policy: str
    cost_cents: int
    live_policy: str
    live_cents: int


_ORDER = (
    "o.no, o.id, o.channel, o.external_id, o.state, o.placed_at, o.priority, o.promise_day, o.promised, o.review, o.open, "
    "o.allocated, o.released, o.shipped, o.delivered, o.returned, o.cancelled, o.lat, o.lon, o.region, o.pickup, "
    "o.recipient, o.late_cents, o.max_parcels, o.ship_complete, o.cancel_at, o.version"
)
_CONSIGNMENT = (
    "k.no, k.id, o.id, n.id, k.service, c.id, k.state, k.released_at, k.work_day, k.arrives_day, k.cents, k.tracking, "
    "k.shipped_at, k.delivered_at, k.collect_until, k.version FROM consignment k JOIN orders o ON o.no = k.order_no "
    "JOIN node n ON n.no = k.node_no LEFT JOIN node c ON c.no = k.collect_no"
)
_WAVE = (
    "no, id, at, state, policy, version, seed, orders, lines, changed, conflicts, cost_cents, bound_cents, before_cents, "
    "seconds, ended_at, note FROM wave"
)


def orders(
    tx: Tx, before: int | None, limit: int, *, state: str = "", channel: str = "", external_id: str = "",
    placed_from: int | None = None, placed_until: int | None = None,
) -> list[Numbered[OrderSeen]]:  # fmt: skip
    """Orders, the newest first."""
    asked: dict[str, Any] = {"state": state or None, "channel": channel or None, "external_id": external_id or None,
                             "placed_from": placed_from, "placed_until": placed_until}  # fmt: skip
    tests = {"state": "o.state = :state", "channel": "o.channel = :channel", "external_id": "o.external_id = :external_id",
             "placed_from": "o.placed_at >= :placed_from", "placed_until": "o.placed_at < :placed_until"}  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    where = " AND ".join(["o.no < :before", *(tests[name] for name in given)])
    sql = f"SELECT {_ORDER} FROM orders o WHERE {where} ORDER BY o.no DESC LIMIT :limit"
    return [
        _order(row, OrderSeen) for row in tx.all(sql, before=LAST if before is None else before, limit=limit, **given)
    ]


def order(tx: Tx, id: str) -> OrderWhole:
    """An order with its lines, what is allocated of it, and its consignments.

    Raises
    ------
    Refusal
        `unknown_order`.
    """
    found = tx.first(f"SELECT {_ORDER} FROM orders o WHERE o.id = :id", id=id)
    if found is None:
        raise Refusal("order", f"there is no order {id!r}", "unknown_order")
    no, whole = _order(found, OrderWhole)
    whole.lines = [
        row_as(LineSeen, row)
        for row in tx.all(
            "SELECT l.number, s.id, l.qty, l.price_cents, l.unfilled_cents, l.open, l.allocated, l.released, l.shipped, "
            "l.delivered, l.returned, l.cancelled FROM order_line l JOIN sku s ON s.no = l.sku_no "
            "WHERE l.order_no = :no ORDER BY l.number",
            no=no,
        )
    ]
    whole.parcels = _parcels(tx, no)
    rows = tx.all(f"SELECT {_CONSIGNMENT} WHERE k.order_no = :no ORDER BY k.no", no=no)
    whole.consignments = [seen for _, seen in _consignments(tx, rows)]
    return whole


def _order(row: tuple[Any, ...], kind: type[T]) -> Numbered[T]:
    no, *values = row
    said = dict(zip(OrderSeen.__struct_fields__, values, strict=True))
    said["pickup"] = decoded(said["pickup"])
    for name in ("promised", "review", "ship_complete"):
        said[name] = bool(said[name])
    return no, kind(**said)


def _parcels(tx: Tx, no: int) -> list[ParcelSeen]:
    rows = tx.all(
        "SELECT p.node_no, n.id, p.service, c.id, p.arrives_day, p.cents FROM parcel p JOIN node n ON n.no = p.node_no "
        "LEFT JOIN node c ON c.no = p.collect_no WHERE p.order_no = :no ORDER BY p.node_no, p.service",
        no=no,
    )
    parcels = {(row[0], row[2]): row_as(ParcelSeen, row[1:]) for row in rows}
    claims = tx.all(
        "SELECT node_no, service, number, MIN(line_units) FROM claim WHERE order_no = :no "
        "GROUP BY node_no, service, number ORDER BY node_no, service, number",
        no=no,
    )
    for node_no, service, number, units in claims:
        if (node_no, service) not in parcels:  # taken over from a hold, and not yet planned
            node = tx.value("SELECT id FROM node WHERE no = :no", no=node_no)
            parcels[node_no, service] = ParcelSeen(
                node=node, service=service, collect=None, arrives_day=0, cost_cents=0
            )
        parcels[node_no, service].lines.append(ParcelLine(line=number, units=units))
    return list(parcels.values())


def consignments(
    tx: Tx, before: int | None, limit: int, *, node: str = "", state: str = ""
) -> list[Numbered[ConsignmentSeen]]:
    """Consignments, the newest first; of a node, those that it packs and those that are collected there."""
    given: dict[str, Any] = {name: value for name, value in (("node", node), ("state", state)) if value}
    of_node = "(SELECT no FROM node WHERE id = :node)"
    tests = {"node": f"(k.node_no = {of_node} OR k.collect_no = {of_node})", "state": "k.state = :state"}
    where = " AND ".join(["k.no < :before", *(tests[name] for name in given)])
    sql = f"SELECT {_CONSIGNMENT} WHERE {where} ORDER BY k.no DESC LIMIT :limit"
    return _consignments(tx, tx.all(sql, before=LAST if before is None else before, limit=limit, **given))


def consignment(tx: Tx, id: str) -> ConsignmentSeen:
    """A consignment; raises `unknown_consignment`."""
    found = tx.first(f"SELECT {_CONSIGNMENT} WHERE k.id = :id", id=id)
    if found is None:
        raise Refusal("consignment", f"there is no consignment {id!r}", "unknown_consignment")
    return _consignments(tx, [found])[0][1]


def _consignments(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> list[Numbered[ConsignmentSeen]]:
    seen = [(row[0], row_as(ConsignmentSeen, row[1:])) for row in rows]
    if seen:
        by_no = dict(seen)
        lines = tx.all(
            "SELECT l.consignment_no, l.number, s.id, l.units, l.line_units, l.short, l.returned FROM {rows} "
            "JOIN consignment_line l ON l.consignment_no = rows.no JOIN sku s ON s.no = l.sku_no "
            "ORDER BY l.consignment_no, l.number, l.sku_no",
            Rows(no=list(by_no)),
        )
        for no, *values in lines:
            by_no[no].lines.append(row_as(ConsignmentLineSeen, values))
    return seen


def timeline(tx: Tx, order_id: str) -> list[FactSeen]:
    """All that happened to an order, its consignments and returns, as it was written down."""
    no = tx.first("SELECT no FROM orders WHERE id = :id", id=order_id)
    if no is None:
        raise Refusal("order", f"there is no order {order_id!r}", "unknown_order")
    theirs = "SELECT id FROM consignment WHERE order_no = :no UNION ALL SELECT id FROM rma WHERE order_no = :no"
    subjects = [order_id, *(id for (id,) in tx.all(theirs, no=no[0]))]
    rows = tx.all(
        "SELECT f.no, f.id, f.kind, f.at, f.subject, f.by, f.payload FROM {rows} JOIN fact f ON f.subject = rows.subject "
        "ORDER BY f.no",
        Rows(subject=subjects),
    )
    return _with_notes(tx, [_fact(row)[1] for row in rows])


def facts(
    tx: Tx, after: tuple[int, int] | None, limit: int, *, kind: str = "", subject: str = ""
) -> list[tuple[tuple[int, int], FactSeen]]:
    """The log from a place on, in the order of `engine.log`, perhaps only of a kind or about one subject."""
    given: dict[str, Any] = {name: value for name, value in (("kind", kind), ("subject", subject)) if value}
    tests = ["(tx, no) > (:tx, :no)", *(f"{name} = :{name}" for name in given)]
    if tx.dialect == "postgresql":
        tests.append("tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    sql = f"SELECT tx, no, id, kind, at, subject, by, payload FROM fact WHERE {' AND '.join(tests)} ORDER BY tx, no LIMIT :limit"
    rows = tx.all(sql, tx=after[0] if after else -1, no=after[1] if after else 0, limit=limit, **given)
    seen = _with_notes(tx, [_fact(row[1:])[1] for row in rows])
    return [((row[0], row[1]), one) for row, one in zip(rows, seen, strict=True)]


def _with_notes(tx: Tx, seen: list[FactSeen]) -> list[FactSeen]:
    """Facts with the free text that is kept apart from them, unless it was erased."""
    notes: dict[str, dict[str, str]] = {}
    found = tx.all(
        "SELECT m.fact, m.field, m.text FROM {rows} JOIN remark m ON m.fact = rows.id WHERE m.text IS NOT NULL",
        Rows(id=[one.id for one in seen]),
    )
    for fact, field, text in found:
        notes.setdefault(fact, {})[field] = text
    for one in seen:
        one.payload.update(notes.get(one.id, {}))
    return seen


def _fact(row: tuple[Any, ...]) -> Numbered[FactSeen]:
    no, id, kind, at, subject, by, payload = row
    said = msgspec.json.decode(payload)
    for name in ("kind", "id", "at"):
        said.pop(name, None)
    return no, FactSeen(id=id, kind=kind, at=at, subject=subject, by=by, payload=said)


def stock(
    tx: Tx, after: tuple[int, int] | None, limit: int, *, sku: str = "", node: str = ""
) -> list[tuple[tuple[int, int], StockSeen]]:
    """Stock by SKU and node, each with its two numbers."""
    given: dict[str, Any] = {name: value for name, value in (("sku", sku), ("node", node)) if value}
    tests = {"sku": "s.id = :sku", "node": "n.id = :node"}
    where = " AND ".join(
        ["(t.sku_no > :sku_no OR (t.sku_no = :sku_no AND t.node_no > :node_no))", *(tests[name] for name in given)]
    )
    rows = tx.all(
        "SELECT t.sku_no, t.node_no, s.id, n.id, t.on_hand, t.reserved, t.damaged, t.quarantined, t.safety_sell, "
        "t.safety_route, t.on_hand - t.reserved - t.safety_sell, t.on_hand - t.reserved - t.safety_route, t.value_cents "
        f"FROM stock t JOIN sku s ON s.no = t.sku_no JOIN node n ON n.no = t.node_no WHERE {where} "
        "ORDER BY t.sku_no, t.node_no LIMIT :limit",
        sku_no=after[0] if after else -1,
        node_no=after[1] if after else -1,
        limit=limit,
        **given,
    )
    return [((row[0], row[1]), row_as(StockSeen, row[2:])) for row in rows]


def hold(tx: Tx, id: str) -> HoldSeen:
    """A hold; raises `unknown_hold`."""
    found = tx.first(
        "SELECT h.id, h.channel, h.state, h.placed_at, h.until, o.id FROM hold h "
        "LEFT JOIN orders o ON o.no = h.order_no WHERE h.id = :id",
        id=id,
    )
    if found is None:
        raise Refusal("hold", f"there is no hold {id!r}", "unknown_hold")
    seen = row_as(HoldSeen, found)
    seen.units = [
        row_as(HeldSeen, row)
        for row in tx.all(
            "SELECT s.id, n.id, u.units FROM hold_unit u JOIN sku s ON s.no = u.sku_no JOIN node n ON n.no = u.node_no "
            "WHERE u.hold = :id ORDER BY u.sku_no, u.node_no",
            id=id,
        )
    ]
    return seen


def inbound(tx: Tx, after: str, limit: int, *, sku: str = "", node: str = "") -> list[InboundSeen]:
    """What is to come, by id."""
    given: dict[str, Any] = {name: value for name, value in (("sku", sku), ("node", node)) if value}
    tests = {"sku": "s.id = :sku", "node": "n.id = :node"}
    where = " AND ".join(["i.id > :after", *(tests[name] for name in given)])
    rows = tx.all(
        "SELECT i.id, s.id, n.id, i.units, i.received, i.due_day, i.cancelled FROM inbound i "
        f"JOIN sku s ON s.no = i.sku_no JOIN node n ON n.no = i.node_no WHERE {where} ORDER BY i.id LIMIT :limit",
        after=after,
        limit=limit,
        **given,
    )
    return [row_as(InboundSeen, (*row[:-1], bool(row[-1]))) for row in rows]


def days(tx: Tx, node: str, first: int, limit: int) -> list[DaySeen]:
    """The days of a node on which there is work or another capacity; raises `unknown_node`."""
    found = tx.first("SELECT no FROM node WHERE id = :node", node=node)
    if found is None:
        raise Refusal("node", f"there is no node {node!r}", "unknown_node")
    rows = tx.all(
        "SELECT day, parcels, units, capacity_parcels, capacity_units FROM node_day "
        "WHERE node_no = :no AND day >= :first ORDER BY day LIMIT :limit",
        no=found[0],
        first=first,
        limit=limit,
    )
    return [row_as(DaySeen, row) for row in rows]


def waves(tx: Tx, before: int | None, limit: int) -> list[Numbered[WaveSeen]]:
    """Waves, the newest first."""
    rows = tx.all(
        f"SELECT {_WAVE} WHERE no < :before ORDER BY no DESC LIMIT :limit",
        before=LAST if before is None else before,
        limit=limit,
    )
    return [(row[0], _wave(row[1:])) for row in rows]


def wave(tx: Tx, id: str) -> WaveSeen:
    """A wave; raises `unknown_wave`."""
    found = tx.first(f"SELECT {_WAVE} WHERE id = :id", id=id)
    if found is None:
        raise Refusal("wave", f"there is no wave {id!r}", "unknown_wave")
    return _wave(found[1:])


def _wave(row: tuple[Any, ...]) -> WaveSeen:
    *first, cost, bound, before, seconds, ended, note = row
    return row_as(WaveSeen, (*first, cost, bound, before, gap(cost, bound), seconds, ended, note))


def decision(tx: Tx, order_id: str) -> DecisionSeen:
    """The newest decision about an order.

    Raises
    ------
    Refusal
        `unknown_order`, or `not_decided` yet.
    """
    found = tx.first("SELECT no FROM orders WHERE id = :id", id=order_id)
    if found is None:
        raise Refusal("order", f"there is no order {order_id!r}", "unknown_order")
    row = tx.first(
        "SELECT wave, at, policy, version, seed, cost_cents, bound_cents, body FROM decision WHERE order_no = :no "
        "ORDER BY no DESC LIMIT 1",
        no=found[0],
    )
    if row is None:
        raise Refusal("order", "nothing is decided about it yet", "not_decided")
    *first, cost, bound, body = row
    return row_as(DecisionSeen, (order_id, *first, cost, bound, gap(cost, bound) or 0.0, msgspec.json.decode(body)))


def shadows(tx: Tx, before: int | None, limit: int, *, ref: str = "") -> list[Numbered[ShadowSeen]]:
    """What other policies would have paid, the newest first."""
    rows = tx.all(
        "SELECT no, ref, at, policy, cost_cents, live, live_cents FROM shadow "
        "WHERE no < :before AND (ref = :ref OR :ref = '') ORDER BY no DESC LIMIT :limit",
        before=LAST if before is None else before,
        limit=limit,
        ref=ref,
    )
    return [(row[0], row_as(ShadowSeen, row[1:])) for row in rows]


def currency(tx: Tx) -> str | None:
    """The currency of all money here, if it was said."""
    found = tx.first("SELECT value FROM setting WHERE name = 'currency'")
    return None if found is None else str(decoded(found[0])["currency"])


def gap(cost: int | None, bound: float | None) -> float | None:
    """How far from optimal, as a share of the cost."""
    if cost is None or bound is None:
        return None
    return max(0.0, cost - bound) / cost if cost > 0 else 0.0


def row_as(kind: type[T], values: Iterable[Any]) -> T:
    """A row as people look at it; fields beyond its columns are as they are without."""
    return kind(**dict(zip(kind.__struct_fields__, values, strict=False)))
