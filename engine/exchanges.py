"""An order in place of what is given back: placed as any other, so that it is sourced at once, and paid by what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from engine.ahead import Lookout
from engine.capture import Captured, capture_in
from engine.database import Tx, decoded
from engine.facts import ExchangeOrdered, OrderedLine, OrderPlaced, Place, checked, short_id
from engine.ledger import write_facts
from engine.refunds import expected, owe
from engine.return_rules import read_return_rules
from engine.rmas import Locked, add_up, lock_return
from solver.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The new order, and what it costs more than what is given back."""

    captured: Captured
    fact: ExchangeOrdered


def exchange(
    tx: Tx, rma: str, lines: Sequence[OrderedLine], at: int, by: str = "", lookout: Lookout | None = None
) -> Exchanged:
    """Place an order in place of what a return gives back, to the same place and recipient.

    The same lines again are the same order. What is given back is credited as if all of it came as new; should it not, less is
    refunded, or the customer owes the rest.

    Raises
    ------
    Refusal
        `unknown_return`, `wrong_state`, `not_an_exchange`, `missing` (a line without price), `order_conflict` (there is
        another exchange), or what refuses any order.
    """
    one = lock_return(tx, rma)
    if one.wanted != "exchange":
        raise Refusal("rma", "it is refunded, not exchanged", "not_an_exchange")
    if one.state not in ("approved", "received", "inspected"):
        raise Refusal("rma", f"it is {one.state}, not approved, received or inspected", "wrong_state")
    for i, line in enumerate(lines):
        if line.price_cents is None:
            raise Refusal(f"lines[{i}].price_cents", "is needed", "missing")
    order = _order(tx, one, lines, at)
    checked(order)
    (captured,) = capture_in(tx, [order], at, by=by, lookout=lookout)
    placed = captured.placed
    if placed.outcome in ("refused", "conflict"):
        raise Refusal(placed.place, placed.problem, placed.code or "order_conflict")
    id = short_id("rma", one.id, "exchange")
    if placed.outcome == "seen":
        there = tx.first("SELECT payload FROM fact WHERE id = :id", id=id)
        if there is None:
            raise Refusal("rma", f"order {placed.id!r} has the name that its exchange would have", "order_conflict")
        return Exchanged(captured, msgspec.json.decode(there[0], type=ExchangeOrdered))
    price = sum((line.price_cents or 0) * line.qty for line in lines)
    credit = expected(tx, one, read_return_rules(tx))
    fact = ExchangeOrdered(
        id=id, at=at, order=one.order, rma=one.id, new_order=placed.id, price_cents=price, credit_cents=credit,
        difference_cents=price - credit,
    )  # fmt: skip
    write_facts(tx, [fact])
    tx.run(
        "UPDATE rma SET exchange_no = :new, exchange_cents = :price, settle_at = NULL WHERE no = :no",
        new=placed.no, price=price, no=one.no,
    )  # fmt: skip
    add_up(tx, one.no)
    owe(tx, one.no, at, fact.id)
    return Exchanged(captured, fact)


def _order(tx: Tx, one: Locked, lines: Sequence[OrderedLine], at: int) -> OrderPlaced:
    """The order to place; its id is made from the return's."""
    row = tx.first("SELECT channel, lat, lon, region, pickup, recipient FROM orders WHERE no = :no", no=one.order_no)
    assert row is not None, "orders are never deleted"
    channel, lat, lon, region, pickup, recipient = row
    return OrderPlaced(
        at=at, channel=channel, external_id=f"exchange-{one.id}", lines=tuple(lines), recipient=recipient,
        place=None if lat is None else Place(lat=lat, lon=lon, region=region), pickup=tuple(decoded(pickup)),
    )  # fmt: skip


__all__ = ["Exchanged", "exchange"]
