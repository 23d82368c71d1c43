"""The number of a payment card in what a shop elsewhere sends: nothing of it is kept, the field is told, and the order goes on."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import SQLModel

from api.channels.payload import without_cards
from api.http import cards
from tests.api.channels.shop import ACCOUNT, Shop, recorded, sign
from tests.api.http.test_cards import CARDS, WRITTEN
from tests.api.http.world import done, put

CARD = CARDS[0]
OTHERS = {"woocommerce": ("https://shop.example", "create"), "amazon": ("A2SELLER", "order")}

NO_TEXT = frozenset({
    "AmazonOrderId", "ApplicationId", "ConditionId", "MarketplaceId", "NotificationId", "OrderItemId", "SellerId", "SubscriptionId",
    "admin_graphql_api_id", "browser_ip", "id", "instance_id", "key", "landing_site", "method_id", "number", "order_key",
    "order_status_url", "payment_url", "token", "tracking_number", "transaction_id",
})  # fmt: skip
"""Fields of the recorded payloads that nobody writes a text into."""


def everything(shop: Shop) -> str:
    with shop.desk.database.read() as tx:
        return "".join(repr(tx.all(f'SELECT * FROM "{table}"')) for table in SQLModel.metadata.tables)


def test_what_people_write_is_looked_at_and_the_order_is_taken_in_without_it(shop: Shop) -> None:
    create = recorded("shopify", "create")["payload"]
    line, *others = create["line_items"]
    attribute = {"name": "card", "value": WRITTEN[0]}
    heard = shop.send(
        "create",
        note=f"charge {CARD} please",
        note_attributes=[attribute],
        shipping_address={**create["shipping_address"], "address2": CARD},
        line_items=[{**line, "properties": [attribute]}, *others],
    )
    assert (heard["outcome"], heard["issues"]) == ("issue", 4)
    assert shop.lines() == [("kettle", 2, 0), ("cup", 1, 0)]
    assert sorted(shop.issues()) == [
        ("card_number", place)
        for place in (
            "line_items[0].properties[0].value", "note", "note_attributes[0].value", "shipping_address.address2",
        )
    ]  # fmt: skip
    kept = everything(shop)
    assert "Oudegracht" in kept
    assert CARD not in kept
    assert WRITTEN[0] not in kept
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00")
    assert shop.issues() == [], "it was taken out there"


def test_ids_and_numbers_that_look_like_a_card_are_none(shop: Shop) -> None:
    """One in ten of Shopify's ids that begin with 30, 36, 38 or 39 has the last digit of a card."""
    diners = int(CARDS[7])
    create = recorded("shopify", "create")["payload"]
    customer = {**create["customer"], "id": diners, "admin_graphql_api_id": f"gid://shopify/Customer/{diners}"}
    fulfilment = {"id": 1, "status": "error", "tracking_numbers": [str(diners)], "line_items": []}
    assert (
        shop.send("create", id=diners, customer=customer, fulfillments=[fulfilment], token=str(diners))["issues"] == 0
    )
    assert shop.lines(str(diners)) == [("kettle", 2, 0), ("cup", 1, 0)]


def name_of(place: str) -> str:
    """The name of a field."""
    return place.rpartition(".")[2].partition("[")[0]


def texts(value: Any, card: str | int, place: str = "") -> Iterator[tuple[str, Any]]:
    """The same payload with the number of a card in each of its texts in turn."""
    if isinstance(value, str):
        yield place, card
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        for where, changed in texts(inner, card, f"{place}[{name}]" if isinstance(name, int) else f"{place}.{name}"):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[name] = changed
            yield where.removeprefix("."), copy


@pytest.mark.parametrize("card", [CARD, int(CARD)])
@pytest.mark.parametrize("kind", ["shopify", *OTHERS])
def test_whatever_text_it_is_in_of_whatever_kind_of_shop_the_field_is_told_and_nothing_is_kept(
    shop: Shop, kind: str, card: str | int
) -> None:
    if kind != "shopify":
        put(shop.desk, "channels/other", {"safety": 0})
        put(shop.desk, f"connections/{kind}", {"kind": kind, "channel": "other", "account": OTHERS[kind][0]})
    message = recorded(kind, OTHERS.get(kind, ("", "create"))[1])
    written = [(place, payload) for place, payload in texts(message["payload"], card) if name_of(place) not in NO_TEXT]
    for _, payload in written:
        raw = {"content": json.dumps(payload), "headers": {"Content-Type": "application/json"}}
        assert done(shop.desk.ask("POST", f"/v1/channels/{kind}/events", **raw), 200)["outcome"] == "issue"
    with shop.desk.database.read() as tx:
        told = {place for (place,) in tx.all("SELECT place FROM channel_issue")}
    assert {place for place, _ in written} - told == set()
    assert CARD not in everything(shop)


def test_nothing_is_looked_for_in_what_is_not_proven_to_be_theirs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(*_: Any) -> None:
        raise AssertionError("a stranger keeps us busy")

    for name in ("has_card", "check_lines", "check_body"):
        monkeypatch.setattr(cards, name, look)
    monkeypatch.setattr("api.channels.payload.has_card", look)
    body = b"[" + b"4 " * 1000 + b"]"
    headers = {"X-Shopify-Shop-Domain": ACCOUNT, "X-Shopify-Hmac-Sha256": sign(body, "guess")}
    monkeypatch.setattr(cards, "check_words", lambda **_: None)
    assert shop.post(body, headers).status_code == 401


def test_the_name_of_a_field_that_is_a_number_is_not_told() -> None:
    assert without_cards({"a": {CARD: CARD, "x y": [CARD]}}) == ({"a": {CARD: "", "x y": [""]}}, ["a.*", "a.*[0]"])
