"""`allot scenario`: what-ifs beside the baseline, told on the terminal and left as files."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api import figures, options

scenario_app = typer.Typer(help="What-ifs: changes to a network or its history, replayed beside the baseline.")


@scenario_app.command("list")
def list_scenarios(
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """The scenarios that come with allot, usable by name."""
    from api import show
    from scenarios.scenario import library

    ready = library()
    if json:
        show.as_json([as_plain(scenario) for scenario in ready.values()])
        return
    width = max(len(name) for name in ready)
    for name, scenario in ready.items():
        show.line(f"{name:<{width}}  {scenario.why}")


@scenario_app.command("show")
def show_scenario(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the library, or a file.", show_default=False)],
) -> None:
    """The file of a scenario, to copy and change."""
    from api import show
    from scenarios.scenario import text_of

    for line in text_of(name).splitlines():
        show.line(line)


@scenario_app.command("run")
def run_scenarios(
    scenarios: Annotated[
        list[str], typer.Argument(metavar="SCENARIO...", help="Files, or names of the library.", show_default=False)
    ],
    history: Annotated[Path, typer.Option(metavar="HISTORY", help="History folder.", show_default=False)],
    network: Annotated[
        str, typer.Option(metavar="NET", help="Network file, or the example uk or us.", show_default=False)
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="NAME",
            help="How orders are decided, also by mine.py:spare, a file of your own; may be repeated. cheapest.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, metavar="K", help="Draws of what history and network leave open.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, max=2**31, metavar="NUMBER", help="The first of them.")] = 1,
    until: options.Until = None,
    every: options.When = "day",
    release_after: options.ReleaseAfter = 0,
    chance: options.Chances = None,
    time_limit: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="For each wave; 10 unless --work is given.")
    ] = None,
    work: Annotated[
        int | None, typer.Option(min=0, metavar="UNITS", help="Deterministic limit, the same on every machine.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, metavar="J", help="Processes; 0 for one on each core.")] = 0,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="A Dask scheduler, as tcp://host:8786, in place of them.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Leave report.html, scenarios.json, runs.parquet and pictures here.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Replay the baseline and every scenario under the same seeds, and compare them with intervals."""
    from api import compare, outputs, replays, show
    from api.progress import counting
    from scenarios.comparison import compare as compared
    from scenarios.grids import Grid, sweep
    from scenarios.scenario import scenarios_of
    from simulation.history import read_history

    asked, names = scenarios_of(scenarios), compare.known(policy or ["cheapest"], ahead=True)
    effort = options.effort_of(time_limit, work, usual=10.0)
    manner = replays.manner_of(effort, until, every, release_after, chance)
    if out is not None:
        outputs.check_folder(out)
    past, net = read_history(history), replays.network_of(network)
    grid = Grid(past, net, tuple(asked), names, tuple(range(seed, seed + seeds)), manner)
    with counting("replaying") as progress:
        progress("placing the history", 0, len(grid.cells))
        done = sweep(grid, jobs=jobs or os.cpu_count() or 1, cluster=cluster, progress=progress)
    found = compared(grid, done)
    if out is not None:
        from api.scenario_page import write_scenarios

        page = write_scenarios(outputs.make_folder(out), grid, done, found)
    if json:
        show.as_json(as_json(grid, found))
    else:
        tell(grid, found)
    if out is not None:
        typer.echo(f"allot: report written to {page}", err=True)


def as_plain(scenario: Any) -> dict[str, Any]:
    """A scenario as plain values, as its file has it."""
    import msgspec

    changes = [{"verb": c.verb, **msgspec.to_builtins(c.settings)} for c in scenario.changes]
    changes = [{key: value for key, value in change.items() if value is not None} for change in changes]
    return {"name": scenario.name, "why": scenario.why, "changes": changes}


def as_json(grid: Any, found: Any) -> dict[str, Any]:
    """A comparison as plain values: money in cents, differences of cost as a share of the baseline's."""
    from engine.calendar import format_minute
    from scenarios import decisions

    return {
        "format": "scenarios/1",
        "source": grid.history.source,
        "currency": grid.network.currency,
        "start": format_minute(found.start),
        "end": format_minute(found.end),
        "every": grid.manner.every,
        "wave_minute": grid.manner.wave_minute,
        "release_after": grid.manner.release_after,
        "chance": None if grid.manner.chance is None else chances(grid.manner.chance),
        "seeds": list(found.seeds),
        "seeds_matter": found.seeds_matter,
        "interval": "Student's t over paired differences, 95 %",
        "hash": found.hash,
        "simulated": list(found.simulated),
        "summary": decisions.summary(found),
        "pareto": decisions.pareto(found),
        "scenarios": [as_plain(scenario) for scenario in grid.scenarios],
        "rows": [
            asdict(row) | {"decision": None if row.is_baseline else decisions.decision(found, row)}
            for row in found.rows
        ],
    }


def chances(chance: Any) -> dict[str, Any]:
    """What is drawn how often; its seed is that of each replay."""
    return {name: value for name, value in asdict(chance).items() if name != "seed"}


def tell(grid: Any, found: Any) -> None:
    """Show a comparison as a table, its sentences, and what was drawn."""
    from api import show
    from scenarios import decisions

    for heading, rows in tables(found):
        table = show.grid(heading)
        for row in rows:
            table.add_row(*row)
        show.out().print(table)
        show.out().print()
    for row in found.scenarios:
        show.line(decisions.decision(found, row))
    show.line(decisions.pareto(found))
    for note in (*notes(grid, found), f"Amounts are in {grid.network.currency}."):
        show.line(note)
    for what in found.simulated:
        show.line(f"Simulated: {what}")


Tables = list[tuple[list[str], list[list[str]]]]


def tables(found: Any) -> Tables:
    """The comparison as text: what it comes to, and the cost by term."""
    from api.show import used_terms

    several = not found.one_policy

    def lead(row: Any) -> list[str]:
        return [row.scenario, *([figures.policy_name(row.policy)] if several else [])]

    first = ["scenario", *(["policy"] if several else [])]
    main = [
        [
            *lead(row),
            figures.money(row.values["cost"]),
            *difference(row),
            f"{row.values['days']:.2f}" if row.values["fill"] else "",
            figures.percent(row.values["on_time"]),
            figures.percent(row.values["split"]),
            figures.percent(row.values["fill"]),
        ]
        for row in found.rows
    ]
    terms = used_terms([{term: round(cents) for term, cents in row.bill.items()} for row in found.rows])
    bills = [[*lead(row), *(figures.money(row.bill.get(term, 0)) for term in terms)] for row in found.rows]
    return [
        ([*first, "cost", "over baseline", "from", "to", "days", "on time", "split", "filled"], main),
        ([*first, *(figures.term_name(term).lower() for term in terms)], bills),
    ]


def difference(row: Any) -> list[str]:
    """The difference of the cost and the ends of its interval, as text."""
    if row.is_baseline:
        return ["", "", ""]
    cost = row.differences["cost"]
    return [figures.more(cost.mean), figures.more(cost.low), figures.more(cost.high)]


def notes(grid: Any, found: Any) -> list[str]:
    """What has to be known to read the intervals, and when orders are decided."""
    when = decided(grid.manner)
    if len(found.seeds) == 1:
        return ["One seed: no intervals. --seeds 5 draws five times what history and network leave open.", when]
    text = f"{len(found.seeds)} seeds, the same for all: intervals are Student's t over paired differences, 95 %, each by itself."
    if found.seeds_matter:
        return [text, when]
    return [text, "The seeds draw nothing in the baseline: intervals tell only what scenarios draw.", when]


def decided(manner: Any) -> str:
    """When orders are decided, in a sentence."""
    usual = {"day": "once a day", "arrival": "as they arrive"}
    text = f"Orders are decided {usual.get(manner.every, f'every {manner.every} minutes')}"
    return text + (f", and anew by each wave for {manner.release_after} minutes." if manner.release_after else ".")
