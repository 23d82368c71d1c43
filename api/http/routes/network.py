"""The network and the catalogue: nodes, calendars, SKUs and kits, services, channels with their rules.

Entries are as the network file has them: whole cents of the one currency of all money here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from api.http import edge, names
from api.http.door import Route, access
from api.http.pages import After, Limit, page, read_cursor
from api.http.recorded import Recording, record
from api.http.service import Called, etag, expect
from api.http.values import Day, Json
from api.keys import ENGINEER, NODE, OPERATOR, PLANNER
from engine import entries, reads
from engine import stock as stocks
from engine.calendar import MS_PER_DAY
from engine.database import Rows, Tx, decoded
from engine.entries import CalendarEntry, ChannelEntry, Entry, NodeEntry, ServiceEntry, SkuEntry
from engine.facts import CapacitySet, NodePaused, NodeResumed
from engine.reads import DaySeen
from solver.refusal import Refusal

router = APIRouter(tags=["network"], route_class=Route)
READERS = (OPERATOR, PLANNER, ENGINEER, NODE)


@dataclass(frozen=True)
class _Kind:
    """A table of the catalogue and how it is spoken of."""

    table: str
    path: str
    entry: type[Entry]
    put: Callable[..., int]
    named: Any
    example: dict[str, Any]


KINDS = (
    _Kind("node", "nodes", NodeEntry, entries.put_nodes, names.NodeId,
          {"kind": "warehouse", "lat": 52.1, "lon": 5.1, "calendar": "daily", "cut_off_minute": 900, "parcel_cents": 150,
           "line_cents": 20, "unit_cents": 5}),
    _Kind("calendar", "calendars", CalendarEntry, entries.put_calendars, names.CalendarId,
          {"open_weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "closed": ["2030-12-25"]}),
    _Kind("sku", "skus", SkuEntry, entries.put_skus, names.SkuId, {"weight_g": 1100}),
    _Kind("service", "services", ServiceEntry, entries.put_services, names.ServiceId,
          {"zone_km": [300.0, 6000.0], "steps_g": [2000, 30000], "cents": [[600, 900], [1400, 2600]],
           "over_cents_per_kg": [10, 20], "transit_days": [1, 4]}),
    _Kind("channel", "channels", ChannelEntry, entries.put_channels, names.ChannelId, {"safety": 0}),
)  # fmt: skip


def _seen(tx: Tx, kind: _Kind, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Entries with their versions, by id."""
    if not ids:
        return []
    if kind.table == "service":
        found = [
            {"id": id, **decoded(card)}
            for id, card in tx.all(
                "SELECT t.id, t.card FROM {rows} JOIN service t ON t.id = rows.id", Rows(id=list(ids))
            )
        ]
    else:
        found = [msgspec.to_builtins(entry) for entry in entries.read_entries(tx, kind.table, ids)]
    paused = ", t.paused" if kind.table == "node" else ""
    more = {
        id: {"version": version, **({"paused": bool(rest[0])} if rest else {})}
        for id, version, *rest in tx.all(
            f"SELECT t.id, t.version{paused} FROM {{rows}} JOIN {kind.table} t ON t.id = rows.id",  # noqa: S608
            Rows(id=list(ids)),
        )
    }
    return sorted(({**entry, **more[entry["id"]]} for entry in found), key=lambda entry: str(entry["id"]))


def _one(tx: Tx, kind: _Kind, id: str) -> dict[str, Any]:
    found = _seen(tx, kind, [id])
    if not found:
        raise Refusal(kind.table, f"there is no {kind.table} {id!r}", f"unknown_{kind.table}")
    return found[0]


def _schema(kind: _Kind) -> dict[str, Any]:
    schema = edge.entry_schema(kind.entry)
    properties = {**schema["properties"], "version": {"type": "integer"}}
    if kind.table == "node":
        properties["paused"] = {"type": "boolean"}
    return {"type": "object", "properties": properties, "required": ["id", "version"], "additionalProperties": False}


def _add(kind: _Kind) -> None:
    one, many = kind.table, kind.path
    shown = _schema(kind)

    @access(*READERS)
    async def listed(call: Called, request: Request, limit: Limit = 100, after: After = None) -> Response:
        last = read_cursor(after, str)

        def read(tx: Tx) -> list[dict[str, Any]]:
            ids = tx.all(
                f"SELECT id FROM {one} WHERE id > :after ORDER BY id LIMIT :limit",  # noqa: S608
                after=last[0] if last else "",
                limit=limit + 1,
            )
            return _seen(tx, kind, [id for (id,) in ids])

        return page(request, await call.service.read(read), limit, dict, lambda row: (row["id"],))

    listed.__doc__ = f"List {many} by id."
    pages = {"type": "object", "properties": {"data": {"type": "array", "items": shown},
                                              "next": {"type": ["string", "null"]}}, "required": ["data", "next"]}  # fmt: skip
    router.get(f"/{many}", operation_id=f"list_{many}", response_class=Json, responses=edge.answers(pages))(listed)

    @access(*READERS)
    async def got(call: Called, **path: str) -> Response:
        found = await call.service.read(lambda tx: _one(tx, kind, path[one]))
        return Json(found, headers=etag(found["version"]))

    got.__doc__ = f"A {one}."
    _signed(got, kind)
    router.get(f"/{many}/{{{one}}}", operation_id=f"get_{one}", response_class=Json, responses=edge.answers(shown))(got)

    @access(PLANNER, once="may", match="may")
    async def put(call: Called, body: dict[str, Any], **path: str) -> Response:
        id = path[one]
        if "id" in body:
            raise Refusal("id", "is said by the address already", "unknown_field")
        entry = edge.read_entry(kind.entry, {**body, "id": id})

        def write(tx: Tx) -> dict[str, Any]:
            there = tx.first(f"SELECT version FROM {one} WHERE id = :id{tx.locking}", id=id)  # noqa: S608
            expect(there[0] if there else 0, call.version)
            try:
                kind.put(tx, [entry], call.at, call.key.id)
            except Refusal as refusal:
                place = refusal.place.removeprefix(f"{many}[0].").removeprefix(f"{many}[0]")
                raise Refusal(place, refusal.problem, refusal.code) from None
            return _one(tx, kind, id)

        found = await call.service.write(write)
        return Json(found, headers=etag(found["version"]))

    put.__doc__ = f"Make a {one}, or make it another one. With If-Match, only if it has that version."
    schema = {**edge.entry_schema(kind.entry, "id"), "examples": [kind.example]}
    _signed(put, kind, Annotated[dict[str, Any], Body(json_schema_extra=schema)])
    router.put(f"/{many}/{{{one}}}", operation_id=f"put_{one}", response_class=Json, responses=edge.answers(shown))(put)


def _signed(endpoint: Any, kind: _Kind, body: Any = None) -> None:
    """Tell FastAPI what an endpoint takes."""
    parameters = [Parameter("call", Parameter.KEYWORD_ONLY, annotation=Called)]
    if body is not None:
        parameters.append(Parameter("body", Parameter.KEYWORD_ONLY, annotation=body))
    parameters.append(Parameter(kind.table, Parameter.KEYWORD_ONLY, annotation=kind.named))
    endpoint.__signature__ = Signature(parameters)


for _kind in KINDS:
    _add(_kind)


_NEAR = {"node": "near"}
record(
    router,
    [
        Recording("/nodes/{node}/pause", "pause_node", NodePaused, stocks.record_one, (OPERATOR, PLANNER, NODE),
                  {"reason": "power cut"}, _NEAR, once="may"),
        Recording("/nodes/{node}/resume", "resume_node", NodeResumed, stocks.record_one, (OPERATOR, PLANNER, NODE), {}, _NEAR,
                  once="may"),
        Recording("/nodes/{node}/capacity", "set_capacity", CapacitySet, stocks.record_one, (OPERATOR, PLANNER, NODE),
                  {"day": "2030-01-07", "parcels": 100}, _NEAR, once="may"),
    ],
)  # fmt: skip


class _Days(msgspec.Struct):
    data: list[DaySeen]


@router.get("/nodes/{node}/capacity", operation_id="list_capacity", response_class=Json,
            responses=edge.answers(edge.shown_schema(_Days)))  # fmt: skip
@access(*READERS)
async def list_capacity(
    call: Called, node: names.NodeId, first: Annotated[Day | None, Query()] = None, limit: Limit = 100
) -> Response:
    """The days of a node on which there is work, or another capacity than usual; from today, or from `first`."""
    call.node(node)
    start = call.at // MS_PER_DAY if first is None else first
    found = await call.service.read(lambda tx: reads.days(tx, node, start, limit))
    return Json(edge.show(_Days(found), await call.service.currency()))
