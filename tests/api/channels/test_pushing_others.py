"""WooCommerce and Amazon are told what they may sell."""

from typing import Any

import httpx

from api.channels.pushing import push_due
from api.http.service import Service
from tests.api.channels.shop import Shop
from tests.api.channels.stands import AmazonStand, WooStand
from tests.api.http.world import done, put


def connect(shop: Shop, kind: str, refs: dict[str, str], **body: Any) -> None:
    """A connection that is told of these items."""
    put(shop.desk, f"channels/{kind}", {"safety": 0})
    put(shop.desk, f"connections/{kind}", {"kind": kind, "channel": kind, **body})
    items = [{"external_sku": sku, "sku": sku, "ref": ref} for sku, ref in refs.items()]
    put(shop.desk, f"connections/{kind}/items", {"items": items})


def push(shop: Shop, stand: WooStand | AmazonStand) -> int:
    service: Service = shop.desk.app.state.service
    with stand.client() as client:
        return push_due(service.database, service.vault, shop.desk.clock, client)


def problems(shop: Shop, kind: str) -> dict[str, str]:
    found = done(shop.desk.get(f"/v1/connections/{kind}/items"))["data"]
    return {item["external_sku"]: item["problem"] for item in found if item["problem"]}


WOO = {"account": "https://shop.example", "secrets": {"key": "ck_1", "secret": "cs_1"}}
AMAZON = {
    "account": "A2SELLER", "arrangement": {"options": {"marketplace": "A1PA6795UKMFR9"}},
    "secrets": {"client_id": "c", "client_secret": "s", "refresh_token": "r"},
}  # fmt: skip


def test_products_are_told_together_and_variations_by_their_product(shop: Shop) -> None:
    connect(shop, "woocommerce", {"kettle": "10", "cup": "20/21", "tea-set": "30"}, **WOO)
    stand = WooStand(known={10, 21})
    assert push(shop, stand) == 3
    assert stand.stock == {"10": 600, "20/21": 200}
    assert sorted(stand.calls) == ["products/20/variations/batch", "products/batch"]
    assert problems(shop, "woocommerce") == {"tea-set": "woocommerce_rest_product_invalid_id"}
    assert push(shop, stand) == 0


def test_a_site_that_wants_a_rest_gets_it_and_one_that_answers_nonsense_is_tried_again(shop: Shop) -> None:
    connect(shop, "woocommerce", {"kettle": "10"}, **WOO)
    stand = WooStand(
        known={10}, fail=[httpx.Response(503, headers={"Retry-After": "30"}), httpx.Response(200, text="hi")]
    )
    push(shop, stand)
    shop.desk.clock.at += 29_999
    push(shop, stand)
    assert len(stand.fail) == 1
    shop.desk.clock.at += 1
    push(shop, stand)
    problem = done(shop.desk.get("/v1/connections/woocommerce"))["push_problem"]
    assert problem == "it does not answer: DecodingError"
    shop.desk.clock.at += 5_000
    assert push(shop, stand) == 1
    assert stand.stock == {"10": 600}


def test_listings_are_told_one_by_one_as_far_as_amazon_lets_us(shop: Shop) -> None:
    connect(shop, "amazon", {"kettle": "PRODUCT", "cup": "PRODUCT", "tea-set": "PRODUCT"}, **AMAZON)
    stand = AmazonStand(burst=2)
    assert push(shop, stand) == 2
    assert len(stand.quantity) == 2
    stand.burst = 10
    shop.desk.clock.at += 1_999
    assert push(shop, stand) == 0
    shop.desk.clock.at += 1
    assert push(shop, stand) == 1
    assert stand.quantity == {"kettle": 600, "cup": 200, "tea-set": 100}


def test_a_listing_that_amazon_refuses_holds_up_no_other(shop: Shop) -> None:
    connect(shop, "amazon", {"kettle": "PRODUCT", "cup": "PRODUCT"}, **AMAZON)
    stand = AmazonStand(invalid={"cup"})
    assert push(shop, stand) == 2
    assert (stand.quantity, problems(shop, "amazon")) == ({"kettle": 600}, {"cup": "INVALID"})


def test_what_a_connection_is_let_in_by_is_never_told_where_it_does_not_answer(shop: Shop) -> None:
    connect(shop, "amazon", {"kettle": "PRODUCT"}, **{**AMAZON, "secrets": {"client_id": "c"}})
    push(shop, AmazonStand())
    problem = done(shop.desk.get("/v1/connections/amazon"))["push_problem"]
    assert problem == "secrets.client_secret: is needed for amazon"
