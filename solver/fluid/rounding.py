"""From the shares of the item-centre program to a centre for each item of one order.

Each rule keeps the shares as probabilities of every single item; they differ in how often items of an order meet at a centre.
"""

from collections.abc import Callable

import numpy as np
from numba import njit

from solver.problem import Floats, Ints

ZERO = 1e-12
"""A share below is none."""
SURE = 1 - 1e-9
"""A share above is all."""
RULES = ("independent", "jasin_sinha", "dilate", "force_open")
INDEPENDENT, JASIN_SINHA, DILATE, FORCE_OPEN = range(4)


@njit(cache=True, nogil=True)
def pick(weights: Floats, generator: np.random.Generator) -> int:
    """Draw an index in proportion to weights."""
    drawn = generator.random() * weights.sum()
    last = 0
    for k in range(len(weights)):
        if weights[k] > 0:
            last = k
            drawn -= weights[k]
            if drawn < 0:
                break
    return last


@njit(cache=True, nogil=True)
def independent(share: Floats, generator: np.random.Generator, choice: Ints) -> None:
    """Draw each item by itself (the first heuristic of Jasin and Sinha, 2015)."""
    for i in range(len(share)):
        choice[i] = pick(share[i, :], generator)


@njit(cache=True, nogil=True)
def jasin_sinha(share: Floats, generator: np.random.Generator, choice: Ints) -> None:
    """Draw a centre and a set of items that it serves together, then the others by themselves (their second heuristic).

    The shares at a centre are peeled into layers, in each of which a set of m items has one and the same share.
    """
    n, centres = share.shape
    layer = np.zeros((centres, n + 1))
    inside = np.zeros((centres, n + 1, n))
    for k in range(centres):
        left = share[:, k].copy()
        for _ in range(n):
            least, m = np.inf, 0
            for i in range(n):
                if left[i] > ZERO:
                    m += 1
                    least = min(least, left[i])
            if m == 0:
                break
            layer[k, m] = least
            for i in range(n):
                if left[i] > ZERO:
                    inside[k, m, i] = 1.0
                    left[i] -= least
    size = np.arange(n + 1) / n
    together = pick((layer * size).ravel(), generator)
    k, m = together // (n + 1), together % (n + 1)
    for i in range(n):
        if inside[k, m, i] > 0:
            choice[i] = k
        else:
            alone = inside[:, :, i] * layer * (1 - size)
            choice[i] = pick(alone.ravel(), generator) // (n + 1)


@njit(cache=True, nogil=True)
def clocks(centres: int, generator: np.random.Generator) -> Floats:
    """Draw an exponential clock for each centre."""
    return generator.standard_exponential(centres)


@njit(cache=True, nogil=True)
def dilate(share: Floats, generator: np.random.Generator, choice: Ints) -> None:
    """Give each centre one exponential clock, run slower for an item with a lower share; the first to ring serves it (Ma, 2023)."""
    clock = clocks(len(share[0]), generator)
    for i in range(len(share)):
        choice[i] = _earliest(share[i, :], clock, -1, np.inf)


@njit(cache=True, nogil=True)
def force_open(share: Floats, generator: np.random.Generator, choice: Ints) -> None:
    """As `dilate`, but the largest share of an item surely rings by time 1 / share (Ma, 2023, for items in few centres)."""
    clock = clocks(len(share[0]), generator)
    for i in range(len(share)):
        most = int(share[i, :].argmax())
        u = share[i, most]
        if u >= SURE:
            choice[i] = most
            continue
        late = generator.random() < (1 - u) / (1 - u + u * np.exp(1 / u) - np.e)
        rings = 1 / u if late else min(clock[most], 1.0) / u
        choice[i] = _earliest(share[i, :], clock, most, rings)


@njit(cache=True, nogil=True)
def _earliest(share: Floats, clock: Floats, other: int, rings: float) -> int:
    """The centre that rings first, of which one may ring at a time of its own."""
    first, chosen = np.inf, other
    for k in range(len(share)):
        if share[k] > ZERO:
            at = rings if k == other else clock[k] / share[k]
            if at < first:
                first, chosen = at, k
    return chosen


@njit(cache=True, nogil=True)
def round_by(rule: int, share: Floats, generator: np.random.Generator, choice: Ints) -> None:
    """Round by a rule, given by its place in `RULES`."""
    if rule == INDEPENDENT:
        independent(share, generator, choice)
    elif rule == JASIN_SINHA:
        jasin_sinha(share, generator, choice)
    elif rule == DILATE:
        dilate(share, generator, choice)
    else:
        force_open(share, generator, choice)


Rounding = Callable[[Floats, np.random.Generator, Ints], None]
"""From the (items, centres + 1) shares of one order to `choice`, the centre of each item."""

__all__ = ["RULES", "Rounding", "dilate", "force_open", "independent", "jasin_sinha", "pick", "round_by"]
