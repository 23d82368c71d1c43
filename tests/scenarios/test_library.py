"""Every ready scenario runs on a small history of the network that it is for, and changes what it says."""

import pytest

from scenarios.grids import Grid, Outcome, sweep
from scenarios.scenario import library
from simulation.manner import Manner
from simulation.networks import example
from simulation.synthetic import make_history

READY = library()
SAME_ORDERS = [name for name in READY if "demand" not in name and "peak" not in name]


def is_for(network: str, name: str) -> bool:
    """Whether a scenario names nodes of that network; those that name none are tried on `uk`."""
    return name.startswith(f"{network}-") or (network == "uk" and not name.startswith("us-"))


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[Outcome, Outcome]]:
    """The baseline and the outcome of every ready scenario on six days of its network."""
    outcomes: dict[str, tuple[Outcome, Outcome]] = {}
    for name in ("uk", "us"):
        network = example(name)
        ours = tuple(scenario for scenario in READY.values() if is_for(name, scenario.name))
        done = sweep(
            Grid(make_history(6, 45, network, 3), network, ours, ("cheapest",), (1,), Manner(None, 0))
        ).outcomes
        outcomes |= {one.scenario: (done[0], one) for one in done[1:]}
    return outcomes


@pytest.mark.parametrize("name", READY)
def test_a_ready_scenario_runs_and_changes_something(found: dict[str, tuple[Outcome, Outcome]], name: str) -> None:
    base, one = found[name]
    assert one.cost_cents == sum(one.bill.values())
    assert (one.decisions, one.bill) != (base.decisions, base.bill)
    assert (one.units_ordered == base.units_ordered) == (name in SAME_ORDERS)
