"""`joint` fed slices of a wave one after the other, against `joint` on the whole: what joint stock consistency is worth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from api import figures
from benchmarks import waves
from benchmarks.apart import Request, run_apart
from benchmarks.columns import write_columns
from benchmarks.outside import WaveMaker
from benchmarks.results import Say, table
from benchmarks.waves import CASES, Case, Piece
from solver.wave import problem_of

WHOLE, IN_SLICES, IN_TURN = "whole", "in slices", "order by order"


@dataclass(frozen=True)
class Settings:
    """How slices are measured.

    Attributes
    ----------
    slice_lines
        Lines of a slice: what products that decide in batches document as their limit.
    seconds
        For the whole wave, and for all of its slices together.
    orders
        Of every wave, instead of what its size says.
    """

    slice_lines: int = 2_000
    seconds: float = 60.0
    seed: int = 71
    stores: int = 180
    warehouses: int = 20
    orders: int | None = None


QUICK = Settings(slice_lines=20, seconds=2.0, stores=10, warehouses=3, orders=40)
CHOSEN = tuple(
    case
    for case in CASES
    if case.profile == "retail" and case.size == "10k" and case.regime != "usual" and not case.capacity
)


def skipped() -> str:
    """Why slices cannot be measured here; empty where they can."""
    return waves.skipped()


def measure(settings: Settings, wanted: Callable[[str], bool], say: Say, quick: bool = False) -> Iterator[Piece]:
    """Measure each wave whole, in slices, and order by order."""
    make = WaveMaker()
    for case in CHOSEN[:1] if quick else CHOSEN:
        if wanted(case.name):
            say(f"{case.name}: making the wave")
            yield case.name, _case(case, settings, make, say)


def _case(case: Case, settings: Settings, make: WaveMaker, say: Say) -> dict[str, Any]:
    sizes = waves.Settings(stores=settings.stores, warehouses=settings.warehouses, orders=settings.orders)
    problem = problem_of(waves.wave_of(case, sizes, make, settings.seed))
    requests = {
        IN_TURN: Request("cheapest", settings.seconds, settings.seed),
        IN_SLICES: Request(waves.JOINT, settings.seconds, settings.seed, settings.slice_lines),
        WHOLE: Request(waves.JOINT, settings.seconds, settings.seed),
    }
    found: dict[str, Any] = {"regime": case.regime, "orders": problem.orders, **waves.size_of(problem), "runs": {}}
    with TemporaryDirectory() as folder:
        columns = Path(folder) / "columns.npz"
        write_columns(columns, problem)
        for way, request in requests.items():
            found["runs"][way] = run_apart(columns, request)
            say(f"{case.name}, {way}: {waves.told(found['runs'][way])}")
    return found


def render(measured: dict[str, Any], settings: dict[str, Any]) -> str:
    """Show what deciding in slices costs."""
    parts = [
        f"`joint` on slices of {settings['slice_lines']:,} lines, one after the other, each on the stock that those before it "
        "left, with the same seconds in total; *over whole* is against `joint` on the whole wave. The gap is measured from "
        "the bound of the whole wave.\n"
    ]
    rows = []
    for name, one in measured.items():
        bound = max(run.get("bound_cents", 0.0) for run in one["runs"].values())
        whole = one["runs"][WHOLE].get("cost_cents")
        for way, run in one["runs"].items():
            if "failed" in run:
                rows.append([f"{name}, {way}", run["failed"], "", "", ""])
                continue
            cost = run["cost_cents"]
            over = figures.percent(cost / whole - 1, 2) if whole and way != WHOLE else ""
            gap, time = figures.gap((cost - bound) / cost), figures.duration(run["seconds_used"])
            rows.append([f"{name}, {way}", figures.money(cost), over, gap, time])
    parts.append(table(["wave", "cost", "over whole", "gap", "time"], rows))
    return "\n".join(parts)
