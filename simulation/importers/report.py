"""What an importer hands back: a history, and the rows of the source that are not in it."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simulation import history
from simulation.history import History, write_history
from simulation.tables import Format, write_table

DROPPED = "dropped.csv"


@dataclass(frozen=True)
class Dropped:
    """Rows left out, in the order of the source; the first row of data is row 1.

    Attributes
    ----------
    row
        Where each stands in the source.
    reason
        A stable code: why.
    detail
        The value that decided it.
    """

    row: tuple[int, ...]
    reason: tuple[str, ...]
    detail: tuple[str, ...]

    @classmethod
    def of(cls, rows: list[tuple[int, str, str]]) -> "Dropped":
        row, reason, detail = zip(*sorted(rows), strict=True) if rows else ((), (), ())
        return cls(row, reason, detail)

    def summary(self) -> dict[str, int]:
        """How many rows were left out, by reason, the most frequent first."""
        return dict(Counter(self.reason).most_common())


@dataclass(frozen=True)
class Import:
    """A history read from a source of `rows` rows, and what was left out."""

    history: History
    dropped: Dropped
    rows: int

    @classmethod
    def of(cls, history: History, dropped: list[tuple[int, str, str]], rows: int) -> "Import":
        report = Dropped.of(dropped)
        return cls(replace(history, dropped=tuple(report.summary().items())), report, rows)


def files_of(folder: Path) -> list[Path]:
    """The files that writing an import makes, replaces or removes."""
    return [*history.files_of(folder), folder / DROPPED]


def write_import(folder: str | Path, imported: Import, tables: Format = "csv") -> None:
    """Write the history folder, and `dropped.csv` in it."""
    write_history(folder, imported.history, tables)
    dropped = imported.dropped
    write_table(
        Path(folder) / DROPPED,
        {
            "row": np.array(dropped.row, dtype=np.int64),
            "reason": np.array(dropped.reason, dtype=np.object_),
            "detail": np.array(dropped.detail, dtype=np.object_),
        },
        {"row": "whole", "reason": "text", "detail": "text"},
    )
