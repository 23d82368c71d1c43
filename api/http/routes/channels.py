"""Channels: what they send, what of it could not be done, and the connections that they come by."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.channels import channel_of, hearing
from api.http import edge
from api.http.door import STRANGER, Route, access, unproven
from api.http.names import ConnectionId, IssueId
from api.http.pages import After, Limit, page, read_cursor
from api.http.service import Call, Called, etag, expect
from api.http.values import PLAIN, Json, Shown, example
from api.http.values import Body as Said
from api.keys import ADMIN, ENGINEER, OPERATOR, PLANNER
from api.moments import moment
from engine import channel_issues, channel_parcels, channels
from engine.ahead import lookout_of
from engine.channel_issues import IssueSeen
from engine.channel_said import Heard, Outcome
from engine.connections import (
    MOST_TOGETHER,
    AreaEntry,
    Connection,
    ConnectionEntry,
    Item,
    ItemSeen,
    areas,
    connections,
    get_connection,
    items,
    put_areas,
    put_connection,
    put_items,
    put_secrets,
)
from engine.database import Tx
from solver.refusal import Refusal

router = APIRouter(tags=["channels"], route_class=Route)
READERS = (OPERATOR, PLANNER, ENGINEER)
WRITERS = (OPERATOR, ENGINEER)
HOUR = 3_600_000
EVENT = {
    "id": 5001, "created_at": "2025-11-25T09:00:00Z", "updated_at": "2025-11-25T09:00:00Z", "currency": "EUR",
    "line_items": [{"id": 1, "sku": "kettle", "quantity": 1, "current_quantity": 1, "price": "29.99"}],
    "shipping_address": {"latitude": 52.1, "longitude": 5.1, "country_code": "NL", "zip": "3511 AB"},
}  # fmt: skip


# --- what they send ---------------------------------------------------------------------------------------------------


class HeardSeen(msgspec.Struct, kw_only=True):
    """What came of a message: `issue` where some of it could not be done, `older` where something newer was heard already."""

    outcome: Outcome
    order: str | None
    issues: int


@router.post(
    "/channels/{connection}/events", operation_id="hear_channel", response_class=Json,
    responses=edge.answers(edge.shown_schema(HeardSeen), 200, "It came; nothing is to be sent again"),
    openapi_extra={"requestBody": {"required": True, "content": {
        "application/json": {"schema": {"type": "object"}, "example": EVENT},
    }}},
)  # fmt: skip
@access(*WRITERS, size="batch", media=("application/json", "application/x-www-form-urlencoded"), signed=True)
async def hear_channel(call: Called, request: Request, connection: ConnectionId) -> Response:
    """Take what a channel says of its orders, in its own words and signed by it; or sent on by somebody with a key."""
    service, body = call.service, await request.body()
    trusted = call.key is not STRANGER
    headers = {name.lower(): value for name, value in request.headers.items()}

    def act() -> Heard | None:
        return hearing.hear_message(
            service.database, service.vault, connection, headers, body, call.at, trusted=trusted
        )

    heard = await service.run(act)
    if heard is None:
        raise unproven(service, request, "this is not proven to be from there")
    return Json(_heard(heard))


def _heard(heard: Heard) -> dict[str, Any]:
    return {"outcome": heard.outcome, "order": heard.order, "issues": heard.issues}


# --- what could not be done -------------------------------------------------------------------------------------------


@router.get("/channel-issues", operation_id="list_channel_issues", response_class=Json,
            responses=edge.answers(edge.page_schema(IssueSeen)))  # fmt: skip
@access(*READERS)
async def list_channel_issues(
    call: Called, request: Request, limit: Limit = 100, after: After = None,
    connection: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
    state: Annotated[Literal["open", "settled"] | None, Query()] = None,
) -> Response:  # fmt: skip
    """List what channels said and what could not be done, the newest first."""
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: channel_issues.issues(
            tx, last[0] if last else None, limit + 1, connection=connection or "", state=state or ""
        )
    )
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: (row[0],))


@router.post("/channel-issues/{issue}/retry", operation_id="retry_channel_issue", response_class=Json,
             responses=edge.answers(edge.shown_schema(HeardSeen)))  # fmt: skip
@access(*WRITERS, once="may")
async def retry_channel_issue(call: Called, issue: IssueId) -> Response:
    """Try again what of an order could not be done, after what was wrong was mended; a parcel is told soon (`waits`)."""
    lookout = lookout_of(call.service.database)

    def act(tx: Tx) -> Heard:
        found = channel_issues.issue(tx, issue)
        if found.code == channel_issues.NOT_TOLD:
            channel_parcels.tell_again(tx, found.place, call.at)
            return Heard("waits", found.order)
        return channels.hear_again(tx, get_connection(tx, found.connection), found.external_id, call.at, lookout)

    return Json(_heard(await call.service.write(act)))


@router.post("/channel-issues/{issue}/settle", operation_id="settle_channel_issue", response_class=Json,
             responses=edge.answers(edge.shown_schema(IssueSeen)))  # fmt: skip
@access(*WRITERS, once="may")
async def settle_channel_issue(call: Called, issue: IssueId) -> Response:
    """Say that somebody saw to it."""
    found = await call.service.write(lambda tx: channel_issues.settle(tx, issue, call.at, call.key.id))
    return Json(edge.show(found, await call.service.currency()))


# --- connections ------------------------------------------------------------------------------------------------------


class ConnectionSeen(ConnectionEntry, frozen=True, kw_only=True):
    """A connection. Its secrets are never shown: `secrets` says which there are."""

    secrets: tuple[str, ...]
    push_problem: str
    push_tries: int
    version: int


_SHOP: dict[str, Any] = {
    "kind": "shopify", "channel": "market", "account": "example.myshopify.com", "secrets": {"signing": "hush", "token": "shpat_1"},
    "arrangement": {"usual": {"promise_days": 4}, "services": {"Express": {"promise_days": 1, "late_cents": 500}},
                    "pickup": {"City shop": "shop"}, "options": {"location": "gid://shopify/Location/1"}},
}  # fmt: skip
_ENTRY = edge.entry_schema(ConnectionEntry, "id")
_PUT = {
    **_ENTRY,
    "properties": {
        **_ENTRY["properties"],
        "secrets": {
            "type": "object",
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 1000},
            "description": "By name, as the kind has them; those that are not said stay",
        },
    },
    "examples": [_SHOP],
}
_SEEN = {
    **edge.entry_schema(ConnectionSeen),
    "required": ["id", "kind", "channel", "account", "arrangement", "active", "secrets", "version"],
}
_LIST = {"type": "object", "properties": {"data": {"type": "array", "items": _SEEN}}, "required": ["data"]}


def _seen(call: Call, found: Connection) -> dict[str, Any]:
    said = msgspec.to_builtins(found)
    for name in ("push_at", "secrets"):
        said.pop(name)
    return {**said, "secrets": sorted(hearing.unseal(call.service.vault, found.secrets).now) if found.secrets else []}


def _secrets(kind: str, said: Any) -> dict[str, str]:
    """Secrets as a body says them."""
    if not isinstance(said, dict):
        raise Refusal("secrets", "are texts by name", "bad_input")
    known = channel_of(kind).SECRETS
    for name, value in said.items():
        if name not in known:
            raise Refusal(
                f"secrets.{name}", f"is no secret of {kind}: {', '.join(known) or 'it has none'}", "unknown_field"
            )
        if not isinstance(value, str) or not 1 <= len(value) <= 1000 or not value.isprintable():
            raise Refusal(f"secrets.{name}", "is no secret: 1 to 1,000 visible characters", "bad_input")
    return said


@router.get("/connections", operation_id="list_connections", response_class=Json, responses=edge.answers(_LIST))
@access(*READERS)
async def list_connections(call: Called) -> Response:
    """List connections by id."""
    found = await call.service.read(connections)
    return Json({"data": [_seen(call, one) for one in found]})


@router.get(
    "/connections/{connection}", operation_id="get_connection", response_class=Json, responses=edge.answers(_SEEN)
)
@access(*READERS)
async def show_connection(call: Called, connection: ConnectionId) -> Response:
    """A connection."""
    found = await call.service.read(lambda tx: get_connection(tx, connection))
    return Json(_seen(call, found), headers=etag(found.version))


@router.put(
    "/connections/{connection}", operation_id="put_connection", response_class=Json, responses=edge.answers(_SEEN)
)
@access(ADMIN, match="may")
async def write_connection(
    call: Called, connection: ConnectionId, body: Annotated[dict[str, Any], Body(json_schema_extra=_PUT)]
) -> Response:
    """Make a connection, or make it another one; one channel has one. With If-Match, only if it has that version."""
    if "id" in body:
        raise Refusal("id", "is said by the address already", "unknown_field")
    entry = edge.read_entry(ConnectionEntry, {**{k: v for k, v in body.items() if k != "secrets"}, "id": connection})
    kind = channel_of(entry.kind)
    kind.check(
        Connection(**msgspec.structs.asdict(entry), secrets="", push_at=0, push_tries=0, push_problem="", version=0)
    )
    given = _secrets(entry.kind, body.get("secrets", {}))
    vault = call.service.vault

    def write(tx: Tx) -> Connection:
        known = any(one.id == connection for one in connections(tx))
        there = get_connection(tx, connection, lock=True) if known else None  # nobody gives it other secrets meanwhile
        expect(there.version if there else 0, call.version)
        sealed = None
        if given:
            kept = hearing.unseal(vault, there.secrets) if there else hearing.Secrets()
            sealed = hearing.seal(vault, hearing.Secrets(now={**kept.now, **given}, before=kept.before))
        put_connection(tx, entry, call.at, call.key.id, sealed)
        return get_connection(tx, connection)

    found = await call.service.write(write)
    return Json(_seen(call, found), headers=etag(found.version))


class Rotation(Said):
    """Another secret in place of one."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = "signing"
    secret: Annotated[str, Field(min_length=1, max_length=1000)]
    keep_hours: Annotated[
        int, Field(ge=0, le=24 * 30, description="For so long, what the one before has signed is taken too")
    ] = 24
    model_config = example(secret="hush, hush", keep_hours=24)  # noqa: S106 -- an example


class Rotated(Shown):
    """A connection that has another secret."""

    id: str
    name: str
    before_until: str | None
    version: int


@router.post("/connections/{connection}/rotate", operation_id="rotate_secret", response_model=Rotated)
@access(ADMIN)
async def rotate_secret(call: Called, connection: ConnectionId, body: Rotation) -> Response:
    """Give a connection another secret; what signed so far is taken for a while, until everybody signs with the new one."""
    vault, keep = call.service.vault, body.keep_hours * HOUR

    def write(tx: Tx) -> tuple[int, bool]:
        found = get_connection(tx, connection, lock=True)
        _secrets(found.kind, {body.name: body.secret})
        before = hearing.unseal(vault, found.secrets)
        after = before.rotate(body.name, body.secret, call.at, keep)
        return put_secrets(tx, connection, hearing.seal(vault, after), call.at, call.key.id), len(after.before) > len(
            before.before
        )

    version, kept = await call.service.write(write)
    until = moment(call.at + keep) if kept else None
    return Json({"id": connection, "name": body.name, "before_until": until, "version": version})


# --- what they call things --------------------------------------------------------------------------------------------


class Written(msgspec.Struct, kw_only=True):
    """How many there were."""

    count: int


def _many(name: str, kind: type[msgspec.Struct], shown: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body of many entries."""
    entries = {"type": "array", "minItems": 1, "maxItems": MOST_TOGETHER, "items": edge.entry_schema(kind)}
    return {"type": "object", "properties": {name: entries}, "required": [name], "additionalProperties": False,
            "examples": [{name: [shown]}]}  # fmt: skip


def _read_many(body: dict[str, Any], name: str, kind: type[Any]) -> Sequence[Any]:
    for field in body:
        if field != name:
            raise Refusal(field, "is no field here", "unknown_field")
    said = body.get(name)
    if not isinstance(said, list) or not 1 <= len(said) <= MOST_TOGETHER:
        raise Refusal(name, f"are 1 to {MOST_TOGETHER:,}", "bad_input")
    found = []
    for i, one in enumerate(said):
        try:
            found.append(edge.read_entry(kind, one))
        except Refusal as refusal:
            place = f"{name}[{i}].{refusal.place}" if refusal.place else f"{name}[{i}]"
            raise Refusal(place, refusal.problem, refusal.code) from None
    return found


_ITEM = {"external_sku": "KTL-1", "sku": "kettle", "ref": "gid://shopify/InventoryItem/1"}
_AREA = {"country": "NL", "area": "35", "lat": 52.09, "lon": 5.12, "region": "NL"}


@router.put("/connections/{connection}/items", operation_id="put_items", response_class=Json,
            responses=edge.answers(edge.shown_schema(Written)))  # fmt: skip
@access(PLANNER, ENGINEER, size="batch")
async def write_items(
    call: Called, connection: ConnectionId,
    body: Annotated[dict[str, Any], Body(json_schema_extra=_many("items", Item, _ITEM))],
) -> Response:  # fmt: skip
    """Say what a connection calls our SKUs, and what it is told levels by. Those that are not named stay."""
    said = _read_many(body, "items", Item)
    return Json({"count": await call.service.write(lambda tx: put_items(tx, connection, said))})


@router.get("/connections/{connection}/items", operation_id="list_items", response_class=Json,
            responses=edge.answers(edge.page_schema(ItemSeen)))  # fmt: skip
@access(*READERS)
async def list_items(
    call: Called, request: Request, connection: ConnectionId, limit: Limit = 100, after: After = None
) -> Response:
    """List what a connection calls our SKUs, and how many of each it was told that it may sell."""
    last = read_cursor(after, str)
    found = await call.service.read(lambda tx: items(tx, connection, last[0] if last else "", limit + 1))
    currency = await call.service.currency()
    return page(request, found, limit, lambda one: edge.show(one, currency), lambda one: (one.external_sku,))


@router.put("/postal-areas", operation_id="put_postal_areas", response_class=Json,
            responses=edge.answers(edge.shown_schema(Written)))  # fmt: skip
@access(PLANNER, ENGINEER, size="batch")
async def write_areas(
    call: Called, body: Annotated[dict[str, Any], Body(json_schema_extra=_many("areas", AreaEntry, _AREA))]
) -> Response:
    """Say where postal areas are, for orders whose place is said without coordinates. The longest that fits is taken."""
    said = _read_many(body, "areas", AreaEntry)
    return Json({"count": await call.service.write(lambda tx: put_areas(tx, said))})


_AREAS = {"type": "object", "properties": {"data": {"type": "array", "items": edge.entry_schema(AreaEntry)},
                                           "next": {"type": ["string", "null"]}}, "required": ["data", "next"]}  # fmt: skip


@router.get("/postal-areas", operation_id="list_postal_areas", response_class=Json, responses=edge.answers(_AREAS))
@access(*READERS)
async def list_areas(call: Called, request: Request, limit: Limit = 100, after: After = None) -> Response:
    """List postal areas by country."""
    last = read_cursor(after, str, str)
    found = await call.service.read(lambda tx: areas(tx, (last[0], last[1]) if last else ("", ""), limit + 1))
    return page(request, found, limit, msgspec.to_builtins, lambda one: (one.country, one.area))
