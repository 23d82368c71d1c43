"""Load over HTTP at a fixed rate, from a process of its own: `python -m benchmarks.load REQUEST.json`.

The loop is open: every request has its time, and its latency counts from there, whether or not a connection was free. A server that
falls behind is thus seen to.
"""

import asyncio
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Load:
    """What is sent where, how fast.

    Attributes
    ----------
    bodies
        Of the requests, in turn; each is sent once.
    rate
        Requests a second; 0 for as fast as the connections allow.
    keyed
        Whether each has an idempotency key of its own.
    """

    host: str
    port: int
    path: str
    key: str
    bodies: Sequence[str]
    rate: float
    connections: int
    keyed: bool = False


async def put_on(load: Load) -> dict[str, Any]:
    """Send everything, and say how long the answers took."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    seconds: list[float] = []
    statuses: Counter[int] = Counter()
    workers = [asyncio.create_task(_work(load, queue, seconds, statuses)) for _ in range(load.connections)]
    began = time.perf_counter()
    for i, body in enumerate(load.bodies):
        due = began + i / load.rate if load.rate else began
        if load.rate and (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        queue.put_nowait((due if load.rate else 0.0, _request(load, body)))
    await queue.join()
    took = time.perf_counter() - began
    for worker in workers:
        worker.cancel()
    ms = 1000 * np.array(seconds)
    p50, p99 = (float(np.percentile(ms, q)) for q in (50, 99)) if len(ms) else (0.0, 0.0)
    return {
        "requests": len(load.bodies),
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "seconds": took,
        "rate": len(load.bodies) / took,
        "p50_ms": p50,
        "p99_ms": p99,
        "max_ms": float(ms.max()) if len(ms) else 0.0,
    }


def _request(load: Load, body: str) -> bytes:
    content = body.encode()
    key = f"Idempotency-Key: {secrets.token_hex(16)}\r\n" if load.keyed else ""
    head = (
        f"POST {load.path} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\nAuthorization: Bearer {load.key}\r\n"
        f"{key}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _work(
    load: Load, queue: "asyncio.Queue[tuple[float, bytes]]", seconds: list[float], statuses: Counter[int]
) -> None:
    reader, writer = await asyncio.open_connection(load.host, load.port)
    try:
        while True:
            due, request = await queue.get()
            began = due or time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - began)
            statuses[int(head.split(b" ", 2)[1])] += 1
            queue.task_done()
    finally:
        writer.close()


def main() -> None:
    """Read a load, put it on, and print what came of it as JSON."""
    load = Load(**json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps(asyncio.run(put_on(load))))


if __name__ == "__main__":
    main()
