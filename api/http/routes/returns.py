"""Returns: asked for and approved, given a node, received, looked at, refunded or exchanged."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Path, Query, Request
from starlette.responses import Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import ReturnId, SomeId
from api.http.pages import After, Limit, page, read_cursor
from api.http.problems import Refused
from api.http.recorded import Recording, record
from api.http.service import Call, Called, etag
from api.http.values import PLAIN, Json
from api.keys import ENGINEER, NODE, OPERATOR, PLANNER
from engine import return_reads, return_requests, returns
from engine.ahead import lookout_of
from engine.database import Database
from engine.exchanges import Exchanged, exchange
from engine.facts import (
    Lines,
    Part,
    ReturnApproved,
    ReturnCancelled,
    ReturnInspected,
    ReturnReceived,
    ReturnRefused,
    ReturnRequested,
    check_happened,
    check_id,
    short_id,
)
from engine.return_reads import ReturnSeen, ReturnWhole
from engine.return_requests import rma_id
from engine.return_routing import route_returns
from solver.refusal import Refusal

router = APIRouter(tags=["returns"], route_class=Route)
MOST_RETURNS = 100
State = Literal["requested", "approved", "received", "inspected", "refused", "cancelled", "expired"]
ExchangedId = Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=["rma_exchange"])]
WRITERS = (OPERATOR, ENGINEER)
STAFF = (OPERATOR, ENGINEER, NODE)
READERS = (OPERATOR, PLANNER, ENGINEER, NODE)
EXAMPLE = {"order": "ord_delivered", "lines": [{"line": 1, "units": 1, "reason": "wrong_size"}]}
_ASKED = {**edge.schema_of(ReturnRequested), "examples": [EXAMPLE]}


@router.post("/returns", operation_id="request_return", status_code=201, response_class=Json,
             responses=edge.answers(edge.shown_schema(ReturnWhole), 201, "Taken in")
             | edge.answers(edge.shown_schema(ReturnWhole), 200, "Seen before"))  # fmt: skip
@access(*WRITERS, once="must")
async def request_return(call: Called, body: Annotated[dict[str, Any], Body(json_schema_extra=_ASKED)]) -> Response:
    """Ask to give units of an order back. Where the rules allow it, it is approved at once, and told which node it goes to."""
    currency = await call.service.currency()
    fact = call.fact_of(ReturnRequested, body, currency)
    (new,), (seen,) = await _request(call, [fact])
    headers = {"Location": f"/v1/returns/{seen.id}", **etag(seen.version)}
    return Json(edge.show(seen, currency), 201 if new else 200, headers)


_BATCH: dict[str, Any] = {
    "type": "object",
    "properties": {
        "returns": {"type": "array", "minItems": 1, "maxItems": MOST_RETURNS, "items": edge.schema_of(ReturnRequested)}
    },
    "required": ["returns"],
    "additionalProperties": False,
    "examples": [{"returns": [EXAMPLE]}],
}


class _Returns(msgspec.Struct):
    data: list[ReturnWhole]


@router.post("/returns:batch", operation_id="request_returns", response_class=Json,
             responses=edge.answers(edge.shown_schema(_Returns)))  # fmt: skip
@access(*WRITERS, once="must")
async def request_returns(call: Called, body: Annotated[dict[str, Any], Body(json_schema_extra=_BATCH)]) -> Response:
    """Ask for up to 100 returns, all or none. Their nodes are chosen together, which saves more than one after the other."""
    for name in body:
        if name != "returns":
            raise Refusal(name, "is no field here", "unknown_field")
    said = body.get("returns")
    if not isinstance(said, list) or not 1 <= len(said) <= MOST_RETURNS:
        raise Refusal("returns", f"are 1 to {MOST_RETURNS}", "bad_input")
    currency = await call.service.currency()
    facts = [_read(call, one, i, currency) for i, one in enumerate(said)]
    try:
        _, found = await _request(call, facts)
    except Refusal as refusal:
        place = refusal.place if len(facts) > 1 else f"facts[0].{refusal.place}"
        raise Refusal(place.replace("facts[", "returns[", 1), refusal.problem, refusal.code) from None
    return Json(edge.show(_Returns(found), currency))


def _read(call: Call, one: Any, i: int, currency: str) -> ReturnRequested:
    if not isinstance(one, dict):
        raise Refusal(f"returns[{i}]", "is no return", "bad_input")
    try:
        fact = edge.read(ReturnRequested, one, currency, {"at": call.at, "id": short_id("req", call.fact(), str(i))})
        if "id" in one:
            check_id(fact.id)
        check_happened(fact, call.at)
    except Refusal as refusal:
        place = f"returns[{i}].{refusal.place}" if refusal.place else f"returns[{i}]"
        raise Refusal(place, refusal.problem, refusal.code) from None
    return fact


async def _request(call: Call, facts: Sequence[ReturnRequested]) -> tuple[list[bool], list[ReturnWhole]]:
    new = await call.service.write(lambda tx: return_requests.request(tx, facts, call.key.id))
    ids = [rma_id(fact) for fact in facts]
    await call.service.run(_route, call.service.database, call.at, ids)
    return new, await call.service.read(lambda tx: [return_reads.one_return(tx, id) for id in ids])


def _route(database: Database, at: int, ids: Sequence[str]) -> None:
    route_returns(database, at, lookout_of(database), ids)


@router.get("/returns", operation_id="list_returns", response_class=Json,
            responses=edge.answers(edge.page_schema(ReturnSeen)))  # fmt: skip
@access(*READERS)
async def list_returns(
    call: Called, request: Request, limit: Limit = 50, after: After = None,
    state: Annotated[State | None, Query()] = None, order: SomeId | None = None, node: SomeId | None = None,
) -> Response:  # fmt: skip
    """List returns, the newest first; of a node, those that are to go there and those of which something came there."""
    bound = call.key.bound_to()
    if bound is not None:
        node = call.node(node or bound)
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: return_reads.returns(
            tx, last[0] if last else None, limit + 1, state=state or "", order=order or "", node=node or ""
        )
    )
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: (row[0],))


@router.get("/returns/{rma}", operation_id="get_return", response_class=Json,
            responses=edge.answers(edge.shown_schema(ReturnWhole)))  # fmt: skip
@access(*READERS)
async def get_return(call: Called, rma: ReturnId) -> Response:
    """A return: its lines, what came of it and was found, what is owed, and why it goes to its node."""
    found = await call.service.read(lambda tx: return_reads.one_return(tx, rma))
    bound = call.key.bound_to()
    if bound is not None and bound not in {found.node, *(receipt.node for receipt in found.receipts)}:
        raise Refused("forbidden", f"this key is for node {bound}")
    return Json(edge.show(found, await call.service.currency()), headers=etag(found.version))


class ExchangeAsked(Part, frozen=True, kw_only=True):
    """What is wanted in place of what is given back; each line with its price."""

    lines: Lines


class ExchangeSeen(msgspec.Struct, kw_only=True):
    """The order in place of a return: what it costs, what is credited, and what the customer pays more (below 0: gets back)."""

    rma: str
    order: str
    state: str
    promise_day: int | None
    open: int
    allocated: int
    price_cents: int
    credit_cents: int
    difference_cents: int


_WANTED = {
    **edge.schema_of(ExchangeAsked),
    "examples": [{"lines": [{"sku": "kettle", "qty": 1, "price": {"amount": 3499, "currency": "EUR"}}]}],
}


@router.post("/returns/{rma}/exchange", operation_id="exchange_return", response_class=Json,
             responses=edge.answers(edge.shown_schema(ExchangeSeen)))  # fmt: skip
@access(*WRITERS, once="must")
async def exchange_return(
    call: Called, rma: ExchangedId, body: Annotated[dict[str, Any], Body(json_schema_extra=_WANTED)]
) -> Response:
    """Place an order in place of what is given back; it is sourced at once. The same again is the same order."""
    currency = await call.service.currency()
    wanted = edge.read(ExchangeAsked, body, currency, {})
    lookout = lookout_of(call.service.database)
    try:
        done = await call.service.write(lambda tx: exchange(tx, rma, wanted.lines, call.at, call.key.id, lookout))
    except Refusal as refusal:  # a price is called otherwise outside
        raise Refusal(refusal.place.removesuffix("_cents"), refusal.problem, refusal.code) from None
    return Json(edge.show(_exchanged(done), currency))


def _exchanged(done: Exchanged) -> ExchangeSeen:
    captured, fact = done.captured, done.fact
    return ExchangeSeen(
        rma=fact.rma, order=fact.new_order, state=captured.state, promise_day=captured.promise_day, open=captured.open,
        allocated=captured.allocated, price_cents=fact.price_cents, credit_cents=fact.credit_cents,
        difference_cents=fact.difference_cents,
    )  # fmt: skip


_KETTLE = {"line": 1, "sku": "kettle", "units": 1}
_AWAITED, _CAME = {"rma": "rma_example"}, {"rma": "rma_received"}
_INSPECTED = {"units": [{**_KETTLE, "condition": "as_new", "disposition": "restock"}]}
_RECEIVED = {"consignment": "con_delivered", "units": [_KETTLE], "node": "far"}
_REVIEWED = {"rma": "rma_in_review"}
record(
    router,
    [
        Recording("/returns/{rma}/approve", "approve_return", ReturnApproved, return_requests.approve, (OPERATOR,), {},
                  _REVIEWED, then=lambda database, fact: _route(database, fact.at, [fact.rma])),
        Recording("/returns/{rma}/refuse", "refuse_return", ReturnRefused, return_requests.refuse, (OPERATOR,),
                  {"reason": "worn"}, _REVIEWED),
        Recording("/returns/{rma}/cancel", "cancel_return", ReturnCancelled, return_requests.cancel, WRITERS,
                  {"reason": "keeps it"}, _AWAITED),
        Recording("/returns/{rma}/receive", "receive_return", ReturnReceived, returns.take_back, STAFF, _RECEIVED,
                  _AWAITED),
        Recording("/returns/{rma}/inspect", "inspect_return", ReturnInspected, returns.inspect, STAFF, _INSPECTED, _CAME),
    ],
)  # fmt: skip
