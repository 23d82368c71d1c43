"""Channels: shops elsewhere whose orders come in here, and which are told what they may sell and what has left.

A kind of channel is one module: whom a message is from, what it says (pure: payload to what `engine.channels` understands), and
how levels and parcels are told. Ours are in `OURS`; others plug in by an entry point of the group `allot.channels`, whose name is
the kind and whose object is a module or anything else that has what `Channel` asks for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import httpx

from api.ports import found, names_of
from engine.channel_parcels import Left
from engine.channel_said import AnySaid, Whom
from engine.connections import Connection
from solver.refusal import Refusal

OURS = {name: f"api.channels.{name}" for name in ("amazon", "shopify", "woocommerce")}
GROUP = "allot.channels"


@dataclass(frozen=True)
class Arrival:
    """A message whose sender is known. `event`: what they call it, the same however often it is sent; `sent_at` 0: not known."""

    event: str
    topic: str
    sent_at: int = 0


@dataclass(frozen=True)
class Reading:
    """What a message says: of the order, and of who receives it."""

    said: AnySaid
    whom: Whom | None = None


@dataclass(frozen=True)
class Level:
    """Units that may be sold of an item, and how many its channel has by what we know (`None`: nothing was told yet)."""

    external_sku: str
    ref: str
    units: int
    before: int | None


@dataclass(frozen=True)
class Told:
    """What came of telling levels.

    Attributes
    ----------
    there
        Units that the channel has now, by item: those that were told, or others where it was not as we thought.
    refused
        Why items were refused.
    wait
        Seconds before anything else may be told.
    """

    there: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What came of telling of a parcel: it was told, unless it was `refused`, or the channel wants a rest of `wait` seconds."""

    refused: str = ""
    wait: float = 0.0


@dataclass(frozen=True)
class Opened:
    """A connection with its secrets, for as long as it takes to call there."""

    connection: Connection
    secrets: Mapping[str, str]

    def option(self, name: str, usual: str | None = None) -> str:
        """What its arrangement says.

        Raises
        ------
        Refusal
            `missing_option`: it says nothing, and there is nothing usual.
        """
        said = self.connection.arrangement.options.get(name, usual)
        if said is None:
            raise Refusal(f"arrangement.options.{name}", f"is needed for {self.connection.kind}", "missing_option")
        return said

    def secret(self, name: str) -> str:
        """A secret.

        Raises
        ------
        Refusal
            `missing_secret`.
        """
        if name not in self.secrets:
            raise Refusal(f"secrets.{name}", f"is needed for {self.connection.kind}", "missing_secret")
        return self.secrets[name]


class Channel(Protocol):
    """A kind of channel."""

    SECRETS: Sequence[str]
    """The secrets that it may have, by name; with `signing` it signs what it sends."""
    TOGETHER: int
    """Items of which it is told at once, at most."""

    def check(self, connection: Connection) -> None:
        """Refuse a connection that cannot be one of this kind.

        Raises
        ------
        Refusal
            Naming the field and what is allowed.
        """
        ...

    def verify(
        self, connection: Connection, headers: Mapping[str, str], body: bytes, signing: Sequence[str] | None
    ) -> Arrival | None:
        """Whom a message is from, and which it is; nothing where that is not proven.

        Parameters
        ----------
        headers
            By name in lower case.
        body
            As it came: what is signed.
        signing
            Secrets that may have signed it; `None` where somebody with a key of ours sends it on.
        """
        ...

    def read(self, connection: Connection, arrival: Arrival, payload: Any) -> Reading:
        """What a message says.

        Raises
        ------
        Refusal
            Where in the payload, and what is wrong with it; never with what it says there.
        """
        ...

    def push(self, client: httpx.Client, opened: Opened, levels: Sequence[Level], key: str) -> Told:
        """Tell levels.

        Parameters
        ----------
        key
            Of this change: the same again has no second effect, where the channel knows of such.

        Raises
        ------
        httpx.HTTPError
            Nobody answers, or not as it should: nothing is known to be told.
        """
        ...

    def ship(self, client: httpx.Client, opened: Opened, left: Left) -> Answer:
        """Tell that a parcel has left.

        It may be told again what it was told before, where the answer was lost: that has no second effect, as far as the channel
        lets us see to that.

        Raises
        ------
        httpx.HTTPError
            Nobody answers, or not as it should: nothing is known to be told.
        """
        ...


def kinds() -> list[str]:
    """Every kind that there is."""
    return names_of(OURS, GROUP)


def channel_of(kind: str) -> Channel:
    """A kind of channel.

    Raises
    ------
    Refusal
        `unknown_kind`.
    """
    channel: Any = import_module(OURS[kind]) if kind in OURS else found(kind, {}, GROUP)
    if channel is None:
        raise Refusal("kind", f"{kind!r} is none of {', '.join(kinds())}", "unknown_kind")
    return channel  # type: ignore[no-any-return]


__all__ = ["GROUP", "OURS", "Answer", "Arrival", "Channel", "Level", "Opened", "Reading", "Told", "channel_of", "kinds"]
