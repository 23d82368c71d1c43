"""What comes back: received at a node, looked at, and sold again, mended, sold off or thrown away; what is owed for it.

A unit that came back is quarantined until somebody has looked at it. Every one is of a return (`engine.return_requests`): the one
that the fact names, else one that awaits it, else one that is made for it. What is physically there is taken in, whatever was
announced: at another node, more units or fewer, late, or before it was approved. Only what its consignment does not hold is
refused.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from engine.calendar import MS_PER_DAY
from engine.consignments import ON_ITS_WAY, begin, set_state, shift
from engine.consignments import Locked as Consignment
from engine.consignments import read as read_consignment
from engine.database import Rows, Tx
from engine.facts import Condition, Disposition, ReturnInspected, ReturnReceived, short_id
from engine.ledger import lock_stock, move, write_facts
from engine.refunds import owe, owed_cents, points_of
from engine.return_rules import read_return_rules
from engine.rmas import Locked, add_up, lines_of, lock_return, make_room, read_return
from solver.refusal import Refusal

AT_ONCE: dict[str, tuple[Condition, Disposition]] = {
    "stock": ("as_new", "restock"),
    "damaged": ("damaged", "refurbish"),
}
"""What a fact says of units that were looked at when they came: condition and disposition."""
CAUSES = {"restock": "restocked", "refurbish": "refurbishing", "liquidate": "liquidated", "scrap": "scrapped"}
"""What a movement of stock says of each disposition."""
Key = tuple[int, int]
"""Line, and number of the SKU."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """Units at a node that somebody looked at."""

    consignment_no: int
    number: int
    sku_no: int
    node_no: int
    units: int
    condition: Condition
    disposition: Disposition


def take_back(tx: Tx, fact: ReturnReceived, by: str = "") -> bool:
    """Units came back; a kit has come back when all its parts have.

    Raises
    ------
    Refusal
        `unknown_consignment`, `wrong_state`, `unknown_line`, `unknown_node`, `too_many_units`, `unknown_return`, or
        `another_order` (the return is of another one).
    """
    one = begin(tx, fact, by, (*ON_ITS_WAY, "delivered"))
    if one is None:
        return False
    contents = {(content.number, content.sku): content for content in one.contents}
    back: dict[Key, int] = defaultdict(int)
    reasons: dict[Key, str] = {}
    for i, units in enumerate(fact.units):
        content = contents.get((units.line, units.sku))
        if content is None:
            raise Refusal(f"units[{i}].line", f"it holds no {units.sku!r} of line {units.line}", "unknown_line")
        key = content.number, content.sku_no
        back[key] += units.units
        reasons[key] = units.reason or ("undelivered" if one.state in ON_ITS_WAY else "other")
        left = content.units - content.returned
        if back[key] > left:
            raise Refusal(f"units[{i}].units", f"{left} units can come back", "too_many_units")
    rma = _return_of(tx, fact, one, back)
    node_no = _node_of(tx, fact, one, rma)
    _count(tx, rma, one.no, node_no, back, reasons)
    skus = [contents[u.line, u.sku].sku_no for u in fact.units]
    move(
        tx, fact.at, "returned", one.id, skus, [node_no] * len(skus),
        on_hand=[u.units if u.to == "stock" else 0 for u in fact.units],
        damaged=[u.units if u.to == "damaged" else 0 for u in fact.units],
        quarantined=[u.units if u.to == "quarantined" else 0 for u in fact.units],
    )  # fmt: skip
    before, after = one.returned(), read_consignment(tx, one.no).returned()
    more = {number: units - before[number] for number, units in after.items() if units > before[number]}
    shift(tx, one, more, "delivered" if one.state == "delivered" else "shipped", "returned")
    set_state(tx, one, one.state)
    make_room(tx, one.no, rma.no)
    looked = [
        _Looked(one.no, u.line, sku, node_no, u.units, *AT_ONCE[u.to])
        for u, sku in zip(fact.units, skus, strict=True)
        if u.to in AT_ONCE
    ]
    if looked:
        _look(tx, rma, fact.at, looked)
        owe(tx, rma.no, fact.at, fact.id)
    return True


def inspect(tx: Tx, fact: ReturnInspected, by: str = "") -> bool:
    """Units that came back are sold again, or not; what they are worth to the customer is owed.

    Raises
    ------
    Refusal
        `unknown_return`, `unknown_node`, `unknown_line`, `too_many_units` (not so many are there), or `node_needed`.
    """
    rma = lock_return(tx, fact.rma)
    (new,) = write_facts(tx, [fact], by)
    if not new:
        return False
    looked = _found(tx, fact, rma)
    stock = [(one.sku_no, one.node_no) for one in looked]
    lock_stock(tx, [sku for sku, _ in stock], [node for _, node in stock])
    move(
        tx, fact.at, [CAUSES[one.disposition] for one in looked], rma.id, [sku for sku, _ in stock],
        [node for _, node in stock], quarantined=[-one.units for one in looked],
        on_hand=[one.units if one.disposition == "restock" else 0 for one in looked],
        damaged=[one.units if one.disposition == "refurbish" else 0 for one in looked],
    )  # fmt: skip
    _look(tx, rma, fact.at, looked)
    owe(tx, rma.no, fact.at, fact.id)
    return True


def node_of_receipt(tx: Tx, fact: ReturnReceived) -> str | None:
    """Where units came to, where a fact does not say: to where their return is to go, or to where they came from."""
    found = tx.first(
        "SELECT n.id FROM consignment k LEFT JOIN rma r ON r.id = :rma JOIN node n ON n.no = COALESCE(r.node_no, k.node_no) "
        "WHERE k.id = :id",
        rma=fact.rma or "", id=fact.consignment,
    )  # fmt: skip
    return None if found is None else str(found[0])


def nodes_of_inspection(tx: Tx, fact: ReturnInspected) -> list[str]:
    """Where units of a return wait to be looked at."""
    found = tx.all(
        "SELECT DISTINCT n.id FROM rma r JOIN rma_receipt t ON t.rma_no = r.no JOIN node n ON n.no = t.node_no "
        "WHERE r.id = :id AND t.units > t.inspected ORDER BY n.id",
        id=fact.rma,
    )
    return [node for (node,) in found]


def _return_of(tx: Tx, fact: ReturnReceived, one: Consignment, back: dict[Key, int]) -> Locked:
    """The return that units came by: the one that is named, one that awaits some of them, or a new one."""
    if fact.rma is not None:
        rma = lock_return(tx, fact.rma)
        if rma.order_no != one.order_no:
            raise Refusal("rma", f"return {fact.rma!r} is of order {rma.order}, not {one.order}", "another_order")
        return rma
    awaited = tx.all(
        "SELECT rma_no, number, sku_no FROM rma_line WHERE consignment_no = :no AND awaited > 0 ORDER BY rma_no",
        no=one.no,
    )
    for no, number, sku_no in awaited:
        if (number, sku_no) in back:
            return read_return(tx, no)
    expires = fact.at + read_return_rules(tx).expire_days * MS_PER_DAY
    no = tx.value(
        "INSERT INTO rma (id, order_no, wanted, how, requested_at, expires_at, received) "
        "VALUES (:id, :order, 'refund', 'unannounced', :at, :expires, :units) RETURNING no",
        id=short_id("rma", fact.id), order=one.order_no, at=fact.at, expires=expires, units=sum(back.values()),
    )  # fmt: skip
    return read_return(tx, no)


def _node_of(tx: Tx, fact: ReturnReceived, one: Consignment, rma: Locked) -> int:
    if fact.node is None:  # who names no return does not know where one was to go
        return one.node_no if fact.rma is None or rma.node_no is None else rma.node_no
    found = tx.first("SELECT no FROM node WHERE id = :id", id=fact.node)
    if found is None:
        raise Refusal("node", f"there is no node {fact.node!r}", "unknown_node")
    return int(found[0])


def _count(
    tx: Tx, rma: Locked, consignment_no: int, node_no: int, back: dict[Key, int], reasons: dict[Key, str]
) -> None:
    """Count units as come back, in the consignment, the return and at the node; what was not awaited is extra."""
    rows = Rows(
        number=[number for number, _ in back],
        sku_no=[sku for _, sku in back],
        units=list(back.values()),
        reason=[reasons[key] for key in back],
    )
    tx.run(
        "UPDATE consignment_line SET returned = consignment_line.returned + rows.units FROM {rows} "
        "WHERE consignment_line.consignment_no = :no AND consignment_line.number = rows.number "
        "AND consignment_line.sku_no = rows.sku_no",
        rows,
        no=consignment_no,
    )
    least = "MIN" if tx.dialect == "sqlite" else "LEAST"
    tx.run(
        "INSERT INTO rma_line (rma_no, consignment_no, number, sku_no, reason, extra, received) "
        "SELECT :rma, :no, number, sku_no, reason, units, units FROM {rows} WHERE true "
        "ON CONFLICT (rma_no, consignment_no, number, sku_no) DO UPDATE SET "
        f"extra = rma_line.extra + excluded.received - {least}(rma_line.awaited, excluded.received), "
        f"awaited = rma_line.awaited - {least}(rma_line.awaited, excluded.received), "
        "received = rma_line.received + excluded.received",
        rows, rma=rma.no, no=consignment_no,
    )  # fmt: skip
    tx.run(
        "INSERT INTO rma_receipt (rma_no, consignment_no, number, sku_no, node_no, units) "
        "SELECT :rma, :no, number, sku_no, :node, units FROM {rows} WHERE true "
        "ON CONFLICT (rma_no, consignment_no, number, sku_no, node_no) DO UPDATE SET "
        "units = rma_receipt.units + excluded.units",
        rows, rma=rma.no, no=consignment_no, node=node_no,
    )  # fmt: skip
    # what has come is not reviewed any more: looking at it decides
    tx.run("UPDATE rma SET review = :over WHERE no = :no", over=False, no=rma.no)
    add_up(tx, rma.no)


def _found(tx: Tx, fact: ReturnInspected, rma: Locked) -> list[_Looked]:
    """Which of the units that lie at a node a fact speaks of: those of the first consignment first."""
    node_no = None
    if fact.node is not None:
        row = tx.first("SELECT no FROM node WHERE id = :id", id=fact.node)
        if row is None:
            raise Refusal("node", f"there is no node {fact.node!r}", "unknown_node")
        node_no = row[0]
    there = tx.all(
        "SELECT t.consignment_no, t.number, t.sku_no, t.node_no, s.id, n.id, t.units - t.inspected FROM rma_receipt t "
        "JOIN sku s ON s.no = t.sku_no JOIN node n ON n.no = t.node_no WHERE t.rma_no = :no "
        "ORDER BY t.consignment_no, t.number, t.sku_no, t.node_no",
        no=rma.no,
    )
    nodes = sorted({row[5] for row in there if row[6]})
    if node_no is None and len(nodes) > 1:
        raise Refusal("node", f"units of it are at {', '.join(nodes)}; say where", "node_needed")
    left = {row[:4]: row[6] for row in there if node_no in (None, row[3])}
    looked = []
    for i, units in enumerate(fact.units):
        mine = [row for row in there if (row[1], row[4]) == (units.line, units.sku)]
        if not mine:
            raise Refusal(f"units[{i}].line", f"no {units.sku!r} of line {units.line} came back", "unknown_line")
        wanted = units.units
        for row in mine:
            taken = min(wanted, left.get(row[:4], 0))
            if taken:
                left[row[:4]] -= taken
                wanted -= taken
                consignment, number, sku_no, node = row[:4]
                looked.append(_Looked(consignment, number, sku_no, node, taken, units.condition, units.disposition))
        if wanted:
            told = f"{units.units - wanted} units wait there to be looked at"
            raise Refusal(f"units[{i}].units", told, "too_many_units")
    return looked


def _look(tx: Tx, rma: Locked, at: int, looked: Sequence[_Looked]) -> None:
    """Write down what units were found to be, and what they are worth to the customer."""
    rules = read_return_rules(tx)
    lines = {(line.consignment_no, line.number, line.sku_no): line for line in lines_of(tx, rma)}
    points = points_of(tx, rma.order_no)
    percents, goods, fees = [], [], []
    for one in looked:
        line = lines[one.consignment_no, one.number, one.sku_no]
        percent = rules.refunded(line.reason, one.condition)
        cents = owed_cents(line.price_cents, line.pieces, points[one.number], one.units * percent)
        points[one.number] += one.units * percent
        percents.append(percent)
        goods.append(cents)
        fees.append(cents * rules.fee(line.reason, line.tags) // 100)
    tx.run(
        "INSERT INTO inspection (rma_no, consignment_no, number, sku_no, node_no, at, condition, disposition, units, "
        "percent, goods_cents, fee_cents) SELECT :rma, consignment_no, number, sku_no, node_no, :at, condition, "
        "disposition, units, percent, goods, fee FROM {rows}",
        Rows(
            consignment_no=[one.consignment_no for one in looked], number=[one.number for one in looked],
            sku_no=[one.sku_no for one in looked], node_no=[one.node_no for one in looked],
            condition=[one.condition for one in looked], disposition=[one.disposition for one in looked],
            units=[one.units for one in looked], percent=percents, goods=goods, fee=fees,
        ),
        rma=rma.no, at=at,
    )  # fmt: skip
    _settle(tx, rma, looked)


def _settle(tx: Tx, rma: Locked, looked: Sequence[_Looked]) -> None:
    """They are not waiting to be looked at any more."""
    seen: dict[tuple[int, int, int, int], int] = defaultdict(int)
    for one in looked:
        seen[one.consignment_no, one.number, one.sku_no, one.node_no] += one.units
    whole: dict[tuple[int, int, int], int] = defaultdict(int)
    for (consignment, number, sku, _), units in seen.items():
        whole[consignment, number, sku] += units
    consignments, numbers, skus, nodes = (list(column) for column in zip(*seen, strict=True))
    tx.run(
        "UPDATE rma_receipt SET inspected = rma_receipt.inspected + rows.units FROM {rows} "
        "WHERE rma_receipt.rma_no = :rma AND rma_receipt.consignment_no = rows.consignment_no "
        "AND rma_receipt.number = rows.number AND rma_receipt.sku_no = rows.sku_no AND rma_receipt.node_no = rows.node_no",
        Rows(consignment_no=consignments, number=numbers, sku_no=skus, node_no=nodes, units=list(seen.values())),
        rma=rma.no,
    )
    consignments, numbers, skus = (list(column) for column in zip(*whole, strict=True))
    tx.run(
        "UPDATE rma_line SET inspected = rma_line.inspected + rows.units, received = rma_line.received - rows.units "
        "FROM {rows} WHERE rma_line.rma_no = :rma AND rma_line.consignment_no = rows.consignment_no "
        "AND rma_line.number = rows.number AND rma_line.sku_no = rows.sku_no",
        Rows(consignment_no=consignments, number=numbers, sku_no=skus, units=list(whole.values())),
        rma=rma.no,
    )
    add_up(tx, rma.no)


__all__ = ["inspect", "node_of_receipt", "nodes_of_inspection", "take_back"]
