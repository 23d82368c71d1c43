"""Lists by keyset: a cursor says what was last, so that a page costs the same however far back it is."""

import base64
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from fastapi import Query, Request

from api.http.problems import Refused
from api.http.values import Json

T = TypeVar("T")
MOST = 500
Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of a page")]
After = Annotated[str | None, Query(max_length=400, description="The cursor of the page before: from its `next` link")]


def cursor(*last: int | str) -> str:
    """What was last, as one word."""
    return base64.urlsafe_b64encode(msgspec.json.encode(last)).decode().rstrip("=")


def read_cursor(after: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """What a cursor says was last; `None` for the first page.

    Raises
    ------
    Refused
        It is no cursor of this list.
    """
    if after is None:
        return None
    try:
        last = msgspec.json.decode(base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True))
        if not isinstance(last, list) or [type(value) for value in last] != list(kinds):
            raise ValueError
        if any(isinstance(value, int) and abs(value) >= 1 << 63 for value in last):
            raise ValueError
        if any(isinstance(value, str) and "\0" in value for value in last):
            raise ValueError
    except (ValueError, msgspec.MsgspecError) as error:
        raise Refused("bad_cursor", "after is no cursor of this list", pointer="after") from error
    return tuple(last)


def page(
    request: Request,
    rows: Sequence[T],
    limit: int,
    shown: Callable[[T], dict[str, Any]],
    last: Callable[[T], tuple[int | str, ...]],
) -> Json:
    """A page of a list. One row more than `limit` was asked for: it says whether there is a next page.

    Parameters
    ----------
    shown
        A row as the answer has it.
    last
        What a cursor says of a row.
    """
    more = len(rows) > limit
    rows = rows[:limit]
    after = cursor(*last(rows[-1])) if more else None
    headers = {}
    if after:
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        headers["Link"] = f'<{request.url.path}?{urlencode([*kept, ("after", after)])}>; rel="next"'
    return Json({"data": [shown(row) for row in rows], "next": after}, headers=headers)
