from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.calendar import MINUTES_PER_DAY, format_minute, parse_day
from engine.network import Network
from simulation.history import History
from simulation.networks import example
from simulation.placing import place
from simulation.replay import replay, replay_placed
from simulation.rhythm import every_of
from simulation.run import Run
from simulation.synthetic import make_history as make_up
from solver.effort import Policy
from solver.plan import Plan
from solver.policies import make
from solver.problem import Problem
from solver.refusal import Refusal

MakeNetwork = Callable[..., Network]
MakeHistory = Callable[..., History]


def decided(run: Run) -> list[str]:
    """When parcels were decided, as `29 14:00`."""
    return [format_minute(int(at))[8:16].replace("T", " ") for at in run.shipped.decided_at]


def node_of(network: Network, **changes: Any) -> Any:
    return msgspec.structs.replace(network.nodes[0], **changes)


def test_orders_are_decided_in_the_minute_in_which_they_arrive(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}), ("04-29T09:00", {"mug": 2}), ("04-29T22:30", {"mug": 1}))
    run = replay(history, make_network(), first_node, every="arrival")
    assert decided(run) == ["29 09:00", "29 09:00", "29 22:30"]
    assert run.waves.orders.tolist() == [2, 1]
    assert [int(day) - parse_day("2024-04-29") for day in run.shipped.leaves_day] == [0, 0, 1]  # after the cut-off


def test_what_an_arrival_leaves_open_waits_for_the_daily_wave(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(stock=[("W", "pan", 5, 0)], receipts=[("2024-04-30T07:00Z", "W", "mug", 5)])
    history = make_history(("04-29T09:00", {"mug": 1}), ("04-30T09:00", {"pan": 1}))
    run = replay(history, network, first_node, every="arrival")
    assert decided(run) == ["30 09:00", "30 14:00"]
    assert run.shipped.order.tolist() == [1, 0]


def test_an_order_that_no_daily_wave_sees_in_time_is_given_up_after_its_arrival(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    receipts = [("2024-04-30T07:00Z", "W", "mug", 5)]
    history = make_history(("04-29T15:00", {"mug": 1}), ("04-30T15:00", {"mug": 1}))
    for patience, shipped in [(0, [1]), (1, [0, 1])]:
        network = make_network(stock=[("W", "pan", 5, 0)], receipts=receipts, terms={"cancel_after_days": patience})
        run = replay(history, network, first_node, every="arrival")
        assert (run.shipped.order.tolist(), run.units_lapsed) == (shipped, 2 - len(shipped))


def test_an_order_that_arrives_after_the_last_daily_wave_is_decided_all_the_same(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}), ("04-29T15:00", {"mug": 1}))
    run = replay(history, make_network(), first_node, every="arrival", until=parse_day("2024-04-29"))
    assert decided(run) == ["29 09:00", "29 15:00"]


def test_waves_may_stand_every_so_many_minutes(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:10", {"mug": 1}), ("04-29T09:40", {"mug": 1}), ("04-29T23:40", {"mug": 1}))
    run = replay(history, make_network(), first_node, every=60)
    assert decided(run) == ["29 10:00", "29 10:00", "30 00:00"]


def test_a_wave_a_day_is_the_same_as_waves_every_1440_minutes(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(*[(f"04-29T{hour:02}:10", {"mug": 1}) for hour in range(8, 20)])
    daily, minutes = (replay(history, make_network(), first_node, every=every) for every in ("day", 1440))
    assert daily.decisions == minutes.decisions


@pytest.mark.parametrize("every", ["arrival", 60, "day"])
def test_books_balance_at_any_rhythm(every: Any, first_node: Policy) -> None:
    run = replay(make_up(6, 40, example("us"), seed=2), example("us"), first_node, every=every, seed=1)
    books = run.books
    assert (books.initial + books.received + books.returned - books.shipped - books.lost == books.final).all()
    assert run.units_ordered == run.units_shipped + run.units_withdrawn + run.units_cancelled + run.units_lapsed
    assert (books.final >= 0).all()


def spy(policy: Policy, problems: list[Problem]) -> Policy:
    def look(problem: Problem) -> Plan:
        problems.append(problem)
        return policy(problem)

    return look


def test_what_is_held_is_decided_again_until_it_is_released(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T08:50", {"mug": 1}), ("04-29T10:30", {"mug": 1}))
    problems: list[Problem] = []
    run = replay(history, make_network(), spy(first_node, problems), every=60, release_after=120)
    assert decided(run) == ["29 11:00", "29 13:00"]  # first decided at 09:00 and 11:00
    assert [problem.order_id for problem in problems] == [
        ("O0",), ("O0",), ("O0", "O1"), ("O1",), ("O1",),
    ]  # fmt: skip
    assert [problem.line_must_fill.tolist() for problem in problems] == [
        [False], [True], [True, False], [True], [True],
    ]  # fmt: skip


def test_what_is_held_is_released_before_the_day_of_its_node_ends(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(nodes=(node_of(make_network(), cut_off_minute=10 * 60 + 30),))
    run = replay(make_history(("04-29T08:50", {"mug": 1})), network, first_node, every=60, release_after=600)
    assert decided(run) == ["29 10:00"]


def test_an_order_that_is_cancelled_while_it_is_held_costs_nothing(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T08:50", {"mug": 4}), cancellations=[("04-29T09:30", "O0", 0, 4)])
    run = replay(history, make_network(), first_node, every=60, release_after=120)
    assert (run.cost_cents, run.parcels, run.units_withdrawn, run.books.final.tolist()) == (0, 0, 4, [10])


def test_nobody_else_is_given_what_is_held_on_arrival(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T08:50", {"mug": 8}), ("04-29T09:10", {"mug": 8}))
    run = replay(history, make_network(), first_node, every="arrival", release_after=600)
    assert (run.shipped.order.tolist(), run.shipped.units.tolist()) == ([0, 1], [8, 2])
    assert decided(run)[0] == "29 14:00"


def test_an_order_keeps_what_it_held_where_a_plan_would_break_its_promise(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy, nothing: Policy
) -> None:
    waves = 0

    def fickle(problem: Problem) -> Plan:
        nonlocal waves
        waves += 1
        return (first_node if waves != 2 else nothing)(problem)

    history = make_history(("04-29T08:50", {"mug": 2}), ("04-29T09:10", {"mug": 3}))
    run = replay(history, make_network(), fickle, every=60, release_after=60)
    assert sorted(zip(run.shipped.order.tolist(), run.shipped.units.tolist(), decided(run), strict=True)) == [
        (0, 2, "29 10:00"),
        (1, 3, "29 11:00"),
    ]


def test_an_order_keeps_what_it_held_where_the_node_of_another_closes(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy, nothing: Policy
) -> None:
    network = make_network(nodes=(node_of(make_network()), node_of(make_network(), id="V")))
    network = msgspec.structs.replace(network, stock=[("W", "mug", 1, 0), ("V", "pan", 1, 0)])
    shut = msgspec.structs.replace(network, nodes=(node_of(network, tags=["closed"]), network.nodes[1]))
    placed = place(make_history(("04-29T08:40", {"mug": 1}), ("04-29T08:50", {"pan": 1})), network)
    placed = replace(placed, later=((int(placed.history.order_placed_at[0]) + 30, shut),))
    waves = 0

    def once(problem: Problem) -> Plan:
        nonlocal waves
        waves += 1
        return (first_node if waves == 1 else nothing)(problem)

    run = replay_placed(placed, once, every=60, release_after=60)
    assert (run.shipped.order.tolist(), run.shipped.node.tolist(), run.units_lapsed) == ([1], [1], 1)


@pytest.mark.parametrize("tag", ["closed", "collect_only"])
@pytest.mark.parametrize(("elsewhere", "shipped"), [("pan", []), ("mug", ["V"])])
def test_what_is_held_at_a_node_that_closes_is_decided_anew_and_nothing_holds_it_any_longer(
    make_network: MakeNetwork,
    make_history: MakeHistory,
    first_node: Policy,
    tag: str,
    elsewhere: str,
    shipped: list[str],
) -> None:
    network = make_network(nodes=(node_of(make_network()), node_of(make_network(), id="V")))
    network = msgspec.structs.replace(network, stock=[("W", "mug", 1, 0), ("V", elsewhere, 1, 0)])
    shut = msgspec.structs.replace(network, nodes=(node_of(network, tags=[tag]), network.nodes[1]))
    history = make_history(("04-29T08:50", {"mug": 1}), cancellations=[("04-29T10:30", "O0", 0, 1)])
    placed = place(history, network)
    placed = replace(placed, later=((int(placed.history.order_placed_at[0]) + 30, shut),))
    run = replay_placed(placed, first_node, every=60, release_after=300)
    # held at V it is called off for nothing; open it is not
    assert (run.units_cancelled, run.units_withdrawn, run.parcels) == ((0, 1, 0) if shipped else (1, 0, 0))
    patient = replace(placed, history=place(make_history(("04-29T08:50", {"mug": 1})), network).history)
    run = replay_placed(patient, first_node, every=60, release_after=300)
    assert [network.nodes[j].id for j in run.shipped.node] == shipped
    assert run.waves.cost_cents.max() < 10_000


def test_capacity_counts_what_is_held(make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy) -> None:
    network = make_network(nodes=(node_of(make_network(), capacity_parcels=2),))
    history = make_history(*[(f"04-29T08:{minute}", {"mug": 1}) for minute in (10, 20, 30)])
    run = replay(history, network, first_node, every="arrival", release_after=600)
    assert [int(day) - parse_day("2024-04-29") for day in run.shipped.leaves_day] == [0, 0, 1]


@pytest.mark.parametrize(
    ("patience", "at"), [(0, "29 14:00"), (1, "30 14:00"), (2, "30 14:00"), (3, "02 14:00"), (30, "09 14:00")]
)
def test_an_order_waits_in_a_window_no_longer_than_for_the_last_wave_that_sees_it(
    make_network: MakeNetwork, make_history: MakeHistory, patience: int, at: str
) -> None:
    # the first of May is closed; the promise is the tenth, and a parcel is a day on its way
    network = make_network(terms={"cancel_after_days": patience, "promise_days": 11})
    policy = make("window", settings={"days": None, "by": "cheapest"})
    run = replay(make_history(("04-29T09:00", {"mug": 1})), network, policy)
    assert (decided(run), run.units_lapsed) == ([at], 0)


def test_a_rhythm_is_arrival_day_or_minutes() -> None:
    assert [every_of(text) for text in ("arrival", "day", "15")] == ["arrival", "day", 15]
    for text in ("0", "-5", "1441", "hour", "1.5", "²"):
        with pytest.raises(Refusal, match="is not arrival, day, or minutes"):
            every_of(text)


def test_waves_stand_on_days_on_which_a_node_works(
    make_network: MakeNetwork, make_history: MakeHistory, nothing: Policy
) -> None:
    run = replay(make_history(("05-03T15:00", {"mug": 1})), make_network(), nothing, every=720)
    weekend = {parse_day("2024-05-04"), parse_day("2024-05-05")}
    assert not weekend & set((run.waves.at // MINUTES_PER_DAY).tolist())
    assert np.all(np.diff(run.waves.at) > 0)
