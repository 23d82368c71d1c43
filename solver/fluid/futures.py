"""Prices on stock from the pattern program, solved again as time passes: of the expected future, or of sampled ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from solver.fluid.arrivals import drawn, serve_by_prices
from solver.fluid.model import Fluid
from solver.fluid.patterns import Pool, Program
from solver.fluid.splits import best_split, scratch, split_cost
from solver.problem import Floats, Ints

Demands = Callable[[int], list[Floats]]
"""From a period to the futures from it on that are reckoned with: (types, regions) orders of each."""


@dataclass(frozen=True)
class Pace:
    """How often a policy looks ahead.

    Attributes
    ----------
    share
        Prices are made anew when this share of the remaining periods has passed, after one period at least: often where few
        orders are left to make good for old prices.
    exact
        So many periods before the end, orders are no longer split by prices: the splits that the futures propose are compared
        by what each future would cost after them.
    """

    share: float = 0.1
    exact: int = 0

    def epochs(self, periods: int) -> Iterator[tuple[int, int]]:
        """Periods between which prices stay the same: first, and one past the last."""
        at = 0
        while at < periods:
            left = periods - at
            step = 1 if left <= self.exact else max(1, min(int(self.share * left), left - self.exact))
            yield at, at + step
            at += step


@dataclass(frozen=True)
class Served:
    """What a sequence cost, and how many times a linear program was solved for it."""

    cost: float
    solves: int


def expected_future(fluid: Fluid) -> Demands:
    """One future: the expected orders (the fluid model)."""
    return lambda period: [fluid.rate * (fluid.periods - period)]


def sampled_futures(fluid: Fluid, samples: int, generator: np.random.Generator) -> Demands:
    """Several futures, drawn once: what is left of each as time passes is a sample of the remaining orders."""
    drawn_ahead = [fluid.sample(fluid.periods, generator) for _ in range(samples)]
    return lambda period: [fluid.counts(one[period:]) for one in drawn_ahead]


class LookAhead:
    """Serves a sequence by prices that are the mean over futures (sample average approximation).

    With the expected future alone this is the re-solved bid price of revenue management, for one item the policy of Acimovic and
    Graves (2015). Programs are kept from sequence to sequence, one for each future; patterns that turn out to pay are added.
    """

    def __init__(self, pool: Pool, pace: Pace | None = None) -> None:
        self.pool, self.pace = pool, pace or Pace()
        self.fluid = pool.fluid
        self.programs: list[Program] = []
        self._room = scratch(pool.fluid.most)
        self._solves = 0

    def serve(self, arrivals: Ints, demands: Demands) -> Served:
        """Serve arrivals (type * regions + region; -1: no order), from full stock."""
        self._solves = 0
        stock, cost, t = np.array(self.fluid.stock), 0.0, self.fluid.tables
        periods = len(arrivals)
        for turn, (first, end) in enumerate(self.pace.epochs(periods)):
            if (arrivals[first:end] < 0).all():
                continue
            prices = self._prices(demands(first + 1), stock, turn)
            if periods - first <= self.pace.exact:
                cost += self._serve_exactly(int(arrivals[first]), prices, stock)
            else:
                cost += serve_by_prices(t, arrivals[first:end], np.mean(prices, axis=0), stock, self.fluid.most)
        return Served(cost, self._solves)

    def _prices(self, demands: list[Floats], stock: Ints, turn: int) -> list[Floats]:
        """Solve the program of each future; one of them in turn also looks for new patterns."""
        while len(self.programs) < len(demands):
            self.programs.append(Program(self.pool))
        prices = []
        for s, (program, demand) in enumerate(zip(self.programs, demands, strict=False)):
            program.solve(demand, stock)
            if s == turn % len(demands) and program.price(demand, stock)[2]:
                program.solve(demand, stock)
                self._solves += 1
            prices.append(program.prices())
        self._solves += len(demands)
        return prices

    def _serve_exactly(self, arrival: int, prices: list[Floats], stock: Ints) -> float:
        """Serve one order by the split that, with what the futures cost after it, is the cheapest on average."""
        kind, region = divmod(arrival, self.fluid.regions)
        splits = self._proposed(kind, region, prices, stock)
        chosen = splits[0]
        if len(splits) > 1:
            chosen = min(splits, key=partial(self._cost_after, kind, region, stock, len(prices)))
        return float(drawn(self.fluid.tables, kind, region, np.array(chosen, dtype=np.int64), stock))

    def _proposed(self, kind: int, region: int, prices: list[Floats], stock: Ints) -> list[tuple[int, ...]]:
        """The splits that are the best at the prices of some future, or at their mean."""
        choice = np.zeros(max(self.fluid.most, 1), dtype=np.int64)
        splits = []
        for one in [np.mean(prices, axis=0), *prices]:
            best_split(self.fluid.tables, kind, region, one, stock, self._room, choice)
            splits.append(tuple(choice[: self.fluid.sizes[kind]].tolist()))
        return list(dict.fromkeys(splits))

    def _cost_after(self, kind: int, region: int, stock: Ints, futures: int, split: tuple[int, ...]) -> float:
        """What a split and then the futures cost, on average; the programs stand at the stock before it."""
        t, items = self.fluid.tables, self.fluid.items
        ordered = t.item[t.first[kind] : t.first[kind + 1]]
        cells = np.array(
            [k * items + item for k, item in zip(split, ordered, strict=True) if k < self.fluid.centres], dtype=np.int64
        )
        held = stock.ravel()[cells].astype(np.float64)
        total = 0.0
        for program in self.programs[:futures]:
            program.take(cells, held - 1)
            total += program.run()
            program.take(cells, held)
        self._solves += futures
        return float(split_cost(t, kind, region, np.array(split, dtype=np.int64)) + total / futures)


__all__ = ["Demands", "LookAhead", "Pace", "Served", "expected_future", "sampled_futures"]
