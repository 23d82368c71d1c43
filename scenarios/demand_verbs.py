"""What customers would ask for: each verb makes another placed history.

What is past of it stays as it was (`Placed.past`), so that policies that look ahead learn of the change as it happens.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from engine.sourcing import ranges
from scenarios.naming import chosen, must_be, skus_of
from scenarios.settings import FasterPromise, PickupShare, ScaleDemand
from scenarios.spans import during
from scenarios.stock_verbs import scale_supply
from simulation.history import History
from simulation.placing import Placed
from solver.distance import km
from solver.problem import Bools, Floats, Ints
from solver.refusal import Refusal


def scale_demand(placed: Placed, said: ScaleDemand, chance: Generator) -> Placed:
    """Leave orders out, or let orders like them come in beside them, each by a draw of its own."""
    history = placed.history
    wanted = during(history, history.order_placed_at, said.days) & _in_regions(placed, said.regions)
    copies = np.floor(said.percent / 100 + chance.random(history.orders)).astype(np.int64)
    copies = np.where(wanted, copies, 1)
    line_scaled = np.ones(history.lines, dtype=np.bool_)
    if said.skus is not None:
        names = skus_of(placed.network, said.skus)
        line_scaled = np.array([name in names for name in history.sku_id], dtype=np.bool_)[history.line_sku]
    line_copies = np.where(line_scaled, copies[history.line_order], 1)
    scaled = _repeat(history, line_copies)
    if said.stock_follows:
        before, after = (np.bincount(h.line_sku, h.line_qty, len(h.sku_id)) for h in (history, scaled))
        ratio: Floats = np.divide(after, before, out=np.ones_like(before), where=before > 0)
        placed = scale_supply(placed, ratio, chance)
        scaled = replace(scaled, **_columns(placed.history, "receipt_"))
    if not scaled.orders:
        raise Refusal("percent", f"{said.percent:g} leaves no order", "empty_run")
    return replace(placed, history=scaled)


def pickup_share(placed: Placed, said: PickupShare, chance: Generator) -> Placed:
    """Let customers near a store collect there what would be sent to them, each by a draw of its own."""
    network, history = placed.network, placed.history
    names = chosen(network, said.nodes)
    places = [(j, node.lat, node.lon) for j, node in enumerate(network.nodes) if node.id in names]
    drawn = chance.random(history.orders) < said.percent / 100
    sent = np.diff(history.order_pickup_start) == 0
    collected = np.full(history.orders, -1, dtype=np.int64)
    for order in np.flatnonzero(drawn & sent & during(history, history.order_placed_at, said.days)).tolist():
        lat, lon = float(history.order_lat[order]), float(history.order_lon[order])
        far, node = min(((km(lat, lon, y, x), j) for j, y, x in places), default=(np.inf, -1))
        collected[order] = node if far <= said.within_km else -1
    now = collected >= 0
    count = np.where(now, 1, np.diff(history.order_pickup_start))
    start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    nodes = np.repeat(collected, count)
    nodes[np.repeat(~now, count)] = history.pickup_node
    changed = replace(
        history,
        order_pickup_start=start,
        pickup_node=nodes,
        order_lat=np.where(now, np.nan, history.order_lat),
        order_lon=np.where(now, np.nan, history.order_lon),
    )
    return replace(placed, history=changed)


def faster_promise(placed: Placed, said: FasterPromise, _chance: Generator) -> Placed:
    """Promise orders earlier."""
    history = placed.history
    which = during(history, history.order_placed_at, said.days) & _in_regions(placed, said.regions)
    days = np.maximum(0, history.order_promise_days - np.where(which, said.days_less, 0))
    return replace(placed, history=replace(history, order_promise_days=days))


def _in_regions(placed: Placed, regions: tuple[str, ...] | None) -> Bools:
    """(O,) which orders are of the regions: as the history says, or of the nearest market where it says nothing."""
    history, markets = placed.history, placed.network.markets
    if regions is None:
        return np.ones(history.orders, dtype=np.bool_)
    known = sorted({*history.region_id, *(market.region for market in markets)})
    for name in regions:
        must_be("regions", name, known, "a region of this history or of its network's markets")
    said = np.array([*(name in regions for name in history.region_id), False], dtype=np.bool_)
    found: Bools = said[history.order_region]
    for order in np.flatnonzero((history.order_region < 0) & ~np.isnan(history.order_lat)).tolist() if markets else ():
        lat, lon = float(history.order_lat[order]), float(history.order_lon[order])
        found[order] = min(markets, key=lambda m: km(lat, lon, m.lat, m.lon)).region in regions
    return found


def _columns(history: History, table: str) -> dict[str, Any]:
    """The columns of a table of a history, by name."""
    return {field.name: getattr(history, field.name) for field in fields(history) if field.name.startswith(table)}


def _repeat(history: History, line_copies: Ints) -> History:
    """The history with each line so many times: once in its order, else in orders like it; orders without lines are gone."""
    line_order = history.line_order
    most = int(line_copies.max(initial=0))
    # every (order, number of the copy) that has lines is an order, those of one order beside each other
    line, number = np.arange(history.lines).repeat(line_copies), ranges(np.zeros_like(line_copies), line_copies)
    key = line_order[line] * (most + 1) + number
    by = np.lexsort((line, key))
    line, key = line[by], key[by]
    made, start = np.unique(key, return_index=True)
    order, number = made // (most + 1), made % (most + 1)
    ids = [history.order_id[o] if not n else f"{history.order_id[o]}+{n}" for o, n in zip(order, number, strict=True)]
    picks = np.diff(history.order_pickup_start)[order]
    by_original = np.argsort(line, kind="stable")
    per_order: dict[str, Any] = {name: getattr(history, name)[order] for name in _ORDER_COLUMNS}
    per_line: dict[str, Any] = {name: column[line] for name, column in _columns(history, "line_").items()}
    befell: dict[str, Any] = {}
    for what in ("cancel", "return"):
        old: Ints = getattr(history, f"{what}_line")
        times = line_copies[old]
        first = (np.cumsum(line_copies) - line_copies)[old]
        row = np.arange(len(old)).repeat(times)
        befell[f"{what}_line"] = by_original[ranges(first, times)]
        befell |= {f"{what}_{name}": getattr(history, f"{what}_{name}")[row] for name in ("at", "units")}
    return replace(
        history,
        order_id=tuple(ids),
        **per_order,
        **per_line,
        **befell,
        order_line_start=np.append(start, len(line)).astype(np.int64),
        order_pickup_start=np.concatenate([[0], np.cumsum(picks)]).astype(np.int64),
        pickup_node=history.pickup_node[ranges(history.order_pickup_start[order], picks)],
    )


_ORDER_COLUMNS = (
    "order_placed_at",
    "order_channel",
    "order_customer",
    "order_region",
    "order_lat",
    "order_lon",
    "order_promise_days",
    "order_late_cents",
    "order_max_parcels",
    "order_ship_complete",
)
