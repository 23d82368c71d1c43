"""A small world for what-ifs: two warehouses and a store in the Netherlands, ten days of orders, one SKU heavier than the other."""

from typing import Any

import numpy as np

from engine.calendar import parse_minute
from engine.network import Hours, Market, Network, Terms
from scenarios.scenario import Scenario, scenario_of
from simulation.history import History, history_of
from simulation.placing import Placed, place
from simulation.tables import TABLES, table_of
from solver.wave import Service, Sku
from tests.simulation.conftest import node

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def network(**changes: Any) -> Network:
    """A wide-awake network: every node works every day until four, on stock of both SKUs."""
    usual: dict[str, Any] = {
        "format": "network/1",
        "currency": "EUR",
        "simulated": (),
        "calendars": (Hours("daily", WEEK, ()), Hours("weekdays", WEEK[:5], ())),
        "nodes": (
            node("W1", lat=52.0, lon=5.0, calendar="daily", capacity_parcels=50, overtime_cents=100),
            node("W2", lat=53.0, lon=6.5, calendar="daily", capacity_units=500),
            node("S1", kind="store", lat=51.9, lon=4.5, calendar="daily", parcel_cents=90),
        ),
        "skus": [Sku("mug", 300, [], []), Sku("pan", 2000, [], [])],
        "services": [
            Service("slow", [60.0, 20100.0], [1000, 5000], [[300, 500], [500, 900]], [50, 90], [2, 3]),
            Service("fast", [60.0, 20100.0], [1000, 5000], [[600, 900], [900, 1500]], [90, 150], [1, 1]),
        ],
        "stock": [("W1", "mug", 20, 0), ("W2", "mug", 20, 0), ("W2", "pan", 15, 0), ("S1", "mug", 6, 0)],
        "receipts": [("2024-05-04T06:00Z", "W1", "pan", 11), ("2024-05-06T06:00Z", "W2", "mug", 9)],
        "terms": Terms(3, 100, 900, 0, 5, 7, 1),
        "markets": (Market("Utrecht", "middle", 52.09, 5.12, 1), Market("Groningen", "north", 53.2, 6.57, 1)),
    }
    return Network(**usual | changes)


def history(orders: int = 30, seed: int = 4, lines: int = 2) -> History:
    """Orders of 1 to 10 May 2024, near Utrecht or Groningen, some cancelled and some returned."""
    chance = np.random.default_rng(seed)
    tables: dict[str, dict[str, list[Any]]] = {name: {c: [] for c in TABLES[name]} for name in TABLES}
    first = parse_minute("2024-05-01T08:00Z")
    for i in range(orders):
        north = bool(chance.integers(2))
        said = {
            "order": f"O{i}",
            "placed_at": first + (i * 10 // orders) * 1440 + int(chance.integers(300)),
            "lat": (53.2 if north else 52.0) + chance.normal(0, 0.05),
            "lon": (6.5 if north else 4.8) + chance.normal(0, 0.05),
            "ship_complete": False,
        }
        for name, kind in TABLES["orders"].items():
            tables["orders"][name].append(said.get(name, kind.empty))
        for line, sku in enumerate(("mug", "pan")[: 1 + int(chance.integers(lines))]):
            row = {"order": f"O{i}", "line": line, "sku": sku, "qty": 1 + int(chance.integers(2))}
            for name, kind in TABLES["lines"].items():
                tables["lines"][name].append(row.get(name, kind.empty))
        if i % 7 == 3:
            what = "cancellations" if i % 2 else "returns"
            for column, value in zip(TABLES[what], (said["placed_at"] + 2000, f"O{i}", 0, 1), strict=True):
                tables[what][column].append(value)
    return history_of("a test", "EUR", {name: table_of(name, columns) for name, columns in tables.items()})


def placed(**changes: Any) -> Placed:
    """The small world, placed; nothing is drawn but what stands in no table."""
    return place(history(), network(**changes), seed=1)


def scenario(*changes: str, name: str = "what-if") -> Scenario:
    """A scenario of changes, each as `verb key=value key=value` in TOML's words."""
    text = [f'name = "{name}"', 'why = "To see."']
    for change in changes:
        verb, *said = change.split()
        text += ["[[changes]]", f'verb = "{verb}"', *said]
    return scenario_of("\n".join(text).encode(), "test.toml")


def units(world: Placed) -> int:
    """All units that lie there at the beginning or come in."""
    return sum(row[2] for row in world.network.stock) + int(world.history.receipt_units.sum())
