"""Payments of orders by tokens, invoices and credit notes, and whether all of it balances."""

import csv
import io
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import InvoicedId, InvoiceId, OrderId, SomeId
from api.http.pages import After, Limit, page, read_cursor
from api.http.problems import Refused
from api.http.recorded import Recording, record
from api.http.routes.papers import PAPER, Paper
from api.http.service import Called
from api.http.values import Body as Said
from api.http.values import Id, Json, Moment, Money, example
from api.keys import ENGINEER, OPERATOR, PLANNER
from api.moments import moment
from api.papers import print_invoice
from api.payments.calls import Pay
from engine import invoices, payments
from engine.carrying import Party
from engine.charges import state_taxes
from engine.database import Tx
from engine.facts import OrderTaxed, PaymentSettled, short_id
from engine.invoices import Invoice
from engine.payments import Payment
from engine.reconciliation import SUMS, Account, reconcile, totals
from solver.refusal import Refusal

router = APIRouter(tags=["payments"], route_class=Route)
_READERS = (OPERATOR, PLANNER, ENGINEER)
_WRITERS = (OPERATOR, ENGINEER)
_TAXES = {
    "carriage": {"amount": 495, "currency": "EUR"},
    "taxes": [{"line": 1, "rate": 2100, "tax": {"amount": 520, "currency": "EUR"}},
              {"line": 0, "rate": 2100, "tax": {"amount": 86, "currency": "EUR"}}],
}  # fmt: skip
CSV = "text/csv"
MOST_ACCOUNTS = 1_000_000


class PayAsked(Said):
    """Money that is to be kept for an order, by a token that the provider gave out. A card's number is refused wherever it is."""

    model_config = example(provider="own", token="tok_example", amount={"amount": 2990, "currency": "EUR"})  # noqa: S106

    provider: Id = "own"
    token: Id
    amount: Money


class PaymentSeen(msgspec.Struct, kw_only=True):
    """A payment: `wanted` until its provider keeps the money (`authorised`) or says no (`declined`, `why`)."""

    id: str
    provider: str
    state: str
    asked_cents: int
    authorised_cents: int
    captured_cents: int
    refunded_cents: int
    voided_cents: int
    expires_at: int | None
    asked_at: int
    why: str


class LostSeen(msgspec.Struct, kw_only=True):
    """What a provider was asked for and did not answer. `step` was the key of the call, by which it may know it."""

    step: str
    what: str
    lost_cents: int
    asked_at: int


class ExceptionSeen(msgspec.Struct, kw_only=True):
    """Money that could not be taken or given back.

    `about`: the consignment, the fact that says what is owed, the payment, or the step whose end nobody knows.
    """

    about: str
    why: str
    lacking_cents: int
    since_at: int


class PaymentsSeen(msgspec.Struct, kw_only=True):
    """The payments of an order, what somebody has to look at, and to settle."""

    data: list[PaymentSeen]
    exceptions: list[ExceptionSeen]
    lost: list[LostSeen]


class InvoiceSeen(msgspec.Struct, kw_only=True):
    """An invoice (of a consignment) or a credit note (of what is owed)."""

    id: str
    number: str
    kind: Literal["invoice", "credit_note"]
    order: str
    about: str
    issued_at: int
    net_cents: int
    tax_cents: int
    total_cents: int
    corrects: list[str]


class AccountSeen(msgspec.Struct, kw_only=True):
    """The money of an order, and what does not balance, by name."""

    order: str
    channel: str
    external_id: str
    placed_at: int
    authorised_cents: int
    captured_cents: int
    refunded_cents: int
    voided_cents: int
    shipped_cents: int
    credit_cents: int
    returned_cents: int
    set_off_cents: int
    fees_cents: int
    invoiced_cents: int
    credited_cents: int
    unbalanced: list[str]


record(router, [
    Recording("/orders/{order}/taxes", "state_taxes", OrderTaxed, state_taxes, _WRITERS, _TAXES, {"order": "ord_example"}),
    Recording("/orders/{order}/payment_steps/{step}/settle", "settle_payment", PaymentSettled, payments.end, (OPERATOR,),
              {"done": True, "reference": "pi_example"}, {"order": "ord_unanswered", "step": "pay_lost"}),
])  # fmt: skip


@router.post("/orders/{order}/payment", operation_id="pay_order", response_class=Json,
             responses=edge.answers(edge.shown_schema(PaymentSeen)))  # fmt: skip
@access(*_WRITERS, once="must")
async def pay_order(call: Called, order: OrderId, body: Annotated[PayAsked, Body()]) -> Response:
    """Have a provider keep money for an order. Where it does not answer, the payment stays wanted, and it is asked again."""
    currency = await call.service.currency()
    if body.amount.currency != currency:
        raise Refusal("amount.currency", f"all money here is {currency}", "other_currency")
    if not body.amount.amount:
        raise Refusal("amount.amount", "is a whole number from 1", "bad_input")
    pay = Pay(short_id("pay", call.fact()), order, body.provider, body.token, body.amount.amount)
    one = await call.service.think(call.service.payments.ask, pay)
    return Json(edge.show(_payment(one), currency))


@router.get("/orders/{order}/payments", operation_id="list_payments", response_class=Json,
            responses=edge.answers(edge.shown_schema(PaymentsSeen)))  # fmt: skip
@access(*_READERS)
async def list_payments(call: Called, order: OrderId) -> Response:
    """The payments of an order, the first one first, and what could not be taken or given back."""
    found = await call.service.read(lambda tx: _payments(tx, order))
    return Json(edge.show(found, await call.service.currency()))


@router.post("/consignments/{consignment}/invoice", operation_id="issue_invoice", response_class=Json,
             responses=edge.answers(edge.shown_schema(InvoiceSeen)))  # fmt: skip
@access(*_WRITERS, once="may")
async def issue_invoice(call: Called, consignment: InvoicedId) -> Response:
    """Invoice a consignment that has left. One that is invoiced already keeps its invoice."""
    made = await call.service.write(lambda tx: invoices.invoice_shipment(tx, consignment, call.at))
    return Json(edge.show(_invoice(made), made.currency))


@router.get("/invoices", operation_id="list_invoices", response_class=Json,
            responses=edge.answers(edge.page_schema(InvoiceSeen)))  # fmt: skip
@access(*_READERS)
async def list_invoices(
    call: Called, request: Request, limit: Limit = 50, after: After = None,
    order: SomeId | None = None,
) -> Response:  # fmt: skip
    """List invoices and credit notes, the newest first."""
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: invoices.listed(tx, last[0] if last else None, limit + 1, order=order or "")
    )
    return page(request, found, limit, lambda one: edge.show(_invoice(one), one.currency), lambda one: (one.no,))


@router.get("/invoices/{invoice}", operation_id="get_invoice", response_class=Json,
            responses=edge.answers(edge.shown_schema(InvoiceSeen)))  # fmt: skip
@access(*_READERS)
async def get_invoice(call: Called, invoice: InvoiceId) -> Response:
    """An invoice, or a credit note."""
    found = await call.service.read(lambda tx: invoices.get(tx, invoice))
    return Json(edge.show(_invoice(found), found.currency))


@router.get("/invoices/{invoice}/paper", operation_id="print_invoice", response_class=Paper,
            responses=PAPER)  # fmt: skip
@access(*_READERS)
async def get_invoice_paper(call: Called, invoice: InvoiceId) -> Response:
    """An invoice, or a credit note, as PDF of A4. It is for whom it is known to be for today."""
    found, to = await call.service.read(lambda tx: _with_customer(tx, invoice))
    return Paper(await call.service.run(lambda: print_invoice(found, to, call.service.letters())))


@router.get(
    "/reconciliation", operation_id="reconcile", response_class=Json,
    responses={200: {"description": "Done", "content": {
        "application/json": {"schema": edge.page_schema(AccountSeen)}, CSV: {"schema": {"type": "string"}},
    }}},
)  # fmt: skip
@access(*_READERS)
async def get_reconciliation(
    call: Called,
    request: Request,
    first: Annotated[Moment, Query(alias="from", examples=["2025-11-01T00:00:00Z"])],
    until: Annotated[Moment, Query(alias="to", examples=["2025-12-01T00:00:00Z"])],
    limit: Limit = 50,
    after: After = None,
    form: Annotated[
        Literal["json", "csv"], Query(alias="format", description="CSV has all of them at once, money in cents")
    ] = "json",
) -> Response:
    """What was kept, taken, given back, shipped, returned, billed and credited of orders placed in a time."""
    if until < first:
        raise Refused("bad_input", "is before from", pointer="to")
    last = read_cursor(after, int)
    start = last[0] if last else 0
    count = MOST_ACCOUNTS if form == "csv" else limit + 1
    found = await call.service.read(lambda tx: reconcile(tx, first, until, start, count))
    if form == "csv":
        return Response(as_csv(found), media_type=CSV)
    currency = await call.service.currency()
    return page(request, found, limit, lambda one: edge.show(_account(one), currency), lambda one: (one.no,))


def as_csv(accounts: list[Account]) -> str:
    """Accounts as CSV: money in cents, and a row of totals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["order", "channel", "external_id", "placed_at", *SUMS, "unbalanced"])
    for one in accounts:
        said = [_plain(one.channel), _plain(one.external_id), moment(one.placed_at)]
        writer.writerow([one.order, *said, *(getattr(one, name) for name in SUMS), " ".join(one.unbalanced)])
    sums = totals(accounts)
    writer.writerow(["total", "", "", "", *(sums[name] for name in SUMS), sums["unbalanced"]])
    return out.getvalue()


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


def _payments(tx: Tx, order: str) -> PaymentsSeen:
    found = tx.first("SELECT no FROM orders WHERE id = :id", id=order)
    if found is None:
        raise Refusal("order", f"there is no order {order!r}", "unknown_order")
    rows = tx.all(
        "SELECT ref, why, cents, at FROM payment_exception WHERE order_no = :no ORDER BY at, ref", no=found[0]
    )
    made = payments.of_order(tx, found[0])
    lost = [step for one in made for step in payments.of_payment(tx, one) if step.state == "lost"]
    return PaymentsSeen(
        data=[_payment(one) for one in made],
        exceptions=[ExceptionSeen(about=ref, why=why, lacking_cents=cents, since_at=at) for ref, why, cents, at in rows],
        lost=[LostSeen(step=one.id, what=one.kind, lost_cents=one.cents, asked_at=one.asked_at or one.at) for one in lost],
    )  # fmt: skip


def _payment(one: Payment) -> PaymentSeen:
    return PaymentSeen(
        id=one.id, provider=one.provider, state=one.state, asked_cents=one.cents, authorised_cents=one.authorised_cents,
        captured_cents=one.captured_cents, refunded_cents=one.refunded_cents, voided_cents=one.voided_cents,
        expires_at=one.expires_at, asked_at=one.at, why=one.why,
    )  # fmt: skip


def _invoice(one: Invoice) -> InvoiceSeen:
    kind: Any = one.kind
    return InvoiceSeen(
        id=one.id, number=one.number, kind=kind, order=one.order, about=one.charge, issued_at=one.issued_at,
        net_cents=one.net_cents, tax_cents=one.tax_cents, total_cents=one.cents, corrects=list(one.body.corrects),
    )  # fmt: skip


def _account(one: Account) -> AccountSeen:
    return AccountSeen(
        order=one.order, channel=one.channel, external_id=one.external_id, placed_at=one.placed_at,
        unbalanced=list(one.unbalanced), **{f"{name}_cents": getattr(one, name) for name in SUMS},
    )  # fmt: skip


def _with_customer(tx: Tx, id: str) -> tuple[Invoice, Party]:
    one = invoices.get(tx, id)
    row = tx.first("SELECT name, address FROM recipient WHERE id = :id", id=one.recipient) if one.recipient else None
    name, address = row or ("", "")
    return one, Party(one.recipient or "", None, name=name or "", address=address or "")


__all__ = ["as_csv", "router"]
