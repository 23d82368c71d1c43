"""A client that asks over HTTP, and does not give up: what was not answered is asked again, with the same key and body."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

AWAY = (429, 502, 503)
"""What is worth another try, as is 409 where the same request is being answered."""
WAIT = 0.2
"""Seconds between two tries."""


@dataclass(frozen=True)
class Answer:
    """What was answered, byte for byte."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable code of a refusal."""
        return str(self.json.get("code", "")) if self.status >= 400 and self.body else ""


class Client:
    """One connection, made again where it breaks.

    Attributes
    ----------
    again
        Why it asked again, and how often.
    """

    def __init__(self, host: str, port: int, key: str = "", timeout: float = 60.0) -> None:
        self.host, self.port, self.key, self.timeout = host, port, key, timeout
        self.again: Counter[str] = Counter()
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: bytes | None = None, once: str = "", media: str = "application/json"
    ) -> Answer:
        """Ask once.

        Raises
        ------
        OSError or http.client.HTTPException
            There was no answer, or half of one.
        """
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None:
            headers["Content-Type"] = media
        if once:
            headers["Idempotency-Key"] = once
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def insist(
        self,
        method: str,
        path: str,
        body: bytes | None,
        once: str,
        over: Callable[[], bool],
        media: str = "application/json",
    ) -> Answer:
        """Ask until there is an answer to the request itself.

        Raises
        ------
        TimeoutError
            There was none until it was over.
        """
        while not over():
            try:
                answer = self.ask(method, path, body, once, media)
            except (OSError, http.client.HTTPException):
                self.again["no answer"] += 1
            else:
                if answer.status not in AWAY and answer.code != "in_flight":
                    return answer
                self.again[answer.code] += 1
            time.sleep(WAIT)
        raise TimeoutError(f"{method} {path} is not answered")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
