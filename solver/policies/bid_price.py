"""`bid_price`: each unit is charged what it would have saved later; static, or solved again as time goes by.

The prices are the duals of the pattern linear program on the stock as it stands and the demand that the outlook expects, over
samples of it that are pooled: so many futures share so many times the stock. Orders of now are in the program as well, so that
prices tell what stock is worth once they are served. Talluri and van Ryzin 1998 (bid prices); Jasin and Sinha 2015 and Ma 2023 (the
pattern program of multi-item orders); Acimovic and Graves 2015 (duals price an order's choice of warehouse, there line by line).
"""

from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta

from solver.effort import Effort, Meter, Watch, unwatched
from solver.foresight import billed, charged, decider, stock_prices
from solver.outlook import Outlook, Present, StockPrices, present_of
from solver.plan import Plan
from solver.problem import Problem
from solver.refusal import Refusal

MINUTES_PER_DAY = 1440


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far to look, how often, and who decides at the prices.

    Attributes
    ----------
    days
        How far to look ahead: on made-up histories with weekly receipts, a week.
    every
        Minutes from one solve to the next, which a receipt brings forward; `None`: static, so again only when `days` are over.
    samples
        Futures that are drawn.
    lines
        Lines of orders in the program, about, at most: fewer samples, or a part of one, where there would be more.
    passes
        Pricings of all these orders, at most.
    share
        Of the prices, what is charged. Each future is priced as by somebody who knows it; what a unit is worth to those who
        will decide without knowing is less.
    by
        The policy that decides at the prices.
    """

    days: Annotated[float, Meta(gt=0, le=365)] = 7.0
    every: Annotated[int, Meta(ge=0)] | None = MINUTES_PER_DAY
    samples: Annotated[int, Meta(ge=1, le=1000)] = 16
    lines: Annotated[int, Meta(ge=1)] = 16_000
    passes: Annotated[int, Meta(ge=1)] = 12
    share: Annotated[float, Meta(gt=0, le=2)] = 0.7
    by: str = "cheapest"


@dataclass(frozen=True, eq=False)
class Remembered:
    """The prices found last, when they get old, and the solves so far."""

    prices: StockPrices
    until: int
    solves: int


@dataclass(frozen=True)
class BidPrice:
    """Decide at the prices of stock in an expected future."""

    settings: Settings
    outlook: Outlook
    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched
    name: str = "bid_price"

    def __call__(self, problem: Problem) -> Plan:
        """Decide where the problem has all the stock there is."""
        return self.look(problem, present_of(problem), None)[0]

    def look(self, problem: Problem, present: Present, memory: Remembered | None) -> tuple[Plan, Remembered]:
        """Decide at the prices remembered, or at new ones where those are old and nobody waits.

        Raises
        ------
        Refusal
            `no_prices`: none are remembered, and somebody waits.
        """
        meter = Meter(self.effort, self.watch)
        if memory is None and present.hurry:
            raise Refusal("policy", "has no prices yet", "no_prices")
        if memory is None or (present.at >= memory.until and not present.hurry):
            prices = self.solve(problem, present, None if memory is None else memory.prices)
            memory = Remembered(prices, self._old(present), 1 if memory is None else memory.solves + 1)
        row_price = self.settings.share * memory.prices.of(present.keys(problem))
        decide = decider(self.settings.by, self.effort, self.seed, self.watch)
        plan = decide(charged(problem, row_price))
        return billed(problem, plan, row_price, self.name, self.seed, meter), memory

    def solve(self, problem: Problem, present: Present, start: StockPrices | None) -> StockPrices:
        """Find prices of a future of pooled samples."""
        told = self.settings
        future = self.outlook.future(
            problem, present, days=told.days, samples=told.samples, lines=told.lines, seed=self.seed
        )
        return stock_prices(future, present, told.passes, start)

    def _old(self, present: Present) -> int:
        """The minute from which prices found now are old."""
        days = int(self.settings.days * MINUTES_PER_DAY)
        if self.settings.every is None:
            return present.at + days
        receipt = int(present.inbound_at[0]) if len(present.inbound_at) else present.at + days
        return min(present.at + self.settings.every, receipt)


__all__ = ["BidPrice", "Remembered", "Settings"]
