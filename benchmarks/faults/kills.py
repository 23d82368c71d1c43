"""Server, worker and database are killed in the middle of whatever they do, again and again, while clients write.

A write counts as acknowledged when its answer has come in. In the end each one must be there, once: orders by the ids that the
clients gave them, stock by what the receipts come to. The books are checked after every kill.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from api.http.service import now
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.faults.town import Town, town
from benchmarks.results import Say
from benchmarks.shop import Shop
from engine.consignments import release
from engine.database import Database, Rows, Unavailable
from engine.facts import OrderReleased, order_id
from solver.refusal import Refusal

SHOP = Shop(nodes=6, skus=60, stock=1_000_000)
RECOVERY_SECONDS = 10.0
WRITERS = 8
BATCH = 20
PAUSE = 0.5
"""Seconds between two requests of a writer, on average, so that there are not many more writes than were asked for."""
RELEASED = 200
WHAT = (("server",), ("worker",), ("database",), ("server", "worker"), ("server", "worker", "database"))
CHANCE = (0.3, 0.25, 0.25, 0.1, 0.1)
SIZES = {"postgresql": (100, 50_000), "sqlite": (20, 5_000)}
"""Kills and acknowledged writes, at least."""


@dataclass
class Known:
    """What was acknowledged, what it means for the database, and what came of the kills.

    Attributes
    ----------
    orders, facts, units
        Ids of the orders and receipts that were acknowledged, and the units that were received.
    killed
        How often each process was.
    failed
        Writers that gave up.
    recovery
        Seconds after each kill until all was ready.
    """

    orders: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    units: int = 0
    refused: list[str] = field(default_factory=list)
    again: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    recovery: list[float] = field(default_factory=list)
    checks: int = 0
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def writes(self) -> int:
        return len(self.orders) + len(self.facts)

    @property
    def kills(self) -> int:
        return self.killed.total()


def kills(database: str, edition: Edition, say: Say) -> Row:
    """Kill again and again."""
    wanted, writes = (1, 300) if edition.quick else SIZES[database]
    with town(database, SHOP, waves=True) as found:
        with Database(found.url) as opened:
            before = _units(opened)
        known = Known()
        with _writing(found, known, edition.seed):
            _kill_often(found, known, wanted, writes, np.random.default_rng([edition.seed, 2]), say)
        say("counting")
        with Database(found.url) as opened:
            lost, doubled = _compare(opened, known, before)
            known.wrong += unbalanced(opened)
            with opened.read() as tx:
                waves = int(tx.value("SELECT COUNT(*) FROM wave WHERE state = 'done'"))
    slowest = max(known.recovery)
    figures = {
        "kills": known.kills, **{f"of the {name}": number for name, number in known.killed.items()},
        "acknowledged writes": known.writes, "orders among them": len(known.orders), "requests sent again": known.again,
        "waves done": waves, "lost": lost, "doubled": doubled, "fsck runs": known.checks + 1,
        "fsck findings": len(known.wrong), "slowest recovery s": round(slowest, 1),
        "median recovery s": round(float(np.median(known.recovery)), 1),
    }  # fmt: skip
    return Row(
        f"{_named(found.names)} killed by SIGKILL at random times while clients place batches of orders and receive stock, each "
        "again until it is answered, and waves go on; `allot fsck` after every kill",
        figures,
        must(
            (known.kills >= wanted, f"{known.kills} kills are not {wanted}"),
            (known.writes >= writes, f"{known.writes} acknowledged writes are not {writes}"),
            (not lost, f"{lost} acknowledged writes are lost"),
            (not doubled, f"{doubled} writes are there twice"),
            (not known.wrong, f"books: {known.wrong[:3]}"),
            (not known.refused, f"refused: {known.refused[:3]}"),
            (edition.quick or slowest < RECOVERY_SECONDS, f"recovery took {slowest:.1f} s"),
        ),
    )


def _named(names: tuple[str, ...]) -> str:
    return "the server is" if len(names) == 1 else "server, worker and PostgreSQL with all its processes are"


def _kill_often(found: Town, known: Known, wanted: int, writes: int, rng: np.random.Generator, say: Say) -> None:
    """Kill until it was often enough, all at once to begin with, and wait until enough is written."""
    mixed = [(what, chance) for what, chance in zip(WHAT, CHANCE, strict=True) if {*what} <= {*found.names}]
    chances = np.array([chance for _, chance in mixed])
    what: tuple[str, ...] = found.names
    while not known.failed and (known.kills < wanted or known.writes < writes):
        time.sleep(float(rng.uniform(0.3, 1.5)))
        if known.kills < wanted:
            known.recovery.append(found.kill(what))
            known.killed.update(what)
            with Database(found.url, connections=1) as opened:
                known.wrong += unbalanced(opened)[:3]
            known.checks += 1
        say(f"{known.kills} kills, {known.writes:,} writes; {'+'.join(what)}, {known.recovery[-1]:.1f} s")
        what = mixed[int(rng.choice(len(mixed), p=chances / chances.sum()))][0]


# --- who writes ---------------------------------------------------------------------------------------------------


@contextmanager
def _writing(found: Town, known: Known, seed: int) -> Iterator[None]:
    """Write meanwhile; in the end everybody comes to an end, unless it went wrong."""
    over, hopeless = threading.Event(), threading.Event()
    writers = [Writer(found, known, number, seed, over, hopeless) for number in range(WRITERS)]
    threads = [threading.Thread(target=one.run) for one in writers]
    if found.postgres:
        threads.append(threading.Thread(target=_release, args=(found.url, known, over)))
    for thread in threads:
        thread.start()
    try:
        yield
    except BaseException:
        hopeless.set()
        raise
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not known.failed, known.failed[0]


class Writer:
    """Places orders and receives stock, each until it is answered; the last one, too."""

    def __init__(
        self, found: Town, known: Known, number: int, seed: int, over: threading.Event, hopeless: threading.Event
    ) -> None:
        self.client, self.known, self.number, self.over, self.hopeless = found.client(), known, number, over, hopeless
        self.rng = np.random.default_rng([seed, 3, number])
        self.made = 0

    def run(self) -> None:
        """Write until it is over."""
        try:
            while not self.over.wait(float(self.rng.uniform(0.0, 2 * PAUSE))):
                self.made += 1
                (self.batch, self.batch, self.one, self.receive)[self.made % 4]()
        except BaseException as error:
            self.known.failed.append(repr(error))
            raise
        finally:
            with self.known.lock:
                self.known.again += self.client.again.total()
            self.client.close()

    def order(self, id: str) -> dict[str, Any]:
        sku = int(self.rng.integers(SHOP.skus))
        lat, lon = (round(float(self.rng.uniform(*bounds)), 2) for bounds in ((47.5, 55.0), (6.0, 15.0)))
        return {"channel": "web", "external_id": id, "place": {"lat": lat, "lon": lon},
                "lines": [{"sku": f"S{sku:05}", "qty": 1}]}  # fmt: skip

    def batch(self) -> None:
        ids = [f"w{self.number}-{self.made}-{i}" for i in range(BATCH)]
        said = self.send("/v1/orders:batch", {"orders": [self.order(id) for id in ids]})
        for one, id in zip(said["data"], ids, strict=True):
            self.tell(one, id)

    def one(self) -> None:
        id = f"w{self.number}-{self.made}"
        self.tell(self.send("/v1/orders", self.order(id)), id)

    def tell(self, said: dict[str, Any], id: str) -> None:
        with self.known.lock:
            if said["outcome"] in ("new", "seen"):
                self.known.orders.append(id)
            else:
                self.known.refused.append(str(said))

    def receive(self) -> None:
        units = int(self.rng.integers(1, 10))
        said = self.send("/v1/stock/receipts", {"sku": "S00000", "node": "N000", "units": units})
        with self.known.lock:
            self.known.facts.append(said["fact"])
            self.known.units += units

    def send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        once = f"k{self.number}-{self.made}"
        answer = self.client.insist("POST", path, json.dumps(body).encode(), once, self.hopeless.is_set)
        assert answer.status in (200, 201), (path, answer.status, answer.body[:300])
        said: dict[str, Any] = answer.json
        return said


def _release(url: str, known: Known, over: threading.Event) -> None:
    """Nodes begin with the orders that are there, so that waves have those alone that are new."""
    at = 0
    with Database(url, connections=2) as database:
        while not over.wait(0.2):
            ids = known.orders[at : at + RELEASED]
            if len(ids) < RELEASED:
                continue
            facts = [OrderReleased(id=f"out-{id}", at=now(), order=order_id("web", id)) for id in ids]
            try:
                database.write(lambda tx, facts=facts: release(tx, facts))  # type: ignore[misc]
                at += RELEASED
            except (Unavailable, Refusal):
                continue  # the database is away, or a wave has them now


# --- what is there ------------------------------------------------------------------------------------------------


def _units(database: Database) -> int:
    with database.read() as tx:
        return int(tx.value("SELECT SUM(on_hand) FROM stock"))


def _compare(database: Database, known: Known, before: int) -> tuple[int, int]:
    """Acknowledged writes that are not there, and what is there more often than it was asked for."""
    after = _units(database)
    with database.read() as tx:
        rows = Rows(id=known.orders)
        orders = int(tx.value("SELECT COUNT(DISTINCT o.id) FROM {rows} JOIN orders o ON o.external_id = rows.id", rows))
        placed = int(tx.value("SELECT COUNT(*) FROM {rows} JOIN orders o ON o.external_id = rows.id "
                              "JOIN fact f ON f.id = o.id AND f.kind = 'OrderPlaced'", rows))  # fmt: skip
        all_orders = int(tx.value("SELECT COUNT(*) FROM orders"))
        units = int(tx.value("SELECT COALESCE(SUM(qty), 0) FROM order_line"))
        facts = int(tx.value("SELECT COUNT(*) FROM {rows} JOIN fact f ON f.id = rows.id", Rows(id=known.facts)))
        all_facts = int(tx.value("SELECT COUNT(*) FROM fact WHERE kind = 'StockReceived'"))
    sent, received = len(set(known.orders)), len(set(known.facts))
    lost = (sent - min(orders, placed)) + (received - facts) + max(0, before + known.units - after)
    doubled = (all_orders - sent) + (units - sent) + (all_facts - received) + max(0, after - before - known.units)
    return lost, doubled
