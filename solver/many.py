"""Serving one order of many lines or units: a local search over the nodes to open, and a bound by prices on its lines.

The order is a facility-location problem: opening a parcel has a fixed price, each line goes to open parcels. The search adds,
drops and swaps nodes and then moves single lines, always at the true cost. The bound relaxes that every line is served (prices
`v` on its units, as in Erlenkotter 1978) and solves what is left at each node by a fractional knapsack under every tariff step.
"""

import numpy as np
from numba import njit

from solver.offers import INF, best_service, offers_of, opening_cents, options_at
from solver.parcel import carriage_cents, late_cents
from solver.problem import HARD, NO_SERVICE, Columns, Floats, Ints

SWAP_WORK = 3_000_000
"""Line visits that the search may spend on swaps."""


@njit(cache=True)
def parcels_at(
    c: Columns, order: int, dest: int, node: int, units: Ints, opening: float, overtime_left: int, parcel_extra: float
) -> tuple[float, int, Ints]:
    """Pack what one node gives an order: in one parcel if a service carries it all, else by the services that its SKUs allow.

    Returns
    -------
    cost, parcels, service
        Travel and opening (`INF` if something cannot go), their number, and (n,) the service of each line (-2: not in a parcel).
    """
    first = c.order_line_start[order]
    n = len(units)
    service = np.full(n, -2, dtype=np.int64)
    cost, parcels = 0.0, 0
    while True:
        grams, mask, waiting = 0, -1, 0
        for k in range(n):
            if units[k] > 0 and service[k] == -2:
                sku = c.line_sku[first + k]
                if mask & c.sku_services[sku] or c.dest_node[dest] == node:
                    mask &= c.sku_services[sku]
                    grams += units[k] * c.sku_weight_g[sku]
                waiting += 1
        if waiting == 0:
            return cost, parcels, service
        chosen, travel = best_service(c, order, dest, node, grams, mask)
        if travel >= INF:
            return INF, 0, service
        for s in range(n):
            if units[s] > 0 and service[s] == chosen:
                return INF, 0, service
        took = False
        for k in range(n):
            if units[k] > 0 and service[k] == -2:
                sku = c.line_sku[first + k]
                if chosen == NO_SERVICE or c.sku_services[sku] >> chosen & 1:
                    if chosen == NO_SERVICE or (c.sku_services[sku] & mask) == mask:
                        service[k] = chosen
                        took = True
        if not took:
            return INF, 0, service
        cost += travel + opening
        parcels += 1
        if parcels > overtime_left:
            cost += c.node_overtime_cents[node] if c.node_overtime_cents[node] != HARD else INF
        if parcels > 8:
            return INF, 0, service


@njit(cache=True)
def give(
    c: Columns,
    order: int,
    is_open: np.ndarray,
    nodes: Ints,
    option: Ints,
    avail: Ints,
    rate: Floats,
    open_cents: Floats,
    left: Ints,
    scratch: Ints,
    units: Ints,
) -> None:
    """Fill (m, n) `units`: each line from the open nodes with the lowest rate, while that is below leaving it open."""
    first = c.order_line_start[order]
    n = avail.shape[1]
    units[:, :] = 0
    for k in range(n):
        rest = c.line_qty[first + k]
        while rest > 0:
            chosen, least = -1, open_cents[k]
            for at in range(len(nodes)):
                if is_open[at] and units[at, k] == 0 and avail[at, k] > 0 and rate[at, k] < least:
                    if room(c, option[at, k], left, scratch) > 0:
                        chosen, least = at, rate[at, k]
            if chosen < 0:
                break
            most = min(rest, avail[chosen, k], room(c, option[chosen, k], left, scratch))
            units[chosen, k] = most
            rest -= most
            draw(c, option[chosen, k], most, scratch)
    for at in range(len(nodes)):
        for k in range(n):
            if units[at, k] > 0:
                for w in range(c.option_row.shape[1]):
                    row = c.option_row[option[at, k], w]
                    if row >= 0:
                        scratch[row] = 0


@njit(cache=True)
def room(c: Columns, option: int, left: Ints, used: Ints) -> int:
    """Count the units of an option that its rows still hold."""
    most = 2**31
    for w in range(c.option_row.shape[1]):
        row, use = c.option_row[option, w], c.option_use[option, w]
        if row >= 0 and use > 0:
            most = min(most, (left[row] - used[row]) // use)
    return most


@njit(cache=True)
def draw(c: Columns, option: int, units: int, used: Ints) -> None:
    """Note that units of an option draw on its rows."""
    for w in range(c.option_row.shape[1]):
        row = c.option_row[option, w]
        if row >= 0:
            used[row] += units * c.option_use[option, w]


@njit(cache=True)
def price_of(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    unit: Floats,
    units: Ints,
    open_cents: Floats,
    opening: Floats,
    node_left: Ints,
    parcel_extra: float,
    most_parcels: int,
) -> float:
    """Price a whole way of serving the order, `INF` where a rule forbids it."""
    first = c.order_line_start[order]
    n = units.shape[1]
    cost, parcels = 0.0, 0
    for k in range(n):
        rest = c.line_qty[first + k]
        for at in range(len(nodes)):
            rest -= units[at, k]
        cost += rest * open_cents[k]
    for at in range(len(nodes)):
        any_units = False
        for k in range(n):
            if units[at, k] > 0:
                any_units = True
                cost += units[at, k] * unit[at, k] + c.node_line_cents[nodes[at]]
        if any_units:
            cents, made, _ = parcels_at(
                c, order, dest, nodes[at], units[at], opening[at], node_left[nodes[at]], parcel_extra
            )
            # a line that goes by two services is never made here, so its picks are counted once
            cost += cents
            parcels += made
    return INF if parcels > most_parcels else cost


@njit(cache=True)
def split_many(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    scratch: Ints,
) -> tuple[float, int, Ints, Ints, Ints]:
    """Serve one order of many lines well (not provably best): parameters and first five results as `split_few`."""
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    nodes, avail, unit, _ = offers_of(c, order, left, node_left, row_price)
    m = len(nodes)
    option = np.empty((m, n), dtype=np.int64)
    opening = np.empty(m)
    for at in range(m):
        option[at] = options_at(c, order, nodes[at])
        # overtime is counted parcel by parcel in `parcels_at`
        opening[at] = c.node_parcel_cents[nodes[at]] + node_price[nodes[at]] + parcel_extra
    complete = c.order_ship_complete[order]
    most_parcels = c.order_max_parcels[order]
    penalty = np.empty(n)
    nothing = 0.0
    for k in range(n):
        penalty[k] = open_cents[first + k] + (1e9 if complete else 0.0)
        nothing += open_cents[first + k] * c.line_qty[first + k]
    least, least_dest = nothing, c.order_dest_start[order]
    best_units = np.zeros((m, n), dtype=np.int64)
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        rate = rates(c, order, dest, nodes, unit)
        units = search(
            c,
            order,
            dest,
            nodes,
            option,
            avail,
            unit,
            rate,
            penalty,
            opening,
            left,
            node_left,
            parcel_extra,
            most_parcels,
            scratch,
        )
        move_lines(
            c,
            order,
            dest,
            nodes,
            option,
            avail,
            unit,
            units,
            penalty,
            opening,
            left,
            node_left,
            parcel_extra,
            most_parcels,
            scratch,
        )
        cost = price_of(c, order, dest, nodes, unit, units, penalty, opening, node_left, parcel_extra, most_parcels)
        if complete and units.sum() < c.line_qty[first:last].sum():
            continue
        if cost < least:
            least, least_dest = cost, dest
            best_units = units
    return pack(c, order, least, least_dest, nodes, best_units, opening, node_left, parcel_extra)


@njit(cache=True)
def pack(
    c: Columns,
    order: int,
    cost: float,
    dest: int,
    nodes: Ints,
    units: Ints,
    opening: Floats,
    node_left: Ints,
    parcel_extra: float,
) -> tuple[float, int, Ints, Ints, Ints]:
    """Turn (m, n) units by node into parcels by node and service."""
    m, n = units.shape
    out_node = np.empty(m * 8, dtype=np.int64)
    out_service = np.empty(m * 8, dtype=np.int64)
    out_units = np.zeros((m * 8, n), dtype=np.int64)
    made = 0
    for at in range(m):
        if units[at].sum() == 0:
            continue
        _, _, service = parcels_at(
            c, order, dest, nodes[at], units[at], opening[at], node_left[nodes[at]], parcel_extra
        )
        start = made
        for k in range(n):
            if units[at, k] > 0:
                p = start
                while p < made and out_service[p] != service[k]:
                    p += 1
                if p == made:
                    out_node[p] = nodes[at]
                    out_service[p] = service[k]
                    made += 1
                out_units[p, k] = units[at, k]
    return cost, dest, out_node[:made].copy(), out_service[:made].copy(), out_units[:made].copy()


@njit(cache=True)
def rates(c: Columns, order: int, dest: int, nodes: Ints, unit: Floats) -> Floats:
    """Estimate what one more unit of a line costs at an open node: (m, n), `INF` where nothing goes there."""
    first = c.order_line_start[order]
    m, n = unit.shape
    whole = 0
    for k in range(n):
        whole += c.line_qty[first + k] * c.sku_weight_g[c.line_sku[first + k]]
    rate = np.empty((m, n))
    for at in range(m):
        j = nodes[at]
        slope, served = 0.0, c.dest_node[dest] == j
        if not served:
            slope = INF
            for s in range(c.lane_zone.shape[2]):
                zone = c.lane_zone[dest, j, s]
                if zone >= 0:
                    served = True
                    rise = carriage_cents(c, s, zone, whole) - carriage_cents(c, s, zone, 0)
                    slope = min(slope, rise / max(1, whole))
        for k in range(n):
            grams = c.sku_weight_g[c.line_sku[first + k]]
            rate[at, k] = unit[at, k] + slope * grams + c.node_line_cents[j] / c.line_qty[first + k] if served else INF
            if served and c.dest_node[dest] != j and not carried(c, dest, j, c.sku_services[c.line_sku[first + k]]):
                rate[at, k] = INF
    return rate


@njit(cache=True)
def carried(c: Columns, dest: int, node: int, services: int) -> bool:
    """Tell whether any of these services (bits) runs from the node to the destination."""
    for s in range(c.lane_zone.shape[2]):
        if services >> s & 1 and c.lane_zone[dest, node, s] >= 0:
            return True
    return False


@njit(cache=True)
def search(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    option: Ints,
    avail: Ints,
    unit: Floats,
    rate: Floats,
    open_cents: Floats,
    opening: Floats,
    left: Ints,
    node_left: Ints,
    parcel_extra: float,
    most_parcels: int,
    scratch: Ints,
) -> Ints:
    """Choose the nodes to open: the best addition until none helps, then drops and swaps. Returns (m, n) units."""
    m, n = avail.shape
    is_open = np.zeros(m, dtype=np.bool_)
    units = np.zeros((m, n), dtype=np.int64)
    trial = np.zeros((m, n), dtype=np.int64)
    least = price_of(c, order, dest, nodes, unit, units, open_cents, opening, node_left, parcel_extra, most_parcels)
    opened, work = 0, 0
    while True:
        improved = False
        best_at = -1
        best_cost = least
        for at in range(m):
            is_open[at] = not is_open[at]
            give(c, order, is_open, nodes, option, avail, rate, open_cents, left, scratch, trial)
            cost = price_of(
                c, order, dest, nodes, unit, trial, open_cents, opening, node_left, parcel_extra, most_parcels
            )
            is_open[at] = not is_open[at]
            if cost < best_cost - 1e-6:
                best_cost, best_at = cost, at
        if best_at >= 0:
            is_open[best_at] = not is_open[best_at]
            opened += 1 if is_open[best_at] else -1
            least = best_cost
            improved = True
        elif work < SWAP_WORK:
            for out in range(m):
                if not is_open[out]:
                    continue
                for into in range(m):
                    if is_open[into] or not is_open[out]:
                        continue
                    work += n * (opened + 1)
                    is_open[out], is_open[into] = False, True
                    give(c, order, is_open, nodes, option, avail, rate, open_cents, left, scratch, trial)
                    cost = price_of(
                        c, order, dest, nodes, unit, trial, open_cents, opening, node_left, parcel_extra, most_parcels
                    )
                    if cost < least - 1e-6:
                        least = cost
                        improved = True
                    else:
                        is_open[out], is_open[into] = True, False
                    if work > SWAP_WORK:
                        break
                if work > SWAP_WORK:
                    break
        if not improved:
            break
    give(c, order, is_open, nodes, option, avail, rate, open_cents, left, scratch, units)
    return units


@njit(cache=True)
def move_lines(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    option: Ints,
    avail: Ints,
    unit: Floats,
    units: Ints,
    open_cents: Floats,
    opening: Floats,
    left: Ints,
    node_left: Ints,
    parcel_extra: float,
    most_parcels: int,
    scratch: Ints,
) -> None:
    """Move lines between the nodes in use (or leave them open) while the true cost falls: tariff steps make this worth it."""
    m, n = units.shape
    used = scratch
    shipping = np.zeros(m)
    for at in range(m):
        shipping[at] = node_cost(c, order, dest, nodes[at], units[at], unit[at], opening[at], node_left, parcel_extra)
        for k in range(n):
            if units[at, k] > 0:
                draw(c, option[at, k], units[at, k], used)
    for _ in range(3):
        moved = False
        for k in range(n):
            for source in range(m):
                if shipping[source] <= 0:
                    continue
                for target in range(m):
                    have = units[source, k]
                    if have == 0 or target == source or shipping[target] <= 0 or avail[target, k] == 0:
                        continue
                    amount = min(have, avail[target, k] - units[target, k], room(c, option[target, k], left, used))
                    if amount <= 0:
                        continue
                    units[source, k] -= amount
                    units[target, k] += amount
                    a = node_cost(
                        c,
                        order,
                        dest,
                        nodes[source],
                        units[source],
                        unit[source],
                        opening[source],
                        node_left,
                        parcel_extra,
                    )
                    b = node_cost(
                        c,
                        order,
                        dest,
                        nodes[target],
                        units[target],
                        unit[target],
                        opening[target],
                        node_left,
                        parcel_extra,
                    )
                    if a + b < shipping[source] + shipping[target] - 1e-6:
                        if most_parcels < 2**60:
                            whole = price_of(
                                c,
                                order,
                                dest,
                                nodes,
                                unit,
                                units,
                                open_cents,
                                opening,
                                node_left,
                                parcel_extra,
                                most_parcels,
                            )
                            if whole >= INF:
                                units[source, k] += amount
                                units[target, k] -= amount
                                continue
                        shipping[source], shipping[target] = a, b
                        draw(c, option[source, k], -amount, used)
                        draw(c, option[target, k], amount, used)
                        moved = True
                    else:
                        units[source, k] += amount
                        units[target, k] -= amount
        if not moved:
            break
    for at in range(m):
        for k in range(n):
            if units[at, k] > 0:
                draw(c, option[at, k], -units[at, k], used)


@njit(cache=True)
def node_cost(
    c: Columns,
    order: int,
    dest: int,
    node: int,
    units: Ints,
    unit: Floats,
    opening: float,
    node_left: Ints,
    parcel_extra: float,
) -> float:
    """Price all that one node ships of the order."""
    cost, any_units = 0.0, False
    for k in range(len(units)):
        if units[k] > 0:
            any_units = True
            cost += units[k] * unit[k] + c.node_line_cents[node]
    if not any_units:
        return 0.0
    return cost + parcels_at(c, order, dest, node, units, opening, node_left[node], parcel_extra)[0]


@njit(cache=True)
def bound_many(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    target: float,
    line_price: Floats,
    rounds: int,
    row_use: Floats,
    node_use: Floats,
) -> float:
    """Bound the cost of serving one order from below.

    Parameters
    ----------
    target
        The cost of some way to serve it: how high the bound can get.
    line_price
        (L,) prices on the units of each line to start from, improved in place for this order's lines.
    rounds
        Ascent steps.
    row_use, node_use
        (R,), (J,) where the relaxed solution adds what it draws; empty where nobody asks.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    nodes, avail, unit, _ = offers_of(c, order, left, node_left, row_price)
    complete = c.order_ship_complete[order]
    nothing = 0.0
    for k in range(n):
        nothing += open_cents[first + k] * c.line_qty[first + k]
    start = line_price[first:last].copy()
    lowest, lowest_dest = INF, c.order_dest_start[order]
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        v = start.copy()
        reached = ascend(
            c, order, dest, nodes, avail, unit, node_left, node_price, open_cents[first:last], parcel_extra, complete, target,
            v, rounds,
        )  # fmt: skip
        if reached < lowest:
            lowest, lowest_dest = reached, dest
            for k in range(n):
                line_price[first + k] = v[k]
    if len(row_use) and (lowest < nothing or not complete):
        slope = np.empty(n)
        value_of(
            c, order, lowest_dest, nodes, avail, unit, node_left, node_price, parcel_extra, line_price[first:last], slope,
            row_use, node_use,
        )  # fmt: skip
    return max(0.0, min(lowest, nothing))


@njit(cache=True)
def ascend(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    avail: Ints,
    unit: Floats,
    node_left: Ints,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    complete: bool,
    target: float,
    v: Floats,
    rounds: int,
) -> float:
    """Raise the prices of the lines by Polyak steps; `v` ends at the best found. Returns the bound there."""
    first = c.order_line_start[order]
    n = len(v)
    best = -INF
    best_v = v.copy()
    slope = np.zeros(n)
    nobody = np.empty(0)
    pace, stale = 1.0, 0
    for _ in range(rounds):
        for k in range(n):
            ceiling = INF if complete else open_cents[k]
            v[k] = min(max(0.0, v[k]), ceiling)
        value = value_of(
            c, order, dest, nodes, avail, unit, node_left, node_price, parcel_extra, v, slope, nobody, nobody
        )
        if value > best + 1e-9:
            best = value
            best_v[:] = v
            stale = 0
        else:
            stale += 1
            if stale >= 4:
                pace *= 0.5
                stale = 0
                v[:] = best_v
                value = value_of(
                    c, order, dest, nodes, avail, unit, node_left, node_price, parcel_extra, v, slope, nobody, nobody
                )
        norm = 0.0
        for k in range(n):
            share = slope[k] / c.line_qty[first + k]
            at_ceiling = not complete and v[k] >= open_cents[k] and slope[k] > 0
            slope[k] = 0.0 if at_ceiling else share
            norm += slope[k] * slope[k]
        if norm < 1e-12 or target - best < 1e-6:
            break
        step = pace * max(target - value, 1e-3 * abs(target)) / norm
        for k in range(n):
            v[k] += step * slope[k] / c.line_qty[first + k]
    v[:] = best_v
    return best


@njit(cache=True)
def value_of(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    avail: Ints,
    unit: Floats,
    node_left: Ints,
    node_price: Floats,
    parcel_extra: float,
    v: Floats,
    slope: Floats,
    row_use: Floats,
    node_use: Floats,
) -> float:
    """Evaluate the bound at line prices `v`, and its slope: units of each line not yet paid for.

    What the relaxed solution draws is added to (R,) `row_use` and (J,) `node_use` unless they are empty.
    """
    first = c.order_line_start[order]
    n = len(v)
    value = 0.0
    for k in range(n):
        qty = float(c.line_qty[first + k])
        value += qty * v[k]
        slope[k] = qty
    take = np.empty(n)
    ratio = np.empty(n)
    worth = np.empty(n)
    weight = np.empty(n)
    which = np.empty(n, dtype=np.int64)
    for at in range(len(nodes)):
        j = nodes[at]
        fixed = opening_cents(c, j, node_left, node_price, parcel_extra)
        own = c.dest_node[dest] == j
        for s in range(1 if own else c.lane_zone.shape[2]):
            if not own and c.lane_zone[dest, j, s] < 0:
                continue
            count = 0
            for k in range(n):
                sku = c.line_sku[first + k]
                gain = avail[at, k] * (v[k] - unit[at, k]) - c.node_line_cents[j]
                if avail[at, k] > 0 and gain > 0 and (own or c.sku_services[sku] >> s & 1):
                    which[count] = k
                    worth[count] = gain
                    weight[count] = float(avail[at, k] * c.sku_weight_g[sku])
                    ratio[count] = -gain / max(weight[count], 1e-9)
                    count += 1
            if count == 0:
                continue
            gained = knapsack(c, order, dest, j, NO_SERVICE if own else s, count, ratio, worth, weight, take) - fixed
            if gained > 0:
                value -= gained
                for i in range(count):
                    slope[which[i]] -= take[i] * avail[at, which[i]]
                if len(row_use):
                    node_use[j] += 1.0
                    option = options_at(c, order, j)
                    for i in range(count):
                        for w in range(c.option_row.shape[1]):
                            row = c.option_row[option[which[i]], w]
                            if row >= 0:
                                units = take[i] * avail[at, which[i]]
                                row_use[row] += units * c.option_use[option[which[i]], w]
    return value


@njit(cache=True)
def knapsack(
    c: Columns,
    order: int,
    dest: int,
    node: int,
    service: int,
    count: int,
    ratio: Floats,
    worth: Floats,
    weight: Floats,
    take: Floats,
) -> float:
    """Gain at most, over all weight steps, from filling a parcel with fractions of lines; (count,) `take` holds the fractions."""
    take[:count] = 0.0
    if service == NO_SERVICE:
        gained = 0.0
        for i in range(count):
            take[i] = 1.0
            gained += worth[i]
        return gained - late_cents(c, order, c.node_ready_days[node])
    zone = c.lane_zone[dest, node, service]
    late = late_cents(c, order, c.node_ready_days[node] + c.service_transit_days[service, zone])
    by_ratio = np.argsort(ratio[:count], kind="mergesort")
    steps = c.service_steps[service]
    best, best_loaded = -INF, 0.0
    i, loaded, gained = 0, 0.0, 0.0
    for step in range(steps):
        ceiling = float(c.service_steps_g[service, step])
        while i < count and loaded + weight[by_ratio[i]] <= ceiling:
            loaded += weight[by_ratio[i]]
            gained += worth[by_ratio[i]]
            i += 1
        partial = 0.0
        if i < count:
            partial = worth[by_ratio[i]] * (ceiling - loaded) / weight[by_ratio[i]]
        cents = gained + partial - c.service_cents[service, zone, step]
        if cents > best:
            best, best_loaded = cents, ceiling if i < count else loaded
        if i == count:
            break
    if i < count:
        # beyond the last step: a started kg costs at least its share
        per_gram = c.service_over_cents[service, zone] / 1000.0
        ceiling = float(c.service_steps_g[service, steps - 1])
        extra = gained + worth[by_ratio[i]] * (ceiling - loaded) / weight[by_ratio[i]]
        extra -= c.service_cents[service, zone, steps - 1]
        room_left = weight[by_ratio[i]] - (ceiling - loaded)
        reached = ceiling
        while i < count:
            density = worth[by_ratio[i]] / weight[by_ratio[i]]
            if density <= per_gram:
                break
            extra += room_left * (density - per_gram)
            reached += room_left
            i += 1
            if i < count:
                room_left = weight[by_ratio[i]]
        if extra > best:
            best, best_loaded = extra, reached
    loaded = 0.0
    for k in range(count):
        item = by_ratio[k]
        if loaded + weight[item] <= best_loaded:
            take[item] = 1.0
            loaded += weight[item]
        else:
            take[item] = (best_loaded - loaded) / weight[item] if weight[item] > 0 else 0.0
            break
    return best - late


__all__ = ["bound_many", "split_many"]
