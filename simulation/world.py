"""The world of one replay: stock, open units, claims, capacities and the clock, between one decision and the next.

Between two decisions nothing is decided, so that what happens there is taken kind by kind: receipts and orders, then
cancellations and returns by ascending minute, then goods put back on their shelf. A count of stock stands between what came
before and after it.
"""

import heapq
from dataclasses import replace

import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.network import Network, NetworkColumns, columns_of
from engine.rules import REFUSED
from engine.sourcing import OpenOrders, build_problem, ranges, working_days
from engine.waiting import Inbound, price_waiting
from simulation.chance import Chance
from simulation.claims import Claims, claims_of, no_claims
from simulation.events import Names, all_stock, receipts_of, troubles_of
from simulation.history import History
from simulation.log import Asked, Log, Tally
from simulation.open_orders import open_orders
from simulation.receiving import LATEST
from simulation.returning import Came, Returning, everywhere
from simulation.rhythm import Rhythm
from solver.outlook import Present
from solver.plan import Plan, part_of
from solver.problem import DELIVERED, HARD, NO_LIMIT, NO_SERVICE, Bools, Ints, Problem

CLOSED, COLLECT_ONLY = "closed", "collect_only"
"""Tags of a node: nothing leaves it; only what customers collect there leaves it."""


class World:
    """Stock, open units and the clock of one replay.

    Parameters
    ----------
    chance
        What happens that nobody planned; nothing where it is `None`.
    release_after
        Minutes for which what is decided may still be decided anew; 0: what is decided is released.
    announced_days
        How many days before it comes a receipt is known; `None`: all are known from the beginning.
    returning
        Where what comes back goes; where it came from, at no cost, where it is `None`.
    """

    def __init__(
        self,
        history: History,
        network: NetworkColumns,
        rhythm: Rhythm,
        *,
        chance: Chance | None = None,
        release_after: int = 0,
        announced_days: int | None = None,
        returning: Returning | None = None,
    ) -> None:
        self.history = history
        self.network = network
        self.closed, self.collect_only = (np.zeros(network.nodes, dtype=np.bool_) for _ in range(2))
        self.chance = chance
        self.release_after = release_after
        self.announced = LATEST if announced_days is None else announced_days * MINUTES_PER_DAY
        self.names = Names.of(history) if chance else None
        self.returning = returning
        self.stock = all_stock(history, network)
        if returning is not None:
            self.stock = everywhere(self.stock, network)
        self.value = np.zeros_like(self.stock.units)
        """(N,) cents that one more unit was worth in the last wave."""
        self.initial = self.stock.units.copy()
        self.received, self.returned, self.shipped, self.lost = (np.zeros_like(self.initial) for _ in range(4))
        self.row_key = self.stock.sku * network.nodes + self.stock.node
        said, self.coming = receipts_of(history, chance, self.names)
        self.said, self.inbound = said, Inbound.of(said)
        self.sku_at = {name: k for k, name in enumerate(network.empty.sku_id)}
        self.line_open = history.line_qty.copy()
        self.line_held = np.zeros_like(self.line_open)
        self.troubles = troubles_of(history, chance, self.names)
        self.line_shipments: dict[int, list[list[int]]] = {line: [] for _, line, _, _ in self.troubles}
        self.open: Ints = np.zeros(0, dtype=np.int64)
        self.order_seen = np.zeros(history.orders, dtype=np.bool_)
        self.order_decided_at = np.full(history.orders, -1, dtype=np.int64)
        self.order_parcels = np.zeros(history.orders, dtype=np.int64)
        self.order_collect = np.full(history.orders, DELIVERED, dtype=np.int64)
        self.order_missed = np.zeros(history.orders, dtype=np.bool_)
        self.order_last_wave = rhythm.last_of(history, network.terms.cancel_after_days)
        self.next_whole = dict(zip(rhythm.at.tolist(), rhythm.next_whole().tolist(), strict=True))
        self.node_day = np.zeros(network.nodes, dtype=np.int64)
        self.node_parcels, self.node_units = (np.zeros(network.nodes, dtype=np.int64) for _ in range(2))
        self.placed = self.asked = self.receipts = self.counts = 0
        self.claims = no_claims()
        self.rests: dict[tuple[int, int], int] = {}
        self.returns: list[tuple[int, int, int, int]] = []
        self.came: list[Came] = []
        self.restocks: list[tuple[int, int, int]] = []
        self.tally = Tally()
        self.log = Log()

    def present(self, at: int) -> Present:
        """What is known now: the stock that is free, the receipts that are announced, and when to decide next."""
        said = self.said
        coming = slice(*np.searchsorted(said.at, [at, at + self.announced], side="right").tolist())
        return Present(
            at, self.sku_at, self.stock.sku, self.stock.node, self._free_units(),
            said.at[coming], said.sku[coming], said.node[coming], said.units[coming],
            self.next_whole[at], self.network.terms.cancel_after_days,
        )  # fmt: skip

    def _free_units(self) -> Ints:
        """(N,) units that may leave their nodes."""
        return np.where(self.closed[self.stock.node], 0, self.stock.units)

    def enter(self, network: Network) -> None:
        """Go on with another network of the same nodes, SKUs and services; stock stays where it is.

        Orders that hold what may not leave as it was to are let go, each as a whole: a later decision serves them anew.
        """
        self.network = columns_of(network)
        self.closed, self.collect_only = (
            np.array([tag in node.tags for node in network.nodes], dtype=np.bool_) for tag in (CLOSED, COLLECT_ONLY)
        )
        claims = self.claims
        self._let_go(np.isin(claims.order, claims.order[self._barred(claims)]))

    def _barred(self, claims: Claims) -> Bools:
        """(P,) which held parcels may not leave: by their node, by who was to carry them, or as more than is made in a day."""
        empty, parcel = self.network.empty, claims.entry_parcel
        sent = claims.service != NO_SERVICE
        hard = empty.node_overtime_cents == HARD
        full = hard & (self.node_parcels > empty.node_capacity_parcels)
        full |= self.node_units > self.network.node_capacity_units
        barred: Bools = (self.closed | full)[claims.node] | (self.collect_only[claims.node] & sent)
        by = np.flatnonzero(sent[parcel])
        carried = empty.sku_carried[self.history.line_sku[claims.entry_line[by]], claims.service[parcel[by]]]
        barred[parcel[by[~carried]]] = True
        return barred

    def let_happen(self, until: int) -> None:
        """Take everything that happens up to and at this minute."""
        history = self.history
        due = int(np.searchsorted(history.count_at, until, side="right"))
        while self.counts < due:
            at = int(history.count_at[self.counts])
            end = int(np.searchsorted(history.count_at, at, side="right"))
            self._pass(at)
            self._count(slice(self.counts, end))
            self.counts = end
        self._pass(until)
        if self.returning is not None and self.came:
            rows = self.returning.send(self, self.came, until)
            for (at, _, _, units), row in zip(self.came, rows.tolist(), strict=True):
                self._restock(at, row, units)
            self.came = []

    def ask(self, at: int, *, whole: bool = True) -> Asked | None:
        """Make the problem of everything open, or none where nothing is open or nothing open has stock.

        Parameters
        ----------
        whole
            What is held is decided anew as well; else only orders that came in since the last question.
        """
        first, self.asked = self.asked, self.placed
        if whole:
            self.give_back(np.ones(len(self.claims.order), dtype=np.bool_))
            return self.ask_for(self.open, at)
        return self.ask_for(self.open[self.open >= first], at)

    def ask_for(self, orders: Ints, at: int) -> Asked | None:
        """Make the problem of what is open of some orders; a line whose every unit was held must be filled again."""
        history = self.history
        line = self._lines_of(orders)
        order = np.unique(self.history.line_order[line])
        if len(order) < len(orders):
            self.open = np.setdiff1d(self.open, np.setdiff1d(orders, order))
        if not len(line):
            return None
        self.order_seen[order] = True
        parcels_left, units_left = self._left_today(at)
        problem = build_problem(
            self.network,
            replace(self.stock, units=self._free_units()),
            self._open_orders(order, line),
            at=at,
            parcels_left=parcels_left,
            units_left=units_left,
        )
        if not len(problem.option_node):
            return None
        if self.collect_only.any():
            closed_lane = self.collect_only[:, None]
            problem = replace(problem, lane_zone=np.where(closed_lane, NO_SERVICE, problem.lane_zone).astype(np.int8))
        problem = price_waiting(
            self._without_rests(problem, order, at),
            history.line_sku[line],
            self.inbound,
            at=at,
            last_wave=np.minimum(self.order_last_wave[order], at + self.announced),  # what comes later is not known yet
            wait_cents_per_day=self.network.terms.wait_cents_per_day,
        )
        return Asked(problem, order, line)

    def carry_out(self, asked: Asked, plan: Plan, at: int) -> Plan:
        """Release what is due of a plan and hold the rest; what is not found or refused is open again.

        Returns
        -------
        Plan
            What is really shipped.
        """
        self.line_held[asked.line] = 0
        self._price(asked.problem, plan)
        order = asked.order[plan.parcel_order]
        fresh = order[self.order_decided_at[order] < 0]
        self.order_decided_at[fresh] = at
        due = self._due(plan, order, at)
        if not due.all():
            self._hold(claims_of(asked.problem, part_of(plan, ~due), asked.order, asked.line))
        released = part_of(plan, due)
        done = self._befall(asked, released, at) if self.chance else released
        self._ship(asked, done, at)
        return done

    def _price(self, problem: Problem, plan: Plan) -> None:
        """Remember what stock was worth in this wave; what it did not ask for, it says nothing of."""
        if self.returning is None or not len(plan.row_price):
            return
        row = np.flatnonzero((problem.row_sku >= 0) & (problem.row_node >= 0))
        sku = np.array([self.sku_at[name] for name in problem.sku_id], dtype=np.int64)[problem.row_sku[row]]
        self.value[:] = 0
        self.value[self.rows_of(problem.row_node[row].astype(np.int64), sku)] = np.round(plan.row_price[row])

    def lapse(self, at: int | None) -> None:
        """Give up the units of orders for which this wave was the last; at the end (`None`) of all that are open."""
        last = self.open if at is None else self.open[self.order_last_wave[self.open] <= at]
        for line in self._lines_of(last).tolist():
            self.tally.lapsed += self._leave(line, int(self.line_open[line]))

    def give_back(self, parcels: Bools) -> None:
        """Put what some of the held parcels hold back on the shelf, for the next decision to take; it is still promised."""
        gone = self.claims.only(parcels)
        node = gone.node[gone.entry_parcel]
        np.add.at(self.stock.units, self.rows_of(node, self.history.line_sku[gone.entry_line]), gone.entry_units)
        np.subtract.at(self.node_parcels, gone.node, 1)
        np.subtract.at(self.node_units, node, gone.entry_units)
        self.claims = self.claims.only(~parcels)

    def _hold(self, claims: Claims) -> None:
        node = claims.node[claims.entry_parcel]
        row = self.rows_of(node, self.history.line_sku[claims.entry_line])
        np.subtract.at(self.stock.units, row, claims.entry_units)
        assert (self.stock.units[row] >= 0).all(), "a plan holds what is not there"
        np.add.at(self.line_held, claims.entry_line, claims.entry_units)
        np.add.at(self.node_parcels, claims.node, 1)
        np.add.at(self.node_units, node, claims.entry_units)
        self.claims = self.claims.and_also(claims)

    def _due(self, plan: Plan, order: Ints, at: int) -> Bools:
        """(P,) which parcels are released now: an order as a whole, at the latest before the work of a node's day is over."""
        following = self.next_whole[at]
        if not self.release_after or following < 0:
            return np.ones(plan.parcels, dtype=np.bool_)
        node = plan.parcel_node
        turned = working_days(self.network, following)[node] > working_days(self.network, at)[node]
        due = turned | (following - self.order_decided_at[order] > self.release_after)
        due |= self.order_last_wave[order] < following
        return np.isin(order, order[due])

    def _befall(self, asked: Asked, plan: Plan, at: int) -> Plan:
        """What is left of a plan when stores have refused parcels, and nodes have not found what they were to pick."""
        assert self.chance is not None, "without chance nothing befalls a plan"
        assert self.names is not None, "chance goes by names"
        day, names, parcel = at // MINUTES_PER_DAY, self.names, plan.entry_parcel
        order, line = asked.order[plan.parcel_order], asked.line[plan.entry_line]
        is_store = self.network.empty.node_is_store[plan.parcel_node]
        node = names.node[plan.parcel_node]
        refused = self.chance.refused(names.order[order], node, is_store, day)
        key = names.order[order[parcel]], names.line_number[line], node[parcel]
        missing = self.chance.missing(*key, day, plan.entry_units)
        missing[refused[parcel]] = 0
        row = self.rows_of(plan.parcel_node[parcel], self.history.line_sku[line])
        np.subtract.at(self.stock.units, row, missing)
        np.add.at(self.lost, row, missing)
        short = np.unique(parcel[missing > 0])
        for p in np.union1d(short, np.flatnonzero(refused)).tolist():
            self.rests[int(order[p]), int(plan.parcel_node[p])] = at + self.chance.rest_minutes
        self.tally.refused += int(refused.sum())
        self.tally.missing += int(missing.sum())
        return part_of(plan, ~refused, plan.entry_units - missing)

    def _ship(self, asked: Asked, plan: Plan, at: int) -> None:
        """Take a plan's units from stock, and what it makes from capacity."""
        problem, parcel = asked.problem, plan.entry_parcel
        line, node = asked.line[plan.entry_line], plan.parcel_node[parcel]
        row = self.rows_of(node, self.history.line_sku[line])
        np.subtract.at(self.stock.units, row, plan.entry_units)
        assert (self.stock.units[row] >= 0).all(), "a plan takes what is not there"
        np.add.at(self.shipped, row, plan.entry_units)
        np.subtract.at(self.line_open, line, plan.entry_units)
        assert (self.line_open[line] >= 0).all(), "a line gets more than was open"
        np.add.at(self.node_parcels, plan.parcel_node, 1)
        np.add.at(self.node_units, node, plan.entry_units)
        order = asked.order[plan.parcel_order]
        np.add.at(self.order_parcels, order, 1)
        self.order_collect[order] = problem.dest_node[plan.parcel_dest]
        arrives = self.log.ship(asked, plan, at)
        self.order_missed[order[arrives > self.history.promise_day(order)]] = True
        self._remember(line, row, plan.entry_units, arrives[parcel])
        self._close_full(order)

    def _remember(self, line: Ints, row: Ints, units: Ints, arrives: Ints) -> None:
        """Note the shipments that the history takes back, and what chance sends back when it has arrived."""
        if self.line_shipments:
            for k, stock_row, count in zip(line.tolist(), row.tolist(), units.tolist(), strict=True):
                if k in self.line_shipments:
                    self.line_shipments[k].append([stock_row, count])
        if self.chance is None or self.names is None or not self.chance.give_back:
            return
        after = self.chance.given_back_after(
            self.names.order[self.history.line_order[line]], self.names.line_number[line]
        )
        for i in np.flatnonzero(after >= 0).tolist():
            if int(line[i]) not in self.line_shipments:
                back = int(arrives[i]) * MINUTES_PER_DAY + int(after[i])
                heapq.heappush(self.returns, (back, int(row[i]), int(units[i]), int(line[i])))

    def _pass(self, until: int) -> None:
        """Take everything but counts."""
        history = self.history
        due = int(np.searchsorted(self.coming.at, until, side="right"))
        receipt = slice(self.receipts, due)
        row = self.rows_of(self.coming.node[receipt], self.coming.sku[receipt])
        for column in (self.stock.units, self.received):
            np.add.at(column, row, self.coming.units[receipt])
        self.receipts = due
        placed = int(np.searchsorted(history.order_placed_at, until, side="right"))
        self.open = np.concatenate([self.open, np.arange(self.placed, placed)])
        self.placed = placed
        while self.troubles and self.troubles[-1][0] <= until:
            at, line, units, is_return = self.troubles.pop()
            self._give_back(at, line, units) if is_return else self._cancel(at, line, units)
            if self.line_held[line] > self.line_open[line]:
                self._let_go(self.claims.order == self.history.line_order[line])
        while self.returns and self.returns[0][0] <= until:
            at, stock_row, units, line = heapq.heappop(self.returns)
            self._shelve(at, line, stock_row, units)
        while self.restocks and self.restocks[0][0] <= until:
            _, stock_row, units = heapq.heappop(self.restocks)
            self.stock.units[stock_row] += units
            self.returned[stock_row] += units

    def _count(self, counted: slice) -> None:
        """Put the books right; claims on units that are not there are let go."""
        history = self.history
        row = self.rows_of(history.count_node[counted], history.count_sku[counted])
        claims = self.claims
        holds = self.rows_of(claims.node[claims.entry_parcel], history.line_sku[claims.entry_line])
        held = np.bincount(holds, weights=claims.entry_units, minlength=len(self.row_key)).astype(np.int64)
        self.lost[row] += self.stock.units[row] + held[row] - history.count_units[counted]
        self.stock.units[row] = history.count_units[counted] - held[row]
        short = row[self.stock.units[row] < 0]
        if len(short):
            self._let_go(np.isin(claims.order, claims.order[claims.entry_parcel[np.isin(holds, short)]]))

    def _let_go(self, parcels: Bools) -> None:
        """Some held parcels hold no more, and nothing is promised of them."""
        self.line_held[self.claims.only(parcels).entry_line] = 0
        self.give_back(parcels)

    def _without_rests(self, problem: Problem, order: Ints, at: int) -> Problem:
        """Rule out the nodes that refused an order, or came up short for it, while it rests from them."""
        self.rests = {pair: until for pair, until in self.rests.items() if until > at}
        if not self.rests:
            return problem
        pairs = np.array([o * problem.nodes + j for o, j in self.rests], dtype=np.int64)
        key = order[problem.line_order[problem.option_line]] * problem.nodes + problem.option_node
        rests = np.isin(key, pairs) & (problem.option_reason == 0)
        reason = np.where(rests, len(problem.reasons), problem.option_reason).astype(np.uint8)
        return replace(problem, option_reason=reason, reasons=(*problem.reasons, REFUSED))

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
        self.order_missed[self.history.line_order[line]] |= units > 0
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
        """Call units off: those that a wave had left open cost their penalty, those that nobody saw, or that are held, do not."""
        held = min(units, int(self.line_held[line])) if self.order_seen[self.history.line_order[line]] else units
        self.line_open[line] -= held
        self.tally.withdrawn += held
        if units > held:
            self.tally.cancelled += self._leave(line, units - held)

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
            self._shelve(at, line, stock_row, back)
        return units

    def _shelve(self, at: int, line: int, stock_row: int, units: int) -> None:
        """Units came back; they can be sold again some days later, where they were or where they are sent now."""
        self.tally.returned += units
        if self.returning is None:
            self._restock(at, stock_row, units)
        else:
            self.came.append((at, line, stock_row, units))

    def _restock(self, at: int, stock_row: int, units: int) -> None:
        heapq.heappush(self.restocks, (at + self.network.terms.restock_days * MINUTES_PER_DAY, stock_row, units))

    def rows_of(self, node: Ints, sku: Ints) -> Ints:
        """The rows of stock of some SKUs at some nodes."""
        return np.searchsorted(self.row_key, sku * self.network.nodes + node)

    def _left_today(self, at: int) -> tuple[Ints, Ints]:
        """What each node can still make on the working day that it is at; a new day begins with what is held for it."""
        working = working_days(self.network, at)
        new = working != self.node_day
        self.node_day = working
        if new.any():
            node, units = self.claims.node, self.claims.entry_units
            self.node_parcels[new] = np.bincount(node, minlength=len(new))[new]
            self.node_units[new] = np.bincount(node[self.claims.entry_parcel], units, len(new))[new]
        parcels, units = self.network.empty.node_capacity_parcels, self.network.node_capacity_units
        return (
            np.where(parcels < NO_LIMIT, np.maximum(0, parcels - self.node_parcels), NO_LIMIT),
            np.where(units < NO_LIMIT, np.maximum(0, units - self.node_units), NO_LIMIT),
        )

    def _open_orders(self, order: Ints, line: Ints) -> OpenOrders:
        """What is open of some orders, which may make fewer parcels than at first, and be bound to where they are collected."""
        asked = open_orders(self.history, self.network, order, line, self.order_collect[order])
        limit = asked.order_max_parcels
        return replace(
            asked,
            order_max_parcels=limit - np.where(limit < NO_LIMIT, self.order_parcels[order], 0),
            line_qty=self.line_open[line],
            line_must_fill=self.line_held[line] >= self.line_open[line],
        )
