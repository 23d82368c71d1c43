import pytest

from engine.calendar import (
    Calendar,
    format_day,
    format_minute,
    is_open,
    leaving_day,
    next_open_day,
    parse_day,
    parse_minute,
    weekday,
    working_day,
)

MONDAY = parse_day("2024-04-29")
WEEKDAYS = Calendar(frozenset(range(5)), frozenset({parse_day("2024-05-01")}))


def at(day: int, hour: int, minute: int = 0) -> int:
    return day * 1440 + hour * 60 + minute


def test_days_count_from_a_thursday() -> None:
    assert weekday(0) == 3
    assert weekday(MONDAY) == 0
    assert weekday(parse_day("1969-12-31")) == 2


def test_a_holiday_is_closed_though_it_is_a_weekday() -> None:
    assert [is_open(WEEKDAYS, MONDAY + day) for day in range(7)] == [True, True, False, True, True, False, False]
    assert next_open_day(WEEKDAYS, MONDAY + 2) == MONDAY + 3
    assert next_open_day(WEEKDAYS, MONDAY + 5) == MONDAY + 7


def test_the_cut_off_minute_is_the_last_of_its_day() -> None:
    assert working_day(WEEKDAYS, at(MONDAY, 15), 15 * 60) == MONDAY
    assert working_day(WEEKDAYS, at(MONDAY, 15, 1), 15 * 60) == MONDAY + 1


def test_what_comes_too_late_before_a_holiday_waits_for_the_day_after() -> None:
    assert working_day(WEEKDAYS, at(MONDAY + 1, 16), 15 * 60) == MONDAY + 3
    assert working_day(WEEKDAYS, at(MONDAY + 4, 16), 15 * 60) == MONDAY + 7


def test_a_closed_day_has_no_cut_off() -> None:
    assert working_day(WEEKDAYS, at(MONDAY + 5, 1), 15 * 60) == MONDAY + 7


def test_readiness_counts_open_days() -> None:
    assert [leaving_day(WEEKDAYS, MONDAY + 1, days) - MONDAY for days in range(4)] == [1, 3, 4, 7]
    assert leaving_day(Calendar(frozenset(range(7))), MONDAY, 3) == MONDAY + 3


@pytest.mark.parametrize("text", ["1969-12-31T23:59Z", "2000-02-29T00:00Z", "2024-05-01T09:30Z"])
def test_a_minute_is_written_as_it_was_read(text: str) -> None:
    assert format_minute(parse_minute(text)) == text
    assert format_day(parse_day(text[:10])) == text[:10]


def test_a_day_stands_for_its_midnight() -> None:
    assert parse_minute("2024-05-01") == parse_minute("2024-05-01T00:00Z")


@pytest.mark.parametrize(
    "text",
    ["", "2024-5-1", "2023-02-29", "2024-05-01T9:30Z", "2024-05-01T09:30", "2024-05-01T24:00Z", "2024-05-01T09:60Z"],
)
def test_what_no_calendar_has_is_no_minute(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a|no calendar has"):
        parse_minute(text)


def test_a_calendar_has_an_open_weekday() -> None:
    with pytest.raises(AssertionError):
        Calendar(frozenset())
