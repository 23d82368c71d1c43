"""Groups of orders worth deciding again together: those that compete for the same contested stock."""

import numpy as np

from solver.draft import Draft
from solver.prices import Priced
from solver.problem import Ints, Problem


class Neighbours:
    """Picks groups of orders around one that costs more than its share.

    An order's *excess* is what its bill, at the prices, lies above its own best: the part of the gap that it holds.
    """

    def __init__(self, problem: Problem, priced: Priced) -> None:
        self.problem = problem
        self.priced = priced
        price = np.zeros(len(problem.sku_id))
        stock = problem.row_sku >= 0
        np.maximum.at(price, problem.row_sku[stock], priced.row_price[stock])
        self.sku_price = price
        by_sku = np.argsort(problem.line_sku, kind="stable")
        self.sku_order = problem.line_order[by_sku]
        self.sku_start = np.searchsorted(problem.line_sku[by_sku], np.arange(len(problem.sku_id) + 1))

    def excess(self, draft: Draft) -> Ints:
        """(O,) what each order pays above its best at the prices, stock and capacity charged at their prices."""
        problem, priced = self.problem, self.priced
        count = int(draft.room[0])
        owner = np.full(count, -1, dtype=np.int64)
        live = np.flatnonzero(draft.order_count)
        for k in range(int(draft.order_count.max(initial=0))):
            has = live[draft.order_count[live] > k]
            owner[draft.order_first[has] + k] = has
        parcels = np.flatnonzero(owner >= 0)
        charge = np.bincount(owner[parcels], priced.node_price[draft.parcel_node[parcels]], minlength=problem.orders)
        lengths = draft.parcel_end[parcels] - draft.parcel_start[parcels]
        entry = np.repeat(draft.parcel_start[parcels] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        entry = entry + np.arange(len(entry))
        node = np.repeat(draft.parcel_node[parcels], lengths)
        option = problem.find_options(draft.entry_line[entry], node)
        for w in range(problem.option_row.shape[1]):
            row = problem.option_row[option, w]
            cents = (
                np.where(row >= 0, priced.row_price[row], 0.0)
                * problem.option_use[option, w]
                * draft.entry_units[entry]
            )
            charge += np.bincount(np.repeat(owner[parcels], lengths), cents, minlength=problem.orders)
        return np.maximum(0.0, draft.cost + charge - priced.order_value)

    def pick(self, draft: Draft, size: int, rng: np.random.Generator) -> Ints:
        """Pick a group: one order by its excess, then those that share its contested SKUs, and theirs in turn."""
        problem = self.problem
        size = min(size, problem.orders)
        weight = self.excess(draft) + 1e-3
        chosen: list[int] = [int(rng.choice(problem.orders, p=weight / weight.sum()))]
        seen = {chosen[0]}
        at = 0
        while len(chosen) < size:
            if at == len(chosen):
                rest = np.setdiff1d(np.arange(problem.orders), np.array(chosen))
                share = weight[rest] / weight[rest].sum()
                order = int(rng.choice(rest, p=share))
                seen.add(order)
                chosen.append(order)
                continue
            order = chosen[at]
            at += 1
            lines = np.arange(problem.order_line_start[order], problem.order_line_start[order + 1])
            for sku in sorted(set(problem.line_sku[lines].tolist()), key=lambda sku: -self.sku_price[sku]):
                if self.sku_price[sku] <= 0:
                    break
                others = self.sku_order[self.sku_start[sku] : self.sku_start[sku + 1]]
                for other in rng.permutation(others)[:12].tolist():
                    if other not in seen and len(chosen) < size:
                        seen.add(other)
                        chosen.append(other)
        return np.sort(np.array(chosen, dtype=np.int64))


__all__ = ["Neighbours"]
