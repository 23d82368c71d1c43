"""Waves of orders of many lines: served side by side, closed in on one by one, within any limit of time."""

import numpy as np
import pytest

from solver.check import check
from solver.closing import close_in_on
from solver.draft import cost_of, new_draft, plan_of, serve_as, serve_in_turn
from solver.effort import Effort, Meter
from solver.many import QUICK
from solver.policies import make
from solver.policies.cheapest import serve_cheapest
from solver.prices import Pricing
from solver.problem import Problem
from solver.wave import problem_of
from tests.worlds import delivery, line, node, world

NAMES = tuple(f"x{k}" for k in range(14))
ROUNDING = 1e-3


def wave_of(orders: int, units: int) -> Problem:
    """Orders of fourteen lines; three nodes have two thirds of them each, `units` of every line."""
    stock = {(at, name): units for i, at in enumerate("ABC") for k, name in enumerate(NAMES) if k % 3 != i}
    nodes = [node(at, float(i), parcel=700 + 100 * i) for i, at in enumerate("ABC")]
    asked = [
        delivery(f"O{i}", *(line(name) for name in NAMES), max_parcels=2 if i % 2 else None) for i in range(orders)
    ]
    return problem_of(world(nodes, asked, stock))


def test_orders_served_side_by_side_never_take_the_same_unit() -> None:
    """Six orders see the same two units of each line at each node; four of them can be served in full."""
    problem = wave_of(6, 2)
    draft = serve_in_turn(problem, new_draft(problem), np.arange(6), effort=QUICK)
    plan = plan_of(problem, draft, 0.0, np.zeros(problem.rows), np.zeros(problem.nodes), 0.0, "in turn", 0)
    assert check(problem, plan).ok
    one_by_one = new_draft(problem)
    for order in range(6):
        one_by_one = serve_in_turn(problem, one_by_one, np.array([order]), effort=QUICK)
    assert (draft.cost == one_by_one.cost).all()


def test_of_orders_foreseen_to_take_the_same_units_those_that_find_them_do() -> None:
    """Two units of each line at each node; each order is to have what it would alone, and the last ones keep what they had."""
    problem = wave_of(6, 2)
    alone = serve_in_turn(problem, new_draft(problem), np.array([0]), effort=QUICK)
    parcels = slice(alone.order_first[0], alone.order_first[0] + alone.order_count[0])
    node, services = alone.parcel_node[parcels], alone.parcel_service[parcels]
    units = np.zeros((len(node), len(NAMES)), dtype=np.int64)
    for p, (start, end) in enumerate(zip(alone.parcel_start[parcels], alone.parcel_end[parcels], strict=True)):
        units[p, alone.entry_line[start:end]] = alone.entry_units[start:end]
    draft = serve_as(problem, new_draft(problem), [(order, order, node, services, units) for order in range(6)])
    plan = plan_of(problem, draft, 0.0, np.zeros(problem.rows), np.zeros(problem.nodes), 0.0, "foreseen", 0)
    assert check(problem, plan).ok
    assert (draft.cost[:2] == alone.cost[0]).all()
    before = draft.cost.copy()
    assert (serve_as(problem, draft, [(5, 5, node, services, units)]).cost == before).all()


@pytest.mark.parametrize("units", [2, 4, 9])
@pytest.mark.parametrize("work", [1, 3, 12])
def test_joint_is_never_dearer_than_cheapest_under_the_same_limit(units: int, work: int) -> None:
    problem = wave_of(30, units)
    cheapest, joint = (make(name, Effort(seconds=None, work=work))(problem) for name in ("cheapest", "joint"))
    assert joint.cost_cents <= cheapest.cost_cents
    assert joint.bound_cents >= cheapest.bound_cents - ROUNDING


@pytest.mark.parametrize("seconds", [0.5, 30.0])
def test_joint_begins_with_the_plan_of_cheapest(seconds: float) -> None:
    problem = wave_of(12, 2)
    cheapest = make("cheapest", Effort(seconds=seconds))(problem)
    draft, complete = serve_cheapest(problem, Meter(Effort(seconds=seconds)))
    assert complete
    assert cost_of(problem, draft) == cheapest.cost_cents
    assert make("joint", Effort(seconds=seconds))(problem).cost_cents <= cheapest.cost_cents


def test_prices_on_capacity_are_first_sought_for_some_of_the_orders() -> None:
    """Sixty orders of fourteen lines that the near node could serve alone, were it able to make more than twenty parcels."""
    stock = {(at, name): 900 for at in "AB" for name in NAMES}
    nodes = [node("A", parcels=20), node("B", 1.0, parcel=700, parcels=60)]
    orders = [delivery(f"O{i}", *(line(name) for name in NAMES)) for i in range(60)]
    problem = problem_of(world(nodes, orders, stock))
    plan = make("joint", Effort(seconds=20))(problem)
    assert check(problem, plan).ok
    assert plan.node_price[0] > 0
    assert plan.bound_cents > 0.99 * plan.cost_cents


@pytest.mark.parametrize("orders_looked_at", [0, 3, 100])
def test_closing_in_raises_the_bound_and_may_end_at_any_order(orders_looked_at: int) -> None:
    problem = wave_of(6, 3)
    pricing = Pricing(problem, np.arange(6), problem.row_limit, problem.node_capacity_parcels)
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    before = pricing.at(*nothing, pricing.start_lines(), 4)
    known = np.full(6, 1e7)
    looked_at = 0

    def over() -> bool:
        nonlocal looked_at
        looked_at += 1
        return looked_at > orders_looked_at

    told: list[float] = []
    after, ways = close_in_on(pricing, before, known, (10**6,), over, told.append)
    assert after.bound_cents >= before.bound_cents
    assert (after.order_value >= before.order_value).all()
    best = make("joint", Effort(seconds=20))(problem)
    assert after.bound_cents <= best.cost_cents + ROUNDING
    if orders_looked_at == 100:
        assert after.bound_cents > before.bound_cents
        assert sorted(way[0] for way in ways) == list(range(6))


@pytest.mark.parametrize("name", ["cheapest", "joint"])
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.2])
def test_whenever_time_is_over_plan_and_bound_hold(name: str, seconds: float) -> None:
    problem = wave_of(40, 9)
    plan = make(name, Effort(seconds=seconds))(problem)
    assert check(problem, plan).ok
    assert plan.bound_cents <= make("joint", Effort(seconds=5))(problem).cost_cents
    assert plan.seconds < seconds + 2


@pytest.mark.parametrize("work", [3, 12])
def test_the_same_work_gives_the_same_plan_of_many_lines(work: int) -> None:
    problem = wave_of(30, 4)
    first, again = (make("joint", Effort(seconds=None, work=work), 3)(problem) for _ in range(2))
    assert first.cost_cents == again.cost_cents
    assert first.bound_cents == again.bound_cents
    assert first.entry_units.tolist() == again.entry_units.tolist()


__all__: list[str] = []
