"""Webhooks under a system that fails, and under a deliverer that is killed: every event arrives, in sequence, and signed.

`python -m benchmarks.faults.webhooks URL LEASE` makes events of a database's facts and delivers them, to be killed.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import httpx
import numpy as np
from cryptography.fernet import Fernet
from standardwebhooks import Webhook, WebhookVerificationError

from api.http.service import now
from api.settings import read_settings
from api.vault import Vault
from api.webhooks import Deliverer, Guard, new_secret
from api.working import Task, Working
from benchmarks.faults.postgres import migrated
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.results import Say
from benchmarks.shop import NOW, Customers, Shop, open_shop
from engine import webhooks
from engine.capture import capture
from engine.consignments import release
from engine.database import Database
from engine.events import relay
from engine.facts import Delivered, OrderReleased, Shipped
from engine.shipping import deliver, ship

SHOP = Shop(nodes=6, skus=60, stock=1_000_000)
TOLD = {
    "OrderPlaced": "order.confirmed", "Allocated": "order.allocated", "Shipped": "order.shipped",
    "Delivered": "order.delivered",
}  # fmt: skip
"""The event that each fact of an order comes to."""
ID = "whk_faults"
BATCH = 5
"""Orders that come at once."""
MADE = count()
MINUTE = 60_000
SECONDS_LEFT = 900.0
"""After the last kill, until everything must have arrived: whoever failed twice waits for five minutes."""


@dataclass
class Received:
    """What a system got: each event's tries, and what was wrong with any of them."""

    tries: Counter[str] = field(default_factory=Counter)
    last: dict[str, int] = field(default_factory=dict)
    """The highest number that came of each subject, when it first came."""
    early: int = 0
    """Events that came before an earlier one of their order."""
    unsigned: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes, genuine: bool) -> None:
        """Note a delivery, whatever is answered to it."""
        said = json.loads(body)
        number, subject = int(said["sequence"]), said["subject"]
        with self.lock:
            self.unsigned += not genuine
            if not self.tries[said["id"]]:
                self.early += number != self.last.get(subject, 0) + 1
                self.last[subject] = number
            self.tries[said["id"]] += 1

    def figures(self, database: Database) -> tuple[dict[str, int | float | str], list[str]]:
        """What was made of the log, what came of it, and what is wrong."""
        with database.read() as tx:
            facts = dict(tx.all("SELECT kind, COUNT(*) FROM fact GROUP BY kind"))
            made = dict(tx.all("SELECT type, COUNT(*) FROM event GROUP BY type"))
            ids = {id for (id,) in tx.all("SELECT id FROM event")}
            twice = tx.value("SELECT COUNT(*) - COUNT(DISTINCT fact) FROM event")
        wanted = {type: facts.get(kind, 0) for kind, type in TOLD.items()}
        lost = len(ids - self.tries.keys())
        books = unbalanced(database)
        figures: dict[str, int | float | str] = {
            "facts to tell of": sum(wanted.values()), "events": len(ids), "events made twice": twice,
            "deliveries received": self.tries.total(), "of these again": self.tries.total() - len(self.tries),
            "lost": lost, "out of sequence": self.early, "wrong signatures": self.unsigned, "fsck findings": len(books),
        }  # fmt: skip
        wrong = must(
            (made == wanted, f"events {made} are not those of facts {wanted}"),
            (not twice, f"{twice} events are there twice"),
            (not lost, f"{lost} events did not arrive"),
            (not self.early, f"{self.early} events came before an earlier one"),
            (not self.unsigned, f"{self.unsigned} deliveries have a wrong signature"),
            (not books, f"books: {books[:3]}"),
        )
        return figures, wrong


def happen(database: Database, customers: Customers, orders: int, at: int = NOW) -> None:
    """Orders come in, are allocated, released, shipped and delivered."""
    for one in capture(database, customers.orders(orders), at):
        for consignment in _release(database, one.placed.id, at):
            _carry(database, consignment, at)


def _release(database: Database, order: str, at: int) -> list[str]:
    fact = OrderReleased(id=f"l{next(MADE)}", at=at, order=order)
    return database.write(lambda tx: release(tx, [fact]))[0]


def _carry(database: Database, consignment: str, at: int) -> None:
    sent = Shipped(id=f"s{next(MADE)}", at=at, consignment=consignment)
    database.write(lambda tx: ship(tx, sent))
    there = Delivered(id=f"d{next(MADE)}", at=at, consignment=consignment)
    database.write(lambda tx: deliver(tx, there))


# --- a system that fails ----------------------------------------------------------------------------------------------

FAILS = 0.3
OUTAGE = (20 * MINUTE, 25 * MINUTE)
ROTATED = 22 * MINUTE
"""A new secret is made within the outage; the system takes it half an hour later, while the old one still signs."""
HOUR = 60 * MINUTE


class Failing:
    """A system on a clock of its own that fails in every way: nothing taken, or taken and not said, or not there at all."""

    def __init__(self, seed: int) -> None:
        self.at, self.secret, self.next_secret = NOW, new_secret(), new_secret()
        self.received = Received()
        self.answers: Counter[str] = Counter()
        self._rng = np.random.default_rng([seed, 4])

    def clock(self) -> int:
        return self.at

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        since = self.at - NOW
        if OUTAGE[0] <= since < OUTAGE[1]:
            self.answers["not there"] += 1
            raise httpx.ConnectError("not there")
        fails, how = self._rng.random() < FAILS, int(self._rng.integers(4))
        if fails and how < 2:
            self.answers["not taken"] += 1
            if how:
                raise httpx.ReadTimeout("not taken")
            return httpx.Response(500, stream=httpx.ByteStream(b""))
        known = self.received.tries[request.headers["webhook-id"]]
        self.received.take(request.content, self._is_genuine(request))
        if fails:
            self.answers["taken and not said"] += 1
            if how == 2:
                raise httpx.ReadError("taken and not said")
            return httpx.Response(503, stream=httpx.ByteStream(b""))
        self.answers["acknowledged again" if known else "acknowledged"] += 1
        return httpx.Response(200, stream=httpx.ByteStream(b""))

    def _is_genuine(self, request: httpx.Request) -> bool:
        secret = self.next_secret if self.at >= NOW + ROTATED + HOUR // 2 else self.secret
        sent = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        id, text = request.headers["webhook-id"], request.content.decode()
        late = abs(self.at - 1000 * int(request.headers["webhook-timestamp"])) > 5 * MINUTE
        return not late and Webhook(secret).sign(id, sent, text) in request.headers["webhook-signature"].split(" ")


async def _resolve(_host: str, _port: int) -> Sequence[str]:
    return ["93.184.216.34"]


def sink(database: str, edition: Edition, say: Say) -> Row:
    """Deliver to a system that fails; an hour of orders, on a clock that jumps to when the next thing is due."""
    orders, system = (60 if edition.quick else 2_000), Failing(edition.seed)
    vault, customers = Vault(Fernet.generate_key().decode()), Customers(SHOP, edition.seed)
    with migrated(database) as (url, _), Database(url) as opened:
        open_shop(opened, SHOP)
        sealed = vault.seal(system.secret)
        opened.write(lambda tx: webhooks.create(tx, NOW, ID, "https://sink.example/", (), "", sealed))
        client = httpx.AsyncClient(transport=httpx.MockTransport(system))
        deliverer = Deliverer(opened, vault, client, Guard(resolve=_resolve), system.clock, "w", "urn:allot")
        replayed = asyncio.run(_play(opened, system, deliverer, vault, customers, orders, say))
        figures, wrong = system.received.figures(opened)
        with opened.read() as tx:
            left = tx.value("SELECT COUNT(*) FROM delivery WHERE state <> 'delivered'")
            tries = tx.value("SELECT COUNT(*) FROM attempt")
    answers = {f"tries {name}": number for name, number in sorted(system.answers.items())}
    return Row(
        "a system that is told of every order fails 30 % of the time (takes nothing, or takes it and says so to nobody) and is not "
        "there for five minutes, in which its secret changes; dead deliveries are asked for again; an hour of orders on a virtual "
        "clock",
        {"orders": orders, **figures, "tries": tries, **answers, "dead, then replayed": replayed,
         "virtual hours": round((system.at - NOW) / HOUR, 1)},
        [*wrong, *must((not left, f"{left} deliveries have not ended"),
                       (edition.quick or system.answers["acknowledged again"] > 0, "nothing was acknowledged twice"))],
    )  # fmt: skip


async def _play(
    database: Database, system: Failing, deliverer: Deliverer, vault: Vault, customers: Customers, orders: int, say: Say
) -> int:
    """Let orders come for an hour, and go on until everything has arrived; says how many deliveries had been given up."""
    come, rotated, replayed = 0, False, 0
    while True:
        while come < orders and system.at >= NOW + come * HOUR // orders:
            happen(database, customers, BATCH, system.at)
            come += BATCH
            if come % 500 == 0:
                say(f"{come} orders")
        if not rotated and system.at >= NOW + ROTATED:
            rotated = True
            _rotate(database, system, vault.seal(system.next_secret))
        while database.write(lambda tx: relay(tx, system.at)):
            pass
        if await deliverer.step():
            system.at += 100
            continue
        upcoming = [NOW + come * HOUR // orders] if come < orders else []
        upcoming += [] if rotated else [NOW + ROTATED]
        with database.read() as tx:
            due = tx.first(
                "SELECT MIN(d.next_at), MAX(w.rests_until) FROM delivery d JOIN webhook w ON w.id = d.webhook "
                "WHERE d.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM delivery f WHERE f.webhook = d.webhook "
                "AND f.subject = d.subject AND f.state = 'waiting' AND f.event_no < d.event_no)"
            )
        if due is not None and due[0] is not None:
            upcoming.append(max(due))
        if upcoming:
            system.at = max(system.at + 1, min(upcoming))
            continue
        again = database.write(lambda tx: webhooks.replay(tx, system.at, ID, 0))
        if not again:
            return replayed
        replayed += again


def _rotate(database: Database, system: Failing, sealed: str) -> None:
    database.write(lambda tx: webhooks.add_secret(tx, system.at, ID, sealed, HOUR))


# --- a deliverer that is killed ---------------------------------------------------------------------------------------


@contextmanager
def _listening(received: Received, secret: str) -> Iterator[int]:
    """A system on this machine that takes everything, in a moment."""
    rng = np.random.default_rng(1)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                Webhook(secret).verify(body, dict(self.headers), json_parse=False)
                genuine = True
            except WebhookVerificationError:
                genuine = False
            received.take(body, genuine)
            time.sleep(float(rng.uniform(0.0, 0.2)))  # so that kills meet what is taken and not yet known to be
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, *_: object) -> None: ...  # whoever asked was killed

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kills(database: str, edition: Edition, say: Say) -> Row:
    """Kill whoever tells and delivers, again and again."""
    wanted, orders, lease = (2, 40, 2_000) if edition.quick else (50, 1_500, webhooks.LEASE)
    key, secret, received = Fernet.generate_key().decode(), new_secret(), Received()
    rng = np.random.default_rng([edition.seed, 5])
    with (
        migrated(database) as (url, _), Database(url) as opened, _listening(received, secret) as port,
    ):  # fmt: skip
        open_shop(opened, SHOP)
        sealed, address = Vault(key).seal(secret), f"http://127.0.0.1:{port}/"
        opened.write(lambda tx: webhooks.create(tx, now(), ID, address, (), "", sealed))
        customers, done, under_way = Customers(SHOP, edition.seed), 0, 0
        while done < wanted:
            began = now()
            with _teller(url, key, lease) as process:
                happen(opened, customers, orders // wanted)
                time.sleep(float(rng.uniform(0.4, 2.0)))
                process.kill()
            done += 1
            under_way += _under_way(opened, began + lease)
            if done % 10 == 0 or edition.quick:
                say(f"{done} kills, {len(received.tries):,} events received")
        last = time.monotonic()
        with _teller(url, key, lease) as process:
            while _waits(opened) and time.monotonic() - last < SECONDS_LEFT:
                time.sleep(0.2)
            process.kill()
        seconds = time.monotonic() - last
        figures, wrong = received.figures(opened)
        left = _waits(opened)
        with opened.read() as tx:
            failed = tx.all("SELECT COALESCE(code, 0), error, COUNT(*) FROM attempt WHERE COALESCE(code, 0) <> 204 "
                            "GROUP BY code, error")  # fmt: skip
        say(f"tries that failed: {failed}")
    return Row(
        "a process that makes events of what is written down and delivers them is killed by SIGKILL at random times, while orders "
        "come in, are shipped and delivered; another one goes on",
        {"kills": done, "orders": orders, "under way when killed": under_way, **figures,
         "tries that failed": sum(number for *_, number in failed), "seconds to the last event": round(seconds, 1)},
        [*wrong, *must((not left, f"{left} events are not delivered"),
                       (edition.quick or under_way > 0, "nothing was under way when it was killed"))],
    )  # fmt: skip


def _under_way(database: Database, until: int) -> int:
    """Deliveries whose leases end after then: those that the last worker had."""
    with database.read() as tx:
        return int(tx.value("SELECT COUNT(*) FROM delivery WHERE leased_until > :until", until=until))


def _waits(database: Database) -> int:
    """Facts of which nothing is told yet, and deliveries that are not there."""
    with database.read() as tx:
        told = ", ".join(f"'{kind}'" for kind in TOLD)
        return int(
            tx.value(f"SELECT (SELECT COUNT(*) FROM fact WHERE kind IN ({told})) - (SELECT COUNT(*) FROM event) "  # noqa: S608
                     "+ (SELECT COUNT(*) FROM delivery WHERE state <> 'delivered')")
        )  # fmt: skip


@contextmanager
def _teller(url: str, key: str, lease: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that tells and delivers, once it has begun."""
    own = {"ALLOT_SECRET_KEY": key, "ALLOT_WEBHOOK_HTTP": "true", "ALLOT_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "benchmarks.faults.webhooks", url, str(lease)],
        stdout=subprocess.PIPE,
        env=os.environ | own,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"telling\n"
        try:
            yield process
        finally:
            process.kill()


class _Telling(Working):
    """Does nothing but tell and deliver."""

    def tasks(self) -> list[Task]:
        return [task for task in super().tasks() if task.name in ("tell", "deliver")]


def main() -> None:
    """Tell and deliver until killed."""
    settings = read_settings(database_url=sys.argv[1])
    webhooks.LEASE = int(sys.argv[2])
    with Database(settings.database_url, settings.connections) as database:
        _Telling(settings, database).start(0)
        print("telling", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
