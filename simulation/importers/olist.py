"""Olist (Brazil, 2016 to 2018): orders of a marketplace with real times, states, postal codes and promised days, as nine CSV files.

Needed are the orders, their items and the customers. The geolocation gives addresses; `skus` reads weights from the products.
Sellers, payments, reviews and the translation of categories say nothing that a replay asks for. An item is one unit: equal items of
an order are one line. Files may be `.csv` or `.csv.gz`.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from engine.calendar import MINUTES_PER_DAY, parse_day, parse_minute
from simulation.history import history_of
from simulation.importers.report import Import
from simulation.importers.source import Columns, read_columns, real
from simulation.tables import FIRST_MINUTE, LAST_MINUTE, TABLES, table_of, told
from solver.refusal import Refusal
from solver.wave import Sku

FILES = (
    "olist_orders_dataset",
    "olist_order_items_dataset",
    "olist_customers_dataset",
    "olist_geolocation_dataset",
    "olist_products_dataset",
    "olist_sellers_dataset",
    "olist_order_payments_dataset",
    "olist_order_reviews_dataset",
    "product_category_name_translation",
)
"""The nine files; the first three are needed."""
NEEDED = 3
ORDERS = (
    "order_id",
    "customer_id",
    "order_status",
    "order_purchase_timestamp",
    "order_approved_at",
    "order_estimated_delivery_date",
)
ITEMS = ("order_id", "product_id", "price")
CUSTOMERS = ("customer_id", "customer_unique_id", "customer_zip_code_prefix", "customer_state")
CANCELLED_AFTER = 60
"""Minutes after approval, or else after the order, at which a cancelled order is taken to be cancelled."""
BRAZIL = (-34.0, 6.0, -74.0, -34.0)
"""Least and largest latitude and longitude; the source has places elsewhere by mistake."""
Places = dict[str, tuple[float, float]]


def read(folder: str | Path) -> Import:
    """Read the folder that holds the files.

    Raises
    ------
    Refusal
        If one of the needed files is missing, or a file cannot be read or lacks a column.
    """
    folder = Path(folder)
    found = {name: _file(folder, name) for name in FILES}
    missing = [name for name in FILES[:NEEDED] if found[name] is None]
    if missing:
        more = [f"{name}.csv" for name in missing]
        raise Refusal(str(folder), f"lacks {', '.join(more)}", "unreadable")
    wanted = zip(FILES[:NEEDED], (ORDERS, ITEMS, CUSTOMERS), strict=True)
    orders, items, customers = (read_columns(found[name] or "", columns) for name, columns in wanted)
    geolocation = found["olist_geolocation_dataset"]
    where = read_places(geolocation) if geolocation else {}
    dropped = [*orders.ragged, *items.ragged, *customers.ragged]
    told_orders = _orders(orders, dropped)
    lines = _lines(items, told_orders, dropped)
    people = {row[0]: row[1:] for row in zip(*(customers[name] for name in CUSTOMERS), strict=True)}
    tables = _tables(told_orders, lines, people, where)
    simulated = [
        "times: local time read as UTC",
        f"cancellations: {CANCELLED_AFTER} minutes after approval, all units",
    ]
    absent = [name for name in FILES if found[name] is None]
    if absent:
        simulated.append(f"not there: {', '.join(absent)}")
    made = {name: table_of(name, tables.get(name, {})) for name in TABLES}
    history = history_of("Olist, Brazilian marketplace", "BRL", made, simulated=tuple(simulated))
    return Import.of(history, dropped, items.rows)


def read_places(path: str | Path) -> Places:
    """The middle of each postal code prefix: the median of its places in Brazil."""
    quoted = str(path).replace("'", "''")
    south, north, west, east = BRAZIL
    connection = duckdb.connect(config={"threads": "1"})
    try:
        rows = connection.execute(
            "SELECT lpad(geolocation_zip_code_prefix, 5, '0') AS code, round(median(lat), 5), round(median(lon), 5) FROM ("  # noqa: S608
            "SELECT geolocation_zip_code_prefix, TRY_CAST(geolocation_lat AS DOUBLE) AS lat, "
            f"TRY_CAST(geolocation_lng AS DOUBLE) AS lon FROM read_csv('{quoted}', all_varchar=true, header=true)) "
            f"WHERE lat BETWEEN {south} AND {north} AND lon BETWEEN {west} AND {east} GROUP BY code ORDER BY code"
        ).fetchall()
    except duckdb.Error as error:
        raise Refusal(str(path), f"cannot be read: {told(error)}", "unreadable") from None
    finally:
        connection.close()
    return {code: (lat, lon) for code, lat, lon in rows if code}


def skus(folder: str | Path) -> list[Sku]:
    """The products with their weights, for a network that has none; a product without weight weighs what the middle one does.

    Raises
    ------
    Refusal
        If there is no file of products, or it cannot be read.
    """
    path = _file(Path(folder), "olist_products_dataset")
    if path is None:
        raise Refusal(str(folder), "lacks olist_products_dataset.csv", "unreadable")
    products = read_columns(path, ("product_id", "product_weight_g"))
    grams: dict[str, int | None] = {}
    for name, text in zip(products["product_id"], products["product_weight_g"], strict=True):
        if name:
            grams[name] = _grams(text)
    usual = int(np.median([g for g in grams.values() if g] or [1]))
    return [Sku(name, g or usual, [], []) for name, g in grams.items()]


def _grams(text: str | None) -> int | None:
    try:
        return round(real(text)) or None
    except (ValueError, OverflowError):
        return None


def _file(folder: Path, name: str) -> Path | None:
    return next((path for end in ("csv", "csv.gz") if (path := folder / f"{name}.{end}").is_file()), None)


def _minute(stamp: str | None) -> int:
    """The minute of `2017-10-02 10:56:33`, or a ValueError."""
    text = stamp or ""
    minute = parse_minute(f"{text[:10]}T{text[11:16]}Z")
    if not FIRST_MINUTE <= minute <= LAST_MINUTE:
        raise ValueError(f"{text!r} is out of range")
    return minute


def _orders(orders: Columns, dropped: list[tuple[int, str, str]]) -> dict[str, dict[str, Any]]:
    """What is said of each order that can be read."""
    said: dict[str, dict[str, Any]] = {}
    for number, *row in zip(orders.number, *(orders[name] for name in ORDERS), strict=True):
        order, customer, status, bought, approved, promised = row
        if not order or order in said:
            dropped.append((number, "no_id" if not order else "duplicate_order", str(order)))
            continue
        try:
            placed = _minute(bought)
            day = parse_day((promised or "")[:10])
            sure = max(placed, _minute(approved)) if approved else placed
        except ValueError:
            dropped.append((number, "bad_time", f"{bought}|{approved}|{promised}"))
            continue
        said[order] = {
            "row": number,
            "customer": customer,
            "placed": placed,
            "promise_days": max(0, day - placed // MINUTES_PER_DAY),
            "cancelled": min(sure + CANCELLED_AFTER, LAST_MINUTE) if status == "canceled" else None,
        }
    return said


def _lines(
    items: Columns, orders: dict[str, dict[str, Any]], dropped: list[tuple[int, str, str]]
) -> dict[str, Counter[tuple[str, int]]]:
    """The units of each order by product and price; orders without any are left out."""
    lines: dict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    for number, order, product, price in zip(items.number, *(items[name] for name in ITEMS), strict=True):
        if order not in orders or order is None:
            dropped.append((number, "unknown_order", str(order)))
            continue
        try:
            cents = round(real(price) * 100)
        except (ValueError, OverflowError):
            cents = -1
        if not product or not 0 <= cents < 2**40:
            dropped.append((number, "no_product_or_price", f"{product}|{price}"))
            continue
        lines[order][product, cents] += 1
    dropped += [(said["row"], "no_items", order) for order, said in orders.items() if order not in lines]
    return lines


def _tables(
    orders: dict[str, dict[str, Any]],
    lines: dict[str, Counter[tuple[str, int]]],
    people: dict[str | None, tuple[str | None, ...]],
    where: Places,
) -> dict[str, dict[str, list[Any]]]:
    tables: dict[str, dict[str, list[Any]]] = {name: defaultdict(list) for name in ("orders", "lines", "cancellations")}
    for order, wanted in lines.items():
        said = orders[order]
        person, code, state = people.get(said["customer"], (None, None, None))
        point = where.get((code or "").zfill(5), (np.nan, np.nan))
        row = {
            "order": order,
            "placed_at": said["placed"],
            "customer": person,
            "region": state,
            "lat": point[0],
            "lon": point[1],
            "promise_days": said["promise_days"],
        }
        for name, value in row.items():
            tables["orders"][name].append(value)
        for line, ((product, cents), units) in enumerate(wanted.items()):
            row = {"order": order, "line": line, "sku": product, "qty": units, "unit_price_cents": cents}
            for name, value in row.items():
                tables["lines"][name].append(value)
            if said["cancelled"] is not None:
                row = {"at": said["cancelled"], "order": order, "line": line, "units": units}
                for name, value in row.items():
                    tables["cancellations"][name].append(value)
    return tables


__all__ = ["FILES", "read", "read_places", "skus"]
