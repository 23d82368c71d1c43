"""API keys: made, listed, revoked."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from api import keys
from api.http.door import Route, access
from api.http.problems import Refused
from api.http.service import Called
from api.http.values import PLAIN, Body, Id, Json, Moment, Shown, ShownMoment, Text, example
from api.keys import ADMIN, Key, Scope
from api.moments import moment

router = APIRouter(tags=["keys"], route_class=Route)
KeyId = Annotated[str, Path(max_length=200, pattern=PLAIN, examples=["key_example"])]


class NewKey(Body):
    """A key to be made."""

    name: Annotated[Text, Field(min_length=1)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5)]
    node: Annotated[Id | None, Field(description="The node of its staff, for keys of scope node")] = None
    expires_at: Moment | None = None
    model_config = example(name="web shop", scopes=["operator", "planner"])


class ShownKey(Shown):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    node: str | None
    created_at: ShownMoment
    expires_at: ShownMoment | None
    revoked_at: ShownMoment | None


class MadeKey(ShownKey):
    """A key with its secret: the only time that it is shown."""

    secret: str


class Keys(Shown):
    """Every key."""

    data: list[ShownKey]


@router.post("/keys", operation_id="create_key", status_code=201, response_model=MadeKey)
@access(ADMIN)
async def create_key(call: Called, body: NewKey) -> Response:
    """Make an API key. Its secret is in this answer and nowhere else."""
    if body.expires_at is not None and body.expires_at <= call.at:
        raise Refused("bad_input", "expires_at is over already", pointer="/expires_at")
    made, secret = await call.service.write(
        lambda tx: keys.create(tx, call.at, body.name, list(body.scopes), body.node, body.expires_at)
    )
    return Json({**_shown(made), "secret": secret}, 201)


@router.get("/keys", operation_id="list_keys", response_model=Keys)
@access(ADMIN)
async def list_keys(call: Called) -> Response:
    """List every API key, revoked ones too."""
    return Json({"data": [_shown(key) for key in await call.service.read(keys.listed)]})


@router.delete("/keys/{key}", operation_id="revoke_key", response_model=ShownKey)
@access(ADMIN)
async def revoke_key(call: Called, key: KeyId) -> Response:
    """Revoke an API key. Other processes may take it for a few seconds more."""
    revoked = await call.service.write(lambda tx: keys.revoke(tx, call.at, key))
    call.service.forget_keys()
    return Json(_shown(revoked))


def _shown(key: Key) -> dict[str, object]:
    return {
        "id": key.id, "name": key.name, "scopes": sorted(key.scopes), "node": key.node,
        "created_at": moment(key.created_at), "expires_at": moment(key.expires_at),
        "revoked_at": moment(key.revoked_at),
    }  # fmt: skip
