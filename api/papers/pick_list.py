"""The pick list of a node (A4): what was handed to it and is not picked yet, by article, then by consignment.

Each consignment has a number on the list, as of a tote on a trolley; articles say which numbers they are for. Where they lie is
not known here.
"""

from collections import defaultdict
from collections.abc import Sequence

from reportlab.lib.units import mm

from api.papers.letters import Letters
from api.papers.sheet import A4, Sheet, moment_of, printed
from engine.calendar import format_day
from engine.carrying import Load

BLOCK = 15.0
"""mm: the height of a consignment's head."""
BARS = 95.0
"""mm: the width of its barcode."""


def print_pick_list(node: str, loads: Sequence[Load], at: int, letters: Letters, *, more: int = 0) -> bytes:
    """Print what a node is to pick, as PDF.

    Parameters
    ----------
    loads
        In the order in which they are to be done.
    more
        Consignments that wait as well, and are not on this list.
    """

    def draw(sheet: Sheet) -> None:
        sheet.foot = f"Pick list of {node}, {moment_of(at)}"
        _head(sheet, node, loads, at, more)
        if loads:
            _by_article(sheet, loads)
            sheet.y += 5
            _by_consignment(sheet, loads)

    return printed(A4, 15.0, letters, f"Pick list {node}", draw)


def _head(sheet: Sheet, node: str, loads: Sequence[Load], at: int, more: int) -> None:
    units = sum(count for load in loads for item in load.items for _, count in item.parts)
    sheet.text(sheet.left, 14, "Pick list", 22, bold=True)
    (name,) = sheet.letters.wrap(node, 16, 120 * mm, 1, bold=True)
    sheet.text(sheet.right, 15, name, 16, bold=True, align="right")
    sheet.text(sheet.left, 25, f"{_counted(len(loads), 'consignment')}, {_counted(units, 'unit')}", 10)
    sheet.text(sheet.right, 25, moment_of(at), 10, align="right")
    if more:
        waits = f"{_counted(more, 'more consignment')} to pick: print again when these are picked."
        sheet.text(sheet.left, 30, waits, 9, bold=True)
    sheet.y = 36.0
    if not loads:
        sheet.text(sheet.left, sheet.y, "Nothing is to be picked.", 11)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _by_article(sheet: Sheet, loads: Sequence[Load]) -> None:
    wanted: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for number, load in enumerate(loads, 1):
        for item in load.items:
            for sku, units in item.parts:
                wanted[sku][number] += units

    def heading() -> None:
        for x, name in ((sheet.left + 6, "Article"), (sheet.left + 108, "For")):
            sheet.text(x, sheet.y, name, 8, grey=True)
        sheet.text(sheet.left + 102, sheet.y, "Units", 8, grey=True, align="right")
        sheet.y += 4.6
        sheet.rule(sheet.y, thick=0.8)
        sheet.y += 1.6

    sheet.heading = heading
    heading()
    for sku in sorted(wanted):
        totes = ", ".join(f"#{number}" + (f"×{units:,}" if units > 1 else "") for number, units in wanted[sku].items())
        lines = sheet.letters.wrap(totes, 9, (sheet.right - sheet.left - 108) * mm)
        sheet.need(6 + 4 * len(lines))
        top = sheet.y
        sheet.box(sheet.left, top + 0.5, 3.4, 3.4)
        below = sheet.block(sheet.left + 6, top, sku, 10.5, 78, 2, bold=True)
        sheet.text(sheet.left + 102, top, f"{sum(wanted[sku].values()):,}", 10.5, bold=True, align="right")
        sheet.y = max(below, sheet.block(sheet.left + 108, top + 0.3, totes, 9, sheet.right - sheet.left - 108)) + 1.0
        sheet.rule(sheet.y, thick=0.25)
        sheet.y += 1.5


def _by_consignment(sheet: Sheet, loads: Sequence[Load]) -> None:
    sheet.heading = None
    for number, load in enumerate(loads, 1):
        rows = [(sku, units) for item in load.items for sku, units in item.parts]
        sheet.need(BLOCK + 5.2 * min(len(rows), 30) + 4)
        sheet.rule(sheet.y, thick=1.0)
        top = sheet.y + 2
        sheet.text(sheet.left, top, f"#{number}", 17, bold=True)
        name, wide = f"{load.channel} {load.external_id}", sheet.right - BARS - sheet.left - 23
        sheet.block(sheet.left + 20, top, name, 10, wide, 1, bold=True)
        how = f"collected at {load.collect}" if load.collect is not None else load.service
        sheet.block(sheet.left + 20, top + 5, f"{how}, for {format_day(load.work_day)}", 8.5, wide, 1, grey=True)
        sheet.barcode(sheet.right - BARS, top - 0.5, load.consignment, BARS, 8.5, 0.3)
        sheet.text(sheet.right - BARS / 2, top + 8.4, load.consignment, 7, align="centre")
        sheet.y = top + BLOCK - 2
        for sku, units in rows:
            sheet.need(5.2)
            sheet.box(sheet.left + 20, sheet.y + 0.5, 3.2, 3.2)
            sheet.text(sheet.left + 36, sheet.y, f"{units:,} ×", 10, bold=True, align="right")
            sheet.y = max(sheet.y + 5.2, sheet.block(sheet.left + 38, sheet.y, sku, 10, 130, 2))
        sheet.y += 2
