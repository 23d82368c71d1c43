"""`cheapest`: each order in turn at its own optimum, given what the orders before it left.

What the best engines that decide order by order can do. An order of up to twelve lines gets its proven optimum over nodes, services
and splits (of lines too), within its limits; a longer one the best that the local search finds. The bound is that of every order on
its own.
"""

from dataclasses import dataclass, field

import numpy as np

from solver.draft import AT_ONCE, Draft, cost_of, new_draft, plan_of, serve_in_turn
from solver.effort import Effort, Meter, Watch, unwatched
from solver.exact import decide_again, put_in_place
from solver.many import THOROUGH
from solver.plan import Plan
from solver.prices import ROUNDS_FIRST, Priced, Pricing
from solver.problem import Problem

ORDER_NODES = 5_000
ORDER_SECONDS = 20.0


@dataclass(frozen=True)
class Cheapest:
    """Decide order by order, each at least cost."""

    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide the orders in the order in which they stand."""
        meter = Meter(self.effort, self.watch)
        draft = serve_cheapest(problem, meter)
        bound = own_bound(problem)
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        return plan_of(problem, draft, bound, *prices, meter.seconds, "cheapest", self.seed)


def serve_cheapest(problem: Problem, meter: Meter, effort: int = THOROUGH) -> Draft:
    """Serve all orders in turn, each at its own least cost; when the time is over, those that are left are served at once."""

    def late() -> bool:
        return meter.spent

    everyone, nothing = np.arange(problem.orders), np.zeros(problem.orders)
    free = Priced(
        np.zeros(problem.rows), np.zeros(problem.nodes), 0.0, nothing, problem.line_open_cents.astype(np.float64) * 0.5
    )

    def decide(draft: Draft, order: int) -> Draft:
        """An order too large for the recursion: a good start, then the proof."""
        alone = np.array([order])
        draft = serve_in_turn(problem, draft, alone)
        if late():
            return draft
        meter.tell("orders in turn", cost_of(problem, draft), 0.0)
        seconds = min(ORDER_SECONDS, meter.seconds_left) if meter.effort.seconds is not None else float("inf")
        outcome = decide_again(problem, draft, alone, free, seconds=seconds, nodes=ORDER_NODES, stop=meter.effort.stop)
        meter.work += 1 + outcome.work // 1000
        return put_in_place(problem, draft, outcome.ways)[0]

    draft = serve_in_turn(problem, new_draft(problem), everyone, stop_at_hard=decide, effort=effort, over=late)
    if late():
        draft = serve_in_turn(problem, draft, np.flatnonzero(draft.order_count == 0), effort=AT_ONCE)
    return draft


def own_bound(problem: Problem) -> float:
    """Bound the cost by what each order would cost if it were alone."""
    orders = np.arange(problem.orders)
    pricing = Pricing(problem, orders, problem.row_limit, problem.node_capacity_parcels)
    free = np.zeros(problem.rows), np.zeros(problem.nodes)
    return max(0.0, pricing.at(*free, pricing.start_lines(), ROUNDS_FIRST).bound_cents)


__all__ = ["Cheapest", "own_bound", "serve_cheapest"]
