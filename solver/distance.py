"""Great-circle distance, and the tariff zone of every lane."""

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from solver.problem import NO_SERVICE, Floats, Ints

EARTH_KM = 6371.0088
NEAR_KM = 1e-6
"""So close to the end of a band, the last bit of a distance decides its zone."""
ALONE = 50_000
"""Zones up to which one thread is sooner done than it has woken others."""


@njit(cache=True)
def km(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Great-circle distance in km on a sphere of radius `EARTH_KM`, from degrees (haversine)."""
    p, q = math.radians(lat_a), math.radians(lat_b)
    h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(h)))


@njit(cache=True)
def km_at_band_end(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """The same distance, to the last bit what the formula gives in plain Python.

    Compiled, a square is a product; in Python it is a power, which about once in a thousand rounds the other way.
    """
    two = 2.0 + 0.0 * lat_a  # a power that the compiler cannot turn into a product
    p, q = math.radians(lat_a), math.radians(lat_b)
    h = math.sin((q - p) / 2) ** two + math.cos(p) * math.cos(q) * math.sin(math.radians(lon_b - lon_a) / 2) ** two
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(h)))


def lane_zones(
    node_lat: Floats,
    node_lon: Floats,
    dest_lat: Floats,
    dest_lon: Floats,
    dest_node: Ints,
    zone_km: Floats,
    zones: Ints,
) -> NDArray[np.int8]:
    """Find the first distance band whose upper end is not below the distance, for every lane.

    Returns
    -------
    ndarray
        (D, J, M) zones; `NO_SERVICE` beyond the last band, and from a node to itself (goods collected there do not travel).
    """
    lanes = np.full((len(dest_lat), len(node_lat), len(zones)), NO_SERVICE, dtype=np.int8)
    fill = _fill_alone if lanes.size <= ALONE else _fill
    fill(node_lat, node_lon, dest_lat, dest_lon, dest_node, zone_km, zones, lanes)
    return lanes


@njit(cache=True)
def _fill_lane(
    d: int,
    node_lat: Floats,
    node_lon: Floats,
    dest_lat: Floats,
    dest_lon: Floats,
    dest_node: Ints,
    zone_km: Floats,
    zones: Ints,
    lanes: NDArray[np.int8],
) -> None:
    for j in range(len(node_lat)):
        if dest_node[d] == j:
            continue
        distance = km(node_lat[j], node_lon[j], dest_lat[d], dest_lon[d])
        for s in range(len(zones)):
            for z in range(zones[s]):
                if abs(distance - zone_km[s, z]) < NEAR_KM:
                    distance = km_at_band_end(node_lat[j], node_lon[j], dest_lat[d], dest_lon[d])
                if distance <= zone_km[s, z]:
                    lanes[d, j, s] = z
                    break


@njit(cache=True, parallel=True)
def _fill(
    node_lat: Floats,
    node_lon: Floats,
    dest_lat: Floats,
    dest_lon: Floats,
    dest_node: Ints,
    zone_km: Floats,
    zones: Ints,
    lanes: NDArray[np.int8],
) -> None:
    for d in prange(len(dest_lat)):
        _fill_lane(d, node_lat, node_lon, dest_lat, dest_lon, dest_node, zone_km, zones, lanes)


@njit(cache=True)
def _fill_alone(
    node_lat: Floats,
    node_lon: Floats,
    dest_lat: Floats,
    dest_lon: Floats,
    dest_node: Ints,
    zone_km: Floats,
    zones: Ints,
    lanes: NDArray[np.int8],
) -> None:
    for d in range(len(dest_lat)):
        _fill_lane(d, node_lat, node_lon, dest_lat, dest_lon, dest_node, zone_km, zones, lanes)
