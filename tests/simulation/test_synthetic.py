import numpy as np
import pytest

from engine.calendar import weekday
from simulation.networks import example
from simulation.synthetic import FIRST_DAY, Demand, make_history, make_retail_day
from solver.wave import problem_of


def test_the_same_seed_makes_the_same_day() -> None:
    assert make_retail_day(60, 10, 1) == make_retail_day(60, 10, 1) != make_retail_day(60, 10, 2)


def test_a_retail_day_has_the_shape_of_retail() -> None:
    wave = make_retail_day(2000, 40, seed=1)
    problem = problem_of(wave)
    lines = np.diff(problem.order_line_start)
    assert 1.7 < lines.mean() < 2.1
    assert 0.12 < sum(bool(order.pickup_nodes) for order in wave.orders) / 2000 < 0.18
    assert sum(node.kind == "warehouse" for node in wave.nodes) == 4
    asked = np.bincount(problem.line_sku, minlength=len(wave.skus))
    top_tenth = np.sort(asked)[::-1][: len(asked) // 10].sum() / asked.sum()
    assert 0.3 < top_tenth < 0.7
    stock = sum(units for _, _, units, _ in wave.stock)
    assert 3 < stock / problem.line_qty.sum() < 4
    parcels = sum(node.capacity_parcels or 0 for node in wave.nodes)
    assert 1.3 < parcels / 2000 < 1.6


def test_cover_decides_how_much_there_is() -> None:
    units = [sum(row[2] for row in make_retail_day(300, 10, 1, cover=cover).stock) for cover in (1.0, 4.0)]
    assert units[0] < 0.5 * units[1]


@pytest.mark.parametrize(("orders", "nodes"), [(1, 1), (1, 2), (5, 3), (40, 11)])
def test_a_day_may_be_as_small_as_one_order(orders: int, nodes: int) -> None:
    problem = problem_of(make_retail_day(orders, nodes, seed=1))
    assert (problem.orders, problem.nodes) == (orders, nodes)


def test_a_made_up_history_has_weekdays_repeat_customers_cancellations_and_returns() -> None:
    history = make_history(28, 120, example("us"), seed=1)
    again = make_history(28, 120, example("us"), seed=1)
    assert history.order_placed_at.tolist() == again.order_placed_at.tolist()
    day = history.order_placed_at // 1440
    assert (day.min(), day.max()) == (FIRST_DAY, FIRST_DAY + 27)
    assert abs(history.orders / 28 - 120) < 10
    per_weekday = np.bincount([weekday(int(d)) for d in day])
    assert per_weekday[0] > 1.2 * per_weekday[5]
    per_hour = np.bincount(history.order_placed_at % 1440 // 60, minlength=24)
    assert per_hour[4] < 0.2 * per_hour[16]
    orders_of = np.bincount(history.order_customer)
    assert (orders_of > 1).any()
    assert (orders_of == 1).any()
    assert 0.005 < len(set(history.line_order[history.cancel_line].tolist())) / history.orders < 0.04
    assert 0.03 < len(history.return_at) / history.lines < 0.09
    assert history.simulated == ("history: made up from a seed",)


def test_a_customer_of_a_made_up_history_lives_in_one_place() -> None:
    history = make_history(10, 80, example("uk"), seed=1)
    here = ~np.isnan(history.order_lat)
    places = {
        (c, lat) for c, lat in zip(history.order_customer[here].tolist(), history.order_lat[here].tolist(), strict=True)
    }
    assert len(places) == len({c for c, _ in places})


def test_orders_rise_towards_december_on_peaks_and_in_promotions() -> None:
    demand = Demand(season=0.5, peaks=((3, 6.0),), lines=2)
    history = make_history(366, 20, example("us"), seed=1, demand=demand)
    day = history.order_placed_at // 1440 - FIRST_DAY
    per_day = np.bincount(day, minlength=366)
    assert per_day[3] > 3 * np.median(per_day[:60])
    assert per_day[320:].mean() > 2 * per_day[150:190].mean()
    assert set(np.diff(history.order_line_start).tolist()) == {2}


def test_a_sku_on_promotion_sells_more() -> None:
    plain, promoted = (
        make_history(
            30, 100, example("us"), seed=1, demand=Demand(promotions=n, promotion_share=0.1, promotion_lift=20)
        )
        for n in (0, 1)
    )
    day = promoted.order_placed_at[promoted.line_order] // 1440
    assert plain.order_placed_at.tolist() == promoted.order_placed_at.tolist()
    sold = np.zeros((len(promoted.sku_id), 30))
    np.add.at(sold, (promoted.line_sku, day - FIRST_DAY), 1)
    weekly = np.lib.stride_tricks.sliding_window_view(sold, 7, axis=1).sum(axis=2)
    much = (weekly.max(axis=1) > 10) & (weekly.max(axis=1) > 0.6 * sold.sum(axis=1))
    assert much.sum() > 0.02 * len(sold)


def test_skus_have_seasons_of_their_own() -> None:
    history = make_history(366, 40, example("us"), seed=1, demand=Demand(sku_season=0.9))
    day = history.order_placed_at[history.line_order] // 1440 - FIRST_DAY
    sold = np.zeros((len(history.sku_id), 2))
    np.add.at(sold, (history.line_sku, day // 183), 1)
    often = sold.sum(axis=1) > 60
    share = sold[often, 0] / sold[often].sum(axis=1)
    assert share.min() < 0.4 < 0.6 < share.max()
