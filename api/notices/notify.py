"""The notifier: takes notices that are due, writes and sends each, and marks it at once."""

from collections.abc import Callable

from jinja2 import TemplateError

from api.http import edge
from api.http.telemetry import log
from api.notices import Away, Later, Message, Refused, Sender
from api.notices.unsubscribing import link_of
from api.notices.writing import Writer
from api.vault import Vault
from engine import notices, reads
from engine.database import Database
from engine.entries import CURRENCY
from engine.notices import Due, Result

TOGETHER = 5
"""Notices that are taken at once: as many as are sent within a lease, however slow the server is."""


class Notifier:
    """Tells customers.

    Parameters
    ----------
    public_url
        Where customers reach this service.
    clock
        Milliseconds since 1970-01-01 UTC.
    worker
        A name that nobody else has.
    """

    def __init__(
        self, database: Database, vault: Vault, sender: Sender, writer: Writer, public_url: str, clock: Callable[[], int],
        worker: str,
    ) -> None:  # fmt: skip
        self._database, self._vault, self._sender, self._writer = database, vault, sender, writer
        self._public_url, self._clock, self._worker = public_url, clock, worker

    def step(self) -> int:
        """Send a few notices that are due; returns how many were ended or tried, 0 where it is better to wait."""
        at = self._clock()
        with self._database.read() as tx:
            if not notices.is_due(tx, at):
                return 0
            currency = reads.currency(tx) or CURRENCY
        due = self._database.write(lambda tx: notices.claim(tx, at, self._worker, TOGETHER))
        for number, one in enumerate(due):
            result, away = self._tell(one, currency)
            left = [Result(other.event_no, "later", "no_connection") for other in due[number + 1 :]] if away else []
            self._settle([result, *left])
            if away:
                return 0
        return len(due)

    def _settle(self, results: list[Result]) -> None:
        at = self._clock()
        self._database.write(lambda tx: notices.settle(tx, at, self._worker, results))

    def _tell(self, due: Due, currency: str) -> tuple[Result, bool]:
        """Send one notice; and say whether nothing can be sent now."""
        why = self._unwanted(due)
        if why:
            return Result(due.event_no, "skipped", why), False
        try:
            self._sender.send(self._message(due, currency))
        except Away as away:
            return Result(due.event_no, "later", str(away)), True
        except Later as later:
            return Result(due.event_no, "later", str(later)), False
        except Refused as refused:
            return Result(due.event_no, "dead", str(refused)), False
        except TemplateError as wrong:
            log.error("template", type=due.type, event_id=due.event, error=type(wrong).__name__)
            return Result(due.event_no, "dead", "bad_template"), False
        return Result(due.event_no, "sent"), False

    def _unwanted(self, due: Due) -> str:
        """Why nothing is sent; empty where it is."""
        if not due.wanted:
            return "opted_out"
        if due.late:
            return "too_late"
        if not due.contact or not self._sender.takes(due.contact):
            return "no_contact"
        return ""

    def _message(self, due: Due, currency: str) -> Message:
        unsubscribe = link_of(self._vault, self._public_url, due.recipient, due.type)
        name = " ".join((due.name or "").split())
        said = {"name": name, "data": edge.show(due.data, currency), "unsubscribe": unsubscribe}
        written = self._writer.write(due.type, due.locale, said)
        assert due.contact is not None, "it was looked at"
        return Message(
            due.event,
            self._clock(),
            due.contact,
            name,
            written.subject,
            written.text,
            written.html,
            unsubscribe,
        )
