"""What happened in a live database, as a history that a replay reads, and its network as it began.

Read in pages, in one state of the database. Nothing personal goes along: a customer is a number. A replay knows no kits, so that
they are taken apart: each part is a line of its own, with its share of the price.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from engine.calendar import MINUTES_PER_DAY, MS_PER_DAY, MS_PER_MINUTE, format_day
from engine.catalogue import holidays_of, read_catalogue
from engine.database import Rows, Tx, decoded
from engine.entries import CalendarEntry, Entry, SkuEntry, read_entries
from engine.network import Hours, Network, Node
from simulation.history import History, history_of, write_history
from simulation.tables import NOT_SAID, TABLES, Format, Table, table_of
from solver.wave import Service, Sku

PAGE = 5000
Columns = dict[str, list[Any]]


def export_history(
    tx: Tx, folder: str | Path, at: int, *, tables: Format = "csv", told: Callable[[int], None] = lambda orders: None
) -> History:
    """Write the orders, receipts, cancellations and returns of a database as a history folder.

    Parameters
    ----------
    at
        Milliseconds, now: what is still to come is a receipt of its day, today at the earliest.
    told
        Called with the number of orders read so far.
    """
    history = history_in(tx, at, told=told)
    write_history(folder, history, tables)
    return history


def history_in(tx: Tx, at: int, *, told: Callable[[int], None] = lambda orders: None) -> History:
    """The history of a database."""
    catalogue = read_catalogue(tx, at)
    contents: dict[str, Columns] = {name: {column: [] for column in TABLES[name]} for name in TABLES}
    after = orders = 0
    while page := _orders_after(tx, after):
        after, orders = page[-1][0], orders + len(page)
        _add_orders(contents["orders"], page)
        _add_lines(tx, contents, {row[0]: (row[1], row[2]) for row in page})
        told(orders)
    _add_receipts(tx, contents["receipts"], at)
    made: dict[str, Table] = {name: table_of(name, columns) for name, columns in contents.items()}
    simulated = ("kits: taken apart into lines of their parts",) if len(catalogue.kits.sku) else ()
    return history_of("a database of allot", catalogue.currency, made, simulated=simulated)


def network_in(tx: Tx, at: int) -> Network:
    """The network of a database, with the stock that it began with; public holidays are closed days."""
    catalogue = read_catalogue(tx, at)
    year = int(format_day(at // MS_PER_DAY)[:4])
    services = [Service(id=name, **decoded(card)) for name, card in tx.all("SELECT id, card FROM service ORDER BY id")]
    names = [service.id for service in services]
    return Network(
        format="network/1",
        currency=catalogue.currency,
        simulated=(),
        calendars=tuple(_hours(entry, year) for entry in read_entries(tx, "calendar")),
        nodes=tuple(_as(entry, Node) for entry in read_entries(tx, "node")),
        skus=[_sku(entry, names) for entry in read_entries(tx, "sku") if not getattr(entry, "parts", None)],
        services=services,
        stock=_beginning(tx),
        receipts=[],
        terms=catalogue.terms,
        markets=(),
    )


def _as(entry: Entry, kind: type[Node]) -> Node:
    """An entry as its file has it: the fields that both have."""
    return msgspec.convert({name: getattr(entry, name) for name in kind.__struct_fields__}, kind)


def _hours(entry: Entry, year: int) -> Hours:
    assert isinstance(entry, CalendarEntry), "a calendar"
    closed = set(entry.closed) | (holidays_of(entry.holidays, year) if entry.holidays else set())
    return Hours(entry.id, entry.open_weekdays, tuple(sorted(closed)))


def _sku(entry: Entry, services: list[str]) -> Sku:
    assert isinstance(entry, SkuEntry), "a SKU"
    refused = [] if entry.services is None else [name for name in services if name not in entry.services]
    return Sku(entry.id, entry.weight_g, list(entry.requires), refused)


def _orders_after(tx: Tx, no: int) -> list[tuple[Any, ...]]:
    return tx.all(
        "SELECT o.no, o.id, o.placed_at, o.channel, r.no, o.region, o.lat, o.lon, o.pickup, o.promise_day, o.late_cents, "
        "o.max_parcels, o.ship_complete, o.external_id FROM orders o LEFT JOIN recipient r ON r.id = o.recipient "
        "WHERE o.no > :no ORDER BY o.no LIMIT :page",
        no=no,
        page=PAGE,
    )


def _add_orders(orders: Columns, page: list[tuple[Any, ...]]) -> None:
    for _, order, placed, channel, person, region, lat, lon, pickup, promise, late, most, complete, _ in page:
        nodes = decoded(pickup)
        values = {
            "order": order,
            "placed_at": placed // MS_PER_MINUTE,
            "channel": channel,
            "customer": None if person is None else f"C{person}",
            "region": region or None,
            "lat": None if nodes else lat,
            "lon": None if nodes else lon,
            "pickup_nodes": "|".join(nodes) or None,
            "promise_days": max(0, promise - placed // MS_PER_DAY),
            "late_cents": late,
            "max_parcels": NOT_SAID if most is None else most,
            "ship_complete": bool(complete),
        }
        for name, value in values.items():
            orders[name].append(value)


def _add_lines(tx: Tx, contents: dict[str, Columns], page: dict[int, tuple[str, int]]) -> None:
    """The lines of some orders, kits taken apart, and what was cancelled and returned of them."""
    rows = tx.all(
        "SELECT l.order_no, l.number, s.id, l.qty, COALESCE(k.units, 1), l.price_cents, l.unfilled_cents, l.cancelled, "
        "l.returned, (SELECT SUM(a.units) FROM kit_part a WHERE a.kit_no = l.sku_no) FROM {rows} "
        "JOIN order_line l ON l.order_no = rows.no LEFT JOIN kit_part k ON k.kit_no = l.sku_no "
        "JOIN sku s ON s.no = COALESCE(k.part_no, l.sku_no) ORDER BY l.order_no, l.number, s.no",
        Rows(no=list(page)),
    )
    count: dict[int, int] = defaultdict(int)
    places: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    gone: dict[str, dict[tuple[int, int], int]] = {"cancellations": {}, "returns": {}}
    for order, number, sku, qty, each, price, unfilled, cancelled, returned, parts in rows:
        line, share = count[order], int(parts or 1)
        count[order] += 1
        places[order, number].append((line, each))
        for name, units in (("cancellations", cancelled), ("returns", returned)):
            if units:
                gone[name][order, number] = units
        values = {
            "order": page[order][0],
            "line": line,
            "sku": sku,
            "qty": qty * each,
            "unit_price_cents": NOT_SAID if price is None else price // share,
            "unfilled_cents": unfilled // share,
        }
        for name, value in values.items():
            contents["lines"][name].append(value)
    when = {"cancellations": _called_off(tx, gone["cancellations"]), "returns": _came_back(tx, gone["returns"])}
    for name, told in when.items():
        for order, number, at, units in _dated(gone[name], told):
            for line, each in places[order, number]:
                befell = contents[name]
                befell["at"].append(max(at, page[order][1]) // MS_PER_MINUTE)
                befell["order"].append(page[order][0])
                befell["line"].append(line)
                befell["units"].append(units * each)


_Told = dict[int, list[tuple[int, dict[int, int]]]]
"""By order: when something happened, and to how many units of which lines, where it says."""


def _called_off(tx: Tx, gone: dict[tuple[int, int], int]) -> _Told:
    told: _Told = defaultdict(list)
    found = _facts(
        tx,
        "SELECT o.no, f.at, f.payload FROM {rows} JOIN orders o ON o.no = rows.no JOIN fact f ON f.subject = o.id "
        "AND f.kind IN ('OrderCancelled', 'OrderEdited', 'OrderReviewed') ORDER BY f.no",
        gone,
    )
    for order, at, payload in found:
        fact = json.loads(payload)
        lines = fact.get("lines", []) if fact["kind"] == "OrderCancelled" else []
        told[order].append((at, {part["line"]: part["units"] for part in lines}))
    return told


def _came_back(tx: Tx, gone: dict[tuple[int, int], int]) -> _Told:
    told: _Told = defaultdict(list)
    found = _facts(
        tx,
        "SELECT c.order_no, f.at, f.payload FROM {rows} JOIN consignment c ON c.order_no = rows.no "
        "JOIN fact f ON f.subject = c.id AND f.kind IN ('ReturnReceived', 'PickupLapsed') ORDER BY f.no",
        gone,
    )
    for order, at, payload in found:
        units: dict[int, int] = defaultdict(int)
        for part in json.loads(payload).get("units", ()):  # of what lapsed, all that was left came back
            units[part["line"]] += part["units"]
        told[order].append((at, dict(units)))
    return told


def _facts(tx: Tx, sql: str, gone: dict[tuple[int, int], int]) -> list[tuple[Any, ...]]:
    orders = sorted({order for order, _ in gone})
    return tx.all(sql, Rows(no=orders)) if orders else []


def _dated(gone: dict[tuple[int, int], int], told: _Told) -> list[tuple[int, int, int, int]]:
    """Order, line, time and units of all that is gone: when facts say so of the line, the rest when the last one was."""
    dated = []
    for (order, number), units in gone.items():
        left = units
        last = told[order][-1][0] if order in told else 0
        for at, lines in told.get(order, []):
            taken = min(left, lines.get(number, 0))
            if taken:
                dated.append((order, number, at, taken))
                left -= taken
        if left:
            dated.append((order, number, last, left))
    return dated


def _add_receipts(tx: Tx, receipts: Columns, at: int) -> None:
    """What came in, and what is still to come."""
    today = at // MS_PER_DAY
    came = tx.all(
        "SELECT m.at, n.id, s.id, m.on_hand FROM movement m JOIN node n ON n.no = m.node_no JOIN sku s ON s.no = m.sku_no "
        "WHERE m.cause = 'received' AND m.on_hand > 0 ORDER BY m.no"
    )
    due = tx.all(
        "SELECT i.due_day, n.id, s.id, i.units - i.received FROM inbound i JOIN node n ON n.no = i.node_no "
        "JOIN sku s ON s.no = i.sku_no WHERE NOT i.cancelled AND i.units > i.received ORDER BY i.id"
    )
    rows = [(when // MS_PER_MINUTE, *rest) for when, *rest in came]
    rows += [(max(day, today) * MINUTES_PER_DAY, *rest) for day, *rest in due]
    for row in rows:
        for name, value in zip(("at", "node", "sku", "units"), row, strict=True):
            receipts[name].append(value)


def _beginning(tx: Tx) -> list[tuple[str, str, int, int]]:
    """Stock as it was before anything came in or left: what movements for other reasons add up to."""
    found = tx.all(
        "SELECT n.id, s.id, SUM(m.on_hand) FROM movement m JOIN node n ON n.no = m.node_no JOIN sku s ON s.no = m.sku_no "
        "WHERE m.cause NOT IN ('received', 'shipped', 'returned', 'restocked') "
        "GROUP BY n.id, s.id HAVING SUM(m.on_hand) > 0 ORDER BY s.id, n.id"
    )
    return [(node, sku, int(units), 0) for node, sku, units in found]
