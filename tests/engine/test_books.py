import sqlite3
from collections import Counter

import pytest

from engine import webhooks
from engine.books import CHECKS, fsck
from engine.channels import hear
from engine.charges import BillingTerms, put_billing
from engine.consignments import release
from engine.database import Database, Tx
from engine.entries import put_services
from engine.events import relay
from engine.facts import (
    Delivered,
    HoldReleased,
    OrderReleased,
    PickupLapsed,
    ReadyForPickup,
    ReturnedUnits,
    ReturnReceived,
    ReturnRequested,
    Shipped,
    StockReceived,
    WantedBack,
)
from engine.holds import place_holds, release_hold
from engine.labels import made, want
from engine.orders import place
from engine.return_requests import request
from engine.returns import take_back
from engine.shipping import deliver, lapse, make_ready, ship
from engine.stock import record
from engine.webhooks import Result
from tests.engine.shop import NOON, SERVICES, STORE, connect, held, open_shop, ordered, said, settle
from tests.engine.tills import answer, bill, pay, sell, send

DAMAGES: dict[str, list[str]] = {
    "on_hand_is_movements": ["UPDATE stock SET on_hand = on_hand + 1 WHERE sku_no = 1"],
    "reserved_is_movements": [
        "INSERT INTO movement (at, sku_no, node_no, reserved, cause, ref) VALUES (1, 1, 2, 1, 'x', 'x')"
    ],
    "damaged_is_movements": ["UPDATE stock SET damaged = 1 WHERE sku_no = 1"],
    "quarantined_is_movements": ["UPDATE stock SET quarantined = quarantined + 1 WHERE sku_no = 1"],
    "stock_in_bounds": ["UPDATE stock SET missing = -1 WHERE sku_no = 1"],
    "reserved_is_claims": ["UPDATE hold SET state = 'released' WHERE id = 'h1'"],
    "line_units_add_up": ["UPDATE order_line SET qty = qty + 1 WHERE order_no = 1"],
    "orders_open_is_lines": ["UPDATE orders SET open = open + 1 WHERE no = 1"],
    "orders_allocated_is_lines": ["UPDATE orders SET allocated = allocated + 1 WHERE no = 1"],
    "orders_released_is_lines": ["UPDATE orders SET released = released + 1 WHERE no = 1"],
    "orders_shipped_is_lines": ["UPDATE orders SET shipped = shipped + 1 WHERE no = 1"],
    "orders_delivered_is_lines": ["UPDATE orders SET delivered = delivered + 1 WHERE no = 1"],
    "orders_returned_is_lines": ["UPDATE orders SET returned = returned + 1 WHERE no = 1"],
    "orders_cancelled_is_lines": ["UPDATE orders SET cancelled = cancelled + 1 WHERE no = 1"],
    "allocated_is_claims": ["UPDATE claim SET line_units = line_units + 1 WHERE order_no = 1 AND number = 1"],
    "released_is_consignments": ["UPDATE order_line SET released = released + 1 WHERE order_no = 1"],
    "shipped_is_consignments": ["UPDATE order_line SET shipped = shipped + 1 WHERE order_no = 1"],
    "delivered_is_consignments": ["UPDATE order_line SET delivered = delivered + 1 WHERE order_no = 1"],
    "returned_is_consignments": ["UPDATE consignment_line SET returned = 1 WHERE number = 1"],
    "claims_are_of_their_line": ["DELETE FROM claim WHERE order_no = 1 AND number = 2 AND sku_no = 2"],
    "claims_have_parcels": ["DELETE FROM parcel WHERE order_no = 1"],
    "parcels_have_claims": ["DELETE FROM claim WHERE order_no = 1"],
    "planned_parcels_is_work": ["UPDATE node_day SET parcels = parcels + 1"],
    "planned_units_is_work": ["UPDATE node_day SET units = units + 1"],
    "allotments_are_sold": ["UPDATE channel_stock SET sold = sold + 1"],
    "presales_are_counted": ["UPDATE sku SET presold = presold + 1 WHERE id = 'mug'"],
    "holds_end_once": ["UPDATE hold SET state = 'held' WHERE id = 'h2'"],
    "orders_have_facts": ["UPDATE orders SET content = 'other' WHERE no = 1"],
    "holds_have_facts": ["UPDATE hold SET content = 'other' WHERE id = 'h1'"],
    "channel_orders_are_of_their_channel": ["UPDATE channel_order SET external_id = 'other'"],
    "channel_lines_are_lines": ["UPDATE channel_line SET number = 9"],
    "what_is_not_done_is_told": ["UPDATE channel_line SET undone = 1"],
    "consumers_read_what_is_there": ["INSERT INTO consumer (name, fact_no) VALUES ('webhooks', 99999)"],
    "events_are_numbered": ["UPDATE event SET sequence = 9 WHERE no = 1"],
    "events_have_facts": ["UPDATE event SET fact = 'none' WHERE no = 1"],
    "deliveries_were_answered": ["UPDATE attempt SET code = 500"],
    "deliveries_go_in_sequence": [
        "UPDATE delivery SET state = 'waiting', ended_at = NULL WHERE event_no = (SELECT MIN(no) FROM event WHERE subject "
        "= (SELECT subject FROM event WHERE type = 'order.shipped'))",
        "UPDATE delivery SET state = 'delivered', ended_at = 1 WHERE event_no = (SELECT no FROM event "
        "WHERE type = 'order.shipped')",
    ],
    "returns_awaited_is_lines": ["UPDATE rma SET awaited = awaited + 1"],
    "returns_received_is_lines": ["UPDATE rma SET received = received + 1"],
    "returns_inspected_is_lines": ["UPDATE rma SET inspected = inspected + 1"],
    "returns_closed_is_lines": ["UPDATE rma SET closed = closed + 1"],
    "return_units_balance": ["UPDATE rma_receipt SET inspected = 0"],
    "returned_was_shipped": ["UPDATE rma_line SET awaited = awaited + 9"],
    "what_came_back_is_quarantined": ["UPDATE stock SET quarantined = 0"],
    "refunds_are_what_was_inspected": ["UPDATE rma SET wanted = 'exchange', exchange_no = NULL"],
    "label_and_exchange_are_kept_once": ["UPDATE rma SET label_cents = label_cents + 1"],
    "lapsed_is_owed": [
        "UPDATE consignment_line SET returned = units",
        "UPDATE consignment SET state = 'lapsed' WHERE state = 'delivered'",
    ],
    "refunds_within_price": ["UPDATE order_line SET price_cents = 1"],
    "refunds_have_facts": [
        "INSERT INTO refund (id, order_no, rma_no, at, why, goods_cents, cents) VALUES ('x', 2, 1, 1, 'inspected', 5, 5)"
    ],
    "exchanges_are_ordered": ["UPDATE rma SET exchange_no = 1 WHERE no = 1"],
    "consignments_have_times": ["UPDATE consignment SET delivered_at = NULL"],
    "pickups_end": ["UPDATE consignment_line SET returned = 0 WHERE consignment_no = 2"],
    "kits_stay_whole": ["UPDATE consignment_line SET line_units = line_units + 1 WHERE number = 2 AND sku_no = 2"],
    "labels_have_facts": ["UPDATE label SET state = 'wanted'"],
    "labels_are_of_what_is_there": ["UPDATE consignment SET state = 'withdrawn'"],
    "payments_in_bounds": ["UPDATE payment SET refunded_cents = captured_cents + 1"],
    "captured_is_steps": ["UPDATE payment SET captured_cents = captured_cents - 1"],
    "refunded_is_steps": ["UPDATE payment SET refunded_cents = 0"],
    "authorised_is_steps": ["UPDATE payment SET authorised_cents = authorised_cents - 1"],
    "authorise_has_facts": ["UPDATE payment_step SET state = 'lost' WHERE kind = 'authorise'"],
    "capture_has_facts": ["UPDATE payment_step SET state = 'lost' WHERE kind = 'capture'"],
    "refund_has_facts": ["UPDATE payment_step SET state = 'lost' WHERE kind = 'refund'"],
    "lost_is_an_exception": ["UPDATE payment_step SET state = 'lost' WHERE kind = 'void'"],
    "settled_has_facts": ["UPDATE payment_step SET why = 'settled' WHERE kind = 'void'"],
    "charges_are_asked_for": ["UPDATE payment_step SET state = 'refused' WHERE kind = 'capture'"],
    "capture_within_charge": ["UPDATE payment_step SET cents = cents + 1 WHERE kind = 'capture'"],
    "refund_within_charge": ["UPDATE payment_step SET cents = cents + 1 WHERE kind = 'refund'"],
    "shipments_are_charged": ["UPDATE consignment SET shipped_at = NULL"],
    "refunds_are_charged": [
        "INSERT INTO fact (id, kind, at, subject, content, payload) VALUES ('rfd2', 'RefundOwed', 1, 'x', '', '{}')",
        "UPDATE consumer SET fact_no = (SELECT MAX(no) FROM fact) WHERE name = 'billing'",
    ],
    "exchanges_use_what_is_kept": [
        "UPDATE rma SET exchange_no = 1, exchange_cents = 10 WHERE no = 1",
        "INSERT INTO charge (ref, kind, order_no, at, gross, goods_cents, carriage_cents, tax_cents, set_off_cents, cents, body) "
        "VALUES ('x', 'shortfall', 1, 1, true, 0, 0, 0, -5, 5, '{}')",
    ],
    "invoices_are_charges": [
        "INSERT INTO invoice (id, kind, series, year, number, order_no, charge_no, issued_at, currency, net_cents, tax_cents, "
        "cents, body) SELECT 'x', 'invoice', 'X', 2025, 1, order_no, no, 1, 'EUR', 1, 0, 1, '{}' FROM charge "
        "WHERE cents = 0 LIMIT 1",
    ],
    "invoice_numbers_have_no_holes": ["UPDATE invoice_series SET last = last + 1"],
    "own_provider_agrees": ["UPDATE gateway_entry SET cents = cents + 1 WHERE kind = 'capture'"],
}
"""A damage that each check must find."""


@pytest.fixture
def busy(database: Database) -> Database:
    """A shop in which something of everything has happened."""
    open_shop(database)
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    database.write(lambda tx: tx.run("UPDATE sku SET presale_limit = 10 WHERE id = 'mug'"))
    database.write(lambda tx: tx.run("INSERT INTO channel_stock (channel, sku_no, allotment) VALUES ('web', 1, 50)"))

    def act(tx: Tx) -> None:
        stock = [StockReceived(id=f"r{sku}", at=NOON, sku=sku, node="store", units=50) for sku in ("tee", "cap")]
        record(tx, stock)
        place_holds(tx, [held("h1", ("tee", 1)), held("h2", ("tee", 2)), held("h3", ("cap", 1))])
        release_hold(tx, HoldReleased(id="e", at=NOON, hold="h2"))
        orders = [
            ordered("1", ("tee", 5), ("set", 3), ("mug", 2)), ordered("2", ("tee", 4), ("set", 1)),
            ordered("3", ("cap", 1), hold="h3"), ordered("4", ("tee", 2)),
        ]  # fmt: skip
        first, second, _, fourth = place(tx, orders)
        settle(tx, first.id, (1, STORE, 4), (2, STORE, 2))
        settle(tx, second.id, (1, STORE, 4), (2, STORE, 1))
        ((consignment,),) = release(tx, [OrderReleased(id="l", at=NOON, order=second.id)])
        label, _ = want(tx, NOON, "lab", consignment, "own", "post", 400)
        made(tx, NOON, label, "00123", 300)
        ship(tx, Shipped(id="s", at=NOON, consignment=consignment))
        deliver(tx, Delivered(id="d", at=NOON, consignment=consignment))
        tx.run("UPDATE order_line SET price_cents = 500 WHERE order_no = 2")
        asked = ReturnRequested(
            id="q", at=NOON, order=second.id, lines=(WantedBack(line=1, units=3, reason="unwanted"),)
        )
        request(tx, [asked])
        back = ReturnedUnits(line=1, sku="tee", units=1), ReturnedUnits(line=1, sku="tee", units=1, to="stock")
        take_back(tx, ReturnReceived(id="b", at=NOON, consignment=consignment, units=back))
        settle(tx, fourth.id, (1, STORE, 2))
        ((pickup,),) = release(tx, [OrderReleased(id="p", at=NOON, order=fourth.id)])
        tx.run("UPDATE consignment SET collect_no = node_no WHERE id = :id", id=pickup)
        make_ready(tx, ReadyForPickup(id="y", at=NOON, consignment=pickup))
        lapse(tx, PickupLapsed(id="z", at=NOON, consignment=pickup))

    database.write(lambda tx: webhooks.create(tx, NOON, "whk_1", "https://a.example", (), "", "sealed"))
    database.write(act)
    while database.write(lambda tx: relay(tx, NOON)):
        pass
    due = database.write(lambda tx: webhooks.claim(tx, NOON, "w", Counter(), 1))
    database.write(
        lambda tx: webhooks.settle(tx, NOON, "w", [Result("whk_1", due[0].event_no, due[0].leased_until, NOON, 5, 200)])
    )
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    here = connect(database)
    database.write(lambda tx: hear(tx, here, "e1", "orders", said("S1", ("1", "tee", 2)), None, NOON))
    _with_money(database)
    return database


def _with_money(database: Database) -> None:
    """An order is paid, invoiced, and given back in part."""
    database.write(lambda tx: put_billing(tx, BillingTerms(invoices="on_shipment"), NOON))
    order = sell(database, "paid", ("tee", 2))
    pay(database, order, 2500)
    consignment = send(database, order, (1, 2))
    back = (ReturnedUnits(line=1, sku="tee", units=1, to="stock"),)
    database.write(lambda tx: take_back(tx, ReturnReceived(id="paid", at=NOON, consignment=consignment, units=back)))
    bill(database)
    answer(database)
    database.write(lambda tx: tx.run("UPDATE payment SET provider = 'own'"))
    database.write(
        lambda tx: tx.run(
            "INSERT INTO gateway_entry (key, reference, kind, cents, answer) SELECT s.id, p.reference, s.kind, s.cents, '{}' "
            "FROM payment_step s JOIN payment p ON p.no = s.payment_no"
        )
    )


def without_constraints(database: Database, statements: list[str]) -> None:
    """Damage rows behind the back of the database's own constraints."""
    if database.dialect == "postgresql":
        with database.engine.connect() as connection:
            for table, name in connection.exec_driver_sql(
                "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
            ).all():
                connection.exec_driver_sql(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
            for statement in statements:
                connection.exec_driver_sql(statement)
        return
    connection = sqlite3.connect(str(database.engine.url.database))
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_books_of_a_busy_shop_balance(busy: Database) -> None:
    with busy.read() as tx:
        assert fsck(tx) == []


def test_every_check_has_a_damage_that_proves_it() -> None:
    assert {check.name for check in CHECKS} == set(DAMAGES)


@pytest.mark.parametrize("name", list(DAMAGES))
def test_a_damaged_database_is_found_out(busy: Database, name: str) -> None:
    without_constraints(busy, DAMAGES[name])
    with busy.read() as tx:
        found = fsck(tx)
    assert name in {finding.name for finding in found}, found
    assert all(str(finding).startswith(finding.name) for finding in found)
