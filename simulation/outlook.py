"""The outlook of a replay: its own history and what is past of it, of which at any minute only what came before is looked at."""

import numpy as np

from engine.network import NetworkColumns, columns_of
from engine.outlook import DemandOutlook, joined
from engine.sourcing import OpenOrders
from simulation.history import History
from simulation.open_orders import open_orders
from simulation.placing import Placed


def outlook_of(placed: Placed) -> DemandOutlook:
    """Make the outlook of a placed history; with a past, it knows rates on the first day."""
    network, history, past = columns_of(placed.network), placed.history, placed.past
    orders, placed_at = _orders(history, network), history.order_placed_at
    if past is not None:
        orders, placed_at = joined(_orders(past, network), orders), np.append(past.order_placed_at, placed_at)
    return DemandOutlook(network, placed_at, orders)


def _orders(history: History, network: NetworkColumns) -> OpenOrders:
    """All orders of a history, whole."""
    return open_orders(history, network, np.arange(history.orders), np.arange(history.lines))


__all__ = ["outlook_of"]
