"""What a plan file may say, and how it is refused."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solver.check import check
from solver.plan import Plan
from solver.planfile import read_plan, read_prices, write_plan
from solver.problem import NO_SERVICE, Problem
from solver.refusal import Refusal
from solver.wave import problem_of, write_wave
from tests.solver import shared_wave
from tests.solver.test_wave import Change, Json, again, both, drop, put
from tests.worlds import collection, delivery, line, node, plan_of, world

VALID: Json = {
    "format": "plan/1",
    "parcels": [
        {"order": "home", "node": "A", "service": "ground", "lines": [[0, 2], [1, 1]]},
        {"order": "shop", "node": "B", "service": None, "lines": [[0, 1]]},
        {"order": "shop", "node": "A", "service": "ground", "lines": [[0, 1]]},
    ],
    "pickups": {"shop": "B"},
    "cost_cents": 12195,
    "bound_cents": 12100.5,
    "status": "feasible",
    "seconds": 0.25,
    "policy": "joint",
    "seed": 7,
    "prices": {"stock": [["A", "x", 12.5], ["B", "x", 3]], "nodes": [["B", 40]]},
}

WAVE = world(
    [node("A", units=9), node("B", 1, kind="store", parcels=2)],
    [
        delivery("home", line("x", 2), line("y")),
        collection("shop", line("x", 2), at=["A", "B"]),
        delivery("late", line("y")),
    ],
    {("A", "x"): 3, ("A", "y"): 1, ("B", "x"): 1},
)


@pytest.fixture
def problem() -> Problem:
    return problem_of(WAVE)


def written(folder: Path, plan: Json) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps(plan))
    return path


def same(plan: Plan, other: Plan) -> bool:
    def values(one: Plan) -> dict[str, Any]:
        fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()}

    return values(plan) == values(other)


def test_a_plan_is_read_as_columns(problem: Problem, tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, VALID), problem)
    assert plan.parcel_order.tolist() == [0, 1, 1]
    assert plan.parcel_node.tolist() == [0, 1, 0]
    assert plan.parcel_service.tolist() == [0, NO_SERVICE, 0]
    assert problem.dest_node[plan.parcel_dest].tolist() == [-1, 1, 1]
    assert plan.entry_start.tolist() == [0, 2, 3, 4]
    assert plan.entry_line.tolist() == [0, 1, 2, 2]
    assert plan.entry_units.tolist() == [2, 1, 1, 1]
    assert (plan.policy, plan.seed, plan.seconds, plan.bound_cents) == ("joint", 7, 0.25, 12100.5)
    assert plan.row_price.tolist() == [12.5, 0, 3, 0]
    assert plan.node_price.tolist() == [0, 40]


MALFORMED: dict[str, tuple[Change, str]] = {
    # form
    "another format": (put("format", "plan/2"), "is a plan (plan/2); a plan (plan/1) is expected"),
    "an unknown key": (put("note", 1), "`note`"),
    "an unknown key of a parcel": (put("parcels", 1, "weight_g", 1), "parcels[1]: "),
    "an unknown key of the prices": (put("prices", "services", []), "prices: "),
    "no pickups": (drop("pickups"), "`pickups`"),
    "no seconds": (drop("seconds"), "`seconds`"),
    "a parcel without a service": (drop("parcels", 1, "service"), "parcels[1]: "),
    "an empty service": (put("parcels", 1, "service", ""), "parcels[1].service: "),
    "a cost with a fraction": (put("cost_cents", 2844.5), "cost_cents: "),
    "a bound of null": (put("bound_cents", None), "bound_cents: "),
    "a bound beyond all money": (put("bound_cents", 1e300), "bound_cents: "),
    "negative seconds": (put("seconds", -1), "seconds: "),
    "a policy of null": (put("policy", None), "policy: "),
    "a seed with a fraction": (put("seed", 0.5), "seed: "),
    "an entry of three": (put("parcels", 0, "lines", 0, [0, 2, 1]), "parcels[0].lines[0]: "),
    "no units": (put("parcels", 0, "lines", 0, [0, 0]), "parcels[0].lines[0][1]: "),
    "a fraction of a unit": (put("parcels", 0, "lines", 0, [0, 1.5]), "parcels[0].lines[0][1]: "),
    "a line below zero": (put("parcels", 0, "lines", 0, [-1, 1]), "parcels[0].lines[0][0]: "),
    "a negative price": (put("prices", "stock", 0, 2, -0.5), "prices.stock[0][2]: "),
    "another status": (put("status", "infeasible"), "status: "),
    "called optimal and is not": (put("status", "optimal"), "status: 'optimal' with bound 12100.5 and cost 12195"),
    # names
    "an unknown order": (put("parcels", 2, "order", "O9"), "parcels[2].order: 'O9'"),
    "an unknown node": (put("parcels", 2, "node", "N9"), "parcels[2].node: 'N9'"),
    "an unknown service": (put("parcels", 2, "service", "S9"), "parcels[2].service: 'S9'"),
    "a line that the order does not have": (put("parcels", 0, "lines", 1, [2, 1]), "parcels[0].lines[1][0]: 2"),
    "a line number beyond counting": (put("parcels", 0, "lines", 1, [2**60, 1]), "parcels[0].lines[1][0]: "),
    "a line twice": (put("parcels", 0, "lines", 1, [0, 1]), "parcels[0].lines[1][0]: line 0"),
    "a price of an unknown node": (put("prices", "nodes", 0, 0, "N9"), "prices.nodes[0][0]: 'N9'"),
    "a price of what is not stocked": (put("prices", "stock", 1, 1, "y"), "prices.stock[1]: 'B'"),
    "two prices of one pair": (again("prices", "stock", 0), "prices.stock[2]: "),
    "two prices of one node": (again("prices", "nodes", 0), "prices.nodes[1]: "),
    # where orders are collected
    "an unknown order collected": (put("pickups", "O9", "A"), "pickups.O9: "),
    "a delivery collected": (put("pickups", "home", "A"), "pickups.home: "),
    "collected at an unknown node": (put("pickups", "shop", "N9"), "pickups.shop: 'N9'"),
    "collected without a parcel": (both(drop("parcels", 2), drop("parcels", 1)), "pickups.shop: "),
    "collected nobody knows where": (drop("pickups", "shop"), "pickups.shop: is missing"),
    "an order with a line break": (put("pickups", "O\n9", "A"), "pickups.O 9: "),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_plan_is_refused_with_its_place(name: str, problem: Problem, tmp_path: Path) -> None:
    change, place = MALFORMED[name]
    plan = copy.deepcopy(VALID)
    change(plan)
    with pytest.raises(Refusal) as refused:
        read_plan(written(tmp_path, plan), problem)
    assert place in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_store_that_is_no_pickup_node_of_the_order_is_refused(tmp_path: Path) -> None:
    wave = copy.deepcopy(WAVE)
    wave.orders[1].pickup_nodes = ["A"]
    with pytest.raises(Refusal, match="'B' is not one of the nodes where that order may be collected"):
        read_plan(written(tmp_path, VALID), problem_of(wave))


@pytest.mark.parametrize("key", ["policy", "seed", "prices"])
def test_what_is_optional_may_be_left_out(key: str, problem: Problem, tmp_path: Path) -> None:
    plan = copy.deepcopy(VALID)
    drop(key)(plan)
    written(tmp_path, plan)
    write_plan(tmp_path / "again.json", problem, read_plan(tmp_path / "plan.json", problem))
    assert key not in json.loads((tmp_path / "again.json").read_text())


@pytest.mark.parametrize("name", ["again.json", "again.json.gz"])
def test_a_plan_is_read_as_it_was_written(name: str, problem: Problem, tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, VALID), problem)
    write_plan(tmp_path / name, problem, plan)
    once = read_plan(tmp_path / name, problem)
    assert once.parcel_node.tolist() == [0, 0, 1]  # by order, then by node
    write_plan(tmp_path / "twice.json", problem, once)
    assert same(once, read_plan(tmp_path / "twice.json", problem))


def test_a_plan_is_written_with_exactly_the_keys_of_the_format(problem: Problem, tmp_path: Path) -> None:
    write_plan(tmp_path / "again.json", problem, read_plan(written(tmp_path, VALID), problem))
    plan = json.loads((tmp_path / "again.json").read_text())
    assert list(plan) == list(VALID)
    assert plan["parcels"] == [VALID["parcels"][i] for i in (0, 2, 1)]
    assert {key: plan[key] for key in plan if key != "parcels"} == {key: VALID[key] for key in plan if key != "parcels"}


def test_the_order_of_parcels_and_entries_leaves_no_trace(problem: Problem, tmp_path: Path) -> None:
    parcels = [("home", "A", "ground", {0: 2, 1: 1}), ("late", "B", "ground", {0: 1})]
    backwards = [("late", "B", "ground", {0: 1}), ("home", "A", "ground", {1: 1, 0: 2})]
    write_plan(tmp_path / "plan.json", problem, plan_of(problem, parcels))
    write_plan(tmp_path / "backwards.json", problem, plan_of(problem, backwards))
    assert (tmp_path / "plan.json").read_bytes() == (tmp_path / "backwards.json").read_bytes()


@pytest.mark.parametrize("bound", [0.0, 1 / 3, 2700.1234567, 2843 - 1e-9, 123456789.987654321, -5.5])
def test_a_bound_is_never_written_above_what_was_proven(bound: float, problem: Problem, tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", problem, plan_of(problem, [], cost=200_000_000, bound=bound))
    written = json.loads((tmp_path / "plan.json").read_text())
    assert bound - 1.1e-6 <= written["bound_cents"] <= bound
    assert written["status"] == "feasible"


@pytest.mark.parametrize(("bound", "gap"), [(2843.2, 0.0), (2844.0, 0.0), (2842.0, 2 / 2844), (0.0, 1.0)])
def test_a_plan_that_is_proven_has_no_gap(bound: float, gap: float, problem: Problem) -> None:
    assert plan_of(problem, [], cost=2844, bound=bound).gap == pytest.approx(gap)


@pytest.mark.parametrize("bound", [2843.2, 2844.0, 2844 + 5e-7])
def test_the_bound_of_an_optimal_plan_is_its_cost(bound: float, problem: Problem, tmp_path: Path) -> None:
    write_plan(tmp_path / "plan.json", problem, plan_of(problem, [], cost=2844, bound=bound))
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["status"] == "optimal"
    assert written["bound_cents"] == written["cost_cents"] == 2844
    assert read_plan(tmp_path / "plan.json", problem).status == "optimal"


def test_prices_of_another_wave_are_taken_where_they_fit(problem: Problem, tmp_path: Path) -> None:
    plan = copy.deepcopy(VALID)
    plan["prices"]["stock"] += [["A", "gone", 5], ["closed", "x", 5], ["B", "y", 5]]
    plan["prices"]["nodes"] += [["closed", 5]]
    plan["parcels"][0]["order"] = "yesterday"
    row_price, node_price = read_prices(written(tmp_path, plan), problem)
    assert row_price.tolist() == [12.5, 0, 3, 0]
    assert node_price.tolist() == [0, 40]


def test_prices_that_have_no_place_in_the_file_are_not_written(problem: Problem, tmp_path: Path) -> None:
    """The last row is what node A can pick, which is no stock."""
    plan = plan_of(problem, [])
    prices = np.array([0.0, 1e-9, 2.5, 8.0])
    write_plan(tmp_path / "plan.json", problem, dataclasses.replace(plan, row_price=prices, node_price=np.zeros(2)))
    assert json.loads((tmp_path / "plan.json").read_text())["prices"] == {"stock": [["B", "x", 2.5]], "nodes": []}


def test_a_judge_of_other_make_reads_what_is_written(problem: Problem, tmp_path: Path) -> None:
    judge = shared_wave.judge()
    plan = read_plan(written(tmp_path, VALID), problem)
    assert check(problem, plan).ok
    write_plan(tmp_path / "again.json.gz", problem, plan)
    write_wave(tmp_path / "wave.json", WAVE)
    violations, _ = judge.judge(judge.read(tmp_path / "wave.json"), judge.read(tmp_path / "again.json.gz"))
    assert violations == []
