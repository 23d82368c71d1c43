"""How Medusa reserves inventory at checkout.

Source: medusajs/medusa, `packages/core/core-flows/src/cart/steps/reserve-inventory.ts`: stock is confirmed over all locations of
the sales channel, and then every line is reserved at the first of them. It fails where that one lacks an item (issue #15132) or
the quantity (#14987), and the order stays open.

Left out: kits, which are their parts by the time they are lines of a problem.
"""

from solver.policies.peers.desk import Asked, Desk, Listed
from solver.problem import Ints


def first_location(desk: Desk, settings: Listed) -> None:
    """Take all of an order from the first location of the channel, or nothing."""
    rank = desk.rank(settings.nodes)

    def choice(asked: Asked) -> Ints:
        units = asked.take(asked.ranked(among=rank[asked.nodes] == rank.min()))
        return units if asked.whole(units) else asked.nothing

    desk.serve(choice, nodes=settings.nodes)


__all__ = ["first_location"]
