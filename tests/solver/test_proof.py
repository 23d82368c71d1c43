"""A whole wave taken to a proof by two searches side by side."""

from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings

from solver.check import check
from solver.draft import Draft, cost_of, new_draft
from solver.effort import Effort
from solver.exact import Outcome, decide_all, put_in_place
from solver.mip import Model
from solver.policies import make
from solver.problem import Problem
from solver.wave import Wave, problem_of
from tests.solver.test_joint import large_orders
from tests.solver.test_prices import optimum, prices_at
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, world


def proof_of(problem: Problem, *, seconds: float = 30.0, stop: Event | None = None) -> tuple[Draft, Outcome]:
    """Take a problem to its proof from nothing shipped and no prices."""
    draft = new_draft(problem)
    free = prices_at(problem, np.zeros(problem.rows), np.zeros(problem.nodes))
    told: list[tuple[float, float]] = []
    outcome = decide_all(
        problem, draft, free, seconds=seconds, seed=1, most=200_000, stop=stop or Event(),
        tell=lambda cost, bound: told.append((cost, bound)),
    )  # fmt: skip
    assert all(cost > bound - 1 for cost, bound in told)
    return put_in_place(problem, draft, outcome.ways)[0], outcome


@given(wave=small_waves())
@settings(max_examples=60, deadline=None)
def test_side_by_side_the_optimum_is_found_and_proven(wave: Wave) -> None:
    problem = problem_of(wave)
    draft, outcome = proof_of(problem)
    assert cost_of(problem, draft) == optimum(problem).cost_cents
    assert outcome.bound_cents > optimum(problem).cost_cents - 1


@given(wave=large_orders(max_orders=2))
@settings(max_examples=30, deadline=None)
def test_side_by_side_the_optimum_of_orders_of_many_units_is_found_and_proven(wave: Wave) -> None:
    problem = problem_of(wave)
    draft, outcome = proof_of(problem)
    assert cost_of(problem, draft) == optimum(problem).cost_cents
    assert outcome.bound_cents > optimum(problem).cost_cents - 1


def contested(orders: int = 12) -> Problem:
    """Orders of x and y each, which lie together at A only, for half of them."""
    half = orders // 2
    stock = {("A", "x"): half, ("A", "y"): half, ("B", "x"): orders, ("C", "y"): orders}
    asked = [delivery(f"O{i}", line("x"), line("y")) for i in range(orders)]
    return problem_of(world([node("A", 1), node("B", 1), node("C", 2)], asked, stock))


def test_a_search_that_is_stopped_at_once_claims_nothing_wrong() -> None:
    problem, stop = contested(), Event()
    stop.set()
    draft, outcome = proof_of(problem, stop=stop)
    best = optimum(problem).cost_cents
    assert outcome.bound_cents <= best <= cost_of(problem, draft)


def test_a_search_without_time_claims_nothing_wrong() -> None:
    problem = contested()
    draft, outcome = proof_of(problem, seconds=0.0)
    best = optimum(problem).cost_cents
    assert outcome.bound_cents <= best <= cost_of(problem, draft)


def test_a_fault_in_a_search_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("the integer program is malformed")

    monkeypatch.setattr(Model, "solver", broken)
    with pytest.raises(AssertionError, match="malformed"):
        proof_of(contested())


def test_under_a_limit_of_work_alone_the_same_wave_gets_the_same_plan() -> None:
    problem = contested()
    plans = [make("joint", Effort(seconds=None, work=500), 7)(problem) for _ in range(2)]
    assert all(check(problem, plan).ok for plan in plans)
    assert plans[0].entry_units.tolist() == plans[1].entry_units.tolist()
    assert plans[0].parcel_node.tolist() == plans[1].parcel_node.tolist()
