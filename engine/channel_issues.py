"""What of the words of channels could not be done here: for people to look at, until it is done or somebody saw to it."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from engine import reads
from engine.database import Rows, Tx
from engine.facts import short_id
from solver.refusal import Refusal

LONGEST = 500
"""Characters of what an issue tells."""
ALREADY_RELEASED = "already_released"
NOT_HERE = "order_not_here"
TO_FORGET, DATA_ASKED = "to_forget", "data_asked"
NOT_TOLD = "parcel_not_told"
STAYS = (TO_FORGET, DATA_ASKED, NOT_TOLD)
"""Issues that what is said of an order later does not end."""
BUG, WENT_WRONG = "bug", "something went wrong here; it was logged"

Problem = tuple[str, str, str]
"""Code, place, and what is wrong."""
Settles = Literal["all", "tried", "released"]
"""Which issues of an order end where they are none any more: all, those about units that were released, or these and what went
wrong here before."""


class IssueSeen(msgspec.Struct, kw_only=True):
    """Something that could not be done; `retries`: whether it can be tried again."""

    id: str
    connection: str
    external_id: str
    order: str | None
    code: str
    place: str
    detail: str
    state: str
    at: int
    times: int
    settled_at: int | None
    retries: bool


_ISSUES = (
    "SELECT i.no, i.id, i.connection, i.external_id, o.id, i.code, i.place, i.detail, i.state, i.at, i.times, i.settled_at, "
    f"CASE WHEN i.code = '{NOT_TOLD}' OR c.said <> '' OR (c.waiting <> '' AND c.order_no IS NOT NULL) THEN 1 ELSE 0 END "
    "FROM channel_issue i "
    "LEFT JOIN channel_order c ON c.connection = i.connection AND c.external_id = i.external_id "
    "LEFT JOIN orders o ON o.no = c.order_no"
)


def issues(
    tx: Tx, before: int | None, limit: int, *, connection: str = "", state: str = ""
) -> list[tuple[int, IssueSeen]]:
    """What could not be done, the newest first, with the numbers by which the list goes on."""
    rows = tx.all(
        f"{_ISSUES} WHERE i.no < :before AND (i.connection = :connection OR :connection = '') "
        "AND (i.state = :state OR :state = '') ORDER BY i.no DESC LIMIT :limit",
        before=reads.LAST if before is None else before, limit=limit, connection=connection, state=state,
    )  # fmt: skip
    return [(row[0], _issue(row)) for row in rows]


def issue(tx: Tx, id: str) -> IssueSeen:
    """One issue.

    Raises
    ------
    Refusal
        `unknown_issue`.
    """
    found = tx.first(f"{_ISSUES} WHERE i.id = :id", id=id)
    if found is None:
        raise Refusal("issue", f"there is no issue {id!r}", "unknown_issue")
    return _issue(found)


def settle(tx: Tx, id: str, at: int, by: str) -> IssueSeen:
    """Say that somebody saw to an issue; the same problem again is not told again.

    Raises
    ------
    Refusal
        `unknown_issue`, or `not_forgotten`: somebody is still to be forgotten, which ends it.
    """
    if issue(tx, id).code == TO_FORGET:
        raise Refusal("issue", "it ends by itself, once whom it is about is forgotten", "not_forgotten")
    tx.run("UPDATE channel_issue SET state = 'settled', settled_at = :at, settled_by = :by "
           "WHERE id = :id AND state = 'open'", at=at, by=by, id=id)  # fmt: skip
    return issue(tx, id)


def _issue(row: Sequence[Any]) -> IssueSeen:
    said = dict(zip(IssueSeen.__struct_fields__, row[1:], strict=True))
    return IssueSeen(**{**said, "retries": bool(said["retries"]) and said["state"] == "open"})


def raise_issues(tx: Tx, connection: str, external_id: str, problems: Sequence[Problem], at: int) -> int:
    """Tell people of these; what somebody settled already, as it is now, is not told again. How many there are."""
    told = {(code, place[:200]): detail[:LONGEST] for code, place, detail in problems}
    if not told:
        return 0
    again = (
        "channel_issue.state = 'settled' AND channel_issue.settled_by <> '' AND channel_issue.detail = excluded.detail"
    )
    tx.run(
        "INSERT INTO channel_issue (id, connection, external_id, code, place, detail, at) "
        "SELECT id, :connection, :external_id, code, place, detail, :at FROM {rows} WHERE true "
        "ON CONFLICT (connection, external_id, code, place) DO UPDATE SET detail = excluded.detail, at = excluded.at, "
        f"times = channel_issue.times + 1, state = CASE WHEN {again} THEN 'settled' ELSE 'open' END, "
        f"settled_at = CASE WHEN {again} THEN channel_issue.settled_at END, "
        f"settled_by = CASE WHEN {again} THEN channel_issue.settled_by ELSE '' END",
        Rows(
            id=[short_id("iss", connection, external_id, code, place) for code, place in told],
            code=[code for code, _ in told],
            place=[place for _, place in told],
            detail=list(told.values()),
        ),
        connection=connection, external_id=external_id, at=at,
    )  # fmt: skip
    return len(told)


def end_issues(tx: Tx, connection: str, external_id: str, code: str, place: str, at: int) -> None:
    """Something is no problem any more."""
    tx.run(
        "UPDATE channel_issue SET state = 'settled', settled_at = :at WHERE connection = :connection "
        "AND external_id = :external_id AND code = :code AND place = :place AND state = 'open'",
        connection=connection, external_id=external_id, code=code, place=place, at=at,
    )  # fmt: skip


def settle_others(
    tx: Tx, connection: str, external_id: str, problems: Sequence[Problem], at: int, settles: Settles
) -> None:
    """What was a problem of an order before and is none now is settled."""
    kept = [short_id("iss", connection, external_id, code, place[:200]) for code, place, _ in problems]
    but = "AND id NOT IN (SELECT id FROM {rows})" if kept else ""
    released = f"code = '{ALREADY_RELEASED}' AND place LIKE 'lines[%'"
    of = {
        "all": f"code NOT IN ({', '.join(map(repr, STAYS))})",
        "tried": f"(code = '{BUG}' OR {released})",
        "released": released,
    }[settles]
    tx.run(
        "UPDATE channel_issue SET state = 'settled', settled_at = :at WHERE connection = :connection "
        f"AND external_id = :external_id AND state = 'open' AND {of} {but}",
        Rows(id=kept) if kept else None,
        connection=connection, external_id=external_id, at=at,
    )  # fmt: skip
