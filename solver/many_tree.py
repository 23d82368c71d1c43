"""Closing in on one order of many lines: branch and bound on which lanes have a parcel.

Line prices bound a part of all ways: those with parcels on some lanes (`IN`) and none on some others (`OUT`). The part of least
bound is cut in two at the lane that its relaxed answers use most, and both halves raise the prices from where they stood. The least
bound of the parts that are left bounds all ways.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from solver.lanes import Lanes, keep_lanes, lanes_of, offered, openings
from solver.many_bound import FREE, IN, OUT, SHARE, relaxed
from solver.many_shop import Way, new_way, shop_of
from solver.many_way import serve_by
from solver.offers import INF
from solver.problem import Columns, Floats, Ints

ROOT_ROUNDS, PART_ROUNDS, LAST_ROUNDS = 24, 10, 60
"""Ascent steps for all ways, for each part of them, and for one in which nothing is left to choose."""
WAY_LOOKS = 20
"""Looks at each offer that trying a way counts for."""
PARTS_MOST = 256
"""Parts that may be open at once."""
CLOSE = 5e-4
"""A share of the cost: how exact the bound is to be."""
NO_WAY_CENTS = 1e9
"""What an open unit costs in an order that must be complete."""


class Scratch(NamedTuple):
    """What raising prices works on: columns by offer, lane and line."""

    rank: Ints
    worth: Floats
    density: Floats
    gain: Floats
    weight: Floats
    drawn: Floats
    mean: Floats
    slope: Floats
    trial: Floats


@njit(cache=True, nogil=True)
def scratch_for(lanes: Lanes) -> Scratch:
    """Make room to raise the prices of these lanes."""
    e, count, n = len(lanes.line), len(lanes.at), len(lanes.qty)
    return Scratch(
        np.arange(e), np.empty(e), np.empty(e), np.empty(count), np.empty(count), np.empty(n), np.empty(n), np.empty(n),
        np.empty(n),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def raised(
    lanes: Lanes,
    opening: Floats,
    state: Ints,
    most: int,
    v: Floats,
    ceiling: Floats,
    target: float,
    rounds: int,
    scratch: Scratch,
    gain: Floats,
    use: Floats,
) -> float:
    """Bound the ways that a state allows by raising line prices: `v`, (L,) `gain` end at the best, (L,) `use` as the mean use."""
    rank, worth, density, trial_gain, weight, drawn, mean, slope, trial = scratch
    n, qty = len(v), lanes.qty
    room = most
    for i in range(len(state)):
        if state[i] == IN:
            room -= 1
    best, pace, stale = -INF, 1.0, 0
    trial[:] = v
    use[:] = 0.0
    for turn in range(rounds):
        value = relaxed(lanes, opening, trial, most, state, rank, worth, density, trial_gain, weight, drawn)
        share = 1.0 if turn == 0 else SHARE
        least = least_of_best(trial_gain, state, room)
        for i in range(len(use)):
            chosen = state[i] == IN or (trial_gain[i] > 0 and trial_gain[i] >= least)
            use[i] += share * ((1.0 if chosen else 0.0) - use[i])
        for k in range(n):
            mean[k] = drawn[k] if turn == 0 else mean[k] + SHARE * (drawn[k] - mean[k])
        if value > best + 1e-6 * abs(best):
            pace, stale = min(1.5, pace * (1.15 if turn else 1.0)), 0
        else:
            stale += 1
            if stale >= 2:
                pace, stale = pace * 0.6, 0
        if value > best:
            best = value
            v[:] = trial
            gain[:] = trial_gain
        if best >= target:
            break
        norm = 0.0
        for k in range(n):
            slope[k] = 1.0 - mean[k] / qty[k]
            if (v[k] >= ceiling[k] and slope[k] > 0) or (v[k] <= 0 and slope[k] < 0):
                slope[k] = 0.0
            norm += slope[k] * slope[k]
        if norm < 1e-10:
            break
        step = pace * max(target - best, 1e-4 * abs(target)) / norm
        for k in range(n):
            trial[k] = min(max(v[k] + step * slope[k] / qty[k], 0.0), ceiling[k])
    return best


@njit(cache=True, nogil=True)
def least_of_best(gain: Floats, state: Ints, room: int) -> float:
    """The least gain of a free lane that the relaxed answer uses, where it uses as many as it may; 0 where it may use more."""
    if room <= 0:
        return INF
    above = 0
    for i in range(len(gain)):
        if state[i] == FREE and gain[i] > 0:
            above += 1
    if above <= room:
        return 0.0
    free = np.where(state == FREE, gain, -INF)
    return float(np.partition(free, len(free) - room)[len(free) - room])


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
    nothing = 0.0
    penalty, ceiling = np.empty(n), np.empty(n)
    for k in range(n):
        nothing += open_cents[first + k] * c.line_qty[first + k]
        penalty[k] = NO_WAY_CENTS if complete else open_cents[first + k]
        ceiling[k] = INF if complete else open_cents[first + k]
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
    opening, count = openings(lanes), len(lanes.at)
    state, gain, use = np.zeros(count, dtype=np.int64), np.empty(count), np.empty(count)
    value = raised(lanes, opening, state, most, v, ceiling, target, ROOT_ROUNDS, scratch_for(lanes), gain, use)
    work -= ROOT_ROUNDS * len(lanes.line)
    near = keep_lanes(lanes, use < 0)
    way, cost, enough = new_way(near), target, target - CLOSE * abs(target)
    if value >= enough:
        return min(value, target), cost, near, way
    settle_lanes(state, most, gain, value, enough)
    keep = state != OUT
    lanes = keep_lanes(lanes, keep)
    opening, scratch, count = openings(lanes), scratch_for(lanes), len(lanes.at)
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
            reached = raised(lanes, opening, was, most, had, ceiling, enough, LAST_ROUNDS, scratch, gain, use)
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
            reached = raised(lanes, opening, state, most, raised_v, ceiling, enough, PART_ROUNDS, scratch, gain, use)
            work -= PART_ROUNDS * len(lanes.line)
            if reached < enough:
                settle_lanes(state, most, gain, reached, enough)
                states[at], uses[at], values[at], prices[at] = state, use, max(before, reached), raised_v
    return min(closed, values.min()), cost, near, way


__all__ = ["close_in"]
