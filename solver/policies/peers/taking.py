"""The kernels of other systems' rules: what is open to an order, taking it in turn, and sets of nodes that hold it together."""

import numpy as np
from numba import njit

from solver.distance import km
from solver.packing import draw_all, parcels_at, room, take
from solver.problem import HARD, Columns, Floats, Ints

TRIES, FOUND = 1_000_000, 10_000
"""Sets of nodes that are tried for an order, and how many of those that serve it are kept."""


@njit(cache=True)
def open_to(c: Columns, order: int, dest: int, left: Ints, node_left: Ints, drawn: Ints) -> tuple[Ints, Ints, Ints]:
    """Find the nodes that can give an order something now: (m,) nodes, (m, n) options and units held."""
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n, count = last - first, len(node_left)
    held = np.zeros((count, n), dtype=np.int64)
    option = np.full((count, n), -1, dtype=np.int64)
    for line in range(first, last):
        for q in range(c.line_option_start[line], c.line_option_start[line + 1]):
            j = c.option_node[q]
            if c.option_reason[q] != 0 or (node_left[j] <= 0 and c.node_overtime_cents[j] == HARD):
                continue
            carried = c.dest_node[dest] == j
            for s in range(c.lane_zone.shape[2]):
                carried |= c.lane_zone[dest, j, s] >= 0 and c.sku_services[c.line_sku[line]] >> s & 1 == 1
            if carried:
                held[j, line - first] = max(0, room(c, q, left, drawn))
                option[j, line - first] = q
    nodes = np.flatnonzero(held.sum(axis=1))
    return nodes, option[nodes], held[nodes]


@njit(cache=True)
def take_in_turn(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    option: Ints,
    opening: Floats,
    sequence: Ints,
    most: Ints,
    most_parcels: int,
    left: Ints,
    node_left: Ints,
    units: Ints,
    drawn: Ints,
) -> Ints:
    """Add to (m, n) units what each line can have from the candidates of its column of `sequence` in turn.

    `drawn` is (R,) zeros, and zeros again afterwards.
    """
    first = c.order_line_start[order]
    draw_all(c, option, units, 1, drawn)
    for k in range(units.shape[1]):
        rest = c.line_qty[first + k] - units[:, k].sum()
        for turn in range(len(sequence)):
            at = sequence[turn, k]
            wanted = min(rest, most[at, k] - units[at, k])
            if wanted > 0 and option[at, k] >= 0:
                rest -= take(
                    c, order, dest, nodes, option, opening, at, k, wanted, most_parcels, left, node_left, units, drawn
                )
    draw_all(c, option, units, -1, drawn)
    return units


@njit(cache=True)
def covering_sets(stock: Ints, need: Ints, most: int) -> Ints:
    """List the sets of candidates, as few as cover the need, in the order in which they stand: (s, k)."""
    m, n = stock.shape
    tries = 0
    for size in range(1, min(most, m) + 1):
        out = np.empty((FOUND, size), dtype=np.int64)
        found = 0
        chosen = np.arange(size)
        while True:
            tries += 1
            enough = True
            for k in range(n):
                held = 0
                for at in chosen:
                    held += stock[at, k]
                enough &= held >= need[k]
            if enough:
                out[found] = chosen
                found += 1
            turn = size - 1
            while turn >= 0 and chosen[turn] == m - size + turn:
                turn -= 1
            if turn < 0 or tries == TRIES or found == FOUND:
                break
            chosen[turn] += 1
            for after in range(turn + 1, size):
                chosen[after] = chosen[after - 1] + 1
        if found or tries == TRIES:
            return out[:found].copy()
    return np.empty((0, 1), dtype=np.int64)


@njit(cache=True)
def alone_cents(
    c: Columns, order: int, dest: int, nodes: Ints, units: Ints, opening: Floats, node_left: Ints
) -> Floats:
    """Price what each of (m,) nodes gives an order: (m, n) units, carriage, lateness and opening, `INF` if it cannot go."""
    cents = np.empty(len(nodes))
    for at in range(len(nodes)):
        cents[at], _, _ = parcels_at(c, order, dest, nodes[at], units[at], opening[at], node_left[nodes[at]], 0.0)
    return cents


@njit(cache=True)
def kms(nodes: Ints, node_lat: Floats, node_lon: Floats, lat: float, lon: float) -> Floats:
    """Measure the way from each of (m,) nodes to a place: great circles in km, infinite where coordinates are missing."""
    away = np.empty(len(nodes))
    for at in range(len(nodes)):
        known = not np.isnan(node_lat[nodes[at]] + node_lon[nodes[at]] + lat + lon)
        away[at] = km(node_lat[nodes[at]], node_lon[nodes[at]], lat, lon) if known else np.inf
    return away


__all__ = ["alone_cents", "covering_sets", "kms", "open_to", "take_in_turn"]
