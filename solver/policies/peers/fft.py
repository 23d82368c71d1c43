"""How fulfillmenttools chooses facilities: fences that rule out, ratings that add up.

Source: docs.fulfillmenttools.com, fences and ratings; `api.swagger.yaml`. Each rating turns a metric into a penalty, metric /
threshold * most penalty (not capped); the facility with the least sum wins.

Left out: ratings of turnover, expiry and business goals that need data a problem does not have; the number of deliveries, whose
published formula is inconsistent; complete options with transfers ("combinatorics"); the retry of what could not be routed.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from solver.policies.peers.desk import Asked, Desk, Settings
from solver.policies.peers.filters import Nodes
from solver.problem import Floats, Ints

Metric = Literal[
    "geo_distance", "assignment_rate", "stock_balancing", "workload", "prefer_store", "prefer_warehouse",
    "delivery_cost", "delivery_time", "zone",
]  # fmt: skip


class Rating(Settings, frozen=True):
    """A metric, the value at which it has its most penalty, and that penalty."""

    metric: Metric
    max_threshold: float = 1
    max_penalty: float = 100


class Strategy(Settings, frozen=True):
    """Fences, ratings, and how often an order is split at most."""

    fences: tuple[Nodes, ...] = ()
    ratings: tuple[Rating, ...] = (Rating("geo_distance", 1000), Rating("assignment_rate"))
    max_split: int | None = None


def fences_ratings(desk: Desk, settings: Strategy) -> None:
    """Take all that the facility of least penalty can give; rate the others for what is left, and so on."""
    parcels = None if settings.max_split is None else settings.max_split + 1

    def choice(asked: Asked) -> Ints:
        among = asked.everyone
        for fence in settings.fences:
            among &= fence.among(asked)

        def penalty(rest: Ints) -> Sequence[Floats]:
            rated = [
                _METRICS[one.metric](asked, rest) / one.max_threshold * one.max_penalty for one in settings.ratings
            ]
            return [np.sum(rated, axis=0)] if rated else []

        return asked.one_by_one(penalty, among, parcels)

    desk.serve(choice)


def _given(asked: Asked, rest: Ints) -> Ints:
    return np.minimum(asked.stock, rest)


def _assignment_rate(asked: Asked, rest: Ints) -> Floats:
    return np.asarray(1 - _given(asked, rest).sum(1) / rest.sum())


def _stock_balancing(asked: Asked, rest: Ints) -> Floats:
    """The share of what lies there that the order would take."""
    return np.asarray(_given(asked, rest).sum(1) / np.maximum(1, asked.stock.sum(1)))


def _workload(asked: Asked, _rest: Ints) -> Floats:
    """The share of the facility's parcels that are made already."""
    capacity = np.maximum(1, asked.desk.problem.node_capacity_parcels[asked.nodes])
    return np.asarray(1 - asked.desk.draft.node_left[asked.nodes] / capacity)


def _delivery_time(asked: Asked, _rest: Ints) -> Floats:
    """Days until the fastest service is there."""
    p = asked.desk.problem
    zone = p.lane_zone[asked.dest, asked.nodes]
    days = np.where(zone >= 0, p.service_transit_days[np.arange(p.services), zone], np.inf).min(1, initial=np.inf)
    here = asked.nodes == p.dest_node[asked.dest]
    return np.asarray(p.node_ready_days[asked.nodes] + np.where(here, 0, days))


def _zone(asked: Asked, _rest: Ints) -> Floats:
    zone = asked.desk.problem.lane_zone[asked.dest, asked.nodes]
    away = np.where(zone >= 0, zone + 1.0, np.inf).min(1, initial=np.inf)
    return np.where(asked.nodes == asked.desk.problem.dest_node[asked.dest], 0.0, away)


def _is_store(asked: Asked, _rest: Ints) -> Floats:
    return asked.desk.problem.node_is_store[asked.nodes].astype(np.float64)


_METRICS: dict[Metric, Callable[[Asked, Ints], Floats]] = {
    "geo_distance": lambda asked, _: asked.km,
    "assignment_rate": _assignment_rate,
    "stock_balancing": _stock_balancing,
    "workload": _workload,
    "prefer_store": lambda asked, rest: 1 - _is_store(asked, rest),
    "prefer_warehouse": _is_store,
    "delivery_cost": lambda asked, rest: asked.alone_cents(rest),
    "delivery_time": _delivery_time,
    "zone": _zone,
}

__all__ = ["Rating", "Strategy", "fences_ratings"]
