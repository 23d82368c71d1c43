"""Server, worker and database are killed in the middle of whatever they do, again and again, while clients write.

A write counts as acknowledged when its answer has come in. In the end each one must be there, once: orders by the ids that the
clients gave them, stock by what the receipts come to. The books are checked after every kill.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from api.http.service import now
from api.keys import ADMIN, create
from benchmarks.faults.client import Client
from benchmarks.faults.postgres import Postgres, server
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.results import Say
from benchmarks.server import Server, free_port, start
from benchmarks.shop import Shop, open_shop
from engine.consignments import release
from engine.database import Database, Rows, Unavailable
from engine.facts import OrderReleased
from engine.migrations import upgrade
from solver.refusal import Refusal

SHOP = Shop(nodes=6, skus=60, stock=1_000_000)
RECOVERY_SECONDS = 10.0
WRITERS = 3
BATCH = 50
SETTINGS = {"ALLOT_KEY_LEASE": "2", "ALLOT_RATE": "10000000/minute"}
WORKER = {**SETTINGS, "ALLOT_WAVE_EVERY": "2", "ALLOT_WAVE_SECONDS": "1", "ALLOT_SWEEP_EVERY": "1"}
WHAT = (("server",), ("worker",), ("database",), ("server", "worker"), ("server", "worker", "database"))
CHANCE = (0.3, 0.25, 0.25, 0.1, 0.1)


@dataclass
class Acknowledged:
    """What was answered, and what that means for the database."""

    orders: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    received: int = 0
    refused: list[str] = field(default_factory=list)
    retried: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def writes(self) -> int:
        return len(self.orders) + len(self.facts)


def kills(edition: Edition, say: Say) -> Row:
    """Kill again and again."""
    wanted, writes = (3, 300) if edition.quick else (100, 50_000)
    rng = np.random.default_rng([edition.seed, 2])
    with server() as postgres:
        url = postgres.create("faults")
        upgrade(url)
        with Database(url) as database:
            open_shop(database, SHOP)
            before = _units(database)
            _, key = database.write(lambda tx: create(tx, now(), "faults", [ADMIN]))
        with Town(url, key, postgres).open() as town:
            known = Acknowledged()
            killed, told = _go_on(town, known, wanted, writes, rng, say)
        say("counting")
        with Database(url) as database:
            lost, doubled = _compare(database, known, before)
            wrong = unbalanced(database)
            with database.read() as tx:
                waves = int(tx.value("SELECT COUNT(*) FROM wave WHERE state = 'done'"))
    figures = {
        "kills": sum(killed.values()), **{f"of the {name}": number for name, number in killed.items()},
        "acknowledged writes": known.writes, "orders": len(known.orders), "sent again": known.retried, "waves done": waves,
        "lost": lost, "doubled": doubled, "fsck runs": told["checks"], "fsck findings": len(wrong) + len(told["wrong"]),
        "slowest recovery s": round(max(told["recovery"]), 1), "median recovery s": float(np.median(told["recovery"])),
    }  # fmt: skip
    return Row(
        "kills",
        "server, worker and PostgreSQL with all its processes are ended by SIGKILL at random times while clients place batches "
        "of orders and receive stock, each again until it is answered; nodes release orders, waves go on",
        figures,
        must(
            (sum(killed.values()) >= wanted, "too few kills"),
            (known.writes >= writes, f"{known.writes} acknowledged writes are not {writes}"),
            (not lost, f"{lost} acknowledged writes are lost"),
            (not doubled, f"{doubled} writes are there twice"),
            (not wrong and not told["wrong"], f"books: {(told['wrong'] + wrong)[:3]}"),
            (not known.refused, f"refused: {known.refused[:3]}"),
            (max(told["recovery"]) < RECOVERY_SECONDS, f"recovery took {max(told['recovery']):.1f} s"),
        ),
    )


# --- who is killed ------------------------------------------------------------------------------------------------


class Town:
    """A server, a worker and a database, each in processes of their own."""

    def __init__(self, url: str, key: str, postgres: Postgres) -> None:
        self.url, self.key, self.postgres, self.port = url, key, postgres, free_port()
        self.server: Server
        self.worker: subprocess.Popen[bytes]

    @contextmanager
    def open(self) -> Iterator["Town"]:
        self.start_server()
        self.start_worker()
        try:
            yield self
        finally:
            self.server.kill()
            self.worker.kill()
            self.worker.wait()

    def start_server(self) -> None:
        self.server = start(self.url, self.key, SETTINGS, self.port)

    def start_worker(self) -> None:
        """Start a worker, and wait until it works."""
        self.worker = subprocess.Popen(  # noqa: S603
            [sys.executable, "-u", "-m", "api", "worker"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **WORKER, "ALLOT_DATABASE_URL": self.url, "ALLOT_LOG_LEVEL": "critical"},
        )  # fmt: skip
        assert self.worker.stdout is not None
        said = self.worker.stdout.readline()
        assert b"works on" in said, f"the worker does not begin: {said!r}"

    def kill(self, what: tuple[str, ...]) -> float:
        """Kill some of it, start that again, and say how long it took until all was ready."""
        if "database" in what:
            self.postgres.kill()
        if "server" in what:
            self.server.kill()
        if "worker" in what:
            self.worker.kill()
            self.worker.wait()
        began = time.monotonic()
        if "database" in what:
            self.postgres.restart()
        again: list[Callable[[], None]] = [self.start_server] if "server" in what else []
        again += [self.start_worker] if "worker" in what else []
        threads = [threading.Thread(target=one) for one in again]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._await_ready()
        return time.monotonic() - began

    def _await_ready(self) -> None:
        client = Client(self.server.host, self.port, timeout=5.0)
        assert client.insist("GET", "/readyz", b"", "", lambda: self.server.process.poll() is not None) is not None
        client.close()


# --- who writes ---------------------------------------------------------------------------------------------------


def _go_on(
    town: Town, known: Acknowledged, wanted: int, writes: int, rng: np.random.Generator, say: Say
) -> tuple[dict[str, int], dict[str, Any]]:
    """Write and kill until both was enough; then let everybody come to an end."""
    over, hopeless = threading.Event(), threading.Event()
    writers = [Writer(town, known, number, over, hopeless) for number in range(WRITERS)]
    threads = [threading.Thread(target=one.run) for one in writers]
    threads.append(threading.Thread(target=_release, args=(town.url, known, over)))
    for thread in threads:
        thread.start()
    killed = {"server": 0, "worker": 0, "database": 0}
    told: dict[str, Any] = {"recovery": [], "wrong": [], "checks": 0}
    first = ("server", "worker", "database")
    try:
        while sum(killed.values()) < wanted or known.writes < writes:
            time.sleep(float(rng.uniform(0.3, 1.5)))
            drawn = WHAT[int(rng.choice(len(WHAT), p=CHANCE))]
            what = drawn if sum(killed.values()) >= 3 else (first[sum(killed.values())],)  # each of them at least once
            if sum(killed.values()) < wanted:
                told["recovery"].append(town.kill(what))
                for one in what:
                    killed[one] += 1
                with Database(town.url, connections=1) as database:
                    told["wrong"] += unbalanced(database)[:3]
                told["checks"] += 1
                say(f"{sum(killed.values())} kills, {known.writes:,} writes; {'+'.join(what)}, {told['recovery'][-1]:.1f} s")
    except BaseException:
        hopeless.set()
        raise
    finally:
        over.set()
        for thread in threads:
            thread.join()
    failed = [writer.failed for writer in writers if writer.failed]
    assert not failed, failed[0]
    return killed, told


class Writer:
    """Places orders and receives stock, each until it is answered; the last one, too."""

    def __init__(
        self, town: Town, known: Acknowledged, number: int, over: threading.Event, hopeless: threading.Event
    ) -> None:
        self.client = Client("127.0.0.1", town.port, town.key)
        self.known, self.number, self.over, self.hopeless = known, number, over, hopeless
        self.rng = np.random.default_rng([number, 3])
        self.made = 0
        self.failed = ""

    def run(self) -> None:
        """Write until it is over."""
        try:
            while not self.over.is_set():
                self.made += 1
                (self.batch, self.batch, self.one, self.receive)[self.made % 4]()
        except BaseException as error:
            self.failed = repr(error)
            raise
        finally:
            self.client.close()

    def order(self, id: str) -> dict[str, Any]:
        sku = int(self.rng.integers(SHOP.skus))
        lat, lon = (round(float(self.rng.uniform(*bounds)), 2) for bounds in ((47.5, 55.0), (6.0, 15.0)))
        return {"channel": "web", "external_id": id, "place": {"lat": lat, "lon": lon},
                "lines": [{"sku": f"S{sku:05}", "qty": 1}]}  # fmt: skip

    def batch(self) -> None:
        ids = [f"w{self.number}-{self.made}-{i}" for i in range(BATCH)]
        for one, id in zip(self.send("/v1/orders:batch", {"orders": [self.order(id) for id in ids]})["data"], ids, strict=True):
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
            self.known.received += units

    def send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        tries = self.client.tries
        answer = self.client.insist("POST", path, json.dumps(body).encode(), f"k{self.number}-{self.made}", self.hopeless.is_set)
        assert answer is not None, "what was killed did not come back"
        assert answer.status in (200, 201), (path, answer.status, answer.body[:300])
        with self.known.lock:
            self.known.retried += self.client.tries - tries - 1
        said: dict[str, Any] = answer.json
        return said


def _release(url: str, known: Acknowledged, over: threading.Event) -> None:
    """Nodes begin with the orders that are there, so that waves have those alone that are new."""
    from engine.facts import order_id

    at = 0
    with Database(url, connections=2) as database:
        while not over.is_set():
            ids = known.orders[at : at + 200]
            if len(ids) < 200:
                over.wait(0.2)
                continue
            facts = [OrderReleased(id=f"out-{id}", at=now(), order=order_id("web", id)) for id in ids]
            try:
                database.write(lambda tx, facts=facts: release(tx, facts))  # type: ignore[misc]
                at += 200
            except (Unavailable, Refusal):
                over.wait(0.2)


# --- what is there ------------------------------------------------------------------------------------------------


def _units(database: Database) -> int:
    with database.read() as tx:
        return int(tx.value("SELECT SUM(on_hand) FROM stock"))


def _compare(database: Database, known: Acknowledged, before: int) -> tuple[int, int]:
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
    lost = (sent - min(orders, placed)) + (received - facts) + max(0, before + known.received - after)
    doubled = (all_orders - sent) + (units - sent) + (all_facts - received) + max(0, after - before - known.received)
    return lost, doubled
