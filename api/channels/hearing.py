"""A message of a channel, from the bytes that came to what was done: proven, read, done once.

Whoever sends it is told that it came as soon as it is written down, even where nothing could be made of it: sent again, it would be
the same. Then there is an issue. Only a message that is not proven to be theirs, or that finds no database, is to be sent again.
"""

from collections.abc import Mapping

import msgspec

from api.cards import CODE as CARD_NUMBER
from api.channels import Arrival, Channel, Opened, Reading, channel_of
from api.channels.payload import without_cards
from api.http import values
from api.http.problems import Refused
from api.http.telemetry import log
from api.vault import Vault
from engine.ahead import lookout_of
from engine.channel_issues import BUG, WENT_WRONG
from engine.channel_said import Heard, OrderGone, Remark
from engine.channels import hear, note_undone, note_unread
from engine.connections import Connection, get_connection
from engine.database import Database, Unavailable
from solver.refusal import Refusal

SIGNING = "signing"
MOST_CARDS = 20
"""Texts with the number of a card in them that are told of one message, at most."""
_CARD = "looks like the number of a payment card: nothing of this text was kept; take it out of the order there"


class Secrets(msgspec.Struct, kw_only=True):
    """The secrets of a connection, by name; and what signed before `signing` did, until when that is still taken."""

    now: dict[str, str] = {}
    before: list[tuple[str, int]] = []

    def signing(self, at: int) -> list[str]:
        """Whatever may have signed a message."""
        found = [self.now[SIGNING]] if SIGNING in self.now else []
        return found + [secret for secret, until in self.before if until > at]

    def rotate(self, name: str, secret: str, at: int, keep: int) -> "Secrets":
        """The same with another secret; the one that signed so far is taken for so many milliseconds more."""
        before = [(old, until) for old, until in self.before if until > at]
        if name == SIGNING and name in self.now and keep:
            before.append((self.now[name], at + keep))
        return Secrets(now={**self.now, name: secret}, before=before)


def seal(vault: Vault, secrets: Secrets) -> str:
    """Secrets as they are kept."""
    return vault.seal(msgspec.json.encode(secrets).decode())


def unseal(vault: Vault, sealed: str) -> Secrets:
    """Secrets as they are."""
    return msgspec.json.decode(vault.unseal(sealed), type=Secrets) if sealed else Secrets()


def open_connection(vault: Vault, connection: Connection) -> Opened:
    """A connection with its secrets."""
    return Opened(connection, unseal(vault, connection.secrets).now)


def hear_message(
    database: Database, vault: Vault, id: str, headers: Mapping[str, str], body: bytes, at: int, *, trusted: bool
) -> Heard | None:
    """Do what a message says.

    Parameters
    ----------
    headers
        By name in lower case.
    trusted
        Whether somebody with a key of ours sends it on: then it need not be signed.

    Returns
    -------
    Heard or None
        Nothing where it is not proven that it is theirs, or where there is no such connection: nobody is told which.

    Raises
    ------
    Refusal
        `unknown_connection` to whoever is trusted; `inactive_connection`.
    """
    try:
        with database.read() as tx:
            connection = get_connection(tx, id)
    except Refusal:
        if trusted:
            raise
        return None
    channel = channel_of(connection.kind)
    signing = None if trusted else unseal(vault, connection.secrets).signing(at)
    arrival = channel.verify(connection, headers, body, signing)
    if arrival is None:
        if trusted:
            raise Refusal("body", f"is nothing that {connection.kind} sends", "bad_payload")
        return None
    if not arrival.event:  # a greeting
        return Heard("ignored")
    if not connection.active:
        raise Refusal("connection", f"connection {id!r} is not active", "inactive_connection")
    try:
        reading, remarks = _read(channel, connection, arrival, body, at)
    except Refusal as refusal:
        why = refusal
        return database.write(lambda tx: note_unread(tx, id, arrival.event, arrival.topic, why, at))
    return _do(database, connection, arrival, reading, remarks, at)


def _read(
    channel: Channel, connection: Connection, arrival: Arrival, body: bytes, at: int
) -> tuple[Reading, list[Remark]]:
    """What a message says, without numbers of cards; and where there were any."""
    try:
        payload, found = without_cards(values.decode(body))
    except Refused as refused:
        raise Refusal("body", "is no JSON that can be read", refused.code) from None
    reading = channel.read(connection, arrival, payload)
    if isinstance(reading.said, OrderGone) and not reading.said.said_at:
        reading = Reading(msgspec.structs.replace(reading.said, said_at=at))
    return reading, [Remark(code=CARD_NUMBER, place=place, detail=_CARD) for place in found[:MOST_CARDS]]


def _do(
    database: Database, connection: Connection, arrival: Arrival, reading: Reading, remarks: list[Remark], at: int
) -> Heard:
    lookout = lookout_of(database)
    event, topic = arrival.event, arrival.topic
    try:
        return database.write(
            lambda tx: hear(tx, connection, event, topic, reading.said, reading.whom, at, lookout, remarks)
        )
    except Unavailable:
        raise
    except Exception:
        log.exception("bug", connection=connection.id, topic=topic, event_id=event)
        bug = Refusal("order", WENT_WRONG, BUG)
        return database.write(lambda tx: note_undone(tx, connection.id, event, topic, reading.said, bug, at))
