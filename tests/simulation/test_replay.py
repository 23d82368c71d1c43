import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.calendar import MINUTES_PER_DAY, parse_day, parse_minute
from engine.network import Network
from simulation.history import History
from simulation.networks import example
from simulation.placing import place
from simulation.replay import replay, replay_placed
from simulation.run import Run, compare_runs, write_run
from simulation.synthetic import make_history as make_up
from solver.effort import Policy
from solver.plan import Plan
from solver.problem import NO_LIMIT, Problem

MakeNetwork = Callable[..., Network]
MakeHistory = Callable[..., History]


def days(minutes_or_days: np.ndarray[Any, Any]) -> list[int]:
    """Days of May 2024 (the 29th of April is -1)."""
    return [int(day) - parse_day("2024-04-30") for day in minutes_or_days]


def node_of(network: Network, j: int = 0, **changes: Any) -> tuple[Any, ...]:
    nodes = list(network.nodes)
    nodes[j] = msgspec.structs.replace(nodes[j], **changes)
    return tuple(nodes)


def test_a_carried_over_shortage_is_filled_by_the_next_receipt(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(stock=[("W", "mug", 1, 0)], receipts=[("2024-05-02T07:00Z", "W", "mug", 5)])
    run = replay(make_history(("04-29T09:00", {"mug": 3})), network, first_node)
    assert run.shipped.units.tolist() == [1, 2]
    assert days(run.shipped.leaves_day) == [-1, 2]
    assert (run.units_lapsed, run.bill["unfilled"], run.fill_rate) == (0, 0, 1.0)


def test_a_cancelled_unit_is_never_shipped(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 3}), cancellations=[("04-29T09:30", "O0", 0, 2)])
    run = replay(history, make_network(), first_node)
    assert run.shipped.units.tolist() == [1]
    assert (run.units_withdrawn, run.bill["unfilled"], run.fill_rate) == (2, 0, 1.0)


def test_an_order_withdrawn_before_any_wave_costs_nothing(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 74_215}), cancellations=[("04-29T09:16", "O0", 0, 74_215)])
    run = replay(history, make_network(), first_node)
    assert (run.cost_cents, run.parcels, run.orders_asked, run.units_withdrawn) == (0, 0, 0, 74_215)


def test_a_unit_cancelled_after_a_wave_left_it_open_costs_its_penalty_once(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 12}), cancellations=[("05-02T09:00", "O0", 0, 2)])
    run = replay(history, make_network(), first_node)
    assert (run.units_cancelled, run.units_lapsed, run.bill["unfilled"]) == (2, 0, 1400)


def test_a_unit_cancelled_after_it_was_shipped_comes_back(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(
        ("04-29T09:00", {"mug": 10}), ("04-30T15:00", {"mug": 4}), cancellations=[("04-29T20:00", "O0", 0, 4)]
    )
    run = replay(history, make_network(), first_node)
    assert (run.units_returned, run.shipped.units.tolist()) == (4, [10, 4])


def test_a_penalty_is_paid_once_however_many_waves_a_unit_waits(
    make_network: MakeNetwork, make_history: MakeHistory, nothing: Policy
) -> None:
    run = replay(make_history(("04-29T09:00", {"mug": 2})), make_network(), nothing)
    assert len(run.waves.at) == 5  # Monday to the next Monday, but for the first of May and the weekend
    assert (run.units_lapsed, run.bill, run.cost_cents) == (2, run.bill | {"unfilled": 1400, "carriage": 0}, 1400)


def test_a_wave_that_is_proven_to_the_cent_has_no_gap(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    def proven(problem: Problem) -> Plan:
        plan = first_node(problem)
        return replace(plan, bound_cents=plan.cost_cents - 0.5)

    waves = replay(make_history(("04-29T09:00", {"mug": 2})), make_network(), proven).waves
    assert (waves.gap_cents.tolist(), waves.gap.tolist()) == ([0.0], [0.0])


def test_an_order_is_given_up_after_its_last_wave(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(
        stock=[("W", "pan", 1, 0)], receipts=[("2024-05-03", "W", "mug", 5)], terms={"cancel_after_days": 3}
    )
    history = make_history(("04-29T09:00", {"mug": 1}), ("05-03T09:00", {"mug": 1}))
    run = replay(history, network, first_node)
    assert (run.units_lapsed, run.shipped.order.tolist()) == (1, [1])


def test_a_closed_node_ships_nothing_that_day(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network()
    network = make_network(nodes=(*network.nodes, *node_of(network, id="S", kind="store", calendar="daily")))
    history = make_history(("05-01T09:00", {"mug": 1}), ("05-03T15:00", {"mug": 1}), ("05-05T09:00", {"mug": 1}))
    run = replay(history, network, first_node)
    assert days(run.shipped.decided_at // MINUTES_PER_DAY) == [1, 4, 5]
    assert days(run.shipped.leaves_day) == [2, 6, 6]  # the first of May, Saturday and Sunday are closed


def test_no_wave_stands_on_a_day_when_nobody_works(
    make_network: MakeNetwork, make_history: MakeHistory, nothing: Policy
) -> None:
    run = replay(make_history(("04-30T15:00", {"mug": 1})), make_network(), nothing)
    assert days(run.waves.at // MINUTES_PER_DAY) == [2, 3, 6, 7, 8, 9]


def test_what_is_decided_after_the_cut_off_leaves_the_next_day(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network()
    history = make_history(("04-29T09:00", {"mug": 1}))
    for cut_off, leaves in [(14 * 60, -1), (14 * 60 - 1, 0)]:
        run = replay(history, make_network(nodes=node_of(network, cut_off_minute=cut_off)), first_node)
        assert days(run.shipped.leaves_day) == [leaves]


def test_capacity_begins_anew_each_day(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(nodes=node_of(make_network(), capacity_parcels=2))
    history = make_history(*[("04-29T09:00", {"mug": 1})] * 5)
    run = replay(history, network, first_node)
    assert days(run.shipped.leaves_day) == [-1, -1, 0, 0, 2]


def test_picking_capacity_begins_anew_each_day(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(nodes=node_of(make_network(), capacity_units=4))
    run = replay(make_history(("04-29T09:00", {"mug": 9})), network, first_node)
    assert run.shipped.units.tolist() == [4, 4, 1]


def test_two_waves_after_the_cut_off_share_one_day_of_work(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    late = node_of(make_network(), capacity_parcels=2, cut_off_minute=60)
    network = make_network(nodes=(*late, *node_of(make_network(), id="S", calendar="daily")))
    history = make_history(*[("05-03T09:00", {"mug": 1})] * 3, *[("05-04T09:00", {"mug": 1})] * 3)
    run = replay(history, network, first_node)
    assert days(run.shipped.leaves_day) == [6, 6, 7, 7, 8, 8]


def test_overtime_is_paid_above_what_is_left_of_the_day(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(nodes=node_of(make_network(), capacity_parcels=2, overtime_cents=70))
    run = replay(make_history(*[("04-29T09:00", {"mug": 1})] * 5), network, first_node)
    assert (run.parcels, run.bill["overtime"]) == (5, 210)


def test_a_returned_unit_is_sold_again_once_it_is_back_on_the_shelf(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(
        ("04-29T09:00", {"mug": 10}), ("05-02T09:00", {"mug": 1}), returns=[("05-02T10:00", "O0", 0, 3)]
    )
    run = replay(history, make_network(terms={"restock_days": 1}), first_node)
    assert days(run.shipped.leaves_day) == [-1, 3]
    assert run.books.returned.tolist() == [3]


def test_returning_what_was_never_shipped_calls_it_off(
    make_network: MakeNetwork, make_history: MakeHistory, nothing: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 2}), returns=[("05-02T10:00", "O0", 0, 2)])
    run = replay(history, make_network(), nothing)
    assert (run.units_cancelled, run.units_returned, run.bill["unfilled"]) == (2, 0, 1400)


def test_a_ship_complete_order_waits_for_its_last_unit(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(receipts=[("2024-05-02T07:00Z", "W", "pan", 1)])
    history = make_history(("04-29T09:00", {"mug": 1, "pan": 1}, {"ship_complete": True}))
    run = replay(history, network, first_node)
    assert (run.shipped.units.tolist(), days(run.shipped.leaves_day)) == ([2], [2])


def test_an_order_that_may_make_no_further_parcel_is_given_up(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(receipts=[("2024-05-02T07:00Z", "W", "pan", 1)])
    history = make_history(("04-29T09:00", {"mug": 1, "pan": 1}, {"max_parcels": 1}))
    run = replay(history, network, first_node)
    assert (run.parcels, run.units_lapsed, run.bill["unfilled"]) == (1, 1, 700)


def test_an_order_is_collected_at_one_store_even_in_two_parcels(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network()
    stores = tuple(s for name in ("S1", "S2") for s in node_of(network, id=name, kind="store", calendar="daily"))
    network = make_network(
        nodes=(*network.nodes, *stores),
        stock=[("S1", "mug", 1, 0)],
        receipts=[("2024-05-02T07:00Z", "S2", "pan", 1)],
    )
    collect = {"lat": np.nan, "lon": np.nan, "pickup_nodes": "S1|S2"}
    run = replay(make_history(("04-29T09:00", {"mug": 1, "pan": 1}, collect)), network, first_node)
    assert run.shipped.node.tolist() == [1, 2]
    assert run.shipped.service.tolist() == [-1, 0]  # the pan travels to the store where the mug already lies


def test_a_promise_counts_from_the_day_of_the_order(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    network = make_network(stock=[], receipts=[("2024-05-02T07:00Z", "W", "mug", 1)])
    run = replay(make_history(("04-29T09:00", {"mug": 1})), network, first_node)
    assert days(run.shipped.arrives_day) == [3]  # promised for the first
    assert (run.bill["late"], run.parcels_late, run.on_time_rate) == (200, 1, 0.0)


def test_a_run_costs_what_shipped_and_what_stayed_open(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    run = replay(make_history(("04-29T09:00", {"mug": 11})), make_network(), first_node)
    carriage, handling = 400 + 5 * 50, 50 + 10 + 10
    assert run.bill == {"carriage": carriage, "handling": handling, "late": 0, "overtime": 0, "unfilled": 700}
    assert run.cost_cents == carriage + handling + 700


def test_what_stock_is_worth_is_told_apart_from_the_cost(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    run = replay(make_history(("04-29T09:00", {"mug": 1})), make_network(stock=[("W", "mug", 1, 30)]), first_node)
    assert (run.stock_value_cents, run.cost_cents) == (30, 461)


def test_a_run_ends_on_the_last_day_that_is_asked_for(
    make_network: MakeNetwork, make_history: MakeHistory, nothing: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}), ("05-02T15:00", {"mug": 1}))
    run = replay(history, make_network(), nothing, until=parse_day("2024-05-02"))
    assert (run.orders, run.units_ordered, run.units_lapsed, len(run.waves.at)) == (1, 1, 1, 3)


def test_a_history_without_orders_is_a_run_without_waves(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    run = replay(make_history(), make_network(), first_node)
    assert (run.cost_cents, run.parcels, len(run.waves.at), run.fill_rate) == (0, 0, 0, 0.0)
    assert run.to_dict()["waves_gap"] == 0


def test_a_plan_that_breaks_a_rule_stops_the_run(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    def twice(problem: Problem) -> Plan:
        plan = first_node(problem)
        return replace(plan, entry_units=plan.entry_units * 2)

    with pytest.raises(AssertionError, match="breaks the rules"):
        replay(make_history(("04-29T09:00", {"mug": 1})), make_network(), twice)


def test_time_is_only_what_the_timer_says(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}))
    assert replay(history, make_network(), first_node).seconds == 0
    ticks = iter(range(100))
    run = replay(history, make_network(), first_node, timer=lambda: float(next(ticks)))
    assert (run.waves.seconds.tolist(), run.waves.build_seconds.tolist(), run.seconds) == ([1.0], [1.0], 8.0)


def test_progress_is_told_before_each_wave(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    told: list[tuple[int, int, str]] = []
    history = make_history(("04-29T09:00", {"mug": 1}))
    replay(history, make_network(), first_node, progress=lambda *args: told.append(args))
    assert told[0] == (0, 5, "2024-04-29")
    assert [done for done, _, _ in told] == list(range(5))


@pytest.fixture(scope="module")
def busy() -> tuple[History, Network]:
    """Three weeks of sixty orders a day, with cancellations, returns, pickups and scarce stock."""
    network = example("us")
    return make_up(21, 60, network, seed=4), network


@pytest.fixture(scope="module")
def busy_run(busy: tuple[History, Network], first_node: Policy) -> Run:
    return replay(*busy, first_node, name="first", seed=2)


def test_the_books_of_every_stock_balance(busy_run: Run) -> None:
    books = busy_run.books
    assert (books.initial + books.received + books.returned - books.shipped == books.final).all()
    assert (books.final >= 0).all()
    assert books.shipped.sum() == busy_run.units_shipped > 0
    assert 0 < books.returned.sum() <= busy_run.units_returned  # the last ones are still on their way


def test_every_unit_ordered_is_shipped_or_its_loss_has_a_name(busy_run: Run) -> None:
    run = busy_run
    lost = run.units_withdrawn + run.units_cancelled + run.units_lapsed
    assert run.units_ordered == run.units_shipped + lost
    assert min(run.units_withdrawn, run.units_returned, run.units_lapsed) > 0


def test_the_same_seed_gives_the_same_run(busy: tuple[History, Network], busy_run: Run, first_node: Policy) -> None:
    again = replay(*busy, first_node, name="first", seed=2)
    assert again.decisions == busy_run.decisions
    assert again.to_dict() == busy_run.to_dict()
    other = replay(*busy, first_node, name="first", seed=3)
    assert other.decisions != busy_run.decisions


def test_two_policies_see_the_same_customers_and_receipts(
    busy: tuple[History, Network], busy_run: Run, nothing: Policy
) -> None:
    run = replay(*busy, nothing, seed=2)
    assert (run.orders, run.units_ordered) == (busy_run.orders, busy_run.units_ordered)
    assert run.books.initial.tolist() == busy_run.books.initial.tolist()
    assert run.books.received.sum() >= busy_run.books.received.sum() > 0  # whoever ships nothing is busy longer
    placed = [place(*busy, seed=2) for _ in range(2)]
    assert placed[0].history.order_lat.tobytes() == placed[1].history.order_lat.tobytes()
    assert placed[0].network == placed[1].network


def test_no_node_makes_more_parcels_in_a_day_than_it_can(busy: tuple[History, Network], busy_run: Run) -> None:
    leaves = busy_run.shipped.leaves_day - np.array([node.ready_days for node in busy[1].nodes])[busy_run.shipped.node]
    for j, node in enumerate(busy[1].nodes):
        if node.overtime_cents is None and node.calendar == "store":
            _, parcels = np.unique(leaves[busy_run.shipped.node == j], return_counts=True)
            assert parcels.max(initial=0) <= node.capacity_parcels


def test_a_run_writes_its_figures_and_what_was_simulated(busy_run: Run, tmp_path: Path) -> None:
    write_run(tmp_path / "out", busy_run)
    said = json.loads((tmp_path / "out" / "run.json").read_text())
    assert said["format"] == "run/1"
    assert said["cost_cents"] == sum(said["bill"].values())
    assert "history: made up from a seed" in said["simulated"]
    waves = (tmp_path / "out" / "waves.csv").read_text().splitlines()
    assert len(waves) == said["waves"] + 1
    assert waves[1].startswith("2024-01-01T14:00Z,")


def test_runs_are_compared_with_the_first(busy: tuple[History, Network], busy_run: Run, nothing: Policy) -> None:
    placed = place(*busy, seed=2)
    rows = compare_runs([busy_run, replay_placed(placed, nothing, name="nothing")])
    assert [row["policy"] for row in rows] == ["first", "nothing"]
    assert rows[0]["relative"] == 1.0
    assert rows[1]["unfilled"] == rows[1]["cost_cents"] > rows[0]["unfilled"]


def test_an_order_at_the_very_minute_of_a_wave_is_in_it(
    make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    run = replay(make_history(("04-29T14:00", {"mug": 1})), make_network(), first_node)
    assert run.shipped.decided_at.tolist() == [parse_minute("2024-04-29T14:00Z")]


@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens_every_unit_and_every_shelf_is_accounted_for(
    seed: int, make_network: MakeNetwork, make_history: MakeHistory, first_node: Policy
) -> None:
    generator = np.random.default_rng(seed)

    def some(low: int, high: int) -> int:
        return int(generator.integers(low, high))

    orders: list[tuple[Any, ...]] = []
    befell: dict[str, list[tuple[Any, ...]]] = {"cancellations": [], "returns": [], "receipts": []}
    for i in range(some(1, 12)):
        wanted = {sku: some(1, 9) for sku in ("mug", "pan")[: some(1, 3)]}
        said = {"ship_complete": some(0, 3) == 0, "max_parcels": some(1, 3) if some(0, 3) == 0 else NO_LIMIT}
        orders.append((f"05-{some(1, 10):02}T{some(0, 24):02}:00", wanted, said))
        for line, units in enumerate(wanted.values()):
            gone = some(0, units + 1)
            for table, part in [("cancellations", gone), ("returns", some(0, units - gone + 1))]:
                if part:
                    befell[table].append((f"05-{some(10, 22):02}T{some(0, 24):02}:30", f"O{i}", line, part))
    for _ in range(some(0, 6)):
        befell["receipts"].append(
            (f"05-{some(1, 20):02}T06:00", "WS"[some(0, 2)], ("mug", "pan")[some(0, 2)], some(1, 9))
        )
    network = make_network()
    store = node_of(network, id="S", kind="store", calendar="daily", capacity_units=some(1, 12))
    network = make_network(
        nodes=(*node_of(network, capacity_parcels=some(1, 4)), *store),
        stock=[("W", "mug", some(0, 20), 0), ("S", "pan", 5, 0)],
    )
    run = replay(make_history(*orders, **befell), network, first_node)
    books = run.books
    assert (books.initial + books.received + books.returned - books.shipped == books.final).all()
    assert (books.final >= 0).all()
    assert run.units_ordered == run.units_shipped + run.units_withdrawn + run.units_cancelled + run.units_lapsed
    assert run.bill["unfilled"] == 700 * (run.units_cancelled + run.units_lapsed)
    assert run.units_shipped == books.shipped.sum()
    assert books.returned.sum() <= run.units_returned <= run.units_shipped
