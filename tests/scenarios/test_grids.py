"""A grid gives one result, whoever computes which of its cells when."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scenarios import grids
from scenarios.grids import Cell, Grid, Outcome, compute, sweep
from scenarios.scenario import BASELINE
from solver.refusal import Refusal
from tests.scenarios.worlds import history, network, scenario

PICKUPS = scenario("pickup_share percent=50 within_km=40", name="pickups")
BY_NEAREST = scenario('policy name="nearest"', name="by-nearest")
GRID = Grid(history(), network(), (PICKUPS, BY_NEAREST), ("cheapest", "fewest_parcels"), (1, 2, 3), None, 0)


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


@pytest.mark.slow
def test_two_processes_find_what_one_finds() -> None:
    told: list[tuple[int, int]] = []
    both = sweep(GRID, jobs=2, progress=lambda _, done, of: told.append((done, of)))
    assert both.hash == sweep(GRID).hash
    assert told == [(number + 1, 15) for number in range(15)]


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
