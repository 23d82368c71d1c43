"""Deciding some orders again, to proven optimality, while all others keep what they have."""

from dataclasses import dataclass
from threading import Event

import numpy as np

from solver.columns import lanes_within, parcels_within
from solver.draft import Draft, cost_of, has_room, put, put_back, release, roomier, take_out
from solver.mip import Choice, Model, Way
from solver.prices import ROUNDS_FIRST, Priced, Pricing
from solver.problem import HARD, Ints, Problem
from solver.proof import Proof, Teller

LANE_LINES_MAX = 60_000
"""Lines times lanes of orders of many lines that one integer program may hold."""


@dataclass(frozen=True)
class Outcome:
    """What deciding again gave.

    Attributes
    ----------
    ways
        A better way for each of the orders; empty where none was found.
    bound_cents
        No plan that leaves the other orders alone costs less, on the scale of `cost_of`.
    tried
        Whether the program was small enough to be tried at all.
    work
        Nodes of the search tree.
    """

    ways: list[Way]
    bound_cents: float
    tried: bool
    work: int


@dataclass(frozen=True)
class _Question:
    """The integer program of some orders: what it costs now, what the others cost, and what the prices prove of it."""

    model: Model
    cost: int
    others: int
    bound: float


def decide_again(
    problem: Problem,
    draft: Draft,
    orders: Ints,
    priced: Priced,
    *,
    seconds: float = float("inf"),
    nodes: float = float("inf"),
    seed: int = 0,
    most: int = 200_000,
    stop: Event | None = None,
) -> Outcome:
    """Find the best joint decision of these orders by reduced-cost fixing and an integer program. The draft stays as it is.

    Parameters
    ----------
    priced
        Prices near the best: the nearer, the fewer parcels remain.
    most
        Parcels that the program may hold.
    """
    asked = _ask(problem, draft, orders, priced, most)
    if isinstance(asked, Outcome):
        return asked
    model = asked.model
    return _answer(asked, model.solve(model.start_from(draft), seconds, nodes, seed, asked.cost + 0.5, stop))


def decide_all(
    problem: Problem, draft: Draft, priced: Priced, *, seconds: float, seed: int, most: int, stop: Event, tell: Teller
) -> Outcome:
    """Decide all orders again, two searches side by side. What is found depends on which is faster; what is proven holds.

    Parameters
    ----------
    tell
        Told now and then the cost of the best plan and the best bound, on the scale of `cost_of`.
    """
    asked = _ask(problem, draft, np.arange(problem.orders), priced, most)
    if isinstance(asked, Outcome):
        return asked
    proof = Proof(
        asked.model, asked.bound, seconds, seed, asked.cost + 0.5, stop,
        lambda cost, bound: tell(int(cost) + asked.others, max(asked.bound, bound) + asked.others),
    )  # fmt: skip
    return _answer(asked, proof.run(asked.model.start_from(draft)))


def _ask(problem: Problem, draft: Draft, orders: Ints, priced: Priced, most: int) -> _Question | Outcome:
    """Write the integer program, if there is anything to gain and the program is small enough."""
    cost = cost_of(problem, draft)
    left, node_left = draft.left.copy(), draft.node_left.copy()
    release(problem.columns, draft, orders, left, node_left)
    overtime = np.where(problem.node_overtime_cents == HARD, 0, problem.node_overtime_cents)
    others = int(draft.cost.sum() - draft.cost[orders].sum() + (np.maximum(0, -node_left) * overtime).sum())
    pricing = Pricing(problem, orders, left, node_left)
    node_price = np.where(pricing.limited, np.minimum(priced.node_price, pricing.ceiling), 0.0)
    priced = pricing.at(np.array(priced.row_price), node_price, priced.line_price.copy(), ROUNDS_FIRST)
    bound = max(priced.bound_cents, 0.0)
    # reduced costs count from the bound at the prices, be it below nothing
    slack = cost - others - priced.bound_cents + 1e-6
    if slack <= 1:
        return Outcome([], bound + others, True, 0)
    parcels = parcels_within(pricing, priced, slack, most)
    lanes = lanes_within(pricing, priced, slack)
    sizes = (problem.order_line_start[lanes.order + 1] - problem.order_line_start[lanes.order]).sum()
    if parcels is None or len(parcels.order) > most or sizes > LANE_LINES_MAX:
        return Outcome([], bound + others, False, 0)
    return _Question(Model(pricing, parcels, lanes), cost - others, others, bound)


def _answer(asked: _Question, found: Choice) -> Outcome:
    """Read a solution: a plan only if it is cheaper, and the better of the two bounds."""
    bound = max(asked.bound, min(found.bound_cents, asked.cost, found.cost_cents))
    better = found.ways if found.cost_cents <= asked.cost - 0.5 else []
    return Outcome(better, bound + asked.others, True, found.work)


def put_in_place(problem: Problem, draft: Draft, ways: list[Way]) -> tuple[Draft, bool]:
    """Give orders these ways, if that costs less and all rows hold; tells whether it did."""
    c = problem.columns
    need = sum(units.size for _, _, _, _, units in ways) + 64
    if not has_room(c, draft, need):
        draft = roomier(problem, draft)
    before = cost_of(problem, draft)
    room = draft.room[:2].copy()
    had = [(way[0], *(int(column[way[0]]) for column in draft[:4])) for way in ways]
    for way in ways:
        take_out(c, draft, way[0])
    for order, dest, node, service, units in ways:
        put(c, draft, order, dest, node, service, units)
    full = (draft.left < 0).any() or (draft.node_left < 0)[problem.node_overtime_cents == HARD].any()
    if not full and cost_of(problem, draft) < before:
        return draft, True
    for way in ways:
        take_out(c, draft, way[0])
    for order, first, count, dest, cents in had:
        put_back(c, draft, order, first, count, dest, cents)
    draft.room[:2] = room
    return draft, False


__all__ = ["Outcome", "decide_again", "decide_all", "put_in_place"]
