"""The world of one replay: stock, open units, capacities and the clock, between one wave and the next.

Between two waves nothing is decided, so that what happens there is taken kind by kind: receipts and orders, then
cancellations and returns by ascending minute, then goods put back on their shelf.
"""

import hashlib
import heapq
import math
from dataclasses import dataclass, field

import numpy as np

from engine.calendar import MINUTES_PER_DAY, is_open
from engine.network import NetworkColumns, Receipts, Stock
from engine.sourcing import OpenOrders, apply, build_problem, ranges, working_days
from engine.waiting import Inbound, price_waiting
from simulation.history import History
from solver.plan import Plan
from solver.problem import DELIVERED, NO_LIMIT, NO_SERVICE, Floats, Ints, Problem


@dataclass
class Tally:
    """What has happened so far, in units and cents."""

    withdrawn: int = 0
    cancelled: int = 0
    lapsed: int = 0
    returned: int = 0
    unfilled_cents: int = 0


@dataclass
class Log:
    """What was decided so far: a row for each wave, columns for its parcels, and the hash of both."""

    waves: list[tuple[float, ...]] = field(default_factory=list)
    parcels: list[Ints] = field(default_factory=list)
    hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)


@dataclass(frozen=True, eq=False)
class Asked:
    """A problem, and which orders and lines of the history its rows are."""

    problem: Problem
    orders: OpenOrders
    order: Ints
    line: Ints


class World:
    """Stock, open units and the clock of one replay."""

    def __init__(self, history: History, network: NetworkColumns, waves: Ints) -> None:
        self.history = history
        self.network = network
        self.stock = _all_stock(history, network)
        self.initial = self.stock.units.copy()
        self.received, self.returned, self.shipped = (np.zeros_like(self.initial) for _ in range(3))
        self.row_key = self.stock.sku * network.nodes + self.stock.node
        self.inbound = Inbound.of(
            Receipts(history.receipt_at, history.receipt_node, history.receipt_sku, history.receipt_units)
        )
        self.line_order = history.line_order
        self.line_open = history.line_qty.copy()
        self.line_shipments: dict[int, list[list[int]]] = {
            line: [] for line in np.concatenate([history.cancel_line, history.return_line]).tolist()
        }
        self.open: Ints = np.zeros(0, dtype=np.int64)
        self.order_seen = np.zeros(history.orders, dtype=np.bool_)
        self.order_parcels = np.zeros(history.orders, dtype=np.int64)
        self.order_collect = np.full(history.orders, DELIVERED, dtype=np.int64)
        self.order_missed = np.zeros(history.orders, dtype=np.bool_)
        self.order_last_wave = _last_waves(history, network, waves)
        self.node_day = np.zeros(network.nodes, dtype=np.int64)
        self.node_parcels, self.node_units = (np.zeros(network.nodes, dtype=np.int64) for _ in range(2))
        self.placed = self.receipts = 0
        self.restocks: list[tuple[int, int, int]] = []
        self.troubles = _troubles(history)
        self.tally = Tally()
        self.log = Log()

    def let_happen(self, until: int) -> None:
        """Take everything that happens up to and at this minute."""
        history = self.history
        due = int(np.searchsorted(history.receipt_at, until, side="right"))
        receipt = slice(self.receipts, due)
        row = self._rows(history.receipt_node[receipt], history.receipt_sku[receipt])
        for column in (self.stock.units, self.received):
            np.add.at(column, row, history.receipt_units[receipt])
        self.receipts = due
        placed = int(np.searchsorted(history.order_placed_at, until, side="right"))
        self.open = np.concatenate([self.open, np.arange(self.placed, placed)])
        self.placed = placed
        while self.troubles and self.troubles[-1][0] <= until:
            at, line, units, is_return = self.troubles.pop()
            self._give_back(at, line, units) if is_return else self._cancel(at, line, units)
        while self.restocks and self.restocks[0][0] <= until:
            _, stock_row, units = heapq.heappop(self.restocks)
            self.stock.units[stock_row] += units
            self.returned[stock_row] += units

    def ask(self, at: int) -> Asked | None:
        """Make the problem of everything open, or none where nothing is open or nothing open has stock."""
        history = self.history
        line = ranges(history.order_line_start[self.open], np.diff(history.order_line_start)[self.open])
        line = line[self.line_open[line] > 0]
        order = np.unique(self.line_order[line])
        self.open = order
        if not len(line):
            return None
        self.order_seen[order] = True
        orders = self._open_orders(order, line)
        parcels_left, units_left = self._left_today(at)
        problem = build_problem(
            self.network, self.stock, orders, at=at, parcels_left=parcels_left, units_left=units_left
        )
        if not len(problem.option_node):
            return None
        problem = price_waiting(
            problem,
            history.line_sku[line],
            self.inbound,
            at=at,
            last_wave=self.order_last_wave[order],
            wait_cents_per_day=self.network.terms.wait_cents_per_day,
        )
        return Asked(problem, orders, order, line)

    def ship(self, asked: Asked, plan: Plan, at: int) -> None:
        """Take a plan's units from stock, and what it makes from capacity."""
        problem, parcel = asked.problem, plan.entry_parcel
        taken = apply(self.stock, asked.orders, problem, plan)
        np.subtract(self.stock.units, taken, out=self.stock.units)
        self.shipped += taken
        line, node = asked.line[plan.entry_line], plan.parcel_node[parcel]
        np.subtract.at(self.line_open, line, plan.entry_units)
        assert (self.line_open[line] >= 0).all(), "a line gets more than was open"
        np.add.at(self.node_parcels, plan.parcel_node, 1)
        np.add.at(self.node_units, node, plan.entry_units)
        for k, stock_row, units in zip(
            line.tolist(),
            self._rows(node, self.history.line_sku[line]).tolist(),
            plan.entry_units.tolist(),
            strict=True,
        ):
            if k in self.line_shipments:
                self.line_shipments[k].append([stock_row, units])
        order = asked.order[plan.parcel_order]
        np.add.at(self.order_parcels, order, 1)
        self.order_collect[order] = problem.dest_node[plan.parcel_dest]
        self._send(asked, plan, order, at)
        self._close_full(order)

    def lapse(self, at: int | None) -> None:
        """Give up the units of orders for which this wave was the last; at the end (`None`) of all that are open."""
        last = self.open if at is None else self.open[self.order_last_wave[self.open] <= at]
        for line in self._lines_of(last).tolist():
            self.tally.lapsed += self._leave(line, int(self.line_open[line]))

    def _send(self, asked: Asked, plan: Plan, order: Ints, at: int) -> None:
        """Write down the parcels and when they arrive."""
        problem, day = asked.problem, at // MINUTES_PER_DAY
        service = np.maximum(0, plan.parcel_service)
        zone = problem.lane_zone[plan.parcel_dest, plan.parcel_node, service]
        travels = plan.parcel_service != NO_SERVICE
        transit = np.where(travels, problem.service_transit_days[service, zone], 0)
        leaves = day + problem.node_ready_days[plan.parcel_node]
        units = np.bincount(plan.entry_parcel, weights=plan.entry_units, minlength=plan.parcels).astype(np.int64)
        columns = [
            np.full(plan.parcels, at),
            order,
            plan.parcel_node,
            plan.parcel_service,
            units,
            leaves,
            leaves + transit,
        ]
        self.log.parcels.append(np.stack(columns).astype(np.int64))
        self.order_missed[order[leaves + transit > self.promise_day(order)]] = True
        told = [plan.parcel_dest, plan.entry_start, asked.line[plan.entry_line], plan.entry_units]
        for column in (np.array([at]), *columns, *told):
            self.log.hash.update(np.ascontiguousarray(column, dtype="<i8").tobytes())

    def _close_full(self, order: Ints) -> None:
        """Give up what is open of orders that may make no further parcel."""
        full = np.unique(order[self.order_parcels[order] >= self.history.order_max_parcels[order]])
        for line in self._lines_of(full).tolist():
            self.tally.lapsed += self._leave(line, int(self.line_open[line]))

    def _lines_of(self, order: Ints) -> Ints:
        start = self.history.order_line_start
        line = ranges(start[order], start[order + 1] - start[order])
        return line[self.line_open[line] > 0]

    def _leave(self, line: int, units: int) -> int:
        """Take open units off a line for good, and pay for them."""
        self.line_open[line] -= units
        self.order_missed[self.line_order[line]] |= units > 0
        self.tally.unfilled_cents += units * int(self.history.line_unfilled_cents[line])
        return units

    def _cancel(self, at: int, line: int, units: int) -> None:
        """Cancel open units first; those that are shipped already come back."""
        still_open = min(units, int(self.line_open[line]))
        self._call_off(line, still_open)
        self._come_back(at, line, units - still_open)

    def _give_back(self, at: int, line: int, units: int) -> None:
        """Take shipped units back first; those that were never shipped are called off."""
        rest = self._come_back(at, line, units)
        self._call_off(line, min(rest, int(self.line_open[line])))

    def _call_off(self, line: int, units: int) -> None:
        if self.order_seen[self.line_order[line]]:
            self.tally.cancelled += self._leave(line, units)
        else:
            self.line_open[line] -= units
            self.tally.withdrawn += units

    def _come_back(self, at: int, line: int, units: int) -> int:
        """Send shipped units back to their shelves, the latest shipment first; return how many were not shipped."""
        shipments = self.line_shipments[line]
        while units and shipments:
            stock_row, shipped = shipments[-1]
            back = min(units, shipped)
            shipments[-1][1] -= back
            if not shipments[-1][1]:
                shipments.pop()
            units -= back
            self.tally.returned += back
            shelved = at + self.network.terms.restock_days * MINUTES_PER_DAY
            heapq.heappush(self.restocks, (shelved, stock_row, back))
        return units

    def _rows(self, node: Ints, sku: Ints) -> Ints:
        return np.searchsorted(self.row_key, sku * self.network.nodes + node)

    def promise_day(self, order: Ints) -> Ints:
        history = self.history
        day: Ints = history.order_placed_at[order] // MINUTES_PER_DAY + history.order_promise_days[order]
        return day

    def _left_today(self, at: int) -> tuple[Ints, Ints]:
        """What each node can still make on the working day that it is at; a new day begins with nothing made."""
        working = working_days(self.network, at)
        new = working != self.node_day
        self.node_day = working
        self.node_parcels[new] = 0
        self.node_units[new] = 0
        parcels, units = self.network.empty.node_capacity_parcels, self.network.node_capacity_units
        return (
            np.where(parcels < NO_LIMIT, np.maximum(0, parcels - self.node_parcels), NO_LIMIT),
            np.where(units < NO_LIMIT, np.maximum(0, units - self.node_units), NO_LIMIT),
        )

    def _open_orders(self, order: Ints, line: Ints) -> OpenOrders:
        history = self.history
        count = np.bincount(np.searchsorted(order, self.line_order[line]), minlength=len(order))
        dest_start, dest_node, dest_lat, dest_lon = self._dests(order)
        made = np.where(history.order_max_parcels[order] < NO_LIMIT, self.order_parcels[order], 0)
        return OpenOrders(
            order_id=tuple(history.order_id[o] for o in order.tolist()),
            order_line_start=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
            order_dest_start=dest_start,
            order_promise_day=self.promise_day(order),
            order_late_cents=history.order_late_cents[order],
            order_max_parcels=history.order_max_parcels[order] - made,
            order_ship_complete=history.order_ship_complete[order],
            dest_node=dest_node,
            dest_lat=dest_lat,
            dest_lon=dest_lon,
            line_sku=history.line_sku[line],
            line_qty=self.line_open[line],
            line_unfilled_cents=history.line_unfilled_cents[line],
            line_must_fill=np.zeros(len(line), dtype=np.bool_),
        )

    def _dests(self, order: Ints) -> tuple[Ints, Ints, Floats, Floats]:
        """Where orders go: their address, the nodes where they may be collected, or the one that was chosen already."""
        history, empty = self.history, self.network.empty
        picks = np.diff(history.order_pickup_start)[order]
        free = (picks > 0) & (self.order_collect[order] == DELIVERED)
        count = np.where(free, picks, 1)
        start = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        node = np.repeat(self.order_collect[order], count)
        node[np.repeat(free, count)] = history.pickup_node[ranges(history.order_pickup_start[order[free]], picks[free])]
        collected = node != DELIVERED
        lat = np.where(collected, empty.node_lat[node], np.repeat(history.order_lat[order], count))
        lon = np.where(collected, empty.node_lon[node], np.repeat(history.order_lon[order], count))
        return start, node, lat, lon


def wave_minutes(history: History, network: NetworkColumns, wave_minute: int, until: int | None) -> Ints:
    """When waves stand: on every day on which a node works, from the first order until the last one lapses."""
    if not history.orders:
        return np.zeros(0, dtype=np.int64)
    calendars = set(network.node_calendar)
    first, last = int(history.order_placed_at[0]), int(history.order_placed_at[-1])
    day, waves = first // MINUTES_PER_DAY, list[int]()
    end = math.inf if until is None else until
    while day <= end:
        at = day * MINUTES_PER_DAY + wave_minute
        if at >= first and any(is_open(calendar, day) for calendar in calendars):
            waves.append(at)
            if at >= last:
                end = min(end, day + network.terms.cancel_after_days)
        day += 1
    return np.array(waves, dtype=np.int64)


def _all_stock(history: History, network: NetworkColumns) -> Stock:
    """A row for every (node, SKU) that ever holds something."""
    nodes, stock = network.nodes, network.stock
    keys = np.unique(
        np.concatenate([stock.sku * nodes + stock.node, history.receipt_sku * nodes + history.receipt_node])
    )
    there = np.searchsorted(keys, stock.sku * nodes + stock.node)
    units, value = np.zeros((2, len(keys)), dtype=np.int64)
    units[there], value[there] = stock.units, stock.value_cents
    return Stock(keys % nodes, keys // nodes, units, value)


def _last_waves(history: History, network: NetworkColumns, waves: Ints) -> Ints:
    """The last wave that sees each order: no later than `cancel_after_days` after the first."""
    if not len(waves):
        return np.zeros(history.orders, dtype=np.int64)
    first = np.minimum(np.searchsorted(waves, history.order_placed_at), len(waves) - 1)
    deadline = waves[first] + network.terms.cancel_after_days * MINUTES_PER_DAY
    last: Ints = waves[np.searchsorted(waves, deadline, side="right") - 1]
    return last


def _troubles(history: History) -> list[tuple[int, int, int, bool]]:
    """Cancellations and returns, the latest first: minute, line, units, whether it is a return."""
    befell = [
        (history.cancel_at, False, history.cancel_line, history.cancel_units),
        (history.return_at, True, history.return_line, history.return_units),
    ]
    rows = [
        (*row, is_return)
        for at, is_return, line, units in befell
        for row in zip(at.tolist(), line.tolist(), units.tolist(), strict=True)
    ]
    rows.sort(key=lambda row: (row[0], row[3]))
    return rows[::-1]
