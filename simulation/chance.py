"""What nodes, suppliers and customers do that no plan foresees, drawn for each of them by itself.

A draw depends on the seed and on whom it concerns (an order, a line, a node, a day), never on what was drawn before: two
policies see the same customers, whatever they decide (common random numbers). The generator is a hash: the mixing function of
SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), over the parts of a key in turn.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from engine.calendar import MINUTES_PER_DAY
from solver.problem import Bools, Floats, Ints
from solver.refusal import Refusal

Keys = NDArray[np.uint64]
SHORT, SHORT_UNITS, REFUSED, CANCELLED, CANCELLED_AFTER, RETURNED, RETURNED_AFTER, LATE, LATE_DAYS = range(9)
"""What a draw is for: each has numbers of its own."""
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST = np.uint64(31)


def keys_of(names: Sequence[str]) -> Keys:
    """(N,) a key for each name: equal names have equal keys, whatever stands beside them."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def uniform(seed: int, what: int, *key: Keys | Ints | int) -> Floats:
    """Numbers from [0, 1), one for each key: the same key, seed and purpose have the same number.

    Parameters
    ----------
    what
        The purpose.
    key
        (N,) the parts of each key; a single number is part of all.
    """
    state = _mixed(np.uint64(seed % 2**64) + np.zeros(1, dtype=np.uint64))
    for part in (what, *key):
        state = _mixed(state ^ np.asarray(part).astype(np.uint64))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(state: Keys) -> Keys:
    state = state + _STEP  # wraps around, as it is meant to
    for shift, factor in _MIX:
        state = (state ^ (state >> shift)) * factor
    return state ^ (state >> _LAST)


@dataclass(frozen=True)
class Chance:
    """How often the world differs from the plan. A world of one's own overrides a method.

    Attributes
    ----------
    short_pick
        How likely a node does not find some or all units of a line to pick. They leave the books; the line is open again.
    refuse
        How likely a store refuses a parcel; its lines are open again.
    rest_minutes
        How long an order keeps away from a node that refused it or came up short.
    cancel, cancel_days
        How likely a customer cancels an order, at any minute of so many days after placing it.
    give_back, give_back_days
        How likely a line comes back, at any minute of so many days after it arrived.
    late, late_days
        How likely a receipt comes later than it was said to, by up to so many days.
    """

    seed: int = 0
    short_pick: float = 0.0
    refuse: float = 0.0
    rest_minutes: int = MINUTES_PER_DAY
    cancel: float = 0.0
    cancel_days: int = 2
    give_back: float = 0.0
    give_back_days: int = 21
    late: float = 0.0
    late_days: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float and not 0 <= value <= 1:
                raise Refusal(field.name, f"{value} is not from 0 to 1", "bad_chance")
            if field.name.endswith("_days") and value < 1:
                raise Refusal(field.name, f"{value} is not 1 or more", "bad_chance")
        if self.rest_minutes < 0:
            raise Refusal("rest_minutes", f"{self.rest_minutes} is not 0 or more", "bad_chance")

    def labels(self) -> tuple[str, ...]:
        """What is drawn, for people."""
        told = {
            "short_pick": "short picks",
            "refuse": "refusals by stores",
            "cancel": "cancellations",
            "give_back": "returns",
            "late": "late receipts",
        }
        return tuple(
            f"{name}: drawn for each by chance, {100 * getattr(self, field):.3g} %"
            for field, name in told.items()
            if getattr(self, field)
        )

    def missing(self, order: Keys, line: Ints, node: Keys, day: int, units: Ints) -> Ints:
        """(E,) units that a node does not find of what it is to pick: none, or any number up to all."""
        key = order, line, node, day
        short = uniform(self.seed, SHORT, *key) < self.short_pick
        share = uniform(self.seed, SHORT_UNITS, *key)
        return np.where(short, 1 + (share * units).astype(np.int64), 0)

    def refused(self, order: Keys, node: Keys, is_store: Bools, day: int) -> Bools:
        """(P,) which parcels a node refuses to make."""
        refused: Bools = is_store & (uniform(self.seed, REFUSED, order, node, day) < self.refuse)
        return refused

    def cancelled_after(self, order: Keys) -> Ints:
        """(O,) minutes from placing an order to cancelling it, -1 where it is not."""
        after = 1 + uniform(self.seed, CANCELLED_AFTER, order) * (self.cancel_days * MINUTES_PER_DAY - 1)
        return np.where(uniform(self.seed, CANCELLED, order) < self.cancel, after.astype(np.int64), -1)

    def given_back_after(self, order: Keys, line: Ints) -> Ints:
        """(E,) minutes from the day on which a line arrives to its return, -1 where it stays."""
        after = 1 + uniform(self.seed, RETURNED_AFTER, order, line) * (self.give_back_days * MINUTES_PER_DAY - 1)
        back = uniform(self.seed, RETURNED, order, line) < self.give_back
        return np.where(back, MINUTES_PER_DAY + after.astype(np.int64), -1)

    def late_by(self, at: Ints, node: Keys, sku: Keys) -> Ints:
        """(R,) minutes by which receipts come later than they were said to."""
        days = 1 + (uniform(self.seed, LATE_DAYS, at, node, sku) * self.late_days).astype(np.int64)
        return np.where(uniform(self.seed, LATE, at, node, sku) < self.late, days * MINUTES_PER_DAY, 0)


def chance_of(text: str) -> Chance:
    """Read chances as people write them: `short_pick=0.02,refuse=0.05`; names are those of `Chance`.

    Raises
    ------
    Refusal
        A name that is not there, or a value that is not allowed.
    """
    known = {field.name: field.type for field in fields(Chance) if field.name != "seed"}
    said: dict[str, float | int] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in known:
            raise Refusal(name or "''", f"is no chance; there are {', '.join(known)}", "bad_chance")
        try:
            said[name] = float(value) if known[name] is float else int(value)
        except ValueError:
            kind = "number" if known[name] is float else "whole number"
            raise Refusal(name, f"{value!r} is not a {kind}", "bad_chance") from None
    return Chance(**said)  # type: ignore[arg-type]
