"""`joint`: all orders of the problem together, with a proof of how far from optimal the plan can be.

In order: a first plan, order by order; prices on what is contested, with the bound that they prove; a plan guided by those prices;
ejections, where one order takes what another holds; small groups of orders decided again exactly; and, where that is within reach,
one integer program over every parcel that a better plan could still use, which proves the optimum.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from solver.closing import WORK, close_in_on
from solver.draft import (
    Draft,
    copy_draft,
    cost_of,
    new_draft,
    plan_of,
    serve_as,
    serve_in_turn,
)
from solver.effort import Effort, Meter, Watch, unwatched
from solver.eject import eject
from solver.exact import Outcome, decide_again, decide_all, put_in_place
from solver.many import QUICK, THOROUGH
from solver.neighbours import Neighbours, costs_at
from solver.plan import Plan
from solver.policies.cheapest import few_units, serve_cheapest
from solver.prices import ROUNDS, Ascent, Priced, Pricing, ascend
from solver.problem import NO_LIMIT, Floats, Ints, Problem
from solver.ways import Ways

PRICES_SHARE, CLOSE_SHARE = 0.4, 0.6
"""Of what is left of the time after the first plan, for the prices; of what is left after their plan, to close in on orders of many
lines."""
OWN_SHARE, REFINE_SHARE = 0.6, 0.15
"""Where most orders are of many units: of what is left, to close in on them before prices are sought, and to serve them again one
by one where there was no time to serve them with most effort."""
CAREFUL = 3.5
"""The first pass of prices is careful with orders of many lines if there is so many times the time that serving all took."""
AGAIN = 3
"""All orders are served anew at the prices if there is so many times the time that serving them took at first."""
EASED = (0.9, 0.8, 0.65, 0.5, 0.3)
"""Shares of the prices at which all orders choose again, one after the other."""
SAMPLE, SAMPLE_LEAST, SAMPLE_SHARE = 0.05, 200, 0.2
"""The share of orders that prices on capacities are first sought for, how many at least, and the share of time for that."""
LITTLE = 0.02
"""A sweep of ejections that closes less than this share of the gap is the last one for now."""
SPREAD = (0.3, 1.3)
"""Ejections look at the prices times something drawn from here, so that each sweep tries other ideals."""
SWEEPS = 8
PROOF_ORDERS = 3_000
"""Waves up to this size are taken to a proof by one integer program."""
PROOF_PARCELS = 250_000
GROUP_SECONDS = 10.0
GROUP_NODES = 50
GROUP_PARCELS = 6_000
GROUP_FIRST, GROUP_LEAST, GROUP_MOST = 40, 8, 300
SIDE_BY_SIDE = 2
"""Groups decided from the same draft at once."""
ROUND_GROUPS = 60
"""Groups between two rounds of ejections."""
STALE_ROUNDS = 3
"""Rounds without a better plan, after which the search ends."""

_THREADS = ThreadPoolExecutor(max_workers=SIDE_BY_SIDE, thread_name_prefix="groups")


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
        search = Search(problem, *serve_cheapest(problem, meter), meter, self.seed)
        if search.many and not search.first_complete:
            search.refine(QUICK, REFINE_SHARE)
        search.price(PRICES_SHARE)
        if search.priced_all and not (search.many and meter.seconds_left < AGAIN * search.first_seconds):
            search.follow_prices()
        search.close_in(CLOSE_SHARE)
        search.refine(THOROUGH, 1.0)
        if search.priced_all:
            search.improve()
        return plan_of(
            problem, search.draft, search.bound, search.priced.row_price, search.priced.node_price, meter.seconds, "joint",
            self.seed,
        )  # fmt: skip


class Search:
    """The best plan and the best bound so far, and the ways to better ones."""

    def __init__(self, problem: Problem, draft: Draft, complete: bool, meter: Meter, seed: int) -> None:
        self.problem, self.draft, self.meter = problem, draft, meter
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        self.cost = cost_of(problem, draft)
        everyone = np.arange(problem.orders)
        self.first_seconds, self.first_complete, self.many = meter.seconds, complete, not few_units(problem)
        self.pricing = Pricing(problem, everyone, problem.row_limit, problem.node_capacity_parcels)
        self.bound = 0.0
        rows, nodes, orders, lines = map(np.zeros, (problem.rows, problem.nodes, problem.orders, problem.lines))
        self.priced = Priced(rows, nodes, 0.0, orders, lines)
        self.size = GROUP_FIRST

    def over(self) -> bool:
        """Tell whether to end."""
        return self.meter.spent

    @property
    def proven(self) -> bool:
        """Tell whether no plan can be a cent cheaper."""
        return self.bound > self.cost - 1 + 1e-6

    def keep(self, draft: Draft, doing: str) -> float:
        """Keep a draft if it costs less; returns how much less."""
        cost = cost_of(self.problem, draft)
        gained = self.cost - cost
        if gained >= 0:
            self.draft, self.cost = draft, cost
        self.meter.tell(doing, self.cost, self.bound)
        return max(0.0, gained)

    def price(self, share: float) -> None:
        """Seek prices and the bound that they prove, for a share of the time."""
        until = self.meter.seconds + share * self.meter.seconds_left
        enough = self.first_complete and self.meter.seconds_left >= CAREFUL * self.first_seconds
        row_price, node_price = self.problem.row_price, self.problem.node_price
        if self.many and self.first_complete and self.pricing.limited.any() and not node_price.any():
            row_price, node_price = self.sample_prices(SAMPLE_SHARE)
        ascent = Ascent(
            self.pricing, row_price, node_price, self.meter, until, self.many and not enough,
            lambda rows, nodes: costs_at(self.problem, self.draft, rows, nodes),
        )  # fmt: skip
        if ascent.roughly and ascent.complete:
            self._take(ascent.best, ascent.ways)
            self._close(WORK[:1], self.meter.seconds + OWN_SHARE * self.meter.seconds_left)
            ascent.closer(self.priced)
        ascent.rounds(ROUNDS, self.cost)
        self._take(ascent.best, ascent.ways)
        self.priced_all = ascent.complete

    def sample_prices(self, share: float) -> tuple[Floats, Floats]:
        """Seek prices on the capacities for some of the orders, which have their part of them, for a share of the time.

        Many orders share a node, so that some tell what it is worth to all; stock they hardly share.
        """
        problem, until = self.problem, self.meter.seconds + share * self.meter.seconds_left
        part = min(1.0, max(SAMPLE, SAMPLE_LEAST / problem.orders))
        orders = np.sort(self.rng.choice(problem.orders, int(part * problem.orders), replace=False)).astype(np.int64)
        capacity = problem.row_sku < 0
        left = np.where(capacity, np.ceil(part * problem.row_limit), problem.row_limit).astype(np.int64)
        capped = problem.node_capacity_parcels < NO_LIMIT // 2
        spare = np.where(capped, np.ceil(part * problem.node_capacity_parcels), problem.node_capacity_parcels)
        pricing = Pricing(problem, orders, left, spare.astype(np.int64))
        quiet = replace(self.meter, watch=unwatched)
        best = ascend(pricing, problem.row_price, problem.node_price, float("inf"), quiet, until).best
        self.meter.work = quiet.work
        self.meter.tell("pricing", self.cost, self.bound)
        return np.where(capacity, best.row_price, problem.row_price), best.node_price

    def _take(self, priced: Priced, ways: Ways) -> None:
        """Go by these prices from now on."""
        self.priced = priced
        self.ways = ways
        self.bound = max(self.bound, priced.bound_cents)
        self.neighbours = Neighbours(self.problem, priced, ways)
        self.by_value = np.argsort(-priced.order_value, kind="stable").astype(np.int64)
        self.contesting = self.by_value[self.neighbours.contests[self.by_value]]

    def follow_prices(self) -> None:
        """Serve all orders at the prices, dearest first, then again and again at lower ones, and last each at its own bill."""
        draft = new_draft(self.problem)
        for share in (1.0, *EASED):
            if self.meter.spent:
                break
            draft = serve_in_turn(
                self.problem, draft, self.by_value if share == 1.0 else self.contesting, effort=QUICK, over=self.over,
                row_price=self.priced.row_price * share, node_price=self.priced.node_price * share,
            )  # fmt: skip
            self.meter.work += 1
        if not self.meter.spent:
            draft = serve_in_turn(self.problem, draft, self.contesting, improve=True, effort=QUICK, over=self.over)
        self.keep(draft, "guided by prices")

    def close_in(self, share: float) -> None:
        """Raise the bound of orders of many lines one by one, for a share of the time, and give them the better ways found."""
        if not self.pricing.few.all():
            # the first round finds little where line prices have been raised with care
            self._close(WORK[1:], self.meter.seconds + share * self.meter.seconds_left)

    def _close(self, rounds: tuple[int, ...], until: float) -> None:
        priced = self.priced
        known = priced.order_value + self.neighbours.excess(self.draft)
        known = np.minimum(known, self.ways.least(np.concatenate([priced.row_price, priced.node_price])))

        def told(bound: float) -> None:
            self.meter.work += 1
            self.meter.tell("closing in", self.cost, max(self.bound, bound))

        closer, ways = close_in_on(
            self.pricing, priced, np.maximum(known, priced.order_value), rounds,
            lambda: self.meter.spent or self.meter.seconds > until, told,
        )  # fmt: skip
        self._take(closer, self.ways)
        self.keep(serve_as(self.problem, copy_draft(self.draft), ways), "closing in")

    def refine(self, effort: int, share: float) -> None:
        """Serve the orders of many lines again, each by itself, those first that are furthest from their bound."""
        until = self.meter.seconds + share * self.meter.seconds_left
        many = self.pricing.orders[~self.pricing.few]
        excess = self.draft.cost[many] - self.priced.order_value[many]
        sequence = many[np.argsort(-excess, kind="stable")]
        draft = serve_in_turn(
            self.problem, self.draft, sequence, improve=True, effort=effort,
            over=lambda: self.meter.spent or self.meter.seconds > until,
        )  # fmt: skip
        self.meter.work += len(many) > 0
        self.keep(draft, "orders in turn")

    def improve(self) -> None:
        """Eject, decide groups again, and prove, until nothing more is gained."""
        provable, tried_at, stale = self.problem.orders <= PROOF_ORDERS, float("inf"), 0
        while not self.meter.spent and not self.proven and stale < STALE_ROUNDS:
            before, bound = self.cost, self.bound
            self.eject()
            if provable and self.cost - self.bound < 0.7 * tried_at:
                tried_at = self.cost - self.bound
                self.prove()
            else:
                self.decide_groups()
            stale = 0 if self.cost < before or self.bound > bound else stale + 1

    def eject(self) -> None:
        """Sweep over all orders that pay more than their best at the prices, while that gains enough."""
        for _ in range(SWEEPS):
            if self.meter.spent or self.proven:
                return
            excess = self.neighbours.excess(self.draft)
            sequence = np.flatnonzero(excess > 1)
            sequence = sequence[np.argsort(-excess[sequence], kind="stable")]
            priced = replace(
                self.priced,
                row_price=self.priced.row_price * self.rng.uniform(*SPREAD, self.problem.rows),
                node_price=self.priced.node_price * self.rng.uniform(*SPREAD, self.problem.nodes),
            )
            seed = int(self.rng.integers(2**31))
            draft = eject(self.problem, self.draft, self.pricing, priced, sequence, seed, self.meter)
            if self.keep(draft, "ejecting") < LITTLE * (self.cost - self.bound):
                break
        if not self.meter.spent:
            draft = serve_in_turn(self.problem, self.draft, self.contesting, improve=True, effort=QUICK, over=self.over)
            self.keep(draft, "ejecting")

    def decide_groups(self) -> None:
        """Decide groups again around the orders that pay most above their best, two at a time."""
        excess = self.neighbours.excess(self.draft)
        seeds = [int(order) for order in np.argsort(-excess, kind="stable")[: 4 * ROUND_GROUPS] if excess[order] > 1]
        visited: set[int] = set()
        for _ in range(ROUND_GROUPS // SIDE_BY_SIDE):
            groups: list[Ints] = []
            taken: set[int] = set()
            while seeds and len(groups) < SIDE_BY_SIDE:
                order = seeds.pop(0)
                if order not in visited and order not in taken:
                    groups.append(self.neighbours.around(order, self.size, taken, self.rng))
                    taken.update(groups[-1].tolist())
            if not groups or self.meter.spent or self.proven:
                return
            outcomes = list(_THREADS.map(self._decide, groups))
            for outcome in outcomes:
                self.meter.work += 1
                if outcome.ways:
                    self.keep(put_in_place(self.problem, self.draft, outcome.ways)[0], "deciding groups again")
            visited |= taken
            small = all(outcome.tried for outcome in outcomes)
            self.size = min(GROUP_MOST, self.size + 4) if small else max(GROUP_LEAST, int(self.size * 0.7))

    def _decide(self, orders: Ints) -> Outcome:
        return decide_again(
            self.problem, self.draft, orders, self.priced, seconds=min(GROUP_SECONDS, self.meter.seconds_left),
            nodes=GROUP_NODES, seed=self.seed, most=GROUP_PARCELS, stop=self.meter.effort.stop,
        )  # fmt: skip

    def prove(self) -> None:
        """Decide all orders by one integer program: side by side, unless the same work must give the same plan."""
        if self.meter.effort.work is None:
            outcome = decide_all(
                self.problem, self.draft, self.priced, seconds=self.meter.seconds_left, seed=self.seed, most=PROOF_PARCELS,
                stop=self.meter.effort.stop, tell=self._tell_proof,
            )  # fmt: skip
        else:
            outcome = decide_again(
                self.problem, self.draft, np.arange(self.problem.orders), self.priced, seconds=self.meter.seconds_left,
                nodes=1000 * self.meter.work_left, seed=self.seed, most=PROOF_PARCELS, stop=self.meter.effort.stop,
            )  # fmt: skip
        self.meter.work += 1 + outcome.work // 1000
        self.bound = max(self.bound, outcome.bound_cents)
        self.keep(put_in_place(self.problem, copy_draft(self.draft), outcome.ways)[0], "proving")

    def _tell_proof(self, cost: float, bound: float) -> None:
        self.meter.tell("proving", min(cost, self.cost), max(bound, self.bound))


__all__ = ["Joint"]
