"""Promise: what an order would get and cost, by service, by store and by date, without any effect.

The question is put as so many orders as there are ways to get it (each service alone, the cheapest mix, each store), each
decided by itself by what decides at capture, on the stock that is there now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.available import available
from engine.calendar import MINUTES_PER_DAY, MS_PER_MINUTE
from engine.catalogue import Catalogue
from engine.database import Tx
from engine.facts import Day, Lines, MaxParcels, Name, OrderedLine, Part, Pickup, Place
from engine.rules import no_rejections, restrict
from engine.snapshot import free_stock, read_left_today
from engine.sourcing import OpenOrders, build_problem, working_days
from solver.bill import days_late, order_bills
from solver.distance import km
from solver.draft import new_draft, plan_of, serve_in_turn
from solver.plan import Plan, units_by_line
from solver.problem import DELIVERED, NO_LIMIT, NO_SERVICE, Ints, Problem
from solver.refusal import Refusal

Kind = Literal["delivery", "service", "pickup"]
STORES = 5
"""Stores that are offered where none is named: the nearest at which customers may collect."""


@dataclass(frozen=True)
class PromisedParcel:
    """One parcel of an offer."""

    node: str
    service: str
    arrives_day: int
    units: int


@dataclass(frozen=True)
class Offer:
    """One way to get an order.

    Attributes
    ----------
    kind
        `delivery` (the cheapest mix of services), `service` (all by one), or `pickup`.
    day
        When all that is there would be with the customer.
    cost_cents
        Carriage and handling, by the same bill as an allocation.
    missing
        Units that are not there, by line; `missing_day` is when all of them could be, by what is known to come in.
    """

    kind: Kind
    service: str
    store: str
    day: int | None
    cost_cents: int
    parcels: tuple[PromisedParcel, ...]
    missing: dict[int, int]
    missing_day: int | None

    @property
    def complete(self) -> bool:
        return not self.missing


class Wanted(Part, frozen=True, kw_only=True):
    """What somebody would order.

    Attributes
    ----------
    place
        Where it would be delivered; without it, only stores are offered.
    pickup
        Stores that come into question; the nearest ones of the place where none is named.
    day
        Only what is there by then.
    """

    channel: Name
    lines: Lines
    place: Place | None = None
    pickup: Pickup = ()
    day: Day | None = None
    max_parcels: MaxParcels | None = None


@dataclass(frozen=True, eq=False)
class _Question:
    """What is wanted, by indices, and the ways to get it: kind, service, node."""

    wanted: Wanted
    sku: Ints
    ways: list[tuple[Kind, int, int]]


def promise(tx: Tx, catalogue: Catalogue, wanted: Wanted, at: int) -> list[Offer]:
    """Offer every way to get an order, cheapest first; ways that get nothing are left out.

    Raises
    ------
    Refusal
        An unknown SKU, store or channel, a store where nobody collects, or neither a place nor a store.
    """
    (found,) = promise_all(tx, catalogue, [wanted], at)
    if isinstance(found, Refusal):
        raise found
    return found


def promise_all(tx: Tx, catalogue: Catalogue, wanted: Sequence[Wanted], at: int) -> list[list[Offer] | Refusal]:
    """Make many promises at once, each as if the others were not asked for; to each its offers, or why there are none."""
    answers: list[list[Offer] | Refusal] = []
    questions: list[_Question] = []
    for one in wanted:
        try:
            questions.append(_question(catalogue, one))
            answers.append([])
        except Refusal as refused:
            answers.append(refused)
    if not questions:
        return answers
    problem = _problem(tx, catalogue, questions, at)
    offers = iter(_offers(problem, questions, at // MS_PER_MINUTE))
    asked = iter(questions)
    return [
        one if isinstance(one, Refusal) else _sorted(tx, catalogue, next(asked), next(offers), at) for one in answers
    ]


def _question(catalogue: Catalogue, wanted: Wanted) -> _Question:
    sku = _skus(catalogue, wanted.lines)
    if wanted.channel not in catalogue.channel_at:
        there = ", ".join(catalogue.channel_at)
        raise Refusal("channel", f"{wanted.channel!r} is not a channel; there are {there}", "unknown_channel")
    ways: list[tuple[Kind, int, int]] = []
    if wanted.place is not None:
        ways += [("delivery", NO_SERVICE, DELIVERED)]
        ways += [("service", m, DELIVERED) for m in range(catalogue.columns.empty.services)]
    ways += [("pickup", NO_SERVICE, node) for node in _stores(catalogue, wanted.place, wanted.pickup)]
    if not ways:
        raise Refusal("place", "neither a place to deliver to nor a store to collect at is given", "no_destination")
    return _Question(wanted, sku, ways)


def _sorted(tx: Tx, catalogue: Catalogue, question: _Question, offers: list[Offer], at: int) -> list[Offer]:
    """Offers of what is there by the day that is wanted, the cheapest first; what is missing with the day it could be had."""
    wanted = question.wanted
    if any(one.missing for one in offers):
        later = available(tx, catalogue, wanted.channel, question.sku, [line.qty for line in wanted.lines], at)
        offers = [replace(one, missing_day=_last(later[line] for line in one.missing)) for one in offers]
    found = [one for one in offers if wanted.day is None or (one.day is not None and one.day <= wanted.day)]
    return sorted(
        found, key=lambda one: (len(one.missing) > 0, one.cost_cents, one.day or 0, one.kind, one.service, one.store)
    )


def _last(days: Iterable[int | None]) -> int | None:
    """The last of some days; nobody knows where one is not known."""
    found = [*days]
    return None if None in found else max((day for day in found if day is not None), default=None)


def _skus(catalogue: Catalogue, lines: Sequence[OrderedLine]) -> Ints:
    for i, line in enumerate(lines):
        if line.sku not in catalogue.sku_at:
            raise Refusal(f"lines[{i}].sku", f"{line.sku!r} is not in the catalogue", "unknown_sku")
    return np.array([catalogue.sku_at[line.sku] for line in lines], dtype=np.int64)


def _stores(catalogue: Catalogue, place: Place | None, pickup: Sequence[str]) -> list[int]:
    for i, name in enumerate(pickup):
        if name not in catalogue.node_at:
            raise Refusal(f"pickup[{i}]", f"{name!r} is not a node", "unknown_node")
        if not catalogue.collects[catalogue.node_at[name]]:
            raise Refusal(f"pickup[{i}]", f"customers may not collect at {name!r}", "node_does_not_collect")
    if pickup:
        return [catalogue.node_at[name] for name in pickup]
    if place is None:
        return []
    empty = catalogue.columns.empty
    open_to_all = np.flatnonzero(catalogue.collects & ~catalogue.paused)
    near = sorted(
        open_to_all.tolist(), key=lambda j: km(place.lat, place.lon, float(empty.node_lat[j]), float(empty.node_lon[j]))
    )
    return near[:STORES]


def _problem(tx: Tx, catalogue: Catalogue, questions: Sequence[_Question], at: int) -> Problem:
    """One order for each way to get what is wanted."""
    minute, terms, empty = at // MS_PER_MINUTE, catalogue.terms, catalogue.columns.empty
    asked = [question for question in questions for _ in question.ways]  # by way
    count = len(asked)
    node = np.array([way[2] for question in questions for way in question.ways], dtype=np.int64)
    here = np.array([(one.wanted.place.lat, one.wanted.place.lon) if one.wanted.place else (0.0, 0.0) for one in asked])
    at_store = node >= 0
    lines = {id(one): _lines(catalogue, one) for one in questions}
    columns = np.concatenate([lines[id(one)] for one in asked], axis=1)
    orders = OpenOrders(
        order_id=tuple(f"way{i}" for i in range(count)),
        order_line_start=np.concatenate([[0], np.cumsum([len(one.sku) for one in asked])]),
        order_dest_start=np.arange(count + 1),
        order_promise_day=np.full(count, minute // MINUTES_PER_DAY + terms.promise_days),
        order_late_cents=np.full(count, terms.late_cents),
        order_max_parcels=np.array([one.wanted.max_parcels or NO_LIMIT for one in asked], dtype=np.int64),
        order_ship_complete=np.zeros(count, dtype=np.bool_),
        dest_node=node,
        dest_lat=np.where(at_store, empty.node_lat[node], here[:, 0]),
        dest_lon=np.where(at_store, empty.node_lon[node], here[:, 1]),
        line_sku=columns[0],
        line_qty=columns[1],
        line_unfilled_cents=columns[2],
        line_must_fill=np.zeros(columns.shape[1], dtype=np.bool_),
    )
    parcels_left, units_left = read_left_today(tx, catalogue, working_days(catalogue.columns, minute))
    problem = build_problem(
        catalogue.columns, free_stock(tx, catalogue, columns[0]), orders, at=minute,
        parcels_left=parcels_left, units_left=units_left, kits=catalogue.kits,
    )  # fmt: skip
    regions = tuple(one.wanted.place.region if one.wanted.place else "" for one in asked)
    channels = np.array([catalogue.channel_at[one.wanted.channel] for one in asked], dtype=np.int64)
    return _each_its_service(restrict(problem, catalogue, channels, regions, no_rejections()), questions)


def _lines(catalogue: Catalogue, question: _Question) -> Ints:
    """(3, n) SKU, units and what a unit costs that is not had."""
    open_cents = [
        catalogue.unfilled_cents(k, line.unfilled_cents, line.price_cents)
        for k, line in zip(question.sku.tolist(), question.wanted.lines, strict=True)
    ]
    return np.array([question.sku, [line.qty for line in question.wanted.lines], open_cents], dtype=np.int64)


def _each_its_service(problem: Problem, questions: Sequence[_Question]) -> Problem:
    """Leave the ways that are by one service no other."""
    service = np.array([way[1] for question in questions for way in question.ways], dtype=np.int64)
    others = (service[:, None] != NO_SERVICE) & (service[:, None] != np.arange(problem.services))
    lane = problem.lane_zone.copy()
    lane[np.broadcast_to(others[:, None, :], lane.shape)] = NO_SERVICE
    return replace(problem, lane_zone=lane)


def _offers(problem: Problem, questions: Sequence[_Question], minute: int) -> list[list[Offer]]:
    """Decide each way by itself, as if the others were not there; those that get nothing are left out."""
    plan = _side_by_side(problem)
    bills = order_bills(problem, plan)
    cents = (bills["carriage"] + bills["handling"]).tolist()
    arrives = days_late(problem, plan) + problem.order_promise_days[plan.parcel_order] + minute // MINUTES_PER_DAY
    in_parcel = np.add.reduceat(plan.entry_units, plan.entry_start[:-1]) if plan.parcels else plan.entry_units
    parcels: list[list[PromisedParcel]] = [[] for _ in range(problem.orders)]
    for of, node, service, day, units in zip(
        plan.parcel_order.tolist(), plan.parcel_node.tolist(), plan.parcel_service.tolist(), arrives.tolist(),
        in_parcel.tolist(), strict=True,
    ):  # fmt: skip
        name = "" if service == NO_SERVICE else problem.service_id[service]
        parcels[of].append(PromisedParcel(problem.node_id[node], name, day, units))
    short = problem.line_qty - units_by_line(problem, plan)
    by_way = np.split(short, problem.order_line_start[1:-1])
    offers, i = [], 0
    for question in questions:
        some = []
        for kind, service, node in question.ways:
            if parcels[i]:
                some.append(
                    Offer(
                        kind=kind,
                        service=problem.service_id[service] if kind == "service" else "",
                        store=problem.node_id[node] if node >= 0 else "",
                        day=max(parcel.arrives_day for parcel in parcels[i]),
                        cost_cents=cents[i],
                        parcels=tuple(parcels[i]),
                        missing={n: units for n, units in enumerate(by_way[i].tolist(), start=1) if units},
                        missing_day=None,
                    )
                )
            i += 1
        offers.append(some)
    return offers


def _side_by_side(problem: Problem) -> Plan:
    """The plan of every order, each decided on all the stock there is; together they take more than there is."""
    draft = new_draft(problem)
    left, node_left = draft.left.copy(), draft.node_left.copy()
    for i in range(problem.orders):
        draft = serve_in_turn(problem, draft, np.array([i]))
        draft.left[:], draft.node_left[:] = left, node_left
    return plan_of(problem, draft, 0.0, np.zeros(problem.rows), np.zeros(problem.nodes), 0.0, "cheapest", 0)
