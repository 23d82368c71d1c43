"""What is expected of a made-up demand whose rates are known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from engine.calendar import MINUTES_PER_DAY, parse_day, weekday
from engine.forecast import Forecast, fit
from solver.problem import Ints

FIRST = parse_day("2024-01-01")  # a Monday
DAYS, SKUS = 70, 300
WEEK = np.array([1.4, 1.2, 1.0, 1.0, 1.0, 0.8, 0.6])
HOUR = np.repeat([0.0, 1.0, 2.0, 1.0], 6)


def poisson_orders(seed: int, days: int = DAYS) -> tuple[Ints, Ints, Ints, np.ndarray]:
    """Days, hours and SKUs of orders of one unit, and the true rate of each SKU."""
    generator = np.random.default_rng(seed)
    rates = generator.gamma(0.5, 2.0, SKUS)
    day, sku = [], []
    for d in range(FIRST, FIRST + days):
        count = generator.poisson(rates * WEEK[weekday(d)])
        sku.append(np.repeat(np.arange(SKUS), count))
        day.append(np.full(count.sum(), d))
    hour = generator.choice(24, sum(map(len, day)), p=HOUR / HOUR.sum())
    return np.concatenate(day), hour, np.concatenate(sku), rates


def fitted(seed: int, days: int = DAYS) -> tuple[Forecast, np.ndarray]:
    day, hour, sku, rates = poisson_orders(seed, days)
    region = (sku % 4 == 0).astype(np.int64)
    made = fit(
        FIRST + days, day, hour, region, day, sku, np.ones_like(sku), np.zeros(SKUS, dtype=np.int64), regions=2
    )  # fmt: skip
    return made, rates


def test_true_rates_lie_within_their_interval_as_often_as_it_says() -> None:
    inside = []
    for seed in range(4):
        forecast, rates = fitted(seed)
        low, high = forecast.interval(0.9)
        inside.append(np.mean((low <= rates) & (rates <= high)))
    assert 0.86 <= np.mean(inside) <= 0.94


def test_what_hardly_sold_is_shrunk_towards_the_others() -> None:
    forecast, rates = fitted(1, days=7)
    day, _, sku, _ = poisson_orders(1, days=7)
    plain = np.bincount(sku, minlength=SKUS) / 7
    assert np.mean((forecast.units - rates) ** 2) < np.mean((plain - rates) ** 2)
    assert spearmanr(forecast.units, plain).statistic > 0.99
    assert (forecast.units > 0).all()
    assert len(day) / 7 == pytest.approx(forecast.orders, rel=0.1)


def test_a_category_of_its_own_is_shrunk_towards_itself() -> None:
    sku = np.repeat(np.arange(40), [40] * 20 + [1] * 20)
    day = FIRST + np.arange(len(sku)) % 30
    hour, region, one = np.zeros_like(day), np.zeros_like(day), np.ones_like(day)
    category = np.repeat([0, 1], 20)
    apart = fit(FIRST + 30, day, hour, region, day, sku, one, category, 1).units
    alike = fit(FIRST + 30, day, hour, region, day, sku, one, np.zeros(40, dtype=np.int64), 1).units
    assert apart[20:].mean() < alike[20:].mean()


def test_the_profile_of_week_and_day_is_found() -> None:
    forecast, _ = fitted(2)
    assert forecast.weekday == pytest.approx(WEEK, abs=0.06)
    assert forecast.hour == pytest.approx(HOUR / HOUR.sum(), abs=0.01)
    monday = (FIRST + DAYS) * MINUTES_PER_DAY
    assert forecast.days(monday, monday + MINUTES_PER_DAY) == pytest.approx(1.4, abs=0.06)
    assert forecast.days(monday, monday + 7 * MINUTES_PER_DAY) == pytest.approx(7.0, abs=1e-9)
    part = forecast.days(monday, monday + 777) + forecast.days(monday + 777, monday + MINUTES_PER_DAY)
    assert part == pytest.approx(forecast.days(monday, monday + MINUTES_PER_DAY))


def test_the_share_of_a_region_is_found() -> None:
    forecast, _ = fitted(3)
    _, _, sku, _ = poisson_orders(3)
    assert forecast.share[1] == pytest.approx(np.mean(sku % 4 == 0), abs=0.02)
    assert forecast.share.sum() == pytest.approx(1)


def test_a_busy_morning_makes_a_busy_rest_of_the_day() -> None:
    forecast, _ = fitted(4)
    midnight = forecast.day * MINUTES_PER_DAY
    noon = midnight + MINUTES_PER_DAY // 2
    usual = forecast.orders * forecast.days(midnight, noon)
    means = [shape / rate for shape, rate in (forecast.scale(noon, int(k * usual)) for k in (0.5, 1, 3))]
    assert means[1] == pytest.approx(1, abs=0.01)
    assert means[0] < 0.8 < 2 < means[2] < 3
    assert forecast.scale(midnight, 0)[0] == forecast.scale(midnight, 0)[1]
    rest = (noon, midnight + MINUTES_PER_DAY)
    assert forecast.days(*rest, 2.0) == pytest.approx(2 * forecast.days(*rest))
    tomorrow = (midnight + MINUTES_PER_DAY, midnight + 2 * MINUTES_PER_DAY)
    assert forecast.days(*tomorrow) < forecast.days(*tomorrow, 2.0) < 2 * forecast.days(*tomorrow)


def test_days_that_differ_among_themselves_are_believed_sooner() -> None:
    generator = np.random.default_rng(0)
    strength = []
    for spread in (0.0, 0.5):
        counts = generator.poisson(200 * generator.lognormal(0, spread, 56)) if spread else np.full(56, 200)
        day = np.repeat(FIRST + np.arange(56), counts)
        none = np.zeros_like(day)
        strength.append(fit(FIRST + 56, day, none, none, day, none, none + 1, none[:1], 1).strength)
    assert strength[1] < 20 < strength[0]


def test_nothing_is_expected_where_nothing_was_ever_asked_for() -> None:
    none = np.zeros(0, dtype=np.int64)
    forecast = fit(FIRST, none, none, none, none, none, none, np.zeros(3, dtype=np.int64), 2)
    assert forecast.orders == 0
    assert (forecast.units < 1e-5).all()
    assert forecast.share == pytest.approx(0.5)
