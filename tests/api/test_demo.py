import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from api import demonstration
from solver.wave import Wave, read_wave

Run = Callable[..., Result]


@pytest.fixture
def small_day(wave: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(orders: int, nodes: int, seed: int) -> Wave:
        assert (orders, nodes, seed) == (2, 2, 5)
        return read_wave(wave)

    monkeypatch.setattr(demonstration, "make_retail_day", made)


@pytest.mark.usefixtures("small_day")
def test_the_demonstration_leaves_a_wave_a_plan_and_a_report(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    result = run("demo", "--out", out, "--orders", "2", "--nodes", "2", "--seed", "5")
    assert result.exit_code == 0, result.output
    left = ["compare.json", "cost.svg", "map.svg", "plan.json.gz", "report.html", "wave.json.gz"]
    assert sorted(path.name for path in out.iterdir()) == left
    assert f"Report: {out / 'report.html'}" in result.stdout
    assert "+167.2 %" in result.stdout
    assert [line[7:12] for line in result.stderr.splitlines() if "/4]" in line] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]


@pytest.mark.usefixtures("small_day")
def test_the_commands_that_the_demonstration_names_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("demo", "--orders", "2", "--nodes", "2", "--seed", "5").stdout
    commands = [line.strip() for line in said.splitlines() if line.startswith("  allot ")]
    assert commands
    for command in commands:
        assert run(*shlex.split(command)[1:]).exit_code == 0, command


def test_joint_beats_every_rule_on_a_made_up_day(tmp_path: Path) -> None:
    """The whole way, with the policies as they are."""
    from typer.testing import CliRunner

    from api.cli import app

    command = ["demo", "--out", str(tmp_path), "--orders", "150", "--nodes", "10", "--time-limit", "10"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    costs = {
        row["policy"]: row["cost_cents"] for row in json.loads((tmp_path / "compare.json").read_text())["policies"]
    }
    assert costs["joint"] == min(costs.values())
