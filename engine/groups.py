"""Rows that say the same, found by columns: many times faster than `np.unique` over an axis where there are few."""

from typing import NamedTuple

import numpy as np

from solver.problem import Ints


class Groups(NamedTuple):
    """G groups of n rows that are equal in all columns, sorted by them.

    Attributes
    ----------
    first
        (G,) the first row of each group.
    of
        (n,) the group of each row.
    """

    first: Ints
    of: Ints


def groups_of(*columns: Ints) -> Groups:
    """Group rows by (n,) columns."""
    by = np.lexsort(columns[::-1])
    new = np.zeros(len(by), dtype=np.bool_)
    new[:1] = True
    for column in columns:
        inside = column[by]
        new[1:] |= inside[1:] != inside[:-1]
    of = np.empty(len(by), dtype=np.int64)
    of[by] = np.cumsum(new) - 1
    return Groups(by[new], of)


__all__ = ["Groups", "groups_of"]
