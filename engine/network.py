"""The network file (`network/1`): nodes, calendars, services, stock and terms, read strictly and made into columns.

`NETWORK.md` beside this file describes the format.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from engine.calendar import WEEKDAYS, Calendar, parse_day, parse_minute
from solver.files import read_json, write_bytes
from solver.problem import NO_LIMIT, Bools, Ints, Problem
from solver.refusal import Refusal
from solver.wave import Amount, Count, Days, Id, Lat, Lon, Service, Sku, StockRow, Wave, problem_of
from solver.wave import Node as WaveNode

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
ReceiptRow = tuple[Id, Id, Id, Count]


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A calendar as its file has it."""

    id: Id
    open_weekdays: Annotated[tuple[Weekday, ...], Meta(min_length=1)]
    closed: tuple[str, ...]


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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
    calendar: Id
    cut_off_minute: Annotated[int, Meta(ge=0, le=1439)]
    capacity_parcels: Amount | None
    capacity_units: Amount | None
    overtime_cents: Amount | None


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for orders that say nothing else."""

    promise_days: Days
    late_cents: Amount
    unfilled_cents: Amount
    unfilled_percent: Annotated[int, Meta(ge=0, le=10_000)]
    wait_cents_per_day: Amount
    cancel_after_days: Annotated[int, Meta(ge=0, le=3650)]
    restock_days: Annotated[int, Meta(ge=0, le=3650)]

    def open_cents(self, said: int | None, own: int | None, price_cents: int | None) -> int:
        """What a unit costs that is never shipped: what the order says, else its SKU, else these."""
        if said is not None:
            return said
        return self.unfilled_cents + (price_cents or 0) * self.unfilled_percent // 100 if own is None else own


class Market(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place where customers live, and how many of them."""

    id: Id
    region: Id
    lat: Lat
    lon: Lon
    weight: Count


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A network as its file has it."""

    format: Literal["network/1"]
    currency: Currency
    simulated: tuple[Id, ...]
    calendars: tuple[Hours, ...]
    nodes: Annotated[tuple[Node, ...], Meta(min_length=1)]
    skus: list[Sku]
    services: list[Service]
    stock: list[StockRow]
    receipts: list[ReceiptRow]
    terms: Terms
    markets: tuple[Market, ...]


@dataclass(frozen=True, eq=False)
class Stock:
    """Units free to allocate: rows by ascending SKU, then node, each pair once."""

    node: Ints
    sku: Ints
    units: Ints
    value_cents: Ints


@dataclass(frozen=True, eq=False)
class Receipts:
    """Units that come in, by ascending time; indices into the nodes and SKUs of a network."""

    at: Ints
    node: Ints
    sku: Ints
    units: Ints


@dataclass(frozen=True, eq=False)
class NetworkColumns:
    """A network as columns: J nodes, K SKUs.

    Attributes
    ----------
    empty
        The problem without orders: what every problem on this network has in common.
    node_calendar, node_cut_off
        (J,) when each node works, and the last minute of a day for that day's work.
    node_capacity_units
        (J,) units that a node picks in a day (`NO_LIMIT`).
    sku_kind, kind_handled
        (K,) SKUs with the same required tags are of one kind; (kinds, J) which nodes handle it.
    """

    empty: Problem
    node_calendar: tuple[Calendar, ...]
    node_cut_off: Ints
    node_capacity_units: Ints
    sku_kind: Ints
    kind_handled: Bools
    stock: Stock
    receipts: Receipts
    terms: Terms

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def nodes(self) -> int:
        return self.empty.nodes

    @property
    def skus(self) -> int:
        return len(self.empty.sku_id)


def read_network(path: str | Path) -> Network:
    """Read a network file (`.json` or `.json.gz`), refusing what its tables contradict.

    Raises
    ------
    Refusal
        Naming the place of the first fault.
    """
    network = read_json(path, Network)
    columns_of(network)
    return network


def write_network(path: str | Path, network: Network) -> None:
    """Write a network file."""
    write_bytes(path, msgspec.json.encode(network))


def columns_of(network: Network) -> NetworkColumns:
    """Make the columns of a network.

    Raises
    ------
    Refusal
        Duplicate ids, dangling references, bands that do not ascend, days that no calendar has, and so on.
    """
    _unique([hours.id for hours in network.calendars], "calendars")
    _unique([market.id for market in network.markets], "markets")
    calendars = {hours.id: _calendar(hours, f"calendars[{i}]") for i, hours in enumerate(network.calendars)}
    for j, node in enumerate(network.nodes):
        if node.calendar not in calendars:
            raise Refusal(f"nodes[{j}].calendar", f"{node.calendar!r} is not a calendar here", "dangling_reference")
    if not network.services:
        raise Refusal("services", "is empty; a network needs a service to deliver by")
    empty = _without_orders(network)
    sku_kind, kind_handled = _kinds(network)
    unlimited = [NO_LIMIT if node.capacity_units is None else node.capacity_units for node in network.nodes]
    return NetworkColumns(
        empty=empty,
        node_calendar=tuple(calendars[node.calendar] for node in network.nodes),
        node_cut_off=np.array([node.cut_off_minute for node in network.nodes], dtype=np.int64),
        node_capacity_units=np.array(unlimited, dtype=np.int64),
        sku_kind=sku_kind,
        kind_handled=kind_handled,
        stock=_stock(network, empty),
        receipts=_receipts(network, empty),
        terms=network.terms,
    )


def sorted_stock(node: Ints, sku: Ints, units: Ints, value_cents: Ints) -> Stock:
    """Put rows in the order that sourcing relies on."""
    by = np.lexsort((node, sku))
    return Stock(node[by], sku[by], units[by], value_cents[by])


def _calendar(hours: Hours, place: str) -> Calendar:
    closed = []
    if len(set(hours.open_weekdays)) < len(hours.open_weekdays):
        raise Refusal(f"{place}.open_weekdays", "names a weekday twice", "duplicate_id")
    for i, text in enumerate(hours.closed):
        try:
            closed.append(parse_day(text))
        except ValueError as error:
            raise Refusal(f"{place}.closed[{i}]", str(error), "bad_day") from None
    return Calendar(frozenset(WEEKDAYS.index(name) for name in hours.open_weekdays), frozenset(closed))


def _unique(ids: Sequence[str], table: str) -> None:
    seen: dict[str, int] = {}
    for i, name in enumerate(ids):
        if name in seen:
            raise Refusal(f"{table}[{i}].id", f"{name!r} is already the id of {table}[{seen[name]}]", "duplicate_id")
        seen[name] = i


def _without_orders(network: Network) -> Problem:
    """The network as a wave without orders: the wave's own reader checks ids, tariffs and stock."""
    nodes = [
        WaveNode(**{name: getattr(node, name) for name in WaveNode.__struct_fields__})  # nothing is renamed
        for node in network.nodes
    ]
    wave = Wave("wave/1", nodes, network.skus, network.stock, network.services, [])
    try:
        return problem_of(wave)
    except Refusal as refusal:
        raise Refusal(refusal.place, refusal.problem.replace("this wave", "this network"), refusal.code) from None


def _kinds(network: Network) -> tuple[Ints, Bools]:
    kinds: dict[frozenset[str], int] = {}
    of = [kinds.setdefault(frozenset(sku.requires), len(kinds)) for sku in network.skus]
    handled = [[tags <= set(node.tags) for node in network.nodes] for tags in kinds]
    table = np.array(handled, dtype=np.bool_).reshape(len(kinds), len(network.nodes))
    return np.array(of, dtype=np.int64), table


def _stock(network: Network, empty: Problem) -> Stock:
    # the problem without orders has one resource row for each stock row, then one for each node of limited units
    rows = len(network.stock)
    value = np.array([row[3] for row in network.stock], dtype=np.int64)
    return sorted_stock(
        empty.row_node[:rows].astype(np.int64), empty.row_sku[:rows].astype(np.int64), empty.row_limit[:rows], value
    )


def _receipts(network: Network, empty: Problem) -> Receipts:
    node_at = {name: j for j, name in enumerate(empty.node_id)}
    sku_at = {name: k for k, name in enumerate(empty.sku_id)}
    table = np.zeros((len(network.receipts), 4), dtype=np.int64)
    for i, (at, node, sku, units) in enumerate(network.receipts):
        if node not in node_at:
            raise Refusal(f"receipts[{i}][1]", f"{node!r} is not a node of this network", "dangling_reference")
        if sku not in sku_at:
            raise Refusal(f"receipts[{i}][2]", f"{sku!r} is not a SKU of this network", "dangling_reference")
        try:
            table[i] = parse_minute(at), node_at[node], sku_at[sku], units
        except ValueError as error:
            raise Refusal(f"receipts[{i}][0]", str(error), "bad_time") from None
    table = table[np.argsort(table[:, 0], kind="stable")]
    return Receipts(*(np.ascontiguousarray(column) for column in table.T))
