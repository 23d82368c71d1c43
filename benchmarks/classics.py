"""Classical problems with published optima, as the columns of a `Problem`.

*Generalized assignment*: jobs go to agents, each job whole to one. A job is an order of one line of one unit; an agent is a node
with a capacity row, of which an option draws what the job needs there. No parcel costs anything to open.

*Single-source facility location*: customers are served from open facilities, each customer whole from one. All customers are lines
of one order, one unit each, so that none is divided; a facility is a node whose fixed cost is that of a parcel, and whose capacity
is a row, of which an option draws the customer's demand.

In both, a unit left open costs more than all units at their dearest, so that none is left open where all can be served.
"""

import gzip
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from solver.problem import DELIVERED, HARD, NO_LIMIT, Ints, Problem

FAR_G = 2**40


@dataclass(frozen=True)
class Classic:
    """A problem with what is known of it.

    Attributes
    ----------
    kind
        Of the family: the type of a generalized assignment problem, the set of a location problem.
    items, places
        Jobs or customers; agents or facilities.
    scale
        Cents for one unit of the published cost.
    best
        The best value that is published, in units of the published cost.
    """

    name: str
    kind: str
    items: int
    places: int
    scale: int
    best: float
    problem: Problem


def read_gap(path: Path, best: float) -> Classic:
    """Read a generalized assignment problem: m, n, costs (m, n), use (m, n), capacities (m)."""
    numbers = [int(token) for token in _tokens(path)]
    m, n = numbers[:2]
    cost = np.array(numbers[2 : 2 + m * n], dtype=np.int64).reshape(m, n)
    use = np.array(numbers[2 + m * n : 2 + 2 * m * n], dtype=np.int64).reshape(m, n)
    capacity = np.array(numbers[2 + 2 * m * n : 2 + 2 * m * n + m], dtype=np.int64)
    name = path.name.partition(".")[0]
    problem = _problem(cost, use, capacity, fixed=np.zeros(m, dtype=np.int64), orders=n)
    return Classic(name, name[0], n, m, 1, best, problem)


def read_location(path: Path, kind: str, best: float) -> Classic:
    """Read a single-source facility location problem in the form of its set (`delmaire`, else that of Holmberg)."""
    tokens = [Decimal(token) for token in _tokens(path)]
    # as many cents for a unit as make every published cost whole
    scale = 10 ** max(0, *(-int(token.normalize().as_tuple().exponent) for token in tokens))
    first, second = int(tokens[0]), int(tokens[1])
    m, n = (second, first) if kind == "delmaire" else (first, second)
    rest = tokens[2:]
    if kind == "delmaire":
        cost = _whole(rest[: m * n], scale).reshape(n, m).T
        rest = rest[m * n :]
        demand, fixed, capacity = (
            _whole(rest[:n], 1),
            _whole(rest[n : n + m], scale),
            _whole(rest[n + m : n + 2 * m], 1),
        )
    else:
        sites, rest = rest[: 2 * m], rest[2 * m :]
        capacity, fixed = _whole(sites[0::2], 1), _whole(sites[1::2], scale)
        demand, cost = _whole(rest[:n], 1), _whole(rest[n : n + m * n], scale).reshape(m, n)
    problem = _problem(cost, np.tile(demand, (m, 1)), capacity, fixed, orders=1)
    return Classic(f"{kind} {path.name.partition('.')[0]}", kind, n, m, scale, best, problem)


def _whole(tokens: list[Decimal], scale: int) -> Ints:
    values = [token * scale for token in tokens]
    assert all(value == int(value) for value in values), "demands and capacities are whole numbers"
    return np.array([int(value) for value in values], dtype=np.int64)


def _tokens(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="ascii") as file:
        return file.read().replace("\0", " ").split()


def _problem(cost: Ints, use: Ints, capacity: Ints, fixed: Ints, orders: int) -> Problem:
    """Make the columns: (m, n) cents and use of each item at each place, (m,) capacity and fixed cents of the places.

    The items are one order each, or all of them lines of one.
    """
    m, n = cost.shape
    open_cents = int(cost.max(axis=0).sum() + fixed.sum()) + 1
    nowhere = {"lat": np.full(m, np.nan), "lon": np.full(m, np.nan)}
    none, one = np.zeros(m, dtype=np.int64), np.ones((1, 1), dtype=np.int64)
    fits = use.T.ravel() <= np.tile(capacity, n)
    return Problem(
        node_id=tuple(f"place {i}" for i in range(m)),
        node_is_store=np.zeros(m, dtype=np.bool_),
        node_lat=nowhere["lat"],
        node_lon=nowhere["lon"],
        node_parcel_cents=fixed,
        node_line_cents=none,
        node_unit_cents=none,
        node_ready_days=none,
        node_capacity_parcels=np.full(m, NO_LIMIT, dtype=np.int64),
        node_overtime_cents=np.full(m, HARD, dtype=np.int64),
        sku_id=tuple(f"item {k}" for k in range(n)),
        sku_weight_g=np.zeros(n, dtype=np.int64),
        sku_carried=np.ones((n, 1), dtype=np.bool_),
        service_id=("free",),
        service_zones=np.ones(1, dtype=np.int64),
        service_zone_km=np.full((1, 1), np.inf),
        service_steps=np.ones(1, dtype=np.int64),
        service_steps_g=FAR_G * one,
        service_cents=np.zeros((1, 1, 1), dtype=np.int64),
        service_over_cents=0 * one,
        service_transit_days=0 * one,
        order_id=tuple(f"order {o}" for o in range(orders)),
        order_line_start=np.arange(orders + 1) * (n // orders),
        order_dest_start=np.arange(orders + 1),
        order_promise_days=np.zeros(orders, dtype=np.int64),
        order_late_cents=np.zeros(orders, dtype=np.int64),
        order_max_parcels=np.full(orders, NO_LIMIT, dtype=np.int64),
        order_ship_complete=np.zeros(orders, dtype=np.bool_),
        dest_node=np.full(orders, DELIVERED, dtype=np.int64),
        dest_lat=np.full(orders, np.nan),
        dest_lon=np.full(orders, np.nan),
        line_sku=np.arange(n),
        line_qty=np.ones(n, dtype=np.int64),
        line_unfilled_cents=np.full(n, open_cents, dtype=np.int64),
        line_must_fill=np.zeros(n, dtype=np.bool_),
        line_option_start=np.arange(n + 1) * m,
        option_node=np.tile(np.arange(m, dtype=np.int32), n),
        option_row=np.tile(np.arange(m, dtype=np.int32), n)[:, None],
        option_use=use.T.reshape(-1, 1).astype(np.int32),
        option_unit_cents=cost.T.ravel(),
        option_value_cents=np.zeros(m * n, dtype=np.int64),
        option_reason=np.where(fits, 0, 1).astype(np.uint8),
        reasons=("", "does not fit"),
        row_limit=capacity,
        row_node=np.arange(m, dtype=np.int32),
        row_sku=np.full(m, -1, dtype=np.int32),
        lane_zone=np.zeros((orders, m, 1), dtype=np.int8),
        row_price=np.zeros(m),
        node_price=np.zeros(m),
    )
