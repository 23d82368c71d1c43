"""Amazon: orders that the seller sends (MFN), by what somebody with a key of ours sends on; levels and parcels by its API.

Amazon puts notifications into a queue and signs none of them: whoever reads the queue sends each on as it is, with a key
(`ORDER_CHANGE`, from SQS as well as in the envelope of EventBridge), or what the Orders API (v0) says, as
`{"order": ..., "orderItems": [...]}`. A notification says all that is needed to send an order but who receives it and what was
paid; the Orders API says that too. Levels are told by the Listings Items API, parcels by the Orders API. Read as its public
documentation has it (developer-docs.amazon.com).

The account is the seller's id. Options of a connection: `marketplace` (the id of the one that levels are told to); `endpoint`;
`carriers` (what Amazon calls carriers, as `own=DPD`, with commas between them; `Other` where nothing is said).
Items are told by their SKU; `ref` is the product type of the listing (`PRODUCT` for any).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from api.channels import Answer, Arrival, Level, Opened, Reading, Told
from api.channels.payload import Payload, address_lines, event_of, paid, plain, postal_area, rest_after, words
from api.moments import moment
from engine.calendar import MS_PER_DAY
from engine.channel_parcels import Left
from engine.channel_said import LineSaid, Nothing, OrderSaid, Remark, Whom
from engine.connections import Connection
from solver.refusal import Refusal

SECRETS = ("client_id", "client_secret", "refresh_token")
"""By which Login with Amazon lets us in."""
TOGETHER = 20
ENDPOINT = "https://sellingpartnerapi-eu.amazon.com"
LOGIN = "https://api.amazon.com/auth/o2/token"
WAITING = frozenset({"Pending", "PendingAvailability"})
TAKEN = frozenset({"Unshipped", "PartiallyShipped", "Shipped", "InvoiceUnconfirmed"})
COUNTRIES = {
    "A1AM78C64UM0Y8": "MX", "A1F83G8C2ARO7P": "GB", "A1PA6795UKMFR9": "DE", "A1RKKUPIHCS9HS": "ES", "A13V1IB3VIYZZH": "FR",
    "A1805IZSGTT6HS": "NL", "A1C3SOZRARQ6R3": "PL", "A1VC38T7YXB528": "JP", "A2EUQ1WTGCTBG2": "CA", "A2NODRKZP88ZB9": "SE",
    "A33AVAJ2PDY3EV": "TR", "A39IBJ37TRP1C6": "AU", "AMEN7PMS3EDWL": "BE", "APJ6JRA9NG5V4": "IT", "ATVPDKIKX0DER": "US",
}  # fmt: skip
"""Where a marketplace sells to, by its id."""
_ENDPOINT = re.compile(r"https://(?:sandbox\.)?sellingpartnerapi-(?:na|eu|fe)\.amazon\.com\Z")
_HALF_A_DAY = MS_PER_DAY // 2
"""A day ends at midnight of the marketplace, which is within half a day of that of UTC."""


def check(connection: Connection) -> None:
    """It is called at an endpoint of its own and nowhere else."""
    endpoint = connection.arrangement.options.get("endpoint", ENDPOINT)
    if not _ENDPOINT.match(endpoint):
        raise Refusal(
            "arrangement.options.endpoint", f"{endpoint!r} is none of Amazon's, as {ENDPOINT} is", "bad_input"
        )


def verify(
    connection: Connection, headers: Mapping[str, str], body: bytes, signing: Sequence[str] | None
) -> Arrival | None:
    """It signs nothing: only somebody with a key of ours may send it on."""
    if signing is not None:
        return None
    try:
        said: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Arrival(event_of(body), "unreadable")
    said = _notification(said)
    if not isinstance(said, dict) or "NotificationType" not in said:
        return Arrival(event_of(body, "order"), "order")
    metadata = said.get("NotificationMetadata")
    id = metadata.get("NotificationId") if isinstance(metadata, dict) else None
    event = plain(id) if isinstance(id, str) and plain(id) else event_of(body)
    return Arrival(event, plain(str(said["NotificationType"])))


def _notification(said: Any) -> Any:
    """A notification, out of EventBridge's envelope where it is in one."""
    return said["detail"] if isinstance(said, dict) and "detail-type" in said and "detail" in said else said


def read(connection: Connection, arrival: Arrival, payload: Any) -> Reading:
    """An order as it is."""
    if arrival.topic == "ORDER_CHANGE":
        return _change(connection, Payload(_notification(payload)))
    if arrival.topic == "order":
        return _order(Payload(payload))
    return Reading(Nothing(why="a notification that says nothing of orders"))


def _change(connection: Connection, said: Payload) -> Reading:
    told = said.part("Payload").part("OrderChangeNotification")
    order = told.id("AmazonOrderId")
    if told.text("SellerId", connection.account) != connection.account:
        raise told.bad("SellerId", "is another seller")
    summary, trigger = told.part("Summary"), told.part("OrderChangeTrigger")
    if summary.text("FulfillmentType", "MFN") != "MFN":
        return Reading(Nothing(why="Amazon sends it", order=order))
    status = summary.text("OrderStatus")
    if status not in {*WAITING, *TAKEN, "Canceled"}:
        return Reading(Nothing(why="a status that is not ours", order=order))
    cancelled = status == "Canceled"
    market = summary.text("MarketplaceId", "") or summary.text("MarketplaceID", "")
    country = COUNTRIES.get(market, "")
    when = trigger.moment("TimeOfOrderChange") if trigger.has("TimeOfOrderChange") else said.moment("EventTime")
    wants_none = trigger.text("ChangeReason", "") == "BuyerRequestedCancel"
    return Reading(
        OrderSaid(
            order=order, placed_at=summary.moment("PurchaseDate"), said_at=when, currency="",
            lines=tuple(
                _line(line, "Quantity", cancelled, "") for line in summary.parts("OrderItems")
            ),
            waits=status in WAITING, cancelled=cancelled, country=country,
            area=postal_area(country, summary.text("DestinationPostalCode", "")),
            service=summary.text("ShipServiceLevel", ""), promise_day=_promise(summary),
            remarks=(_cancel_me(),) if wants_none and not cancelled else (),
        )
    )  # fmt: skip


def _order(said: Payload) -> Reading:
    order = said.part("order")
    id = order.id("AmazonOrderId")
    if order.text("FulfillmentChannel", "MFN") != "MFN":
        return Reading(Nothing(why="Amazon sends it", order=id))
    status = order.text("OrderStatus")
    if status not in {*WAITING, *TAKEN, "Canceled"}:
        return Reading(Nothing(why="a status that is not ours", order=id))
    cancelled = status == "Canceled"
    address, items = order.part("ShippingAddress"), list(said.parts("orderItems"))
    country = address.text("CountryCode", "").upper() or COUNTRIES.get(order.text("MarketplaceId", ""), "")
    wants_none = any(
        item.part("BuyerRequestedCancel").value.get("IsBuyerRequestedCancel") in (True, "true") for item in items
    )
    currencies = [item.part("ItemPrice").text("CurrencyCode", "") for item in items]
    return Reading(
        OrderSaid(
            order=id, placed_at=order.moment("PurchaseDate"), said_at=order.moment("LastUpdateDate"),
            currency=next(filter(None, currencies), order.part("OrderTotal").text("CurrencyCode", "")),
            lines=tuple(_line(item, "QuantityOrdered", cancelled, _paid(item)) for item in items),
            waits=status in WAITING, cancelled=cancelled, country=country,
            area=postal_area(country, address.text("PostalCode", "")), service=order.text("ShipServiceLevel", ""),
            promise_day=_promise(order), remarks=(_cancel_me(),) if wants_none and not cancelled else (),
        ),
        _whom(order, address) if address.value else None,
    )  # fmt: skip


def _line(line: Payload, quantity: str, cancelled: bool, amount: str) -> LineSaid:
    ordered, shipped = line.units(quantity), line.units("QuantityShipped", 0)
    return LineSaid(
        ref=line.id("OrderItemId"),
        sku=line.text("SellerSKU", "") or None,
        wanted=min(ordered, shipped) if cancelled else ordered,
        fulfilled=min(shipped, ordered),
        ordered=max(1, ordered),
        paid=amount,
    )


def _paid(item: Payload) -> str:
    """Its price is that of all its units."""
    return paid(item.part("ItemPrice").money("Amount"), 1, [item.part("PromotionDiscount").money("Amount")])


def _promise(said: Payload) -> int | None:
    return (said.moment("LatestDeliveryDate") - _HALF_A_DAY) // MS_PER_DAY if said.has("LatestDeliveryDate") else None


def _cancel_me() -> Remark:
    told = "the customer asks for it to be cancelled: cancel it at Amazon, if it has not left"
    return Remark(code="cancel_requested", place="order", detail=told)


def _whom(order: Payload, address: Payload) -> Whom:
    town = f"{address.text('PostalCode', '')} {address.text('City', '')}".strip()
    lines = address_lines(
        address.text("AddressLine1", ""), address.text("AddressLine2", ""), address.text("AddressLine3", ""), town,
        address.text("StateOrRegion", ""), address.text("CountryCode", ""),
    )  # fmt: skip
    contact = order.part("BuyerInfo").text("BuyerEmail", "") or address.text("Phone", "")
    return Whom(address.text("Name", "") or None, lines or None, contact or None)


# --- levels -----------------------------------------------------------------------------------------------------------


def push(client: httpx.Client, opened: Opened, levels: Sequence[Level], key: str) -> Told:
    """Set the quantity of listings, one by one: as far as Amazon lets us."""
    marketplace, token = opened.option("marketplace"), _log_in(client, opened)
    there: dict[str, int] = {}
    refused: dict[str, str] = {}
    for level in levels:
        available = {"fulfillment_channel_code": "DEFAULT", "quantity": level.units}
        patch = {"op": "replace", "path": "/attributes/fulfillment_availability", "value": [available]}
        seller, sku = quote(opened.connection.account, safe=""), quote(level.external_sku, safe="")
        answer = client.patch(
            f"{opened.option('endpoint', ENDPOINT)}/listings/2021-08-01/items/{seller}/{sku}",
            params={"marketplaceIds": marketplace},
            json={"productType": level.ref, "patches": [patch]},
            headers={"x-amz-access-token": token},
        )
        if answer.status_code in (429, 503):
            return Told(there, refused, rest_after(answer, _slowly(answer)))
        if answer.status_code in (400, 404):
            refused[level.external_sku] = f"it answers {answer.status_code}"
            continue
        answer.raise_for_status()
        status = _field(answer, "status")
        if status == "ACCEPTED":
            there[level.external_sku] = level.units
        else:
            refused[level.external_sku] = plain(status)
    return Told(there, refused)


def ship(client: httpx.Client, opened: Opened, left: Left) -> Answer:
    """Confirm a parcel. It has a number of ours within its order: confirmed again, it is the same one."""
    if not left.tracking:
        return Answer(refused="Amazon takes no parcel without a tracking number")
    carriers = opened.option("carriers", "")
    code = dict(one.split("=", 1) for one in words(carriers) if "=" in one).get(left.carrier, "Other")
    parcel = {
        "packageReferenceId": str(left.no), "carrierCode": code, "trackingNumber": left.tracking,
        "shipDate": moment(left.shipped_at),
        "orderItems": [{"orderItemId": ref, "quantity": units} for ref, units in left.lines.items()],
    }  # fmt: skip
    answer = client.post(
        f"{opened.option('endpoint', ENDPOINT)}/orders/v0/orders/{quote(left.order, safe='')}/shipmentConfirmation",
        json={
            "marketplaceId": opened.option("marketplace"),
            "packageDetail": {**parcel, **({"carrierName": left.carrier or "own"} if code == "Other" else {})},
        },
        headers={"x-amz-access-token": _log_in(client, opened)},
    )
    if answer.status_code in (429, 503):
        return Answer(wait=rest_after(answer, _slowly(answer)))
    if answer.status_code in (400, 404):
        return Answer(refused=f"it answers {answer.status_code}")
    answer.raise_for_status()
    return Answer()


def _log_in(client: httpx.Client, opened: Opened) -> str:
    """A token for an hour."""
    answer = client.post(
        LOGIN,
        data={"grant_type": "refresh_token", **{name: opened.secret(name) for name in SECRETS}},
    )
    answer.raise_for_status()
    return _field(answer, "access_token")


def _field(answer: httpx.Response, name: str) -> str:
    try:
        return str(answer.json()[name])
    except (ValueError, KeyError, TypeError) as error:
        raise httpx.DecodingError("the answer is none of theirs") from error


def _slowly(answer: httpx.Response) -> float:
    """Seconds for one call, by the rate that Amazon says; a few where it says none."""
    try:
        return min(60.0, 1.0 / float(answer.headers["x-amzn-RateLimit-Limit"]))
    except (KeyError, ValueError, ZeroDivisionError):
        return 5.0
