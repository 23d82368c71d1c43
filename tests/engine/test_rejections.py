import pytest

from engine.catalogue import read_catalogue
from engine.database import Database, Tx
from engine.entries import put_services, write_setting
from engine.facts import NodePaused, NodeResumed, OrderReviewed
from engine.orders import place, review
from engine.rejections import escalate, forget_rejections, rejections_by_node
from engine.stock import record
from tests.engine.shop import FAR, NOON, STORE, WAREHOUSE, open_shop, ordered
from tests.engine.test_available import EXPRESS


@pytest.fixture
def order_no(database: Database) -> int:
    """An order that waits for units."""
    open_shop(database)
    (placed,) = database.write(lambda tx: place(tx, [ordered("A", ("tee", 2))]))
    assert placed.no is not None
    return placed.no


def refuse(database: Database, order_no: int, node: int) -> bool:
    def act(tx: Tx) -> bool:
        tx.run(
            "INSERT INTO rejection (order_no, node_no, until) VALUES (:order, :node, :until) "
            "ON CONFLICT (order_no, node_no) DO UPDATE SET times = rejection.times + 1",
            order=order_no, node=node, until=NOON,
        )  # fmt: skip
        return escalate(tx, order_no)

    return database.write(act)


def state(database: Database) -> str:
    with database.read() as tx:
        return str(tx.value("SELECT state FROM orders"))


def test_an_order_that_nobody_wants_is_held_for_somebody_to_look_at(database: Database, order_no: int) -> None:
    assert [refuse(database, order_no, node) for node in (STORE, WAREHOUSE)] == [False, False]
    assert state(database) == "open"
    assert refuse(database, order_no, STORE)
    assert state(database) == "held"


def test_once_accepted_the_next_refusal_holds_it_again(database: Database, order_no: int) -> None:
    for node in (STORE, WAREHOUSE, FAR):
        refuse(database, order_no, node)
    with database.read() as tx:
        order_id = tx.value("SELECT id FROM orders")
    database.write(lambda tx: review(tx, OrderReviewed(id="v", at=NOON, order=order_id, accepted=True)))
    assert state(database) == "open"
    assert refuse(database, order_no, STORE)


def test_how_many_refusals_are_too_many_is_a_setting(database: Database, order_no: int) -> None:
    database.write(lambda tx: write_setting(tx, "rejections", {"most": 1}, NOON))
    assert refuse(database, order_no, STORE)


def test_the_node_of_most_refusals_comes_first_and_refusals_are_forgotten(database: Database, order_no: int) -> None:
    for node in (STORE, WAREHOUSE, WAREHOUSE):
        refuse(database, order_no, node)
    with database.read() as tx:
        assert rejections_by_node(tx) == [("warehouse", 1, 2), ("store", 1, 1)]
    assert database.write(lambda tx: forget_rejections(tx, order_no, STORE)) == 1
    assert database.write(lambda tx: forget_rejections(tx, order_no)) == 1


def test_the_catalogue_knows_at_once_that_a_node_is_paused(database: Database) -> None:
    open_shop(database)
    database.write(lambda tx: put_services(tx, [EXPRESS], NOON))

    def paused() -> list[bool]:
        with database.read() as tx:
            return list(map(bool, read_catalogue(tx, NOON).paused))

    assert paused() == [False, False, False]
    database.write(lambda tx: record(tx, [NodePaused(id="p", at=NOON, node="store")]))
    assert paused() == [False, True, False]
    database.write(lambda tx: record(tx, [NodeResumed(id="r", at=NOON, node="store")]))
    assert paused() == [False, False, False]
