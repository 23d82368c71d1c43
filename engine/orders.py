"""The life of an order before it is released: placed, looked at, changed, cancelled, and leased to be decided.

What is given up goes back at once: stock is free again, and so are allotments and what may be presold.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from engine.claims import Tied, free_claims, lock_orders, shift_units, tied
from engine.database import Rows, Tx, decoded
from engine.facts import (
    LINES,
    MOST_WORTH,
    Fact,
    LineUnits,
    OrderCancelled,
    OrderEdited,
    OrderedLine,
    OrderReviewed,
    check_opaque,
    short_id,
)
from engine.ledger import write_facts
from engine.placing import Placed, place, read_terms, too_much
from engine.selling import Sales, count_sold
from solver.refusal import Refusal

LATER = ("released", "shipped", "delivered", "returned")
"""States of units that are beyond an edit."""
PERSONAL = ("name", "address", "contact", "locale")
"""What is written down of a recipient."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as changes see it."""

    number: int
    sku_no: int
    sku: str
    presale: bool
    allotted: bool
    open: int
    allocated: int

    @property
    def unreleased(self) -> int:
        return self.open + self.allocated


@dataclass(frozen=True, slots=True)
class Locked:
    """An order that nobody else changes until this transaction ends."""

    no: int
    id: str
    channel: str
    version: int
    review: bool
    later: int
    """Units that were released or went further."""
    pickup: bool
    lines: tuple[Line, ...]


def lock_order(tx: Tx, order_id: str) -> Locked:
    """Lock an order and read it.

    Raises
    ------
    Refusal
        `unknown_order`.
    """
    found = tx.first("SELECT no FROM orders WHERE id = :id", id=order_id)
    if found is None:
        raise Refusal("order", f"there is no order {order_id!r}", "unknown_order")
    lock_orders(tx, [found[0]])
    later = " + ".join(LATER)
    row = tx.first(f"SELECT no, id, channel, version, review, {later}, pickup FROM orders WHERE no = :no", no=found[0])
    assert row is not None, "orders are never deleted"
    lines = tx.all(
        "SELECT l.number, l.sku_no, s.id, l.presale, l.allotted, l.open, l.allocated FROM order_line l "
        "JOIN sku s ON s.no = l.sku_no WHERE l.order_no = :no ORDER BY l.number",
        no=found[0],
    )
    no, own_id, channel, version, review, further, pickup = row
    pickup = decoded(pickup)
    return Locked(no, own_id, channel, version, bool(review), further, bool(pickup),
                  tuple(Line(n, s, i, bool(p), bool(a), o, c) for n, s, i, p, a, o, c in lines))  # fmt: skip


def cancel(tx: Tx, fact: OrderCancelled, by: str = "") -> bool:
    """Cancel what is not released of an order, or some units of it: those that are open first.

    Returns
    -------
    Whether the fact is new.

    Raises
    ------
    Refusal
        `unknown_order`, `version_conflict`, `unknown_line`, or `not_cancellable` where units are released already.
    """
    if not _is_new(tx, fact, by):
        return False
    order = lock_order(tx, fact.order)
    _check_version(order, fact.version)
    _cancel_units(tx, order, _cancellable(order, fact.lines), fact.at, "cancelled")
    _end_review(tx, order)
    return True


def review(tx: Tx, fact: OrderReviewed, by: str = "") -> bool:
    """Let an order go on that was held for review, or cancel it.

    Raises
    ------
    Refusal
        `unknown_order`, or `not_in_review`.
    """
    if not _is_new(tx, fact, by):
        return False
    order = lock_order(tx, fact.order)
    if not order.review:
        raise Refusal("order", f"order {fact.order!r} is not held for review", "not_in_review")
    if fact.accepted:
        tx.run("UPDATE orders SET review = false, version = version + 1 WHERE no = :no", no=order.no)
    else:
        _cancel_units(tx, order, _cancellable(order, ()), fact.at, "review")
        _end_review(tx, order)
    return True


def edit(tx: Tx, fact: OrderEdited, by: str = "", *, revive: bool = False) -> bool:
    """Change an order that is not released. Where the new one may need other parcels, its claims are given back first.

    Parameters
    ----------
    revive
        Whether one may be changed that is cancelled whole: where it goes on elsewhere.

    Raises
    ------
    Refusal
        `unknown_order`, `order_cancelled`, `version_conflict`, `unknown_line`, `unknown_sku`, `already_released` where what is
        changed is under way;
        and what refuses a new order: `not_enough_stock`, `allotment_sold_out`, `presale_sold_out`, `no_destination`.
    """
    if not _is_new(tx, fact, by):
        return False
    order = lock_order(tx, fact.order)
    _check_version(order, fact.version)
    if not revive and not order.later and not any(line.unreleased for line in order.lines):
        raise Refusal("order", f"order {fact.order!r} is cancelled whole; place a new one", "order_cancelled")
    fewer, more = _quantities(order, fact)
    if order.later and (fact.place is not None or fact.pickup is not None):
        raise Refusal("place", "a part of the order is on its way already", "already_released")
    if fact.pickup is not None:
        _check_pickup(tx, order, fact)
    if fewer:
        _cancel_units(tx, order, fewer, fact.at, "edited")
    if more or fact.added:
        _add_units(tx, order, more, fact)
    if any(x is not None for x in (fact.place, fact.pickup, fact.promise_day, fact.max_parcels, fact.ship_complete)):
        free_claims(tx, fact.at, "edited", tied(tx, [order.no]))
    _set_fields(tx, order, fact)
    _end_review(tx, order)
    return True


def expire_orders(tx: Tx, now: int, limit: int = 100) -> int:
    """Cancel what is not released of orders whose time is up, and say how many there were."""
    due = tx.all(
        "SELECT no, id FROM orders WHERE cancel_at <= :now AND open + allocated > 0 ORDER BY no LIMIT :limit",
        now=now,
        limit=limit,
    )
    lock_orders(tx, [no for no, _ in due])
    count = 0
    for _, order_id in due:
        order = lock_order(tx, order_id)
        units = _left(order)
        still = tx.value("SELECT cancel_at <= :now FROM orders WHERE no = :no", now=now, no=order.no)
        if units and still:
            write_facts(tx, [OrderCancelled(id=short_id("end", order_id, str(order.version)), at=now, order=order_id,
                                            reason="time is up")])  # fmt: skip
            _cancel_units(tx, order, units, now, "expired")
            _end_review(tx, order)
            count += 1
    return count


def lease_orders(tx: Tx, by: str, now: int, until: int, limit: int, *, unserved_only: bool = False) -> list[int]:
    """Take orders to decide about them; nobody else gets them until then, or until they are given back.

    Parameters
    ----------
    by
        Who takes them.
    unserved_only
        Only those with open units; else everything that is not released.

    Returns
    -------
    list of int
        Numbers, the most urgent first: by priority, then by when they were placed. Where there are more than the limit,
        those of one priority with open units are taken before those that have all of theirs.
    """
    wanted = "open > 0" if unserved_only else "open + allocated > 0"
    skip = " FOR NO KEY UPDATE SKIP LOCKED" if tx.locking else ""
    found = tx.all(
        f"SELECT no FROM (SELECT no, priority, placed_at FROM orders WHERE {wanted} AND NOT review "
        "AND (leased_until IS NULL OR leased_until <= :now) AND (cancel_at IS NULL OR cancel_at > :now) "
        f"ORDER BY priority, open = 0, placed_at, no LIMIT :limit{skip}) AS chosen ORDER BY priority, placed_at, no",
        now=now,
        limit=limit,
    )
    numbers = [no for (no,) in found]
    if numbers:
        tx.run(
            "UPDATE orders SET leased_by = :by, leased_until = :until FROM {rows} WHERE orders.no = rows.no",
            Rows(no=numbers),
            by=by,
            until=until,
        )
    return numbers


def unlease_orders(tx: Tx, by: str, order_no: Sequence[int]) -> int:
    """Give orders back that were leased, and say how many still were."""
    if not order_no:
        return 0
    lock_orders(tx, order_no)
    return tx.run(
        "UPDATE orders SET leased_by = NULL, leased_until = NULL FROM {rows} "
        "WHERE orders.no = rows.no AND orders.leased_by = :by",
        Rows(no=list(order_no)),
        by=by,
    )


@dataclass(frozen=True, slots=True)
class Person:
    """A recipient: all that is personal."""

    id: str
    name: str | None = None
    address: str | None = None
    contact: str | None = None
    locale: str | None = None


def remember(tx: Tx, people: Sequence[Person], at: int) -> None:
    """Write down recipients, or what is new about them; one who was erased stays so.

    Parameters
    ----------
    at
        When that is: who never orders is erased by age from then on.

    Raises
    ------
    Refusal
        `recipient_erased`, or `personal_id`: the id itself says who it is.
    """
    if not people:
        return
    for person in people:
        check_opaque("recipient", person.id)
    last = {person.id: person for person in people}
    ids = sorted(last)
    columns = {name: [getattr(last[one], name) for one in ids] for name in PERSONAL}
    text = "::text" if tx.dialect == "postgresql" else ""
    tx.run(
        f"INSERT INTO recipient (id, active_at, {', '.join(PERSONAL)}) "
        f"SELECT id, :at, {', '.join(name + text for name in PERSONAL)} "
        "FROM {rows} WHERE true ORDER BY id ON CONFLICT (id) DO UPDATE SET "
        "active_at = CASE WHEN recipient.active_at < excluded.active_at THEN excluded.active_at ELSE recipient.active_at END, "
        f"{', '.join(f'{name} = excluded.{name}' for name in PERSONAL)} WHERE NOT recipient.erased",
        Rows(id=ids, **columns),
        at=at,
    )
    erased = tx.first("SELECT r.id FROM {rows} JOIN recipient r ON r.id = rows.id WHERE r.erased", Rows(id=ids))
    if erased is not None:
        raise Refusal("recipient", f"recipient {erased[0]!r} was erased; take a new id", "recipient_erased")


def _is_new(tx: Tx, fact: Fact, by: str) -> bool:
    (new,) = write_facts(tx, [fact], by)
    return new


def _check_version(order: Locked, version: int | None) -> None:
    if version is not None and version != order.version:
        raise Refusal("version", f"the order has version {order.version} by now, not {version}", "version_conflict")


def _left(order: Locked) -> dict[int, int]:
    """Units by line that are not released."""
    return {line.number: line.unreleased for line in order.lines if line.unreleased}


def _cancellable(order: Locked, wanted: Sequence[LineUnits]) -> dict[int, int]:
    """Units by line that can be cancelled, as asked: everything that is not released where nothing is said."""
    left = _left(order)
    if not wanted:
        if not left:
            told = "nothing of it is left to cancel: what is released must be rejected first, and what has left can come back"
            raise Refusal("order", told, "not_cancellable")
        return left
    units: dict[int, int] = defaultdict(int)
    known = {line.number for line in order.lines}
    for i, one in enumerate(wanted):
        if one.line not in known:
            raise Refusal(f"lines[{i}].line", f"the order has no line {one.line}", "unknown_line")
        units[one.line] += one.units
        if units[one.line] > left.get(one.line, 0):
            raise Refusal(f"lines[{i}].units", f"{left.get(one.line, 0)} units of line {one.line} can be cancelled",
                          "not_cancellable")  # fmt: skip
    return units


def _cancel_units(tx: Tx, order: Locked, units: dict[int, int], at: int, cause: str) -> None:
    lines = {line.number: line for line in order.lines}
    presold: dict[int, int] = defaultdict(int)
    sold: dict[tuple[str, int], int] = defaultdict(int)
    for number, count in units.items():
        if lines[number].presale:
            presold[lines[number].sku_no] -= count
        if lines[number].allotted:
            sold[order.channel, lines[number].sku_no] -= count
    count_sold(tx, presold, sold)
    allocated = {number: count - lines[number].open for number, count in units.items() if count > lines[number].open}
    if allocated:
        free_claims(tx, at, cause, _least_first(tied(tx, [order.no]), allocated))
    shift_units(tx, [order.no] * len(units), list(units), list(units.values()), "open", "cancelled")


def _end_review(tx: Tx, order: Locked) -> None:
    """Nobody reviews an order of which nothing is left to decide; called when a change of it is whole."""
    if order.review:
        tx.run("UPDATE orders SET review = false WHERE no = :no AND open + allocated = 0", no=order.no)


def _least_first(given: Sequence[Tied], units: dict[int, int]) -> list[Tied]:
    """Which claims to give back for so many units of each line: the smallest, so that parcels are saved."""
    left = dict(units)
    taken = []
    for one in sorted(given, key=lambda t: (t.line_units, -t.node_no, t.service)):
        count = min(left.get(one.number, 0), one.line_units)
        if count:
            taken.append(Tied(one.order_no, one.number, one.node_no, one.service, count))
            left[one.number] -= count
    assert not any(left.values()), "what is allocated is tied"
    return taken


def _quantities(order: Locked, fact: OrderEdited) -> tuple[dict[int, int], dict[int, int]]:
    """Units fewer and units more, by line."""
    lines = {line.number: line for line in order.lines}
    fewer, more = {}, {}
    for i, wanted in enumerate(fact.lines):
        if wanted.line not in lines:
            raise Refusal(f"lines[{i}].line", f"the order has no line {wanted.line}", "unknown_line")
        if wanted.line in fewer or wanted.line in more:
            raise Refusal(f"lines[{i}].line", f"line {wanted.line} is named twice", "bad_input")
        change = wanted.qty - lines[wanted.line].unreleased
        if change < 0:
            fewer[wanted.line] = -change
        elif change > 0:
            more[wanted.line] = change
    return fewer, more


def _check_pickup(tx: Tx, order: Locked, fact: OrderEdited) -> None:
    assert fact.pickup is not None
    found = {}
    if fact.pickup:
        found = dict(
            tx.all("SELECT n.id, n.collects FROM {rows} JOIN node n ON n.id = rows.id", Rows(id=list(fact.pickup)))
        )
    elif fact.place is None and tx.value("SELECT lat IS NULL FROM orders WHERE no = :no", no=order.no):
        raise Refusal("pickup", "say where it is delivered (`place`) or collected (`pickup`)", "no_destination")
    for i, node in enumerate(fact.pickup):
        if node not in found:
            raise Refusal(f"pickup[{i}]", f"there is no node {node!r}", "unknown_node")
        if not found[node]:
            raise Refusal(f"pickup[{i}]", f"customers may not collect at {node!r}", "node_does_not_collect")


def _add_units(tx: Tx, order: Locked, more: dict[int, int], fact: OrderEdited) -> None:
    """Units more of lines, and new lines, as far as they may be sold."""
    lines = {line.number: line for line in order.lines}
    wanted = [OrderedLine(sku=lines[number].sku, qty=units) for number, units in more.items()] + list(fact.added)
    places = [f"lines[{number}].qty" for number in more] + [f"added[{i}].qty" for i in range(len(fact.added))]
    safety = tx.value("SELECT safety FROM channel WHERE id = :id", id=order.channel)
    sales = Sales.read(tx, {order.channel: safety}, {line.sku for line in wanted})
    for i, line in enumerate(fact.added):
        if line.sku not in sales.skus:
            raise Refusal(f"added[{i}].sku", f"there is no SKU {line.sku!r}", "unknown_sku")
    sold = [sales.sale(order.channel, sales.skus[line.sku], line.qty, fact.at) for line in wanted]
    for i, number in enumerate(more):  # a line counts against the limits that it was sold under
        sold[i] = replace(sold[i], presale=lines[number].presale, allotted=lines[number].allotted)
    problem = sales.refuse(order.channel, sold, [0] * len(sold))
    if problem is not None:
        which, code, text = problem
        raise Refusal(places[which], text, code)
    count_sold(tx, sales.presold, sales.sold)
    if len(order.lines) + len(fact.added) > LINES:
        raise Refusal("added", f"an order has at most {LINES} lines", "too_many_lines")
    terms = read_terms(tx)
    if more:
        tx.run(
            "UPDATE order_line SET qty = order_line.qty + rows.units, open = order_line.open + rows.units FROM {rows} "
            "WHERE order_line.order_no = :no AND order_line.number = rows.number",
            Rows(number=list(more), units=list(more.values())),
            no=order.no,
        )
    if fact.added:
        new = sold[len(more) :]
        tx.run(
            "INSERT INTO order_line (order_no, number, sku_no, qty, unfilled_cents, price_cents, presale, allotted, open) "
            "SELECT :no, number, sku_no, qty, unfilled, price, presale, allotted, qty FROM {rows}",
            Rows(
                number=[len(order.lines) + 1 + i for i in range(len(new))],
                sku_no=[sale.sku.no for sale in new],
                qty=[sale.units for sale in new],
                unfilled=[
                    terms.open_cents(line.unfilled_cents, sale.sku.unfilled_cents, line.price_cents)
                    for sale, line in zip(new, fact.added, strict=True)
                ],
                price=[line.price_cents for line in fact.added],
                presale=[sale.presale for sale in new],
                allotted=[sale.allotted for sale in new],
            ),
            no=order.no,
        )
    tx.run("UPDATE orders SET open = open + :units WHERE no = :no", units=sum(sale.units for sale in sold), no=order.no)
    worth = tx.value("SELECT SUM(qty * unfilled_cents) FROM order_line WHERE order_no = :no", no=order.no)
    if worth > MOST_WORTH:
        raise Refusal("added" if fact.added else "lines", too_much(int(worth)), "too_much")


def _set_fields(tx: Tx, order: Locked, fact: OrderEdited) -> None:
    values: dict[str, Any] = {
        name: getattr(fact, name)
        for name in ("priority", "promise_day", "late_cents", "max_parcels", "ship_complete", "cancel_at")
        if getattr(fact, name) is not None
    }
    if fact.promise_day is not None:
        values["promised"] = False
    if fact.place is not None:
        values |= {"lat": fact.place.lat, "lon": fact.place.lon, "region": fact.place.region}
    if fact.pickup is not None:
        values["pickup"] = msgspec.json.encode(fact.pickup).decode()
    sets = [f"{name} = {tx.json(':pickup') if name == 'pickup' else f':{name}'}" for name in values]
    tx.run(f"UPDATE orders SET {', '.join([*sets, 'version = version + 1'])} WHERE no = :no", no=order.no, **values)


__all__ = [
    "Line",
    "Locked",
    "Person",
    "Placed",
    "cancel",
    "edit",
    "expire_orders",
    "free_claims",
    "lease_orders",
    "lock_order",
    "lock_orders",
    "place",
    "remember",
    "review",
    "unlease_orders",
]
