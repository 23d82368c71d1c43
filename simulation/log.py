"""What a replay writes down: what happened in units and cents, every decision, every parcel, and the hash of them."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from engine.calendar import MINUTES_PER_DAY
from solver.plan import Plan
from solver.problem import NO_SERVICE, Ints, Problem


@dataclass(frozen=True, eq=False)
class Asked:
    """A problem, and which orders and lines of the history its rows are."""

    problem: Problem
    order: Ints
    line: Ints


@dataclass
class Tally:
    """What has happened so far, in units and cents; `refused` counts parcels."""

    withdrawn: int = 0
    cancelled: int = 0
    lapsed: int = 0
    returned: int = 0
    missing: int = 0
    refused: int = 0
    unfilled_cents: int = 0


@dataclass
class Log:
    """What was decided so far: a row for each decision, columns for its parcels, and the hash of what was shipped."""

    waves: list[tuple[float, ...]] = field(default_factory=list)
    parcels: list[Ints] = field(default_factory=list)
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def ship(self, asked: Asked, plan: Plan, at: int) -> Ints:
        """Write down the parcels that leave; (P,) the days on which they arrive."""
        problem, day = asked.problem, at // MINUTES_PER_DAY
        service = np.maximum(0, plan.parcel_service)
        zone = problem.lane_zone[plan.parcel_dest, plan.parcel_node, service]
        travels = plan.parcel_service != NO_SERVICE
        transit = np.where(travels, problem.service_transit_days[service, zone], 0)
        leaves = day + problem.node_ready_days[plan.parcel_node]
        units = np.bincount(plan.entry_parcel, weights=plan.entry_units, minlength=plan.parcels).astype(np.int64)
        columns = [
            np.full(plan.parcels, at),
            asked.order[plan.parcel_order],
            plan.parcel_node,
            plan.parcel_service,
            units,
            leaves,
            leaves + transit,
        ]
        self.parcels.append(np.stack(columns).astype(np.int64))
        told = [plan.parcel_dest, plan.entry_start, asked.line[plan.entry_line], plan.entry_units]
        for column in (np.array([at]), *columns, *told):
            self.hash.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        arrives: Ints = leaves + transit
        return arrives
