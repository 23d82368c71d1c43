"""What channels gave up too late, and what then comes back from its node: cancelled by the clock, each order for itself."""

from typing import Any

import pytest

from api.working import channels
from engine.channels import orders_to_retry
from tests.api.channels.shop import ACCOUNT, ARRANGED, ORDER, Shop, recorded
from tests.api.http.world import put

OTHER = "6120448099"


def given_up_and_back(shop: Shop, order: str) -> None:
    """An order that is cancelled there once it was released here, and whose node then refuses it."""
    shop.send("create", id=int(order))
    (consignment,) = shop.release(order)
    shop.send("cancel", id=int(order))
    shop.step(consignment, "reject", reason="no time")


def test_what_channels_gave_up_too_late_is_cancelled_by_the_clock(shop: Shop) -> None:
    given_up_and_back(shop, ORDER)
    shop.clock("channels")
    assert shop.order(ORDER)["state"] == "cancelled"
    assert shop.issues() == []


def test_an_order_with_which_something_goes_wrong_holds_up_no_other_and_rests(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order in (ORDER, OTHER):
        given_up_and_back(shop, order)
    tried: list[str] = []
    again = channels.hear_again

    def fail(tx: Any, connection: Any, order: str, *more: Any) -> Any:
        tried.append(order)
        if order == ORDER:
            raise RuntimeError
        return again(tx, connection, order, *more)

    with monkeypatch.context() as patched:
        patched.setattr(channels, "hear_again", fail)
        shop.clock("channels")
        shop.clock("channels")
    assert tried == [ORDER, OTHER]
    assert shop.order(OTHER)["state"] == "cancelled"
    assert ("bug", "order") in shop.issues()
    shop.desk.clock.at += 3_600_001
    shop.clock("channels")
    assert shop.order(ORDER)["state"] == "cancelled"
    assert shop.issues() == []


def test_what_is_on_hold_there_still_has_what_was_given_up_before_cancelled(shop: Shop) -> None:
    options = {**ARRANGED["options"], "unpaid": "wait"}
    connection = {
        "kind": "shopify",
        "channel": "online",
        "account": ACCOUNT,
        "arrangement": {**ARRANGED, "options": options},
    }
    put(shop.desk, "connections/shopify", connection)
    shop.send("create")
    (consignment,) = shop.release()
    fewer = recorded("shopify", "create")["payload"]["line_items"]
    fewer[0]["current_quantity"] = 1
    shop.send("create", updated_at="2025-11-24T19:00:00+01:00", line_items=fewer)
    shop.send("create", updated_at="2025-11-24T19:05:00+01:00", line_items=fewer, financial_status="pending")
    shop.step(consignment, "reject", reason="no time")
    shop.clock("channels")
    assert shop.lines() == [("kettle", 1, 1), ("cup", 1, 0)]
    with shop.desk.database.read() as tx:
        assert orders_to_retry(tx, shop.desk.clock()) == []
    assert shop.issues() == []
