"""Calendars: which days a node works, and on which day an order that comes in now leaves it.

Pure functions on integers: a day counts from 1970-01-01, a minute from that day's midnight, both in UTC.
"""

import re
from dataclasses import dataclass
from datetime import date

MINUTES_PER_DAY = 1440
MS_PER_MINUTE = 60_000
MS_PER_DAY = MINUTES_PER_DAY * MS_PER_MINUTE
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EPOCH = date(1970, 1, 1).toordinal()
MINUTE = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2})Z")


@dataclass(frozen=True)
class Calendar:
    """The days on which a node works.

    Parameters
    ----------
    open_weekdays
        0 for Monday to 6 for Sunday; at least one, so that there is always a next open day.
    closed
        Days that are closed whatever their weekday.
    """

    open_weekdays: frozenset[int]
    closed: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        assert self.open_weekdays, "a calendar has an open weekday"
        assert self.open_weekdays <= set(range(7)), "weekdays are 0 to 6"


def weekday(day: int) -> int:
    """0 for Monday to 6 for Sunday."""
    return (day + 3) % 7  # 1970-01-01 was a Thursday


def is_open(calendar: Calendar, day: int) -> bool:
    """Whether the node works on that day."""
    return weekday(day) in calendar.open_weekdays and day not in calendar.closed


def next_open_day(calendar: Calendar, day: int) -> int:
    """The first open day that is not before `day`."""
    while not is_open(calendar, day):
        day += 1
    return day


def working_day(calendar: Calendar, minute: int, cut_off_minute: int) -> int:
    """The day whose work an order decided at `minute` joins: today up to the cut-off, else the next open day."""
    day, minute_of_day = divmod(minute, MINUTES_PER_DAY)
    return next_open_day(calendar, day if minute_of_day <= cut_off_minute else day + 1)


def leaving_day(calendar: Calendar, working: int, ready_days: int) -> int:
    """The day on which the goods are handed over: `ready_days` open days after the day on which they are picked."""
    day = working
    for _ in range(ready_days):
        day = next_open_day(calendar, day + 1)
    return day


def parse_day(text: str) -> int:
    """Read `2011-01-18`.

    Raises
    ------
    ValueError
        If it is not a day in that form.
    """
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a day like 2011-01-18")
    try:
        return date.fromisoformat(text).toordinal() - EPOCH
    except ValueError:
        raise ValueError(f"{text!r} is a day that no calendar has") from None


def parse_minute(text: str) -> int:
    """Read `2011-01-18T10:01Z`, or a day, which stands for its midnight.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if "T" not in text:
        return parse_day(text) * MINUTES_PER_DAY
    found = MINUTE.fullmatch(text)
    if not found or int(found[2]) > 23 or int(found[3]) > 59:
        raise ValueError(f"{text!r} is not a minute like 2011-01-18T10:01Z")
    return parse_day(found[1]) * MINUTES_PER_DAY + int(found[2]) * 60 + int(found[3])


def format_day(day: int) -> str:
    """Write a day as `2011-01-18`."""
    return date.fromordinal(day + EPOCH).isoformat()


def format_minute(minute: int) -> str:
    """Write a minute as `2011-01-18T10:01Z`."""
    day, minute_of_day = divmod(minute, MINUTES_PER_DAY)
    return f"{format_day(day)}T{minute_of_day // 60:02}:{minute_of_day % 60:02}Z"
