"""Packing what a node gives an order into parcels by service, and counting what rows still hold."""

import numpy as np
from numba import njit

from solver.offers import INF, best_service
from solver.problem import HARD, NO_SERVICE, Columns, Floats, Ints


@njit(cache=True)
def parcels_at(
    c: Columns, order: int, dest: int, node: int, units: Ints, opening: float, overtime_left: int, parcel_extra: float
) -> tuple[float, int, Ints]:
    """Pack what one node gives an order: in one parcel if a service carries it all, else by the services that its SKUs allow.

    Returns
    -------
    cost, parcels, service
        Travel and opening (`INF` if something cannot go), their number, and (n,) the service of each line (-2: not in a parcel).
    """
    first = c.order_line_start[order]
    n = len(units)
    service = np.full(n, -2, dtype=np.int64)
    cost, parcels = 0.0, 0
    while True:
        grams, mask, waiting = 0, -1, 0
        for k in range(n):
            if units[k] > 0 and service[k] == -2:
                sku = c.line_sku[first + k]
                if mask & c.sku_services[sku] or c.dest_node[dest] == node:
                    mask &= c.sku_services[sku]
                    grams += units[k] * c.sku_weight_g[sku]
                waiting += 1
        if waiting == 0:
            return cost, parcels, service
        chosen, travel = best_service(c, order, dest, node, grams, mask)
        if travel >= INF:
            return INF, 0, service
        for s in range(n):
            if units[s] > 0 and service[s] == chosen:
                return INF, 0, service
        took = False
        for k in range(n):
            if units[k] > 0 and service[k] == -2:
                sku = c.line_sku[first + k]
                if chosen == NO_SERVICE or c.sku_services[sku] >> chosen & 1:
                    if chosen == NO_SERVICE or (c.sku_services[sku] & mask) == mask:
                        service[k] = chosen
                        took = True
        if not took:
            return INF, 0, service
        cost += travel + opening
        parcels += 1
        if parcels > overtime_left:
            cost += c.node_overtime_cents[node] if c.node_overtime_cents[node] != HARD else INF
        if parcels > 8:
            return INF, 0, service


@njit(cache=True)
def room(c: Columns, option: int, left: Ints, used: Ints) -> int:
    """Count the units of an option that its rows still hold."""
    most = 2**31
    for w in range(c.option_row.shape[1]):
        row, use = c.option_row[option, w], c.option_use[option, w]
        if row >= 0 and use > 0:
            most = min(most, (left[row] - used[row]) // use)
    return most


@njit(cache=True)
def draw(c: Columns, option: int, units: int, used: Ints) -> None:
    """Note that units of an option draw on its rows."""
    for w in range(c.option_row.shape[1]):
        row = c.option_row[option, w]
        if row >= 0:
            used[row] += units * c.option_use[option, w]


@njit(cache=True)
def parcels_of(c: Columns, order: int, dest: int, nodes: Ints, units: Ints, opening: Floats, node_left: Ints) -> int:
    """Count the parcels of (m, n) units by node, without end where one of them cannot go."""
    count = 0
    for at in range(len(nodes)):
        if units[at].sum() > 0:
            cents, made, _ = parcels_at(c, order, dest, nodes[at], units[at], opening[at], node_left[nodes[at]], 0.0)
            if cents >= INF:
                return 2**62
            count += made
    return count


@njit(cache=True)
def take(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    option: Ints,
    opening: Floats,
    at: int,
    k: int,
    wanted: int,
    most_parcels: int,
    left: Ints,
    node_left: Ints,
    units: Ints,
    drawn: Ints,
) -> int:
    """Let an order have so many units of its line `k` from candidate `at`, as far as its rows hold them and its parcels can go.

    Parameters
    ----------
    nodes, option, opening
        (m,) the candidates, (m, n) their options, (m,) what opening a parcel costs there.
    most_parcels
        More parcels than this the order may not have.
    units, drawn
        (m, n) units by node and (R,) units by row that the order has so far: both grow.

    Returns
    -------
    int
        The units taken.
    """
    amount = min(wanted, room(c, option[at, k], left, drawn))
    if amount <= 0:
        return 0
    units[at, k] += amount
    if parcels_of(c, order, dest, nodes, units, opening, node_left) > most_parcels:
        units[at, k] -= amount
        return 0
    draw(c, option[at, k], amount, drawn)
    return amount


@njit(cache=True)
def draw_all(c: Columns, option: Ints, units: Ints, sign: int, drawn: Ints) -> None:
    """Note that (m, n) units of (m, n) options draw on their rows (sign 1), or no longer do (-1)."""
    for at in range(units.shape[0]):
        for k in range(units.shape[1]):
            if units[at, k] > 0:
                draw(c, option[at, k], sign * units[at, k], drawn)


@njit(cache=True)
def collected(c: Columns, order: int, nodes: Ints, avail: Ints) -> int:
    """Choose the destination whose own node has most of the order; the first of equals."""
    best, most = c.order_dest_start[order], -1
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        here = 0
        for at in range(len(nodes)):
            if nodes[at] == c.dest_node[dest]:
                here = avail[at].sum()
        if here > most:
            best, most = dest, here
    return best


@njit(cache=True)
def pack(
    c: Columns,
    order: int,
    cost: float,
    dest: int,
    nodes: Ints,
    units: Ints,
    opening: Floats,
    node_left: Ints,
    parcel_extra: float,
) -> tuple[float, int, Ints, Ints, Ints]:
    """Turn (m, n) units by node into parcels by node and service."""
    m, n = units.shape
    out_node = np.empty(m * 8, dtype=np.int64)
    out_service = np.empty(m * 8, dtype=np.int64)
    out_units = np.zeros((m * 8, n), dtype=np.int64)
    made = 0
    for at in range(m):
        if units[at].sum() == 0:
            continue
        _, _, service = parcels_at(
            c, order, dest, nodes[at], units[at], opening[at], node_left[nodes[at]], parcel_extra
        )
        start = made
        for k in range(n):
            if units[at, k] > 0:
                p = start
                while p < made and out_service[p] != service[k]:
                    p += 1
                if p == made:
                    out_node[p] = nodes[at]
                    out_service[p] = service[k]
                    made += 1
                out_units[p, k] = units[at, k]
    return cost, dest, out_node[:made].copy(), out_service[:made].copy(), out_units[:made].copy()


__all__ = ["collected", "draw", "draw_all", "pack", "parcels_at", "parcels_of", "room", "take"]
