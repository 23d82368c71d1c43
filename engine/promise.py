"""Promise: what an order would get and cost, by service, by store and by date, without any effect.

The question is put as so many orders as there are ways to get it (each service alone, the cheapest mix, each store), each
decided by itself by what decides at capture, on the stock that is there now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.available import available
from engine.calendar import MINUTES_PER_DAY
from engine.catalogue import Catalogue
from engine.database import Tx
from engine.facts import OrderedLine, Place
from engine.rules import no_rejections, restrict
from engine.snapshot import MS_PER_MINUTE, free_stock, read_left_today
from engine.sourcing import OpenOrders, build_problem, working_days
from solver.bill import days_late, order_bills
from solver.distance import km
from solver.draft import new_draft, plan_of, serve_in_turn
from solver.plan import Plan, units_by_line
from solver.problem import DELIVERED, NO_LIMIT, NO_SERVICE, Ints, Problem
from solver.refusal import Refusal

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

    kind: str
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


def promise(
    tx: Tx,
    catalogue: Catalogue,
    channel: str,
    lines: Sequence[OrderedLine],
    at: int,
    *,
    place: Place | None = None,
    pickup: Sequence[str] = (),
    day: int | None = None,
    max_parcels: int | None = None,
) -> list[Offer]:
    """Offer every way to get an order, cheapest first; ways that get nothing are left out.

    Parameters
    ----------
    place
        Where it would be delivered; without it, only stores are offered.
    pickup
        Stores that come into question; the nearest ones of the place where none is named.
    day
        Only what is there by then.

    Raises
    ------
    Refusal
        An unknown SKU, store or channel, or neither a place nor a store.
    """
    sku = _skus(catalogue, lines)
    if channel not in catalogue.channel_at:
        raise Refusal(
            "channel", f"{channel!r} is not a channel; there are {', '.join(catalogue.channel_at)}", "unknown_channel"
        )
    stores = _stores(catalogue, place, pickup)
    ways: list[tuple[str, int, int]] = []  # kind, service, node
    if place is not None:
        ways += [("delivery", NO_SERVICE, DELIVERED)]
        ways += [("service", m, DELIVERED) for m in range(catalogue.columns.empty.services)]
    ways += [("pickup", NO_SERVICE, node) for node in stores]
    if not ways:
        raise Refusal("place", "neither a place to deliver to nor a store to collect at is given", "no_destination")
    problem = _problem(tx, catalogue, channel, sku, lines, ways, place, at, max_parcels)
    offers = _offers(problem, ways, at // MS_PER_MINUTE)
    if any(one.missing for one in offers):
        later = available(tx, catalogue, channel, sku, [line.qty for line in lines], at)
        offers = [replace(one, missing_day=_last(later[line] for line in one.missing)) for one in offers]
    found = [one for one in offers if day is None or (one.day is not None and one.day <= day)]
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


def _problem(
    tx: Tx,
    catalogue: Catalogue,
    channel: str,
    sku: Ints,
    lines: Sequence[OrderedLine],
    ways: Sequence[tuple[str, int, int]],
    place: Place | None,
    at: int,
    max_parcels: int | None,
) -> Problem:
    """One order for each way, all of the same lines."""
    count, minute = len(ways), at // MS_PER_MINUTE
    terms, empty = catalogue.terms, catalogue.columns.empty
    node = np.array([way[2] for way in ways], dtype=np.int64)
    here = (place.lat, place.lon) if place else (0.0, 0.0)
    at_store = node >= 0
    orders = OpenOrders(
        order_id=tuple(f"way{i}" for i in range(count)),
        order_line_start=np.arange(count + 1) * len(sku),
        order_dest_start=np.arange(count + 1),
        order_promise_day=np.full(count, minute // MINUTES_PER_DAY + terms.promise_days),
        order_late_cents=np.full(count, terms.late_cents),
        order_max_parcels=np.full(count, max_parcels or NO_LIMIT),
        order_ship_complete=np.zeros(count, dtype=np.bool_),
        dest_node=node,
        dest_lat=np.where(at_store, empty.node_lat[node], here[0]),
        dest_lon=np.where(at_store, empty.node_lon[node], here[1]),
        line_sku=np.tile(sku, count),
        line_qty=np.tile(np.array([line.qty for line in lines], dtype=np.int64), count),
        line_unfilled_cents=np.tile(
            np.array(
                [
                    catalogue.unfilled_cents(int(k), line.unfilled_cents, line.price_cents)
                    for k, line in zip(sku, lines, strict=True)
                ],
                dtype=np.int64,
            ),
            count,
        ),
        line_must_fill=np.zeros(count * len(sku), dtype=np.bool_),
    )
    working = working_days(catalogue.columns, minute)
    parcels_left, units_left = read_left_today(tx, catalogue, working)
    problem = build_problem(
        catalogue.columns, free_stock(tx, catalogue, sku), orders, at=minute,
        parcels_left=parcels_left, units_left=units_left, kits=catalogue.kits,
    )  # fmt: skip
    region = place.region if place else ""
    channels = np.full(count, catalogue.channel_at[channel])
    problem = restrict(problem, catalogue, channels, (region,) * count, no_rejections())
    lane = problem.lane_zone.copy()
    for i, (kind, service, _) in enumerate(ways):
        if kind == "service":
            others = np.arange(problem.services) != service
            lane[i][:, others] = NO_SERVICE
    return replace(problem, lane_zone=lane)


def _offers(problem: Problem, ways: Sequence[tuple[str, int, int]], minute: int) -> list[Offer]:
    """Decide each way by itself, as if the others were not there; those that get nothing are left out."""
    plan = _side_by_side(problem)
    bills = order_bills(problem, plan)
    cents = (bills["carriage"] + bills["handling"]).tolist()
    arrives = days_late(problem, plan) + problem.order_promise_days[plan.parcel_order] + minute // MINUTES_PER_DAY
    in_parcel = np.add.reduceat(plan.entry_units, plan.entry_start[:-1]) if plan.parcels else plan.entry_units
    parcels: list[list[PromisedParcel]] = [[] for _ in ways]
    for of, node, service, day, units in zip(
        plan.parcel_order.tolist(), plan.parcel_node.tolist(), plan.parcel_service.tolist(), arrives.tolist(),
        in_parcel.tolist(), strict=True,
    ):  # fmt: skip
        name = "" if service == NO_SERVICE else problem.service_id[service]
        parcels[of].append(PromisedParcel(problem.node_id[node], name, day, units))
    short = (problem.line_qty - units_by_line(problem, plan)).reshape(len(ways), -1).tolist()
    return [
        Offer(
            kind=kind,
            service=problem.service_id[service] if kind == "service" else "",
            store=problem.node_id[node] if node >= 0 else "",
            day=max(parcel.arrives_day for parcel in parcels[i]),
            cost_cents=cents[i],
            parcels=tuple(parcels[i]),
            missing={n: units for n, units in enumerate(short[i], start=1) if units},
            missing_day=None,
        )
        for i, (kind, service, node) in enumerate(ways)
        if parcels[i]
    ]


def _side_by_side(problem: Problem) -> Plan:
    """The plan of every order, each decided on all the stock there is; together they take more than there is."""
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    plans = [
        plan_of(problem, serve_in_turn(problem, new_draft(problem), np.array([i])), 0.0, *nothing, 0.0, "cheapest", 0)
        for i in range(problem.orders)
    ]
    entries = np.concatenate([np.diff(plan.entry_start) for plan in plans])
    return Plan(
        parcel_order=np.concatenate([plan.parcel_order for plan in plans]),
        parcel_node=np.concatenate([plan.parcel_node for plan in plans]),
        parcel_service=np.concatenate([plan.parcel_service for plan in plans]),
        parcel_dest=np.concatenate([plan.parcel_dest for plan in plans]),
        entry_start=np.concatenate([[0], np.cumsum(entries)]).astype(np.int64),
        entry_line=np.concatenate([plan.entry_line for plan in plans]),
        entry_units=np.concatenate([plan.entry_units for plan in plans]),
        cost_cents=0,
        bound_cents=0.0,
    )
