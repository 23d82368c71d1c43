"""`sampled_futures`: each unit is charged what it would have saved later, on the average over sampled futures.

Sample average approximation: prices are found in each future by itself, and their mean is charged. Where one future has plenty and
another has too little, a unit has a price, though there is enough of it for the mean of both. Bent and Van Hentenryck 2004 (online
decisions by sampled scenarios); Shapiro 2003 (the approximation).
"""

from dataclasses import dataclass

from solver.foresight import mean_prices, stock_prices
from solver.outlook import Present, StockPrices
from solver.policies.bid_price import BidPrice
from solver.problem import Problem

STREAMS = 1_024
"""More samples than this share their draws with those of the next seed."""


@dataclass(frozen=True)
class SampledFutures(BidPrice):
    """Decide at the mean price of stock over sampled futures. The settings are those of `bid_price`."""

    name: str = "sampled_futures"

    def solve(self, problem: Problem, present: Present, start: StockPrices | None) -> StockPrices:
        """Find prices in each future; `lines` are shared out among them."""
        told, found = self.settings, []
        each = max(1, told.lines // told.samples)
        for sample in range(told.samples):
            seed = self.seed * STREAMS + sample
            future = self.outlook.future(problem, present, days=told.days, samples=1, lines=each, seed=seed)
            start = stock_prices(future, present, told.passes, start)
            found.append(start)
        return mean_prices(found)


__all__ = ["SampledFutures"]
