"""Prices on stock and capacity, and the bound that they prove.

For any prices `p >= 0` on resource rows and `m >= 0` on parcel capacities (at most the overtime, where there is one), the sum over
orders of the least cost at those prices, less `p` times the stock and `m` times the capacities, is a lower bound on every plan: the
Lagrangian relaxation of the shared rows. The ways that pricing has found so far tell where the best prices are (`solver.ways`);
pricing all orders there proves a bound and finds more ways.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numba import njit

from solver.draft import never
from solver.effort import Meter
from solver.many import HASTY, QUICK, price_many
from solver.offers import INF, PAIRS_MAX, option_of, pairs_of
from solver.problem import HARD, NO_LIMIT, Bools, Columns, Floats, Ints, Problem, Shorts
from solver.split import TABLE_MAX_PRICING, split_few
from solver.ways import THREADS, Found, Ways, best_prices, nothing_shipped

CHUNK_ORDERS, CHUNK_LINES = 50, 1_000
"""Fewer orders than this are not worth another thread, and after so many lines the clock is looked at."""
CHUNKS_LEAST, CHUNKS_MOST = 8, 512
ENTRIES_EACH = 4
"""Entries of ways that one pass can note, for each line and each order; ways beyond that are found again by the next pass."""
ROUNDS = 40
SOFTEST, HARDEST = 1 / 2, 1 / 300
"""How soft choices are at first and at last, in shares of what serving half a line costs."""
HARDER = 0.4
"""What is left of that softness from one round to the next."""
LITTLE = 1e-5
"""A share of the bound: rounds that gain less end the search."""
ROUNDS_FIRST, ROUNDS_NEXT, ROUNDS_LATE = 72, 24, 48
"""Ascent steps on the lines of an order of many lines: at first, at each later change of the prices, and when time is over."""


@dataclass(frozen=True)
class Priced:
    """Prices and what they prove.

    Attributes
    ----------
    row_price, node_price
        (R,), (J,) cents for one unit of the row, one parcel at the node.
    bound_cents
        The bound at these prices.
    order_value
        (O,) the least cost of each order at these prices.
    line_price
        (L,) prices on the lines of orders of many lines: where their own bound stands.
    """

    row_price: Floats
    node_price: Floats
    bound_cents: float
    order_value: Floats
    line_price: Floats


@dataclass
class Pricing:
    """The relaxed problem: orders that compete for what `left` and `node_left` hold.

    Parameters
    ----------
    problem
        The whole problem.
    orders
        Indices of the orders that compete; all others keep what they have.
    left, node_left
        (R,), (J,) what these orders may draw on.
    """

    problem: Problem
    orders: Ints
    left: Ints
    node_left: Ints
    effort: ClassVar[int] = QUICK
    """For orders of many lines, while it is not late."""

    def __post_init__(self) -> None:
        problem = self.problem
        # the kernels are compiled once, for writable columns
        self.left, self.node_left = np.array(self.left), np.array(self.node_left)
        self.few = np.array([pairs_of(problem.columns, int(o)) <= PAIRS_MAX for o in self.orders], dtype=np.bool_)
        lines = int((problem.order_line_start[self.orders + 1] - problem.order_line_start[self.orders]).sum())
        few_enough = 1 + len(self.orders) // CHUNK_ORDERS
        self.chunks = min(few_enough, max(CHUNKS_LEAST, min(CHUNKS_MOST, lines // CHUNK_LINES)))
        soft = problem.node_overtime_cents != HARD
        self.limited = (self.node_left < NO_LIMIT // 2) & ((self.node_left > 0) | soft)
        self.capacity = np.where(self.limited, np.maximum(0, self.node_left), 0)
        self.ceiling = np.where(soft, problem.node_overtime_cents, np.inf)
        # a node that is full but works overtime stays open: what a parcel there costs is its price
        self.open_nodes = np.where(self.limited | (self.node_left > 0), NO_LIMIT, 0)
        self.unpriced = np.zeros(problem.orders)

    def _affected(self, rows: Bools, nodes: Bools) -> Bools:
        """(O,) the orders with an option at any of these nodes, or that draws on any of these rows."""
        problem = self.problem
        touched = nodes[problem.option_node] | np.append(rows, False)[problem.option_row].any(axis=1)
        return np.bincount(problem.line_order[problem.option_line[touched]], minlength=problem.orders) > 0

    def start_lines(self) -> Floats:
        """Line prices to start from: nothing yet known."""
        return np.full(self.problem.lines, -1.0)

    def at(self, row_price: Floats, node_price: Floats, line_price: Floats, rounds: int) -> Priced:
        """Price every order; `line_price` improves in place."""
        return self.look(row_price, node_price, line_price, rounds, None)[0]

    def look(
        self,
        row_price: Floats,
        node_price: Floats,
        line_price: Floats,
        rounds: int,
        ways: Ways | None,
        late: Callable[[], bool] = never,
        over: Callable[[], bool] = never,
        before: Priced | None = None,
        served: Floats | None = None,
    ) -> tuple[Priced, list[Found]]:
        """Price every order, and note the ways that are better at these prices than those known.

        Once it is `late`, orders of many lines are priced hastily. Once it is `over`, orders that have not been priced count as
        costing what they did without prices, if that is known, or nothing: still a bound. Orders of many lines for which nothing
        has changed since `before` are left as they were. (O,) `served` is what ways known otherwise cost at these prices.
        """
        problem = self.problem
        value = np.zeros(problem.orders)
        wanted = np.ones(len(self.orders), dtype=np.bool_)
        if before is not None and not self.few.all():
            same = ~self._affected(row_price != before.row_price, node_price != before.node_price)
            wanted = self.few | ~same[self.orders]
            value[self.orders[~wanted]] = before.order_value[self.orders[~wanted]]
        orders, few = self.orders[wanted], self.few[wanted]
        open_cents = problem.line_open_cents.astype(np.float64)
        chunks = self.chunks
        known = np.zeros(0) if ways is None else ways.least(np.concatenate([row_price, node_price]))
        room = 0 if ways is None else ENTRIES_EACH * (problem.lines + problem.orders) // chunks + 256

        def price(chunk: int) -> Found:
            if over():
                none, nobody = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
                return Found(nobody, np.zeros(0), np.zeros(1, dtype=np.int64), none, none)
            hasty = late()
            most = len(orders) // chunks + 1
            found = (
                np.empty(most, dtype=np.int64), np.empty(most), np.zeros(most + 1, dtype=np.int64),
                np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32),
            )  # fmt: skip
            count = _price(
                problem.columns, orders, few, self.left, self.open_nodes, row_price, node_price, open_cents,
                line_price, HASTY if hasty else self.effort, ROUNDS_LATE if hasty else rounds, value, chunk, chunks,
                self.limited, known, np.zeros(0) if served is None else served, *found,
            )  # fmt: skip
            order, cents, start, row, use = found
            entries = start[count]
            return Found(order[:count], cents[:count], start[: count + 1], row[:entries], use[:entries])

        # which thread takes a chunk does not matter: each writes to its own columns
        found = [price(0)] if chunks == 1 else list(THREADS.map(price, range(chunks)))
        many = self.orders[~self.few]
        value[many] = np.maximum(value[many], self.unpriced[many])
        self.note(Priced(row_price, node_price, 0.0, value, line_price))
        return Priced(row_price, node_price, self.total(row_price, node_price, value), value, line_price), found

    def note(self, priced: Priced) -> None:
        """Remember what orders cost at least without prices, if that is what these are: no order costs less at any others."""
        if not priced.row_price.any() and not priced.node_price.any():
            self.unpriced = np.maximum(self.unpriced, priced.order_value)

    def total(self, row_price: Floats, node_price: Floats, value: Floats) -> float:
        """The bound that (O,) least costs of orders at the prices prove."""
        charged = float((row_price * self.left).sum() + (node_price * self.capacity).sum())
        total = float(value[self.orders].sum())
        # whatever rounding could have added to the sums is taken off again
        slack = 1e-12 * (total + charged) * max(1.0, float(np.sqrt(len(self.orders))))
        return total - charged - slack


class Ascent:
    """The search for the best prices of a whole problem; it can be asked to go on.

    Parameters
    ----------
    pricing
        All orders of the problem.
    row_price, node_price
        Where to start; prices of an earlier plan spare the first passes.
    meter
        Its limits end the search.
    until
        Seconds on the meter at which to end, too.
    roughly
        Whether the first pass is to be hasty.
    served
        What each order costs as it is served now, at prices of rows and nodes.
    """

    def __init__(
        self,
        pricing: Pricing,
        row_price: Floats,
        node_price: Floats,
        meter: Meter,
        until: float = float("inf"),
        roughly: bool = False,
        served: Callable[[Floats, Floats], Floats] | None = None,
    ) -> None:
        problem = pricing.problem
        self.pricing, self.meter, self.until = pricing, meter, until
        self.line_price = pricing.start_lines()
        open_cents = np.bincount(
            problem.line_order, problem.line_open_cents * problem.line_qty, minlength=problem.orders
        )
        self.ways = nothing_shipped(open_cents.astype(np.float64))
        self.limit = np.concatenate([pricing.left, pricing.capacity]).astype(np.float64)
        self.ceiling = np.concatenate([np.full(problem.rows, np.inf), np.where(pricing.limited, pricing.ceiling, 0.0)])
        self.floor = np.zeros_like(self.limit)
        node_price = np.where(pricing.limited, np.minimum(node_price, pricing.ceiling), 0.0)
        self.roughly = roughly
        known = None if served is None else served(row_price, node_price)
        self.best = self._price(row_price, node_price, ROUNDS_FIRST, first=True, served=known)
        self.complete = not self.meter.spent
        self.unit = max(1.0, 0.5 * float(self.best.order_value.sum()) / max(1, problem.lines))
        self.mu = self.unit * SOFTEST
        self.settled = False

    def _price(
        self,
        row_price: Floats,
        node_price: Floats,
        rounds: int = ROUNDS_NEXT,
        *,
        first: bool = False,
        served: Floats | None = None,
    ) -> Priced:
        # the first pass may take all the time there is, hastily if need be: orders that it does not come to count as 0
        priced, found = self.pricing.look(
            np.array(row_price), np.array(node_price), self.line_price, rounds, self.ways,
            (lambda: self.roughly or self._late()) if first else self._late, (lambda: self.meter.spent) if first else self._late,
            None if first else self.best, served,
        )  # fmt: skip
        self.ways = self.ways.joined(found)
        self.meter.work += 1
        return replace(priced, line_price=self.line_price.copy())

    def _keep(self, priced: Priced) -> None:
        if priced.bound_cents > self.best.bound_cents:
            self.best = priced

    def closer(self, priced: Priced) -> None:
        """Take over what was proven beyond pricing at the best prices."""
        self.best = priced
        self.pricing.note(priced)

    def rounds(self, most: int, enough: float) -> None:
        """Go to where the ways found so far say that the best prices are, and price all orders there."""
        rows = self.pricing.problem.rows
        for _ in range(most):
            if self.settled or self._over(enough):
                return
            before = self.best.bound_cents
            start = np.concatenate([self.best.row_price, self.best.node_price])
            price = best_prices(
                self.ways, self.limit, self.floor, self.ceiling, start, self.mu, lambda: self._over(enough)
            )
            if self._over(enough):
                return
            priced = self._price(price[:rows], price[rows:])
            self._keep(priced)
            if priced.bound_cents < before and not self._over(enough):
                # too far: half way there is most often better, and what is found there keeps the next round from the same fault
                middle = 0.5 * (price + start)
                self._keep(self._price(middle[:rows], middle[rows:]))
            hardest = self.mu <= self.unit * HARDEST
            self.mu = max(self.unit * HARDEST, self.mu * HARDER)
            self.settled = hardest and self.best.bound_cents - before < LITTLE * abs(before)
            self.meter.tell("pricing", enough, self.best.bound_cents)

    def _late(self) -> bool:
        return self.meter.spent or self.meter.seconds > self.until

    def _over(self, enough: float) -> bool:
        return self._late() or self.best.bound_cents > enough - 1 + 1e-6


def ascend(
    pricing: Pricing, row_price: Floats, node_price: Floats, enough: float, meter: Meter, until: float = float("inf")
) -> Ascent:
    """Seek the best prices of a whole problem, from given ones or from none.

    Parameters
    ----------
    enough
        Cost of the best plan known: at that bound there is nothing left to prove.
    until
        Seconds on the meter at which to end.
    """
    ascent = Ascent(pricing, row_price, node_price, meter, until)
    ascent.rounds(ROUNDS, enough)
    return ascent


@njit(cache=True, nogil=True)
def _price(
    c: Columns,
    orders: Ints,
    few: Bools,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    line_price: Floats,
    effort: int,
    rounds: int,
    value: Floats,
    chunk: int,
    chunks: int,
    limited: Bools,
    known: Floats,
    served: Floats,
    found_order: Ints,
    found_cents: Floats,
    found_start: Ints,
    found_row: Shorts,
    found_use: Shorts,
) -> int:
    """Price every so-manieth order; returns how many ways better than (O,) `known` were noted (none where that is empty)."""
    made, entries = 0, 0
    for i in range(chunk, len(orders), chunks):
        order = orders[i]
        if few[i]:
            cost, _, node, _, units, _ = split_few(
                c, order, left, node_left, row_price, node_price, open_cents, 0.0, TABLE_MAX_PRICING
            )
            value[order] = cost
        else:
            target = min(known[order] if len(known) else INF, served[order] if len(served) else INF)
            value[order], cost, _, node, _, units = price_many(
                c, order, left, node_left, row_price, node_price, open_cents, 0.0, line_price, effort, rounds, target
            )
        if not len(known) or cost >= known[order] - 1e-3:
            continue
        width = c.option_row.shape[1]
        if entries + len(node) + len(node) * units.shape[1] * width > len(found_row):
            continue
        charged = 0.0
        for p in range(len(node)):
            if limited[node[p]]:
                found_row[entries], found_use[entries] = len(row_price) + node[p], 1
                charged += node_price[node[p]]
                entries += 1
            for k in range(units.shape[1]):
                if units[p, k] > 0:
                    option = option_of(c, c.order_line_start[order] + k, node[p])
                    for w in range(width):
                        row = c.option_row[option, w]
                        if row >= 0:
                            drawn = units[p, k] * c.option_use[option, w]
                            found_row[entries], found_use[entries] = row, drawn
                            charged += drawn * row_price[row]
                            entries += 1
        found_order[made], found_cents[made] = order, np.round(cost - charged)
        made += 1
        found_start[made] = entries
    return made


__all__ = ["Ascent", "Priced", "Pricing", "ascend"]
