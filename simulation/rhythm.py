"""When a replay decides: as orders arrive, every so many minutes, or once a day."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.calendar import MINUTES_PER_DAY, is_open
from engine.network import NetworkColumns
from simulation.history import History
from solver.problem import Bools, Ints
from solver.refusal import Refusal

Every = int | Literal["arrival", "day"]
"""So many minutes, each order as it arrives, or one minute of the day."""


@dataclass(frozen=True, eq=False)
class Rhythm:
    """The decisions of a replay, by ascending minute.

    Attributes
    ----------
    at
        (W,) the minutes.
    whole
        (W,) whether it sees all that is open, or only what came in since the decision before.
    """

    at: Ints
    whole: Bools

    def next_whole(self) -> Ints:
        """(W,) the minute of the next decision that sees all that is open, -1 where there is none."""
        whole = self.at[self.whole]
        following = np.searchsorted(whole, self.at, side="right")
        return np.where(following < len(whole), np.append(whole, -1)[following], -1)

    def last_of(self, history: History, cancel_after_days: int) -> Ints:
        """(O,) the last decision that sees each order: no later than `cancel_after_days` after the first."""
        if not len(self.at):
            return np.zeros(history.orders, dtype=np.int64)
        first = self.at[np.minimum(np.searchsorted(self.at, history.order_placed_at), len(self.at) - 1)]
        whole = self.at[self.whole]
        before = np.searchsorted(whole, first + cancel_after_days * MINUTES_PER_DAY, side="right")
        last: Ints = np.maximum(first, np.concatenate([[-1], whole])[before])
        return last


def every_of(text: str) -> Every:
    """Read `arrival`, `day`, or a number of minutes.

    Raises
    ------
    Refusal
        If it is none of them.
    """
    if text == "arrival":
        return "arrival"
    if text == "day":
        return "day"
    if text.isascii() and text.isdigit() and 1 <= int(text) <= MINUTES_PER_DAY:
        return int(text)
    raise Refusal("every", f"{text!r} is not arrival, day, or minutes from 1 to {MINUTES_PER_DAY}", "bad_option")


def rhythm_of(
    history: History, network: NetworkColumns, every: Every, *, wave_minute: int, until: int | None
) -> Rhythm:
    """When to decide, from the first order until the last one lapses, or to the end of the day `until`.

    Waves stand on the days on which a node works: at `wave_minute`, or every so many minutes, `wave_minute` among them.
    Orders that are decided as they arrive are decided on any day, those of one minute together; what they leave open
    waits for the daily wave.
    """
    assert every in ("arrival", "day") or 1 <= int(every) <= MINUTES_PER_DAY, f"{every} is no rhythm"
    if not history.orders:
        return Rhythm(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
    days, daily = _daily(history, network, wave_minute, until)
    if isinstance(every, int):
        offsets = np.arange(wave_minute % every, MINUTES_PER_DAY, every)
        at = (days[:, None] * MINUTES_PER_DAY + offsets).ravel()
        at = at[at >= history.order_placed_at[0]]
        return Rhythm(at, np.ones(len(at), dtype=np.bool_))
    if every == "day":
        return Rhythm(daily, np.ones(len(daily), dtype=np.bool_))
    arrivals = history.order_placed_at
    if until is not None:
        arrivals = arrivals[arrivals < (until + 1) * MINUTES_PER_DAY]
    at = np.union1d(arrivals, daily)
    return Rhythm(at, np.isin(at, daily))


def _daily(history: History, network: NetworkColumns, wave_minute: int, until: int | None) -> tuple[Ints, Ints]:
    """The days on which a node works, from that of the first order until the last one lapses, and their daily waves."""
    calendars = set(network.node_calendar)
    first, last = int(history.order_placed_at[0]), int(history.order_placed_at[-1])
    day, days, waves = first // MINUTES_PER_DAY, list[int](), list[int]()
    end = math.inf if until is None else until
    while day <= end:
        if any(is_open(calendar, day) for calendar in calendars):
            days.append(day)
            at = day * MINUTES_PER_DAY + wave_minute
            if at >= first:
                waves.append(at)
            if at >= last:
                end = min(end, day + network.terms.cancel_after_days)
        day += 1
    return np.array(days, dtype=np.int64), np.array(waves, dtype=np.int64)
