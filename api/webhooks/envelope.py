"""What is sent: an event as CloudEvents 1.0 has it, in JSON, and its description for those who receive it."""

from typing import Any

import msgspec

from api import moments
from api.http import edge
from engine.events import EVENTS
from engine.webhooks import EventSeen

MEDIA = "application/cloudevents+json"
DIGITS = 10
"""Of a sequence number, so that they sort as text."""


def body_of(event: EventSeen, currency: str, source: str) -> bytes:
    """An event as it is sent, the same bytes at every try.

    Parameters
    ----------
    source
        Who tells it: a URI.
    """
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": source,
            "type": event.type,
            "subject": event.subject,
            "time": moments.moment(event.at),
            "sequence": f"{event.sequence:0{DIGITS}d}",
            "datacontenttype": "application/json",
            "data": edge.show(event.data, currency),
        }
    )


def described() -> dict[str, Any]:
    """The `webhooks` of the API's description: what is sent of each type of event."""
    return {type: {"post": _operation(type)} for type in EVENTS}


def schema_of(type: str) -> dict[str, Any]:
    """The JSON schema of what is sent of a type of event."""
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "The same at every try; who has seen it leaves it out"},
            "source": {"type": "string"},
            "type": {"const": type},
            "subject": {"type": "string", "description": "The order, SKU or webhook that it is about"},
            "time": {"type": "string", "format": "date-time"},
            "sequence": {
                "type": "string",
                "pattern": f"^[0-9]{{{DIGITS},}}$",
                "description": "Counts the events of the subject from 1, without holes",
            },
            "datacontenttype": {"const": "application/json"},
            "data": edge.shown_schema(EVENTS[type]),
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "sequence", "datacontenttype", "data"],
        "additionalProperties": False,
    }


def _operation(type: str) -> dict[str, Any]:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "operationId": f"receive_{type.replace('.', '_')}",
        "summary": (EVENTS[type].__doc__ or "").partition("\n")[0],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "requestBody": {"required": True, "content": {MEDIA: {"schema": schema_of(type)}}},
        "responses": {
            "2XX": {"description": "Taken in"},
            "410": {"description": "Nothing more is wanted: the webhook is disabled"},
            "default": {"description": "Try again later"},
        },
    }
