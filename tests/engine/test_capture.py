"""Capture: an order is taken in, decided and allocated at once, and the record says why."""

import json
from typing import Any

import numpy as np
import pytest

from engine.capture import Captured, capture
from engine.commit import TAKEN, Committed, Proposal, commit
from engine.database import Database, Tx
from engine.entries import ChannelEntry, put_channels
from solver.plan import Plan
from solver.problem import Problem
from tests.engine.town import (
    DELFT,
    MUG,
    NOON,
    POT,
    SET,
    TEE,
    TODAY,
    UTRECHT,
    VENLO,
    claims,
    found_town,
    order,
    receive,
    stock,
)


@pytest.fixture
def town(database: Database) -> Database:
    found_town(database, venlo=5, utrecht=2)
    return database


def take(town: Database, *orders: Any) -> list[Captured]:
    return capture(town, orders, NOON)


def decision(town: Database, order_id: str) -> dict[str, Any]:
    with town.read() as tx:
        body = tx.value(
            "SELECT body FROM decision d JOIN orders o ON o.no = d.order_no WHERE o.id = :id ORDER BY d.no DESC LIMIT 1",
            id=order_id,
        )
    record: dict[str, Any] = json.loads(body)
    return record


def shadows(town: Database) -> list[tuple[str, int, str, int]]:
    with town.read() as tx:
        return [tuple(row) for row in tx.all("SELECT policy, cost_cents, live, live_cents FROM shadow")]  # type: ignore[misc]


def test_an_order_is_allocated_where_it_costs_least(town: Database) -> None:
    [one] = take(town, order((TEE, 2)))
    assert (one.state, one.allocated, one.open) == ("allocated", 2, 0)
    assert claims(town) == [(TEE, UTRECHT, 2)]


def test_the_day_that_was_wanted_is_the_day_that_is_promised(town: Database) -> None:
    [slow, fast] = take(town, order((TEE, 1), promise_day=TODAY + 4), order((TEE, 1), promise_day=TODAY + 1))
    assert (slow.promise_day, fast.promise_day) == (TODAY + 4, TODAY + 1)


def test_a_day_that_cannot_be_kept_is_told_as_it_is(town: Database) -> None:
    [one] = take(town, order((TEE, 1), promise_day=TODAY - 3))
    assert one.promise_day is not None
    assert one.promise_day > TODAY


def test_what_is_not_there_is_open_and_what_is_there_is_allocated(town: Database) -> None:
    [one] = take(town, order((TEE, 9)))
    assert (one.state, one.allocated, one.open) == ("open", 7, 2)


def test_all_or_nothing_is_kept(town: Database) -> None:
    [one] = take(town, order((TEE, 9), ship_complete=True))
    assert (one.allocated, one.open) == (0, 9)
    assert stock(town) == (5, 0)


def test_the_same_order_again_is_answered_as_it_stands(town: Database) -> None:
    wanted = order((TEE, 1), name="A1")
    [first], [again] = take(town, wanted), take(town, wanted)
    assert (first.placed.outcome, again.placed.outcome) == ("new", "seen")
    assert (again.state, again.allocated) == ("allocated", 1)
    assert stock(town, UTRECHT) == (2, 1)


def test_an_order_that_is_refused_does_not_disturb_the_others(town: Database) -> None:
    refused, taken = take(town, order(("SPOON", 1)), order((TEE, 1)))
    assert refused.placed.code == "unknown_sku"
    assert taken.state == "allocated"


def test_an_order_held_for_review_takes_no_stock(town: Database) -> None:
    [one] = take(town, order((TEE, 1), review=True))
    assert (one.state, one.allocated) == ("held", 0)


def test_a_kit_takes_its_parts_at_one_node(town: Database) -> None:
    for sku, units, node in ((MUG, 4, VENLO), (POT, 1, VENLO), (MUG, 1, UTRECHT), (POT, 5, UTRECHT)):
        receive(town, units, sku=sku, node=node)
    [one] = take(town, order((SET, 2)))
    assert (one.allocated, one.open) == (1, 1)
    assert claims(town) == [(MUG, VENLO, 2), (POT, VENLO, 1)]


def test_a_kit_and_its_part_compete_for_the_same_units(town: Database) -> None:
    receive(town, 2, sku=MUG)
    receive(town, 1, sku=POT)
    first, second = take(town, order((MUG, 1)), order((SET, 1)))
    assert (first.allocated, second.allocated) == (1, 0)


def test_an_order_to_collect_is_served_at_one_of_its_stores(town: Database) -> None:
    [one] = take(town, order((TEE, 2), place=None, pickup=(UTRECHT, DELFT)))
    assert one.state == "allocated"
    assert claims(town) == [(TEE, UTRECHT, 2)]
    assert decision(town, one.placed.id)["bill"]["carriage_cents"] == 0


def test_a_unit_that_is_worth_much_to_others_is_spared(town: Database) -> None:
    town.write(
        lambda tx: tx.run(
            "UPDATE stock SET value_cents = 900 WHERE node_no = (SELECT no FROM node WHERE id = 'UTRECHT')"
        )
    )
    [web] = take(town, order((TEE, 1)))
    assert claims(town, web.placed.id) == [(TEE, VENLO, 1)]
    [market] = take(town, order((TEE, 1), channel="market"))
    assert claims(town, market.placed.id) == [(TEE, UTRECHT, 1)], "this channel counts no stock values"


def test_orders_of_two_channels_that_come_together_are_all_served(town: Database) -> None:
    taken = take(town, *(order((TEE, 1), channel=channel) for channel in ("web", "market", "web", "market")))
    assert {one.state for one in taken} == {"allocated"}


def test_a_channel_decides_by_its_own_policy(town: Database) -> None:
    town.write(lambda tx: put_channels(tx, [ChannelEntry(id="web", policy="nearest")], NOON))
    receive(town, 3, node=DELFT)
    [one] = take(town, order((TEE, 1)))
    with town.read() as tx:
        assert tx.all("SELECT policy FROM decision") == [("nearest",)]
    assert one.state == "allocated"


def test_a_shadow_decides_beside_and_both_costs_are_kept(town: Database) -> None:
    town.write(lambda tx: put_channels(tx, [ChannelEntry(id="web", shadow="nearest")], NOON))
    take(town, order((TEE, 3)))
    [(policy, cents, live, live_cents)] = shadows(town)
    assert (policy, live) == ("nearest", "cheapest")
    assert cents >= live_cents > 0


def test_a_shadow_is_noted_once_for_an_order_that_is_decided_again(
    town: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = iter([True])

    def commit_late(tx: Tx, proposal: Proposal, at: int, *, new: bool) -> Committed:
        """Somebody else has the units at the first try."""
        if next(tries, False):
            orders = len(proposal.order_no)
            return Committed(np.zeros(orders, dtype=np.bool_), (TAKEN,) * orders, 0)
        return commit(tx, proposal, at, new=new)

    town.write(lambda tx: put_channels(tx, [ChannelEntry(id="web", shadow="nearest")], NOON))
    monkeypatch.setattr("engine.capture.commit", commit_late)
    [one] = take(town, order((TEE, 3)))
    assert one.state == "allocated"
    assert len(shadows(town)) == 1


def test_the_record_names_candidates_the_bill_and_the_bound(town: Database) -> None:
    [one] = take(town, order((TEE, 1)))
    record = decision(town, one.placed.id)
    [line] = record["lines"]
    assert [candidate["node"] for candidate in line["candidates"]] == [UTRECHT, VENLO]
    assert line["ruled_out"] == {"no_stock": 1}
    with town.read() as tx:
        cost, bound = tx.all("SELECT cost_cents, bound_cents FROM decision")[0]
    assert sum(record["bill"].values()) == cost == bound == line["candidates"][0]["alone_cents"]


def test_an_order_that_gets_nothing_is_told_why(town: Database) -> None:
    [one] = take(town, order((POT, 1)))
    assert one.state == "open"
    [line] = decision(town, one.placed.id)["lines"]
    assert (line["candidates"], line["ruled_out"]) == ([], {"no_stock": 3})


class Broken:
    """A policy that fails, or answers nonsense."""

    def __init__(self, *_: object) -> None: ...

    def __call__(self, problem: Problem) -> Plan:
        raise MemoryError


def test_where_the_policy_fails_the_fallback_decides_and_the_record_says_so(
    town: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solver.policies.cheapest.Cheapest", Broken)
    [one] = take(town, order((TEE, 1)))
    assert one.state == "allocated"
    assert decision(town, one.placed.id)["note"] == "cheapest failed: MemoryError"


def test_with_no_time_to_decide_an_order_is_still_served(town: Database) -> None:
    [one] = capture(town, [order((TEE, 2))], NOON, seconds=0.0)
    assert one.state == "allocated"
