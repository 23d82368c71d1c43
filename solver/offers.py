"""What one node can offer an order of few units: its contents, and what each costs as a single parcel.

A *content* is a vector of units by line, coded as one integer in mixed radix (`qty + 1` values a digit). Beside the code stands a
packed form with a spare bit above each digit, so that "is part of" is one subtraction.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solver.parcel import late_cents, tariff_cents, travel_cents
from solver.problem import HARD, NO_LIMIT, NO_SERVICE, Columns, Floats, Ints

INF = 1e300
PAIRS_MAX = 600_000.0
"""Orders with more (content, remainder) pairs than this are left to `solver.many`. Twelve single units are 531,441."""


class Contents(NamedTuple):
    """All T contents of an order of n lines.

    Attributes
    ----------
    radix
        (n,) what one unit of a line adds to the code.
    low, grams, services, packed
        (T,) the first line with a unit; weight; the services that may carry it, as bits; the packed form.
    guard
        (1,) the spare bits of the packed form.
    """

    radix: Ints
    low: Ints
    grams: Ints
    services: Ints
    packed: Ints
    guard: Ints


class Offers(NamedTuple):
    """What m candidate nodes can give an order of n lines.

    Attributes
    ----------
    nodes
        (m,) the nodes.
    avail, unit
        (m, n) units of each line that a node can give; cost of one unit there, prices included.
    tight
        (m,) whether the lines of a node share a row that cannot give what they could take together.
    """

    nodes: Ints
    avail: Ints
    unit: Floats
    tight: np.ndarray


@njit(cache=True, nogil=True)
def pairs_of(c: Columns, order: int) -> float:
    """Count the pairs of a content and what it was taken from: the steps of the recursion."""
    pairs = 1.0
    for line in range(c.order_line_start[order], c.order_line_start[order + 1]):
        qty = float(c.line_qty[line])
        pairs *= (qty + 1) * (qty + 2) / 2
        if pairs > 1e15:
            return 1e15
    return pairs


@njit(cache=True, nogil=True)
def contents_of(c: Columns, order: int) -> Contents:
    """List the contents of an order."""
    first = c.order_line_start[order]
    n = c.order_line_start[order + 1] - first
    radix = np.empty(n + 1, dtype=np.int64)
    radix[0] = 1
    for k in range(n):
        radix[k + 1] = radix[k] * (c.line_qty[first + k] + 1)
    total = radix[n]
    low = np.empty(total, dtype=np.int64)
    grams = np.empty(total, dtype=np.int64)
    services = np.empty(total, dtype=np.int64)
    packed = np.empty(total, dtype=np.int64)
    low[0], grams[0], services[0], packed[0] = 0, 0, -1, 0
    guard = np.zeros(1, dtype=np.int64)
    shift = 0
    for k in range(n):
        sku = c.line_sku[first + k]
        for q in range(1, c.line_qty[first + k] + 1):
            block = q * radix[k]
            for i in range(radix[k]):
                low[block + i] = low[i] if i else k
                grams[block + i] = grams[i] + q * c.sku_weight_g[sku]
                services[block + i] = services[i] & c.sku_services[sku]
                packed[block + i] = packed[i] + (q << shift)
        shift += shift_width(c.line_qty[first + k])
        guard[0] |= 1 << shift
        shift += 1
    return Contents(radix[:n], low, grams, services, packed, guard)


@njit(cache=True, nogil=True)
def shift_width(qty: int) -> int:
    """Count the bits that hold a number from 0 to `qty`."""
    width = 0
    while qty >> width:
        width += 1
    return width


@njit(cache=True, nogil=True)
def units_in(code: int, radix: Ints, line: int, qty: int) -> int:
    """Read the units of a line off the code of a content."""
    return code // radix[line] % (qty + 1)


@njit(cache=True, nogil=True)
def offers_of(c: Columns, order: int, left: Ints, node_left: Ints, row_price: Floats) -> Offers:
    """Gather the nodes that can serve any line of an order now.

    Parameters
    ----------
    left, node_left
        (R,), (J,) what is left of each resource row, and the parcels each node can still make within its capacity.
    """
    first, last = c.order_line_start[order], c.order_line_start[order + 1]
    n = last - first
    slot = np.full(len(c.node_ready_days), -1, dtype=np.int32)
    nodes = np.empty(len(c.node_ready_days), dtype=np.int64)
    m = 0
    start, qty, overtime, sells = c.line_option_start, c.line_qty, c.node_overtime_cents, c.option_reason
    option_node, option_row, option_use, option_cents = c.option_node, c.option_row, c.option_use, c.option_cents
    for line in range(first, last):
        for q in range(start[line], start[line + 1]):
            j = option_node[q]
            if slot[j] < 0 and sells[q] == 0 and (node_left[j] > 0 or overtime[j] != HARD):
                if option_row[q, 0] < 0 or left[option_row[q, 0]] > 0:
                    slot[j] = m
                    nodes[m] = j
                    m += 1
    avail = np.zeros((m, n), dtype=np.int64)
    unit = np.zeros((m, n))
    option = np.full((m, n), -1, dtype=np.int64)
    for line in range(first, last):
        k = line - first
        for q in range(start[line], start[line + 1]):
            at = slot[option_node[q]]
            if at < 0 or sells[q] != 0:
                continue
            most = qty[line]
            cents = float(option_cents[q])
            for w in range(option_row.shape[1]):
                row, use = option_row[q, w], option_use[q, w]
                if row >= 0 and use > 0:
                    most = min(most, left[row] // use)
                    cents += use * row_price[row]
            avail[at, k] = most
            unit[at, k] = cents
            option[at, k] = q
    tight = np.zeros(m, dtype=np.bool_)
    if n > 1:
        for at in range(m):
            tight[at] = overdrawn(c, option[at], avail[at], left)
    return Offers(nodes[:m], avail, unit, tight)


@njit(cache=True, nogil=True)
def overdrawn(c: Columns, option: Ints, units: Ints, left: Ints) -> bool:
    """Tell whether these options (-1: none) together draw more from a row than it has left."""
    width = c.option_row.shape[1]
    for k in range(len(option)):
        if option[k] < 0 or units[k] == 0:
            continue
        for w in range(width):
            row = c.option_row[option[k], w]
            if row < 0:
                continue
            drawn = 0
            for i in range(len(option)):
                if option[i] >= 0 and units[i] > 0:
                    for v in range(width):
                        if c.option_row[option[i], v] == row:
                            drawn += units[i] * c.option_use[option[i], v]
            if drawn > left[row]:
                return True
    return False


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def option_of(c: Columns, line: int, node: int) -> int:
    """Find the option of a line at a node; there must be one."""
    low, high = c.line_option_start[line], c.line_option_start[line + 1]
    while low < high:
        middle = (low + high) // 2
        if c.option_node[middle] < node:
            low = middle + 1
        else:
            high = middle
    assert c.option_node[low] == node
    return low


@njit(cache=True, nogil=True)
def at_node(
    c: Columns,
    order: int,
    offers: Offers,
    at: int,
    line_cents: float,
    contents: Contents,
    left: Ints,
    codes: Ints,
    picked: Floats,
) -> int:
    """List the contents that one node can give, the empty one first.

    `codes` and `picked` (T,) are filled with each content and what its units and picks (`line_cents` a line) cost there; returns
    how many there are. A content stands after all its parts.
    """
    if offers.tight[at]:
        return at_tight_node(c, order, offers, at, line_cents, contents, left, codes, picked)
    return combine(offers.avail, offers.unit, at, line_cents, contents.radix, codes, picked)


@njit(cache=True, nogil=True, inline="always")
def combine(avail: Ints, unit: Floats, at: int, line_cents: float, radix: Ints, codes: Ints, picked: Floats) -> int:
    """Do so where the lines do not compete: every combination of what there is of each. Inlined: it is the innermost loop."""
    codes[0], picked[0] = 0, 0.0
    count = 1
    for k in range(avail.shape[1]):
        before = count
        for q in range(1, avail[at, k] + 1):
            cents = q * unit[at, k] + line_cents
            code = q * radix[k]
            for i in range(before):
                codes[count] = codes[i] + code
                picked[count] = picked[i] + cents
                count += 1
    return count


@njit(cache=True, nogil=True)
def at_tight_node(
    c: Columns,
    order: int,
    offers: Offers,
    at: int,
    line_cents: float,
    contents: Contents,
    left: Ints,
    codes: Ints,
    picked: Floats,
) -> int:
    """Do the same for a node whose lines share rows that cannot give them all."""
    first = c.order_line_start[order]
    n = len(contents.radix)
    option = options_at(c, order, offers.nodes[at])
    units = np.empty(n, dtype=np.int64)
    codes[0], picked[0] = 0, 0.0
    count = 1
    for k in range(n):
        before = count
        for q in range(1, offers.avail[at, k] + 1):
            for i in range(before):
                code = codes[i] + q * contents.radix[k]
                for u in range(n):
                    units[u] = units_in(code, contents.radix, u, c.line_qty[first + u])
                if not overdrawn(c, option, units, left):
                    codes[count] = code
                    picked[count] = picked[i] + q * offers.unit[at, k] + line_cents
                    count += 1
    return count


@njit(cache=True, nogil=True)
def lane_kinds(zones: NDArray[np.int8], ready: Ints, own: int, nodes: Ints) -> tuple[Ints, Ints]:
    """Sort nodes by what travelling from them is like: (m,) the kind of each, and for each kind one node of it.

    Parameters
    ----------
    zones, ready
        (J, M) the lanes to the destination; (J,) days until a node hands over.
    own
        The node where the order is collected, if it is.
    """
    m, count = len(nodes), zones.shape[1]
    kind = np.empty(m, dtype=np.int64)
    lead = np.empty(m, dtype=np.int64)
    mark = np.empty(m, dtype=np.int64)
    kinds = 0
    for at in range(m):
        j = nodes[at]
        code = ready[j] * 2 + (j == own)
        for s in range(count):
            code = code * 131 + zones[j, s]
        found = -1
        for k in range(kinds):
            if mark[k] == code and alike(zones, ready, own, lead[k], j):
                found = k
                break
        if found < 0:
            found = kinds
            lead[kinds], mark[kinds] = j, code
            kinds += 1
        kind[at] = found
    return kind, lead[:kinds]


@njit(cache=True, nogil=True)
def alike(zones: NDArray[np.int8], ready: Ints, own: int, i: int, j: int) -> bool:
    """Tell whether travel from two nodes is the same by every service."""
    if ready[i] != ready[j] or (i == own) != (j == own):
        return False
    for s in range(zones.shape[1]):
        if zones[i, s] != zones[j, s]:
            return False
    return True


@njit(cache=True, nogil=True)
def best_service(c: Columns, order: int, dest: int, node: int, grams: int, services: int) -> tuple[int, float]:
    """Choose the cheapest service for a parcel: (service, carriage and lateness), `INF` where none carries it."""
    if c.dest_node[dest] == node:
        return NO_SERVICE, float(late_cents(c, order, c.node_ready_days[node]))
    chosen, least = NO_SERVICE, INF
    for s in range(c.lane_zone.shape[2]):
        if services >> s & 1:
            cents = float(travel_cents(c, order, dest, node, s, grams))
            if 0 <= cents < least:
                chosen, least = s, cents
    return chosen, least


@njit(cache=True, nogil=True)
def opening_cents(c: Columns, node: int, node_left: Ints, node_price: Floats, parcel_extra: float) -> float:
    """Price opening one more parcel at a node: handling, overtime where it is full, and the price of its capacity."""
    cents = c.node_parcel_cents[node] + node_price[node] + parcel_extra
    if node_left[node] <= 0:
        cents += c.node_overtime_cents[node]
    return cents


@njit(cache=True, nogil=True)
def best_parcels(
    c: Columns,
    order: int,
    dest: int,
    offers: Offers,
    apart: np.ndarray,
    contents: Contents,
    left: Ints,
    node_left: Ints,
    node_price: Floats,
    parcel_extra: float,
) -> tuple[Floats, Ints]:
    """Find the cheapest single parcel of every content.

    Parameters
    ----------
    apart
        (m,) candidate nodes to leave out.

    Returns
    -------
    best, best_at
        (T,) its cost, `INF` where there is none, and its candidate node.
    """
    total = len(contents.low)
    best = np.full(total, INF)
    best_at = np.full(total, -1, dtype=np.int64)
    zones, own, ready = c.lane_zone[dest], c.dest_node[dest], c.node_ready_days
    steps, steps_g, cents_of, over = c.service_steps, c.service_steps_g, c.service_cents, c.service_over_cents
    transit, promise, late = c.service_transit_days, c.order_promise_days[order], c.order_late_cents[order]
    parcel_cents, line_cents, overtime = c.node_parcel_cents, c.node_line_cents, c.node_overtime_cents
    grams, services, radix = contents.grams, contents.services, contents.radix
    nodes, avail, unit, tight = offers
    kind, lead = lane_kinds(zones, ready, own, nodes)
    travel = np.full((len(lead), total), -1.0)
    codes, picked = np.empty(total, dtype=np.int64), np.empty(total)
    for at in range(len(nodes)):
        if apart[at]:
            continue
        j = nodes[at]
        fixed = parcel_cents[j] + node_price[j] + parcel_extra
        if node_left[j] <= 0:
            fixed += overtime[j]
        if tight[at]:
            count = at_tight_node(c, order, offers, at, line_cents[j], contents, left, codes, picked)
        else:
            count = combine(avail, unit, at, line_cents[j], radix, codes, picked)
        of_kind = travel[kind[at]]
        for i in range(1, count):
            code = codes[i]
            cents = fixed + picked[i]
            if cents >= best[code]:
                continue
            if of_kind[code] < 0:
                least = late * max(0, ready[j] - promise) if j == own else INF
                for s in range(zones.shape[1] if j != own else 0):
                    zone = zones[j, s]
                    if zone >= 0 and services[code] >> s & 1:
                        days = ready[j] + transit[s, zone]
                        carriage = tariff_cents(steps, steps_g, cents_of, over, s, zone, grams[code])
                        least = min(least, carriage + late * max(0, days - promise))
                of_kind[code] = least
            cents += of_kind[code]
            if cents < best[code]:
                best[code] = cents
                best_at[code] = at
    return best, best_at


__all__ = ["INF", "NO_LIMIT", "PAIRS_MAX", "Contents", "Offers", "best_parcels", "contents_of", "offers_of", "pairs_of"]
