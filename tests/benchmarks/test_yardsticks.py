"""Classical problems become columns that cost what their authors say."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from benchmarks import yardsticks
from benchmarks.classics import Classic, read_gap, read_location
from solver.bill import bill
from solver.check import check
from solver.effort import Effort
from solver.plan import Plan
from solver.policies import make

ASSIGNMENT = """ 2 3
 4 1 6
 2 5 3
 2 2 2
 3 3 1
 4 4
"""
"""Two agents, three jobs. Jobs 0 and 1 do not both fit on agent 1; the best is 1 on agent 0, 0 and 2 on agent 1: 1 + 2 + 3."""
HOLMBERG = """2 3
10 100
7 60
3 4 5
1 2 3.5
2 3 4
"""
"""Customers of 3, 4 and 5: place 0 holds two of them, place 1 the first two."""
DELMAIRE = """3 2
1 2  2 3  3.5 4
3 4 5
100 60
10 7
"""


def packed(path: Path, text: str) -> Path:
    with gzip.open(path, "wt") as file:
        file.write(text)
    return path


def by_place(classic: Classic, place_of: list[int], orders: list[int]) -> Plan:
    """The plan that serves each item from its place."""
    keys = sorted({(order, place) for order, place in zip(orders, place_of, strict=True)})
    items = [[k for k, pair in enumerate(zip(orders, place_of, strict=True)) if pair == key] for key in keys]
    order = np.array([order for order, _ in keys], dtype=np.int64)
    flat = np.array([item for one in items for item in one], dtype=np.int64)
    return Plan(
        parcel_order=order,
        parcel_node=np.array([place for _, place in keys], dtype=np.int64),
        parcel_service=np.zeros(len(keys), dtype=np.int64),
        parcel_dest=order.copy(),
        entry_start=np.concatenate([[0], np.cumsum([len(one) for one in items])]).astype(np.int64),
        entry_line=flat,
        entry_units=np.ones(len(flat), dtype=np.int64),
        cost_cents=0,
        bound_cents=0.0,
    )


def cost(classic: Classic, place_of: list[int], orders: list[int]) -> float:
    return sum(bill(classic.problem, by_place(classic, place_of, orders)).values()) / classic.scale


def test_an_assignment_costs_what_its_author_says(tmp_path: Path) -> None:
    classic = read_gap(packed(tmp_path / "d0203.txt.gz", ASSIGNMENT), 6.0)
    assert (classic.name, classic.kind, classic.items, classic.places) == ("d0203", "d", 3, 2)
    assert cost(classic, [1, 0, 1], [0, 1, 2]) == 1 + 2 + 3
    plan = make("joint", Effort(seconds=20))(classic.problem)
    assert check(classic.problem, plan).ok
    assert (plan.status, plan.cost_cents) == ("optimal", 6)


def test_an_agent_is_never_given_more_than_it_can_do(tmp_path: Path) -> None:
    classic = read_gap(packed(tmp_path / "d0203.txt.gz", ASSIGNMENT), 6.0)
    plan = by_place(classic, [1, 1, 0], [0, 1, 2])
    assert not check(classic.problem, plan).ok


@pytest.mark.parametrize(("kind", "text"), [("holmberg", HOLMBERG), ("delmaire", DELMAIRE)])
def test_a_location_problem_costs_what_its_author_says(tmp_path: Path, kind: str, text: str) -> None:
    """All three need 12: the third from place 0, the others together from place 1."""
    classic = read_location(packed(tmp_path / "p1.txt.gz", text), kind, 168.5)
    assert (classic.items, classic.places, classic.scale) == (3, 2, 10)
    assert cost(classic, [1, 1, 0], [0, 0, 0]) == 100 + 60 + 2 + 3 + 3.5
    plan = make("joint", Effort(seconds=20))(classic.problem)
    assert check(classic.problem, plan).ok
    assert plan.status == "optimal"
    assert plan.cost_cents / classic.scale == best_by_hand()


def best_by_hand() -> float:
    """Every way of giving three customers to two places, each whole."""
    demand, capacity, fixed = (3, 4, 5), (10, 7), (100, 60)
    costs = ((1, 2, 3.5), (2, 3, 4))
    ways = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    return min(
        sum(fixed[j] for j in set(way)) + sum(costs[j][k] for k, j in enumerate(way))
        for way in ways
        if all(sum(d for d, at in zip(demand, way, strict=True) if at == j) <= capacity[j] for j in (0, 1))
    )


def test_bytes_that_are_nothing_part_numbers(tmp_path: Path) -> None:
    classic = read_location(packed(tmp_path / "p1.txt.gz", HOLMBERG.replace(" ", "\0 ")), "holmberg", 1.0)
    assert classic.places == 2


def test_the_best_known_value_is_the_upper_bound_at_least_cost(tmp_path: Path) -> None:
    listed = tmp_path / "bounds.txt"
    listed.write_text("d10100_Max\t10349\t10349\nd10100_Min\t6345\t6348\n")
    assert yardsticks.published(listed) == {"d10100": 6348.0}


def measured(kind: str, items: int, cents: int, bound: float, best: float) -> dict[str, object]:
    run = {"cost_cents": cents, "bound_cents": bound, "seconds_used": 1.0, "status": "feasible"}
    return {"kind": kind, "items": items, "places": 5, "best": best, "scale": 1, "run": run}


def test_means_are_by_type_and_over_the_large_ones() -> None:
    found = {"gap d1": measured("d", 100, 120, 60.0, 100.0), "gap d2": measured("d", 200, 110, 99.0, 100.0)}
    page = yardsticks.render(found, {"policy": "joint", "seconds": 60.0})
    assert "| assignment, type d | 2 | +15.00 % | 30.00 % | 0 of 2 | 1.00 s |" in page
    assert "| assignment, 200 jobs and more | 1 | +10.00 % | 10.00 % | 0 of 1 | 1.00 s |" in page
