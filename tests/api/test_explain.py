"""`allot explain` and `allot gap`: what a person reads, and one JSON object with the same in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.api.test_cli import files, only_line

Run = Callable[..., Result]


@pytest.fixture
def plan(run: Run, wave: Path, tmp_path: Path) -> Path:
    """Ann's kettle comes from near, and Ben's from far."""
    path = tmp_path / "plan.json"
    assert run("solve", wave, "--out", path).exit_code == 0
    return path


def priced(plan: Path, **prices: Any) -> Path:
    written = json.loads(plan.read_text())
    written["prices"] = {"stock": [], "nodes": [], **prices}
    plan.write_text(json.dumps(written))
    return plan


def lines(result: Result) -> list[str]:
    assert (result.exit_code, result.stderr) == (0, "")
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_an_order_that_pays_for_another_is_told_who_holds_the_stock_and_what_would_tip_it(
    run: Run, wave: Path, plan: Path
) -> None:
    said = lines(run("explain", wave, plan, "Ben"))
    assert said[0] == "Ben: 1 parcel, 14.55"
    assert "far by ground 14.00 0.55 1 × kettle" in said
    assert "near 21.20 own bill 7.90 less, but lacks 1 kettle at near, held by Ann (1)" in said
    assert "far 21.20 used" in said
    assert "one more unit of kettle at near would save this order 7.90, all others as they are" in said
    assert any("the plan has no prices: stock is free" in line for line in said)


def test_with_prices_the_stock_is_worth_something_to_others(run: Run, wave: Path, plan: Path) -> None:
    said = lines(run("explain", wave, priced(plan, stock=[["near", "kettle", 800]]), "Ben"))
    assert (
        "near 21.20 what it takes is worth 8.00 to other orders: own bill 7.90 less, but lacks 1 kettle at near, held by Ann (1)"
    ) in said
    assert (
        "near by ground would tie if it cost 0.10 less at the prices: carriage from near by ground (6.00) lower by 0.10"
        in said
    )


def test_a_dearer_node_says_by_how_much_and_why(run: Run, wave: Path, plan: Path) -> None:
    said = lines(run("explain", wave, plan, "Ann"))
    assert said[0] == "Ann: 1 parcel, 6.65"
    assert "far 29.00 costs 7.90 more: carriage +8.00, handling −0.10 (and lacks 1 kettle at far, held by Ben (1))" in [
        line.replace("21.20", "29.00") for line in said
    ]


def test_explain_as_json_is_one_object_with_an_answer_for_each_node(run: Run, wave: Path, plan: Path) -> None:
    found = json.loads(run("explain", wave, plan, "Ben", "--json", "--alternatives", "1").stdout)
    assert (found["order"], found["exact"], found["priced"]) == ("Ben", True, False)
    assert found["plan"]["parcels"][0]["node"] == "far"
    assert found["plan"]["cost_cents"] == sum(found["plan"]["bill"].values()) == 1_455
    (other,) = found["alternatives"]
    assert (other["parcels"][0]["node"], other["own_cents"], sum(other["terms"].values())) == ("near", -790, -790)
    assert other["lacks"] == [
        {"what": "stock", "node": "near", "sku": "kettle", "needed": 1, "left": 0, "holders": [["Ann", 1]]}
    ]
    assert [(answer["node"], answer["verdict"]) for answer in found["nodes"]] == [("near", "taken"), ("far", "used")]
    assert found["wave"]["bound_cents"] == 2_120
    assert found["flip"]["changes"][-1]["by_cents"] == 790


def test_an_order_that_is_not_there_is_refused_in_one_line(run: Run, wave: Path, plan: Path) -> None:
    result = run("explain", wave, plan, "Cleo")
    assert (result.exit_code, only_line(result)) == (2, "allot: ORDER: 'Cleo' is not an order of this wave")


@pytest.mark.parametrize("command", ["explain", "gap"])
def test_a_plan_of_another_wave_is_refused_in_one_line(
    run: Run, wave: Path, plan: Path, make_wave: Callable[..., Path], command: str
) -> None:
    make_wave(orders=("Ann", "Cleo"))
    result = run(command, wave, plan, *(["Ann"] if command == "explain" else []))
    assert (result.exit_code, only_line(result)) == (2, "allot: parcels[1].order: 'Ben' is not an order of this wave")


@pytest.mark.parametrize("command", ["explain", "gap"])
def test_a_plan_that_breaks_a_rule_explains_nothing(run: Run, wave: Path, plan: Path, command: str) -> None:
    broken = json.loads(plan.read_text())
    broken["parcels"][0]["lines"] = [[0, 2]]
    plan.write_text(json.dumps(broken))
    result = run(command, wave, plan, *(["Ann"] if command == "explain" else []))
    assert result.exit_code == 2
    assert "is no plan of this wave: " in only_line(result)


def test_the_gap_of_a_plan_is_told_by_its_terms(run: Run, wave: Path, plan: Path) -> None:
    """Alone, Ben would have come from near: 7.90 of his bill is what the prices (none) do not explain."""
    said = lines(run("gap", wave, plan))
    assert "orders not at their best at the prices +7.90 Ben 7.90" in said
    assert "proven beyond the prices −7.90" in said
    assert said[-1] == "gap 0.00 0 %"


def test_the_terms_of_a_gap_as_json_add_up_to_it(run: Run, wave: Path, plan: Path, tmp_path: Path) -> None:
    found = json.loads(run("gap", wave, priced(plan, stock=[["near", "kettle", 800]]), "--json").stdout)
    assert sum(found["terms"].values()) == pytest.approx(found["gap_cents"])
    assert found["terms"]["orders"] == pytest.approx(10)
    assert found["orders"] == [["Ann", pytest.approx(10)]]
    solved = json.loads(run("solve", wave, "--out", tmp_path / "again.json", "--policy", "nearest", "--json").stdout)
    held = solved["certificate"]
    assert held["gap_cents"] == solved["cost_cents"] - solved["bound_cents"]
    assert sum(held["terms"].values()) == pytest.approx(held["gap_cents"])
    assert files(tmp_path) == ["again.json", "plan.json", "wave.json"]
