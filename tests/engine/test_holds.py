from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.books import fsck
from engine.claims import UNDECIDED
from engine.database import Database
from engine.facts import HoldPlaced, HoldReleased
from engine.holds import Held, expire_holds, place_holds, release_hold
from engine.orders import place
from solver.refusal import Refusal
from tests.engine.shop import (
    CAP,
    MINUTE,
    NOON,
    STORE,
    TEE,
    WAREHOUSE,
    held,
    numbers_of,
    open_shop,
    ordered,
    stock_of,
    supply,
)


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)


def hold(database: Database, fact: HoldPlaced) -> Held:
    (answer,) = database.write(lambda tx: place_holds(tx, [fact]))
    return answer


def state(database: Database, hold_id: str) -> str:
    with database.read() as tx:
        return str(tx.value("SELECT state FROM hold WHERE id = :id", id=hold_id))


def test_a_hold_keeps_units_once(database: Database) -> None:
    supply(database, (TEE, STORE, 5))
    assert hold(database, held("h", ("tee", 3))).outcome == "new"
    assert hold(database, held("h", ("tee", 3))).outcome == "seen"
    assert hold(database, held("h", ("tee", 2))).code == "fact_conflict"
    assert stock_of(database, TEE, STORE) == (5, 3)


def test_a_hold_is_kept_whole_or_not_at_all(database: Database) -> None:
    supply(database, (TEE, STORE, 5), (CAP, WAREHOUSE, 1))
    refused = hold(database, held("h", ("tee", 3), ("cap", 2)))
    assert (refused.outcome, refused.code, refused.place) == ("refused", "not_enough_stock", "units[1].units")
    assert stock_of(database, TEE, STORE) == (5, 0)
    answers = database.write(
        lambda tx: place_holds(tx, [held("a", ("tee", 3), ("cap", 2)), held("b", ("tee", 5)), held("c", ("tee", 1))])
    )
    assert [answer.outcome for answer in answers] == ["refused", "new", "refused"]


def test_a_hold_is_kept_at_one_node_where_one_has_everything(database: Database) -> None:
    supply(database, (TEE, WAREHOUSE, 9), (TEE, STORE, 3), (CAP, STORE, 3))
    hold(database, held("h", ("tee", 2), ("cap", 1)))
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((3, 2), (3, 1))
    hold(database, held("n", ("tee", 1), node="warehouse"))
    assert stock_of(database, TEE, WAREHOUSE) == (9, 1)


def test_a_held_kit_holds_its_parts_together(database: Database) -> None:
    supply(database, (TEE, STORE, 2), (CAP, STORE, 9), (CAP, WAREHOUSE, 9))
    assert hold(database, held("a", ("set", 3))).code == "not_enough_stock"
    assert hold(database, held("b", ("set", 2))).outcome == "new"
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((2, 2), (9, 4))


def test_safety_is_kept_back_from_holds(database: Database) -> None:
    supply(database, (TEE, STORE, 5))
    database.write(lambda tx: tx.run("UPDATE stock SET safety_sell = 2"))
    database.write(lambda tx: tx.run("UPDATE channel SET safety = 1 WHERE id = 'web'"))
    assert hold(database, held("a", ("tee", 3))).code == "not_enough_stock"
    assert hold(database, held("b", ("tee", 2))).outcome == "new"


def test_a_hold_does_not_take_what_an_open_order_was_promised(database: Database) -> None:
    database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id = 'tee'"))
    supply(database, (TEE, STORE, 2))
    database.write(lambda tx: place(tx, [ordered("1", ("tee", 1))]))
    assert hold(database, held("a", ("tee", 2))).code == "not_enough_stock"
    assert hold(database, held("b", ("tee", 1))).outcome == "new"
    (late,) = database.write(lambda tx: place(tx, [ordered("2", ("tee", 1))]))
    assert late.code == "not_enough_stock"


def test_a_hold_ends_once(database: Database) -> None:
    supply(database, (TEE, STORE, 5))
    hold(database, held("h", ("tee", 3)))
    given_up = HoldReleased(id="x", at=NOON, hold="h")
    assert database.write(lambda tx: release_hold(tx, given_up))
    assert not database.write(lambda tx: release_hold(tx, given_up))
    assert (state(database, "h"), stock_of(database, TEE, STORE)) == ("released", (5, 0))
    for other, code in (("h", "hold_ended"), ("none", "unknown_hold")):
        with pytest.raises(Refusal) as refused:
            database.write(lambda tx, o=other: release_hold(tx, HoldReleased(id="y", at=NOON, hold=o)))
        assert refused.value.code == code
    assert database.write(lambda tx: expire_holds(tx, NOON + 99 * MINUTE)) == 0


def test_holds_expire_when_their_time_is_up(database: Database) -> None:
    supply(database, (TEE, STORE, 5))
    hold(database, held("a", ("tee", 1), minutes=7))
    hold(database, held("b", ("tee", 1), minutes=8))
    assert database.write(lambda tx: expire_holds(tx, NOON + 7 * MINUTE)) == 1
    assert (state(database, "a"), state(database, "b"), stock_of(database, TEE, STORE)) == ("expired", "held", (5, 1))


def test_an_order_takes_its_hold_over(database: Database) -> None:
    supply(database, (TEE, STORE, 4), (CAP, STORE, 8))
    hold(database, held("h", ("tee", 2), ("set", 1)))
    (answer,) = database.write(lambda tx: place(tx, [ordered("1", ("tee", 3), ("set", 1), hold="h")]))
    assert numbers_of(database, answer.id)[:2] == (1, 3)
    assert (state(database, "h"), stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == (
        "converted", (4, 3), (8, 2),
    )  # fmt: skip
    with database.read() as tx:
        assert tx.all("SELECT number, sku_no, service, units, line_units FROM claim ORDER BY number, sku_no") == [
            (1, TEE, UNDECIDED, 2, 2), (2, TEE, UNDECIDED, 1, 1), (2, CAP, UNDECIDED, 2, 1),
        ]  # fmt: skip
    (again,) = database.write(lambda tx: place(tx, [ordered("2", ("tee", 1), hold="h")]))
    assert again.code == "hold_ended"


def test_what_was_held_and_not_ordered_is_free_again(database: Database) -> None:
    supply(database, (TEE, STORE, 4), (CAP, STORE, 8))
    hold(database, held("h", ("tee", 3), ("cap", 2)))
    (answer,) = database.write(lambda tx: place(tx, [ordered("1", ("tee", 1), hold="h")]))
    assert numbers_of(database, answer.id)[:2] == (0, 1)
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((4, 1), (8, 0))


def test_a_hold_whose_time_is_up_converts_no_more(database: Database) -> None:
    supply(database, (TEE, STORE, 4))
    hold(database, held("h", ("tee", 3), minutes=1))
    (answer,) = database.write(lambda tx: place(tx, [ordered("1", ("tee", 1), at=NOON + MINUTE, hold="h")]))
    assert answer.code == "hold_ended"


def test_many_carts_never_hold_more_than_there_is(database: Database) -> None:
    supply(database, (TEE, STORE, 11), (TEE, WAREHOUSE, 4), (CAP, STORE, 12))
    with ThreadPoolExecutor(10) as clients:
        answers = Counter(
            clients.map(
                lambda i: hold(database, held(str(i), ("tee", 1), *([("cap", 1)] if i % 2 else []))).outcome, range(60)
            )
        )
    assert answers["new"] == 15
    assert (stock_of(database, TEE, STORE), stock_of(database, TEE, WAREHOUSE)) == ((11, 11), (4, 4))


def test_a_hold_is_released_or_converted_never_both(database: Database) -> None:
    supply(database, (TEE, STORE, 20))
    for i in range(10):
        hold(database, held(f"h{i}", ("tee", 2)))

    def end(i: int) -> str:
        one = f"h{i // 2}"
        if i % 2:
            (answer,) = database.write(lambda tx: place(tx, [ordered(one, ("tee", 2), hold=one)]))
            return answer.outcome
        try:
            return str(database.write(lambda tx: release_hold(tx, HoldReleased(id=f"x{one}", at=NOON, hold=one))))
        except Refusal as refused:
            return refused.code

    with ThreadPoolExecutor(8) as clients:
        outcomes = Counter(clients.map(end, range(20)))
    assert outcomes["new"] + outcomes["True"] == 10
    assert stock_of(database, TEE, STORE) == (20, 2 * outcomes["new"])


def test_what_is_held_counts_against_the_allotment_until_it_is_ordered_or_given_back(database: Database) -> None:
    supply(database, (TEE, STORE, 20))
    database.write(lambda tx: tx.run("INSERT INTO channel_stock (channel, sku_no, allotment) VALUES ('web', 1, 5)"))

    def sold() -> int:
        with database.read() as tx:
            assert fsck(tx) == []
            return int(tx.value("SELECT sold FROM channel_stock"))

    assert hold(database, held("a", ("tee", 3), minutes=30)).outcome == "new"
    assert hold(database, held("b", ("tee", 2))).outcome == "new"
    refused = hold(database, held("c", ("tee", 1)))
    assert (refused.code, refused.place) == ("allotment_sold_out", "units[0].units")
    assert database.write(lambda tx: place(tx, [ordered("1", ("tee", 1))]))[0].code == "allotment_sold_out"
    assert sold() == 5
    assert database.write(lambda tx: expire_holds(tx, NOON + 10 * MINUTE)) == 1
    assert sold() == 3
    orders = [ordered("2", ("tee", 6), hold="a"), ordered("3", ("tee", 4), hold="a"), ordered("4", ("tee", 2))]
    answers = database.write(lambda tx: place(tx, orders))
    assert [answer.code for answer in answers] == ["allotment_sold_out", "", "allotment_sold_out"]
    assert sold() == 4
    hold(database, held("d", ("tee", 1)))
    database.write(lambda tx: release_hold(tx, HoldReleased(id="r", at=NOON, hold="d")))
    assert sold() == 4


def test_a_cart_that_is_ordered_without_a_part_of_it_gives_that_part_of_the_allotment_back(database: Database) -> None:
    supply(database, (TEE, STORE, 5), (CAP, STORE, 5))
    database.write(
        lambda tx: tx.run("INSERT INTO channel_stock (channel, sku_no, allotment) VALUES ('web', 1, 5), ('web', 2, 5)")
    )
    hold(database, held("a", ("tee", 2), ("cap", 3)))
    assert database.write(lambda tx: place(tx, [ordered("1", ("cap", 1), hold="a")]))[0].outcome == "new"
    with database.read() as tx:
        assert fsck(tx) == []
        assert tx.all("SELECT sold FROM channel_stock ORDER BY sku_no") == [(0,), (1,)]
