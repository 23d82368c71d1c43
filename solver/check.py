"""The independent checker: judges any plan by the rules, and works out its bill anew.

It shares no code with anything that makes a plan: it imports numpy, `solver.problem` and `solver.plan`, reads their
plain columns, looks up options by itself, and measures every parcel's distance again where the problem has coordinates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from solver.plan import Plan
from solver.problem import BROKEN_PROMISE_CENTS, DELIVERED, HARD, NO_SERVICE, Bools, Ints, Problem

EARTH_KM = 6371.0088
LISTED = 200
"""Violations are counted all, and spelt out up to this many."""
SLACK_CENTS = 1e-6
"""A bound may pass the cost by this much: the noise of floating point."""


@dataclass(frozen=True)
class Verdict:
    """What the checker found.

    Attributes
    ----------
    violations
        One line each, naming the order or node; at most `LISTED` of them.
    bill
        Cents by term, of whatever could be read of the plan.
    found
        How many violations there are, listed or not.
    """

    violations: list[str]
    bill: dict[str, int]
    found: int

    @property
    def ok(self) -> bool:
        return self.found == 0

    @property
    def cost_cents(self) -> int:
        return sum(self.bill.values())


@dataclass
class _Findings:
    """Violations as they are found."""

    lines: list[str] = field(default_factory=list)
    found: int = 0

    def add(self, text: str) -> None:
        self.found += 1
        if len(self.lines) < LISTED:
            self.lines.append(text)

    def add_where(self, wrong: Bools, text: Callable[[int], str]) -> None:
        """One violation for each row that is wrong."""
        rows = np.flatnonzero(wrong)
        room = max(0, LISTED - len(self.lines))
        self.lines += [text(int(row)) for row in rows[:room]]
        self.found += len(rows)


class _Reading(NamedTuple):
    """What can be read of a plan: parcels whose names exist, and entries that belong to their order.

    `zone` is -1 where goods do not travel or no tariff applies (`served` is false there); `option` is -1 where there is
    none.
    """

    order: Ints
    node: Ints
    service: Ints
    dest: Ints
    zone: Ints
    served: Bools
    parcel: Ints
    line: Ints
    units: Ints
    option: Ints


def check(problem: Problem, plan: Plan) -> Verdict:
    """Judge a plan by every rule of the problem, and compare its cost and bound with a bill of our own."""
    findings = _Findings()
    goods = _read(problem, plan, findings)
    _check_parcels(problem, goods, findings)
    _check_destinations(problem, goods, findings)
    _check_entries(problem, goods, findings)
    _check_nodes(problem, goods, findings)
    _check_rows(problem, goods, findings)
    _check_orders(problem, goods, findings)
    bill = _bill(problem, goods)
    _check_claims(plan, sum(bill.values()), findings)
    return Verdict(findings.lines, bill, findings.found)


def _read(problem: Problem, plan: Plan, findings: _Findings) -> _Reading:
    """Keep what can be judged; what cannot is a violation already."""
    parcels = len(plan.parcel_order)
    starts = np.asarray(plan.entry_start, dtype=np.int64)
    if starts[0] != 0 or (np.diff(starts) < 0).any():
        findings.add("the plan: entries of parcels are not contiguous")
        starts = np.zeros(parcels + 1, dtype=np.int64)
    entry_parcel = np.repeat(np.arange(parcels), np.diff(starts))
    entry_line = np.asarray(plan.entry_line, dtype=np.int64)[: len(entry_parcel)]
    entry_units = np.asarray(plan.entry_units, dtype=np.int64)[: len(entry_parcel)]

    order, node, service, dest = (
        np.asarray(column, dtype=np.int64)
        for column in (plan.parcel_order, plan.parcel_node, plan.parcel_service, plan.parcel_dest)
    )
    known = (order >= 0) & (order < problem.orders) & (node >= 0) & (node < problem.nodes)
    known &= (service >= NO_SERVICE) & (service < problem.services) & (dest >= 0) & (dest < len(problem.dest_node))
    findings.add_where(~known, lambda p: f"parcel {p}: names an unknown order, node, service or destination")
    empty = known & (np.diff(starts) == 0)
    findings.add_where(empty, lambda p: f"{_tag(problem, order[p], node[p])}: empty parcel")

    readable = known[entry_parcel] & (entry_units >= 1)
    own = np.zeros(len(entry_line), dtype=np.bool_)
    entry_order = order[entry_parcel[readable]]
    own[readable] = (problem.order_line_start[entry_order] <= entry_line[readable]) & (
        entry_line[readable] < problem.order_line_start[entry_order + 1]
    )
    findings.add_where(
        known[entry_parcel] & ~own,
        lambda e: (
            f"{_tag(problem, order[entry_parcel[e]], node[entry_parcel[e]])}: "
            f"bad line entry, {entry_units[e]} units of line {entry_line[e]} of the problem"
        ),
    )
    renumbered = np.cumsum(known) - 1
    order, node, service, dest = order[known], node[known], service[known], dest[known]
    line, units = entry_line[own], entry_units[own]
    zone, served = _zones(problem, order, node, service, dest)
    option = _options(problem, line, node[renumbered[entry_parcel[own]]])
    return _Reading(order, node, service, dest, zone, served, renumbered[entry_parcel[own]], line, units, option)


def _zones(problem: Problem, order: Ints, node: Ints, service: Ints, dest: Ints) -> tuple[Ints, Bools]:
    """Tariff zones of parcels, and whether there is one: measured anew, or as given where there are no coordinates."""
    travels = service != NO_SERVICE
    zone = np.full(len(order), -1, dtype=np.int64)
    offered = np.zeros(len(order), dtype=np.int64)
    offered[travels] = problem.lane_zone[dest[travels], node[travels], service[travels]]
    columns = (problem.node_lat[node], problem.node_lon[node], problem.dest_lat[dest], problem.dest_lon[dest])
    placed = travels & np.isfinite(np.stack(columns)).all(axis=0)
    unplaced = travels & ~placed
    zone[unplaced] = offered[unplaced]

    distance = np.array([_km(*place) for place in zip(*(c[placed].tolist() for c in columns), strict=True)])
    bands_below = (distance[:, None] > problem.service_zone_km[service[placed]]).sum(axis=1)
    zone[placed] = np.where(bands_below < problem.service_zones[service[placed]], bands_below, -1)
    # a lane may also be closed for another reason than its length
    served = ~travels | ((zone >= 0) & (offered >= 0))
    return np.where(served, zone, -1), served


def _km(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance (haversine), in Python's own arithmetic so that a band's end falls as the format says."""
    p, q = math.radians(lat_a), math.radians(lat_b)
    h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(h)))


def _options(problem: Problem, line: Ints, node: Ints) -> Ints:
    """Find the option of each line at each node, -1 where there is none."""
    option_line = np.repeat(np.arange(problem.lines), np.diff(problem.line_option_start))
    offered = option_line * problem.nodes + problem.option_node
    wanted = line * problem.nodes + node
    if not len(offered):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.minimum(np.searchsorted(offered, wanted), len(offered) - 1)
    return np.where(offered[at] == wanted, at, -1)


def _check_parcels(problem: Problem, goods: _Reading, findings: _Findings) -> None:
    """One parcel for an order, node and service; each with a service that goes there."""
    by_key = np.lexsort((goods.service, goods.node, goods.order))
    same = np.ones(max(0, len(by_key) - 1), dtype=np.bool_)
    for column in (goods.order, goods.node, goods.service):
        same &= np.diff(column[by_key]) == 0
    again = np.zeros(len(by_key), dtype=np.bool_)
    again[by_key[1:]] = same
    findings.add_where(again, lambda p: f"{_parcel(problem, goods, p)}: two parcels for one node and service")
    findings.add_where(
        ~goods.served,
        lambda p: f"{_parcel(problem, goods, p)}: {problem.service_id[goods.service[p]]} does not serve that distance",
    )


def _check_destinations(problem: Problem, goods: _Reading, findings: _Findings) -> None:
    """An order has one destination, and only what is picked where it is collected needs no service."""
    place = problem.dest_node[goods.dest]
    own = problem.order_dest_start[goods.order] <= goods.dest
    own &= goods.dest < problem.order_dest_start[goods.order + 1]
    findings.add_where(
        ~own,
        lambda p: (
            f"{_parcel(problem, goods, p)}: sent to {_place(problem, goods.dest[p])}, not one of its destinations"
        ),
    )
    first = np.full(problem.orders, len(problem.dest_node), dtype=np.int64)
    np.minimum.at(first, goods.order, goods.dest)
    last = np.full(problem.orders, -1, dtype=np.int64)
    np.maximum.at(last, goods.order, goods.dest)
    findings.add_where(
        first < last,
        lambda o: (
            f"order {problem.order_id[o]}: sent to {_place(problem, first[o])} and to {_place(problem, last[o])}, "
            "one destination is allowed"
        ),
    )
    unserviced = goods.service == NO_SERVICE
    findings.add_where(
        own & unserviced & (place == DELIVERED), lambda p: f"{_parcel(problem, goods, p)}: a delivery without a service"
    )
    findings.add_where(
        own & (place != DELIVERED) & (unserviced != (place == goods.node)),
        lambda p: (
            f"{_parcel(problem, goods, p)}: collected at {_place(problem, goods.dest[p])}, "
            f"service {None if unserviced[p] else problem.service_id[goods.service[p]]}"
        ),
    )


def _check_entries(problem: Problem, goods: _Reading, findings: _Findings) -> None:
    """What is in a parcel: each line once, from a node that may serve it, by a service that may carry it."""
    line, parcel = goods.line, goods.parcel
    keys = parcel * max(1, problem.lines) + line
    _, first = np.unique(keys, return_index=True)
    again = np.ones(len(keys), dtype=np.bool_)
    again[first] = False
    findings.add_where(again, lambda e: f"{_entry(problem, goods, e)} is twice in one parcel")
    findings.add_where(goods.option < 0, lambda e: f"{_entry(problem, goods, e)} is not stocked there")
    offered = np.maximum(goods.option, 0)
    reason = np.where(goods.option >= 0, problem.option_reason[offered], 0) if len(problem.option_reason) else offered
    findings.add_where(
        reason != 0, lambda e: f"{_entry(problem, goods, e)} may not come from there: {problem.reasons[reason[e]]}"
    )
    service = goods.service[parcel]
    refused = service != NO_SERVICE
    refused[refused] = ~problem.sku_carried[problem.line_sku[line[refused]], service[refused]]
    findings.add_where(
        refused, lambda e: f"{_entry(problem, goods, e)} may not be carried by {problem.service_id[service[e]]}"
    )


def _check_nodes(problem: Problem, goods: _Reading, findings: _Findings) -> None:
    """A node without a price for overtime makes no parcel above its capacity."""
    parcels = np.bincount(goods.node, minlength=problem.nodes)
    over = (parcels > problem.node_capacity_parcels) & (problem.node_overtime_cents == HARD)
    findings.add_where(
        over,
        lambda j: f"node {problem.node_id[j]}: {parcels[j]} parcels, capacity {problem.node_capacity_parcels[j]}",
    )


def _check_rows(problem: Problem, goods: _Reading, findings: _Findings) -> None:
    """Nothing is used that is not there."""
    used = np.zeros(problem.rows, dtype=np.int64)
    real = goods.option >= 0
    for w in range(problem.option_row.shape[1]):
        row = problem.option_row[goods.option[real], w].astype(np.int64)
        use = problem.option_use[goods.option[real], w].astype(np.int64) * goods.units[real]
        np.add.at(used, row[row >= 0], use[row >= 0])
    findings.add_where(used > problem.row_limit, lambda r: _row(problem, r, int(used[r])))


def _check_orders(problem: Problem, goods: _Reading, findings: _Findings) -> None:
    """No line gets more than it asked for; an order has few enough parcels, and is complete where it must be."""
    line_order = np.repeat(np.arange(problem.orders), np.diff(problem.order_line_start))
    got = _units_by_line(problem, goods)
    findings.add_where(
        got > problem.line_qty,
        lambda l: (
            f"order {problem.order_id[line_order[l]]} line {l - problem.order_line_start[line_order[l]]}: "
            f"{got[l]} of {problem.line_qty[l]}"
        ),
    )
    parcels = np.bincount(goods.order, minlength=problem.orders)
    findings.add_where(
        parcels > problem.order_max_parcels,
        lambda o: f"order {problem.order_id[o]}: {parcels[o]} parcels, at most {problem.order_max_parcels[o]}",
    )
    left = np.zeros(problem.orders, dtype=np.int64)
    np.add.at(left, line_order, _open_units(problem, goods))
    findings.add_where(
        problem.order_ship_complete & (parcels > 0) & (left > 0),
        lambda o: f"order {problem.order_id[o]}: ship complete, but {left[o]} units open",
    )


def _check_claims(plan: Plan, cost_cents: int, findings: _Findings) -> None:
    """The plan says what it costs, and a bound that does not contradict it."""
    if plan.cost_cents != cost_cents:
        findings.add(f"the plan: claims {plan.cost_cents} cents, costs {cost_cents}")
    if not math.isfinite(plan.bound_cents):
        findings.add(f"the plan: bound {plan.bound_cents} is not a finite number")
    elif plan.bound_cents > cost_cents + SLACK_CENTS:
        findings.add(f"the plan: bound {plan.bound_cents} is above the cost {cost_cents}")


def _bill(problem: Problem, goods: _Reading) -> dict[str, int]:
    """Cents by term."""
    node, open_units = goods.node, _open_units(problem, goods)
    real = goods.option >= 0
    option, units = goods.option[real], goods.units[real]
    above = np.maximum(0, np.bincount(node, minlength=problem.nodes) - problem.node_capacity_parcels)
    handling = problem.node_parcel_cents[node].sum() + problem.node_line_cents[node[goods.parcel]].sum()
    terms = {
        "carriage": _carriage(problem, goods).sum(),
        "handling": handling + (problem.option_unit_cents[option] * units).sum(),
        "late": _late(problem, goods).sum(),
        "stock_value": (problem.option_value_cents[option] * units).sum(),
        "overtime": (above * np.maximum(0, problem.node_overtime_cents)).sum(),
        "unfilled": (open_units * problem.line_unfilled_cents).sum(),
        "broken_promise": (open_units * problem.line_must_fill).sum() * BROKEN_PROMISE_CENTS,
    }
    return {term: int(cents) for term, cents in terms.items()}


def _carriage(problem: Problem, goods: _Reading) -> Ints:
    """(P,) the tariff of each parcel's weight in its zone; none where goods do not travel."""
    grams = np.zeros(len(goods.order), dtype=np.int64)
    np.add.at(grams, goods.parcel, goods.units * problem.sku_weight_g[problem.line_sku[goods.line]])
    paid = goods.zone >= 0
    service, zone, grams = goods.service[paid], goods.zone[paid], grams[paid]
    last = problem.service_steps[service] - 1
    step = (grams[:, None] > problem.service_steps_g[service]).sum(axis=1)
    over_g = np.maximum(0, grams - problem.service_steps_g[service, last])
    cents = problem.service_cents[service, zone, np.minimum(step, last)]
    carriage = np.zeros(len(paid), dtype=np.int64)
    carriage[paid] = cents + -(-over_g // 1000) * problem.service_over_cents[service, zone]
    return carriage


def _late(problem: Problem, goods: _Reading) -> Ints:
    """(P,) the price of each parcel's days after the promise."""
    days = problem.node_ready_days[goods.node]
    travels = goods.zone >= 0
    days[travels] += problem.service_transit_days[goods.service[travels], goods.zone[travels]]
    late: Ints = problem.order_late_cents[goods.order] * np.maximum(0, days - problem.order_promise_days[goods.order])
    return late


def _units_by_line(problem: Problem, goods: _Reading) -> Ints:
    got = np.zeros(problem.lines, dtype=np.int64)
    np.add.at(got, goods.line, goods.units)
    return got


def _open_units(problem: Problem, goods: _Reading) -> Ints:
    left: Ints = np.maximum(0, problem.line_qty - _units_by_line(problem, goods))
    return left


def _tag(problem: Problem, order: int, node: int) -> str:
    return f"order {problem.order_id[order]} from {problem.node_id[node]}"


def _parcel(problem: Problem, goods: _Reading, parcel: int) -> str:
    return _tag(problem, goods.order[parcel], goods.node[parcel])


def _entry(problem: Problem, goods: _Reading, entry: int) -> str:
    order, line = goods.order[goods.parcel[entry]], goods.line[entry]
    sku = problem.sku_id[problem.line_sku[line]]
    return f"{_parcel(problem, goods, goods.parcel[entry])}: line {line - problem.order_line_start[order]} ({sku})"


def _place(problem: Problem, dest: int) -> str:
    node = problem.dest_node[dest]
    return f"destination {dest}" if node == DELIVERED else problem.node_id[node]


def _row(problem: Problem, row: int, used: int) -> str:
    node, sku, limit = problem.row_node[row], problem.row_sku[row], problem.row_limit[row]
    place = f"node {problem.node_id[node]}" if node >= 0 else f"resource row {row}"
    if node >= 0 and sku >= 0:
        return f"{place}: {used} of {problem.sku_id[sku]} taken, {limit} in stock"
    return f"{place}: {used} units, capacity {limit}"


__all__ = ["Verdict", "check"]
