"""The whole problem as one integer program for CP-SAT: exact, general-purpose, and made without our own pricing.

Nothing is enumerated but lanes: a parcel is a literal, its lines are units, its tariff is a staircase of literals. That
makes it an independent oracle for the other policies, and an honest answer to "would a solver off the shelf not do?".
"""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from solver.bill import bill
from solver.effort import Effort, Meter, Watch, unwatched
from solver.plan import Plan
from solver.policies.cheapest import Cheapest
from solver.problem import HARD, NO_SERVICE, Problem

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

WORKERS = 2
"""Threads of a search that is limited by seconds alone: no more than a small machine has."""
WORK_A_SECOND = 10
"""Units of `Effort.work` in one second of CP-SAT's deterministic time: one is about a pricing pass of a large wave."""
LOOK_SECONDS = 0.05
"""How often the search is asked for better plans, and told to stop."""


class CpSat:
    """Decide the whole problem by CP-SAT; at least the plan of its hint or of `cheapest`, with whatever bound CP-SAT proved.

    Parameters
    ----------
    effort
        `seconds` is wall time, the building of the model included; `work` is a tenth of a second of CP-SAT's
        deterministic time each, and leaves it one thread, so that the same work gives the same plan.
    seed
        Of the search.
    watch
        Told of each better plan.
    hint
        A plan of the same problem to start from.
    """

    def __init__(
        self, effort: Effort | None = None, seed: int = 0, watch: Watch = unwatched, hint: Plan | None = None
    ) -> None:
        self.effort = effort or Effort()
        self.seed = seed
        self.watch = watch
        self.hint = hint

    def __call__(self, problem: Problem) -> Plan:
        from ortools.sat.python import cp_model  # takes a second, which only those who solve should wait

        meter = Meter(self.effort, self.watch)
        model = _Model(problem, cp_model.CpModel())
        if not model.build(meter):
            return self._answer(problem, self._start(problem), 0.0, meter)
        if self.hint is not None:
            model.hint(self.hint)
        solver = cp_model.CpSolver()
        self._limit(solver, meter)
        status = _search(solver, model.cp, meter)
        assert status not in (cp_model.MODEL_INVALID, cp_model.INFEASIBLE), f"CP-SAT: {model.cp.validate()}"
        plans = [] if status == cp_model.UNKNOWN else [_billed(problem, model.read(solver))]
        if plans:
            assert plans[0].cost_cents <= round(solver.objective_value), "the model costs a plan no less than its bill"
        if status != cp_model.OPTIMAL:
            plans.append(self._start(problem))
        plan = min(plans, key=lambda one: one.cost_cents)
        # costs are whole cents and never negative, and so is every bound; what falls short of one is floating point
        bound = max(0.0, float(np.floor(solver.best_objective_bound + 1e-6)))
        return self._answer(problem, plan, bound, meter)

    def _start(self, problem: Problem) -> Plan:
        """What to do where the search finds nothing better; it takes no part in the search unless it is the hint."""
        return _billed(problem, self.hint or Cheapest(self.effort, self.seed)(problem))

    def _answer(self, problem: Problem, plan: Plan, bound: float, meter: Meter) -> Plan:
        return replace(
            plan,
            bound_cents=min(bound, float(plan.cost_cents)),
            seconds=meter.seconds,
            policy="cp_sat",
            seed=self.seed,
            row_price=np.zeros(problem.rows),
            node_price=np.zeros(problem.nodes),
        )

    def _limit(self, solver: "cp_model.CpSolver", meter: Meter) -> None:
        # All of the model goes into the linear relaxation: by default CP-SAT leaves implications out, and its bound
        # starts at two thirds of the cost instead of within a few hundredths of it.
        solver.parameters.linearization_level = 2
        solver.parameters.subsolvers.append("max_lp")
        solver.parameters.num_workers = WORKERS if self.effort.work is None else 1
        solver.parameters.catch_sigint_signal = False  # whoever gave the effort hears signals, and sets its `stop`
        solver.parameters.random_seed = self.seed % 2**31
        if self.effort.seconds is not None:
            solver.parameters.max_time_in_seconds = max(0.0, meter.seconds_left)
        if self.effort.work is not None:
            solver.parameters.max_deterministic_time = self.effort.work / WORK_A_SECOND


class _Entry(NamedTuple):
    """A line that may be in a parcel: how many units, and whether any."""

    line: int
    most: int
    grams: int
    units: "cp_model.IntVar"
    taken: "cp_model.IntVar"


class _Rise(NamedTuple):
    """A rise of the tariff: above `above_g`, and up to `top_g`, a parcel costs `cents` more than below."""

    above_g: int
    top_g: int
    cents: int


class _Parcel(NamedTuple):
    """A parcel that may be made."""

    order: int
    dest: int
    node: int
    service: int
    opened: "cp_model.IntVar"
    entries: list[_Entry]
    rises: list[tuple[_Rise, "cp_model.IntVar"]]


class _Offer(NamedTuple):
    """An option worth considering: at most so many units of a line from its node."""

    line: int
    option: int
    most: int


@dataclass
class _Model:
    """The integer program of a problem, growing order by order."""

    problem: Problem
    cp: "cp_model.CpModel"
    parcels: list[_Parcel] = field(default_factory=list)
    chosen: dict[int, "cp_model.IntVar"] = field(default_factory=dict)
    priced: list["cp_model.IntVar"] = field(default_factory=list)
    cents: list[int] = field(default_factory=list)
    row_units: dict[int, list[tuple["cp_model.IntVar", int, int]]] = field(default_factory=lambda: defaultdict(list))

    def build(self, meter: Meter) -> bool:
        """Every order by itself, then what they share, then what everything costs; False where the effort is spent before."""
        for order in range(self.problem.orders):
            if meter.spent:
                return False
            self._add_order(order)
        self._add_rows()
        self._add_capacities()
        nothing_shipped = int((self.problem.line_qty * self.problem.line_open_cents).sum())
        self.cp.minimize(_dot(self.priced, self.cents) + nothing_shipped)
        return True

    def hint(self, plan: Plan) -> None:
        """Start the search from a plan. Parcels that the model left out as useless are passed over."""
        packed: dict[tuple[int, int, int, int], dict[int, int]] = defaultdict(dict)
        keys = list(
            zip(
                plan.parcel_order.tolist(),
                plan.parcel_dest.tolist(),
                plan.parcel_node.tolist(),
                plan.parcel_service.tolist(),
                strict=True,
            )
        )
        for p, line, units in zip(
            plan.entry_parcel.tolist(), plan.entry_line.tolist(), plan.entry_units.tolist(), strict=True
        ):
            packed[keys[p]][line] = units
        dests = set(plan.parcel_dest.tolist())
        values = {literal.index: int(dest in dests) for dest, literal in self.chosen.items()}
        for parcel in self.parcels:
            content = packed.get(parcel[:4], {})
            values[parcel.opened.index] = int(bool(content))
            for entry in parcel.entries:
                units = content.get(entry.line, 0)
                values[entry.units.index] = units
                values[entry.taken.index] = int(units > 0)
            grams = sum(content.get(entry.line, 0) * entry.grams for entry in parcel.entries)
            values |= {literal.index: int(grams > rise.above_g) for rise, literal in parcel.rises}
        for index, value in values.items():
            self.cp.add_hint(self.cp.get_int_var_from_proto_index(index), value)

    def read(self, solver: "cp_model.CpSolver") -> Plan:
        """The plan of a solution, without a cost."""
        made: list[_Parcel] = []
        contents: list[list[tuple[int, int]]] = []
        for parcel in self.parcels:
            content = [(entry.line, units) for entry in parcel.entries if (units := solver.value(entry.units))]
            if content:
                made.append(parcel)
                contents.append(content)
        flat = [pair for content in contents for pair in content]
        columns = np.array([parcel[:4] for parcel in made], dtype=np.int64).reshape(-1, 4)
        return Plan(
            parcel_order=columns[:, 0].copy(),
            parcel_dest=columns[:, 1].copy(),
            parcel_node=columns[:, 2].copy(),
            parcel_service=columns[:, 3].copy(),
            entry_start=np.concatenate([[0], np.cumsum([len(content) for content in contents])]).astype(np.int64),
            entry_line=np.array([line for line, _ in flat], dtype=np.int64),
            entry_units=np.array([units for _, units in flat], dtype=np.int64),
            cost_cents=0,
            bound_cents=0.0,
        )

    def _add_order(self, order: int) -> None:
        problem = self.problem
        lines = range(problem.order_line_start[order], problem.order_line_start[order + 1])
        offers = self._offers(lines)
        if problem.order_ship_complete[order] and not _can_be_complete(problem, lines, offers):
            return
        first = len(self.parcels)
        dests = range(problem.order_dest_start[order], problem.order_dest_start[order + 1])
        single = int(problem.line_qty[lines.start : lines.stop].sum()) == 1
        for dest in dests:
            for node, at_node in offers.items():
                services = list(self._services(order, dest, node, at_node, cheapest_only=single))
                for service in services:
                    self._add_parcel(order, dest, node, service, at_node)
        self._add_limits(order, lines, dests, self.parcels[first:])

    def _offers(self, lines: range) -> dict[int, list[_Offer]]:
        """What the order could take, by node."""
        problem = self.problem
        offers: dict[int, list[_Offer]] = defaultdict(list)
        for line in lines:
            for option in range(problem.line_option_start[line], problem.line_option_start[line + 1]):
                most = _most_units(problem, line, option)
                if problem.option_reason[option] == 0 and most:
                    offers[int(problem.option_node[option])].append(_Offer(line, option, most))
        return offers

    def _services(self, order: int, dest: int, node: int, offers: list[_Offer], cheapest_only: bool) -> Iterator[int]:
        """The services that can take something from the node to the destination.

        An order of one single unit has one parcel with one content, for which the cheapest service is as good as any.
        """
        problem = self.problem
        if problem.dest_node[dest] == node:
            yield NO_SERVICE
            return
        usable = [
            s
            for s in range(problem.services)
            if problem.lane_zone[dest, node, s] >= 0
            and any(problem.sku_carried[problem.line_sku[offer.line], s] for offer in offers)
        ]
        if cheapest_only and usable:
            grams = int(problem.sku_weight_g[problem.line_sku[offers[0].line]])
            usable = [min(usable, key=lambda s: _single_cents(problem, order, dest, node, s, grams))]
        yield from usable

    def _add_parcel(self, order: int, dest: int, node: int, service: int, offers: list[_Offer]) -> None:
        problem = self.problem
        carried = [
            offer
            for offer in offers
            if service == NO_SERVICE or problem.sku_carried[problem.line_sku[offer.line], service]
        ]
        opened = self.cp.new_bool_var("")
        entries = [self._add_entry(offer, opened, alone=len(carried) == 1) for offer in carried]
        if len(entries) > 1:
            self.cp.add_bool_or([entry.taken for entry in entries] + [~opened])
        for entry in entries:
            self._price(entry.taken, int(problem.node_line_cents[node]))
        days = int(problem.node_ready_days[node])
        cents = int(problem.node_parcel_cents[node])
        rises: list[tuple[_Rise, cp_model.IntVar]] = []
        if service != NO_SERVICE:
            zone = int(problem.lane_zone[dest, node, service])
            days += int(problem.service_transit_days[service, zone])
            base_cents, rises = self._add_tariff(service, zone, opened, entries)
            cents += base_cents
        self._price(opened, cents + _late_cents(problem, order, days))
        self.parcels.append(_Parcel(order, dest, node, service, opened, entries, rises))

    def _add_entry(self, offer: _Offer, opened: "cp_model.IntVar", alone: bool) -> _Entry:
        """Units of a line in a parcel; none unless it is opened."""
        problem = self.problem
        taken = opened if alone else self.cp.new_bool_var("")
        units = taken
        if offer.most > 1:
            units = self.cp.new_int_var(0, offer.most, "")
            self.cp.add(units <= offer.most * taken)
            self.cp.add(units >= taken)
        if not alone:
            self.cp.add_implication(taken, opened)
        self._price(
            units,
            int(problem.option_unit_cents[offer.option] + problem.option_value_cents[offer.option])
            - int(problem.line_open_cents[offer.line]),
        )
        for row, use in zip(problem.option_row[offer.option], problem.option_use[offer.option], strict=True):
            if row >= 0 and use > 0:
                self.row_units[int(row)].append((units, int(use), offer.most))
        return _Entry(offer.line, offer.most, int(problem.sku_weight_g[problem.line_sku[offer.line]]), units, taken)

    def _add_tariff(
        self, service: int, zone: int, opened: "cp_model.IntVar", entries: list[_Entry]
    ) -> tuple[int, list[tuple[_Rise, "cp_model.IntVar"]]]:
        """The carriage of a parcel: what its lightest content costs, and a literal for each rise that it can reach."""
        problem = self.problem
        heaviest = sum(entry.most * entry.grams for entry in entries)
        steps = problem.service_steps_g[service, : problem.service_steps[service]].tolist()
        cents = problem.service_cents[service, zone, : len(steps)].tolist()
        base_g, base_cents, rises = _staircase(steps, cents, min(entry.grams for entry in entries), heaviest)
        literals = [self.cp.new_bool_var("") for _ in rises]
        for rise, literal in zip(rises, literals, strict=True):
            self._price(literal, rise.cents)
            for entry in entries:
                if entry.grams > rise.above_g:
                    self.cp.add_implication(entry.taken, literal)
        for lower, higher in pairwise([opened, *literals]):
            self.cp.add_implication(higher, lower)
        variables = [opened, *literals]
        room = [base_g] + [rise.top_g - rise.above_g for rise in rises]
        over_cents = int(problem.service_over_cents[service, zone])
        if heaviest > steps[-1] and over_cents == 0:
            room[-1] += heaviest - steps[-1]
        elif heaviest > steps[-1]:
            most_kg = -(-(heaviest - steps[-1]) // 1000)
            started_kg = self.cp.new_int_var(0, most_kg, "")
            self.cp.add(started_kg <= most_kg * variables[-1])
            self._price(started_kg, over_cents)
            variables.append(started_kg)
            room.append(1000)
        if len(variables) > 1:
            grams = _dot([entry.units for entry in entries], [entry.grams for entry in entries])
            self.cp.add(grams <= _dot(variables, room))
        return base_cents, list(zip(rises, literals, strict=True))

    def _add_limits(self, order: int, lines: range, dests: range, parcels: list[_Parcel]) -> None:
        """What an order allows: its quantities, one destination, so many parcels, all or nothing."""
        problem = self.problem
        if problem.order_max_parcels[order] < len(parcels):
            self.cp.add(sum(parcel.opened for parcel in parcels) <= int(problem.order_max_parcels[order]))
        if len(dests) > 1:
            self._add_destinations(dests, parcels)
        complete = self.cp.new_bool_var("") if problem.order_ship_complete[order] and parcels else None
        if complete is not None:
            for parcel in parcels:
                self.cp.add_implication(parcel.opened, complete)
        for line in lines:
            qty = int(problem.line_qty[line])
            entries = [entry for parcel in parcels for entry in parcel.entries if entry.line == line]
            if complete is not None:
                self.cp.add(sum(entry.units for entry in entries) == qty * complete)
            elif qty < sum(entry.most for entry in entries):
                self.cp.add(sum(entry.units for entry in entries) <= qty)

    def _add_destinations(self, dests: range, parcels: list[_Parcel]) -> None:
        for dest in dests:
            self.chosen[dest] = self.cp.new_bool_var("")
        self.cp.add_at_most_one(self.chosen[dest] for dest in dests)
        for parcel in parcels:
            self.cp.add_implication(parcel.opened, self.chosen[parcel.dest])

    def _add_rows(self) -> None:
        for row, units in sorted(self.row_units.items()):
            limit = int(self.problem.row_limit[row])
            if limit < sum(use * most for _, use, most in units):
                self.cp.add(_dot([one for one, _, _ in units], [use for _, use, _ in units]) <= limit)

    def _add_capacities(self) -> None:
        by_node: dict[int, list[cp_model.IntVar]] = defaultdict(list)
        for parcel in self.parcels:
            by_node[parcel.node].append(parcel.opened)
        for node, opened in sorted(by_node.items()):
            capacity = int(self.problem.node_capacity_parcels[node])
            if capacity >= len(opened):
                continue
            overtime_cents = int(self.problem.node_overtime_cents[node])
            above = self.cp.new_int_var(0, 0 if overtime_cents == HARD else len(opened) - capacity, "")
            self.cp.add(sum(opened) <= capacity + above)
            self._price(above, max(0, overtime_cents))

    def _price(self, variable: "cp_model.IntVar", cents: int) -> None:
        if cents:
            self.priced.append(variable)
            self.cents.append(cents)


def _dot(variables: list["cp_model.IntVar"], coefficients: list[int]) -> "cp_model.LinearExprT":
    from ortools.sat.python import cp_model

    return cp_model.LinearExpr.weighted_sum(variables, coefficients)


def _search(solver: "cp_model.CpSolver", cp: "cp_model.CpModel", meter: Meter) -> Any:
    """Search in a thread of its own, so that here signals are heard, better plans are told, and a stop is passed on."""
    from ortools.sat.python import cp_model

    better: SimpleQueue[tuple[float, float]] = SimpleQueue()

    class Teller(cp_model.CpSolverSolutionCallback):
        def on_solution_callback(self) -> None:
            better.put((self.objective_value, max(0.0, self.best_objective_bound)))

    with ThreadPoolExecutor(1) as apart:
        answer = apart.submit(solver.solve, cp, Teller())
        try:
            while not answer.done():
                wait([answer], LOOK_SECONDS)
                _tell(better, meter)
                if meter.effort.stop.is_set():
                    solver.stop_search()
        finally:
            while not answer.done():
                solver.stop_search()
                wait([answer], LOOK_SECONDS)
    _tell(better, meter)
    return answer.result()


def _tell(better: SimpleQueue[tuple[float, float]], meter: Meter) -> None:
    with suppress(Empty):
        while True:
            meter.tell("cp_sat", *better.get_nowait())


def _billed(problem: Problem, plan: Plan) -> Plan:
    return replace(plan, cost_cents=sum(bill(problem, plan).values()))


def _most_units(problem: Problem, line: int, option: int) -> int:
    """Units of the line that the option's rows could ever give."""
    most = int(problem.line_qty[line])
    for row, use in zip(problem.option_row[option], problem.option_use[option], strict=True):
        if row >= 0 and use > 0:
            most = min(most, int(problem.row_limit[row]) // int(use))
    return most


def _can_be_complete(problem: Problem, lines: range, offers: dict[int, list[_Offer]]) -> bool:
    """Whether there is as much of each line as it asks for, were the order alone."""
    most = dict.fromkeys(lines, 0)
    for at_node in offers.values():
        for offer in at_node:
            most[offer.line] += offer.most
    return all(most[line] >= problem.line_qty[line] for line in lines)


def _staircase(steps: list[int], cents: list[int], lightest: int, heaviest: int) -> tuple[int, int, list[_Rise]]:
    """Where the tariff starts for the lightest content, what it costs there, and its rises up to the heaviest."""
    first = next((k for k, top in enumerate(steps) if lightest <= top), len(steps) - 1)
    base_g, base_cents, rises = steps[first], cents[first], list[_Rise]()
    for k in range(first + 1, len(steps)):
        if steps[k - 1] >= heaviest:
            break
        if cents[k] > cents[k - 1]:
            rises.append(_Rise(steps[k - 1], steps[k], cents[k] - cents[k - 1]))
        elif rises:
            rises[-1] = rises[-1]._replace(top_g=steps[k])
        else:
            base_g = steps[k]
    return base_g, base_cents, rises


def _late_cents(problem: Problem, order: int, days: int) -> int:
    return int(problem.order_late_cents[order]) * max(0, days - int(problem.order_promise_days[order]))


def _single_cents(problem: Problem, order: int, dest: int, node: int, service: int, grams: int) -> int:
    """Carriage and lateness of a parcel of one known weight."""
    zone = int(problem.lane_zone[dest, node, service])
    steps = problem.service_steps_g[service, : problem.service_steps[service]].tolist()
    cents = problem.service_cents[service, zone, : len(steps)].tolist()
    step = next((k for k, top in enumerate(steps) if grams <= top), len(steps) - 1)
    over_kg = -(-max(0, grams - steps[-1]) // 1000)
    days = int(problem.node_ready_days[node] + problem.service_transit_days[service, zone])
    carriage: int = cents[step] + over_kg * int(problem.service_over_cents[service, zone])
    return carriage + _late_cents(problem, order, days)


__all__ = ["CpSat"]
