"""The ways found so far, and the prices at which they share out what there is."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.effort import Effort, Meter
from solver.policies import make
from solver.prices import ROUNDS_FIRST, Pricing, ascend
from solver.problem import Problem
from solver.wave import Wave, problem_of
from solver.ways import Found, Ways, best_prices, demand_at_most, nothing_shipped
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, world


def found(order: int, cents: float, *entries: tuple[int, int]) -> Found:
    rows = np.array([row for row, _ in entries], dtype=np.int32)
    use = np.array([amount for _, amount in entries], dtype=np.int32)
    return Found(np.array([order]), np.array([cents]), np.array([0, len(entries)]), rows, use)


def two_want_one() -> Ways:
    """Row 0 holds one unit: the first order saves 900 with it, the second 500."""
    open_ways = nothing_shipped(np.array([1000.0, 600.0]))
    return open_ways.joined([found(1, 100.0, (0, 1)), found(0, 100.0, (0, 1))])


def go_on() -> bool:
    return False


def test_ways_stand_by_order_whenever_they_were_found() -> None:
    ways = two_want_one()
    assert ways.order.tolist() == [0, 0, 1, 1]
    assert sorted(ways.cents[:2].tolist()) == [100.0, 1000.0]
    assert ways.least(np.array([0.0])).tolist() == [100.0, 100.0]
    assert ways.least(np.array([700.0])).tolist() == [800.0, 600.0]


def test_the_price_of_a_contested_unit_lies_between_what_it_is_worth_to_each() -> None:
    one, free, any_price = np.ones(1), np.zeros(1), np.full(1, np.inf)
    price = best_prices(two_want_one(), one, free, any_price, free, 1.0, go_on)
    assert 500 <= price[0] <= 900


def test_what_is_enough_for_all_has_no_price() -> None:
    assert demand_at_most(two_want_one(), 1).tolist() == [2.0]
    price = best_prices(two_want_one(), np.full(1, 2.0), np.zeros(1), np.full(1, np.inf), np.full(1, 300.0), 1.0, go_on)
    assert price.tolist() == [0.0]


def test_a_price_never_passes_its_ceiling() -> None:
    price = best_prices(two_want_one(), np.ones(1), np.zeros(1), np.full(1, 50.0), np.zeros(1), 1.0, go_on)
    assert price.tolist() == [50.0]


def ascended(problem: Problem) -> float:
    everyone = np.arange(problem.orders)
    pricing = Pricing(problem, everyone, problem.row_limit, problem.node_capacity_parcels)
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    plain = pricing.at(*nothing, pricing.start_lines(), ROUNDS_FIRST).bound_cents
    best = ascend(pricing, *nothing, np.inf, Meter(Effort(seconds=None))).best
    again = pricing.at(best.row_price, best.node_price, best.line_price.copy(), ROUNDS_FIRST).bound_cents
    assert best.bound_cents >= plain
    assert abs(again - best.bound_cents) <= 1e-6 * abs(best.bound_cents) + 1e-6
    return best.bound_cents


@given(wave=small_waves(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_best_prices_prove_no_more_than_the_optimum(wave: Wave, data: st.DataObject) -> None:
    problem = problem_of(wave)
    best = make("cp_sat", Effort(seconds=60))(problem)
    assert best.status == "optimal"
    assert ascended(problem) <= best.cost_cents + 1e-6


def test_one_unit_for_two_is_priced_until_the_bound_is_the_optimum() -> None:
    wave = world([node("A")], [delivery("O", line("x")), delivery("P", line("x"))], {("A", "x"): 1})
    assert round(ascended(problem_of(wave))) == 561 + 10_000
