"""Whether this machine has what `allot` needs: each check says what it found, and what to do about it."""

import importlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

LIBRARIES = ("numpy", "scipy", "numba", "ortools", "highspy", "duckdb", "msgspec", "altair", "vl-convert-python")
PYTHON_FROM, PYTHON_BELOW = (3, 11), (3, 15)


@dataclass(frozen=True)
class Finding:
    """One check. `ok` is `None` where nothing is wrong but something optional is absent."""

    name: str
    ok: bool | None
    found: str


def examine() -> list[Finding]:
    """Run every check; one that fails never keeps the next from running."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", python),
        ("Machine", machine),
        *((library, lambda library=library: version(library)) for library in LIBRARIES),
        ("Solvers together", solvers),
        ("Kernel cache", kernel_cache),
        ("Charts", charts),
        ("Data folder", data),
    ]
    return [_guarded(name, check) for name, check in checks]


def healthy(findings: list[Finding]) -> bool:
    """Whether no check failed."""
    return all(finding.ok is not False for finding in findings)


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # whatever is wrong with the machine is the finding
        return Finding(name, False, f"{type(error).__name__}: {error}".splitlines()[0])


def python() -> Finding:
    """The interpreter."""
    ok = PYTHON_FROM <= sys.version_info[:2] < PYTHON_BELOW
    advice = (
        ""
        if ok
        else f"; {'.'.join(map(str, PYTHON_FROM))} or newer, below {'.'.join(map(str, PYTHON_BELOW))}, is needed"
    )
    return Finding("Python", ok, platform.python_version() + advice)


def machine() -> Finding:
    """Platform and the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding("Machine", True, f"{platform.system()} {platform.machine()}, {cores} core{'s' * (cores > 1)}")


def version(library: str) -> Finding:
    """The version of a library."""
    try:
        return Finding(library, True, metadata.version(library))
    except metadata.PackageNotFoundError:
        return Finding(library, False, "is not installed; run `make setup`")


def solvers() -> Finding:
    """OR-Tools and HiGHS in one process: each solves a problem of one variable.

    Both carry HiGHS; where their versions do not go together, the second import dies of an undefined symbol.
    """
    cp_model = importlib.import_module("ortools.sat.python.cp_model")
    highspy = importlib.import_module("highspy")
    model = cp_model.CpModel()
    units = model.new_int_var(0, 10, "units")
    model.add(2 * units <= 7)
    model.maximize(units)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    by_ortools = solver.value(units) if solver.solve(model) == cp_model.OPTIMAL else None
    highs = highspy.Highs()
    highs.silent()
    amount = highs.addIntegral(lb=0, ub=10)
    highs.addConstr(2 * amount <= 7)
    highs.maximize(amount)
    by_highs = round(highs.val(amount))
    ok = by_ortools == by_highs == 3
    return Finding(
        "Solvers together", ok, "OR-Tools and HiGHS agree" if ok else f"{by_ortools} and {by_highs}, not 3 and 3"
    )


def kernel_cache() -> Finding:
    """Whether compiled kernels can be kept, so that only the first run compiles them."""
    kernels = importlib.import_module("solver").KERNEL_FOLDER
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else kernels
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding("Kernel cache", True, "can be written")
    except OSError as error:
        advice = "every run will compile the kernels anew; set NUMBA_CACHE_DIR to a folder that can be written"
        return Finding("Kernel cache", None, f"{folder}: {error.strerror}; {advice}")


def charts() -> Finding:
    """Whether charts can be drawn."""
    convert = importlib.import_module("vl_convert")
    spec = {"data": {"values": [{"a": 1}]}, "mark": "bar", "encoding": {"x": {"field": "a", "type": "quantitative"}}}
    ok = convert.vegalite_to_svg(spec).startswith("<svg")
    return Finding("Charts", ok, "are drawn" if ok else "the chart that was drawn is no picture")


def data() -> Finding:
    """Where the public data sets are, which only some benchmarks and tests need."""
    root = Path(__file__).parent.parent
    folder = Path(os.environ.get("ALLOT_DATA") or root.parent / "shared" / "data")
    if folder.is_dir():
        return Finding("Data folder", True, str(folder.resolve()))
    return Finding(
        "Data folder", None, "not found; set ALLOT_DATA to use the public data sets (nothing else needs them)"
    )
