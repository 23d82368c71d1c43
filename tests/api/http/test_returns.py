"""Returns over the API: asked for, sent to a node or brought to one, received and looked at by its staff, refunded, exchanged."""

from typing import Any

import pytest

from engine.books import fsck
from tests.api.http.conftest import Desk
from tests.api.http.test_conventions import problem
from tests.api.http.test_routes import be_staff_of
from tests.api.http.world import deliver, done, furnish, give_back, put, release

EUR = {"currency": "EUR"}
KETTLE = {"line": 1, "sku": "kettle", "units": 1}


@pytest.fixture
def shop(desk: Desk) -> Desk:
    furnish(desk)
    return desk


def stock(desk: Desk, node: str) -> tuple[int, int]:
    (row,) = done(desk.get(f"/v1/stock?sku=kettle&node={node}"))["data"]
    return row["on_hand"], row["quarantined"]


def test_a_return_goes_from_the_request_to_the_refund(shop: Desk) -> None:
    order, consignment = deliver(shop, "1", qty=2)
    asked = {"order": order, "lines": [{"line": 1, "units": 2, "reason": "unwanted"}]}
    answer = shop.post("/v1/returns", asked, once="ask")
    rma = done(answer, 201)
    assert answer.headers["Location"] == f"/v1/returns/{rma['id']}"
    assert (rma["state"], rma["awaited"], rma["node"]) == ("approved", 2, "near")
    assert [told["why"] for told in rma["decision"]["nodes"]] == ["chosen", "dearer", "dearer"]
    came = {"consignment": consignment, "units": [{**KETTLE, "units": 2}]}
    done(shop.post(f"/v1/returns/{rma['id']}/receive", came, once="came"))
    assert stock(shop, "near") == (198, 2)
    found = [{**KETTLE, "disposition": "restock"}, {**KETTLE, "condition": "used", "disposition": "liquidate"}]
    done(shop.post(f"/v1/returns/{rma['id']}/inspect", {"units": found}, once="looked"))
    assert stock(shop, "near") == (199, 0)
    seen = done(shop.get(f"/v1/returns/{rma['id']}"))
    assert (seen["state"], seen["refunded"]) == ("inspected", {"amount": 2999 + 1499, **EUR})
    kinds = [fact["kind"] for fact in done(shop.get(f"/v1/orders/{order}/timeline"))["data"]]
    assert kinds[kinds.index("ReturnRequested") :] == [
        "ReturnRequested", "ReturnApproved", "ReturnRouted", "ReturnReceived", "ReturnInspected", "RefundOwed",
    ]  # fmt: skip
    with shop.database.read() as tx:
        assert fsck(tx) == []


def test_lists_of_returns_go_by_state_order_and_node(shop: Desk) -> None:
    first, _ = deliver(shop, "1")
    second, consignment = deliver(shop, "2")
    a, b = give_back(shop, first), give_back(shop, second, "other")
    assert [one["id"] for one in done(shop.get("/v1/returns"))["data"]] == [b, a]
    assert [one["id"] for one in done(shop.get("/v1/returns?state=requested"))["data"]] == [b]
    assert [one["id"] for one in done(shop.get(f"/v1/returns?order={first}"))["data"]] == [a]
    came = {"consignment": consignment, "units": [KETTLE], "node": "far"}
    done(shop.post(f"/v1/returns/{b}/receive", came, once="came"))
    assert [one["id"] for one in done(shop.get("/v1/returns?node=far"))["data"]] == [b]
    problem(shop.get("/v1/returns/rma_none"), 404, "unknown_return")


def test_staff_receives_and_looks_at_what_comes_to_its_own_node(shop: Desk) -> None:
    """Ordered online, packed by the warehouse, brought to a store."""
    order, consignment = deliver(shop, "1")
    rma = give_back(shop, order)

    def says(node: str, what: str, body: dict[str, Any]) -> Any:
        be_staff_of(shop, node)
        return shop.post(f"/v1/returns/{rma}/{what}", body, scope="node", once=f"{node} {what} {body}")

    came = {"consignment": consignment, "units": [KETTLE]}
    problem(says("shop", "receive", came), 403, "forbidden")  # it is to go to another node
    problem(says("shop", "receive", {**came, "node": "near"}), 403, "forbidden")
    be_staff_of(shop, "shop")
    assert shop.get(f"/v1/returns/{rma}", scope="node").status_code == 403
    done(says("shop", "receive", {**came, "node": "shop"}))
    looked = {"units": [{**KETTLE, "disposition": "restock"}]}
    problem(says("far", "inspect", looked), 403, "forbidden")
    done(says("shop", "inspect", looked))
    assert stock(shop, "shop") == (201, 0)
    assert [one["id"] for one in done(shop.get("/v1/returns", scope="node"))["data"]] == [rma]
    problem(shop.post(f"/v1/returns/{rma}/cancel", {}, scope="node", once="c"), 403, "forbidden")


def test_what_may_not_come_back_is_refused_with_a_code_and_a_place(shop: Desk) -> None:
    put(shop, "return_rules", {"days": 0, "ours_days": 30})
    order, _ = deliver(shop, "1", qty=1)
    shop.clock.at += 60_000
    asked = {"order": order, "lines": [{"line": 1, "units": 1, "reason": "unwanted"}]}
    answer = shop.post("/v1/returns", asked, once="a")
    assert [fault["pointer"] for fault in problem(answer, 409, "not_returnable")["errors"]] == ["/lines/0/units"]
    batch = {"returns": [{**asked, "lines": [{**asked["lines"][0], "reason": "late"}]}, asked]}  # type: ignore[index]
    answer = shop.post("/v1/returns:batch", batch, once="b")
    assert [fault["pointer"] for fault in problem(answer, 409, "not_returnable")["errors"]] == [
        "/returns/1/lines/0/units"
    ]
    wrong = {**asked, "lines": [{"line": 1, "units": 1, "reason": "bored"}]}
    problem(shop.post("/v1/returns", wrong, once="c"), 422, "bad_input")
    assert done(shop.get("/v1/returns"))["data"] == []
    problem(shop.ask("PUT", "/v1/return_rules", json={"days": -1}), 422, "bad_input")


def test_a_batch_is_decided_together(shop: Desk) -> None:
    orders = [deliver(shop, n)[0] for n in "12"]
    line = {"line": 1, "units": 1, "reason": "unwanted"}
    found = done(shop.post("/v1/returns:batch", {"returns": [{"order": o, "lines": [line]} for o in orders]}, once="b"))
    assert [one["decision"]["together"]["returns"] for one in found["data"]] == [2, 2]


def test_a_state_that_is_in_the_way_is_a_conflict_and_no_fault_of_the_request(shop: Desk) -> None:
    order, consignment = deliver(shop, "1", qty=2)
    problem(shop.post(f"/v1/consignments/{release(shop, '2')}/ready", {}, once="r"), 409, "not_for_pickup")
    rma = give_back(shop, order)
    for node in ("near", "shop"):
        came = {"consignment": consignment, "units": [KETTLE], "node": node}
        done(shop.post(f"/v1/returns/{rma}/receive", came, once=node))
    looked = {"units": [{**KETTLE, "condition": "as_new", "disposition": "restock"}]}
    problem(shop.post(f"/v1/returns/{rma}/inspect", looked, once="i"), 409, "node_needed")


def test_an_exchange_says_what_the_customer_pays_more(shop: Desk) -> None:
    order, _ = deliver(shop, "1")
    rma = give_back(shop, order, wanted="exchange")
    wanted = {"lines": [{"sku": "kettle", "qty": 1, "price": {"amount": 3499, **EUR}}]}
    first, again = (done(shop.post(f"/v1/returns/{rma}/exchange", wanted, once=once)) for once in "12")
    assert first == again
    assert (first["state"], first["difference"], first["credit"]) == (
        "allocated", {"amount": 500, **EUR}, {"amount": 2999, **EUR},
    )  # fmt: skip
    assert done(shop.get(f"/v1/returns/{rma}"))["exchange"] == first["order"]
    none = {"lines": [{"sku": "kettle", "qty": 1}]}
    answer = shop.post(f"/v1/returns/{give_back(shop, order, 'late', wanted='exchange')}/exchange", none, once="3")
    assert [fault["pointer"] for fault in problem(answer, 422, "missing")["errors"]] == ["/lines/0/price"]
