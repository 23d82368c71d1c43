"""What comes of what a shop elsewhere says: one order, the right units, and everything that cannot be done in front of people."""

import json
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from engine.channel_issues import NOT_HERE
from engine.connections import get_connection, put_secrets
from engine.database import Tx
from engine.facts import order_id
from tests.api.channels.shop import ACCOUNT, ARRANGED, ORDER, SECRET, Shop, recorded, sign
from tests.api.http.world import done, put


def test_an_order_is_taken_in_allocated_and_promised_by_its_way_of_shipping(shop: Shop) -> None:
    heard = shop.send("create")
    assert heard == {"outcome": "applied", "order": order_id("online", ORDER), "issues": 0}
    order = shop.order()
    assert (order["channel"], order["state"], order["allocated"]) == ("online", "allocated", 3)
    assert (order["lat"], order["lon"], order["region"]) == (52.09, 5.12, "NL")
    assert [line["price"] for line in order["lines"]] == [
        {"amount": 2995, "currency": "EUR"}, {"amount": 2500, "currency": "EUR"},
    ]  # fmt: skip
    assert (order["placed_at"], order["promise_day"]) == ("2025-11-24T17:02:11.000Z", "2025-11-28")
    shop.send("express")
    express = shop.order("6120448013")
    assert express["late_cost"] == {"amount": 900, "currency": "EUR"}
    assert shop.balanced()


def test_what_is_collected_goes_to_the_node_of_its_place_and_what_has_no_coordinates_to_its_postal_area(
    shop: Shop,
) -> None:
    shop.send("pickup")
    assert shop.order("6120448012")["pickup"] == ["shop"]
    shop.send("no_coordinates")
    assert (shop.order("6120448014")["lat"], shop.order("6120448014")["lon"]) == (52.09, 5.11)


def test_people_are_in_one_place_that_can_be_erased(shop: Shop) -> None:
    shop.send("create")
    shop.send("unicode")
    shop.send("update")
    found: dict[str, str] = {}
    with shop.desk.database.read() as tx:
        tables = ("fact", "orders", "channel_order", "channel_event", "channel_issue", "channel_line", "idempotency", "job",
                  "movement", "decision", "connection")  # fmt: skip
        for table in tables:
            found[table] = str(tx.all(f'SELECT * FROM "{table}"'))
        people = tx.all("SELECT name, address, contact FROM recipient ORDER BY no")
    for personal in ("Noor", "noor@", "Oudegracht", "Nguyễn", "Juni", "5550 1177", "twice"):
        assert [table for table, said in found.items() if personal in said] == []
    assert people[0][0] == "Noor de Vries"
    assert people[1][2] == "zoë@exämple.org"
    assert shop.send("redact")["outcome"] == "applied"
    shop.send("address")
    with shop.desk.database.read() as tx:
        assert tx.all("SELECT name, address, contact, erased FROM recipient WHERE erased") == [(None, None, None, True)]
    assert shop.order()["lat"] == 53.22, "the order goes on, to another place"


def test_the_same_message_twice_is_one(shop: Shop) -> None:
    assert shop.send("create", event="w")["outcome"] == "applied"
    before = facts_of(shop)
    assert shop.send("create", event="w") == {"outcome": "seen", "order": order_id("online", ORDER), "issues": 0}
    assert shop.send("create", event="other")["outcome"] == "unchanged"
    assert facts_of(shop) == before


def facts_of(shop: Shop) -> list[str]:
    return [fact["kind"] for fact in done(shop.desk.get(f"/v1/orders/{order_id('online', ORDER)}/timeline"))["data"]]


def test_an_update_is_the_difference_to_what_was_said_before(shop: Shop) -> None:
    shop.send("create")
    assert shop.send("update")["outcome"] == "applied"
    assert shop.lines() == [("kettle", 1, 1), ("cup", 1, 0), ("cup", 3, 0)]
    assert shop.send("update", updated_at="2025-11-24T18:41:00+01:00")["outcome"] == "unchanged"
    assert shop.balanced()


def test_an_update_that_comes_first_is_the_create_and_what_is_older_changes_nothing(shop: Shop) -> None:
    assert shop.send("update")["outcome"] == "applied"
    assert shop.lines() == [("kettle", 1, 0), ("cup", 1, 0), ("cup", 3, 0)]
    assert shop.send("create")["outcome"] == "older"
    assert shop.lines() == [("kettle", 1, 0), ("cup", 1, 0), ("cup", 3, 0)]


def test_of_two_states_of_one_second_the_one_that_was_sent_later_holds(shop: Shop) -> None:
    create, at = recorded("shopify", "create"), "2025-11-24T17:02:11"
    fewer = json.loads(json.dumps(create["payload"]))
    fewer["line_items"][0]["current_quantity"] = 1
    shop.tell("orders/updated", fewer, "late", f"{at}.700Z")
    assert shop.tell("orders/create", create["payload"], "early", f"{at}.200Z")["outcome"] == "older"
    assert shop.lines()[0] == ("kettle", 1, 0)


def test_a_cancelled_order_gives_back_what_it_holds_and_never_comes_back(shop: Shop) -> None:
    shop.send("create")
    assert shop.send("cancel")["outcome"] == "applied"
    assert shop.order()["state"] == "cancelled"
    assert shop.send("update")["outcome"] == "older"
    assert reserved(shop) == 0
    assert shop.balanced()


def test_a_cancel_that_comes_before_its_create_leaves_nothing_to_do(shop: Shop) -> None:
    assert shop.send("cancel")["outcome"] == "unchanged"
    assert shop.send("create")["outcome"] == "older"
    assert shop.desk.get(f"/v1/orders/{order_id('online', ORDER)}").status_code == 404
    assert shop.desk.rows("orders") == shop.desk.rows("recipient") == 0


def reserved(shop: Shop) -> int:
    with shop.desk.database.read() as tx:
        return int(tx.value("SELECT SUM(reserved) FROM stock"))


def test_what_cannot_be_cancelled_any_more_is_told_and_the_rest_is_done(shop: Shop) -> None:
    shop.send("create")
    (consignment,) = shop.release()
    heard = shop.send("update")
    assert (heard["outcome"], heard["issues"]) == ("issue", 1)
    assert shop.lines() == [("kettle", 2, 0), ("cup", 1, 0), ("cup", 3, 0)], "what is added is added"
    assert shop.issues() == [("already_released", "lines[14001].quantity")]
    shop.step(consignment, "ship")
    assert shop.balanced()


def test_units_that_were_given_up_too_late_are_cancelled_when_their_node_sends_them_back(shop: Shop) -> None:
    shop.send("create")
    (consignment,) = shop.release()
    shop.send("cancel")
    assert shop.order()["released"] == 3
    shop.step(consignment, "reject", reason="no time")
    assert shop.order()["open"] == 3
    (issue, *_) = done(shop.desk.get("/v1/channel-issues?state=open"))["data"]
    assert done(shop.desk.post(f"/v1/channel-issues/{issue['id']}/retry"))["outcome"] == "applied"
    assert shop.order()["state"] == "cancelled"
    assert shop.issues() == []
    assert reserved(shop) == 0
    assert shop.balanced()


def test_a_customer_who_changes_their_mind_twice_gets_what_was_ordered(shop: Shop) -> None:
    shop.send("create")
    shop.release()
    shop.send("update", line_items=[])
    assert {code for code, _ in shop.issues()} == {"already_released"}
    create = recorded("shopify", "create")["payload"]
    shop.send("create", updated_at="2025-11-24T22:00:00+01:00", line_items=create["line_items"])
    assert shop.issues() == [], "what was given up too late is wanted again"
    assert shop.lines() == [("kettle", 2, 0), ("cup", 1, 0)]


def test_what_somebody_here_cancelled_does_not_come_back_with_the_next_update(shop: Shop) -> None:
    shop.send("create")
    ours = order_id("online", ORDER)
    done(shop.desk.post(f"/v1/orders/{ours}/cancel", {"lines": [{"line": 1, "units": 1}]}))
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", tags="called")
    assert shop.lines()[0] == ("kettle", 1, 1)
    shop.send("update")
    assert shop.send("update", updated_at="2025-11-24T19:10:00+01:00")["issues"] == 0
    assert shop.lines()[0] == ("kettle", 1, 1), "and is not cancelled twice"


def test_a_new_address_is_followed_until_something_is_under_way(shop: Shop) -> None:
    shop.send("create")
    shop.send("address")
    assert (shop.order()["lat"], shop.order()["lon"]) == (53.22, 6.57)
    done(shop.desk.post("/v1/waves", {"policy": "cheapest", "seconds": 1.0}))
    shop.release()
    shop.send("create", updated_at="2025-11-24T22:00:00+01:00")
    assert shop.issues() == [("already_released", "destination")]
    assert shop.order()["lat"] == 53.22
    shop.send("address", updated_at="2025-11-24T22:30:00+01:00")
    assert shop.issues() == []


def test_a_refund_of_what_has_not_left_takes_it_out_once(shop: Shop) -> None:
    shop.send("create")
    assert shop.send("refund")["outcome"] == "applied"
    assert shop.lines()[0] == ("kettle", 1, 1)
    after = recorded("shopify", "create")["payload"]
    after["line_items"][0]["current_quantity"] = 1
    heard = shop.tell("orders/updated", {**after, "updated_at": "2025-11-24T19:30:06+01:00"}, "state")
    assert heard["outcome"] == "unchanged", "the state has it already"
    assert shop.send("refund")["outcome"] == "older"
    assert shop.send("refund_of_what_left")["outcome"] == "ignored"
    assert shop.lines()[0] == ("kettle", 1, 1)


def test_a_refund_that_comes_before_its_order_waits_for_it(shop: Shop) -> None:
    assert shop.send("refund")["outcome"] == "parked"
    assert shop.issues() == [(NOT_HERE, "order")]
    assert shop.send("create")["outcome"] == "applied"
    assert shop.lines() == [("kettle", 1, 1), ("cup", 1, 0)]
    assert shop.issues() == []


def test_a_refund_that_comes_before_a_state_that_has_it_already_is_not_done_twice(shop: Shop) -> None:
    shop.send("refund")
    after = recorded("shopify", "create")["payload"]
    after["line_items"][0]["current_quantity"] = 1
    shop.tell("orders/updated", {**after, "updated_at": "2025-11-24T19:30:06+01:00"}, "state")
    assert shop.lines() == [("kettle", 1, 0), ("cup", 1, 0)]


def test_a_problem_of_one_line_stays_while_others_change(shop: Shop) -> None:
    shop.send("create")
    shop.release()
    lines = recorded("shopify", "create")["payload"]["line_items"]
    lines[0]["current_quantity"] = 1
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", line_items=lines)
    lines[1]["quantity"] = lines[1]["current_quantity"] = 4
    shop.send("create", updated_at="2025-11-24T19:10:00+01:00", line_items=lines)
    assert shop.lines() == [("kettle", 2, 0), ("cup", 4, 0)]
    assert shop.issues() == [("already_released", "lines[14001].quantity")]


def test_an_edit_says_more_and_fewer_and_leaves_what_it_cannot_name_to_the_next_state(shop: Shop) -> None:
    shop.send("create")
    assert shop.send("edited")["outcome"] == "applied"
    assert shop.lines() == [("kettle", 1, 1), ("cup", 3, 0)]
    assert shop.send("edited_new_line")["outcome"] == "issue"
    assert shop.issues() == [("unknown_line", "lines[14009]")]


@pytest.mark.parametrize(
    ("name", "code", "place"),
    [
        ("null_sku", "no_sku", "lines[14011].sku"),
        ("unknown_sku", "unknown_sku", "lines[14013].sku"),
        ("other_currency", "other_currency", "currency"),
        ("bad_money", "bad_money", "lines[14022].price"),
    ],
)
def test_what_cannot_be_told_is_kept_and_takes_nothing_in(shop: Shop, name: str, code: str, place: str) -> None:
    assert shop.send(name)["outcome"] == "issue"
    assert shop.issues() == [(code, place)]
    assert shop.desk.rows("orders") == 0
    with shop.desk.database.read() as tx:
        kept = str(tx.all("SELECT * FROM channel_issue")) + str(tx.all("SELECT * FROM channel_order"))
    assert "Noor" not in kept
    assert "Oudegracht" not in kept


def test_an_order_is_taken_in_once_what_was_wrong_is_mended(shop: Shop) -> None:
    shop.send("unknown_sku")
    item = {"external_sku": "KTL-NEW", "sku": "kettle"}
    put(shop.desk, "connections/shopify/items", {"items": [item]})
    ((issue,),) = [done(shop.desk.get("/v1/channel-issues"))["data"]]
    assert issue["retries"]
    assert done(shop.desk.post(f"/v1/channel-issues/{issue['id']}/retry"))["outcome"] == "applied"
    order = shop.order("6120448004")
    assert [line["sku"] for line in order["lines"]] == ["kettle"]
    with shop.desk.database.read() as tx:
        assert tx.all("SELECT name FROM recipient WHERE id = :id", id=order["recipient"]) == [("Noor de Vries",)]
    assert shop.issues() == []


def test_what_somebody_saw_to_is_not_told_again_unless_it_is_another_thing(shop: Shop) -> None:
    shop.send("create")
    shop.release()
    shop.send("update")
    (issue,) = done(shop.desk.get("/v1/channel-issues?state=open"))["data"]
    assert done(shop.desk.post(f"/v1/channel-issues/{issue['id']}/settle"))["state"] == "settled"
    shop.send("update", updated_at="2025-11-24T19:20:00+01:00", tags="again")
    assert shop.issues() == []
    shop.send("cancel")
    assert ("already_released", "lines[14001].quantity") in shop.issues()


def test_downloads_gift_cards_and_what_others_have_sent_are_not_ours_to_send(shop: Shop) -> None:
    assert shop.send("digital")["outcome"] == "unchanged"
    assert shop.send("shipped_elsewhere")["outcome"] == "unchanged"
    assert shop.send("mixed")["outcome"] == "applied"
    assert shop.lines("6120448006") == [("cup", 2, 0)]
    assert shop.desk.rows("orders") == 1


def test_units_that_somebody_else_sends_are_not_sent_twice(shop: Shop) -> None:
    shop.send("create")
    shop.send("returned")
    assert shop.lines() == [("kettle", 0, 2), ("cup", 0, 1)]
    assert reserved(shop) == 0


def test_what_we_send_ourselves_stays_sent_when_it_is_told_there_or_comes_back(shop: Shop) -> None:
    shop.send("create")
    (consignment,) = shop.release()
    shop.step(consignment, "ship")
    assert shop.send("returned")["outcome"] == "unchanged"
    assert shop.lines() == [("kettle", 2, 0), ("cup", 1, 0)]
    assert shop.issues() == []


def test_a_deleted_order_is_not_wanted_but_for_what_has_left(shop: Shop) -> None:
    shop.send("create")
    (consignment,) = shop.release()
    shop.step(consignment, "ship")
    shop.send("update")
    assert shop.send("delete")["outcome"] == "applied"
    assert shop.lines() == [("kettle", 2, 0), ("cup", 1, 0), ("cup", 0, 3)]
    assert shop.issues() == []


def test_more_than_may_be_sold_is_an_issue_and_the_rest_is_done(shop: Shop) -> None:
    with_stock = {"weight_g": 300, "backorder": False}
    put(shop.desk, "skus/cup", with_stock)
    shop.send("create")
    lines = recorded("shopify", "create")["payload"]["line_items"]
    lines[0]["quantity"] = lines[0]["current_quantity"] = 3
    lines[1]["quantity"] = lines[1]["current_quantity"] = 500
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", line_items=lines)
    assert shop.lines() == [("kettle", 3, 0), ("cup", 1, 0)]
    assert shop.issues() == [("not_enough_stock", "lines[14002].quantity")]
    assert shop.balanced()


def test_what_is_done_is_forgotten_by_age_and_what_is_not_stays(shop: Shop) -> None:
    shop.send("create")
    shop.send("digital")
    shop.send("unknown_sku")
    shop.send("bad_money")
    shop.send("bad_money", updated_at="2025-11-25T09:00:00Z", cancelled_at="2025-11-25T09:00:00Z")
    shop.desk.clock.at += 29 * 86_400_000
    shop.clock("forget")
    kept = {name: shop.desk.rows(name) for name in ("channel_event", "channel_issue", "channel_order")}
    assert kept == {"channel_event": 5, "channel_issue": 2, "channel_order": 4}
    shop.desk.clock.at += 2 * 86_400_000
    shop.clock("forget")
    with shop.desk.database.read() as tx:
        assert tx.all("SELECT external_id FROM channel_order ORDER BY order_no IS NULL") == [(ORDER,), ("6120448004",)]
    assert shop.issues("settled") == []
    assert shop.issues("open") == [("unknown_sku", "lines[14013].sku")]
    assert shop.desk.rows("channel_event") == 0
    shop.send("update", updated_at="2025-12-30T09:00:00Z")
    assert shop.lines() == [("kettle", 1, 1), ("cup", 1, 0), ("cup", 3, 0)], "the order goes on"


# --- the door ---------------------------------------------------------------------------------------------------------


def test_who_does_not_sign_as_the_shop_does_learns_nothing(shop: Shop) -> None:
    body = json.dumps(recorded("shopify", "create")["payload"]).encode()
    headers = {"X-Shopify-Topic": "orders/create", "X-Shopify-Shop-Domain": ACCOUNT, "X-Shopify-Webhook-Id": "w"}
    answers = [
        shop.post(body, headers),
        shop.post(body, {**headers, "X-Shopify-Hmac-Sha256": sign(body, "guess")}),
        shop.post(body + b" ", {**headers, "X-Shopify-Hmac-Sha256": sign(body)}),
        shop.post(b"{", headers),
    ]
    shop.connection = "nowhere"
    answers.append(shop.post(body, {**headers, "X-Shopify-Hmac-Sha256": sign(body)}))
    for answer in answers:
        assert answer.status_code == 401
        said = answer.json()
        assert (said["code"], said["detail"]) == ("unauthenticated", "this is not proven to be from there")
    assert shop.desk.rows("channel_event") == shop.desk.rows("orders") == 0


def test_both_secrets_are_taken_while_one_takes_the_place_of_the_other(shop: Shop) -> None:
    rotated = shop.desk.post("/v1/connections/shopify/rotate", {"secret": "new", "keep_hours": 1})
    assert done(rotated)["before_until"] == "2025-11-25T11:00:00.000Z"
    shop.send("create")
    shop.send("update", secret="new")  # noqa: S106
    shop.desk.clock.at += 3_600_001
    body = b"{}"
    signed = {"X-Shopify-Shop-Domain": ACCOUNT, "X-Shopify-Hmac-Sha256": sign(body, SECRET)}
    assert shop.post(body, signed).status_code == 401
    with shop.desk.database.read() as tx:
        assert "hush" not in str(tx.all("SELECT secrets FROM connection"))


def test_what_is_signed_and_cannot_be_read_is_not_sent_again(shop: Shop) -> None:
    for body in (b"not json", b'{"id": 5}', b"[]", b'{"id": "\xff"}'):
        headers = {"X-Shopify-Topic": "orders/create", "X-Shopify-Shop-Domain": ACCOUNT,
                   "X-Shopify-Hmac-Sha256": sign(body)}  # fmt: skip
        assert done(shop.post(body, headers))["outcome"] == "issue"
    assert {code for code, _ in shop.issues()} == {"bad_json", "bad_payload"}
    (issue, *_) = done(shop.desk.get("/v1/channel-issues"))["data"]
    refused = shop.desk.post(f"/v1/channel-issues/{issue['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_to_retry")


def test_a_bug_is_kept_as_an_issue_that_shows_nothing_and_can_be_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.channels import hearing

    def fail(*_: Any) -> None:
        raise RuntimeError("Noor de Vries")

    monkeypatch.setattr(hearing, "hear", fail)
    assert shop.send("create")["outcome"] == "issue"
    assert shop.issues() == [("bug", "order")]
    (issue,) = done(shop.desk.get("/v1/channel-issues"))["data"]
    assert "Noor" not in str(issue)
    assert done(shop.desk.post(f"/v1/channel-issues/{issue['id']}/retry"))["outcome"] == "applied"
    assert shop.lines() == [("kettle", 2, 0), ("cup", 1, 0)]
    assert shop.issues() == []


def test_a_connection_that_is_not_active_is_told_to_come_back(shop: Shop) -> None:
    connection = {"kind": "shopify", "channel": "online", "account": ACCOUNT, "arrangement": ARRANGED, "active": False}
    put(shop.desk, "connections/shopify", connection)
    body = b"{}"
    signed = {"X-Shopify-Shop-Domain": ACCOUNT, "X-Shopify-Hmac-Sha256": sign(body)}
    answer = shop.post(body, signed)
    assert (answer.status_code, answer.json()["code"]) == (409, "inactive_connection")


def test_a_body_that_is_too_large_is_not_read(shop: Shop) -> None:
    assert shop.post(b"x" * (9 << 20), {}).status_code == 413


# --- connections ------------------------------------------------------------------------------------------------------


def test_secrets_are_never_shown_and_stay_where_nothing_is_said_of_them(shop: Shop) -> None:
    shown = done(shop.desk.get("/v1/connections/shopify"))
    assert shown["secrets"] == ["signing", "token"]
    assert "hush" not in json.dumps(shown)
    put(shop.desk, "connections/shopify", {"kind": "shopify", "channel": "online", "account": ACCOUNT})
    assert shop.send("create")["outcome"] == "applied"


def test_a_secret_that_takes_the_place_of_one_while_the_connection_is_changed_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.channels import hearing

    vault, seal = shop.desk.app.state.service.vault, hearing.seal

    def rotate(tx: Tx) -> None:
        before = hearing.unseal(vault, get_connection(tx, "shopify", lock=True).secrets)
        put_secrets(tx, "shopify", seal(vault, before.rotate("signing", "fresh", shop.desk.clock(), 0)), 1)

    def meanwhile(*said: Any) -> str:
        beside.append(pool.submit(shop.desk.database.write, rotate))
        wait(beside, timeout=0.5)
        return seal(*said)

    beside: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(hearing, "seal", meanwhile)
            body = {"kind": "shopify", "channel": "online", "account": ACCOUNT, "secrets": {"token": "other"}}
            put(shop.desk, "connections/shopify", body)
        beside[0].result()
    with shop.desk.database.read() as tx:
        kept = hearing.unseal(vault, get_connection(tx, "shopify").secrets).now
    assert kept == {"signing": "fresh", "token": "other"}


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"kind": "bazaar"}, "unknown_kind", "/kind"), ({"channel": "none"}, "unknown_channel", "/channel"),
        ({"account": "example.com"}, "bad_account", "/account"), ({"secrets": {"pin": "1"}}, "unknown_field", "/secrets/pin"),
        ({"secrets": {"token": ""}}, "bad_input", "/secrets/token"), ({"more": 1}, "unknown_field", "/more"),
        ({"arrangement": {"pickup": {"x": "nowhere"}}}, "unknown_node", "/arrangement/pickup/x"),
        ({"arrangement": {"pickup": {"x": "near"}}}, "node_does_not_collect", "/arrangement/pickup/x"),
        ({"arrangement": {"options": {"api_version": "7"}}}, "bad_input", "/arrangement/options/api_version"),
    ],
)  # fmt: skip
def test_a_connection_that_cannot_be_is_refused(shop: Shop, changes: dict[str, Any], code: str, pointer: str) -> None:
    body = {"kind": "shopify", "channel": "web", "account": "other.myshopify.com", **changes}
    answer = shop.desk.ask("PUT", "/v1/connections/other", json=body)
    assert answer.json()["code"] == code, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_channel_has_one_connection_and_a_connection_with_orders_its_channel(shop: Shop) -> None:
    body = {"kind": "shopify", "channel": "online", "account": "other.myshopify.com"}
    taken = shop.desk.ask("PUT", "/v1/connections/other", json=body)
    assert (taken.status_code, taken.json()["code"]) == (409, "channel_taken")
    shop.send("create")
    moved = shop.desk.ask("PUT", "/v1/connections/shopify", json={**body, "account": ACCOUNT, "channel": "web"})
    assert (moved.status_code, moved.json()["code"]) == (409, "channel_is_fixed")


def test_an_order_of_which_nothing_is_left_goes_on_when_something_is_added(shop: Shop) -> None:
    lines = recorded("shopify", "create")["payload"]["line_items"]
    shop.send("create")
    for line in lines:
        line["current_quantity"] = 0
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", line_items=lines)
    assert shop.order()["state"] == "cancelled"
    elsewhere = recorded("shopify", "address")["payload"]["shipping_address"]
    shop.send("create", updated_at="2025-11-24T19:05:00+01:00", line_items=lines, shipping_address=elsewhere)
    new = {**lines[1], "id": 14008, "current_quantity": 2, "quantity": 2}
    more = [*lines, new]
    shop.send("create", updated_at="2025-11-24T19:10:00+01:00", line_items=more, shipping_address=elsewhere)
    assert shop.lines() == [("kettle", 0, 2), ("cup", 0, 1), ("cup", 2, 0)]
    assert shop.order()["lat"] == 53.22, "and goes to where it is to go by now"
    assert (shop.order()["state"], shop.issues()) == ("open", [])
    assert shop.balanced()


def test_several_changes_that_waited_are_each_done(shop: Shop) -> None:
    refund = recorded("shopify", "refund")["payload"]
    shop.tell("refunds/create", {**refund, "created_at": "2025-11-24T19:30:05+01:00"}, "first")
    shop.tell("refunds/create", {**refund, "created_at": "2025-11-24T19:40:05+01:00"}, "second")
    shop.send("create")
    assert shop.lines() == [("kettle", 0, 2), ("cup", 1, 0)]
