"""Commit by check: what a decision wants becomes true as far as it still holds."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.capture import capture
from engine.catalogue import read_catalogue
from engine.commit import CHANGED, FULL, TAKEN, Committed, Proposal, commit
from engine.database import Database
from engine.decisions import Outcome, decide
from engine.snapshot import read_snapshot
from solver.effort import Effort
from tests.engine.town import DELFT, NOON, POT, TEE, UTRECHT, VENLO, claims, found_town, order, receive, stock


@pytest.fixture
def town(database: Database) -> Database:
    found_town(database)
    return database


def place(town: Database, *orders: Any) -> list[int]:
    """Take orders in and leave them open."""
    from engine.placing import place as take_in

    placed = town.write(lambda tx: take_in(tx, orders))
    return [one.no for one in placed if one.no is not None]


def proposal(town: Database, numbers: list[int], ref: str = "wave") -> Proposal:
    """What `cheapest` wants for orders, as things are now."""
    with town.read() as tx:
        snapshot = read_snapshot(tx, read_catalogue(tx, NOON), np.array(numbers), NOON)
    decided = decide(snapshot.problem(stock_values=False), "cheapest", Effort(seconds=10), 0)
    return Outcome(snapshot, decided, ref).proposal(np.arange(len(snapshot.order_no)))


def committed(town: Database, wanted: Proposal) -> Committed:
    return town.write(lambda tx: commit(tx, wanted, NOON))


def test_what_is_wanted_and_there_is_claimed(town: Database) -> None:
    receive(town, 5)
    done = committed(town, proposal(town, place(town, order((TEE, 2)))))
    assert done.done.all()
    assert claims(town) == [(TEE, VENLO, 2)]
    assert stock(town) == (5, 2)


def test_of_two_who_decided_on_the_same_units_the_second_gets_none_and_stays_open(town: Database) -> None:
    receive(town, 2)
    first, second = (proposal(town, place(town, order((TEE, 2)))) for _ in range(2))
    assert committed(town, first).done.all()
    assert committed(town, second).why == (TAKEN,)
    assert stock(town) == (2, 2)


def test_in_one_proposal_the_order_of_higher_rank_gets_the_units(town: Database) -> None:
    receive(town, 4)
    numbers = place(town, order((TEE, 2)), order((TEE, 2)))
    wanted = proposal(town, numbers)
    receive(town, -2)
    assert committed(town, wanted).why == ("", TAKEN)


def test_an_order_that_changed_since_is_left_as_it_is(town: Database) -> None:
    receive(town, 4)
    numbers = place(town, order((TEE, 2)))
    wanted = proposal(town, numbers)
    town.write(lambda tx: tx.run("UPDATE orders SET version = version + 1"))
    assert committed(town, wanted).why == (CHANGED,)
    assert stock(town) == (4, 0)


def test_units_pass_from_one_order_to_another_in_one_commit(town: Database) -> None:
    """Each of two orders holds what the other wants; nothing else is free."""
    receive(town, 1)
    receive(town, 1, node=UTRECHT)
    numbers = place(town, order((TEE, 1)), order((TEE, 1)))
    wanted = proposal(town, numbers)
    assert committed(town, wanted).done.all()
    held = dict(_nodes(town))
    turned = replace(
        proposal(town, numbers), claim_node=np.array([held[numbers[1]], held[numbers[0]]]),
        parcel_node=np.array([held[numbers[1]], held[numbers[0]]]),
    )  # fmt: skip
    assert committed(town, turned).done.all()
    assert dict(_nodes(town)) == {numbers[0]: held[numbers[1]], numbers[1]: held[numbers[0]]}
    assert stock(town) == stock(town, UTRECHT) == (1, 1)


def test_whoever_relied_on_units_of_a_dropped_order_is_dropped_with_it(town: Database) -> None:
    receive(town, 1)
    receive(town, 1, node=UTRECHT)
    numbers = place(town, order((TEE, 1)), order((TEE, 1)))
    wanted = proposal(town, numbers)
    only_first = replace(wanted, **_first(wanted))
    assert committed(town, only_first).done.all()
    [(_, node)] = _nodes(town)
    other = ({1, 2, 3} & {_number(town, name) for name in (VENLO, UTRECHT)}) - {node}
    # the second order is to have the first one's unit, and the first one a unit elsewhere that somebody takes meanwhile
    moved = replace(proposal(town, numbers), claim_node=np.array([*other, node]), parcel_node=np.array([*other, node]))
    receive(town, -1, node=UTRECHT if node == _number(town, VENLO) else VENLO)
    assert committed(town, moved).why == (TAKEN, TAKEN)
    assert [of for of, _ in _nodes(town)] == [numbers[0]]


def test_a_node_with_a_hard_capacity_takes_no_more_than_that(town: Database) -> None:
    receive(town, 9, node=DELFT)
    town.write(lambda tx: tx.run("UPDATE node SET capacity_parcels = 1 WHERE id = :id", id=DELFT))
    first, second = (proposal(town, place(town, order((TEE, 1)))) for _ in range(2))
    assert committed(town, first).done.all()
    assert committed(town, second).why == (FULL,)


def test_an_order_that_stays_after_all_keeps_its_slot_at_a_node_that_is_full(town: Database) -> None:
    """The first is to leave a full node for the unit of the second, whose own new node is closed; the third is to have the slot."""
    numbers = []
    for node in (VENLO, UTRECHT):
        receive(town, 1, node=node)
        numbers += place(town, order((TEE, 1)))
        assert committed(town, proposal(town, numbers[-1:])).done.all()
    receive(town, 1)
    receive(town, 1, node=DELFT)
    venlo, utrecht, delft = (_number(town, node) for node in (VENLO, UTRECHT, DELFT))
    assert [node for _, node in _nodes(town)] == [venlo, utrecht]
    numbers += place(town, order((TEE, 1)))
    for node, capacity in ((VENLO, 1), (DELFT, 0)):
        town.write(
            lambda tx, node=node, most=capacity: tx.run(
                "UPDATE node SET capacity_parcels = :most WHERE id = :id", id=node, most=most
            )
        )
    nodes = np.array([utrecht, delft, venlo])
    wanted = replace(proposal(town, numbers), claim_node=nodes, parcel_node=nodes, limited=np.sort([venlo, delft]))
    assert committed(town, wanted).why == (TAKEN, FULL, FULL)
    with town.read() as tx:
        assert dict(tx.all("SELECT node_no, parcels FROM node_day WHERE parcels > 0")) == {venlo: 1, utrecht: 1}


def test_what_stays_as_it_is_writes_nothing(town: Database) -> None:
    receive(town, 5)
    numbers = place(town, order((TEE, 2)))
    committed(town, proposal(town, numbers))
    before = _count(town, "movement"), _count(town, "fact"), _count(town, "decision")
    assert committed(town, proposal(town, numbers)).changed == 0
    assert (_count(town, "movement"), _count(town, "fact"), _count(town, "decision")) == before


def test_a_commit_that_fails_half_way_leaves_no_trace(town: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    receive(town, 5)
    wanted = proposal(town, place(town, order((TEE, 2))))

    def fail(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("engine.commit.new_facts", fail)
    with pytest.raises(RuntimeError, match="disk"):
        committed(town, wanted)
    assert stock(town) == (5, 0)
    assert claims(town) == []


def test_many_at_once_never_oversell_and_sell_out_exactly(database: Database) -> None:
    found_town(database, venlo=20, utrecht=13)
    together = threading.Barrier(8)

    def buy(_: int) -> None:
        together.wait()
        for _ in range(8):
            capture(database, [order((TEE, 1)), order((TEE, 2), (POT, 1))], NOON)

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(buy, range(8)))
    assert stock(database) == (20, 20)
    assert stock(database, UTRECHT) == (13, 13)
    assert sum(units for *_, units in claims(database)) == 33


def _first(wanted: Proposal) -> dict[str, Any]:
    """The columns of a proposal with its first order only."""
    own, parcel = wanted.claim_order == 0, wanted.parcel_order == 0
    columns: dict[str, Any] = {}
    for name in Proposal.__dataclass_fields__:
        value = getattr(wanted, name)
        if name.startswith("claim_"):
            keep = own
        elif name.startswith("parcel_"):
            keep = parcel
        elif isinstance(value, str | int) or name == "limited":
            continue
        else:
            keep = np.arange(len(wanted.order_no)) == 0
        columns[name] = (
            tuple(v for v, k in zip(value, keep, strict=True) if k) if isinstance(value, tuple) else value[keep]
        )
    return columns


def _nodes(town: Database) -> list[tuple[int, int]]:
    with town.read() as tx:
        return [(int(no), int(node)) for no, node in tx.all("SELECT order_no, node_no FROM claim ORDER BY order_no")]


def _number(town: Database, node: str) -> int:
    with town.read() as tx:
        return int(tx.value("SELECT no FROM node WHERE id = :id", id=node))


def _count(town: Database, table: str) -> int:
    with town.read() as tx:
        return int(tx.value(f"SELECT COUNT(*) FROM {table}"))
