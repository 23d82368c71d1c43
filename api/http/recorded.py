"""Routes that write one fact: its body is the fact, its answer says that it is written down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Path
from starlette.responses import Response

from api.http import edge
from api.http.door import Once, access
from api.http.problems import Refused
from api.http.service import Call, Called
from api.http.values import PLAIN, Json
from api.keys import Scope
from api.moments import moment
from engine.database import Database, Tx
from engine.facts import (
    AboutConsignment,
    Delivered,
    Fact,
    PickupLapsed,
    ReadyForPickup,
    ReturnInspected,
    ReturnReceived,
)
from engine.returns import node_of_receipt, nodes_of_inspection
from solver.refusal import Refusal


class Recorded(msgspec.Struct, kw_only=True):
    """A fact that was written down. `seen`: it was there already, and had no second effect."""

    fact: str
    at: int
    seen: bool


@dataclass(frozen=True)
class Recording:
    """A route that writes a fact.

    Attributes
    ----------
    path
        Its parameters are fields of the fact.
    act
        Does what the fact says, and says whether it was new.
    example
        A body that works on the example network.
    named
        Examples of what the path names.
    then
        What is done once that is written down, outside of any transaction.
    """

    path: str
    operation: str
    kind: type[Fact]
    act: Callable[..., bool]
    scopes: tuple[Scope, ...]
    example: Mapping[str, Any]
    named: Mapping[str, str] = field(default_factory=dict)
    once: Once = "must"
    match: Once = "no"
    then: Callable[[Database, Any], None] | None = None


def record(router: APIRouter, routes: list[Recording]) -> None:
    """Add these routes."""
    for one in routes:
        _add(router, one)


def path_of(example: str) -> Any:
    """An id in a path."""
    return Annotated[str, Path(min_length=1, max_length=200, pattern=PLAIN, examples=[example])]


def _add(router: APIRouter, one: Recording) -> None:
    named = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
    given = [*named, *(["version"] if one.match != "no" else [])]
    optional = not edge.schema_of(one.kind, *given)["required"]

    @access(*one.scopes, once=one.once, match=one.match)
    async def endpoint(call: Call, body: dict[str, Any], **path: str) -> Response:
        versions = {"version": call.version} if one.match != "no" else {}
        fact = call.fact_of(one.kind, body, await call.service.currency(), **path, **versions)

        def act(tx: Tx) -> bool:
            permit(tx, call, fact)
            return one.act(tx, fact, call.key.id)

        try:
            new = await call.service.write(act)
        except Refusal as refusal:
            if refusal.code == "version_conflict" and call.version is not None:
                raise Refused(refusal.code, refusal.problem, pointer="If-Match") from None
            raise
        if one.then is not None:
            await call.service.run(one.then, call.service.database, fact)
        return Json({"fact": fact.id, "at": moment(fact.at), "seen": not new})

    endpoint.__doc__ = one.kind.__doc__
    endpoint.__name__ = one.operation
    schema = {**edge.schema_of(one.kind, *given), "examples": [dict(one.example)]}
    body = Annotated[dict[str, Any], Body(json_schema_extra=schema)]
    parameters = [
        Parameter("call", Parameter.KEYWORD_ONLY, annotation=Called),
        Parameter("body", Parameter.KEYWORD_ONLY, annotation=body,
                  default={} if optional else Parameter.empty),
        *(Parameter(name, Parameter.KEYWORD_ONLY, annotation=path_of(one.named[name])) for name in named),
    ]  # fmt: skip
    endpoint.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    router.post(
        one.path, operation_id=one.operation, response_class=Json, responses=edge.answers(edge.shown_schema(Recorded))
    )(endpoint)


def permit(tx: Tx, call: Call, fact: Fact) -> None:
    """Refuse staff of a node what is about another one.

    A consignment is the node's that packs it; where it is collected at another one, that one hands it over. What comes back is the
    node's to which it comes, whoever packed it.

    Raises
    ------
    Refused
        It is.
    """
    bound = call.key.bound_to()
    if bound is None:
        return
    named = {getattr(fact, "node", None), getattr(fact, "to_node", None)} - {None}
    if isinstance(fact, ReturnReceived):
        named = {fact.node or node_of_receipt(tx, fact)} - {None}
    elif isinstance(fact, ReturnInspected):
        named = {fact.node} if fact.node else set(nodes_of_inspection(tx, fact))
    elif isinstance(fact, AboutConsignment):
        whose = tx.first(
            "SELECT n.id, c.id FROM consignment k JOIN node n ON n.no = k.node_no "
            "LEFT JOIN node c ON c.no = k.collect_no WHERE k.id = :id",
            id=fact.consignment,
        )
        if whose is not None:
            packs, hands_over = whose[0], whose[1] or whose[0]
            if isinstance(fact, ReadyForPickup | PickupLapsed | Delivered):
                named.add(hands_over)
            else:
                named.add(packs)
    if named - {bound}:
        raise Refused("forbidden", f"this key is for node {bound}")
