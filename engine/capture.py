"""Capture: orders are placed, decided and allocated in one transaction, and each has its answer.

The policy of each order's channel decides for all orders of that channel that came together; one order is a batch of one. Stock
counts what it was worth to other orders in the last wave, so that a rare unit is not spent on an order that could have had
another. Rows are locked only once it is decided; where somebody else took the units meanwhile, those orders are decided again,
on rows that are locked by then. Whatever a policy does, an order that was taken in stays: what is not allocated is open, and
the next wave sees it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.ahead import Lookout, lookout_of
from engine.catalogue import Catalogue, read_catalogue
from engine.commit import commit
from engine.database import Database, Rows, Tx
from engine.decisions import Outcome, decide
from engine.facts import OrderPlaced
from engine.placing import Placed, place
from engine.snapshot import Snapshot, read_snapshot
from solver.effort import Effort, unwatched
from solver.policies import AHEAD
from solver.problem import Ints

TRIES = 3
"""How often orders are decided again whose units somebody else took."""
SECONDS = 0.25
"""What a policy may think while the transaction is open: little, since everybody else waits for what it locks."""


@dataclass(frozen=True)
class Captured:
    """The answer to one order: what `place` says, and how it stands now (nothing where it was refused)."""

    placed: Placed
    state: str = ""
    promise_day: int | None = None
    allocated: int = 0
    open: int = 0
    version: int = 0


def capture(
    database: Database,
    orders: Sequence[OrderPlaced],
    at: int,
    *,
    by: str = "",
    seconds: float = SECONDS,
    seed: int = 0,
) -> list[Captured]:
    """Take orders in and allocate them.

    Parameters
    ----------
    at
        Milliseconds, now.
    by
        The key that sent them.
    seconds
        What deciding may take, of each policy; when they are over it takes what it finds at once.

    Returns
    -------
    list of Captured
        One for each order. An order that was there already is answered as it stands.
    """
    lookout = lookout_of(database)
    return database.write(
        lambda tx: capture_in(tx, orders, at, by=by, seconds=seconds, seed=seed, lookout=lookout),
    )


def capture_in(
    tx: Tx,
    orders: Sequence[OrderPlaced],
    at: int,
    *,
    by: str = "",
    seconds: float = SECONDS,
    seed: int = 0,
    lookout: Lookout | None = None,
) -> list[Captured]:
    """The same within a transaction; without a lookout, no policy can look ahead."""
    placed = place(tx, orders, by=by, now=at)
    catalogue = read_catalogue(tx, at)
    new = [(one.no, order) for one, order in zip(placed, orders, strict=True) if one.outcome == "new"]
    sku = np.array([catalogue.sku_at[line.sku] for _, order in new for line in order.lines], dtype=np.int64)
    order_no = np.array([no for no, _ in new], dtype=np.int64)
    allocate(tx, catalogue, order_no, sku, at, seconds=seconds, seed=seed, lookout=lookout or Lookout())
    return _answers(tx, placed)


def allocate(
    tx: Tx,
    catalogue: Catalogue,
    order_no: Ints,
    sku: Ints,
    at: int,
    *,
    lookout: Lookout,
    seconds: float = SECONDS,
    seed: int = 0,
) -> int:
    """Decide orders that were placed in this transaction by the policies of their channels, and commit what holds.

    Parameters
    ----------
    sku
        Indices of the SKUs that they ask for.

    Returns
    -------
    int
        Orders that could not be committed after all tries; they stay as they were.
    """
    left = order_no
    for attempt in range(TRIES):
        if not len(left):
            break
        snapshot = read_snapshot(tx, catalogue, left, at, sku)
        channels = np.unique(snapshot.order_channel).tolist()
        if attempt or len(channels) > 1:
            _lock_stock_of(tx, snapshot)
            snapshot = read_snapshot(tx, catalogue, left, at, sku)
        again = [_allocate_by(tx, catalogue, snapshot, of, at, seconds, seed, lookout) for of in channels]
        left = np.concatenate([np.zeros(0, dtype=np.int64), *again])
    return len(left)


def _lock_stock_of(tx: Tx, snapshot: Snapshot) -> None:
    """Lock all that these orders could take, in the order that everybody keeps: what is read now is there at the commit."""
    if tx.dialect == "postgresql" and len(snapshot.stock.sku):
        tx.all(
            "SELECT 1 FROM stock WHERE sku_no IN (SELECT no FROM {rows}) ORDER BY sku_no, node_no FOR NO KEY UPDATE",
            Rows(no=snapshot.catalogue.sku_no[np.unique(snapshot.stock.sku)]),
        )


def _allocate_by(
    tx: Tx, catalogue: Catalogue, snapshot: Snapshot, channel: int, at: int, seconds: float, seed: int, lookout: Lookout
) -> Ints:
    """Decide the orders of one channel; give back the numbers of those to be decided again.

    A policy that looks ahead knows by itself what stock is worth: what it was worth in the last wave would be charged twice.
    """
    rules, chosen = catalogue.channels[channel], snapshot.order_channel == channel
    own = snapshot if chosen.all() else read_snapshot(tx, catalogue, snapshot.order_no[chosen], at)
    problem = own.problem(stock_values=rules.stock_values and rules.policy not in AHEAD)
    ahead = lookout.at_capture(tx, own, rules.policy, rules.shadow)
    decided = decide(problem, rules.policy, Effort(seconds=seconds), seed, unwatched, ahead.get(rules.policy))
    outcome = Outcome(own, decided, "")
    committed = commit(tx, outcome.proposal(np.arange(problem.orders)), at, new=not len(own.held.order))
    done = np.flatnonzero(committed.done)
    if rules.shadow and len(done):  # an order that is decided again is noted when that is committed
        beside = decide(problem, rules.shadow, Effort(seconds=seconds), seed, unwatched, ahead.get(rules.shadow))
        cents, live = Outcome(own, beside, "").cost_cents, outcome.cost_cents
        names = [own.orders.order_id[i] for i in done.tolist()]
        note_shadow(tx, at, names, beside.policy, cents[done], decided.policy, live[done])
    again: Ints = own.order_no[~committed.done]
    return again


def note_shadow(
    tx: Tx, at: int, refs: Sequence[str], policy: str, cents: Ints, live: str, live_cents: Ints, body: str = "{}"
) -> None:
    """Keep what another policy would have paid beside what the live one pays."""
    tx.run(
        "INSERT INTO shadow (at, ref, policy, cost_cents, live, live_cents, body) "
        "SELECT :at, ref, :policy, cost, :live, live_cost, :body FROM {rows}",
        Rows(ref=list(refs), cost=cents, live_cost=live_cents),
        at=at,
        policy=policy,
        live=live,
        body=body,
    )


def _answers(tx: Tx, placed: Sequence[Placed]) -> list[Captured]:
    known = [one.no for one in placed if one.no is not None]
    found = (
        {
            row[0]: row[1:]
            for row in tx.all(
                "SELECT no, state, promise_day, allocated, open, version FROM orders WHERE no IN (SELECT no FROM {rows})",
                Rows(no=known),
            )
        }
        if known
        else {}
    )
    return [Captured(one) if one.no is None else Captured(one, *found[one.no]) for one in placed]
