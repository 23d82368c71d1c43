"""A problem's columns as a file, so that a process of its own has them in memory at once, without parsing a wave."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from solver.problem import Problem


def write_columns(path: Path, problem: Problem) -> None:
    """Write a problem as `.npz`: its arrays, and its names as JSON."""
    values = {field.name: getattr(problem, field.name) for field in fields(problem)}
    columns: dict[str, Any] = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    names = json.dumps({name: value for name, value in values.items() if name not in columns})
    np.savez(path, **columns, names=np.frombuffer(names.encode(), dtype=np.uint8))


def read_columns(path: Path) -> Problem:
    """Read a problem that `write_columns` wrote."""
    with np.load(path) as kept:
        columns: dict[str, Any] = {name: kept[name] for name in kept.files}
    names = json.loads(columns.pop("names").tobytes())
    return Problem(**columns | {name: tuple(value) for name, value in names.items()})
