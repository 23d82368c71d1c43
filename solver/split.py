"""The exact best way to serve one order of few units: dynamic programming over what is still to be served.

The cheapest single parcel of every content, over all nodes and services, feeds a recursion over what remains of the order
(Lagrangian subproblem of the joint wave; for whole lines see Jasin and Sinha 2015). It prices two parcels from one node
independently, which can only be too cheap. Where the answer does so and it does not hold, that node is set apart: what it ships, in
one parcel or in several, is then decided exactly, once for the whole node. That is repeated until the answer holds.
"""

from typing import cast

import numpy as np
from numba import njit

from solver.offers import (
    INF,
    Contents,
    Offers,
    at_node,
    best_parcels,
    best_service,
    contents_of,
    offers_of,
    options_at,
    overdrawn,
    units_in,
)
from solver.parcel import travel_cents
from solver.problem import HARD, NO_SERVICE, Columns, Floats, Ints

TABLE_MAX = cast(int, np.int64(40_000_000))
"""Work that setting nodes apart may take where an order is decided. (Numba would compile for each value of a plain number.)"""
TABLE_MAX_PRICING = cast(int, np.int64(4_000_000))
"""The same where orders are priced again and again."""
APART_MAX = 16
"""Nodes of one order that are set apart at most."""


@njit(cache=True, nogil=True)
def cover(best: Floats, contents: Contents, open_cents: Floats, complete: bool, layers: int) -> tuple[Floats, Ints]:
    """Cover every content by parcels at least cost.

    Parameters
    ----------
    best
        (T,) cost of each content as one parcel.
    open_cents
        (n,) cost of leaving a unit of each line open; with `complete` none may be.
    layers
        At most this many parcels; 0 for no limit.

    Returns
    -------
    cost, choice
        (layers + 1, T), or (1, T) without a limit: cost of serving a content in at most so many parcels, and the parcel that
        takes from its first line (0: leave one unit of it open).
    """
    total, n = len(best), len(contents.radix)
    low, packed, guard = contents.low, contents.packed, contents.guard[0]
    cost = np.full((layers + 1, total), INF)
    choice = np.zeros((layers + 1, total), dtype=np.int64)
    # parcels worth making, by their first line: without a limit on parcels, those that no other way of serving them undercuts
    start = np.zeros(n + 1, dtype=np.int64)
    for code in range(1, total):
        if best[code] < INF:
            start[low[code] + 1] += 1
    for k in range(n):
        start[k + 1] += start[k]
    useful = np.empty(start[n], dtype=np.int64)
    end = start[:n].copy()
    cost[:, 0] = 0.0
    for code in range(1, total):
        k = low[code]
        rest = packed[code] | guard
        single = best[code]
        for p in range(layers + 1):
            before = p - 1 if layers else 0
            least, chosen = INF, 0
            if not complete:
                least = cost[p, code - contents.radix[k]] + open_cents[k]
            if layers == 0 or p > 0:
                for i in range(start[k], end[k]):
                    part = useful[i]
                    if best[part] < least and (rest - packed[part]) & guard == guard:
                        cents = best[part] + cost[before, code - part]
                        if cents < least:
                            least, chosen = cents, part
                if single < least:
                    least, chosen = single, code
            cost[p, code], choice[p, code] = least, chosen
        if choice[0, code] == code if layers == 0 else single < INF:
            useful[end[k]] = code
            end[k] += 1
    return cost, choice


@njit(cache=True, nogil=True)
def layers_of(c: Columns, order: int) -> int:
    """Parcels that an order may have, 0 where that never binds."""
    units = 0
    for line in range(c.order_line_start[order], c.order_line_start[order + 1]):
        units += c.line_qty[line]
    most = c.order_max_parcels[order]
    return 0 if most >= units else most


@njit(cache=True, nogil=True)
def split_few(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    table_most: int,
) -> tuple[float, int, Ints, Ints, Ints, bool]:
    """Serve one order at least cost.

    Parameters
    ----------
    left, node_left
        (R,), (J,) what is left of each resource row, and the parcels each node can still make within its capacity.
    row_price, node_price
        (R,), (J,) prices that the decision pays for stock and capacity.
    open_cents
        (L,) cost of leaving a unit of each line open.
    parcel_extra
        Added to the cost of every parcel (a policy that counts parcels sets it high).
    table_most
        Work that setting nodes apart may take. Where that is not enough, the cost is only a lower bound and the parcels may
        overdraw a node.

    Returns
    -------
    cost, dest, node, service, units, proven
        The cost, prices included; where it goes; (p,) node and service and (p, n) units of each parcel; whether the cost is
        that of these parcels, and no other way of serving the order costs less.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    offers = offers_of(c, order, left, node_left, row_price)
    contents = contents_of(c, order)
    full = len(contents.low) - 1
    layers = layers_of(c, order)
    least = 0.0
    for line in range(first, last):
        least += open_cents[line] * c.line_qty[line]
    least_dest = c.order_dest_start[order]
    out_node, out_service = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    out_units = np.empty((0, n), dtype=np.int64)
    proven = True
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        cost, at, code, service, holds = cheapest_cover(
            c, order, dest, offers, contents, left, node_left, node_price, open_cents[first:last], parcel_extra, layers,
            least, table_most,
        )  # fmt: skip
        proven = proven and (holds or cost[layers, full] >= least)
        if cost[layers, full] >= least:
            continue
        least, least_dest = cost[layers, full], dest
        out_node, out_service = offers.nodes[at], service
        out_units = np.empty((len(code), n), dtype=np.int64)
        for p in range(len(code)):
            for k in range(n):
                out_units[p, k] = units_in(code[p], contents.radix, k, c.line_qty[first + k])
    # a row may be shared by nodes, which the recursion takes one by one
    proven = proven and within_rows(c, order, out_node, out_units, left)
    return least, least_dest, out_node, out_service, out_units, proven


@njit(cache=True, nogil=True)
def cheapest_cover(
    c: Columns,
    order: int,
    dest: int,
    offers: Offers,
    contents: Contents,
    left: Ints,
    node_left: Ints,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    layers: int,
    enough: float,
    table_most: int,
) -> tuple[Floats, Ints, Ints, Ints, bool]:
    """Serve every content of an order at one destination at least cost.

    Parameters
    ----------
    enough
        A cost of the whole order at which nothing more needs to be decided.

    Returns
    -------
    cost, at, code, service, holds
        (layers + 1, T) as `cover`, never above the truth; candidate node, content and service of each parcel of the whole
        order; whether these parcels can be made together, so that their cost is exact.
    """
    m, total = len(offers.nodes), len(contents.low)
    full = total - 1
    complete = c.order_ship_complete[order]
    apart = np.zeros(m, dtype=np.bool_)
    apart_at = np.empty(APART_MAX, dtype=np.int64)
    count, work = 0, 0
    while True:
        best, best_at = best_parcels(c, order, dest, offers, apart, contents, left, node_left, node_price, parcel_extra)
        cost, choice = cover(best, contents, open_cents, complete, layers)
        share = np.zeros((count, layers + 1, total), dtype=np.int64)
        share_in = np.zeros((count, layers + 1, total), dtype=np.int64)
        for x in range(count):
            codes, ways, _ = node_ways(
                c, order, dest, offers, apart_at[x], contents, left, node_left, node_price, parcel_extra
            )
            cost = join(cost, contents, codes, ways, layers, share[x], share_in[x])
            work += len(codes) * total
        if cost[layers, full] >= enough:
            none = np.empty(0, dtype=np.int64)
            return cost, none, none, none, False
        # parcels of the whole order, from the nodes set apart and then from the others
        room = 64 + count * (c.lane_zone.shape[2] + 1)
        at, code, service = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
        made, rest, p = 0, full, layers
        for x in range(count - 1, -1, -1):
            content, k = share[x, p, rest], share_in[x, p, rest]
            if content == 0:
                continue
            rest -= content
            p -= k if layers else 0
            codes, ways, part = node_ways(
                c, order, dest, offers, apart_at[x], contents, left, node_left, node_price, parcel_extra
            )
            made = unfold(c, dest, offers, apart_at[x], codes, part, content, k, at, code, service, made)
        before = made
        while rest > 0:
            content = choice[p, rest]
            if content == 0:
                rest -= contents.radix[contents.low[rest]]
                continue
            if made == len(at):
                at, code, service = grown(at), grown(code), grown(service)
            j = offers.nodes[best_at[content]]
            at[made], code[made] = best_at[content], content
            service[made] = best_service(c, order, dest, j, contents.grams[content], contents.services[content])[0]
            made += 1
            rest -= content
            p -= 1 if layers else 0
        clash = first_clash(
            c, order, offers, contents, left, node_left, at[before:made], code[before:made], service[before:made]
        )
        if clash < 0 or count == APART_MAX or work + total > table_most:
            return cost, at[:made], code[:made], service[:made], clash < 0
        apart[clash] = True
        apart_at[count] = clash
        count += 1


@njit(cache=True, nogil=True)
def grown(column: Ints) -> Ints:
    """Twice the room."""
    return np.concatenate((column, np.empty_like(column)))


@njit(cache=True, nogil=True)
def first_clash(
    c: Columns,
    order: int,
    offers: Offers,
    contents: Contents,
    left: Ints,
    node_left: Ints,
    at: Ints,
    code: Ints,
    service: Ints,
) -> int:
    """Find a candidate node whose parcels, priced one by one, cannot be made together at that price; -1 if there is none."""
    first = c.order_line_start[order]
    n = len(contents.radix)
    for a in range(len(at)):
        twice = False
        for b in range(a):
            if at[b] == at[a]:
                twice = True
                if service[b] == service[a]:
                    return at[a]
        if not twice:
            continue
        node = offers.nodes[at[a]]
        units = np.zeros(n, dtype=np.int64)
        parcels = 0
        for b in range(len(at)):
            if at[b] == at[a]:
                parcels += 1
                for k in range(n):
                    units[k] += units_in(code[b], contents.radix, k, c.line_qty[first + k])
        if 0 < node_left[node] < parcels:
            return at[a]
        for k in range(n):
            if units[k] > offers.avail[at[a], k]:
                return at[a]
        if overdrawn(c, options_at(c, order, node), units, left):
            return at[a]
    return -1


@njit(cache=True, nogil=True)
def node_ways(
    c: Columns,
    order: int,
    dest: int,
    offers: Offers,
    at: int,
    contents: Contents,
    left: Ints,
    node_left: Ints,
    node_price: Floats,
    parcel_extra: float,
) -> tuple[Ints, Floats, Ints]:
    """Price all that one node can give, in one parcel, two, ... by distinct services.

    Returns
    -------
    codes
        (t,) the contents that the node can give, the empty one first.
    ways
        (M + 1, t) cost of each in exactly k parcels.
    part
        (M + 1, M + 1, t) after the first s services, in k parcels: which content goes by the last of these services (0: none).
    """
    total = len(contents.low)
    node = offers.nodes[at]
    own = c.dest_node[dest] == node
    count = 1 if own else c.lane_zone.shape[2]
    codes, picked = np.empty(total, dtype=np.int64), np.empty(total)
    t = at_node(c, order, offers, at, c.node_line_cents[node], contents, left, codes, picked)
    codes, picked = codes[:t], picked[:t]
    where = np.full(total, -1, dtype=np.int64)
    for i in range(t):
        where[codes[i]] = i
    guard, packed = contents.guard[0], contents.packed
    ways = np.full((count + 1, t), INF)
    ways[0, 0] = 0.0
    part = np.zeros((count + 1, count + 1, t), dtype=np.int64)
    opening = c.node_parcel_cents[node] + node_price[node] + parcel_extra
    single = np.empty(t)
    for s in range(count):
        service = NO_SERVICE if own else s
        single[:] = INF
        for i in range(1, t):
            if own or (contents.services[codes[i]] >> s & 1 and c.lane_zone[dest, node, s] >= 0):
                travel = travel_cents(c, order, dest, node, service, contents.grams[codes[i]])
                single[i] = travel + picked[i] + opening
        # downwards, so that each service is used once
        for k in range(s + 1, 0, -1):
            over = 0.0
            if node_left[node] < k:
                if c.node_overtime_cents[node] == HARD:
                    continue
                over = float(c.node_overtime_cents[node])
            for i in range(t - 1, 0, -1):
                rest = packed[codes[i]] | guard
                for a in range(1, i + 1):
                    if single[a] + over < ways[k, i] and (rest - packed[codes[a]]) & guard == guard:
                        remain = where[codes[i] - codes[a]]
                        cents = single[a] + over + ways[k - 1, remain] if remain >= 0 else INF
                        if cents < ways[k, i]:
                            ways[k, i] = cents
                            part[s + 1, k, i] = codes[a]
    return codes, ways, part


@njit(cache=True, nogil=True)
def join(
    cost: Floats, contents: Contents, codes: Ints, ways: Floats, layers: int, share: Ints, share_in: Ints
) -> Floats:
    """Let one more node take part: `cost` as of `cover`, with what its part in `share`, in how many parcels `share_in`."""
    total = cost.shape[1]
    guard, packed = contents.guard[0], contents.packed
    after = cost.copy()
    for k in range(1, len(ways)):
        step = k if layers else 0
        if step > layers:
            break
        for i in range(1, len(codes)):
            cents, content = ways[k, i], codes[i]
            if cents >= INF:
                continue
            for code in range(content, total):
                if ((packed[code] | guard) - packed[content]) & guard == guard:
                    for p in range(step, layers + 1):
                        whole = cost[p - step, code - content] + cents
                        if whole < after[p, code]:
                            after[p, code] = whole
                            share[p, code] = content
                            share_in[p, code] = k
    return after


@njit(cache=True, nogil=True)
def unfold(
    c: Columns,
    dest: int,
    offers: Offers,
    at: int,
    codes: Ints,
    part: Ints,
    content: int,
    parcels: int,
    out_at: Ints,
    out_code: Ints,
    out_service: Ints,
    made: int,
) -> int:
    """Write down the parcels of one node that ship a content in so many parcels; returns how many are written."""
    own = c.dest_node[dest] == offers.nodes[at]
    rest, k = content, parcels
    for s in range(len(part) - 1, 0, -1):
        if k == 0:
            break
        i = 0
        while codes[i] != rest:
            i += 1
        by_service = part[s, k, i]
        if by_service > 0:
            out_at[made], out_code[made], out_service[made] = at, by_service, NO_SERVICE if own else s - 1
            made += 1
            rest -= by_service
            k -= 1
    return made


@njit(cache=True, nogil=True)
def within_rows(c: Columns, order: int, node: Ints, units: Ints, left: Ints) -> bool:
    """Tell whether the rows hold what all parcels of an order draw together: (p,) node, (p, n) units."""
    p, n = units.shape
    option = np.empty(p * n, dtype=np.int64)
    for i in range(p):
        option[i * n : (i + 1) * n] = options_at(c, order, node[i])
    return not overdrawn(c, option, units.copy().reshape(p * n), left)


__all__ = ["TABLE_MAX", "TABLE_MAX_PRICING", "cheapest_cover", "cover", "layers_of", "split_few"]
