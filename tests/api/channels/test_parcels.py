"""Shops elsewhere are told what has left of their orders: each parcel until it is known to be told, and as far as may be once."""

import json
from typing import Any

import httpx
import pytest

from api.channels import Answer, shopify
from api.channels.pushing import ship_due
from api.http.service import Service
from engine import channel_parcels
from tests.api.channels.shop import ACCOUNT, ARRANGED, ORDER, Shop, recorded
from tests.api.channels.stands import AmazonStand, ShopifyStand, WooStand
from tests.api.channels.test_pushing_others import AMAZON, WOO
from tests.api.http.test_conventions import problem
from tests.api.http.world import done, put

GID = f"gid://shopify/Order/{ORDER}"


@pytest.fixture
def stand() -> ShopifyStand:
    return ShopifyStand(orders={GID: {"gid://shopify/FulfillmentOrder/1": {"14001": 2, "14002": 1}}})


def tell(shop: Shop, stand: ShopifyStand | WooStand | AmazonStand) -> int:
    service: Service = shop.desk.app.state.service
    with stand.client() as client:
        return ship_due(service.database, service.vault, shop.desk.clock, client)


def shipped(shop: Shop, **body: Any) -> str:
    (consignment,) = shop.release()
    shop.step(consignment, "ship", **body)
    return consignment


def states(shop: Shop) -> list[tuple[str, int, str]]:
    with shop.desk.database.read() as tx:
        return tx.all("SELECT state, tries, problem FROM channel_parcel ORDER BY consignment_no")


def test_a_parcel_that_has_left_is_fulfilled_with_its_tracking_number_and_once(shop: Shop, stand: ShopifyStand) -> None:
    shop.send("create")
    (consignment,) = shop.release()
    assert tell(shop, stand) == 0, "it has not left"
    shop.step(consignment, "ship", tracking="3SKABA1")
    assert tell(shop, stand) == 1
    assert tell(shop, stand) == 0
    assert stand.parcels == [
        {"order": GID, "tracking": {"number": "3SKABA1", "company": None}, "units": {"14001": 2, "14002": 1}}
    ]
    assert states(shop) == [("told", 1, "")]


def test_what_leaves_in_parts_is_told_in_parts(shop: Shop, stand: ShopifyStand) -> None:
    shop.send("create")
    shipped(shop, tracking="A", units=[{"line": 1, "sku": "kettle", "units": 1}])
    tell(shop, stand)
    (rest,) = [one["id"] for one in shop.order()["consignments"] if one["state"] == "released"]
    shop.step(rest, "ship", tracking="B")
    tell(shop, stand)
    assert [one["units"] for one in stand.parcels] == [{"14001": 1}, {"14001": 1, "14002": 1}]


def test_an_answer_that_is_lost_makes_no_second_parcel(shop: Shop, stand: ShopifyStand) -> None:
    """Shopify knows of no key for it: its number is looked for."""
    shop.send("create")
    shipped(shop, tracking="A", units=[{"line": 1, "sku": "kettle", "units": 1}])
    stand.lose = 1
    assert tell(shop, stand) == 0
    assert states(shop) == [("waiting", 1, "it does not answer: ReadTimeout")]
    shop.desk.clock.at += 5_000
    assert tell(shop, stand) == 1
    assert len(stand.parcels) == 1


FIRST, SECOND = (f"gid://shopify/FulfillmentOrder/{n}" for n in (1, 2))


def test_of_a_parcel_from_several_places_there_each_is_told_once_even_if_an_answer_is_lost(
    shop: Shop, stand: ShopifyStand
) -> None:
    stand.orders = {GID: {FIRST: {"14001": 1}, SECOND: {"14001": 1, "14002": 1}}}
    stand.locations, stand.page = {FIRST: "gid://shopify/Location/64", SECOND: "gid://shopify/Location/65"}, 1
    shop.send("create")
    shipped(shop, tracking="A")
    stand.lose = 1
    tell(shop, stand)
    assert [one["units"] for one in stand.parcels] == [{"14001": 1}]
    shop.desk.clock.at += 5_000
    assert tell(shop, stand) == 1
    assert [one["units"] for one in stand.parcels] == [{"14001": 1}, {"14001": 1, "14002": 1}]


def test_a_parcel_of_which_not_all_is_left_to_fulfil_there_is_an_issue_and_no_part_of_it_is_told(
    shop: Shop, stand: ShopifyStand
) -> None:
    stand.orders = {GID: {FIRST: {"14001": 1, "14002": 1}}}
    shop.send("create")
    consignment = shipped(shop, tracking="A")
    tell(shop, stand)
    assert states(shop) == [("waiting", 1, "not all of it is left to fulfil; units that are missing: 1")]
    assert shop.issues() == [("parcel_not_told", f"consignments[{consignment}]")]
    assert stand.parcels == []


def test_who_dies_while_it_is_told_has_it_told_by_the_next(
    shop: Shop, stand: ShopifyStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    shop.send("create")
    shipped(shop, tracking="A")
    with monkeypatch.context() as patched:
        patched.setattr(shopify, "ship", die)
        with pytest.raises(KeyboardInterrupt):
            tell(shop, stand)
    assert tell(shop, stand) == 0, "somebody may be at it"
    shop.desk.clock.at += 60_000
    assert tell(shop, stand) == 1


def test_who_lost_the_lease_writes_nothing_over_what_the_one_who_took_over_has_told(
    shop: Shop, stand: ShopifyStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.send("create")
    shipped(shop)
    ship = shopify.ship

    def slowly(*_: object) -> Answer:
        monkeypatch.setattr(shopify, "ship", ship)
        shop.desk.clock.at += channel_parcels.LEASE
        assert tell(shop, stand) == 1
        return Answer(refused="it is there already")

    monkeypatch.setattr(shopify, "ship", slowly)
    tell(shop, stand)
    assert states(shop) == [("told", 2, "")]
    assert shop.issues() == []


def test_what_a_shop_refuses_is_an_issue_until_it_is_told(shop: Shop, stand: ShopifyStand) -> None:
    stand.on_hold = {"gid://shopify/FulfillmentOrder/1"}
    shop.send("create")
    consignment = shipped(shop, tracking="A")
    tell(shop, stand)
    assert shop.issues() == [("parcel_not_told", f"consignments[{consignment}]")]
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", tags="again")
    assert len(shop.issues()) == 1
    stand.on_hold = set()
    shop.desk.clock.at += 3_600_000
    assert tell(shop, stand) == 1
    assert shop.issues() == []


def tried(shop: Shop, times: int) -> None:
    """As if every parcel that has left had been told that often."""
    shop.desk.database.write(lambda tx: channel_parcels.follow(tx, shop.desk.clock()))
    shop.desk.database.write(lambda tx: tx.run("UPDATE channel_parcel SET tries = :times", times=times))


def retry(shop: Shop) -> httpx.Response:
    (issue,) = done(shop.desk.get("/v1/channel-issues"))["data"]
    assert issue["retries"] == (issue["state"] == "open")
    return shop.desk.post(f"/v1/channel-issues/{issue['id']}/retry")


def test_a_shop_that_never_answers_is_tried_on_and_people_are_told_once_that_takes_too_long(
    shop: Shop, stand: ShopifyStand
) -> None:
    shop.send("create")
    consignment = shipped(shop, tracking="A")
    tried(shop, channel_parcels.MOST_TRIES - 2)
    stand.fail = [httpx.Response(401), httpx.Response(401)]
    tell(shop, stand)
    assert shop.issues() == []
    shop.desk.clock.at += 3_600_000
    tell(shop, stand)
    assert shop.issues() == [("parcel_not_told", f"consignments[{consignment}]")]
    shop.desk.clock.at += 3_600_000
    assert tell(shop, stand) == 1
    assert shop.issues() == []


def test_what_a_shop_refused_too_often_is_told_when_somebody_has_it_tried_again(
    shop: Shop, stand: ShopifyStand
) -> None:
    stand.on_hold = {"gid://shopify/FulfillmentOrder/1"}
    shop.send("create")
    shipped(shop, tracking="A")
    tried(shop, channel_parcels.MOST_TRIES - 1)
    tell(shop, stand)
    stand.on_hold = set()
    shop.desk.clock.at += 3_600_000
    assert tell(shop, stand) == 0, "it was given up"
    assert done(retry(shop))["outcome"] == "waits"
    assert tell(shop, stand) == 1
    assert shop.issues() == []
    problem(retry(shop), 409, "nothing_to_retry")


def test_a_parcel_that_is_being_told_is_not_told_a_second_time_when_somebody_has_it_tried_again(
    shop: Shop, stand: ShopifyStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.on_hold = {"gid://shopify/FulfillmentOrder/1"}
    shop.send("create")
    shipped(shop)
    tell(shop, stand)
    stand.on_hold = set()
    shop.desk.clock.at += 3_600_000
    ship = shopify.ship

    def slowly(*arguments: Any) -> Answer:
        done(retry(shop))
        assert tell(shop, stand) == 0
        return ship(*arguments)

    monkeypatch.setattr(shopify, "ship", slowly)
    assert tell(shop, stand) == 1
    assert len(stand.parcels) == 1


def test_a_shop_that_does_not_answer_holds_up_no_other(shop: Shop) -> None:
    sent_on(shop, "woocommerce", "create", WOO)
    sent_on(shop, "amazon", "order", AMAZON)
    shop.desk.database.write(lambda tx: channel_parcels.follow(tx, shop.desk.clock()))
    with shop.desk.database.read() as tx:
        due = channel_parcels.due(tx, shop.desk.clock(), 1)
    assert [connection for _, connection in due] == ["woocommerce", "amazon"]


def test_a_shop_that_wants_a_rest_is_left_alone_and_an_order_that_is_not_there_is_told_to_people(
    shop: Shop, stand: ShopifyStand
) -> None:
    stand.orders = {}
    shop.send("create")
    shipped(shop)
    stand.fail = [httpx.Response(429, headers={"Retry-After": "7"})]
    tell(shop, stand)
    assert states(shop) == [("waiting", 0, "")]
    shop.desk.clock.at += 7_000
    tell(shop, stand)
    assert states(shop) == [("waiting", 1, "there is no such order")]


def test_orders_of_no_channel_are_told_to_nobody(shop: Shop, stand: ShopifyStand) -> None:
    shop.send("create", fulfillments=[])
    connection = {"kind": "shopify", "channel": "online", "account": ACCOUNT, "arrangement": ARRANGED, "active": False}
    put(shop.desk, "connections/shopify", connection)
    shipped(shop)
    assert tell(shop, stand) == 0
    assert stand.asked == [], "a connection that is not active is told nothing"
    put(shop.desk, "connections/shopify", {**connection, "active": True})
    assert tell(shop, stand) == 1


def sent_on(shop: Shop, kind: str, name: str, body: dict[str, Any]) -> None:
    """A connection of another kind, and an order that came by it."""
    put(shop.desk, f"channels/{kind}", {"safety": 0})
    put(shop.desk, f"connections/{kind}", {"kind": kind, "channel": kind, **body})
    areas = [{"country": country, "area": "", "lat": 52.2, "lon": 5.3} for country in ("PL", "DE")]
    put(shop.desk, "postal-areas", {"areas": areas})
    raw = json.dumps(recorded(kind, name)["payload"])
    headers = {"Content-Type": "application/json", "X-WC-Webhook-Topic": "order.created"}
    heard = done(shop.desk.ask("POST", f"/v1/channels/{kind}/events", content=raw, headers=headers), 200)
    assert heard["outcome"] == "applied"
    done(shop.desk.post(f"/v1/orders/{heard['order']}/release", {}, once=f"release {kind}"))
    (consignment,) = done(shop.desk.get(f"/v1/orders/{heard['order']}"))["consignments"]
    shop.step(consignment["id"], "ship", tracking="JJD1")


def test_a_woocommerce_order_has_its_numbers_noted_once_and_is_completed_with_the_last(shop: Shop) -> None:
    sent_on(shop, "woocommerce", "create", WOO)
    stand = WooStand(fail=[httpx.Response(503)])
    assert tell(shop, stand) == 0
    shop.desk.clock.at += 10_000
    stand.notes = ["Sent: JJD1"]  # the answer was lost
    assert tell(shop, stand) == 1
    assert (stand.notes, stand.status) == (["Sent: JJD1"], "completed")


def test_a_number_that_begins_as_another_is_noted_for_itself(shop: Shop) -> None:
    sent_on(shop, "woocommerce", "create", WOO)
    stand = WooStand(notes=["Sent: JJD10", "Sent: XJJD1"])
    assert tell(shop, stand) == 1
    assert stand.notes == ["Sent: JJD10", "Sent: XJJD1", "JJD1"]


def test_an_amazon_parcel_is_confirmed_by_a_number_of_ours(shop: Shop) -> None:
    sent_on(shop, "amazon", "order", AMAZON)
    stand = AmazonStand()
    assert tell(shop, stand) == 1
    ((order, parcel),) = [(order, parcel) for (order, _), parcel in stand.parcels.items()]
    assert order == "403-1234567-7654321"
    assert (parcel["trackingNumber"], parcel["carrierCode"]) == ("JJD1", "Other")
    assert parcel["orderItems"] == [{"orderItemId": "8101", "quantity": 2}, {"orderItemId": "8102", "quantity": 1}]
