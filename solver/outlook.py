"""Looking beyond a problem: what is known at the minute of a decision, what an outlook answers, what stock is worth to the future.

A policy that looks ahead is a policy with a `look`: beside the problem it is told the `Present`, and what it remembers is handed to
it and handed back. Who forecasts is behind `Outlook`; `engine.outlook` is one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np

from solver.effort import Policy
from solver.plan import Plan
from solver.problem import Floats, Ints, Problem


@dataclass(frozen=True, eq=False)
class Present:
    """What is known at the minute of a decision: N rows of free stock, I receipts to come.

    Attributes
    ----------
    at
        Minutes since 1970, UTC.
    sku_at
        The index of each SKU, by its name; all SKUs here are counted so.
    stock_sku, stock_node, stock_units
        (N,) all free stock, also of what nobody asks for now; by ascending SKU, then node.
    inbound_at, inbound_sku, inbound_node, inbound_units
        (I,) receipts known to come, by ascending time, all after `at`.
    next_at
        When what stays open is decided next, -1: never again; `None` where nobody knows.
    give_up_days
        Days after the first decision on an order at which it is given up, if they are known.
    hurry
        Whether somebody waits: what takes long is not done, and what is remembered is made use of though it is old. Stock and
        receipts are then told of the SKUs of the problem alone.
    """

    at: int
    sku_at: Mapping[str, int]
    stock_sku: Ints
    stock_node: Ints
    stock_units: Ints
    inbound_at: Ints
    inbound_sku: Ints
    inbound_node: Ints
    inbound_units: Ints
    next_at: int | None = None
    give_up_days: int | None = None
    hurry: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                view = value.view()
                view.setflags(write=False)
                object.__setattr__(self, field.name, view)

    def sku_of(self, problem: Problem) -> Ints:
        """(K,) the index here of each SKU of a problem."""
        return np.array([self.sku_at[name] for name in problem.sku_id], dtype=np.int64)

    def keys(self, problem: Problem) -> Ints:
        """(R,) SKU and node of each row of a problem in one number, -1 where the row is not the stock of a node."""
        sku = np.append(self.sku_of(problem), -1)[problem.row_sku]
        return np.where((problem.row_sku >= 0) & (problem.row_node >= 0), sku * problem.nodes + problem.row_node, -1)


def present_of(problem: Problem, at: int = 0) -> Present:
    """The present of somebody who knows no more than the problem."""
    stock = np.flatnonzero((problem.row_sku >= 0) & (problem.row_node >= 0))
    stock = stock[np.lexsort((problem.row_node[stock], problem.row_sku[stock]))]
    none = np.zeros(0, dtype=np.int64)
    return Present(
        at,
        {name: k for k, name in enumerate(problem.sku_id)},
        problem.row_sku[stock].astype(np.int64),
        problem.row_node[stock].astype(np.int64),
        problem.row_limit[stock],
        none,
        none,
        none,
        none,
    )


@dataclass(frozen=True, eq=False)
class Future:
    """A sample of what is to come, as one problem over the open orders of now and those of the sample.

    Attributes
    ----------
    problem
        Its `row_limit` tells what a single order can draw on.
    supply
        (R,) what all its orders together can draw on: the stock, in the proportion in which orders were sampled, but
        a unit at least of what there is: of few units on many shelves a small sample cannot tell which are scarce.
    key
        (R,) as of `Present.keys`. Rows of one key are limits on the same stock, one for each time until which it has to last.
    """

    problem: Problem
    supply: Floats
    key: Ints


class Outlook(Protocol):
    """What the future may ask for, as known at the minute of the decision and not a minute later."""

    def future(self, problem: Problem, present: Present, *, days: float, samples: int, lines: int, seed: int) -> Future:
        """Draw futures of so many days, all in one problem.

        Parameters
        ----------
        samples
            How many, each with the orders of the problem as they stand. Fewer where they are more than about `lines`
            lines together, and only a part of one where that is more by itself.
        """
        ...

    def expected(self, present: Present, sku: Ints, *, days: float) -> Floats:
        """(n, J) units of each SKU asked for closest to each node, until its next receipt anywhere or for so many days."""
        ...


@dataclass(frozen=True, eq=False)
class StockPrices:
    """What one more unit is worth to the future.

    Attributes
    ----------
    at
        When that was found.
    key, cents
        (N,) by ascending key (`Present.keys`); what is not here is worth nothing.
    """

    at: int
    key: Ints
    cents: Floats

    def of(self, key: Ints) -> Floats:
        """(R,) the price for each key."""
        if not len(self.key):
            return np.zeros(len(key))
        place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[place] == key, self.cents[place], 0.0)


@runtime_checkable
class LooksAhead(Policy, Protocol):
    """A policy that looks beyond its problem.

    Called with a problem alone it takes its rows for all the stock there is, and nothing to come.
    """

    def look(self, problem: Problem, present: Present, memory: Any) -> tuple[Plan, Any]:
        """Decide the problem, and tell what to hand back at the next call; `None` at the first."""
        ...


__all__ = ["Future", "LooksAhead", "Outlook", "Present", "StockPrices", "present_of"]
