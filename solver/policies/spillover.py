"""`spillover`: what a node expects to need for its own customers is not given to those of others.

An order is local to the node that is closest to it, or to those where it may be collected. Where a node holds less of a SKU than a
reserve, only local orders may draw on it, others on what is above. The reserve is a share of the units that the outlook expects
close to that node until the next receipt. DeValve, Wei, Wu and Yuan 2023 limit spillovers so, and estimate what they cost.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from solver.closest import closest_nodes
from solver.effort import Effort, Meter, Watch, unwatched
from solver.foresight import billed, decider
from solver.outlook import Outlook, Present, present_of
from solver.plan import Plan
from solver.problem import Bools, Ints, Problem


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much is kept, for how long, and who decides within these limits.

    Attributes
    ----------
    reserve
        Units kept over units expected.
    days
        Expected for so many days, where no receipt comes earlier.
    by
        The policy that decides.
    """

    reserve: Annotated[float, Meta(ge=0)] = 0.5
    days: Annotated[float, Meta(gt=0, le=365)] = 7.0
    by: str = "cheapest"


@dataclass(frozen=True)
class Spillover:
    """Decide within limits on what goes to customers of other nodes."""

    settings: Settings
    outlook: Outlook
    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide where the problem has all the stock there is."""
        return self.look(problem, present_of(problem), None)[0]

    def look(self, problem: Problem, present: Present, memory: Any) -> tuple[Plan, Any]:
        """Decide; there is nothing to remember."""
        meter = Meter(self.effort, self.watch)
        expected = self.outlook.expected(present, present.sku_of(problem), days=self.settings.days)
        reserve = np.ceil(self.settings.reserve * expected - 1e-9).astype(np.int64)
        limited = kept_local(problem, reserve)
        plan = decider(self.settings.by, self.effort, self.seed, self.watch)(limited)
        return billed(problem, plan, np.zeros(problem.rows), "spillover", self.seed, meter), memory


def kept_local(problem: Problem, reserve: Ints) -> Problem:
    """The same problem where only so many units of each stock may go to orders that are closer to another node.

    Parameters
    ----------
    reserve
        (K, J) units that are for local orders alone, as far as they are there.
    """
    stock = np.flatnonzero((problem.row_sku >= 0) & (problem.row_node >= 0))
    spare = np.maximum(0, problem.row_limit[stock] - reserve[problem.row_sku[stock], problem.row_node[stock]])
    spill_row = np.full(problem.rows, -1)
    spill_row[stock] = problem.rows + np.arange(len(stock))
    foreign = ~_local(problem)
    added = np.where(foreign[:, None] & (problem.option_row >= 0), np.append(spill_row, -1)[problem.option_row], -1)
    return replace(
        problem,
        option_row=np.concatenate([problem.option_row, added], axis=1).astype(np.int32),
        option_use=np.concatenate([problem.option_use, np.where(added >= 0, problem.option_use, 0)], axis=1),
        row_limit=np.concatenate([problem.row_limit, spare]),
        row_node=np.concatenate([problem.row_node, problem.row_node[stock]]),
        row_sku=np.concatenate([problem.row_sku, np.full(len(stock), -1, dtype=np.int32)]),
        row_price=np.concatenate([problem.row_price, np.zeros(len(stock))]),
    )


def _local(problem: Problem) -> Bools:
    """(Q,) whether the option's node is the closest of all to the order, or one where it may be collected."""
    closest = closest_nodes(problem, problem.dest_node, problem.dest_lat, problem.dest_lon)
    order = np.repeat(np.arange(problem.orders), np.diff(problem.order_dest_start))
    own = (order * problem.nodes + closest)[closest >= 0]
    local: Bools = np.isin(problem.line_order[problem.option_line] * problem.nodes + problem.option_node, own)
    return local


__all__ = ["Settings", "Spillover", "kept_local"]
