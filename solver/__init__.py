"""A `Problem` in, a `Plan` out: the joint decision on arrays, its proof, and every policy it is compared with."""

from solver import _blas  # noqa: F401 - before numpy and scipy are loaded
from solver._cache import KERNEL_FOLDER
from solver.bill import TERMS, Measures, bill, measure
from solver.check import Verdict, check
from solver.effort import Effort, Policy
from solver.plan import Plan
from solver.planfile import read_plan, read_prices, write_plan
from solver.policies import NAMES, make
from solver.problem import Problem
from solver.refusal import Refusal
from solver.wave import Wave, load, problem_of, read_wave, write_wave

__all__ = [
    "KERNEL_FOLDER",
    "NAMES",
    "TERMS",
    "Effort",
    "Measures",
    "Plan",
    "Policy",
    "Problem",
    "Refusal",
    "Verdict",
    "Wave",
    "bill",
    "check",
    "load",
    "make",
    "measure",
    "problem_of",
    "read_plan",
    "read_prices",
    "read_wave",
    "write_plan",
    "write_wave",
]
