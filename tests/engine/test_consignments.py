import pytest

from engine.consignments import pack, pick, pick_short, reject, release
from engine.database import Database
from engine.facts import (
    ConsignmentRejected,
    Delivered,
    MissingUnits,
    OrderCancelled,
    OrderReleased,
    Packed,
    Picked,
    Shipped,
    ShortPicked,
    StockCounted,
)
from engine.orders import cancel, place
from engine.shipping import deliver, ship
from engine.stock import record
from solver.refusal import Refusal
from tests.engine.shop import (
    CAP,
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


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)
    supply(database, (TEE, STORE, 10), (CAP, STORE, 10), (TEE, WAREHOUSE, 10))


def placed(database: Database, *lines: tuple[str, int], **more: object) -> str:
    (answer,) = database.write(lambda tx: place(tx, [ordered("1", *lines, **more)]))  # type: ignore[arg-type]
    return answer.id


def released(database: Database, *lines: tuple[str, int], service: str = "post") -> tuple[str, str]:
    """An order whose lines were all handed to the store, and the consignment."""
    order = placed(database, *lines)
    entries = [(i + 1, STORE, qty) for i, (_, qty) in enumerate(lines)]
    database.write(lambda tx: settle(tx, order, *entries, service=service))
    ((consignment,),) = database.write(lambda tx: release(tx, [OrderReleased(id="rel", at=NOON, order=order)]))
    return order, consignment


def planned(database: Database) -> tuple[int, int]:
    with database.read() as tx:
        found = tx.first("SELECT SUM(parcels), SUM(units) FROM node_day")
    assert found is not None
    return int(found[0]), int(found[1])


def test_release_hands_each_parcel_to_its_node(database: Database) -> None:
    order = placed(database, ("tee", 5))
    database.write(lambda tx: settle(tx, order, (1, STORE, 2), (1, WAREHOUSE, 2)))
    fact = OrderReleased(id="a", at=NOON, order=order, node="store")
    ((first,),) = database.write(lambda tx: release(tx, [fact]))
    assert database.write(lambda tx: release(tx, [fact])) == [[]]
    assert numbers_of(database, order) == (1, 2, 2, 0, 0, 0, 0)
    assert stock_of(database, TEE, STORE) == (10, 2)
    assert planned(database) == (2, 4)
    ((second,),) = database.write(lambda tx: release(tx, [OrderReleased(id="b", at=NOON, order=order)]))
    assert first != second
    assert numbers_of(database, order) == (1, 0, 4, 0, 0, 0, 0)
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: release(tx, [OrderReleased(id="c", at=NOON, order=order)]))
    assert refused.value.code == "nothing_to_release"


def test_an_order_goes_all_the_way_to_the_customer(database: Database) -> None:
    order, consignment = released(database, ("tee", 3), ("set", 2))
    assert (state_of(database, order), stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == (
        "released", (10, 5), (10, 4),
    )  # fmt: skip
    database.write(lambda tx: pick(tx, Picked(id="1", at=NOON, consignment=consignment)))
    database.write(lambda tx: pack(tx, Packed(id="2", at=NOON, consignment=consignment)))
    assert database.write(lambda tx: ship(tx, Shipped(id="3", at=NOON, consignment=consignment, tracking="1Z")))
    assert not database.write(lambda tx: ship(tx, Shipped(id="3", at=NOON, consignment=consignment, tracking="1Z")))
    assert (state_of(database, order), stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == (
        "shipped", (5, 0), (6, 0),
    )  # fmt: skip
    database.write(lambda tx: deliver(tx, Delivered(id="4", at=NOON, consignment=consignment)))
    assert numbers_of(database, order) == (0, 0, 0, 0, 5, 0, 0)
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: ship(tx, Shipped(id="5", at=NOON, consignment=consignment)))
    assert refused.value.code == "wrong_state"


def test_what_is_released_is_not_cancelled(database: Database) -> None:
    order, _ = released(database, ("tee", 3))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: cancel(tx, OrderCancelled(id="c", at=NOON, order=order)))
    assert refused.value.code == "not_cancellable"


def test_what_was_not_found_leaves_the_books_and_is_open_again(database: Database) -> None:
    order, consignment = released(database, ("tee", 3))
    missing = (MissingUnits(line=1, sku="tee", units=2),)
    database.write(lambda tx: pick_short(tx, ShortPicked(id="s", at=NOON, consignment=consignment, missing=missing)))
    assert numbers_of(database, order) == (2, 0, 1, 0, 0, 0, 0)
    assert stock_of(database, TEE, STORE) == (8, 1)
    assert planned(database) == (1, 1)
    with database.read() as tx:
        assert tx.all("SELECT node_no, times FROM rejection") == [(STORE, 1)]
        assert tx.value("SELECT state FROM consignment") == "picked"


def test_a_consignment_of_which_nothing_was_found_is_withdrawn(database: Database) -> None:
    order, consignment = released(database, ("tee", 3))
    missing = (MissingUnits(line=1, sku="tee", units=3),)
    database.write(lambda tx: pick_short(tx, ShortPicked(id="s", at=NOON, consignment=consignment, missing=missing)))
    assert (state_of(database, order), stock_of(database, TEE, STORE), planned(database)) == ("open", (7, 0), (0, 0))


def test_a_kit_that_lacks_a_part_gives_the_other_parts_back(database: Database) -> None:
    order, consignment = released(database, ("set", 3))
    missing = (MissingUnits(line=1, sku="cap", units=3),)
    database.write(lambda tx: pick_short(tx, ShortPicked(id="s", at=NOON, consignment=consignment, missing=missing)))
    assert numbers_of(database, order) == (2, 0, 1, 0, 0, 0, 0)
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((10, 1), (7, 2))


def test_a_refused_consignment_is_open_again_and_the_refusal_remembered(database: Database) -> None:
    order, consignment = released(database, ("tee", 3))
    fact = ConsignmentRejected(id="n", at=NOON, consignment=consignment, reason="closed", until=NOON + 5)
    database.write(lambda tx: reject(tx, fact))
    assert (numbers_of(database, order)[0], stock_of(database, TEE, STORE), planned(database)) == (3, (10, 0), (0, 0))
    with database.read() as tx:
        assert tx.all("SELECT node_no, times, until, reason FROM rejection") == [(STORE, 1, NOON + 5, "closed")]


def test_what_a_count_missed_of_released_units_is_settled_by_the_node(database: Database) -> None:
    def missing() -> tuple[int, ...]:
        with database.read() as tx:
            found = tx.first("SELECT on_hand, reserved, missing FROM stock WHERE sku_no = 1 AND node_no = 2")
        assert found is not None
        return tuple(found)

    _, consignment = released(database, ("tee", 5))
    count = StockCounted(id="c", at=NOON, sku="tee", node="store", units=3)
    database.write(lambda tx: record(tx, [count]))
    assert missing() == (5, 5, 2)
    database.write(lambda tx: reject(tx, ConsignmentRejected(id="n", at=NOON, consignment=consignment)))
    assert missing() == (3, 0, 0)


def test_a_short_pick_explains_what_a_count_missed(database: Database) -> None:
    _, consignment = released(database, ("tee", 5))
    database.write(lambda tx: record(tx, [StockCounted(id="c", at=NOON, sku="tee", node="store", units=3)]))
    short = ShortPicked(id="s", at=NOON, consignment=consignment, missing=(MissingUnits(line=1, sku="tee", units=2),))
    database.write(lambda tx: pick_short(tx, short))
    assert stock_of(database, TEE, STORE) == (3, 3)
    database.write(lambda tx: ship(tx, Shipped(id="x", at=NOON, consignment=consignment)))
    assert stock_of(database, TEE, STORE) == (0, 0)
