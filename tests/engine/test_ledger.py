from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from engine.database import Database, Tx
from engine.facts import NodePaused, content
from engine.ledger import lock_stock, move, write_facts
from engine.migrations import upgrade
from engine.reads import facts
from solver.refusal import Refusal
from tests.engine.shop import NOON, STORE, WAREHOUSE, open_shop

TEE, CAP = 1, 2


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)


def stock(database: Database, sku: int, node: int) -> tuple[int, ...] | None:
    with database.read() as tx:
        return tx.first("SELECT on_hand, reserved, damaged, quarantined, missing FROM stock "
                        "WHERE sku_no = :sku AND node_no = :node", sku=sku, node=node)  # fmt: skip


def paused(n: str, reason: str = "") -> NodePaused:
    return NodePaused(id=n, at=NOON, node="store", reason=reason)


def test_the_tables_are_those_of_the_migrations(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


def test_free_text_in_the_log_of_an_older_version_is_moved_to_where_it_can_be_erased(url_of_nothing: str) -> None:
    said, silent = paused("said", 'Ann "Müller" phoned\n'), paused("silent")
    columns = "INSERT INTO fact (id, kind, at, subject, content, payload) VALUES "
    upgrade(url_of_nothing, "0006")
    with Database(url_of_nothing) as older:
        for fact in (said, silent):
            older.write(lambda tx, fact=fact: tx.run(  # type: ignore[misc]
                f"{columns} (:id, 'NodePaused', :at, 'store', :content, :payload)",
                id=fact.id, at=fact.at, content=content(fact), payload=msgspec.json.encode(fact).decode()))  # fmt: skip
        older.write(lambda tx: tx.run("INSERT INTO recipient (id, name) VALUES ('cus-1', 'Ann')"))
    upgrade(url_of_nothing)
    with Database(url_of_nothing) as opened:
        with opened.read() as tx:
            payloads = dict(tx.all("SELECT id, payload FROM fact"))  # type: ignore[arg-type]
            assert tx.all("SELECT fact, field, subject, at, text FROM remark") == [
                ("said", "reason", "store", NOON, said.reason)
            ]
            assert [one.payload["reason"] for _, one in facts(tx, None, 10, subject="store")] == [said.reason, ""]
            assert tx.value("SELECT active_at FROM recipient") == NOON
        assert payloads == {
            "said": msgspec.json.encode(paused("said")).decode(), "silent": msgspec.json.encode(silent).decode()
        }  # fmt: skip
        assert opened.write(lambda tx: write_facts(tx, [said, silent])) == [False, False]
        for statement in ("UPDATE fact SET by = 'x'", "DELETE FROM fact"):
            with pytest.raises(Exception, match="append-only"):
                opened.write(lambda tx, sql=statement: tx.run(sql))


def test_stock_is_what_its_movements_add_up_to(database: Database) -> None:
    def act(tx: Tx) -> None:
        move(tx, NOON, "receive", "r1", [TEE, CAP], [STORE, WAREHOUSE], on_hand=[5, 7])
        move(tx, NOON, "claim", ["o1", "o2"], [TEE, TEE], [STORE, STORE], reserved=[2, 3])
        move(tx, NOON, "ship", "o1", [TEE], [STORE], on_hand=[-2], reserved=[-2])

    database.write(act)
    assert stock(database, TEE, STORE) == (3, 3, 0, 0, 0)
    assert stock(database, CAP, WAREHOUSE) == (7, 0, 0, 0, 0)
    with database.read() as tx:
        assert tx.all("SELECT cause, ref, on_hand, reserved FROM movement WHERE sku_no = 1 ORDER BY no") == [
            ("receive", "r1", 5, 0), ("claim", "o1", 0, 2), ("claim", "o2", 0, 3), ("ship", "o1", -2, -2),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"on_hand": [-6]}, "not_enough_stock"),
        ({"reserved": [6]}, "not_enough_stock"),
        ({"on_hand": [-4]}, "stock_is_reserved"),
        ({"damaged": [-1]}, "not_enough_stock"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(
    database: Database, change: dict[str, list[int]], code: str
) -> None:
    database.write(lambda tx: move(tx, NOON, "receive", "r", [TEE], [STORE], on_hand=[5], reserved=[2]))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: move(tx, NOON, "test", "t", [TEE], [STORE], **change))
    assert refused.value.code == code
    assert stock(database, TEE, STORE) == (5, 2, 0, 0, 0)


def test_the_ledger_and_the_log_are_never_changed(database: Database) -> None:
    database.write(lambda tx: move(tx, NOON, "receive", "r", [TEE], [STORE], on_hand=[5]))
    database.write(lambda tx: write_facts(tx, [paused("p")]))
    for statement in ("UPDATE movement SET on_hand = 6", "DELETE FROM movement", "DELETE FROM fact"):
        with pytest.raises(Exception, match="append-only"):
            database.write(lambda tx, sql=statement: tx.run(sql))


def test_a_fact_seen_twice_is_one_and_with_other_content_a_conflict(database: Database) -> None:
    assert database.write(lambda tx: write_facts(tx, [paused("p"), paused("q")])) == [True, True]
    assert database.write(lambda tx: write_facts(tx, [paused("p"), paused("z"), paused("z")])) == [False, True, False]
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: write_facts(tx, [paused("new"), paused("q", "other")]))
    assert (refused.value.code, refused.value.place) == ("fact_conflict", "facts[1].id")
    with database.read() as tx:
        assert tx.all("SELECT id FROM fact ORDER BY no") == [("p",), ("q",), ("z",)]


def test_ten_clients_with_the_same_fact_at_once_have_one_effect(database: Database) -> None:
    def once(tx: Tx) -> bool:
        (new,) = write_facts(tx, [paused("p")])
        if new:
            move(tx, NOON, "receive", "p", [TEE], [STORE], on_hand=[1])
        return new

    with ThreadPoolExecutor(10) as clients:
        answers = Counter(clients.map(lambda _: database.write(once), range(10)))
    assert answers == {True: 1, False: 9}
    assert stock(database, TEE, STORE) == (1, 0, 0, 0, 0)


def test_rows_are_made_by_many_at_once(database: Database) -> None:
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(
            lambda i: database.write(
                lambda tx: move(tx, NOON, "receive", str(i), [CAP, TEE], [STORE, STORE], on_hand=[1, 1])
            ),
            range(40),
        ))  # fmt: skip
    assert stock(database, TEE, STORE) == (40, 0, 0, 0, 0)


def test_locking_says_what_is_there(database: Database) -> None:
    database.write(lambda tx: move(tx, NOON, "receive", "r", [TEE], [STORE], on_hand=[5], damaged=[1]))
    assert database.write(lambda tx: lock_stock(tx, [TEE, CAP], [STORE, STORE])) == {(TEE, STORE): (5, 0, 1, 0)}
