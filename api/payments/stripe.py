"""Stripe: one PaymentIntent for each authorisation, captured by hand, confirmed without the customer by a token (payment method).

The token is `pm_...`, or `cus_...:pm_...` where it is kept with a customer: only that can be used again, which is needed where an
authorisation expires, and where parts leave one after the other. Stripe captures an intent once, and lets the rest go with it,
unless the account has multicapture: it is asked for (`request_multicapture=if_available`), and the answer says whether a payment
has it. Without it, each further parcel has an intent of its own, made as the first is captured
(docs.stripe.com/payments/multicapture, docs.stripe.com/payments/place-a-hold-on-a-payment-method).
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import httpx
import stripe

from api.payments import Asked, Declined, Kept, NoAnswer, NothingDone, Wanted
from api.settings import Settings
from solver.refusal import Refusal

T = TypeVar("T")
TIMEOUT = 20.0
"""Seconds for a call."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")
_EXPIRED = ("charge_expired_for_capture", "payment_intent_payment_attempt_expired")


def open_stripe(settings: Settings) -> "Stripe":
    """Open the account that the settings name.

    Raises
    ------
    Refusal
        `bad_setting`: they name none.
    """
    if settings.stripe_key is None:
        raise Refusal("ALLOT_STRIPE_KEY", "must be set for payments by Stripe", "bad_setting")
    return _open(settings.stripe_key.get_secret_value(), settings.stripe_url)


@cache
def _open(key: str, url: str | None) -> "Stripe":
    """One client for each account, which keeps its connections."""
    return Stripe(key, url)


class Stripe:
    """An account of Stripe.

    Parameters
    ----------
    url
        Where its API is, if not at Stripe.
    """

    def __init__(self, key: str, url: str | None = None, timeout: float = TIMEOUT) -> None:
        self._http = stripe.HTTPXClient(timeout=timeout, allow_sync_methods=True)
        more: dict[str, Any] = {"base_addresses": {"api": url}} if url else {}
        # what is not answered is asked again by its row, not here
        client = stripe.StripeClient(key, http_client=self._http, max_network_retries=0, **more)
        self._intents, self._refunds = client.v1.payment_intents, client.v1.refunds

    def close(self) -> None:
        """Close its connections."""
        self._http.close()  # type: ignore[no-untyped-call]

    def authorise(self, wanted: Wanted) -> Kept:
        """Make an intent and confirm it."""
        customer, _, method = wanted.token.rpartition(":")
        params: Any = {
            "amount": wanted.cents,
            "currency": wanted.currency.lower(),
            "payment_method": method,
            "payment_method_types": ["card"],
            "capture_method": "manual",
            "confirm": True,
            "off_session": True,
            "payment_method_options": {"card": {"request_multicapture": "if_available"}},
            "metadata": {"order": wanted.order},
            "expand": ["latest_charge"],
            **({"customer": customer} if customer else {}),
        }
        intent = _asked(lambda: self._intents.create(params, {"idempotency_key": wanted.key}))
        if intent.status != "requires_capture":
            raise Declined("needs_customer" if intent.status == "requires_action" else "not_authorised")
        card = _card(intent)
        before, multi = card.get("capture_before"), card.get("multicapture") or {}
        return Kept(intent.id, 1000 * int(before) if before else None, multi.get("status") == "available")

    def capture(self, asked: Asked) -> None:
        """Capture a part; the rest stays, where the intent has multicapture."""
        params: Any = {"amount_to_capture": asked.cents, **({"final_capture": False} if asked.often else {})}
        try:
            _asked(lambda: self._intents.capture(asked.reference, params, {"idempotency_key": asked.key}))
        except Declined as declined:
            if declined.code == "payment_intent_unexpected_state" and self._state(asked.reference) == "canceled":
                raise Declined("expired") from declined
            raise

    def void(self, asked: Asked) -> None:
        """Cancel the intent: what was captured of it stays, the rest is let go."""
        try:
            _asked(lambda: self._intents.cancel(asked.reference, {}, {"idempotency_key": asked.key}))
        except Declined:
            if self._state(asked.reference) not in ("canceled", "succeeded"):  # nothing is kept then
                raise

    def refund(self, asked: Asked) -> None:
        """Give back a part of what an intent has captured."""
        params: Any = {"payment_intent": asked.reference, "amount": asked.cents}
        made = _asked(lambda: self._refunds.create(params, {"idempotency_key": asked.key}))
        if made.status in ("failed", "canceled"):
            raise Declined("refund_failed")

    def _state(self, reference: str) -> str:
        return str(_asked(lambda: self._intents.retrieve(reference)).status)


def _asked(ask: Callable[[], T]) -> T:
    """What Stripe answers; what it says no to by a name. Whatever may pass is no answer: limits, keys, its own faults."""
    try:
        return ask()
    except stripe.CardError as error:
        raise Declined(_named(getattr(error.error, "decline_code", None), error.code, usual="card_declined")) from None
    except stripe.IdempotencyError:
        raise NoAnswer from None
    except stripe.InvalidRequestError as error:
        if error.http_status == 409:
            raise NoAnswer from None
        raise Declined("expired" if error.code in _EXPIRED else _named(error.code, usual="invalid_request")) from None
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise NothingDone from error
    except stripe.StripeError as error:
        if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
            raise NothingDone from error
        raise NoAnswer from error


def _named(*codes: Any, usual: str) -> str:
    """The first that is the name of a reason: nothing else that Stripe says is kept."""
    return next((code for code in codes if isinstance(code, str) and _NAME.match(code)), usual)


def _card(intent: Any) -> dict[str, Any]:
    """What an intent says of the card that it is paid by, if it does."""
    charge = intent.get("latest_charge") if hasattr(intent, "get") else intent["latest_charge"]
    if charge is None or isinstance(charge, str):
        return {}
    details = charge.to_dict().get("payment_method_details") or {}
    return dict(details.get("card") or {})
