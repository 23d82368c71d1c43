"""Returns as people look at them."""

from typing import Any

import msgspec

from engine.database import Tx, decoded
from engine.reads import LAST, Numbered, row_as
from solver.refusal import Refusal


class ReturnLineSeen(msgspec.Struct, kw_only=True):
    """Units of a SKU of a line, and where they are on their way back; `extra` came without being announced."""

    consignment: str
    line: int
    sku: str
    reason: str
    announced: int
    extra: int
    awaited: int
    received: int
    inspected: int
    closed: int


class ReceiptSeen(msgspec.Struct, kw_only=True):
    """Units that came to a node; those that nobody has looked at yet are quarantined there."""

    node: str
    consignment: str
    line: int
    sku: str
    units: int
    inspected: int


class InspectionSeen(msgspec.Struct, kw_only=True):
    """Units that somebody looked at, and what they are worth to the customer, before and after a fee."""

    node: str
    line: int
    sku: str
    units: int
    inspected_at: int
    condition: str
    disposition: str
    percent: int
    goods_cents: int
    fee_cents: int


class RefundSeen(msgspec.Struct, kw_only=True):
    """What the customer is owed: goods and carriage, less fee, label and what is kept for an exchange (below 0: not any more)."""

    id: str
    owed_at: int
    why: str
    goods_cents: int
    fee_cents: int
    carriage_cents: int
    label_cents: int
    exchange_cents: int
    owed_cents: int


class ReturnSeen(msgspec.Struct, kw_only=True):
    """A return, and how many of its units are where. `due_cents` is what an exchange costs more than came back by now."""

    id: str
    order: str
    state: str
    wanted: str
    how: str
    requested_at: int
    expires_at: int
    node: str | None
    service: str
    awaited: int
    received: int
    inspected: int
    closed: int
    refunded_cents: int
    due_cents: int
    exchange: str | None
    version: int


class ReturnWhole(ReturnSeen, kw_only=True):
    """A return with all that belongs to it, and why it goes where it goes."""

    lines: list[ReturnLineSeen] = []
    receipts: list[ReceiptSeen] = []
    inspections: list[InspectionSeen] = []
    refunds: list[RefundSeen] = []
    decision: dict[str, Any] = {}


_COSTS = "(SELECT COALESCE(SUM(l.price_cents * (l.qty - l.cancelled)), 0) FROM order_line l WHERE l.order_no = r.exchange_no)"
_RETURN = (
    "r.no, r.id, o.id, r.state, r.wanted, r.how, r.requested_at, r.expires_at, n.id, r.service, r.awaited, r.received, "
    "r.inspected, r.closed, (SELECT COALESCE(SUM(f.cents), 0) FROM refund f WHERE f.rma_no = r.no), "
    f"CASE WHEN {_COSTS} < r.exchange_cents THEN {_COSTS} ELSE r.exchange_cents END "
    "- (SELECT COALESCE(SUM(f.exchange_cents), 0) FROM refund f WHERE f.rma_no = r.no), e.id, r.version"
)
_FROM = (
    "FROM rma r JOIN orders o ON o.no = r.order_no LEFT JOIN node n ON n.no = r.node_no "
    "LEFT JOIN orders e ON e.no = r.exchange_no"
)


def returns(
    tx: Tx, before: int | None, limit: int, *, state: str = "", order: str = "", node: str = ""
) -> list[Numbered[ReturnSeen]]:
    """Returns, the newest first; of a node, those that are to go there and those of which something came there."""
    given: dict[str, Any] = {name: said for name, said in (("state", state), ("order", order), ("node", node)) if said}
    of_node = "(SELECT no FROM node WHERE id = :node)"
    tests = {
        "state": "r.state = :state",
        "order": "r.order_no = (SELECT no FROM orders WHERE id = :order)",
        "node": f"(r.node_no = {of_node} OR EXISTS (SELECT 1 FROM rma_receipt t WHERE t.rma_no = r.no "
        f"AND t.node_no = {of_node}))",
    }
    where = " AND ".join(["r.no < :before", *(tests[name] for name in given)])
    rows = tx.all(
        f"SELECT {_RETURN} {_FROM} WHERE {where} ORDER BY r.no DESC LIMIT :limit",
        before=LAST if before is None else before, limit=limit, **given,
    )  # fmt: skip
    return [(row[0], row_as(ReturnSeen, row[1:])) for row in rows]


def one_return(tx: Tx, id: str) -> ReturnWhole:
    """A return with its lines, what came, what it was found to be, what is owed, and why it goes to its node.

    Raises
    ------
    Refusal
        `unknown_return`.
    """
    found = tx.first(f"SELECT {_RETURN}, r.decision {_FROM} WHERE r.id = :id", id=id)
    if found is None:
        raise Refusal("rma", f"there is no return {id!r}", "unknown_return")
    no, *values, decision = found
    whole = row_as(ReturnWhole, values)
    whole.decision = decoded(decision)
    whole.lines = [
        row_as(ReturnLineSeen, row)
        for row in tx.all(
            "SELECT k.id, l.number, s.id, l.reason, l.announced, l.extra, l.awaited, l.received, l.inspected, l.closed "
            "FROM rma_line l JOIN consignment k ON k.no = l.consignment_no JOIN sku s ON s.no = l.sku_no "
            "WHERE l.rma_no = :no ORDER BY l.number, l.consignment_no, l.sku_no",
            no=no,
        )
    ]
    whole.receipts = [
        row_as(ReceiptSeen, row)
        for row in tx.all(
            "SELECT n.id, k.id, t.number, s.id, t.units, t.inspected FROM rma_receipt t JOIN node n ON n.no = t.node_no "
            "JOIN consignment k ON k.no = t.consignment_no JOIN sku s ON s.no = t.sku_no WHERE t.rma_no = :no "
            "ORDER BY t.node_no, t.number, t.consignment_no, t.sku_no",
            no=no,
        )
    ]
    whole.inspections = [
        row_as(InspectionSeen, row)
        for row in tx.all(
            "SELECT n.id, i.number, s.id, i.units, i.at, i.condition, i.disposition, i.percent, i.goods_cents, i.fee_cents "
            "FROM inspection i JOIN node n ON n.no = i.node_no JOIN sku s ON s.no = i.sku_no WHERE i.rma_no = :no "
            "ORDER BY i.no",
            no=no,
        )
    ]
    whole.refunds = [
        row_as(RefundSeen, row)
        for row in tx.all(
            "SELECT id, at, why, goods_cents, fee_cents, carriage_cents, label_cents, exchange_cents, cents FROM refund "
            "WHERE rma_no = :no ORDER BY no",
            no=no,
        )
    ]
    return whole


__all__ = [
    "InspectionSeen", "ReceiptSeen", "RefundSeen", "ReturnLineSeen", "ReturnSeen", "ReturnWhole", "one_return", "returns",
]  # fmt: skip
