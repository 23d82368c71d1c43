"""Stock: what is where, what happens to it, what may be sold."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import NodeId, SkuId, SomeId
from api.http.pages import After, Limit, page, read_cursor
from api.http.problems import Refused
from api.http.recorded import Recording, record
from api.http.routes import jobs as job_routes
from api.http.routes.orders import make_job
from api.http.service import Called
from api.http.values import PLAIN, Day, Json, Shown, ShownDay
from api.keys import ENGINEER, NODE, OPERATOR, PLANNER
from api.moments import day
from engine import feed, reads
from engine import stock as stocks
from engine.available import Availability, available_to_promise
from engine.calendar import MS_PER_DAY
from engine.catalogue import Catalogue, read_catalogue
from engine.database import Tx
from engine.facts import (
    ChannelStockSet,
    InboundAnnounced,
    InboundChanged,
    SafetySet,
    StockAdjusted,
    StockCounted,
    StockPutBack,
    StockReceived,
    StockReported,
    StockScrapped,
    StockSetAside,
    StockTransferred,
    check_id,
    short_id,
)
from engine.reads import InboundSeen, StockSeen
from solver.problem import NO_LIMIT
from solver.refusal import Refusal

router = APIRouter(tags=["stock"], route_class=Route)
MOST_MESSAGES = 500
READERS = (OPERATOR, PLANNER, ENGINEER, NODE)


_THERE = {"sku": "kettle", "node": "near"}
_STAFF = (OPERATOR, ENGINEER, NODE)
record(
    router,
    [
        Recording("/stock/receipts", "receive_stock", StockReceived, stocks.record_one, _STAFF, {**_THERE, "units": 12}),
        Recording("/stock/counts", "count_stock", StockCounted, stocks.record_one, _STAFF, {**_THERE, "units": 40}),
        Recording("/stock/adjustments", "adjust_stock", StockAdjusted, stocks.record_one, _STAFF,
                  {**_THERE, "change": -1, "reason": "broken"}),
        Recording("/stock/transfers", "transfer_stock", StockTransferred, stocks.record_one, _STAFF,
                  {**_THERE, "to_node": "far", "units": 1}),
        Recording("/stock/set-asides", "set_stock_aside", StockSetAside, stocks.record_one, _STAFF,
                  {**_THERE, "units": 2, "state": "damaged"}),
        Recording("/stock/put-backs", "put_stock_back", StockPutBack, stocks.record_one, _STAFF,
                  {**_THERE, "units": 1, "state": "damaged"}),
        Recording("/stock/scraps", "scrap_stock", StockScrapped, stocks.record_one, _STAFF,
                  {**_THERE, "units": 1, "state": "damaged"}),
        Recording("/stock/safety", "set_safety", SafetySet, stocks.record_one, (PLANNER,), {**_THERE, "sell": 1, "route": 0}),
        Recording("/stock/channel-limits", "set_channel_stock", ChannelStockSet, stocks.record_one, (PLANNER,),
                  {"channel": "web", "sku": "kettle", "buffer": 1}),
        Recording("/inbound", "announce_inbound", InboundAnnounced, stocks.record_one, (OPERATOR, ENGINEER),
                  {**_THERE, "inbound": "po-1", "units": 50, "due_day": "2030-01-07"}),
        Recording("/inbound/{inbound}/changes", "change_inbound", InboundChanged, stocks.record_one, (OPERATOR, ENGINEER),
                  {"due_day": "2030-01-09"}, {"inbound": "po-example"}),
    ],
)  # fmt: skip


def messages_of(call_at: int, source: str, messages: list[Any], currency: str) -> list[StockReported]:
    """Messages of a feed as facts, each known by its source, place and number."""
    facts = []
    for i, said in enumerate(messages):
        try:
            usual = {"at": call_at, "source": source}
            if not isinstance(said, dict):
                raise Refusal("", "is no message", "bad_input")
            usual["id"] = short_id("fed", source, *(str(said.get(name)) for name in ("sku", "node", "sequence")))
            fact = edge.read(StockReported, said, currency, usual)
            if "id" in said:
                check_id(fact.id)
            facts.append(fact)
        except Refusal as refusal:
            raise Refusal(f"messages[{i}].{refusal.place}".rstrip("."), refusal.problem, refusal.code) from None
    return facts


class Feed(Shown):
    """What became of each message."""

    data: list[Literal["applied", "late", "seen"]]


_FEED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "source": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": PLAIN},
        "messages": {
            "type": "array", "minItems": 1, "maxItems": MOST_MESSAGES,
            "items": edge.schema_of(StockReported, "source"),
        },
    },
    "required": ["source", "messages"],
    "additionalProperties": False,
    "examples": [{"source": "wms", "messages": [{**_THERE, "sequence": 7, "units": 40}]}],
}  # fmt: skip


@router.post("/stock/feed", operation_id="feed_stock", response_model=Feed)
@access(ENGINEER, size="batch", once="must")
async def feed_stock(call: Called, body: Annotated[dict[str, Any], Body(json_schema_extra=_FEED_SCHEMA)]) -> Response:
    """Take levels of stock from another system. Messages may come twice, late, and in any order: the newest number counts."""
    source, messages = feed_body(body)
    facts = messages_of(call.at, source, messages, await call.service.currency())
    return Json({"data": await call.service.write(lambda tx: feed.report(tx, facts, call.key.id))})


@router.post(
    "/stock/feed/import", operation_id="import_stock", status_code=202, response_model=job_routes.ShownJob,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"sku": "kettle", "node": "near", "sequence": 8, "units": 41}\n',
                },
                "text/csv": {"schema": {"type": "string"}, "example": "sku,node,sequence,units\nkettle,near,9,42\n"},
            },
        }
    },
)  # fmt: skip
@access(ENGINEER, size="import", once="must", media=("application/x-ndjson", "text/csv"))
async def import_stock(
    call: Called, request: Request,
    source: Annotated[str, Query(min_length=1, max_length=100, pattern=PLAIN, examples=["wms"])],
) -> Response:  # fmt: skip
    """Take many levels of stock as a job: one message a line."""
    form = "csv" if request.headers.get("content-type", "").startswith("text/csv") else "ndjson"
    settings = {"format": form, "source": source, "currency": await call.service.currency()}
    return await make_job(call, "import_stock", await request.body(), settings)


def feed_body(body: dict[str, Any]) -> tuple[str, list[Any]]:
    """The source and the messages of a feed's body."""
    for name in body:
        if name not in ("source", "messages"):
            raise Refusal(name, "is no field here", "unknown_field")
    source, messages = body.get("source"), body.get("messages")
    if not isinstance(source, str) or not 1 <= len(source) <= 100 or not source.isprintable():
        raise Refusal("source", "is the name of the feed, 1 to 100 characters", "bad_input")
    if not isinstance(messages, list) or not 1 <= len(messages) <= MOST_MESSAGES:
        raise Refusal("messages", f"are 1 to {MOST_MESSAGES}", "bad_input")
    return source, messages


@router.get(
    "/stock", operation_id="list_stock", response_class=Json, responses=edge.answers(edge.page_schema(StockSeen))
)
@access(*READERS)
async def list_stock(
    call: Called, request: Request, limit: Limit = 100, after: After = None, sku: SomeId | None = None,
    node: SomeId | None = None,
) -> Response:  # fmt: skip
    """List stock by SKU and node."""
    bound = call.key.bound_to()
    if bound is not None:
        node = call.node(node or bound)
    last = read_cursor(after, int, int)
    found = await call.service.read(
        lambda tx: reads.stock(tx, last and (last[0], last[1]), limit + 1, sku=sku or "", node=node or "")
    )
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: row[0])


@router.get("/stock/{sku}/{node}", operation_id="get_stock", response_class=Json,
            responses=edge.answers(edge.shown_schema(StockSeen)))  # fmt: skip
@access(*READERS)
async def get_stock(call: Called, sku: SkuId, node: NodeId) -> Response:
    """The units of a SKU at a node."""
    call.node(node)
    found = await call.service.read(lambda tx: reads.stock(tx, None, 1, sku=sku, node=node))
    if not found:
        raise Refused("not_found", "nothing was ever there")
    return Json(edge.show(found[0][1], await call.service.currency()))


@router.get("/inbound", operation_id="list_inbound", response_class=Json,
            responses=edge.answers(edge.page_schema(InboundSeen)))  # fmt: skip
@access(*READERS)
async def list_inbound(
    call: Called, request: Request, limit: Limit = 100, after: After = None, sku: SomeId | None = None,
    node: SomeId | None = None,
) -> Response:  # fmt: skip
    """List what is to come."""
    bound = call.key.bound_to()
    if bound is not None:
        node = call.node(node or bound)
    last = read_cursor(after, str)
    found = await call.service.read(
        lambda tx: reads.inbound(tx, last[0] if last else "", limit + 1, sku=sku or "", node=node or "")
    )
    currency = await call.service.currency()
    return page(request, found, limit, lambda one: edge.show(one, currency), lambda one: (one.id,))


class AvailableDay(Shown):
    """Units that may be sold of what is here by the end of a day."""

    day: ShownDay
    units: int


class AvailableNode(Shown):
    """The same at one node."""

    node: str
    units: int
    days: list[AvailableDay]


class Available(Shown):
    """What may be sold of a SKU: now, and by day with what is to come."""

    sku: str
    units: int
    days: list[AvailableDay]
    presale: int | None
    allotment: int | None
    nodes: list[AvailableNode]


@router.get("/availability/{sku}", operation_id="get_availability", response_model=Available)
@access(OPERATOR, PLANNER, ENGINEER)
async def get_availability(
    call: Called,
    sku: SkuId,
    channel: SomeId | None = None,
    by: Annotated[Day | None, Query(examples=["2030-01-07"])] = None,
) -> Response:
    """What may be promised of a SKU: on hand and known to come, less what is claimed, kept back or not this channel's."""

    def read(tx: Tx) -> Any:
        catalogue = read_catalogue(tx, call.at)
        if sku not in catalogue.sku_at:
            raise Refusal("sku", f"there is no SKU {sku!r}", "unknown_sku")
        if channel is not None and channel not in catalogue.channel_at:
            raise Refusal("channel", f"there is no channel {channel!r}", "unknown_channel")
        days = None if by is None else [max(by, call.at // MS_PER_DAY)]
        wanted = np.array([catalogue.sku_at[sku]], dtype=np.int64)
        return _available(
            catalogue, available_to_promise(tx, catalogue, wanted, call.at, channel=channel, days=days), sku
        )

    return Json(await call.service.read(read))


def _available(catalogue: Catalogue, found: Availability, sku: str) -> dict[str, Any]:
    names = catalogue.columns.empty.node_id
    days = [day(int(number)) for number in found.days]

    def by_day(units: Any) -> list[dict[str, Any]]:
        return [{"day": name, "units": int(count)} for name, count in zip(days, units, strict=True)]

    return {
        "sku": sku,
        "units": int(found.now[0]),
        "days": by_day(found.by_day[0]),
        "presale": None if found.presale[0] < 0 else int(found.presale[0]),
        "allotment": None if found.allotment[0] >= NO_LIMIT else int(found.allotment[0]),
        "nodes": [
            {"node": names[node], "units": int(units), "days": by_day(by)}
            for node, units, by in zip(found.row_node, found.row_now, found.row_by_day, strict=True)
        ],
    }
