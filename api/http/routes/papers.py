"""Labels of consignments by carriers, and papers: labels, packing slips, pick lists."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Query
from pydantic import Field
from starlette.responses import Response

from api.carriers.calls import Asked
from api.http import edge
from api.http.door import Route, access
from api.http.names import ConsignmentId, LabelledId, NodeId
from api.http.service import Call, Called
from api.http.values import Body as Said
from api.http.values import Id, Json, example
from api.keys import ENGINEER, NODE, OPERATOR, PLANNER
from api.papers import print_packing_slip, print_pick_list
from engine import labels, reads
from engine.carrying import Load, read_load, read_released
from engine.facts import short_id
from engine.labels import Label
from engine.shipping import read_shipping

router = APIRouter(tags=["papers"], route_class=Route)
_STAFF = (OPERATOR, ENGINEER, NODE)
_READERS = (OPERATOR, PLANNER, ENGINEER, NODE)
PDF = "application/pdf"
PAPER: dict[int | str, dict[str, Any]] = {
    200: {"description": "PDF", "content": {PDF: {"schema": {"type": "string", "format": "binary"}}}}
}
Grams = Annotated[int, Field(ge=0, le=1_000_000)]


class Paper(Response):
    """A paper to be printed."""

    media_type = PDF


class LabelSeen(msgspec.Struct, kw_only=True):
    """A label: `wanted` until its carrier made or refused it (`why`), `unwanted` until the carrier knows that it is cancelled."""

    id: str
    consignment: str
    carrier: str
    service: str
    state: str
    weight_g: int
    tracking: str | None
    cost_cents: int | None
    wanted_at: int
    made_at: int | None
    why: str


class Labels(msgspec.Struct, kw_only=True):
    """Every label that a consignment had, the newest last."""

    data: list[LabelSeen]


class RateSeen(msgspec.Struct, kw_only=True):
    """What a carrier's service takes for a parcel, and days from collection to delivery."""

    carrier: str
    service: str
    cost_cents: int
    days: int


class Rates(msgspec.Struct, kw_only=True):
    """What carriers take, the cheapest first."""

    data: list[RateSeen]


class LabelAsked(Said):
    """A label that is wanted: by the consignment's own service and weight where not said, by the carrier of that service."""

    model_config = example(service="ground", weight_g=1250)

    carrier: Id | None = None
    service: Id | None = None
    weight_g: Grams | None = None


@router.post("/consignments/{consignment}/label", operation_id="make_label", response_class=Json,
             responses=edge.answers(edge.shown_schema(LabelSeen)))  # fmt: skip
@access(*_STAFF, once="must")
async def make_label(
    call: Called,
    consignment: ConsignmentId,
    body: Annotated[LabelAsked, Body()] = LabelAsked(),  # noqa: B008
) -> Response:
    """Have a carrier take a consignment. Where it does not answer, the label stays wanted, and the carrier is asked again."""
    await _packed_here(call, consignment)
    asked = Asked(short_id("lab", call.fact()), consignment, body.carrier, body.service, body.weight_g)
    return await _shown(call, await call.service.think(call.service.calls.ask, asked))


@router.post("/consignments/{consignment}/label/cancel", operation_id="cancel_label", response_class=Json,
             responses=edge.answers(edge.shown_schema(LabelSeen)))  # fmt: skip
@access(*_STAFF, once="must")
async def cancel_label(call: Called, consignment: LabelledId) -> Response:
    """Tell the carrier not to take a consignment that has not left."""
    await _packed_here(call, consignment)
    return await _shown(call, await call.service.think(call.service.calls.drop, consignment))


@router.get("/consignments/{consignment}/labels", operation_id="list_labels", response_class=Json,
            responses=edge.answers(edge.shown_schema(Labels)))  # fmt: skip
@access(*_READERS)
async def list_labels(call: Called, consignment: ConsignmentId) -> Response:
    """Every label that a consignment had."""
    await _packed_here(call, consignment)
    found = await call.service.read(lambda tx: labels.of_consignment(tx, consignment))
    return Json(edge.show(Labels(data=[_seen(label) for label in found]), await call.service.currency()))


@router.get("/consignments/{consignment}/rates", operation_id="list_rates", response_class=Json,
            responses=edge.answers(edge.shown_schema(Rates)))  # fmt: skip
@access(*_READERS)
async def list_rates(call: Called, consignment: ConsignmentId) -> Response:
    """What each carrier and service takes for a consignment."""
    await _packed_here(call, consignment)
    found = await call.service.think(call.service.calls.rates, consignment)
    seen = [RateSeen(carrier=name, service=one.service, cost_cents=one.cents, days=one.days) for name, one in found]
    return Json(edge.show(Rates(data=seen), await call.service.currency()))


@router.get("/consignments/{consignment}/label", operation_id="print_label", response_class=Paper, responses=PAPER)
@access(*_READERS)
async def get_label(call: Called, consignment: LabelledId) -> Response:
    """The label of a consignment that its carrier made, as PDF of A6."""
    await _packed_here(call, consignment)
    return Paper(await call.service.think(call.service.calls.paper, consignment, call.service.letters()))


@router.get("/consignments/{consignment}/packing-slip", operation_id="print_packing_slip", response_class=Paper,
            responses=PAPER)  # fmt: skip
@access(*_READERS)
async def get_packing_slip(
    call: Called,
    consignment: ConsignmentId,
    prices: Annotated[bool, Query(description="Whether it names prices")] = False,
) -> Response:
    """What goes into a parcel, as PDF of A4. It names no money unless that is asked for."""
    load = await call.service.read(lambda tx: read_load(tx, consignment))
    _touched_here(call, load)
    terms = await call.service.read(read_shipping)
    currency = await call.service.currency() if prices else None
    return Paper(
        await call.service.run(lambda: print_packing_slip(load, terms, call.service.letters(), currency=currency))
    )


@router.get("/nodes/{node}/pick-list", operation_id="print_pick_list", response_class=Paper, responses=PAPER)
@access(*_READERS)
async def get_pick_list(
    call: Called, node: NodeId, limit: Annotated[int, Query(ge=1, le=200, description="Consignments on it")] = 50
) -> Response:
    """What a node is to pick: its released consignments by article, and each with its barcode, as PDF of A4."""
    call.node(node)
    loads, more = await call.service.read(lambda tx: read_released(tx, node, limit))
    return Paper(
        await call.service.run(lambda: print_pick_list(node, loads, call.at, call.service.letters(), more=more))
    )


async def _packed_here(call: Call, consignment: str) -> None:
    """Refuse staff of a node what another one packs."""
    call.node((await call.service.read(lambda tx: reads.consignment(tx, consignment))).node)


def _touched_here(call: Call, load: Load) -> None:
    """Refuse staff of a node what it neither packs nor hands over."""
    if load.collect is None or load.collect != call.key.bound_to():
        call.node(load.node)


async def _shown(call: Call, label: Label) -> Response:
    return Json(edge.show(_seen(label), await call.service.currency()))


def _seen(label: Label) -> LabelSeen:
    return LabelSeen(
        id=label.id, consignment=label.consignment, carrier=label.carrier, service=label.service, state=label.state,
        weight_g=label.grams, tracking=label.tracking, cost_cents=label.cents, wanted_at=label.wanted_at,
        made_at=label.made_at, why=label.why,
    )  # fmt: skip
