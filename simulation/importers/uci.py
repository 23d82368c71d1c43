"""UCI Online Retail: invoices of a British gift wholesaler, 2010-12 to 2011-12, with real times and real cancellations.

An invoice is an order. Kept are the lines of normal invoices with a quantity and a price above zero whose stock code
begins with five digits; exact duplicates stay, as they may be meant. A credit (an invoice that begins with C) is
matched to the latest earlier sale of that stock code to that customer, then to the one before: within a day of the sale
it is a cancellation, later a return. Stock codes are read in capitals: the source writes the same goods in both.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from engine.calendar import MINUTES_PER_DAY, parse_minute
from simulation.history import history_of
from simulation.importers.report import Import
from simulation.importers.source import read_columns, real, whole
from simulation.tables import FIRST_MINUTE, LAST_MINUTE, table_of

COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
GOODS = re.compile(r"\d{5}")
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d):(\d\d)(?::\d\d)?", re.ASCII)
REGIONS = {
    "EIRE": "Ireland",
    "RSA": "South Africa",
    "USA": "United States",
    "Unspecified": None,
    "European Community": None,
}
"""Names of the source that the rest of the world spells otherwise; `None` is nowhere in particular."""


@dataclass(slots=True)
class _Sale:
    """One line sold, and what of it has not been credited."""

    invoice: str
    line: int
    at: int
    units: int


@dataclass
class _Book:
    """What the rows come to: tables by column, and the rows that are left out."""

    orders: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    lines: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    cancellations: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    returns: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    order_row: dict[str, int] = field(default_factory=dict)
    order_lines: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sales: dict[tuple[str, str], list[_Sale]] = field(default_factory=lambda: defaultdict(list))
    dropped: list[tuple[int, str, str]] = field(default_factory=list)


class _Row(NamedTuple):
    """One row of the source, with its values read."""

    number: int
    invoice: str
    sku: str
    units: int
    cents: int
    at: int
    customer: str | None
    country: str


def read(path: str | Path) -> Import:
    """Read the data set from its Parquet or CSV file.

    Raises
    ------
    Refusal
        If the file cannot be read or lacks a column.
    """
    columns = read_columns(path, COLUMNS)
    book = _Book(dropped=list(columns.ragged))
    credits: list[_Row] = []
    for number, *values in zip(columns.number, *(columns[name] for name in COLUMNS), strict=True):
        row = _row(number, values)
        if row is None:
            book.dropped.append((number, "unreadable", "|".join(str(value) for value in values)))
            continue
        reason = _reason(row)
        if reason:
            book.dropped.append((number, *reason))
        elif row.invoice.startswith("C"):
            credits.append(row)
        else:
            _sell(book, row)
    for row in sorted(credits, key=lambda row: (row.at, row.number)):
        _credit(book, row)
    tables = {
        "orders": table_of("orders", book.orders),
        "lines": table_of("lines", book.lines),
        "receipts": table_of("receipts", {}),
        "cancellations": table_of("cancellations", book.cancellations),
        "returns": table_of("returns", book.returns),
    }
    history = history_of("UCI Online Retail", "GBP", tables, simulated=("times: local time read as UTC",))
    return Import.of(history, book.dropped, columns.rows)


def _row(number: int, values: list[str | None]) -> _Row | None:
    invoice, sku, units, stamp, price, customer, country = values
    found = STAMP.fullmatch(stamp or "")
    try:
        if not (invoice and sku and found):
            return None
        at = parse_minute(f"{found[1]}T{found[2]}:{found[3]}Z")
        if not FIRST_MINUTE <= at <= LAST_MINUTE:
            return None
        return _Row(
            number=number,
            invoice=invoice,
            sku=sku.strip().upper(),
            units=whole(units),
            cents=round(real(price) * 100),
            at=at,
            customer=customer.removesuffix(".0") if customer else None,
            country=country or "Unspecified",
        )
    except (ValueError, OverflowError):
        return None


def _reason(row: _Row) -> tuple[str, str] | None:
    """Why a row is left out, if it is."""
    credit = row.invoice.startswith("C")
    if row.invoice.startswith("A"):
        return "adjustment", row.invoice
    if not GOODS.match(row.sku):
        return "not_goods", row.sku
    if credit and row.units >= 0:
        return "credit_of_nothing", str(row.units)
    if not credit and row.units <= 0:
        return "stock_write_off", str(row.units)
    if not credit and row.cents <= 0:
        return "no_price", str(row.cents)
    if credit and row.customer is None:
        return "credit_without_customer", row.invoice
    return None


def _sell(book: _Book, row: _Row) -> None:
    place = book.order_row.get(row.invoice)
    if place is None:
        book.order_row[row.invoice] = len(book.order_row)
        book.orders["order"].append(row.invoice)
        book.orders["placed_at"].append(row.at)
        book.orders["customer"].append(row.customer)
        book.orders["region"].append(REGIONS.get(row.country, row.country))
    else:
        # a few invoices were typed across the turn of a minute
        book.orders["placed_at"][place] = min(book.orders["placed_at"][place], row.at)
    line = book.order_lines[row.invoice]
    book.order_lines[row.invoice] += 1
    book.lines["order"].append(row.invoice)
    book.lines["line"].append(line)
    book.lines["sku"].append(row.sku)
    book.lines["qty"].append(row.units)
    book.lines["unit_price_cents"].append(row.cents)
    if row.customer is not None:
        book.sales[row.customer, row.sku].append(_Sale(row.invoice, line, row.at, row.units))


def _credit(book: _Book, row: _Row) -> None:
    left = -row.units
    sales = book.sales.get((row.customer or "", row.sku), [])
    for sale in sorted(sales, key=lambda sale: sale.at, reverse=True):
        units = min(left, sale.units)
        if not units or sale.at > row.at:
            continue
        befell = book.cancellations if row.at - sale.at <= MINUTES_PER_DAY else book.returns
        befell["at"].append(row.at)
        befell["order"].append(sale.invoice)
        befell["line"].append(sale.line)
        befell["units"].append(units)
        sale.units -= units
        left -= units
    if left:
        book.dropped.append((row.number, "credit_without_sale", f"{left} of {-row.units} units"))
