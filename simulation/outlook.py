"""The outlook of a replay: its own history and what is past of it, of which at any minute only what came before is looked at."""

import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.network import NetworkColumns, columns_of
from engine.outlook import DemandOutlook, joined
from engine.sourcing import OpenOrders
from simulation.history import History
from simulation.placing import Placed
from solver.problem import DELIVERED


def outlook_of(placed: Placed) -> DemandOutlook:
    """Make the outlook of a placed history; with a past, it knows rates on the first day."""
    network, history, past = columns_of(placed.network), placed.history, placed.past
    orders, placed_at = _orders(history, network), history.order_placed_at
    if past is not None:
        orders, placed_at = joined(_orders(past, network), orders), np.append(past.order_placed_at, placed_at)
    return DemandOutlook(network, placed_at, orders)


def _orders(history: History, network: NetworkColumns) -> OpenOrders:
    """All orders of a history, whole."""
    picks = np.diff(history.order_pickup_start)
    count = np.maximum(1, picks)
    node = np.full(int(count.sum()), DELIVERED, dtype=np.int64)
    node[np.repeat(picks > 0, count)] = history.pickup_node
    collected = node != DELIVERED
    return OpenOrders(
        order_id=history.order_id,
        order_line_start=history.order_line_start,
        order_dest_start=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        order_promise_day=history.order_placed_at // MINUTES_PER_DAY + history.order_promise_days,
        order_late_cents=history.order_late_cents,
        order_max_parcels=history.order_max_parcels,
        order_ship_complete=history.order_ship_complete,
        dest_node=node,
        dest_lat=np.where(collected, network.empty.node_lat[node], np.repeat(history.order_lat, count)),
        dest_lon=np.where(collected, network.empty.node_lon[node], np.repeat(history.order_lon, count)),
        line_sku=history.line_sku,
        line_qty=history.line_qty,
        line_unfilled_cents=history.line_unfilled_cents,
        line_must_fill=np.zeros(history.lines, dtype=np.bool_),
    )


__all__ = ["outlook_of"]
