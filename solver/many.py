"""Serving one order of many lines or units: a good way, and a bound that says how good.

The order is a facility-location problem: opening a parcel has a fixed price, carriage rises with weight in steps, each line goes to
open parcels. A way is found by exchanging lanes, with carriage as a price and a rate a gram; the bound comes from prices on the
lines (as in Erlenkotter 1978), and where few parcels are allowed from the best set of lanes.
"""

from typing import cast

import numpy as np
from numba import njit

from solver.lanes import Lanes, keep_lanes, lanes_of, offered, open_of, openings
from solver.many_bound import FREE, bound_by_prices, raising, relaxed
from solver.many_sets import (
    LANES_MOST,
    Savings,
    Served,
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
from solver.problem import Bools, Columns, Floats, Ints

Found = tuple[float, Lanes, Way, Ints, Bools]
"""What a way costs, its lanes, the way by them, (L,) the weight of its parcels by lane, and (L,) which lanes those are."""

HASTY, QUICK, THOROUGH = cast(int, np.int64(0)), cast(int, np.int64(1)), cast(int, np.int64(2))
"""Effort where time is short, where orders are priced, and where there is time to decide them well. A plain number would have numba
compile for each value."""
UNBOUNDED, GUIDED = cast(int, np.int64(0)), cast(int, np.int64(48))
"""Ascent steps where no bound is wanted: none, or those that tell which lanes are worth a look."""
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
BRANCH_WORK, BRANCH_SLACK = 1_000_000, 1e-3
"""Offers that one search looks at, and how exact it is, as a share of the cost."""
START = 0.8
"""The price ascent starts from this share of what lines cost in the way found."""
FEW = 40
"""Lanes among which a better way is sought: those of which a parcel is worth most at the line prices."""


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
    known: float,
) -> tuple[float, float, int, Ints, Ints, Ints]:
    """Serve one order of many lines well, and bound what any way of serving it costs.

    Parameters
    ----------
    line_price
        (L,) prices on the units of each line to start from (below 0: nothing is known), improved in place for this order's lines.
    effort
        `HASTY`, `QUICK` or `THOROUGH`.
    rounds
        Ascent steps of the bound.
    known
        What some way costs, prices included (`INF`: none is known).

    Returns
    -------
    bound, cost, dest, node, service, units
        No way costs less than the bound; the cost, prices included, of the way found; where it goes; (p,)
        node and service and (p, n) units of its parcels.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    offers = offered(c, order, left, node_left, row_price)
    complete, most_parcels = c.order_ship_complete[order], c.order_max_parcels[order]
    nothing, penalty, ceiling = open_of(c, order, open_cents)
    start = line_price[first:last].copy()
    least, bound, least_dest = nothing, nothing, c.order_dest_start[order]
    out_node, out_service = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    out_units = np.empty((0, n), dtype=np.int64)
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        lanes = lanes_of(c, order, dest, offers, node_left, node_price, parcel_extra)
        if len(lanes.at) == 0:
            continue
        if start[0] >= 0 and known < INF and effort:
            # line prices and a cost to aim at are known: the search can begin among few lanes
            found, v = way_by(c, lanes, left, penalty, np.zeros(len(lanes.at), dtype=np.bool_)), start.copy()
        else:
            found, v = first_way(c, lanes, left, penalty, most_parcels)
            if start[0] >= 0:
                v[:] = start
        target = min(known, least, found[0])
        v[:] = np.minimum(v, ceiling)
        lowest, lanes, gain = 0.0, lanes, np.empty(0)
        if rounds:
            lowest, lanes, gain = bound_by_prices(lanes, v, ceiling, most_parcels, target, rounds)
        if effort and lowest < target - BRANCH_SLACK * target:
            few = keep_lanes(lanes, gain >= lowest_of_best(gain, FEW))
            found = better_way(c, few, left, penalty, most_parcels, effort, found)
            if most_parcels <= BRANCHED:
                enough = (v * lanes.qty).sum() - target
                proven, found = branched(
                    c, lanes, left, openings(lanes), penalty, most_parcels, found, gain, enough, target
                )
                lowest = max(lowest, min(target, proven))
        cost, used, way, _, _ = found
        if cost < least - 1e-6 and not (complete and way.rest.sum() > 0):
            least, least_dest = cost, dest
            parcels = np.flatnonzero(way.picks > 0)
            out_node, out_service, out_units = used.nodes[used.at[parcels]], used.service[parcels], way.units[parcels]
        if lowest < bound or dest == c.order_dest_start[order]:
            bound = min(bound, lowest)
            line_price[first:last] = v
    return max(0.0, min(bound, least)), least, least_dest, out_node, out_service, out_units


@njit(cache=True, nogil=True)
def lowest_of_best(worth: Floats, most: int) -> float:
    """The least of the best so many."""
    return float(np.partition(worth, len(worth) - most)[len(worth) - most]) if len(worth) > most else -INF


@njit(cache=True, nogil=True)
def first_way(c: Columns, lanes: Lanes, left: Ints, penalty: Floats, most_parcels: int) -> tuple[Found, Floats]:
    """Find a way to one destination by exchanging lanes, and (n,) what lines are worth to begin with."""
    opening, served, v = openings(lanes), served_by_none(lanes.qty), np.empty(len(penalty))
    nobody = np.zeros(len(opening), dtype=np.bool_)
    about = float((lanes.qty * lanes.grams).sum()) / PARTS
    found = way_by(c, lanes, left, penalty, nobody)
    found = exchanged(c, lanes, left, opening, penalty, min(most_parcels, LANES_MOST), about, nobody, found, served)
    prices_in(found[1], shop_of(c, found[1], left, penalty), found[2], v)
    return found, START * v


@njit(cache=True, nogil=True)
def better_way(
    c: Columns, lanes: Lanes, left: Ints, penalty: Floats, most_parcels: int, effort: int, known: Found
) -> Found:
    """Find a better way by lanes that line prices speak for."""
    opening, served, v = openings(lanes), served_by_none(lanes.qty), np.empty(len(penalty))
    nobody = np.zeros(len(opening), dtype=np.bool_)
    about = mean_weight(known[3])
    most = min(most_parcels, LANES_MOST)
    found = exchanged(
        c, lanes, left, opening, penalty, most, about, nobody, way_by(c, lanes, left, penalty, nobody), served
    )
    for worth in WORTHS:
        # lines that are worth what they cost in the best way, or somewhat more, open other lanes than lines worth their penalty
        prices_in(found[1], shop_of(c, found[1], left, penalty), found[2], v)
        about = mean_weight(found[3])
        valued = savings_of(lanes, opening, np.minimum(penalty, worth * v), about, found[3], False)
        chosen = interchange(valued, lanes.qty, most, nobody, np.empty(0, dtype=np.int64), served)
        wanted = marked(valued, chosen, len(opening))
        found = exchanged(c, lanes, left, opening, penalty, most, about, wanted, found, served)
    found = with_one_more(c, lanes, left, opening, penalty, most, found, served)
    if most_parcels > BRANCHED and effort > 1:
        found = kicked(c, lanes, left, opening, penalty, most, found, served)
    return found if found[0] < known[0] else known


@njit(cache=True, nogil=True)
def way_by(c: Columns, lanes: Lanes, left: Ints, penalty: Floats, used: Bools) -> Found:
    """Serve by some lanes, at true cost."""
    near = keep_lanes(lanes, used)
    way = new_way(near)
    cost = serve_by(near, shop_of(c, near, left, penalty), way, float((penalty * lanes.qty).sum()))
    grams = np.zeros(len(used), dtype=np.int64)
    grams[np.flatnonzero(used)] = way.grams
    return cost, near, way, grams, used


@njit(cache=True, nogil=True)
def marked(savings: Savings, chosen: Ints, count: int) -> Bools:
    """(L,) mark the lanes at these places."""
    used = np.zeros(count, dtype=np.bool_)
    used[savings.lane[chosen]] = True
    return used


@njit(cache=True, nogil=True)
def places_of(savings: Savings, used: Bools) -> Ints:
    """Where marked lanes stand in `savings`."""
    return np.flatnonzero(used[savings.lane])


@njit(cache=True, nogil=True)
def mean_weight(grams: Ints) -> float:
    """The weight of a parcel that is not empty."""
    return grams.sum() / max(1, (grams > 0).sum())


@njit(cache=True, nogil=True)
def exchanged(
    c: Columns,
    lanes: Lanes,
    left: Ints,
    opening: Floats,
    penalty: Floats,
    most: int,
    about: float,
    used: Bools,
    found: Found,
    served: Served,
) -> Found:
    """Exchange lanes, beginning with those in use, each time with carriage priced at the weights of the way before."""
    grams, nobody = found[3], np.zeros(len(used), dtype=np.bool_)
    for turn in range(WEIGHED):
        savings = savings_of(lanes, opening, penalty, about, grams, False)
        chosen = interchange(savings, lanes.qty, most, nobody, places_of(savings, used), served)
        wanted = marked(savings, chosen, len(used))
        if turn and (wanted == used).all():
            break
        used = wanted
        trial = way_by(c, lanes, left, penalty, used)
        if trial[0] < found[0]:
            found = trial
        grams = trial[3]
        about = mean_weight(grams)
    return found


@njit(cache=True, nogil=True)
def with_one_more(
    c: Columns, lanes: Lanes, left: Ints, opening: Floats, penalty: Floats, most: int, found: Found, served: Served
) -> Found:
    """Try the lane that would save most beside those in use: high steps of a tariff may ask for more than tangents do."""
    savings = savings_of(lanes, opening, penalty, mean_weight(found[3]), found[3], False)
    chosen = places_of(savings, found[4])
    if len(chosen) >= most:
        return found
    clear(served, lanes.qty)
    for i in chosen:
        add_lane(savings, served, i)
    more = best_beside(savings, served, chosen, np.zeros(len(opening), dtype=np.bool_), -INF)[1]
    if more < 0:
        return found
    used = found[4].copy()
    used[savings.lane[more]] = True
    trial = way_by(c, lanes, left, penalty, used)
    return trial if trial[0] < found[0] else found


@njit(cache=True, nogil=True)
def branched(
    c: Columns,
    lanes: Lanes,
    left: Ints,
    opening: Floats,
    penalty: Floats,
    most_parcels: int,
    found: Found,
    gain: Floats,
    enough: float,
    target: float,
) -> tuple[float, Found]:
    """Seek the best set of few lanes by branch and bound: no way by these lanes costs less than the first result.

    Line prices prove that lanes do not matter whose (L,) `gain` add up to less than `enough`.
    """
    nothing = float((penalty * lanes.qty).sum())
    bound, grams = 0.0, found[3]
    if len(grams) != len(opening):
        grams = np.zeros(len(opening), dtype=np.int64)
    about = mean_weight(found[3])
    by_node = np.full(len(lanes.nodes), -INF)
    for i in range(len(gain)):
        by_node[lanes.at[i]] = max(by_node[lanes.at[i]], gain[i])
    for _ in range(BRANCHED_TIMES):
        savings = savings_of(lanes, opening, penalty, about, grams, True)
        target = min(target, found[0])
        least, slack = nothing - target, BRANCH_SLACK * target
        saved, chosen = best_set(
            savings, lanes.qty, most_parcels, least, slack, BRANCH_WORK, by_node[lanes.at[savings.lane]], enough
        )
        bound = max(bound, nothing - saved)
        if len(chosen) == 0:
            break
        trial = way_by(c, lanes, left, penalty, marked(savings, chosen, len(opening)))
        grams, about = trial[3], mean_weight(trial[3])
        if trial[0] < found[0]:
            found = trial
    return bound, found


@njit(cache=True, nogil=True)
def kicked(
    c: Columns, lanes: Lanes, left: Ints, opening: Floats, penalty: Floats, most: int, found: Found, served: Served
) -> Found:
    """Do without one of the lanes in use, and exchange lanes from there; from a better way begin again."""
    count, at, kicks = len(opening), 0, KICKS
    savings = savings_of(lanes, opening, penalty, mean_weight(found[3]), found[3], False)
    chosen = places_of(savings, found[4])
    while at < len(chosen) and kicks > 0:
        kicks -= 1
        barred = np.zeros(count, dtype=np.bool_)
        barred[chosen[at]] = True
        rest = np.concatenate((chosen[:at], chosen[at + 1 :]))
        other = interchange(savings, lanes.qty, most, barred, rest, served)
        trial = way_by(c, lanes, left, penalty, marked(savings, other, count))
        at += 1
        if trial[0] < found[0] - 0.5:
            found, at = trial, 0
            savings = savings_of(lanes, opening, penalty, mean_weight(found[3]), found[3], False)
            chosen = places_of(savings, found[4])
    return found


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

    Prices prove something from 0 up to what leaving a unit open costs; those beyond are taken as the nearest that do.

    Returns
    -------
    key, bound
        (N, 4) order, destination, node and service of every lane, and (N,) its bound.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    offers = offered(c, order, left, node_left, row_price)
    nodes = offers[0]
    dests = c.order_dest_start[order + 1] - c.order_dest_start[order]
    room = dests * len(nodes) * max(1, c.lane_zone.shape[2])
    key, bound = np.empty((room, 4), dtype=np.int64), np.empty(room)
    v = np.maximum(0.0, line_price[first:last])
    if not c.order_ship_complete[order]:
        v = np.minimum(v, c.line_open_cents[first:last])
    made = 0
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        lanes = lanes_of(c, order, dest, offers, node_left, node_price, 0.0)
        count, scratch = len(lanes.at), raising(lanes)
        value = relaxed(lanes, scratch, v, c.order_max_parcels[order], np.full(count, FREE), -INF)
        for i in range(count):
            key[made, 0], key[made, 1] = order, dest
            key[made, 2], key[made, 3] = nodes[lanes.at[i]], lanes.service[i]
            bound[made] = value - min(0.0, scratch.gain[i])
            made += 1
    return key[:made], bound[:made]


__all__ = ["GUIDED", "HASTY", "QUICK", "THOROUGH", "lane_bounds", "price_many"]
