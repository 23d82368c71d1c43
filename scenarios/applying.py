"""A scenario on a placed history: what is drawn for the baseline is drawn for every scenario, and only then changed."""

from dataclasses import replace
from zlib import crc32

import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.network import Network, columns_of
from scenarios.naming import must_be
from scenarios.scenario import Change, Scenario
from scenarios.spans import on_dates, span
from simulation.manner import Manner
from simulation.placing import Placed
from solver.policies import AHEAD, NAMES
from solver.refusal import Refusal

DRAWS = 100
"""The streams of chance of the verbs begin here; those of placing are below."""


def apply(scenario: Scenario, placed: Placed) -> Placed:
    """Make the changes of a scenario, in their order; without changes nothing is touched.

    Each verb draws from a stream of its own that depends on the seed of the placing alone, so that 110 % and 120 % of
    demand add orders to the same ones.

    Raises
    ------
    Refusal
        A node, service, SKU or region that is not there, or what the history and the network do not allow.
    """
    assert not placed.later, "a placed history is changed once"
    _check_policy(scenario, placed)
    history, dated = placed.history, []
    for change in scenario.changes:
        try:
            days = span(history, change.settings.days)
            if change.does.placed:
                chance = np.random.default_rng([placed.seed, DRAWS, crc32(change.verb.encode())])
                placed = change.does.placed(placed, on_dates(history, change.settings), chance)
        except Refusal as refusal:
            raise change.refused(refusal) from None
        if change.does.network:
            dated.append((change, days))
    if not dated:
        return placed
    first = int(history.order_placed_at[0]) // MINUTES_PER_DAY * MINUTES_PER_DAY if history.orders else 0
    turns = sorted({minute for _, ends in dated for minute in ends if first < minute < 2**50})
    now, *later = (_as_of(placed.network, dated, minute) for minute in (first, *turns))
    return replace(placed, network=now, later=tuple(zip(turns, later, strict=True)))


def _as_of(network: Network, dated: list[tuple[Change, tuple[int, int]]], minute: int) -> Network:
    """The network with the changes that hold at a minute."""
    for change, (begin, end) in dated:
        if begin <= minute < end and change.does.network:
            try:
                network = change.does.network(network, change.settings)
                columns_of(network)
            except Refusal as refusal:
                raise change.refused(refusal) from None
    return network


def _check_policy(scenario: Scenario, placed: Placed) -> None:
    for change in scenario.changes:
        if change.verb == "policy" and scenario.policy:
            must_be(f"{change.place}.name", scenario.policy.name, (*NAMES, *AHEAD), "a policy")
            try:
                Manner(0.0).policies([scenario.policy.text], placed)
            except Refusal as refusal:
                raise Refusal(f"{change.place}.name", refusal.problem, "bad_value") from None
