"""Policies side by side on one problem: run, judged by the checker, and measured in one way."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from time import monotonic
from typing import Any

from solver import policies
from solver.bill import measure
from solver.check import check
from solver.effort import Effort, Watch, unwatched
from solver.kernels import warm_up
from solver.plan import Plan
from solver.policies.named import make_named
from solver.policies.own import Own, find, is_own, make_own
from solver.problem import Problem
from solver.refusal import Refusal

JOINT = "joint"
USUAL = ("nearest", "fewest_parcels", "cheapest", JOINT)
"""What is compared unless someone asks otherwise: `cp_sat` joins by name, because it takes the whole time limit."""


@dataclass(frozen=True)
class Row:
    """What one policy made of the problem.

    Attributes
    ----------
    gap
        How far from optimal this plan can be, as a share of its cost, measured from the best bound of all policies.
    over_joint
        How much more than the joint plan it costs, as a share of the joint plan's cost; `None` where joint did not run.
    """

    policy: str
    status: str
    cost_cents: int
    bound_cents: float
    gap: float
    over_joint: float | None
    bill: dict[str, int]
    parcels: int
    orders: int
    orders_shipped: int
    orders_split: int
    split_rate: float
    units_asked: int
    units_filled: int
    fill_rate: float
    parcels_late: int
    late_rate: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Every policy's plan of one problem, and its row in the table."""

    problem: Problem
    plans: dict[str, Plan]
    rows: list[Row]
    bound_cents: float

    def row(self, policy: str) -> Row | None:
        """The row of a policy, `None` where it did not run."""
        return next((row for row in self.rows if row.policy == policy), None)

    def as_json(self) -> dict[str, Any]:
        """The rows as plain values."""
        return {"bound_cents": self.bound_cents, "policies": [asdict(row) for row in self.rows]}


def known(names: Sequence[str], *, ahead: bool = False) -> tuple[str, ...]:
    """Refuse a policy that is not there or cannot be told so, and drop what is named twice.

    Those in files of one's own are found, and their files run: what comes here is what somebody typed, never a request.

    Parameters
    ----------
    ahead
        Whether there are past orders, so that those that look ahead can be used.
    """
    there = (*policies.NAMES, *policies.AHEAD) if ahead else policies.NAMES
    chosen: dict[str, str] = {}
    for text in names:
        if is_own(text):
            own = _found(text, chosen, ahead=ahead)
            chosen[own] = own
            continue
        name = text.partition(":")[0]
        if name in policies.AHEAD and not ahead:
            message = f"{name!r} looks ahead, and one wave has no past to learn from: replay a history under it"
            raise Refusal("--policy", message, "needs_history")
        if name not in there:
            raise Refusal("--policy", f"{name!r} is not a policy; there are {', '.join(there)}", "unknown_policy")
        chosen[text] = text
    return tuple(chosen.values())


def _found(text: str, chosen: Mapping[str, str], *, ahead: bool) -> Own:
    """Find a policy in a file, and refuse it where tables could not tell it from another, or it cannot be made."""
    own = find(text)
    same = chosen.get(own, own)
    if own.base in (*policies.NAMES, *policies.AHEAD) or (isinstance(same, Own) and same.path != own.path):
        raise Refusal(text, f"another policy is called {own.base}, too; give the file another name", "duplicate_id")
    if not (ahead and own.looks_ahead):
        make_own(own, Effort(0.0))
    return own


def solve(problem: Problem, name: str, effort: Effort, seed: int, watch: Watch = unwatched) -> Plan:
    """Decide a problem by a policy, and have the checker read the plan: a violation is a bug and stops the work."""
    warm_up()
    policy = make_named(name, effort, seed, watch)
    started = monotonic()
    plan = policy(problem)
    plan = replace(plan, policy=str(name), seed=seed, seconds=monotonic() - started)
    verdict = check(problem, plan)
    assert verdict.ok, f"{name} broke the rules: {'; '.join(verdict.violations[:3])}"
    return plan


def compare(
    problem: Problem,
    names: Sequence[str],
    effort: Effort,
    seed: int,
    watch: Watch = unwatched,
) -> Comparison:
    """Run policies on a problem, one after the other."""
    plans = {}
    for name in names:
        watch(name, 0.0, math.inf, -math.inf)
        plans[name] = solve(problem, name, effort, seed, watch)
    return side_by_side(problem, plans)


def side_by_side(problem: Problem, plans: dict[str, Plan]) -> Comparison:
    """Measure plans of one problem. A bound holds for all of them, so each is measured from the best one."""
    bound = max(plan.bound_cents for plan in plans.values())
    least = min(plan.cost_cents for plan in plans.values())
    assert bound <= least + 1e-6, f"a bound of {bound} is above a plan of {least}"
    plans = {name: replace(plan, bound_cents=bound) for name, plan in plans.items()}
    joint = plans.get(JOINT)
    rows = [row_of(problem, plan, joint) for plan in plans.values()]
    return Comparison(problem, plans, rows, bound)


def row_of(problem: Problem, plan: Plan, joint: Plan | None) -> Row:
    """Measure one plan."""
    measures = measure(problem, plan)
    return Row(
        policy=plan.policy or "",
        status=plan.status,
        cost_cents=plan.cost_cents,
        bound_cents=plan.bound_cents,
        gap=plan.gap,
        over_joint=(plan.cost_cents - joint.cost_cents) / joint.cost_cents if joint and joint.cost_cents else None,
        bill=dict(measures.bill),
        parcels=measures.parcels,
        orders=measures.orders,
        orders_shipped=measures.orders_shipped,
        orders_split=measures.orders_split,
        split_rate=measures.split_rate,
        units_asked=measures.units_asked,
        units_filled=measures.units_filled,
        fill_rate=measures.fill_rate,
        parcels_late=measures.parcels_late,
        late_rate=measures.late_rate,
        seconds=plan.seconds,
    )
