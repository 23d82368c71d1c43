"""Deciding: promises, waves, what other policies would have paid, and waves of somebody else's, solved without any effect."""

import secrets
import time
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import WaveId
from api.http.pages import After, Limit, page, read_cursor
from api.http.routes import jobs as job_routes
from api.http.routes.orders import make_job
from api.http.service import Called
from api.http.values import PLAIN, Json, example
from api.http.values import Body as Said
from api.keys import ENGINEER, OPERATOR, PLANNER
from api.solving import solve_wave, wave_of
from engine import reads
from engine.promise import Kind, Offer, Wanted
from engine.reads import FactSeen, ShadowSeen, WaveSeen
from engine.waves import WaveDone, run_wave
from solver.effort import Effort

router = APIRouter(tags=["deciding"], route_class=Route)
READERS = (OPERATOR, PLANNER, ENGINEER)
Policy = Literal[
    "joint", "cheapest", "fewest_parcels", "nearest", "cp_sat", "highs",
    "magento.priority", "magento.distance", "saleor.high_stock", "saleor.sorting_order", "vendure.multichannel",
    "medusa.first_location", "solidus.on_hand_first", "spree.rules", "spree.legacy_prioritizer", "shopify.first_non_tie",
    "salesforce.fewest_splits", "hotwax.brokering", "fluent.responsive_sourcing", "fft.fences_ratings", "ibm.weighted_cost",
    "d365.mip",
]  # fmt: skip
WavePolicy = Literal[Policy, "bid_price", "sampled_futures", "primal_dual", "spillover", "window"]
"""Those that look ahead decide where the present is known, not a wave file."""


class OfferParcel(msgspec.Struct, kw_only=True):
    """One parcel of an offer."""

    node: str
    service: str
    arrives_day: int
    units: int


class Missing(msgspec.Struct, kw_only=True):
    """Units of a line that are not there."""

    line: int
    units: int


class OfferSeen(msgspec.Struct, kw_only=True):
    """One way to get an order: delivered by the cheapest mix or by one service, or collected at a store."""

    kind: Kind
    service: str | None
    store: str | None
    day: int | None
    cost_cents: int
    complete: bool
    parcels: list[OfferParcel]
    missing: list[Missing]
    missing_day: int | None


class Offers(msgspec.Struct, kw_only=True):
    """Every way to get it, the cheapest first."""

    data: list[OfferSeen]


_PROMISE = {
    **edge.schema_of(Wanted),
    "examples": [{"channel": "web", "lines": [{"sku": "kettle", "qty": 1}], "place": {"lat": 52.1, "lon": 5.1}}],
}


@router.post("/promise", operation_id="promise", response_class=Json, responses=edge.answers(edge.shown_schema(Offers)))
@access(*READERS)
async def get_promise(call: Called, body: Annotated[dict[str, Any], Body(json_schema_extra=_PROMISE)]) -> Response:
    """Say what an order would get and cost, by service, store and date, without any effect: the computation of allocation."""
    currency = await call.service.currency()
    offers = await call.service.promise(edge.read(Wanted, body, currency, {}))
    return Json(edge.show(Offers(data=[_offer(one) for one in offers]), currency))


def _offer(one: Offer) -> OfferSeen:
    return OfferSeen(
        kind=one.kind, service=one.service or None, store=one.store or None, day=one.day,
        cost_cents=one.cost_cents, complete=one.complete, missing_day=one.missing_day,
        parcels=[
            OfferParcel(node=p.node, service=p.service, arrives_day=p.arrives_day, units=p.units) for p in one.parcels
        ],
        missing=[Missing(line=line, units=units) for line, units in one.missing.items()],
    )  # fmt: skip


class WaveAsked(Said):
    """How to decide: by which policy, for how long; `dry`: without any effect."""

    policy: WavePolicy = "joint"
    shadow: WavePolicy | None = None
    seconds: Annotated[float, Field(gt=0, le=600)] | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    limit: Annotated[int, Field(ge=1, le=200_000)] = 200_000
    dry: bool = False
    model_config = example(policy="joint", seconds=2.0, dry=True)


class WaveRan(msgspec.Struct, kw_only=True):
    """What came of a wave. `kept`: orders that keep what was promised where the plan would break it."""

    id: str
    policy: str
    orders: int
    lines: int
    changed: int
    conflicts: int
    kept: int
    cost_cents: int
    bound_cents: float
    before_cents: int
    gap: float
    seconds: float
    dry: bool
    note: str


@router.post("/waves", operation_id="run_wave", response_class=Json, responses=edge.answers(edge.shown_schema(WaveRan)))
@access(PLANNER, once="may")
async def start_wave(call: Called, body: Annotated[WaveAsked, Body()] = WaveAsked()) -> Response:  # noqa: B008
    """Decide all that is not released anew, jointly, and commit it: nothing that was promised is broken."""
    effort = call.service.effort(body.seconds or call.service.settings.wave_seconds)
    worker = f"{call.key.id}:{secrets.token_hex(4)}"

    def act() -> WaveDone:
        return run_wave(
            call.service.database, call.at, worker=worker, policy=body.policy, shadow=body.shadow, effort=effort,
            seed=body.seed, limit=body.limit, dry=body.dry, timer=time.perf_counter,
        )  # fmt: skip

    done = await call.service.think(act)
    return Json(edge.show(_ran(done, body.dry), await call.service.currency()))


def _ran(done: WaveDone, dry: bool) -> WaveRan:
    return WaveRan(
        id=done.id, policy=done.policy, orders=done.orders, lines=done.lines, changed=done.changed,
        conflicts=done.conflicts, kept=done.kept, cost_cents=done.cost_cents, bound_cents=done.bound_cents,
        before_cents=done.before_cents, gap=done.gap, seconds=done.seconds, dry=dry, note=done.note,
    )  # fmt: skip


@router.get(
    "/waves", operation_id="list_waves", response_class=Json, responses=edge.answers(edge.page_schema(WaveSeen))
)
@access(*READERS)
async def list_waves(call: Called, request: Request, limit: Limit = 50, after: After = None) -> Response:
    """List waves, the newest first."""
    last = read_cursor(after, int)
    found = await call.service.read(lambda tx: reads.waves(tx, last[0] if last else None, limit + 1))
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: (row[0],))


@router.get("/waves/{wave}", operation_id="get_wave", response_class=Json,
            responses=edge.answers(edge.shown_schema(WaveSeen)))  # fmt: skip
@access(*READERS)
async def get_wave(call: Called, wave: WaveId) -> Response:
    """A wave: how many orders, at what cost, how far from optimal at most."""
    found = await call.service.read(lambda tx: reads.wave(tx, wave))
    return Json(edge.show(found, await call.service.currency()))


@router.get("/shadow", operation_id="list_shadow", response_class=Json,
            responses=edge.answers(edge.page_schema(ShadowSeen)))  # fmt: skip
@access(PLANNER, ENGINEER)
async def list_shadow(
    call: Called, request: Request, limit: Limit = 50, after: After = None,
    ref: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
) -> Response:  # fmt: skip
    """List what policies beside the live one would have paid, by order or wave, the newest first."""
    last = read_cursor(after, int)
    found = await call.service.read(lambda tx: reads.shadows(tx, last[0] if last else None, limit + 1, ref=ref or ""))
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: (row[0],))


@router.get(
    "/facts", operation_id="list_facts", response_class=Json, responses=edge.answers(edge.page_schema(FactSeen))
)
@access(ENGINEER)
async def list_facts(
    call: Called, request: Request, limit: Limit = 100, after: After = None,
    kind: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
    subject: Annotated[str | None, Query(max_length=200, pattern=PLAIN)] = None,
) -> Response:  # fmt: skip
    """Read the log of all that happened, oldest first; `next` goes on where a page ended, also for what comes later."""
    last = read_cursor(after, int, int)
    found = await call.service.read(
        lambda tx: reads.facts(tx, last and (last[0], last[1]), limit + 1, kind=kind or "", subject=subject or "")
    )
    currency = await call.service.currency()
    return page(request, found, limit, lambda row: edge.show(row[1], currency), lambda row: row[0])


_WAVE: dict[str, Any] = {
    "format": "wave/1",
    "nodes": [{"id": "near", "kind": "warehouse", "lat": 52.1, "lon": 5.1, "parcel_cents": 50, "line_cents": 10,
               "unit_cents": 5, "ready_days": 0, "tags": []}],
    "skus": [{"id": "kettle", "weight_g": 1000, "requires": [], "no_services": []}],
    "stock": [["near", "kettle", 2, 0]],
    "services": [{"id": "ground", "zone_km": [6000.0], "steps_g": [5000], "cents": [[600]], "over_cents_per_kg": [10],
                  "transit_days": [1]}],
    "orders": [{"id": "Ann", "promise_days": 5, "late_cents": 100, "ship_complete": False, "lat": 52.2, "lon": 5.2,
                "lines": [{"sku": "kettle", "qty": 1, "unfilled_cents": 5000}]}],
}  # fmt: skip


@router.post(
    "/solve", operation_id="solve", response_class=Json,
    responses=edge.answers({"type": "object"}, 200, "The plan")
    | {202: {"model": job_routes.ShownJob, "description": "A job, for a large wave"}},
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {
        "schema": {"type": "object"}, "example": _WAVE}}}},
)  # fmt: skip
@access(PLANNER, ENGINEER, size="import", once="may", media=("application/json", "application/vnd.allot.wave+json"))
async def solve(
    call: Called, request: Request, policy: Annotated[Policy, Query()] = "joint",
    seconds: Annotated[float, Query(gt=0, le=3600)] = 10.0, seed: Annotated[int, Query(ge=0, lt=1 << 63)] = 0,
) -> Response:  # fmt: skip
    """Decide a wave file (`wave/1`) and give its plan (`plan/1`): at once, or by a job where it is large. Nothing is changed."""
    given = await request.body()
    wave = await call.service.run(wave_of, given)
    if len(wave.orders) > call.service.settings.solve_at_once:
        return await make_job(call, "solve", given, {"policy": policy, "seconds": seconds, "seed": seed})
    effort: Effort = call.service.effort(seconds)
    plan = await call.service.think(solve_wave, wave, policy, effort, seed)
    return Response(plan, media_type="application/json")
