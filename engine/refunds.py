"""What customers are owed for what came back: once for what was looked at, never more than was paid.

Of the price of the units a fee and the parcel back may be kept, and the carriage of the order is refunded where it was the
retailer's fault (`engine.return_rules`). What an exchange costs is taken from it first.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass

from engine.calendar import MS_PER_DAY
from engine.carriage import carriage_of
from engine.consignments import Locked as Consignment
from engine.credits import Credit, credit_of
from engine.database import Tx
from engine.facts import RefundedLine, RefundOwed, short_id
from engine.ledger import write_facts
from engine.return_rules import ReturnRules, read_return_rules
from engine.rmas import Locked, lines_of, lock_return, read_return


def owe(tx: Tx, rma_no: int, at: int, cause: str, why: str = "inspected") -> int:
    """Owe what was looked at of a return and is not owed yet, by consignment; nothing while it is kept for an exchange.

    Parameters
    ----------
    cause
        The fact because of which: the same one makes the same refund.

    Returns
    -------
    int
        Cents.
    """
    one, rules = read_return(tx, rma_no), read_return_rules(tx)
    if one.wanted == "exchange" and one.exchange_no is None:
        tx.run(
            "UPDATE rma SET settle_at = :at WHERE no = :no AND settle_at IS NULL AND inspected > 0",
            at=at + rules.exchange_days * MS_PER_DAY, no=rma_no,
        )  # fmt: skip
        return 0
    found, credit = _looked(tx, rma_no), credit_of(tx, rma_no)
    if not found:
        return 0
    label_left = _label(tx, one)
    needed = 0 if credit is None else max(0, credit.usable - credit.kept)
    owed = 0
    for consignment_no in dict.fromkeys(row.consignment_no for row in found):
        rows = [row for row in found if row.consignment_no == consignment_no]
        consignment = rows[0].consignment
        carriage = _carriage(tx, one, rules, {consignment_no: {row.reason for row in rows}})
        goods, fee = sum(row.goods_cents for row in rows), sum(row.fee_cents for row in rows)
        left = goods - fee + carriage
        label = min(label_left, left)
        exchange = min(needed, left - label)
        fact = RefundOwed(
            id=short_id("rfd", one.id, cause, consignment), at=at, order=one.order, rma=one.id, consignment=consignment,
            cents=left - label - exchange, why=why, fee_cents=fee, carriage_cents=carriage, label_cents=label,  # type: ignore[arg-type]
            exchange_cents=exchange,
            lines=tuple(RefundedLine(line=row.number, sku=row.sku, units=row.units, cents=row.goods_cents) for row in rows),
        )  # fmt: skip
        _write(tx, fact, one.order_no, rma_no, consignment_no, goods, found[-1].no)
        owed, label_left, needed = owed + fact.cents, label_left - label, needed - exchange
    tx.run("UPDATE rma SET settle_at = NULL WHERE no = :no AND settle_at IS NOT NULL", no=rma_no)
    return owed


def owe_unneeded(tx: Tx, credit: Credit, at: int) -> int:
    """Owe what is kept for an order in place of a return that does not need it any more. Both orders are locked.

    Returns
    -------
    int
        Cents.
    """
    cents = credit.kept - credit.usable
    if cents <= 0:
        return 0
    times = tx.value("SELECT COUNT(*) FROM refund WHERE rma_no = :no", no=credit.rma_no)
    fact = RefundOwed(
        id=short_id("rfd", credit.rma, "undone", str(times)), at=at, order=credit.order, rma=credit.rma, cents=cents,
        why="exchange_undone", lines=(), exchange_cents=-cents,
    )  # fmt: skip
    _write(tx, fact, credit.order_no, credit.rma_no, None, 0, 0)
    return cents


def expected(tx: Tx, one: Locked, rules: ReturnRules) -> int:
    """What will be owed of a return beyond what is owed now, if all that nobody has looked at yet is as new, in cents."""
    looked, lines = _looked(tx, one.no), [line for line in lines_of(tx, one) if line.to_look_at]
    if not looked and not lines:
        return 0
    goods = sum(row.goods_cents - row.fee_cents for row in looked) + sum(
        line.price_cents * line.to_look_at * rules.refunded(line.reason, "as_new")
        * (100 - rules.fee(line.reason, line.tags)) // (10_000 * line.pieces)
        for line in lines
    )  # fmt: skip
    reasons: dict[int, set[str]] = defaultdict(set)
    for no, reason in [(row.consignment_no, row.reason) for row in looked] + [
        (row.consignment_no, row.reason) for row in lines
    ]:
        reasons[no].add(reason)
    carriage = _carriage(tx, one, rules, reasons)
    return max(0, goods + carriage - _label(tx, one))


def owe_lapsed(tx: Tx, one: Consignment, at: int) -> int:
    """Owe the price of what was not collected in time, once; `one` is the consignment before its units went back.

    Returns
    -------
    int
        Cents.
    """
    left = [content for content in one.contents if content.units > content.returned]
    if not left:
        return 0
    prices = dict(
        tx.all("SELECT number, COALESCE(price_cents, 0) FROM order_line WHERE order_no = :no", no=one.order_no)
    )
    pieces: dict[int, int] = defaultdict(int)
    for content in one.contents:
        pieces[content.number] += content.each
    points, lines = points_of(tx, one.order_no), []
    for content in left:
        number, units = content.number, content.units - content.returned
        cents = owed_cents(prices[number], pieces[number], points[number], 100 * units)
        points[number] += 100 * units
        lines.append(RefundedLine(line=number, sku=content.sku, units=units, cents=cents))
    goods = sum(line.cents for line in lines)
    fact = RefundOwed(id=short_id("rfd", one.id, "lapsed"), at=at, order=one.order, consignment=one.id, cents=goods,
                      why="pickup_lapsed", lines=tuple(lines))  # fmt: skip
    _write(tx, fact, one.order_no, None, one.no, goods, 0)
    return goods


def points_of(tx: Tx, order_no: int) -> dict[int, int]:
    """By line of an order, what was looked at so far: pieces times percent of the price."""
    found = tx.all(
        "SELECT i.number, SUM(i.units * i.percent) FROM inspection i JOIN rma r ON r.no = i.rma_no "
        "WHERE r.order_no = :order GROUP BY i.number",
        order=order_no,
    )
    points: dict[int, int] = defaultdict(int)
    return points | {number: int(units) for number, units in found}


def owed_cents(price: int, pieces: int, before: int, more: int) -> int:
    """What further points of a line are worth: its pieces share the price of a kit evenly, and rounding loses nothing of a line."""
    return price * (before + more) // (100 * pieces) - price * before // (100 * pieces)


def settle_returns(tx: Tx, now: int, limit: int = 100) -> int:
    """Refund what was kept for exchanges that nobody ordered in time, and say of how many returns."""
    due = tx.all("SELECT id FROM rma WHERE settle_at <= :now ORDER BY order_no, no LIMIT :limit", now=now, limit=limit)
    count = 0
    for (id,) in due:
        one = lock_return(tx, id)
        if tx.first("SELECT 1 FROM rma WHERE no = :no AND settle_at <= :now", no=one.no, now=now):
            tx.run(
                "UPDATE rma SET wanted = 'refund', settle_at = NULL, version = version + 1 WHERE no = :no", no=one.no
            )
            owe(tx, one.no, now, f"lapsed {one.inspected}", "exchange_lapsed")
            count += 1
    return count


@dataclass(frozen=True, slots=True)
class _Looked:
    """Units that somebody looked at."""

    no: int
    consignment_no: int
    consignment: str
    number: int
    sku: str
    units: int
    goods_cents: int
    fee_cents: int
    reason: str


def _looked(tx: Tx, rma_no: int) -> list[_Looked]:
    """What was looked at of a return, and is not owed yet."""
    rows = tx.all(
        "SELECT i.no, k.no, k.id, i.number, s.id, i.units, i.goods_cents, i.fee_cents, l.reason FROM inspection i "
        "JOIN consignment k ON k.no = i.consignment_no JOIN sku s ON s.no = i.sku_no "
        "JOIN rma_line l ON l.rma_no = i.rma_no AND l.consignment_no = i.consignment_no AND l.number = i.number "
        "AND l.sku_no = i.sku_no WHERE i.rma_no = :no "
        "AND i.no > (SELECT COALESCE(MAX(f.inspection_no), 0) FROM refund f WHERE f.rma_no = :no) ORDER BY i.no",
        no=rma_no,
    )
    return [_Looked(*row) for row in rows]


def _label(tx: Tx, one: Locked) -> int:
    """What is still to be kept for the parcel back."""
    kept = tx.value("SELECT COALESCE(SUM(label_cents), 0) FROM refund WHERE rma_no = :no", no=one.no)
    return one.label_cents - int(kept)


def _carriage(tx: Tx, one: Locked, rules: ReturnRules, reasons: Mapping[int, Set[str]]) -> int:
    """The carriage to refund of consignments of which units come back for these reasons: where it was the retailer's fault, once.

    It is what was billed for them; where somebody says what was paid for the whole order, that, if nothing is refunded yet.
    """
    ours = [no for no, why in reasons.items() if why & set(rules.ours)]
    before = dict(tx.all(
        "SELECT COALESCE(consignment_no, 0), SUM(carriage_cents) FROM refund WHERE order_no = :no AND carriage_cents > 0 "
        "GROUP BY consignment_no",
        no=one.order_no,
    ))  # fmt: skip
    if one.carriage_cents is not None:
        return one.carriage_cents if ours and not before else 0
    billed = sum(carriage_of(tx, one.order_no, no) for no in ours if no not in before)
    left = tx.value("SELECT COALESCE(SUM(carriage_cents), 0) FROM order_bill WHERE order_no = :no", no=one.order_no)
    return max(0, min(billed, int(left) - int(sum(before.values()))))


def _write(
    tx: Tx, fact: RefundOwed, order_no: int, rma_no: int | None, consignment_no: int | None, goods: int, last: int
) -> None:
    """Write what is owed; the fact, where it is anything before something is kept of it."""
    tx.run(
        "INSERT INTO refund (id, order_no, rma_no, consignment_no, at, why, inspection_no, goods_cents, fee_cents, "
        "carriage_cents, label_cents, exchange_cents, cents) VALUES (:id, :order, :rma, :consignment, :at, :why, :last, "
        ":goods, :fee, :carriage, :label, :exchange, :cents)",
        id=fact.id, order=order_no, rma=rma_no, consignment=consignment_no, at=fact.at, why=fact.why, last=last,
        goods=goods, fee=fact.fee_cents, carriage=fact.carriage_cents, label=fact.label_cents,
        exchange=fact.exchange_cents, cents=fact.cents,
    )  # fmt: skip
    if goods or fact.carriage_cents or fact.cents:
        write_facts(tx, [fact])


__all__ = ["expected", "owe", "owe_lapsed", "owe_unneeded", "owed_cents", "points_of", "settle_returns"]
