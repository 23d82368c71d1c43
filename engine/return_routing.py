"""Approved returns are given a node: read, decided while nothing is locked, and written down where what was read still holds.

A return that changed meanwhile is left to the next time, and so are all where other returns with such units were given nodes, for
these compete for room. What nobody came to decide is found by the clock (`route_returns` without names).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import msgspec
import numpy as np

from engine.ahead import Lookout
from engine.catalogue import Catalogue, read_catalogue
from engine.claims import lock_orders
from engine.database import Database, Rows, Tx
from engine.facts import ReturnRouted, short_id
from engine.ledger import write_facts
from engine.return_nodes import BROUGHT, Back, Question, Routed, Worth, explain, room_of, route, worth_of
from engine.return_rules import ReturnRules, read_return_rules
from engine.rmas import Locked
from solver.effort import Effort
from solver.problem import NO_SERVICE, Bools, Ints
from solver.refusal import Refusal

SECONDS = 0.25
"""What choosing nodes may take: somebody waits for the answer."""
TRIES = 3
"""How often is decided, where other returns get in between; the last time they do not matter."""
OUTLOOK_DAYS = 28.0
"""For how long units are expected to be sold where no receipt is known."""
_OPEN = "r.cost_cents IS NULL AND r.awaited > 0 AND NOT r.review"
"""Returns that are to be given a node."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A return that is to be given a node, as it was read."""

    no: int
    id: str
    order_no: int
    version: int


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read of returns that are to be decided together; `coming` as of `_levels`."""

    returns: list[_Open]
    catalogue: Catalogue
    rules: ReturnRules
    question: Question
    coming: Ints


def route_returns(
    database: Database, at: int, lookout: Lookout | None = None, only: Sequence[str] = (), limit: int = 100
) -> int:
    """Choose nodes for returns that have none, so many of them together, and say for how many there was one.

    Parameters
    ----------
    only
        Ids of returns; any where empty.
    """
    count = after = 0
    while True:
        with database.read() as tx:
            found = _waiting(tx, only, after, limit)
        if not found:
            return count
        count += _route(database, at, lookout or Lookout(), [id for _, id in found])
        after = found[-1][0]


def _waiting(tx: Tx, only: Sequence[str], after: int, limit: int) -> list[tuple[int, str]]:
    """Number and id of returns that are to be given a node, behind one: for some there may be none."""
    wanted = f"WHERE {_OPEN} AND r.no > :after ORDER BY r.no LIMIT :limit"
    if not only:
        return tx.all(f"SELECT r.no, r.id FROM rma r {wanted}", after=after, limit=limit)
    rows = Rows(id=sorted(set(only)))
    return tx.all(
        f"SELECT r.no, r.id FROM {{rows}} JOIN rma r ON r.id = rows.id {wanted}", rows, after=after, limit=limit
    )


def _route(database: Database, at: int, lookout: Lookout, ids: Sequence[str]) -> int:
    """Choose nodes for returns, all together; says for how many."""
    count = 0
    for tries in range(1, TRIES + 1):
        with database.read() as tx:
            read = _read(tx, at, lookout, ids)
        if read is None:
            break
        routed = route(read.question, Effort(seconds=SECONDS))
        records = [_record(read.question, routed, r) for r in range(len(read.returns))]
        last = tries == TRIES
        count += database.write(lambda tx: _write(tx, at, read, routed, records, last))  # noqa: B023 -- it is done at once
    return count


def check_some_node(tx: Tx, approved: Sequence[tuple[str, Locked]], at: int, rules: ReturnRules) -> None:
    """Refuse returns for which there is no node; each has its place in the request. Raises `no_return_node`."""
    if not approved:
        return
    catalogue = read_catalogue(tx, at)
    back = _back(tx, catalogue, [one.no for _, one in approved], rules)
    sku = np.unique(back.line_sku)
    nothing = np.zeros((len(sku), catalogue.columns.nodes), dtype=np.int64)
    worth = Worth(sku, nothing, nothing, np.zeros(len(sku), dtype=np.int64))
    question = Question(catalogue.columns, back, worth, _takes(catalogue, rules), catalogue.paused)
    for (place, _), possible in zip(approved, question.possible.tolist(), strict=True):
        if not possible:
            told = "no node takes it back: none takes returns, or no service carries it there"
            raise Refusal(f"{place}lines", told, "no_return_node")


def _read(tx: Tx, at: int, lookout: Lookout, ids: Sequence[str]) -> _Read | None:
    """What is to be decided, and all that it depends on; nothing where there is nothing, or no node for it."""
    rows = tx.all(
        f"SELECT r.no, r.id, r.order_no, r.version FROM {{rows}} JOIN rma r ON r.id = rows.id WHERE {_OPEN} ORDER BY r.no",
        Rows(id=ids),
    )
    if not rows:
        return None
    returns = [_Open(*row) for row in rows]
    catalogue, rules = read_catalogue(tx, at), read_return_rules(tx)
    numbers = [one.no for one in returns]
    back = _back(tx, catalogue, numbers, rules)
    sku = np.unique(back.line_sku)
    value, free, coming = _levels(tx, catalogue, sku, numbers)
    expected = lookout.expected(tx, catalogue, sku, at, (OUTLOOK_DAYS, float(catalogue.terms.restock_days)))
    worth = worth_of(catalogue.columns, sku, value, room_of(value, free, coming, expected), rules.rest_percent)
    question = Question(catalogue.columns, back, worth, _takes(catalogue, rules), catalogue.paused)
    able = np.flatnonzero(question.possible)
    if not len(able):
        return None
    return _Read([returns[r] for r in able.tolist()], catalogue, rules, question.only(able), coming)


def _write(tx: Tx, at: int, read: _Read, routed: Routed, records: list[str], last: bool) -> int:
    """Write down what was decided, as far as what was read still holds, and say of how many returns."""
    lock_orders(tx, [one.order_no for one in read.returns])
    versions = dict(tx.all(
        f"SELECT r.no, r.version FROM {{rows}} JOIN rma r ON r.no = rows.no WHERE {_OPEN}",
        Rows(no=[one.no for one in read.returns]),
    ))  # fmt: skip
    catalogue = read_catalogue(tx, at)
    if catalogue.stamp != read.catalogue.stamp or read_return_rules(tx) != read.rules:
        return 0  # nodes may be paused, or take nothing back any more
    coming = _levels(tx, catalogue, read.question.worth.sku, [one.no for one in read.returns])[2]
    if not last and not np.array_equal(coming, read.coming):
        return 0
    facts = []
    for r, one in enumerate(read.returns):
        if versions.get(one.no) != one.version:
            continue
        node, service = catalogue.node_id[routed.node[r]], _service(catalogue, int(routed.service[r]))
        tx.run(
            "UPDATE rma SET node_no = :node, service = :service, cost_cents = :cents, decision = :decision, "
            "version = version + 1 WHERE no = :no",
            node=int(catalogue.node_no[routed.node[r]]), service=service, cents=int(routed.cents[r]), decision=records[r],
            no=one.no,
        )  # fmt: skip
        id = short_id("rma", one.id, "routed")
        facts.append(ReturnRouted(id=id, at=at, rma=one.id, node=node, service=service, cents=int(routed.cents[r])))
    write_facts(tx, facts)
    return len(facts)


def _service(catalogue: Catalogue, index: int) -> str:
    return BROUGHT if index == NO_SERVICE else catalogue.columns.empty.service_id[index]


def _record(question: Question, routed: Routed, which: int) -> str:
    """Why a return goes where it goes, as JSON."""
    rules = {"nearest": question.nearest(), "origin": question.origin()}
    record = {
        "policy": routed.policy,
        "carriage_cents": int(routed.carriage[which]),
        "handling_cents": int(routed.handling[which]),
        "worth_cents": int(routed.worth[which]),
        "together": {
            "returns": question.back.returns,
            "cost_cents": routed.cost_cents,
            "bound_cents": float(routed.bound_cents),
            **{f"{rule}_cents": question.routed(node).cost_cents for rule, node in rules.items()},
        },
        "nodes": [
            {k: v for k, v in asdict(told).items() if v is not None} for told in explain(question, routed, which)
        ],
    }
    return msgspec.json.encode(record).decode()


def _back(tx: Tx, catalogue: Catalogue, numbers: Sequence[int], rules: ReturnRules) -> Back:
    """The returns that are to be sent."""
    found = tx.all(
        "SELECT rows.rank, r.how, r.node_no, r.lat, r.lon, l.sku_no, l.reason, l.awaited, k.node_no FROM {rows} "
        "JOIN rma r ON r.no = rows.no JOIN rma_line l ON l.rma_no = r.no JOIN consignment k ON k.no = l.consignment_no "
        "WHERE l.awaited > 0 ORDER BY rows.rank, l.consignment_no, l.number, l.sku_no",
        Rows(rank=range(len(numbers)), no=numbers),
    )
    rank = np.array([row[0] for row in found], dtype=np.int64)
    first = np.searchsorted(rank, np.arange(len(numbers) + 1)).astype(np.int64)
    heads = [found[i] for i in first[:-1]]
    nodes = [-1 if row[1] != "store" else int(catalogue.nodes_of(np.array([row[2]]))[0]) for row in heads]
    return Back(
        line_start=first,
        lat=np.array([row[3] for row in heads], dtype=np.float64),
        lon=np.array([row[4] for row in heads], dtype=np.float64),
        brought_to=np.array(nodes, dtype=np.int64),
        origin=catalogue.nodes_of(np.array([row[8] for row in heads])),
        line_sku=catalogue.skus_of(np.array([row[5] for row in found])),
        line_units=np.array([row[7] for row in found], dtype=np.int64),
        line_percent=np.array([rules.restocked(row[6]) for row in found], dtype=np.int64),
    )


def _takes(catalogue: Catalogue, rules: ReturnRules) -> Bools:
    """(J,) which nodes take parcels back."""
    stores = catalogue.columns.empty.node_is_store
    wanted = set(rules.node_tags)
    tagged = np.array([not wanted or bool(wanted & tags) for tags in catalogue.node_tags], dtype=np.bool_)
    kind = np.where(stores, "store" in rules.node_kinds, "warehouse" in rules.node_kinds)
    takes: Bools = tagged & (kind if rules.node_kinds else True)
    return takes


def _levels(tx: Tx, catalogue: Catalogue, sku: Ints, apart: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """(n, J) what a unit was worth in the last wave, free units, and units on their way back or not yet looked at.

    Parameters
    ----------
    apart
        Returns that do not count.
    """
    value, free, coming = (np.zeros((len(sku), catalogue.columns.nodes), dtype=np.int64) for _ in range(3))
    rows = Rows(no=catalogue.sku_no[sku])
    stock = tx.ints(
        4,
        "SELECT s.sku_no, s.node_no, s.on_hand - s.reserved, s.value_cents FROM {rows} JOIN stock s ON s.sku_no = rows.no",
        rows,
    )
    at = np.searchsorted(sku, catalogue.skus_of(stock[0])), catalogue.nodes_of(stock[1])
    free[at], value[at] = stock[2], stock[3]
    awaited = tx.ints(
        4,
        "SELECT l.sku_no, r.node_no, l.awaited, r.no FROM {rows} JOIN rma_line l ON l.sku_no = rows.no AND l.awaited > 0 "
        "JOIN rma r ON r.no = l.rma_no WHERE r.node_no IS NOT NULL",
        rows,
    )
    waiting = tx.ints(
        4,
        "SELECT t.sku_no, t.node_no, t.units - t.inspected, t.rma_no FROM {rows} JOIN rma_receipt t "
        "ON t.sku_no = rows.no AND t.units > t.inspected",
        rows,
    )
    back = np.concatenate([awaited, waiting], axis=1)
    back = back[:, ~np.isin(back[3], apart)]
    np.add.at(coming, (np.searchsorted(sku, catalogue.skus_of(back[0])), catalogue.nodes_of(back[1])), back[2])
    return value, free, coming


__all__ = ["check_some_node", "route_returns"]
