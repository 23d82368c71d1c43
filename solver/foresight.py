"""Prices of a sampled future, and any policy at such prices.

A unit that is taken now is missing later. What it would have saved then is its price in the pattern linear program over now and
a sampled future: the dual, found as in a wave, by pricing every order (`solver.prices`). Charged for what it takes, any policy
looks ahead.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from solver.bill import bill
from solver.draft import plan_of
from solver.effort import Effort, Meter, Watch, unwatched
from solver.many import HASTY
from solver.outlook import Future, Present, StockPrices
from solver.plan import Plan
from solver.policies.cheapest import own_bound, serve_cheapest
from solver.prices import ROUNDS, Ascent, Pricing
from solver.problem import NO_LIMIT, Floats, Problem

LEAST_CENTS = 0.5
"""Prices below this change no decision in whole cents."""


@dataclass
class Rationed(Pricing):
    """Orders that compete for what `supply` holds, where `left` only tells what one of them can draw on."""

    supply: Floats
    effort = HASTY
    """A future is a guess: a fifth of the time prices an order of two dozen lines 0.2 % dearer."""

    def total(self, row_price: Floats, node_price: Floats, value: Floats) -> float:
        """The bound that (O,) least costs of orders at the prices prove."""
        return float(value[self.orders].sum()) - float((row_price * self.supply).sum())


def worth(problem: Problem) -> Floats:
    """(R,) the most that any line would pay for a unit of the row: what leaving it open costs."""
    most = np.zeros(problem.rows + 1)
    used = (problem.option_row >= 0) & (problem.option_use > 0) & (problem.option_reason == 0)[:, None]
    cents = problem.line_open_cents[problem.option_line][:, None] / np.maximum(1, problem.option_use)
    np.maximum.at(most, problem.option_row[used], cents[used])
    return most[:-1]


def stock_prices(future: Future, present: Present, passes: int, start: StockPrices | None = None) -> StockPrices:
    """Find what one more unit of each stock is worth in a future.

    Parameters
    ----------
    passes
        Pricings of all its orders, at most.
    start
        Prices to start from: those of a little earlier spare most of the passes.

    Returns
    -------
    StockPrices
        Never more than what leaving a unit open costs.
    """
    problem = future.problem
    unlimited = np.full(problem.nodes, NO_LIMIT)
    pricing = Rationed(problem, np.arange(problem.orders), problem.row_limit, unlimited, future.supply)
    most = worth(problem)
    begin = np.zeros(problem.rows)
    if start is not None:
        # where stock has several limits, the first one has the price to start from
        _, first = np.unique(future.key, return_index=True)
        begin[first] = np.minimum(most[first], start.of(future.key[first]))
    meter = Meter(Effort(seconds=None, work=passes))
    ascent = Ascent(pricing, begin, np.zeros(problem.nodes), meter)
    ascent.limit[: problem.rows] = future.supply
    ascent.ceiling[: problem.rows] = most
    ascent.rounds(ROUNDS, float("inf"))
    priced = np.flatnonzero((ascent.best.row_price > 0) & (future.key >= 0))
    key, of = np.unique(future.key[priced], return_inverse=True)
    cents = np.zeros(len(key))
    np.add.at(cents, of, ascent.best.row_price[priced])
    ceiling = np.zeros(len(key))
    np.maximum.at(ceiling, of, most[priced])
    cents = np.minimum(cents, ceiling)
    some = cents >= LEAST_CENTS
    return StockPrices(present.at, key[some], cents[some])


def mean_prices(several: list[StockPrices]) -> StockPrices:
    """Take the mean over several futures of what a unit is worth in each."""
    key, of = np.unique(np.concatenate([one.key for one in several]), return_inverse=True)
    cents = np.bincount(of, np.concatenate([one.cents for one in several]), minlength=len(key)) / len(several)
    return StockPrices(several[0].at, key, cents)


def charged(problem: Problem, row_price: Floats) -> Problem:
    """The same problem where taking a unit of a row costs its price, too."""
    if not row_price.any():
        return problem
    drawn = np.rint((np.append(row_price, 0.0)[problem.option_row] * problem.option_use).sum(axis=1)).astype(np.int64)
    return replace(problem, option_value_cents=problem.option_value_cents + drawn)


def billed(problem: Problem, plan: Plan, row_price: Floats, policy: str, seed: int, meter: Meter) -> Plan:
    """The same plan for the problem without prices: its true bill, and the bound of every order alone."""
    cost = sum(bill(problem, plan).values())
    bound = min(float(cost), own_bound(problem, meter))
    return replace(
        plan, cost_cents=cost, bound_cents=bound, row_price=row_price.copy(), node_price=np.zeros(problem.nodes),
        seconds=meter.seconds, policy=policy, seed=seed,
    )  # fmt: skip


Decide = Callable[[Problem], Plan]


def decider(by: str, effort: Effort, seed: int, watch: Watch = unwatched) -> Decide:
    """Make the policy that decides at given prices; the bound of `cheapest` at prices, of use to nobody, is spared."""
    from solver.policies import make  # policies are made of this

    if by != "cheapest":
        return make(by, effort, seed, watch)

    def cheapest(problem: Problem) -> Plan:
        meter = Meter(effort, watch)
        draft = serve_cheapest(problem, meter)[0]
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        return plan_of(problem, draft, 0.0, *prices, meter.seconds, by, seed)

    return cheapest


__all__ = ["billed", "charged", "decider", "mean_prices", "stock_prices", "worth"]
