"""From an order to its provider and back: whatever is lost, refused or repeated, money moves once, and the books agree."""

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from api.payments import PROVIDERS, Asked, NoAnswer, NothingDone, Openers, Setup
from api.payments.calls import Pay, Payments
from api.payments.own import Own
from api.payments.stripe import Stripe
from api.settings import Settings
from engine.database import Database
from engine.payments import Payment
from engine.reconciliation import reconcile
from solver.refusal import Refusal
from tests.api.payments.stripe_stand_in import KEY, Account, served
from tests.engine.shop import DAY, NOON, open_shop, state_of
from tests.engine.tills import amiss, exceptions, owe, sell, send, sums

SECRET = SecretStr("xTgDrM8dHbTKtYqXbV0k4B1bqnq3cX0w0y8G0r9f1Wg=")
HOUR = 3_600_000


# how Stripe's library calls httpx is its own affair
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@dataclass
class Clock:
    at: int = NOON

    def __call__(self) -> int:
        return self.at


@dataclass
class Till:
    database: Database
    clock: Clock
    calls: Payments

    def pay(self, order: str, cents: int, token: str = "tok_1", provider: str = "own") -> Payment:  # noqa: S107
        return self.calls.ask(Pay(f"pay {order}", order, provider, token, cents))

    def wait(self, hours: int) -> int:
        """Look again every quarter of an hour, for so many hours; says how often a provider was asked."""
        asked = self.calls.settle()
        for _ in range(4 * hours):
            self.clock.at += HOUR // 4
            asked += self.calls.settle()
        return asked


def till_of(database: Database, known: Openers = PROVIDERS) -> Till:
    clock = Clock()
    return Till(database, clock, Payments(Settings(secret_key=SECRET), database, clock, known))


@contextmanager
def stripe_of(account: Account) -> Iterator[Openers]:
    """An account of Stripe, served here."""
    with served(account) as url, closing(Stripe(KEY, url, timeout=5)) as stripe:
        yield {"stripe": lambda _setup: stripe}


@pytest.fixture
def till(database: Database) -> Iterator[Till]:
    open_shop(database)
    yield till_of(database)
    with database.read() as tx:
        assert amiss(tx) == []


def test_an_order_is_paid_parcel_by_parcel_and_its_return_given_back(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 2), ("cap", 1))
    assert till.pay(order, 2600).state == "authorised"
    send(till.database, order, (1, 1))
    send(till.database, order, (1, 1), (2, 1))
    owe(till.database, order, "rfd1", (1, 1, 1000))
    till.wait(1)
    assert sums(till.database, order) == (2600, 2500, 100, 1000)


def test_the_token_is_kept_sealed(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 1))
    till.pay(order, 1000, "tok_very_secret")
    with till.database.read() as tx:
        assert "tok_very_secret" not in str(tx.all("SELECT * FROM payment"))
        assert "tok_very_secret" not in str(tx.all("SELECT * FROM gateway_entry"))
        assert "tok_very_secret" not in str(tx.all("SELECT payload FROM fact"))


def test_a_card_that_is_declined_holds_the_order(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 1))
    one = till.pay(order, 1000, "tok_declined")
    assert (one.state, one.why) == ("declined", "card_declined")
    assert state_of(till.database, order) == "held"


def test_answers_that_come_late_move_money_once(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 2))
    assert till.pay(order, 2000, "tok_late").state == "wanted"
    send(till.database, order, (1, 1))
    till.wait(1)
    assert sums(till.database, order) == (2000, 1000, 0, 0)
    with till.database.read() as tx:
        assert tx.value("SELECT SUM(cents) FROM gateway_entry WHERE kind = 'capture'") == 1000


def test_a_provider_that_never_answers_is_given_up_and_the_order_held(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 1))
    till.pay(order, 1000, "tok_silent")
    assert 10 < till.wait(24) < 40
    assert till.wait(24) == 0
    assert exceptions(till.database, order) == [("no_answer", 1000)]
    assert state_of(till.database, order) == "held"


@pytest.mark.parametrize("error", [Refusal("ALLOT_STRIPE_KEY", "must be set", "bad_setting"), NothingDone()])
def test_what_is_never_sent_is_not_lost_and_done_once_that_is_mended(database: Database, error: Exception) -> None:
    """Over a weekend there is no key, or no connection."""
    away: list[Exception] = []

    def open_away(setup: Setup) -> Own:
        if away:
            raise away[0]
        return Own(setup.database, setup.clock)

    open_shop(database)
    till = till_of(database, {"own": open_away})
    order = sell(database, "1", ("tee", 1))
    till.pay(order, 1000)
    send(database, order, (1, 1))
    away.append(error)
    till.wait(48)
    assert exceptions(database, order) == []
    away.clear()
    till.wait(1)
    assert sums(database, order) == (1000, 1000, 0, 0)


def test_what_may_have_been_done_once_is_lost_though_nothing_is_sent_later(database: Database) -> None:
    answers: list[Exception] = []

    class Away(Own):
        def capture(self, asked: Asked) -> None:
            raise answers.pop() if answers else NothingDone

    open_shop(database)
    till = till_of(database, {"own": lambda setup: Away(setup.database, setup.clock)})
    order = sell(database, "1", ("tee", 1))
    till.pay(order, 1000)
    send(database, order, (1, 1))
    answers.append(NoAnswer())
    till.wait(24)
    assert exceptions(database, order) == [("no_answer", 1000)]


def test_what_is_kept_for_an_hour_is_kept_again_until_it_leaves(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 1))
    till.pay(order, 1000, "tok_short")
    till.wait(3)
    send(till.database, order, (1, 1))
    till.wait(1)
    authorised, captured, voided, _ = sums(till.database, order)
    assert captured == 1000
    assert authorised == captured + voided > 2000


def test_what_can_be_taken_once_is_taken_parcel_by_parcel_all_the_same(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 3))
    till.pay(order, 3000, "tok_once")
    for _ in range(3):
        send(till.database, order, (1, 1))
        till.wait(1)
    assert sums(till.database, order)[1] == 3000
    assert exceptions(till.database, order) == []


def test_a_card_that_cannot_be_charged_any_more_is_an_exception(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 1))
    till.pay(order, 1000, "tok_no_capture")
    send(till.database, order, (1, 1))
    till.wait(2)
    assert exceptions(till.database, order) == [("card_declined", 1000)]


def test_a_provider_that_is_not_there_is_refused_before_anything_is_written(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 1))
    with pytest.raises(Refusal, match="nobody"):
        till.pay(order, 1000, provider="nobody")
    with till.database.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM payment") == 0


class Moody(Own):
    """The embedded provider behind a network that loses every third request, and every third answer."""

    chance = random.Random(5)  # noqa: S311 -- a seed, not a secret

    def _do(self, *asked: object) -> None:
        mood = Moody.chance.random()
        if mood < 1 / 3:
            raise NoAnswer
        super()._do(*asked)  # type: ignore[arg-type]
        if mood < 2 / 3:
            raise ConnectionResetError


def test_on_a_bad_network_every_order_ends_balanced(database: Database) -> None:
    def open_moody(setup: Setup) -> Own:
        return Moody(setup.database, setup.clock)

    open_shop(database)
    till = till_of(database, {"own": open_moody})
    orders = [sell(database, str(n), ("tee", 2)) for n in range(10)]
    for n, order in enumerate(orders):
        till.pay(order, 2500)
        send(database, order, (1, 1))
        send(database, order, (1, 1))
        if n % 2:
            owe(database, order, f"rfd{n}", (1, 1, 1000))
    till.wait(18)
    with database.read() as tx:
        accounts = reconcile(tx, 0, 10**13)
        assert amiss(tx) == []
        moved = dict(tx.all("SELECT kind, SUM(cents) FROM gateway_entry GROUP BY kind"))
    assert [one.unbalanced for one in accounts] == [()] * 10
    assert {kind: int(cents) for kind, cents in moved.items()} == {
        "authorise": 25_000, "capture": 20_000, "void": 5_000, "refund": 5_000,
    }  # fmt: skip


@pytest.mark.parametrize("multicapture", [True, False])
def test_an_order_goes_through_stripe_with_lost_answers(database: Database, multicapture: bool) -> None:
    """Two parcels, a rest that is let go, a refund: whether or not the account may capture more than once."""
    open_shop(database)
    account = Account(multicapture=multicapture, fails=["", "lost", "down", "", "lost", "", "busy", "lost"])
    with stripe_of(account) as known:
        till = till_of(database, known)
        order = sell(database, "1", ("tee", 2))
        assert till.pay(order, 2600, "cus_1:pm_card_visa", "stripe").state == "authorised"
        for _ in range(2):
            send(database, order, (1, 1))
            till.wait(2)
        owe(database, order, "rfd1", (1, 1, 1000))
        till.wait(2)
    with database.read() as tx:
        (one,) = reconcile(tx, 0, 10**13)
        assert amiss(tx) == []
    assert (one.captured, one.refunded, one.unbalanced) == (2000, 1000, ())
    assert sum(intent["amount_received"] for intent in account.intents.values()) == 2000
    assert sum(intent["amount_capturable"] for intent in account.intents.values()) == 0
    assert [back["amount"] for back in account.refunds] == [1000]
    assert len(account.intents) == (1 if multicapture else 2)


def test_stripe_lets_a_payment_expire_and_it_is_authorised_anew(database: Database) -> None:
    open_shop(database)
    account = Account()
    with stripe_of(account) as known:
        till = till_of(database, known)
        order = sell(database, "1", ("tee", 1))
        till.pay(order, 1000, "cus_1:pm_card_visa", "stripe")
        account.expire()
        send(database, order, (1, 1))
        till.wait(1)
    assert sums(database, order)[1] == 1000
    assert [one["status"] for one in account.intents.values()] == ["canceled", "succeeded"]


def test_seven_days_later_the_embedded_provider_keeps_nothing(till: Till) -> None:
    order = sell(till.database, "1", ("tee", 1))
    till.pay(order, 1000)
    till.clock.at += 7 * DAY
    till.calls.settle()
    assert sums(till.database, order) == (2000, 0, 1000, 0), "it is authorised anew, for it may still leave"
