"""Sourcing: from open orders and free stock to a problem, and from a plan to what it takes.

The same code for one order and for a thousand: columns in, columns out, no object for a line or an option.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from engine.calendar import MINUTES_PER_DAY, Calendar, leaving_day, working_day
from engine.network import NetworkColumns, Stock
from solver.distance import lane_zones
from solver.plan import Plan
from solver.problem import NO_LIMIT, Bools, Floats, Ints, Problem, Shorts

REASONS = ("", "node_cannot_handle")


@dataclass(frozen=True, eq=False)
class OpenOrders:
    """Orders with something left to ship: O orders, L lines, D destinations.

    Attributes
    ----------
    order_line_start, order_dest_start
        (O + 1,) the lines and the alternative destinations of an order are contiguous.
    order_promise_day
        (O,) the day told to the customer, counted from 1970-01-01; it may have passed.
    order_max_parcels
        (O,) parcels that are still allowed (`NO_LIMIT`), at least 1.
    dest_node
        (D,) the node where the order is collected, or `DELIVERED`.
    line_sku
        (L,) indices into the SKUs of the network.
    line_qty
        (L,) what is still open, at least 1.
    """

    order_id: tuple[str, ...]
    order_line_start: Ints
    order_dest_start: Ints
    order_promise_day: Ints
    order_late_cents: Ints
    order_max_parcels: Ints
    order_ship_complete: Bools
    dest_node: Ints
    dest_lat: Floats
    dest_lon: Floats
    line_sku: Ints
    line_qty: Ints
    line_unfilled_cents: Ints
    line_must_fill: Bools

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        assert (self.order_max_parcels >= 1).all(), "an order that may make no more parcels is not open"


@dataclass(frozen=True, eq=False)
class Kits:
    """SKUs that are made of others and have no stock of their own: N kits, P parts.

    Attributes
    ----------
    sku
        (N,) ascending.
    part_start
        (N + 1,) the parts of a kit are contiguous.
    part_sku, part_units
        (P,) what one kit is made of.
    """

    sku: Ints
    part_start: Ints
    part_sku: Ints
    part_units: Ints


_NONE = np.zeros(0, dtype=np.int64)
NO_KITS = Kits(_NONE, np.zeros(1, dtype=np.int64), _NONE, _NONE)


def ranges(start: Ints, count: Ints) -> Ints:
    """The numbers from each start on, as many as counted, one range after the other."""
    before = np.cumsum(count) - count
    return np.repeat(start - before, count) + np.arange(count.sum())


def working_days(network: NetworkColumns, at: int) -> Ints:
    """(J,) the day whose work an order decided at minute `at` joins: a later one after the cut-off, or when closed."""
    return _by_calendar(network, network.node_cut_off, lambda calendar, cut_off: working_day(calendar, at, cut_off))


def leaving_days(network: NetworkColumns, working: Ints) -> Ints:
    """(J,) the day on which goods picked on each node's working day are handed over."""
    span = int(working.max(initial=0)) + 1
    return _by_calendar(
        network,
        network.empty.node_ready_days * span + working,
        lambda calendar, both: leaving_day(calendar, both % span, both // span),
    )


def _by_calendar(network: NetworkColumns, number: Ints, day: Callable[[Calendar, int], int]) -> Ints:
    """(J,) a day by each node's calendar and a number of its own; nodes mostly share them, so each pair is asked once."""
    pairs = [(id(calendar), n) for calendar, n in zip(network.node_calendar, number.tolist(), strict=True)]
    of = dict(zip(pairs, network.node_calendar, strict=True))
    days = {key: day(calendar, key[1]) for key, calendar in of.items()}
    return np.array([days[pair] for pair in pairs], dtype=np.int64)


def build_problem(
    network: NetworkColumns,
    stock: Stock,
    orders: OpenOrders,
    *,
    at: int,
    parcels_left: Ints | None = None,
    units_left: Ints | None = None,
    kits: Kits = NO_KITS,
) -> Problem:
    """Ask how to serve open orders from free stock.

    Lines and orders keep their places; the SKUs of the problem are those that are asked for, by ascending index.

    Parameters
    ----------
    at
        The minute of the decision: nodes that are closed, or past their cut-off, are ready the later for it.
    parcels_left, units_left
        (J,) what each node can still make on the working day that this decision joins; a full day's where not given.
    kits
        A unit of a kit draws on the stock of each of its parts, all at one node.
    """
    empty = network.empty
    day = at // MINUTES_PER_DAY
    parcels_left = empty.node_capacity_parcels if parcels_left is None else parcels_left
    units_left = network.node_capacity_units if units_left is None else units_left
    skus = np.unique(orders.line_sku)
    if len(kits.sku):
        skus = np.union1d(skus, parts_of(kits, skus, skus)[1])
    line_sku = np.searchsorted(skus, orders.line_sku)
    rows, row_sku, source = _sources(stock, skus, kits, empty.nodes)
    row_node = stock.node[rows]

    source_start = np.searchsorted(source.sku, np.arange(len(skus) + 1))
    line_options = np.diff(source_start)[line_sku]
    option_start = np.concatenate([[0], np.cumsum(line_options)])
    option_source = ranges(source_start[:-1][line_sku], line_options)
    option_node = source.node[option_source]
    handled = network.kind_handled[network.sku_kind[skus][source.sku], source.node][option_source]
    limited = np.flatnonzero(units_left < NO_LIMIT)
    option_row, option_use = _drawn(source, option_source, limited, len(rows), empty.nodes)

    return replace(
        empty,
        node_ready_days=leaving_days(network, working_days(network, at)) - day,
        node_capacity_parcels=parcels_left,
        sku_id=tuple(empty.sku_id[k] for k in skus),
        sku_weight_g=empty.sku_weight_g[skus],
        sku_carried=empty.sku_carried[skus],
        order_id=orders.order_id,
        order_line_start=orders.order_line_start,
        order_dest_start=orders.order_dest_start,
        order_promise_days=orders.order_promise_day - day,
        order_late_cents=orders.order_late_cents,
        order_max_parcels=orders.order_max_parcels,
        order_ship_complete=orders.order_ship_complete,
        dest_node=orders.dest_node,
        dest_lat=orders.dest_lat,
        dest_lon=orders.dest_lon,
        line_sku=line_sku.astype(np.int64),
        line_qty=orders.line_qty,
        line_unfilled_cents=orders.line_unfilled_cents,
        line_must_fill=orders.line_must_fill,
        line_option_start=option_start.astype(np.int64),
        option_node=option_node.astype(np.int32),
        option_row=option_row,
        option_use=option_use,
        option_unit_cents=empty.node_unit_cents[option_node],
        option_value_cents=source.value_cents[option_source],
        option_reason=np.where(handled, 0, 1).astype(np.uint8),
        reasons=REASONS,
        row_limit=np.concatenate([stock.units[rows], units_left[limited]]),
        row_node=np.concatenate([row_node, limited]).astype(np.int32),
        row_sku=np.concatenate([row_sku, np.full(len(limited), -1)]).astype(np.int32),
        lane_zone=lane_zones(
            empty.node_lat,
            empty.node_lon,
            orders.dest_lat,
            orders.dest_lon,
            orders.dest_node,
            empty.service_zone_km,
            empty.service_zones,
        ),
        row_price=np.zeros(len(rows) + len(limited)),
        node_price=np.zeros(empty.nodes),
    )


def apply(stock: Stock, orders: OpenOrders, problem: Problem, plan: Plan, kits: Kits = NO_KITS) -> Ints:
    """Count the units of each stock row that a plan takes: the net change, with no row below zero."""
    entry, sku, units = parts_of(kits, orders.line_sku[plan.entry_line], plan.entry_units)
    node = plan.parcel_node[plan.entry_parcel][entry]
    key = stock.sku * problem.nodes + stock.node
    row = np.searchsorted(key, sku * problem.nodes + node)
    taken = np.zeros(len(stock.units), dtype=np.int64)
    np.add.at(taken, row, units)
    assert (taken <= stock.units).all(), "a plan takes what is not there"
    return taken


def parts_of(kits: Kits, sku: Ints, units: Ints) -> tuple[Ints, Ints, Ints]:
    """Take kits apart: which entry each stocked part belongs to, the SKU of the part, and its units."""
    if not len(kits.sku):
        return np.arange(len(sku)), sku, units
    at = np.searchsorted(kits.sku, sku)
    is_kit = at < len(kits.sku)
    is_kit[is_kit] = kits.sku[at[is_kit]] == sku[is_kit]
    at = np.where(is_kit, at, 0)
    count = np.where(is_kit, np.diff(kits.part_start)[at], 1)
    entry = np.repeat(np.arange(len(sku)), count)
    part = np.where(is_kit[entry], ranges(kits.part_start[at], count), 0)
    return (
        entry,
        np.where(is_kit[entry], kits.part_sku[part], sku[entry]),
        np.where(is_kit[entry], kits.part_units[part], 1) * units[entry],
    )


@dataclass(frozen=True, eq=False)
class _Sources:
    """Where each wanted SKU could come from: by its place among the wanted SKUs, then by node.

    `row` and `use` are (S, W): the stock rows that one unit draws on (-1: none), and how much of each.
    """

    sku: Ints
    node: Ints
    row: Ints
    use: Ints
    value_cents: Ints


def _sources(stock: Stock, skus: Ints, kits: Kits, nodes: int) -> tuple[Ints, Ints, _Sources]:
    """The stock rows that matter, the place of each one's SKU among `skus`, and the sources on them."""
    rows, place = _wanted_rows(stock, skus)
    node, units, value = stock.node[rows], stock.units[rows], stock.value_cents[rows]
    one = np.ones((len(rows), 1), dtype=np.int64)
    kit = np.flatnonzero(np.isin(skus, kits.sku))
    if not len(kit):
        return rows, place, _Sources(place, node, np.arange(len(rows))[:, None], one, value)
    of_kit = [_parts(kits, int(sku)) for sku in skus[kit]]
    width = max(len(part) for part, _ in of_kit)
    found = [_Sources(place, node, *_wide(np.arange(len(rows))[:, None], one, width), value)]
    at = np.full((len(skus), nodes), -1, dtype=np.int64)
    at[place, node] = np.arange(len(rows))
    for k, (part, use) in zip(kit.tolist(), of_kit, strict=True):
        row = at[np.searchsorted(skus, part)]
        there = np.flatnonzero((row >= 0).all(axis=0))
        row = row[:, there].T
        enough = (units[row] >= use).all(axis=1)
        row = row[enough]
        uses = np.broadcast_to(use, row.shape)
        worth = (value[row] * uses).sum(axis=1)
        found.append(_Sources(np.full(len(row), k), there[enough], *_wide(row, uses, width), worth))
    sku = np.concatenate([one.sku for one in found])
    nodes_of = np.concatenate([one.node for one in found])
    by = np.lexsort((nodes_of, sku))
    return (
        rows,
        place,
        _Sources(
            sku[by],
            nodes_of[by],
            np.concatenate([one.row for one in found])[by],
            np.concatenate([one.use for one in found])[by],
            np.concatenate([one.value_cents for one in found])[by],
        ),
    )


def _parts(kits: Kits, sku: int) -> tuple[Ints, Ints]:
    """(p,) the parts of a kit, and the units of each in one kit."""
    at = int(np.searchsorted(kits.sku, sku))
    span = slice(kits.part_start[at], kits.part_start[at + 1])
    return kits.part_sku[span], kits.part_units[span]


def _wide(row: Ints, use: Ints, width: int) -> tuple[Ints, Ints]:
    """Pad rows and uses to a width with nothing."""
    pad = ((0, 0), (0, width - row.shape[1]))
    return np.pad(row, pad, constant_values=-1), np.pad(use, pad)


def _wanted_rows(stock: Stock, skus: Ints) -> tuple[Ints, Ints]:
    """The stock rows with units of the wanted SKUs, and each one's place among those SKUs."""
    first = np.searchsorted(stock.sku, skus, side="left")
    count = np.searchsorted(stock.sku, skus, side="right") - first
    rows = ranges(first, count)
    there = stock.units[rows] > 0
    return rows[there], np.repeat(np.arange(len(skus)), count)[there]


def _drawn(source: _Sources, option: Ints, limited: Ints, rows: int, nodes: int) -> tuple[Shorts, Shorts]:
    """The resource rows of each option and its use of them: stock, and the units that its node can pick where limited."""
    row, use = source.row[option], source.use[option]
    if len(limited):
        unit_row = np.full(nodes, -1, dtype=np.int64)
        unit_row[limited] = rows + np.arange(len(limited))
        node = source.node[option]
        row = np.concatenate([row, unit_row[node][:, None]], axis=1)
        use = np.concatenate([use, np.ones((len(option), 1), dtype=np.int64)], axis=1)
    return row.astype(np.int32), use.astype(np.int32)
