"""People of whom a shop elsewhere says that they are to be forgotten, or that they ask what is known of them."""

from typing import Any

import pytest

from engine.channel_customers import recipient_id
from engine.channels import KEPT
from engine.connections import get_connection
from tests.api.channels.shop import ORDER, Shop, recorded
from tests.api.http.test_conventions import problem
from tests.api.http.world import done


def person(shop: Shop, order: str = ORDER) -> str:
    with shop.desk.database.read() as tx:
        return recipient_id(get_connection(tx, "shopify"), order)


def names(shop: Shop) -> list[str | None]:
    with shop.desk.database.read() as tx:
        return [name for (name,) in tx.all("SELECT name FROM recipient ORDER BY no")]


def test_who_cannot_be_forgotten_while_a_job_is_at_them_is_forgotten_when_it_has_ended(shop: Shop) -> None:
    shop.send("create")
    file = f"channel,external_id,sku,qty,lat,lon,recipient\nweb,1,kettle,1,52,5,{person(shop)}\n"
    job = done(shop.desk.ask("POST", "/v1/orders/import", content=file, headers={"Content-Type": "text/csv"}), 202)
    assert shop.send("redact")["outcome"] == "issue"
    assert shop.issues() == [("to_forget", "recipient")]
    shop.clock("erase")
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", tags="again")
    assert names(shop) == ["Noor de Vries"]
    assert shop.issues() == [("to_forget", "recipient")], "what is said of the order later does not end it"
    done(shop.desk.post(f"/v1/jobs/{job['id']}/cancel", {}))
    shop.clock("erase")
    assert names(shop) == [None]
    assert shop.issues() == []


def test_a_shop_that_leaves_has_its_customers_forgotten_each_once_their_orders_have_ended(shop: Shop) -> None:
    shop.send("create")
    shop.send("pickup")
    shop.send("unknown_sku")
    shop.send("cancel")
    heard = shop.tell("shop/redact", {"shop_id": 954889, "shop_domain": "brouwer-koffie.myshopify.com"}, "gone")
    assert heard["outcome"] == "issue"
    assert ("to_forget", "recipients") in shop.issues()
    shop.clock("erase")
    with shop.desk.database.read() as tx:
        left = [id for (id,) in tx.all("SELECT id FROM recipient WHERE NOT erased")]
    assert left == [person(shop, "6120448012")], "one is still to be collected"
    assert ("to_forget", "recipients") in shop.issues()
    pickup = recorded("shopify", "pickup")["payload"]
    shop.send(
        "pickup",
        cancelled_at="2025-11-26T09:00:00Z",
        updated_at="2025-11-26T09:00:00Z",
        line_items=pickup["line_items"],
    )
    shop.clock("erase")
    assert set(names(shop)) == {None}
    assert ("to_forget", "recipients") not in shop.issues()


def test_nobody_says_by_hand_that_somebody_is_forgotten(shop: Shop) -> None:
    shop.tell("shop/redact", {"shop_domain": "brouwer-koffie.myshopify.com"}, "gone")
    (issue,) = done(shop.desk.get("/v1/channel-issues"))["data"]
    problem(shop.desk.post(f"/v1/channel-issues/{issue['id']}/settle"), 409, "not_forgotten")
    assert shop.issues() == [("to_forget", "recipients")]


def test_what_nobody_says_has_arrived_keeps_no_customer_of_a_shop_that_left(shop: Shop) -> None:
    shop.send("create")
    (consignment,) = shop.release()
    shop.tell("shop/redact", {"shop_domain": "brouwer-koffie.myshopify.com"}, "gone")
    shop.clock("erase")
    assert names(shop) == ["Noor de Vries"], "it is still to be sent"
    shop.step(consignment, "ship")
    shop.clock("erase")
    assert names(shop) == [None]
    assert shop.issues() == []


def test_with_an_order_that_never_came_to_be_ours_goes_who_was_to_receive_it(shop: Shop) -> None:
    shop.send("create")
    shop.send("unknown_sku")
    shop.desk.clock.at += KEPT + 1
    shop.clock("forget")
    assert names(shop).count(None) == 0, "somebody may still see to it"
    (issue,) = done(shop.desk.get("/v1/channel-issues"))["data"]
    done(shop.desk.post(f"/v1/channel-issues/{issue['id']}/settle"))
    shop.clock("forget")
    with shop.desk.database.read() as tx:
        assert tx.all("SELECT id FROM recipient WHERE NOT erased") == [(person(shop),)]
        assert tx.all("SELECT external_id FROM channel_order") == [(ORDER,)]


def test_who_orders_after_a_shop_left_and_came_back_is_not_forgotten(shop: Shop) -> None:
    shop.tell("shop/redact", {"shop_domain": "brouwer-koffie.myshopify.com"}, "gone")
    later = "2025-11-25T11:00:00Z"
    shop.desk.clock.at += 7_200_000
    shop.send("create", created_at=later, updated_at=later)
    shop.send("create", created_at=later, updated_at="2025-11-25T11:01:00Z", cancelled_at="2025-11-25T11:01:00Z")
    shop.clock("erase")
    assert names(shop) == ["Noor de Vries"]
    assert shop.issues() == []


def test_who_asks_what_is_known_of_them_is_an_issue_that_says_how_to_answer(shop: Shop) -> None:
    shop.send("create")
    asked = {
        "shop_domain": "brouwer-koffie.myshopify.com",
        "orders_requested": [int(ORDER), 1],
        "data_request": {"id": 9},
    }
    heard = shop.tell("customers/data_request", asked, "asked")
    assert (heard["outcome"], heard["issues"]) == ("issue", 1)
    (issue,) = done(shop.desk.get("/v1/channel-issues"))["data"]
    assert (issue["code"], issue["external_id"]) == ("data_asked", ORDER)
    assert f"`allot privacy export {person(shop)}`" in issue["detail"]
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", tags="again")
    assert shop.issues() == [("data_asked", "recipient")], "until somebody settles it"


def broken(*_: Any) -> None:
    raise RuntimeError


def test_what_met_a_bug_is_kept_whatever_it_says_and_done_when_it_is_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.channels import hearing

    def fails(name: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(hearing, "hear", broken)
            assert shop.send(name)["outcome"] == "issue"

    shop.send("create")
    fails("refund")
    assert retry(shop) == "applied"
    assert shop.lines() == [("kettle", 1, 1), ("cup", 1, 0)]
    fails("redact")
    shop.clock("erase")
    assert names(shop) == [None]
    fails("delete")
    assert retry(shop) == "applied"
    assert shop.order()["state"] == "cancelled"


def test_a_change_that_met_a_bug_is_done_with_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from api.channels import hearing

    shop.send("create")
    with monkeypatch.context() as patched:
        patched.setattr(hearing, "hear", broken)
        shop.send("edited")
    shop.send("refund")
    assert shop.lines() == [("kettle", 0, 2), ("cup", 3, 0)]


def retry(shop: Shop) -> str:
    issues = done(shop.desk.get("/v1/channel-issues?state=open"))["data"]
    (issue,) = [one for one in issues if one["code"] == "bug" and one["external_id"] == ORDER]
    assert issue["retries"]
    return str(done(shop.desk.post(f"/v1/channel-issues/{issue['id']}/retry"))["outcome"])
