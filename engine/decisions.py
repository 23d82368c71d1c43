"""From a plan to what is committed of it: claims, parcels, and for each order the record of why.

The record holds the parcels, the bill by term, and for each line where else it could have come from: the nodes that are
cheapest for that line by itself, and how many nodes are ruled out by what.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from engine.ahead import Ahead
from engine.calendar import MINUTES_PER_DAY
from engine.commit import Proposal
from engine.facts import Allocated, AllocatedParcel, LineUnits
from engine.groups import groups_of
from engine.snapshot import Snapshot
from engine.sourcing import parts_of, ranges
from solver.alone import alone_cents
from solver.bill import TERMS, days_late, order_bills, parcel_cents
from solver.check import check
from solver.effort import Effort, Watch, unwatched
from solver.plan import Plan, units_by_line
from solver.policies import make
from solver.prices import ROUNDS_FIRST, Pricing
from solver.problem import NO_SERVICE, Bools, Ints, Problem
from solver.refusal import Refusal

VERSION = "1"
"""Of the rules by which we decide: a decision names it, and it changes when the same question would get another answer."""
CANDIDATES = 6
"""Nodes that a record names for a line, the cheapest ones."""
FALLBACK = "nearest"
"""Decides where the policy that was asked for cannot."""


@dataclass(frozen=True, eq=False)
class Decided:
    """A plan that the checker accepts, and who made it: `note` says why that is not the policy that was asked for."""

    problem: Problem
    plan: Plan
    policy: str
    note: str = ""


def decide(
    problem: Problem, policy: str, effort: Effort, seed: int, watch: Watch = unwatched, ahead: Ahead | None = None
) -> Decided:
    """Let a policy decide, and the fallback where it fails or breaks the rules.

    Parameters
    ----------
    ahead
        What a policy that looks ahead is told.
    """
    if not problem.orders:
        return Decided(problem, make(FALLBACK, effort, seed)(problem), policy)
    try:
        plan = ahead.decide(problem, effort, seed, watch) if ahead else make(policy, effort, seed, watch)(problem)
        verdict = check(problem, plan)
        if verdict.ok:
            return Decided(problem, plan, policy)
        note = f"{policy} broke a rule: {verdict.violations[0]}"
    except Refusal as refusal:
        note = f"{policy} {refusal.problem}"
    except Exception as error:
        note = f"{policy} failed: {type(error).__name__}"
    plan = make(FALLBACK, Effort(seconds=None), seed)(problem)
    assert check(problem, plan).ok, "the fallback keeps the rules"
    return Decided(problem, plan, FALLBACK, note)


def own_bounds(problem: Problem) -> Ints:
    """(O,) what each order would cost at least if it were alone."""
    pricing = Pricing(problem, np.arange(problem.orders), problem.row_limit, problem.node_capacity_parcels)
    free = np.zeros(problem.rows), np.zeros(problem.nodes)
    value = pricing.at(*free, pricing.start_lines(), ROUNDS_FIRST).order_value
    return np.ceil(value - 1e-6).astype(np.int64)


def breaks_promise(snapshot: Snapshot, decided: Decided, before: Plan) -> Bools:
    """(O,) whether an order that was promised would get less of what it holds, or get that later than was promised.

    Parameters
    ----------
    before
        The orders as they are: what cannot come on the day that was promised any more may come as late as it does so.
    """
    plan, problem = decided.plan, decided.problem
    latest = np.maximum(snapshot.orders.order_promise_day, snapshot.arrives_day)
    np.maximum.at(latest, before.parcel_order, arrival_days(snapshot, replace(decided, plan=before)))
    in_time = arrival_days(snapshot, decided) <= latest[plan.parcel_order]
    units = np.bincount(plan.entry_line, plan.entry_units * in_time[plan.entry_parcel], minlength=problem.lines)
    broken = np.zeros(len(snapshot.order_no), dtype=np.bool_)
    np.logical_or.at(broken, problem.line_order, units < snapshot.line_allocated)
    return snapshot.order_promised & (snapshot.arrives_day >= 0) & broken


def arrival_days(snapshot: Snapshot, decided: Decided) -> Ints:
    """(P,) the day on which each parcel is with the customer, or ready to be collected."""
    plan = decided.plan
    late = days_late(decided.problem, plan)
    return late + decided.problem.order_promise_days[plan.parcel_order] + snapshot.minute // MINUTES_PER_DAY


class Outcome:
    """What a decision comes to, order by order: claims, parcels, promise, and the record of why.

    Parameters
    ----------
    ref
        The wave, or '' at capture.
    """

    def __init__(self, snapshot: Snapshot, decided: Decided, ref: str) -> None:
        self.snapshot, self.decided, self.ref = snapshot, decided, ref
        self.bills = order_bills(decided.problem, decided.plan)
        self.cost_cents: Ints = np.sum([*self.bills.values()], axis=0)
        self._parcels = _parcels(snapshot, decided)
        self._claims = _claims(snapshot, self._parcels)
        self._records = _Records(snapshot, decided, self._parcels, self.bills)
        self._promise_day = snapshot.orders.order_promise_day.copy()
        told = snapshot.order_promised[self._parcels.order]
        np.maximum.at(self._promise_day, self._parcels.order, np.where(told, 0, self._parcels.arrives_day))

    def proposal(self, orders: Ints) -> Proposal:
        """What is to become of some of the orders, by rank."""
        snapshot, catalogue, parcels, claims = self.snapshot, self.snapshot.catalogue, self._parcels, self._claims
        place = np.full(len(snapshot.order_no), -1, dtype=np.int64)
        place[orders] = np.arange(len(orders))
        parcel, claim = np.flatnonzero(place[parcels.order] >= 0), np.flatnonzero(place[claims.order] >= 0)
        services = (*self.decided.problem.service_id, "")
        collect = parcels.collect[parcel]
        return Proposal(
            ref=self.ref,
            policy=self.decided.policy,
            version=VERSION,
            seed=self.decided.plan.seed or 0,
            order_no=snapshot.order_no[orders],
            order_version=snapshot.order_version[orders],
            order_promise_day=self._promise_day[orders],
            limited=snapshot.limited,
            claim_order=place[claims.order[claim]],
            claim_number=snapshot.line_number[claims.line[claim]],
            claim_sku=catalogue.sku_no[claims.sku[claim]],
            claim_node=catalogue.node_no[claims.node[claim]],
            claim_service=tuple(services[s] for s in claims.service[claim].tolist()),
            claim_units=claims.units[claim],
            claim_line_units=claims.line_units[claim],
            parcel_order=place[parcels.order[parcel]],
            parcel_node=catalogue.node_no[parcels.node[parcel]],
            parcel_service=tuple(services[s] for s in parcels.service[parcel].tolist()),
            parcel_collect=np.where(collect < 0, -1, catalogue.node_no[np.maximum(0, collect)]),
            parcel_work_day=snapshot.working_day[parcels.node[parcel]],
            parcel_arrives_day=parcels.arrives_day[parcel],
            parcel_cents=parcels.cents[parcel],
            parcel_units=parcels.units[parcel],
            fact=tuple(self._records.fact(o, self.ref, int(self._promise_day[o])) for o in orders.tolist()),
            body=tuple(self._records.body(o) for o in orders.tolist()),
            cost_cents=self.cost_cents[orders],
            bound_cents=self._records.bound[orders],
        )


@dataclass(frozen=True, eq=False)
class _Parcels:
    """Parcels by order, node and service: a plan's parcels of one such key are one. E entries (line, units) each."""

    order: Ints
    node: Ints
    service: Ints
    collect: Ints
    arrives_day: Ints
    cents: Ints
    units: Ints
    entry_start: Ints
    entry_line: Ints
    entry_units: Ints


def _parcels(snapshot: Snapshot, decided: Decided) -> _Parcels:
    problem, plan = decided.problem, decided.plan
    first, of_plan = groups_of(plan.parcel_order, plan.parcel_node, plan.parcel_service)
    count = len(first)
    arrives = np.zeros(count, dtype=np.int64)
    np.maximum.at(arrives, of_plan, arrival_days(snapshot, decided))
    cents = np.zeros(count, dtype=np.int64)
    np.add.at(cents, of_plan, parcel_cents(problem, plan))
    parcel, line = of_plan[plan.entry_parcel], plan.entry_line
    one, row = groups_of(parcel, line)
    parcel, line = parcel[one], line[one]
    units = np.bincount(row, weights=plan.entry_units, minlength=len(one)).astype(np.int64)
    return _Parcels(
        order=plan.parcel_order[first],
        node=plan.parcel_node[first],
        service=plan.parcel_service[first],
        collect=problem.dest_node[plan.parcel_dest[first]],
        arrives_day=arrives,
        cents=cents,
        units=np.bincount(parcel, weights=units, minlength=count).astype(np.int64),
        entry_start=np.searchsorted(parcel, np.arange(count + 1)),
        entry_line=line,
        entry_units=units,
    )


@dataclass(frozen=True, eq=False)
class _Claims:
    order: Ints
    line: Ints
    sku: Ints
    node: Ints
    service: Ints
    units: Ints
    line_units: Ints


def _claims(snapshot: Snapshot, parcels: _Parcels) -> _Claims:
    """Units of stock for each line in each parcel: those of its parts where the line is a kit."""
    parcel = np.repeat(np.arange(len(parcels.order)), np.diff(parcels.entry_start))
    line_sku = snapshot.orders.line_sku[parcels.entry_line]
    entry, sku, units = parts_of(snapshot.catalogue.kits, line_sku, parcels.entry_units)
    of = parcel[entry]
    return _Claims(
        parcels.order[of], parcels.entry_line[entry], sku, parcels.node[of], parcels.service[of], units,
        parcels.entry_units[entry],
    )  # fmt: skip


class _Records:
    """What is written down about each order."""

    def __init__(self, snapshot: Snapshot, decided: Decided, parcels: _Parcels, bills: dict[str, Ints]) -> None:
        problem = decided.problem
        self.snapshot, self.decided, self.parcels = snapshot, decided, parcels
        self.bills = {term: bills[term].tolist() for term in TERMS if term in bills}
        self.bound = own_bounds(problem)
        self.open = (problem.line_qty - units_by_line(problem, decided.plan)).tolist()
        self.first_parcel = np.searchsorted(parcels.order, np.arange(problem.orders + 1)).tolist()
        self.first_line = problem.order_line_start.tolist()
        self.candidate_start, self.candidate_node, self.candidate_cents = _cheapest_nodes(problem)
        self.node, self.service, self.entry_start, self.entry_line, self.entry_units, self.arrives, self.cents = (
            column.tolist()
            for column in (
                parcels.node, parcels.service, parcels.entry_start, parcels.entry_line, parcels.entry_units,
                parcels.arrives_day, parcels.cents,
            )
        )  # fmt: skip
        self.number = snapshot.line_number.tolist()
        self.ruled_out = _ruled_out(problem)
        self.options = np.diff(problem.line_option_start).tolist()
        self.line_sku = problem.line_sku.tolist()

    def fact(self, order: int, ref: str, promise_day: int) -> Allocated:
        """What happened to the order's units."""
        name, version = self.snapshot.orders.order_id[order], int(self.snapshot.order_version[order])
        lines = range(self.first_line[order], self.first_line[order + 1])
        return Allocated(
            id=f"{name}:allocated:{version + 1}",
            at=self.snapshot.at,
            order=name,
            wave=ref,
            parcels=tuple(self._parcel(p) for p in range(self.first_parcel[order], self.first_parcel[order + 1])),
            open=sum(self.open[line] for line in lines),
            promise_day=promise_day,
        )

    def _parcel(self, p: int) -> AllocatedParcel:
        problem = self.decided.problem
        entries = range(self.entry_start[p], self.entry_start[p + 1])
        service = self.service[p]
        return AllocatedParcel(
            node=problem.node_id[self.node[p]],
            service="" if service == NO_SERVICE else problem.service_id[service],
            lines=tuple(LineUnits(line=self.number[self.entry_line[e]], units=self.entry_units[e]) for e in entries),
            arrives_day=self.arrives[p],
            cents=self.cents[p],
        )

    def body(self, order: int) -> str:
        """Why the order is served as it is, as JSON."""
        parcels = [self._parcel(p) for p in range(self.first_parcel[order], self.first_parcel[order + 1])]
        record: dict[str, Any] = {
            "bill": {f"{term}_cents": cents[order] for term, cents in self.bills.items()},
            "parcels": parcels,
            "lines": [self._line(line) for line in range(self.first_line[order], self.first_line[order + 1])],
        }
        if self.decided.note:
            record["note"] = self.decided.note
        return msgspec.json.encode(record).decode()

    def _line(self, line: int) -> dict[str, Any]:
        problem = self.decided.problem
        start, end = self.candidate_start[line : line + 2]
        ruled_out = dict(self.ruled_out.get(line, {}))
        if self.options[line] < problem.nodes:
            ruled_out["no_stock"] = problem.nodes - self.options[line]
        return {
            "line": self.number[line],
            "sku": problem.sku_id[self.line_sku[line]],
            "open": self.open[line],
            "candidates": [
                {"node": problem.node_id[self.candidate_node[i]], "alone_cents": self.candidate_cents[i]}
                for i in range(start, end)
            ],
            "ruled_out": ruled_out,
        }


def _cheapest_nodes(problem: Problem) -> tuple[list[int], list[int], list[int]]:
    """For each line the nodes that would be cheapest for it by itself: starts, nodes, cents."""
    option = np.flatnonzero(problem.option_reason == 0)
    line = problem.option_line[option]
    node = problem.option_node[option].astype(np.int64)
    cents = alone_cents(problem, line, node, np.zeros(len(line), dtype=np.int64))
    some = np.isfinite(cents)
    line, node, cents = line[some], node[some], cents[some]
    by = np.lexsort((node, cents, line))
    line, node, cents = line[by], node[by], cents[by]
    first = np.searchsorted(line, np.arange(problem.lines + 1))
    count = np.minimum(CANDIDATES, np.diff(first))
    at = ranges(first[:-1], count)
    start = np.concatenate([[0], np.cumsum(count)])
    return start.tolist(), node[at].tolist(), cents[at].astype(np.int64).tolist()


def _ruled_out(problem: Problem) -> dict[int, dict[str, int]]:
    """For the lines where a rule forbids nodes: how many by which rule."""
    option = np.flatnonzero(problem.option_reason)
    if not len(option):
        return {}
    line = problem.option_line[option]
    keys, count = np.unique(np.stack([line, problem.option_reason[option]]), axis=1, return_counts=True)
    found: dict[int, dict[str, int]] = {}
    for on, reason, nodes in zip(*keys.tolist(), count.tolist(), strict=True):
        found.setdefault(on, {})[problem.reasons[reason]] = nodes
    return found


__all__ = [
    "FALLBACK", "VERSION", "Decided", "Outcome", "arrival_days", "breaks_promise", "decide", "own_bounds",
]  # fmt: skip
