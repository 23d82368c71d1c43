import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from solver import policies
from solver.effort import Effort, Policy, Watch, unwatched
from solver.plan import Plan, empty_plan
from solver.problem import Problem

Run = Callable[..., Result]

ORDERS = """order,placed_at,sku,qty,unit_price_cents,lat,lon
1,2024-05-01 10:00,kettle,1,2500,51.5,-0.1
2,2024-05-02 11:30,cup,2,400,53.4,-2.2
3,2024-05-02 12:30,kettle,1,2500,52.5,-1.9
"""
CALLED_OFF = [("2024-05-01T10:01", 1, 1), ("2024-05-02T11:31", 2, 2), ("2024-05-02T12:31", 3, 1)]


def keep_everything(problem: Problem) -> Plan:
    """The plainest policy: nothing is shipped, and nothing proven."""
    return empty_plan(problem, int((problem.line_qty * problem.line_unfilled_cents).sum()), 0.0)


@pytest.fixture
def history(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three orders on two days; every policy keeps everything."""

    def make(name: str, effort: Effort | None = None, seed: int = 0, watch: Watch = unwatched) -> Policy:
        return keep_everything

    monkeypatch.setattr(policies, "make", make)
    (tmp_path / "orders.csv").write_text(ORDERS)
    done = run("import", "csv", tmp_path / "orders.csv", "--currency", "GBP", "--out", tmp_path / "history")
    assert done.exit_code == 0, done.output
    return tmp_path / "history"


def test_policies_are_replayed_side_by_side(run: Run, history: Path) -> None:
    result = run("replay", history, "--network", "uk", "--policy", "nearest", "--policy", "joint", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert [row["policy"] for row in answer["rows"]] == ["nearest", "joint"]
    assert answer["orders"] == 3
    assert {row["over_joint"] for row in answer["rows"]} == {0.0}
    for row in answer["rows"]:
        assert sum(row["bill"].values()) == row["cost_cents"]
        assert sum(day["cost_cents"] for day in row["days"]) == row["cost_cents"]


def test_a_replay_says_what_was_simulated_wherever_it_is_read(run: Run, history: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    result = run("replay", history, "--network", "uk", "--policy", "joint", "--out", out)
    assert (result.exit_code, result.stderr) == (0, f"allot: report written to {out / 'report.html'}\n")
    label = "network: an example, its places and tariffs are made up"
    assert f"Simulated: {label}" in result.stdout
    assert label in json.loads((out / "replay.json").read_text())["simulated"]
    page = (out / "report.html").read_text()
    assert label in page
    assert "Simulated, not observed" in page


def test_the_page_of_a_replay_needs_no_network_and_no_script(run: Run, history: Path, tmp_path: Path) -> None:
    run("replay", history, "--network", "uk", "--policy", "nearest", "--policy", "joint", "--out", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert re.findall(r"""(?:src|href|data|action)\s*=\s*["']?\s*(?:https?:)?//""", page) == []
    assert re.findall(r"@import|url\(|<script|<link|<iframe", page) == []
    assert "Cumulative cost above joint" in page


def test_the_same_replay_decides_the_same(run: Run, history: Path) -> None:
    command = ("replay", history, "--network", "uk", "--policy", "joint", "--seed", "3", "--json")
    first, second = (json.loads(run(*command).stdout)["rows"][0] for _ in range(2))
    assert first["decisions"] == second["decisions"]


@pytest.mark.parametrize("every", ["arrival", "60"])
def test_a_day_of_many_decisions_is_one_day_of_the_report(run: Run, history: Path, every: str) -> None:
    command = ("replay", history, "--network", "uk", "--policy", "joint", "--until", "2024-05-02", "--json")
    result = run(*command, "--every", every, "--release-after", "120")
    assert (result.exit_code, result.stderr) == (0, "")
    row = json.loads(result.stdout)["rows"][0]
    assert row["waves"] > 2
    assert [day["day"] for day in row["days"]] == ["2024-05-01", "2024-05-02"]
    assert sum(day["cost_cents"] for day in row["days"]) == row["cost_cents"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--network", "atlantis"], "atlantis: no such file"),
        (["--network", "us"], "the history is in GBP, the network in USD"),
        (["--network", "uk", "--until", "soon"], "--until: 'soon' is not a day"),
        (["--network", "uk", "--until", "2024-04-30"], "2024-04-30 is before the first wave; the first order came on"),
        (["--network", "uk", "--policy", "psychic"], "'psychic' is not a policy"),
        (["--network", "uk", "--every", "hour"], "--every: 'hour' is not arrival, day, or minutes from 1 to 1440"),
        (["--network", "uk", "--policy", "bid_price:3"], "settings of bid_price: '3' is not like key=value"),
    ],
)
def test_what_cannot_be_replayed_is_refused_and_nothing_is_written(
    run: Run, history: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    result = run("replay", history, *options, "--out", tmp_path / "report")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert says in result.stderr
    assert not (tmp_path / "report").exists()


def test_a_history_of_no_orders_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order,placed_at,sku,qty\n1,never,mug,1\n")
    run("import", "csv", tmp_path / "orders.csv", "--currency", "GBP", "--out", tmp_path / "history")
    result = run("replay", tmp_path / "history", "--network", "uk")
    assert (result.exit_code, result.stderr) == (
        2,
        "allot: orders.csv: has no orders, so there is nothing to replay\n",
    )


@pytest.mark.parametrize("until", [[], ["--until", "2024-05-03"]])
def test_a_replay_in_which_nothing_is_decided_has_its_days_all_the_same(
    run: Run, history: Path, tmp_path: Path, until: list[str]
) -> None:
    """Everything is called off within a minute, before any wave has seen it."""
    told = [f"{at}Z,{order},0,{units}" for at, order, units in CALLED_OFF]
    (history / "cancellations.csv").write_text("\n".join(["at,order,line,units", *told]) + "\n")
    cover = json.loads((history / "history.json").read_text())
    cover["counts"]["cancellations"] = len(told)
    (history / "history.json").write_text(json.dumps(cover))
    out = tmp_path / "report"
    result = run("replay", history, "--network", "uk", "--policy", "nearest", "--json", "--out", out, *until)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["first_day"], answer["last_day"], answer["orders"]) == ("2024-05-01", "2024-05-01", 3)
    assert (answer["rows"][0]["cost_cents"], answer["rows"][0]["days"]) == (0, [])
