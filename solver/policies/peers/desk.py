"""What the rules of other systems have in common: orders one after the other, nodes in some order, and stock taken in turn.

A rule is a function of a `Desk` and its settings. It lets the desk `serve` orders with a choice: from an order and what could
serve it (`Asked`) to units by node and line. Whatever a choice takes passes through one kernel, which keeps every hard rule of
the problem, so that no rule can make a plan that the checker refuses. What all have in common too:

- a parcel goes by the service that is cheapest for it, lateness included;
- an order to collect goes to the node that holds most of it, and that node gives first;
- an order that must be complete ships whole or stays open.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from solver.bill import bill
from solver.draft import has_room, new_draft, plan_of, put, roomier
from solver.effort import Effort, Meter, Watch, unwatched
from solver.offers import offers_of
from solver.packing import collected, pack
from solver.plan import Plan
from solver.policies.cheapest import own_bound
from solver.policies.peers.taking import alone_cents, covering_sets, kms, open_to, take_in_turn
from solver.problem import DELIVERED, NO_LIMIT, Bools, Floats, Ints, Problem


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rule can be told."""


class Listed(Settings, frozen=True):
    """Nodes by id that take part, in the order in which they are asked; empty: all, as they stand in the problem."""

    nodes: tuple[str, ...] = ()


Rule = Callable[["Desk", Any], None]
Choice = Callable[["Asked"], Ints]
"""From an order and what could serve it to (m, n) units."""


@dataclass(frozen=True)
class Peer:
    """The rule of another system as a policy."""

    name: str
    rule: Rule
    settings: Settings
    effort: Effort = field(default_factory=Effort)
    seed: int = 0
    watch: Watch = unwatched

    def __call__(self, problem: Problem) -> Plan:
        """Decide as the rule says, however little time there is."""
        meter = Meter(self.effort, self.watch)
        desk = Desk(problem, meter, self.seed)
        self.rule(desk, self.settings)
        prices = np.zeros(problem.rows), np.zeros(problem.nodes)
        bound = own_bound(problem, meter)
        plan = plan_of(problem, desk.draft, bound, *prices, meter.seconds, self.name, self.seed)
        cost = sum(bill(problem, plan).values())
        return replace(plan, cost_cents=cost, bound_cents=min(bound, float(cost)))


class Desk:
    """Where orders are decided one after the other, from what those before left."""

    def __init__(self, problem: Problem, meter: Meter, seed: int) -> None:
        self.problem, self.meter, self.seed = problem, meter, seed
        self.draft = new_draft(problem)
        self._row_price = np.zeros(problem.rows)
        self._drawn = np.zeros(problem.rows, dtype=np.int64)

    def serve(self, choice: Choice, orders: Iterable[int] | None = None, nodes: Sequence[str] = ()) -> None:
        """Serve orders (all, as they stand) from some nodes (all where none is listed), until somebody stops it."""
        rank = self.rank(nodes)
        for order in range(self.problem.orders) if orders is None else orders:
            if self.meter.effort.stop.is_set():
                return
            asked = self.ask(int(order), rank)
            if len(asked.nodes):
                self.give(asked, choice(asked))

    def rank(self, nodes: Sequence[str]) -> Ints:
        """(J,) the place of each node in a list, `NO_LIMIT` where it is not there."""
        known = {name: at for at, name in enumerate(nodes or self.problem.node_id)}
        return np.array([known.get(name, NO_LIMIT) for name in self.problem.node_id], dtype=np.int64)

    def ask(self, order: int, rank: Ints, dest: int | None = None) -> "Asked":
        """Find what could serve an order now, by the rank of nodes, at a destination or where most of it lies."""
        c, draft = self.problem.columns, self.draft
        first, end = self.problem.order_dest_start[order : order + 2]
        dest = first if dest is None and end == first + 1 else dest
        if dest is None:
            offers = offers_of(c, order, draft.left, draft.node_left, self._row_price)
            dest = collected(c, order, offers.nodes, offers.avail)
        nodes, option, stock = open_to(c, order, dest, draft.left, draft.node_left, self._drawn)
        kept = np.argsort(rank[nodes], kind="stable")
        kept = kept[rank[nodes[kept]] < NO_LIMIT]
        return Asked(self, order, int(dest), nodes[kept], option[kept], stock[kept])

    def give(self, asked: "Asked", units: Ints) -> None:
        """Ship (m, n) units, or leave the order open where it must be complete and they are not."""
        if not units.any() or (self.problem.order_ship_complete[asked.order] and not asked.whole(units)):
            return
        c = self.problem.columns
        _, dest, node, service, content = pack(
            c, asked.order, 0.0, asked.dest, asked.nodes, units, asked.opening, self.draft.node_left, 0.0
        )
        while not has_room(c, self.draft, content.size):
            self.draft = roomier(self.problem, self.draft)
        put(c, self.draft, asked.order, dest, node, service, content)

    def take(self, asked: "Asked", sequence: Ints, most: Ints, most_parcels: int, units: Ints) -> Ints:
        """Take units in turn: see `Asked.take`."""
        return take_in_turn(
            self.problem.columns, asked.order, asked.dest, asked.nodes, asked.option, asked.opening, sequence, most,
            most_parcels, self.draft.left, self.draft.node_left, units, self._drawn,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Asked:
    """An order of n lines and the m nodes that hold some of it and may ship it there, by their place in the list.

    Attributes
    ----------
    dest
        Where it goes.
    nodes, option, stock
        (m,) nodes, (m, n) their options (-1: none) and the units that each still holds.
    """

    desk: Desk
    order: int
    dest: int
    nodes: Ints
    option: Ints
    stock: Ints

    @cached_property
    def lines(self) -> slice:
        """The lines of the order in the problem."""
        first, last = self.desk.problem.order_line_start[self.order : self.order + 2]
        return slice(first, last)

    @cached_property
    def want(self) -> Ints:
        """(n,) units that each line asks for."""
        return self.desk.problem.line_qty[self.lines]

    @cached_property
    def same(self) -> Bools:
        """(n, n) which lines are of one SKU."""
        sku = self.desk.problem.line_sku[self.lines]
        return np.asarray(sku[:, None] == sku)

    @cached_property
    def distinct(self) -> Bools:
        """(n,) the first line of each SKU."""
        return np.asarray(self.same.argmax(1) == np.arange(len(self.want)))

    @cached_property
    def opening(self) -> Floats:
        """(m,) cents for opening a parcel."""
        return self.desk.problem.node_parcel_cents[self.nodes].astype(np.float64)

    @cached_property
    def km(self) -> Floats:
        """(m,) great-circle distance, infinite where it is not known."""
        p = self.desk.problem
        return kms(self.nodes, p.node_lat, p.node_lon, p.dest_lat[self.dest], p.dest_lon[self.dest])

    @property
    def everyone(self) -> Bools:
        """(m,) all of them."""
        return np.ones(len(self.nodes), dtype=np.bool_)

    @property
    def nothing(self) -> Ints:
        """(m, n) no units: the order stays open."""
        return np.zeros_like(self.stock)

    def need(self, rest: Ints | None = None) -> Ints:
        """(n,) units that the order (or the rest of it) needs of the SKU of each line, all its lines together."""
        return self.same @ (self.want if rest is None else rest)

    def covers(self, rest: Ints | None = None) -> Bools:
        """(m, n) whether a node holds all that is needed of a line's SKU."""
        covers: Bools = self.stock >= self.need(rest)
        return covers

    def has_all(self, rest: Ints | None = None) -> Bools:
        """(m,) whether a node can serve the order, or the rest of it, alone."""
        return np.asarray(self.covers(rest).all(1))

    def whole(self, units: Ints) -> bool:
        """Tell whether (m, n) units are all that the order asks for."""
        return bool((units.sum(0) == self.want).all())

    def by_name(self, ranks: dict[str, Any], otherwise: float = np.inf) -> Floats:
        """(m,) what settings say of each node by its id."""
        names = self.desk.problem.node_id
        return np.array([ranks.get(names[node], otherwise) for node in self.nodes], dtype=np.float64)

    def ranked(self, *keys: Floats | Ints | Bools, among: Bools | None = None) -> Ints:
        """Candidates by the first key ascending, ties by the next ones, and last by their place in the list."""
        order = np.lexsort(keys[::-1]) if keys else np.arange(len(self.nodes))
        return order if among is None else order[among[order]]

    def take(
        self, sequence: Ints, most: Ints | None = None, parcels: int | None = None, units: Ints | None = None
    ) -> Ints:
        """Take the units of each line from one candidate after the other, within the rules.

        Parameters
        ----------
        sequence
            Candidates in turn: (i,) for all lines, or (i, n) for each.
        most
            (m, n) more than this a candidate does not give.
        parcels
            At most so many parcels, where the order itself does not allow fewer.
        units
            (m, n) what the order has already.

        Returns
        -------
        ndarray
            (m, n) units.
        """
        each = np.repeat(sequence[:, None], len(self.want), axis=1) if sequence.ndim == 1 else sequence
        limit = int(self.desk.problem.order_max_parcels[self.order])
        return self.desk.take(
            self, self._here_first(each), self.stock if most is None else np.minimum(most, self.stock),
            limit if parcels is None else min(limit, parcels), self.nothing if units is None else units.copy(),
        )  # fmt: skip

    def one_by_one(
        self,
        rank: Callable[[Ints], Sequence[Floats | Ints | Bools]],
        among: Bools | None = None,
        parcels: int | None = None,
    ) -> Ints:
        """Take all that the best candidate can give, rank the others for what is left, and so on: (m, n) units."""
        units = self.nothing
        among = self.everyone if among is None else among.copy()
        while True:
            rest = self.want - units.sum(0)
            useful = among & (np.minimum(self.stock, rest).sum(1) > 0)
            if not useful.any():
                return units
            best = self.ranked(*rank(rest), among=useful)[:1]
            units = self.take(best, parcels=parcels, units=units)
            among[best] = False

    def sets(self, most: int, rest: Ints | None = None) -> Ints:
        """(s, k) all sets of k candidates that together hold the order (or the rest of it), for the least k up to `most`."""
        need, found, others = self.need(rest), [], self.everyone
        if not need.any() or (np.sort(self.stock, axis=0)[-most:].sum(0) < need).any():
            return np.empty((0, 1), dtype=np.int64)  # of some SKU not even the nodes with most of it hold enough
        scarcest = np.where(need > 0, (self.stock > 0).sum(0), len(self.nodes) + 1).argmin()
        for at in np.flatnonzero(self.stock[:, scarcest]):
            others[at] = False  # sets with it come now, and all later ones are without it
            lacking = (need - self.stock[at]).clip(0)
            rest_of = np.flatnonzero(others)
            some = (
                covering_sets(self.stock[rest_of], lacking, most - 1)
                if lacking.any()
                else np.empty((1, 0), dtype=np.int64)
            )
            if len(some):
                most = some.shape[1] + 1
                found.append(np.insert(rest_of[some], 0, at, axis=1))
        least = [sets for sets in found if sets.shape[1] == most]
        if not least:
            return np.empty((0, 1), dtype=np.int64)
        sets = np.sort(np.concatenate(least), axis=1)
        return np.asarray(sets[np.lexsort(sets.T[::-1])])

    def alone_cents(self, rest: Ints) -> Floats:
        """(m,) carriage, lateness and opening of what each candidate could give of the rest, infinite where it cannot go."""
        units = np.minimum(self.stock, rest)
        return alone_cents(
            self.desk.problem.columns, self.order, self.dest, self.nodes, units, self.opening, self.desk.draft.node_left
        )

    def _here_first(self, sequence: Ints) -> Ints:
        """Put the node where the order is collected before all others, if it is one of them."""
        here = self.desk.problem.dest_node[self.dest]
        if here == DELIVERED:
            return sequence
        away = self.nodes[sequence] != here
        return np.take_along_axis(sequence, np.argsort(away, axis=0, kind="stable"), axis=0)


def every_km(asked: Asked) -> Floats:
    """(J,) how far all nodes of the problem are from where an order goes."""
    return replace(asked, nodes=np.arange(asked.desk.problem.nodes)).km


__all__ = ["Asked", "Choice", "Desk", "Listed", "Peer", "Rule", "Settings", "every_km"]
