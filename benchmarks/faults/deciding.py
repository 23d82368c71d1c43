"""The solver has no time, fails, answers nonsense, or is killed: orders are still taken in and served, and nothing is stuck.

`python -m benchmarks.faults.deciding URL AT` begins a wave that never ends, to be killed.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from threading import Event
from time import perf_counter
from unittest.mock import patch

import msgspec
import numpy as np

from api.settings import Settings
from benchmarks.faults.postgres import migrated
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.results import Say
from benchmarks.shop import NOW, Customers, Shop, open_shop
from engine.capture import capture
from engine.database import Database
from engine.decisions import FALLBACK
from engine.entries import ChannelEntry, put_channels
from engine.facts import OrderCancelled, OrderPlaced, order_id
from engine.store import Store
from engine.waves import run_wave
from solver.effort import Effort
from solver.plan import Plan
from solver.policies.cheapest import Cheapest
from solver.problem import Problem

SHOP = Shop(nodes=6, skus=60, stock=1_000_000)
POLICIES = ("cheapest", "joint")
LIVE = {"cheapest": "solver.policies.cheapest.Cheapest", "joint": "solver.policies.joint.Joint"}
ANSWER_SECONDS = 2.0
MADE = count()


# --- what goes wrong ----------------------------------------------------------------------------------------------


class Fails:
    """A policy that ends in an error."""

    def __init__(self, *_: object) -> None: ...

    def __call__(self, problem: Problem) -> Plan:
        raise RuntimeError("of its own")


class OutOfMemory(Fails):
    """A policy that asks for more memory than there is."""

    def __call__(self, problem: Problem) -> Plan:
        raise MemoryError


class Oversells(Fails):
    """A policy that sends more than there is."""

    def __call__(self, problem: Problem) -> Plan:
        plan = Cheapest()(problem)
        return replace(plan, entry_units=plan.entry_units + 10_000_000)


class Nowhere(Fails):
    """A policy that sends from a node that there is not."""

    def __call__(self, problem: Problem) -> Plan:
        plan = Cheapest()(problem)
        return replace(plan, parcel_node=np.full_like(plan.parcel_node, 99))


class Nothing(Fails):
    """A policy that answers nothing."""

    def __call__(self, problem: Problem) -> Plan:
        return None  # type: ignore[return-value]


class Endless(Fails):
    """A policy that never answers; it says that it has begun."""

    def __call__(self, problem: Problem) -> Plan:
        print("deciding", flush=True)
        Event().wait()
        raise AssertionError


FAILURES = (Fails, OutOfMemory, Oversells, Nowhere, Nothing)


@contextmanager
def _failing(failure: type[Fails]) -> Iterator[None]:
    """Have every policy fail but the fallback."""
    with patch(LIVE["cheapest"], failure), patch(LIVE["joint"], failure):
        yield


# --- what comes of it ---------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What came of it."""

    count: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def deciding(database: str, edition: Edition, say: Say) -> Row:
    """Have deciding go wrong in every way."""
    each = 3 if edition.quick else 100
    seen = Seen()
    with migrated(database) as (url, _), Database(url) as opened:
        open_shop(opened, SHOP)
        opened.write(lambda tx: put_channels(tx, [ChannelEntry(id=name, policy=name) for name in POLICIES], NOW))
        customers = Customers(SHOP, edition.seed)
        for policy in POLICIES:
            say(f"{policy}: no time, and failing")
            _capture(opened, seen, customers.orders(each), policy, 0.0, "")
            for failure in FAILURES:
                with _failing(failure):
                    _capture(opened, seen, customers.orders(each), policy, 2.0, policy)
        say("waves with no time, and failing")
        _wave(opened, seen, customers.orders(each), 0.0, "")
        for failure in FAILURES:
            with _failing(failure):
                _wave(opened, seen, customers.orders(each), 2.0, "joint")
        for number in range(1 if edition.quick else 5):
            say(f"a wave that is killed, {number + 1}")
            _killed(opened, url, seen, customers, each, NOW + number * 3_600_000)
        books = unbalanced(opened)
    figures = {
        "ways to fail": len(FAILURES), "orders captured": seen.count["captured"],
        "of these with no time": seen.count["captured, no time"], "slowest answer s": round(seen.slowest, 2),
        "decided by the fallback, with the reason": seen.count["noted"], "waves": seen.count["waves"],
        "waves killed": seen.count["killed"], "orders of killed waves": seen.count["held"],
        "of these stuck after the next wave": seen.count["stuck"], "fsck findings": len(books),
    }  # fmt: skip
    return Row(
        "`cheapest` and `joint`, at capture and in waves, have no time, end in an error, ask for too much memory, send more than "
        "there is, send from nowhere, answer nothing; a process is killed by SIGKILL while its wave decides",
        figures,
        must(
            (not seen.wrong, f"{seen.wrong[:3]}"),
            (edition.quick or seen.slowest < ANSWER_SECONDS, f"an answer took {seen.slowest:.1f} s"),
            (seen.count["noted"] == seen.count["failing"] > 0, "a reason is missing"),
            (seen.count["stuck"] == 0, f"{seen.count['stuck']} orders are stuck"),
            (not books, f"books: {books[:3]}"),
        ),
    )


def _capture(
    database: Database, seen: Seen, orders: list[OrderPlaced], policy: str, seconds: float, failing: str
) -> None:
    """Take orders in one by one; each is answered soon, and served."""
    for order in orders:
        began = perf_counter()
        (one,) = capture(database, [_of(order, policy)], NOW, seconds=seconds)
        seen.slowest = max(seen.slowest, perf_counter() - began)
        seen.count["captured"] += 1
        seen.count["captured, no time"] += seconds == 0.0
        if one.state != "allocated":
            seen.wrong.append(f"{policy}, {seconds:.0f} s: {one}")
        _look(database, seen, one.placed.id, failing)


def _of(order: OrderPlaced, channel: str) -> OrderPlaced:
    return msgspec.structs.replace(order, id="", channel=channel)


def _look(database: Database, seen: Seen, order: str, failing: str) -> None:
    """The last decision about an order says why it is not the policy's that was asked for."""
    with database.read() as tx:
        policy, body = tx.all(
            "SELECT d.policy, d.body FROM decision d JOIN orders o ON o.no = d.order_no WHERE o.id = :id ORDER BY d.no DESC",
            id=order,
        )[0]
    note = str(json.loads(body).get("note", ""))
    seen.count["failing"] += bool(failing)
    seen.count["noted"] += bool(failing) and policy == FALLBACK and note.startswith(f"{failing} ")
    if note and not failing:
        seen.wrong.append(f"with no time: {note}")


def _wave(database: Database, seen: Seen, orders: list[OrderPlaced], seconds: float, failing: str) -> None:
    """Orders that wait are served by a wave, whatever becomes of its policy."""
    Store(database).place(orders)
    done = run_wave(database, NOW, worker=f"w{next(MADE)}", effort=Effort(seconds=seconds))
    seen.count["waves"] += 1
    if bool(done.note) != bool(failing) or done.changed < len(orders):
        seen.wrong.append(f"wave: {done}")
    for order in orders:
        _look(database, seen, order_id(order.channel, order.external_id), failing)


def _killed(database: Database, url: str, seen: Seen, customers: Customers, each: int, at: int) -> None:
    """While a dead wave holds orders, others are served, and those can be cancelled; the next wave on the clock serves all."""
    waiting = customers.orders(each)
    store = Store(database)
    store.place(waiting)
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.faults.deciding", url, str(at)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said == b"deciding\n", said
    seen.count["killed"] += 1
    seen.count["held"] += each
    _capture(database, seen, customers.orders(each), "cheapest", 2.0, "")
    first = order_id(waiting[0].channel, waiting[0].external_id)
    store.change(OrderCancelled(id=f"cancel-{first}", at=at, order=first))
    later = at + int(1000 * Settings.model_fields["wave_every"].default)
    run_wave(database, later, worker=f"w{next(MADE)}", effort=Effort(seconds=5.0))
    with database.read() as tx:
        seen.count["stuck"] += int(
            tx.value("SELECT COUNT(*) FROM orders WHERE open > 0 OR allocated > 0 AND leased_until IS NOT NULL")
        )
        seen.count["stuck"] += int(tx.value("SELECT COUNT(*) FROM wave WHERE state = 'deciding'"))


def main() -> None:
    """Begin a wave that never ends."""
    url, at = sys.argv[1:]
    with patch(LIVE["joint"], Endless), Database(url) as database:
        run_wave(database, int(at), worker="endless", effort=Effort(seconds=20.0))


if __name__ == "__main__":
    main()
