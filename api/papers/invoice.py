"""The invoice of a shipment, or the credit note of a refund (A4): who bills whom for what, with the taxes that the caller gave."""

from collections import defaultdict
from dataclasses import dataclass

from api.papers.letters import Letters
from api.papers.sheet import A4, Sheet, day_of, money, printed
from engine.carrying import Party
from engine.charges import ChargedLine
from engine.invoices import Invoice

ARTICLE, UNITS, PRICE, TAX, AMOUNT = 0.0, 92.0, 122.0, 142.0, 174.0
"""Where columns are, in mm: the first begins there, the others end there."""
NOBODY = "(no name and address are kept here)"


@dataclass(frozen=True, slots=True)
class _Row:
    """Something that costs, or is kept. `units` is 0 where that says nothing."""

    what: str
    units: int
    cents: int
    taxes: list[tuple[int, int]]


def print_invoice(invoice: Invoice, to: Party, letters: Letters) -> bytes:
    """Print an invoice or a credit note, as PDF.

    Parameters
    ----------
    to
        Whom it is for, as far as is known.
    """
    title = "Credit note" if invoice.kind == "credit_note" else "Invoice"

    def draw(sheet: Sheet) -> None:
        sheet.foot = f"{title} {invoice.number}" + (f", {invoice.body.tax_id}" if invoice.body.tax_id else "")
        _head(sheet, title, invoice, to)
        sheet.heading = lambda: _heading(sheet, invoice)
        sheet.heading()
        for row in _rows(invoice):
            _row(sheet, row, invoice.currency)
        sheet.heading = None
        _sums(sheet, invoice)
        _end(sheet, invoice)

    return printed(A4, 18.0, letters, f"{title} {invoice.number}", draw)


def _head(sheet: Sheet, title: str, invoice: Invoice, to: Party) -> None:
    sheet.text(sheet.right, 17, title, 22, bold=True, align="right")
    sheet.text(sheet.right, 27.5, invoice.number, 12, align="right")
    seller, _, rest = invoice.body.seller.partition("\n")
    y = sheet.block(sheet.left, 18, seller, 11, 90, 2, bold=True) if seller else 18.0
    y = sheet.block(sheet.left, y + 0.5, rest, 9, 90, 6)
    if invoice.body.tax_id:
        sheet.text(sheet.left, y + 0.5, f"Tax id {invoice.body.tax_id}", 9)

    sheet.text(sheet.left, 54, "To", 8, grey=True)
    y = sheet.block(sheet.left, 58, to.name, 12, 88, 2, bold=True) if to.name else 58.0
    sheet.block(sheet.left, y + 0.5, to.address or ("" if to.name else NOBODY), 11, 88, 7)
    of = (
        ("Owed", day_of(invoice.supplied_at))
        if invoice.kind == "credit_note"
        else ("Supplied", day_of(invoice.supplied_at))
    )
    facts = [
        ("Number", invoice.number), ("Date", day_of(invoice.issued_at)), of,
        ("Order", f"{invoice.channel} {invoice.external_id}"), ("Ordered", day_of(invoice.placed_at)),
        ("Parcel" if invoice.kind == "invoice" else "Refund", invoice.charge),
    ]  # fmt: skip
    if invoice.body.corrects:
        facts.append(("Corrects", ", ".join(invoice.body.corrects)))
    y = 54.0
    for name, value in facts:
        sheet.text(sheet.left + 104, y + 0.3, name, 8, grey=True)
        y = max(y + 5.4, sheet.block(sheet.left + 122, y, value, 9.5, sheet.right - sheet.left - 122, 3) + 1.2)
    sheet.y = max(104.0, y + 6)


def _heading(sheet: Sheet, invoice: Invoice) -> None:
    sheet.text(sheet.left + ARTICLE, sheet.y, "Article", 8, grey=True)
    priced = "Price incl. tax" if invoice.body.gross else "Price excl. tax"
    for x, name in ((UNITS, "Units"), (PRICE, priced), (TAX, "Tax"), (AMOUNT, "Amount")):
        sheet.text(sheet.left + x, sheet.y, name, 8, align="right", grey=True)
    sheet.y += 4.6
    sheet.rule(sheet.y, thick=0.8)
    sheet.y += 1.6


def _rows(invoice: Invoice) -> list[_Row]:
    """What is on it, line by line; what is kept of a refund is taken off."""
    body = invoice.body
    rows = [_Row(line.sku, line.units, line.cents, line.taxes) for line in body.charge.lines]
    if body.carriage_cents:
        rows.append(_Row("Carriage", 0, body.carriage_cents, body.charge.carriage_taxes))
    for what, cents in (("Return fee", body.charge.fee_cents), ("Return carriage", body.charge.label_cents)):
        if cents:
            rows.append(_Row(what, 0, -cents, []))
    return rows


def _row(sheet: Sheet, row: _Row, currency: str) -> None:
    sheet.need(7)
    top = sheet.y
    sheet.y = sheet.block(sheet.left + ARTICLE, top, row.what, 10.5, UNITS - ARTICLE - 18, 3)
    if row.units:
        sheet.text(sheet.left + UNITS, top, f"{row.units:,}", 10.5, align="right")
        if row.cents % row.units == 0:
            sheet.text(sheet.left + PRICE, top, money(row.cents // row.units, currency), 10.5, align="right")
    rates = " + ".join(percent(rate) for rate, _ in row.taxes)
    sheet.text(sheet.left + TAX, top, rates, 10.5, align="right")
    sheet.text(sheet.left + AMOUNT, top, money(row.cents, currency), 10.5, align="right")
    sheet.y += 1.2
    sheet.rule(sheet.y, thick=0.25)
    sheet.y += 1.6


def _sums(sheet: Sheet, invoice: Invoice) -> None:
    rates = _by_rate(invoice)
    sheet.need(20 + 5.6 * len(rates))
    sheet.y += 3
    said = [("Net", invoice.net_cents)]
    for rate, (base, tax) in sorted(rates.items()):
        said.append((f"Tax {percent(rate)} of {money(base, invoice.currency)}", tax))
    for name, cents in said:
        sheet.text(sheet.left + PRICE + 12, sheet.y, name, 9.5, align="right")
        sheet.text(sheet.left + AMOUNT, sheet.y, money(cents, invoice.currency), 10.5, align="right")
        sheet.y += 5.6
    sheet.rule(sheet.y, x=sheet.left + UNITS - 12, to=sheet.left + AMOUNT, thick=0.8)
    sheet.y += 2
    name = "Credited" if invoice.kind == "credit_note" else "Total"
    sheet.text(sheet.left + PRICE + 12, sheet.y, name, 12, bold=True, align="right")
    sheet.text(sheet.left + AMOUNT, sheet.y, money(invoice.cents, invoice.currency), 12, bold=True, align="right")
    set_off = invoice.body.set_off_cents
    if set_off:
        credited = invoice.kind == "credit_note"
        sheet.need(20)
        for name, cents in (
            ("Set off in exchange" if credited else "Paid by a return", -set_off),
            ("To refund" if credited else "To pay", invoice.cents - set_off),
        ):
            sheet.y += 6.5
            sheet.text(sheet.left + PRICE + 12, sheet.y, name, 10.5, align="right")
            sheet.text(sheet.left + AMOUNT, sheet.y, money(cents, invoice.currency), 10.5, align="right")
    sheet.y += 12


def _end(sheet: Sheet, invoice: Invoice) -> None:
    if invoice.body.note:
        sheet.need(6 * (1 + invoice.body.note.count("\n")))
        sheet.y = sheet.block(sheet.left, sheet.y, invoice.body.note, 9.5, sheet.right - sheet.left)


def _by_rate(invoice: Invoice) -> dict[int, tuple[int, int]]:
    """What is taxed, without the tax, and the tax, by rate in hundredths of a percent; each line less its share of what is kept."""
    sums: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    carriage = ChargedLine(line=0, sku="", units=0, cents=invoice.body.carriage_cents,
                           taxes=invoice.body.charge.carriage_taxes)  # fmt: skip
    lines = [*invoice.body.charge.lines, carriage]
    whole, above = sum(line.cents for line in lines), 0
    kept = min(whole, invoice.body.charge.fee_cents + invoice.body.charge.label_cents)
    for line in lines:
        below = above + line.cents
        off = kept * below // whole - kept * above // whole if kept else 0
        above = below
        inside = sum(tax for _, tax in line.taxes) if invoice.body.gross else 0
        for rate, tax in line.taxes:
            base, before = sums[rate]
            sums[rate] = base + line.cents - off - inside, before + tax
    return dict(sums)


def percent(rate: int) -> str:
    """A rate in hundredths of a percent, as people read it."""
    whole, part = divmod(rate, 100)
    return f"{whole}{f'.{part:02d}'.rstrip('0') if part else ''} %"
