"""The small models of papers: published families and our policies on Ma's networks and on the published instances."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks import paper_models
from benchmarks.paper_exam import Effort, sit
from benchmarks.results import Say
from benchmarks.waves import Piece
from solver.fluid import Fluid, Pace

NETWORK, PUBLISHED = 1, 2
"""Streams of chance: what is drawn for a network of Ma, and what is ordered on a published instance."""
CARRIED = (0.5, 0.25)
"""Of Ma's large network: the probability that a centre carries an item."""
SIZES = (2, 5)
"""Items of the largest orders of the published instances."""


@dataclass(frozen=True)
class Settings:
    """How the papers' settings are measured.

    Attributes
    ----------
    seed
        Of everything that is drawn.
    small, small_sequences
        Instances of Ma's small network, and sequences on each.
    published_sequences
        Sequences on each of the published instances.
    large_sequences
        Sequences on the one instance of Ma's large network in each of its settings, as in `CARRIED`; where more is carried, one
        takes ten minutes.
    small_samples, published_samples
        Futures that are sampled.
    """

    seed: int = 1
    small: int = 30
    small_sequences: int = 10
    published_sequences: int = 2
    large_sequences: tuple[int, ...] = (1, 10)
    small_samples: int = 16
    published_samples: int = 20


QUICK = Settings(
    small=1, small_sequences=1, published_sequences=1, large_sequences=(0, 0), small_samples=2, published_samples=3
)
QUICK_PUBLISHED = 1
QUICK_PERIODS = 500


def skipped() -> str:
    """Why the papers' settings cannot be measured here; empty where they can."""
    if not paper_models.published().is_file():
        return "there is no papers folder in the data folder; ALLOT_DATA names the folder"
    if not paper_models.geography().is_dir():
        return "there is no fulfilment_networks/jasin_sinha_ma in the data folder; ALLOT_DATA names the folder"
    return ""


def measure(settings: Settings, wanted: Callable[[str], bool], say: Say, quick: bool = False) -> Iterator[Piece]:
    """Measure the instances that are wanted."""
    for name, read, effort, sequences, seed, published in _exams(settings, quick):
        if sequences and wanted(name):
            found = sit(read(), effort, sequences, seed, lambda told, name=name: say(f"{name}: {told}"))  # type: ignore[misc]
            yield name, {**found, "published": published}
            say(f"{name}: " + ", ".join(f"{policy} {ratio:.4f}" for policy, ratio in over_hindsight(found).items()))


def over_hindsight(one: dict[str, Any]) -> dict[str, float]:
    """The cost of each policy over the hindsight bound of the same sequences."""
    return {policy: sum(costs) / sum(one["hindsight"]) for policy, costs in one["cost"].items()}


Exam = tuple[str, Callable[[], Fluid], Effort, int, list[int], dict[str, float]]


def _exams(settings: Settings, quick: bool) -> Iterator[Exam]:
    """Name every instance: how it is read, how hard policies look ahead on it, sequences, seed, costs that were published."""
    small = replace(paper_models.SMALL, periods=QUICK_PERIODS) if quick else paper_models.SMALL
    ahead = Effort(settings.small_samples, Pace(0.1, exact=10), Pace(0.1))
    for at in range(settings.small):
        seed = [settings.seed, NETWORK, at]
        yield f"ma small {at + 1}", _drawn(small, seed), ahead, settings.small_sequences, seed, {}
    ahead = Effort(settings.published_samples, Pace(0.05, exact=100), Pace(0.05))
    published = paper_models.read_published()
    for size in SIZES:
        instances = [one for one in published if one["n_max"] == size]
        for one in instances[: QUICK_PUBLISHED if quick else None]:
            seed = [settings.seed, PUBLISHED, size, one["seed"]]
            name = f"published size {size} seed {one['seed']}"
            yield name, _read(one), ahead, settings.published_sequences, seed, one["published_mean_cost"]
    ahead = Effort(0, Pace(), Pace(0.35), gap=2e-5, large=True)
    for carried, sequences in zip(CARRIED, settings.large_sequences, strict=True):
        seed = [settings.seed, NETWORK, int(100 * carried), 1]
        setting = replace(paper_models.LARGE, carried=carried)
        yield f"ma large {int(100 * carried)}", _drawn(setting, seed), ahead, sequences, seed, {}


def _drawn(setting: paper_models.Setting, seed: list[int]) -> Callable[[], Fluid]:
    return lambda: paper_models.draw(setting, np.random.default_rng(seed))


def _read(instance: dict[str, Any]) -> Callable[[], Fluid]:
    return lambda: paper_models.fluid_of(instance)
