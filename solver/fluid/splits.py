"""The cheapest way to split one order over centres at given stock prices: exact, over all subsets of its items.

Dynamic programming in O(centres 2^n + 3^n): the best centre of every subset, then the best partition into subsets. Stands in
the papers as the pricing problem of the "method" or pattern program of Amil, Makhdoumi and Wei (2025).
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solver.fluid.model import Tables
from solver.problem import Floats, Ints

NONE = -1
"""In a pattern, past the end of the order."""


class Scratch(NamedTuple):
    """Room for the subsets of an order, to be used again and again."""

    at_centre: Floats
    best: Floats
    centre: Ints
    cost: Floats
    part: Ints
    weight: Floats


@njit(cache=True, nogil=True)
def scratch(most: int) -> Scratch:
    """Make room for orders of up to so many items."""
    size = 1 << most
    return Scratch(
        np.empty(size), np.empty(size), np.empty(size, dtype=np.int64), np.empty(size), np.empty(size, dtype=np.int64),
        np.empty(max(most, 1)),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def best_split(t: Tables, kind: int, region: int, prices: Floats, stock: Ints, room: Scratch, choice: Ints) -> float:
    """Write the centre of each item to `choice`; returns the cost, prices included.

    Only centres with stock of an item serve it; the dummy serves any, at no price.
    """
    first = t.first[kind]
    n = t.first[kind + 1] - first
    total = 1 << n
    best, centre, at_centre = room.best, room.centre, room.at_centre
    dummy = len(t.fixed) - 1
    for subset in range(total):
        best[subset] = np.inf
    for k in range(dummy + 1):
        some = k == dummy
        for i in range(n):
            item = t.item[first + i]
            room.weight[i] = t.unit[k, region]
            if k < dummy:
                if stock[k, item] > 0:
                    room.weight[i] += prices[k, item]
                    some = True
                else:
                    room.weight[i] = np.inf
        if not some:
            continue
        at_centre[0] = t.fixed[k, region]
        top = 1
        for i in range(n):
            for below in range(top):
                cost = at_centre[below] + room.weight[i]
                at_centre[top + below] = cost
                if cost < best[top + below]:
                    best[top + below], centre[top + below] = cost, k
            top *= 2
    return _partition(n, room, choice)


@njit(cache=True, nogil=True)
def _partition(n: int, room: Scratch, choice: Ints) -> float:
    """Partition all items into subsets, each at its best centre."""
    best, cost, part = room.best, room.cost, room.part
    cost[0] = 0.0
    for whole in range(1, 1 << n):
        low = whole & -whole
        others = whole ^ low
        least, chosen = best[whole], whole
        rest = others
        while rest:
            # what is served apart from the part that holds the lowest item
            here = best[whole ^ rest] + cost[rest]
            if here < least:
                least, chosen = here, whole ^ rest
            rest = (rest - 1) & others
        cost[whole], part[whole] = least, chosen
    left = (1 << n) - 1
    while left:
        taken = part[left]
        for i in range(n):
            if taken >> i & 1:
                choice[i] = room.centre[taken]
        left ^= taken
    return float(cost[(1 << n) - 1])


@njit(cache=True, nogil=True)
def price_kinds(
    t: Tables, kinds: Ints, regions: int, prices: Floats, stock: Ints, most: int
) -> tuple[Floats, NDArray[np.int8]]:
    """(kinds,) the least cost of one order of each kind (type * regions + region), and (kinds, most) its pattern."""
    value = np.zeros(len(kinds))
    patterns = np.full((len(kinds), most), NONE, dtype=np.int8)
    room, choice = scratch(most), np.empty(max(most, 1), dtype=np.int64)
    for at in range(len(kinds)):
        kind = kinds[at] // regions
        value[at] = best_split(t, kind, kinds[at] % regions, prices, stock, room, choice)
        for i in range(t.first[kind + 1] - t.first[kind]):
            patterns[at, i] = choice[i]
    return value, patterns


@njit(cache=True, nogil=True)
def split_cost(t: Tables, kind: int, region: int, choice: Ints) -> float:
    """What a split costs: every centre used once, every item."""
    cost = 0.0
    for i in range(t.first[kind + 1] - t.first[kind]):
        cost += t.unit[choice[i], region]
        again = False
        for other in range(i):
            again |= choice[other] == choice[i]
        if not again:
            cost += t.fixed[choice[i], region]
    return cost


__all__ = ["NONE", "Scratch", "best_split", "price_kinds", "scratch", "split_cost"]
