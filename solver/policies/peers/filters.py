"""Which orders a part of a rule is for, and which nodes it asks: settings that rule engines share."""

from typing import Literal

import numpy as np

from solver.policies.peers.desk import Asked, Settings
from solver.problem import DELIVERED, Bools, Problem


class Orders(Settings, frozen=True):
    """Orders that are to be collected (or are not), of so many units."""

    collected: bool | None = None
    min_units: int = 0
    max_units: int | None = None

    def among(self, problem: Problem) -> Bools:
        """(O,) whether an order is one of them."""
        units = np.bincount(problem.line_order, problem.line_qty, minlength=problem.orders)
        fits = (units >= self.min_units) & (self.max_units is None or units <= self.max_units)
        collected = problem.dest_node[problem.order_dest_start[:-1]] != DELIVERED
        return fits if self.collected is None else fits & (collected == self.collected)


class Nodes(Settings, frozen=True):
    """Nodes by id (all where none is listed) and kind, within a distance, ready so soon, and with parcels left to make."""

    nodes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    kinds: tuple[Literal["store", "warehouse"], ...] = ("store", "warehouse")
    max_km: float | None = None
    max_ready_days: int | None = None
    with_capacity: bool = False

    def among(self, asked: Asked) -> Bools:
        """(m,) whether a candidate is one of them."""
        p = asked.desk.problem
        store = p.node_is_store[asked.nodes]
        fits = np.where(store, "store" in self.kinds, "warehouse" in self.kinds)
        if self.nodes:
            fits &= asked.by_name(dict.fromkeys(self.nodes, 1), otherwise=0) > 0
        if self.excluded:
            fits &= asked.by_name(dict.fromkeys(self.excluded, 0), otherwise=1) > 0
        if self.max_km is not None:
            fits &= asked.km <= self.max_km
        if self.max_ready_days is not None:
            fits &= p.node_ready_days[asked.nodes] <= self.max_ready_days
        if self.with_capacity:
            fits &= asked.desk.draft.node_left[asked.nodes] > 0
        return np.asarray(fits)


__all__ = ["Nodes", "Orders"]
