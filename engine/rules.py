"""Who may serve what: rules of channels, paused nodes and remembered refusals, applied to a problem.

A rule that is hard rules options out, under its name; one with a price makes them dearer by it. Everything is done on columns: a
rule is read once for nodes, once for lines, and once for the options where both meet. A new kind of rule is a class in
`engine.rulebook` and a function here, entered in `APPLIED`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.catalogue import Catalogue
from engine.rulebook import (
    AnyRule,
    ExcludeNodes,
    MaxDistance,
    MaxParcels,
    NodeRule,
    OnlyNodes,
    RingFence,
    Rule,
    SameRegion,
)
from solver.distance import EARTH_KM
from solver.problem import DELIVERED, Bools, Floats, Ints, Problem

PAUSED, REFUSED = "node_paused", "node_refused"
OTHER = "another_rule"
"""The reason given where there are more rules than reasons have numbers."""
MOST_REASONS = 250


@dataclass(frozen=True, eq=False)
class Rejections:
    """Nodes that refused an order and rest from it: X rows.

    Attributes
    ----------
    order, node
        (X,) indices into the orders and nodes of a problem.
    times
        (X,) how often.
    """

    order: Ints
    node: Ints
    times: Ints


def no_rejections() -> Rejections:
    """Nobody refused anything."""
    none = np.zeros(0, dtype=np.int64)
    return Rejections(none, none, none)


def restrict(
    problem: Problem,
    catalogue: Catalogue,
    order_channel: Ints,
    order_region: Sequence[str],
    rejections: Rejections,
) -> Problem:
    """Rule out, or price, what the rules of the orders' channels say, and rule out paused nodes and refusals.

    An option that is none already keeps its reason; of several rules the first in the channel's list is named.

    Parameters
    ----------
    problem
        On the nodes of the catalogue.
    order_channel
        (O,) index of each order's channel.
    order_region
        (O,) where each customer lives.
    """
    channels = [c for c in np.unique(order_channel).tolist() if catalogue.channels[c].rules]
    if not (channels or catalogue.paused.any() or len(rejections.order)):
        return problem
    work = _Work(problem, catalogue, np.asarray(order_region, dtype=object))
    work.rule_out(catalogue.paused[problem.option_node], PAUSED)
    if len(rejections.order):
        refused = np.unique(rejections.order * problem.nodes + rejections.node)
        work.rule_out(_is_in(work.option_order * problem.nodes + problem.option_node, refused), REFUSED)
    for c in channels:
        for rule in catalogue.channels[c].rules:
            lines = _lines(work, rule, order_channel == c)
            if lines.any():
                APPLIED[type(rule)](work, rule, lines)
    _raise_fences(work)
    return work.done()


@dataclass(eq=False)
class _Fence:
    """Units that some options may not touch, on some rows of stock."""

    name: str
    units: int
    options: Bools
    rows: Bools


@dataclass(eq=False)
class _Work:
    """A problem while rules are applied to it."""

    problem: Problem
    catalogue: Catalogue
    region: Any
    reasons: list[str] = field(init=False)
    reason: Any = field(init=False)
    unit_cents: Ints = field(init=False)
    max_parcels: Ints = field(init=False)
    fences: list[_Fence] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reasons = list(self.problem.reasons)
        self.reason = self.problem.option_reason.copy()
        self.unit_cents = self.problem.option_unit_cents.copy()
        self.max_parcels = self.problem.order_max_parcels.copy()
        self.option_order = self.problem.line_order[self.problem.option_line]
        self.sku = np.array([self.catalogue.sku_at[name] for name in self.problem.sku_id], dtype=np.int64)
        self.delivered = self.problem.dest_node[self.problem.order_dest_start[:-1]] == DELIVERED

    def rule_out(self, options: Bools, name: str) -> None:
        if name not in self.reasons:
            if len(self.reasons) >= MOST_REASONS:
                name = OTHER
            if name not in self.reasons:
                self.reasons.append(name)
        self.reason[options & (self.reason == 0)] = self.reasons.index(name)

    def break_at(self, options: Bools, rule: Rule) -> None:
        """Options that break a rule are none, or cost its price."""
        if rule.cents is None:
            self.rule_out(options, rule.name)
        else:
            self.unit_cents[options] += rule.cents

    def done(self) -> Problem:
        return replace(
            self.problem, reasons=tuple(self.reasons), option_reason=self.reason, option_unit_cents=self.unit_cents,
            order_max_parcels=self.max_parcels, **self.more,
        )  # fmt: skip


def _skus(work: _Work, rule: Rule) -> Bools:
    """(K,) which SKUs of the problem a rule concerns."""
    concerned = np.ones(len(work.sku), dtype=np.bool_)
    if rule.skus:
        named = [work.catalogue.sku_at[name] for name in rule.skus if name in work.catalogue.sku_at]
        concerned &= np.isin(work.sku, named)
    if rule.sku_tags:
        wanted, nothing = set(rule.sku_tags), frozenset[str]()
        tags = work.catalogue.sku_tags
        concerned &= np.array([not wanted.isdisjoint(tags.get(k, nothing)) for k in work.sku.tolist()], dtype=np.bool_)
    return concerned


def _lines(work: _Work, rule: Rule, orders: Bools) -> Bools:
    """(L,) which lines a rule concerns. A ring-fence is about the stock of its SKUs, whatever the line is (a kit has parts)."""
    if rule.regions:
        orders = orders & np.isin(work.region, rule.regions)
    lines = orders[work.problem.line_order]
    if (rule.skus or rule.sku_tags) and not isinstance(rule, RingFence):
        lines &= _skus(work, rule)[work.problem.line_sku]
    return lines


def _nodes(work: _Work, rule: NodeRule) -> Bools:
    """(J,) which nodes a rule names: of all that it says; all where it says nothing."""
    catalogue, problem = work.catalogue, work.problem
    named = np.ones(problem.nodes, dtype=np.bool_)
    if rule.nodes:
        named &= np.isin(np.array(problem.node_id, dtype=object), rule.nodes)
    if rule.kinds:
        named &= np.where(problem.node_is_store, "store" in rule.kinds, "warehouse" in rule.kinds)
    if rule.node_regions:
        named &= np.isin(np.array(catalogue.node_region, dtype=object), rule.node_regions)
    if rule.node_tags:
        wanted = set(rule.node_tags)
        named &= np.array([not wanted.isdisjoint(tags) for tags in catalogue.node_tags], dtype=np.bool_)
    return named


def _exclude_nodes(work: _Work, rule: ExcludeNodes, lines: Bools) -> None:
    problem = work.problem
    work.break_at(lines[problem.option_line] & _nodes(work, rule)[problem.option_node], rule)


def _only_nodes(work: _Work, rule: OnlyNodes, lines: Bools) -> None:
    problem = work.problem
    work.break_at(lines[problem.option_line] & ~_nodes(work, rule)[problem.option_node], rule)


def _max_distance(work: _Work, rule: MaxDistance, lines: Bools) -> None:
    """Where goods are collected no distance counts."""
    problem = work.problem
    lines = lines & work.delivered[problem.line_order]
    q = np.flatnonzero(lines[problem.option_line] & _nodes(work, rule)[problem.option_node])
    dest, node = problem.order_dest_start[work.option_order[q]], problem.option_node[q]
    far = np.zeros(len(problem.option_node), dtype=np.bool_)
    far[q] = rule.km < _km(
        problem.node_lat[node], problem.node_lon[node], problem.dest_lat[dest], problem.dest_lon[dest]
    )
    work.break_at(far, rule)


def _same_region(work: _Work, rule: SameRegion, lines: Bools) -> None:
    """Customers of whom no region is known may be served from everywhere."""
    problem = work.problem
    _, code = np.unique(np.concatenate([work.region, work.catalogue.node_region]).astype(str), return_inverse=True)
    orders, nodes = code[: len(work.region)], code[len(work.region) :]
    lines = lines & (work.region != "")[problem.line_order]
    other = orders[work.option_order] != nodes[problem.option_node]
    work.break_at(lines[problem.option_line] & other, rule)


def _max_parcels(work: _Work, rule: MaxParcels, lines: Bools) -> None:
    orders = np.unique(work.problem.line_order[lines])
    work.max_parcels[orders] = np.minimum(work.max_parcels[orders], rule.parcels)


def _ring_fence(work: _Work, rule: RingFence, lines: Bools) -> None:
    """Note the fence; what several fences keep back together is seen once all are known."""
    problem = work.problem
    there = np.flatnonzero(problem.dest_node >= 0)
    dest_order = np.repeat(np.arange(problem.orders), np.diff(problem.order_dest_start))
    collected = np.unique(dest_order[there] * problem.nodes + problem.dest_node[there])
    collected_here = _is_in(work.option_order * problem.nodes + problem.option_node, collected)
    stocked = (problem.row_sku >= 0) & (problem.row_node >= 0)
    rows = stocked & _skus(work, rule)[problem.row_sku] & _nodes(work, rule)[problem.row_node]
    work.fences.append(_Fence(rule.name, rule.units, lines[problem.option_line] & ~collected_here, rows))


APPLIED: dict[type[AnyRule], Callable[[_Work, Any, Bools], None]] = {
    ExcludeNodes: _exclude_nodes,
    OnlyNodes: _only_nodes,
    MaxDistance: _max_distance,
    SameRegion: _same_region,
    MaxParcels: _max_parcels,
    RingFence: _ring_fence,
}


def _raise_fences(work: _Work) -> None:
    """Let what is fenced in be rows of their own, with fewer units than the stock, on which the others draw as well.

    Who must leave five units also leaves two: options of a higher fence draw on the rows of the lower ones too, so that all
    together leave what the lowest keeps back.
    """
    problem = work.problem
    limits, nodes, drawn, used = [problem.row_limit], [problem.row_node], [problem.option_row], [problem.option_use]
    for fence in sorted(work.fences, key=lambda fence: fence.units):
        options = np.logical_or.reduce([one.options for one in work.fences if one.units >= fence.units])
        for column, use in zip(problem.option_row.T, problem.option_use.T, strict=True):
            inside = options & (column >= 0)
            inside[inside] = fence.rows[column[inside]]
            if not inside.any():
                continue
            rows, place = np.unique(column[inside], return_inverse=True)
            own, amount = np.full(len(column), -1, dtype=np.int32), np.zeros(len(column), dtype=np.int32)
            own[inside] = sum(map(len, limits)) + place
            amount[inside] = use[inside]
            left = np.maximum(0, problem.row_limit[rows] - fence.units)
            short = np.zeros(len(column), dtype=np.bool_)
            short[inside] = left[place] < use[inside]
            work.rule_out(short, fence.name)
            limits.append(left)
            nodes.append(problem.row_node[rows])
            drawn.append(own[:, None])
            used.append(amount[:, None])
    if len(limits) > 1:
        limit = np.concatenate(limits)
        more = len(limit) - problem.rows
        work.more = {
            "row_limit": limit,
            "row_node": np.concatenate(nodes),
            "row_sku": np.concatenate([problem.row_sku, np.full(more, -1, dtype=np.int32)]),
            "row_price": np.concatenate([problem.row_price, np.zeros(more)]),
            "option_row": np.concatenate(drawn, axis=1),
            "option_use": np.concatenate(used, axis=1),
        }


def _km(lat_a: Floats, lon_a: Floats, lat_b: Floats, lon_b: Floats) -> Floats:
    p, q = np.radians(lat_a), np.radians(lat_b)
    h = np.sin((q - p) / 2) ** 2 + np.cos(p) * np.cos(q) * np.sin(np.radians(lon_b - lon_a) / 2) ** 2
    km: Floats = 2 * EARTH_KM * np.arcsin(np.minimum(1.0, np.sqrt(h)))
    return km


def _is_in(keys: Ints, wanted: Ints) -> Bools:
    """Which keys are among some that stand by ascending number."""
    if not len(wanted):
        return np.zeros(len(keys), dtype=np.bool_)
    found: Bools = wanted[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)] == keys
    return found
