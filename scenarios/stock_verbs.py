"""Where goods would lie, and where they would come in: each verb makes another placed history.

Shares are counted off in order, so that 10 % of ten receipts of one unit is one unit.
"""

from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.random import Generator

from engine.network import Network, Node
from scenarios.naming import chosen, must_be, node_of, skus_of
from scenarios.settings import CloseNode, MoveStock, OpenNode, RedirectReceipts, SafetyStock
from scenarios.spans import during
from simulation.history import History
from simulation.placing import Placed, split_units
from simulation.world import CLOSED
from solver.problem import Bools, Floats, Ints
from solver.refusal import Refusal


class Rows(NamedTuple):
    """Units at nodes: one row each; `worth` is what a unit is worth as stock."""

    node: Ints
    sku: Ints
    units: Ints
    worth: Ints


def move_stock(placed: Placed, said: MoveStock, _chance: Generator) -> Placed:
    """Lay what lies at one node at another."""
    source, target = _two_nodes(placed.network, said.source, said.target)
    rows = _stock(placed)
    which = (rows.node == source) & _of_skus(placed, rows.sku, said.skus) & _handled(placed.network, target)[rows.sku]
    return _with_stock(placed, _moved(rows, which, target, said.percent))


def redirect_receipts(placed: Placed, said: RedirectReceipts, _chance: Generator) -> Placed:
    """Let come in at one node what would come in at another."""
    source, target = _two_nodes(placed.network, said.source, said.target)
    history = placed.history
    which = (history.receipt_node == source) & _of_skus(placed, history.receipt_sku, said.skus)
    which &= _handled(placed.network, target)[history.receipt_sku] & during(history, history.receipt_at, said.days)
    return _with_receipts_moved(placed, which, target, said.percent)


def safety_stock(placed: Placed, said: SafetyStock, _chance: Generator) -> Placed:
    """Keep the first units of every SKU at a node from being sold: those on the shelf, then those that come in.

    What is available is what lies there less what is kept, at every moment: a shelf that begins with less is filled first.
    """
    network, history = placed.network, placed.history
    names = chosen(network, said.nodes)
    here = np.array([node.id in names for node in network.nodes], dtype=np.bool_)
    rows = _stock(placed)
    kept: dict[tuple[int, int], int] = {}
    units = rows.units.copy()
    for row in np.flatnonzero(here[rows.node] & _of_skus(placed, rows.sku, said.skus)).tolist():
        units[row] -= (taken := min(said.units, int(units[row])))
        kept[int(rows.node[row]), int(rows.sku[row])] = taken
    placed = _with_stock(placed, rows._replace(units=units))
    comes = history.receipt_units.copy()
    for row in np.flatnonzero(here[history.receipt_node] & _of_skus(placed, history.receipt_sku, said.skus)).tolist():
        key = int(history.receipt_node[row]), int(history.receipt_sku[row])
        comes[row] -= (taken := min(said.units - kept.get(key, 0), int(comes[row])))
        kept[key] = kept.get(key, 0) + taken
    return _with_receipts(placed, history.receipt_at, history.receipt_node, history.receipt_sku, comes)


def empty_node(placed: Placed, said: CloseNode, chance: Generator) -> Placed:
    """Give what a node that is closed for the whole run holds and receives to others, and let nobody collect there."""
    network, nodes = placed.network, [node.id for node in placed.network.nodes]
    closed = nodes.index(node_of(network, "node", said.node).id)
    if said.days != (None, None):
        if said.stock_to is not None:
            why = "is for a node that is closed for the whole run; redirect_receipts moves what comes in meanwhile"
            raise Refusal("stock_to", f"{said.stock_to!r} {why}", "bad_option")
        return placed
    to = said.stock_to or "others"
    must_be("stock_to", to, ("others", "nobody", *(set(nodes) - {said.node})), "'others', 'nobody' or another node")
    placed = _nobody_collects(placed, closed)
    if to == "nobody":
        return placed
    if to != "others":
        placed = _with_stock(placed, _moved(rows := _stock(placed), rows.node == closed, nodes.index(to), 100))
        return _with_receipts_moved(placed, placed.history.receipt_node == closed, nodes.index(to), 100)
    share = _shares_of_others(placed, closed)
    rows, history = _stock(placed), placed.history
    stays, goes = rows.node != closed, rows.node == closed
    spread = split_units(rows.units[goes], share[rows.sku[goes]], chance)
    row, node = np.nonzero(spread)
    gone = [rows.sku[goes][row], spread[row, node], rows.worth[goes][row]]
    placed = _with_stock(
        placed, Rows(*(np.concatenate([c[stays], new]) for c, new in zip(rows, [node, *gone], strict=True)))
    )
    stays, goes = history.receipt_node != closed, history.receipt_node == closed
    spread = split_units(history.receipt_units[goes], share[history.receipt_sku[goes]], chance)
    row, node = np.nonzero(spread)
    columns = [history.receipt_at, history.receipt_node, history.receipt_sku, history.receipt_units]
    new = [history.receipt_at[goes][row], node, history.receipt_sku[goes][row], spread[row, node]]
    return _with_receipts(placed, *(np.concatenate([c[stays], n]) for c, n in zip(columns, new, strict=True)))


def add_node(placed: Placed, said: OpenNode, _chance: Generator) -> Placed:
    """Add a node at the end of the network, closed until its days begin, with its share of stock and receipts."""
    network, history = placed.network, placed.history
    if said.id in [node.id for node in network.nodes]:
        raise Refusal(
            "id", f"{said.id!r} is a node of this network already; name the new one otherwise", "duplicate_id"
        )
    like = node_of(network, "like", said.like)
    tags = [*(tag for tag in like.tags if tag != CLOSED), CLOSED]
    node = msgspec.structs.replace(like, id=said.id, lat=said.lat, lon=said.lon, tags=tags)
    network = msgspec.structs.replace(network, nodes=(*network.nodes, node))
    node_id, past = (*history.node_id, said.id), placed.past
    placed = replace(
        placed,
        network=network,
        history=replace(history, node_id=node_id),
        past=None if past is None else replace(past, node_id=node_id),
    )
    if not said.stock_percent:
        return placed
    new, handled = len(network.nodes) - 1, _handled(network, len(network.nodes) - 1)
    if said.days == (None, None):
        rows = _stock(placed)
        placed = _with_stock(placed, _moved(rows, handled[rows.sku], new, said.stock_percent))
    which = handled[history.receipt_sku] & during(history, history.receipt_at, said.days)
    return _with_receipts_moved(placed, which, new, said.stock_percent)


def scale_supply(placed: Placed, ratio: Floats, chance: Generator) -> Placed:
    """Let stock and receipts of each SKU grow or shrink by its ratio, whole units drawn so that the sum is right."""
    rows, history = _stock(placed), placed.history
    units = np.floor(rows.units * ratio[rows.sku] + chance.random(len(rows.units))).astype(np.int64)
    placed = _with_stock(placed, rows._replace(units=units))
    comes = history.receipt_units * ratio[history.receipt_sku] + chance.random(len(history.receipt_at))
    return _with_receipts(
        placed, history.receipt_at, history.receipt_node, history.receipt_sku, np.floor(comes).astype(np.int64)
    )


def _two_nodes(network: Network, source: str, target: str) -> tuple[int, int]:
    nodes = [node.id for node in network.nodes]
    node_of(network, "source", source)
    node_of(network, "target", target)
    if source == target:
        raise Refusal("target", f"{target!r} is the source too; name another node", "same_node")
    return nodes.index(source), nodes.index(target)


def _of_skus(placed: Placed, sku: Ints, names: tuple[str, ...] | None) -> Bools:
    """Which rows are of the SKUs that a change names."""
    if names is None:
        return np.ones(len(sku), dtype=np.bool_)
    wanted = skus_of(placed.network, names)
    return np.array([one.id in wanted for one in placed.network.skus], dtype=np.bool_)[sku]


def _handled(network: Network, node: int) -> Bools:
    """(K,) which SKUs a node may hold."""
    tags = set(network.nodes[node].tags)
    return np.array([set(sku.requires) <= tags for sku in network.skus], dtype=np.bool_)


def _stock(placed: Placed) -> Rows:
    network = placed.network
    node_at = {node.id: j for j, node in enumerate(network.nodes)}
    sku_at = {sku.id: k for k, sku in enumerate(network.skus)}
    rows = [(node_at[node], sku_at[sku], units, worth) for node, sku, units, worth in network.stock]
    return Rows(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


def _with_stock(placed: Placed, rows: Rows) -> Placed:
    """Put rows on the shelves, those of one node and SKU together, in order of node and SKU."""
    network = placed.network
    there = rows.units > 0
    key = (rows.node * len(network.skus) + rows.sku)[there]
    pair, first, at = np.unique(key, return_index=True, return_inverse=True)
    units = np.zeros(len(pair), dtype=np.int64)
    np.add.at(units, at, rows.units[there])
    columns = (pair.tolist(), units.tolist(), rows.worth[there][first].tolist())
    names = [node.id for node in network.nodes], [sku.id for sku in network.skus]
    size = len(network.skus)
    stock = [(names[0][k // size], names[1][k % size], u, w) for k, u, w in zip(*columns, strict=True)]
    return replace(placed, network=msgspec.structs.replace(network, stock=stock))


def _with_receipts(placed: Placed, at: Ints, node: Ints, sku: Ints, units: Ints) -> Placed:
    """Let these come in, by ascending time."""
    by = np.argsort(at, kind="stable")
    by = by[units[by] > 0]
    history = replace(
        placed.history, receipt_at=at[by], receipt_node=node[by], receipt_sku=sku[by], receipt_units=units[by]
    )
    return replace(placed, history=history)


def _moved(rows: Rows, which: Bools, target: int, percent: float) -> Rows:
    """The rows with a share of some of them at another node."""
    moved = np.where(which, share_of(np.where(which, rows.units, 0), percent), 0)
    new = rows._replace(node=np.full(len(rows.node), target), units=moved)
    left = rows._replace(units=rows.units - moved)
    return Rows(*(np.concatenate(columns) for columns in zip(left, new, strict=True)))


def _with_receipts_moved(placed: Placed, which: Bools, target: int, percent: float) -> Placed:
    history = placed.history
    rows = Rows(history.receipt_node, history.receipt_sku, history.receipt_units, history.receipt_at)
    rows = _moved(rows, which, target, percent)
    return _with_receipts(placed, rows.worth, rows.node, rows.sku, rows.units)


def share_of(units: Ints, percent: float) -> Ints:
    """A percentage of each row's units, whole, such that the first rows together have theirs."""
    counted = np.floor(np.cumsum(units) * (percent / 100) + 1e-9).astype(np.int64)
    part: Ints = np.minimum(np.diff(counted, prepend=0), units)
    return part


def _shares_of_others(placed: Placed, closed: int) -> Floats:
    """(K, J) where more of each SKU goes: as it lies at the other open nodes, or to all of them that handle it alike."""
    network, rows = placed.network, _stock(placed)
    is_open = np.array([j != closed and CLOSED not in node.tags for j, node in enumerate(network.nodes)])
    held = np.zeros((len(network.skus), len(network.nodes)))
    np.add.at(held, (rows.sku, rows.node), rows.units)
    held *= is_open
    handled = np.stack([_handled(network, j) for j in range(len(network.nodes))], axis=1) & is_open
    none = held.sum(axis=1) == 0
    held[none] = handled[none]
    total = held.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(held, total, out=np.zeros_like(held), where=total > 0))


def _nobody_collects(placed: Placed, closed: int) -> Placed:
    """Collect elsewhere where an order may; else have it delivered to where the node was. Who collected in the past, likewise."""
    node, past = placed.network.nodes[closed], placed.past
    return replace(
        placed,
        history=_collected_elsewhere(placed.history, closed, node),
        past=None if past is None else _collected_elsewhere(past, closed, node),
    )


def _collected_elsewhere(history: History, closed: int, node: Node) -> History:
    keep = history.pickup_node != closed
    if keep.all():
        return history
    order = np.repeat(np.arange(history.orders), np.diff(history.order_pickup_start))
    before, after = (np.bincount(order[rows], minlength=history.orders) for rows in (slice(None), keep))
    delivered = (before > 0) & (after == 0)
    return replace(
        history,
        pickup_node=history.pickup_node[keep],
        order_pickup_start=np.concatenate([[0], np.cumsum(after)]).astype(np.int64),
        order_lat=np.where(delivered, node.lat, history.order_lat),
        order_lon=np.where(delivered, node.lon, history.order_lon),
    )
