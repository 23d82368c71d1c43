"""A scenario: a TOML file with a name, a sentence of why, and a list of changes, read strictly.

`README.md` beside this file lists the verbs.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from scenarios.naming import must_be, nearest
from scenarios.settings import Settings, UsePolicy
from scenarios.verbs import VERBS, Verb
from solver.files import read_bytes
from solver.refusal import Refusal

KEYS = ("name", "why", "changes")
DAY = "a date as 2011-03-01, or a number of days, the first day of the history being 1"
MEANT = {"nodes": "all, stores, warehouses, or a list of ids", "from": DAY, "until": DAY}
UNKNOWN, MISSING = re.compile(r"contains unknown field `(.*?)`"), re.compile(r"missing required field `(.*?)`")


@dataclass(frozen=True)
class Change:
    """One verb and what it is told; `place` says where it stands, for refusals."""

    verb: str
    settings: Settings
    place: str

    @property
    def does(self) -> Verb:
        """The functions of its verb."""
        return VERBS[self.verb]

    def refused(self, refusal: Refusal) -> Refusal:
        """The same refusal, with the file and the change that it is about."""
        return Refusal(f"{self.place}.{refusal.place}", refusal.problem, refusal.code)


@dataclass(frozen=True)
class Scenario:
    """A named what-if: changes, made in their order."""

    name: str
    why: str
    changes: tuple[Change, ...] = ()

    @property
    def policy(self) -> UsePolicy | None:
        """The policy that it decides by, where it names one."""
        told = [change.settings for change in self.changes if isinstance(change.settings, UsePolicy)]
        return told[-1] if told else None


BASELINE = Scenario("baseline", "The history as it is.")


def read_scenario(path: str | Path) -> Scenario:
    """Read a scenario file.

    Raises
    ------
    Refusal
        Naming file, change, field and value of the first fault, and what is allowed there.
    """
    return scenario_of(read_bytes(path), Path(path).name)


def scenario_of(content: bytes, file: str) -> Scenario:
    """Read a scenario from the bytes of its file."""
    try:
        said = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refusal(file, f"is not TOML: {error}", "not_toml") from None
    for key in said:
        must_be(f"{file}: {key}", key, KEYS, "a key of a scenario")
    for key in ("name", "why"):
        if not isinstance(said.get(key), str) or not said[key].strip():
            found = f"{said[key]!r} is not a text" if key in said else "is missing"
            raise Refusal(f"{file}: {key}", f"{found}; every scenario has a {key}, in words", "bad_value")
    if said["name"] == BASELINE.name:
        raise Refusal(f"{file}: name", f"{BASELINE.name!r} is what scenarios are compared with", "duplicate_id")
    changes = said.get("changes", [])
    if not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):
        raise Refusal(f"{file}: changes", "is not a list of changes, each below [[changes]]")
    read = tuple(_change(change, f"{file}: changes[{i}]") for i, change in enumerate(changes))
    return Scenario(said["name"], said["why"].strip(), read)


def library() -> dict[str, Scenario]:
    """The scenarios that come with the package, by name."""
    found = sorted((files(__package__) / "library").iterdir(), key=lambda file: file.name)
    read = [scenario_of(file.read_bytes(), file.name) for file in found if file.name.endswith(".toml")]
    return {scenario.name: scenario for scenario in read}


def scenarios_of(names: Sequence[str]) -> list[Scenario]:
    """Read scenario files; what is no file is a name of the library.

    Raises
    ------
    Refusal
        No such file or name, two scenarios of one name, or a fault in a file.
    """
    ready = library()
    found: dict[str, Scenario] = {}
    for name in names:
        if name not in ready or Path(name).exists():
            if not Path(name).exists():
                raise Refusal(name, f"is neither a file nor in the library{nearest(name, ready)}", "unknown_name")
            scenario = read_scenario(name)
        else:
            scenario = ready[name]
        if scenario.name in found:
            raise Refusal(name, f"{scenario.name!r} is the name of another scenario too", "duplicate_id")
        found[scenario.name] = scenario
    return list(found.values())


def text_of(name: str) -> str:
    """The text of a scenario file, or of one of the library."""
    if not Path(name).exists():
        for file in (files(__package__) / "library").iterdir():
            if file.name.endswith(".toml") and scenario_of(file.read_bytes(), file.name).name == name:
                return file.read_text()
    scenarios_of([name])
    return read_bytes(name).decode()


def _change(said: dict[str, Any], place: str) -> Change:
    told = dict(said)
    verb = told.pop("verb", None)
    if not isinstance(verb, str):
        missing = "is missing" if verb is None else f"{verb!r} is not a text"
        raise Refusal(f"{place}.verb", f"{missing}; the verbs are {', '.join(VERBS)}", "unknown_verb")
    must_be(f"{place}.verb", verb, VERBS, "a verb")
    settings = VERBS[verb].settings
    try:
        return Change(verb, msgspec.convert(told, settings), place)
    except msgspec.ValidationError as error:
        raise _refusal(error, place, verb, told) from None


def _refusal(error: msgspec.ValidationError, place: str, verb: str, told: dict[str, Any]) -> Refusal:
    """Say what msgspec found: the field, its value, and what is allowed."""
    text, _, path = str(error).partition(" - at `")
    known = [field.encode_name for field in msgspec.structs.fields(VERBS[verb].settings)]
    if found := UNKNOWN.search(text):
        return Refusal(f"{place}.{found[1]}", f"is no setting of {verb}{nearest(found[1], known)}", "unknown_field")
    if found := MISSING.search(text):
        return Refusal(f"{place}.{found[1]}", f"is missing; {verb} needs it", "missing_field")
    field = path.rstrip("`").removeprefix("$").lstrip(".")
    name = re.match(r"\w*", field)
    value = told.get(name[0]) if name and name[0] else None
    shown = "" if value is None else f"{value}: " if isinstance(value, date) else f"{value!r}: "
    meant = f"; it is {MEANT[field]}" if field in MEANT else ""
    return Refusal(f"{place}.{field}" if field else place, f"{shown}{text[0].lower()}{text[1:]}{meant}", "bad_value")
