"""What customers are owed for what came back: once for what was looked at, never more than was paid.

Of the price of the units a fee and the parcel back may be kept, and the carriage of the order is refunded where it was the
retailer's fault (`engine.return_rules`). What an exchange costs is taken from it first.
"""

from collections import defaultdict
from dataclasses import dataclass

from engine.calendar import MS_PER_DAY
from engine.consignments import Locked as Consignment
from engine.database import Tx
from engine.facts import RefundedLine, RefundOwed, short_id
from engine.ledger import write_facts
from engine.return_rules import ReturnRules, read_return_rules
from engine.rmas import Locked, lock_return, read_return


@dataclass(frozen=True, slots=True)
class _Account:
    """What of a return is accounted for: the last inspection, and what was kept."""

    inspection_no: int
    label_cents: int
    exchange_cents: int


def owe(tx: Tx, rma_no: int, at: int, cause: str, why: str = "inspected") -> int:
    """Owe what was looked at of a return and is not owed yet; nothing while it is kept for an exchange.

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
    before = _accounted(tx, rma_no)
    found = tx.all(
        "SELECT i.no, i.number, s.id, i.units, i.goods_cents, i.fee_cents, l.reason FROM inspection i "
        "JOIN sku s ON s.no = i.sku_no JOIN rma_line l ON l.rma_no = i.rma_no AND l.consignment_no = i.consignment_no "
        "AND l.number = i.number AND l.sku_no = i.sku_no WHERE i.rma_no = :no AND i.no > :after ORDER BY i.no",
        no=rma_no, after=before.inspection_no,
    )  # fmt: skip
    if not found:
        return 0
    goods, fee = sum(row[4] for row in found), sum(row[5] for row in found)
    carriage = _carriage(tx, one, rules, [row[6] for row in found])
    left = goods - fee + carriage
    label = min(one.label_cents - before.label_cents, left)
    exchange = min(one.exchange_cents - before.exchange_cents, left - label)
    lines = tuple(
        RefundedLine(line=number, sku=sku, units=units, cents=cents) for _, number, sku, units, cents, *_ in found
    )
    fact = RefundOwed(
        id=short_id("rfd", one.id, cause), at=at, order=one.order, rma=one.id, cents=left - label - exchange, why=why,  # type: ignore[arg-type]
        lines=lines, fee_cents=fee, carriage_cents=carriage, label_cents=label, exchange_cents=exchange,
    )  # fmt: skip
    _write(tx, fact, one.order_no, rma_no, None, goods, found[-1][0])
    tx.run("UPDATE rma SET settle_at = NULL WHERE no = :no AND settle_at IS NOT NULL", no=rma_no)
    return fact.cents


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


def _accounted(tx: Tx, rma_no: int) -> _Account:
    row = tx.first(
        "SELECT COALESCE(MAX(inspection_no), 0), COALESCE(SUM(label_cents), 0), COALESCE(SUM(exchange_cents), 0) "
        "FROM refund WHERE rma_no = :no",
        no=rma_no,
    )
    assert row is not None, "a sum has a row"
    return _Account(*map(int, row))


def _carriage(tx: Tx, one: Locked, rules: ReturnRules, reasons: list[str]) -> int:
    """The carriage of the order, which is refunded once where it was the retailer's fault."""
    if not one.carriage_cents or not set(reasons) & set(rules.ours):
        return 0
    already = tx.first("SELECT 1 FROM refund WHERE order_no = :no AND carriage_cents > 0", no=one.order_no)
    return 0 if already else one.carriage_cents


def _write(
    tx: Tx, fact: RefundOwed, order_no: int, rma_no: int | None, consignment_no: int | None, goods: int, last: int
) -> None:
    """Write what is owed; the fact, where that is anything."""
    tx.run(
        "INSERT INTO refund (id, order_no, rma_no, consignment_no, at, why, inspection_no, goods_cents, fee_cents, "
        "carriage_cents, label_cents, exchange_cents, cents) VALUES (:id, :order, :rma, :consignment, :at, :why, :last, "
        ":goods, :fee, :carriage, :label, :exchange, :cents)",
        id=fact.id, order=order_no, rma=rma_no, consignment=consignment_no, at=fact.at, why=fact.why, last=last,
        goods=goods, fee=fact.fee_cents, carriage=fact.carriage_cents, label=fact.label_cents,
        exchange=fact.exchange_cents, cents=fact.cents,
    )  # fmt: skip
    if fact.cents:
        write_facts(tx, [fact])


__all__ = ["owe", "owe_lapsed", "owed_cents", "points_of", "settle_returns"]
