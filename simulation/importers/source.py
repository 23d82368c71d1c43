"""Reading the columns that an importer needs from somebody else's CSV or Parquet file, all as text."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from simulation.tables import told
from solver.refusal import Refusal


def read_columns(path: str | Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> dict[str, list[str | None]]:
    """Read columns as text in the order of the file; an absent optional column is all `None`.

    Parameters
    ----------
    path
        `.parquet`, `.csv` or `.csv.gz` with a header.

    Raises
    ------
    Refusal
        If the file cannot be read or lacks a wanted column.
    """
    path = Path(path)
    if not path.is_file():
        raise Refusal(str(path), "cannot be read: there is no such file", "unreadable")
    quoted = str(path).replace("'", "''")
    source = (
        f"read_parquet('{quoted}')"
        if path.suffix == ".parquet"
        else f"read_csv('{quoted}', header=true, all_varchar=true, delim=',', quote='\"', escape='\"', nullstr='')"
    )
    connection = duckdb.connect(config={"threads": "1"})
    try:
        there = connection.sql(f"SELECT * FROM {source}").columns  # noqa: S608
        for name in wanted:
            if name not in there:
                raise Refusal(
                    f"{path.name} {name}", f"this column is missing; there are {', '.join(there)}", "missing_column"
                )
        names = [name for name in (*wanted, *optional) if name in there]
        select = ", ".join('CAST("{}" AS VARCHAR)'.format(name.replace('"', '""')) for name in names)
        rows = connection.execute(f"SELECT {select} FROM {source}").fetchall()  # noqa: S608
    except duckdb.Error as error:
        raise Refusal(path.name, f"cannot be read: {told(error)}", "unreadable") from None
    finally:
        connection.close()
    columns: dict[str, list[str | None]] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return columns | {name: [None] * len(rows) for name in optional if name not in columns}
