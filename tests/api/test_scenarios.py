"""What-ifs on the command line: from a CSV of orders to a decision and a page."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner, Result

from api.cli import app

Run = Callable[..., Result]

ORDERS = "order,placed_at,sku,qty,unit_price_cents,lat,lon\n" + "".join(
    f"{i},2024-05-{1 + i // 4:02} 10:00,{'kettle' if i % 3 else 'cup'},{1 + i % 2},2500,{51.5 + i % 4},{-0.1 - i % 3}\n"
    for i in range(24)
)
MINE = 'name = "mine"\nwhy = "What is Cardiff worth?"\n[[changes]]\nverb = "close_node"\nnode = "ST-CARDIFF"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a history of six days, and a scenario."""
    made = tmp_path_factory.mktemp("what-if")
    (made / "orders.csv").write_text(ORDERS)
    (made / "mine.toml").write_text(MINE)
    done = call("import", "csv", made / "orders.csv", "--currency", "GBP", "--out", made / "history")
    assert done.exit_code == 0, done.output
    return made


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"ALLOT_DEBUG": ""})


def run(folder: Path, *arguments: str | Path) -> Result:
    usual = ("--history", folder / "history", "--network", "uk", "--jobs", "1", "--seeds", "3")
    return call("scenario", "run", *usual, *arguments)


def test_the_library_is_listed_with_its_questions() -> None:
    listed = call("scenario", "list")
    assert listed.exit_code == 0
    assert "pickup-20" in listed.stdout
    assert all(re.fullmatch(r"\S+ +.+", line) for line in listed.stdout.splitlines())
    ready = {one["name"]: one for one in json.loads(call("scenario", "list", "--json").stdout)}
    assert (
        ready["surcharge-150"]["changes"][0] | {"verb": "surcharge", "cents": 150}
        == ready["surcharge-150"]["changes"][0]
    )


def test_a_ready_scenario_is_shown_as_a_file_to_copy(folder: Path) -> None:
    shown = call("scenario", "show", "pickup-20").stdout
    assert 'verb = "pickup_share"' in shown
    copy = folder / "copy.toml"
    copy.write_text(shown.replace("pickup-20", "copy"))
    assert call("scenario", "show", copy).stdout == copy.read_text()


def test_two_scenarios_are_compared_on_the_terminal_and_left_as_files(folder: Path) -> None:
    out = folder / "report"
    done = run(folder, folder / "mine.toml", "rate-card-up-8", "--out", out)
    assert (done.exit_code, done.stderr) == (0, f"allot: report written to {out / 'report.html'}\n")
    table = done.stdout.splitlines()
    assert [line.split()[0] for line in table[:4]] == ["scenario", "baseline", "mine", "rate-card-up-8"]
    assert re.search(r"^rate-card-up-8 costs [\d.]+ % more \(\+[\d.]+ to \+[\d.]+\)", done.stdout, re.MULTILINE)
    assert "Simulated: network: an example" in done.stdout
    told = json.loads((out / "scenarios.json").read_text())
    assert [row["scenario"] for row in told["rows"]] == ["baseline", "mine", "rate-card-up-8"]
    runs = duckdb.sql(f"SELECT scenario, seed, cost_cents FROM '{out / 'runs.parquet'}' ORDER BY ALL").fetchall()
    assert len(runs) == 9
    mean = sum(cents for name, _, cents in runs if name == "mine") / 3
    assert told["rows"][1]["values"]["cost"] == pytest.approx(mean)
    units = duckdb.sql(
        f"SELECT sum(units) FROM '{out / 'nodes.parquet'}' WHERE node = 'ST-CARDIFF' AND scenario = 'mine'"
    )
    assert units.fetchall()[0][0] is None


def test_the_page_opens_offline_with_maps_and_a_decision(folder: Path) -> None:
    out = folder / "page"
    assert run(folder, folder / "mine.toml", "--out", out).exit_code == 0
    page = (out / "report.html").read_text()
    assert re.findall(r"https?://(?!www\.w3\.org/)", page) == []
    assert re.findall(r"@import|url\(|<script|<link|<iframe", page) == []
    assert "Nodes before and after: mine" in page
    assert "ST-LONDON" in page
    assert "What is Cardiff worth?" in page
    assert {path.name for path in out.iterdir()} == {
        "report.html", "scenarios.json", "runs.parquet", "nodes.parquet", "intervals.svg", "pareto.svg", "map-1.svg",
    }  # fmt: skip


def test_the_same_grid_has_the_same_hash(folder: Path) -> None:
    first, second = (json.loads(run(folder, "pickup-20", "--json").stdout)["hash"] for _ in range(2))
    assert first == second


def test_scenarios_are_told_of_time_and_chance_as_a_replay_is(folder: Path) -> None:
    chosen = ("--policy", "bid_price:days=2", "--every", "120", "--release-after", "240", "--chance", "refuse=0.2")
    done = run(folder, "nearest-rule", *chosen)
    assert done.exit_code == 0, done.stderr
    assert re.search(r"^nearest-rule ", done.stdout, re.MULTILINE)
    assert "Orders are decided every 120 minutes, and anew by each wave for 240 minutes." in done.stdout
    assert "Simulated: refusals by stores: drawn for each by chance, 20 %" in done.stdout
    told = json.loads(run(folder, "nearest-rule", *chosen, "--json").stdout)
    assert (told["every"], told["release_after"], told["chance"]["refuse"]) == (120, 240, 0.2)
    alone = call("replay", folder / "history", "--network", "uk", "--seed", "1", *chosen, "--json")
    costs = duckdb_costs(folder, "nearest-rule", *chosen)
    assert json.loads(alone.stdout)["rows"][0]["cost_cents"] == costs["baseline", 1]


def duckdb_costs(folder: Path, *arguments: str) -> dict[tuple[str, int], int]:
    """What each replay cost, by scenario and seed."""
    out = folder / "costs"
    assert run(folder, *arguments, "--out", out).exit_code == 0
    rows = duckdb.sql(f"SELECT scenario, seed, cost_cents FROM '{out / 'runs.parquet'}'").fetchall()
    return {(name, seed): cents for name, seed, cents in rows}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pickup-20", "--policy", "bid_price:dayz=2"], "settings of bid_price: Object contains unknown field `dayz`"),
        (["pickup-20", "--every", "hour"], "--every: 'hour' is not arrival, day, or minutes"),
        (["pickup-20", "--chance", "refuses=0.2"], "--chance: refuses: is no chance; there are short_pick, refuse"),
        (["pickup-20", "--chance", "refuse=2"], "--chance: refuse: 2.0 is not from 0 to 1"),
        (["pickup-20", "--chance", "refuse=often"], "--chance: refuse: 'often' is not a number"),
        (["pickup-20", "--until", "2024-04-30"], "--until: 2024-04-30 is before the first wave"),
        (["pickup-21"], "pickup-21: is neither a file nor in the library; did you mean 'pickup-20'?"),
        (["us-close-reno"], "us-close-reno.toml: changes[0].node: 'WH-RENO' is not a node of this network"),
        (["pickup-20", "pickup-20"], "'pickup-20' is the name of another scenario too"),
        (["pickup-20", "--policy", "psychic"], "'psychic' is not a policy"),
        (["pickup-20", "--jobs", "-1"], "'--jobs'"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(folder: Path, arguments: list[str], says: str) -> None:
    out = folder / "nothing"
    done = run(folder, *arguments, "--out", out)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert says in done.stderr
    assert not out.exists()
