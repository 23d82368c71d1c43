"""How the lines of an order of many lines go by given lanes: filled at a constant rate a gram, then moved at true cost."""

import numpy as np
from numba import njit

from solver.lanes import Lanes, tariff
from solver.many_shop import Shop, Way, copy_way, cost_of, held, new_way
from solver.offers import INF
from solver.problem import Floats, Ints

PASSES = 4
"""Rounds over the lines in which they are moved between the parcels of a way."""
HOPELESS = 1.2
"""A way that costs so much more than the best before its lines are moved is left at that."""
EXCHANGES = 2
"""Rounds in which whole lines change places."""


@njit(cache=True, nogil=True)
def fill(lanes: Lanes, shop: Shop, way: Way, used: Ints, capped: bool) -> None:
    """Give each line to the lanes `used` (any number of indices) where a unit costs least at a constant rate a gram.

    With `capped` no parcel is filled above its `roomy` weight while another has room.
    """
    units, grams_in, picks, given, parcels, rest = way.units, way.grams, way.picks, way.given, way.parcels, way.rest
    can, rates, roomy, open_cents, row, use, limit = (
        shop.can, shop.rate, shop.roomy, shop.open_cents, shop.row, shop.use, shop.limit
    )  # fmt: skip
    qty, grams, at_of, spare, overtime = lanes.qty, lanes.grams, lanes.at, lanes.spare, lanes.overtime
    units[:, :] = 0
    grams_in[:] = 0
    picks[:] = 0
    given[:, :] = 0
    parcels[:] = 0
    rest[:] = qty
    crowded = len(limit) > 0
    for turn in range(0 if capped else 1, 2):
        for k in range(len(qty)):
            while rest[k] > 0:
                best, least, most = -1, open_cents[k], 0
                for i in used:
                    at = at_of[i]
                    room = min(rest[k], can[i, k] - given[at, k])
                    rate = rates[i, k]
                    if room <= 0 or rate >= least:
                        continue
                    if turn == 0 and grams_in[i] + room * grams[k] > roomy[i]:
                        room = (roomy[i] - grams_in[i]) // grams[k]
                    if crowded and room > 0:
                        room = held(row, use, limit, given, at, k, room)
                    if room <= 0 or (picks[i] == 0 and parcels[at] >= spare[at] and overtime[at] >= INF):
                        continue
                    best, least, most = i, rate, room
                if best < 0:
                    break
                if units[best, k] == 0:
                    if picks[best] == 0:
                        parcels[at_of[best]] += 1
                    picks[best] += 1
                units[best, k] += most
                grams_in[best] += most * grams[k]
                given[at_of[best], k] += most
                rest[k] -= most


@njit(cache=True, nogil=True)
def settle(lanes: Lanes, shop: Shop, way: Way, used: Ints) -> None:
    """Move lines between the lanes `used`, or open them, while that saves: tariff steps make it worth it."""
    units, grams_in, picks, given, parcels, rest = way.units, way.grams, way.picks, way.given, way.parcels, way.rest
    can, unit, open_cents, row, use, limit = shop.can, shop.unit, shop.open_cents, shop.row, shop.use, shop.limit
    grams, at_of, spare, overtime, fixed, pick = (
        lanes.grams, lanes.at, lanes.spare, lanes.overtime, lanes.fixed, lanes.pick_cents
    )  # fmt: skip
    service, zone, steps, upper, cents, over = (
        lanes.service, lanes.zone, lanes.steps, lanes.upper, lanes.tariff, lanes.over
    )  # fmt: skip
    crowded, n = len(limit) > 0, len(grams)
    now = np.zeros(len(at_of))
    for i in used:
        if picks[i] > 0:
            now[i] = tariff(steps, upper, cents, over, service[i], zone[i], grams_in[i])
    for _ in range(PASSES):
        moved = False
        for k in range(n):
            for turn in range(len(used) + 1):
                # a source: first what is open, then each parcel
                i = used[turn - 1] if turn else -1
                have = units[i, k] if turn else rest[k]
                amount = have
                for _attempt in range(2):
                    if have == 0 or amount == 0:
                        break
                    saved, lighter = amount * open_cents[k], 0.0
                    if turn:
                        at = at_of[i]
                        saved = amount * unit[i, k]
                        last = amount == have and picks[i] == 1
                        if amount == have:
                            saved += pick[at]
                        if not last:
                            lighter = tariff(
                                steps, upper, cents, over, service[i], zone[i], grams_in[i] - amount * grams[k]
                            )
                        else:
                            saved += fixed[i] + (overtime[at] if parcels[at] > spare[at] else 0.0)
                        saved += now[i] - lighter
                    best, most, heavier, taken = -2, 1e-6, 0.0, 0
                    if turn and saved - amount * open_cents[k] > most:
                        best, most, taken = -1, saved - amount * open_cents[k], amount
                    roomiest = 0
                    for j in used:
                        if turn and j == i:
                            continue
                        to = at_of[j]
                        room = can[j, k] - given[to, k]
                        if turn and to == at_of[i]:
                            room += amount
                        room = min(room, amount)
                        if room <= 0:
                            continue
                        if crowded and not (turn and to == at_of[i]):
                            room = held(row, use, limit, given, to, k, room)
                        roomiest = max(roomiest, room)
                        if room <= 0 or (turn and room < amount):
                            continue
                        paid = room * unit[j, k] + (pick[to] if units[j, k] == 0 else 0.0)
                        if picks[j] == 0:
                            paid += fixed[j]
                            more = parcels[to]
                            if turn and to == at_of[i] and amount == have and picks[i] == 1:
                                more -= 1
                            paid += overtime[to] if more >= spare[to] else 0.0
                        carried = tariff(steps, upper, cents, over, service[j], zone[j], grams_in[j] + room * grams[k])
                        paid += carried - now[j]
                        spared = saved if turn else room * open_cents[k]
                        if spared - paid > most:
                            best, most, heavier, taken = j, spared - paid, carried, room
                    if best > -2:
                        moved = True
                        if turn:
                            units[i, k] -= taken
                            grams_in[i] -= taken * grams[k]
                            given[at_of[i], k] -= taken
                            rest[k] += taken
                            now[i] = lighter
                            if units[i, k] == 0:
                                picks[i] -= 1
                                if picks[i] == 0:
                                    parcels[at_of[i]] -= 1
                        if best >= 0:
                            if units[best, k] == 0:
                                if picks[best] == 0:
                                    parcels[at_of[best]] += 1
                                picks[best] += 1
                            units[best, k] += taken
                            grams_in[best] += taken * grams[k]
                            given[at_of[best], k] += taken
                            rest[k] -= taken
                            now[best] = heavier
                        break
                    # a part of the line, where it does not go as a whole: what another has room for, or one unit
                    amount = roomiest if 0 < roomiest < have else min(1, have - 1)
        if not moved:
            return


@njit(cache=True, nogil=True)
def exchange(lanes: Lanes, shop: Shop, way: Way, used: Ints) -> bool:
    """Exchange whole lines between two parcels where that saves; tells whether any were. Not for rows that are shared."""
    units, grams_in, given = way.units, way.grams, way.given
    can, unit, grams, at_of = shop.can, shop.unit, lanes.grams, lanes.at
    service, zone, steps, upper, cents, over = (
        lanes.service, lanes.zone, lanes.steps, lanes.upper, lanes.tariff, lanes.over
    )  # fmt: skip
    found = False
    for i in used:
        for j in used:
            if j <= i:
                continue
            for a in range(len(grams)):
                for b in range(len(grams)):
                    x, y = units[i, a], units[j, b]
                    at, to = at_of[i], at_of[j]
                    if x == 0 or y == 0 or a == b or units[j, a] > 0 or units[i, b] > 0:
                        continue
                    if can[j, a] - given[to, a] + (x if at == to else 0) < x:
                        continue
                    if can[i, b] - given[at, b] + (y if at == to else 0) < y:
                        continue
                    saved = x * (unit[i, a] - unit[j, a]) + y * (unit[j, b] - unit[i, b])
                    shift = y * grams[b] - x * grams[a]
                    if shift != 0:
                        saved += tariff(steps, upper, cents, over, service[i], zone[i], grams_in[i])
                        saved += tariff(steps, upper, cents, over, service[j], zone[j], grams_in[j])
                        saved -= tariff(steps, upper, cents, over, service[i], zone[i], grams_in[i] + shift)
                        saved -= tariff(steps, upper, cents, over, service[j], zone[j], grams_in[j] - shift)
                    if saved > 1e-6:
                        units[i, a], units[j, a], units[j, b], units[i, b] = 0, x, 0, y
                        grams_in[i] += shift
                        grams_in[j] -= shift
                        given[at, a] -= x
                        given[to, a] += x
                        given[to, b] -= y
                        given[at, b] += y
                        found = True
    return found


@njit(cache=True, nogil=True)
def serve_by(lanes: Lanes, shop: Shop, best: Way, least: float) -> float:
    """Serve the order by all these lanes, filled freely and up to `roomy`; `best` takes a way below `least`. Returns the least."""
    way, used = new_way(lanes), np.arange(len(lanes.at))
    two = False
    for i in used:
        two = two or lanes.heaviest[i] > shop.roomy[i]
    for turn in range(2 if two and len(used) > 1 else 1):
        fill(lanes, shop, way, used, turn == 1)
        if cost_of(lanes, shop, way) > HOPELESS * least:
            continue
        settle(lanes, shop, way, used)
        cost = cost_of(lanes, shop, way)
        if cost < least - 1e-6:
            least = cost
            copy_way(best, way)
    if best.picks.any() and len(shop.limit) == 0:
        for _ in range(EXCHANGES):
            if not exchange(lanes, shop, best, used):
                break
            settle(lanes, shop, best, used)
        least = min(least, cost_of(lanes, shop, best))
    return least


@njit(cache=True, nogil=True)
def prices_in(lanes: Lanes, shop: Shop, way: Way, v: Floats) -> None:
    """Fill (n,) `v` with what a unit of each line costs in a way, opening and carriage of a parcel shared by weight."""
    n = len(lanes.qty)
    for k in range(n):
        v[k] = way.rest[k] * shop.open_cents[k]
    for i in range(len(lanes.at)):
        if way.picks[i] == 0:
            continue
        paid = lanes.fixed[i] + tariff(
            lanes.steps, lanes.upper, lanes.tariff, lanes.over, lanes.service[i], lanes.zone[i], way.grams[i]
        )
        for k in range(n):
            if way.units[i, k] > 0:
                share = paid / max(1, way.grams[i]) * lanes.grams[k]
                v[k] += way.units[i, k] * (shop.unit[i, k] + share) + lanes.pick_cents[lanes.at[i]]
    for k in range(n):
        v[k] /= lanes.qty[k]


__all__ = ["prices_in", "serve_by"]
