"""What a history and chance bring about in a replay, whatever a policy decides: stock rows, receipts, cancellations, returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.network import NetworkColumns, Receipts, Stock
from simulation.chance import Chance, Keys, keys_of
from simulation.history import History
from solver.problem import Ints

Trouble = tuple[int, int, int, bool]
"""A cancellation or return: minute, line, units, whether it is a return."""


@dataclass(frozen=True, eq=False)
class Names:
    """Keys of those whom chance concerns: orders by their id, so that a history with more of them draws the same for each."""

    order: Keys
    node: Keys
    sku: Keys
    line_number: Ints

    @classmethod
    def of(cls, history: History) -> "Names":
        number = np.arange(history.lines) - history.order_line_start[history.line_order]
        return cls(keys_of(history.order_id), keys_of(history.node_id), keys_of(history.sku_id), number)


def all_stock(history: History, network: NetworkColumns) -> Stock:
    """A row for every (node, SKU) that ever holds something."""
    nodes, stock = network.nodes, network.stock
    own = stock.sku * nodes + stock.node
    received, counted = (
        sku * nodes + node
        for sku, node in [(history.receipt_sku, history.receipt_node), (history.count_sku, history.count_node)]
    )
    keys = np.unique(np.concatenate([own, received, counted]))
    there = np.searchsorted(keys, own)
    units, value = np.zeros((2, len(keys)), dtype=np.int64)
    units[there], value[there] = stock.units, stock.value_cents
    return Stock(keys % nodes, keys // nodes, units, value)


def receipts_of(history: History, chance: Chance | None, names: Names | None) -> tuple[Receipts, Receipts]:
    """The receipts as they are announced, and as they come."""
    said = Receipts(history.receipt_at, history.receipt_node, history.receipt_sku, history.receipt_units)
    if chance is None or names is None or not chance.late:
        return said, said
    at = said.at + chance.late_by(said.at, names.node[said.node], names.sku[said.sku])
    by = np.argsort(at, kind="stable")
    return said, Receipts(at[by], said.node[by], said.sku[by], said.units[by])


def troubles_of(history: History, chance: Chance | None, names: Names | None) -> list[Trouble]:
    """Cancellations and returns by descending time: those of the history, and the cancellations that chance draws beside them."""
    befell: list[tuple[Sequence[int], bool, Sequence[int], Sequence[int]]] = [
        (history.cancel_at.tolist(), False, history.cancel_line.tolist(), history.cancel_units.tolist()),
        (history.return_at.tolist(), True, history.return_line.tolist(), history.return_units.tolist()),
    ]
    if chance is not None and names is not None and chance.cancel:
        after = chance.cancelled_after(names.order)
        after[history.line_order[np.concatenate([history.cancel_line, history.return_line])]] = -1
        line = np.flatnonzero(after[history.line_order] >= 0)
        order = history.line_order[line]
        at = history.order_placed_at[order] + after[order]
        befell.append((at.tolist(), False, line.tolist(), history.line_qty[line].tolist()))
    rows = [(*row, is_return) for at, is_return, line, units in befell for row in zip(at, line, units, strict=True)]
    rows.sort(key=lambda row: (row[0], row[3]))
    return rows[::-1]
