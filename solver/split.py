"""The exact best way to serve one order of few units: dynamic programming over what is still to be served.

A *content* is a vector of units by line, coded as one integer in mixed radix (`qty + 1` values a digit). The cheapest single
parcel of every content, over all nodes and services, feeds a recursion over what remains of the order (Lagrangian subproblem of
the joint wave; for whole lines see Jasin and Sinha 2015). It prices two parcels from one node independently, which can only be too
cheap; where the answer does so, `split_by_node` decides again, node by node, and is exact.
"""

import numpy as np
from numba import njit

from solver.parcel import late_cents, travel_cents
from solver.problem import HARD, NO_LIMIT, NO_SERVICE, Columns, Floats, Ints

INF = 1e300
PAIRS_MAX = 600_000.0
"""Orders with more (content, remainder) pairs than this are left to `solver.many`. Twelve single units are 531,441."""
TABLE_MAX = 40_000_000
"""Work that `split_by_node` may take on where an order is decided."""
TABLE_MAX_PRICING = 400_000
"""The same where orders are priced again and again."""


@njit(cache=True)
def pairs_of(c: Columns, order: int) -> float:
    """Count the pairs of a content and what it was taken from: the steps of the recursion."""
    pairs = 1.0
    for line in range(c.order_line_start[order], c.order_line_start[order + 1]):
        qty = float(c.line_qty[line])
        pairs *= (qty + 1) * (qty + 2) / 2
        if pairs > 1e15:
            return 1e15
    return pairs


@njit(cache=True)
def candidates(
    c: Columns, order: int, left: Ints, node_left: Ints, row_price: Floats, scratch: Ints
) -> tuple[Ints, Ints, Floats, np.ndarray]:
    """Gather the nodes that can serve any line of an order now.

    Parameters
    ----------
    left, node_left
        (R,), (J,) what is left of each resource row, and the parcels each node can still make within its capacity.
    scratch
        (R,) zeros, and zeros again afterwards.

    Returns
    -------
    nodes, avail, unit, tight
        (m,) nodes; (m, n) units of each line that it can give; (m, n) cost of one unit there, prices included;
        (m,) whether its lines share a row that cannot give what they could take together.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    slot = np.full(len(c.node_ready_days), -1, dtype=np.int64)
    nodes = np.empty(len(c.node_ready_days), dtype=np.int64)
    m = 0
    for line in range(first, last):
        for q in range(c.line_option_start[line], c.line_option_start[line + 1]):
            j = c.option_node[q]
            if c.option_reason[q] == 0 and slot[j] < 0 and (node_left[j] > 0 or c.node_overtime_cents[j] != HARD):
                if c.option_row[q, 0] < 0 or left[c.option_row[q, 0]] > 0:
                    slot[j] = m
                    nodes[m] = j
                    m += 1
    nodes = nodes[:m].copy()
    avail = np.zeros((m, n), dtype=np.int64)
    unit = np.zeros((m, n))
    option = np.full((m, n), -1, dtype=np.int64)
    for line in range(first, last):
        for q in range(c.line_option_start[line], c.line_option_start[line + 1]):
            at = slot[c.option_node[q]]
            if at < 0 or c.option_reason[q] != 0:
                continue
            most = c.line_qty[line]
            cents = float(c.option_cents[q])
            for w in range(c.option_row.shape[1]):
                row, use = c.option_row[q, w], c.option_use[q, w]
                if row >= 0 and use > 0:
                    most = min(most, left[row] // use)
                    cents += use * row_price[row]
            avail[at, line - first] = most
            unit[at, line - first] = cents
            option[at, line - first] = q
    tight = np.zeros(m, dtype=np.bool_)
    for at in range(m):
        tight[at] = not draws(c, option[at], avail[at], left, scratch)
    return nodes, avail, unit, tight


@njit(cache=True)
def draws(c: Columns, option: Ints, units: Ints, left: Ints, scratch: Ints) -> bool:
    """Tell whether the rows hold what these options (-1: none) draw together."""
    fits = True
    for k in range(len(option)):
        if option[k] >= 0 and units[k] > 0:
            for w in range(c.option_row.shape[1]):
                row = c.option_row[option[k], w]
                if row >= 0:
                    scratch[row] += units[k] * c.option_use[option[k], w]
                    if scratch[row] > left[row]:
                        fits = False
    for k in range(len(option)):
        if option[k] >= 0 and units[k] > 0:
            for w in range(c.option_row.shape[1]):
                row = c.option_row[option[k], w]
                if row >= 0:
                    scratch[row] = 0
    return fits


@njit(cache=True)
def options_at(c: Columns, order: int, node: int) -> Ints:
    """Find the option of each line of an order at one node, -1 where it is none."""
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    found = np.full(last - first, -1, dtype=np.int64)
    for line in range(first, last):
        low, high = c.line_option_start[line], c.line_option_start[line + 1]
        end = high
        while low < high:
            middle = (low + high) // 2
            if c.option_node[middle] < node:
                low = middle + 1
            else:
                high = middle
        if low < end and c.option_node[low] == node and c.option_reason[low] == 0:
            found[line - first] = low
    return found


@njit(cache=True)
def contents_of(c: Columns, order: int) -> tuple[Ints, np.ndarray, Ints, Ints, Ints]:
    """List the contents of an order.

    Returns
    -------
    radix, digit, low, grams, services
        (n,) what one unit of a line adds to the code; (T, n) units by line; (T,) the first line with a unit;
        (T,) weight; (T,) the set of services that may carry it, as bits.
    """
    first = c.order_line_start[order]
    n = c.order_line_start[order + 1] - first
    radix = np.ones(n, dtype=np.int64)
    for k in range(1, n):
        radix[k] = radix[k - 1] * (c.line_qty[first + k - 1] + 1)
    total = radix[n - 1] * (c.line_qty[first + n - 1] + 1)
    digit = np.zeros((total, n), dtype=np.int32)
    low = np.zeros(total, dtype=np.int64)
    grams = np.zeros(total, dtype=np.int64)
    services = np.full(total, -1, dtype=np.int64)
    for code in range(1, total):
        rest = code
        for k in range(n - 1, -1, -1):
            digit[code, k] = rest // radix[k]
            rest -= digit[code, k] * radix[k]
            if digit[code, k] > 0:
                low[code] = k
        k = low[code]
        sku = c.line_sku[first + k]
        grams[code] = grams[code - radix[k]] + c.sku_weight_g[sku]
        services[code] = services[code - radix[k]] & c.sku_services[sku]
    return radix, digit, low, grams, services


@njit(cache=True)
def travel_by_class(c: Columns, order: int, dest: int, nodes: Ints, grams: Ints, services: Ints) -> tuple[Ints, Floats]:
    """Price carriage and lateness of every content, once for all nodes alike in zones and ready days.

    Returns
    -------
    kind, travel
        (m,) the class of each node; (classes, T) the cheapest allowed service, `INF` where none carries it.
    """
    m, total, count = len(nodes), len(grams), c.lane_zone.shape[2]
    kind = np.zeros(m, dtype=np.int64)
    lead = np.zeros(m, dtype=np.int64)
    kinds = 0
    for at in range(m):
        j = nodes[at]
        found = -1
        if c.dest_node[dest] != j:
            for k in range(kinds):
                i = lead[k]
                same = c.dest_node[dest] != i and c.node_ready_days[i] == c.node_ready_days[j]
                for s in range(count):
                    if c.lane_zone[dest, i, s] != c.lane_zone[dest, j, s]:
                        same = False
                        break
                if same:
                    found = k
                    break
        if found < 0:
            found = kinds
            lead[kinds] = j
            kinds += 1
        kind[at] = found
    travel = np.full((kinds, total), INF)
    for k in range(kinds):
        j = lead[k]
        if c.dest_node[dest] == j:
            here = float(late_cents(c, order, c.node_ready_days[j]))
            for code in range(1, total):
                travel[k, code] = here
            continue
        for s in range(count):
            if c.lane_zone[dest, j, s] < 0:
                continue
            for code in range(1, total):
                if services[code] >> s & 1:
                    cents = float(travel_cents(c, order, dest, j, s, grams[code]))
                    travel[k, code] = min(travel[k, code], cents)
    return kind, travel


@njit(cache=True)
def opening_cents(c: Columns, node: int, node_left: Ints, node_price: Floats, parcel_extra: float) -> float:
    """Price opening one more parcel at a node: handling, overtime where it is full, and the price of its capacity."""
    cents = c.node_parcel_cents[node] + node_price[node] + parcel_extra
    if node_left[node] <= 0:
        cents += c.node_overtime_cents[node]
    return cents


@njit(cache=True)
def best_parcels(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    avail: Ints,
    unit: Floats,
    tight: np.ndarray,
    radix: Ints,
    digit: np.ndarray,
    low: Ints,
    grams: Ints,
    services: Ints,
    left: Ints,
    node_left: Ints,
    node_price: Floats,
    parcel_extra: float,
    scratch: Ints,
) -> tuple[Floats, Ints]:
    """Find the cheapest single parcel of every content: (T,) its cost, `INF` where there is none, and (T,) its candidate node."""
    total = len(grams)
    best = np.full(total, INF)
    best_at = np.full(total, -1, dtype=np.int64)
    kind, travel = travel_by_class(c, order, dest, nodes, grams, services)
    picked = np.zeros(total)
    possible = np.zeros(total, dtype=np.bool_)
    possible[0] = True
    for at in range(len(nodes)):
        j = nodes[at]
        fixed = opening_cents(c, j, node_left, node_price, parcel_extra)
        line_cents = c.node_line_cents[j]
        option = options_at(c, order, j) if tight[at] else low[:0]
        for code in range(1, total):
            k = low[code]
            before = code - radix[k]
            possible[code] = possible[before] and digit[code, k] <= avail[at, k]
            if not possible[code]:
                continue
            picked[code] = picked[before] + unit[at, k]
            if digit[code, k] == 1:
                picked[code] += line_cents
            if tight[at] and not draws(c, option, digit[code].astype(np.int64), left, scratch):
                possible[code] = False
                continue
            cents = fixed + travel[kind[at], code] + picked[code]
            if cents < best[code]:
                best[code] = cents
                best_at[code] = at
    return best, best_at


@njit(cache=True)
def cover(
    best: Floats,
    radix: Ints,
    digit: np.ndarray,
    low: Ints,
    open_cents: Floats,
    complete: bool,
    layers: int,
) -> tuple[Floats, Ints]:
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
    total, n = digit.shape
    cost = np.full((layers + 1, total), INF)
    choice = np.zeros((layers + 1, total), dtype=np.int64)
    part = np.zeros(n, dtype=np.int64)
    for p in range(layers + 1):
        before = p - 1 if layers else 0
        cost[p, 0] = 0.0
        for code in range(1, total):
            k0 = low[code]
            least = INF
            chosen = 0
            if not complete:
                least = cost[p, code - radix[k0]] + open_cents[k0]
            if layers and p == 0:
                cost[p, code] = least
                continue
            part[:] = 0
            part[k0] = 1
            content = radix[k0]
            while True:
                if best[content] < least:
                    cents = best[content] + cost[before, code - content]
                    if cents < least:
                        least = cents
                        chosen = content
                k = k0
                while k < n and part[k] == digit[code, k]:
                    reset = part[k] - (1 if k == k0 else 0)
                    content -= reset * radix[k]
                    part[k] -= reset
                    k += 1
                if k == n:
                    break
                part[k] += 1
                content += radix[k]
            cost[p, code] = least
            choice[p, code] = chosen
    return cost, choice


@njit(cache=True)
def best_service(c: Columns, order: int, dest: int, node: int, grams: int, services: int) -> tuple[int, float]:
    """Choose the cheapest service for a parcel: (service, carriage and lateness), `INF` where none carries it."""
    if c.dest_node[dest] == node:
        return NO_SERVICE, float(travel_cents(c, order, dest, node, NO_SERVICE, grams))
    chosen, least = NO_SERVICE, INF
    for s in range(c.lane_zone.shape[2]):
        if services >> s & 1:
            cents = float(travel_cents(c, order, dest, node, s, grams))
            if 0 <= cents < least:
                chosen, least = s, cents
    return chosen, least


@njit(cache=True)
def layers_of(c: Columns, order: int) -> int:
    """Parcels that an order may have, 0 where that never binds."""
    units = 0
    for line in range(c.order_line_start[order], c.order_line_start[order + 1]):
        units += c.line_qty[line]
    most = c.order_max_parcels[order]
    return 0 if most >= units else most


@njit(cache=True)
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
    scratch: Ints,
) -> tuple[float, int, Ints, Ints, Ints, bool]:
    """Serve one order at least cost.

    Parameters
    ----------
    open_cents
        (L,) cost of leaving a unit of each line open.
    parcel_extra
        Added to the cost of every parcel (a policy that counts parcels sets it high).
    table_most
        Work that deciding again, node by node, may take where the recursion took twice from one node. Where that is not
        enough, the cost is only a lower bound and the parcels may overdraw that node.

    Returns
    -------
    cost, dest, node, service, units, proven
        The cost, prices included; where it goes; (p,) node and service and (p, n) units of each parcel; whether the cost is
        that of these parcels, and no other way of serving the order costs less.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    nodes, avail, unit, tight = candidates(c, order, left, node_left, row_price, scratch)
    radix, digit, low, grams, services = contents_of(c, order)
    full = len(grams) - 1
    nothing = 0.0
    for k in range(n):
        nothing += open_cents[first + k] * c.line_qty[first + k]
    complete = c.order_ship_complete[order]
    layers = layers_of(c, order)
    least = nothing
    least_dest = c.order_dest_start[order]
    out_node = np.empty(0, dtype=np.int64)
    out_service = np.empty(0, dtype=np.int64)
    out_units = np.empty((0, n), dtype=np.int64)
    proven = True
    for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
        best, best_at = best_parcels(
            c, order, dest, nodes, avail, unit, tight, radix, digit, low, grams, services, left, node_left, node_price,
            parcel_extra, scratch,
        )  # fmt: skip
        cost, choice = cover(best, radix, digit, low, open_cents[first:last], complete, layers)
        if cost[layers, full] >= least:
            continue
        contents, at = trace(choice, best_at, radix, low, layers, full)
        if twice(at):
            cents, by_node, by_service, by_units, decided = split_by_node(
                c, order, dest, nodes, avail, tight, unit, radix, digit, low, grams, services, left, node_left, node_price,
                open_cents[first:last], parcel_extra, complete, layers, table_most, scratch,
            )  # fmt: skip
            proven = proven and decided
            if decided:
                if cents < least:
                    least, least_dest = cents, dest
                    out_node, out_service, out_units = by_node, by_service, by_units
                continue
        least, least_dest = cost[layers, full], dest
        out_node = np.empty(len(contents), dtype=np.int64)
        out_service = np.empty(len(contents), dtype=np.int64)
        out_units = np.zeros((len(contents), n), dtype=np.int64)
        for p in range(len(contents)):
            j = nodes[at[p]]
            out_node[p] = j
            out_service[p] = best_service(c, order, dest, j, grams[contents[p]], services[contents[p]])[0]
            for k in range(n):
                out_units[p, k] = digit[contents[p], k]
    # a row may be shared by nodes, which the recursion takes one by one
    proven = proven and within_rows(c, order, out_node, out_units, left, scratch)
    return least, least_dest, out_node, out_service, out_units, proven


@njit(cache=True)
def within_rows(c: Columns, order: int, node: Ints, units: Ints, left: Ints, scratch: Ints) -> bool:
    """Tell whether the rows hold what all parcels of an order draw together: (p,) node, (p, n) units."""
    p, n = units.shape
    option = np.empty(p * n, dtype=np.int64)
    for i in range(p):
        option[i * n : (i + 1) * n] = options_at(c, order, node[i])
    return draws(c, option, units.copy().reshape(p * n), left, scratch)


@njit(cache=True)
def trace(choice: Ints, best_at: Ints, radix: Ints, low: Ints, layers: int, full: int) -> tuple[Ints, Ints]:
    """Follow the choices from the whole order down: (p,) contents and (p,) candidate nodes of its parcels."""
    contents = np.empty(64, dtype=np.int64)
    count = 0
    code, p = full, layers
    while code > 0:
        content = choice[p, code]
        if content == 0:
            code -= radix[low[code]]
            continue
        if count == len(contents):
            contents = np.concatenate((contents, np.empty_like(contents)))
        contents[count] = content
        count += 1
        code -= content
        if layers:
            p -= 1
    contents = contents[:count].copy()
    return contents, best_at[contents]


@njit(cache=True)
def twice(at: Ints) -> bool:
    """Tell whether a candidate node stands twice in a short list."""
    for a in range(len(at)):
        for b in range(a):
            if at[a] == at[b]:
                return True
    return False


@njit(cache=True)
def node_parcels(
    c: Columns,
    order: int,
    dest: int,
    node: int,
    possible: np.ndarray,
    picked: Floats,
    radix: Ints,
    digit: np.ndarray,
    grams: Ints,
    services: Ints,
    node_left: Ints,
    node_price: Floats,
    parcel_extra: float,
) -> tuple[Floats, Ints]:
    """Price every content at one node in one parcel, two, ... by distinct services.

    Returns
    -------
    cost, part
        (M + 1, M + 1, T) after the first s services, in k parcels: the cost of a content, and the part of it that goes by the
        last of these services. A node where the order is collected makes one parcel without a service.
    """
    total = len(grams)
    own = c.dest_node[dest] == node
    count = 1 if own else c.lane_zone.shape[2]
    cost = np.full((count + 1, count + 1, total), INF)
    part = np.zeros((count + 1, count + 1, total), dtype=np.int64)
    cost[0, 0, 0] = 0.0
    for s in range(count):
        single = np.full(total, INF)
        if own or c.lane_zone[dest, node, s] >= 0:
            for code in range(1, total):
                if possible[code] and (own or services[code] >> s & 1):
                    service = NO_SERVICE if own else s
                    cents = travel_cents(c, order, dest, node, service, grams[code])
                    single[code] = cents + picked[code] + c.node_parcel_cents[node] + node_price[node] + parcel_extra
        for k in range(s + 2):
            cost[s + 1, k] = cost[s, k]
            if k == 0:
                continue
            over = c.node_overtime_cents[node] if node_left[node] < k else 0
            if over == HARD:
                continue
            for code in range(1, total):
                if possible[code]:
                    least = cost[s + 1, k, code]
                    for content in range(1, code + 1):
                        if single[content] < least and within(digit, content, code):
                            cents = single[content] + over + cost[s, k - 1, code - content]
                            if cents < least:
                                least = cents
                                part[s + 1, k, code] = content
                    cost[s + 1, k, code] = least
    return cost, part


@njit(cache=True)
def within(digit: np.ndarray, content: int, code: int) -> bool:
    """Tell whether a content is part of another."""
    for k in range(digit.shape[1]):
        if digit[content, k] > digit[code, k]:
            return False
    return True


@njit(cache=True)
def split_by_node(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    avail: Ints,
    tight: np.ndarray,
    unit: Floats,
    radix: Ints,
    digit: np.ndarray,
    low: Ints,
    grams: Ints,
    services: Ints,
    left: Ints,
    node_left: Ints,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    complete: bool,
    layers: int,
    table_most: int,
    scratch: Ints,
) -> tuple[float, Ints, Ints, Ints, bool]:
    """Serve one order exactly, one node after the other, where parcels of one node share its stock and its capacity.

    Returns
    -------
    cost, node, service, units, proven
        As `split_few`; `INF` and not proven where the tables would be too large.
    """
    total, n = digit.shape
    m = len(nodes)
    width = layers + 1
    none = np.empty(0, dtype=np.int64)
    no_units = np.empty((0, n), dtype=np.int64)
    count = c.lane_zone.shape[2]
    if float(m) * width * total * total * (count + 1) > table_most or m * width * total > table_most // 10:
        return INF, none, none, no_units, False
    # cost[p, code]: the least cost of shipping exactly `code` in p parcels from the nodes so far (p is 0 where none limits it)
    cost = np.full((width, total), INF)
    cost[0, 0] = 0.0
    taken = np.zeros((m, width, total), dtype=np.int64)
    taken_in = np.zeros((m, width, total), dtype=np.int64)
    for at in range(m):
        possible, picked = picks(c, order, nodes[at], at, avail, tight, unit, radix, digit, low, left, scratch)
        shipped, _ = node_parcels(
            c,
            order,
            dest,
            nodes[at],
            possible,
            picked,
            radix,
            digit,
            grams,
            services,
            node_left,
            node_price,
            parcel_extra,
        )
        ways = shipped.shape[1] - 1
        after = cost.copy()
        for content in range(1, total):
            if not possible[content]:
                continue
            for k in range(1, ways + 1):
                cents = shipped[ways, k, content]
                if cents >= INF:
                    continue
                step = k if layers else 0
                for code in range(content, total):
                    if not within(digit, content, code):
                        continue
                    for p in range(width - step):
                        whole = cost[p, code - content] + cents
                        if whole < after[p + step, code]:
                            after[p + step, code] = whole
                            taken[at, p + step, code] = content
                            taken_in[at, p + step, code] = k
        cost = after
    # what is not shipped stays open
    least, end_p, end_code = INF, 0, 0
    for p in range(width):
        for code in range(total):
            if cost[p, code] >= INF or (complete and code not in (0, total - 1)):
                continue
            cents = cost[p, code]
            for k in range(n):
                cents += open_cents[k] * (digit[total - 1, k] - digit[code, k])
            if cents < least:
                least, end_p, end_code = cents, p, code
    out_node = np.empty(m * (count + 1), dtype=np.int64)
    out_service = np.empty(m * (count + 1), dtype=np.int64)
    out_units = np.zeros((m * (count + 1), n), dtype=np.int64)
    made = 0
    for at in range(m - 1, -1, -1):
        content, k = taken[at, end_p, end_code], taken_in[at, end_p, end_code]
        if content == 0:
            continue
        end_code -= content
        if layers:
            end_p -= k
        possible, picked = picks(c, order, nodes[at], at, avail, tight, unit, radix, digit, low, left, scratch)
        _, part = node_parcels(
            c,
            order,
            dest,
            nodes[at],
            possible,
            picked,
            radix,
            digit,
            grams,
            services,
            node_left,
            node_price,
            parcel_extra,
        )
        own = c.dest_node[dest] == nodes[at]
        for s in range(part.shape[0] - 1, 0, -1):
            by_last = part[s, k, content]
            if by_last > 0:
                out_node[made] = nodes[at]
                out_service[made] = NO_SERVICE if own else s - 1
                for line in range(n):
                    out_units[made, line] = digit[by_last, line]
                made += 1
                content -= by_last
                k -= 1
    return least, out_node[:made].copy(), out_service[:made].copy(), out_units[:made].copy(), True


@njit(cache=True)
def picks(
    c: Columns,
    order: int,
    node: int,
    at: int,
    avail: Ints,
    tight: np.ndarray,
    unit: Floats,
    radix: Ints,
    digit: np.ndarray,
    low: Ints,
    left: Ints,
    scratch: Ints,
) -> tuple[np.ndarray, Floats]:
    """Tell which contents one node can give, and what picking them costs there."""
    total = len(low)
    possible = np.zeros(total, dtype=np.bool_)
    picked = np.zeros(total)
    possible[0] = True
    option = options_at(c, order, node) if tight[at] else low[:0]
    for code in range(1, total):
        k = low[code]
        before = code - radix[k]
        if not possible[before] or digit[code, k] > avail[at, k]:
            continue
        picked[code] = picked[before] + unit[at, k]
        if digit[code, k] == 1:
            picked[code] += c.node_line_cents[node]
        possible[code] = not tight[at] or draws(c, option, digit[code].astype(np.int64), left, scratch)
    return possible, picked


__all__ = ["INF", "NO_LIMIT", "PAIRS_MAX", "TABLE_MAX", "TABLE_MAX_PRICING", "pairs_of", "split_few"]
