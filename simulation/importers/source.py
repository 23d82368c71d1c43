"""Reading the columns that an importer needs from somebody else's CSV or Parquet file, all as text."""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import duckdb

from simulation.tables import told
from solver.refusal import Refusal

WHOLE = re.compile(r"[+-]?[0-9]+")
REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass
class Columns:
    """Columns of a source, and which of its rows they are.

    Attributes
    ----------
    values
        For each column a text for each row, `None` where the field is empty.
    number
        Where each row stands in the source; the first row of data is row 1.
    rows
        How many rows the source has, those that are left out included.
    ragged
        Rows that have more or fewer fields than the header: number, reason, and their line in the file.
    """

    values: dict[str, list[str | None]]
    number: list[int] = field(default_factory=list)
    rows: int = 0
    ragged: list[tuple[int, str, str]] = field(default_factory=list)

    def __getitem__(self, column: str) -> list[str | None]:
        return self.values[column]


def read_columns(path: str | Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> Columns:
    """Read columns as text in the order of the file; an absent optional column is all `None`.

    Parameters
    ----------
    path
        `.parquet`, `.csv` or `.csv.gz` with a header. Every line of a CSV file is data: it has no comments.

    Raises
    ------
    Refusal
        If the file cannot be read, lacks a wanted column, or has one twice.
    """
    path = Path(path)
    if not path.exists():
        raise Refusal(str(path), "no such file", "unreadable")
    found = (_read_parquet if path.suffix == ".parquet" else _read_csv)(path, wanted, optional)
    for name in optional:
        found.values.setdefault(name, [None] * len(found.number))
    return found


def _read_csv(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Columns:
    try:
        with _open(path) as stream:
            return _rows_of(path, stream, wanted, optional)
    except UnicodeDecodeError:
        raise Refusal(path.name, "is not UTF-8; save it as CSV in UTF-8", "unreadable") from None
    except (OSError, EOFError, zlib.error) as error:
        raise Refusal(path.name, f"cannot be read: {error}", "unreadable") from None


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


def _rows_of(path: Path, stream: IO[str], wanted: Sequence[str], optional: Sequence[str]) -> Columns:
    rows = _records(path, stream)
    _, header = next(rows, (0, []))
    if not header:
        raise Refusal(path.name, "is empty; its first line names the columns", "missing_column")
    names = _names(path, header, wanted, optional)
    columns = Columns({name: [] for name in names})
    places = [(header.index(name), columns[name]) for name in names]
    for line, row in rows:
        columns.rows += 1
        if len(row) != len(header):
            detail = f"line {line}: {len(row)} fields, the header has {len(header)}"
            columns.ragged.append((columns.rows, "ragged", detail))
            continue
        columns.number.append(columns.rows)
        for place, values in places:
            values.append(row[place] or None)
    return columns


def _records(path: Path, stream: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line it begins on; lines that are quite empty are none."""
    reader = csv.reader(stream, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise Refusal(f"{path.name} line {line}", f"cannot be read: {error}", "unreadable") from None


def _names(path: Path, there: Sequence[str], wanted: Sequence[str], optional: Sequence[str]) -> list[str]:
    """The columns to read, refusing one that is missing and one that could be either of two."""
    for name in wanted:
        if name not in there:
            raise Refusal(
                f"{path.name} {name}", f"this column is missing; there are {', '.join(there)}", "missing_column"
            )
    names = [name for name in dict.fromkeys((*wanted, *optional)) if name in there]
    for name in names:
        if there.count(name) > 1:
            raise Refusal(f"{path.name} {name}", "stands there twice", "duplicate_column")
    return names


def _read_parquet(path: Path, wanted: Sequence[str], optional: Sequence[str]) -> Columns:
    quoted = str(path).replace("'", "''")
    connection = duckdb.connect(config={"threads": "1"})
    try:
        there = connection.sql(f"SELECT * FROM read_parquet('{quoted}')").columns  # noqa: S608
        names = _names(path, there, wanted, optional)
        select = ", ".join('CAST("{}" AS VARCHAR)'.format(name.replace('"', '""')) for name in names)
        rows = connection.execute(f"SELECT {select} FROM read_parquet('{quoted}')").fetchall()  # noqa: S608
    except duckdb.Error as error:
        raise Refusal(path.name, f"cannot be read: {told(error)}", "unreadable") from None
    finally:
        connection.close()
    values = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return Columns(values, list(range(1, len(rows) + 1)), len(rows))


def whole(text: str | None) -> int:
    """Read a whole number in plain digits.

    Raises
    ------
    ValueError
        If it is none; Python's own reading takes `1_0` and the digits of every script.
    """
    if text is None or not WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def real(text: str | None) -> float:
    """Read a number in plain digits, with a point.

    Raises
    ------
    ValueError
        If it is none.
    """
    if text is None or not REAL.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return float(text)
