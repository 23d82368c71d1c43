"""Results are kept piece by piece, and shown as they were measured, shortfalls named as such."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks import growth, targets, waves, waves_page
from benchmarks.apart import Crossings
from benchmarks.machine import described, this_machine
from benchmarks.results import ELSEWHERE, Section, joined, keep, pieces_of, spread, table, write_page

SETTINGS = {"seed": 0}


def section(name: str, found: str) -> Section:
    return Section(name, "2024-05-01", this_machine().as_json(), SETTINGS, {"found": found})


def show(measured: dict[str, Any], _settings: dict[str, Any]) -> str:
    return str(measured["found"])


def test_measuring_one_thing_again_leaves_the_other_results(tmp_path: Path) -> None:
    keep(tmp_path, section("replay", "months"))
    keep(tmp_path, section("waves", "old"))
    keep(tmp_path, section("waves", "new"))
    page = write_page(tmp_path, {"waves": show, "replay": show}).read_text()
    assert "months" in page
    assert "new" in page
    assert "old" not in page
    assert list(json.loads((tmp_path / "results.json").read_text())) == ["replay", "waves"]


def test_results_name_the_machine(tmp_path: Path) -> None:
    keep(tmp_path, section("waves", ""))
    page = write_page(tmp_path, {"waves": show}).read_text()
    assert f"Python {this_machine().python}" in page
    assert "numpy" in page


def test_pieces_join_only_those_of_the_same_settings(tmp_path: Path) -> None:
    keep(tmp_path, section("waves", "some"))
    assert pieces_of(tmp_path, "waves", SETTINGS) == {"found": "some"}
    assert pieces_of(tmp_path, "waves", {"seed": 1}) == {}
    assert pieces_of(tmp_path, "sliced", SETTINGS) == {}


def test_a_piece_that_was_measured_on_another_machine_says_so_on_the_page(tmp_path: Path) -> None:
    here = this_machine().as_json()
    there = {**here, "cpu": "another"}
    keep(tmp_path, Section("waves", "2024-05-01", here, SETTINGS, {"found": {"cost": 1}, "grocery": {"cost": 9}}))
    keep(tmp_path, joined(tmp_path, Section("waves", "2024-06-01", there, SETTINGS, {"grocery": {"cost": 2}})))
    page = write_page(tmp_path, {"waves": show}).read_text()
    assert f"Measured on 2024-05-01 with seed 0, on: {described(here)}" in page
    assert f"But grocery on 2024-06-01, on: {described(there)}" in page
    assert pieces_of(tmp_path, "waves", SETTINGS)["grocery"]["cost"] == 2
    again = joined(tmp_path, Section("waves", "2024-07-01", here, SETTINGS, {"grocery": {"cost": 3}}))
    keep(tmp_path, again)
    assert "But grocery" not in write_page(tmp_path, {"waves": show}).read_text()


def test_growth_is_fitted_to_the_seconds_of_one_machine() -> None:
    peak = {"profile": "retail", "regime": "peak", "capacity": False}
    assert growth.is_growth(peak)
    assert not growth.is_growth({**peak, ELSEWHERE: {"day": "2024-06-01", "machine": {}}})


def test_a_spread_is_a_median_with_its_range() -> None:
    assert spread([3, 1, 2], str) == "2 (1 to 3)"
    assert spread([2], str) == "2"


def test_a_table_is_a_heading_a_rule_and_rows() -> None:
    assert table(["policy", "cost"], [["joint", "1"]]) == "| policy | cost |\n| --- | ---: |\n| joint | 1 |\n"


# --- waves ------------------------------------------------------------------------------------------------------


def run(
    policy: str, cost: int, bound: float = 0.0, *, seconds: float = 60.0, seed: int = 71, **more: Any
) -> dict[str, Any]:
    usual = {
        "policy": policy, "seconds": seconds, "seed": seed, "slice_lines": 0, "cost_cents": cost, "bound_cents": bound,
        "status": "optimal" if cost == bound else "feasible", "seconds_used": seconds, "peak_bytes": 3 * 2**28,
        "bare_bytes": 2**28, "reached": {}, "unavoidable_cents": 0,
    }  # fmt: skip
    return {**usual, **more}


def wave(
    size: str, *runs: dict[str, Any], regime: str = "peak", skipped: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "profile": "retail", "regime": regime, "capacity": False, "orders": waves.SIZES[size], "nodes": 200, "lines": 2,
        "options": 9, "runs": list(runs), "skipped": skipped or {},
    }  # fmt: skip


MEASURED = {
    "retail 100k peak plain": wave("100k", run("cheapest", 1_100, 800.0), run("joint", 1_000, 996.0)),
    "retail 3k peak plain": wave(
        "3k", run("cheapest", 1_100, 800.0), run("highs", 990, 980.0), run("joint", 1_000, 985.0)
    ),
}


def rows_of(page: str) -> dict[str, list[str]]:
    """The rows of tables by their first cell."""
    cells = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in page.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in cells}


def test_a_shortfall_is_called_one() -> None:
    rows = rows_of(targets.render({"waves": MEASURED}))
    assert rows["the same at a peak, 60 s"] == ["0.50 %", "0.25 %", "0.40 %", "reached"]
    assert rows["general-purpose runs not beaten, from 3k orders"] == ["0", "0", "1", "**shortfall**"]
    assert rows["100k clearance, 60 s"][-1] == "not measured"
    assert rows["the same at a peak, peak memory"][2] == "0.8 GiB"


def test_every_target_names_a_case_that_is_measured() -> None:
    everything = {case.name: wave("1k", run("joint", 1_000, 900.0, seconds=seconds)) | {"orders": waves.SIZES[case.size]}
                  for case in waves.CASES for seconds in case.seconds[:1]}  # fmt: skip
    everything["retail 100k clearance plain"]["runs"].append(run("joint", 1_000, 900.0, seconds=300.0))
    found = [
        target.measured({"waves": everything}) for target in targets.TARGETS if target.write is targets.figures.gap
    ]
    assert [number for number in found if number is not None] == pytest.approx([0.1] * 9)


def test_the_gap_is_from_the_best_bound_of_all() -> None:
    name = "retail 3k peak plain"
    rows = rows_of(waves_page.render({name: MEASURED[name]}, {}))
    assert rows["HiGHS, 60 s"][2:4] == ["1.01 %", "0.51 %"]
    assert rows["Cheapest"][:4] == ["11.00", "", "", "10.45 %"]


def test_what_is_left_out_says_why() -> None:
    given_up = {"cp_sat": "nothing better than cheapest at 3,000 orders"}
    measured = {"retail 10k peak plain": wave("10k", run("joint", 1_000, 990.0), skipped=given_up)}
    assert "CP-SAT is left out: nothing better than cheapest at 3,000 orders." in waves_page.render(measured, {})


def test_a_run_that_died_is_shown_as_such() -> None:
    dead = {"policy": "highs", "seconds": 60.0, "seed": 71, "slice_lines": 0, "failed": "ran out of memory"}
    measured = {"retail 3k peak plain": wave("3k", run("cheapest", 1_100), dead)}
    assert rows_of(waves_page.render(measured, {}))["HiGHS, 60 s"][0] == "ran out of memory"


def test_a_general_solver_that_gives_nothing_is_not_asked_at_larger_sizes() -> None:
    nothing = {"one": wave("3k", run("cheapest", 1_100), run("cp_sat", 1_100), run("highs", 1_000))}
    assert waves._ended(nothing, "retail") == {"cp_sat": "nothing better than cheapest at 3,000 orders (one)"}
    assert waves._ended(nothing, "grocery") == {}


def test_an_exponent_is_the_slope_of_the_logarithms() -> None:
    assert growth.exponent([(1_000, 2.0), (10_000, 20.0), (100_000, 200.0)]) == pytest.approx(1.0)
    assert growth.exponent([(1_000, 2.0), (100_000, 2.0 * 100**1.2)]) == pytest.approx(1.2)
    assert growth.exponent([(1_000, 2.0)]) is None


def test_growth_is_drawn_and_names_what_was_not_reached() -> None:
    measured = {
        f"retail {size} peak plain": wave(size, run("joint", 1_000, 999.0, reached={} if size == "300k" else {"0.005": seconds}))
        for size, seconds in (("1k", 1.0), ("10k", 10.0), ("300k", 0.0))
    }  # fmt: skip
    page = growth.render(measured)
    assert "Seconds to a gap of 0.5 %: grows as the 1.00th power of the orders (1,000: 1.00 s, 10,000: 10 s)" in page
    assert "Not reached at 300,000 orders" in page
    drawing = growth.picture(measured)
    assert drawing is not None
    assert drawing.startswith("<svg")
    assert len(drawing) < 100_000


def test_a_crossing_is_the_first_time_below_a_gap() -> None:
    times = iter((1.0, 2.0, 3.0, 4.0))
    now = [0.0]
    crossings = Crossings(lambda: now[0])
    for cost, bound in ((1_000.0, -math.inf), (1_000.0, 900.0), (1_000.0, 960.0), (1_000.0, 996.0)):
        now[0] = next(times)
        crossings.watch("", 0.0, cost, bound)
    assert crossings.first == {"0.05": 3.0, "0.02": 4.0, "0.01": 4.0, "0.005": 4.0}
