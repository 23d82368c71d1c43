"""The whole problem as one integer program: optimal on worlds that fit on paper and on waves of known optima."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from threading import Timer
from time import monotonic

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import to_builtins

from simulation.synthetic import make_retail_day
from solver.check import check
from solver.effort import Effort
from solver.plan import Plan
from solver.planfile import write_plan
from solver.policies import make
from solver.policies.cp_sat import CpSat
from solver.problem import BROKEN_PROMISE_CENTS, Problem
from solver.wave import Wave, load, problem_of
from tests.solver import shared_wave
from tests.strategies import small_waves
from tests.worlds import collection, delivery, line, node, plan_of, service, sku, world

FLAT = service("flat", steps_g=[30_000], cents=[[700]], over=[0])


def best(problem: Problem) -> Plan:
    plan = CpSat(Effort(seconds=100))(problem)
    verdict = check(problem, plan)
    assert verdict.ok, verdict.violations
    assert plan.status == "optimal"
    return plan


def from_nodes(problem: Problem, plan: Plan) -> list[str]:
    return sorted(problem.node_id[j] for j in plan.parcel_node)


def test_an_order_is_kept_whole_where_a_second_parcel_costs_more_than_a_farther_node() -> None:
    """From B both: 700 + 50 + 20 + 2. Split: 2 of 700 + 50 + 10 + 1."""
    problem = problem_of(
        world(
            [node("A"), node("B", 1)],
            [delivery("O", line("x"), line("y"))],
            {("A", "x"): 1, ("B", "x"): 1, ("B", "y"): 1},
            services=[FLAT],
        )
    )
    plan = best(problem)
    assert from_nodes(problem, plan) == ["B"]
    assert plan.cost_cents == 772


def test_an_order_is_split_where_the_tariff_rewards_it() -> None:
    """Two parcels of 1 kg: 2 of 300 + 50 + 10 + 1. One of 2 kg: 2,000 + 50 + 20 + 2."""
    steep = service(steps_g=[1000, 2000], cents=[[300, 2000]], over=[0])
    problem = problem_of(
        world(
            [node("A"), node("B", 1)],
            [delivery("O", line("x"), line("y"))],
            {("A", "x"): 1, ("A", "y"): 1, ("B", "x"): 1},
            services=[steep],
        )
    )
    plan = best(problem)
    assert from_nodes(problem, plan) == ["A", "B"]
    assert plan.cost_cents == 722


def test_two_services_from_one_node_may_split_a_weight() -> None:
    steep = {"steps_g": [1000, 2000], "cents": [[300, 2000]], "over": [0]}
    problem = problem_of(
        world(
            [node("A")],
            [delivery("O", line("x", 2))],
            {("A", "x"): 2},
            services=[service("one", **steep), service("other", **steep)],  # type: ignore[arg-type]
        )
    )
    plan = best(problem)
    assert plan.parcels == 2
    assert plan.cost_cents == 722


def test_scarce_stock_goes_to_the_dearer_line() -> None:
    problem = problem_of(
        world([node("A")], [delivery("O", line("x", 1, 800)), delivery("P", line("x", 1, 9000))], {("A", "x"): 1})
    )
    plan = best(problem)
    assert [problem.order_id[o] for o in plan.parcel_order] == ["P"]
    assert plan.cost_cents == 800 + 561


def test_nothing_ships_that_costs_more_than_leaving_it_open() -> None:
    problem = problem_of(world([node("A")], [delivery("O", line("x", 2, 280))], {("A", "x"): 2}))
    assert best(problem).parcels == 0


def test_an_order_that_ships_whole_ships_all_or_nothing() -> None:
    orders = [delivery("O", line("x", 1), line("y", 2), complete=True)]
    short = problem_of(world([node("A")], orders, {("A", "x"): 1, ("A", "y"): 1}))
    assert best(short).parcels == 0
    enough = problem_of(world([node("A")], orders, {("A", "x"): 1, ("A", "y"): 2}))
    assert best(enough).cost_cents == 1500 + 50 + 20 + 3


def test_an_order_is_collected_at_the_store_that_costs_least() -> None:
    """At B everything lies ready; at A it would have to travel."""
    problem = problem_of(
        world([node("A"), node("B", 1, parcel=200)], [collection("O", line("x", 2), at=["A", "B"])], {("B", "x"): 2})
    )
    plan = best(problem)
    assert problem.dest_node[plan.parcel_dest].tolist() == [1]
    assert plan.cost_cents == 200 + 10 + 2


@pytest.mark.parametrize(("overtime", "parcels"), [(None, 1), (300, 2), (20_000, 1)])
def test_capacity_is_exceeded_only_where_overtime_pays(overtime: int | None, parcels: int) -> None:
    problem = problem_of(
        world(
            [node("A", parcels=1, overtime=overtime)],
            [delivery("O", line("x")), delivery("P", line("x"))],
            {("A", "x"): 5},
        )
    )
    assert best(problem).parcels == parcels


def test_a_promise_already_made_comes_first() -> None:
    """There is one x; O was promised it, though leaving P open costs more."""
    problem = problem_of(
        world([node("A")], [delivery("O", line("x", 2, 100)), delivery("P", line("x", 1, 90_000))], {("A", "x"): 1})
    )
    plan = best(replace(problem, line_must_fill=np.array([True, False])))
    assert [problem.order_id[o] for o in plan.parcel_order] == ["O"]
    assert plan.cost_cents == 561 + 100 + BROKEN_PROMISE_CENTS + 90_000


def test_without_effort_the_plan_is_that_of_cheapest_and_its_bound_holds() -> None:
    problem = problem_of(world([node("A")], [delivery("O", line("x"))], {("A", "x"): 1}))
    stopped = Effort()
    stopped.stop.set()
    for effort in (Effort(seconds=0), Effort(work=0), stopped):
        plan = CpSat(effort)(problem)
        assert check(problem, plan).ok
        assert plan.cost_cents == 561
        assert plan.bound_cents <= 561


def test_a_stop_ends_the_search_with_the_best_plan_so_far() -> None:
    problem = problem_of(make_retail_day(600, 30, seed=1))
    cheapest = make("cheapest")(problem)
    effort = Effort(seconds=100)
    Timer(1.0, effort.stop.set).start()
    began = monotonic()
    plan = CpSat(effort)(problem)
    assert monotonic() - began < 50
    assert check(problem, plan).ok
    assert 0 <= plan.bound_cents <= plan.cost_cents <= cheapest.cost_cents


def test_a_problem_of_no_orders_has_an_empty_plan() -> None:
    assert best(problem_of(world([node("A")], [], {}, skus=[sku("x")]))).cost_cents == 0


def test_the_same_work_gives_the_same_plan() -> None:
    path, _ = shared_wave.example("retail_060_scarce")
    problem = load(path)
    plans = [CpSat(Effort(seconds=None, work=10), seed=3)(problem) for _ in range(2)]
    assert plans[0].cost_cents == plans[1].cost_cents
    assert plans[0].bound_cents == plans[1].bound_cents
    assert plans[0].entry_line.tolist() == plans[1].entry_line.tolist()
    assert plans[0].parcel_node.tolist() == plans[1].parcel_node.tolist()


def test_a_hint_is_where_the_search_starts() -> None:
    seen: list[float] = []
    problem = problem_of(
        world(
            [node("A"), node("B", 1)],
            [delivery(f"O{i}", line("x"), line("y")) for i in range(4)],
            {("A", "x"): 4, ("A", "y"): 4, ("B", "x"): 4, ("B", "y"): 4},
        )
    )
    hint = plan_of(problem, [(f"O{i}", "A", "ground", {0: 1, 1: 1}) for i in range(4)])
    policy = CpSat(Effort(seconds=20, work=100), watch=lambda _doing, _s, cost, _bound: seen.append(cost), hint=hint)
    plan = policy(problem)
    assert seen
    assert seen[0] == check(problem, hint).cost_cents
    assert plan.cost_cents == min(seen)


def every_plan_cost(problem: Problem) -> int:
    """The least bill over all plans of a problem, by trying them all."""
    places = [
        (o, d, j, s)
        for o in range(problem.orders)
        for d in range(problem.order_dest_start[o], problem.order_dest_start[o + 1])
        for j in range(problem.nodes)
        for s in range(-1, problem.services)
        if (s < 0) == (problem.dest_node[d] == j) and (s < 0 or problem.lane_zone[d, j, s] >= 0)
    ]
    slots = [
        (place, l)
        for place in places
        for l in range(problem.order_line_start[place[0]], problem.order_line_start[place[0] + 1])
    ]
    least = None
    for units in product(*(range(int(problem.line_qty[l]) + 1) for _, l in slots)):
        packed: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for (place, l), taken in zip(slots, units, strict=True):
            if taken:
                packed.setdefault(place, []).append((l, taken))
        columns = np.array(list(packed), dtype=np.int64).reshape(-1, 4)
        entries = np.array([entry for content in packed.values() for entry in content], dtype=np.int64).reshape(-1, 2)
        start = np.concatenate([[0], np.cumsum([len(content) for content in packed.values()])]).astype(np.int64)
        order, dest, at, by = columns.T.copy()
        plan = Plan(order, at, by, dest, start, entries[:, 0].copy(), entries[:, 1].copy(), 0, 0.0)
        cost = check(problem, plan).cost_cents
        if (least is None or cost < least) and check(problem, replace(plan, cost_cents=cost)).ok:
            least = cost
    assert least is not None
    return least


def possibilities(problem: Problem) -> float:
    """About how many plans `every_plan_cost` would try."""
    dests = np.diff(problem.order_dest_start)[problem.line_order]
    slots = dests * problem.nodes * problem.services
    return float(((problem.line_qty + 1.0) ** slots).prod())


@given(wave=small_waves(max_orders=2))
@settings(max_examples=50, deadline=None)
def test_no_plan_is_cheaper(wave: Wave) -> None:
    problem = problem_of(wave)
    if possibilities(problem) > 2000:
        problem = problem_of(smaller(wave))
    if possibilities(problem) <= 2000:
        assert best(problem).cost_cents == every_plan_cost(problem)


def smaller(wave: Wave) -> Wave:
    """The same wave with fewer nodes and services, so that all its plans can be tried."""
    nodes = wave.nodes[:2]
    names = {one.id for one in nodes}
    services = wave.services[:1]
    for one in wave.skus:
        one.no_services = [name for name in one.no_services if name == services[0].id]
    for order in wave.orders:
        order.lines = order.lines[:2]
        for asked in order.lines:
            asked.qty = min(asked.qty, 2)
        if order.pickup_nodes:
            order.pickup_nodes = [name for name in order.pickup_nodes if name in names] or [nodes[0].id]
    stock = [row for row in wave.stock if row[0] in names]
    return Wave(format="wave/1", nodes=nodes, skus=wave.skus, stock=stock, services=services, orders=wave.orders)


@given(wave=small_waves())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plans_of_any_wave_pass_the_checker_and_the_judge(wave: Wave, tmp_path: Path) -> None:
    problem = problem_of(wave)
    plan = best(problem)
    judge = shared_wave.judge()
    write_plan(tmp_path / "plan.json", problem, plan)
    violations, _ = judge.judge(to_builtins(wave), json.loads((tmp_path / "plan.json").read_text()))
    assert violations == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ample", "scarce", "capacity", "hard_capacity", "pickup"])
def test_the_optimum_of_an_example_is_found_and_proven(name: str) -> None:
    path, optimum = shared_wave.example(f"retail_060_{name}")
    plan = best(load(path))
    assert plan.cost_cents == optimum
