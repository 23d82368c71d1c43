"""The gates of Amil, Makhdoumi and Wei (2025): each unit in stock is guarded, so that no cell is sold out too early.

A gate is a magician's problem (Alaei, 2014): in each period a unit of the cell is asked for with a known probability, and the
gate opens with the same probability in every period, whatever came before. It is open while few units are gone, by a threshold
that follows from the distribution of units gone so far.
"""

import numpy as np
from numba import njit

from solver.problem import Floats, Ints


def open_share(stock: Ints, caution: float) -> Floats:
    """The probability with which a gate opens: 1 - caution / sqrt(stock + 3) (Amil, Makhdoumi and Wei, 2025)."""
    return np.asarray(1.0 - caution / np.sqrt(stock + 3.0))


@njit(cache=True, nogil=True)
def gates(chance: Floats, stock: Ints, share: Floats, periods: int) -> tuple[Ints, Floats]:
    """Work the gates out ahead.

    Parameters
    ----------
    chance
        (centres, items) probability that an order of one period asks the cell for a unit.
    stock
        (centres, items) units at the start.
    share
        (centres, items) probability with which a gate opens.

    Returns
    -------
    below, tie
        (periods, centres, items): a gate is open where fewer than `below` units are gone, and with probability `tie` where just
        so many are.
    """
    centres, items = stock.shape
    below = np.zeros((periods, centres, items), dtype=np.int64)
    tie = np.ones((periods, centres, items))
    for k in range(centres):
        for item in range(items):
            if stock[k, item] > 0 and chance[k, item] > 0:
                _gate(chance[k, item], stock[k, item], share[k, item], below[:, k, item], tie[:, k, item])
    return below, tie


@njit(cache=True, nogil=True)
def _gate(chance: float, stock: int, share: float, below: Ints, tie: Floats) -> None:
    gone = np.zeros(stock + 2)
    gone[0] = 1.0
    top = 0
    for t in range(len(below)):
        at, under = 0, 0.0
        while at < stock and under + gone[at] < share:
            under += gone[at]
            at += 1
        below[t] = at
        tie[t] = 0.0 if at == stock else min(1.0, (share - under) / gone[at])
        # units gone move up by one where the gate is open and one is asked for
        top = min(top + 1, stock)
        for w in range(min(at, top - 1), -1, -1):
            moved = gone[w] * chance * (tie[t] if w == at else 1.0)
            gone[w] -= moved
            gone[w + 1] += moved


__all__ = ["gates", "open_share"]
