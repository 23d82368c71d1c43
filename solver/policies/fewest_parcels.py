"""`fewest_parcels`: each order in turn fills most units, then in fewest parcels, then at least cost."""

from dataclasses import dataclass, field

import numpy as np

from solver.draft import new_draft, plan_of, serve_in_turn
from solver.effort import Effort, Meter, Watch, unwatched
from solver.plan import Plan
from solver.policies.cheapest import own_bound
from solver.problem import Problem


@dataclass(frozen=True)
class FewestParcels:
    """Decide order by order, each whole before split."""

    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide the orders in the order in which they stand."""
        meter = Meter(self.effort, self.watch)
        parcel_extra, open_extra = ranks(problem)
        draft = serve_in_turn(
            problem,
            new_draft(problem),
            np.arange(problem.orders),
            open_cents=(open_extra + problem.line_open_cents).astype(np.float64),
            parcel_extra=parcel_extra,
        )
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        return plan_of(problem, draft, own_bound(problem, meter), *prices, meter.seconds, "fewest_parcels", self.seed)


def ranks(problem: Problem) -> tuple[float, float]:
    """Weights that put a unit before any parcels, and a parcel before any cents: (for a parcel, for an open unit)."""
    units = (
        float(np.add.reduceat(problem.line_qty, problem.order_line_start[:-1]).max(initial=1))
        if problem.orders
        else 1.0
    )
    dearest = float(problem.service_cents.max(initial=0)) + float(problem.node_parcel_cents.max(initial=0))
    heaviest_kg = float(problem.order_grams.max(initial=0)) / 1000 + 1
    dearest += float(problem.service_over_cents.max(initial=0)) * heaviest_kg
    days = float(problem.node_ready_days.max(initial=0)) + float(problem.service_transit_days.max(initial=0))
    dearest += float(problem.node_overtime_cents.max(initial=0)) + float(problem.order_late_cents.max(initial=0)) * days
    dearest += float((problem.option_unit_cents + problem.option_value_cents).max(initial=0)) * units
    dearest += float(problem.node_line_cents.max(initial=0)) * units + 1
    dearest += float(problem.line_unfilled_cents.max(initial=0)) * units
    parcel = 2 * dearest * 8
    return parcel, parcel * 64


__all__ = ["FewestParcels"]
