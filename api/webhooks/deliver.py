"""The deliverer: takes deliveries that are due, sends them side by side, and notes what came of each."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from api.figures import version
from api.http.telemetry import log
from api.vault import Vault
from api.webhooks.envelope import MEDIA, body_of
from api.webhooks.guard import Guard
from api.webhooks.signing import headers_of
from engine import reads, webhooks
from engine.database import Database, Tx, Unavailable
from engine.entries import CURRENCY
from engine.webhooks import Due, Result
from solver.refusal import Refusal

SECONDS = 15.0
"""What a try may take, from finding the address to the answer."""
MOST = 512
"""Deliveries that a process has under way, at most."""
READ = 65_536
"""Bytes of an answer that are read, at most; none are kept."""
IDLE = 0.3
"""Seconds between looks for deliveries where there were none."""
LAST_SECONDS = 4.0
"""What is under way may still take when the process is to end."""
AWAY = 1.0
"""Seconds before another try where the database is away."""


def client_of() -> httpx.AsyncClient:
    """The client that deliveries go out by: no proxy, no redirect, no cookie, no connection used twice.

    A connection is made to an address, not to a name; used again, it might carry what is for another name.
    """
    return httpx.AsyncClient(
        trust_env=False, follow_redirects=False, timeout=SECONDS,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )  # fmt: skip


class Deliverer:
    """Delivers.

    Parameters
    ----------
    clock
        Milliseconds since 1970-01-01 UTC.
    worker
        A name that nobody else has.
    source
        Who tells the events: a URI.
    done
        Told of each try and whether it was answered with success.
    """

    def __init__(
        self, database: Database, vault: Vault, client: httpx.AsyncClient, guard: Guard, clock: Callable[[], int],
        worker: str, source: str, done: Callable[[bool], None] = lambda delivered: None,
    ) -> None:  # fmt: skip
        self._database, self._vault, self._client, self._guard = database, vault, client, guard
        self._clock, self._worker, self._source, self._done = clock, worker, source, done
        self._currency = CURRENCY

    async def step(self) -> int:
        """Send all that can be claimed at once, and note what came of it; returns how much that was."""
        due = await asyncio.to_thread(self._turn, [], Counter[str]())
        results = await asyncio.gather(*(self.send(one) for one in due))
        await asyncio.to_thread(self._settle, results)
        return len(due)

    async def run(self, over: threading.Event) -> None:
        """Deliver until it is over; what is under way then may still end, and the rest is given back."""
        running: dict[asyncio.Task[Result], str] = {}
        ended: list[Result] = []
        while not over.is_set():
            try:
                due = await asyncio.to_thread(self._turn, ended, Counter(running.values()))
                ended = []
            except Unavailable:
                log.warning("database away", worker=self._worker)
                await asyncio.sleep(AWAY)
                continue
            running |= {asyncio.create_task(self.send(one)): one.webhook for one in due}
            if running:
                done, _ = await asyncio.wait(running, timeout=IDLE, return_when=asyncio.FIRST_COMPLETED)
                ended = [task.result() for task in done]
                for task in done:
                    del running[task]
            else:
                await asyncio.to_thread(over.wait, IDLE)
        if running:
            done, late = await asyncio.wait(running, timeout=LAST_SECONDS)
            for task in late:
                task.cancel()
            ended += [task.result() for task in done]
        await asyncio.to_thread(self._settle, ended)
        await asyncio.to_thread(self._database.write, lambda tx: webhooks.give_back(tx, self._worker))

    def _turn(self, ended: Sequence[Result], busy: Counter[str]) -> list[Due]:
        """Note what came of tries and take more, in one transaction; none where there is nothing to do."""
        at, most = self._clock(), MOST - busy.total()
        if not ended:
            with self._database.read() as tx:
                if not webhooks.is_due(tx, at):
                    return []
                self._currency = reads.currency(tx) or CURRENCY

        def act(tx: Tx) -> list[Due]:
            webhooks.settle(tx, at, self._worker, ended)
            return webhooks.claim(tx, at, self._worker, busy, most)

        return self._database.write(act)

    def _settle(self, results: Sequence[Result]) -> None:
        if results:
            at = self._clock()
            self._database.write(lambda tx: webhooks.settle(tx, at, self._worker, results))

    async def send(self, due: Due) -> Result:
        """Send one delivery."""
        began = self._clock()
        code, error = None, ""
        try:
            async with asyncio.timeout(SECONDS):
                code = await self._post(due, began)
        except Refusal as refusal:
            error = refusal.code
        except (TimeoutError, httpx.TimeoutException):
            error = "timeout"
        except httpx.ConnectError as failed:
            error = "bad_certificate" if "CERTIFICATE_VERIFY_FAILED" in str(failed) else "no_connection"
        except httpx.HTTPError:
            error = "no_answer"
        except Exception:
            log.exception("bug", webhook=due.webhook, event_id=due.event.id)
            error = "bug"
        ended = self._clock()
        result = Result(due.webhook, due.event_no, due.leased_until, ended, max(0, ended - began), code, error)
        self._done(result.delivered)
        return result

    async def _post(self, due: Due, at: int) -> int:
        url = self._guard.check(due.url)
        body = body_of(due.event, self._currency, self._source)
        headers = {
            "content-type": MEDIA,
            "user-agent": f"allot/{version()}",
            "host": url.netloc.decode(),
            **headers_of(due.event.id, at, body, [self._vault.unseal(sealed) for sealed in due.sealed]),
        }
        addresses = await self._guard.addresses_of(url)
        for address in addresses[:-1]:
            try:
                return await self._post_to(url, address, headers, body)
            except httpx.ConnectError:
                continue  # another address of the same host may answer
        return await self._post_to(url, addresses[-1], headers, body)

    async def _post_to(self, url: httpx.URL, address: str, headers: dict[str, str], body: bytes) -> int:
        request = self._client.build_request(
            "POST", url.copy_with(host=address), content=body, headers=headers,
            extensions={"sni_hostname": url.raw_host.decode()},
        )  # fmt: skip
        answer = await self._client.send(request, stream=True)
        try:
            read = 0
            async for piece in answer.aiter_raw():
                read += len(piece)
                if read > READ:
                    break
        finally:
            await answer.aclose()
        return answer.status_code
