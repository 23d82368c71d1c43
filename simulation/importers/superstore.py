"""Superstore (US): a small fictional set of retail orders with real ZIP codes, ship modes and returned orders.

The source gives days, not minutes, and says of a return only that there was one; what is assumed instead is named in
`simulated`. Customers keep their number; their names are not read.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from engine.calendar import MINUTES_PER_DAY, parse_day
from simulation.history import history_of
from simulation.importers.report import Import
from simulation.importers.source import read_columns, real, whole
from simulation.tables import LAST_MINUTE, table_of, told
from solver.refusal import Refusal

COLUMNS = (
    "Order ID",
    "Order Date",
    "Ship Date",
    "Ship Mode",
    "Customer ID",
    "State",
    "Postal Code",
    "Product ID",
    "Sales",
    "Quantity",
)
PROMISE_DAYS = {"Same Day": 1, "First Class": 3, "Second Class": 5, "Standard Class": 7}
"""The longest lag between order and shipping that the source shows for each ship mode."""
PLACED_MINUTE = 9 * 60
RETURNED_AFTER_DAYS = 14
Places = dict[str, tuple[float, float]]


def read(path: str | Path, *, returns: str | Path | None = None, places: str | Path | None = None) -> Import:
    """Read the orders sheet as CSV.

    Parameters
    ----------
    path
        The orders; a row is a line of an order.
    returns
        The sheet of returned orders (`Returned`, `Order ID`); none are returned where not given.
    places
        Postal codes in the form of GeoNames (tab-separated, `.gz` or not); without it, destinations are drawn later.

    Raises
    ------
    Refusal
        If a file cannot be read or lacks a column.
    """
    columns = read_columns(path, COLUMNS)
    where = read_places(places) if places else {}
    orders: dict[str, list[Any]] = defaultdict(list)
    lines: dict[str, list[Any]] = defaultdict(list)
    dropped = list(columns.ragged)
    seen: dict[str, int] = {}
    shipped: dict[str, int] = {}
    located = 0
    for number, *values in zip(columns.number, *(columns[name] for name in COLUMNS), strict=True):
        row = dict(zip(COLUMNS, values, strict=True))
        read_row = _values(row)
        if isinstance(read_row, tuple):
            dropped.append((number, *read_row))
            continue
        order = row["Order ID"] or ""
        if order not in seen:
            seen[order] = 0
            shipped[order] = read_row["shipped"]
            point = where.get((row["Postal Code"] or "").zfill(5))
            located += point is not None
            orders["order"].append(order)
            orders["placed_at"].append(read_row["placed"] * MINUTES_PER_DAY + PLACED_MINUTE)
            orders["customer"].append(row["Customer ID"])
            orders["region"].append(row["State"])
            orders["lat"].append(point[0] if point else np.nan)
            orders["lon"].append(point[1] if point else np.nan)
            orders["promise_days"].append(PROMISE_DAYS[row["Ship Mode"] or ""])
        lines["order"].append(order)
        lines["line"].append(seen[order])
        lines["sku"].append(row["Product ID"])
        lines["qty"].append(read_row["units"])
        lines["unit_price_cents"].append(read_row["cents"])
        seen[order] += 1
    given_back = _returned(returns, lines, shipped) if returns else {}
    tables = {
        "orders": table_of("orders", orders),
        "lines": table_of("lines", lines),
        "receipts": table_of("receipts", {}),
        "cancellations": table_of("cancellations", {}),
        "returns": table_of("returns", given_back),
    }
    simulated = ["times: 09:00 on the day of the order", "promises: the longest lag of the ship mode"]
    simulated += [f"returns: {RETURNED_AFTER_DAYS} days after shipping, all units"] if given_back else []
    history = history_of("Superstore (fictional orders)", "USD", tables, simulated=tuple(simulated))
    return Import.of(history, dropped, columns.rows)


def read_places(path: str | Path) -> Places:
    """Read postal codes of the GeoNames form; a code with several places lies in their middle."""
    quoted = str(path).replace("'", "''")
    names = ["country", "code", "place", "a1", "b1", "a2", "b2", "a3", "b3", "lat", "lon", "accuracy"]
    spec = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
    connection = duckdb.connect(config={"threads": "1"})
    try:
        rows = connection.execute(
            "SELECT code, round(avg(TRY_CAST(lat AS DOUBLE)), 5), round(avg(TRY_CAST(lon AS DOUBLE)), 5) "  # noqa: S608
            f"FROM read_csv('{quoted}', columns={{{spec}}}, auto_detect=false, delim='\t', quote='', header=false) "
            "GROUP BY code ORDER BY code"
        ).fetchall()
    except duckdb.Error as error:
        raise Refusal(str(path), f"cannot be read: {told(error)}", "unreadable") from None
    finally:
        connection.close()
    return {code: (lat, lon) for code, lat, lon in rows if code and lat is not None and lon is not None}


def _values(row: dict[str, str | None]) -> dict[str, int] | tuple[str, str]:
    """The numbers of a row, or why it is left out."""
    if not (row["Order ID"] and row["Product ID"]):
        return "no_id", f"{row['Order ID']}|{row['Product ID']}"
    if row["Ship Mode"] not in PROMISE_DAYS:
        return "unknown_ship_mode", str(row["Ship Mode"])
    try:
        placed, shipped = parse_day(row["Order Date"] or ""), parse_day(row["Ship Date"] or "")
    except ValueError:
        return "bad_day", f"{row['Order Date']}|{row['Ship Date']}"
    if placed < 0 or (shipped + RETURNED_AFTER_DAYS + 1) * MINUTES_PER_DAY > LAST_MINUTE:
        return "day_out_of_range", f"{row['Order Date']}|{row['Ship Date']}"
    if shipped < placed:
        return "shipped_before_ordered", f"{row['Order Date']}|{row['Ship Date']}"
    try:
        units, sales = whole(row["Quantity"]), real(row["Sales"])
        if units < 1 or not 0 <= sales < 1e12:
            return "no_quantity_or_price", f"{row['Quantity']}|{row['Sales']}"
    except ValueError:
        return "bad_number", f"{row['Quantity']}|{row['Sales']}"
    return {"placed": placed, "shipped": shipped, "units": units, "cents": round(sales * 100 / units)}


def _returned(path: str | Path, lines: dict[str, list[Any]], shipped: dict[str, int]) -> dict[str, list[Any]]:
    listed = read_columns(path, ("Returned", "Order ID"))
    back = {order for order, yes in zip(listed["Order ID"], listed["Returned"], strict=True) if yes == "Yes"}
    table: dict[str, list[Any]] = defaultdict(list)
    for order, line, units in zip(lines["order"], lines["line"], lines["qty"], strict=True):
        if order in back:
            table["at"].append((shipped[order] + RETURNED_AFTER_DAYS) * MINUTES_PER_DAY + PLACED_MINUTE)
            table["order"].append(order)
            table["line"].append(line)
            table["units"].append(units)
    return table
