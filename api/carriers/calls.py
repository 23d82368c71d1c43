"""Calls to carriers: each outside of any transaction, from a row that was written before it, and its answer into that row.

Nothing that a carrier says of people is kept or logged: only names of reasons, its number for the parcel, and the price.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from api.carriers import (
    CARRIERS,
    Carrier,
    Declined,
    Openers,
    Rate,
    Scan,
    Setup,
    Wanted,
    carrier_names,
    open_carrier,
)
from api.papers import Letters, print_label
from engine import labels
from engine.carrying import Load, read_load
from engine.catalogue import read_catalogue
from engine.database import Database, Tx
from engine.facts import OutForDelivery, short_id
from engine.labels import Label
from engine.shipping import arrive, read_shipping, send_out
from solver.refusal import Refusal

log = structlog.get_logger("allot")
LOOK_AGAIN = 900_000
"""Milliseconds after which a carrier is asked again where a parcel is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A label that somebody asks for; the carrier and the service are the consignment's own where not said, as its weight is.

    Attributes
    ----------
    id
        The same for the same request.
    """

    id: str
    consignment: str
    carrier: str | None = None
    service: str | None = None
    grams: int | None = None


@dataclass(frozen=True)
class Calls:
    """Calls from one process, on its database and its clock."""

    database: Database
    clock: Callable[[], int]
    known: Openers = field(default_factory=lambda: CARRIERS)

    def ask(self, asked: Asked) -> Label:
        """Write down that a label is wanted, and call its carrier. Where that does not answer, it stays wanted.

        Raises
        ------
        Refusal
            `unknown_carrier`, `no_service`, or as `engine.labels.want`.
        """
        at = self.clock()
        with self.database.read() as tx:
            load, setup = read_load(tx, asked.consignment), self._setup(tx, at)
        service = asked.service or load.service
        if not service:
            raise Refusal("service", "is needed: it was not released to any", "no_service")
        name = asked.carrier or setup.terms.carriers.get(service, "own")
        open_carrier(name, setup, self.known)
        grams = load.grams if asked.grams is None else asked.grams
        label, taken = self.database.write(
            lambda tx: labels.want(tx, at, asked.id, asked.consignment, name, service, grams)
        )
        return self._call(label) if taken else label

    def drop(self, consignment: str) -> Label:
        """Say that the label of a consignment is not wanted any more, and tell its carrier, now or when it answers.

        Raises
        ------
        Refusal
            As `engine.labels.unwant`.
        """
        at = self.clock()
        label = self.database.write(lambda tx: labels.unwant(tx, at, consignment))
        return self._take(label, at) or label

    def settle(self) -> int:
        """Call the carriers of all labels that wait, and say how many did."""
        at, count = self.clock(), 0
        with self.database.read() as tx:
            found = labels.waiting(tx, at)
        for label in found:
            count += self._take(label, at) is not None
        return count

    def rates(self, consignment: str) -> list[tuple[str, Rate]]:
        """What every carrier takes for a consignment, the cheapest first: name and rate. Who does not answer is left out."""
        with self.database.read() as tx:
            load, setup = read_load(tx, consignment), self._setup(tx, self.clock())
        found = []
        for name in carrier_names(self.known):
            try:
                found += [(name, rate) for rate in open_carrier(name, setup, self.known).rate(load)]
            except Exception as error:
                _no_answer(name, consignment, error)
        return sorted(found, key=lambda one: (one[1].cents, one[1].days, one[0], one[1].service))

    def paper(self, consignment: str, letters: Letters) -> bytes:
        """The label of a consignment, as PDF: its carrier's own, or printed here where that has none.

        Raises
        ------
        Refusal
            `unknown_consignment`; `no_label`, or none that is made yet; `no_answer`.
        """
        with self.database.read() as tx:
            load, label, setup = read_load(tx, consignment), labels.live(tx, consignment), self._setup(tx, self.clock())
        if label is None or label.state != "made":
            told = "has no label" if label is None else "its carrier has not made the label yet; ask again"
            raise Refusal("consignment", told, "no_label")
        if label.carrier == "own":
            return print_label(label, load, setup.terms, letters)
        try:
            again = open_carrier(label.carrier, setup, self.known).make(_wanted(label, load))
        except Refusal:
            raise
        except Exception as error:
            _no_answer(label.carrier, label.id, error)
            raise Refusal("consignment", f"{label.carrier} does not give its label; ask again", "no_answer") from error
        return again.paper or print_label(label, load, setup.terms, letters)

    def look_after(self) -> int:
        """Ask carriers where parcels are that left, and write down what happened to them; says how many were asked for."""
        at = self.clock()
        with self.database.read() as tx:
            names = labels.carriers_on_the_way(tx)
            if names == ["own"] or not names:
                return 0  # facts say where those are
            setup = self._setup(tx, at)
        open: dict[str, Carrier] = {}
        for name in names:
            try:
                carrier = open_carrier(name, setup, self.known)
            except Exception as error:
                _no_answer(name, "", error)
            else:
                open |= {name: carrier} if carrier.tracks else {}
        with self.database.read() as tx:
            found = labels.to_look_after(tx, at - LOOK_AGAIN, sorted(open))
        for label in found:
            self._look_after(open[label.carrier], label, at)
        return len(found)

    def _setup(self, tx: Tx, at: int) -> Setup:
        return Setup(read_catalogue(tx, at).columns.empty, read_shipping(tx))

    def _take(self, label: Label, at: int) -> Label | None:
        """Call the carrier of a label, unless somebody else does."""
        return self._call(label) if self.database.write(lambda tx: labels.take(tx, at, label)) else None

    def _call(self, label: Label) -> Label:
        """Call the carrier of a label that is ours to call for, and write down how that went."""
        write = self.database.write
        try:
            with self.database.read() as tx:
                setup = self._setup(tx, self.clock())
                load = read_load(tx, label.consignment) if label.state == "wanted" else None
            carrier = open_carrier(label.carrier, setup, self.known)
            if load is None:
                carrier.cancel(label.id, label.tracking)
                return write(lambda tx: labels.cancelled(tx, self.clock(), label))
            made = carrier.make(_wanted(label, load))
        except Declined as declined:
            why = declined.code
            return write(lambda tx: labels.refused(tx, label, why))
        except Exception as error:
            _no_answer(label.carrier, label.id, error)
            return write(lambda tx: labels.unanswered(tx, self.clock(), label))
        return write(lambda tx: labels.made(tx, self.clock(), label, made.tracking, made.cents))

    def _look_after(self, carrier: Carrier, label: Label, at: int) -> None:
        assert label.tracking is not None, "it is made"
        try:
            scans = carrier.track(label.tracking)
        except Exception as error:
            _no_answer(label.carrier, label.id, error)
            scans = []
        for scan in scans:
            with suppress(Refusal):  # it is further than that already
                self._note(label, scan, at)
        self.database.write(lambda tx: labels.looked_after(tx, at, label))

    def _note(self, label: Label, scan: Scan, at: int) -> None:
        """Write down what a scan says, once."""
        id, when = short_id("lab", label.id, scan.status, str(scan.at)), min(scan.at, at)
        if scan.status == "out_for_delivery":
            out = OutForDelivery(id=id, at=when, consignment=label.consignment)
            self.database.write(lambda tx: send_out(tx, out))
        elif scan.status == "delivered":
            self.database.write(lambda tx: arrive(tx, id, when, label.consignment))


def _no_answer(carrier: str, about: str, error: Exception) -> None:
    """Log that a carrier did not answer, by the kind of error: what it says may name people."""
    log.warning("carrier did not answer", carrier=carrier, about=about, error=type(error).__name__)


def _wanted(label: Label, load: Load) -> Wanted:
    return Wanted(label.id, label.no, label.service, replace(load, grams=label.grams))
