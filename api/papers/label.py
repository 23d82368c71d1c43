"""The label of a parcel (A6): by whom it goes, from where, to whom, how heavy, and its number to be read by machine.

Where the number is a serial shipping container code, the barcode is GS1-128 with application identifier 00, in the size that GS1
asks for on parcels; otherwise it is the carrier's number in Code 128.
"""

from reportlab.lib.units import mm

from api.carriers.own import is_sscc
from api.papers.letters import Letters
from api.papers.sheet import A6, Sheet, day_of, kilograms, printed
from engine.carrying import Load, Party
from engine.labels import Label
from engine.shipping import ShippingTerms

FNC1 = "\xf1"
MODULE = 0.495
"""mm: the narrowest module of a code that is scanned on its way."""
BARS = 32.0
"""mm: the lowest bars, likewise."""
NO_ADDRESS = "(no address is kept here)"


def print_label(label: Label, load: Load, terms: ShippingTerms, letters: Letters) -> bytes:
    """Print the label that a carrier made, as PDF."""

    def draw(sheet: Sheet) -> None:
        sheet.foot = ""
        _head(sheet, label)
        _from_and_to(sheet, load, terms)
        _facts(sheet, label, load)
        _number(sheet, label.tracking or "")

    return printed(A6, 5.0, letters, f"Label {load.consignment}", draw)


def where(party: Party) -> str:
    """An address as lines of text."""
    return party.address or NO_ADDRESS


def _head(sheet: Sheet, label: Label) -> None:
    sheet.block(sheet.left, 5.5, label.service, 20, 68, 1, bold=True)
    carrier = "" if label.carrier == "own" else label.carrier
    sheet.text(sheet.right, 6.5, "".join(sheet.letters.wrap(carrier, 10, 25 * mm, 1)), 10, align="right")
    sheet.rule(15, thick=1.4)


def _from_and_to(sheet: Sheet, load: Load, terms: ShippingTerms) -> None:
    sheet.text(sheet.left, 16.5, "From", 6.5, grey=True)
    first = terms.sender.split("\n")[0]  # where it comes from is the node's own address, where that has one
    sender = f"{first}\n{load.sender.address}".strip() if load.sender.address else terms.sender or load.node
    sheet.block(sheet.left + 11, 16.2, sender, 7.5, sheet.right - sheet.left - 11, 5)
    sheet.rule(33.5, thick=0.5)
    sheet.text(sheet.left, 35, "To", 6.5, grey=True)
    y, x, wide = 35.5, sheet.left + 11, sheet.right - sheet.left - 11
    to = load.recipient
    if load.collect is not None:
        y = sheet.block(x, y, f"Store {load.collect}", 14, wide, 1, bold=True)
    if to.name:
        name = f"for {to.name}" if load.collect is not None else to.name
        y = sheet.block(x, y, name, 14 if load.collect is None else 11, wide, 2, bold=load.collect is None)
    if load.collect is None or to.address != load.collect:
        y = sheet.block(x, y + 0.7, where(to), 12, wide, 6)
    if to.region and to.region.casefold() not in to.address.casefold():
        sheet.block(x, y, to.region, 12, wide, 1, bold=True)


def _facts(sheet: Sheet, label: Label, load: Load) -> None:
    sheet.rule(79, thick=0.5)
    columns = ((5, "Weight", kilograms(label.grams)), (30, "Date", day_of(label.made_at or label.wanted_at)),
               (55, "Order", f"{load.channel} {load.external_id}"))  # fmt: skip
    for x, name, value in columns:
        sheet.text(x, 80, name, 6.5, grey=True)
        sheet.block(x, 82.6, value, 9, 24 if x < 55 else 45, 1, bold=True)
    sheet.text(5, 87.6, "Parcel", 6.5, grey=True)
    sheet.text(15, 87.2, load.consignment, 7.5)
    sheet.rule(92, thick=1.4)


def _number(sheet: Sheet, tracking: str) -> None:
    gs1 = is_sscc(tracking)
    wide = sheet.right - sheet.left
    if gs1:
        sheet.barcode(sheet.left, 95.5, f"{FNC1}00{tracking}", wide, BARS, MODULE)
        shown = f"(00) {tracking[0]} {tracking[1:-1]} {tracking[-1]}"
    else:
        shown = tracking
        if tracking.isascii() and tracking.isprintable():
            sheet.barcode(sheet.left, 95.5, tracking, wide, BARS, MODULE)
    for i, line in enumerate(sheet.letters.wrap(shown, 12, wide * mm, 2, bold=True)):
        sheet.text(sheet.width / 2, 129.5 + 5.5 * i, line, 12, bold=True, align="centre")
