"""The whole problem as one program for HiGHS: the same optimum as CP-SAT's, by every way in which it can be asked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from solver import enumeration
from solver.check import check
from solver.effort import Effort
from solver.enumeration import every_lane, every_parcel
from solver.plan import Plan
from solver.policies import highs, make
from solver.problem import Problem
from solver.program import whole_program
from solver.wave import Wave, problem_of
from tests.solver.test_policies import wide_problems
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, service, sku, world


def decided(problem: Problem, name: str) -> Plan:
    plan = make(name, Effort(seconds=60.0))(problem)
    verdict = check(problem, plan)
    assert verdict.ok, verdict.violations
    return plan


@given(wave=small_waves())
@settings(max_examples=60)
def test_highs_proves_the_optimum_that_cp_sat_proves(wave: Wave) -> None:
    problem = problem_of(wave)
    plan, other = decided(problem, "highs"), decided(problem, "cp_sat")
    assert plan.status == other.status == "optimal"
    assert plan.cost_cents == other.cost_cents


@given(problem=wide_problems())
@settings(max_examples=60)
def test_every_column_of_a_problem_is_heeded(problem: Problem) -> None:
    plan = decided(problem, "highs")
    assert plan.status == "optimal"
    assert plan.cost_cents == decided(problem, "cp_sat").cost_cents


@given(problem=wide_problems())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lanes_say_the_same_as_parcels(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    optimum = decided(problem, "cp_sat").cost_cents
    with monkeypatch.context() as patched:
        patched.setattr(enumeration, "FEW_CONTENTS", 1)
        plan = decided(problem, "highs")
    assert plan.status == "optimal"
    assert plan.cost_cents == optimum


@given(problem=wide_problems())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_bound_from_some_of_the_parcels_holds_for_all(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    optimum = decided(problem, "cp_sat").cost_cents
    with monkeypatch.context() as patched:
        patched.setattr(highs, "AT_ONCE_PARCELS", -1)
        patched.setattr(highs, "WHOLE_PARCELS", -1)
        patched.setattr(highs, "FOR_ORDER", 1)
        few = decided(problem, "highs")
        patched.setattr(highs, "WHOLE_PARCELS", 1_000)
        whole = decided(problem, "highs")
    assert few.bound_cents <= optimum <= few.cost_cents
    assert whole.cost_cents == optimum
    assert whole.status == "optimal"


@given(problem=wide_problems())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_to_start_from_is_a_solution_at_its_bill(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    start = make("cheapest", Effort(seconds=10.0))(problem)
    for contents in (1, 1024):
        with monkeypatch.context() as patched:
            patched.setattr(enumeration, "FEW_CONTENTS", contents)
            program = whole_program(problem)
        assert program is not None
        value = program.start_from(start)
        drawn = program.matrix @ value
        assert (drawn >= program.low_row - 1e-6).all()
        assert (drawn <= program.high_row + 1e-6).all()
        # a parcel by a service that is never needed goes by the cheapest, so the bill can only fall
        assert program.cost @ value <= start.cost_cents + 1e-6
        assert program.plan_of(value).cost_cents <= start.cost_cents


TWO_SERVICES = world(
    [node("A"), node("B", 1)],
    [delivery("O", line("x"), line("y"))],
    {("A", "x"): 1, ("A", "y"): 1, ("B", "x"): 1},
    skus=[sku("x"), sku("y")],
    services=[service("ground"), service("dear", cents=[[900, 1800, 2700, 3600, 4500]])],
)


def test_a_service_that_is_never_needed_has_no_parcel() -> None:
    """x, y and both from A, x from B, all by the cheaper service: it is as quick, and its tariff never rewards two parcels."""
    parcels = every_parcel(problem_of(TWO_SERVICES))
    assert parcels is not None
    assert parcels.service.tolist() == [0, 0, 0, 0]
    assert sorted(parcels.cents.tolist()) == [561, 561, 561, 1072]


def test_what_costs_more_than_it_serves_has_no_parcel() -> None:
    wave = world([node("A")], [delivery("O", line("x", unfilled=500))], {("A", "x"): 1})
    parcels = every_parcel(problem_of(wave))
    assert parcels is not None
    assert len(parcels.order) == 0


def test_an_order_of_many_units_has_a_lane_for_each_node_and_service() -> None:
    wave = world([node("A"), node("B", 1)], [delivery("O", line("x", 2000))], {("A", "x"): 900, ("B", "x"): 5})
    problem = problem_of(wave)
    assert len(every_parcel(problem).order) == 0  # type: ignore[union-attr]
    lanes = every_lane(problem)
    assert lanes.node.tolist() == [0, 1]
    assert lanes.entry_most.tolist() == [900, 5]


def test_without_time_the_plan_is_that_of_cheapest() -> None:
    problem = problem_of(TWO_SERVICES)
    plan = make("highs", Effort(seconds=0.0))(problem)
    assert check(problem, plan).ok
    assert plan.bound_cents == 0.0


def test_the_same_work_and_seed_give_the_same_plan() -> None:
    problem = problem_of(TWO_SERVICES)
    first, second = (make("highs", Effort(seconds=None, work=5), 3)(problem) for _ in range(2))
    assert first.cost_cents == second.cost_cents
    assert np.array_equal(first.parcel_node, second.parcel_node)
    assert replace(first, seconds=0.0).seed == 3
