"""All orders together: the optimum, whatever order things are named in, however large the orders are."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solver.check import check
from solver.effort import Effort
from solver.offers import PAIRS_MAX, pairs_of
from solver.plan import Plan
from solver.planfile import read_plan
from solver.policies import make
from solver.problem import BROKEN_PROMISE_CENTS, NO_LIMIT, Problem
from solver.wave import Wave, load, problem_of, write_wave
from tests.solver import shared_wave
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, world


def joint(problem: Problem, seconds: float = 30.0, *, proven: bool = True) -> Plan:
    plan = make("joint", Effort(seconds=seconds))(problem)
    verdict = check(problem, plan)
    assert verdict.ok, verdict.violations
    assert plan.status == "optimal" or not proven
    return plan


def optimum(problem: Problem) -> int:
    plan = make("cp_sat", Effort(seconds=60))(problem)
    assert plan.status == "optimal"
    return plan.cost_cents


@given(wave=small_waves())
@settings(max_examples=60, deadline=None)
def test_a_small_wave_is_solved_to_proven_optimality(wave: Wave) -> None:
    problem = problem_of(wave)
    assert joint(problem).cost_cents == optimum(problem)


@given(wave=small_waves(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_more_stock_never_costs_more(wave: Wave, data: st.DataObject) -> None:
    before = joint(problem_of(wave)).cost_cents
    sku = data.draw(st.sampled_from([one.id for one in wave.skus]))
    at = data.draw(st.sampled_from([one.id for one in wave.nodes]))
    held = {row[:2]: row for row in wave.stock}
    _, _, units, value = held.get((at, sku), (at, sku, 0, 0))
    held[at, sku] = (at, sku, units + 1, value)
    assert joint(problem_of(msgspec.structs.replace(wave, stock=list(held.values())))).cost_cents <= before


@given(wave=small_waves())
@settings(max_examples=30, deadline=None)
def test_more_capacity_never_costs_more(wave: Wave) -> None:
    problem = problem_of(wave)
    limited = problem.node_capacity_parcels < NO_LIMIT
    roomier = replace(problem, node_capacity_parcels=problem.node_capacity_parcels + limited)
    assert joint(roomier).cost_cents <= joint(problem).cost_cents


@given(wave=small_waves(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_things_are_named_does_not_matter(wave: Wave, data: st.DataObject) -> None:
    other = msgspec.structs.replace(
        wave,
        nodes=data.draw(st.permutations(wave.nodes)),
        skus=data.draw(st.permutations(wave.skus)),
        services=data.draw(st.permutations(wave.services)),
        stock=data.draw(st.permutations(wave.stock)),
        orders=[
            msgspec.structs.replace(order, lines=data.draw(st.permutations(order.lines)))
            for order in data.draw(st.permutations(wave.orders))
        ],
    )
    assert joint(problem_of(other)).cost_cents == joint(problem_of(wave)).cost_cents


@given(wave=small_waves())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_zipped_wave_is_the_same_wave(wave: Wave, tmp_path: Path) -> None:
    costs = []
    for name in ("wave.json", "wave.json.gz"):
        write_wave(tmp_path / name, wave)
        costs.append(joint(load(tmp_path / name)).cost_cents)
    assert costs[0] == costs[1] == joint(problem_of(wave)).cost_cents


@given(wave=small_waves())
@settings(max_examples=30, deadline=None)
def test_a_warm_start_costs_the_same(wave: Wave) -> None:
    problem = problem_of(wave)
    plan = joint(problem)
    assert joint(problem.priced(plan.row_price, plan.node_price)).cost_cents == plan.cost_cents


@given(wave=small_waves(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_start_from_absurd_prices_costs_the_same(wave: Wave, data: st.DataObject) -> None:
    problem = problem_of(wave)
    cents = st.sampled_from([0.0, 1.0, 1e3, 1e7])
    rows = np.array(data.draw(st.lists(cents, min_size=problem.rows, max_size=problem.rows)))
    nodes = np.array(data.draw(st.lists(cents, min_size=problem.nodes, max_size=problem.nodes)))
    assert joint(problem.priced(rows, nodes)).cost_cents == joint(problem).cost_cents


@given(wave=small_waves(), work=st.sampled_from([0, 1, 3, 10, 1000]))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_and_work_give_the_same_plan(wave: Wave, work: int) -> None:
    problem = problem_of(wave)
    same_plan(problem, work)


def same_plan(problem: Problem, work: int) -> None:
    one, other = (make("joint", Effort(seconds=None, work=work), seed=5)(problem) for _ in range(2))
    assert check(problem, one).ok
    for column in ("parcel_order", "parcel_node", "parcel_service", "parcel_dest", "entry_line", "entry_units"):
        assert getattr(one, column).tolist() == getattr(other, column).tolist()
    assert (one.cost_cents, one.bound_cents) == (other.cost_cents, other.bound_cents)


@pytest.mark.parametrize("work", [20, 60])
def test_the_same_seed_and_work_give_the_same_plan_of_an_example(work: int) -> None:
    path, _ = shared_wave.example("retail_060_scarce")
    same_plan(load(path), work)


# --- orders of many units ---------------------------------------------------------------------------------------


@st.composite
def large_orders(draw: st.DrawFn, max_orders: int = 3, qty: tuple[int, int] = (5, 60)) -> Wave:
    """Small waves whose orders ask for many light units, so that the recursion over contents is out of reach of most."""
    wave = draw(small_waves(max_orders=max_orders))
    change = msgspec.structs.replace
    asked = st.integers(*qty)
    grams = st.sampled_from([20, 50, 111, 0, 200, 700])
    boxes = st.sampled_from([20, 7, 1])
    return change(
        wave,
        orders=[change(o, lines=[change(one, qty=draw(asked)) for one in o.lines]) for o in wave.orders],
        skus=[change(one, weight_g=draw(grams)) for one in wave.skus],
        stock=[(at, name, units * draw(boxes), value) for at, name, units, value in wave.stock],
        nodes=[change(one, capacity_units=one.capacity_units and one.capacity_units * 15) for one in wave.nodes],
    )


def is_many(problem: Problem) -> bool:
    """Whether an order is too large for the recursion over contents."""
    return any(pairs_of(problem.columns, o) > PAIRS_MAX for o in range(problem.orders))


@given(wave=large_orders(max_orders=1))
@settings(max_examples=60, deadline=None)
def test_cheapest_serves_one_order_of_many_units_at_its_optimum(wave: Wave) -> None:
    problem = problem_of(wave)
    plan = make("cheapest", Effort(seconds=30))(problem)
    assert check(problem, plan).ok
    assert plan.bound_cents <= optimum(problem) == plan.cost_cents


@given(wave=large_orders())
@settings(max_examples=40, deadline=None)
def test_orders_of_many_units_are_solved_to_optimality(wave: Wave) -> None:
    problem = problem_of(wave)
    assert joint(problem).cost_cents == optimum(problem)


def test_an_order_of_three_times_sixty_units_is_solved_by_lanes() -> None:
    """60 of x at A and 30 each of y and z: 120 kg from A, 60 kg from B, 500 a kg; 30 of y and z are open there."""
    wave = world(
        [node("A"), node("B", 1)],
        [delivery("O", line("x", 60), line("y", 60), line("z", 60))],
        {("A", "x"): 60, ("A", "y"): 30, ("A", "z"): 30, ("B", "y"): 30, ("B", "z"): 20},
    )
    problem = problem_of(wave)
    assert is_many(problem)
    # A: 50 + 3 * 10 + 120 + 120 * 500; B: 50 + 2 * 10 + 50 + 50 * 500; ten of z stay open
    assert joint(problem).cost_cents == 60_200 + 25_120 + 10 * 10_000


# --- what people say --------------------------------------------------------------------------------------------


def test_prices_name_the_contested_stock() -> None:
    """One x at A (561) for two: the other comes from B (561 + 100), so one more at A is worth at most 100."""
    wave = world(
        [node("A"), node("B", 1, parcel=150)],
        [delivery("O", line("x")), delivery("P", line("x"))],
        {("A", "x"): 1, ("B", "x"): 1},
    )
    problem = problem_of(wave)
    plan = joint(problem)
    assert plan.cost_cents == 561 + 661
    at_a, at_b = (problem.row_node.tolist().index(j) for j in (0, 1))
    assert 99 <= plan.row_price[at_a] - plan.row_price[at_b] <= 101


def test_joint_keeps_a_promise_before_a_dearer_line() -> None:
    wave = world([node("A")], [delivery("O", line("x", 1, 100)), delivery("P", line("x", 1, 90_000))], {("A", "x"): 1})
    problem = replace(problem_of(wave), line_must_fill=np.array([True, False]))
    plan = joint(problem)
    assert [problem.order_id[o] for o in plan.parcel_order] == ["O"]
    assert plan.cost_cents == 561 + 90_000 < BROKEN_PROMISE_CENTS


def test_joint_pays_overtime_only_where_it_is_worth_it() -> None:
    """Room for one at A. Overtime of 300 ships the dear line (561 + 300 < 5,000), not the cheap one (861 > 800)."""
    orders = [delivery("O", line("x")), delivery("P", line("x", 1, 5000)), delivery("Q", line("x", 1, 800))]
    wave = world([node("A", parcels=1, overtime=300)], orders, {("A", "x"): 3})
    problem = problem_of(wave)
    plan = joint(problem)
    assert sorted(problem.order_id[o] for o in plan.parcel_order) == ["O", "P"]
    assert plan.cost_cents == 561 + 561 + 300 + 800


# --- waves with known optima ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ample", "scarce", "capacity", "hard_capacity", "pickup"])
def test_the_optimum_of_an_example_is_found_and_proven(name: str) -> None:
    path, cost = shared_wave.example(f"retail_060_{name}")
    assert joint(load(path)).cost_cents == cost


@pytest.mark.slow
@pytest.mark.parametrize("name", ["electronics_300", "retail_200"])
def test_the_optimum_of_a_larger_example_is_found_and_proven(name: str) -> None:
    path, cost = shared_wave.example(name)
    assert joint(load(path), 90.0).cost_cents == cost


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retail_400", "retail_800"])
def test_the_largest_examples_come_within_a_thousandth_of_the_optimum(name: str) -> None:
    path, cost = shared_wave.example(name)
    plan = make("joint", Effort(seconds=90.0))(load(path))
    assert plan.bound_cents <= cost <= plan.cost_cents <= 1.001 * cost


def test_the_example_of_the_format_page_is_proven_at_its_cost() -> None:
    folder = Path(__file__).parents[2] / "solver" / "examples"
    problem = load(folder / "wave.json")
    shown = read_plan(folder / "plan.json", problem)
    plan = joint(problem)
    assert plan.status == "optimal"
    assert plan.cost_cents == shown.cost_cents == 3035
    assert check(problem, shown).ok
