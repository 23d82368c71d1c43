"""What is said of scenarios is what the pairs of runs support."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scenarios import decisions
from scenarios.comparison import Comparison, Difference, compare, paired
from scenarios.grids import Grid, Outcome, Sweep
from tests.scenarios.worlds import history, network, scenario

CHANGED = scenario("surcharge cents=5", name="dearer")
OWN = scenario('policy name="nearest"', name="own")
GRID = Grid(history(), network(), (CHANGED, OWN), ("cheapest", "joint"), (1, 2, 3))


def outcome(scenario: str, policy: str, seed: int, cents: int, **more: Any) -> Outcome:
    usual: dict[str, Any] = {
        "bill": {"carriage": cents}, "orders": 10, "units_ordered": 20, "units_shipped": 18, "parcels": 11, "days": 2.0,
        "on_time_rate": 0.9, "split_rate": 0.1, "fill_rate": 0.9, "node_units": {"W1": 10, "W2": 8}, "simulated": (),
        "start": 0, "end": 10 * 1440, "decisions": f"{seed}",
    }  # fmt: skip
    return Outcome(scenario, policy, seed, cents, **usual | more)


def found(dearer: tuple[int, ...], own: tuple[int, ...] = (900, 1800, 2700), **more: Any) -> Comparison:
    base = (1000, 2000, 3000)
    rows = [outcome("baseline", p, s, c) for p in ("cheapest", "joint") for s, c in zip((1, 2, 3), base, strict=True)]
    rows += [
        outcome("dearer", p, s, c, **more)
        for p in ("cheapest", "joint")
        for s, c in zip((1, 2, 3), dearer, strict=True)
    ]
    rows += [outcome("own", "nearest", s, c, split_rate=0.2) for s, c in zip((1, 2, 3), own, strict=True)]
    return compare(GRID, Sweep(tuple(rows)))


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=2, max_size=20))
def test_an_interval_is_that_of_a_paired_t_test(pairs: list[tuple[int, int]]) -> None:
    before, after = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    difference = paired(before.tolist(), after.tolist())
    assert difference.low is not None
    assert difference.high is not None
    if np.ptp(after - before) > 0:
        low, high = stats.ttest_rel(after, before).confidence_interval(0.95)
        assert (difference.low, difference.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)
    assert difference.low <= difference.mean <= difference.high


def test_a_difference_is_taken_seed_by_seed() -> None:
    """The baseline's cost varies threefold with the seed, and 10 % more on each is 10 % more without doubt."""
    row = found((1100, 2200, 3300)).scenarios[0]
    cost = row.differences["cost"]
    assert (cost.mean, cost.low, cost.high) == pytest.approx((0.1, 0.1, 0.1))
    assert row.extra_cents is not None
    assert row.extra_cents.mean == pytest.approx(200)


def test_a_policy_of_its_own_is_compared_with_the_baseline_of_the_first() -> None:
    own = found((1100, 2200, 3300)).scenarios[-1]
    assert (own.scenario, own.policy, own.against) == ("own", "nearest", "cheapest")
    assert own.differences["cost"].mean == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("cents", "says"),
    [
        ((1100, 2200, 3330), "dearer (cheapest) costs 10.3 % more (+8.9 to +11.8), 2.10 more over 10 days."),
        ((900, 1800, 2700), "dearer (cheapest) costs 10.0 % less (−10.0 to −10.0), 2.00 less over 10 days."),
        (
            (1100, 1900, 3000),
            "is not shown to cost more or less: +1.7 % (−17.3 to +20.6).",
        ),
        ((1000, 2000, 3000), "costs the same on every seed."),
    ],
)
def test_a_decision_says_no_more_than_the_interval(cents: tuple[int, ...], says: str) -> None:
    result = found(cents)
    assert says in decisions.decision(result, result.scenarios[0])


def test_more_orders_are_told_by_the_unit_too() -> None:
    result = found((1200, 2400, 3600), units_ordered=24)
    text = decisions.decision(result, result.scenarios[0])
    assert "costs 20.0 % more" in text
    assert "each unit ordered costs the same on every seed" in text


def test_one_seed_has_no_interval() -> None:
    assert paired([100.0], [110.0], relative=True) == Difference(pytest.approx(0.1), None, None)
    assert "on one seed, which has no interval" in decisions.told(Difference(0.1, None, None))


def test_what_is_as_good_in_all_and_better_in_one_dominates() -> None:
    result = found((1100, 2200, 3300))
    by = {(row.scenario, row.policy): row.dominated_by for row in result.rows}
    assert by["dearer", "cheapest"] == ("baseline", "cheapest")
    assert by["baseline", "cheapest"] is None
    assert by["own", "nearest"] is None, "it is cheaper, and splits more"
    assert "dearer (cheapest) by baseline (cheapest)" in decisions.pareto(result)


@pytest.mark.parametrize(
    ("cents", "says"),
    [
        ((1100, 1900, 3000), "No scenario is shown to save anything, and none to cost more."),
        (
            (1100, 2200, 3300),
            "No scenario is shown to save anything: 2 of 3 cost more, and of 1 the seeds cannot tell.",
        ),
    ],
)
def test_the_summary_counts_what_is_shown(cents: tuple[int, ...], says: str) -> None:
    assert decisions.summary(found(cents, own=(1100, 1900, 3000))) == says


def test_what_ships_nothing_is_not_the_fastest() -> None:
    nothing: dict[str, Any] = {"units_shipped": 0, "days": 0.0, "split_rate": 0.0, "node_units": {}}
    result = found((900, 1800, 2700), **nothing)
    assert all(row.dominated_by is None for row in result.rows if row.is_baseline)


def test_one_day_is_said_as_one() -> None:
    result = replace(found((1100, 2200, 3300)), days=1)
    assert "more over 1 day." in decisions.decision(result, result.scenarios[0])


def test_seeds_that_draw_nothing_are_told() -> None:
    assert found((1100, 2200, 3300)).seeds_matter
    rows = [replace(outcome("baseline", "cheapest", s, 1000), decisions="same") for s in (1, 2, 3)]
    rows += [outcome("dearer", "cheapest", s, 1100) for s in (1, 2, 3)]
    grid = replace(GRID, scenarios=(CHANGED,), policies=("cheapest",))
    assert not compare(grid, Sweep(tuple(rows))).seeds_matter


def test_nodes_are_told_before_and_after() -> None:
    row = found((1100, 2200, 3300), node_units={"W1": 4, "S1": 14}).scenarios[0]
    assert row.node_units == {"W1": 4, "S1": 14}
    assert row.node_change == {"W1": -6, "W2": -8, "S1": 14}
