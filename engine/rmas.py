"""The rows of returns: found, locked by their order, and added up; the units of a return that are where."""

from dataclasses import dataclass
from typing import Any

from engine.claims import lock_orders
from engine.database import Rows, Tx, decoded
from engine.facts import ReturnReason
from solver.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Locked:
    """A return that nobody else changes until this transaction ends: its order is locked."""

    no: int
    id: str
    order_no: int
    order: str
    wanted: str
    how: str
    review: bool
    state: str
    node_no: int | None
    carriage_cents: int | None
    label_cents: int
    exchange_no: int | None
    exchange_cents: int
    awaited: int
    received: int
    inspected: int


@dataclass(frozen=True, slots=True)
class Line:
    """Units of a SKU of a line of a return. `tags` are of the line's SKU, which is made of `pieces` units of SKUs."""

    consignment_no: int
    number: int
    sku_no: int
    reason: ReturnReason
    tags: tuple[str, ...]
    price_cents: int
    pieces: int
    to_look_at: int


_LOCKED = (
    "SELECT r.no, r.id, r.order_no, o.id, r.wanted, r.how, r.review, r.state, r.node_no, r.carriage_cents, r.label_cents, "
    "r.exchange_no, r.exchange_cents, r.awaited, r.received, r.inspected FROM rma r JOIN orders o ON o.no = r.order_no"
)


def lock_return(tx: Tx, id: str) -> Locked:
    """Lock a return by its order.

    Raises
    ------
    Refusal
        `unknown_return`.
    """
    found = tx.first("SELECT no, order_no FROM rma WHERE id = :id", id=id)
    if found is None:
        raise Refusal("rma", f"there is no return {id!r}", "unknown_return")
    lock_orders(tx, [found[1]])
    return read_return(tx, found[0])


def read_return(tx: Tx, no: int) -> Locked:
    """A return whose order is locked."""
    row = tx.first(f"{_LOCKED} WHERE r.no = :no", no=no)
    assert row is not None, "returns are never deleted"
    no, id, order_no, order, wanted, how, review, *rest = row
    return Locked(no, id, order_no, order, wanted, how, bool(review), *rest)


def lines_of(tx: Tx, one: Locked) -> list[Line]:
    """The lines of a return, and how many of their units nobody has looked at yet."""
    rows = tx.all(
        "SELECT r.consignment_no, r.number, r.sku_no, r.reason, s.tags, COALESCE(l.price_cents, 0), "
        "(SELECT SUM(c.units / c.line_units) FROM consignment_line c WHERE c.consignment_no = r.consignment_no "
        "AND c.number = r.number AND c.line_units > 0), r.awaited + r.received FROM rma_line r JOIN order_line l "
        "ON l.order_no = :order AND l.number = r.number JOIN sku s ON s.no = l.sku_no WHERE r.rma_no = :no",
        order=one.order_no, no=one.no,
    )  # fmt: skip
    return [
        Line(consignment, number, sku, reason, tuple(decoded(tags)), price, int(pieces), left)
        for consignment, number, sku, reason, tags, price, pieces, left in rows
    ]


def add_up(tx: Tx, no: int, *, ended: str | None = None) -> None:
    """Let a return have the sums over its lines; say how it ended where nothing of it is left."""
    text = "::text" if tx.dialect == "postgresql" else ""
    sums = ", ".join(
        f"{name} = (SELECT COALESCE(SUM({name}), 0) FROM rma_line WHERE rma_no = :no)"
        for name in ("awaited", "received", "inspected", "closed")
    )
    tx.run(
        f"UPDATE rma SET {sums}, ended = COALESCE(ended, :ended{text}), version = version + 1 WHERE no = :no",
        no=no,
        ended=ended,
    )


def close_awaited(tx: Tx, no: int, ended: str) -> None:
    """What has not come is not to come any more."""
    tx.run("UPDATE rma_line SET closed = closed + awaited, awaited = 0 WHERE rma_no = :no AND awaited > 0", no=no)
    tx.run("UPDATE rma SET review = :no_more WHERE no = :no", no_more=False, no=no)
    add_up(tx, no, ended=ended)


def make_room(tx: Tx, consignment_no: int, first: int) -> None:
    """Await no more units of a consignment than can still come; the newest returns give way, one of them (`first`) last."""
    found = tx.all(
        "SELECT l.rma_no, l.number, l.sku_no, l.awaited, c.units - c.returned FROM rma_line l "
        "JOIN consignment_line c ON c.consignment_no = l.consignment_no AND c.number = l.number AND c.sku_no = l.sku_no "
        "WHERE l.consignment_no = :no AND l.awaited > 0",
        no=consignment_no,
    )
    left: dict[tuple[int, int], int] = {}
    gone: list[tuple[int, int, int, int]] = []
    for rma_no, number, sku_no, awaited, can_come in sorted(found, key=lambda row: (row[0] != first, row[0])):
        room = left.setdefault((number, sku_no), can_come)
        kept = min(awaited, room)
        left[number, sku_no] = room - kept
        if kept < awaited:
            gone.append((rma_no, number, sku_no, awaited - kept))
    if not gone:
        return
    numbers, lines, skus, units = (list(column) for column in zip(*gone, strict=True))
    tx.run(
        "UPDATE rma_line SET closed = rma_line.closed + rows.units, awaited = rma_line.awaited - rows.units FROM {rows} "
        "WHERE rma_line.rma_no = rows.rma_no AND rma_line.consignment_no = :consignment "
        "AND rma_line.number = rows.number AND rma_line.sku_no = rows.sku_no",
        Rows(rma_no=numbers, number=lines, sku_no=skus, units=units),
        consignment=consignment_no,
    )
    for no in sorted(set(numbers)):
        add_up(tx, no, ended="cancelled")
        tx.run("UPDATE rma SET review = :no_more WHERE no = :no AND awaited = 0", no_more=False, no=no)


def ids_of(tx: Tx, table: str, numbers: Any) -> dict[int, str]:
    """The ids of SKUs or nodes by their numbers."""
    wanted = sorted(set(numbers))
    if not wanted:
        return {}
    return dict(tx.all(f"SELECT t.no, t.id FROM {{rows}} JOIN {table} t ON t.no = rows.no", Rows(no=wanted)))


__all__ = ["Line", "Locked", "add_up", "close_awaited", "ids_of", "lines_of", "lock_return", "make_room", "read_return"]
