"""Notices: messages to customers as rows, each once for each event; and what customers do not want to be told.

A notice is leased, sent and marked, one after the other. Who dies between sending and marking leaves a notice that is sent a
second time; otherwise it is sent once. While nothing can be sent at all, notices wait as they are. The row knows the recipient's
id; name and address are looked up when it is sent, and kept nowhere else.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from engine.database import Tx, decoded
from engine.events import FRESH
from engine.reads import LAST
from engine.webhooks import SCHEDULE
from solver.refusal import Refusal

LEASE = 600_000
"""Milliseconds for which a notice is its worker's; longer than sending one message takes (`api.notices.Sender`)."""
REST = 60_000
"""Milliseconds until it is tried again where nothing can be sent."""
TOLD = (
    "order.confirmed", "order.delayed", "order.cancelled", "order.shipped", "order.ready_for_pickup",
    "order.out_for_delivery", "order.delivered", "return.approved", "return.received", "refund.owed",
)  # fmt: skip
"""The events that customers can be told of."""
Outcome = Literal["sent", "later", "skipped", "dead"]
State = Literal["waiting", "sent", "skipped", "dead"]


class NoticeSeen(msgspec.Struct, kw_only=True):
    """A message to a recipient: about which event, and what became of it."""

    event: str
    type: str
    subject: str
    recipient: str
    state: str
    why: str
    tries: int
    next_at: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Due:
    """A notice that is its worker's to send. What is personal is not shown, and goes no further than the message."""

    event_no: int
    event: str
    type: str
    data: dict[str, Any]
    recipient: str
    wanted: bool
    late: bool
    name: str | None = field(repr=False)
    contact: str | None = field(repr=False)
    locale: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a notice, and why, in a word."""

    event_no: int
    outcome: Outcome
    why: str = ""


def is_due(tx: Tx, at: int) -> bool:
    """Whether anything can be claimed: a look that writes nothing."""
    found = tx.first(
        "SELECT 1 FROM notice WHERE state = 'waiting' AND next_at <= :at "
        "AND (leased_until IS NULL OR leased_until <= :at) LIMIT 1",
        at=at,
    )
    return found is not None


def claim(tx: Tx, at: int, worker: str) -> Due | None:
    """Take the notice that is due first, for as long as the lease is."""
    skip = " FOR NO KEY UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    taken = tx.all(
        "UPDATE notice SET leased_by = :worker, leased_until = :until WHERE event_no IN (SELECT event_no FROM notice "
        "WHERE state = 'waiting' AND next_at <= :at AND (leased_until IS NULL OR leased_until <= :at) "
        f"ORDER BY next_at, event_no LIMIT 1{skip}) RETURNING event_no",
        worker=worker, until=at + LEASE, at=at,
    )  # fmt: skip
    if not taken:
        return None
    no, event, type, data, recipient, wanted, late, *person = tx.all(
        "SELECT n.event_no, e.id, e.type, e.data, n.recipient, NOT EXISTS (SELECT 1 FROM opt_out o "
        "WHERE o.recipient = n.recipient AND o.type IN ('', e.type)), e.at < :stale, r.name, r.contact, r.locale "
        "FROM notice n JOIN event e ON e.no = n.event_no LEFT JOIN recipient r ON r.id = n.recipient WHERE n.event_no = :no",
        no=taken[0][0], stale=at - FRESH,
    )[0]  # fmt: skip
    return Due(no, event, type, decoded(data), recipient, bool(wanted), bool(late), *person)


def settle(tx: Tx, at: int, worker: str, one: Result) -> None:
    """Note what came of a notice that is still the worker's; one that fails for now is tried again on the schedule of webhooks."""
    found = tx.first(
        "SELECT tries FROM notice WHERE event_no = :no AND state = 'waiting' AND leased_by = :worker" + tx.locking,
        no=one.event_no, worker=worker,
    )  # fmt: skip
    if found is None:
        return
    tries = found[0] + 1
    later = one.outcome == "later" and tries < len(SCHEDULE)
    state = "waiting" if later else "dead" if one.outcome == "later" else one.outcome
    tx.run(
        "UPDATE notice SET state = :state, why = :why, tries = :tries, next_at = :next, ended_at = :ended, "
        "leased_by = NULL, leased_until = NULL WHERE event_no = :no",
        no=one.event_no, state=state, why=one.why, tries=tries, next=at + SCHEDULE[tries] if later else at,
        ended=None if later else at,
    )  # fmt: skip


def put_off(tx: Tx, at: int, worker: str, why: str) -> int:
    """Nothing can be sent now: let all that are due wait, which is no failed try; returns how many.

    The worker's comes after the others then, so that it cannot hold them up if it alone is what cannot be sent.
    """
    free = "next_at <= :at AND (leased_until IS NULL OR leased_until <= :at)"
    skip = " FOR NO KEY UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    return tx.run(
        "UPDATE notice SET why = :why, next_at = CASE WHEN leased_by = :worker THEN :next + 1 ELSE :next END, "
        "leased_by = NULL, leased_until = NULL WHERE event_no IN (SELECT event_no FROM notice "
        f"WHERE state = 'waiting' AND (leased_by = :worker OR {free}) ORDER BY event_no{skip})",
        why=why, next=at + REST, worker=worker, at=at,
    )  # fmt: skip


def listed(
    tx: Tx, before: int | None, limit: int, state: str = "", recipient: str = ""
) -> list[tuple[int, NoticeSeen]]:
    """Notices with the numbers of their events, the newest first."""
    found = tx.all(
        "SELECT n.event_no, e.id, e.type, e.subject, n.recipient, n.state, n.why, n.tries, n.next_at, n.ended_at "
        "FROM notice n JOIN event e ON e.no = n.event_no WHERE n.event_no < :before AND (n.state = :state OR :state = '') "
        "AND (n.recipient = :recipient OR :recipient = '') ORDER BY n.event_no DESC LIMIT :limit",
        before=LAST if before is None else before, state=state, recipient=recipient, limit=limit,
    )  # fmt: skip
    return [
        (no, NoticeSeen(event=event, type=type, subject=subject, recipient=who, state=its, why=why, tries=tries,
                        next_at=next_at if its == "waiting" else None, ended_at=ended))
        for no, event, type, subject, who, its, why, tries, next_at, ended in found
    ]  # fmt: skip


def opt_outs(tx: Tx, recipient: str) -> list[str]:
    """Types of events that a recipient is not told of; '' is everything. Raises `unknown_recipient`."""
    if tx.first("SELECT 1 FROM recipient WHERE id = :id", id=recipient) is None:
        raise Refusal("recipient", f"there is no recipient {recipient!r}", "unknown_recipient")
    found = tx.all("SELECT type FROM opt_out WHERE recipient = :id ORDER BY type", id=recipient)
    return [type for (type,) in found]


def put_opt_outs(tx: Tx, at: int, recipient: str, types: Collection[str]) -> None:
    """Say what a recipient is not told of, in place of what was said. Raises `unknown_recipient`."""
    opt_outs(tx, recipient)
    tx.run("DELETE FROM opt_out WHERE recipient = :id", id=recipient)
    for type in sorted(set(types)):
        opt_out(tx, at, recipient, type)


def opt_out(tx: Tx, at: int, recipient: str, type: str) -> None:
    """Tell a recipient nothing more of such events; of none where the type is ''. Twice is once."""
    tx.run(
        "INSERT INTO opt_out (recipient, type, at) VALUES (:id, :type, :at) ON CONFLICT (recipient, type) DO NOTHING",
        id=recipient, type=type, at=at,
    )  # fmt: skip
