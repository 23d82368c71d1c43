"""What holds the gap: the distance between a plan's cost and its bound, split into terms that people understand.

With prices `p` on resource rows and `m` on parcel capacities, the cost of a plan less the bound at these prices is

    what each order's way costs at the prices above the least for that order
    + p times what is left of each row + m times the parcels left of each capacity
    + what a parcel on overtime costs above the price of its node

and none of the terms is negative. `solver/README.md` shows why.
"""

from dataclasses import dataclass

import numpy as np

from solver.bill import order_bills
from solver.effort import Effort, Meter
from solver.plan import Plan
from solver.prices import Ascent, Priced, Pricing
from solver.problem import HARD, Bools, Floats, Ints, Problem

LINE_ROUNDS = 60
"""Ascent steps on the lines of each order of many lines, so that its own bound is near the one that the plan was made with."""
ROW_ROUNDS = 8
"""Rounds that seek the prices which a plan file does not hold."""


@dataclass(frozen=True)
class Certificate:
    """A gap by its terms, at the prices of a plan.

    Attributes
    ----------
    cost_cents, bound_cents
        What the plan says, and the gap between them.
    priced
        Its prices, the least cost of each order at them, and the bound that they prove.
    order_cents
        (O,) what an order's way costs at the prices above the least of that order.
    row_cents
        (R,) the price of what is left of a row.
    node_cents
        (J,) the price of the parcels left within a capacity.
    overtime_cents
        (J,) what parcels on overtime cost above the price of their node.
    rounding_cents
        What the bound gave away so that rounding cannot make it wrong.
    beyond_cents
        What the plan's bound proves beyond its prices: an integer program did. Negative where the prices prove more than the plan
        says.
    """

    cost_cents: int
    bound_cents: float
    priced: Priced
    order_cents: Floats
    row_cents: Floats
    node_cents: Floats
    overtime_cents: Floats
    rounding_cents: float
    beyond_cents: float

    @property
    def gap_cents(self) -> float:
        """The terms above, added up: the same as `cost_cents` less `bound_cents`."""
        held = self.order_cents.sum() + self.row_cents.sum() + self.node_cents.sum() + self.overtime_cents.sum()
        return float(held) + self.rounding_cents - self.beyond_cents


def certify(problem: Problem, plan: Plan) -> Certificate:
    """Price every order again at the prices of a plan that keeps the rules, and split its gap.

    Parameters
    ----------
    plan
        Made by anyone. Without prices the bound is that of every order alone.
    """
    pricing, priced = price_again(problem, plan)
    row_use, node_use = drawn(problem, plan)
    over = np.where(pricing.limited, np.maximum(0, node_use - pricing.capacity), 0)
    spare = np.where(pricing.limited, np.maximum(0, pricing.capacity - node_use), 0)
    overtime = np.where(problem.node_overtime_cents == HARD, 0, problem.node_overtime_cents)
    charged = float((priced.row_price * problem.row_limit).sum() + (priced.node_price * pricing.capacity).sum())
    # an order of many lines is bounded, not solved: no way costs less than its bound, but rounding may say so by a hair
    own = values(problem, plan, priced.row_price, priced.node_price)
    return Certificate(
        cost_cents=plan.cost_cents,
        bound_cents=plan.bound_cents,
        priced=priced,
        order_cents=own - priced.order_value,
        row_cents=priced.row_price * (problem.row_limit - row_use),
        node_cents=priced.node_price * spare,
        overtime_cents=(overtime - priced.node_price) * over,
        rounding_cents=float(priced.order_value.sum()) - charged - priced.bound_cents,
        beyond_cents=plan.bound_cents - priced.bound_cents,
    )


def price_again(problem: Problem, plan: Plan) -> tuple[Pricing, Priced]:
    """Price every order at the prices of a plan, as the decision does.

    A price on a capacity that never binds proves nothing and counts as 0. A plan file has no place for the price of a unit of
    capacity: where a plan has prices, but none of those, they are sought again, the others as they stand.
    """
    everyone = np.arange(problem.orders)
    pricing = Pricing(problem, everyone, problem.row_limit, problem.node_capacity_parcels)
    node_price = np.where(pricing.limited, np.minimum(_or_zero(plan.node_price, problem.nodes), pricing.ceiling), 0.0)
    row_price = _or_zero(plan.row_price, problem.rows)
    priced = pricing.at(row_price, node_price, pricing.start_lines(), LINE_ROUNDS)
    unnamed = (problem.row_node < 0) | (problem.row_sku < 0)
    if (row_price.any() or node_price.any()) and not row_price[unnamed].any():
        priced = _price_rows(pricing, priced, unnamed)
    return pricing, priced


def _price_rows(pricing: Pricing, priced: Priced, rows: Bools) -> Priced:
    """Seek the prices of some rows, while all others stay as they are."""
    ascent = Ascent(pricing, priced.row_price, priced.node_price, Meter(Effort(seconds=None)))
    stays = np.concatenate([~rows, np.ones(len(priced.node_price), dtype=np.bool_)])
    start = np.concatenate([priced.row_price, priced.node_price])
    ascent.floor[stays] = ascent.ceiling[stays] = start[stays]
    ascent.rounds(ROW_ROUNDS, np.inf)
    return ascent.best if ascent.best.bound_cents > priced.bound_cents else priced


def drawn(problem: Problem, plan: Plan, order: int | None = None) -> tuple[Ints, Ints]:
    """Count what a plan, or one order of it, draws: (R,) of each row, (J,) parcels of each node."""
    entry, parcel = slice(None), slice(None)
    if order is not None:
        parcel = plan.parcel_order == order
        entry = parcel[plan.entry_parcel]
    node = plan.parcel_node[plan.entry_parcel][entry]
    option = problem.find_options(plan.entry_line[entry], node)
    rows = np.zeros(problem.rows, dtype=np.int64)
    for w in range(problem.option_row.shape[1]):
        row = problem.option_row[option, w]
        mine = row >= 0
        np.add.at(rows, row[mine], (plan.entry_units[entry] * problem.option_use[option, w])[mine])
    return rows, np.bincount(plan.parcel_node[parcel], minlength=problem.nodes)


def charges(problem: Problem, plan: Plan, row_price: Floats, node_price: Floats) -> tuple[Floats, Floats]:
    """Price what each order draws: (O,) cents for stock and other rows, (O,) cents for parcels at nodes."""
    parcel = plan.entry_parcel
    option = problem.find_options(plan.entry_line, plan.parcel_node[parcel])
    rows = problem.option_row[option]
    price = np.where(rows >= 0, np.append(row_price, 0.0)[rows], 0.0)
    cents = (price * problem.option_use[option]).sum(axis=1) * plan.entry_units
    stock, capacity = np.zeros(problem.orders), np.zeros(problem.orders)
    np.add.at(stock, plan.parcel_order[parcel], cents)
    np.add.at(capacity, plan.parcel_order, node_price[plan.parcel_node])
    return stock, capacity


def values(problem: Problem, plan: Plan, row_price: Floats, node_price: Floats) -> Floats:
    """(O,) what each order's way costs at these prices, overtime left to the price of its node."""
    bill = sum(order_bills(problem, plan).values(), np.zeros(problem.orders, dtype=np.int64))
    stock, capacity = charges(problem, plan, row_price, node_price)
    return np.asarray(bill + stock + capacity, dtype=np.float64)


def _or_zero(prices: Floats, size: int) -> Floats:
    """The prices, or zeros where a plan has none."""
    return np.array(prices) if len(prices) else np.zeros(size)


__all__ = ["Certificate", "certify", "charges", "drawn", "price_again", "values"]
