"""Serving one order of many lines or units: a good way, and a bound that says how good.

The order is a facility-location problem: opening a parcel has a fixed price, carriage rises with weight in steps, each line goes to
open parcels. Prices on its lines (as in Erlenkotter 1978) give a bound and say which lanes matter; a local search over those finds
a way.
"""

from typing import cast

import numpy as np
from numba import njit

from solver.lanes import Lanes, keep_lanes, lanes_of, offered, openings
from solver.many_bound import NO_PARCELS, first_rank, raise_prices, relaxed, start_prices
from solver.many_shop import Way, new_way, shop_of
from solver.many_way import prices_in, promising, rounded, search, serve_by
from solver.offers import INF
from solver.problem import Columns, Floats, Ints

QUICK, THOROUGH = cast(int, np.int64(1)), cast(int, np.int64(2))
"""Effort where orders are only priced, and where they are decided. A plain number would have numba compile for each value."""
BOUNDED, UNBOUNDED = cast(bool, np.bool_(True)), cast(bool, np.bool_(False))
"""Whether a bound is wanted."""
REPRICED = 4
"""How often other lanes are looked for at the prices of the best way so far."""
SEARCHED = 16
"""Nodes that the local search considers where orders are only priced; three times as many where they are decided."""
ROUNDS_ALL, ROUNDS_WARM = 24, 4
"""Ascent steps of the line prices over all lanes, from a cold start and from a warm one."""
ROUNDS_KEPT = cast(int, np.int64(60))
"""The same over the lanes that remain."""
NO_WAY_CENTS = 1e9
"""What an open unit costs in an order that must be complete."""


@njit(cache=True, nogil=True)
def price_many(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    line_price: Floats,
    effort: int,
    bounded: bool,
) -> tuple[float, float, int, Ints, Ints, Ints]:
    """Serve one order of many lines well, and bound what any way of serving it costs.

    Parameters
    ----------
    line_price
        (L,) prices on the units of each line to start from (below 0: nothing is known), improved in place for this order's lines.
    effort
        Rounds of the local search; 0 for the way that the line prices suggest.
    bounded
        Whether a bound is wanted; it is 0 without.

    Returns
    -------
    bound, cost, dest, node, service, units
        No way costs less than the bound; the cost, prices included, of the way found; where it goes; (p,) node and service and
        (p, n) units of its parcels.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    nodes, avail, unit, option = offered(c, order, left, node_left, row_price)
    complete = c.order_ship_complete[order]
    nothing = 0.0
    penalty, ceiling = np.empty(n), np.empty(n)
    for k in range(n):
        nothing += open_cents[first + k] * c.line_qty[first + k]
        penalty[k] = NO_WAY_CENTS if complete else open_cents[first + k]
        ceiling[k] = INF if complete else open_cents[first + k]
    start = line_price[first:last].copy()
    least, bound, least_dest = nothing, nothing, c.order_dest_start[order]
    out_node, out_service = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    out_units = np.empty((0, n), dtype=np.int64)
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        lanes = lanes_of(c, order, dest, nodes, avail, unit, option, node_left, node_price, parcel_extra)
        if len(lanes.at) == 0:
            continue
        v = start.copy()
        lowest, cost, used, way = price_dest(
            c, lanes, left, penalty, ceiling, c.order_max_parcels[order], v, v[0] >= 0, effort, bounded, least
        )
        if cost < least - 1e-6 and not (complete and way.rest.sum() > 0):
            least, least_dest = cost, dest
            parcels = np.flatnonzero(way.picks > 0)
            out_node, out_service, out_units = used.nodes[used.at[parcels]], used.service[parcels], way.units[parcels]
        if lowest < bound or dest == c.order_dest_start[order]:
            bound = min(bound, lowest)
            line_price[first:last] = v
    return max(0.0, min(bound, least)), least, least_dest, out_node, out_service, out_units


@njit(inline="always")
def price_dest(
    c: Columns,
    lanes: Lanes,
    left: Ints,
    penalty: Floats,
    ceiling: Floats,
    most_parcels: int,
    v: Floats,
    warm: bool,
    effort: int,
    bounded: bool,
    target: float,
) -> tuple[float, float, Lanes, Way]:
    """Do the same for one destination: the bound, the cost, and the way with the lanes that it is made of."""
    n, count = len(v), len(lanes.at)
    nothing = float((penalty * lanes.qty).sum())
    gain, opened, take = np.full(count, -INF), np.zeros(count), np.zeros((count, n))
    rank = first_rank(lanes)
    goal = target
    plain = np.empty(n)
    searched = SEARCHED if effort < 2 else 3 * SEARCHED
    first = (start_prices(lanes, penalty, most_parcels, plain) >= INF).astype(np.float64)
    if not warm:
        v[:] = plain
    near = keep_lanes(lanes, first > 0)
    if len(near.at):
        shop, way = shop_of(c, near, left, penalty), new_way(near)
        goal = min(goal, search(near, shop, most_parcels, np.ones(len(near.at)), way, nothing, QUICK))
    bound = raise_prices(
        lanes, v, ceiling, most_parcels, goal, ROUNDS_WARM if warm else ROUNDS_ALL, rank, gain, take, opened
    )  # fmt: skip
    promise = gain.copy()
    for i in range(count):
        if opened[i] > 0:
            promise[i] = 1e9 * opened[i]
    keep = promising(promise, lanes.at, searched) | (first > 0)
    near = keep_lanes(lanes, keep)
    shop, way = shop_of(c, near, left, penalty), new_way(near)
    cost = rounded(near, shop, most_parcels, take[keep], opened[keep], way, nothing)
    cost = rounded(near, shop, most_parcels, take[keep], first[keep], way, cost)
    if effort:
        cost = search(near, shop, most_parcels, promise[keep], way, cost, effort)
        opening, weight, chosen = openings(lanes), np.zeros(count), np.zeros(count, dtype=np.bool_)
        worth, density, seen = np.empty(lanes.avail.shape), np.empty(lanes.avail.shape), np.empty(count)
        for _ in range(REPRICED):
            # what other lanes would save at the prices of this way
            prices_in(near, shop, way, plain)
            relaxed(lanes, opening, plain, NO_PARCELS, rank, worth, density, seen, weight, chosen, take)
            used = np.zeros(count, dtype=np.bool_)
            used[np.flatnonzero(keep)[way.picks > 0]] = True
            wanted = promising(seen, lanes.at, searched) | used
            other = keep_lanes(lanes, wanted)
            counter, trial = shop_of(c, other, left, penalty), new_way(other)
            start = np.flatnonzero(used[wanted])
            least = serve_by(other, counter, new_way(other), start, np.empty((0, 0)), trial, nothing)
            least = search(other, counter, most_parcels, seen[wanted], trial, least, effort)
            if least > cost - 1e-6:
                break
            cost, near, shop, way, keep = least, other, counter, trial, wanted
    if not bounded:
        return 0.0, cost, near, way
    goal = min(cost, target)
    kept = np.zeros(count, dtype=np.bool_)
    for i in range(count):
        kept[i] = gain[i] >= 0 or bound - gain[i] < goal
    some = keep_lanes(lanes, kept)
    if len(some.at) == 0 or bound >= goal:
        return min(bound, goal), cost, near, way
    used_in, taken = np.zeros(len(some.at)), np.zeros((len(some.at), n))
    lowest = raise_prices(
        some, v, ceiling, most_parcels, goal - 1e-6, ROUNDS_KEPT, first_rank(some), np.empty(len(some.at)), taken, used_in
    )  # fmt: skip
    return max(bound, min(lowest, goal)), cost, near, way


@njit(cache=True, nogil=True)
def bound_many(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    target: float,
    line_price: Floats,
    rounds: int,
) -> float:
    """Bound the cost of serving one order from below, by line prices alone.

    Parameters
    ----------
    target
        The cost of some way to serve it: how high the bound can get.
    line_price
        (L,) prices on the units of each line to start from (below 0: nothing is known), improved in place for this order's lines.
    rounds
        Ascent steps.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    nodes, avail, unit, option = offered(c, order, left, node_left, row_price)
    complete, most_parcels = c.order_ship_complete[order], c.order_max_parcels[order]
    start = line_price[first:last].copy()
    nothing = 0.0
    penalty, ceiling = np.empty(n), np.empty(n)
    for k in range(n):
        nothing += open_cents[first + k] * c.line_qty[first + k]
        penalty[k] = NO_WAY_CENTS if complete else open_cents[first + k]
        ceiling[k] = INF if complete else open_cents[first + k]
    line_price[first:last] = open_cents[first:last]
    bound = nothing
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        lanes = lanes_of(c, order, dest, nodes, avail, unit, option, node_left, node_price, parcel_extra)
        count = len(lanes.at)
        if count == 0:
            continue
        v = start.copy()
        if v[0] < 0:
            start_prices(lanes, penalty, most_parcels, v)
        reached = raise_prices(
            lanes,
            v,
            ceiling,
            most_parcels,
            target,
            rounds,
            first_rank(lanes),
            np.empty(count),
            np.zeros((count, n)),
            np.zeros(count),
        )
        if reached < bound:
            bound = reached
            line_price[first:last] = v
    return max(0.0, bound)


@njit(cache=True)
def lane_bounds(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    line_price: Floats,
) -> tuple[Ints, Floats]:
    """Bound from below, at given line prices, what the order costs with each of its lanes in use.

    Returns
    -------
    key, bound
        (N, 4) order, destination, node and service of every lane, and (N,) its bound.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    nodes, avail, unit, option = offered(c, order, left, node_left, row_price)
    dests = c.order_dest_start[order + 1] - c.order_dest_start[order]
    room = dests * len(nodes) * max(1, c.lane_zone.shape[2])
    key, bound = np.empty((room, 4), dtype=np.int64), np.empty(room)
    v = line_price[first:last].copy()
    made = 0
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        lanes = lanes_of(c, order, dest, nodes, avail, unit, option, node_left, node_price, 0.0)
        count = len(lanes.at)
        gain, weight, chosen = np.empty(count), np.empty(count), np.zeros(count, dtype=np.bool_)
        value = relaxed(
            lanes, openings(lanes), v, c.order_max_parcels[order], first_rank(lanes), np.empty(avail.shape),
            np.empty(avail.shape), gain, weight, chosen, np.empty((count, len(v))),
        )  # fmt: skip
        for i in range(count):
            key[made, 0], key[made, 1] = order, dest
            key[made, 2], key[made, 3] = nodes[lanes.at[i]], lanes.service[i]
            bound[made] = value - min(0.0, gain[i])
            made += 1
    return key[:made], bound[:made]


__all__ = ["BOUNDED", "QUICK", "THOROUGH", "UNBOUNDED", "bound_many", "lane_bounds", "price_many"]
