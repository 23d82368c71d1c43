"""A shop whose goods have prices, and a provider of payments that says yes until it is told otherwise."""

from collections.abc import Callable

import msgspec

from engine import consignments, payments, shipping
from engine.billing import follow
from engine.books import Finding, fsck
from engine.database import Database, Tx
from engine.facts import OrderedLine, OrderPlaced, OrderReleased, OrderTaxed, Place, Shipped, TaxLine
from engine.orders import place
from engine.payments import Payment, Step
from tests.engine.shop import NOON, settle, supply

PRICES = {"tee": 1000, "cap": 500, "mug": 333, "set": 2000}
LATER = NOON + 60_000


def priced(external_id: str, *lines: tuple[str, int], review: bool = False) -> OrderPlaced:
    return OrderPlaced(
        at=NOON, channel="web", external_id=external_id, place=Place(lat=52.0, lon=5.0), review=review,
        lines=tuple(OrderedLine(sku=sku, qty=qty, price_cents=PRICES[sku]) for sku, qty in lines),
    )  # fmt: skip


def sell(database: Database, external_id: str, *lines: tuple[str, int]) -> str:
    """Place an order of what is in stock."""
    supply(database, (1, 1, 50), (2, 1, 50), (3, 1, 50))
    (placed,) = database.write(lambda tx: place(tx, [priced(external_id, *lines)]))
    return placed.id


def send(database: Database, order: str, *units: tuple[int, int], node: int = 1, leaves: bool = True) -> str:
    """Ship units of lines of an order from a node, or only release them; gives the consignment."""
    database.write(lambda tx: settle(tx, order, *((line, node, count) for line, count in units)))
    n = len(_consignments(database, order))
    fact = OrderReleased(id=f"release {order} {n}", at=NOON, order=order)
    ((consignment,),) = database.write(lambda tx: consignments.release(tx, [fact]))
    if leaves:
        shipped = Shipped(id=f"ship {consignment}", at=LATER, consignment=consignment)
        database.write(lambda tx: shipping.ship(tx, shipped))
    return consignment


def _consignments(database: Database, order: str) -> list[tuple[str]]:
    with database.read() as tx:
        return tx.all("SELECT k.id FROM consignment k JOIN orders o ON o.no = k.order_no WHERE o.id = :id", id=order)


def tax(database: Database, order: str, carriage: int, *taxes: tuple[int, int, int]) -> None:
    """Say carriage and taxes: line, rate and cents."""
    lines = tuple(TaxLine(line=line, rate=rate, tax_cents=cents) for line, rate, cents in taxes)
    from engine.charges import state_taxes

    fact = OrderTaxed(id=f"tax {order} {carriage}", at=NOON, order=order, carriage_cents=carriage, taxes=lines)
    database.write(lambda tx: state_taxes(tx, fact))


def pay(
    database: Database, order: str, cents: int, *, id: str = "", often: bool = True, answered: bool = True
) -> Payment:
    """Have money kept."""
    own = id or f"pay {order}"
    one, step = database.write(lambda tx: payments.want(tx, NOON, own, order, "test", "sealed", cents))
    if answered and step is not None:
        one = database.write(lambda tx: payments.authorised(tx, NOON, step, f"ref {own}", None, often))
    return one


def bill(database: Database, at: int = LATER) -> None:
    """Read the log to its end."""
    while database.write(lambda tx: follow(tx, at)):
        pass


def answer(
    database: Database, at: int = LATER, say: Callable[[Step], str] = lambda _: "", often: bool = True
) -> list[Step]:
    """Let the provider answer whatever waits: with the name of a reason it says no. Gives what was asked, in its order."""
    asked: list[Step] = []
    while steps := _waiting(database, at):
        for step in steps:
            why = say(step)
            asked.append(step)
            database.write(lambda tx, step=step, why=why: _answer(tx, at, step, why, often))  # type: ignore[misc]
    return asked


def _answer(tx: Tx, at: int, step: Step, why: str, often: bool) -> Payment:
    if why:
        return payments.refused(tx, at, step, why)
    if step.kind == "authorise":
        return payments.authorised(tx, at, step, f"ref {step.payment}", None, often)
    return {"capture": payments.captured, "void": payments.voided, "refund": payments.refunded}[step.kind](tx, at, step)


def _waiting(database: Database, at: int) -> list[Step]:
    with database.read() as tx:
        return payments.waiting(tx, at)


def sums(database: Database, order: str) -> tuple[int, int, int, int]:
    """Authorised, captured, voided and refunded of an order, in cents."""
    with database.read() as tx:
        found = tx.first(
            "SELECT SUM(p.authorised_cents), SUM(p.captured_cents), SUM(p.voided_cents), SUM(p.refunded_cents) "
            "FROM payment p JOIN orders o ON o.no = p.order_no WHERE o.id = :id",
            id=order,
        )
    assert found is not None
    authorised, captured, voided, refunded = (int(value or 0) for value in found)
    return authorised, captured, voided, refunded


def exceptions(database: Database, order: str) -> list[tuple[str, int]]:
    """Why and how much could not be taken or given back."""
    with database.read() as tx:
        return tx.all(
            "SELECT x.why, x.cents FROM payment_exception x JOIN orders o ON o.no = x.order_no WHERE o.id = :id ORDER BY x.ref",
            id=order,
        )


def amiss(tx: Tx) -> list[Finding]:
    """What does not balance. Of what is owed here there are facts alone, without returns that they are of."""
    return [finding for finding in fsck(tx) if finding.name != "refunds_have_facts"]


def owe(
    database: Database, order: str, fact: str, *lines: tuple[int, int, int], of: str | None = None, **more: int
) -> None:
    """Write down that the customer is owed money, as returns do: line, units and cents; fees and carriage by name.

    It is of a consignment, by default of the first one that has the first line.
    """
    with database.read() as tx:
        of = of or tx.value(
            "SELECT k.id FROM consignment k JOIN orders o ON o.no = k.order_no JOIN consignment_line l "
            "ON l.consignment_no = k.no WHERE o.id = :id AND l.number = :line ORDER BY k.no LIMIT 1",
            id=order, line=lines[0][0],
        )  # fmt: skip
    goods = sum(cents for *_, cents in lines)
    whole = goods + more.get("carriage_cents", 0)
    cents = whole - more.get("fee_cents", 0) - more.get("label_cents", 0) - more.get("exchange_cents", 0)
    payload = {
        "kind": "RefundOwed", "id": fact, "at": LATER, "order": order, "rma": None, "consignment": of, "cents": cents,
        "why": "inspected", "lines": [{"line": n, "sku": "tee", "units": u, "cents": c} for n, u, c in lines],
        "fee_cents": 0, "carriage_cents": 0, "label_cents": 0, "exchange_cents": 0, **more,
    }  # fmt: skip
    database.write(
        lambda tx: tx.run(
            "INSERT INTO fact (id, kind, at, subject, content, payload, tx) VALUES (:id, 'RefundOwed', :at, :order, :id, "
            ":payload, " + ("pg_current_xact_id()::text::bigint" if tx.dialect == "postgresql" else "0") + ")",
            id=fact, at=LATER, order=order, payload=msgspec.json.encode(payload).decode(),
        )
    )  # fmt: skip
