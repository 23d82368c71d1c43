"""A snapshot: orders and the stock they may have, as they stand in the database, in the columns that deciding takes.

What these orders hold already counts as free for them: a decision is about all that is not released.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.calendar import MS_PER_DAY, MS_PER_MINUTE
from engine.catalogue import Catalogue
from engine.database import Ask, Rows, Tx, decoded, ints_of
from engine.groups import groups_of
from engine.network import Stock, sorted_stock
from engine.rules import Rejections, restrict
from engine.sourcing import OpenOrders, build_problem, parts_of, working_days
from solver.problem import DELIVERED, HARD, NO_LIMIT, Bools, Floats, Ints, Problem

PROMISED_LATE_CENTS = 1_000_00
"""What a day after the promise costs at least, once it was told to the customer."""


@dataclass(frozen=True, eq=False)
class Held:
    """What orders hold now: C claims, by index of the order, line and node in the snapshot."""

    order: Ints
    line: Ints
    node: Ints
    service: tuple[str, ...]
    units: Ints
    """Of the line."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """O orders with something not released, L lines, the stock for them.

    Attributes
    ----------
    order_no, order_version, order_channel, order_promised
        (O,) number, version as read, index of the channel, whether a day was promised already.
    line_number
        (L,) the number of each line in its order.
    line_allocated
        (L,) units that have a claim now.
    arrives_day
        (O,) the last day on which what an order holds now would arrive; -1 where it holds nothing.
    working_day
        (J,) the day whose work a decision joins.
    limited
        Numbers of the nodes that take no more than so much on that day.
    left
        (J,) parcels, and (J,) units, that each node can still make then.
    """

    catalogue: Catalogue
    at: int
    orders: OpenOrders
    order_no: Ints
    order_version: Ints
    order_channel: Ints
    order_region: tuple[str, ...]
    order_promised: Bools
    line_number: Ints
    line_allocated: Ints
    arrives_day: Ints
    held: Held
    stock: Stock
    working_day: Ints
    limited: Ints
    left: tuple[Ints, Ints]
    rejections: Rejections

    @property
    def minute(self) -> int:
        return self.at // MS_PER_MINUTE

    @property
    def today(self) -> int:
        return self.at // MS_PER_DAY

    def problem(self, *, stock_values: bool, overdue: bool = False) -> Problem:
        """Ask how to serve these orders.

        Parameters
        ----------
        stock_values
            Whether a unit of stock counts what it was worth to other orders in the last wave.
        overdue
            Whether lateness that cannot be helped any more counts for nothing: days before today are over, and a further
            one costs what the order says, promised or not. Else a day after the promise costs at least
            `PROMISED_LATE_CENTS` once it was told.
        """
        stock, orders = self.stock, self.orders
        if not stock_values:
            stock = Stock(stock.node, stock.sku, stock.units, np.zeros_like(stock.value_cents))
        if overdue:
            orders = replace(orders, order_promise_day=np.maximum(orders.order_promise_day, self.today))
        else:
            late = orders.order_late_cents
            told = np.where(self.order_promised, np.maximum(late, PROMISED_LATE_CENTS), late)
            orders = replace(orders, order_late_cents=told)
        problem = build_problem(
            self.catalogue.columns, stock, orders, at=self.minute,
            parcels_left=self.left[0], units_left=self.left[1], kits=self.catalogue.kits,
        )  # fmt: skip
        return restrict(problem, self.catalogue, self.order_channel, self.order_region, self.rejections)


def read_snapshot(tx: Tx, catalogue: Catalogue, order_no: Ints, at: int, sku: Ints | None = None) -> Snapshot:
    """Read orders, lines and claims, and the free stock of all SKUs that they ask for.

    Parameters
    ----------
    order_no
        In the order in which they choose, where they do so in turn. Those that have nothing open or allocated are left out.
    at
        Milliseconds.
    sku
        Indices of the SKUs that they ask for, where these are known before: their stock is then read with all else.
    """
    wanted = Rows(rank=np.arange(len(order_no)), no=order_no)
    working = working_days(catalogue.columns, at // MS_PER_MINUTE)
    rows, of_lines, claims, of_parcels, refused, work, *free = tx.together(
        Ask(_ORDERS, wanted),
        Ask(_LINES, wanted),
        Ask(_CLAIMS, wanted),
        Ask(_PARCELS, wanted),
        Ask(_REJECTIONS, wanted, at=at),
        Ask(_WORK, Rows(no=catalogue.node_no, day=working)),
        *([] if sku is None else [_ask_free(catalogue, sku)]),
    )
    index = np.full(len(order_no), -1, dtype=np.int64)
    index[[row[0] for row in rows]] = np.arange(len(rows))
    lines, parcels, rejected = (
        ints_of(found, width) for found, width in ((of_lines, 6), (of_parcels, 4), (refused, 3))
    )
    lines = lines[:, index[lines[0]] >= 0]
    line_order = index[lines[0]]
    claim = ints_of([row[:6] for row in claims], 6)
    line_sku = catalogue.skus_of(lines[2])
    held = _held(catalogue, index, claim, tuple(row[6] for row in claims), line_order, lines[1])
    capacity = left_today(catalogue, work)
    return Snapshot(
        catalogue=catalogue,
        at=at,
        orders=_orders(tx, catalogue, rows, line_order, line_sku, lines),
        order_no=np.array([row[1] for row in rows], dtype=np.int64),
        order_version=np.array([row[3] for row in rows], dtype=np.int64),
        order_channel=np.array([catalogue.channel_at[row[4]] for row in rows], dtype=np.int64),
        order_region=tuple(row[5] for row in rows),
        order_promised=np.array([row[6] for row in rows], dtype=np.bool_),
        line_number=lines[1],
        line_allocated=lines[4],
        arrives_day=_arrivals(index, parcels, len(rows)),
        held=held,
        stock=_with_own(catalogue, _stock(catalogue, free[0]) if free else free_stock(tx, catalogue, line_sku), claim),
        working_day=working,
        limited=_limited(catalogue, work),
        left=_left(catalogue, capacity, working, parcels, held, index),
        rejections=_rejected(catalogue, index, rejected),
    )


_ORDERS = (
    "SELECT rank, o.no, o.id, o.version, o.channel, o.region, o.promised, o.promise_day, o.late_cents, o.max_parcels, "
    "o.ship_complete, o.lat, o.lon, o.pickup FROM {rows} JOIN orders o ON o.no = rows.no "
    "WHERE o.open + o.allocated > 0 AND NOT o.review ORDER BY rank"
)
_LINES = (
    "SELECT rank, number, sku_no, open, allocated, unfilled_cents FROM {rows} "
    "JOIN order_line l ON l.order_no = rows.no WHERE l.open + l.allocated > 0 ORDER BY rank, number"
)
_CLAIMS = (
    "SELECT rank, number, c.sku_no, c.node_no, c.units, c.line_units, c.service FROM {rows} "
    "JOIN claim c ON c.order_no = rows.no"
)
_PARCELS = "SELECT rank, p.node_no, p.work_day, p.arrives_day FROM {rows} JOIN parcel p ON p.order_no = rows.no"
_REJECTIONS = "SELECT rank, r.node_no, r.times FROM {rows} JOIN rejection r ON r.order_no = rows.no WHERE r.until > :at"
_WORK = (
    "SELECT d.node_no, d.parcels, d.units, d.capacity_parcels, d.capacity_units FROM node_day d "
    "JOIN {rows} ON d.node_no = rows.no AND d.day = rows.day"
)


def _orders(
    tx: Tx, catalogue: Catalogue, rows: list[tuple[Any, ...]], line_order: Ints, line_sku: Ints, lines: Ints
) -> OpenOrders:
    """The orders as columns; parcels that have left an order count against what it may still make."""
    made = _parcels_made(tx, rows)
    dest_start, lat, lon, node = destinations(catalogue, [row[11:14] for row in rows])
    most = np.array([NO_LIMIT if row[9] is None else row[9] for row in rows], dtype=np.int64)
    promised = np.array([row[6] for row in rows], dtype=np.bool_)
    held_whole = (lines[3] == 0) & (lines[4] > 0)
    return OpenOrders(
        order_id=tuple(row[2] for row in rows),
        order_line_start=np.searchsorted(line_order, np.arange(len(rows) + 1)).astype(np.int64),
        order_dest_start=dest_start,
        order_promise_day=np.array([row[7] for row in rows], dtype=np.int64),
        order_late_cents=np.array([row[8] for row in rows], dtype=np.int64),
        order_max_parcels=np.maximum(1, most - np.where(most < NO_LIMIT, made, 0)),
        order_ship_complete=np.array([row[10] for row in rows], dtype=np.bool_),
        dest_node=node,
        dest_lat=lat,
        dest_lon=lon,
        line_sku=line_sku,
        line_qty=lines[3] + lines[4],
        line_unfilled_cents=lines[5],
        line_must_fill=held_whole & promised[line_order],
    )


def _parcels_made(tx: Tx, rows: list[tuple[Any, ...]]) -> Ints:
    """(O,) consignments that each order has already; asked only where an order limits them."""
    made = np.zeros(len(rows), dtype=np.int64)
    limited = [(i, row[1]) for i, row in enumerate(rows) if row[9] is not None]
    if limited:
        found = tx.ints(
            2,
            "SELECT i, COUNT(*) FROM {rows} JOIN consignment c ON c.order_no = rows.no WHERE c.state <> 'withdrawn' GROUP BY i",
            Rows(i=[i for i, _ in limited], no=[no for _, no in limited]),
        )
        made[found[0]] = found[1]
    return made


def destinations(catalogue: Catalogue, told: Sequence[tuple[float, float, Any]]) -> tuple[Ints, Floats, Floats, Ints]:
    """Where each order may end, by its latitude, longitude and stores of pickup.

    Returns
    -------
    tuple
        (O + 1,) where each order's places begin; (D,) latitude, longitude and node of each.
    """
    places = [_places(catalogue, *one) for one in told]
    start = np.concatenate([[0], np.cumsum([len(place) for place in places])]).astype(np.int64)
    lat, lon, node = np.array([one for place in places for one in place], dtype=np.float64).reshape(-1, 3).T
    return start, lat, lon, node.astype(np.int64)


def _places(catalogue: Catalogue, lat: float, lon: float, pickup: Any) -> list[tuple[float, float, int]]:
    """Latitude, longitude and node of every place where an order may end."""
    nodes = decoded(pickup)
    if not nodes:
        return [(lat, lon, DELIVERED)]
    empty = catalogue.columns.empty
    at = [catalogue.node_at[name] for name in nodes]
    return [(float(empty.node_lat[j]), float(empty.node_lon[j]), j) for j in at]


def _arrivals(index: Ints, parcels: Ints, orders: int) -> Ints:
    arrives = np.full(orders, -1, dtype=np.int64)
    own = index[parcels[0]] >= 0
    np.maximum.at(arrives, index[parcels[0][own]], parcels[3][own])
    return arrives


def _held(
    catalogue: Catalogue, index: Ints, claim: Ints, service: tuple[str, ...], line_order: Ints, line_number: Ints
) -> Held:
    """The claims by line; the parts of a kit stand for the same units of the line."""
    own = np.flatnonzero(index[claim[0]] >= 0)
    order, number = index[claim[0][own]], claim[1][own]
    span = int(line_number.max(initial=0)) + 1
    line = np.searchsorted(line_order * span + line_number, order * span + number)
    node = catalogue.nodes_of(claim[3][own])
    names, coded = np.unique(np.array(service, dtype=object)[own].astype(str), return_inverse=True)
    first = groups_of(line, node, coded).first
    return Held(
        order[first],
        line[first],
        node[first],
        tuple(str(names[c]) for c in coded[first].tolist()),
        claim[5][own][first],
    )


def free_stock(tx: Tx, catalogue: Catalogue, sku: Ints) -> Stock:
    """What is free to route of some SKUs, of the parts where they are kits; indices into the catalogue."""
    return _stock(catalogue, *tx.together(_ask_free(catalogue, sku)))


def _ask_free(catalogue: Catalogue, sku: Ints) -> Ask:
    asked = np.unique(sku)
    stocked = np.unique(parts_of(catalogue.kits, asked, asked)[1])
    return Ask(
        "SELECT s.sku_no, s.node_no, s.on_hand - s.reserved - s.safety_route, s.value_cents FROM stock s "
        "JOIN {rows} ON s.sku_no = rows.no WHERE s.on_hand > 0",
        Rows(no=catalogue.sku_no[stocked]),
    )


def _stock(catalogue: Catalogue, found: list[tuple[Any, ...]]) -> Stock:
    sku, node, units, value = ints_of(found, 4)
    return sorted_stock(catalogue.nodes_of(node), catalogue.skus_of(sku), np.maximum(0, units), value)


def read_left_today(tx: Tx, catalogue: Catalogue, working: Ints) -> tuple[Ints, Ints]:
    """(J,) parcels and units that each node can still make on its working day."""
    return left_today(catalogue, tx.all(_WORK, Rows(no=catalogue.node_no, day=working)))


def left_today(catalogue: Catalogue, work: list[tuple[Any, ...]]) -> tuple[Ints, Ints]:
    """(J,) the same, from the rows of those days."""
    parcels = catalogue.columns.empty.node_capacity_parcels.copy()
    units = catalogue.columns.node_capacity_units.copy()
    for no, made, picked, most_parcels, most_units in work:
        j = int(np.searchsorted(catalogue.node_no, no))
        parcels[j] = _less(parcels[j] if most_parcels is None else most_parcels, made)
        units[j] = _less(units[j] if most_units is None else most_units, picked)
    return parcels, units


def _limited(catalogue: Catalogue, work: list[tuple[Any, ...]]) -> Ints:
    """Numbers of the nodes that take no more than so much on a day."""
    columns = catalogue.columns
    hard = (columns.empty.node_capacity_parcels < NO_LIMIT) & (columns.empty.node_overtime_cents == HARD)
    hard |= columns.node_capacity_units < NO_LIMIT
    days = [row[0] for row in work if row[3] is not None or row[4] is not None]
    return np.union1d(catalogue.node_no[hard], np.array(days, dtype=np.int64))


def _less(capacity: int, used: int) -> int:
    return capacity if capacity >= NO_LIMIT else capacity - used


def _with_own(catalogue: Catalogue, stock: Stock, claim: Ints) -> Stock:
    """Count what some claims hold as free; claims on rows that are empty otherwise make rows of their own."""
    nodes = catalogue.columns.nodes
    own, of = np.unique(catalogue.skus_of(claim[2]) * nodes + catalogue.nodes_of(claim[3]), return_inverse=True)
    units = np.bincount(of, weights=claim[4], minlength=len(own)).astype(np.int64)
    key = stock.sku * nodes + stock.node
    at = np.searchsorted(key, own)
    assert (key[at] == own).all() if len(own) else True, "what is claimed is on hand"
    free = stock.units.copy()
    free[at] += units
    return replace(stock, units=free)


def _left(
    catalogue: Catalogue, left: tuple[Ints, Ints], working: Ints, parcels: Ints, held: Held, index: Ints
) -> tuple[Ints, Ints]:
    """(J,) parcels and units that nodes can still make, with what these orders have them make that day counted as free."""
    node = catalogue.nodes_of(parcels[1])
    today = (parcels[2] == working[node]) & (index[parcels[0]] >= 0)
    own_parcels = np.bincount(node[today], minlength=len(working))
    works_today = np.isin(held.order * len(working) + held.node, index[parcels[0][today]] * len(working) + node[today])
    own_units = np.bincount(held.node[works_today], weights=held.units[works_today], minlength=len(working))
    return (
        np.maximum(0, left[0] + np.where(left[0] < NO_LIMIT, own_parcels, 0).astype(np.int64)),
        np.maximum(0, left[1] + np.where(left[1] < NO_LIMIT, own_units, 0).astype(np.int64)),
    )


def _rejected(catalogue: Catalogue, index: Ints, found: Ints) -> Rejections:
    own = index[found[0]] >= 0
    return Rejections(index[found[0][own]], catalogue.nodes_of(found[1][own]), found[2][own])


__all__ = [
    "PROMISED_LATE_CENTS",
    "Held",
    "Snapshot",
    "destinations",
    "free_stock",
    "read_left_today",
    "read_snapshot",
]
