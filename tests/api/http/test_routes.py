"""The routes at work, on both databases: an order's life, stock, holds, waves, promises, what staff may do, lists."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest

from api.http.pages import cursor
from engine.books import fsck
from engine.calendar import MS_PER_DAY
from engine.database import Database
from engine.facts import Prefix, check_id, order_id, short_id
from engine.waves import WaveDone
from solver.refusal import Refusal
from tests.api.http.conftest import Desk, opened
from tests.api.http.test_conventions import problem
from tests.api.http.world import done, furnish, order, put, release, step


@pytest.fixture
def shop(database: Database) -> Iterator[Desk]:
    """The example network; the books balance when all is done."""
    with opened(database) as desk:
        furnish(desk)
        yield desk
        with database.read() as tx:
            assert fsck(tx) == []


def stock(desk: Desk, sku: str = "kettle", node: str = "near") -> dict[str, Any]:
    found: dict[str, Any] = done(desk.get(f"/v1/stock/{sku}/{node}"))
    return found


def test_an_order_is_allocated_promised_released_shipped_delivered_and_returned(shop: Desk) -> None:
    answer = shop.post("/v1/orders", order("1"))
    placed = done(answer, 201)
    assert (placed["outcome"], placed["state"], placed["allocated"]) == ("new", "allocated", 1)
    assert answer.headers["location"] == f"/v1/orders/{placed['id']}"
    seen = done(shop.get(answer.headers["location"]))
    assert [(parcel["node"], parcel["service"], parcel["cost"]["currency"]) for parcel in seen["parcels"]] == [
        ("near", "ground", "EUR")
    ]
    decision = done(shop.get(f"/v1/orders/{placed['id']}/decision"))
    assert decision["gap"] == 0
    assert decision["cost"]["amount"] == 600 + 150 + 20 + 5
    assert decision["record"]["lines"][0]["candidates"][0]["node"] == "near"
    done(shop.post(f"/v1/orders/{placed['id']}/release", {}, once="release"))
    (consignment,) = done(shop.get("/v1/consignments?node=near&state=released"))["data"]
    for what in ("pick", "pack", "ship", "deliver"):
        step(shop, consignment["id"], what)
    back = {"units": [{"line": 1, "sku": "kettle", "units": 1, "to": "stock"}]}
    done(shop.post(f"/v1/consignments/{consignment['id']}/return", back, once="return"))
    whole = done(shop.get(f"/v1/orders/{placed['id']}"))
    assert (whole["state"], whole["returned"]) == ("returned", 1)
    kinds = [fact["kind"] for fact in done(shop.get(f"/v1/orders/{placed['id']}/timeline"))["data"]]
    assert kinds == [
        "OrderPlaced",
        "Allocated",
        "OrderReleased",
        "Picked",
        "Packed",
        "Shipped",
        "Delivered",
        "ReturnReceived",
    ]
    assert stock(shop)["on_hand"] == 200


def test_the_same_order_twice_is_one_and_with_other_content_a_conflict(shop: Desk) -> None:
    first = done(shop.post("/v1/orders", order("1")), 201)
    again = done(shop.post("/v1/orders", order("1")), 200)
    assert (again["id"], again["outcome"]) == (first["id"], "seen")
    problem(shop.post("/v1/orders", order("1", qty=2)), 409, "order_conflict")
    assert shop.rows("orders") == 1


def test_a_batch_answers_each_order_by_itself(shop: Desk) -> None:
    bad = {**order("2"), "lines": [{"sku": "nothing", "qty": 1}]}
    wrong = {**order("3"), "colour": "red"}
    sent = {"orders": [order("1"), bad, wrong, order("1"), order("1", qty=9), "no order"]}
    data = done(shop.post("/v1/orders:batch", sent), 200)["data"]
    assert [one["outcome"] for one in data] == ["new", "refused", "refused", "seen", "refused", "refused"]
    assert [(one["status"], one["error"]["pointer"], one["error"]["code"]) for one in data if "error" in one] == [
        (422, "/orders/1/lines/0/sku", "unknown_sku"),
        (422, "/orders/2/colour", "unknown_field"),
        (409, "/orders/4/external_id", "order_conflict"),
        (422, "/orders/5", "bad_input"),
    ]
    assert shop.rows("orders") == 1
    problem(shop.post("/v1/orders:batch", {"orders": [order("1")] * 501}), 422, "bad_input")


def test_an_edit_and_a_cancellation_give_stock_back_and_heed_the_version(shop: Desk) -> None:
    placed = done(shop.post("/v1/orders", order("1", qty=5)), 201)
    path = f"/v1/orders/{placed['id']}"
    version = shop.get(path).headers["etag"]
    stale = shop.post(f"{path}/edit", {"lines": [{"line": 1, "qty": 2}]}, headers={"If-Match": '"99"'})
    assert problem(stale, 412, "version_conflict")["errors"][0]["pointer"] == "If-Match"
    done(shop.post(f"{path}/edit", {"lines": [{"line": 1, "qty": 2}]}, headers={"If-Match": version}))
    assert stock(shop)["reserved"] == 2
    problem(shop.post(f"{path}/cancel", {}, headers={"If-Match": version}), 412, "version_conflict")
    done(shop.post(f"{path}/cancel", {}))
    assert stock(shop)["reserved"] == 0
    problem(shop.post(f"{path}/cancel", {}), 409, "not_cancellable")
    problem(shop.post("/v1/orders/ord_none/cancel", {}), 404, "unknown_order")


@pytest.mark.parametrize("path", ["stock/receipts", "stock/adjustments", "consignments/con_x/ship", "stock/feed"])
def test_writes_of_stock_and_shipments_need_a_key(shop: Desk, path: str) -> None:
    problem(shop.post(f"/v1/{path}", {}), 400, "missing_idempotency_key")
    problem(shop.post(f"/v1/{path}", {}, once="x" * 256), 422, "bad_idempotency_key")


def test_a_count_heeds_what_was_expected(shop: Desk) -> None:
    counted = {"sku": "kettle", "node": "near", "units": 7, "expected": 200}
    done(shop.post("/v1/stock/counts", counted, once="1"))
    assert stock(shop)["on_hand"] == 7
    problem(shop.post("/v1/stock/counts", counted, once="2"), 409, "count_conflict")
    problem(shop.post("/v1/stock/adjustments", {"sku": "kettle", "node": "near", "change": -8, "reason": "x"}, once="3"),
            409, "not_enough_stock")  # fmt: skip


def test_nobody_may_take_an_id_that_is_made_here(shop: Desk) -> None:
    placed = done(shop.post("/v1/orders", order("1", qty=150)))
    received = {"sku": "kettle", "node": "near", "units": 3}
    for n, id in enumerate((order_id("web", "2"), f"{placed['id']}:allocated:{placed['version'] + 1}")):
        answer = shop.post("/v1/stock/receipts", {"id": id, **received}, once=f"mine {n}")
        assert problem(answer, 422, "reserved_id")["errors"][0]["pointer"] == "/id"
        message = {"id": id, "sku": "kettle", "node": "near", "sequence": n, "units": 3}
        feed = {"source": "wms", "messages": [message]}
        answer = shop.post("/v1/stock/feed", feed, once=f"feed {n}")
        assert problem(answer, 422, "reserved_id")["errors"][0]["pointer"] == "/messages/0/id"
    done(shop.post("/v1/orders", order("2")), 201)


def test_every_id_that_is_made_here_is_refused_to_others() -> None:
    made = [short_id(prefix, "kettle") for prefix in get_args(Prefix)]  # mypy: there are no other prefixes
    for id in (*made, f"{order_id('web', '1')}:allocated:2"):
        with pytest.raises(Refusal, match="looks like an id that is made here"):
            check_id(id)
    for id in ("delivery-7", "ord_7", "net_change_5"):
        check_id(id)


def test_messages_of_a_feed_are_told_apart_whatever_they_are_about(shop: Desk) -> None:
    sku = "k" * 200
    put(shop, f"skus/{sku}", {"weight_g": 1})
    said = [{"sku": sku, "node": "near", "sequence": n, "units": n} for n in (1, 2)]
    answer = done(shop.post("/v1/stock/feed", {"source": "wms", "messages": said}, once="feed"))
    assert answer["data"] == ["late", "applied"]
    again = done(shop.post("/v1/stock/feed", {"source": "wms", "messages": said}, once="again"))
    assert again["data"] == ["seen", "seen"]


def test_a_fact_that_brings_its_id_has_one_effect_whatever_the_key(shop: Desk) -> None:
    received = {"id": "delivery-7", "sku": "kettle", "node": "near", "units": 3}
    assert done(shop.post("/v1/stock/receipts", received, once="a"))["seen"] is False
    assert done(shop.post("/v1/stock/receipts", received, once="b"))["seen"] is True
    problem(shop.post("/v1/stock/receipts", {**received, "units": 4}, once="c"), 409, "fact_conflict")
    assert stock(shop)["on_hand"] == 203
    problem(shop.post("/v1/stock/receipts", {**received, "at": "2099-01-01T00:00:00Z"}, once="d"), 422, "bad_input")


def test_a_feed_may_be_late_and_come_twice(shop: Desk) -> None:
    def feed(*messages: tuple[int, int]) -> Any:
        said = [{"sku": "kettle", "node": "near", "sequence": n, "units": units} for n, units in messages]
        return done(shop.post("/v1/stock/feed", {"source": "wms", "messages": said}, once=str(messages)))["data"]

    assert feed((5, 50), (4, 40)) == ["applied", "late"]
    assert feed((5, 50), (3, 30)) == ["seen", "late"]
    assert stock(shop)["on_hand"] == 50


def test_a_hold_is_kept_until_it_is_given_up(shop: Desk) -> None:
    held = {"channel": "web", "until": "2025-11-25T10:15:00Z", "units": [{"sku": "kettle", "units": 600}]}
    fact = done(shop.post("/v1/holds", held, once="1"))["fact"]
    assert done(shop.get(f"/v1/holds/{fact}"))["state"] == "held"
    problem(shop.post("/v1/holds", held, once="2"), 409, "not_enough_stock")
    done(shop.post(f"/v1/holds/{fact}/release", {}, once="3"))
    problem(shop.post(f"/v1/holds/{fact}/release", {}, once="4"), 409, "hold_ended")


def test_staff_sees_and_touches_its_own_node_only(shop: Desk) -> None:
    mine = release(shop, "pickup", pickup=["shop"])
    other = release(shop, "sent")
    shop.node = "shop"
    for path in (f"consignments/{other}", "stock/kettle/near", "stock?node=near", "consignments?node=near",
                 "nodes/near/capacity"):  # fmt: skip
        problem(shop.get(f"/v1/{path}", scope="node"), 403, "forbidden")
    assert {one["node"] for one in done(shop.get("/v1/stock", scope="node"))["data"]} == {"shop"}
    assert [one["id"] for one in done(shop.get("/v1/consignments", scope="node"))["data"]] == [mine]
    problem(shop.post(f"/v1/consignments/{other}/pick", {}, scope="node", once="1"), 403, "forbidden")
    done(shop.post(f"/v1/consignments/{mine}/pick", {}, scope="node", once="2"))
    counted = {"sku": "kettle", "node": "near", "units": 7}
    problem(shop.post("/v1/stock/counts", counted, scope="node", once="3"), 403, "forbidden")
    done(shop.post("/v1/stock/counts", {**counted, "node": "shop"}, scope="node", once="4"))
    problem(shop.post("/v1/nodes/near/pause", {}, scope="node"), 403, "forbidden")


def be_staff_of(desk: Desk, node: str) -> None:
    desk.node = node
    desk.secrets.pop("node", None)


def test_the_store_where_a_parcel_is_collected_hands_it_over_whoever_packed_it(shop: Desk, database: Database) -> None:
    parcel = release(shop, "to-store")
    database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = (SELECT no FROM node WHERE id = 'shop')"))

    def says(node: str, what: str, body: dict[str, Any] | None = None) -> Any:
        be_staff_of(shop, node)
        return shop.post(f"/v1/consignments/{parcel}/{what}", body or {}, scope="node", once=f"{node} {what} {body}")

    problem(says("shop", "pick"), 403, "forbidden")
    problem(says("shop", "ship"), 403, "forbidden")
    done(says("near", "ship"))
    problem(says("near", "ready"), 403, "forbidden")
    problem(says("far", "ready"), 403, "forbidden")
    done(says("shop", "ready"))
    for node, seen in (("near", [parcel]), ("shop", [parcel]), ("far", [])):
        be_staff_of(shop, node)
        assert [one["id"] for one in done(shop.get("/v1/consignments", scope="node"))["data"]] == seen
        assert shop.get(f"/v1/consignments/{parcel}", scope="node").status_code == (200 if seen else 403)
    done(says("shop", "deliver"))
    back = {"units": [{"line": 1, "sku": "kettle", "units": 1, "to": "stock"}]}
    problem(says("shop", "return", back), 403, "forbidden")  # it would be on the books of the one that packed it
    problem(says("near", "return", {**back, "node": "shop"}), 403, "forbidden")
    done(says("shop", "return", {**back, "node": "shop"}))
    assert stock(shop, node="shop")["on_hand"] == 201


def test_staff_transfers_nothing_onto_the_books_of_another_node(shop: Desk) -> None:
    shop.node = "shop"
    moved = {"sku": "kettle", "node": "shop", "to_node": "near", "units": 1}
    problem(shop.post("/v1/stock/transfers", moved, scope="node", once="1"), 403, "forbidden")
    taken = {**moved, "node": "near", "to_node": "shop"}
    problem(shop.post("/v1/stock/transfers", taken, scope="node", once="2"), 403, "forbidden")
    done(shop.post("/v1/stock/transfers", moved, once="3"))


def test_what_parcels_cost_is_money_in_orders_decisions_and_facts(shop: Desk) -> None:
    path = done(shop.post("/v1/orders", order("1")), 201)["id"]
    whole = done(shop.get(f"/v1/orders/{path}"))["parcels"]
    decided = done(shop.get(f"/v1/orders/{path}/decision"))["record"]["parcels"]
    told = done(shop.get(f"/v1/orders/{path}/timeline"))["data"][-1]["payload"]["parcels"]
    assert whole[0]["cost"]["amount"] > 0
    assert whole[0]["cost"] == decided[0]["cost"] == told[0]["cost"]


def test_a_wave_tells_its_gap_and_a_dry_one_changes_nothing(shop: Desk) -> None:
    for n in range(4):
        done(shop.post("/v1/orders", order(str(n))), 201)
    facts = shop.rows("fact")
    dry = done(shop.post("/v1/waves", {"dry": True, "policy": "cheapest"}))
    assert (dry["dry"], dry["orders"], shop.rows("fact"), shop.rows("wave")) == (True, 4, facts, 0)
    wave = done(shop.post("/v1/waves", {"policy": "cheapest", "shadow": "nearest"}))
    assert wave["orders"] == 4
    assert done(shop.get(f"/v1/waves/{wave['id']}"))["cost"] == wave["cost"]
    assert [one["id"] for one in done(shop.get("/v1/waves"))["data"]] == [wave["id"]]
    assert done(shop.get(f"/v1/shadow?ref={wave['id']}"))["data"][0]["live_policy"] == "cheapest"
    problem(shop.post("/v1/waves", {"policy": "best"}), 422, "invalid")


def test_waves_that_are_being_decided_leave_threads_to_everybody_else(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.app.state.service.settings = shop.app.state.service.settings.model_copy(update={"threads": 2})
    begun, over = threading.Event(), threading.Event()

    def think(*_: object, **__: object) -> WaveDone:
        begun.set()
        assert over.wait(20)
        return WaveDone("wav_slow")

    monkeypatch.setattr("api.http.routes.deciding.run_wave", think)
    headers = shop.headers("admin")

    async def another(client: httpx.AsyncClient) -> httpx.Response:
        while not begun.is_set():
            await asyncio.sleep(0.01)
        try:
            return await client.post("/v1/waves", headers=headers, json={})
        finally:
            over.set()

    first, second = shop.together(lambda client: client.post("/v1/waves", headers=headers, json={}), another)
    assert first.status_code == 200
    problem(second, 503, "overloaded")
    assert second.headers["retry-after"] == "5"
    assert shop.post("/v1/waves", {}).status_code == 200, "there is room again"


def test_a_wave_may_look_ahead_and_says_where_it_has_nothing_to_go_by(shop: Desk) -> None:
    done(shop.post("/v1/orders", order("1")), 201)
    assert done(shop.post("/v1/waves", {"policy": "primal_dual"}))["policy"] == "primal_dual"
    blind = done(shop.post("/v1/waves", {"policy": "bid_price"}))
    assert (blind["policy"], blind["note"]) == (
        "nearest", "bid_price has no outlook: nothing was ordered in the 84 days before today",
    )  # fmt: skip


def test_a_promise_offers_services_and_stores_without_any_effect(shop: Desk) -> None:
    asked = {"channel": "web", "lines": [{"sku": "kettle", "qty": 2}], "place": {"lat": 52.1, "lon": 5.1}}
    facts = shop.rows("fact")
    offers = done(shop.post("/v1/promise", asked))["data"]
    assert {one["kind"] for one in offers} == {"delivery", "service", "pickup"}
    assert all(one["complete"] and one["cost"]["currency"] == "EUR" for one in offers)
    assert shop.rows("fact") == facts
    problem(shop.post("/v1/promise", {**asked, "channel": "moon"}), 422, "unknown_channel")


def test_what_may_be_sold_is_what_is_there_and_to_come(shop: Desk) -> None:
    coming = {"sku": "kettle", "node": "near", "inbound": "po-1", "units": 50, "due_day": "2025-12-01"}
    done(shop.post("/v1/inbound", coming, once="1"))
    found = done(shop.get("/v1/availability/kettle?channel=web&by=2025-12-02"))
    assert (found["units"], found["days"]) == (600, [{"day": "2025-12-02", "units": 650}])
    problem(shop.get("/v1/availability/nothing"), 404, "unknown_sku")


def test_money_is_of_the_one_currency_here(shop: Desk) -> None:
    shop.database.write(
        lambda tx: tx.run("INSERT INTO setting (name, value) VALUES ('currency', '{\"currency\": \"EUR\"}')")
    )
    priced = order("1")
    for price, code in (({"amount": 1, "currency": "USD"}, "other_currency"), ({"amount": 1.5, "currency": "EUR"}, "bad_input"),
                        ({"amount": -1, "currency": "EUR"}, "bad_input"), (100, "bad_input")):  # fmt: skip
        priced["lines"][0]["price"] = price
        assert shop.post("/v1/orders", priced).json()["code"] == code
    assert shop.rows("orders") == 0


def test_the_catalogue_is_written_by_whoever_read_it_last(shop: Desk) -> None:
    answer = shop.get("/v1/nodes/near")
    node = answer.json()
    for name in ("id", "version", "paused"):
        del node[name]
    changed = {**node, "parcel_cents": 175}
    kept = shop.ask("PUT", "/v1/nodes/near", json=changed, headers={"If-Match": answer.headers["etag"]})
    assert kept.headers["etag"] != answer.headers["etag"]
    late = shop.ask("PUT", "/v1/nodes/near", json=node, headers={"If-Match": answer.headers["etag"]})
    problem(late, 412, "changed_meanwhile")
    assert done(shop.get("/v1/nodes/near"))["parcel_cents"] == 175
    wrong = shop.ask("PUT", "/v1/nodes/near", json={**node, "calendar": "none"})
    assert problem(wrong, 422, "dangling_reference")["errors"][0]["pointer"] == "/calendar"
    done(shop.post("/v1/nodes/near/pause", {}))
    assert done(shop.get("/v1/nodes/near"))["paused"] is True
    assert [one["id"] for one in done(shop.get("/v1/nodes?limit=2"))["data"]] == ["far", "near"]


def test_lists_go_on_where_a_page_ended(shop: Desk) -> None:
    for n in range(7):
        done(shop.post("/v1/orders", order(str(n))), 201)
    found, path = [], "/v1/orders?limit=3&channel=web"
    while path:
        answer = shop.get(path)
        found += [one["external_id"] for one in answer.json()["data"]]
        path = answer.headers["link"].partition("<")[2].partition(">")[0] if "link" in answer.headers else ""
    assert found == ["6", "5", "4", "3", "2", "1", "0"]
    log, after = [], ""
    while True:
        answer = done(shop.get(f"/v1/facts?limit=5&{after}"))
        log += [fact["id"] for fact in answer["data"]]
        if not answer["next"]:
            break
        after = f"after={answer['next']}"
    assert len(log) == len(set(log)) == shop.rows("fact")
    problem(shop.get(f"/v1/orders?after={cursor('x')}"), 422, "bad_cursor")


def test_who_would_be_erased_by_age_is_listed_page_by_page(shop: Desk) -> None:
    for number in range(5):
        put(shop, f"recipients/cus-{number}", {"name": f"Ann {number}"})
    shop.clock.at += 31 * MS_PER_DAY
    found, path = [], "/v1/retention/due?days=30&limit=2"
    while path:
        answer = shop.get(path)
        found += [one["recipient"] for one in answer.json()["data"]]
        path = answer.headers["link"].partition("<")[2].partition(">")[0] if "link" in answer.headers else ""
    assert found == [f"cus-{number}" for number in range(5)]
    assert done(shop.get("/v1/retention/due"))["data"] == [], "nobody said for how long people are known"


def test_a_recipient_is_forgotten_and_the_orders_stay(shop: Desk) -> None:
    put(
        shop,
        "recipients/cus-1",
        {"name": "Ann Example", "address": "1 High Street\nTown", "contact": "ann@example.org"},
    )
    done(shop.post("/v1/orders", order("1", recipient="cus-1")), 201)
    done(shop.post("/v1/recipients/cus-1/erase", {}))
    with shop.database.read() as tx:
        assert tx.all("SELECT name, address, contact, erased FROM recipient") == [(None, None, None, True)]
        assert "Ann" not in str(tx.all("SELECT * FROM fact"))


def test_a_path_cannot_say_what_the_body_says(shop: Desk) -> None:
    wrong = shop.post("/v1/orders/ord_x/cancel", {"order": "ord_y"})
    assert problem(wrong, 422, "unknown_field")["errors"][0]["pointer"] == "/order"
    problem(shop.get("/v1/orders/%00"), 422, "invalid")


@pytest.mark.parametrize(
    ("path", "body", "pointer", "code"),
    [
        ("/v1/terms", {"promise_days": 5}, "/late_cents", "missing"),
        ("/v1/skus/mug", {}, "/weight_g", "missing"),
        ("/v1/skus/mug", {"weight_g": 1, "unfilled_cents": -1}, "/unfilled_cents", "bad_input"),
        ("/v1/skus/mug", {"weight_g": 1, "colour": "red"}, "/colour", "unknown_field"),
    ],
)
def test_an_entry_that_is_not_allowed_says_which_field_by_its_own_name(
    shop: Desk, path: str, body: dict[str, Any], pointer: str, code: str
) -> None:
    refused = problem(shop.ask("PUT", path, json=body), 422, code)
    assert [(fault["pointer"], fault["code"]) for fault in refused["errors"]] == [(pointer, code)]


def test_orders_follow_the_terms_that_are_said_from_then_on(shop: Desk) -> None:
    """Who read them last may say them; orders that came before stay as they are."""

    def promised(external_id: str) -> int:
        placed = done(shop.post("/v1/orders", order(external_id)), 201)
        with shop.database.read() as tx:
            return int(tx.value("SELECT promise_day FROM orders WHERE id = :id", id=placed["id"]))

    answer = shop.get("/v1/terms")
    usual = answer.json()
    assert usual.pop("version") == 0
    before = promised("1")
    said = {**usual, "promise_days": usual["promise_days"] + 4}
    kept = shop.ask("PUT", "/v1/terms", json=said, headers={"If-Match": answer.headers["etag"]})
    assert done(kept) == {**said, "version": 1} == done(shop.get("/v1/terms", scope="operator"))
    assert promised("2") == before + 4
    late = shop.ask("PUT", "/v1/terms", json=usual, headers={"If-Match": answer.headers["etag"]})
    problem(late, 412, "changed_meanwhile")
    problem(shop.ask("PUT", "/v1/terms", json=said, scope="operator"), 403, "forbidden")
    wrong = shop.ask("PUT", "/v1/terms", json={**said, "promise_days": -1})
    assert problem(wrong, 422, "bad_input")["errors"][0]["pointer"] == "/promise_days"


def test_the_currency_is_said_before_there_are_orders_and_stays(shop: Desk) -> None:
    assert done(shop.get("/v1/currency")) == {"currency": "EUR", "version": 0}
    done(shop.post("/v1/orders", order("1")), 201)
    problem(shop.ask("PUT", "/v1/currency", json={"currency": "USD"}), 409, "other_currency")
    problem(shop.ask("PUT", "/v1/currency", json={"currency": "EUR"}, scope="planner"), 403, "forbidden")
    put(shop, "currency", {"currency": "EUR"})


def test_a_shop_may_have_another_currency_from_the_beginning(database: Database) -> None:
    with opened(database) as desk:
        put(desk, "currency", {"currency": "USD"})
        furnish(desk)
        priced = order("1")
        priced["lines"][0]["price"] = {"amount": 1900, "currency": "USD"}
        done(desk.post("/v1/orders", priced), 201)
        problem(desk.ask("PUT", "/v1/currency", json={"currency": "EUR"}), 409, "other_currency")


def test_an_order_is_held_for_review_after_as_many_refusals_as_are_said(shop: Desk) -> None:
    assert done(shop.get("/v1/rejections"))["most"] == 3
    put(shop, "rejections", {"most": 1})
    consignment = release(shop, "1")
    refused = {"reason": "closed today"}
    done(shop.post(f"/v1/consignments/{consignment}/reject", refused, once="1"))
    (seen,) = done(shop.get("/v1/orders"))["data"]
    assert seen["review"] is True


def test_a_parameter_that_is_none_here_is_refused_and_those_that_are_are_named(shop: Desk) -> None:
    told = problem(shop.get("/v1/orders?stat=shipped"), 422, "unknown_field")
    assert told["errors"][0]["pointer"] == "stat"
    assert told["detail"].startswith("'stat' is no parameter here; there are after, ")
    assert " state" in told["detail"]


def test_a_word_that_is_none_of_those_allowed_is_refused_and_these_are_named(shop: Desk) -> None:
    placed = done(shop.post("/v1/orders", order("1")), 201)
    asked = {"order": placed["id"], "lines": [{"line": 1, "units": 1, "reason": "too blue"}]}
    told = problem(shop.post("/v1/returns", asked, once="ask"), 422, "bad_input")
    assert told["detail"].startswith("lines[0].reason: 'too blue' is none of damaged, defective, ")
