"""The application: routes, and what holds for all of them."""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.figures import version
from api.http import description, health, problems
from api.http.routes import ROUTERS
from api.http.routes.notices import public
from api.http.service import Service, now
from api.http.telemetry import Metrics, log
from api.settings import Settings
from engine.database import Database, Unavailable
from solver.refusal import Refusal

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=31536000",
}
LONGEST_ID = 100
ALWAYS = ("/livez", "/readyz", "/metrics")
"""Answered however much there is to do."""
SLOW = 1.0
"""Seconds from which a request is worth a warning."""


def make_app(settings: Settings, database: Database | None = None, clock: Callable[[], int] = now) -> FastAPI:
    """Make the application of one process.

    Parameters
    ----------
    database
        One that is open already, and stays open.
    clock
        Milliseconds since 1970-01-01 UTC.
    """
    app = FastAPI(
        title="allot", version=version(), lifespan=_lifespan, openapi_url="/openapi.json", docs_url=None,
        redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    for router in ROUTERS:
        app.include_router(router, prefix="/v1")
    for router in (health.router, public):
        app.include_router(router)
    for kind in (HTTPException, RequestValidationError, Unavailable, Refusal, problems.Refused):
        app.add_exception_handler(kind, _expected)
    app.add_middleware(Front)
    app.openapi = lambda: description.describe(app)  # type: ignore[method-assign]
    furnish(app, settings, database, clock)
    return app


def furnish(app: FastAPI, settings: Settings, database: Database | None, clock: Callable[[], int]) -> None:
    """Give an application what it works with."""
    ours = database or Database(settings.database_url, settings.connections)
    app.state.service, app.state.metrics = Service(settings, ours, clock), Metrics()
    app.state.closes = ours if database is None else None


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.start()
    try:
        yield
    finally:
        await service.stop()
        if app.state.closes is not None:
            app.state.closes.close()


async def _expected(request: Request, error: Exception) -> Response:
    answer = problems.told(error, getattr(request.state, "id", None))
    assert answer is not None, "only what is expected comes here"
    return answer


class Front:
    """The outermost layer: request ids, headers, figures, logs, overload, and bugs that show nothing of themselves."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        service: Service = scope["app"].state.service
        metrics: Metrics = scope["app"].state.metrics
        state = scope.setdefault("state", {})
        state["id"] = _id_of(scope)
        state["route"] = ""
        started, status = time.perf_counter(), [0]
        outlet = _outlet(send, state["id"], status)
        service.busy += 1
        metrics.busy.set(service.busy)
        try:
            if (refused := self._turned_away(service, scope)) is not None:
                await refused(scope, receive, outlet)
            else:
                await self.app(scope, receive, outlet)
        except Exception:
            log.exception("bug", request_id=state["id"], method=scope["method"], route=state["route"])
            if status[0]:
                raise  # the answer is half sent: cutting the connection is all that is left
            answer = problems.problem(500, "bug", "something went wrong here; it was logged", state["id"])
            await answer(scope, receive, outlet)
        finally:
            service.busy -= 1
            metrics.busy.set(service.busy)
            _note(metrics, scope, status[0], time.perf_counter() - started)

    @staticmethod
    def _turned_away(service: Service, scope: Scope) -> Response | None:
        if scope["path"] in ALWAYS or service.busy <= service.settings.most_requests:
            return None
        detail = "too many requests at once; ask again"
        return problems.problem(503, "overloaded", detail, scope["state"]["id"], headers={"Retry-After": "1"})


def _outlet(send: Send, id: str, status: list[int]) -> Callable[[Message], Awaitable[None]]:
    async def outlet(message: Message) -> None:
        if message["type"] == "http.response.start":
            status[0] = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = id
            for name, value in SECURITY.items():
                headers.setdefault(name, value)
        await send(message)

    return outlet


def _note(metrics: Metrics, scope: Scope, status: int, seconds: float) -> None:
    state: dict[str, Any] = scope["state"]
    method = scope["method"] if scope["method"] in ("GET", "POST", "PUT", "PATCH", "DELETE") else "other"
    route = state["route"] or "none"
    metrics.requests.labels(method, route, str(status)).inc()
    metrics.seconds.labels(method, route).observe(seconds)
    tell = log.warning if status >= 500 or seconds > SLOW else log.debug
    tell(
        "request", request_id=state["id"], method=method, route=route, status=status,
        ms=round(1000 * seconds, 1), key=state.get("key"),
    )  # fmt: skip


def _id_of(scope: Scope) -> str:
    """The request id that the caller gave, if it is one, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and 0 < len(value) <= LONGEST_ID:
            given: str = value.decode("latin-1")
            if given.isascii() and given.replace("-", "").replace("_", "").replace(".", "").isalnum():
                return given
    return f"r_{secrets.token_hex(10)}"
