"""Every rule from a problem to a plan: one file each, made by name.

A new policy is a file with a frozen dataclass that is called with a `Problem` and returns a `Plan`, and one entry in `_POLICIES`.
`README.md` lists them.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, get_args, get_type_hints

import msgspec

from solver.effort import Effort, Policy, Watch, unwatched
from solver.outlook import LooksAhead, Outlook, Present
from solver.plan import Plan
from solver.policies import peers
from solver.problem import Problem

_POLICIES = {
    "nearest": ("solver.policies.nearest", "Nearest"),
    "fewest_parcels": ("solver.policies.fewest_parcels", "FewestParcels"),
    "cheapest": ("solver.policies.cheapest", "Cheapest"),
    "joint": ("solver.policies.joint", "Joint"),
    "cp_sat": ("solver.policies.cp_sat", "CpSat"),
    "highs": ("solver.policies.highs", "Highs"),
}
_AHEAD = {
    "bid_price": ("solver.policies.bid_price", "BidPrice"),
    "sampled_futures": ("solver.policies.sampled_futures", "SampledFutures"),
    "primal_dual": ("solver.policies.primal_dual", "PrimalDual"),
    "spillover": ("solver.policies.spillover", "Spillover"),
    "window": ("solver.policies.window", "Window"),
}
NAMES = (*_POLICIES, *peers.NAMES)
"""The policies of a problem by itself, ours first, simplest first."""
AHEAD = tuple(_AHEAD)
"""Those that look ahead, over time (`LooksAhead`)."""


def make(
    name: str,
    effort: Effort | None = None,
    seed: int = 0,
    watch: Watch = unwatched,
    settings: Mapping[str, Any] | None = None,
    outlook: Outlook | None = None,
) -> Policy:
    """Make a policy by its name.

    Parameters
    ----------
    settings
        What a policy is told, by name, as in its row of `README.md`.
    outlook
        What the future may ask for; only those that look ahead make use of it, and some cannot do without.

    Raises
    ------
    ValueError
        If there is no policy of that name, or it cannot be told what the settings say.
    """
    if name in peers.NAMES:
        return peers.make_peer(name, settings, effort or Effort(), seed, watch)
    if name in _AHEAD:
        return _make_ahead(name, effort or Effort(), seed, watch, settings, outlook)
    if name not in _POLICIES:
        raise ValueError(f"policy {name!r} is not one of {', '.join((*NAMES, *AHEAD))}")
    if settings:
        raise ValueError(f"policy {name!r} has no settings")
    module, cls = _POLICIES[name]
    policy: Policy = getattr(import_module(module), cls)(effort or Effort(), seed, watch)
    return policy


def _make_ahead(
    name: str, effort: Effort, seed: int, watch: Watch, settings: Mapping[str, Any] | None, outlook: Outlook | None
) -> Policy:
    module, cls = _AHEAD[name]
    made = getattr(import_module(module), cls)
    try:
        told = msgspec.convert(dict(settings or {}), get_type_hints(made, include_extras=True)["settings"])
    except msgspec.ValidationError as error:
        raise ValueError(f"settings of {name}: {error}") from None
    by = getattr(told, "by", None)
    if by is not None and by not in (*NAMES, *AHEAD):
        raise ValueError(f"settings of {name}: {by!r} is not a policy - at `$.by`")
    if outlook is None and needs_outlook(name):
        raise ValueError(f"policy {name!r} looks ahead and needs an outlook on demand: replay a history under it")
    policy: Policy = made(told, outlook, effort, seed, watch)
    return policy


def told(text: str) -> tuple[str, dict[str, Any]]:
    """Read a policy as people write it: `bid_price`, `bid_price:days=3,by=joint`, or with an object of JSON after the colon.

    Raises
    ------
    ValueError
        If what follows the colon is neither.
    """
    name, _, said = text.partition(":")
    try:
        if said.startswith("{"):
            return name, msgspec.json.decode(said, type=dict[str, Any])
        pairs = [part.split("=", 1) for part in said.split(",") if part]
        return name, {key: _value(value) for key, value in pairs}
    except ValueError:
        raise ValueError(f"settings of {name}: {said!r} is not like key=value,key=value, nor a JSON object") from None


def _value(text: str) -> Any:
    """A number, a truth or nothing as JSON writes it, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def needs_outlook(name: str) -> bool:
    """Whether one of those that look ahead cannot do without an outlook."""
    module, cls = _AHEAD[name]
    return type(None) not in get_args(get_type_hints(getattr(import_module(module), cls))["outlook"])


def decide(policy: Policy, problem: Problem, present: Callable[[], Present], memory: Any) -> tuple[Plan, Any]:
    """Let any policy decide: one that looks ahead is told the present and what it remembers, and says what to remember."""
    if isinstance(policy, LooksAhead):
        return policy.look(problem, present(), memory)
    return policy(problem), None


__all__ = ["AHEAD", "NAMES", "LooksAhead", "Policy", "decide", "make", "needs_outlook", "told"]
