"""What the search for a way of serving one order of many lines works on: what its lanes can do, and a way in the making."""

from typing import Any

import numpy as np
from numba import njit, types
from numba.experimental import structref
from numpy.typing import NDArray

from solver.lanes import Lanes, tariff
from solver.offers import INF
from solver.problem import Columns, Floats, Ints


@structref.register
class _WayType(types.StructRef):
    """How the kernels know a way in the making."""


class Way(structref.StructRefProxy):
    """A way in the making, and what it is made of.

    Attributes
    ----------
    units
        (L, n) by lane and line.
    grams, picks
        (L,) weight of each parcel, and how many lines are in it.
    given
        (K, n) units of a line that a node gives, over all its lanes.
    parcels
        (K,) parcels of each node.
    rest
        (n,) units that are open.
    """

    units: Ints
    grams: Ints
    picks: Ints
    given: Ints
    parcels: Ints
    rest: Ints

    def __new__(cls, *columns: NDArray[Any]) -> "Way":
        """Gather the columns."""
        made: Way = structref.StructRefProxy.__new__(cls, *columns)  # type: ignore[no-untyped-call]
        return made


structref.define_proxy(Way, _WayType, list(Way.__annotations__))  # type: ignore[no-untyped-call]


@structref.register
class _ShopType(types.StructRef):
    """How the kernels know a shop."""


class Shop(structref.StructRefProxy):
    """What the lanes of a search can do, line by line.

    Attributes
    ----------
    can, unit
        (L, n) units that a lane can give and carry, and cents a unit.
    rate
        (L, n) about what one more unit costs in an open parcel: a constant rate a gram for carriage, picks shared by the units.
    roomy
        (L,) the weight below the lane's heaviest at which a gram is cheapest: a heavier parcel may better be two.
    open_cents
        (n,) cents for a unit left open.
    row, use
        (K, n, W) the rows that a unit draws on (-1: none), numbered by their place in `limit`; (0, 0, 0) where no row could be
        overdrawn.
    limit
        What those rows hold.
    """

    can: Ints
    unit: Floats
    rate: Floats
    roomy: Ints
    open_cents: Floats
    row: Ints
    use: Ints
    limit: Ints

    def __new__(cls, *columns: NDArray[Any]) -> "Shop":
        """Gather the columns."""
        made: Shop = structref.StructRefProxy.__new__(cls, *columns)  # type: ignore[no-untyped-call]
        return made


structref.define_proxy(Shop, _ShopType, list(Shop.__annotations__))  # type: ignore[no-untyped-call]


@njit(cache=True, nogil=True)
def new_way(lanes: Lanes) -> Way:
    """Start with nothing shipped."""
    count, m, n = len(lanes.at), len(lanes.nodes), len(lanes.qty)
    return Way(
        np.zeros((count, n), dtype=np.int64), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64),
        np.zeros((m, n), dtype=np.int64), np.zeros(m, dtype=np.int64), lanes.qty.copy(),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def copy_way(into: Way, way: Way) -> None:
    """Copy one way over another."""
    into.units[:, :] = way.units
    into.grams[:] = way.grams
    into.picks[:] = way.picks
    into.given[:, :] = way.given
    into.parcels[:] = way.parcels
    into.rest[:] = way.rest


@njit(cache=True, nogil=True)
def shop_of(c: Columns, lanes: Lanes, left: Ints, open_cents: Floats) -> Shop:
    """Prepare the search over some lanes."""
    count, n = len(lanes.at), len(lanes.qty)
    can, unit, rate = np.zeros((count, n), dtype=np.int64), np.zeros((count, n)), np.zeros((count, n))
    roomy = np.full(count, 2**60)
    for i in range(count):
        at, s, z = lanes.at[i], lanes.service[i], lanes.zone[i]
        for e in range(lanes.start[at], lanes.start[at + 1]):
            k = lanes.line[e]
            if s < 0 or lanes.services[k] >> s & 1:
                can[i, k], unit[i, k] = lanes.units[e], lanes.cents[e]
                rate[i, k] = unit[i, k] + lanes.slope[i] * lanes.grams[k] + lanes.pick_cents[at] / lanes.qty[k]
        if s >= 0:
            least = INF
            for t in range(lanes.steps[s]):
                each = (lanes.fixed[i] + lanes.tariff[s, z, t]) / max(1, lanes.upper[s, t])
                if lanes.upper[s, t] < lanes.heaviest[i] and each < least:
                    least, roomy[i] = each, lanes.upper[s, t]
    row, use, limit = scarce_rows(c, lanes, left)
    return Shop(can, unit, rate, roomy, open_cents, row, use, limit)


@njit(cache=True, nogil=True)
def scarce_rows(c: Columns, lanes: Lanes, left: Ints) -> tuple[Ints, Ints, Ints]:
    """Number the rows that the nodes' offers draw on: `row`, `use` and `limit` of a `Shop`."""
    m, n, offers = len(lanes.nodes), len(lanes.qty), len(lanes.line)
    option_row, option_use = c.option_row, c.option_use
    width = option_row.shape[1]
    drawn, number = np.empty(offers * width, dtype=np.int64), np.full(offers * width, -1, dtype=np.int64)
    for e in range(offers):
        for w in range(width):
            drawn[e * width + w] = option_row[lanes.option[e], w]
    limit, total = np.zeros(offers * width, dtype=np.int64), np.zeros(offers * width, dtype=np.int64)
    made, before, crowded = 0, -1, False
    for i in np.argsort(drawn):
        if drawn[i] < 0:
            continue
        if drawn[i] != before:
            before = drawn[i]
            limit[made] = left[before]
            made += 1
        number[i] = made - 1
        total[made - 1] += lanes.units[i // width] * option_use[lanes.option[i // width], i % width]
        crowded = crowded or total[made - 1] > limit[made - 1]
    if not crowded:
        none = np.empty((0, 0, 0), dtype=np.int64)
        return none, none, limit[:0]
    row, use = np.full((m, n, width), -1, dtype=np.int64), np.zeros((m, n, width), dtype=np.int64)
    for at in range(m):
        for e in range(lanes.start[at], lanes.start[at + 1]):
            for w in range(width):
                row[at, lanes.line[e], w] = number[e * width + w]
                use[at, lanes.line[e], w] = option_use[lanes.option[e], w]
    return row, use, limit[:made]


@njit(cache=True, nogil=True)
def held(row: Ints, use: Ints, limit: Ints, given: Ints, at: int, line: int, most: int) -> int:
    """Count the units of a line that the rows still hold at a node, up to `most`."""
    m, n, width = row.shape
    for w in range(width):
        r = row[at, line, w]
        if r < 0 or use[at, line, w] == 0:
            continue
        drawn = 0
        for a in range(m):
            for k in range(n):
                if given[a, k] > 0:
                    for u in range(width):
                        if row[a, k, u] == r:
                            drawn += given[a, k] * use[a, k, u]
        most = min(most, (limit[r] - drawn) // use[at, line, w])
    return max(0, most)


@njit(cache=True, nogil=True)
def cost_of(lanes: Lanes, shop: Shop, way: Way) -> float:
    """Price a way."""
    cost = 0.0
    n = len(lanes.qty)
    for k in range(n):
        cost += way.rest[k] * shop.open_cents[k]
    for i in range(len(lanes.at)):
        if way.picks[i] > 0:
            cost += lanes.fixed[i] + way.picks[i] * lanes.pick_cents[lanes.at[i]]
            cost += tariff(
                lanes.steps, lanes.upper, lanes.tariff, lanes.over, lanes.service[i], lanes.zone[i], way.grams[i]
            )
            for k in range(n):
                cost += way.units[i, k] * shop.unit[i, k]
    for at in range(len(lanes.nodes)):
        spare = max(0, lanes.spare[at])
        if way.parcels[at] > spare:
            cost += (way.parcels[at] - spare) * lanes.overtime[at]
    return cost


__all__ = ["Shop", "Way", "copy_way", "cost_of", "held", "new_way", "shop_of"]
