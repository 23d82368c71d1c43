from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from engine.database import Database
from engine.facts import (
    CapacitySet,
    ChannelStockSet,
    Fact,
    InboundAnnounced,
    InboundChanged,
    NodePaused,
    NodeResumed,
    SafetySet,
    StockAdjusted,
    StockCounted,
    StockPutBack,
    StockReceived,
    StockReported,
    StockScrapped,
    StockSetAside,
    StockTransferred,
)
from engine.feed import report
from engine.holds import place_holds
from engine.orders import place
from engine.stock import record
from solver.refusal import Refusal
from tests.engine.shop import (
    CAP,
    NOON,
    STORE,
    TEE,
    WAREHOUSE,
    held,
    numbers_of,
    open_shop,
    ordered,
    settle,
    stock_of,
    supply,
)


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)


def do(database: Database, *facts: Fact) -> list[bool]:
    return database.write(lambda tx: record(tx, facts))  # type: ignore[arg-type]


def refusal(database: Database, *facts: Fact) -> tuple[str, str]:
    with pytest.raises(Refusal) as refused:
        do(database, *facts)
    return refused.value.code, refused.value.place


def counted(n: str, units: int, sku: str = "tee", expected: int | None = None) -> StockCounted:
    return StockCounted(id=n, at=NOON, sku=sku, node="store", units=units, expected=expected)


def allocated(database: Database, external_id: str, units: int, **more: object) -> str:
    (answer,) = database.write(lambda tx: place(tx, [ordered(external_id, ("tee", units), **more)]))  # type: ignore[arg-type]
    database.write(lambda tx: settle(tx, answer.id, (1, STORE, units)))
    return answer.id


def test_stock_is_received_counted_adjusted_and_moved(database: Database) -> None:
    facts = [
        StockReceived(id="1", at=NOON, sku="tee", node="store", units=10),
        counted("2", 8, expected=10),
        StockAdjusted(id="3", at=NOON, sku="tee", node="store", change=-1, reason="theft"),
        StockTransferred(id="4", at=NOON, sku="tee", node="store", to_node="warehouse", units=3),
        StockSetAside(id="5", at=NOON, sku="tee", node="store", units=2, state="damaged"),
        StockPutBack(id="6", at=NOON, sku="tee", node="store", units=1, state="damaged"),
        StockScrapped(id="7", at=NOON, sku="tee", node="store", units=1, state="damaged"),
    ]
    assert do(database, *facts) == [True] * 7
    assert do(database, *facts) == [False] * 7
    assert (stock_of(database, TEE, STORE), stock_of(database, TEE, WAREHOUSE)) == ((3, 0), (3, 0))
    with database.read() as tx:
        assert [cause for (cause,) in tx.all("SELECT cause FROM movement ORDER BY no")] == [
            "received", "counted", "adjusted", "transferred", "transferred", "set_aside", "put_back", "scrapped",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "code", "place"),
    [
        (StockReceived(id="x", at=NOON, sku="none", node="store", units=1), "unknown_sku", "sku"),
        (StockReceived(id="x", at=NOON, sku="tee", node="none", units=1), "unknown_node", "node"),
        (StockReceived(id="x", at=NOON, sku="set", node="store", units=1), "kit_has_no_stock", "sku"),
        (StockReceived(id="x", at=NOON, sku="tee", node="store", units=1, inbound="i"), "unknown_inbound", "inbound"),
        (counted("x", 1, expected=9), "count_conflict", "expected"),
        (StockAdjusted(id="x", at=NOON, sku="tee", node="store", change=-6, reason="r"), "not_enough_stock", "units"),
        (StockPutBack(id="x", at=NOON, sku="tee", node="store", units=1, state="damaged"), "not_enough_stock", "units"),
        (StockTransferred(id="x", at=NOON, sku="tee", node="store", to_node="store", units=1), "bad_input", "to_node"),
        (ChannelStockSet(id="x", at=NOON, channel="none", sku="tee"), "unknown_channel", "channel"),
    ],
    ids=range(9),
)
def test_what_cannot_be_is_refused_and_nothing_of_its_batch_is_done(
    database: Database, fact: Fact, code: str, place: str
) -> None:
    supply(database, (TEE, STORE, 5))
    assert refusal(database, fact) == (code, place)
    assert refusal(database, counted("good", 3, sku="cap"), fact) == (code, f"facts[1].{place}")
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((5, 0), (0, 0))
    with database.read() as tx:
        assert tx.all("SELECT * FROM fact") == []


def test_a_count_compares_and_sets_when_ten_count_at_once(database: Database) -> None:
    supply(database, (TEE, STORE, 5))

    def count(i: int) -> bool:
        try:
            return do(database, counted(str(i), 5 + i, expected=5)) == [True]
        except Refusal:
            return False

    with ThreadPoolExecutor(10) as clients:
        assert sum(clients.map(count, range(1, 11))) == 1


def test_many_first_counts_at_once_leave_one_of_them(database: Database) -> None:
    with ThreadPoolExecutor(10) as clients:
        list(clients.map(lambda i: do(database, counted(str(i), 5)), range(10)))
    assert stock_of(database, TEE, STORE) == (5, 0)


def test_a_count_below_what_is_claimed_frees_the_latest_orders_first(database: Database) -> None:
    supply(database, (TEE, STORE, 10))
    early, late = allocated(database, "1", 4), allocated(database, "2", 5, at=NOON + 1)
    do(database, counted("c", 6))
    assert stock_of(database, TEE, STORE) == (6, 6)
    assert numbers_of(database, early)[:2] == (0, 4)
    assert numbers_of(database, late)[:2] == (3, 2)
    with database.read() as tx:
        assert tx.all("SELECT subject FROM fact WHERE kind = 'Deallocated'") == [(late,)]


def test_orders_give_way_before_holds(database: Database) -> None:
    supply(database, (TEE, STORE, 10))
    order = allocated(database, "1", 4)
    database.write(lambda tx: place_holds(tx, [held("h", ("tee", 5))]))
    do(database, counted("c", 5))
    assert (numbers_of(database, order)[:2], stock_of(database, TEE, STORE)) == ((4, 0), (5, 5))
    do(database, counted("d", 4))
    assert stock_of(database, TEE, STORE) == (4, 0)
    with database.read() as tx:
        assert tx.value("SELECT state FROM hold") == "released"


def test_a_lost_part_frees_the_whole_kit(database: Database) -> None:
    supply(database, (TEE, STORE, 3), (CAP, STORE, 6))
    (answer,) = database.write(lambda tx: place(tx, [ordered("1", ("set", 3))]))
    database.write(lambda tx: settle(tx, answer.id, (1, STORE, 3)))
    do(database, counted("c", 3, sku="cap"))
    assert numbers_of(database, answer.id)[:2] == (2, 1)
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((3, 1), (3, 2))


def test_feeds_survive_duplicates_late_and_disordered_messages(database: Database) -> None:
    def message(n: int, sequence: int, units: int, source: str = "erp") -> StockReported:
        return StockReported(
            id=f"m{n}", at=NOON, source=source, sequence=sequence, sku="tee", node="store", units=units
        )

    def say(*messages: StockReported) -> list[str]:
        return database.write(lambda tx: report(tx, messages))

    assert say(message(1, 5, 10)) == ["applied"]
    assert say(message(1, 5, 10)) == ["seen"]
    assert say(message(2, 4, 99)) == ["late"]
    assert say(message(3, 8, 7), message(4, 7, 8), message(3, 8, 7)) == ["applied", "late", "seen"]
    assert say(message(5, 1, 6, source="pos")) == ["applied"]
    assert stock_of(database, TEE, STORE) == (6, 0)
    order = allocated(database, "1", 6)
    assert say(message(6, 9, 2)) == ["applied"]
    assert stock_of(database, TEE, STORE) == (2, 2)
    assert numbers_of(database, order)[:2] == (4, 2)


def test_inbound_is_announced_changed_and_received(database: Database) -> None:
    do(database, InboundAnnounced(id="1", at=NOON, inbound="po", sku="tee", node="store", units=10, due_day=20_300))
    do(database, InboundChanged(id="2", at=NOON, inbound="po", units=8, due_day=20_310))
    do(database, StockReceived(id="3", at=NOON, sku="tee", node="store", units=5, inbound="po"))
    assert refusal(database, InboundChanged(id="4", at=NOON, inbound="po", units=4)) == ("already_received", "units")
    wrong = StockReceived(id="5", at=NOON, sku="cap", node="store", units=5, inbound="po")
    assert refusal(database, wrong) == ("inbound_mismatch", "inbound")
    with database.read() as tx:
        assert tx.first("SELECT units, received, due_day FROM inbound") == (8, 5, 20_310)


def test_a_cancelled_inbound_stays_cancelled_until_somebody_says_otherwise(database: Database) -> None:
    def cancelled(n: str, **said: Any) -> bool:
        do(database, InboundChanged(id=n, at=NOON, inbound="po", **said))
        with database.read() as tx:
            return bool(tx.value("SELECT cancelled FROM inbound"))

    do(database, InboundAnnounced(id="1", at=NOON, inbound="po", sku="tee", node="store", units=10, due_day=20_300))
    assert cancelled("2", cancelled=True)
    assert cancelled("3", due_day=20_310)
    assert not cancelled("4", cancelled=False)


def test_what_is_set_about_nodes_and_channels_is_kept(database: Database) -> None:
    do(
        database,
        SafetySet(id="1", at=NOON, sku="tee", node="store", sell=3, route=1),
        CapacitySet(id="2", at=NOON, node="store", day=20_300, parcels=5),
        NodePaused(id="3", at=NOON, node="store"),
        ChannelStockSet(id="4", at=NOON, channel="web", sku="set", buffer=1, allotment=5),
    )
    with database.read() as tx:
        assert tx.first("SELECT safety_sell, safety_route FROM stock") == (3, 1)
        assert tx.first("SELECT capacity_parcels, capacity_units, parcels FROM node_day") == (5, None, 0)
        assert tx.first("SELECT buffer, allotment, sold FROM channel_stock") == (1, 5, 0)
        assert bool(tx.value("SELECT paused FROM node WHERE id = 'store'"))
    do(database, NodeResumed(id="5", at=NOON, node="store"))
    with database.read() as tx:
        assert not tx.value("SELECT paused FROM node WHERE id = 'store'")


def test_counts_and_orders_at_once_leave_books_that_balance(database: Database) -> None:
    supply(database, (TEE, STORE, 60))
    orders = [allocated(database, str(i), 3) for i in range(20)]
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda i: do(database, counted(str(i), 60 - 7 * i)), range(8)))
    on_hand, reserved = stock_of(database, TEE, STORE)
    assert on_hand >= reserved == sum(numbers_of(database, order)[1] for order in orders)
