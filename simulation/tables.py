"""The tables of a history: their columns, and reading and writing them as CSV or Parquet, strictly."""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
from numpy.typing import NDArray

from engine.calendar import MINUTES_PER_DAY, format_minute, parse_day
from solver.problem import Bools
from solver.refusal import Refusal
from solver.wave import MAX_UNITS

NOT_SAID = -(2**62)
"""An integer that the history leaves open."""
Format = Literal["csv", "parquet"]
Kind = Literal["text", "minute", "whole", "real", "flag"]


@dataclass(frozen=True)
class Column:
    """One column of a table: its kind, and the least and largest value it may have."""

    kind: Kind
    needed: bool = True
    least: float = -np.inf
    most: float = np.inf

    @property
    def empty(self) -> Any:
        """What stands for an empty field."""
        return _EMPTY[self.kind]


@dataclass
class Table:
    """One table as read: columns of equal length, and how to name a place in it."""

    name: str
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    rows: int = 0

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.columns[column]

    def refuse(self, row: int, column: str, problem: str, code: str = "bad_input") -> Refusal:
        return Refusal(f"{self.name} row {row + 1}{' ' if column else ''}{column}", problem, code)

    def refuse_first(self, wrong: Bools, column: str, problem: str, code: str = "bad_input") -> None:
        """Refuse the first wrong row; `{}` in the problem is its value."""
        if wrong.any():
            row = int(np.argmax(wrong))
            value = self.columns[column][row] if column in self.columns else ""
            raise self.refuse(row, column, problem.format(value), code)


_AMOUNT = 2**40
FIRST_MINUTE, LAST_MINUTE = 0, parse_day("2101-01-01") * MINUTES_PER_DAY - 1
"""A time before 1970 or after 2100 is a mistake; a replay of so many days would never end."""


def _minute() -> Column:
    return Column("minute", least=FIRST_MINUTE, most=LAST_MINUTE)


TABLES: dict[str, dict[str, Column]] = {
    "orders": {
        "order": Column("text"),
        "placed_at": _minute(),
        "channel": Column("text", needed=False),
        "customer": Column("text", needed=False),
        "region": Column("text", needed=False),
        "lat": Column("real", needed=False, least=-90, most=90),
        "lon": Column("real", needed=False, least=-180, most=180),
        "pickup_nodes": Column("text", needed=False),
        "promise_days": Column("whole", needed=False, least=0, most=100_000),
        "late_cents": Column("whole", needed=False, least=0, most=_AMOUNT),
        "max_parcels": Column("whole", needed=False, least=1, most=_AMOUNT),
        "ship_complete": Column("flag", needed=False),
    },
    "lines": {
        "order": Column("text"),
        "line": Column("whole", least=0, most=_AMOUNT),
        "sku": Column("text"),
        "qty": Column("whole", least=1, most=MAX_UNITS),
        "unit_price_cents": Column("whole", needed=False, least=0, most=_AMOUNT),
        "unfilled_cents": Column("whole", needed=False, least=0, most=_AMOUNT),
    },
    "receipts": {
        "at": _minute(),
        "node": Column("text"),
        "sku": Column("text"),
        "units": Column("whole", least=1, most=_AMOUNT),
    },
    "cancellations": {
        "at": _minute(),
        "order": Column("text"),
        "line": Column("whole", least=0, most=_AMOUNT),
        "units": Column("whole", least=1, most=MAX_UNITS),
    },
    "returns": {
        "at": _minute(),
        "order": Column("text"),
        "line": Column("whole", least=0, most=_AMOUNT),
        "units": Column("whole", least=1, most=MAX_UNITS),
    },
    "counts": {
        "at": _minute(),
        "node": Column("text"),
        "sku": Column("text"),
        "units": Column("whole", least=0, most=_AMOUNT),
    },
}
"""The columns of each table, in the order in which they are written."""

_SQL_TYPE = {"text": "VARCHAR", "minute": "TIMESTAMP", "whole": "BIGINT", "real": "DOUBLE", "flag": "BOOLEAN"}
_MEANT = {
    "text": "a text",
    "minute": "a minute like 2011-01-18T10:01Z",
    "whole": "a whole number",
    "real": "a number",
    "flag": "true or false",
}
# how a CSV field is read: its exact form, then its value (NULL where it has none)
_CSV_VALUE = {
    "text": "{0}",
    "minute": "CASE WHEN regexp_full_match({0}, '\\d{{4}}-\\d\\d-\\d\\dT\\d\\d:\\d\\dZ')"
    " THEN epoch_ms(try_strptime({0}, '%Y-%m-%dT%H:%MZ')) // 60000 END",
    "whole": "CASE WHEN regexp_full_match({0}, '-?\\d{{1,18}}') THEN CAST({0} AS BIGINT) END",
    "real": "CASE WHEN regexp_full_match({0}, '-?\\d+(\\.\\d+)?([eE][-+]?\\d+)?') THEN TRY_CAST({0} AS DOUBLE) END",
    "flag": "CASE {0} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END",
}
_PARQUET_VALUE = {
    "text": "CAST({0} AS VARCHAR)",
    "minute": "CASE WHEN epoch_us({0}::TIMESTAMP) % 60000000 = 0 THEN epoch_us({0}::TIMESTAMP) // 60000000 END",
    "whole": "CAST({0} AS BIGINT)",
    "real": "CAST({0} AS DOUBLE)",
    "flag": "{0}",
}
_PARQUET_TYPES = {
    "text": {"VARCHAR"},
    "minute": {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"},
    "whole": {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"},
    "real": {"FLOAT", "DOUBLE"},
    "flag": {"BOOLEAN"},
}
_EMPTY: dict[str, Any] = {"text": None, "minute": NOT_SAID, "whole": NOT_SAID, "real": np.nan, "flag": False}
_DTYPE: dict[str, Any] = {
    "text": np.object_,
    "minute": np.int64,
    "whole": np.int64,
    "real": np.float64,
    "flag": np.bool_,
}


def table_of(name: str, columns: dict[str, Any]) -> Table:
    """Make a table from columns in memory; columns that may be left out are filled up.

    Parameters
    ----------
    name
        One of `TABLES`.
    columns
        Lists or arrays by name; `None`, NaN and `NOT_SAID` stand for an empty field of a text, a number, an integer.
    """
    rows = len(next(iter(columns.values()))) if columns else 0
    table = Table(name, rows=rows)
    for column, kind in TABLES[name].items():
        values = columns.get(column)
        if values is None:
            table.columns[column] = np.full(rows, kind.empty, dtype=_DTYPE[kind.kind])
        else:
            table.columns[column] = np.array(values, dtype=_DTYPE[kind.kind])
        assert len(table.columns[column]) == rows, f"{name}.{column} has {len(table.columns[column])} rows, not {rows}"
    return table


def read_table(folder: Path, name: str, format: Format, *, rows: int) -> Table:
    """Read a table of a history folder; one that is absent is empty, where that is allowed.

    Parameters
    ----------
    rows
        How many rows `history.json` counts.
    """
    path = folder / f"{name}.{format}"
    if not path.is_file():
        if name in ("orders", "lines") or rows:
            raise Refusal(path.name, "is missing from the folder", "unreadable")
        return table_of(name, {})
    connection = _connect()
    try:
        table = (_read_csv if format == "csv" else _read_parquet)(connection, path, name)
    except duckdb.Error as error:
        raise Refusal(path.name, f"cannot be read: {told(error)}", "unreadable") from None
    finally:
        connection.close()
    if table.rows != rows:
        raise Refusal(f"history.json counts.{name}", f"{rows}, but {path.name} has {table.rows} rows", "miscounted")
    return table


def told(error: duckdb.Error) -> str:
    """What DuckDB says is wrong, in one line, without its advice."""
    text = str(error).split("Possible fixes")[0].split("Possible Solution")[0]
    return " ".join(text.removeprefix("Invalid Input Error: ").split())


def write_table(path: Path, columns: dict[str, NDArray[Any]], kinds: dict[str, str]) -> None:
    """Write columns as CSV or Parquet (by the ending), whole or not at all.

    Parameters
    ----------
    kinds
        For each column `text`, `minute`, `whole`, `real` or `flag`.
    """
    select = []
    for name, kind in kinds.items():
        value = f'"{name}"'
        if kind in ("whole", "minute"):
            value = f"nullif({value}, {NOT_SAID})"
        if kind == "minute":
            value = f"make_timestamp({value} * 60000000)"
            if path.suffix == ".csv":
                value = f"strftime({value}, '%Y-%m-%dT%H:%MZ')"
        if kind == "real":
            value = f"CASE WHEN isnan({value}) THEN NULL ELSE {value} END"
        select.append(f'{value} AS "{name}"')
    columns = {
        name: np.array(column, dtype=_DTYPE[kinds[name]]) if len(column) else np.zeros(0, dtype=_DTYPE[kinds[name]])
        for name, column in columns.items()
    }
    how = "HEADER, DELIMITER ','" if path.suffix == ".csv" else "FORMAT parquet, COMPRESSION zstd"
    partial = path.with_name(f".{path.name}.part")
    connection = _connect()
    try:
        connection.register("content", columns)
        typed = ", ".join(f'CAST("{name}" AS {_TYPE_IN[kinds[name]]}) AS "{name}"' for name in kinds)
        connection.execute(
            f"COPY (SELECT {', '.join(select)} FROM (SELECT {typed} FROM content)) TO '{_quoted(partial)}' ({how})"  # noqa: S608
        )
        os.replace(partial, path)
    except (duckdb.IOException, OSError) as error:
        raise Refusal(str(path), f"cannot be written: {error}", "unwritable") from error
    finally:
        connection.close()
        partial.unlink(missing_ok=True)


_TYPE_IN = {"text": "VARCHAR", "minute": "BIGINT", "whole": "BIGINT", "real": "DOUBLE", "flag": "BOOLEAN"}


def _connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": "1"})


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _read_csv(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> Table:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Refusal(path.name, f"cannot be read: {error}", "unreadable") from None
    _check_header(path.name, name, header)
    spec = ", ".join(f"'{column}': 'VARCHAR'" for column in header)
    connection.execute(
        f"CREATE VIEW content AS SELECT * FROM read_csv('{_quoted(path)}', columns={{{spec}}}, auto_detect=false, "  # noqa: S608
        "header=true, delim=',', quote='\"', escape='\"', nullstr='', strict_mode=true, null_padding=false)"
    )
    return _fetch(connection, path.name, name, header, _CSV_VALUE)


def _read_parquet(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> Table:
    relation = connection.sql(f"SELECT * FROM read_parquet('{_quoted(path)}')")  # noqa: S608
    _check_header(path.name, name, relation.columns)
    for column, kind in zip(relation.columns, relation.types, strict=True):
        wanted = TABLES[name][column].kind
        if str(kind) not in _PARQUET_TYPES[wanted]:
            raise Refusal(f"{path.name} {column}", f"is of type {kind}, not {_MEANT[wanted]}", "bad_type")
    connection.execute(f"CREATE VIEW content AS SELECT * FROM read_parquet('{_quoted(path)}')")  # noqa: S608
    return _fetch(connection, path.name, name, relation.columns, _PARQUET_VALUE)


def _check_header(file: str, name: str, header: list[str]) -> None:
    known = TABLES[name]
    for column in header:
        if column not in known:
            raise Refusal(f"{file} {column}", f"is no column of it; it has {', '.join(known)}", "unknown_column")
        if header.count(column) > 1:
            raise Refusal(f"{file} {column}", "stands there twice", "duplicate_column")
    for column, kind in known.items():
        if kind.needed and column not in header:
            raise Refusal(f"{file} {column}", "this column is missing", "missing_column")


def _fetch(
    connection: duckdb.DuckDBPyConnection, file: str, name: str, header: list[str], form: dict[str, str]
) -> Table:
    """Read the columns, and refuse the first field that is not of its kind or not in its range."""
    select = []
    for column in header:
        quoted = f'"{column}"'
        select += [f"{form[TABLES[name][column].kind].format(quoted)} AS {quoted}", f'{quoted} IS NULL AS "{column}?"']
    found = connection.execute(f"SELECT {', '.join(select)} FROM content").fetchnumpy()  # noqa: S608
    rows = len(found[header[0]])
    table = Table(file, rows=rows)
    for column, kind in TABLES[name].items():
        if column not in header:
            table.columns[column] = np.full(rows, kind.empty, dtype=_DTYPE[kind.kind])
            continue
        empty = np.asarray(found[f"{column}?"], dtype=np.bool_)
        no_value = np.ma.getmaskarray(found[column])
        values = np.array(np.ma.getdata(found[column]), dtype=_DTYPE[kind.kind])
        values[no_value] = kind.empty
        if (no_value & ~empty).any():
            row = int(np.argmax(no_value & ~empty))
            text = connection.execute(f'SELECT "{column}" FROM content LIMIT 1 OFFSET {row}').fetchall()[0][0]  # noqa: S608
            raise table.refuse(row, column, f"{text} is not {_MEANT[kind.kind]}", "bad_value")
        table.columns[column] = values
        if kind.needed:
            table.refuse_first(empty, column, f"is empty; it must be {_MEANT[kind.kind]}", "bad_value")
        _check_range(table, column, kind, empty)
    return table


def _check_range(table: Table, column: str, kind: Column, empty: Bools) -> None:
    if kind.kind not in ("minute", "whole", "real"):
        return
    values = table[column]
    with np.errstate(invalid="ignore"):
        outside = ~empty & ~((values >= kind.least) & (values <= kind.most))
    if kind.kind == "minute":
        limits = f"is not from {format_minute(FIRST_MINUTE)} to {format_minute(LAST_MINUTE)}"
    else:
        limits = f"{{}} is not from {kind.least:.0f} to {kind.most:.0f}"
    table.refuse_first(outside, column, limits, "out_of_range")
