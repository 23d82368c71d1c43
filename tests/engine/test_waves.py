"""Waves: all that is not released is decided anew, and no promise is broken."""

from itertools import islice
from typing import Any

import pytest

from engine.capture import capture
from engine.consignments import pick_short, release
from engine.database import Database, Tx
from engine.decisions import Decided, decide
from engine.facts import MissingUnits, OrderCancelled, OrderReleased, ShortPicked
from engine.orders import cancel, lease_orders
from engine.waves import WaveDone, run_wave
from solver.bill import bill
from solver.effort import Effort
from solver.plan import Plan, empty_plan
from solver.problem import Problem
from solver.refusal import Refusal
from tests.engine.town import (
    DAY,
    HOUR,
    MUG,
    NOON,
    ROTTERDAM,
    TEE,
    TODAY,
    UTRECHT,
    VENLO,
    claims,
    found_town,
    order,
    receive,
    stock,
)  # fmt: skip


@pytest.fixture
def town(database: Database) -> Database:
    found_town(database)
    return database


def wave(town: Database, at: int = NOON + HOUR, **more: object) -> WaveDone:
    return run_wave(town, at, worker=f"w{at}", effort=Effort(seconds=5), **more)  # type: ignore[arg-type]


def test_what_was_open_is_served_when_stock_has_come(town: Database) -> None:
    [one] = capture(town, [order((TEE, 2))], NOON)
    assert one.state == "open"
    receive(town, 2)
    done = wave(town)
    assert (done.orders, done.changed, done.conflicts) == (1, 1, 0)
    assert claims(town) == [(TEE, VENLO, 2)]


def test_free_stock_serves_an_open_order_where_all_others_stay_as_they_are(
    town: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy finds nothing better than what the first order has, and nothing for the second."""
    receive(town, 2, node=UTRECHT)
    [held] = capture(town, [order((TEE, 2), place=ROTTERDAM)], NOON)
    [late] = capture(town, [order((TEE, 2))], NOON)
    receive(town, 2)

    def ship_nothing(_: object, problem: Problem) -> Plan:
        return empty_plan(problem, sum(bill(problem, empty_plan(problem, 0, 0.0)).values()), 0.0)

    monkeypatch.setattr("solver.policies.cheapest.Cheapest.__call__", ship_nothing)
    done = wave(town, policy="cheapest")
    assert done.policy == "cheapest"
    assert (done.changed, done.conflicts) == (1, 0)
    assert claims(town, held.placed.id) == [(TEE, UTRECHT, 2)]
    assert claims(town, late.placed.id) == [(TEE, VENLO, 2)]
    assert done.bound_cents <= done.cost_cents < done.before_cents


def test_an_order_whose_units_somebody_took_meanwhile_is_decided_again_in_the_same_wave(
    town: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = capture(town, [order((TEE, 1))], NOON)
    receive(town, 1, node=UTRECHT)
    receive(town, 1)
    rivals = iter([order((TEE, 1))])

    def decide_slowly(*asked: Any) -> Decided:
        decided = decide(*asked)
        capture(town, [*islice(rivals, 1)], NOON)
        return decided

    monkeypatch.setattr("engine.waves.decide", decide_slowly)
    done = wave(town)
    assert (done.changed, done.conflicts) == (1, 0)
    assert claims(town, one.placed.id) == [(TEE, VENLO, 1)]
    assert claims(town) == [(TEE, UTRECHT, 1), (TEE, VENLO, 1)]


def test_open_orders_are_not_kept_out_of_a_wave_by_older_ones_that_have_all_of_theirs(town: Database) -> None:
    receive(town, 1)
    [older, younger] = capture(town, [order((TEE, 1)), order((TEE, 1), at=NOON + 1)], NOON)
    assert (older.state, younger.state) == ("allocated", "open")
    receive(town, 1)
    dry = wave(town, limit=1, dry=True)
    assert dry.cost_cents < dry.before_cents
    assert wave(town, limit=1).changed == 1
    assert claims(town, younger.placed.id) == [(TEE, VENLO, 1)]


def test_a_wave_moves_what_was_allocated_to_where_all_together_cost_less(town: Database) -> None:
    """The only unit near was taken by an order that could as well be served from afar."""
    receive(town, 1, node=UTRECHT)
    [first] = capture(town, [order((TEE, 1))], NOON)
    receive(town, 1, node=VENLO)
    [second] = capture(town, [order((TEE, 1), place=ROTTERDAM)], NOON)
    assert claims(town, first.placed.id) == [(TEE, UTRECHT, 1)]
    done = wave(town)
    assert done.cost_cents <= done.before_cents
    assert done.gap == pytest.approx(0.0, abs=1e-6)
    with town.read() as tx:
        assert (
            tx.all("SELECT state, gap FROM (SELECT state, cost_cents - bound_cents AS gap FROM wave) AS w")[0][0]
            == "done"
        )
    assert stock(town) == stock(town, UTRECHT) == (1, 1)
    assert second.state == "allocated"


def test_no_wave_takes_from_an_order_what_was_promised_to_it(town: Database) -> None:
    """Another order would pay far more for the only unit."""
    receive(town, 1)
    [promised] = capture(town, [order((TEE, 1))], NOON)
    capture(town, [order((TEE, 1)), order((TEE, 1), priority=9)], NOON)
    town.write(lambda tx: tx.run("UPDATE order_line SET unfilled_cents = 900000 WHERE open > 0"))
    wave(town)
    assert claims(town, promised.placed.id) == [(TEE, VENLO, 1)]
    assert stock(town) == (1, 1)


def test_no_wave_makes_an_order_later_than_was_promised(town: Database) -> None:
    receive(town, 1, node=UTRECHT)
    [one] = capture(town, [order((TEE, 1), promise_day=TODAY + 1, late_cents=0)], NOON)
    receive(town, 1)
    before = claims(town)
    wave(town)
    with town.read() as tx:
        assert tx.value("SELECT MAX(arrives_day) FROM parcel") <= one.promise_day
    assert sum(units for *_, units in claims(town)) == sum(units for *_, units in before) == 1


def test_a_second_wave_with_nothing_new_changes_nothing(town: Database) -> None:
    receive(town, 9)
    capture(town, [order((TEE, 1)) for _ in range(4)], NOON)
    wave(town)
    assert wave(town, NOON + 2 * HOUR).changed == 0


def test_orders_of_a_wave_that_runs_are_not_taken_by_another(town: Database) -> None:
    receive(town, 9)
    capture(town, [order((TEE, 12))], NOON)
    town.write(lambda tx: lease_orders(tx, "other", NOON, NOON + 2 * HOUR, 10))
    assert wave(town).orders == 0
    assert wave(town, NOON + 3 * HOUR).orders == 1, "a worker that died holds nothing back for ever"


def test_the_prices_of_a_wave_are_what_stock_is_worth_from_then_on(town: Database) -> None:
    """Two orders want the one unit that is near; the other one goes far."""
    receive(town, 1, node=UTRECHT)
    receive(town, 5)
    capture(town, [order((TEE, 1)), order((TEE, 1))], NOON)
    wave(town)
    with town.read() as tx:
        values = dict(tx.all("SELECT n.id, value_cents FROM stock JOIN node n ON n.no = node_no"))
    assert values[UTRECHT] == 10, "what the next one pays more from afar"
    assert values[VENLO] == 0


def test_a_wave_forgets_what_stock_was_worth_to_orders_it_saw_and_not_to_those_of_another_wave(town: Database) -> None:
    receive(town, 1, node=UTRECHT)
    receive(town, 5)
    capture(town, [order((TEE, 1), name="a"), order((TEE, 1), name="b")], NOON)
    wave(town)
    town.write(lambda tx: lease_orders(tx, "other", NOON + HOUR, NOON + 3 * HOUR, 10))
    assert wave(town, NOON + 2 * HOUR).orders == 0

    def worth(tx: Tx) -> list[tuple[int]]:
        return tx.all("SELECT value_cents FROM stock WHERE value_cents > 0")

    with town.read() as tx:
        assert worth(tx) == [(10,)]
        names = [name for (name,) in tx.all("SELECT id FROM orders")]
    for name in names:
        town.write(lambda tx, name=name: cancel(tx, OrderCancelled(id=f"c-{name}", at=NOON, order=name)))
    wave(town, NOON + 4 * HOUR)
    with town.read() as tx:
        assert worth(tx) == []


def test_a_dry_wave_says_what_would_come_of_it_and_changes_nothing(town: Database) -> None:
    capture(town, [order((TEE, 2))], NOON)
    receive(town, 2)
    done = wave(town, dry=True)
    assert done.cost_cents < done.before_cents
    assert claims(town) == []
    with town.read() as tx:
        assert tx.all("SELECT COUNT(*) FROM wave") == [(0,)]


def test_a_dry_wave_takes_the_same_orders_as_one_in_earnest(town: Database) -> None:
    """The most urgent ones: those of the lowest priority, then the oldest."""
    capture(town, [order((TEE, 1), priority=9), order((TEE, 3), priority=1)], NOON)
    receive(town, 9)
    dry, earnest = wave(town, limit=1, dry=True), wave(town, limit=1)
    assert (dry.cost_cents, dry.before_cents) == (earnest.cost_cents, earnest.before_cents)
    assert claims(town) == [(TEE, VENLO, 3)]


def test_a_wave_is_written_down_with_when_it_ended(town: Database) -> None:
    clock = iter((10.0, 12.5))
    wave(town, timer=lambda: next(clock))
    with town.read() as tx:
        assert tx.first("SELECT at, ended_at, seconds FROM wave") == (NOON + HOUR, NOON + HOUR + 2500, 2.5)


def test_without_a_network_no_wave_begins(database: Database) -> None:
    with pytest.raises(Refusal) as refusal:
        wave(database)
    assert refusal.value.code == "no_network"
    with database.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM wave") == 0


def test_a_wave_whose_process_died_is_said_to_have_failed_by_the_next(
    town: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """No handler runs when a process is killed."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    capture(town, [order((TEE, 1))], NOON)
    with monkeypatch.context() as patch:
        patch.setattr("engine.waves.decide", die)
        patch.setattr("engine.waves._fail", lambda *_: None)
        patch.setattr("engine.waves.unlease_orders", lambda *_: 0)
        with pytest.raises(Killed):
            wave(town)
    assert wave(town, NOON + HOUR + 1_000).orders == 0, "its orders are leased yet"
    assert wave(town, NOON + 2 * HOUR).orders == 1
    with town.read() as tx:
        assert tx.all("SELECT state, note FROM wave ORDER BY no") == [
            ("failed", "its process ended"), ("done", ""), ("done", ""),
        ]  # fmt: skip


def test_a_shadow_of_a_wave_is_kept_beside_it(town: Database) -> None:
    capture(town, [order((TEE, 2))], NOON)
    receive(town, 2)
    done = wave(town, shadow="nearest")
    with town.read() as tx:
        assert tx.all("SELECT ref, policy, live, live_cents FROM shadow") == [
            (done.id, "nearest", "joint", done.cost_cents)
        ]


def test_a_wave_that_fails_lets_go_of_its_orders(town: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(town, 2)
    capture(town, [order((TEE, 3))], NOON)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("engine.waves.Outcome", fail)
    with pytest.raises(MemoryError):
        wave(town)
    monkeypatch.undo()
    with town.read() as tx:
        assert tx.all("SELECT state FROM wave") == [("failed",)]
    assert wave(town, NOON + 2 * HOUR).orders == 1


def test_a_parcel_that_was_not_released_yesterday_takes_room_today(town: Database) -> None:
    receive(town, 3)
    capture(town, [order((TEE, 1))], NOON)
    wave(town, NOON + DAY)
    with town.read() as tx:
        assert dict(tx.all("SELECT day, parcels FROM node_day")) == {TODAY: 0, TODAY + 1: 1}


def test_what_waits_of_a_promised_order_is_served_when_its_stock_comes_after_the_promised_day(town: Database) -> None:
    """Each day after a promise that was told costs far more than leaving a unit open; too late is better than never."""
    receive(town, 1)
    [one] = capture(town, [order((TEE, 1), (MUG, 1))], NOON)
    assert (one.allocated, one.open) == (1, 1)
    receive(town, 1, sku=MUG)
    done = wave(town, NOON + 9 * DAY)
    assert (done.changed, done.kept) == (1, 0)
    assert claims(town) == [(MUG, VENLO, 1), (TEE, VENLO, 1)]
    with town.read() as tx:
        assert tx.value("SELECT promise_day FROM orders") == one.promise_day, "what was told stays told"


def test_units_that_a_node_did_not_find_come_from_another_one_though_it_is_too_late(town: Database) -> None:
    receive(town, 1, node=UTRECHT)
    [one] = capture(town, [order((TEE, 1), promise_day=TODAY + 1)], NOON)
    town.write(lambda tx: release(tx, [OrderReleased(id="r", at=NOON, order=one.placed.id)]))
    with town.read() as tx:
        name = tx.value("SELECT id FROM consignment")
    missing = (MissingUnits(line=1, sku=TEE, units=1),)
    town.write(lambda tx: pick_short(tx, ShortPicked(id="s", at=NOON, consignment=name, missing=missing)))
    receive(town, 1)
    assert wave(town, NOON + DAY + HOUR).changed == 1
    assert claims(town) == [(TEE, VENLO, 1)]


def test_an_order_that_waited_for_stock_for_weeks_is_served_when_it_comes(town: Database) -> None:
    """By now it is later by more than its line is worth."""
    capture(town, [order((TEE, 1))], NOON)
    receive(town, 1)
    assert wave(town, NOON + 28 * DAY).changed == 1
    assert claims(town) == [(TEE, VENLO, 1)]


def test_overdue_orders_are_decided_again_only_where_units_are_left_for_them(
    town: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture(town, [order((TEE, 1)), order((TEE, 1))], NOON)
    receive(town, 1)
    asked = []

    def counted(*given: Any) -> Decided:
        asked.append(given[0].orders)
        return decide(*given)

    monkeypatch.setattr("engine.waves.decide", counted)
    assert wave(town, NOON + 28 * DAY).changed == 1
    wave(town, NOON + 29 * DAY)
    assert asked == [2, 2, 2]


def test_units_that_wait_do_not_make_later_what_is_held_for_a_promised_order(town: Database) -> None:
    """Lateness costs this order nothing, so that both by the slow service would be the cheapest."""
    receive(town, 1)
    capture(town, [order((TEE, 1), (MUG, 1), promise_day=TODAY + 1)], NOON)
    town.write(lambda tx: tx.run("UPDATE orders SET late_cents = 0"))
    receive(town, 1, sku=MUG, node=UTRECHT)
    wave(town, NOON + DAY)
    with town.read() as tx:
        assert tx.value("SELECT service FROM claim JOIN sku ON no = sku_no WHERE id = 'TEE'") == "next"
