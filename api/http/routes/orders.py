"""Orders: taken in and allocated, looked at, changed, cancelled, released; and why they are served as they are."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.http import edge, problems
from api.http.door import Route, access
from api.http.names import OrderId, RecipientId, SomeId
from api.http.pages import After, Limit, page, read_cursor
from api.http.problems import Refused
from api.http.recorded import Recording, record
from api.http.routes import jobs as job_routes
from api.http.service import Call, Called, etag
from api.http.values import Body as Said
from api.http.values import Json, Moment, Shown, Text, example
from api.keys import ENGINEER, OPERATOR, PLANNER
from engine import consignments, jobs, orders, reads
from engine.capture import Captured
from engine.database import Tx
from engine.facts import (
    OrderCancelled,
    OrderEdited,
    OrderPlaced,
    OrderReleased,
    OrderReviewed,
    check_happened,
    short_id,
)
from engine.orders import Person
from engine.reads import DecisionSeen, FactSeen, OrderSeen, OrderWhole
from solver.refusal import Refusal

router = APIRouter(tags=["orders"], route_class=Route)
MOST_ORDERS = 500
State = Literal["held", "open", "allocated", "released", "shipped", "delivered", "returned", "cancelled"]
READERS = (OPERATOR, PLANNER, ENGINEER)
WRITERS = (OPERATOR, ENGINEER)
EXAMPLE = {
    "channel": "web",
    "external_id": "W-1001",
    "lines": [{"sku": "kettle", "qty": 1, "price": {"amount": 2999, "currency": "EUR"}}],
    "place": {"lat": 52.1, "lon": 5.1, "region": "NL"},
}

_PLACED = {**edge.schema_of(OrderPlaced, "id"), "examples": [EXAMPLE]}


class CapturedSeen(msgspec.Struct, kw_only=True):
    """What became of an order that was sent: `new`, or `seen` before."""

    id: str
    outcome: Literal["new", "seen"]
    state: str
    promise_day: int | None
    open: int
    allocated: int
    version: int


@router.post(
    "/orders", operation_id="place_order", status_code=201, response_class=Json,
    responses=edge.answers(edge.shown_schema(CapturedSeen), 201, "Taken in")
    | edge.answers(edge.shown_schema(CapturedSeen), 200, "Seen before"),
)  # fmt: skip
@access(*WRITERS, once="may", keeps=True)
async def place_order(
    call: Called,
    body: Annotated[dict[str, Any], Body(json_schema_extra=_PLACED)],
) -> Response:
    """Take an order in, allocate it at once, and promise a day. The same order twice is one order."""
    currency = await call.service.currency()
    order = _order(call, body, currency)

    def answer(captured: Sequence[Captured]) -> Response:
        [one] = captured
        refused = _refused(one)
        if refused is not None:
            return problems.refused(refused, call.request_id)
        headers = {"Location": f"/v1/orders/{one.placed.id}", **etag(one.version)}
        return Json(_captured(one, currency), 201 if one.placed.outcome == "new" else 200, headers)

    return await call.service.capture(call.capturing([order], answer))


_BATCH: dict[str, Any] = {
    "type": "object",
    "properties": {
        "orders": {"type": "array", "minItems": 1, "maxItems": MOST_ORDERS, "items": edge.schema_of(OrderPlaced, "id")}
    },
    "required": ["orders"],
    "additionalProperties": False,
    "examples": [{"orders": [{**EXAMPLE, "external_id": "W-1002"}, {**EXAMPLE, "external_id": "W-1003"}]}],
}
_REFUSED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "outcome": {"const": "refused"},
        "status": {"type": "integer"},
        "error": {"$ref": "#/components/schemas/ProblemError"},
    },
    "required": ["outcome", "status", "error"],
    "additionalProperties": False,
}
_BATCH_ANSWER = {
    "type": "object",
    "properties": {"data": {"type": "array", "items": {"anyOf": [edge.shown_schema(CapturedSeen), _REFUSED]}}},
    "required": ["data"],
    "additionalProperties": False,
}


@router.post("/orders:batch", operation_id="place_orders", response_class=Json, responses=edge.answers(_BATCH_ANSWER))
@access(*WRITERS, size="batch", once="may", keeps=True)
async def place_orders(call: Called, body: Annotated[dict[str, Any], Body(json_schema_extra=_BATCH)]) -> Response:
    """Take up to 500 orders in together. Each has its own answer: one that is refused holds up no other."""
    said = body.get("orders")
    for name in body:
        if name != "orders":
            raise Refusal(name, "is no field here", "unknown_field")
    if not isinstance(said, list) or not 1 <= len(said) <= MOST_ORDERS:
        raise Refusal("orders", f"are 1 to {MOST_ORDERS}", "bad_input")
    currency = await call.service.currency()
    answers: list[dict[str, Any] | None] = [None] * len(said)
    good: list[tuple[int, OrderPlaced]] = []
    for i, one in enumerate(said):
        try:
            if not isinstance(one, dict):
                raise Refusal("", "is no order", "bad_input")
            good.append((i, _order(call, one, currency)))
        except Refusal as refusal:
            answers[i] = _no(refusal, i)

    def answer(done: Sequence[Captured]) -> Response:
        for (i, _), captured in zip(good, done, strict=True):
            placed = captured.placed
            answers[i] = (
                _captured(captured, currency)
                if placed.outcome in ("new", "seen")
                else _no(Refusal(placed.place, placed.problem, _code(captured)), i)
            )
        return Json({"data": answers})

    return await call.service.capture_all(call.capturing([order for _, order in good], answer))


def _order(call: Call, body: Mapping[str, Any], currency: str) -> OrderPlaced:
    if "id" in body:
        raise Refusal("id", "is no field here", "unknown_field")
    order = edge.read(OrderPlaced, body, currency, {"at": call.at})
    check_happened(order, call.at)
    return order


def _code(captured: Captured) -> str:
    return captured.placed.code or ("order_conflict" if captured.placed.outcome == "conflict" else "bad_input")


def _refused(captured: Captured) -> Refusal | None:
    placed = captured.placed
    if placed.outcome in ("new", "seen"):
        return None
    return Refusal(placed.place, placed.problem, _code(captured))


def _no(refusal: Refusal, i: int) -> dict[str, Any]:
    error = problems.refusal(refusal, f"/orders/{i}")
    return {"outcome": "refused", "status": problems.status_of(refusal.code), "error": error}


def _captured(captured: Captured, currency: str) -> dict[str, Any]:
    placed = captured.placed
    shown: dict[str, Any] = edge.show(
        CapturedSeen(
            id=placed.id, outcome="new" if placed.outcome == "new" else "seen", state=captured.state,
            promise_day=captured.promise_day, open=captured.open, allocated=captured.allocated, version=captured.version,
        ),
        currency,
    )  # fmt: skip
    return shown


@router.post(
    "/orders/import", operation_id="import_orders", status_code=202, response_model=job_routes.ShownJob,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}, "example": msgspec.json.encode(EXAMPLE).decode()},
                "text/csv": {
                    "schema": {"type": "string"},
                    "example": "channel,external_id,sku,qty,lat,lon\nweb,W-2001,kettle,1,52.1,5.1\n",
                },
            },
        }
    },
)  # fmt: skip
@access(*WRITERS, size="import", once="may", media=("application/x-ndjson", "text/csv"))
async def import_orders(call: Called, request: Request) -> Response:
    """Take many orders in as a job: one line of JSON for each, or CSV with a row for each line of an order.

    An order of which a row of CSV is bad is refused whole.
    """
    given = await request.body()
    form = "csv" if request.headers.get("content-type", "").startswith("text/csv") else "ndjson"
    return await make_job(call, "import_orders", given, {"format": form, "currency": await call.service.currency()})


async def make_job(call: Call, kind: str, given: bytes, settings: Mapping[str, Any]) -> Response:
    """Make a job of what was sent; the same key makes the same job."""
    if not given.strip():
        raise Refused("bad_input", "the body is empty")
    id = short_id("job", call.fact())
    return job_routes.accepted(
        await call.service.write(lambda tx: jobs.create(tx, call.at, id, kind, call.key.id, given, settings))
    )


@router.get(
    "/orders", operation_id="list_orders", response_class=Json, responses=edge.answers(edge.page_schema(OrderSeen))
)
@access(*READERS)
async def list_orders(
    call: Called, request: Request, limit: Limit = 50, after: After = None,
    state: Annotated[State | None, Query()] = None, channel: SomeId | None = None, external_id: SomeId | None = None,
    placed_from: Annotated[Moment | None, Query()] = None, placed_until: Annotated[Moment | None, Query()] = None,
) -> Response:  # fmt: skip
    """List orders, the newest first."""
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: reads.orders(
            tx, last[0] if last else None, limit + 1, state=state or "", channel=channel or "",
            external_id=external_id or "", placed_from=placed_from, placed_until=placed_until,
        )
    )  # fmt: skip
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: (row[0],))


@router.get("/orders/{order}", operation_id="get_order", response_class=Json,
            responses=edge.answers(edge.shown_schema(OrderWhole)))  # fmt: skip
@access(*READERS)
async def get_order(call: Called, order: OrderId) -> Response:
    """An order: its lines, what is allocated of it, its consignments."""
    found = await call.service.read(lambda tx: reads.order(tx, order))
    return Json(edge.show(found, await call.service.currency()), headers=etag(found.version))


@router.get("/orders/{order}/decision", operation_id="get_decision", response_class=Json,
            responses=edge.answers(edge.shown_schema(DecisionSeen)))  # fmt: skip
@access(*READERS)
async def get_decision(call: Called, order: OrderId) -> Response:
    """Why an order is served as it is: the bill, the candidates of each line, what ruled nodes out, the gap."""
    found = await call.service.read(lambda tx: reads.decision(tx, order))
    return Json(edge.show(found, await call.service.currency()))


class _Log(msgspec.Struct):
    data: list[FactSeen]


@router.get("/orders/{order}/timeline", operation_id="get_timeline", response_class=Json,
            responses=edge.answers(edge.shown_schema(_Log)))  # fmt: skip
@access(*READERS)
async def get_timeline(call: Called, order: OrderId) -> Response:
    """All that happened to an order, in the order in which it was written down."""
    found = await call.service.read(lambda tx: reads.timeline(tx, order))
    return Json(edge.show(_Log(found), await call.service.currency()))


def _release(tx: Tx, fact: Any, by: str) -> bool:
    return bool(consignments.release(tx, [fact], by)[0])


_ORDER = {"order": "ord_example"}
record(
    router,
    [
        Recording("/orders/{order}/edit", "edit_order", OrderEdited, orders.edit, WRITERS, {"priority": 1}, _ORDER,
                  once="may", match="may"),
        Recording("/orders/{order}/cancel", "cancel_order", OrderCancelled, orders.cancel, WRITERS,
                  {"reason": "changed their mind"}, _ORDER, once="may", match="may"),
        Recording("/orders/{order}/review", "review_order", OrderReviewed, orders.review, (OPERATOR,),
                  {"accepted": True}, {"order": "ord_in_review"}, once="may"),
        Recording("/orders/{order}/release", "release_order", OrderReleased, _release, WRITERS, {}, _ORDER),
    ],
)  # fmt: skip


class Recipient(Said):
    """A recipient: all that is personal, in one place that can be erased."""

    name: Text | None = None
    address: Text | None = None
    contact: Text | None = None
    locale: Annotated[
        str | None, Field(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", description="The language of messages, as de-AT")
    ] = None
    model_config = example(name="Ann Example", address="1 High Street", locale="en")


class Remembered(Shown):
    """Whose data was written down."""

    id: str


@router.put("/recipients/{recipient}", operation_id="put_recipient", response_model=Remembered)
@access(*WRITERS)
async def put_recipient(call: Called, recipient: RecipientId, body: Recipient) -> Response:
    """Write down who receives; orders know the id alone."""
    person = Person(recipient, body.name, body.address, body.contact, body.locale)
    await call.service.write(lambda tx: orders.remember(tx, [person], call.at))
    return Json({"id": recipient})
