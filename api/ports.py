"""Ports: what somebody else does for us (carriers, providers of payments, senders of messages, channels), found by name.

Each port is a package with a protocol and with citizens of ours; others are entry points of its group.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

T = TypeVar("T")


class Declined(Exception):
    """Somebody says no, for good. `code` names why, in small letters, and nothing of whom: `card_declined`, `too_heavy`."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class NoAnswer(Exception):
    """Nobody knows what was done: it is asked for again, with the same key."""


class NothingDone(NoAnswer):
    """It is certain that nothing was done: it could not be sent, or was not let in."""


def names_of(ours: Iterable[str], group: str) -> list[str]:
    """Every citizen that there is, ours and those that are installed."""
    return sorted({*ours, *(point.name for point in entry_points(group=group))})


def found(name: str, ours: Mapping[str, T], group: str) -> T | None:
    """A citizen by name: ours, else one that is installed."""
    if name in ours:
        return ours[name]
    for point in entry_points(group=group, name=name):
        installed: Any = point.load()
        return installed  # type: ignore[no-any-return]
    return None


__all__ = ["Declined", "NoAnswer", "NothingDone", "found", "names_of"]
