"""The outlook: what the future may ask for, from past orders; expected units, and sampled futures for prices of stock.

It is made from all orders that there are and asked at a minute. Nothing placed at that minute or later is looked at, so that a
replay can ask it about any minute of a history. Forecasts are fitted once a day, on what lies before midnight; how the day goes is
seen in the orders since.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.forecast import HALF_LIFE_DAYS, MINUTES_PER_HOUR, WINDOW_DAYS, Forecast, fit
from engine.network import NetworkColumns, Receipts, Stock
from engine.sourcing import OpenOrders, build_problem, ranges
from engine.waiting import Inbound, price_waiting
from solver.closest import closest_nodes
from solver.outlook import Future, Present
from solver.problem import NO_LIMIT, Bools, Floats, Ints, Problem

LAST = 2**40  # a minute after all others


class DemandOutlook:
    """What orders of the past let expect.

    Parameters
    ----------
    network
        Where it is to be served from.
    placed_at
        (O,) minutes, ascending.
    orders
        What was asked for, whole: O orders, baskets for futures.
    category
        (K,) SKUs that are alike, from 0; all are alike where not given.
    until
        The minute up to which orders are known: who asks at a later one is told what was known then.
    """

    def __init__(
        self,
        network: NetworkColumns,
        placed_at: Ints,
        orders: OpenOrders,
        category: Ints | None = None,
        until: int = LAST,
    ) -> None:
        self.network, self.placed_at, self.orders, self.until = network, placed_at, orders, until
        self.category = np.zeros(network.skus, dtype=np.int64) if category is None else category
        self.day = placed_at // MINUTES_PER_DAY
        self.hour = placed_at // MINUTES_PER_HOUR % 24
        self.promise_days = orders.order_promise_day - self.day
        self.lines = np.diff(orders.order_line_start)
        first = orders.order_dest_start[:-1]
        self.region = closest_nodes(
            network.empty, orders.dest_node[first], orders.dest_lat[first], orders.dest_lon[first]
        )
        self._fit_of = lru_cache(maxsize=2)(self._fit)

    def forecast(self, at: int) -> Forecast:
        """What is expected by what was known at the last midnight."""
        return self._fitted(at)[0]

    def today(self, at: int) -> tuple[float, float]:
        """Shape and rate of the scale of today, as it goes until `at`."""
        at = min(at, self.until)
        forecast = self.forecast(at)
        seen = np.searchsorted(self.placed_at, at) - np.searchsorted(self.placed_at, forecast.day * MINUTES_PER_DAY)
        return forecast.scale(at, int(seen))

    def expected(self, present: Present, sku: Ints, *, days: float) -> Floats:
        """(n, J) units of each SKU asked for closest to each node, until its next receipt anywhere or for so many days."""
        forecast = self.forecast(present.at)
        shape, rate = self.today(present.at)
        end = np.full(self.network.skus, present.at + int(days * MINUTES_PER_DAY))
        np.minimum.at(end, present.inbound_sku, present.inbound_at)
        ends, of = np.unique(end[sku], return_inverse=True)
        mean_days = np.array([forecast.days(present.at, int(one), shape / rate) for one in ends])
        return np.asarray((forecast.units[sku] * mean_days[of])[:, None] * forecast.share)

    def sample(self, at: int, until: int, count: float, seed: int) -> tuple[Ints, Ints]:
        """Draw the orders of `count` futures together, which may be a part of one: minutes, and the past orders that they are like.

        Whole baskets, so that what goes together stays together; recent ones more often, and those of SKUs whose expected
        units differ from what they sold as much more or less often.
        """
        forecast, first, running, _ = self._fitted(at)
        if not len(running) or until <= at:
            none = np.zeros(0, dtype=np.int64)
            return none, none
        generator = np.random.default_rng([seed, at])
        shape, rate = self.today(at)
        scale = float(generator.gamma(shape) / rate) if count == 1 else shape / rate
        begin, weight = forecast.hours(at, until, scale)
        drawn = int(generator.poisson(count * forecast.orders * weight.sum()))
        basket = first + np.searchsorted(running, generator.random(drawn) * running[-1], side="right")
        part = np.searchsorted(np.cumsum(weight), generator.random(drawn) * weight.sum(), side="right")
        part = np.minimum(part, len(begin) - 1)
        length = np.diff(np.append(begin, until))[part]
        minute = begin[part] + (generator.random(drawn) * length).astype(np.int64)
        return minute, np.minimum(basket, first + len(running) - 1)

    def future(self, problem: Problem, present: Present, *, days: float, samples: int, lines: int, seed: int) -> Future:
        """Draw futures of so many days after the present, with the open orders of the present in each."""
        at, until = present.at, present.at + int(days * MINUTES_PER_DAY)
        shape, rate = self.today(at)
        forecast = self.forecast(at)
        coming = forecast.orders * forecast.days(at, until, shape / rate)
        each = problem.lines + self._fitted(at)[3] * coming
        count = min(float(samples), max(1.0, lines) / max(1.0, each))
        count = float(int(count)) if count >= 1 else count
        minute, basket = self.sample(at, until, count, seed)
        generator = np.random.default_rng([seed, at, 1])
        copies = generator.binomial(1, count, problem.orders) if count < 1 else np.full(problem.orders, int(count))
        now = np.repeat(np.arange(problem.orders), copies)
        opened = joined(_taken(open_orders_of(problem, present), now), self._baskets(basket, minute))
        placed = np.concatenate([np.full(len(now), at), minute])
        return self._future(problem, present, opened, placed, now, count, until)

    def _future(
        self, problem: Problem, present: Present, opened: OpenOrders, placed: Ints, now: Ints, count: float, until: int
    ) -> Future:
        """Ask for everything at once, from the stock and what comes until then, each unit not before it is there."""
        known = present.inbound_at < until
        stock, first_in = _stock_until(present, known, self.network.nodes)
        unlimited = np.full(self.network.nodes, NO_LIMIT)
        joint = build_problem(
            self.network, stock, opened, at=present.at, parcels_left=unlimited, units_left=unlimited
        )  # fmt: skip
        key = np.unique(opened.line_sku)[joint.row_sku] * joint.nodes + joint.row_node
        row = np.searchsorted(stock.sku * joint.nodes + stock.node, key)
        line_placed = np.repeat(placed, np.diff(opened.order_line_start))
        waiting = self._waiting(joint, present, opened, placed, count)
        joint = replace(joint, line_unfilled_cents=_as_now(waiting.line_unfilled_cents, problem, now))
        return _with_deadlines(joint, key, line_placed, present, first_in[row], count)

    def _waiting(self, joint: Problem, present: Present, opened: OpenOrders, placed: Ints, count: float) -> Problem:
        """Let units that may wait for a receipt cost what waiting does."""
        terms = self.network.terms
        units = np.maximum(1, np.rint(present.inbound_units * count)).astype(np.int64)
        inbound = Inbound.of(Receipts(present.inbound_at, present.inbound_node, present.inbound_sku, units))
        shared = replace(joint, row_limit=np.floor(joint.row_limit * count).astype(np.int64))
        return price_waiting(
            shared, opened.line_sku, inbound, at=present.at,
            last_wave=placed + terms.cancel_after_days * MINUTES_PER_DAY, wait_cents_per_day=terms.wait_cents_per_day,
        )  # fmt: skip

    def _baskets(self, basket: Ints, minute: Ints) -> OpenOrders:
        taken = _taken(self.orders, basket)
        return replace(taken, order_promise_day=minute // MINUTES_PER_DAY + self.promise_days[basket])

    def _fitted(self, at: int) -> tuple[Forecast, int, Floats, float]:
        """The fit of the last midnight before a minute, as far as orders are known."""
        return self._fit_of(min(at, self.until) // MINUTES_PER_DAY)

    def _fit(self, day: int) -> tuple[Forecast, int, Floats, float]:
        """Fit the forecast of a day, and how likely each basket is.

        The first basket that counts, running totals from there on, and the mean lines of one.
        """
        start = self.orders.order_line_start
        first = int(np.searchsorted(self.placed_at, (day - WINDOW_DAYS) * MINUTES_PER_DAY))
        end = int(np.searchsorted(self.placed_at, day * MINUTES_PER_DAY))
        lines = slice(int(start[first]), int(start[end]))
        sku, units = self.orders.line_sku[lines], self.orders.line_qty[lines]
        order_day = self.day[first:end]
        line_day = np.repeat(order_day, self.lines[first:end])
        forecast = fit(
            day, order_day, self.hour[first:end], self.region[first:end], line_day, sku, units, self.category,
            self.network.nodes,
        )  # fmt: skip
        if first == end:
            return forecast, first, np.zeros(0), 0.0
        aged = 0.5 ** ((day - order_day) / HALF_LIFE_DAYS)
        sold = np.bincount(sku, np.repeat(aged, self.lines[first:end]) * units, minlength=self.network.skus)
        sold *= forecast.units.sum() / sold.sum()
        wanted = np.divide(forecast.units, sold, out=np.ones_like(sold), where=sold > 0)
        likely = aged * np.add.reduceat(wanted[sku], start[first:end] - start[first]) / self.lines[first:end]
        return forecast, first, np.cumsum(likely), float(np.average(self.lines[first:end], weights=likely))


def open_orders_of(problem: Problem, present: Present) -> OpenOrders:
    """The open orders that a problem was made of, with SKUs as the present counts them."""
    return OpenOrders(
        order_id=problem.order_id,
        order_line_start=problem.order_line_start,
        order_dest_start=problem.order_dest_start,
        order_promise_day=problem.order_promise_days + present.at // MINUTES_PER_DAY,
        order_late_cents=problem.order_late_cents,
        order_max_parcels=problem.order_max_parcels,
        order_ship_complete=problem.order_ship_complete,
        dest_node=problem.dest_node,
        dest_lat=problem.dest_lat,
        dest_lon=problem.dest_lon,
        line_sku=present.sku_of(problem)[problem.line_sku],
        line_qty=problem.line_qty,
        line_unfilled_cents=problem.line_unfilled_cents,
        line_must_fill=problem.line_must_fill,
    )


def _taken(orders: OpenOrders, which: Ints) -> OpenOrders:
    """Some of the orders, each as often as it is named; none of them has a name."""
    line = ranges(orders.order_line_start[which], np.diff(orders.order_line_start)[which])
    dest = ranges(orders.order_dest_start[which], np.diff(orders.order_dest_start)[which])
    return OpenOrders(
        order_id=("",) * len(which),
        order_line_start=_starts(np.diff(orders.order_line_start)[which]),
        order_dest_start=_starts(np.diff(orders.order_dest_start)[which]),
        order_promise_day=orders.order_promise_day[which],
        order_late_cents=orders.order_late_cents[which],
        order_max_parcels=orders.order_max_parcels[which],
        order_ship_complete=orders.order_ship_complete[which],
        dest_node=orders.dest_node[dest],
        dest_lat=orders.dest_lat[dest],
        dest_lon=orders.dest_lon[dest],
        line_sku=orders.line_sku[line],
        line_qty=orders.line_qty[line],
        line_unfilled_cents=orders.line_unfilled_cents[line],
        line_must_fill=orders.line_must_fill[line],
    )


def joined(a: OpenOrders, b: OpenOrders) -> OpenOrders:
    """The orders of both, one after the other."""
    columns: dict[str, Any] = {}
    for name in OpenOrders.__dataclass_fields__:
        one, other = getattr(a, name), getattr(b, name)
        if name.endswith("_start"):
            columns[name] = np.concatenate([one, one[-1] + other[1:]])
        else:
            columns[name] = one + other if isinstance(one, tuple) else np.concatenate([one, other])
    return OpenOrders(**columns)


def _starts(count: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(count)]).astype(np.int64)


def _stock_until(present: Present, known: Bools, nodes: int) -> tuple[Stock, Ints]:
    """All that is in stock or comes in time, and (N,) the first minute at which something comes to each row."""
    key = present.stock_sku * nodes + present.stock_node
    coming = present.inbound_sku[known] * nodes + present.inbound_node[known]
    some = present.stock_units > 0
    keys = np.union1d(key[some], coming)
    units, first = np.zeros(len(keys), dtype=np.int64), np.full(len(keys), LAST)
    units[np.searchsorted(keys, key[some])] = present.stock_units[some]
    there = np.searchsorted(keys, coming)
    np.add.at(units, there, present.inbound_units[known])
    np.minimum.at(first, there, present.inbound_at[known])
    return Stock(keys % nodes, keys // nodes, units, np.zeros(len(keys), dtype=np.int64)), first


def _as_now(cents: Ints, problem: Problem, now: Ints) -> Ints:
    """Leave the lines of the orders of now, which stand first, as the problem has them."""
    own = problem.line_unfilled_cents[ranges(problem.order_line_start[now], np.diff(problem.order_line_start)[now])]
    return np.concatenate([own, cents[len(own) :]])


def _shared(units: Ints, count: float) -> Floats:
    """What so many futures share; of a part of one, a unit at least where there is one, or every shelf of few looked scarce."""
    return np.asarray(np.maximum(units * count, np.minimum(1, units)))


def _with_deadlines(
    joint: Problem, key: Ints, line_placed: Ints, present: Present, first_in: Ints, count: float
) -> Future:
    """Let orders placed before something comes to a row share what is there until then: a second row, which stands before.

    What is taken then is missing later, too, so that they draw on both.
    """
    supply = _shared(joint.row_limit, count)
    late = np.flatnonzero(first_in < LAST)
    if not len(late):
        return Future(joint, supply, key)
    present_key = present.stock_sku * joint.nodes + present.stock_node
    place = np.minimum(np.searchsorted(present_key, key[late]), max(0, len(present_key) - 1))
    there = np.zeros(len(late), dtype=np.int64)
    if len(present_key):
        there = np.where(present_key[place] == key[late], present.stock_units[place], 0)
    early_row = np.full(joint.rows, -1, dtype=np.int64)
    early_row[late] = joint.rows + np.arange(len(late))
    row = joint.option_row[:, 0]
    before = line_placed[joint.option_line] < first_in[row]
    second = np.where(before, early_row[row], -1)
    wide = replace(
        joint,
        option_row=np.stack([row, second], axis=1).astype(np.int32),
        option_use=np.ones((len(row), 2), dtype=np.int32),
        row_limit=np.concatenate([joint.row_limit, there]),
        row_node=np.concatenate([joint.row_node, joint.row_node[late]]),
        row_sku=np.concatenate([joint.row_sku, joint.row_sku[late]]),
        row_price=np.zeros(joint.rows + len(late)),
    )
    return Future(wide, np.concatenate([supply, _shared(there, count)]), np.concatenate([key, key[late]]))


__all__ = ["DemandOutlook", "joined", "open_orders_of"]
