"""Order history on simulated time: import it, place it on a network, replay it under any policy."""

from simulation.chance import Chance
from simulation.export import export_history, network_in
from simulation.hindsight import Clairvoyant, Hindsight, hindsight
from simulation.history import History, read_history, write_history
from simulation.manner import Manner
from simulation.networks import example
from simulation.placing import Placed, Supply, place
from simulation.receiving import Weekly, enlarged
from simulation.replay import replay, replay_placed
from simulation.run import Run, compare_runs, write_run
from simulation.sample import load_sample, make_sample
from simulation.synthetic import Demand, make_history, make_retail_day

__all__ = [
    "Chance",
    "Clairvoyant",
    "Demand",
    "Hindsight",
    "History",
    "Manner",
    "Placed",
    "Run",
    "Supply",
    "Weekly",
    "compare_runs",
    "enlarged",
    "example",
    "export_history",
    "hindsight",
    "load_sample",
    "make_history",
    "make_retail_day",
    "make_sample",
    "network_in",
    "place",
    "read_history",
    "replay",
    "replay_placed",
    "write_history",
    "write_run",
]
