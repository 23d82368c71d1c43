"""A grid gives one result, whoever computes which of its cells when."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.calendar import parse_day
from scenarios import grids
from scenarios.applying import apply
from scenarios.grids import Cell, Grid, Outcome, compute, sweep
from scenarios.scenario import BASELINE
from simulation.chance import Chance
from simulation.manner import Manner
from simulation.outlook import outlook_of
from simulation.replay import replay_placed
from solver.effort import Effort
from solver.policies import make
from solver.refusal import Refusal
from tests.scenarios.worlds import history, network, scenario

PICKUPS = scenario("pickup_share percent=50 within_km=40", name="pickups")
BY_NEAREST = scenario('policy name="nearest"', name="by-nearest")
GRID = Grid(history(), network(), (PICKUPS, BY_NEAREST), ("cheapest", "fewest_parcels"), (1, 2, 3), Manner(None, 0))


def test_every_scenario_meets_every_policy_and_seed_but_one_with_its_own_policy() -> None:
    cells = [(cell.scenario.name, cell.policy, cell.seed) for cell in GRID.cells]
    assert len(cells) == len(set(cells)) == (2 + 2 + 1) * 3
    assert {policy for name, policy, _ in cells if name == "by-nearest"} == {"nearest"}


def test_nothing_changed_is_the_baseline_to_the_hash() -> None:
    grid = replace(GRID, scenarios=(scenario(name="nothing"),), policies=("cheapest",))
    done = sweep(grid).outcomes
    assert {one.scenario for one in done} == {BASELINE.name, "nothing"}
    base, same = (
        [replace(one, scenario="") for one in done if one.scenario == name] for name in (BASELINE.name, "nothing")
    )
    assert base == same


def test_a_count_of_the_past_brings_back_nothing_that_a_scenario_has_moved() -> None:
    columns = GRID.history.order_placed_at[:1], np.array([1]), np.array([0]), np.array([500])
    counted: Any = dict(zip(grids.COUNTS, columns, strict=True))
    counted = replace(GRID.history, **counted)
    assert sweep(replace(GRID, history=counted)).hash == sweep(GRID).hash


def test_any_order_of_computing_has_the_same_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    forwards = sweep(GRID)

    def backwards(grid: Grid, cells: Sequence[Cell], *_: Any) -> Iterator[tuple[int, Outcome]]:
        for number in reversed(range(len(cells))):
            yield compute(grid, number)

    monkeypatch.setattr(grids, "_computed", backwards)
    assert sweep(GRID) == forwards
    assert sweep(GRID).hash == forwards.hash
    assert sweep(replace(GRID, seeds=(1, 2, 4))).hash != forwards.hash


ROUGH = Manner(None, 0, every=120, release_after=240, chance=Chance(short_pick=0.2, refuse=0.2, cancel=0.2))


def test_a_cell_is_the_replay_that_one_would_run_by_oneself() -> None:
    """Prevents: a grid that tells its replays less, or otherwise, than a single run is told."""
    grid = replace(GRID, scenarios=(PICKUPS,), policies=("bid_price:days=2,share=1",), seeds=(5,), manner=ROUGH)
    base, one = sweep(grid).outcomes
    assert ROUGH.chance is not None
    for outcome, placed in ((base, grid.placed(5)), (one, apply(PICKUPS, grid.placed(5)))):
        policy = make("bid_price", Effort(None, 0), 5, settings={"days": 2, "share": 1}, outlook=outlook_of(placed))
        chance = replace(ROUGH.chance, seed=5)
        alone = replay_placed(placed, policy, every=120, release_after=240, chance=chance)
        assert (outcome.decisions, outcome.cost_cents) == (alone.decisions, alone.cost_cents)
        assert outcome.simulated == alone.simulated


@pytest.mark.parametrize(
    "told", [{"every": 120}, {"wave_minute": 480}, {"every": 120, "release_after": 240}, {"chance": ROUGH.chance}]
)
def test_time_and_chance_are_those_that_a_grid_is_told(told: dict[str, Any]) -> None:
    few = replace(GRID, scenarios=(), policies=("cheapest",), seeds=(1,))
    usual, other = (
        sweep(replace(few, manner=manner)).outcomes[0].decisions
        for manner in (GRID.manner, replace(GRID.manner, **told))
    )
    assert usual != other


def test_each_seed_has_a_chance_of_its_own_and_it_is_that_of_all_scenarios() -> None:
    grid = replace(GRID, scenarios=(scenario(name="nothing"),), policies=("cheapest",), manner=ROUGH)
    done = [(one.seed, one.decisions) for one in sweep(grid).outcomes]
    assert done[:3] == done[3:]
    assert len({decisions for _, decisions in done}) == 3


def test_a_policy_that_looks_ahead_can_be_what_a_scenario_changes() -> None:
    ahead = scenario('policy name="bid_price" settings={days=2,share=1.0}', name="ahead")
    grid = replace(GRID, scenarios=(ahead,), policies=("cheapest", "bid_price:days=2,share=1"), seeds=(1,))
    by = {(one.scenario, one.policy): one.decisions for one in sweep(grid).outcomes}
    assert by["ahead", "bid_price"] == by[BASELINE.name, "bid_price:days=2,share=1"] != by[BASELINE.name, "cheapest"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"policies": ("cheapest", "bid_price:dayz=2")}, "settings of bid_price: Object contains unknown field `dayz`"),
        ({"policies": ("psychic",)}, "'psychic' is not one of"),
        (
            {"manner": Manner(until=parse_day("2024-04-30"))},
            "2024-04-30 is before the first wave; the first order came on",
        ),
    ],
)
def test_what_cannot_be_replayed_is_refused_before_anything_is(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(grids, "compute", lambda *_: pytest.fail("it was computed"))
    with pytest.raises(Refusal, match=re.escape(says)):
        sweep(replace(GRID, **changed))


@pytest.mark.slow
def test_two_processes_find_what_one_finds() -> None:
    told: list[tuple[int, int]] = []
    both = sweep(GRID, jobs=2, progress=lambda _, done, of: told.append((done, of)))
    assert both.hash == sweep(GRID).hash
    assert told == [(number + 1, 15) for number in range(15)]
    rough = replace(GRID, policies=("bid_price:days=2,share=1",), manner=ROUGH)
    assert sweep(rough, jobs=2).hash == sweep(rough).hash


def test_a_refusal_comes_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "compute", lambda *_: pytest.fail("it was computed"))
    with pytest.raises(Refusal, match="'W9' is not a node"):
        sweep(replace(GRID, scenarios=(scenario('close_node node="W9"'),)))


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_finds_the_same() -> None:
    """Prevents: a sweep on many machines whose result depends on which of them was there at the end."""
    import distributed

    alone = sweep(GRID).hash
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as local:
        killed: list[int] = []

        def kill_one(_doing: str, done: int, _of: int) -> None:
            if done == 2 and not killed:
                worker = next(iter(local.workers.values()))
                killed.append(worker.pid)
                subprocess.run([sys.executable, "-c", f"import os; os.kill({worker.pid}, 9)"], check=True)

        assert sweep(GRID, cluster=local.scheduler_address, progress=kill_one).hash == alone
        assert killed


def test_a_cluster_without_what_it_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Refusal, match=r"install allot\[cluster\]"):
        sweep(GRID, cluster="tcp://127.0.0.1:1")


def test_a_cluster_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refusal, match="cannot be reached"):
        sweep(GRID, cluster="nonsense://127.0.0.1:1")
