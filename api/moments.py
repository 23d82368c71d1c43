"""Moments and days as they are written: RFC 3339 and ISO 8601 outside, whole numbers since 1970 inside."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1)


def read_moment(value: Any) -> int:
    """Read RFC 3339.

    Raises
    ------
    ValueError
        It is no moment of our time.
    """
    if not isinstance(value, str):
        raise ValueError("is no RFC 3339 time, as 2026-11-25T10:00:00Z is")
    try:
        read = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("is no RFC 3339 time, as 2026-11-25T10:00:00Z is") from error
    if read.tzinfo is None or len(value) < 20:
        raise ValueError("has no time zone; 2026-11-25T10:00:00Z has one")
    return int((read - _EPOCH) // timedelta(milliseconds=1))


def read_day(value: Any) -> int:
    """Read an ISO 8601 day.

    Raises
    ------
    ValueError
        It is no day of our time.
    """
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        return (date.fromisoformat(value) - _FIRST_DAY).days
    except ValueError as error:
        raise ValueError("is no day, as 2026-11-25 is") from error


def moment(at: int | None) -> str | None:
    """Milliseconds as RFC 3339, UTC."""
    if at is None:
        return None
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day(number: int | None) -> str | None:
    """Days since 1970-01-01 as ISO 8601."""
    return None if number is None else (_FIRST_DAY + timedelta(days=number)).isoformat()


__all__ = ["day", "moment", "read_day", "read_moment"]
