"""How Vendure allocates stock to an order line.

Source: vendure-ecommerce/vendure, `packages/core/src/config/catalog/multi-channel-stock-location-strategy.ts`.

Left out: untracked stock is what a problem gives plenty of; a threshold below zero (sold before it comes) stays open here.
"""

from solver.policies.peers.desk import Asked, Desk, Listed
from solver.problem import Ints


class Threshold(Listed, frozen=True):
    """Stock locations of the channel, and the units that each keeps back of every SKU (`outOfStockThreshold`)."""

    threshold: int = 0


def multichannel(desk: Desk, settings: Threshold) -> None:
    """Take from each location, in order, what it has above the threshold, until the line is filled; the rest stays open.

    A known defect there (issue #4030) takes up to the whole quantity from every location, not the remainder; not here.
    """

    def choice(asked: Asked) -> Ints:
        return asked.take(asked.ranked(), most=(asked.stock - max(0, settings.threshold)).clip(0))

    desk.serve(choice, nodes=settings.nodes)


__all__ = ["Threshold", "multichannel"]
