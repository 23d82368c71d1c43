"""What is known of a person: shown, and erased. Which columns that is, `engine.tables` says by one mark (`pii`).

Rows are found by their keys: from the recipient to the orders, from there along every foreign key, then whatever names one of these
by its id (facts, events, remarks). A table that comes later is found the same way, with nothing to be said here.

Erasing leaves the ledger as it was, under the recipient's id, which says nothing of anybody (`engine.facts.check_opaque`). The
log has nothing to erase: free text of facts is kept apart from it (`remark`).
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import JSON, Column, LargeBinary, Table
from sqlmodel import SQLModel

from engine.calendar import MS_PER_DAY
from engine.database import Database, Rows, Tx, decoded, engine_of
from engine.entries import read_setting, write_setting
from engine.facts import RecipientErased, short_id
from engine.jobs import ENDED
from engine.ledger import write_facts
from engine.log import Position, advance, position_of
from engine.mentions import Mentions, plain, street_of
from engine.payments import forget_old_tokens, forget_tokens
from solver.refusal import Refusal

BY_ID = {"event": "subject", "fact": "subject", "remark": "subject", "shadow": "ref", "told": "subject"}
"""Tables that name what they are about by its id, not by a foreign key."""
SEALED = frozenset({"hash", "sealed", "secrets", "token"})
"""Columns that are secret even from whom they are about: keys to something else."""
SHORTEST = 3
"""Bytes of what text about somebody is found by, at least: fewer are in any text."""
PIECE = 1000
"""Rows of text that are read at once."""
TOGETHER = 100
"""People who are erased by age in one transaction, at most."""
UNDER_WAY = 60 * MS_PER_DAY
"""Milliseconds for which what has left may be under way: where nobody says by then that it arrived, nobody will."""
PATIENCE, LOOK_AGAIN = 30.0, 0.1
"""Seconds that are waited for who reads what was there before, and between looks."""
Known = dict[str, list[dict[str, Any]]]
"""Rows by table."""


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many days after the end of their last order people are erased; never by themselves where it is null.

    Who never ordered is erased so many days after they were written down last.
    """

    days: Annotated[int, Meta(ge=1, le=36_500)] | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A recipient to whom something happened last at a moment; `active_at` is what was known of that when it was looked at last."""

    recipient: str
    last_at: int
    active_at: int

    @property
    def place(self) -> tuple[int, str]:
        """Where in the list of them this one is."""
        return self.active_at, self.recipient


# --- which columns ----------------------------------------------------------------------------------------------------


def tables() -> list[Table]:
    """All tables, each after those that it refers to."""
    return list(SQLModel.metadata.sorted_tables)


def personal(table: Table) -> list[Column[Any]]:
    """The columns of a table that may say something of a person."""
    return [column for column in table.columns if column.info.get("pii")]


# --- what is known ----------------------------------------------------------------------------------------------------


def known_of(tx: Tx, recipient: str) -> Known:
    """Every row about a recipient, by table.

    Raises
    ------
    Refusal
        `unknown_recipient`.
    """
    known: Known = {}
    for table in tables():
        _find(tx, table, recipient, known)
    if "recipient" not in known:
        raise Refusal("recipient", f"there is no recipient {recipient!r}", "unknown_recipient")
    ids = sorted({str(row["id"]) for rows in known.values() for row in rows if row.get("id")})
    for name, column in BY_ID.items():
        _add(tx, SQLModel.metadata.tables[name], known, [(column, ids)])
    for table in tables():  # what refers to those
        if any(key.column.table.name in BY_ID for key in table.foreign_keys):
            _find(tx, table, recipient, known)
    return known


def _find(tx: Tx, table: Table, recipient: str, known: Known) -> None:
    tests: list[tuple[str, Sequence[Any]]] = []
    if table.name == "recipient":
        tests.append(("id", [recipient]))
    elif "recipient" in table.columns:
        tests.append(("recipient", [recipient]))
    for key in table.foreign_keys:
        there = known.get(key.column.table.name, [])
        values = [row[key.column.name] for row in there if row[key.column.name] is not None]
        if values:
            tests.append((key.parent.name, sorted(set(values))))
    _add(tx, table, known, tests)


def _add(tx: Tx, table: Table, known: Known, tests: Sequence[tuple[str, Sequence[Any]]]) -> None:
    """Add the rows of which a column has one of some values, each once."""
    names = [column.name for column in table.columns]
    found = {_key(table, row): row for row in known.get(table.name, [])}
    for name, values in tests:
        if not values:
            continue
        rows = tx.all(
            f"SELECT {', '.join(f't.{one}' for one in names)} FROM {{rows}} JOIN {table.name} t ON t.{name} = rows.value",
            Rows(value=values),
        )
        for row in (dict(zip(names, values, strict=True)) for values in rows):
            found[_key(table, row)] = row
    if found:
        known[table.name] = [found[key] for key in sorted(found)]


def _key(table: Table, row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.primary_key.columns)


def export(tx: Tx, recipient: str) -> Known:
    """All that is known of a recipient, for the person to read: every row, without what is a secret or a lease of ours.

    Raises
    ------
    Refusal
        `unknown_recipient`.
    """
    known = known_of(tx, recipient)
    return {name: [_shown(SQLModel.metadata.tables[name], row) for row in rows] for name, rows in known.items()}


def _shown(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    shown = {}
    for column in table.columns:
        if column.name in SEALED or column.name.startswith("leased_"):
            continue
        value = row[column.name]
        holds_json = isinstance(column.type, JSON) or (table.name, column.name) in (
            ("fact", "payload"), ("event", "data"), ("decision", "body"), ("invoice", "body"),
        )  # fmt: skip
        shown[column.name] = decoded(value) if holds_json and value is not None else value
    return shown


# --- erasing ----------------------------------------------------------------------------------------------------------


def erase(tx: Tx, fact: RecipientErased, by: str = "") -> bool:
    """`erase_all` of one recipient; says whether the fact is new."""
    return erase_all(tx, [fact], by) == 1


def erase_all(tx: Tx, facts: Sequence[RecipientErased], by: str = "") -> int:
    """Forget everything personal about recipients, in one transaction; orders keep the ids.

    Marked columns of every row about them are emptied. Free text that may be about anybody (kept answers, results of jobs,
    descriptions of webhooks, remarks) is read once, and goes where it mentions one of them (`engine.mentions`). What was
    refused is quoted in answers and in lists of refused lines, in words that nobody knows to be theirs, so those are
    forgotten all. Messages that were not sent are not sent. By what orders were paid is forgotten where that is settled, else
    once it is.

    Returns
    -------
    int
        Facts that are new.

    Raises
    ------
    Refusal
        `unknown_recipient`, or `import_running`: a job that has not ended was given something about them.
    """
    if not facts:
        return 0
    _lock_people(tx, [fact.recipient for fact in facts])
    new = [fact for fact, is_new in zip(facts, write_facts(tx, facts, by), strict=True) if is_new]
    if not new:
        return 0
    words: list[str] = []
    known_by = [known_of(tx, fact.recipient) for fact in new]
    forget_tokens(tx, [row["no"] for known in known_by for row in known.get("orders", [])])
    for known in known_by:
        words += _words(known["recipient"][0])
        for name, rows in known.items():
            _empty(tx, SQLModel.metadata.tables[name], rows)
    _refuse_running(tx, Mentions([*words, *(fact.recipient for fact in new)]))
    mentions = Mentions(words)
    for table in tables():
        if table.name not in ("recipient", "job"):
            _empty(tx, table, _mentioning(tx, table, mentions))
    _forget_jobs(tx, mentions)
    tx.run("DELETE FROM idempotency WHERE status >= 400 OR body LIKE :refused", refused='%"outcome":"refused"%')
    for fact in new:
        tx.run(
            "UPDATE notice SET state = 'skipped', why = 'erased', ended_at = :at, leased_by = NULL, leased_until = NULL "
            "WHERE recipient = :recipient AND state = 'waiting'",
            at=fact.at, recipient=fact.recipient,
        )  # fmt: skip
        tx.run("UPDATE recipient SET erased = true WHERE id = :id", id=fact.recipient)
    return len(new)


def _lock_people(tx: Tx, recipients: Sequence[str]) -> list[tuple[str, int]]:
    """Lock those of some recipients who are not erased, before their orders; id and `active_at`."""
    return tx.all(
        "SELECT r.id, r.active_at FROM {rows} JOIN recipient r ON r.id = rows.id WHERE NOT r.erased ORDER BY r.id"
        + (" FOR NO KEY UPDATE OF r" if tx.locking else ""),
        Rows(id=sorted(set(recipients))),
    )


def _words(row: dict[str, Any]) -> list[str]:
    """What text about a recipient is found by: what is marked and not common to many; of the address the street."""
    columns = [one.name for one in personal(SQLModel.metadata.tables["recipient"]) if not one.info.get("common")]
    said = [street_of(row[name] or "") if name == "address" else row[name] or "" for name in columns]
    return [word for word in said if len(plain(word).encode()) >= SHORTEST]


def _empty(tx: Tx, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Empty the marked columns of some rows, or delete them where they are of no use without."""
    columns = personal(table)
    if not columns or not rows:
        return
    keys = [column.name for column in table.primary_key.columns]
    if any(one.info.get("whole") for one in columns):
        act = f"DELETE FROM {table.name}"
    else:
        act = f"UPDATE {table.name} SET {', '.join(f'{one.name} = {_nothing(one)}' for one in columns)}"
    names = ", ".join(keys)
    values = Rows(**{key: [row[key] for row in rows] for key in keys})
    tx.run(f"{act} WHERE ({names}) IN (SELECT {names} FROM {{rows}})", values)


def _nothing(column: Column[Any]) -> str:
    return "NULL" if column.nullable else "''"


def _mentioning(tx: Tx, table: Table, mentions: Mentions) -> list[dict[str, Any]]:
    """The keys of rows of which a marked column mentions somebody; the table is read once, in pieces."""
    keys, columns = list(table.primary_key.columns), personal(table)
    if not columns:
        return []
    names = ", ".join(key.name for key in keys)
    wanted = f"SELECT {names}, {', '.join(column.name for column in columns)} FROM {table.name}"
    behind = f"({names}) > ({', '.join(f':{key.name}' for key in keys)})"
    found: list[dict[str, Any]] = []
    last: dict[str, Any] = {}
    while True:
        rows = tx.all(f"{wanted} {f'WHERE {behind} ' if last else ''}ORDER BY {names} LIMIT {PIECE}", **last)
        by_key = [(dict(zip((key.name for key in keys), row, strict=False)), row[len(keys) :]) for row in rows]
        found += [key for key, texts in by_key if any(text in mentions for text in texts)]
        if len(rows) < PIECE:
            return found
        last = by_key[-1][0]


def _refuse_running(tx: Tx, mentions: Mentions) -> None:
    for id in _jobs(tx, "state IN ('waiting', 'running')", "input", mentions):
        raise Refusal("recipient", f"job {id!r} has something about them to do; erase when it ended or is cancelled",
                      "import_running")  # fmt: skip


def _forget_jobs(tx: Tx, mentions: Mentions) -> None:
    """Forget what jobs refused, and results that mention somebody; what they were given went when they ended."""
    ended = f"state IN ({', '.join(map(repr, ENDED))})"
    tx.run(f"UPDATE job SET errors = '', note = '' WHERE {ended} AND (errors <> '' OR note <> '')")
    for id in _jobs(tx, f"{ended} AND result IS NOT NULL", "result", mentions):
        tx.run("UPDATE job SET result = NULL WHERE id = :id", id=id)


def _jobs(tx: Tx, which: str, column: str, mentions: Mentions) -> Iterator[str]:
    """Jobs of which a column mentions somebody; files are read one by one."""
    for (id,) in tx.all(f"SELECT id FROM job WHERE {which} ORDER BY no"):
        if tx.value(f"SELECT {column} FROM job WHERE id = :id", id=id) in mentions:
            yield id


# --- by age -----------------------------------------------------------------------------------------------------------


def put_retention(tx: Tx, retention: Retention, at: int, by: str = "") -> int:
    """Write how long people are known; returns whether it differs from what was there."""
    return write_setting(tx, "retention", msgspec.to_builtins(retention), at, by)


def retention_of(tx: Tx) -> Retention:
    """How long people are known."""
    return read_setting(tx, "retention", Retention())


def due(tx: Tx, now: int, days: int, after: tuple[int, str] | None = None, limit: int = 100) -> list[Due]:
    """Recipients of whom nothing is to be done any more, and to whom nothing has happened for some days; those behind one."""
    before, found = now - days * MS_PER_DAY, list[Due]()
    while len(found) < limit:
        seen = _quiet(tx, now, before, after, limit)
        found += [one for one in seen if one.last_at < before]
        if len(seen) < limit:
            break
        after = seen[-1].place
    return found[:limit]


def _quiet(tx: Tx, now: int, before: int, after: tuple[int, str] | None, limit: int) -> list[Due]:
    """Recipients of whom nothing newer is known as far as was looked, the quietest first, and what is newer of their orders."""
    at, id = after or (-1, "")
    found = tx.all(
        "SELECT active_at, id FROM recipient WHERE NOT erased AND active_at < :before AND (active_at, id) > (:at, :id) "
        "ORDER BY active_at, id LIMIT :limit",
        before=before, at=at, id=id, limit=limit,
    )  # fmt: skip
    last = _last_of(tx, now, [id for _, id in found])
    return [Due(id, max(active_at, last.get(id, 0)), active_at) for active_at, id in found]


def _last_of(tx: Tx, now: int, recipients: Sequence[str]) -> dict[str, int]:
    """When anything happened to orders of recipients last; now, where one has not ended."""
    if not recipients:
        return {}
    found = tx.all(
        "WITH ordered AS (SELECT o.no, o.id, o.recipient, o.placed_at, o.open + o.allocated + o.released > 0 "
        "OR (o.shipped > 0 AND EXISTS (SELECT 1 FROM consignment k WHERE k.order_no = o.no AND k.shipped_at > :left)) AS live "
        "FROM {rows} JOIN orders o ON o.recipient = rows.id), subjects AS (SELECT recipient, id FROM ordered "
        "UNION ALL SELECT o.recipient, k.id FROM ordered o JOIN consignment k ON k.order_no = o.no "
        "UNION ALL SELECT o.recipient, r.id FROM ordered o JOIN rma r ON r.order_no = o.no) "
        "SELECT recipient, MAX(at) FROM (SELECT recipient, CASE WHEN live THEN :now ELSE placed_at END AS at FROM ordered "
        "UNION ALL SELECT s.recipient, f.at FROM subjects s JOIN fact f ON f.subject = s.id) AS happened GROUP BY recipient",
        Rows(id=recipients),
        now=now, left=now - UNDER_WAY,
    )  # fmt: skip
    return {recipient: int(at) for recipient, at in found}


def erase_due(database: Database, now: int) -> int:
    """Erase whose time is up, some in each transaction, and free text and payments' tokens as old; says how many people."""
    with database.read() as tx:
        days = retention_of(tx).days
    if days is None:
        return 0
    before = now - days * MS_PER_DAY
    after: tuple[int, str] | None = None
    erased = 0
    while True:
        with database.read() as tx:
            seen = _quiet(tx, now, before, after, TOGETHER)
        if not seen:
            break
        ids = [one.recipient for one in seen]
        erased += database.write(lambda tx, ids=ids: _erase_quiet(tx, ids, now, before))  # type: ignore[misc]
        after = seen[-1].place
    database.write(lambda tx: tx.run("UPDATE remark SET text = NULL WHERE at < :before", before=before))
    order_no: int | None = 0
    while order_no is not None:
        order_no = database.write(lambda tx, behind=order_no: forget_old_tokens(tx, before, behind))  # type: ignore[misc]
    return erased


def _erase_quiet(tx: Tx, recipients: Sequence[str], now: int, before: int) -> int:
    """Erase those to whom nothing has happened, where no job is at one of them, and look at the others when it may be time."""
    found = _lock_people(tx, recipients)
    newer = _last_of(tx, now, [id for id, _ in found])
    last = {id: max(active_at, newer.get(id, 0)) for id, active_at in found}
    active = {id: at for id, at in last.items() if at >= before}
    if active:
        tx.run(
            "UPDATE recipient SET active_at = rows.at FROM {rows} WHERE recipient.id = rows.id",
            Rows(id=list(active), at=list(active.values())),
        )
    facts = [
        RecipientErased(id=short_id("end", "retention", id), at=now, recipient=id) for id in last if id not in active
    ]
    erased = tx.attempt(lambda: erase_all(tx, facts))
    return 0 if isinstance(erased, Refusal) else erased


# --- in the files -----------------------------------------------------------------------------------------------------


def sweep_after_erasing(database: Database) -> bool:
    """`sweep` where anybody was erased since it was done last; says whether nothing is left to sweep."""
    behind = database.write(_to_sweep)
    if behind is None:
        return True
    if not sweep(database):
        return False
    database.write(lambda tx: advance(tx, "sweep", behind))
    return True


def _to_sweep(tx: Tx) -> Position | None:
    """Up to where the log says that somebody was erased since the last sweep; nothing where nobody was."""
    last = position_of(tx, "sweep")
    settled = "AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint" if tx.dialect == "postgresql" else ""
    behind = f"FROM fact WHERE (tx, no) > (:tx, :no) {settled}"
    found = tx.first(f"SELECT 1 {behind} AND kind = 'RecipientErased' LIMIT 1", tx=last.tx, no=last.no)
    newest = tx.first(f"SELECT tx, no {behind} ORDER BY tx DESC, no DESC LIMIT 1", tx=last.tx, no=last.no)
    if newest is None:
        return None
    if found is None:
        advance(tx, "sweep", Position(*newest))
        return None
    return Position(*newest)


def sweep(database: Database) -> bool:
    """Let nothing of what was erased be left in the database's files: rows that are not seen any more are written over.

    Returns
    -------
    bool
        Whether that is done; not where somebody reads what was there before for longer than `PATIENCE`.
    """
    engine = engine_of(str(database.engine.url.render_as_string(hide_password=False)), 1)
    try:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            return _sweep_postgresql(cursor) if database.dialect == "postgresql" else _sweep_sqlite(cursor)
        finally:
            connection.close()
    finally:
        engine.dispose()


def _sweep_postgresql(cursor: Any) -> bool:
    """Rows that an older transaction may see are not taken away, so those that run are waited for."""
    older = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL "
    older += "AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < %s"
    began = cursor.execute("SELECT clock_timestamp()").fetchone()[0]
    ends = time.monotonic() + PATIENCE
    while cursor.execute(older, (began,)).fetchone()[0]:
        if time.monotonic() > ends:
            return False
        time.sleep(LOOK_AGAIN)
    for table in tables():
        # the log of older versions had free text, which was moved out of it
        if personal(table) or table.name == "fact":
            cursor.execute(f"VACUUM {table.name}")
    return True


def _sweep_sqlite(cursor: Any) -> bool:
    """What the file has is written anew, into the log of changes first, which is then written into the file and emptied."""
    cursor.execute(f"PRAGMA busy_timeout = {int(1000 * PATIENCE)}")
    try:
        cursor.execute("VACUUM")
        busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        raise
    return not busy


def classified(table: Table, column: Column[Any]) -> bool:
    """Whether it is said if a column may have something of a person, or it is of a kind that cannot."""
    holds_text = isinstance(column.type, LargeBinary | JSON) or column.type.python_type is str
    named = column.name in IMPERSONAL or f"{table.name}.{column.name}" in IMPERSONAL
    return not holds_text or bool(column.info.get("pii")) or bool(column.foreign_keys) or named


IMPERSONAL = {
    # said by us, or one of few words
    **dict.fromkeys(("state", "kind", "disposition", "condition", "wanted", "how", "ended", "disabled", "outcome", "topic",
                     "code", "place", "error", "why", "cause", "type", "currency", "series", "country", "area"),
                    "one of few words"),
    **dict.fromkeys(("id", "ref", "reference", "content", "request", "hash", "key", "sealed", "secrets", "by",
                     "leased_by", "settled_by", "fact", "field", "subject", "version", "charge"),
                    "made here, sealed, a hash, or an id that `check_opaque` has seen"),
    **dict.fromkeys(("recipient", "external_id", "tracking", "region", "source"), "an id or code that `check_opaque` has seen"),
    **dict.fromkeys(("service", "carrier", "channel", "calendar", "node", "sku", "webhook", "hold", "connection", "provider",
                     "policy", "shadow", "live", "wave", "external_sku", "account", "scopes", "types"),
                    "of the retailer's network"),
    # one by one
    "fact.payload": "facts without their free text (`engine.ledger`)",
    "event.data": "made of facts",
    "decision.body": "nodes, SKUs and costs", "shadow.body": "nodes, SKUs and costs", "rma.decision": "nodes and costs",
    "rma_line.reason": "one of few words",
    "sku.requires": "tags of the catalogue", "sku.tags": "tags of the catalogue", "sku.services": "of the network",
    "calendar.open_weekdays": "weekdays", "calendar.closed": "days", "calendar.holidays": "a country",
    "node.tags": "tags of the network", "node.address": "where a node is; papers have it",
    "service.card": "zones and cents", "channel.rules": "of the network", "setting.name": "one of few words",
    "setting.value": "what the retailer says of itself", "orders.pickup": "nodes", "consumer.name": "of a reader of ours",
    "timer.name": "of a task of ours", "wave.note": "why it ended", "api_key.name": "what staff call a key",
    "webhook.url": "where another system is", "job.settings": "format and currency",
    "payment.token": "sealed, and forgotten where nothing is left to be paid (`engine.payments.forget_tokens`)",
    "charge.body": "lines and cents", "invoice.body": "lines, taxes and who issued it", "order_bill.taxes": "rates and cents",
    "gateway_entry.answer": "states and cents", "connection.arrangement": "of the network",
    "channel_parcel.problem": "what the other shop says of units",
    "connection.push_problem": "a code of the other shop", "channel_item.problem": "a code of the other shop",
    "channel_order.destination": "a place of about a kilometre", "channel_order.said": "SKUs and units",
    "channel_order.waiting": "SKUs and units", "channel_issue.detail": "codes and SKUs",
}  # fmt: skip
"""Columns of text that say nothing of a person, by name, or by table and name; and why. A test finds what is not said."""
