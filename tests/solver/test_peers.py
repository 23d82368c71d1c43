"""The rules of other systems decide as those systems do.

The recorded cases come in a folder that is handed round beside a checkout. Quantities are scaled to whole units; units that are
allocated or reserved already are not there; what another system backorders is open here.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from math import lcm
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits

from solver.bill import bill
from solver.check import check
from solver.effort import Effort, Meter
from solver.plan import Plan
from solver.policies import make, peers
from solver.policies.peers.desk import Desk
from solver.problem import Problem
from solver.wave import Wave, problem_of
from tests.strategies import small_waves
from tests.worlds import collection, delivery, line, node, service, sku, world

CASES = Path(__file__).parent.parent.parent.parent / "shared" / "cases" / "peer_cases.json"
FLAT = service("flat", zone_km=[5000], steps_g=[30_000], cents=[[700]], over=[0])
Taken = dict[str, dict[str, float]]


def decided(problem: Problem, name: str, settings: Mapping[str, Any] | None = None, seconds: float = 20) -> Plan:
    """The plan of a rule, after the checker has seen it."""
    plan = make(name, Effort(seconds=seconds), settings=settings)(problem)
    verdict = check(problem, plan)
    assert verdict.ok, (name, verdict.violations)
    assert (plan.cost_cents, plan.policy) == (verdict.cost_cents, name)
    assert plan.bound_cents <= plan.cost_cents
    return plan


def taken(problem: Problem, plan: Plan) -> Taken:
    """Units by node and SKU."""
    found: Taken = defaultdict(lambda: defaultdict(int))
    for parcel, at, units in zip(plan.entry_parcel, plan.entry_line, plan.entry_units, strict=True):
        found[problem.node_id[plan.parcel_node[parcel]]][problem.sku_id[problem.line_sku[at]]] += int(units)
    return {place: dict(held) for place, held in found.items()}


# --- recorded cases ----------------------------------------------------------------------------------------------------


def scale_of(case: dict[str, Any]) -> int:
    """By what quantities are multiplied, so that all are whole."""
    held = [qty for of in case["stock"].values() for qty in of.values()] + [one["qty"] for one in case["order"]]
    return lcm(1, *(Fraction(str(qty)).denominator for qty in held))


def problem_for(case: dict[str, Any], also: Mapping[tuple[str, str], float] | None = None) -> Problem:
    """The stock and the order of a case; `also` says what there is instead at some nodes."""
    settings, scale = case["settings"], scale_of(case)
    stock = {(place, name): qty for place, held in case["stock"].items() for name, qty in held.items()}
    for place, name in settings.get("item_out_of_stock_flag", []):
        stock.pop((place, name), None)
    gone = [(place, held) for key in ("allocated", "already_shipped") for place, held in settings.get(key, {}).items()]
    for place, held in gone:
        for name, qty in held.items():
            stock[place, name] -= qty
    for one in settings.get("reservations", []):
        stock[one["loc"], one["sku"]] -= one["qty"] * (one["owner"] == "other")
    stock |= also or {}
    shipped = list(settings.get("already_shipped", {}).values())
    qty = {one["sku"]: one["qty"] - sum(held.get(one["sku"], 0) for held in shipped) for one in case["order"]}
    lines = [line(name, int(Fraction(str(units)) * scale)) for name, units in qty.items()]
    open_nodes = [name for name in case["stock"] if settings.get("location_enabled", {}).get(name, True)]
    point = settings.get("collection_point")
    order = collection("O", *lines, at=[point]) if point else delivery("O", *lines)
    held = {key: int(Fraction(str(units)) * scale) for key, units in stock.items() if key[0] in open_nodes}
    services = [] if settings.get("zones_required") and not settings["shipping_zones"] else [FLAT]
    problem = problem_of(
        world([node(name, 0.1 * i) for i, name in enumerate(open_nodes)], [order], held, services=services)
    )
    return pinned(problem, settings.get("pin"))


def pinned(problem: Problem, pin: str | Mapping[str, str] | None) -> Problem:
    """The same problem, where lines may come from a named node alone."""
    if pin is None:
        return problem
    names = dict.fromkeys(problem.sku_id, pin) if isinstance(pin, str) else pin
    home = np.array([problem.node_id.index(names[problem.sku_id[k]]) for k in problem.line_sku])
    away = problem.option_node != home[problem.option_line]
    reason = np.where(away, len(problem.reasons), problem.option_reason).astype(np.uint8)
    return replace(problem, option_reason=reason, reasons=(*problem.reasons, "pinned"))


def scaled(case: dict[str, Any], alloc: Taken) -> Taken:
    """What a case expects, in whole units and without rows of none."""
    scale = scale_of(case)
    whole = {at: {name: Fraction(str(qty)) * scale for name, qty in held.items() if qty} for at, held in alloc.items()}
    return {at: {name: int(qty) for name, qty in held.items()} for at, held in whole.items() if held}


NOT_IN_A_PLAN = {
    "allocations": "how many rows were written: none, where nothing ships",
    "backorder_locations": "where open units will come from",
    "items": "which lines were short",
    "on_hand_after": "stock, which the ledger tells",
    "shipments_if_grouped": "nodes in one place are nodes apart",
    "peer": "what a known defect does",
}


def facts_of(case: dict[str, Any], problem: Problem, plan: Plan) -> dict[str, Any]:
    """What a plan says of all that a case can expect, in the units of the case."""
    found, scale = taken(problem, plan), scale_of(case)
    shipped, asked = int(plan.entry_units.sum()), int(problem.line_qty.sum())
    by_node = isinstance(case["expected"].get("on_hand"), dict)
    return {
        **dict.fromkeys(("alloc", "allocated", "reserved"), found),
        **dict.fromkeys(("shipments", "min_shipments", "fulfilments"), plan.parcels),
        "on_hand": {at: sum(held.values()) / scale for at, held in found.items()} if by_node else shipped / scale,
        "allocated_qty": shipped / scale,
        "on_hand_plus_backordered": asked / scale,
        "leftover": (asked - shipped) / scale,
        "backordered": (asked - shipped) / scale if case["settings"].get("backorderable") else 0,
        "shippable": shipped == asked,
        "locations": sorted(found),
        "error": None if plan.parcels else "insufficient",
        "routes": [sorted(found)],
        "alloc_prefix": [[at, *held.values()] for at, held in found.items()],
    }


def agrees(case: dict[str, Any], problem: Problem, plan: Plan) -> None:
    """All that a case expects, and a plan can tell, is so."""
    expected = dict(case["expected"]) | case["expected"].get("should_be", {})
    facts = facts_of(case, problem, plan)
    if isinstance(expected.get("backordered"), dict):
        expected["backordered"] = sum(expected["backordered"].values())
    said = {key: value for key, value in expected.items() if key not in {*NOT_IN_A_PLAN, "should_be"}}
    assert said, "something is compared"
    for key, value in said.items():
        by_sku = key in ("alloc", "allocated", "reserved")
        assert facts[key] == (scaled(case, value) if by_sku else value), (key, facts[key], value)


def listed(case: dict[str, Any]) -> dict[str, Any]:
    """The locations of a case, in the order in which it says that they are asked."""
    told = case["settings"]
    pool = told.get("pools_by_priority", {}).get(told.get("pool"))
    return {
        "nodes": told.get("sorted") or told.get("priority") or told.get("distance_order") or pool or list(case["stock"])
    }


def as_spree(case: dict[str, Any]) -> dict[str, Any]:
    told = case["settings"]
    ranks = {"rules": told["rules_rankings"]} if "rules_rankings" in told else {}
    return ranks | {key: told[key] for key in ("default", "preferred") if key in told}


def with_backorders(case: dict[str, Any]) -> dict[str, Any]:
    return listed(case) | {"backorderable": case["settings"].get("backorderable", [])}


Told = Callable[[dict[str, Any]], dict[str, Any]]
WHOLE_OR_DEFAULT = {
    "routings": [
        {"rules": [{"sort": ["sequence"], "nodes": ["default", "other"]}, {"nodes": ["default"], "partial": True}]}
    ]
}
"""One warehouse for the whole order, the default one before others; else what the default one has."""
HOW: dict[str, tuple[str, Told]] = {
    "magento.priority": ("magento.priority", listed),
    "magento.distance": ("magento.distance", lambda case: {}),
    "magento.sorted_walk": ("magento.priority", listed),
    "saleor.high_stock": ("saleor.high_stock", lambda case: {}),
    "saleor.sorting_order": ("saleor.sorting_order", listed),
    "vendure.multichannel": ("vendure.multichannel", lambda case: {}),
    "vendure.pinned": ("vendure.multichannel", lambda case: {}),
    "solidus.on_hand_first": ("solidus.on_hand_first", with_backorders),
    "spree.rules": ("spree.rules", as_spree),
    "spree.legacy_prioritizer": ("spree.legacy_prioritizer", listed),
    "reaction.single_then_default_backorder": ("hotwax.brokering", lambda case: WHOLE_OR_DEFAULT),
    "salesforce.fewest_splits": ("salesforce.fewest_splits", lambda case: {}),
    "erpnext.pick_list_fifo": ("magento.priority", lambda case: {}),
    "any": ("magento.priority", lambda case: {}),
}
"""How a case's own policy is told here."""


def told_as(case: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name, settings = HOW[case["policy"]]
    return name, settings(case)


def ranked_by_rules(case: dict[str, Any], name: str) -> None:
    """Where a node holds one unit each, and one is asked for, the one that gives it is the best."""
    told = case["settings"]
    stock = {at: {"i": 1} for at in told["locations"]}
    problem = problem_for({**case, "stock": stock, "order": [{"sku": "i", "qty": 1}]})
    found = taken(problem, decided(problem, name, as_spree(case)))
    assert list(found) == ([case["expected"]["pick"]] if told["locations"] else [])


def ranked_by_one_rule(case: dict[str, Any]) -> None:
    """A lower rank gives first, to two orders of which each wants all that one node holds."""
    rule = case["policy"].removeprefix("spree.")
    ranks = case["expected"]["rank"]
    best = min(ranks, key=lambda at: np.inf if ranks[at] is None else ranks[at])
    stock = {at: held or {"i": 1} for at, held in reversed(case["stock"].items())}
    order = case["order"] or [{"sku": "i", "qty": 1}]
    problem = problem_for({**case, "stock": stock, "order": order})
    settings = as_spree(case) | {"rules": [rule]}
    assert list(taken(problem, decided(problem, "spree.rules", settings))) == [best]


def parcels_by_profile(case: dict[str, Any]) -> None:
    """What may not travel together has services of its own here."""
    apart = [service(name, steps_g=[30_000], cents=[[700]], over=[0]) for name in ("physical", "digital")]
    skus = [sku("ship", no_services=["digital"]), sku("digital", no_services=["physical"])]
    order = delivery("O", line("ship"), line("digital"))
    stock = {("NYC", "ship"): 10, ("NYC", "digital"): 10}
    problem = problem_of(world([node("NYC")], [order], stock, skus=skus, services=apart))
    plan = decided(problem, "spree.rules", as_spree(case))
    assert {problem.node_id[at]: plan.parcels for at in plan.parcel_node} == case["expected"]["packages_at"]
    assert plan.entry_units.sum() == case["expected"]["on_hand"]


def kept_for_who_collects(case: dict[str, Any]) -> None:
    """What one order takes elsewhere, another one can collect."""
    first, second = case["order"]
    orders = [
        delivery("1", line(first["sku"], first["qty"])),
        collection("2", line(second["sku"], second["qty"]), at=["A"]),
    ]
    stock = {(at, name): qty for at, held in case["stock"].items() for name, qty in held.items()}
    problem = problem_of(
        world([node(at, 0.1 * i) for i, at in enumerate(case["stock"])], orders, stock, services=[FLAT])
    )
    assert decided(problem, "joint").entry_units.sum() == first["qty"] + second["qty"]


def the_last_unit_is_given_once(case: dict[str, Any]) -> None:
    orders = [delivery(one["order"], line(one["sku"], one["qty"])) for one in case["order"]]
    stock = {(at, name): qty for at, held in case["stock"].items() for name, qty in held.items()}
    problem = problem_of(world([node(at) for at in case["stock"]], orders, stock, services=[FLAT]))
    plan = decided(problem, "magento.priority", {"nodes": case["settings"]["priority"]})
    assert [problem.node_id[at] for at in plan.parcel_node] == case["expected"]["alloc_multiset"]


def by_weeks_of_supply(case: dict[str, Any]) -> None:
    """Each facility in turn: what ranks first gives, and is then left out; and each has its score, and no more."""
    told, stock = case["settings"], case["stock"]
    velocity = {at: dict.fromkeys(held, told["velocity_per_week"][at]) for at, held in stock.items()}
    problem = problem_for(case)

    def brokered(rule: dict[str, Any]) -> list[str]:
        settings = {"routings": [{"rules": [rule]}], "velocity": velocity, "weeks": told["weeks"]}
        return list(taken(problem, decided(problem, "hotwax.brokering", settings)))

    found: list[str] = []
    while len(found) < len(stock):
        found += brokered({"sort": ["weeks_of_supply"], "excluded": list(found)})
    assert found == case["expected"]["ranking"]
    for at, score in case["expected"]["scores"].items():
        assert brokered({"nodes": [at], "min_score": score}) == [at]
        assert brokered({"nodes": [at], "min_score": score + 1}) == []


def all_pairs_are_routes(case: dict[str, Any]) -> None:
    """Each route is taken where nothing else is listed; no other pair holds the order."""
    problem = problem_for(case)
    pairs = [[a, b] for a in case["stock"] for b in case["stock"] if a < b]
    found = [sorted(taken(problem, decided(problem, "salesforce.fewest_splits", {"nodes": pair}))) for pair in pairs]
    assert [route for route in found if route] == case["expected"]["routes"]
    assert sorted(taken(problem, decided(problem, "salesforce.fewest_splits"))) in case["expected"]["routes"]


def markdown_flips_the_choice(case: dict[str, Any]) -> None:
    """Money in hundredths of a cent; the load and the way are told as the performance of a node."""
    cents = {
        at: {term: round(10_000 * dollars) for term, dollars in of.items()}
        for at, of in case["settings"]["cost"].items()
    }
    tariff = service(
        zone_km=[1, 50], steps_g=[1000], cents=[[cents[at]["ship"]] for at in "AB"], over=[0, 0], transit=[1, 1]
    )
    nodes = [node(at, 0.1 * i, parcel=cents[at]["process"], line=0, unit=0) for i, at in enumerate("AB")]
    order = delivery("O", line("i", unfilled=10_000_000))
    problem = problem_of(world(nodes, [order], {("A", "i"): 1, ("B", "i"): 1}, services=[tariff]))
    settings = {
        "performance": 1.0,
        "performance_cents": {at: of["load"] + of["distance_penalty"] for at, of in cents.items()},
        "markdown_cents": {at: {"i": of["markdown"]} for at, of in cents.items()},
    }
    for markdown, expected in ((1.0, "pick"), (0.0, "pick_without_inventory_model")):
        plan = decided(problem, "ibm.weighted_cost", settings | {"markdown": markdown})
        assert list(taken(problem, plan)) == [case["expected"][expected]]


def two_boxes_are_cheaper(case: dict[str, Any]) -> None:
    """Boxes of one node go by two services of the same tariff; a pound is a kilogram."""
    rates = {name: round(100 * dollars) for name, dollars in case["settings"]["rates"].items()}
    cents = [rates["box_3.2lb"], rates["box_4.8lb"], rates["one_box_8lb"]]
    boxes = [service(name, steps_g=[3200, 4800, 8000], cents=[cents], over=[0]) for name in ("first", "second")]
    problem = problem_of(
        world([node("N")], [delivery("O", line("i", 5))], {("N", "i"): 5}, skus=[sku("i", 1600)], services=boxes)
    )
    plan = decided(problem, "ibm.weighted_cost", {"processing": 0.0})
    assert plan.parcels == 2
    assert cents[2] - bill(problem, plan)["carriage"] == round(100 * case["expected"]["saving"])


def the_lowest_distance_wins(case: dict[str, Any]) -> None:
    """A mile is a kilometre here."""
    told = case["settings"]
    nodes = [node(at, away / 111.195) for at, away in told["distance_mi"].items()]
    problem = problem_of(
        world(nodes, [delivery("O", line("i"))], {(one.id, "i"): 10 for one in nodes}, services=[FLAT])
    )
    everywhere = told["max_distance_mi"].pop("All Sources")
    settings = {"max_km": everywhere, "max_km_at": told["max_distance_mi"], "hard": ["max_km"]}
    assert list(taken(problem, decided(problem, "d365.mip", settings))) == case["expected"]["eligible"]
    assert list(taken(problem, decided(problem, "d365.mip"))) == ["Seattle"]


def fallback_rate(case: dict[str, Any]) -> None:
    """A flat rate up to a threshold and so much for each pound above is a tariff; a pound is a kilogram."""
    told = case["settings"]
    steps, cents, more = (
        [round(f * told[key])] for f, key in ((1000, "threshold_lb"), (100, "static_rate"), (100, "increment"))
    )
    order = delivery("O", line("i", told["weight_lb"]))
    rate = service(steps_g=steps, cents=[cents], over=more)
    problem = problem_of(world([node("N")], [order], {("N", "i"): told["weight_lb"]}, services=[rate]))
    plan = decided(problem, "d365.mip")
    assert bill(problem, plan)["carriage"] == round(100 * case["expected"]["rate"])


APART: dict[str, Callable[[dict[str, Any]], None]] = {
    **dict.fromkeys(("PC034", "PC035", "PC036", "PC037", "PC038"), lambda case: ranked_by_rules(case, "spree.rules")),
    **dict.fromkeys(("PC040", "PC041", "PC042"), ranked_by_one_rule),
    "PC030": kept_for_who_collects,
    "PC031": the_last_unit_is_given_once,
    "PC058": parcels_by_profile,
    "PC142": markdown_flips_the_choice,
    "PC143": two_boxes_are_cheaper,
    "PC144": fallback_rate,
    "PC145": the_lowest_distance_wins,
    "PC146": by_weeks_of_supply,
    "PC148": all_pairs_are_routes,
}
"""Cases that are more than an order and its allocation."""
INSTEAD: dict[str, dict[tuple[str, str], float]] = {"PC093": {("L2", "v2"): 1}}
"""Stock that a case tells in other words: an SKU that is not tracked is always there."""
IN_THE_ENGINE = "told by the ledger, not by a plan (tests/engine/test_peer_accounting.py)"
NOT_TOLD = {
    "PC007": "SKUs are indices in a problem; who reads a file or a request matches their names",
    "PC010": "a node with nothing of an SKU is no option for it, whatever its flag says",
    "PC028": IN_THE_ENGINE,
    "PC029": IN_THE_ENGINE,
    "PC100": "what carts reserve is not there; Saleor ranks by stock as if it were, and so splits where one warehouse would do",
    "PC124": IN_THE_ENGINE,
    "PC131": IN_THE_ENGINE,
    "PC133": IN_THE_ENGINE,
    "PC136": "stock of a problem has no lots",
    "PC139": "a sentence about a shortage, not an allocation",
}


def cases() -> dict[str, dict[str, Any]]:
    if not CASES.exists():
        pytest.skip(f"needs {CASES.name} in a folder beside the project")
    return {case["id"]: case for case in json.loads(CASES.read_text())["cases"]}


ALLOCATIONS = [
    f"PC{number:03}"
    for number in (
        *range(1, 6), 11, 32, 33, *range(44, 53), 55, 56, 61, 63, 64, 66, 67, 77, 78, *range(81, 87), 89, *range(91, 95), 99,
        *range(101, 108), 111, 112, 116, 123, 129, 130, 135, 138, 140,
        141, 147,
    )
]  # fmt: skip


@pytest.mark.parametrize("name", ALLOCATIONS)
def test_a_recorded_order_is_allocated_as_that_system_does(name: str) -> None:
    case = cases()[name]
    problem = problem_for(case, INSTEAD.get(name))
    agrees(case, problem, decided(problem, *told_as(case)))


@pytest.mark.parametrize("name", list(APART))
def test_another_recorded_case_comes_out_as_recorded(name: str) -> None:
    APART[name](cases()[name])


def test_every_case_of_a_policy_is_told_or_said_not_to_be() -> None:
    of_policies = {name for name, case in cases().items() if case.get("policy")}
    assert of_policies == {*ALLOCATIONS, *APART, *NOT_TOLD}
    assert len(of_policies) == len(ALLOCATIONS) + len(APART) + len(NOT_TOLD)


# --- every rule --------------------------------------------------------------------------------------------------------


@given(wave=small_waves())
@limits(max_examples=25, deadline=None)
def test_no_rule_breaks_a_rule_of_the_problem(wave: Wave) -> None:
    problem = problem_of(wave)
    for name in peers.NAMES:
        decided(problem, name)


@pytest.mark.parametrize("name", peers.NAMES)
def test_a_wave_with_nothing_to_ship_or_to_decide_is_no_matter(name: str) -> None:
    nothing = problem_of(world([node("A")], [delivery("O", line("x"))], {}))
    assert decided(nothing, name).parcels == 0
    assert decided(problem_of(world([], [], {}, services=[])), name).parcels == 0


def test_settings_that_a_rule_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match=r"settings of spree\.rules: .*colour"):
        make("spree.rules", settings={"colour": "red"})
    with pytest.raises(ValueError, match="no settings"):
        make("nearest", settings={"nodes": ["A"]})


# --- rule by rule ------------------------------------------------------------------------------------------------------

A_AND_B = [node("A", 1), node("B", 0.5)]


def from_each(name: str, stock: dict[tuple[str, str], int], *lines: Any, **settings: Any) -> Taken:
    """What a rule takes for one order at 0 degrees, from A at one and B at half a degree."""
    problem = problem_of(world(A_AND_B, [delivery("O", *lines)], stock, services=[FLAT]))
    return taken(problem, decided(problem, name, settings))


def test_magento_walks_its_list_or_the_way() -> None:
    stock = {("A", "x"): 2, ("B", "x"): 2}
    assert from_each("magento.priority", stock, line("x", 3)) == {"A": {"x": 2}, "B": {"x": 1}}
    assert from_each("magento.priority", stock, line("x", 3), nodes=["B", "A"]) == {"B": {"x": 2}, "A": {"x": 1}}
    assert from_each("magento.priority", stock, line("x", 3), nodes=["B"]) == {"B": {"x": 2}}
    assert from_each("magento.distance", stock, line("x", 3)) == {"B": {"x": 2}, "A": {"x": 1}}


def test_saleor_takes_each_line_where_most_of_it_lies_or_nothing_at_all() -> None:
    stock = {("A", "x"): 1, ("B", "x"): 2, ("A", "y"): 2, ("B", "y"): 1}
    assert from_each("saleor.high_stock", stock, line("x"), line("y")) == {"B": {"x": 1}, "A": {"y": 1}}
    assert from_each("saleor.high_stock", stock, line("x"), line("y", 4)) == {}
    assert from_each("saleor.sorting_order", stock, line("x"), line("y")) == {"A": {"x": 1, "y": 1}}


def test_vendure_keeps_its_threshold_everywhere() -> None:
    assert from_each("vendure.multichannel", {("A", "x"): 3, ("B", "x"): 3}, line("x", 4), threshold=2) == {
        "A": {"x": 1},
        "B": {"x": 1},
    }


def test_medusa_fails_where_the_first_location_lacks_an_item() -> None:
    stock = {("A", "x"): 1, ("B", "x"): 1, ("B", "y"): 1}
    assert from_each("medusa.first_location", stock, line("x"), line("y")) == {}
    assert from_each("medusa.first_location", stock, line("x"), line("y"), nodes=["B", "A"]) == {"B": {"x": 1, "y": 1}}


def test_solidus_refuses_an_order_that_is_short_unless_somebody_backorders() -> None:
    stock = {("A", "x"): 1, ("B", "x"): 1}
    assert from_each("solidus.on_hand_first", stock, line("x", 3)) == {}
    assert from_each("solidus.on_hand_first", stock, line("x", 3), backorderable=["B"]) == {
        "A": {"x": 1},
        "B": {"x": 1},
    }


def test_spree_counts_coverage_once_and_so_splits_more_than_it_must() -> None:
    """a to f: A has four of them and comes first, though B and C together have all."""
    held = {"A": "abcd", "B": "abe", "C": "cdf"}
    stock = {(at, name): 1 for at, names in held.items() for name in names}
    order = delivery("O", *(line(name) for name in "abcdef"))
    problem = problem_of(world([node(at) for at in held], [order], stock, services=[FLAT]))
    assert list(taken(problem, decided(problem, "spree.rules"))) == ["A", "B", "C"]


def test_shopify_ships_from_as_few_as_hold_it_and_from_the_closest_of_those() -> None:
    """x and y lie apart at A and B, and together at neither; C is the closest but has only x."""
    nodes = [node("A", 1), node("B", 0.5), node("C", 0.1), node("D", 2)]
    stock = {("A", "x"): 1, ("B", "y"): 1, ("C", "x"): 1, ("D", "y"): 1}
    orders = [delivery("O", line("x"), line("y"))]
    problem = problem_of(world(nodes, orders, stock, services=[FLAT]))
    assert taken(problem, decided(problem, "shopify.first_non_tie")) == {"C": {"x": 1}, "B": {"y": 1}}
    both = problem_of(world(nodes, orders, stock | {("D", "x"): 1}, services=[FLAT]))
    assert taken(both, decided(both, "shopify.first_non_tie")) == {"D": {"x": 1, "y": 1}}
    ranked = {"rules": [{"A": 1, "D": 2}, "closest"]}
    assert taken(both, decided(both, "shopify.first_non_tie", ranked)) == {"A": {"x": 1}, "D": {"y": 1}}


def test_shopify_stays_in_the_market_that_the_order_goes_to() -> None:
    """A is nearest to the order, so its market is that of A and C, though B is closer than C."""
    nodes = [node("A", 0.1), node("B", 0.2), node("C", 1)]
    problem = problem_of(world(nodes, [delivery("O", line("x"))], {("B", "x"): 1, ("C", "x"): 1}, services=[FLAT]))
    markets = {"home": ["A", "C"], "abroad": ["B"]}
    assert taken(problem, decided(problem, "shopify.first_non_tie")) == {"B": {"x": 1}}
    assert taken(problem, decided(problem, "shopify.first_non_tie", {"markets": markets})) == {"C": {"x": 1}}


@pytest.mark.parametrize("seed", range(40))
def test_the_sets_that_hold_an_order_are_all_of_the_least_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = [node(f"N{at}") for at in range(7)]
    stock = {(one.id, name): int(rng.integers(1, 4)) for one in nodes for name in "xyz" if rng.random() < 0.5}
    lines = [line(name, int(rng.integers(1, 6))) for name in "xyz"]
    desk = Desk(problem_of(world(nodes, [delivery("O", *lines)], stock, services=[FLAT])), Meter(Effort()), 0)
    asked = desk.ask(0, desk.rank(()))
    by_size = (
        [
            list(some)
            for some in combinations(range(len(asked.nodes)), size)
            if (asked.stock[list(some)].sum(0) >= asked.want).all()
        ]
        for size in (1, 2, 3)
    )
    assert asked.sets(3).tolist() == next((sets for sets in by_size if sets), [])


def test_salesforce_splits_no_more_than_it_may_and_not_at_all_into_a_part() -> None:
    stock = {("A", "x"): 1, ("B", "y"): 1}
    assert from_each("salesforce.fewest_splits", stock, line("x"), line("y")) == {"A": {"x": 1}, "B": {"y": 1}}
    assert from_each("salesforce.fewest_splits", stock, line("x"), line("y"), max_splits=0) == {}
    assert from_each("salesforce.fewest_splits", stock, line("x", 2), line("y")) == {}


def test_hotwax_looks_for_one_facility_before_it_splits() -> None:
    stock = {("A", "x"): 2, ("A", "y"): 2, ("B", "x"): 1}
    assert from_each("hotwax.brokering", stock, line("x"), line("y")) == {"A": {"x": 1, "y": 1}}
    assert from_each("hotwax.brokering", stock, line("x", 3), line("y")) == {"B": {"x": 1}, "A": {"x": 2, "y": 1}}
    kept: dict[str, Any] = {"routings": [{"rules": [{"safety_stock": 2}, {"safety_stock": 1, "partial": True}]}]}
    assert from_each("hotwax.brokering", stock, line("x", 2), line("y"), **kept) == {"A": {"x": 1, "y": 1}}
    kept["routings"][0]["rules"][1]["all_items_anywhere"] = True
    assert from_each("hotwax.brokering", stock, line("x", 2), line("y"), **kept) == {}


def test_hotwax_sorts_facilities() -> None:
    stock = {("A", "x"): 2, ("B", "x"): 1}
    for by, best in {"proximity": "B", "inventory_balance": "A", "sequence": "A", "order_limit": "A"}.items():
        settings = {"routings": [{"rules": [{"sort": [by], "nodes": ["A", "B"]}]}]}
        assert from_each("hotwax.brokering", stock, line("x"), **settings) == {best: {"x": 1}}, by


def test_hotwax_serves_routings_in_sequence_and_orders_by_promise() -> None:
    lines = line("x")
    orders = [delivery("O", lines, promise=9), delivery("P", lines, promise=3), collection("Q", lines, at=["A"])]
    problem = problem_of(world([node("A")], orders, {("A", "x"): 2}, services=[FLAT]))
    settings = {"routings": [{"collected": True}, {"by_promise": True}]}
    assert sorted(decided(problem, "hotwax.brokering", settings).parcel_order) == [1, 2]


def test_fluent_sources_by_the_first_strategy_that_has_all_and_by_a_fallback_what_there_is() -> None:
    name, stock = "fluent.responsive_sourcing", {("A", "x"): 2, ("A", "y"): 1, ("B", "x"): 1}
    assert from_each(name, stock, line("x"), line("y")) == {"A": {"x": 1, "y": 1}}
    assert from_each(name, stock, line("x", 2)) == {"A": {"x": 2}}
    assert from_each(name, stock, line("x", 3)) == {"B": {"x": 1}, "A": {"x": 2}}
    assert from_each(name, stock, line("x", 4)) == {"B": {"x": 1}, "A": {"x": 2}}
    assert from_each(name, stock, line("x", 4), fallbacks=[]) == {}
    near: dict[str, Any] = {"strategies": [{"max_km": 60}], "fallbacks": []}
    assert from_each(name, stock, line("x"), **near) == {"B": {"x": 1}}
    assert from_each(name, stock, line("y"), **near) == {}


def test_fluent_leaves_what_lies_in_one_band_to_the_next_criterion() -> None:
    """56 and 111 km are one band of 200 km, and A has both units."""
    name, stock = "fluent.responsive_sourcing", {("A", "x"): 2, ("B", "x"): 1}
    criteria = [{"by": "distance", "band": 200}, {"by": "availability"}]
    assert from_each(name, stock, line("x", 2), strategies=[{"criteria": criteria}]) == {"A": {"x": 2}}
    assert from_each(name, stock, line("x", 2), strategies=[{"criteria": criteria[:1]}]) == {"A": {"x": 2}}
    network = [{"by": "network", "nodes": ["A"]}]
    assert from_each(name, stock, line("x"), strategies=[{"criteria": network}]) == {"A": {"x": 1}}
    assert from_each(name, stock, line("x"), strategies=[{}]) == {"B": {"x": 1}}
    few = [{"orders": {"min_units": 2}, "criteria": network}, {"orders": {"max_units": 1}}]
    assert from_each(name, stock, line("x"), strategies=few) == {"B": {"x": 1}}


def test_fulfillmenttools_adds_penalties_up() -> None:
    """B is 56 km away and has one of two units: 5.6 + 50; A is 111 km away and has both: 11.1."""
    stock = {("A", "x"): 2, ("B", "x"): 1}
    assert from_each("fft.fences_ratings", stock, line("x", 2)) == {"A": {"x": 2}}
    away = [{"metric": "geo_distance", "max_threshold": 1000}]
    assert from_each("fft.fences_ratings", stock, line("x", 2), ratings=away) == {"B": {"x": 1}, "A": {"x": 1}}
    fences = [{"excluded": ["B"]}, {"max_km": 60}]
    assert from_each("fft.fences_ratings", stock, line("x", 2), fences=fences) == {}
    assert from_each("fft.fences_ratings", stock, line("x", 3), ratings=away, max_split=0) == {"B": {"x": 1}}


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("stock_balancing", "A"), ("workload", "A"), ("prefer_store", "B"), ("prefer_warehouse", "A"),
        ("delivery_cost", "B"), ("delivery_time", "A"), ("zone", "B"),
    ],
)  # fmt: skip
def test_fulfillmenttools_has_metrics(metric: str, best: str) -> None:
    """A, a warehouse far away, has more stock, room, and hands over at once; B is a store that takes two days."""
    nodes = [node("A", 2, parcels=9), node("B", 0.1, kind="store", ready=2, parcels=1, overtime=100)]
    tariff = service(zone_km=[50, 500], steps_g=[30_000], cents=[[300], [900]], over=[0, 0], transit=[1, 1])
    orders = [delivery("N", line("y")), delivery("O", line("x"))]
    stock = {("B", "y"): 1, ("A", "x"): 9, ("B", "x"): 1}
    problem = problem_of(world(nodes, orders, stock, services=[tariff]))
    found = taken(problem, decided(problem, "fft.fences_ratings", {"ratings": [{"metric": metric}]}))
    assert found[best]["x"] == 1


def test_fences_are_of_kinds_days_and_room() -> None:
    nodes = [node("A", 0.1, kind="store", ready=3), node("B", 0.2, parcels=0, overtime=100), node("C", 0.3)]
    stock = {(at, "x"): 1 for at in "ABC"}
    problem = problem_of(world(nodes, [delivery("O", line("x"))], stock, services=[FLAT]))
    for fence, best in [
        ({}, "A"), ({"kinds": ["warehouse"]}, "B"), ({"max_ready_days": 1}, "B"), ({"nodes": ["C"]}, "C"),
        ({"max_ready_days": 1, "with_capacity": True}, "C"),
    ]:  # fmt: skip
        plan = decided(problem, "fft.fences_ratings", {"fences": [fence]})
        assert list(taken(problem, plan)) == [best], fence


def test_ibm_weighs_its_terms() -> None:
    """From A by the near zone at 300, or from B at 900; A is busy, B is not."""
    tariff = service(zone_km=[50, 500], steps_g=[30_000], cents=[[300], [900]], over=[0, 0], transit=[3, 1])
    nodes = [node("A", 0.1, parcels=1, overtime=0), node("B", 1, parcels=100)]
    stock = {(at, "x"): 50 for at in "AB"}

    def shipped(count: int = 1, **weights: Any) -> list[str]:
        orders = [delivery(f"O{i}", line("x"), promise=9) for i in range(count)]
        problem = problem_of(world(nodes, orders, stock, services=[tariff]))
        plan = decided(problem, "ibm.weighted_cost", weights)
        return [problem.node_id[at] for at in plan.parcel_node]

    assert shipped() == ["A"]
    assert shipped(shipping=0.0, performance=1.0, performance_cents={"A": 1}) == ["B"]
    assert shipped(transit=1.0, transit_cents=400) == ["B"]
    assert shipped(stockout=1.0, markdown=1.0, markdown_cents={"B": {"x": 700}}) == ["B"]
    assert shipped(candidates=1) == ["A"]
    # after fifty parcels where one was planned, one more costs 50 times the penalty of a node that is full
    assert shipped(60, capacity_cents=20) == ["A"] * 50 + ["B"] * 10


def test_d365_prefers_one_location_then_the_near_one() -> None:
    stock = {("A", "x"): 1, ("A", "y"): 1, ("B", "x"): 1}
    assert from_each("d365.mip", stock, line("x"), line("y")) == {"A": {"x": 1, "y": 1}}
    assert from_each("d365.mip", stock, line("x")) == {"B": {"x": 1}}
    assert from_each("d365.mip", stock, line("x"), priority={"A": 1, "B": 10}, store_region_km=200) == {"A": {"x": 1}}
    assert from_each("d365.mip", stock, line("x"), offline=["B"]) == {"A": {"x": 1}}


def test_d365_drops_soft_rules_for_what_they_leave_open() -> None:
    stock = {("A", "x"): 1, ("B", "y"): 1}
    lines = line("x"), line("y")
    both = {"A": {"x": 1}, "B": {"y": 1}}
    for rule in ({"max_locations": 1}, {"max_km": 60.0}, {"min_inventory": 1}, {"max_open_orders": {"A": 0}}):
        assert from_each("d365.mip", stock, *lines, **rule) == both
        assert from_each("d365.mip", stock, *lines, **rule, hard=list(rule)) != both


def test_d365_takes_slices_from_what_those_before_left() -> None:
    orders = [delivery(f"O{i}", line("x")) for i in range(5)]
    problem = problem_of(world(A_AND_B, orders, {("A", "x"): 2, ("B", "x"): 2}, services=[FLAT]))
    plan = decided(problem, "d365.mip", {"slice_lines": 2})
    assert [problem.node_id[at] for at in plan.parcel_node] == ["B", "B", "A", "A"]


def test_orders_are_served_as_they_stand_from_what_is_left() -> None:
    orders = [delivery(name, line("x", 2)) for name in ("O", "P")]
    problem = problem_of(world(A_AND_B, orders, {("A", "x"): 3, ("B", "x"): 3}, services=[FLAT]))
    plan = decided(problem, "magento.priority")
    assert plan.parcel_order.tolist() == [0, 1, 1]
    assert plan.entry_units.tolist() == [2, 1, 1]


def test_an_order_is_collected_where_most_of_it_lies_and_that_node_gives_first() -> None:
    wave = world(
        A_AND_B, [collection("O", line("x", 3), at=["A", "B"])], {("A", "x"): 1, ("B", "x"): 2}, services=[FLAT]
    )
    problem = problem_of(wave)
    plan = decided(problem, "magento.priority")
    assert taken(problem, plan) == {"A": {"x": 1}, "B": {"x": 2}}
    assert [problem.node_id[problem.dest_node[at]] for at in set(plan.parcel_dest)] == ["B"]
