"""The joint decision of some orders as an integer program: chosen parcels, and for orders of many lines their lanes.

HiGHS solves it. Parcels of small orders are columns; an order of many lines has units by lane, with its tariff steps as binaries.
"""

from dataclasses import dataclass
from threading import Event

import highspy
import numpy as np
from scipy.sparse import coo_array

from solver.columns import Lanes, Parcels
from solver.draft import Draft
from solver.parcel import late_cents
from solver.prices import Pricing
from solver.problem import HARD, NO_LIMIT, NO_SERVICE, Floats, Ints, Problem

INFINITY = float("inf")
Way = tuple[int, int, Ints, Ints, Ints]
"""How an order is served: order, destination, (p,) node and (p,) service of its parcels, and their (p, n) units."""


@dataclass(frozen=True)
class Choice:
    """What an integer program found.

    Attributes
    ----------
    ways
        For each order decided, a way; empty where nothing better was found.
    bound_cents
        No plan within the program costs less, on the scale of `Model.cost_of_start`.
    work
        Nodes of the search tree.
    """

    ways: list[Way]
    cost_cents: float
    bound_cents: float
    work: int


class Rows:
    """Constraints by column: grown entry by entry, handed to HiGHS at once."""

    def __init__(self) -> None:
        self.low: list[float] = []
        self.high: list[float] = []
        self.cols: list[Ints] = []
        self.rows: list[Ints] = []
        self.values: list[Floats] = []

    def add(self, low: float, high: float) -> int:
        """Add an empty row."""
        self.low.append(low)
        self.high.append(high)
        return len(self.low) - 1

    def add_many(self, low: Floats, high: Floats) -> int:
        """Add empty rows; returns the first."""
        first = len(self.low)
        self.low.extend(low.tolist())
        self.high.extend(high.tolist())
        return first

    def put(self, row: Ints | int, col: Ints | int, value: Floats | Ints | float) -> None:
        """Put coefficients."""
        row, col, value = np.broadcast_arrays(np.atleast_1d(row), np.atleast_1d(col), np.atleast_1d(value))
        self.rows.append(row.astype(np.int64))
        self.cols.append(col.astype(np.int64))
        self.values.append(value.astype(np.float64))


class Cols:
    """Variables: cost, bounds, whether whole."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self.whole: list[bool] = []

    def add(self, cost: float, high: float, whole: bool = True) -> int:
        """Add a variable from 0 to `high`."""
        self.cost.append(float(cost))
        self.low.append(0.0)
        self.high.append(float(high))
        self.whole.append(whole)
        return len(self.cost) - 1

    def add_many(self, cost: Ints | Floats, high: Ints | Floats, whole: bool = True) -> int:
        """Add variables; returns the first."""
        first = len(self.cost)
        cost, high = np.broadcast_arrays(np.asarray(cost, dtype=float), np.asarray(high, dtype=float))
        self.cost.extend(cost.tolist())
        self.low.extend([0.0] * len(cost))
        self.high.extend(high.tolist())
        self.whole.extend([whole] * len(cost))
        return first


class Model:
    """The integer program of the orders of a pricing, over the given parcels and lanes."""

    def __init__(self, pricing: Pricing, parcels: Parcels, lanes: Lanes) -> None:
        self.problem: Problem = pricing.problem
        self.pricing = pricing
        self.parcels = parcels
        self.lanes = lanes
        self.cols, self.rows = Cols(), Rows()
        self.lane_units: dict[tuple[int, int], int] = {}
        self._open_lines()
        self._dests()
        self._parcels()
        self._shared = self._shared_rows()
        for i in range(len(lanes.order)):
            self._lane(i)

    def _open_lines(self) -> None:
        """Units of a line: in parcels, or open. A ship-complete order is wholly one or the other."""
        problem, orders = self.problem, self.pricing.orders
        starts, ends = problem.order_line_start[orders], problem.order_line_start[orders + 1]
        lines = np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)]) if len(orders) else orders
        self.lines = lines
        qty = problem.line_qty[lines].astype(float)
        self.line_row = np.full(problem.lines, -1, dtype=np.int64)
        self.line_row[lines] = self.rows.add_many(qty, qty) + np.arange(len(lines))
        complete = problem.order_ship_complete[problem.line_order[lines]]
        partial = lines[~complete]
        self.line_open = np.full(problem.lines, -1, dtype=np.int64)
        first = self.cols.add_many(problem.line_open_cents[partial], problem.line_qty[partial])
        self.line_open[partial] = first + np.arange(len(partial))
        self.rows.put(self.line_row[partial], self.line_open[partial], 1.0)
        self.order_open = np.full(problem.orders, -1, dtype=np.int64)
        for order in orders[problem.order_ship_complete[orders]]:
            mine = np.arange(problem.order_line_start[order], problem.order_line_start[order + 1])
            col = self.cols.add((problem.line_open_cents[mine] * problem.line_qty[mine]).sum(), 1)
            self.order_open[order] = col
            self.rows.put(self.line_row[mine], col, problem.line_qty[mine])

    def _dests(self) -> None:
        """An order with several destinations has one of them."""
        problem, orders = self.problem, self.pricing.orders
        self.dest_col = np.full(len(problem.dest_node), -1, dtype=np.int64)
        for order in orders[np.diff(problem.order_dest_start)[orders] > 1]:
            dests = np.arange(problem.order_dest_start[order], problem.order_dest_start[order + 1])
            self.dest_col[dests] = self.cols.add_many(np.zeros(len(dests)), np.ones(len(dests))) + np.arange(len(dests))
            self.rows.put(self.rows.add(-INFINITY, 1), self.dest_col[dests], 1.0)

    def _parcels(self) -> None:
        """Parcels of small orders: one of a lane at most, and only to the destination chosen."""
        problem, parcels = self.problem, self.parcels
        count = len(parcels.order)
        self.first_parcel = self.cols.add_many(parcels.cents, np.ones(count))
        col = self.first_parcel + np.arange(count)
        entry_col = np.repeat(col, np.diff(parcels.entry_start))
        self.rows.put(self.line_row[parcels.entry_line], entry_col, parcels.entry_units)
        lane = (parcels.dest * problem.nodes + parcels.node) * (problem.services + 1) + parcels.service + 1
        _, first, inverse, size = np.unique(lane, return_index=True, return_inverse=True, return_counts=True)
        linked = self.dest_col[parcels.dest[first]]
        # where tariffs merge, two parcels of a lane are made into one afterwards, which costs no more
        service = parcels.service[first]
        travels = np.flatnonzero(service >= 0)
        at = first[travels]
        zone = problem.lane_zone[parcels.dest[at], parcels.node[at], service[travels]]
        merges = np.zeros(len(first), dtype=np.bool_)
        merges[travels] = problem.order_grams[parcels.order[at]] <= problem.service_merges_g[service[travels], zone]
        needed = ((size > 1) & ~merges) | (linked >= 0)
        row = np.full(len(first), -1, dtype=np.int64)
        row[needed] = self.rows.add_many(
            np.full(needed.sum(), -INFINITY), np.where(linked[needed] >= 0, 0.0, 1.0)
        ) + np.arange(needed.sum())
        mine = row[inverse] >= 0
        self.rows.put(row[inverse][mine], col[mine], 1.0)
        tied = needed & (linked >= 0)
        self.rows.put(row[tied], linked[tied], -1.0)

    def _shared_rows(self) -> tuple[Ints, Ints, Ints]:
        """Rows of resources, node capacities and parcel limits; returns their indices by resource row, node, order."""
        problem, pricing, parcels = self.problem, self.pricing, self.parcels
        col = self.first_parcel + np.arange(len(parcels.order))
        entry_parcel = np.repeat(np.arange(len(parcels.order)), np.diff(parcels.entry_start))
        option = problem.find_options(parcels.entry_line, parcels.node[entry_parcel])
        many = len(self.lanes.order) > 0
        used = np.zeros(problem.rows, dtype=np.bool_)
        resource = problem.option_row[option]
        used[resource[resource >= 0]] = True
        if many:
            used[:] = True
        stock_row = np.full(problem.rows, -1, dtype=np.int64)
        left = pricing.left[used]
        stock_row[used] = self.rows.add_many(np.full(used.sum(), -INFINITY), left.astype(float)) + np.arange(used.sum())
        for w in range(problem.option_row.shape[1]):
            has = resource[:, w] >= 0
            self.rows.put(
                stock_row[resource[has, w]],
                col[entry_parcel[has]],
                parcels.entry_units[has] * problem.option_use[option[has], w],
            )
        node_row = np.full(problem.nodes, -1, dtype=np.int64)
        for node in np.flatnonzero(pricing.limited | ((pricing.node_left <= 0) & (pricing.node_left < NO_LIMIT // 2))):
            node_row[node] = self.rows.add(-INFINITY, float(max(0, pricing.node_left[node])))
            if problem.node_overtime_cents[node] != HARD:
                self.rows.put(int(node_row[node]), self.cols.add(problem.node_overtime_cents[node], 2**30), -1.0)
        mine = node_row[parcels.node] >= 0
        self.rows.put(node_row[parcels.node[mine]], col[mine], 1.0)
        order_row = np.full(problem.orders, -1, dtype=np.int64)
        for order in pricing.orders[problem.order_max_parcels[pricing.orders] < NO_LIMIT]:
            order_row[order] = self.rows.add(-INFINITY, float(problem.order_max_parcels[order]))
        mine = order_row[parcels.order] >= 0
        self.rows.put(order_row[parcels.order[mine]], col[mine], 1.0)
        return stock_row, node_row, order_row

    def _lane(self, i: int) -> None:
        """One lane of an order of many lines: open or not, units by line, the tariff step of their weight."""
        problem, rows, cols = self.problem, self.rows, self.cols
        stock_row, node_row, order_row = self._shared
        order, dest, node, service = (
            int(column[i]) for column in (self.lanes.order, self.lanes.dest, self.lanes.node, self.lanes.service)
        )
        c = problem.columns
        lines = np.arange(problem.order_line_start[order], problem.order_line_start[order + 1])
        option = problem.find_options(lines, np.full(len(lines), node))
        usable = (option >= 0) & (problem.option_reason[option] == 0)
        if service != NO_SERVICE:
            usable &= problem.sku_carried[problem.line_sku[lines], service]
        lines, option = lines[usable], option[usable]
        most = problem.line_qty[lines].copy()
        for w in range(problem.option_row.shape[1]):
            row, use = problem.option_row[option, w], problem.option_use[option, w]
            limited = (row >= 0) & (use > 0)
            most[limited] = np.minimum(most[limited], self.pricing.left[row[limited]] // use[limited])
        lines, option, most = lines[most > 0], option[most > 0], most[most > 0]
        if not len(lines):
            return
        days = int(problem.node_ready_days[node])
        zone = 0
        if service != NO_SERVICE:
            zone = int(problem.lane_zone[dest, node, service])
            days += int(problem.service_transit_days[service, zone])
        opened = cols.add(problem.node_parcel_cents[node] + late_cents(c, order, days), 1)
        grams = problem.sku_weight_g[problem.line_sku[lines]]
        units = cols.add_many(problem.option_unit_cents[option] + problem.option_value_cents[option], most)
        unit_col = units + np.arange(len(lines))
        picked = cols.add_many(np.full(len(lines), problem.node_line_cents[node]), np.ones(len(lines)))
        pick_col = picked + np.arange(len(lines))
        self.lane_units.update({(i, int(line)): int(col) for line, col in zip(lines, unit_col, strict=True)})
        rows.put(self.line_row[lines], unit_col, 1.0)
        for w in range(problem.option_row.shape[1]):
            row, use = problem.option_row[option, w], problem.option_use[option, w]
            rows.put(stock_row[row[row >= 0]], unit_col[row >= 0], use[row >= 0])
        bind = rows.add_many(np.full(len(lines), -INFINITY), np.zeros(len(lines))) + np.arange(len(lines))
        rows.put(bind, unit_col, 1.0)
        rows.put(bind, pick_col, -most)
        bind = rows.add_many(np.full(len(lines), -INFINITY), np.zeros(len(lines))) + np.arange(len(lines))
        rows.put(bind, pick_col, 1.0)
        rows.put(bind, opened, -1.0)
        if node_row[node] >= 0:
            rows.put(int(node_row[node]), opened, 1.0)
        if order_row[order] >= 0:
            rows.put(int(order_row[order]), opened, 1.0)
        if self.dest_col[dest] >= 0:
            row = rows.add(-INFINITY, 0)
            rows.put(row, opened, 1.0)
            rows.put(row, int(self.dest_col[dest]), -1.0)
        if service != NO_SERVICE:
            self._steps(opened, unit_col, grams, int((grams * most).sum()), service, zone)

    def _steps(self, opened: int, unit_col: Ints, grams: Ints, heaviest: int, service: int, zone: int) -> None:
        """The weight of a parcel lies in one step of its tariff, or in started kg above the last."""
        problem, rows, cols = self.problem, self.rows, self.cols
        count = int(problem.service_steps[service])
        upper = problem.service_steps_g[service, :count]
        cents = problem.service_cents[service, zone, :count]
        reach = min(count, int(np.searchsorted(upper, heaviest)) + 1)
        # of steps at one price only the widest matters
        keep = [k for k in range(reach) if k == reach - 1 or cents[k + 1] > cents[k]]
        step = cols.add_many(cents[keep], np.ones(len(keep))) + np.arange(len(keep))
        row = rows.add(0, 0)
        rows.put(row, step, 1.0)
        rows.put(row, opened, -1.0)
        row = rows.add(-INFINITY, 0)
        rows.put(row, unit_col, grams / 1000)
        rows.put(row, step, -upper[keep] / 1000)
        over = heaviest - int(upper[-1])
        if over > 0:
            kgs = (over + 999) // 1000
            kg = cols.add(problem.service_over_cents[service, zone], kgs)
            rows.put(row, kg, -1.0)
            row = rows.add(-INFINITY, 0)
            rows.put(row, kg, 1.0)
            rows.put(row, int(step[-1]), -float(kgs))

    def start_from(self, draft: Draft) -> Floats | None:
        """The columns of the plan that a draft holds; `None` if it uses a parcel that is not among these."""
        problem, parcels = self.problem, self.parcels
        if len(self.lanes.order):
            return None
        found = {
            (o, d, j, s, tuple(parcels.entry_line[a:b].tolist()), tuple(parcels.entry_units[a:b].tolist())): i
            for i, (o, d, j, s, a, b) in enumerate(
                zip(
                    parcels.order.tolist(), parcels.dest.tolist(), parcels.node.tolist(), parcels.service.tolist(),
                    parcels.entry_start[:-1].tolist(), parcels.entry_start[1:].tolist(), strict=True,
                )
            )
        }  # fmt: skip
        value = np.zeros(len(self.cols.cost))
        for order in self.pricing.orders:
            dest = int(draft.order_dest[order])
            first, count = int(draft.order_first[order]), int(draft.order_count[order])
            for p in range(first, first + count):
                entries = slice(draft.parcel_start[p], draft.parcel_end[p])
                key = (
                    int(order), dest, int(draft.parcel_node[p]), int(draft.parcel_service[p]),
                    tuple(draft.entry_line[entries].tolist()), tuple(draft.entry_units[entries].tolist()),
                )  # fmt: skip
                if key not in found:
                    return None
                value[self.first_parcel + found[key]] = 1
            if count and self.dest_col[dest] >= 0:
                value[self.dest_col[dest]] = 1
            if not count and self.order_open[order] >= 0:
                value[self.order_open[order]] = 1
        shipped = np.zeros(problem.lines)
        chosen = np.repeat(
            value[self.first_parcel : self.first_parcel + len(parcels.order)], np.diff(parcels.entry_start)
        )
        np.add.at(shipped, parcels.entry_line, chosen * parcels.entry_units)
        partial = self.lines[self.line_open[self.lines] >= 0]
        value[self.line_open[partial]] = problem.line_qty[partial] - shipped[partial]
        return value

    def solve(
        self, start: Floats | None, seconds: float, nodes: float, seed: int, cutoff: float, stop: Event | None = None
    ) -> Choice:
        """Solve, starting from a plan if there is one.

        Parameters
        ----------
        cutoff
            Only plans cheaper than this are wanted.
        stop
            Set by somebody else to end the search early.
        """
        solver = self.solver(self.lp(), start, seconds, nodes, seed, cutoff)
        if stop is not None:
            solver.HandleUserInterrupt = True
            solver.cbMipInterrupt += lambda _: solver.cancelSolve() if stop.is_set() else None
        solver.run()
        return self.choice(solver, start, cutoff)

    def solver(
        self, lp: highspy.HighsLp, start: Floats | None, seconds: float, nodes: float, seed: int, cutoff: float
    ) -> highspy.Highs:
        """Make HiGHS ready for this program, or one with the same columns."""
        solver = highspy.Highs()
        for name, setting in {
            "output_flag": False,
            "threads": 1,
            "random_seed": seed % 2**31,
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.999,
            "mip_feasibility_tolerance": 1e-7,
            "time_limit": max(0.01, min(seconds, 1e7)),
            "mip_max_nodes": int(min(nodes, 2**31 - 1)),
        }.items():
            solver.setOptionValue(name, setting)
        taken = solver.passModel(lp)
        assert taken == highspy.HighsStatus.kOk, "the integer program is malformed"
        if start is not None:
            solution = highspy.HighsSolution()
            solution.col_value = start.tolist()
            solver.setSolution(solution)
        elif cutoff < INFINITY:
            solver.setOptionValue("objective_bound", cutoff)
        return solver

    def choice(self, solver: highspy.Highs, start: Floats | None, cutoff: float) -> Choice:
        """Read what HiGHS found."""
        info = solver.getInfo()
        status = solver.getModelStatus()
        work = max(1, int(info.mip_node_count))
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kObjectiveBound):
            # with a start there is a solution: to find none then is a fault of rounding, and proves nothing
            return Choice([], INFINITY, cutoff if start is None else -INFINITY, work)
        bound = float(info.mip_dual_bound)
        if not np.isfinite(bound):
            bound = -INFINITY
        if info.primal_solution_status != 2:
            return Choice([], INFINITY, bound, work)
        value = np.array(solver.getSolution().col_value)
        return Choice(self.ways(value), float(info.objective_function_value), bound, work)

    def lp(self) -> highspy.HighsLp:
        rows = np.concatenate(self.rows.rows) if self.rows.rows else np.zeros(0, dtype=np.int64)
        cols = np.concatenate(self.rows.cols) if self.rows.cols else np.zeros(0, dtype=np.int64)
        values = np.concatenate(self.rows.values) if self.rows.values else np.zeros(0)
        # two lines of one SKU draw on one row: their coefficients add up
        matrix = coo_array((values, (rows, cols)), shape=(len(self.rows.low), len(self.cols.cost))).tocsc()
        matrix.sort_indices()
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(self.cols.cost), len(self.rows.low)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = self.cols.cost, self.cols.low, self.cols.high
        lp.row_lower_, lp.row_upper_ = self.rows.low, self.rows.high
        whole = highspy.HighsVarType.kInteger
        lp.integrality_ = [whole if w else highspy.HighsVarType.kContinuous for w in self.cols.whole]
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
        return lp

    def ways(self, value: Floats) -> list[Way]:
        """Read the chosen parcels off a solution, order by order (an order without any is left open)."""
        problem, parcels, lanes = self.problem, self.parcels, self.lanes
        made: dict[int, list[tuple[int, int, int, dict[int, int]]]] = {int(order): [] for order in self.pricing.orders}
        chosen = np.flatnonzero(value[self.first_parcel : self.first_parcel + len(parcels.order)] > 0.5)
        for i in chosen:
            a, b = parcels.entry_start[i], parcels.entry_start[i + 1]
            units = dict(zip(parcels.entry_line[a:b].tolist(), parcels.entry_units[a:b].tolist(), strict=True))
            made[int(parcels.order[i])].append(
                (int(parcels.dest[i]), int(parcels.node[i]), int(parcels.service[i]), units)
            )
        by_lane: dict[int, dict[int, int]] = {}
        for (lane, line), col in self.lane_units.items():
            if value[col] > 0.5:
                by_lane.setdefault(lane, {})[line] = round(float(value[col]))
        for lane, units in by_lane.items():
            way = (int(lanes.dest[lane]), int(lanes.node[lane]), int(lanes.service[lane]), units)
            made[int(lanes.order[lane])].append(way)
        out = []
        for order, apart in made.items():
            ways = merged(apart)
            first, n = int(problem.order_line_start[order]), int(problem.order_line_start[order + 1])
            n -= first
            node = np.array([way[1] for way in ways], dtype=np.int64)
            service = np.array([way[2] for way in ways], dtype=np.int64)
            units_of = np.zeros((len(ways), n), dtype=np.int64)
            for p, (_, _, _, taken) in enumerate(ways):
                for line, units_in in taken.items():
                    units_of[p, line - first] = units_in
            dest = ways[0][0] if ways else int(problem.order_dest_start[order])
            out.append((order, dest, node, service, units_of))
        return out


def merged(ways: list[tuple[int, int, int, dict[int, int]]]) -> list[tuple[int, int, int, dict[int, int]]]:
    """Make one parcel of those of one order that go the same lane."""
    by_lane: dict[tuple[int, int, int], dict[int, int]] = {}
    for dest, node, service, units in ways:
        into = by_lane.setdefault((dest, node, service), {})
        for line, count in units.items():
            into[line] = into.get(line, 0) + count
    return [(dest, node, service, units) for (dest, node, service), units in by_lane.items()]


__all__ = ["Choice", "Model"]
