"""Why a run costs more than the least that anybody could have paid: its regret, split by cause.

Causes are taken away one after the other, from the run and the plan in hindsight alike; what each took with it is its part:

- unproven: how far the plan in hindsight is above the bound; nobody knows whether that could have been saved;
- delay: what the plan in hindsight saves by letting orders wait for a later wave than their first;
- capacity: what goes when no node has a limit to its day, neither for the run, which may fill a node early, nor for the
  plan without waiting;
- rules: what a rule costs that does not weigh costs, against `cheapest`; of rules only;
- forecast: what goes when a policy that looks ahead is told the orders that do come; of such policies only;
- myopia: the rest, by which deciding wave by wave is dearer than deciding everything at once.

They add up to the regret. A part can be negative: waiting, limits or an error may do a policy good by chance.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import msgspec

from engine.outlook import DemandOutlook
from simulation.hindsight import Hindsight, hindsight
from simulation.outlook import KnownFuture, outlook_of
from simulation.placing import Placed
from simulation.replay import replay_placed
from solver import policies
from solver.effort import Effort, Policy
from solver.outlook import LooksAhead

Make = Callable[[DemandOutlook], Policy]
"""Makes a policy that may look ahead by the outlook."""
WEIGH_COSTS = ("cheapest", "joint")
"""Policies that are neither rules nor look ahead."""


@dataclass(frozen=True)
class Regret:
    """What a run costs above the bound, in cents, by cause."""

    unproven: float
    delay: int
    capacity: int
    rules: int
    forecast: int
    myopia: int

    @property
    def cents(self) -> float:
        """All of it."""
        return float(sum(getattr(self, part.name) for part in fields(self)))


class Causes:
    """Splits the regret of any policy on one history; what does not depend on the policy is found once.

    Parameters
    ----------
    placed
        The history, without `later` networks and counts, as `hindsight` wants it.
    found
        What hindsight came to on it.
    effort
        For each of two further plans in hindsight.

    Raises
    ------
    Refusal
        As `hindsight` does.
    """

    def __init__(self, placed: Placed, found: Hindsight, effort: Effort, seed: int = 0) -> None:
        self.found, self.free = found, _without_limits(placed)
        self.outlook, self.known = outlook_of(self.free), outlook_of(self.free, KnownFuture)
        self.at_once = hindsight(placed, effort, patient=False, seed=seed).cost_cents
        self.free_at_once = hindsight(self.free, effort, patient=False, seed=seed).cost_cents
        self.free_cheapest = self._free_cost(policies.make("cheapest", effort, seed))

    def split(self, name: str, make: Make, cost_cents: int) -> Regret:
        """Split what a policy's run cost.

        Parameters
        ----------
        name
            Of the policy; what is not of `WEIGH_COSTS` and does not look ahead is a rule.
        make
            Called for each of at most two more runs.
        cost_cents
            Of its run on the history as it is.
        """
        policy = make(self.outlook)
        free = self._free_cost(policy)
        rules = forecast = 0
        if isinstance(policy, LooksAhead):
            forecast = free - self._free_cost(make(self.known))
        elif name not in WEIGH_COSTS:
            rules = free - self.free_cheapest
        return Regret(
            unproven=self.found.cost_cents - self.found.bound_cents,
            delay=self.at_once - self.found.cost_cents,
            capacity=(cost_cents - self.at_once) - (free - self.free_at_once),
            rules=rules,
            forecast=forecast,
            myopia=free - rules - forecast - self.free_at_once,
        )

    def _free_cost(self, policy: Policy) -> int:
        return replay_placed(self.free, policy).cost_cents


def _without_limits(placed: Placed) -> Placed:
    """The same history where no node has a limit to what it makes in a day."""
    nodes = [msgspec.structs.replace(node, capacity_parcels=None, capacity_units=None) for node in placed.network.nodes]
    network = msgspec.structs.replace(placed.network, nodes=tuple(nodes))
    return replace(placed, network=network)


__all__ = ["Causes", "Regret"]
