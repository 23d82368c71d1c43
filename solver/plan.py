"""The answer: parcels, their cost, and a bound that no plan can beat, as frozen columns."""

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np

from solver.problem import NO_SERVICE, Bools, Floats, Ints, Problem


@dataclass(frozen=True, eq=False)
class Plan:
    """Who ships what: P parcels with E entries (a line in a parcel).

    Attributes
    ----------
    parcel_order, parcel_node, parcel_service, parcel_dest
        (P,) indices into the problem; `NO_SERVICE` where the goods are collected at the node that picks them.
    entry_start
        (P + 1,) the entries of a parcel are contiguous.
    entry_line, entry_units
        (E,) the line (an index into the problem's lines) and its units in that parcel.
    cost_cents
        The bill of this plan.
    bound_cents
        A proven lower bound on the cost of every plan of this problem.
    row_price, node_price
        (R,), (J,) what one more unit of the row, or one more parcel at the node, is worth in the bound.
    """

    parcel_order: Ints
    parcel_node: Ints
    parcel_service: Ints
    parcel_dest: Ints
    entry_start: Ints
    entry_line: Ints
    entry_units: Ints
    cost_cents: int
    bound_cents: float
    seconds: float = 0.0
    policy: str | None = None
    seed: int | None = None
    row_price: Floats = field(default_factory=lambda: np.zeros(0))
    node_price: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        assert len(self.entry_start) == len(self.parcel_order) + 1, "entry_start has one row more than parcels"
        assert self.entry_start[-1] == len(self.entry_line) == len(self.entry_units), "entries are contiguous"

    @property
    def parcels(self) -> int:
        return len(self.parcel_order)

    @property
    def entry_parcel(self) -> Ints:
        """(E,) the parcel of each entry."""
        return np.repeat(np.arange(self.parcels), np.diff(self.entry_start))

    @property
    def status(self) -> str:
        """`optimal` where the bound, rounded up to whole cents, is the cost; else `feasible`."""
        return "optimal" if math.ceil(self.bound_cents - 1e-6) == self.cost_cents else "feasible"

    @property
    def gap(self) -> float:
        """How far from optimal this plan can be, as a share of its cost; 0 where it is proven optimal."""
        if self.status == "optimal" or not self.cost_cents:
            return 0.0
        return (self.cost_cents - self.bound_cents) / self.cost_cents


def empty_plan(problem: Problem, cost_cents: int, bound_cents: float) -> Plan:
    """Ship nothing: always feasible."""
    none = np.zeros(0, dtype=np.int64)
    return Plan(none, none, none, none, np.zeros(1, dtype=np.int64), none, none, cost_cents, bound_cents)


def units_by_line(problem: Problem, plan: Plan) -> Ints:
    """(L,) units of each line in the plan's parcels."""
    return np.bincount(plan.entry_line, weights=plan.entry_units, minlength=problem.lines).astype(np.int64)


def part_of(plan: Plan, parcels: Bools, units: Ints | None = None) -> Plan:
    """The part of a plan in some of its parcels, those that hold nothing left out; its cost stays that of the whole.

    Parameters
    ----------
    units
        (E,) units of each entry, instead of the plan's.
    """
    units = plan.entry_units if units is None else units
    if parcels.all() and units is plan.entry_units:
        return plan
    entries = parcels[plan.entry_parcel] & (units > 0)
    count = np.bincount(plan.entry_parcel[entries], minlength=plan.parcels)
    kept = count > 0
    return replace(
        plan,
        parcel_order=plan.parcel_order[kept],
        parcel_node=plan.parcel_node[kept],
        parcel_service=plan.parcel_service[kept],
        parcel_dest=plan.parcel_dest[kept],
        entry_start=np.concatenate([[0], np.cumsum(count[kept])]).astype(np.int64),
        entry_line=plan.entry_line[entries],
        entry_units=units[entries],
    )


__all__ = ["NO_SERVICE", "Plan", "empty_plan", "part_of", "units_by_line"]
