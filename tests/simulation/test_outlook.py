"""The outlook of a replay: what it expects, what it draws, and that it never knows more than could be known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.calendar import MINUTES_PER_DAY
from engine.network import columns_of
from engine.outlook import DemandOutlook, _taken
from simulation.history import History
from simulation.networks import example
from simulation.outlook import outlook_of
from simulation.placing import Placed, Supply, place
from simulation.receiving import Weekly
from simulation.replay import replay_placed
from simulation.rhythm import rhythm_of
from simulation.synthetic import make_history as make_up
from simulation.world import World
from solver.effort import Effort
from solver.outlook import Future, Present
from solver.policies import AHEAD, make
from solver.problem import Problem

EFFORT = Effort(seconds=None, work=50)
DAYS = 35


@pytest.fixture(scope="module")
def placed() -> Placed:
    network = example("us")
    return place(make_up(DAYS, 12, network, seed=3), network, 3, Supply(cover_weeks=1.5, level=0.9))


@pytest.fixture(scope="module")
def outlook(placed: Placed) -> DemandOutlook:
    return outlook_of(placed)


def moment(placed: Placed, day: int) -> tuple[Problem, Present]:
    """The problem of one wave, where nothing was shipped before, and what is known then."""
    columns = columns_of(placed.network)
    rhythm = rhythm_of(placed.history, columns, "day", wave_minute=14 * 60, until=None)
    world, at = World(placed.history, columns, rhythm), int(rhythm.at[day])
    world.let_happen(at)
    asked = world.ask(at)
    assert asked is not None
    return asked.problem, world.present(at)


def drawn(outlook: DemandOutlook, placed: Placed, **named: Any) -> Future:
    return outlook.future(*moment(placed, 20), **{"days": 5.0, "samples": 2, "lines": 20_000, "seed": 0} | named)


def test_futures_hold_the_orders_of_now_and_as_many_more_as_are_expected(
    outlook: DemandOutlook, placed: Placed
) -> None:
    problem, present = moment(placed, 20)
    future = drawn(outlook, placed, samples=3)
    shape, rate = outlook.today(present.at)
    forecast = outlook.forecast(present.at)
    expected = 3 * forecast.orders * forecast.days(present.at, present.at + 5 * MINUTES_PER_DAY, shape / rate)
    more = future.problem.orders - 3 * problem.orders
    assert abs(more - expected) < 4 * np.sqrt(expected)
    one = drawn(outlook, placed, samples=1).problem
    for column in ("line_qty", "line_unfilled_cents", "order_promise_days"):
        own = getattr(problem, column)
        assert getattr(one, column)[: len(own)].tolist() == own.tolist()


def test_futures_share_so_many_times_the_stock(outlook: DemandOutlook, placed: Placed) -> None:
    _, present = moment(placed, 20)
    stock = dict(zip((present.stock_sku * 16 + present.stock_node).tolist(), present.stock_units.tolist(), strict=True))
    for samples, lines in [(1, 20_000), (4, 20_000), (4, 200)]:
        future = drawn(outlook, placed, samples=samples, lines=lines)
        limit = future.problem.row_limit
        share = float((future.supply / np.maximum(1, limit))[limit.argmax()])
        assert np.allclose(future.supply, np.maximum(share * limit, np.minimum(1, limit)))
        assert share == samples if lines == 20_000 else 0 < share < 1
        assert future.problem.lines <= 1.3 * lines
        early = future.problem.row_limit[len(np.unique(future.key)) :]
        assert early.tolist() == [stock.get(k, 0) for k in future.key[len(np.unique(future.key)) :].tolist()]


def test_an_outlook_that_knows_orders_until_noon_does_not_take_the_rest_of_the_day_for_quiet(
    outlook: DemandOutlook, placed: Placed
) -> None:
    _, present = moment(placed, 20)
    noon = present.at // MINUTES_PER_DAY * MINUTES_PER_DAY + MINUTES_PER_DAY // 2
    known = int(np.searchsorted(outlook.placed_at, noon))
    orders = _taken(outlook.orders, np.arange(known))
    morning = DemandOutlook(outlook.network, outlook.placed_at[:known], orders, until=noon)
    for later in (noon + 600, noon + MINUTES_PER_DAY):
        assert morning.today(later) == outlook.today(noon)
        assert (morning.forecast(later).units == outlook.forecast(noon).units).all()


def test_what_comes_in_later_is_not_there_earlier(outlook: DemandOutlook, placed: Placed) -> None:
    problem, present = moment(placed, 20)
    future = drawn(outlook, placed, samples=1)
    rows = len(np.unique(future.key))
    line = future.problem.option_line
    late = future.problem.option_row[:, 1] < 0
    comes = set((present.inbound_sku * 16 + present.inbound_node)[present.inbound_at < present.at + 5 * 1440].tolist())
    now = line < problem.lines
    restocked = np.isin(future.key[future.problem.option_row[:, 0]], list(comes))
    assert (late[now] == ~restocked[now]).all()
    assert set(late[~now & restocked].tolist()) == {True, False}
    assert (
        future.problem.row_limit[rows:]
        <= future.problem.row_limit[np.searchsorted(future.key[:rows], future.key[rows:])]
    ).all()


def test_expected_units_end_with_the_next_receipt(outlook: DemandOutlook, placed: Placed) -> None:
    _, present = moment(placed, 20)
    sku = np.arange(len(placed.network.skus))
    none = np.zeros(0, dtype=np.int64)
    alone = replace(present, inbound_at=none, inbound_sku=none, inbound_node=none, inbound_units=none)
    week, day = (outlook.expected(alone, sku, days=days) for days in (7, 1))
    with_receipts = outlook.expected(present, sku, days=7)
    assert week.shape == (len(sku), 16)
    assert (day < week).all()
    restocked = np.isin(sku, present.inbound_sku[present.inbound_at < present.at + 7 * MINUTES_PER_DAY])
    assert (with_receipts[restocked] < week[restocked]).all()
    assert np.allclose(with_receipts[~restocked], week[~restocked])


def other_end(placed: Placed, at: int) -> History:
    """The same history until `at`; from then on every order asks for ten times as much of another SKU."""
    history = placed.history
    later = np.repeat(history.order_placed_at >= at, np.diff(history.order_line_start))
    skus = len(placed.network.skus)
    return replace(
        history,
        line_qty=np.where(later, 10 * history.line_qty, history.line_qty),
        line_sku=np.where(later, (history.line_sku + 1) % skus, history.line_sku),
    )


def test_nothing_of_the_future_is_known(outlook: DemandOutlook, placed: Placed) -> None:
    problem, present = moment(placed, 20)
    changed = outlook_of(replace(placed, history=other_end(placed, present.at)))
    one, other = (each.future(problem, present, days=5, samples=2, lines=900, seed=0) for each in (outlook, changed))
    for column in ("line_sku", "line_qty", "dest_lat", "option_row", "row_limit", "order_promise_days"):
        assert np.array_equal(getattr(one.problem, column), getattr(other.problem, column))
    sku = np.arange(len(placed.network.skus))
    assert np.array_equal(outlook.expected(present, sku, days=7), changed.expected(present, sku, days=7))


def test_with_a_past_rates_are_known_on_the_first_day_and_nothing_later() -> None:
    network = example("us")
    placed = place(make_up(DAYS, 12, network, seed=3), network, 3, Weekly(weeks=3))
    at = int(placed.history.order_placed_at[0])
    warm, cold = outlook_of(placed), outlook_of(replace(placed, past=None))
    assert 8 < warm.forecast(at).orders < 16
    assert cold.forecast(at).orders == 0
    assert placed.past is not None
    sold = np.bincount(placed.past.line_sku, placed.past.line_qty, len(network.skus))
    assert np.corrcoef(sold, warm.forecast(at).units)[0, 1] > 0.9
    other = outlook_of(replace(placed, history=other_end(placed, at)))
    until = at + 3 * MINUTES_PER_DAY
    for one, another in zip(warm.sample(at, until, 2.0, 0), other.sample(at, until, 2.0, 0), strict=True):
        assert one.tolist() == another.tolist()
    assert warm.forecast(at).units.tolist() == other.forecast(at).units.tolist()


def test_a_seed_draws_the_same_future_again(outlook: DemandOutlook, placed: Placed) -> None:
    once, twice, other = (drawn(outlook, placed, seed=seed).problem for seed in (5, 5, 6))
    assert once.line_sku.tolist() == twice.line_sku.tolist() != other.line_sku.tolist()


def test_more_is_expected_on_the_day_of_a_rush(outlook: DemandOutlook, placed: Placed) -> None:
    history = placed.history
    at = int(history.order_placed_at[history.orders // 2]) // MINUTES_PER_DAY * MINUTES_PER_DAY + 12 * 60
    today = np.flatnonzero((history.order_placed_at >= at - 720) & (history.order_placed_at < at))
    order = np.sort(np.concatenate([np.arange(history.orders), np.repeat(today, 29)]))
    orders = outlook.orders
    from engine.outlook import _taken

    rush = DemandOutlook(outlook.network, outlook.placed_at[order], _taken(orders, order))
    usual, busy = (shape / rate for shape, rate in (one.today(at) for one in (outlook, rush)))
    assert usual < 1.5 < 2 < busy < 20


@pytest.mark.parametrize("name", AHEAD)
def test_every_policy_that_looks_ahead_replays_and_decides_the_same_again(
    name: str, outlook: DemandOutlook, placed: Placed
) -> None:
    named: dict[str, Any] = {"by": "cheapest"} if name == "window" else {}
    if name in ("bid_price", "sampled_futures"):
        named = {"samples": 2, "lines": 600, "passes": 4}
    end = int(placed.history.order_placed_at[0]) // MINUTES_PER_DAY + 9
    once, twice = (
        replay_placed(placed, make(name, EFFORT, 1, settings=named, outlook=outlook), name=name, until=end)
        for _ in range(2)
    )
    assert once.decisions == twice.decisions
    assert once.units_shipped > 0


@pytest.mark.slow
def test_looking_ahead_saves_money_where_stock_is_scarce(make_network: Callable[..., Any]) -> None:
    network = example("us")
    costs = []
    for seed in (1, 2):
        placed = place(make_up(42, 25, network, seed=seed), network, seed, Supply(cover_weeks=1.5, level=0.95))
        outlook = outlook_of(placed)
        policies = [make("cheapest", EFFORT), make("bid_price", EFFORT, settings={"days": 3}, outlook=outlook)]
        costs.append([replay_placed(placed, policy).cost_cents for policy in policies])
    assert np.sum(costs, axis=0)[1] < np.sum(costs, axis=0)[0]
