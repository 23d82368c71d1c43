"""Billing follows the log: what has left is charged, invoiced and captured, what is owed is credited and refunded.

It is a reader of the log with a position of its own, so that whoever ships or takes back knows nothing of money, and nothing is
charged twice. Charges, invoices, what is to be asked of providers, and the position are one transaction.
"""

from typing import Any

import msgspec

from engine import payments
from engine.charges import Charge, charge_refund, charge_shipment, charge_shortfall, coming, read_billing
from engine.claims import lock_orders
from engine.credits import credit_of
from engine.database import Rows, Tx
from engine.facts import CreditWithdrawn, short_id
from engine.invoices import issue
from engine.ledger import write_facts
from engine.log import Entry, advance, position_of, read_log
from engine.refunds import owe_unneeded

READER = "billing"
LEFT = ("Shipped", "ReadyForPickup")
"""Kinds of facts by which something may have left."""
OWED = "RefundOwed"
LESS = ("OrderCancelled", "OrderEdited", "OrderReviewed", "CreditWithdrawn")
"""Kinds of facts by which less may be needed of what is kept, or more is to be paid."""
BACK = ("ReturnReceived", "ReturnInspected", "ReturnCancelled", "ReturnExpired")
"""Kinds of facts by which the credit of an exchange may change."""
AT_ONCE = 500


def follow(tx: Tx, at: int, limit: int = AT_ONCE) -> int:
    """Read on in the log, and bill what it says; says how many facts were read."""
    entries = read_log(tx, position_of(tx, READER), limit)
    if not entries:
        return 0
    heard = (*LEFT, OWED, *LESS, *BACK)
    told = [(entry, msgspec.json.decode(entry.payload)) for entry in entries if entry.kind in heard]
    orders = _orders_of(tx, told)
    exchanged = tx.all(
        "SELECT r.no, r.order_no, r.exchange_no FROM {rows} JOIN rma r ON r.exchange_no IS NOT NULL "
        "AND (r.order_no = rows.no OR r.exchange_no = rows.no)", Rows(no=sorted(orders)),
    ) if orders else []  # fmt: skip
    orders |= {no for _, *both in exchanged for no in both}
    lock_orders(tx, orders)
    on_shipment = read_billing(tx).invoices == "on_shipment"
    for entry, payload in told:
        charge = _charge(tx, entry, payload, at)
        # who invoices by call has the credit note with the refund all the same: it corrects what was invoiced
        if charge is not None and (on_shipment or charge.kind == "refund"):
            issue(tx, charge, at)
    for rma_no in sorted({no for no, *_ in exchanged}):
        _balance(tx, rma_no, at)
    for order_no in sorted(orders):
        payments.settle(tx, order_no, at)
    advance(tx, READER, entries[-1].position)
    return len(entries)


def _charge(tx: Tx, entry: Entry, payload: dict[str, Any], at: int) -> Charge | None:
    if entry.kind in LEFT:
        return charge_shipment(tx, payload["consignment"], at)
    return charge_refund(tx, entry.id, payload, at) if entry.kind == OWED else None


def _balance(tx: Tx, rma_no: int, at: int) -> None:
    """Owe what a return keeps for an exchange that needs it no more, and charge what that used and what will not come."""
    credit = credit_of(tx, rma_no)
    assert credit is not None, "an exchange is for ever"
    owe_unneeded(tx, credit, at)
    lacks = credit.used - credit.kept - coming(tx, credit)
    if lacks <= 0:
        return
    times = tx.value("SELECT COUNT(*) FROM charge WHERE order_no = :no AND kind = 'shortfall'", no=credit.new_no)
    fact = CreditWithdrawn(
        id=short_id("rfd", credit.rma, "withdrawn", str(times)), at=at, order=credit.new_order, rma=credit.rma, cents=lacks
    )  # fmt: skip
    write_facts(tx, [fact])
    charge_shortfall(tx, fact.id, credit, lacks, at)


def _orders_of(tx: Tx, told: list[tuple[Entry, dict[str, Any]]]) -> set[int]:
    """The numbers of the orders that facts are about: each names one, or a consignment or return of it."""
    numbers: set[int] = set()
    for name, sql in _ORDERS.items():
        ids = sorted({payload[name] for _, payload in told if name == _named(payload)})
        if ids:
            numbers |= {no for (no,) in tx.all(sql, Rows(id=ids))}
    return numbers


def _named(payload: dict[str, Any]) -> str:
    return next(name for name in _ORDERS if payload.get(name) is not None)


_ORDERS = {
    "order": "SELECT t.no FROM {rows} JOIN orders t ON t.id = rows.id",
    "consignment": "SELECT t.order_no FROM {rows} JOIN consignment t ON t.id = rows.id",
    "rma": "SELECT t.order_no FROM {rows} JOIN rma t ON t.id = rows.id",
}
