"""`window`: orders wait, as long as their promise allows and no longer than so many days, and all that wait are decided anew.

At every call another policy decides all open orders together, but only those that can wait no longer are released as it says:
those that would be late if they left one call later, those that would be given up before it, and those that have waited long
enough. Until then nothing is fixed, so that what was planned for an order is planned again beside those that have come since. Xu,
Allgor and Graves 2009 measured what deciding again before the pick is worth; Wei, Jasin and Kapuscinski 2021 batch orders so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from solver.bill import bill, days_late
from solver.effort import Effort, Policy, Watch, unwatched
from solver.outlook import Outlook, Present, present_of
from solver.plan import Plan, part_of
from solver.policies import decide, make
from solver.problem import Bools, Ints, Problem

MINUTES_PER_DAY = 1440


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long orders wait, and who decides.

    Attributes
    ----------
    days
        An order waits for so many days at most; `None`: for as long as its promise allows.
    step
        Days from one call to the next.
    by, settings
        The policy that decides, which may itself look ahead, and what it is told.
    """

    days: Annotated[float, Meta(ge=0)] | None = 1.0
    step: Annotated[int, Meta(ge=1)] = 1
    by: str = "joint"
    settings: Mapping[str, Any] = {}


@dataclass(frozen=True, eq=False)
class Waiting:
    """When each order that waits was first seen, and what the policy that decides remembers."""

    since: Mapping[str, int]
    inner: Any


@dataclass(frozen=True)
class Window:
    """Let another policy decide, and release no order before it must go."""

    settings: Settings
    outlook: Outlook | None = None
    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched
    inner: Policy = field(init=False)

    def __post_init__(self) -> None:
        told = self.settings
        inner = make(told.by, self.effort, self.seed, self.watch, told.settings or None, self.outlook)
        object.__setattr__(self, "inner", inner)

    def __call__(self, problem: Problem) -> Plan:
        """Decide where all orders are new."""
        return self.look(problem, present_of(problem), None)[0]

    def look(self, problem: Problem, present: Present, memory: Waiting | None) -> tuple[Plan, Waiting]:
        """Plan all orders, and release those that can wait no longer."""
        before = Waiting({}, None) if memory is None else memory
        since = {name: before.since.get(name, present.at) for name in problem.order_id}
        plan, inner = decide(self.inner, problem, lambda: present, before.inner)
        first = np.array([*since.values()], dtype=np.int64)
        waited = (present.at - first) / MINUTES_PER_DAY
        due = _given_up(present, first)
        if self.settings.days is not None:
            due |= waited >= self.settings.days
        due[plan.parcel_order[days_late(problem, plan) > -self.settings.step]] = True
        return replace(released(problem, plan, due), policy="window"), Waiting(since, inner)


def _given_up(present: Present, since: Ints) -> Bools:
    """(O,) which orders, first seen at a minute each, are open no longer at the next call."""
    if present.next_at is None or (present.next_at >= 0 and present.give_up_days is None):
        return np.zeros(len(since), dtype=np.bool_)
    days = present.give_up_days or 0
    return np.asarray((present.next_at < 0) | (since + days * MINUTES_PER_DAY < present.next_at))


def released(problem: Problem, plan: Plan, due: Bools) -> Plan:
    """The part of a plan that concerns orders that are due; all others stay open."""
    part = part_of(plan, due[plan.parcel_order])
    cost = sum(bill(problem, part).values())
    return replace(part, cost_cents=cost, bound_cents=min(plan.bound_cents, float(cost)))


__all__ = ["Settings", "Waiting", "Window", "released"]
