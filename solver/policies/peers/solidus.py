"""How Solidus allocates an order to stock locations.

Source: solidusio/solidus, `core/app/models/spree/stock/simple_coordinator.rb`, `availability.rb`, `allocator/on_hand_first.rb`.

Left out: the second pass, which backorders what is left at the first location that may (no problem has stock that is not there:
such units stay open, and the order is not refused for them); packages by shipping category and by weight, which here are parcels
by service.
"""

from solver.policies.peers.desk import Asked, Desk, Listed
from solver.problem import Ints


class Backorders(Listed, frozen=True):
    """Active stock locations as they are sorted, and those that backorder what is not on hand."""

    backorderable: tuple[str, ...] = ()


def on_hand_first(desk: Desk, settings: Backorders) -> None:
    """Take what each location has on hand, in order; refuse the whole order if something is left that none can backorder."""

    def choice(asked: Asked) -> Ints:
        units = asked.take(asked.ranked())
        return units if settings.backorderable or asked.whole(units) else asked.nothing

    desk.serve(choice, nodes=settings.nodes)


__all__ = ["Backorders", "on_hand_first"]
