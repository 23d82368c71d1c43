"""Holds: units kept for a cart for some time. A hold ends once: an order takes it over, it is given up, or its time is up.

A hold has the id of the fact that placed it. It is kept whole or not at all.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.database import Rows, Tx
from engine.facts import HoldPlaced, HoldReleased, checked, content, short_id
from engine.ledger import move, write_facts
from engine.selling import Sales, SoldSku, count_sold, lock_counted
from solver.refusal import Refusal

Reason = Literal["released", "expired", "stock_lost"]


@dataclass(frozen=True, slots=True)
class Held:
    """The answer to one hold: new, there already (`seen`), there with other content (`conflict`), or refused and why."""

    id: str
    outcome: Literal["new", "seen", "conflict", "refused"]
    code: str = ""
    place: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Taken:
    fact: HoldPlaced
    content: str
    units: dict[tuple[int, int], int]
    """By SKU and node."""
    counted: dict[int, int]
    """By SKU: what counts against the channel's allotment."""


class _Free:
    """Units free to sell by SKU and node, counted down as they are held."""

    def __init__(self, units: dict[tuple[int, int], int]) -> None:
        self.units = units
        self.nodes = sorted({node for _, node in units})

    def kits(self, sku: SoldSku, node: int) -> int:
        return min(self.units.get((part, node), 0) // each for part, each in sku.parts)

    def take(self, sku: SoldSku, node: int, count: int) -> None:
        for part, each in sku.parts:
            self.units[part, node] -= each * count


def place_holds(tx: Tx, facts: Sequence[HoldPlaced], by: str = "") -> list[Held]:
    """Keep units for carts, each all or nothing, from one node where one has everything.

    Safety stock for selling, the channel's safety and its buffers are left; units that open orders wait for are left
    where the SKU is not sold beyond what is there. What is held counts against the channel's allotment.
    """
    answers: dict[int, Held] = {}
    hashes: dict[int, str] = {}
    for i, fact in enumerate(facts):
        try:
            hashes[i] = content(fact, checked(fact))
        except Refusal as refused:
            answers[i] = Held(fact.id, "refused", refused.code, refused.place, refused.problem)
    if not hashes:
        return [answers[i] for i in range(len(facts))]
    asked = [facts[i] for i in hashes]
    channels = dict(
        tx.all("SELECT c.id, c.safety FROM {rows} JOIN channel c ON c.id = rows.id",
               Rows(id=sorted({fact.channel for fact in asked})))
    )  # fmt: skip
    nodes = _node_numbers(tx, {unit.node for fact in asked for unit in fact.units if unit.node is not None})
    sales = Sales.read(tx, channels, {unit.sku for fact in asked for unit in fact.units})
    free = _lock_free(tx, sorted({part for sku in sales.skus.values() for part, _ in sku.parts}))
    there = dict(tx.all("SELECT h.id, h.content FROM {rows} JOIN hold h ON h.id = rows.id",
                        Rows(id=[fact.id for fact in asked])))  # fmt: skip
    taken: list[_Taken] = []
    for i, hashed in hashes.items():
        fact = facts[i]
        if fact.id in there:
            answers[i] = _again(fact, hashed, there[fact.id])
            continue
        chosen = _choose(fact, hashed, channels, nodes, sales, free)
        if isinstance(chosen, Held):
            answers[i] = chosen
        else:
            taken.append(chosen)
            there[fact.id] = hashed
            answers[i] = Held(fact.id, "new")
    kept = _insert(tx, taken, by)
    lost = [one.fact.id for one in taken if one.fact.id not in kept]
    if lost:  # somebody else used the id meanwhile, for other units
        there = dict(tx.all("SELECT h.id, h.content FROM {rows} JOIN hold h ON h.id = rows.id", Rows(id=lost)))
        answers |= {
            i: _again(facts[i], hashed, there[facts[i].id]) for i, hashed in hashes.items() if facts[i].id in there
        }
    return [answers[i] for i in range(len(facts))]


def release_hold(tx: Tx, fact: HoldReleased, by: str = "") -> bool:
    """Give a hold up.

    Returns
    -------
    Whether the fact is new.

    Raises
    ------
    Refusal
        `unknown_hold`, or `hold_ended` where it has ended already.
    """
    (new,) = write_facts(tx, [fact], by)
    if not new:
        return False
    lock_counted(tx, [fact.hold])
    found = tx.first("SELECT state FROM hold WHERE id = :id" + tx.locking, id=fact.hold)
    if found is None:
        raise Refusal("hold", f"there is no hold {fact.hold!r}", "unknown_hold")
    if found[0] != "held":
        raise Refusal("hold", f"hold {fact.hold!r} is {found[0]}", "hold_ended")
    end_holds(tx, fact.at, [fact.hold], fact.reason)
    return True


def expire_holds(tx: Tx, now: int, limit: int = 1000) -> int:
    """End the holds whose time is up, and say how many."""
    found = tx.all(
        "SELECT id FROM hold WHERE state = 'held' AND until <= :now ORDER BY id LIMIT :limit", now=now, limit=limit
    )
    if not found:
        return 0
    lock_counted(tx, [hold for (hold,) in found])
    due = [
        hold
        for (hold,) in tx.all(
            "SELECT h.id FROM {rows} JOIN hold h ON h.id = rows.id WHERE h.state = 'held' ORDER BY h.id"
            + (" FOR NO KEY UPDATE OF h SKIP LOCKED" if tx.locking else ""),
            Rows(id=[hold for (hold,) in found]),
        )
    ]
    if due:
        write_facts(tx, [HoldReleased(id=short_id("end", hold), at=now, hold=hold, reason="expired") for hold in due])
        end_holds(tx, now, due, "expired")
    return len(due)


def end_holds(tx: Tx, at: int, holds: Sequence[str], reason: Reason) -> None:
    """Give back what holds kept. They are locked, and in state 'held'."""
    if not holds:
        return
    sold: dict[tuple[str, int], int] = defaultdict(int)
    for pairs in lock_counted(tx, holds).values():
        for pair, count in pairs.items():
            sold[pair] -= count
    count_sold(tx, {}, sold)
    units = tx.all(
        "SELECT u.hold, u.sku_no, u.node_no, u.units FROM {rows} JOIN hold_unit u ON u.hold = rows.id "
        "ORDER BY u.hold, u.sku_no, u.node_no",
        Rows(id=list(holds)),
    )
    tx.run(
        "UPDATE hold SET state = :state FROM {rows} WHERE hold.id = rows.id AND hold.state = 'held'",
        Rows(id=list(holds)),
        state="expired" if reason == "expired" else "released",
    )
    move(
        tx, at, f"hold_{reason}", [hold for hold, *_ in units], [sku for _, sku, _, _ in units],
        [node for _, _, node, _ in units], reserved=[-count for *_, count in units],
    )  # fmt: skip


def _again(fact: HoldPlaced, hashed: str, known: str) -> Held:
    if hashed == known:
        return Held(fact.id, "seen")
    return Held(fact.id, "conflict", "fact_conflict", "id", f"hold {fact.id!r} is there, with other content")


def _node_numbers(tx: Tx, ids: set[str]) -> dict[str, int]:
    if not ids:
        return {}
    return dict(tx.all("SELECT n.id, n.no FROM {rows} JOIN node n ON n.id = rows.id", Rows(id=sorted(ids))))


def _lock_free(tx: Tx, skus: list[int]) -> _Free:
    """Lock whatever could be held of SKUs, and say how much that is."""
    if not skus:
        return _Free({})
    found = tx.all(
        "SELECT s.sku_no, s.node_no, s.on_hand - s.reserved - s.safety_sell FROM {rows} "
        "JOIN stock s ON s.sku_no = rows.no JOIN node n ON n.no = s.node_no "
        "WHERE s.on_hand - s.reserved - s.safety_sell > 0 AND NOT n.paused ORDER BY s.sku_no, s.node_no"
        + (" FOR NO KEY UPDATE OF s" if tx.locking else ""),
        Rows(no=skus),
    )
    return _Free({(sku, node): units for sku, node, units in found})


def _choose(
    fact: HoldPlaced, hashed: str, channels: dict[str, int], nodes: dict[str, int], sales: Sales, free: _Free
) -> _Taken | Held:
    """Where the units of a hold are kept; they are taken from what is free, and from the allotment."""

    def refuse(i: int, field: str, code: str, problem: str) -> Held:
        return Held(fact.id, "refused", code, f"units[{i}].{field}", problem)

    if fact.channel not in channels:
        return Held(fact.id, "refused", "unknown_channel", "channel", f"there is no channel {fact.channel!r}")
    if fact.until <= fact.at:
        return Held(fact.id, "refused", "bad_input", "until", "a hold ends after it begins")
    for i, unit in enumerate(fact.units):
        if unit.sku not in sales.skus:
            return refuse(i, "sku", "unknown_sku", f"there is no SKU {unit.sku!r}")
        if unit.node is not None and unit.node not in nodes:
            return refuse(i, "node", "unknown_node", f"there is no node {unit.node!r}")
    before = dict(free.units)
    taken: dict[tuple[int, int], int] = defaultdict(int)
    wanted: dict[int, int] = defaultdict(int)
    for unit in fact.units:
        wanted[sales.skus[unit.sku].no] += unit.units
    skus = {sku.no: sku for sku in sales.skus.values()}
    whole = [n for n in free.nodes if all(free.kits(skus[no], n) >= count for no, count in wanted.items())]
    for i, unit in enumerate(fact.units):
        sku = sales.skus[unit.sku]
        kept = sales.kept(fact.channel, sku.no)
        total = sum(free.kits(sku, node) for node in free.nodes) - kept
        named = None if unit.node is None else nodes[unit.node]
        best = sorted(free.nodes, key=lambda node: (node not in whole, -free.kits(sku, node), node))
        left = unit.units if total >= unit.units else -1
        for node in best if named is None else [named]:
            count = min(left, free.kits(sku, node))
            if count > 0:
                free.take(sku, node, count)
                for part, each in sku.parts:
                    taken[part, node] += each * count
                left -= count
        if left:
            free.units = before
            return refuse(i, "units", "not_enough_stock", f"{max(total, 0)} units are free to hold")
    # what is held is there: no presale
    sold = [replace(sales.sale(fact.channel, sales.skus[unit.sku], unit.units, fact.at), presale=False)
            for unit in fact.units]  # fmt: skip
    problem = sales.refuse(fact.channel, sold, [0] * len(sold))
    if problem is not None:
        free.units = before
        return refuse(problem[0], "units", problem[1], problem[2])
    counted: dict[int, int] = defaultdict(int)
    for sale in sold:
        if sale.allotted:
            counted[sale.sku.no] += sale.units
    return _Taken(fact, hashed, dict(taken), counted)


def _insert(tx: Tx, taken: Sequence[_Taken], by: str) -> set[str]:
    """Write holds down, and say which were new."""
    if not taken:
        return set()
    kept = {
        hold
        for (hold,) in tx.all(
            "INSERT INTO hold (id, channel, placed_at, until, content) "
            "SELECT id, channel, placed_at, until, content FROM {rows} WHERE true ORDER BY id "
            "ON CONFLICT (id) DO NOTHING RETURNING id",
            Rows(
                id=[one.fact.id for one in taken],
                channel=[one.fact.channel for one in taken],
                placed_at=[one.fact.at for one in taken],
                until=[one.fact.until for one in taken],
                content=[one.content for one in taken],
            ),
        )
    }
    new = [one for one in taken if one.fact.id in kept]
    units = [(one.fact.id, sku, node, count) for one in new for (sku, node), count in one.units.items()]
    if units:
        holds, skus, nodes, counts = (list(column) for column in zip(*units, strict=True))
        tx.run(
            "INSERT INTO hold_unit (hold, sku_no, node_no, units) SELECT hold, sku_no, node_no, units FROM {rows}",
            Rows(hold=holds, sku_no=skus, node_no=nodes, units=counts),
        )
        _count(tx, new)
        move(tx, new[0].fact.at, "hold_placed", holds, skus, nodes, reserved=counts)
        write_facts(tx, [one.fact for one in new], by)
    return kept


def _count(tx: Tx, new: Sequence[_Taken]) -> None:
    """What is held counts as sold of allotments, until the hold ends."""
    rows = [(one.fact.id, sku, count) for one in new for sku, count in one.counted.items()]
    if not rows:
        return
    holds, skus, counts = (list(column) for column in zip(*rows, strict=True))
    tx.run(
        "INSERT INTO hold_allotted (hold, sku_no, units) SELECT hold, sku_no, units FROM {rows}",
        Rows(hold=holds, sku_no=skus, units=counts),
    )
    sold: dict[tuple[str, int], int] = defaultdict(int)
    for one in new:
        for sku, count in one.counted.items():
            sold[one.fact.channel, sku] += count
    count_sold(tx, {}, sold)
