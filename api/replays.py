"""Policies side by side on one history: each replayed wave by wave on the same orders, stock and receipts."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from api.compare import JOINT
from engine.calendar import MINUTES_PER_DAY, format_day, parse_day
from engine.network import Network, read_network
from simulation.chance import chance_of
from simulation.history import History
from simulation.manner import Manner
from simulation.networks import NAMES, example
from simulation.placing import Placed, place
from simulation.rhythm import every_of
from simulation.run import Run
from solver.effort import Effort, Policy
from solver.kernels import warm_up
from solver.refusal import Refusal

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many waves are done, and how many there are."""


@dataclass(frozen=True)
class Day:
    """What one day of a replay cost.

    Attributes
    ----------
    day
        As `YYYY-MM-DD`.
    cost_cents
        What was shipped that day; on the last day, also the units that were never shipped.
    gap
        How far from optimal the decisions of that day can be, each as it came, as a share of their cost.
    """

    day: str
    cost_cents: int
    gap: float


@dataclass(frozen=True)
class ReplayRow:
    """What one policy made of the history.

    Attributes
    ----------
    over_joint
        How much more than joint it cost, as a share of joint's cost; `None` where joint did not run.
    waves_gap
        How far from optimal its waves were at most, each as it came, as a share of their cost; not a gap of the run.
    decisions
        The same for two runs that decided the same.
    """

    policy: str
    cost_cents: int
    over_joint: float | None
    bill: dict[str, int]
    waves: int
    waves_gap: float
    parcels: int
    split_rate: float
    fill_rate: float
    on_time_rate: float
    seconds: float
    decisions: str
    days: list[Day]


@dataclass(frozen=True)
class Replays:
    """The runs of one history in one network."""

    source: str
    currency: str
    orders: int
    lines: int
    first_day: str
    last_day: str
    seed: int
    simulated: list[str]
    rows: list[ReplayRow]

    @property
    def best(self) -> ReplayRow:
        return min(self.rows, key=lambda row: (row.cost_cents, row.policy != JOINT))

    def as_json(self) -> dict[str, Any]:
        """The runs as plain values."""
        return asdict(self)


def network_of(name: str) -> Network:
    """Read a network file, or the example of that name where there is no such file."""
    return example(name) if name in NAMES and not Path(name).exists() else read_network(name)


def day_of(text: str | None) -> int | None:
    """Read the day on which a replay ends."""
    try:
        return None if text is None else parse_day(text)
    except ValueError as error:
        raise Refusal("--until", str(error), "bad_option") from None


def manner_of(effort: Effort, until: str | None, every: str, release_after: int, chance: str | None) -> Manner:
    """Read how a history is to be replayed."""
    try:
        when = every_of(every)
    except Refusal as refusal:
        raise Refusal("--every", refusal.problem, refusal.code) from None
    try:
        drawn = None if chance is None else chance_of(chance)
    except Refusal as refusal:
        raise Refusal(f"--chance: {refusal.place}", refusal.problem, refusal.code) from None
    return Manner(effort.seconds, effort.work, day_of(until), every=when, release_after=release_after, chance=drawn)


def replay(
    history: History,
    network: Network,
    names: Sequence[str],
    manner: Manner,
    seed: int,
    progress: Progress,
) -> Replays:
    """Replay a history under each policy. What history and network leave open is drawn once, for all of them."""
    manner.check(history, network)
    placed = place(history, network, seed)
    chosen = zip(names, manner.policies(names, placed), strict=True)
    runs = [_run(placed, name, policy, manner, progress) for name, policy in chosen]
    joint = next((run for run in runs if run.policy == JOINT), None)
    first, last = runs[0].start // MINUTES_PER_DAY, runs[0].end // MINUTES_PER_DAY
    return Replays(
        source=runs[0].source,
        currency=runs[0].currency,
        orders=runs[0].orders,
        lines=runs[0].lines,
        first_day=format_day(first),
        last_day=format_day(last),
        seed=seed,
        simulated=list(runs[0].simulated),
        rows=[row_of(run, joint) for run in runs],
    )


def _run(placed: Placed, name: str, policy: Policy, manner: Manner, progress: Progress) -> Run:
    warm_up()
    return manner.replay(
        placed,
        policy,
        str(name),
        timer=perf_counter,
        progress=lambda done, waves, day: progress(f"{name} {day}", done, waves),
    )


def row_of(run: Run, joint: Run | None) -> ReplayRow:
    """Measure one run."""
    cost = run.cost_cents
    waves_cost = int(run.waves.cost_cents.sum())
    return ReplayRow(
        policy=run.policy,
        cost_cents=cost,
        over_joint=(cost - joint.cost_cents) / joint.cost_cents if joint and joint.cost_cents else None,
        bill=dict(run.bill),
        waves=len(run.waves.at),
        waves_gap=float(run.waves.gap_cents.sum()) / waves_cost if waves_cost else 0.0,
        parcels=run.parcels,
        split_rate=run.split_rate,
        fill_rate=run.fill_rate,
        on_time_rate=run.on_time_rate,
        seconds=run.seconds,
        decisions=run.decisions,
        days=days_of(run),
    )


def days_of(run: Run) -> list[Day]:
    """What each day of a run cost; together, what the run cost."""
    waves = run.waves
    day, first = np.unique(waves.at // MINUTES_PER_DAY, return_index=True)
    if not len(day):
        return []
    cents, objective, apart = (
        np.add.reduceat(column, first)
        for column in (
            waves.carriage + waves.handling + waves.late + waves.overtime,
            waves.cost_cents,
            np.maximum(0, waves.gap_cents),
        )
    )
    cents[-1] += run.cost_cents - int(cents.sum())
    gap = apart / np.maximum(1, objective)
    return [Day(format_day(d), cost, g) for d, cost, g in zip(day.tolist(), cents.tolist(), gap.tolist(), strict=True)]
