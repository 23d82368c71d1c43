"""The life of an order is told in the words of the code."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel

import engine
from engine.tables import LINE_STATES

PAGE = (Path(__file__).parents[2] / "engine" / "README.md").read_text()
MODULES = {name: importlib.import_module(f"engine.{name}") for _, name, _ in pkgutil.iter_modules(engine.__path__)}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table behind some words."""
    table = re.search(r"(?:^\|.*\n)+", PAGE[PAGE.index(heading) :], re.MULTILINE)
    assert table
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[0].splitlines()[2:]]


def named_in(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_every_module_is_on_the_page() -> None:
    assert {name for row in rows("# engine") for name in named_in(row[0])} == MODULES.keys()


def test_every_table_has_somebody_who_writes_it() -> None:
    assert {name for row in rows("## Who writes what") for name in named_in(row[0])} == SQLModel.metadata.tables.keys()


def test_every_state_of_a_unit_is_reached_and_told() -> None:
    moves = rows("## The life of an order")
    assert {state for row in moves for cell in row[:2] for state in cell.split(", ") if state} == set(LINE_STATES)


def test_what_the_page_names_is_in_the_code() -> None:
    """`module.name` is in that module or a column of that table, and `Name` is in some module."""
    named: set[tuple[str, str]] = set(re.findall(r"`(\w+)\.(?!md\b)(\w+)`", PAGE))
    assert len(named) > 50
    assert sorted(f"{where}.{name}" for where, name in named if not is_there(where, name)) == []
    classes = {name for name in named_in(PAGE) if re.match("[A-Z][a-z]", name)}
    assert sorted(name for name in classes if not any(hasattr(module, name) for module in MODULES.values())) == []


def is_there(where: str, name: str) -> bool:
    if where in SQLModel.metadata.tables and name in SQLModel.metadata.tables[where].columns:
        return True
    known: dict[str, Any] = {**MODULES, "Database": MODULES["database"].Database}
    return hasattr(known.get(where), name)
