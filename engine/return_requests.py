"""Returns before anything comes back: asked for, approved or refused, given a node, cancelled, expired.

What may come back is in `engine.return_rules`. A unit may be asked for that was delivered, is in its days, did not come back, and
is not on another return. Where no reason needs a look the return is approved at once. What is approved is given a node once that is
written down (`engine.return_routing`), and must have one that is possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.calendar import MS_PER_DAY
from engine.claims import lock_orders
from engine.database import Rows, Tx, decoded
from engine.facts import (
    ReturnApproved,
    ReturnCancelled,
    ReturnExpired,
    ReturnRefused,
    ReturnRequested,
    WantedBack,
    short_id,
)
from engine.ledger import write_facts
from engine.return_routing import check_some_node
from engine.return_rules import ReturnRules, read_return_rules
from engine.rmas import Locked, close_awaited, lock_return, read_return
from solver.refusal import Refusal


@dataclass(frozen=True, slots=True)
class _Delivered:
    """Units of a line in a delivered consignment that can come back; SKUs of its parts, with units of each for one of the line."""

    consignment_no: int
    delivered_at: int
    parts: tuple[tuple[int, int], ...]
    units: int


def rma_id(fact: ReturnRequested) -> str:
    """The id of the return that a fact asks for."""
    return short_id("rma", fact.id)


def request(tx: Tx, facts: Sequence[ReturnRequested], by: str = "") -> list[bool]:
    """Take returns in: all of them or, where one is refused, none. What needs no look is approved at once.

    Returns
    -------
    list of bool
        Which are new.

    Raises
    ------
    Refusal
        `unknown_order`, `unknown_line`, `not_returnable` (not delivered, out of its days, back already, or on another return),
        `final_sale`, `no_destination`, `unknown_node`, `node_takes_no_returns`, `no_return_node`.
    """
    new = write_facts(tx, facts, by)
    effective = [i for i, is_new in enumerate(new) if is_new]
    if not effective:
        return new
    rules = read_return_rules(tx)
    known = dict(
        tx.all("SELECT o.id, o.no FROM {rows} JOIN orders o ON o.id = rows.id",
               Rows(id=sorted({facts[i].order for i in effective})))
    )  # fmt: skip
    lock_orders(tx, known.values())
    approved: list[tuple[str, Locked]] = []
    for i in effective:
        place = f"facts[{i}]." if len(facts) > 1 else ""
        if facts[i].order not in known:
            raise Refusal(f"{place}order", f"there is no order {facts[i].order!r}", "unknown_order")
        one = _request(tx, facts[i], known[facts[i].order], rules, place)
        if not one.review:
            approved.append((place, one))
    for _, one in approved:
        fact = ReturnApproved(id=short_id("rma", one.id, "approved"), at=facts[effective[0]].at, rma=one.id)
        write_facts(tx, [fact])
    check_some_node(tx, approved, max(facts[i].at for i in effective), rules)
    return new


def approve(tx: Tx, fact: ReturnApproved, by: str = "") -> bool:
    """Somebody let a return come back that was held for review.

    Raises
    ------
    Refusal
        `unknown_return`, `wrong_state`, `no_return_node`.
    """
    one = _begin(tx, fact, by, ("requested",))
    if one is None:
        return False
    rules = read_return_rules(tx)
    tx.run(
        "UPDATE rma SET review = :over, expires_at = :until, version = version + 1 WHERE no = :no",
        over=False, until=fact.at + rules.expire_days * MS_PER_DAY, no=one.no,
    )  # fmt: skip
    check_some_node(tx, [("", one)], fact.at, rules)
    return True


def refuse(tx: Tx, fact: ReturnRefused, by: str = "") -> bool:
    """Somebody refused a return that was held for review. Raises `unknown_return` or `wrong_state`."""
    one = _begin(tx, fact, by, ("requested",))
    if one is not None:
        close_awaited(tx, one.no, "refused")
    return one is not None


def cancel(tx: Tx, fact: ReturnCancelled, by: str = "") -> bool:
    """What has not come is not to come any more.

    Raises
    ------
    Refusal
        `unknown_return`, or `wrong_state` where nothing is awaited.
    """
    one = _begin(tx, fact, by, ("requested", "approved", "received"))
    if one is None:
        return False
    if not one.awaited:
        raise Refusal("rma", "all of it has come", "wrong_state")
    close_awaited(tx, one.no, "cancelled")
    return True


def expire_returns(tx: Tx, now: int, limit: int = 100) -> int:
    """Await no more what has not come in time, and say of how many returns."""
    due = tx.all(
        "SELECT id FROM rma WHERE awaited > 0 AND expires_at <= :now ORDER BY order_no, no LIMIT :limit",
        now=now,
        limit=limit,
    )
    count = 0
    for (id,) in due:
        one = lock_return(tx, id)
        version, still = tx.all("SELECT version, awaited > 0 AND expires_at <= :now FROM rma WHERE no = :no",
                                now=now, no=one.no)[0]  # fmt: skip
        if still:
            write_facts(tx, [ReturnExpired(id=short_id("end", one.id, str(version)), at=now, rma=one.id)])
            close_awaited(tx, one.no, "expired")
            count += 1
    return count


def _begin(
    tx: Tx, fact: ReturnApproved | ReturnRefused | ReturnCancelled, by: str, states: Sequence[str]
) -> Locked | None:
    """Lock a return and write the fact down; nothing where the fact was there already."""
    one = lock_return(tx, fact.rma)
    (new,) = write_facts(tx, [fact], by)
    if not new:
        return None
    if one.state not in states:
        raise Refusal("rma", f"it is {one.state}, not {' or '.join(states)}", "wrong_state")
    return one


def _request(tx: Tx, fact: ReturnRequested, order_no: int, rules: ReturnRules, place: str) -> Locked:
    """Check what is asked for, and write it down."""
    reasons = [wanted.reason for wanted in fact.lines]
    lines = _lines(tx, fact, order_no, rules, place)
    lat, lon, node_no = _from_where(tx, fact, order_no, [row[0] for row in lines], place)
    own = not set(reasons) & set(rules.ours)
    no = tx.value(
        "INSERT INTO rma (id, order_no, wanted, how, requested_at, expires_at, review, awaited, lat, lon, node_no, "
        "carriage_cents, label_cents) VALUES (:id, :order, :wanted, :how, :at, :until, :review, :awaited, :lat, :lon, "
        ":node, :carriage, :label) RETURNING no",
        id=rma_id(fact), order=order_no, wanted=fact.wanted, how=fact.how, at=fact.at,
        until=fact.at + rules.expire_days * MS_PER_DAY, review=bool(set(reasons) & set(rules.review)),
        awaited=sum(row[4] for row in lines), lat=lat, lon=lon, node=node_no, carriage=fact.carriage_cents,
        label=rules.label_cents if own and fact.how == "parcel" else 0,
    )  # fmt: skip
    consignments, numbers, skus, why, units = (list(column) for column in zip(*lines, strict=True))
    tx.run(
        "INSERT INTO rma_line (rma_no, consignment_no, number, sku_no, reason, announced, awaited) "
        "SELECT :no, consignment_no, number, sku_no, reason, units, units FROM {rows}",
        Rows(consignment_no=consignments, number=numbers, sku_no=skus, reason=why, units=units),
        no=no,
    )
    return read_return(tx, no)


def _lines(
    tx: Tx, fact: ReturnRequested, order_no: int, rules: ReturnRules, place: str
) -> list[tuple[int, int, int, str, int]]:
    """Consignment, line, SKU, reason and units of what is asked for; the units delivered first come back first."""
    tags = {number: decoded(its) for number, its in tx.all(
        "SELECT l.number, s.tags FROM order_line l JOIN sku s ON s.no = l.sku_no WHERE l.order_no = :no", no=order_no,
    )}  # fmt: skip
    delivered = _delivered(tx, order_no)
    rows: list[tuple[int, int, int, str, int]] = []
    seen: set[int] = set()
    for i, wanted in enumerate(fact.lines):
        where = f"{place}lines[{i}]"
        if wanted.line not in tags:
            raise Refusal(f"{where}.line", f"the order has no line {wanted.line}", "unknown_line")
        if wanted.line in seen:
            raise Refusal(f"{where}.line", f"line {wanted.line} is named twice; ask for a second return", "bad_input")
        seen.add(wanted.line)
        days = rules.window(wanted.reason, tags[wanted.line])
        if days is None:
            raise Refusal(f"{where}.line", f"line {wanted.line} is a final sale: it does not come back", "final_sale")
        rows += _taken(wanted, delivered.get(wanted.line, []), fact.at - days * MS_PER_DAY, days, where)
    return rows


def _taken(
    wanted: WantedBack, delivered: Sequence[_Delivered], since: int, days: int, where: str
) -> list[tuple[int, int, int, str, int]]:
    """Which consignments the units of a line are of."""
    rows: list[tuple[int, int, int, str, int]] = []
    left = wanted.units
    for one in delivered:
        units = min(left, one.units) if one.delivered_at >= since else 0
        left -= units
        if units:
            rows += [(one.consignment_no, wanted.line, sku, wanted.reason, units * each) for sku, each in one.parts]
    if left:
        told = f"{wanted.units - left} units of line {wanted.line} can come back"
        raise Refusal(
            f"{where}.units",
            f"{told}: delivered in the last {days} days, not back yet, and on no other return",
            "not_returnable",
        )
    return rows


def _delivered(tx: Tx, order_no: int) -> dict[int, list[_Delivered]]:
    """By line what was delivered, can come back and is not awaited already; the first delivery first."""
    found = tx.all(
        "SELECT k.no, k.delivered_at, c.number, c.sku_no, c.units, c.line_units, c.units - c.returned - COALESCE("
        "(SELECT SUM(l.awaited) FROM rma_line l WHERE l.consignment_no = k.no AND l.number = c.number "
        "AND l.sku_no = c.sku_no), 0) FROM consignment k JOIN consignment_line c ON c.consignment_no = k.no "
        "WHERE k.order_no = :no AND k.state = 'delivered' AND c.line_units > 0 "
        "ORDER BY k.delivered_at, k.no, c.number, c.sku_no",
        no=order_no,
    )
    whole: dict[tuple[int, int], list[tuple[Any, ...]]] = {}
    for row in found:
        whole.setdefault((row[0], row[2]), []).append(row)
    lines: dict[int, list[_Delivered]] = {}
    for (no, number), rows in whole.items():
        parts = tuple((row[3], row[4] // row[5]) for row in rows)
        units = min(int(row[6]) // each for row, (_, each) in zip(rows, parts, strict=True))
        lines.setdefault(number, []).append(_Delivered(no, rows[0][1], parts, units))
    return lines


def _from_where(
    tx: Tx, fact: ReturnRequested, order_no: int, consignments: Sequence[int], place: str
) -> tuple[float, float, int | None]:
    """From where it is sent, and the node that it is brought to."""
    if fact.how == "store":
        if fact.node is None:
            raise Refusal(f"{place}node", "say the store that it is brought to", "unknown_node")
        found = tx.first("SELECT no, lat, lon, collects FROM node WHERE id = :id", id=fact.node)
        if found is None:
            raise Refusal(f"{place}node", f"there is no node {fact.node!r}", "unknown_node")
        if not found[3]:
            raise Refusal(f"{place}node", f"customers bring nothing to {fact.node!r}", "node_takes_no_returns")
        return found[1], found[2], found[0]
    if fact.node is not None:
        raise Refusal(
            f"{place}node", "is said of what is brought to a store; we choose where a parcel goes", "bad_input"
        )
    if fact.place is not None:
        return fact.place.lat, fact.place.lon, None
    row = tx.first(
        "SELECT COALESCE(o.lat, n.lat), COALESCE(o.lon, n.lon) FROM consignment k JOIN orders o ON o.no = k.order_no "
        "JOIN node n ON n.no = COALESCE(k.collect_no, k.node_no) WHERE k.no = :no",
        no=consignments[0],
    )
    assert row is not None, "what is delivered has a consignment"
    return row[0], row[1], None


__all__ = ["approve", "cancel", "expire_returns", "refuse", "request", "rma_id"]
