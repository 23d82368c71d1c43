"""Messages to customers about their orders: templates, who sends them, and how to get no more.

A way to send is a file beside `smtp.py` with a class that is a `Sender`, entered in `SENDERS`, or an entry point `allot.senders` of
another package.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from api.ports import found, names_of
from api.settings import Settings
from solver.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to a recipient. All of it is personal, and shown nowhere.

    Attributes
    ----------
    id
        The same whenever the same message is sent again.
    contact
        Where to: for mail an address.
    unsubscribe
        Where the recipient says that no more of these are wanted.
    """

    id: str
    at: int
    contact: str = field(repr=False)
    name: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    unsubscribe: str = field(repr=False)


class Refused(Exception):
    """The message will not be taken, however often it is tried. Its text is a word for the log, without anything personal."""


class Later(Exception):
    """The message was not taken now. Its text is a word for the log, without anything personal."""


class Away(Later):
    """Nothing is taken now, this message or another: nobody answers, or a setting is wrong. Messages wait meanwhile."""


class Sender(Protocol):
    """A way to send messages."""

    def takes(self, contact: str) -> bool:
        """Whether it can reach a recipient there."""
        ...

    def send(self, message: Message) -> None:
        """Send a message, within minutes; once it returns, the message is somebody else's to deliver.

        Raises
        ------
        Refused, Later, Away
            It was not sent.
        """
        ...


def _smtp(settings: Settings) -> Sender:
    from api.notices.smtp import Smtp

    return Smtp.of(settings)


SENDERS: Mapping[str, Callable[[Settings], Sender]] = {"smtp": _smtp}
"""What makes each way to send."""
GROUP = "allot.senders"


def sender_of(settings: Settings) -> Sender | None:
    """What sends messages in a deployment; none where customers are told nothing.

    Raises
    ------
    Refusal
        `bad_setting`: there is none of that name.
    """
    if not settings.notify:
        return None
    name = settings.notice_sender
    make = found(name, SENDERS, GROUP)
    if make is None:
        known = ", ".join(names_of(SENDERS, GROUP))
        raise Refusal("ALLOT_NOTICE_SENDER", f"{name!r} is none of {known}", "bad_setting")
    return make(settings)


__all__ = ["SENDERS", "Away", "Later", "Message", "Refused", "Sender", "sender_of"]
