"""Tiny worlds for replays (SKUs of one kilogram, 2024-04-29 a Monday), and the plainest policies there are."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.calendar import parse_minute
from engine.network import Hours, Market, Network, Node, Terms, columns_of
from simulation.history import History, history_of
from simulation.tables import TABLES, table_of
from solver.check import check
from solver.effort import Policy
from solver.plan import Plan, empty_plan
from solver.problem import HARD, NO_SERVICE, Ints, Problem
from solver.wave import Service, Sku

MakeNetwork = Callable[..., Network]
MakeHistory = Callable[..., History]


def node(name: str, **changes: Any) -> Node:
    usual: dict[str, Any] = {
        "id": name,
        "kind": "warehouse",
        "lat": 52.0,
        "lon": 5.0,
        "parcel_cents": 50,
        "line_cents": 10,
        "unit_cents": 1,
        "ready_days": 0,
        "tags": [],
        "calendar": "weekdays",
        "cut_off_minute": 1000,
        "capacity_parcels": None,
        "capacity_units": None,
        "overtime_cents": None,
    }
    return Node(**usual | changes)


@pytest.fixture
def make_network() -> MakeNetwork:
    """A network of one node W with ten mugs; whatever is named is changed."""

    def make(**changes: Any) -> Network:
        terms = {
            "promise_days": 2,
            "late_cents": 100,
            "unfilled_cents": 700,
            "unfilled_percent": 0,
            "wait_cents_per_day": 5,
            "cancel_after_days": 7,
            "restock_days": 1,
        } | changes.pop("terms", {})
        usual: dict[str, Any] = {
            "format": "network/1",
            "currency": "EUR",
            "simulated": (),
            "calendars": (
                Hours("weekdays", ("mon", "tue", "wed", "thu", "fri"), ("2024-05-01",)),
                Hours("daily", ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ()),
            ),
            "nodes": (node("W"),),
            "skus": [Sku("mug", 1000, [], []), Sku("pan", 1000, [], [])],
            "services": [Service("parcel", [300.0, 20100.0], [5000], [[400], [900]], [50, 90], [1, 2])],
            "stock": [("W", "mug", 10, 0)],
            "receipts": [],
            "terms": Terms(**terms),
            "markets": (Market("Utrecht", "NL", 52.09, 5.12, 1), Market("Ghent", "BE", 51.05, 3.72, 1)),
        }
        network = Network(**usual | changes)
        columns_of(network)
        return network

    return make


@pytest.fixture
def make_history() -> MakeHistory:
    """A history of orders `(time, {sku: units}, {other columns})`; times are those of days in 2024."""

    def make(*orders: tuple[Any, ...], **befell: list[tuple[Any, ...]]) -> History:
        tables: dict[str, dict[str, list[Any]]] = {name: {c: [] for c in TABLES[name]} for name in TABLES}
        for i, (placed_at, wanted, *more) in enumerate(orders):
            said = {"lat": 52.1, "lon": 5.1, "ship_complete": False} | (more[0] if more else {})
            row = {"order": f"O{i}", "placed_at": parse_minute(f"2024-{placed_at}Z"), **said}
            for name, kind in TABLES["orders"].items():
                tables["orders"][name].append(row.get(name, kind.empty))
            for line, (sku, units) in enumerate(wanted.items()):
                row = {"order": f"O{i}", "line": line, "sku": sku, "qty": units}
                for name, kind in TABLES["lines"].items():
                    tables["lines"][name].append(row.get(name, kind.empty))
        for name, rows in befell.items():
            for at, *rest in rows:
                for column, value in zip(TABLES[name], (parse_minute(f"2024-{at}Z"), *rest), strict=True):
                    tables[name][column].append(value)
        return history_of("a test", "EUR", {name: table_of(name, columns) for name, columns in tables.items()})

    return make


@pytest.fixture(scope="session")
def first_node() -> Policy:
    return serve_from_first_node


@pytest.fixture(scope="session")
def nothing() -> Policy:
    return ship_nothing


def serve_from_first_node(problem: Problem) -> Plan:
    """Take each order's lines in turn from the nodes in turn, with the first service that goes there."""
    left, room = problem.row_limit.copy(), problem.node_capacity_parcels.copy()
    parcels: list[tuple[int, int, int, int, list[tuple[int, int]]]] = []
    for order in range(problem.orders):
        served = _serve(problem, order, left, room)
        if served is None:
            continue
        for row, units in served[1].items():
            left[row] -= units
        for node, entries in served[0].items():
            dest = int(problem.order_dest_start[order])
            parcels.append((order, node, _service(problem, order, dest, node), dest, entries))
            room[node] -= 1
    columns = np.array([row[:4] for row in parcels], dtype=np.int64).reshape(-1, 4).T.copy()
    entries = [entry for row in parcels for entry in row[4]]
    start = np.concatenate([[0], np.cumsum([len(row[4]) for row in parcels])]).astype(np.int64)
    lines, units = np.array(entries, dtype=np.int64).reshape(-1, 2).T.copy()
    plan = Plan(*columns, start, lines, units, 0, 0.0) if parcels else empty_plan(problem, 0, 0.0)
    return replace(plan, cost_cents=sum(check(problem, plan).bill.values()), policy="first_node")


def ship_nothing(problem: Problem) -> Plan:
    """Ship nothing."""
    plan = empty_plan(problem, 0, 0.0)
    return replace(plan, cost_cents=sum(check(problem, plan).bill.values()))


def _serve(
    problem: Problem, order: int, left: Ints, room: Ints
) -> tuple[dict[int, list[tuple[int, int]]], dict[int, int]] | None:
    """The entries of each node for one order, and what they take of each row; none where it stays whole and open."""
    dest = int(problem.order_dest_start[order])
    taken: dict[int, int] = defaultdict(int)
    by_node: dict[int, list[tuple[int, int]]] = {}
    for line in range(problem.order_line_start[order], problem.order_line_start[order + 1]):
        wanted = int(problem.line_qty[line])
        for option in range(problem.line_option_start[line], problem.line_option_start[line + 1]):
            node = int(problem.option_node[option])
            rows = [int(row) for row in problem.option_row[option] if row >= 0]
            units = min(wanted, *(int(left[row]) - taken[row] for row in rows))
            full = node not in by_node and (
                len(by_node) >= problem.order_max_parcels[order]
                or (room[node] <= 0 and problem.node_overtime_cents[node] == HARD)
            )
            service = _service(problem, order, dest, node)
            carried = service == NO_SERVICE or (service >= 0 and problem.sku_carried[problem.line_sku[line], service])
            if units <= 0 or full or not carried or problem.option_reason[option]:
                continue
            by_node.setdefault(node, []).append((line, units))
            for row in rows:
                taken[row] += units
            wanted -= units
        if wanted and problem.order_ship_complete[order]:
            return None
    return by_node, taken


def _service(problem: Problem, order: int, dest: int, node: int) -> int:
    """The first service that goes there and carries the whole order, or just goes there; -2 where none does."""
    if problem.dest_node[dest] == node:
        return NO_SERVICE
    skus = problem.line_sku[problem.order_line_start[order] : problem.order_line_start[order + 1]]
    goes = problem.lane_zone[dest, node] >= 0
    best = goes & problem.sku_carried[skus].all(axis=0)
    choice = best if best.any() else goes
    return int(np.argmax(choice)) if choice.any() else -2
