"""An invoice says who bills whom for what, with which taxes, and adds up for who reads it."""

from dataclasses import replace

import msgspec

from api.papers import Letters, print_invoice
from api.papers.invoice import percent
from engine.carrying import Party
from engine.charges import ChargeBody, ChargedLine
from engine.invoices import Invoice, InvoiceBody
from tests.api.papers.reading import pages_of, text_of

AT = 1_764_064_800_000
LINES = [
    ChargedLine(line=1, sku="kettle", units=2, cents=5990, taxes=[(2100, 1040)]),
    ChargedLine(line=2, sku="tea", units=3, cents=1485, taxes=[(900, 123)]),
]
BODY = InvoiceBody(
    gross=True, charge=ChargeBody(lines=LINES, carriage_taxes=[(2100, 86)]), carriage_cents=495,
    seller="Kettle & Cup B.V.\nHaarlemmerweg 331\n1051 LH Amsterdam", tax_id="NL001234567B01",
    note="Paid by card. Thank you for your order.",
)  # fmt: skip
INVOICE = Invoice(
    no=1, id="inv_1", kind="invoice", series="INV", year=2025, count=41, order="ord_1", channel="web", external_id="W-1000",
    placed_at=AT, recipient="cus-1", charge="con_aaaaaaaaaaaaaaaaaaaa", supplied_at=AT + 86_400_000, issued_at=AT + 90_000_000,
    currency="EUR", net_cents=7970 - 1249, tax_cents=1249, cents=7970, body=BODY,
)  # fmt: skip
TO = Party("cus-1", None, name="Anna de Vries", address="Oudegracht 158\n3511 AZ Utrecht\nNetherlands")
CREDIT = replace(
    INVOICE, kind="credit_note", series="CN", count=7, cents=2495, net_cents=1975, tax_cents=520, charge="rfd_aaaa",
    body=InvoiceBody(
        gross=True, carriage_cents=0, seller=BODY.seller, tax_id=BODY.tax_id, note="", corrects=["INV-2025-000041"],
        charge=ChargeBody(
            lines=[ChargedLine(line=1, sku="kettle", units=1, cents=2995, taxes=[(2100, 520)])], fee_cents=300, label_cents=200
        ),
    ),
)  # fmt: skip


def test_an_invoice_says_who_bills_whom_for_what() -> None:
    paper = print_invoice(INVOICE, TO, Letters())
    text = text_of(paper)
    assert pages_of(paper) == [(210, 297)]
    for said in ("INV-2025-000041", "Kettle & Cup B.V.", "NL001234567B01", "Anna de Vries", "3511 AZ Utrecht", "web W-1000",
                 "2025-11-26", "29.95 EUR", "59.90 EUR", "Carriage", "Thank you"):  # fmt: skip
        assert said in text, said


def test_it_adds_up_by_rate() -> None:
    """Net and the taxes of each rate are what is to be paid."""
    text = text_of(print_invoice(INVOICE, TO, Letters()))
    for said in ("67.21 EUR", "Tax 9 % of 13.62 EUR", "1.23 EUR", "Tax 21 % of 53.59 EUR", "11.26 EUR", "79.70 EUR"):
        assert said in text, said


def test_on_net_prices_the_base_of_a_rate_is_what_they_say() -> None:
    body = InvoiceBody(gross=False, charge=ChargeBody(lines=LINES), carriage_cents=0, seller="", tax_id="", note="")
    one = replace(INVOICE, body=body, net_cents=7475, tax_cents=1163, cents=8638)
    text = text_of(print_invoice(one, TO, Letters()))
    assert "Price excl. tax" in text
    assert "Tax 21 % of 59.90 EUR" in text


def test_a_credit_note_names_what_it_corrects_and_what_is_kept() -> None:
    text = text_of(print_invoice(CREDIT, TO, Letters()))
    for said in ("Credit note", "CN-2025-000007", "Corrects", "INV-2025-000041", "Return fee", "-3.00 EUR", "-2.00 EUR",
                 "Credited", "24.95 EUR"):  # fmt: skip
        assert said in text, said


def test_who_was_erased_is_not_on_it() -> None:
    text = text_of(print_invoice(INVOICE, Party("cus-1", None), Letters()))
    assert "no name and address are kept here" in text


def test_many_lines_take_more_pages_and_each_says_of_how_many() -> None:
    lines = [ChargedLine(line=n, sku=f"article-{n}", units=1, cents=100) for n in range(1, 81)]
    body = InvoiceBody(gross=True, charge=ChargeBody(lines=lines), carriage_cents=0, seller="", tax_id="", note="")
    paper = print_invoice(replace(INVOICE, body=body), TO, Letters())
    assert len(pages_of(paper)) > 1
    text = text_of(paper)
    assert f"2 / {len(pages_of(paper))}" in text
    assert "article-80" in text


def test_the_same_invoice_is_the_same_bytes() -> None:
    assert print_invoice(INVOICE, TO, Letters()) == print_invoice(INVOICE, TO, Letters())


def test_rates_are_written_as_people_do() -> None:
    assert [percent(rate) for rate in (2100, 900, 550, 625, 0)] == ["21 %", "9 %", "5.5 %", "6.25 %", "0 %"]


def test_what_is_set_off_in_an_exchange_is_taken_off_below_the_total() -> None:
    paid = replace(INVOICE, body=msgspec.structs.replace(BODY, set_off_cents=5000))
    text = text_of(print_invoice(paid, TO, Letters()))
    for said in ("79.70 EUR", "Paid by a return", "-50.00 EUR", "To pay", "29.70 EUR"):
        assert said in text, said
    kept = replace(CREDIT, body=msgspec.structs.replace(CREDIT.body, set_off_cents=2495))
    text = text_of(print_invoice(kept, TO, Letters()))
    for said in ("24.95 EUR", "Set off in exchange", "-24.95 EUR", "To refund", "0.00 EUR"):
        assert said in text, said
