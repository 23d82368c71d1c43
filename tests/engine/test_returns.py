from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from engine import return_routing
from engine.capture import capture
from engine.consignments import read as read_consignment
from engine.consignments import release
from engine.database import Database
from engine.entries import ServiceEntry, put_services, touch
from engine.exchanges import exchange
from engine.facts import (
    Condition,
    Delivered,
    Disposition,
    InspectedUnits,
    NodePaused,
    OrderedLine,
    OrderReleased,
    ReadyForPickup,
    RefundOwed,
    ReturnApproved,
    ReturnCancelled,
    ReturnedUnits,
    ReturnInspected,
    ReturnReason,
    ReturnReceived,
    ReturnRefused,
    ReturnRequested,
    Shipped,
    StockFact,
    StockPutBack,
    StockScrapped,
    WantedBack,
    short_id,
)
from engine.orders import place
from engine.refunds import owe_lapsed
from engine.return_nodes import Question, Routed
from engine.return_reads import ReturnWhole, one_return
from engine.return_requests import approve, cancel, expire_returns, refuse, request, rma_id
from engine.return_routing import route_returns
from engine.return_rules import Fee, ReturnRules, put_return_rules
from engine.returns import inspect, take_back
from engine.shipping import deliver, make_ready, ship
from engine.stock import record
from engine.store import Store
from solver.refusal import Refusal
from tests.engine.shop import (
    CAP,
    DAY,
    NOON,
    SERVICES,
    STORE,
    TEE,
    WAREHOUSE,
    numbers_of,
    open_shop,
    ordered,
    settle,
    stock_of,
    supply,
)
from tests.engine.tills import bill, sell, send, tax


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    supply(database, (TEE, STORE, 20), (CAP, STORE, 20), (TEE, WAREHOUSE, 20))


def shipped(database: Database, *lines: tuple[str, int], number: str = "1", node: int = STORE) -> tuple[str, str]:
    """An order whose lines all left one node, at 10.00 a piece, and its consignment."""
    order = ordered(number, *lines)
    priced = tuple(msgspec.structs.replace(line, price_cents=1000) for line in order.lines)
    (answer,) = database.write(lambda tx: place(tx, [msgspec.structs.replace(order, lines=priced)]))
    entries = [(i + 1, node, qty) for i, (_, qty) in enumerate(lines)]
    database.write(lambda tx: settle(tx, answer.id, *entries))
    fact = OrderReleased(id=f"rel{number}", at=NOON, order=answer.id)
    ((consignment,),) = database.write(lambda tx: release(tx, [fact]))
    database.write(lambda tx: ship(tx, Shipped(id=f"s{number}", at=NOON, consignment=consignment)))
    return answer.id, consignment


def delivered(database: Database, *lines: tuple[str, int], number: str = "1", node: int = STORE) -> tuple[str, str]:
    """The same, and the customer has it."""
    order, consignment = shipped(database, *lines, number=number, node=node)
    database.write(lambda tx: deliver(tx, Delivered(id=f"d{number}", at=NOON, consignment=consignment)))
    return order, consignment


def rules(database: Database, **changed: object) -> None:
    database.write(lambda tx: put_return_rules(tx, ReturnRules(**changed), NOON))  # type: ignore[arg-type]


def ask(
    database: Database, order: str, *lines: tuple[int, int] | tuple[int, int, ReturnReason], id: str = "ask",
    at: int = NOON + DAY, **more: object,
) -> str:  # fmt: skip
    wanted = tuple(WantedBack(line=line[0], units=line[1], reason=(*line, "unwanted")[2]) for line in lines)  # type: ignore[arg-type]
    fact = ReturnRequested(id=id, at=at, order=order, lines=wanted, **more)  # type: ignore[arg-type]
    database.write(lambda tx: request(tx, [fact]))
    route_returns(database, at, only=[rma_id(fact)])
    return rma_id(fact)


def seen(database: Database, rma: str) -> ReturnWhole:
    with database.read() as tx:
        return one_return(tx, rma)


def come(
    database: Database, consignment: str, *units: tuple[int, str, int], id: str = "came", to: str = "quarantined", **more: object
) -> None:  # fmt: skip
    parts = tuple(ReturnedUnits(line=line, sku=sku, units=count, to=to) for line, sku, count in units)  # type: ignore[arg-type]
    fact = ReturnReceived(id=id, at=NOON + 2 * DAY, consignment=consignment, units=parts, **more)  # type: ignore[arg-type]
    database.write(lambda tx: take_back(tx, fact))


def look(
    database: Database, rma: str, *units: tuple[int, str, int, Disposition] | tuple[int, str, int, Disposition, Condition],
    id: str = "looked", node: str | None = None,
) -> None:  # fmt: skip
    parts = tuple(
        InspectedUnits(line=one[0], sku=one[1], units=one[2], disposition=one[3], condition=(*one, "as_new")[4])  # type: ignore[arg-type]
        for one in units
    )
    fact = ReturnInspected(id=id, at=NOON + 3 * DAY, rma=rma, units=parts, node=node)
    database.write(lambda tx: inspect(tx, fact))


def owed(database: Database) -> list[RefundOwed]:
    with database.read() as tx:
        found = tx.all("SELECT payload FROM fact WHERE kind = 'RefundOwed' ORDER BY no")
    return [msgspec.json.decode(payload, type=RefundOwed) for (payload,) in found]


def aside(database: Database, sku: int, node: int) -> tuple[int, int]:
    """Damaged and quarantined."""
    with database.read() as tx:
        found = tx.first("SELECT damaged, quarantined FROM stock WHERE sku_no = :s AND node_no = :n", s=sku, n=node)
    return (0, 0) if found is None else (found[0], found[1])


def refused(code: str, act: object, *more: object, **named: object) -> Refusal:
    with pytest.raises(Refusal) as raised:
        act(*more, **named)  # type: ignore[operator]
    assert raised.value.code == code
    return raised.value


# --- asking -----------------------------------------------------------------------------------------------------------


def test_what_the_rules_allow_is_approved_at_once_and_has_a_node(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 3))
    rma = ask(database, order, (1, 2))
    found = seen(database, rma)
    assert (found.state, found.awaited, found.node is not None) == ("approved", 2, True)
    assert [(line.consignment, line.sku, line.announced, line.reason) for line in found.lines] == [
        (consignment, "tee", 2, "unwanted")
    ]
    with database.read() as tx:
        kinds = [kind for (kind,) in tx.all("SELECT kind FROM fact WHERE subject = :rma ORDER BY no", rma=rma)]
    assert kinds == ["ReturnApproved", "ReturnRouted"]


def test_the_same_request_again_is_the_same_return(database: Database) -> None:
    order, _ = delivered(database, ("tee", 3))
    assert ask(database, order, (1, 2)) == ask(database, order, (1, 2))
    with database.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM rma") == 1
    refused("fact_conflict", ask, database, order, (1, 1))


def test_only_units_that_were_delivered_and_are_on_no_other_return_can_be_asked_for(database: Database) -> None:
    order, _ = delivered(database, ("tee", 3))
    ask(database, order, (1, 2))
    assert refused("not_returnable", ask, database, order, (1, 2), id="more").problem.startswith("1 units of line 1")
    ask(database, order, (1, 1), id="last")
    other, _ = shipped(database, ("tee", 1), number="2")
    refused("not_returnable", ask, database, other, (1, 1), id="too soon")


def test_the_days_count_from_delivery_by_the_fewest_of_the_tags(database: Database) -> None:
    rules(database, days=30, tag_days={"food": 2, "sale": 14})
    database.write(lambda tx: tx.run("UPDATE sku SET tags = '[\"sale\", \"food\"]' WHERE id = 'tee'"))
    order, _ = delivered(database, ("tee", 3), ("cap", 1))
    refused("not_returnable", ask, database, order, (1, 1), at=NOON + 2 * DAY + 1)
    ask(database, order, (1, 1), at=NOON + 2 * DAY)
    ask(database, order, (2, 1), at=NOON + 30 * DAY, id="cap")


def test_a_final_sale_comes_back_only_where_it_is_our_fault(database: Database) -> None:
    rules(database, final_sale=("sale",))
    database.write(lambda tx: tx.run("UPDATE sku SET tags = '[\"sale\"]' WHERE id = 'tee'"))
    order, _ = delivered(database, ("tee", 3))
    refused("final_sale", ask, database, order, (1, 1))
    ask(database, order, (1, 1, "defective"), at=NOON + 300 * DAY)


def test_a_reason_that_needs_a_look_waits_for_somebody(database: Database) -> None:
    order, _ = delivered(database, ("tee", 3))
    rma, other = (ask(database, order, (1, 1, "other"), id=id) for id in ("a", "b"))
    assert (seen(database, rma).state, seen(database, rma).node) == ("requested", None)
    late = NOON + 9 * DAY
    Store(database).go_back(ReturnApproved(id="yes", at=late, rma=rma))
    found = seen(database, rma)
    assert (found.state, found.node is not None, found.expires_at) == ("approved", True, late + 21 * DAY)
    database.write(lambda tx: refuse(tx, ReturnRefused(id="no", at=late, rma=other, reason="worn")))
    assert (seen(database, other).state, seen(database, other).closed) == ("refused", 1)
    again = ReturnApproved(id="again", at=late, rma=other)
    refused("wrong_state", database.write, lambda tx: approve(tx, again))
    ask(database, order, (1, 2), id="free again")


def test_what_is_cancelled_or_not_sent_in_time_can_be_asked_for_again(database: Database) -> None:
    order, _ = delivered(database, ("tee", 1))
    first = ask(database, order, (1, 1))
    database.write(lambda tx: cancel(tx, ReturnCancelled(id="c", at=NOON + DAY, rma=first)))
    second = ask(database, order, (1, 1), id="second")
    ends = seen(database, second).expires_at
    assert database.write(lambda tx: expire_returns(tx, ends - 1)) == 0
    assert Store(database).expire(ends).returns == 1
    assert (seen(database, first).state, seen(database, second).state) == ("cancelled", "expired")
    ask(database, order, (1, 1), id="third")


def test_a_customer_brings_it_to_a_store_of_their_choice(database: Database) -> None:
    order, _ = delivered(database, ("tee", 1), node=WAREHOUSE)
    refused("node_takes_no_returns", ask, database, order, (1, 1), how="store", node="warehouse")
    found = seen(database, ask(database, order, (1, 1), how="store", node="store"))
    assert (found.node, found.service, found.decision["carriage_cents"]) == ("store", "", 0)
    assert {told["why"] for told in found.decision["nodes"]} == {"chosen", "customer_chose_another"}


def test_a_return_that_no_node_takes_is_refused_and_nothing_is_written(database: Database) -> None:
    rules(database, node_tags=("returns",))
    order, _ = delivered(database, ("tee", 1))
    refused("no_return_node", ask, database, order, (1, 1))
    with database.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM rma") == 0


def meanwhile(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> list[int]:
    """Do something while nodes are being chosen, an act each time; gives how many returns each choice was about."""
    left, chosen, choose = list(acts), [], return_routing.route

    def slow(question: Question, *more: Any) -> Routed:
        if left:
            left.pop(0)()
        chosen.append(question.back.returns)
        return choose(question, *more)

    monkeypatch.setattr(return_routing, "route", slow)
    return chosen


def test_a_return_that_is_cancelled_while_its_node_is_chosen_gets_none(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is locked meanwhile, or nobody could cancel it."""
    order, _ = delivered(database, ("tee", 1))
    off = ReturnCancelled(id="off", at=NOON + DAY, rma=rma_of("ask"))
    chosen = meanwhile(monkeypatch, lambda: database.write(lambda tx: cancel(tx, off)))
    rma = ask(database, order, (1, 1))
    assert (chosen, seen(database, rma).state, seen(database, rma).node) == ([1], "cancelled", None)


def test_room_that_another_return_took_meanwhile_is_decided_about_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (delivered(database, ("tee", 1), number=n)[0] for n in "12")
    chosen = meanwhile(monkeypatch, lambda: ask(database, second, (1, 1), id="b"))
    assert seen(database, ask(database, first, (1, 1))).node is not None
    assert chosen == [1, 1, 1], "the other one, then what was decided before it, and again"


def test_a_node_that_is_paused_meanwhile_is_not_taken(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    order, _ = delivered(database, ("tee", 1))
    nearest = seen(database, ask(database, delivered(database, ("tee", 1), number="2")[0], (1, 1), id="b")).node
    assert nearest is not None
    meanwhile(monkeypatch, lambda: record_one(database, NodePaused(id="p", at=NOON, node=nearest)))
    assert seen(database, ask(database, order, (1, 1))).node not in (None, nearest)


def test_the_clock_gives_a_node_to_a_return_whose_process_died(database: Database) -> None:
    order, _ = delivered(database, ("tee", 1))
    line = WantedBack(line=1, units=1, reason="unwanted")
    database.write(lambda tx: request(tx, [ReturnRequested(id="ask", at=NOON, order=order, lines=(line,))]))
    assert seen(database, rma_of("ask")).node is None
    assert (route_returns(database, NOON), route_returns(database, NOON)) == (1, 0)
    assert seen(database, rma_of("ask")).node is not None


def test_a_return_is_given_a_node_though_those_before_it_have_none(database: Database) -> None:
    """No service carries the first one, which moved to the far south."""
    for number in "12":
        order, _ = delivered(database, ("tee", 1), number=number)
        line = WantedBack(line=1, units=1, reason="unwanted")
        fact = ReturnRequested(id=f"ask {number}", at=NOON, order=order, lines=(line,))
        database.write(lambda tx, fact=fact: request(tx, [fact]))  # type: ignore[misc]
    database.write(lambda tx: tx.run("UPDATE rma SET lat = -60, lon = 170 WHERE no = 1"))
    assert route_returns(database, NOON, limit=1) == 1
    assert [seen(database, rma_of(f"ask {number}")).node is None for number in "12"] == [True, False]


def rma_of(fact: str) -> str:
    return short_id("rma", fact)


def record_one(database: Database, fact: StockFact) -> None:
    database.write(lambda tx: record(tx, [fact]))


def test_returns_asked_for_together_share_the_room_at_a_node(database: Database) -> None:
    """One more tee is worth 5.00 in the store, and less where it costs more to send it from; there is room for one."""
    near_and_far = [ServiceEntry(id="post", zone_km=[50.0, 500.0], steps_g=[5000], cents=[[300], [380]],
                                 over_cents_per_kg=[10, 10], transit_days=[2, 2])]  # fmt: skip
    database.write(lambda tx: put_services(tx, near_and_far, NOON))
    database.write(lambda tx: tx.run("UPDATE node SET lat = CASE WHEN id = 'store' THEN 51.7 ELSE 52.3 END"))
    database.write(lambda tx: tx.run("UPDATE node SET parcel_cents = 101 WHERE id = 'store'"))
    database.write(touch)
    database.write(lambda tx: tx.run("UPDATE stock SET value_cents = 500 WHERE sku_no = 1 AND node_no = 2"))
    rules(database, rest_percent=0)
    orders = [delivered(database, ("tee", 1), number=n, node=WAREHOUSE)[0] for n in "12"]
    facts = [
        ReturnRequested(
            id=f"ask {order}", at=NOON + DAY, order=order, lines=(WantedBack(line=1, units=1, reason="unwanted"),)
        )
        for order in orders
    ]
    Store(database).ask_back(facts)
    found = [seen(database, rma_id(fact)) for fact in facts]
    assert [one.decision["worth_cents"] for one in found if one.node == "store"] == [450]
    assert [one.decision["worth_cents"] for one in found if one.node != "store"] == [0]
    assert found[0].decision["together"] == found[1].decision["together"]
    together = found[0].decision["together"]
    assert together["bound_cents"] <= together["cost_cents"] < min(together["nearest_cents"], together["origin_cents"])
    late = ask(database, delivered(database, ("tee", 1), number="3", node=WAREHOUSE)[0], (1, 1), id="late")
    assert seen(database, late).decision["worth_cents"] == 0, "two are on their way already"


# --- coming back ------------------------------------------------------------------------------------------------------


def test_what_comes_back_is_quarantined_until_somebody_has_looked_at_it(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 5))
    rma = ask(database, order, (1, 4))
    come(database, consignment, (1, "tee", 4), node="far", rma=rma)
    assert (numbers_of(database, order)[4:6], aside(database, TEE, 3), stock_of(database, TEE, 3)) == (
        (1, 4), (0, 4), (0, 0),
    )  # fmt: skip
    assert seen(database, rma).state == "received"
    look(database, rma, (1, "tee", 1, "restock"), (1, "tee", 1, "refurbish"), (1, "tee", 1, "liquidate"))
    assert (aside(database, TEE, 3), stock_of(database, TEE, 3)) == ((1, 1), (1, 0))
    look(database, rma, (1, "tee", 1, "scrap"), id="rest")
    assert (aside(database, TEE, 3), stock_of(database, TEE, 3)) == ((1, 0), (1, 0))
    assert (seen(database, rma).state, [one.node for one in seen(database, rma).receipts]) == ("inspected", ["far"])
    with database.read() as tx:
        causes = [cause for (cause,) in tx.all("SELECT cause FROM movement WHERE node_no = 3 ORDER BY no")]
    assert causes == ["returned", "restocked", "refurbishing", "liquidated", "scrapped"]


def test_nobody_puts_units_back_that_wait_to_be_looked_at(database: Database) -> None:
    _, consignment = delivered(database, ("tee", 2))
    come(database, consignment, (1, "tee", 2))
    named = {"sku": "tee", "node": "store", "units": 1, "state": "quarantined"}
    for fact in (StockPutBack(id="p", at=NOON, **named), StockScrapped(id="q", at=NOON, **named)):  # type: ignore[arg-type]
        refused("awaits_inspection", database.write, lambda tx, one=fact: record(tx, [one]))


def test_units_that_were_looked_at_when_they_came_are_restocked_or_mended_at_once(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 3), ("set", 1))
    units = (
        ReturnedUnits(line=1, sku="tee", units=1, to="stock"),
        ReturnedUnits(line=1, sku="tee", units=1, to="damaged"),
        ReturnedUnits(line=2, sku="tee", units=1),
    )
    fact = ReturnReceived(id="r", at=NOON, consignment=consignment, units=units, node="warehouse")
    database.write(lambda tx: take_back(tx, fact))
    assert numbers_of(database, order) == (0, 0, 0, 0, 2, 2, 0)
    assert (stock_of(database, TEE, WAREHOUSE), aside(database, TEE, WAREHOUSE)) == ((21, 0), (1, 1))
    caps = ReturnReceived(id="q", at=NOON, consignment=consignment, units=(ReturnedUnits(line=2, sku="cap", units=2),))
    database.write(lambda tx: take_back(tx, caps))
    assert numbers_of(database, order) == (0, 0, 0, 0, 1, 3, 0)
    more = ReturnReceived(id="m", at=NOON, consignment=consignment, units=(ReturnedUnits(line=1, sku="tee", units=2),))
    assert refused("too_many_units", database.write, lambda tx: take_back(tx, more)).place == "units[0].units"
    assert [(fact.cents, fact.why) for fact in owed(database)] == [(1000, "inspected")], "one is damaged"


def test_what_nobody_announced_makes_a_return_of_its_own(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 3))
    come(database, consignment, (1, "tee", 2))
    with database.read() as tx:
        ((rma,),) = tx.all("SELECT id FROM rma")
    found = seen(database, rma)
    assert (found.order, found.how, found.state, found.lines[0].extra, found.lines[0].reason) == (
        order, "unannounced", "received", 2, "other",
    )  # fmt: skip
    unknown = ReturnReceived(
        id="x", at=NOON, consignment=consignment, units=(ReturnedUnits(line=1, sku="cap", units=1),)
    )
    refused("unknown_line", database.write, lambda tx: take_back(tx, unknown))


def test_more_and_fewer_units_than_announced_are_what_came(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 5))
    rma = ask(database, order, (1, 2))
    come(database, consignment, (1, "tee", 1))
    assert [(line.awaited, line.received, line.extra) for line in seen(database, rma).lines] == [(1, 1, 0)]
    come(database, consignment, (1, "tee", 3), id="more", rma=rma)
    assert [(line.awaited, line.received, line.extra) for line in seen(database, rma).lines] == [(0, 4, 2)]


def test_units_that_came_by_another_return_are_not_awaited_any_more(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 3))
    first, second = ask(database, order, (1, 1), id="a"), ask(database, order, (1, 2), id="b")
    come(database, consignment, (1, "tee", 2), rma=first)
    assert [(line.awaited, line.closed) for line in seen(database, second).lines] == [(1, 1)]
    come(database, consignment, (1, "tee", 1), id="rest", rma=first)
    assert (seen(database, second).state, seen(database, first).received) == ("cancelled", 3)


def test_what_comes_too_late_or_before_it_was_approved_is_taken_in_all_the_same(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    late, early = ask(database, order, (1, 1), id="a"), ask(database, order, (1, 1, "other"), id="b")
    database.write(lambda tx: cancel(tx, ReturnCancelled(id="c", at=NOON + DAY, rma=late)))
    for rma in (late, early):
        come(database, consignment, (1, "tee", 1), id=rma, rma=rma)
        assert seen(database, rma).state == "received"


def test_who_names_no_return_receives_where_it_came_from(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    rma = ask(database, order, (1, 2), how="store", node="store")
    database.write(lambda tx: tx.run("UPDATE rma SET node_no = 3"))
    come(database, consignment, (1, "tee", 1))
    come(database, consignment, (1, "tee", 1), id="named", rma=rma)
    assert [(one.node, one.units) for one in seen(database, rma).receipts] == [("store", 1), ("far", 1)]


def test_a_return_of_another_order_is_not_named(database: Database) -> None:
    order, _ = delivered(database, ("tee", 1))
    rma = ask(database, order, (1, 1))
    _, other = delivered(database, ("tee", 1), number="2")
    refused("another_order", come, database, other, (1, "tee", 1), rma=rma)
    refused("unknown_return", come, database, other, (1, "tee", 1), rma="rma_none")


def test_what_comes_back_undelivered_is_not_delivered_later_and_refunded_whole(database: Database) -> None:
    order, consignment = shipped(database, ("tee", 3))
    come(database, consignment, (1, "tee", 1))
    database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON, consignment=consignment)))
    assert numbers_of(database, order) == (0, 0, 0, 0, 2, 1, 0)
    with database.read() as tx:
        ((rma,),) = tx.all("SELECT id FROM rma")
    look(database, rma, (1, "tee", 1, "scrap", "damaged"))
    assert [fact.cents for fact in owed(database)] == [1000]


def test_units_at_two_nodes_are_looked_at_where_they_are(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    rma = ask(database, order, (1, 2))
    for node in ("far", "store"):
        come(database, consignment, (1, "tee", 1), id=node, node=node)
    assert "far, store" in refused("node_needed", look, database, rma, (1, "tee", 1, "restock")).problem
    look(database, rma, (1, "tee", 1, "restock"), node="far")
    assert (stock_of(database, TEE, 3), aside(database, TEE, STORE)) == ((1, 0), (0, 1))
    refused("too_many_units", look, database, rma, (1, "tee", 2, "restock"), id="more", node="store")


# --- what is owed -----------------------------------------------------------------------------------------------------


def test_what_is_owed_depends_on_reason_and_condition_and_keeps_fee_and_label(database: Database) -> None:
    rules(database, refund_percent={"used": 40}, fees=(Fee(10, ("unwanted",)),), label_cents=300)
    order, consignment = delivered(database, ("tee", 5), ("cap", 1))
    rma = ask(database, order, (1, 2))
    come(database, consignment, (1, "tee", 2))
    look(database, rma, (1, "tee", 1, "restock"), (1, "tee", 1, "liquidate", "used"))
    (fact,) = owed(database)
    assert (fact.cents, fact.fee_cents, fact.label_cents) == (1400 - 140 - 300, 140, 300)
    assert [(line.line, line.sku, line.units, line.cents) for line in fact.lines] == [
        (1, "tee", 1, 1000),
        (1, "tee", 1, 400),
    ]
    fault = ask(database, order, (2, 1, "defective"), id="fault", carriage_cents=495)
    come(database, consignment, (2, "cap", 1), id="cap")
    look(database, fault, (2, "cap", 1, "scrap", "damaged"), id="cap looked")
    assert (owed(database)[1].cents, owed(database)[1].carriage_cents) == (1495, 495), "all of it, and the carriage"


def test_the_carriage_of_an_order_is_refunded_once(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    for i in "12":
        rma = ask(database, order, (1, 1, "late"), id=i, carriage_cents=500)
        come(database, consignment, (1, "tee", 1), id=f"came {i}")
        look(database, rma, (1, "tee", 1, "restock"), id=f"looked {i}")
    assert [fact.cents for fact in owed(database)] == [1500, 1000]


def test_the_carriage_that_was_billed_for_a_parcel_is_refunded_though_nobody_says_it_again(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    tax(database, order, 495)
    for i, reason in (("1", "late"), ("2", "damaged")):
        rma = ask(database, order, (1, 1, reason), id=i)  # type: ignore[arg-type]
        come(database, consignment, (1, "tee", 1), id=f"came {i}")
        look(database, rma, (1, "tee", 1, "restock"), id=f"looked {i}")
    assert [fact.carriage_cents for fact in owed(database)] == [495, 0], "once"


@pytest.mark.parametrize("billed", [True, False])
def test_a_parcel_that_nobody_took_in_gives_back_its_own_carriage(database: Database, billed: bool) -> None:
    """Of the carriage of 5.00 each of two parcels has its share, before and after it is billed."""
    order = sell(database, "1", ("tee", 3))
    tax(database, order, 500)
    for units in (1, 2):
        parcel = send(database, order, (1, units))
        if billed:
            bill(database)
        come(database, parcel, (1, "tee", units), id=f"came {units}", to="stock")
        bill(database)
    assert [fact.carriage_cents for fact in owed(database)] == [166, 334]


def test_the_label_is_kept_as_far_as_what_is_owed_goes(database: Database) -> None:
    rules(database, label_cents=1500)
    order, consignment = delivered(database, ("tee", 2))
    rma = ask(database, order, (1, 2))
    come(database, consignment, (1, "tee", 2))
    for i in "12":
        look(database, rma, (1, "tee", 1, "restock"), id=i)
    assert [(fact.label_cents, fact.cents) for fact in owed(database)] == [(1000, 0), (500, 500)]
    assert [(one.label_cents, one.owed_cents) for one in seen(database, rma).refunds] == [(1000, 0), (500, 500)]


def test_the_parts_of_a_kit_share_its_price_and_nothing_is_lost(database: Database) -> None:
    order, consignment = delivered(database, ("set", 1))
    rma = ask(database, order, (1, 1))
    assert [(line.sku, line.announced) for line in seen(database, rma).lines] == [("tee", 1), ("cap", 2)]
    come(database, consignment, (1, "tee", 1), (1, "cap", 2))
    look(database, rma, (1, "tee", 1, "restock"), (1, "cap", 1, "restock"))
    look(database, rma, (1, "cap", 1, "restock"), id="rest")
    assert [fact.cents for fact in owed(database)] == [666, 334]


def test_the_same_inspection_again_owes_nothing_more(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    rma = ask(database, order, (1, 2))
    come(database, consignment, (1, "tee", 2))
    for _ in range(2):
        look(database, rma, (1, "tee", 1, "restock"))
    assert len(owed(database)) == 1


def test_what_was_not_collected_is_owed(database: Database) -> None:
    order, consignment = shipped(database, ("tee", 2), ("set", 1))
    with database.read() as tx:
        no = tx.value("SELECT no FROM consignment WHERE id = :id", id=consignment)
    database.write(lambda tx: owe_lapsed(tx, read_consignment(tx, no), NOON))
    (fact,) = owed(database)
    assert (fact.order, fact.consignment, fact.cents, fact.why) == (order, consignment, 3000, "pickup_lapsed")


# --- exchanges --------------------------------------------------------------------------------------------------------


def swap(database: Database, rma: str, *lines: tuple[str, int, int]) -> tuple[str, int, int]:
    """Order in exchange: SKU, quantity and price; gives the order, the credit and the difference."""
    wanted = [OrderedLine(sku=sku, qty=qty, price_cents=price) for sku, qty, price in lines]
    done = database.write(lambda tx: exchange(tx, rma, wanted, NOON + 2 * DAY))
    return done.fact.new_order, done.fact.credit_cents, done.fact.difference_cents


def test_an_exchange_is_an_order_that_is_sourced_at_once_and_states_the_difference(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    rma = ask(database, order, (1, 2), wanted="exchange")
    new, credit, difference = swap(database, rma, ("cap", 1, 2500))
    assert (credit, difference, seen(database, rma).exchange) == (2000, 500, new)
    assert numbers_of(database, new) == (0, 1, 0, 0, 0, 0, 0)
    assert swap(database, rma, ("cap", 1, 2500)) == (new, credit, difference)
    refused("order_conflict", swap, database, rma, ("cap", 2, 2500))
    come(database, consignment, (1, "tee", 2))
    look(database, rma, (1, "tee", 1, "restock"), (1, "tee", 1, "liquidate", "used"))
    assert [(fact.cents, fact.exchange_cents) for fact in owed(database)] == [(0, 1500)], "2,500 were spent"
    assert seen(database, rma).due_cents == 1000


def test_an_exchange_that_costs_less_leaves_the_rest_to_refund(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 2))
    rma = ask(database, order, (1, 2), wanted="exchange")
    come(database, consignment, (1, "tee", 2))
    look(database, rma, (1, "tee", 2, "restock"))
    assert owed(database) == [], "it is kept for the exchange"
    assert swap(database, rma, ("cap", 1, 600))[2] == -1400
    assert [(fact.cents, fact.exchange_cents) for fact in owed(database)] == [(1400, 600)]


def test_what_is_not_exchanged_in_time_is_refunded(database: Database) -> None:
    order, consignment = delivered(database, ("tee", 1))
    rma = ask(database, order, (1, 1), wanted="exchange")
    come(database, consignment, (1, "tee", 1))
    look(database, rma, (1, "tee", 1, "restock"))
    store = Store(database)
    assert store.expire(NOON + 16 * DAY).returns == 0
    assert store.expire(NOON + 17 * DAY).returns == 1
    assert [(fact.cents, fact.why) for fact in owed(database)] == [(1000, "exchange_lapsed")]
    refused("not_an_exchange", swap, database, rma, ("cap", 1, 600))
    assert store.fsck() == []


def test_an_exchange_needs_a_price_and_a_return_that_wants_one(database: Database) -> None:
    order, _ = delivered(database, ("tee", 2))
    refund, review = ask(database, order, (1, 1)), ask(database, order, (1, 1, "other"), id="b", wanted="exchange")
    refused("not_an_exchange", swap, database, refund, ("cap", 1, 600))
    refused("wrong_state", swap, database, review, ("cap", 1, 600))


# --- as a whole -------------------------------------------------------------------------------------------------------


def test_a_store_takes_back_what_was_ordered_online_and_collected_elsewhere(database: Database) -> None:
    """Captured, packed at the store, collected there, and given back at the warehouse."""
    (done,) = capture(database, [ordered("7", ("tee", 1), pickup=("store",))], NOON)
    ((consignment,),) = database.write(lambda tx: release(tx, [OrderReleased(id="l", at=NOON, order=done.placed.id)]))
    database.write(lambda tx: make_ready(tx, ReadyForPickup(id="r", at=NOON, consignment=consignment)))
    database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON, consignment=consignment)))
    rma = ask(database, done.placed.id, (1, 1))
    assert seen(database, rma).node is not None, "sent from the store where it was collected"
    come(database, consignment, (1, "tee", 1), node="warehouse", to="stock")
    assert numbers_of(database, done.placed.id)[5] == 1
    assert Store(database).fsck() == []
