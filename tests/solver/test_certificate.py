"""A gap is the sum of terms of which none is negative, and a price says what one more unit can save."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.bill import bill, order_bills
from solver.certificate import Certificate, certify, price_again
from solver.effort import Effort
from solver.plan import Plan
from solver.policies import make
from solver.prices import Priced
from solver.problem import NO_LIMIT, Problem
from solver.wave import Wave, problem_of
from tests.solver.test_joint import large_orders
from tests.solver.test_prices import CENTS
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, world

EPS = 1e-6
POLICIES = st.sampled_from(["joint", "cheapest", "nearest", "fewest_parcels"])


def optimum(problem: Problem) -> int:
    plan = make("cp_sat", Effort(seconds=60))(problem)
    assert plan.status == "optimal"
    return plan.cost_cents


def terms(found: Certificate) -> list[np.ndarray]:
    return [
        found.order_cents,
        found.row_cents,
        found.node_cents,
        found.overtime_cents,
        np.array([found.rounding_cents]),
    ]


def as_from_a_file(problem: Problem, plan: Plan) -> Plan:
    """The plan without the prices that its file has no place for: those of units of capacity."""
    return replace(plan, row_price=np.where(problem.row_sku >= 0, plan.row_price, 0.0))


def assert_adds_up(problem: Problem, plan: Plan, data: st.DataObject) -> None:
    rows = data.draw(st.lists(CENTS, min_size=problem.rows, max_size=problem.rows))
    nodes = data.draw(st.lists(CENTS, min_size=problem.nodes, max_size=problem.nodes))
    drawn = replace(plan, row_price=np.array(rows), node_price=np.array(nodes))
    for priced in (plan, drawn, as_from_a_file(problem, drawn)):
        found = certify(problem, priced)
        size = EPS * max(1.0, abs(found.priced.bound_cents))
        assert min(column.min(initial=0.0) for column in terms(found)) >= -size
        at_prices = sum(column.sum() for column in terms(found))
        assert at_prices == pytest.approx(plan.cost_cents - found.priced.bound_cents, abs=size)
        assert found.gap_cents == pytest.approx(plan.cost_cents - plan.bound_cents, abs=size)


@given(wave=small_waves(), policy=POLICIES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_terms_of_a_gap_are_not_negative_and_add_up_to_it(wave: Wave, policy: str, data: st.DataObject) -> None:
    problem = problem_of(wave)
    assert_adds_up(problem, make(policy, Effort(seconds=30))(problem), data)


@given(wave=large_orders(max_orders=2), policy=st.sampled_from(["cheapest", "nearest"]), data=st.data())
@settings(max_examples=30, deadline=None)
def test_so_are_those_of_orders_of_many_units(wave: Wave, policy: str, data: st.DataObject) -> None:
    problem = problem_of(wave)
    assert_adds_up(problem, make(policy, Effort(seconds=30))(problem), data)


@given(wave=small_waves(), policy=POLICIES)
@settings(max_examples=30, deadline=None)
def test_the_bills_of_the_orders_and_overtime_are_the_bill_of_the_plan(wave: Wave, policy: str) -> None:
    problem = problem_of(wave)
    plan = make(policy, Effort(seconds=30))(problem)
    whole = bill(problem, plan)
    for term, cents in order_bills(problem, plan).items():
        assert cents.sum() == whole[term]


def saved(problem: Problem, more: Problem, plan: Plan, priced: Priced) -> tuple[float, float]:
    """What one more unit saves, and what of the gap at the prices is already a doubt about the plan itself."""
    return plan.cost_cents - optimum(more), plan.cost_cents - priced.bound_cents


@given(wave=small_waves(max_orders=4), policy=st.sampled_from(["joint", "cheapest"]), data=st.data())
@settings(max_examples=40, deadline=None)
def test_one_more_unit_saves_at_most_its_price_and_the_gap(wave: Wave, policy: str, data: st.DataObject) -> None:
    """Where no order alone wants more than there is; else also what that order itself gains, as its price knows nothing of it."""
    problem = problem_of(wave)
    if not problem.rows:
        return
    plan = make(policy, Effort(seconds=30))(problem)
    _, priced = price_again(problem, plan)
    row = data.draw(st.integers(0, problem.rows - 1))
    limit = problem.row_limit.copy()
    limit[row] += 1
    more = replace(problem, row_limit=limit)
    saving, gap = saved(problem, more, plan, priced)
    _, priced_more = price_again(more, plan)
    alone = float((priced.order_value - priced_more.order_value).sum())
    touched = (problem.option_row == row).any(axis=1)
    most = np.bincount(
        problem.line_order[problem.option_line[touched]], problem.line_qty[problem.option_line[touched]], minlength=1
    ).max()
    if most <= problem.row_limit[row]:
        assert alone == pytest.approx(0.0, abs=EPS)
    assert saving <= priced.row_price[row] + gap + alone + EPS


@given(wave=small_waves(max_orders=4), policy=st.sampled_from(["joint", "cheapest"]), data=st.data())
@settings(max_examples=40, deadline=None)
def test_one_more_parcel_saves_at_most_its_price_and_the_gap(wave: Wave, policy: str, data: st.DataObject) -> None:
    """At a node that makes any parcels at all, or works overtime."""
    problem = problem_of(wave)
    plan = make(policy, Effort(seconds=30))(problem)
    pricing, priced = price_again(problem, plan)
    nodes = np.flatnonzero(pricing.limited)
    if not len(nodes):
        return
    chosen = data.draw(st.sampled_from(nodes.tolist()))
    capacity = problem.node_capacity_parcels.copy()
    capacity[chosen] += 1
    saving, gap = saved(problem, replace(problem, node_capacity_parcels=capacity), plan, priced)
    assert saving <= priced.node_price[chosen] + gap + EPS


def test_the_price_of_the_last_unit_is_what_another_would_save() -> None:
    """Two want the one x at A, which is 500 nearer: the price is 500, and nothing holds the plan from its bound."""
    near = node("A")
    far = node("B", parcel=550)
    wave = world([near, far], [delivery("O", line("x")), delivery("P", line("x"))], {("A", "x"): 1, ("B", "x"): 2})
    problem = problem_of(wave)
    plan = make("joint")(problem)
    found = certify(problem, replace(plan, row_price=np.array([500.0, 0.0])))
    assert found.priced.bound_cents == pytest.approx(plan.cost_cents)
    limit = problem.row_limit + np.array([1, 0])
    assert plan.cost_cents - optimum(replace(problem, row_limit=limit)) == 500


def test_priced_stock_that_is_left_over_holds_a_gap() -> None:
    wave = world([node("A")], [delivery("O", line("x"))], {("A", "x"): 3})
    problem = problem_of(wave)
    plan = replace(make("cheapest")(problem), row_price=np.array([7.0]))
    found = certify(problem, plan)
    assert found.row_cents.tolist() == [14.0]
    assert found.order_cents.tolist() == [0.0]


def test_a_capacity_that_cannot_bind_has_no_price() -> None:
    wave = world([node("A")], [delivery("O", line("x"))], {("A", "x"): 1})
    problem = problem_of(wave)
    plan = replace(make("cheapest")(problem), node_price=np.array([100.0]))
    found = certify(problem, plan)
    assert problem.node_capacity_parcels[0] == NO_LIMIT
    assert found.priced.node_price.tolist() == [0.0]
    assert found.priced.bound_cents == pytest.approx(561, abs=EPS)


def test_the_price_of_a_unit_of_capacity_that_a_file_lost_is_found_again() -> None:
    """A picks one unit and is 500 cheaper: that is what one more is worth, though the plan prices only x, at next to nothing."""
    wave = world(
        [node("A", units=1), node("B", parcel=550)],
        [delivery("O", line("x")), delivery("P", line("x"))],
        {("A", "x"): 2, ("B", "x"): 2},
    )
    problem = problem_of(wave)
    plan = replace(make("joint")(problem), row_price=np.array([0.0, 0.0, 0.0]), node_price=np.zeros(2))
    assert certify(problem, plan).priced.bound_cents == pytest.approx(plan.cost_cents - 500)
    priced = replace(plan, row_price=np.array([1e-3, 0.0, 0.0]))
    found = certify(problem, priced)
    assert found.priced.row_price[2] == pytest.approx(500, abs=200)
    assert plan.cost_cents - 200 < found.priced.bound_cents <= plan.cost_cents + EPS
