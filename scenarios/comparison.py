"""Scenarios beside the baseline: paired differences with intervals, what dominates what, and a sentence that the data support.

Baseline and scenario meet the same draws on each seed, so that their differences are taken seed by seed. An interval is
Student's, at 95 %, over those differences; each holds by itself, not all of them together. One seed gives none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

from scipy.stats import t as student

from engine.calendar import MINUTES_PER_DAY
from scenarios.grids import Grid, Outcome, Sweep
from scenarios.scenario import BASELINE

LEVEL = 0.95
MEASURES: dict[str, Callable[[Outcome], float]] = {
    "cost": lambda one: one.cost_cents,
    "cost_per_unit": lambda one: one.cost_cents / one.units_ordered if one.units_ordered else 0.0,
    "days": lambda one: one.days,
    "on_time": lambda one: one.on_time_rate,
    "split": lambda one: one.split_rate,
    "fill": lambda one: one.fill_rate,
    "parcels": lambda one: one.parcels,
}
"""What is compared. Cost in cents, days from order to arrival, shares from 0 to 1."""
RELATIVE = ("cost", "cost_per_unit")
"""Compared as a share of the baseline's; the others as they are."""
PARETO = ("cost_per_unit", "days", "split")
"""The less the better; per unit, so that scenarios of more demand stand beside the others."""


@dataclass(frozen=True)
class Difference:
    """A paired difference: its mean over the seeds, and the ends of its interval (`None` with one seed)."""

    mean: float
    low: float | None
    high: float | None

    @property
    def shown(self) -> bool:
        """Whether the interval leaves no difference out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Row:
    """A scenario under a policy.

    Attributes
    ----------
    values
        The mean of each of `MEASURES` over the seeds.
    bill
        Mean cents by term.
    against
        The policy of the baseline that it is compared with.
    differences
        From that baseline, by measure; empty for the baseline itself.
    extra_cents
        The difference of the cost in cents.
    dominated_by
        Another row whose means are as good in all of `PARETO`, and that is shown to be better in one; or none.
    node_units, node_change
        Mean units that each node shipped, and how many more than in the baseline.
    """

    scenario: str
    why: str
    policy: str
    against: str
    seeds: int
    values: dict[str, float]
    bill: dict[str, float]
    differences: dict[str, Difference]
    extra_cents: Difference | None
    dominated_by: tuple[str, str] | None
    node_units: dict[str, float]
    node_change: dict[str, float]

    @property
    def is_baseline(self) -> bool:
        return self.scenario == BASELINE.name


@dataclass(frozen=True)
class Comparison:
    """All rows, the baseline under each policy first.

    Attributes
    ----------
    seeds_matter
        Whether the seeds draw anything in the baseline: where history and network say all, every seed is the same run.
    days
        From the first order to the last.
    hash
        The same for the same grid wherever it was computed.
    """

    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    seeds_matter: bool
    simulated: tuple[str, ...]
    start: int
    end: int
    days: int
    hash: str

    @property
    def one_policy(self) -> bool:
        """Whether there is one baseline, so that the name of a scenario says which run is meant."""
        return sum(row.is_baseline for row in self.rows) == 1

    @property
    def scenarios(self) -> list[Row]:
        """The rows that are no baseline."""
        return [row for row in self.rows if not row.is_baseline]

    def baseline(self, row: Row) -> Row:
        """The baseline that a row is compared with."""
        return next(one for one in self.rows if one.is_baseline and one.policy == row.against)


def compare(grid: Grid, found: Sweep) -> Comparison:
    """Compare every scenario with the baseline of the same policy; one with a policy of its own, with that of the first."""
    by_cell = {(one.scenario, one.policy): list[Outcome]() for one in found.outcomes}
    for one in found.outcomes:
        by_cell[one.scenario, one.policy].append(one)
    why = {scenario.name: scenario.why for scenario in (BASELINE, *grid.scenarios)}
    own = {scenario.name for scenario in grid.scenarios if scenario.policy}
    rows = []
    for (scenario, policy), outcomes in by_cell.items():
        against = grid.policies[0] if scenario in own else policy
        row = _row(why[scenario], against, outcomes, by_cell[BASELINE.name, against])
        better = (key for key, others in by_cell.items() if _dominates(others, outcomes))
        rows.append(replace(row, dominated_by=next(better, None)))
    base = by_cell[BASELINE.name, grid.policies[0]]
    return Comparison(
        rows=tuple(rows),
        seeds=grid.seeds,
        seeds_matter=len({one.decisions for one in base}) > 1,
        simulated=tuple(dict.fromkeys(label for one in found.outcomes for label in one.simulated)),
        start=base[0].start,
        end=max(one.end for one in found.outcomes),
        days=_days(grid),
        hash=found.hash,
    )


def paired(before: Sequence[float], after: Sequence[float], relative: bool = False) -> Difference:
    """The mean difference of pairs, and Student's interval.

    Parameters
    ----------
    relative
        Each difference as a share of what was before.
    """
    pairs = zip(before, after, strict=True)
    differences = [(b - a) / a if relative and a else b - a for a, b in pairs]
    count = len(differences)
    middle = mean(differences)
    if count < 2:
        return Difference(middle, None, None)
    half = float(student.ppf((1 + LEVEL) / 2, count - 1)) * stdev(differences) / math.sqrt(count)
    return Difference(middle, middle - half, middle + half)


def _row(why: str, against: str, outcomes: list[Outcome], base: list[Outcome]) -> Row:
    first = outcomes[0]
    differences = {}
    if first.scenario != BASELINE.name:
        for name, measure in MEASURES.items():
            before, after = ([measure(one) for one in of] for of in (base, outcomes))
            differences[name] = paired(before, after, name in RELATIVE)
    units, before_units = _node_units(outcomes), _node_units(base)
    every = dict.fromkeys((*before_units, *units))
    return Row(
        scenario=first.scenario,
        why=why,
        policy=first.policy,
        against=against,
        seeds=len(outcomes),
        values={name: mean(measure(one) for one in outcomes) for name, measure in MEASURES.items()},
        bill={term: mean(one.bill[term] for one in outcomes) for term in first.bill},
        differences=differences,
        extra_cents=paired([o.cost_cents for o in base], [o.cost_cents for o in outcomes]) if differences else None,
        dominated_by=None,
        node_units=units,
        node_change={node: units.get(node, 0.0) - before_units.get(node, 0.0) for node in every},
    )


def _node_units(outcomes: Sequence[Outcome]) -> dict[str, float]:
    nodes = dict.fromkeys(node for one in outcomes for node in one.node_units)
    return {node: mean(one.node_units.get(node, 0) for one in outcomes) for node in nodes}


def _dominates(one: Sequence[Outcome], other: Sequence[Outcome]) -> bool:
    """Whether one is as good in all of `PARETO`, and shown to be better in one: with one seed, by any difference.

    What ships nothing on a seed has no days to compare, and dominates nothing.
    """
    if not all(outcome.units_shipped for outcome in one):
        return False
    differences = []
    for name in PARETO:
        before, after = ([MEASURES[name](outcome) for outcome in of] for of in (other, one))
        differences.append(paired(before, after, name in RELATIVE))
    return all(d.mean <= 0 for d in differences) and any(d.mean < 0 and (d.shown or d.low is None) for d in differences)


def _days(grid: Grid) -> int:
    first, last = (int(at) // MINUTES_PER_DAY for at in grid.history.order_placed_at[[0, -1]])
    return (last if grid.manner.until is None else min(last, grid.manner.until)) - first + 1
