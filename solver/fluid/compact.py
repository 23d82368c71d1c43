"""The item-centre program ("DLP") of Jasin and Sinha (2015) and Ma (2023): which share of an item comes from where."""

from dataclasses import dataclass

import highspy
import numpy as np
from scipy.sparse import coo_array

from solver.fluid.model import Fluid
from solver.problem import Floats

LARGE = 200_000
"""Variables from which the interior point method is the faster one."""


@dataclass(frozen=True)
class Shares:
    """A solved item-centre program.

    Attributes
    ----------
    cost
        Its optimum: no policy costs less in expectation.
    share
        (kinds, most, centres + 1) probability that a place of an order is served from a centre, the dummy last; kinds are
        type * regions + region, and places past the end of an order are 0.
    prices
        (centres, items) what one more unit would save.
    """

    cost: float
    share: Floats
    prices: Floats


def compact(fluid: Fluid, crossover: bool = True) -> Shares:
    """Solve the program of the expected orders.

    In the formulas of Ma (2023): min sum (F y + c u) with sum over centres u = orders of the kind, y >= u for each item, and
    sum of u <= stock; here u and y are numbers of orders.

    Parameters
    ----------
    crossover
        Whether an interior point of a large program is moved to a vertex, as simplex methods end in.
    """
    t, regions, dummy = fluid.tables, fluid.regions, fluid.centres
    sizes = np.repeat(fluid.sizes, regions)
    kinds = np.flatnonzero((fluid.rate.ravel() > 0) & (sizes > 0))
    line_kind = np.repeat(kinds, sizes[kinds])
    line_place = np.arange(len(line_kind)) - np.repeat(np.cumsum(sizes[kinds]) - sizes[kinds], sizes[kinds])
    line_item = t.item[t.first[line_kind // regions] + line_place]
    held = np.vstack([fluid.stock > 0, np.ones((1, fluid.items), dtype=bool)])
    line, centre = np.nonzero(held[:, line_item].T)
    # y of a kind at a centre comes after all u
    pair, used = np.unique(line_kind[line] * (dummy + 1) + centre, return_inverse=True)
    many, opened = len(line), len(line) + np.arange(len(pair))
    cost = np.concatenate([
        fluid.unit[centre, line_kind[line] % regions],
        fluid.fixed[pair % (dummy + 1), pair // (dummy + 1) % regions],
    ])  # fmt: skip
    from_stock = np.flatnonzero(centre < dummy)
    cell = centre[from_stock] * fluid.items + line_item[line[from_stock]]
    u = np.arange(many)
    links = len(line_kind) + u
    stocks = len(line_kind) + many + cell
    rows = np.concatenate([line, links, links, stocks])
    columns = np.concatenate([u, u, opened[used], from_stock])
    values = np.concatenate([np.ones(many), -np.ones(many), np.ones(many), np.ones(len(from_stock))])
    asked = fluid.expected.ravel()[line_kind]
    free, none = np.inf, np.zeros(many)
    low = np.concatenate([asked, none, np.full(fluid.stock.size, -free)])
    high = np.concatenate([asked, none + free, fluid.stock.ravel()])
    solver = _solved(rows, columns, values, cost, low, high, crossover)
    found = solver.getSolution()
    share = np.zeros((len(sizes), fluid.most, dummy + 1))
    share[line_kind[line], line_place[line], centre] = np.maximum(np.array(found.col_value)[:many], 0.0)
    total = share.sum(axis=2, keepdims=True)
    prices = np.maximum(0.0, -np.array(found.row_dual)[-fluid.stock.size :]).reshape(fluid.stock.shape)
    best = float(solver.getInfo().objective_function_value)
    return Shares(best, np.divide(share, total, out=share, where=total > 0), prices)


def _solved(
    rows: Floats, columns: Floats, values: Floats, cost: Floats, low: Floats, high: Floats, crossover: bool
) -> highspy.Highs:
    matrix = coo_array((values, (rows, columns)), shape=(len(low), len(cost))).tocsc()
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(cost), len(low)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(len(cost)), np.full(len(cost), np.inf)
    lp.row_lower_, lp.row_upper_ = low, high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    solver = highspy.Highs()
    method = "ipm" if len(cost) >= LARGE else "choose"
    options = {"output_flag": False, "threads": 1, "solver": method, "run_crossover": "on" if crossover else "off"}
    for name, setting in options.items():
        solver.setOptionValue(name, setting)
    solver.passModel(lp)
    solver.run()
    status = solver.getModelStatus()
    # without crossover HiGHS does not vouch for an interior point that it calls optimal within its tolerances
    fine = (highspy.HighsModelStatus.kOptimal, *(() if crossover else (highspy.HighsModelStatus.kUnknown,)))
    assert status in fine, f"a program that leaves orders unfilled is solvable: {status}"
    return solver


__all__ = ["Shares", "compact"]
