"""Any prices prove a bound, and no parcel of a best plan is fixed away at any of them."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.draft import cost_of, new_draft
from solver.effort import Effort
from solver.exact import decide_again, put_in_place
from solver.plan import Plan
from solver.policies import make
from solver.prices import ROUNDS_FIRST, Priced, Pricing
from solver.problem import Floats, Problem
from solver.wave import Wave, problem_of
from tests.solver.test_joint import large_orders
from tests.strategies import small_waves
from tests.worlds import collection, delivery, line, node, world

CENTS = st.sampled_from([0.0, 0.0, 1.0, 37.5, 200.0, 900.0, 5000.0, 1e6])


def optimum(problem: Problem) -> Plan:
    plan = make("cp_sat", Effort(seconds=60))(problem)
    assert plan.status == "optimal"
    return plan


def pricing_of(problem: Problem) -> Pricing:
    return Pricing(problem, np.arange(problem.orders), problem.row_limit, problem.node_capacity_parcels)


def drawn_prices(pricing: Pricing, data: st.DataObject) -> tuple[Floats, Floats]:
    """Any prices on rows, and on capacities that there are, up to the overtime where there is one."""
    problem = pricing.problem
    rows = np.array(data.draw(st.lists(CENTS, min_size=problem.rows, max_size=problem.rows)))
    nodes = np.array(data.draw(st.lists(CENTS, min_size=problem.nodes, max_size=problem.nodes)))
    return rows, np.where(pricing.limited, np.minimum(nodes, pricing.ceiling), 0.0)


def prices_at(problem: Problem, rows: Floats, nodes: Floats) -> Priced:
    return Priced(rows, nodes, 0.0, np.zeros(problem.orders), pricing_of(problem).start_lines())


def assert_bound_holds(problem: Problem, data: st.DataObject) -> None:
    best = optimum(problem).cost_cents
    pricing = pricing_of(problem)
    for _ in range(3):
        rows, nodes = drawn_prices(pricing, data)
        priced = pricing.at(rows, nodes, pricing.start_lines(), ROUNDS_FIRST)
        assert math.floor(priced.bound_cents) <= best


@given(wave=small_waves(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_prices_prove_a_bound(wave: Wave, data: st.DataObject) -> None:
    assert_bound_holds(problem_of(wave), data)


@given(wave=large_orders(max_orders=2), data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_prices_prove_a_bound_on_orders_of_many_units(wave: Wave, data: st.DataObject) -> None:
    assert_bound_holds(problem_of(wave), data)


def assert_nothing_needed_is_fixed_away(problem: Problem, data: st.DataObject) -> None:
    """From nothing shipped, at any prices, one integer program over what they leave finds the optimum."""
    rows, nodes = drawn_prices(pricing_of(problem), data)
    draft = new_draft(problem)
    outcome = decide_again(problem, draft, np.arange(problem.orders), prices_at(problem, rows, nodes), seconds=30)
    best = optimum(problem).cost_cents
    assert outcome.tried
    assert cost_of(problem, put_in_place(problem, draft, outcome.ways)[0]) == best
    assert outcome.bound_cents <= best + 1e-6


@given(wave=small_waves(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_fixing_by_reduced_cost_keeps_a_best_plan(wave: Wave, data: st.DataObject) -> None:
    assert_nothing_needed_is_fixed_away(problem_of(wave), data)


@given(wave=large_orders(max_orders=2), data=st.data())
@settings(max_examples=40, deadline=None)
def test_fixing_by_reduced_cost_keeps_a_best_plan_of_orders_of_many_units(wave: Wave, data: st.DataObject) -> None:
    assert_nothing_needed_is_fixed_away(problem_of(wave), data)


def test_too_high_a_price_proves_nothing_and_fixes_nothing_away() -> None:
    """1,000 x that nobody needs at 10,000 each: a bound far below zero, from which reduced costs are counted."""
    wave = world([node("A"), node("B", 1)], [delivery("O", line("x"))], {("A", "x"): 1000, ("B", "x"): 1})
    problem = problem_of(wave)
    rows = np.where(problem.row_node == 0, 10_000.0, 0.0)
    draft = new_draft(problem)
    outcome = decide_again(problem, draft, np.arange(1), prices_at(problem, rows, np.zeros(2)))
    draft, better = put_in_place(problem, draft, outcome.ways)
    assert better
    assert draft.cost.tolist() == [561]


def test_an_order_without_competition_is_its_own_bound() -> None:
    wave = world([node("A")], [delivery("O", line("x")), collection("P", line("x"), at=["A"])], {("A", "x"): 2})
    pricing = pricing_of(problem_of(wave))
    priced = pricing.at(np.zeros(1), np.zeros(1), pricing.start_lines(), ROUNDS_FIRST)
    assert priced.order_value.tolist() == [561, 61]


def test_a_price_on_stock_is_charged_to_orders_and_given_back_for_stock() -> None:
    """One x for two: at 9,439 the dearer way is as good as leaving it open, and the bound is the optimum."""
    wave = world([node("A")], [delivery("O", line("x")), delivery("P", line("x"))], {("A", "x"): 1})
    pricing = pricing_of(problem_of(wave))
    at = [
        round(pricing.at(np.array([cents]), np.zeros(1), pricing.start_lines(), ROUNDS_FIRST).bound_cents)
        for cents in (0.0, 5000.0, 9439.0, 20_000.0)
    ]
    assert at == [2 * 561, 2 * 5561 - 5000, 561 + 10_000, 2 * 10_000 - 20_000]
