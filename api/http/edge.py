"""Facts and entries as the API has them: the engine's own structs, with moments, days and money as people write them.

A body is what a fact says, except that its `id` and `at` need not be said, that what the path names is not said again, and that
inside milliseconds are RFC 3339 outside, days are ISO 8601, and cents are money with its currency.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from pydantic import WithJsonSchema

from api.http import values
from engine.facts import Fact
from solver.refusal import Refusal

S = TypeVar("S", bound=msgspec.Struct)
MOMENTS = frozenset({"at", "until", "cancel_at"})
DAYS = frozenset({"day", "due_day", "promise_day", "arrives_day", "sale_day"})
MONEY = {"price_cents": "price", "unfilled_cents": "unfilled_cost", "late_cents": "late_cost"}
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
_MOMENT = {"type": "string", "format": "date-time"}
_DAY = {"type": "string", "format": "date"}


def read(kind: type[S], body: Mapping[str, Any], currency: str, **given: Any) -> S:
    """Read a body as a struct.

    Parameters
    ----------
    currency
        The one of all money here.
    given
        Fields that the path or the key says, not the body.

    Raises
    ------
    Refusal
        Naming the field and what is allowed.
    """
    for name in body:
        if name in given and not (name in ("id", "at") and given[name] is None):
            raise Refusal(name, "is said by the address already", "unknown_field")
        if name == "kind":
            raise Refusal(name, "is no field here", "unknown_field")
    inside = {**_inside(body, "", currency), **{name: value for name, value in given.items() if value is not None}}
    try:
        return msgspec.convert(inside, kind)
    except (msgspec.ValidationError, ValueError) as error:
        problem, _, path = str(error).partition(" - at `$.")
        raise Refusal(_outside(path.rstrip("`")), problem, "bad_input") from None


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
        return _said(values.read_moment, value, place)
    if name in DAYS:
        return _said(values.read_day, value, place)
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
    return inside.removesuffix("_cents") if inside.endswith("_cents") and inside not in MONEY else MONEY.get(inside, inside)


def _shown(name: str, value: Any, currency: str) -> Any:
    if value is None:
        return None
    if name in MOMENTS or name.endswith("_at"):
        return values.moment(value)
    if name in DAYS or name.endswith("_day"):
        return values.day(value)
    if name.endswith("_cents"):
        return values.money(value, currency)
    return show(value, currency)


@cache
def schema_of(kind: type[msgspec.Struct], *given: str) -> dict[str, Any]:
    """The JSON schema of a body, with nothing to look up elsewhere."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    found = _schema(_looked_up(schema, parts), parts)
    for name in (*given, "kind"):
        found["properties"].pop(name, None)
    if issubclass(kind, Fact):
        found["properties"].setdefault("at", _MOMENT) if "at" not in given else None
    optional = {*given, "kind", "id" if issubclass(kind, Fact) else "kind", "at"}
    found["required"] = [name for name in found.get("required", []) if name not in optional]
    if not found["required"]:
        del found["required"]
    return found


def _looked_up(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(parts[schema["$ref"]]) if "$ref" in schema else dict(schema)


def _schema(schema: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_schema(one, parts) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _schema(_looked_up(schema, parts), parts)
    made = {
        name: _properties(value, parts) if name == "properties" else _schema(value, parts)
        for name, value in schema.items()
        if name not in ("title", "default")
    }
    if "pattern" in made:
        made["pattern"] = made["pattern"].replace(r"\Z", "$")
    if made.get("type") == "object" and "properties" in made:
        made["required"] = [MONEY.get(name, name) for name in made.get("required", []) if name != "kind"]
        made["additionalProperties"] = False
    return made


def _properties(properties: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, schema in properties.items():
        if name == "kind" and "enum" in schema and len(schema["enum"]) == 1:
            continue  # what a tagged struct is called
        plain = _schema(schema, parts)
        special = _MOMENT if name in MOMENTS else _DAY if name in DAYS else MONEY_SCHEMA if name in MONEY else None
        may_be_null = {"type": "null"} in plain.get("anyOf", [])
        if special is not None:
            plain = {"anyOf": [special, {"type": "null"}]} if may_be_null else special
        made[MONEY.get(name, name)] = plain
    return made


def body_of(kind: type[msgspec.Struct], *given: str, example: Mapping[str, Any]) -> Any:
    """The type of a body: any object for FastAPI, the struct's own schema for the description.

    Parameters
    ----------
    given
        Fields that the path says.
    """
    return Annotated[dict[str, Any], WithJsonSchema({**schema_of(kind, *given), "examples": [dict(example)]})]
