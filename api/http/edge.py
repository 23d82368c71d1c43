"""Facts and entries as the API has them: the engine's own structs, with moments, days and money as people write them.

A body is what a fact says, except that its `id` and `at` need not be said, that what the path names is not said again, and that
inside milliseconds are RFC 3339 outside, days are ISO 8601, and cents are money with its currency.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import floor
from typing import Any, TypeVar

import msgspec
import msgspec.inspect

from api import moments
from api.http import values
from engine.facts import Fact
from solver.refusal import Refusal

S = TypeVar("S", bound=msgspec.Struct)
MOMENTS = frozenset({"at", "until", "cancel_at", "collect_until"})
DAYS = frozenset({"day", "due_day", "promise_day", "arrives_day", "sale_day"})
MONEY = {
    "price_cents": "price",
    "unfilled_cents": "unfilled_cost",
    "late_cents": "late_cost",
    "carriage_cents": "carriage",
    "tax_cents": "tax",
}
"""Names of money inside and outside."""
_INSIDE = {outside: inside for inside, outside in MONEY.items()}
MONEY_SCHEMA = {
    "type": "object",
    "properties": {
        "amount": {"type": "integer", "minimum": 0, "maximum": values.MOST_CENTS},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "required": ["amount", "currency"],
    "additionalProperties": False,
}
_PRICE_SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}, "currency": {"type": "string"}},
    "required": ["amount", "currency"],
    "additionalProperties": False,
}
_MOMENT = {"type": "string", "format": "date-time"}
_DAY = {"type": "string", "format": "date"}


def read(kind: type[S], body: Mapping[str, Any], currency: str, usual: Mapping[str, Any], **given: Any) -> S:
    """Read a body as a struct.

    Parameters
    ----------
    currency
        The one of all money here.
    usual
        What holds where the body does not say it.
    given
        Fields that the address or a header says, not the body.

    Raises
    ------
    Refusal
        Naming the field and what is allowed.
    """
    for name in body:
        if name in given or name == "kind":
            raise Refusal(name, "is no field here", "unknown_field")
    inside = {**usual, **_inside(body, "", currency), **given}
    return _converted(inside, kind, _outside)


def read_entry(kind: type[S], body: Mapping[str, Any]) -> S:
    """Read an entry of the catalogue or a setting, which is the same outside as inside.

    Raises
    ------
    Refusal
        Naming the field and what is allowed.
    """
    return _converted(body, kind, str)


def _converted(said: Mapping[str, Any], kind: type[S], outside: Callable[[str], str]) -> S:
    try:
        return msgspec.convert(said, kind)
    except (msgspec.ValidationError, ValueError) as error:
        raise _refusal(str(error), outside, kind) from None


def _refusal(said: str, outside: Callable[[str], str], kind: type) -> Refusal:
    """What msgspec says, at the field that it means."""
    problem, _, path = said.partition(" - at `$")
    place = path.rstrip("`").removeprefix(".")
    for beginning, code, told in (
        ("Object contains unknown field `", "unknown_field", "is no field here"),
        ("Object missing required field `", "missing", "is needed"),
    ):
        if problem.startswith(beginning):
            name = problem.removeprefix(beginning).rstrip("`")
            return Refusal(outside(f"{place}.{name}" if place else name), told, code)
    if problem.startswith("Invalid enum value "):
        allowed = ", ".join(map(str, allowed_at(kind, place)))
        problem = f"{problem.removeprefix('Invalid enum value ')} is none of {allowed}"
    if " matching regex " in problem:
        problem = "has characters that are not allowed here, or none"
    return Refusal(outside(place), problem.replace("`", ""), "bad_input")


def allowed_at(kind: type, place: str) -> tuple[Any, ...]:
    """The words that may stand at a place of a struct, as `lines[0].reason`."""
    found = msgspec.inspect.type_info(kind)
    for name in re.findall(r"\w+|\[[^]]*\]", place):
        found = _inner(found, name)
    match _inner(found, ""):
        case msgspec.inspect.LiteralType(values):
            return values
        case msgspec.inspect.EnumType(cls):
            return tuple(one.value for one in cls)
    return ()


def _inner(found: msgspec.inspect.Type, name: str) -> msgspec.inspect.Type:
    """What a field, or an item (`[...]`), of a type is; by no name the type itself, if it is not left out."""
    match found:
        case msgspec.inspect.Metadata(inner):
            return _inner(inner, name)
        case msgspec.inspect.UnionType(types):
            return _inner(next(one for one in types if not isinstance(one, msgspec.inspect.NoneType)), name)
        case msgspec.inspect.StructType(fields=fields) if name:
            return next(one.type for one in fields if one.encode_name == name)
        case msgspec.inspect.ListType(item) | msgspec.inspect.VarTupleType(item) if name:
            return item
        case msgspec.inspect.DictType(value_type=value) if name:
            return value
    return found


def _inside(value: Any, place: str, currency: str) -> Any:
    if isinstance(value, Mapping):
        return {
            _INSIDE.get(name, name): _field(name, inner, f"{place}.{name}" if place else name, currency)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_inside(inner, f"{place}[{i}]", currency) for i, inner in enumerate(value)]
    return value


def _field(name: str, value: Any, place: str, currency: str) -> Any:
    if name in MONEY:
        raise Refusal(place, f"is said as {MONEY[name]}, with its currency", "unknown_field")
    if value is None:
        return None
    if name in MOMENTS:
        return _said(moments.read_moment, value, place)
    if name in DAYS:
        return _said(moments.read_day, value, place)
    if name in _INSIDE:
        return _cents(value, place, currency)
    return _inside(value, place, currency)


def _said(reader: Callable[[Any], int], value: Any, place: str) -> int:
    try:
        return reader(value)
    except ValueError as error:
        raise Refusal(place, str(error), "bad_input") from None


def _cents(value: Any, place: str, currency: str) -> Any:
    if not isinstance(value, Mapping) or set(value) != {"amount", "currency"}:
        raise Refusal(place, 'is money, as {"amount": 1999, "currency": "EUR"} is', "bad_input")
    if value["currency"] != currency:
        raise Refusal(f"{place}.currency", f"all money here is {currency}", "other_currency")
    amount = value["amount"]
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 <= amount <= values.MOST_CENTS:
        raise Refusal(f"{place}.amount", f"is a whole number from 0 to {values.MOST_CENTS:,}", "bad_input")
    return amount


def _outside(path: str) -> str:
    for inside, outside in MONEY.items():
        path = path.replace(inside, outside)
    return path


def show(value: Any, currency: str) -> Any:
    """What a struct or a payload says, as answers have it."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    if isinstance(value, Mapping):
        return {_name(name): _shown(name, inner, currency) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [show(inner, currency) for inner in value]
    return value


def _name(inside: str) -> str:
    if inside in MONEY:
        return MONEY[inside]
    return "cost" if inside == "cents" else inside.removesuffix("_cents")


def _is_money(name: str) -> bool:
    return name == "cents" or name.endswith("_cents")


def _shown(name: str, value: Any, currency: str) -> Any:
    if value is None:
        return None
    if name in MOMENTS or name.endswith("_at"):
        return moments.moment(value)
    if name in DAYS or name.endswith("_day"):
        return moments.day(value)
    if _is_money(name):
        return values.money(floor(value), currency)
    return show(value, currency)


@cache
def schema_of(kind: type[msgspec.Struct], *given: str) -> dict[str, Any]:
    """The JSON schema of a body, with nothing to look up elsewhere."""
    found = _schema_of(kind, shown=False)
    for name in given:
        found["properties"].pop(name, None)
    needless = {*given, *(("id", "at") if issubclass(kind, Fact) else ())}
    found["required"] = [name for name in found["required"] if name not in needless]
    return found


@cache
def entry_schema(kind: type[msgspec.Struct], *given: str) -> dict[str, Any]:
    """The JSON schema of an entry of the catalogue, which is the same outside as inside."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    found: dict[str, Any] = _Schemas(parts, shown=False, plain=True).of(schema)
    for name in given:
        found["properties"].pop(name, None)
    found["required"] = [name for name in found["required"] if name not in given]
    return found


@cache
def shown_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a struct in an answer."""
    return _schema_of(kind, shown=True)


def page_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a page of them."""
    return {
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": shown_schema(kind)},
            "next": {"type": ["string", "null"], "description": "Cursor of the next page, for `after`"},
        },
        "required": ["data", "next"],
    }


def answers(schema: Mapping[str, Any], status: int = 200, said: str = "Done") -> dict[int | str, dict[str, Any]]:
    """The answer of a route, for its description."""
    return {status: {"description": said, "content": {"application/json": {"schema": dict(schema)}}}}


def _schema_of(kind: type[msgspec.Struct], *, shown: bool) -> dict[str, Any]:
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    made: dict[str, Any] = _Schemas(parts, shown).of(schema)
    return made


class _Schemas:
    """Schemas of msgspec as the API shows them."""

    def __init__(self, parts: Mapping[str, Any], shown: bool, plain: bool = False) -> None:
        self._parts, self._shown, self._plain = parts, shown, plain

    def of(self, schema: Any) -> Any:
        """The same schema with names and values of the edge, looked up throughout."""
        if isinstance(schema, list):
            return [self.of(one) for one in schema]
        if not isinstance(schema, Mapping):
            return schema
        if "$ref" in schema:
            return self.of(self._parts[schema["$ref"]])
        made = {
            name: self.of(value) for name, value in schema.items() if name not in ("title", "default", "properties")
        }
        if "pattern" in made:
            made["pattern"] = made["pattern"].replace(r"\Z", "$")
        if "properties" in schema:
            made |= self._object(schema)
        return made

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for name, inner in schema["properties"].items():
            if name == "kind" and len(inner.get("enum", "..")) == 1:
                continue  # what a tagged struct is called
            plain, special = self.of(inner), self._special(name)
            if special is not None:
                nullable = {"type": "null"} in plain.get("anyOf", [])
                plain = {"anyOf": [special, {"type": "null"}]} if nullable else special
            properties[self._name(name)] = plain
        needed = list(schema["properties"]) if self._shown else schema.get("required", [])
        required = [self._name(name) for name in needed if self._name(name) in properties]
        return {"properties": properties, "required": required, "additionalProperties": False}

    def _name(self, name: str) -> str:
        if self._plain:
            return name
        return _name(name) if self._shown else MONEY.get(name, name)

    def _special(self, name: str) -> dict[str, Any] | None:
        if self._plain:
            return None
        if name in MOMENTS or (self._shown and name.endswith("_at")):
            return _MOMENT
        if name in DAYS or (self._shown and name.endswith("_day")):
            return _DAY
        if self._shown and _is_money(name):
            return _PRICE_SCHEMA
        return MONEY_SCHEMA if name in MONEY else None
