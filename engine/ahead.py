"""Looking ahead, live: what is expected by the orders in the database, the present at a decision, what policies remember.

What takes long is never done while somebody waits. `Lookout.prepare`, which every process of the service calls in the background,
reads the orders of the last weeks once a day, or when the catalogue has changed, fits the outlook, and finds new prices where those
of a policy are old. Capture decides at the prices that are there, and its record says so where there are none yet. A wave finds
its own while it thinks, outside of any transaction. All of it is kept in memory, by each process for itself; to lose it costs
no more than to find it again.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from engine.available import inbound_of
from engine.calendar import MINUTES_PER_DAY, MS_PER_DAY, MS_PER_MINUTE
from engine.catalogue import Catalogue, read_catalogue
from engine.database import Ask, Database, Tx, ints_of
from engine.forecast import WINDOW_DAYS
from engine.network import Stock, sorted_stock
from engine.outlook import DemandOutlook
from engine.snapshot import Snapshot, destinations, free_stock, read_snapshot
from engine.sourcing import OpenOrders, parts_of
from solver.effort import Effort, Watch, unwatched
from solver.outlook import Present
from solver.plan import Plan
from solver.policies import AHEAD, decide, make, needs_outlook
from solver.policies.bid_price import Remembered
from solver.problem import NO_LIMIT, Floats, Ints, Problem
from solver.refusal import Refusal

PRICED = ("bid_price", "sampled_futures")
"""Those that find prices, which takes long."""
MOST = 100_000
"""Orders of the past that an outlook is made of, the newest."""
MOST_OPEN = 2_000
"""Open orders that are priced together with those to come, at most."""


@dataclass(frozen=True, eq=False)
class Ahead:
    """What a policy that looks ahead is told at one decision.

    Attributes
    ----------
    outlook
        `None` where there is none, and `why`.
    memory
        What each policy remembers, by its name; what this one does is written down here.
    """

    policy: str
    present: Present
    outlook: DemandOutlook | None
    why: str
    memory: dict[str, Any]

    def decide(self, problem: Problem, effort: Effort, seed: int, watch: Watch = unwatched) -> Plan:
        """Let the policy decide.

        Raises
        ------
        Refusal
            `no_outlook`, `no_prices`: it cannot do without what is not there.
        """
        if self.outlook is None and needs_outlook(self.policy):
            raise Refusal("policy", f"has no outlook: {self.why}", "no_outlook")
        policy = make(self.policy, effort, seed, watch, outlook=self.outlook)
        plan, self.memory[self.policy] = decide(policy, problem, lambda: self.present, self.memory.get(self.policy))
        return plan


@dataclass(frozen=True, eq=False)
class _Known:
    """An outlook, the day and the catalogue that it was made of, and what policies remember at capture and in waves."""

    stamp: str = ""
    day: int = -1
    shape: tuple[int, int] = (0, 0)
    outlook: DemandOutlook | None = None
    why: str = "none was made yet"
    captures: dict[str, Any] = field(default_factory=dict)
    waves: dict[str, Any] = field(default_factory=dict)


class Lookout:
    """What one process knows of the days to come."""

    def __init__(self) -> None:
        self._known = _Known()
        self._making = threading.Lock()

    def prepare(self, database: Database, at: int) -> None:
        """Make ready what capture needs for the channels whose policy, or shadow, looks ahead; nothing where all is.

        Where anything ever came back, the outlook is made for returns as well (`expected`).

        Parameters
        ----------
        at
            Milliseconds, now.
        """
        with database.read() as tx:
            named = {name for row in tx.all("SELECT policy, shadow FROM channel") for name in row}
            if not named.intersection(AHEAD) and tx.first("SELECT 1 FROM rma LIMIT 1") is None:
                return
            catalogue = read_catalogue(tx, at)
            known = self._refreshed(tx, catalogue, at)
            old = [name for name in PRICED if name in named and _is_old(known.captures.get(name), at)]
            if not old or known.outlook is None:
                return
            snapshot = read_snapshot(tx, catalogue, _open_orders(tx), at)
            present = read_present(tx, snapshot, hurry=False)
        problem = snapshot.problem(stock_values=False)
        for name in old:
            Ahead(name, present, known.outlook, known.why, known.captures).decide(problem, Effort(), seed=0)

    def at_capture(self, tx: Tx, snapshot: Snapshot, *policies: str | None) -> Mapping[str | None, Ahead]:
        """What those of the policies that look ahead are told at capture, where somebody waits: what is known already."""
        known = self._known
        if known.shape != _shape(snapshot.catalogue):  # prices count nodes and SKUs as another catalogue did
            known = _Known(why="none was made on this catalogue yet") if known.stamp else _Known()
        return _told(tx, snapshot, policies, known, known.captures, hurry=True)

    def in_wave(
        self, tx: Tx, snapshot: Snapshot, *policies: str | None, forget: bool = False
    ) -> Mapping[str | None, Ahead]:
        """The same in a wave, for which the outlook is made if there is none of today.

        Parameters
        ----------
        forget
            Remember nothing of it: it is dry, or of a part of the wave's orders.
        """
        if not set(policies).intersection(AHEAD):
            return {}
        known = self._refreshed(tx, snapshot.catalogue, snapshot.at)
        return _told(tx, snapshot, policies, known, {**known.waves} if forget else known.waves, hurry=False)

    def expected(self, tx: Tx, catalogue: Catalogue, sku: Ints, at: int, days: tuple[float, ...]) -> Floats | None:
        """(d, n, J) units of some SKUs asked for closest to each node until the SKU's next receipt, or for so many days.

        `None` where no outlook was made on this catalogue yet: nobody waits for one.
        """
        known = self._known
        if known.outlook is None or known.shape != _shape(catalogue):
            return None
        coming = inbound_of(tx, catalogue, sku)
        minute, none = at // MS_PER_MINUTE, np.zeros(0, dtype=np.int64)
        due = np.maximum((coming[2] + 1) * MINUTES_PER_DAY - 1, minute + 1)
        by = np.argsort(due, kind="stable")
        present = Present(
            minute, catalogue.sku_at, none, none, none, due[by], coming[0][by], coming[1][by], coming[3][by], hurry=True
        )
        return np.stack([known.outlook.expected(present, sku, days=one) for one in days])

    def _refreshed(self, tx: Tx, catalogue: Catalogue, at: int) -> _Known:
        """The outlook of today on this catalogue, made and fitted where there is none."""
        day = at // MS_PER_DAY
        with self._making:
            known = self._known
            if (known.stamp, known.day) != (catalogue.stamp, day):
                made = _Known(catalogue.stamp, day, _shape(catalogue), *_outlook(tx, catalogue, at))
                if made.shape == known.shape:
                    made = replace(made, captures=known.captures, waves=known.waves)
                self._known = known = made
        return known


_lookouts: WeakKeyDictionary[Database, Lookout] = WeakKeyDictionary()


def lookout_of(database: Database) -> Lookout:
    """The one lookout of this process on a database."""
    return _lookouts.setdefault(database, Lookout())


def read_present(tx: Tx, snapshot: Snapshot, *, hurry: bool) -> Present:
    """What is known at the minute of a snapshot: what its orders hold counts as free, and what is paused has nothing.

    Announced units come by the end of the day on which they are due, or of today where that has passed.

    Parameters
    ----------
    hurry
        Tell of the SKUs that are asked for alone, and find nothing that takes long.
    """
    catalogue, stock = snapshot.catalogue, snapshot.stock
    if hurry:
        sku = np.union1d(stock.sku, snapshot.orders.line_sku).astype(np.int64)
    else:
        sku = np.arange(catalogue.columns.skus)
        stock = _completed(stock, free_stock(tx, catalogue, sku))
    coming = inbound_of(tx, catalogue, sku)
    due = np.maximum(coming[2], snapshot.minute // MINUTES_PER_DAY)
    at = np.maximum(due * MINUTES_PER_DAY + MINUTES_PER_DAY - 1, snapshot.minute + 1)
    by = np.argsort(at, kind="stable")
    return Present(
        snapshot.minute, catalogue.sku_at, stock.sku, stock.node, np.where(catalogue.paused[stock.node], 0, stock.units),
        at[by], coming[0][by], coming[1][by], coming[3][by], hurry=hurry,
    )  # fmt: skip


def past_orders(tx: Tx, catalogue: Catalogue, at: int) -> tuple[Ints, OpenOrders]:
    """What was ordered in the days that a forecast looks back on: (O,) minutes, ascending, and the orders, without names.

    Units that were cancelled are left out; of kits, the parts are what was asked for.
    """
    since = at - WINDOW_DAYS * MS_PER_DAY
    rows, found = tx.together(
        *(Ask(sql, since=since, until=at, most=MOST) for sql in (_PAST, _PAST_LINES)),
    )
    no, placed_at, promise_day, late, complete = ints_of([row[:5] for row in rows], 5)
    order_no, line_sku, qty, unfilled = ints_of(found, 4)
    by = np.argsort(no)
    line_order = by[np.searchsorted(no[by], order_no)]
    entry, sku, units = parts_of(catalogue.kits, catalogue.skus_of(line_sku), qty)
    pieces = np.bincount(entry, weights=units, minlength=len(qty)).astype(np.int64)
    dest_start, lat, lon, node = destinations(catalogue, [row[6:9] for row in rows])
    return placed_at // MS_PER_MINUTE, OpenOrders(
        order_id=("",) * len(rows),
        order_line_start=np.searchsorted(line_order[entry], np.arange(len(rows) + 1)).astype(np.int64),
        order_dest_start=dest_start,
        order_promise_day=promise_day,
        order_late_cents=late,
        order_max_parcels=np.array([NO_LIMIT if row[5] is None else row[5] for row in rows], dtype=np.int64),
        order_ship_complete=complete.astype(np.bool_),
        dest_node=node,
        dest_lat=lat,
        dest_lon=lon,
        line_sku=sku,
        line_qty=units,
        line_unfilled_cents=(unfilled * qty // pieces)[entry],
        line_must_fill=np.zeros(len(sku), dtype=np.bool_),
    )


_CHOSEN = (
    "(SELECT no, placed_at, promise_day, late_cents, ship_complete, max_parcels, lat, lon, pickup FROM orders "
    "WHERE placed_at >= :since AND placed_at < :until "
    "AND open + allocated + released + shipped + delivered + returned > 0 "
    "ORDER BY placed_at DESC, no DESC LIMIT :most) AS o"
)
_PAST = f"SELECT * FROM {_CHOSEN} ORDER BY placed_at, no"
_PAST_LINES = (
    f"SELECT o.no, l.sku_no, l.qty - l.cancelled, l.unfilled_cents FROM {_CHOSEN} "
    "JOIN order_line l ON l.order_no = o.no WHERE l.qty > l.cancelled ORDER BY o.placed_at, o.no, l.number"
)


def _outlook(tx: Tx, catalogue: Catalogue, at: int) -> tuple[DemandOutlook | None, str]:
    placed_at, orders = past_orders(tx, catalogue, at)
    minute = at // MS_PER_MINUTE
    if not (placed_at // MINUTES_PER_DAY < minute // MINUTES_PER_DAY).any():
        return None, f"nothing was ordered in the {WINDOW_DAYS} days before today"
    outlook = DemandOutlook(catalogue.columns, placed_at, orders, until=minute)
    outlook.forecast(minute)  # fitted here, where nobody waits
    return outlook, ""


def _told(
    tx: Tx, snapshot: Snapshot, policies: tuple[str | None, ...], known: _Known, memory: dict[str, Any], *, hurry: bool
) -> Mapping[str | None, Ahead]:
    names = [name for name in policies if name in AHEAD]
    if not names:
        return {}
    present = read_present(tx, snapshot, hurry=hurry)
    return {name: Ahead(name, present, known.outlook, known.why, memory) for name in names}


def _shape(catalogue: Catalogue) -> tuple[int, int]:
    """Nodes and SKUs: numbers only ascend and none is ever taken away, so the same counts are the same indices."""
    return catalogue.columns.nodes, catalogue.columns.skus


def _is_old(memory: Remembered | None, at: int) -> bool:
    return memory is None or at // MS_PER_MINUTE >= memory.until


def _open_orders(tx: Tx) -> Ints:
    found: Ints = tx.ints(
        1,
        "SELECT no FROM orders WHERE open > 0 AND NOT review ORDER BY priority, placed_at, no LIMIT :most",
        most=MOST_OPEN,
    )[0]
    return found


def _completed(own: Stock, free: Stock) -> Stock:
    """All stock, of some SKUs as it is told already."""
    more = ~np.isin(free.sku, own.sku)
    return sorted_stock(
        np.concatenate([own.node, free.node[more]]),
        np.concatenate([own.sku, free.sku[more]]),
        np.concatenate([own.units, free.units[more]]),
        np.concatenate([own.value_cents, free.value_cents[more]]),
    )


__all__ = ["Ahead", "Lookout", "lookout_of", "past_orders", "read_present"]
