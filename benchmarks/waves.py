"""Policies on one wave: what each costs beside `joint`, how far from optimal it can be, and how long it takes."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from api import figures
from api.compare import USUAL, compare
from benchmarks.outside import WaveMaker, example_waves
from benchmarks.reading import measured_apart
from benchmarks.results import Say, spread, table
from simulation.synthetic import make_retail_day
from solver.effort import Effort
from solver.problem import Problem
from solver.wave import Wave, load, problem_of, write_wave

CP_SAT = "cp_sat"
Make = Callable[[int, int], Wave]
"""From orders and a seed to a wave."""


@dataclass(frozen=True)
class Settings:
    """How waves are measured.

    Attributes
    ----------
    sizes
        Orders of the waves that are made.
    cover
        Units in stock over units asked for.
    seeds
        Waves of each size; the seed is also that of the policies.
    seconds
        Time limit of `joint` and of `cp_sat`, each.
    cp_sat_orders
        The largest wave that `cp_sat` is given.
    example_orders
        The largest example that is solved.
    read_orders
        Orders of the wave that is only read.
    """

    sizes: tuple[int, ...] = (300, 1000, 3000)
    warehouses: int = 20
    stores: int = 180
    cover: float = 4.0
    seeds: int = 3
    seconds: float = 60.0
    cp_sat_orders: int = 300
    example_orders: int = 10_000
    read_orders: int = 100_000


QUICK = Settings(
    sizes=(40,), warehouses=2, stores=10, seeds=2, seconds=2.0, cp_sat_orders=40, example_orders=60, read_orders=500
)


def measure(settings: Settings, say: Say) -> dict[str, Any]:
    """Measure made waves, the examples with known optima, and reading."""
    make, source = maker(settings)
    say("compiling")
    compare(problem_of(make_retail_day(20, 4, 0)), USUAL, Effort(seconds=5.0), 0)
    made = []
    for orders in settings.sizes:
        for seed in range(1, settings.seeds + 1):
            problem = problem_of(make(orders, seed))
            say(f"{orders:,} orders, seed {seed}")
            made.append({"orders": orders, "seed": seed, **size_of(problem), "rows": rows_of(problem, settings, seed)})
    return {
        "source": source,
        "made": made,
        "examples": list(examples(settings, say)),
        "reading": reading(make, settings, say),
    }


def maker(settings: Settings) -> tuple[Make, str]:
    """What makes waves, and its name: the public maker, or ours where that is absent."""
    try:
        public = WaveMaker()
    except FileNotFoundError as absent:
        nodes = settings.stores + settings.warehouses
        return (
            lambda orders, seed: make_retail_day(orders, nodes, seed, cover=settings.cover),
            f"`simulation.synthetic.make_retail_day` ({absent})",
        )
    return (
        lambda orders, seed: public.make(orders, settings.stores, settings.warehouses, settings.cover, seed),
        "`make_wave.py`, retail profile",
    )


def rows_of(problem: Problem, settings: Settings, seed: int) -> list[dict[str, Any]]:
    """Run every policy on a problem; each plan is read by the checker, and measured from the best bound of all."""
    names = (*USUAL, CP_SAT) if problem.orders <= settings.cp_sat_orders else USUAL
    return [asdict(row) for row in compare(problem, names, Effort(seconds=settings.seconds), seed).rows]


def size_of(problem: Problem) -> dict[str, int]:
    """How large a problem is."""
    return {"lines": problem.lines, "nodes": problem.nodes, "options": len(problem.option_node)}


def examples(settings: Settings, say: Say) -> Iterator[dict[str, Any]]:
    """Solve the example waves whose optimum is known."""
    listed = example_waves() / "optima.csv"
    if not listed.is_file():
        say("examples skipped: there is no shared/wave/examples/optima.csv beside the project")
        return
    with listed.open(newline="") as file:
        for line in csv.DictReader(file):
            path = example_waves() / f"{line['wave']}.json.gz"
            if int(line["orders"]) <= settings.example_orders and path.is_file():
                say(f"example {line['wave']}")
                rows = rows_of(load(path), settings, 0)
                yield {"wave": line["wave"], "optimum_cents": int(line["optimum_cents"]), "rows": rows}


def reading(make: Make, settings: Settings, say: Say) -> dict[str, Any]:
    """Read a large wave in a process of its own."""
    say(f"making a wave of {settings.read_orders:,} orders to read")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "wave.json"
        write_wave(path, make(settings.read_orders, 1))
        say("reading it")
        return measured_apart(path)


def render(measured: dict[str, Any]) -> str:
    """Show what was measured."""
    parts = [
        f"Waves by {measured['source']}. Figures are medians over seeds, with their range. *Over joint* is taken wave "
        "by wave; the gap is measured from the best bound that any policy proved on that wave.\n"
    ]
    for orders in sorted({one["orders"] for one in measured["made"]}):
        alike = [one for one in measured["made"] if one["orders"] == orders]
        first = alike[0]
        parts.append(
            f"### {orders:,} orders\n\n{first['nodes']:,} nodes; the first wave has {first['lines']:,} lines and "
            f"{first['options']:,} options.\n\n{_side_by_side([one['rows'] for one in alike])}"
        )
    if measured["examples"]:
        parts.append(
            f"### Waves with known optima\n\nCost above the optimum, and seconds.\n\n{_optima(measured['examples'])}"
        )
    read = measured["reading"]
    parts.append(
        "### Reading\n\n"
        f"{read['orders']:,} orders with {read['lines']:,} lines, {read['nodes']:,} nodes and {read['options']:,} "
        f"options ({read['file_bytes'] / 1e6:,.1f} MB of JSON) become a problem in "
        f"{figures.duration(read['seconds'])}. The process peaks at {read['peak_bytes'] / 2**20:,.0f} MiB; before it "
        f"reads it holds {read['peak_before_bytes'] / 2**20:,.0f} MiB.\n"
    )
    return "\n".join(parts)


def _side_by_side(waves: list[list[dict[str, Any]]]) -> str:
    rows = []
    for name in [row["policy"] for row in waves[0]]:
        mine = [row for rows_of_wave in waves for row in rows_of_wave if row["policy"] == name]
        rows.append(
            [
                figures.policy_name(name),
                spread([row["cost_cents"] for row in mine], figures.money),
                "" if name == "joint" else spread([row["over_joint"] or 0.0 for row in mine], figures.more),
                spread([row["gap"] for row in mine], figures.gap),
                f"{sum(row['status'] == 'optimal' for row in mine)} of {len(mine)}",
                spread([row["parcels"] for row in mine], figures.whole),
                spread([row["seconds"] for row in mine], figures.duration),
            ]
        )
    return table(["policy", "cost", "over joint", "gap", "proven optimal", "parcels", "time"], rows)


def _optima(found: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(row["policy"] for one in found for row in one["rows"]))
    rows = []
    for one in found:
        by_name = {row["policy"]: row for row in one["rows"]}
        cells = [_above(by_name.get(name), one["optimum_cents"]) for name in names]
        rows.append([one["wave"], figures.money(one["optimum_cents"]), *cells])
    return table(["wave", "optimum", *map(figures.policy_name, names)], rows)


def _above(row: dict[str, Any] | None, optimum: int) -> str:
    if row is None:
        return ""
    above = "0" if row["cost_cents"] == optimum else f"{100 * (row['cost_cents'] - optimum) / optimum:+,.2f} %"
    return f"{above}, {figures.duration(row['seconds'])}"
