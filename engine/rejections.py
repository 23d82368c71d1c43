"""What nodes refused: how often, when an order that nobody wants becomes an exception, and how it is forgotten.

A node that refused an order rests from it until `rejection.until`; `engine.rules` gives that as the reason.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.database import Tx
from engine.entries import read_setting, write_setting


class Rejections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What nodes may refuse. `most`: refusals after which an order is held for review."""

    most: Annotated[int, Meta(ge=1, le=1000)]


REJECTIONS = Rejections(most=3)
"""What holds until somebody says something else."""


def put_rejections(tx: Tx, rejections: Rejections, at: int, by: str = "") -> int:
    """Write what nodes may refuse; returns whether it differs from what was there."""
    return write_setting(tx, "rejections", msgspec.to_builtins(rejections), at, by)


def escalate(tx: Tx, order_no: int) -> bool:
    """Hold an order for review that was refused too often and still waits for units; somebody has to look at it.

    Once accepted it is sourced again, without the nodes that still rest from it; the next refusal holds it again.

    Returns
    -------
    bool
        Whether it is held by this.
    """
    return bool(
        tx.run(
            "UPDATE orders SET review = :yes, version = version + 1 WHERE no = :no AND NOT review AND open > 0 "
            "AND (SELECT SUM(times) FROM rejection WHERE order_no = :no) >= :most",
            yes=True,
            no=order_no,
            most=most_rejections(tx),
        )
    )


def most_rejections(tx: Tx) -> int:
    """Refusals after which an order is held for review."""
    return read_setting(tx, "rejections", REJECTIONS).most


def rejections_by_node(tx: Tx) -> list[tuple[str, int, int]]:
    """Nodes that refused anything, the one of most refusals first: id, orders, and times."""
    found = tx.all(
        "SELECT n.id, COUNT(*), SUM(r.times) FROM rejection r JOIN node n ON n.no = r.node_no "
        "GROUP BY n.id ORDER BY SUM(r.times) DESC, n.id"
    )
    return [(node, int(orders), int(times)) for node, orders, times in found]


def forget_rejections(tx: Tx, order_no: int, node_no: int | None = None) -> int:
    """Let an order go to a node again, or to all nodes that refused it; returns how many those are."""
    if node_no is None:
        return tx.run("DELETE FROM rejection WHERE order_no = :order", order=order_no)
    return tx.run("DELETE FROM rejection WHERE order_no = :order AND node_no = :node", order=order_no, node=node_no)
