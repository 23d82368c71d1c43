"""Money is kept for an order, taken as its parcels leave, given back as it is owed, and let go where nothing needs it."""

from collections.abc import Callable, Iterator

import msgspec
import pytest

from engine import orders, payments, privacy
from engine.database import Database
from engine.facts import OrderCancelled, PaymentSettled, RecipientErased
from engine.orders import place
from engine.payments import Step
from solver.refusal import Refusal
from tests.engine.shop import DAY, NOON, open_shop, state_of, supply
from tests.engine.tills import LATER, amiss, answer, bill, exceptions, owe, pay, priced, sell, send, sums, tax

HOUR = 3_600_000


@pytest.fixture
def till(database: Database) -> Iterator[Database]:
    """A shop with prices; the books balance at the end."""
    open_shop(database)
    yield database
    with database.read() as tx:
        assert amiss(tx) == []


def cancel(till: Database, order: str) -> None:
    till.write(lambda tx: orders.cancel(tx, OrderCancelled(id=f"cancel {order}", at=LATER, order=order)))


def kinds(till: Database, order: str) -> list[str]:
    with till.read() as tx:
        return [
            kind
            for (kind,) in tx.all(
                "SELECT kind FROM fact WHERE subject = :o AND kind LIKE 'Payment%' ORDER BY no", o=order
            )
        ]


def test_each_parcel_takes_what_is_in_it_and_the_last_lets_the_rest_go(till: Database) -> None:
    order = sell(till, "1", ("tee", 2), ("cap", 1))
    pay(till, order, 3000)
    send(till, order, (1, 1))
    bill(till)
    answer(till)
    assert sums(till, order) == (3000, 1000, 0, 0), "one tee has left"
    send(till, order, (1, 1), (2, 1))
    bill(till)
    answer(till)
    assert sums(till, order) == (3000, 2500, 500, 0)
    assert kinds(till, order) == ["PaymentAuthorised", "PaymentCaptured", "PaymentCaptured", "PaymentVoided"]


def test_the_carriage_is_shared_by_parcels_and_nothing_of_it_is_lost(till: Database) -> None:
    order = sell(till, "1", ("tee", 3))
    tax(till, order, 500)
    pay(till, order, 3500)
    taken = []
    for _ in range(3):
        send(till, order, (1, 1))
        bill(till)
        answer(till)
        taken.append(sums(till, order)[1])
    assert taken == [1166, 2333, 3500]


def test_what_is_paid_and_has_left_is_not_paid_again(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    answer(till)
    with pytest.raises(Refusal, match="all that has left is paid") as refused:
        pay(till, order, 1000, id="again")
    assert refused.value.code == "nothing_to_pay"
    assert sums(till, order) == (1000, 1000, 0, 0)


def test_billing_twice_takes_nothing_twice(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    till.write(lambda tx: tx.run("UPDATE consumer SET fact_tx = 0, fact_no = 0 WHERE name = 'billing'"))
    bill(till)
    assert [step.kind for step in answer(till)] == ["capture"]


def test_what_is_cancelled_is_let_go(till: Database) -> None:
    order = sell(till, "1", ("tee", 2))
    pay(till, order, 2000)
    cancel(till, order)
    bill(till)
    assert [step.kind for step in answer(till)] == ["void"]
    assert sums(till, order) == (2000, 0, 2000, 0)


def test_nothing_is_let_go_before_what_left_is_charged(till: Database) -> None:
    """Cancelling the rest comes before the log says what left: what left is still to be paid."""
    order = sell(till, "1", ("tee", 2))
    pay(till, order, 2000)
    till.write(lambda tx: orders.cancel(tx, _some(order, 1)))
    send(till, order, (1, 1))
    bill(till)
    assert [(step.kind, step.cents) for step in answer(till)] == [("capture", 1000), ("void", 1000)]


def _some(order: str, units: int) -> OrderCancelled:
    from engine.facts import LineUnits

    return OrderCancelled(id=f"some {order}", at=NOON, order=order, lines=(LineUnits(line=1, units=units),))


def test_a_payment_that_is_declined_holds_the_order_for_review(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    one, step = till.write(lambda tx: payments.want(tx, NOON, "p1", order, "test", "sealed", 1000))
    assert step is not None
    one = till.write(lambda tx: payments.refused(tx, LATER, step, "insufficient_funds"))
    assert (one.state, one.why) == ("declined", "insufficient_funds")
    assert state_of(till, order) == "held"
    assert kinds(till, order) == ["PaymentDeclined"]


def test_the_same_payment_again_is_one_payment(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000, id="p1")
    one, step = till.write(lambda tx: payments.want(tx, LATER, "p1", order, "test", "sealed", 1000))
    assert (one.authorised_cents, step) == (1000, None)


def test_what_leaves_before_the_provider_answers_is_taken_afterwards(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000, answered=False)
    send(till, order, (1, 1))
    bill(till)
    assert exceptions(till, order) == [], "it is still asked for"
    assert [step.kind for step in answer(till, NOON + HOUR)] == ["authorise", "capture"]
    assert sums(till, order) == (1000, 1000, 0, 0)


def test_what_is_not_authorised_is_an_exception_until_somebody_pays(till: Database) -> None:
    order = sell(till, "1", ("tee", 3))
    pay(till, order, 2500)
    send(till, order, (1, 3))
    bill(till)
    answer(till)
    assert sums(till, order) == (2500, 2500, 0, 0), "never more than is authorised"
    assert exceptions(till, order) == [("not_authorised", 500)]
    pay(till, order, 500, id="p2")
    answer(till)
    assert sums(till, order) == (3000, 3000, 0, 0)
    assert exceptions(till, order) == []


def test_what_can_be_taken_once_is_authorised_anew_for_the_next_parcel(till: Database) -> None:
    order = sell(till, "1", ("tee", 2))
    pay(till, order, 2000, often=False)
    for _ in range(2):
        send(till, order, (1, 1))
    bill(till)
    assert [(step.kind, step.cents) for step in answer(till, often=False)] == [
        ("capture", 1000), ("authorise", 1000), ("capture", 1000),
    ]  # fmt: skip
    assert sums(till, order) == (3000, 2000, 1000, 0)
    assert exceptions(till, order) == []


def expired_once() -> Callable[[payments.Step], str]:
    """What a provider says that keeps no longer what is captured first, and does everything else."""
    first = [True]
    return lambda step: "expired" if step.kind == "capture" and first and first.pop() else ""


def test_what_expired_is_authorised_anew_and_taken(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    assert [step.kind for step in answer(till, say=expired_once())] == ["capture", "authorise", "capture"]
    assert sums(till, order) == (2000, 1000, 1000, 0)


def test_what_is_being_let_go_when_a_capture_expires_is_let_go_once(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1500)
    send(till, order, (1, 1))
    bill(till)
    asked = [step.kind for step in answer(till, say=expired_once())]
    assert asked[:2] == ["capture", "void"], "both were asked for at once"
    assert sums(till, order) == (2500, 1000, 1500, 0)


def test_what_is_taken_after_another_capture_expired_was_not_let_go(till: Database) -> None:
    order = sell(till, "1", ("tee", 2))
    pay(till, order, 2000)
    send(till, order, (1, 1))
    send(till, order, (1, 1))
    bill(till)
    asked = [step.kind for step in answer(till, say=expired_once())]
    assert asked[:2] == ["capture", "capture"], "both were asked for at once"
    assert sums(till, order) == (3000, 2000, 1000, 0)


def test_the_clock_lets_go_what_is_kept_no_longer(till: Database) -> None:
    """What is still to leave is authorised anew; of what is over, nothing is."""
    order, over = sell(till, "1", ("tee", 1)), sell(till, "2", ("tee", 1))
    for id in (order, over):
        _, step = till.write(lambda tx, id=id: payments.want(tx, NOON, f"p {id}", id, "test", "sealed", 1000))
        assert step is not None
        till.write(lambda tx, step=step: payments.authorised(tx, NOON, step, "r", NOON + 7 * DAY, True))
    cancel(till, over)
    assert till.write(lambda tx: payments.expire(tx, NOON + 6 * DAY)) == 0
    assert till.write(lambda tx: payments.expire(tx, NOON + 7 * DAY)) == 2
    with till.read() as tx:
        assert [step.payment for step in payments.waiting(tx, NOON + 7 * DAY)] != []
    answer(till, NOON + 8 * DAY)
    assert sums(till, order) == (2000, 0, 1000, 0)
    assert sums(till, over) == (1000, 0, 1000, 0)


def test_what_is_owed_is_given_back_of_what_was_taken(till: Database) -> None:
    order = sell(till, "1", ("tee", 2))
    pay(till, order, 2000)
    send(till, order, (1, 2))
    bill(till)
    answer(till)
    owe(till, order, "rfd1", (1, 1, 1000), fee_cents=100, label_cents=50)
    bill(till)
    answer(till)
    assert sums(till, order) == (2000, 2000, 0, 850)
    assert exceptions(till, order) == []


def test_nothing_is_given_back_that_was_not_taken(till: Database) -> None:
    order = sell(till, "1", ("tee", 2))
    pay(till, order, 1000)
    send(till, order, (1, 2))
    bill(till)
    answer(till)
    owe(till, order, "rfd1", (1, 2, 2000))
    bill(till)
    answer(till)
    assert sums(till, order) == (1000, 1000, 0, 1000)
    assert sorted(exceptions(till, order)) == [("not_authorised", 1000), ("not_captured", 1000)]


def test_a_refund_waits_for_the_capture_that_it_is_of(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    owe(till, order, "rfd1", (1, 1, 1000))
    bill(till)
    assert exceptions(till, order) == []
    assert [step.kind for step in answer(till)] == ["capture", "refund"]


def test_a_provider_that_does_not_answer_is_asked_again_later_each_time_by_the_same_key(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    _, step = till.write(lambda tx: payments.want(tx, NOON, "p1", order, "test", "sealed", 1000))
    assert step is not None
    at, waits = NOON, []
    for _ in range(5):
        till.write(lambda tx, at=at: payments.unanswered(tx, at, step))
        with till.read() as tx:
            due = int(tx.value("SELECT next_at FROM payment_step"))
        waits.append((due - at) // 1000)
        at = due
        with till.read() as tx:
            assert [again.id for again in payments.waiting(tx, at)] == [step.id]
        assert till.write(lambda tx, at=at: payments.take(tx, at, step))
        assert not till.write(lambda tx, at=at: payments.take(tx, at, step)), "somebody asks already"
    assert waits == [5, 10, 20, 40, 80]


def test_what_nobody_answers_for_too_long_is_not_asked_again(till: Database) -> None:
    """A provider forgets keys after a day: then the same key would be a second capture."""
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    step = lose(till)
    with till.read() as tx:
        assert payments.waiting(tx, LATER + 30 * DAY) == []
    assert not till.write(lambda tx: payments.take(tx, LATER + 30 * DAY, step))
    assert exceptions(till, order) == [("no_answer", 1000)]
    assert sums(till, order) == (1000, 0, 0, 0)


def test_what_was_asked_before_everybody_died_is_not_asked_again_a_day_later(till: Database) -> None:
    """Nobody was left to write down that there was no answer."""
    order = sell(till, "1", ("tee", 1))
    _, step = till.write(lambda tx: payments.want(tx, NOON, "p1", order, "test", "sealed", 1000))
    assert step is not None
    at = NOON + payments.LONGEST_ASKED
    with till.read() as tx:
        assert payments.waiting(tx, at) == []
    assert not till.write(lambda tx: payments.take(tx, at, step))
    assert till.write(lambda tx: payments.lose(tx, at)) == 1
    assert till.write(lambda tx: payments.lose(tx, at)) == 0
    assert (exceptions(till, order), state_of(till, order)) == ([("no_answer", 1000)], "held")


def test_a_step_is_as_old_as_its_first_call(till: Database) -> None:
    """It may have waited for days until what came before it was answered."""
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    at = LATER + 3 * DAY
    with till.read() as tx:
        (step,) = payments.waiting(tx, at)
    assert till.write(lambda tx: payments.take(tx, at, step))
    till.write(lambda tx: payments.unanswered(tx, at, step))
    assert till.write(lambda tx: payments.lose(tx, at + HOUR)) == 0
    assert [step.kind for step in answer(till, at + HOUR)] == ["capture"]


def lose(till: Database, at: int = LATER) -> Step:
    """Ask for what waits, and never hear of it."""
    with till.read() as tx:
        (step,) = payments.waiting(tx, at)
    assert till.write(lambda tx: payments.take(tx, at, step))
    till.write(lambda tx: payments.unanswered(tx, at, step))
    assert till.write(lambda tx: payments.lose(tx, at + payments.LONGEST_ASKED)) == 1
    return step


def say(till: Database, order: str, step: Step, *, done: bool, reference: str | None = None) -> bool:
    """Say how a step ended that was lost."""
    fact = PaymentSettled(
        id=f"end {step.id}", at=LATER + 3 * DAY, order=order, step=step.id, done=done, reference=reference
    )
    return till.write(lambda tx: payments.end(tx, fact))


def test_somebody_says_that_a_lost_capture_was_done(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1200)
    send(till, order, (1, 1))
    bill(till)
    step = lose(till)
    assert say(till, order, step, done=True)
    assert not say(till, order, step, done=True), "the same again is nothing new"
    assert (sums(till, order), exceptions(till, order)) == ((1200, 1000, 0, 0), [])
    assert [step.kind for step in answer(till, LATER + 3 * DAY)] == ["void"], "what is left of it is let go"
    assert kinds(till, order)[-4:] == ["PaymentDeclined", "PaymentSettled", "PaymentCaptured", "PaymentVoided"]


def test_a_lost_capture_that_was_not_done_is_asked_for_anew_by_another_key(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    step = lose(till)
    say(till, order, step, done=False)
    (again,) = answer(till, LATER + 3 * DAY)
    assert (again.kind, again.cents) == ("capture", 1000)
    assert again.id != step.id
    assert (sums(till, order), exceptions(till, order)) == ((1000, 1000, 0, 0), [])


def test_money_that_is_kept_after_all_is_kept_by_its_reference(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    till.write(lambda tx: payments.want(tx, NOON, "p1", order, "test", "sealed", 1000))
    till.write(lambda tx: payments.lose(tx, NOON + payments.LONGEST_ASKED))
    with till.read() as tx:
        (step,) = payments.of_payment(tx, payments.get(tx, "p1"))
    with pytest.raises(Refusal, match="reference"):
        say(till, order, step, done=True)
    say(till, order, step, done=True, reference="pi_1")
    with till.read() as tx:
        one = payments.get(tx, "p1")
    assert (one.state, one.authorised_cents, one.reference) == ("authorised", 1000, "pi_1")
    assert exceptions(till, order) == []


@pytest.mark.parametrize("done", [True, False])
def test_a_lost_void_is_settled_too(till: Database, done: bool) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    cancel(till, order)
    bill(till)
    say(till, order, lose(till), done=done)
    assert [again.kind for again in answer(till, LATER + 9 * DAY)] == ([] if done else ["void"])
    assert (sums(till, order), exceptions(till, order)) == ((1000, 0, 1000, 0), [])


@pytest.mark.parametrize("done", [True, False])
def test_a_lost_refund_is_settled_too(till: Database, done: bool) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    answer(till)
    owe(till, order, "rfd1", (1, 1, 1000))
    bill(till)
    say(till, order, lose(till), done=done)
    assert [again.kind for again in answer(till, LATER + 9 * DAY)] == ([] if done else ["refund"])
    assert (sums(till, order), exceptions(till, order)) == ((1000, 1000, 0, 1000), [])


def test_what_is_not_lost_is_not_settled_by_hand(till: Database) -> None:
    order, other = sell(till, "1", ("tee", 1)), sell(till, "2", ("tee", 1))
    _, step = till.write(lambda tx: payments.want(tx, NOON, "p1", order, "test", "sealed", 1000))
    assert step is not None
    for whose, code in ((order, "wrong_state"), (other, "unknown_step")):
        with pytest.raises(Refusal) as refused:
            say(till, whose, step, done=False)
        assert refused.value.code == code


def test_what_may_have_been_taken_is_not_let_go_when_it_expires(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    _, step = till.write(lambda tx: payments.want(tx, NOON, "p1", order, "test", "sealed", 1000))
    assert step is not None
    till.write(lambda tx: payments.authorised(tx, NOON, step, "r", NOON + DAY, True))
    send(till, order, (1, 1))
    bill(till)
    lost = lose(till)
    assert till.write(lambda tx: payments.expire(tx, NOON + 3 * DAY)) == 0
    say(till, order, lost, done=True)
    assert sums(till, order) == (1000, 1000, 0, 0)


def test_a_capture_that_is_declined_is_an_exception_and_asked_for_once(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    assert len(answer(till, say=lambda _: "card_declined")) == 1
    cancel_again = [step.kind for step in answer(till)]
    assert cancel_again == []
    assert exceptions(till, order) == [("card_declined", 1000)]


def test_a_kit_is_charged_as_a_kit(till: Database) -> None:
    order = sell(till, "1", ("set", 2))
    pay(till, order, 4000)
    send(till, order, (1, 1))
    bill(till)
    answer(till)
    assert sums(till, order)[1] == 2000


def test_who_cancelled_all_pays_for_nothing(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    cancel(till, order)
    with pytest.raises(Refusal, match="cancelled") as refused:
        pay(till, order, 1000)
    assert refused.value.code == "order_cancelled"


def test_an_order_without_payments_is_charged_and_nobody_is_asked(till: Database) -> None:
    """Paid elsewhere, on a marketplace say."""
    order = sell(till, "1", ("tee", 1))
    send(till, order, (1, 1))
    bill(till)
    assert answer(till) == []
    assert exceptions(till, order) == []
    with till.read() as tx:
        assert tx.value("SELECT cents FROM charge") == 1000


def test_an_order_that_is_held_keeps_its_money_until_it_is_reviewed(till: Database) -> None:
    (placed,) = till.write(lambda tx: place(tx, [priced("r", ("tee", 1), review=True)]))
    pay(till, placed.id, 1000)
    bill(till)
    assert answer(till) == []


# --- by what it was paid ----------------------------------------------------------------------------------------------


def sell_to(till: Database, recipient: str, external_id: str) -> str:
    till.write(lambda tx: orders.remember(tx, [orders.Person(recipient, "Ann")], NOON))
    supply(till, (1, 1, 50))
    order = msgspec.structs.replace(priced(external_id, ("tee", 1)), recipient=recipient)
    return till.write(lambda tx: place(tx, [order]))[0].id


def forget(till: Database, recipient: str) -> None:
    fact = RecipientErased(id=f"erase {recipient}", at=LATER, recipient=recipient)
    till.write(lambda tx: privacy.erase(tx, fact))


def tokens(till: Database) -> list[str]:
    with till.read() as tx:
        return [token for (token,) in tx.all("SELECT token FROM payment ORDER BY no")]


def test_by_what_an_order_was_paid_is_forgotten_with_whoever_paid_and_the_books_stay(till: Database) -> None:
    paid, other = sell_to(till, "cus-1", "1"), sell_to(till, "cus-2", "2")
    for order in (paid, other):
        pay(till, order, 1000)
        send(till, order, (1, 1))
    bill(till)
    answer(till)
    forget(till, "cus-1")
    assert tokens(till) == ["", "sealed"]
    assert sums(till, paid) == (1000, 1000, 0, 0)
    with till.read() as tx:
        assert payments.get(tx, f"pay {paid}").reference == f"ref pay {paid}"
    owe(till, paid, "owed", (1, 1, 400))
    bill(till)
    assert [step.kind for step in answer(till)] == ["refund"]
    assert sums(till, paid) == (1000, 1000, 0, 400)


def test_while_something_is_left_to_be_paid_the_token_stays_and_goes_with_the_last_of_it(till: Database) -> None:
    order = sell_to(till, "cus-1", "1")
    pay(till, order, 2000)
    forget(till, "cus-1")
    assert tokens(till) == ["sealed"]
    send(till, order, (1, 1))
    bill(till)
    assert tokens(till) == ["sealed"]
    assert [step.kind for step in answer(till)] == ["capture", "void"]
    assert tokens(till) == [""]


def test_by_age_the_token_of_what_is_settled_goes_and_of_what_is_not_where_its_recipient_was_erased(
    till: Database,
) -> None:
    for number, recipient in enumerate(("cus-1", "cus-2", "cus-3")):
        pay(till, sell_to(till, recipient, str(number)), 1000)
    settled, refused, _ = with_orders(till)
    for order in (settled, refused):
        send(till, order, (1, 1))
    bill(till)
    answer(till, say=lambda step: "" if step.payment == f"pay {settled}" else "card_declined")
    forget(till, "cus-2")
    assert tokens(till) == ["sealed"] * 3
    till.write(lambda tx: payments.forget_old_tokens(tx, NOON))
    assert tokens(till) == ["sealed"] * 3
    assert till.write(lambda tx: payments.forget_old_tokens(tx, NOON + 1, limit=2)) == 2
    assert till.write(lambda tx: payments.forget_old_tokens(tx, NOON + 1, after=2)) == 3
    assert tokens(till) == ["", "", "sealed"]
    assert exceptions(till, refused) == [("card_declined", 1000)]


def with_orders(till: Database) -> list[str]:
    with till.read() as tx:
        return [id for (id,) in tx.all("SELECT id FROM orders ORDER BY no")]


def test_retention_forgets_tokens_too(till: Database) -> None:
    order = sell(till, "1", ("tee", 1))
    pay(till, order, 1000)
    send(till, order, (1, 1))
    bill(till)
    answer(till)
    till.write(lambda tx: privacy.put_retention(tx, privacy.Retention(days=30), NOON))
    privacy.erase_due(till, NOON + 30 * DAY)
    assert tokens(till) == ["sealed"]
    privacy.erase_due(till, NOON + 30 * DAY + 1)
    assert tokens(till) == [""]
