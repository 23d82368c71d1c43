"""Counters for rate limits. The library looks for expired ones after each request, by a new thread; now and then is enough."""

import threading
import time
from typing import Any

from limits.storage import MemoryStorage

SECONDS = 30.0


class _Seldom:
    """Stands for the library's timer: alive until it is time to look again."""

    def __init__(self) -> None:
        self._due = 0.0
        self._timer: threading.Timer | None = None

    def is_alive(self) -> bool:
        return time.monotonic() < self._due

    def take(self, timer: threading.Timer) -> None:
        self._timer, self._due = timer, time.monotonic() + SECONDS

    def start(self) -> None:
        assert self._timer is not None, "taken before it is started"
        self._timer.daemon = True
        self._timer.start()


class Counters(MemoryStorage):
    """What each key has asked for lately, in this process."""

    def __init__(self) -> None:
        self._seldom = _Seldom()
        super().__init__()

    @property
    def timer(self) -> Any:
        return self._seldom

    @timer.setter
    def timer(self, timer: threading.Timer) -> None:
        self._seldom.take(timer)
