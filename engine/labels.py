"""Labels: what carriers were asked to take. A label is a row first, then its carrier is called, then the row says how it went.

No carrier is called in a transaction. Whoever calls has the row for `LEASE`; who dies meanwhile is followed by another, who asks
for the same label by the same id. A label that nobody wants any more stays until its carrier knows.
"""

from dataclasses import dataclass
from typing import Any

from engine.asking import wait_after
from engine.claims import lock_orders
from engine.consignments import AT_NODE, read
from engine.database import Tx
from engine.facts import LabelCancelled, LabelMade, short_id
from engine.ledger import write_facts
from solver.refusal import Refusal

LEASE = 60_000
"""Milliseconds for which a call to a carrier may take."""
MOST_TRIES = 10
"""Calls without an answer after which a label is not wanted any more: another can be asked for."""
LIVE = ("wanted", "made")
_SHOWN = "l.no, l.id, k.id, l.carrier, l.service, l.state, l.grams, l.tries, l.tracking, l.cents, l.wanted_at, l.made_at, l.why"
_FROM = "FROM label l JOIN consignment k ON k.no = l.consignment_no"


@dataclass(frozen=True, slots=True)
class Label:
    """A label as it is. `no` is a number of its own, for carriers that number their parcels by it."""

    no: int
    id: str
    consignment: str
    carrier: str
    service: str
    state: str
    grams: int
    tries: int
    tracking: str | None
    cents: int | None
    wanted_at: int
    made_at: int | None
    why: str


def want(tx: Tx, at: int, id: str, consignment: str, carrier: str, service: str, grams: int) -> tuple[Label, bool]:
    """Write down that a label is wanted, and take it to call its carrier. The same id again is the same label.

    Returns
    -------
    tuple
        The label, and whether it is taken by this: else somebody calls its carrier already, or the clock will.

    Raises
    ------
    Refusal
        `unknown_consignment`, `wrong_state`, `needs_no_label`, `recipient_erased`, or `label_exists`.
    """
    there = _find(tx, id)
    if there is not None:
        return there, False
    found = tx.first("SELECT no, order_no FROM consignment WHERE id = :id", id=consignment)
    if found is None:
        raise Refusal("consignment", f"there is no consignment {consignment!r}", "unknown_consignment")
    lock_orders(tx, [found[1]])
    one = read(tx, found[0])
    if one.state not in AT_NODE:
        raise Refusal("consignment", f"it is {one.state}, not {' or '.join(AT_NODE)}", "wrong_state")
    if one.collect_no == one.node_no:
        raise Refusal("consignment", "it is collected where it is packed", "needs_no_label")
    if one.collect_no is None and tx.first(
        "SELECT 1 FROM orders o JOIN recipient r ON r.id = o.recipient WHERE o.no = :no AND r.erased", no=found[1]
    ):
        told = "whom it goes to was erased, so that no address is kept; reject and cancel what is left"
        raise Refusal("consignment", told, "recipient_erased")
    other = tx.first("SELECT id FROM label WHERE consignment_no = :no AND state IN ('wanted', 'made')", no=one.no)
    if other is not None:
        raise Refusal("consignment", f"it has label {other[0]!r} already; cancel that first", "label_exists")
    tx.run(
        "INSERT INTO label (id, consignment_no, carrier, service, grams, tries, next_at, wanted_at) "
        "VALUES (:id, :no, :carrier, :service, :grams, 1, :next_at, :at)",
        id=id, no=one.no, carrier=carrier, service=service, grams=grams, next_at=at + LEASE, at=at,
    )  # fmt: skip
    return get(tx, id), True


def get(tx: Tx, id: str) -> Label:
    """A label; raises `unknown_label`."""
    found = _find(tx, id)
    if found is None:
        raise Refusal("label", f"there is no label {id!r}", "unknown_label")
    return found


def of_consignment(tx: Tx, consignment: str) -> list[Label]:
    """Every label that a consignment had, the newest last."""
    return [Label(*row) for row in tx.all(f"SELECT {_SHOWN} {_FROM} WHERE k.id = :id ORDER BY l.no", id=consignment)]


def live(tx: Tx, consignment: str) -> Label | None:
    """The label of a consignment that is wanted or made, if it has one."""
    return next((label for label in of_consignment(tx, consignment) if label.state in LIVE), None)


def waiting(tx: Tx, at: int, limit: int = 100) -> list[Label]:
    """Labels whose carriers are to be called by now: to make them, or to cancel them."""
    rows = tx.all(
        f"SELECT {_SHOWN} {_FROM} WHERE l.state IN ('wanted', 'unwanted') AND l.next_at <= :at ORDER BY l.next_at, l.no "
        "LIMIT :limit",
        at=at,
        limit=limit,
    )
    return [Label(*row) for row in rows]


def take(tx: Tx, at: int, label: Label) -> bool:
    """Take a waiting label to call its carrier; says whether nobody else has."""
    return bool(
        tx.run(
            "UPDATE label SET tries = tries + 1, next_at = :next_at WHERE no = :no AND state = :state AND next_at <= :at",
            next_at=at + LEASE, no=label.no, state=label.state, at=at,
        )
    )  # fmt: skip


def made(tx: Tx, at: int, label: Label, tracking: str, cents: int) -> Label:
    """Its carrier made it. Where nobody wants it any more, the carrier is to know."""
    now = _lock(tx, label)
    if now.state in ("made", "refused"):
        return now
    state = "made" if now.state == "wanted" else "unwanted"
    tx.run(
        "UPDATE label SET state = :state, tracking = :tracking, cents = :cents, made_at = :at, next_at = :at WHERE no = :no",
        state=state, tracking=tracking, cents=cents, at=at, no=label.no,
    )  # fmt: skip
    if state == "made":
        write_facts(tx, [
            LabelMade(id=short_id("lab", label.id, "made"), at=at, consignment=label.consignment, label=label.id,
                      carrier=label.carrier, service=label.service, tracking=tracking, cents=cents, grams=label.grams)
        ])  # fmt: skip
    return get(tx, label.id)


def refused(tx: Tx, label: Label, why: str) -> Label:
    """Its carrier does not take it, for a reason that has a name."""
    _lock(tx, label)
    tx.run(
        "UPDATE label SET state = CASE WHEN state = 'wanted' THEN 'refused' ELSE 'cancelled' END, why = :why "
        "WHERE no = :no AND state IN ('wanted', 'unwanted')",
        why=why,
        no=label.no,
    )
    return get(tx, label.id)


def unanswered(tx: Tx, at: int, label: Label) -> Label:
    """Its carrier did not answer: it is called again later. One that was asked too often is not wanted any more."""
    now = _lock(tx, label)
    gives_up = now.state == "wanted" and now.tries >= MOST_TRIES
    tx.run(
        "UPDATE label SET state = :state, why = :why, next_at = :next_at WHERE no = :no AND state IN ('wanted', 'unwanted')",
        state="unwanted" if gives_up else now.state, why="no_answer", next_at=at + wait_after(now.tries), no=label.no,
    )  # fmt: skip
    return get(tx, label.id)


def unwant(tx: Tx, at: int, consignment: str) -> Label:
    """Say that the label of a consignment is not wanted any more; its carrier is to know.

    Raises
    ------
    Refusal
        `unknown_consignment`, `no_label`, or `wrong_state` where it has left already.
    """
    found = tx.first("SELECT no, order_no FROM consignment WHERE id = :id", id=consignment)
    if found is None:
        raise Refusal("consignment", f"there is no consignment {consignment!r}", "unknown_consignment")
    lock_orders(tx, [found[1]])
    one, label = read(tx, found[0]), live(tx, consignment)
    if label is None:
        raise Refusal("consignment", "it has no label", "no_label")
    if one.state not in AT_NODE:
        raise Refusal("consignment", f"it is {one.state}: it has left with its label", "wrong_state")
    # while somebody calls the carrier, nobody else does
    next_at = ", next_at = :at" if label.state == "made" else ""
    tx.run(f"UPDATE label SET state = 'unwanted'{next_at} WHERE no = :no", at=at, no=label.no)
    return get(tx, label.id)


def cancelled(tx: Tx, at: int, label: Label) -> Label:
    """Its carrier knows that it is not wanted."""
    now = _lock(tx, label)
    if now.state == "unwanted":
        tx.run("UPDATE label SET state = 'cancelled' WHERE no = :no", no=label.no)
        fact = short_id("lab", label.id, "cancelled", now.tracking or "")
        write_facts(tx, [
            LabelCancelled(id=fact, at=at, consignment=label.consignment, label=label.id, carrier=label.carrier,
                           tracking=now.tracking)
        ])  # fmt: skip
    return get(tx, label.id)


def carriers_on_the_way(tx: Tx) -> list[str]:
    """The carriers that have parcels on their way."""
    rows = tx.all(
        f"SELECT DISTINCT l.carrier {_FROM} WHERE l.state = 'made' AND k.state IN ('shipped', 'out_for_delivery') ORDER BY 1"
    )
    return [carrier for (carrier,) in rows]


def to_look_after(tx: Tx, before: int, carriers: list[str], limit: int = 100) -> list[Label]:
    """Labels of these carriers whose parcels are on their way and were not looked after since then, the longest first."""
    if not carriers:
        return []
    names: dict[str, Any] = {f"carrier{i}": name for i, name in enumerate(carriers)}
    rows = tx.all(
        f"SELECT {_SHOWN} {_FROM} WHERE l.state = 'made' AND k.state IN ('shipped', 'out_for_delivery') "
        f"AND l.looked_at < :before AND l.carrier IN ({', '.join(f':{name}' for name in names)}) "
        "ORDER BY l.looked_at, l.no LIMIT :limit",
        before=before, limit=limit, **names,
    )  # fmt: skip
    return [Label(*row) for row in rows]


def looked_after(tx: Tx, at: int, label: Label) -> None:
    """Note that its carrier was asked where it is."""
    tx.run("UPDATE label SET looked_at = :at WHERE no = :no", at=at, no=label.no)


def _find(tx: Tx, id: str) -> Label | None:
    found = tx.first(f"SELECT {_SHOWN} {_FROM} WHERE l.id = :id", id=id)
    return Label(*found) if found else None


def _lock(tx: Tx, label: Label) -> Label:
    """The label as it is, which nobody else changes until this transaction ends."""
    order = tx.value(
        "SELECT k.order_no FROM label l JOIN consignment k ON k.no = l.consignment_no WHERE l.no = :no", no=label.no
    )
    lock_orders(tx, [order])
    return get(tx, label.id)
