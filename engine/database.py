"""One face for both databases: transactions over plain SQL and columns of values.

Statements name their parameters `:name`. A table of values goes in as `{rows}`: arrays on PostgreSQL, JSON on SQLite, so that a
thousand rows are one statement on both. PostgreSQL serves any number of processes. SQLite has one writer, a thread that commits
whatever has gathered while it wrote, each in a savepoint of its own: many small transactions share one flush to disk.
"""

import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection

from solver.refusal import Refusal

Dialect = Literal["sqlite", "postgresql"]
T = TypeVar("T")
Column = Sequence[Any] | NDArray[Any]

TOGETHER = 64
"""Transactions that SQLite's writer commits together, at most."""
RETRIES = 8
FIRST_WAIT, LONGEST_WAIT = 0.02, 1.0
"""Seconds between tries where a transaction met another one, or found the server away."""
_SHUT_DOWN = (psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown, psycopg.errors.CannotConnectNow)
"""What a server says that goes away; the connection may not be known to be broken yet."""
_NUMBERS = {int, float, bool}
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


class Unavailable(Exception):
    """The database cannot be reached, has no connection left, or went away while it committed.

    What was asked may have been done; ask again.
    """


class Tx:
    """What a transaction can do."""

    def __init__(self, dialect: Dialect, cursor: Any, *later: "Ask") -> None:
        self.dialect = dialect
        self.spoiled = False
        """Whether the connection should not be used again: an error among statements that travelled together leaves the driver
        sure of prepared statements that the server has forgotten."""
        self._cursor = cursor
        self._later = [*later]

    @property
    def locking(self) -> str:
        """` FOR NO KEY UPDATE` where rows are locked one by one; SQLite has locked everything already."""
        return " FOR NO KEY UPDATE" if self.dialect == "postgresql" else ""

    def json(self, text: str) -> str:
        """A parameter or a column of text as a column of JSON takes it."""
        return f"CAST({text} AS json)" if self.dialect == "postgresql" else text

    def run(self, sql: str, rows: "Rows | None" = None, **values: Any) -> int:
        """Execute a statement and say how many rows it changed."""
        return int(self._execute(sql, rows, values).rowcount)

    def all(self, sql: str, rows: "Rows | None" = None, **values: Any) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        found: list[tuple[Any, ...]] = self._execute(sql, rows, values).fetchall()
        return found

    def first(self, sql: str, rows: "Rows | None" = None, **values: Any) -> tuple[Any, ...] | None:
        """The first row of a query, if there is one."""
        found: tuple[Any, ...] | None = self._execute(sql, rows, values).fetchone()
        return found

    def value(self, sql: str, rows: "Rows | None" = None, **values: Any) -> Any:
        """The one value that a query must find."""
        found = self.first(sql, rows, **values)
        assert found is not None, "a query that must find something found nothing"
        return found[0]

    def together(self, *asked: "Ask") -> list[list[tuple[Any, ...]]]:
        """Execute statements one after the other and give back the rows of each; on PostgreSQL they travel together."""
        if self.dialect == "sqlite" or len(asked) + len(self._later) == 1:
            return [_rows_of(self._execute(one.sql, one.rows, one.values)) for one in asked]
        return [_rows_of(cursor) for cursor in self._send(asked)]

    def later(self, *asked: "Ask") -> None:
        """Execute statements that say nothing; on PostgreSQL they travel with what comes next, the commit at last."""
        if self.dialect == "sqlite":
            self.together(*asked)
        else:
            self._later += asked

    def attempt(self, act: Callable[[], T]) -> T | Refusal:
        """Do something that may be refused: what is refused has changed nothing, and the transaction goes on."""
        self.run("SAVEPOINT attempt")
        try:
            done = act()
        except Refusal as refusal:
            self._later = []
            self.run("ROLLBACK TO SAVEPOINT attempt")
            self.run("RELEASE SAVEPOINT attempt")
            return refusal
        self.run("RELEASE SAVEPOINT attempt")
        return done

    def commit(self) -> None:
        """Make what was done last, where anything was."""
        if self._began or len(self._later) > 1:
            self._execute("COMMIT", None, {})

    def roll_back(self) -> None:
        """Undo what was done."""
        began, self._later = self._began, []
        if began:
            self._cursor.execute("ROLLBACK")

    @property
    def _began(self) -> bool:
        return not (self._later and self._later[0].sql.startswith("BEGIN"))

    def _send(self, asked: Sequence["Ask"]) -> list[Any]:
        """Execute statements together with those that wait; the cursors of the former."""
        waiting, self._later = self._later, []
        connection = self._cursor.connection
        cursors = []
        try:
            with connection.pipeline():
                for one in (*waiting, *asked):
                    cursor = connection.cursor()
                    cursor.execute(*self._spelt(one.sql, one.rows, one.values))
                    cursors.append(cursor)
        except psycopg.Error:
            self.spoiled = True
            raise
        return cursors[len(waiting) :]

    def ints(self, width: int, sql: str, rows: "Rows | None" = None, **values: Any) -> NDArray[np.int64]:
        """(width, n) a query of whole numbers as columns."""
        return ints_of(self.all(sql, rows, **values), width)

    def _execute(self, sql: str, rows: "Rows | None", values: dict[str, Any]) -> Any:
        """The cursor of an executed statement."""
        if self._later:
            return self._send([Ask(sql, rows, **values)])[0]
        self._cursor.execute(*self._spelt(sql, rows, values))
        return self._cursor

    def _spelt(self, sql: str, rows: "Rows | None", values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """A statement and its values as the database's driver wants them."""
        if rows is not None:
            table, more = rows.table(self.dialect)
            sql, values = sql.replace("{rows}", table, 1), {**values, **more}
        return (_translated(sql) if self.dialect == "postgresql" else sql), values


def _rows_of(cursor: Any) -> list[tuple[Any, ...]]:
    return cursor.fetchall() if cursor.description else []


class Ask:
    """A statement to be executed together with others."""

    def __init__(self, sql: str, rows: "Rows | None" = None, **values: Any) -> None:
        self.sql, self.rows, self.values = sql, rows, values


class Rows:
    """A table of values for a statement: columns of one length by name, each of one type.

    Parameters
    ----------
    **columns
        Whole numbers, floats, truth values or texts (`None` allowed in lists). An empty list counts as whole numbers.
    """

    def __init__(self, **columns: Column) -> None:
        self.columns = {
            name: column.tolist() if isinstance(column, np.ndarray) else list(column)
            for name, column in columns.items()
        }
        sizes = {len(column) for column in self.columns.values()}
        assert len(sizes) == 1, "columns are of one length"
        self.size = sizes.pop()

    def table(self, dialect: Dialect) -> tuple[str, dict[str, Any]]:
        """The expression that stands for the table, and its parameters."""
        names = list(self.columns)
        if dialect == "postgresql":
            arrays = ", ".join(f":rows_{name}::{_array_type(self.columns[name])}" for name in names)
            literals = {f"rows_{name}": _array_literal(column) for name, column in self.columns.items()}
            return f"unnest({arrays}) AS rows({', '.join(names)})", literals
        listed = msgspec.json.encode(list(zip(*self.columns.values(), strict=True))).decode()
        taken = ", ".join(f"value->>{i} AS {name}" for i, name in enumerate(names))
        return f"(SELECT {taken} FROM json_each(:rows)) AS rows", {"rows": listed}


class Database:
    """A migrated database.

    Parameters
    ----------
    url
        `sqlite:///path` or `postgresql+psycopg://...`.
    connections
        To PostgreSQL, from this process, at most.
    """

    def __init__(self, url: str, connections: int = 8) -> None:
        self.engine = engine_of(url, connections)
        self.dialect: Dialect = "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"
        self._writer = _Writer(self.engine) if self.dialect == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._connection() as connection:
            cursor = connection.cursor()
            if self.dialect == "sqlite":
                cursor.execute("BEGIN")
                tx = Tx("sqlite", cursor)
            else:
                tx = Tx("postgresql", cursor, Ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            try:
                yield tx
            finally:
                _roll_back(connection, tx)

    def write(self, act: Callable[[Tx], T]) -> T:
        """Do all that `act` does, or, where it raises, nothing.

        `act` may run more than once, where the transaction met another one; it must not do anything but through `Tx`.

        Raises
        ------
        Unavailable
            The database went away.
        """
        if self._writer:
            return self._writer.write(act)
        wait = FIRST_WAIT
        for left in range(RETRIES, -1, -1):
            try:
                return self._attempt(act)
            except _Again as met:
                if not left:
                    raise Unavailable(str(met.__cause__)) from met
                time.sleep(wait)
                wait = min(LONGEST_WAIT, 2 * wait)
        raise AssertionError

    def _attempt(self, act: Callable[[Tx], T]) -> T:
        with self._connection() as connection:
            tx, committing = Tx("postgresql", connection.cursor(), Ask("BEGIN")), False
            try:
                result = act(tx)
                committing = True
                tx.commit()
            except BaseException as error:
                _roll_back(connection, tx)
                if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
                    raise _Again from error
                if committing and isinstance(error, psycopg.OperationalError):
                    raise Unavailable(f"the database went away while it committed: {error}") from error
                raise
            return result

    @contextmanager
    def _connection(self) -> Iterator[PoolProxiedConnection]:
        """A connection; one that breaks is not used again, nor are those that were made before it."""
        try:
            connection = self.engine.raw_connection()
        except PoolTimeout as error:
            raise Unavailable("every connection is in use") from error
        except Exception as error:
            if _is_away(error):
                raise _Again from error
            raise
        try:
            yield connection
        except psycopg.OperationalError as error:
            if _is_broken(connection) or isinstance(error, _SHUT_DOWN):
                if connection.is_valid:
                    connection.invalidate()
                self.engine.dispose()
                raise _Again from error
            raise
        finally:
            connection.close()

    def close(self) -> None:
        """Finish what was asked and let go of the database."""
        if self._writer:
            self._writer.close()
        self.engine.dispose()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Again(Unavailable):
    """Nothing was done; the same may be tried again."""


class _Writer:
    """The one thread that writes to SQLite."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: queue.SimpleQueue[tuple[Callable[[Tx], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def write(self, act: Callable[[Tx], T]) -> T:
        assert threading.current_thread() is not self._thread, "a transaction within a transaction"
        done: Future[T] = Future()
        self._asked.put((act, done))
        return done.result()

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        going = True
        while going:
            gathered = [self._asked.get()]
            while len(gathered) < TOGETHER and not self._asked.empty():
                gathered.append(self._asked.get_nowait())
            going = None not in gathered
            acts = [one for one in gathered if one is not None]
            if acts:
                self._commit(acts)

    def _commit(self, acts: list[tuple[Callable[[Tx], Any], Future[Any]]]) -> None:
        results: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    for act, done in acts:
                        results.append((done, *_in_savepoint(cursor, act)))
                    cursor.execute("COMMIT")
                except BaseException:
                    cursor.execute("ROLLBACK")
                    raise
            finally:
                connection.close()
        except BaseException as error:
            failure = Unavailable(str(error)) if isinstance(error, sqlite3.OperationalError) else error
            for _, done in acts:
                done.set_exception(failure)
            return
        for done, result, refused in results:
            if refused is None:
                done.set_result(result)
            else:
                done.set_exception(refused)


def _in_savepoint(cursor: Any, act: Callable[[Tx], Any]) -> tuple[Any, BaseException | None]:
    cursor.execute("SAVEPOINT act")
    try:
        result = act(Tx("sqlite", cursor))
    except sqlite3.OperationalError:
        raise
    except BaseException as refused:
        cursor.execute("ROLLBACK TO act")
        cursor.execute("RELEASE act")
        return None, refused
    cursor.execute("RELEASE act")
    return result, None


def decoded(value: Any) -> Any:
    """A JSON column as SQLite (text) or psycopg (parsed) give it."""
    return msgspec.json.decode(value) if isinstance(value, str | bytes) else value


def ints_of(found: Sequence[tuple[Any, ...]], width: int) -> NDArray[np.int64]:
    """(width, n) rows of whole numbers as columns."""
    return np.array(found, dtype=np.int64).reshape(len(found), width).T


def engine_of(url: str, connections: int = 8) -> Engine:
    """Make a pool of connections that leave transactions to us.

    Raises
    ------
    ValueError
        If it is neither SQLite nor PostgreSQL.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": 30.0, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    if parsed.get_backend_name() == "postgresql":
        # "postgresql:" alone means another driver in older versions of SQLAlchemy
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(
            parsed, pool_size=connections, max_overflow=0, pool_timeout=30.0, isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None, connect_args={"options": "-c plan_cache_mode=force_generic_plan -c jit=off"},
        )  # fmt: skip
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    raise ValueError(f"{parsed.get_backend_name()!r} is no database of ours: sqlite or postgresql+psycopg")


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "busy_timeout = 30000",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):  # what is deleted is written over
        connection.execute(f"PRAGMA {pragma}")


class _Number(Loader):
    """What is `numeric`: sums of whole numbers are whole, as on SQLite."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)


def _prepare_postgresql(connection: psycopg.Connection, _record: object) -> None:
    connection.adapters.register_loader("numeric", _Number)


def _roll_back(connection: PoolProxiedConnection, tx: Tx) -> None:
    """Undo what was not committed. A connection that broke is left as it is, so that it is seen to be."""
    if _is_broken(connection):
        return
    if tx.spoiled:
        connection.invalidate()
    else:
        tx.roll_back()


def _is_broken(connection: PoolProxiedConnection) -> bool:
    return bool(
        getattr(connection.driver_connection, "broken", False) or getattr(connection.driver_connection, "closed", False)
    )


def _is_away(error: Exception) -> bool:
    return isinstance(error, psycopg.OperationalError) or isinstance(
        getattr(error, "orig", None), psycopg.OperationalError
    )


def _array_type(column: list[Any]) -> str:
    found = next((value for value in column if value is not None), 0)
    if isinstance(found, bool):
        return "boolean[]"
    if isinstance(found, int):
        return "bigint[]"
    return "double precision[]" if isinstance(found, float) else "text[]"


def _array_literal(column: list[Any]) -> str:
    """A column as PostgreSQL spells arrays: many times faster than value by value through the driver."""
    kinds = set(map(type, column))
    if kinds <= _NUMBERS:
        return "{" + str(column)[1:-1] + "}"
    if kinds == {str}:
        texts = "\0".join(column)
        if texts.count("\0") == len(column) - 1:  # else one has a NUL of its own, which the database refuses
            return '{"' + texts.replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","') + '"}'
    return "{" + ",".join([_spelt(value) for value in column]) + "}"


def _spelt(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return "NULL" if value is None else str(value)


@lru_cache(maxsize=1024)
def _translated(sql: str) -> str:
    """The same statement with psycopg's names of parameters."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
