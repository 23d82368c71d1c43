"""Waves: all that is not released is decided anew, jointly, and never against a promise that was made.

A wave claims its orders by a lease, so that two workers never decide the same ones; a worker that dies loses its lease, and the
next wave takes them and says that the one before failed. Then it reads a snapshot, decides, and commits: nothing is locked while
it thinks. Orders whose promise the plan would break keep what they have. What the plan says a unit of stock was worth to other
orders is what it costs at capture from then on.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from engine.ahead import Ahead, lookout_of
from engine.capture import note_shadow
from engine.catalogue import read_catalogue
from engine.commit import Committed, Proposal, commit
from engine.database import Database, Rows, Tx
from engine.decisions import VERSION, Decided, Outcome, breaks_promise, decide
from engine.facts import short_id
from engine.orders import lease_orders, unlease_orders
from engine.reads import gap
from engine.snapshot import Snapshot, read_snapshot
from solver.bill import bill, order_bills
from solver.draft import Draft, new_draft, plan_of, serve_in_turn
from solver.effort import Effort, Meter, Watch, unwatched
from solver.plan import Plan, units_by_line
from solver.policies import AHEAD
from solver.problem import NO_LIMIT, NO_SERVICE, Bools, Ints, Problem

TOGETHER = 1_000
"""Orders that are committed in one transaction, so that capture never waits long for the rows of a wave."""
LEASE_MS = 60_000
"""What a worker has beyond the time to decide before its orders are anybody's again."""
MOST = 200_000
COMPLETING = 0.2
"""Of the time to decide, what serving open orders on what is left beside the orders as they are may take."""
Timer = Callable[[], float]


@dataclass(frozen=True)
class WaveDone:
    """What came of a wave.

    Attributes
    ----------
    orders, lines
        What was decided.
    changed, conflicts, kept
        Orders that are served otherwise than before; for which the plan did not hold any more, the second one neither;
        that keep what was promised.
    cost_cents, bound_cents
        Of the plan, and the least that any plan costs.
    before_cents
        What the same orders cost as they were.
    """

    id: str
    orders: int = 0
    lines: int = 0
    changed: int = 0
    conflicts: int = 0
    kept: int = 0
    cost_cents: int = 0
    bound_cents: float = 0.0
    before_cents: int = 0
    policy: str = ""
    note: str = ""
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """How far from optimal it can be, as a share of its cost."""
        return gap(self.cost_cents, self.bound_cents) or 0.0


def run_wave(
    database: Database,
    at: int,
    *,
    worker: str,
    policy: str = "joint",
    shadow: str | None = None,
    effort: Effort | None = None,
    seed: int = 0,
    limit: int = MOST,
    dry: bool = False,
    timer: Timer = lambda: 0.0,
    watch: Watch = unwatched,
) -> WaveDone:
    """Decide all that is open or allocated, and commit it.

    Parameters
    ----------
    at
        Milliseconds, now.
    worker
        Who leases the orders; no two at the same time have the same name.
    shadow
        A policy that decides beside; what it would cost is kept.
    limit
        Orders at most: by priority, those with open units first, and then by time.
    dry
        Decide and say what would come of it, and change nothing.
    timer
        Read before and after (`time.perf_counter`), for the seconds that are reported.

    Raises
    ------
    Refusal
        `no_network`: there is no node, or no service, yet.
    """
    effort = effort or Effort(seconds=10.0)
    began = timer()
    wave = WaveDone(short_id("wav", worker, str(at)), policy=policy)
    if dry:
        with database.read() as tx:
            order_no = _all_orders(tx, limit)
            snapshot = read_snapshot(tx, read_catalogue(tx, at), order_no, at)
            ahead = lookout_of(database).in_wave(tx, snapshot, policy, forget=True)
        return replace(
            _decided(snapshot, wave, policy, effort, seed, watch, ahead.get(policy))[0], seconds=timer() - began
        )
    with database.read() as tx:
        read_catalogue(tx, at)  # refused before anything is written where there is nothing to decide with
    until = at + LEASE_MS + int(3 * 1000 * (effort.seconds or 0.0))  # some orders are decided up to three times
    leased = np.array(database.write(lambda tx: _begin(tx, wave, worker, at, until, limit, seed)), dtype=np.int64)
    try:
        with database.read() as tx:
            snapshot = read_snapshot(tx, read_catalogue(tx, at), leased, at)
            ahead = lookout_of(database).in_wave(tx, snapshot, policy, shadow)
        wave, decided, keep = _decided(snapshot, wave, policy, effort, seed, watch, ahead.get(policy))
        changed, left = _commit(database, Outcome(snapshot, decided, wave.id), np.flatnonzero(~keep), at)
        wave = replace(wave, changed=changed, policy=decided.policy, note=decided.note)
        if len(left):
            wave = _decide_again(database, wave, snapshot.order_no[left], policy, effort, seed, at)
        late = _overdue(snapshot, decided)
        if len(late):
            wave = _decide_again(database, wave, late, policy, effort, seed, at, overdue=True)
        wave = replace(wave, seconds=timer() - began)
        if shadow and snapshot.order_no.size:
            beside = decide(decided.problem, shadow, effort, seed, unwatched, ahead.get(shadow))
            database.write(lambda tx: _note_shadow(tx, wave, beside, at))
        database.write(lambda tx: _end(tx, wave, snapshot, decided, at))
        return wave
    except BaseException:
        database.write(lambda tx: _fail(tx, wave, at))
        raise
    finally:
        database.write(lambda tx: unlease_orders(tx, worker, leased.tolist()))


def _begin(tx: Tx, wave: WaveDone, worker: str, at: int, until: int, limit: int, seed: int) -> list[int]:
    tx.run(
        "UPDATE wave SET state = 'failed', ended_at = :at, note = 'its process ended' "
        "WHERE state = 'deciding' AND until <= :at",
        at=at,
    )
    tx.run(
        "INSERT INTO wave (id, at, until, policy, version, seed) VALUES (:id, :at, :until, :policy, :version, :seed) "
        "ON CONFLICT (id) DO NOTHING",
        id=wave.id, at=at, until=until, policy=wave.policy, version=VERSION, seed=seed,
    )  # fmt: skip
    return lease_orders(tx, worker, at, until, limit)


def _all_orders(tx: Tx, limit: int) -> Ints:
    chosen: Ints = tx.ints(
        1,
        "SELECT no FROM (SELECT no, priority, placed_at FROM orders WHERE open + allocated > 0 AND NOT review "
        "ORDER BY priority, open = 0, placed_at, no LIMIT :limit) AS chosen ORDER BY priority, placed_at, no",
        limit=limit,
    )[0]
    return chosen


def _decided(
    snapshot: Snapshot,
    wave: WaveDone,
    policy: str,
    effort: Effort,
    seed: int,
    watch: Watch,
    ahead: Ahead | None,
    *,
    overdue: bool = False,
) -> tuple[WaveDone, Decided, Bools]:
    """Decide a snapshot. Where the orders as they are, with open ones served on what is left, cost no more, they stay so.

    Not beside a plan that looks ahead: what it costs more now, it keeps for later.
    """
    problem = snapshot.problem(stock_values=False, overdue=overdue)
    decided = decide(problem, policy, effort, seed, watch, ahead)
    before = plan_before(snapshot, problem)
    before_cents = sum(bill(problem, before).values())
    if decided.policy not in AHEAD:
        decided = replace(decided, plan=_or_as_before(problem, decided.plan, before, effort))
    keep = breaks_promise(snapshot, decided, before)
    wave = replace(
        wave,
        orders=problem.orders,
        lines=problem.lines,
        kept=int(keep.sum()),
        cost_cents=decided.plan.cost_cents,
        bound_cents=float(min(decided.plan.cost_cents, math.ceil(decided.plan.bound_cents - 1e-6))),  # whole cents
        before_cents=before_cents,
        policy=decided.policy,
        note=decided.note,
    )
    return wave, decided, keep


def _or_as_before(problem: Problem, plan: Plan, before: Plan, effort: Effort) -> Plan:
    """A plan, or what the orders have, with open ones served on what is left, where that costs no more."""
    same = completed(problem, before, Meter(effort).within(COMPLETING))
    cents = sum(bill(problem, same).values())
    if cents > plan.cost_cents:
        return plan
    return replace(
        same, cost_cents=cents, bound_cents=min(plan.bound_cents, cents), seed=plan.seed, row_price=plan.row_price,
        node_price=plan.node_price,
    )  # fmt: skip


def plan_before(snapshot: Snapshot, problem: Problem) -> Plan:
    """What the orders hold now, as a plan of the same problem. Claims that would be no option any more count as open."""
    held = snapshot.held
    service_at = {name: m for m, name in enumerate(problem.service_id)} | {"": NO_SERVICE}
    service = np.array([service_at.get(name, -2) for name in held.service], dtype=np.int64)
    option = problem.find_options(held.line, held.node)
    known = np.flatnonzero((option >= 0) & (service >= NO_SERVICE))
    order, line, node, service, units = (
        column[known] for column in (held.order, held.line, held.node, service, held.units)
    )
    dest = problem.order_dest_start[order].copy()
    for i in np.flatnonzero(np.diff(problem.order_dest_start)[order] > 1).tolist():
        first, end = problem.order_dest_start[order[i] : order[i] + 2]
        at = np.flatnonzero(problem.dest_node[first:end] == node[i])
        dest[i] = first + (at[0] if service[i] == NO_SERVICE and len(at) else 0)
    one, collected = problem.order_dest_start[:-1].copy(), service == NO_SERVICE
    one[order[collected]] = dest[collected]  # an order ends in one place
    dest = one[order]
    keys, parcel = np.unique(np.stack([order, node, service, dest]), axis=1, return_inverse=True)
    by = np.lexsort((line, parcel.ravel()))
    starts = np.searchsorted(parcel.ravel()[by], np.arange(keys.shape[1] + 1))
    return Plan(
        keys[0], keys[1], keys[2], keys[3], starts.astype(np.int64), line[by], units[by], 0, 0.0, policy="before"
    )


def completed(problem: Problem, plan: Plan, meter: Meter) -> Plan:
    """A plan with its open orders served in turn on what it leaves, where that costs less."""
    still_open = problem.line_qty > units_by_line(problem, plan)
    orders = np.unique(problem.line_order[still_open])
    if not len(orders):
        return plan
    draft = serve_in_turn(problem, _draft_of(problem, plan), orders, improve=True, over=lambda: meter.spent)
    return plan_of(problem, draft, 0.0, plan.row_price, plan.node_price, 0.0, plan.policy or "", 0)


def _draft_of(problem: Problem, plan: Plan) -> Draft:
    """A plan, its parcels in the sequence of their orders, as a draft to go on from."""
    empty, left = new_draft(problem), _left_by(problem, plan)
    made = np.bincount(plan.parcel_node, minlength=problem.nodes)
    dest = problem.order_dest_start[:-1].copy()
    dest[plan.parcel_order] = plan.parcel_dest
    first = np.searchsorted(plan.parcel_order, np.arange(problem.orders + 1)).astype(np.int64)
    room, entry_room = empty.parcel_node, empty.entry_line
    return Draft(
        order_first=first[:-1].copy(),
        order_count=np.diff(first),
        order_dest=dest,
        cost=np.sum([*order_bills(problem, plan).values()], axis=0),
        parcel_node=np.concatenate([plan.parcel_node, room]),
        parcel_service=np.concatenate([plan.parcel_service, room]),
        parcel_start=np.concatenate([plan.entry_start[:-1], room]),
        parcel_end=np.concatenate([plan.entry_start[1:], room]),
        entry_line=np.concatenate([plan.entry_line, entry_room]),
        entry_units=np.concatenate([plan.entry_units, entry_room]),
        room=np.array([plan.parcels, len(plan.entry_line), 0], dtype=np.int64),
        left=left,
        node_left=problem.node_capacity_parcels - np.where(problem.node_capacity_parcels < NO_LIMIT // 2, made, 0),
    )


def _left_by(problem: Problem, plan: Plan) -> Ints:
    """(R,) what a plan leaves of each row."""
    option = problem.find_options(plan.entry_line, plan.parcel_node[plan.entry_parcel])
    row, drawn = problem.option_row[option], problem.option_use[option] * plan.entry_units[:, None]
    left: Ints = problem.row_limit - np.bincount(row[row >= 0], drawn[row >= 0], minlength=problem.rows).astype(
        np.int64
    )
    return left


def _overdue(snapshot: Snapshot, decided: Decided) -> Ints:
    """Orders with units left open though some are left, where lateness may be why: too late is better than never."""
    problem = decided.problem
    row, left = problem.option_row, _left_by(problem, decided.plan)
    fits = ((row < 0) | (left[row] >= problem.option_use)).all(axis=1)
    to_be_had = np.zeros(problem.lines, dtype=np.bool_)
    to_be_had[problem.option_line[fits & (problem.option_reason == 0)]] = True
    waits = to_be_had & (units_by_line(problem, decided.plan) < problem.line_qty)
    late = snapshot.order_promised | (snapshot.orders.order_promise_day < snapshot.today)
    late[np.setdiff1d(np.arange(problem.orders), problem.line_order[waits])] = False
    return snapshot.order_no[late]


def _decide_again(
    database: Database,
    wave: WaveDone,
    order_no: Ints,
    policy: str,
    effort: Effort,
    seed: int,
    at: int,
    *,
    overdue: bool = False,
) -> WaveDone:
    """Decide orders once again, on what there is now, and commit that: where the plan did not hold, or lateness was in the way."""
    with database.read() as tx:
        snapshot = read_snapshot(tx, read_catalogue(tx, at), order_no, at)
        ahead = lookout_of(database).in_wave(tx, snapshot, policy, forget=True)
    again, decided, keep = _decided(snapshot, wave, policy, effort, seed, unwatched, ahead.get(policy), overdue=overdue)
    changed, left = _commit(database, Outcome(snapshot, decided, wave.id), np.flatnonzero(~keep), at)
    kept = 0 if overdue else again.kept  # those were counted
    return replace(wave, changed=wave.changed + changed, conflicts=wave.conflicts + len(left), kept=wave.kept + kept)


def _commit(database: Database, outcome: Outcome, orders: Ints, at: int) -> tuple[int, Ints]:
    """Commit a plan some orders at a time, and then, all at once, those that waited for units of others.

    Returns
    -------
    int
        Orders that changed.
    ndarray
        Those that could not.
    """
    changed, late = 0, []
    pieces = [orders[first : first + TOGETHER] for first in range(0, len(orders), TOGETHER)]
    with ThreadPoolExecutor(1) as ahead:  # the next one is written out while the database works on this one
        for piece, proposal in zip(pieces, ahead.map(outcome.proposal, pieces), strict=True):
            committed = _commit_some(database, proposal, at)
            changed += committed.changed
            late.append(piece[~committed.done])
    rest = np.concatenate([np.zeros(0, dtype=np.int64), *late])
    if len(late) > 1 and len(rest):
        committed = _commit_some(database, outcome.proposal(rest), at)
        changed, rest = changed + committed.changed, rest[~committed.done]
    return changed, rest


def _commit_some(database: Database, proposal: Proposal, at: int) -> Committed:
    return database.write(lambda tx: commit(tx, proposal, at))


def _note_shadow(tx: Tx, wave: WaveDone, beside: Decided, at: int) -> None:
    live = np.array([wave.cost_cents], dtype=np.int64)
    note_shadow(tx, at, [wave.id], beside.policy, np.array([beside.plan.cost_cents], dtype=np.int64), wave.policy, live)


def _end(tx: Tx, wave: WaveDone, snapshot: Snapshot, decided: Decided, at: int) -> None:
    """Write down how good it was, and what stock is worth from now on."""
    tx.run(
        "UPDATE wave SET state = 'done', policy = :policy, orders = :orders, lines = :lines, changed = :changed, "
        "conflicts = :conflicts, cost_cents = :cost, bound_cents = :bound, before_cents = :before, seconds = :seconds, "
        "ended_at = :at, note = :note WHERE id = :id",
        policy=wave.policy, orders=wave.orders, lines=wave.lines, changed=wave.changed, conflicts=wave.conflicts,
        cost=wave.cost_cents, bound=wave.bound_cents, before=wave.before_cents, seconds=wave.seconds,
        at=at + int(1000 * wave.seconds), note=wave.note, id=wave.id,
    )  # fmt: skip
    problem, price = decided.problem, decided.plan.row_price
    row = np.flatnonzero((problem.row_sku >= 0) & (problem.row_node >= 0))
    worth = np.round(price[row]).astype(np.int64) if len(price) else np.zeros(len(row), dtype=np.int64)
    catalogue = snapshot.catalogue
    sku_at = {name: k for k, name in enumerate(catalogue.columns.empty.sku_id)}
    sku = catalogue.sku_no[[sku_at[name] for name in problem.sku_id]] if problem.sku_id else np.zeros(0, dtype=np.int64)
    forgotten = tx.ints(2, "SELECT sku_no, node_no FROM stock WHERE value_cents > 0")
    forgotten = forgotten[:, ~np.isin(forgotten[0], sku)]
    if forgotten.size:
        forgotten = forgotten[:, ~np.isin(forgotten[0], tx.ints(1, _WANTED)[0])]
    _set_values(
        tx,
        np.concatenate([sku[problem.row_sku[row]], forgotten[0]]),
        np.concatenate([catalogue.node_no[problem.row_node[row]], forgotten[1]]),
        np.concatenate([worth, np.zeros(forgotten.shape[1], dtype=np.int64)]),
    )


_WANTED = (
    "SELECT DISTINCT COALESCE(k.part_no, l.sku_no) FROM orders o JOIN order_line l ON l.order_no = o.no "
    "LEFT JOIN kit_part k ON k.kit_no = l.sku_no WHERE o.open + o.allocated > 0 AND l.open + l.allocated > 0"
)
"""SKUs of orders that are not released: where a wave did not see these, what it had of others says nothing about them."""


def _set_values(tx: Tx, sku: Ints, node: Ints, worth: Ints) -> None:
    """Set what stock is worth; rows are locked in the order that everybody keeps."""
    if not len(sku):
        return
    rows = Rows(sku=sku, node=node, worth=worth)
    if tx.dialect == "postgresql":
        tx.all(
            "SELECT 1 FROM stock JOIN {rows} ON sku_no = sku AND node_no = node WHERE value_cents <> worth "
            "ORDER BY sku_no, node_no FOR NO KEY UPDATE OF stock",
            rows,
        )
    tx.run(
        "UPDATE stock SET value_cents = worth FROM {rows} WHERE sku_no = sku AND node_no = node AND value_cents <> worth",
        rows,
    )


def _fail(tx: Tx, wave: WaveDone, at: int) -> None:
    tx.run("UPDATE wave SET state = 'failed', ended_at = :at WHERE id = :id AND state = 'deciding'", at=at, id=wave.id)
