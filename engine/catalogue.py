"""The catalogue as columns: nodes, SKUs, kits, services, calendars, channels and terms, as sourcing wants them.

Reading it costs one row while nothing has changed: each process keeps what it read, by a stamp that every writing of the
catalogue changes (`engine.entries`). Stock is not part of it.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import holidays
import msgspec
import numpy as np

from engine.calendar import MS_PER_DAY, format_day
from engine.database import Rows, Tx, decoded
from engine.entries import (
    CURRENCY,
    CalendarEntry,
    NodeEntry,
    ServiceEntry,
    SkuEntry,
    put_calendars,
    put_currency,
    put_nodes,
    put_services,
    put_skus,
    put_terms,
)
from engine.facts import NetworkLoaded, short_id
from engine.ledger import move, write_facts
from engine.network import Hours, Network, NetworkColumns, Node, Terms, columns_of
from engine.placing import TERMS
from engine.rulebook import AnyRule, rules_of
from engine.sourcing import Kits
from solver.problem import NO_LIMIT, Bools, Ints
from solver.refusal import Refusal
from solver.wave import Service, Sku

KEPT = 4
"""Catalogues that a process keeps."""


@dataclass(frozen=True)
class Channel:
    """Where orders come from, and how they are sourced."""

    id: str
    policy: str
    shadow: str | None
    stock_values: bool
    review: bool
    safety: int
    rules: tuple[AnyRule, ...]
    version: int


@dataclass(frozen=True, eq=False)
class Catalogue:
    """A catalogue as columns: J nodes and K SKUs by ascending number, C channels by ascending id.

    Attributes
    ----------
    stamp
        Another one whenever the catalogue is.
    columns
        The network as sourcing wants it, with no stock and no receipts.
    node_no, sku_no
        (J,), (K,) ascending: the number in the database of each index.
    node_region, node_tags
        (J,) where each node is, and what it is marked with; `sku_tags` likewise (K,), for those of the SKUs that have any.
    collects, paused
        (J,) where customers may collect, and who takes no work.
    backorder
        (K,) what is sold beyond what is there.
    presale_limit, sale_day
        (K,) units that may be sold before there are any (`NO_LIMIT`: the SKU is not on pre-order), and from when on it is there
        (-1: not said).
    sku_unfilled_cents
        (K,) what a unit costs that is never shipped; -1 where the terms hold.
    kits
        What is made of other SKUs, and of how many.
    """

    stamp: str
    currency: str
    columns: NetworkColumns
    node_no: Ints
    sku_no: Ints
    node_region: tuple[str, ...]
    node_tags: tuple[frozenset[str], ...]
    collects: Bools
    paused: Bools
    sku_tags: dict[int, frozenset[str]]
    backorder: Bools
    presale_limit: Ints
    sale_day: Ints
    sku_unfilled_cents: Ints
    kits: Kits
    channels: tuple[Channel, ...]

    @property
    def terms(self) -> Terms:
        return self.columns.terms

    @property
    def node_id(self) -> tuple[str, ...]:
        return self.columns.empty.node_id

    @property
    def sku_id(self) -> tuple[str, ...]:
        return self.columns.empty.sku_id

    @cached_property
    def node_at(self) -> dict[str, int]:
        """The index of each node by its id."""
        return {name: j for j, name in enumerate(self.node_id)}

    @cached_property
    def sku_at(self) -> dict[str, int]:
        """The index of each SKU by its id."""
        return {name: k for k, name in enumerate(self.sku_id)}

    @cached_property
    def channel_at(self) -> dict[str, int]:
        """The index of each channel by its id."""
        return {channel.id: c for c, channel in enumerate(self.channels)}

    def unfilled_cents(self, sku: int, said: int | None, price_cents: int | None) -> int:
        """What a unit costs that is never shipped: what the order says, else the SKU, else the terms."""
        own = int(self.sku_unfilled_cents[sku])
        return self.terms.open_cents(said, own if own >= 0 else None, price_cents)

    def nodes_of(self, numbers: Ints) -> Ints:
        """The index of each node by its number; all are here."""
        return _places(self.node_no, numbers)

    def skus_of(self, numbers: Ints) -> Ints:
        """The index of each SKU by its number; all are here."""
        return _places(self.sku_no, numbers)


_kept: OrderedDict[tuple[str, int], Catalogue] = OrderedDict()
_keeping = threading.Lock()


def read_catalogue(tx: Tx, at: int) -> Catalogue:
    """The catalogue as it is; from memory while nothing has changed.

    Parameters
    ----------
    at
        Public holidays are those of the year before to two years after.

    Raises
    ------
    Refusal
        `no_network`: there is no node, or no service, yet.
    """
    year = int(format_day(at // MS_PER_DAY)[:4])
    stamp = _stamp(tx)
    with _keeping:
        found = _kept.get((stamp, year))
    if found is not None:
        return found
    made = _read(tx, stamp, year)
    while (now := _stamp(tx)) != stamp:  # somebody wrote while we read
        stamp, made = now, _read(tx, now, year)
    if stamp:
        with _keeping:
            _kept[stamp, year] = made
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
    return made


def put_network(tx: Tx, network: Network, at: int, by: str = "") -> bool:
    """Put a network file into the catalogue, whole: what is there by these ids already is changed to what the file says.

    Its stock is put where a node has no books of a SKU yet; its receipts become inbound. The same network again changes nothing.

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    Refusal
        The file contradicts itself, or what is here.
    """
    columns = columns_of(network)
    services = [service.id for service in network.services]
    changed = put_currency(tx, network.currency, at, by) + put_terms(tx, network.terms, at, by)
    changed += put_calendars(tx, [_calendar_entry(tx, hours) for hours in network.calendars], at, by)
    changed += put_services(tx, [_entry(service, ServiceEntry) for service in network.services], at, by)
    changed += put_nodes(tx, _node_entries(tx, network), at, by)
    changed += put_skus(tx, [_sku_entry(sku, services) for sku in network.skus], at, by)
    rows, receipts = _put_stock(tx, network, at), _put_inbound(tx, network, columns)
    if not (changed or rows or receipts):
        return False
    content = short_id("net", msgspec.json.encode(network).decode())
    fact = NetworkLoaded(id=short_id("net", content, str(at)), at=at, content=content, nodes=len(network.nodes),
                         skus=len(network.skus), stock_rows=rows, receipts=receipts)  # fmt: skip
    write_facts(tx, [fact], by)
    if tx.dialect == "postgresql":  # it plans for empty tables until it happens to look again, a minute later
        for table in ("node", "sku", "stock"):
            tx.run(f"ANALYZE {table}")
    return True


def holidays_of(name: str, year: int) -> frozenset[str]:
    """The public holidays of a country or part of one, from the year before to two years after, as days."""
    country, _, part = name.partition("-")
    found = holidays.country_holidays(country, subdiv=part or None, years=range(year - 1, year + 3))
    return frozenset(day.isoformat() for day in found)


def _places(numbers: Ints, wanted: Ints) -> Ints:
    wanted = np.asarray(wanted, dtype=np.int64)
    at = np.minimum(np.searchsorted(numbers, wanted), max(0, len(numbers) - 1))
    assert not len(wanted) or (len(numbers) and (numbers[at] == wanted).all()), "a number that the catalogue lacks"
    return at.astype(np.int64)


def _stamp(tx: Tx) -> str:
    found = tx.first("SELECT value FROM setting WHERE name = 'catalogue'")
    return str(decoded(found[0])["stamp"]) if found else ""


def _read(tx: Tx, stamp: str, year: int) -> Catalogue:
    settings = {name: decoded(value) for name, value in tx.all("SELECT name, value FROM setting")}
    services = tx.all("SELECT id, card FROM service ORDER BY id")
    hours = tx.all("SELECT id, open_weekdays, closed, holidays FROM calendar ORDER BY id")
    nodes = tx.all(
        "SELECT no, region, collects, paused, id, kind, lat, lon, parcel_cents, line_cents, unit_cents, ready_days, tags, "
        "calendar, cut_off_minute, capacity_parcels, capacity_units, overtime_cents FROM node ORDER BY no"
    )
    if not nodes or not services:
        missing = "service" if nodes else "node"
        raise Refusal(
            "catalogue", f"there is no {missing} yet; put nodes and services, or load a network", "no_network"
        )
    skus = tx.all(
        # lists as text, whatever the driver: those that many SKUs have are parsed once
        "SELECT no, backorder, presale_limit, sale_day, unfilled_cents, CAST(tags AS text), id, weight_g, "
        "CAST(requires AS text), CAST(services AS text) FROM sku ORDER BY no"
    )
    parts = tx.ints(3, "SELECT kit_no, part_no, units FROM kit_part ORDER BY kit_no, part_no")
    network = Network(
        format="network/1",
        currency=settings.get("currency", {}).get("currency", CURRENCY),
        simulated=(),
        calendars=tuple(_hours(row, year) for row in hours),
        nodes=tuple(_node(row[4:]) for row in nodes),
        skus=_skus(skus, [name for name, _ in services]),
        services=[Service(id=name, **decoded(card)) for name, card in services],
        stock=[],
        receipts=[],
        terms=msgspec.convert(settings["terms"], Terms) if "terms" in settings else TERMS,
        markets=(),
    )
    sku_no = np.array([row[0] for row in skus], dtype=np.int64)
    return Catalogue(
        stamp=stamp,
        currency=network.currency,
        columns=columns_of(network),
        node_no=np.array([row[0] for row in nodes], dtype=np.int64),
        sku_no=sku_no,
        node_region=tuple(row[1] for row in nodes),
        node_tags=tuple(frozenset(node.tags) for node in network.nodes),
        collects=np.array([row[2] for row in nodes], dtype=np.bool_),
        paused=np.array([row[3] for row in nodes], dtype=np.bool_),
        sku_tags={k: frozenset(json.loads(row[5])) for k, row in enumerate(skus) if row[5] != "[]"},
        backorder=np.array([row[1] for row in skus], dtype=np.bool_),
        presale_limit=np.array([NO_LIMIT if row[2] is None else row[2] for row in skus], dtype=np.int64),
        sale_day=np.array([-1 if row[3] is None else row[3] for row in skus], dtype=np.int64),
        sku_unfilled_cents=np.array([-1 if row[4] is None else row[4] for row in skus], dtype=np.int64),
        kits=_kits(_places(sku_no, parts[0]), _places(sku_no, parts[1]), parts[2]),
        channels=tuple(
            Channel(name, policy, shadow, bool(values), bool(review), safety, rules_of(decoded(rules)), version)
            for name, policy, shadow, values, review, safety, rules, version in tx.all(
                "SELECT id, policy, shadow, stock_values, review, safety, rules, version FROM channel ORDER BY id"
            )
        ),
    )


def _kits(kit: Ints, part: Ints, units: Ints) -> Kits:
    sku, first = np.unique(kit, return_index=True)
    return Kits(sku, np.append(first, len(kit)).astype(np.int64), part, units)


def _node(row: tuple[Any, ...]) -> Node:
    return Node(*row[:8], decoded(row[8]), *row[9:])  # type: ignore[call-arg]  # in the order of its fields


def _hours(row: tuple[Any, ...], year: int) -> Hours:
    name, weekdays, closed, country = row
    days = frozenset(decoded(closed)) | (holidays_of(country, year) if country else frozenset())
    return Hours(name, tuple(decoded(weekdays)), tuple(sorted(days)))


def _skus(rows: list[tuple[Any, ...]], services: list[str]) -> list[Sku]:
    known: dict[str, list[str]] = {}
    refused: dict[str | None, list[str]] = {None: [], "null": []}
    for row in rows:
        if row[8] not in known:
            known[row[8]] = json.loads(row[8])
        if row[9] not in refused:
            allowed = json.loads(row[9])
            refused[row[9]] = [name for name in services if name not in allowed]
    return [Sku(row[6], row[7], known[row[8]], refused[row[9]]) for row in rows]


def _entry(value: Any, kind: Any) -> Any:
    return msgspec.convert(msgspec.to_builtins(value), kind)


def _calendar_entry(tx: Tx, hours: Hours) -> CalendarEntry:
    """A calendar of a file; the file knows no holidays, so those that are set here stay."""
    there = tx.first("SELECT holidays FROM calendar WHERE id = :id", id=hours.id)
    return CalendarEntry(id=hours.id, open_weekdays=hours.open_weekdays, closed=hours.closed,
                         holidays=there[0] if there else None)  # fmt: skip


def _node_entries(tx: Tx, network: Network) -> list[NodeEntry]:
    """The nodes of a file; it knows no region, no address and nothing of collecting, so that stays, and a new store collects."""
    there = {
        name: {"region": region, "address": address, "collects": bool(collects)}
        for name, region, address, collects in tx.all("SELECT id, region, address, collects FROM node")
    }
    return [
        msgspec.convert(
            {"collects": node.kind == "store", **msgspec.to_builtins(node), **there.get(node.id, {})}, NodeEntry
        )
        for node in network.nodes
    ]


def _sku_entry(sku: Sku, services: list[str]) -> SkuEntry:
    allowed = tuple(name for name in services if name not in sku.no_services) if sku.no_services else None
    return SkuEntry(id=sku.id, weight_g=sku.weight_g, requires=tuple(sku.requires), services=allowed)


def _put_stock(tx: Tx, network: Network, at: int) -> int:
    """Receive the stock of a file where there are no books yet; returns for how many SKUs and nodes."""
    if not network.stock:
        return 0
    node, sku, units, value = zip(*network.stock, strict=True)
    new = tx.ints(
        4,
        "SELECT sku.no, node.no, rows.units, rows.value FROM {rows} JOIN sku ON sku.id = rows.sku "
        "JOIN node ON node.id = rows.node LEFT JOIN stock s ON s.sku_no = sku.no AND s.node_no = node.no "
        "WHERE s.sku_no IS NULL AND rows.units > 0 ORDER BY 1, 2",
        Rows(node=node, sku=sku, units=units, value=value),
    )
    if not new.shape[1]:
        return 0
    move(tx, at, "NetworkLoaded", short_id("net", str(at)), new[0], new[1], on_hand=new[2])
    worth = new[:, new[3] > 0]
    if worth.shape[1]:
        tx.run(
            "UPDATE stock SET value_cents = rows.value FROM {rows} "
            "WHERE stock.sku_no = rows.sku_no AND stock.node_no = rows.node_no",
            Rows(sku_no=worth[0], node_no=worth[1], value=worth[3]),
        )
    return int(new.shape[1])


def _put_inbound(tx: Tx, network: Network, columns: NetworkColumns) -> int:
    """Announce the receipts of a file; returns how many are new."""
    receipts, empty = columns.receipts, columns.empty
    if not len(receipts.at):
        return 0
    seen: dict[tuple[int, int, int, int], int] = {}
    ids, nodes, skus = [], [], []
    for key in zip(receipts.at.tolist(), receipts.node.tolist(), receipts.sku.tolist(), receipts.units.tolist(),
                   strict=True):  # fmt: skip
        seen[key] = seen.get(key, 0) + 1
        nodes.append(empty.node_id[key[1]])
        skus.append(empty.sku_id[key[2]])
        ids.append(short_id("inb", nodes[-1], skus[-1], str(key[0]), str(key[3]), str(seen[key])))
    return tx.run(
        "INSERT INTO inbound (id, sku_no, node_no, units, due_day) "
        "SELECT rows.id, sku.no, node.no, rows.units, rows.day FROM {rows} JOIN sku ON sku.id = rows.sku "
        "JOIN node ON node.id = rows.node WHERE true ON CONFLICT (id) DO NOTHING",
        Rows(id=ids, sku=skus, node=nodes, units=receipts.units, day=receipts.at // 1440),
    )
