"""Grids of scenarios, policies and seeds: every cell a replay of its own, in any order, on any number of cores or machines.

A cell depends on its arguments alone, and results stand in the order of the grid, so that the same grid has the same hash
whoever computed which cell when.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import joblib
import msgspec
import numpy as np

from engine.network import Network
from scenarios.applying import apply
from scenarios.scenario import BASELINE, Scenario
from simulation.history import History
from simulation.manner import USUAL, Manner
from simulation.placing import Placed, place
from simulation.run import Run
from solver.refusal import Refusal

COUNTS = ("count_at", "count_node", "count_sku", "count_units")
Progress = Callable[[str, int, int], None]
"""Told what was just done, how many cells are done, and how many there are."""


@dataclass(frozen=True, eq=False)
class Grid:
    """What is swept: the baseline and every scenario, under every policy, on every seed.

    Attributes
    ----------
    policies
        Names, or those found in files (`solver.policies.named`); a scenario that names a policy is decided by that one alone.
    manner
        How each of them is replayed.
    """

    history: History
    network: Network
    scenarios: tuple[Scenario, ...]
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    manner: Manner = USUAL

    def placed(self, seed: int) -> Placed:
        """The history on the network, before anything is changed.

        Counts of stock are left out, for the baseline too: they say what lay there in the one past that was.
        """
        nothing = {name: getattr(self.history, name)[:0] for name in COUNTS}
        return place(replace(self.history, **nothing), self.network, seed)

    @property
    def cells(self) -> list["Cell"]:
        """What there is to replay, in order."""
        return [
            Cell(scenario, policy, seed)
            for scenario in (BASELINE, *self.scenarios)
            for policy in ((scenario.policy.name,) if scenario.policy else self.policies)
            for seed in self.seeds
        ]


class Cell(NamedTuple):
    """One replay."""

    scenario: Scenario
    policy: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What one replay came to.

    Attributes
    ----------
    days
        From the order to the arrival, on average over the units shipped.
    node_units
        Units that each node shipped; only nodes that did.
    simulated
        What was drawn or assumed.
    """

    scenario: str
    policy: str
    seed: int
    cost_cents: int
    bill: dict[str, int]
    orders: int
    units_ordered: int
    units_shipped: int
    parcels: int
    days: float
    on_time_rate: float
    split_rate: float
    fill_rate: float
    node_units: dict[str, int]
    simulated: tuple[str, ...]
    start: int
    end: int
    decisions: str


@dataclass(frozen=True)
class Sweep:
    """The outcomes of a grid, in its order."""

    outcomes: tuple[Outcome, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over all outcomes: the same for the same grid wherever it was computed."""
        told = [{k: v for k, v in asdict(outcome).items() if k != "simulated"} for outcome in self.outcomes]
        return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()


def sweep(grid: Grid, *, jobs: int = 1, cluster: str | None = None, progress: Progress | None = None) -> Sweep:
    """Replay every cell of a grid.

    Parameters
    ----------
    jobs
        Processes of this machine; 1 is this process.
    cluster
        The address of a Dask scheduler, in place of processes here. A cell whose worker dies is computed by another.

    Raises
    ------
    Refusal
        A change that the network or the history does not allow, or a cluster without what it takes (`allot[cluster]`).
    """
    cells = grid.cells
    grid.manner.check(grid.history, grid.network)  # what is refused, is refused before anything is computed
    placed = grid.placed(grid.seeds[0])
    grid.manner.policies(grid.policies, placed)
    for scenario in grid.scenarios:
        apply(scenario, placed)
    done: dict[int, Outcome] = {}
    for number, outcome in _computed(grid, cells, jobs, cluster):
        done[number] = outcome
        if progress:
            progress(f"{outcome.scenario}, {outcome.policy}, seed {outcome.seed}", len(done), len(cells))
    return Sweep(tuple(done[number] for number in range(len(cells))))


def compute(grid: Grid, number: int) -> tuple[int, Outcome]:
    """Replay one cell of a grid."""
    cell = grid.cells[number]
    placed = apply(cell.scenario, grid.placed(cell.seed))
    told = cell.scenario.policy.text if cell.scenario.policy else cell.policy
    (policy,) = grid.manner.policies([told], placed)
    return number, outcome_of(cell, placed, grid.manner.replay(placed, policy, str(cell.policy)))


def outcome_of(cell: Cell, placed: Placed, run: Run) -> Outcome:
    """Measure a run."""
    shipped = run.shipped
    placed_on = placed.history.order_placed_at[shipped.order] // 1440
    took = float(((shipped.arrives_day - placed_on) * shipped.units).sum())
    units = np.bincount(shipped.node, weights=shipped.units, minlength=len(placed.network.nodes)).astype(int).tolist()
    return Outcome(
        scenario=cell.scenario.name,
        policy=str(cell.policy),
        seed=cell.seed,
        cost_cents=run.cost_cents,
        bill=dict(run.bill),
        orders=run.orders,
        units_ordered=run.units_ordered,
        units_shipped=run.units_shipped,
        parcels=run.parcels,
        days=took / run.units_shipped if run.units_shipped else 0.0,
        on_time_rate=run.on_time_rate,
        split_rate=run.split_rate,
        fill_rate=run.fill_rate,
        node_units={node.id: n for node, n in zip(placed.network.nodes, units, strict=True) if n},
        simulated=run.simulated,
        start=run.start,
        end=run.end,
        decisions=run.decisions,
    )


def _computed(grid: Grid, cells: Sequence[Cell], jobs: int, cluster: str | None) -> Iterator[tuple[int, Outcome]]:
    """The outcomes as they come."""
    if cluster is None and (jobs == 1 or len(cells) == 1):
        for number in range(len(cells)):
            yield compute(grid, number)
    else:
        yield from _side_by_side(grid, len(cells), jobs, cluster)


def _side_by_side(grid: Grid, cells: int, jobs: int, cluster: str | None) -> Iterator[tuple[int, Outcome]]:
    """The same on processes here, or on a Dask cluster, which computes a cell again whose worker died."""
    where: dict[str, Any] = {"backend": "loky", "n_jobs": min(jobs, cells)}
    if cluster is not None:
        try:
            from distributed import Client

            client = Client(cluster, timeout=10, set_as_default=False)  # type: ignore[no-untyped-call]
        except ImportError:
            raise Refusal("--cluster", "needs distributed: install allot[cluster]", "not_installed") from None
        except (OSError, ValueError) as error:
            raise Refusal("--cluster", f"{cluster!r} cannot be reached: {error}", "unreachable") from None
        where = {"backend": "dask", "client": client, "retries": 3}
    try:
        with joblib.parallel_config(**where):
            tasks = (joblib.delayed(compute)(grid, number) for number in range(cells))
            yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks)
    finally:
        if cluster is not None:
            client.close()  # type: ignore[no-untyped-call]
