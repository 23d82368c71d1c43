"""`cheapest`: each order in turn at its own optimum, given what the orders before it left.

What the best engines that decide order by order can do. An order of up to twelve lines gets its proven optimum over nodes, services
and splits (of lines too), within its limits; a longer one the best that the local search finds. The bound is that of every order on
its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from solver.draft import AT_ONCE, Draft, cost_of, never, new_draft, plan_of, serve_in_turn
from solver.effort import Effort, Meter, Watch, unwatched
from solver.exact import decide_again, put_in_place
from solver.many import HASTY, QUICK, THOROUGH
from solver.offers import PAIRS_MAX
from solver.plan import Plan
from solver.prices import ROUNDS_FIRST, Priced, Pricing
from solver.problem import Bools, Ints, Problem

ORDER_NODES = 5_000
ORDER_SECONDS = 20.0
PROOF_SECONDS = 0.1
"""Time for each order from which a wave of orders of many units has each of them proven."""
CARE_SECONDS = ((THOROUGH, 4e-6), (QUICK, 2.4e-6), (HASTY, 0.6e-6))
"""How well the ways of orders of many units are sought, and the seconds that it takes for each of their options, more or less."""
PARTS = 50
"""Of the orders of a wave: how fast one is served tells with what care the next can be."""
PACE_SHARE, SERVE_SHARE, HASTY_SHARE, CAREFUL_SHARE = 0.4, 0.5, 0.65, 0.8
"""Of the time: to serve with care as far as can be foreseen, and at most; until all are served at once, and until the bound is no
longer sought with care."""


@dataclass(frozen=True)
class Cheapest:
    """Decide order by order, each at least cost."""

    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide the orders in the order in which they stand."""
        meter = Meter(self.effort, self.watch)
        draft = serve_cheapest(problem, meter)[0]
        bound = own_bound(problem, meter)
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        return plan_of(problem, draft, bound, *prices, meter.seconds, "cheapest", self.seed)


def serve_cheapest(problem: Problem, meter: Meter) -> tuple[Draft, bool]:
    """Serve all orders in turn, each at its own least cost; those that are left when a share of the time is over, hastily.

    `joint` begins with it under the same limits, so it never ends with a dearer plan where time suffices for all orders, or only
    work is limited; else two runs come as far as the machine lets each. Tells whether time sufficed to serve all with most effort.
    """
    seconds = float("inf") if meter.effort.seconds is None else SERVE_SHARE * meter.effort.seconds
    careful, hasty = meter.within(SERVE_SHARE), meter.within(HASTY_SHARE)

    def late() -> bool:
        return careful.spent

    nothing = np.zeros(problem.orders)
    free = Priced(
        np.zeros(problem.rows), np.zeros(problem.nodes), 0.0, nothing, problem.line_open_cents.astype(np.float64) * 0.5
    )

    def decide(draft: Draft, order: int) -> Draft:
        """An order too large for the recursion: a good start, then the proof."""
        alone = np.array([order])
        draft = serve_in_turn(problem, draft, alone)
        if late():
            return draft
        careful.tell("orders in turn", cost_of(problem, draft), 0.0)
        seconds = min(ORDER_SECONDS, careful.seconds_left) if meter.effort.seconds is not None else float("inf")
        outcome = decide_again(problem, draft, alone, free, seconds=seconds, nodes=ORDER_NODES, stop=meter.effort.stop)
        careful.work += 1 + outcome.work // 1000
        return put_in_place(problem, draft, outcome.ways)[0]

    hard = decide if seconds >= PROOF_SECONDS * problem.orders or few_units(problem) else None
    draft, most = new_draft(problem), True
    for part, effort in with_care(problem, meter.within(PACE_SHARE)):
        draft = serve_in_turn(problem, draft, part, stop_at_hard=hard, effort=effort, over=late)
        most &= effort == THOROUGH
    complete = not late()
    for less, over in ((HASTY, lambda: hasty.spent), (AT_ONCE, never)):
        left = np.flatnonzero(draft.order_count == 0)
        if complete or not len(left):
            break
        draft = serve_in_turn(problem, draft, left, effort=less, over=over)
    meter.work = careful.work
    return draft, complete and most


def with_care(problem: Problem, meter: Meter) -> Iterator[tuple[Ints, int]]:
    """Parts of the orders in turn, each with the most effort for which time suffices if all that follow get it too."""
    options = np.bincount(problem.line_order, np.diff(problem.line_option_start), minlength=problem.orders)
    options = np.where(many_units(problem), options, 0.0)
    served = np.concatenate([[0.0], np.cumsum(options)])
    ends = np.unique(np.searchsorted(served[1:], served[-1] * np.arange(1, PARTS) / PARTS, side="right"))
    slow = 1.0
    for part in np.split(np.arange(problem.orders), ends):
        if not len(part):
            continue
        here, left = served[part[-1] + 1] - served[part[0]], served[-1] - served[part[0]]
        fitting = (care for care in CARE_SECONDS if care[1] * slow * left <= meter.seconds_left)
        effort, seconds = next(fitting, CARE_SECONDS[-1])
        began = meter.seconds
        yield part, effort
        if here:
            slow = 0.5 * (slow + (meter.seconds - began) / (seconds * here))


def many_units(problem: Problem) -> Bools:
    """(O,) tell which orders are of so many units that few of them can be decided exactly."""
    pairs = np.log2((problem.line_qty + 1.0) * (problem.line_qty + 2.0) / 2)
    many: Bools = np.bincount(problem.line_order, pairs, minlength=problem.orders) > np.log2(PAIRS_MAX)
    return many


def few_units(problem: Problem) -> bool:
    """Tell whether most orders are of few units, so that few need a proof."""
    return bool(2 * many_units(problem).sum() <= problem.orders)


def own_bound(problem: Problem, meter: Meter) -> float:
    """Bound the cost by what each order would cost if it were alone; orders that time does not suffice for count as 0."""
    orders = np.arange(problem.orders)
    pricing = Pricing(problem, orders, problem.row_limit, problem.node_capacity_parcels)
    free = np.zeros(problem.rows), np.zeros(problem.nodes)
    careful = meter.within(CAREFUL_SHARE)
    priced, _ = pricing.look(
        *free, pricing.start_lines(), ROUNDS_FIRST, None, lambda: careful.late, lambda: meter.late
    )  # fmt: skip
    return max(0.0, priced.bound_cents)


__all__ = ["Cheapest", "own_bound", "serve_cheapest"]
