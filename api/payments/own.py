"""The embedded provider: a ledger in the database that does what a provider does. It moves no money and needs no account.

It is for trying things out, and for shops whose money moves elsewhere. What tokens say: `tok_declined` is declined, `tok_silent` is
never answered, `tok_late` is done and answered only when it is asked again, `tok_once` can be captured once, `tok_short` is kept
for an hour, `tok_no_capture` cannot be captured. Any other is good for seven days and any number of captures.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from api.payments import Asked, Declined, Kept, NoAnswer, Wanted
from engine.database import Database, Tx
from solver.refusal import Refusal

HOUR = 3_600_000
WEEK = 7 * 24 * HOUR


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered to a key; `behaves`: what the token said."""

    reference: str = ""
    expires_at: int = 0
    often: bool = True
    declined: str = ""
    behaves: str = ""


_ANSWER = msgspec.json.Decoder(Answer)


@dataclass(frozen=True, slots=True)
class Own:
    """Keeps, takes and gives back on paper."""

    database: Database
    clock: Callable[[], int]

    def authorise(self, wanted: Wanted) -> Kept:
        """Keep money, unless the token says otherwise."""
        if wanted.token == "tok_silent":  # noqa: S105
            raise NoAnswer
        now = self.clock()
        answer = Answer(
            reference="own_" + hashlib.sha256(wanted.key.encode()).hexdigest()[:20],
            expires_at=now + (HOUR if wanted.token == "tok_short" else WEEK),  # noqa: S105
            often=wanted.token != "tok_once",  # noqa: S105
            declined="card_declined" if wanted.token == "tok_declined" else "",  # noqa: S105
            behaves=wanted.token if wanted.token in ("tok_late", "tok_no_capture") else "",
        )
        told, new = self.database.write(
            lambda tx: _note(tx, wanted.key, answer.reference, "authorise", wanted.cents, answer)
        )
        if told.declined:
            raise Declined(told.declined)
        _late(told, new)
        return Kept(told.reference, told.expires_at, told.often)

    def capture(self, asked: Asked) -> None:
        """Take what is kept: no more, and not after its time."""

        def act(tx: Tx, first: Answer) -> str:
            if first.behaves == "tok_no_capture":
                return "card_declined"
            if self.clock() >= first.expires_at:
                return "expired"
            if asked.cents > _kept(tx, asked.reference):
                return "amount_too_large"
            return ""

        self._do(asked, "capture", act)

    def void(self, asked: Asked) -> None:
        """Let go what is kept."""
        self._do(asked, "void", lambda _tx, _first: "")

    def refund(self, asked: Asked) -> None:
        """Give back what was taken: no more."""

        def act(tx: Tx, _first: Answer) -> str:
            sums = _sums(tx, asked.reference)
            return "amount_too_large" if asked.cents > sums.get("capture", 0) - sums.get("refund", 0) else ""

        self._do(asked, "refund", act)

    def _do(self, asked: Asked, kind: str, act: Callable[[Tx, Answer], str]) -> None:
        def write(tx: Tx) -> tuple[Answer, bool, Answer]:
            row = tx.first(
                f"SELECT answer FROM gateway_entry WHERE reference = :reference AND kind = 'authorise'{tx.locking}",  # noqa: S608
                reference=asked.reference,
            )
            if row is None:
                raise Refusal("reference", f"there is no {asked.reference!r}", "unknown_payment")
            first = _ANSWER.decode(row[0])
            again = tx.first("SELECT answer FROM gateway_entry WHERE key = :key", key=asked.key)
            if again is not None:
                return _ANSWER.decode(again[0]), False, first
            declined = act(tx, first)
            # a call that is declined moves nothing, and a later one may be right
            if declined:
                return Answer(declined=declined), False, first
            told, new = _note(tx, asked.key, asked.reference, kind, asked.cents, Answer())
            if kind == "capture" and not first.often:
                rest = _kept(tx, asked.reference)
                _note(tx, f"{asked.key}:rest", asked.reference, "void", rest, Answer())
            return told, new, first

        told, new, first = self.database.write(write)
        if told.declined:
            raise Declined(told.declined)
        _late(first, new)


def _late(answer: Answer, new: bool) -> None:
    """What was done just now is told only when it is asked for again."""
    if new and answer.behaves == "tok_late":
        raise NoAnswer


def _note(tx: Tx, key: str, reference: str, kind: str, cents: int, answer: Answer) -> tuple[Answer, bool]:
    """Write an entry, once for its key; gives what was answered first, and whether that is this."""
    new = tx.run(
        "INSERT INTO gateway_entry (key, reference, kind, cents, answer) VALUES (:key, :reference, :kind, :cents, :answer) "
        "ON CONFLICT (key) DO NOTHING",
        key=key, reference=reference, kind=kind, cents=0 if answer.declined else cents,
        answer=msgspec.json.encode(answer).decode(),
    )  # fmt: skip
    return _ANSWER.decode(tx.value("SELECT answer FROM gateway_entry WHERE key = :key", key=key)), new > 0


def _sums(tx: Tx, reference: str) -> dict[str, int]:
    rows = tx.all(
        "SELECT kind, SUM(cents) FROM gateway_entry WHERE reference = :reference GROUP BY kind", reference=reference
    )
    return {kind: int(cents) for kind, cents in rows}


def _kept(tx: Tx, reference: str) -> int:
    sums = _sums(tx, reference)
    return sums.get("authorise", 0) - sums.get("capture", 0) - sums.get("void", 0)
