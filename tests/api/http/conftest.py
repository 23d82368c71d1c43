"""A service in this process, asked over ASGI as if over the network, on both databases."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from api import keys
from api.http.app import furnish, make_app
from api.settings import Settings
from engine.database import Database

AT = 1_764_064_800_000
"""2025-11-25T10:00:00Z."""


APP = make_app(Settings(database_url="sqlite://"))
"""One for all tests: to make its routes takes half a second."""


SECRET_KEY = "x" * 43 + "="
"""What seals secrets in tests."""


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, at: int = AT) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


class Desk:
    """Asks the service, as somebody with a key.

    Every request runs on one event loop, so that requests can be at the same time (`together`).
    """

    def __init__(self, app: FastAPI, loop: asyncio.AbstractEventLoop, database: Database, clock: Clock) -> None:
        self.app, self.loop, self.database, self.clock = app, loop, database, clock
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://allot")
        self.secrets: dict[str, str] = {}
        self.node: str | None = None
        """The node of staff keys."""

    def key(self, scope: str) -> str:
        """A key of a scope, made when first needed."""
        if scope not in self.secrets:
            node = self.node if scope == "node" else None
            self.secrets[scope] = self.database.write(lambda tx: keys.create(tx, AT, scope, [scope], node)[1])
        return self.secrets[scope]

    def headers(self, scope: str | None, more: dict[str, str] | None = None) -> dict[str, str]:
        return {**({"Authorization": f"Bearer {self.key(scope)}"} if scope else {}), **(more or {})}

    def ask(self, method: str, path: str, scope: str | None = "admin", once: str | None = None,
            headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:  # fmt: skip
        more = {**(headers or {}), **({"Idempotency-Key": once} if once else {})}
        return self.loop.run_until_complete(
            self.client.request(method, path, headers=self.headers(scope, more), **body)
        )

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> httpx.Response:
        return self.ask("POST", path, json=json, **more)

    def together(
        self, *asked: Callable[[httpx.AsyncClient], Coroutine[Any, Any, httpx.Response]]
    ) -> list[httpx.Response]:
        """Ask several things at the same time."""

        async def ask() -> list[httpx.Response]:
            return list(await asyncio.gather(*(one(self.client) for one in asked)))

        return self.loop.run_until_complete(ask())

    def rows(self, table: str) -> int:
        with self.database.read() as tx:
            return int(tx.value(f"SELECT count(*) FROM {table}"))


@contextmanager
def opened(database: Database, clock: Clock | None = None, **settings: Any) -> Iterator[Desk]:
    """Open a service on a database."""
    clock = clock or Clock()
    url = database.engine.url.render_as_string(hide_password=False)
    app = APP
    furnish(app, Settings(**{"database_url": url, "secret_key": SECRET_KEY, **settings}), database, clock)
    loop = asyncio.new_event_loop()
    lifespan = app.router.lifespan_context(app)
    loop.run_until_complete(lifespan.__aenter__())
    desk = Desk(app, loop, database, clock)
    try:
        yield desk
    finally:
        loop.run_until_complete(desk.client.aclose())
        loop.run_until_complete(lifespan.__aexit__(None, None, None))
        loop.close()


@pytest.fixture
def embedded(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """An empty, migrated SQLite, for what is the same on both databases."""
    path = tmp_path / "embedded.db"
    shutil.copy(sqlite_template, path)
    with Database(f"sqlite:///{path}") as database:
        yield database


@pytest.fixture
def desk(embedded: Database) -> Iterator[Desk]:
    with opened(embedded) as desk:
        yield desk


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No logs: those who are about them set them up."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
