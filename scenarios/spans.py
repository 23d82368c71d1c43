"""The days on which a change holds, in minutes of a history."""

from datetime import date

import numpy as np
from msgspec.structs import replace

from engine.calendar import EPOCH, MINUTES_PER_DAY, format_day
from scenarios.settings import Dated, Day, Settings
from simulation.history import History
from solver.problem import Bools, Ints
from solver.refusal import Refusal

Days = tuple[Day | None, Day | None]
ALWAYS = 2**60


def span(history: History, days: Days) -> tuple[int, int]:
    """The first minute of the days, and the first minute after them.

    Raises
    ------
    Refusal
        Days that end before they begin, or lie beside the orders of the history, so that nothing would change.
    """
    first, last = (None if day is None else _day(history, day) for day in days)
    if first is not None and last is not None and last < first:
        raise Refusal("until", f"{format_day(last)} is before from, {format_day(first)}", "bad_value")
    opens, ends = (int(at) // MINUTES_PER_DAY for at in history.order_placed_at[[0, -1]]) if history.orders else (0, 0)
    for name, day, beside in (
        ("from", first, first is not None and first > ends),
        ("until", last, last is not None and last < opens),
    ):
        if day is not None and beside:
            orders = f"the orders of the history are of {format_day(opens)} to {format_day(ends)}"
            raise Refusal(name, f"on {format_day(day)} nothing would change; {orders}", "bad_value")
    return (
        -ALWAYS if first is None else first * MINUTES_PER_DAY,
        ALWAYS if last is None else (last + 1) * MINUTES_PER_DAY,
    )


def during(history: History, at: Ints, days: Days) -> Bools:
    """Which minutes are of these days."""
    begin, end = span(history, days)
    return np.asarray((at >= begin) & (at < end))


def on_dates(history: History, said: Settings) -> Settings:
    """The same settings with dates for the numbers of days, so that they hold where an earlier change moves the first day."""
    if not isinstance(said, Dated):
        return said
    first, last = (None if day is None else date.fromordinal(_day(history, day) + EPOCH) for day in said.days)
    return replace(said, since=first, until=last)


def _day(history: History, day: Day) -> int:
    """Counted from 1970-01-01; a number counts the days of the history from 1."""
    if isinstance(day, date):
        return day.toordinal() - EPOCH
    first = int(history.order_placed_at[0]) // MINUTES_PER_DAY if history.orders else 0
    return first + day - 1
