"""Invoices of shipments and credit notes of refunds: numbered without holes, and never changed.

A number is counted in the transaction that writes its invoice, in the row of its series and year, which nobody else has meanwhile:
what is rolled back has counted nothing. Who it is for is not kept with it: a paper has the name and address that are known when it
is printed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.charges import BillingTerms, Charge, ChargeBody, charge_of, charge_shipment, charges_of, read_billing
from engine.claims import lock_orders
from engine.database import Tx
from engine.entries import CURRENCY
from engine.facts import CreditNoteIssued, InvoiceIssued, short_id
from engine.ledger import write_facts
from engine.reads import currency
from solver.refusal import Refusal

_SHOWN = (
    "i.no, i.id, i.kind, i.series, i.year, i.number, o.id, o.channel, o.external_id, o.placed_at, o.recipient, c.ref, c.at, "
    "i.issued_at, i.currency, i.net_cents, i.tax_cents, i.cents, i.body"
)
_FROM = "FROM invoice i JOIN orders o ON o.no = i.order_no JOIN charge c ON c.no = i.charge_no"


class InvoiceBody(msgspec.Struct, frozen=True, kw_only=True):
    """What an invoice says."""

    gross: bool
    charge: ChargeBody
    set_off_cents: int = 0
    """What is paid by a return, or kept for an exchange, and so neither taken nor given back."""
    carriage_cents: int
    seller: str
    tax_id: str
    note: str
    corrects: list[str] = []
    """The invoices that a credit note corrects."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice, or a credit note, as it was issued. `charge` is the consignment, or the fact that says what is owed."""

    no: int
    id: str
    kind: str
    series: str
    year: int
    count: int
    order: str
    channel: str
    external_id: str
    placed_at: int
    recipient: str | None
    charge: str
    supplied_at: int
    issued_at: int
    currency: str
    net_cents: int
    tax_cents: int
    cents: int
    body: InvoiceBody

    @property
    def number(self) -> str:
        """As people write it."""
        return number_of(self.series, self.year, self.count)


def number_of(series: str, year: int, count: int) -> str:
    """`INV-2026-000001`."""
    return f"{series}-{year}-{count:06d}"


def issue(tx: Tx, charge: Charge, at: int) -> Invoice | None:
    """Issue the invoice of a shipment, or the credit note of a refund; again, it is the same one. The order is locked.

    Nothing is issued of what costs nothing, and no credit note of a consignment that is not invoiced: its invoice brings it along.
    """
    there = _first(tx, "c.no = :no", no=charge.no)
    if there is not None:
        return there
    is_refund = charge.kind == "refund"
    corrected = _first(tx, "c.ref = :ref", ref=charge.body.consignment) if is_refund else None
    if not (charge.goods_cents + charge.carriage_cents + charge.tax_cents) or (is_refund and corrected is None):
        return None
    total, corrects = charge.billed_cents, [corrected.number] if corrected else []
    terms = read_billing(tx)
    series, year = terms.credit_series if is_refund else terms.invoice_series, _year(at)
    body = _body(charge, terms, corrects)
    count = int(tx.value(
        "INSERT INTO invoice_series (series, year, last) VALUES (:series, :year, 1) "
        "ON CONFLICT (series, year) DO UPDATE SET last = invoice_series.last + 1 RETURNING last",
        series=series, year=year,
    ))  # fmt: skip
    id = short_id("inv", series, str(year), str(count))
    tx.run(
        "INSERT INTO invoice (id, kind, series, year, number, order_no, charge_no, issued_at, currency, net_cents, tax_cents, "
        "cents, body) VALUES (:id, :kind, :series, :year, :number, :order, :charge, :at, :currency, :net, :tax, :cents, :body)",
        id=id, kind="credit_note" if is_refund else "invoice", series=series, year=year, number=count, order=charge.order_no,
        charge=charge.no, at=at, currency=currency(tx) or CURRENCY, net=total - charge.tax_cents, tax=charge.tax_cents,
        cents=total, body=msgspec.json.encode(body).decode(),
    )  # fmt: skip
    made = get(tx, id)
    kind = CreditNoteIssued if is_refund else InvoiceIssued
    write_facts(tx, [
        kind(id=f"{id}:1", at=at, order=made.order, invoice=id, number=made.number, charge=charge.ref, cents=made.cents)
    ])  # fmt: skip
    for refund in charges_of(tx, charge.order_no, "refund"):
        if refund.body.consignment == charge.ref:
            issue(tx, refund, at)
    return made


def invoice_shipment(tx: Tx, consignment: str, at: int) -> Invoice:
    """Invoice a consignment that has left.

    Raises
    ------
    Refusal
        `unknown_consignment`, `wrong_state` where it has not left, or `nothing_to_invoice` where it costs nothing.
    """
    found = tx.first("SELECT order_no, state FROM consignment WHERE id = :id", id=consignment)
    if found is None:
        raise Refusal("consignment", f"there is no consignment {consignment!r}", "unknown_consignment")
    lock_orders(tx, [found[0]])
    charge = charge_shipment(tx, consignment, at)
    if charge is None:
        raise Refusal("consignment", f"it is {found[1]}: what has not left is not invoiced", "wrong_state")
    made = issue(tx, charge, at)
    if made is None:
        raise Refusal("consignment", "its lines have no prices, or come to nothing", "nothing_to_invoice")
    return made


def get(tx: Tx, id: str) -> Invoice:
    """An invoice or a credit note; raises `unknown_invoice`."""
    found = _first(tx, "i.id = :id", id=id)
    if found is None:
        raise Refusal("invoice", f"there is no invoice {id!r}", "unknown_invoice")
    return found


def listed(tx: Tx, before: int | None, limit: int, order: str = "") -> list[Invoice]:
    """Invoices and credit notes, the newest first."""
    rows = tx.all(
        f"SELECT {_SHOWN} {_FROM} WHERE (:before = 0 OR i.no < :before) AND (:order = '' OR o.id = :order) "
        "ORDER BY i.no DESC LIMIT :limit",
        before=before or 0, limit=limit, order=order,
    )  # fmt: skip
    return [_read(row) for row in rows]


def of_order(tx: Tx, order_no: int) -> list[Invoice]:
    """The invoices and credit notes of an order, in their order."""
    return [_read(row) for row in tx.all(f"SELECT {_SHOWN} {_FROM} WHERE o.no = :no ORDER BY i.no", no=order_no)]


def invoice_of(tx: Tx, ref: str) -> Invoice | None:
    """The invoice of a consignment, or the credit note of what is owed."""
    charge = charge_of(tx, ref)
    return None if charge is None else _first(tx, "c.no = :no", no=charge.no)


def _first(tx: Tx, where: str, **values: Any) -> Invoice | None:
    found = tx.first(f"SELECT {_SHOWN} {_FROM} WHERE {where}", **values)
    return _read(found) if found else None


_BODY = msgspec.json.Decoder(InvoiceBody)


def _read(row: Sequence[Any]) -> Invoice:
    return replace(Invoice(*row), body=_BODY.decode(row[-1]))


def _body(charge: Charge, terms: BillingTerms, corrects: list[str]) -> InvoiceBody:
    return InvoiceBody(
        gross=charge.gross, charge=charge.body, set_off_cents=charge.set_off_cents + charge.passed_cents,
        carriage_cents=charge.carriage_cents, seller=terms.seller, tax_id=terms.tax_id, note=terms.note, corrects=corrects,
    )  # fmt: skip


def _year(at: int) -> int:
    return datetime.fromtimestamp(at / 1000, UTC).year
