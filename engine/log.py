"""The log of facts, read from a position on: what webhooks, exports and replays live on.

On PostgreSQL a fact gets its number before it is committed, so a later number may be seen before an earlier one. The log is
therefore read by transaction, then number, up to the oldest transaction that still runs: nothing appears where it was read already.
"""

from dataclasses import dataclass

from engine.database import Tx


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Behind an entry of the log; the first is `Position()`."""

    tx: int = 0
    no: int = 0

    def __str__(self) -> str:
        return f"{self.tx}-{self.no}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact in the log, as it was written (`payload` is JSON; `engine.facts.read_fact` makes it a fact again)."""

    position: Position
    id: str
    kind: str
    at: int
    subject: str
    by: str
    payload: str


def read_log(tx: Tx, after: Position, limit: int = 1000) -> list[Entry]:
    """The facts behind a position, in their order."""
    running = "AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint " if tx.dialect == "postgresql" else ""
    found = tx.all(
        "SELECT tx, no, id, kind, at, subject, by, payload FROM fact WHERE (tx, no) > (:tx, :no) "
        f"{running}ORDER BY tx, no LIMIT :limit",
        tx=after.tx,
        no=after.no,
        limit=limit,
    )
    return [Entry(Position(its_tx, no), *rest) for its_tx, no, *rest in found]


def facts_about(tx: Tx, subject: str, limit: int = 1000) -> list[Entry]:
    """What is known of an order, a SKU, a node or a hold, oldest first."""
    found = tx.all(
        "SELECT tx, no, id, kind, at, subject, by, payload FROM fact WHERE subject = :subject ORDER BY no LIMIT :limit",
        subject=subject,
        limit=limit,
    )
    return [Entry(Position(its_tx, no), *rest) for its_tx, no, *rest in found]


def position_of(tx: Tx, consumer: str) -> Position:
    """How far a reader of the log has come; nobody else moves it until the transaction ends."""
    tx.run("INSERT INTO consumer (name) VALUES (:name) ON CONFLICT (name) DO NOTHING", name=consumer)
    found = tx.first("SELECT fact_tx, fact_no FROM consumer WHERE name = :name" + tx.locking, name=consumer)
    assert found is not None, "it is made just now"
    return Position(*found)


def advance(tx: Tx, consumer: str, to: Position) -> bool:
    """Note how far a reader has come, and say whether that is further than before."""
    if to <= position_of(tx, consumer):
        return False
    tx.run("UPDATE consumer SET fact_tx = :tx, fact_no = :no WHERE name = :name", tx=to.tx, no=to.no, name=consumer)
    return True
