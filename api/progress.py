"""How long work is followed: a live line on the terminal's standard error, and nothing where no one is looking."""

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from api import figures

Watch = Callable[[str, float, float, float], None]


class Interruption:
    """Whether Ctrl-C or SIGTERM came. Compiled code that calls back into Python may swallow it; here it is remembered.

    Attributes
    ----------
    signal
        The number of the signal, 0 where none came.
    """

    def __init__(self) -> None:
        self.signal = 0

    def heed(self) -> None:
        """Remember Ctrl-C and SIGTERM from now on, besides raising `KeyboardInterrupt`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def stop(self) -> None:
        """Stop here if a signal came."""
        if self.signal:
            raise KeyboardInterrupt

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        raise KeyboardInterrupt


interruption = Interruption()


def errors() -> Console:
    """The console for messages; names from files are never read as markup."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def describe(doing: str, seconds: float, cost: float, bound: float) -> str:
    """Say how a solve goes: what is being done, for how long, cost, bound and gap as far as they are known."""
    parts = [f"{figures.printable(doing)}  {figures.duration(seconds)}"]
    if math.isfinite(cost):
        parts.append(f"cost {figures.money(cost)}")
    if math.isfinite(bound):
        parts.append(f"bound {figures.money(bound)}")
    if math.isfinite(cost) and math.isfinite(bound) and cost > 0:
        parts.append(f"gap {figures.gap((cost - bound) / cost)}")
    return "  ".join(parts)


@contextmanager
def stopped_by_signals(stop: Event) -> Iterator[None]:
    """Let Ctrl-C or SIGTERM ask for the best answer so far; a second one ends the work at once."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def following(first: str) -> Iterator[Watch]:
    """Follow work on one line; gives what a solver tells its progress to."""
    console = errors()
    if not console.is_terminal:
        yield lambda _doing, _seconds, _cost, _bound: interruption.stop()
    else:
        with console.status(first) as status:

            def watch(doing: str, seconds: float, cost: float, bound: float) -> None:
                interruption.stop()
                status.update(describe(doing, seconds, cost, bound))

            yield watch
    interruption.stop()


@contextmanager
def counting(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """Follow work that can be counted; gives a function of what is being done, how much is done, and of how much."""
    console = errors()
    text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    columns = (SpinnerColumn(), text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)

        def count(doing: str, done: int, total: int) -> None:
            interruption.stop()
            progress.update(task, description=doing, completed=done, total=total)

        yield count
    interruption.stop()
