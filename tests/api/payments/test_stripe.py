"""Stripe keeps, takes, lets go and gives back, against a stand-in of its API that loses answers and refuses."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from api.payments import Asked, Declined, Kept, NoAnswer, NothingDone, Wanted
from api.payments.stripe import Stripe, open_stripe
from api.settings import Settings
from solver.refusal import Refusal
from tests.api.payments.stripe_stand_in import KEY, Account, served

# how Stripe's library calls httpx is its own affair
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@dataclass
class Desk:
    account: Account
    stripe: Stripe

    def keep(self, cents: int = 3000, key: str = "k1", token: str = "cus_1:pm_card_visa") -> Kept:  # noqa: S107
        return self.stripe.authorise(Wanted(key, "ord_1", token, cents, "EUR"))

    def intent(self, kept: Kept) -> tuple[str, int, int]:
        """State, captured, and still kept."""
        one = self.account.intents[kept.reference]
        return one["status"], one["amount_received"], one["amount_capturable"]


@pytest.fixture
def desk() -> Iterator[Desk]:
    account = Account()
    with served(account) as url, closing(Stripe(KEY, url, timeout=5)) as stripe:
        yield Desk(account, stripe)


def asked(kept: Kept, cents: int, key: str) -> Asked:
    return Asked(key, kept.reference, cents, "EUR", kept.often)


def test_money_is_kept_by_a_token_of_a_customer_who_is_not_there(desk: Desk) -> None:
    kept = desk.keep()
    assert kept == Kept("pi_1", 1_764_669_600_000, often=False)
    assert desk.intent(kept) == ("requires_capture", 0, 3000)
    intent = desk.account.intents["pi_1"]
    assert (intent["currency"], intent["customer"], intent["payment_method"]) == ("eur", "cus_1", "pm_card_visa")
    assert intent["metadata"] == {"order": "ord_1"}


def test_without_multicapture_a_capture_lets_the_rest_go(desk: Desk) -> None:
    kept = desk.keep()
    desk.stripe.capture(asked(kept, 1000, "k2"))
    assert desk.intent(kept) == ("succeeded", 1000, 0)


def test_with_multicapture_parts_are_taken_one_after_the_other(desk: Desk) -> None:
    desk.account.multicapture = True
    kept = desk.keep()
    assert kept.often
    desk.stripe.capture(asked(kept, 1000, "k2"))
    desk.stripe.capture(asked(kept, 500, "k3"))
    assert desk.intent(kept) == ("requires_capture", 1500, 1500)
    desk.stripe.void(asked(kept, 1500, "k4"))
    assert desk.intent(kept) == ("succeeded", 1500, 0)


def test_what_was_taken_is_given_back_in_parts_and_never_more(desk: Desk) -> None:
    kept = desk.keep()
    desk.stripe.capture(asked(kept, 3000, "k2"))
    desk.stripe.refund(asked(kept, 1000, "k3"))
    desk.stripe.refund(asked(kept, 2000, "k4"))
    with pytest.raises(Declined, match="charge_already_refunded"):
        desk.stripe.refund(asked(kept, 1, "k5"))


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ],
)
def test_a_card_that_is_declined_is_declined_by_a_name_and_nothing_of_whom(desk: Desk, token: str, code: str) -> None:
    with pytest.raises(Declined) as declined:
        desk.keep(token=token)
    assert declined.value.code == code
    assert "Ann" not in str(declined.value)


@pytest.mark.parametrize("fault", ["lost", "down", "busy"])
def test_nobody_knows_what_was_done_where_the_answer_is_lost_and_the_same_key_does_it_once(
    desk: Desk, fault: str
) -> None:
    desk.account.fails = [fault]
    with pytest.raises(NoAnswer) as none:
        desk.keep()
    assert none.type is NoAnswer, "it may have been done"
    kept = desk.keep()
    assert len(desk.account.intents) == 1
    desk.account.fails = [fault]
    with pytest.raises(NoAnswer):
        desk.stripe.capture(asked(kept, 1000, "k2"))
    desk.stripe.capture(asked(kept, 1000, "k2"))
    assert desk.intent(kept)[1] == 1000
    desk.account.fails = [fault]
    with pytest.raises(NoAnswer):
        desk.stripe.refund(asked(kept, 400, "k3"))
    desk.stripe.refund(asked(kept, 400, "k3"))
    assert [one["amount"] for one in desk.account.refunds] == [400]


def test_a_key_of_another_request_is_no_answer(desk: Desk) -> None:
    desk.keep(3000, "k1")
    with pytest.raises(NoAnswer):
        desk.keep(4000, "k1")


def test_what_expired_cannot_be_taken_and_is_let_go_already(desk: Desk) -> None:
    kept = desk.keep()
    desk.account.expire()
    with pytest.raises(Declined, match="expired"):
        desk.stripe.capture(asked(kept, 1000, "k2"))
    desk.stripe.void(asked(kept, 3000, "k3"))


def test_more_than_is_kept_is_not_taken(desk: Desk) -> None:
    with pytest.raises(Declined, match="amount_too_large"):
        desk.stripe.capture(asked(desk.keep(), 3001, "k2"))


def test_by_a_wrong_key_or_no_network_nothing_is_done_and_that_may_pass(desk: Desk) -> None:
    with served(desk.account) as url:
        for there in (url, "http://127.0.0.1:9"):
            with closing(Stripe("sk_test_other", there, timeout=5)) as other, pytest.raises(NothingDone):
                other.authorise(Wanted("k", "o", "pm", 1, "EUR"))


def test_the_account_is_named_by_the_settings() -> None:
    with pytest.raises(Refusal, match="ALLOT_STRIPE_KEY"):
        open_stripe(Settings())
    one, again = (open_stripe(Settings(stripe_key=SecretStr(KEY))) for _ in range(2))
    assert one is again, "it keeps its connections"
