"""Policies over months: the UCI history on the example `uk` network, replayed under each of them."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from api import figures
from api.replays import row_of
from benchmarks.outside import uci_file
from benchmarks.results import Say, table
from engine.calendar import MINUTES_PER_DAY, format_day, parse_day
from simulation.importers import uci
from simulation.networks import example
from simulation.placing import Placed, place
from simulation.replay import replay_placed
from simulation.run import Run
from simulation.synthetic import make_retail_day
from solver import policies
from solver.effort import Effort
from solver.wave import problem_of

TOLD_EVERY = 25
"""Waves between two messages."""


@dataclass(frozen=True)
class Settings:
    """How a history is replayed.

    Attributes
    ----------
    seconds
        Time limit of the policy for each wave.
    seed
        Of what history and network leave open, and of the policies.
    until
        The last day, as `2011-01-31`; empty for all of the history.
    """

    policies: tuple[str, ...] = ("nearest", "cheapest", "joint")
    seconds: float = 10.0
    seed: int = 0
    until: str = ""


QUICK = Settings(seconds=1.0, until="2010-12-03")


def skipped() -> str:
    """Why the replay cannot be measured here; empty where it can."""
    return "" if uci_file() else "there is no uci_online_retail in the data folder; ALLOT_DATA names the folder"


def measure(settings: Settings, say: Say) -> dict[str, Any]:
    """Import and place the history once, and replay it under each policy."""
    source = uci_file()
    assert source is not None, "the caller asks first whether the data are there"
    say(f"reading {source.name}")
    began = perf_counter()
    imported = uci.read(source)
    import_seconds = perf_counter() - began
    placed = place(imported.history, example("uk"), settings.seed)
    say("compiling")
    for name in settings.policies:
        policies.make(name, Effort(seconds=5.0))(problem_of(make_retail_day(20, 4, 0)))
    runs = [_run(placed, name, settings, say) for name in settings.policies]
    joint = next((run for run in runs if run.policy == "joint"), None)
    return {
        "source": placed.history.source,
        "rows": imported.rows,
        "rows_dropped": imported.dropped.summary(),
        "import_seconds": import_seconds,
        "orders": runs[0].orders,
        "lines": runs[0].lines,
        "units": runs[0].units_ordered,
        "first_day": format_day(runs[0].start // MINUTES_PER_DAY),
        "last_day": format_day(runs[0].end // MINUTES_PER_DAY),
        "currency": runs[0].currency,
        "simulated": list(placed.simulated),
        "runs": [_measured(run, joint) for run in runs],
    }


def _run(placed: Placed, name: str, settings: Settings, say: Say) -> Run:
    def progress(done: int, waves: int, day: str) -> None:
        if done % TOLD_EVERY == 0:
            say(f"{name}: wave {done} of {waves}, {day}")

    return replay_placed(
        placed,
        policies.make(name, Effort(seconds=settings.seconds), settings.seed),
        name=name,
        until=parse_day(settings.until) if settings.until else None,
        timer=perf_counter,
        progress=progress,
    )


def _measured(run: Run, joint: Run | None) -> dict[str, Any]:
    row = row_of(run, joint)
    return {
        **run.to_dict(),
        "over_joint": row.over_joint,
        "wave_gap_median": median(run.waves.gap.tolist()),
        "wave_gap_most": max(run.waves.gap.tolist()),
        "wave_seconds_median": median(run.waves.seconds.tolist()),
        "wave_seconds_most": max(run.waves.seconds.tolist()),
        "wave_orders_median": median(run.waves.orders.tolist()),
    }


def render(measured: dict[str, Any], _settings: dict[str, Any]) -> str:
    """Show the policies side by side: one measure to a row."""
    runs = measured["runs"]
    terms = [term for term in runs[0]["bill"] if any(run["bill"][term] for run in runs)]
    lines: list[tuple[str, list[str]]] = [
        (f"cost, {measured['currency']}", [figures.money(run["cost_cents"]) for run in runs]),
        ("over joint", ["" if run["policy"] == "joint" else figures.more(run["over_joint"]) for run in runs]),
        *((f"of it {figures.term_name(t).lower()}", [figures.money(run["bill"][t]) for run in runs]) for t in terms),
        ("parcels", [figures.whole(run["parcels"]) for run in runs]),
        ("units filled", [figures.percent(run["fill_rate"]) for run in runs]),
        ("orders in more than one parcel", [figures.percent(run["split_rate"]) for run in runs]),
        ("orders on time and whole", [figures.percent(run["on_time_rate"]) for run in runs]),
        ("waves", [figures.whole(run["waves"]) for run in runs]),
        ("open orders of a wave, median", [figures.whole(run["wave_orders_median"]) for run in runs]),
        ("gap of a wave, median", [figures.gap(run["wave_gap_median"]) for run in runs]),
        ("gap of a wave, largest", [figures.gap(run["wave_gap_most"]) for run in runs]),
        ("time of a wave, median", [figures.duration(run["wave_seconds_median"]) for run in runs]),
        ("time of a wave, longest", [figures.duration(run["wave_seconds_most"]) for run in runs]),
        ("time of the run", [figures.duration(run["seconds"]) for run in runs]),
        ("decisions", [f"`{run['decisions'][:12]}`" for run in runs]),
    ]
    heading = ["", *(figures.policy_name(run["policy"]) for run in runs)]
    drawn = "".join(f"- {what}\n" for what in measured["simulated"])
    return (
        f"{measured['source']}, {measured['first_day']} to {measured['last_day']}: {measured['orders']:,} orders, "
        f"{measured['lines']:,} lines, {measured['units']:,} units, on the example `uk` network. Reading "
        f"{measured['rows']:,} rows took {figures.duration(measured['import_seconds'])}.\n\n"
        f"{table(heading, [[name, *cells] for name, cells in lines])}\n"
        "The gap of a wave is that of its own objective, in which waiting costs what it is expected to cost; it is no "
        f"gap of the run. Drawn or assumed, the same for every policy:\n\n{drawn}"
    )


__all__ = ["QUICK", "Settings", "measure", "render", "skipped"]
