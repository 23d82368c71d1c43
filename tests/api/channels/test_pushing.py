"""Shops elsewhere are told what they may sell: all of it, nothing twice, and no faster than they allow."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from api.channels import Told, shopify
from api.channels.pushing import make_client, push_due
from api.http.service import Service
from api.webhooks.guard import Guard
from engine.levels import LEASE
from solver.refusal import Refusal
from tests.api.channels.shop import Shop
from tests.api.channels.stands import ShopifyStand
from tests.api.http.world import done, put
from tests.api.webhooks.sink import certificate, listening

KETTLE, CUP, SET = (f"gid://shopify/InventoryItem/{n}" for n in (1, 2, 3))
Push = Callable[[], int]


@pytest.fixture
def stand(shop: Shop) -> ShopifyStand:
    items = [
        {"external_sku": sku, "sku": sku, "ref": ref}
        for sku, ref in (("kettle", KETTLE), ("cup", CUP), ("tea-set", SET))
    ]
    put(shop.desk, "connections/shopify/items", {"items": items})
    return ShopifyStand()


@pytest.fixture
def push(shop: Shop, stand: ShopifyStand) -> Push:
    """Tell the shop what has changed."""
    service: Service = shop.desk.app.state.service

    def act() -> int:
        with stand.client() as client:
            return push_due(service.database, service.vault, shop.desk.clock, client)

    return act


def test_a_shop_is_told_what_its_channel_may_sell(shop: Shop, stand: ShopifyStand, push: Push) -> None:
    assert push() == 3
    assert stand.levels == {KETTLE: 600, CUP: 200, SET: 100}
    assert [one["changeFromQuantity"] for one in stand.sets[0]["input"]["quantities"]] == [None] * 3
    seen = done(shop.desk.get("/v1/connections/shopify/items"))["data"]
    assert {item["external_sku"]: item["pushed"] for item in seen} == {"kettle": 600, "cup": 200, "tea-set": 100}


def test_safety_buffers_and_allotments_hold(shop: Shop, stand: ShopifyStand, push: Push) -> None:
    put(shop.desk, "channels/online", {"safety": 2})
    for sku, limits in (("kettle", {"allotment": 20}), ("cup", {"buffer": 50})):
        body = {"channel": "online", "sku": sku, **limits}
        done(shop.desk.ask("POST", "/v1/stock/channel-limits", json=body, once=f"limit {sku}"))
    push()
    assert (stand.levels[KETTLE], stand.levels[CUP]) == (20, 148)
    shop.send("create")
    stand.levels = {KETTLE: 18, CUP: 147, SET: stand.levels[SET]}
    push()
    shop.desk.clock.at += 10_000
    push()
    assert (stand.levels[KETTLE], stand.levels[CUP]) == (18, 147)


def test_only_what_has_changed_is_told(shop: Shop, stand: ShopifyStand, push: Push) -> None:
    push()
    assert push() == 0
    done(shop.desk.post("/v1/stock/receipts", {"sku": "kettle", "node": "near", "units": 5}, once="more"))
    assert push() == 1
    ((told,),) = [stand.sets[-1]["input"]["quantities"]]
    assert (told["inventoryItemId"], told["quantity"], told["changeFromQuantity"]) == (KETTLE, 605, 600)


def test_where_somebody_bought_meanwhile_nothing_is_set_until_we_have_heard_of_it(
    shop: Shop, stand: ShopifyStand, push: Push
) -> None:
    push()
    stand.levels[KETTLE] = 598  # two were bought there, and the order is on its way to us
    done(shop.desk.post("/v1/stock/receipts", {"sku": "kettle", "node": "near", "units": 5}, once="more"))
    push()
    assert stand.levels[KETTLE] == 598, "605 would sell the two again"
    assert push() == 0
    shop.send("create")
    shop.desk.clock.at += 10_000
    push()
    assert stand.levels[KETTLE] == 603
    assert shop.order()["allocated"] == 3


def test_a_change_that_was_told_but_not_noted_is_told_again_without_harm(
    shop: Shop, stand: ShopifyStand, push: Push
) -> None:
    push()
    done(shop.desk.post("/v1/stock/receipts", {"sku": "kettle", "node": "near", "units": 5}, once="more"))
    stand.levels[KETTLE] = 605  # it was told by somebody who died before noting it
    push()
    shop.desk.clock.at += 10_000
    assert push() == 0
    assert stand.levels[KETTLE] == 605


def test_a_shop_that_wants_a_rest_gets_it(shop: Shop, stand: ShopifyStand, push: Push) -> None:
    stand.fail = [httpx.Response(429, headers={"Retry-After": "7"})]
    assert push() == 0
    shop.desk.clock.at += 6_999
    assert push() == 0
    shop.desk.clock.at += 1
    assert push() == 3
    stand.available = 0.0
    stand.fail = [httpx.Response(200, json={"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
                  "extensions": {"cost": {"requestedQueryCost": 110, "throttleStatus": {
                      "currentlyAvailable": 10.0, "restoreRate": 50.0}}}})]  # fmt: skip
    done(shop.desk.post("/v1/stock/receipts", {"sku": "kettle", "node": "near", "units": 5}, once="more"))
    push()
    shop.desk.clock.at += 1_999
    assert push() == 0
    shop.desk.clock.at += 1
    assert push() == 1


@pytest.mark.parametrize(
    ("fails", "why"),
    [
        (httpx.ConnectError("no route"), "it does not answer: ConnectError"),
        (httpx.Response(503), "it answers 503"),
        (httpx.Response(401), "it answers 401"),
        (httpx.Response(302, headers={"Location": "http://10.0.0.1/"}), "it answers 302"),
        (httpx.Response(200, text="<html>"), "it does not answer: DecodingError"),
        (httpx.Response(200, json=[]), "it does not answer: DecodingError"),
    ],
)
def test_a_shop_that_does_not_answer_is_tried_again_each_time_later(
    shop: Shop, stand: ShopifyStand, push: Push, fails: httpx.Response | Exception, why: str
) -> None:
    stand.fail = [fails, fails]
    push()
    seen = done(shop.desk.get("/v1/connections/shopify"))
    assert (seen["push_problem"], seen["push_tries"]) == (why, 1)
    shop.desk.clock.at += 5_000
    push()
    shop.desk.clock.at += 9_999
    assert push() == 0
    shop.desk.clock.at += 1
    assert push() == 3
    assert done(shop.desk.get("/v1/connections/shopify"))["push_problem"] == ""


def test_an_item_that_a_shop_refuses_holds_up_no_other(shop: Shop, stand: ShopifyStand, push: Push) -> None:
    stand.unstocked = {CUP}
    push()
    assert stand.levels == {KETTLE: 600, SET: 100}
    seen = {item["external_sku"]: item for item in done(shop.desk.get("/v1/connections/shopify/items"))["data"]}
    assert (seen["cup"]["pushed"], seen["cup"]["problem"]) == (None, "ITEM_NOT_STOCKED_AT_LOCATION")
    asked = len(stand.asked)
    assert push() == 0
    assert len(stand.asked) == asked
    stand.unstocked = set()
    shop.desk.clock.at += 3_600_000
    assert push() == 1
    assert stand.levels[CUP] == 200


def test_an_item_that_is_not_named_as_shopify_names_items_holds_up_no_other(
    shop: Shop, stand: ShopifyStand, push: Push
) -> None:
    """It would refuse the whole call."""
    item = {"external_sku": "cup", "sku": "cup", "ref": "gid://shopify/Product/2"}
    put(shop.desk, "connections/shopify/items", {"items": [item]})
    push()
    assert stand.levels == {KETTLE: 600, SET: 100}
    seen = {item["external_sku"]: item for item in done(shop.desk.get("/v1/connections/shopify/items"))["data"]}
    assert seen["cup"]["problem"] == "bad_ref"


def test_what_was_sold_there_beyond_what_was_there_is_told_again(shop: Shop, stand: ShopifyStand, push: Push) -> None:
    push()
    stand.levels[KETTLE] = -2
    done(shop.desk.post("/v1/stock/receipts", {"sku": "kettle", "node": "near", "units": 5}, once="more"))
    push()
    shop.desk.clock.at += 10_000
    push()
    assert stand.levels[KETTLE] == 605
    assert stand.sets[-1]["input"]["quantities"][0]["changeFromQuantity"] == -2


def test_what_is_sold_out_is_told_first(
    shop: Shop, stand: ShopifyStand, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    push()
    for sku, node in (("kettle", "near"), ("kettle", "far"), ("kettle", "shop")):
        done(shop.desk.post("/v1/stock/counts", {"sku": sku, "node": node, "units": 0}, once=f"{sku} {node}"))
    done(shop.desk.post("/v1/stock/receipts", {"sku": "cup", "node": "near", "units": 5}, once="more"))
    monkeypatch.setattr(shopify, "TOGETHER", 1)
    push()
    order = [one["input"]["quantities"][0]["inventoryItemId"] for one in stand.sets[1:]]
    assert order[-1] == CUP
    assert set(order[:2]) == {KETTLE, SET}


def test_a_connection_that_lacks_something_says_what(shop: Shop, stand: ShopifyStand, push: Push) -> None:
    body = {"kind": "shopify", "channel": "online", "account": "brouwer-koffie.myshopify.com"}
    put(shop.desk, "connections/shopify", body)
    push()
    seen = done(shop.desk.get("/v1/connections/shopify"))
    assert seen["push_problem"] == "arrangement.options.location: is needed for shopify"
    assert stand.asked == []


def test_of_two_who_tell_a_shop_one_does(
    shop: Shop, stand: ShopifyStand, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = shopify.push

    def meanwhile(*arguments: object) -> Told:
        monkeypatch.setattr(shopify, "push", told)
        assert push() == 0, "somebody else is at it"
        return told(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shopify, "push", meanwhile)
    assert push() == 3
    assert len(stand.sets) == 1


@pytest.mark.parametrize(
    "late", [Told(there={"kettle": 1, "cup": 1, "tea-set": 1}, wait=900), httpx.ReadTimeout("late")]
)
def test_who_lost_the_lease_writes_nothing_over_what_was_told_by_the_one_who_took_over(
    shop: Shop, push: Push, monkeypatch: pytest.MonkeyPatch, late: Told | Exception
) -> None:
    service: Service = shop.desk.app.state.service
    tell = shopify.push

    def slowly(*_: object) -> Told:
        monkeypatch.setattr(shopify, "push", tell)
        shop.desk.clock.at += LEASE + 1
        assert push() == 3
        if isinstance(late, Exception):
            raise late
        return late

    monkeypatch.setattr(shopify, "push", slowly)
    push()
    with service.database.read() as tx:
        assert tx.first("SELECT push_tries, push_problem FROM connection") == (0, "")
        told = dict(tx.all("SELECT external_sku, pushed FROM channel_item"))  # type: ignore[arg-type]
    assert told == {"kettle": 600, "cup": 200, "tea-set": 100}


@pytest.mark.parametrize(
    ("addresses", "goes_to"),
    [(["93.184.215.14"], "93.184.215.14"), (["10.0.0.1"], None), (["93.184.215.14", "127.0.0.1"], None)],
)
def test_calls_go_to_public_addresses_alone_under_the_name_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], goes_to: str | None
) -> None:
    gone: list[tuple[str, str, str]] = []

    def go(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        gone.append((request.url.host, request.headers["Host"], request.extensions["sni_hostname"]))
        return httpx.Response(200)

    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", go)
    with make_client(Guard(resolve=resolve)) as client:
        if goes_to is None:
            with pytest.raises(Refusal, match="is not a public address"):
                client.get("https://shop.example/wp-json")
        else:
            client.get("https://shop.example/wp-json")
    assert gone == ([] if goes_to is None else [(goes_to, "shop.example", "shop.example")])


def test_two_shops_at_one_address_each_need_a_certificate_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version, request.close_connection = "HTTP/1.1", False
        request.rfile.read(int(request.headers["content-length"]))
        request.send_response(200)
        request.send_header("content-length", "0")
        request.end_headers()

    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    public, both = certificate(tmp_path, "shop.example.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    with (
        listening(answer, both) as (port, asked),
        make_client(Guard([ip_network("127.0.0.0/8")], resolve=here)) as client,
    ):
        assert client.post(f"https://shop.example.test:{port}/", json={}).status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            client.post(f"https://other.example.test:{port}/", json={})
    assert asked == ["shop.example.test", "other.example.test"]
