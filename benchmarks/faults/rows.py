"""What every fault comes to: a row of one table, with its figures, and what is wrong if anything is."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from api.outputs import make_folder, write_text
from benchmarks.machine import described
from benchmarks.results import Say, table
from engine.books import fsck
from engine.database import Database


@dataclass(frozen=True)
class Edition:
    """How much is done: all of it, or so little that a test can do it; and with what everything is drawn."""

    quick: bool = False
    seed: int = 7


@dataclass(frozen=True)
class Row:
    """A fault and what came of it.

    Attributes
    ----------
    done
        What was done, in words.
    figures
        What was counted.
    wrong
        What is not as it must be; the fault is survived where there is nothing.
    """

    done: str
    figures: Mapping[str, int | float | str]
    wrong: Sequence[str] = ()
    fault: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    day: str = ""
    seed: int = 0
    seconds: float = 0.0
    skipped: str = ""

    @property
    def verdict(self) -> str:
        if self.skipped:
            return f"skipped: {self.skipped}"
        return "failed" if self.wrong else "passed"


@dataclass(frozen=True)
class Fault:
    """Something that can be made to go wrong.

    Attributes
    ----------
    skipped
        Why it cannot be tried here; empty where it can.
    """

    name: str
    make: Callable[[Edition, Say], Row]
    skipped: Callable[[], str] = field(default=lambda: "")


def unbalanced(database: Database) -> list[str]:
    """What `allot fsck` finds."""
    with database.read() as tx:
        return [str(one) for one in fsck(tx)]


def must(*rules: tuple[bool, str]) -> list[str]:
    """What is not as it must be."""
    return [what for holds, what in rules if not holds]


@dataclass
class Kept:
    """The rows of a folder: `faults.json`, and the page `faults.md` that is written from it."""

    folder: Path
    rows: dict[str, dict[str, Any]]
    quick: bool

    @classmethod
    def of(cls, folder: Path) -> "Kept":
        file = make_folder(folder) / "faults.json"
        said = json.loads(file.read_text()) if file.exists() else {}
        return cls(folder, said.get("rows", {}), said.get("quick", False))

    def keep(self, row: Row, order: Sequence[str]) -> None:
        """Put a row among the others, in place of an older one of its name."""
        self.rows[row.fault] = {**asdict(row), "verdict": row.verdict}
        self.rows = {name: self.rows[name] for name in sorted(self.rows, key=_by(order))}
        kept = {"quick": self.quick, "rows": self.rows}
        write_text(self.folder / "faults.json", json.dumps(kept, indent=1, allow_nan=False) + "\n")
        write_text(self.folder / "faults.md", "".join(_page(self.quick, self.rows)))


def _by(order: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    at = {name: i for i, name in enumerate(order)}
    return lambda name: (at.get(name, len(at)), name)


def _page(quick: bool, rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield "# Faults and bad input\n\n"
    yield "Written by `python -m benchmarks.faults` (`make faults`); one row again: `--only WORDS --seed SEED`.\n\n"
    machines = list(dict.fromkeys(described(row["machine"]) for row in rows.values()))
    yield f"Made as {'the small' if quick else 'the full'} edition, on:\n\n"
    yield "".join(f"{i}. {machine}\n" for i, machine in enumerate(machines, 1)) + "\n"
    cells = [
        (
            name,
            row["verdict"],
            row["done"],
            _figures(row["figures"]),
            str(machines.index(described(row["machine"])) + 1),
            row["day"],
            str(row["seed"]),
            f"{row['seconds']:.0f} s",
        )
        for name, row in rows.items()
    ]
    yield table(("fault", "", "what was done", "figures", "machine", "day", "seed", "took"), cells, words=6)
    wrong = [(name, what) for name, row in rows.items() for what in row["wrong"]]
    if wrong:
        yield "\n## What is wrong\n\n"
        yield from (f"- {name}: {what}\n" for name, what in wrong)


def _figures(figures: Mapping[str, int | float | str]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in figures.items())


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
