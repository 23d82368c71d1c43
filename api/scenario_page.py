"""The page that a comparison of scenarios leaves behind, and the files beside it."""

from pathlib import Path
from typing import Any

from api import figures, scenario_charts, scenarios
from api.outputs import write_text
from api.report import drawing, encoded, page, unbroken
from engine.calendar import MINUTES_PER_DAY, format_day
from engine.network import Network, Node
from scenarios import decisions
from scenarios.applying import apply
from scenarios.comparison import Comparison, Row
from scenarios.grids import Grid, Sweep
from simulation.tables import write_table
from solver.files import write_bytes

RUN_COLUMNS = {
    "scenario": "text",
    "policy": "text",
    "seed": "whole",
    "cost_cents": "whole",
    "orders": "whole",
    "units_ordered": "whole",
    "units_shipped": "whole",
    "parcels": "whole",
    "days": "real",
    "on_time_rate": "real",
    "split_rate": "real",
    "fill_rate": "real",
    "decisions": "text",
}


def write_scenarios(folder: Path, grid: Grid, done: Sweep, found: Comparison) -> Path:
    """Write `report.html`, `scenarios.json`, `runs.parquet`, `nodes.parquet` and the pictures; give the path of the page."""
    values = said(grid, found)
    for name in ("intervals", "pareto"):
        write_text(folder / f"{name}.svg", str(values[f"{name}_chart"]))
    for number, one in enumerate(values["maps"], start=1):
        write_text(folder / f"map-{number}.svg", str(one["drawing"]))
    write_bytes(folder / "scenarios.json", encoded(scenarios.as_json(grid, found)))
    _write_runs(folder, done)
    write_text(folder / "report.html", page("scenarios.html", values))
    return folder / "report.html"


def said(grid: Grid, found: Comparison) -> dict[str, Any]:
    """What the page says."""
    first, last = (format_day(at // MINUTES_PER_DAY) for at in (found.start, found.end))
    base = found.rows[0]
    labels = {
        (row.scenario, row.policy): row.scenario if len(grid.policies) == 1 else f"{row.scenario} ({row.policy})"
        for row in found.rows
    }
    return {
        "title": f"Scenarios of {grid.history.source}",
        "subject": f"{grid.history.source} · {first} to {last} · {len(found.seeds)} seeds",
        "headline": unbroken(decisions.summary(found)),
        "lead": "",
        "facts": [
            ("Baseline cost", figures.money(base.values["cost"])),
            ("Days to arrival", f"{base.values['days']:.2f}"),
            ("Orders on time", figures.percent(base.values["on_time"])),
            ("Orders split", figures.percent(base.values["split"])),
            ("Units filled", figures.percent(base.values["fill"])),
        ],
        "currency": grid.network.currency,
        "simulated": found.simulated,
        "intervals_chart": drawing(scenario_charts.intervals(found, labels)),
        "pareto_chart": drawing(scenario_charts.pareto(found, labels)),
        "pareto": unbroken(decisions.pareto(found)),
        "notes": [unbroken(note) for note in scenarios.notes(grid, found)],
        "tables": scenarios.tables(found),
        "maps": [map_of(grid, found, row) for row in found.scenarios],
        "hash": found.hash,
    }


def map_of(grid: Grid, found: Comparison, row: Row) -> dict[str, Any]:
    """The map of one scenario, why it was asked, what it changes, and what came of it."""
    scenario = next(one for one in grid.scenarios if one.name == row.scenario)
    plain = scenarios.as_plain(scenario)["changes"]
    nodes, known = _nodes(grid, row), {node.id for node in grid.network.nodes}
    return {
        "name": row.scenario if len(grid.policies) == 1 else f"{row.scenario}, {figures.policy_name(row.policy)}",
        "why": row.why,
        "changes": [" ".join([c["verb"], *(f"{k} = {v}" for k, v in c.items() if k != "verb")]) for c in plain],
        "decision": unbroken(decisions.decision(found, row)),
        "drawing": drawing(scenario_charts.before_and_after(nodes, {node.id for node in nodes} - known, row)),
    }


def _nodes(grid: Grid, row: Row) -> list[Node]:
    """The nodes of the network, those that the scenario adds included."""
    scenario = next(one for one in grid.scenarios if one.name == row.scenario)
    after: Network = grid.network
    if any(change.verb == "open_node" for change in scenario.changes):
        after = apply(scenario, grid.placed(grid.seeds[0])).network
    return list(after.nodes)


def _write_runs(folder: Path, done: Sweep) -> None:
    """One row for each replay, with the cost by term; and one for each node that shipped in it."""
    terms = list(done.outcomes[0].bill)
    columns: dict[str, Any] = {name: [getattr(one, name) for one in done.outcomes] for name in RUN_COLUMNS}
    columns |= {f"{term}_cents": [one.bill[term] for one in done.outcomes] for term in terms}
    write_table(folder / "runs.parquet", columns, RUN_COLUMNS | {f"{term}_cents": "whole" for term in terms})
    rows = [(o.scenario, o.policy, o.seed, node, n) for o in done.outcomes for node, n in o.node_units.items()]
    kinds = {"scenario": "text", "policy": "text", "seed": "whole", "node": "text", "units": "whole"}
    by_name: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(kinds)}
    write_table(folder / "nodes.parquet", by_name, kinds)
