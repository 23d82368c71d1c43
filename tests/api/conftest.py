"""A world of one SKU and two nodes: small enough that every figure on the screen can be added up by hand.

The near node ships for 665 (carriage 600, handling 65), the far one for 1,455 (1,400 and 55); an open unit costs 5,000.
Each has one kettle. So the joint plan of two orders costs 2,120, and shipping one order only costs 5,665.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from solver import policies
from solver.bill import bill
from solver.effort import Effort, Policy, Watch, unwatched
from solver.plan import Plan
from solver.problem import Problem
from solver.wave import Line, Node, Order, Service, Sku, Wave, write_wave

JOINT_CENTS, RULE_CENTS = 2_120, 5_665

Run = Callable[..., Result]
MakeWave = Callable[..., Path]


def node(name: str, lat: float, lon: float, parcel_cents: int) -> Node:
    return Node(name, "warehouse", lat, lon, parcel_cents, line_cents=10, unit_cents=5, ready_days=0, tags=[])


def order(name: str) -> Order:
    line = Line(sku="kettle", qty=1, unfilled_cents=5_000)
    return Order(name, promise_days=5, late_cents=100, ship_complete=False, lines=[line], lat=32.1, lon=-81.1)


def small_wave(orders: tuple[str, ...], nodes: tuple[str, str]) -> Wave:
    return Wave(
        format="wave/1",
        nodes=[node(nodes[0], 33.7, -84.4, 50), node(nodes[1], 39.5, -119.8, 40)],
        skus=[Sku("kettle", 1_000, [], [])],
        stock=[(name, "kettle", 1, 0) for name in nodes],
        services=[Service("ground", [500.0, 6000.0], [5_000], [[600], [1_400]], [10, 20], [1, 4])],
        orders=[order(name) for name in orders],
    )


def ship(problem: Problem, nodes: list[int], bound_cents: float) -> Plan:
    """Ship the orders, the first from the first node given, and so on."""
    orders = np.arange(len(nodes))
    plan = Plan(
        parcel_order=orders,
        parcel_node=np.array(nodes, dtype=np.int64),
        parcel_service=np.zeros_like(orders),
        parcel_dest=orders.copy(),
        entry_start=np.arange(len(nodes) + 1),
        entry_line=orders.copy(),
        entry_units=np.ones_like(orders),
        cost_cents=0,
        bound_cents=bound_cents,
        row_price=np.zeros(problem.rows),
        node_price=np.zeros(problem.nodes),
    )
    return replace(plan, cost_cents=sum(bill(problem, plan).values()))


def make(name: str, effort: Effort | None = None, seed: int = 0, watch: Watch = unwatched) -> Policy:
    """Stand in for the policies: joint ships both orders, and every rule ships only the first."""

    def decide(problem: Problem) -> Plan:
        watch("deciding", 0.0, float("inf"), 0.0)
        return ship(problem, [0, 1], float(JOINT_CENTS)) if name == "joint" else ship(problem, [0], 0.0)

    return decide


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies whose plans are known."""
    # the kernels know it by their own name, and would keep whatever it is when they are first imported
    monkeypatch.setattr("solver.kernels.make", make)
    monkeypatch.setattr(policies, "make", make)


@pytest.fixture
def run(stand_ins: None) -> Run:
    """Run a command as from a shell."""

    def invoke(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin, env={"ALLOT_DEBUG": ""})

    return invoke


@pytest.fixture
def make_wave(tmp_path: Path) -> MakeWave:
    """Write a wave file of two orders and two nodes."""

    def write(orders: tuple[str, ...] = ("Ann", "Ben"), nodes: tuple[str, str] = ("near", "far")) -> Path:
        path = tmp_path / "wave.json"
        write_wave(path, small_wave(orders, nodes))
        return path

    return write


@pytest.fixture
def wave(make_wave: MakeWave) -> Path:
    return make_wave()
