"""What WooCommerce's payloads say, who they are from, and what comes of them."""

import json
from typing import Any

import msgspec
import pytest

from api.channels import channel_of
from engine.channel_said import OrderGone, OrderSaid
from engine.facts import order_id
from solver.refusal import Refusal
from tests.api.channels.shop import PAYLOADS, SECRET, Shop, connection_of, reading_of, recorded, sign
from tests.api.http.world import done, put

WOO = channel_of("woocommerce")
SITE = "https://shop.example"
ORDER = "4750"


def state(name: str, **options: str) -> OrderSaid:
    said = reading_of("woocommerce", name, **options).said
    assert isinstance(said, OrderSaid)
    return said


def wanted(name: str, **options: str) -> list[tuple[str | None, int, int]]:
    return [(line.sku, line.wanted, line.fulfilled) for line in state(name, **options).lines]


def test_an_order_says_what_of_it_is_wanted_and_the_postal_area_where_it_goes() -> None:
    said = state("create")
    assert (said.order, said.currency, said.waits, said.cancelled) == ("4750", "EUR", False, False)
    assert (said.placed_at, said.said_at) == (1_764_003_600_000, 1_764_003_605_000)
    assert (said.lat, said.country, said.area, said.service) == (None, "PL", "80", "Courier")
    assert wanted("create") == [("kettle", 2, 0), ("cup", 1, 0)]
    whom = reading_of("woocommerce", "create").whom
    assert whom is not None
    assert (whom.name, whom.contact) == ("Marta Kowalczyk", "marta@example.pl")
    assert "Marta" not in msgspec.json.encode(said).decode()


def test_the_status_says_whether_it_is_an_order_yet_or_any_more() -> None:
    assert state("pending").waits
    assert state("on_hold").waits
    assert not state("on_hold", take="on-hold").waits
    assert wanted("cancel") == [("kettle", 0, 0), ("cup", 0, 0)]
    assert (state("cancel").left_is_fine, state("refunded").left_is_fine) == (False, True)
    assert wanted("completed") == [("kettle", 2, 2), ("cup", 1, 1)]
    assert wanted("completed", completed="take") == [("kettle", 2, 0), ("cup", 1, 0)]


def test_a_refund_says_units_where_it_has_lines_and_is_told_to_people_where_it_has_none() -> None:
    assert wanted("partial_refund_with_lines") == [("kettle", 1, 0), ("cup", 1, 0)]
    assert state("partial_refund_with_lines").remarks == ()
    assert wanted("partial_refund") == [("kettle", 2, 0), ("cup", 1, 0)]
    assert [(one.code, one.place) for one in state("partial_refund").remarks] == [("refund_unclear", "refunds[4802]")]


def test_what_was_paid_is_with_tax_where_prices_are_and_without_discounts() -> None:
    assert [line.paid for line in state("taxes").lines] == ["59.90"]
    assert [line.paid for line in state("discounts").lines] == ["78.935"]
    assert [line.ships for line in state("mixed", not_shipped="ebook, gift").lines] == [False, True]
    assert state("null_sku").lines[0].sku is None
    assert state("pickup").collect == ("City shop", "Local pickup")


def test_a_message_is_theirs_by_its_signature_and_the_greeting_says_nothing() -> None:
    here, body = connection_of("woocommerce", SITE), b'{"id": 1}'
    headers = {"x-wc-webhook-topic": "order.created", "x-wc-webhook-delivery-id": "d1"}
    signed = {**headers, "x-wc-webhook-signature": sign(body)}
    arrival = WOO.verify(here, signed, body, [SECRET])
    assert arrival is not None
    assert (arrival.event, arrival.topic) == ("d1", "order.created")
    assert WOO.verify(here, signed, body + b"\n", [SECRET]) is None
    assert WOO.verify(here, headers, body, [SECRET]) is None
    greeting = WOO.verify(here, {}, b"webhook_id=17", [SECRET])
    assert greeting is not None
    assert greeting.event == ""
    assert WOO.verify(here, {}, b"webhook_id=17&id=5", [SECRET]) is None


@pytest.mark.parametrize(
    "account",
    ["http://shop.example", "https://me:pw@shop.example", "https://10.0.0.1", "https://localhost", "https://shop",
     "https://[::1]", "https://shop.example/", "https://shop.example:8443", "https://shop.example?x=1", "shop.example"],
)  # fmt: skip
def test_a_connection_is_to_a_site_by_its_name_over_tls(account: str) -> None:
    WOO.check(connection_of("woocommerce", f"{SITE}/nl"))
    with pytest.raises(Refusal) as refused:
        WOO.check(connection_of("woocommerce", account))
    assert refused.value.place == "account"


def test_every_recorded_payload_can_be_read() -> None:
    names = sorted(path.stem for path in (PAYLOADS / "woocommerce").glob("*.json"))
    assert len(names) > 15
    for name in names:
        assert reading_of("woocommerce", name)
    assert isinstance(reading_of("woocommerce", "deleted").said, OrderGone)


# --- sent to us -------------------------------------------------------------------------------------------------------


@pytest.fixture
def woo(shop: Shop) -> Shop:
    """The example network with a connection to a WooCommerce site."""
    put(shop.desk, "channels/woo", {"safety": 0})
    body = {"kind": "woocommerce", "channel": "woo", "account": SITE, "secrets": {"signing": SECRET},
            "arrangement": {"pickup": {"City shop": "shop"}, "options": {"not_shipped": "ebook"}}}  # fmt: skip
    put(shop.desk, "connections/woo", body)
    put(shop.desk, "postal-areas", {"areas": [{"country": "PL", "area": "", "lat": 52.1, "lon": 19.4}]})
    shop.connection = "woo"
    return shop


def send(shop: Shop, name: str, **changes: Any) -> dict[str, Any]:
    message = recorded("woocommerce", name)
    body = json.dumps({**message["payload"], **changes}).encode()
    shop.sent.append(name)
    headers = {"X-WC-Webhook-Topic": message["topic"], "X-WC-Webhook-Delivery-ID": f"{name}-{len(shop.sent)}",
               "X-WC-Webhook-Signature": sign(body)}  # fmt: skip
    found: dict[str, Any] = done(shop.post(body, headers))
    return found


def lines(shop: Shop) -> list[tuple[str, int, int]]:
    order = done(shop.desk.get(f"/v1/orders/{order_id('woo', ORDER)}"))
    return [(line["sku"], line["qty"] - line["cancelled"], line["cancelled"]) for line in order["lines"]]


def test_an_order_lives_and_ends(woo: Shop) -> None:
    assert send(woo, "pending")["outcome"] == "waits"
    assert send(woo, "create")["outcome"] == "applied"
    assert send(woo, "update")["outcome"] == "applied"
    assert lines(woo) == [("kettle", 1, 1), ("cup", 1, 0), ("cup", 3, 0)]
    assert send(woo, "removed_line")["outcome"] == "applied"
    assert lines(woo) == [("kettle", 2, 1), ("cup", 0, 1), ("cup", 0, 3)]
    assert send(woo, "create")["outcome"] == "older"
    assert send(woo, "cancel")["outcome"] == "applied"
    assert [live for _, live, _ in lines(woo)] == [0, 0, 0]
    assert woo.balanced()


def test_of_two_states_of_one_second_the_one_that_comes_later_holds(woo: Shop) -> None:
    """It is written when it is sent, and its moments are whole seconds."""
    first = recorded("woocommerce", "create")["payload"]["line_items"]
    send(woo, "create", status="pending")
    send(woo, "create", line_items=[{**first[0], "quantity": 5}])
    assert send(woo, "create", line_items=[{**first[0], "quantity": 1}])["outcome"] == "applied"
    assert lines(woo) == [("kettle", 1, 4)]


def test_a_partial_refund_is_shown_to_people_until_it_is_clear(woo: Shop) -> None:
    send(woo, "create")
    assert send(woo, "partial_refund")["outcome"] == "issue"
    assert woo.issues() == [("refund_unclear", "refunds[4802]")]
    assert send(woo, "partial_refund_with_lines")["outcome"] == "applied"
    assert lines(woo)[0] == ("kettle", 1, 1)
    assert woo.issues() == []


def test_what_has_left_may_be_refunded_and_deleted(woo: Shop) -> None:
    send(woo, "create")
    order = order_id("woo", ORDER)
    done(woo.desk.post(f"/v1/orders/{order}/release", {}, once="release"))
    for consignment in done(woo.desk.get(f"/v1/orders/{order}"))["consignments"]:
        woo.step(consignment["id"], "ship")
    assert send(woo, "completed")["outcome"] == "unchanged"
    assert send(woo, "refunded", date_modified_gmt="2025-11-26T00:00:00")["outcome"] == "unchanged"
    assert send(woo, "deleted")["outcome"] == "unchanged"
    assert (lines(woo), woo.issues()) == ([("kettle", 2, 0), ("cup", 1, 0)], [])


@pytest.mark.parametrize(
    ("name", "code", "place"),
    [
        ("null_sku", "no_sku", "lines[65].sku"),
        ("other_currency", "other_currency", "currency"),
        ("bad_money", "bad_money", "lines[72].price"),
    ],
)
def test_what_cannot_be_told_is_kept(woo: Shop, name: str, code: str, place: str) -> None:
    assert send(woo, name)["outcome"] == "issue"
    assert woo.issues() == [(code, place)]


def test_downloads_are_not_sent_and_pickups_go_to_their_node(woo: Shop) -> None:
    assert send(woo, "digital")["outcome"] == "unchanged"
    send(woo, "pickup")
    assert done(woo.desk.get(f"/v1/orders/{order_id('woo', '4759')}"))["pickup"] == ["shop"]


def test_a_greeting_is_answered_and_does_nothing(woo: Shop) -> None:
    answer = woo.post(b"webhook_id=17", {"Content-Type": "application/x-www-form-urlencoded"})
    assert done(answer) == {"outcome": "ignored", "order": None, "issues": 0}
    assert woo.desk.rows("channel_event") == 0
