"""Results are kept section by section, and shown as they were measured."""

import json
from pathlib import Path

from benchmarks import waves
from benchmarks.machine import this_machine
from benchmarks.results import Section, keep, spread, table

SETTINGS = waves.Settings(
    sizes=(4,), warehouses=2, stores=2, seeds=2, seconds=2.0, cp_sat_orders=0, example_orders=0, read_orders=4
)


def section(name: str, found: str) -> Section:
    return Section(name, "2024-05-01", this_machine().as_json(), {"seed": 0}, {"found": found})


def test_measuring_one_thing_again_leaves_the_other_results(tmp_path: Path) -> None:
    renders = {"waves": lambda one: one["found"], "replay": lambda one: one["found"]}
    keep(tmp_path, section("replay", "months"), renders)
    keep(tmp_path, section("waves", "old"), renders)
    page = keep(tmp_path, section("waves", "new"), renders).read_text()
    assert "months" in page
    assert "new" in page
    assert "old" not in page
    assert list(json.loads((tmp_path / "results.json").read_text())) == ["replay", "waves"]


def test_results_name_the_machine(tmp_path: Path) -> None:
    page = keep(tmp_path, section("waves", ""), {"waves": lambda one: one["found"]}).read_text()
    assert f"Python {this_machine().python}" in page
    assert "numpy" in page


def test_a_spread_is_a_median_with_its_range() -> None:
    assert spread([3, 1, 2], str) == "2 (1 to 3)"
    assert spread([2], str) == "2"


def test_a_table_is_a_heading_a_rule_and_rows() -> None:
    assert table(["policy", "cost"], [["joint", "1"]]) == "| policy | cost |\n| --- | ---: |\n| joint | 1 |\n"


def test_every_policy_is_measured_on_every_wave() -> None:
    measured = waves.measure(SETTINGS, lambda _: None)
    assert [(one["orders"], one["seed"]) for one in measured["made"]] == [(4, 1), (4, 2)]
    for one in measured["made"]:
        assert [row["policy"] for row in one["rows"]] == ["nearest", "fewest_parcels", "cheapest", "joint"]
    assert measured["reading"]["orders"] == 4
    assert "### 4 orders" in waves.render(measured)
