"""Which node is closest to a place."""

import numpy as np

from solver.problem import Floats, Ints, Problem

PORTION = 512
"""Places at a time: their products with all nodes stay in the cache."""


def closest_nodes(network: Problem, node: Ints, lat: Floats, lon: Floats) -> Ints:
    """(n,) the node closest to each place, or that it is, where `node` says so; -1 where neither is known.

    Parameters
    ----------
    network
        Whose nodes count.
    node, lat, lon
        (n,) as the columns `dest_` of a problem.
    """
    known = ~(np.isnan(lat) | np.isnan(lon))
    places = _on_sphere(np.where(known, lat, 0.0), np.where(known, lon, 0.0))
    nodes = _on_sphere(network.node_lat, network.node_lon)
    closest = np.empty(len(lat), dtype=np.int64)
    for begin in range(0, len(lat), PORTION):
        part = slice(begin, begin + PORTION)
        closest[part] = np.argmax(places[part] @ nodes.T, axis=1)
    closest[~known] = -1
    return np.where(node >= 0, node, closest)


def _on_sphere(lat: Floats, lon: Floats) -> Floats:
    """(n, 3) points of the unit sphere, of which the closest have the greatest product."""
    lat, lon = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


__all__ = ["closest_nodes"]
