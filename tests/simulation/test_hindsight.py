from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.network import Network
from simulation.hindsight import Clairvoyant, hindsight
from simulation.history import History
from simulation.networks import example
from simulation.outlook import outlook_of
from simulation.placing import Placed, Supply, place
from simulation.regret import Causes, Regret
from simulation.replay import replay_placed
from simulation.synthetic import make_history as make_up
from solver.check import check
from solver.effort import Effort
from solver.policies import make
from solver.refusal import Refusal
from solver.wave import Service

MakeNetwork = Callable[..., Network]
MakeHistory = Callable[..., History]
WORK = Effort(seconds=None, work=60)
STEEP = Service("parcel", [300.0, 20100.0], [1000, 2000], [[400, 2000], [900, 4000]], [50, 90], [1, 2])
"""Two parcels of one step cost less than one of two."""


def far_and_near(make_network: MakeNetwork, **changes: Any) -> Network:
    """A node beside the customers and one that is 250 km away, where a parcel costs 5.00 more."""
    network = make_network()
    near = msgspec.structs.replace(network.nodes[0], id="NEAR", calendar="daily", lat=52.1, lon=5.1)
    far = msgspec.structs.replace(near, id="FAR", lat=54.6)
    service = msgspec.structs.replace(network.services[0], zone_km=[100.0, 20100.0])
    return make_network(nodes=(near, far), services=[service], **changes)


def bound_and_cost(placed: Placed, *names: str) -> tuple[float, int, list[int]]:
    found = hindsight(placed, WORK)
    assert check(found.problem, found.plan).ok
    runs = [replay_placed(placed, make(name, WORK), name=name) for name in names]
    return found.bound_cents, found.cost_cents, [run.cost_cents for run in runs]


def test_who_knows_the_future_keeps_the_last_unit_for_who_needs_it_more(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    # mug and pan together go whole from FAR; who takes the near mug first makes the second order go in two parcels
    network = far_and_near(make_network, stock=[("NEAR", "mug", 1, 0), ("FAR", "mug", 1, 0), ("NEAR", "pan", 1, 0)])
    history = make_history(("04-29T09:00", {"mug": 1}, {"lat": 53.3}), ("04-30T09:00", {"mug": 1, "pan": 1}))
    bound, cost, [myopic] = bound_and_cost(place(history, network), "cheapest")
    assert bound <= cost <= myopic
    assert bound == pytest.approx(cost, abs=1)


def test_a_unit_that_comes_later_serves_nobody_earlier(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    network = make_network(
        stock=[("W", "mug", 1, 0)], receipts=[("2024-05-10T07:00Z", "W", "mug", 5)], terms={"cancel_after_days": 1}
    )
    history = make_history(("04-29T09:00", {"mug": 2}), ("05-13T09:00", {"mug": 2}))
    placed = place(history, network)
    bound, cost, [run] = bound_and_cost(placed, "cheapest")
    assert bound <= cost == run
    assert hindsight(placed, WORK).overdrawn == 0


def test_what_came_back_can_be_sold_again(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    history = make_history(
        ("04-29T09:00", {"mug": 1}), ("05-13T09:00", {"mug": 1}), returns=[("05-06T09:00", "O0", 0, 1)]
    )
    placed = place(history, make_network(stock=[("W", "mug", 1, 0)], terms={"cancel_after_days": 1}))
    bound, cost, [run] = bound_and_cost(placed, "cheapest")
    assert bound == pytest.approx(cost, abs=1) == run


def bounds_the_myopic(placed: Placed, **rhythm: Any) -> bool:
    run = replay_placed(placed, make("cheapest", WORK), **rhythm)
    return hindsight(placed, WORK, **rhythm).bound_cents <= run.cost_cents


def test_what_is_called_off_after_shipping_does_not_keep_the_rest_of_a_complete_order(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    history = make_history(
        ("04-29T09:00", {"mug": 1, "pan": 1}, {"ship_complete": True}), cancellations=[("04-30T09:00", "O0", 1, 1)]
    )
    assert bounds_the_myopic(place(history, make_network(stock=[("W", "mug", 1, 0)])))


def test_two_light_parcels_of_one_day_may_cost_less_than_one_heavy_one(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    network = make_network(
        stock=[("W", "mug", 1, 0)],
        receipts=[("2024-04-29T12:00Z", "W", "mug", 1)],
        services=[STEEP],
        terms={"unfilled_cents": 5000, "cancel_after_days": 1},
    )
    assert bounds_the_myopic(place(make_history(("04-29T09:00", {"mug": 2})), network), every="arrival")


def test_two_light_parcels_of_one_wait_may_cost_less_than_one_heavy_one(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    network = make_network(
        stock=[("W", "pan", 1, 0)],
        receipts=[(f"2024-05-0{day}T07:00Z", "W", "mug", 1) for day in (6, 7)],
        services=[STEEP],
        terms={"unfilled_cents": 5000, "cancel_after_days": 5, "late_cents": 0},
    )
    assert bounds_the_myopic(place(make_history(("05-03T09:00", {"mug": 2})), network))


def test_what_one_wave_sends_from_one_node_goes_in_one_parcel(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    terms = {"unfilled_cents": 5000, "cancel_after_days": 0}
    network = make_network(stock=[("W", "mug", 2, 0)], services=[STEEP], terms=terms)
    bound, cost, [run] = bound_and_cost(place(make_history(("04-29T09:00", {"mug": 2})), network), "cheapest")
    assert bound == pytest.approx(cost, abs=1) == run


def test_what_was_returned_never_made_more_than_there_was(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    # all five are asked for and sent back, but there is only one to send
    history = make_history(("04-29T09:00", {"mug": 5}), returns=[("05-10T09:00", "O0", 0, 5)])
    placed = place(history, make_network(stock=[("W", "mug", 1, 0)]))
    bound, cost, [run] = bound_and_cost(placed, "cheapest")
    assert bound <= cost == run


def test_a_network_that_changes_and_a_history_without_orders_are_refused(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    placed = place(make_history(("04-29T09:00", {"mug": 2})), make_network())
    with pytest.raises(Refusal, match="network: changes later"):
        hindsight(replace(placed, later=((0, placed.network),)), WORK)
    with pytest.raises(Refusal, match="history: has no orders"):
        hindsight(place(make_history(), make_network()), WORK)


def test_a_history_that_counts_its_stock_is_refused(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}), counts=[("04-30T09:00", "W", "mug", 3)])
    with pytest.raises(Refusal, match="counts its stock"):
        hindsight(place(history, make_network()), WORK)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    days=st.sampled_from([0, 2, 7]),
    capacity=st.sampled_from([None, 2]),
    each=st.sampled_from([1, 50]),
)
def test_no_run_costs_less_than_the_bound_in_hindsight(
    make_network: MakeNetwork, make_history: MakeHistory, seed: int, days: int, capacity: int | None, each: int
) -> None:
    # fifty of each is too many for orders to be decided exactly
    rng = np.random.default_rng(seed)
    stock = [(node, sku, each * int(rng.integers(1, 4)), 0) for node in ("NEAR", "FAR") for sku in ("mug", "pan")]
    receipts = [
        (f"2024-05-{int(day):02}T07:00Z", node, sku, each * int(rng.integers(1, 3)))
        for day, node, sku in sorted(
            (int(rng.integers(2, 12)), *rng.choice(["NEAR mug", "FAR pan"]).split()) for _ in range(3)
        )
    ]
    network = far_and_near(make_network, stock=stock, receipts=receipts, terms={"cancel_after_days": days})
    if capacity is not None:
        nodes = tuple(msgspec.structs.replace(node, capacity_parcels=capacity) for node in network.nodes)
        network = msgspec.structs.replace(network, nodes=nodes)
    orders = [
        (
            f"05-{int(day):02}T09:00",
            {"mug": each * int(rng.integers(1, 4)), "pan": each * int(rng.integers(1, 3))},
            {"lat": float(rng.uniform(52, 55))},
        )
        for day in sorted(rng.integers(1, 12, 8))
    ]
    returns = [("05-13T09:00", "O1", 0, 1)]
    placed = place(make_history(*orders, returns=returns), network)
    bound, _, costs = bound_and_cost(placed, "nearest", "cheapest", "joint")
    assert bound <= min(costs) + 1e-6


def test_a_made_up_month_is_bounded_and_its_moments_are_found() -> None:
    network = example("uk")
    placed = place(make_up(20, 9, network, 3), network, 1, Supply(cover_weeks=0.5, level=0.8))
    bound, cost, costs = bound_and_cost(placed, "nearest", "cheapest")
    assert 0 < bound <= cost
    assert bound <= min(costs)
    assert bound > 0.65 * min(costs)


@pytest.mark.slow
def test_a_clairvoyant_costs_no_less_than_the_bound_and_less_than_the_myopic() -> None:
    network = example("uk")
    terms = msgspec.structs.replace(network.terms, cancel_after_days=1)
    network = msgspec.structs.replace(network, terms=terms)
    placed = place(make_up(14, 9, network, 3), network, 1, Supply(cover_weeks=0.5, level=0.8))
    found = hindsight(placed, Effort(seconds=None, work=160))
    told = replay_placed(placed, Clairvoyant(found), name="clairvoyant")
    myopic = replay_placed(placed, make("cheapest", WORK), name="cheapest")
    assert found.bound_cents <= told.cost_cents < myopic.cost_cents


def regret_of(name: str, placed: Placed, **told: Any) -> tuple[Regret, float]:
    """The regret by cause, and what the run costs above the bound."""
    found = hindsight(placed, WORK)
    policy = make(name, WORK, settings=told, outlook=outlook_of(placed))
    cost = replay_placed(placed, policy).cost_cents
    causes = Causes(placed, found, WORK)
    return causes.split(name, lambda outlook: make(name, WORK, settings=told, outlook=outlook), cost), (
        cost - found.bound_cents
    )


def test_who_takes_what_another_needs_more_regrets_myopia(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    network = far_and_near(make_network, stock=[("NEAR", "mug", 1, 0), ("FAR", "mug", 1, 0), ("NEAR", "pan", 1, 0)])
    history = make_history(("04-29T09:00", {"mug": 1}, {"lat": 52.9}), ("04-30T09:00", {"mug": 1, "pan": 1}))
    regret, all_of_it = regret_of("cheapest", place(history, network))
    assert regret.cents == pytest.approx(all_of_it)
    assert regret.myopia > 0
    assert (regret.delay, regret.capacity, regret.rules, regret.forecast) == (0, 0, 0, 0)


def test_what_a_limit_of_the_day_made_dearer_is_regret_of_capacity(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    # the first order fills the near node for the day, and the second one, of the same day, could go from nowhere else
    network = far_and_near(make_network, stock=[("NEAR", "mug", 1, 0), ("FAR", "mug", 1, 0), ("NEAR", "pan", 1, 0)])
    near = msgspec.structs.replace(network.nodes[0], capacity_parcels=1)
    network = msgspec.structs.replace(
        network, nodes=(near, network.nodes[1]), terms=msgspec.structs.replace(network.terms, cancel_after_days=0)
    )
    history = make_history(("04-29T09:00", {"mug": 1}), ("04-29T09:05", {"pan": 1}))
    regret, all_of_it = regret_of("cheapest", place(history, network))
    assert regret.cents == pytest.approx(all_of_it)
    assert regret.capacity > 0
    assert regret.capacity == pytest.approx(all_of_it, abs=1)


def test_what_waiting_for_a_receipt_would_have_saved_is_regret_of_delay(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    # tomorrow the mug comes in where the pan is; nobody has announced it
    network = far_and_near(
        make_network,
        stock=[("FAR", "mug", 1, 0), ("NEAR", "pan", 1, 0)],
        receipts=[("2024-04-30T07:00Z", "NEAR", "mug", 1)],
        terms={"unfilled_cents": 2000},
    )
    history = make_history(("04-29T09:00", {"mug": 1, "pan": 1}))
    regret, all_of_it = regret_of("cheapest", replace(place(history, network), announced_days=0))
    assert regret.cents == pytest.approx(all_of_it)
    assert regret.delay == pytest.approx(all_of_it, abs=1)
    assert regret.delay > 0


def test_a_rule_that_does_not_weigh_costs_regrets_itself(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    # two parcels from nearby, where all of it lies together farther away
    stock = [("NEAR", "mug", 1, 0), ("MID", "pan", 1, 0), ("FAR", "mug", 1, 0), ("FAR", "pan", 1, 0)]
    network = far_and_near(make_network, stock=[])
    middle = msgspec.structs.replace(network.nodes[0], id="MID", lat=52.3)
    far = msgspec.structs.replace(network.nodes[1], lat=52.6)
    network = msgspec.structs.replace(network, nodes=(network.nodes[0], middle, far), stock=stock)
    placed = place(make_history(("04-29T09:00", {"mug": 1, "pan": 1})), network)
    regret, all_of_it = regret_of("nearest", placed)
    assert regret.cents == pytest.approx(all_of_it)
    assert regret.rules == pytest.approx(all_of_it, abs=1)
    assert regret.rules > 0


def test_who_looks_ahead_without_a_past_regrets_the_forecast(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    network = far_and_near(make_network, stock=[("NEAR", "mug", 1, 0), ("FAR", "mug", 1, 0), ("NEAR", "pan", 1, 0)])
    history = make_history(("04-29T09:00", {"mug": 1}, {"lat": 52.9}), ("04-30T09:00", {"mug": 1, "pan": 1}))
    regret, all_of_it = regret_of("bid_price", place(history, network), samples=1)
    assert regret.cents == pytest.approx(all_of_it)
    assert regret.forecast == pytest.approx(all_of_it, abs=1)
    assert regret.forecast > 0
