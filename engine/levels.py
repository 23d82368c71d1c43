"""What connections are told that they may sell: available to promise on their channel, where they were told something else last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.asking import wait_after
from engine.available import available_to_promise
from engine.catalogue import Catalogue, read_catalogue
from engine.connections import Connection, get_connection
from engine.database import Rows, Tx

PIECE = 1000
"""SKUs that are counted at once."""
LEASE = 300_000
"""Milliseconds for which nobody else tells a connection anything; longer than telling takes where it answers slowly."""
CATCH_UP = 10_000
"""Milliseconds that a connection has to tell us of orders that we have not heard of, where it has other levels than we thought."""
REST = 3_600_000
"""Milliseconds after which what a connection refused is told again."""
LONGEST_WAIT = 900_000
"""Milliseconds between tries where a connection does not answer, at most."""


@dataclass(frozen=True, slots=True)
class Change:
    """Units of an item that may be sold, and how many the connection was told before."""

    external_sku: str
    ref: str
    units: int
    before: int | None
    before_at: int


def due(tx: Tx, at: int) -> list[str]:
    """Connections that may be told something now."""
    found = tx.all("SELECT id FROM connection WHERE active AND push_at <= :at ORDER BY push_at, id", at=at)
    return [id for (id,) in found]


def lease(tx: Tx, id: str, at: int) -> Connection | None:
    """Take a connection to tell it levels, until `push_at`; nothing where somebody else has it, or where it is not due."""
    taken = tx.run("UPDATE connection SET push_at = :until WHERE id = :id AND active AND push_at <= :at",
                   until=at + LEASE, id=id, at=at)  # fmt: skip
    return get_connection(tx, id) if taken else None


def changes(tx: Tx, connection: Connection, at: int, limit: int) -> list[Change]:
    """What differs from what a connection was told: what is sold out first.

    Parameters
    ----------
    limit
        Items, at most.
    """
    found = tx.all(
        "SELECT external_sku, ref, sku_no, pushed, COALESCE(pushed_at, 0) FROM channel_item "
        "WHERE connection = :connection AND ref <> '' AND retry_at <= :at ORDER BY external_sku",
        connection=connection.id,
        at=at,
    )
    if not found:
        return []
    units = _units(tx, read_catalogue(tx, at), connection.channel, sorted({row[2] for row in found}), at)
    differ = [
        Change(external_sku, ref, units[sku_no], before, before_at)
        for external_sku, ref, sku_no, before, before_at in found
        if units[sku_no] != before
    ]
    differ.sort(key=lambda one: (one.units > 0, one.before is not None, one.external_sku))
    return differ[:limit]


def _units(tx: Tx, catalogue: Catalogue, channel: str, sku_no: Sequence[int], at: int) -> dict[int, int]:
    """Units of SKUs that a channel may sell now; of those on pre-order, before there are any."""
    units: dict[int, int] = {}
    for start in range(0, len(sku_no), PIECE):
        numbers = np.array(sku_no[start : start + PIECE], dtype=np.int64)
        found = available_to_promise(tx, catalogue, catalogue.skus_of(numbers), at, channel=channel, days=[])
        level = np.where(found.presale >= 0, np.minimum(found.presale, found.allotment), found.now)
        units |= dict(zip(numbers.tolist(), level.tolist(), strict=True))
    return units


def told(
    tx: Tx,
    connection: Connection,
    told: Sequence[Change],
    there: Mapping[str, int],
    refused: Mapping[str, str],
    at: int,
    wait: int,
) -> bool:
    """Write down what came of it, and say so: not where the lease was lost, and somebody else tells it by now.

    Parameters
    ----------
    there
        What the connection has now, by item. Where that is not what it was told, it waits until we have caught up.
    refused
        Items that it refuses, and why.
    wait
        Milliseconds before it may be told anything else.
    """
    if not _is_ours(tx, connection):
        return False
    rows = [
        (one.external_sku, there.get(one.external_sku, one.before), at + _later(one, there, refused),
         refused.get(one.external_sku, ""))
        for one in told
        if one.external_sku in there or one.external_sku in refused
    ]  # fmt: skip
    if rows:
        skus, units, retry_at, problems = (list(column) for column in zip(*rows, strict=True))
        tx.run(
            "UPDATE channel_item SET pushed = rows.units, pushed_at = :at, retry_at = rows.retry_at, problem = rows.problem "
            "FROM {rows} WHERE channel_item.connection = :connection AND channel_item.external_sku = rows.external_sku",
            Rows(external_sku=skus, units=units, retry_at=retry_at, problem=problems),
            connection=connection.id,
            at=at,
        )
    tx.run("UPDATE connection SET push_at = :next, push_tries = 0, push_problem = '' WHERE id = :id",
           next=at + wait, id=connection.id)  # fmt: skip
    return True


def _is_ours(tx: Tx, connection: Connection) -> bool:
    """Whether the lease of a connection is still what it was taken with; it stays so until the transaction ends."""
    sql = "SELECT 1 FROM connection WHERE id = :id AND push_at = :until" + tx.locking
    return tx.first(sql, id=connection.id, until=connection.push_at) is not None


def _later(one: Change, there: Mapping[str, int], refused: Mapping[str, str]) -> int:
    if one.external_sku in refused:
        return REST
    return 0 if there[one.external_sku] == one.units else CATCH_UP


def not_told(tx: Tx, connection: Connection, problem: str, at: int) -> None:
    """A connection could not be told: it is tried again, each time later; nothing where somebody else tells it by now."""
    if not _is_ours(tx, connection):
        return
    wait = wait_after(connection.push_tries + 1, LONGEST_WAIT)
    tx.run(
        "UPDATE connection SET push_at = :next, push_tries = push_tries + 1, push_problem = :problem WHERE id = :id",
        next=at + wait, problem=problem[:500], id=connection.id,
    )  # fmt: skip
