"""Classical problems with published optima: how far from them the solver's plans and bounds are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

from api import figures
from benchmarks.apart import Request, run_apart
from benchmarks.classics import Classic, read_gap, read_location
from benchmarks.columns import write_columns
from benchmarks.outside import data_folder
from benchmarks.results import Say, table
from benchmarks.waves import JOINT, Piece

LARGE = 200
"""Jobs from which an assignment problem counts towards the aim."""
TYPES = ("c", "d", "e")
SMALL = ("c0515_1", "c20100", "d10100", "e10100")
LOCATIONS = (
    ("orlib_small", 1), ("holmberg", 1), ("holmberg", 25), ("holmberg", 56), ("delmaire", 1), ("delmaire", 42),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How yardsticks are measured: the policy, its limit of time on each problem, its seed."""

    policy: str = JOINT
    seconds: float = 60.0
    seed: int = 1


QUICK = Settings(seconds=2.0)
QUICK_NAMES = ("gap c0515_1", "location delmaire p1")


def skipped() -> str:
    """Why yardsticks cannot be measured here; empty where they can."""
    absent = [folder for folder in ("gap", "sscflp") if not (data_folder() / "benchmarks" / folder).is_dir()]
    return f"there is no benchmarks/{absent[0]} in the data folder; ALLOT_DATA names the folder" if absent else ""


def measure(settings: Settings, wanted: Callable[[str], bool], say: Say, quick: bool = False) -> Iterator[Piece]:
    """Measure the problems that are wanted."""
    for name, read in problems(data_folder() / "benchmarks"):
        if wanted(name) and (not quick or name in QUICK_NAMES):
            classic = read()
            with TemporaryDirectory() as folder:
                columns = Path(folder) / "columns.npz"
                write_columns(columns, classic.problem)
                run = run_apart(columns, Request(settings.policy, settings.seconds, settings.seed))
            one = {
                "kind": classic.kind, "items": classic.items, "places": classic.places, "best": classic.best,
                "scale": classic.scale, "run": run,
            }  # fmt: skip
            say(f"{name}: {_told(one)}")
            yield name, one


def problems(folder: Path) -> Iterator[tuple[str, Callable[[], Classic]]]:
    """Name the problems, small ones first, and give what reads each."""
    best = published(folder / "gap" / "bounds.txt")
    large = [name for name in best if name[0] in TYPES and "_" not in name and int(name[3:]) >= LARGE]
    for name in (*SMALL, *sorted(large, key=lambda one: (int(one[3:]), one))):
        yield f"gap {name}", lambda name=name: read_gap(folder / "gap" / f"{name}.txt.gz", best[name])  # type: ignore[misc]
    for kind, number in LOCATIONS:
        yield f"location {kind} p{number}", lambda kind=kind, number=number: _location(folder, kind, number)  # type: ignore[misc]


def _location(folder: Path, kind: str, number: int) -> Classic:
    optima = (folder / "sscflp" / kind / "optimal_solutions.txt").read_text().split()
    return read_location(folder / "sscflp" / kind / f"p{number}.txt.gz", kind, float(optima[number - 1]))


def published(bounds: Path) -> dict[str, float]:
    """Read the best value that is known of each assignment problem at least cost."""
    rows = [line.split() for line in bounds.read_text().splitlines() if line.strip()]
    return {name.removesuffix("_Min"): float(upper) for name, _, upper in rows if name.endswith("_Min")}


def deviation(one: dict[str, Any]) -> float:
    """How far above the best published value the plan is, as a share of it."""
    return float(one["run"]["cost_cents"] / one["scale"] / one["best"] - 1)


def own_gap(one: dict[str, Any]) -> float:
    """The gap that the solver itself proves."""
    run = one["run"]
    return float((run["cost_cents"] - run["bound_cents"]) / max(1, run["cost_cents"]))


def answered(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """The problems whose run ended with a plan."""
    return [one for one in measured.values() if "failed" not in one["run"]]


def _told(one: dict[str, Any]) -> str:
    if "failed" in one["run"]:
        return str(one["run"]["failed"])
    return f"{100 * deviation(one):+.2f} %, gap {figures.gap(own_gap(one))}, {one['run']['seconds_used']:.1f} s"


def render(measured: dict[str, Any], settings: dict[str, Any]) -> str:
    """Show the means by type, and each problem."""
    parts = [
        f"`{settings['policy']}` on classical problems (`classics.py` says how they become columns), "
        f"{settings['seconds']:.0f} s each. *Deviation* is from the best published value; *gap* is what the run itself proves.\n",
        "### Means\n",
        table(["problems", "count", "deviation", "gap", "proven", "time"], _means(measured)),
        "### Problem by problem\n",
        table(["problem", "items", "places", "best known", "cost", "deviation", "gap", "time"], _each(measured)),
    ]
    return "\n".join(parts)


def _means(measured: dict[str, Any]) -> list[list[str]]:
    found = answered(measured)
    gaps = [one for one in found if one["kind"] in TYPES]
    groups = [(f"assignment, type {kind}", [one for one in gaps if one["kind"] == kind]) for kind in TYPES]
    groups += [(f"assignment, {LARGE} jobs and more", large(measured))]
    groups += [("single-source location", [one for one in found if one["kind"] not in TYPES])]
    rows = []
    for name, group in groups:
        if group:
            proven = sum(one["run"]["status"] == "optimal" for one in group)
            rows.append([
                name, str(len(group)), _share(mean(map(deviation, group))), figures.gap(mean(map(own_gap, group))),
                f"{proven} of {len(group)}", figures.duration(mean(one["run"]["seconds_used"] for one in group)),
            ])  # fmt: skip
    return rows


def large(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """The assignment problems that count towards the aim."""
    return [one for one in answered(measured) if one["kind"] in TYPES and one["items"] >= LARGE]


def _each(measured: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, one in measured.items():
        run = one["run"]
        size = [name, str(one["items"]), str(one["places"]), f"{one['best']:,.0f}"]
        if "failed" in run:
            rows.append([*size, run["failed"], "", "", ""])
            continue
        cost = f"{run['cost_cents'] / one['scale']:,.0f}"
        rows.append(
            [*size, cost, _share(deviation(one)), figures.gap(own_gap(one)), figures.duration(run["seconds_used"])]
        )
    return rows


def _share(share: float) -> str:
    return f"{100 * share:+,.2f} %".replace("-", "−")
