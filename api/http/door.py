"""The door that every route has: who may, how often, what size, and once only.

Each endpoint says its own with `@access(...)`; a route without is a bug, found when the application is made.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import unquote_plus

from fastapi import Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from starlette.responses import Response, StreamingResponse

from api.http import cards, idempotency, problems, values
from api.http.idempotency import Answered, Asked, as_before, give_up
from api.http.problems import Refused
from api.http.service import Call, Service
from api.http.telemetry import log
from api.keys import Key, Scope
from engine.database import Unavailable

E = TypeVar("E", bound=Callable[..., Any])
Size = Literal["body", "batch", "import"]
Once = Literal["no", "may", "must"]
LONGEST_KEY = 255
MOST_AT_ONCE = 100_000
"""Bytes of a body that is looked through while others wait, at most."""


@dataclass(frozen=True)
class Access:
    """Who may use a route, the size of its body, and whether it takes an `Idempotency-Key` (`once`) and `If-Match` (`match`).

    `keeps`: the endpoint keeps its answer to the key itself, in the transaction of what it does (`Call.once`).
    `signed`: who shows no key may come in as `STRANGER`; the endpoint lets nobody do anything whose signature it has not seen,
    and looks for numbers of cards itself after that.
    """

    scopes: tuple[Scope, ...]
    size: Size = "body"
    once: Once = "no"
    match: Once = "no"
    media: tuple[str, ...] = ("application/json",)
    keeps: bool = False
    signed: bool = False


STRANGER = Key("", "", frozenset(), None, 0, None, None)
"""Who has shown no key."""


def access(
    *scopes: Scope,
    size: Size = "body",
    once: Once = "no",
    match: Once = "no",
    media: tuple[str, ...] = ("application/json",),
    keeps: bool = False,
    signed: bool = False,
) -> Callable[[E], E]:
    """Say who may use an endpoint, and how."""

    def mark(endpoint: E) -> E:
        endpoint.access = Access(scopes, size, once, match, media, keeps, signed)  # type: ignore[attr-defined]
        return endpoint

    return mark


def access_of(endpoint: Any) -> Access:
    """What an endpoint said."""
    said = getattr(endpoint, "access", None)
    assert isinstance(said, Access), f"{endpoint} does not say who may use it"
    return said


class Route(APIRoute):
    """A route behind the door."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        said = access_of(self.endpoint)
        takes_json = self.body_field is not None
        may_be_empty = self.body_field is not None and not self.body_field.field_info.is_required()
        asks = frozenset(
            one.alias for one in get_flat_params(self.dependant) if isinstance(one.field_info, params.Query)
        )
        takes_body = takes_json or said.media != ("application/json",)

        async def enter(request: Request) -> Response:
            service: Service = request.app.state.service
            try:
                request.state.route = self.path_format
                return await _enter(service, request, said, (takes_body, takes_json, may_be_empty), asks, handle)
            except Exception as error:
                answer = problems.told(error, request.state.id, request.path_params)
                if answer is None:
                    raise
                return answer

        return enter


def _check_query(request: Request, asks: frozenset[str], said: Access) -> None:
    """Refuse what is asked for and not answered; systems that sign say what they like."""
    unknown = [] if said.signed else [name for name in request.query_params if name not in asks]
    if unknown:
        allowed = f"there are {', '.join(sorted(asks))}" if asks else "there are none"
        raise Refused("unknown_field", f"{unknown[0][:60]!r} is no parameter here; {allowed}", pointer=unknown[0][:60])


async def _enter(
    service: Service,
    request: Request,
    said: Access,
    takes: tuple[bool, bool, bool],
    asks: frozenset[str],
    handle: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Response:
    takes_body, takes_json, may_be_empty = takes
    stranger = said.signed and "authorization" not in request.headers
    key = STRANGER if stranger else await _key_of(service, request)
    request.state.key = key.id
    if not stranger and not key.may(said.scopes):
        raise Refused("forbidden", f"this needs a key of scope {' or '.join(said.scopes)}")
    headers = service.count(service.rate, f"at {request.url.path}" if stranger else key.id)
    body = await _body(request, _most(service, said.size)) if takes_body else b""
    if takes_body:
        _check_media(request, said, body)
    if takes_json and not (may_be_empty and not body):
        request._json = values.decode(body)
        if len(body) > MOST_AT_ONCE:
            await service.run(cards.check_body, body, request._json)
        else:
            cards.check_body(body, request._json)
    elif body and not said.signed:
        await service.run(cards.check_lines, body)
    once = request.headers.get("idempotency-key") if said.once != "no" else None
    _check_once(once, said.once)
    cards.check_words(path=request.url.path, query=unquote_plus(request.url.query), Idempotency_Key=once)
    _check_query(request, asks, said)
    at = service.clock()
    match = request.headers.get("if-match") if said.match != "no" else None
    if match is None and said.match == "must":
        raise Refused("missing_if_match", "an If-Match header with the ETag is needed", pointer="If-Match")
    asked = None if once is None else _asked(service, request, key, once, body, at)
    call = request.state.call = Call(
        service, key, at, once, match, request.state.id if once is None else None, asked if said.keeps else None
    )
    if asked is None:
        answer = await handle(request)
    elif said.keeps:
        answer = await _kept(service, request, call, asked, handle)
    else:
        answer = await _once(service, request, asked, handle)
    answer.headers.update(headers)
    return answer


async def _key_of(service: Service, request: Request) -> Key:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    shown = kind.lower() == "bearer" and bool(secret)
    key = await service.key_of(secret.strip()) if shown else None
    if key is None:
        detail = "the API key is not valid" if shown else "an API key is needed: Authorization: Bearer allot_..."
        raise unproven(service, request, detail)
    return key


def unproven(service: Service, request: Request, detail: str) -> Refused:
    """Why somebody is not let in; counted, by where they come from."""
    service.count(service.failed_rate, f"from {request.client.host if request.client else ''}")
    return Refused("unauthenticated", detail, {"WWW-Authenticate": "Bearer"})


def _most(service: Service, size: Size) -> int:
    settings = service.settings
    return {"body": settings.most_body, "batch": settings.most_batch, "import": settings.most_import}[size]


async def _body(request: Request, most: int) -> bytes:
    """The whole body, unless it is too large; then the connection is not used again."""
    said = request.headers.get("content-length", "")
    too_large = Refused("too_large", f"the body may have {most:,} bytes", {"Connection": "close"})
    if said.isdigit() and int(said[:19]) > most:
        raise too_large
    read = bytearray()
    async for piece in request.stream():
        read += piece
        if len(read) > most:
            raise too_large
    request._body = bytes(read)
    return request._body


def _check_media(request: Request, said: Access, body: bytes) -> None:
    if body and _media(request) not in said.media:
        raise Refused("unsupported_media_type", f"the body must be {' or '.join(said.media)}", pointer="Content-Type")


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_once(key: str | None, once: Once) -> None:
    where = "Idempotency-Key"
    if key is None and once == "must":
        raise Refused("missing_idempotency_key", f"an {where} header is needed", pointer=where)
    if key is not None and not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise Refused("bad_idempotency_key", f"an {where} has 1 to {LONGEST_KEY} visible characters", pointer=where)


def _asked(service: Service, request: Request, key: Key, once: str, body: bytes, at: int) -> Asked:
    said = f"{request.method} {request.url.path}?{request.url.query}\n{_media(request)}\n{request.headers.get('if-match', '')}\n"
    digest = hashlib.sha256(said.encode())
    digest.update(body)
    known = hashlib.sha256(once.encode()).hexdigest()  # callers make keys of anything, of who ordered, too
    return Asked(key.id, known, digest.hexdigest(), at, at + int(1000 * service.settings.key_lease))


async def _kept(
    service: Service,
    request: Request,
    call: Call,
    asked: Asked,
    handle: Callable[[Request], Coroutine[Any, Any, Response]],
) -> Response:
    """Have an endpoint answer that keeps its answer; what it refuses before it begins is kept here."""
    try:
        return await handle(request)
    except Exception as error:
        if call.began:
            raise
        refused = error

    async def refuse(_request: Request) -> Response:
        raise refused

    return await _once(service, request, asked, refuse)


async def _once(
    service: Service, request: Request, asked: Asked, handle: Callable[[Request], Coroutine[Any, Any, Response]]
) -> Response:
    """Answer a request with a key: as before, or now."""
    taken = await service.take(asked)
    if not taken.mine:
        return as_before(taken)
    renewing = asyncio.create_task(_renew(service, asked))
    try:
        return await _first(service, request, asked, handle)
    finally:
        renewing.cancel()


async def _first(
    service: Service, request: Request, asked: Asked, handle: Callable[[Request], Coroutine[Any, Any, Response]]
) -> Response:
    """Answer a request whose key is ours, and keep the answer."""
    try:
        answer = await _answer(request, handle)
    except BaseException:
        await service.write(lambda tx: give_up(tx, asked))
        raise
    if answer.status_code >= 500 or answer.status_code == 429 or isinstance(answer, StreamingResponse):
        await service.write(lambda tx: give_up(tx, asked))
        return answer
    await service.finish(asked, Answered.by(answer))
    return answer


async def _renew(service: Service, asked: Asked) -> None:
    """Keep a key from others for as long as its request takes; not in our threads, which may all be at such requests."""
    lease = service.settings.key_lease
    while True:
        await asyncio.sleep(lease / 3)
        until = service.clock() + int(1000 * lease)
        try:
            await asyncio.to_thread(service.database.write, partial(idempotency.renew, asked=asked, until=until))
        except Unavailable as error:
            log.warning("lease not renewed", key=asked.owner, why=str(error))  # there is time to try again


async def _answer(request: Request, handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    try:
        return await handle(request)
    except Exception as error:
        answer = problems.told(
            error, None, request.path_params
        )  # the same answer for every request with the key: none of their ids in it
        if answer is None:
            raise
        return answer
