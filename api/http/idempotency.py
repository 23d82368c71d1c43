"""`Idempotency-Key`: one effect, and the same answer again, however often a request is sent.

A key is taken before the work begins, with a lease that is renewed while the work goes on, and gets its answer after. Where the
process dies in between, the lease ends and the next one with the key does the work again, which is safe: facts, orders and holds
have ids made from the key, and know themselves again. Where much is done at once, key, work and answer are one transaction
(`once`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
from starlette.responses import Response

from api.http.problems import Refused
from engine.database import Ask, Database, Rows, Tx

REPLAYED = "Idempotency-Replayed"


@dataclass(frozen=True)
class Asked:
    """A request with a key. `request` is the hash of its method, path, media type, If-Match and body."""

    owner: str
    key: str
    request: str
    at: int
    until: int


@dataclass(frozen=True)
class Answered:
    """What a key was answered before, byte for byte."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def by(cls, answer: Response) -> Self:
        """What an answer says."""
        kept = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return cls(answer.status_code, kept, bytes(answer.body))


@dataclass(frozen=True)
class Taken:
    """What became of a key: ours to answer (`mine`), answered, in flight elsewhere, or of another request (`differs`)."""

    mine: bool = False
    differs: bool = False
    answered: Answered | None = None


def take(tx: Tx, asked: Sequence[Asked]) -> list[Taken]:
    """Take some keys, each once."""
    first: dict[tuple[str, str], int] = {}
    for number, one in enumerate(asked):
        first.setdefault((one.owner, one.key), number)
    chosen = sorted(first.values(), key=lambda number: (asked[number].owner, asked[number].key))
    rows = Rows(
        owner=[asked[n].owner for n in chosen],
        key=[asked[n].key for n in chosen],
        request=[asked[n].request for n in chosen],
        at=[asked[n].at for n in chosen],
        until=[asked[n].until for n in chosen],
    )
    got = {
        (owner, key)
        for owner, key in tx.all(
            "INSERT INTO idempotency AS kept (owner, key, request, at, until) "
            "SELECT owner, key, request, at, until FROM {rows} WHERE true "
            "ON CONFLICT (owner, key) DO UPDATE SET at = excluded.at, until = excluded.until "
            "WHERE kept.status IS NULL AND kept.until < excluded.at AND kept.request = excluded.request "
            "RETURNING owner, key",
            rows,
        )
    }
    others = [n for n in range(len(asked)) if (asked[n].owner, asked[n].key) not in got]
    kept = _kept(tx, [asked[n] for n in others])
    taken = []
    for number, one in enumerate(asked):
        where = (one.owner, one.key)
        if where in got:
            winner = asked[first[where]]
            taken.append(Taken(mine=first[where] == number, differs=one.request != winner.request))
        else:
            request, answered = kept.get(where, (one.request, None))
            taken.append(Taken(differs=request != one.request, answered=answered))
    return taken


def _kept(tx: Tx, asked: Sequence[Asked]) -> dict[tuple[str, str], tuple[str, Answered | None]]:
    if not asked:
        return {}
    found = tx.all(
        "SELECT kept.owner, kept.key, kept.request, kept.status, kept.headers, kept.body FROM idempotency AS kept "
        "JOIN {rows} ON kept.owner = rows.owner AND kept.key = rows.key",
        Rows(owner=[one.owner for one in asked], key=[one.key for one in asked]),
    )
    return {
        (owner, key): (
            request,
            None if status is None else Answered(status, msgspec.json.decode(headers), body.encode()),
        )
        for owner, key, request, status, headers, body in found
    }


def finish(tx: Tx, done: Sequence[tuple[Asked, Answered]]) -> None:
    """Keep answers."""
    done = sorted(done, key=lambda one: (one[0].owner, one[0].key))
    kept = Ask(
        "UPDATE idempotency SET status = rows.status, headers = rows.headers, body = rows.body, until = NULL "
        "FROM {rows} WHERE idempotency.owner = rows.owner AND idempotency.key = rows.key "
        "AND idempotency.request = rows.request AND idempotency.status IS NULL",
        Rows(
            owner=[asked.owner for asked, _ in done],
            key=[asked.key for asked, _ in done],
            request=[asked.request for asked, _ in done],
            status=[answer.status for _, answer in done],
            headers=[msgspec.json.encode(answer.headers).decode() for _, answer in done],
            body=[answer.body.decode() for _, answer in done],
        ),
    )
    tx.later(kept)


def renew(tx: Tx, asked: Asked, until: int) -> None:
    """Keep a key that is still being answered."""
    tx.run(
        "UPDATE idempotency SET until = :until "
        "WHERE owner = :owner AND key = :key AND request = :request AND status IS NULL",
        owner=asked.owner,
        key=asked.key,
        request=asked.request,
        until=until,
    )


def give_up(tx: Tx, asked: Asked) -> None:
    """Let a key be tried again at once: nothing was answered, and nothing is known to be done."""
    tx.run(
        "DELETE FROM idempotency WHERE owner = :owner AND key = :key AND request = :request AND status IS NULL",
        owner=asked.owner,
        key=asked.key,
        request=asked.request,
    )


def forget(tx: Tx, before: int) -> int:
    """Delete what was asked before a moment; says how many."""
    return tx.run("DELETE FROM idempotency WHERE at < :before", before=before)


def once(
    tx: Tx, asked: Sequence[Asked | None], work: Callable[[list[int]], Sequence[Response]]
) -> list[Taken | Response]:
    """Do some work of which each piece has a key or none, and keep the answers, all in this transaction.

    Parameters
    ----------
    work
        Does the pieces of these numbers, and answers each.

    Returns
    -------
    list
        For each piece its answer, or what became of its key where it was not done.
    """
    keyed = [(i, one) for i, one in enumerate(asked) if one is not None]
    takes = dict(zip([i for i, _ in keyed], take(tx, [one for _, one in keyed]), strict=True)) if keyed else {}
    todo = [i for i in range(len(asked)) if i not in takes or takes[i].mine]
    answers = dict(zip(todo, work(todo), strict=True)) if todo else {}
    done = [(one, Answered.by(answers[i])) for i, one in keyed if i in answers]
    if done:
        finish(tx, done)
    return [answers[i] if i in answers else takes[i] for i in range(len(asked))]


def take_all(database: Database, asked: Sequence[Asked]) -> list[Taken]:
    """`take` in a transaction of its own."""

    def act(tx: Tx) -> list[Taken]:
        if tx.dialect == "postgresql":  # a key that is lost in a crash is simply tried again
            tx.run("SET LOCAL synchronous_commit = off")
        return take(tx, asked)

    return database.write(act)


def finish_all(database: Database, done: Sequence[tuple[Asked, Answered]]) -> list[None]:
    """`finish` in a transaction of its own."""
    database.write(lambda tx: finish(tx, done))
    return [None] * len(done)


def as_before(taken: Taken) -> Response:
    """The answer to a request whose key somebody took.

    Raises
    ------
    Refused
        Somebody still has it, or it was used for another request.
    """
    if taken.differs:
        detail = "this Idempotency-Key was used for another request"
        raise Refused("idempotency_key_reused", detail, pointer="Idempotency-Key")
    if taken.answered is None:
        raise Refused("in_flight", "a request with this Idempotency-Key is being answered", {"Retry-After": "1"})
    before = taken.answered
    return Response(before.body, before.status, {**before.headers, REPLAYED: "true"})
