"""What of the log is told to others: each once, numbered, whatever dies in between."""

from collections.abc import Sequence
from typing import Any

import pytest

from engine import events, webhooks
from engine.books import fsck
from engine.consignments import release
from engine.database import Database, Tx, decoded
from engine.entries import ChannelEntry, put_channels, put_services
from engine.events import FRESH, Thresholds, has_news, put_thresholds, relay
from engine.facts import (
    Allocated,
    AllocatedParcel,
    Delivered,
    Fact,
    HoldReleased,
    LineUnits,
    NodePaused,
    NodeResumed,
    OrderCancelled,
    OrderEdited,
    OrderReleased,
    OrderReviewed,
    OutForDelivery,
    ReturnedUnits,
    ReturnReceived,
    Shipped,
    StockAdjusted,
)
from engine.holds import place_holds, release_hold
from engine.ledger import write_facts
from engine.orders import Person, cancel, edit, place, remember, review
from engine.returns import take_back
from engine.shipping import deliver, send_out, ship
from engine.stock import record
from solver.refusal import Refusal
from tests.engine.shop import DAY, NOON, SERVICES, STORE, TEE, held, open_shop, ordered, settle, supply
from tests.engine.test_returns import ask, come, delivered, look

ALL: Sequence[str] = ()


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)
    supply(database, (TEE, STORE, 10))
    database.write(lambda tx: webhooks.create(tx, NOON, "whk_1", "https://a.example", ALL, "", "sealed"))
    tell(database)


def tell(database: Database, at: int = NOON, notify: Sequence[str] = ()) -> list[tuple[str, str, int]]:
    """Make events of all that was written down: type, subject and number of those that are new."""
    with database.read() as tx:
        last = tx.value("SELECT COALESCE(MAX(no), 0) FROM event")
    while database.write(lambda tx: relay(tx, at, notify)):
        pass
    with database.read() as tx:
        assert fsck(tx) == []
        return [
            tuple(row)
            for row in tx.all("SELECT type, subject, sequence FROM event WHERE no > :no ORDER BY no", no=last)
        ]  # type: ignore[misc]


def types(database: Database) -> list[str]:
    return [type for type, *_ in tell(database)]


def said(database: Database) -> dict[str, Any]:
    """What the last event says."""
    with database.read() as tx:
        found: dict[str, Any] = decoded(tx.value("SELECT data FROM event ORDER BY no DESC LIMIT 1"))
    return found


def write(database: Database, *facts: Fact) -> None:
    database.write(lambda tx: write_facts(tx, facts))


def placed(database: Database, external_id: str = "1", *lines: tuple[str, int], **more: Any) -> str:
    order = ordered(external_id, *(lines or (("tee", 2),)), **more)
    return database.write(lambda tx: place(tx, [order]))[0].id


def allocated(order: str, id: str, arrives: int, promise: int, units: int = 2) -> Allocated:
    parcel = AllocatedParcel(
        node="store", service="post", lines=(LineUnits(line=1, units=units),), arrives_day=arrives, cents=300
    )
    return Allocated(id=id, at=NOON, order=order, parcels=(parcel,), promise_day=promise)


def shipped(database: Database, order: str) -> str:
    database.write(lambda tx: settle(tx, order, (1, STORE, 2)))
    ((consignment,),) = database.write(lambda tx: release(tx, [OrderReleased(id=f"l{order}", at=NOON, order=order)]))
    database.write(lambda tx: ship(tx, Shipped(id=f"s{order}", at=NOON, consignment=consignment, tracking="1Z")))
    return consignment


def test_an_order_is_told_step_by_step_and_numbered(database: Database) -> None:
    order = placed(database)
    write(database, allocated(order, "a", 20_302, 20_303))
    consignment = shipped(database, order)
    database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON, consignment=consignment)))
    units = (ReturnedUnits(line=1, sku="tee", units=1),)
    database.write(lambda tx: take_back(tx, ReturnReceived(id="b", at=NOON, consignment=consignment, units=units)))
    other = placed(database, "2")
    assert tell(database) == [
        ("order.confirmed", order, 1),
        ("order.allocated", order, 2),
        ("order.shipped", order, 3),
        ("order.delivered", order, 4),
        ("return.received", order, 5),
        ("order.confirmed", other, 1),
    ]
    assert tell(database) == []
    with database.read() as tx:
        (data,) = tx.all("SELECT data FROM event WHERE type = 'order.shipped'")
    assert decoded(data[0]) == {
        "order": order, "channel": "web", "external_id": "1", "consignment": consignment, "node": "store",
        "collect": None, "service": "post", "tracking": "1Z", "until": None, "lines": [{"line": 1, "units": 2}],
    }  # fmt: skip


def test_a_relay_that_fails_before_it_commits_tells_all_of_it_once_afterwards(database: Database) -> None:
    order = placed(database)

    def die(tx: Tx) -> None:
        relay(tx, NOON)
        raise KeyError("died")

    with pytest.raises(KeyError):
        database.write(die)
    assert tell(database) == [("order.confirmed", order, 1)]


def test_many_facts_are_told_in_many_transactions_with_no_number_left_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "TOGETHER", 3)
    orders = [placed(database, str(n)) for n in range(4)]
    for n in range(3):
        write(database, *(allocated(order, f"{n}{order}", 20_302, 20_303) for order in orders))
    made = tell(database)
    assert {order: [number for _, subject, number in made if subject == order] for order in orders} == {
        order: [1, 2, 3, 4] for order in orders
    }


def test_an_order_that_is_held_for_review_is_confirmed_once_it_is_accepted(database: Database) -> None:
    order, refused = placed(database, "1", review=True), placed(database, "2", review=True)
    assert types(database) == []
    database.write(lambda tx: review(tx, OrderReviewed(id="r", at=NOON, order=order, accepted=True)))
    database.write(lambda tx: review(tx, OrderReviewed(id="n", at=NOON, order=refused, accepted=False)))
    assert tell(database) == [("order.confirmed", order, 1), ("order.cancelled", refused, 1)]


def test_so_is_one_of_a_channel_whose_orders_are_all_held(database: Database) -> None:
    database.write(lambda tx: put_channels(tx, [ChannelEntry(id="web", review=True)], NOON))
    order = placed(database)
    database.write(lambda tx: review(tx, OrderReviewed(id="r", at=NOON, order=order, accepted=True)))
    assert tell(database) == [("order.confirmed", order, 1)]


def test_an_order_is_delayed_when_it_arrives_later_than_was_told_and_told_so_once(database: Database) -> None:
    order = placed(database)
    write(database, allocated(order, "a", 20_302, 20_303))
    write(database, allocated(order, "b", 20_303, 20_303))
    assert "order.delayed" not in types(database)
    write(database, allocated(order, "c", 20_305, 20_303))
    assert types(database) == ["order.allocated", "order.delayed"]
    assert (said(database)["promise_day"], said(database)["arrives_day"]) == (20_303, 20_305)
    write(database, allocated(order, "d", 20_305, 20_303), allocated(order, "e", 20_304, 20_303))
    assert types(database) == ["order.allocated"] * 2
    write(database, allocated(order, "f", 20_306, 20_303))
    assert types(database) == ["order.allocated", "order.delayed"]


def test_a_promise_that_moves_is_a_delay_but_not_where_the_customer_asked_for_another_day(database: Database) -> None:
    order = placed(database)
    write(database, allocated(order, "a", 20_302, 20_303))
    write(database, allocated(order, "b", 20_302, 20_304))
    assert types(database)[-1] == "order.delayed"
    database.write(lambda tx: edit(tx, OrderEdited(id="e", at=NOON, order=order, promise_day=20_310)))
    write(database, allocated(order, "c", 20_308, 20_310))
    assert types(database) == ["order.allocated"]


def test_a_cancellation_says_what_was_cancelled_and_not_why(database: Database) -> None:
    order = placed(database)
    lines = (LineUnits(line=1, units=1),)
    fact = OrderCancelled(id="c", at=NOON, order=order, lines=lines, reason="Ann Smith of 1 High Street asked")
    database.write(lambda tx: cancel(tx, fact))
    assert types(database) == ["order.confirmed", "order.cancelled"]
    assert said(database) == {
        "order": order, "channel": "web", "external_id": "1", "lines": [{"line": 1, "units": 1}]
    }  # fmt: skip


def test_returns_and_refunds_are_told_of_their_order(database: Database) -> None:
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    order, consignment = delivered(database, ("tee", 3), number="7")
    tell(database)
    rma = ask(database, order, (1, 2))
    come(database, consignment, (1, "tee", 2), rma=rma)
    look(database, rma, (1, "tee", 2, "restock"))
    told = tell(database)
    assert [type for type, *_ in told] == ["return.approved", "return.received", "refund.owed"]
    assert {subject for _, subject, _ in told} == {order}
    data = said(database)
    assert (data["rma"], data["refund_cents"]) == (rma, 2000)


def test_going_out_for_delivery_is_told(database: Database) -> None:
    order = placed(database)
    consignment = shipped(database, order)
    tell(database)
    database.write(lambda tx: send_out(tx, OutForDelivery(id="o", at=NOON, consignment=consignment)))
    assert tell(database) == [("order.out_for_delivery", order, 3)]


def test_nobody_listens_until_there_is_a_webhook_and_then_from_now_on(database: Database) -> None:
    database.write(lambda tx: webhooks.delete(tx, NOON, "whk_1"))
    placed(database)
    assert tell(database) == []
    with database.read() as tx:
        assert not has_news(tx)
    database.write(lambda tx: webhooks.create(tx, NOON, "whk_2", "https://b.example", ALL, "", "sealed"))
    order = placed(database, "2")
    with database.read() as tx:
        assert has_news(tx)
    assert tell(database) == [("order.confirmed", order, 1)]


def test_an_order_from_before_anybody_listened_is_not_confirmed_when_it_goes_on(database: Database) -> None:
    database.write(lambda tx: webhooks.delete(tx, NOON, "whk_1"))
    tell(database)
    order = placed(database)
    database.write(lambda tx: webhooks.create(tx, NOON, "whk_2", "https://b.example", ALL, "", "sealed"))
    database.write(lambda tx: edit(tx, OrderEdited(id="e", at=NOON, order=order, priority=1)))
    write(database, allocated(order, "a", 20_302, 20_303))
    assert tell(database) == [("order.allocated", order, 1)]


def test_a_webhook_is_sent_events_of_its_types_and_nothing_while_it_is_disabled(database: Database) -> None:
    def make(tx: Tx) -> None:
        webhooks.create(tx, NOON, "whk_2", "https://b.example", ["order.allocated"], "", "sealed")
        webhooks.create(tx, NOON, "whk_3", "https://c.example", ALL, "", "sealed")
        webhooks.disable(tx, NOON, "whk_3")

    database.write(make)
    order = placed(database)
    write(database, allocated(order, "a", 20_302, 20_303))
    tell(database)
    with database.read() as tx:
        found = tx.all("SELECT d.webhook, e.type FROM delivery d JOIN event e ON e.no = d.event_no ORDER BY 1, e.no")
    assert found == [("whk_1", "order.confirmed"), ("whk_1", "order.allocated"), ("whk_2", "order.allocated")]


# --- stock ------------------------------------------------------------------------------------------------------------


def adjust(database: Database, n: int, change: int) -> list[str]:
    fact = StockAdjusted(id=f"adj{n}", at=NOON, sku="tee", node="store", change=change, reason="audit")
    database.write(lambda tx: record(tx, [fact]))
    return types(database)


def test_stock_is_low_once_for_each_time_that_it_falls_to_its_threshold(database: Database) -> None:
    database.write(lambda tx: put_thresholds(tx, Thresholds(units=4), NOON))
    assert adjust(database, 1, -5) == []
    assert adjust(database, 2, -1) == ["stock.low"]
    assert said(database) == {"sku": "tee", "available": 4, "threshold": 4}
    assert adjust(database, 3, -1) == []
    assert adjust(database, 4, 4) == []
    assert adjust(database, 5, -4) == ["stock.low"]
    with database.read() as tx:
        assert tx.all("SELECT subject, sequence FROM event ORDER BY no") == [("tee", 1), ("tee", 2)]


def test_stock_is_low_by_what_is_claimed_held_kept_back_and_out_of_reach(database: Database) -> None:
    supply(database, (2, STORE, 10))
    database.write(lambda tx: put_thresholds(tx, Thresholds(skus={"tee": 5, "cap": 5}), NOON))
    order = placed(database, "1", ("set", 3))
    database.write(lambda tx: settle(tx, order, (1, STORE, 3)))  # 3 tees and 6 caps
    write(database, allocated(order, "a", 20_302, 20_303, units=3))
    assert [subject for type, subject, _ in tell(database) if type == "stock.low"] == ["cap"]
    database.write(lambda tx: place_holds(tx, [held("h", ("tee", 2))]))
    assert tell(database) == [("stock.low", "tee", 1)]
    database.write(lambda tx: release_hold(tx, HoldReleased(id="e", at=NOON, hold="h")))
    assert tell(database) == []
    database.write(lambda tx: record(tx, [NodePaused(id="p", at=NOON, node="store")]))
    assert tell(database) == [("stock.low", "tee", 2)]
    database.write(lambda tx: record(tx, [NodeResumed(id="q", at=NOON, node="store")]))
    assert tell(database) == []


def test_a_threshold_that_is_set_is_looked_at_at_once(database: Database) -> None:
    database.write(lambda tx: put_thresholds(tx, Thresholds(skus={"tee": 10}), NOON))
    assert tell(database) == [("stock.low", "tee", 1)]


@pytest.mark.parametrize(("sku", "code"), [("hat", "unknown_sku"), ("set", "bad_input")])
def test_a_threshold_is_of_a_sku_with_stock_of_its_own(database: Database, sku: str, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: put_thresholds(tx, Thresholds(skus={sku: 1}), NOON))
    assert refused.value.code == code


# --- notices, and forgetting ------------------------------------------------------------------------------------------


def test_a_recipient_is_told_of_what_customers_are_told_of_while_it_is_fresh(database: Database) -> None:
    database.write(lambda tx: remember(tx, [Person("cus-1", "Ann", "1 Road", "ann@shop.example")], NOON))
    placed(database, "1", recipient="cus-1")
    placed(database, "2")  # nobody is known of it
    order = placed(database, "3", recipient="cus-1", at=NOON - FRESH)
    write(database, allocated(order, "a", 20_302, 20_303))
    tell(database, NOON, ["order.confirmed"])
    with database.read() as tx:
        found = tx.all("SELECT n.recipient, e.type, n.state FROM notice n JOIN event e ON e.no = n.event_no")
        assert found == [("cus-1", "order.confirmed", "waiting")]
        everything = str(
            [tx.all(f"SELECT * FROM {table}") for table in ("event", "notice", "delivery", "told", "fact")]
        )
    assert not any(word in everything for word in ("Ann", "1 Road", "ann@"))


def test_events_are_forgotten_with_all_that_was_sent_and_numbers_go_on(database: Database) -> None:
    database.write(lambda tx: remember(tx, [Person("cus-1")], NOON))
    order = placed(database, recipient="cus-1")
    tell(database, NOON, ["order.confirmed"])
    assert database.write(lambda tx: events.forget(tx, NOON + DAY)) == 1
    write(database, allocated(order, "a", 20_302, 20_303))
    assert tell(database) == [("order.allocated", order, 2)]
