"""Serving one order of many lines or units: a good way, and a bound that says how good.

The order is a facility-location problem: opening a parcel has a fixed price, carriage rises with weight in steps, each line goes to
open parcels. A way is found by exchanging lanes, with carriage as a price and a rate a gram; the bound comes from prices on the
lines (as in Erlenkotter 1978), and where few parcels are allowed from the best set of lanes.
"""

from typing import cast

import numpy as np
from numba import njit

from solver.lanes import Lanes, keep_lanes, lanes_of, offered, openings
from solver.many_bound import bound_by_prices, relaxed
from solver.many_sets import (
    LANES_MOST,
    Savings,
    add_lane,
    best_beside,
    best_set,
    clear,
    interchange,
    savings_of,
    served_by_none,
)
from solver.many_shop import Way, new_way, shop_of
from solver.many_way import prices_in, serve_by
from solver.offers import INF
from solver.problem import Columns, Floats, Ints

HASTY, QUICK, THOROUGH = cast(int, np.int64(0)), cast(int, np.int64(1)), cast(int, np.int64(2))
"""Effort where time is over, where orders are only priced, and where they are decided. A plain number would have numba compile for
each value."""
UNBOUNDED = cast(int, np.int64(0))
"""No rounds of the price ascent: no bound is wanted."""
WEIGHED = 3
"""Sets of lanes tried, each with carriage priced at the weights that the one before led to."""
WORTHS = (1.0, 1.4, 2.0)
"""Shares of what lines cost in the best way so far at which lanes are chosen anew."""
PARTS = 3.0
"""At first a parcel is taken to be this part of the order."""
KICKS = 40
"""Sets tried without one of the lanes in use, where orders are decided."""
BRANCHED = 3
"""Where no more parcels are allowed, the best set of lanes is sought by branch and bound."""
BRANCHED_TIMES = 2
"""Times that it is, each with carriage priced at the weights that the one before led to."""
BRANCH_WORK, BRANCH_SLACK = 500_000, 1e-3
"""Offers that one search looks at, and how exact it is, as a share of the cost."""
START = 0.8
"""The price ascent starts from this share of what lines cost in the way found."""
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
    rounds: int,
) -> tuple[float, float, int, Ints, Ints, Ints]:
    """Serve one order of many lines well, and bound what any way of serving it costs.

    Parameters
    ----------
    line_price
        (L,) prices on the units of each line to start from (below 0: nothing is known), improved in place for this order's lines.
    effort
        `HASTY`, `QUICK` or `THOROUGH`.
    rounds
        Ascent steps of the bound; `UNBOUNDED` for none.

    Returns
    -------
    bound, cost, dest, node, service, units
        No way costs less than the bound (0 where none is wanted); the cost, prices included, of the way found; where it goes; (p,)
        node and service and (p, n) units of its parcels.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    offers = offered(c, order, left, node_left, row_price)
    complete, most_parcels = c.order_ship_complete[order], c.order_max_parcels[order]
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
        lanes = lanes_of(c, order, dest, offers, node_left, node_price, parcel_extra)
        if len(lanes.at) == 0:
            continue
        lowest, cost, used, way, v = find_way(c, lanes, left, penalty, most_parcels, effort)
        if cost < least - 1e-6 and not (complete and way.rest.sum() > 0):
            least, least_dest = cost, dest
            parcels = np.flatnonzero(way.picks > 0)
            out_node, out_service, out_units = used.nodes[used.at[parcels]], used.service[parcels], way.units[parcels]
        if not rounds:
            continue
        lowest = min(least, lowest)
        if start[0] >= 0:
            v[:] = start
        if lowest < least - BRANCH_SLACK * least:
            lowest = max(lowest, bound_by_prices(lanes, v, ceiling, most_parcels, least, rounds))
        if lowest < bound or dest == c.order_dest_start[order]:
            bound = min(bound, lowest)
            line_price[first:last] = v
    return (max(0.0, min(bound, least)) if rounds else 0.0), least, least_dest, out_node, out_service, out_units


@njit(cache=True, nogil=True)
def find_way(
    c: Columns, lanes: Lanes, left: Ints, penalty: Floats, most_parcels: int, effort: int
) -> tuple[float, float, Lanes, Way, Floats]:
    """Find a way to one destination.

    Returns
    -------
    bound, cost, used, way, v
        What any way costs at least (0: not known); what this one costs, its lanes and the way by them; (n,) what lines cost in it.
    """
    count, opening, served = len(lanes.at), openings(lanes), served_by_none(lanes.qty)
    whole = float((lanes.qty * lanes.grams).sum())
    most = min(most_parcels, LANES_MOST)
    best, best_grams, v = INF, np.zeros(count, dtype=np.int64), penalty.copy()
    used, kept = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    near = keep_lanes(lanes, used)
    way = new_way(near)
    none = np.empty(0, dtype=np.int64)
    savings = savings_of(lanes, opening, penalty, whole / PARTS, best_grams, False)
    for turn in range(len(WORTHS) + 1 if effort else 1):
        about = best_grams.sum() / max(1, (best_grams > 0).sum()) if turn else whole / PARTS
        chosen = none
        if turn:
            # lines that are worth what they cost in the best way, or somewhat more, open other lanes than lines worth their penalty
            valued = savings_of(lanes, opening, np.minimum(penalty, WORTHS[turn - 1] * v), about, best_grams, False)
            chosen = interchange(valued, lanes.qty, most, np.zeros(len(valued.lane), dtype=np.bool_), none, served)
            wanted = np.zeros(count, dtype=np.bool_)
            wanted[valued.lane[chosen]] = True
            chosen = places_of(savings, wanted)
        for _ in range(WEIGHED):
            chosen = interchange(savings, lanes.qty, most, np.zeros(len(savings.lane), dtype=np.bool_), chosen, served)
            wanted = np.zeros(count, dtype=np.bool_)
            wanted[savings.lane[chosen]] = True
            if (wanted == used).all():
                break
            used = wanted
            cost, others, by, grams = way_by(c, lanes, left, penalty, used)
            if cost < best:
                best, near, way, best_grams, kept = cost, others, by, grams, used
            savings = savings_of(lanes, opening, penalty, whole / max(1, len(chosen)), grams, False)
            chosen = places_of(savings, used)
        prices_in(near, shop_of(c, near, left, penalty), way, v)
    if effort:
        # a tariff with high steps may ask for one parcel more than its tangents do
        chosen = places_of(savings, kept)
        clear(served, lanes.qty)
        for i in chosen:
            add_lane(savings, served, i)
        more = -1
        if len(chosen) < most:
            more = best_beside(savings, served, chosen, np.zeros(len(savings.lane), dtype=np.bool_), -INF)[1]
        if more >= 0:
            used = kept.copy()
            used[savings.lane[more]] = True
            cost, others, by, grams = way_by(c, lanes, left, penalty, used)
            if cost < best:
                best, near, way, best_grams, kept = cost, others, by, grams, used
    bound = 0.0
    if most_parcels <= BRANCHED and effort:
        nothing = float((penalty * lanes.qty).sum())
        for turn in range(BRANCHED_TIMES):
            about = best_grams.sum() / max(1, (best_grams > 0).sum())
            savings = savings_of(lanes, opening, penalty, about, best_grams, True)
            saved, chosen = best_set(
                savings, lanes.qty, most_parcels, nothing - best, BRANCH_SLACK * best, BRANCH_WORK
            )
            bound = max(bound, nothing - saved)
            if len(chosen) == 0:
                break
            used = np.zeros(count, dtype=np.bool_)
            used[savings.lane[chosen]] = True
            cost, others, by, grams = way_by(c, lanes, left, penalty, used)
            best_grams = grams
            if cost < best:
                best, near, way, kept = cost, others, by, used
    elif effort > 1:
        kicks, at = KICKS, 0
        chosen = places_of(savings, kept)
        while at < len(chosen) and kicks > 0:
            kicks -= 1
            barred = np.zeros(len(savings.lane), dtype=np.bool_)
            barred[chosen[at]] = True
            other = interchange(
                savings, lanes.qty, most, barred, np.concatenate((chosen[:at], chosen[at + 1 :])), served
            )
            wanted = np.zeros(count, dtype=np.bool_)
            wanted[savings.lane[other]] = True
            cost, others, by, grams = way_by(c, lanes, left, penalty, wanted)
            at += 1
            if cost < best - 0.5:
                best, near, way, best_grams, kept, at = cost, others, by, grams, wanted, 0
                savings = savings_of(lanes, opening, penalty, whole / max(1, len(other)), grams, False)
                chosen = places_of(savings, kept)
    prices_in(near, shop_of(c, near, left, penalty), way, v)
    return bound, best, near, way, START * v


@njit(cache=True, nogil=True)
def places_of(savings: Savings, used: np.ndarray) -> Ints:
    """Where some lanes stand in `savings`."""
    return np.flatnonzero(used[savings.lane])


@njit(cache=True, nogil=True)
def way_by(
    c: Columns, lanes: Lanes, left: Ints, penalty: Floats, used: np.ndarray
) -> tuple[float, Lanes, Way, Ints]:
    """Serve by some lanes: the cost, these lanes, the way, and (L,) weights by lane."""
    near = keep_lanes(lanes, used)
    way = new_way(near)
    cost = serve_by(near, shop_of(c, near, left, penalty), way, float((penalty * lanes.qty).sum()))
    grams = np.zeros(len(used), dtype=np.int64)
    grams[np.flatnonzero(used)] = way.grams
    return cost, near, way, grams


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
    offers = offered(c, order, left, node_left, row_price)
    nodes, size = offers[0], len(offers[2])
    dests = c.order_dest_start[order + 1] - c.order_dest_start[order]
    room = dests * len(nodes) * max(1, c.lane_zone.shape[2])
    key, bound = np.empty((room, 4), dtype=np.int64), np.empty(room)
    v = line_price[first:last].copy()
    made = 0
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        lanes = lanes_of(c, order, dest, offers, node_left, node_price, 0.0)
        count = len(lanes.at)
        gain, weight, drawn = np.empty(count), np.zeros(count), np.empty(len(v))
        value = relaxed(
            lanes, openings(lanes), v, c.order_max_parcels[order], np.arange(size), np.empty(size), np.empty(size), gain, weight,
            drawn,
        )  # fmt: skip
        for i in range(count):
            key[made, 0], key[made, 1] = order, dest
            key[made, 2], key[made, 3] = nodes[lanes.at[i]], lanes.service[i]
            bound[made] = value - min(0.0, gain[i])
            made += 1
    return key[:made], bound[:made]


__all__ = ["HASTY", "QUICK", "THOROUGH", "UNBOUNDED", "lane_bounds", "price_many"]
