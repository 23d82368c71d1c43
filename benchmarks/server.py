"""`allot serve` as a process of its own, ready to be asked, stopped by SIGTERM or killed."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from api.http.service import now
from api.keys import ADMIN, create
from engine.database import Database

READY_SECONDS = 180.0


@dataclass
class Server:
    """A server that runs."""

    host: str
    port: int
    key: str
    process: "subprocess.Popen[bytes]" = field(repr=False)

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()


def start(url: str, key: str, settings: Mapping[str, str] | None = None, port: int | None = None) -> Server:
    """Start a server on a migrated database, and wait until it is ready."""
    port = port or free_port()
    environment = {
        **os.environ,
        "ALLOT_DATABASE_URL": url,
        "ALLOT_WAVE_EVERY": "0",
        "ALLOT_LOG_LEVEL": "warning",
        **dict(settings or {}),
    }
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "api", "serve", "--port", str(port)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    server = Server("127.0.0.1", port, key, process)
    until = time.monotonic() + READY_SECONDS
    while not _is_ready(server):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError(f"the server is not ready: exit code {process.poll()}")
        time.sleep(0.05)
    return server


@contextmanager
def serving(url: str, **settings: str) -> Iterator[Server]:
    """A server with an admin key, as long as it is asked."""
    with Database(url) as database:
        _, key = database.write(lambda tx: create(tx, now(), "benchmark", [ADMIN]))
    server = start(url, key, settings)
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _is_ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"http://{server.host}:{server.port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
