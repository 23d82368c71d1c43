"""The notifier: takes a notice that is due, writes and sends it, marks it, and takes the next."""

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

    def step(self) -> bool:
        """Send the notice that is due first; returns whether there was one, not where it is better to wait."""
        at = self._clock()
        with self._database.read() as tx:
            if not notices.is_due(tx, at):
                return False
            currency = reads.currency(tx) or CURRENCY
        due = self._database.write(lambda tx: notices.claim(tx, at, self._worker))
        if due is None:
            return False
        try:
            result = self._tell(due, currency)
        except Away as away:
            why, ended = str(away), self._clock()
            waiting = self._database.write(lambda tx: notices.put_off(tx, ended, self._worker, why))
            log.warning("notices not sent", why=why, waiting=waiting)
            return False
        ended = self._clock()
        self._database.write(lambda tx: notices.settle(tx, ended, self._worker, result))
        return True

    def _tell(self, due: Due, currency: str) -> Result:
        """Send one notice. Raises Away where nothing can be sent now."""
        try:
            why = self._unwanted(due)
            if why:
                return Result(due.event_no, "skipped", why)
            self._sender.send(self._message(due, currency))
        except Away:
            raise
        except Later as later:
            return Result(due.event_no, "later", str(later))
        except Refused as refused:
            return Result(due.event_no, "dead", str(refused))
        except TemplateError as wrong:
            log.error("template", type=due.type, event_id=due.event, error=type(wrong).__name__)
            return Result(due.event_no, "dead", "bad_template")
        except Exception:
            log.exception("bug", type=due.type, event_id=due.event)
            return Result(due.event_no, "later", "bug")
        return Result(due.event_no, "sent")

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
