"""What shops elsewhere say of their orders, made into our facts.

A connection (`engine.connections`) says the whole state of an order again and again, in any order, some of it twice, and at times
only what has changed. Whatever is heard is turned into the difference to what was heard before, and that is done to the order
as it is now: units that somebody here cancelled do not come back, and what has left is not cancelled. What cannot be done is
kept as an issue for people to look at; what can be is done all the same.

Nothing personal is in what is said here: people are remembered apart (`Whom`), under an id of ours.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

import msgspec

from engine import orders, reads
from engine.ahead import Lookout
from engine.calendar import MS_PER_DAY
from engine.capture import capture_in
from engine.channel_customers import (
    forget_later,
    forget_who_never_ordered,
    forget_who_ordered,
    note_data_asked,
    recipient_id,
)
from engine.channel_issues import (
    ALREADY_RELEASED,
    BUG,
    NOT_HERE,
    WENT_WRONG,
    Problem,
    Settles,
    raise_issues,
    settle_others,
)
from engine.channel_said import (
    AnySaid,
    ChangeSaid,
    DataAsked,
    Heard,
    LineSaid,
    Nothing,
    OrderGone,
    OrderSaid,
    Outcome,
    Remark,
    ToForget,
    Whom,
)
from engine.connections import Connection, find_area, get_connection, skus_of
from engine.database import Rows, Tx
from engine.entries import CURRENCY
from engine.facts import (
    LineQuantity,
    LineUnits,
    OrderCancelled,
    OrderEdited,
    OrderedLine,
    OrderPlaced,
    Place,
    short_id,
)
from engine.money import minor
from engine.orders import Person, lock_order, remember
from engine.privacy import TOGETHER
from solver.refusal import Refusal

KEPT = 30 * MS_PER_DAY
"""Milliseconds for which messages are remembered, so that the same again is known; after that the times of orders tell."""
MOST_WAITING = 100
"""Changes that are kept of an order that has not come yet."""
REST = 3_600_000
"""Milliseconds after which the clock tries again what went wrong here."""
_LINE = re.compile(r"^(lines|added)\[(\d+)\]")


@dataclass(slots=True)
class _Row:
    """An order as its connection last said it, locked."""

    external_id: str
    order_no: int | None
    said_at: int
    sent_at: int
    applied: int
    destination: str
    said: str
    waiting: str


@dataclass(slots=True)
class _Line:
    """A line of ours, and what its connection wants of it; units that are at their nodes (`released`), and `gone` from there."""

    ref: str
    number: int
    asked: int
    undone: int = 0
    elsewhere: int = 0
    unreleased: int = 0
    released: int = 0
    gone: int = 0

    @property
    def live(self) -> int:
        """Units that are not cancelled."""
        return self.unreleased + self.released + self.gone


def hear(
    tx: Tx,
    connection: Connection,
    event: str,
    topic: str,
    said: AnySaid,
    whom: Whom | None,
    at: int,
    lookout: Lookout | None = None,
    remarks: Sequence[Remark] = (),
) -> Heard:
    """Do what a connection says, once.

    Parameters
    ----------
    event
        What the connection calls its message: the same again is answered, and nothing else.
    whom
        Who receives the order, where it says so.
    at
        Milliseconds, now.
    remarks
        What people should look at of the message itself.
    """
    external_id = getattr(said, "order", "")
    if not _is_new(tx, connection.id, event, topic, external_id, at):
        return Heard("seen", _ours(tx, connection.id, external_id))
    problems = [(one.code, one.place, one.detail) for one in remarks]
    match said:
        case Nothing():
            heard = _told_of(tx, connection, external_id or event, problems, at)
        case ToForget():
            heard = forget_who_ordered(tx, connection, said, at)
        case DataAsked():
            heard = note_data_asked(tx, connection, said, at)
        case OrderSaid() | ChangeSaid() | OrderGone():
            row = _lock(tx, connection.id, said.order)
            heard = _Hearing(tx, connection, row, at, lookout, problems).hear(said, whom)
    if heard.outcome != "ignored":
        tx.run("UPDATE channel_event SET outcome = :outcome WHERE connection = :connection AND id = :id",
               outcome=heard.outcome, connection=connection.id, id=event)  # fmt: skip
    return heard


def _told_of(tx: Tx, connection: Connection, what: str, problems: Sequence[Problem], at: int) -> Heard:
    """What comes of a message that is nothing of ours to do."""
    count = raise_issues(tx, connection.id, what, problems, at)
    return Heard("issue" if count else "ignored", None, count)


def hear_again(tx: Tx, connection: Connection, external_id: str, at: int, lookout: Lookout | None = None) -> Heard:
    """Try again what of an order could not be done.

    Raises
    ------
    Refusal
        `nothing_to_retry`: nothing of it waits to be done.
    """
    row = _lock(tx, connection.id, external_id)
    if not row.said and row.order_no is None:
        told = "nothing of this order is kept to be tried again; have the channel send it again"
        raise Refusal("issue", told, "nothing_to_retry")
    return _Hearing(tx, connection, row, at, lookout).again()


def note_unread(tx: Tx, connection: str, event: str, topic: str, refusal: Refusal, at: int, order: str = "") -> Heard:
    """Keep that a message could not be read, and why: where in it, and nothing of what it says."""
    if not _is_new(tx, connection, event, topic, order, at, "issue"):
        return Heard("seen", None)
    place = refusal.place or "body"
    raise_issues(tx, connection, order or event, [(refusal.code, place, refusal.problem)], at)
    return Heard("issue", None, 1)


def note_undone(tx: Tx, connection: str, event: str, topic: str, said: AnySaid, refusal: Refusal, at: int) -> Heard:
    """Keep that nothing could be done of a message, and why; and what it says of an order, to be tried again."""
    order = getattr(said, "order", "")
    heard = note_unread(tx, connection, event, topic, refusal, at, order)
    if heard.outcome != "issue":
        return heard
    match said:
        case OrderSaid() | OrderGone():
            row = _lock(tx, connection, order)
            sent_at = said.sent_at if isinstance(said, OrderSaid) else 0
            if (said.said_at, sent_at) >= (row.said_at, row.sent_at):
                row.said, row.said_at, row.sent_at = msgspec.json.encode(said).decode(), said.said_at, sent_at
                _write(tx, connection, row)
        case ChangeSaid():
            row = _lock(tx, connection, order)
            row.waiting = _with_change(row, said)
            _write(tx, connection, row)
        case ToForget():
            forget_later(tx, connection, said.orders, at, everybody=said.everybody)
    return heard


def forget(tx: Tx, before: int, at: int) -> int:
    """Forget messages that came before then, issues that were settled before, and some orders there that are none here.

    With such an order goes what is known of who was to receive it. What is known of an order of ours stays for as long as that
    does: it is what later messages are compared with.

    Returns
    -------
    int
        How many messages and orders there were; none, once nothing is left to forget.
    """
    tx.run("DELETE FROM channel_issue WHERE state = 'settled' AND settled_at < :before", before=before)
    count = tx.run("DELETE FROM channel_event WHERE at < :before", before=before)
    found = tx.all(
        "SELECT connection, external_id FROM channel_order WHERE order_no IS NULL "
        "AND (connection, external_id) NOT IN (SELECT connection, external_id FROM channel_event) "
        "AND (connection, external_id) NOT IN (SELECT connection, external_id FROM channel_issue WHERE state = 'open') "
        "ORDER BY connection, external_id LIMIT :limit",
        limit=TOGETHER,
    )
    for id, some in groupby(found, key=itemgetter(0)):
        unplaced = [order for _, order in some]
        if forget_who_never_ordered(tx, get_connection(tx, id), unplaced, at):
            count += tx.run(
                "DELETE FROM channel_order WHERE connection = :connection AND order_no IS NULL "
                "AND external_id IN (SELECT id FROM {rows})",
                Rows(id=unplaced),
                connection=id,
            )
    return count


def orders_to_retry(tx: Tx, at: int, limit: int = 100) -> list[tuple[str, str]]:
    """Connections and orders of which units came back from their nodes that were given up before.

    One with which something went wrong rests for an hour (`note_failed`).
    """
    return tx.all(
        "SELECT DISTINCT c.connection, c.external_id FROM channel_line l JOIN channel_order c ON c.order_no = l.order_no "
        "JOIN order_line i ON i.order_no = l.order_no AND i.number = l.number "
        "WHERE l.undone > 0 AND i.open + i.allocated > 0 AND NOT EXISTS (SELECT 1 FROM channel_issue f "
        "WHERE f.connection = c.connection AND f.external_id = c.external_id AND f.code = :bug AND f.at > :since) "
        "ORDER BY c.connection, c.external_id LIMIT :limit",
        bug=BUG, since=at - REST, limit=limit,
    )  # fmt: skip


def note_failed(tx: Tx, connection: str, external_id: str, at: int) -> None:
    """Keep that something went wrong with an order here."""
    raise_issues(tx, connection, external_id, [(BUG, "order", WENT_WRONG)], at)


def _is_new(
    tx: Tx, connection: str, event: str, topic: str, external_id: str, at: int, outcome: str = "ignored"
) -> bool:
    return bool(
        tx.run(
            "INSERT INTO channel_event (connection, id, at, topic, external_id, outcome) "
            "VALUES (:connection, :id, :at, :topic, :external_id, :outcome) ON CONFLICT (connection, id) DO NOTHING",
            connection=connection, id=event, at=at, topic=topic, external_id=external_id, outcome=outcome,
        )
    )  # fmt: skip


def _ours(tx: Tx, connection: str, external_id: str) -> str | None:
    found = tx.first(
        "SELECT o.id FROM channel_order c JOIN orders o ON o.no = c.order_no "
        "WHERE c.connection = :connection AND c.external_id = :id",
        connection=connection,
        id=external_id,
    )
    return None if found is None else str(found[0])


def _lock(tx: Tx, connection: str, external_id: str) -> _Row:
    """Lock what is known of an order, before the order itself; it is made where nothing was."""
    tx.run(
        "INSERT INTO channel_order (connection, external_id) VALUES (:connection, :id) "
        "ON CONFLICT (connection, external_id) DO NOTHING",
        connection=connection,
        id=external_id,
    )
    found = tx.first(
        f"SELECT {', '.join(_Row.__slots__)} FROM channel_order WHERE connection = :connection AND external_id = :id"
        + tx.locking,
        connection=connection,
        id=external_id,
    )
    assert found is not None, "it is made just now"
    return _Row(*found)


def _write(tx: Tx, connection: str, row: _Row) -> None:
    """Write down what is known of an order."""
    tx.run(
        "UPDATE channel_order SET order_no = :order_no, said_at = :said_at, sent_at = :sent_at, applied = :applied, "
        "destination = :destination, said = :said, waiting = :waiting "
        "WHERE connection = :connection AND external_id = :external_id",
        connection=connection,
        **{name: getattr(row, name) for name in _Row.__slots__},
    )


@dataclass
class _Hearing:
    """One order while something is done to it that its connection said."""

    tx: Tx
    connection: Connection
    row: _Row
    at: int
    lookout: Lookout | None
    problems: list[Problem] = field(default_factory=list)
    changed: bool = False
    facts: int = 0

    def hear(self, said: OrderSaid | ChangeSaid | OrderGone, whom: Whom | None) -> Heard:
        outcome: Outcome | None
        match said:
            case OrderSaid():
                outcome = self._hear_state(said, whom)
            case ChangeSaid():
                outcome = self._hear_change(said)
            case OrderGone():
                outcome = self._hear_end(said)
        if outcome == "older":
            return Heard("older", self._order())
        return self._done(outcome, "released" if isinstance(said, ChangeSaid) else "all")

    def again(self) -> Heard:
        """Do what is left to be done."""
        if self.row.said:
            state = msgspec.json.decode(self.row.said, type=OrderSaid | OrderGone)
            return self._done(self._hear_end(state) if isinstance(state, OrderGone) else self._apply(state), "all")
        self._do_what_waited()
        lines = self._lines()
        self._reach(lines, {ref: line.asked for ref, line in lines.items()})
        return self._done(None, "tried")

    def _done(self, outcome: Outcome | None, settles: Settles) -> Heard:
        """Write down how far it has come."""
        row = self.row
        row.applied += 1
        if settles == "all" and not self.problems:
            row.said = ""
        _write(self.tx, self.connection.id, row)
        settle_others(self.tx, self.connection.id, row.external_id, self.problems, self.at, settles)
        count = raise_issues(self.tx, self.connection.id, row.external_id, self.problems, self.at)
        if count and outcome != "parked":
            return Heard("issue", self._order(), count)
        return Heard(outcome or ("applied" if self.changed else "unchanged"), self._order(), count)

    def _order(self) -> str | None:
        return _ours(self.tx, self.connection.id, self.row.external_id)

    # --- the three things that can be said --------------------------------------------------------------------------

    def _hear_state(self, said: OrderSaid, whom: Whom | None) -> Outcome | None:
        row = self.row
        if (said.said_at, said.sent_at) < (row.said_at, row.sent_at):
            return "older"
        row.said_at, row.sent_at = said.said_at, said.sent_at
        row.said = msgspec.json.encode(said).decode()
        if whom is not None and (row.order_no is not None or _to_send(said)):
            self._remember(whom)
        return self._apply(said)

    def _apply(self, said: OrderSaid) -> Outcome | None:
        self.problems += [(one.code, one.place, one.detail) for one in said.remarks]
        if self.row.order_no is not None:
            self._change(said)
            self._do_what_waited()
            return None
        if not _to_send(said):
            self.row.waiting = ""
            return "waits" if said.waits else None
        self._place(said)
        if self.row.order_no is not None:
            self._do_what_waited()
        return None

    def _hear_change(self, said: ChangeSaid) -> Outcome | None:
        row = self.row
        if said.said_at <= row.said_at:  # what is known is as new, and has it already
            return "older"
        if row.order_no is None:
            if row.said:  # it could not be placed yet: it will be with this
                self._note_change(said)
                return "parked"
            row.waiting = _with_change(row, said)
            self.problems.append((NOT_HERE, "order", "a change came of an order that has not come yet"))
            return "parked"
        self._do_what_waited()
        self._do_change(said)
        return None

    def _do_change(self, said: ChangeSaid) -> None:
        self._note_change(said)
        lines = self._lines()
        wanted: dict[str, int] = {}
        for one in said.changes:
            if one.ref in lines:
                wanted[one.ref] = max(0, wanted.get(one.ref, lines[one.ref].asked) + one.units)
            elif one.units > 0:
                told = "units were added of what is not known yet; the next state of the order says what it is"
                self.problems.append(("unknown_line", f"lines[{one.ref}]", told))
        self._reach(lines, wanted)

    def _note_change(self, said: ChangeSaid) -> None:
        """What is known is as new as this, and so is the state that is kept."""
        row = self.row
        row.said_at, row.sent_at = said.said_at, 0
        if row.said:
            state = msgspec.json.decode(row.said, type=OrderSaid | OrderGone)
            if isinstance(state, OrderSaid):
                row.said = msgspec.json.encode(_changed(state, said)).decode()

    def _do_what_waited(self) -> None:
        """Changes that came before the order did, or could not be done, and are newer than what is known."""
        waiting, self.row.waiting = _waiting(self.row), ""
        for change in sorted(waiting, key=lambda one: one.said_at):
            if change.said_at > self.row.said_at:
                self._do_change(change)

    def _hear_end(self, said: OrderGone) -> Outcome | None:
        row = self.row
        row.said_at, row.sent_at = max(row.said_at, said.said_at), max(row.sent_at, 0)
        row.said = row.waiting = ""
        if row.order_no is not None:
            lines = self._lines()
            self._reach(lines, {ref: line.gone for ref, line in lines.items()}, cancelled=True)
        return None

    # --- placing ----------------------------------------------------------------------------------------------------

    def _place(self, said: OrderSaid) -> None:
        """Take the order in: whole, or not at all."""
        lines = [line for line in said.lines if line.ships and line.wanted > line.fulfilled]
        ordered = self._ordered(said, lines)
        if not _says_where(said):
            self.problems.append(
                ("no_destination", "destination", "it says neither where it goes nor where it is collected")
            )
        destination = self._destination(said)
        if destination is None or len(ordered) < len(lines):
            return
        placed = self._placed(said, ordered, destination)
        done = self.tx.attempt(
            lambda: capture_in(self.tx, [placed], self.at, by=self.connection.id, lookout=self.lookout)
        )
        if isinstance(done, Refusal):
            self._refused(done, lines)
            return
        answer = done[0].placed
        if answer.outcome not in ("new", "seen"):
            code = answer.code or "order_conflict"
            self._refused(Refusal(answer.place, answer.problem, code), lines)
            return
        self.row.order_no = answer.no
        self.row.destination = _spelt(destination)
        self.changed = True
        self._write_lines([
            _Line(line.ref, number, line.wanted - line.fulfilled, elsewhere=line.fulfilled)
            for number, line in enumerate(lines, start=1)
        ])  # fmt: skip

    def _placed(
        self, said: OrderSaid, lines: Sequence[OrderedLine], destination: tuple[Place | None, tuple[str, ...]]
    ) -> OrderPlaced:
        arranged = self.connection.arrangement
        terms = arranged.terms(said.service)
        placed_at = min(said.placed_at, self.at)
        promise_day = said.promise_day
        if promise_day is None and terms.promise_days is not None:
            promise_day = placed_at // MS_PER_DAY + terms.promise_days
        return OrderPlaced(
            at=placed_at, channel=self.connection.channel, external_id=said.order, lines=tuple(lines),
            place=destination[0], pickup=destination[1], recipient=self._recipient(), priority=terms.priority,
            promise_day=promise_day, late_cents=terms.late_cents, max_parcels=arranged.max_parcels,
            ship_complete=arranged.ship_complete,
        )  # fmt: skip

    def _ordered(self, said: OrderSaid, lines: Sequence[LineSaid]) -> list[OrderedLine]:
        """Lines as we have them: fewer where any of them cannot be told."""
        skus = skus_of(self.tx, self.connection.id, [line.sku for line in lines if line.sku])
        found = []
        for line in lines:
            sku = self._sku(line, skus)
            cents = self._cents(said, line)
            if sku is not None and cents is not False:
                found.append(OrderedLine(sku=sku, qty=line.wanted - line.fulfilled, price_cents=cents))
        return found

    def _sku(self, line: LineSaid, skus: Mapping[str, str]) -> str | None:
        place = f"lines[{line.ref}].sku"
        if line.sku is None:
            self.problems.append(("no_sku", place, "the line has no SKU: give it one there"))
            return None
        if line.sku not in skus:
            told = f"{line.sku!r} is no SKU here: add it, or say which it is among the items of the connection"
            self.problems.append(("unknown_sku", place, told))
            return None
        return skus[line.sku]

    def _cents(self, said: OrderSaid, line: LineSaid) -> int | Literal[False] | None:
        """What one unit cost, if that is said; `False` where it cannot be told."""
        if not line.paid:
            return None
        ours = currency_of(self.tx)
        if said.currency != ours:
            self.problems.append(("other_currency", "currency", f"{said.currency!r}, but all money here is {ours}"))
            return False
        try:
            return minor(line.paid, ours, line.ordered)
        except ValueError:
            self.problems.append(("bad_money", f"lines[{line.ref}].price", "is no amount of money"))
            return False

    def _destination(self, said: OrderSaid) -> tuple[Place | None, tuple[str, ...]] | None:
        """Where it goes, or is collected; `None` where that is not said, or not known."""
        for name in said.collect:
            if name in self.connection.arrangement.pickup:
                return None, (self.connection.arrangement.pickup[name],)
        if said.collect:
            told = (
                f"customers collect at {said.collect[0]!r}: say which node that is in the arrangement of the connection"
            )
            self.problems.append(("unknown_pickup", "destination", told))
            return None
        place = find_area(self.tx, said.country, said.area) if said.country else None
        if said.lat is not None and said.lon is not None:
            return Place(lat=said.lat, lon=said.lon, region=place.region if place else said.country), ()
        if place is None and said.country:
            told = f"nobody knows where postal area {said.area!r} of {said.country!r} is: put it among the postal areas"
            self.problems.append(("unknown_place", "destination", told))
        return None if place is None else (place, ())

    def _refused(self, refusal: Refusal, lines: Sequence[LineSaid]) -> None:
        """A refusal of ours, at the line as the connection calls it."""
        place = _LINE.sub(lambda found: f"lines[{lines[int(found[2])].ref}]", refusal.place)
        self.problems.append((refusal.code, place or "order", refusal.problem))

    # --- changing ---------------------------------------------------------------------------------------------------

    def _change(self, said: OrderSaid) -> None:
        lines = self._lines()
        if said.waits and not said.cancelled:  # what it wants besides is not known; what was given up before still is
            self._reach(lines, {ref: line.asked for ref, line in lines.items()})
            return
        told = {line.ref: line for line in said.lines}
        wanted: dict[str, int] = {}
        for ref, line in lines.items():
            now = told.get(ref)
            if now is not None:
                # what is at its node leaves from there: what has left beyond that somebody else has sent
                line.elsewhere = max(line.elsewhere, now.fulfilled - line.gone - line.released)
            wanted[ref] = 0 if now is None else max(0, now.wanted - line.elsewhere)
            if said.left_is_fine:
                wanted[ref] = max(wanted[ref], line.gone)
        self._reach(lines, wanted, cancelled=said.cancelled)
        if not said.cancelled:
            self._add(said, [l for l in said.lines if l.ref not in lines and l.ships and l.wanted > l.fulfilled])
            self._redirect(said)

    def _reach(self, lines: Mapping[str, _Line], wanted: Mapping[str, int], *, cancelled: bool = False) -> None:
        """Cancel and add units of known lines, by how many more or fewer are wanted than before.

        What somebody here has cancelled or added meanwhile is not done a second time.
        """
        fewer: dict[int, int] = {}
        more: list[tuple[_Line, int]] = []
        for ref, units in wanted.items():
            line = lines[ref]
            before = line.asked + line.undone
            if units > before and line.live < units:
                more.append((line, min(units - before, units - line.live)))
                continue
            beyond = max(0, min(before, line.live) - units)
            given_up = min(beyond, line.unreleased)
            if given_up:
                fewer[line.number] = given_up
                line.unreleased -= given_up
            line.asked, line.undone = units, beyond - given_up
        self._cancel(fewer, whole=cancelled and not any(line.asked for line in lines.values()))
        for line, units in more:
            quantity = LineQuantity(line=line.number, qty=line.unreleased + units)
            refusal = self._edit(f"more of {line.ref}", lines=(quantity,))
            line.asked, line.undone = line.asked + line.undone, 0
            if refusal is None:
                line.asked += units
            else:
                self.problems.append((refusal.code, f"lines[{line.ref}].quantity", refusal.problem))
        for line in lines.values():
            if line.undone:
                told = f"{line.undone} units are not wanted any more, but released already or under way"
                self.problems.append((ALREADY_RELEASED, f"lines[{line.ref}].quantity", told))
        self._write_lines(lines.values())

    def _cancel(self, fewer: Mapping[int, int], *, whole: bool) -> None:
        order = self._locked()
        left = sum(line.unreleased for line in order.lines)
        if not fewer and not (whole and left):
            return
        units = () if whole else tuple(LineUnits(line=number, units=count) for number, count in sorted(fewer.items()))
        reason = "cancelled by the channel" if whole else "fewer are wanted, by the channel"
        fact = OrderCancelled(id=self._fact("cancelled"), at=self.at, order=order.id, lines=units, reason=reason)
        new = orders.cancel(self.tx, fact, self.connection.id)
        assert new, "each thing that is done has a fact of its own"
        self.changed = True

    def _add(self, said: OrderSaid, lines: Sequence[LineSaid]) -> None:
        """Add lines that are new, each for itself."""
        for line in lines:
            ordered = self._ordered(said, [line])
            if not ordered:
                continue
            refusal = self._edit(f"added {line.ref}", added=tuple(ordered))
            if refusal is not None:
                self._refused(Refusal(refusal.place or "added[0]", refusal.problem, refusal.code), [line])
                continue
            number = self.tx.value("SELECT MAX(number) FROM order_line WHERE order_no = :no", no=self.row.order_no)
            self._write_lines([_Line(line.ref, number, line.wanted - line.fulfilled, elsewhere=line.fulfilled)])

    def _redirect(self, said: OrderSaid) -> None:
        """Send it to where it is to go now, if any of it can still be sent there."""
        if not _says_where(said):
            return  # and nothing is known of another place
        destination = self._destination(said)
        if destination is None or _spelt(destination) == self.row.destination:
            return
        place, pickup = destination
        under_way = self.tx.value("SELECT open + allocated + released FROM orders WHERE no = :no", no=self.row.order_no)
        if not under_way:
            return
        refusal = self._edit("redirected", place=place, pickup=pickup)
        if refusal is None:
            self.row.destination = _spelt(destination)
        else:
            self.problems.append((refusal.code, "destination", refusal.problem))

    def _edit(self, what: str, **changes: Any) -> Refusal | None:
        """Edit the order, or say why that is refused."""
        fact = OrderEdited(id=self._fact(what), at=self.at, order=self._locked().id, **changes)
        new = self.tx.attempt(lambda: orders.edit(self.tx, fact, self.connection.id, revive=True))
        if isinstance(new, Refusal):
            return new
        assert new, "each thing that is done has a fact of its own"
        self.changed = True
        return None

    # --- rows -------------------------------------------------------------------------------------------------------

    def _fact(self, what: str) -> str:
        """The id of a fact that comes of this: the same however often this is begun."""
        self.facts += 1
        return short_id("chn", self.connection.id, self.row.external_id, str(self.row.applied), str(self.facts), what)

    def _locked(self) -> orders.Locked:
        found = self.tx.value("SELECT id FROM orders WHERE no = :no", no=self.row.order_no)
        return lock_order(self.tx, found)

    def _lines(self) -> dict[str, _Line]:
        """Lines as they are now, by what the connection calls them; the order is locked."""
        self._locked()
        found = self.tx.all(
            "SELECT l.ref, l.number, l.asked, l.undone, l.elsewhere, i.open + i.allocated, i.released, "
            "i.shipped + i.delivered + i.returned FROM channel_line l "
            "JOIN order_line i ON i.order_no = l.order_no AND i.number = l.number "
            "WHERE l.order_no = :no ORDER BY l.number",
            no=self.row.order_no,
        )
        return {row[0]: _Line(*row) for row in found}

    def _write_lines(self, lines: Iterable[_Line]) -> None:
        kept = list(lines)
        if not kept:
            return
        columns = ("ref", "number", "asked", "undone", "elsewhere")
        self.tx.run(
            f"INSERT INTO channel_line (order_no, {', '.join(columns)}) SELECT :no, {', '.join(columns)} FROM {{rows}} "
            "WHERE true ON CONFLICT (order_no, ref) DO UPDATE "
            "SET asked = excluded.asked, undone = excluded.undone, elsewhere = excluded.elsewhere",
            Rows(**{name: [getattr(line, name) for line in kept] for name in columns}),
            no=self.row.order_no,
        )

    def _remember(self, whom: Whom) -> None:
        """Write down who receives it, unless they were forgotten."""
        id = recipient_id(self.connection, self.row.external_id)
        if self.tx.first("SELECT 1 FROM recipient WHERE id = :id AND erased", id=id) is None:
            remember(self.tx, [Person(id, whom.name, whom.address, whom.contact, whom.locale)], self.at)

    def _recipient(self) -> str | None:
        """Who receives it; somebody of whom nothing is known yet where it was not said."""
        id = recipient_id(self.connection, self.row.external_id)
        found = self.tx.first("SELECT erased FROM recipient WHERE id = :id", id=id)
        if found is None:
            remember(self.tx, [Person(id)], self.at)
        return None if found is not None and found[0] else id


def _to_send(said: OrderSaid) -> bool:
    """Whether there is anything for us to do of an order that we do not have."""
    return not said.waits and any(line.ships and line.wanted > line.fulfilled for line in said.lines)


def _says_where(said: OrderSaid) -> bool:
    return bool(said.collect or said.country or (said.lat is not None and said.lon is not None))


def _waiting(row: _Row) -> list[ChangeSaid]:
    return msgspec.json.decode(row.waiting, type=list[ChangeSaid]) if row.waiting else []


def _with_change(row: _Row, said: ChangeSaid) -> str:
    """What waits of an order, with one change more."""
    return msgspec.json.encode([*_waiting(row), said][-MOST_WAITING:]).decode()


def _changed(said: OrderSaid, change: ChangeSaid) -> OrderSaid:
    """A state as it is after a change."""
    units: dict[str, int] = {}
    for one in change.changes:
        units[one.ref] = units.get(one.ref, 0) + one.units
    lines = tuple(
        msgspec.structs.replace(line, wanted=max(0, line.wanted + units.get(line.ref, 0))) for line in said.lines
    )
    return msgspec.structs.replace(said, lines=lines, said_at=change.said_at, sent_at=0)


def _spelt(destination: tuple[Place | None, tuple[str, ...]]) -> str:
    return msgspec.json.encode(destination).decode()


def currency_of(tx: Tx) -> str:
    """The one currency of all money here."""
    return reads.currency(tx) or CURRENCY
