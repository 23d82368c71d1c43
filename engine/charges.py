"""Charges: what the customer is to pay for a shipment, and what is to be given back by a refund.

A shipment costs what its units cost and its share of the carriage, a refund gives back what is owed (`RefundOwed`). An order in
place of a return is paid by the credit of that first, and by money only then (`engine.credits`). The caller says the taxes of each
line (`OrderTaxed`); a shipment has its share of them. Shares are of sums, so that over all of an order nothing is lost by
rounding. Charges are never changed: payments and invoices go by them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.carriage import carriage_of
from engine.claims import lock_orders
from engine.credits import Credit, credit_for
from engine.database import Tx, decoded
from engine.entries import read_setting, write_setting
from engine.facts import Note, OrderTaxed
from engine.ledger import write_facts
from engine.refunds import expected
from engine.return_rules import read_return_rules
from engine.rmas import read_return
from solver.refusal import Refusal

Series = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[A-Z0-9-]+\Z")]
Taxes = dict[int, int]
"""Cents by rate, in hundredths of a percent."""


class BillingTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How customers are billed, by the whole retailer.

    Attributes
    ----------
    prices
        Whether prices have the tax in them (`gross`), or it comes on top of them (`net`).
    invoices
        When an invoice is issued: as a parcel leaves, or where somebody asks for it (`by_call`).
    seller, tax_id
        Who bills, as invoices name it: lines of text.
    invoice_series, credit_series
        What the numbers of invoices and credit notes begin with.
    note
        What is said below an invoice.
    """

    prices: Literal["gross", "net"] = "gross"
    invoices: Literal["on_shipment", "by_call"] = "by_call"
    seller: Note = ""
    tax_id: Annotated[str, Meta(max_length=50)] = ""
    invoice_series: Series = "INV"
    credit_series: Series = "CN"
    note: Note = ""


BILLING = BillingTerms()
"""What holds until somebody says something else."""


class ChargedLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a line, what they cost, and the tax of that: rate and cents each."""

    line: int
    sku: str
    units: int
    cents: int
    taxes: list[tuple[int, int]] = []


class ChargeBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a charge is made of."""

    lines: list[ChargedLine]
    carriage_taxes: list[tuple[int, int]] = []
    fee_cents: int = 0
    label_cents: int = 0
    why: str = ""
    consignment: str = ""
    """What a refund is of."""


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as it is written down."""

    no: int
    ref: str
    kind: str
    order_no: int
    at: int
    gross: bool
    goods_cents: int
    carriage_cents: int
    tax_cents: int
    kept_cents: int
    set_off_cents: int
    passed_cents: int
    cents: int
    body: ChargeBody

    @property
    def billed_cents(self) -> int:
        """What an invoice or a credit note of it comes to, however it is paid."""
        return self.cents + self.set_off_cents + self.passed_cents


def put_billing(tx: Tx, terms: BillingTerms, at: int, by: str = "") -> int:
    """Write how customers are billed; returns whether it differs from what was there.

    Raises
    ------
    Refusal
        `bad_input`: invoices and credit notes are of one series.
    """
    if terms.invoice_series == terms.credit_series:
        raise Refusal("credit_series", "invoices and credit notes are counted apart", "bad_input")
    return write_setting(tx, "billing", msgspec.to_builtins(terms), at, by)


def read_billing(tx: Tx) -> BillingTerms:
    """How customers are billed."""
    return read_setting(tx, "billing", BILLING)


def state_taxes(tx: Tx, fact: OrderTaxed, by: str = "") -> bool:
    """Write down carriage and taxes of an order; what has left already keeps those that it had. Says whether the fact is new.

    Raises
    ------
    Refusal
        `unknown_order`, `unknown_line`, or `bad_input` where a rate is said twice of a line.
    """
    found = tx.first("SELECT no FROM orders WHERE id = :id", id=fact.order)
    if found is None:
        raise Refusal("order", f"there is no order {fact.order!r}", "unknown_order")
    lock_orders(tx, [found[0]])
    (new,) = write_facts(tx, [fact], by)
    if not new:
        return False
    units = dict(tx.all("SELECT number, qty - cancelled FROM order_line WHERE order_no = :no", no=found[0]))
    seen: set[tuple[int, int]] = set()
    for i, tax in enumerate(fact.taxes):
        if tax.line and tax.line not in units:
            raise Refusal(f"taxes[{i}].line", f"it has no line {tax.line}", "unknown_line")
        if (tax.line, tax.rate) in seen:
            raise Refusal(f"taxes[{i}].rate", f"is said twice of line {tax.line}", "bad_input")
        seen.add((tax.line, tax.rate))
    taxes = [
        {"line": tax.line, "rate": tax.rate, "cents": tax.tax_cents, "units": units.get(tax.line, 0)} for tax in fact.taxes
    ]  # fmt: skip
    tx.run(
        f"INSERT INTO order_bill (order_no, carriage_cents, taxes) VALUES (:no, :carriage, {tx.json(':taxes')}) "
        "ON CONFLICT (order_no) DO UPDATE SET carriage_cents = excluded.carriage_cents, taxes = excluded.taxes",
        no=found[0], carriage=fact.carriage_cents, taxes=msgspec.json.encode(taxes).decode(),
    )  # fmt: skip
    return True


def charge_shipment(tx: Tx, consignment: str, at: int) -> Charge | None:
    """Charge what has left; again, it is the same charge. Nothing where it has not. The order is locked."""
    there = charge_of(tx, consignment)
    row = tx.first(
        "SELECT k.no, k.order_no FROM consignment k WHERE k.id = :id AND k.shipped_at IS NOT NULL", id=consignment
    )
    if there is not None or row is None:
        return there
    consignment_no, order_no = row
    gross, before = read_billing(tx).prices == "gross", charges_of(tx, order_no, "shipment")
    carriage, taxes, qty = _bill(tx, order_no)
    line_units = _units(tx, order_no, consignment_no)
    shipped = _sum_units(before)
    lines = []
    for number, sku, price, units in line_units:
        old, whole = shipped[number], qty.get(number, 0)
        own = {rate: _share(cents, old, units, whole) for rate, cents in taxes.get(number, {}).items()}
        lines.append(ChargedLine(line=number, sku=sku, units=units, cents=price * units, taxes=_listed(own)))
    due = carriage_of(tx, order_no, consignment_no)
    taxed = sum(one.carriage_cents for one in before)
    carriage_taxes = {rate: _share(cents, taxed, due, carriage) for rate, cents in taxes.get(0, {}).items()}
    body = ChargeBody(lines=lines, carriage_taxes=_listed(carriage_taxes))
    credit = credit_for(tx, order_no)
    set_off = 0 if credit is None else min(credit.most, credit.kept + coming(tx, credit)) - credit.used
    return _write(tx, consignment, "shipment", order_no, at, gross, due, body, max(0, set_off))


def charge_refund(tx: Tx, ref: str, owed: Mapping[str, Any], at: int) -> Charge | None:
    """Charge what is owed to the customer, by the fact that says so (its id, and what it says). The order is locked.

    Tax that came on top of prices is given back with them. Of what is kept as fees, the tax is kept too.
    """
    there = charge_of(tx, ref)
    found = tx.first("SELECT no FROM orders WHERE id = :id", id=owed["order"])
    if there is not None or found is None:
        return there
    order_no, consignment = int(found[0]), owed.get("consignment") or ""
    every, credit = charges_of(tx, order_no), credit_for(tx, order_no)
    shipments = [one for one in every if one.kind == "shipment"]
    refunds = [one for one in every if one.kind == "refund"]
    gross = shipments[0].gross if shipments else read_billing(tx).prices == "gross"
    paid = _by_line([one for one in shipments if one.ref == consignment])
    credited = _by_line([one for one in refunds if one.body.consignment == consignment])
    skus = {line.line: line.sku for one in shipments for line in one.body.lines}
    lines: list[ChargedLine] = []
    for said in owed["lines"]:
        number, cents = int(said["line"]), int(said["cents"])
        own = _back(paid.get(number), credited.get(number), cents)
        credited[number] = _added(credited.get(number), cents, own)
        lines.append(ChargedLine(
            line=number, sku=skus.get(number, said["sku"]), units=int(said["units"]), cents=cents, taxes=_listed(own)
        ))  # fmt: skip
    carriage = int(owed.get("carriage_cents", 0))
    taxes = _back(_carriage_of(shipments), _carriage_of(refunds), carriage)
    fee, label = int(owed.get("fee_cents", 0)), int(owed.get("label_cents", 0))
    whole = sum(line.cents for line in lines) + carriage
    left = max(0, whole - fee - label)
    lines = [msgspec.structs.replace(one, taxes=_listed(_part(dict(one.taxes), left, whole))) for one in lines]
    body = ChargeBody(
        lines=lines, carriage_taxes=_listed(_part(taxes, left, whole)), fee_cents=fee, label_cents=label,
        why=str(owed.get("why", "")), consignment=consignment,
    )  # fmt: skip
    kept = int(owed.get("exchange_cents", 0))
    money = sum(-one.cents if one.kind == "refund" else one.cents for one in every)
    from_credit = (0, 0) if credit is None else (credit.used, money)
    return _write(tx, ref, "refund", order_no, at, gross, carriage, body, kept, from_credit)


def charge_shortfall(tx: Tx, ref: str, credit: Credit, cents: int, at: int) -> Charge:
    """Charge what an order in place of a return was paid by, and what did not come back, by the fact that says so (its id)."""
    body = ChargeBody(lines=[], why="credit_withdrawn")
    return _write(tx, ref, "shortfall", credit.new_no, at, read_billing(tx).prices == "gross", 0, body, -cents)


def coming(tx: Tx, credit: Credit) -> int:
    """What a return is expected to give beyond what is kept of it, in cents."""
    return expected(tx, read_return(tx, credit.rma_no), read_return_rules(tx))


def charge_of(tx: Tx, ref: str) -> Charge | None:
    """The charge of a consignment, or of a fact that says what is owed."""
    found = tx.first(f"SELECT {_SHOWN} FROM charge WHERE ref = :ref", ref=ref)
    return _read(found) if found else None


def charges_of(tx: Tx, order_no: int, kind: str = "") -> list[Charge]:
    """The charges of an order, in their order."""
    rows = tx.all(
        f"SELECT {_SHOWN} FROM charge WHERE order_no = :no AND (:kind = '' OR kind = :kind) ORDER BY no",
        no=order_no, kind=kind,
    )  # fmt: skip
    return [_read(row) for row in rows]


_SHOWN = (
    "no, ref, kind, order_no, at, gross, goods_cents, carriage_cents, tax_cents, kept_cents, set_off_cents, passed_cents, "
    "cents, body"
)
_BODY = msgspec.json.Decoder(ChargeBody)
Sums = tuple[int, Taxes]
"""Cents before tax is looked at, and the tax of them."""


def _read(row: Sequence[Any]) -> Charge:
    return replace(Charge(*row), gross=bool(row[5]), body=_BODY.decode(row[-1]))


def _write(
    tx: Tx, ref: str, kind: str, order_no: int, at: int, gross: bool, carriage: int, body: ChargeBody, set_off: int = 0,
    from_credit: tuple[int, int] = (0, 0),
) -> Charge:  # fmt: skip
    """Write a charge. `from_credit`: what of the order was paid by a credit, and what by money; money is given back first."""
    goods = sum(line.cents for line in body.lines)
    tax = sum(cents for line in body.lines for _, cents in line.taxes) + sum(cents for _, cents in body.carriage_taxes)
    whole = goods + carriage + (0 if gross else tax)
    kept = min(body.fee_cents + body.label_cents, goods + carriage)
    set_off = min(set_off, whole - kept)
    left, (by_credit, by_money) = whole - kept - set_off, from_credit
    passed = max(0, min(by_credit, left - by_money))
    tx.run(
        "INSERT INTO charge (ref, kind, order_no, at, gross, goods_cents, carriage_cents, tax_cents, kept_cents, "
        "set_off_cents, passed_cents, cents, body) VALUES (:ref, :kind, :order, :at, :gross, :goods, :carriage, :tax, :kept, "
        ":set_off, :passed, :total, :body)",
        ref=ref, kind=kind, order=order_no, at=at, gross=gross, goods=goods, carriage=carriage, tax=tax, kept=kept,
        set_off=set_off, passed=passed, total=left - passed, body=msgspec.json.encode(body).decode(),
    )  # fmt: skip
    made = charge_of(tx, ref)
    assert made is not None, "it is made just now"
    return made


def _bill(tx: Tx, order_no: int) -> tuple[int, dict[int, Taxes], dict[int, int]]:
    """The carriage of an order; taxes by line and rate; and the units that those are of."""
    row = tx.first("SELECT carriage_cents, taxes FROM order_bill WHERE order_no = :no", no=order_no)
    if row is None:
        return 0, {}, {}
    taxes: dict[int, Taxes] = defaultdict(dict)
    units: dict[int, int] = {}
    for tax in decoded(row[1]):
        taxes[tax["line"]][tax["rate"]] = tax["cents"]
        units[tax["line"]] = tax["units"]
    return int(row[0]), taxes, units


def _units(tx: Tx, order_no: int, consignment_no: int) -> list[tuple[int, str, int, int]]:
    """What is in a consignment: line, SKU, price and units of the line."""
    rows = tx.all(
        "SELECT l.number, s.id, COALESCE(l.price_cents, 0), MIN(c.line_units) FROM consignment_line c "
        "JOIN order_line l ON l.order_no = :order AND l.number = c.number JOIN sku s ON s.no = l.sku_no "
        "WHERE c.consignment_no = :no AND c.line_units > 0 GROUP BY l.number, s.id, l.price_cents ORDER BY l.number",
        order=order_no, no=consignment_no,
    )  # fmt: skip
    return [(number, sku, int(price), int(units)) for number, sku, price, units in rows]


def _share(cents: int, before: int, more: int, whole: int) -> int:
    """Of cents for a whole, what more of it has, where some of it had its share before."""
    return cents * (before + more) // whole - cents * before // whole if whole else 0


def _sum_units(charges: Sequence[Charge]) -> dict[int, int]:
    units: dict[int, int] = defaultdict(int)
    for line in (line for one in charges for line in one.body.lines):
        units[line.line] += line.units
    return units


def _by_line(charges: Sequence[Charge]) -> dict[int, Sums]:
    sums: dict[int, Sums] = {}
    for line in (line for one in charges for line in one.body.lines):
        sums[line.line] = _added(sums.get(line.line), line.cents, dict(line.taxes))
    return sums


def _carriage_of(charges: Sequence[Charge]) -> Sums:
    sums: Sums = (0, {})
    for one in charges:
        sums = _added(sums, one.carriage_cents, dict(one.body.carriage_taxes))
    return sums


def _added(sums: Sums | None, cents: int, taxes: Taxes) -> Sums:
    before, old = sums or (0, {})
    return before + cents, {rate: old.get(rate, 0) + taxes.get(rate, 0) for rate in {*old, *taxes}}


def _back(paid: Sums | None, credited: Sums | None, cents: int) -> Taxes:
    """The tax of cents that are given back: their share of what was paid, never more than is left of it."""
    whole, taxes = paid or (0, {})
    before, back = credited or (0, {})
    return {
        rate: max(0, min(_share(tax, before, cents, whole), tax - back.get(rate, 0))) for rate, tax in taxes.items()
    }  # fmt: skip


def _part(taxes: Taxes, some: int, whole: int) -> Taxes:
    """The taxes of some of the cents that they are of."""
    return {rate: _share(cents, 0, some, whole) for rate, cents in taxes.items()}


def _listed(taxes: Taxes) -> list[tuple[int, int]]:
    return sorted((rate, cents) for rate, cents in taxes.items() if cents)


__all__ = [
    "BILLING",
    "BillingTerms",
    "Charge",
    "ChargeBody",
    "ChargedLine",
    "charge_of",
    "charge_refund",
    "charge_shipment",
    "charge_shortfall",
    "charges_of",
    "coming",
    "put_billing",
    "read_billing",
    "state_taxes",
]
