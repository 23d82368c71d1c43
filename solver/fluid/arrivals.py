"""Passing a sequence of orders, one after the other, over dwindling stock: compiled loops, one for each family of policies.

Arrivals are type * regions + region, or -1 for no order; stock is (centres, items) and drawn down. All return the cost.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solver.fluid.model import Tables
from solver.fluid.rounding import pick, round_by
from solver.fluid.splits import best_split, scratch, split_cost
from solver.problem import Floats, Ints


@njit(cache=True, nogil=True)
def serve_by_prices(t: Tables, arrivals: Ints, prices: Floats, stock: Ints, most: int) -> float:
    """Serve each order by its cheapest split over what is in stock, with a price on stock (0: greedy)."""
    regions = t.unit.shape[1]
    room, choice = scratch(most), np.empty(max(most, 1), dtype=np.int64)
    cost = 0.0
    for arrival in arrivals:
        if arrival >= 0:
            kind, region = arrival // regions, arrival % regions
            best_split(t, kind, region, prices, stock, room, choice)
            cost += drawn(t, kind, region, choice, stock)
    return cost


@njit(cache=True, nogil=True)
def serve_by_fill(t: Tables, arrivals: Ints, at_stake: Floats, stock: Ints, most: int) -> float:
    """Serve with prices that rise as cells empty, from 0 to what is at stake (Andrews, Farias, Khojandi and Yan, 2019).

    A cell of which the share w is gone has the price at_stake (e^w - 1) / (e - 1).
    """
    regions = t.unit.shape[1]
    room, choice = scratch(most), np.empty(max(most, 1), dtype=np.int64)
    start, prices = stock.copy(), np.zeros(stock.shape)
    cost = 0.0
    for arrival in arrivals:
        if arrival >= 0:
            kind, region = arrival // regions, arrival % regions
            best_split(t, kind, region, prices, stock, room, choice)
            cost += drawn(t, kind, region, choice, stock)
            for i in range(t.first[kind + 1] - t.first[kind]):
                k, item = choice[i], t.item[t.first[kind] + i]
                if k < len(stock):
                    gone = 1 - stock[k, item] / start[k, item]
                    prices[k, item] = at_stake[k, item] * (np.exp(gone) - 1) / (np.e - 1)
    return cost


@njit(cache=True, nogil=True)
def serve_nearest(t: Tables, arrivals: Ints, stock: Ints, most: int) -> float:
    """Try for each item the cheapest centre that carried it at first; what is sold out there is unfilled."""
    regions, dummy = t.unit.shape[1], len(stock)
    choice = np.empty(max(most, 1), dtype=np.int64)
    carried = stock > 0
    cost = 0.0
    for arrival in arrivals:
        if arrival >= 0:
            kind, region = arrival // regions, arrival % regions
            for i in range(t.first[kind + 1] - t.first[kind]):
                choice[i] = dummy
                for k in range(dummy):
                    if carried[k, t.item[t.first[kind] + i]] and t.unit[k, region] < t.unit[choice[i], region]:
                        choice[i] = k
            cost += drawn(t, kind, region, choice, stock)
    return cost


@njit(cache=True, nogil=True)
def serve_rounded(
    t: Tables, arrivals: Ints, rule: int, share: Floats, stock: Ints, most: int, generator: np.random.Generator
) -> float:
    """Try the centres that a rounding of the shares names (Jasin and Sinha; Ma); what is sold out there is unfilled."""
    regions = t.unit.shape[1]
    choice = np.empty(max(most, 1), dtype=np.int64)
    cost = 0.0
    for arrival in arrivals:
        if arrival >= 0:
            kind, region = arrival // regions, arrival % regions
            n = t.first[kind + 1] - t.first[kind]
            if n > 0:
                round_by(rule, share[arrival, :n], generator, choice)
                cost += drawn(t, kind, region, choice, stock)
    return cost


@njit(cache=True, nogil=True)
def serve_gated(
    t: Tables, arrivals: Ints, first: Ints, mass: Floats, pattern: NDArray[np.int8], below: Ints, tie: Floats,
    stock: Ints, generator: np.random.Generator,
) -> float:  # fmt: skip
    """Draw a pattern by its mass, and leave unfilled what its gates hold back (Amil, Makhdoumi and Wei, 2025).

    Patterns of one kind of order stand together, from `first[kind]` on.
    """
    regions, dummy = t.unit.shape[1], len(stock)
    choice = np.empty(max(pattern.shape[1], 1), dtype=np.int64)
    start = stock.copy()
    cost = 0.0
    for period in range(len(arrivals)):
        arrival = arrivals[period]
        if arrival >= 0 and first[arrival + 1] > first[arrival]:
            kind = arrival // regions
            chosen = first[arrival] + pick(mass[first[arrival] : first[arrival + 1]], generator)
            for i in range(t.first[kind + 1] - t.first[kind]):
                k, item = pattern[chosen, i], t.item[t.first[kind] + i]
                if k < dummy:
                    gone = start[k, item] - stock[k, item]
                    at = below[period, k, item]
                    shut = gone > at or (gone == at and generator.random() >= tie[period, k, item])
                    k = dummy if shut else k
                choice[i] = k
            cost += drawn(t, kind, arrival % regions, choice, stock)
    return cost


@njit(cache=True, nogil=True)
def serve_by_pattern(
    t: Tables, arrivals: Ints, first: Ints, mass: Floats, pattern: NDArray[np.int8], prices: Floats, stock: Ints,
    generator: np.random.Generator,
) -> float:  # fmt: skip
    """Draw a pattern by its mass ("probabilistic fluid"); where some of it is sold out, split by prices instead."""
    regions, dummy = t.unit.shape[1], len(stock)
    most = pattern.shape[1]
    room, choice = scratch(most), np.empty(max(most, 1), dtype=np.int64)
    cost = 0.0
    for arrival in arrivals:
        if arrival >= 0:
            kind, region = arrival // regions, arrival % regions
            there = first[arrival + 1] > first[arrival]
            if there:
                chosen = first[arrival] + pick(mass[first[arrival] : first[arrival + 1]], generator)
                for i in range(t.first[kind + 1] - t.first[kind]):
                    choice[i] = pattern[chosen, i]
                    there &= choice[i] == dummy or stock[choice[i], t.item[t.first[kind] + i]] > 0
            if not there:
                best_split(t, kind, region, prices, stock, room, choice)
            cost += drawn(t, kind, region, choice, stock)
    return cost


@njit(cache=True, nogil=True)
def drawn(t: Tables, kind: int, region: int, choice: Ints, stock: Ints) -> float:
    """Take a split from stock; what is sold out goes to the dummy, in `choice` too. Returns the cost."""
    for i in range(t.first[kind + 1] - t.first[kind]):
        k, item = choice[i], t.item[t.first[kind] + i]
        if k < len(stock):
            if stock[k, item] > 0:
                stock[k, item] -= 1
            else:
                choice[i] = len(stock)
    return split_cost(t, kind, region, choice)


__all__ = [
    "drawn", "serve_by_fill", "serve_by_pattern", "serve_by_prices", "serve_gated", "serve_nearest", "serve_rounded",
]  # fmt: skip
