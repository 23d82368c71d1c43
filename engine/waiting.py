"""What it is expected to cost to leave a unit open today, so that a wave does not charge the full penalty every day."""

from dataclasses import dataclass, replace

import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.network import Receipts
from solver.alone import alone_cents
from solver.problem import Ints, Problem

_LATEST = 2**40  # minutes: more than any history spans, so that SKU and minute fit one sortable number


@dataclass(frozen=True, eq=False)
class Inbound:
    """Known receipts by ascending SKU, then time, with running totals of their units."""

    key: Ints
    at: Ints
    node: Ints
    total: Ints

    @classmethod
    def of(cls, receipts: Receipts) -> "Inbound":
        by = np.lexsort((receipts.at, receipts.sku))
        total = np.concatenate([[0], np.cumsum(receipts.units[by])])
        return cls(receipts.sku[by] * _LATEST + receipts.at[by], receipts.at[by], receipts.node[by], total)

    def until(self, sku: Ints, at: Ints | int) -> Ints:
        """How many receipts, in this order, stand up to minute `at` of a SKU."""
        return np.searchsorted(self.key, sku * _LATEST + at, side="right").astype(np.int64)


def price_waiting(
    problem: Problem, sku: Ints, inbound: Inbound, *, at: int, last_wave: Ints, wait_cents_per_day: int
) -> Problem:
    """Let units that may wait cost what waiting is expected to cost.

    A unit may wait where its SKU has a known receipt before the last wave of its order, and the order may make a
    further parcel. Waiting then costs `wait_cents_per_day` for each day, and serving the line by itself from the node
    and on the day of the next such receipt (carriage, handling, lateness): the cost of serving is postponed, not saved.
    The receipts that come in time may be fewer than the units that the stock leaves short; the share that goes empty
    costs its full penalty.

    Parameters
    ----------
    sku
        (L,) the SKU of each line, as `inbound` counts them.
    last_wave
        (O,) the minute of the last wave at which each order is still open.
    """
    last = last_wave[problem.line_order]
    first, end = inbound.until(sku, at), inbound.until(sku, last)
    may_wait = (end > first) & (problem.order_max_parcels[problem.line_order] > 1)
    if not may_wait.any():
        return problem
    line = np.flatnonzero(may_wait)
    receipt = first[line]
    days = -((at - inbound.at[receipt]) // MINUTES_PER_DAY)
    later = alone_cents(problem, line, inbound.node[receipt], days)
    per_unit = np.ceil(later / problem.line_qty[line]) + wait_cents_per_day * days
    chance = np.minimum(1.0, (inbound.total[end] - inbound.total[first])[line] / _short(problem)[line])
    full = problem.line_unfilled_cents[line]
    expected = (1 - chance) * full + chance * np.minimum(full, per_unit)
    cents = problem.line_unfilled_cents.copy()
    cents[line] = np.minimum(full, np.ceil(expected)).astype(np.int64)
    return replace(problem, line_unfilled_cents=cents)


def _short(problem: Problem) -> Ints:
    """(L,) units of the line's SKU that the stock leaves short, at least 1."""
    skus = len(problem.sku_id)
    asked = np.bincount(problem.line_sku, weights=problem.line_qty, minlength=skus)
    stocked = problem.row_sku >= 0
    there = np.bincount(problem.row_sku[stocked], weights=problem.row_limit[stocked], minlength=skus)
    short: Ints = np.maximum(1, asked - there).astype(np.int64)
    return short[problem.line_sku]
