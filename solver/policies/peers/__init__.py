"""The rules of other systems as policies, so that what a shop has today can be priced and compared.

A rule is a function of a desk and of its settings, told from public code and documentation; no code was copied.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, get_type_hints

import msgspec

from solver.effort import Effort, Policy, Watch

_RULES = {
    "magento.priority": ("magento", "priority"),
    "magento.distance": ("magento", "distance"),
    "saleor.high_stock": ("saleor", "high_stock"),
    "saleor.sorting_order": ("saleor", "sorting_order"),
    "vendure.multichannel": ("vendure", "multichannel"),
    "medusa.first_location": ("medusa", "first_location"),
    "solidus.on_hand_first": ("solidus", "on_hand_first"),
    "spree.rules": ("spree", "rules"),
    "spree.legacy_prioritizer": ("spree", "legacy_prioritizer"),
    "shopify.first_non_tie": ("shopify", "first_non_tie"),
    "salesforce.fewest_splits": ("salesforce", "fewest_splits"),
    "hotwax.brokering": ("hotwax", "brokering"),
    "fluent.responsive_sourcing": ("fluent", "responsive_sourcing"),
    "fft.fences_ratings": ("fft", "fences_ratings"),
    "ibm.weighted_cost": ("ibm", "weighted_cost"),
    "d365.mip": ("d365", "mip"),
}
NAMES = tuple(_RULES)


def make_peer(name: str, settings: Mapping[str, Any] | None, effort: Effort, seed: int, watch: Watch) -> Policy:
    """Make a rule a policy.

    Raises
    ------
    ValueError
        If the rule cannot be told what the settings say.
    """
    from solver.policies.peers.desk import Peer  # with its kernels, which only those who decide should wait for

    module, function = _RULES[name]
    rule = getattr(import_module(f"solver.policies.peers.{module}"), function)
    try:
        told = msgspec.convert(dict(settings or {}), get_type_hints(rule)["settings"])
    except msgspec.ValidationError as error:
        raise ValueError(f"settings of {name}: {error}") from None
    return Peer(name, rule, told, effort, seed, watch)


__all__ = ["NAMES", "make_peer"]
