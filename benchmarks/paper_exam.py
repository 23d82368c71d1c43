"""One instance of a paper under every policy: the same sequences for each, beside the least that they could have cost."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.results import Say
from solver.fluid import (
    RULES,
    Fluid,
    LookAhead,
    Pace,
    Pool,
    Program,
    Served,
    arrivals,
    ascend,
    compact,
    expected_future,
    gates,
    open_share,
    sampled_futures,
)  # fmt: skip
from solver.problem import Floats, Ints

ORDERS, CHANCE, FUTURES = 1, 2, 3
"""Streams of chance: what is ordered; what policies draw; the futures that they sample."""
CAUTION = 0.01
"""Of the magician, as in the published runs."""
GREEDY, BEST = "greedy", "sampled futures"
FAMILIES = ("nearest", "independent", "jasin_sinha", "dilate", "force_open", "magician")
"""As published: an item whose centre is sold out is unfilled."""

Serve = Callable[[Ints, list[int]], Served]
"""Serve a sequence; the numbers are the seed of all that the policy draws."""


@dataclass(frozen=True)
class Effort:
    """How hard an exam looks ahead.

    Attributes
    ----------
    samples
        Futures that `sampled futures` draws; 0 leaves it out.
    sampled, expected
        How often prices are made anew, from sampled futures and from the expected one.
    gap
        Patterns are generated until the bound of a program is this near to its cost.
    large
        Whether the instance is large: programs start from an ascent, roundings have the shares of an interior optimum in place of
        a vertex, and the magician, whose gates are worked out for every period, is left out.
    """

    samples: int
    sampled: Pace
    expected: Pace
    gap: float = 0.0
    large: bool = False


class Exam:
    """An instance, its programs solved for the expected orders, and its policies."""

    def __init__(self, fluid: Fluid, effort: Effort, say: Say) -> None:
        self.fluid, self.effort = fluid, effort
        self.compact = compact(fluid, crossover=not effort.large)
        say(f"compact program: {self.compact.cost:,.2f}")
        self.pool = Pool(fluid)
        if effort.large:
            ascend(self.pool, fluid.expected, fluid.stock)
        self.program = Program(self.pool)
        self.answer = self.program.generate(fluid.expected, fluid.stock, effort.gap)
        say(f"pattern program: {self.answer.cost:,.2f} by {len(self.pool.row):,} patterns")
        self.first, self.mass, self.pattern = self.pool.by_kind(self.answer.mass)
        self.policies: dict[str, Serve] = dict(self._policies())

    def hindsight(self, sequence: Ints) -> float:
        """No policy serves this sequence for less."""
        return self.program.generate(self.fluid.counts(sequence), self.fluid.stock, self.effort.gap).bound

    def _policies(self) -> Iterator[tuple[str, Serve]]:
        fluid, t, most = self.fluid, self.fluid.tables, self.fluid.most
        share = self.compact.share
        yield "nearest", lambda orders, _: Served(arrivals.serve_nearest(t, orders, self._stock(), most), 0)
        for rule, name in enumerate(RULES):
            yield (
                name,
                lambda orders, seed, rule=rule: Served(  # type: ignore[misc]
                    arrivals.serve_rounded(t, orders, rule, share, self._stock(), most, _chance(seed)), 0
                ),
            )
        if not self.effort.large:
            yield "magician", self._magician()
        yield GREEDY, lambda orders, _: self._priced(orders, np.zeros(fluid.stock.shape))
        # what an item costs more when it is unfilled, in a parcel that goes anyhow
        stake = np.repeat((fluid.unit[-1] - fluid.unit[:-1]).mean(axis=1)[:, None], fluid.items, axis=1)
        yield "primal-dual", lambda orders, _: Served(arrivals.serve_by_fill(t, orders, stake, self._stock(), most), 0)
        yield (
            "sampled patterns",
            lambda orders, seed: Served(
                arrivals.serve_by_pattern(
                    t, orders, self.first, self.mass, self.pattern, self.answer.prices, self._stock(), _chance(seed)
                ),
                0,
            ),
        )
        yield "static prices", lambda orders, _: self._priced(orders, self.answer.prices)
        ahead = LookAhead(self.pool, self.effort.expected)
        yield "re-solved prices", lambda orders, _: ahead.serve(orders, expected_future(fluid))
        if self.effort.samples:
            sampled = LookAhead(self.pool, self.effort.sampled)
            yield (
                BEST,
                lambda orders, seed: sampled.serve(
                    orders, sampled_futures(fluid, self.effort.samples, np.random.default_rng([*seed, FUTURES]))
                ),
            )

    def _stock(self) -> Ints:
        return np.array(self.fluid.stock)

    def _priced(self, orders: Ints, prices: Floats) -> Served:
        return Served(arrivals.serve_by_prices(self.fluid.tables, orders, prices, self._stock(), self.fluid.most), 0)

    def _magician(self) -> Serve:
        used = np.zeros(self.fluid.stock.size)
        at, cell = self.pool.entries(0)
        np.add.at(used, cell, self.answer.mass[at])
        chance = used.reshape(self.fluid.stock.shape) / self.fluid.periods
        below, tie = gates(chance, self._stock(), open_share(self._stock(), CAUTION), self.fluid.periods)
        return lambda orders, seed: Served(
            arrivals.serve_gated(
                self.fluid.tables, orders, self.first, self.mass, self.pattern, below, tie, self._stock(), _chance(seed)
            ),
            0,
        )


def _chance(seed: list[int]) -> np.random.Generator:
    return np.random.default_rng([*seed, CHANCE])


def sit(fluid: Fluid, effort: Effort, sequences: int, seed: list[int], say: Say) -> dict[str, Any]:
    """Serve so many sequences under every policy.

    Returns
    -------
    dict
        `compact` and `pattern`, the two programs of the expected orders; `hindsight`, and `cost`, `solves` and `seconds` by policy,
        with a number for each sequence.
    """
    exam = Exam(fluid, effort, say)
    found: dict[str, Any] = {"compact": exam.compact.cost, "pattern": exam.answer.cost, "hindsight": []}
    for what in ("cost", "solves", "seconds"):
        found[what] = {name: [] for name in exam.policies}
    for sequence in range(sequences):
        mine = [*seed, sequence]
        orders = fluid.sample(fluid.periods, np.random.default_rng([*mine, ORDERS]))
        found["hindsight"].append(exam.hindsight(orders))
        for name, serve in exam.policies.items():
            began = perf_counter()
            served = serve(orders, mine)
            for what, number in (("cost", served.cost), ("solves", served.solves), ("seconds", perf_counter() - began)):
                found[what][name].append(number)
        if effort.large:
            say(f"sequence {sequence + 1}: " + ", ".join(
                f"{name} {found['cost'][name][-1] / found['compact']:.4f}" for name in exam.policies
            ))  # fmt: skip
    return found
