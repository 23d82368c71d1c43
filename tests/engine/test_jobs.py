"""Jobs that outlive their workers, on both databases."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from engine import jobs
from engine.database import Database
from engine.jobs import LEASE, MOST_TRIES, Lost, Work
from solver.refusal import Refusal


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(database: Database) -> Callable[..., jobs.Job]:
    def create(id: str = "job_1", kind: str = "count", **settings: Any) -> jobs.Job:
        return database.write(lambda tx: jobs.create(tx, 5, id, kind, "key", b"abc\xff", settings))

    return create


def state(database: Database, id: str = "job_1") -> jobs.Job:
    with database.read() as tx:
        return jobs.get(tx, id)


def leased_until(database: Database) -> int:
    with database.read() as tx:
        return int(tx.value("SELECT leased_until FROM job"))


def claimed(database: Database, clock: Clock, worker: str = "w1") -> Work:
    work = jobs.claim(database, clock, worker, ["count"])
    assert work is not None
    return work


def test_a_job_is_done_by_one_worker_with_all_that_it_was_given(
    database: Database, clock: Clock, make: Callable[..., jobs.Job]
) -> None:
    make(of="orders")
    make("job_2", kind="other")
    work = claimed(database, clock)
    assert (work.given, work.settings) == (b"abc\xff", {"of": "orders"})
    assert jobs.claim(database, clock, "w2", ["count"]) is None

    def count(work: Work) -> bytes:
        work.advance(2, 3, [{"line": 2, "code": "bad"}])
        work.advance(3, 3, [{"line": 3, "code": "worse"}])
        return b'{"three": 3}'

    assert jobs.perform(work, {"count": count}) == "done"
    job = state(database)
    assert (job.state, job.done, job.total, job.failed, job.ended_at) == ("done", 3, 3, 2, clock.at)
    with database.read() as tx:
        assert [msgspec.json.decode(line)["line"] for line in jobs.errors_of(tx, "job_1").splitlines()] == [2, 3]
        assert jobs.result_of(tx, "job_1") == b'{"three": 3}'
        with pytest.raises(Refusal, match="has no result"):
            jobs.result_of(tx, "job_2")


def test_the_same_job_made_twice_is_one(database: Database, make: Callable[..., jobs.Job]) -> None:
    assert make() == make()


def test_a_dead_workers_job_goes_to_another_who_goes_on_where_it_was(
    database: Database, clock: Clock, make: Callable[..., jobs.Job]
) -> None:
    make()
    dead = claimed(database, clock, "dead")
    dead.advance(1, 3)
    clock.at += LEASE
    assert jobs.claim(database, clock, "w2", ["count"]) is None
    clock.at += 1
    alive = claimed(database, clock, "w2")
    assert (alive.job.done, alive.job.tries) == (1, 2)
    with pytest.raises(Lost):
        dead.advance(2, 3)
    with pytest.raises(Lost):
        dead.end("done")
    alive.advance(3, 3)
    alive.end("done")
    assert state(database).state == "done"


def test_a_job_that_nobody_comes_to_the_end_of_is_given_up(
    database: Database, clock: Clock, make: Callable[..., jobs.Job]
) -> None:
    make()
    for _ in range(MOST_TRIES):
        claimed(database, clock)
        clock.at += LEASE + 1
    assert jobs.perform(claimed(database, clock), {"count": lambda _: pytest.fail("tried again")}) == "failed"
    assert "given up" in state(database).note


def test_a_job_that_is_given_back_was_no_failed_try(
    database: Database, clock: Clock, make: Callable[..., jobs.Job]
) -> None:
    make()
    for done in range(MOST_TRIES + 2):
        work = claimed(database, clock)
        work.stop.set()

        def step(work: Work, done: int = done) -> None:
            work.advance(done, 10)

        assert jobs.perform(work, {"count": step}) == "lost"
    assert (state(database).state, state(database).tries, state(database).done) == ("waiting", 0, MOST_TRIES + 1)


def test_a_cancelled_job_stops_at_its_next_step(
    database: Database, clock: Clock, make: Callable[..., jobs.Job]
) -> None:
    make()

    def count(work: Work) -> None:
        work.advance(1, 3)
        database.write(lambda tx: jobs.cancel(tx, clock.at, "job_1"))
        work.advance(2, 3)

    assert jobs.perform(claimed(database, clock), {"count": count}) == "lost"
    assert (state(database).state, state(database).done) == ("cancelled", 1)
    assert database.write(lambda tx: jobs.cancel(tx, clock.at + 1, "job_1")).ended_at == clock.at


def test_what_a_job_was_given_is_forgotten_at_its_end_and_the_job_some_days_later(
    database: Database, clock: Clock, make: Callable[..., jobs.Job]
) -> None:
    make()
    make("job_2")
    make("job_3")
    jobs.perform(claimed(database, clock), {"count": lambda _: b"{}"})
    clock.at += 10
    database.write(lambda tx: jobs.cancel(tx, clock.at, "job_2"))
    with database.read() as tx:
        given = [bytes(given) for (given,) in tx.all("SELECT input FROM job ORDER BY no")]
    assert given == [b"", b"", b"abc\xff"]
    assert database.write(lambda tx: jobs.forget(tx, clock.at)) == 1
    with database.read() as tx:
        assert [job.id for job in jobs.listed(tx, None, 9)] == ["job_3", "job_2"]


def test_a_refused_job_says_why(database: Database, clock: Clock, make: Callable[..., jobs.Job]) -> None:
    make()

    def refuse(_work: Work) -> None:
        raise Refusal("wave", "is none")

    assert jobs.perform(claimed(database, clock), {"count": refuse}) == "failed"
    assert (state(database).state, state(database).note) == ("failed", "wave: is none")


def test_a_long_step_keeps_its_lease(
    database: Database, clock: Clock, make: Callable[..., jobs.Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    monkeypatch.setattr(jobs, "LEASE", 30)
    work = claimed(database, clock)
    clock.at += 20
    with work.beating():
        ends = time.monotonic() + 5
        while leased_until(database) != clock.at + 30:
            assert time.monotonic() < ends, "nobody kept the lease"
            time.sleep(0.01)


def test_of_many_who_ask_one_begins_what_is_due(database: Database) -> None:
    def due(at: int) -> bool:
        return database.write(lambda tx: jobs.due(tx, "wave", at, 1000))

    assert [due(5000), due(5000), due(5999), due(6000), due(6500)] == [True, False, False, True, False]


def test_jobs_are_listed_from_the_newest(database: Database, make: Callable[..., jobs.Job]) -> None:
    for n in range(5):
        make(f"job_{n}")
    with database.read() as tx:
        first = jobs.listed(tx, None, 2)
        assert [job.id for job in first] == ["job_4", "job_3"]
        assert [job.id for job in jobs.listed(tx, first[-1].no, 2)] == ["job_2", "job_1"]
        assert jobs.listed(tx, None, 9, "done") == []
