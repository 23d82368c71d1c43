"""The checker finds every broken rule, and works out bills that agree with paper and with a judge of other make."""

import ast
import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solver.check import Verdict, check
from solver.plan import Plan
from solver.planfile import write_plan
from solver.problem import BROKEN_PROMISE_CENTS, NO_SERVICE, Problem
from solver.wave import Wave, problem_of, write_wave
from tests.solver import shared_wave
from tests.strategies import small_waves
from tests.worlds import Content, collection, delivery, line, node, plan_of, service, sku, world

# the module: the package exports its function under the same name
checker = importlib.import_module("solver.check")

Parcels = list[tuple[str, str, str | None, Content]]

AIR = service("air", zone_km=[20_100], steps_g=[1000], cents=[[900]], over=[300], transit=[1])


@pytest.fixture
def problem() -> Problem:
    """Three nodes: A can cool and picks 6 units, B makes one parcel, C is 3,300 km away."""
    return problem_of(
        world(
            [node("A", tags=["cold"], units=6), node("B", 1, kind="store", parcels=1), node("C", 30)],
            [
                delivery("home", line("x", 3), line("milk"), line("battery"), max_parcels=2),
                delivery("whole", line("x", 2), line("x", 2), complete=True),
                collection("shop", line("x", 4), at=["B", "A"]),
            ],
            {
                ("A", "x"): 5,
                ("A", "milk"): 1,
                ("A", "battery"): 1,
                ("B", "x"): 6,
                ("B", "milk"): 1,
                ("C", "x"): 9,
            },
            skus=[sku("milk", requires=["cold"]), sku("battery", no_services=["air"])],
            services=[service(), AIR],
        )
    )


def judged(problem: Problem, parcels: Parcels, pickups: dict[str, str] | None = None) -> Verdict:
    """The verdict on a plan that claims what it costs."""
    return check(problem, costed(problem, plan_of(problem, parcels, pickups)))


def costed(problem: Problem, plan: Plan) -> Plan:
    return replace(plan, cost_cents=check(problem, plan).cost_cents)


def test_a_plan_that_keeps_every_rule_is_ok(problem: Problem) -> None:
    parcels: Parcels = [
        ("home", "A", "ground", {0: 3, 1: 1, 2: 1}),
        ("whole", "C", "air", {0: 2, 1: 2}),
        ("shop", "B", None, {0: 4}),
    ]
    verdict = judged(problem, parcels, {"shop": "B"})
    assert verdict.ok, verdict.violations


def test_shipping_nothing_is_always_ok(problem: Problem) -> None:
    verdict = judged(problem, [])
    assert verdict.ok
    assert verdict.bill["unfilled"] == verdict.cost_cents == 13 * 10_000


BROKEN: dict[str, tuple[Parcels, dict[str, str], str]] = {
    "more than is in stock": (
        [("home", "A", "ground", {0: 3}), ("shop", "A", None, {0: 3})],
        {"shop": "A"},
        "node A: 6 of x taken, 5 in stock",
    ),
    "more than the node picks": (
        [("home", "A", "ground", {0: 3, 1: 1, 2: 1}), ("shop", "A", None, {0: 2})],
        {"shop": "A"},
        "node A: 7 units, capacity 6",
    ),
    "more parcels than the node makes": (
        [("home", "B", "ground", {0: 1}), ("shop", "B", None, {0: 1})],
        {"shop": "B"},
        "node B: 2 parcels, capacity 1",
    ),
    "more than the line asks for": (
        [("home", "A", "ground", {0: 2}), ("home", "C", "air", {0: 2})],
        {},
        "order home line 0: 4 of 3",
    ),
    "more parcels than the order takes": (
        [("home", "A", "ground", {0: 1}), ("home", "B", "ground", {0: 1}), ("home", "C", "air", {0: 1})],
        {},
        "order home: 3 parcels, at most 2",
    ),
    "a part of what ships whole": (
        [("whole", "C", "air", {0: 2, 1: 1})],
        {},
        "order whole: ship complete, but 1 units open",
    ),
    "two parcels of one node and service": (
        [("home", "A", "ground", {0: 1}), ("home", "A", "ground", {1: 1})],
        {},
        "order home from A: two parcels for one node and service",
    ),
    "a node that cannot handle it": (
        [("home", "B", "ground", {1: 1})],
        {},
        "order home from B: line 1 (milk) may not come from there: node_cannot_handle",
    ),
    "a node that does not stock it": (
        [("home", "C", "air", {1: 1})],
        {},
        "order home from C: line 1 (milk) is not stocked there",
    ),
    "a service that may not carry it": (
        [("home", "A", "air", {2: 1})],
        {},
        "order home from A: line 2 (battery) may not be carried by air",
    ),
    "a service that does not go so far": (
        [("home", "C", "ground", {0: 1})],
        {},
        "order home from C: ground does not serve that distance",
    ),
    "a delivery without a service": (
        [("home", "A", None, {0: 1})],
        {},
        "order home from A: a delivery without a service",
    ),
    "a service to where the goods are": (
        [("shop", "B", "ground", {0: 1})],
        {"shop": "B"},
        "order shop from B: collected at B, service ground",
    ),
    "no service to another store": (
        [("shop", "A", None, {0: 1})],
        {"shop": "B"},
        "order shop from A: collected at B, service None",
    ),
    "an empty parcel": ([("home", "A", "ground", {})], {}, "order home from A: empty parcel"),
    "no units": ([("home", "A", "ground", {0: 0})], {}, "order home from A: bad line entry"),
    "fewer than no units": ([("home", "A", "ground", {0: -1})], {}, "order home from A: bad line entry"),
    "a line of another order": ([("home", "A", "ground", {3: 1})], {}, "order home from A: bad line entry"),
    "a line of the order before": ([("whole", "A", "ground", {-1: 1})], {}, "order whole from A: bad line entry"),
    "a line that is not there": ([("home", "A", "ground", {99: 1})], {}, "order home from A: bad line entry"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_named(rule: str, problem: Problem) -> None:
    parcels, pickups, violation = BROKEN[rule]
    verdict = judged(problem, parcels, pickups)
    assert not verdict.ok
    assert any(text.startswith(violation) for text in verdict.violations), verdict.violations
    assert all(len(text.splitlines()) == 1 for text in verdict.violations)


def test_a_line_twice_in_one_parcel_is_named(problem: Problem) -> None:
    plan = plan_of(problem, [("home", "A", "ground", {0: 1, 1: 1})])
    verdict = check(problem, costed(problem, replace(plan, entry_line=np.array([0, 0]))))
    assert verdict.violations == ["order home from A: line 0 (x) is twice in one parcel"]


def test_an_order_goes_to_one_destination(problem: Problem) -> None:
    plan = plan_of(problem, [("shop", "A", "ground", {0: 1}), ("shop", "C", "air", {0: 1})], {"shop": "B"})
    assert check(problem, costed(problem, plan)).ok
    first, second = plan.parcel_dest.tolist()
    assert first == second
    torn = costed(problem, replace(plan, parcel_dest=np.array([first, second + 1])))
    assert check(problem, torn).violations == ["order shop: sent to B and to A, one destination is allowed"]


def test_a_parcel_goes_to_a_destination_of_its_order(problem: Problem) -> None:
    plan = plan_of(problem, [("home", "A", "ground", {0: 1})])
    astray = costed(problem, replace(plan, parcel_dest=plan.parcel_dest + 1))
    assert check(problem, astray).violations == [
        "order home from A: sent to destination 1, not one of its destinations"
    ]


@pytest.mark.parametrize("column", ["parcel_order", "parcel_node", "parcel_service", "parcel_dest"])
@pytest.mark.parametrize("index", [-2, 99])
def test_names_that_are_not_there_are_no_crash(column: str, index: int, problem: Problem) -> None:
    plan = plan_of(problem, [("home", "A", "ground", {0: 1}), ("whole", "C", "air", {0: 2, 1: 2})])
    wrong = getattr(plan, column).copy()
    wrong[0] = index
    verdict = check(problem, costed(problem, replace(plan, **{column: wrong})))
    assert verdict.violations == ["parcel 0: names an unknown order, node, service or destination"]


def test_entries_that_overlap_are_no_crash(problem: Problem) -> None:
    plan = plan_of(problem, [("home", "A", "ground", {0: 1}), ("whole", "C", "air", {0: 2, 1: 2})])
    verdict = check(problem, replace(plan, entry_start=np.array([0, 5, 3])))
    assert "the plan: entries of parcels are not contiguous" in verdict.violations


def test_what_a_plan_claims_is_compared(problem: Problem) -> None:
    plan = plan_of(problem, [("home", "A", "ground", {0: 1})])
    cost = check(problem, plan).cost_cents
    assert check(problem, replace(plan, cost_cents=cost, bound_cents=float(cost))).ok
    assert check(problem, replace(plan, cost_cents=cost, bound_cents=cost + 5e-7)).ok
    assert check(problem, replace(plan, cost_cents=cost - 1)).violations == [
        f"the plan: claims {cost - 1} cents, costs {cost}"
    ]
    assert check(problem, replace(plan, cost_cents=cost, bound_cents=cost + 0.01)).violations == [
        f"the plan: bound {cost + 0.01} is above the cost {cost}"
    ]
    for bound in (float("nan"), float("inf"), float("-inf")):
        assert check(problem, replace(plan, cost_cents=cost, bound_cents=bound)).violations == [
            f"the plan: bound {bound} is not a finite number"
        ]


def test_all_violations_are_counted_and_some_listed() -> None:
    orders = [delivery(f"O{i}", line("x")) for i in range(3 * checker.LISTED)]
    problem = problem_of(world([node("A")], orders, {("A", "x"): 10_000}))
    verdict = judged(problem, [(order.id, "A", None, {0: 1}) for order in orders])
    assert verdict.found == 3 * checker.LISTED
    assert len(verdict.violations) == checker.LISTED


def test_a_bill_is_what_paper_says() -> None:
    """Two orders, every term.

    Ana, at A, is promised tomorrow and asks for 3 x of 700 g and 2 y of 1,100 g. A sends 2 x and 1 y: 2,500 g, zone 0,
    second step: 600; handling 50 + 2 lines of 10 + 3 units of 1 = 73; 1 day of travel is in time; x is worth 25: 50.
    B, 111 km away, sends 1 y: 1,100 g, zone 1, second step: 900; handling 80 + 20 + 3 = 103; ready after 1 day, 3 of
    travel: 3 late at 100. 1 x is left open: 700.

    Ben collects 4 y at B, promised today: 2 from B, handling 80 + 20 + 2 of 3 = 106, 1 day late at 40; 2 from A,
    2,200 g, zone 1, second step: 900, handling 50 + 10 + 2 = 62, 3 days late at 40. B makes 2 parcels, room for 1: 300.
    """
    problem = problem_of(
        world(
            [node("A"), node("B", 1, parcel=80, line=20, unit=3, ready=1, parcels=1, overtime=300)],
            [
                delivery("Ana", line("x", 3, 700), line("y", 2, 800), promise=1, late=100),
                collection("Ben", line("y", 4, 800), at=["A", "B"], promise=0, late=40),
            ],
            {("A", "x"): (3, 25), ("A", "y"): 3, ("B", "y"): 3},
            skus=[sku("x", 700), sku("y", 1100)],
            services=[
                service(
                    zone_km=[100, 500],
                    steps_g=[1000, 3000],
                    cents=[[400, 600], [500, 900]],
                    over=[100, 150],
                    transit=[1, 3],
                )
            ],
        )
    )
    parcels: Parcels = [
        ("Ana", "A", "ground", {0: 2, 1: 1}),
        ("Ana", "B", "ground", {1: 1}),
        ("Ben", "B", None, {0: 2}),
        ("Ben", "A", "ground", {0: 2}),
    ]
    verdict = judged(problem, parcels, {"Ben": "B"})
    assert verdict.ok, verdict.violations
    assert verdict.bill == {
        "carriage": 600 + 900 + 900,
        "handling": 73 + 103 + 106 + 62,
        "late": 300 + 40 + 120,
        "stock_value": 50,
        "overtime": 300,
        "unfilled": 700,
        "broken_promise": 0,
    }


@pytest.mark.parametrize(
    ("grams", "cents"), [(0, 400), (500, 400), (501, 600), (1000, 600), (1001, 630), (2000, 630), (2001, 660)]
)
def test_carriage_is_the_step_of_the_weight_and_then_started_kilograms(grams: int, cents: int) -> None:
    tariff = service(steps_g=[500, 1000], cents=[[400, 600]], over=[30])
    problem = problem_of(
        world([node("A")], [delivery("O", line("x"))], {("A", "x"): 1}, skus=[sku("x", grams)], services=[tariff, AIR])
    )
    assert judged(problem, [("O", "A", "ground", {0: 1})]).bill["carriage"] == cents


def test_a_broken_promise_is_billed_for_each_unit() -> None:
    problem = problem_of(world([node("A")], [delivery("O", line("x", 3), line("y", 5))], {("A", "x"): 1}))
    promised = replace(problem, line_must_fill=np.array([True, False]))
    verdict = judged(promised, [("O", "A", "ground", {0: 1})])
    assert verdict.ok
    assert verdict.bill["broken_promise"] == 2 * BROKEN_PROMISE_CENTS
    assert verdict.bill["unfilled"] == 7 * 10_000


def test_options_may_share_a_row_and_use_more_than_one_of_it() -> None:
    problem = problem_of(
        world(
            [node("A", units=7), node("B", units=7)],
            [delivery("O", line("x", 3), line("y", 2))],
            {("A", "x"): 3, ("A", "y"): 2},
        )
    )
    bulky = np.array([[1, 2], [1, 1]])  # a unit of x takes the room of two
    assert judged(replace(problem, option_use=bulky), [("O", "A", "ground", {0: 3, 1: 1})]).ok
    verdict = judged(replace(problem, option_use=bulky), [("O", "A", "ground", {0: 3, 1: 2})])
    assert verdict.violations == ["node A: 8 units, capacity 7"]


@pytest.mark.parametrize(("end", "cents"), [(111.1950802335329, 1), (111.19508023353, 7)])
def test_a_band_holds_its_end(end: float, cents: int) -> None:
    two = service(zone_km=[end, 500], steps_g=[1000], cents=[[1], [7]], over=[0, 0], transit=[0, 0])
    problem = problem_of(world([node("A", 1)], [delivery("O", line("x"))], {("A", "x"): 1}, services=[two]))
    assert judged(problem, [("O", "A", "ground", {0: 1})]).bill["carriage"] == cents


def test_zones_are_measured_where_there_are_coordinates() -> None:
    """A loader that put a lane into the wrong zone is found out."""
    two = service(zone_km=[50, 500], steps_g=[1000], cents=[[1], [7]], over=[0, 0], transit=[0, 0])
    problem = problem_of(world([node("A", 1)], [delivery("O", line("x"))], {("A", "x"): 1}, services=[two]))
    wrong = replace(problem, lane_zone=np.zeros_like(problem.lane_zone))
    parcels: Parcels = [("O", "A", "ground", {0: 1})]
    assert judged(problem, parcels).bill["carriage"] == judged(wrong, parcels).bill["carriage"] == 7


def test_zones_are_taken_as_given_where_there_is_no_geography() -> None:
    two = service(zone_km=[50, 500], steps_g=[1000], cents=[[1], [7]], over=[0, 0], transit=[0, 0])
    problem = problem_of(world([node("A", 1)], [delivery("O", line("x"))], {("A", "x"): 1}, services=[two]))
    nowhere = replace(problem, node_lat=np.array([np.nan]), lane_zone=np.zeros_like(problem.lane_zone))
    parcels: Parcels = [("O", "A", "ground", {0: 1})]
    assert judged(nowhere, parcels).bill["carriage"] == 1
    closed = replace(nowhere, lane_zone=np.full_like(problem.lane_zone, NO_SERVICE))
    assert judged(closed, parcels).violations == ["order O from A: ground does not serve that distance"]


def test_a_lane_may_be_closed_whatever_its_length(problem: Problem) -> None:
    closed = replace(problem, lane_zone=np.full_like(problem.lane_zone, NO_SERVICE))
    assert not judged(closed, [("home", "A", "ground", {0: 1})]).ok


def test_the_checker_imports_nothing_that_makes_plans() -> None:
    """Prevents: a fault that the maker of a plan and its judge have in common."""
    tree = ast.parse(Path(str(checker.__file__)).read_text())
    imported = {
        name.name.split(".")[0] if name.name.startswith("numpy") else name.name
        for one in ast.walk(tree)
        if isinstance(one, ast.Import)
        for name in one.names
    } | {one.module for one in ast.walk(tree) if isinstance(one, ast.ImportFrom)}
    assert imported <= {
        "collections.abc",
        "dataclasses",
        "math",
        "numpy",
        "solver.plan",
        "solver.problem",
        "typing",
    }


def random_plan(problem: Problem, rng: np.random.Generator, careful: bool) -> Plan:
    """Parcels drawn at random; a careful plan leaves out each that would break a rule."""
    pickups: dict[str, str] = {}
    parcels: Parcels = []
    for o in rng.permutation(problem.orders).tolist():
        dest = int(rng.integers(*problem.order_dest_start[o : o + 2]))
        for _ in range(rng.integers(1, 4)):
            tried = [*parcels, random_parcel(problem, rng, o, dest)]
            where = dict(pickups)
            if problem.dest_node[dest] >= 0:
                where[problem.order_id[o]] = problem.node_id[problem.dest_node[dest]]
            if not careful or check(problem, costed(problem, plan_of(problem, tried, where))).ok:
                parcels, pickups = tried, where
    return costed(problem, plan_of(problem, parcels, pickups))


def random_parcel(
    problem: Problem, rng: np.random.Generator, order: int, dest: int
) -> tuple[str, str, str | None, Content]:
    """Some lines of an order from a node that has one of them; now and then what it should not be."""
    first, end = problem.order_line_start[order : order + 2].tolist()
    options = np.arange(problem.line_option_start[first], problem.line_option_start[end])
    usable = options[(problem.option_reason[options] == 0) & (problem.row_limit[problem.option_row[options, 0]] > 0)]
    here = int(problem.option_node[rng.choice(usable)]) if len(usable) else int(rng.integers(problem.nodes))
    at_node = problem.option_line[usable[problem.option_node[usable] == here]].tolist()
    lines = rng.permutation(at_node or range(first, end))[: rng.integers(1, end - first + 1)].tolist()
    if rng.random() < 0.5:
        lines = at_node or [first]
    content = {line - first: int(rng.integers(1, problem.line_qty[line] + 1)) for line in lines}
    if rng.random() < 0.5:
        content = {number: int(problem.line_qty[first + number]) for number in content}
    served = np.flatnonzero(problem.lane_zone[dest, here] >= 0)
    service = problem.service_id[rng.choice(served)] if len(served) else None
    if rng.random() < 0.1:
        service = problem.service_id[rng.integers(problem.services)]
    return problem.order_id[order], problem.node_id[here], service, content


@given(wave=small_waves(), seed=st.integers(0, 2**32), careful=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_checker_agrees_with_a_judge_of_other_make(wave: Wave, seed: int, careful: bool, tmp_path: Path) -> None:
    judge = shared_wave.judge()
    problem = problem_of(wave)
    plan = random_plan(problem, np.random.default_rng(seed), careful)
    write_wave(tmp_path / "wave.json", wave)
    write_plan(tmp_path / "plan.json", problem, plan)
    violations, bill = judge.judge(*(json.loads((tmp_path / f"{name}.json").read_text()) for name in ("wave", "plan")))
    verdict = check(problem, plan)
    assert verdict.ok == (not violations), (verdict.violations, violations)
    assert verdict.ok or not careful
    if verdict.ok:
        assert verdict.bill == {term: bill.get(term, 0) for term in verdict.bill}
