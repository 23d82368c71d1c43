"""Named rules: which nodes may serve what, as data on a channel. The name of a rule is the reason given to people.

A rule is hard, or has a price: then it may be broken where that is worth it. `engine.rules` applies them to a problem.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine.facts import Name
from solver.refusal import Refusal
from solver.wave import Amount

RuleName = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[a-z][a-z0-9_]*\Z")]
Km = Annotated[float, Meta(ge=0, le=40_100)]
Names = Annotated[tuple[Name, ...], Meta(max_length=10_000)]
RULES = 50
"""Rules of a channel, at most."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule"):
    """What every rule has: its name, whom it concerns, and what breaking it costs.

    Attributes
    ----------
    cents
        What each unit costs that breaks the rule; `None` where it is never broken.
    skus, sku_tags, regions
        The lines that it concerns: of one of these SKUs, with one of these tags, for a customer in one of these regions.
        What is empty says nothing.
    """

    name: RuleName
    cents: Amount | None = None
    skus: Names = ()
    sku_tags: Names = ()
    regions: Names = ()


class NodeRule(Rule, frozen=True, kw_only=True):
    """A rule that names nodes: by id, tag, kind or region; a node of all that is said, any where nothing is."""

    nodes: Names = ()
    node_tags: Names = ()
    kinds: tuple[Literal["warehouse", "store"], ...] = ()
    node_regions: Names = ()


class ExcludeNodes(NodeRule, frozen=True, kw_only=True, tag="exclude_nodes"):
    """These nodes do not serve these lines."""


class OnlyNodes(NodeRule, frozen=True, kw_only=True, tag="only_nodes"):
    """No other nodes serve these lines."""


class MaxDistance(NodeRule, frozen=True, kw_only=True, tag="max_distance"):
    """These nodes deliver no farther."""

    km: Km


class SameRegion(Rule, frozen=True, kw_only=True, tag="same_region"):
    """A customer is served from the customer's region."""


class RingFence(NodeRule, frozen=True, kw_only=True, tag="ring_fence"):
    """The last units of a SKU at these nodes are kept for customers who collect them there."""

    units: Annotated[int, Meta(ge=1, le=10**9)]


class MaxParcels(Rule, frozen=True, kw_only=True, tag="max_parcels"):
    """An order with such lines is split into no more parcels."""

    parcels: Annotated[int, Meta(ge=1, le=1000)]


AnyRule = ExcludeNodes | OnlyNodes | MaxDistance | SameRegion | RingFence | MaxParcels
_HARD_ONLY = (RingFence, MaxParcels)


def rules_of(data: Sequence[Any], place: str = "rules") -> tuple[AnyRule, ...]:
    """Read rules strictly.

    Raises
    ------
    Refusal
        Naming the rule, the field, its value and what is allowed.
    """
    if len(data) > RULES:
        raise Refusal(place, f"{len(data)} rules; a channel has at most {RULES}", "too_many")
    rules = tuple(_rule(one, f"{place}[{i}]") for i, one in enumerate(data))
    seen: dict[str, int] = {}
    for i, rule in enumerate(rules):
        if rule.name in seen:
            first = f"{place}[{seen[rule.name]}]"
            raise Refusal(f"{place}[{i}].name", f"{rule.name!r} is already the name of {first}", "duplicate_id")
        seen[rule.name] = i
        if isinstance(rule, _HARD_ONLY) and rule.cents is not None:
            allowed = "this rule has no price, it is always kept; leave it out"
            raise Refusal(f"{place}[{i}].cents", f"{rule.cents} is given, but {allowed}", "bad_rule")
        if isinstance(rule, ExcludeNodes | OnlyNodes) and not (
            rule.nodes or rule.node_tags or rule.kinds or rule.node_regions
        ):
            fields = "nodes, node_tags, kinds or node_regions"
            raise Refusal(f"{place}[{i}]", f"{rule.name!r} names no node; say which by {fields}", "bad_rule")
    return rules


def _rule(one: Any, place: str) -> AnyRule:
    try:
        rule: AnyRule = msgspec.convert(one, AnyRule)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        where = path.rstrip("`")
        raise Refusal(f"{place}{where}", f"{_said(one, where)}{text[0].lower()}{text[1:]}", "bad_rule") from None
    return rule


def _said(one: Any, path: str) -> str:
    """The value at a place, for people, where there is a simple one."""
    for name in path.strip(".").replace("]", "").replace("[", ".").split("."):
        if isinstance(one, dict) and name in one:
            one = one[name]
        elif isinstance(one, list | tuple) and name.isdigit() and int(name) < len(one):
            one = one[int(name)]
    return f"{one!r} is not allowed: " if isinstance(one, str | int | float | None) else ""
