"""`primal_dual`: no forecast; a unit gets dearer as the stock that it is part of is used up.

With `w` the share of a shelf that was used since its last receipt, a unit of it costs D (e^w - 1) / (e - 1), where D is what is at
stake: what orders that come cheapest from that shelf would have to pay if it were empty. Whatever comes, that is not worse by more
than a factor of 1 - 1/e where rewards are linear (Buchbinder, Jain and Naor 2007). Andrews, Farias, Khojandi and Yan 2019 charge so
for orders of several lines, and measured it at a retailer.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from solver.alone import alone_cents
from solver.draft import new_draft, plan_of, serve_in_turn
from solver.effort import Effort, Meter, Watch, unwatched
from solver.outlook import Outlook, Present, present_of
from solver.plan import Plan
from solver.policies.cheapest import own_bound
from solver.problem import Floats, Problem

A_RECEIPT = 0.1
"""A shelf that gained more than this share of what it held at most has had a receipt; less is a return or a recount."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is at stake, and how often prices follow.

    Attributes
    ----------
    stake
        `next`: what the next best node costs more, or leaving it open; `unfilled`: what leaving it open costs more.
    portion
        Orders of one wave that are decided at the same prices.
    """

    stake: Literal["next", "unfilled"] = "next"
    portion: Annotated[int, Meta(ge=1)] = 50


Shelves = dict[int, tuple[int, int]]
"""What each shelf (`Present.keys`) held after its last receipt, and what it held when it was last looked at."""


@dataclass(frozen=True)
class PrimalDual:
    """Decide order by order at prices of what is used up."""

    settings: Settings
    outlook: Outlook | None = None
    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide where nothing has been used yet."""
        return self.look(problem, present_of(problem), None)[0]

    def look(self, problem: Problem, present: Present, memory: Shelves | None) -> tuple[Plan, Shelves]:
        """Decide the orders as they stand, some at a time."""
        meter = Meter(self.effort, self.watch)
        keys = present.keys(problem).tolist()
        memory = dict(memory or {})
        for key, units in zip(keys, problem.row_limit.tolist(), strict=True):
            memory[key] = (_full(*memory.get(key, (0, 0)), units), units)
        full = np.array([memory[key][0] for key in keys], dtype=np.float64)
        stake = self._at_stake(problem)
        draft, price = new_draft(problem), np.zeros(problem.rows)
        for start in range(0, problem.orders, self.settings.portion):
            used = 1 - np.divide(draft.left, full, out=np.ones_like(full), where=full > 0)
            price = stake * np.expm1(np.clip(used, 0, 1)) / np.expm1(1)
            some = np.arange(start, min(problem.orders, start + self.settings.portion))
            draft = serve_in_turn(problem, draft, some, row_price=price)
        for key, (before, _), left in zip(keys, [memory[key] for key in keys], draft.left.tolist(), strict=True):
            memory[key] = (before, left)
        memory.pop(-1, None)
        bound, nodes = own_bound(problem, meter), np.zeros(problem.nodes)
        plan = plan_of(problem, draft, bound, price, nodes, meter.seconds, "primal_dual", self.seed)
        return replace(plan, seconds=meter.seconds), memory

    def _at_stake(self, problem: Problem) -> Floats:
        """(R,) cents, the mean over the lines that come cheapest from that stock."""
        line, node = problem.option_line, problem.option_node.astype(np.int64)
        none = np.zeros(len(line), dtype=np.int64)
        alone = alone_cents(problem, line, node, none) / problem.line_qty[line]
        cents = np.where(problem.option_reason == 0, alone, np.inf)
        by = np.lexsort((cents, line))
        start = problem.line_option_start[:-1]
        some = np.flatnonzero(np.diff(problem.line_option_start))
        best = by[start[some]]
        least = cents[best]
        otherwise = problem.line_open_cents[some].astype(np.float64)
        if self.settings.stake == "next":
            more = np.flatnonzero(np.diff(problem.line_option_start)[some] > 1)
            otherwise[more] = np.minimum(otherwise[more], cents[by[start[some[more]] + 1]])
        good = np.isfinite(least)
        row = problem.option_row[best[good], 0]
        saved = np.maximum(0.0, otherwise[good] - least[good])
        lines = np.bincount(row, minlength=problem.rows)
        return np.bincount(row, saved, minlength=problem.rows) / np.maximum(1, lines)


def _full(full: int, left: int, units: int) -> int:
    """What a shelf held after its last receipt, that has `units` now and had `left` before."""
    return units if units - left > A_RECEIPT * full else full


__all__ = ["PrimalDual", "Settings"]
