"""How long to wait before somebody else (a carrier, a provider of payments, a channel) is asked again who did not answer."""

FIRST_WAIT, LONGEST_WAIT = 5_000, 3_600_000
"""Milliseconds: after the first try, and at most."""


def wait_after(tries: int, longest: int = LONGEST_WAIT) -> int:
    """Milliseconds to wait after so many tries: twice as long each time."""
    return min(longest, FIRST_WAIT << min(max(tries - 1, 0), 20))


__all__ = ["wait_after"]
