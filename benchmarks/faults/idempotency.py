"""Every idempotency key ten times at once: while all is well, while the server is killed, afterwards, and with another body.

Each kind of write says what one of it comes to: facts by kind, and units. All together must come to just that.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.faults.client import Answer
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.faults.town import Town, town
from benchmarks.results import Say
from benchmarks.shop import Shop
from engine.database import Database

SHOP = Shop(nodes=4, skus=10, stock=100_000, stocked=1.0)
TIMES = 10
KEYS_AT_ONCE = 4
REUSED = "idempotency_key_reused"
Body = dict[str, Any]
HERE = {"sku": "S00001", "node": "N000"}


@dataclass(frozen=True)
class Kind:
    """A write that takes a key.

    Attributes
    ----------
    body
        From a number, so that no two are the same.
    effect
        What one of it adds, by fact and by what is counted in `_totals`.
    must
        Whether it is refused without a key.
    needs
        An order that is there; its id is put into the path.
    """

    path: str
    body: Callable[[str], Body]
    effect: Mapping[str, int]
    must: bool = True
    needs: bool = False
    media: str = "application/json"


def _order(id: str) -> Body:
    return {
        "channel": "web",
        "external_id": id,
        "place": {"lat": 50.0, "lon": 9.0},
        "lines": [{"sku": "S00002", "qty": 1}],
    }


def _fixed(**more: Any) -> Callable[[str], Body]:
    return lambda _: dict(more)


HELD = {"channel": "web", "until": "2100-01-01T00:00:00Z", "units": [{"sku": "S00003", "units": 2}]}
KINDS = (
    Kind("/v1/orders", _order, {"OrderPlaced": 1, "Allocated": 1, "orders": 1, "reserved": 1}, must=False),
    Kind("/v1/orders:batch", lambda id: {"orders": [_order(f"{id}-{i}") for i in range(3)]},
         {"OrderPlaced": 3, "Allocated": 3, "orders": 3, "reserved": 3}, must=False),
    Kind("/v1/orders/import", _order, {"jobs": 1}, must=False, media="application/x-ndjson"),
    Kind("/v1/orders/{order}/cancel", _fixed(reason="changed their mind"), {"OrderCancelled": 1, "reserved": -2},
         must=False, needs=True),
    Kind("/v1/orders/{order}/edit", lambda _: {"lines": [{"line": 1, "qty": 0}], "added": [{"sku": "S00004", "qty": 1}]},
         {"OrderEdited": 1, "reserved": -2}, must=False, needs=True),
    Kind("/v1/orders/{order}/release", _fixed(), {"OrderReleased": 1, "consignments": 1}, needs=True),
    Kind("/v1/stock/receipts", _fixed(**HERE, units=5), {"StockReceived": 1, "on_hand": 5}),
    Kind("/v1/stock/adjustments", _fixed(**HERE, change=-2, reason="broken"), {"StockAdjusted": 1, "on_hand": -2}),
    Kind("/v1/stock/transfers", _fixed(**HERE, to_node="N001", units=1), {"StockTransferred": 1}),
    Kind("/v1/stock/set-asides", _fixed(**HERE, units=3, state="damaged"),
         {"StockSetAside": 1, "on_hand": -3, "damaged": 3}),
    Kind("/v1/holds", lambda _: HELD, {"HoldPlaced": 1, "holds": 1, "reserved": 2}),
    Kind("/v1/inbound", lambda id: {**HERE, "inbound": id, "units": 7, "due_day": "2099-01-01"},
         {"InboundAnnounced": 1, "inbound": 1}),
)  # fmt: skip
"""What is written with keys, and what one of each comes to."""


@dataclass(frozen=True)
class Write:
    """One request, sent again and again with one key."""

    kind: Kind
    path: str
    body: bytes
    other: bytes
    key: str


@dataclass
class Seen:
    """What was answered."""

    writes: list[Write] = field(default_factory=list)
    requests: int = 0
    kills: int = 0
    again: Counter[str] = field(default_factory=Counter)
    reused: int = 0
    missing: int = 0
    wrong: list[str] = field(default_factory=list)


def idempotency(database: str, edition: Edition, say: Say) -> Row:
    """Send keys again and again."""
    rounds, each = (1, 1) if edition.quick else (10, 4)
    rng = np.random.default_rng([edition.seed, 4])
    seen = Seen()
    with town(database, SHOP, waves=False) as found:
        with Database(found.url) as opened:
            before = _totals(opened)
        for number in range(rounds):
            writes = [write for i in range(each) for write in _writes(found, f"r{number}-{i}")]
            _round(found, seen, writes, rng)
            say(f"{len(seen.writes)} keys, {seen.requests:,} requests, {seen.kills} kills")
        with Database(found.url) as opened:
            after = _totals(opened)
            books = unbalanced(opened)
    expected = _expected(seen.writes)
    effects = {name: (after[name] - before[name], expected[name]) for name in {**after, **expected}}
    differ = [f"{name}: {got}, not {want}" for name, (got, want) in effects.items() if got != want]
    keys = len(seen.writes)
    needed = sum(write.kind.must for write in seen.writes)
    figures = {
        "keys": keys, "kinds of writes": len(KINDS), "requests": seen.requests, "kills of the server": seen.kills,
        "answered 409 meanwhile": seen.again["in_flight"], "not answered": seen.again["no answer"],
        "other body refused with 422": seen.reused, "no key refused with 400": seen.missing,
        "different answers": len(seen.wrong), "second effects": len(differ), "fsck findings": len(books),
    }  # fmt: skip
    return Row(
        "each key is sent ten times at once (half of them while the server is killed and started again), ten times once more, "
        "then with another body, and without the key where one is needed",
        figures,
        must(
            (not seen.wrong, f"answers: {seen.wrong[:3]}"),
            (not differ, f"effects: {differ[:5]}"),
            (seen.reused == keys, f"another body was refused {seen.reused} times of {keys}"),
            (seen.missing == needed, f"no key was refused {seen.missing} times of {needed}"),
            (seen.kills == rounds, "the server was not killed"),
            (not books, f"books: {books[:3]}"),
        ),
    )


# --- what is sent -------------------------------------------------------------------------------------------------


def _writes(found: Town, name: str) -> list[Write]:
    """One write of each kind; the orders that some of them need are placed before."""
    client = found.client()
    made = []
    for number, kind in enumerate(KINDS):
        id = f"{name}-{number}"
        order = ""
        if kind.needs:
            placed = client.ask("POST", "/v1/orders", json.dumps(_needed(id)).encode())
            assert placed.status == 201, placed.body
            order = placed.json["id"]
        body, other = kind.body(id), kind.body(f"{id}-other")
        if other == body:
            other = {**body, "at": "2026-03-01T00:00:00Z"}
        path = kind.path.replace("{order}", order)
        made.append(Write(kind, path, json.dumps(body).encode(), json.dumps(other).encode(), f"key-{id}"))
    client.close()
    return made


def _needed(id: str) -> Body:
    """An order of two units."""
    return {**_order(f"needed-{id}"), "lines": [{"sku": "S00002", "qty": 2}]}


def _expected(writes: Sequence[Write]) -> Counter[str]:
    total: Counter[str] = Counter()
    for write in writes:
        total.update(write.kind.effect)
        if write.kind.needs:
            total.update({"OrderPlaced": 1, "Allocated": 1, "orders": 1, "reserved": 2})
    return total


def _totals(database: Database) -> Counter[str]:
    """What there is: facts by kind, rows and units."""
    tables = {"orders": "orders", "holds": "hold", "consignments": "consignment", "inbound": "inbound", "jobs": "job"}
    with database.read() as tx:
        found = Counter({str(kind): int(n) for kind, n in tx.all("SELECT kind, COUNT(*) FROM fact GROUP BY kind")})
        for name, table in tables.items():
            found[name] = int(tx.value(f"SELECT COUNT(*) FROM {table}"))  # noqa: S608 -- a name of ours
        for name in ("on_hand", "reserved", "damaged"):
            found[name] = int(tx.value(f"SELECT SUM({name}) FROM stock"))  # noqa: S608 -- a name of ours
    return found


# --- how it is sent -----------------------------------------------------------------------------------------------


def _round(found: Town, seen: Seen, writes: Sequence[Write], rng: np.random.Generator) -> None:
    """Half of the keys while all is well, the others while the server is killed; then all of them again."""
    calm, wild = writes[::2], writes[1::2]
    answers = _send(found, seen, calm)
    killer = threading.Timer(float(rng.uniform(0.02, 0.5)), found.kill, [("server",)])
    killer.start()
    answers |= _send(found, seen, wild)
    killer.join()
    seen.kills += 1
    again = _send(found, seen, writes)
    for write in writes:
        first, later = answers[write.key], again[write.key]
        bodies = {answer.body for answer in (*first, *later)}
        statuses = {answer.status for answer in (*first, *later)}
        if len(bodies) > 1 or len(statuses) > 1 or not 200 <= min(statuses) < 300:
            seen.wrong.append(f"{write.path}: {statuses} {bodies}")
        if any(answer.headers.get("idempotency-replayed") != "true" for answer in later):
            seen.wrong.append(f"{write.path}: answered anew")
    _send_otherwise(found, seen, writes)
    seen.writes += writes


def _send(found: Town, seen: Seen, writes: Sequence[Write]) -> dict[str, list[Answer]]:
    """Send each ten times at once, and each of those until it is answered."""
    answers: dict[str, list[Answer]] = {write.key: [] for write in writes}
    over = threading.Event()

    def send(write: Write) -> tuple[str, Answer, Counter[str]]:
        client = found.client()
        try:
            answer = client.insist("POST", write.path, write.body, write.key, over.is_set, write.kind.media)
        finally:
            client.close()
        return write.key, answer, client.again

    with ThreadPoolExecutor(TIMES * KEYS_AT_ONCE) as pool:
        try:
            for key, answer, again in pool.map(send, [write for write in writes for _ in range(TIMES)]):
                answers[key].append(answer)
                seen.again.update(again)
                seen.requests += 1 + again.total()
        finally:
            over.set()
    return answers


def _send_otherwise(found: Town, seen: Seen, writes: Sequence[Write]) -> None:
    """Send another body with each key, and no key where one is needed."""
    client = found.client()
    for write in writes:
        other = client.ask("POST", write.path, write.other, write.key, write.kind.media)
        seen.reused += (other.status, other.code) == (422, REUSED)
        seen.requests += 1
        if write.kind.must:
            bare = client.ask("POST", write.path, write.body)
            seen.missing += (bare.status, bare.code) == (400, "missing_idempotency_key")
            seen.requests += 1
    client.close()
