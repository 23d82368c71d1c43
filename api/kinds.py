"""What kinds of jobs there are, and what does them: large waves, and imports of many lines.

An import goes through its input in pieces. A piece that was done, and not yet said to be, is done again by whoever goes on: orders
and messages of feeds know themselves again.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from api.http import edge, values
from api.http.problems import Refused
from api.solving import solve_wave, wave_of
from engine.capture import capture
from engine.facts import OrderPlaced, StockReported, check_happened
from engine.feed import report
from engine.jobs import MOST_ERRORS, Kind, Work
from solver.effort import Effort
from solver.refusal import Refusal

PIECE = 200
"""Lines of a step."""
CSV_ORDER = ("channel", "external_id", "sku", "qty")
CSV_TEXT = ("channel", "external_id", "recipient", "at", "promise_day", "cancel_at")
CSV_WHOLE = ("priority", "max_parcels")
CSV_MORE = (*CSV_TEXT[2:], *CSV_WHOLE, "lat", "lon", "region", "pickup", "price")
CSV_STOCK = ("sku", "node", "sequence", "units")
Read = tuple[int, Any]
"""A line's number, and what it says, or why it cannot be read (a `Refusal`)."""


def _solve(work: Work) -> bytes:
    wave = wave_of(work.given)
    total = len(wave.orders)
    work.advance(0, total)
    effort = Effort(seconds=float(work.settings["seconds"]))
    with work.beating(effort.stop):
        plan = solve_wave(wave, work.settings["policy"], effort, int(work.settings["seed"]))
    work.advance(total, total)
    return plan


def _import_orders(work: Work) -> None:
    currency = work.settings["currency"]
    lines = _csv_orders(work.given, currency) if work.settings["format"] == "csv" else _json_lines(work.given)

    def place(read: list[Read]) -> list[Mapping[str, Any]]:
        orders, numbers, refused = [], [], []
        for number, said in read:
            try:
                orders.append(_order(said, currency, work.job.created_at))
                numbers.append(number)
            except Refusal as refusal:
                refused.append(_no(number, refusal))
        for number, one in zip(numbers, capture(work.database, orders, work.clock(), by=work.job.by), strict=True):
            if one.placed.outcome in ("refused", "conflict"):
                code = one.placed.code or "order_conflict"
                refused.append(_no(number, Refusal(one.placed.place, one.placed.problem, code)))
        return sorted(refused, key=lambda one: int(one["line"]))

    _in_pieces(work, list(lines), place)


def _order(said: Any, currency: str, at: int) -> OrderPlaced:
    if isinstance(said, Refusal):
        raise said
    if not isinstance(said, dict) or "id" in said:
        raise Refusal("", "is no order", "bad_input")
    order = edge.read(OrderPlaced, said, currency, {"at": at})
    check_happened(order, at)
    return order


def _import_stock(work: Work) -> None:
    from api.http.routes.stock import messages_of

    source, currency = work.settings["source"], work.settings["currency"]
    lines = _csv_stock(work.given) if work.settings["format"] == "csv" else _json_lines(work.given)

    def tell(read: list[Read]) -> list[Mapping[str, Any]]:
        facts, refused = [], []
        for number, said in read:
            try:
                if isinstance(said, Refusal):
                    raise said
                facts += [(number, fact) for fact in messages_of(work.job.created_at, source, [said], currency)]
            except Refusal as refusal:
                refused.append(_no(number, refusal))
        return sorted(refused + _reported(work, facts), key=lambda one: int(one["line"]))

    _in_pieces(work, list(lines), tell)


def _reported(work: Work, facts: list[tuple[int, StockReported]]) -> list[Mapping[str, Any]]:
    """Take messages together; where one of them is refused, one by one, so that it alone is."""
    try:
        if facts:
            work.database.write(lambda tx: report(tx, [fact for _, fact in facts], work.job.by))
        return []
    except Refusal as refusal:
        if len(facts) == 1:
            return [_no(facts[0][0], refusal)]
    return [no for one in facts for no in _reported(work, [one])]


def _in_pieces(work: Work, lines: list[Read], act: Callable[[list[Read]], list[Mapping[str, Any]]]) -> None:
    failed = work.job.failed
    for start in range(work.job.done, len(lines), PIECE):
        refused = act(lines[start : start + PIECE])
        failed += len(refused)
        work.advance(min(start + PIECE, len(lines)), len(lines), refused)
        if failed > MOST_ERRORS:
            raise Refusal("lines", f"more than {MOST_ERRORS:,} of them are refused", "too_many_errors")
    if not lines:
        raise Refusal("lines", "there are none", "empty")


def _no(line: int, refusal: Refusal) -> dict[str, Any]:
    return {"line": line, "field": refusal.place, "code": refusal.code, "detail": refusal.problem}


def _json_lines(given: bytes) -> Iterator[Read]:
    for number, line in enumerate(given.split(b"\n"), start=1):
        if line.strip():
            try:
                yield number, values.decode(line)
            except Refused as refused:
                yield number, Refusal("", refused.detail, refused.code)


Row = tuple[int, dict[str, str], Refusal | None]
"""The number of the line on which a row of CSV ends, what it says, and why it is none."""


def _rows(given: bytes, needed: tuple[str, ...], more: tuple[str, ...] = ()) -> Iterator[Row]:
    """Rows of CSV."""
    try:
        text = given.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refusal("lines", "are no UTF-8", "bad_csv") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or []
        if missing := [name for name in needed if name not in names]:
            raise Refusal("lines[1]", f"has no column {missing[0]!r}", "bad_csv")
        if unknown := [name for name in names if name not in (*needed, *more)]:
            ours = ", ".join((*needed, *more))
            raise Refusal("lines[1]", f"has a column {unknown[0][:40]!r}; ours are {ours}", "bad_csv")
        for row in reader:
            short = None in row or None in row.values()
            bad = Refusal("", "has not as many fields as the first line", "bad_csv") if short else None
            yield reader.line_num, {name: row[name] for name in names if row[name]}, bad
    except csv.Error as error:
        raise Refusal(f"lines[{reader.line_num}]", f"is no CSV: {error}", "bad_csv") from None


def _csv_orders(given: bytes, currency: str) -> Iterator[Read]:
    """Orders of CSV: all rows of an order, wherever they are, are lines of it, and one that is bad is the whole order's end."""
    orders: dict[Any, Read] = {}
    for number, row, bad in _rows(given, CSV_ORDER, CSV_MORE):
        names_order = "channel" in row and "external_id" in row
        key = (row["channel"], row["external_id"]) if names_order else number
        first = orders.get(key)
        if first and isinstance(first[1], Refusal):
            continue
        try:
            if bad:
                raise bad
            said, line = _csv_order(row, currency)
        except Refusal as refusal:
            orders[key] = number, refusal
            continue
        if first:
            first[1]["lines"].append(line)
        else:
            orders[key] = number, {**said, "lines": [line]}
    yield from orders.values()


def _csv_order(row: Mapping[str, str], currency: str) -> tuple[dict[str, Any], dict[str, Any]]:
    said: dict[str, Any] = {name: row[name] for name in CSV_TEXT if name in row}
    said |= {name: _whole(row, name) for name in CSV_WHOLE if name in row}
    if "lat" in row or "lon" in row:
        said["place"] = {"lat": _number(row, "lat"), "lon": _number(row, "lon"), "region": row.get("region", "")}
    if "pickup" in row:
        said["pickup"] = row["pickup"].split(";")
    line: dict[str, Any] = {"sku": row.get("sku"), "qty": _whole(row, "qty")}
    if "price" in row:
        line["price"] = {"amount": _whole(row, "price"), "currency": currency}
    return said, line


def _csv_stock(given: bytes) -> Iterator[Read]:
    for number, row, bad in _rows(given, CSV_STOCK):
        try:
            if bad:
                raise bad
            numbers = {name: _whole(row, name) for name in ("sequence", "units")}
            yield number, {"sku": row.get("sku"), "node": row.get("node"), **numbers}
        except Refusal as refusal:
            yield number, refusal


def _whole(row: Mapping[str, str], name: str) -> int:
    text = row.get(name, "")
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20):
        raise Refusal(name, f"{text[:40]!r} is no whole number", "bad_input")
    return int(text)


def _number(row: Mapping[str, str], name: str) -> float:
    try:
        return float(row.get(name, ""))
    except ValueError:
        raise Refusal(name, f"{row.get(name, '')[:40]!r} is no number", "bad_input") from None


KINDS: dict[str, Kind] = {"solve": _solve, "import_orders": _import_orders, "import_stock": _import_stock}
