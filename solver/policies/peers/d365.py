"""How Dynamics 365 Commerce distributes orders (DOM).

Source: learn.microsoft.com, distributed order management of Dynamics 365 Commerce. A mixed-integer program prefers a complete order
from one location, then the least distance; locations within a radius count as equally near. It is solved twice: with all rules
hard, and without the soft ones for what is not assigned. Large jobs are cut into slices of 2,000 lines; those are solved side by
side there, and here one after the other, so that they cannot take the same units.

Left out: rejections, and the locations that they rule out for some days; the count of open orders at a location, which here is
one of parcels. An order that the first pass leaves open in part is decided anew as a whole in the second.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Literal, get_args

import msgspec
import numpy as np

from solver.choices import part
from solver.draft import owners
from solver.effort import Effort
from solver.policies.highs import Highs
from solver.policies.peers.desk import Desk, Settings
from solver.policies.peers.taking import kms
from solver.problem import HARD, NO_LIMIT, Bools, Floats, Problem

RuleName = Literal["max_km", "max_locations", "min_inventory", "max_open_orders"]
RULES: frozenset[str] = frozenset(get_args(RuleName))
HALF_AROUND_KM = 20_016
PROGRAM_SHARE = 0.8
"""Of the time that is left, for all programs together."""


class Fulfillment(Settings, frozen=True):
    """The rules of a fulfilment profile.

    Attributes
    ----------
    max_km, max_km_at
        For all locations, and by node id: the lower one holds.
    max_locations
        Locations of one order.
    min_inventory
        Units of each SKU that stay at a location.
    max_open_orders
        Parcels by node id.
    offline
        Node ids that take no part, in either pass.
    hard
        Rules that hold in the second pass too.
    priority
        By node id, 1 to 10, the lower the better; never hard.
    store_region_km
        Locations within this count as equally near.
    """

    max_km: float | None = None
    max_km_at: dict[str, float] = msgspec.field(default_factory=dict)
    max_locations: int | None = None
    min_inventory: int = 0
    max_open_orders: dict[str, int] = msgspec.field(default_factory=dict)
    offline: tuple[str, ...] = ()
    hard: tuple[RuleName, ...] = ()
    priority: dict[str, int] = msgspec.field(default_factory=dict)
    store_region_km: float = 0
    slice_lines: int = 2_000


def mip(desk: Desk, settings: Fulfillment) -> None:
    """Decide slice after slice by integer programs: first under all rules, then without the soft ones for what is left open."""
    slices = _slices(desk.problem, settings.slice_lines)
    limited, runs = desk.meter.effort.seconds is not None, 2 * len(slices)
    for rules in (RULES, frozenset(settings.hard)):
        for orders in slices:
            seconds = PROGRAM_SHARE * max(0.0, desk.meter.seconds_left) / runs if limited else None
            runs -= 1
            if not desk.meter.effort.stop.is_set():
                _decide(desk, orders, settings, rules, replace(desk.meter.effort, seconds=seconds))


def _slices(problem: Problem, lines: int) -> list[tuple[int, int]]:
    """Orders from and to, each slice of at most so many lines, or of one order."""
    ends = [0]
    while ends[-1] < problem.orders:
        most = problem.order_line_start[ends[-1]] + lines
        ends.append(max(ends[-1] + 1, int(np.searchsorted(problem.order_line_start, most, side="right")) - 1))
    return list(pairwise(ends))


def _decide(desk: Desk, slice_: tuple[int, int], settings: Fulfillment, rules: frozenset[str], effort: Effort) -> None:
    """Decide a slice, and give each order what the program gives it, if that is all of it or not all rules hold any more."""
    start, end = slice_
    waiting = desk.draft.order_count[start:end] == 0
    if not waiting.any():
        return
    plan = Highs(effort, desk.seed)(_model(desk, start, end, waiting, settings, rules))
    everyone = desk.rank(())
    first_line, first_dest = desk.problem.order_line_start[start], desk.problem.order_dest_start[start]
    for order in np.unique(plan.parcel_order):
        mine = plan.parcel_order == order
        asked = desk.ask(start + int(order), everyone, dest=first_dest + int(plan.parcel_dest[mine][0]))
        most = np.zeros((desk.problem.nodes, len(asked.want)), dtype=np.int64)
        entries = mine[plan.entry_parcel]
        line = first_line + plan.entry_line[entries] - asked.lines.start
        np.add.at(most, (plan.parcel_node[plan.entry_parcel[entries]], line), plan.entry_units[entries])
        units = asked.take(asked.ranked(), most[asked.nodes])
        if rules != RULES or asked.whole(units):
            desk.give(asked, units)


def _model(desk: Desk, start: int, end: int, waiting: Bools, settings: Fulfillment, rules: frozenset[str]) -> Problem:
    """A slice as the program sees it: a parcel costs more than any distance, and a unit that stays open more than a parcel."""
    sliced, rows = part(desk.problem, start, end)
    km = _order_km(sliced)
    out = ~waiting[:, None] | np.isin(sliced.node_id, settings.offline)
    if "max_km" in rules:
        out |= km > _limits(sliced, settings.max_km_at, settings.max_km)
    far = np.where(km <= settings.store_region_km, 0, 10 * km) + [
        settings.priority.get(name, 0) for name in sliced.node_id
    ]
    cents = np.rint(far).astype(np.int64)[sliced.line_order[sliced.option_line], sliced.option_node]
    parcel = 1 + int(cents.max(initial=0)) * min(int(sliced.line_qty.max()), 1000)
    barred = out[sliced.line_order[sliced.option_line], sliced.option_node]
    left = desk.draft.left[rows].clip(0)
    if "min_inventory" in rules:
        left = np.where((sliced.row_node >= 0) & (sliced.row_sku >= 0), left - settings.min_inventory, left).clip(0)
    capacity, overtime = desk.draft.node_left.clip(0), np.where(sliced.node_overtime_cents == HARD, HARD, 0)
    if "max_open_orders" in rules:
        made = np.bincount(desk.draft.parcel_node[owners(desk.draft)[1]], minlength=sliced.nodes)
        most = _limits(sliced, settings.max_open_orders, NO_LIMIT)
        capacity = np.minimum(capacity, (most - made).clip(0)).astype(np.int64)
        overtime = np.where(most < NO_LIMIT, HARD, overtime)
    locations = settings.max_locations if "max_locations" in rules and settings.max_locations else NO_LIMIT
    return replace(
        sliced,
        row_limit=left,
        node_capacity_parcels=capacity,
        node_overtime_cents=overtime,
        node_parcel_cents=np.full(sliced.nodes, parcel),
        node_line_cents=np.zeros(sliced.nodes, dtype=np.int64),
        service_cents=np.zeros_like(sliced.service_cents),
        service_over_cents=np.zeros_like(sliced.service_over_cents),
        order_late_cents=np.zeros_like(sliced.order_late_cents),
        order_max_parcels=np.minimum(sliced.order_max_parcels, locations),
        option_unit_cents=cents,
        option_value_cents=np.zeros_like(cents),
        option_reason=np.where(barred, np.maximum(1, sliced.option_reason), sliced.option_reason).astype(np.uint8),
        line_unfilled_cents=np.full(sliced.lines, 2 * parcel),
    )


def _order_km(problem: Problem) -> Floats:
    """(O, J) from each node to where an order goes, or could be collected; half around the globe where that is not known."""
    nodes = np.arange(problem.nodes)
    places = zip(problem.dest_lat, problem.dest_lon, strict=True)
    away = np.array([kms(nodes, problem.node_lat, problem.node_lon, lat, lon) for lat, lon in places])
    return np.nan_to_num(np.minimum.reduceat(away, problem.order_dest_start[:-1]), posinf=HALF_AROUND_KM)


def _limits(problem: Problem, by_node: Mapping[str, float], otherwise: float | None) -> Floats:
    """(J,) the lower one of what holds for a node and for all; infinite where nothing does."""
    everywhere = np.inf if otherwise is None else otherwise
    return np.array([min(by_node.get(name, everywhere), everywhere) for name in problem.node_id], dtype=np.float64)


__all__ = ["Fulfillment", "mip"]
