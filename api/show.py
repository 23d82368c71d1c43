"""Tables on standard output."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api import figures

if TYPE_CHECKING:
    from api.compare import Comparison, Row
    from api.doctor import Finding
    from api.replays import Replays

PIPE_WIDTH = 200
"""Columns where standard output is no terminal: enough that no figure is cut off."""
BAR_WIDTH = 46
TERM_STYLES = ("blue", "yellow", "red", "magenta", "cyan", "bright_black", "white")


class Piped(Console):
    """A console that leaves it to the command line what a pipe without a reader means."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def out() -> Console:
    """The console for data; names from files are never read as markup."""
    console = Piped(markup=False, emoji=False, highlight=False)
    return console if console.is_terminal else Piped(markup=False, emoji=False, highlight=False, width=PIPE_WIDTH)


def as_json(value: Any) -> None:
    """Write one JSON value."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def line(text: str) -> None:
    """Write one line, as long as it is."""
    sys.stdout.write(figures.printable(text) + "\n")


def findings(found: "Sequence[Finding]") -> None:
    """Show what the doctor found."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for finding in found:
        mark = (
            Text("ok", "green")
            if finding.ok
            else Text("note", "yellow")
            if finding.ok is None
            else Text("fault", "red")
        )
        table.add_row(mark, finding.name, finding.found)
    out().print(table)


def pairs(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Show named figures, right-aligned."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for name, figure in rows:
        table.add_row(name, figure)
    console = out()
    console.print(Text(title, "bold"))
    console.print(table)


def plan(title: str, row: "Row") -> None:
    """Show what one plan costs and does."""
    terms = [(figures.term_name(term), figures.money(cents)) for term, cents in row.bill.items() if cents]
    pairs(
        title,
        [
            *terms,
            ("Cost", figures.money(row.cost_cents)),
            ("Bound", figures.money(row.bound_cents)),
            ("Gap", f"{figures.gap(row.gap)} ({row.status})"),
            ("Parcels", figures.whole(row.parcels)),
            ("Orders in more than one parcel", figures.percent(row.split_rate)),
            ("Units filled", figures.percent(row.fill_rate)),
            ("Parcels late", figures.percent(row.late_rate)),
            ("Time", figures.duration(row.seconds)),
        ],
    )


def comparison(result: "Comparison") -> None:
    """Show policies side by side, and their cost as bars."""
    table = grid(["policy", "cost", "over joint", "gap", "parcels", "split", "filled", "late", "time"])
    for row in result.rows:
        table.add_row(
            figures.policy_name(row.policy),
            figures.money(row.cost_cents),
            "" if row.policy == "joint" else figures.more(row.over_joint),
            figures.gap(row.gap),
            figures.whole(row.parcels),
            figures.percent(row.split_rate),
            figures.percent(row.fill_rate),
            figures.percent(row.late_rate),
            figures.duration(row.seconds),
        )
    out().print(table)
    bills = [(figures.policy_name(row.policy), row.bill) for row in result.rows]
    terms(bills)
    bars(bills)


def replays(run: "Replays") -> None:
    """Show runs of a history side by side, and their cost as bars."""
    table = grid(
        ["policy", "cost", "over joint", "waves' gap", "waves", "parcels", "split", "filled", "on time", "time"]
    )
    for row in run.rows:
        table.add_row(
            figures.policy_name(row.policy),
            figures.money(row.cost_cents),
            "" if row.policy == "joint" else figures.more(row.over_joint),
            figures.gap(row.waves_gap),
            figures.whole(row.waves),
            figures.whole(row.parcels),
            figures.percent(row.split_rate),
            figures.percent(row.fill_rate),
            figures.percent(row.on_time_rate),
            figures.duration(row.seconds),
        )
    out().print(table)
    bills = [(figures.policy_name(row.policy), row.bill) for row in run.rows]
    terms(bills)
    bars(bills)
    for what in run.simulated:
        line(f"Simulated: {what}")


def grid(headings: Sequence[str]) -> Table:
    """A table whose first column is a name and whose others are figures."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def terms(bills: Sequence[tuple[str, dict[str, int]]]) -> None:
    """Show the cost of each policy by term."""
    names = used_terms([bill for _, bill in bills])
    table = grid(["cost by term", *(figures.term_name(term).lower() for term in names)])
    for name, bill in bills:
        table.add_row(name, *(figures.money(bill.get(term, 0)) for term in names))
    console = out()
    console.print()
    console.print(table)


def bars(bills: Sequence[tuple[str, dict[str, int]]]) -> None:
    """Draw the cost of each policy as a bar of its terms."""
    names = used_terms([bill for _, bill in bills])
    most = max((sum(bill.values()) for _, bill in bills), default=0) or 1
    width = max((len(name) for name, _ in bills), default=0)
    console = out()
    console.print()
    for name, bill in bills:
        line = Text(f"{name:<{width}}  ")
        drawn = total = 0
        for number, term in enumerate(names):
            total += bill.get(term, 0)
            end = round(BAR_WIDTH * total / most)
            line.append(letter(number) * (end - drawn), style=TERM_STYLES[number % len(TERM_STYLES)])
            drawn = end
        line.append(f" {figures.money(sum(bill.values()))}")
        console.print(line)
    legend = Text(" " * (width + 2))
    for number, term in enumerate(names):
        legend.append(letter(number), style=TERM_STYLES[number % len(TERM_STYLES)])
        legend.append(f" {figures.term_name(term).lower()}  ")
    console.print(legend)


def letter(number: int) -> str:
    """The fill of a term's bar: shades, so that it reads without colour."""
    return "█▓▒░▚▞▪"[number % 7]


def used_terms(bills: Sequence[dict[str, int]]) -> list[str]:
    """The terms that some bill has, in the order of the bill."""
    return [term for term in dict.fromkeys(term for bill in bills for term in bill) if any(b.get(term) for b in bills)]
