"""`highs`: the whole problem as one integer program for HiGHS, over every parcel there could be, begun from `cheapest`.

What a good modeller gets from a general-purpose solver: no prices, no neighbourhoods. A wave small enough is one program over all
columns. A larger one goes in steps: the linear relaxation over all columns, programs over those of small reduced cost, and if that
leaves time, the program over all of them.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from solver.effort import Effort, Meter, Watch, unwatched
from solver.plan import Plan
from solver.policies.cheapest import Cheapest
from solver.problem import Bools, Problem
from solver.program import Program, parcels_kept, whole_program

AT_ONCE_PARCELS = 150_000
"""Up to so many parcels all go into one program at once."""
WHOLE_PARCELS = 400_000
"""Up to so many they do after the smaller programs, to prove more than the relaxation."""
FOR_ORDER, FOR_CONTENT = 3, 2
"""Parcels of small reduced cost that stay: for each order on average, and in the next program for each content of an order too.
With more of them HiGHS finds less in the same time."""
RELAX_SHARE, STEP_SHARE = 0.7, 0.6
"""Of the time that is left: for the relaxation, and for each program but the last."""
THREADS = 2


@dataclass(frozen=True)
class Highs:
    """Decide the whole problem by HiGHS; at least the plan of `cheapest`, with whatever bound HiGHS proved in time.

    Parameters
    ----------
    effort
        `seconds` is wall time, `cheapest` and the building of the model included; `work` is a thousand nodes of the search tree
        each.
    seed
        Of the search.
    """

    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide the problem."""
        meter = Meter(self.effort, self.watch)
        start = Cheapest(self.effort, self.seed)(problem)
        best, bound = start, 0.0
        meter.tell("cheapest", best.cost_cents, bound)
        program = whole_program(problem)
        if program is not None and not meter.spent:
            best, bound = self._solve(program, start, meter)
            meter.tell("highs", best.cost_cents, bound)
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        return replace(
            best,
            bound_cents=min(max(0.0, bound), float(best.cost_cents)),
            seconds=meter.seconds,
            policy="highs",
            seed=self.seed,
            row_price=prices[0],
            node_price=prices[1],
        )

    def _solve(self, program: Program, start: Plan, meter: Meter) -> tuple[Plan, float]:
        """Solve the program from a plan; the better plan, and what is proven."""
        threads = THREADS if self.effort.work is None else 1
        everything = np.ones(len(program.cost), dtype=np.bool_)
        parcels = len(program.parcel_col)
        if parcels <= AT_ONCE_PARCELS:
            return self._step(program, everything, start, meter, meter.seconds_left, threads)
        relaxed = program.relax(RELAX_SHARE * meter.seconds_left, threads)
        if relaxed is None:
            return start, 0.0
        bound, reduced = relaxed
        proven = bound
        meter.tell("relaxed", start.cost_cents, bound)
        steps = [(FOR_ORDER, 0), (FOR_ORDER, FOR_CONTENT), None] if parcels <= WHOLE_PARCELS else [(FOR_ORDER, 0)]
        for number, few in enumerate(steps):
            if meter.spent:
                break
            seconds = meter.seconds_left * (1.0 if number == len(steps) - 1 else STEP_SHARE)
            keep, threshold = everything, float("inf")
            if few is not None:
                keep, threshold = parcels_kept(program, reduced, program.start_from(start), *few)
            start, within = self._step(program, keep, start, meter, seconds, threads)
            # a plan with a parcel that was left out costs at least the relaxation and what that parcel adds
            bound = max(bound, min(within, proven + threshold))
            meter.tell("program over parcels of small reduced cost", start.cost_cents, bound)
        return start, bound

    def _step(
        self, program: Program, keep: Bools, start: Plan, meter: Meter, seconds: float, threads: int
    ) -> tuple[Plan, float]:
        """Solve over some columns from a plan; the better plan, and what no plan of these columns can beat."""
        nodes = 1000 * meter.work_left
        answer = program.solve(np.flatnonzero(keep), program.start_from(start), seconds, nodes, self.seed, threads)
        meter.work += answer.work // 1000
        best = start
        if answer.value is not None:
            best = min(program.plan_of(answer.value), start, key=lambda one: one.cost_cents)
        # costs are whole cents, and so is every bound; what falls short of one is floating point
        return best, float(np.ceil(answer.bound_cents - 0.01)) if np.isfinite(answer.bound_cents) else 0.0


__all__ = ["Highs"]
