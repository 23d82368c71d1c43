"""One order of few units: exact over nodes, services and splits, for any prices on stock and capacity."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.draft import new_draft
from solver.effort import Effort
from solver.offers import PAIRS_MAX, pairs_of
from solver.policies import make
from solver.problem import Floats, Ints, Problem
from solver.split import TABLE_MAX, split_few
from solver.wave import Wave, problem_of
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, service, sku, world

Answer = tuple[float, int, Ints, Ints, Ints, bool]


def served(problem: Problem, rows: Floats | None = None, nodes: Floats | None = None, extra: float = 0.0) -> Answer:
    """The first order of a problem, served when nothing is taken yet."""
    draft = new_draft(problem)
    rows = np.zeros(problem.rows) if rows is None else rows
    nodes = np.zeros(problem.nodes) if nodes is None else nodes
    open_cents = problem.line_open_cents.astype(np.float64)
    answer: Answer = split_few(
        problem.columns, 0, draft.left, draft.node_left, rows, nodes, open_cents, extra, TABLE_MAX
    )
    return answer


@given(wave=small_waves(max_orders=1), data=st.data())
@settings(max_examples=60, deadline=None)
def test_at_any_prices_the_cost_is_the_least(wave: Wave, data: st.DataObject) -> None:
    """The same prices as plain costs of units and parcels, solved by CP-SAT."""
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
    best = make("cp_sat", Effort(seconds=60))(dearer)
    cost, *_, proven = served(problem, rows.astype(np.float64), nodes.astype(np.float64))
    assert proven
    assert round(cost) == best.cost_cents


def test_an_order_of_twelve_single_units_is_within_the_recursion() -> None:
    wave = world([node("A")], [delivery("O", *(line(f"x{k}") for k in range(12)))], {})
    assert pairs_of(problem_of(wave).columns, 0) <= PAIRS_MAX


def test_one_line_is_split_over_two_nodes_where_neither_has_it_all() -> None:
    wave = world([node("A"), node("B", 1)], [delivery("O", line("x", 3))], {("A", "x"): 2, ("B", "x"): 2})
    cost, _, at, _, units, _ = served(problem_of(wave))
    assert sorted(at.tolist()) == [0, 1]
    assert units.sum() == 3
    assert cost == 2 * 50 + 2 * 10 + 3 + 3 * 500


def test_two_services_share_the_stock_of_their_node() -> None:
    """Two of x by two services would be 2 of 300, but there is one; the other stays open."""
    steep = {"steps_g": [1000, 2000], "cents": [[300, 2000]], "over": [0]}
    services = [service("one", **steep), service("other", **steep)]  # type: ignore[arg-type]
    wave = world([node("A")], [delivery("O", line("x"), line("x"))], {("A", "x"): 1}, services=services)
    cost, *_, proven = served(problem_of(wave))
    assert proven
    assert cost == 300 + 61 + 10_000


def test_the_second_parcel_of_a_full_node_pays_overtime() -> None:
    """x may not go by `land`, y not by `air`: two parcels from A, which has room for one."""
    services = [service("land"), service("air")]
    skus = [sku("x", no_services=["land"]), sku("y", no_services=["air"])]
    wave = world(
        [node("A", parcels=1, overtime=77)],
        [delivery("O", line("x"), line("y"))],
        {("A", "x"): 1, ("A", "y"): 1},
        skus=skus,
        services=services,
    )
    assert served(problem_of(wave))[0] == 2 * 561 + 77


def test_a_price_on_every_parcel_gathers_an_order() -> None:
    flat = service(zone_km=[50, 500], steps_g=[30_000], cents=[[300], [900]], over=[0, 0], transit=[1, 1])
    stock = {("A", "x"): 1, ("C", "y"): 1, ("B", "x"): 1, ("B", "y"): 1}
    nodes = [node("A"), node("C", 0.1), node("B", 2)]
    problem = problem_of(world(nodes, [delivery("O", line("x"), line("y"))], stock, services=[flat]))
    assert sorted(served(problem)[2].tolist()) == [0, 1]
    assert served(problem, extra=1000.0)[2].tolist() == [2]


def test_an_answer_that_overdraws_a_row_of_two_nodes_is_not_proven() -> None:
    wave = world([node("A"), node("B", 1)], [delivery("O", line("x"), line("y"))], {("A", "x"): 1, ("B", "y"): 1})
    problem = problem_of(wave)
    shared = replace(
        problem,
        option_row=np.column_stack([problem.option_row, np.full(2, problem.rows, dtype=np.int32)]),
        option_use=np.ones((2, 2), dtype=np.int32),
        row_limit=np.append(problem.row_limit, 1),
        row_node=np.append(problem.row_node, np.int32(-1)),
        row_sku=np.append(problem.row_sku, np.int32(-1)),
        row_price=np.zeros(problem.rows + 1),
    )
    assert served(problem)[-1]
    assert not served(shared)[-1]
