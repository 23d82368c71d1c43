"""Small worlds written by hand: enough to state one point of the trade, with numbers that can be checked on paper.

Nodes stand on the equator, where one degree of longitude is 111.195 km. The default service is one band of 500 km and
costs 500 cents for each started kilogram up to five; a node costs 50 a parcel, 10 a line and 1 a unit; a unit weighs
1 kg; leaving it open costs 10,000.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import UNSET

from solver.plan import Plan
from solver.problem import NO_SERVICE, Problem
from solver.wave import Line, Node, Order, Service, Sku, Wave


def node(
    id: str,
    at: float = 0.0,
    *,
    kind: str = "warehouse",
    parcel: int = 50,
    line: int = 10,
    unit: int = 1,
    ready: int = 0,
    tags: Sequence[str] = (),
    parcels: int | None = None,
    overtime: int | None = None,
    units: int | None = None,
) -> Node:
    """A node `at` so many degrees east, with room for so many `parcels` and `units`."""
    assert kind in ("warehouse", "store")
    return Node(
        id=id,
        kind="store" if kind == "store" else "warehouse",
        lat=0.0,
        lon=at,
        parcel_cents=parcel,
        line_cents=line,
        unit_cents=unit,
        ready_days=ready,
        tags=list(tags),
        capacity_parcels=parcels,
        capacity_units=units,
        overtime_cents=overtime,
    )


def sku(id: str, grams: int = 1000, *, requires: Sequence[str] = (), no_services: Sequence[str] = ()) -> Sku:
    return Sku(id=id, weight_g=grams, requires=list(requires), no_services=list(no_services))


def service(
    id: str = "ground",
    *,
    zone_km: Sequence[float] = (500.0,),
    steps_g: Sequence[int] = (1000, 2000, 3000, 4000, 5000),
    cents: Sequence[Sequence[int]] = ((500, 1000, 1500, 2000, 2500),),
    over: Sequence[int] = (500,),
    transit: Sequence[int] = (2,),
) -> Service:
    return Service(
        id=id,
        zone_km=list(zone_km),
        steps_g=list(steps_g),
        cents=[list(row) for row in cents],
        over_cents_per_kg=list(over),
        transit_days=list(transit),
    )


def line(sku: str, qty: int = 1, unfilled: int = 10_000) -> Line:
    return Line(sku=sku, qty=qty, unfilled_cents=unfilled)


def delivery(
    id: str,
    *lines: Line,
    at: float = 0.0,
    promise: int = 5,
    late: int = 100,
    max_parcels: int | None = None,
    complete: bool = False,
) -> Order:
    """An order delivered `at` so many degrees east."""
    return Order(
        id=id,
        promise_days=promise,
        late_cents=late,
        ship_complete=complete,
        lines=list(lines),
        max_parcels=max_parcels,
        lat=0.0,
        lon=at,
    )


def collection(
    id: str,
    *lines: Line,
    at: Sequence[str],
    promise: int = 5,
    late: int = 100,
    max_parcels: int | None = None,
    complete: bool = False,
) -> Order:
    """An order collected at one of the nodes `at`."""
    return Order(
        id=id,
        promise_days=promise,
        late_cents=late,
        ship_complete=complete,
        lines=list(lines),
        max_parcels=max_parcels,
        lat=UNSET,
        lon=UNSET,
        pickup_nodes=list(at),
    )


def world(
    nodes: Iterable[Node],
    orders: Iterable[Order],
    stock: Mapping[tuple[str, str], int | tuple[int, int]],
    *,
    skus: Iterable[Sku] = (),
    services: Iterable[Service] | None = None,
) -> Wave:
    """A wave of these. SKUs that are named nowhere else weigh a kilogram; the default service is `ground`.

    Parameters
    ----------
    stock
        Units of a SKU at a node by `(node, sku)`, or units with what each is worth.
    """
    orders = list(orders)
    known = {one.id: one for one in skus}
    for name in [line.sku for order in orders for line in order.lines] + [name for _, name in stock]:
        known.setdefault(name, sku(name))
    rows = [(*pair, *(held if isinstance(held, tuple) else (held, 0))) for pair, held in stock.items()]
    return Wave(
        format="wave/1",
        nodes=list(nodes),
        skus=list(known.values()),
        stock=[(node, name, units, value) for node, name, units, value in rows],
        services=[service()] if services is None else list(services),
        orders=orders,
    )


Content = Mapping[int, int]
"""Units by line number, from 0 within the order."""


def plan_of(
    problem: Problem,
    parcels: Sequence[tuple[str, str, str | None, Content]],
    pickups: Mapping[str, str] | None = None,
    *,
    cost: int = 0,
    bound: float = 0.0,
) -> Plan:
    """A plan of parcels `(order, node, service, content)`; `pickups` says where orders are collected."""
    order = np.array([problem.order_id.index(name) for name, *_ in parcels], dtype=np.int64)
    dest = problem.order_dest_start[order].copy()
    for name, place in (pickups or {}).items():
        o = problem.order_id.index(name)
        start, end = problem.order_dest_start[o : o + 2]
        at = problem.dest_node[start:end].tolist().index(problem.node_id.index(place))
        dest[order == o] = start + at
    entries = [
        (problem.order_line_start[o] + number, units)
        for o, (*_, content) in zip(order, parcels, strict=True)
        for number, units in content.items()
    ]
    services = [NO_SERVICE if name is None else problem.service_id.index(name) for _, _, name, _ in parcels]
    return Plan(
        parcel_order=order,
        parcel_node=np.array([problem.node_id.index(name) for _, name, _, _ in parcels], dtype=np.int64),
        parcel_service=np.array(services, dtype=np.int64),
        parcel_dest=dest,
        entry_start=np.concatenate([[0], np.cumsum([len(content) for *_, content in parcels])]).astype(np.int64),
        entry_line=np.array([entry for entry, _ in entries], dtype=np.int64),
        entry_units=np.array([units for _, units in entries], dtype=np.int64),
        cost_cents=cost,
        bound_cents=bound,
    )
