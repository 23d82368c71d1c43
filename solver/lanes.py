"""What one destination offers an order of many lines: its lanes (node, service), and the most that a parcel on one can be worth.

A parcel on a lane is a knapsack: lines are worth something at prices `v` on their units, and carriage rises with weight step by
step. It is solved for every step with fractions of lines, which can only overrate what the parcel is worth.

Inner functions take the arrays that they read one by one: reading them through a structure counts references.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.experimental import structref
from numpy.typing import NDArray

from solver.offers import INF
from solver.parcel import late_cents, tariff_cents
from solver.problem import HARD, NO_SERVICE, Columns, Floats, Ints


@structref.register
class _LanesType(types.StructRef):
    """How the kernels know lanes: one reference, where a tuple would be a hundred and fifty arguments to every call."""


class Lanes(structref.StructRefProxy):
    """The lanes to one destination: L lanes from K nodes for n lines.

    Attributes
    ----------
    qty, grams, services
        (n,) units asked for, weight of one, and the services that may carry it as bits.
    nodes, spare, overtime, pick_cents
        (K,) the nodes, parcels within their capacity, the price of one above it (`INF`: none), and the price of picking a line.
    avail, unit, option
        (K, n) units that a node can give, what one costs there (prices included), and the option (-1: none).
    at, service, zone, fixed
        (L,) index of the node; service (`NO_SERVICE`: collected where picked); zone; opening and lateness without overtime.
    heaviest, slope
        (L,) the weight of all that the lane can carry, and cents a gram that carriage rises at least from its first step.
    steps, upper, cents, over
        The tariffs: `service_steps`, `service_steps_g`, `service_cents`, `service_over_cents` of the problem.
    """

    qty: Ints
    grams: Ints
    services: Ints
    nodes: Ints
    spare: Ints
    overtime: Floats
    pick_cents: Floats
    avail: Ints
    unit: Floats
    option: Ints
    at: Ints
    service: Ints
    zone: Ints
    fixed: Floats
    heaviest: Ints
    slope: Floats
    steps: Ints
    upper: Ints
    cents: Ints
    over: Ints

    def __new__(cls, *columns: NDArray[Any]) -> "Lanes":
        """Gather the columns."""
        made: Lanes = structref.StructRefProxy.__new__(cls, *columns)  # type: ignore[no-untyped-call]
        return made


structref.define_proxy(Lanes, _LanesType, list(Lanes.__annotations__))  # type: ignore[no-untyped-call]


@njit(cache=True, nogil=True)
def offered(c: Columns, order: int, left: Ints, node_left: Ints, row_price: Floats) -> tuple[Ints, Ints, Floats, Ints]:
    """Gather the nodes that can give an order something now: (K,) nodes, (K, n) units, cents a unit, and option (-1: none)."""
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    start, option_node, reason, cents_of = c.line_option_start, c.option_node, c.option_reason, c.option_cents
    option_row, option_use, overtime, qty = c.option_row, c.option_use, c.node_overtime_cents, c.line_qty
    width = option_row.shape[1]
    total = start[last] - start[first]
    slot = np.full(len(overtime), -1, dtype=np.int64)
    nodes = np.empty(min(total, len(overtime)), dtype=np.int64)
    most = np.zeros(total, dtype=np.int64)
    m = 0
    for line in range(first, last):
        for q in range(start[line], start[line + 1]):
            j = option_node[q]
            if reason[q] != 0 or (node_left[j] <= 0 and overtime[j] == HARD):
                continue
            units = qty[line]
            for w in range(width):
                row, use = option_row[q, w], option_use[q, w]
                if row >= 0 and use > 0:
                    units = min(units, left[row] // use)
            if units > 0:
                most[q - start[first]] = units
                if slot[j] < 0:
                    slot[j] = m
                    nodes[m] = j
                    m += 1
    avail = np.zeros((m, n), dtype=np.int64)
    unit = np.zeros((m, n))
    option = np.full((m, n), -1, dtype=np.int64)
    for line in range(first, last):
        for q in range(start[line], start[line + 1]):
            units = most[q - start[first]]
            if units > 0:
                at, k = slot[option_node[q]], line - first
                cents = float(cents_of[q])
                for w in range(width):
                    if option_row[q, w] >= 0:
                        cents += option_use[q, w] * row_price[option_row[q, w]]
                avail[at, k], unit[at, k], option[at, k] = units, cents, q
    return nodes[:m], avail, unit, option


@njit(cache=True, nogil=True)
def lanes_of(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    avail: Ints,
    unit: Floats,
    option: Ints,
    node_left: Ints,
    node_price: Floats,
    parcel_extra: float,
) -> Lanes:
    """List the lanes to a destination that can carry anything of the order, node by node."""
    first = c.order_line_start[order]
    m, n = avail.shape
    qty, grams, services = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for k in range(n):
        qty[k] = c.line_qty[first + k]
        grams[k] = c.sku_weight_g[c.line_sku[first + k]]
        services[k] = c.sku_services[c.line_sku[first + k]]
    spare, overtime, pick_cents = np.empty(m, dtype=np.int64), np.empty(m), np.empty(m)
    count, zones, own = c.lane_zone.shape[2], c.lane_zone[dest], c.dest_node[dest]
    steps, upper, cents, over = c.service_steps, c.service_steps_g, c.service_cents, c.service_over_cents
    overtime_of, picks, parcels = c.node_overtime_cents, c.node_line_cents, c.node_parcel_cents
    ready, transit = c.node_ready_days, c.service_transit_days
    most = m * max(1, count)
    at_of, service = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    zone = np.full(most, -1, dtype=np.int64)
    heaviest, fixed, slope = np.zeros(most, dtype=np.int64), np.empty(most), np.zeros(most)
    made = 0
    for at in range(m):
        j = nodes[at]
        spare[at] = node_left[j]
        overtime[at] = INF if overtime_of[j] == HARD else float(overtime_of[j])
        pick_cents[at] = picks[j]
        opening = parcels[j] + node_price[j] + parcel_extra
        for s in range(1 if own == j else count):
            if own != j and zones[j, s] < 0:
                continue
            load, carries = 0, False
            for k in range(n):
                if avail[at, k] > 0 and (own == j or services[k] >> s & 1):
                    load += avail[at, k] * grams[k]
                    carries = True
            if not carries:
                continue
            at_of[made], heaviest[made] = at, load
            if own == j:
                service[made] = NO_SERVICE
                fixed[made] = opening + late_cents(c, order, ready[j])
            else:
                service[made], zone[made] = s, zones[j, s]
                fixed[made] = opening + late_cents(c, order, ready[j] + transit[s, zones[j, s]])
                slope[made] = least_slope(steps, upper, cents, over, s, zones[j, s], load)
            made += 1
    return Lanes(
        qty, grams, services, nodes, spare, overtime, pick_cents, avail, unit, option, at_of[:made], service[:made],
        zone[:made], fixed[:made], heaviest[:made], slope[:made], steps, upper, cents, over,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def least_slope(steps: Ints, upper: Ints, cents: Ints, over: Ints, service: int, zone: int, load: int) -> float:
    """Cents a gram by which carriage rises at least from its first step, up to a load."""
    least = INF
    for t in range(steps[service]):
        heavy = min(upper[service, t], max(1, load))
        if heavy > 0:
            least = min(least, (cents[service, zone, t] - cents[service, zone, 0]) / heavy)
        if upper[service, t] >= load:
            return least
    return float(min(least, over[service, zone] / 1000.0))


@njit(cache=True, nogil=True)
def keep_lanes(lanes: Lanes, keep: np.ndarray) -> Lanes:
    """The same with some lanes only, and the nodes that those need."""
    m = len(lanes.nodes)
    slot = np.full(m, -1, dtype=np.int64)
    for i in range(len(lanes.at)):
        if keep[i]:
            slot[lanes.at[i]] = 0
    node = np.flatnonzero(slot >= 0)
    for i in range(len(node)):
        slot[node[i]] = i
    lane = np.flatnonzero(keep)
    at = slot[lanes.at[lane]]
    return Lanes(
        lanes.qty, lanes.grams, lanes.services, lanes.nodes[node], lanes.spare[node], lanes.overtime[node],
        lanes.pick_cents[node], lanes.avail[node], lanes.unit[node], lanes.option[node], at, lanes.service[lane],
        lanes.zone[lane], lanes.fixed[lane], lanes.heaviest[lane], lanes.slope[lane], lanes.steps, lanes.upper, lanes.cents,
        lanes.over,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def tariff(steps: Ints, upper: Ints, cents: Ints, over: Ints, service: int, zone: int, grams: int) -> float:
    """Price the carriage of a weight (`NO_SERVICE`: none): its step, and beyond the last each started kg."""
    if service < 0:
        return 0.0
    return float(tariff_cents(steps, upper, cents, over, service, zone, grams))


@njit(cache=True, nogil=True)
def openings(lanes: Lanes) -> Floats:
    """(L,) what the first parcel of a lane costs at least, before carriage."""
    cents = lanes.fixed.copy()
    for i in range(len(cents)):
        if lanes.spare[lanes.at[i]] <= 0:
            cents[i] += lanes.overtime[lanes.at[i]]
    return cents


@njit(cache=True, nogil=True)
def value_lines(
    avail: Ints, unit: Floats, grams: Ints, pick: float, v: Floats, at: int, worth: Floats, density: Floats, rank: Ints
) -> float:
    """Value what a node has at prices `v`: (K, n) worth, worth a gram, `rank` by falling density. Returns the sum of gains.

    `rank` may hold any order of the lines; from a good one sorting is quick.
    """
    n = len(v)
    total = 0.0
    for k in range(n):
        have = avail[at, k]
        if have > 0:
            cents = have * (v[k] - unit[at, k]) - pick
            worth[at, k] = cents
            density[at, k] = cents / max(float(have * grams[k]), 1e-9)
            total += max(0.0, cents)
        else:
            worth[at, k] = density[at, k] = -INF
    if total <= 0:
        return total
    for i in range(1, n):
        k = rank[at, i]
        d = density[at, k]
        b = i
        while b > 0 and density[at, rank[at, b - 1]] < d:
            rank[at, b] = rank[at, b - 1]
            b -= 1
        rank[at, b] = k
    return total


@njit(cache=True, nogil=True)
def filled(
    avail: Ints, grams: Ints, services: Ints, at: int, s: int, worth: Floats, rank: Ints, most: float
) -> tuple[float, float]:
    """Fill a parcel with fractions of the best lines up to a weight: what is gained, and the weight reached."""
    gained, loaded = 0.0, 0.0
    for i in range(rank.shape[1]):
        k = rank[at, i]
        if worth[at, k] <= 0:
            break
        if s >= 0 and not services[k] >> s & 1:
            continue
        weight = float(avail[at, k] * grams[k])
        if loaded + weight > most:
            return gained + worth[at, k] * (most - loaded) / weight, most
        loaded += weight
        gained += worth[at, k]
    return gained, loaded


@njit(cache=True, nogil=True)
def knapsack(
    avail: Ints,
    grams: Ints,
    services: Ints,
    at: int,
    s: int,
    z: int,
    steps: Ints,
    upper: Ints,
    cents: Ints,
    over_cents: Ints,
    worth: Floats,
    density: Floats,
    rank: Ints,
) -> tuple[float, float]:
    """The most that a parcel can be worth, carriage taken off, opening not: what is gained, and the weight of the best filling."""
    n = rank.shape[1]
    if s < 0:
        return filled(avail, grams, services, at, s, worth, rank, INF)
    best, best_weight = -INF, 0.0
    loaded, gained = 0.0, 0.0
    i = 0
    for t in range(steps[s]):
        ceiling = float(upper[s, t])
        partial, reached = 0.0, ceiling
        spent = True
        while i < n:
            k = rank[at, i]
            if worth[at, k] <= 0:
                break
            if services[k] >> s & 1:
                weight = float(avail[at, k] * grams[k])
                if loaded + weight > ceiling:
                    partial = worth[at, k] * (ceiling - loaded) / weight
                    spent = False
                    break
                loaded += weight
                gained += worth[at, k]
            i += 1
        if spent:
            reached = loaded
        value = gained + partial - cents[s, z, t]
        if value > best:
            best, best_weight = value, reached
        if spent:
            return best, best_weight
    # beyond the last step every started kg costs the same: the best number of them is beside where a gram no longer pays
    last, over = upper[s, steps[s] - 1], over_cents[s, z]
    reach = 0.0
    for i in range(n):
        k = rank[at, i]
        if worth[at, k] <= 0 or density[at, k] * 1000.0 <= over:
            break
        if services[k] >> s & 1:
            reach += float(avail[at, k] * grams[k])
    whole = int(max(0.0, reach - last) // 1000)
    for extra in range(2):
        kg = max(1, whole + extra)
        value, weight = filled(avail, grams, services, at, s, worth, rank, float(last + 1000 * kg))
        value -= cents[s, z, steps[s] - 1] + kg * over
        if value > best:
            best, best_weight = value, weight
    return best, best_weight


@njit(cache=True, nogil=True)
def take_lines(
    avail: Ints,
    grams: Ints,
    services: Ints,
    at: int,
    s: int,
    worth: Floats,
    rank: Ints,
    most: float,
    take: Floats,
    lane: int,
) -> None:
    """Fill row `lane` of (L, n) `take` with the units of a filling of that weight."""
    loaded = 0.0
    take[lane, :] = 0.0
    for i in range(rank.shape[1]):
        k = rank[at, i]
        have = avail[at, k]
        if have == 0 or (worth[at, k] <= 0 and loaded >= most):
            return
        if s >= 0 and not services[k] >> s & 1:
            continue
        weight = float(have * grams[k])
        if loaded + weight <= most:
            take[lane, k] = float(have)
            loaded += weight
        else:
            take[lane, k] = have * (most - loaded) / weight
            return


__all__ = [
    "Lanes", "keep_lanes", "knapsack", "lanes_of", "offered", "openings", "take_lines", "tariff", "value_lines",
]  # fmt: skip
