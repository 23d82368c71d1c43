"""Rows are locked in one order by everybody, so that nobody waits for somebody who waits for him."""

import re
from collections.abc import Iterator

import pytest

from engine import webhooks
from engine.channel_said import Whom
from engine.channels import hear
from engine.database import Database, Tx
from engine.entries import put_services
from engine.events import forget, relay
from engine.facts import OrderCancelled, RecipientErased
from engine.orders import Person, place, remember
from engine.privacy import Retention, erase, erase_due, put_retention
from engine.store import Store
from engine.webhooks import REST, TRIPS, Result
from tests.engine.shop import CAP, DAY, NOON, SERVICES, STORE, TEE, WAREHOUSE, connect, open_shop, ordered, said, supply
from tests.engine.test_at_once import Client
from tests.engine.tills import pay

ORDER = ("channel_order", "recipient", "orders", "sku", "channel_stock", "hold", "stock", "node_day")
"""As `engine/README.md` has it; rows of other tables belong to those of one of these."""
TELLING = ("consumer", "webhook", "delivery")
"""What tells others locks rows of these."""
LOCKS = re.compile(r"FOR (?:NO KEY )?UPDATE(?: OF (\w+))?")


def locked_by(sql: str) -> str | None:
    """The table of which a statement locks rows that were there before."""
    table: str | None = None
    if changed := re.match(r"\s*(?:UPDATE|DELETE FROM) (\w+)", sql):
        table = changed[1]
    elif put := re.match(r"\s*INSERT INTO (\w+).* DO UPDATE", sql, re.DOTALL):
        table = put[1]
    elif locks := LOCKS.search(sql):
        table = locks[1]
        named = re.search(rf"(?:FROM|JOIN) (\w+)(?: {table}\b)" if table else r"FROM (\w+)", sql)
        if named and (table is None or table not in (*ORDER, *TELLING)):
            table = named[1]
    return table if table in (*ORDER, *TELLING) else None


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, list[str]]]:
    """The tables of which each transaction locked rows, in the order of the first ones."""
    locked: dict[int, list[str]] = {}
    transactions: list[Tx] = []  # kept, so that no two have the same identity
    placing: set[int] = set()  # orders that a transaction has placed itself are seen by nobody else
    spelt = Tx._spelt

    def note(tx: Tx, sql: str, *more: object) -> object:
        transactions.append(tx)
        table, mine = locked_by(sql), locked.setdefault(id(tx), [])
        if sql.startswith("INSERT INTO orders"):
            placing.add(id(tx))
        if table and table not in mine and not (table == "orders" and id(tx) in placing):
            mine.append(table)
        return spelt(tx, sql, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Tx, "_spelt", note)
    return locked


def test_rows_are_locked_in_one_order(database: Database, seen: dict[int, list[str]]) -> None:
    if database.dialect == "sqlite":
        pytest.skip("it has one writer")
    open_shop(database)
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id = 'cap'"))
    database.write(lambda tx: tx.run("INSERT INTO channel_stock (channel, sku_no, allotment) VALUES ('web', 1, 60)"))
    supply(database, (TEE, STORE, 30), (TEE, WAREHOUSE, 30), (CAP, STORE, 30), (CAP, WAREHOUSE, 30))
    connect(database)
    seen.clear()
    client = Client(Store(database), 5, [])
    for _ in range(200):
        client.act()
    mine = [[table for table in tables if table in ORDER] for tables in seen.values()]
    assert {tuple(tables) for tables in mine if tables != sorted(tables, key=ORDER.index)} == set()
    assert {table for tables in mine for table in tables} == set(ORDER)


def test_people_are_locked_before_their_orders(database: Database, seen: dict[int, list[str]]) -> None:
    if database.dialect == "sqlite":
        pytest.skip("it has one writer")
    open_shop(database)
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    supply(database, (TEE, STORE, 10))
    here = connect(database)
    seen.clear()
    whom = Whom("Ann Example", "1 High Street", "ann@example.org", "en")
    for at, units in ((NOON, 2), (NOON + 1, 1)):
        state = said("S1", ("1", "tee", units), at=at)
        database.write(lambda tx, state=state: hear(tx, here, f"e{state.said_at}", "orders", state, whom, NOON))  # type: ignore[misc]
    database.write(lambda tx: remember(tx, [Person("cus-1", "Bob"), Person("cus-2", "Eve")], NOON))
    for number in "12":
        order = ordered(number, ("tee", 1), recipient=f"cus-{number}")
        (placed,) = database.write(lambda tx, order=order: place(tx, [order]))  # type: ignore[misc]
        pay(database, placed.id, 1000)
        Store(database).change(OrderCancelled(id=f"c{number}", at=NOON, order=placed.id))
    database.write(lambda tx: erase(tx, RecipientErased(id="e", at=NOON, recipient="cus-1")))
    database.write(lambda tx: put_retention(tx, Retention(days=1), NOON))
    assert erase_due(database, NOON + 9 * DAY) == 1
    mine = [[table for table in tables if table in ORDER] for tables in seen.values()]
    assert {tuple(tables) for tables in mine if tables != sorted(tables, key=ORDER.index)} == set()
    assert {("channel_order", "recipient", "orders"), ("recipient", "orders")} <= {tuple(tables[:3]) for tables in mine}


def test_webhooks_are_locked_before_their_deliveries(database: Database, seen: dict[int, list[str]]) -> None:
    if database.dialect == "sqlite":
        pytest.skip("it has one writer")
    open_shop(database)
    supply(database, (TEE, STORE, 100))
    for id in ("whk_a", "whk_b"):
        make(database, id)
    seen.clear()
    at = NOON
    for number, code in enumerate((500,) * TRIPS + (204, 410)):
        happen(database, str(number), at)
        due = database.write(lambda tx, at=at: webhooks.claim(tx, at, "w", {}, 100))  # type: ignore[misc]
        results = [Result(one.webhook, one.event_no, one.leased_until, at, 5, code) for one in due]
        assert database.write(lambda tx, at=at, of=results: webhooks.settle(tx, at, "w", of)) > 0  # type: ignore[misc]
        at += REST
    database.write(lambda tx: webhooks.give_back(tx, "w"))
    database.write(lambda tx: webhooks.enable(tx, at, "whk_a", NOON))
    database.write(lambda tx: webhooks.replay(tx, at, "whk_a", NOON, delivered=True))
    database.write(lambda tx: webhooks.disable(tx, at, "whk_a"))
    database.write(lambda tx: webhooks.delete(tx, at, "whk_b"))
    database.write(lambda tx: forget(tx, at))
    told = [[table for table in tables if table in TELLING] for tables in seen.values()]
    assert {tuple(tables) for tables in told if tables != sorted(tables, key=TELLING.index)} == set()
    assert {table for tables in told for table in tables} == set(TELLING)


def make(database: Database, id: str) -> None:
    database.write(lambda tx: webhooks.create(tx, NOON, id, f"https://{id[-1]}.example", (), "", "sealed"))


def happen(database: Database, number: str, at: int) -> None:
    database.write(lambda tx: place(tx, [ordered(number, ("tee", 1))]))
    while database.write(lambda tx: relay(tx, at)):
        pass


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("UPDATE stock SET reserved = 1", "stock"),
        ("SELECT o.no FROM {rows} JOIN orders o ON o.no = rows.no ORDER BY o.no FOR NO KEY UPDATE OF o", "orders"),
        ("SELECT i FROM {rows} JOIN stock ON sku_no = sku ORDER BY sku_no FOR NO KEY UPDATE OF stock", "stock"),
        ("SELECT state FROM hold WHERE id = :id FOR NO KEY UPDATE", "hold"),
        ("SELECT no FROM orders", None),
        ("INSERT INTO stock (sku_no) VALUES (1) ON CONFLICT (sku_no) DO UPDATE SET on_hand = 0", "stock"),
        ("DELETE FROM claim", None),
    ],
)
def test_what_a_statement_locks_is_read_from_it(sql: str, table: str | None) -> None:
    assert locked_by(sql) == table
