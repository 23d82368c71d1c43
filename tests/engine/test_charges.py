"""A parcel costs what is in it and its share of carriage and taxes; over all of an order, every cent is charged once."""

import sqlite3
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.charges import BillingTerms, Charge, charge_of, charges_of, put_billing, state_taxes
from engine.database import Database
from engine.facts import OrderTaxed, TaxLine
from solver.refusal import Refusal
from tests.engine.shop import NOON, open_shop
from tests.engine.tills import bill, owe, sell, send, tax

NUMBERS = count()
"""Of orders: one shop serves all examples."""


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)


def net(database: Database) -> None:
    database.write(lambda tx: put_billing(tx, BillingTerms(prices="net"), NOON))


def of(database: Database, ref: str) -> Charge:
    with database.read() as tx:
        found = charge_of(tx, ref)
    assert found is not None
    return found


def test_gross_prices_have_the_tax_in_them(database: Database) -> None:
    order = sell(database, "1", ("tee", 2))
    tax(database, order, 500, (1, 2100, 347), (0, 2100, 87))
    consignment = send(database, order, (1, 2))
    bill(database)
    one = of(database, consignment)
    assert (one.goods_cents, one.carriage_cents, one.tax_cents, one.cents) == (2000, 500, 434, 2500)


def test_on_net_prices_the_tax_comes_on_top(database: Database) -> None:
    net(database)
    order = sell(database, "1", ("tee", 2))
    tax(database, order, 500, (1, 2100, 420), (0, 2100, 105))
    consignment = send(database, order, (1, 2))
    bill(database)
    assert of(database, consignment).cents == 3025


def test_what_is_owed_of_net_prices_is_given_back_with_its_tax(database: Database) -> None:
    net(database)
    order = sell(database, "1", ("tee", 2))
    tax(database, order, 0, (1, 2100, 420))
    send(database, order, (1, 2))
    owe(database, order, "rfd1", (1, 1, 1000))
    bill(database)
    assert (of(database, "rfd1").tax_cents, of(database, "rfd1").cents) == (210, 1210)


def test_fees_are_kept_and_what_an_exchange_used_up_is_set_off(database: Database) -> None:
    order = sell(database, "1", ("tee", 2))
    tax(database, order, 500)
    send(database, order, (1, 2))
    owe(database, order, "rfd1", (1, 2, 2000), carriage_cents=500, fee_cents=200, label_cents=300, exchange_cents=1500)
    bill(database)
    one = of(database, "rfd1")
    assert (one.goods_cents, one.carriage_cents, one.kept_cents, one.set_off_cents, one.cents) == (
        2000,
        500,
        500,
        1500,
        500,
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    parcels=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    cents=st.integers(0, 999), carriage=st.integers(0, 999),
)  # fmt: skip
def test_shares_of_taxes_and_carriage_add_up(database: Database, parcels: list[int], cents: int, carriage: int) -> None:
    order = sell(database, f"o{next(NUMBERS)}", ("tee", sum(parcels)))
    tax(database, order, carriage, (1, 900, cents), (1, 2100, cents // 2), (0, 2100, carriage // 5))
    for units in parcels:
        send(database, order, (1, units))
    bill(database)
    with database.read() as tx:
        no = tx.value("SELECT no FROM orders WHERE id = :id", id=order)
        made = charges_of(tx, no, "shipment")
    assert sum(one.carriage_cents for one in made) == carriage
    assert sum(one.tax_cents for one in made) == cents + cents // 2 + carriage // 5
    assert min(one.tax_cents for one in made) >= 0


def test_refunds_give_back_the_tax_of_what_they_are_of_and_never_more(database: Database) -> None:
    order = sell(database, "1", ("tee", 3))
    tax(database, order, 0, (1, 2100, 100))
    send(database, order, (1, 3))
    for n in range(3):
        owe(database, order, f"rfd{n}", (1, 1, 1000))
    bill(database)
    assert [of(database, f"rfd{n}").tax_cents for n in range(3)] == [33, 33, 34]


def test_what_has_left_keeps_the_taxes_that_it_had(database: Database) -> None:
    order = sell(database, "1", ("tee", 2))
    tax(database, order, 0, (1, 2100, 200))
    first = send(database, order, (1, 1))
    bill(database)
    tax(database, order, 1, (1, 900, 90))
    second = send(database, order, (1, 1))
    bill(database)
    assert [of(database, one).body.lines[0].taxes for one in (first, second)] == [[(2100, 100)], [(900, 45)]]


@pytest.mark.parametrize(
    ("taxes", "place", "code"),
    [
        ([{"line": 2, "rate": 900, "tax_cents": 1}], "taxes[0].line", "unknown_line"),
        (
            [{"line": 1, "rate": 900, "tax_cents": 1}, {"line": 1, "rate": 900, "tax_cents": 2}],
            "taxes[1].rate",
            "bad_input",
        ),
    ],
)
def test_taxes_are_of_lines_once(database: Database, taxes: list[dict[str, Any]], place: str, code: str) -> None:
    order = sell(database, "1", ("tee", 2))
    fact = OrderTaxed(id="t", at=NOON, order=order, taxes=tuple(TaxLine(**tax) for tax in taxes))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: state_taxes(tx, fact))
    assert (refused.value.place, refused.value.code) == (place, code)


@pytest.mark.parametrize("change", ["UPDATE charge SET cents = 0, goods_cents = 0", "DELETE FROM charge"])
def test_a_charge_is_never_changed(database: Database, change: str) -> None:
    send(database, sell(database, "1", ("tee", 1)), (1, 1))
    bill(database)
    with pytest.raises((sqlite3.DatabaseError, psycopg.DatabaseError), match="append-only"):
        database.write(lambda tx: tx.run(change))
