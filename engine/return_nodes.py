"""Which node takes a return back: carriage there and handling, less what the units are worth there; jointly for many returns.

All of a return goes to one node, in one parcel. One more unit is worth to a node what stock there was worth to other orders in the
last wave, or somewhere else, less what it costs more to send it from here. So many units of a SKU keep that worth as are expected
to be asked for, until the next receipt, beyond what is there: that is the *room* for it. What comes beyond is worth a part of
that. So returns compete for room, and are decided together: as a problem of the solver, under `joint`, with a bound.

The problem has three nodes for each that takes returns. The parcel goes to the node itself: one line, which weighs what the return
weighs, by the cheapest service. Its units go along for nothing, to one of two shelves: one where they keep their worth, which all
together hold as many units as there is room (a row for each SKU), or one where they do not. An order may end at one of as many
destinations as there are nodes for it, and a destination is reached from one node and its shelves alone. Worth is a cost: what the
unit would be worth at best, less what it is worth on the shelf.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.network import NetworkColumns
from engine.sourcing import ranges
from solver.alone import tariff_cents
from solver.check import check
from solver.distance import km, lane_zones
from solver.effort import Effort
from solver.plan import Plan
from solver.policies import make
from solver.problem import DELIVERED, HARD, NO_LIMIT, NO_SERVICE, Bools, Ints, Problem

BROUGHT = ""
"""The service of what the customer brings."""
REASONS = ("", "takes_no_returns", "node_paused", "node_cannot_handle", "no_service", "customer_chose_another")
"""Why a node is no option for a return."""
NOT_TAKEN, PAUSED, UNHANDLED, UNSERVED, NOT_CHOSEN = range(1, len(REASONS))
FAR = np.iinfo(np.int64).max // 4
"""Cents of what is no option."""
INSIDE = "on the shelf"
"""The service by which units go along with their parcel."""
SHOWN = 50
"""Nodes that an explanation has at most."""


@dataclass(frozen=True, eq=False)
class Back:
    """Returns that are to be sent: R returns, L lines of one SKU each.

    Attributes
    ----------
    line_start
        (R + 1,) the lines of a return are contiguous.
    lat, lon
        (R,) from where they are sent.
    brought_to
        (R,) the node that the customer brings it to, or -1: it is sent.
    origin
        (R,) the node that it came from.
    line_sku, line_units
        (L,) index into the SKUs of the network, and units.
    line_percent
        (L,) units of a hundred that are expected to be sold again.
    """

    line_start: Ints
    lat: Any
    lon: Any
    brought_to: Ints
    origin: Ints
    line_sku: Ints
    line_units: Ints
    line_percent: Ints

    @property
    def returns(self) -> int:
        return len(self.lat)

    @property
    def line_return(self) -> Ints:
        """(L,) the return of each line."""
        return np.repeat(np.arange(self.returns), np.diff(self.line_start))


@dataclass(frozen=True, eq=False)
class Worth:
    """What one more unit of n SKUs is worth at J nodes, in cents.

    Attributes
    ----------
    sku
        (n,) indices into the SKUs of the network, ascending.
    first, rest
        (n, J) a unit for which there is room, and one beyond; `first` is never less.
    room
        (n,) units that are worth `first`, at all nodes together.
    """

    sku: Ints
    first: Ints
    rest: Ints
    room: Ints


@dataclass(frozen=True, eq=False)
class Routed:
    """Where R returns go.

    Attributes
    ----------
    node, service
        (R,) indices; `NO_SERVICE` where it is brought.
    carriage, handling, worth
        (R,) cents: what it costs, and what the units are worth there.
    cost_cents, bound_cents
        Of all together, worth taken off, and the least that any choice costs.
    policy
        Who found it: `joint`, `in_turn`, `nearest` or `origin`.
    """

    node: Ints
    service: Ints
    carriage: Ints
    handling: Ints
    worth: Ints
    cost_cents: int
    bound_cents: float = 0.0
    policy: str = ""

    @property
    def cents(self) -> Ints:
        """(R,) what each costs."""
        return self.carriage + self.handling - self.worth


class Question:
    """Where returns could go, and what that costs.

    Attributes
    ----------
    carriage, service, handling
        (R, J) cents by the cheapest service that carries it all, that service, cents at the node; `FAR` where it is no option.
    reason
        (R, J) 0, or why it is none.
    rest, gain
        (L, J) cents that a unit of a line is expected to be worth beyond the room, and how much more with room for it.
    """

    def __init__(self, network: NetworkColumns, back: Back, worth: Worth, takes: Bools, paused: Bools) -> None:
        self.network, self.back, self.worth, self.takes, self.paused = network, back, worth, takes, paused
        empty, of = network.empty, back.line_return
        self.line_at = np.searchsorted(worth.sku, back.line_sku)
        share = back.line_percent[:, None]
        self.rest = worth.rest[self.line_at] * share // 100
        self.gain = (worth.first - worth.rest)[self.line_at] * share // 100
        grams = np.bincount(of, empty.sku_weight_g[back.line_sku] * back.line_units, back.returns).astype(np.int64)
        self.grams = grams
        self.carried = _all_of(empty.sku_carried[back.line_sku], of, back.returns)
        self.lanes = lane_zones(
            empty.node_lat, empty.node_lon, back.lat, back.lon, np.full(back.returns, DELIVERED),
            empty.service_zone_km, empty.service_zones,
        )  # fmt: skip
        self.carriage, self.service = carriage_of(empty, self.lanes, grams, self.carried)
        brought = back.brought_to >= 0
        own = np.arange(empty.nodes)[None, :] == back.brought_to[:, None]
        self.carriage[own], self.service[own] = 0, NO_SERVICE
        units = np.bincount(of, back.line_units, back.returns).astype(np.int64)
        lines = np.diff(back.line_start)
        self.more_handling = (lines[:, None] - 1) * empty.node_line_cents + units[:, None] * empty.node_unit_cents
        self.handling = empty.node_parcel_cents + empty.node_line_cents + self.more_handling
        handled = _all_of(network.kind_handled[network.sku_kind[back.line_sku]], of, back.returns)
        self.reason = np.zeros((back.returns, empty.nodes), dtype=np.int64)
        for test, why in (
            (self.carriage >= FAR, UNSERVED),
            (~handled, UNHANDLED),
            (np.broadcast_to(paused, handled.shape), PAUSED),
            (np.broadcast_to(~takes, handled.shape) & ~own, NOT_TAKEN),
            (brought[:, None] & ~own, NOT_CHOSEN),
        ):
            self.reason[test] = why

    def only(self, which: Ints) -> "Question":
        """The same about some of the returns."""
        back = self.back
        lines = ranges(back.line_start[which], np.diff(back.line_start)[which])
        start = np.concatenate([[0], np.cumsum(np.diff(back.line_start)[which])]).astype(np.int64)
        some = Back(
            start, back.lat[which], back.lon[which], back.brought_to[which], back.origin[which], back.line_sku[lines],
            back.line_units[lines], back.line_percent[lines],
        )  # fmt: skip
        return Question(self.network, some, self.worth, self.takes, self.paused)

    def competing(self, which: int) -> Ints:
        """The returns, ascending, that have a SKU in common with one, which is among them."""
        back = self.back
        own = self.line_at[back.line_start[which] : back.line_start[which + 1]]
        shared: Ints = np.unique(back.line_return[np.isin(self.line_at, own)])
        return shared

    @property
    def possible(self) -> Bools:
        """(R,) whether a return has any node."""
        able: Bools = (self.reason == 0).any(axis=1)
        return able

    def routed(self, node: Ints) -> Routed:
        """What it costs to send each return to a node, room given to those to whom it is worth most."""
        at, back = np.arange(self.back.returns), self.back
        of = back.line_return
        line = np.arange(len(of))
        without, gain = self.rest[line, node[of]], self.gain[line, node[of]]
        by = np.lexsort((line, -gain, self.line_at))
        before = _running(self.line_at[by], back.line_units[by])
        room = self.worth.room[self.line_at[by]]
        roomy = np.zeros(len(of), dtype=np.int64)
        roomy[by] = np.clip(room - before, 0, back.line_units[by])
        total = without * back.line_units + gain * roomy
        worth = np.bincount(of, total, back.returns).astype(np.int64)
        carriage, handling = self.carriage[at, node], self.handling[at, node]
        cost = int(carriage.sum() + handling.sum() - worth.sum())
        return Routed(node, self.service[at, node], carriage, handling, worth, cost)

    def nearest(self) -> Ints:
        """(R,) the nearest node that is an option; that of the lowest index where two are."""
        empty = self.network.empty
        far = np.full((self.back.returns, empty.nodes), np.inf)
        for r, j in np.argwhere(self.reason == 0).tolist():
            far[r, j] = km(self.back.lat[r], self.back.lon[r], empty.node_lat[j], empty.node_lon[j])
        nearest: Ints = np.argmin(far, axis=1).astype(np.int64)
        return nearest

    def origin(self) -> Ints:
        """(R,) the node that each came from; the nearest where that is no option."""
        own = self.reason[np.arange(self.back.returns), self.back.origin] == 0
        return np.where(own, self.back.origin, self.nearest()).astype(np.int64)

    def in_turn(self) -> tuple[Ints, int]:
        """Send each return where it costs least by what room the ones before it have left.

        Returns
        -------
        tuple
            (R,) the nodes, and the cents that no choice costs less than: of each where it costs least with all room there is.
        """
        room, node, least = self.worth.room.copy(), np.zeros(self.back.returns, dtype=np.int64), 0
        for r in range(self.back.returns):
            cost, taken = self._by_node(r, room)
            node[r] = np.argmin(cost)
            least += int(self._by_node(r, self.worth.room)[0].min())
            for k, units in taken:
                room[k] -= units[node[r]]
        return node, least

    def _by_node(self, which: int, room: Ints) -> tuple[Ints, list[tuple[int, Ints]]]:
        """(J,) what a return costs at each node with so much room, and how much of it (J,) it takes of which SKUs."""
        back = self.back
        cost = np.where(self.reason[which] == 0, self.carriage[which] + self.handling[which], FAR)
        left: dict[int, Ints] = {}
        lines = range(int(back.line_start[which]), int(back.line_start[which + 1]))
        for i in sorted(lines, key=lambda i: -back.line_percent[i]):
            k, units = int(self.line_at[i]), back.line_units[i]
            roomy = np.minimum(units, left.setdefault(k, np.full(len(cost), room[k])))
            left[k] -= roomy
            cost -= self.rest[i] * units + self.gain[i] * roomy
        return cost, [(k, room[k] - after) for k, after in left.items()]

    def kept(self) -> Bools:
        """(R, J) the nodes that can be best.

        Where all of a return is worth at some node what it is without room, it costs that much there whatever the others do. A node
        where it costs no less even with room for all is never needed.
        """
        back, units = self.back, self.back.line_units[:, None]
        least, most = (
            np.where(
                self.reason == 0,
                self.carriage + self.handling - np.add.reduceat(worth * units, back.line_start[:-1], axis=0),
                FAR,
            )
            for worth in (self.rest + self.gain, self.rest)
        )
        best = np.argmin(most, axis=1)
        kept: Bools = (least < most[np.arange(back.returns), best][:, None]) & (self.reason == 0)
        kept[np.arange(back.returns), best] |= self.possible
        return kept


def carriage_of(empty: Problem, lanes: Any, grams: Ints, carried: Bools) -> tuple[Ints, Ints]:
    """Price a parcel on each lane by the cheapest service.

    Parameters
    ----------
    lanes
        (R, J, M) zones.
    carried
        (R, M) which services carry all that is in it.

    Returns
    -------
    tuple
        (R, J) cents, `FAR` where no service takes it there, and (R, J) the service.
    """
    cents = np.full(lanes.shape, FAR)
    for s in range(empty.services):
        price = tariff_cents(empty, s, np.maximum(0, lanes[:, :, s]), grams[:, None])
        cents[:, :, s] = np.where((lanes[:, :, s] >= 0) & carried[:, s][:, None], price, FAR)
    service = np.argmin(cents, axis=2)
    least: Ints = np.take_along_axis(cents, service[:, :, None], axis=2)[:, :, 0]
    return least, service


def worth_of(network: NetworkColumns, sku: Ints, value: Ints, room: Ints, rest_percent: int) -> Worth:
    """What one more unit is worth at each node.

    A unit serves what one more at another node would, from farther away: it is worth as much, less what a parcel of one unit from
    here to there costs more than one that stays there. So a node has a price too where none of the SKU lay in the last wave.

    Parameters
    ----------
    sku
        (n,) ascending.
    value
        (n, J) what stock was worth to other orders in the last wave.
    room
        (n,) units more that keep that worth.
    rest_percent
        What is left of it beyond the room.
    """
    empty = network.empty
    first = value.copy()
    some = np.flatnonzero(value.any(axis=1))
    if len(some):
        every = np.full(empty.nodes, DELIVERED)
        lanes = lane_zones(
            empty.node_lat, empty.node_lon, empty.node_lat, empty.node_lon, every, empty.service_zone_km,
            empty.service_zones,
        )  # fmt: skip
        for i in some.tolist():
            grams = np.full(empty.nodes, empty.sku_weight_g[sku[i]])
            carried = np.repeat(empty.sku_carried[sku[i]][None, :], empty.nodes, axis=0)
            cents, _ = carriage_of(empty, lanes, grams, carried)  # to (first axis), from (second)
            farther = np.maximum(0, cents - np.diag(cents)[:, None])
            first[i] = np.maximum(value[i], (value[i][:, None] - farther).max(axis=0))
    return Worth(sku, first, first * rest_percent // 100, room)


def room_of(value: Ints, free: Ints, coming: Ints, expected: Any | None) -> Ints:
    """(n,) units more that are asked for before the next receipt, beyond what is there then and what is on its way back.

    Parameters
    ----------
    value, free, coming
        (n, J) prices, free units, and units on their way back, by node.
    expected
        (2, n, J) units asked for until the next receipt, and those of them until what comes back now can be sold; where there is no
        outlook, a price speaks of one unit more.
    """
    back = coming.sum(axis=1)
    if expected is None:
        return np.asarray(np.maximum(0, value.any(axis=1).astype(np.int64) - back))
    total, before = expected.sum(axis=2)
    left = np.maximum(0.0, np.maximum(0, free).sum(axis=1) - before)
    room: Ints = np.maximum(0, np.floor(total - before - left + 0.5).astype(np.int64) - back)
    return room


def route(question: Question, effort: Effort, seed: int = 0) -> Routed:
    """Choose a node for each return, all together; every return must have one that is possible.

    Where each can have its best, none takes room from another, and that is the answer. Else `joint` decides. Never dearer than to
    send each to the nearest node, or to where it came from, however little the solver may spend.
    """
    assert question.possible.all(), "every return has a node"
    node, least = question.in_turn()
    bound, chosen = float(least), {"in_turn": node}
    if question.routed(node).cost_cents > least:
        problem, shift, dest_node = problem_of(question)
        plan = make("joint", effort, seed)(problem)
        assert check(problem, plan).ok, "the plan keeps the rules"
        bound = max(bound, plan.bound_cents - shift)
        chosen = {"joint": _nodes_of(plan, dest_node, node), **chosen}
        chosen |= {"nearest": question.nearest(), "origin": question.origin()}
    found = {name: question.routed(node) for name, node in chosen.items()}
    best = min(found, key=lambda name: found[name].cost_cents)
    return replace(found[best], bound_cents=bound, policy=best)


def _nodes_of(plan: Plan, dest_node: Ints, otherwise: Ints) -> Ints:
    """(R,) the node of each return's parcel; another one where the plan has none."""
    node = otherwise.copy()
    node[plan.parcel_order] = dest_node[plan.parcel_dest]
    return node


def problem_of(question: Question) -> tuple[Problem, int, Ints]:
    """Ask the solver.

    Returns
    -------
    tuple
        The problem, the cents by which its costs are higher, and (D,) the node that each destination stands for.
    """
    back, worth, network = question.back, question.worth, question.network
    empty, nodes, kept = network.empty, network.nodes, question.kept()
    dest_return, dest_node = np.nonzero(kept)
    dest_node = dest_node.astype(np.int64)
    of = back.line_return
    row_of, limit = _rows(question)

    line_return = np.concatenate([np.arange(back.returns), of])
    by = np.argsort(line_return, kind="stable")  # the parcel first, then what is in it
    is_parcel = by < back.returns
    options: list[tuple[Any, ...]] = []
    shift, width = 0, 1
    starts = [0]
    for line in by.tolist():
        if line < back.returns:
            own = np.flatnonzero(kept[line])
            options.append((own, np.full(len(own), -1), question.more_handling[line, own],
                            np.zeros(len(own), dtype=np.int64)))  # fmt: skip
            starts.append(starts[-1] + len(own))
            continue
        i = line - back.returns
        own = np.flatnonzero(kept[of[i]])
        k, rest = question.line_at[i], question.rest[i, own]
        first = rest + question.gain[i, own]
        best = int(first.max())
        shift += best * int(back.line_units[i])
        roomy = (row_of[k] >= 0) & (first > rest)
        options.append((
            np.concatenate([nodes + own[roomy], 2 * nodes + own]),
            np.concatenate([np.full(int(roomy.sum()), row_of[k]), np.full(len(own), -1)]),
            np.zeros(int(roomy.sum()) + len(own), dtype=np.int64),
            np.concatenate([best - first[roomy], best - rest]),
        ))  # fmt: skip
        starts.append(starts[-1] + int(roomy.sum()) + len(own))
    option_node, option_row, option_unit, option_value = (
        np.concatenate([option[c] for option in options]).astype(np.int64) for c in range(4)
    )
    services = empty.services + 1
    return (
        replace(
            empty,
            **_shelves(empty),
            **_with_inside(empty),
            sku_id=tuple(f"return {r}" for r in range(back.returns)) + tuple(empty.sku_id[k] for k in worth.sku),
            sku_weight_g=np.concatenate([question.grams, np.zeros(len(worth.sku), dtype=np.int64)]),
            sku_carried=_carried(question, services),
            order_id=tuple(str(r) for r in range(back.returns)),
            order_line_start=back.line_start + np.arange(back.returns + 1),
            order_dest_start=np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64),
            order_promise_days=np.full(back.returns, 100_000),
            order_late_cents=np.zeros(back.returns, dtype=np.int64),
            order_max_parcels=np.full(back.returns, NO_LIMIT),
            order_ship_complete=np.ones(back.returns, dtype=np.bool_),
            dest_node=np.where(back.brought_to[dest_return] >= 0, dest_node, DELIVERED),
            dest_lat=back.lat[dest_return],
            dest_lon=back.lon[dest_return],
            line_sku=np.where(is_parcel, by, back.returns + question.line_at[by - back.returns]).astype(np.int64),
            line_qty=np.where(is_parcel, 1, back.line_units[by - back.returns]).astype(np.int64),
            line_unfilled_cents=np.zeros(len(by), dtype=np.int64),
            line_must_fill=np.ones(len(by), dtype=np.bool_),
            line_option_start=np.array(starts, dtype=np.int64),
            option_node=option_node.astype(np.int32),
            option_row=option_row[:, None].astype(np.int32),
            option_use=np.ones((len(option_node), width), dtype=np.int32),
            option_unit_cents=option_unit,
            option_value_cents=option_value,
            option_reason=np.zeros(len(option_node), dtype=np.uint8),
            reasons=("",),
            row_limit=limit,
            row_node=np.full(len(limit), -1, dtype=np.int32),
            row_sku=np.full(len(limit), -1, dtype=np.int32),
            lane_zone=_lanes(question, dest_return, dest_node),
            row_price=np.zeros(len(limit)),
            node_price=np.zeros(3 * nodes),
        ),
        shift,
        dest_node,
    )


def _rows(question: Question) -> tuple[Ints, Ints]:
    """(n,) the row of the room for each SKU (-1: there is none), and (R,) how much there is."""
    room = question.worth.room
    some = np.flatnonzero(room)
    row = np.full(len(room), -1)
    row[some] = np.arange(len(some))
    return row, room[some].astype(np.int64)


def _shelves(empty: Problem) -> dict[str, Any]:
    """Each node, and its two shelves, at which nothing costs anything."""

    def thrice(column: Any, shelf: Any = None) -> Any:
        more = column if shelf is None else np.full(len(column), shelf)
        return np.concatenate([column, more, more])

    names = [f"{name}: {shelf}" for shelf in ("with room", "beyond") for name in empty.node_id]
    return {
        "node_id": empty.node_id + tuple(names),
        "node_is_store": thrice(empty.node_is_store),
        "node_lat": thrice(empty.node_lat),
        "node_lon": thrice(empty.node_lon),
        "node_parcel_cents": thrice(empty.node_parcel_cents, 0),
        "node_line_cents": thrice(empty.node_line_cents, 0),
        "node_unit_cents": thrice(empty.node_unit_cents, 0),
        "node_ready_days": thrice(np.zeros_like(empty.node_ready_days)),
        "node_capacity_parcels": thrice(np.full_like(empty.node_capacity_parcels, NO_LIMIT)),
        "node_overtime_cents": thrice(np.full_like(empty.node_overtime_cents, HARD)),
    }


def _with_inside(empty: Problem) -> dict[str, Any]:
    """The services, and one by which units go along with their parcel for nothing."""

    def more(column: Any, value: Any) -> Any:
        row = np.full((1, *column.shape[1:]), value, dtype=column.dtype)
        return np.concatenate([column, row])

    return {
        "service_id": (*empty.service_id, INSIDE),
        "service_zones": more(empty.service_zones, 1),
        "service_zone_km": more(empty.service_zone_km, np.inf),
        "service_steps": more(empty.service_steps, 1),
        "service_steps_g": more(empty.service_steps_g, 2**40),
        "service_cents": more(empty.service_cents, 0),
        "service_over_cents": more(empty.service_over_cents, 0),
        "service_transit_days": more(empty.service_transit_days, 0),
    }


def _carried(question: Question, services: int) -> Bools:
    """Parcels go by what carries all that is in them, units by no service of a carrier."""
    goods = np.zeros((len(question.worth.sku), services), dtype=np.bool_)
    goods[:, -1] = True
    parcels = np.concatenate([question.carried, np.zeros((question.back.returns, 1), dtype=np.bool_)], axis=1)
    return np.concatenate([parcels, goods])


def _lanes(question: Question, dest_return: Ints, dest_node: Ints) -> Any:
    """(D, 3 J, M + 1) zones: a destination is reached from its node, and from the shelves of that alone."""
    nodes, services = question.network.nodes, question.network.empty.services
    lanes = np.full((len(dest_node), 3 * nodes, services + 1), NO_SERVICE, dtype=np.int8)
    at = np.arange(len(dest_node))
    sent = question.back.brought_to[dest_return] < 0
    zones = np.where(sent[:, None], question.lanes[dest_return, dest_node], NO_SERVICE)
    lanes[at, dest_node, :services] = zones
    for shelf in (1, 2):
        lanes[at, shelf * nodes + dest_node, services] = 0
    return lanes


@dataclass(frozen=True)
class NodeTold:
    """Why a return goes to a node, or why not.

    Attributes
    ----------
    why
        `chosen`; `dearer`; `worth_more_to_others`: it would be cheaper if no other return had taken the room there; or a
        reason for which it is no option.
    cost_cents
        What this return costs there, all others as they are; `None` where it is no option.
    """

    node: str
    why: str
    service: str = ""
    carriage_cents: int | None = None
    handling_cents: int | None = None
    worth_cents: int | None = None
    cost_cents: int | None = None


def explain(question: Question, routed: Routed, which: int) -> list[NodeTold]:
    """Say of each node why a return goes there or not: the one chosen, then by what it costs, then what is no option."""
    near = question.competing(which)
    mine = int(np.searchsorted(near, which))
    among, alone = question.only(near), question.only(np.array([which]))
    now = among.routed(routed.node[near])
    best = _cost_by_node(alone, np.zeros(1, dtype=np.int64), 0)
    there = _cost_by_node(among, now.node, mine) - now.cost_cents + int(now.cents[mine])
    empty, chosen = question.network.empty, int(routed.node[which])
    told = []
    for j in np.argsort(there, kind="stable").tolist():
        if question.reason[which, j]:
            told.append((2, NodeTold(empty.node_id[j], REASONS[question.reason[which, j]])))
            continue
        why = "chosen" if j == chosen else "worth_more_to_others" if best[j] < best[chosen] else "dearer"
        service, cost = int(question.service[which, j]), int(there[j])
        name = BROUGHT if service == NO_SERVICE else empty.service_id[service]
        carriage, handling = int(question.carriage[which, j]), int(question.handling[which, j])
        one = NodeTold(empty.node_id[j], why, name, carriage, handling, carriage + handling - cost, cost)
        told.append((int(j != chosen), one))
    return [one for _, one in sorted(told, key=lambda pair: pair[0])][:SHOWN]


def _cost_by_node(question: Question, node: Ints, which: int) -> Ints:
    """(J,) what all returns cost together, one of them at each node."""
    cost = np.full(question.network.nodes, FAR)
    for j in np.flatnonzero(question.reason[which] == 0).tolist():
        moved = node.copy()
        moved[which] = j
        cost[j] = question.routed(moved).cost_cents
    return cost


def _all_of(columns: Bools, of: Ints, count: int) -> Bools:
    """(count, ...) whether all rows of a group have each column."""
    lacking = np.zeros((count, columns.shape[1]), dtype=np.bool_)
    np.logical_or.at(lacking, of, ~columns)
    return ~lacking


def _running(key: Ints, units: Ints) -> Ints:
    """(n,) units of the same key that stand before; keys ascend."""
    total = np.cumsum(units) - units
    new = np.ones(len(key), dtype=np.bool_)
    new[1:] = key[1:] != key[:-1]
    return total - np.maximum.accumulate(np.where(new, total, 0))


__all__ = [
    "BROUGHT", "REASONS", "Back", "NodeTold", "Question", "Routed", "Worth", "carriage_of", "explain", "problem_of",
    "room_of", "route", "worth_of",
]  # fmt: skip
