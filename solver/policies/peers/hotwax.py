"""How HotWax Commerce brokers orders to facilities.

Source: hotwax/oms-documentation, `documents/retail-operations/orders/order-routing/`, weeks of supply included. Routings run one
after the other; each takes its orders one at a time through its inventory rules, until one of them finds facilities.

Left out: queues, channels, categories and other fields of an order that a problem does not have; thresholds of an order's value;
auto-cancel dates. Facility order limits are capacities of the problem, and kept.
"""

from typing import Literal

import msgspec
import numpy as np

from solver.policies.peers.desk import Asked, Desk, Settings
from solver.policies.peers.filters import Nodes, Orders
from solver.problem import Floats, Ints

SortBy = Literal["proximity", "inventory_balance", "sequence", "order_limit", "weeks_of_supply"]


class InventoryRule(Nodes, frozen=True):
    """Facilities, and how to choose among them.

    Attributes
    ----------
    safety_stock
        Units of each SKU that a facility keeps ("brokering safety stock").
    all_items_anywhere
        Only for orders of which every item is available somewhere.
    min_score
        Of weeks of supply; facilities without a score have none.
    sort
        What ranks facilities, ties by the next; `sequence` is that of `nodes`.
    partial
        Split the order, and serve what can be served; else only a facility that has all of it.
    """

    safety_stock: int = 0
    all_items_anywhere: bool = False
    min_score: float | None = None
    sort: tuple[SortBy, ...] = ("proximity",)
    partial: bool = False


class Routing(Orders, frozen=True):
    """Orders, and the inventory rules that they try in turn; by promise if so sorted, else as they stand."""

    by_promise: bool = False
    rules: tuple[InventoryRule, ...] = (InventoryRule(), InventoryRule(partial=True))


class Brokering(Settings, frozen=True):
    """Routings in sequence, and what weeks of supply need: units sold a week by node id and SKU id, and the weeks."""

    routings: tuple[Routing, ...] = (Routing(),)
    velocity: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    weeks: float = 1


def brokering(desk: Desk, settings: Brokering) -> None:
    """Serve the orders of each routing one at a time, by the first rule that finds anything."""
    for routing in settings.routings:
        open_orders = np.flatnonzero(routing.among(desk.problem) & (desk.draft.order_count == 0))
        if routing.by_promise:
            open_orders = open_orders[desk.problem.order_promise_days[open_orders].argsort(kind="stable")]

        def choice(asked: Asked, routing: Routing = routing) -> Ints:
            tried = (_served(asked, rule, settings) for rule in routing.rules)
            return next((units for units in tried if units.any()), asked.nothing)

        desk.serve(choice, open_orders)


def _served(asked: Asked, rule: InventoryRule, settings: Brokering) -> Ints:
    most = (asked.stock - rule.safety_stock).clip(0)
    among = rule.among(asked)
    if rule.all_items_anywhere and (most[among].sum(0) < asked.need()).any():
        return asked.nothing
    if rule.min_score is not None:
        among &= weeks_of_supply(asked, settings) >= rule.min_score
    if not rule.partial:
        among &= (most >= asked.need()).all(1)
    sequence = asked.ranked(*(_key(asked, by, rule, settings) for by in rule.sort), among=among)
    if rule.partial:
        return asked.take(sequence, most)
    alone = (asked.take(sequence[at : at + 1], most) for at in range(len(sequence)))
    return next((units for units in alone if asked.whole(units)), asked.nothing)


def _key(asked: Asked, by: SortBy, rule: InventoryRule, settings: Brokering) -> Floats | Ints:
    if by == "proximity":
        return asked.km
    if by == "inventory_balance":
        return np.asarray(-asked.stock.sum(1))
    if by == "sequence":
        return asked.by_name({name: at for at, name in enumerate(rule.nodes)})
    if by == "order_limit":
        return np.asarray(-asked.desk.draft.node_left[asked.nodes])
    return -weeks_of_supply(asked, settings)


def weeks_of_supply(asked: Asked, settings: Brokering) -> Floats:
    """(m,) inventory / (velocity / weeks) * 100 of the item that is scarcest by it; -1 where one has no velocity."""
    p = asked.desk.problem
    skus = [p.sku_id[k] for k in p.line_sku[asked.lines]]
    sold = [[settings.velocity.get(p.node_id[node], {}).get(name, 0.0) for name in skus] for node in asked.nodes]
    velocity = np.array(sold)
    score = np.where(velocity > 0, asked.stock / np.where(velocity > 0, velocity, 1.0) * settings.weeks * 100, -1.0)
    return np.asarray(score.min(1))


__all__ = ["Brokering", "InventoryRule", "Routing", "brokering", "weeks_of_supply"]
