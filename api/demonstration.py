"""The demonstration: a retail day made up, decided jointly, and set beside the usual rules in a report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from api import compare, figures, show
from api.comparison_page import write_comparison
from api.outputs import make_folder
from api.progress import following
from simulation.synthetic import make_retail_day
from solver.effort import Effort
from solver.planfile import write_plan
from solver.wave import problem_of, write_wave

STEPS = 4


@dataclass
class Steps:
    """The steps of the demonstration, each said when it begins."""

    say: Callable[[str], None]
    number: int = 0

    def begin(self, what: str) -> None:
        self.number += 1
        self.say(f"[{self.number}/{STEPS}] {what}")


def demonstrate(
    folder: Path, orders: int, nodes: int, seed: int, effort: Effort, say: Callable[[str], None]
) -> compare.Comparison:
    """Run the demonstration and leave `wave.json.gz`, `plan.json.gz` and the report in a folder."""
    steps = Steps(say)
    steps.begin(f"making a retail day: {orders:,} orders, {nodes:,} nodes")
    wave = make_retail_day(orders, nodes, seed)
    problem = problem_of(wave)
    write_wave(make_folder(folder) / "wave.json.gz", wave)
    steps.begin("deciding all orders jointly, and proving how good that is")
    started = monotonic()
    with following("joint") as watch:
        joint = compare.solve(problem, compare.JOINT, effort, seed, watch)
    write_plan(folder / "plan.json.gz", problem, joint)
    taken = figures.duration(monotonic() - started)
    say(f"      cost {figures.money(joint.cost_cents)}, gap {figures.gap(joint.gap)}, {taken}")
    steps.begin("setting the usual rules beside it")
    with following("rules") as watch:
        rules = compare.compare(problem, [name for name in compare.USUAL if name != compare.JOINT], effort, seed, watch)
    result = compare.side_by_side(problem, {**rules.plans, compare.JOINT: joint})
    steps.begin("drawing the report")
    page = write_comparison(folder, result, "a made-up retail day", seed)
    show.comparison(result)
    show_way_on(folder, page)
    return result


def show_way_on(folder: Path, page: Path) -> None:
    """Say where the report is, and what to try next."""
    wave, plan = folder / "wave.json.gz", folder / "plan.json.gz"
    lines = [
        "",
        f"Report: {page}",
        "",
        "Go on with:",
        f"  allot check {wave} {plan}",
        f"  allot solve {wave} --out plan.json --time-limit 60",
        f"  allot compare {wave} --out comparison",
    ]
    for line in lines:
        show.line(line)
