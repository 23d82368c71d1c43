"""What a return gives pays for the order in its place: whatever becomes of either, the customer pays the difference, once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event, current_thread, main_thread

import pytest

from engine import consignments, shipping
from engine.books import fsck
from engine.charges import BillingTerms, put_billing
from engine.database import Database, Tx
from engine.entries import put_services
from engine.exchanges import exchange
from engine.facts import (
    Condition,
    Delivered,
    InspectedUnits,
    LineUnits,
    OrderCancelled,
    OrderedLine,
    OrderReleased,
    ReturnCancelled,
    ReturnedUnits,
    ReturnInspected,
    ReturnReceived,
    ReturnRequested,
    Shipped,
    ShippedUnits,
    WantedBack,
)
from engine.log import Position, read_log
from engine.orders import cancel
from engine.reconciliation import Account, reconcile
from engine.return_requests import cancel as call_off
from engine.return_requests import request, rma_id
from engine.return_routing import route_returns
from engine.return_rules import ReturnRules, put_return_rules
from engine.returns import inspect, take_back
from tests.engine.shop import NOON, SERVICES, open_shop
from tests.engine.tills import answer, bill, exceptions, pay, sell, send, tax

IDS = count()


@pytest.fixture
def till(database: Database) -> Iterator[Database]:
    """A shop in which a parcel is invoiced as it leaves; the books balance at the end."""
    open_shop(database)
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    database.write(lambda tx: put_billing(tx, BillingTerms(invoices="on_shipment"), NOON))
    yield database
    go_on(database)
    with database.read() as tx:
        assert fsck(tx) == []


def go_on(till: Database) -> None:
    """Let billing and providers do what there is to do, to its end."""
    for _ in range(4):
        bill(till)
        answer(till)


def bought(till: Database, *lines: tuple[str, int]) -> tuple[str, str]:
    """An order that is paid, and that the customer has; gives it and its consignment."""
    order = sell(till, f"{next(IDS)}", *lines)
    pay(till, order, 5000)
    consignment = send(till, order, *((i + 1, units) for i, (_, units) in enumerate(lines)))
    till.write(lambda tx: shipping.deliver(tx, Delivered(id=f"d {order}", at=NOON, consignment=consignment)))
    go_on(till)
    return order, consignment


def ask(till: Database, order: str, units: int, wanted: str = "exchange") -> str:
    line = WantedBack(line=1, units=units, reason="unwanted")
    fact = ReturnRequested(id=f"ask {order}", at=NOON, order=order, lines=(line,), wanted=wanted)  # type: ignore[arg-type]
    till.write(lambda tx: request(tx, [fact]))
    route_returns(till, NOON)
    return rma_id(fact)


def swap(till: Database, rma: str, sku: str, price: int, units: int = 1) -> str:
    wanted = [OrderedLine(sku=sku, qty=units, price_cents=price)]
    return till.write(lambda tx: exchange(tx, rma, wanted, NOON)).fact.new_order


def swap_for_nothing(till: Database, rma: str) -> str:
    """What is ordered in place of a return leaves, and the return is called off."""
    new = swap(till, rma, "cap", 1000)
    leave(till, new)
    go_on(till)
    till.write(lambda tx: call_off(tx, ReturnCancelled(id="off", at=NOON, rma=rma)))
    go_on(till)
    return new


def leave(till: Database, order: str) -> str:
    """One unit of an order that is allocated leaves."""
    if not parcels(till, order):
        till.write(lambda tx: consignments.release(tx, [OrderReleased(id=f"l {order}", at=NOON, order=order)]))
    id, sku = next((id, sku) for id, sku, state in parcels(till, order) if state == "released")
    one = (ShippedUnits(line=1, sku=sku, units=1),)
    till.write(lambda tx: shipping.ship(tx, Shipped(id=f"s {id}", at=NOON, consignment=id, units=one)))
    return id


def parcels(till: Database, order: str) -> list[tuple[str, str, str]]:
    with till.read() as tx:
        return tx.all(
            "SELECT k.id, s.id, k.state FROM consignment k JOIN orders o ON o.no = k.order_no JOIN consignment_line l "
            "ON l.consignment_no = k.no JOIN sku s ON s.no = l.sku_no WHERE o.id = :id ORDER BY k.no",
            id=order,
        )


def back(till: Database, rma: str, consignment: str, sku: str, units: int, condition: Condition = "as_new") -> None:
    """It comes back, and somebody looks at it."""
    came = (ReturnedUnits(line=1, sku=sku, units=units),)
    fact = ReturnReceived(id=f"came {rma}", at=NOON, consignment=consignment, units=came, rma=rma)
    till.write(lambda tx: take_back(tx, fact))
    looked = (InspectedUnits(line=1, sku=sku, units=units, condition=condition, disposition="restock"),)
    till.write(lambda tx: inspect(tx, ReturnInspected(id=f"look {rma}", at=NOON, rma=rma, units=looked)))
    go_on(till)


def account(till: Database, order: str) -> Account:
    with till.read() as tx:
        return next(one for one in reconcile(tx, 0, 10**13) if one.order == order)


def give_up(till: Database, order: str, units: int = 1) -> None:
    fact = OrderCancelled(id=f"cancel {order}", at=NOON, order=order, lines=(LineUnits(line=1, units=units),))
    till.write(lambda tx: cancel(tx, fact))
    go_on(till)


@pytest.mark.parametrize("first", ["comes back", "leaves"])
def test_only_the_difference_is_taken_whichever_parcel_is_faster(till: Database, first: str) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    if first == "comes back":
        back(till, rma, consignment, "tee", 1)
    new = swap(till, rma, "cap", 1300)
    pay(till, new, 300)
    leave(till, new)
    go_on(till)
    if first == "leaves":
        back(till, rma, consignment, "tee", 1)
    one, other = account(till, order), account(till, new)
    assert (one.captured, one.refunded, one.set_off, one.credited, one.unbalanced) == (1000, 0, 1000, 1000, ())
    assert (other.captured, other.credit, other.invoiced, other.unbalanced) == (300, 1000, 1300, ())
    assert exceptions(till, new) == []


def test_what_is_left_of_the_credit_is_refunded_at_once(till: Database) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    new = swap(till, rma, "cap", 600)
    back(till, rma, consignment, "tee", 1)
    leave(till, new)
    go_on(till)
    assert (account(till, order).refunded, account(till, new).captured, account(till, new).credit) == (400, 0, 600)


def test_each_parcel_uses_what_the_ones_before_have_left(till: Database) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    back(till, rma, consignment, "tee", 1)
    new = swap(till, rma, "cap", 700, 2)
    pay(till, new, 400)
    taken = []
    for _ in range(2):
        leave(till, new)
        go_on(till)
        taken.append((account(till, new).credit, account(till, new).captured))
    assert taken == [(700, 0), (1000, 400)]


@pytest.mark.parametrize("units", [1, 2])
def test_the_credit_of_an_exchange_that_is_cancelled_is_owed_again(till: Database, units: int) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    back(till, rma, consignment, "tee", 1)
    new = swap(till, rma, "cap", 500, 2)
    assert account(till, order).refunded == 0, "it costs as much"
    give_up(till, new, units)
    one = account(till, order)
    assert (one.refunded, one.set_off, one.credited, one.unbalanced) == (500 * units, 1000 - 500 * units, 1000, ())


def test_what_is_cancelled_before_anything_comes_back_keeps_nothing(till: Database) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    give_up(till, swap(till, rma, "cap", 1000))
    back(till, rma, consignment, "tee", 1)
    assert (account(till, order).refunded, account(till, order).set_off) == (1000, 0)


def test_what_came_back_worse_than_it_was_credited_is_to_be_paid(till: Database) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    new = swap(till, rma, "cap", 1200)
    pay(till, new, 1200)
    leave(till, new)
    bill(till)
    assert [(step.kind, step.cents) for step in answer(till)] == [("capture", 200), ("void", 1000)]
    back(till, rma, consignment, "tee", 1, "used")
    one = account(till, new)
    assert (one.shipped, one.credit, one.invoiced) == (700, 500, 1200)
    assert exceptions(till, new) == [("not_authorised", 500)], "until it is paid"
    pay(till, new, 500, id="more")
    go_on(till)
    assert account(till, new).unbalanced == ()


def test_what_does_not_come_back_at_all_is_to_be_paid(till: Database) -> None:
    order, _ = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    new = swap_for_nothing(till, rma)
    assert (account(till, new).shipped, account(till, new).credit, account(till, order).set_off) == (1000, 0, 0)
    assert exceptions(till, new) == [("not_authorised", 1000)], "nothing was to be paid for it, so no money is kept"
    assert account(till, new).unbalanced == ("exceptions", "captured_is_not_shipped")
    pay(till, new, 1000)
    go_on(till)
    assert account(till, new).unbalanced == ()


def test_an_order_that_comes_to_be_paid_here_brings_those_in_its_place_along(till: Database) -> None:
    order = sell(till, f"{next(IDS)}", ("tee", 1), ("mug", 1))
    consignment = send(till, order, (1, 1))
    till.write(lambda tx: shipping.deliver(tx, Delivered(id="d", at=NOON, consignment=consignment)))
    rma = ask(till, order, 1)
    new = swap_for_nothing(till, rma)
    assert exceptions(till, new) == [], "both are paid elsewhere"
    pay(till, order, 5000)
    assert exceptions(till, new) == [("not_authorised", 1000)]
    pay(till, new, 1000)
    go_on(till)
    assert account(till, new).unbalanced == ()


def test_what_was_paid_by_a_credit_is_given_back_where_that_came_from(till: Database) -> None:
    """The order in place of a return is given back too: of 13.00, 3.00 were paid for it, and 10.00 for the first."""
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    back(till, rma, consignment, "tee", 1)
    new = swap(till, rma, "cap", 1300)
    pay(till, new, 300)
    parcel = leave(till, new)
    till.write(lambda tx: shipping.deliver(tx, Delivered(id="d new", at=NOON, consignment=parcel)))
    go_on(till)
    back(till, ask(till, new, 1, "refund"), parcel, "cap", 1)
    one, other = account(till, order), account(till, new)
    assert (one.refunded, one.set_off, one.unbalanced) == (1000, 0, ())
    assert (other.refunded, other.set_off, other.credited, other.unbalanced) == (300, 1000, 1300, ())


def test_an_exchange_of_an_exchange_is_paid_by_the_first_return(till: Database) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    back(till, rma, consignment, "tee", 1)
    second = swap(till, rma, "cap", 1000)
    parcel = leave(till, second)
    till.write(lambda tx: shipping.deliver(tx, Delivered(id="d new", at=NOON, consignment=parcel)))
    go_on(till)
    again = ask(till, second, 1)
    third = swap(till, again, "mug", 400)
    back(till, again, parcel, "cap", 1)
    leave(till, third)
    go_on(till)
    assert (account(till, order).refunded, account(till, third).captured) == (600, 0)
    assert [account(till, one).unbalanced for one in (order, second, third)] == [(), (), ()]


def test_a_refund_is_billed_after_its_shipment_though_who_takes_back_began_before(
    till: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back while the order is locked by who ships it."""
    if till.dialect == "sqlite":
        pytest.skip("it has one writer")
    order = sell(till, "race", ("tee", 1))
    waits, left, lock = Event(), Event(), consignments.lock_orders

    def slow(tx: Tx, numbers: Sequence[int]) -> list[int]:
        if current_thread() is not main_thread():
            waits.set()
            assert left.wait(20)
        return lock(tx, numbers)

    parcel = send(till, order, (1, 1), leaves=False)
    monkeypatch.setattr(consignments, "lock_orders", slow)
    came = (ReturnedUnits(line=1, sku="tee", units=1, to="stock"),)
    fact = ReturnReceived(id="came", at=NOON, consignment=parcel, units=came)
    with ThreadPoolExecutor(1) as other:
        back = other.submit(lambda: till.write(lambda tx: take_back(tx, fact)))
        assert waits.wait(20)
        till.write(lambda tx: shipping.ship(tx, Shipped(id="ship", at=NOON, consignment=parcel)))
        left.set()
        assert back.result(20)
    with till.read() as tx:
        told = [entry.kind for entry in read_log(tx, Position(), 500)]
    assert told.index("Shipped") < told.index("RefundOwed")
    go_on(till)
    assert account(till, order).credited == 1000


def test_net_prices_are_exchanged_with_their_taxes(till: Database) -> None:
    till.write(lambda tx: put_billing(tx, BillingTerms(prices="net", invoices="on_shipment"), NOON))
    order = sell(till, "net", ("tee", 1))
    tax(till, order, 0, (1, 2100, 210))
    pay(till, order, 1210)
    consignment = send(till, order, (1, 1))
    till.write(lambda tx: shipping.deliver(tx, Delivered(id="d", at=NOON, consignment=consignment)))
    go_on(till)
    rma = ask(till, order, 1)
    back(till, rma, consignment, "tee", 1)
    new = swap(till, rma, "cap", 1000)
    tax(till, new, 0, (1, 2100, 210))
    pay(till, new, 210)
    leave(till, new)
    go_on(till)
    assert (account(till, order).refunded, account(till, new).captured) == (210, 210)


def test_what_an_exchange_or_a_fee_uses_up_is_credited_and_shown(till: Database) -> None:
    order, consignment = bought(till, ("tee", 1))
    rma = ask(till, order, 1)
    swap(till, rma, "cap", 1000)
    back(till, rma, consignment, "tee", 1)
    one = account(till, order)
    assert (one.returned, one.set_off, one.credited) == (0, 1000, 1000)
    with till.read() as tx:
        facts = tx.value("SELECT COUNT(*) FROM fact WHERE kind = 'RefundOwed'")
        notes = tx.value("SELECT COUNT(*) FROM invoice WHERE kind = 'credit_note'")
    assert (facts, notes) == (1, 1)


def test_a_return_whose_label_costs_as_much_is_on_paper_all_the_same(till: Database) -> None:
    till.write(lambda tx: put_return_rules(tx, ReturnRules(label_cents=5000), NOON))
    order, consignment = bought(till, ("tee", 1))
    back(till, ask(till, order, 1, "refund"), consignment, "tee", 1)
    one = account(till, order)
    assert (one.returned, one.fees, one.credited, one.unbalanced) == (0, 1000, 0, ())
    with till.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM invoice WHERE kind = 'credit_note'") == 1
