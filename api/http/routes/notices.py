"""Messages to customers: what was sent, and what they do not want to be told. The page behind a message's link is for everybody."""

from html import escape
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import HTMLResponse, Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import RecipientId, SomeId
from api.http.pages import After, Limit, page, read_cursor
from api.http.problems import Refused
from api.http.service import Called, Service
from api.http.values import Body as Said
from api.http.values import Json, Shown, example
from api.keys import ENGINEER, OPERATOR
from api.notices.unsubscribing import PATH, read_token
from engine import notices
from engine.notices import NoticeSeen, State
from solver.refusal import Refusal

router = APIRouter(tags=["notices"], route_class=Route)
public = APIRouter(tags=["notices"])
EVERYTHING = "*"
OptedOut = Literal[
    "*", "order.confirmed", "order.delayed", "order.cancelled", "order.shipped", "order.ready_for_pickup",
    "order.out_for_delivery", "order.delivered", "return.approved", "return.received", "refund.owed",
]  # fmt: skip


class OptOuts(Said):
    """The events that a recipient is not told of; `*` is all of them."""

    opted_out: Annotated[list[OptedOut], Field(max_length=100)]
    model_config = example(opted_out=["order.confirmed"])


class OptOutsSeen(Shown):
    """The events that a recipient is not told of; `*` is all of them."""

    opted_out: list[str]


@router.get("/notices", operation_id="list_notices", response_class=Json,
            responses=edge.answers(edge.page_schema(NoticeSeen)))  # fmt: skip
@access(OPERATOR, ENGINEER)
async def list_notices(
    call: Called, request: Request, limit: Limit = 50, after: After = None,
    state: Annotated[State | None, Query()] = None,
    recipient: SomeId | None = None,
) -> Response:  # fmt: skip
    """List messages to customers, the newest first: about what, and what became of them; not what they say."""
    last = read_cursor(after, int)
    found = await call.service.read(
        lambda tx: notices.listed(tx, last[0] if last else None, limit + 1, state or "", recipient or "")
    )
    return page(request, found, limit, lambda row: edge.show(row[1], ""), lambda row: (row[0],))


@router.get("/recipients/{recipient}/notices", operation_id="get_opt_outs", response_model=OptOutsSeen)
@access(OPERATOR, ENGINEER)
async def get_opt_outs(call: Called, recipient: RecipientId) -> Response:
    """What a recipient is not told of."""
    return _shown(await call.service.read(lambda tx: notices.opt_outs(tx, recipient)))


@router.put("/recipients/{recipient}/notices", operation_id="put_opt_outs", response_model=OptOutsSeen)
@access(OPERATOR, ENGINEER)
async def put_opt_outs(call: Called, recipient: RecipientId, body: OptOuts) -> Response:
    """Say what a recipient is not told of, in place of what was said before."""
    types = ["" if type == EVERYTHING else type for type in body.opted_out]
    await call.service.write(lambda tx: notices.put_opt_outs(tx, call.at, recipient, types))
    return _shown(sorted(set(types)))


def _shown(types: list[str]) -> Response:
    return Json({"opted_out": [type or EVERYTHING for type in types]})


# --- the page behind a link -------------------------------------------------------------------------------------------

Token = Annotated[str, Query(max_length=2000)]
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body><h1>{title}</h1>{body}</body></html>
"""
ASK = """<form method="post"><button>No more messages of this kind</button></form>
<form method="post"><button formaction="?token={token}&amp;all=true">
No more messages at all</button></form>"""


@public.get(PATH, include_in_schema=False)
async def ask_to_unsubscribe(request: Request, token: Token) -> Response:
    """Ask whether somebody wants no more: a link that is only looked at changes nothing."""
    await _read(request, token)
    return HTMLResponse(PAGE.format(title="Messages about your orders", body=ASK.format(token=escape(token))))


@public.post(PATH, include_in_schema=False)
async def unsubscribe(
    request: Request, token: Token, everything: Annotated[bool, Query(alias="all")] = False
) -> Response:
    """Send somebody no more; mail programs do so with one click (RFC 8058)."""
    recipient, type = await _read(request, token)
    service: Service = request.app.state.service
    at = service.clock()
    await service.write(lambda tx: notices.opt_out(tx, at, recipient, "" if everything else type))
    return HTMLResponse(PAGE.format(title="You get no more of these messages", body=""))


async def _read(request: Request, token: str) -> tuple[str, str]:
    """Whose link it is, and of what; who makes links up is told to come back later."""
    service: Service = request.app.state.service
    try:
        return await service.run(lambda: read_token(service.vault, token))
    except Refusal as refusal:
        service.count(service.failed_rate, f"from {request.client.host if request.client else ''}")
        raise Refused("not_found", "there is nothing behind this link") from refusal
