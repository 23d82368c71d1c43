"""The instances of papers on multi-item fulfilment: Ma's, drawn as he describes them, and the published ones of Amil and others."""

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.outside import data_folder
from solver.fluid import Fluid
from solver.problem import Bools, Floats, Ints

EARTH_KM, KM_PER_MILE = 6_371.0, 1.61
PARCEL, ITEM, MILE = 8.759, 0.423, 0.000541
"""Dollars for a parcel, for an item in it, and for each of its miles (Jasin and Sinha, 2015)."""
UNFILLED = 2.0
"""Unfilled costs so many times what the farthest centre would."""
SAFETY = 0.5
"""Standard deviations of demand that are in stock beyond its mean."""


@dataclass(frozen=True)
class Setting:
    """One of Ma's settings.

    Attributes
    ----------
    largest
        Items of the largest orders.
    types
        Types of each size.
    carried
        The probability that a centre carries an item.
    """

    cities: str
    centres: str
    items: int
    largest: int
    types: int
    carried: float
    periods: int


SMALL = Setting("cities_warmup.csv", "fulfillment_centers_warmup.csv", 20, 5, 5, 0.75, 10_000)
LARGE = Setting("cities.csv", "fulfillment_centers.csv", 100, 10, 10, 0.5, 100_000)


def geography() -> Path:
    """The folder of centres and cities, which may be absent."""
    return data_folder() / "fulfilment_networks" / "jasin_sinha_ma"


def published() -> Path:
    """The file of published instances, which may be absent."""
    return data_folder() / "papers" / "amil_makhdoumi_wei_t100.json.gz"


def read_published() -> list[dict[str, Any]]:
    """The published instances as they stand in their file."""
    with gzip.open(published(), "rt") as file:
        found: list[dict[str, Any]] = json.load(file)
    return found


def fluid_of(instance: dict[str, Any]) -> Fluid:
    """A published instance as a model."""
    return Fluid(
        order_types=tuple(tuple(items) for items in instance["order_types"]),
        rate=np.array(instance["arrival_probability"]),
        periods=instance["T"],
        stock=np.array(instance["stock"]),
        fixed=np.array(instance["fixed_cost"]),
        unit=np.array(instance["unit_cost"]),
    )


def draw(setting: Setting, generator: np.random.Generator) -> Fluid:
    """Draw an instance of a setting: order types, their weights, who carries what, and stock for the mean and a little more.

    Each city's demand for an item is expected at the nearest centre that carries it.
    """
    miles, people = _network(setting)
    sizes = np.repeat(np.arange(setting.largest + 1), [1, *[setting.types] * setting.largest])
    types = tuple(tuple(generator.permutation(setting.items)[:size].tolist()) for size in sizes)
    of_size = generator.random(setting.largest + 1)
    weight = generator.random(len(sizes))
    for size in range(setting.largest + 1):
        weight[sizes == size] *= of_size[size] / of_size.sum() / weight[sizes == size].sum()
    rate = weight[:, None] * people / people.sum()
    carried = generator.random((len(miles), setting.items)) < setting.carried
    unit = ITEM + MILE * miles
    return Fluid(
        order_types=types,
        rate=rate,
        periods=setting.periods,
        stock=_stock(types, rate, carried, miles, setting.periods),
        fixed=np.concatenate([np.full(miles.shape, PARCEL), np.full((1, miles.shape[1]), UNFILLED * PARCEL)]),
        unit=np.concatenate([unit, UNFILLED * unit.max(axis=0, keepdims=True)]),
    )


def _stock(types: tuple[tuple[int, ...], ...], rate: Floats, carried: Bools, miles: Floats, periods: int) -> Ints:
    demand = np.zeros((carried.shape[1], rate.shape[1]))
    for q, items in enumerate(types):
        demand[list(items)] += rate[q]
    expected = np.zeros(carried.shape)
    for item in np.flatnonzero(carried.any(axis=0)):
        nearest = np.where(carried[:, item, None], miles, np.inf).argmin(axis=0)
        np.add.at(expected[:, item], nearest, demand[item])
    return np.round(periods * expected + SAFETY * np.sqrt(periods * expected * (1 - expected))).astype(np.int64)


def _network(setting: Setting) -> tuple[Floats, Floats]:
    """Miles from centres to cities, and the people of each city."""
    cities, centres = _rows(setting.cities), _rows(setting.centres)
    lat, lon = (np.radians([[float(row[at])] for row in centres]) for at in (2, 3))
    to_lat, to_lon = (np.radians([float(row[at]) for row in cities]) for at in (2, 3))
    chord = np.sin((to_lat - lat) / 2) ** 2 + np.cos(lat) * np.cos(to_lat) * np.sin((to_lon - lon) / 2) ** 2
    return 2 * EARTH_KM / KM_PER_MILE * np.arcsin(np.sqrt(chord)), np.array([float(row[4]) for row in cities])


def _rows(name: str) -> list[list[str]]:
    with (geography() / name).open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.reader(file) if row]
