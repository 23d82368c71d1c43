from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.calendar import MINUTES_PER_DAY
from engine.network import Market, Network
from simulation.history import History
from simulation.networks import example
from simulation.outlook import outlook_of
from simulation.placing import place
from simulation.receiving import Weekly, before, enlarged, forecast, shares, since
from simulation.replay import replay_placed
from simulation.synthetic import make_history as make_up
from solver.effort import Effort
from solver.policies import make
from solver.refusal import Refusal

MakeNetwork = Callable[..., Network]
MakeHistory = Callable[..., History]
EFFORT = Effort(seconds=None, work=50)


@pytest.fixture(scope="module")
def weeks() -> History:
    return make_up(70, 60, example("uk"), seed=4)


def test_the_first_weeks_are_past_and_the_others_are_replayed(weeks: History) -> None:
    placed = place(weeks, example("uk"), 1, Weekly(weeks=4))
    first = int(weeks.order_placed_at[0]) // MINUTES_PER_DAY
    assert placed.history.order_placed_at.min() >= (first + 28) * MINUTES_PER_DAY
    assert placed.history.orders == (weeks.order_placed_at >= (first + 28) * MINUTES_PER_DAY).sum()
    assert ((placed.history.receipt_at // MINUTES_PER_DAY - first) % 7 == 0).all()
    assert placed.network.stock
    assert any("forecast from the 4 weeks before it" in label for label in placed.simulated)


def test_no_receipt_knows_what_is_asked_for_after_it(weeks: History) -> None:
    """Another future changes no receipt before it."""
    cut = int(weeks.order_placed_at[0]) // MINUTES_PER_DAY * MINUTES_PER_DAY + 42 * MINUTES_PER_DAY
    later = weeks.order_placed_at[weeks.line_order] >= cut
    other = replace(weeks, line_qty=np.where(later, 50 * weeks.line_qty, weeks.line_qty))
    one, two = (place(history, example("uk"), 1, Weekly(weeks=4)) for history in (weeks, other))
    assert one.network.stock == two.network.stock
    for name in ("receipt_node", "receipt_sku", "receipt_units"):
        known = [getattr(p.history, name)[p.history.receipt_at <= cut + MINUTES_PER_DAY].tolist() for p in (one, two)]
        assert known[0] == known[1]
    assert one.history.receipt_units.sum() < two.history.receipt_units.sum()


def test_receipts_follow_cover_in_the_long_run(weeks: History) -> None:
    placed = place(weeks, example("uk"), 1, Weekly(weeks=4))
    asked = placed.history.line_qty.sum()
    came = placed.history.receipt_units.sum() + sum(row[2] for row in placed.network.stock)
    assert 0.9 * asked < came < 1.5 * asked
    more = place(weeks, example("uk"), 1, Weekly(cover=2.0, weeks=4))
    assert more.history.receipt_units.sum() + sum(row[2] for row in more.network.stock) > came


def test_the_same_seed_places_the_same_receipts(weeks: History) -> None:
    one, again, other = (
        place(weeks, example("uk"), seed, Weekly()).history.receipt_units.tolist() for seed in (1, 1, 2)
    )
    assert one == again != other


def test_a_forecast_draws_the_seldom_sold_towards_the_mean() -> None:
    past = np.array([[8, 8, 8, 8], [0, 0, 0, 0], [4, 4, 4, 4]])
    expected = forecast(past)
    assert 4 < expected[0] < 8
    assert 0 < expected[1] < 4
    assert abs(expected.mean() - past.mean()) < 1e-9
    assert forecast(np.zeros((2, 4), dtype=np.int64)).tolist() == [0, 0]
    assert forecast(np.array([[1, 0], [0, 1]])).tolist() == [0.5, 0.5]  # no more than chance between them: all alike


def test_a_node_gets_the_share_of_the_people_it_is_nearest_to(make_network: MakeNetwork) -> None:
    network = make_network(markets=(Market("A", "NL", 52.0, 5.0, 3), Market("B", "NL", 51.0, 5.0, 1)))
    near = network.nodes[0]
    network = make_network(
        nodes=(near, type(near)(**{f: getattr(near, f) for f in near.__struct_fields__} | {"id": "S", "lat": 51.0})),
        markets=network.markets,
    )
    handled = np.array([[True, True], [True, False], [False, True], [False, False]])
    assert shares(network, handled).tolist() == [[0.75, 0.25], [1, 0], [0, 1], [0, 0]]


def test_an_enlarged_network_has_stores_where_people_live(weeks: History) -> None:
    network = enlarged(example("uk"), 20)
    assert len(network.nodes) == 20
    assert len({node.id for node in network.nodes}) == 20
    assert [node.id for node in network.nodes[:11]] == [node.id for node in example("uk").nodes]
    assert all(node.kind == "store" for node in network.nodes[11:])
    with pytest.raises(Refusal, match="more than the markets"):
        enlarged(example("uk"), 500)


def test_an_enlarged_network_makes_more_where_more_people_are_near() -> None:
    before, after = example("uk").nodes, {node.id: node for node in enlarged(example("uk"), 20).nodes}
    for node in before:
        assert (after[node.id].capacity_parcels or 0) >= (node.capacity_parcels or 0)
        assert (after[node.id].capacity_units is None) == (node.capacity_units is None)
    london = next(node for node in before if node.id == "ST-LONDON")
    assert (after["ST-LONDON"].capacity_parcels or 0) > 3 * (london.capacity_parcels or 0)


def test_a_history_since_a_minute_keeps_what_befell_its_orders(weeks: History) -> None:
    minute = int(weeks.order_placed_at[weeks.orders // 2])
    later = since(weeks, minute)
    order = int(np.searchsorted(weeks.order_placed_at, minute))
    assert later.order_id == weeks.order_id[order:]
    lines = weeks.order_line_start[order:]
    assert later.line_qty.tolist() == weeks.line_qty[lines[0] :].tolist()
    for name in ("cancel", "return"):
        old: Any = getattr(weeks, f"{name}_line")
        new: Any = getattr(later, f"{name}_line")
        assert (new + lines[0]).tolist() == old[old >= lines[0]].tolist()
    assert since(weeks, 0).line_sku.tolist() == weeks.line_sku.tolist()


def test_a_history_must_be_longer_than_the_past_it_needs(make_history: MakeHistory, make_network: MakeNetwork) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}))
    with pytest.raises(Refusal, match="has 1 weeks; the first forecast alone looks at 8"):
        place(history, make_network(stock=[]), 0, Weekly())
    with pytest.raises(Refusal, match="markets"):
        place(history, make_network(stock=[], markets=()), 0, Weekly())


def test_the_past_is_kept_beside_the_replayed_weeks(weeks: History) -> None:
    placed = place(weeks, example("uk"), 1, Weekly(weeks=4))
    past, history = placed.past, placed.history
    assert past is not None
    assert past.order_id + history.order_id == weeks.order_id
    assert [*past.line_qty.tolist(), *history.line_qty.tolist()] == weeks.line_qty.tolist()
    assert past.sku_id == history.sku_id
    assert not np.isnan(past.order_lat[np.diff(past.order_pickup_start) == 0]).any()
    end = int(history.order_placed_at[0]) // MINUTES_PER_DAY + 3
    runs = [replay_placed(one, make("cheapest", EFFORT), until=end) for one in (placed, replace(placed, past=None))]
    assert runs[0].decisions == runs[1].decisions
    assert runs[0].cost_cents == runs[1].cost_cents


def test_what_befell_past_orders_later_is_not_past(weeks: History) -> None:
    line = weeks.lines // 4
    began = int(weeks.order_placed_at[weeks.line_order[line]])
    for days, known in ((1, 1), (60, 0)):
        at = np.array([began + days * MINUTES_PER_DAY])
        one = replace(weeks, cancel_at=at, cancel_line=np.array([line]), cancel_units=np.array([1]))
        assert len(before(one, began + 7 * MINUTES_PER_DAY).cancel_line) == known


def test_what_is_announced_was_ordered_by_what_was_known_then(weeks: History) -> None:
    """Somebody buys a hundred of everything late in a week: nothing that was announced before is larger for it."""
    begins = int(weeks.order_placed_at[0]) // MINUTES_PER_DAY
    rush = (begins + 7 * 5 + 4) * MINUTES_PER_DAY
    line_at = weeks.order_placed_at[weeks.line_order]
    late = (line_at >= rush) & (line_at < rush + 2 * MINUTES_PER_DAY)
    busier = replace(weeks, line_qty=np.where(late, 100, weeks.line_qty))
    usual, more = (place(one, example("uk"), 1, Weekly(weeks=4)).history for one in (weeks, busier))

    def announced(history: History, by: int) -> list[tuple[int, ...]]:
        known = history.receipt_at <= by + 7 * MINUTES_PER_DAY
        columns = (history.receipt_at, history.receipt_sku, history.receipt_node, history.receipt_units)
        return [tuple(row) for row in np.stack(columns)[:, known].T.tolist()]

    assert late.any()
    assert announced(usual, rush - 1) == announced(more, rush - 1)
    assert more.receipt_units.sum() > usual.receipt_units.sum()


@pytest.mark.parametrize("name", ["cheapest", "bid_price"])
def test_no_decision_knows_a_receipt_before_it_is_announced(weeks: History, name: str) -> None:
    """Nothing comes from the third week on: nothing else is decided until a week before, unless all is known at once."""
    placed = place(weeks, example("uk"), 1, Weekly(weeks=4, cover=0.7))
    history = placed.history
    assert placed.announced_days == 7
    third = int(history.receipt_at[0]) + 7 * MINUTES_PER_DAY
    comes = history.receipt_at < third
    names = ("receipt_at", "receipt_node", "receipt_sku", "receipt_units")
    ends = replace(history, **{column: getattr(history, column)[comes] for column in names})

    def decided(history: History, announced_days: int | None) -> list[list[float]]:
        known = replace(placed, history=history, announced_days=announced_days)
        named = {"samples": 1, "lines": 600, "passes": 3} if name == "bid_price" else {}
        policy = make(name, EFFORT, settings=named, outlook=outlook_of(known))
        waves = replay_placed(known, policy, until=third // MINUTES_PER_DAY).waves
        early = waves.at < third - 7 * MINUTES_PER_DAY
        return [
            column[early].tolist() for column in (waves.units_shipped, waves.carriage, waves.left_open_cents, waves.at)
        ]

    assert len(decided(history, 7)[0]) >= 5
    assert decided(history, 7) == decided(ends, 7)
    assert decided(history, None) != decided(ends, None)
