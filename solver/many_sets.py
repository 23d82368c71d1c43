"""Which lanes an order of many lines should use, where carriage is a price for opening and a rate a gram.

On every lane carriage is at least some line a + b * grams; which line is chosen by a weight at which it comes nearest. With it,
what a set of lanes saves is a submodular function of the set: a lane saves less the more others there are. So the lane that saves
most beside others is found by looking at few, and where few parcels are allowed the best set is proven by branch and bound.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from solver.lanes import Lanes
from solver.offers import INF
from solver.problem import Bools, Floats, Ints

LANES_MOST = 16
"""Lanes in a set."""


class Savings(NamedTuple):
    """What the lanes that can be worth their opening save: N of them with E offers.

    Attributes
    ----------
    lane
        (N,) index of the lane, by falling `alone`.
    opening, alone
        (N,) cents for opening it, and the most that it saves, opening paid: alone.
    start, line, units, each
        (N + 1,), (E,) the offers of a lane are contiguous: line, units, and what one unit saves against leaving it open.
    """

    lane: Ints
    opening: Floats
    alone: Floats
    start: Ints
    line: Ints
    units: Ints
    each: Floats


class Served(NamedTuple):
    """How a set of lanes serves n lines: what saves most first.

    Attributes
    ----------
    free
        (n,) units that are open.
    lanes
        (n,) how many lanes serve a line.
    units, each, by
        (n, LANES_MOST + 1) units, what one saves, and place in `Savings`, by rising `each`.
    """

    free: Ints
    lanes: Ints
    units: Ints
    each: Floats
    by: Ints


@njit(cache=True, nogil=True)
def hull_of(steps: Ints, upper: Ints, tariffs: Ints, over: Ints, s: int, z: int, x: Floats, y: Floats) -> int:
    """Fill `x` grams and `y` cents with the corners of the lower convex hull of a tariff; returns how many there are."""
    x[0], y[0] = 0.0, float(tariffs[s, z, 0])
    top = 0
    for t in range(steps[s]):
        px, py = float(upper[s, t]), float(tariffs[s, z, t])
        while top > 0 and (y[top] - y[top - 1]) * (px - x[top]) >= (py - y[top]) * (x[top] - x[top - 1]):
            top -= 1
        top += 1
        x[top], y[top] = px, py
    # beyond the last step carriage rises by whole kg: a line of that rate through a corner is below it
    rate = over[s, z] / 1000.0
    while top > 0 and (y[top] - y[top - 1]) >= rate * (x[top] - x[top - 1]):
        top -= 1
    return top + 1


@njit(cache=True, nogil=True)
def tangent(x: Floats, y: Floats, corners: int, beyond: float, grams: float) -> tuple[float, float]:
    """The line below a tariff that is highest at a weight: cents at no weight, and cents a gram."""
    for t in range(corners - 1):
        if grams <= x[t + 1]:
            rate = (y[t + 1] - y[t]) / (x[t + 1] - x[t])
            return y[t] - rate * x[t], rate
    return y[corners - 1] - beyond * x[corners - 1], beyond


@njit(cache=True, nogil=True)
def tangents(lanes: Lanes, opening: Floats, about: float, grams: Ints, by_node: bool) -> tuple[Floats, Floats]:
    """(L,) cents for opening and (L,) cents a gram that each lane costs at least, near a weight: parameters as `savings_of`.

    By node it is the same line for all lanes of a node, not above the cost of any.
    """
    steps, upper, tariffs, over = lanes.steps, lanes.upper, lanes.tariff, lanes.over
    corners = np.zeros(tariffs.shape[:2], dtype=np.int64)
    shape = (tariffs.shape[0], tariffs.shape[1], tariffs.shape[2] + 1)
    x, y = np.empty(shape), np.empty(shape)
    base, slope = opening.copy(), np.zeros(len(opening))
    for i in range(len(opening)):
        s, z = lanes.service[i], lanes.zone[i]
        if s < 0:
            continue
        if corners[s, z] == 0:
            corners[s, z] = hull_of(steps, upper, tariffs, over, s, z, x[s, z], y[s, z])
        weight = float(grams[i]) if grams[i] > 0 else min(about, float(lanes.heaviest[i]))
        cents, slope[i] = tangent(x[s, z], y[s, z], corners[s, z], over[s, z] / 1000.0, weight)
        base[i] += cents
    if by_node:
        first, count = 0, len(opening)
        while first < count:
            end, best = first, first
            while end < count and lanes.at[end] == lanes.at[first]:
                weight = min(about, float(lanes.heaviest[end]))
                if base[end] + slope[end] * weight < base[best] + slope[best] * weight:
                    best = end
                end += 1
            cents, rate = base[best], slope[best]
            if cents < 0 and end > first + 1:
                # two parcels must not cost less than one
                rate = 0.0
                cents = INF
            for i in range(first, end):
                s, z = lanes.service[i], lanes.zone[i]
                if s < 0:
                    cents, rate = min(cents, opening[i]), 0.0
                    continue
                for t in range(corners[s, z]):
                    cents = min(cents, opening[i] + y[s, z, t] - rate * x[s, z, t])
                rate = min(rate, over[s, z] / 1000.0)
            base[first:end], slope[first:end] = cents, rate
            first = end
    return base, slope


@njit(cache=True, nogil=True)
def savings_of(lanes: Lanes, opening: Floats, penalty: Floats, about: float, grams: Ints, by_node: bool) -> Savings:
    """Price lanes by tangents.

    Parameters
    ----------
    penalty
        (n,) cents for a unit left open.
    about, grams
        The weight at which lanes are priced that can carry so much, and (L,) that of single lanes (0: not known).
    by_node
        Whether the lanes of a node are made one, with the least opening and the least rate of any: what a set of such saves is at
        least what any parcels from these nodes do, and they do not share out the same units twice.
    """
    count = len(lanes.at)
    start, line, units, cents, load, services = (
        lanes.start, lanes.line, lanes.units, lanes.cents, lanes.load, lanes.services
    )  # fmt: skip
    at_of, service = lanes.at, lanes.service
    base, slope = tangents(lanes, opening, about, grams, by_node)
    total = 0
    for i in range(count):
        total += start[at_of[i] + 1] - start[at_of[i]]
    lane, open_cents, alone = np.empty(count, dtype=np.int64), np.empty(count), np.empty(count)
    begin, lines = np.zeros(count + 1, dtype=np.int64), np.empty(total, dtype=np.int64)
    most, each = np.empty(total, dtype=np.int64), np.empty(total)
    made, entries, end = 0, 0, 0
    for i in range(count):
        if by_node and i < end:
            continue
        at, end, chosen, least = at_of[i], i + 1, i, base[i]
        while by_node and end < count and at_of[end] == at:
            least = min(least, base[end])
            if base[end] + slope[end] * about < base[chosen] + slope[chosen] * about:
                chosen = end
            end += 1
        pick, first, worth = lanes.pick_cents[at], entries, -least
        for e in range(start[at], start[at + 1]):
            rate = INF
            for j in range(i, end):
                if service[j] < 0 or services[line[e]] >> service[j] & 1:
                    rate = min(rate, slope[j])
            saved = penalty[line[e]] - cents[e] - (pick + rate * load[e]) / units[e]
            if rate < INF and saved > 0:
                lines[entries], most[entries], each[entries] = line[e], units[e], saved
                worth += saved * units[e]
                entries += 1
        if worth <= 0:
            entries = first
            continue
        lane[made], open_cents[made], alone[made] = chosen, least, worth
        made += 1
        begin[made] = entries
    return by_worth(lane[:made], open_cents, alone[:made], begin, lines, most, each)


@njit(cache=True, nogil=True)
def by_worth(lane: Ints, opening: Floats, alone: Floats, start: Ints, line: Ints, units: Ints, each: Floats) -> Savings:
    """Sort lanes by falling worth."""
    made = len(lane)
    sequence = np.argsort(-alone, kind="mergesort")
    begin = np.zeros(made + 1, dtype=np.int64)
    for i in range(made):
        begin[i + 1] = begin[i] + start[sequence[i] + 1] - start[sequence[i]]
    offer = np.empty(begin[made], dtype=np.int64)
    for i in range(made):
        for e in range(begin[i], begin[i + 1]):
            offer[e] = start[sequence[i]] + e - begin[i]
    return Savings(lane[sequence], opening[sequence], alone[sequence], begin, line[offer], units[offer], each[offer])


@njit(cache=True, nogil=True)
def served_by_none(qty: Ints) -> Served:
    """Start with all units open."""
    n = len(qty)
    return Served(
        qty.copy(), np.zeros(n, dtype=np.int64), np.zeros((n, LANES_MOST + 1), dtype=np.int64),
        np.zeros((n, LANES_MOST + 1)), np.zeros((n, LANES_MOST + 1), dtype=np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def clear(served: Served, qty: Ints) -> None:
    """Open all units again."""
    served.free[:] = qty
    served.lanes[:] = 0


@njit(cache=True, nogil=True)
def copy_served(into: Served, served: Served) -> None:
    """Copy how lines are served."""
    into.free[:] = served.free
    into.lanes[:] = served.lanes
    for k in range(len(served.lanes)):
        for p in range(served.lanes[k]):
            into.units[k, p], into.each[k, p], into.by[k, p] = served.units[k, p], served.each[k, p], served.by[k, p]


@njit(cache=True, nogil=True)
def saved_beside(
    start: Ints,
    line: Ints,
    units: Ints,
    each: Floats,
    free: Ints,
    count: Ints,
    given: Ints,
    saves: Floats,
    i: int,
) -> float:
    """What one more lane saves beside those that serve now, its opening not counted."""
    gained = 0.0
    for e in range(start[i], start[i + 1]):
        k, have, saved = line[e], units[e], each[e]
        part = min(have, free[k])
        gained += part * saved
        have -= part
        p = 0
        while have > 0 and p < count[k] and saves[k, p] < saved:
            part = min(have, given[k, p])
            gained += part * (saved - saves[k, p])
            have -= part
            p += 1
    return gained


@njit(cache=True, nogil=True)
def add_lane(savings: Savings, served: Served, i: int) -> None:
    """Let one more lane serve: first what is open, then what saves least elsewhere."""
    free, count, given, saves, by = served
    start, line, units, each = savings.start, savings.line, savings.units, savings.each
    for e in range(start[i], start[i + 1]):
        k, have, saved = line[e], units[e], each[e]
        part = min(have, free[k])
        free[k] -= part
        rest = have - part
        p = 0
        while rest > 0 and p < count[k] and saves[k, p] < saved:
            taken = min(rest, given[k, p])
            given[k, p] -= taken
            rest -= taken
            p += 1
        if rest == have:
            continue
        # those that have nothing left go, and the new one comes in its place
        made = 0
        for p in range(count[k]):
            if given[k, p] > 0:
                given[k, made], saves[k, made], by[k, made] = given[k, p], saves[k, p], by[k, p]
                made += 1
        p = made
        while p > 0 and saves[k, p - 1] > saved:
            given[k, p], saves[k, p], by[k, p] = given[k, p - 1], saves[k, p - 1], by[k, p - 1]
            p -= 1
        given[k, p], saves[k, p], by[k, p] = have - rest, saved, i
        count[k] = made + 1


@njit(cache=True, nogil=True)
def total_saved(savings: Savings, served: Served, used: Ints) -> float:
    """What a set of lanes saves, openings paid."""
    total = 0.0
    for i in used:
        total -= savings.opening[i]
    for k in range(len(served.lanes)):
        for p in range(served.lanes[k]):
            total += served.units[k, p] * served.each[k, p]
    return total


@njit(cache=True, nogil=True)
def best_beside(savings: Savings, served: Served, used: Ints, barred: Bools, above: float) -> tuple[float, int]:
    """The lane that saves most beside those in use, if more than `above`: what it saves, opening paid, and which (-1: none)."""
    start, line, units, each, opening, alone = (
        savings.start, savings.line, savings.units, savings.each, savings.opening, savings.alone
    )  # fmt: skip
    free, count, given, saves, _ = served
    best, which = above, -1
    for i in range(len(opening)):
        # no lane saves more beside others than alone
        if alone[i] <= best:
            break
        if barred[i]:
            continue
        gained = saved_beside(start, line, units, each, free, count, given, saves, i) - opening[i]
        if gained > best:
            inside = False
            for u in used:
                inside = inside or u == i
            if not inside:
                best, which = gained, i
    return best, which


@njit(cache=True, nogil=True)
def interchange(savings: Savings, qty: Ints, most: int, barred: Bools, first: Ints, served: Served) -> Ints:
    """Improve a set of lanes: add the one that saves most, leave one out, put another in its place, until nothing helps.

    Parameters
    ----------
    first
        (p,) places in `savings` to begin with.
    served
        Scratch; ends as the set serves.
    """
    most = min(most, LANES_MOST)
    used = first.copy()
    clear(served, qty)
    for i in used:
        add_lane(savings, served, i)
    value = total_saved(savings, served, used)
    while True:
        # best of: one more; one less, or another in its place
        better, without, beside = value + 0.5, -2, -1
        if len(used) < most:
            gained, which = best_beside(savings, served, used, barred, 0.5)
            if which >= 0:
                better, without, beside = value + gained, -1, which
        if without == -2:
            for u in range(len(used)):
                rest = np.concatenate((used[:u], used[u + 1 :]))
                clear(served, qty)
                for i in rest:
                    add_lane(savings, served, i)
                base = total_saved(savings, served, rest)
                gained, which = best_beside(savings, served, rest, barred, max(0.0, better - base))
                if which >= 0:
                    better, without, beside = base + gained, u, which
                elif base > better:
                    better, without, beside = base, u, -1
        if without == -2:
            break
        if without >= 0:
            used = np.concatenate((used[:without], used[without + 1 :]))
        if beside >= 0:
            used = np.append(used, beside)
        clear(served, qty)
        for i in used:
            add_lane(savings, served, i)
        value = total_saved(savings, served, used)
    clear(served, qty)
    for i in used:
        add_lane(savings, served, i)
    return used


@njit(cache=True, nogil=True)
def best_set(
    savings: Savings, qty: Ints, most: int, least: float, slack: float, work: int, gain: Floats, enough: float
) -> tuple[float, Ints]:
    """The set of at most so many lanes that saves most, by branch and bound.

    Branches are taken in the order of what lanes save beside those already chosen; no set below a branch saves more than its
    lanes and the next best ones, each beside the chosen lanes alone.

    Parameters
    ----------
    least, slack
        Sets that save less than `least` do not matter, nor a difference of `slack`.
    work
        Offers that may be looked at.
    gain, enough
        (N,) numbers that prove otherwise which sets do not matter: those whose numbers add up to less than `enough`.

    Returns
    -------
    bound, used
        No set that matters saves more than the bound; (p,) places of the best set found (empty where none saves more than `least`).
    """
    start, line, units, each, opening = savings.start, savings.line, savings.units, savings.each, savings.opening
    count, n = len(opening), len(qty)
    best, above = least, least
    found, chosen = np.empty(0, dtype=np.int64), np.zeros(most, dtype=np.int64)
    cand, worth = np.zeros((most, count), dtype=np.int64), np.zeros((most, count))
    size, at, value = np.zeros(most, dtype=np.int64), np.zeros(most, dtype=np.int64), np.zeros(most)
    free, lanes = np.zeros((most, n), dtype=np.int64), np.zeros((most, n), dtype=np.int64)
    given, saves = np.zeros((most, n, most + 1), dtype=np.int64), np.zeros((most, n, most + 1))
    by = np.zeros((most, n, most + 1), dtype=np.int64)
    free[0] = qty
    cand[0], worth[0], size[0] = np.arange(count), savings.alone, count
    have, most_gain = np.zeros(most + 1), max(0.0, gain.max()) if count else 0.0
    depth = 0
    while depth >= 0:
        t = at[depth]
        promised = value[depth]
        for p in range(t, min(size[depth], t + most - depth)):
            promised += worth[depth, p]
        if t >= size[depth] or promised <= best + slack:
            above = max(above, min(promised, best + slack))
            depth -= 1
            continue
        if work <= 0:
            above = max(above, promised)
            depth -= 1
            continue
        i = cand[depth, t]
        chosen[depth] = i
        at[depth] += 1
        have[depth + 1] = have[depth] + gain[i]
        if have[depth + 1] + (most - depth - 1) * most_gain < enough:
            continue
        reached = value[depth] + worth[depth, t]
        if reached > best:
            best, found = reached, chosen[: depth + 1].copy()
        if depth + 1 == most or t + 1 == size[depth]:
            continue
        deeper = Served(free[depth + 1], lanes[depth + 1], given[depth + 1], saves[depth + 1], by[depth + 1])
        copy_served(deeper, Served(free[depth], lanes[depth], given[depth], saves[depth], by[depth]))
        add_lane(savings, deeper, i)
        last = depth + 2 == most
        made, top = 0, 0.0
        for p in range(t + 1, size[depth]):
            # only the best matters for the last lane of a set
            if last and reached + max(top, worth[depth, p]) <= best:
                break
            if last and worth[depth, p] <= top:
                break
            j = cand[depth, p]
            if have[depth + 1] + gain[j] + (most - depth - 2) * most_gain < enough:
                continue
            work -= start[j + 1] - start[j]
            gained = saved_beside(
                start, line, units, each, free[depth + 1], lanes[depth + 1], given[depth + 1], saves[depth + 1], j
            ) - opening[j]  # fmt: skip
            if gained <= top and last:
                continue
            if gained > 0:
                if last:
                    made = 0
                cand[depth + 1, made], worth[depth + 1, made] = j, gained
                made += 1
                top = gained
        if made == 0:
            continue
        if not last:
            by_gain = np.argsort(-worth[depth + 1, :made], kind="mergesort")
            cand[depth + 1, :made] = cand[depth + 1, :made][by_gain]
            worth[depth + 1, :made] = worth[depth + 1, :made][by_gain]
        depth += 1
        value[depth], size[depth], at[depth] = reached, made, 0
    return max(above, best), found


__all__ = [
    "LANES_MOST",
    "Savings",
    "Served",
    "add_lane",
    "best_beside",
    "best_set",
    "clear",
    "interchange",
    "savings_of",
    "served_by_none",
]
