"""Each verb changes what it names, on the days that it names, and nothing else."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replace_node

from engine.calendar import parse_day
from scenarios.applying import apply
from simulation.placing import Placed, place
from simulation.replay import replay_placed
from simulation.run import Run
from solver.effort import Effort
from solver.policies import make
from solver.problem import NO_SERVICE
from tests.scenarios.worlds import history, network, placed, scenario, units

WORLD = placed()


def run(world: Placed) -> Run:
    return replay_placed(world, make("cheapest", Effort(None)))


def shipped_from(world: Placed, name: str) -> int:
    done = run(world)
    return int((done.shipped.node == [node.id for node in world.network.nodes].index(name)).sum())


def same_history(one: Placed, other: Placed) -> bool:
    def equal(a: Any, b: Any) -> bool:
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else bool(a == b)

    return all(equal(getattr(one.history, f.name), getattr(other.history, f.name)) for f in fields(one.history))


def test_a_scenario_without_changes_is_the_baseline() -> None:
    assert apply(scenario(), WORLD) is WORLD


@pytest.mark.parametrize("to", ["others", "nobody", "S1"])
def test_nothing_leaves_a_closed_node_and_its_units_go_where_they_are_sent(to: str) -> None:
    closed = apply(scenario(f'close_node node="W2" stock_to="{to}"'), WORLD)
    assert shipped_from(WORLD, "W2") > 0
    assert shipped_from(closed, "W2") == 0
    assert units(closed) == units(WORLD)
    at = {row[0] for row in closed.network.stock} | {closed.network.nodes[j].id for j in closed.history.receipt_node}
    assert ("W2" in at) == (to == "nobody")


def test_a_node_is_closed_on_its_days_only() -> None:
    closed = apply(scenario('close_node node="W2" from=2024-05-03 until=2024-05-05'), WORLD)
    done = run(closed)
    days = set((done.shipped.decided_at[done.shipped.node == 1] // 1440).tolist())
    shut = {parse_day(f"2024-05-0{d}") for d in (3, 4, 5)}
    assert days
    assert not days & shut
    assert {parse_day("2024-05-02"), parse_day("2024-05-06")} & days


def held_overnight(*changes: str, **more: Any) -> Run:
    """Nine orders of 1 May, each of which holds a mug at W1 for the work of the 2nd, when something changes; and one of the 2nd."""
    past = history(10, seed=2, lines=1)
    nothing = {f.name: getattr(past, f.name)[:0] for f in fields(past) if f.name.startswith(("cancel_", "return_"))}
    evening = parse_day("2024-05-01") * 1440 + 20 * 60
    placed_at = {"order_placed_at": np.array([evening] * 9 + [evening + 270]), "line_qty": np.ones(10, np.int64)}
    here = {"order_lat": np.full(10, 52.0), "order_lon": np.full(10, 5.0)}
    stock = [("W1", "mug", 10, 0), ("W2", "mug", 6, 0), ("S1", "mug", 6, 0)]
    world = place(replace(past, **nothing, **placed_at, **here), network(**{"stock": stock, "receipts": []} | more), 1)
    world = apply(scenario(*(f"{change} from=2024-05-02" for change in changes)), world)
    return replay_placed(world, make("cheapest", Effort(None)), every=60, release_after=720)


def test_what_is_held_at_a_node_that_closes_is_decided_anew_elsewhere() -> None:
    as_it_is, closed = held_overnight(), held_overnight('close_node node="W1"')
    assert set(as_it_is.shipped.node.tolist()) == {0}
    assert (closed.units_shipped, closed.units_lapsed) == (10, 0)
    assert set(closed.shipped.node.tolist()) == {1, 2}
    assert closed.shipped.decided_at.min() >= parse_day("2024-05-02") * 1440


def test_what_is_held_at_a_node_that_closes_is_given_up_where_it_lies_nowhere_else() -> None:
    closed = held_overnight('close_node node="W1"', stock=[("W1", "mug", 10, 0), ("W2", "mug", 4, 0)])
    assert (closed.units_shipped, closed.units_lapsed) == (4, 6)
    assert set(closed.shipped.node.tolist()) == {1}
    books = closed.books
    assert (books.initial + books.received + books.returned - books.shipped - books.lost == books.final).all()
    assert books.final[books.node == 0].sum() == 10


@pytest.mark.parametrize(
    ("change", "goes_there"),
    [
        ('ship_from_store on=false nodes=["W1"]', 0),
        ('capacity nodes=["W1"] parcels=3', 3),
        ('capacity nodes=["W1"] units=3', 3),
        ("carrier_strike", 0),
    ],
)
def test_what_is_held_and_may_not_go_as_it_was_to_waits_where_nothing_else_serves_it(
    change: str, goes_there: int
) -> None:
    bounded = tuple(replace_node(one, overtime_cents=None) for one in network().nodes)
    stock = [("W1", "mug", 10, 0), ("W2", "mug", 4, 0)]
    done = held_overnight(f"{change} until=2024-05-02", nodes=bounded, stock=stock)
    assert (done.units_shipped, done.units_lapsed) == (10, 0)
    day = done.shipped.leaves_day[done.shipped.node == 0]
    assert (day == parse_day("2024-05-02")).sum() == goes_there
    assert (day > parse_day("2024-05-02")).sum() >= 10 - 4 - goes_there


def test_what_is_held_over_an_earlier_cut_off_counts_on_the_day_on_which_it_is_made() -> None:
    past = history(10, seed=2, lines=1)
    nothing = {f.name: getattr(past, f.name)[:0] for f in fields(past) if f.name.startswith(("cancel_", "return_"))}
    first = parse_day("2024-05-01") * 1440
    placed_at = {"order_placed_at": np.array([first + 20 * 60] * 3 + [first + 1440 + 7 * 60] * 7)}
    nodes = (replace_node(network().nodes[0], capacity_parcels=3, overtime_cents=None),)
    world = place(
        replace(past, **nothing, **placed_at), network(nodes=nodes, stock=[("W1", "mug", 40, 0)], receipts=[]), 1
    )
    world = apply(scenario('cut_off at="06:00" from=2024-05-02'), world)
    done = replay_placed(world, make("cheapest", Effort(None)), every="arrival", release_after=1200)
    assert np.unique_counts(done.shipped.leaves_day).counts.max() <= 3


def test_a_new_node_ships_its_share_and_leaves_the_sum_as_it_was() -> None:
    opened = apply(scenario('open_node id="W3" lat=53.2 lon=6.6 like="W2" stock_percent=50'), WORLD)
    assert units(opened) == units(WORLD)
    held = sum(row[2] for row in opened.network.stock if row[0] == "W3")
    assert held == sum(row[2] for row in WORLD.network.stock) // 2
    assert shipped_from(opened, "W3") > 0


def test_a_node_that_opens_later_gets_receipts_of_its_days_only_and_ships_nothing_before() -> None:
    opened = apply(scenario('open_node id="W3" lat=53.2 lon=6.6 like="W2" stock_percent=100 from=2024-05-05'), WORLD)
    assert not [row for row in opened.network.stock if row[0] == "W3"]
    done = run(opened)
    at = done.shipped.decided_at[done.shipped.node == 3] // 1440
    assert len(at)
    assert at.min() >= parse_day("2024-05-05")


@given(percent=st.integers(1, 100), sku=st.sampled_from(["mug", "pan"]))
def test_moving_stock_moves_that_share_of_that_sku_and_no_unit_is_lost(percent: int, sku: str) -> None:
    moved = apply(scenario(f'move_stock source="W2" target="S1" percent={percent} skus=["{sku}"]'), WORLD)
    before, after = ({row[:2]: row[2] for row in world.network.stock} for world in (WORLD, moved))
    share = before["W2", sku] * percent // 100
    assert after.get(("W2", sku), 0) == before["W2", sku] - share
    assert after.get(("S1", sku), 0) == before.get(("S1", sku), 0) + share
    rest = {key: n for key, n in before.items() if key not in {("W2", sku), ("S1", sku)}}
    assert {key: after[key] for key in rest} == rest
    assert same_history(moved, WORLD)


def test_redirected_receipts_come_in_at_the_same_minute_elsewhere() -> None:
    moved = apply(scenario('redirect_receipts source="W2" target="S1" percent=50'), WORLD)
    assert np.bincount(moved.history.receipt_node, moved.history.receipt_units).tolist() == [11, 5, 4]
    assert set(moved.history.receipt_at.tolist()) == set(WORLD.history.receipt_at.tolist())
    untouched = apply(scenario('redirect_receipts source="W2" target="S1" until=2024-05-05'), WORLD)
    assert same_history(untouched, WORLD)


@given(kept=st.integers(1, 30))
def test_safety_stock_keeps_the_first_units_at_its_nodes_alone(kept: int) -> None:
    safe = apply(scenario(f'safety_stock units={kept} nodes=["W2"]'), WORLD)
    assert units(WORLD) - units(safe) == min(kept, 20 + 9) + min(kept, 15)
    before, after = ({r for r in world.network.stock if r[0] != "W2"} for world in (WORLD, safe))
    assert before == after


@settings(max_examples=25)
@given(percent=st.integers(0, 300), more=st.integers(0, 100))
def test_demand_scales_in_its_region_alone_and_more_includes_less(percent: int, more: int) -> None:
    world = WORLD.history
    north = world.order_lat > 52.6
    scaled, further = (
        apply(scenario(f'scale_demand percent={p} regions=["north"]'), WORLD).history for p in (percent, percent + more)
    )
    assert set(scaled.order_id) <= set(further.order_id)
    middle = [name for name, is_north in zip(world.order_id, north, strict=True) if not is_north]
    assert [name for name, lat in zip(scaled.order_id, scaled.order_lat, strict=True) if lat < 52.6] == middle
    low, high = percent // 100 * north.sum(), -(-percent // 100) * north.sum()
    assert low <= (scaled.order_lat > 52.6).sum() <= high


def test_doubled_demand_is_every_order_twice_with_what_befell_it() -> None:
    twice = apply(scenario("scale_demand percent=200"), WORLD).history
    once = WORLD.history
    assert (twice.orders, twice.lines) == (2 * once.orders, 2 * once.lines)
    assert twice.line_qty.sum() == 2 * once.line_qty.sum()
    for what in ("cancel", "return"):
        line = {name: getattr(world, f"{what}_line") for name, world in (("once", once), ("twice", twice))}
        assert len(line["twice"]) == 2 * len(line["once"]) > 0
        assert sorted(twice.line_sku[line["twice"]]) == sorted(np.tile(once.line_sku[line["once"]], 2))
        owner = np.array(twice.order_id)[twice.line_order[line["twice"]]]
        assert len(set(owner)) == len(owner)


def test_days_are_counted_from_the_first_of_the_history_whatever_was_changed_before() -> None:
    changes = "scale_demand percent=0 until=3", "faster_promise days_less=2 from=5"
    changed = apply(scenario(*changes), WORLD).history
    early = changed.order_placed_at // 1440 < parse_day("2024-05-05")
    assert (changed.order_promise_days[early] == 3).all()
    assert (changed.order_promise_days[~early] == 1).all()
    assert early.any()


def test_demand_as_it_is_is_the_history_as_it_is() -> None:
    assert same_history(apply(scenario("scale_demand percent=100"), WORLD), WORLD)


def test_demand_of_a_sku_leaves_the_other_lines_of_its_orders() -> None:
    none = apply(scenario('scale_demand percent=0 skus=["pan"]'), WORLD).history
    assert set(none.line_sku.tolist()) == {0}
    assert none.line_qty.sum() == WORLD.history.line_qty[WORLD.history.line_sku == 0].sum()


def test_stock_follows_demand_where_it_is_told_to() -> None:
    follows = apply(scenario("scale_demand percent=200 stock_follows=true"), WORLD)
    assert units(follows) == 2 * units(WORLD)


def test_customers_near_a_store_collect_there_and_the_others_do_not() -> None:
    collecting = apply(scenario("pickup_share percent=100 within_km=40"), WORLD).history
    picks = np.diff(collecting.order_pickup_start)
    near = WORLD.history.order_lat < 52.6
    assert (picks[near] == 1).all()
    assert (picks[~near] == 0).all()
    assert set(collecting.pickup_node.tolist()) == {2}
    assert np.isnan(collecting.order_lat[near]).all()
    assert run(apply(scenario("pickup_share percent=100 within_km=40"), WORLD)).shipped.service.min() == NO_SERVICE


def test_a_store_that_sends_nothing_still_hands_over() -> None:
    world = apply(scenario("pickup_share percent=100 within_km=40", "ship_from_store on=false"), WORLD)
    done = run(world)
    at_store = done.shipped.node == 2
    assert at_store.any()
    assert (done.shipped.service[at_store] == NO_SERVICE).all()
    assert shipped_from(apply(scenario("ship_from_store on=false"), WORLD), "S1") == 0
    again = apply(scenario("ship_from_store on=false", "ship_from_store on=true"), WORLD)
    assert run(again).decisions == run(WORLD).decisions


def test_nobody_collects_at_a_store_that_is_closed() -> None:
    world = apply(scenario("pickup_share percent=100 within_km=40", 'close_node node="S1"'), WORLD)
    assert not len(world.history.pickup_node)
    assert not np.isnan(world.history.order_lat).any()


def test_the_past_follows_the_nodes_and_knows_nothing_of_other_demand() -> None:
    collects = apply(scenario("pickup_share percent=100 within_km=40"), WORLD).history
    assert len(collects.pickup_node)
    world = replace(WORLD, past=collects)
    closed, opened, more = (
        apply(scenario(change), world).past
        for change in (
            'close_node node="S1"',
            'open_node id="W3" lat=53.2 lon=6.6 like="W2"',
            "scale_demand percent=200",
        )
    )
    assert closed is not None
    assert not len(closed.pickup_node)
    assert not np.isnan(closed.order_lat).any()
    assert opened is not None
    assert opened.node_id == (*collects.node_id, "W3")
    assert more is collects


def test_a_promise_is_shorter_by_the_days_and_never_in_the_past() -> None:
    faster = apply(scenario("faster_promise days_less=2 from=2024-05-04"), WORLD).history
    early = WORLD.history.order_placed_at // 1440 < parse_day("2024-05-04")
    assert (faster.order_promise_days[early] == 3).all()
    assert (faster.order_promise_days[~early] == 1).all()
    assert (apply(scenario("faster_promise days_less=9"), WORLD).history.order_promise_days == 0).all()


def test_no_parcel_goes_by_a_service_on_strike() -> None:
    done = run(apply(scenario('carrier_strike services=["slow"] from=2024-05-03 until=2024-05-06'), WORLD))
    on_strike = np.isin(done.shipped.decided_at // 1440, [parse_day(f"2024-05-0{d}") for d in (3, 4, 5, 6)])
    assert (done.shipped.service[on_strike] == 1).all()
    assert (done.shipped.service[~on_strike] == 0).any()
    at = run(apply(scenario("carrier_strike from=3 until=4"), WORLD)).shipped.decided_at // 1440
    assert not np.isin(at, [parse_day("2024-05-03"), parse_day("2024-05-04")]).any()


NETWORK_CHANGES = [
    "change_rate_card percent={n} {days}",
    'surcharge cents={n} services=["fast"] {days}',
    'cut_off nodes=["W1"] earlier_minutes={n} {days}',
    'capacity nodes=["W1"] percent={n} {days}',
    'capacity nodes="stores" parcels={n} {days}',
    'labour nodes="warehouses" percent={n} {days}',
    "ship_from_store on=false {days}",
    'carrier_strike services=["slow"] {days}',
]


@given(change=st.sampled_from(NETWORK_CHANGES), n=st.integers(1, 300), dated=st.booleans())
def test_a_change_of_the_network_touches_only_what_it_names_and_only_on_its_days(
    change: str, n: int, dated: bool
) -> None:
    changed = apply(scenario(change.format(n=n, days="from=3 until=4" if dated else "")), WORLD)
    assert same_history(changed, WORLD)
    networks = [changed.network, *(later for _, later in changed.later)]
    assert len(networks) == (3 if dated else 1)
    if dated:
        assert networks[0] == networks[2] == WORLD.network
        assert [at // 1440 for at, _ in changed.later] == [parse_day("2024-05-03"), parse_day("2024-05-05")]
    now = networks[1 if dated else 0]
    parts = {"change_rate_card": "services", "surcharge": "services", "carrier_strike": "skus"}
    part = parts.get(change.split()[0], "nodes")
    assert [name for name in now.__struct_fields__ if getattr(now, name) != getattr(WORLD.network, name)] in (
        [],
        [part],
    )
    named = {'["W1"]': {"W1"}, '"stores"': {"S1"}, '"warehouses"': {"W1", "W2"}}
    touched = next((who for text, who in named.items() if f"nodes={text}" in change), {"S1"})
    assert [a.id for a, b in zip(now.nodes, WORLD.network.nodes, strict=True) if a != b and a.id not in touched] == []
    if "surcharge" in change:
        assert now.services[0] == WORLD.network.services[0]
        assert now.services[1].cents[0][0] == WORLD.network.services[1].cents[0][0] + n


def test_work_on_other_weekdays_is_done_on_them() -> None:
    world = apply(scenario('labour nodes=["W1"] open_weekdays=["mon"]'), WORLD)
    done = run(world)
    weekdays = {(int(day) + 3) % 7 for day in done.shipped.leaves_day[done.shipped.node == 0]}
    assert weekdays == {0}


SINGLE: dict[str, Any] = {"receipts": [], "terms": type(WORLD.network.terms)(3, 100, 900, 0, 5, 0, 1)}


@pytest.mark.parametrize(
    "change",
    [
        'close_node node="W2" stock_to="nobody"',
        "ship_from_store on=false",
        "surcharge cents=70",
        'carrier_strike services=["slow"]',
        'safety_stock units=5 nodes="all"',
        'capacity nodes="all" percent=4',
        "labour percent=150",
        "faster_promise days_less=2",
    ],
)
def test_an_optimal_day_is_never_cheaper_when_something_is_taken_away(change: str) -> None:
    """True of optima of one wave only: a rule, or a run of many waves, can be luckier with less to choose from."""
    past = history(12, seed=2)
    one_day = {"order_placed_at": np.sort(past.order_placed_at % 1440 + parse_day("2024-05-01") * 1440)}
    nothing = {f.name: getattr(past, f.name)[:0] for f in fields(past) if f.name.startswith(("cancel_", "return_"))}
    past = replace(past, **one_day, **nothing)
    world = place(past, network(**SINGLE), 1)
    costs = []
    for asked in (world, apply(scenario(change), world)):
        done = replay_placed(asked, make("joint", Effort(None, 200)))
        assert done.waves.gap_cents.sum() == 0, "only optima are compared"
        costs.append(done.cost_cents)
    assert costs[1] >= costs[0]
