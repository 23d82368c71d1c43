"""The least that anybody could have paid who knew the whole history in advance: a bound on every run, and a plan near it.

All orders of a history are one problem. What they take of a stock is limited at *moments*: orders that are over by then cannot have
taken more than was there by then. An order is over with the last wave that sees it. Every run keeps all such limits, at every
moment; a problem that keeps some of them, and is kind in all else, has a plan that costs no more than any run:

- nodes work without closing days, and what waits for a later wave waits for the shortest of so many days, though its stock need
  only come within the longest of them (`WAITS`; for orders to collect, any wait is as none);
- a node may spread the capacity of all its days over all orders, those that wait once more;
- parcels for one order that leave one node during one wait go as one, which, where several waves fall into one, costs no more than
  they could in parts;
- what came back is on the shelf again as if it had never been sold, from the day on which that could be at the earliest, and the
  order it was of need not be complete;
- what a customer called off before the first wave is not asked for.

Only few of those moments matter. They are found as the solver goes: where a plan takes more than was there, that moment joins the
problem, and it is solved anew.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.network import NetworkColumns, Stock, columns_of
from engine.sourcing import OpenOrders, build_problem, ranges
from simulation.events import all_stock, troubles_of
from simulation.history import History
from simulation.open_orders import open_orders
from simulation.placing import Placed
from simulation.replay import WAVE_MINUTE
from simulation.rhythm import Every, Rhythm, rhythm_of
from solver import policies
from solver.draft import new_draft, plan_of, serve_as, serve_in_turn
from solver.effort import Effort, Meter, Watch, unwatched
from solver.outlook import Present, StockPrices, present_of
from solver.plan import Plan
from solver.policies.cheapest import few_units
from solver.prices import Pricing, ascend
from solver.problem import DELIVERED, NO_LIMIT, Bools, Floats, Ints, Problem
from solver.refusal import Refusal

TIME = 2**32
"""More minutes than any moment."""
ALWAYS = TIME - 1
"""A moment after everything."""
ROUNDS = 4
"""How often moments are sought, at most; each round but the last has an equal part of half the time."""
MOMENTS_EACH = 2
"""Moments that one round adds to the limits on a stock."""
WAITS = (0, 1, 3, 7)
"""Days from an order's first wave to that of a parcel: from each of these to the day before the next, or to its last wave."""
GRAMS_PER_KG = 1000
MOMENTS_MOST = 8
"""Of one stock; what would be more is left out, which only lowers the bound."""


@dataclass(frozen=True, eq=False)
class Hindsight:
    """What a clairvoyant would have had to pay.

    Attributes
    ----------
    bound_cents
        No run of the history costs less, whatever its policy knew.
    plan, problem
        The best plan found for all orders in one problem.
    overdrawn
        Units that the plan takes of stock before they were there.
    order_day
        (O,) the day of the first wave that saw each order of the problem.
    row_key, row_until
        (R,) SKU times nodes plus node of each row (-1: no stock), and the moment until which it has to last.
    """

    bound_cents: float
    problem: Problem
    plan: Plan
    overdrawn: int
    order_day: Ints
    row_key: Ints
    row_until: Ints

    @property
    def cost_cents(self) -> int:
        """What the plan costs in the problem."""
        return self.plan.cost_cents

    @cached_property
    def planned(self) -> dict[str, tuple[int, list[int]]]:
        """Each order that the plan serves, by its name: its place in the problem, and its parcels."""
        found: dict[str, tuple[int, list[int]]] = {}
        for parcel, order in enumerate(self.plan.parcel_order.tolist()):
            found.setdefault(self.problem.order_id[order], (order, []))[1].append(parcel)
        return found

    def prices_at(self, minute: int) -> StockPrices:
        """What a unit of stock is worth from a minute on, in whole cents."""
        counts = (self.row_key >= 0) & (self.row_until >= minute) & (self.plan.row_price > 0)
        key, place = np.unique(self.row_key[counts], return_inverse=True)
        cents: Floats = np.bincount(place, self.plan.row_price[counts], minlength=len(key)).astype(np.float64)
        return StockPrices(minute, key, cents.round())


def hindsight(
    placed: Placed,
    effort: Effort,
    *,
    every: Every = "day",
    wave_minute: int = WAVE_MINUTE,
    release_after: int = 0,
    patient: bool = True,
    seed: int = 0,
    watch: Watch = unwatched,
) -> Hindsight:
    """Bound what any run of a history can cost under the same rhythm, and find a plan near that.

    Parameters
    ----------
    effort
        For all rounds together.
    every, wave_minute, release_after
        As of the runs that it is to be compared with; they must be without `chance`.
    patient
        Whether orders may wait for a later wave than their first; if not, runs that let them wait may cost less.

    Raises
    ------
    Refusal
        The history has no orders, or it counts stock, so that what is there depends on when it was taken; or the network changes.
    """
    history, network = placed.history, columns_of(placed.network)
    if not history.orders:
        raise Refusal("history", "has no orders; there is nothing to bound", "empty")
    if placed.later:
        raise Refusal("network", "changes later; the bound in hindsight is for one that stays as it is", "changes")
    if len(history.count_at):
        raise Refusal("history", "counts its stock; the bound in hindsight is for histories that do not", "counted")
    rhythm = rhythm_of(history, network, every, wave_minute=wave_minute, until=None)
    demand = _demand(history, network, rhythm, release_after)
    relaxed = _relaxed(network, all_stock(history, network), history, demand, rhythm)
    problem, over = _with_waits(relaxed, demand, rhythm, patient)
    shelf = Shelf.of(history, network, problem, over, demand.line_back[problem.option_line])
    many = not few_units(problem)
    # orders of many lines take so long to serve that moments are not sought: each at which something came is one
    moments, rounds = shelf.moments(receipts=many), 1 if many else ROUNDS
    bound, limited, plan, overdrawn = 0.0, problem, None, 0
    for i in range(rounds):
        limited, row_key, row_until = shelf.limit(problem, moments)
        share = _part(effort, 0.5 if i == rounds - 1 else 0.5 / (rounds - 1))
        if many:
            limited, bound = _priced(limited, Meter(share, watch))
        plan = policies.make("joint", share, seed, watch)(limited)
        bound = max(bound, plan.bound_cents)
        more, overdrawn = shelf.overdrawn(problem, plan, moments)
        if more is None or i == rounds - 1 or effort.stop.is_set():
            break
        moments = more
    assert plan is not None, "there is at least one round"
    return Hindsight(bound, limited, plan, overdrawn, demand.order_first // MINUTES_PER_DAY, row_key, row_until)


@dataclass(frozen=True, eq=False)
class _Demand:
    """What is asked for in hindsight: O orders, L lines.

    Attributes
    ----------
    order_first, order_last
        (O,) the minutes of the first and the last wave that see each order.
    line_back
        (L,) when units of the line are back on a shelf at the earliest; `ALWAYS + 1` where none come back.
    """

    orders: OpenOrders
    order_first: Ints
    order_last: Ints
    line_back: Ints


def _demand(history: History, network: NetworkColumns, rhythm: Rhythm, release_after: int) -> _Demand:
    """Take off what was called off in time, and note what came back later."""
    first = rhythm.at[np.minimum(np.searchsorted(rhythm.at, history.order_placed_at), len(rhythm.at) - 1)]
    last = rhythm.last_of(history, network.terms.cancel_after_days)
    # what is held, and not released, can be called off for nothing until it is released
    free_until = np.maximum(first, last + release_after) if release_after else first
    qty = history.line_qty.copy()
    back: Ints = np.full(history.lines, ALWAYS + 1, dtype=np.int64)
    for at, k, units, _ in reversed(troubles_of(history, None, None)):
        if at <= free_until[history.line_order[k]]:
            qty[k] = max(0, int(qty[k]) - units)
        else:
            back[k] = min(int(back[k]), at + network.terms.restock_days * MINUTES_PER_DAY)
    line = np.flatnonzero(qty > 0)
    order = np.unique(history.line_order[line])
    asked = open_orders(history, network, order, line)
    less = np.isin(order, history.line_order[back <= ALWAYS])
    orders = replace(
        asked,
        order_promise_day=asked.order_promise_day - first[order] // MINUTES_PER_DAY,
        order_ship_complete=asked.order_ship_complete & ~less,
        line_qty=qty[line],
    )
    return _Demand(orders, first[order], last[order], back[line])


def _relaxed(network: NetworkColumns, stock: Stock, history: History, demand: _Demand, rhythm: Rhythm) -> Problem:
    """The problem of all orders from all that was ever there, each from its first wave on."""
    units = stock.units.copy()
    row = np.searchsorted(
        stock.sku * network.nodes + stock.node, history.receipt_sku * network.nodes + history.receipt_node
    )
    np.add.at(units, row, history.receipt_units)
    # a day of work may end after the last wave
    days = int(rhythm.at[-1] // MINUTES_PER_DAY - rhythm.at[0] // MINUTES_PER_DAY) + 8
    all_days = [
        np.where(a_day < NO_LIMIT // days, a_day * days, NO_LIMIT)
        for a_day in (network.empty.node_capacity_parcels, network.node_capacity_units)
    ]
    ever = Stock(stock.node, stock.sku, units, np.zeros_like(stock.value_cents))
    problem = build_problem(network, ever, demand.orders, at=0, parcels_left=all_days[0], units_left=all_days[1])
    return replace(problem, node_ready_days=network.empty.node_ready_days)


def _in_parts(problem: Problem) -> Problem:
    """Let no parcel cost more than its goods could in several: two first steps at least, and the least that a gram costs."""
    cents, over = problem.service_cents.copy(), problem.service_over_cents.copy()
    another = int(problem.node_parcel_cents.min())
    for service, zone in np.ndindex(over.shape):
        steps = int(problem.service_steps[service])
        if zone >= problem.service_zones[service]:
            continue
        upper, own = problem.service_steps_g[service, :steps], cents[service, zone, :steps]
        rate = min(float((own / upper).min()), float(over[service, zone]) / GRAMS_PER_KG)
        lower = np.concatenate([[0], upper[:-1]]) + 1
        own[:] = np.minimum(own, np.maximum(2 * own[0] + another, np.floor(rate * lower).astype(np.int64)))
        over[service, zone] = min(int(over[service, zone]), int(rate * GRAMS_PER_KG))
    return replace(problem, service_cents=cents, service_over_cents=over)


def _part(effort: Effort, share: float) -> Effort:
    seconds = None if effort.seconds is None else share * effort.seconds
    work = None if effort.work is None else max(1, int(share * effort.work))
    return replace(effort, seconds=seconds, work=work)


def _priced(problem: Problem, meter: Meter) -> tuple[Problem, float]:
    """The problem with better prices to start from, and the bound that they prove."""
    pricing = Pricing(problem, np.arange(problem.orders), problem.row_limit, problem.node_capacity_parcels)
    best = ascend(pricing, problem.row_price, problem.node_price, float("inf"), meter).best
    return replace(problem, row_price=best.row_price, node_price=best.node_price), best.bound_cents


def _with_waits(problem: Problem, demand: _Demand, rhythm: Rhythm, patient: bool) -> tuple[Problem, Ints]:
    """The problem with each node once for every wait, ready so much later, and by which moment each option is taken."""
    begins, endless = np.array(WAITS if patient else WAITS[:1]), TIME // MINUTES_PER_DAY // 2 if patient else 1
    nodes, options = problem.nodes, np.diff(problem.line_option_start)
    day = demand.order_first // MINUTES_PER_DAY
    ends = np.append(begins[1:], endless)
    over = np.minimum((day[:, None] + ends) * MINUTES_PER_DAY - 1, demand.order_last[:, None])
    possible = day[:, None] + begins <= demand.order_last[:, None] // MINUTES_PER_DAY
    collects = problem.dest_node[problem.order_dest_start[:-1]] != DELIVERED
    over[collects], possible[collects, 1:] = over[collects, -1:], False
    begin = np.maximum(demand.order_first[:, None], (day[:, None] + begins) * MINUTES_PER_DAY)
    waves = np.searchsorted(rhythm.at, over, side="right") - np.searchsorted(rhythm.at, begin)
    if (waves[possible] > 1).any():
        problem = _in_parts(problem)
    waits = int(possible.any(axis=0).sum())
    begins, over, possible = begins[:waits], over[:, :waits], possible[:, :waits]
    line = np.repeat(np.arange(problem.lines), options * waits)
    option = ranges(np.repeat(problem.line_option_start[:-1], waits), np.repeat(options, waits))
    wait = np.repeat(np.tile(np.arange(waits), problem.lines), np.repeat(options, waits))
    order = problem.line_order[line]
    kept = possible[order, wait]
    line, option, wait, order = line[kept], option[kept], wait[kept], order[kept]
    tiled: dict[str, Any] = {
        name: np.tile(getattr(problem, name), waits)
        for name in (
            "node_is_store", "node_lat", "node_lon", "node_parcel_cents", "node_line_cents", "node_unit_cents",
            "node_capacity_parcels", "node_overtime_cents", "node_price",
        )
    }  # fmt: skip
    of_option: dict[str, Any] = {
        name: getattr(problem, name)[option]
        for name in ("option_row", "option_use", "option_unit_cents", "option_value_cents", "option_reason")
    }
    waiting = replace(
        problem,
        **tiled,
        **of_option,
        node_id=tuple(f"{name} +{days}d" if days else name for days in begins.tolist() for name in problem.node_id),
        node_ready_days=np.concatenate([problem.node_ready_days + days for days in begins]),
        lane_zone=np.tile(problem.lane_zone, (1, waits, 1)),
        line_option_start=np.searchsorted(line, np.arange(problem.lines + 1)),
        option_node=(wait * nodes + problem.option_node[option]).astype(np.int32),
    )
    return waiting, over[order, wait]


@dataclass(frozen=True, eq=False)
class Shelf:
    """What there was of each SKU at each node, and when: S stocks that the problem draws on.

    Attributes
    ----------
    key
        (S,) SKU of the network times nodes plus node, ascending.
    row
        (S,) its row in the problem before moments are chosen.
    option_stock, option_over, option_back
        (Q,) the stock of each option, the moment by which it is taken, and that from which it may be back.
    came, there
        (A,) when units arrived (`_at`: by stock, then time; time 0 is from the beginning), and how many were there from then on.
    """

    key: Ints
    row: Ints
    option_stock: Ints
    option_over: Ints
    option_back: Ints
    came: Ints
    there: Ints

    @classmethod
    def of(cls, history: History, network: NetworkColumns, problem: Problem, over: Ints, back: Ints) -> "Shelf":
        """Read what a history and its network had."""
        nodes, stock = network.nodes, network.stock
        sku_at = {name: k for k, name in enumerate(network.empty.sku_id)}
        sku = np.array([sku_at[name] for name in problem.sku_id], dtype=np.int64)
        row = np.flatnonzero(problem.row_sku >= 0)
        key = sku[problem.row_sku[row]] * nodes + problem.row_node[row]
        row, key = row[np.argsort(key)], np.sort(key)
        stock_of_row = np.full(problem.rows + 1, -1, dtype=np.int64)
        stock_of_row[row] = np.arange(len(row))
        all_keys = np.concatenate([stock.sku * nodes + stock.node, history.receipt_sku * nodes + history.receipt_node])
        at = np.concatenate([np.zeros(len(stock.units), dtype=np.int64), history.receipt_at])
        units = np.concatenate([stock.units, history.receipt_units])
        wanted = np.isin(all_keys, key)
        came = _at(np.searchsorted(key, all_keys[wanted]), at[wanted])
        by = np.argsort(came, kind="stable")
        came, units = came[by], units[wanted][by]
        option_stock = stock_of_row[problem.option_row].max(axis=1)
        return cls(key, row, option_stock, over, back, came, _running(came // TIME, units))

    def moments(self, *, receipts: bool = False) -> Ints:
        """(S, `MOMENTS_MOST`) moments to begin with; -1 where there is none.

        That after everything, those at which orders are over of which something is back, and, where `receipts` are wanted, the
        minute before each.
        """
        moments = np.full((len(self.key), MOMENTS_MOST), -1, dtype=np.int64)
        moments[:, -1] = ALWAYS
        back = self.option_back <= ALWAYS
        _add(moments, _at(self.option_stock[back], self.option_over[back]), MOMENTS_MOST // 2)
        if receipts:
            _add(moments, self.came[self.came % TIME > 0] - 1, MOMENTS_MOST - 1)
        return moments

    def units_by(self, stock: Ints, moment: Ints) -> Ints:
        """(n,) units of some stocks that had come by a moment each."""
        place = np.searchsorted(self.came, _at(stock, moment), side="right") - 1
        before = np.append(self.came // TIME, -1)[place] != stock
        return np.where(before, 0, np.append(self.there, 0)[place])

    def limit(self, problem: Problem, moments: Ints) -> tuple[Problem, Ints, Ints]:
        """The problem with a row for each moment of each stock, and each row's key and moment (-1: no stock)."""
        stock, place = np.nonzero(moments >= 0)
        until, endless = moments[stock, place], len(stock)
        row_of = np.full(moments.shape, -1, dtype=np.int64)
        row_of[stock, place] = np.arange(len(stock))
        known = moments[self.option_stock]
        drawn = (known >= self.option_over[:, None]) & (known < self.option_back[:, None])
        rows = np.where(drawn, row_of[self.option_stock], -1)
        # what is back before any moment draws on a row that never ends
        rows[~drawn.any(axis=1), 0] = endless
        other = np.flatnonzero(problem.row_sku < 0)
        other_row = np.full(problem.rows + 1, -1, dtype=np.int64)
        other_row[other] = endless + 1 + np.arange(len(other))
        both = np.concatenate([rows, other_row[problem.option_row]], axis=1)
        both = both[:, (both >= 0).any(axis=0)].astype(np.int32)
        plenty, row = int(problem.line_qty.sum()) + 1, self.row[stock]
        limited = replace(
            problem,
            option_row=both,
            option_use=(both >= 0).astype(np.int32),
            row_limit=np.concatenate([self.units_by(stock, until), [plenty], problem.row_limit[other]]),
            row_node=np.concatenate([problem.row_node[row], [-1], problem.row_node[other]]).astype(np.int32),
            row_sku=np.concatenate([problem.row_sku[row], [-1], problem.row_sku[other]]).astype(np.int32),
            row_price=np.zeros(endless + 1 + len(other)),
        )
        nothing = np.full(1 + len(other), -1, dtype=np.int64)
        return limited, np.concatenate([self.key[stock], nothing]), np.concatenate([until, nothing])

    def overdrawn(self, problem: Problem, plan: Plan, moments: Ints) -> tuple[Ints | None, int]:
        """Where a plan takes more than was there: the moments with those added at which that is most, and units in all.

        No moments where none can be added.
        """
        option = problem.find_options(plan.entry_line, plan.parcel_node[plan.entry_parcel])
        stock, units = self.option_stock[option], plan.entry_units
        change = np.concatenate([_at(stock, self.option_over[option]), _at(stock, self.option_back[option])])
        by = np.argsort(change, kind="stable")
        change, taken = change[by], np.concatenate([units, -units])[by]
        taken = _running(change // TIME, taken)
        # between two receipts what was taken only grows, but for what is back: the minute before a receipt tells most,
        # and the last one of an order of which something is back
        receipt, back = np.flatnonzero(self.came % TIME > 0), self.option_back[option] <= ALWAYS
        moment_of = np.unique(np.append(self.came[receipt] - 1, _at(stock[back], self.option_over[option[back]])))
        whose, moment = moment_of // TIME, moment_of % TIME
        last = np.searchsorted(change, _at(whose, moment), side="right") - 1
        by_then = np.where(np.append(change // TIME, -1)[last] == whose, np.append(taken, 0)[last], 0)
        excess = by_then - self.units_by(whose, moment)
        most = np.zeros(len(self.key), dtype=np.int64)
        np.maximum.at(most, whose, excess)
        moments, room_before, added = moments.copy(), (moments < 0).sum(axis=1), False
        short = np.flatnonzero(excess > 0)
        for i in short[np.lexsort((-excess[short], whose[short]))].tolist():
            s, m = int(whose[i]), int(moment[i])
            room = np.flatnonzero(moments[s] < 0)
            if len(room) and len(room) > room_before[s] - MOMENTS_EACH and m not in moments[s]:
                moments[s, room[-1]] = m
                added = True
        return (moments if added else None), int(most.sum())


@dataclass(frozen=True)
class Clairvoyant:
    """Carry out what was planned in hindsight, wave by wave: a policy that nobody could have had, to come near the bound.

    What is in the way that the problem in hindsight was too kind to know of keeps an order waiting; an order of which nothing more
    is planned is served if that pays at what stock turned out to be worth.
    """

    found: Hindsight

    def __call__(self, problem: Problem) -> Plan:
        """Decide as if everything planned were due."""
        return self.look(problem, present_of(problem, ALWAYS), None)[0]

    def look(self, problem: Problem, present: Present, memory: Any) -> tuple[Plan, Any]:
        """Ship the parcels that are planned until now and not shipped yet."""
        meter = Meter(Effort(seconds=None))
        ways, later = self._ways(problem, present.at // MINUTES_PER_DAY)
        draft = serve_as(problem, new_draft(problem), ways)
        price = self.found.prices_at(present.at).of(present.keys(problem))
        rest = np.setdiff1d(np.flatnonzero(draft.order_count == 0), later)
        draft = serve_in_turn(problem, draft, rest, row_price=price)
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        return plan_of(problem, draft, 0.0, *prices, meter.seconds, "clairvoyant", 0), memory

    def _ways(self, problem: Problem, day: int) -> tuple[list[tuple[int, int, Ints, Ints, Ints]], list[int]]:
        """What is due of each order, and the orders of which something is due later."""
        whole, planned = self.found.problem, self.found.planned
        ways, later = [], []
        for order, name in enumerate(problem.order_id):
            own = planned.get(name)
            if own is None:
                continue
            then, parcels = own
            of_line = _same_lines(problem, order, whole, then)
            first_day = self.found.order_day[then]
            # where it is collected may have been settled otherwise by what was shipped before
            where = whole.dest_node[self.found.plan.parcel_dest[parcels[0]]]
            dests = np.arange(problem.order_dest_start[order], problem.order_dest_start[order + 1])
            there = dests[problem.dest_node[dests] == where]
            due = [p for p in parcels if first_day + WAITS[self.found.plan.parcel_node[p] // problem.nodes] <= day]
            if not due:
                later.append(order)
            line = np.arange(problem.order_line_start[order], problem.order_line_start[order + 1])
            units = np.array([self._units(p, of_line) for p in due], dtype=np.int64).reshape(len(due), len(line))
            for k, p in enumerate(due):
                here = np.full(len(line), self.found.plan.parcel_node[p] % problem.nodes)
                units[k, problem.find_options(line, here) < 0] = 0
            # less may be open than was planned
            units = np.diff(np.minimum(units.cumsum(axis=0), problem.line_qty[line]), axis=0, prepend=0)
            some: Bools = units.sum(axis=1) > 0
            due, units = [p for p, any_units in zip(due, some.tolist(), strict=True) if any_units], units[some]
            in_part = problem.order_ship_complete[order] and units.sum() < problem.line_qty[line].sum()
            if due and not in_part and len(there):
                node, service = self.found.plan.parcel_node[due] % problem.nodes, self.found.plan.parcel_service[due]
                # what was planned for several days and is due now goes together
                (node, service), of = np.unique(np.stack([node, service]), axis=1, return_inverse=True)
                together = np.zeros((len(node), len(line)), dtype=np.int64)
                np.add.at(together, of.ravel(), units)
                ways.append((order, int(there[0]), node.astype(np.int64), service.astype(np.int64), together))
        return ways, later

    def _units(self, parcel: int, of_line: Ints) -> list[int]:
        """What a planned parcel holds of the lines that are open now."""
        plan = self.found.plan
        span = slice(plan.entry_start[parcel], plan.entry_start[parcel + 1])
        held = dict(zip(plan.entry_line[span].tolist(), plan.entry_units[span].tolist(), strict=True))
        return [held.get(line, 0) for line in of_line.tolist()]


def _same_lines(problem: Problem, order: int, whole: Problem, then: int) -> Ints:
    """The line in hindsight of each line of an order now: the next of the same SKU."""
    there: dict[str, list[int]] = {}
    for line in range(whole.order_line_start[then], whole.order_line_start[then + 1]):
        there.setdefault(whole.sku_id[whole.line_sku[line]], []).append(line)
    now = range(problem.order_line_start[order], problem.order_line_start[order + 1])
    names = [problem.sku_id[problem.line_sku[line]] for line in now]
    return np.array([there[name].pop(0) if there.get(name) else -1 for name in names], dtype=np.int64)


def _at(stock: Ints, minute: Ints) -> Ints:
    """Stock and minute in one number that sorts by stock, then time."""
    at: Ints = stock * TIME + np.minimum(minute, TIME - 1)
    return at


def _add(moments: Ints, at: Ints, most: int) -> None:
    """Add moments (`_at`) where fewer than so many stand in front."""
    at = np.unique(at)
    stock = at // TIME
    place = (moments[stock, :-1] >= 0).sum(axis=1) + np.arange(len(at)) - np.searchsorted(stock, stock)
    some = place < most
    moments[stock[some], place[some]] = at[some] % TIME


def _running(group: Ints, amount: Ints) -> Ints:
    """The sum of amounts so far within each group; groups are contiguous."""
    total = np.cumsum(amount)
    running: Ints = total - np.concatenate([[0], total])[np.searchsorted(group, group)]
    return running


__all__ = ["Clairvoyant", "Hindsight", "hindsight"]
