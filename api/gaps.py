"""What holds the gap of a plan: its terms, and the largest orders, stocks and capacities in each."""

from typing import Any

import numpy as np

from api import figures, show
from solver.certificate import Certificate
from solver.problem import Floats, Problem

MOST = 5
"""Orders, stocks and nodes that are named unless someone asks otherwise."""
NOTHING = 0.5
"""Cents below which a term is not named."""


def as_json(problem: Problem, found: Certificate, most: int) -> dict[str, Any]:
    """The terms in cents, which add up to the gap, and the largest of each."""
    stock = (problem.row_node >= 0) & (problem.row_sku >= 0)
    return {
        "cost_cents": found.cost_cents,
        "bound_cents": found.bound_cents,
        "bound_at_prices_cents": found.priced.bound_cents,
        "gap_cents": found.cost_cents - found.bound_cents,
        "terms": {
            "orders": float(found.order_cents.sum()),
            "stock": float(found.row_cents[stock].sum()),
            "resources": float(found.row_cents[~stock].sum()),
            "capacity": float(found.node_cents.sum()),
            "overtime": float(found.overtime_cents.sum()),
            "rounding": found.rounding_cents,
            "proven_beyond_prices": -found.beyond_cents,
        },
        "orders": [[problem.order_id[o], cents] for o, cents in _largest(found.order_cents, most)],
        "stock": [
            [problem.node_id[problem.row_node[r]], problem.sku_id[problem.row_sku[r]], cents]
            for r, cents in _largest(np.where(stock, found.row_cents, 0.0), most)
        ],
        "resources": [
            [None if problem.row_node[r] < 0 else problem.node_id[problem.row_node[r]], cents]
            for r, cents in _largest(np.where(stock, 0.0, found.row_cents), most)
        ],
        "nodes": [[problem.node_id[j], cents] for j, cents in _largest(found.node_cents + found.overtime_cents, most)],
    }


def show_gap(problem: Problem, found: Certificate, share: float, most: int) -> None:
    """Print the terms, who holds most of them, and the gap as a share of the cost."""
    value = as_json(problem, found, most)
    terms = value["terms"]
    orders = [f"{name} {figures.money(cents)}" for name, cents in value["orders"]]
    stock = [f"{sku} at {node} {figures.money(cents)}" for node, sku, cents in value["stock"]]
    units = [f"{node or 'a shared resource'} {figures.money(cents)}" for node, cents in value["resources"]]
    nodes = [f"{node} {figures.money(cents)}" for node, cents in value["nodes"]]
    rows = [
        ("orders not at their best at the prices", terms["orders"], orders),
        ("priced stock that is left over", terms["stock"], stock),
        ("priced units of capacity that are left over", terms["resources"], units),
        ("priced parcels of capacity that are left over", terms["capacity"], nodes),
        ("overtime above its price", terms["overtime"], nodes if not terms["capacity"] else []),
        ("proven beyond the prices", terms["proven_beyond_prices"], []),
    ]
    table = show.grid(["what holds the gap", "cost", "most of it"])
    table.columns[2].justify = "left"
    for name, cents, largest in rows:
        if abs(cents) >= NOTHING:
            table.add_row(name, figures.signed(cents), ", ".join(figures.printable(one) for one in largest))
    table.add_row("gap", figures.money(max(0.0, value["gap_cents"])), figures.gap(share), style="bold")
    show.out().print(table)


def _largest(cents: Floats, most: int) -> list[tuple[int, float]]:
    order = np.argsort(-cents, kind="stable")[:most]
    return [(int(i), float(cents[i])) for i in order if cents[i] >= NOTHING]


__all__ = ["as_json", "show_gap"]
