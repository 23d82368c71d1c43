"""The ways of serving each order that pricing has found, and the prices at which they would share out what there is.

The bound (`solver.prices`) is a concave function of the prices, and every way of serving an order is one of its pieces. Among the
ways found so far the best prices are sought with each order's minimum softened to `-mu log sum exp(-cost / mu)`, which has a
gradient everywhere: a quasi-Newton method climbs it, `mu` falls from round to round (Nesterov 2005, smoothing; the ways are the
columns of a column generation).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.optimize import minimize

from solver.problem import Bools, Floats, Ints, Shorts

THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pricing")
PARTS = 2
"""Shares of the orders that are softened side by side; fixed, so that sums do not depend on the machine."""
EVALUATIONS = 60
MEMORY = 10
"""Steps that the quasi-Newton method remembers."""


@dataclass(frozen=True)
class Ways:
    """W ways of serving O orders with E entries: what a way draws, stock rows first, then parcels at nodes.

    Attributes
    ----------
    order_start
        (O + 1,) the ways of an order are contiguous.
    cents
        (W,) the bill of a way, without prices and overtime.
    entry_start
        (W + 1,) the entries of a way are contiguous.
    entry_row, entry_use
        (E,) the row (`rows + node` for parcels at a node) and how much of it.
    """

    order_start: Ints
    cents: Floats
    entry_start: Ints
    entry_row: Shorts
    entry_use: Shorts

    @property
    def order(self) -> Ints:
        """(W,) the order of each way."""
        return np.repeat(np.arange(len(self.order_start) - 1), np.diff(self.order_start))

    def least(self, price: Floats) -> Floats:
        """(O,) the least cost of each order at these prices among its ways."""
        return _least(self.order_start, self.cents, self.entry_start, self.entry_row, self.entry_use, price)

    def joined(self, found: list["Found"]) -> "Ways":
        """These ways and more."""
        order = np.concatenate([self.order, *(one.order for one in found)])
        lengths = np.concatenate([np.diff(self.entry_start), *(np.diff(one.entry_start) for one in found)])
        first = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        by_order = np.argsort(order, kind="stable")
        start = np.concatenate([[0], np.cumsum(lengths[by_order])]).astype(np.int64)
        entry = np.arange(start[-1]) - np.repeat(start[:-1] - first[by_order], lengths[by_order])
        return Ways(
            np.searchsorted(order[by_order], np.arange(len(self.order_start))).astype(np.int64),
            np.concatenate([self.cents, *(one.cents for one in found)])[by_order],
            start,
            np.concatenate([self.entry_row, *(one.entry_row for one in found)])[entry],
            np.concatenate([self.entry_use, *(one.entry_use for one in found)])[entry],
        )


@dataclass(frozen=True)
class Found:
    """Ways that one pass of pricing found, in any order: columns as of `Ways`, with the order of each."""

    order: Ints
    cents: Floats
    entry_start: Ints
    entry_row: Shorts
    entry_use: Shorts


def nothing_shipped(cents: Floats) -> Ways:
    """Start with one way for each order: leaving it open, at its (O,) cost."""
    none = np.zeros(0, dtype=np.int32)
    orders = len(cents)
    return Ways(np.arange(orders + 1), cents, np.zeros(orders + 1, dtype=np.int64), none, none)


def best_prices(
    ways: Ways, limit: Floats, floor: Floats, ceiling: Floats, start: Floats, mu: float, over: Callable[[], bool]
) -> Floats:
    """Find the prices at which these ways share out what there is, each order choosing softly.

    Parameters
    ----------
    limit, floor, ceiling
        (R + J,) how much there is, and the least and the most that a unit may cost.
    start
        (R + J,) prices to start from.
    mu
        How soft: choices within some `mu` cents are nearly alike.
    over
        Told before each step whether to end here.
    """
    contested = (demand_at_most(ways, len(limit)) > limit) & (ceiling > floor)
    row = np.flatnonzero(contested)
    price = np.where(contested, start, floor)
    if not len(row):
        return price
    part = _part(ways, contested, np.where(contested, 0.0, floor))
    least = [np.zeros(len(row)) for _ in range(PARTS)]
    bounds = np.linspace(0, len(part.order_start) - 1, PARTS + 1).astype(int)

    def soften(k: int, at: Floats) -> float:
        least[k][:] = 0.0
        value: float = _soften(
            part.order_start, part.cents, part.entry_start, part.entry_row, part.entry_use, at, mu, bounds[k], bounds[k + 1],
            least[k],
        )  # fmt: skip
        return value

    # rows of which there is much bend the function more: in this scale all bend it alike
    scale = 1 / np.sqrt(np.maximum(1.0, limit[row]))

    def loss(scaled: Floats) -> tuple[float, Floats]:
        at = scaled * scale
        values = list(THREADS.map(lambda k: soften(k, at), range(PARTS)))
        return float((at * limit[row]).sum() - sum(values)), (limit[row] - sum(least)) * scale

    def look_up(_: Floats) -> None:
        if over():
            raise StopIteration

    found = minimize(  # type: ignore[call-overload]
        loss, np.minimum(price[row], ceiling[row]) / scale, jac=True, method="L-BFGS-B",
        bounds=np.stack([floor[row] / scale, ceiling[row] / scale], axis=1),
        options={"maxfun": EVALUATIONS, "maxcor": MEMORY}, callback=look_up,
    )  # fmt: skip
    price[row] = found.x * scale
    return price


def demand_at_most(ways: Ways, rows: int) -> Floats:
    """(R + J,) what orders could draw together, each by its most demanding way."""
    demand: Floats = _demand(ways.order_start, ways.entry_start, ways.entry_row, ways.entry_use, rows)
    return demand


def _part(ways: Ways, contested: Bools, price: Floats) -> Ways:
    """Keep the orders that draw on contested rows, and those rows alone (renumbered), with the price of the others in the bill."""
    cents = ways.cents
    if price.any():
        way = np.repeat(np.arange(len(cents)), np.diff(ways.entry_start))
        cents = cents + np.bincount(way, ways.entry_use * price[ways.entry_row], minlength=len(cents))
    matters = contested[ways.entry_row]
    touched = np.concatenate([[0], np.cumsum(matters)])
    way_entries = touched[ways.entry_start]
    order_entries = way_entries[ways.order_start]
    orders = np.flatnonzero(np.diff(order_entries) > 0)
    kept = np.repeat(np.diff(order_entries) > 0, np.diff(ways.order_start))
    number = (np.cumsum(contested) - 1).astype(np.int32)
    return Ways(
        np.concatenate([[0], np.cumsum(np.diff(ways.order_start)[orders])]).astype(np.int64),
        cents[kept],
        np.concatenate([[0], np.cumsum(np.diff(way_entries)[kept])]).astype(np.int64),
        number[ways.entry_row[matters]],
        ways.entry_use[matters],
    )


@njit(cache=True, nogil=True)
def _least(
    order_start: Ints, cents: Floats, entry_start: Ints, entry_row: Shorts, entry_use: Shorts, price: Floats
) -> Floats:
    least = np.full(len(order_start) - 1, np.inf)
    for order in range(len(least)):
        for way in range(order_start[order], order_start[order + 1]):
            cost = cents[way]
            for entry in range(entry_start[way], entry_start[way + 1]):
                cost += entry_use[entry] * price[entry_row[entry]]
            least[order] = min(least[order], cost)
    return least


@njit(cache=True, nogil=True)
def _soften(
    order_start: Ints,
    cents: Floats,
    entry_start: Ints,
    entry_row: Shorts,
    entry_use: Shorts,
    price: Floats,
    mu: float,
    first: int,
    last: int,
    demand: Floats,
) -> float:
    """Add up the softened minima of orders `first` to `last`; `demand` gets what their soft choices draw."""
    total = 0.0
    cost = np.empty(64)
    for order in range(first, last):
        a, b = order_start[order], order_start[order + 1]
        if b - a > len(cost):
            cost = np.empty(2 * (b - a))
        least = np.inf
        for way in range(a, b):
            at = cents[way]
            for entry in range(entry_start[way], entry_start[way + 1]):
                at += entry_use[entry] * price[entry_row[entry]]
            cost[way - a] = at
            least = min(least, at)
        weight = 0.0
        for i in range(b - a):
            cost[i] = np.exp((least - cost[i]) / mu)
            weight += cost[i]
        total += least - mu * np.log(weight)
        for way in range(a, b):
            share = cost[way - a] / weight
            if share > 1e-12:
                for entry in range(entry_start[way], entry_start[way + 1]):
                    demand[entry_row[entry]] += share * entry_use[entry]
    return total


@njit(cache=True, nogil=True)
def _demand(order_start: Ints, entry_start: Ints, entry_row: Shorts, entry_use: Shorts, rows: int) -> Floats:
    demand = np.zeros(rows)
    seen, most = np.full(rows, -1, dtype=np.int64), np.zeros(rows)
    for order in range(len(order_start) - 1):
        for entry in range(entry_start[order_start[order]], entry_start[order_start[order + 1]]):
            row, use = entry_row[entry], float(entry_use[entry])
            if seen[row] != order:
                seen[row], most[row] = order, 0.0
            if use > most[row]:
                demand[row] += use - most[row]
                most[row] = use
    return demand


__all__ = ["THREADS", "Found", "Ways", "best_prices", "demand_at_most", "nothing_shipped"]
