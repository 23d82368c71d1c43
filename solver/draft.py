"""A plan in the making: what each order has now, and what is left of stock and capacity."""

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from numba import njit

from solver.greedy import split_at_once
from solver.many import GUIDED, HASTY, THOROUGH, UNBOUNDED, price_many
from solver.offers import INF, PAIRS_MAX, option_of, pairs_of
from solver.parcel import travel_cents
from solver.plan import Plan
from solver.problem import HARD, NO_LIMIT, Bools, Columns, Floats, Ints, Problem
from solver.split import TABLE_MAX, split_few
from solver.ways import THREADS

MANY_LINES = 12
"""An order with more lines than this is not promised its own optimum."""
DONE, FULL, HARD_ORDER = 0, 1, 2
AT_ONCE = cast(int, np.int64(-1))
"""No search for the way of an order of many lines; else `HASTY`, `QUICK` or `THOROUGH`."""
PORTION_LINES = 1_000
"""Lines served between two looks at the clock."""
_HALVES = (0, 1)


def never() -> bool:
    """Go on to the end."""
    return False


class Draft(NamedTuple):
    """Parcels of every order, appended as they change.

    `room` tells where the next parcel and entry go, and how many entries were last asked for.

    `left` and `node_left` are what the rows and the parcel capacities still hold (negative: parcels on overtime);
    `cost` is the bill of each order without overtime.
    """

    order_first: Ints
    order_count: Ints
    order_dest: Ints
    cost: Ints
    parcel_node: Ints
    parcel_service: Ints
    parcel_start: Ints
    parcel_end: Ints
    entry_line: Ints
    entry_units: Ints
    room: Ints
    left: Ints
    node_left: Ints


Served = tuple[int, Ints, Ints, Ints]
"""How an order of n lines is served: its destination, (p,) nodes and services, (p, n) units."""


class Foreseen(NamedTuple):
    """How N orders are to be served: `known` of them, by P parcels.

    Attributes
    ----------
    known, dest
        (N,) whether it is known, and the destination.
    parcel_start, node, service
        (N + 1,), (P,) the parcels of an order are contiguous.
    units_start, units
        (P + 1,) where the units of a parcel start, one number for each line of its order.
    """

    known: Bools
    dest: Ints
    parcel_start: Ints
    node: Ints
    service: Ints
    units_start: Ints
    units: Ints


def new_draft(problem: Problem) -> Draft:
    """Start with nothing shipped."""
    parcels, entries = problem.orders * 2 + 64, problem.lines * 2 + 256
    nothing = np.bincount(problem.line_order, problem.line_open_cents * problem.line_qty, minlength=problem.orders)
    return Draft(
        order_first=np.zeros(problem.orders, dtype=np.int64),
        order_count=np.zeros(problem.orders, dtype=np.int64),
        order_dest=problem.order_dest_start[:-1].copy(),
        cost=nothing.astype(np.int64),
        parcel_node=np.zeros(parcels, dtype=np.int64),
        parcel_service=np.zeros(parcels, dtype=np.int64),
        parcel_start=np.zeros(parcels, dtype=np.int64),
        parcel_end=np.zeros(parcels, dtype=np.int64),
        entry_line=np.zeros(entries, dtype=np.int64),
        entry_units=np.zeros(entries, dtype=np.int64),
        room=np.zeros(3, dtype=np.int64),
        left=problem.row_limit.copy(),
        node_left=problem.node_capacity_parcels.copy(),
    )


def copy_draft(draft: Draft) -> Draft:
    """Copy a draft, to go back to."""
    return Draft(*(column.copy() for column in draft))


def roomier(problem: Problem, draft: Draft) -> Draft:
    """Copy a draft without its dead parcels, with twice the room for new ones."""
    parcels, starts, entries = _live(draft)
    wanted = int(draft.room[2])
    count = 64 + 2 * len(parcels) + problem.orders + wanted
    entry_count = 256 + 2 * len(entries) + problem.lines + wanted
    order_first = np.concatenate([[0], np.cumsum(draft.order_count)[:-1]]).astype(np.int64)
    return draft._replace(
        order_first=order_first,
        parcel_node=_padded(draft.parcel_node[parcels], count),
        parcel_service=_padded(draft.parcel_service[parcels], count),
        parcel_start=_padded(starts[:-1], count),
        parcel_end=_padded(starts[1:], count),
        entry_line=_padded(draft.entry_line[entries], entry_count),
        entry_units=_padded(draft.entry_units[entries], entry_count),
        room=np.array([len(parcels), len(entries), 0], dtype=np.int64),
    )


def plan_of(
    problem: Problem,
    draft: Draft,
    bound_cents: float,
    row_price: Floats,
    node_price: Floats,
    seconds: float,
    policy: str,
    seed: int,
) -> Plan:
    """Make the plan that a draft stands for."""
    parcels, starts, entries = _live(draft)
    cost = cost_of(problem, draft)
    return Plan(
        parcel_order=np.repeat(np.arange(problem.orders), draft.order_count),
        parcel_node=draft.parcel_node[parcels],
        parcel_service=draft.parcel_service[parcels],
        parcel_dest=np.repeat(draft.order_dest, draft.order_count),
        entry_start=starts,
        entry_line=draft.entry_line[entries],
        entry_units=draft.entry_units[entries],
        cost_cents=cost,
        bound_cents=min(bound_cents, float(cost)),
        seconds=seconds,
        policy=policy,
        seed=seed,
        row_price=row_price.copy(),
        node_price=node_price.copy(),
    )


def cost_of(problem: Problem, draft: Draft) -> int:
    """The bill of a draft, overtime included."""
    over = np.maximum(0, -draft.node_left)
    return int(
        draft.cost.sum() + (over * np.where(problem.node_overtime_cents == HARD, 0, problem.node_overtime_cents)).sum()
    )


def serve_in_turn(
    problem: Problem,
    draft: Draft,
    sequence: Ints,
    *,
    open_cents: Floats | None = None,
    parcel_extra: float = 0.0,
    row_price: Floats | None = None,
    node_price: Floats | None = None,
    stop_at_hard: Callable[[Draft, int], Draft] | None = None,
    improve: bool = False,
    effort: int = THOROUGH,
    over: Callable[[], bool] = never,
) -> Draft:
    """Serve orders one after the other, each at its least cost given what is left.

    Parameters
    ----------
    sequence
        Orders, in the order in which they choose. One that already has parcels gives them back first.
    open_cents
        (L,) cost of leaving a unit open, the problem's own by default.
    parcel_extra
        Added to the cost of every parcel.
    row_price, node_price
        Prices that the choice (not the bill) pays for stock and capacity.
    stop_at_hard
        Called for an order of at most `MANY_LINES` lines whose optimum the kernels cannot prove.
    improve
        Keep what an order had unless its own bill falls.
    effort
        How long to search for orders of many lines: `AT_ONCE`, `HASTY`, `QUICK` or `THOROUGH`.
    over
        Told from time to time whether to end here; the orders that have not chosen by then keep what they have.
    """
    c = problem.columns
    prices = (
        np.zeros(problem.rows) if row_price is None else np.array(row_price),
        np.zeros(problem.nodes) if node_price is None else np.array(node_price),
        problem.line_open_cents.astype(np.float64) if open_cents is None else open_cents,
    )
    lines = np.cumsum(np.diff(problem.order_line_start)[sequence])
    at = 0
    while at < len(sequence) and not over():
        before = lines[at - 1] if at else 0
        end = max(at + 1, int(np.searchsorted(lines, before + PORTION_LINES, side="right")))
        foreseen = _foresee(problem, draft, sequence[at:end], *prices, parcel_extra, stop_at_hard is not None, effort)
        at, why = _serve(
            c, sequence[:end], at, draft, *prices, parcel_extra, stop_at_hard is not None, improve, effort, foreseen
        )
        if why == FULL:
            draft = roomier(problem, draft)
        elif why == HARD_ORDER and stop_at_hard is not None:
            draft = stop_at_hard(draft, int(sequence[at]))
            at += 1
    return draft


def serve_as(problem: Problem, draft: Draft, ways: list[tuple[int, int, Ints, Ints, Ints]]) -> Draft:
    """Serve some orders as foreseen, by (order, destination, (p,) nodes and services, (p, n) units), where that costs less.

    Those that do not find what they were to take are served at once, if that costs less.
    """
    if not ways:
        return draft
    sequence = np.array([way[0] for way in ways], dtype=np.int64)
    foreseen = _foreseen(np.ones(len(ways), dtype=np.bool_), [way[1:] for way in ways])
    prices = np.zeros(problem.rows), np.zeros(problem.nodes), problem.line_open_cents.astype(np.float64)
    at, why = 0, FULL
    while why == FULL:
        at, why = _serve(problem.columns, sequence, at, draft, *prices, 0.0, False, True, AT_ONCE, foreseen)
        if why == FULL:
            draft = roomier(problem, draft)
    return draft


def _foreseen(known: Bools, served: list[Served]) -> Foreseen:
    """Put ways of serving orders into columns."""
    parcels = np.array([len(node) for _, node, _, _ in served], dtype=np.int64)
    units = np.array([one.size for _, _, _, one in served], dtype=np.int64)
    each = np.repeat(units // np.maximum(1, parcels), parcels)
    return Foreseen(
        known,
        np.array([dest for dest, _, _, _ in served], dtype=np.int64),
        np.concatenate([[0], np.cumsum(parcels)]).astype(np.int64),
        np.concatenate([node for _, node, _, _ in served]),
        np.concatenate([service for _, _, service, _ in served]),
        np.concatenate([[0], np.cumsum(each)]).astype(np.int64),
        np.concatenate([one.ravel() for _, _, _, one in served]),
    )


@njit(cache=True)
def _serve(
    c: Columns,
    sequence: Ints,
    start: int,
    draft: Draft,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    stop_at_hard: bool,
    improve: bool,
    effort: int,
    foreseen: Foreseen,
) -> tuple[int, int]:
    foreseen_from = len(sequence) - len(foreseen.dest)
    for at in range(start, len(sequence)):
        order = sequence[at]
        n = c.order_line_start[order + 1] - c.order_line_start[order]
        if not has_room(c, draft, n):
            return at, FULL
        first, count, dest, cost = (
            draft.order_first[order],
            draft.order_count[order],
            draft.order_dest[order],
            draft.cost[order],
        )
        before = cost + overtime_of(c, draft, order)
        take_out(c, draft, order)
        i = at - foreseen_from
        if i >= 0 and foreseen.known[i]:
            p, q = foreseen.parcel_start[i], foreseen.parcel_start[i + 1]
            units = foreseen.units[foreseen.units_start[p] : foreseen.units_start[p] + (q - p) * n].reshape(q - p, n)
            if not has_room(c, draft, n * max(1, q - p)):
                put_back(c, draft, order, first, count, dest, cost)
                return at, FULL
            to, node, service, proven = foreseen.dest[i], foreseen.node[p:q], foreseen.service[p:q], False
            put(c, draft, order, to, node, service, units)
            held = holds(c, draft, order)
            take_out(c, draft, order)
        else:
            held = False
        if not held:
            _, to, node, service, units, proven = serve_one(
                c, order, draft.left, draft.node_left, row_price, node_price, open_cents, parcel_extra, effort
            )
        if stop_at_hard and not proven and n <= MANY_LINES:
            return at, HARD_ORDER
        if len(node) and not has_room(c, draft, n * len(node)):
            put_back(c, draft, order, first, count, dest, cost)
            return at, FULL
        put(c, draft, order, to, node, service, units)
        if improve and draft.cost[order] + overtime_of(c, draft, order) > before:
            take_out(c, draft, order)
            put_back(c, draft, order, first, count, dest, cost)
    return len(sequence), DONE


def _foresee(
    problem: Problem,
    draft: Draft,
    orders: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    stop_at_hard: bool,
    effort: int,
) -> Foreseen:
    """Serve orders of many lines side by side, each from what is left now and what it holds itself, where most of them are such.

    They hardly ever want the same. Where one does not find what it was to take any more, it is served again in its turn.
    """
    lines = np.diff(problem.order_line_start)[orders]
    many = np.array([pairs_of(problem.columns, order) > PAIRS_MAX for order in orders], dtype=np.bool_)
    if stop_at_hard:
        many &= lines > MANY_LINES
    if effort == AT_ONCE or 2 * many.sum() <= len(orders) or many.sum() < len(_HALVES):
        none = np.zeros(0, dtype=np.int64)
        return Foreseen(np.zeros(0, dtype=np.bool_), none, none, none, none, none, none)
    c = problem.columns

    def serve(half: int) -> list[Served]:
        left, node_left = draft.left.copy(), draft.node_left.copy()
        served: list[Served] = []
        for order in orders[many][half :: len(_HALVES)]:
            shift_in(c, draft, order, 1, left, node_left)
            one = serve_many(c, order, left, node_left, row_price, node_price, open_cents, parcel_extra, effort)
            served.append(one[1:])
            shift_in(c, draft, order, -1, left, node_left)
        return served

    served: list[Served] = [nothing_served(n) for n in lines]
    for half, found in zip(_HALVES, THREADS.map(serve, _HALVES), strict=True):
        for i, one in zip(np.flatnonzero(many)[half :: len(_HALVES)], found, strict=True):
            served[i] = one
    return _foreseen(many, served)


def nothing_served(lines: int) -> Served:
    """Leave an order of so many lines open."""
    none = np.zeros(0, dtype=np.int64)
    return 0, none, none, np.zeros((0, lines), dtype=np.int64)


@njit(cache=True, nogil=True)
def serve_many(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    effort: int,
) -> tuple[float, int, Ints, Ints, Ints]:
    """Serve one order of many lines from what is left: cost, destination, nodes, services and units."""
    unknown = np.full(len(open_cents), -1.0)
    _, cost, dest, node, service, units = price_many(
        c,
        order,
        left,
        node_left,
        row_price,
        node_price,
        open_cents,
        parcel_extra,
        unknown,
        effort,
        GUIDED if effort != HASTY else UNBOUNDED,
        INF,
    )
    return cost, dest, node, service, units


@njit(cache=True, nogil=True)
def holds(c: Columns, draft: Draft, order: int) -> bool:
    """Tell whether there is what an order draws, without overtime."""
    for parcel in range(draft.order_first[order], draft.order_first[order] + draft.order_count[order]):
        node = draft.parcel_node[parcel]
        if draft.node_left[node] < 0:
            return False
        for entry in range(draft.parcel_start[parcel], draft.parcel_end[parcel]):
            option = option_of(c, draft.entry_line[entry], node)
            for w in range(c.option_row.shape[1]):
                if c.option_row[option, w] >= 0 and draft.left[c.option_row[option, w]] < 0:
                    return False
    return True


@njit(inline="always")
def serve_one(
    c: Columns,
    order: int,
    left: Ints,
    node_left: Ints,
    row_price: Floats,
    node_price: Floats,
    open_cents: Floats,
    parcel_extra: float,
    effort: int,
) -> tuple[float, int, Ints, Ints, Ints, bool]:
    """Serve one order from what is left, as `split_few` where that is exact, else well, as `price_many`."""
    if pairs_of(c, order) <= PAIRS_MAX:
        cost, dest, node, service, units, proven = split_few(
            c, order, left, node_left, row_price, node_price, open_cents, parcel_extra, TABLE_MAX
        )
        if proven:
            return cost, dest, node, service, units, True
    if effort == AT_ONCE:
        cost, dest, node, service, units = split_at_once(
            c, order, left, node_left, row_price, node_price, open_cents, parcel_extra
        )
        return cost, dest, node, service, units, False
    cost, dest, node, service, units = serve_many(
        c, order, left, node_left, row_price, node_price, open_cents, parcel_extra, effort
    )
    return cost, dest, node, service, units, False


@njit(cache=True)
def has_room(c: Columns, draft: Draft, entries: int) -> bool:
    """Tell whether a draft can take so many more parcels and entries; if not, note how many were wanted."""
    draft.room[2] = entries
    return draft.room[0] + entries < len(draft.parcel_node) and draft.room[1] + entries < len(draft.entry_line)


@njit(cache=True)
def put(c: Columns, draft: Draft, order: int, dest: int, node: Ints, service: Ints, units: Ints) -> None:
    """Give an order (that has none) its parcels: (p,) node and service, (p, n) units. There must be room."""
    first_line = c.order_line_start[order]
    draft.order_first[order] = draft.room[0]
    draft.order_count[order] = len(node)
    draft.order_dest[order] = dest
    cost = 0
    for line in range(first_line, c.order_line_start[order + 1]):
        cost += c.line_qty[line] * c.line_open_cents[line]
    for p in range(len(node)):
        parcel = draft.room[0]
        draft.room[0] += 1
        draft.parcel_node[parcel] = node[p]
        draft.parcel_service[parcel] = service[p]
        draft.parcel_start[parcel] = draft.room[1]
        grams = 0
        for k in range(units.shape[1]):
            if units[p, k] > 0:
                line = first_line + k
                draft.entry_line[draft.room[1]] = line
                draft.entry_units[draft.room[1]] = units[p, k]
                draft.room[1] += 1
                grams += units[p, k] * c.sku_weight_g[c.line_sku[line]]
                option = option_of(c, line, node[p])
                cost += units[p, k] * (c.option_cents[option] - c.line_open_cents[line]) + c.node_line_cents[node[p]]
        draft.parcel_end[parcel] = draft.room[1]
        cost += c.node_parcel_cents[node[p]] + travel_cents(c, order, dest, node[p], service[p], grams)
    draft.cost[order] = cost
    shift(c, draft, order, -1)


@njit(cache=True)
def take_out(c: Columns, draft: Draft, order: int) -> None:
    """Take all parcels of an order out; its lines are open again."""
    shift(c, draft, order, 1)
    draft.order_count[order] = 0
    cost = 0
    for line in range(c.order_line_start[order], c.order_line_start[order + 1]):
        cost += c.line_qty[line] * c.line_open_cents[line]
    draft.cost[order] = cost


@njit(cache=True)
def put_back(c: Columns, draft: Draft, order: int, first: int, count: int, dest: int, cost: int) -> None:
    """Give an order the parcels back that were taken out before."""
    draft.order_first[order], draft.order_count[order] = first, count
    draft.order_dest[order], draft.cost[order] = dest, cost
    shift(c, draft, order, -1)


@njit(cache=True)
def shift(c: Columns, draft: Draft, order: int, sign: int) -> None:
    """Add what an order draws to what is left (sign 1), or take it away (-1)."""
    shift_in(c, draft, order, sign, draft.left, draft.node_left)


@njit(cache=True)
def release(c: Columns, draft: Draft, orders: Ints, left: Ints, node_left: Ints) -> None:
    """Add what some orders draw to (R,) `left` and (J,) `node_left`; the draft stays as it is."""
    for order in orders:
        shift_in(c, draft, order, 1, left, node_left)


@njit(cache=True)
def shift_in(c: Columns, draft: Draft, order: int, sign: int, left: Ints, node_left: Ints) -> None:
    """Do so in these columns."""
    for parcel in range(draft.order_first[order], draft.order_first[order] + draft.order_count[order]):
        node = draft.parcel_node[parcel]
        if node_left[node] < NO_LIMIT // 2:
            node_left[node] += sign
        for entry in range(draft.parcel_start[parcel], draft.parcel_end[parcel]):
            option = option_of(c, draft.entry_line[entry], node)
            for w in range(c.option_row.shape[1]):
                row = c.option_row[option, w]
                if row >= 0:
                    left[row] += sign * draft.entry_units[entry] * c.option_use[option, w]


@njit(cache=True)
def overtime_of(c: Columns, draft: Draft, order: int) -> int:
    """What would be saved in overtime if the order's parcels were not made."""
    cents = 0
    first, end = draft.order_first[order], draft.order_first[order] + draft.order_count[order]
    for parcel in range(first, end):
        node = draft.parcel_node[parcel]
        earlier = 0
        for other in range(first, parcel):
            if draft.parcel_node[other] == node:
                earlier += 1
        if draft.node_left[node] + earlier < 0:
            cents += c.node_overtime_cents[node]
    return cents


def owners(draft: Draft) -> tuple[Ints, Ints]:
    """List the parcels in use: (P,) the order of each, and (P,) its place in the draft."""
    return np.repeat(np.arange(len(draft.order_count)), draft.order_count), _ranges(
        draft.order_first, draft.order_count
    )


def _live(draft: Draft) -> tuple[Ints, Ints, Ints]:
    """Parcels and entries in use, order by order: parcel indices, (P + 1,) entry starts, entry indices."""
    parcels = _ranges(draft.order_first, draft.order_count)
    lengths = draft.parcel_end[parcels] - draft.parcel_start[parcels]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return parcels, starts, _ranges(draft.parcel_start[parcels], lengths)


def _ranges(first: Ints, count: Ints) -> Ints:
    """Concatenate `first[i], first[i] + 1, ...`, `count[i]` of each."""
    starts = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    return np.arange(starts[-1]) - np.repeat(starts[:-1] - first, count)


def _padded(column: Ints, length: int) -> Ints:
    padded = np.zeros(length, dtype=np.int64)
    padded[: len(column)] = column
    return padded


__all__ = [
    "Draft",
    "copy_draft",
    "cost_of",
    "new_draft",
    "plan_of",
    "serve_as",
    "serve_in_turn",
]
