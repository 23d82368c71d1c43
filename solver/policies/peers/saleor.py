"""How Saleor allocates stock to an order.

Source: saleor/saleor, `saleor/warehouse/management.py` (`allocate_stocks`, `sort_stocks`, `_create_allocations`). Each line is
filled from the warehouses of the channel in order, by itself, with no attempt to keep the order together. If any line is short,
nothing is allocated at all. The collection point comes first under both strategies, as it does for every rule here.

Left out: stocks are sorted by what is free, reservations of other carts taken off (there the sort overlooks them); shipping zones
by country are lanes of the problem.
"""

from solver.policies.peers.desk import Asked, Desk, Listed
from solver.problem import Ints


def high_stock(desk: Desk, settings: Listed) -> None:
    """`PRIORITIZE_HIGH_STOCK`: each line from the warehouse that has most free units of its SKU."""
    desk.serve(
        lambda asked: _all_or_nothing(asked, (-asked.stock).argsort(axis=0, kind="stable")), nodes=settings.nodes
    )


def sorting_order(desk: Desk, settings: Listed) -> None:
    """`PRIORITIZE_SORTING_ORDER`: each line from the warehouses as the channel sorts them."""
    desk.serve(lambda asked: _all_or_nothing(asked, asked.ranked()), nodes=settings.nodes)


def _all_or_nothing(asked: Asked, sequence: Ints) -> Ints:
    units = asked.take(sequence)
    return units if asked.whole(units) else asked.nothing


__all__ = ["high_stock", "sorting_order"]
