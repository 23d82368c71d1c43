"""Parcels that go the same lane become one."""

from solver.mip import merged


def test_parcels_of_one_lane_become_one() -> None:
    ways = [(0, 1, 2, {7: 1, 8: 2}), (0, 1, 2, {8: 1}), (0, 1, 3, {8: 1})]
    assert merged(ways) == [(0, 1, 2, {7: 1, 8: 3}), (0, 1, 3, {8: 1})]


def test_parcels_of_other_lanes_stay_apart() -> None:
    ways = [(0, 1, 2, {7: 1}), (0, 2, 2, {7: 1}), (1, 1, 2, {7: 1})]
    assert merged(ways) == ways
