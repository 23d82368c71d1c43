"""A client that asks over HTTP, and does not give up: what was not answered is asked again, with the same key and body."""

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

AGAIN = (409, 429, 500, 502, 503)
"""What is worth another try; 409 only where the same request is being answered."""
WAIT = 0.1


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
    """One connection, made again where it breaks."""

    def __init__(self, host: str, port: int, key: str = "", timeout: float = 60.0) -> None:
        self.host, self.port, self.key, self.timeout = host, port, key, timeout
        self._connection: http.client.HTTPConnection | None = None
        self.tries = 0

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
            return Answer(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def insist(self, method: str, path: str, body: bytes, once: str, over: Callable[[], bool]) -> Answer | None:
        """Ask until there is an answer to the request itself, or it is over."""
        while not over():
            self.tries += 1
            try:
                answer = self.ask(method, path, body, once)
            except (OSError, http.client.HTTPException):
                time.sleep(WAIT)
                continue
            if answer.status not in AGAIN or (answer.status == 409 and answer.code != "in_flight"):
                return answer
            time.sleep(WAIT)
        return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
