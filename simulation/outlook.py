"""The outlook of a replay: its own history and what is past of it, of which at any minute only what came before is looked at.

But for `KnownFuture`, which nobody could have had.
"""

import numpy as np

from engine.network import NetworkColumns, columns_of
from engine.outlook import DemandOutlook, joined
from engine.sourcing import OpenOrders
from simulation.history import History
from simulation.open_orders import open_orders
from simulation.placing import Placed
from solver.problem import Ints


class KnownFuture(DemandOutlook):
    """The outlook of somebody who knows every order to come, to tell by what forecasting is dearer."""

    def sample(self, at: int, until: int, count: float, seed: int) -> tuple[Ints, Ints]:
        """The orders that do come, once for each future; of a part of one, some of them."""
        first, end = np.searchsorted(self.placed_at, at, side="right"), np.searchsorted(self.placed_at, until)
        coming = np.arange(first, max(first, end))
        if count < 1:
            coming = coming[np.random.default_rng([seed, at]).random(len(coming)) < count]
        basket = np.tile(coming, max(1, int(count)))
        return self.placed_at[basket], basket


def outlook_of(placed: Placed, kind: type[DemandOutlook] = DemandOutlook) -> DemandOutlook:
    """Make the outlook of a placed history; with a past, it knows rates on the first day."""
    network, history, past = columns_of(placed.network), placed.history, placed.past
    orders, placed_at = _orders(history, network), history.order_placed_at
    if past is not None:
        orders, placed_at = joined(_orders(past, network), orders), np.append(past.order_placed_at, placed_at)
    return kind(network, placed_at, orders)


def _orders(history: History, network: NetworkColumns) -> OpenOrders:
    """All orders of a history, whole."""
    return open_orders(history, network, np.arange(history.orders), np.arange(history.lines))


__all__ = ["KnownFuture", "outlook_of"]
