"""Serving: a database that is ready, a server that drains, and the work that goes on beside it."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from sqlalchemy import make_url

from api import keys
from api.http.app import make_app
from api.http.service import Service, now
from api.http.telemetry import set_up_logs
from api.settings import Settings
from api.vault import vault_of
from api.working import Working
from engine.database import Database
from engine.migrations import is_current, newest, revision_of, upgrade
from solver.refusal import Refusal


def prepare(settings: Settings) -> None:
    """Bring an embedded database to this version; a PostgreSQL one is brought there by `allot migrate` alone.

    Raises
    ------
    Refusal
        It is not there, or cannot be made.
    """
    if settings.embedded:
        if not reached(lambda: is_current(settings.database_url), settings):
            reached(lambda: upgrade(settings.database_url), settings)
        return
    check_current(settings)


def check_current(settings: Settings) -> None:
    """Refuse a database that is not at this version's schema.

    Raises
    ------
    Refusal
        It is not there, or cannot be reached.
    """
    file = make_url(settings.database_url).database if settings.embedded else None
    if file and not Path(file).exists():
        raise Refusal(settings.shown_url, "is not there; `allot serve` or `allot migrate` makes it", "no_database")
    found = reached(lambda: revision_of(settings.database_url), settings)
    if found != newest():
        state = "has no tables" if found is None else f"is at schema {found}, not {newest()}"
        raise Refusal(settings.shown_url, f"{state}; run `allot migrate` first", "not_migrated")


def reached(act: Callable[[], Any], settings: Settings) -> Any:
    """Do what needs the database; refuse in one line where it cannot be reached."""
    from sqlalchemy.exc import DBAPIError

    try:
        return act()
    except DBAPIError as error:
        why = str(error.orig).splitlines()[0] if str(error.orig) else "no answer"
        raise Refusal(settings.shown_url, f"cannot be reached: {why}", "unreachable") from error


def warm_up() -> None:
    """Have what decides in memory before anybody asks: compiled, which takes a minute or two the first time."""
    from api.progress import errors, following
    from solver import kernels

    if not is_compiled():
        errors().print("allot: compiling first, which takes a minute or two, once")
        with following("compiling"):
            kernels.compile_all()
    with following("getting ready"):
        kernels.warm_up()
    # what is here now stays: not looked through again, which would hold up everybody for a seventh of a second now and then
    gc.collect()
    gc.freeze()


def is_compiled() -> bool:
    """Whether there are kernels on disk."""
    from solver import KERNEL_FOLDER

    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or KERNEL_FOLDER)
    return any(folder.rglob("*.nbi"))


def first_key(database: Database) -> str | None:
    """An admin key where there is no key yet: shown once, to whoever starts the first."""

    def act(tx: Any) -> str | None:
        if tx.first("SELECT 1 FROM api_key LIMIT 1") is not None:
            return None
        return keys.create(tx, now(), "first", [keys.ADMIN])[1]

    return database.write(act)


class Server(uvicorn.Server):
    """A server that says when it listens, and stops being ready before it stops."""

    def __init__(
        self, config: uvicorn.Config, service: Service, working: Working, listening: Callable[[str], None]
    ) -> None:
        super().__init__(config)
        self._service, self._working, self._listening = service, working, listening

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._listening(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.drain()
        self._working.end()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as a wish to end, and nothing else: the exit code is that of a clean end."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def check_telling(settings: Settings) -> None:
    """Refuse to begin where customers are to be told and could not be.

    Raises
    ------
    Refusal
        There is no such sender, no key to seal with, or a template is wrong.
    """
    from jinja2 import TemplateError

    from api.notices import sender_of
    from api.notices.writing import Writer

    if sender_of(settings) is None:
        return
    vault_of(settings)
    try:
        Writer(settings.notice_locale, settings.notice_templates).check()
    except TemplateError as error:
        raise Refusal("ALLOT_NOTICE_TEMPLATES", f"{error.message or type(error).__name__}", "bad_setting") from error


def serve(settings: Settings, listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish what was begun."""
    check_telling(settings)
    warm_up()
    set_up_logs(settings.log_level)
    with Database(settings.database_url, settings.connections) as database:
        app = make_app(settings, database)
        config = uvicorn.Config(
            app, settings.host, settings.port, log_config=None, access_log=False, server_header=False,
            timeout_graceful_shutdown=int(settings.drain), lifespan="on", ws="none",
        )  # fmt: skip
        working = Working(settings, database, app.state.metrics)
        server = Server(config, app.state.service, working, listening)
        working.start(settings.workers)
        try:
            server.run()
        except SystemExit:  # where there is nothing to listen on, once it is logged
            if server.started:
                raise
        finally:
            working.stop()
        if not server.started:
            raise Refusal(f"{settings.host}:{settings.port}", "cannot be listened on: see the log", "bad_address")


def work(settings: Settings, workers: int, began: Callable[[], None]) -> None:
    """Do jobs and what the clock asks for, until SIGTERM or Ctrl-C."""
    check_telling(settings)
    warm_up()
    set_up_logs(settings.log_level)
    over = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: over.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Database(settings.database_url, settings.connections) as database:
            working = Working(settings, database)
            working.start(workers)
            began()
            over.wait()
            working.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
