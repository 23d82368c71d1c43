"""Consignments: what was handed to a node, until it leaves, or is open again.

Release is the one-way door: from there on the units are the node's to pick. They stay reserved until they leave; what the node
cannot find or does not want is open again, and the next decision sees it. From leaving on see `engine.shipping`,
of what comes back `engine.returns`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.calendar import MS_PER_DAY, format_day
from engine.claims import delete_parcels, lock_orders, plan_work, shift_units
from engine.database import Rows, Tx
from engine.facts import (
    AboutConsignment,
    ConsignmentRejected,
    OrderReleased,
    Packed,
    Picked,
    ShortPicked,
    short_id,
)
from engine.ledger import lock_stock, move, write_facts
from engine.rejections import escalate
from solver.refusal import Refusal

AT_NODE = ("released", "picked", "packed")
"""States in which the units are at the node, and reserved."""
ON_ITS_WAY = ("shipped", "out_for_delivery", "ready")
"""States in which the units have left, and the customer does not have them yet."""
REMEMBERED = MS_PER_DAY
"""Milliseconds for which a node that refused an order does not get it again, where it does not say."""


@dataclass(frozen=True, slots=True)
class Content:
    """Units of a SKU for a line: of a kit's part where it is one."""

    number: int
    sku_no: int
    sku: str
    units: int
    line_units: int
    returned: int

    @property
    def each(self) -> int:
        """Units for each unit of the line."""
        return self.units // self.line_units if self.line_units else 1


@dataclass(frozen=True, slots=True)
class Locked:
    """A consignment that nobody else changes until this transaction ends."""

    no: int
    id: str
    order_no: int
    order: str
    node_no: int
    collect_no: int | None
    state: str
    work_day: int
    collect_until: int | None
    contents: tuple[Content, ...]

    def line_units(self) -> dict[int, int]:
        """Units of the order's lines in it."""
        return {one.number: one.line_units for one in self.contents if one.line_units}

    def returned(self) -> dict[int, int]:
        """Units of the order's lines that came back whole."""
        back: dict[int, int] = {}
        for one in self.contents:
            if one.line_units:
                whole = one.returned // one.each
                back[one.number] = min(back.get(one.number, whole), whole)
        return back


def release(tx: Tx, facts: Sequence[OrderReleased], by: str = "") -> list[list[str]]:
    """Hand what is allocated to its nodes: each parcel becomes a consignment.

    Returns
    -------
    list of list of str
        The consignments that each fact made; none where the fact was there already.

    Raises
    ------
    Refusal
        `unknown_order`, `in_review`, or `nothing_to_release`.
    """
    new = write_facts(tx, facts, by)
    effective = [i for i, is_new in enumerate(new) if is_new]
    made: list[list[str]] = [[] for _ in facts]
    if not effective:
        return made
    numbers = _orders_to_release(tx, facts, effective)
    found = tx.all(
        "SELECT p.order_no, n.id, p.node_no, p.service, p.collect_no, p.work_day, p.arrives_day, p.cents FROM {rows} "
        "JOIN parcel p ON p.order_no = rows.no JOIN node n ON n.no = p.node_no ORDER BY p.order_no, p.node_no, p.service",
        Rows(no=sorted(set(numbers.values()))),
    )
    parcels: list[tuple[str, int, tuple[int, int, str, int | None, int, int, int]]] = []
    gone: set[tuple[int, int, str]] = set()
    for i in effective:
        for order_no, node, *rest in found:
            key = (order_no, rest[0], rest[1])
            if order_no == numbers[i] and facts[i].node in (None, node) and key not in gone:
                gone.add(key)
                consignment = short_id("con", facts[i].id, str(order_no), node, rest[1])
                made[i].append(consignment)
                parcels.append((consignment, facts[i].at, (order_no, *rest)))
        if not made[i]:
            raise Refusal(f"facts[{i}].order" if len(facts) > 1 else "order", "nothing of it is allocated there",
                          "nothing_to_release")  # fmt: skip
    _make(tx, parcels)
    return made


def pick(tx: Tx, fact: Picked, by: str = "") -> bool:
    """Everything was found. Returns whether the fact is new; raises `unknown_consignment` or `wrong_state`."""
    return _step(tx, fact, by, ("released",), "picked")


def pack(tx: Tx, fact: Packed, by: str = "") -> bool:
    """It is packed. Returns whether the fact is new; raises `unknown_consignment` or `wrong_state`."""
    return _step(tx, fact, by, ("released", "picked"), "packed")


def pick_short(tx: Tx, fact: ShortPicked, by: str = "") -> bool:
    """Units that were not found leave the books and are open again; kits that lack a part give the other parts back.

    Raises
    ------
    Refusal
        `unknown_consignment`, `wrong_state`, `unknown_line`, or `too_many_units`.
    """
    one = begin(tx, fact, by, ("released", "picked"))
    if one is None:
        return False
    contents = {(content.number, content.sku): content for content in one.contents}
    lost: dict[tuple[int, str], int] = defaultdict(int)
    short: dict[int, int] = defaultdict(int)
    for i, missing in enumerate(fact.missing):
        content = contents.get((missing.line, missing.sku))
        if content is None:
            raise Refusal(f"missing[{i}].line", f"it holds no {missing.sku!r} of line {missing.line}", "unknown_line")
        lost[missing.line, missing.sku] += missing.units
        if lost[missing.line, missing.sku] > content.units:
            raise Refusal(f"missing[{i}].units", f"it holds {content.units} units", "too_many_units")
        short[missing.line] = max(short[missing.line], -(-lost[missing.line, missing.sku] // content.each))
    touched = [content for content in one.contents if short.get(content.number)]
    gone = [lost.get((content.number, content.sku), 0) for content in touched]
    back = [short[content.number] * content.each for content in touched]
    _shrink(tx, one, touched, short, gone, back)
    rows = [content.sku_no for content in touched], [one.node_no] * len(touched)
    lock_stock(tx, *rows)
    # what a count had missed is found to be missing now
    found = dict.fromkeys(zip(*rows, strict=True), 0)
    for key, units in zip(zip(*rows, strict=True), gone, strict=True):
        found[key] += units
    tx.run(
        "UPDATE stock SET missing = CASE WHEN stock.missing > rows.units THEN stock.missing - rows.units ELSE 0 END "
        "FROM {rows} WHERE stock.sku_no = rows.sku_no AND stock.node_no = rows.node_no",
        Rows(sku_no=[sku for sku, _ in found], node_no=[node for _, node in found], units=list(found.values())),
    )
    move(
        tx,
        fact.at,
        "short_picked",
        one.id,
        *rows,
        on_hand=[-units for units in gone],
        reserved=[-units for units in back],
    )
    shift(tx, one, short, "released", "open")
    empty = all(short.get(number, 0) == units for number, units in one.line_units().items())
    set_state(tx, one, "withdrawn" if empty else "picked")
    plan_work(tx, [one.node_no], [one.work_day], [-1 if empty else 0], [-sum(short.values())])
    _remember(tx, one, fact.at + REMEMBERED, "short pick")
    return True


def reject(tx: Tx, fact: ConsignmentRejected, by: str = "") -> bool:
    """The node refuses: its units are free and the lines open again, and it does not get the order for a while.

    Raises
    ------
    Refusal
        `unknown_consignment`, or `wrong_state`.
    """
    one = begin(tx, fact, by, AT_NODE)
    if one is None:
        return False
    skus, nodes, units = stock_rows(one)
    move(tx, fact.at, "rejected", one.id, skus, nodes, reserved=[-count for count in units])
    shift(tx, one, one.line_units(), "released", "open")
    set_state(tx, one, "withdrawn")
    plan_work(tx, [one.node_no], [one.work_day], [-1], [-sum(one.line_units().values())])
    _remember(tx, one, fact.at + REMEMBERED if fact.until is None else fact.until, fact.reason)
    escalate(tx, one.order_no)
    return True


def _orders_to_release(tx: Tx, facts: Sequence[OrderReleased], effective: Sequence[int]) -> dict[int, int]:
    """Lock the orders, and number them by fact."""
    ids = sorted({facts[i].order for i in effective})
    known = dict(tx.all("SELECT o.id, o.no FROM {rows} JOIN orders o ON o.id = rows.id", Rows(id=ids)))
    lock_orders(tx, known.values())
    held = {
        order
        for (order,) in tx.all("SELECT o.id FROM {rows} JOIN orders o ON o.id = rows.id WHERE o.review", Rows(id=ids))
    }
    for i in effective:
        place = f"facts[{i}].order" if len(facts) > 1 else "order"
        if facts[i].order not in known:
            raise Refusal(place, f"there is no order {facts[i].order!r}", "unknown_order")
        if facts[i].order in held:
            raise Refusal(place, f"order {facts[i].order!r} is held for review; review it first", "in_review")
    return {i: known[facts[i].order] for i in effective}


def _make(tx: Tx, parcels: Sequence[tuple[str, int, tuple[int, int, str, int | None, int, int, int]]]) -> None:
    """Turn parcels and their claims into consignments."""
    orders, nodes, services, collects, work_days, arrival_days, cents = zip(*(p for *_, p in parcels), strict=True)
    ids = [consignment for consignment, *_ in parcels]
    tx.run(
        "INSERT INTO consignment (id, order_no, node_no, service, collect_no, state, released_at, work_day, arrives_day, "
        "cents) SELECT id, order_no, node_no, service, collect_no, 'released', at, work_day, arrives_day, cents "
        "FROM {rows}",
        Rows(
            id=ids, at=[at for _, at, _ in parcels], order_no=orders, node_no=nodes, service=services,
            collect_no=collects, work_day=work_days, arrives_day=arrival_days, cents=cents,
        ),
    )  # fmt: skip
    claims = tx.all(
        "SELECT k.no, c.order_no, c.number, c.node_no, c.service, c.line_units FROM {rows} "
        "JOIN consignment k ON k.id = rows.id "
        "JOIN claim c ON c.order_no = k.order_no AND c.node_no = k.node_no AND c.service = k.service",
        Rows(id=ids),
    )
    tx.run(
        "INSERT INTO consignment_line (consignment_no, number, sku_no, units, line_units) "
        "SELECT k.no, c.number, c.sku_no, c.units, c.line_units FROM {rows} JOIN consignment k ON k.id = rows.id "
        "JOIN claim c ON c.order_no = k.order_no AND c.node_no = k.node_no AND c.service = k.service",
        Rows(id=ids),
    )
    keys = list(zip(orders, nodes, services, strict=True))
    same = "claim.order_no = rows.order_no AND claim.node_no = rows.node_no AND claim.service = rows.service"
    tx.run(
        "DELETE FROM claim WHERE EXISTS (SELECT 1 FROM {rows} WHERE " + same + ")"
        if tx.dialect == "sqlite"
        else "DELETE FROM claim USING {rows} WHERE " + same,
        Rows(order_no=orders, node_no=nodes, service=services),
    )
    delete_parcels(tx, keys)
    # each part of a kit stands for the same units of the line
    lines = sorted({(order, number, no, units) for no, order, number, _, _, units in claims})
    shift_units(tx, [order for order, *_ in lines], [number for _, number, *_ in lines], [units for *_, units in lines],
                "allocated", "released")  # fmt: skip


def begin(tx: Tx, fact: AboutConsignment, by: str, states: Sequence[str]) -> Locked | None:
    """Lock a consignment and write the fact down; nothing where the fact was there already.

    The log has facts by transaction, and that begins with the lock: so it has those of an order as they happened to it.

    Raises
    ------
    Refusal
        `unknown_consignment`, `pickup_lapsed`, or `wrong_state`.
    """
    found = tx.first("SELECT no, order_no FROM consignment WHERE id = :id", id=fact.consignment)
    if found is None:
        raise Refusal("consignment", f"there is no consignment {fact.consignment!r}", "unknown_consignment")
    lock_orders(tx, [found[1]])
    (new,) = write_facts(tx, [fact], by)
    if not new:
        return None
    one = read(tx, found[0])
    if one.state == "lapsed":
        until = "" if one.collect_until is None else f" by {format_day(one.collect_until // MS_PER_DAY)}"
        told = f"it was not collected{until}: its units are in stock again and count as returned; order them anew"
        raise Refusal("consignment", told, "pickup_lapsed")
    if one.state not in states:
        raise Refusal("consignment", f"it is {one.state}, not {' or '.join(states)}", "wrong_state")
    return one


def read(tx: Tx, no: int) -> Locked:
    """A consignment whose order is locked."""
    row = tx.first(
        "SELECT k.no, k.id, k.order_no, o.id, k.node_no, k.collect_no, k.state, k.work_day, k.collect_until "
        "FROM consignment k JOIN orders o ON o.no = k.order_no WHERE k.no = :no",
        no=no,
    )
    assert row is not None, "consignments are never deleted"
    contents = tx.all(
        "SELECT c.number, c.sku_no, s.id, c.units, c.line_units, c.returned FROM consignment_line c "
        "JOIN sku s ON s.no = c.sku_no WHERE c.consignment_no = :no ORDER BY c.number, c.sku_no",
        no=no,
    )
    own_no, own_id, order_no, order, node_no, collect_no, state, work_day, until = row
    held = tuple(Content(*content) for content in contents)
    return Locked(own_no, own_id, order_no, order, node_no, collect_no, state, work_day, until, held)


def stock_rows(one: Locked) -> tuple[list[int], list[int], list[int]]:
    """SKU, node and units of what is in it."""
    held = [content for content in one.contents if content.units]
    return [c.sku_no for c in held], [one.node_no] * len(held), [c.units for c in held]


def shift(tx: Tx, one: Locked, units: dict[int, int], before: str, after: str) -> None:
    """Units of its lines go from one state into another."""
    lines = {number: count for number, count in units.items() if count}
    shift_units(tx, [one.order_no] * len(lines), list(lines), list(lines.values()), before, after)


def set_state(tx: Tx, one: Locked, state: str, **values: int | str | None) -> None:
    """Say how far it is, and when it came there (`shipped_at`, `delivered_at`, `collect_until`, `tracking`): what is `None` stays.

    A label of what is withdrawn is not wanted any more.
    """
    said: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    sets = "".join(f"{name} = :{name}, " for name in said)
    tx.run(
        f"UPDATE consignment SET {sets}state = :state, version = version + 1 WHERE no = :no",
        state=state, no=one.no, **said,
    )  # fmt: skip
    if state == "withdrawn":
        tx.run(
            "UPDATE label SET state = 'unwanted' WHERE consignment_no = :no AND state IN ('wanted', 'made')", no=one.no
        )


def _step(tx: Tx, fact: AboutConsignment, by: str, states: Sequence[str], state: str) -> bool:
    one = begin(tx, fact, by, states)
    if one is not None:
        set_state(tx, one, state)
    return one is not None


def _shrink(
    tx: Tx, one: Locked, touched: Sequence[Content], short: dict[int, int], gone: Sequence[int], back: Sequence[int]
) -> None:
    tx.run(
        "UPDATE consignment_line SET units = consignment_line.units - rows.back, "
        "line_units = consignment_line.line_units - rows.line_units, short = consignment_line.short + rows.gone "
        "FROM {rows} WHERE consignment_line.consignment_no = :no AND consignment_line.number = rows.number "
        "AND consignment_line.sku_no = rows.sku_no",
        Rows(
            number=[content.number for content in touched],
            sku_no=[content.sku_no for content in touched],
            line_units=[short[content.number] for content in touched],
            gone=gone,
            back=back,
        ),
        no=one.no,
    )


def _remember(tx: Tx, one: Locked, until: int, reason: str) -> None:
    """The node does not get this order again for a while."""
    tx.run(
        "INSERT INTO rejection (order_no, node_no, until, reason) VALUES (:order, :node, :until, :reason) "
        "ON CONFLICT (order_no, node_no) DO UPDATE SET times = rejection.times + 1, until = :until, reason = :reason",
        order=one.order_no, node=one.node_no, until=until, reason=reason,
    )  # fmt: skip
