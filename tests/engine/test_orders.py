from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from engine.database import Database
from engine.facts import (
    LineQuantity,
    LineUnits,
    OrderCancelled,
    OrderEdited,
    OrderedLine,
    OrderReviewed,
    RecipientErased,
)
from engine.orders import (
    Person,
    Placed,
    cancel,
    edit,
    expire_orders,
    lease_orders,
    place,
    remember,
    review,
    unlease_orders,
)
from engine.privacy import erase
from solver.refusal import Refusal
from tests.engine.shop import (
    CAP,
    DAY,
    MUG,
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


def placed(database: Database, *args: object, **more: object) -> Placed:
    (answer,) = database.write(lambda tx: place(tx, [ordered(*args, **more)]))  # type: ignore[arg-type]
    return answer


def cancelled(n: int, order: str, *lines: tuple[int, int], **more: object) -> OrderCancelled:
    return OrderCancelled(id=f"x{n}", at=NOON, order=order,
                          lines=tuple(LineUnits(line=line, units=units) for line, units in lines), **more)  # type: ignore[arg-type]  # fmt: skip


def facts(database: Database) -> list[tuple[str, str]]:
    with database.read() as tx:
        return [(kind, subject) for kind, subject in tx.all("SELECT kind, subject FROM fact ORDER BY no")]


def test_an_order_is_open_when_it_is_placed(database: Database) -> None:
    answer = placed(database, "1", ("tee", 2), ("mug", 1))
    assert (answer.outcome, answer.code) == ("new", "")
    assert numbers_of(database, answer.id) == (3, 0, 0, 0, 0, 0, 0)
    assert state_of(database, answer.id) == "open"
    assert facts(database) == [("OrderPlaced", answer.id)]


def test_the_same_order_twice_is_one_and_with_other_content_a_conflict(database: Database) -> None:
    first = placed(database, "1", ("tee", 2))
    assert placed(database, "1", ("tee", 2), at=NOON + 5).outcome == "seen"
    other = placed(database, "1", ("tee", 3))
    assert (other.outcome, other.code, other.place, other.no) == ("conflict", "order_conflict", "external_id", first.no)
    assert placed(database, "1", ("tee", 3), channel="market").outcome == "new"
    assert numbers_of(database, first.id)[0] == 2


def test_a_batch_has_an_answer_for_each_order(database: Database) -> None:
    batch = [
        ordered("1", ("tee", 2)),
        ordered("2", ("nothing", 1)),
        ordered("1", ("tee", 2)),
        ordered("1", ("tee", 9)),
        ordered("3", ("tee", 1), channel="nowhere"),
        ordered("4", ("tee", 1), pickup=("moon",)),
        ordered("5", ("tee", 1), pickup=("warehouse",)),
        ordered("6", ("tee", 1), recipient="nobody"),
        ordered("7", ("tee", 1), hold="none"),
        ordered("8", ("tee", 0)),
        ordered("9", ("tee", 1), pickup=("store",)),
    ]
    answers = database.write(lambda tx: place(tx, batch))
    assert [(a.outcome, a.code, a.place) for a in answers] == [
        ("new", "", ""),
        ("refused", "unknown_sku", "lines[0].sku"),
        ("seen", "", ""),
        ("conflict", "order_conflict", "external_id"),
        ("refused", "unknown_channel", "channel"),
        ("refused", "unknown_node", "pickup[0]"),
        ("refused", "node_does_not_collect", "pickup[0]"),
        ("refused", "unknown_recipient", "recipient"),
        ("refused", "unknown_hold", "hold"),
        ("refused", "bad_input", "lines[0].qty"),
        ("new", "", ""),
    ]
    assert len(facts(database)) == 2


def test_five_hundred_orders_are_placed_in_few_statements(database: Database) -> None:
    batch = [ordered(str(i), ("tee", 1), ("cap", 2), ("set", 1)) for i in range(500)]
    asked: list[str] = []

    def act(tx: object) -> list[Placed]:
        execute = tx._execute  # type: ignore[attr-defined]
        tx._execute = lambda sql, rows, values: (asked.append(sql), execute(sql, rows, values))[1]  # type: ignore[attr-defined]
        return place(tx, batch)  # type: ignore[arg-type]

    assert {answer.outcome for answer in database.write(act)} == {"new"}
    assert len(asked) <= 12
    assert {answer.outcome for answer in database.write(lambda tx: place(tx, batch))} == {"seen"}


def test_ten_clients_with_the_same_orders_at_once_place_each_once(database: Database) -> None:
    batch = [ordered(str(i), ("tee", 1)) for i in range(20)]
    with ThreadPoolExecutor(10) as clients:
        answers = list(clients.map(lambda _: database.write(lambda tx: place(tx, batch)), range(10)))
    assert Counter(one.outcome for answer in answers for one in answer) == {"new": 20, "seen": 180}


def test_what_is_not_sold_beyond_stock_is_refused_when_open_orders_wait_for_it(database: Database) -> None:
    database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id = 'tee'"))
    supply(database, (TEE, STORE, 2), (TEE, WAREHOUSE, 1))
    assert placed(database, "1", ("tee", 2)).outcome == "new"
    refused = placed(database, "2", ("tee", 2))
    assert (refused.outcome, refused.code, refused.place) == ("refused", "not_enough_stock", "lines[0].qty")
    assert placed(database, "3", ("tee", 1)).outcome == "new"
    assert placed(database, "4", ("tee", 1)).code == "not_enough_stock"


def test_two_clients_never_buy_the_same_last_unit(database: Database) -> None:
    database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id IN ('tee', 'set')"))
    supply(database, (TEE, STORE, 10), (CAP, STORE, 100))
    with ThreadPoolExecutor(8) as clients:
        outcomes = Counter(
            clients.map(lambda i: placed(database, str(i), ("tee" if i % 2 else "set", 1)).outcome, range(40))
        )
    assert outcomes == {"new": 10, "refused": 30}


def test_a_kit_is_sold_only_where_its_parts_are_together(database: Database) -> None:
    database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id = 'set'"))
    supply(database, (TEE, STORE, 5), (CAP, STORE, 3), (CAP, WAREHOUSE, 9))
    assert placed(database, "1", ("set", 2)).code == "not_enough_stock"
    assert placed(database, "2", ("set", 1)).outcome == "new"
    assert placed(database, "3", ("set", 1)).code == "not_enough_stock"


def test_safety_and_buffers_are_kept_back_from_selling(database: Database) -> None:
    def limit(tx: object) -> None:
        tx.run("UPDATE sku SET backorder = false WHERE id = 'tee'")  # type: ignore[attr-defined]
        tx.run("UPDATE stock SET safety_sell = 2 WHERE sku_no = 1")  # type: ignore[attr-defined]
        tx.run("UPDATE channel SET safety = 1 WHERE id = 'web'")  # type: ignore[attr-defined]
        tx.run("INSERT INTO channel_stock (channel, sku_no, buffer) VALUES ('web', 1, 3)")  # type: ignore[attr-defined]

    supply(database, (TEE, STORE, 10))
    database.write(limit)
    assert placed(database, "1", ("tee", 5)).code == "not_enough_stock"
    assert placed(database, "2", ("tee", 4)).outcome == "new"
    assert placed(database, "3", ("tee", 4), channel="market").outcome == "new"


def test_an_allotment_is_all_that_a_channel_sells_until_something_is_cancelled(database: Database) -> None:
    database.write(lambda tx: tx.run("INSERT INTO channel_stock (channel, sku_no, allotment) VALUES ('market', 1, 3)"))
    first = placed(database, "1", ("tee", 2), channel="market")
    assert placed(database, "2", ("tee", 2), channel="market").code == "allotment_sold_out"
    assert placed(database, "3", ("tee", 2)).outcome == "new"
    database.write(lambda tx: cancel(tx, cancelled(1, first.id, (1, 1))))
    assert placed(database, "4", ("tee", 2), channel="market").outcome == "new"


def test_a_presale_has_a_limit_until_its_day(database: Database) -> None:
    day = NOON // DAY + 5
    database.write(lambda tx: tx.run("UPDATE sku SET presale_limit = 3, sale_day = :day, backorder = false "
                                     "WHERE id = 'mug'", day=day))  # fmt: skip
    first = placed(database, "1", ("mug", 2))
    assert placed(database, "2", ("mug", 2)).code == "presale_sold_out"
    database.write(lambda tx: cancel(tx, cancelled(1, first.id)))
    assert placed(database, "3", ("mug", 3)).outcome == "new"
    assert placed(database, "4", ("mug", 1), at=NOON + 5 * DAY).code == "not_enough_stock"
    supply(database, (MUG, STORE, 1))
    assert placed(database, "5", ("mug", 1), at=NOON + 5 * DAY).outcome == "new"


def test_an_order_that_arrives_a_year_late_is_promised_and_sold_as_of_its_arrival(database: Database) -> None:
    today = NOON // DAY
    database.write(lambda tx: tx.run("UPDATE sku SET presale_limit = 1, sale_day = :day WHERE id = 'mug'", day=today))
    late = ordered("late", ("mug", 2), at=NOON - 365 * DAY)
    fresh = ordered("fresh", ("tee", 1), at=NOON - DAY)
    history = ordered("history", ("tee", 1), at=NOON - 365 * DAY)
    answers = database.write(lambda tx: place(tx, [late, fresh], now=NOON))
    assert [answer.outcome for answer in answers] == ["new", "new"]
    database.write(lambda tx: place(tx, [history]))
    with database.read() as tx:
        promised = dict(tx.all("SELECT external_id, promise_day FROM orders"))
        assert tx.value("SELECT presold FROM sku WHERE id = 'mug'") == 0
    assert promised == {"late": today + 5, "fresh": today + 4, "history": today - 360}


def test_an_order_held_for_review_waits_and_goes_on_or_ends(database: Database) -> None:
    good = placed(database, "1", ("tee", 1), review=True)
    bad = placed(database, "2", ("tee", 1), review=True)
    assert state_of(database, good.id) == "held"
    assert database.write(lambda tx: lease_orders(tx, "w", NOON, NOON + 9, 10)) == []
    database.write(lambda tx: review(tx, OrderReviewed(id="a", at=NOON, order=good.id, accepted=True)))
    database.write(lambda tx: review(tx, OrderReviewed(id="b", at=NOON, order=bad.id, accepted=False)))
    assert (state_of(database, good.id), state_of(database, bad.id)) == ("open", "cancelled")
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: review(tx, OrderReviewed(id="c", at=NOON, order=good.id, accepted=True)))
    assert refused.value.code == "not_in_review"


def test_an_edit_that_gives_up_every_line_and_adds_another_stays_in_review(database: Database) -> None:
    order = placed(database, "1", ("tee", 1), review=True)

    def change(n: int, *lines: LineQuantity, added: tuple[OrderedLine, ...] = ()) -> None:
        database.write(lambda tx: edit(tx, OrderEdited(id=f"e{n}", at=NOON, order=order.id, lines=lines, added=added)))

    change(1, LineQuantity(line=1, qty=0), added=(OrderedLine(sku="cap", qty=2),))
    assert (state_of(database, order.id), numbers_of(database, order.id)[0]) == ("held", 2)
    assert database.write(lambda tx: lease_orders(tx, "me", NOON, NOON + DAY, 9)) == []
    change(2, LineQuantity(line=2, qty=0))
    assert state_of(database, order.id) == "cancelled"
    with pytest.raises(Refusal) as refused:
        change(3, LineQuantity(line=2, qty=1))
    assert refused.value.code == "order_cancelled"


def test_cancelling_takes_open_units_first_and_gives_stock_back(database: Database) -> None:
    supply(database, (TEE, STORE, 2), (TEE, WAREHOUSE, 5))
    order = placed(database, "1", ("tee", 6)).id
    database.write(lambda tx: settle(tx, order, (1, STORE, 2), (1, WAREHOUSE, 3)))
    assert numbers_of(database, order) == (1, 5, 0, 0, 0, 0, 0)
    assert database.write(lambda tx: cancel(tx, cancelled(1, order, (1, 2))))
    assert not database.write(lambda tx: cancel(tx, cancelled(1, order, (1, 2))))
    assert numbers_of(database, order) == (0, 4, 0, 0, 0, 0, 2)
    assert (stock_of(database, TEE, STORE), stock_of(database, TEE, WAREHOUSE)) == ((2, 1), (5, 3))
    database.write(lambda tx: cancel(tx, cancelled(2, order)))
    assert state_of(database, order) == "cancelled"
    assert (stock_of(database, TEE, STORE), stock_of(database, TEE, WAREHOUSE)) == ((2, 0), (5, 0))
    with database.read() as tx:
        assert tx.all("SELECT 1 FROM claim UNION ALL SELECT 1 FROM parcel") == []
        assert tx.value("SELECT SUM(parcels + units) FROM node_day") == 0
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: cancel(tx, cancelled(3, order)))
    assert refused.value.code == "not_cancellable"


def test_cancelling_a_kit_frees_all_its_parts(database: Database) -> None:
    supply(database, (TEE, STORE, 3), (CAP, STORE, 6))
    order = placed(database, "1", ("set", 3)).id
    database.write(lambda tx: settle(tx, order, (1, STORE, 3)))
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((3, 3), (6, 6))
    database.write(lambda tx: cancel(tx, cancelled(1, order, (1, 1))))
    assert (stock_of(database, TEE, STORE), stock_of(database, CAP, STORE)) == ((3, 2), (6, 4))


@pytest.mark.parametrize(
    ("fact", "code", "place"),
    [
        (cancelled(1, "ord_none"), "unknown_order", "order"),
        (cancelled(1, "", (2, 1)), "unknown_line", "lines[0].line"),
        (cancelled(1, "", (1, 2), (1, 1)), "not_cancellable", "lines[1].units"),
        (cancelled(1, "", version=7), "version_conflict", "version"),
    ],
)
def test_what_cannot_be_cancelled_is_refused(database: Database, fact: OrderCancelled, code: str, place: str) -> None:
    order = placed(database, "1", ("tee", 2)).id
    asked = OrderCancelled(id="x", at=NOON, order=fact.order or order, lines=fact.lines, version=fact.version)
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: cancel(tx, asked))
    assert (refused.value.code, refused.value.place) == (code, place)
    assert len(facts(database)) == 1


def test_an_edit_changes_quantities_and_adds_lines(database: Database) -> None:
    supply(database, (TEE, STORE, 3))
    order = placed(database, "1", ("tee", 3), ("cap", 1)).id
    database.write(lambda tx: settle(tx, order, (1, STORE, 3)))
    change = OrderEdited(
        id="e", at=NOON, order=order, added=(OrderedLine(sku="mug", qty=2),),
        lines=(LineQuantity(line=1, qty=1), LineQuantity(line=2, qty=4)),
    )  # fmt: skip
    database.write(lambda tx: edit(tx, change))
    assert numbers_of(database, order) == (6, 1, 0, 0, 0, 0, 2)
    assert stock_of(database, TEE, STORE) == (3, 1)
    with database.read() as tx:
        assert tx.all("SELECT number, qty, open, allocated FROM order_line ORDER BY number") == [
            (1, 3, 0, 1), (2, 4, 4, 0), (3, 2, 2, 0),
        ]  # fmt: skip


def test_an_edit_that_may_need_other_parcels_gives_all_claims_back(database: Database) -> None:
    supply(database, (TEE, STORE, 3))
    order = placed(database, "1", ("tee", 3)).id
    database.write(lambda tx: settle(tx, order, (1, STORE, 3)))
    database.write(lambda tx: edit(tx, OrderEdited(id="p", at=NOON, order=order, priority=-5)))
    assert numbers_of(database, order)[:2] == (0, 3)
    database.write(lambda tx: edit(tx, OrderEdited(id="e", at=NOON, order=order, pickup=("store",))))
    assert numbers_of(database, order)[:2] == (3, 0)
    assert stock_of(database, TEE, STORE) == (3, 0)


def test_an_order_that_would_cost_more_than_can_be_counted_is_refused(database: Database) -> None:
    dear = OrderedLine(sku="mug", qty=10**5, unfilled_cents=10**8)
    order = placed(database, "1", ("tee", 1)).id
    [refused] = database.write(lambda tx: place(tx, [replace(ordered("2", ("tee", 1)), lines=(dear,))]))
    assert (refused.outcome, refused.place, refused.code) == ("refused", "lines", "too_much")
    with pytest.raises(Refusal) as refusal:
        database.write(lambda tx: edit(tx, OrderEdited(id="e", at=NOON, order=order, added=(dear,))))
    assert (refusal.value.place, refusal.value.code) == ("added", "too_much")
    assert numbers_of(database, order)[0] == 1


def test_an_edit_may_not_sell_what_is_not_there(database: Database) -> None:
    database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id = 'tee'"))
    supply(database, (TEE, STORE, 3))
    order = placed(database, "1", ("tee", 2)).id
    with pytest.raises(Refusal) as refused:
        database.write(
            lambda tx: edit(tx, OrderEdited(id="e", at=NOON, order=order, lines=(LineQuantity(line=1, qty=4),)))
        )
    assert (refused.value.code, refused.value.place) == ("not_enough_stock", "lines[1].qty")
    database.write(lambda tx: edit(tx, OrderEdited(id="f", at=NOON, order=order, lines=(LineQuantity(line=1, qty=3),))))
    assert numbers_of(database, order)[0] == 3


def test_orders_are_cancelled_when_their_time_is_up(database: Database) -> None:
    supply(database, (TEE, STORE, 3))
    due = placed(database, "1", ("tee", 3), cancel_at=NOON + 10).id
    later = placed(database, "2", ("tee", 3), cancel_at=NOON + 100).id
    database.write(lambda tx: settle(tx, due, (1, STORE, 2)))
    assert database.write(lambda tx: expire_orders(tx, NOON + 50)) == 1
    assert database.write(lambda tx: expire_orders(tx, NOON + 50)) == 0
    assert (state_of(database, due), state_of(database, later)) == ("cancelled", "open")
    assert stock_of(database, TEE, STORE) == (3, 0)


def test_orders_are_leased_by_urgency_and_to_one_at_a_time(database: Database) -> None:
    late = placed(database, "1", ("tee", 1), at=NOON + 9).no
    urgent = placed(database, "2", ("tee", 1), at=NOON + 9, priority=-1).no
    early = placed(database, "3", ("tee", 1), at=NOON).no
    assert database.write(lambda tx: lease_orders(tx, "a", NOON, NOON + 10, 2)) == [urgent, early]
    assert database.write(lambda tx: lease_orders(tx, "b", NOON, NOON + 10, 5)) == [late]
    assert database.write(lambda tx: unlease_orders(tx, "b", [late, early])) == 1  # type: ignore[list-item]
    assert database.write(lambda tx: lease_orders(tx, "c", NOON + 10, NOON + 20, 5)) == [urgent, early, late]


def test_a_lease_of_the_unserved_leaves_allocated_orders_alone(database: Database) -> None:
    supply(database, (TEE, STORE, 3))
    served = placed(database, "1", ("tee", 1))
    unserved = placed(database, "2", ("tee", 1))
    database.write(lambda tx: settle(tx, served.id, (1, STORE, 1)))
    assert database.write(lambda tx: lease_orders(tx, "a", NOON, NOON + 1, 5, unserved_only=True)) == [unserved.no]
    assert database.write(lambda tx: lease_orders(tx, "a", NOON + 2, NOON + 3, 5)) == [served.no, unserved.no]


def test_an_erased_recipient_leaves_the_order_and_nothing_personal(database: Database) -> None:
    database.write(lambda tx: remember(tx, [Person("p1", "Ann", "1 Street", None), Person("p2")], NOON))
    order = placed(database, "1", ("tee", 1), recipient="p1")
    database.write(lambda tx: erase(tx, RecipientErased(id="e", at=NOON, recipient="p1")))
    with database.read() as tx:
        assert tx.all("SELECT id, name, address, contact FROM recipient ORDER BY id") == [
            ("p1", None, None, None), ("p2", None, None, None),
        ]  # fmt: skip
        assert tx.value("SELECT recipient FROM orders WHERE id = :id", id=order.id) == "p1"
        assert not any("Ann" in payload for (payload,) in tx.all("SELECT payload FROM fact"))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: remember(tx, [Person("p1", "Ann")], NOON))
    assert refused.value.code == "recipient_erased"
    assert placed(database, "2", ("tee", 1), recipient="p1").code == "unknown_recipient"
