"""What Amazon's notifications and orders say, who may send them on, and what comes of them."""

import json
from typing import Any

import msgspec
import pytest

from api.channels import channel_of
from engine.channel_said import Nothing, OrderSaid
from engine.facts import order_id
from solver.refusal import Refusal
from tests.api.channels.shop import PAYLOADS, Shop, connection_of, recorded
from tests.api.http.world import done, put

AMAZON = channel_of("amazon")
SELLER = "A2SELLER"
ORDER = "403-1234567-7654321"
HERE = connection_of("amazon", SELLER)


def read(name: str) -> Any:
    message = recorded("amazon", name)
    arrival = AMAZON.verify(HERE, {}, json.dumps(message["payload"]).encode(), None)
    assert arrival is not None
    return AMAZON.read(HERE, arrival, message["payload"])


def state(name: str) -> OrderSaid:
    said = read(name).said
    assert isinstance(said, OrderSaid)
    return said


def wanted(name: str) -> list[tuple[str | None, int, int]]:
    return [(line.sku, line.wanted, line.fulfilled) for line in state(name).lines]


def test_a_notification_says_what_is_to_be_sent_where_and_by_when() -> None:
    said = state("create")
    assert (said.order, said.waits, said.country, said.area) == (ORDER, False, "DE", "10623")
    assert wanted("create") == [("kettle", 2, 0), ("cup", 1, 0)]
    assert said.promise_day == 20_421, "2025-11-29 in Berlin"
    assert [line.paid for line in said.lines] == ["", ""]
    assert read("create").whom is None


def test_a_day_is_that_of_the_marketplace_wherever_it_is() -> None:
    payload = recorded("amazon", "create")["payload"]
    summary = payload["Payload"]["OrderChangeNotification"]["Summary"]
    arrival = AMAZON.verify(HERE, {}, json.dumps(payload).encode(), None)
    assert arrival is not None
    for end, day in (
        ("2025-11-30T07:59:59Z", 20_421),
        ("2025-11-29T14:59:59Z", 20_421),
        ("2025-11-29T22:59:59Z", 20_421),
    ):
        summary["LatestDeliveryDate"] = end  # midnight in Los Angeles, Tokyo and Berlin
        said = AMAZON.read(HERE, arrival, payload).said
        assert isinstance(said, OrderSaid)
        assert said.promise_day == day, end


def test_an_order_says_who_receives_it_and_what_was_paid_too() -> None:
    said, whom = state("order"), read("order").whom
    assert (said.order, said.currency, said.service) == (ORDER, "EUR", "Std DE Dom_3")
    assert [line.paid for line in said.lines] == ["59.90", "25.00"]
    assert [line.paid for line in state("order_discounts").lines] == ["78.94"]
    assert (whom.name, whom.contact) == ("Jörg Weiß", "x9y8@marketplace.amazon.de")
    assert "Weiß" not in msgspec.json.encode(said).decode()


def test_the_status_says_whether_it_is_an_order_yet_or_any_more() -> None:
    assert state("pending").waits
    assert wanted("cancel") == [("kettle", 0, 0), ("cup", 0, 0)]
    assert wanted("partly_shipped") == [("kettle", 2, 1), ("cup", 1, 0)]
    assert wanted("shipped") == [("kettle", 2, 2), ("cup", 1, 1)]
    for name in ("by_amazon", "order_by_amazon", "other_notification"):
        assert isinstance(read(name).said, Nothing)


def test_nothing_is_signed_so_only_somebody_with_a_key_may_send_it_on() -> None:
    body = json.dumps(recorded("amazon", "create")["payload"]).encode()
    assert AMAZON.verify(HERE, {}, body, []) is None
    assert AMAZON.verify(HERE, {}, body, ["anything"]) is None
    arrival = AMAZON.verify(HERE, {}, body, None)
    assert arrival is not None
    assert (arrival.event, arrival.topic) == ("n-1", "ORDER_CHANGE")
    enveloped = AMAZON.verify(HERE, {}, json.dumps(recorded("amazon", "eventbridge")["payload"]).encode(), None)
    assert enveloped is not None
    assert (enveloped.event, enveloped.topic) == ("n-8", "ORDER_CHANGE")


def test_every_recorded_payload_can_be_read_and_another_sellers_is_refused() -> None:
    names = sorted(path.stem for path in (PAYLOADS / "amazon").glob("*.json"))
    assert len(names) > 15
    for name in names:
        assert read(name)
    payload = recorded("amazon", "create")["payload"]
    payload["Payload"]["OrderChangeNotification"]["SellerId"] = "A3OTHER"
    arrival = AMAZON.verify(HERE, {}, json.dumps(payload).encode(), None)
    assert arrival is not None
    with pytest.raises(Refusal, match="is another seller"):
        AMAZON.read(HERE, arrival, payload)


def test_it_is_called_at_its_own_endpoints_alone() -> None:
    AMAZON.check(connection_of("amazon", SELLER, endpoint="https://sellingpartnerapi-na.amazon.com"))
    for endpoint in ("https://sellingpartnerapi-na.amazon.com.evil.example", "http://10.0.0.1"):
        with pytest.raises(Refusal):
            AMAZON.check(connection_of("amazon", SELLER, endpoint=endpoint))


# --- sent on to us ----------------------------------------------------------------------------------------------------


@pytest.fixture
def amazon(shop: Shop) -> Shop:
    """The example network with a connection to a seller at Amazon."""
    put(shop.desk, "channels/amazon", {"safety": 0})
    put(shop.desk, "connections/amazon", {"kind": "amazon", "channel": "amazon", "account": SELLER})
    put(
        shop.desk, "postal-areas", {"areas": [{"country": "DE", "area": "1", "lat": 52.5, "lon": 13.4, "region": "DE"}]}
    )
    shop.connection = "amazon"
    return shop


def send(shop: Shop, name: str) -> dict[str, Any]:
    payload = recorded("amazon", name)["payload"]
    found: dict[str, Any] = done(shop.desk.post("/v1/channels/amazon/events", payload, scope="operator"))
    return found


def lines(shop: Shop) -> list[tuple[str, int, int]]:
    order = done(shop.desk.get(f"/v1/orders/{order_id('amazon', ORDER)}"))
    return [(line["sku"], line["qty"] - line["cancelled"], line["cancelled"]) for line in order["lines"]]


def test_an_order_lives_and_ends(amazon: Shop) -> None:
    assert send(amazon, "pending")["outcome"] == "waits"
    assert amazon.desk.rows("orders") == 0, "what is pending is no order yet"
    assert send(amazon, "create")["outcome"] == "applied"
    assert send(amazon, "create")["outcome"] == "seen"
    assert send(amazon, "pending")["outcome"] == "seen"
    order = done(amazon.desk.get(f"/v1/orders/{order_id('amazon', ORDER)}"))
    assert (order["promise_day"], order["region"], order["lat"]) == ("2025-11-29", "DE", 52.5)
    assert send(amazon, "order")["outcome"] == "unchanged"
    with amazon.desk.database.read() as tx:
        assert tx.all("SELECT name FROM recipient WHERE id = :id", id=order["recipient"]) == [("Jörg Weiß",)]
    assert send(amazon, "update")["outcome"] == "applied"
    assert lines(amazon) == [("kettle", 1, 1), ("cup", 1, 0)]
    assert send(amazon, "buyer_wants_none")["outcome"] == "issue"
    assert ("cancel_requested", "order") in amazon.issues()
    assert send(amazon, "cancel")["outcome"] == "applied"
    assert lines(amazon) == [("kettle", 0, 3), ("cup", 0, 1)]
    assert amazon.issues() == []
    assert amazon.balanced()


def test_what_amazon_says_was_shipped_by_others_is_not_sent_again(amazon: Shop) -> None:
    send(amazon, "create")
    send(amazon, "partly_shipped")
    assert lines(amazon) == [("kettle", 1, 1), ("cup", 1, 0)]
    send(amazon, "shipped")
    assert lines(amazon) == [("kettle", 0, 2), ("cup", 0, 1)]


@pytest.mark.parametrize(
    ("name", "code", "place"),
    [
        ("order_null_sku", "no_sku", "lines[8106].sku"),
        ("order_other_currency", "other_currency", "currency"),
        ("order_bad_money", "bad_money", "lines[8105].price"),
        ("order_unicode", "unknown_place", "destination"),
        ("order_without_address", "unknown_place", "destination"),
    ],
)
def test_what_cannot_be_told_is_kept(amazon: Shop, name: str, code: str, place: str) -> None:
    assert send(amazon, name)["outcome"] == "issue"
    assert amazon.issues() == [(code, place)]


def test_without_a_key_nobody_sends_anything_on(amazon: Shop) -> None:
    body = json.dumps(recorded("amazon", "create")["payload"]).encode()
    assert amazon.post(body, {}).status_code == 401
    answer = amazon.desk.post("/v1/channels/amazon/events", recorded("amazon", "create")["payload"], scope="planner")
    assert answer.status_code == 403
    assert amazon.desk.rows("orders") == 0
