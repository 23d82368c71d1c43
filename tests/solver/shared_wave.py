"""The wave folder that is handed round beside a checkout: example waves, their optima, and a judge of plans."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent.parent.parent.parent / "shared" / "wave"


def judge() -> ModuleType:
    """The judge as a module, or a skipped test."""
    path = FOLDER / "check_plan.py"
    if not path.exists():
        pytest.skip(f"needs {path.name} in a folder beside the project")
    spec = importlib.util.spec_from_file_location("check_plan", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(name: str) -> tuple[Path, int]:
    """An example wave and the cost of its best plan, or a skipped test."""
    path = FOLDER / "examples" / f"{name}.json.gz"
    if not path.exists():
        pytest.skip(f"needs {path.name} in a folder beside the project")
    with open(FOLDER / "examples" / "optima.csv", newline="") as table:
        optima = {row["wave"]: int(row["optimum_cents"]) for row in csv.DictReader(table)}
    return path, optima[name]
