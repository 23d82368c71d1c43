from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.available import Availability, available, available_to_promise
from engine.catalogue import Catalogue, read_catalogue
from engine.database import Database, Rows, Tx
from engine.entries import ServiceEntry, put_services
from solver.problem import NO_LIMIT
from tests.engine.shop import CAP, DAY, FAR, MUG, NOON, SET, STORE, TEE, WAREHOUSE, open_shop

TODAY = NOON // DAY
EXPRESS = ServiceEntry(
    id="express", zone_km=(20_100.0,), steps_g=(1000,), cents=((500,),), over_cents_per_kg=(100,), transit_days=(1,)
)


@pytest.fixture
def shop(database: Database) -> Database:
    open_shop(database)
    database.write(lambda tx: put_services(tx, [EXPRESS], NOON))
    return database


class _Undone(Exception):
    pass


def in_shop(database: Database, act: Callable[[Tx], None]) -> None:
    """Do something and undo it."""

    def undone(tx: Tx) -> None:
        act(tx)
        raise _Undone

    with pytest.raises(_Undone):
        database.write(undone)


def stock(tx: Tx, *rows: tuple[int, int, int, int, int]) -> None:
    """SKU, node, on hand, reserved, safety."""
    if rows:
        sku, node, on_hand, reserved, safety = zip(*rows, strict=True)
        tx.run("INSERT INTO stock (sku_no, node_no, on_hand, reserved, safety_sell) "
               "SELECT sku, node, on_hand, reserved, safety FROM {rows}",
               Rows(sku=sku, node=node, on_hand=on_hand, reserved=reserved, safety=safety))  # fmt: skip


def inbound(tx: Tx, *rows: tuple[int, int, int, int]) -> None:
    """SKU, node, day from today, units."""
    for i, (sku, node, day, units) in enumerate(rows):
        tx.run("INSERT INTO inbound (id, sku_no, node_no, units, due_day) VALUES (:id, :sku, :node, :units, :day)",
               id=f"i{i}", sku=sku, node=node, units=units, day=TODAY + day)  # fmt: skip


def waiting(tx: Tx, *rows: tuple[int, int, bool]) -> None:
    """Open lines: SKU, units, whether presold."""
    for i, (sku, units, presale) in enumerate(rows, 1):
        tx.run(
            "INSERT INTO orders (no, id, channel, external_id, content, placed_at, pickup, promise_day, late_cents, open) "
            "VALUES (:no, :id, 'web', :id, '', 0, '[]', 0, 0, :units)", no=i, id=f"o{i}", units=units,
        )  # fmt: skip
        tx.run("INSERT INTO order_line (order_no, number, sku_no, qty, unfilled_cents, presale, open) "
               "VALUES (:no, 1, :sku, :units, 0, :presale, :units)",
               no=i, sku=sku, units=units, presale=presale)  # fmt: skip


def count(tx: Tx, *sku: int, channel: str | None = None, days: list[int] | None = None) -> Availability:
    chosen = None if days is None else [TODAY + day for day in days]
    return available_to_promise(tx, read(tx), np.array(sku) - 1, NOON, channel=channel, days=chosen)


def read(tx: Tx) -> Catalogue:
    return read_catalogue(tx, NOON)


def test_free_is_what_is_there_less_reserved_safety_and_open_demand(shop: Database) -> None:
    def act(tx: Tx) -> None:
        stock(tx, (TEE, WAREHOUSE, 10, 3, 1), (TEE, STORE, 4, 0, 6))
        waiting(tx, (TEE, 2, False))
        found = count(tx, TEE)
        assert found.now.tolist() == [4]
        # a node says what it has; what is asked for is nobody's yet
        assert list(zip(found.row_node.tolist(), found.row_now.tolist(), strict=True)) == [(0, 4), (1, 0)]

    in_shop(shop, act)


def test_what_is_due_counts_from_its_day_on(shop: Database) -> None:
    def act(tx: Tx) -> None:
        stock(tx, (TEE, WAREHOUSE, 1, 0, 0))
        inbound(tx, (TEE, STORE, 3, 5), (TEE, WAREHOUSE, -2, 1), (TEE, FAR, 9, 100))
        assert count(tx, TEE, days=[0, 2, 3, 5]).by_day.tolist() == [[2, 2, 7, 7]]
        assert count(tx, TEE).days.tolist() == [TODAY, TODAY + 3, TODAY + 9]
        assert count(tx, TEE).now.tolist() == [1]
        assert available(tx, read(tx), "web", np.array([0, 0, 0]), [1, 2, 200], NOON) == {
            1: TODAY,
            2: TODAY + 3,
            3: None,
        }

    in_shop(shop, act)


def test_a_node_that_is_paused_has_nothing_to_promise(shop: Database) -> None:
    def act(tx: Tx) -> None:
        stock(tx, (TEE, WAREHOUSE, 5, 0, 0), (TEE, STORE, 2, 0, 0))
        tx.run("UPDATE node SET paused = :yes WHERE id = 'warehouse'", yes=True)
        assert count(tx, TEE).now.tolist() == [2]

    in_shop(shop, act)


def test_a_channel_gets_less_by_safety_and_buffer_and_no_more_than_its_allotment(shop: Database) -> None:
    def act(tx: Tx) -> None:
        stock(tx, (TEE, WAREHOUSE, 20, 0, 0), (CAP, WAREHOUSE, 20, 0, 0))
        tx.run("UPDATE channel SET safety = 2 WHERE id = 'web'")
        tx.run("INSERT INTO channel_stock (channel, sku_no, buffer, allotment, sold) VALUES ('web', 1, 3, NULL, 0), "
               "('web', 2, 0, 9, 4)")  # fmt: skip
        found = count(tx, TEE, CAP, channel="web")
        assert (found.now.tolist(), found.allotment.tolist()) == ([15, 5], [NO_LIMIT, 5])
        assert count(tx, TEE, CAP).now.tolist() == [20, 20]

    in_shop(shop, act)


def test_a_kit_is_there_where_its_parts_lie_together(shop: Database) -> None:
    def act(tx: Tx) -> None:
        stock(tx, (TEE, WAREHOUSE, 3, 0, 0), (CAP, WAREHOUSE, 5, 0, 0), (TEE, STORE, 9, 0, 0), (CAP, FAR, 9, 0, 0))
        inbound(tx, (CAP, STORE, 1, 4))
        found = count(tx, SET)
        assert (found.now.tolist(), found.by_day.tolist()) == ([2], [[4]])
        assert list(zip(found.row_node.tolist(), found.row_now.tolist(), strict=True)) == [(0, 2), (1, 0)]
        waiting(tx, (SET, 1, False), (CAP, 12, False))
        # twelve caps wait, and two for a set: 14 of 14 caps are spoken for
        assert count(tx, SET).now.tolist() == [0]
        assert count(tx, TEE, CAP).now.tolist() == [11, 0]

    in_shop(shop, act)


def test_a_preorder_has_a_limit_and_takes_what_comes_from_its_day_on(shop: Database) -> None:
    def act(tx: Tx) -> None:
        tx.run("UPDATE sku SET presale_limit = 10, presold = 4, sale_day = :day WHERE id = 'mug'", day=TODAY + 5)
        inbound(tx, (MUG, WAREHOUSE, 2, 20))
        waiting(tx, (MUG, 4, True))
        found = count(tx, MUG, TEE, days=[0, 2, 5])
        assert found.presale.tolist() == [6, -1]
        assert found.by_day.tolist() == [[0, 20, 16], [0, 0, 0]]
        assert available(tx, read(tx), "web", np.array([2, 2]), [6, 1], NOON) == {1: TODAY + 5, 2: TODAY + 2}

    in_shop(shop, act)


CELLS = st.integers(1, 3)
WORLDS = st.fixed_dictionaries({
    "stock": st.dictionaries(st.tuples(CELLS, CELLS), st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 3))),
    "inbound": st.lists(st.tuples(CELLS, CELLS, st.integers(-2, 6), st.integers(1, 9)), max_size=5),
    "waiting": st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.booleans()), max_size=4),
    "paused": st.sets(CELLS, max_size=1),
    "days": st.lists(st.integers(0, 7), unique=True, max_size=3).map(sorted),
})  # fmt: skip


def slow(world: dict[str, Any], sku: int, day: int | None) -> int:
    """What may be sold of a SKU (`SET`: a tee and two caps) now, or by a day, reckoned one by one."""
    parts = {TEE: 1, CAP: 2} if sku == SET else {sku: 1}

    def free(part: int, node: int) -> int:
        on_hand, reserved, safety = world["stock"].get((part, node), (0, 0, 0))
        comes = sum(
            u for s, n, d, u in world["inbound"] if (s, n) == (part, node) and day is not None and max(d, 0) <= day
        )
        return 0 if node in world["paused"] else max(0, on_hand - min(reserved, on_hand) - safety + comes)

    def asked(part: int) -> int:
        of_one = {SET: {TEE: 1, CAP: 2}.get(part, 0), part: 1}
        return sum(of_one.get(s, 0) * units for s, units, presale in world["waiting"] if not presale or day is not None)

    least = min((sum(free(part, node) for node in (1, 2, 3)) - asked(part)) // each for part, each in parts.items())
    if sku == SET:
        together = sum(min(free(part, node) // each for part, each in parts.items()) for node in (1, 2, 3))
        least = min(least, together - asked(SET))
    return max(0, least)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=WORLDS)
def test_counting_by_columns_is_counting_one_by_one(shop: Database, world: dict[str, Any]) -> None:
    def act(tx: Tx) -> None:
        stock(tx, *((s, n, h, min(r, h), f) for (s, n), (h, r, f) in world["stock"].items()))
        inbound(tx, *world["inbound"])
        waiting(tx, *world["waiting"])
        for node in world["paused"]:
            tx.run("UPDATE node SET paused = :yes WHERE no = :no", yes=True, no=node)
        found = count(tx, SET, MUG, TEE, CAP, days=world["days"])
        for s, sku in enumerate([SET, MUG, TEE, CAP]):
            assert found.now[s] == slow(world, sku, None)
            assert found.by_day[s].tolist() == [slow(world, sku, day) for day in world["days"]]

    in_shop(shop, act)
