"""Which node is closest to a place."""

import numpy as np

from solver.problem import Floats, Ints, Problem

PORTION = 65_536


def closest_nodes(network: Problem, node: Ints, lat: Floats, lon: Floats) -> Ints:
    """(n,) the node closest to each place, or that it is, where `node` says so; -1 where neither is known.

    Parameters
    ----------
    network
        Whose nodes count.
    node, lat, lon
        (n,) as the columns `dest_` of a problem.
    """
    places, nodes = _on_sphere(lat, lon), _on_sphere(network.node_lat, network.node_lon)
    closest = np.empty(len(lat), dtype=np.int64)
    for begin in range(0, len(lat), PORTION):
        part = slice(begin, begin + PORTION)
        closest[part] = np.argmax(np.nan_to_num(places[part] @ nodes.T, nan=-2.0), axis=1)
    closest[np.isnan(lat) | np.isnan(lon)] = -1
    return np.where(node >= 0, node, closest)


def _on_sphere(lat: Floats, lon: Floats) -> Floats:
    """(n, 3) points of the unit sphere, of which the closest have the greatest product."""
    lat, lon = np.radians(lat), np.radians(lon)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


__all__ = ["closest_nodes"]
