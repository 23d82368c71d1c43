"""Choices of one order: its best way, the best by a given node, the best without one, at any prices and any stock.

An order is looked at as a problem of its own, so that what is forbidden is a changed column, and the kernels that decide waves
decide this: there is no second opinion. To force a node, every parcel that it could send is tried as the first, with what
`columns.parcels_within` says the order costs at least with it; what is left of the order is decided by the same kernels.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from solver.bill import bill
from solver.certificate import charges, drawn
from solver.columns import lanes_within, parcels_within
from solver.many import GUIDED, THOROUGH, price_many
from solver.offers import INF, PAIRS_MAX, pairs_of
from solver.plan import Plan
from solver.prices import Priced, Pricing
from solver.problem import EXACT_CENTS, HARD, NO_LIMIT, NO_SERVICE, Bools, Floats, Ints, Problem
from solver.split import TABLE_MAX, split_few

FORBIDDEN = 255
"""`option_reason` of an option that a question rules out."""
PARCELS_MAX = 400_000
"""An order with more possible parcels than this is treated as one of many lines."""
FIRST_PARCELS = 25
"""Parcels of one node that are tried as the first before the best way found so far is taken."""
ANY = float(EXACT_CENTS)
"""A slack that no possible parcel passes."""
EPS = 1e-6


@dataclass(frozen=True, eq=False)
class Way:
    """Parcels of one order: where it goes, (p,) node and service, (p, n) units of each line. None at all: it is left open."""

    dest: int
    node: Ints
    service: Ints
    units: Ints

    @cached_property
    def parcels(self) -> frozenset[tuple[int, int, int, tuple[int, ...]]]:
        """The parcels as keys: destination, node, service, units."""
        rows = zip(self.node.tolist(), self.service.tolist(), self.units.tolist(), strict=True)
        return frozenset((self.dest, node, service, tuple(units)) for node, service, units in rows)


@dataclass(frozen=True)
class Market:
    """What an order may draw on, and at what prices: (R,) and (J,) of its own problem.

    `node_left` are the parcels that nodes can still make within their capacity; above it they work overtime, where they do.
    """

    left: Ints
    node_left: Ints
    row_price: Floats
    node_price: Floats


@dataclass(frozen=True)
class Found:
    """A way by a node: what any such way costs at least, and the best way found (`None` where every one breaks a rule)."""

    least_cents: float
    way: Way | None


def only(problem: Problem, order: int) -> tuple[Problem, Ints]:
    """Make one order a problem of its own, and say which (r,) rows of the whole problem are its rows."""
    return part(problem, order, order + 1)


def part(problem: Problem, start: int, end: int) -> tuple[Problem, Ints]:
    """Make the orders from `start` to before `end` a problem of their own, and say which (r,) rows of the whole are its rows."""
    first, last = problem.order_line_start[start], problem.order_line_start[end]
    dests = slice(problem.order_dest_start[start], problem.order_dest_start[end])
    options = slice(problem.line_option_start[first], problem.line_option_start[last])
    used = problem.option_row[options]
    rows = np.unique(used[used >= 0]).astype(np.int64)
    own = np.where(used >= 0, np.searchsorted(rows, used), -1).astype(np.int32)
    orders = slice(start, end)
    return replace(
        problem,
        order_id=problem.order_id[orders],
        order_line_start=problem.order_line_start[start : end + 1] - first,
        order_dest_start=problem.order_dest_start[start : end + 1] - dests.start,
        order_promise_days=problem.order_promise_days[orders],
        order_late_cents=problem.order_late_cents[orders],
        order_max_parcels=problem.order_max_parcels[orders],
        order_ship_complete=problem.order_ship_complete[orders],
        dest_node=problem.dest_node[dests],
        dest_lat=problem.dest_lat[dests],
        dest_lon=problem.dest_lon[dests],
        line_sku=problem.line_sku[first:last],
        line_qty=problem.line_qty[first:last],
        line_unfilled_cents=problem.line_unfilled_cents[first:last],
        line_must_fill=problem.line_must_fill[first:last],
        line_option_start=problem.line_option_start[first : last + 1] - options.start,
        option_node=problem.option_node[options],
        option_row=own,
        option_use=problem.option_use[options],
        option_unit_cents=problem.option_unit_cents[options],
        option_value_cents=problem.option_value_cents[options],
        option_reason=problem.option_reason[options],
        row_limit=problem.row_limit[rows],
        row_node=problem.row_node[rows],
        row_sku=problem.row_sku[rows],
        lane_zone=problem.lane_zone[dests],
        row_price=np.zeros(len(rows)),
    ), rows


def plan_of(problem: Problem, way: Way) -> Plan:
    """The plan of a problem of one order that is served this way; it claims no cost."""
    parcel, line = np.nonzero(way.units)
    count = len(way.node)
    return Plan(
        parcel_order=np.zeros(count, dtype=np.int64),
        parcel_node=way.node.copy(),
        parcel_service=way.service.copy(),
        parcel_dest=np.full(count, way.dest),
        entry_start=np.concatenate([[0], np.cumsum((way.units > 0).sum(axis=1))]).astype(np.int64),
        entry_line=line,
        entry_units=way.units[parcel, line],
        cost_cents=0,
        bound_cents=0.0,
    )


def way_of(problem: Problem, plan: Plan, order: int) -> Way:
    """How a plan serves an order, as a way of that order's own problem."""
    mine = np.flatnonzero(plan.parcel_order == order)
    first, last = problem.order_line_start[order : order + 2]
    units = np.zeros((len(mine), last - first), dtype=np.int64)
    for p, parcel in enumerate(mine):
        entries = slice(plan.entry_start[parcel], plan.entry_start[parcel + 1])
        np.add.at(units[p], plan.entry_line[entries] - first, plan.entry_units[entries])
    dest = int(plan.parcel_dest[mine[0]] - problem.order_dest_start[order]) if len(mine) else 0
    return Way(dest, plan.parcel_node[mine], plan.parcel_service[mine], units)


def nothing(problem: Problem) -> Way:
    """Leave the order open."""
    none = np.zeros(0, dtype=np.int64)
    return Way(0, none, none, np.zeros((0, problem.lines), dtype=np.int64))


def terms_of(problem: Problem, way: Way) -> dict[str, int]:
    """The bill of a way by term. Overtime counts above the problem's capacities."""
    return bill(problem, plan_of(problem, way))


def cents_at(problem: Problem, way: Way, market: Market) -> float:
    """What a way costs at the prices; parcels above what a node has left pay its overtime."""
    plan = plan_of(problem, way)
    stock, capacity = charges(problem, plan, market.row_price, market.node_price)
    now = replace(problem, node_capacity_parcels=np.maximum(0, market.node_left))
    return float(sum(bill(now, plan).values()) + stock[0] + capacity[0])


def fits(problem: Problem, way: Way, market: Market) -> bool:
    """Tell whether a market holds what a way draws."""
    rows, nodes = drawn(problem, plan_of(problem, way))
    hard = problem.node_overtime_cents == HARD
    return bool((rows <= market.left).all() and (nodes <= np.maximum(0, market.node_left))[hard].all())


def follows(problem: Problem, way: Way) -> bool:
    """Tell whether a way keeps the order's own rules: whole or nothing, its parcels, one for a node and service."""
    count, sent = len(way.node), int(way.units.sum())
    whole = sent in (0, int(problem.line_qty.sum())) or not problem.order_ship_complete[0]
    lanes = set(zip(way.node.tolist(), way.service.tolist(), strict=True))
    return bool(whole and count <= problem.order_max_parcels[0] and len(lanes) == count)


def few(problem: Problem) -> bool:
    """Tell whether an order is decided exactly, by the recursion over its contents."""
    return bool(pairs_of(problem.columns, 0) <= PAIRS_MAX)


def pricing_of(problem: Problem, market: Market) -> Pricing:
    """The order's own pricing: a capacity in it has a price instead of a limit."""
    return Pricing(problem, np.zeros(1, dtype=np.int64), market.left, market.node_left)


def serve(problem: Problem, market: Market) -> Way | None:
    """The best way: exact for an order of few units, by local search for one of many; `None` where it breaks a rule."""
    c = problem.columns
    state = (
        np.array(market.left), np.array(market.node_left), np.array(market.row_price), np.array(market.node_price),
        problem.line_open_cents.astype(np.float64), 0.0,
    )  # fmt: skip
    proven = False
    if few(problem):
        _, dest, node, service, units, proven = split_few(c, 0, *state, TABLE_MAX)
    if not proven:
        _, _, dest, node, service, units = price_many(c, 0, *state, np.full(problem.lines, -1.0), THOROUGH, GUIDED, INF)
    way = Way(int(dest), node, service, units)
    return way if fits(problem, way, market) and follows(problem, way) else None


def without(problem: Problem, nodes: Bools) -> Problem:
    """Rule out (J,) nodes."""
    out = nodes[problem.option_node]
    return replace(problem, option_reason=np.where(out, FORBIDDEN, problem.option_reason).astype(np.uint8))


def going_to(problem: Problem, dest: int) -> Problem:
    """Leave one destination."""
    one = slice(dest, dest + 1)
    return replace(
        problem, order_dest_start=np.array([0, 1]), dest_node=problem.dest_node[one], dest_lat=problem.dest_lat[one],
        dest_lon=problem.dest_lon[one], lane_zone=problem.lane_zone[one],
    )  # fmt: skip


def with_parcel(problem: Problem, market: Market, dest: int, node: int, service: int, units: Ints) -> Way | None:
    """The best way that has a given parcel: what is left of the order is served from what is left of the market."""
    first = Way(dest, np.array([node]), np.array([service]), units[None, :])
    if not fits(problem, first, market):
        return None
    rows, _ = drawn(problem, plan_of(problem, first))
    open_units = problem.line_qty - units
    kept = np.flatnonzero(open_units > 0)
    if not len(kept) or problem.order_max_parcels[0] == 1:
        return first if follows(problem, first) else None
    rest = _lines(going_to(problem, dest), kept, open_units)
    lane_zone = rest.lane_zone.copy()
    if service == NO_SERVICE:
        rest = without(rest, np.arange(problem.nodes) == node)
    else:
        lane_zone[0, node, service] = NO_SERVICE
    most = problem.order_max_parcels - (problem.order_max_parcels < NO_LIMIT)
    rest = replace(rest, order_max_parcels=most, lane_zone=lane_zone)
    limited = (np.arange(problem.nodes) == node) & (market.node_left < NO_LIMIT // 2)
    after = replace(market, left=market.left - rows, node_left=market.node_left - limited)
    more = serve(rest, after)
    if more is None:
        return None
    more_units = np.zeros((len(more.node), problem.lines), dtype=np.int64)
    more_units[:, kept] = more.units
    way = Way(
        dest,
        np.concatenate([first.node, more.node]),
        np.concatenate([first.service, more.service]),
        np.concatenate([first.units, more_units]),
    )
    return way if fits(problem, way, market) and follows(problem, way) else None


def by_node(problem: Problem, market: Market, chosen: Way, least: Priced | None = None) -> dict[int, Found]:
    """For each node, the best way that has a parcel from it which the chosen way does not have.

    Parameters
    ----------
    least
        For an order of many lines: the prices on its lines where its bound stands.

    Returns
    -------
    found
        By node; a node without an entry has no part in any way that the relaxed rules allow.
    """
    if few(problem):
        found = _by_node_few(problem, market, chosen)
        if found is not None:
            return found
    return _by_node_many(problem, market, chosen, least)


def whole_from(problem: Problem, market: Market, nodes: Iterable[int]) -> dict[int, Way]:
    """For each node that can send all of the order, the best way that uses no other."""
    ways = {}
    for node in nodes:
        others = np.arange(problem.nodes) != node
        complete = replace(without(problem, others), order_ship_complete=np.ones(1, dtype=np.bool_))
        way = serve(complete, market)
        if way is not None and len(way.node):
            ways[node] = way
    return ways


def _lines(problem: Problem, kept: Ints, open_units: Ints) -> Problem:
    """Leave some lines, with the units that are still open."""
    counts = np.diff(problem.line_option_start)[kept]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    options = np.arange(starts[-1]) - np.repeat(starts[:-1] - problem.line_option_start[kept], counts)
    return replace(
        problem,
        order_line_start=np.array([0, len(kept)]),
        line_sku=problem.line_sku[kept],
        line_qty=open_units[kept],
        line_unfilled_cents=problem.line_unfilled_cents[kept],
        line_must_fill=problem.line_must_fill[kept],
        line_option_start=starts,
        option_node=problem.option_node[options],
        option_row=problem.option_row[options],
        option_use=problem.option_use[options],
        option_unit_cents=problem.option_unit_cents[options],
        option_value_cents=problem.option_value_cents[options],
        option_reason=problem.option_reason[options],
    )


def _by_node_few(problem: Problem, market: Market, chosen: Way) -> dict[int, Found] | None:
    """Every parcel as the first, those that promise least before the others; `None` where there are too many."""
    pricing = pricing_of(problem, market)
    # a parcel at a node that has nothing left pays overtime, which pricing leaves to the prices
    full = (market.node_left <= 0) & (problem.node_overtime_cents != HARD)
    node_price = market.node_price + np.where(full, problem.node_overtime_cents, 0)
    priced = pricing.at(np.array(market.row_price), node_price, pricing.start_lines(), 1)
    parcels = parcels_within(pricing, priced, ANY, PARCELS_MAX)
    if parcels is None:
        return None
    counts = np.diff(parcels.entry_start)
    units = np.zeros((len(counts), problem.lines), dtype=np.int64)
    units[np.repeat(np.arange(len(counts)), counts), parcels.entry_line] = parcels.entry_units
    found: dict[int, Found] = {}
    tried = np.zeros(problem.nodes, dtype=np.int64)
    cost = np.full(problem.nodes, np.inf)
    for p in np.argsort(parcels.reduced, kind="stable"):
        dest, node, service = int(parcels.dest[p]), int(parcels.node[p]), int(parcels.service[p])
        cents = float(priced.order_value[0] + parcels.reduced[p])
        if (dest, node, service, tuple(units[p].tolist())) in chosen.parcels:
            continue
        best = found.setdefault(node, Found(cents, None))
        if cents >= cost[node] - EPS or tried[node] >= FIRST_PARCELS:
            continue
        tried[node] += 1
        way = with_parcel(problem, market, dest, node, service, units[p])
        if way is not None and (reached := cents_at(problem, way, market)) < cost[node]:
            cost[node] = reached
            found[node] = Found(best.least_cents, way)
    return found


def _by_node_many(problem: Problem, market: Market, chosen: Way, least: Priced | None) -> dict[int, Found]:
    """The local search over the chosen nodes and one more; the bound by whole lanes."""
    pricing = pricing_of(problem, market)
    if least is None:
        least = pricing.at(np.array(market.row_price), np.array(market.node_price), pricing.start_lines(), 20)
    lanes = lanes_within(pricing, least, ANY)
    cents = least.order_value[0] + lanes.reduced
    found: dict[int, Found] = {}
    for node in np.unique(lanes.node).tolist():
        at = lanes.node == node
        near = np.zeros(problem.nodes, dtype=np.bool_)
        near[chosen.node] = near[node] = True
        near_problem = without(problem, ~near)
        ways = [serve(near_problem, market)]
        lane = int(np.flatnonzero(at)[np.argmin(cents[at])])
        dest, service = int(lanes.dest[lane]), int(lanes.service[lane])
        ways += [
            with_parcel(near_problem, market, dest, node, service, units)
            for units in _first_parcels(problem, market, node, service)
        ]
        kept = [way for way in ways if way is not None and node in way.node and way.parcels - chosen.parcels]
        best = min(kept, key=lambda way: cents_at(problem, way, market), default=None)
        found[node] = Found(float(cents[at].min()), best)
    return found


def _first_parcels(problem: Problem, market: Market, node: int, service: int) -> list[Ints]:
    """Two parcels that a node could send by a service: all that it has of the order, and the line that costs least there."""
    lines = np.arange(problem.lines)
    option = problem.find_options(lines, np.full(problem.lines, node))
    units = np.zeros(problem.lines, dtype=np.int64)
    left = market.left.copy()
    for line in lines[(option >= 0) & (problem.option_reason[option] == 0)]:
        if service != NO_SERVICE and not problem.sku_carried[problem.line_sku[line], service]:
            continue
        row, use = problem.option_row[option[line]], problem.option_use[option[line]]
        binds = (row >= 0) & (use > 0)
        most = int(min(problem.line_qty[line], (left[row[binds]] // use[binds]).min(initial=problem.line_qty[line])))
        units[line] = max(0, most)
        left[row[binds]] -= units[line] * use[binds]
    if not units.any():
        return []
    unit = problem.option_unit_cents[option] + problem.option_value_cents[option]
    unit = unit + (
        np.where(problem.option_row[option] >= 0, np.append(market.row_price, 0.0)[problem.option_row[option]], 0)
    ).sum(1)
    cheapest = int(np.argmin(np.where(units > 0, unit * units, np.inf)))
    single = np.zeros_like(units)
    single[cheapest] = units[cheapest]
    return [units, single]


__all__ = [
    "Found", "Market", "Way", "by_node", "cents_at", "few", "fits", "follows", "going_to", "nothing", "only",
    "plan_of", "pricing_of", "serve", "terms_of", "way_of", "whole_from", "without",
]  # fmt: skip
