"""The pattern program: how many orders of each kind are split in each way, so that stock suffices, at least cost.

A pattern is one way to serve a whole order, as item to centre (the "methods" of Amil, Makhdoumi and Wei, 2025). Its linear
program is stronger than that over items and centres: as strong as pricing stock and splitting each order exactly. Patterns are
generated where they pay. Its variables are numbers of orders, so that other demand or stock changes only right-hand sides, and
a program that was solved before is solved again in milliseconds by the dual simplex method.
"""

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from solver.fluid.model import Fluid
from solver.fluid.splits import price_kinds
from solver.problem import Floats, Ints

ROUNDS = 500
"""Rounds of generation after which something is wrong."""
PAYS = 1e-9
"""A pattern is new where it costs less than the program thinks, by more than this share of it."""


@dataclass(frozen=True)
class Answer:
    """A solved pattern program.

    Attributes
    ----------
    cost
        Of the program over the patterns that there are.
    bound
        No way to serve this demand from this stock costs less: the order-by-order least cost at `prices`, less what stock is
        worth at them. Holds whatever the prices.
    prices
        (centres, items) what one more unit in stock would save; of no meaning where there is none, as no pattern draws there.
    mass
        (patterns,) orders served by each pattern.
    """

    cost: float
    bound: float
    prices: Floats
    mass: Floats


class Pool:
    """The patterns found so far, each for one kind of order (type * regions + region)."""

    def __init__(self, fluid: Fluid) -> None:
        self.fluid = fluid
        sizes = np.repeat(fluid.sizes, fluid.regions)
        self.kinds: Ints = np.flatnonzero((fluid.rate.ravel() > 0) & (sizes > 0))
        self.row = np.zeros(0, dtype=np.int64)
        self.pattern: NDArray[np.int8] = np.zeros((0, fluid.most), dtype=np.int8)
        self.cost = np.zeros(0)
        self._known: set[int] = set()
        self._base = (fluid.centres + 2) ** np.arange(fluid.most, dtype=object)
        unfilled = np.where(np.arange(fluid.most) < sizes[self.kinds][:, None], fluid.centres, -1)
        self.add(np.arange(len(self.kinds)), unfilled.astype(np.int8))

    def add(self, rows: Ints, patterns: NDArray[np.int8]) -> int:
        """Take in those patterns that are new; returns how many were."""
        keys = ((patterns.astype(np.int64) + 1) * self._base).sum(axis=1) * (len(self.kinds) + 1) + rows
        new = [at for at, key in enumerate(keys.tolist()) if key not in self._known]
        if new:
            self._known.update(keys[new].tolist())
            self.row = np.concatenate([self.row, rows[new]])
            self.pattern = np.concatenate([self.pattern, patterns[new]])
            self.cost = np.concatenate([self.cost, self._cost(rows[new], patterns[new])])
        return len(new)

    def _cost(self, rows: Ints, patterns: NDArray[np.int8]) -> Floats:
        region = self.kinds[rows] % self.fluid.regions
        items = patterns >= 0
        cost = np.where(items, self.fluid.unit[patterns, region[:, None]], 0.0).sum(axis=1)
        for centre in range(self.fluid.centres + 1):
            cost += np.where((patterns == centre).any(axis=1), self.fluid.fixed[centre, region], 0.0)
        return np.asarray(cost)

    def entries(self, start: int) -> tuple[Ints, Ints]:
        """The stock that patterns from `start` on draw: pattern (counted from `start`) and cell (centre * items + item)."""
        pattern = self.pattern[start:]
        at, place = np.nonzero((pattern >= 0) & (pattern < self.fluid.centres))
        t = self.fluid.tables
        kind = self.kinds[self.row[start:][at]] // self.fluid.regions
        return at, pattern[at, place].astype(np.int64) * self.fluid.items + t.item[t.first[kind] + place]

    def by_kind(self, mass: Floats) -> tuple[Ints, Floats, NDArray[np.int8]]:
        """Patterns of some mass, those of a kind together: first of each kind (and one past the last), mass, pattern."""
        some = np.flatnonzero(mass > 0)
        some = some[np.argsort(self.row[some], kind="stable")]
        kinds = self.kinds[self.row[some]]
        first = np.searchsorted(kinds, np.arange(self.fluid.rate.size + 1))
        return first.astype(np.int64), mass[some], self.pattern[some]


class Program:
    """One linear program over a pool of patterns, which it follows as the pool grows. It is kept, and only its bounds change."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.fluid = pool.fluid
        self._rows = len(pool.kinds) + pool.fluid.stock.size
        self._columns = 0
        self._solver = highspy.Highs()
        # all programs of a process share its threads, and one that asks for another number of them is not solved
        for name, setting in {"output_flag": False, "threads": 1}.items():
            self._solver.setOptionValue(name, setting)
        none = np.zeros(self._rows)
        empty = np.zeros(0, dtype=np.int32)
        self._solver.addRows(self._rows, none, none, 0, np.zeros(self._rows, dtype=np.int32), empty, np.zeros(0))

    def _follow(self) -> None:
        """Take in the patterns that are new in the pool."""
        start, pool = self._columns, self.pool
        new = len(pool.row) - start
        if not new:
            return
        at, cell = pool.entries(start)
        column = np.concatenate([np.arange(new), at])
        row = np.concatenate([pool.row[start:], cell + len(pool.kinds)])
        order = np.argsort(column, kind="stable")
        starts = np.searchsorted(column[order], np.arange(new)).astype(np.int32)
        self._solver.addCols(
            new, pool.cost[start:], np.zeros(new), np.full(new, np.inf), len(order), starts,
            row[order].astype(np.int32), np.ones(len(order)),
        )  # fmt: skip
        self._columns = len(pool.row)

    def solve(self, demand: Floats, stock: Floats | Ints) -> float:
        """Solve for (types, regions) orders and (centres, items) units, over the patterns that there are; returns the cost."""
        self._follow()
        asked = demand.ravel()[self.pool.kinds]
        low = np.concatenate([asked, np.full(stock.size, -np.inf)])
        high = np.concatenate([asked, stock.ravel()])
        self._solver.changeRowsBounds(self._rows, np.arange(self._rows, dtype=np.int32), low, high)
        return self.run()

    def take(self, cells: Ints, units: Floats) -> None:
        """Set the stock of some cells (centre * items + item)."""
        rows = (cells + len(self.pool.kinds)).astype(np.int32)
        self._solver.changeRowsBounds(len(rows), rows, np.full(len(rows), -np.inf), units)

    def run(self) -> float:
        """Solve as it stands; returns the cost."""
        self._solver.run()
        status = self._solver.getModelStatus()
        assert status == highspy.HighsModelStatus.kOptimal, (
            f"a program that leaves orders unfilled is solvable: {status}"
        )
        return float(self._solver.getInfo().objective_function_value)

    def prices(self) -> Floats:
        """(centres, items) what one more unit would save, by the last solution."""
        duals = np.array(self._solver.getSolution().row_dual)
        return np.asarray(np.maximum(0.0, -duals[len(self.pool.kinds) :]).reshape(self.fluid.stock.shape))

    def mass(self) -> Floats:
        """(patterns,) orders served by each, by the last solution."""
        return np.array(self._solver.getSolution().col_value)

    def generate(self, demand: Floats, stock: Floats | Ints, gap: float = 0.0, rounds: int = ROUNDS) -> Answer:
        """Solve, and add patterns that pay, until none does or the bound is within `gap` of the cost.

        Raises
        ------
        AssertionError
            If patterns still pay after the last round, and `rounds` was left as it is.
        """
        best = -np.inf
        prices = np.zeros(self.fluid.stock.shape)
        cost = 0.0
        for _ in range(rounds):
            cost = self.solve(demand, stock)
            bound, prices, new = self.price(demand, stock)
            best = max(best, bound)
            if not new or cost - best <= gap * abs(cost):
                break
        else:
            assert rounds < ROUNDS, "patterns are finite, and each round adds some"
        return Answer(cost, best, prices, self.mass())

    def price(self, demand: Floats, stock: Floats | Ints) -> tuple[float, Floats, int]:
        """The bound at the prices of the last solution, these prices, and how many patterns that pay were added."""
        pool = self.pool
        rows = np.flatnonzero(demand.ravel()[pool.kinds] > 0)
        prices = self.prices()
        held = (np.asarray(stock) > 0).astype(np.int64)
        value, patterns = price_kinds(
            self.fluid.tables, pool.kinds[rows], self.fluid.regions, prices, held, self.fluid.most
        )
        thought = np.array(self._solver.getSolution().row_dual)[rows]
        bound = float(demand.ravel()[pool.kinds[rows]] @ value - (prices * stock).sum())
        pays = value < thought - PAYS * (1 + np.abs(thought))
        return bound, prices, pool.add(rows[pays], patterns[pays])


__all__ = ["Answer", "Pool", "Program"]
