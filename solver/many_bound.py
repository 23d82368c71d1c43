"""A bound on the cost of one order of many lines: prices on its lines."""

from typing import cast

import numpy as np
from numba import njit

from solver.lanes import Lanes, knapsack, openings, take_lines, tariff, value_lines
from solver.offers import INF
from solver.problem import Bools, Floats, Ints

NO_PARCELS = cast(int, np.int64(0))
"""Where only the gains are wanted. A plain number would have numba compile for it apart."""
SHARE = 0.25
"""Weight of the newest answer in the running mean of the answers."""


@njit(cache=True, nogil=True)
def relaxed(
    lanes: Lanes,
    opening: Floats,
    v: Floats,
    most: int,
    rank: Ints,
    worth: Floats,
    density: Floats,
    gain: Floats,
    weight: Floats,
    chosen: Bools,
    take: Floats,
) -> float:
    """Evaluate the bound at line prices `v` with at most so many parcels.

    Parameters
    ----------
    opening
        (L,) what opening a parcel costs.
    rank, worth, density
        (K, n) scratch; `rank` is kept from call to call.
    gain, weight, chosen
        (L,) filled with the most that a parcel is worth, opening paid (or more than that, where it is not above 0), its weight,
        and whether the relaxed answer has it.
    take
        (L, n) filled with the units of those parcels.
    """
    count, n = len(lanes.at), len(v)
    qty, grams, services, avail, unit = lanes.qty, lanes.grams, lanes.services, lanes.avail, lanes.unit
    at_of, service, zone, slope, pick = lanes.at, lanes.service, lanes.zone, lanes.slope, lanes.pick_cents
    steps, upper, cents, over = lanes.steps, lanes.upper, lanes.cents, lanes.over
    value, used, total = 0.0, 0, 0.0
    for k in range(n):
        value += qty[k] * v[k]
    valued = -1
    for i in range(count):
        at, s = at_of[i], service[i]
        chosen[i], weight[i] = False, 0.0
        if at != valued:
            total = value_lines(avail, unit, grams, pick[at], v, at, worth, density, rank)
            valued = at
        # a quick look: carriage is at least its first step and a constant rate above that
        gain[i] = total - opening[i] - (cents[s, zone[i], 0] if s >= 0 else 0)
        if gain[i] <= 0:
            continue
        if s >= 0:
            bonus, rate = 0.0, slope[i]
            for k in range(n):
                if worth[at, k] > 0:
                    bonus += max(0.0, worth[at, k] - rate * avail[at, k] * grams[k])
            gain[i] = bonus - opening[i] - cents[s, zone[i], 0]
            if gain[i] <= 0:
                continue
        got, weight[i] = knapsack(
            avail, grams, services, at, s, zone[i], steps, upper, cents, over, worth, density, rank
        )
        take_lines(avail, grams, services, at, s, worth, rank, weight[i], take, i)
        gain[i] = got - opening[i]
    if most >= count:
        for i in range(count):
            if gain[i] > 0:
                chosen[i] = True
                value -= gain[i]
        return value
    while used < most:
        best = -1
        for i in range(count):
            if not chosen[i] and (best < 0 or gain[i] > gain[best]):
                best = i
        if gain[best] <= 0:
            break
        chosen[best] = True
        value -= gain[best]
        used += 1
    return value


@njit(cache=True, nogil=True)
def raise_prices(
    lanes: Lanes,
    v: Floats,
    ceiling: Floats,
    most: int,
    target: float,
    rounds: int,
    rank: Ints,
    gain: Floats,
    mean_take: Floats,
    mean_open: Floats,
) -> float:
    """Raise line prices towards the best bound; `v` ends at the best found.

    A subgradient taken from a running mean of the relaxed answers (the volume algorithm of Barahona and Anbil 2000): that mean
    comes near a fractional answer, which tells what lanes are worth trying.

    Parameters
    ----------
    ceiling
        (n,) what a unit may be worth at most.
    most
        Parcels at most.
    target
        There is nothing to gain above this.
    rank
        (K, n) an order of the lines at each node; see `value_lines`.
    gain
        (L,) filled with the gains at the best prices.
    mean_take, mean_open
        (L, n), (L,) filled with the mean answer, from zeros: units, and how often the lane is used.
    """
    count, n = len(lanes.at), len(v)
    qty = lanes.qty
    worth, density = np.empty(rank.shape), np.empty(rank.shape)
    opening, weight, chosen = openings(lanes), np.zeros(count), np.zeros(count, dtype=np.bool_)
    take, trial, trial_gain, slope = np.empty((count, n)), np.empty(n), np.empty(count), np.empty(n)
    for k in range(n):
        v[k] = min(max(v[k], 0.0), ceiling[k])
    best = -INF
    pace, stale = 1.0, 0
    trial[:] = v
    for turn in range(rounds):
        value = relaxed(lanes, opening, trial, most, rank, worth, density, trial_gain, weight, chosen, take)
        share = 1.0 if turn == 0 else SHARE
        slope[:] = qty
        for i in range(count):
            if not chosen[i]:
                if mean_open[i] > 0:
                    mean_open[i] = (1 - share) * mean_open[i] if mean_open[i] > 1e-3 else 0.0
                    for k in range(n):
                        mean_take[i, k] *= 1 - share
                        slope[k] -= mean_take[i, k]
                continue
            mean_open[i] += share * (1.0 - mean_open[i])
            for k in range(n):
                mean_take[i, k] += share * (take[i, k] - mean_take[i, k])
                slope[k] -= mean_take[i, k]
        if value > best + 1e-6 * abs(best):
            pace = min(1.5, pace * (1.15 if turn else 1.0))
            stale = 0
        else:
            stale += 1
            if stale >= 3:
                pace *= 0.6
                stale = 0
        if value > best:
            best = value
            v[:] = trial
            gain[:] = trial_gain
        if best >= target or turn == rounds - 1:
            break
        norm = 0.0
        for k in range(n):
            share_of = slope[k] / qty[k]
            if (v[k] >= ceiling[k] and share_of > 0) or (v[k] <= 0 and share_of < 0):
                share_of = 0.0
            slope[k] = share_of
            norm += share_of * share_of
        if norm < 1e-10:
            break
        step = pace * max(target - best, 1e-4 * abs(target)) / norm
        for k in range(n):
            trial[k] = min(max(v[k] + step * slope[k] / qty[k], 0.0), ceiling[k])
    return best


@njit(cache=True, nogil=True)
def start_prices(lanes: Lanes, ceiling: Floats, most_parcels: int, v: Floats) -> Floats:
    """Find line prices to start from: what lines cost where lanes are opened one by one, always the one that gains most.

    Returns
    -------
    promise
        (L,) the most that one more parcel would gain in the end; `INF` for the lanes that were opened.
    """
    count, n = len(lanes.at), len(v)
    opening, weight, chosen = openings(lanes), np.zeros(count), np.zeros(count, dtype=np.bool_)
    rank, worth, density = first_rank(lanes), np.empty(lanes.avail.shape), np.empty(lanes.avail.shape)
    gain, promise, take = np.empty(count), np.zeros(count), np.zeros((count, n))
    margin, served = ceiling.copy(), np.zeros(n)
    v[:] = ceiling
    for _ in range(min(most_parcels, 12)):
        relaxed(lanes, opening, margin, NO_PARCELS, rank, worth, density, gain, weight, chosen, take)
        best = -1
        for i in range(count):
            if promise[i] < INF and gain[i] > 0.5 and (best < 0 or gain[i] > gain[best]):
                best = i
        if best < 0:
            break
        promise[best] = INF
        at, s = lanes.at[best], lanes.service[best]
        loaded = max(1.0, weight[best])
        carried = tariff(lanes.steps, lanes.upper, lanes.cents, lanes.over, s, lanes.zone[best], int(loaded))
        share = (opening[best] + carried) / loaded
        for k in range(n):
            if take[best, k] <= 0:
                continue
            part = min(1.0, take[best, k] / lanes.qty[k])
            plain = lanes.unit[at, k] + lanes.pick_cents[at] / take[best, k]
            cents = min(plain + lanes.slope[best] * lanes.grams[k], margin[k])
            margin[k] += part * (cents - margin[k])
            whole = min(plain + share * lanes.grams[k], ceiling[k])
            if served[k] < 1 or whole < v[k]:
                v[k] = min(v[k], part * whole + (1 - part) * v[k])
            served[k] += part
    for i in range(count):
        if promise[i] < INF:
            promise[i] = gain[i]
    return promise


@njit(cache=True, nogil=True)
def first_rank(lanes: Lanes) -> Ints:
    """(K, n) the lines in their own order, for a first sorting."""
    rank = np.empty((len(lanes.nodes), len(lanes.qty)), dtype=np.int64)
    rank[:, :] = np.arange(len(lanes.qty))
    return rank


__all__ = ["NO_PARCELS", "first_rank", "raise_prices", "relaxed", "start_prices"]
