"""The wave file (`wave/1`): read strictly, made into a `Problem`, and written exactly.

`WAVE.md` beside this file describes the format.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from solver.distance import lane_zones
from solver.files import read_json, write_bytes
from solver.problem import DELIVERED, EXACT_CENTS, HARD, MAX_SERVICES, NO_LIMIT, Ints, Problem
from solver.refusal import Refusal

Id = Annotated[str, Meta(min_length=1)]
Amount = Annotated[int, Meta(ge=0, le=2**40)]
Count = Annotated[int, Meta(ge=1, le=2**40)]
Days = Annotated[int, Meta(ge=0, le=100_000)]
PromiseDays = Annotated[int, Meta(ge=-100_000, le=100_000)]
Lat = Annotated[float, Meta(ge=-90, le=90)]
Lon = Annotated[float, Meta(ge=-180, le=180)]
Km = Annotated[float, Meta(ge=0, le=1e9)]

MAX_UNITS = 2**31 - 1
"""Units of one line: what the kernels count in 32 bits."""
MAX_GRAMS = 2**53
"""Weight of all that a wave asks for: parcels are weighed in 64-bit integers."""


class Node(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A place that holds stock and packs."""

    id: Id
    kind: Literal["warehouse", "store"]
    lat: Lat
    lon: Lon
    parcel_cents: Amount
    line_cents: Amount
    unit_cents: Amount
    ready_days: Days
    tags: list[Id]
    capacity_parcels: Amount | None = None
    capacity_units: Amount | None = None
    overtime_cents: Amount | None = None


class Sku(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What is sold."""

    id: Id
    weight_g: Amount
    requires: list[Id]
    no_services: list[Id]


class Service(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A carrier product: zones, weight steps, cents, transit."""

    id: Id
    zone_km: Annotated[list[Km], Meta(min_length=1, max_length=120)]
    steps_g: Annotated[list[Amount], Meta(min_length=1)]
    cents: list[list[Amount]]
    over_cents_per_kg: list[Amount]
    transit_days: list[Days]


class Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One SKU of an order."""

    sku: Id
    qty: Annotated[int, Meta(ge=1, le=MAX_UNITS)]
    unfilled_cents: Amount


class Order(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a customer asked for, and where it goes."""

    id: Id
    promise_days: PromiseDays
    late_cents: Amount
    ship_complete: bool
    lines: Annotated[list[Line], Meta(min_length=1)]
    max_parcels: Count | UnsetType | None = UNSET
    lat: Lat | UnsetType = UNSET
    lon: Lon | UnsetType = UNSET
    pickup_nodes: Annotated[list[Id], Meta(min_length=1)] | UnsetType = UNSET


_Named = Node | Sku | Service | Order
StockRow = tuple[Id, Id, Amount, Amount]


class Wave(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A wave as its file has it: one joint allocation decision."""

    format: Literal["wave/1"]
    nodes: list[Node]
    skus: list[Sku]
    stock: list[StockRow]
    services: list[Service]
    orders: list[Order]


def read_wave(path: str | Path) -> Wave:
    """Read a wave file.

    Raises
    ------
    Refusal
        Naming the place of the first fault of form. Faults between tables are found by `problem_of`.
    """
    return read_json(path, Wave)


def write_wave(path: str | Path, wave: Wave) -> None:
    """Write a wave file."""
    write_bytes(path, msgspec.json.encode(wave))


def load(path: str | Path) -> Problem:
    """Read a wave file into a problem."""
    return problem_of(read_wave(path))


def problem_of(wave: Wave) -> Problem:
    """Make the columns of a wave, refusing what its tables contradict.

    Raises
    ------
    Refusal
        Duplicate ids, dangling references, bands or steps that do not ascend, a tariff that falls as weight rises, and so on.
    """
    node_at = _index(wave.nodes, "nodes")
    sku_at = _index(wave.skus, "skus")
    service_at = _index(wave.services, "services")
    _index(wave.orders, "orders")
    tariffs = _tariffs(wave.services)
    for i, sku in enumerate(wave.skus):
        _known(sku.no_services, service_at, f"skus[{i}].no_services", "service")
    carried = np.array([[s.id not in k.no_services for s in wave.services] for k in wave.skus], dtype=np.bool_)
    carried = carried.reshape(len(wave.skus), len(wave.services))
    stock = _stock(wave.stock, node_at, sku_at)
    lines = list(chain.from_iterable(order.lines for order in wave.orders))
    line_start = _starts(len(order.lines) for order in wave.orders)
    line_sku = _line_skus(wave.orders, lines, sku_at)
    dest_node, dest_lat, dest_lon, dest_start = _dests(wave.orders, wave.nodes, node_at)
    node_lat, node_lon = _floats(wave.nodes, "lat"), _floats(wave.nodes, "lon")
    node_unit_cents = _ints(wave.nodes, "unit_cents")

    # one option for each line and node that stocks its SKU, by ascending node
    by_sku = np.lexsort((stock.node, stock.sku))
    sku_stock_start = np.searchsorted(stock.sku[by_sku], np.arange(len(wave.skus) + 1))
    line_options = np.diff(sku_stock_start)[line_sku]
    option_start = np.concatenate([[0], np.cumsum(line_options)])
    within = np.arange(option_start[-1]) - np.repeat(option_start[:-1], line_options)
    option_stock = by_sku[np.repeat(sku_stock_start[:-1][line_sku], line_options) + within]
    option_node = stock.node[option_stock]
    option_row, row_limit, row_node, row_sku = _rows(wave.nodes, stock, option_stock, option_node)
    handled = _handled(wave.nodes, wave.skus)
    option_sku = np.repeat(line_sku, line_options)

    problem = Problem(
        node_id=tuple(node_at),
        node_is_store=np.array([node.kind == "store" for node in wave.nodes], dtype=np.bool_),
        node_lat=node_lat,
        node_lon=node_lon,
        node_parcel_cents=_ints(wave.nodes, "parcel_cents"),
        node_line_cents=_ints(wave.nodes, "line_cents"),
        node_unit_cents=node_unit_cents,
        node_ready_days=_ints(wave.nodes, "ready_days"),
        node_capacity_parcels=_ints(wave.nodes, "capacity_parcels", NO_LIMIT),
        node_overtime_cents=_ints(wave.nodes, "overtime_cents", HARD),
        sku_id=tuple(sku_at),
        sku_weight_g=_ints(wave.skus, "weight_g"),
        sku_carried=carried,
        service_id=tuple(service_at),
        **tariffs,
        order_id=tuple(order.id for order in wave.orders),
        order_line_start=line_start,
        order_dest_start=dest_start,
        order_promise_days=_ints(wave.orders, "promise_days"),
        order_late_cents=_ints(wave.orders, "late_cents"),
        order_max_parcels=np.array([order.max_parcels or NO_LIMIT for order in wave.orders], dtype=np.int64),
        order_ship_complete=np.array([order.ship_complete for order in wave.orders], dtype=np.bool_),
        dest_node=dest_node,
        dest_lat=dest_lat,
        dest_lon=dest_lon,
        line_sku=line_sku,
        line_qty=_ints(lines, "qty"),
        line_unfilled_cents=_ints(lines, "unfilled_cents"),
        line_must_fill=np.zeros(len(lines), dtype=np.bool_),
        line_option_start=option_start,
        option_node=option_node.astype(np.int32),
        option_row=option_row,
        option_use=np.ones_like(option_row),
        option_unit_cents=node_unit_cents[option_node],
        option_value_cents=stock.value[option_stock],
        option_reason=np.where(handled[option_sku, option_node], 0, 1).astype(np.uint8),
        reasons=("", "node_cannot_handle"),
        row_limit=row_limit,
        row_node=row_node,
        row_sku=row_sku,
        lane_zone=lane_zones(
            node_lat, node_lon, dest_lat, dest_lon, dest_node, tariffs["service_zone_km"], tariffs["service_zones"]
        ),
        row_price=np.zeros(len(row_limit)),
        node_price=np.zeros(len(wave.nodes)),
    )
    _check_amounts(problem)
    return problem


class _Stock(msgspec.Struct):
    node: Ints
    sku: Ints
    units: Ints
    value: Ints


def _index(table: Sequence[_Named], name: str) -> dict[str, int]:
    at = {row.id: i for i, row in enumerate(table)}
    if len(at) < len(table):
        seen: dict[str, int] = {}
        for i, row in enumerate(table):
            if row.id in seen:
                raise Refusal(
                    f"{name}[{i}].id", f"{row.id!r} is already the id of {name}[{seen[row.id]}]", "duplicate_id"
                )
            seen[row.id] = i
    return at


def _known(names: Iterable[str], at: dict[str, int], place: str, what: str) -> None:
    for name in names:
        if name not in at:
            raise Refusal(place, f"{name!r} is not a {what} of this wave", "dangling_reference")


def _ints(table: Sequence[object], name: str, missing: int = 0) -> Ints:
    column = list(map(attrgetter(name), table))
    return np.array([missing if value is None else value for value in column], dtype=np.int64)


def _floats(table: Sequence[object], name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(list(map(attrgetter(name), table)), dtype=np.float64)


def _starts(lengths: Iterable[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, dtype=np.int64))]).astype(np.int64)


def _tariffs(services: Sequence[Service]) -> dict[str, np.ndarray]:
    if len(services) > MAX_SERVICES:
        raise Refusal("services", f"{len(services)} services, at most {MAX_SERVICES} are read")
    for i, service in enumerate(services):
        zones, steps = len(service.zone_km), len(service.steps_g)
        ladders: dict[str, Sequence[float]] = {"zone_km": service.zone_km, "steps_g": service.steps_g}
        for name, values in ladders.items():
            for k, (low, high) in enumerate(pairwise(values)):
                if not low < high:
                    raise Refusal(
                        f"services[{i}].{name}[{k + 1}]", f"{high} is not above {low}; bands and steps ascend"
                    )
        for name in ("cents", "over_cents_per_kg", "transit_days"):
            if len(getattr(service, name)) != zones:
                raise Refusal(f"services[{i}].{name}", f"{len(getattr(service, name))} entries for {zones} zones")
        for z, row in enumerate(service.cents):
            if len(row) != steps:
                raise Refusal(f"services[{i}].cents[{z}]", f"{len(row)} entries for {steps} weight steps")
            for k, (low, high) in enumerate(pairwise(row)):
                if high < low:
                    raise Refusal(
                        f"services[{i}].cents[{z}][{k + 1}]",
                        f"{high} is below {low}; a tariff never falls as weight rises",
                    )
    m = len(services)
    zones = max((len(s.zone_km) for s in services), default=1)
    steps = max((len(s.steps_g) for s in services), default=1)
    columns = {
        "service_zones": np.array([len(s.zone_km) for s in services], dtype=np.int64),
        "service_zone_km": np.full((m, zones), np.inf),
        "service_steps": np.array([len(s.steps_g) for s in services], dtype=np.int64),
        "service_steps_g": np.full((m, steps), NO_LIMIT, dtype=np.int64),
        "service_cents": np.zeros((m, zones, steps), dtype=np.int64),
        "service_over_cents": np.zeros((m, zones), dtype=np.int64),
        "service_transit_days": np.zeros((m, zones), dtype=np.int64),
    }
    for i, s in enumerate(services):
        z, k = len(s.zone_km), len(s.steps_g)
        columns["service_zone_km"][i, :z] = s.zone_km
        columns["service_steps_g"][i, :k] = s.steps_g
        columns["service_cents"][i, :z, :k] = s.cents
        columns["service_over_cents"][i, :z] = s.over_cents_per_kg
        columns["service_transit_days"][i, :z] = s.transit_days
    return columns


def _stock(rows: Sequence[StockRow], node_at: dict[str, int], sku_at: dict[str, int]) -> _Stock:
    node, sku, units, value = zip(*rows, strict=True) if rows else ((), (), (), ())
    node_index = np.fromiter((node_at.get(name, -1) for name in node), dtype=np.int64, count=len(rows))
    sku_index = np.fromiter((sku_at.get(name, -1) for name in sku), dtype=np.int64, count=len(rows))
    for column, names, what, k in [(node_index, node, "node", 0), (sku_index, sku, "SKU", 1)]:
        if (column < 0).any():
            i = int(np.argmax(column < 0))
            raise Refusal(f"stock[{i}][{k}]", f"{names[i]!r} is not a {what} of this wave", "dangling_reference")
    pairs = node_index * max(1, len(sku_at)) + sku_index
    _, first = np.unique(pairs, return_index=True)
    if len(first) < len(rows):
        i = int(np.setdiff1d(np.arange(len(rows)), first)[0])
        raise Refusal(f"stock[{i}]", f"a second row for {node[i]!r} and {sku[i]!r}; one row for a pair", "duplicate_id")
    return _Stock(node_index, sku_index, np.array(units, dtype=np.int64), np.array(value, dtype=np.int64))


def _line_skus(orders: Sequence[Order], lines: Sequence[Line], sku_at: dict[str, int]) -> Ints:
    line_sku = np.fromiter((sku_at.get(line.sku, -1) for line in lines), dtype=np.int64, count=len(lines))
    if (line_sku < 0).any():
        for i, order in enumerate(orders):
            for k, line in enumerate(order.lines):
                _known([line.sku], sku_at, f"orders[{i}].lines[{k}].sku", "SKU")
    return line_sku


def _dests(
    orders: Sequence[Order], nodes: Sequence[Node], node_at: dict[str, int]
) -> tuple[Ints, np.ndarray, np.ndarray, Ints]:
    node: list[int] = []
    lat: list[float] = []
    lon: list[float] = []
    counts: list[int] = []
    for i, order in enumerate(orders):
        if order.pickup_nodes is UNSET:
            if order.lat is UNSET or order.lon is UNSET:
                raise Refusal(f"orders[{i}]", "needs lat with lon (deliver), or pickup_nodes (collect)")
            node.append(DELIVERED)
            lat.append(order.lat)
            lon.append(order.lon)
            counts.append(1)
            continue
        if order.lat is not UNSET or order.lon is not UNSET:
            raise Refusal(f"orders[{i}]", "has both pickup_nodes and lat or lon; exactly one of them is allowed")
        _known(order.pickup_nodes, node_at, f"orders[{i}].pickup_nodes", "node")
        stores = [node_at[name] for name in order.pickup_nodes]
        if len(set(stores)) < len(stores):
            raise Refusal(f"orders[{i}].pickup_nodes", "names a node twice", "duplicate_id")
        node += stores
        lat += [nodes[j].lat for j in stores]
        lon += [nodes[j].lon for j in stores]
        counts.append(len(stores))
    return np.array(node, dtype=np.int64), np.array(lat), np.array(lon), _starts(counts)


def _rows(
    nodes: Sequence[Node], stock: _Stock, option_stock: Ints, option_node: Ints
) -> tuple[np.ndarray, Ints, np.ndarray, np.ndarray]:
    """Resource rows: the stock, then the units that each limited node can pick."""
    limit = _ints(nodes, "capacity_units", NO_LIMIT)
    limited = np.flatnonzero(limit < NO_LIMIT)
    row_limit = np.concatenate([stock.units, limit[limited]])
    row_node = np.concatenate([stock.node, limited]).astype(np.int32)
    row_sku = np.concatenate([stock.sku, np.full(len(limited), -1)]).astype(np.int32)
    if not len(limited):
        return option_stock[:, None].astype(np.int32), row_limit, row_node, row_sku
    unit_row = np.full(len(nodes), -1, dtype=np.int64)
    unit_row[limited] = len(stock.units) + np.arange(len(limited))
    option_row = np.stack([option_stock, unit_row[option_node]], axis=1).astype(np.int32)
    return option_row, row_limit, row_node, row_sku


def _handled(nodes: Sequence[Node], skus: Sequence[Sku]) -> np.ndarray:
    """(K, J) whether the node has every tag that the SKU requires."""
    kinds: dict[tuple[str, ...], list[bool]] = {}
    for sku in skus:
        key = tuple(sorted(set(sku.requires)))
        if key not in kinds:
            kinds[key] = [set(key) <= set(node.tags) for node in nodes]
    table = [kinds[tuple(sorted(set(sku.requires)))] for sku in skus]
    return np.array(table, dtype=np.bool_).reshape(len(skus), len(nodes))


def _check_amounts(problem: Problem) -> None:
    """Refuse a wave whose dearest conceivable bill would no longer be exact in whole cents."""
    units = problem.line_qty.astype(float)
    per_unit = (
        problem.line_unfilled_cents.astype(float)
        + problem.option_value_cents.max(initial=0)
        + sum(
            float(column.max(initial=0))
            for column in (
                problem.node_unit_cents,
                problem.node_line_cents,
                problem.node_parcel_cents,
                problem.node_overtime_cents,
                problem.service_cents,
            )
        )
        + float(problem.order_late_cents.max(initial=0)) * 200_000.0
        + (problem.sku_weight_g[problem.line_sku] / 1000 + 1) * float(problem.service_over_cents.max(initial=0))
    )
    if float((units * per_unit).sum()) >= EXACT_CENTS:
        raise Refusal("the wave", f"its amounts are too large: a bill could pass {EXACT_CENTS} cents", "too_large")
    if float((units * problem.sku_weight_g[problem.line_sku]).sum()) >= MAX_GRAMS:
        raise Refusal("the wave", f"its weights are too large: they could pass {MAX_GRAMS} grams", "too_large")
