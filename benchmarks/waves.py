"""Policies on single waves: what each costs, how far from optimal it can be, how long it takes and what memory it needs."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.apart import Request, run_apart
from benchmarks.columns import write_columns
from benchmarks.outside import WaveMaker, example_waves
from benchmarks.reading import measured_apart
from benchmarks.results import Say
from solver.problem import Problem
from solver.wave import Wave, load, problem_of, write_wave

RULES = ("nearest", "fewest_parcels", "cheapest")
JOINT = "joint"
GENERAL = ("cp_sat", "highs")
"""General-purpose solvers on a model of the whole wave, begun from `cheapest`."""
REGIMES = {"usual": 10.0, "peak": 4.0, "clearance": 1.5}
"""Units in stock over the units that are asked for."""
SIZES = {"1k": 1_000, "3k": 3_000, "10k": 10_000, "100k": 100_000, "300k": 300_000}
CAPACITY, PICKUP, USUAL_PICKUP = 1.2, 0.3, 0.15
"""With capacities: parcels that the nodes can make over orders, and the share of orders that are collected."""

Piece = tuple[str, dict[str, Any]]
"""A name, and what was measured under it."""


@dataclass(frozen=True)
class Case:
    """One kind of wave, and who decides it for how long.

    Attributes
    ----------
    seconds
        Limits of `joint`, each a run of its own; the first is also that of the general-purpose solvers.
    seeds
        How many waves of this kind.
    general
        Whether the general-purpose solvers are asked too.
    rules
        The policies that decide order by order: only `cheapest` where all of them take minutes.
    """

    profile: str
    size: str
    regime: str
    capacity: bool = False
    seconds: tuple[float, ...] = (60.0,)
    seeds: int = 1
    general: bool = False
    rules: tuple[str, ...] = RULES

    @property
    def name(self) -> str:
        """The words by which a piece is chosen: `retail 100k peak plain`."""
        return f"{self.profile} {self.size} {self.regime} {'capacity' if self.capacity else 'plain'}"


def _cases() -> tuple[Case, ...]:
    """Small waves first. A size at which a general-purpose solver gives nothing ends it for all larger ones."""
    crossed = [(regime, capacity) for regime in REGIMES for capacity in (False, True)]
    small = [
        Case("retail", "1k", regime, capacity, (10.0,), seeds=3 if regime == "peak" else 1, general=True)
        for regime, capacity in crossed
    ]
    small += [
        Case(profile, "1k", regime, capacity, (10.0,), general=regime == "peak")
        for profile in ("electronics", "grocery", "wholesale")
        for regime, capacity in (("usual", False), ("peak", False), ("peak", True), ("clearance", False))
    ]
    middle = [Case("retail", "3k", "peak", capacity, general=True) for capacity in (False, True)]
    middle += [
        Case("retail", "10k", regime, capacity, (60.0,) if regime == "peak" else (30.0,), general=regime == "peak")
        for regime, capacity in crossed
    ]
    middle += [
        Case(profile, "10k", "peak", capacity, rules=("cheapest",))
        for profile in ("grocery", "wholesale")
        for capacity in (False, True)
    ]
    large = [
        Case("retail", "100k", "usual"),
        Case("retail", "100k", "peak"),
        Case("retail", "100k", "peak", capacity=True),
        Case("retail", "100k", "clearance", seconds=(60.0, 300.0)),
        Case("electronics", "100k", "peak"),
        Case("retail", "300k", "peak", seconds=(180.0,)),
    ]
    return (*small, *middle, *large)


CASES = _cases()


@dataclass(frozen=True)
class Settings:
    """How waves are measured.

    Attributes
    ----------
    first_seed
        Of the waves of a case; the others follow. It is also the seed of the policies.
    seconds
        Limit of time instead of that of each case.
    seeds
        Waves of each case, instead of what it says.
    orders
        Orders of every wave, instead of what its size says.
    example_seconds
        Limit of `joint` on a wave of known optimum.
    read_orders
        Orders of the wave that is only read.
    """

    stores: int = 180
    warehouses: int = 20
    first_seed: int = 71
    seconds: float | None = None
    seeds: int | None = None
    orders: int | None = None
    example_seconds: float = 20.0
    read_orders: int = 100_000


QUICK = Settings(stores=10, warehouses=3, seconds=2.0, seeds=1, orders=40, example_seconds=3.0, read_orders=500)
QUICK_CASES = (Case("retail", "1k", "peak", capacity=True, general=True),)
QUICK_EXAMPLES = ("retail_060_ample",)


def skipped() -> str:
    """Why waves cannot be measured here; empty where they can."""
    try:
        WaveMaker()
    except FileNotFoundError as absent:
        return str(absent)
    return ""


def measure(
    settings: Settings, wanted: Callable[[str], bool], say: Say, quick: bool, kept: dict[str, Any]
) -> Iterator[Piece]:
    """Measure the pieces that are wanted, one after the other.

    Parameters
    ----------
    kept
        What was measured before: where a general-purpose solver ended there, it is not asked again.
    """
    make, found = WaveMaker(), dict(kept)
    for case in QUICK_CASES if quick else CASES:
        if wanted(case.name):
            found[case.name] = _case(case, settings, make, _ended(found, case.profile), say)
            yield case.name, found[case.name]
    for name, path, optimum in examples():
        if wanted(f"example {name}") and (not quick or name in QUICK_EXAMPLES):
            say(f"example {name}")
            yield f"example {name}", _example(path, optimum, settings)
    if wanted("reading"):
        yield "reading", _reading(settings, make, say)


def _case(case: Case, settings: Settings, make: WaveMaker, ended: dict[str, str], say: Say) -> dict[str, Any]:
    """Run every policy on every wave of a case, each run in a process of its own."""
    found: dict[str, Any] = {
        "profile": case.profile, "regime": case.regime, "capacity": case.capacity,
        "orders": settings.orders or SIZES[case.size], "runs": [], "skipped": {},
    }  # fmt: skip
    limits = case.seconds if settings.seconds is None else (settings.seconds,)
    seeds = settings.seeds or case.seeds
    for seed in range(settings.first_seed, settings.first_seed + seeds):
        say(f"{case.name}: making wave {seed}")
        problem = problem_of(wave_of(case, settings, make, seed))
        if seed == settings.first_seed:
            found |= size_of(problem)
        with TemporaryDirectory() as folder:
            columns = Path(folder) / "columns.npz"
            write_columns(columns, problem)
            unavoidable = unavoidable_cents(problem)
            del problem
            for policy, seconds in _runs(case, limits):
                if policy in ended:
                    found["skipped"][policy] = ended[policy]
                    continue
                one = run_apart(columns, Request(policy, seconds, seed))
                found["runs"].append({**one, "unavoidable_cents": unavoidable})
                say(f"{case.name}: {told(one)}")
    return found


def _runs(case: Case, limits: tuple[float, ...]) -> list[tuple[str, float]]:
    runs = [(policy, limits[0]) for policy in case.rules]
    runs += [(policy, limits[0]) for policy in GENERAL if case.general]
    return runs + [(JOINT, seconds) for seconds in limits]


def _ended(kept: dict[str, Any], profile: str) -> dict[str, str]:
    """Which general-purpose solvers have ended on waves of a profile, and why: they gave nothing better than `cheapest`.

    The smallest retail waves are within reach of all; where time was too short there, that is no end.
    """
    ended: dict[str, str] = {}
    for name, one in kept.items():
        if one.get("profile") != profile or (profile == "retail" and (one["orders"] < SIZES["3k"] or one["capacity"])):
            continue
        start = {run["seed"]: run.get("cost_cents") for run in one["runs"] if run["policy"] == "cheapest"}
        for policy in GENERAL:
            runs = [run for run in one["runs"] if run["policy"] == policy]
            if runs and all(_is_nothing(run, start.get(run["seed"])) for run in runs):
                why = runs[0].get("failed", "nothing better than cheapest")
                ended.setdefault(policy, f"{why} at {one['orders']:,} orders ({name})")
    return ended


def _is_nothing(run: dict[str, Any], start: int | None) -> bool:
    """Whether a run gave no better plan than the one it began from."""
    return "failed" in run or (start is not None and run["cost_cents"] >= start)


def told(run: dict[str, Any]) -> str:
    """One run for people who wait."""
    if "failed" in run:
        return f"{run['policy']} {run['failed']}"
    gap = (run["cost_cents"] - run["bound_cents"]) / max(1, run["cost_cents"])
    return f"{run['policy']} {run['cost_cents']:,} gap {100 * gap:.2f} % in {run['seconds_used']:.1f} s"


def wave_of(case: Case, settings: Settings, make: WaveMaker, seed: int) -> Wave:
    """Make a wave of a case."""
    return make.make(
        orders=settings.orders or SIZES[case.size],
        stores=settings.stores,
        warehouses=settings.warehouses,
        profile=case.profile,
        cover=REGIMES[case.regime],
        capacity=CAPACITY if case.capacity else 0.0,
        pickup=PICKUP if case.capacity else USUAL_PICKUP,
        seed=seed,
    )


def size_of(problem: Problem) -> dict[str, int]:
    """How large a problem is."""
    return {
        "nodes": problem.nodes,
        "lines": problem.lines,
        "skus": len(problem.sku_id),
        "options": len(problem.option_node),
    }


def unavoidable_cents(problem: Problem) -> int:
    """What must stay open because there is less of a SKU than is asked for: its cheapest units, whatever else is done."""
    stock = np.zeros(len(problem.sku_id), dtype=np.int64)
    held = problem.row_sku >= 0
    np.add.at(stock, problem.row_sku[held], problem.row_limit[held])
    asked = np.bincount(problem.line_sku, problem.line_qty, minlength=len(stock)).astype(np.int64)
    short = np.maximum(0, asked - stock)
    lines = np.lexsort((problem.line_unfilled_cents, problem.line_sku))
    lines = lines[short[problem.line_sku[lines]] > 0]
    sku, qty = problem.line_sku[lines], problem.line_qty[lines]
    before = np.cumsum(qty) - qty
    starts = np.concatenate([[True], np.diff(sku) > 0])[: len(sku)]
    before -= np.maximum.accumulate(np.where(starts, before, 0))
    units = np.clip(short[sku] - before, 0, qty)
    return int((units * problem.line_unfilled_cents[lines]).sum())


def examples() -> Iterator[tuple[str, Path, int]]:
    """The example waves whose optimum is known: name, file, cents."""
    listed = example_waves() / "optima.csv"
    if listed.is_file():
        with listed.open(newline="") as file:
            for line in csv.DictReader(file):
                path = example_waves() / f"{line['wave']}.json.gz"
                if path.is_file():
                    yield line["wave"], path, int(line["optimum_cents"])


def _example(path: Path, optimum: int, settings: Settings) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        columns = Path(folder) / "columns.npz"
        write_columns(columns, load(path))
        run = run_apart(columns, Request(JOINT, settings.example_seconds, settings.first_seed))
    return {"optimum_cents": optimum, "runs": [run]}


def _reading(settings: Settings, make: WaveMaker, say: Say) -> dict[str, Any]:
    """Read a large wave in a process of its own."""
    say(f"making a wave of {settings.read_orders:,} orders to read")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "wave.json"
        write_wave(
            path, make.make(settings.read_orders, settings.stores, settings.warehouses, seed=settings.first_seed)
        )
        say("reading it")
        return measured_apart(path)
