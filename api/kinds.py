"""What kinds of jobs there are, and what does them."""

from engine.jobs import Kind

KINDS: dict[str, Kind] = {}

__all__ = ["KINDS"]
