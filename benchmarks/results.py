"""Where results are kept: `results.json` holds what was measured, `results.md` shows it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from api.outputs import make_folder, write_text
from benchmarks.machine import described

Say = Callable[[str], None]
"""Told what is being done, for people who wait."""
Render = Callable[[dict[str, Any]], str]
"""From what was measured to a section of the page."""


@dataclass(frozen=True)
class Section:
    """One benchmark's results: what was measured, where, when, and by which settings."""

    name: str
    day: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    measured: dict[str, Any]


def keep(folder: Path, section: Section, renders: dict[str, Render]) -> Path:
    """Put a section among the results of a folder, in place of an older one; returns the page."""
    kept = make_folder(folder) / "results.json"
    sections: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    sections[section.name] = {
        "day": section.day,
        "machine": section.machine,
        "settings": section.settings,
        "measured": section.measured,
    }
    write_text(kept, json.dumps(sections, indent=1, allow_nan=False) + "\n")
    page = folder / "results.md"
    write_text(page, page_of(sections, renders))
    return page


def page_of(sections: dict[str, Any], renders: dict[str, Render]) -> str:
    """Show all sections that there are, in the order in which they can be rendered."""
    parts = [
        "# Results\n\nWritten by `python -m benchmarks`; `README.md` beside this page says how they are measured.\n"
    ]
    for name, render in renders.items():
        if name in sections:
            one = sections[name]
            settings = ", ".join(f"{key} {_plain(value)}" for key, value in one["settings"].items())
            head = (
                f"## {name.capitalize()}\n\nMeasured on {one['day']} with {settings}, on: {described(one['machine'])}\n"
            )
            parts.append(f"{head}\n{render(one['measured'])}")
    return "\n".join(parts)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is a name and whose others are figures."""
    rule = ["---", *("---:" for _ in headings[1:])]
    return "".join(f"| {' | '.join(row)} |\n" for row in (headings, rule, *rows))


def spread(values: Sequence[float], write: Callable[[float], str]) -> str:
    """The median, and the range where there is more than one value."""
    middle = write(median(values))
    low, high = write(min(values)), write(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def _plain(value: Any) -> str:
    return " and ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
