"""Orders of a history as open orders: what sourcing, an outlook and hindsight are asked about."""

import numpy as np

from engine.network import NetworkColumns
from engine.sourcing import OpenOrders, ranges
from simulation.history import History
from solver.problem import DELIVERED, Ints


def open_orders(
    history: History, network: NetworkColumns, order: Ints, line: Ints, collect: Ints | None = None
) -> OpenOrders:
    """Some orders of a history with some of their lines, as they were placed.

    Parameters
    ----------
    order, line
        (o,), (l,) indices into the history, ascending; every line is of one of the orders.
    collect
        (o,) the node that was chosen already where an order may be collected, `DELIVERED` where none is; none by default.
    """
    empty = network.empty
    collect = np.full(len(order), DELIVERED, dtype=np.int64) if collect is None else collect
    lines = np.bincount(np.searchsorted(order, history.line_order[line]), minlength=len(order))
    picks = np.diff(history.order_pickup_start)[order]
    free = (picks > 0) & (collect == DELIVERED)
    dests = np.where(free, picks, 1)
    node = np.repeat(collect, dests)
    node[np.repeat(free, dests)] = history.pickup_node[ranges(history.order_pickup_start[order[free]], picks[free])]
    collected, whose = node != DELIVERED, np.repeat(order, dests)
    return OpenOrders(
        order_id=tuple(history.order_id[o] for o in order.tolist()),
        order_line_start=np.concatenate([[0], np.cumsum(lines)]).astype(np.int64),
        order_dest_start=np.concatenate([[0], np.cumsum(dests)]).astype(np.int64),
        order_promise_day=history.promise_day(order),
        order_late_cents=history.order_late_cents[order],
        order_max_parcels=history.order_max_parcels[order],
        order_ship_complete=history.order_ship_complete[order],
        dest_node=node,
        dest_lat=np.where(collected, empty.node_lat[node], history.order_lat[whose]),
        dest_lon=np.where(collected, empty.node_lon[node], history.order_lon[whose]),
        line_sku=history.line_sku[line],
        line_qty=history.line_qty[line],
        line_unfilled_cents=history.line_unfilled_cents[line],
        line_must_fill=np.zeros(len(line), dtype=np.bool_),
    )


__all__ = ["open_orders"]
