"""Slices decided one after the other make one plan of the whole, and never oversell."""

from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.columns import read_columns, write_columns
from benchmarks.slices import by_lines, decide_in_slices, drawn, joined, slice_of
from simulation.synthetic import make_retail_day
from solver.check import check
from solver.effort import Effort
from solver.policies import make
from solver.problem import Problem
from solver.wave import problem_of
from tests.solver.test_policies import wide_problems
from tests.worlds import delivery, line, node, world


@given(problem=wide_problems(), most=st.integers(1, 4), policy=st.sampled_from(["nearest", "cheapest", "joint"]))
@settings(max_examples=60)
def test_the_plan_of_all_slices_holds(problem: Problem, most: int, policy: str) -> None:
    plan = decide_in_slices(problem, policy, most, 20.0, 0, perf_counter)
    verdict = check(problem, plan)
    assert verdict.ok, verdict.violations


def test_a_later_slice_has_what_an_earlier_one_left() -> None:
    wave = world([node("A"), node("B", 1)], [delivery(o, line("x")) for o in "OPQ"], {("A", "x"): 1, ("B", "x"): 1})
    problem = problem_of(wave)
    plan = decide_in_slices(problem, "cheapest", 1, 20.0, 0, perf_counter)
    assert plan.parcel_order.tolist() == [0, 1]
    assert plan.parcel_node.tolist() == [0, 1]
    assert plan.cost_cents == 561 + 561 + 10_000


def test_slices_hold_so_many_lines_and_whole_orders() -> None:
    orders = [delivery(f"O{i}", *[line("x")] * n) for i, n in enumerate((1, 2, 3, 1, 1))]
    problem = problem_of(world([node("A")], orders, {("A", "x"): 1}))
    assert [orders.tolist() for orders in by_lines(problem, 2)] == [[0], [1], [2], [3, 4]]


def test_a_slice_of_all_orders_is_the_problem() -> None:
    problem = problem_of(make_retail_day(30, 6, 1))
    part = slice_of(problem, np.arange(problem.orders), problem.row_limit, problem.node_capacity_parcels)
    plan = make("cheapest", Effort(seconds=20.0))(problem)
    assert make("cheapest", Effort(seconds=20.0))(part.problem).cost_cents == plan.cost_cents
    assert joined(problem, [part], [plan]).cost_cents == plan.cost_cents
    used, parcels = drawn(problem, plan)
    assert (used <= problem.row_limit).all()
    assert parcels.sum() == plan.parcels


def test_columns_come_back_as_they_were_written(tmp_path: pytest.TempPathFactory) -> None:
    problem = problem_of(make_retail_day(20, 4, 1))
    path = tmp_path / "columns.npz"  # type: ignore[operator]
    write_columns(path, problem)
    again = read_columns(path)
    for name in Problem.__dataclass_fields__:
        before, after = getattr(problem, name), getattr(again, name)
        assert type(before) is type(after)
        assert np.array_equal(before, after, equal_nan=np.asarray(before).dtype.kind == "f"), name
