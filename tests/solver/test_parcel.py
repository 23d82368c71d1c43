"""What one parcel costs: the first step that holds it, started kilograms above the last, days after the promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solver.parcel import UNSERVED, carriage_cents, late_cents, travel_cents
from solver.problem import NO_SERVICE, Problem
from solver.wave import problem_of
from tests.worlds import collection, delivery, line, node, service, world

STEPS = service(
    zone_km=[50, 500], steps_g=[0, 500, 2000], cents=[[90, 100, 300], [95, 150, 400]], over=[70, 0], transit=[1, 3]
)


def places() -> Problem:
    """O, promised in 2 days, is delivered at A, 111 km from B and beyond every band from C; P is collected at A."""
    nodes = [node("A", ready=1), node("B", 1, ready=1), node("C", 30)]
    orders = [delivery("O", line("x"), promise=2, late=40), collection("P", line("x"), at=["A"], promise=0, late=40)]
    return problem_of(world(nodes, orders, {("A", "x"): 1}, services=[STEPS]))


@pytest.mark.parametrize(
    ("grams", "near", "far"),
    [
        (0, 90, 95),
        (1, 100, 150),
        (500, 100, 150),
        (501, 300, 400),
        (2000, 300, 400),
        (2001, 370, 400),
        (3001, 440, 400),
    ],
)
def test_carriage_is_that_of_the_first_step_that_holds_the_weight(grams: int, near: int, far: int) -> None:
    c = places().columns
    assert [carriage_cents(c, 0, zone, grams) for zone in (0, 1)] == [near, far]


def test_each_day_after_the_promise_costs() -> None:
    c = places().columns
    assert [late_cents(c, 0, days) for days in (0, 2, 3, 5)] == [0, 0, 40, 120]


def test_travel_is_carriage_and_lateness() -> None:
    """From A ready in 1 day, there in 1; from B in 1 and 3, two days late; from C never."""
    c = places().columns
    assert [travel_cents(c, 0, 0, j, 0, 400) for j in (0, 1, 2)] == [100, 150 + 80, UNSERVED]


def test_what_is_collected_where_it_lies_has_no_carriage_but_may_be_late() -> None:
    assert travel_cents(places().columns, 1, 1, 0, NO_SERVICE, 10**9) == 40


@given(
    steps=st.lists(st.integers(0, 5000), min_size=1, max_size=6, unique=True).map(sorted),
    rises=st.lists(st.integers(0, 900), min_size=6, max_size=6),
    over=st.integers(0, 500),
    grams=st.integers(0, 12_000),
)
def test_carriage_reads_the_tariff_as_the_format_says(
    steps: list[int], rises: list[int], over: int, grams: int
) -> None:
    cents = np.cumsum(rises[: len(steps)]).tolist()
    tariff = service(steps_g=steps, cents=[cents], over=[over])
    c = problem_of(world([node("A")], [delivery("O", line("x"))], {("A", "x"): 1}, services=[tariff])).columns
    held = [price for upper, price in zip(steps, cents, strict=True) if upper >= grams]
    above = -(-(grams - steps[-1]) // 1000) * over
    assert carriage_cents(c, 0, 0, grams) == (held[0] if held else cents[-1] + above)
