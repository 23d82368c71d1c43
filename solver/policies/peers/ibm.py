"""How the optimizer of IBM Sterling Intelligent Promising weighs costs.

Source: ibm.com/docs, Sterling Intelligent Promising and SSZMC6 (fulfillment optimizer). Each order by itself, in real time, at
least

    w1 shipping + w2 capacity penalty + w3 processing + w4 stock-out avoidance - w5 markdown avoidance + w6 node performance
    + w7 transit time

with weights from 0 to 1. Of more than ten nodes, the ten that ship one unit of each line cheapest are considered (rank), and of
those all combinations of items, nodes and carriers (optimize).

Left out: models that learn what a stock-out or a markdown costs (the first is what a problem says a unit is worth elsewhere, the
second is a setting), dimensional weight, and the order of the node's own backlog.
"""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from solver.draft import new_draft, serve_in_turn
from solver.many import QUICK
from solver.policies.peers.desk import Desk, Settings
from solver.problem import HARD, Floats, Ints, Problem

SCALE = 100
"""Weighted cents are counted in hundredths."""
PORTION = 50
"""Orders between two looks at how busy nodes are."""


class Weights(Settings, frozen=True):
    """Weights of the terms, 0 to 1, and what the problem does not say.

    Attributes
    ----------
    capacity_cents
        Penalty for a parcel of a node that has no capacity left; less, in proportion, the less of it is used.
    markdown_cents
        What selling a unit now saves, by node id and SKU id.
    performance_cents
        Penalty for a parcel by node id.
    transit_cents
        Of a day until the parcel is there. Where transit has a weight, this stands in place of lateness.
    candidates
        Nodes that are considered.
    """

    shipping: float = 1
    capacity: float = 1
    processing: float = 1
    stockout: float = 0
    markdown: float = 0
    performance: float = 0
    transit: float = 0
    capacity_cents: int = 0
    markdown_cents: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    performance_cents: dict[str, float] = msgspec.field(default_factory=dict)
    transit_cents: int = 0
    candidates: int = 10


def weighted_cost(desk: Desk, settings: Weights) -> None:
    """Serve each order at its least weighted cost, given what those before left."""
    weighed = weighed_by(desk.problem, settings)
    short = replace(weighed, option_reason=_ranked_out(weighed, desk, settings.candidates))
    draft = new_draft(short)
    penalty = SCALE * settings.capacity * settings.capacity_cents
    for start in range(0, short.orders, PORTION if penalty else max(1, short.orders)):
        if desk.meter.effort.stop.is_set():
            break
        sequence = np.arange(start, min(start + PORTION if penalty else short.orders, short.orders))
        capacity = np.maximum(1, short.node_capacity_parcels)
        busy = penalty * (1 - draft.node_left / capacity)
        draft = serve_in_turn(short, draft, sequence, node_price=busy.clip(0), effort=QUICK)
    desk.draft = draft


def weighed_by(problem: Problem, settings: Weights) -> Problem:
    """The same problem with weighted costs, in hundredths of a cent."""

    def weigh(weight: float, cents: Ints | Floats) -> Ints:
        return np.rint(SCALE * weight * cents).astype(np.int64)

    node, line = problem.node_id, problem.option_line
    performance = np.array([settings.performance_cents.get(name, 0.0) for name in node])
    markdown = _of_options(problem, settings.markdown_cents) if settings.markdown else np.zeros(len(line))
    # costs stay positive where each unit, shipped or open, pays the same more
    shift = weigh(settings.markdown, markdown).max(initial=0)
    timed: dict[str, Any] = {"order_late_cents": weigh(1, problem.order_late_cents)}
    if settings.transit:
        timed = {
            "order_late_cents": np.full(problem.orders, weigh(settings.transit, np.array(settings.transit_cents))),
            "order_promise_days": np.zeros(problem.orders, dtype=np.int64),
        }
    return replace(
        problem,
        service_cents=weigh(settings.shipping, problem.service_cents),
        service_over_cents=weigh(settings.shipping, problem.service_over_cents),
        node_parcel_cents=weigh(settings.processing, problem.node_parcel_cents)
        + weigh(settings.performance, performance),
        node_line_cents=weigh(settings.processing, problem.node_line_cents),
        node_overtime_cents=np.where(problem.node_overtime_cents == HARD, HARD, weigh(1, problem.node_overtime_cents)),
        option_unit_cents=weigh(settings.processing, problem.option_unit_cents) + shift,
        option_value_cents=weigh(settings.stockout, problem.option_value_cents) - weigh(settings.markdown, markdown),
        line_unfilled_cents=weigh(1, problem.line_unfilled_cents) + shift,
        **timed,
    )


def _of_options(problem: Problem, cents: dict[str, dict[str, float]]) -> Floats:
    """(Q,) what settings say of the SKU of each option at its node."""
    at = {name: j for j, name in enumerate(problem.node_id)}
    of = {name: k for k, name in enumerate(problem.sku_id)}
    table = np.zeros((problem.nodes, len(problem.sku_id)))
    for node, skus in cents.items():
        for sku, value in skus.items():
            if node in at and sku in of:
                table[at[node], of[sku]] = value
    return np.asarray(table[problem.option_node, problem.line_sku[problem.option_line]])


def _ranked_out(problem: Problem, desk: Desk, candidates: int) -> np.ndarray:
    """(Q,) why an option is none, those of nodes that are not among the best candidates of their order included."""
    out = problem.option_reason.copy()
    ranker = Desk(problem, desk.meter, desk.seed)
    everywhere = ranker.rank(())
    for order in range(problem.orders):
        asked = ranker.ask(order, everywhere)
        if len(asked.nodes) <= candidates:
            continue
        unit = np.where(
            asked.option >= 0, problem.option_unit_cents[asked.option] + problem.option_value_cents[asked.option], 0
        )
        cents = asked.alone_cents(np.ones_like(asked.want)) + unit.sum(1)
        # a node that has little is cheap for little: what it lacks counts as left open
        cents += (np.where(asked.stock > 0, 0, problem.line_unfilled_cents[asked.lines])).sum(1)
        kept = np.zeros(problem.nodes, dtype=np.bool_)
        kept[asked.nodes[asked.ranked(cents)[:candidates]]] = True
        options = slice(*problem.line_option_start[[asked.lines.start, asked.lines.stop]])
        out[options] = np.where(kept[problem.option_node[options]], out[options], np.maximum(1, out[options]))
    return out


__all__ = ["Weights", "weighed_by", "weighted_cost"]
