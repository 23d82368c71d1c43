from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.calendar import format_minute, parse_day
from engine.network import Network
from simulation.chance import SHORT, Chance, keys_of, uniform
from simulation.history import History
from simulation.networks import example
from simulation.placing import place
from simulation.replay import replay, replay_placed
from simulation.run import Run
from simulation.synthetic import make_history as make_up
from solver.effort import Policy
from solver.plan import Plan
from solver.policies import make
from solver.problem import Problem
from solver.refusal import Refusal

MakeNetwork = Callable[..., Network]
MakeHistory = Callable[..., History]
ROUGH = Chance(
    seed=3, short_pick=0.1, refuse=0.1, cancel=0.1, give_back=0.2, late=0.3, give_back_days=3, rest_minutes=600
)
BOTH = [("day", 0), (120, 0), (120, 240), pytest.param("arrival", 600, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def placed() -> Any:
    return place(make_up(8, 60, example("us"), seed=2), example("us"), seed=1)


def balanced(run: Run) -> bool:
    books = run.books
    kept = books.initial + books.received + books.returned - books.shipped - books.lost == books.final
    return bool(kept.all() and (books.final >= 0).all())


@given(st.integers(0, 2**63), st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_draw_depends_on_the_seed_and_the_key_alone(seed: int, one: int, other: int) -> None:
    keys = np.array([one, other, one])
    drawn = uniform(seed, SHORT, keys)
    assert drawn[0] == drawn[2] == uniform(seed, SHORT, np.array([one]))[0]
    assert ((drawn >= 0) & (drawn < 1)).all()
    assert one == other or drawn[0] != drawn[1]


def test_draws_are_spread_evenly() -> None:
    drawn = uniform(1, SHORT, keys_of([f"O{i}" for i in range(20_000)]), 7)
    share = np.histogram(drawn, bins=10, range=(0, 1))[0] / len(drawn)
    assert np.abs(share - 0.1).max() < 0.01
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.03
    assert abs(np.corrcoef(drawn, uniform(2, SHORT, keys_of([f"O{i}" for i in range(20_000)]), 7))[0, 1]) < 0.03


def test_without_chance_a_run_is_as_if_there_were_none(placed: Any, first_node: Policy) -> None:
    assert replay_placed(placed, first_node, chance=Chance()).decisions == replay_placed(placed, first_node).decisions


def test_the_same_seed_brings_about_the_same_and_another_seed_does_not(placed: Any, first_node: Policy) -> None:
    one, again, other = (
        replay_placed(placed, first_node, chance=chance).decisions for chance in (ROUGH, ROUGH, replace(ROUGH, seed=4))
    )
    assert one == again != other


@pytest.mark.parametrize(("every", "release_after"), BOTH)
def test_books_balance_whatever_happens(placed: Any, every: Any, release_after: int) -> None:
    run = replay_placed(placed, make("nearest"), chance=ROUGH, every=every, release_after=release_after)
    assert balanced(run)
    assert run.units_missing == run.books.lost.sum() > 0
    assert run.parcels_refused > 0
    assert run.units_returned > 0
    assert run.units_ordered == run.units_shipped + run.units_withdrawn + run.units_cancelled + run.units_lapsed


class Seen(Chance):
    """A chance that notes what it said of whom."""

    notes: dict[str, dict[int, int]]

    def cancelled_after(self, order: Any) -> Any:
        after = super().cancelled_after(order)
        self.notes["cancelled"] = dict(zip(order.tolist(), after.tolist(), strict=True))
        return after

    def given_back_after(self, order: Any, line: Any) -> Any:
        after = super().given_back_after(order, line)
        keys = (order + line.astype(np.uint64)).tolist()
        self.notes["returned"] |= dict(zip(keys, after.tolist(), strict=True))
        return after


def test_two_policies_see_the_same_cancellations_and_returns(placed: Any, first_node: Policy) -> None:
    def other_way_round(problem: Problem) -> Plan:
        scarce = replace(problem, row_limit=(problem.row_limit + 1) // 2)
        plan = first_node(scarce)
        return replace(plan, policy="half")

    told = []
    for policy in (first_node, other_way_round):
        chance = Seen(seed=1, cancel=0.1, give_back=0.3)
        object.__setattr__(chance, "notes", {"cancelled": {}, "returned": {}})
        run = replay_placed(placed, policy, chance=chance)
        told.append((chance.notes, run.decisions))
    (one, first), (other, second) = told
    assert first != second
    assert one["cancelled"] == other["cancelled"]
    both = set(one["returned"]) & set(other["returned"])
    assert len(both) > 100
    assert {key: one["returned"][key] for key in both} == {key: other["returned"][key] for key in both}


def test_units_that_are_not_found_leave_the_books_and_the_line_is_open_again(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    class Once(Chance):
        def missing(self, order: Any, line: Any, node: Any, day: int, units: Any) -> Any:
            return np.where(day == parse_day("2024-04-29"), 2, 0) * np.ones_like(units)

    run = replay(make_history(("04-29T09:00", {"mug": 5})), make_network(), first_node, chance=Once(rest_minutes=0))
    assert run.shipped.units.tolist() == [3, 2]
    assert (run.units_missing, run.books.lost.tolist(), run.books.final.tolist()) == (2, [2], [3])
    assert balanced(run)


def test_an_order_keeps_away_from_a_store_that_refused_it(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    class Never(Chance):
        def refused(self, order: Any, node: Any, is_store: Any, day: int) -> Any:
            return is_store

    store = msgspec.structs.replace(make_network().nodes[0], id="S", kind="store")
    network = make_network(nodes=(store, *make_network().nodes), stock=[("S", "mug", 5, 0), ("W", "mug", 5, 0)])
    history = make_history(("04-29T09:00", {"mug": 5}))
    run = replay(history, network, first_node, chance=Never(rest_minutes=3000))
    assert (run.shipped.node.tolist(), run.parcels_refused) == ([1], 1)
    assert [format_minute(int(at))[:10] for at in run.shipped.decided_at] == ["2024-04-30"]
    assert run.bill["unfilled"] == 0


def test_a_late_receipt_is_on_the_shelf_later(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(stock=[], receipts=[("2024-04-30T07:00Z", "W", "mug", 5)])
    history = make_history(("04-29T09:00", {"mug": 1}))
    on_time, late = (
        replay(history, network, first_node, chance=chance).shipped.decided_at[0]
        for chance in (None, Chance(late=1.0, late_days=1))
    )
    assert (format_minute(int(on_time))[8:10], format_minute(int(late))[8:10]) == ("30", "02")


def test_a_line_that_comes_back_is_sold_again(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 10}), ("05-06T09:00", {"mug": 1}))
    run = replay(history, make_network(), first_node, chance=Chance(give_back=1.0, give_back_days=1))
    assert run.shipped.units.tolist() == [10, 1]
    assert balanced(run)


def test_a_count_puts_the_books_right(make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy) -> None:
    history = make_history(
        ("04-29T09:00", {"mug": 2}), ("05-02T09:00", {"mug": 9}),
        receipts=[("04-30T07:00", "W", "mug", 1), ("04-30T09:00", "W", "mug", 2)],
        counts=[("04-30T08:00", "W", "mug", 5)],
    )  # fmt: skip
    run = replay(history, make_network(), first_node)
    assert (run.shipped.units.tolist(), run.books.lost.tolist()) == ([2, 7], [4])
    assert balanced(run)


def test_a_count_lets_go_what_is_held_and_not_there(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T08:50", {"mug": 6}), counts=[("04-29T09:30", "W", "mug", 4)])
    run = replay(history, make_network(), first_node, every=60, release_after=60)
    assert (run.units_shipped, run.units_lapsed, run.books.lost.tolist()) == (4, 2, [6])
    assert balanced(run)


def test_what_is_drawn_is_told(placed: Any, first_node: Policy) -> None:
    run = replay_placed(placed, first_node, chance=Chance(cancel=0.05, late=0.125))
    assert run.simulated[-2:] == (
        "cancellations: drawn for each by chance, 5 %",
        "late receipts: drawn for each by chance, 12.5 %",
    )


@pytest.mark.parametrize(
    "wrong", [{"cancel": 1.5}, {"refuse": -0.1}, {"late": float("nan")}, {"late_days": 0}, {"rest_minutes": -1}]
)
def test_a_chance_is_a_share(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match=next(iter(wrong))):
        Chance(**wrong)
