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
from solver.problem import HARD, NO_SERVICE, Bools, Columns, Floats, Ints

NO_WAY_CENTS = 1e9
"""What an open unit costs in an order that must be complete."""

Offered = tuple[Ints, Ints, Ints, Ints, Floats, Ints, Ints]
"""Nodes, and the offers of each: columns `nodes`, `start`, `line`, `units`, `cents`, `load` and `option` of `Lanes`."""


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
    start
        (K + 1,) the offers of a node are contiguous: E of them, lines in their order.
    line, units, cents, load, option
        (E,) line; units that the node can give; what one costs there (prices included); weight of all those units; option.
    at, service, zone, fixed
        (L,) index of the node; service (`NO_SERVICE`: collected where picked); zone; opening and lateness without overtime.
    heaviest, slope
        (L,) the weight of all that the lane can carry, and cents a gram that carriage rises at least beyond its first step.
    steps, upper, tariff, over
        The tariffs: `service_steps`, `service_steps_g`, `service_cents`, `service_over_cents` of the problem.
    """

    qty: Ints
    grams: Ints
    services: Ints
    nodes: Ints
    spare: Ints
    overtime: Floats
    pick_cents: Floats
    start: Ints
    line: Ints
    units: Ints
    cents: Floats
    load: Ints
    option: Ints
    at: Ints
    service: Ints
    zone: Ints
    fixed: Floats
    heaviest: Ints
    slope: Floats
    steps: Ints
    upper: Ints
    tariff: Ints
    over: Ints

    def __new__(cls, *columns: NDArray[Any]) -> "Lanes":
        """Gather the columns."""
        made: Lanes = structref.StructRefProxy.__new__(cls, *columns)  # type: ignore[no-untyped-call]
        return made


structref.define_proxy(Lanes, _LanesType, list(Lanes.__annotations__))  # type: ignore[no-untyped-call]


@njit(cache=True, nogil=True)
def open_of(c: Columns, order: int, open_cents: Floats) -> tuple[float, Floats, Floats]:
    """What open units of an order cost: all of them, (n,) each one (or `NO_WAY_CENTS`), and (n,) its price at most."""
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    complete, nothing = c.order_ship_complete[order], 0.0
    penalty, ceiling = np.empty(last - first), np.empty(last - first)
    for k in range(last - first):
        nothing += open_cents[first + k] * c.line_qty[first + k]
        penalty[k] = NO_WAY_CENTS if complete else open_cents[first + k]
        ceiling[k] = INF if complete else open_cents[first + k]
    return nothing, penalty, ceiling


@njit(cache=True, nogil=True)
def offered(c: Columns, order: int, left: Ints, node_left: Ints, row_price: Floats) -> Offered:
    """Gather the nodes that can give an order something now, and what: columns `nodes` to `option` of `Lanes`."""
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    start, option_node, reason, cents_of = c.line_option_start, c.option_node, c.option_reason, c.option_cents
    option_row, option_use, overtime, qty = c.option_row, c.option_use, c.node_overtime_cents, c.line_qty
    weight, sku = c.sku_weight_g, c.line_sku
    width = option_row.shape[1]
    total = start[last] - start[first]
    slot = np.full(len(overtime), -1, dtype=np.int64)
    nodes, count = np.empty(min(total, len(overtime)), dtype=np.int64), np.zeros(len(overtime) + 1, dtype=np.int64)
    most = np.zeros(total, dtype=np.int64)
    m, made = 0, 0
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
                count[slot[j] + 1] += 1
                made += 1
    begin = np.cumsum(count[: m + 1])
    place = begin.copy()
    line_of, units_of, cents_at = np.empty(made, dtype=np.int64), np.empty(made, dtype=np.int64), np.empty(made)
    load, option = np.empty(made, dtype=np.int64), np.empty(made, dtype=np.int64)
    for line in range(first, last):
        grams = weight[sku[line]]
        for q in range(start[line], start[line + 1]):
            units = most[q - start[first]]
            if units > 0:
                e = place[slot[option_node[q]]]
                place[slot[option_node[q]]] += 1
                cents = float(cents_of[q])
                for w in range(width):
                    if option_row[q, w] >= 0:
                        cents += option_use[q, w] * row_price[option_row[q, w]]
                line_of[e], units_of[e], cents_at[e], load[e], option[e] = line - first, units, cents, units * grams, q
    return nodes[:m], begin, line_of, units_of, cents_at, load, option


@njit(cache=True, nogil=True)
def lanes_of(
    c: Columns, order: int, dest: int, offers: Offered, node_left: Ints, node_price: Floats, parcel_extra: float
) -> Lanes:
    """List the lanes to a destination that can carry anything of the order and are needed, node by node.

    A service is not needed where another one carries all the same from there at no more cost, and two parcels are never cheaper
    than one of them (`service_merges_g`).
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    nodes, start, line, units, cents, loads, option = offers
    m, n = len(nodes), last - first
    qty, grams, services = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    for k in range(n):
        qty[k] = c.line_qty[first + k]
        grams[k] = c.sku_weight_g[c.line_sku[first + k]]
        services[k] = c.sku_services[c.line_sku[first + k]]
    spare, overtime, pick_cents = np.empty(m, dtype=np.int64), np.empty(m), np.empty(m)
    count, zones, own = c.lane_zone.shape[2], c.lane_zone[dest], c.dest_node[dest]
    steps, upper, tariffs, over = c.service_steps, c.service_steps_g, c.service_cents, c.service_over_cents
    overtime_of, picks, parcels = c.node_overtime_cents, c.node_line_cents, c.node_parcel_cents
    ready, transit = c.node_ready_days, c.service_transit_days
    most = m * max(1, count)
    at_of, service = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
    zone = np.full(most, -1, dtype=np.int64)
    heaviest, fixed, slope = np.zeros(most, dtype=np.int64), np.empty(most), np.zeros(most)
    carried = np.zeros(most, dtype=np.int64)
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
            load, lines = 0, 0
            for e in range(start[at], start[at + 1]):
                if own == j or services[line[e]] >> s & 1:
                    load += loads[e]
                    lines += 1
            if lines == 0:
                continue
            at_of[made], heaviest[made], carried[made] = at, load, lines
            if own == j:
                service[made] = NO_SERVICE
                fixed[made] = opening + late_cents(c, order, ready[j])
            else:
                service[made], zone[made] = s, zones[j, s]
                fixed[made] = opening + late_cents(c, order, ready[j] + transit[s, zones[j, s]])
                slope[made] = least_slope(steps, upper, tariffs, over, s, zones[j, s], load)
            made += 1
    lane = needed_lanes(
        at_of[:made], service, zone, fixed, heaviest, carried, start, c.service_merges_g, steps, upper, tariffs, over
    )
    return Lanes(
        qty, grams, services, nodes, spare, overtime, pick_cents, start, line, units, cents, loads, option, at_of[lane],
        service[lane], zone[lane], fixed[lane], heaviest[lane], slope[lane], steps, upper, tariffs, over,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def needed_lanes(
    at: Ints,
    service: Ints,
    zone: Ints,
    fixed: Floats,
    heaviest: Ints,
    carried: Ints,
    start: Ints,
    merges: Ints,
    steps: Ints,
    upper: Ints,
    tariffs: Ints,
    over: Ints,
) -> Ints:
    """Choose the lanes of which no other from the same node carries all the same at no more cost; (L,) `carried` counts offers."""
    services, zones = tariffs.shape[0], tariffs.shape[1]
    dearer = np.full((zones, services, services), INF)
    lane, made = np.empty(len(at), dtype=np.int64), 0
    first, last = 0, 0
    for i in range(len(at)):
        if i == last:
            first = i
            while last < len(at) and at[last] == at[i]:
                last += 1
        needed = True
        for b in range(first, last):
            z, s, t = int(zone[i]), int(service[i]), int(service[b])
            if b == i or s < 0 or zone[b] != z or heaviest[b] > merges[t, z]:
                continue
            if carried[b] < start[at[b] + 1] - start[at[b]]:
                continue
            if dearer[z, t, s] == INF:
                dearer[z, t, s] = most_dearer(steps, upper, tariffs, over, t, s, z)
            more = dearer[z, t, s] + fixed[b] - fixed[i]
            needed = needed and (more > 0 or (more == 0 and b > i))
        if needed:
            lane[made] = i
            made += 1
    return lane[:made]


@njit(cache=True, nogil=True)
def most_dearer(steps: Ints, upper: Ints, tariffs: Ints, over: Ints, service: int, other: int, zone: int) -> float:
    """The most that a service costs above another one in a zone, up to its last step."""
    most = -INF
    for t in range(steps[service]):
        above = upper[service, t - 1] + 1 if t else 1
        rival = tariff_cents(steps, upper, tariffs, over, other, zone, above)
        most = max(most, float(tariffs[service, zone, t] - rival))
    return most


@njit(cache=True, nogil=True)
def least_slope(steps: Ints, upper: Ints, cents: Ints, over: Ints, service: int, zone: int, load: int) -> float:
    """Cents a gram by which carriage rises at least beyond the end of its first step, up to a load."""
    first = upper[service, 0]
    if load <= first:
        return 0.0
    least = INF
    for t in range(1, steps[service]):
        least = min(least, (cents[service, zone, t] - cents[service, zone, 0]) / (min(upper[service, t], load) - first))
        if upper[service, t] >= load:
            return float(least)
    return float(min(least, over[service, zone] / 1000.0))


@njit(cache=True, nogil=True)
def keep_lanes(lanes: Lanes, keep: Bools) -> Lanes:
    """The same with some lanes only, and the nodes that those need."""
    m = len(lanes.nodes)
    slot = np.full(m, -1, dtype=np.int64)
    lane = np.flatnonzero(keep)
    for i in lane:
        slot[lanes.at[i]] = 0
    node = np.flatnonzero(slot >= 0)
    start = np.zeros(len(node) + 1, dtype=np.int64)
    for a in range(len(node)):
        slot[node[a]] = a
        start[a + 1] = start[a] + lanes.start[node[a] + 1] - lanes.start[node[a]]
    offer = np.empty(start[len(node)], dtype=np.int64)
    for a in range(len(node)):
        for e in range(start[a], start[a + 1]):
            offer[e] = lanes.start[node[a]] + e - start[a]
    return Lanes(
        lanes.qty, lanes.grams, lanes.services, lanes.nodes[node], lanes.spare[node], lanes.overtime[node],
        lanes.pick_cents[node], start, lanes.line[offer], lanes.units[offer], lanes.cents[offer], lanes.load[offer],
        lanes.option[offer], slot[lanes.at[lane]], lanes.service[lane], lanes.zone[lane], lanes.fixed[lane],
        lanes.heaviest[lane], lanes.slope[lane], lanes.steps, lanes.upper, lanes.tariff, lanes.over,
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
def rank_offers(first: int, last: int, worth: Floats, load: Floats, density: Floats, rank: Ints) -> None:
    """Sort `rank` of the offers from `first` to `last` by falling worth a gram; from a good order that is quick."""
    for e in range(first, last):
        density[e] = worth[e] / max(1e-9, load[e])
    for i in range(first + 1, last):
        e = rank[i]
        d = density[e]
        b = i
        while b > first and density[rank[b - 1]] < d:
            rank[b] = rank[b - 1]
            b -= 1
        rank[b] = e


@njit(cache=True, nogil=True)
def filled(
    first: int, last: int, s: int, line: Ints, load: Floats, services: Ints, worth: Floats, rank: Ints, most: float
) -> tuple[float, float]:
    """Fill a parcel with fractions of the best offers up to a weight: what is gained, and the weight reached."""
    gained, loaded = 0.0, 0.0
    for i in range(first, last):
        e = rank[i]
        if worth[e] <= 0:
            break
        if s >= 0 and not services[line[e]] >> s & 1:
            continue
        if loaded + load[e] > most:
            return gained + worth[e] * (most - loaded) / load[e], most
        loaded += load[e]
        gained += worth[e]
    return gained, loaded


@njit(cache=True, nogil=True)
def knapsack(
    first: int,
    last: int,
    s: int,
    z: int,
    line: Ints,
    load: Floats,
    services: Ints,
    worth: Floats,
    density: Floats,
    rank: Ints,
    steps: Ints,
    upper: Ints,
    tariffs: Ints,
    over_cents: Ints,
) -> tuple[float, float]:
    """The most that a parcel can be worth, carriage taken off, opening not: what is gained, and the weight of the best filling.

    The offers are those from `first` to `last`, ranked.
    """
    if s < 0:
        return filled(first, last, s, line, load, services, worth, rank, INF)
    best, best_weight = -INF, 0.0
    loaded, gained = 0.0, 0.0
    i = first
    for t in range(steps[s]):
        ceiling = float(upper[s, t])
        partial, reached = 0.0, ceiling
        spent = True
        while i < last:
            e = rank[i]
            if worth[e] <= 0:
                break
            if services[line[e]] >> s & 1:
                if loaded + load[e] > ceiling:
                    partial = worth[e] * (ceiling - loaded) / load[e]
                    spent = False
                    break
                loaded += load[e]
                gained += worth[e]
            i += 1
        if spent:
            reached = loaded
        value = gained + partial - tariffs[s, z, t]
        if value > best:
            best, best_weight = value, reached
        if spent:
            return best, best_weight
    # beyond the last step every started kg costs the same: the best number of them is beside where a gram no longer pays
    heavy, over = upper[s, steps[s] - 1], over_cents[s, z]
    reach = 0.0
    for i in range(first, last):
        e = rank[i]
        if worth[e] <= 0 or density[e] * 1000.0 <= over:
            break
        if services[line[e]] >> s & 1:
            reach += load[e]
    whole = int(max(0.0, reach - heavy) // 1000)
    for extra in range(2):
        kg = max(1, whole + extra)
        value, weight = filled(first, last, s, line, load, services, worth, rank, float(heavy + 1000 * kg))
        value -= tariffs[s, z, steps[s] - 1] + kg * over
        if value > best:
            best, best_weight = value, weight
    return best, best_weight


@njit(cache=True, nogil=True)
def draw_offers(
    first: int,
    last: int,
    s: int,
    line: Ints,
    units: Floats,
    load: Floats,
    services: Ints,
    worth: Floats,
    rank: Ints,
    most: float,
    drawn: Floats,
) -> None:
    """Add the units of a filling of that weight to (n,) `drawn`."""
    loaded = 0.0
    for i in range(first, last):
        e = rank[i]
        if worth[e] <= 0 and loaded >= most:
            return
        if s >= 0 and not services[line[e]] >> s & 1:
            continue
        if loaded + load[e] <= most:
            drawn[line[e]] += units[e]
            loaded += load[e]
        else:
            drawn[line[e]] += units[e] * (most - loaded) / load[e]
            return


__all__ = [
    "Lanes", "Offered", "draw_offers", "keep_lanes", "knapsack", "lanes_of", "offered", "openings", "rank_offers", "tariff",
]  # fmt: skip
