"""Every rule from a problem to a plan: one file each, made by name.

A new policy is a file with a frozen dataclass that is called with a `Problem` and returns a `Plan`, and one entry in `_POLICIES`.
`README.md` lists them.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from solver.effort import Effort, Policy, Watch, unwatched
from solver.policies import peers

_POLICIES = {
    "nearest": ("solver.policies.nearest", "Nearest"),
    "fewest_parcels": ("solver.policies.fewest_parcels", "FewestParcels"),
    "cheapest": ("solver.policies.cheapest", "Cheapest"),
    "joint": ("solver.policies.joint", "Joint"),
    "cp_sat": ("solver.policies.cp_sat", "CpSat"),
    "highs": ("solver.policies.highs", "Highs"),
}
NAMES = (*_POLICIES, *peers.NAMES)
"""The policies there are, ours first, simplest first."""


def make(
    name: str,
    effort: Effort | None = None,
    seed: int = 0,
    watch: Watch = unwatched,
    settings: Mapping[str, Any] | None = None,
) -> Policy:
    """Make a policy by its name.

    Parameters
    ----------
    settings
        What the rule of another system is told, by name, as in its row of `README.md`.

    Raises
    ------
    ValueError
        If there is no policy of that name, or it cannot be told what the settings say.
    """
    if name in peers.NAMES:
        return peers.make_peer(name, settings, effort or Effort(), seed, watch)
    if name not in _POLICIES:
        raise ValueError(f"policy {name!r} is not one of {', '.join(NAMES)}")
    if settings:
        raise ValueError(f"policy {name!r} has no settings")
    module, cls = _POLICIES[name]
    policy: Policy = getattr(import_module(module), cls)(effort or Effort(), seed, watch)
    return policy


__all__ = ["NAMES", "Policy", "make"]
