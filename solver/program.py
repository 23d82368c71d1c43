"""The whole problem as one integer program for HiGHS, over every parcel and every lane, made without prices.

Orders of few units have a binary for each parcel; orders of many have, for each lane, units and picks by line and the tariff step
of their weight. `enumeration.py` lists both. What belongs to a column is an array, so that a million of them is no burden.
"""

from dataclasses import dataclass, replace

import highspy
import numpy as np
from scipy.sparse import coo_array, csc_array

from solver.bill import bill
from solver.enumeration import Lanes, Parcels, every_lane, every_parcel
from solver.plan import Plan
from solver.problem import HARD, NO_LIMIT, NO_SERVICE, Bools, Floats, Ints, Problem

INFINITY = float("inf")
FEASIBLE = 2
"""HiGHS's word for a solution that holds."""
NONZEROS_MAX = 40_000_000
"""More than this is more than HiGHS could begin to solve."""


@dataclass(frozen=True)
class Answer:
    """What HiGHS says: values of the columns (`None`: none found), a bound, and nodes of the search tree."""

    value: Floats | None
    bound_cents: float
    work: int


class _Table:
    """Columns or constraints in the making: two numbers each, handed out in blocks."""

    def __init__(self) -> None:
        self.blocks: list[tuple[Floats, Floats]] = []
        self.count = 0

    def add(self, first: Floats | Ints | float, second: Floats | Ints | float, count: int) -> Ints:
        """Add so many; returns their indices."""
        self.blocks.append((np.broadcast_to(first, count).astype(float), np.broadcast_to(second, count).astype(float)))
        self.count += count
        return np.arange(self.count - count, self.count)

    def both(self) -> tuple[Floats, Floats]:
        """All of them as two columns."""
        return tuple(np.concatenate([b[i] for b in self.blocks] or [np.zeros(0)]) for i in (0, 1))  # type: ignore[return-value]


class Program:
    """The integer program of a problem.

    Attributes
    ----------
    cost, high
        (C,) cents and upper ends of the columns, all from 0.
    low_row, high_row
        (N,) ends of the constraints.
    matrix
        (N, C) coefficients.
    parcel_col
        (P,) the column of each parcel.
    """

    def __init__(self, problem: Problem, parcels: Parcels, lanes: Lanes) -> None:
        self.problem, self.parcels, self.lanes = problem, parcels, lanes
        self._cols, self._rows = _Table(), _Table()
        self._put: list[tuple[Ints, Ints, Floats]] = []
        self._lines()
        self._dests()
        self._shared()
        self._parcels()
        self._lanes()
        self.cost, self.high = self._cols.both()
        self.low_row, self.high_row = self._rows.both()
        row, col, value = (np.concatenate([p[i] for p in self._put] or [np.zeros(0)]) for i in range(3))
        shape = (self._rows.count, self._cols.count)
        self.matrix: csc_array = coo_array((value, (row.astype(np.int64), col.astype(np.int64))), shape=shape).tocsc()
        self.matrix.sum_duplicates()
        self._put = []

    def _coefficients(self, row: Ints, col: Ints, value: Ints | Floats | float) -> None:
        """Put coefficients, but none in the constraint -1."""
        row, col, amount = np.broadcast_arrays(row, col, np.asarray(value, dtype=float))
        there = row >= 0
        self._put.append((row[there], col[there], amount[there]))

    def _lines(self) -> None:
        """Units of a line are in parcels, or open. A ship-complete order is wholly one or the other."""
        problem = self.problem
        self.line_row = self._rows.add(problem.line_qty, problem.line_qty, problem.lines)
        complete = problem.order_ship_complete[problem.line_order]
        partial, whole = np.flatnonzero(~complete), np.flatnonzero(complete)
        self.open_col = np.full(problem.lines, -1, dtype=np.int64)
        self.open_col[partial] = self._cols.add(
            problem.line_open_cents[partial], problem.line_qty[partial], len(partial)
        )
        self._coefficients(self.line_row[partial], self.open_col[partial], 1.0)
        orders = np.flatnonzero(problem.order_ship_complete)
        nothing = np.bincount(problem.line_order, problem.line_open_cents * problem.line_qty, minlength=problem.orders)
        self.nothing_col = np.full(problem.orders, -1, dtype=np.int64)
        self.nothing_col[orders] = self._cols.add(nothing[orders], 1, len(orders))
        self._coefficients(
            self.line_row[whole], self.nothing_col[problem.line_order[whole]], problem.line_qty[whole].astype(float)
        )

    def _dests(self) -> None:
        """An order with several destinations has one of them at most."""
        problem = self.problem
        count = np.diff(problem.order_dest_start)
        of = np.repeat(np.arange(problem.orders), count)
        several = np.flatnonzero(count[of] > 1)
        self.dest_col = np.full(len(of), -1, dtype=np.int64)
        self.dest_col[several] = self._cols.add(0, 1, len(several))
        row = np.full(problem.orders, -1, dtype=np.int64)
        row[count > 1] = self._rows.add(-INFINITY, 1, int((count > 1).sum()))
        self._coefficients(row[of[several]], self.dest_col[several], 1.0)

    def _shared(self) -> None:
        """Constraints of rows, of parcels at nodes with their overtime, and of parcels of an order."""
        problem = self.problem
        self.stock_row = self._rows.add(-INFINITY, problem.row_limit, problem.rows)
        limited = np.flatnonzero(problem.node_capacity_parcels < NO_LIMIT)
        self.node_row = np.full(problem.nodes, -1, dtype=np.int64)
        self.node_row[limited] = self._rows.add(-INFINITY, problem.node_capacity_parcels[limited], len(limited))
        soft = limited[problem.node_overtime_cents[limited] != HARD]
        self.over_col = np.full(problem.nodes, -1, dtype=np.int64)
        self.over_col[soft] = self._cols.add(problem.node_overtime_cents[soft], 2**30, len(soft))
        self._coefficients(self.node_row[soft], self.over_col[soft], -1.0)
        few = np.flatnonzero(problem.order_max_parcels < NO_LIMIT)
        self.order_row = np.full(problem.orders, -1, dtype=np.int64)
        self.order_row[few] = self._rows.add(-INFINITY, problem.order_max_parcels[few], len(few))

    def _parcels(self) -> None:
        """Parcels of small orders. At most one of a lane, unless two could be made one; and only to the destination chosen."""
        problem, parcels = self.problem, self.parcels
        self.parcel_col = self._cols.add(parcels.cents, 1, len(parcels.order))
        entry_parcel = np.repeat(np.arange(len(parcels.order)), np.diff(parcels.entry_start))
        col = self.parcel_col[entry_parcel]
        self._coefficients(self.line_row[parcels.entry_line], col, parcels.entry_units.astype(float))
        self._draw(parcels.entry_option, col, parcels.entry_units)
        self._coefficients(self.node_row[parcels.node], self.parcel_col, 1.0)
        self._coefficients(self.order_row[parcels.order], self.parcel_col, 1.0)
        key = self._lane_key(parcels.dest, parcels.node, parcels.service)
        _, first, lane_of, size = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        chosen = self.dest_col[parcels.dest[first]]
        merges = np.zeros(len(first), dtype=np.bool_)
        travels = np.flatnonzero(parcels.service[first] != NO_SERVICE)
        at = first[travels]
        zone = problem.lane_zone[parcels.dest[at], parcels.node[at], parcels.service[at]]
        merges[travels] = problem.order_grams[parcels.order[at]] <= problem.service_merges_g[parcels.service[at], zone]
        needed = ((size > 1) & ~merges) | (chosen >= 0)
        row = np.full(len(first), -1, dtype=np.int64)
        row[needed] = self._rows.add(-INFINITY, np.where(chosen[needed] >= 0, 0.0, 1.0), int(needed.sum()))
        self._coefficients(row[lane_of], self.parcel_col, 1.0)
        tied = needed & (chosen >= 0)
        self._coefficients(row[tied], chosen[tied], -1.0)

    def _lanes(self) -> None:
        """Lanes of orders of many units: opened, units and picks by line, the tariff step of their weight."""
        problem, lanes = self.problem, self.lanes
        count, entries = len(lanes.order), len(lanes.entry_line)
        self.lane_col = self._cols.add(lanes.cents, 1, count)
        node = lanes.node[lanes.entry_lane]
        unit_cents = problem.option_unit_cents[lanes.entry_option] + problem.option_value_cents[lanes.entry_option]
        # where there is one unit at most, it is its own pick
        single = lanes.entry_most == 1
        self.unit_col = self._cols.add(
            unit_cents + np.where(single, problem.node_line_cents[node], 0), lanes.entry_most, entries
        )
        self.pick_col = self.unit_col.copy()
        several = np.flatnonzero(~single)
        self.pick_col[several] = self._cols.add(problem.node_line_cents[node[several]], 1, len(several))
        self._coefficients(self.line_row[lanes.entry_line], self.unit_col, 1.0)
        self._draw(lanes.entry_option, self.unit_col, np.ones(entries, dtype=np.int64))
        self._coefficients(self.node_row[lanes.node], self.lane_col, 1.0)
        self._coefficients(self.order_row[lanes.order], self.lane_col, 1.0)
        bind = self._rows.add(-INFINITY, 0, len(several))
        self._coefficients(bind, self.unit_col[several], 1.0)
        self._coefficients(bind, self.pick_col[several], -lanes.entry_most[several].astype(float))
        bind = self._rows.add(-INFINITY, 0, entries)
        self._coefficients(bind, self.pick_col, 1.0)
        self._coefficients(bind, self.lane_col[lanes.entry_lane], -1.0)
        tied = np.flatnonzero(self.dest_col[lanes.dest] >= 0)
        row = self._rows.add(-INFINITY, 0, len(tied))
        self._coefficients(row, self.lane_col[tied], 1.0)
        self._coefficients(row, self.dest_col[lanes.dest[tied]], -1.0)
        self._tariffs()

    def _tariffs(self) -> None:
        """The weight in a lane lies in one step of its tariff, or in started kg above the last."""
        problem, lanes = self.problem, self.lanes
        grams = problem.sku_weight_g[problem.line_sku[lanes.entry_line]].astype(float)
        heaviest = np.bincount(lanes.entry_lane, grams * lanes.entry_most, minlength=len(lanes.order))
        travels = np.flatnonzero(lanes.service != NO_SERVICE)
        service = lanes.service[travels]
        zone = problem.lane_zone[lanes.dest[travels], lanes.node[travels], service]
        upper, cents = problem.service_steps_g[service], problem.service_cents[service, zone]
        step = np.arange(upper.shape[1])[None, :]
        last = problem.service_steps[service][:, None] - 1
        below = np.where(step > 0, np.roll(upper, 1, axis=1), -1)
        reached = (step <= last) & (below < heaviest[travels][:, None])
        final = step == reached.sum(1)[:, None] - 1
        # of steps at one price only the widest matters
        keep = reached & (final | (np.roll(cents, -1, axis=1) > cents))
        lane, k = np.nonzero(keep)
        step_col = self._cols.add(cents[lane, k], 1, len(lane))
        self.step_cols = (travels[lane], upper[lane, k], step_col)
        row = self._rows.add(0, 0, len(travels))
        self._coefficients(row[lane], step_col, 1.0)
        self._coefficients(row, self.lane_col[travels], -1.0)
        weight = self._rows.add(-INFINITY, 0, len(travels))
        weight_row = np.full(len(lanes.order), -1, dtype=np.int64)
        weight_row[travels] = weight
        # in kg, so that coefficients stay near 1
        self._coefficients(weight_row[lanes.entry_lane], self.unit_col, grams / 1000)
        self._coefficients(weight[lane], step_col, -upper[lane, k] / 1000.0)
        top = upper[np.arange(len(travels)), last[:, 0]]
        over = np.flatnonzero(heaviest[travels] > top)
        kgs = np.ceil((heaviest[travels] - top)[over] / 1000)
        self.kg_col = np.full(len(lanes.order), -1, dtype=np.int64)
        self.kg_col[travels[over]] = self._cols.add(
            problem.service_over_cents[service[over], zone[over]], kgs, len(over)
        )
        self._coefficients(weight[over], self.kg_col[travels[over]], -1.0)
        row_of = np.full(len(travels), -1, dtype=np.int64)
        row_of[over] = self._rows.add(-INFINITY, 0, len(over))
        self._coefficients(row_of[over], self.kg_col[travels[over]], 1.0)
        heavy = (k == last[lane, 0]) & (row_of[lane] >= 0)
        most_kg = np.zeros(len(travels))
        most_kg[over] = kgs
        self._coefficients(row_of[lane[heavy]], step_col[heavy], -most_kg[lane[heavy]])

    def _draw(self, option: Ints, col: Ints, units: Ints) -> None:
        """Let columns draw on the rows of their options."""
        problem = self.problem
        for row, use in zip(problem.option_row.T, problem.option_use.T, strict=True):
            drawn = np.flatnonzero(row[option] >= 0)
            self._coefficients(
                self.stock_row[row[option[drawn]]], col[drawn], (units[drawn] * use[option[drawn]]).astype(float)
            )

    def _lane_key(self, dest: Ints, node: Ints, service: Ints) -> Ints:
        return (dest * self.problem.nodes + node) * (self.problem.services + 1) + service + 1

    def start_from(self, plan: Plan) -> Floats:
        """The columns of a plan. A parcel that is not among the columns goes by the cheapest that holds the same."""
        problem, parcels = self.problem, self.parcels
        value = np.zeros(len(self.cost))
        first = np.searchsorted(parcels.order, np.arange(problem.orders + 1))
        lane_at = {key: i for i, key in enumerate(self._lane_key(*self.lanes[1:4]).tolist())}
        of_lane = np.searchsorted(self.lanes.entry_lane, np.arange(len(self.lanes.order) + 1))
        shipped = np.zeros(problem.lines, dtype=np.int64)
        parcels_at = np.zeros(problem.nodes, dtype=np.int64)
        for p in range(plan.parcels):
            order, dest, node = int(plan.parcel_order[p]), int(plan.parcel_dest[p]), int(plan.parcel_node[p])
            content = slice(plan.entry_start[p], plan.entry_start[p + 1])
            lines, units = plan.entry_line[content], plan.entry_units[content]
            if first[order] == first[order + 1]:
                key = self._lane_key(plan.parcel_dest[p], plan.parcel_node[p], plan.parcel_service[p])
                lane = lane_at[int(key)]
                self._fill(value, lane, int(of_lane[lane]), int(of_lane[lane + 1]), lines, units)
            else:
                found = self._find(first[order], first[order + 1], dest, node, lines, units)
                if found < 0:
                    continue
                value[self.parcel_col[found]] = 1
            shipped[lines] += units
            parcels_at[node] += 1
            if self.dest_col[dest] >= 0:
                value[self.dest_col[dest]] = 1
        still_open = problem.line_qty - shipped
        partial = self.open_col >= 0
        value[self.open_col[partial]] = still_open[partial]
        nothing = np.bincount(problem.line_order, shipped, minlength=problem.orders) == 0
        unsent = nothing & (self.nothing_col >= 0)
        value[self.nothing_col[unsent]] = 1
        soft = self.over_col >= 0
        value[self.over_col[soft]] = np.maximum(0, parcels_at - problem.node_capacity_parcels)[soft]
        return value

    def _find(self, low: int, high: int, dest: int, node: int, lines: Ints, units: Ints) -> int:
        """The cheapest parcel from a node to a destination with a content, -1 where there is none."""
        parcels = self.parcels
        best = -1
        content = sorted(zip(lines.tolist(), units.tolist(), strict=True))
        for i in low + np.flatnonzero((parcels.dest[low:high] == dest) & (parcels.node[low:high] == node)):
            entries = slice(parcels.entry_start[i], parcels.entry_start[i + 1])
            same = list(zip(parcels.entry_line[entries].tolist(), parcels.entry_units[entries].tolist(), strict=True))
            if same == content and (best < 0 or parcels.cents[i] < parcels.cents[best]):
                best = int(i)
        return best

    def _fill(self, value: Floats, lane: int, low: int, high: int, lines: Ints, units: Ints) -> None:
        """Put a content into a lane, with its step and the kg above."""
        lanes, problem = self.lanes, self.problem
        entry = low + np.searchsorted(lanes.entry_line[low:high], lines)
        value[self.lane_col[lane]] = 1
        value[self.pick_col[entry]] = 1
        value[self.unit_col[entry]] = units
        if lanes.service[lane] == NO_SERVICE:
            return
        grams = int((problem.sku_weight_g[problem.line_sku[lines]] * units).sum())
        lane_of, upper, col = self.step_cols
        a, b = np.searchsorted(lane_of, [lane, lane + 1])
        k = min(int(np.searchsorted(upper[a:b], grams)), b - a - 1)
        value[col[a + k]] = 1
        if grams > upper[a + k]:
            value[self.kg_col[lane]] = -(-(grams - int(upper[a + k])) // 1000)

    def relax(self, seconds: float, threads: int) -> tuple[float, Floats] | None:
        """Solve the linear relaxation: a bound, and (C,) reduced costs that prove it; `None` where time ran out.

        The bound comes from the dual values alone, so it holds whatever tolerances the solver has used: for multipliers y of the
        constraints, every plan costs at least what y makes of their ends plus each column's reduced cost, where that is negative.
        """
        solver = self._solver(seconds, threads, 0)
        solver.passModel(self._lp(np.arange(len(self.cost)), whole=False))
        solver.run()
        highspy.Highs.resetGlobalScheduler(True)
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        multiplier = np.array(solver.getSolution().row_dual)
        ends = np.where(multiplier > 0, self.low_row, self.high_row)
        multiplier[~np.isfinite(ends)] = 0.0
        reduced = self.cost - multiplier @ self.matrix
        bound = float((multiplier * np.where(np.isfinite(ends), ends, 0.0)).sum())
        bound += float((np.minimum(0.0, reduced) * self.high).sum())
        return bound - 1e-9 * abs(bound), reduced

    def solve(self, keep: Ints, start: Floats, seconds: float, nodes: float, seed: int, threads: int) -> Answer:
        """Solve over some of the columns, starting from a plan.

        Parameters
        ----------
        keep
            Columns that stay, ascending; all others are 0.
        start
            (C,) a plan that uses only these.
        """
        solver = self._solver(seconds, threads, seed)
        solver.setOptionValue("mip_max_nodes", int(min(nodes, 2**31 - 1)))
        taken = solver.passModel(self._lp(keep, whole=True))
        assert taken == highspy.HighsStatus.kOk, "the integer program is malformed"
        solution = highspy.HighsSolution()
        solution.col_value = start[keep].tolist()
        solver.setSolution(solution)
        solver.run()
        highspy.Highs.resetGlobalScheduler(True)
        info = solver.getInfo()
        bound = float(info.mip_dual_bound)
        value = None
        if info.primal_solution_status == FEASIBLE:
            value = np.zeros(len(self.cost))
            value[keep] = solver.getSolution().col_value
        return Answer(value, bound if np.isfinite(bound) else -INFINITY, max(1, int(info.mip_node_count)))

    def _solver(self, seconds: float, threads: int, seed: int) -> highspy.Highs:
        # all programs of a process share its threads, and one that asks for another number of them is not solved
        highspy.Highs.resetGlobalScheduler(True)
        solver = highspy.Highs()
        for name, setting in {
            "output_flag": False,
            "threads": threads,
            "random_seed": seed % 2**31,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.999,  # costs are whole cents
            "mip_feasibility_tolerance": 1e-7,
            "time_limit": max(0.01, min(seconds, 1e7)),
        }.items():
            solver.setOptionValue(name, setting)
        return solver

    def _lp(self, keep: Ints, whole: bool) -> highspy.HighsLp:
        matrix = self.matrix if len(keep) == len(self.cost) else self.matrix[:, keep]
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(keep), len(self.low_row)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cost[keep], np.zeros(len(keep)), self.high[keep]
        lp.row_lower_, lp.row_upper_ = self.low_row, self.high_row
        if whole:
            lp.integrality_ = [highspy.HighsVarType.kInteger] * len(keep)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        return lp

    def plan_of(self, value: Floats) -> Plan:
        """Read the plan off a solution, and bill it; parcels of one lane become one."""
        problem, parcels, lanes = self.problem, self.parcels, self.lanes
        chosen = value[self.parcel_col] > 0.5
        entry_parcel = np.repeat(np.arange(len(parcels.order)), np.diff(parcels.entry_start))
        of_parcel = np.flatnonzero(chosen[entry_parcel])
        of_lane = np.flatnonzero(value[self.unit_col] > 0.5)
        at, lane = entry_parcel[of_parcel], lanes.entry_lane[of_lane]
        key = np.concatenate([self._lane_key(parcels.dest[at], parcels.node[at], parcels.service[at]),
                              self._lane_key(lanes.dest[lane], lanes.node[lane], lanes.service[lane])])  # fmt: skip
        line = np.concatenate([parcels.entry_line[of_parcel], lanes.entry_line[of_lane]])
        units = np.concatenate(
            [parcels.entry_units[of_parcel], np.round(value[self.unit_col[of_lane]]).astype(np.int64)]
        )
        # destinations follow orders, so that keys ascend by order too
        both, entry_of = np.unique(np.column_stack([key, line]), axis=0, return_inverse=True)
        total = np.bincount(entry_of.ravel(), units, minlength=len(both)).astype(np.int64)
        made, first = np.unique(both[:, 0], return_index=True)
        place, service = made // (problem.services + 1), made % (problem.services + 1) - 1
        dest, node = place // problem.nodes, place % problem.nodes
        plan = Plan(
            parcel_order=np.searchsorted(problem.order_dest_start, dest, side="right") - 1,
            parcel_node=node,
            parcel_service=service,
            parcel_dest=dest,
            entry_start=np.append(first, len(both)).astype(np.int64),
            entry_line=both[:, 1].copy(),
            entry_units=total,
            cost_cents=0,
            bound_cents=0.0,
        )
        return replace(plan, cost_cents=sum(bill(problem, plan).values()))


def whole_program(problem: Problem) -> Program | None:
    """Make the program of all orders; `None` where it would be larger than HiGHS could begin to solve."""
    parcels = every_parcel(problem)
    if parcels is None:
        return None
    lanes = every_lane(problem)
    if 3 * len(parcels.entry_line) + 7 * len(lanes.entry_line) > NONZEROS_MAX:
        return None
    return Program(problem, parcels, lanes)


def parcels_kept(
    program: Program, reduced: Floats, start: Floats, for_order: int, for_content: int
) -> tuple[Bools, float]:
    """Choose parcels by reduced cost: so many for each order on average, for each content of an order, and those of the plan.

    Returns
    -------
    keep
        (C,) the columns that stay; everything but parcels does.
    threshold
        No parcel that is left out has a smaller reduced cost.
    """
    own, parcels = reduced[program.parcel_col], program.parcels
    chosen = np.zeros(len(own), dtype=np.bool_)
    chosen[np.argsort(own, kind="stable")[: for_order * program.problem.orders]] = True
    if for_content and len(own):
        # a number for each content, drawn so that no two agree but by a rare chance that would only keep fewer
        weight = np.random.default_rng(0).integers(1, 2**62, program.problem.lines, dtype=np.uint64)
        held = weight[parcels.entry_line] * parcels.entry_units.astype(np.uint64)
        content = np.add.reduceat(held, parcels.entry_start[:-1])
        sequence = np.lexsort((own, content))
        first = np.concatenate([[True], np.diff(content[sequence]) != 0])
        place = np.arange(len(own))
        rank = place - np.maximum.accumulate(np.where(first, place, 0))
        chosen[sequence[rank < for_content]] = True
    keep = start > 0.5
    keep[program.parcel_col] |= chosen
    threshold = float(own[~keep[program.parcel_col]].min(initial=INFINITY))
    keep[np.setdiff1d(np.arange(len(keep)), program.parcel_col)] = True
    return keep, threshold


__all__ = ["Answer", "Program", "parcels_kept", "whole_program"]
