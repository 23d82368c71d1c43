"""Groups of orders worth deciding again together: those that want the same contested stock and capacity."""

import numpy as np

from solver.draft import Draft, owners
from solver.prices import Priced
from solver.problem import Bools, Floats, Ints, Problem
from solver.ways import Ways

ASKED = 12
"""Orders of one row that join a group at a time."""


class Neighbours:
    """Picks groups of orders around one that costs more than its share.

    An order's *excess* is what its bill, at the prices, lies above its own best: the part of the gap that it holds. Orders are
    neighbours if ways that pricing found for them draw on the same row, and that row has a price.
    """

    def __init__(self, problem: Problem, priced: Priced, ways: Ways) -> None:
        self.problem = problem
        self.priced = priced
        price = np.concatenate([priced.row_price, priced.node_price])
        order = np.repeat(ways.order, np.diff(ways.entry_start))
        wanted = price[ways.entry_row] > 0
        pair = np.unique(order[wanted] * len(price) + ways.entry_row[wanted])
        self.order_row, by_order = pair % len(price), pair // len(price)
        self.order_start = np.searchsorted(by_order, np.arange(problem.orders + 1))
        by_row = np.argsort(self.order_row, kind="stable")
        self.row_order = by_order[by_row]
        self.row_start = np.searchsorted(self.order_row[by_row], np.arange(len(price) + 1))

    @property
    def contests(self) -> Bools:
        """(O,) whether an order wants anything that has a price."""
        return np.diff(self.order_start) > 0

    def excess(self, draft: Draft) -> Floats:
        """(O,) what each order pays above its best at the prices, stock and capacity charged at their prices."""
        priced = self.priced
        return np.maximum(0.0, costs_at(self.problem, draft, priced.row_price, priced.node_price) - priced.order_value)

    def around(self, order: int, size: int, taken: set[int], rng: np.random.Generator) -> Ints:
        """Pick up to `size` orders: this one, those that want what it wants, and theirs in turn; none that is taken already."""
        chosen, seen = [order], {order}
        for at in chosen:
            rows = self.order_row[self.order_start[at] : self.order_start[at + 1]]
            for row in rng.permutation(rows).tolist():
                first, last = self.row_start[row], self.row_start[row + 1]
                picked = range(first, last) if last - first <= ASKED else rng.integers(first, last, ASKED).tolist()
                for i in picked:
                    other = int(self.row_order[i])
                    if other not in seen and other not in taken:
                        seen.add(other)
                        chosen.append(other)
                        if len(chosen) >= size:
                            return np.sort(np.array(chosen, dtype=np.int64))
        return np.sort(np.array(chosen, dtype=np.int64))


def costs_at(problem: Problem, draft: Draft, row_price: Floats, node_price: Floats) -> Floats:
    """(O,) what each order costs, stock and capacity charged at these prices (overtime is not)."""
    owner, parcels = owners(draft)
    charge = draft.cost + np.bincount(owner, node_price[draft.parcel_node[parcels]], minlength=problem.orders)
    if row_price.any():
        lengths = draft.parcel_end[parcels] - draft.parcel_start[parcels]
        entry = np.repeat(draft.parcel_start[parcels] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        entry = entry + np.arange(len(entry))
        option = problem.find_options(draft.entry_line[entry], np.repeat(draft.parcel_node[parcels], lengths))
        for w in range(problem.option_row.shape[1]):
            row = problem.option_row[option, w]
            price = np.where(row >= 0, row_price[row], 0.0)
            cents = price * problem.option_use[option, w] * draft.entry_units[entry]
            charge += np.bincount(np.repeat(owner, lengths), cents, minlength=problem.orders)
    return charge.astype(np.float64)


__all__ = ["Neighbours", "costs_at"]
