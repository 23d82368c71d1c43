"""`nearest`: each line from the closest node that has it, staying with nodes that the order already uses."""

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from solver.draft import Draft, has_room, new_draft, plan_of, put, roomier
from solver.effort import Effort, Meter, Watch, unwatched
from solver.offers import offers_of, options_at
from solver.packing import collected, draw_all, pack, room, take
from solver.plan import Plan
from solver.policies.cheapest import own_bound
from solver.problem import Columns, Floats, Ints, Problem


@dataclass(frozen=True)
class Nearest:
    """Decide order by order, line by line, by distance alone. A pickup order is collected where most of it lies."""

    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide the orders in the order in which they stand."""
        meter = Meter(self.effort, self.watch)
        draft = new_draft(problem)
        c, where = problem.columns, _places(problem)
        at = 0
        while at < problem.orders:
            at = _serve(c, at, draft, *where)
            if at < problem.orders:
                draft = roomier(problem, draft)
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        return plan_of(problem, draft, own_bound(problem, meter), *prices, meter.seconds, "nearest", self.seed)


def _places(problem: Problem) -> tuple[Floats, Floats, Floats, Floats]:
    """Where nodes and destinations are, as writable columns."""
    columns = (problem.node_lat, problem.node_lon, problem.dest_lat, problem.dest_lon)
    return tuple(np.nan_to_num(np.array(column)) for column in columns)  # type: ignore[return-value]


@njit(cache=True)
def _serve(
    c: Columns, start: int, draft: Draft, node_lat: Floats, node_lon: Floats, dest_lat: Floats, dest_lon: Floats
) -> int:
    """Serve orders from `start` on; returns the first that found no room in the draft, or their number."""
    prices = np.zeros(len(draft.left))
    drawn = np.zeros_like(draft.left)
    for order in range(start, len(c.order_late_cents)):
        first, last = c.order_line_start[order], c.order_line_start[order + 1]
        nodes, avail, _, _ = offers_of(c, order, draft.left, draft.node_left, prices)
        dest = collected(c, order, nodes, avail)
        away = np.empty(len(nodes))
        option = np.empty((len(nodes), last - first), dtype=np.int64)
        opening = np.empty(len(nodes))
        for at in range(len(nodes)):
            j = nodes[at]
            # the chord grows with the distance, and that is all that is asked of it
            away[at] = _chord(node_lat[j], node_lon[j], dest_lat[dest], dest_lon[dest])
            option[at] = options_at(c, order, j)
            opening[at] = float(c.node_parcel_cents[j])
        units = _walk(c, order, dest, nodes, option, avail, away, opening, draft, drawn)
        if c.order_ship_complete[order] and units.sum() < c.line_qty[first:last].sum():
            continue
        _, to, node, service, units_of = pack(c, order, 0.0, dest, nodes, units, opening, draft.node_left, 0.0)
        if not has_room(c, draft, len(node) * (last - first)):
            return order
        put(c, draft, order, to, node, service, units_of)
    return len(c.order_late_cents)


@njit(cache=True)
def _walk(
    c: Columns,
    order: int,
    dest: int,
    nodes: Ints,
    option: Ints,
    avail: Ints,
    away: Floats,
    opening: Floats,
    draft: Draft,
    drawn: Ints,
) -> Ints:
    """Give each line to the closest node in use that has it, else to the closest of all: (m, n) units.

    `drawn` is (R,) zeros, and zeros again afterwards.
    """
    first = c.order_line_start[order]
    m, n = avail.shape
    most = c.order_max_parcels[order]
    units = np.zeros((m, n), dtype=np.int64)
    used = np.zeros(m, dtype=np.bool_)
    barred = np.zeros((m, n), dtype=np.bool_)
    for k in range(n):
        rest = c.line_qty[first + k]
        while rest > 0:
            chosen = -1
            for at in range(m):
                if (
                    barred[at, k]
                    or units[at, k] > 0
                    or avail[at, k] == 0
                    or room(c, option[at, k], draft.left, drawn) <= 0
                ):
                    continue
                if (
                    chosen < 0
                    or (used[at] and not used[chosen])
                    or (used[at] == used[chosen] and away[at] < away[chosen])
                ):
                    chosen = at
            if chosen < 0:
                break
            wanted = min(rest, avail[chosen, k])
            amount = take(
                c,
                order,
                dest,
                nodes,
                option,
                opening,
                chosen,
                k,
                wanted,
                most,
                draft.left,
                draft.node_left,
                units,
                drawn,
            )
            barred[chosen, k] = amount == 0
            used[chosen] |= amount > 0
            rest -= amount
    draw_all(c, option, units, -1, drawn)
    return units


@njit(cache=True)
def _chord(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Compare distances on the globe: the sine of half the angle, squared."""
    p, q = np.radians(lat_a), np.radians(lat_b)
    return np.sin((q - p) / 2) ** 2 + np.cos(p) * np.cos(q) * np.sin(np.radians(lon_b - lon_a) / 2) ** 2


__all__ = ["Nearest"]
