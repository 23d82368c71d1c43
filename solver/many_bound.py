"""A bound on the cost of one order of many lines: prices on its lines."""

import numpy as np
from numba import njit

from solver.lanes import Lanes, draw_offers, keep_lanes, knapsack, openings, rank_offers
from solver.offers import INF
from solver.problem import Floats, Ints

SHARE = 0.25
"""Weight of the newest answer in the running mean of the answers."""
STAGE = 8
"""Ascent steps after which lanes are left out."""
OUT, FREE, IN = -1, 0, 1
"""Whether a way is to have a parcel on a lane."""


@njit(cache=True, nogil=True)
def relaxed(
    lanes: Lanes,
    opening: Floats,
    v: Floats,
    most: int,
    state: Ints,
    rank: Ints,
    worth: Floats,
    density: Floats,
    gain: Floats,
    weight: Floats,
    drawn: Floats,
) -> float:
    """Evaluate the bound at line prices `v` with at most so many parcels.

    Parameters
    ----------
    opening
        (L,) what opening a parcel costs.
    state
        (L,) `IN`, where only ways with a parcel on the lane matter, `OUT`, where only those without one do, or `FREE`.
    rank, worth, density
        (E,) scratch; `rank` is kept from call to call.
    gain, weight
        (L,) filled with the most that a parcel is worth, opening paid (or more than that, where it is not above 0), and its weight.
    drawn
        (n,) filled with the units that the relaxed answer ships.
    """
    count = len(lanes.at)
    qty, services, start, line, units, cents, load = (
        lanes.qty, lanes.services, lanes.start, lanes.line, lanes.units, lanes.cents, lanes.load
    )  # fmt: skip
    at_of, service, zone, slope, pick = lanes.at, lanes.service, lanes.zone, lanes.slope, lanes.pick_cents
    steps, upper, tariffs, over = lanes.steps, lanes.upper, lanes.tariff, lanes.over
    value, total, valued, ranked, room = 0.0, 0.0, -1, -1, most
    for k in range(len(v)):
        value += qty[k] * v[k]
        drawn[k] = 0.0
    for i in range(count):
        if state[i] == OUT:
            gain[i] = -INF
            continue
        at, s = at_of[i], service[i]
        first, last = start[at], start[at + 1]
        if at != valued:
            total = 0.0
            for e in range(first, last):
                worth[e] = units[e] * (v[line[e]] - cents[e]) - pick[at]
                total += max(0.0, worth[e])
            valued = at
        # a quick look: carriage is at least its first step and a constant rate above that
        gain[i] = total - opening[i] - (tariffs[s, zone[i], 0] if s >= 0 else 0)
        if gain[i] > 0 and s >= 0:
            bonus, rate = 0.0, slope[i]
            for e in range(first, last):
                bonus += max(0.0, worth[e] - rate * load[e])
            gain[i] = bonus - opening[i] - tariffs[s, zone[i], 0]
        if gain[i] <= 0 and state[i] != IN:
            continue
        if at != ranked:
            rank_offers(first, last, worth, load, density, rank)
            ranked = at
        got, weight[i] = knapsack(
            first, last, s, zone[i], line, load, services, worth, density, rank, steps, upper, tariffs, over
        )
        gain[i] = got - opening[i]
        room -= state[i]
    least, ties = last_of_best(gain, state, room) if room < count else (0.0, count)
    for i in range(count):
        if state[i] != IN:
            if gain[i] <= 0 or gain[i] < least or (gain[i] == least and ties == 0):
                continue
            if gain[i] == least:
                ties -= 1
        value -= gain[i]
        at = at_of[i]
        draw_offers(start[at], start[at + 1], service[i], line, units, load, services, worth, rank, weight[i], drawn)
    return value


@njit(cache=True, nogil=True)
def last_of_best(gain: Floats, state: Ints, room: int) -> tuple[float, int]:
    """The least of the best so many gains of lanes that are free, and how many of those are no better."""
    free = np.where(state == IN, -INF, gain)
    if room <= 0:
        return INF, 0
    least = np.partition(free, len(free) - room)[len(free) - room]
    return float(least), room - int((free > least).sum())


@njit(cache=True, nogil=True)
def bound_by_prices(lanes: Lanes, v: Floats, ceiling: Floats, most: int, target: float, rounds: int) -> float:
    """Bound what a way costs by raising line prices; `target` where no way costs less. `v` ends at the best prices found.

    A subgradient taken from a running mean of the relaxed answers (the volume algorithm of Barahona and Anbil 2000), which swings
    less than the answers do. On the way, lanes are left out that no way below the target can have.

    Parameters
    ----------
    ceiling
        (n,) what a unit may be worth at most.
    most
        Parcels at most.
    target
        The cost of a known way.
    rounds
        Ascent steps.
    """
    n, qty = len(v), lanes.qty
    trial, drawn, mean, slope = np.empty(n), np.empty(n), np.zeros(n), np.empty(n)
    for k in range(n):
        v[k] = min(max(v[k], 0.0), ceiling[k])
    best, pace, stale, fix = -INF, 1.0, 0, STAGE
    trial[:] = v
    opening, rank = openings(lanes), np.arange(len(lanes.line))
    worth, density = np.empty(len(rank)), np.empty(len(rank))
    gain, best_gain, weight = np.empty(len(opening)), np.empty(len(opening)), np.empty(len(opening))
    state = np.zeros(len(opening), dtype=np.int64)
    for turn in range(rounds):
        value = relaxed(lanes, opening, trial, most, state, rank, worth, density, gain, weight, drawn)
        mean += (1.0 if turn == 0 else SHARE) * (drawn - mean)
        if value > best + 1e-6 * abs(best):
            pace, stale = min(1.5, pace * (1.15 if turn else 1.0)), 0
        else:
            stale += 1
            if stale >= 3:
                pace, stale = pace * 0.6, 0
        if value > best:
            best = value
            v[:] = trial
            best_gain[:] = gain
        if best >= target:
            return target
        if turn + 1 >= fix:
            fix += STAGE
            keep = best_gain >= best - target
            if not keep.any():
                return target
            if 4 * keep.sum() < 3 * len(keep):
                lanes = keep_lanes(lanes, keep)
                opening, rank, best_gain = openings(lanes), np.arange(len(lanes.line)), best_gain[keep]
                worth, density = np.empty(len(rank)), np.empty(len(rank))
                gain, weight, state = np.empty(len(opening)), np.empty(len(opening)), state[keep]
        norm = 0.0
        for k in range(n):
            slope[k] = 1.0 - mean[k] / qty[k]
            if (v[k] >= ceiling[k] and slope[k] > 0) or (v[k] <= 0 and slope[k] < 0):
                slope[k] = 0.0
            norm += slope[k] * slope[k]
        if norm < 1e-10:
            break
        step = pace * max(target - best, 1e-4 * abs(target)) / norm
        for k in range(n):
            trial[k] = min(max(v[k] + step * slope[k] / qty[k], 0.0), ceiling[k])
    return best


__all__ = ["FREE", "IN", "OUT", "bound_by_prices", "relaxed"]
