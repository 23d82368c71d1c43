"""Shopify: orders by webhook, levels and parcels by the Admin API (GraphQL).

Read as its public documentation has it (shopify.dev: webhooks, Order and Refund of the REST Admin API, `inventorySetQuantities`,
`fulfillmentCreate`;
API version 2026-04). Every topic about an order but `orders/edited` and `refunds/create` brings the whole order, so that only
the newest counts.

Options of a connection: `location` (of which levels are told, `gid://shopify/Location/...`); `api_version`; `unpaid` (`wait`:
orders whose payment is pending are none yet); `test_orders` (`take`); `services` (fulfilment services whose lines are ours
besides `manual`, with commas between them); `notify` (`yes`: Shopify
tells customers what has left). Items are told by their inventory item (`gid://shopify/InventoryItem/...`).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from api.channels import Answer, Arrival, Level, Opened, Reading, Told
from api.channels.payload import (
    Payload,
    address_lines,
    event_of,
    paid,
    plain,
    postal_area,
    rest_after,
    signed_by,
    words,
)
from api.moments import read_moment
from engine.channel_parcels import Left
from engine.channel_said import (
    ChangeSaid,
    DataAsked,
    LineSaid,
    Nothing,
    OrderGone,
    OrderSaid,
    ToForget,
    UnitsChanged,
    Whom,
)
from engine.connections import Connection
from solver.refusal import Refusal

SECRETS = ("signing", "token")
"""What webhooks are signed with (the app's client secret), and the Admin API's access token."""
TOGETHER = 100
API_VERSION = "2026-04"
ORDER = frozenset({
    "orders/create", "orders/updated", "orders/paid", "orders/cancelled", "orders/fulfilled", "orders/partially_fulfilled",
})  # fmt: skip
"""Topics that bring the whole order."""
NOT_LEFT = frozenset({"cancelled", "error", "failure"})
"""Fulfilments that came to nothing."""
STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
TO_BE_FULFILLED = frozenset({"OPEN", "IN_PROGRESS"})
_SHOP = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com\Z")
_REF = re.compile(r"(?:gid://shopify/InventoryItem/)?\d{1,20}\Z", re.ASCII)
_VERSION = re.compile(r"\d{4}-\d{2}\Z|unstable\Z")

SET = """mutation Tell($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { code field message } }
}"""
THERE = """query There($ids: [ID!]!, $location: ID!) {
  nodes(ids: $ids) {
    ... on InventoryItem { id inventoryLevel(locationId: $location) { quantities(names: ["available"]) { quantity } } }
  }
}"""

TO_FULFIL = """query ToFulfil($id: ID!) {
  order(id: $id) {
    fulfillments(first: 100) { id trackingInfo(first: 1) { number } }
    fulfillmentOrders(first: 100) { nodes { id status assignedLocation { location { id } } } }
  }
}"""
ITEMS = """query Items($id: ID!, $after: String) {
  node(id: $id) {
    ... on FulfillmentOrder {
      lineItems(first: 100, after: $after) {
        nodes { id remainingQuantity lineItem { id } } pageInfo { hasNextPage endCursor }
      }
    }
    ... on Fulfillment {
      fulfillmentLineItems(first: 100, after: $after) {
        nodes { quantity lineItem { id } } pageInfo { hasNextPage endCursor }
      }
    }
  }
}"""
FULFIL = """mutation Fulfil($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) { fulfillment { id } userErrors { field message } }
}"""


def check(connection: Connection) -> None:
    """The account is the shop's own domain, which no other address can stand in for."""
    if not _SHOP.match(connection.account):
        raise Refusal("account", f"{connection.account!r} is no shop, as example.myshopify.com is", "bad_account")
    version = connection.arrangement.options.get("api_version", API_VERSION)
    if not _VERSION.match(version):
        raise Refusal("arrangement.options.api_version", f"{version!r} is no version, as {API_VERSION} is", "bad_input")


def verify(
    connection: Connection, headers: Mapping[str, str], body: bytes, signing: Sequence[str] | None
) -> Arrival | None:
    """One app's secret signs for all of its shops: the shop must be this one as well."""
    if signing is not None:
        signed = signed_by(headers.get("x-shopify-hmac-sha256", ""), body, signing)
        if not signed or headers.get("x-shopify-shop-domain", "").lower() != connection.account:
            return None
    topic = plain(headers.get("x-shopify-topic", "")) or "orders/updated"
    event = plain(headers.get("x-shopify-webhook-id", ""))
    if not event and (shared := plain(headers.get("x-shopify-event-id", ""))):
        event = f"{shared} {topic}"[:200]  # several topics may tell of one event
    try:
        sent_at = max(0, read_moment(headers.get("x-shopify-triggered-at", "")))
    except ValueError:
        sent_at = 0
    return Arrival(event or event_of(body, topic), topic, sent_at)


def read(connection: Connection, arrival: Arrival, payload: Any) -> Reading:
    """An order, what of it has changed, whom to forget, or who asks what is known of them."""
    if arrival.topic in ORDER:
        return _order(connection, arrival, Payload(payload))
    match arrival.topic:
        case "orders/edited":
            return Reading(_edited(Payload(payload).part("order_edit")))
        case "refunds/create":
            return Reading(_refunded(Payload(payload)))
        case "orders/delete":
            return Reading(OrderGone(order=Payload(payload).id("id"), said_at=arrival.sent_at))
        case "customers/redact":
            return Reading(ToForget(orders=_orders(Payload(payload), "orders_to_redact")))
        case "shop/redact":
            return Reading(ToForget(everybody=True))
        case "customers/data_request":
            return Reading(DataAsked(orders=_orders(Payload(payload), "orders_requested")))
    return Reading(Nothing(why="a topic that says nothing of orders"))


def _orders(said: Payload, name: str) -> tuple[str, ...]:
    found = said.value.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, int | str) for one in found):
        raise said.bad(name, "is no list of orders")
    return tuple(str(one) for one in found)


def _order(connection: Connection, arrival: Arrival, said: Payload) -> Reading:
    options = connection.arrangement.options
    order = said.id("id")
    if said.yes("test", False) and options.get("test_orders") != "take":
        return Reading(Nothing(why="a test order", order=order))
    cancelled = said.has("cancelled_at")
    address = said.part("shipping_address")
    ways = [(way.text("code", ""), way.text("title", "")) for way in said.parts("shipping_lines")]
    country = address.text("country_code", "").upper()
    return Reading(
        OrderSaid(
            order=order, placed_at=said.moment("created_at"), said_at=said.moment("updated_at"), sent_at=arrival.sent_at,
            currency=said.text("currency", ""), lines=_lines(said, cancelled, _services(options)), cancelled=cancelled,
            waits=options.get("unpaid") == "wait" and said.text("financial_status", "") == "pending",
            lat=address.number("latitude"), lon=address.number("longitude"), country=country,
            area=postal_area(country, address.text("zip", "")),
            collect=() if address.value else tuple(name for way in ways for name in way if name),
            service=next((name for way in ways for name in way if name), ""),
        ),
        _whom(said, address),
    )  # fmt: skip


def _services(options: Mapping[str, str]) -> set[str]:
    return {"manual", *words(options.get("services", ""))}


def _whom(said: Payload, address: Payload) -> Whom:
    names = (address.text("name", ""), f"{address.text('first_name', '')} {address.text('last_name', '')}".strip())
    town = f"{address.text('zip', '')} {address.text('city', '')}".strip()
    lines = address_lines(
        address.text("company", ""), address.text("address1", ""), address.text("address2", ""), town,
        address.text("province", ""), address.text("country", ""),
    )  # fmt: skip
    contacts = (said.text("email", ""), said.text("phone", ""), address.text("phone", ""))
    locale = said.text("customer_locale", "")[:20] or None
    return Whom(next(filter(None, names), None), lines or None, next(filter(None, contacts), None), locale)


def _lines(said: Payload, cancelled: bool, services: set[str]) -> tuple[LineSaid, ...]:
    fulfilled: Counter[str] = Counter()
    for fulfilment in said.parts("fulfillments"):
        if fulfilment.text("status", "") not in NOT_LEFT:
            for line in fulfilment.parts("line_items"):
                fulfilled[line.id("id")] += line.units("quantity")
    refunded: dict[str, Counter[str]] = {}
    for refund in said.parts("refunds"):
        for line in refund.parts("refund_line_items"):
            back = refunded.setdefault(line.id("line_item_id"), Counter())
            back[line.text("restock_type", "no_restock")] += line.units("quantity")
    return tuple(
        _line(line, fulfilled[line.id("id")], refunded.get(line.id("id"), Counter()), cancelled, services)
        for line in said.parts("line_items")
    )


def _line(line: Payload, fulfilled: int, refunded: Counter[str], cancelled: bool, services: set[str]) -> LineSaid:
    quantity = line.units("quantity")
    current = line.units("current_quantity", max(0, quantity - refunded.total()))
    wanted = min(quantity, current + _came_back(quantity, current, fulfilled, refunded))
    ours = line.text("fulfillment_service", "manual") in services
    return LineSaid(
        ref=line.id("id"),
        sku=line.text("sku", "") or None,
        wanted=min(wanted, fulfilled) if cancelled else wanted,
        fulfilled=min(fulfilled, wanted),
        ships=line.yes("requires_shipping", True) and not line.yes("gift_card", False) and ours,
        ordered=max(1, quantity),
        paid=_paid(line, quantity),
    )


def _came_back(quantity: int, current: int, fulfilled: int, refunded: Counter[str]) -> int:
    """Units that were refunded after they had left: they were wanted, and are no part of `current` any more.

    Refunds without restocking may be of either; they are of units that have not left, as long as there are such.
    """
    removed = max(0, quantity - current - refunded.total())  # by an edit
    here = max(0, quantity - fulfilled - refunded["cancel"] - removed)
    other = refunded.total() - refunded["cancel"] - refunded["return"]
    return refunded["return"] + max(0, other - here)


def _paid(line: Payload, quantity: int) -> str:
    each = line.part("price_set").part("shop_money").money("amount") or line.money("price")
    less = [
        discount.part("amount_set").part("shop_money").money("amount") or discount.money("amount")
        for discount in line.parts("discount_allocations")
    ]
    return paid(each, max(1, quantity), less)


def _edited(said: Payload) -> ChangeSaid:
    lines = said.part("line_items")
    changes = [
        UnitsChanged(ref=line.id("id"), units=sign * line.units("delta"))
        for name, sign in (("additions", 1), ("removals", -1))
        for line in lines.parts(name)
    ]
    when = "committed_at" if said.has("committed_at") else "created_at"
    return ChangeSaid(order=said.id("order_id"), said_at=said.moment(when), changes=tuple(changes))


def _refunded(said: Payload) -> ChangeSaid | Nothing:
    """Units that were refunded before they left."""
    changes = []
    for line in said.parts("refund_line_items"):
        how = line.text("restock_type", "no_restock")
        unsent = not line.part("line_item").has("fulfillment_status")
        if how == "cancel" or (how == "no_restock" and unsent):
            changes.append(UnitsChanged(ref=line.id("line_item_id"), units=-line.units("quantity")))
    order = said.id("order_id")
    if not changes:
        return Nothing(why="a refund that takes nothing out of the order", order=order)
    return ChangeSaid(order=order, said_at=said.moment("created_at"), changes=tuple(changes))


# --- levels -----------------------------------------------------------------------------------------------------------


def push(client: httpx.Client, opened: Opened, levels: Sequence[Level], key: str) -> Told:
    """Set what is available at the location, where it is there what we think is there: else somebody bought it meanwhile.

    All of them are set, or none, but for those that are not named as Shopify names them.
    """
    location = opened.option("location")
    unnamed = {level.external_sku: "bad_ref" for level in levels if not _REF.match(level.ref)}
    if unnamed:
        others = push(client, opened, [one for one in levels if one.external_sku not in unnamed], key)
        return Told(others.there, {**others.refused, **unnamed}, others.wait)
    if not levels:
        return Told()
    quantities = [
        {
            "inventoryItemId": _gid("InventoryItem", level.ref),
            "locationId": _gid("Location", location),
            "quantity": level.units,
            "changeFromQuantity": level.before,
        }
        for level in levels
    ]
    asked = {"name": "available", "reason": "correction", "quantities": quantities}
    try:
        answer = _ask(client, opened, SET, {"input": asked, "key": key})
    except _TooFastError as error:
        return Told(wait=error.wait)
    errors = (answer["data"].get("inventorySetQuantities") or {}).get("userErrors") or []
    if not errors:
        return Told(there={level.external_sku: level.units for level in levels}, wait=_rest(answer))
    stale, refused = _sorted_out(levels, errors)
    there: dict[str, int] = {}
    if stale:
        ids = [_gid("InventoryItem", level.ref) for level in stale]
        try:
            answer = _ask(client, opened, THERE, {"ids": ids, "location": _gid("Location", location)})
        except _TooFastError as error:
            return Told(refused=refused, wait=error.wait)
        for level, node in zip(stale, answer["data"].get("nodes") or [], strict=False):
            for one in ((node or {}).get("inventoryLevel") or {}).get("quantities") or []:
                there[level.external_sku] = int(one["quantity"])  # below 0 where more was sold than was there
    return Told(there, refused, _rest(answer))


# --- parcels ----------------------------------------------------------------------------------------------------------


def ship(client: httpx.Client, opened: Opened, left: Left) -> Answer:
    """Fulfil these lines as a parcel with its tracking number, at each location for itself: all of them, or nothing.

    What a parcel of the order with this number has was told before; one without a number may be told twice, where the answer was
    lost.
    """
    try:
        return _fulfil(client, opened, left)
    except _TooFastError as error:
        return Answer(wait=error.wait)


def _fulfil(client: httpx.Client, opened: Opened, left: Left) -> Answer:
    order = _ask(client, opened, TO_FULFIL, {"id": _gid("Order", left.order)})["data"].get("order")
    if not order:
        return Answer(refused="there is no such order")
    lines = Counter(left.lines)
    for parcel in order.get("fulfillments") or []:
        if left.tracking and left.tracking in [one.get("number") for one in parcel.get("trackingInfo") or []]:
            for item in _items(client, opened, parcel["id"], "fulfillmentLineItems"):
                lines -= Counter({_line_of(item): int(item.get("quantity") or 0)})
    at: dict[str, list[dict[str, Any]]] = {}
    for one in (order.get("fulfillmentOrders") or {}).get("nodes") or []:
        if +lines and one.get("status") in TO_BE_FULFILLED:
            takes = _takes(_items(client, opened, one["id"], "lineItems"), lines)
            location = str(((one.get("assignedLocation") or {}).get("location") or {}).get("id"))
            at.setdefault(location, []).extend(
                [{"fulfillmentOrderId": one["id"], "fulfillmentOrderLineItems": takes}] if takes else []
            )
    if +lines:
        return Answer(refused=f"not all of it is left to fulfil; units that are missing: {lines.total()}")
    for goes in filter(None, at.values()):
        if why := _fulfil_at(client, opened, left, goes):
            return Answer(refused=why)
    return Answer()


def _takes(items: Sequence[Mapping[str, Any]], lines: Counter[str]) -> list[dict[str, Any]]:
    """Units of lines that are left in a fulfilment order, which are then none of these any more."""
    takes = []
    for item in items:
        units = min(lines[_line_of(item)], int(item.get("remainingQuantity") or 0))
        if units > 0:
            lines[_line_of(item)] -= units
            takes.append({"id": item["id"], "quantity": units})
    return takes


def _fulfil_at(client: httpx.Client, opened: Opened, left: Left, goes: Sequence[Mapping[str, Any]]) -> str:
    """Fulfil what goes from one location; says why that is refused."""
    asked: dict[str, Any] = {
        "lineItemsByFulfillmentOrder": goes,
        "notifyCustomer": opened.option("notify", "") == "yes",
    }
    if left.tracking:
        asked["trackingInfo"] = {"number": left.tracking, "company": left.carrier or None}
    answer = _ask(client, opened, FULFIL, {"fulfillment": asked})
    errors = (answer["data"].get("fulfillmentCreate") or {}).get("userErrors") or []
    return plain(str(errors[0].get("message") or "no message")) if errors else ""


def _items(client: httpx.Client, opened: Opened, id: str, name: str) -> list[dict[str, Any]]:
    """All items of a fulfilment order, or of a fulfilment, page by page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        node = _ask(client, opened, ITEMS, {"id": id, "after": after})["data"].get("node") or {}
        page = node.get(name) or {}
        found += page.get("nodes") or []
        after = (page.get("pageInfo") or {}).get("endCursor")
        if not after or not page["pageInfo"].get("hasNextPage"):
            return found


def _line_of(item: Mapping[str, Any]) -> str:
    """The id of the order's line that an item is of."""
    return str((item.get("lineItem") or {}).get("id") or "").rpartition("/")[2]


def _gid(kind: str, ref: str) -> str:
    return ref if ref.startswith("gid://") else f"gid://shopify/{kind}/{ref}"


def _sorted_out(levels: Sequence[Level], errors: Sequence[Mapping[str, Any]]) -> tuple[list[Level], dict[str, str]]:
    """Items of which something else is there than was thought, and those that are refused for another reason."""
    stale: list[Level] = []
    refused: dict[str, str] = {}
    for error in errors:
        code, path = str(error.get("code") or "REFUSED"), error.get("field") or []
        which = next((int(part) for part in path if str(part).isdigit()), None)
        if which is None or which >= len(levels):
            raise Refusal("push", f"Shopify refuses all of it: {plain(code)}", "push_refused")
        if code in STALE:
            stale.append(levels[which])
        else:
            refused[levels[which].external_sku] = plain(code)
    return stale, refused


class _TooFastError(Exception):
    """It was asked too much: it wants a rest of so many seconds."""

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


def _ask(client: httpx.Client, opened: Opened, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """What the Admin API answers.

    Raises
    ------
    _TooFastError
        It wants a rest.
    """
    version = opened.option("api_version", API_VERSION)
    answer = client.post(
        f"https://{opened.connection.account}/admin/api/{version}/graphql.json",
        json={"query": query, "variables": variables},
        headers={"X-Shopify-Access-Token": opened.secret("token")},
    )
    if answer.status_code == 429:
        raise _TooFastError(rest_after(answer, 2.0))
    answer.raise_for_status()
    try:
        said: Any = answer.json()
    except ValueError:
        said = None
    errors = said.get("errors") if isinstance(said, dict) else None
    if errors:
        codes = [(one.get("extensions") or {}).get("code", "") for one in errors if isinstance(one, dict)]
        if "THROTTLED" in codes:
            raise _TooFastError(_rest(said) or 2.0)
        raise Refusal(
            "push", f"Shopify refuses all of it: {plain(str(next(iter(codes), '')) or 'no code')}", "push_refused"
        )
    if not isinstance(said, dict) or not isinstance(said.get("data"), dict):
        raise httpx.DecodingError("the answer is none of the Admin API")
    return said


def _rest(said: Mapping[str, Any]) -> float:
    """Seconds until as much may be asked again as just was."""
    cost = (said.get("extensions") or {}).get("cost") or {}
    state = cost.get("throttleStatus") or {}
    needed = float(cost.get("requestedQueryCost") or 0) - float(state.get("currentlyAvailable") or 0)
    rate = float(state.get("restoreRate") or 0)
    return max(0.0, needed / rate) if rate > 0 else 0.0
