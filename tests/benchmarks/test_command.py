"""The benchmarks from the command line, tiny, with waves of our own making in place of the public maker's."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from benchmarks import __main__ as command
from benchmarks import over_time, waves
from benchmarks.apart import Request, run_apart
from benchmarks.columns import write_columns
from simulation.synthetic import make_retail_day
from solver.refusal import Refusal
from solver.wave import Wave, problem_of
from tests.worlds import delivery, line, node, world


class Maker:
    """Makes small retail days whatever is asked."""

    def make(self, orders: int, stores: int, warehouses: int, cover: float = 4.0, seed: int = 1, **_: Any) -> Wave:
        return make_retail_day(orders, stores + warehouses, seed, cover=cover)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.waves.WaveMaker", Maker)
    monkeypatch.setattr("benchmarks.sliced.WaveMaker", Maker)
    monkeypatch.setattr("benchmarks.waves.examples", lambda: iter(()))


@pytest.mark.usefixtures("made")
def test_a_quick_run_leaves_a_page_of_every_policy(tmp_path: Path) -> None:
    words = waves.QUICK_CASES[0].name.replace(" ", ",")
    assert command.main(["waves", "--quick", "--only", words, "--out", str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "results.json").read_text())["waves"]["measured"]
    runs = kept[waves.QUICK_CASES[0].name]["runs"]
    assert [run["policy"] for run in runs] == ["nearest", "fewest_parcels", "cheapest", "cp_sat", "highs", "joint"]
    assert all(run["columns_bytes"] <= run["peak_bytes"] for run in runs)
    assert "## Waves" in (tmp_path / "results.md").read_text()
    # other limits are other settings: they may not stand in one table
    assert command.main(["waves", "--quick", "--only", words, "--seconds", "1", "--out", str(tmp_path)]) == 2
    # what is there is not measured again
    assert command.main(["waves", "--quick", "--only", words, "--resume", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "results.json").read_text())["waves"]["measured"] == kept


@pytest.mark.usefixtures("made")
def test_slices_are_measured_beside_the_whole(tmp_path: Path) -> None:
    assert command.main(["sliced", "--quick", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "results.md").read_text()
    assert "in slices" in page
    assert "whole" in page


def test_what_cannot_be_measured_is_skipped_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALLOT_DATA", str(tmp_path))
    assert command.main(["yardsticks", "--quick", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "yardsticks skipped: there is no benchmarks/gap in the data folder" in said
    assert "nothing was measured; benchmarks/README.md says what each benchmark needs" in said


@pytest.mark.usefixtures("made")
def test_words_that_name_nothing_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["waves", "--quick", "--only", "retail,9k", "--out", str(tmp_path)]) == 0
    assert "waves has no piece whose name has the words retail, 9k" in capsys.readouterr().err


def test_a_run_that_dies_is_told_and_stops_nothing(tmp_path: Path) -> None:
    columns = tmp_path / "columns.npz"
    write_columns(columns, problem_of(world([node("A")], [delivery("O", line("x"))], {("A", "x"): 1})))
    assert "no_such_policy" in run_apart(columns, Request("no_such_policy", 1.0, 0))["failed"]


def test_unavoidable_is_the_cheapest_of_what_is_short() -> None:
    """Five units of x asked for, two there: three stay open, the cheapest first; y is there."""
    orders = [
        delivery("O", line("x", 2, unfilled=900), line("y", unfilled=50)),
        delivery("P", line("x", 1, unfilled=300)),
        delivery("Q", line("x", 2, unfilled=500)),
    ]
    wave = world([node("A"), node("B", 1)], orders, {("A", "x"): 1, ("B", "x"): 1, ("A", "y"): 1})
    assert waves.unavoidable_cents(problem_of(wave)) == 300 + 2 * 500


MINE = """
from solver import Effort, Plan, Problem, make

def mine(problem: Problem, effort: Effort, seed: int) -> Plan:
    return make("cheapest", effort, seed)(problem)
"""


def test_a_policy_in_a_file_sits_the_exam_beside_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(over_time, "AHEAD", ("primal_dual",))
    (tmp_path / "cheap.py").write_text(MINE)
    assert command.main(["policies", "--quick", "--policy", "cheap.py", "--policy", "bid_price:days=2"]) == 0
    told = capsys.readouterr().out
    runs = json.loads(Path("out/benchmarks/results.json").read_text())["over_time"]["measured"]["made up 0"]["runs"]
    assert list(runs) == [
        *("nearest", "cheapest", "joint", "primal_dual", "cheap.mine", "bid_price:days=2", "clairvoyant")
    ]
    assert runs["cheap.mine"]["decisions"] == runs["cheapest"]["decisions"]
    assert told in Path("out/benchmarks/results.md").read_text() + "\n"
    assert "| `cheap.mine` |" in told
    assert "cheap.mine" in Path("out/benchmarks/over_time.svg").read_text()


@pytest.mark.parametrize("what", [["waves"], []])
def test_a_policy_for_a_benchmark_that_takes_none_is_refused(
    what: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main([*what, "--policy", "mine.py"])
    assert "--policy: is for `policies`" in capsys.readouterr().err


def test_a_policy_that_is_not_there_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"none\.py: no such file"):
        command.main(["policies", "--quick", "--policy", "none.py", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_allot_bench_reaches_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    class Found:
        def load(self) -> Any:
            return lambda arguments: asked.append(arguments) or 0

    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [Found()])
    assert CliRunner().invoke(app, ["bench", "waves", "--quick"]).exit_code == 0
    assert asked == [["waves", "--quick"]]


def test_allot_bench_without_benchmarks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: [])
    assert CliRunner().invoke(app, ["bench"]).exit_code == 2


def test_the_entry_point_names_the_command() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parent.parent.parent / "pyproject.toml").read_text())["project"]
    named = project["entry-points"]["allot.commands"]["bench"]
    assert EntryPoint("bench", named, "allot.commands").load() is command.main
