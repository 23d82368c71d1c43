"""Consignments: what nodes, carriers and customers do with parcels; and holds, for carts."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import ConsignmentId, HoldId, SomeId
from api.http.pages import After, Limit, page, read_cursor
from api.http.recorded import Recording, record
from api.http.service import Called, etag
from api.http.values import Json
from api.keys import ENGINEER, NODE, OPERATOR, PLANNER
from engine import consignments, holds, reads, returns, shipping
from engine.database import Tx
from engine.facts import (
    ConsignmentRejected,
    Delivered,
    HoldPlaced,
    HoldReleased,
    OutForDelivery,
    Packed,
    Picked,
    PickupLapsed,
    ReadyForPickup,
    ReturnReceived,
    Shipped,
    ShortPicked,
)
from engine.reads import ConsignmentSeen, HoldSeen
from solver.refusal import Refusal

router = APIRouter(tags=["consignments"], route_class=Route)
State = Literal[
    "released", "picked", "packed", "shipped", "out_for_delivery", "ready", "delivered", "lapsed", "withdrawn"
]
_STAFF = (OPERATOR, ENGINEER, NODE)
_ONE = {"consignment": "con_example"}
_MISSING = {"missing": [{"line": 1, "sku": "kettle", "units": 1}]}
_BACK = {"units": [{"line": 1, "sku": "kettle", "units": 1, "to": "stock"}]}


def _place_hold(tx: Tx, fact: Any, by: str) -> bool:
    (held,) = holds.place_holds(tx, [fact], by)
    if held.outcome in ("refused", "conflict"):
        raise Refusal(held.place, held.problem, held.code or "hold_conflict")
    return held.outcome == "new"


record(
    router,
    [
        Recording("/consignments/{consignment}/pick", "pick_consignment", Picked, consignments.pick, _STAFF, {}, _ONE),
        Recording("/consignments/{consignment}/pick-short", "pick_short", ShortPicked, consignments.pick_short, _STAFF,
                  _MISSING, _ONE),
        Recording("/consignments/{consignment}/reject", "reject_consignment", ConsignmentRejected, consignments.reject,
                  _STAFF, {"reason": "closed today"}, _ONE),
        Recording("/consignments/{consignment}/pack", "pack_consignment", Packed, consignments.pack, _STAFF, {},
                  {"consignment": "con_picked"}),
        Recording("/consignments/{consignment}/ship", "ship_consignment", Shipped, shipping.ship, _STAFF,
                  {"tracking": "3SABCD123"}, _ONE),
        Recording("/consignments/{consignment}/out-for-delivery", "send_consignment_out", OutForDelivery, shipping.send_out,
                  _STAFF, {}, {"consignment": "con_shipped"}),
        Recording("/consignments/{consignment}/ready", "make_consignment_ready", ReadyForPickup, shipping.make_ready,
                  _STAFF, {}, {"consignment": "con_pickup"}),
        Recording("/consignments/{consignment}/lapse", "lapse_pickup", PickupLapsed, shipping.lapse, _STAFF, {},
                  {"consignment": "con_ready"}),
        Recording("/consignments/{consignment}/deliver", "deliver_consignment", Delivered, shipping.deliver,
                  _STAFF, {}, {"consignment": "con_shipped"}),
        Recording("/consignments/{consignment}/return", "return_units", ReturnReceived, returns.take_back,
                  _STAFF, _BACK, {"consignment": "con_shipped"}),
        Recording("/holds", "place_hold", HoldPlaced, _place_hold, (OPERATOR, ENGINEER),
                  {"channel": "web", "until": "2030-01-01T00:00:00Z", "units": [{"sku": "kettle", "units": 1}]}),
        Recording("/holds/{hold}/release", "release_hold", HoldReleased, holds.release_hold, (OPERATOR, ENGINEER), {},
                  {"hold": "hold-example"}),
    ],
)  # fmt: skip


@router.get("/consignments", operation_id="list_consignments", response_class=Json,
            responses=edge.answers(edge.page_schema(ConsignmentSeen)))  # fmt: skip
@access(OPERATOR, PLANNER, ENGINEER, NODE)
async def list_consignments(
    call: Called, request: Request, limit: Limit = 50, after: After = None, node: SomeId | None = None,
    state: Annotated[State | None, Query()] = None,
) -> Response:  # fmt: skip
    """List consignments, the newest first; of a node, those that it packs and those that are collected there."""
    bound = call.key.bound_to()
    if bound is not None:
        node = call.node(node or bound)
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: reads.consignments(tx, last[0] if last else None, limit + 1, node=node or "", state=state or "")
    )
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: (row[0],))


@router.get("/consignments/{consignment}", operation_id="get_consignment", response_class=Json,
            responses=edge.answers(edge.shown_schema(ConsignmentSeen)))  # fmt: skip
@access(OPERATOR, PLANNER, ENGINEER, NODE)
async def get_consignment(call: Called, consignment: ConsignmentId) -> Response:
    """A consignment and what is in it."""
    found = await call.service.read(lambda tx: reads.consignment(tx, consignment))
    if found.collect != call.key.bound_to():
        call.node(found.node)
    return Json(edge.show(found, await call.service.currency()), headers=etag(found.version))


@router.get("/holds/{hold}", operation_id="get_hold", response_class=Json,
            responses=edge.answers(edge.shown_schema(HoldSeen)))  # fmt: skip
@access(OPERATOR, PLANNER, ENGINEER)
async def get_hold(call: Called, hold: HoldId) -> Response:
    """A hold: its units, and what became of it."""
    found = await call.service.read(lambda tx: reads.hold(tx, hold))
    return Json(edge.show(found, await call.service.currency()))
