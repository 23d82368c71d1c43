"""Parcels that go the same lane become one."""

import highspy
import numpy as np

from solver.mip import merged


def test_parcels_of_one_lane_become_one() -> None:
    ways = [(0, 1, 2, {7: 1, 8: 2}), (0, 1, 2, {8: 1}), (0, 1, 3, {8: 1})]
    assert merged(ways) == [(0, 1, 2, {7: 1, 8: 3}), (0, 1, 3, {8: 1})]


def test_parcels_of_other_lanes_stay_apart() -> None:
    ways = [(0, 1, 2, {7: 1}), (0, 2, 2, {7: 1}), (1, 1, 2, {7: 1})]
    assert merged(ways) == ways


def test_highs_does_not_lose_the_optimum_in_presolve() -> None:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 12, 11
    lp.col_cost_ = [3000.0, 3000, 3000, 6000, 50, 50, 50, 50, 50, 50, 50, 150]
    lp.col_lower_, lp.col_upper_ = [0.0] * 12, [1.0] * 11 + [1e9]
    lp.row_lower_, lp.row_upper_ = [1.0] * 5 + [-np.inf] * 6, [1.0, 1, 1, 1, 1, 1, 3, 1, 3, 3, 1]
    lp.integrality_ = [highspy.HighsVarType.kInteger] * 11 + [highspy.HighsVarType.kContinuous]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = [0, 1, 2, 3, 5, 7, 9, 12, 15, 19, 23, 29, 30]
    rows = [0, 1, 2, 3, 4, 0, 8, 0, 9, 1, 7, 10, 2, 6, 10, 3, 5, 6, 10, 4, 5, 7, 10, 3, 4, 5, 6, 7, 10, 10]
    lp.a_matrix_.index_, lp.a_matrix_.value_ = rows, [1.0] * 29 + [-1.0]
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(lp)
    solver.run()
    assert round(solver.getInfo().objective_function_value) == 3300
