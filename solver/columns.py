"""Every parcel that a better plan could still use.

At prices with bound `B`, the cheapest plan that contains a given parcel costs at least `B` plus that parcel's reduced cost: its own
cost at the prices, plus the least cost of the rest of its order, less the least cost of the whole order. Where that passes the
cost of a plan already known, no better plan has the parcel (reduced-cost fixing).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from solver.many import lane_bounds
from solver.offers import INF, at_node, best_service, contents_of, offers_of, opening_cents, units_in
from solver.parcel import travel_cents
from solver.prices import Priced, Pricing
from solver.problem import NO_SERVICE, Columns, Floats, Ints
from solver.split import TABLE_MAX_PRICING, cheapest_cover, layers_of


@dataclass(frozen=True)
class Parcels:
    """Parcels of small orders that may be in a better plan: N of them, with their entries.

    `cents` is a parcel's own bill without overtime; `reduced` what it costs above the best of its order at the prices.
    """

    order: Ints
    dest: Ints
    node: Ints
    service: Ints
    cents: Ints
    reduced: Floats
    entry_start: Ints
    entry_line: Ints
    entry_units: Ints


@dataclass(frozen=True)
class Lanes:
    """Lanes (order, destination, node, service) that orders of many lines may still use."""

    order: Ints
    dest: Ints
    node: Ints
    service: Ints
    reduced: Floats


def parcels_within(pricing: Pricing, priced: Priced, slack: float, most: int) -> Parcels | None:
    """List the parcels of all small orders whose reduced cost is at most `slack`; `None` if they are more than `most`."""
    room = 4096
    while True:
        entries = room * 3
        out = [np.zeros(room, dtype=np.int64) for _ in range(5)]
        reduced = np.zeros(room)
        start, line, units = np.zeros(room + 1, np.int64), np.zeros(entries, np.int64), np.zeros(entries, np.int64)
        n, e = _parcels_within(
            pricing.problem.columns, pricing.orders[pricing.few], pricing.left, pricing.open_nodes, priced.row_price,
            priced.node_price, pricing.problem.line_open_cents.astype(np.float64), slack, priced.order_value,
            out[0], out[1], out[2], out[3], out[4], reduced, start, line, units,
        )  # fmt: skip
        if n >= 0:
            order, dest, node, service, cents = (column[:n] for column in out)
            return Parcels(order, dest, node, service, cents, reduced[:n], start[: n + 1], line[:e], units[:e])
        room *= 4
        if room > 8 * most:
            return None


def lanes_within(pricing: Pricing, priced: Priced, slack: float) -> Lanes:
    """List the lanes of all orders of many lines whose reduced cost is at most `slack`."""
    rows = []
    for order in pricing.orders[~pricing.few]:
        key, bound = lane_bounds(
            pricing.problem.columns, int(order), pricing.left, pricing.open_nodes, priced.row_price, priced.node_price,
            priced.line_price,
        )  # fmt: skip
        # at these line prices the bound with a lane may be below that of the order, which may have been proven otherwise
        reduced = np.maximum(0.0, bound - priced.order_value[order])
        rows.append((key[reduced <= slack], reduced[reduced <= slack]))
    keys = np.concatenate([row[0] for row in rows]) if rows else np.zeros((0, 4), dtype=np.int64)
    reduced = np.concatenate([row[1] for row in rows]) if rows else np.zeros(0)
    return Lanes(keys[:, 0], keys[:, 1], keys[:, 2], keys[:, 3], reduced)


@njit(cache=True)
def _parcels_within(
    c: Columns,
    orders: Ints,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    slack: float,
    order_value: Floats,
    out_order: Ints,
    out_dest: Ints,
    out_node: Ints,
    out_service: Ints,
    out_cents: Ints,
    out_reduced: Floats,
    out_start: Ints,
    out_line: Ints,
    out_units: Ints,
) -> tuple[int, int]:
    """Fill the output columns; returns how many parcels and entries, or (-1, -1) where they have no room."""
    made, entries = 0, 0
    nothing_priced = np.zeros_like(row_price)
    for order in orders:
        first, last = c.order_line_start[order], c.order_line_start[order + 1]
        offers = offers_of(c, order, left, node_left, row_price)
        plain = offers_of(c, order, left, node_left, nothing_priced).unit
        contents = contents_of(c, order)
        total, n = len(contents.low), last - first
        full = total - 1
        layers = layers_of(c, order)
        codes, picked = np.empty(total, dtype=np.int64), np.empty(total)
        for dest in range(c.order_dest_start[order], c.order_dest_start[order + 1]):
            cost = cheapest_cover(
                c, order, dest, offers, contents, left, node_left, node_price, open_cents[first:last], 0.0, layers, INF,
                TABLE_MAX_PRICING,
            )[0]  # fmt: skip
            rest = cost[layers - 1] if layers else cost[0]
            for at in range(len(offers.nodes)):
                j = offers.nodes[at]
                fixed = opening_cents(c, j, node_left, node_price, 0.0)
                own = c.dest_node[dest] == j
                for i in range(1, at_node(c, order, offers, at, c.node_line_cents[j], contents, left, codes, picked)):
                    code = codes[i]
                    beside = fixed + picked[i] + rest[full - code] - order_value[order]
                    if beside > slack:
                        continue
                    grams, services = contents.grams[code], contents.services[code]
                    cheapest, least = best_service(c, order, dest, j, grams, services)
                    if beside + least > slack:
                        continue
                    only = (
                        cheapest >= 0
                        and contents.grams[full] <= c.service_merges_g[cheapest, c.lane_zone[dest, j, cheapest]]
                    )
                    for s in range(1 if own else c.lane_zone.shape[2]):
                        service = NO_SERVICE if own else s
                        if not own and not (services >> s & 1 and c.lane_zone[dest, j, s] >= 0):
                            continue
                        if only and s != cheapest:
                            continue
                        travel = travel_cents(c, order, dest, j, service, grams)
                        if beside + travel > slack:
                            continue
                        if made >= len(out_order) or entries + n > len(out_line):
                            return -1, -1
                        cents = float(c.node_parcel_cents[j] + travel)
                        for k in range(n):
                            units = units_in(code, contents.radix, k, c.line_qty[first + k])
                            if units > 0:
                                cents += units * plain[at, k] + c.node_line_cents[j]
                                out_line[entries] = first + k
                                out_units[entries] = units
                                entries += 1
                        out_order[made], out_dest[made], out_node[made], out_service[made] = order, dest, j, service
                        out_cents[made] = round(cents)
                        out_reduced[made] = beside + travel
                        made += 1
                        out_start[made] = entries
    return made, entries


__all__ = ["Lanes", "Parcels", "lanes_within", "parcels_within"]
