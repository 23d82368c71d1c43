"""What is known of a person: shown to them, erased, and erased by age."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.http import edge
from api.http.door import Route, access
from api.http.names import RecipientId
from api.http.pages import After, Limit, page, read_cursor
from api.http.recorded import Recording, record
from api.http.service import Called
from api.http.values import Json
from api.keys import ADMIN, OPERATOR
from api.moments import moment
from engine import privacy
from engine.database import Tx
from engine.facts import RecipientErased
from engine.privacy import Due

router = APIRouter(tags=["orders"], route_class=Route)
_ROWS = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
_EXPORT = {
    "type": "object",
    "properties": {
        "recipient": {"type": "string"},
        "made_at": {"type": "string", "format": "date-time"},
        "tables": {"type": "object", "additionalProperties": _ROWS},
    },
    "required": ["recipient", "made_at", "tables"],
    "additionalProperties": False,
}


class DueSeen(msgspec.Struct, kw_only=True):
    """A recipient who would be erased by age, and when anything happened to their orders last."""

    recipient: str
    last_at: int


@router.get("/recipients/{recipient}/export", operation_id="export_recipient", response_class=Json,
            responses=edge.answers(_EXPORT))  # fmt: skip
@access(OPERATOR)
async def export_recipient(call: Called, recipient: RecipientId) -> Response:
    """All that is known of a recipient, as rows of our tables: orders, what left, what was told, and every fact about them."""
    found = await call.service.read(lambda tx: privacy.export(tx, recipient))
    said = {"recipient": recipient, "made_at": moment(call.at), "tables": found}
    return Json(said, headers={"Cache-Control": "no-store"})


@router.get("/retention/due", operation_id="list_due", response_class=Json,
            responses=edge.answers(edge.page_schema(DueSeen)))  # fmt: skip
@access(OPERATOR, ADMIN)
async def list_due(
    call: Called, request: Request, limit: Limit = 50, after: After = None,
    days: Annotated[int | None, Query(ge=1, le=36_500)] = None,
) -> Response:  # fmt: skip
    """List who would be erased by age now, with the days of the setting or others. Nobody is erased by this."""
    last = read_cursor(after, int, str)

    def look(tx: Tx) -> list[Due]:
        wanted = privacy.retention_of(tx).days if days is None else days
        behind = (last[0], last[1]) if last else None
        return [] if wanted is None else privacy.due(tx, call.at, wanted, behind, limit + 1)

    def shown(one: Due) -> Any:
        return edge.show(DueSeen(recipient=one.recipient, last_at=one.last_at), "")

    found = await call.service.read(look)
    return page(request, found, limit, shown, lambda one: one.place)


record(
    router,
    [
        Recording("/recipients/{recipient}/erase", "erase_recipient", RecipientErased, privacy.erase,
                  (OPERATOR,), {}, {"recipient": "cus-example"}, once="may"),
    ],
)  # fmt: skip
