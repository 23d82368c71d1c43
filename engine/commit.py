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

from engine.database import Rows, Tx
from engine.facts import Allocated
from engine.ledger import move, write_facts
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


def commit(tx: Tx, proposal: Proposal, at: int) -> Committed:
    """Make a proposal true as far as it still holds.

    Parameters
    ----------
    at
        Milliseconds, of what is written down.
    """
    active = _unchanged(tx, proposal)
    why = np.where(active, "", CHANGED).astype(object)
    had = _read_had(tx, proposal, active)
    for check in (_drop_where_stock_lacks, _drop_where_nodes_are_full):
        check(tx, proposal, had, active, why)
    # dropping for capacity may have taken back units that were to be given
    _drop_where_stock_lacks(tx, proposal, had, active, why)
    moved = active & _differs(proposal, had)
    if moved.any():
        _exchange(tx, proposal, had, moved, at)
    _let_go(tx, proposal.order_no[active & ~moved])
    return Committed(active, tuple(why), int(moved.sum()))


def _unchanged(tx: Tx, proposal: Proposal) -> Bools:
    """Lock the orders, and say which are as they were when they were read."""
    of = " FOR UPDATE OF orders" if tx.dialect == "postgresql" else ""
    found = tx.ints(
        2,
        "SELECT no, version FROM orders WHERE no IN (SELECT no FROM {rows}) AND NOT review ORDER BY no" + of,
        Rows(no=proposal.order_no),
    )
    by = np.argsort(proposal.order_no)
    at = by[np.searchsorted(proposal.order_no[by], found[0])]
    same = np.zeros(len(proposal.order_no), dtype=np.bool_)
    same[at] = proposal.order_version[at] == found[1]
    return same


def _read_had(tx: Tx, proposal: Proposal, active: Bools) -> _Had:
    index = np.flatnonzero(active)
    rows = Rows(i=index, no=proposal.order_no[index])
    claims = tx.all(
        "SELECT i, number, sku_no, node_no, units, line_units, service FROM {rows} JOIN claim ON order_no = rows.no",
        rows,
    )
    parcels = tx.all(
        "SELECT i, node_no, work_day, arrives_day, service FROM {rows} JOIN parcel ON order_no = rows.no", rows
    )
    claim = np.array([row[:6] for row in claims], dtype=np.int64).reshape(-1, 6).T
    parcel = np.array([row[:4] for row in parcels], dtype=np.int64).reshape(-1, 4).T
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


def _drop_where_stock_lacks(tx: Tx, proposal: Proposal, had: _Had, active: Bools, why: Ints) -> None:
    """Lock the rows of stock that are touched; drop orders that want what is not there."""
    order, sku, node, units = _net_claims(proposal, had)
    keep = active[order]
    order, sku, node, units = order[keep], sku[keep], node[keep], units[keep]
    if not len(order):
        return
    keys, row = np.unique(np.stack([sku, node]), axis=1, return_inverse=True)
    of = " FOR UPDATE OF stock" if tx.dialect == "postgresql" else ""
    found = tx.ints(
        3,
        "SELECT sku_no, node_no, on_hand - reserved - safety_route FROM stock "
        "WHERE (sku_no, node_no) IN (SELECT sku, node FROM {rows}) ORDER BY sku_no, node_no" + of,
        Rows(sku=keys[0], node=keys[1]),
    )
    free = np.zeros(keys.shape[1], dtype=np.int64)
    span = int(keys.max()) + 1
    free[np.searchsorted(keys[0] * span + keys[1], found[0] * span + found[1])] = found[2]
    _drop(order, row.ravel(), units, free, active, why, TAKEN)


def _drop_where_nodes_are_full(tx: Tx, proposal: Proposal, had: _Had, active: Bools, why: Ints) -> None:
    """Lock the work of the nodes that are touched; drop orders for which a node with a hard capacity has no room."""
    order = np.concatenate([proposal.parcel_order, had.parcel_order])
    node = np.concatenate([proposal.parcel_node, had.parcel_node])
    day = np.concatenate([proposal.parcel_work_day, had.parcel_work_day])
    parcels = np.repeat([1, -1], [len(proposal.parcel_order), len(had.parcel_order)])
    units = np.concatenate([proposal.parcel_units, -had.parcel_units])
    keep = active[order]
    order, node, day, parcels, units = order[keep], node[keep], day[keep], parcels[keep], units[keep]
    if not len(order):
        return
    keys, row = np.unique(np.stack([node, day]), axis=1, return_inverse=True)
    row = row.ravel()
    wanted = Rows(node=keys[0], day=keys[1])
    tx.run("INSERT INTO node_day (node_no, day) SELECT node, day FROM {rows} WHERE true ON CONFLICT DO NOTHING", wanted)
    of = " FOR UPDATE OF d" if tx.dialect == "postgresql" else ""
    left = tx.all(
        "SELECT COALESCE(d.capacity_parcels, n.capacity_parcels) - d.parcels, "
        "COALESCE(d.capacity_units, n.capacity_units) - d.units, n.overtime_cents IS NULL "
        "FROM node_day d JOIN node n ON n.no = d.node_no "
        "WHERE (d.node_no, d.day) IN (SELECT node, day FROM {rows}) ORDER BY d.node_no, d.day" + of,
        wanted,
    )
    endless = np.iinfo(np.int64).max // 4
    parcels_left = np.array([endless if p is None or not hard else p for p, _, hard in left], dtype=np.int64)
    units_left = np.array([endless if u is None else u for _, u, _ in left], dtype=np.int64)
    _drop(order, row, parcels, parcels_left, active, why, FULL)
    _drop(order, row, units, units_left, active, why, FULL)


def _net_claims(proposal: Proposal, had: _Had) -> tuple[Ints, Ints, Ints, Ints]:
    """Order, SKU, node and units of what is wanted, and with the sign turned of what is given up."""
    return (
        np.concatenate([proposal.claim_order, had.claim_order]),
        np.concatenate([proposal.claim_sku, had.claim_sku]),
        np.concatenate([proposal.claim_node, had.claim_node]),
        np.concatenate([proposal.claim_units, -had.claim_units]),
    )


def _drop(order: Ints, row: Ints, units: Ints, free: Ints, active: Bools, why: Ints, reason: str) -> None:
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


def _exchange(tx: Tx, proposal: Proposal, had: _Had, moved: Bools, at: int) -> None:
    """Put the proposed claims and parcels in place of what the orders had."""
    no = proposal.order_no
    orders = Rows(no=no[moved])
    order, sku, node, units = _net_claims(proposal, had)
    keep = moved[order]
    keys, row = np.unique(np.stack([sku[keep], node[keep]]), axis=1, return_inverse=True)
    net = np.bincount(row.ravel(), weights=units[keep], minlength=keys.shape[1]).astype(np.int64)
    some = net != 0
    move(tx, at, "allocated", proposal.ref, keys[0][some], keys[1][some], reserved=net[some])

    tx.run("DELETE FROM claim WHERE order_no IN (SELECT no FROM {rows})", orders)
    tx.run("DELETE FROM parcel WHERE order_no IN (SELECT no FROM {rows})", orders)
    _insert_claims(tx, proposal, moved)
    _insert_parcels(tx, proposal, moved)
    _count_work(tx, proposal, had, moved)
    _count_units(tx, proposal, moved)
    _write_down(tx, proposal, moved, at)


def _insert_claims(tx: Tx, proposal: Proposal, moved: Bools) -> None:
    at = np.flatnonzero(moved[proposal.claim_order])
    if not len(at):
        return
    tx.run(
        "INSERT INTO claim (order_no, number, sku_no, node_no, service, units, line_units) "
        "SELECT order_no, number, sku, node, service, units, line_units FROM {rows}",
        Rows(
            order_no=proposal.order_no[proposal.claim_order[at]],
            number=proposal.claim_number[at],
            sku=proposal.claim_sku[at],
            node=proposal.claim_node[at],
            service=[proposal.claim_service[i] for i in at.tolist()],
            units=proposal.claim_units[at],
            line_units=proposal.claim_line_units[at],
        ),
    )


def _insert_parcels(tx: Tx, proposal: Proposal, moved: Bools) -> None:
    at = np.flatnonzero(moved[proposal.parcel_order])
    if not len(at):
        return
    collect = [None if node < 0 else node for node in proposal.parcel_collect[at].tolist()]
    tx.run(
        "INSERT INTO parcel (order_no, node_no, service, collect_no, work_day, arrives_day, cents) "
        "SELECT order_no, node, service, collect, work_day, arrives_day, cents FROM {rows}",
        Rows(
            order_no=proposal.order_no[proposal.parcel_order[at]],
            node=proposal.parcel_node[at],
            service=[proposal.parcel_service[i] for i in at.tolist()],
            collect=collect,
            work_day=proposal.parcel_work_day[at],
            arrives_day=proposal.parcel_arrives_day[at],
            cents=proposal.parcel_cents[at],
        ),
    )


def _count_work(tx: Tx, proposal: Proposal, had: _Had, moved: Bools) -> None:
    """Count the parcels and units of each node's day."""
    order = np.concatenate([proposal.parcel_order, had.parcel_order])
    keep = moved[order]
    node = np.concatenate([proposal.parcel_node, had.parcel_node])[keep]
    day = np.concatenate([proposal.parcel_work_day, had.parcel_work_day])[keep]
    parcels = np.repeat([1, -1], [len(proposal.parcel_order), len(had.parcel_order)])[keep]
    units = np.concatenate([proposal.parcel_units, -had.parcel_units])[keep]
    if not len(node):
        return
    keys, row = np.unique(np.stack([node, day]), axis=1, return_inverse=True)
    tx.run(
        "UPDATE node_day SET parcels = node_day.parcels + rows.parcels, units = node_day.units + rows.units "
        "FROM {rows} WHERE node_no = rows.node AND node_day.day = rows.day",
        Rows(
            node=keys[0],
            day=keys[1],
            parcels=np.bincount(row.ravel(), weights=parcels).astype(np.int64),
            units=np.bincount(row.ravel(), weights=units).astype(np.int64),
        ),
    )


def _count_units(tx: Tx, proposal: Proposal, moved: Bools) -> None:
    """Bring the lines and the orders in step with the claims that they have now."""
    orders = Rows(no=proposal.order_no[moved], day=proposal.order_promise_day[moved])
    at = moved[proposal.claim_order]
    entry = np.stack(
        [
            proposal.order_no[proposal.claim_order[at]], proposal.claim_number[at], proposal.claim_node[at],
            np.unique(np.array(proposal.claim_service, dtype=object)[at].astype(str), return_inverse=True)[1],
        ]
    )  # fmt: skip
    # the parts of a kit in one parcel stand for the same units of the line
    _, first = np.unique(entry, axis=1, return_index=True)
    lines, row = np.unique(entry[:2, first], axis=1, return_inverse=True)
    allocated = np.bincount(row.ravel(), weights=proposal.claim_line_units[at][first], minlength=lines.shape[1])
    tx.run(
        "UPDATE order_line SET open = open + allocated, allocated = 0 "
        "WHERE order_no IN (SELECT no FROM {rows}) AND allocated > 0",
        orders,
    )
    if lines.shape[1]:
        tx.run(
            "UPDATE order_line SET open = open - units, allocated = units FROM {rows} "
            "WHERE order_line.order_no = rows.order_no AND order_line.number = rows.number",
            Rows(order_no=lines[0], number=lines[1], units=allocated.astype(np.int64)),
        )
    tx.run(
        "UPDATE orders SET open = sums.open, allocated = sums.allocated, version = version + 1, leased_by = NULL, "
        "leased_until = NULL, promised = promised OR sums.allocated > 0, "
        "promise_day = CASE WHEN sums.allocated > 0 THEN sums.day ELSE promise_day END, "
        "failures = CASE WHEN sums.open > 0 THEN failures + 1 ELSE 0 END "
        "FROM (SELECT order_no, day, SUM(open) AS open, SUM(allocated) AS allocated FROM order_line "
        "JOIN {rows} ON order_no = no GROUP BY order_no, day) AS sums WHERE orders.no = sums.order_no",
        orders,
    )


def _write_down(tx: Tx, proposal: Proposal, moved: Bools, at: int) -> None:
    """The decision of each order, and the fact that it was taken."""
    at_order = np.flatnonzero(moved)
    number = proposal.order_no[at_order]
    body = [proposal.body[i] for i in at_order.tolist()]
    tx.run(
        "INSERT INTO decision (order_no, wave, at, policy, version, seed, cost_cents, bound_cents, body) "
        "SELECT order_no, :wave, :at, :policy, :version, :seed, cost, bound, body FROM {rows}",
        Rows(order_no=number, cost=proposal.cost_cents[at_order], bound=proposal.bound_cents[at_order], body=body),
        wave=proposal.ref,
        at=at,
        policy=proposal.policy,
        version=proposal.version,
        seed=proposal.seed,
    )
    write_facts(tx, [proposal.fact[i] for i in at_order.tolist()])


def _let_go(tx: Tx, order_no: Ints) -> None:
    """End the lease of orders that stay as they are; one with open units has had one more wave that could not serve it."""
    if len(order_no):
        tx.run(
            "UPDATE orders SET leased_by = NULL, leased_until = NULL, "
            "failures = CASE WHEN open > 0 THEN failures + 1 ELSE 0 END "
            "WHERE no IN (SELECT no FROM {rows}) AND (leased_by IS NOT NULL OR open > 0 OR failures > 0)",
            Rows(no=order_no),
        )
