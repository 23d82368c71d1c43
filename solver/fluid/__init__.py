"""The small models of papers on multi-item fulfilment, and the published policies on them: plain float arrays."""

from solver.fluid import arrivals
from solver.fluid.ascent import ascend
from solver.fluid.compact import Shares, compact
from solver.fluid.futures import LookAhead, Pace, Served, expected_future, sampled_futures
from solver.fluid.magician import gates, open_share
from solver.fluid.model import Fluid
from solver.fluid.patterns import Answer, Pool, Program
from solver.fluid.rounding import RULES

__all__ = [
    "RULES",
    "Answer",
    "Fluid",
    "LookAhead",
    "Pace",
    "Pool",
    "Program",
    "Served",
    "Shares",
    "arrivals",
    "ascend",
    "compact",
    "expected_future",
    "gates",
    "open_share",
    "sampled_futures",
]
