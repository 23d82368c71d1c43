"""How values look at the edge: strict JSON, money, moments, days, ids, amounts."""

from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from api.http.problems import Refused
from api.moments import read_day, read_moment
from engine.calendar import MS_PER_DAY

DEEPEST = 32
"""Levels of a JSON body."""
MOST_UNITS = 1_000_000_000
MOST_CENTS = 1_000_000_000
LAST_MOMENT = 4_102_444_800_000
"""2100-01-01, in milliseconds."""
LAST_DAY = LAST_MOMENT // MS_PER_DAY


class Body(BaseModel):
    """What a request says: nothing that is not known, whole numbers that are numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def example(**values: Any) -> ConfigDict:
    """An example of a body, for the description; it works on the example network."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Shown(BaseModel):
    """What an answer says."""

    model_config = ConfigDict(extra="forbid")


def decode(body: bytes) -> Any:
    """Read a JSON body: no NaN, no infinity, no NUL, no half of a surrogate pair, not too deep.

    Raises
    ------
    Refused
        If it is anything else.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("bad_json", f"the body is no JSON: {str(error)[:200]}") from error
    if b"\\u0000" in body and _has_nul(value):
        raise Refused("bad_json", "the body has a text with a NUL in it")
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [child for one in level for child in _children(one) if isinstance(child, dict | list)]
        if not level:
            return
    raise Refused("bad_json", f"the body is nested deeper than {DEEPEST} levels")


def _has_nul(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST + 2):
        if any(isinstance(one, str) and "\0" in one for one in level):
            return True
        keys = (key for one in level if isinstance(one, dict) for key in one)
        if any("\0" in key for key in keys):
            return True
        level = [child for one in level if isinstance(one, dict | list) for child in _children(one)]
    return False


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


PLAIN = r"^[^\x00-\x1f\x7f]+$"
"""A text of one line."""
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=PLAIN)]
Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Units = Annotated[int, Field(ge=1, le=MOST_UNITS)]
Count = Annotated[int, Field(ge=0, le=MOST_UNITS)]
Delta = Annotated[int, Field(ge=-MOST_UNITS, le=MOST_UNITS)]
Cents = Annotated[int, Field(ge=0, le=MOST_CENTS)]
Lat = Annotated[float, Field(ge=-90, le=90)]
Lon = Annotated[float, Field(ge=-180, le=180)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Money(Body):
    """An amount in the smallest unit of its currency."""

    amount: Cents
    currency: Currency


def money(cents: int | None, currency: str) -> dict[str, Any] | None:
    """Money as an answer has it."""
    return None if cents is None else {"amount": cents, "currency": currency}


class Price(Shown):
    """An amount in the smallest unit of its currency; below 0 where it is a difference."""

    amount: int
    currency: str


Moment = Annotated[
    int,
    Field(ge=0, le=LAST_MOMENT),
    BeforeValidator(read_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-25T10:00:00Z"]}),
]
"""Milliseconds inside, RFC 3339 outside."""
Day = Annotated[
    int,
    Field(ge=0, le=LAST_DAY),
    BeforeValidator(read_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-27"]}),
]
"""Days since 1970-01-01 inside, ISO 8601 outside."""
ShownMoment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
ShownDay = Annotated[str, Field(json_schema_extra={"format": "date"})]


class Json(Response):
    """An answer in JSON, written at once, as a line of its own."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return msgspec.json.encode(content) + b"\n"
