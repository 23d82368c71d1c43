"""A bound on the cost of one order of many lines: prices on its lines, for all ways or for those with parcels on given lanes."""

from typing import NamedTuple

import numpy as np
from numba import njit

from solver.lanes import Lanes, draw_offers, keep_lanes, knapsack, openings, rank_offers
from solver.offers import INF
from solver.problem import Floats, Ints

SHARE = 0.25
"""Weight of the newest answer in the running mean of the answers."""
STAGE = 24
"""Ascent steps on the lanes that matter most, from one look at all of them to the next."""
NEAR = 48
"""How many those are."""
MATTERS = 0.1
"""A share of the cost: a parcel that loses more is not looked at before the bound is nearer than that."""
OUT, FREE, IN = -1, 0, 1
"""Whether a way is to have a parcel on a lane."""


class Raising(NamedTuple):
    """What raising prices works on.

    Attributes
    ----------
    lane_start, least_base, least_slope
        (K + 1,), (K,) the lanes of a node are contiguous; the least of their `base` and of their slopes.
    opening, base
        (L,) what opening a parcel costs, and with the part of carriage that does not rise at the lane's slope.
    units, paid, load
        (E,) units of an offer, what they cost with picking, what they weigh.
    rank, worth, density
        (E,) scratch; `rank` is kept from call to call.
    gain, weight
        (L,) the most that a parcel is worth in the last answer, opening paid (more, where it does not matter); its weight.
    drawn, mean, slope, trial
        (n,) units shipped in the last answer and in the mean of the answers; scratch.
    """

    lane_start: Ints
    least_base: Floats
    least_slope: Floats
    opening: Floats
    base: Floats
    units: Floats
    paid: Floats
    load: Floats
    rank: Ints
    worth: Floats
    density: Floats
    gain: Floats
    weight: Floats
    drawn: Floats
    mean: Floats
    slope: Floats
    trial: Floats
    pace: Floats


@njit(cache=True, nogil=True)
def raising(lanes: Lanes) -> Raising:
    """Make ready to raise the prices of these lanes."""
    m, count, size, n = len(lanes.nodes), len(lanes.at), len(lanes.line), len(lanes.qty)
    at_of, service, zone, slopes = lanes.at, lanes.service, lanes.zone, lanes.slope
    upper, tariffs = lanes.upper, lanes.tariff
    opening = openings(lanes)
    base, lane_start = opening.copy(), np.zeros(m + 1, dtype=np.int64)
    least_base, least_slope = np.full(m, INF), np.full(m, INF)
    for i in range(count):
        if service[i] >= 0:
            base[i] += tariffs[service[i], zone[i], 0] - slopes[i] * upper[service[i], 0]
        lane_start[at_of[i] + 1] += 1
        least_base[at_of[i]] = min(least_base[at_of[i]], base[i])
        least_slope[at_of[i]] = min(least_slope[at_of[i]], slopes[i])
    units, paid, load = np.empty(size), np.empty(size), np.empty(size)
    for at in range(m):
        for e in range(lanes.start[at], lanes.start[at + 1]):
            units[e], load[e] = lanes.units[e], lanes.load[e]
            paid[e] = lanes.units[e] * lanes.cents[e] + lanes.pick_cents[at]
    return Raising(
        np.cumsum(lane_start), least_base, least_slope, opening, base, units, paid, load, np.arange(size), np.empty(size),
        np.empty(size), np.empty(count), np.zeros(count), np.empty(n), np.zeros(n), np.empty(n), np.empty(n),
        np.ones(1),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def relaxed(lanes: Lanes, scratch: Raising, v: Floats, most: int, state: Ints, matters: float) -> float:
    """Evaluate the bound at (n,) line prices `v` with at most so many parcels; `gain`, `weight`, `drawn` of the scratch are filled.

    (L,) `state` is `IN`, where only ways with a parcel on the lane matter, `OUT`, where only those without one do, or `FREE`.
    Where a gain is not above `matters` (at most 0), no more is found out than that.
    """
    count, m = len(lanes.at), len(lanes.nodes)
    qty, services, start, line = lanes.qty, lanes.services, lanes.start, lanes.line
    at_of, service, zone, slopes = lanes.at, lanes.service, lanes.zone, lanes.slope
    steps, upper, tariffs, over = lanes.steps, lanes.upper, lanes.tariff, lanes.over
    lane_start, least_base, least_slope, opening, base, units, paid, load, rank, worth, density, gain, weight, drawn = (
        scratch[:14]
    )
    value, room = 0.0, most
    for k in range(len(v)):
        value += qty[k] * v[k]
        drawn[k] = 0.0
    for at in range(m):
        first, last = start[at], start[at + 1]
        wanted, forced = False, False
        for i in range(lane_start[at], lane_start[at + 1]):
            gain[i] = -INF
            wanted = wanted or state[i] != OUT
            forced = forced or state[i] == IN
        if not wanted:
            continue
        # a quick look: carriage is at least the line through the end of its first step that rises at the lane's slope
        total, rate = 0.0, least_slope[at]
        for e in range(first, last):
            worth[e] = units[e] * v[line[e]] - paid[e]
            total += max(0.0, worth[e] - rate * load[e])
        if total - least_base[at] <= matters and not forced:
            for i in range(lane_start[at], lane_start[at + 1]):
                if state[i] == FREE:
                    gain[i] = total - base[i]
            continue
        ranked = False
        for i in range(lane_start[at], lane_start[at + 1]):
            if state[i] == OUT:
                continue
            gain[i] = total - base[i]
            if gain[i] > matters and slopes[i] > rate:
                bonus, own = -base[i], slopes[i]
                for e in range(first, last):
                    bonus += max(0.0, worth[e] - own * load[e])
                gain[i] = bonus
            if gain[i] <= matters and state[i] != IN:
                continue
            if not ranked:
                rank_offers(first, last, worth, load, density, rank)
                ranked = True
            got, weight[i] = knapsack(
                first,
                last,
                service[i],
                zone[i],
                line,
                load,
                services,
                worth,
                density,
                rank,
                steps,
                upper,
                tariffs,
                over,
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
def least_of_best(gain: Floats, state: Ints, room: int) -> float:
    """The least gain of a free lane that the relaxed answer uses, where it uses as many as it may; 0 where it may use more."""
    if room <= 0:
        return INF
    above = 0
    for i in range(len(gain)):
        if state[i] == FREE and gain[i] > 0:
            above += 1
    if above <= room:
        return 0.0
    free = np.where(state == FREE, gain, -INF)
    return float(np.partition(free, len(free) - room)[len(free) - room])


@njit(cache=True, nogil=True)
def raised(
    lanes: Lanes,
    scratch: Raising,
    state: Ints,
    most: int,
    v: Floats,
    ceiling: Floats,
    target: float,
    rounds: int,
    anew: bool,
    gain: Floats,
    use: Floats,
) -> float:
    """Bound the ways that a state allows by raising line prices; `v` and (L,) `gain` end at the best prices found.

    A subgradient taken from a running mean of the relaxed answers (the volume algorithm of Barahona and Anbil 2000), which swings
    less than the answers do.

    Parameters
    ----------
    ceiling
        (n,) what a unit may be worth at most.
    target
        The cost of a known way: where the bound reaches it, it goes no further.
    rounds
        Ascent steps.
    anew
        Whether the mean of the answers begins anew.
    use
        (L,) filled with the mean use of the lanes (empty: not wanted).
    """
    mean, slope, trial = scratch.mean, scratch.slope, scratch.trial
    drawn, trial_gain = scratch.drawn, scratch.gain
    n, qty, room = len(v), lanes.qty, most
    for i in range(len(state)):
        if state[i] == IN:
            room -= 1
    best, pace, stale = -INF, (1.0 if anew else scratch.pace[0]), 0
    trial[:] = v
    use[:] = 0.0
    for turn in range(rounds):
        value = relaxed(lanes, scratch, trial, most, state, 0.0)
        share = 1.0 if turn == 0 else SHARE
        least = least_of_best(trial_gain, state, room) if len(use) else 0.0
        for i in range(len(use)):
            chosen = state[i] == IN or (trial_gain[i] > 0 and trial_gain[i] >= least)
            use[i] += share * ((1.0 if chosen else 0.0) - use[i])
        for k in range(n):
            mean[k] = drawn[k] if anew and turn == 0 else mean[k] + SHARE * (drawn[k] - mean[k])
        if value > best + 1e-6 * abs(best):
            pace, stale = min(1.5, pace * (1.15 if turn else 1.0)), 0
        else:
            stale += 1
            if stale >= 3:
                pace, stale = pace * 0.6, 0
        if value > best:
            best = value
            v[:] = trial
        if best >= target:
            break
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
    if best < target:
        # once more with care: what parcels are worth that are not opened tells which never will be
        relaxed(lanes, scratch, v, most, state, min(0.0, best - target))
    gain[:] = trial_gain
    scratch.pace[0] = pace
    return best


@njit(cache=True, nogil=True)
def bound_by_prices(
    lanes: Lanes, v: Floats, ceiling: Floats, most: int, target: float, rounds: int
) -> tuple[float, Lanes, Floats]:
    """Bound what a way costs by raising line prices `v`; on the way lanes are left out that no way below the target can have.

    Returns
    -------
    bound, lanes, gain
        `target` where no way costs less; the lanes that are left, and (L,) what a parcel on each is worth at the prices.
    """
    for k in range(len(v)):
        v[k] = min(max(v[k], 0.0), ceiling[k])
    best, done, nobody, best_v = -INF, 0, np.empty(0), v.copy()
    scratch, state, gain = raising(lanes), np.zeros(len(lanes.at), dtype=np.int64), np.empty(len(lanes.at))
    mean, pace = scratch.mean.copy(), np.ones(1)
    while True:
        value = relaxed(lanes, scratch, v, most, state, min(0.0, max(-MATTERS * target, best - target)))
        if value > best:
            best, gain[:] = value, scratch.gain
            best_v[:] = v
        if best >= target or done >= rounds:
            break
        keep = gain >= best - target
        if not keep.any():
            best = target
            break
        near = scratch.gain > 0
        left = int(keep.sum())
        if left <= NEAR:
            near[:] = True
        else:
            near = scratch.gain >= min(0.0, np.partition(scratch.gain, len(keep) - NEAR)[len(keep) - NEAR])
        near &= keep
        some = keep_lanes(lanes, near)
        small, nowhere, some_gain = raising(some), np.zeros(len(some.at), dtype=np.int64), np.empty(len(some.at))
        small.mean[:], small.pace[:] = mean, pace
        raised(some, small, nowhere, most, v, ceiling, target, STAGE, done == 0, some_gain, nobody)
        mean[:], pace[:] = small.mean, small.pace
        done += STAGE
        if 4 * left < 3 * len(keep):
            lanes, gain, state = keep_lanes(lanes, keep), gain[keep], state[keep]
            scratch = raising(lanes)
    v[:] = best_v
    return min(best, target), lanes, gain


__all__ = ["FREE", "IN", "OUT", "Raising", "bound_by_prices", "least_of_best", "raised", "raising", "relaxed"]
