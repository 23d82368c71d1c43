"""Whether a process lives, is ready, and how it does. Everybody may ask."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api.http import problems
from api.http.service import Service
from api.http.values import Json, Shown
from engine.database import Unavailable

router = APIRouter(tags=["health"])
_READY_SECONDS = 3.0


class State(Shown):
    """How a process is."""

    status: str


@router.get("/livez", operation_id="live", response_model=State)
async def live() -> Response:
    """Whether the process answers."""
    return Json({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="ready",
    response_model=State,
    responses={503: {"content": {problems.MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}},
)
async def ready(request: Request) -> Response:
    """Whether requests are welcome: the database can be reached and has this version's schema."""
    import asyncio

    service: Service = request.app.state.service
    again = {"Retry-After": "1"}
    if service.draining:
        return problems.problem(503, "draining", "the process is ending", request.state.id, headers=again)
    try:
        current = await asyncio.wait_for(service.run(_is_current, service), _READY_SECONDS)
    except (Unavailable, TimeoutError):
        return problems.problem(503, "unavailable", "the database cannot be reached", request.state.id, headers=again)
    if not current:
        return problems.problem(503, "not_migrated", "the database needs `allot migrate`", request.state.id)
    return Json({"status": "ok"})


@router.get("/metrics", operation_id="metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _is_current(service: Service) -> bool:
    from engine.migrations import newest

    with service.database.read() as tx:
        try:
            found = tx.first("SELECT version_num FROM alembic_version")
        except Exception as error:
            if isinstance(error, Unavailable):
                raise
            return False  # there is no such table
    return found is not None and found[0] == newest()
