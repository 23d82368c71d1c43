"""The small model that papers on multi-item fulfilment share: order types, regions, centres, stock that is not replenished."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from solver.problem import Floats, Ints
from solver.refusal import Refusal

MOST_ITEMS = 12
"""Items of an order type: its splits are found over all subsets of them."""


class Tables(NamedTuple):
    """What kernels read of a model.

    Attributes
    ----------
    first
        (q + 1,) first item of each type in `item`.
    item
        Items of the types, one type after the other.
    fixed, unit
        (centres + 1, regions) costs; the last row is the dummy: unfilled.
    """

    first: Ints
    item: Ints
    fixed: Floats
    unit: Floats


@dataclass(frozen=True)
class Fluid:
    """Orders of known types arrive one in a period, each from a region, and take units from centres until these are empty.

    Serving items of one order from one centre costs its fixed cost once and its unit cost for each item. The dummy centre never
    runs out: an item that it serves is unfilled. Plain floats, as in the papers.

    Parameters
    ----------
    order_types
        Items of each type, each at most once; a type without items is "no order".
    rate
        (types, regions) probability that the order of a period is of this type and from this region; in all at most 1.
    periods
        Number of periods.
    stock
        (centres, items) units at the start.
    fixed, unit
        (centres + 1, regions) cost of a parcel, and of an item in it; the last row is that of the dummy.

    Raises
    ------
    Refusal
        If shapes do not agree, an item is unknown or twice in a type, or a number is not finite and at least 0.
    """

    order_types: tuple[tuple[int, ...], ...]
    rate: Floats
    periods: int
    stock: Ints
    fixed: Floats
    unit: Floats

    def __post_init__(self) -> None:
        for name in ("rate", "stock", "fixed", "unit"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.int64 if name == "stock" else np.float64)
            if array.ndim != 2:
                raise Refusal(name, f"has {array.ndim} dimensions; it is a table")
            wrong = np.argwhere(~np.isfinite(array) | (array < 0))
            if len(wrong):
                row, column = wrong[0]
                raise Refusal(
                    f"{name}[{row}, {column}]", f"is {array[row, column]}; a finite number from 0 on is needed"
                )
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        shapes = {"rate": (len(self.order_types), self.regions), "fixed": (self.centres + 1, self.regions)}
        for name, shape in {**shapes, "unit": shapes["fixed"]}.items():
            if getattr(self, name).shape != shape:
                raise Refusal(name, f"has the shape {getattr(self, name).shape}; {shape} is needed")
        for q, items in enumerate(self.order_types):
            if len(set(items)) < len(items) or len(items) > MOST_ITEMS:
                raise Refusal(f"order_types[{q}]", f"is {items}; at most {MOST_ITEMS} different items are possible")
            unknown = [item for item in items if not 0 <= item < self.items]
            if unknown:
                raise Refusal(f"order_types[{q}]", f"has the item {unknown[0]}; items are 0 to {self.items - 1}")
        if self.periods < 1:
            raise Refusal("periods", f"is {self.periods}; at least 1 is needed")
        if self.rate.sum() > 1 + 1e-9:
            raise Refusal("rate", f"adds up to {self.rate.sum():.6g}; at most 1 is possible in one period")

    @property
    def centres(self) -> int:
        return int(self.stock.shape[0])

    @property
    def items(self) -> int:
        return int(self.stock.shape[1])

    @property
    def regions(self) -> int:
        return int(self.rate.shape[1])

    @cached_property
    def most(self) -> int:
        """Items of the largest type."""
        return max((len(items) for items in self.order_types), default=0)

    @cached_property
    def tables(self) -> Tables:
        sizes = [len(items) for items in self.order_types]
        first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        flat = np.array([item for items in self.order_types for item in items], dtype=np.int64)
        return Tables(first, flat, np.array(self.fixed), np.array(self.unit))

    @cached_property
    def expected(self) -> Floats:
        """(types, regions) orders to expect over all periods."""
        return self.rate * self.periods

    @cached_property
    def sizes(self) -> Ints:
        """(types,) items of each type."""
        return np.diff(self.tables.first)

    def sample(self, periods: int, generator: np.random.Generator) -> Ints:
        """Draw (periods,) arrivals, each as type * regions + region; -1 where no order arrives."""
        chance = np.cumsum(self.rate.ravel())
        drawn = np.searchsorted(chance, generator.random(periods), side="right")
        return np.where(drawn < self.rate.size, drawn, -1).astype(np.int64)

    def counts(self, arrivals: Ints) -> Floats:
        """(types, regions) how many of each kind a sequence holds."""
        some = arrivals[arrivals >= 0]
        return np.bincount(some, minlength=self.rate.size).reshape(self.rate.shape).astype(np.float64)


__all__ = ["MOST_ITEMS", "Fluid", "Tables"]
