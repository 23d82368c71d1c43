"""Serving one order of many lines at once: the parcel that gains most, then the next, until none gains.

What a parcel gains is what its lines would cost if they stayed open, less the parcel. It is the usual rule for set covering
(Chvatal 1979, by gain instead of ratio): a fraction of a millisecond for an order, and a complete plan where there is no time for a
better one.
"""

import numpy as np
from numba import njit

from solver.offers import offers_of, opening_cents, options_at, overdrawn
from solver.parcel import travel_cents
from solver.problem import HARD, NO_SERVICE, Columns, Floats, Ints


@njit(cache=True, nogil=True)
def split_at_once(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
) -> tuple[float, int, Ints, Ints, Ints]:
    """Serve one order parcel by parcel: parameters and first five results as `split_few`."""
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    offers = offers_of(c, order, left, node_left, row_price)
    nothing = 0.0
    for line in range(first, last):
        nothing += open_cents[line] * c.line_qty[line]
    least, least_dest = nothing, c.order_dest_start[order]
    out_node, out_service = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    out_units = np.empty((0, n), dtype=np.int64)
    most = min(c.order_max_parcels[order], len(offers.nodes))
    complete = c.order_ship_complete[order]
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        rest = c.line_qty[first:last].copy()
        used = offers.tight.copy()
        node, service = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
        units = np.zeros((most, n), dtype=np.int64)
        cost, made = nothing, 0
        while made < most:
            gain, at, by = best_lane(
                c,
                order,
                dest,
                offers.nodes,
                offers.avail,
                offers.unit,
                used,
                rest,
                node_left,
                node_price,
                open_cents[first:last],
                parcel_extra,
            )
            if at < 0 or (gain <= 0 and not complete):
                break
            node[made], service[made], used[at] = offers.nodes[at], by, True
            for k in range(n):
                if wanted(c, first + k, by, offers.avail[at, k], rest[k], open_cents[first + k] - offers.unit[at, k]):
                    units[made, k] = min(rest[k], offers.avail[at, k])
                    rest[k] -= units[made, k]
            cost -= gain
            made += 1
        if (complete and rest.sum() > 0) or not shares_hold(c, order, node[:made], units[:made], left):
            continue
        if cost < least:
            least, least_dest = cost, dest
            out_node, out_service, out_units = node[:made], service[:made], units[:made]
    return least, least_dest, out_node, out_service, out_units


@njit(cache=True, nogil=True)
def wanted(c: Columns, line: int, service: int, avail: int, rest: int, gain: float) -> bool:
    """Tell whether a line joins a parcel: something of it is there and still to be served, the service may carry it, it gains."""
    carried = service == NO_SERVICE or c.sku_services[c.line_sku[line]] >> service & 1
    return carried and min(avail, rest) > 0 and gain > 0


@njit(cache=True, nogil=True)
def best_lane(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    avail: Ints,
    unit: Floats,
    used: np.ndarray,
    rest: Ints,
    node_left: Ints,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
) -> tuple[float, int, int]:
    """Find the parcel that gains most, from a node not used yet: its gain, candidate node (-1: none) and service."""
    first = c.order_line_start[order]
    best, best_at, best_by = -np.inf, -1, NO_SERVICE
    for at in range(len(nodes)):
        j = nodes[at]
        if used[at] or (node_left[j] <= 0 and c.node_overtime_cents[j] == HARD):
            continue
        own = c.dest_node[dest] == j
        fixed = opening_cents(c, j, node_left, node_price, parcel_extra)
        for s in range(1 if own else c.lane_zone.shape[2]):
            by = NO_SERVICE if own else s
            if not own and c.lane_zone[dest, j, s] < 0:
                continue
            gain, grams, lines = -fixed, 0, 0
            for k in range(len(rest)):
                if wanted(c, first + k, by, avail[at, k], rest[k], open_cents[k] - unit[at, k]):
                    count = min(rest[k], avail[at, k])
                    gain += count * (open_cents[k] - unit[at, k]) - c.node_line_cents[j]
                    grams += count * c.sku_weight_g[c.line_sku[first + k]]
                    lines += 1
            if lines == 0 or gain <= best:
                continue
            gain -= travel_cents(c, order, dest, j, by, grams)
            if gain > best:
                best, best_at, best_by = gain, at, by
    return best, best_at, best_by


@njit(cache=True, nogil=True)
def shares_hold(c: Columns, order: int, node: Ints, units: Ints, left: Ints) -> bool:
    """Tell whether the rows hold what all parcels draw together, where rows are shared by lines or nodes."""
    for p in range(len(node)):
        if overdrawn(c, options_at(c, order, node[p]), units[p], left):
            return False
    return True


__all__ = ["split_at_once"]
