"""What holds for the whole retailer: terms, currency, how consignments leave, what may come back, how long people are known ...

Terms are as the network file has them: whole cents of the one currency of all money here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body
from starlette.responses import Response

from api.carriers import carrier_names
from api.http import edge
from api.http.door import Route, access
from api.http.service import Called, etag, expect
from api.http.values import Json
from api.keys import ADMIN, ENGINEER, NODE, OPERATOR, PLANNER, Scope
from engine.charges import BILLING, put_billing
from engine.database import Tx, decoded
from engine.entries import CURRENCY, put_currency, put_terms
from engine.events import Thresholds, put_thresholds
from engine.network import Currency
from engine.placing import TERMS
from engine.privacy import Retention, put_retention
from engine.rejections import REJECTIONS, put_rejections
from engine.return_rules import RETURN_RULES, put_return_rules
from engine.shipping import SHIPPING, ShippingTerms, put_shipping
from solver.refusal import Refusal

router = APIRouter(tags=["network"], route_class=Route)
READERS = (OPERATOR, PLANNER, ENGINEER, NODE)


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one currency of all money here."""

    currency: Currency


@dataclass(frozen=True)
class _Setting:
    """One value for the whole retailer. `usual`: what holds until somebody says something else; `who` may say it."""

    name: str
    usual: msgspec.Struct
    put: Callable[[Tx, Any, int, str], int]
    who: Scope
    reads: str
    writes: str


def _put_shipping(tx: Tx, said: ShippingTerms, at: int, by: str) -> int:
    names = carrier_names()
    for service, carrier in said.carriers.items():
        if carrier not in names:
            told = f"{carrier!r} is not a carrier here; there is {', '.join(names)}"
            raise Refusal(f"carriers.{service}", told, "unknown_carrier")
    return put_shipping(tx, said, at, by)


SETTINGS = (
    _Setting("terms", TERMS, put_terms, PLANNER, "What holds for orders that say nothing else.",
             "Say what holds for orders that come from now on and say nothing else."),
    _Setting("currency", Money(CURRENCY), lambda tx, said, at, by: put_currency(tx, said.currency, at, by), ADMIN,
             "The one currency of all money here.",
             "Say the one currency of all money here, before there are orders; once said, it stays."),
    _Setting("rejections", REJECTIONS, put_rejections, PLANNER,
             "How often nodes may refuse an order until it is held for review.",
             "Say how often nodes may refuse an order until it is held for review."),
    _Setting("shipping", SHIPPING, _put_shipping, PLANNER,
             "How consignments leave: how long pickups wait, who sends, by whose services.",
             "Say how consignments leave: how long pickups wait, who sends, by whose services."),
    _Setting("retention", Retention(), put_retention, ADMIN,
             "How many days after the end of their last order people are erased.",
             "Say how many days after the end of their last order people are erased; null: not by themselves."),
    _Setting("thresholds", Thresholds(), put_thresholds, PLANNER,
             "With how many units stock is low, of all SKUs and of some.",
             "Say with how many units stock is low, of all SKUs and of some; a webhook of `stock.low` is told then."),
    _Setting("return_rules", RETURN_RULES, put_return_rules, PLANNER,
             "What may come back, until when, for how much, and where to.",
             "Say what may come back, until when, for how much, and where to."),
    _Setting("billing", BILLING, put_billing, ADMIN,
             "How customers are billed: whether prices have tax in them, when invoices are issued, by whom, how they are numbered.",
             "Say how customers are billed; what is issued already stays as it is."),
)  # fmt: skip


def _seen(tx: Tx, setting: _Setting, locking: str = "") -> dict[str, Any]:
    """A setting with its version, which is 0 until somebody said something."""
    found = tx.first(f"SELECT value, version FROM setting WHERE name = :name{locking}", name=setting.name)  # noqa: S608
    if found is None:
        return {**msgspec.to_builtins(setting.usual), "version": 0}
    return {**decoded(found[0]), "version": found[1]}


def _add(setting: _Setting) -> None:
    kind = type(setting.usual)
    said = edge.entry_schema(kind)
    shown = {
        **said,
        "properties": {**said["properties"], "version": {"type": "integer"}},
        "required": [*said["required"], "version"],
    }
    path, responses = f"/{setting.name}", edge.answers(shown)

    @access(*READERS)
    async def got(call: Called) -> Response:
        found = await call.service.read(lambda tx: _seen(tx, setting))
        return Json(found, headers=etag(found["version"]))

    got.__doc__ = setting.reads
    router.get(path, operation_id=f"get_{setting.name}", response_class=Json, responses=responses)(got)

    @access(setting.who, once="may", match="may")
    async def put(call: Called, body: dict[str, Any]) -> Response:
        value = edge.read_entry(kind, body)

        def write(tx: Tx) -> dict[str, Any]:
            expect(_seen(tx, setting, tx.locking)["version"], call.version)
            setting.put(tx, value, call.at, call.key.id)
            return _seen(tx, setting)

        found = await call.service.write(write)
        return Json(found, headers=etag(found["version"]))

    put.__doc__ = f"{setting.writes} With If-Match, only if it has that version."
    _takes(put, {**said, "examples": [msgspec.to_builtins(setting.usual)]})
    router.put(path, operation_id=f"put_{setting.name}", response_class=Json, responses=responses)(put)


def _takes(endpoint: Any, schema: dict[str, Any]) -> None:
    """Tell FastAPI what the body of an endpoint is."""
    endpoint.__signature__ = Signature([
        Parameter("call", Parameter.KEYWORD_ONLY, annotation=Called),
        Parameter("body", Parameter.KEYWORD_ONLY, annotation=Annotated[dict[str, Any], Body(json_schema_extra=schema)]),
    ])  # fmt: skip


for _setting in SETTINGS:
    _add(_setting)
