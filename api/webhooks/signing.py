"""Signatures by Standard Webhooks: who receives can tell that it came from here, lately, and unchanged."""

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
BYTES = 32


def new_secret() -> str:
    """A secret, as it is shown to whoever is to receive."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def headers_of(id: str, at: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers that sign a body, by every secret that is live.

    Parameters
    ----------
    id
        The event's: the same at every try.
    at
        When it is sent, in milliseconds.
    """
    sent, text = datetime.fromtimestamp(at // 1000, UTC), body.decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(at // 1000),
        "webhook-signature": " ".join(Webhook(secret).sign(id, sent, text) for secret in secrets),
    }
