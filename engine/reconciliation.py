"""Reconciliation: what was kept, taken, given back, shipped, returned, invoiced and credited of each order, and what is amiss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.database import Tx

SUMS = (
    "authorised", "captured", "refunded", "voided", "shipped", "credit", "returned", "set_off", "fees", "invoiced", "credited",
)  # fmt: skip
_ROWS = """
    SELECT o.no, o.id, o.channel, o.external_id, o.placed_at,
           COALESCE(p.authorised, 0) AS authorised, COALESCE(p.captured, 0) AS captured, COALESCE(p.refunded, 0) AS refunded,
           COALESCE(p.voided, 0) AS voided, COALESCE(c.shipped, 0) AS shipped, COALESCE(c.credit, 0) AS credit,
           COALESCE(c.returned, 0) AS returned, COALESCE(c.set_off, 0) AS set_off, COALESCE(c.fees, 0) AS fees,
           COALESCE(i.invoiced, 0) AS invoiced, COALESCE(i.credited, 0) AS credited,
           COALESCE(p.payments, 0) AS payments, COALESCE(w.waiting, 0) AS waiting, COALESCE(x.exceptions, 0) AS exceptions,
           o.open + o.allocated + o.released AS to_leave
    FROM orders o
    LEFT JOIN (SELECT order_no, COUNT(*) AS payments, SUM(authorised_cents) AS authorised, SUM(captured_cents) AS captured,
                      SUM(refunded_cents) AS refunded, SUM(voided_cents) AS voided FROM payment GROUP BY order_no) AS p
        ON p.order_no = o.no
    LEFT JOIN (SELECT order_no, SUM(CASE WHEN kind = 'refund' THEN 0 ELSE cents END) AS shipped,
                      SUM(CASE WHEN kind = 'refund' THEN 0 ELSE set_off_cents END) AS credit,
                      SUM(CASE WHEN kind = 'refund' THEN cents ELSE 0 END) AS returned,
                      SUM(CASE WHEN kind = 'refund' THEN set_off_cents + passed_cents ELSE 0 END) AS set_off,
                      SUM(kept_cents) AS fees
               FROM charge GROUP BY order_no) AS c ON c.order_no = o.no
    LEFT JOIN (SELECT order_no, SUM(CASE WHEN kind = 'invoice' THEN cents ELSE 0 END) AS invoiced,
                      SUM(CASE WHEN kind = 'credit_note' THEN cents ELSE 0 END) AS credited FROM invoice GROUP BY order_no) AS i
        ON i.order_no = o.no
    LEFT JOIN (SELECT t.order_no, COUNT(*) AS waiting FROM payment_step s JOIN payment t ON t.no = s.payment_no
               WHERE s.state = 'wanted' GROUP BY t.order_no) AS w ON w.order_no = o.no
    LEFT JOIN (SELECT order_no, COUNT(*) AS exceptions FROM payment_exception GROUP BY order_no) AS x ON x.order_no = o.no
    WHERE o.placed_at >= :first AND o.placed_at < :until AND o.no > :after AND (p.payments > 0 OR c.shipped IS NOT NULL)
    ORDER BY o.no LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Account:
    """The money of an order, in cents.

    Attributes
    ----------
    shipped, returned
        What is to be captured for what has left, and refunded for what is owed.
    credit
        What a return paid of what has left: invoiced, and not captured.
    set_off
        What of the credited is not refunded: it is kept for an exchange, or was a credit itself and is owed where that came from.
    fees
        What is kept of what came back: neither credited nor refunded.
    unbalanced
        What does not balance, by name; `waiting` is asked of a provider, and not answered yet.
    """

    no: int
    order: str
    channel: str
    external_id: str
    placed_at: int
    authorised: int
    captured: int
    refunded: int
    voided: int
    shipped: int
    credit: int
    returned: int
    set_off: int
    fees: int
    invoiced: int
    credited: int
    unbalanced: tuple[str, ...]


def reconcile(tx: Tx, first: int, until: int, after: int = 0, limit: int = 1000) -> list[Account]:
    """The accounts of orders that were placed from a moment until another, and have money to them."""
    rows = tx.all(_ROWS, first=first, until=until, after=after, limit=limit)
    return [_account([_plain(value) for value in row]) for row in rows]


def _plain(value: Any) -> Any:
    """Sums are decimals on PostgreSQL."""
    return value if value is None or isinstance(value, str) else int(value)


def _account(row: Sequence[Any]) -> Account:
    sums, (payments, waiting, exceptions, to_leave) = row[:-4], row[-4:]
    one = Account(*[*sums, ()])
    paid, invoiced = bool(payments or exceptions), bool(one.invoiced)
    kept = one.authorised - one.captured - one.voided
    wrong = (
        ("waiting", waiting),
        ("exceptions", exceptions),
        ("captured_is_not_shipped", paid and one.captured != one.shipped),
        ("refunded_is_not_returned", paid and one.refunded != one.returned),
        ("invoiced_is_not_shipped", invoiced and one.invoiced != one.shipped + one.credit),
        ("credited_is_not_returned", invoiced and one.credited != one.returned + one.set_off),
        ("kept_for_nothing", kept and not to_leave),
    )
    return replace(one, unbalanced=tuple(name for name, is_so in wrong if is_so))


def totals(accounts: list[Account]) -> dict[str, int]:
    """The sums of accounts, by name, and how many do not balance."""
    sums = {name: sum(getattr(one, name) for one in accounts) for name in SUMS}
    return {**sums, "orders": len(accounts), "unbalanced": sum(1 for one in accounts if one.unbalanced)}
