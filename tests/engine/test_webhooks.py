"""Deliveries: when each is tried, in what order, by whom, and when that ends."""

from collections import Counter
from collections.abc import Sequence

import pytest

from engine import webhooks
from engine.books import fsck
from engine.database import Database, Tx
from engine.events import relay
from engine.facts import Allocated, AllocatedParcel, LineUnits
from engine.ledger import write_facts
from engine.orders import place
from engine.webhooks import AT_ONCE, FAILING, LEASE, REST, SCHEDULE, TRIPS, Due, Result
from solver.refusal import Refusal
from tests.engine.shop import DAY, NOON, open_shop, ordered

HOUR = 3_600_000


@pytest.fixture(autouse=True)
def shop(database: Database) -> None:
    open_shop(database)
    database.write(lambda tx: make(tx, "whk_a"))


def make(tx: Tx, id: str, types: Sequence[str] = ()) -> None:
    webhooks.create(tx, NOON, id, f"https://{id[-1]}.example", types, "", f"first of {id}")


def happen(database: Database, orders: int = 1, each: int = 1, at: int = NOON, begin: int = 0) -> list[str]:
    """Place orders, allocate each as often as said, and tell of it."""
    made = [ordered(f"{begin + n}", ("tee", 1)) for n in range(orders)]
    ids = [one.id for one in database.write(lambda tx: place(tx, made))]
    parcel = AllocatedParcel(node="store", lines=(LineUnits(line=1, units=1),), arrives_day=20_302, cents=1)
    for n in range(each - 1):
        facts = [Allocated(id=f"{n}{id}", at=at, order=id, parcels=(parcel,), promise_day=20_303) for id in ids]
        database.write(lambda tx, facts=facts: write_facts(tx, facts))
    while database.write(lambda tx: relay(tx, at)):
        pass
    return ids


def claim(database: Database, at: int = NOON, worker: str = "w", most: int = 100, **busy: int) -> list[Due]:
    return database.write(lambda tx: webhooks.claim(tx, at, worker, Counter(busy), most))


def answer(
    database: Database, due: Sequence[Due], code: int | None, at: int = NOON, worker: str = "w", error: str = ""
) -> int:
    results = [Result(one.webhook, one.event_no, one.leased_until, at, 5, code, error) for one in due]
    return database.write(lambda tx: webhooks.settle(tx, at, worker, results))


def states(database: Database) -> dict[str, int]:
    with database.read() as tx:
        assert fsck(tx) == []
        return dict(tx.all("SELECT state, COUNT(*) FROM delivery GROUP BY state"))  # type: ignore[arg-type]


def test_what_is_claimed_is_what_is_sent(database: Database) -> None:
    (order,) = happen(database)
    (due,) = claim(database)
    assert (due.webhook, due.url, due.sealed) == ("whk_a", "https://a.example", ("first of whk_a",))
    assert (due.event.type, due.event.subject, due.event.sequence) == ("order.confirmed", order, 1)
    assert due.event.data["lines"] == [{"line": 1, "sku": "tee", "units": 1}]
    assert answer(database, [due], 204) == 1
    assert (states(database), claim(database)) == ({"delivered": 1}, [])
    with database.read() as tx:
        assert tx.all("SELECT kind FROM fact WHERE kind = 'WebhookChanged'") == [("WebhookChanged",)]


def test_a_delivery_is_tried_on_the_schedule_and_is_dead_after_the_last(database: Database) -> None:
    happen(database)
    at = NOON
    for wait in SCHEDULE:
        assert claim(database, at + wait - 1) == [] or not wait
        at += wait
        due = claim(database, at)
        assert len(due) == 1, wait
        answer(database, due, 500, at)
    assert at == NOON + 27 * HOUR + 35 * 60_000 + 5_000
    assert states(database) == {"dead": 1}
    with database.read() as tx:
        seen = webhooks.delivery(tx, "whk_a", due[0].event.id)
    assert (seen.tries, seen.code, [one.code for one in seen.attempts]) == (8, 500, [500] * 8)


def test_of_an_order_the_next_event_waits_for_the_one_before_and_other_orders_go_on(database: Database) -> None:
    first, second = happen(database, orders=2, each=2)
    due = claim(database)
    assert [(one.event.subject, one.event.sequence) for one in due] == [(first, 1), (second, 1)]
    assert claim(database, worker="another") == []
    answer(database, due[:1], 200)
    answer(database, due[1:], 500)
    assert [(one.event.subject, one.event.sequence) for one in claim(database)] == [(first, 2)]


def test_an_event_goes_on_where_the_one_before_it_is_dead(database: Database) -> None:
    happen(database, each=2)
    at = NOON
    for wait in SCHEDULE:
        at += wait
        (due,) = claim(database, at)
        answer(database, [due], 500, at)
    (due,) = claim(database, at)
    assert due.event.sequence == 2


def test_who_dies_loses_its_deliveries_by_the_clock_and_cannot_settle_them_any_more(database: Database) -> None:
    happen(database)
    due = claim(database, worker="dead")
    assert claim(database, NOON + LEASE - 1) == []
    again = claim(database, NOON + LEASE)
    assert [one.event for one in again] == [one.event for one in due]
    assert answer(database, due, 200, NOON + LEASE, worker="dead") == 0
    assert answer(database, again, 200, NOON + LEASE) == 1
    assert states(database) == {"delivered": 1}


def test_a_try_whose_lease_was_lost_settles_nothing_though_the_same_worker_took_it_again(database: Database) -> None:
    happen(database)
    (first,) = claim(database)
    (second,) = claim(database, NOON + LEASE)
    assert answer(database, [first], 500, NOON + LEASE) == 0
    assert claim(database, NOON + LEASE + 1) == []
    assert answer(database, [second], 204, NOON + LEASE) == 1
    assert states(database) == {"delivered": 1}


def test_what_a_worker_gives_back_is_anybodys_at_once(database: Database) -> None:
    happen(database)
    claim(database)
    database.write(lambda tx: webhooks.give_back(tx, "w"))
    assert len(claim(database, worker="another")) == 1


def test_a_webhook_has_a_few_deliveries_under_way_so_that_others_have_room(database: Database) -> None:
    database.write(lambda tx: make(tx, "whk_b"))
    happen(database, orders=AT_ONCE + 5)
    assert Counter(one.webhook for one in claim(database)) == {"whk_a": AT_ONCE, "whk_b": AT_ONCE}
    assert Counter(one.webhook for one in claim(database, whk_a=AT_ONCE)) == {"whk_b": 5}


def test_a_webhook_that_fails_again_and_again_rests_and_is_then_tried_one_by_one(database: Database) -> None:
    happen(database, orders=2 * TRIPS)
    at = NOON
    answer(database, claim(database, at, most=TRIPS - 1), 500, at)
    answer(database, claim(database, at, most=1), None, at, error="timeout")
    assert claim(database, at + REST - 1) == []
    at += REST
    (probe,) = claim(database, at)
    assert claim(database, at, worker="another") == []
    answer(database, [probe], 500, at)
    at += REST
    (probe,) = claim(database, at)
    answer(database, [probe], 200, at)
    assert len(claim(database, at)) > TRIPS


def test_a_webhook_is_disabled_after_days_of_failures_and_one_success_starts_them_anew(database: Database) -> None:
    def once(n: int, at: int, code: int) -> None:
        happen(database, at=at, begin=n)
        due = claim(database, at)
        answer(database, due, code, at)

    once(0, NOON, 500)
    once(1, NOON + DAY, 200)
    once(2, NOON + DAY, 503)
    once(3, NOON + DAY + FAILING - 1, 500)
    with database.read() as tx:
        assert webhooks.get(tx, "whk_a").disabled == ""
    once(4, NOON + DAY + FAILING, 500)
    with database.read() as tx:
        assert webhooks.get(tx, "whk_a").disabled == "failing"
    assert "waiting" not in states(database)


def test_a_success_starts_anew_though_the_failure_is_noted_together_with_it(database: Database) -> None:
    happen(database, 2)
    first, second = claim(database)
    results = [
        Result(one.webhook, one.event_no, one.leased_until, NOON, 5, code)
        for one, code in ((first, 500), (second, 204))
    ]
    database.write(lambda tx: webhooks.settle(tx, NOON, "w", results))
    with database.read() as tx:
        assert tx.all("SELECT failures, failing_since FROM webhook") == [(0, None)]


def test_who_says_that_it_is_gone_is_sent_nothing_more(database: Database) -> None:
    happen(database, orders=2)
    one, _ = claim(database)
    answer(database, [one], 410)
    with database.read() as tx:
        assert webhooks.get(tx, "whk_a").disabled == "gone"
    assert (states(database), claim(database, NOON + DAY)) == ({"dead": 2}, [])


def test_a_webhook_that_is_enabled_gets_what_it_missed_first_and_in_order(database: Database) -> None:
    happen(database, each=3)
    answer(database, claim(database), 200)
    database.write(lambda tx: webhooks.disable(tx, NOON, "whk_a"))
    assert states(database) == {"delivered": 1, "dead": 2}
    (other,) = happen(database, begin=5)
    assert states(database) == {"delivered": 1, "dead": 2}
    database.write(lambda tx: webhooks.enable(tx, NOON, "whk_a", since=NOON))
    (last,) = happen(database, begin=6)
    sent: list[tuple[str, int]] = []
    while due := claim(database):
        sent += [(one.event.subject, one.event.sequence) for one in due]
        answer(database, due, 200)
    assert sent[-1][1] == 3
    assert {subject for subject, _ in sent} == {sent[-1][0], other, last}
    assert [number for subject, number in sent if subject == sent[-1][0]] == [2, 3]


def test_dead_and_missed_events_are_sent_again_since_a_time_or_all_of_them(database: Database) -> None:
    happen(database)
    answer(database, claim(database), 200)
    happen(database, at=NOON + HOUR, begin=1)
    due = claim(database, NOON + HOUR)
    for wait in SCHEDULE:
        answer(database, due, 500, NOON + HOUR)
        due = claim(database, NOON + HOUR + wait + DAY)
    assert states(database) == {"delivered": 1, "dead": 1}
    again = lambda since, **more: database.write(  # noqa: E731
        lambda tx: webhooks.replay(tx, NOON + DAY, "whk_a", since, **more)
    )
    assert again(NOON + HOUR + 1) == 0
    assert again(NOON, until=NOON + HOUR) == 0
    assert again(NOON) == 1
    answer(database, claim(database, NOON + DAY), 200, NOON + DAY)
    assert again(NOON, delivered=True) == 2
    assert len(claim(database, NOON + DAY)) == 2


def test_events_of_types_that_are_not_wanted_are_not_sent_again(database: Database) -> None:
    database.write(lambda tx: make(tx, "whk_b", ["order.allocated"]))
    happen(database, each=2)
    database.write(lambda tx: tx.run("DELETE FROM delivery"))
    assert database.write(lambda tx: webhooks.replay(tx, NOON, "whk_b", NOON)) == 1


def test_one_event_is_sent_again_where_it_is_not_under_way(database: Database) -> None:
    happen(database)
    (due,) = claim(database)
    event = due.event.id
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: webhooks.replay_one(tx, NOON, "whk_a", event))
    assert refused.value.code == "delivery_waits"
    answer(database, [due], 200)
    database.write(lambda tx: webhooks.replay_one(tx, NOON, "whk_a", event))
    (again,) = claim(database)
    assert again.event == due.event
    answer(database, [again], 200)
    with database.read() as tx:
        seen = webhooks.delivery(tx, "whk_a", event)
    assert (seen.tries, seen.replays, len(seen.attempts)) == (1, 1, 2)


def test_a_test_goes_to_one_webhook_alone(database: Database) -> None:
    database.write(lambda tx: make(tx, "whk_b", ["order.allocated"]))
    for _ in range(2):
        database.write(lambda tx: webhooks.send_test(tx, NOON, "whk_b"))
    due = claim(database)
    assert [(one.webhook, one.event.type, one.event.sequence) for one in due] == [("whk_b", "webhook.test", 1)]
    answer(database, due, 200)
    assert [one.event.sequence for one in claim(database)] == [2]


def test_old_secrets_sign_beside_the_new_one_for_as_long_as_was_said(database: Database) -> None:
    happen(database, orders=3)
    database.write(lambda tx: webhooks.add_secret(tx, NOON, "whk_a", "second", HOUR))
    assert claim(database, most=1)[0].sealed == ("second", "first of whk_a")
    assert claim(database, NOON + HOUR, most=1)[0].sealed == ("second",)
    database.write(lambda tx: webhooks.add_secret(tx, NOON + HOUR, "whk_a", "third", 0))
    assert claim(database, NOON + HOUR, most=1)[0].sealed == ("third",)


def test_not_too_many_secrets_sign_at_once(database: Database) -> None:
    for n in range(webhooks.MOST_SECRETS - 1):
        database.write(lambda tx, n=n: webhooks.add_secret(tx, NOON, "whk_a", f"s{n}", DAY))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: webhooks.add_secret(tx, NOON, "whk_a", "more", DAY))
    assert refused.value.code == "too_many_secrets"


@pytest.mark.parametrize("act", [webhooks.send_test, lambda tx, at, id: webhooks.replay(tx, at, id, NOON)])
def test_nothing_is_sent_to_a_disabled_webhook(database: Database, act: object) -> None:
    database.write(lambda tx: webhooks.disable(tx, NOON, "whk_a"))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: act(tx, NOON, "whk_a"))  # type: ignore[operator]
    assert refused.value.code == "webhook_disabled"


def test_a_deleted_webhook_leaves_nothing_and_what_is_under_way_to_it_is_forgotten(database: Database) -> None:
    happen(database)
    due = claim(database)
    database.write(lambda tx: webhooks.delete(tx, NOON, "whk_a"))
    assert answer(database, due, 200) == 0
    with database.read() as tx:
        assert [tx.value(f"SELECT COUNT(*) FROM {name}") for name in ("webhook_secret", "delivery", "attempt")] == [
            0
        ] * 3
