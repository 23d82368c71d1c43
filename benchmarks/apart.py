"""One run in a process of its own, so that its peak memory is that of nothing else.

`python -m benchmarks.apart COLUMNS REQUEST` reads a problem's columns, decides it as the request says, and writes one JSON object.
The clock starts when the columns are in memory. From then on everything counts: importing the policy, loading its compiled kernels
(or compiling them, where `python -m solver.kernels` has not done so before), deciding. Reading the plan by the checker does not.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.columns import read_columns
from benchmarks.memory import held_bytes, limit_memory, peak_bytes
from benchmarks.slices import decide_in_slices
from solver.plan import Plan
from solver.problem import Problem

THRESHOLDS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Gaps whose first time is noted."""
PATIENCE = 120.0
"""Seconds after its limit (doubled) at which a process that has not answered is stopped."""

MEMORY_SHARE = 0.7
"""Of the machine's memory that a process may have."""


@dataclass(frozen=True)
class Request:
    """What a process is to do.

    Attributes
    ----------
    seconds
        Limit of time, counted from the columns in memory.
    slice_lines
        Decide slices of so many lines one after the other; 0 for the whole problem at once.
    """

    policy: str
    seconds: float
    seed: int
    slice_lines: int = 0


def run_apart(columns: Path, request: Request) -> dict[str, Any]:
    """Run in a new process. What did not end, or died, is told as `failed`."""
    command = [sys.executable, "-m", "benchmarks.apart", str(columns.resolve()), json.dumps(asdict(request))]
    asked = asdict(request)
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, on a file of our own making
            command,
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * request.seconds + PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return {**asked, "failed": "did not end in time"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        short = "MemoryError" in last or "bad_alloc" in done.stderr or done.returncode in (-9, -6)
        return {**asked, "failed": "ran out of memory" if short else f"died: {last or done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**asked, **found}


class Crossings:
    """When the gap first came below each threshold."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.first: dict[str, float] = {}

    def watch(self, _doing: str, _seconds: float, cost: float, bound: float) -> None:
        """Note a cost and a bound."""
        if cost <= 0 or cost != cost or bound != bound:
            return
        for threshold in THRESHOLDS:
            if cost - bound <= threshold * cost:
                self.first.setdefault(str(threshold), round(self.clock(), 3))


def run(problem: Problem, request: Request) -> dict[str, Any]:
    """Decide a problem and measure it: cost, bound, seconds, memory."""
    columns_bytes, began = held_bytes(), perf_counter()

    def clock() -> float:
        return perf_counter() - began

    crossings = Crossings(clock)
    plan = _decide(problem, request, clock, crossings)
    seconds, peak = clock(), peak_bytes()
    crossings.watch("done", seconds, plan.cost_cents, plan.bound_cents)
    return {
        **judged(problem, plan),
        "status": plan.status,
        "seconds_used": seconds,
        "peak_bytes": peak,
        "columns_bytes": columns_bytes,
        "reached": crossings.first,
    }


def _decide(problem: Problem, request: Request, clock: Callable[[], float], crossings: Crossings) -> Plan:
    from solver.effort import Effort
    from solver.policies import make
    from solver.policies.cp_sat import CpSat

    if request.slice_lines:
        return decide_in_slices(problem, request.policy, request.slice_lines, request.seconds, request.seed, clock)
    if request.policy == "cp_sat":
        # it starts from `cheapest`, as `highs` does by itself
        start = make("cheapest", Effort(seconds=request.seconds), request.seed)(problem)
        left = Effort(seconds=max(0.0, request.seconds - clock()))
        found = CpSat(left, request.seed, crossings.watch, hint=start)(problem)
        return min(found, replace(start, bound_cents=found.bound_cents), key=lambda plan: plan.cost_cents)
    make(request.policy)  # imports what it needs, on the clock
    left = Effort(seconds=max(0.0, request.seconds - clock()))
    return make(request.policy, left, request.seed, crossings.watch)(problem)


def judged(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Have the checker read a plan, and say what it amounts to; a violation is a bug and stops the work."""
    from solver.bill import measure
    from solver.check import check

    verdict = check(problem, replace(plan, bound_cents=min(plan.bound_cents, float(plan.cost_cents))))
    assert verdict.ok, f"the rules are broken: {'; '.join(verdict.violations[:3])}"
    measures = measure(problem, plan)
    return {
        "cost_cents": plan.cost_cents,
        "bound_cents": plan.bound_cents,
        "bill": {term: cents for term, cents in measures.bill.items() if cents},
        "parcels": measures.parcels,
        "split_rate": measures.split_rate,
        "fill_rate": measures.fill_rate,
    }


def main() -> None:
    """Read the columns, run, and write what was measured."""
    limit_memory(MEMORY_SHARE)
    bare_bytes = held_bytes()
    problem = read_columns(Path(sys.argv[1]))
    found = run(problem, Request(**json.loads(sys.argv[2])))
    sys.stdout.write(json.dumps({**found, "bare_bytes": bare_bytes}) + "\n")


if __name__ == "__main__":
    main()
