"""Every rule from a problem to a plan: one file each, made by name.

A new policy is a file with a frozen dataclass that is called with a `Problem` and returns a `Plan`, and one entry in `_POLICIES`.
"""

from importlib import import_module

from solver.effort import Effort, Policy, Watch, unwatched

_POLICIES = {
    "nearest": ("solver.policies.nearest", "Nearest"),
    "fewest_parcels": ("solver.policies.fewest_parcels", "FewestParcels"),
    "cheapest": ("solver.policies.cheapest", "Cheapest"),
    "joint": ("solver.policies.joint", "Joint"),
    "cp_sat": ("solver.policies.cp_sat", "CpSat"),
    "highs": ("solver.policies.highs", "Highs"),
}
NAMES = tuple(_POLICIES)
"""The policies there are, simplest first."""


def make(name: str, effort: Effort | None = None, seed: int = 0, watch: Watch = unwatched) -> Policy:
    """Make a policy by its name.

    Raises
    ------
    ValueError
        If there is no policy of that name.
    """
    if name not in _POLICIES:
        raise ValueError(f"policy {name!r} is not one of {', '.join(NAMES)}")
    module, cls = _POLICIES[name]
    policy: Policy = getattr(import_module(module), cls)(effort or Effort(), seed, watch)
    return policy


__all__ = ["NAMES", "Policy", "make"]
