"""Webhooks: where other systems want to be told, and how far each delivery is.

A delivery is tried eight times within 28 hours, then it is dead. Of one order (or SKU) a webhook gets one event after the
other: the next is sent when the one before is delivered or dead. Any number of processes deliver: each leases rows, sends, and
settles them. Who dies meanwhile loses the lease by the clock, and another one sends again: at least once. Of a lease that was
lost nothing is settled. Webhooks are locked by id, then deliveries by webhook and event.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from engine.calendar import MS_PER_DAY
from engine.database import Rows, Tx, decoded
from engine.events import CONSUMER, EVENTS, TEST, listen, lock_deliveries, try_out
from engine.facts import WebhookChanged, short_id
from engine.ledger import write_facts
from engine.reads import LAST
from solver.refusal import Refusal

SCHEDULE = (0, 5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000)
"""Milliseconds from one try to the next; when all are over, the delivery is dead."""
LEASE = 60_000
"""Milliseconds for which a delivery is its worker's; longer than any try."""
FAILING = 5 * MS_PER_DAY
"""Milliseconds without one success after which a webhook is disabled."""
TRIPS = 10
"""Failures in a row after which a webhook rests; then one delivery is tried at a time until one succeeds."""
REST = 30_000
"""Milliseconds of rest."""
AT_ONCE = 32
"""Deliveries to one webhook that a process has under way, at most: who answers slowly holds up nobody else."""
GONE = 410
MOST = 100
"""Webhooks, at most."""
MOST_SECRETS = 5
"""Secrets that sign at the same time, at most."""
Disabled = Literal["by_hand", "failing", "gone"]
State = Literal["waiting", "delivered", "dead"]
_SHOWN = "id, url, types, description, disabled, failing_since, failures, rests_until, created_at, version"
_FREE = "d.state = 'waiting' AND d.next_at <= :at AND (d.leased_until IS NULL OR d.leased_until <= :at)"
_NEXT = (
    "NOT EXISTS (SELECT 1 FROM delivery f WHERE f.webhook = d.webhook AND f.subject = d.subject "
    "AND f.state = 'waiting' AND f.event_no < d.event_no)"
)


class WebhookSeen(msgspec.Struct, kw_only=True):
    """Where another system is told of events: of these types, or of all. `disabled` says why it is not."""

    id: str
    url: str
    types: list[str]
    description: str
    disabled: str
    failing_since_at: int | None
    failures: int
    created_at: int
    version: int


class EventSeen(msgspec.Struct, kw_only=True):
    """An event: what others are told of it is made from this."""

    id: str
    type: str
    subject: str
    sequence: int
    at: int
    made_at: int
    data: dict[str, Any]


class AttemptSeen(msgspec.Struct, kw_only=True):
    """One try: what was answered, or why nothing was."""

    at: int
    ms: int
    code: int | None
    error: str


class DeliverySeen(msgspec.Struct, kw_only=True):
    """An event on its way to a webhook. `code`, `error` and `ms` are of the last try."""

    event: str
    type: str
    subject: str
    sequence: int
    state: str
    tries: int
    replays: int
    next_at: int | None
    ended_at: int | None
    code: int | None
    error: str
    ms: int | None


class DeliveryWhole(DeliverySeen, kw_only=True):
    """A delivery with every try."""

    attempts: list[AttemptSeen] = []


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is its worker's to send, with the sealed secrets that sign it."""

    webhook: str
    event_no: int
    leased_until: int
    url: str
    event: EventSeen
    sealed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a try: the status that was answered, or why there was none. `leased_until` says of which lease."""

    webhook: str
    event_no: int
    leased_until: int
    at: int
    ms: int
    code: int | None
    error: str = ""

    @property
    def delivered(self) -> bool:
        return self.code is not None and 200 <= self.code < 300


# --- who is told ------------------------------------------------------------------------------------------------------


def create(
    tx: Tx, at: int, id: str, url: str, types: Sequence[str], description: str, sealed: str, by: str = ""
) -> WebhookSeen:
    """Make a webhook, with its first secret; it hears of what happens from now on.

    Raises
    ------
    Refusal
        `too_many_webhooks`.
    """
    if tx.value("SELECT COUNT(*) FROM webhook") >= MOST:
        raise Refusal("url", f"there are {MOST} webhooks, as many as may be", "too_many_webhooks")
    listen(tx)
    tx.run(
        f"INSERT INTO webhook (id, url, types, description, created_at) VALUES (:id, :url, {tx.json(':types')}, :description, :at)",
        id=id, url=url, types=_types(types), description=description, at=at,
    )  # fmt: skip
    _add_secret(tx, at, id, sealed)
    return _changed(tx, at, id, "created", by)


def change(tx: Tx, at: int, id: str, url: str, types: Sequence[str], description: str, by: str = "") -> WebhookSeen:
    """Send to another address from now on, or events of other types. Raises `unknown_webhook`."""
    get(tx, id, lock=True)
    tx.run(
        f"UPDATE webhook SET url = :url, types = {tx.json(':types')}, description = :description, version = version + 1 "
        "WHERE id = :id",
        id=id, url=url, types=_types(types), description=description,
    )  # fmt: skip
    return _changed(tx, at, id, "changed", by)


def delete(tx: Tx, at: int, id: str, by: str = "") -> WebhookSeen:
    """Forget a webhook, with its secrets and its deliveries. Raises `unknown_webhook`."""
    found = get(tx, id, lock=True)
    lock_deliveries(tx, "d.webhook = :id", id=id)
    for table in ("attempt", "delivery", "webhook_secret"):
        tx.run(f"DELETE FROM {table} WHERE webhook = :id", id=id)
    tx.run("DELETE FROM webhook WHERE id = :id", id=id)
    _note(tx, at, id, "deleted", 0, by)
    return found


def add_secret(tx: Tx, at: int, id: str, sealed: str, overlap: int, by: str = "") -> WebhookSeen:
    """Sign with a new secret; those before it sign as well for so many milliseconds more.

    Raises
    ------
    Refusal
        `unknown_webhook`, or `too_many_secrets`.
    """
    get(tx, id, lock=True)
    tx.run("DELETE FROM webhook_secret WHERE webhook = :id AND until <= :at", id=id, at=at)
    tx.run(
        "UPDATE webhook_secret SET until = :until WHERE webhook = :id AND (until IS NULL OR until > :until)",
        id=id, until=at + overlap,
    )  # fmt: skip
    live = tx.value("SELECT COUNT(*) FROM webhook_secret WHERE webhook = :id AND until > :at", id=id, at=at)
    if live >= MOST_SECRETS:
        raise Refusal("webhook", f"{MOST_SECRETS} secrets sign already; wait until one ends", "too_many_secrets")
    _add_secret(tx, at, id, sealed)
    tx.run("UPDATE webhook SET version = version + 1 WHERE id = :id", id=id)
    return _changed(tx, at, id, "secret_made", by)


def disable(tx: Tx, at: int, id: str, why: Disabled = "by_hand", by: str = "") -> WebhookSeen:
    """Send nothing more, and queue nothing; what waits is dead. Raises `unknown_webhook`."""
    if get(tx, id, lock=True).disabled:
        return get(tx, id)
    tx.run("UPDATE webhook SET disabled = :why, version = version + 1 WHERE id = :id", id=id, why=why)
    lock_deliveries(tx, "d.webhook = :id AND d.state = 'waiting'", id=id)
    tx.run(
        "UPDATE delivery SET state = 'dead', ended_at = :at, leased_by = NULL, leased_until = NULL "
        "WHERE webhook = :id AND state = 'waiting'",
        id=id, at=at,
    )  # fmt: skip
    return _changed(tx, at, id, "disabled", by)


def enable(tx: Tx, at: int, id: str, since: int | None = None, by: str = "") -> WebhookSeen:
    """Send again; with `since`, first what was missed of the events made from then on. Raises `unknown_webhook`."""
    # no event is made meanwhile, so that what was missed comes before what is new
    tx.first("SELECT 1 FROM consumer WHERE name = :name" + tx.locking, name=CONSUMER)
    if not get(tx, id, lock=True).disabled:
        return get(tx, id)
    tx.run(
        "UPDATE webhook SET disabled = '', failing_since = NULL, failures = 0, rests_until = 0, version = version + 1 "
        "WHERE id = :id",
        id=id,
    )
    if since is not None:
        _tell_again(tx, at, id, since, LAST, delivered=False)
    return _changed(tx, at, id, "enabled", by)


def send_test(tx: Tx, at: int, id: str, by: str = "") -> str:
    """Send an event that says nothing, to see whether it arrives; returns its id.

    Raises
    ------
    Refusal
        `unknown_webhook`, or `webhook_disabled`.
    """
    _enabled(tx, id)
    made = try_out(tx, at, id)
    _note(tx, at, id, "tested", 0, by)
    return made


def replay(
    tx: Tx, at: int, id: str, since: int, until: int | None = None, *, delivered: bool = False, by: str = ""
) -> int:
    """Send events made in a time again: those that did not arrive, or all; returns how many.

    They go out in their order. What came later may have been delivered before: the events' numbers say so.

    Raises
    ------
    Refusal
        `unknown_webhook`, or `webhook_disabled`.
    """
    _enabled(tx, id)
    count = _tell_again(tx, at, id, since, LAST if until is None else until, delivered=delivered)
    _note(tx, at, id, "replayed", count, by)
    return count


def replay_one(tx: Tx, at: int, id: str, event: str, by: str = "") -> None:
    """Send one event again that was delivered, or is dead.

    Raises
    ------
    Refusal
        `unknown_webhook`, `unknown_event`, `webhook_disabled`, or `delivery_waits` where it is under way.
    """
    _enabled(tx, id)
    if delivery(tx, id, event).state == "waiting":
        raise Refusal("event", "it is under way already", "delivery_waits")
    _again(tx, at, id, "e.id = :event", event=event)
    _note(tx, at, id, "replayed", 1, by)


def _tell_again(tx: Tx, at: int, id: str, since: int, until: int, *, delivered: bool) -> int:
    wanted = _wanted(get(tx, id).types)
    made = f"e.made_at >= :since AND e.made_at < :until AND e.type IN ({wanted})"
    states = "d.state <> 'waiting'" if delivered else "d.state = 'dead'"
    again = _again(tx, at, id, f"{made} AND {states}", since=since, until=until)
    return again + tx.run(
        "INSERT INTO delivery (webhook, event_no, subject, next_at, replays) SELECT w.id, e.no, e.subject, :at, 1 "
        f"FROM event e JOIN webhook w ON w.id = :id WHERE {made} AND NOT EXISTS "
        "(SELECT 1 FROM delivery d WHERE d.webhook = w.id AND d.event_no = e.no)",
        id=id, at=at, since=since, until=until,
    )  # fmt: skip


def _again(tx: Tx, at: int, id: str, which: str, **values: Any) -> int:
    these = f"SELECT e.no FROM event e JOIN delivery d ON d.event_no = e.no AND d.webhook = :id WHERE {which}"
    lock_deliveries(tx, f"d.webhook = :id AND d.event_no IN ({these})", id=id, **values)
    return tx.run(
        "UPDATE delivery SET state = 'waiting', tries = 0, replays = replays + 1, next_at = :at, ended_at = NULL "
        f"WHERE webhook = :id AND event_no IN ({these})",
        id=id, at=at, **values,
    )  # fmt: skip


def _wanted(types: Iterable[str]) -> str:
    """Types of events for a statement: words of ours, none that somebody brought."""
    return ", ".join(f"'{type}'" for type in EVENTS if type != TEST and (not types or type in types))


def _enabled(tx: Tx, id: str) -> None:
    if why := get(tx, id, lock=True).disabled:
        raise Refusal("webhook", f"it is disabled ({why}); enable it first", "webhook_disabled")


def _add_secret(tx: Tx, at: int, id: str, sealed: str) -> None:
    tx.run(
        "INSERT INTO webhook_secret (webhook, sealed, created_at) VALUES (:id, :sealed, :at)",
        id=id,
        sealed=sealed,
        at=at,
    )


def _changed(tx: Tx, at: int, id: str, what: Any, by: str) -> WebhookSeen:
    found = get(tx, id)
    _note(tx, at, id, what, found.version, by)
    return found


def _note(tx: Tx, at: int, id: str, what: Any, number: int, by: str) -> None:
    write_facts(
        tx, [WebhookChanged(id=short_id("whk", id, what, str(at), str(number)), at=at, webhook=id, change=what)], by
    )


def _types(types: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(set(types))).decode()


# --- what people look at ----------------------------------------------------------------------------------------------


def get(tx: Tx, id: str, *, lock: bool = False) -> WebhookSeen:
    """A webhook. Raises `unknown_webhook`."""
    found = tx.first(f"SELECT {_SHOWN} FROM webhook WHERE id = :id" + (tx.locking if lock else ""), id=id)
    if found is None:
        raise Refusal("webhook", f"there is no webhook {id!r}", "unknown_webhook")
    return _seen(found)


def listed(tx: Tx) -> list[WebhookSeen]:
    """Every webhook, the oldest first."""
    return [_seen(row) for row in tx.all(f"SELECT {_SHOWN} FROM webhook ORDER BY created_at, id")]


def _seen(row: tuple[Any, ...]) -> WebhookSeen:
    id, url, types, description, disabled, failing_since, failures, _, created_at, version = row
    return WebhookSeen(
        id=id, url=url, types=decoded(types), description=description, disabled=disabled,
        failing_since_at=failing_since, failures=failures, created_at=created_at, version=version,
    )  # fmt: skip


def events(tx: Tx, before: int | None, limit: int, type: str = "", subject: str = "") -> list[tuple[int, EventSeen]]:
    """Events with their numbers, the newest first, those before one."""
    found = tx.all(
        "SELECT no, id, type, subject, sequence, at, made_at, data FROM event WHERE no < :before "
        "AND (type = :type OR :type = '') AND (subject = :subject OR :subject = '') ORDER BY no DESC LIMIT :limit",
        before=LAST if before is None else before, type=type, subject=subject, limit=limit,
    )  # fmt: skip
    return [(no, _event(rest)) for no, *rest in found]


def _event(row: Sequence[Any]) -> EventSeen:
    id, type, subject, sequence, at, made_at, data = row
    return EventSeen(id=id, type=type, subject=subject, sequence=sequence, at=at, made_at=made_at, data=decoded(data))


_DELIVERY = (
    "SELECT d.event_no, e.id, e.type, e.subject, e.sequence, d.state, d.tries, d.replays, d.next_at, d.ended_at, "
    "a.code, a.error, a.ms FROM delivery d JOIN event e ON e.no = d.event_no LEFT JOIN attempt a ON a.no = "
    "(SELECT MAX(b.no) FROM attempt b WHERE b.webhook = d.webhook AND b.event_no = d.event_no) WHERE d.webhook = :id "
)


def deliveries(
    tx: Tx, id: str, before: int | None, limit: int, state: str = "", type: str = ""
) -> list[tuple[int, DeliverySeen]]:
    """Deliveries to a webhook with the numbers of their events, the newest first. Raises `unknown_webhook`."""
    get(tx, id)
    found = tx.all(
        f"{_DELIVERY} AND d.event_no < :before AND (d.state = :state OR :state = '') "
        "AND (e.type = :type OR :type = '') ORDER BY d.event_no DESC LIMIT :limit",
        id=id, before=LAST if before is None else before, state=state, type=type, limit=limit,
    )  # fmt: skip
    return [(row[0], DeliverySeen(**_delivery(row))) for row in found]


def delivery(tx: Tx, id: str, event: str) -> DeliveryWhole:
    """A delivery with every try. Raises `unknown_webhook`, or `unknown_event`."""
    get(tx, id)
    found = tx.first(f"{_DELIVERY} AND e.id = :event", id=id, event=event)
    if found is None:
        raise Refusal("event", f"no event {event!r} was made for this webhook", "unknown_event")
    tries = tx.all(
        "SELECT at, ms, code, error FROM attempt WHERE webhook = :id AND event_no = :no ORDER BY no", id=id, no=found[0]
    )
    attempts = [AttemptSeen(at=at, ms=ms, code=code, error=error) for at, ms, code, error in tries]
    return DeliveryWhole(**_delivery(found), attempts=attempts)


def _delivery(row: Sequence[Any]) -> dict[str, Any]:
    _, event, type, subject, sequence, state, tries, replays, next_at, ended_at, code, error, ms = row
    return {
        "event": event, "type": type, "subject": subject, "sequence": sequence, "state": state, "tries": tries,
        "replays": replays, "next_at": next_at if state == "waiting" else None, "ended_at": ended_at, "code": code,
        "error": error or "", "ms": ms,
    }  # fmt: skip


# --- deliveries -------------------------------------------------------------------------------------------------------


def is_due(tx: Tx, at: int) -> bool:
    """Whether anything can be claimed: a look that writes nothing."""
    found = tx.first(
        "SELECT 1 FROM webhook w JOIN delivery d ON d.webhook = w.id WHERE w.disabled = '' AND w.rests_until <= :at "
        f"AND {_FREE} AND {_NEXT} LIMIT 1",
        at=at,
    )
    return found is not None


def claim(tx: Tx, at: int, worker: str, busy: Mapping[str, int], most: int) -> list[Due]:
    """Take deliveries that are due, a few of each webhook, for as long as the lease is.

    Parameters
    ----------
    busy
        How many deliveries the worker has under way, by webhook.
    most
        How many may be taken, at most.
    """
    skip = " FOR NO KEY UPDATE OF d SKIP LOCKED" if tx.dialect == "postgresql" else ""
    alone = " FOR NO KEY UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    taken: list[Due] = []
    ready = "SELECT id, url, failures FROM webhook WHERE disabled = '' AND rests_until <= :at"
    for webhook, url, failures in tx.all(f"{ready} ORDER BY rests_until, id", at=at):
        probing = failures >= TRIPS
        if probing and tx.first(f"{ready} AND id = :id{alone}", at=at, id=webhook) is None:
            continue  # somebody else tries
        room = min(most - len(taken), (1 if probing else AT_ONCE) - busy.get(webhook, 0))
        if room <= 0:
            continue
        found = tx.all(
            "UPDATE delivery SET leased_by = :worker, leased_until = :until WHERE webhook = :id AND event_no IN "
            f"(SELECT d.event_no FROM delivery d WHERE d.webhook = :id AND {_FREE} AND {_NEXT} "
            f"ORDER BY d.next_at, d.event_no LIMIT :room{skip}) RETURNING event_no",
            worker=worker, until=at + LEASE, id=webhook, at=at, room=room,
        )  # fmt: skip
        if found and probing:  # nobody else tries until this one has ended
            tx.run("UPDATE webhook SET rests_until = :until WHERE id = :id", id=webhook, until=at + LEASE)
        taken += _due(tx, at, webhook, url, sorted(no for (no,) in found))
    return taken


def _due(tx: Tx, at: int, webhook: str, url: str, numbers: Sequence[int]) -> list[Due]:
    if not numbers:
        return []
    sealed = tx.all(
        "SELECT sealed FROM webhook_secret WHERE webhook = :id AND (until IS NULL OR until > :at) ORDER BY no DESC",
        id=webhook, at=at,
    )  # fmt: skip
    secrets = tuple(one for (one,) in sealed)
    found = tx.all(
        "SELECT e.no, e.id, e.type, e.subject, e.sequence, e.at, e.made_at, e.data FROM {rows} "
        "JOIN event e ON e.no = rows.no ORDER BY e.no",
        Rows(no=numbers),
    )
    return [Due(webhook, no, at + LEASE, url, _event(rest), secrets) for no, *rest in found]


def settle(tx: Tx, at: int, worker: str, results: Iterable[Result]) -> int:
    """Note what came of tries; returns how many of them were still the worker's."""
    results, known = sorted(results, key=lambda one: (one.webhook, one.event_no)), 0
    failing = _lock_failing(tx, results) if results else set()
    for one in results:
        found = tx.first(
            "SELECT tries FROM delivery WHERE webhook = :id AND event_no = :no AND state = 'waiting' "
            "AND leased_by = :worker AND leased_until = :until" + tx.locking,
            id=one.webhook, no=one.event_no, worker=worker, until=one.leased_until,
        )  # fmt: skip
        if found is None:  # it was given up meanwhile, or its lease was lost, to another worker or to a later try
            continue
        known += 1
        tx.run(
            "INSERT INTO attempt (webhook, event_no, at, ms, code, error) VALUES (:id, :no, :at, :ms, :code, :error)",
            id=one.webhook, no=one.event_no, at=one.at, ms=one.ms, code=one.code, error=one.error,
        )  # fmt: skip
        _settle(tx, at, one, found[0] + 1)
        if not one.delivered:
            _fail(tx, at, one)
            failing.add(one.webhook)
        elif one.webhook in failing:
            tx.run(
                "UPDATE webhook SET failing_since = NULL, failures = 0, rests_until = 0 WHERE id = :id", id=one.webhook
            )
    return known


def _lock_failing(tx: Tx, results: Sequence[Result]) -> set[str]:
    """Lock the webhooks of some results, and say which of them have failed."""
    ids = sorted({one.webhook for one in results})
    found = tx.all(
        "SELECT w.id, w.failures FROM {rows} JOIN webhook w ON w.id = rows.id ORDER BY w.id"
        + (" FOR NO KEY UPDATE OF w" if tx.locking else ""),
        Rows(id=ids),
    )
    return {id for id, failures in found if failures}


def _settle(tx: Tx, at: int, one: Result, tries: int) -> None:
    state = "delivered" if one.delivered else "waiting" if tries < len(SCHEDULE) else "dead"
    tx.run(
        "UPDATE delivery SET state = :state, tries = :tries, next_at = :next, ended_at = :ended, leased_by = NULL, "
        "leased_until = NULL WHERE webhook = :id AND event_no = :no",
        id=one.webhook, no=one.event_no, state=state, tries=tries, ended=None if state == "waiting" else at,
        next=at + SCHEDULE[tries] if state == "waiting" else at,
    )  # fmt: skip


def _fail(tx: Tx, at: int, one: Result) -> None:
    """Count a failure: let the webhook rest after some, disable it after days of nothing else, or where it is gone."""
    failures, since = tx.all(
        "UPDATE webhook SET failures = failures + 1, failing_since = COALESCE(failing_since, :at) WHERE id = :id "
        "RETURNING failures, failing_since",
        id=one.webhook, at=at,
    )[0]  # fmt: skip
    if one.code == GONE:
        disable(tx, at, one.webhook, "gone")
    elif at - since >= FAILING:
        disable(tx, at, one.webhook, "failing")
    elif failures >= TRIPS:
        tx.run("UPDATE webhook SET rests_until = :until WHERE id = :id", id=one.webhook, until=at + REST)


def give_back(tx: Tx, worker: str) -> int:
    """Let others have what a worker has not sent; returns how many there were."""
    lock_deliveries(tx, "d.state = 'waiting' AND d.leased_by = :worker", worker=worker)
    return tx.run(
        "UPDATE delivery SET leased_by = NULL, leased_until = NULL WHERE state = 'waiting' AND leased_by = :worker",
        worker=worker,
    )
