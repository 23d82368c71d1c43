"""How names in a change are looked up, and refused with the closest that there is."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from engine.network import Network, Node
from scenarios.settings import Nodes
from solver.refusal import Refusal

MOST = 16
"""Names that a refusal lists."""


def must_be(field: str, name: str, allowed: Collection[str], what: str) -> None:
    """Refuse a name that is not among those allowed.

    Parameters
    ----------
    what
        What the names stand for, with its article: `a node of this network`.
    """
    if name not in allowed:
        raise Refusal(field, f"{name!r} is not {what}{nearest(name, allowed)}", "unknown_name")


def nearest(name: str, allowed: Collection[str]) -> str:
    """The closest of the names, and those there are, as the end of a sentence."""
    close = get_close_matches(name, allowed, 1, 0.5)
    return (f"; did you mean {close[0]!r}?" if close else ";") + f" there {listed(allowed)}"


def listed(names: Iterable[str]) -> str:
    """Say which there are, the first `MOST` by name."""
    known = list(names)
    if not known:
        return "are none"
    more = f" and {len(known) - MOST:,} more" if len(known) > MOST else ""
    return f"{'is' if len(known) == 1 else 'are'} {', '.join(known[:MOST])}{more}"


def node_of(network: Network, field: str, name: str) -> Node:
    """The node of that name."""
    must_be(field, name, [node.id for node in network.nodes], "a node of this network")
    return next(node for node in network.nodes if node.id == name)


def chosen(network: Network, nodes: Nodes, field: str = "nodes") -> set[str]:
    """The ids of the nodes that a change names, or of all of a kind."""
    if isinstance(nodes, str):
        return {node.id for node in network.nodes if nodes in ("all", f"{node.kind}s")}
    for name in nodes:
        node_of(network, field, name)
    return set(nodes)


def services_of(network: Network, services: tuple[str, ...] | None) -> set[str]:
    """The ids of the services that a change names, or of all."""
    known = [service.id for service in network.services]
    for name in services or ():
        must_be("services", name, known, "a service of this network")
    return set(services or known)


def skus_of(network: Network, skus: tuple[str, ...] | None) -> set[str]:
    """The ids of the SKUs that a change names, or of all."""
    known = {sku.id: None for sku in network.skus}
    for name in skus or ():
        must_be("skus", name, known, "an SKU here")
    return set(skus or known)
