"""What is known of a person: found, shown, erased, and erased by age."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from unicodedata import normalize

import msgspec
import pytest
from sqlmodel import SQLModel

from engine import consignments, jobs, privacy
from engine.books import fsck
from engine.database import Database, Tx
from engine.facts import (
    AnyFact,
    ConsignmentRejected,
    InboundAnnounced,
    OrderCancelled,
    OrderReleased,
    RecipientErased,
    Shipped,
    StockAdjusted,
    check_id,
    marked,
    read_fact,
)
from engine.orders import Person, cancel, place, remember
from engine.privacy import (
    Retention,
    classified,
    due,
    erase,
    erase_all,
    erase_due,
    export,
    personal,
    put_retention,
    sweep_after_erasing,
    tables,
)
from engine.reads import timeline
from engine.shipping import ship
from engine.stock import record
from engine.tables import APPEND_ONLY
from solver.refusal import Refusal
from tests.engine.shop import DAY, NOON, open_shop, ordered, received, settle

ANN = Person("cus-1", "Ann Example", "1 High Street\n1234 Town", "ann@example.org", "de-AT")
ERASED = RecipientErased(id="erased", at=NOON, recipient="cus-1")


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)
    database.write(lambda tx: remember(tx, [ANN, Person("cus-2", "Bob")], NOON))
    database.write(lambda tx: record(tx, [received(1, "tee", "store", 9)]))


def order(database: Database, number: str, recipient: str = "cus-1", at: int = NOON) -> str:
    (placed,) = database.write(
        lambda tx: place(tx, [ordered(number, ("tee", 1), recipient=recipient, at=at)], now=NOON)
    )
    return placed.id


def values(database: Database) -> Iterator[tuple[str, str]]:
    with database.read() as tx:
        for table in tables():
            for column in table.columns:
                for (value,) in tx.all(f"SELECT {column.name} FROM {table.name}"):
                    yield (
                        f"{table.name}.{column.name}",
                        bytes(value).decode() if isinstance(value, bytes) else str(value),
                    )


def where(database: Database, *words: str) -> set[str]:
    return {place for place, text in values(database) if any(word.lower() in text.lower() for word in words)}


@pytest.mark.parametrize("table", tables(), ids=lambda table: str(table.name))
def test_of_every_column_of_text_it_is_said_whether_people_are_in_it(table: Any) -> None:
    assert [column.name for column in table.columns if not classified(table, column)] == []


def test_a_column_of_text_that_nobody_classified_is_found() -> None:
    from sqlalchemy import Column, Integer, MetaData, String, Table

    table = Table("visit", MetaData(), Column("no", Integer, primary_key=True), Column("remarks", String))
    assert [column.name for column in table.columns if not classified(table, column)] == ["remarks"]


def test_what_is_never_changed_has_no_column_that_people_are_in() -> None:
    assert [name for name in APPEND_ONLY if personal(SQLModel.metadata.tables[name])] == []


@pytest.mark.parametrize("kind", AnyFact.__args__, ids=lambda kind: kind.__name__)
def test_free_text_of_a_fact_can_be_left_out_of_the_log(kind: type[msgspec.Struct]) -> None:
    """The log has it empty, and must be able to read that."""
    for field in marked(kind, "pii"):
        shape = next(one for one in msgspec.structs.fields(kind) if one.name == field)
        assert msgspec.convert("", shape.type) == ""


def test_free_text_is_read_with_its_fact_and_is_not_in_the_log(database: Database) -> None:
    id = order(database, "1")
    database.write(lambda tx: cancel(tx, OrderCancelled(id="c", at=NOON, order=id, reason="Ann was unwell")))
    with database.read() as tx:
        assert timeline(tx, id)[-1].payload["reason"] == "Ann was unwell"
        assert "unwell" not in tx.value("SELECT payload FROM fact WHERE id = 'c'")
        assert read_fact(tx.value("SELECT payload FROM fact WHERE id = 'c'")).id == "c"
    seen = OrderCancelled(id="c", at=NOON, order=id, reason="Ann was unwell")
    assert not database.write(lambda tx: cancel(tx, seen))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: cancel(tx, OrderCancelled(id="c", at=NOON, order=id, reason="another")))
    assert refused.value.code == "fact_conflict"


@pytest.mark.parametrize("text", ["ann@example.org", "+43 1 2345678", "Ann Example"])
def test_an_id_that_says_who_somebody_is_is_refused_without_being_repeated(database: Database, text: str) -> None:
    for act in (
        lambda tx: remember(tx, [Person(text)], NOON),
        lambda tx: record(
            tx, [InboundAnnounced(id="i", at=NOON, sku="tee", node="store", inbound=text, units=1, due_day=1)]
        ),
        lambda tx: check_id(text),
    ):
        with pytest.raises(Refusal) as refused:
            database.write(act)
        assert refused.value.code == "personal_id"
        assert text not in str(refused.value)
    (placed,) = database.write(lambda tx: place(tx, [ordered(text, ("tee", 1))], now=NOON))
    assert (placed.outcome, placed.code, placed.place) == ("refused", "personal_id", "external_id")


def test_ids_of_shops_and_carriers_say_nothing_of_anybody(database: Database) -> None:
    ids = ("5551234567890", "113-1234567-1234567", "#1001", "W-1000", "00340434161094000000", "a@b")
    placed = database.write(lambda tx: place(tx, [ordered(id, ("tee", 1)) for id in ids], now=NOON))
    assert [one.outcome for one in placed] == ["new"] * len(ids)


def test_what_is_known_is_shown_with_all_that_happened_and_nothing_of_others(database: Database) -> None:
    mine, other = order(database, "1"), order(database, "2", "cus-2")
    database.write(lambda tx: settle(tx, mine, (1, 2, 1)))
    database.write(lambda tx: consignments.release(tx, [OrderReleased(id="r", at=NOON, order=mine)]))
    with database.read() as tx:
        known = export(tx, "cus-1")
        (parcel,) = known["consignment"]
        gone = ConsignmentRejected(id="x", at=NOON, consignment=parcel["id"], reason="Ann was rude")
    database.write(lambda tx: consignments.reject(tx, gone))
    with database.read() as tx:
        known = export(tx, "cus-1")
    assert known["recipient"][0]["name"] == "Ann Example"
    assert [row["id"] for row in known["orders"]] == [mine]
    assert {"OrderPlaced", "OrderReleased", "ConsignmentRejected"} == {row["kind"] for row in known["fact"]}
    assert [row["text"] for row in known["remark"]] == ["Ann was rude"]
    assert {"order_line", "consignment", "consignment_line", "rejection"} <= known.keys()
    assert other not in str(known)


def test_whoever_is_erased_leaves_the_orders_and_what_happened(database: Database) -> None:
    id = order(database, "1")
    database.write(lambda tx: cancel(tx, OrderCancelled(id="c", at=NOON, order=id, reason="her brother Piet phoned")))
    adjusted = StockAdjusted(id="a", at=NOON, sku="tee", node="store", change=-1, reason="ANN EXAMPLE has it")
    kept = StockAdjusted(id="k", at=NOON, sku="tee", node="store", change=-1, reason="moths")
    database.write(lambda tx: record(tx, [adjusted, kept]))
    describe(database, "w", "of Ann Example")
    keep_answer(database, "1", '{"to":"1 High Street\\n1234 Town"}')
    keep_answer(database, "2", "no SKU 'Annie'", 422)
    keep_answer(database, "3", "{}")
    before = {row for row in values(database) if row[0] in ("fact.payload", "fact.content", "movement.ref")}
    assert len(where(database, "ann example", "ann@", "high street", "piet")) == 6
    assert database.write(lambda tx: erase(tx, ERASED))
    assert where(database, "ann example", "ann@", "annie", "high street", "1234 Town", "piet") == set()
    assert before <= set(values(database))
    with database.read() as tx:
        assert tx.all("SELECT text FROM remark WHERE text IS NOT NULL") == [("moths",)]
        assert tx.all("SELECT key FROM idempotency") == [("3",)]
        assert tx.value("SELECT recipient FROM orders WHERE id = :id", id=id) == "cus-1"
        assert tx.value("SELECT name FROM recipient WHERE id = 'cus-2'") == "Bob"
        assert fsck(tx) == []
    assert not database.write(lambda tx: erase(tx, ERASED))


def keep_answer(database: Database, key: str, body: str, status: int = 200) -> None:
    database.write(
        lambda tx: tx.run(
            "INSERT INTO idempotency (owner, key, request, at, status, body) VALUES ('o', :key, '', 0, :status, :body)",
            key=key, status=status, body=body,
        )
    )  # fmt: skip


def describe(database: Database, id: str, text: str) -> None:
    database.write(
        lambda tx: tx.run(
            "INSERT INTO webhook (id, url, types, description, created_at) VALUES (:id, 'https://x', '[]', :text, 0)",
            id=id, text=text,
        )
    )  # fmt: skip


def has(database: Database, text: str, id: str) -> None:
    fact = StockAdjusted(id=id, at=NOON, sku="tee", node="store", change=-1, reason=text)
    database.write(lambda tx: record(tx, [fact]))


def finish_job(database: Database, id: str, result: bytes) -> None:
    database.write(lambda tx: jobs.create(tx, NOON, id, "import_orders", "", b"", {}))
    database.write(
        lambda tx: tx.run("UPDATE job SET state = 'done', result = :said WHERE id = :id", id=id, said=result)
    )


def test_text_about_whoever_is_erased_goes_in_any_spelling(database: Database) -> None:
    rene = Person("cus-3", "René Müller", "Hauptstraße 5\n1010 Wien", "rene@example.org")
    database.write(lambda tx: remember(tx, [rene], NOON))
    for number, text in enumerate(
        ("RENÉ MÜLLER", normalize("NFD", "René Müller"), "HAUPTSTRASSE 5", "Rene@Example.Org")
    ):
        has(database, f"{text} has it", f"spelt-{number}")
        keep_answer(database, f"{number}", json.dumps({"to": [text]}))
        keep_answer(database, f"utf-{number}", json.dumps({"to": [text]}, ensure_ascii=False))
        describe(database, f"w-{number}", f"for {text}")
        finish_job(database, f"job-{number}", json.dumps({"to": text}).encode())
    database.write(lambda tx: erase(tx, RecipientErased(id="e", at=NOON, recipient="cus-3")))
    with database.read() as tx:
        assert tx.all("SELECT text FROM remark WHERE text IS NOT NULL") == []
        assert tx.all("SELECT body FROM idempotency") == []
        assert tx.all("SELECT description FROM webhook WHERE description <> ''") == []
        assert tx.all("SELECT result FROM job WHERE result IS NOT NULL") == []


def test_whoever_has_a_similar_name_in_the_same_town_keeps_all_of_theirs(database: Database) -> None:
    other = Person("cus-12", "Annika Li", "11 High Street\n1234 Town", "mary.ann@example.org", "de")
    database.write(
        lambda tx: remember(tx, [Person("cus-1", "Ann", "1 High Street\n1234 Town", "ann@example.org"), other], NOON)
    )
    id = order(database, "1", "cus-12")
    for number, text in enumerate(
        ("Annika Li has it", "joann@example.org wrote", "mary.ann@example.org wrote", "to 11 High Street, 1234 Town",
         "all of 1234 Town waits", "planned for", "Mary-Ann left")
    ):  # fmt: skip
        has(database, text, f"of-others-{number}")
        keep_answer(database, str(number), json.dumps({"recipient": "cus-12", "to": text}))
        describe(database, f"w-{number}", text)
        finish_job(database, f"job-{number}", text.encode())
    database.write(
        lambda tx: cancel(tx, OrderCancelled(id="c", at=NOON, order=id, reason="Annika moved within 1234 Town"))
    )
    rows = (
        "SELECT 'remark', fact, text FROM remark UNION SELECT 'answer', key, body FROM idempotency UNION "
        "SELECT 'hook', id, description FROM webhook UNION SELECT 'who', id, name || address || contact FROM recipient "
        "WHERE id <> 'cus-1'"
    )
    with database.read() as tx:
        before, results = tx.all(f"{rows} ORDER BY 1, 2"), tx.all("SELECT id, result FROM job ORDER BY id")
        known = export(tx, "cus-12")
    database.write(lambda tx: erase(tx, ERASED))
    with database.read() as tx:
        assert tx.all(f"{rows} ORDER BY 1, 2") == before
        assert tx.all("SELECT id, result FROM job ORDER BY id") == results
        assert export(tx, "cus-12") == known
        assert tx.value("SELECT name FROM recipient WHERE id = 'cus-1'") is None


def test_many_are_erased_at_once_and_text_is_read_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        has(database, "Bob has it" if number else "for Ann Example", f"many-{number}")
    read: list[str] = []
    spelt = Tx._spelt
    monkeypatch.setattr(Tx, "_spelt", lambda tx, sql, *more: (read.append(sql), spelt(tx, sql, *more))[1])  # type: ignore[func-returns-value]
    monkeypatch.setattr(privacy, "PIECE", 2)
    facts = [RecipientErased(id=f"e-{id}", at=NOON, recipient=id) for id in ("cus-1", "cus-2")]
    assert database.write(lambda tx: erase_all(tx, facts)) == 2
    with database.read() as tx:
        assert tx.all("SELECT text FROM remark WHERE text IS NOT NULL") == []
        assert tx.all("SELECT id FROM recipient WHERE NOT erased") == []
    assert len([sql for sql in read if sql.startswith("SELECT fact, field, text FROM remark")]) == 3


def test_nobody_is_erased_while_a_file_about_them_waits(database: Database) -> None:
    given = b'{"recipient": "cus-1", "name": "Ann"}\n'
    database.write(lambda tx: jobs.create(tx, NOON, "job", "import_orders", "", given, {}))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: erase(tx, ERASED))
    assert refused.value.code == "import_running"
    with database.read() as tx:
        assert tx.value("SELECT name FROM recipient WHERE id = 'cus-1'") == "Ann Example"
    database.write(lambda tx: jobs.cancel(tx, NOON, "job"))
    assert database.write(lambda tx: erase(tx, ERASED))


def test_what_jobs_refused_is_forgotten_with_whoever_is_erased(database: Database) -> None:
    database.write(lambda tx: jobs.create(tx, NOON, "job", "import_orders", "", b"x", {}))
    database.write(lambda tx: tx.run("UPDATE job SET state = 'done', errors = :said, note = 'Anna', result = :bytes",
                                     said='{"detail":"no SKU Anna"}', bytes=b"for Ann Example"))  # fmt: skip
    database.write(lambda tx: erase(tx, ERASED))
    with database.read() as tx:
        assert tx.first("SELECT errors, note, result FROM job") == ("", "", None)


def test_who_is_unknown_is_neither_shown_nor_erased(database: Database) -> None:
    for act in (
        lambda tx: export(tx, "nobody"),
        lambda tx: erase(tx, RecipientErased(id="e", at=NOON, recipient="nobody")),
    ):
        with pytest.raises(Refusal) as refused:
            database.write(act)
        assert refused.value.code == "unknown_recipient"


def retain(database: Database, days: int = 30) -> None:
    database.write(lambda tx: put_retention(tx, Retention(days=days), NOON))


def known(database: Database) -> list[str]:
    with database.read() as tx:
        return [id for (id,) in tx.all("SELECT id FROM recipient WHERE NOT erased ORDER BY id")]


def test_people_are_erased_so_many_days_after_their_last_order_ended(database: Database) -> None:
    ended, live = order(database, "1"), order(database, "2", "cus-2")
    database.write(lambda tx: cancel(tx, OrderCancelled(id="c", at=NOON + DAY, order=ended, reason="Piet")))
    with database.read() as tx:
        assert [one.recipient for one in due(tx, NOON + 31 * DAY, 30)] == []
        (found,) = due(tx, NOON + 31 * DAY + 1, 30)
    assert (found.recipient, found.last_at) == ("cus-1", NOON + DAY)
    later = NOON + 32 * DAY
    assert erase_due(database, later) == 0, "nobody said for how long"
    retain(database)
    assert erase_due(database, later) == 1
    assert erase_due(database, later) == 0
    assert where(database, "ann example", "ann@", "piet") == set()
    database.write(lambda tx: cancel(tx, OrderCancelled(id="d", at=later, order=live)))
    assert erase_due(database, later + 30 * DAY) == 0
    assert erase_due(database, later + 31 * DAY) == 1


def test_what_nobody_says_has_arrived_keeps_nobody_for_good(database: Database) -> None:
    retain(database)
    id = order(database, "1")
    database.write(lambda tx: settle(tx, id, (1, 2, 1)))
    database.write(lambda tx: consignments.release(tx, [OrderReleased(id="r", at=NOON, order=id)]))
    with database.read() as tx:
        one = str(tx.value("SELECT id FROM consignment"))
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON + DAY, consignment=one)))
    with database.read() as tx:
        assert "cus-1" not in [one.recipient for one in due(tx, NOON + 60 * DAY, 30)], "it may be under way"
    erase_due(database, NOON + 61 * DAY)
    assert "cus-1" not in known(database)


def test_who_never_ordered_is_erased_so_many_days_after_they_were_written_down_last(database: Database) -> None:
    retain(database)
    database.write(lambda tx: remember(tx, [Person("cus-2", "Bob")], NOON + DAY))
    assert erase_due(database, NOON + 30 * DAY) == 0
    assert erase_due(database, NOON + 31 * DAY) == 1
    assert known(database) == ["cus-2"]
    assert erase_due(database, NOON + 31 * DAY + 1) == 1
    assert known(database) == []


def test_whoever_ordered_since_is_not_looked_at_again_before_it_may_be_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    retain(database)
    ended, _live = order(database, "1", at=NOON + DAY), order(database, "2", "cus-2")
    database.write(lambda tx: cancel(tx, OrderCancelled(id="c", at=NOON + 5 * DAY, order=ended)))
    looked: list[str] = []
    last_of = privacy._last_of

    def spied(tx: Tx, now: int, recipients: Sequence[str]) -> dict[str, int]:
        looked.extend(recipients)
        return last_of(tx, now, recipients)

    monkeypatch.setattr(privacy, "_last_of", spied)
    erase_due(database, NOON + 32 * DAY)
    assert set(looked) == {"cus-1", "cus-2"}
    looked.clear()
    erase_due(database, NOON + 33 * DAY)
    assert looked == []
    assert erase_due(database, NOON + 36 * DAY) == 1
    assert set(looked) == {"cus-1"}


def test_people_who_are_due_are_listed_page_by_page(database: Database) -> None:
    database.write(lambda tx: remember(tx, [Person(f"p-{number}") for number in range(5)], NOON))
    order(database, "live", "p-2")
    ids: list[str] = []
    after = None
    with database.read() as tx:
        while page := due(tx, NOON + 31 * DAY, 30, after, 2):
            ids += [one.recipient for one in page]
            after = page[-1].place
    assert ids == ["cus-1", "cus-2", "p-0", "p-1", "p-3", "p-4"]


def test_while_a_file_about_somebody_waits_those_who_are_erased_with_them_wait_too(database: Database) -> None:
    retain(database)
    database.write(lambda tx: jobs.create(tx, NOON, "job", "import_orders", "", b"Bob,cus-2", {}))
    assert erase_due(database, NOON + 31 * DAY) == 0
    database.write(lambda tx: jobs.cancel(tx, NOON, "job"))
    assert erase_due(database, NOON + 31 * DAY) == 2


def test_old_remarks_that_are_about_no_order_go_by_age_too(database: Database) -> None:
    old, new = (
        StockAdjusted(id=id, at=at, sku="tee", node="store", change=-1, reason=id)
        for id, at in (("o", NOON), ("n", NOON + DAY))
    )
    database.write(lambda tx: record(tx, [old, new]))
    database.write(lambda tx: put_retention(tx, Retention(days=30), NOON))
    erase_due(database, NOON + 30 * DAY + 1)
    with database.read() as tx:
        assert tx.all("SELECT text FROM remark WHERE text IS NOT NULL") == [("n",)]


def test_files_are_swept_once_after_somebody_was_erased(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[bool] = []
    sweep = privacy.sweep
    monkeypatch.setattr(privacy, "sweep", lambda database: (swept.append(sweep(database)), swept[-1])[1])  # type: ignore[func-returns-value]
    assert sweep_after_erasing(database)
    assert swept == []
    database.write(lambda tx: erase(tx, ERASED))
    assert sweep_after_erasing(database)
    assert sweep_after_erasing(database)
    assert swept == [True]


def test_while_somebody_reads_what_was_there_before_files_are_not_swept_and_it_is_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "PATIENCE", 0.2)
    with database.read() as tx:
        assert tx.value("SELECT name FROM recipient WHERE id = 'cus-1'") == "Ann Example"
        database.write(lambda tx: erase(tx, ERASED))
        assert not sweep_after_erasing(database)
        assert not sweep_after_erasing(database)
    assert sweep_after_erasing(database)


def test_a_sweep_that_fails_is_done_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_database: Database) -> bool:
        raise RuntimeError

    database.write(lambda tx: erase(tx, ERASED))
    with monkeypatch.context() as patch:
        patch.setattr(privacy, "sweep", fail)
        with pytest.raises(RuntimeError):
            sweep_after_erasing(database)
    swept: list[Database] = []
    monkeypatch.setattr(privacy, "sweep", lambda database: not swept.append(database))  # type: ignore[func-returns-value]
    assert sweep_after_erasing(database)
    assert len(swept) == 1
