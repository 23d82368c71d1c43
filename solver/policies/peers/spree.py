"""How Spree packs an order: by ranking rules since 5.5, and before that as locations come.

Source: spree/spree, `core/app/models/spree/order_routing/strategy/reducer.rb`, `rules.rb`, and the stock coordinator with its
prioritizer.

Left out: backorders (units that are not there stay open; the oddity that a demand of 3 with 1 on hand yields 1 and 3 backordered
cannot happen); packages by shipping category, which here are parcels by service; an order's own preferred location, which here is
one for all.
"""

from typing import Literal

import numpy as np

from solver.policies.peers.desk import Asked, Desk, Listed
from solver.problem import Floats, Ints

Known = Literal["preferred_location", "minimize_splits", "default_location"]


class Ranking(Listed, frozen=True):
    """Locations, and what ranks them.

    Attributes
    ----------
    rules
        In order: `preferred_location`, `minimize_splits`, `default_location`, or a rank by node id (lower is better; a node that
        is not named, or has none, abstains).
    preferred, default
        Node ids; without a default it is the first location.
    """

    rules: tuple[Known | dict[str, int | None], ...] = ("preferred_location", "minimize_splits", "default_location")
    preferred: str = ""
    default: str = ""


def rules(desk: Desk, settings: Ranking) -> None:
    """Take from locations in turn: by the first rule, ties by the next ones, at the end the default location, then the lowest id.

    A rule that all abstain from says nothing; otherwise those that abstain come after those that do not. Coverage is that of
    each location alone, never counted anew on what remains, so this does not find the fewest splits.
    """
    desk.serve(lambda asked: asked.take(_ranked(asked, settings)), nodes=settings.nodes)


def legacy_prioritizer(desk: Desk, settings: Listed) -> None:
    """Give each unit to the first package that has it on hand, locations in database order."""
    desk.serve(lambda asked: asked.take(asked.ranked()), nodes=settings.nodes)


def _ranked(asked: Asked, settings: Ranking) -> Ints:
    first = asked.by_name({settings.default: 0}, otherwise=1)
    keys = [_rank(asked, rule, settings, first) for rule in settings.rules]
    return asked.ranked(*keys, first)


def _rank(asked: Asked, rule: Known | dict[str, int | None], settings: Ranking, first: Floats) -> Floats | Ints:
    if isinstance(rule, dict):
        return asked.by_name({name: rank for name, rank in rule.items() if rank is not None})
    if rule == "preferred_location":
        return asked.by_name({settings.preferred: 0})
    if rule == "minimize_splits":
        return np.asarray(-asked.covers()[:, asked.distinct].sum(1))
    return first


__all__ = ["Ranking", "legacy_prioritizer", "rules"]
