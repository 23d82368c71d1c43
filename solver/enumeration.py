"""Every parcel that an order of few units could ever get, and every lane of an order of many: no price has a say in it.

This is what a general-purpose solver is given of a problem (`program.py`). Two things are left out, both without a price: parcels
that cost more than leaving their content open, and services that are never needed beside the cheapest of a content
(`service_merges_g`).
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from solver.parcel import late_cents, travel_cents
from solver.problem import HARD, NO_SERVICE, Bools, Columns, Ints, Problem

FEW_CONTENTS = 1024
"""An order with no more contents than this gets a column for each of its parcels."""
PARCELS_MAX = 4_000_000
"""More parcels than this are more than a program of them could hold."""


class Parcels(NamedTuple):
    """N parcels with their entries (a line in a parcel); the parcels of an order are contiguous."""

    order: Ints
    dest: Ints
    node: Ints
    service: Ints
    cents: Ints
    entry_start: Ints
    entry_line: Ints
    entry_units: Ints
    entry_option: Ints


class Lanes(NamedTuple):
    """G lanes (order, destination, node, service) that could each carry one parcel, with E entries (a line that it could hold).

    `cents` is what opening the lane costs besides its carriage, `entry_most` the units of the line that could ever be in it.
    """

    order: Ints
    dest: Ints
    node: Ints
    service: Ints
    cents: Ints
    entry_lane: Ints
    entry_line: Ints
    entry_option: Ints
    entry_most: Ints


def few(problem: Problem) -> Bools:
    """(O,) the orders that get a column for each of their parcels."""
    # logarithms, because a product of many quantities passes every integer
    contents = np.bincount(problem.line_order, np.log2(problem.line_qty + 1.0), minlength=problem.orders)
    few_contents: Bools = contents <= np.log2(FEW_CONTENTS) + 1e-9
    return few_contents


def most_units(problem: Problem) -> Ints:
    """(Q,) units of its line that an option could give at most; 0 where the node is no option."""
    most = problem.line_qty[problem.option_line].copy()
    for row, use in zip(problem.option_row.T, problem.option_use.T, strict=True):
        drawn = (row >= 0) & (use > 0)
        most[drawn] = np.minimum(most[drawn], problem.row_limit[row[drawn]] // use[drawn])
    closed = (problem.node_capacity_parcels == 0) & (problem.node_overtime_cents == HARD)
    most[(problem.option_reason != 0) | closed[problem.option_node]] = 0
    return most


def every_parcel(problem: Problem) -> Parcels | None:
    """List the parcels of all orders of few units; `None` where they are too many."""
    orders, most = np.flatnonzero(few(problem)), most_units(problem)
    nothing = np.zeros(0, dtype=np.int64)
    counting = tuple(nothing for _ in Parcels._fields)
    parcels, entries = _list(problem.columns, orders, most, problem.row_limit.copy(), False, *counting)
    if parcels > PARCELS_MAX:
        return None
    sizes = (*[parcels] * 5, parcels + 1, *[entries] * 3)
    found = Parcels(*(np.zeros(size, dtype=np.int64) for size in sizes))
    _list(problem.columns, orders, most, problem.row_limit.copy(), True, *found)
    return found


@njit(cache=True)
def _list(
    c: Columns,
    orders: Ints,
    most: Ints,
    row_limit: Ints,
    write: bool,
    out_order: Ints,
    out_dest: Ints,
    out_node: Ints,
    out_service: Ints,
    out_cents: Ints,
    out_start: Ints,
    out_line: Ints,
    out_units: Ints,
    out_option: Ints,
) -> tuple[int, int]:
    """Count parcels and entries, and write them where asked to."""
    made, entries = 0, 0
    nodes = len(c.node_parcel_cents)
    for order in orders:
        first = c.order_line_start[order]
        n = c.order_line_start[order + 1] - first
        whole_g = 0
        option = np.full((nodes, n), -1, dtype=np.int64)
        serves = np.zeros(nodes, dtype=np.bool_)
        for k in range(n):
            whole_g += c.line_qty[first + k] * c.sku_weight_g[c.line_sku[first + k]]
            for q in range(c.line_option_start[first + k], c.line_option_start[first + k + 1]):
                if most[q] > 0:
                    option[c.option_node[q], k] = q
                    serves[c.option_node[q]] = True
        for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
            for j in range(nodes):
                if not serves[j]:
                    continue
                own = c.dest_node[dest] == j
                units = np.zeros(n, dtype=np.int64)
                while _next(units, option[j], most):
                    if not _in_stock(c, units, option[j], row_limit):
                        continue
                    grams, services, handling, worth, held = 0, -1, c.node_parcel_cents[j], 0, 0
                    for k in range(n):
                        if units[k] > 0:
                            sku = c.line_sku[first + k]
                            grams += units[k] * c.sku_weight_g[sku]
                            services &= c.sku_services[sku]
                            handling += c.node_line_cents[j] + units[k] * c.option_cents[option[j, k]]
                            worth += units[k] * c.line_open_cents[first + k]
                            held += 1
                    only = -2  # a service beside which no other is needed
                    if not own:
                        cheapest, least = -1, 0
                        for s in range(c.lane_zone.shape[2]):
                            if services >> s & 1 and c.lane_zone[dest, j, s] >= 0:
                                travel = travel_cents(c, order, dest, j, s, grams)
                                if cheapest < 0 or travel < least:
                                    cheapest, least = s, travel
                        if cheapest >= 0 and whole_g <= c.service_merges_g[cheapest, c.lane_zone[dest, j, cheapest]]:
                            only = cheapest
                    for s in range(1 if own else c.lane_zone.shape[2]):
                        service = NO_SERVICE if own else s
                        if not own and not (services >> s & 1 and c.lane_zone[dest, j, s] >= 0):
                            continue
                        if only >= 0 and s != only:
                            continue
                        cents = handling + travel_cents(c, order, dest, j, service, grams)
                        if cents > worth and not c.order_ship_complete[order]:
                            continue
                        if write:
                            out_order[made], out_dest[made], out_node[made], out_service[made] = order, dest, j, service
                            out_cents[made] = cents
                            at = entries
                            for k in range(n):
                                if units[k] > 0:
                                    out_line[at], out_units[at], out_option[at] = first + k, units[k], option[j, k]
                                    at += 1
                            out_start[made + 1] = at
                        made += 1
                        entries += held
    return made, entries


@njit(cache=True)
def _next(units: Ints, option: Ints, most: Ints) -> bool:
    """Count up: the next content of a parcel, all of the node's lines and amounts in turn; False after the last."""
    for k in range(len(units)):
        top = most[option[k]] if option[k] >= 0 else 0
        if units[k] < top:
            units[k] += 1
            return True
        units[k] = 0
    return False


@njit(cache=True)
def _in_stock(c: Columns, units: Ints, option: Ints, row_limit: Ints) -> bool:
    """Tell whether the rows hold what a content draws: lines of one SKU, and all lines at a node, may share one."""
    for k in range(len(units)):
        if units[k] == 0:
            continue
        for w in range(c.option_row.shape[1]):
            row = c.option_row[option[k], w]
            if row < 0:
                continue
            drawn = 0
            for other in range(len(units)):
                if units[other] > 0:
                    for v in range(c.option_row.shape[1]):
                        if c.option_row[option[other], v] == row:
                            drawn += units[other] * c.option_use[option[other], v]
            if drawn > row_limit[row]:
                return False
    return True


def every_lane(problem: Problem) -> Lanes:
    """List the lanes of all orders of many units."""
    many = ~few(problem)
    option_most = most_units(problem)
    option = np.flatnonzero(many[problem.line_order[problem.option_line]] & (option_most > 0))
    order = problem.line_order[problem.option_line[option]]
    dests = np.diff(problem.order_dest_start)[order]
    entry = np.repeat(np.arange(len(option)), dests)
    nth = np.arange(len(entry)) - np.repeat(np.cumsum(dests) - dests, dests)
    dest = problem.order_dest_start[order[entry]] + nth
    node = problem.option_node[option[entry]].astype(np.int64)
    own = problem.dest_node[dest] == node
    carried = problem.sku_carried[problem.line_sku[problem.option_line[option[entry]]]]
    found = [(np.flatnonzero(own), NO_SERVICE)]
    found += [
        (np.flatnonzero(~own & carried[:, s] & (problem.lane_zone[dest, node, s] >= 0)), s)
        for s in range(problem.services)
    ]
    at = np.concatenate([rows for rows, _ in found])
    service = np.repeat([s for _, s in found], [len(rows) for rows, _ in found])
    key = (dest[at] * problem.nodes + node[at]) * (problem.services + 1) + service + 1
    lanes, first, lane_of = np.unique(key, return_index=True, return_inverse=True)
    lane_dest, lane_node, lane_service = dest[at[first]], node[at[first]], service[first]
    lane_order = order[entry[at[first]]]
    picked = option[entry[at]]
    cents = [
        problem.node_parcel_cents[j] + late_cents(problem.columns, o, _days(problem, d, j, s))
        for o, d, j, s in zip(lane_order, lane_dest, lane_node, lane_service, strict=True)
    ]
    sequence = np.argsort(lane_of, kind="stable")
    return Lanes(
        lane_order,
        lane_dest,
        lane_node,
        lane_service,
        np.array(cents, dtype=np.int64).reshape(len(lanes)),
        lane_of[sequence],
        problem.option_line[picked][sequence],
        picked[sequence],
        option_most[picked][sequence],
    )


def _days(problem: Problem, dest: int, node: int, service: int) -> int:
    days = int(problem.node_ready_days[node])
    if service != NO_SERVICE:
        days += int(problem.service_transit_days[service, problem.lane_zone[dest, node, service]])
    return days


__all__ = ["Lanes", "Parcels", "every_lane", "every_parcel", "few"]
