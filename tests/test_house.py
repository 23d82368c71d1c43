"""The rules of the house that no linter knows."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [
    name
    for name in ("api", "benchmarks", "engine", "scenarios", "simulation", "solver")
    if (ROOT / name / "__init__.py").exists()
]
LOCKS = ["requirements.lock", "requirements-dev.lock"]

SOLVE_WITH_ORTOOLS = """
from ortools.sat.python import cp_model
model = cp_model.CpModel()
units = model.new_int_var(0, 10, "units")
model.add(2 * units <= 7)
model.maximize(units)
solver = cp_model.CpSolver()
solver.parameters.num_workers = 1
assert solver.solve(model) == cp_model.OPTIMAL and solver.value(units) == 3
"""
SOLVE_WITH_HIGHSPY = """
import highspy
highs = highspy.Highs()
highs.silent()
units = highs.addIntegral(lb=0, ub=10)
highs.addConstr(2 * units <= 7)
highs.maximize(units)
assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal and round(highs.val(units)) == 3
"""


def tracked_files() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    paths = (ROOT / name for name in listing.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def pinned(lock: str) -> dict[str, str]:
    """Each requirement of a lock, with the text that belongs to it."""
    lines = [line for line in (ROOT / lock).read_text().splitlines() if not line.startswith("#")]
    entries = "\n".join(lines).replace("\\\n", " ").splitlines()
    return {entry.split(" ")[0] + marker(entry): entry for entry in entries if entry.strip()}


def marker(entry: str) -> str:
    """The part of a locked requirement that says where it applies."""
    return entry.partition(" --hash=")[0].partition(";")[2].rstrip()


def called_names(source: str) -> set[str]:
    """The dotted names of everything that a module calls."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {ast.unparse(func) for func in calls}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(SOLVE_WITH_ORTOOLS + SOLVE_WITH_HIGHSPY, id="ortools-first"),
        pytest.param(SOLVE_WITH_HIGHSPY + SOLVE_WITH_ORTOOLS, id="highspy-first"),
    ],
)
def test_both_solvers_work_in_one_process(script: str) -> None:
    """Prevents: an upgrade after which whichever solver is imported second dies of an undefined symbol."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    """Prevents: a path that exists on one machine only, found by the first person who clones."""
    roots = "|".join(["work", "root", "home", "Users"])
    machine_path = re.compile(rb"(?<![\w.-])/(?:" + roots.encode() + rb")/")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_files()
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1)
        if machine_path.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_a_version_and_a_hash_for_every_package(lock: str) -> None:
    """Prevents: an installation that brings in other bytes than those tested."""
    entries = pinned(lock)
    assert entries
    assert [name for name in entries if not re.match(r"[a-z0-9.-]+==[^=]+", name)] == []
    assert [name for name, text in entries.items() if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", text)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    """Prevents: a lock that installs only where one registry, mirror or folder can be reached."""
    address = re.compile(r"https?:|file:|--(?:extra-)?index-url|--find-links| @ |^-[eifr]\b", re.MULTILINE)
    assert address.findall((ROOT / lock).read_text()) == []


def test_the_development_lock_contains_the_runtime_lock() -> None:
    """Prevents: testing with other versions than those that users run."""
    runtime, development = pinned(LOCKS[0]), pinned(LOCKS[1])
    assert [name for name in runtime if name not in development] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_a_front_page(package: str) -> None:
    """Prevents: a folder whose purpose has to be guessed from its files."""
    assert ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))
    assert (ROOT / package / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_exist_and_are_listed(package: str) -> None:
    """Prevents: a name that a package promises and lost in a rename, or exports without saying so."""
    module = importlib.import_module(package)
    listed = getattr(module, "__all__", [])
    assert [name for name in listed if not hasattr(module, name)] == []
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    ]
    assert [name for name in imported if name not in listed and not name.startswith("_")] == []


def test_modules_are_named_after_what_they_hold() -> None:
    """Prevents: a drawer where anything goes, and from which nothing is ever found again."""
    drawer = re.compile(r"(?:^|_)(?:utils?|managers?|handlers?)$")
    assert [str(path.relative_to(ROOT)) for path in tracked_files() if drawer.search(path.stem)] == []


def test_units_of_stock_are_changed_by_the_ledger_alone() -> None:
    """Prevents: stock that is not what its movements add up to."""
    change = re.compile(r"UPDATE stock SET [^\"]*\b(?:on_hand|reserved|damaged|quarantined) =")
    found = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if change.search(path.read_text())
    ]
    assert found == ["engine/ledger.py"]


def test_time_and_chance_come_in_as_arguments() -> None:
    """Prevents: a run that cannot be repeated, because it read the clock or a global generator below the edge."""
    forbidden = re.compile(
        r"(?:^|\.)(?:datetime\.(?:now|utcnow|today)|date\.today|time\.time(?:_ns)?|random\.seed|default_rng\(\)\.\w+)$"
    )
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in ("engine", "simulation", "solver")
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in sorted(called_names(path.read_text()))
        if forbidden.search(name)
    ]
    assert found == []
