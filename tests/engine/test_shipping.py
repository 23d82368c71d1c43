import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.books import fsck
from engine.calendar import MS_PER_DAY
from engine.consignments import pack, pick_short, reject, release
from engine.database import Database
from engine.facts import (
    ConsignmentRejected,
    Delivered,
    MissingUnits,
    OrderReleased,
    OutForDelivery,
    Packed,
    PickupLapsed,
    ReadyForPickup,
    ReturnedUnits,
    ReturnReceived,
    Shipped,
    ShippedUnits,
    ShortPicked,
)
from engine.migrations import upgrade
from engine.orders import place
from engine.returns import take_back
from engine.shipping import ShippingTerms, deliver, lapse, lapse_pickups, make_ready, put_shipping, send_out, ship
from solver.refusal import Refusal
from tests.engine.shop import (
    CAP,
    DAY,
    NOON,
    STORE,
    TEE,
    WAREHOUSE,
    numbers_of,
    open_shop,
    ordered,
    settle,
    state_of,
    stock_of,
    supply,
)

WEEK = 7 * MS_PER_DAY


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)
    supply(database, (TEE, STORE, 10), (CAP, STORE, 10), (TEE, WAREHOUSE, 10))


def released(database: Database, *lines: tuple[str, int], node: int = STORE, **more: object) -> tuple[str, str]:
    """An order whose lines were all handed to a node, and the consignment."""
    (placed,) = database.write(lambda tx: place(tx, [ordered("1", *lines, **more)]))  # type: ignore[arg-type]
    entries = [(i + 1, node, qty) for i, (_, qty) in enumerate(lines)]
    database.write(lambda tx: settle(tx, placed.id, *entries))
    ((made,),) = database.write(lambda tx: release(tx, [OrderReleased(id="rel", at=NOON, order=placed.id)]))
    return placed.id, made


def waiting(database: Database, *lines: tuple[str, int], node: int = STORE) -> tuple[str, str]:
    """An order that waits in the store for its customer, from noon on."""
    order, pickup = released(database, *lines, node=node)
    database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = :store", store=STORE))
    if node != STORE:
        database.write(lambda tx: ship(tx, Shipped(id="to store", at=NOON, consignment=pickup)))
    database.write(lambda tx: make_ready(tx, ReadyForPickup(id="ready", at=NOON, consignment=pickup)))
    return order, pickup


def part(consignment: str, *units: tuple[int, str, int], id: str = "part", tracking: str | None = None) -> Shipped:
    said = tuple(ShippedUnits(line=line, sku=sku, units=count) for line, sku, count in units)
    return Shipped(id=id, at=NOON, consignment=consignment, tracking=tracking, units=said)


def consignments(database: Database) -> list[tuple[str, str, list[tuple[int, str, int]]]]:
    """State, tracking and contents of each, in the order in which they came to be."""
    with database.read() as tx:
        found = tx.all("SELECT no, state, COALESCE(tracking, '') FROM consignment ORDER BY no")
        held = tx.all(
            "SELECT c.consignment_no, c.number, s.id, c.units FROM consignment_line c JOIN sku s ON s.no = c.sku_no "
            "ORDER BY c.consignment_no, c.number, s.id"
        )
    return [(state, tracking, [row[1:] for row in held if row[0] == no]) for no, state, tracking in found]


def planned(database: Database) -> tuple[int, int]:
    with database.read() as tx:
        parcels, units = tx.all("SELECT SUM(parcels), SUM(units) FROM node_day")[0]
    return int(parcels), int(units)


def balanced(database: Database) -> bool:
    with database.read() as tx:
        return fsck(tx) == []


def refusal(database: Database, act: Callable[..., object], fact: object) -> str:
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: act(tx, fact))
    return refused.value.code


def test_what_does_not_fit_in_the_parcel_goes_in_one_of_its_own(database: Database) -> None:
    order, first = released(database, ("tee", 5), ("cap", 2))
    database.write(lambda tx: pack(tx, Packed(id="p", at=NOON, consignment=first)))
    fact = part(first, (1, "tee", 3), tracking="1Z")
    assert database.write(lambda tx: ship(tx, fact))
    assert not database.write(lambda tx: ship(tx, fact))
    assert consignments(database) == [
        ("shipped", "1Z", [(1, "tee", 3)]),
        ("packed", "", [(1, "tee", 2), (2, "cap", 2)]),
    ]
    assert (state_of(database, order), numbers_of(database, order)) == ("released", (0, 0, 4, 3, 0, 0, 0))
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((7, 2), (10, 2))
    assert planned(database) == (2, 7), "one parcel more, and the same units"
    assert balanced(database)


def test_the_rest_of_a_part_goes_its_own_way(database: Database) -> None:
    """Refused by the node, it is open again, and what left stays left."""
    order, first = released(database, ("tee", 5))
    database.write(lambda tx: ship(tx, part(first, (1, "tee", 3))))
    with database.read() as tx:
        rest = tx.value("SELECT id FROM consignment WHERE state = 'released'")
    database.write(lambda tx: reject(tx, ConsignmentRejected(id="n", at=NOON, consignment=rest)))
    assert numbers_of(database, order) == (2, 0, 0, 3, 0, 0, 0)
    assert balanced(database)


def test_a_part_that_is_everything_is_no_part(database: Database) -> None:
    _, first = released(database, ("tee", 5))
    database.write(lambda tx: ship(tx, part(first, (1, "tee", 3), (1, "tee", 2))))
    assert consignments(database) == [("shipped", "", [(1, "tee", 5)])]


def test_what_was_not_found_stays_told_of_where_it_was_looked_for(database: Database) -> None:
    _, first = released(database, ("tee", 5), ("cap", 2))
    short = ShortPicked(id="s", at=NOON, consignment=first, missing=(MissingUnits(line=1, sku="tee", units=5),))
    database.write(lambda tx: pick_short(tx, short))
    database.write(lambda tx: ship(tx, part(first, (2, "cap", 1))))
    assert consignments(database) == [
        ("shipped", "", [(1, "tee", 0), (2, "cap", 1)]),
        ("picked", "", [(2, "cap", 1)]),
    ]
    assert balanced(database)


def test_a_kit_leaves_whole_or_not_at_all(database: Database) -> None:
    order, first = released(database, ("set", 3))
    for units in ((1, "tee", 1),), ((1, "tee", 1), (1, "cap", 1)), ((1, "tee", 2), (1, "cap", 2)):
        assert refusal(database, ship, part(first, *units)) == "kit_in_parts"
    database.write(lambda tx: ship(tx, part(first, (1, "cap", 4), (1, "tee", 2))))
    assert consignments(database)[1] == ("released", "", [(1, "cap", 2), (1, "tee", 1)])
    assert numbers_of(database, order) == (0, 0, 1, 2, 0, 0, 0)
    assert balanced(database)


@pytest.mark.parametrize(
    ("units", "code"),
    [
        ((2, "tee", 1), "unknown_line"),
        ((1, "cap", 1), "unknown_line"),
        ((1, "tee", 6), "too_many_units"),
    ],
)
def test_only_what_is_in_it_leaves(database: Database, units: tuple[int, str, int], code: str) -> None:
    _, first = released(database, ("tee", 5))
    assert refusal(database, ship, part(first, units)) == code
    assert consignments(database) == [("released", "", [(1, "tee", 5)])]


def test_an_order_that_is_to_come_complete_does_not_leave_in_parts(database: Database) -> None:
    _, first = released(database, ("tee", 5), ship_complete=True)
    assert refusal(database, ship, part(first, (1, "tee", 2))) == "must_ship_complete"
    database.write(lambda tx: ship(tx, part(first, (1, "tee", 5))))


def test_an_order_comes_in_no_more_parcels_than_it_may(database: Database) -> None:
    _, first = released(database, ("tee", 5), max_parcels=2)
    database.write(lambda tx: ship(tx, part(first, (1, "tee", 2))))
    with database.read() as tx:
        rest = tx.value("SELECT id FROM consignment WHERE state = 'released'")
    assert refusal(database, ship, part(rest, (1, "tee", 1), id="more")) == "too_many_parcels"


def test_a_van_may_go_out_again_where_nobody_was_at_home(database: Database) -> None:
    order, first = released(database, ("tee", 2))
    out = OutForDelivery(id="o", at=NOON, consignment=first)
    assert refusal(database, send_out, out) == "wrong_state"
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=first)))
    database.write(lambda tx: send_out(tx, out))
    database.write(lambda tx: send_out(tx, OutForDelivery(id="o2", at=NOON + DAY, consignment=first)))
    assert (state_of(database, order), consignments(database)[0][0]) == ("shipped", "out_for_delivery")
    database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON + DAY, consignment=first)))
    assert state_of(database, order) == "delivered"


def test_what_a_customer_collects_is_on_no_van(database: Database) -> None:
    _, pickup = released(database, ("tee", 2), node=WAREHOUSE)
    database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = :store", store=STORE))
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=pickup)))
    assert refusal(database, send_out, OutForDelivery(id="o", at=NOON, consignment=pickup)) == "for_pickup"


def test_units_collected_in_the_store_leave_when_they_are_ready(database: Database) -> None:
    order, consignment = released(database, ("tee", 3))
    ready = ReadyForPickup(id="r", at=NOON, consignment=consignment)
    assert refusal(database, make_ready, ready) == "not_for_pickup"
    database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = node_no"))
    database.write(lambda tx: make_ready(tx, ready))
    assert (state_of(database, order), stock_of(database, TEE, STORE)) == ("shipped", (7, 0))
    database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON, consignment=consignment)))
    assert state_of(database, order) == "delivered"


@pytest.mark.parametrize("node", [STORE, WAREHOUSE])
def test_what_nobody_collects_in_time_is_stock_of_the_store_that_has_it(database: Database, node: int) -> None:
    """Whoever packed it."""
    order, pickup = waiting(database, ("tee", 3), node=node)
    before = stock_of(database, TEE, STORE)[0]
    assert database.write(lambda tx: lapse_pickups(tx, NOON + WEEK - 1)) == 0
    assert database.write(lambda tx: lapse_pickups(tx, NOON + WEEK)) == 1
    assert database.write(lambda tx: lapse_pickups(tx, NOON + 2 * WEEK)) == 0
    assert stock_of(database, TEE, STORE) == (before + 3, 0)
    assert (state_of(database, order), numbers_of(database, order)) == ("returned", (0, 0, 0, 0, 0, 3, 0))
    assert balanced(database)
    late = Delivered(id="d", at=NOON + WEEK, consignment=pickup)
    with pytest.raises(Refusal, match="it was not collected by 2025-06-22: its units are in stock again") as refused:
        database.write(lambda tx: deliver(tx, late))
    assert refused.value.code == "pickup_lapsed"


def test_who_comes_late_may_still_have_what_has_not_lapsed(database: Database) -> None:
    order, pickup = waiting(database, ("tee", 3))
    database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON + 2 * WEEK, consignment=pickup)))
    assert database.write(lambda tx: lapse_pickups(tx, NOON + 2 * WEEK)) == 0
    assert state_of(database, order) == "delivered"


def test_of_a_pickup_that_came_back_in_part_the_rest_lapses(database: Database) -> None:
    order, pickup = waiting(database, ("tee", 3), ("set", 2))
    back = (
        ReturnedUnits(line=1, sku="tee", units=1, to="damaged"),
        ReturnedUnits(line=2, sku="cap", units=1, to="stock"),  # a part of a kit that has not come back whole
    )
    database.write(lambda tx: take_back(tx, ReturnReceived(id="b", at=NOON, consignment=pickup, units=back)))
    database.write(lambda tx: lapse(tx, PickupLapsed(id="l", at=NOON + DAY, consignment=pickup)))
    assert numbers_of(database, order) == (0, 0, 0, 0, 0, 5, 0)
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((9, 0), (10, 0))
    assert balanced(database)


def test_how_long_a_store_keeps_things_is_said_for_all_or_for_one(database: Database) -> None:
    database.write(lambda tx: put_shipping(tx, ShippingTerms(collect_days=3), NOON))
    _, pickup = waiting(database, ("tee", 3))
    longer = ReadyForPickup(id="longer", at=NOON + DAY, consignment=pickup, until=NOON + 5 * DAY)
    database.write(lambda tx: make_ready(tx, longer))
    assert database.write(lambda tx: lapse_pickups(tx, NOON + 3 * DAY)) == 0
    past = ReadyForPickup(id="past", at=NOON + DAY, consignment=pickup, until=NOON)
    assert refusal(database, make_ready, past) == "bad_input"
    again = ReadyForPickup(id="again", at=NOON + DAY, consignment=pickup)
    assert refusal(database, make_ready, again) == "wrong_state"
    assert database.write(lambda tx: lapse_pickups(tx, NOON + 5 * DAY)) == 1


def test_many_pickups_lapse_at_once(database: Database) -> None:
    for n in range(4):
        placed = database.write(lambda tx, n=n: place(tx, [ordered(f"m{n}", ("tee", 1), ("cap", 1))]))
        database.write(lambda tx, id=placed[0].id: settle(tx, id, (1, STORE, 1), (2, STORE, 1)))
        fact = OrderReleased(id=f"rel{n}", at=NOON, order=placed[0].id)
        ((pickup,),) = database.write(lambda tx, fact=fact: release(tx, [fact]))
        database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = node_no"))
        ready = ReadyForPickup(id=f"y{n}", at=NOON, consignment=pickup)
        database.write(lambda tx, ready=ready: make_ready(tx, ready))
    assert database.write(lambda tx: lapse_pickups(tx, NOON + WEEK, limit=3)) == 3
    assert database.write(lambda tx: lapse_pickups(tx, NOON + WEEK, limit=3)) == 1
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((10, 0), (10, 0))
    assert balanced(database)


def test_an_older_database_keeps_its_pickups_waiting(tmp_path: Path) -> None:
    """A table that others refer to is made anew with all of its rows."""
    path = tmp_path / "older.db"
    upgrade(f"sqlite:///{path}", "0001")
    with Database(f"sqlite:///{path}") as older:
        open_shop(older)
        supply(older, (TEE, STORE, 10))
        (placed,) = older.write(lambda tx: place(tx, [ordered("1", ("tee", 2))]))
        older.write(lambda tx: settle(tx, placed.id, (1, STORE, 2)))
        ((pickup,),) = older.write(lambda tx: release(tx, [OrderReleased(id="rel", at=NOON, order=placed.id)]))
        older.write(lambda tx: tx.run("UPDATE consignment SET collect_no = 2, state = 'ready', shipped_at = 5"))
    upgrade(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT id, collect_until FROM consignment").fetchall() == [(pickup, 5 + WEEK)]
        assert connection.execute("SELECT units FROM consignment_line").fetchall() == [(2,)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
