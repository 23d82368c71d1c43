"""A bound on the cost of one order of many lines: prices on its lines, and branch and bound over its lanes and their weights."""

import numpy as np
from numba import njit

from solver.lanes import ANY, Lanes, break_rate, knapsack, openings, take_lines, tariff, value_lines, whole_knapsack
from solver.offers import INF
from solver.problem import Bools, Floats, Ints

FREE, USED, CLOSED = 0, 1, 2
"""What a branch says of a lane: nothing, that it has a parcel, that it has none."""
SHARE = 0.25
"""Weight of the newest answer in the running mean of the answers."""


@njit(cache=True, nogil=True)
def relaxed(
    lanes: Lanes,
    opening: Floats,
    v: Floats,
    fewest: int,
    most: int,
    state: Ints,
    low: Ints,
    high: Ints,
    rank: Ints,
    worth: Floats,
    density: Floats,
    gain: Floats,
    weight: Floats,
    chosen: Bools,
    take: Floats,
    work: int,
) -> float:
    """Evaluate the bound at line prices `v` in a branch.

    Parameters
    ----------
    opening
        (L,) what opening a parcel costs.
    state, low, high
        (L,) the branch: state of each lane, and the weights (above low, up to high) that its parcel may have.
    rank, worth, density
        (K, n) scratch; `rank` is kept from call to call, and all are wanted by `take_lines`.
    gain, weight, chosen
        (L,) filled with the most that a parcel is worth, opening paid (or more than that, where it is not above 0), its weight,
        and whether the relaxed answer has it.
    take
        (L, n) filled with the units of those parcels.
    work
        Steps of the search for whole units in each parcel; 0 for fractions of lines.
    """
    count, n = len(lanes.at), len(v)
    qty, grams, services, avail, unit = lanes.qty, lanes.grams, lanes.services, lanes.avail, lanes.unit
    at_of, service, zone, heaviest, slope = lanes.at, lanes.service, lanes.zone, lanes.heaviest, lanes.slope
    steps, upper, cents, over, pick = lanes.steps, lanes.upper, lanes.cents, lanes.over, lanes.pick_cents
    value, used, total = 0.0, 0, 0.0
    for k in range(n):
        value += qty[k] * v[k]
    valued = -1
    for i in range(count):
        at, s = at_of[i], service[i]
        chosen[i], gain[i], weight[i] = False, -INF, 0.0
        if state[i] == CLOSED:
            continue
        if at != valued:
            total = value_lines(avail, unit, grams, pick[at], v, at, worth, density, rank)
            valued = at
        if state[i] == FREE:
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
        if low[i] >= heaviest[i] and low[i] > 0:
            return INF
        got, weight[i] = knapsack(
            avail, grams, services, at, s, zone[i], steps, upper, cents, over, worth, density, rank, low[i], high[i]
        )
        if work and s >= 0 and (got > opening[i] or state[i] == USED):
            rate = break_rate(avail, grams, services, at, s, density, rank, weight[i])
            whole, there = whole_knapsack(
                avail, unit, grams, services, pick[at], v, at, s, zone[i], steps, upper, cents, over, rate, low[i], high[i],
                work, take, i,
            )  # fmt: skip
            if whole < INF:
                got, weight[i] = whole, there
            else:
                take_lines(avail, grams, services, at, s, worth, rank, weight[i], take, i)
        else:
            take_lines(avail, grams, services, at, s, worth, rank, weight[i], take, i)
        gain[i] = got - opening[i]
        if state[i] == USED:
            chosen[i] = True
            value -= gain[i]
            used += 1
    if used > most:
        return INF
    if most - used >= count and fewest <= 0:
        for i in range(count):
            if not chosen[i] and gain[i] > 0:
                chosen[i] = True
                value -= gain[i]
        return value
    while used < most:
        best = -1
        for i in range(count):
            if not chosen[i] and state[i] != CLOSED and (best < 0 or gain[i] > gain[best]):
                best = i
        if best < 0:
            if used < fewest:
                return INF
            break
        if gain[best] <= 0 and used >= fewest:
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
    fewest: int,
    most: int,
    target: float,
    rounds: int,
    state: Ints,
    low: Ints,
    high: Ints,
    rank: Ints,
    gain: Floats,
    mean_take: Floats,
    mean_open: Floats,
    mean_cents: Floats,
    work: int,
) -> float:
    """Raise line prices towards the best bound of a branch; `v` ends at the best found.

    A subgradient taken from a running mean of the relaxed answers (the volume algorithm of Barahona and Anbil 2000): that mean
    comes near a fractional answer, which tells where to branch.

    Parameters
    ----------
    ceiling
        (n,) what a unit may be worth at most.
    target
        There is nothing to gain above this.
    gain
        (L,) filled with the gains at the best prices.
    mean_take, mean_open, mean_cents
        (L, n), (L,), (L,) filled with the mean answer: units, how often the lane is used, opening and carriage.
    """
    count, n = len(lanes.at), len(v)
    qty, service = lanes.qty, lanes.service
    worth, density = np.empty(rank.shape), np.empty(rank.shape)
    opening, weight, chosen = openings(lanes), np.zeros(count), np.zeros(count, dtype=np.bool_)
    take, trial, trial_gain, slope = np.empty((count, n)), np.empty(n), np.empty(count), np.empty(n)
    for k in range(n):
        v[k] = min(max(v[k], 0.0), ceiling[k])
    best = -INF
    pace, stale = 1.0, 0
    trial[:] = v
    for turn in range(rounds):
        value = relaxed(
            lanes,
            opening,
            trial,
            fewest,
            most,
            state,
            low,
            high,
            rank,
            worth,
            density,
            trial_gain,
            weight,
            chosen,
            take,
            work,
        )
        if value >= INF:
            return INF
        share = 1.0 if turn == 0 else SHARE
        slope[:] = qty
        for i in range(count):
            if not chosen[i]:
                if mean_open[i] > 0:
                    mean_open[i] = (1 - share) * mean_open[i] if mean_open[i] > 1e-3 else 0.0
                    mean_cents[i] *= 1 - share
                    for k in range(n):
                        mean_take[i, k] *= 1 - share
                        slope[k] -= mean_take[i, k]
                continue
            loaded = int(np.ceil(weight[i] - 1e-6))
            paid = opening[i] + tariff(
                lanes.steps, lanes.upper, lanes.cents, lanes.over, service[i], lanes.zone[i], loaded
            )
            mean_open[i] += share * (1.0 - mean_open[i])
            mean_cents[i] += share * (paid - mean_cents[i])
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
def branch(
    lanes: Lanes,
    v: Floats,
    ceiling: Floats,
    most_parcels: int,
    target: float,
    rounds: int,
    limit: int,
    rank: Ints,
    mean_take: Floats,
    mean_open: Floats,
    work: int,
) -> tuple[float, int]:
    """Branch on lanes and the weights of their parcels, lowest bound first, with at most so many branches.

    `v` ends at the best prices of the root, `mean_take` and `mean_open` with its mean answer. Returns a bound that holds for all
    ways that cost less than `target`, and the branches that were looked at.
    """
    count, n = len(lanes.at), len(v)
    most = 2 * limit + 1
    state, low, high = np.zeros((most, count), np.int64), np.zeros((most, count), np.int64), np.full((most, count), ANY)
    prices, bounds, alive = np.empty((most, n)), np.full(most, INF), np.zeros(most, dtype=np.bool_)
    pick, cut = np.full(most, -1, dtype=np.int64), np.zeros(most, dtype=np.int64)
    gain, take, opened, cents = np.empty(count), mean_take, mean_open, np.zeros(count)
    bounds[0] = raise_prices(
        lanes, v, ceiling, 0, most_parcels, target, rounds, state[0], low[0], high[0], rank, gain, take, opened, cents,
        work,
    )  # fmt: skip
    if bounds[0] >= target or limit == 0:
        return bounds[0], 1
    prices[0] = v
    fix_lanes(bounds[0], target, gain, state[0])
    pick[0], cut[0] = where_to_branch(lanes, state[0], low[0], high[0], take, opened, cents)
    alive[0] = True
    made = 1
    take, opened = np.empty_like(mean_take), np.empty_like(mean_open)
    while made + 2 <= most:
        parent, bound = -1, INF
        for b in range(made):
            if alive[b] and bounds[b] < bound:
                parent, bound = b, bounds[b]
        if parent < 0 or bound >= target or pick[parent] < 0:
            break
        alive[parent] = False
        lane = pick[parent]
        for side in range(2):
            b = made
            state[b], low[b], high[b] = state[parent], low[parent], high[parent]
            prices[b] = prices[parent]
            if cut[parent] == 0:
                state[b, lane] = CLOSED if side == 0 else USED
            elif side == 0:
                high[b, lane] = cut[parent]
            else:
                low[b, lane] = cut[parent]
            take[:], opened[:], cents[:] = 0.0, 0.0, 0.0
            value = raise_prices(
                lanes, prices[b], ceiling, 0, most_parcels, target, max(4, rounds // 3), state[b], low[b], high[b], rank, gain,
                take, opened, cents, work,
            )  # fmt: skip
            bounds[b] = max(value, bound)
            if bounds[b] < target:
                alive[b] = True
                fix_lanes(value, target, gain, state[b])
                pick[b], cut[b] = where_to_branch(lanes, state[b], low[b], high[b], take, opened, cents)
            made += 1
    lowest = target
    for b in range(made):
        if alive[b]:
            lowest = min(lowest, bounds[b])
    return lowest, made


@njit(cache=True, nogil=True)
def fix_lanes(bound: float, target: float, gain: Floats, state: Ints) -> None:
    """Close the lanes with which a branch costs too much."""
    for i in range(len(gain)):
        if state[i] == FREE and gain[i] < 0 and bound - gain[i] >= target:
            state[i] = CLOSED


@njit(cache=True, nogil=True)
def where_to_branch(
    lanes: Lanes,
    state: Ints,
    low: Ints,
    high: Ints,
    take: Floats,
    opened: Floats,
    cents: Floats,
) -> tuple[int, int]:
    """Choose the lane whose mean answer is cheapest compared with what its mean weight really costs.

    Returns
    -------
    lane, cut
        -1 where there is nothing to branch on; the weight to branch at, 0 where the lane is to be closed or used.
    """
    lane, most, grams_there = -1, 0.5, 0.0
    opening = openings(lanes)
    for i in range(len(opened)):
        if state[i] == CLOSED or opened[i] < 1e-3:
            continue
        grams = 0.0
        for k in range(len(lanes.qty)):
            grams += take[i, k] * lanes.grams[k]
        whole = int(np.ceil(grams - 1e-6))
        real = tariff(lanes.steps, lanes.upper, lanes.cents, lanes.over, lanes.service[i], lanes.zone[i], whole)
        short = opening[i] + real - cents[i]
        if short > most:
            lane, most, grams_there = i, short, grams
    if lane < 0:
        # the mean is cheap because it serves some lines twice and others not: settle what it uses most
        for i in range(len(opened)):
            if state[i] == FREE and opened[i] > 1e-3 and (lane < 0 or opened[i] > opened[lane]):
                lane = i
    if lane >= 0 and state[lane] == FREE:
        return lane, 0
    cut = cut_at(lanes, lane, grams_there, low[lane], high[lane]) if lane >= 0 else 0
    for i in range(len(opened)):
        if cut > 0:
            break
        if state[i] == USED:
            grams = 0.0
            for k in range(len(lanes.qty)):
                grams += take[i, k] * lanes.grams[k]
            lane, cut = i, cut_at(lanes, i, grams, low[i], high[i])
    return (lane if cut > 0 else -1), cut


@njit(cache=True, nogil=True)
def cut_at(lanes: Lanes, lane: int, grams: float, low: int, high: int) -> int:
    """Choose a weight to branch at: the end of the tariff step below that one, within the limits (0: there is none)."""
    s = lanes.service[lane]
    if s < 0:
        return 0
    steps, upper = lanes.steps[s], lanes.upper[s]
    top = min(high, lanes.heaviest[lane])
    below, above = 0, 0
    for t in range(steps):
        if upper[t] <= low or upper[t] >= top:
            continue
        if upper[t] <= grams:
            below = upper[t]
        elif above == 0:
            above = upper[t]
    last = upper[steps - 1]
    if grams > last:
        kg = last + int((grams - last) // 1000) * 1000
        if low < kg < top:
            below = kg
        if low < kg + 1000 < top:
            above = kg + 1000
    if below == 0 and above == 0:
        return 0
    return below if above == 0 or (below > 0 and grams - below <= above - grams) else above


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
    free, low, high = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64), np.full(count, ANY)
    gain, promise, take = np.empty(count), np.zeros(count), np.zeros((count, n))
    margin, served = ceiling.copy(), np.zeros(n)
    v[:] = ceiling
    for _ in range(min(most_parcels, 12)):
        relaxed(lanes, opening, margin, 0, 0, free, low, high, rank, worth, density, gain, weight, chosen, take, 0)
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


__all__ = ["CLOSED", "FREE", "USED", "branch", "first_rank", "raise_prices", "relaxed", "start_prices"]
