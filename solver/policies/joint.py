"""`joint`: all orders of the problem together, with a proof of how far from optimal the plan can be.

In order: the cheapest way for each order in turn; prices on what is contested, with the bound that they prove; plans guided by
those prices; small groups of orders decided again exactly, where most is to be gained; and, where that is within reach, one integer
program over every parcel that a better plan could still use, which proves the optimum.
"""

from dataclasses import dataclass, field

import numpy as np

from solver.draft import Draft, copy_draft, cost_of, new_draft, plan_of, serve_in_turn
from solver.effort import Effort, Meter, Watch, unwatched
from solver.exact import decide_again
from solver.neighbours import Neighbours
from solver.plan import Plan
from solver.policies.cheapest import serve_cheapest
from solver.prices import Priced, Pricing, ascend
from solver.problem import Ints, Problem

PASSES = 150
"""Price changes at most; each prices every order once."""
PROOF_ORDERS = 3_000
"""Waves up to this size are taken to a proof by one integer program."""
PROOF_PARCELS = 250_000
GROUP_SECONDS = 20.0
GROUP_NODES = 50
GROUP_ORDERS = 400
GROUP_PARCELS = 3_500
FIRST_GROUP = 24
STALE_GROUPS = 10
"""Groups in a row without a better plan, after which a proof of the whole wave is tried."""
GROUPS_AHEAD = 10
"""Groups (and one more for each forty orders) after which it is tried in any case."""
GIVE_UP_GROUPS = 200
"""The same, after which the search ends."""


@dataclass(frozen=True)
class Joint:
    """Decide all orders together.

    Parameters
    ----------
    effort
        Limits of time and work. Within them a wave of some hundred orders is solved to proven optimality.
    seed
        Which groups of orders are tried first.
    """

    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide the problem, starting from its prices."""
        meter = Meter(self.effort, self.watch)
        draft = serve_cheapest(problem, meter)
        pricing = Pricing(
            problem,
            np.arange(problem.orders),
            problem.row_limit,
            problem.node_capacity_parcels,
            draft.cost.astype(np.float64),
        )
        warm = bool(problem.row_price.any() or problem.node_price.any())
        priced = ascend(
            pricing, problem.row_price, np.where(pricing.limited, np.minimum(problem.node_price, pricing.ceiling), 0.0),
            cost_of(problem, draft), meter, PASSES, warm=warm, seconds=0.4 * meter.seconds_left,
        )  # fmt: skip
        bound = max(0.0, priced.bound_cents)
        draft = guided(problem, draft, priced, meter)
        meter.tell("guided by prices", cost_of(problem, draft), bound)
        draft, bound = self._search(problem, draft, priced, bound, meter)
        return plan_of(problem, draft, bound, priced.row_price, priced.node_price, meter.seconds, "joint", self.seed)

    def _search(
        self, problem: Problem, draft: Draft, priced: Priced, bound: float, meter: Meter
    ) -> tuple[Draft, float]:
        """Decide groups of orders again until nothing is gained, and the whole wave where it can be proven."""
        rng = np.random.default_rng(self.seed)
        groups = Neighbours(problem, priced)
        size, stale = FIRST_GROUP, 0
        ahead = GROUPS_AHEAD + problem.orders // 40 if problem.orders > FIRST_GROUP else 0
        provable, tried_at = problem.orders <= PROOF_ORDERS, float("inf")
        while not meter.spent and not proven(problem, draft, bound):
            slack = cost_of(problem, draft) - bound
            if provable and slack < 0.7 * tried_at and (stale >= STALE_GROUPS or ahead <= 0):
                tried_at = slack
                outcome = decide_again(
                    problem, draft, np.arange(problem.orders), priced.row_price, priced.node_price,
                    line_price=priced.line_price, seconds=meter.seconds_left, nodes=1000 * meter.work_left, seed=self.seed,
                    most=PROOF_PARCELS,
                )  # fmt: skip
                meter.work += 1 + outcome.work // 1000
                bound = max(bound, outcome.bound_cents)
                stale = 0
            elif stale >= GIVE_UP_GROUPS:
                break
            else:
                outcome = decide_again(
                    problem, draft, groups.pick(draft, size, rng), priced.row_price, priced.node_price,
                    line_price=priced.line_price, seconds=min(GROUP_SECONDS, meter.seconds_left), nodes=GROUP_NODES,
                    seed=self.seed, most=GROUP_PARCELS,
                )  # fmt: skip
                meter.work += 1
                ahead -= 1
                size = grown(size, outcome.tried, problem.orders)
                stale = 0 if outcome.improved else stale + 1
            draft = outcome.draft
            meter.tell("deciding groups again", cost_of(problem, draft), bound)
        return draft, bound


def guided(problem: Problem, draft: Draft, priced: Priced, meter: Meter) -> Draft:
    """Serve all orders at the prices, dearest first, and each again at its own bill; keep the draft if that is better."""
    best, least = draft, cost_of(problem, draft)
    by_value = np.argsort(-priced.order_value, kind="stable").astype(np.int64)
    for start in (None, draft):
        if meter.spent:
            break
        trial = copy_draft(draft) if start is not None else new_draft(problem)
        if start is None:
            trial = serve_in_turn(problem, trial, by_value, row_price=priced.row_price, node_price=priced.node_price)
        trial = settle(problem, trial, by_value, meter)
        if cost_of(problem, trial) < least:
            best, least = trial, cost_of(problem, trial)
    return best


def settle(problem: Problem, draft: Draft, sequence: Ints, meter: Meter) -> Draft:
    """Serve each order again at its own bill until that gains less than a hundredth of a percent."""
    cost = cost_of(problem, draft)
    while not meter.spent:
        draft = serve_in_turn(problem, draft, sequence, improve=True)
        before, cost = cost, cost_of(problem, draft)
        meter.work += 1
        if cost >= before * (1 - 1e-4):
            break
    return draft


def proven(problem: Problem, draft: Draft, bound: float) -> bool:
    """Tell whether no plan can be a cent cheaper."""
    return bound > cost_of(problem, draft) - 1 + 1e-6


def grown(size: int, tried: bool, orders: int) -> int:
    """Size of the next group: larger while programs stay small, smaller when one was too large."""
    return min(orders, GROUP_ORDERS, int(size * 1.15) + 1) if tried else max(8, int(size * 0.6))


__all__ = ["Joint"]
