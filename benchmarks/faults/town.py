"""A service in processes of their own, each of which can be killed and started again."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from api.http.service import now
from api.keys import ADMIN, create
from benchmarks.faults.client import Client
from benchmarks.faults.postgres import Postgres, migrated
from benchmarks.server import Server, free_port, start
from benchmarks.shop import Shop, open_shop
from engine.database import Database

SETTINGS = {"ALLOT_KEY_LEASE": "2", "ALLOT_RATE": "10000000/minute", "ALLOT_WORKERS": "0"}
WAVES = {"ALLOT_WAVE_EVERY": "2", "ALLOT_WAVE_SECONDS": "1", "ALLOT_SWEEP_EVERY": "1"}


class Town:
    """A server and its database; on PostgreSQL a worker, too, which has the waves.

    Attributes
    ----------
    names
        What can be killed: `server`, and `worker` and `database` where they are processes.
    """

    def __init__(self, url: str, key: str, postgres: Postgres | None, waves: bool) -> None:
        self.url, self.key, self.postgres, self.port = url, key, postgres, free_port()
        self.names: tuple[str, ...] = ("server", "worker", "database") if postgres and waves else ("server",)
        self._settings = SETTINGS | (WAVES if waves and not postgres else {})
        self.server: Server
        self.worker: subprocess.Popen[bytes] | None = None

    @contextmanager
    def open(self) -> Iterator["Town"]:
        self._start_server()
        try:
            if "worker" in self.names:
                self._start_worker()
            yield self
        finally:
            self.server.kill()
            self._kill_worker()

    def client(self, timeout: float = 60.0) -> Client:
        return Client(self.server.host, self.port, self.key, timeout)

    def kill(self, what: tuple[str, ...]) -> float:
        """Kill some of it, start that again, and say how long it took until all was ready."""
        if "database" in what and self.postgres:
            self.postgres.kill()
        if "server" in what:
            self.server.kill()
        if "worker" in what:
            self._kill_worker()
        began = time.monotonic()
        if "database" in what and self.postgres:
            self.postgres.restart()
        again: list[Callable[[], None]] = [self._start_server] if "server" in what else []
        again += [self._start_worker] if "worker" in what else []
        threads = [threading.Thread(target=one) for one in again]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ready = self.client(timeout=5.0)
        ready.insist("GET", "/readyz", None, "", lambda: self.server.process.poll() is not None)
        ready.close()
        return time.monotonic() - began

    def _start_server(self) -> None:
        self.server = start(self.url, self.key, self._settings, self.port)

    def _start_worker(self) -> None:
        """Start a worker, and wait until it works."""
        self.worker = subprocess.Popen(
            [sys.executable, "-u", "-m", "api", "worker"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **SETTINGS, **WAVES, "ALLOT_DATABASE_URL": self.url, "ALLOT_LOG_LEVEL": "critical"},
        )  # fmt: skip
        assert self.worker.stdout is not None
        said = self.worker.stdout.readline()
        assert b"works on" in said, f"the worker does not begin: {said!r}"

    def _kill_worker(self) -> None:
        if self.worker is not None:
            self.worker.kill()
            self.worker.communicate()


@contextmanager
def town(database: str, shop: Shop, *, waves: bool) -> Iterator[Town]:
    """A service with a shop in an empty database of this kind."""
    with migrated(database) as (url, postgres):
        with Database(url) as opened:
            open_shop(opened, shop)
            _, key = opened.write(lambda tx: create(tx, now(), "faults", [ADMIN]))
        with Town(url, key, postgres, waves).open() as found:
            yield found
