"""Ejection: an order takes what it would have at the prices, and whoever holds that moves to the next best.

An order's *ideal* is its best way at the prices if all stock and capacity were free. Where others hold what it needs, those give
way whose own bill rises least; all of them are then served again from what is left. The move is kept if the bills together fall
(ejection chains of length one, Glover 1996).
"""

import numpy as np
from numba import njit

from solver.draft import (
    Draft,
    cost_of,
    has_room,
    overtime_of,
    put,
    put_back,
    roomier,
    serve_one,
    take_out,
)
from solver.effort import Meter
from solver.many import QUICK
from solver.offers import option_of
from solver.prices import Priced, Pricing
from solver.problem import Columns, Floats, Ints, Problem, Shorts

SAMPLE = 6
"""Users of a row that are asked what giving way would cost them."""
BUMPED_MAX = 4
"""Orders that give way to one, at most."""
STRIDE = 8_000
"""Between two looks at the clock: orders tried, each times the square of its lines."""


def eject(
    problem: Problem, draft: Draft, pricing: Pricing, priced: Priced, sequence: Ints, seed: int, meter: Meter
) -> Draft:
    """Let each order of a sequence have its ideal, where that makes all bills together smaller."""
    c = problem.columns
    start, user = users_of(c, draft, problem.rows, problem.nodes)
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    open_cents = problem.line_open_cents.astype(np.float64)
    work = np.cumsum(np.diff(problem.order_line_start)[sequence] ** 2)
    at = 0
    while at < len(sequence) and not meter.spent:
        stop = max(at + 1, int(np.searchsorted(work, work[at] + STRIDE)))
        at = _eject(
            c, draft, sequence[:stop], at, pricing.left, pricing.open_nodes, priced.row_price, priced.node_price, *nothing,
            open_cents, start, user, seed,
        )  # fmt: skip
        if at < stop:
            draft = roomier(problem, draft)
        meter.tell("ejecting", cost_of(problem, draft), priced.bound_cents)
    meter.work += 1 + len(sequence) // 1000
    return draft


@njit(cache=True)
def users_of(c: Columns, draft: Draft, rows: int, nodes: int) -> tuple[Ints, Shorts]:
    """List who draws on what: (R + J + 1,) starts and the orders, stock rows first, then parcels at nodes."""
    start = np.zeros(rows + nodes + 1, dtype=np.int64)
    user = np.zeros(0, dtype=np.int32)
    for filling in (False, True):
        if filling:
            for row in range(rows + nodes):
                start[row + 1] += start[row]
            user = np.empty(start[rows + nodes], dtype=np.int32)
        # while filling, a start moves to its end, and so becomes the start of the next
        for order in range(len(draft.order_first)):
            for parcel in range(draft.order_first[order], draft.order_first[order] + draft.order_count[order]):
                node = draft.parcel_node[parcel]
                _note(start, user, rows + node, order, filling)
                for entry in range(draft.parcel_start[parcel], draft.parcel_end[parcel]):
                    option = option_of(c, draft.entry_line[entry], node)
                    for w in range(c.option_row.shape[1]):
                        if c.option_row[option, w] >= 0:
                            _note(start, user, c.option_row[option, w], order, filling)
    start[1:] = start[:-1].copy()
    start[0] = 0
    return start, user


@njit(cache=True)
def _note(start: Ints, user: Shorts, row: int, order: int, filling: bool) -> None:
    if filling:
        user[start[row]] = order
        start[row] += 1
    else:
        start[row + 1] += 1


@njit(cache=True)
def _eject(
    c: Columns,
    draft: Draft,
    sequence: Ints,
    first: int,
    limit: Ints,
    open_nodes: Ints,
    row_price: Floats,
    node_price: Floats,
    free_row: Floats,
    free_node: Floats,
    open_cents: Floats,
    start: Ints,
    user: Shorts,
    seed: int,
) -> int:
    """Try the orders from `first` on; returns the order at which the draft was full, or the end."""
    rows = len(row_price)
    had = np.empty((BUMPED_MAX + 1, 5), dtype=np.int64)
    for at in range(first, len(sequence)):
        order = sequence[at]
        _, dest, node, service, units, _ = serve_one(
            c, order, limit, open_nodes, row_price, node_price, open_cents, 0.0, QUICK
        )
        row, need = drawn_by(c, order, rows, node, units)
        before = remember(c, draft, order, had, 0)
        out, possible = 1, True
        for i in range(len(row)):
            while possible and left_of(draft, row[i], rows) < need[i]:
                other = -1
                if out <= BUMPED_MAX:
                    other = who_gives_way(
                        c, draft, row[i], need[i], start, user, had[:out, 0], seed + at, free_row, free_node, open_cents
                    )
                possible = other >= 0
                if possible:
                    before += remember(c, draft, other, had, out)
                    out += 1
        full = False
        room = draft.room[0], draft.room[1]
        after, placed = 0, 0
        while possible and placed < out:
            if placed > 0:
                _, dest, node, service, units, _ = serve_one(
                    c, had[placed, 0], draft.left, draft.node_left, free_row, free_node, open_cents, 0.0, QUICK
                )
            if not has_room(c, draft, units.size):
                full, possible = True, False
                break
            put(c, draft, had[placed, 0], dest, node, service, units)
            after += draft.cost[had[placed, 0]] + overtime_of(c, draft, had[placed, 0])
            placed += 1
        if not possible or after >= before:
            for i in range(placed - 1, -1, -1):
                take_out(c, draft, had[i, 0])
            for i in range(out - 1, -1, -1):
                put_back(c, draft, had[i, 0], had[i, 1], had[i, 2], had[i, 3], had[i, 4])
            if not full:
                draft.room[0], draft.room[1] = room
        if full:
            return at
    return len(sequence)


@njit(cache=True)
def remember(c: Columns, draft: Draft, order: int, had: Ints, at: int) -> int:
    """Take an order out, noting what it had; returns its bill, overtime included."""
    bill = draft.cost[order] + overtime_of(c, draft, order)
    had[at, 0], had[at, 1], had[at, 2] = order, draft.order_first[order], draft.order_count[order]
    had[at, 3], had[at, 4] = draft.order_dest[order], draft.cost[order]
    take_out(c, draft, order)
    return bill


@njit(cache=True)
def left_of(draft: Draft, row: int, rows: int) -> int:
    """Read what is left of a stock row, or of the parcels of a node."""
    return draft.left[row] if row < rows else draft.node_left[row - rows]


@njit(cache=True)
def shift_left(draft: Draft, row: int, rows: int, amount: int) -> None:
    """Set something aside (a negative amount), or give it back."""
    if row < rows:
        draft.left[row] += amount
    else:
        draft.node_left[row - rows] += amount


@njit(cache=True)
def drawn_by(c: Columns, order: int, rows: int, node: Ints, units: Ints) -> tuple[Ints, Ints]:
    """Add up what a way draws: the rows (stock, then parcels at nodes), and how much of each."""
    row = np.empty(len(node) * (1 + units.shape[1] * c.option_row.shape[1]), dtype=np.int64)
    need = np.zeros(len(row), dtype=np.int64)
    count = 0
    for p in range(len(node)):
        count = _add(row, need, count, rows + node[p], 1)
        for k in range(units.shape[1]):
            if units[p, k] > 0:
                option = option_of(c, c.order_line_start[order] + k, node[p])
                for w in range(c.option_row.shape[1]):
                    if c.option_row[option, w] >= 0:
                        amount = units[p, k] * c.option_use[option, w]
                        count = _add(row, need, count, c.option_row[option, w], amount)
    return row[:count], need[:count]


@njit(cache=True)
def _add(row: Ints, need: Ints, count: int, which: int, amount: int) -> int:
    for i in range(count):
        if row[i] == which:
            need[i] += amount
            return count
    row[count], need[count] = which, amount
    return count + 1


@njit(inline="always")
def who_gives_way(
    c: Columns,
    draft: Draft,
    row: int,
    need: int,
    start: Ints,
    user: Shorts,
    out: Ints,
    turn: int,
    free_row: Floats,
    free_node: Floats,
    open_cents: Floats,
) -> int:
    """Find the user of a row whose bill rises least without it, among a few; -1 if there is none."""
    rows = len(free_row)
    users = start[row + 1] - start[row]
    chosen, least, asked = -1, np.inf, 0
    for i in range(min(users, 4 * SAMPLE)):
        if asked == SAMPLE:
            break
        # the sum is as wide as the orders elsewhere: the kernels it goes to are not compiled again
        other = 0 + user[start[row] + (turn * 7919 + i) % users]
        if (out == other).any() or not draws_on(c, draft, other, row, rows):
            continue
        asked += 1
        first, count, dest = draft.order_first[other], draft.order_count[other], draft.order_dest[other]
        cost = draft.cost[other]
        bill = cost + overtime_of(c, draft, other)
        take_out(c, draft, other)
        shift_left(draft, row, rows, -need)
        # without the row that the first order needs, this one has to look elsewhere
        again = serve_one(c, other, draft.left, draft.node_left, free_row, free_node, open_cents, 0.0, QUICK)[0]
        shift_left(draft, row, rows, need)
        put_back(c, draft, other, first, count, dest, cost)
        if again - bill < least:
            chosen, least = other, again - bill
    return chosen


@njit(cache=True)
def draws_on(c: Columns, draft: Draft, order: int, row: int, rows: int) -> bool:
    """Tell whether an order draws on a row now."""
    for parcel in range(draft.order_first[order], draft.order_first[order] + draft.order_count[order]):
        node = draft.parcel_node[parcel]
        if row >= rows:
            if node == row - rows:
                return True
            continue
        for entry in range(draft.parcel_start[parcel], draft.parcel_end[parcel]):
            option = option_of(c, draft.entry_line[entry], node)
            for w in range(c.option_row.shape[1]):
                if c.option_row[option, w] == row:
                    return True
    return False


__all__ = ["eject"]
