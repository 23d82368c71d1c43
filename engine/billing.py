"""Billing follows the log: what has left is charged, invoiced and captured, what is owed is credited and refunded.

It is a reader of the log with a position of its own, so that whoever ships or takes back knows nothing of money, and nothing is
charged twice. Charges, invoices, what is to be asked of providers, and the position are one transaction.
"""

from typing import Any

import msgspec

from engine import payments
from engine.charges import Charge, charge_refund, charge_shipment, read_billing
from engine.claims import lock_orders
from engine.database import Rows, Tx
from engine.invoices import issue
from engine.log import Entry, advance, position_of, read_log

READER = "billing"
LEFT = ("Shipped", "ReadyForPickup")
"""Kinds of facts by which something may have left."""
OWED = ("RefundOwed",)
LESS = ("OrderCancelled", "OrderEdited", "OrderReviewed")
"""Kinds of facts by which less may be needed of what is kept."""
AT_ONCE = 500


def follow(tx: Tx, at: int, limit: int = AT_ONCE) -> int:
    """Read on in the log, and bill what it says; says how many facts were read."""
    entries = read_log(tx, position_of(tx, READER), limit)
    if not entries:
        return 0
    told = [(entry, msgspec.json.decode(entry.payload)) for entry in entries if entry.kind in (*LEFT, *OWED, *LESS)]
    orders = _orders_of(tx, told)
    lock_orders(tx, orders.values())
    on_shipment = read_billing(tx).invoices == "on_shipment"
    for entry, payload in told:
        charge = _charge(tx, entry, payload, at)
        # who invoices by call has the credit note with the refund all the same: it corrects what was invoiced
        if charge is not None and (on_shipment or charge.kind == "refund"):
            issue(tx, charge, at)
    for order_no in sorted({orders[entry.id] for entry, _ in told if entry.id in orders}):
        payments.settle(tx, order_no, at)
    advance(tx, READER, entries[-1].position)
    return len(entries)


def _charge(tx: Tx, entry: Entry, payload: dict[str, Any], at: int) -> Charge | None:
    if entry.kind in LEFT:
        return charge_shipment(tx, payload["consignment"], at)
    return charge_refund(tx, entry.id, payload, at) if entry.kind in OWED else None


def _orders_of(tx: Tx, told: list[tuple[Entry, dict[str, Any]]]) -> dict[str, int]:
    """The numbers of the orders that facts are about, by the facts' ids."""
    consignments = {entry.id: payload["consignment"] for entry, payload in told if entry.kind in LEFT}
    orders = {entry.id: payload["order"] for entry, payload in told if entry.kind not in LEFT}
    numbers: dict[str, int] = {}
    if consignments:
        numbers |= dict(tx.all(
            "SELECT rows.fact, k.order_no FROM {rows} JOIN consignment k ON k.id = rows.id",
            Rows(fact=list(consignments), id=list(consignments.values())),
        ))  # fmt: skip
    if orders:
        numbers |= dict(tx.all(
            "SELECT rows.fact, o.no FROM {rows} JOIN orders o ON o.id = rows.id",
            Rows(fact=list(orders), id=list(orders.values())),
        ))  # fmt: skip
    return numbers
