"""The example network of the API's description, made over the API itself: nodes, kettles, and orders in every state."""

from collections import Counter
from typing import Any

from engine import payments, webhooks
from engine.events import relay
from engine.facts import order_id
from tests.api.http.conftest import Desk

WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
GROUND = {
    "zone_km": [300.0, 6000.0], "steps_g": [2000, 30000], "cents": [[600, 900], [1400, 2600]],
    "over_cents_per_kg": [10, 20], "transit_days": [1, 4],
}  # fmt: skip


PRICED = [{"sku": "kettle", "qty": 1, "price": {"amount": 2995, "currency": "EUR"}}]


def node(kind: str, lat: float, lon: float, **more: Any) -> dict[str, Any]:
    costs = {"parcel_cents": 150, "line_cents": 20, "unit_cents": 5}
    return {"kind": kind, "lat": lat, "lon": lon, "calendar": "daily", "cut_off_minute": 900, **costs, **more}


def done(answer: Any, *statuses: int) -> Any:
    assert answer.status_code in (statuses or (200, 201)), (answer.request.url, answer.text)
    return answer.json()


def put(desk: Desk, path: str, body: dict[str, Any]) -> None:
    done(desk.ask("PUT", f"/v1/{path}", json=body))


def order(external_id: str, qty: int = 1, **more: Any) -> dict[str, Any]:
    place = {} if "pickup" in more else {"place": {"lat": 52.1, "lon": 5.1, "region": "NL"}}
    lines = [{"sku": "kettle", "qty": qty}]
    return {"channel": "web", "external_id": external_id, "lines": lines, **place, **more}


def furnish(desk: Desk, kettles: int = 200) -> None:
    """The network and its stock."""
    put(desk, "calendars/daily", {"open_weekdays": WEEK})
    put(desk, "services/ground", GROUND)
    put(desk, "nodes/near", node("warehouse", 52.0, 5.0))
    put(desk, "nodes/far", node("warehouse", 48.1, 11.5))
    put(desk, "nodes/shop", node("store", 52.3, 4.9, collects=True))
    put(desk, "skus/kettle", {"weight_g": 1100})
    put(desk, "skus/cup", {"weight_g": 300})
    put(desk, "skus/tea-set", {"weight_g": 1900, "parts": {"kettle": 1, "cup": 2}})
    put(desk, "channels/web", {"safety": 0})
    for name in ("near", "far", "shop"):
        received = {"sku": "kettle", "node": name, "units": kettles}
        done(desk.post("/v1/stock/receipts", received, once=f"receive {name}"))


def release(desk: Desk, external_id: str, **more: Any) -> str:
    """Place and release an order of one kettle; gives its consignment."""
    placed = done(desk.post("/v1/orders", order(external_id, **more)))
    done(desk.post(f"/v1/orders/{placed['id']}/release", {}, once=f"release {external_id}"))
    (consignment,) = done(desk.get(f"/v1/orders/{placed['id']}"))["consignments"]
    return str(consignment["id"])


def step(desk: Desk, consignment: str, what: str) -> None:
    done(desk.post(f"/v1/consignments/{consignment}/{what}", {}, once=f"{what} {consignment}"))


def tell(desk: Desk) -> str:
    """Make events of what happened, and have the first of them delivered; gives its id."""
    at = desk.clock()
    while desk.database.write(lambda tx: relay(tx, at)):
        pass
    first, *_ = desk.database.write(lambda tx: webhooks.claim(tx, at, "world", Counter(), 1))
    done = [webhooks.Result(first.webhook, first.event_no, first.leased_until, at, 12, 204)]
    desk.database.write(lambda tx: webhooks.settle(tx, at, "world", done))
    return first.event.id


def deliver(desk: Desk, external_id: str, qty: int = 9) -> tuple[str, str]:
    """An order of kettles that the customer has; gives it and its consignment."""
    kettle = {"sku": "kettle", "qty": qty, "price": {"amount": 2999, "currency": "EUR"}}
    placed = done(desk.post("/v1/orders", {**order(external_id), "lines": [kettle]}))
    done(desk.post(f"/v1/orders/{placed['id']}/release", {}, once=f"release {external_id}"))
    (consignment,) = done(desk.get(f"/v1/orders/{placed['id']}"))["consignments"]
    for what in ("ship", "deliver"):
        step(desk, consignment["id"], what)
    return placed["id"], consignment["id"]


def give_back(desk: Desk, order_id: str, reason: str = "unwanted", **more: Any) -> str:
    """A return of one unit of an order."""
    asked = {"order": order_id, "lines": [{"line": 1, "units": 1, "reason": reason}], **more}
    once = f"back {order_id} {reason} {sorted(more)}"
    return str(done(desk.post("/v1/returns", asked, once=once))["id"])


def returned(desk: Desk) -> dict[str, str]:
    """Returns in every state, of one order."""
    order_id, consignment = deliver(desk, "W-con-back")
    awaited, in_review = give_back(desk, order_id), give_back(desk, order_id, "other")
    received, exchanged = give_back(desk, order_id, "damaged"), give_back(desk, order_id, "late", wanted="exchange")
    units = {"consignment": consignment, "units": [{"line": 1, "sku": "kettle", "units": 1}], "node": "shop"}
    done(desk.post(f"/v1/returns/{received}/receive", units, once="receive"))
    return {
        "ord_delivered": order_id, "con_delivered": consignment, "rma_example": awaited, "rma_in_review": in_review,
        "rma_received": received, "rma_exchange": exchanged,
    }  # fmt: skip


def unanswered(desk: Desk) -> dict[str, str]:
    """An order whose provider was asked for its money, and never answered."""
    placed = done(desk.post("/v1/orders", order("W-silent", lines=PRICED)))["id"]
    asked = {"token": "tok_silent", "amount": {"amount": 2995, "currency": "EUR"}}
    done(desk.post(f"/v1/orders/{placed}/payment", asked, once="silent"))
    at = desk.clock() + payments.LONGEST_ASKED
    desk.database.write(lambda tx: payments.lose(tx, at))
    (lost,) = done(desk.get(f"/v1/orders/{placed}/payments"))["lost"]
    return {"ord_unanswered": placed, "pay_lost": lost["step"]}


def fill(desk: Desk) -> dict[str, str]:
    """Everything that the examples name; gives the real ids of those that cannot be chosen."""
    furnish(desk)
    webhook = done(desk.post("/v1/webhooks", {"url": "https://hooks.example.com/allot"}))["id"]
    done(desk.post("/v1/orders", order("W-1000")))
    done(desk.post("/v1/orders", order("W-1000-review", review=True)))
    released, picked, shipped, labelled = (release(desk, f"W-con-{n}") for n in range(4))
    pickup, ready = (release(desk, f"W-con-{what}", pickup=["shop"]) for what in ("pickup", "ready"))
    priced = release(desk, "W-priced", lines=PRICED)
    step(desk, ready, "ready")
    step(desk, labelled, "label")
    step(desk, picked, "pick")
    step(desk, shipped, "ship")
    back = returned(desk)
    step(desk, priced, "ship")
    invoice = done(desk.post(f"/v1/consignments/{priced}/invoice", once="invoice"))["id"]
    held = {
        "id": "hold-example",
        "channel": "web",
        "until": "2030-01-01T00:00:00Z",
        "units": [{"sku": "kettle", "units": 1}],
    }
    done(desk.post("/v1/holds", held, once="hold"))
    inbound = {"sku": "kettle", "node": "near", "inbound": "po-example", "units": 50, "due_day": "2030-01-07"}
    done(desk.post("/v1/inbound", inbound, once="inbound"))
    aside = {"sku": "kettle", "node": "near", "units": 5, "state": "damaged"}
    done(desk.post("/v1/stock/set-asides", aside, once="aside"))
    put(desk, "recipients/cus-example", {"name": "Ann Example"})
    put(desk, "channels/market", {"safety": 0})
    shop = {"kind": "shopify", "channel": "market", "account": "example.myshopify.com", "secrets": {"signing": "hush"}}
    put(desk, "connections/shopify-example", shop)
    when = "2025-11-25T09:00:00Z"
    unknown = {
        "id": 5000,
        "created_at": when,
        "updated_at": when,
        "line_items": [{"id": 1, "sku": "pot", "quantity": 1}],
    }
    done(desk.post("/v1/channels/shopify-example/events", unknown))
    (issue, *_) = done(desk.get("/v1/channel-issues"))["data"]
    key = done(desk.post("/v1/keys", {"name": "example", "scopes": ["operator"]}))["id"]
    wave = done(desk.post("/v1/waves", {"policy": "cheapest", "seconds": 1.0}))["id"]
    sent = {"Content-Type": "text/csv"}
    lines = "channel,external_id,sku,qty,lat,lon\nweb,W-3001,kettle,1,52.1,5.1\n"
    job = done(desk.ask("POST", "/v1/orders/import", content=lines, headers=sent), 202)["id"]
    return {
        "whk_example": webhook, "evt_example": tell(desk),
        "ord_example": order_id("web", "W-1000"), "ord_in_review": order_id("web", "W-1000-review"),
        "con_example": released, "con_picked": picked, "con_shipped": shipped, "con_pickup": pickup,
        "con_priced": priced, "inv_example": invoice, "con_ready": ready, "con_labelled": labelled, "iss_example": issue["id"],
        **back, **unanswered(desk),
        "key_example": key, "wav_example": wave, "job_example": job,
    }  # fmt: skip
