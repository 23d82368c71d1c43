"""Webhooks and messages over HTTP: what is shown, what is shown once, and what is refused."""

import json
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
from standardwebhooks import Webhook

from api.http.routes.notices import EVERYTHING, OptedOut
from api.http.routes.webhooks import Type
from api.notices.unsubscribing import link_of
from api.vault import vault_of
from api.webhooks.envelope import body_of
from engine import webhooks
from engine.database import Database
from engine.events import EVENTS, TEST, relay
from engine.notices import TOLD
from tests.api.http.conftest import AT, Desk, opened
from tests.api.http.test_conventions import problem
from tests.api.http.world import done, furnish, order, put, tell

URL = "https://hooks.example.com/allot"


@pytest.fixture
def shop(database: Database) -> Iterator[Desk]:
    """A service on each database, with a network, where messages are sent."""
    told = {"smtp_host": "mail.example", "smtp_from": "Shop <a@shop.example>", "public_url": "https://allot.example"}
    with opened(database, **told) as desk:
        furnish(desk)
        yield desk


def made(desk: Desk, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = done(desk.post("/v1/webhooks", {"url": URL, **more}))
    return answer


def test_types_of_events_are_those_that_there_are() -> None:
    assert set(get_args(Type)) == set(EVENTS) - {TEST}
    assert set(get_args(OptedOut)) == {EVERYTHING, *TOLD}


def test_a_secret_is_shown_once_and_kept_sealed(shop: Desk) -> None:
    webhook = made(shop)
    secret = webhook["secret"]
    assert secret.startswith("whsec_")
    assert Webhook(secret)
    assert secret not in shop.get(f"/v1/webhooks/{webhook['id']}").text + shop.get("/v1/webhooks").text
    second = done(shop.post(f"/v1/webhooks/{webhook['id']}/secrets", {"overlap_hours": 1}))["secret"]
    with shop.database.read() as tx:
        kept = str([tx.all(f"SELECT * FROM {name}") for name in ("webhook_secret", "webhook", "fact", "idempotency")])
        sealed = [one for (one,) in tx.all("SELECT sealed FROM webhook_secret ORDER BY no")]
    assert secret not in kept
    vault = vault_of(shop.app.state.service.settings)
    assert [vault.unseal(one) for one in sealed] == [secret, second]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://hooks.example.com"}, "bad_url"),
        ({"url": "https://10.0.0.1/"}, "forbidden_address"),
        ({"url": URL, "types": ["order.eaten"]}, "invalid"),
        ({"types": []}, "invalid"),
    ],
)
def test_a_webhook_that_may_not_be_is_refused_and_not_there(shop: Desk, body: dict[str, Any], code: str) -> None:
    problem(shop.post("/v1/webhooks", body), 422, code)
    problem(shop.ask("PUT", "/v1/webhooks/none", json={"url": URL}), 404, "unknown_webhook")
    assert shop.rows("webhook") == 0


def test_a_webhook_is_changed_only_if_it_is_as_it_was_read(shop: Desk) -> None:
    id = made(shop)["id"]
    got = shop.get(f"/v1/webhooks/{id}")
    match = {"If-Match": got.headers["etag"]}
    changed = shop.ask("PUT", f"/v1/webhooks/{id}", json={"url": URL, "types": ["order.shipped"]}, headers=match)
    assert done(changed)["types"] == ["order.shipped"]
    problem(shop.ask("PUT", f"/v1/webhooks/{id}", json={"url": URL}, headers=match), 412, "changed_meanwhile")


def test_what_was_sent_is_listed_looked_at_and_sent_again(shop: Desk) -> None:
    id = made(shop)["id"]
    for number in range(3):
        done(shop.post("/v1/orders", order(f"W-{number}")))
    event = tell(shop)
    path = f"/v1/webhooks/{id}/deliveries"
    first = done(shop.get(path, params={"limit": 4}))
    rest = done(shop.get(path, params={"limit": 4, "after": first["next"]}))
    assert (len(first["data"]), len(rest["data"]), rest["next"]) == (4, 2, None)
    (delivered,) = done(shop.get(path, params={"state": "delivered"}))["data"]
    assert (delivered["event"], delivered["code"], delivered["ms"], delivered["tries"]) == (event, 204, 12, 1)
    assert len(done(shop.get(path, params={"type": "order.confirmed"}))["data"]) == 3
    whole = done(shop.get(f"{path}/{event}"))
    assert [(one["code"], one["at"]) for one in whole["attempts"]] == [(204, "2025-11-25T10:00:00.000Z")]
    assert done(shop.post(f"{path}/{event}/replay")) == {"event": event}
    problem(shop.post(f"{path}/{event}/replay"), 409, "delivery_waits")
    problem(shop.get(f"{path}/evt_none"), 404, "unknown_event")
    since = {"since": "2025-11-25T00:00:00Z"}
    assert done(shop.post(f"/v1/webhooks/{id}/replay", {**since, "what": "all"})) == {"events": 0}


def test_a_webhook_is_disabled_and_enabled_with_what_it_missed(shop: Desk) -> None:
    id = made(shop)["id"]
    done(shop.post("/v1/orders", order("W-1")))
    tell(shop)
    assert done(shop.post(f"/v1/webhooks/{id}/disable"))["disabled"] == "by_hand"
    problem(shop.post(f"/v1/webhooks/{id}/test"), 409, "webhook_disabled")
    enabled = done(shop.post(f"/v1/webhooks/{id}/enable", {"since": "2025-11-25T00:00:00Z"}))
    assert enabled["disabled"] == ""
    states = [one["state"] for one in done(shop.get(f"/v1/webhooks/{id}/deliveries"))["data"]]
    assert states == ["waiting", "delivered"]
    assert done(shop.post(f"/v1/webhooks/{id}/test"))["event"].startswith("evt_")


def test_a_deleted_webhook_is_not_there(shop: Desk) -> None:
    id = made(shop)["id"]
    assert shop.ask("DELETE", f"/v1/webhooks/{id}").status_code == 200
    problem(shop.get(f"/v1/webhooks/{id}"), 404, "unknown_webhook")


def test_without_a_key_to_seal_with_no_webhook_is_made(database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("an embedded database has a key of its own")
    with opened(database, secret_key=None) as desk:
        problem(desk.post("/v1/webhooks", {"url": URL}), 503, "bad_setting")


def test_what_is_sent_is_what_the_description_says(shop: Desk) -> None:
    made(shop)
    put(shop, "thresholds", {"units": 1000})
    placed = done(shop.post("/v1/orders", order("W-1")))["id"]
    done(shop.post("/v1/orders", order("W-2")))
    done(shop.post(f"/v1/orders/{placed}/release", {}, once="release"))
    (consignment,) = done(shop.get(f"/v1/orders/{placed}"))["consignments"]
    for step in ("ship", "deliver"):
        done(shop.post(f"/v1/consignments/{consignment['id']}/{step}", {}, once=step))
    back = {"units": [{"line": 1, "sku": "kettle", "units": 1}]}
    done(shop.post(f"/v1/consignments/{consignment['id']}/return", back, once="back"))
    tell(shop)
    described = shop.app.openapi()["webhooks"]
    with shop.database.read() as tx:
        found = [event for _, event in webhooks.events(tx, None, 100)]
    assert {event.type for event in found} == {
        "order.confirmed", "order.allocated", "order.shipped", "order.delivered", "return.received", "stock.low",
    }  # fmt: skip
    for event in found:
        content = described[event.type]["post"]["requestBody"]["content"]["application/cloudevents+json"]
        sent = json.loads(body_of(event, "EUR", "https://allot.example"))
        jsonschema_rs.validator_for(content["schema"]).validate(sent)
    listed = done(shop.get("/v1/events", params={"subject": placed}))["data"]
    assert [one["sequence"] for one in listed] == [5, 4, 3, 2, 1]


# --- messages ---------------------------------------------------------------------------------------------------------


def test_messages_are_listed_without_what_they_say_or_to_whom(shop: Desk) -> None:
    put(shop, "recipients/cus-1", {"name": "Ann", "contact": "ann@example.org", "locale": "de-AT"})
    done(shop.post("/v1/orders", order("W-1", recipient="cus-1")))
    shop.database.write(lambda tx: relay(tx, AT, TOLD))  # nobody has listened before
    done(shop.post("/v1/orders", order("W-2", recipient="cus-1")))
    shop.database.write(lambda tx: relay(tx, AT, TOLD))
    answer = shop.get("/v1/notices", params={"state": "waiting", "recipient": "cus-1"})
    (notice,) = done(answer)["data"]
    assert (notice["type"], notice["recipient"]) == ("order.confirmed", "cus-1")
    assert "ann@" not in answer.text.lower()


def test_a_language_is_a_language(shop: Desk) -> None:
    problem(shop.ask("PUT", "/v1/recipients/cus-1", json={"locale": "../en"}), 422, "invalid")


def test_what_a_recipient_does_not_want_is_said_and_read(shop: Desk) -> None:
    put(shop, "recipients/cus-1", {"name": "Ann"})
    path = "/v1/recipients/cus-1/notices"
    assert done(shop.get(path)) == {"opted_out": []}
    for wanted in (["order.delayed", "order.shipped"], ["*"], []):
        assert done(shop.ask("PUT", path, json={"opted_out": wanted})) == {"opted_out": wanted}
        assert done(shop.get(path)) == {"opted_out": wanted}
    problem(shop.get("/v1/recipients/nobody/notices"), 404, "unknown_recipient")


def test_a_link_that_is_looked_at_changes_nothing_and_one_click_ends_it(shop: Desk) -> None:
    put(shop, "recipients/cus-1", {"name": "Ann"})
    service = shop.app.state.service
    link = urlsplit(link_of(service.vault, "https://allot.example", "cus-1", "order.shipped"))
    address = f"{link.path}?{link.query}"
    page = shop.get(address, scope=None)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert shop.rows("opt_out") == 0
    sent = {"List-Unsubscribe": "One-Click"}
    for _ in range(2):
        assert shop.ask("POST", address, scope=None, data=sent).status_code == 200
    assert done(shop.get("/v1/recipients/cus-1/notices")) == {"opted_out": ["order.shipped"]}
    shop.ask("POST", f"{address}&all=true", scope=None)
    assert done(shop.get("/v1/recipients/cus-1/notices")) == {"opted_out": ["*", "order.shipped"]}


def test_a_link_that_somebody_made_up_is_none_and_such_links_are_counted(shop: Desk) -> None:
    service = shop.app.state.service
    sealed = service.vault.seal("whsec_other")
    for token in ("x", sealed, "%3Cscript%3E"):
        problem(shop.get(f"/unsubscribe?token={token}", scope=None), 404, "not_found")
    answers = [shop.ask("POST", "/unsubscribe?token=x", scope=None).status_code for _ in range(60)]
    assert answers[-1] == 429
    assert shop.rows("opt_out") == 0
