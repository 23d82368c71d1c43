"""How long a policy may think: seconds, or a deterministic amount of work."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from time import monotonic
from typing import Protocol

from solver.plan import Plan
from solver.problem import Problem

Watch = Callable[[str, float, float, float], None]
"""Told how a solve goes: what is being done, seconds so far, cost of the best plan, best bound."""


def unwatched(_doing: str, _seconds: float, _cost: float, _bound: float) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Effort:
    """What a policy may spend.

    Parameters
    ----------
    seconds
        Wall time after which the best plan so far is returned; `None` for no limit.
    work
        Deterministic limit: pricing passes, and a thousandth of the nodes of integer programs. The same problem, seed and
        work give the same plan wherever `seconds` does not cut in; `None` for no limit.
    stop
        Set by somebody else (a signal, a caller who has seen enough): the best plan so far is returned soon after.
    """

    seconds: float | None = 60.0
    work: int | None = None
    stop: Event = field(default_factory=Event, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds >= 0:
            raise ValueError(f"seconds is {self.seconds}, not a number from 0")
        if self.work is not None and self.work < 0:
            raise ValueError(f"work is {self.work}, not a number from 0")


@dataclass
class Meter:
    """What has been spent of an effort since the meter was made."""

    effort: Effort
    watch: Watch = unwatched
    started: float = field(default_factory=monotonic)
    work: int = 0

    @property
    def seconds(self) -> float:
        return monotonic() - self.started

    @property
    def seconds_left(self) -> float:
        return float("inf") if self.effort.seconds is None else self.effort.seconds - self.seconds

    @property
    def work_left(self) -> float:
        return float("inf") if self.effort.work is None else self.effort.work - self.work

    @property
    def spent(self) -> bool:
        return self.effort.stop.is_set() or self.seconds_left <= 0 or self.work_left <= 0

    @property
    def late(self) -> bool:
        """Tell whether time is over, whatever work is left."""
        return self.effort.stop.is_set() or self.seconds_left <= 0

    def within(self, share: float) -> "Meter":
        """A meter that began when this one did, for a share of its seconds."""
        seconds = None if self.effort.seconds is None else share * self.effort.seconds
        return Meter(replace(self.effort, seconds=seconds), self.watch, self.started, self.work)

    def tell(self, doing: str, cost: float, bound: float) -> None:
        self.watch(doing, self.seconds, cost, bound)


class Policy(Protocol):
    """Any rule from a problem to a plan."""

    def __call__(self, problem: Problem) -> Plan:
        """Decide the whole problem."""
        ...
