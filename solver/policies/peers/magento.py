"""How Magento's source selection algorithms propose sources.

Source: magento/inventory, `InventorySourceSelectionApi/Model/Algorithms/Result/GetDefaultSortedSourcesResult.php`. Sources are
walked in order, and each gives what it has of every SKU that is still wanted. What nobody has is left open: there is no
all-or-nothing, no limit of splits, and no preference for a source that has everything.

Left out: it runs at shipment, by an operator's hand; distances by road (here all are great circles); rows of zero units, which it
reports too; of the lines of one SKU it keeps the last (here each is a line of its own). Units ring-fenced for orders to collect are
not stock of a problem in the first place.
"""

from solver.policies.peers.desk import Desk, Listed


def priority(desk: Desk, settings: Listed) -> None:
    """Walk the sources by the priority of their links to the stock pool."""
    desk.serve(lambda asked: asked.take(asked.ranked()), nodes=settings.nodes)


def distance(desk: Desk, settings: Listed) -> None:
    """Walk the sources by distance; those whose distance is not known come last. Ties go by priority (there they are unstable)."""
    desk.serve(lambda asked: asked.take(asked.ranked(asked.km)), nodes=settings.nodes)


__all__ = ["distance", "priority"]
