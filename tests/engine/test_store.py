import threading

import pytest

from engine.consignments import release
from engine.database import Database, Tx
from engine.facts import (
    HoldReleased,
    NodePaused,
    OrderCancelled,
    OrderEdited,
    OrderReleased,
    OrderReviewed,
    RecipientErased,
    Shipped,
    StockReceived,
    StockReported,
    read_fact,
)
from engine.ledger import write_facts
from engine.log import Position
from engine.orders import Person
from engine.store import Ended, Store
from tests.engine.shop import DAY, MINUTE, NOON, STORE, held, open_shop, ordered, settle


@pytest.fixture
def store(database: Database) -> Store:
    open_shop(database)
    return Store(database)


def paused(n: str) -> NodePaused:
    return NodePaused(id=n, at=NOON, node="store")


def ids(store: Store, after: Position | None = None) -> list[str]:
    return [entry.id for entry in store.read_log(after or Position())]


def test_a_day_in_the_shop_leaves_books_that_balance(store: Store) -> None:
    store.record([StockReceived(id="r", at=NOON, sku="tee", node="store", units=20)])
    store.report([StockReported(id="m", at=NOON, source="erp", sequence=1, sku="tee", node="store", units=18)])
    store.remember([Person("ann", "Ann")], NOON)
    store.hold([held("h", ("tee", 1)), held("g", ("tee", 1)), held("f", ("tee", 1), minutes=1)])
    first, second, third = store.place([
        ordered("1", ("tee", 3), recipient="ann", hold="h"), ordered("2", ("tee", 1), review=True),
        ordered("3", ("tee", 2), cancel_at=NOON + 5),
    ])  # fmt: skip
    assert store.give_up(HoldReleased(id="u", at=NOON, hold="g"))
    assert store.expire(NOON + MINUTE) == Ended(holds=1, orders=1, pickups=0, returns=0)
    assert store.change(OrderReviewed(id="v", at=NOON, order=second.id, accepted=True))
    assert store.change(OrderEdited(id="e", at=NOON, order=second.id, priority=3))
    assert store.change(OrderCancelled(id="c", at=NOON, order=second.id))
    assert store.lease("w", NOON, NOON + 1, 9) == [first.no]
    assert store.unlease("w", [first.no or 0]) == 1
    assert third.no is not None
    store.change(OrderEdited(id="x", at=NOON, order=first.id, promise_day=NOON // DAY + 1))
    store.database.write(lambda tx: settle(tx, first.id, (1, STORE, 3)))
    ((consignment,),) = store.release([OrderReleased(id="l", at=NOON, order=first.id)])
    assert store.handle(Shipped(id="s", at=NOON, consignment=consignment))
    assert store.erase(RecipientErased(id="z", at=NOON, recipient="ann"))
    assert store.fsck() == []
    assert [entry.kind for entry in store.facts_about(first.id)] == ["OrderPlaced", "OrderEdited", "OrderReleased"]
    assert all(read_fact(entry.payload).id == entry.id for entry in store.read_log(Position()))


def test_the_log_is_read_from_a_position_on(store: Store) -> None:
    for name in "abc":
        store.record([paused(name)])
    assert ids(store) == ["a", "b", "c"]
    first, second = store.read_log(Position(), limit=2)
    assert first.position < second.position
    assert ids(store, second.position) == ["c"]
    assert store.position_of("webhooks") == Position()
    assert store.advance("webhooks", second.position)
    assert not store.advance("webhooks", first.position)
    assert store.position_of("webhooks") == second.position


def test_no_fact_appears_behind_a_position_that_was_read(store: Store) -> None:
    """A transaction that got the earlier number and commits later than another one is waited for."""
    if store.database.dialect == "sqlite":
        pytest.skip("one writer: numbers are committed in their order")
    written, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        write_facts(tx, [paused("slow")])
        written.set()
        assert go_on.wait(20)

    thread = threading.Thread(target=lambda: store.database.write(slow))
    thread.start()
    assert written.wait(20)
    store.record([paused("quick")])
    seen = store.read_log(Position())
    go_on.set()
    thread.join()
    later = store.read_log(seen[-1].position if seen else Position())
    assert sorted(entry.id for entry in [*seen, *later]) == ["quick", "slow"]


def test_a_refused_fact_leaves_nothing_in_the_log(store: Store) -> None:
    with pytest.raises(ValueError, match="no order"):
        store.database.write(lambda tx: release(tx, [OrderReleased(id="l", at=NOON, order="none")]))
    assert ids(store) == []
