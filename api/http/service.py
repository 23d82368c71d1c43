"""What every request shares: the database, threads, batchers, keys, limits; and `Call`, one request's view of it."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from threading import Event
from typing import Annotated, Any, TypeVar, cast
from weakref import WeakSet

from fastapi import Depends, Request
from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter
from starlette.responses import Response

from api import keys
from api.carriers.calls import Calls
from api.http import edge, idempotency
from api.http.batcher import Batcher
from api.http.counting import Counters
from api.http.idempotency import Answered, Asked, Taken, as_before
from api.http.problems import Refused
from api.keys import Key
from api.papers import Letters
from api.payments.calls import Payments
from api.settings import Settings
from api.vault import Vault, vault_of
from api.webhooks.guard import Guard
from engine import reads
from engine.ahead import lookout_of
from engine.capture import Captured, capture_in
from engine.catalogue import read_catalogue
from engine.database import Database, Tx
from engine.entries import CURRENCY
from engine.facts import Fact, OrderPlaced, check_happened, check_id, short_id
from engine.promise import Offer, Wanted, promise_all
from solver.effort import Effort
from solver.refusal import Refusal

T = TypeVar("T")
F = TypeVar("F", bound=Fact)
MOST_KEYS = 10_000
"""Keys remembered at once."""
TOGETHER = 64


def now() -> int:
    """Read the clock: here and nowhere below. Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Capturing:
    """Orders that a request brings, by whose key; what is answered once they are taken in, and the key to keep that under."""

    orders: Sequence[OrderPlaced]
    by: str
    answer: Callable[[Sequence[Captured]], Response]
    once: Asked | None


def answer_of(done: Taken | Response) -> Response:
    """What was answered, now or before."""
    return as_before(done) if isinstance(done, Taken) else done


class Service:
    """One process of `allot serve`."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], int] = now) -> None:
        self.settings, self.database, self.clock = settings, database, clock
        self.threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="work")
        self.draining = False
        self.busy = 0
        self._thinking = 0
        waiting = 2 * settings.most_requests
        self._takes: Batcher[Asked, Taken] = Batcher(
            "take", lambda asked: idempotency.take_all(database, asked), TOGETHER, waiting
        )
        self._finishes: Batcher[tuple[Asked, Answered], None] = Batcher(
            "finish", lambda done: idempotency.finish_all(database, done), TOGETHER, waiting
        )
        self._captures: Batcher[Capturing, Taken | Response] = Batcher("capture", self._capture, TOGETHER, waiting)
        self._promises: Batcher[Wanted, list[Offer]] = Batcher("promise", self._promise, TOGETHER, waiting)
        self.batchers: list[Batcher[Any, Any]] = [self._takes, self._finishes, self._captures, self._promises]
        self._keys: dict[str, tuple[Key | None, float]] = {}
        self.calls = Calls(database, clock)
        self.payments = Payments(settings, database, clock)
        self._efforts: WeakSet[Event] = WeakSet()
        self._currency: str | None = None
        self._limiter = FixedWindowRateLimiter(Counters())
        self.rate, self.failed_rate = parse(settings.rate), parse(settings.failed_rate)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        for batcher in self.batchers:
            batcher.start()

    async def stop(self) -> None:
        """Finish what was asked."""
        for batcher in self.batchers:
            await batcher.stop()
        self.threads.shutdown()

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do blocking work in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    async def think(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do something that may take long: in half of the threads at most, so that everybody else is answered meanwhile.

        Raises
        ------
        Refused
            As much is being decided already.
        """
        most = max(1, self.settings.threads // 2)
        if self._thinking >= most:
            detail = f"{most} waves are being decided or carriers called, as many as may be at once; ask again"
            raise Refused("overloaded", detail, {"Retry-After": "5"})
        self._thinking += 1
        try:
            return await self.run(work, *arguments)
        finally:
            self._thinking -= 1

    async def write(self, act: Callable[[Tx], T]) -> T:
        """One transaction, in a thread."""
        return await self.run(self.database.write, act)

    async def read(self, act: Callable[[Tx], T]) -> T:
        """One state of the database, read in a thread."""

        def read() -> T:
            with self.database.read() as tx:
                return act(tx)

        return await self.run(read)

    def letters(self) -> Letters:
        """The fonts of one paper."""
        return Letters(self.settings.more_fonts)

    async def take(self, asked: Asked) -> Taken:
        """Take an idempotency key."""
        return await self._takes.do(asked)

    async def finish(self, asked: Asked, answer: Answered) -> None:
        """Keep what an idempotency key was answered."""
        await self._finishes.do((asked, answer))

    async def key_of(self, secret: str) -> Key | None:
        """The valid key that somebody showed."""
        name = keys.digest(secret)
        known = self._keys.get(name)
        if known is None or time.monotonic() > known[1]:
            found = await self.read(lambda tx: keys.find(tx, secret))
            if len(self._keys) >= MOST_KEYS:
                self._keys.clear()
            known = found, time.monotonic() + self.settings.keys_cached
            if found is not None:  # wrong ones are made up without end
                self._keys[name] = known
        return known[0] if known[0] and known[0].holds(self.clock()) else None

    async def capture(self, one: "Capturing") -> Response:
        """Take an order in, together with whatever others come at the same time."""
        return answer_of(await self._captures.do(one))

    async def capture_all(self, one: "Capturing") -> Response:
        """Take orders in that came together."""
        (done,) = await self.run(self._capture, [one])
        if isinstance(done, BaseException):
            raise done
        return answer_of(done)

    def _capture(self, asked: Sequence["Capturing"]) -> list[Taken | Response | BaseException]:
        """Take in what has gathered, each key's orders together; what fails for one key fails for it alone."""
        answers: list[Taken | Response | BaseException] = [AssertionError("no answer")] * len(asked)
        for by in dict.fromkeys(one.by for one in asked):
            mine = [i for i, one in enumerate(asked) if one.by == by]
            done: Sequence[Taken | Response | BaseException]
            try:
                done = self._capture_by(by, [asked[i] for i in mine])
            except Exception as error:
                done = [error] * len(mine)
            for i, answer in zip(mine, done, strict=True):
                answers[i] = answer
        return answers

    def _capture_by(self, by: str, asked: Sequence["Capturing"]) -> list[Taken | Response]:
        """Take in the orders of one key: they, their idempotency keys and the answers are one transaction."""
        at, lookout = self.clock(), lookout_of(self.database)

        def act(tx: Tx) -> list[Taken | Response]:
            def work(todo: list[int]) -> list[Response]:
                orders = [order for i in todo for order in asked[i].orders]
                captured = iter(capture_in(tx, orders, at, by=by, lookout=lookout))
                return [asked[i].answer([*islice(captured, len(asked[i].orders))]) for i in todo]

            return idempotency.once(tx, [one.once for one in asked], work)

        return self.database.write(act)

    async def promise(self, wanted: Wanted) -> list[Offer]:
        """Offer every way to get an order, together with whatever else is asked for at the same time."""
        return await self._promises.do(wanted)

    def _promise(self, wanted: Sequence[Wanted]) -> list[list[Offer] | Refusal]:
        at = self.clock()
        with self.database.read() as tx:
            return promise_all(tx, read_catalogue(tx, at), wanted, at)

    @cached_property
    def vault(self) -> Vault:
        """What seals the secrets that are read again."""
        return vault_of(self.settings)

    @property
    def guard(self) -> Guard:
        """What says where webhooks may go."""
        return Guard(self.settings.networks, http=self.settings.webhook_http)

    async def currency(self) -> str:
        """The currency of all money here; once said, it stays."""
        if self._currency is None:
            self._currency = await self.read(reads.currency)
        return self._currency or CURRENCY

    def effort(self, seconds: float) -> Effort:
        """What deciding may spend: so long, or until the process is to end."""
        effort = Effort(seconds=seconds)
        self._efforts.add(effort.stop)
        if self.draining:
            effort.stop.set()
        return effort

    def drain(self) -> None:
        """Be ready for nothing new, and let what is being decided come to its end."""
        self.draining = True
        for stop in list(self._efforts):
            stop.set()

    def forget_keys(self) -> None:
        """Look every key up again: one was revoked here."""
        self._keys.clear()

    def count(self, rate: RateLimitItem, who: str) -> dict[str, str]:
        """Count a request against a rate; gives the headers that say what is left.

        Raises
        ------
        Refused
            Nothing is left.
        """
        within = self._limiter.hit(rate, who)
        ends, left = self._limiter.get_window_stats(rate, who)
        wait = max(1, int(ends - time.time()) + 1)
        headers = {
            "RateLimit-Policy": f'"key";q={rate.amount};w={rate.get_expiry()}',
            "RateLimit": f'"key";r={max(0, left)};t={wait}',
        }
        if not within:
            headers["Retry-After"] = str(wait)
            raise Refused("too_many_requests", f"more than {rate}; come back in {wait} s", headers)
        return headers


class Call:
    """One request: who asks, when, and what its writes are called."""

    def __init__(
        self,
        service: Service,
        key: Key,
        at: int,
        idempotency_key: str | None,
        if_match: str | None,
        request_id: str | None,
        once: Asked | None,
    ) -> None:
        self.service, self.key, self.at, self.idempotency_key = service, key, at, idempotency_key
        self.request_id = request_id
        """What problems name; nothing where the same answer is for every request with the key."""
        self.once = once
        """The key under which the endpoint itself keeps its answer."""
        self.began = False
        """Whether it has begun to."""
        self._if_match = if_match

    def capturing(self, orders: Sequence[OrderPlaced], answer: Callable[[Sequence[Captured]], Response]) -> Capturing:
        """These orders, to be taken in for this request."""
        self.began = True
        return Capturing(orders, self.key.id, answer, self.once)

    def fact(self) -> str:
        """The id of the fact that this request makes: the same for the same key every time."""
        if self.idempotency_key is None:
            return short_id("req", secrets.token_hex(16))
        return short_id("req", self.key.id, self.idempotency_key)

    @property
    def version(self) -> int | None:
        """The version that If-Match names; any where there is none."""
        return None if self._if_match is None else version_of(self._if_match)

    def fact_of(self, kind: type[F], body: Mapping[str, Any], currency: str, **given: Any) -> F:
        """A body as a fact: of an id of its own or one made from the key, now or when it says.

        Raises
        ------
        Refusal
            A field is not what is allowed, it has not happened yet, or its id is one of ours (`reserved_id`).
        """
        usual: dict[str, Any] = {"at": self.at}
        if "id" not in given and "id" not in body:
            usual["id"] = self.fact()
        fact = edge.read(kind, body, currency, usual, **given)
        if "id" in body:
            check_id(fact.id)
        check_happened(fact, self.at)
        return fact

    def node(self, id: str) -> str:
        """A node that this key may touch.

        Raises
        ------
        Refused
            It is bound to another one.
        """
        bound = self.key.bound_to()
        if bound is not None and bound != id:
            raise Refused("forbidden", f"this key is for node {bound}")
        return id


def version_of(etag: str) -> int:
    """The version that an ETag names; no version there is where it names none."""
    stripped = etag.strip().removeprefix("W/").strip('"')
    return int(stripped) if stripped.isascii() and stripped.isdigit() and len(stripped) < 19 else -1


def etag(version: int) -> dict[str, str]:
    """The header that names a version."""
    return {"ETag": f'"{version}"'}


def expect(found: int, wanted: int | None) -> None:
    """Refuse what was changed since it was read.

    Raises
    ------
    Refused
        The versions differ.
    """
    if wanted is not None and found != wanted:
        raise Refused("changed_meanwhile", f"it has version {found} by now; read it again", etag(found))


async def call_of(request: Request) -> Call:
    """The call that the door let in."""
    return cast(Call, request.state.call)


Called = Annotated[Call, Depends(call_of)]
