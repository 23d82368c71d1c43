"""Payments: money is kept for an order, taken as its parcels leave, given back as what is owed, and let go where it is not needed.

Whatever is asked of a provider is a row first (`payment_step`), then a call outside of any transaction with the row's id as key,
then the row says how it went: who dies meanwhile is followed by another, who asks the same by the same key. `settle` compares what
an order's charges say with what was asked for, and asks for the rest; it can be called at any time, and again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.asking import wait_after
from engine.claims import lock_orders
from engine.database import Rows, Tx
from engine.entries import CURRENCY
from engine.facts import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentSettled,
    PaymentVoided,
    short_id,
)
from engine.ledger import write_facts
from engine.reads import currency
from solver.refusal import Refusal

LEASE = 60_000
"""Milliseconds for which a call to a provider may take."""
LONGEST_ASKED = 20 * 3_600_000
"""Milliseconds after it was first asked in which something is asked again: providers remember keys for a day."""
EXPIRED = "expired"
"""Why a provider does not capture what it keeps no longer: it is authorised anew."""
UNANSWERED = "no_answer"
SETTLED, NOT_DONE = "settled", "not_done"
"""Why a step ended of which somebody says how: it is done, or it is not."""
_SHOWN = (
    "p.no, p.id, p.order_no, o.id, p.provider, p.token, p.currency, p.cents, p.state, p.authorised_cents, "
    "p.captured_cents, p.refunded_cents, p.voided_cents, p.reference, p.often, p.expires_at, p.at, p.why"
)
_FROM = "FROM payment p JOIN orders o ON o.no = p.order_no"
_STEP = "s.no, s.id, p.id, s.kind, s.cents, s.charge, s.state, s.tries, s.at, s.asked_at, s.why"
_STEPS = "FROM payment_step s JOIN payment p ON p.no = s.payment_no"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as it is. `token` is sealed."""

    no: int
    id: str
    order_no: int
    order: str
    provider: str
    token: str
    currency: str
    cents: int
    state: str
    authorised_cents: int
    captured_cents: int
    refunded_cents: int
    voided_cents: int
    reference: str | None
    often: bool
    expires_at: int | None
    at: int
    why: str

    @property
    def kept_cents(self) -> int:
        """What the provider keeps of it, neither taken nor let go."""
        return self.authorised_cents - self.captured_cents - self.voided_cents


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be asked of a provider; `id` is the key of the call, which is first made at `asked_at`."""

    no: int
    id: str
    payment: str
    kind: str
    cents: int
    charge: str
    state: str
    tries: int
    at: int
    asked_at: int | None
    why: str

    @property
    def open(self) -> bool:
        """Whether it is not known how it ends: it is still to be asked, or no provider said."""
        return self.state in ("wanted", "lost")


def want(tx: Tx, at: int, id: str, order: str, provider: str, token: str, cents: int) -> tuple[Payment, Step | None]:
    """Write down that money is to be kept for an order, and take that to ask for it. The same id again is the same payment.

    Parameters
    ----------
    token
        Sealed.

    Returns
    -------
    tuple
        The payment, and what this is to ask the provider for: nothing where somebody does already, or did.

    Raises
    ------
    Refusal
        `unknown_order`, `order_cancelled`, or `nothing_to_pay`.
    """
    there = _find(tx, id)
    if there is not None:
        return there, None
    found = tx.first("SELECT no FROM orders WHERE id = :id", id=order)
    if found is None:
        raise Refusal("order", f"there is no order {order!r}", "unknown_order")
    following = _following(tx, found[0])
    lock_orders(tx, [found[0], *following])
    if tx.value("SELECT state FROM orders WHERE no = :no", no=found[0]) == "cancelled":
        raise Refusal("order", "it is cancelled: nothing of it is to be paid", "order_cancelled")
    if not _Book(tx, found[0], at, []).needs_money():
        raise Refusal("order", "all that has left is paid, and nothing more of it leaves", "nothing_to_pay")
    one = _make(tx, at, id, found[0], provider, token, cents)
    step = of_payment(tx, one)[0]
    take(tx, at, step)
    for order_no in following:
        settle(tx, order_no, at)  # with this one they are paid here, too
    return one, step


def get(tx: Tx, id: str) -> Payment:
    """A payment; raises `unknown_payment`."""
    found = _find(tx, id)
    if found is None:
        raise Refusal("payment", f"there is no payment {id!r}", "unknown_payment")
    return found


def of_order(tx: Tx, order_no: int) -> list[Payment]:
    """The payments of an order, the first one first."""
    return [_read(row) for row in tx.all(f"SELECT {_SHOWN} {_FROM} WHERE p.order_no = :no ORDER BY p.no", no=order_no)]


def of_payment(tx: Tx, one: Payment) -> list[Step]:
    """What was asked of the provider of a payment, in its order."""
    rows = tx.all(f"SELECT {_STEP} {_STEPS} WHERE s.payment_no = :no ORDER BY s.no", no=one.no)
    return [Step(*row) for row in rows]


def waiting(tx: Tx, at: int, limit: int = 100) -> list[Step]:
    """What is to be asked by now. Of one payment, one thing after the other."""
    rows = tx.all(
        f"SELECT {_STEP} {_STEPS} WHERE s.state = 'wanted' AND s.next_at <= :at AND (s.asked_at IS NULL OR s.asked_at > :since) "
        "AND NOT EXISTS (SELECT 1 FROM payment_step e WHERE e.payment_no = s.payment_no AND e.no < s.no "
        "AND e.state = 'wanted') ORDER BY s.next_at, s.no LIMIT :limit",
        at=at, since=at - LONGEST_ASKED, limit=limit,
    )  # fmt: skip
    return [Step(*row) for row in rows]


def take(tx: Tx, at: int, step: Step) -> bool:
    """Take a step that waits, to call its provider; says whether nobody else has, and it may still be asked."""
    return bool(
        tx.run(
            "UPDATE payment_step SET tries = tries + 1, next_at = :next_at, asked_at = COALESCE(asked_at, :at) "
            "WHERE no = :no AND state = 'wanted' AND next_at <= :at AND (asked_at IS NULL OR asked_at > :since)",
            next_at=at + LEASE, no=step.no, at=at, since=at - LONGEST_ASKED,
        )
    )  # fmt: skip


def authorised(tx: Tx, at: int, step: Step, reference: str, expires_at: int | None, often: bool) -> Payment:
    """The provider keeps the money.

    Parameters
    ----------
    often
        Whether it can be captured more than once.
    """
    one = _begin(tx, at, step)
    if one is None:
        return get(tx, step.payment)
    tx.run(
        "UPDATE payment SET state = 'authorised', authorised_cents = cents, reference = :reference, often = :often, "
        "expires_at = :expires_at, why = '' WHERE no = :no",
        reference=reference, often=often, expires_at=expires_at, no=one.no,
    )  # fmt: skip
    write_facts(tx, [
        PaymentAuthorised(id=short_id("pay", step.id, "done"), at=at, order=one.order, payment=one.id, cents=one.cents,
                          provider=one.provider, expires_at=expires_at)
    ])  # fmt: skip
    settle(tx, one.order_no, at)
    return get(tx, one.id)


def captured(tx: Tx, at: int, step: Step) -> Payment:
    """The provider took the money. Where it takes it once only, it has let the rest go: that is authorised anew if still needed."""
    one = _begin(tx, at, step)
    if one is None:
        return get(tx, step.payment)
    _moved(tx, at, one, step, "captured_cents", PaymentCaptured)
    if not one.often:
        _let_go(tx, at, get(tx, one.id), "captured_once")
    settle(tx, one.order_no, at)
    return get(tx, one.id)


def voided(tx: Tx, at: int, step: Step) -> Payment:
    """The provider let the money go."""
    one = _begin(tx, at, step)
    if one is None:
        return get(tx, step.payment)
    _void(tx, at, one, step.cents, "not_needed", short_id("pay", step.id, "done"))
    settle(tx, one.order_no, at)
    return get(tx, one.id)


def refunded(tx: Tx, at: int, step: Step) -> Payment:
    """The provider gave the money back."""
    one = _begin(tx, at, step)
    if one is None:
        return get(tx, step.payment)
    _moved(tx, at, one, step, "refunded_cents", PaymentRefunded)
    settle(tx, one.order_no, at)
    return get(tx, one.id)


def refused(tx: Tx, at: int, step: Step, why: str) -> Payment:
    """The provider does not do it, for a reason that has a name.

    An order whose payment is declined is held for review. What could not be captured because it expired is authorised anew;
    whatever else could not be done is an exception.
    """
    one = _begin(tx, at, step, "refused", why)
    if one is None:
        return get(tx, step.payment)
    return _failed(tx, at, one, step, why)


def unanswered(tx: Tx, at: int, step: Step, *, nothing_done: bool = False) -> Payment:
    """The provider did not answer: it is asked the same again, later, for as long as it knows the key (`lose`).

    Parameters
    ----------
    step
        As it was before it was taken.
    nothing_done
        Whether that is certain: this try is then none after which an end is not known.
    """
    one = get(tx, step.payment)
    lock_orders(tx, [one.order_no])
    now = _step(tx, step.id)
    if now.state == "wanted":
        undone = nothing_done and now.tries == step.tries + 1  # nobody else asks meanwhile
        tx.run(
            "UPDATE payment_step SET next_at = :next_at, asked_at = :asked_at, why = :why WHERE no = :no",
            next_at=at + wait_after(now.tries), asked_at=step.asked_at if undone else now.asked_at, why=UNANSWERED, no=now.no,
        )  # fmt: skip
    return get(tx, one.id)


def lose(tx: Tx, at: int, limit: int = 100) -> int:
    """Give up what was first asked too long ago, and say how much that is: nobody knows its end until somebody says it (`end`)."""
    due = tx.all(
        f"SELECT {_STEP} {_STEPS} WHERE s.state = 'wanted' AND s.next_at <= :at AND s.asked_at <= :since "
        "ORDER BY p.order_no, s.no LIMIT :limit",
        at=at, since=at - LONGEST_ASKED, limit=limit,
    )  # fmt: skip
    count = 0
    for step in (Step(*row) for row in due):
        one = _begin(tx, at, step, "lost", UNANSWERED)
        if one is not None:
            _failed(tx, at, one, step, UNANSWERED, lost=True)
            count += 1
    return count


def end(tx: Tx, fact: PaymentSettled, by: str = "") -> bool:
    """Somebody says how a step ended that nobody answered for: it is done, or it is not, and is asked anew where it is needed.

    What was authorised can be captured once, and is kept until its provider says otherwise: more is not known of it.

    Raises
    ------
    Refusal
        `unknown_step`, `wrong_state` where its end is known or it is still asked for, or `missing` where money is kept by no
        reference.
    """
    found = tx.first(
        f"SELECT p.order_no {_STEPS} JOIN orders o ON o.no = p.order_no WHERE s.id = :id AND o.id = :order",
        id=fact.step, order=fact.order,
    )  # fmt: skip
    if found is None:
        raise Refusal("step", f"order {fact.order!r} has no step {fact.step!r}", "unknown_step")
    lock_orders(tx, found)
    (new,) = write_facts(tx, [fact], by)
    if not new:
        return False
    step = _step(tx, fact.step)
    if step.state != "lost":
        raise Refusal("step", f"it is {step.state}, not lost", "wrong_state")
    if not fact.done:
        one = _begin(tx, fact.at, step, "refused", NOT_DONE)
        assert one is not None, "it is lost, and locked"
        settle(tx, one.order_no, fact.at)
    elif step.kind != "authorise":
        {"capture": captured, "void": voided, "refund": refunded}[step.kind](tx, fact.at, step)
    elif fact.reference is None:
        raise Refusal("reference", "is needed: the provider takes by it what it keeps", "missing")
    else:
        authorised(tx, fact.at, step, fact.reference, None, often=False)
    return True


def expire(tx: Tx, now: int, limit: int = 100) -> int:
    """Let go what providers keep no longer, authorise it anew where it is still needed, and say of how many payments."""
    due = tx.all(
        "SELECT p.id, p.order_no FROM payment p WHERE p.expires_at <= :now "
        "AND p.captured_cents + p.voided_cents < p.authorised_cents AND NOT EXISTS (SELECT 1 FROM payment_step s "
        "WHERE s.payment_no = p.no AND s.state IN ('wanted', 'lost')) ORDER BY p.no LIMIT :limit",
        now=now, limit=limit,
    )  # fmt: skip
    lock_orders(tx, [order_no for _, order_no in due])
    count = 0
    for id, order_no in due:
        one = get(tx, id)
        if any(step.open for step in of_payment(tx, one)):
            continue  # its provider, or somebody, says whether that was done in time
        if one.kept_cents and one.expires_at is not None and one.expires_at <= now:
            _let_go(tx, now, one, EXPIRED)
            settle(tx, order_no, now)
            count += 1
    return count


def settle(tx: Tx, order_no: int, at: int) -> int:
    """Ask for what an order's charges still need, and let go what nothing needs. The order is locked.

    Orders without payments are paid elsewhere; not so those in place of returns of orders that are paid here.

    Returns
    -------
    int
        Steps that are new.
    """
    payments = of_order(tx, order_no)
    if not payments and not _follows_paid(tx, order_no):
        return 0
    book = _Book(tx, order_no, at, payments)
    taken = book.serve("capture", _free_to_capture)
    given = book.serve("refund", _free_to_refund)
    if not book.needs_money():
        book.let_go()
    if _is_erased(tx, order_no):
        forget_tokens(tx, [order_no])
    return taken + given + book.let


def forget_tokens(tx: Tx, order_nos: Sequence[int]) -> int:
    """Forget by what orders were paid, where nothing is left to take, give back or let go; returns how many payments that were.

    What was kept, taken and given back stays, and so does what the provider calls it.
    """
    with_token = tx.all(
        "SELECT DISTINCT p.order_no FROM {rows} JOIN payment p ON p.order_no = rows.no WHERE p.token <> ''",
        Rows(no=sorted(set(order_nos))),
    )
    nos = [no for (no,) in with_token]
    lock_orders(tx, nos)
    return _drop_tokens(tx, [no for no in nos if _is_settled(tx, no)])


def forget_old_tokens(tx: Tx, before: int, after: int = 0, limit: int = 100) -> int | None:
    """Forget by what orders were paid that old, where that is settled, or where the order is over and its recipient erased.

    Parameters
    ----------
    before
        Milliseconds: only payments that were asked for before then.
    after
        Only those of orders behind this one.

    Returns
    -------
    int or None
        The last order that was looked at; nothing where there was none.
    """
    found = tx.all(
        "SELECT DISTINCT order_no FROM payment WHERE token <> '' AND at < :before AND order_no > :after "
        "ORDER BY order_no LIMIT :limit",
        before=before, after=after, limit=limit,
    )  # fmt: skip
    if not found:
        return None
    nos = [no for (no,) in found]
    lock_orders(tx, nos)
    _drop_tokens(tx, [no for no in nos if _is_settled(tx, no) or (_is_erased(tx, no) and not _needs_token(tx, no))])
    return int(nos[-1])


def _drop_tokens(tx: Tx, order_nos: Sequence[int]) -> int:
    return tx.run(
        "UPDATE payment SET token = '' WHERE token <> '' AND order_no IN (SELECT no FROM {rows})", Rows(no=order_nos)
    )


def _is_settled(tx: Tx, order_no: int) -> bool:
    """Whether nothing is left to take, give back or let go. The order is locked."""
    payments = of_order(tx, order_no)
    book = _Book(tx, order_no, 0, payments)
    return not (
        any(one.kept_cents or any(step.state == "lost" for step in of_payment(tx, one)) for one in payments)
        or book.due("capture")
        or book.due("refund")
        or _needs_token(tx, order_no)
    )


def _needs_token(tx: Tx, order_no: int) -> bool:
    """Whether a provider may still be asked to keep money for an order."""
    waits = any(step.state == "wanted" for one in of_order(tx, order_no) for step in of_payment(tx, one))
    return waits or _may_still_cost(tx, order_no)


def _is_erased(tx: Tx, order_no: int) -> bool:
    """Whether the recipient of an order was erased."""
    sql = "SELECT 1 FROM orders o JOIN recipient r ON r.id = o.recipient WHERE o.no = :no AND r.erased"
    return tx.first(sql, no=order_no) is not None


@dataclass(slots=True)
class _Book:
    """What was asked for of an order, while more is asked for."""

    tx: Tx
    order_no: int
    at: int
    payments: list[Payment]
    let: int = 0

    def due(self, kind: str) -> list[tuple[str, int]]:
        """Charges of which something was neither done nor asked for: ref, and cents."""
        rows = self.tx.all(
            "SELECT c.ref, c.cents - COALESCE((SELECT SUM(s.cents) FROM payment_step s JOIN payment p ON p.no = s.payment_no "
            "WHERE p.order_no = c.order_no AND s.kind = :kind AND s.charge = c.ref AND s.state <> 'refused'), 0) "
            "FROM charge c WHERE c.order_no = :no AND (c.kind = 'refund') = :back ORDER BY c.no",
            kind=kind, no=self.order_no, back=kind == "refund",
        )  # fmt: skip
        return [(ref, int(cents)) for ref, cents in rows if cents > 0]

    def needs_money(self) -> bool:
        """Whether something is to be taken for the order, or may yet be."""
        return bool(self.due("capture")) or _may_still_cost(self.tx, self.order_no)

    def serve(self, kind: str, free: Any) -> int:
        """Ask for what is due, of the first payment that has it; what none has is an exception, unless one may yet have it."""
        made = 0
        for ref, cents in self.due(kind):
            left = cents
            for one in self.payments:
                steps = of_payment(self.tx, one)
                if any(step.kind == kind and step.charge == ref and _said_no(step) for step in steps):
                    continue
                part = min(left, free(one, steps))
                if part > 0:
                    _ask(self.tx, self.at, one, kind, part, ref)
                    left, made = left - part, made + 1
            if left and not self._awaited():
                _except(
                    self.tx,
                    self.order_no,
                    ref,
                    "not_authorised" if kind == "capture" else "not_captured",
                    left,
                    self.at,
                )
            elif not left:
                self._clear(ref)
        return made

    def let_go(self) -> None:
        """Void what is kept of each payment."""
        for one in self.payments:
            steps = of_payment(self.tx, one)
            if any(step.kind == "void" and (step.open or _said_no(step)) for step in steps):
                continue
            rest = _free_to_capture(one, steps)
            if rest > 0:
                _ask(self.tx, self.at, one, "void", rest)
                self.let += 1

    def _awaited(self) -> bool:
        """Whether something that was asked for may still bring money: an authorisation, or what comes after a capture."""
        return any(
            step.state == "wanted" and step.kind in ("authorise", "capture")
            for one in of_order(self.tx, self.order_no)
            for step in of_payment(self.tx, one)
        )

    def _clear(self, ref: str) -> None:
        self.tx.run("DELETE FROM payment_exception WHERE order_no = :no AND ref = :ref", no=self.order_no, ref=ref)


def _said_no(step: Step) -> bool:
    """Whether a provider does not do it. What somebody says was not done can be asked for anew."""
    return step.state == "refused" and step.why != NOT_DONE


def _cents_asked(steps: Sequence[Step], *kinds: str) -> int:
    """What was asked for, and is not done as far as anybody knows."""
    return sum(step.cents for step in steps if step.open and step.kind in kinds)


def _unasked(one: Payment, steps: Sequence[Step]) -> int:
    """What is kept and is neither to be taken nor let go."""
    return one.kept_cents - _cents_asked(steps, "capture", "void")


def _free_to_capture(one: Payment, steps: Sequence[Step]) -> int:
    """What may still be asked for of what is kept."""
    asked = {step.kind for step in steps if step.open}
    if "void" in asked or (not one.often and ("capture" in asked or one.captured_cents)):
        return 0
    return _unasked(one, steps)


def _free_to_refund(one: Payment, steps: Sequence[Step]) -> int:
    return one.captured_cents - one.refunded_cents - _cents_asked(steps, "refund")


def _follows_paid(tx: Tx, order_no: int) -> bool:
    """Whether an order is in place of a return of one that is paid here, or of one that is in place of such a return."""
    sql = (
        "WITH RECURSIVE former (no) AS (SELECT r.order_no FROM rma r WHERE r.exchange_no = :no "
        "UNION SELECT r.order_no FROM former f JOIN rma r ON r.exchange_no = f.no) "
        "SELECT 1 FROM former f JOIN payment p ON p.order_no = f.no LIMIT 1"
    )
    return tx.first(sql, no=order_no) is not None


def _following(tx: Tx, order_no: int) -> list[int]:
    """The orders in place of returns of an order, and of returns of those."""
    sql = (
        "WITH RECURSIVE later (no) AS (SELECT r.exchange_no FROM rma r WHERE r.order_no = :no AND r.exchange_no IS NOT NULL "
        "UNION SELECT r.exchange_no FROM later l JOIN rma r ON r.order_no = l.no WHERE r.exchange_no IS NOT NULL) "
        "SELECT no FROM later ORDER BY no"
    )
    return [no for (no,) in tx.all(sql, no=order_no)]


def _may_still_cost(tx: Tx, order_no: int) -> bool:
    """Whether something of an order may still leave, or has left and is not charged yet."""
    row = tx.first(
        "SELECT o.open + o.allocated + o.released, (SELECT COUNT(*) FROM consignment k LEFT JOIN charge c ON c.ref = k.id "
        "WHERE k.order_no = o.no AND k.shipped_at IS NOT NULL AND c.no IS NULL) FROM orders o WHERE o.no = :no",
        no=order_no,
    )
    assert row is not None, "orders are never deleted"
    return bool(row[0] or row[1])


def _moved(
    tx: Tx, at: int, one: Payment, step: Step, column: str, kind: type[PaymentCaptured] | type[PaymentRefunded]
) -> None:
    """Money went to us, or back to the customer."""
    tx.run(f"UPDATE payment SET {column} = {column} + :cents WHERE no = :no", cents=step.cents, no=one.no)
    fact = kind(
        id=short_id("pay", step.id, "done"),
        at=at,
        order=one.order,
        payment=one.id,
        cents=step.cents,
        charge=step.charge,
    )
    write_facts(tx, [fact])


def _let_go(tx: Tx, at: int, one: Payment, why: Any) -> None:
    """Its provider keeps the rest of it no longer; where the order still needs that, it is authorised anew by the same token."""
    rest = _unasked(one, of_payment(tx, one))  # of what is asked for, the answer tells
    if rest <= 0:
        return
    ended = str(one.captured_cents), str(one.voided_cents)
    _void(tx, at, one, rest, why, short_id("pay", one.id, why, *ended))
    if one.token and _Book(tx, one.order_no, at, []).needs_money():
        _make(tx, at, short_id("pay", one.id, "again", *ended), one.order_no, one.provider, one.token, rest)


def _void(tx: Tx, at: int, one: Payment, cents: int, why: Any, fact: str) -> None:
    tx.run("UPDATE payment SET voided_cents = voided_cents + :cents WHERE no = :no", cents=cents, no=one.no)
    write_facts(tx, [PaymentVoided(id=fact, at=at, order=one.order, payment=one.id, cents=cents, why=why)])


def _failed(tx: Tx, at: int, one: Payment, step: Step, why: str, *, lost: bool = False) -> Payment:
    """Something that was asked for is not done, or nobody knows (`lost`)."""
    what: Any = step.kind
    write_facts(tx, [
        PaymentDeclined(id=short_id("pay", step.id, "declined"), at=at, order=one.order, payment=one.id, cents=step.cents,
                        what=what, why=why)
    ])  # fmt: skip
    if lost:
        _except(tx, one.order_no, step.id, why, step.cents, at)
    if step.kind == "authorise":
        tx.run("UPDATE payment SET state = 'declined', why = :why WHERE no = :no", why=why, no=one.no)
        tx.run(
            "UPDATE orders SET review = :yes, version = version + 1 WHERE no = :no AND NOT review AND open + allocated > 0",
            yes=True, no=one.order_no,
        )  # fmt: skip
    elif lost:
        pass
    elif step.kind == "capture" and why == EXPIRED:
        _let_go(tx, at, one, EXPIRED)
    elif step.kind == "void" and why == EXPIRED:
        _void(tx, at, one, step.cents, EXPIRED, short_id("pay", step.id, "done"))
    else:
        _except(tx, one.order_no, step.charge or one.id, why, step.cents, at)
    settle(tx, one.order_no, at)
    return get(tx, one.id)


def _except(tx: Tx, order_no: int, ref: str, why: str, cents: int, at: int) -> None:
    """Somebody has to look at it; what is known of why stays."""
    tx.run(
        "INSERT INTO payment_exception (order_no, ref, why, cents, at) VALUES (:no, :ref, :why, :cents, :at) "
        "ON CONFLICT (order_no, ref) DO UPDATE SET cents = excluded.cents",
        no=order_no, ref=ref, why=why, cents=cents, at=at,
    )  # fmt: skip


def _make(tx: Tx, at: int, id: str, order_no: int, provider: str, token: str, cents: int) -> Payment:
    tx.run(
        "INSERT INTO payment (id, order_no, provider, token, currency, cents, at) "
        "VALUES (:id, :order, :provider, :token, :currency, :cents, :at)",
        id=id, order=order_no, provider=provider, token=token, currency=currency(tx) or CURRENCY, cents=cents, at=at,
    )  # fmt: skip
    one = get(tx, id)
    _ask(tx, at, one, "authorise", cents)
    return one


def _ask(tx: Tx, at: int, one: Payment, kind: str, cents: int, charge: str = "") -> None:
    """Write down what is to be asked."""
    count = tx.value("SELECT COUNT(*) FROM payment_step WHERE payment_no = :no", no=one.no)
    tx.run(
        "INSERT INTO payment_step (id, payment_no, kind, cents, charge, next_at, at) "
        "VALUES (:id, :payment, :kind, :cents, :charge, :at, :at)",
        id=short_id("pay", one.id, kind, str(count)), payment=one.no, kind=kind, cents=cents, charge=charge, at=at,
    )  # fmt: skip


def _begin(tx: Tx, at: int, step: Step, state: str = "done", why: str = "") -> Payment | None:
    """End a step, and give its payment, whose order is locked; nothing where it is not what it was any more."""
    one = get(tx, step.payment)
    lock_orders(tx, [one.order_no])
    if step.state == "lost":
        why = why or SETTLED
        tx.run("DELETE FROM payment_exception WHERE order_no = :no AND ref = :ref", no=one.order_no, ref=step.id)
    ended = tx.run(
        "UPDATE payment_step SET state = :state, done_at = :at, why = :why WHERE no = :no AND state = :was",
        state=state, at=at, why=why, no=step.no, was=step.state,
    )  # fmt: skip
    return get(tx, one.id) if ended else None


def _step(tx: Tx, id: str) -> Step:
    row = tx.first(f"SELECT {_STEP} {_STEPS} WHERE s.id = :id", id=id)
    assert row is not None, "steps are never deleted"
    return Step(*row)


def _find(tx: Tx, id: str) -> Payment | None:
    found = tx.first(f"SELECT {_SHOWN} {_FROM} WHERE p.id = :id", id=id)
    return _read(found) if found else None


def _read(row: Sequence[Any]) -> Payment:
    one = Payment(*row)
    return replace(one, often=bool(one.often))
