"""How Fluent Commerce sources an order ("responsive sourcing").

Source: docs.fluentcommerce.com, sourcing profiles, strategies and criteria (September 2025 to June 2026). The strategies of a
profile are tried by priority, and the first that sources the whole order wins; fallbacks may source a part of it.

Left out: conditions on any field of an order (here: whether it is collected, and its units); virtual catalogues, which are the
stock of the problem; the versions of a profile.
"""

from typing import Literal

import numpy as np

from solver.policies.peers.desk import Asked, Desk, Settings
from solver.policies.peers.filters import Nodes, Orders
from solver.problem import Bools, Floats, Ints


class Criterion(Settings, frozen=True):
    """What ranks locations, ties left to the next criterion.

    Attributes
    ----------
    band
        Width of a band: km of distance, or the share of the order that a location has; 0: to the last km or unit.
    nodes
        Those of a `network`, before all others.
    """

    by: Literal["distance", "availability", "daily_capacity", "network"]
    band: float = 0
    nodes: tuple[str, ...] = ()


class Strategy(Nodes, frozen=True):
    """Locations (with what is excluded), how often an order is split at most, and what ranks them, for some orders."""

    orders: Orders = Orders()
    max_split: int | None = None
    criteria: tuple[Criterion, ...] = (Criterion("distance"),)


class Profile(Settings, frozen=True):
    """Primary strategies by priority, then fallbacks."""

    strategies: tuple[Strategy, ...] = (Strategy(max_split=0), Strategy(max_split=1))
    fallbacks: tuple[Strategy, ...] = (Strategy(),)


def responsive_sourcing(desk: Desk, settings: Profile) -> None:
    """Source each order by the first strategy that does so fully, else by the first fallback that sources anything."""
    tried = [(strategy, strategy.orders.among(desk.problem), True) for strategy in settings.strategies]
    tried += [(strategy, strategy.orders.among(desk.problem), False) for strategy in settings.fallbacks]

    def choice(asked: Asked) -> Ints:
        for strategy, applies, fully in tried:
            if applies[asked.order]:
                units = _sourced(asked, strategy)
                if asked.whole(units) or (units.any() and not fully):
                    return units
        return asked.nothing

    desk.serve(choice)


def _sourced(asked: Asked, strategy: Strategy) -> Ints:
    keys = [_key(asked, criterion) for criterion in strategy.criteria]
    parcels = None if strategy.max_split is None else strategy.max_split + 1
    among = strategy.among(asked)
    if parcels == 1:  # the first that has it all, however others rank
        among &= asked.has_all()
    return asked.take(asked.ranked(*keys, among=among), parcels=parcels)


def _key(asked: Asked, criterion: Criterion) -> Floats | Ints | Bools:
    if criterion.by == "network":
        return asked.by_name(dict.fromkeys(criterion.nodes, 0))
    if criterion.by == "daily_capacity":
        return np.asarray(-asked.desk.draft.node_left[asked.nodes])
    if criterion.by == "distance":
        return _banded(asked.km, criterion.band)
    return -_banded(np.minimum(asked.stock, asked.want).sum(1) / asked.want.sum(), criterion.band)


def _banded(values: Floats, band: float) -> Floats:
    return np.floor(values / band) if band > 0 else values


__all__ = ["Criterion", "Profile", "Strategy", "responsive_sourcing"]
