"""Long work that outlives the process that does it: jobs with a lease, in steps that may be done twice.

A worker claims the oldest job that waits, or whose worker has not been heard of since its lease ended. Between steps it says how
far it has come, and learns whether the job is still its own. A step that was
done, and not yet said to be, is done again: what steps do knows itself again (orders by their channel's id, facts by theirs).
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.database import Database, Tx, Unavailable, decoded
from solver.refusal import Refusal

LEASE = 15_000
"""Milliseconds after which a silent worker's job goes to another one."""
MOST_TRIES = 5
MOST_ERRORS = 10_000
"""Refused lines after which an import is given up."""
ENDED = ("done", "failed", "cancelled")
_SHOWN = "no, id, kind, state, by, created_at, started_at, ended_at, done, total, failed, tries, note"


@dataclass(frozen=True)
class Job:
    """A job as people see it. `done` of `total` steps, of which `failed` were refused."""

    no: int
    id: str
    kind: str
    state: str
    by: str
    created_at: int
    started_at: int | None
    ended_at: int | None
    done: int
    total: int
    failed: int
    tries: int
    note: str


class Lost(Exception):
    """The job is another worker's by now, or was cancelled."""


class Work:
    """A claimed job in the hands of its worker."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], int],
        worker: str,
        job: Job,
        given: bytes,
        settings: dict[str, Any],
    ) -> None:
        self.database, self.clock, self.worker = database, clock, worker
        self.job, self.given, self.settings = job, given, settings
        self.stop = threading.Event()
        """Set where the process is to end: the job is given back at the next step."""

    def advance(self, done: int, total: int, refused: Sequence[Mapping[str, Any]] = ()) -> None:
        """Say that steps were done, and which were refused.

        Raises
        ------
        Lost
            It is no longer ours to do.
        """
        lines = "".join(msgspec.json.encode(one).decode() + "\n" for one in refused)
        self._update(
            "done = :done, total = :total, failed = failed + :failed, errors = errors || :lines",
            done=done, total=total, failed=len(refused), lines=lines,
        )  # fmt: skip
        if self.stop.is_set():
            self.give_back()
            raise Lost(self.job.id)

    def beat(self) -> None:
        """Say that we are alive.

        Raises
        ------
        Lost
            It is no longer ours to do.
        """
        self._update("tries = tries")

    def give_back(self) -> None:
        """Let the next worker go on at once; this was no failed try."""
        self._update("state = 'waiting', leased_by = NULL, tries = tries - 1")

    def end(self, state: str, note: str = "", result: bytes | None = None) -> None:
        """End the job, and forget what it was given: people are in there.

        Raises
        ------
        Lost
            It is no longer ours to end.
        """
        self._update(
            "state = :state, note = :note, result = :result, ended_at = :ended, input = :nothing",
            state=state, note=note, result=result, ended=self.clock(), nothing=b"",
        )  # fmt: skip

    def _update(self, what: str, **values: Any) -> None:
        at = self.clock()

        def act(tx: Tx) -> int:
            return tx.run(
                f"UPDATE job SET {what}, leased_until = :until "
                "WHERE no = :no AND state = 'running' AND leased_by = :worker",
                until=at + LEASE, no=self.job.no, worker=self.worker, **values,
            )  # fmt: skip

        if not self.database.write(act):
            raise Lost(self.job.id)

    @contextmanager
    def beating(self, stop: threading.Event | None = None) -> Iterator[None]:
        """Keep the lease while one long step is done; `stop` is set where the job is not to be done any more."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(min(1.0, LEASE / 3000)):
                if stop is not None and self.stop.is_set():
                    stop.set()
                try:
                    self.beat()
                except Lost:
                    if stop is not None:
                        stop.set()
                    return
                except Unavailable:
                    continue

        thread = threading.Thread(target=beat, name="beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


Kind = Callable[[Work], bytes | None]
"""Does a job; gives its result, if it has one."""


def create(tx: Tx, at: int, id: str, kind: str, by: str, given: bytes, settings: Mapping[str, Any]) -> Job:
    """Make a job; the same id again is the same job."""
    tx.run(
        "INSERT INTO job (id, kind, by, created_at, input, settings) VALUES (:id, :kind, :by, :at, :given, :settings) "
        "ON CONFLICT (id) DO NOTHING",
        id=id, kind=kind, by=by, at=at, given=given, settings=msgspec.json.encode(settings).decode(),
    )  # fmt: skip
    return get(tx, id)


def get(tx: Tx, id: str) -> Job:
    """A job.

    Raises
    ------
    Refusal
        There is none of that id.
    """
    found = tx.first(f"SELECT {_SHOWN} FROM job WHERE id = :id", id=id)
    if found is None:
        raise Refusal("job", f"there is no job {id!r}", "unknown_job")
    return Job(*found)


def listed(tx: Tx, before: int | None, limit: int, state: str | None = None) -> list[Job]:
    """Jobs, the newest first, those made before one."""
    rows = tx.all(
        f"SELECT {_SHOWN} FROM job WHERE no < :before AND (state = :state OR :state = '') ORDER BY no DESC LIMIT :limit",
        before=(1 << 62) if before is None else before, limit=limit, state=state or "",
    )  # fmt: skip
    return [Job(*row) for row in rows]


def errors_of(tx: Tx, id: str) -> str:
    """One line of JSON for each line of input that was refused."""
    get(tx, id)
    return str(tx.value("SELECT errors FROM job WHERE id = :id", id=id))


def result_of(tx: Tx, id: str) -> bytes:
    """What a job gave.

    Raises
    ------
    Refusal
        It gave nothing, or not yet.
    """
    job = get(tx, id)
    result = tx.value("SELECT result FROM job WHERE id = :id", id=id)
    if result is None:
        raise Refusal("job", f"job {id!r} is {job.state} and has no result", "no_result")
    return bytes(result)


def cancel(tx: Tx, at: int, id: str) -> Job:
    """End a job that has not ended; its worker stops at the next step. What is done stays done."""
    get(tx, id)
    tx.run(
        "UPDATE job SET state = 'cancelled', ended_at = :at, input = :nothing "
        "WHERE id = :id AND state IN ('waiting', 'running')",
        id=id, at=at, nothing=b"",
    )  # fmt: skip
    return get(tx, id)


def forget(tx: Tx, before: int) -> int:
    """Delete the jobs that ended before then, and say how many."""
    ended = ", ".join(f"'{state}'" for state in ENDED)
    return tx.run(f"DELETE FROM job WHERE state IN ({ended}) AND ended_at < :before", before=before)


def claim(database: Database, clock: Callable[[], int], worker: str, kinds: Sequence[str]) -> Work | None:
    """The oldest job that waits for one of these kinds of work, if there is one."""
    at = clock()
    names = ", ".join(f"'{kind}'" for kind in sorted(kinds))
    skip = " FOR NO KEY UPDATE SKIP LOCKED" if database.dialect == "postgresql" else ""
    # nobody looks for work in a transaction that writes unless there is some
    waits = f"(state = 'waiting' OR (state = 'running' AND leased_until < :at)) AND kind IN ({names})"
    with database.read() as tx:
        if tx.first(f"SELECT 1 FROM job WHERE {waits} LIMIT 1", at=at) is None:
            return None

    def act(tx: Tx) -> tuple[Any, ...] | None:
        return tx.first(
            "UPDATE job SET state = 'running', started_at = COALESCE(started_at, :at), leased_by = :worker, "
            f"leased_until = :until, tries = tries + 1 WHERE no = (SELECT no FROM job WHERE {waits} "
            f"ORDER BY no LIMIT 1{skip}) RETURNING {_SHOWN}, input, settings",
            at=at, worker=worker, until=at + LEASE,
        )  # fmt: skip

    found = database.write(act)
    if found is None:
        return None
    *shown, given, settings = found
    told = decoded(settings)
    return Work(database, clock, worker, Job(*shown), bytes(given), told)


def perform(work: Work, kinds: Mapping[str, Kind]) -> str:
    """Do a claimed job and say how it ended: done, failed, or lost to somebody else."""
    try:
        if work.job.tries > MOST_TRIES:
            work.end("failed", f"given up: {MOST_TRIES} workers did not come to its end")
            return "failed"
        try:
            result = kinds[work.job.kind](work)
        except Refusal as refusal:
            work.end("failed", str(refusal))
            return "failed"
        work.end("done", result=result)
    except Lost:
        return "lost"
    return "done"


def due(tx: Tx, name: str, at: int, every: int) -> bool:
    """Whether something that happens every so many milliseconds is to begin now, by whoever asked: one is told yes."""
    tx.run("INSERT INTO timer (name, at) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING", name=name)
    return bool(
        tx.run("UPDATE timer SET at = :at WHERE name = :name AND at <= :before", name=name, at=at, before=at - every)
    )
