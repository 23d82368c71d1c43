"""The report says of each order whether money, parcels and papers agree, and what does not."""

import pytest

from engine.books import fsck
from engine.charges import BillingTerms, put_billing
from engine.database import Database
from engine.reconciliation import Account, reconcile, totals
from tests.engine.shop import DAY, NOON, open_shop
from tests.engine.tills import amiss, answer, bill, owe, pay, sell, send


@pytest.fixture
def till(database: Database) -> Database:
    open_shop(database)
    database.write(lambda tx: put_billing(tx, BillingTerms(invoices="on_shipment"), NOON))
    return database


def accounts(till: Database, first: int = 0, until: int = 10**13) -> list[Account]:
    with till.read() as tx:
        return reconcile(tx, first, until)


def test_an_order_that_went_through_balances(till: Database) -> None:
    order = sell(till, "1", ("tee", 2))
    pay(till, order, 2000)
    send(till, order, (1, 2))
    bill(till)
    owe(till, order, "rfd1", (1, 1, 1000))
    bill(till)
    answer(till)
    (one,) = accounts(till)
    assert (one.authorised, one.captured, one.refunded, one.shipped, one.returned) == (2000, 2000, 1000, 2000, 1000)
    assert (one.invoiced, one.credited, one.unbalanced) == (2000, 1000, ())


def test_it_names_what_waits_what_is_lacking_and_what_is_kept_for_nothing(till: Database) -> None:
    waits, lacks = sell(till, "1", ("tee", 1)), sell(till, "2", ("tee", 2))
    pay(till, waits, 1000)
    pay(till, lacks, 1500)
    send(till, waits, (1, 1))
    send(till, lacks, (1, 2))
    bill(till)
    answer(till, say=lambda step: "card_declined" if step.cents == 1000 else "")
    found = {one.external_id: one.unbalanced for one in accounts(till)}
    assert found == {
        "1": ("exceptions", "captured_is_not_shipped", "kept_for_nothing"),
        "2": ("exceptions", "captured_is_not_shipped"),
    }
    with till.read() as tx:
        assert amiss(tx) == [], "that is money to look at, no broken books"


def test_what_is_asked_and_not_answered_waits(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    assert accounts(till)[0].unbalanced == ("waiting", "captured_is_not_shipped", "kept_for_nothing")


def test_it_is_of_orders_that_were_placed_in_a_time_and_adds_up(till: Database) -> None:
    for n in range(3):
        send(till, sell(till, str(n), ("tee", n + 1)), (1, n + 1))
    bill(till)
    assert accounts(till, NOON + DAY) == []
    found = accounts(till, NOON, NOON + 1)
    assert totals(found)["shipped"] == 6000
    assert totals(found)["orders"] == 3


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        ("UPDATE payment SET captured_cents = captured_cents - 1", "captured_is_steps"),
        ("UPDATE payment_step SET cents = cents + 1 WHERE kind = 'capture'", "capture_within_charge"),
        ("DELETE FROM fact_copy", "capture_has_facts"),
        ("UPDATE invoice_series SET last = last + 1", "invoice_numbers_have_no_holes"),
        ("UPDATE consignment SET shipped_at = NULL", "shipments_are_charged"),
    ],
)
def test_broken_books_of_money_are_found(till: Database, spoil: str, name: str) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    answer(till)
    if "fact_copy" in spoil:
        spoil = (
            "INSERT INTO fact (id, kind, at, subject, content, payload) "
            f"VALUES ('x', 'PaymentCaptured', 0, '{order}', '', '{{}}')"
        )
    till.write(lambda tx: tx.run(spoil))
    with till.read() as tx:
        assert name in {finding.name for finding in fsck(tx)}
