"""Deciding some orders again, to proven optimality, while all others keep what they have."""

from dataclasses import dataclass

import numpy as np

from solver.columns import lanes_within, parcels_within
from solver.draft import Draft, copy_draft, cost_of, has_room, put, put_back, roomier, take_out
from solver.mip import Model
from solver.prices import ROUNDS_FIRST, Pricing
from solver.problem import Floats, Ints, Problem

LANE_LINES_MAX = 60_000
"""Lines times lanes of orders of many lines that one integer program may hold."""


@dataclass(frozen=True)
class Outcome:
    """What deciding again gave.

    Attributes
    ----------
    draft
        With the better decision, if one was found.
    bound_cents
        No plan that leaves the other orders alone costs less, on the scale of `cost_of`.
    improved, tried
        Whether the cost fell; whether the program was small enough to be tried at all.
    work
        Nodes of the search tree.
    """

    draft: Draft
    bound_cents: float
    improved: bool
    tried: bool
    work: int


def decide_again(
    problem: Problem,
    draft: Draft,
    orders: Ints,
    row_price: Floats,
    node_price: Floats,
    *,
    line_price: Floats | None = None,
    seconds: float = float("inf"),
    nodes: float = float("inf"),
    seed: int = 0,
    most: int = 200_000,
) -> Outcome:
    """Find the best joint decision of these orders by reduced-cost fixing and an integer program.

    Parameters
    ----------
    row_price, node_price
        Prices near the best: the nearer, the fewer parcels remain.
    line_price
        (L,) prices on the lines of orders of many lines to start from.
    most
        Parcels that the program may hold.
    """
    need = int((problem.order_line_start[orders + 1] - problem.order_line_start[orders]).sum()) + 64
    if not has_room(problem.columns, draft, 4 * need):
        draft = roomier(problem, draft)
    c = problem.columns
    cost = cost_of(problem, draft)
    had = [(int(o), draft.order_first[o], draft.order_count[o], draft.order_dest[o], draft.cost[o]) for o in orders]
    target = draft.cost.astype(np.float64)
    for order in orders:
        take_out(c, draft, int(order))
    others = cost_of(problem, draft) - int(draft.cost[orders].sum())
    pricing = Pricing(problem, orders, draft.left, draft.node_left, target)
    prices = np.where(pricing.limited, np.minimum(node_price, pricing.ceiling), 0.0)
    lines = pricing.start_lines() if line_price is None else line_price.copy()
    priced = pricing.at(np.array(row_price), prices, lines, ROUNDS_FIRST)
    bound = max(priced.bound_cents, 0.0)
    # reduced costs count from the bound at the prices, be it below nothing
    slack = cost - others - priced.bound_cents + 1e-6
    parcels = parcels_within(pricing, priced, slack, most)
    lanes = lanes_within(pricing, priced, slack)
    sizes = (problem.order_line_start[lanes.order + 1] - problem.order_line_start[lanes.order]).sum()
    for order, first, count, dest, cents in had:
        put_back(c, draft, order, first, count, dest, cents)
    if slack <= 1 or parcels is None or len(parcels.order) > most or sizes > LANE_LINES_MAX:
        return Outcome(draft, bound + others, False, slack <= 1, 0)
    model = Model(pricing, parcels, lanes)
    found = model.solve(model.start_from(draft), seconds, nodes, seed, cost - others + 0.5)
    bound = max(bound, min(found.bound_cents, cost - others, found.cost_cents))
    if not found.orders or found.cost_cents > cost - others - 0.5:
        return Outcome(draft, bound + others, False, True, found.work)
    better = copy_draft(draft)
    for order in orders:
        take_out(c, better, int(order))
    for order, dest, node, service, units in found.orders:
        put(c, better, order, dest, node, service, units)
    # the tolerances of the program may promise what whole units do not keep
    if cost_of(problem, better) >= cost or (better.left < 0).any():
        return Outcome(draft, priced.bound_cents + others, False, True, found.work)
    return Outcome(better, bound + others, True, True, found.work)


__all__ = ["Outcome", "decide_again"]
