"""How much is asked for: rates by SKU, shares by region, the profile of days and hours, and how today differs from it.

Rates are Gamma-Poisson. What a SKU sold, older days counting less, is shrunk towards the SKUs of its category, the more so the
less it sold (empirical Bayes: the prior is fitted by moments). Days of the week and hours of the day are shares of all orders. A
day as a whole may be busier or quieter than that: its scale is Gamma distributed, as broadly as past days were spread, and what
came in so far tells which it is.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from engine.calendar import MINUTES_PER_DAY, weekday
from solver.problem import Bools, Floats, Ints

WINDOW_DAYS, HALF_LIFE_DAYS = 84, 21.0
"""Days of the past that count, and after how many they count half."""
REGION_HALF_LIFE_DAYS = 42.0
"""The same for the shares of regions, which move slowly."""
FEW_SKUS = 8
"""Categories of fewer SKUs take the prior of all."""
WEEKDAY_PRIOR, HOUR_PRIOR = 0.25, 2.0
"""Mean days that a weekday begins with, and orders that an hour begins with."""
CARRY = 0.5
"""What is left, from one day to the next, of how much today differs from the profile."""
LEAST_SPREAD = 0.02
"""Variance of the scale of a day at least, however alike days were: a rush is like none of them."""
HOURS = 24
MINUTES_PER_HOUR = 60


@dataclass(frozen=True, eq=False)
class Forecast:
    """What is expected, fitted on what lies before midnight of a day: K SKUs, J regions.

    Attributes
    ----------
    day
        Counted from 1970-01-01; nothing of this day is in the fit.
    shape, rate
        (K,) of the Gamma distribution of units of each SKU asked for on a mean day.
    share
        (J,) which part of them goes to each region.
    orders
        Orders on a mean day.
    weekday, hour
        (7,) orders on each day, Monday first, over those of a mean day; (24,) shares of a day's orders.
    strength
        Of the Gamma distribution of a day's scale: orders seen so far count against so many.
    """

    day: int
    shape: Floats
    rate: Floats
    share: Floats
    orders: float
    weekday: Floats
    hour: Floats
    strength: float

    @property
    def units(self) -> Floats:
        """(K,) expected units of a mean day."""
        return self.shape / self.rate

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """(K,) between what the mean units of a day are with probability `level`."""
        tail = (1 - level) / 2
        low, high = (gammaincinv(self.shape, q) / self.rate for q in (tail, 1 - tail))
        return np.asarray(low), np.asarray(high)

    def scale(self, at: int, seen: int) -> tuple[float, float]:
        """Shape and rate of today's scale, when so many orders were seen by minute `at`: its mean is their ratio."""
        expected = self.orders * float(self.hours(self.day * MINUTES_PER_DAY, at, 1.0)[1].sum())
        return self.strength + seen, self.strength + expected

    def hours(self, start: int, end: int, scale: float) -> tuple[Ints, Floats]:
        """Cut a span of minutes at full hours: when each part begins, and the mean days that it stands for."""
        if end <= start:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        full = np.arange(start // MINUTES_PER_HOUR + 1, -(-end // MINUTES_PER_HOUR)) * MINUTES_PER_HOUR
        begin = np.concatenate([[start], full])
        length = np.diff(np.append(begin, end))
        day = begin // MINUTES_PER_DAY
        of_day = np.array([self.weekday[weekday(d)] * (1 + (scale - 1) * CARRY ** max(0, d - self.day))
                           for d in range(int(day[0]), int(day[-1]) + 1)])  # fmt: skip
        hour = begin // MINUTES_PER_HOUR % HOURS
        return begin, of_day[day - day[0]] * self.hour[hour] * length / MINUTES_PER_HOUR

    def days(self, start: int, end: int, scale: float = 1.0) -> float:
        """How many mean days a span of minutes stands for."""
        return float(self.hours(start, end, scale)[1].sum())


def fit(
    day: int,
    order_day: Ints,
    order_hour: Ints,
    order_region: Ints,
    line_day: Ints,
    line_sku: Ints,
    line_units: Ints,
    category: Ints,
    regions: int,
) -> Forecast:
    """Fit a forecast on past orders.

    Parameters
    ----------
    day
        All orders are of earlier days.
    order_region
        (O,) where each goes, -1 where nobody knows.
    line_day
        (L,) the day of each line's order.
    category
        (K,) of each SKU, from 0.
    """
    first = max(int(order_day.min(initial=day)), day - WINDOW_DAYS)
    span = np.arange(first, day)
    aged = 0.5 ** ((day - span) / HALF_LIFE_DAYS)
    inside, lines = order_day >= first, line_day >= first
    on = order_day[inside] - first
    count = np.bincount(on, minlength=len(span)).astype(np.float64)
    weekdays = np.array([weekday(int(d)) for d in span], dtype=np.int64)
    of_week = _weekdays(count, aged, weekdays)
    exposure = float((aged * of_week[weekdays]).sum())
    orders = float((aged * count).sum()) / exposure if exposure else 0.0
    of_hour = np.bincount(order_hour[inside], aged[on], minlength=HOURS) + HOUR_PRIOR
    known = inside & (order_region >= 0)
    slow = 0.5 ** ((day - order_day[known]) / REGION_HALF_LIFE_DAYS)
    share = np.bincount(order_region[known], slow, minlength=regions) + 1 / regions
    shape, rate = _rates(
        line_sku[lines], line_units[lines].astype(np.float64), aged[line_day[lines] - first], exposure, category
    )
    return Forecast(
        day, shape, rate, share / share.sum(), orders, of_week, of_hour / of_hour.sum(),
        _strength(count, orders * of_week[weekdays]),
    )  # fmt: skip


def _weekdays(count: Floats, aged: Floats, weekdays: Ints) -> Floats:
    """(7,) the orders of each weekday over the mean, shrunk towards it."""
    if not count.any():
        return np.ones(7)
    mean = float((aged * count).sum() / aged.sum())
    seen = np.bincount(weekdays, aged * count, minlength=7) + WEEKDAY_PRIOR * mean
    ratio = seen / (mean * (np.bincount(weekdays, aged, minlength=7) + WEEKDAY_PRIOR))
    return np.asarray(7 * ratio / ratio.sum())


def _strength(count: Floats, expected: Floats) -> float:
    """How narrowly days are spread around their profile, beyond what chance does: 1 / the variance of their scale."""
    some = expected > 1
    if some.sum() < 3:
        return 20.0
    spread = float(np.mean((count[some] / expected[some] - 1) ** 2 - 1 / expected[some]))
    return 1 / min(4.0, max(LEAST_SPREAD, spread))


def _rates(sku: Ints, units: Floats, aged: Floats, exposure: float, category: Ints) -> tuple[Floats, Floats]:
    """(K,) shape and rate of each SKU's units on a mean day: the prior of its category, and what it sold."""
    skus = len(category)
    sold = np.bincount(sku, aged * units, minlength=skus)
    together = float((aged * units).sum())
    if not together or not exposure:
        return np.full(skus, 1e-6), np.ones(skus)
    # units come several at a time, and old ones count less: so many units are one independent event
    lump = max(1e-9, float((aged**2 * units**2).sum()) / together)
    size = np.bincount(category)
    group = np.where(size[category] >= FEW_SKUS, category, len(size))
    shape, rate = np.zeros(skus), np.zeros(skus)
    for one in np.unique(group).tolist():
        members: Bools = group == one
        peers = members if one < len(size) else np.ones(skus, dtype=np.bool_)
        daily = sold[peers] / exposure
        mean = max(float(daily.mean()), 1e-9)
        spread = max(float(daily.var()) - lump * mean / exposure, 1e-3 * mean**2)
        shape[members] = mean**2 / spread + sold[members] / lump
        rate[members] = mean / spread + exposure / lump
    return shape, rate


__all__ = ["Forecast", "fit"]
