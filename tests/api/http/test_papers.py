"""Labels and papers over HTTP: who may have them, and that they are of what is there."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.papers import letters
from engine.database import Database
from tests.api.http.conftest import Desk, opened
from tests.api.http.test_conventions import problem
from tests.api.http.world import done, furnish, order, put, release, step
from tests.api.papers.reading import barcodes_of, pages_of, text_of


@pytest.fixture
def shop(embedded: Database) -> Iterator[Desk]:
    with opened(embedded) as desk:
        furnish(desk)
        yield desk


def label(desk: Desk, consignment: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
    said = {"once": f"label {consignment} {body}", **more}
    return desk.post(f"/v1/consignments/{consignment}/label", body or {}, **said)


def paper(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    return bytes(answer.content)


def test_a_label_costs_what_the_decision_counted(shop: Desk) -> None:
    for qty in (1, 2, 30):
        placed = done(shop.post("/v1/orders", order(f"W-{qty}", qty)))
        counted = done(shop.get(f"/v1/orders/{placed['id']}/decision"))["record"]["bill"]["carriage"]
        done(shop.post(f"/v1/orders/{placed['id']}/release", {}, once=f"release {qty}"))
        (one,) = done(shop.get(f"/v1/orders/{placed['id']}"))["consignments"]
        made = done(label(shop, one["id"]))
        assert (made["state"], made["carrier"], made["weight_g"]) == ("made", "own", 1100 * qty)
        assert made["cost"] == counted
        rates = done(shop.get(f"/v1/consignments/{one['id']}/rates"))["data"]
        assert [(rate["service"], rate["cost"]) for rate in rates] == [("ground", counted)]


def test_a_kit_weighs_what_it_is_said_to_weigh_with_its_box(shop: Desk) -> None:
    done(shop.post("/v1/stock/receipts", {"sku": "cup", "node": "near", "units": 9}, once="cups"))
    placed = done(shop.post("/v1/orders", order("W-1", lines=[{"sku": "tea-set", "qty": 2}])))
    counted = done(shop.get(f"/v1/orders/{placed['id']}/decision"))["record"]["bill"]["carriage"]
    done(shop.post(f"/v1/orders/{placed['id']}/release", {}, once="r"))
    (one,) = done(shop.get(f"/v1/orders/{placed['id']}"))["consignments"]
    made = done(label(shop, one["id"]))
    assert (made["weight_g"], made["cost"]) == (2 * 1900, counted)


def test_there_are_no_papers_of_what_is_withdrawn(shop: Desk) -> None:
    one = release(shop, "W-1")
    done(label(shop, one))
    step(shop, one, "reject")
    problem(shop.get(f"/v1/consignments/{one}/packing-slip"), 409, "wrong_state")
    problem(shop.get(f"/v1/consignments/{one}/label"), 409, "wrong_state")
    assert [seen["state"] for seen in done(shop.get(f"/v1/consignments/{one}/labels"))["data"]] == ["unwanted"]


def test_a_label_is_printed_for_whom_the_order_is(shop: Desk) -> None:
    put(shop, "recipients/cus-1", {"name": "Łucja Żółć", "address": "12 High Street\n1017 AB Amsterdam"})
    put(shop, "shipping", {"sender": "Kettle & Cup B.V."})
    one = release(shop, "W-1", recipient="cus-1")
    problem(shop.get(f"/v1/consignments/{one}/label"), 409, "no_label")
    made = done(label(shop, one, {"weight_g": 1250}))
    printed = paper(shop.get(f"/v1/consignments/{one}/label"))
    assert barcodes_of(printed) == [f"(00){made['tracking']}"]
    for said in ("Łucja Żółć", "1017 AB Amsterdam", "Kettle & Cup B.V.", "1.25 kg"):
        assert said in text_of(printed), said
    assert paper(shop.get(f"/v1/consignments/{one}/label")) == printed
    done(shop.post("/v1/recipients/cus-1/erase", {}))
    assert "Łucja" not in text_of(paper(shop.get(f"/v1/consignments/{one}/label")))
    step(shop, one, "ship")
    assert done(shop.get(f"/v1/consignments/{one}"))["tracking"] == made["tracking"]
    told = done(shop.get("/v1/facts?kind=LabelMade"))["data"]
    assert [fact["payload"]["cost"] for fact in told] == [made["cost"]]


def test_a_parcel_has_one_label_until_that_is_cancelled(shop: Desk) -> None:
    one = release(shop, "W-1")
    first = done(label(shop, one))
    assert done(label(shop, one)) == first, "the same request has the same answer"
    problem(label(shop, one, once="another"), 409, "label_exists")
    assert done(shop.post(f"/v1/consignments/{one}/label/cancel", {}, once="c"))["state"] == "cancelled"
    problem(shop.post(f"/v1/consignments/{one}/label/cancel", {}, once="d"), 409, "no_label")
    second = done(label(shop, one, once="third"))
    assert second["tracking"] != first["tracking"]
    states = [seen["state"] for seen in done(shop.get(f"/v1/consignments/{one}/labels"))["data"]]
    assert states == ["cancelled", "made"]


def test_a_carrier_says_no_by_a_name_and_an_unknown_one_is_refused(shop: Desk) -> None:
    one = release(shop, "W-1")
    no = done(label(shop, one, {"service": "rocket"}))
    assert (no["state"], no["why"], no["tracking"]) == ("refused", "unknown_service", None)
    problem(label(shop, one, {"carrier": "snail"}), 422, "unknown_carrier")
    wrong = shop.ask("PUT", "/v1/shipping", json={"carriers": {"ground": "snail"}})
    assert problem(wrong, 422, "unknown_carrier")["errors"][0]["pointer"] == "/carriers/ground"
    problem(label(shop, "con_none"), 404, "unknown_consignment")


def test_what_is_collected_where_it_is_packed_has_no_label(shop: Desk) -> None:
    one = release(shop, "W-1", pickup=["shop"])
    problem(label(shop, one, {"service": "ground"}), 409, "needs_no_label")
    problem(label(shop, one), 422, "no_service")
    assert "For collection at shop" in text_of(paper(shop.get(f"/v1/consignments/{one}/packing-slip")))


def test_a_packing_slip_names_prices_only_where_they_are_asked_for(shop: Desk) -> None:
    lines = [{"sku": "kettle", "qty": 2, "price": {"amount": 2999, "currency": "EUR"}}]
    one = release(shop, "W-1", lines=lines)
    assert "EUR" not in text_of(paper(shop.get(f"/v1/consignments/{one}/packing-slip")))
    assert "59.98 EUR" in text_of(paper(shop.get(f"/v1/consignments/{one}/packing-slip?prices=true")))


def test_a_packing_slip_says_where_the_order_is_more_than_the_parcel(shop: Desk) -> None:
    """Also where no line of it is."""
    done(shop.post("/v1/stock/receipts", {"sku": "cup", "node": "far", "units": 9}, once="cups"))
    placed = done(shop.post("/v1/orders", order("W-1", lines=[{"sku": "kettle", "qty": 1}, {"sku": "cup", "qty": 1}])))
    done(shop.post(f"/v1/orders/{placed['id']}/release", {}, once="r"))
    for one in done(shop.get(f"/v1/orders/{placed['id']}"))["consignments"]:
        alone = len(one["lines"]) == 2
        text = text_of(paper(shop.get(f"/v1/consignments/{one['id']}/packing-slip")))
        assert ("What else you ordered comes separately." in text) is not alone
    alone = release(shop, "W-2")
    assert "comes separately" not in text_of(paper(shop.get(f"/v1/consignments/{alone}/packing-slip")))


def test_a_node_has_a_list_of_what_it_is_to_pick(shop: Desk) -> None:
    first, second, third = (release(shop, f"W-{n}") for n in range(3))
    step(shop, first, "pick")
    printed = paper(shop.get("/v1/nodes/near/pick-list"))
    assert barcodes_of(printed) == [second, third]
    assert pages_of(printed) == [(210, 297)]
    assert "1 more consignment to pick" in text_of(paper(shop.get("/v1/nodes/near/pick-list?limit=1")))
    assert "Nothing is to be picked" in text_of(paper(shop.get("/v1/nodes/far/pick-list")))
    problem(shop.get("/v1/nodes/moon/pick-list"), 404, "unknown_node")


def test_staff_has_papers_of_its_own_node_only(shop: Desk) -> None:
    sent, collected = release(shop, "W-1"), release(shop, "W-2", pickup=["shop"])
    done(label(shop, sent))
    shop.node = "shop"
    for path in ("nodes/near/pick-list", f"consignments/{sent}/packing-slip", f"consignments/{sent}/label",
                 f"consignments/{sent}/labels", f"consignments/{sent}/rates"):  # fmt: skip
        problem(shop.get(f"/v1/{path}", scope="node"), 403, "forbidden")
    problem(label(shop, sent, scope="node", once="x"), 403, "forbidden")
    problem(shop.post(f"/v1/consignments/{sent}/label/cancel", {}, scope="node", once="y"), 403, "forbidden")
    assert barcodes_of(paper(shop.get("/v1/nodes/shop/pick-list", scope="node"))) == [collected]
    paper(shop.get(f"/v1/consignments/{collected}/packing-slip", scope="node"))


def test_part_of_a_parcel_leaves_and_the_rest_has_papers_of_its_own(shop: Desk) -> None:
    one = release(shop, "W-1", lines=[{"sku": "kettle", "qty": 3}])
    part = {"units": [{"line": 1, "sku": "kettle", "units": 2}]}
    done(shop.post(f"/v1/consignments/{one}/ship", part, once="part"))
    (rest,) = done(shop.get("/v1/consignments?state=released"))["data"]
    assert [line["units"] for line in rest["lines"]] == [1]
    assert "What else you ordered comes separately" in text_of(
        paper(shop.get(f"/v1/consignments/{rest['id']}/packing-slip"))
    )
    assert done(label(shop, rest["id"]))["weight_g"] == 1100


def test_a_pickup_waits_until_it_is_said_to_end(shop: Desk) -> None:
    one = release(shop, "W-1", pickup=["shop"])
    step(shop, one, "ready")
    assert done(shop.get(f"/v1/consignments/{one}"))["collect_until"] == "2025-12-02T10:00:00.000Z"
    longer = {"until": "2025-12-09T10:00:00Z"}
    done(shop.post(f"/v1/consignments/{one}/ready", longer, once="longer"))
    assert done(shop.get(f"/v1/consignments/{one}"))["collect_until"] == "2025-12-09T10:00:00.000Z"
    be_shop = {"scope": "node", "once": "lapse"}
    shop.node = "shop"
    done(shop.post(f"/v1/consignments/{one}/lapse", {}, **be_shop))
    late = shop.post(f"/v1/consignments/{one}/deliver", {}, once="late")
    assert "its units are in stock again" in problem(late, 409, "pickup_lapsed")["detail"]


def test_a_shop_keeps_things_for_as_long_as_it_says(shop: Desk) -> None:
    usual = done(shop.get("/v1/shipping"))
    assert (usual["collect_days"], usual["version"]) == (7, 0)
    put(shop, "shipping", {"collect_days": 2})
    one = release(shop, "W-1", pickup=["shop"])
    step(shop, one, "ready")
    assert done(shop.get(f"/v1/consignments/{one}"))["collect_until"] == "2025-11-27T10:00:00.000Z"
    problem(shop.ask("PUT", "/v1/shipping", json={"collect_days": 0}), 422, "bad_input")
    problem(shop.ask("PUT", "/v1/shipping", json={"gs1_prefix": "12"}), 422, "bad_input")
    problem(shop.ask("PUT", "/v1/shipping", json={}, scope="operator"), 403, "forbidden")


def test_a_deployment_names_fonts_for_what_ours_lack(embedded: Database) -> None:
    with opened(embedded, fonts=f"{letters.BOLD}:{letters.REGULAR}") as desk:
        furnish(desk)
        paper(desk.get(f"/v1/consignments/{release(desk, 'W-1')}/packing-slip"))


def test_a_label_comes_from_where_its_node_is(shop: Desk) -> None:
    assert done(shop.get("/v1/nodes/near"))["address"] == ""
    seen = done(shop.get("/v1/nodes/near"))
    for name in ("id", "version", "paused"):
        del seen[name]
    put(shop, "nodes/near", {**seen, "address": "Havenweg 5\nUtrecht"})
    one = release(shop, "W-1")
    done(label(shop, one))
    assert "Havenweg 5" in text_of(paper(shop.get(f"/v1/consignments/{one}/label")))
