"""Every error as `application/problem+json` (RFC 9457): a stable `code`, and where in the request it is."""

import re
from collections.abc import Container, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from engine.database import Unavailable
from solver.refusal import Refusal

MEDIA = "application/problem+json"
STATUSES = {
    "conflict": 409,
    "in_flight": 409,
    "changed_meanwhile": 412,
    "version_conflict": 412,
    "missing_if_match": 428,
    "missing_idempotency_key": 400,
    "bad_json": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "too_large": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
    "overloaded": 503,
    "unavailable": 503,
    "no_answer": 503,
    "bad_setting": 503,
    "bug": 500,
}
"""Status by code; what a refusal is not listed here with is 422, bad input."""
CONFLICTS = frozenset(
    {
        "fact_conflict",
        "another_order",
        "awaits_inspection",
        "final_sale",
        "for_pickup",
        "no_return_node",
        "not_an_exchange",
        "not_returnable",
        "order_conflict",
        "not_enough_stock",
        "stock_is_reserved",
        "allotment_sold_out",
        "presale_sold_out",
        "already_received",
        "already_released",
        "channel_is_fixed",
        "channel_taken",
        "count_conflict",
        "delivery_waits",
        "hold_conflict",
        "hold_ended",
        "import_running",
        "in_review",
        "inactive_connection",
        "inbound_cancelled",
        "inbound_conflict",
        "label_exists",
        "must_ship_complete",
        "needs_no_label",
        "no_label",
        "no_place",
        "kind_is_fixed",
        "kit_in_parts",
        "node_needed",
        "nothing_to_invoice",
        "nothing_to_pay",
        "nothing_to_release",
        "nothing_to_retry",
        "not_cancellable",
        "order_cancelled",
        "not_decided",
        "not_forgotten",
        "not_for_pickup",
        "not_in_review",
        "no_result",
        "other_currency",
        "pickup_lapsed",
        "recipient_erased",
        "too_many_parcels",
        "too_many_secrets",
        "too_many_webhooks",
        "webhook_disabled",
        "wrong_state",
    }
)
"""Codes of refusals that are no fault of the request, but of what is there: 409."""
LATER = "30"
"""Seconds after which to ask again what a carrier or provider, or a setting, stood against."""
_PATH = re.compile(r"\[(\d+)\]")


class ProblemError(BaseModel):
    """One fault, and where it is."""

    pointer: str = Field(description="JSON pointer into the body, or the name of a parameter or header")
    code: str
    detail: str


class Problem(BaseModel):
    """Why a request was refused."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable name of the kind of problem")
    detail: str
    request_id: str | None = None
    errors: list[ProblemError] = []


class Refused(Exception):
    """A request that cannot be done, with the status and headers that say so."""

    def __init__(
        self, code: str, detail: str, headers: Mapping[str, str] | None = None, pointer: str | None = None
    ) -> None:
        self.code, self.detail, self.headers, self.pointer = code, detail, dict(headers or {}), pointer
        super().__init__(detail)


def problem(
    status: int,
    code: str,
    detail: str,
    request_id: str | None,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that says what is wrong."""
    body = {
        "type": f"urn:allot:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
        "errors": list(errors),
    }
    return Response(msgspec.json.encode(body) + b"\n", status, headers, media_type=MEDIA)


def told(error: Exception, request_id: str | None, named: Container[str] = ()) -> Response | None:
    """The answer to an error that was expected; `None` for a bug.

    Parameters
    ----------
    named
        The parts of the path that name something: where one of these is unknown, there is nothing of that address.
    """
    if isinstance(error, Refused):
        errors = [] if error.pointer is None else [_fault(error.pointer, error.code, error.detail)]
        return problem(STATUSES.get(error.code, 422), error.code, error.detail, request_id, errors, error.headers)
    if isinstance(error, Refusal):
        return refused(error, request_id, named)
    if isinstance(error, RequestValidationError):
        faults = [_fault(_pointer(fault["loc"]), fault["type"], fault["msg"]) for fault in error.errors()[:100]]
        return problem(422, "invalid", "the request is not what is allowed; see errors", request_id, faults)
    if isinstance(error, Unavailable):
        again = "the database cannot be reached; ask again"
        return problem(503, "unavailable", again, request_id, headers={"Retry-After": "1"})
    if isinstance(error, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code, "refused")
        return problem(error.status_code, code, str(error.detail), request_id, headers=error.headers)
    return None


def refused(error: Refusal, request_id: str | None, named: Container[str] = ()) -> Response:
    """The answer to what was refused."""
    missing = error.place in named and error.code.startswith("unknown_") and error.code != "unknown_field"
    if missing:
        fault = _fault(error.place, error.code, error.problem)  # a part of the path is named, as a parameter is
        return problem(404, error.code, str(error), request_id, [fault])
    status = status_of(error.code)
    headers = {"Retry-After": LATER} if status == 503 else None
    return problem(status, error.code, str(error), request_id, [refusal(error)], headers)


def refusal(error: Refusal, under: str = "") -> dict[str, str]:
    """A refusal as one entry of `errors`."""
    return _fault(under + pointer_of(error.place), error.code, error.problem)


def status_of(code: str) -> int:
    """The status that goes with the code of a refusal."""
    return STATUSES.get(code, 409 if code in CONFLICTS else 422)


def pointer_of(place: str) -> str:
    """`lines[0].qty` as the JSON pointer `/lines/0/qty`."""
    parts = [part for part in _PATH.sub(r".\1", place).split(".") if part]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _pointer(where: Sequence[Any]) -> str:
    """Where pydantic found it: a pointer into the body, or the name of a parameter."""
    if where and where[0] == "body":
        return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in where[1:])
    return str(where[-1]) if where else ""


def _fault(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}
