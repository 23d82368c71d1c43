"""Prices on stock and capacity, and the bound that they prove.

For any prices `p >= 0` on resource rows and `m >= 0` on parcel capacities (at most the overtime, where there is one), the sum over
orders of the least cost at those prices, less `p` times the stock and `m` times the capacities, is a lower bound on every plan: the
Lagrangian relaxation of the shared rows. The prices rise where orders together ask for more than there is, by a normalised
momentum ascent.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from solver.effort import Meter
from solver.many import bound_many
from solver.offers import PAIRS_MAX, pairs_of
from solver.problem import HARD, NO_LIMIT, Bools, Columns, Floats, Ints, Problem
from solver.split import TABLE_MAX_PRICING, split_few

CHUNKS = 8
CHUNK_ORDERS = 50
"""Fewer orders than this are not worth another thread."""
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="pricing")
MOMENTUM = 0.6
DECAY = 0.965
LEAST_STEP = 0.002
ROUNDS_FIRST, ROUNDS_NEXT = 60, 8
"""Ascent steps on the lines of an order of many lines: at first, and at each later change of the prices."""


@dataclass(frozen=True)
class Priced:
    """Prices and what they prove.

    Attributes
    ----------
    row_price, node_price
        (R,), (J,) cents for one unit of the row, one parcel at the node.
    bound_cents
        The bound at these prices.
    order_value
        (O,) the least cost of each order at these prices.
    line_price
        (L,) prices on the lines of orders of many lines: where their own bound stands.
    """

    row_price: Floats
    node_price: Floats
    bound_cents: float
    order_value: Floats
    line_price: Floats


@dataclass
class Pricing:
    """The relaxed problem: orders that compete for what `left` and `node_left` hold.

    Parameters
    ----------
    problem
        The whole problem.
    orders
        Indices of the orders that compete; all others keep what they have.
    left, node_left
        (R,), (J,) what these orders may draw on.
    target
        (O,) cost of some way of serving each order, a scale for the bounds of orders of many lines.
    """

    problem: Problem
    orders: Ints
    left: Ints
    node_left: Ints
    target: Floats

    def __post_init__(self) -> None:
        problem = self.problem
        # the kernels are compiled once, for writable columns
        self.left, self.node_left = np.array(self.left), np.array(self.node_left)
        chunks = min(CHUNKS, 1 + len(self.orders) // CHUNK_ORDERS)
        self.few = np.array([pairs_of(problem.columns, int(o)) <= PAIRS_MAX for o in self.orders], dtype=np.bool_)
        self.row_use = np.zeros((chunks, problem.rows))
        self.node_use = np.zeros((chunks, problem.nodes))
        soft = problem.node_overtime_cents != HARD
        self.limited = (self.node_left < NO_LIMIT // 2) & ((self.node_left > 0) | soft)
        self.capacity = np.where(self.limited, np.maximum(0, self.node_left), 0)
        self.ceiling = np.where(soft, problem.node_overtime_cents, np.inf)
        # a node that is full but works overtime stays open: what a parcel there costs is its price
        self.open_nodes = np.where(self.limited | (self.node_left > 0), NO_LIMIT, 0)

    def start_lines(self) -> Floats:
        """Line prices to start from: nothing yet known."""
        return self.problem.line_open_cents.astype(np.float64) * 0.5

    def at(self, row_price: Floats, node_price: Floats, line_price: Floats, rounds: int) -> Priced:
        """Price every order. `line_price` improves in place; `row_use` and `node_use` hold what the answers draw."""
        self.row_use[:] = 0.0
        self.node_use[:] = 0.0
        value = np.zeros(self.problem.orders)
        open_cents = self.problem.line_open_cents.astype(np.float64)
        chunks = len(self.row_use)

        def price(chunk: int) -> None:
            _price(
                self.problem.columns, self.orders, self.few, self.left, self.open_nodes, row_price, node_price, open_cents,
                self.target, line_price, rounds, value, self.row_use[chunk], self.node_use[chunk], chunk,
                chunks,
            )  # fmt: skip

        # which thread takes a chunk does not matter: each writes to its own columns
        if chunks == 1:
            price(0)
        else:
            list(_THREADS.map(price, range(chunks)))
        charged = float((row_price * self.left).sum() + (node_price * self.capacity).sum())
        total = float(value[self.orders].sum())
        # whatever rounding could have added to the sums is taken off again
        slack = 1e-12 * (total + charged) * max(1.0, len(self.orders) ** 0.5)
        return Priced(row_price, node_price, total - charged - slack, value, line_price)

    def slopes(self) -> tuple[Floats, Floats]:
        """How far the last answers overdraw rows and capacities, as a share of what there is."""
        rows = (self.row_use.sum(0) - self.left) / np.maximum(1, self.left)
        nodes = np.where(self.limited, (self.node_use.sum(0) - self.capacity) / np.maximum(1, self.capacity), 0.0)
        return np.clip(rows, -1.0, 2.0), np.clip(nodes, -1.0, 2.0)


def ascend(
    pricing: Pricing,
    row_price: Floats,
    node_price: Floats,
    cost_cents: float,
    meter: Meter,
    passes: int,
    *,
    warm: bool = False,
    seconds: float = float("inf"),
) -> Priced:
    """Raise prices until the bound stands still.

    Parameters
    ----------
    row_price, node_price
        Where to start.
    cost_cents
        Cost of the best plan known: at that bound there is nothing left to prove.
    passes
        At most so many pricings of all orders.
    warm
        The start is believed to be near: begin with small steps.
    seconds
        At most so long, on top of the meter's own limits.
    """
    began = meter.seconds
    line_price = pricing.start_lines()
    best = pricing.at(np.array(row_price), np.array(node_price), line_price, ROUNDS_FIRST)
    meter.work += 1
    row_speed, node_speed = np.zeros_like(row_price), np.zeros_like(node_price)
    unit = step_unit(pricing)
    now, power = best, (0.3 if warm else 1.0)
    stale = 0
    for _ in range(passes):
        if meter.spent or meter.seconds - began > seconds or best.bound_cents >= cost_cents - 1 + 1e-6:
            break
        rows, nodes = pricing.slopes()
        rows[(now.row_price <= 0) & (rows < 0)] = 0.0
        nodes[(now.node_price <= 0) & (nodes < 0)] = 0.0
        if not rows.any() and not nodes.any():
            break
        row_speed = MOMENTUM * row_speed + (1 - MOMENTUM) * rows
        node_speed = MOMENTUM * node_speed + (1 - MOMENTUM) * nodes
        step = unit * max(LEAST_STEP, power)
        power *= DECAY
        row_price = np.maximum(0.0, now.row_price + step * row_speed)
        node_price = np.clip(now.node_price + 2 * step * node_speed, 0.0, pricing.ceiling)
        node_price[~pricing.limited] = 0.0
        now = pricing.at(row_price, node_price, line_price, ROUNDS_NEXT)
        meter.work += 1
        stale = 0 if now.bound_cents > best.bound_cents + 1e-7 * abs(best.bound_cents) else stale + 1
        if now.bound_cents > best.bound_cents:
            best = Priced(now.row_price, now.node_price, now.bound_cents, now.order_value, line_price.copy())
        if power < LEAST_STEP and stale > 10:
            break
        meter.tell("pricing", cost_cents, best.bound_cents)
    return best


def step_unit(pricing: Pricing) -> float:
    """A first step in cents: about half of what a parcel costs here."""
    problem = pricing.problem
    if not problem.nodes:
        return 1.0
    if not problem.service_cents.size:
        return max(1.0, float(problem.node_parcel_cents.mean()))
    typical = float(np.median(problem.service_cents[:, :, 0])) + float(np.median(problem.node_parcel_cents))
    return max(1.0, 0.5 * typical)


@njit(cache=True, nogil=True)
def _price(
    c: Columns,
    orders: Ints,
    few: Bools,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    target: Floats,
    line_price: Floats,
    rounds: int,
    value: Floats,
    row_use: Floats,
    node_use: Floats,
    chunk: int,
    chunks: int,
) -> None:
    for i in range(chunk, len(orders), chunks):
        order = orders[i]
        if not few[i]:
            value[order] = bound_many(
                c, order, left, node_left, row_price, node_price, open_cents, 0.0, target[order], line_price, rounds, row_use,
                node_use,
            )  # fmt: skip
            continue
        cost, _, node, _, units, _ = split_few(
            c, order, left, node_left, row_price, node_price, open_cents, 0.0, TABLE_MAX_PRICING
        )
        value[order] = cost
        note_use(c, order, node, units, row_use, node_use)


@njit(cache=True)
def note_use(c: Columns, order: int, node: Ints, units: Ints, row_use: Floats, node_use: Floats) -> None:
    """Add what these parcels draw."""
    first = c.order_line_start[order]
    for p in range(len(node)):
        node_use[node[p]] += 1.0
        for k in range(units.shape[1]):
            if units[p, k] > 0:
                low, high = c.line_option_start[first + k], c.line_option_start[first + k + 1]
                while low < high:
                    middle = (low + high) // 2
                    if c.option_node[middle] < node[p]:
                        low = middle + 1
                    else:
                        high = middle
                for w in range(c.option_row.shape[1]):
                    row = c.option_row[low, w]
                    if row >= 0:
                        row_use[row] += units[p, k] * c.option_use[low, w]


__all__ = ["Priced", "Pricing", "ascend"]
