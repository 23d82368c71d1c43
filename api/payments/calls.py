"""Calls to providers of payments: each outside of any transaction, from a row written before it, and its answer into that row.

Nothing that a provider says of people is kept or logged: only names of reasons, and what it calls the payment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from api.payments import (
    PROVIDERS,
    Asked,
    Declined,
    NoAnswer,
    NothingDone,
    Openers,
    Provider,
    Setup,
    Wanted,
    open_provider,
)
from api.settings import Settings
from api.vault import vault_of
from engine import payments
from engine.billing import follow
from engine.database import Database
from engine.payments import Payment, Step

log = structlog.get_logger("allot")
ROUNDS = 20
"""How often what waits is looked for at once: what is answered may bring more to ask."""


@dataclass(frozen=True, slots=True)
class Pay:
    """Money that somebody wants kept for an order. `id` is the same for the same request."""

    id: str
    order: str
    provider: str
    token: str = field(repr=False)
    cents: int = 0


@dataclass(frozen=True)
class Payments:
    """Calls from one process, on its database and its clock."""

    settings: Settings
    database: Database
    clock: Callable[[], int]
    known: Openers = field(default_factory=lambda: PROVIDERS)

    def ask(self, pay: Pay) -> Payment:
        """Write down that money is to be kept, and ask for it. Where the provider does not answer, the payment stays wanted.

        Raises
        ------
        Refusal
            `unknown_provider`, `bad_setting`, or as `engine.payments.want`.
        """
        at = self.clock()
        self._open(pay.provider)
        sealed = vault_of(self.settings).seal(pay.token)
        one, step = self.database.write(
            lambda tx: payments.want(tx, at, pay.id, pay.order, pay.provider, sealed, pay.cents)
        )
        if step is not None:
            self._call(step)
        with self.database.read() as tx:
            return payments.get(tx, one.id)

    def settle(self) -> int:
        """Bill what the log says, and ask providers for whatever waits; says how often one was asked."""
        while self.database.write(lambda tx: follow(tx, self.clock())):
            pass
        while self.database.write(lambda tx: payments.lose(tx, self.clock())):
            pass
        while self.database.write(lambda tx: payments.expire(tx, self.clock())):
            pass
        count = 0
        for _ in range(ROUNDS):
            at = self.clock()
            with self.database.read() as tx:
                found = payments.waiting(tx, at)
            taken = [step for step in found if self._take(step, at)]
            for step in taken:
                self._call(step)
            count += len(taken)
            if not taken:
                break
        return count

    def _take(self, step: Step, at: int) -> bool:
        return self.database.write(lambda tx: payments.take(tx, at, step))

    def _open(self, name: str) -> Provider:
        return open_provider(name, Setup(self.settings, self.database, self.clock), self.known)

    def _call(self, step: Step) -> None:
        """Ask a provider for what is ours to ask for, and write down how that went."""
        write, clock = self.database.write, self.clock
        with self.database.read() as tx:
            one = payments.get(tx, step.payment)
        try:
            provider, wanted = self._prepared(one, step)
            if wanted is not None:
                kept = provider.authorise(wanted)
                write(lambda tx: payments.authorised(tx, clock(), step, kept.reference, kept.expires_at, kept.often))
                return
            assert one.reference is not None, "it is authorised"
            asked = Asked(step.id, one.reference, step.cents, one.currency, one.often)
            if step.kind == "capture":
                provider.capture(asked)
            elif step.kind == "void":
                provider.void(asked)
            else:
                provider.refund(asked)
        except Declined as declined:
            why = declined.code
            write(lambda tx: payments.refused(tx, clock(), step, why))
            return
        except Exception as error:
            if not isinstance(error, NoAnswer):
                log.warning("provider failed", provider=one.provider, step=step.id, error=type(error).__name__)
            nothing = isinstance(error, NothingDone)
            write(lambda tx: payments.unanswered(tx, clock(), step, nothing_done=nothing))
            return
        ended = {"capture": payments.captured, "void": payments.voided, "refund": payments.refunded}[step.kind]
        write(lambda tx: ended(tx, clock(), step))

    def _prepared(self, one: Payment, step: Step) -> tuple[Provider, Wanted | None]:
        """A provider, and what it is to keep where that is asked of it. Raises NothingDone where it cannot be asked."""
        try:
            provider = self._open(one.provider)
            if step.kind != "authorise":
                return provider, None
            token = vault_of(self.settings).unseal(one.token)
        except Exception as error:
            log.warning("provider not asked", provider=one.provider, step=step.id, error=type(error).__name__)
            raise NothingDone from error
        return provider, Wanted(step.id, one.order, token, step.cents, one.currency)
