"""What channels are told of parcels of their orders that have left: each once it has, and until it is known to be told.

It is a reader of the log with a position of its own: whoever ships knows nothing of channels. A parcel that waits is taken for a
minute, told, and then written down as told; whoever dies in between has told it, or has not: the next one tells it again.
"""

from collections.abc import Mapping, Sequence

import msgspec

from engine.asking import wait_after
from engine.channel_issues import NOT_TOLD, Problem, end_issues, raise_issues
from engine.database import Rows, Tx
from engine.log import advance, position_of, read_log
from solver.refusal import Refusal

READER = "channel_parcels"
LEFT = ("Shipped", "ReadyForPickup")
"""Kinds of facts by which something may have left."""
LEASE = 60_000
"""Milliseconds for which nobody else tells of a parcel."""
MOST_TRIES = 100
"""Times that a channel is told of a parcel that it refuses, and that it may not answer before people are told: four days."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel that has left.

    Attributes
    ----------
    no, id
        The consignment.
    order
        What the connection calls the order.
    lines
        Units by what it calls the line.
    tracking, carrier
        '' where there is none.
    last
        Whether nothing more of the order is to leave.
    leased_until
        When the lease ends.
    """

    no: int
    id: str
    connection: str
    order: str
    lines: Mapping[str, int]
    tracking: str
    carrier: str
    shipped_at: int
    last: bool
    tries: int
    leased_until: int


def follow(tx: Tx, at: int, limit: int = 500) -> int:
    """Read on in the log, and note parcels of channels' orders that have left; says how many facts were read."""
    entries = read_log(tx, position_of(tx, READER), limit)
    if not entries:
        return 0
    gone = {msgspec.json.decode(one.payload)["consignment"] for one in entries if one.kind in LEFT}
    if gone:
        tx.run(
            "INSERT INTO channel_parcel (consignment_no, connection, next_at) "
            "SELECT k.no, c.connection, :at FROM {rows} JOIN consignment k ON k.id = rows.id "
            "JOIN channel_order c ON c.order_no = k.order_no WHERE k.shipped_at IS NOT NULL ORDER BY k.no "
            "ON CONFLICT (consignment_no) DO NOTHING",
            Rows(id=sorted(gone)),
            at=at,
        )
    advance(tx, READER, entries[-1].position)
    return len(entries)


def is_to_follow(tx: Tx) -> bool:
    """Whether there are orders of channels at all: a look that writes nothing."""
    return tx.first("SELECT 1 FROM channel_order WHERE order_no IS NOT NULL LIMIT 1") is not None


def due(tx: Tx, at: int, limit: int = 100) -> list[tuple[int, str]]:
    """Parcels that channels may be told of now, so many of each connection, those that left first; and the connection of each."""
    return tx.all(
        "SELECT no, connection FROM (SELECT p.consignment_no AS no, p.connection, "
        "ROW_NUMBER() OVER (PARTITION BY p.connection ORDER BY p.consignment_no) AS place "
        "FROM channel_parcel p JOIN connection c ON c.id = p.connection "
        "WHERE p.state = 'waiting' AND p.next_at <= :at AND c.active) AS waiting WHERE place <= :limit ORDER BY no",
        at=at, limit=limit,
    )  # fmt: skip


def lease(tx: Tx, no: int, at: int) -> Left | None:
    """Take a parcel to tell of it; nothing where somebody else has it."""
    taken = tx.run(
        "UPDATE channel_parcel SET next_at = :until, tries = tries + 1 "
        "WHERE consignment_no = :no AND state = 'waiting' AND next_at <= :at",
        until=at + LEASE, no=no, at=at,
    )  # fmt: skip
    if not taken:
        return None
    found = tx.first(
        "SELECT k.no, k.id, p.connection, c.external_id, COALESCE(k.tracking, ''), COALESCE(l.carrier, ''), k.shipped_at, "
        "o.open + o.allocated + o.released = 0, p.tries FROM channel_parcel p JOIN consignment k ON k.no = p.consignment_no "
        "JOIN orders o ON o.no = k.order_no JOIN channel_order c ON c.order_no = k.order_no "
        "LEFT JOIN label l ON l.consignment_no = k.no AND l.state = 'made' WHERE p.consignment_no = :no",
        no=no,
    )
    assert found is not None, "what is known of an order stays for as long as the order does"
    lines = tx.all(
        "SELECT l.ref, MAX(c.line_units) FROM consignment k JOIN consignment_line c ON c.consignment_no = k.no "
        "JOIN channel_line l ON l.order_no = k.order_no AND l.number = c.number "
        "WHERE k.no = :no AND c.line_units > 0 GROUP BY l.ref ORDER BY l.ref",
        no=no,
    )
    id, connection, order, tracking, carrier, shipped_at, last, tries = found[1:]
    return Left(
        no=no, id=id, connection=connection, order=order, lines=dict(lines), tracking=tracking, carrier=carrier,
        shipped_at=shipped_at, last=bool(last), tries=tries, leased_until=at + LEASE,
    )  # fmt: skip


def settle(tx: Tx, left: Left, at: int, *, refused: str = "", problem: str = "", wait: int = 0) -> None:
    """Write down what came of telling of a parcel: it was told, or it is tried again later, and people are told why not.

    Nothing is written where the lease was lost, and somebody else tells of it by now.

    Parameters
    ----------
    refused, problem
        Why it refuses, or does not answer.
    wait
        Milliseconds for which the channel wants to be left alone; nothing was told.
    """
    state, next_at, tries, why = "told", at, left.tries, (refused or problem)[:500]
    over = tries >= MOST_TRIES
    if wait:
        state, next_at, tries = "waiting", at + wait, left.tries - 1
    elif why:
        state, next_at = "refused" if refused and over else "waiting", at + wait_after(tries)
    ours = tx.run(
        "UPDATE channel_parcel SET state = :state, next_at = :next_at, tries = :tries, problem = :problem "
        "WHERE consignment_no = :no AND state = 'waiting' AND next_at = :until",
        no=left.no, state=state, next_at=next_at, tries=tries, problem=why, until=left.leased_until,
    )  # fmt: skip
    if not ours:
        return
    if state == "told":
        end_issues(tx, left.connection, left.order, NOT_TOLD, _place(left.id), at)
    elif refused or (problem and over):
        why = f"which refuses it: {refused}" if refused else f"and is tried on: {problem}"
        told: Sequence[Problem] = [(NOT_TOLD, _place(left.id), f"what has left is not told there, {why}")]
        raise_issues(tx, left.connection, left.order, told, at)


def tell_again(tx: Tx, place: str, at: int) -> None:
    """Have the parcel told now that an issue is about, once no one is telling of it.

    Raises
    ------
    Refusal
        `nothing_to_retry`: it is told.
    """
    found = tx.run(
        "UPDATE channel_parcel SET tries = 0, next_at = CASE WHEN state = 'waiting' AND next_at <= :leased THEN next_at "
        "ELSE :at END, state = 'waiting' WHERE state <> 'told' "
        "AND consignment_no = (SELECT no FROM consignment WHERE id = :id)",
        leased=at + LEASE, at=at, id=place.removeprefix("consignments[").removesuffix("]"),
    )  # fmt: skip
    if not found:
        raise Refusal("issue", "the parcel is told", "nothing_to_retry")


def _place(id: str) -> str:
    return f"consignments[{id}]"
