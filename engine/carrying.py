"""Carrying: what a parcel weighs, where it goes, and what each service takes for it by the retailer's rate cards.

Rating is pure, on the tariffs that sourcing prices options with: what a label costs is what the decision counted.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from engine.database import Tx, decoded
from solver.distance import lane_zones
from solver.parcel import carriage_cents
from solver.problem import Problem
from solver.refusal import Refusal

Spot = tuple[float, float]
"""Latitude and longitude."""
_ELSEWHERE = np.array([-1], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Rate:
    """What a service takes for a parcel, and days from collection to delivery."""

    service: str
    cents: int
    days: int


@dataclass(frozen=True, slots=True)
class Party:
    """Who sends or receives. What is personal is not shown where a parcel is written down."""

    id: str
    spot: Spot | None
    region: str = ""
    name: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    contact: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Item:
    """Units of a line in a parcel, of those that were ordered; `parts` are the units of SKUs that they are made of."""

    line: int
    sku: str
    ordered: int
    units: int
    price_cents: int | None
    parts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Load:
    """A consignment as carriers and papers need it: from where to whom, how heavy, and what is in it.

    Attributes
    ----------
    collect
        The node where it is collected, if it is.
    services
        Those that may carry every SKU in it.
    elsewhere
        Units of the order that are not in it.
    """

    consignment: str
    order: str
    channel: str
    external_id: str
    placed_at: int
    node: str
    state: str
    version: int
    service: str
    collect: str | None
    work_day: int
    sender: Party
    recipient: Party
    grams: int
    services: tuple[str, ...]
    items: tuple[Item, ...]
    elsewhere: int = 0


def rate(tariffs: Problem, origin: Spot, target: Spot, grams: int, services: Collection[str]) -> list[Rate]:
    """What each service takes for a weight, the cheapest first; those that do not go so far are left out.

    Parameters
    ----------
    tariffs
        A problem that has the services (`Catalogue.columns.empty`, say).
    origin, target
        Latitude and longitude in degrees; by their great-circle distance goes the zone.
    grams
        Weight, at least 0.
    """
    (node_lat, node_lon), (dest_lat, dest_lon) = (
        np.array(spot, dtype=np.float64).reshape(2, 1) for spot in (origin, target)
    )
    zones = lane_zones(
        node_lat, node_lon, dest_lat, dest_lon, _ELSEWHERE, tariffs.service_zone_km, tariffs.service_zones
    )[0, 0]
    found = [
        Rate(name, int(carriage_cents(tariffs.columns, s, zone, grams)), int(tariffs.service_transit_days[s, zone]))
        for s, (name, zone) in enumerate(zip(tariffs.service_id, zones.tolist(), strict=True))
        if zone >= 0 and name in services
    ]
    return sorted(found, key=lambda one: (one.cents, one.days, one.service))


def read_load(tx: Tx, consignment: str) -> Load:
    """Read a consignment for its carrier, or for a paper.

    Raises
    ------
    Refusal
        `unknown_consignment`, or `wrong_state` where it was withdrawn.
    """
    row = tx.first(
        "SELECT k.no, o.open + o.allocated + o.released + o.shipped + o.delivered + o.returned, k.id, o.id, o.channel, "
        "o.external_id, o.placed_at, n.id, k.state, k.version, k.service, k.work_day, "
        "n.lat, n.lon, n.region, n.address, c.id, c.lat, c.lon, c.region, c.address, o.lat, o.lon, o.region, o.recipient, "
        "r.name, r.address, r.contact FROM consignment k JOIN orders o ON o.no = k.order_no JOIN node n ON n.no = k.node_no "
        "LEFT JOIN node c ON c.no = k.collect_no LEFT JOIN recipient r ON r.id = o.recipient WHERE k.id = :id",
        id=consignment,
    )
    if row is None:
        raise Refusal("consignment", f"there is no consignment {consignment!r}", "unknown_consignment")
    (no, wanted, own_id, order, channel, external_id, placed_at, node, state, version, service, work_day, lat, lon, region, address,
     collect, *there) = row  # fmt: skip
    if state == "withdrawn":
        raise Refusal("consignment", "it is withdrawn: nothing of it leaves", "wrong_state")
    store_lat, store_lon, store_region, store_address, order_lat, order_lon, order_region, recipient, *person = there
    name, home, contact = (said or "" for said in person)
    if collect is None:
        spot = None if order_lat is None else (order_lat, order_lon)
        to = Party(recipient or "", spot, order_region, name, home, contact)
    else:
        to = Party(recipient or "", (store_lat, store_lon), store_region, name, store_address or collect, contact)
    items, grams, services = _items(tx, no)
    return Load(
        consignment=own_id, order=order, channel=channel, external_id=external_id, placed_at=placed_at, node=node,
        state=state, version=version, service=service, collect=collect, work_day=work_day,
        sender=Party(node, (lat, lon), region, address=address), recipient=to, grams=grams, services=services, items=items,
        elsewhere=wanted - sum(item.units for item in items),
    )  # fmt: skip


def read_released(tx: Tx, node: str, limit: int) -> tuple[list[Load], int]:
    """What a node is to pick, by the day that it is planned for, then as it was released; and how many more there are.

    Raises
    ------
    Refusal
        `unknown_node`.
    """
    if tx.first("SELECT 1 FROM node WHERE id = :node", node=node) is None:
        raise Refusal("node", f"there is no node {node!r}", "unknown_node")
    where = "FROM consignment k JOIN node n ON n.no = k.node_no WHERE n.id = :node AND k.state = 'released'"
    ids = tx.all(f"SELECT k.id {where} ORDER BY k.work_day, k.released_at, k.no LIMIT :limit", node=node, limit=limit)
    total = tx.value(f"SELECT COUNT(*) {where}", node=node)
    return [read_load(tx, id) for (id,) in ids], int(total) - len(ids)


def _items(tx: Tx, no: int) -> tuple[tuple[Item, ...], int, tuple[str, ...]]:
    """What is in a consignment, what it weighs in grams (kits as kits, as sourcing has it), and which services may carry it."""
    rows = tx.all(
        "SELECT l.number, s.id, l.qty - l.cancelled, c.line_units, l.price_cents, s.weight_g, p.id, c.units, p.services, "
        "s.services FROM consignment_line c JOIN consignment k ON k.no = c.consignment_no "
        "JOIN order_line l ON l.order_no = k.order_no AND l.number = c.number JOIN sku s ON s.no = l.sku_no "
        "JOIN sku p ON p.no = c.sku_no WHERE c.consignment_no = :no AND c.units > 0 ORDER BY c.number, p.id",
        no=no,
    )
    allowed = {name for (name,) in tx.all("SELECT id FROM service")}
    items: dict[int, Item] = {}
    weight: dict[int, int] = {}
    for number, sku, ordered, units, price, each, part, count, *limits in rows:
        for limit in map(decoded, limits):
            allowed &= allowed if limit is None else set(limit)
        before = items[number].parts if number in items else ()
        items[number] = Item(number, sku, ordered, units, price, (*before, (part, count)))
        weight[number] = units * each
    return tuple(items.values()), sum(weight.values()), tuple(sorted(allowed))
