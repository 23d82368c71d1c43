"""Any flat file with a row for each order line, whose columns are named by a mapping from ours to theirs."""

import re
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from engine.calendar import parse_minute
from engine.network import Currency
from simulation.history import history_of
from simulation.importers.report import Import
from simulation.importers.source import Columns, read_columns, real, whole
from simulation.tables import NOT_SAID, TABLES, table_of
from solver.refusal import Refusal

STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?)?", re.ASCII)
PRICE = re.compile(r"[0-9]{1,15}(\.[0-9]{1,2}0*)?")
NEEDED = ("order", "placed_at", "sku", "qty")
LINE_COLUMNS = ("sku", "qty", "unit_price_cents", "unfilled_cents")
ORDER_COLUMNS = tuple(TABLES["orders"])
UNIT_PRICE = "unit_price"
"""A price in units of the currency, as `25.00`, in place of `unit_price_cents`."""
OURS = (*ORDER_COLUMNS, *LINE_COLUMNS, UNIT_PRICE)
KINDS = {**TABLES["lines"], **TABLES["orders"], UNIT_PRICE: TABLES["lines"]["unit_price_cents"]}
Left = tuple[int, str, str]
"""A row that is left out: its number, the reason, and what decided it."""


def read(
    path: str | Path, *, columns: Mapping[str, str] | None = None, source: str | None = None, currency: str = "USD"
) -> Import:
    """Read a flat CSV or Parquet file; what an order says, its first row says.

    Parameters
    ----------
    columns
        Our column (of `orders` or `lines` in HISTORY.md) to theirs, where the names differ. A time may be a day, or a
        minute or second of one, in UTC. `unit_price` is in units of the currency and stands for `unit_price_cents`.

    Raises
    ------
    Refusal
        If the file cannot be read, lacks a needed column, the mapping names a column that is not ours, or the currency
        is none.
    """
    try:
        msgspec.convert(currency, Currency)
    except msgspec.ValidationError:
        raise Refusal("currency", f"{currency!r} is not three capitals, as in USD", "bad_option") from None
    columns = columns or {}
    for ours in columns:
        if ours not in OURS:
            raise Refusal(f"columns {ours}", f"is not a column of ours; those are {', '.join(OURS)}", "unknown_column")
    theirs = {ours: columns.get(ours, ours) for ours in OURS}
    wanted = {ours: theirs[ours] for ours in OURS if ours in NEEDED or ours in columns}
    found = read_columns(path, tuple(wanted.values()), tuple(theirs[ours] for ours in OURS if ours not in wanted))
    orders, lines, dropped = _read_rows(found, theirs)
    tables = {name: table_of(name, {"orders": orders, "lines": lines}.get(name, {})) for name in TABLES}
    history = history_of(source or Path(path).name, currency, tables)
    return Import.of(history, dropped + found.ragged, found.rows)


def _read_rows(
    found: Columns, theirs: Mapping[str, str]
) -> tuple[dict[str, list[Any]], dict[str, list[Any]], list[Left]]:
    """The columns of orders and lines, and the rows that are left out."""
    orders: dict[str, list[Any]] = defaultdict(list)
    lines: dict[str, list[Any]] = defaultdict(list)
    dropped: list[Left] = []
    first: dict[str, dict[str, Any]] = {}
    for i, number in enumerate(found.number):
        row = _values({ours: found[name][i] for ours, name in theirs.items()})
        if isinstance(row, tuple):
            dropped.append((number, *row))
            continue
        said = {name: row[name] for name in ORDER_COLUMNS}
        if row["order"] not in first:
            first[row["order"]] = said | {"lines": 0}
            for name, value in said.items():
                orders[name].append(value)
        elif any(said[name] not in (first[row["order"]][name], TABLES["orders"][name].empty) for name in ORDER_COLUMNS):
            dropped.append((number, "contradicts_its_order", row["order"]))
            continue
        lines["order"].append(row["order"])
        lines["line"].append(first[row["order"]]["lines"])
        first[row["order"]]["lines"] += 1
        for name in LINE_COLUMNS:
            lines[name].append(row[name])
    return orders, lines, dropped


def _values(row: dict[str, str | None]) -> dict[str, Any] | tuple[str, str]:
    """The values of a row, or why it is left out."""
    values: dict[str, Any] = {}
    for name, text in row.items():
        kind = KINDS[name]
        if text is None or not text.strip():
            if kind.needed:
                return f"no_{name}", ""
            values[name] = kind.empty
            continue
        try:
            values[name] = _value(name, kind.kind, text.strip())
        except ValueError:
            return f"bad_{name}", text
        if kind.kind in ("minute", "whole", "real") and not kind.least <= values[name] <= kind.most:
            return f"{name}_out_of_range", text
    price = values.pop(UNIT_PRICE)
    if price != NOT_SAID:
        if values["unit_price_cents"] not in (NOT_SAID, price):
            return "two_prices", f"{row['unit_price_cents']}|{row[UNIT_PRICE]}"
        values["unit_price_cents"] = price
    return _address(values)


def _address(values: dict[str, Any]) -> dict[str, Any] | tuple[str, str]:
    """Refuse half an address, or two places."""
    no_lat, no_lon = values["lat"] != values["lat"], values["lon"] != values["lon"]
    if no_lat != no_lon:
        return "half_address", f"{values['lat']}|{values['lon']}"
    if values["pickup_nodes"] is None:
        return values
    if not no_lat:
        return "two_places", values["pickup_nodes"]
    nodes = values["pickup_nodes"].split("|")
    return values if "" not in nodes and len(set(nodes)) == len(nodes) else ("bad_pickup_nodes", values["pickup_nodes"])


def _value(name: str, kind: str, text: str) -> Any:
    if name == UNIT_PRICE:
        return _cents(text)
    if kind == "minute":
        found = STAMP.fullmatch(text)
        if not found:
            raise ValueError(text)
        return parse_minute(f"{found[1]}T{found[2] or '00'}:{found[3] or '00'}Z")
    if kind == "whole":
        # 2.0 units are 2 units; 25.00 cents are somebody's 25 dollars
        return whole(text if name.endswith("_cents") else re.sub(r"\.0+$", "", text))
    if kind == "flag":
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(text)
        return text.lower() in ("true", "1")
    return real(text) if kind == "real" else text


def _cents(text: str) -> int:
    """Read an amount in units of the currency, exactly."""
    if not PRICE.fullmatch(text):
        raise ValueError(f"{text!r} is not an amount of whole cents")
    return int(Decimal(text).scaleb(2))
