"""Orders are paid by tokens over the API; invoices can be listed and printed, and the report says what balances."""

from collections.abc import Iterator

import pytest

from engine.books import fsck
from engine.database import Database
from tests.api.http.conftest import Desk, opened
from tests.api.http.test_conventions import problem
from tests.api.http.world import PRICED, done, furnish, order, put, release, step, unanswered
from tests.api.papers.reading import text_of

SECRET = "xTgDrM8dHbTKtYqXbV0k4B1bqnq3cX0w0y8G0r9f1Wg="  # noqa: S105
PERIOD = "from=2025-11-01T00:00:00Z&to=2025-12-01T00:00:00Z"


@pytest.fixture
def shop(database: Database) -> Iterator[Desk]:
    with opened(database, secret_key=SECRET) as desk:
        furnish(desk)
        put(desk, "billing", {"invoices": "on_shipment", "seller": "Kettle & Cup B.V."})
        yield desk
    with database.read() as tx:
        assert fsck(tx) == []


def eur(cents: int) -> dict[str, object]:
    return {"amount": cents, "currency": "EUR"}


def pay(desk: Desk, id: str, cents: int, **more: str) -> dict[str, object]:
    body = {"token": "tok_1", "amount": eur(cents), **more}
    found: dict[str, object] = done(desk.post(f"/v1/orders/{id}/payment", body, once=f"pay {id}"))
    return found


def test_an_order_is_paid_shipped_invoiced_and_balances(shop: Desk) -> None:
    put(shop, "recipients/cus-1", {"name": "Anna de Vries", "address": "Oudegracht 158\nUtrecht"})
    placed = done(shop.post("/v1/orders", order("1", lines=PRICED, recipient="cus-1")))["id"]
    taxes = {
        "carriage": eur(495),
        "taxes": [{"line": 1, "rate": 2100, "tax": eur(520)}, {"line": 0, "rate": 2100, "tax": eur(86)}],
    }
    done(shop.post(f"/v1/orders/{placed}/taxes", taxes, once="taxes"))
    assert pay(shop, placed, 3490)["authorised"] == eur(3490)
    assert pay(shop, placed, 3490)["authorised"] == eur(3490), "the same key is the same payment"
    done(shop.post(f"/v1/orders/{placed}/release", {}, once="release"))
    (consignment,) = done(shop.get(f"/v1/orders/{placed}"))["consignments"]
    step(shop, consignment["id"], "ship")
    shop.app.state.service.payments.settle()
    seen = done(shop.get(f"/v1/orders/{placed}/payments"))
    assert [one["captured"] for one in seen["data"]] == [eur(3490)]
    assert seen["exceptions"] == []
    (invoice,) = done(shop.get(f"/v1/invoices?order={placed}"))["data"]
    assert (invoice["number"], invoice["total"], invoice["tax"]) == ("INV-2025-000001", eur(3490), eur(606))
    paper = shop.get(f"/v1/invoices/{invoice['id']}/paper")
    assert paper.headers["content-type"] == "application/pdf"
    assert "Anna de Vries" in text_of(paper.content)
    (account,) = done(shop.get(f"/v1/reconciliation?{PERIOD}"))["data"]
    assert (account["captured"], account["invoiced"], account["unbalanced"]) == (eur(3490), eur(3490), [])
    lines = shop.get(f"/v1/reconciliation?{PERIOD}&format=csv").text.splitlines()
    assert lines[0].startswith("order,channel,external_id,placed_at,authorised,captured")
    assert lines[1].startswith(f"{placed},web,1,")
    assert lines[1].endswith(",3490,3490,0,0,3490,0,0,0,0,3490,0,")
    assert lines[2].startswith("total,")


def test_what_a_provider_never_answered_is_settled_by_hand(shop: Desk) -> None:
    lost = unanswered(shop)
    path = f"/v1/orders/{lost['ord_unanswered']}/payment"
    seen = done(shop.get(f"{path}s"))
    assert (seen["data"][0]["state"], seen["exceptions"][0]["why"]) == ("declined", "no_answer")
    assert (seen["lost"][0]["what"], seen["lost"][0]["lost"]) == ("authorise", eur(2995))
    settle = f"{path}_steps/{lost['pay_lost']}/settle"
    problem(shop.post(settle, {"done": True}, once="1"), 422, "missing")
    assert not done(shop.post(settle, {"done": True, "reference": "pi_1"}, once="2"))["seen"]
    problem(shop.post(settle, {"done": False}, once="3"), 409, "wrong_state")
    problem(shop.post(f"{path}_steps/none/settle", {"done": False}, once="4"), 404, "unknown_step")
    seen = done(shop.get(f"{path}s"))
    assert (seen["data"][0]["state"], seen["data"][0]["authorised"]) == ("authorised", eur(2995))
    assert (seen["exceptions"], seen["lost"]) == ([], [])


def test_what_is_declined_is_told_and_the_order_held(shop: Desk) -> None:
    placed = done(shop.post("/v1/orders", order("1", lines=PRICED)))["id"]
    seen = pay(shop, placed, 2995, token="tok_declined")  # noqa: S106
    assert (seen["state"], seen["why"]) == ("declined", "card_declined")
    assert done(shop.get(f"/v1/orders/{placed}"))["state"] == "held"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"token": "t", "amount": {"amount": 1, "currency": "USD"}}, "/amount/currency", "other_currency"),
        ({"token": "t", "amount": {"amount": 0, "currency": "EUR"}}, "/amount/amount", "bad_input"),
        ({"token": "t", "amount": {"amount": 1, "currency": "EUR"}, "provider": "x"}, "/provider", "unknown_provider"),
        (
            {"token": "t", "amount": {"amount": 1, "currency": "EUR"}, "provider": "stripe"},
            "/ALLOT_STRIPE_KEY",
            "bad_setting",
        ),
        ({"token": "4242 4242 4242 4242", "amount": {"amount": 1, "currency": "EUR"}}, "/token", "card_number"),
    ],
)
def test_what_is_wrong_with_a_payment_is_named(desk: Desk, body: dict[str, object], pointer: str, code: str) -> None:
    furnish(desk)
    placed = done(desk.post("/v1/orders", order("1")))["id"]
    answer = desk.post(f"/v1/orders/{placed}/payment", body, once="p")
    assert answer.status_code == {"other_currency": 409, "bad_setting": 503}.get(code, 422)
    assert ("Retry-After" in answer.headers) == (code == "bad_setting")
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [(pointer, code)]
    assert desk.rows("payment") == 0


def test_what_costs_nothing_is_not_invoiced(desk: Desk) -> None:
    furnish(desk)
    consignment = release(desk, "1")
    step(desk, consignment, "ship")
    answer = desk.post(f"/v1/consignments/{consignment}/invoice")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_invoice")


def test_there_is_nothing_of_what_is_unknown(desk: Desk) -> None:
    for path in ("/v1/invoices/inv_x", "/v1/invoices/inv_x/paper", "/v1/orders/ord_x/payments"):
        assert desk.get(path).status_code == 404


def test_a_period_that_ends_before_it_begins_is_refused(desk: Desk) -> None:
    answer = desk.get("/v1/reconciliation?from=2025-12-01T00:00:00Z&to=2025-11-01T00:00:00Z")
    assert answer.json()["errors"][0]["pointer"] == "to"
