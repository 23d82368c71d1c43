"""The links by which customers say that they want no more: each holds who says so and of what, sealed."""

from urllib.parse import urlencode

import msgspec

from api.vault import Vault
from solver.refusal import Refusal

PATH = "/unsubscribe"
_WHAT = "no more"
"""So that nothing else that was sealed is taken for a link."""


def link_of(vault: Vault, public_url: str, recipient: str, type: str) -> str:
    """Where a recipient says that no more messages about such events are wanted."""
    token = vault.seal(msgspec.json.encode([_WHAT, recipient, type]).decode())
    return f"{public_url.rstrip('/')}{PATH}?{urlencode({'token': token})}"


def read_token(vault: Vault, token: str) -> tuple[str, str]:
    """Who wants no more, and of what.

    Raises
    ------
    Refusal
        `bad_token`: it was not made here.
    """
    try:
        what, recipient, type = msgspec.json.decode(vault.unseal(token), type=tuple[str, str, str])
    except (Refusal, msgspec.MsgspecError, UnicodeError) as error:
        raise Refusal("token", "is none of ours", "bad_token") from error
    if what != _WHAT:
        raise Refusal("token", "is none of ours", "bad_token")
    return recipient, type
