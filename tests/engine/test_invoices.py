"""Invoices are numbered without holes, whatever fails meanwhile; each is of one parcel, and never changed."""

import random
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import psycopg
import pytest
from msgspec.structs import replace

from engine import invoices
from engine.charges import BillingTerms, charge_shipment, put_billing
from engine.claims import lock_orders
from engine.database import Database, Tx
from engine.invoices import Invoice
from engine.log import facts_about
from solver.refusal import Refusal
from tests.engine.shop import DAY, NOON, open_shop
from tests.engine.tills import LATER, amiss, bill, owe, sell, send, tax

YEAR = 366 * DAY
TERMS = BillingTerms(invoices="on_shipment", seller="Kettle & Cup B.V.\nHaarlemmerweg 331", tax_id="NL001234567B01")


@pytest.fixture
def till(database: Database) -> Iterator[Database]:
    open_shop(database)
    database.write(lambda tx: put_billing(tx, TERMS, NOON))
    yield database
    with database.read() as tx:
        assert amiss(tx) == []


def of(till: Database, order: str) -> list[Invoice]:
    with till.read() as tx:
        return invoices.of_order(tx, tx.value("SELECT no FROM orders WHERE id = :id", id=order))


def test_each_parcel_has_an_invoice_of_what_is_in_it(till: Database) -> None:
    order = sell(till, "1", ("tee", 2), ("cap", 1))
    tax(till, order, 300, (1, 2100, 347), (2, 900, 41), (0, 2100, 52))
    send(till, order, (1, 1))
    send(till, order, (1, 1), (2, 1))
    bill(till)
    one, two = of(till, order)
    assert [one.number, two.number] == ["INV-2025-000001", "INV-2025-000002"]
    assert (one.net_cents, one.tax_cents, one.cents) == (1100 - 190, 190, 1100)
    assert [(line.sku, line.units, line.cents) for line in two.body.charge.lines] == [("tee", 1, 1000), ("cap", 1, 500)]
    assert one.tax_cents + two.tax_cents == 347 + 41 + 52
    with till.read() as tx:
        assert [entry.kind for entry in facts_about(tx, order) if entry.kind == "InvoiceIssued"] == [
            "InvoiceIssued"
        ] * 2


def test_a_refund_is_credited_and_names_the_invoices_that_it_corrects(till: Database) -> None:
    order = sell(till, "1", ("tee", 1), ("cap", 1))
    send(till, order, (1, 1))
    send(till, order, (2, 1))
    bill(till)
    owe(till, order, "rfd1", (2, 1, 500), fee_cents=100)
    bill(till)
    note = of(till, order)[-1]
    assert (note.kind, note.number, note.cents) == ("credit_note", "CN-2025-000001", 400)
    assert note.body.corrects == ["INV-2025-000002"]


@pytest.mark.parametrize("prices", ["gross", "net"])
@pytest.mark.parametrize(("fee", "part"), [(0, 10), (400, 6), (1000, 0), (5000, 0)])
def test_of_what_is_kept_of_a_refund_the_tax_is_not_credited(
    till: Database, prices: Literal["gross", "net"], fee: int, part: int
) -> None:
    till.write(lambda tx: put_billing(tx, replace(TERMS, prices=prices), NOON))
    order = sell(till, "1", ("tee", 1))
    tax(till, order, 0, (1, 2000, 200))
    send(till, order, (1, 1))
    owe(till, order, "rfd1", (1, 1, 1000), fee_cents=fee)
    bill(till)
    note = of(till, order)[-1]
    assert (note.kind, note.tax_cents) == ("credit_note", 20 * part)
    assert note.net_cents == 100 * part - (note.tax_cents if prices == "gross" else 0)


def test_what_an_exchange_used_up_is_credited_too(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    send(till, order, (1, 1))
    owe(till, order, "rfd1", (1, 1, 1000), exchange_cents=700)
    bill(till)
    assert of(till, order)[-1].cents == 1000


def test_nothing_is_credited_that_was_not_invoiced(till: Database) -> None:
    till.write(lambda tx: put_billing(tx, BillingTerms(), NOON))
    order = sell(till, "1", ("tee", 1))
    send(till, order, (1, 1))
    owe(till, order, "rfd1", (1, 1, 1000))
    bill(till)
    assert of(till, order) == []


def test_an_invoice_by_call_brings_along_the_credit_of_what_came_back_before(till: Database) -> None:
    till.write(lambda tx: put_billing(tx, BillingTerms(), NOON))
    order = sell(till, "1", ("tee", 2))
    consignment = send(till, order, (1, 2))
    for n in range(2):
        owe(till, order, f"rfd{n}", (1, 1, 1000))
    bill(till)
    assert of(till, order) == []
    invoice = till.write(lambda tx: invoices.invoice_shipment(tx, consignment, LATER))
    made = of(till, order)
    assert [(one.kind, one.cents) for one in made] == [("invoice", 2000), ("credit_note", 1000), ("credit_note", 1000)]
    assert [one.body.corrects for one in made[1:]] == [[invoice.number]] * 2


def test_a_refund_corrects_the_invoice_of_its_own_parcel(till: Database) -> None:
    """Both parcels have units of the same line, and only one of them is invoiced."""
    till.write(lambda tx: put_billing(tx, BillingTerms(), NOON))
    order = sell(till, "1", ("tee", 2))
    first, second = (send(till, order, (1, 1)) for _ in range(2))
    invoice = till.write(lambda tx: invoices.invoice_shipment(tx, second, LATER))
    owe(till, order, "rfd1", (1, 1, 1000), of=first)
    bill(till)
    assert of(till, order) == [invoice]
    owe(till, order, "rfd2", (1, 1, 1000), of=second)
    bill(till)
    assert [one.body.corrects for one in of(till, order)] == [[], [invoice.number]]


def test_a_refund_gives_back_the_tax_of_its_own_parcel(till: Database) -> None:
    order = sell(till, "1", ("tee", 2))
    tax(till, order, 0, (1, 2100, 420))
    first = send(till, order, (1, 1))
    bill(till)
    tax(till, order, 1, (1, 900, 180))
    second = send(till, order, (1, 1))
    bill(till)
    for parcel in (second, first):
        owe(till, order, f"rfd {parcel}", (1, 1, 1000), of=parcel)
    bill(till)
    assert [one.body.charge.lines[0].taxes for one in of(till, order)[2:]] == [[(900, 90)], [(2100, 210)]]


def test_what_is_invoiced_by_call_is_invoiced_once(till: Database) -> None:
    till.write(lambda tx: put_billing(tx, BillingTerms(), NOON))
    consignment = send(till, sell(till, "1", ("tee", 1)), (1, 1))
    first, again = (till.write(lambda tx: invoices.invoice_shipment(tx, consignment, LATER)) for _ in range(2))
    assert first == again
    bill(till)


def test_what_has_not_left_is_not_invoiced(till: Database) -> None:
    consignment = send(till, sell(till, "1", ("tee", 1)), (1, 1))
    till.write(lambda tx: tx.run("UPDATE consignment SET shipped_at = NULL, state = 'packed'"))
    with pytest.raises(Refusal, match="packed") as refused:
        till.write(lambda tx: invoices.invoice_shipment(tx, consignment, LATER))
    assert refused.value.code == "wrong_state"
    till.write(lambda tx: tx.run("UPDATE consignment SET shipped_at = 1, state = 'shipped'"))


def test_each_year_begins_with_one(till: Database) -> None:
    for n, at in enumerate((LATER, LATER + YEAR, LATER + YEAR)):
        send(till, sell(till, str(n), ("tee", 1)), (1, 1))
        bill(till, at)
    with till.read() as tx:
        assert [one.number for one in invoices.listed(tx, None, 10)] == [
            "INV-2026-000002",
            "INV-2026-000001",
            "INV-2025-000001",
        ]


class _Fails(Exception):
    pass


def test_numbers_have_no_holes_where_half_of_all_transactions_roll_back(till: Database) -> None:
    """Many at once, on both databases: what fails counts nothing, and nobody has a number twice."""
    till.write(lambda tx: put_billing(tx, BillingTerms(), NOON))
    parcels = [send(till, sell(till, f"n{n}", ("tee", 1)), (1, 1)) for n in range(40)]
    chance = random.Random(1)  # noqa: S311 -- a seed, not a secret
    fails = {consignment: chance.random() < 0.5 for consignment in parcels}
    assert 10 < sum(fails.values()) < 30

    def issue(consignment: str) -> str | None:
        def act(tx: Tx) -> str:
            lock_orders(tx, [tx.value("SELECT order_no FROM consignment WHERE id = :id", id=consignment)])
            charge = charge_shipment(tx, consignment, LATER)
            assert charge is not None
            made = invoices.issue(tx, charge, LATER)
            assert made is not None
            if fails[consignment]:
                raise _Fails
            return made.number

        try:
            return till.write(act)
        except _Fails:
            return None

    with ThreadPoolExecutor(8) as threads:
        numbers = sorted(number for number in threads.map(issue, parcels) if number)
    assert numbers == [f"INV-2025-{n:06d}" for n in range(1, 1 + 40 - sum(fails.values()))]


@pytest.mark.parametrize("change", ["UPDATE invoice SET cents = 0", "DELETE FROM invoice"])
def test_an_invoice_is_never_changed(till: Database, change: str) -> None:
    send(till, sell(till, "1", ("tee", 1)), (1, 1))
    bill(till)
    with pytest.raises((sqlite3.DatabaseError, psycopg.DatabaseError), match="append-only"):
        till.write(lambda tx: tx.run(change))


def test_invoices_and_credit_notes_are_counted_apart(till: Database) -> None:
    with pytest.raises(Refusal, match="counted apart"):
        till.write(lambda tx: put_billing(tx, BillingTerms(invoice_series="X", credit_series="X"), NOON))
