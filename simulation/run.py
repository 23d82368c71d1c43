"""What a replay comes to: its cost by term, its measures, its waves, and the books of every stock."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from engine.calendar import format_minute
from simulation.tables import write_table
from solver.files import write_bytes
from solver.problem import Floats, Ints

TERMS = ("carriage", "handling", "late", "overtime", "unfilled")
"""The terms of a run's cost. What stock is worth is told apart from it."""
REAL = ("bound_cents", "seconds", "build_seconds")
"""The columns of `Waves` that are not integers."""


@dataclass(frozen=True, eq=False)
class Waves:
    """One row for each decision. A wave that kept what was held, as its plan broke a promise, has two: the kept, and the others.

    Attributes
    ----------
    at
        The minute, UTC.
    orders, lines, units
        What was open.
    parcels, units_shipped
        What was shipped of the plan.
    cost_cents, bound_cents
        The objective of the wave, in which waiting costs what it is expected to cost, and the plan's bound on it.
    left_open_cents
        The part of the objective for units left open; the run itself pays `unfilled` once, at the end.
    carriage, handling, late, overtime, stock_value
        What the parcels shipped cost, by term.
    seconds, build_seconds
        What deciding took, and building the problem; 0 without a timer.
    """

    at: Ints
    orders: Ints
    lines: Ints
    units: Ints
    parcels: Ints
    units_shipped: Ints
    cost_cents: Ints
    bound_cents: Floats
    carriage: Ints
    handling: Ints
    late: Ints
    overtime: Ints
    stock_value: Ints
    left_open_cents: Ints
    seconds: Floats
    build_seconds: Floats

    @property
    def gap_cents(self) -> Floats:
        """How far from optimal each wave's plan can be; 0 where its bound, rounded up to whole cents, is its cost."""
        proven = np.ceil(self.bound_cents - 1e-6) == self.cost_cents
        return np.asarray(np.where(proven, 0.0, self.cost_cents - self.bound_cents))

    @property
    def gap(self) -> Floats:
        """The same as a share of its cost."""
        return np.asarray(np.where(self.cost_cents > 0, self.gap_cents / np.maximum(1, self.cost_cents), 0.0))


@dataclass(frozen=True, eq=False)
class Shipped:
    """One row for each parcel; orders, nodes and services are indices into the placed history and network."""

    decided_at: Ints
    order: Ints
    node: Ints
    service: Ints
    units: Ints
    leaves_day: Ints
    arrives_day: Ints


@dataclass(frozen=True, eq=False)
class Books:
    """The stock of every (node, SKU) from beginning to end: initial + received + returned - shipped - lost = final.

    Lost is what was not found when it was picked, and what counts found missing; below 0 where they found more.
    """

    node: Ints
    sku: Ints
    initial: Ints
    received: Ints
    returned: Ints
    shipped: Ints
    lost: Ints
    final: Ints


@dataclass(frozen=True, eq=False)
class Run:
    """A history through a network under a policy.

    Attributes
    ----------
    decisions
        SHA-256 over every decision: equal runs have equal decisions.
    simulated
        What was drawn or assumed instead of observed.
    bill
        Cents by term (`TERMS`); `unfilled` once for each unit that lapsed, or that a wave had left open when it was
        cancelled.
    stock_value_cents
        What the shipped units were worth as stock, where the network says so; not part of the cost.
    units_withdrawn
        Cancelled before any wave saw them, or while they were held for the order: they cost nothing.
    units_cancelled, units_lapsed
        Cancelled by the customer after a wave had left them open; given up after `cancel_after_days`, or at the end.
    units_returned
        Shipped and given back; they go back on the shelf of the node that shipped them.
    units_missing, parcels_refused
        Units that nodes did not find when they were to pick them; parcels that stores refused to make.
    every, wave_minute, release_after
        When decisions stood, and for how many minutes they could be changed.
    orders_on_time
        Orders whose every unit, but for those withdrawn, arrived by the promise.
    """

    policy: str
    seed: int
    source: str
    currency: str
    simulated: tuple[str, ...]
    start: int
    end: int
    every: int | str
    wave_minute: int
    release_after: int
    bill: dict[str, int]
    stock_value_cents: int
    orders: int
    lines: int
    units_ordered: int
    units_withdrawn: int
    units_cancelled: int
    units_lapsed: int
    units_shipped: int
    units_returned: int
    units_missing: int
    parcels_refused: int
    parcels: int
    parcels_late: int
    orders_asked: int
    orders_shipped: int
    orders_split: int
    orders_on_time: int
    decisions: str
    seconds: float
    waves: Waves
    shipped: Shipped
    books: Books

    @property
    def cost_cents(self) -> int:
        return sum(self.bill.values())

    @property
    def fill_rate(self) -> float:
        """Units shipped over units asked for (those withdrawn before any wave are not)."""
        return _share(self.units_shipped, self.units_ordered - self.units_withdrawn)

    @property
    def split_rate(self) -> float:
        """Orders in more than one parcel over orders with a parcel."""
        return _share(self.orders_split, self.orders_shipped)

    @property
    def on_time_rate(self) -> float:
        """Orders that arrived whole by the promise over orders asked for."""
        return _share(self.orders_on_time, self.orders_asked)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tables, ready for JSON."""
        apart = ("waves", "shipped", "books", "bill", "start", "end", "seconds")
        waves, waves_cost = self.waves, int(self.waves.cost_cents.sum())
        return {
            "format": "run/1",
            **{f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart},
            "simulated": list(self.simulated),
            "start": format_minute(self.start),
            "end": format_minute(self.end),
            "cost_cents": self.cost_cents,
            "bill": dict(self.bill),
            "fill_rate": round(self.fill_rate, 6),
            "split_rate": round(self.split_rate, 6),
            "on_time_rate": round(self.on_time_rate, 6),
            "waves": len(waves.at),
            "waves_cost_cents": waves_cost,
            "waves_gap": round(
                _share(float((waves.cost_cents - waves.bound_cents).sum()), int(waves.cost_cents.sum())), 6
            ),
            "seconds": round(self.seconds, 3),
            "decide_seconds": round(float(waves.seconds.sum()), 3),
            "build_seconds": round(float(waves.build_seconds.sum()), 3),
        }


def compare_runs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row for each run, with its cost relative to the first."""
    assert runs, "nothing to compare"
    first = runs[0].cost_cents
    for run in runs:
        assert run.orders == runs[0].orders, "runs of different histories cannot be compared"
    return [
        {
            "policy": run.policy,
            "cost_cents": run.cost_cents,
            "relative": round(run.cost_cents / first, 6) if first else 1.0,
            **run.bill,
            "parcels": run.parcels,
            "fill_rate": round(run.fill_rate, 6),
            "split_rate": round(run.split_rate, 6),
            "on_time_rate": round(run.on_time_rate, 6),
            "seconds": round(run.seconds, 3),
        }
        for run in runs
    ]


def write_run(folder: str | Path, run: Run) -> None:
    """Write `run.json` and, beside it, `waves.csv`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "run.json", json.dumps(run.to_dict(), indent=2, ensure_ascii=False).encode() + b"\n")
    columns = asdict(run.waves) | {"gap": run.waves.gap}
    kinds = {name: "real" if column.dtype == np.float64 else "whole" for name, column in columns.items()}
    write_table(folder / "waves.csv", columns, kinds | {"at": "minute"})


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
