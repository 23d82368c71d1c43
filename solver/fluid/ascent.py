"""Good prices and patterns for a large pattern program before it is first solved: normalised subgradient steps on its dual."""

import numpy as np

from solver.fluid.patterns import Pool
from solver.fluid.splits import price_kinds
from solver.problem import Floats, Ints

ROUNDS = 120
KEPT = 40
"""The last rounds, whose patterns are kept."""
DECAY, LEAST_STEP = 0.97, 0.01
MOMENTUM = 0.6


def ascend(pool: Pool, demand: Floats, stock: Floats | Ints, rounds: int = ROUNDS) -> tuple[float, Floats]:
    """Raise the bound by prices on stock, and put the patterns that the last rounds split by into the pool.

    Overdrawn cells become dearer in proportion to the share that is missing, others cheaper; the first step is half a parcel.

    Returns
    -------
    bound
        The best: no way to serve this demand from this stock costs less.
    prices
        (centres, items) those of that bound.
    """
    fluid = pool.fluid
    asked = demand.ravel()[pool.kinds]
    rows = np.flatnonzero(asked > 0)
    asked = asked[rows]
    units = np.asarray(stock, dtype=np.float64)
    held = (units > 0).astype(np.int64)
    step = fluid.fixed[:-1].mean() / 2
    prices, speed = np.zeros(units.shape), np.zeros(units.shape)
    best, at_best = -np.inf, prices
    t = fluid.tables
    kind = pool.kinds[rows] // fluid.regions
    for turn in range(rounds):
        value, patterns = price_kinds(t, pool.kinds[rows], fluid.regions, prices, held, fluid.most)
        bound = float(asked @ value - (prices * units).sum())
        if bound > best:
            best, at_best = bound, prices
        if turn >= rounds - KEPT:
            pool.add(rows, patterns)
        order, place = np.nonzero((patterns >= 0) & (patterns < fluid.centres))
        used = np.zeros(units.shape)
        np.add.at(used, (patterns[order, place], t.item[t.first[kind[order]] + place]), asked[order])
        slope = np.clip((used - units) / np.maximum(1.0, units), -1.0, 2.0)
        slope[(prices == 0) & (slope < 0)] = 0.0
        speed = MOMENTUM * speed + (1 - MOMENTUM) * slope
        prices = np.maximum(0.0, prices + step * max(LEAST_STEP, DECAY**turn) * speed)
    return best, at_best


__all__ = ["ascend"]
