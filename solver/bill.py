"""The bill of a plan, term by term, and the measures that people compare plans by."""

from dataclasses import dataclass

import numpy as np
from numba import njit

from solver.parcel import carriage_cents, late_cents
from solver.plan import Plan, units_by_line
from solver.problem import BROKEN_PROMISE_CENTS, HARD, NO_SERVICE, Columns, Ints, Problem

TERMS = ("carriage", "handling", "late", "stock_value", "overtime", "unfilled", "broken_promise")
"""The terms of the bill, in the order in which people read them."""


@dataclass(frozen=True)
class Measures:
    """What a plan amounts to.

    `split_rate` is the share of shipped orders in more than one parcel, `fill_rate` units shipped over units asked,
    `late_rate` the share of parcels after their promise.
    """

    bill: dict[str, int]
    cost_cents: int
    parcels: int
    orders: int
    orders_shipped: int
    orders_split: int
    units_asked: int
    units_filled: int
    lines_asked: int
    lines_filled: int
    parcels_late: int
    split_rate: float
    fill_rate: float
    late_rate: float


def bill(problem: Problem, plan: Plan) -> dict[str, int]:
    """Price a plan by term, in cents."""
    over = np.maximum(0, np.bincount(plan.parcel_node, minlength=problem.nodes) - problem.node_capacity_parcels)
    overtime = np.where(problem.node_overtime_cents == HARD, 0, problem.node_overtime_cents)
    terms = {term: int(cents.sum()) for term, cents in order_bills(problem, plan).items()}
    terms["overtime"] = int((over * overtime).sum())
    return {term: terms[term] for term in TERMS}


def order_bills(problem: Problem, plan: Plan) -> dict[str, Ints]:
    """Price each order by term, in cents: (O,) for each term but overtime, which is owed by a node, not by an order."""
    order, parcel, line = plan.parcel_order, plan.entry_parcel, plan.entry_line
    node, entry_order = plan.parcel_node[parcel], plan.parcel_order[parcel]
    travel, late = _travel(problem, plan)
    option = problem.find_options(line, node)
    picking = problem.node_line_cents[node] + problem.option_unit_cents[option] * plan.entry_units
    still_open = problem.line_qty - units_by_line(problem, plan)

    def by_order(index: Ints, cents: Ints) -> Ints:
        total = np.zeros(problem.orders, dtype=np.int64)
        np.add.at(total, index, cents)
        return total

    return {
        "carriage": by_order(order, travel),
        "handling": by_order(order, problem.node_parcel_cents[plan.parcel_node]) + by_order(entry_order, picking),
        "late": by_order(order, late),
        "stock_value": by_order(entry_order, problem.option_value_cents[option] * plan.entry_units),
        "unfilled": by_order(problem.line_order, still_open * problem.line_unfilled_cents),
        "broken_promise": by_order(problem.line_order, still_open * problem.line_must_fill * BROKEN_PROMISE_CENTS),
    }


def parcel_cents(problem: Problem, plan: Plan) -> Ints:
    """(P,) carriage and handling of each parcel."""
    node = plan.parcel_node[plan.entry_parcel]
    option = problem.find_options(plan.entry_line, node)
    cents = _travel(problem, plan)[0] + problem.node_parcel_cents[plan.parcel_node]
    picking = problem.node_line_cents[node] + problem.option_unit_cents[option] * plan.entry_units
    np.add.at(cents, plan.entry_parcel, picking)
    return cents


def measure(problem: Problem, plan: Plan) -> Measures:
    """Measure a plan: bill, parcels, splits, fill and lateness."""
    terms = bill(problem, plan)
    units = units_by_line(problem, plan)
    parcels_of = np.bincount(plan.parcel_order, minlength=problem.orders)
    shipped, split = int((parcels_of > 0).sum()), int((parcels_of > 1).sum())
    late = int((days_late(problem, plan) > 0).sum())
    asked, filled = int(problem.line_qty.sum()), int(units.sum())
    return Measures(
        bill=terms,
        cost_cents=sum(terms.values()),
        parcels=plan.parcels,
        orders=problem.orders,
        orders_shipped=shipped,
        orders_split=split,
        units_asked=asked,
        units_filled=filled,
        lines_asked=problem.lines,
        lines_filled=int((units == problem.line_qty).sum()),
        parcels_late=late,
        split_rate=split / shipped if shipped else 0.0,
        fill_rate=filled / asked if asked else 1.0,
        late_rate=late / plan.parcels if plan.parcels else 0.0,
    )


def days_late(problem: Problem, plan: Plan) -> Ints:
    """(P,) days after the promise, negative where early."""
    days = problem.node_ready_days[plan.parcel_node] - problem.order_promise_days[plan.parcel_order]
    moved = np.flatnonzero(plan.parcel_service != NO_SERVICE)
    service = plan.parcel_service[moved]
    zone = problem.lane_zone[plan.parcel_dest[moved], plan.parcel_node[moved], service]
    days[moved] += problem.service_transit_days[service, zone]
    return days


def _travel(problem: Problem, plan: Plan) -> tuple[Ints, Ints]:
    """(P,) carriage and (P,) lateness."""
    grams = problem.sku_weight_g[problem.line_sku[plan.entry_line]] * plan.entry_units
    weight = np.bincount(plan.entry_parcel, weights=grams, minlength=plan.parcels).astype(np.int64)
    return _price(
        problem.columns, plan.parcel_order, plan.parcel_node, plan.parcel_service, plan.parcel_dest, weight,
        days_late(problem, plan) + problem.order_promise_days[plan.parcel_order],
    )  # fmt: skip


@njit(cache=True)
def _price(
    c: Columns, order: Ints, node: Ints, service: Ints, dest: Ints, grams: Ints, days: Ints
) -> tuple[Ints, Ints]:
    carriage, late = np.zeros(len(order), dtype=np.int64), np.zeros(len(order), dtype=np.int64)
    for p in range(len(order)):
        if service[p] != NO_SERVICE:
            carriage[p] = carriage_cents(c, service[p], c.lane_zone[dest[p], node[p], service[p]], grams[p])
        late[p] = late_cents(c, order[p], days[p])
    return carriage, late


__all__ = ["TERMS", "Measures", "bill", "days_late", "measure", "order_bills", "parcel_cents"]
