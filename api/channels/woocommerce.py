"""WooCommerce: orders by webhook, levels and parcels by its REST API (v3).

Read as its public documentation has it (developer.woocommerce.com: webhooks, orders, products). Every message brings the whole
order, and of one that was deleted its id. It is sent once: what nobody answers is not sent again. It knows neither coordinates
(postal areas say where an order goes) nor what left when: an order that is `completed` has left.

Options of a connection: `take` (statuses of orders that are ours to send besides `processing`, with commas between them);
`completed` (`take`: of shops that complete orders once they are paid); `not_shipped` (SKUs of which nothing is sent, with commas
between them); `notify` (`yes`: customers are told the numbers of parcels). Items are told by their product (`123`), or product and
variation (`123/456`).
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

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
from engine.channel_parcels import Left
from engine.channel_said import LineSaid, Nothing, OrderGone, OrderSaid, Remark, Whom
from engine.connections import Connection
from solver.refusal import Refusal

SECRETS = ("signing", "key", "secret")
"""What webhooks are signed with, and a REST API key's two halves."""
TOGETHER = 100
MOST_CALLS = 10
"""Products whose variations are told at once, at most: each is a call of its own."""
ENDED = frozenset({"cancelled", "failed", "trash"})
LOCAL = frozenset({"local_pickup", "pickup_location"})
_PING = re.compile(rb"webhook_id=\d{1,20}\Z")
_REF = re.compile(r"(\d{1,18})(?:/(\d{1,18}))?\Z")


def check(connection: Connection) -> None:
    """The account is where the shop is, over TLS, and nowhere within."""
    try:
        found = urlsplit(connection.account)
        named = found.scheme == "https" and bool(found.hostname) and found.port is None
    except ValueError:
        named = False
    if not named or "@" in connection.account or found.query or found.fragment or connection.account.endswith("/"):
        raise Refusal("account", f"{connection.account!r} is no shop, as https://shop.example is", "bad_account")
    if _is_address(found.hostname or ""):
        raise Refusal("account", "is a shop by its name, not by its number", "bad_account")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or "." not in host
    return True


def verify(
    connection: Connection, headers: Mapping[str, str], body: bytes, signing: Sequence[str] | None
) -> Arrival | None:
    """What it sends is signed, but for the greeting when a webhook is made, which says nothing."""
    if _PING.match(body):
        return Arrival("", "ping")
    if signing is not None and not signed_by(headers.get("x-wc-webhook-signature", ""), body, signing):
        return None
    topic = plain(headers.get("x-wc-webhook-topic", "")) or "order.updated"
    return Arrival(plain(headers.get("x-wc-webhook-delivery-id", "")) or event_of(body, topic), topic)


def read(connection: Connection, arrival: Arrival, payload: Any) -> Reading:
    """An order as it is, or that it was deleted."""
    match arrival.topic:
        case "order.created" | "order.updated" | "order.restored":
            return _order(connection, Payload(payload))
        case "order.deleted":
            return Reading(OrderGone(order=Payload(payload).id("id"), said_at=0))
    return Reading(Nothing(why="a topic that says nothing of orders"))


def _order(connection: Connection, said: Payload) -> Reading:
    options = connection.arrangement.options
    status = said.text("status")
    done = status == "completed" and options.get("completed") != "take"
    taken = {"processing", "completed", *words(options.get("take", ""))}
    cancelled = status in ENDED or status == "refunded"
    shipping, billing = said.part("shipping"), said.part("billing")
    address = shipping if shipping.text("address_1", "") or shipping.text("postcode", "") else billing
    country = address.text("country", "").upper()
    ways = list(said.parts("shipping_lines"))
    refunded, unclear = _refunded(said)
    return Reading(
        OrderSaid(
            order=said.id("id"), placed_at=said.moment("date_created_gmt", "Z"), said_at=said.moment("date_modified_gmt", "Z"),
            currency=said.text("currency", ""),
            lines=tuple(
                _line(line, refunded[line.id("id")], done, cancelled, words(options.get("not_shipped", "")),
                      said.yes("prices_include_tax", False))
                for line in said.parts("line_items")
            ),
            waits=not cancelled and status not in taken, cancelled=cancelled, left_is_fine=status == "refunded",
            country=country, area=postal_area(country, address.text("postcode", "")), collect=_collect(ways),
            service=next((way.text("method_title", "") or way.text("method_id", "") for way in ways), ""),
            remarks=() if cancelled or done else tuple(unclear),
        ),
        _whom(address, billing),
    )  # fmt: skip


def _refunded(said: Payload) -> tuple[Counter[str], list[Remark]]:
    """Units by line that were refunded; and refunds of which it is not said what of, as webhooks have them."""
    units: Counter[str] = Counter()
    unclear = []
    for refund in said.parts("refunds"):
        lines = list(refund.parts("line_items"))
        for line in lines:
            of = next((one for one in line.parts("meta_data") if one.text("key", "") == "_refunded_item_id"), None)
            quantity = line.value.get("quantity")
            if of is None or not isinstance(quantity, int) or isinstance(quantity, bool):
                raise line.bad("quantity", "is no number of units of a line")
            units[of.id("value")] += abs(quantity)
        if not lines:
            told = (
                "some of it was refunded, and it is not said which units: cancel them here if they are not to be sent"
            )
            unclear.append(Remark(code="refund_unclear", place=f"refunds[{refund.id('id')}]", detail=told))
    return units, unclear


def _line(line: Payload, refunded: int, done: bool, cancelled: bool, not_shipped: set[str], with_tax: bool) -> LineSaid:
    quantity = line.units("quantity")
    sku = line.text("sku", "") or None
    tax = [line.money("total_tax")] if with_tax else []
    return LineSaid(
        ref=line.id("id"),
        sku=sku,
        wanted=0 if cancelled else quantity if done else max(0, quantity - refunded),
        fulfilled=quantity if done else 0,
        ships=sku not in not_shipped,
        ordered=max(1, quantity),
        paid=paid(line.money("total"), 1, more=tax),
    )


def _collect(ways: Sequence[Payload]) -> tuple[str, ...]:
    """What it calls the place where an order is collected."""
    for way in ways:
        if way.text("method_id", "") in LOCAL:
            named = [
                one.text("value", "") for one in way.parts("meta_data") if one.text("key", "") == "pickup_location"
            ]
            return tuple(name for name in (*named, way.text("method_title", "")) if name) or ("local pickup",)
    return ()


def _whom(address: Payload, billing: Payload) -> Whom:
    name = f"{address.text('first_name', '')} {address.text('last_name', '')}".strip()
    town = f"{address.text('postcode', '')} {address.text('city', '')}".strip()
    lines = address_lines(
        address.text("company", ""), address.text("address_1", ""), address.text("address_2", ""), town,
        address.text("state", ""), address.text("country", ""),
    )  # fmt: skip
    return Whom(name or None, lines or None, billing.text("email", "") or billing.text("phone", "") or None)


# --- levels -----------------------------------------------------------------------------------------------------------


def push(client: httpx.Client, opened: Opened, levels: Sequence[Level], key: str) -> Told:
    """Set the stock of products together, then that of the variations of each product."""
    refused, calls = {}, dict[str, list[tuple[Level, int]]]()
    for level in levels:
        found = _REF.match(level.ref)
        if found is None:
            refused[level.external_sku] = "bad_ref"
            continue
        product, variation = found[1], found[2]
        path = f"products/{product}/variations/batch" if variation else "products/batch"
        calls.setdefault(path, []).append((level, int(variation or product)))
    there: dict[str, int] = {}
    for path, some in list(calls.items())[:MOST_CALLS]:
        answer = client.post(
            f"{opened.connection.account}/wp-json/wc/v3/{path}",
            json={"update": [{"id": id, "manage_stock": True, "stock_quantity": level.units} for level, id in some]},
            auth=(opened.secret("key"), opened.secret("secret")),
        )
        if answer.status_code in (429, 503):
            return Told(there, refused, rest_after(answer, 10.0))
        answer.raise_for_status()
        _note(answer, some, there, refused)
    return Told(there, refused)


# --- parcels ----------------------------------------------------------------------------------------------------------


def ship(client: httpx.Client, opened: Opened, left: Left) -> Answer:
    """Note a parcel's number at the order, unless it is noted, and complete the order once nothing more of it is to leave."""
    at = f"{opened.connection.account}/wp-json/wc/v3/orders/{quote(left.order, safe='')}"
    auth = (opened.secret("key"), opened.secret("secret"))
    note = f"{left.carrier} {left.tracking}".strip()

    def ask(method: str, where: str, body: Any = None) -> httpx.Response:
        return client.request(method, f"{at}{where}", json=body, auth=auth)

    answer = ask("GET", "/notes")
    if answer.is_success and left.tracking and not _is_noted(answer, note):
        answer = ask("POST", "/notes", {"note": note, "customer_note": opened.option("notify", "") == "yes"})
    if answer.is_success and left.last and opened.option("completed", "") != "take":
        answer = ask("PUT", "", {"status": "completed"})
    if answer.status_code in (429, 503):
        return Answer(wait=rest_after(answer, 10.0))
    if answer.status_code in (400, 404):
        return Answer(refused=f"it answers {answer.status_code}")
    answer.raise_for_status()
    return Answer()


def _is_noted(answer: httpx.Response, note: str) -> bool:
    """Whether a note is there: in a text perhaps, but not within another number."""
    alone = re.compile(rf"(?<![\w-]){re.escape(note)}(?![\w-])")
    try:
        return any(alone.search(one["note"]) for one in answer.json())
    except (ValueError, KeyError, TypeError) as error:
        raise httpx.DecodingError("the answer is none of the REST API") from error


def _note(
    answer: httpx.Response, some: Sequence[tuple[Level, int]], there: dict[str, int], refused: dict[str, str]
) -> None:
    """What came of some of them."""
    try:
        said = {one["id"]: one.get("error") for one in answer.json()["update"]}
    except (ValueError, KeyError, TypeError) as error:
        raise httpx.DecodingError("the answer is none of the REST API") from error
    for level, id in some:
        if id in said and said[id] is None:
            there[level.external_sku] = level.units
        else:
            refused[level.external_sku] = plain(str((said.get(id) or {}).get("code") or "not_told"))
