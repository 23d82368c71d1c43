"""One order of many lines: a way that keeps every rule, and a bound that no way undercuts, for any prices."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.check import check
from solver.draft import new_draft, plan_of, put
from solver.effort import Effort
from solver.lanes import least_slope, tariff
from solver.many import lane_bounds, price_many
from solver.many_tree import close_in
from solver.policies import make
from solver.problem import Floats, Ints, Problem
from solver.wave import Wave, problem_of
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, service, world

Answer = tuple[float, float, int, Ints, Ints, Ints]
ROUNDING = 1e-3


def served(
    problem: Problem,
    rows: Floats | None = None,
    nodes: Floats | None = None,
    effort: int = 2,
    known: float = np.inf,
    start: Floats | None = None,
) -> Answer:
    """The first order of a problem, served as one of many lines when nothing is taken yet."""
    draft = new_draft(problem)
    rows = np.zeros(problem.rows) if rows is None else rows
    nodes = np.zeros(problem.nodes) if nodes is None else nodes
    open_cents = problem.line_open_cents.astype(np.float64)
    line_price = np.full(problem.lines, -1.0) if start is None else start.copy()
    answer: Answer = price_many(
        problem.columns, 0, draft.left, draft.node_left, rows, nodes, open_cents, 0.0, line_price, effort, 30, known
    )
    return answer


@given(wave=small_waves(max_orders=1), data=st.data())
@settings(max_examples=150, deadline=None)
def test_at_any_prices_the_least_cost_lies_between_the_bound_and_the_way(wave: Wave, data: st.DataObject) -> None:
    """The same prices as plain costs of units and parcels, solved by CP-SAT; pickup, limits and shared stock included."""
    problem = problem_of(wave)
    cents = st.sampled_from([0, 0, 7, 150, 2000])
    rows = np.array(data.draw(st.lists(cents, min_size=problem.rows, max_size=problem.rows)), dtype=np.int64)
    nodes = np.array(data.draw(st.lists(cents, min_size=problem.nodes, max_size=problem.nodes)), dtype=np.int64)
    charged = problem.option_use * np.where(problem.option_row >= 0, np.append(rows, 0)[problem.option_row], 0)
    dearer = replace(
        problem,
        option_value_cents=problem.option_value_cents + charged.sum(1),
        node_parcel_cents=problem.node_parcel_cents + nodes,
    )
    best = make("cp_sat", Effort(seconds=60))(dearer).cost_cents
    prices = rows.astype(np.float64), nodes.astype(np.float64)
    known = data.draw(st.sampled_from([np.inf, float(best), best + 500.0]))
    worth = st.sampled_from([0.0, 40.0, 900.0, 1e5])
    start = np.array(data.draw(st.lists(worth, min_size=problem.lines, max_size=problem.lines)))
    for effort, began in ((0, None), (1, start), (2, None), (1, None)):
        bound, cost, dest, at, services, units = served(problem, *prices, effort, known, began)
        assert bound <= best + ROUNDING
        assert best <= cost + ROUNDING
    draft = new_draft(dearer)
    put(dearer.columns, draft, 0, dest, at, services, units)
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    plan = plan_of(dearer, draft, 0.0, *nothing, 0.0, "many", 0)
    assert check(dearer, plan).ok
    assert abs(plan.cost_cents - cost) < ROUNDING


@given(wave=small_waves(max_orders=1), data=st.data())
@settings(max_examples=150, deadline=None)
def test_closing_in_keeps_the_least_cost_between_the_bound_and_the_way_however_early_it_ends(
    wave: Wave, data: st.DataObject
) -> None:
    problem = problem_of(wave)
    best = make("cp_sat", Effort(seconds=60))(problem).cost_cents
    cents = st.sampled_from([-1.0, 0.0, 40.0, 900.0, 1e5])
    start = np.array(data.draw(st.lists(cents, min_size=problem.lines, max_size=problem.lines)))
    work = data.draw(st.sampled_from([0, 200, 2_000, 10**6]))
    known = data.draw(st.sampled_from([float(best), best + 500.0, 1e9]))
    draft = new_draft(problem)
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    bound, cost, dest, at, services, units = close_in(
        problem.columns, 0, draft.left, draft.node_left, *nothing, problem.line_open_cents.astype(np.float64), start,
        known, work,
    )  # fmt: skip
    assert bound <= best + ROUNDING
    assert best <= cost + ROUNDING
    if len(at):
        put(problem.columns, draft, 0, dest, at, services, units)
        plan = plan_of(problem, draft, 0.0, *nothing, 0.0, "close", 0)
        assert check(problem, plan).ok
        assert abs(plan.cost_cents - cost) < ROUNDING


def test_closing_in_proves_what_prices_on_lines_alone_cannot() -> None:
    """Three nodes have two of three lines each: the relaxed order takes half a parcel from each of them."""
    stock = {(at, name): 1 for at, names in (("A", "xy"), ("B", "yz"), ("C", "xz")) for name in names}
    wave = world([node(at, parcel=3000) for at in "ABC"], [delivery("O", *(line(name) for name in "xyz"))], stock)
    problem = problem_of(wave)
    loose, cost, *_ = served(problem, effort=1)
    draft, nothing = new_draft(problem), (np.zeros(problem.rows), np.zeros(problem.nodes))
    bound = close_in(
        problem.columns, 0, draft.left, draft.node_left, *nothing, problem.line_open_cents.astype(np.float64),
        np.full(problem.lines, -1.0), cost, 10**6,
    )[0]  # fmt: skip
    assert loose < 0.95 * cost
    assert bound > 0.999 * cost


def test_a_heavy_order_is_two_parcels_where_the_tariff_rewards_it() -> None:
    """Ten kg cost 1000 and anything heavier 5000; each node has all eighteen lines of one kg."""
    steep = service(steps_g=[10_000, 40_000], cents=[[1000, 5000]], over=[0])
    names = [f"x{k}" for k in range(18)]
    stock = {(at, name): 1 for at in "AB" for name in names}
    wave = world([node("A"), node("B")], [delivery("O", *(line(name) for name in names))], stock, services=[steep])
    for sku in wave.skus:
        sku.weight_g = 1000
    bound, cost, _, at, _, units = served(problem_of(wave))
    assert sorted(at.tolist()) == [0, 1]
    assert units.sum() == 18
    assert bound <= cost == 2 * (50 + 1000) + 18 * 11


def test_an_order_limited_to_one_parcel_takes_the_node_that_fills_most() -> None:
    names = [f"x{k}" for k in range(15)]
    stock = {("A", name): 1 for name in names[:9]} | {("B", name): 1 for name in names[9:]}
    orders = [delivery("O", *(line(name) for name in names), max_parcels=1)]
    bound, cost, _, at, _, units = served(problem_of(world([node("A"), node("B")], orders, stock)))
    assert at.tolist() == [0]
    assert units.sum() == 9
    assert bound > cost - 1


@given(wave=small_waves(max_orders=1), data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_line_prices_whatever_fix_away_a_lane_of_the_best_way(wave: Wave, data: st.DataObject) -> None:
    problem = problem_of(wave)
    best = make("cp_sat", Effort(seconds=30))(problem)
    cents = st.sampled_from([0.0, 40.0, 900.0, 1e5, 1e7])
    prices = np.array(data.draw(st.lists(cents, min_size=problem.lines, max_size=problem.lines)))
    draft = new_draft(problem)
    keys, bounds = lane_bounds(
        problem.columns, 0, draft.left, draft.node_left, np.zeros(problem.rows), np.zeros(problem.nodes), prices
    )
    bound_of = {tuple(key): bound for key, bound in zip(keys.tolist(), bounds.tolist(), strict=True)}
    for p in range(best.parcels):
        lane = (0, int(best.parcel_dest[p]), int(best.parcel_node[p]), int(best.parcel_service[p]))
        # a lane that is not listed has another service beside it that is no dearer
        assert bound_of.get(lane, 0.0) <= best.cost_cents + ROUNDING


@st.composite
def tariffs(draw: st.DrawFn) -> tuple[Ints, Ints, Ints, Ints]:
    """The columns of one service in one zone: steps, their ends, cents, and cents for each kg beyond."""
    upper = sorted(draw(st.sets(st.integers(0, 60), min_size=1, max_size=5)))
    cents = sorted(draw(st.lists(st.integers(0, 500), min_size=len(upper), max_size=len(upper))))
    over = draw(st.integers(0, 3_000))
    return np.array([len(upper)]), np.array([upper]), np.array([[cents]]), np.array([[over]])


@given(columns=tariffs(), load=st.integers(1, 80))
@settings(max_examples=200, deadline=None)
def test_carriage_never_falls_below_the_line_of_its_least_slope_and_touches_it(
    columns: tuple[Ints, Ints, Ints, Ints], load: int
) -> None:
    _, upper, cents, _ = columns
    slope = least_slope(*columns, 0, 0, load)
    first, base = int(upper[0, 0]), float(cents[0, 0, 0])
    above = [tariff(*columns, 0, 0, grams) - base - slope * (grams - first) for grams in range(1, load + 1)]
    assert min(above) >= -ROUNDING
    if first < load <= upper[0, -1]:
        assert min(above[first:]) <= ROUNDING
