"""The packing slip of a consignment (A4): what is in the parcel, of what was ordered. It names no money, unless it is asked to."""

from api.papers.label import where
from api.papers.letters import Letters
from api.papers.sheet import A4, Align, Sheet, day_of, kilograms, money, printed
from engine.carrying import Item, Load
from engine.shipping import ShippingTerms

SKU, ORDERED, HERE, PRICE, AMOUNT = 0.0, 88.0, 112.0, 142.0, 174.0
"""Where columns are, in mm: the first begins there, the others end there."""
ALONE = AMOUNT - HERE
"""How far units stand to the right where there are no prices."""


def print_packing_slip(load: Load, terms: ShippingTerms, letters: Letters, *, currency: str | None = None) -> bytes:
    """Print what is in a consignment, as PDF.

    Parameters
    ----------
    currency
        Where prices are asked for: what they are of.
    """

    def draw(sheet: Sheet) -> None:
        sheet.foot = f"Packing slip, order {load.channel} {load.external_id}"
        _head(sheet, load, terms)
        sheet.heading = lambda: _heading(sheet, currency)
        sheet.heading()
        for item in load.items:
            _item(sheet, item, currency)
        _end(sheet, load, currency)

    return printed(A4, 18.0, letters, f"Packing slip {load.consignment}", draw)


def _head(sheet: Sheet, load: Load, terms: ShippingTerms) -> None:
    sheet.text(sheet.right, 17, "Packing slip", 22, bold=True, align="right")
    sheet.block(sheet.left, 18, terms.sender or load.sender.address or load.node, 9, 80, 6)
    sheet.barcode(sheet.right - 86, 29, load.consignment, 86, 11, 0.3)
    sheet.text(sheet.right - 43, 41, load.consignment, 8, align="centre")

    to = load.recipient
    sheet.text(sheet.left, 52, "To" if load.collect is None else f"For collection at {load.collect}", 8, grey=True)
    y = sheet.block(sheet.left, 56, to.name, 12, 88, 2, bold=True) if to.name else 56.0
    sheet.block(sheet.left, y + 0.5, where(to), 11, 88, 7)
    facts = (
        ("Order", f"{load.channel} {load.external_id}"), ("Ordered", day_of(load.placed_at)), ("Packed at", load.node),
        ("Service", load.service or "collection"), ("Weight", kilograms(load.grams)),
    )  # fmt: skip
    y = 52.0
    for name, value in facts:
        sheet.text(sheet.left + 104, y + 0.3, name, 8, grey=True)
        y = max(y + 5.4, sheet.block(sheet.left + 124, y, value, 9.5, sheet.right - sheet.left - 124, 2) + 1.2)
    sheet.y = 98.0


def _heading(sheet: Sheet, currency: str | None) -> None:
    apart = ALONE if currency is None else 0.0
    names: list[tuple[float, str, Align]] = [
        (SKU, "Article", "left"),
        (ORDERED + apart, "Ordered", "right"),
        (HERE + apart, "In this parcel", "right"),
    ]
    if currency is not None:
        names += [(PRICE, "Price", "right"), (AMOUNT, "Amount", "right")]
    for x, name, align in names:
        sheet.text(sheet.left + x, sheet.y, name, 8, align=align, grey=True)
    sheet.y += 4.6
    sheet.rule(sheet.y, thick=0.8)
    sheet.y += 1.6


def _item(sheet: Sheet, item: Item, currency: str | None) -> None:
    is_kit = [sku for sku, _ in item.parts] != [item.sku]
    sheet.need(7 + 4.4 * len(item.parts) * is_kit)
    top, apart = sheet.y, ALONE if currency is None else 0.0
    sheet.y = sheet.block(sheet.left + SKU, top, item.sku, 10.5, ORDERED + apart - SKU - 18, 3)
    sheet.text(sheet.left + ORDERED + apart, top, f"{item.ordered:,}", 10.5, align="right")
    sheet.text(sheet.left + HERE + apart, top, f"{item.units:,}", 10.5, bold=True, align="right")
    if currency is not None and item.price_cents is not None:
        sheet.text(sheet.left + PRICE, top, money(item.price_cents, currency), 10.5, align="right")
        sheet.text(sheet.left + AMOUNT, top, money(item.price_cents * item.units, currency), 10.5, align="right")
    for sku, units in item.parts if is_kit else ():
        sheet.y = sheet.block(
            sheet.left + SKU + 5, sheet.y, f"{units:,} × {sku}", 8.5, ORDERED - SKU - 18, 2, grey=True
        )
    sheet.y += 1.2
    sheet.rule(sheet.y, thick=0.25)
    sheet.y += 1.6


def _end(sheet: Sheet, load: Load, currency: str | None) -> None:
    sheet.need(22)
    units, apart = sum(item.units for item in load.items), ALONE if currency is None else 0.0
    sheet.text(sheet.left, sheet.y, "Total", 10.5, bold=True)
    sheet.text(sheet.left + HERE + apart, sheet.y, f"{units:,}", 10.5, bold=True, align="right")
    prices = [item.price_cents for item in load.items]
    if currency is not None and None not in prices:
        total = sum((item.price_cents or 0) * item.units for item in load.items)
        sheet.text(sheet.left + AMOUNT, sheet.y, money(total, currency), 10.5, bold=True, align="right")
    sheet.y += 9
    if load.elsewhere:
        sheet.text(sheet.left, sheet.y, "What else you ordered comes separately.", 9.5)
        sheet.y += 6
