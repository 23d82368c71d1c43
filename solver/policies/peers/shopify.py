"""How Shopify routes an order to locations.

Source: help.shopify.com, understanding order routing; shopify.dev, order routing location rules. Rules run from top to bottom, and
each ranks the locations that are still tied.

Left out: fulfilment constraints (what must come from where is an option of the problem) and functions other than a rank by
location; a market has no borders here: the destination is in that of the node nearest to it.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from solver.policies.peers.desk import Asked, Desk, Listed, every_km
from solver.problem import Bools, Floats, Ints

Known = Literal["fewest_splits", "destination_market", "closest"]


class Routing(Listed, frozen=True):
    """Locations, and what ranks them.

    Attributes
    ----------
    rules
        In order: `fewest_splits`, `destination_market`, `closest`, or a rank by node id (ranked locations; lower is better).
    markets
        Node ids by market.
    most_packages
        Sets of more locations than this are not looked for.
    """

    rules: tuple[Known | dict[str, int | None], ...] = ("fewest_splits", "destination_market", "closest")
    markets: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    most_packages: int = 3


def first_non_tie(desk: Desk, settings: Routing) -> None:
    """Take all that the best location can give; rank the others for what is left, and so on.

    `fewest_splits` ranks a location by the size of the smallest set of locations with all items that it is in, so that one with
    everything comes first, and otherwise the first of as few as possible.
    """
    market = {node: name for name, nodes in settings.markets.items() for node in nodes}

    def choice(asked: Asked) -> Ints:
        def rank(rest: Ints) -> Sequence[Floats | Bools]:
            return [_rank(asked, rule, rest, settings, market) for rule in settings.rules]

        return asked.one_by_one(rank)

    desk.serve(choice, nodes=settings.nodes)


def _rank(
    asked: Asked, rule: Known | dict[str, int | None], rest: Ints, settings: Routing, market: dict[str, str]
) -> Floats | Bools:
    if isinstance(rule, dict):
        return asked.by_name(rule)
    if rule == "closest":
        return asked.km
    if rule == "fewest_splits":
        sets = asked.sets(settings.most_packages, rest)
        size = np.full(len(asked.nodes), np.inf)
        size[sets.ravel()] = sets.shape[1]
        return size
    names = asked.desk.problem.node_id
    here = market.get(names[int(every_km(asked).argmin())])
    return np.array([market.get(names[node]) != here for node in asked.nodes])


__all__ = ["Routing", "first_non_tie"]
