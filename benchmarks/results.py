"""Where results are kept: `results.json` holds what was measured, `results.md` shows it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from api.outputs import make_folder, write_text
from benchmarks.machine import described

Say = Callable[[str], None]
"""Told what is being done, for people who wait."""
Render = Callable[[dict[str, Any], dict[str, Any]], str]
"""From what was measured, and the settings, to a section of the page."""
Sections = dict[str, dict[str, Any]]
ELSEWHERE = "elsewhere"
"""In a piece: the day and the machine, where these are not those of its section."""


@dataclass(frozen=True)
class Section:
    """One benchmark's results: what was measured, where, when, and by which settings."""

    name: str
    day: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    measured: dict[str, Any]


def kept_in(folder: Path) -> Sections:
    """The sections that a folder holds."""
    kept = folder / "results.json"
    return json.loads(kept.read_text()) if kept.exists() else {}


def pieces_of(folder: Path, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The pieces of a section that new ones may join: of the same settings, or none."""
    one = kept_in(folder).get(name)
    if one is None or one["settings"] != json.loads(json.dumps(settings)):
        return {}
    return dict(one["measured"])


def joined(folder: Path, section: Section) -> Section:
    """A section of new pieces with the old ones beside them; whatever was measured elsewhere, or on another day, says so.

    The section has the machine and the day of the pieces that were there first.
    """
    kept = kept_in(folder).get(section.name)
    old = pieces_of(folder, section.name, section.settings)
    if kept is None or not set(old) - set(section.measured):
        return section
    here = {"day": section.day, "machine": section.machine}
    elsewhere = here["machine"] != kept["machine"]
    new = {piece: {**one, ELSEWHERE: here} if elsewhere else one for piece, one in section.measured.items()}
    return Section(
        section.name, kept["day"] if elsewhere else section.day, kept["machine"], section.settings, old | new
    )


def keep(folder: Path, section: Section) -> None:
    """Put a section among the results of a folder, in place of an older one."""
    sections = kept_in(make_folder(folder))
    sections[section.name] = {
        "day": section.day,
        "machine": section.machine,
        "settings": section.settings,
        "measured": section.measured,
    }
    write_text(folder / "results.json", json.dumps(sections, indent=1, allow_nan=False) + "\n")


def write_page(
    folder: Path, renders: dict[str, Render], head: Callable[[dict[str, dict[str, Any]]], str] | None = None
) -> Path:
    """Write the page of the results that a folder holds."""
    page = folder / "results.md"
    write_text(page, page_of(kept_in(folder), renders, head))
    return page


def page_of(
    sections: Sections,
    renders: dict[str, Render],
    head: Callable[[dict[str, dict[str, Any]]], str] | None = None,
) -> str:
    """Show all sections that there are, in the order in which they can be rendered, below a head made from all of them."""
    parts = [
        "# Results\n\nWritten by `python -m benchmarks`; `README.md` beside this page says how they are measured.\n"
    ]
    if head is not None:
        parts.append(head({name: one["measured"] for name, one in sections.items()}))
    for name, render in renders.items():
        if name in sections:
            one = sections[name]
            settings = ", ".join(
                f"{key} {_plain(value)}" for key, value in one["settings"].items() if value not in (None, "", [])
            )
            opening = (
                f"## {name.capitalize()}\n\nMeasured on {one['day']} with {settings}, on: {described(one['machine'])}\n"
                f"{_elsewhere(one['measured'])}"
            )
            parts.append(f"{opening}\n{render(one['measured'], one['settings'])}")
    return "\n".join(parts)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table whose first columns are words, one of them or more, and whose others are figures."""
    rule = ["---"] * words + ["---:"] * (len(headings) - words)
    return "".join(f"| {' | '.join(row)} |\n" for row in (headings, rule, *rows))


def spread(values: Sequence[float], write: Callable[[float], str]) -> str:
    """The median, and the range where there is more than one value."""
    middle = write(median(values))
    low, high = write(min(values)), write(max(values))
    return middle if low == high else f"{middle} ({low} to {high})"


def _elsewhere(measured: dict[str, Any]) -> str:
    """Say what was measured on another machine than the rest."""
    places: dict[tuple[str, str], list[str]] = {}
    for piece, one in measured.items():
        if isinstance(one, dict) and ELSEWHERE in one:
            where = one[ELSEWHERE]
            places.setdefault((where["day"], described(where["machine"])), []).append(piece)
    return "".join(f"\nBut {_listed(pieces)} on {day}, on: {on}\n" for (day, on), pieces in places.items())


def _listed(pieces: Sequence[str]) -> str:
    """Names, those that differ in a last number as one."""
    told: list[str] = []
    for stem, group in groupby(pieces, key=lambda name: name.rstrip("0123456789")):
        names = list(group)
        told += names if len(names) < 3 else [f"{names[0]} to {names[-1].removeprefix(stem)}"]
    return ", ".join(told)


def _plain(value: Any) -> str:
    return " and ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
