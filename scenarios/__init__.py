"""Named what-ifs: changes to a network and its history, replayed beside the baseline under the same seeds, and compared."""

from scenarios.applying import apply
from scenarios.grids import Grid, Sweep, sweep
from scenarios.scenario import BASELINE, Scenario, library, read_scenario, scenarios_of
from scenarios.verbs import VERBS

__all__ = [
    "BASELINE",
    "VERBS",
    "Grid",
    "Scenario",
    "Sweep",
    "apply",
    "library",
    "read_scenario",
    "scenarios_of",
    "sweep",
]
