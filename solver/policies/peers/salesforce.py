"""How Salesforce Order Management finds routes for an order.

Source: help.salesforce.com, `om_automated_order_routing`; ConnectApi.Routing (find routes with fewest splits, rank by average
distance). Single locations are tried first; if any holds everything, all such are routes; else all pairs, all triples, and so on.

Left out: capacity that is got, held and confirmed (a problem has what is left of it); the flow that is built around these steps.
How many units each location of a route gives is left to the caller there: here the nearest gives first.
"""

from solver.policies.peers.desk import Asked, Desk, Listed
from solver.problem import Ints

ROUTES_TRIED = 20


class Routes(Listed, frozen=True):
    """Locations, and how often an order may be split at most."""

    max_splits: int = 2


def fewest_splits(desk: Desk, settings: Routes) -> None:
    """Take an order from as few locations as hold it all, the set of least average distance; open if there is no such set."""

    def choice(asked: Asked) -> Ints:
        routes = asked.sets(settings.max_splits + 1)
        nearest = asked.km[routes].mean(1).argsort(kind="stable") if len(routes) else []
        for route in routes[nearest[:ROUTES_TRIED]] if len(routes) else []:
            units = asked.take(route[asked.km[route].argsort(kind="stable")])
            if asked.whole(units):
                return units
        return asked.nothing

    desk.serve(choice, nodes=settings.nodes)


__all__ = ["Routes", "fewest_splits"]
