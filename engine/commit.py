"""Commit by check: what a decision wants becomes true in one short transaction, or what still can of it.

Nothing was locked while the decision was made, so its snapshot may be old. Orders that changed since are left as they are. For
the others, the rows of stock that they touch are locked in one order for everybody, and their claims are exchanged *net*: what
one order gives up another may take. Where a row has less than is wanted, the orders of the lowest rank that want more there are
dropped, and with them whoever relied on the units that those would have given back, until what is left holds. An order that is
dropped keeps the claims it had.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.claims import MAKE_DAYS, count_work
from engine.database import Ask, Rows, Tx, ints_of
from engine.facts import Allocated
from engine.groups import groups_of
from engine.ledger import move, new_facts, reserve
from solver.problem import Bools, Ints

CHANGED = "order_changed"
"""The order is not as it was when it was read."""
TAKEN = "stock_taken"
"""Somebody else has the units by now."""
FULL = "node_full"
"""The node has no capacity left on that day."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """What is to become of O orders: C claims and P parcels in place of all that they have and that is not released.

    Attributes
    ----------
    ref
        The wave, or why else; movements and decisions carry it.
    order_no, order_version
        (O,) by rank: where two want the same units, the earlier one has them. Versions are those that were read.
    order_promise_day
        (O,) the day that is promised from now on.
    limited
        Numbers of the nodes that take no more than so much on a day.
    claim_order
        (C,) index into the orders; the other columns hold numbers of rows (`claim_number` is that of the line).
    claim_units, claim_line_units
        (C,) units of stock, and of the line: they differ for the parts of kits.
    parcel_collect
        (P,) the node where it is collected; -1 where it is delivered.
    parcel_units
        (P,) units of lines in it.
    fact
        (O,) what is written down where an order's claims become others.
    body, cost_cents, bound_cents
        (O,) the record of the decision as JSON, what the order costs by it, and what it would cost at least if it were alone.
    """

    ref: str
    policy: str
    version: str
    seed: int
    order_no: Ints
    order_version: Ints
    order_promise_day: Ints
    limited: Ints
    claim_order: Ints
    claim_number: Ints
    claim_sku: Ints
    claim_node: Ints
    claim_service: tuple[str, ...]
    claim_units: Ints
    claim_line_units: Ints
    parcel_order: Ints
    parcel_node: Ints
    parcel_service: tuple[str, ...]
    parcel_collect: Ints
    parcel_work_day: Ints
    parcel_arrives_day: Ints
    parcel_cents: Ints
    parcel_units: Ints
    fact: tuple[Allocated, ...]
    body: tuple[str, ...]
    cost_cents: Ints
    bound_cents: Ints

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        assert len(np.unique(self.order_no)) == len(self.order_no), "an order is proposed once"


@dataclass(frozen=True)
class Committed:
    """What became true: (O,) whether an order has what was proposed, and why it has not ('' where it has)."""

    done: Bools
    why: tuple[str, ...]
    changed: int
    """Orders whose claims are others than before."""

    @property
    def conflicts(self) -> int:
        return int((~self.done).sum())


@dataclass(frozen=True, eq=False)
class _Had:
    """What the orders had: claims and parcels by index of the order."""

    claim_order: Ints
    claim_number: Ints
    claim_sku: Ints
    claim_node: Ints
    claim_units: Ints
    claim_service: tuple[str, ...]
    parcel_order: Ints
    parcel_node: Ints
    parcel_work_day: Ints
    parcel_arrives_day: Ints
    parcel_units: Ints
    parcel_service: tuple[str, ...]


def commit(tx: Tx, proposal: Proposal, at: int, *, new: bool = False) -> Committed:
    """Make a proposal true as far as it still holds.

    Parameters
    ----------
    at
        Milliseconds, of what is written down.
    new
        The orders were placed in this transaction and have nothing yet: nobody else can have changed them.
    """
    active, had = (np.ones(len(proposal.order_no), dtype=np.bool_), _had([], [])) if new else _read(tx, proposal)
    why = np.where(active, "", CHANGED).astype(object)
    stock = _lock_stock(tx, proposal, had, active)
    stock.drop(active, why)
    scarce = [stock, *_lock_days(tx, proposal, had, active)]
    while sum(one.drop(active, why) for one in scarce):  # who is dropped gives neither units nor room to others
        pass
    moved = active & _differs(proposal, had)
    if moved.any():
        _exchange(tx, proposal, had, moved, stock, at)
    left_open = active & ~moved
    if not proposal.ref and left_open.any():  # at capture, why nothing could be had is told as well
        tx.later(_decisions(proposal, left_open, at))
    _let_go(tx, proposal.order_no[active & ~moved])
    return Committed(active, tuple(why), int(moved.sum()))


def _read(tx: Tx, proposal: Proposal) -> tuple[Bools, _Had]:
    """Lock the orders, say which are as they were when the decision was made, and what those have."""
    of = " FOR NO KEY UPDATE OF orders" if tx.dialect == "postgresql" else ""
    rows = Rows(i=np.arange(len(proposal.order_no)), no=proposal.order_no)
    versions, claims, parcels = tx.together(
        Ask(
            "SELECT i, version FROM {rows} JOIN orders ON orders.no = rows.no WHERE NOT review ORDER BY orders.no" + of,
            rows,
        ),
        Ask(
            "SELECT i, number, sku_no, node_no, units, line_units, service FROM {rows} "
            "JOIN claim ON order_no = rows.no",
            rows,
        ),
        Ask("SELECT i, node_no, work_day, arrives_day, service FROM {rows} JOIN parcel ON order_no = rows.no", rows),
    )
    found = ints_of(versions, 2)
    active = np.zeros(len(proposal.order_no), dtype=np.bool_)
    active[found[0]] = proposal.order_version[found[0]] == found[1]
    claims, parcels = ([row for row in table if active[row[0]]] for table in (claims, parcels))
    return active, _had(claims, parcels)


def _had(claims: list[tuple[Any, ...]], parcels: list[tuple[Any, ...]]) -> _Had:
    claim, parcel = ints_of([row[:6] for row in claims], 6), ints_of([row[:4] for row in parcels], 4)
    in_parcel: dict[tuple[int, int, str], dict[int, int]] = {}
    for i, number, _, node, _, line_units, service in claims:
        in_parcel.setdefault((i, node, service), {})[number] = line_units  # the parts of a kit stand for the same units
    units = [sum(in_parcel.get((i, node, service), {}).values()) for i, node, _, _, service in parcels]
    return _Had(
        claim_order=claim[0],
        claim_number=claim[1],
        claim_sku=claim[2],
        claim_node=claim[3],
        claim_units=claim[4],
        claim_service=tuple(row[6] for row in claims),
        parcel_order=parcel[0],
        parcel_node=parcel[1],
        parcel_work_day=parcel[2],
        parcel_arrives_day=parcel[3],
        parcel_units=np.array(units, dtype=np.int64),
        parcel_service=tuple(row[4] for row in parcels),
    )


@dataclass(frozen=True, eq=False)
class _Scarce:
    """What rows that are locked have left: (R,) `free`; (n,) which order wants how many more of which row."""

    free: Ints
    order: Ints
    row: Ints
    units: Ints
    reason: str

    def drop(self, active: Bools, why: NDArray[Any]) -> bool:
        """Drop orders that want what is not there; say whether there were any."""
        before = int(active.sum())
        _drop(self.order, self.row, self.units, self.free, active, why, self.reason)
        return int(active.sum()) < before


@dataclass(frozen=True, eq=False)
class _Locked(_Scarce):
    """Rows of stock: (R,) SKU and node, and whether units are missing at any."""

    sku: Ints
    node: Ints
    missing: bool


def _lock_stock(tx: Tx, proposal: Proposal, had: _Had, active: Bools) -> _Locked:
    """Lock the rows of stock that are touched."""
    order = np.concatenate([proposal.claim_order, had.claim_order])
    keep = active[order]
    sku = np.concatenate([proposal.claim_sku, had.claim_sku])[keep]
    node = np.concatenate([proposal.claim_node, had.claim_node])[keep]
    units = np.concatenate([proposal.claim_units, -had.claim_units])[keep]
    first, row = groups_of(sku, node)
    rows = Rows(i=np.arange(len(first)), sku=sku[first], node=node[first])
    free, missing = np.zeros(len(first), dtype=np.int64), False
    if len(sku):
        of = " FOR NO KEY UPDATE OF stock" if tx.dialect == "postgresql" else ""
        found = tx.ints(
            4,
            "SELECT i, on_hand - reserved - safety_route, missing, sku_no FROM {rows} "
            "JOIN stock ON sku_no = sku AND node_no = node ORDER BY sku_no, node_no" + of,
            rows,
        )
        free[found[0]] = found[1]
        missing = bool(found[2].any())
    return _Locked(free, order[keep], row, units, TAKEN, sku[first], node[first], missing)


def _lock_days(tx: Tx, proposal: Proposal, had: _Had, active: Bools) -> list[_Scarce]:
    """Lock the days of nodes that take no more than so much: what is left of parcels, and of units."""
    order, node, day, parcels, units = _work(proposal, had)
    keep = active[order] & np.isin(node, proposal.limited)
    if not keep.any():
        return []
    order, node, day, parcels, units = order[keep], node[keep], day[keep], parcels[keep], units[keep]
    first, row = groups_of(node, day)
    wanted = Rows(i=np.arange(len(first)), node=node[first], day=day[first])
    of = " FOR NO KEY UPDATE OF d" if tx.dialect == "postgresql" else ""
    _, left = tx.together(
        Ask(MAKE_DAYS, wanted),
        Ask(
            "SELECT COALESCE(d.capacity_parcels, n.capacity_parcels) - d.parcels, "
            "COALESCE(d.capacity_units, n.capacity_units) - d.units, n.overtime_cents IS NULL "
            "FROM {rows} JOIN node_day d ON d.node_no = rows.node AND d.day = rows.day "
            "JOIN node n ON n.no = d.node_no ORDER BY d.node_no, d.day" + of,
            wanted,
        ),
    )
    endless = np.iinfo(np.int64).max // 4
    parcels_left = np.array([endless if p is None or not hard else p for p, _, hard in left], dtype=np.int64)
    units_left = np.array([endless if u is None else u for _, u, _ in left], dtype=np.int64)
    return [_Scarce(parcels_left, order, row, parcels, FULL), _Scarce(units_left, order, row, units, FULL)]


def _work(proposal: Proposal, had: _Had) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Order, node, day, parcels and units of the work that is wanted, and with the sign turned of what is given up."""
    return (
        np.concatenate([proposal.parcel_order, had.parcel_order]),
        np.concatenate([proposal.parcel_node, had.parcel_node]),
        np.concatenate([proposal.parcel_work_day, had.parcel_work_day]),
        np.repeat([1, -1], [len(proposal.parcel_order), len(had.parcel_order)]),
        np.concatenate([proposal.parcel_units, -had.parcel_units]),
    )


def _drop(order: Ints, row: Ints, units: Ints, free: Ints, active: Bools, why: NDArray[Any], reason: str) -> None:
    """Drop orders, those of lowest rank first, until no row is asked for more than it has."""
    own = np.maximum(free, 0)  # a row that is overdrawn already must only not become worse
    while True:
        net = np.bincount(row, weights=units * active[order], minlength=len(own)).astype(np.int64)
        lacking = np.flatnonzero(net > own)
        if not len(lacking):
            return
        for r in lacking.tolist():
            at = np.flatnonzero((row == r) & active[order])
            wants = np.bincount(order[at], weights=units[at]).astype(np.int64)
            excess = int(wants.sum() - own[r])
            for one in np.flatnonzero(wants > 0)[::-1].tolist():
                if excess <= 0:
                    break
                active[one] = False
                why[one] = reason
                excess -= int(wants[one])


def _differs(proposal: Proposal, had: _Had) -> Bools:
    """(O,) whether an order's claims or parcels would be others than they are."""
    differs = np.zeros(len(proposal.order_no), dtype=np.bool_)
    for table in ("claim", "parcel"):
        names = [name for name in _Had.__dataclass_fields__ if name.startswith(table)]
        wanted, has = ({*zip(*(_list(getattr(of, name)) for name in names), strict=True)} for of in (proposal, had))
        for row in wanted ^ has:
            differs[row[names.index(f"{table}_order")]] = True
    return differs


def _list(column: Ints | tuple[str, ...]) -> list[Any] | tuple[str, ...]:
    return column if isinstance(column, tuple) else column.tolist()


def _exchange(tx: Tx, proposal: Proposal, had: _Had, moved: Bools, stock: _Locked, at: int) -> None:
    """Put the proposed claims and parcels in place of what the orders had."""
    keep = moved[stock.order]
    net = np.bincount(stock.row[keep], weights=stock.units[keep], minlength=len(stock.sku)).astype(np.int64)
    some = net != 0
    asks: list[Ask] = []
    if stock.missing:
        move(tx, at, "allocated", proposal.ref, stock.sku[some], stock.node[some], reserved=net[some])
    elif some.any():
        asks += reserve(at, "allocated", proposal.ref, stock.sku[some], stock.node[some], net[some])
    orders = Rows(no=proposal.order_no[moved])
    if moved[had.claim_order].any() or moved[had.parcel_order].any():
        asks += [
            Ask("DELETE FROM claim WHERE order_no IN (SELECT no FROM {rows})", orders),
            Ask("DELETE FROM parcel WHERE order_no IN (SELECT no FROM {rows})", orders),
            Ask(
                "UPDATE order_line SET open = open + allocated, allocated = 0 "
                "WHERE order_no IN (SELECT no FROM {rows}) AND allocated > 0",
                orders,
            ),
        ]
    asks += _new_claims(proposal, moved)
    asks += _new_parcels(proposal, moved)
    asks += _counted_work(tx, proposal, had, moved)
    asks += [_counted_orders(proposal, moved), _decisions(proposal, moved, at)]
    asks.append(new_facts(tx, [proposal.fact[i] for i in np.flatnonzero(moved).tolist()]))
    tx.later(*asks)


def _new_claims(proposal: Proposal, moved: Bools) -> list[Ask]:
    """The claims, and the units of the lines that they tie."""
    at = np.flatnonzero(moved[proposal.claim_order])
    if not len(at):
        return []
    order, number = proposal.order_no[proposal.claim_order[at]], proposal.claim_number[at]
    service = [proposal.claim_service[i] for i in at.tolist()]
    coded = np.unique(np.array(service), return_inverse=True)[1]
    # the parts of a kit in one parcel stand for the same units of the line
    one = groups_of(order, number, proposal.claim_node[at], coded).first
    line, row = groups_of(order[one], number[one])
    line = one[line]
    units = np.bincount(row, weights=proposal.claim_line_units[at][one]).astype(np.int64)
    return [
        Ask(
            "INSERT INTO claim (order_no, number, sku_no, node_no, service, units, line_units) "
            "SELECT order_no, number, sku, node, service, units, line_units FROM {rows}",
            Rows(
                order_no=order,
                number=number,
                sku=proposal.claim_sku[at],
                node=proposal.claim_node[at],
                service=service,
                units=proposal.claim_units[at],
                line_units=proposal.claim_line_units[at],
            ),
        ),
        Ask(
            "UPDATE order_line SET open = open - units, allocated = units FROM {rows} "
            "WHERE order_line.order_no = rows.order_no AND order_line.number = rows.number",
            Rows(order_no=order[line], number=number[line], units=units),
        ),
    ]


def _new_parcels(proposal: Proposal, moved: Bools) -> list[Ask]:
    at = np.flatnonzero(moved[proposal.parcel_order])
    if not len(at):
        return []
    columns = Rows(
        order_no=proposal.order_no[proposal.parcel_order[at]],
        node=proposal.parcel_node[at],
        service=[proposal.parcel_service[i] for i in at.tolist()],
        collect=[None if node < 0 else node for node in proposal.parcel_collect[at].tolist()],
        work_day=proposal.parcel_work_day[at],
        arrives_day=proposal.parcel_arrives_day[at],
        cents=proposal.parcel_cents[at],
    )
    return [
        Ask(
            "INSERT INTO parcel (order_no, node_no, service, collect_no, work_day, arrives_day, cents) "
            "SELECT order_no, node, service, collect, work_day, arrives_day, cents FROM {rows}",
            columns,
        )
    ]


def _counted_work(tx: Tx, proposal: Proposal, had: _Had, moved: Bools) -> list[Ask]:
    """Count the parcels and units of each node's day."""
    order, node, day, parcels, units = _work(proposal, had)
    keep = moved[order]
    node, day = node[keep], day[keep]
    first, row = groups_of(node, day)
    counts = [np.bincount(row, weights=w[keep], minlength=len(first)).astype(np.int64) for w in (parcels, units)]
    some = np.flatnonzero(counts[0] | counts[1])
    if not len(some):
        return []
    return count_work(tx, node[first][some], day[first][some], counts[0][some], counts[1][some])


def _counted_orders(proposal: Proposal, moved: Bools) -> Ask:
    """Bring the orders in step with their lines; end their leases, and promise what they have."""
    return Ask(
        "UPDATE orders SET open = sums.open, allocated = sums.allocated, version = version + 1, leased_by = NULL, "
        "leased_until = NULL, promised = promised OR sums.allocated > 0, "
        "promise_day = CASE WHEN sums.allocated > 0 THEN sums.day ELSE promise_day END, "
        "failures = CASE WHEN sums.open > 0 THEN failures + 1 ELSE 0 END "
        "FROM (SELECT order_no, day, SUM(open) AS open, SUM(allocated) AS allocated FROM {rows} "
        "JOIN order_line ON order_no = no GROUP BY order_no, day) AS sums WHERE orders.no = sums.order_no",
        Rows(no=proposal.order_no[moved], day=proposal.order_promise_day[moved]),
    )


def _decisions(proposal: Proposal, moved: Bools, at: int) -> Ask:
    """The record of each decision."""
    orders = np.flatnonzero(moved)
    return Ask(
        "INSERT INTO decision (order_no, wave, at, policy, version, seed, cost_cents, bound_cents, body) "
        "SELECT order_no, :wave, :at, :policy, :version, :seed, cost, bound, body FROM {rows}",
        Rows(
            order_no=proposal.order_no[orders],
            cost=proposal.cost_cents[orders],
            bound=proposal.bound_cents[orders],
            body=[proposal.body[i] for i in orders.tolist()],
        ),
        wave=proposal.ref,
        at=at,
        policy=proposal.policy,
        version=proposal.version,
        seed=proposal.seed,
    )


def _let_go(tx: Tx, order_no: Ints) -> None:
    """End the lease of orders that stay as they are; one with open units has had one more wave that could not serve it."""
    if len(order_no):
        tx.run(
            "UPDATE orders SET leased_by = NULL, leased_until = NULL, "
            "failures = CASE WHEN open > 0 THEN failures + 1 ELSE 0 END "
            "WHERE no IN (SELECT no FROM {rows}) AND (leased_by IS NOT NULL OR open > 0 OR failures > 0)",
            Rows(no=order_no),
        )
