"""Deciding a problem in slices, one after the other, each on the stock that the slices before it left.

Products that decide in batches of limited size do this; what it costs against deciding all at once is what joint stock
consistency is worth.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from solver.bill import bill
from solver.effort import Effort
from solver.plan import Plan
from solver.policies import make
from solver.problem import NO_LIMIT, Ints, Problem


class Slice(NamedTuple):
    """Some orders as a problem of their own, and which orders, lines and destinations of the whole they are."""

    problem: Problem
    orders: Ints
    lines: Ints
    dests: Ints


def slice_of(problem: Problem, orders: Ints, left: Ints, node_left: Ints) -> Slice:
    """Make a problem of some orders.

    Parameters
    ----------
    orders
        Indices, ascending.
    left, node_left
        (R,), (J,) what they may draw on: units of rows, parcels of nodes.
    """
    lines, line_start = _members(problem.order_line_start, orders)
    dests, dest_start = _members(problem.order_dest_start, orders)
    options, option_start = _members(problem.line_option_start, lines)
    tables = {"order": orders, "line": lines, "dest": dests, "option": options}
    columns = {
        name: getattr(problem, name)[tables[name.split("_")[0]]]
        for name in Problem.__dataclass_fields__
        if name.split("_")[0] in tables and not name.endswith("_start") and name != "order_id"
    }
    part = replace(
        problem,
        **columns,
        order_id=tuple(problem.order_id[o] for o in orders),
        order_line_start=line_start,
        order_dest_start=dest_start,
        line_option_start=option_start,
        lane_zone=problem.lane_zone[dests],
        row_limit=np.maximum(0, left),
        node_capacity_parcels=np.where(
            problem.node_capacity_parcels < NO_LIMIT, np.maximum(0, node_left), problem.node_capacity_parcels
        ),
    )
    return Slice(part, orders, lines, dests)


def drawn(problem: Problem, plan: Plan) -> tuple[Ints, Ints]:
    """(R,), (J,) what a plan draws from each row, and its parcels at each node."""
    option = problem.find_options(plan.entry_line, plan.parcel_node[plan.entry_parcel])
    used = np.zeros(problem.rows, dtype=np.int64)
    for row, use in zip(problem.option_row.T, problem.option_use.T, strict=True):
        there = row[option] >= 0
        np.add.at(used, row[option[there]], plan.entry_units[there] * use[option[there]])
    return used, np.bincount(plan.parcel_node, minlength=problem.nodes)


def by_lines(problem: Problem, most: int) -> Iterator[Ints]:
    """Give the orders as they stand, in slices of so many lines; an order is never cut."""
    first = 0
    while first < problem.orders:
        room = problem.order_line_start[first] + most
        last = int(np.searchsorted(problem.order_line_start, room, side="right")) - 1
        last = max(first + 1, last)
        yield np.arange(first, last)
        first = last


def decide_in_slices(
    problem: Problem, policy: str, slice_lines: int, seconds: float, seed: int, clock: Callable[[], float]
) -> Plan:
    """Decide slice after slice; the seconds that are left are shared out evenly over the slices to come."""
    slices = list(by_lines(problem, slice_lines))
    left, node_left = problem.row_limit.copy(), problem.node_capacity_parcels.copy()
    parts, plans = [], []
    for number, orders in enumerate(slices):
        part = slice_of(problem, orders, left, node_left)
        share = max(0.0, seconds - clock()) / (len(slices) - number)
        plan = make(policy, Effort(seconds=share), seed)(part.problem)
        used, parcels = drawn(part.problem, plan)
        left, node_left = left - used, node_left - parcels
        parts.append(part)
        plans.append(plan)
    return joined(problem, parts, plans)


def joined(problem: Problem, parts: list[Slice], plans: list[Plan]) -> Plan:
    """Make one plan of the plans of slices. Their bounds say nothing of the whole."""

    def together(columns: list[Ints]) -> Ints:
        return np.concatenate(columns) if columns else np.zeros(0, dtype=np.int64)

    sizes = together([np.diff(plan.entry_start) for plan in plans])
    whole = Plan(
        parcel_order=together([part.orders[plan.parcel_order] for part, plan in zip(parts, plans, strict=True)]),
        parcel_node=together([plan.parcel_node for plan in plans]),
        parcel_service=together([plan.parcel_service for plan in plans]),
        parcel_dest=together([part.dests[plan.parcel_dest] for part, plan in zip(parts, plans, strict=True)]),
        entry_start=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        entry_line=together([part.lines[plan.entry_line] for part, plan in zip(parts, plans, strict=True)]),
        entry_units=together([plan.entry_units for plan in plans]),
        cost_cents=0,
        bound_cents=0.0,
    )
    return replace(whole, cost_cents=sum(bill(problem, whole).values()))


def _members(start: Ints, of: Ints) -> tuple[Ints, Ints]:
    """The rows that belong to some owners, and where each owner's rows now start."""
    count = start[of + 1] - start[of]
    new = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return np.repeat(start[of] - new[:-1], count) + np.arange(new[-1]), new
