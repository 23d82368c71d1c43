"""Which lanes an order of many lines uses: tangents below tariffs, and the best set of few lanes."""

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.many_sets import Savings, add_lane, best_set, hull_of, interchange, served_by_none, tangent
from solver.parcel import tariff_cents
from solver.problem import Ints

Lane = tuple[int, dict[int, tuple[int, int]]]
"""Cents for opening, and by line the units that it has and what each saves."""

offers = st.dictionaries(st.integers(0, 3), st.tuples(st.integers(1, 3), st.integers(1, 90)), min_size=1)
lanes = st.lists(st.tuples(st.integers(0, 60), offers), min_size=1, max_size=7)
quantities = st.lists(st.integers(1, 4), min_size=4, max_size=4)


def saved_by(chosen: tuple[Lane, ...], qty: list[int]) -> int:
    """What some lanes save: of each line the units that save most, opening paid."""
    total = -sum(opening for opening, _ in chosen)
    for k, units in enumerate(qty):
        each = [saved for _, offered in chosen if k in offered for saved in [offered[k][1]] * offered[k][0]]
        total += sum(sorted(each, reverse=True)[:units])
    return total


def savings_by_worth(world: list[Lane], qty: list[int]) -> tuple[Savings, list[Lane]]:
    """The lanes that are worth their opening, as the search knows them, and in its order."""
    clipped = [
        (opening, {k: (min(units, qty[k]), saved) for k, (units, saved) in had.items()}) for opening, had in world
    ]
    worth = [saved_by((lane,), qty) for lane in clipped]
    ranked = sorted((i for i in range(len(world)) if worth[i] > 0), key=lambda i: -worth[i])
    kept = [clipped[i] for i in ranked]
    flat = [(k, units, saved) for _, offered in kept for k, (units, saved) in sorted(offered.items())]
    start = np.concatenate([[0], np.cumsum([len(offered) for _, offered in kept])]).astype(np.int64)
    line, units, each = (np.array([entry[i] for entry in flat]) for i in range(3))
    return Savings(
        np.arange(len(kept)), np.array([opening for opening, _ in kept], dtype=np.float64),
        np.array([worth[i] for i in ranked], dtype=np.float64), start, line.astype(np.int64), units.astype(np.int64),
        each.astype(np.float64),
    ), kept  # fmt: skip


def best_of_all(kept: list[Lane], qty: list[int], most: int) -> int:
    return max(saved_by(chosen, qty) for p in range(most + 1) for chosen in combinations(kept, p))


@given(world=lanes, qty=quantities, most=st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_the_best_set_of_few_lanes_saves_what_trying_all_sets_finds(
    world: list[Lane], qty: list[int], most: int
) -> None:
    savings, kept = savings_by_worth(world, qty)
    bound, used = best_set(savings, np.array(qty), most, 0.0, 0.0, 10**6, np.zeros(len(kept)), 0.0)
    best = best_of_all(kept, qty, most)
    assert bound == best
    assert saved_by(tuple(kept[i] for i in used), qty) == best


@given(world=lanes, qty=quantities, most=st.integers(1, 3), work=st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_a_search_that_ends_early_still_bounds_what_any_set_saves(
    world: list[Lane], qty: list[int], most: int, work: int
) -> None:
    savings, kept = savings_by_worth(world, qty)
    bound, used = best_set(savings, np.array(qty), most, 0.0, 0.0, work, np.zeros(len(kept)), 0.0)
    assert saved_by(tuple(kept[i] for i in used), qty) <= best_of_all(kept, qty, most) <= bound


@given(world=lanes, qty=quantities, most=st.integers(1, 3), data=st.data())
@settings(max_examples=200, deadline=None)
def test_of_sets_that_add_up_to_enough_none_saves_more_than_the_bound(
    world: list[Lane], qty: list[int], most: int, data: st.DataObject
) -> None:
    savings, kept = savings_by_worth(world, qty)
    gain = data.draw(st.lists(st.integers(-20, 20), min_size=len(kept), max_size=len(kept)))
    enough = data.draw(st.integers(-20, 40))
    matters = [
        saved_by(tuple(kept[i] for i in chosen), qty)
        for p in range(1, most + 1)
        for chosen in combinations(range(len(kept)), p)
        if sum(gain[i] for i in chosen) >= enough
    ]
    bound, _ = best_set(savings, np.array(qty), most, 0.0, 0.0, 10**6, np.array(gain, dtype=np.float64), float(enough))
    assert max(matters, default=0) <= bound <= best_of_all(kept, qty, most)


@given(world=lanes, qty=quantities, most=st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_after_exchanging_no_lane_more_less_or_other_saves_more(world: list[Lane], qty: list[int], most: int) -> None:
    savings, kept = savings_by_worth(world, qty)
    nobody, served = np.zeros(len(kept), dtype=np.bool_), served_by_none(np.array(qty))
    used = interchange(savings, np.array(qty), most, nobody, np.zeros(0, dtype=np.int64), served)
    value = saved_by(tuple(kept[i] for i in used), qty)
    for without in [None, *used.tolist()]:
        rest = [i for i in used.tolist() if i != without]
        for more in [None, *range(len(kept))]:
            other = [*rest, *([more] if more is not None and more not in rest else [])]
            if len(other) <= most:
                assert saved_by(tuple(kept[i] for i in other), qty) <= value + 0.5


def test_a_lane_serves_what_saves_most_and_leaves_the_rest_to_others() -> None:
    """Of three units the second lane has two, each saving more than any of the first lane's three."""
    savings, _ = savings_by_worth([(0, {0: (3, 10)}), (0, {0: (2, 14)})], [3])
    served = served_by_none(np.array([3]))
    add_lane(savings, served, 0)
    add_lane(savings, served, 1)
    assert served.units[0, : served.lanes[0]].tolist() == [1, 2]


@given(
    rises=st.lists(st.tuples(st.integers(1, 900), st.integers(0, 500)), min_size=1, max_size=6),
    over=st.integers(0, 900),
    near=st.floats(0, 9000),
    grams=st.integers(1, 9000),
)
@settings(max_examples=200, deadline=None)
def test_a_tangent_lies_below_its_tariff_at_every_weight(
    rises: list[tuple[int, int]], over: int, near: float, grams: int
) -> None:
    upper, cents = (np.cumsum(column).astype(np.int64) for column in zip(*rises, strict=True))
    tariff: tuple[Ints, Ints, Ints, Ints] = (
        np.array([len(rises)]), upper[None, :], cents[None, None, :], np.array([[over]])
    )  # fmt: skip
    x, y = np.empty(len(rises) + 1), np.empty(len(rises) + 1)
    corners = hull_of(*tariff, 0, 0, x, y)
    fixed, rate = tangent(x, y, corners, over / 1000, near)
    assert fixed + rate * grams <= tariff_cents(*tariff, 0, 0, grams) + 1e-6
