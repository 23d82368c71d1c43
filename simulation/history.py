"""Order history (`history/1`): what was ordered, received, cancelled, returned and counted, as frozen columns.

A history is a folder: `history.json` and one CSV or Parquet file for each table. `HISTORY.md` describes it.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.calendar import MINUTES_PER_DAY, format_minute
from engine.network import Currency
from simulation.tables import NOT_SAID, TABLES, Format, Table, read_table, table_of, write_table
from solver.files import read_json, write_bytes
from solver.problem import NO_LIMIT, Bools, Floats, Ints
from solver.refusal import Refusal
from solver.wave import Id

Objects = NDArray[np.object_]


Rows = Annotated[int, Meta(ge=0)]


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of each table."""

    orders: Rows
    lines: Rows
    receipts: Rows
    cancellations: Rows
    returns: Rows
    counts: Rows = 0


class Cover(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`history.json`: what the tables beside it are."""

    format: Literal["history/1"]
    source: Id
    currency: Currency
    tables: Format
    simulated: tuple[Id, ...]
    counts: Counts
    dropped: dict[Id, Rows]


def _none() -> Ints:
    """No rows, where a history says nothing of them."""
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class History:
    """What came in: O orders by ascending time, L lines, and what befell them. Times are minutes since 1970, UTC.

    Attributes
    ----------
    simulated
        What was drawn or assumed instead of observed; every output repeats it.
    dropped
        Rows of the source that an importer left out, by reason.
    order_customer, order_region, order_channel
        (O,) indices into `customer_id`, `region_id`, `channel_id`, -1 where not said.
    order_lat, order_lon
        (O,) the address, NaN where not said.
    order_pickup_start, pickup_node
        (O + 1,) and the nodes where an order may be collected.
    order_promise_days, order_late_cents, line_price_cents, line_unfilled_cents
        `NOT_SAID` where the terms of the network hold.
    cancel_line, return_line
        (C,), (B,) the line concerned, an index into the lines.
    count_units
        (N,) what lay on the shelf at `count_at`, whatever the books said.
    """

    source: str
    currency: str
    simulated: tuple[str, ...]
    dropped: tuple[tuple[str, int], ...]
    sku_id: tuple[str, ...]
    node_id: tuple[str, ...]
    customer_id: tuple[str, ...]
    region_id: tuple[str, ...]
    channel_id: tuple[str, ...]

    order_id: tuple[str, ...]
    order_placed_at: Ints
    order_channel: Ints
    order_customer: Ints
    order_region: Ints
    order_lat: Floats
    order_lon: Floats
    order_promise_days: Ints
    order_late_cents: Ints
    order_max_parcels: Ints
    order_ship_complete: Bools
    order_pickup_start: Ints
    pickup_node: Ints

    order_line_start: Ints
    line_sku: Ints
    line_qty: Ints
    line_price_cents: Ints
    line_unfilled_cents: Ints

    receipt_at: Ints
    receipt_node: Ints
    receipt_sku: Ints
    receipt_units: Ints

    cancel_at: Ints
    cancel_line: Ints
    cancel_units: Ints

    return_at: Ints
    return_line: Ints
    return_units: Ints

    count_at: Ints = field(default_factory=_none)
    count_node: Ints = field(default_factory=_none)
    count_sku: Ints = field(default_factory=_none)
    count_units: Ints = field(default_factory=_none)

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                value = np.ascontiguousarray(value)
                value.setflags(write=False)
                object.__setattr__(self, column.name, value)
        assert self.order_line_start[-1] == self.lines, "the lines of an order are contiguous"
        assert self.order_pickup_start[-1] == len(self.pickup_node), "the pickup nodes of an order are contiguous"
        assert (np.diff(self.order_placed_at) >= 0).all(), "orders stand by ascending time"

    @property
    def orders(self) -> int:
        return len(self.order_id)

    @property
    def lines(self) -> int:
        return len(self.line_sku)

    @cached_property
    def line_order(self) -> Ints:
        """(L,) the order of each line."""
        return np.repeat(np.arange(self.orders), np.diff(self.order_line_start))

    def promise_day(self, order: Ints) -> Ints:
        """The day promised to some orders, counted from 1970-01-01."""
        day: Ints = self.order_placed_at[order] // MINUTES_PER_DAY + self.order_promise_days[order]
        return day


def files_of(folder: Path) -> list[Path]:
    """The files that writing a history makes, replaces or removes."""
    tables = [folder / f"{name}.{form}" for name in TABLES for form in ("csv", "parquet")]
    return [folder / "history.json", *tables]


def read_history(folder: str | Path) -> History:
    """Read a history folder strictly.

    Raises
    ------
    Refusal
        Naming file, row (the first after the header is row 1) and column of the first fault.
    """
    folder = Path(folder)
    if not (folder / "history.json").is_file():
        raise Refusal(str(folder), "holds no history.json, so it is no history", "unreadable")
    try:
        cover = read_json(folder / "history.json", Cover)
    except Refusal as refusal:
        inside = "" if refusal.place == str(folder / "history.json") else f" {refusal.place}"
        raise Refusal(f"history.json{inside}", refusal.problem, refusal.code) from None
    tables = {name: read_table(folder, name, cover.tables, rows=getattr(cover.counts, name)) for name in TABLES}
    return history_of(
        cover.source, cover.currency, tables, simulated=cover.simulated, dropped=tuple(cover.dropped.items())
    )


def write_history(folder: str | Path, history: History, tables: Format = "csv") -> None:
    """Write a history folder: the tables, then `history.json`.

    Parameters
    ----------
    tables
        `csv` or `parquet`; tables of the other kind that stood there are removed.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(str(folder), f"cannot be written: {error}", "unwritable") from error
    contents = tables_of(history)
    for name, columns in contents.items():
        write_table(folder / f"{name}.{tables}", columns, {k: v.kind for k, v in TABLES[name].items()})
        (folder / f"{name}.{'parquet' if tables == 'csv' else 'csv'}").unlink(missing_ok=True)
    counts = Counts(**{name: len(next(iter(columns.values()))) for name, columns in contents.items()})
    cover = Cover(
        "history/1", history.source, history.currency, tables, history.simulated, counts, dict(history.dropped)
    )
    write_bytes(folder / "history.json", msgspec.json.format(msgspec.json.encode(cover), indent=2) + b"\n")


def history_of(
    source: str,
    currency: str,
    tables: dict[str, Table],
    *,
    simulated: tuple[str, ...] = (),
    dropped: tuple[tuple[str, int], ...] = (),
) -> History:
    """Make the columns of a history from its tables, refusing what they contradict."""
    orders, lines = tables["orders"], tables["lines"]
    _check_orders(orders)
    by_time = np.argsort(orders["placed_at"], kind="stable")
    place = np.empty(orders.rows, dtype=np.int64)
    place[by_time] = np.arange(orders.rows)
    order_at = dict(zip(orders["order"].tolist(), place.tolist(), strict=True))
    line_order = _find(lines, "order", order_at, "an order of this history")
    by_order = np.lexsort((lines["line"], line_order))
    line_start = _check_line_numbers(orders, lines, line_order, by_order, by_time)
    codes = _Codes()
    receipt, count = tables["receipts"], tables.get("counts") or table_of("counts", {})
    pickup_start, pickup_node = _pickups(orders, by_time, codes)
    befell = {
        name: _befell(tables[name], orders, lines, order_at, line_start, by_time, by_order)
        for name in ("cancellations", "returns")
    }
    _check_totals(tables, befell, lines["qty"][by_order])
    by_receipt, by_count = (np.argsort(table["at"], kind="stable") for table in (receipt, count))
    line_sku, receipt_sku = codes.of("sku", lines["sku"][by_order]), codes.of("sku", receipt["sku"][by_receipt])
    receipt_node = codes.of("node", receipt["node"][by_receipt])
    count_sku, count_node = (codes.of(name, count[name][by_count]) for name in ("sku", "node"))
    max_parcels = orders["max_parcels"][by_time]
    customer, region, channel = (codes.of(name, orders[name][by_time]) for name in ("customer", "region", "channel"))
    return History(
        source=source,
        currency=currency,
        simulated=simulated,
        dropped=dropped,
        sku_id=codes.names("sku"),
        node_id=codes.names("node"),
        customer_id=codes.names("customer"),
        region_id=codes.names("region"),
        channel_id=codes.names("channel"),
        order_id=tuple(orders["order"][by_time].tolist()),
        order_placed_at=orders["placed_at"][by_time],
        order_channel=channel,
        order_customer=customer,
        order_region=region,
        order_lat=orders["lat"][by_time],
        order_lon=orders["lon"][by_time],
        order_promise_days=orders["promise_days"][by_time],
        order_late_cents=orders["late_cents"][by_time],
        order_max_parcels=np.where(max_parcels == NOT_SAID, NO_LIMIT, max_parcels),
        order_ship_complete=orders["ship_complete"][by_time],
        order_pickup_start=pickup_start,
        pickup_node=pickup_node,
        order_line_start=line_start,
        line_sku=line_sku,
        line_qty=lines["qty"][by_order],
        line_price_cents=lines["unit_price_cents"][by_order],
        line_unfilled_cents=lines["unfilled_cents"][by_order],
        receipt_at=receipt["at"][by_receipt],
        receipt_node=receipt_node,
        receipt_sku=receipt_sku,
        receipt_units=receipt["units"][by_receipt],
        cancel_at=befell["cancellations"][0],
        cancel_line=befell["cancellations"][1],
        cancel_units=befell["cancellations"][2],
        return_at=befell["returns"][0],
        return_line=befell["returns"][1],
        return_units=befell["returns"][2],
        count_at=count["at"][by_count],
        count_node=count_node,
        count_sku=count_sku,
        count_units=count["units"][by_count],
    )


def tables_of(history: History) -> dict[str, dict[str, NDArray[Any]]]:
    """The tables of a history, column by column, as they are written."""
    order_id = np.array(history.order_id, dtype=np.object_)
    line_number = np.arange(history.lines) - np.repeat(history.order_line_start[:-1], np.diff(history.order_line_start))
    line_order = history.line_order
    skus, nodes = _names(history.sku_id), _names(history.node_id)
    pickups: list[str | None] = []
    starts = history.order_pickup_start.tolist()
    for low, high in pairwise(starts):
        pickups.append("|".join(history.node_id[j] for j in history.pickup_node[low:high]) or None)
    return {
        "orders": {
            "order": order_id,
            "placed_at": history.order_placed_at,
            "channel": _names(history.channel_id)[history.order_channel],
            "customer": _names(history.customer_id)[history.order_customer],
            "region": _names(history.region_id)[history.order_region],
            "lat": history.order_lat,
            "lon": history.order_lon,
            "pickup_nodes": np.array(pickups, dtype=np.object_),
            "promise_days": history.order_promise_days,
            "late_cents": history.order_late_cents,
            "max_parcels": np.where(history.order_max_parcels == NO_LIMIT, NOT_SAID, history.order_max_parcels),
            "ship_complete": history.order_ship_complete,
        },
        "lines": {
            "order": order_id[line_order],
            "line": line_number,
            "sku": skus[history.line_sku],
            "qty": history.line_qty,
            "unit_price_cents": history.line_price_cents,
            "unfilled_cents": history.line_unfilled_cents,
        },
        "receipts": {
            "at": history.receipt_at,
            "node": nodes[history.receipt_node],
            "sku": skus[history.receipt_sku],
            "units": history.receipt_units,
        },
        "cancellations": {
            "at": history.cancel_at,
            "order": order_id[line_order[history.cancel_line]],
            "line": line_number[history.cancel_line],
            "units": history.cancel_units,
        },
        "returns": {
            "at": history.return_at,
            "order": order_id[line_order[history.return_line]],
            "line": line_number[history.return_line],
            "units": history.return_units,
        },
        "counts": {
            "at": history.count_at,
            "node": nodes[history.count_node],
            "sku": skus[history.count_sku],
            "units": history.count_units,
        },
    }


class _Codes:
    """Names to indices, in the order in which they are first seen; nothing named is -1."""

    def __init__(self) -> None:
        self._at: dict[str, dict[str, int]] = {}

    def of(self, what: str, names: Objects) -> Ints:
        at = self._at.setdefault(what, {})
        codes = [-1 if name is None else at.setdefault(name, len(at)) for name in names.tolist()]
        return np.array(codes, dtype=np.int64)

    def names(self, what: str) -> tuple[str, ...]:
        return tuple(self._at.get(what, {}))


def _names(names: tuple[str, ...]) -> Objects:
    """Names to index by code, where -1 finds the `None` at the end."""
    return np.array([*names, None], dtype=np.object_)


def _check_orders(orders: Table) -> None:
    names = orders["order"].tolist()
    if len(set(names)) < len(names):
        seen: set[str] = set()
        for row, name in enumerate(names):
            if name in seen:
                raise orders.refuse(row, "order", f"{name!r} is already an order above", "duplicate_id")
            seen.add(name)
    no_lat, no_lon = np.isnan(orders["lat"]), np.isnan(orders["lon"])
    orders.refuse_first(no_lat != no_lon, "lat", "lat and lon go together", "half_address")
    pickup = np.array([nodes is not None for nodes in orders["pickup_nodes"].tolist()], dtype=np.bool_)
    orders.refuse_first(
        pickup & ~no_lat, "pickup_nodes", "{} beside an address; an order has one of them", "two_places"
    )


def _find(table: Table, column: str, at: dict[str, int], what: str) -> Ints:
    found = np.array([at.get(name, -1) for name in table[column].tolist()], dtype=np.int64)
    table.refuse_first(found < 0, column, f"'{{}}' is not {what}", "dangling_reference")
    return found


def _check_line_numbers(orders: Table, lines: Table, line_order: Ints, by_order: Ints, by_time: Ints) -> Ints:
    """Check that every order has lines, numbered from 0 without gaps; return where each order's lines start."""
    count = np.bincount(line_order, minlength=orders.rows)
    start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    if (count == 0).any():
        row = int(by_time[count == 0].min())
        raise orders.refuse(row, "order", f"{orders['order'][row]!r} has no line in lines", "no_lines")
    expected = np.arange(lines.rows) - np.repeat(start[:-1], count)
    wrong = np.zeros(lines.rows, dtype=np.bool_)
    wrong[by_order] = lines["line"][by_order] != expected
    lines.refuse_first(wrong, "line", "{} is twice, or out of turn; lines are numbered from 0 without gaps", "bad_line")
    return start


def _pickups(orders: Table, by_time: Ints, codes: _Codes) -> tuple[Ints, Ints]:
    start, nodes = [0], []
    for row in by_time.tolist():
        text = orders["pickup_nodes"][row]
        names = [] if text is None else str(text).split("|")
        if "" in names or len(set(names)) < len(names):
            raise orders.refuse(row, "pickup_nodes", f"{text!r} names a node twice, or none", "duplicate_id")
        nodes.extend(names)
        start.append(len(nodes))
    return np.array(start, dtype=np.int64), codes.of("node", np.array(nodes, dtype=np.object_))


def _befell(
    table: Table,
    orders: Table,
    lines: Table,
    order_at: dict[str, int],
    line_start: Ints,
    by_time: Ints,
    by_order: Ints,
) -> tuple[Ints, Ints, Ints, Ints]:
    """What befell lines: minutes, lines and units by ascending time, and each one's row in the file."""
    order = _find(table, "order", order_at, "an order of this history")
    count = np.diff(line_start)[order]
    table.refuse_first(table["line"] >= count, "line", "{} is not a line of that order", "dangling_reference")
    early = table["at"] < orders["placed_at"][by_time][order]
    if early.any():
        row = int(np.argmax(early))
        at = format_minute(int(table["at"][row]))
        raise table.refuse(row, "at", f"{at} is before the order was placed", "too_early")
    by = np.argsort(table["at"], kind="stable")
    return table["at"][by], (line_start[order] + table["line"])[by], table["units"][by], by


def _check_totals(tables: dict[str, Table], befell: dict[str, tuple[Ints, Ints, Ints, Ints]], qty: Ints) -> None:
    """Refuse units that are cancelled or returned beyond what was ordered."""
    left = qty.copy()
    for name, (_, line, units, row) in befell.items():
        np.subtract.at(left, line, units)
        over = np.zeros(len(line), dtype=np.bool_)
        over[row] = left[line] < 0
        tables[name].refuse_first(over, "units", "{} is more than the line still had", "too_many_units")
