"""The OpenAPI description: who may use each route, how it refuses, and an example that works."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from api.http import door
from api.http.problems import MEDIA, Problem
from api.webhooks.envelope import described

ABOUT = (
    "Decides which warehouse or store ships what, for every order at once, and proves how good the decision is. "
    "Times are RFC 3339 UTC, money is in the smallest unit of its currency, errors are application/problem+json."
)
ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Up to 255 visible characters. The same request with the same key has one effect and one answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "example": "3f1c2f0e-1",
}
MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag that was read: where it has changed since, nothing is done (412).",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,18}"$'},
    "example": '"1"',
}
REFUSALS = {"400": "Not a request", "401": "No valid API key", "403": "Another scope is needed", "404": "Not found",
            "409": "What is there stands against it", "412": "Changed since it was read", "413": "Too large",
            "415": "Another media type is needed", "422": "Not what is allowed", "428": "If-Match is needed",
            "429": "Too many requests", "503": "Ask again"}  # fmt: skip


def describe(app: FastAPI) -> dict[str, Any]:
    """Describe an application, once."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(
        title=app.title, version=app.version, openapi_version="3.1.0", description=ABOUT, routes=app.routes
    )
    parts = schema.setdefault("components", {})
    parts["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key, `allot_...`."},
        "signature": {
            "type": "apiKey", "in": "header", "name": "X-Shopify-Hmac-Sha256",
            "description": "What a channel signs its messages with, by its own rules and in a header of its own.",
        },
    }  # fmt: skip
    shown = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    parts.setdefault("schemas", {}).update(shown.pop("$defs"))
    parts["schemas"]["Problem"] = shown
    parts["responses"] = {
        status: {"description": said, "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        for status, said in REFUSALS.items()
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    for route in guarded(app):
        for method in route.methods or ():
            _behind_the_door(schema["paths"][route.path_format][method.lower()], route)
    schema["webhooks"] = described()
    app.openapi_schema = schema
    return schema


def guarded(app: FastAPI) -> list[Any]:
    """Every route behind the door, with its whole path."""
    found = [route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, door.Route)]
    assert all(isinstance(route.original_route, APIRoute) for route in found)
    return found


def _behind_the_door(operation: dict[str, Any], route: Any) -> None:
    said = door.access_of(route.endpoint)
    operation["security"] = [{"key": sorted({*said.scopes, "admin"})}, *([{"signature": []}] if said.signed else [])]
    if said.once != "no":
        operation.setdefault("parameters", []).append({**ONCE, "required": said.once == "must"})
    if said.match != "no":
        operation.setdefault("parameters", []).append({**MATCH, "required": said.match == "must"})
    refusals = {"401", "403", "429", "503", "400", "404", "409", "422"}
    if "requestBody" in operation:
        refusals |= {"413", "415"}
    if said.match != "no":
        refusals |= {"412", "428"}
    responses = operation["responses"]
    responses.pop("422", None)
    for status in sorted(refusals - responses.keys()):
        responses[status] = {"$ref": f"#/components/responses/{status}"}
