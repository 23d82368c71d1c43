"""Credits: what a return gives is used up by the order in its place, so that the customer pays, or gets back, the difference.

Refunds of the return *keep* a part of what is owed for that order, and its shipments are paid by it: they *use* it, first of all.
What is kept and not needed any more is owed after all; what is used and does not come back is to be paid (`engine.billing`).
"""

from dataclasses import dataclass

from engine.database import Tx

_CREDITS = """
    SELECT r.no, r.id, r.order_no, o.id, n.no, n.id, r.exchange_cents,
           (SELECT COALESCE(SUM(f.exchange_cents), 0) FROM refund f WHERE f.rma_no = r.no),
           (SELECT COALESCE(SUM(CASE WHEN c.kind = 'refund' THEN -c.passed_cents ELSE c.set_off_cents END), 0)
            FROM charge c WHERE c.order_no = n.no),
           (SELECT COALESCE(SUM(l.price_cents * (l.qty - l.cancelled)), 0) FROM order_line l WHERE l.order_no = n.no)
           - (SELECT COALESCE(SUM(c.goods_cents), 0) FROM charge c WHERE c.order_no = n.no AND c.kind = 'shipment')
    FROM rma r JOIN orders o ON o.no = r.order_no JOIN orders n ON n.no = r.exchange_no
"""


@dataclass(frozen=True, slots=True)
class Credit:
    """The credit between a return and the order in its place (`new_order`), in cents.

    Attributes
    ----------
    most
        What the new order cost when it was ordered: it uses no more.
    kept
        What refunds of the return kept for it.
    used
        What its shipments were paid by, less what it gave back of that.
    open
        The price of its units that are neither cancelled nor charged.
    """

    rma_no: int
    rma: str
    order_no: int
    order: str
    new_no: int
    new_order: str
    most: int
    kept: int
    used: int
    open: int

    @property
    def usable(self) -> int:
        """What the new order has used, and may still use."""
        return self.used + max(0, min(self.most - self.used, self.open))


def credit_of(tx: Tx, rma_no: int) -> Credit | None:
    """The credit of a return, if there is an order in its place."""
    row = tx.first(f"{_CREDITS} WHERE r.no = :no", no=rma_no)
    return None if row is None else _read(row)


def credit_for(tx: Tx, order_no: int) -> Credit | None:
    """The credit of an order, if it is in place of a return."""
    row = tx.first(f"{_CREDITS} WHERE n.no = :no", no=order_no)
    return None if row is None else _read(row)


def _read(row: tuple[object, ...]) -> Credit:
    """Sums are decimals on PostgreSQL."""
    return Credit(*(one if isinstance(one, str) else int(one) for one in row))  # type: ignore[arg-type, call-overload]


__all__ = ["Credit", "credit_for", "credit_of"]
