"""Everybody wants the same few units: sixteen clients, waves, holds that end, feeds and counts that change what is there.

Nobody may get a unit that is not there, at any moment that anybody could look; and in the end, when nothing is held any more,
everything is sold to the last unit.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np

from benchmarks.faults.postgres import migrated
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.results import Say
from benchmarks.shop import NOW, Shop, network_of
from engine.capture import Captured, capture
from engine.catalogue import put_network
from engine.database import Database, Tx
from engine.entries import ChannelEntry, put_channels
from engine.facts import (
    HeldUnits,
    HoldPlaced,
    HoldReleased,
    OrderedLine,
    OrderPlaced,
    Place,
    StockCounted,
    StockReported,
    StockTransferred,
)
from engine.network import Network
from engine.store import Store
from engine.waves import run_wave
from solver.effort import Effort
from solver.refusal import Refusal

CLIENTS, SKUS, NODES = 16, 20, 8
EACH = 8
"""Clients of one process, on PostgreSQL."""
WAITING = 4
"""SKUs whose orders wait where nothing is there; of the others they are refused."""
NOWHERE = "nowhere"
LAST = "last"
"""The channel that sells what is left: it spares nothing for the orders that wait."""
TOGETHER = (1, 10, 100)
"""Orders or holds that a client sends at once, one of these."""


@dataclass(frozen=True)
class Crowd:
    """Who wants how much.

    Attributes
    ----------
    began
        `time.monotonic()` when it began: every process reads the same clock.
    """

    url: str
    seed: int
    clients: int
    attempts: int
    began: float


def oversell(database: str, edition: Edition, say: Say) -> Row:
    """Let everybody want ten times what is there."""
    attempts = 1_000 if edition.quick else 200_000
    network = _network(attempts, edition.seed)
    with migrated(database) as (url, _), Database(url) as opened:
        opened.write(lambda tx: _open(tx, network))
        crowd = Crowd(url, edition.seed, CLIENTS, attempts, time.monotonic())
        beside = Beside(crowd, opened)
        with beside.going():
            done = _attempts(crowd, opened, say)
        say("selling what is left")
        given, there, rounds = _sell_out(crowd, opened, beside.level)
        wrong = unbalanced(opened)
        over = _oversold(opened)
    demand = done["attempts"]
    figures = {
        "attempts": demand, "clients": CLIENTS, "units there": there, "demand": round(demand / max(1, there), 1),
        "accepted": done["accepted"], "refused": done["refused"], "holds": done["holds"], "waves": beside.waves,
        "stock messages": beside.messages, "looks while it went on": beside.looks, "oversold": over + beside.oversold,
        "given in the end": given, "fsck findings": len(wrong),
    }  # fmt: skip
    return Row(
        "clients place orders and holds on 20 SKUs, give holds up and turn them into orders, while waves, feeds, counts, "
        "transfers and the end of holds go on; then all is sold out",
        figures,
        must(
            (demand >= attempts, f"{demand} attempts are not {attempts}"),
            (not over and not beside.oversold, "units were given that are not there"),
            (given == there, f"{given} units are given of {there} that are there"),
            (demand >= 10 * there, "demand is not ten times the stock"),
            (beside.looks > 0 and beside.waves > 0, "nothing went on beside the clients"),
            (not wrong, f"books: {wrong[:3]}"),
            (not beside.failed, f"beside the clients: {beside.failed[:3]}"),
            (rounds < ROUNDS, "it is never sold out"),
        ),
    )


def _network(attempts: int, seed: int) -> Network:
    """A shop with a tenth of what is wanted, where it never pays to wait for a unit that is nearer."""
    shop = Shop(nodes=NODES, skus=SKUS, seed=seed)
    empty = network_of(shop)
    network = network_of(replace(shop, stock=max(1, attempts // 10 // len(empty.stock))))
    terms = msgspec.structs.replace(network.terms, wait_cents_per_day=1_000, restock_days=30)
    return msgspec.structs.replace(network, terms=terms)


def _open(tx: Tx, network: Network) -> None:
    put_network(tx, network, NOW)
    put_channels(tx, [ChannelEntry(id="web"), ChannelEntry(id=LAST, stock_values=False)], NOW)
    tx.run("UPDATE sku SET backorder = false WHERE no > :waiting", waiting=WAITING)


# --- the clients --------------------------------------------------------------------------------------------------


def _attempts(crowd: Crowd, database: Database, say: Say) -> dict[str, int]:
    """All clients: threads of a few processes on PostgreSQL, of one on SQLite, which has one writer."""
    if database.dialect == "sqlite":
        return _merged([_clients(crowd, database, range(crowd.clients), say)])
    running = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.faults.oversell", json.dumps(asdict(crowd)), str(first), str(EACH)],
            stdout=subprocess.PIPE,
        )
        for first in range(0, crowd.clients, EACH)
    ]
    say(f"{len(running)} processes of {EACH} clients each")
    told = [process.communicate()[0] for process in running]
    assert not any(process.returncode for process in running), "a client died"
    return _merged([json.loads(one) for one in told])


def _merged(told: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(one[name] for one in told) for name in told[0]}


def _clients(crowd: Crowd, database: Database, which: range, say: Say) -> dict[str, int]:
    clients = [Client(crowd, database, number) for number in which]
    threads = [threading.Thread(target=client.run, name=f"client-{client.number}") for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(10.0)
            say(f"{sum(client.told['attempts'] for client in clients):,} attempts")
    failed = [client.failed for client in clients if client.failed]
    assert not failed, failed[0]
    return _merged([client.told for client in clients])


class Client:
    """Wants units, one after the other, until it has tried often enough."""

    def __init__(self, crowd: Crowd, database: Database, number: int) -> None:
        self.crowd, self.number, self.store = crowd, number, Store(database)
        self.rng = np.random.default_rng([crowd.seed, number])
        popularity = 1.0 / np.arange(1, SKUS + 1) ** 0.5
        self.chance = popularity / popularity.sum()
        self.made = 0
        self.holds: list[tuple[str, int]] = []
        self.told = {"attempts": 0, "accepted": 0, "refused": 0, "holds": 0}
        self.failed = ""

    def run(self) -> None:
        """Try until it was often enough."""
        try:
            while self.told["attempts"] < self.crowd.attempts // self.crowd.clients:
                (self.order, self.order, self.hold, self.give_up)[int(self.rng.integers(4))]()
        except BaseException as error:
            self.failed = repr(error)
            raise

    def about(self) -> dict[str, Any]:
        self.made += 1
        return {"id": f"c{self.number}-{self.made}", "at": now(self.crowd)}

    def many(self) -> int:
        return int(self.rng.choice(TOGETHER))

    def skus(self, number: int) -> list[int]:
        return [int(sku) for sku in self.rng.choice(SKUS, number, p=self.chance)]

    def order(self) -> None:
        """Place orders, some of them of units that were held."""
        converted, self.holds = self.holds[:3], self.holds[3:]
        wanted = [(sku, hold) for hold, sku in converted] + [(sku, None) for sku in self.skus(self.many())]
        orders = [self.ordered(sku, hold) for sku, hold in wanted]
        done = capture(self.store.database, orders, now(self.crowd), seconds=0.5)
        self.count(len(orders), sum(is_in(one) for one in done))

    def ordered(self, sku: int, hold: str | None, channel: str = "web") -> OrderPlaced:
        about = self.about()
        lat, lon = self.rng.uniform(47.5, 55.0), self.rng.uniform(6.0, 15.0)
        return OrderPlaced(
            at=about["at"], channel=channel, external_id=about["id"], hold=hold, place=Place(lat=lat, lon=lon),
            lines=(OrderedLine(sku=name_of(sku), qty=1),),
        )  # fmt: skip

    def hold(self) -> None:
        """Keep units for a moment or two."""
        skus = self.skus(self.many())
        asked = [
            HoldPlaced(**(about := self.about()), channel="web", until=about["at"] + int(self.rng.integers(200, 5_000)),
                       units=(HeldUnits(sku=name_of(sku), units=1),))
            for sku in skus
        ]  # fmt: skip
        answers = self.store.hold(asked)
        kept = [(one.id, sku) for one, sku in zip(answers, skus, strict=True) if one.outcome == "new"]
        self.holds = (self.holds + kept)[-20:]
        self.told["holds"] += len(kept)
        self.count(len(asked), len(kept))

    def give_up(self) -> None:
        """Give a hold up, unless it has ended."""
        if self.holds:
            hold, _ = self.holds.pop()
            try:
                self.store.give_up(HoldReleased(**self.about(), hold=hold))
            except Refusal as refusal:
                if refusal.code != "hold_ended":
                    raise

    def count(self, asked: int, got: int) -> None:
        self.told["attempts"] += asked
        self.told["accepted"] += got
        self.told["refused"] += asked - got


def is_in(one: Captured) -> bool:
    """Whether an order was taken in."""
    return one.placed.outcome == "new"


def name_of(sku: int) -> str:
    """The id of a SKU."""
    return f"S{sku:05}"


def now(crowd: Crowd) -> int:
    """The moment, for everybody the same."""
    return NOW + int(1000 * (time.monotonic() - crowd.began))


# --- what goes on beside them -------------------------------------------------------------------------------------


class Beside:
    """Waves, stock that changes, holds that end, and somebody who looks."""

    def __init__(self, crowd: Crowd, database: Database) -> None:
        self.crowd, self.database, self.store = crowd, database, Store(database)
        self.rng = np.random.default_rng([crowd.seed, 1_000])
        with database.read() as tx:
            self.level = {
                (sku, node): units
                for sku, node, units in tx.all(
                    "SELECT s.id, n.id, k.on_hand FROM stock k JOIN sku s ON s.no = k.sku_no JOIN node n ON n.no = k.node_no"
                )
            }
        self.waves = self.messages = self.looks = self.oversold = 0
        self.failed: list[str] = []
        self._over = threading.Event()

    @contextmanager
    def going(self) -> Iterator[None]:
        """Go on while something else does."""
        threads = [
            threading.Thread(target=self._again, args=(act, wait), name=act.__name__)
            for act, wait in ((self.wave, 0.5), (self.stock, 0.05), (self.end, 0.3), (self.look, 0.3))
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _again(self, act: Callable[[], None], wait: float) -> None:
        while True:
            try:
                act()
            except Exception as error:
                self.failed.append(f"{act.__name__}: {error!r}")
            if self._over.wait(wait):
                return

    def wave(self) -> None:
        """Decide what waits again."""
        policy = ("joint", "cheapest")[self.waves % 2]
        run_wave(self.database, now(self.crowd), worker=f"w{self.waves}", policy=policy, effort=Effort(seconds=0.5),
                 limit=1_000, seed=self.waves)  # fmt: skip
        self.waves += 1

    def stock(self) -> None:
        """More or fewer units somewhere: by a feed (late at times), a count, or a transfer."""
        self.messages += 1
        number = self.messages
        place = sorted(self.level)[int(self.rng.integers(len(self.level)))]
        sku, node = place
        units = max(0, self.level[place] + int(self.rng.integers(-5, 6)))
        about: dict[str, Any] = {"id": f"m{number}", "at": now(self.crowd), "sku": sku, "node": node}
        try:
            if number % 3 == 0:
                self.store.record([StockCounted(**about, units=units)])
            elif number % 3 == 1:
                late = int(self.rng.integers(0, 3))
                self.store.report(
                    [StockReported(**about, source="wms", sequence=max(0, number - 3 * late), units=units)]
                )
            else:
                to = next((n for s, n in sorted(self.level) if s == sku and n != node), NOWHERE)
                self.store.record([StockTransferred(**about, to_node=to, units=1)])
        except Refusal as refusal:
            if refusal.code not in ("not_enough_stock", "stock_is_reserved", "unknown_node"):
                raise

    def end(self) -> None:
        """End what is over."""
        self.store.expire(now(self.crowd))

    def look(self) -> None:
        """Whether more is given than is there, at this moment."""
        self.oversold += _oversold(self.database)
        self.looks += 1


def _oversold(database: Database) -> int:
    """Units that are claimed or held beyond what is there: from the claims and holds themselves, not from the sums."""
    with database.read() as tx:
        return sum(
            int(units)
            for (units,) in tx.all(
                "SELECT SUM(taken) - SUM(there) FROM ("
                "SELECT sku_no, node_no, 0 AS taken, on_hand AS there FROM stock "
                "UNION ALL SELECT sku_no, node_no, units, 0 FROM claim "
                "UNION ALL SELECT u.sku_no, u.node_no, u.units, 0 FROM hold_unit u JOIN hold h ON h.id = u.hold "
                "WHERE h.state = 'held') AS entries GROUP BY sku_no, node_no HAVING SUM(taken) > SUM(there)"
            )
        )


ROUNDS = 20


def _sell_out(crowd: Crowd, database: Database, level: dict[tuple[str, str], int]) -> tuple[int, int, int]:
    """End all holds, count everything, and sell until nobody gets anything; gives units given, units there, and rounds."""
    crowd = replace(crowd, began=crowd.began - 24 * 3600)  # a day later
    store, client = Store(database), Client(crowd, database, 9_999)
    while store.expire(now(crowd)).holds:
        pass
    store.record([
        StockCounted(id=f"last-{sku}-{node}", at=now(crowd), sku=sku, node=node, units=units)
        for (sku, node), units in sorted(level.items())
    ])  # fmt: skip
    rounds = 0
    while _free(database) and rounds < ROUNDS:
        rounds += 1
        # what waits gets what is left, and others what nobody waits for
        run_wave(database, now(crowd), worker=f"last-{rounds}", effort=Effort(seconds=40.0))
        free = _free(database)
        orders = [client.ordered(sku - 1, None, LAST) for sku, units in free.items() for _ in range(min(units, 200))]
        capture(database, orders, now(crowd))
    with database.read() as tx:
        given = int(tx.value("SELECT COALESCE(SUM(allocated), 0) FROM order_line"))
        there = int(tx.value("SELECT SUM(on_hand) FROM stock"))
    assert there == sum(level.values()), "a count is what is there"
    return given, there, rounds


def _free(database: Database) -> dict[int, int]:
    """Units that nobody has yet, by SKU."""
    with database.read() as tx:
        found = tx.all(
            "SELECT sku_no, SUM(on_hand - reserved) FROM stock GROUP BY sku_no HAVING SUM(on_hand - reserved) > 0"
        )
    return {sku: int(units) for sku, units in found}


def main() -> None:
    """Some of the clients, in a process of their own."""
    crowd = Crowd(**json.loads(sys.argv[1]))
    first, number = int(sys.argv[2]), int(sys.argv[3])

    def say(message: str) -> None:
        sys.stderr.write(f"faults: clients from {first} on: {message}\n")

    with Database(crowd.url, connections=number) as database:
        print(json.dumps(_clients(crowd, database, range(first, first + number), say)))


if __name__ == "__main__":
    main()
