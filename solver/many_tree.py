"""Closing in on one order of many lines: branch and bound on which lanes have a parcel.

Line prices bound a part of all ways: those with parcels on some lanes (`IN`) and none on some others (`OUT`). The part of least
bound is cut in two at the lane that its relaxed answers use most, and both halves raise the prices from where they stood. The least
bound of the parts that are left bounds all ways.
"""

import numpy as np
from numba import njit

from solver.lanes import Lanes, keep_lanes, lanes_of, offered, open_of
from solver.many_bound import FREE, IN, OUT, bound_by_prices, least_of_best, raised, raising
from solver.many_shop import Way, new_way, shop_of
from solver.many_way import serve_by
from solver.offers import INF
from solver.problem import Columns, Floats, Ints

ROOT_ROUNDS, PART_ROUNDS, LAST_ROUNDS, ROOT_LOOKS = 48, 10, 60, 20
"""Ascent steps for all ways, for each part of them, and for one in which nothing is left to choose."""
WAY_LOOKS = 20
"""Looks at each offer that trying a way counts for."""
PARTS_MOST = 256
"""Parts that may be open at once."""
CLOSE = 5e-4
"""A share of the cost: how exact the bound is to be."""


@njit(cache=True, nogil=True)
def settle_lanes(state: Ints, most: int, gain: Floats, value: float, target: float) -> None:
    """Decide the free lanes of which one choice costs the target at least, at the prices where `gain` and `value` stand.

    A lane that is not used takes the place of the least that is, or an empty one; a lane that is used leaves its own to the next.
    """
    room = most
    for i in range(len(state)):
        if state[i] == IN:
            room -= 1
    least, after = least_of_best(gain, state, room), 0.0
    for i in range(len(state)):
        if state[i] == FREE and gain[i] < least:
            after = max(after, gain[i])
    for i in range(len(state)):
        if state[i] != FREE:
            continue
        if gain[i] <= 0 or gain[i] < least:
            if room <= 0 or value + least - gain[i] >= target:
                state[i] = OUT
        elif gain[i] > least and value + gain[i] - max(after, least) >= target:
            state[i] = IN


@njit(cache=True, nogil=True)
def close_in(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    line_price: Floats,
    known: float,
    work: int,
) -> tuple[float, float, int, Ints, Ints, Ints]:
    """Bound what any way of serving one order of many lines costs, as closely as the work allows.

    Parameters
    ----------
    line_price
        (L,) prices on the units of each line to start from, improved in place for this order's lines.
    known
        The cost of a known way, prices included.
    work
        Offers that may be looked at.

    Returns
    -------
    bound, cost, dest, node, service, units
        No way costs less than the bound; the cheapest way found that costs less than `known`, as `price_many` (with `known` as its
        cost where there is none).
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    complete, most = c.order_ship_complete[order], c.order_max_parcels[order]
    nothing, penalty, ceiling = open_of(c, order, open_cents)
    cost, out_dest = min(known, nothing), c.order_dest_start[order]
    bound = cost
    out_node, out_service = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    out_units = np.empty((0, n), dtype=np.int64)
    offers = offered(c, order, left, node_left, row_price)
    dests = c.order_dest_start[order + 1] - out_dest
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        lanes = lanes_of(c, order, dest, offers, node_left, node_price, 0.0)
        if len(lanes.at) == 0:
            continue
        v = np.minimum(np.maximum(line_price[first:last], 0.0), ceiling)
        proven, least, near, way = tree(c, lanes, left, penalty, ceiling, most, v, cost, work // dests)
        if dests == 1:
            line_price[first:last] = v
        bound = min(bound, proven)
        if least < cost - 1e-6 and not (complete and way.rest.sum() > 0):
            cost, out_dest = least, dest
            parcels = np.flatnonzero(way.picks > 0)
            out_node, out_service, out_units = near.nodes[near.at[parcels]], near.service[parcels], way.units[parcels]
    return min(bound, cost), cost, out_dest, out_node, out_service, out_units


@njit(cache=True, nogil=True)
def tree(
    c: Columns,
    lanes: Lanes,
    left: Ints,
    penalty: Floats,
    ceiling: Floats,
    most: int,
    v: Floats,
    target: float,
    work: int,
) -> tuple[float, float, Lanes, Way]:
    """Branch and bound over the lanes to one destination: the bound; the cost of the best way below the target, its lanes, it."""
    bound, lanes, _ = bound_by_prices(lanes, v, ceiling, most, target, ROOT_ROUNDS)
    count = len(lanes.at)
    state, gain, use = np.zeros(count, dtype=np.int64), np.empty(count), np.empty(count)
    value = max(bound, raised(lanes, raising(lanes), state, most, v, ceiling, target, PART_ROUNDS, True, gain, use))
    work -= ROOT_LOOKS * len(lanes.line)
    near = keep_lanes(lanes, use < 0)
    way, cost, enough = new_way(near), target, target - CLOSE * abs(target)
    if value >= enough:
        return min(value, target), cost, near, way
    settle_lanes(state, most, gain, value, enough)
    keep = state != OUT
    lanes = keep_lanes(lanes, keep)
    scratch, count = raising(lanes), len(lanes.at)
    states, uses = np.zeros((PARTS_MOST, count), dtype=np.int64), np.zeros((PARTS_MOST, count))
    values, prices = np.full(PARTS_MOST, INF), np.zeros((PARTS_MOST, len(v)))
    states[0], uses[0], values[0], prices[0] = state[keep], use[keep], value, v
    gain, use, closed = np.empty(count), np.empty(count), enough
    while work > 0:
        part = int(np.argmin(values))
        before, was, had = values[part], states[part].copy(), prices[part].copy()
        if before >= enough:
            break
        values[part] = INF
        free = was == FREE
        if not free.any():
            # nothing is left to choose: the prices go as high as they can
            reached = raised(lanes, scratch, was, most, had, ceiling, enough, LAST_ROUNDS, True, gain, use)
            work -= LAST_ROUNDS * len(lanes.line)
            closed = min(closed, max(before, reached))
            continue
        lane = int(np.argmax(np.where(free, uses[part], -1.0)))
        chosen = (was == IN) | (uses[part] > 0.5)
        if chosen.sum() <= most:
            found = keep_lanes(lanes, chosen)
            work -= WAY_LOOKS * len(found.line)
            trial = new_way(found)
            reached = serve_by(found, shop_of(c, found, left, penalty), trial, cost)
            if reached < cost - 1e-6:
                cost, near, way, enough = reached, found, trial, reached - CLOSE * abs(reached)
                closed = min(closed, enough)
        for choice in (IN, OUT):
            at = int(np.argmax(values))
            if values[at] < INF:
                # no room for another part: what it could be bounds all
                closed = min(closed, before)
                continue
            state, raised_v = was.copy(), had.copy()
            state[lane] = choice
            reached = raised(lanes, scratch, state, most, raised_v, ceiling, enough, PART_ROUNDS, True, gain, use)
            work -= PART_ROUNDS * len(lanes.line)
            if reached < enough:
                settle_lanes(state, most, gain, reached, enough)
                states[at], uses[at], values[at], prices[at] = state, use, max(before, reached), raised_v
    return min(closed, values.min()), cost, near, way


__all__ = ["close_in"]
