"""Looking ahead, live: what was ordered tells what a unit is worth later, at capture and in waves."""

import json

import pytest

from engine.ahead import lookout_of, past_orders, read_present
from engine.capture import Captured, capture
from engine.catalogue import read_catalogue
from engine.database import Database, Rows, Tx
from engine.entries import ChannelEntry, SkuEntry, put_channels, put_skus
from engine.facts import InboundAnnounced, LineUnits, NodePaused, OrderCancelled, OrderPlaced, StockFact
from engine.orders import cancel
from engine.placing import place
from engine.snapshot import read_snapshot
from engine.stock import record
from engine.waves import WaveDone, run_wave
from solver.effort import Effort
from solver.outlook import Future, Present
from solver.policies import AHEAD
from solver.problem import Problem
from tests.engine.town import (
    DAY,
    DELFT,
    HOUR,
    MUG,
    NOON,
    POT,
    ROTTERDAM,
    SET,
    TEE,
    TODAY,
    UTRECHT,
    VENLO,
    claims,
    found_town,
    order,
    receive,
)


@pytest.fixture
def town(database: Database) -> Database:
    """One unit in a store, and plenty in a warehouse that is far."""
    found_town(database, delft=1, venlo=100)
    decide_by(database, "bid_price")
    return database


def decide_by(town: Database, policy: str, shadow: str | None = None) -> None:
    entry = ChannelEntry(id="web", policy=policy, shadow=shadow)
    town.write(lambda tx: put_channels(tx, [entry], NOON))


def sold(town: Database, orders: list[OrderPlaced]) -> None:
    """Orders of the past, with their customers by now."""

    def act(tx: Tx) -> None:
        placed = Rows(no=[one.no for one in place(tx, orders)])
        for table, number in (("order_line", "order_no"), ("orders", "no")):
            tx.run(
                f"UPDATE {table} SET delivered = open, open = 0 WHERE {number} IN (SELECT no FROM {{rows}})",
                placed,
            )

    town.write(act)


def neighbours(town: Database) -> None:
    """Three customers a day come to the store to collect; from the warehouse, theirs has to be carried there."""
    at = [NOON - day * DAY - hour * HOUR for day in range(1, 15) for hour in range(3)]
    sold(town, [neighbour(one) for one in at])


def neighbour(at: int) -> OrderPlaced:
    return order((TEE, 1), at=at, place=None, pickup=(DELFT,))


def take(town: Database, at: int = NOON) -> Captured:
    """Somebody from another city: from the warehouse that costs 0.10 more."""
    [one] = capture(town, [order((TEE, 1), at=at, promise_day=at // DAY + 5)], at)
    return one


def wave(town: Database, policy: str, at: int = NOON + HOUR, **more: object) -> WaveDone:
    return run_wave(town, at, worker=f"w{at}", policy=policy, effort=Effort(seconds=5), **more)  # type: ignore[arg-type]


def decided(town: Database) -> tuple[str, str]:
    """The policy of the last decision, and what it notes."""
    with town.read() as tx:
        policy, body = tx.all("SELECT policy, body FROM decision ORDER BY no DESC LIMIT 1")[0]
    return str(policy), str(json.loads(body).get("note", ""))


def present(town: Database, *, hurry: bool) -> Present:
    with town.read() as tx:
        no = tx.ints(1, "SELECT no FROM orders WHERE open + allocated > 0")[0]
        return read_present(tx, read_snapshot(tx, read_catalogue(tx, NOON), no, NOON), hurry=hurry)


@pytest.mark.parametrize("policy", ["bid_price", "sampled_futures"])
def test_capture_leaves_a_unit_to_neighbours_who_will_need_it_more(town: Database, policy: str) -> None:
    decide_by(town, policy)
    neighbours(town)
    lookout_of(town).prepare(town, NOON)
    take(town)
    assert claims(town) == [(TEE, VENLO, 1)]
    assert decided(town) == (policy, "")
    capture(town, [neighbour(NOON)], NOON)
    assert claims(town) == [(TEE, DELFT, 1), (TEE, VENLO, 1)]


def test_capture_takes_the_unit_where_nobody_is_expected_to_need_it(town: Database) -> None:
    sold(town, [order((MUG, 1), at=NOON - DAY)])
    lookout_of(town).prepare(town, NOON)
    take(town)
    assert claims(town) == [(TEE, DELFT, 1)]
    assert decided(town) == ("bid_price", "")


@pytest.mark.parametrize(("policy", "node"), [("bid_price", VENLO), ("cheapest", DELFT)])
def test_a_wave_leaves_the_unit_to_them_as_well(database: Database, policy: str, node: str) -> None:
    found_town(database)
    assert take(database).open == 1
    neighbours(database)
    receive(database, 1, node=DELFT)
    receive(database, 100, node=VENLO)
    done = wave(database, policy)
    assert (done.policy, done.note, done.changed) == (policy, "", 1)
    assert claims(database) == [(TEE, node, 1)]


def test_a_wave_brings_back_the_unit_that_capture_could_not_know_to_be_needed(town: Database) -> None:
    decide_by(town, "cheapest")
    take(town)
    neighbours(town)
    assert claims(town) == [(TEE, DELFT, 1)]
    wave(town, "bid_price")
    assert claims(town) == [(TEE, VENLO, 1)]


@pytest.mark.parametrize("policy", AHEAD)
def test_every_policy_that_looks_ahead_decides_at_capture_and_in_waves(town: Database, policy: str) -> None:
    decide_by(town, policy)
    neighbours(town)
    lookout_of(town).prepare(town, NOON)
    take(town)
    assert decided(town) == (policy, "")
    done = wave(town, policy)
    assert (done.policy, done.note) == (policy, "")


def test_under_a_window_an_order_waits_from_wave_to_wave_as_long_as_it_may(town: Database) -> None:
    decide_by(town, "window")
    assert take(town).allocated == 0
    wave(town, "window", NOON + HOUR, dry=True)
    assert wave(town, "window", NOON + 2 * HOUR).changed == 0
    assert wave(town, "window", NOON + 25 * HOUR).changed == 0
    assert wave(town, "window", NOON + 26 * HOUR).changed == 1


def test_without_a_past_the_fallback_decides_and_the_record_says_why(town: Database) -> None:
    take(town)
    assert decided(town) == ("nearest", "bid_price has no outlook: none was made yet")
    lookout_of(town).prepare(town, NOON)
    take(town)
    assert decided(town) == ("nearest", "bid_price has no outlook: nothing was ordered in the 84 days before today")
    done = wave(town, "spillover")
    assert (done.policy, done.note) == (
        "nearest",
        "spillover has no outlook: nothing was ordered in the 84 days before today",
    )


def test_capture_finds_no_prices_itself_however_old_they_are(town: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    neighbours(town)
    wave(town, "bid_price", NOON - HOUR)
    take(town)
    assert decided(town) == ("nearest", "bid_price has no prices yet")
    lookout_of(town).prepare(town, NOON)
    at: list[int] = []

    def count(_: object, problem: Problem, present: Present, **__: object) -> Future:
        at.append(present.at)
        raise AssertionError

    monkeypatch.setattr("engine.outlook.DemandOutlook.future", count)
    take(town, NOON + 3 * DAY)
    assert (decided(town), at) == (("bid_price", ""), [])
    lookout_of(town).prepare(town, NOON + DAY - HOUR)
    assert at == []
    with pytest.raises(AssertionError):
        lookout_of(town).prepare(town, NOON + DAY)
    assert at == [(NOON + DAY) // 60_000]


@pytest.mark.parametrize(("announced", "node"), [(0, VENLO), (100, DELFT)])
def test_what_is_announced_for_tonight_leaves_enough_for_the_neighbours(
    town: Database, announced: int, node: str
) -> None:
    """Three units are too few for three days, and enough for today."""
    receive(town, 2, node=DELFT)
    neighbours(town)
    coming = [InboundAnnounced(id="f", at=NOON, inbound="i", sku=TEE, node=DELFT, units=announced, due_day=TODAY)]
    town.write(lambda tx: record(tx, coming if announced else []))
    lookout_of(town).prepare(town, NOON)
    take(town)
    assert claims(town) == [(TEE, node, 1)]


@pytest.mark.parametrize("policy", ["bid_price", "cheapest"])
def test_what_a_unit_was_worth_in_the_last_wave_is_charged_only_where_nobody_looks_ahead(
    town: Database, policy: str
) -> None:
    neighbours(town)
    lookout_of(town).prepare(town, NOON)
    take(town)
    wave(town, "bid_price")
    decide_by(town, policy)
    capture(town, [neighbour(NOON)], NOON)
    with town.read() as tx:
        body = json.loads(tx.value("SELECT body FROM decision ORDER BY no DESC LIMIT 1"))
    assert claims(town) == [(TEE, DELFT, 1), (TEE, VENLO, 1)]  # twice its price would be too much for a neighbour
    assert (body["bill"].get("stock_value_cents", 0) > 0) == (policy == "cheapest")


def test_a_sku_more_is_known_when_the_outlook_is_made_again(town: Database) -> None:
    neighbours(town)
    lookout_of(town).prepare(town, NOON)
    town.write(lambda tx: put_skus(tx, [SkuEntry(id="HAT", weight_g=100)], NOON))
    take(town)
    assert decided(town) == ("nearest", "bid_price has no outlook: none was made on this catalogue yet")
    lookout_of(town).prepare(town, NOON)
    take(town)
    assert decided(town) == ("bid_price", "")


def test_a_shadow_looks_ahead_beside_the_live_policy(town: Database) -> None:
    decide_by(town, "cheapest", shadow="bid_price")
    neighbours(town)
    lookout_of(town).prepare(town, NOON)
    take(town)
    wave(town, "cheapest", shadow="bid_price")
    with town.read() as tx:
        noted = tx.all("SELECT policy, cost_cents - live_cents FROM shadow ORDER BY no")
    assert [tuple(row) for row in noted] == [("bid_price", 10), ("bid_price", 10)]


def test_the_past_is_what_was_asked_for_and_not_cancelled(town: Database) -> None:
    sent = [
        order((TEE, 1), at=NOON - 4 * DAY),
        order((TEE, 3), (MUG, 1), at=NOON - 3 * DAY, place=ROTTERDAM),
        order((SET, 2), at=NOON - 2 * DAY),
        order((POT, 1), at=NOON - DAY, place=None, pickup=(UTRECHT, DELFT)),
    ]
    ids = [one.id for one in town.write(lambda tx: place(tx, [*sent, order((TEE, 9), at=NOON - 100 * DAY)]))]
    called_off = [OrderCancelled(id="c1", at=NOON, order=ids[0]),
                  OrderCancelled(id="c2", at=NOON, order=ids[1], lines=(LineUnits(line=1, units=2),))]  # fmt: skip
    for fact in called_off:
        town.write(lambda tx, fact=fact: cancel(tx, fact, ""))  # type: ignore[misc]
    with town.read() as tx:
        catalogue = read_catalogue(tx, NOON)
        placed_at, orders = past_orders(tx, catalogue, NOON)
    assert placed_at.tolist() == [one.at // 60_000 for one in sent[1:]]
    assert [catalogue.sku_id[k] for k in orders.line_sku.tolist()] == [TEE, MUG, MUG, POT, POT]
    assert orders.line_qty.tolist() == [1, 1, 4, 2, 1]
    assert orders.order_line_start.tolist() == [0, 2, 4, 5]
    assert [catalogue.node_id[j] if j >= 0 else "" for j in orders.dest_node.tolist()] == ["", "", UTRECHT, DELFT]
    assert orders.dest_lat[0] == ROTTERDAM.lat
    assert set(orders.order_id) == {""}
    lost = orders.line_qty * orders.line_unfilled_cents
    assert (lost[2] + lost[3]).item() == pytest.approx(2 * orders.line_unfilled_cents[0], abs=10)


def test_the_present_counts_what_its_orders_hold_as_free_and_what_is_paused_as_gone(town: Database) -> None:
    receive(town, 5, sku=MUG, node=UTRECHT)
    decide_by(town, "cheapest")
    take(town)
    facts: list[StockFact] = [
        InboundAnnounced(id="a", at=NOON, inbound="late", sku=TEE, node=DELFT, units=7, due_day=TODAY - 2),
        InboundAnnounced(id="b", at=NOON, inbound="soon", sku=MUG, node=VENLO, units=8, due_day=TODAY + 2),
        NodePaused(id="c", at=NOON, node=UTRECHT),
    ]
    town.write(lambda tx: record(tx, facts, ""))
    whole, some = present(town, hurry=False), present(town, hurry=True)
    with town.read() as tx:
        node_id = read_catalogue(tx, NOON).node_id

    def stock(of: Present) -> dict[tuple[str, str], int]:
        name = {k: sku for sku, k in of.sku_at.items()}
        rows = zip(of.stock_sku.tolist(), of.stock_node.tolist(), of.stock_units.tolist(), strict=True)
        return {(name[k], node_id[j]): units for k, j, units in rows}

    assert stock(whole) == {(TEE, VENLO): 100, (TEE, DELFT): 1, (MUG, UTRECHT): 0}
    assert stock(some) == {(TEE, VENLO): 100, (TEE, DELFT): 1}
    assert (whole.inbound_units.tolist(), (whole.inbound_at // 1440).tolist()) == ([7, 8], [TODAY, TODAY + 2])
    assert some.inbound_units.tolist() == [7]
