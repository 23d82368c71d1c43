"""Webhooks: where other systems are told of events, what was sent there, and sending it again."""

import secrets
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import EventId, SomeId, WebhookId
from api.http.pages import After, Limit, page, read_cursor
from api.http.service import Call, Called, etag, expect
from api.http.values import PLAIN, Json, Moment, Shown, Text, example
from api.http.values import Body as Said
from api.keys import ENGINEER, OPERATOR, PLANNER
from api.webhooks.signing import new_secret
from engine import webhooks
from engine.database import Tx
from engine.webhooks import DeliverySeen, DeliveryWhole, EventSeen, State, WebhookSeen

router = APIRouter(tags=["webhooks"], route_class=Route)
Type = Literal[
    "order.confirmed", "order.allocated", "order.delayed", "order.cancelled", "order.shipped", "order.ready_for_pickup",
    "order.out_for_delivery", "order.delivered", "return.approved", "return.received", "refund.owed", "stock.low",
]  # fmt: skip
MOST_OVERLAP = 30 * 24
HOUR = 3_600_000


class WebhookSaid(Said):
    """Where another system is to be told of events."""

    url: Annotated[str, Field(min_length=1, max_length=2000, pattern=PLAIN)]
    types: Annotated[
        list[Type], Field(default_factory=list, max_length=100, description="Which; all where none is named")
    ]
    description: Text = ""
    model_config = example(url="https://hooks.example.com/allot", types=["order.shipped", "order.delivered"])


class Overlap(Said):
    """A new secret, and for how long the ones before it sign as well."""

    overlap_hours: Annotated[int, Field(ge=0, le=MOST_OVERLAP)] = 24
    model_config = example(overlap_hours=24)


class Since(Said):
    """From when on events that were missed are sent as well."""

    since: Moment | None = None
    model_config = example(since="2026-11-25T10:00:00Z")


class Again(Said):
    """Which events are sent again: those made in a time that did not arrive (`missed`, dead ones too), or all of them."""

    since: Moment
    until: Moment | None = None
    what: Literal["missed", "all"] = "missed"
    model_config = example(since="2026-11-25T10:00:00Z")


class WebhookMade(WebhookSeen, kw_only=True):
    """A webhook with its new secret: the only time that it is shown."""

    secret: str


class EventNamed(Shown):
    """An event that is sent."""

    event: str


class Replayed(Shown):
    """How many events are sent again."""

    events: int


class _Webhooks(msgspec.Struct):
    data: list[WebhookSeen]


_ONE = edge.answers(edge.shown_schema(WebhookSeen))
_MADE = edge.answers(edge.shown_schema(WebhookMade), 201, "Made")


def _shown(found: WebhookSeen) -> Response:
    return Json(edge.show(found, ""), headers=etag(found.version))


def _made(found: WebhookSeen, secret: str) -> Response:
    return Json({**edge.show(found, ""), "secret": secret}, 201, etag(found.version))


@router.post("/webhooks", operation_id="create_webhook", status_code=201, response_class=Json, responses=_MADE)
@access(ENGINEER)
async def create_webhook(call: Called, body: WebhookSaid) -> Response:
    """Tell another system of events, from now on. The secret that signs them is in this answer and nowhere else."""
    call.service.guard.check(body.url)
    secret, id = new_secret(), f"whk_{secrets.token_hex(10)}"
    sealed = await call.service.run(_sealed, call, secret)
    return _made(
        await call.service.write(
            lambda tx: webhooks.create(tx, call.at, id, body.url, body.types, body.description, sealed, call.key.id)
        ),
        secret,
    )


def _sealed(call: Call, secret: str) -> str:
    return call.service.vault.seal(secret)


@router.get("/webhooks", operation_id="list_webhooks", response_class=Json,
            responses=edge.answers(edge.shown_schema(_Webhooks)))  # fmt: skip
@access(ENGINEER)
async def list_webhooks(call: Called) -> Response:
    """List every webhook, disabled ones too."""
    return Json({"data": [edge.show(one, "") for one in await call.service.read(webhooks.listed)]})


@router.get("/webhooks/{webhook}", operation_id="get_webhook", response_class=Json, responses=_ONE)
@access(ENGINEER)
async def get_webhook(call: Called, webhook: WebhookId) -> Response:
    """A webhook, and how it does."""
    return _shown(await call.service.read(lambda tx: webhooks.get(tx, webhook)))


@router.put("/webhooks/{webhook}", operation_id="put_webhook", response_class=Json, responses=_ONE)
@access(ENGINEER, match="may")
async def put_webhook(call: Called, webhook: WebhookId, body: WebhookSaid) -> Response:
    """Send to another address, or events of other types. With If-Match, only if it has that version."""
    call.service.guard.check(body.url)

    def act(tx: Tx) -> WebhookSeen:
        expect(webhooks.get(tx, webhook, lock=True).version, call.version)
        return webhooks.change(tx, call.at, webhook, body.url, body.types, body.description, call.key.id)

    return _shown(await call.service.write(act))


@router.delete("/webhooks/{webhook}", operation_id="delete_webhook", response_class=Json, responses=_ONE)
@access(ENGINEER)
async def delete_webhook(call: Called, webhook: WebhookId) -> Response:
    """Forget a webhook, with its secrets and the log of its deliveries; what it was is answered."""
    found = await call.service.write(lambda tx: webhooks.delete(tx, call.at, webhook, call.key.id))
    return Json(edge.show(found, ""))


@router.post("/webhooks/{webhook}/secrets", operation_id="add_webhook_secret", status_code=201, response_class=Json,
             responses=_MADE)  # fmt: skip
@access(ENGINEER)
async def add_webhook_secret(call: Called, webhook: WebhookId, body: Overlap) -> Response:
    """Sign with a new secret, and for some time with those before it as well. It is in this answer and nowhere else."""
    secret, overlap = new_secret(), body.overlap_hours * HOUR
    sealed = await call.service.run(_sealed, call, secret)
    return _made(
        await call.service.write(lambda tx: webhooks.add_secret(tx, call.at, webhook, sealed, overlap, call.key.id)),
        secret,
    )


@router.post("/webhooks/{webhook}/disable", operation_id="disable_webhook", response_class=Json, responses=_ONE)
@access(ENGINEER, once="may")
async def disable_webhook(call: Called, webhook: WebhookId) -> Response:
    """Send nothing more, and queue nothing; what waits is dead."""
    return _shown(await call.service.write(lambda tx: webhooks.disable(tx, call.at, webhook, by=call.key.id)))


@router.post("/webhooks/{webhook}/enable", operation_id="enable_webhook", response_class=Json, responses=_ONE)
@access(ENGINEER, once="may")
async def enable_webhook(call: Called, webhook: WebhookId, body: Since) -> Response:
    """Send again; with `since`, first the events made from then on that were missed."""
    return _shown(await call.service.write(lambda tx: webhooks.enable(tx, call.at, webhook, body.since, call.key.id)))


@router.post("/webhooks/{webhook}/test", operation_id="test_webhook", response_model=EventNamed)
@access(ENGINEER, once="may")
async def test_webhook(call: Called, webhook: WebhookId) -> Response:
    """Send an event that says nothing (`webhook.test`), to see whether it arrives."""
    return Json({"event": await call.service.write(lambda tx: webhooks.send_test(tx, call.at, webhook, call.key.id))})


@router.post("/webhooks/{webhook}/replay", operation_id="replay_webhook", response_model=Replayed)
@access(ENGINEER, once="may")
async def replay_webhook(call: Called, webhook: WebhookId, body: Again) -> Response:
    """Send the events made in a time again: those that did not arrive, or all."""

    def act(tx: Tx) -> int:
        return webhooks.replay(
            tx, call.at, webhook, body.since, body.until, delivered=body.what == "all", by=call.key.id
        )

    return Json({"events": await call.service.write(act)})


@router.get("/webhooks/{webhook}/deliveries", operation_id="list_deliveries", response_class=Json,
            responses=edge.answers(edge.page_schema(DeliverySeen)))  # fmt: skip
@access(ENGINEER)
async def list_deliveries(
    call: Called, webhook: WebhookId, request: Request, limit: Limit = 50, after: After = None,
    state: Annotated[State | None, Query(description="`dead` are those given up")] = None,
    type: Annotated[Type | None, Query()] = None,
) -> Response:  # fmt: skip
    """List what was sent to a webhook, or is to be, the newest first, with what came of the last try."""
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: webhooks.deliveries(tx, webhook, last[0] if last else None, limit + 1, state or "", type or "")
    )
    return page(request, found, limit, _row, _number)


@router.get("/webhooks/{webhook}/deliveries/{event}", operation_id="get_delivery", response_class=Json,
            responses=edge.answers(edge.shown_schema(DeliveryWhole)))  # fmt: skip
@access(ENGINEER)
async def get_delivery(call: Called, webhook: WebhookId, event: EventId) -> Response:
    """An event on its way to a webhook, with every try."""
    return Json(edge.show(await call.service.read(lambda tx: webhooks.delivery(tx, webhook, event)), ""))


@router.post("/webhooks/{webhook}/deliveries/{event}/replay", operation_id="replay_delivery", response_model=EventNamed)
@access(ENGINEER, once="may")
async def replay_delivery(call: Called, webhook: WebhookId, event: EventId) -> Response:
    """Send one event again that was delivered, or is dead."""
    await call.service.write(lambda tx: webhooks.replay_one(tx, call.at, webhook, event, call.key.id))
    return Json({"event": event})


@router.get("/events", operation_id="list_events", response_class=Json,
            responses=edge.answers(edge.page_schema(EventSeen)))  # fmt: skip
@access(ENGINEER, OPERATOR, PLANNER)
async def list_events(
    call: Called, request: Request, limit: Limit = 50, after: After = None,
    type: Annotated[Type | None, Query()] = None,
    subject: SomeId | None = None,
) -> Response:  # fmt: skip
    """List events, the newest first. They are made while there is a webhook, or customers are told of them."""
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: webhooks.events(tx, last[0] if last else None, limit + 1, type or "", subject or "")
    )
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), _number)


def _row(row: tuple[int, DeliverySeen]) -> dict[str, Any]:
    shown: dict[str, Any] = edge.show(row[1], "")
    return shown


def _number(row: tuple[int, Any]) -> tuple[int]:
    return (row[0],)
