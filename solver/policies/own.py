"""A policy in a file of one's own: named by its path, decided with and judged like any other.

What is named is a function that is called with a problem, or a class that is made first and then called; `README.md` beside this
file says what they are told. What is asked of it is one thing: a plan that keeps the rules. Its cost is read anew by the checker,
and a bound that it claims is not believed.

A file is run when it is found, so only `find` takes paths, and only the command line calls it. What it gives is of a type of its
own, which no text of a request or a scenario is.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from inspect import Parameter, isfunction, signature
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np

from solver.check import check
from solver.effort import Effort, Meter, Policy, Watch, unwatched
from solver.outlook import LooksAhead, Outlook, Present
from solver.plan import Plan
from solver.policies import told
from solver.policies.cheapest import own_bound
from solver.problem import Problem
from solver.refusal import Refusal

TOLD = ("effort", "seed", "watch", "outlook", "settings")
"""What a policy is told, if it has a parameter of that name."""

COLUMNS = ("parcel_order", "parcel_node", "parcel_service", "parcel_dest", "entry_start", "entry_line", "entry_units")
"""What a plan says in whole numbers."""
LONGEST = 300
"""Characters of an exception that are shown in a line."""


class Own(str):
    """The name of a policy in a file, as tables show it (`mine.spare:cents=100`), and what it stands for.

    Attributes
    ----------
    path
        Of the file, absolute.
    attribute
        What it is called in the file.
    settings
        What it is told, by name.
    """

    path: str
    attribute: str
    settings: Mapping[str, Any]

    @property
    def base(self) -> str:
        """The name without the settings."""
        return f"{Path(self.path).stem}.{self.attribute}"

    @property
    def looks_ahead(self) -> bool:
        """Whether it asks for an outlook."""
        return "outlook" in _parameters(_named(self))


class PolicyFault(Exception):
    """A policy of somebody's own failed, or broke a rule: neither bad input nor a bug of ours."""


def is_own(text: str) -> bool:
    """Whether a policy is named by a file: `mine.py`, `mine.py:spare`, `mine.py:spare:cents=100`."""
    return text.partition(":")[0].endswith(".py")


def find(text: str) -> Own:
    """Run the file that is named, and find the policy in it; the name is not needed where there is only one.

    Raises
    ------
    Refusal
        No such file, it cannot be imported, or it has no such policy.
    """
    file, _, said = text.partition(":")
    attribute, settings = _told(said, file)
    module = _imported(Path(file))
    if not attribute:
        there = [name for name, value in vars(module).items() if _is_policy(name, value, module)]
        if len(there) != 1:
            found = f"has {len(there)} policies ({', '.join(there)})" if there else "has no policy"
            raise Refusal(file, f"{found}; name what to use, as in {file}:{there[0] if there else 'name'}", "no_policy")
        (attribute,) = there
    what = getattr(module, attribute, None)
    if not callable(what):
        problem = "there is no such name in it" if what is None else "is neither a function nor a class"
        raise Refusal(f"{file}:{attribute}", problem, "no_policy")
    how = said.partition(":")[2]
    own = Own(f"{Path(file).stem}.{attribute}" + (f":{how}" if how else ""))
    own.path, own.attribute, own.settings = str(Path(file).absolute()), attribute, settings
    return own


def make_own(
    own: Own, effort: Effort | None = None, seed: int = 0, watch: Watch = unwatched, outlook: Outlook | None = None
) -> Policy:
    """Make a policy that was found, so that every plan of it is judged.

    Raises
    ------
    Refusal
        If it cannot be made with its settings, or needs an outlook and there is none.
    """
    what, effort = _named(own), effort or Effort()
    given = {"effort": effort, "seed": seed, "watch": watch, "outlook": outlook}
    try:
        asked = _asked(what, given, own)
        signature(what).bind(*([] if isinstance(what, type) else [None]), **asked)
        policy = what(**asked) if isinstance(what, type) else partial(what, **asked) if asked else what
    except Refusal:
        raise
    except (Exception, SystemExit) as error:
        raise Refusal(own, f"cannot be made: {_said(error, own.path)}", "bad_settings") from None
    if not callable(policy):
        raise Refusal(own, "is a class without __call__, so it cannot decide", "no_policy")
    made = JudgedAhead if isinstance(policy, LooksAhead) else Judged
    return made(own, policy, effort, seed, watch)


@dataclass(frozen=True)
class Judged:
    """A policy of somebody's own, every plan of which is read by the checker.

    Its bound is that of every order alone: what others claim to have proven is not taken on trust.
    """

    own: Own
    policy: Any
    effort: Effort
    seed: int
    watch: Watch

    def __call__(self, problem: Problem) -> Plan:
        """Decide, and have the plan judged; raises `PolicyFault`."""
        with self._blamed():
            plan = self.policy(problem)
        return self._judged(problem, plan)

    def _judged(self, problem: Problem, plan: object) -> Plan:
        if not isinstance(plan, Plan):
            raise PolicyFault(f"{self.own}: gives {_kind(plan)}, not a Plan")
        columns = {name: np.asarray(getattr(plan, name)) for name in COLUMNS}
        for name, column in columns.items():
            if column.size and column.dtype.kind not in "iu":
                raise PolicyFault(f"{self.own}: {name} is of {column.dtype}, not of whole numbers")
        whole: dict[str, Any] = {name: column.astype(np.int64) for name, column in columns.items()}
        bound = own_bound(problem, Meter(self.effort, self.watch))
        with self._blamed():
            plan = replace(
                plan, **whole, cost_cents=int(plan.cost_cents), bound_cents=min(float(plan.cost_cents), bound),
                row_price=np.zeros(problem.rows), node_price=np.zeros(problem.nodes), policy=str(self.own), seed=self.seed,
            )  # fmt: skip
            verdict = check(problem, plan)
        if not verdict.ok:
            more = f" (and {verdict.found - 1:,} more)" if verdict.found > 1 else ""
            raise PolicyFault(f"{self.own}: breaks the rules: {verdict.violations[0]}{more}")
        return plan

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Say of what goes wrong whose fault it is."""
        try:
            yield
        except (Exception, SystemExit) as error:
            raise PolicyFault(f"{self.own}: {_said(error, self.own.path)}") from error


@dataclass(frozen=True)
class JudgedAhead(Judged):
    """The same for one that looks ahead."""

    def look(self, problem: Problem, present: Present, memory: Any) -> tuple[Plan, Any]:
        """Decide with a view of the present; raises `PolicyFault`."""
        with self._blamed():
            answer = self.policy.look(problem, present, memory)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise PolicyFault(f"{self.own}: look gives {_kind(answer)}, not a Plan and what to remember")
        return self._judged(problem, answer[0]), answer[1]


def _told(said: str, file: str) -> tuple[str, dict[str, Any]]:
    try:
        return told(said)
    except ValueError as error:
        raise Refusal(file, str(error), "bad_settings") from None


def _imported(path: Path) -> ModuleType:
    """Run a file once. What stands beside it can be imported by it, and is looked for last, so that it hides nothing."""
    if not path.is_file():
        raise Refusal(str(path), "no such file", "no_file")
    name = f"own:{path.absolute()}"
    if name in sys.modules:
        return sys.modules[name]
    folder = str(path.absolute().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = spec_from_file_location(name, path.absolute())
    assert spec is not None, "a file that ends in .py can be loaded"
    assert spec.loader is not None, "and its loader is that of Python's sources"
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise Refusal(str(path), f"cannot be imported: {_said(error, module.__file__)}", "not_imported") from None
    return module


def _named(own: Own) -> Callable[..., Any]:
    """What a name stands for, also in another process, where the file has still to be run."""
    what: Callable[..., Any] = getattr(_imported(Path(own.path)), own.attribute)
    return what


def _is_policy(name: str, value: object, module: ModuleType) -> bool:
    """Whether a name of a file is meant as a policy.

    A class that can be called once made; a function that can be called with a problem and what it is told, and gives a plan
    or does not say what it gives.
    """
    if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
        return False
    if isinstance(value, type):
        return any("__call__" in base.__dict__ for base in value.__mro__)
    if not isfunction(value):
        return False
    parameters = list(signature(value).parameters.values())
    gives = value.__annotations__.get("return", Plan)
    return (
        len(parameters) > 0
        and all(one.name in TOLD or one.default is not Parameter.empty for one in parameters[1:])
        and (gives is Plan or str(gives).strip("'\"").rpartition(".")[2] == "Plan")
    )


def _parameters(what: Callable[..., Any]) -> Mapping[str, Parameter]:
    try:
        return signature(what).parameters
    except ValueError:  # it is not written in Python
        return {}


def _asked(what: Callable[..., Any], given: Mapping[str, Any], own: Own) -> dict[str, Any]:
    """What a policy is told: of what there is, whatever it has a parameter for, and its settings, one by one or in one."""
    parameters = _parameters(what)
    asked = {name: value for name, value in given.items() if name in parameters}
    if not {"outlook", "settings"} & set(parameters):
        return asked | dict(own.settings)
    written = what.__init__ if isinstance(what, type) else what  # type: ignore[misc]
    hints = get_type_hints(written, include_extras=True)
    if "outlook" in asked and given["outlook"] is None and type(None) not in get_args(hints.get("outlook")):
        if parameters["outlook"].default is Parameter.empty:
            message = "looks ahead and needs an outlook on demand: replay a history under it"
            raise Refusal(own, message, "needs_history")
        del asked["outlook"]
    if "settings" in parameters:
        return asked | {"settings": msgspec.convert(dict(own.settings), hints.get("settings", dict[str, Any]))}
    return asked | dict(own.settings)


def _said(error: BaseException, path: str | None) -> str:
    """An exception in a line, and where in the file it was."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    text = " ".join(f"{type(error).__name__}: {error}".rstrip(": ").splitlines())
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return f"{text} (line {lines[-1]})" if lines else text


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


__all__ = ["Judged", "JudgedAhead", "Own", "PolicyFault", "find", "is_own", "make_own"]
