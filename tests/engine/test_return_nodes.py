"""Which node takes a return back: never dearer than the usual rules, and the best there is where that can be counted out."""

from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.network import NetworkColumns, columns_of
from engine.return_nodes import (
    Back,
    Question,
    Worth,
    carriage_of,
    explain,
    problem_of,
    room_of,
    route,
    worth_of,
)
from simulation.networks import example
from solver.bill import bill
from solver.check import check
from solver.distance import lane_zones
from solver.effort import Effort
from solver.policies import make
from solver.wave import Sku

EXAMPLE = example("us")
SKUS = 4


def network_of(nodes: int) -> NetworkColumns:
    """The first nodes of the example, with a few SKUs of different weights."""
    goods = [Sku(f"K{k}", 400 * (k + 1), [], []) for k in range(SKUS)]
    return columns_of(msgspec.structs.replace(EXAMPLE, nodes=EXAMPLE.nodes[:nodes], skus=goods, stock=[], receipts=[]))


NETWORKS = {nodes: network_of(nodes) for nodes in (1, 2, 3)}


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Up to four returns of up to three lines, up to three nodes, little room."""
    nodes, count = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    network = NETWORKS[nodes]
    lines = [draw(st.integers(1, 3)) for _ in range(count)]
    total = sum(lines)

    def ints(low: int, high: int, size: int) -> Any:
        return np.array([draw(st.integers(low, high)) for _ in range(size)], dtype=np.int64)

    sku = ints(0, SKUS - 1, total)
    wanted = np.unique(sku)
    rest = ints(0, 300, len(wanted) * nodes).reshape(-1, nodes)
    more = ints(0, 2000, len(wanted) * nodes).reshape(-1, nodes)
    back = Back(
        line_start=np.concatenate([[0], np.cumsum(lines)]).astype(np.int64),
        lat=ints(30, 45, count).astype(np.float64),
        lon=ints(-115, -75, count).astype(np.float64),
        brought_to=np.where(ints(0, 5, count) == 0, 0, -1),
        origin=ints(0, nodes - 1, count),
        line_sku=sku,
        line_units=ints(1, 3, total),
        line_percent=np.array([draw(st.sampled_from((0, 10, 33, 90, 100))) for _ in range(total)], dtype=np.int64),
    )
    worth = Worth(wanted, rest + more, rest, ints(0, 4, len(wanted)))
    takes = np.ones(nodes, dtype=np.bool_)
    return Question(network, back, worth, takes, np.zeros(nodes, dtype=np.bool_))


def cheapest_of_all(question: Question) -> int:
    """Count every choice out, and every way to give room to units."""
    able = [np.flatnonzero(row == 0).tolist() for row in question.reason]
    return min(counted_out(question, choice) for choice in product(*able))


def counted_out(question: Question, choice: tuple[int, ...]) -> int:
    """The least cost of one choice: every unit is a piece of its own, and room goes to any of those that want it."""
    back, worth = question.back, question.worth
    cost = sum(int(question.carriage[r, j] + question.handling[r, j]) for r, j in enumerate(choice))
    gains: dict[int, list[int]] = {}
    for i, (r, k) in enumerate(zip(back.line_return.tolist(), question.line_at.tolist(), strict=True)):
        j, share = choice[r], int(back.line_percent[i])
        rest = int(worth.rest[k, j]) * share // 100
        gain = (int(worth.first[k, j]) - int(worth.rest[k, j])) * share // 100
        cost -= rest * int(back.line_units[i])
        gains.setdefault(k, []).extend([gain] * int(back.line_units[i]))
    for k, wanted in gains.items():
        cost -= sum(sorted(wanted, reverse=True)[: int(worth.room[k])])
    return cost


@settings(deadline=None, max_examples=150)
@given(questions())
def test_returns_go_where_it_is_cheapest_for_all_of_them_together(question: Question) -> None:
    found = route(question, Effort(seconds=None))
    least = cheapest_of_all(question)
    assert found.cost_cents == least
    assert found.bound_cents <= least + 1e-6
    assert found.cost_cents == counted_out(question, tuple(found.node.tolist()))
    assert found.cents.sum() == found.cost_cents


@settings(deadline=None, max_examples=100)
@given(questions(), st.booleans())
def test_it_is_never_dearer_than_the_nearest_node_or_the_origin_however_little_time_there_is(
    question: Question, hurried: bool
) -> None:
    found = route(question, Effort(seconds=0 if hurried else None))
    for rule in (question.nearest(), question.origin()):
        assert found.cost_cents <= question.routed(rule).cost_cents
    assert found.bound_cents <= found.cost_cents + 1e-6


@settings(deadline=None, max_examples=60)
@given(questions())
def test_the_problem_of_the_solver_costs_what_returns_cost(question: Question) -> None:
    """Its bill, less what all costs are shifted by, is the cost of the nodes that its plan chose, counted by us."""
    problem, shift, dest_node = problem_of(question)
    plan = make("joint", Effort(seconds=None), 0)(problem)
    assert check(problem, plan).ok
    terms = bill(problem, plan)
    assert terms["unfilled"] == terms["broken_promise"] == terms["late"] == 0
    node = np.zeros(question.back.returns, dtype=np.int64)
    node[plan.parcel_order] = dest_node[plan.parcel_dest]
    found = question.routed(node)
    assert sum(terms.values()) - shift == found.cost_cents
    assert (terms["carriage"], terms["handling"]) == (found.carriage.sum(), found.handling.sum())


def test_carriage_is_that_of_the_cheapest_service_by_zone_and_weight() -> None:
    network = NETWORKS[2]
    empty = network.empty
    lanes = np.zeros((1, 2, empty.services), dtype=np.int8)
    lanes[0, 1] = -1
    last = int(empty.service_steps_g[0, empty.service_steps[0] - 1])
    cents, service = carriage_of(
        empty, lanes, np.array([last + 1001]), np.array([[True] + [False] * (empty.services - 1)])
    )
    over = int(empty.service_cents[0, 0, empty.service_steps[0] - 1] + 2 * empty.service_over_cents[0, 0])
    assert (cents[0, 0], service[0, 0]) == (over, 0)
    assert cents[0, 1] > 10**15, "no service goes there"


def test_there_is_room_for_what_is_asked_for_beyond_what_is_there_and_comes() -> None:
    """Of 10 asked for until the receipt, 4 are before what comes back can be sold: 2 of 6 are left then for the other 6."""
    value, free, coming = np.array([[100, 0], [0, 0]]), np.array([[4, 2], [0, 9]]), np.array([[1, 0], [0, 0]])
    expected = np.array([[[7.0, 3.0], [1.0, 1.0]], [[2.0, 2.0], [0.5, 0.0]]])
    assert room_of(value, free, coming, expected).tolist() == [3, 0]
    assert room_of(value, free, 0 * coming, None).tolist() == [1, 0], "a price speaks of one unit more"
    assert room_of(value, free, coming, None).tolist() == [0, 0]


def test_a_unit_is_worth_what_it_is_elsewhere_less_what_it_costs_more_from_here() -> None:
    network = NETWORKS[3]
    empty = network.empty
    worth = worth_of(network, np.array([0]), np.array([[0, 5000, 0]]), np.array([3]), 25)
    lanes = lane_zones(
        empty.node_lat, empty.node_lon, empty.node_lat[1:2], empty.node_lon[1:2], np.array([-1]), empty.service_zone_km,
        empty.service_zones,
    )  # fmt: skip
    cents, _ = carriage_of(empty, lanes, empty.sku_weight_g[:1], empty.sku_carried[:1])
    assert worth.first.tolist() == [(5000 - np.maximum(0, cents[0] - cents[0, 1])).tolist()]
    assert worth.first[0, 1] == 5000 > worth.first.min()
    assert worth.rest.tolist() == (worth.first * 25 // 100).tolist()


@pytest.fixture
def two() -> Question:
    """Two returns of one unit from beside the first node; one more is worth 90.00 at the second one, and the third takes none."""
    here = EXAMPLE.nodes[0]
    back = Back(
        np.array([0, 1, 2]), np.full(2, here.lat), np.full(2, here.lon), np.array([-1, -1]), np.array([0, 0]),
        np.array([0, 0]), np.array([1, 1]), np.array([100, 100]),
    )  # fmt: skip
    worth = Worth(np.array([0]), np.array([[0, 9000, 0]]), np.array([[0, 0, 0]]), np.array([1]))
    takes = np.array([True, True, False])
    return Question(NETWORKS[3], back, worth, takes, np.zeros(3, dtype=np.bool_))


def test_an_explanation_says_of_every_node_why_not(two: Question) -> None:
    found, names = route(two, Effort(seconds=None)), two.network.empty.node_id
    assert sorted(found.node.tolist()) == [0, 1]
    by_node = {int(node): {one.node: one for one in explain(two, found, r)} for r, node in enumerate(found.node)}
    assert [by_node[1][name].why for name in names[:3]] == ["dearer", "chosen", "takes_no_returns"]
    assert [by_node[0][name].why for name in names[:3]] == ["chosen", "worth_more_to_others", "takes_no_returns"]
    assert (by_node[1][names[1]].worth_cents, by_node[0][names[1]].worth_cents) == (9000, 0), "there is room for one"
