"""A database that goes away: what was not done is done again, what cannot be is said to be unavailable, and nothing is a bug."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from engine.database import Ask, Database, Tx, Unavailable
from solver.refusal import Refusal

GO = "SELECT pg_terminate_backend(pg_backend_pid())"


def alone(tx: Tx) -> Any:
    return tx.all(GO)


def among_others(tx: Tx) -> Any:
    """Statements that travel together."""
    return tx.together(Ask("SELECT 1"), Ask(GO), Ask("SELECT 2"))


@pytest.fixture
def server(database: Database) -> Database:
    if database.dialect == "sqlite":
        pytest.skip("an embedded database does not go away by itself")
    return database


@pytest.mark.parametrize("die", [alone, among_others])
def test_a_write_whose_connection_breaks_is_done_again(server: Database, die: Callable[[Tx], Any]) -> None:
    tries = []

    def act(tx: Tx) -> int:
        tries.append(1)
        tx.run("INSERT INTO calendar (id, open_weekdays, closed) VALUES ('daily', '[]', '[]')")
        if len(tries) == 1:
            die(tx)
        return len(tries)

    assert server.write(act) == 2
    with server.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM calendar") == 1


@pytest.mark.parametrize("die", [alone, among_others])
def test_a_read_whose_connection_breaks_is_unavailable_and_the_next_one_is_not(
    server: Database, die: Callable[[Tx], Any]
) -> None:
    with pytest.raises(Unavailable), server.read() as tx:
        die(tx)
    with server.read() as tx:
        assert tx.value("SELECT 1") == 1


def test_a_write_that_always_breaks_is_unavailable(server: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.database.FIRST_WAIT", 0.0)
    monkeypatch.setattr("engine.database.LONGEST_WAIT", 0.0)
    with pytest.raises(Unavailable):
        server.write(among_others)


def test_where_every_connection_is_in_use_the_database_is_unavailable(
    server: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.engine.pool, "_timeout", 0.01)
    with ExitStack() as used:
        for _ in range(12):
            used.enter_context(server.read())
        with pytest.raises(Unavailable, match="in use"):
            server.write(lambda tx: tx.value("SELECT 1"))
    assert server.write(lambda tx: tx.value("SELECT 1")) == 1


def test_what_is_refused_within_a_transaction_has_changed_nothing_and_the_rest_is_done(database: Database) -> None:
    def put(tx: Tx, name: str, refused: bool) -> str:
        tx.later(Ask("INSERT INTO timer (name, at) VALUES (:name, 1)", name=name))
        if refused:
            raise Refusal("name", "is not wanted")
        return name

    def act(tx: Tx) -> list[str]:
        put(tx, "first", False)
        found = [tx.attempt(lambda one=name: put(tx, one, one == "bad")) for name in ("good", "bad", "last")]
        nested = tx.attempt(lambda: [tx.attempt(lambda: put(tx, "inner", True)), put(tx, "outer", True)])
        return [type(one).__name__ for one in [*found, nested]]

    assert database.write(act) == ["str", "Refusal", "str", "Refusal"]
    with database.read() as tx:
        assert tx.all("SELECT name FROM timer ORDER BY name") == [("first",), ("good",), ("last",)]


def test_a_sum_of_whole_numbers_is_one(database: Database) -> None:
    with database.read() as tx:
        (total,) = tx.first("SELECT SUM(n) FROM (SELECT CAST(3 AS BIGINT) AS n UNION ALL SELECT 4) AS few") or ()
    assert (total, type(total)) == (7, int)
