import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalogue import Catalogue, put_network, read_catalogue
from engine.database import Database, Tx
from engine.entries import ChannelEntry, SkuEntry, change_entry, put_channels, put_skus
from engine.network import Stock, sorted_stock
from engine.rulebook import AnyRule, rules_of
from engine.rules import APPLIED, Rejections, no_rejections, restrict
from engine.sourcing import OpenOrders, build_problem
from simulation.networks import example
from solver.check import check
from solver.distance import km
from solver.draft import new_draft, plan_of, serve_in_turn
from solver.plan import units_by_line
from solver.problem import DELIVERED, NO_LIMIT, Problem

NOON = 1_714_564_800_000
NODES, SKUS = 6, 4
SKU_TAGS = [(), ("fragile",), ("fragile", "large"), ("large",)]
REGIONS = ["", "north", "south"]


@pytest.fixture(scope="module")
def catalogue(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Six nodes of the UK, some of them stores, in two regions; four SKUs; channels `market` and `web` without rules."""
    path = tmp_path_factory.mktemp("rules") / "allot.db"
    shutil.copy(sqlite_template, path)
    network = example("uk")
    stores = [node for node in network.nodes if node.kind == "store"][:4]
    nodes = [node for node in network.nodes if node.kind == "warehouse"][: NODES - len(stores)] + stores
    small = type(network)(**{
        **{name: getattr(network, name) for name in network.__struct_fields__},
        "nodes": tuple(nodes), "skus": [], "stock": [], "receipts": [],
    })  # fmt: skip
    with Database(f"sqlite:///{path}") as database:
        database.write(lambda tx: put_network(tx, small, NOON))
        skus = [SkuEntry(id=f"K{k}", weight_g=300, tags=SKU_TAGS[k]) for k in range(SKUS)]
        database.write(lambda tx: put_skus(tx, skus, NOON))
        for j, node in enumerate(nodes):
            marks = {"region": REGIONS[1 + j % 2], "tags": ["old"] if j in (1, 4) else []}
            database.write(partial(_mark, node=node.id, marks=marks))
        database.write(lambda tx: put_channels(tx, [ChannelEntry(id="market"), ChannelEntry(id="web")], NOON))
        with database.read() as tx:
            return read_catalogue(tx, NOON)


def _mark(tx: Tx, node: str, marks: dict[str, Any]) -> None:
    change_entry(tx, "node", node, marks, NOON)


def ruled(catalogue: Catalogue, *channels: list[dict[str, Any]]) -> Catalogue:
    return replace(
        catalogue,
        channels=tuple(replace(c, rules=rules_of(r)) for c, r in zip(catalogue.channels, channels, strict=True)),
    )


def asked(
    catalogue: Catalogue,
    lines: list[list[tuple[int, int]]],
    places: list[tuple[float, float] | list[int]],
    units: list[list[int]],
) -> Problem:
    """Orders of (SKU, units) lines, each to a place or to be collected at one of some nodes; stock by SKU and node."""
    empty = catalogue.columns.empty
    dests = [[(p[0], p[1], DELIVERED)] if isinstance(p, tuple) else
             [(empty.node_lat[j], empty.node_lon[j], j) for j in p] for p in places]  # fmt: skip
    flat = [line for order in lines for line in order]
    dest = np.array([d for order in dests for d in order], dtype=np.float64)
    orders = OpenOrders(
        order_id=tuple(f"O{i}" for i in range(len(lines))),
        order_line_start=np.cumsum([0, *map(len, lines)]).astype(np.int64),
        order_dest_start=np.cumsum([0, *map(len, dests)]).astype(np.int64),
        order_promise_day=np.full(len(lines), 20_000),
        order_late_cents=np.full(len(lines), 100),
        order_max_parcels=np.full(len(lines), NO_LIMIT),
        order_ship_complete=np.zeros(len(lines), dtype=np.bool_),
        dest_node=dest[:, 2].astype(np.int64),
        dest_lat=dest[:, 0],
        dest_lon=dest[:, 1],
        line_sku=np.array([sku for sku, _ in flat], dtype=np.int64),
        line_qty=np.array([qty for _, qty in flat], dtype=np.int64),
        line_unfilled_cents=np.full(len(flat), 2000),
        line_must_fill=np.zeros(len(flat), dtype=np.bool_),
    )
    table = np.array(units, dtype=np.int64)
    sku, node = np.nonzero(table)
    stock: Stock = sorted_stock(node, sku, table[sku, node], np.zeros(len(sku), dtype=np.int64))
    return build_problem(catalogue.columns, stock, orders, at=NOON // 60_000)


def reasons(problem: Problem) -> dict[tuple[int, int], str]:
    """By line and node, why it is no option."""
    keys = zip(problem.option_line.tolist(), problem.option_node.tolist(), strict=True)
    return {key: problem.reasons[r] for key, r in zip(keys, problem.option_reason.tolist(), strict=True)}


def stock_limits(problem: Problem, line: int, node: int) -> list[int]:
    """How many units each row of stock has that a line draws on at a node."""
    rows = problem.option_row[problem.find_options(np.array([line]), np.array([node]))[0]]
    return sorted(units for units in problem.row_limit[rows[rows >= 0]].tolist() if units <= 9)


EVERYWHERE = [[9] * NODES] * SKUS
LONDON = (51.5, -0.1)


def one(catalogue: Catalogue, *rules: dict[str, Any], place: tuple[float, float] | list[int] = LONDON,
        region: str = "north", units: list[list[int]] = EVERYWHERE) -> Problem:  # fmt: skip
    """An order of two units of a SKU from the web, under these rules."""
    problem = asked(catalogue, [[(1, 2)]], [place], units)
    return restrict(problem, ruled(catalogue, [], list(rules)), np.array([1]), (region,), no_rejections())


def test_without_rules_the_problem_stays_the_same_one(catalogue: Catalogue) -> None:
    problem = asked(catalogue, [[(0, 1)]], [LONDON], EVERYWHERE)
    assert restrict(problem, catalogue, np.array([0]), ("",), no_rejections()) is problem


def test_a_hard_rule_gives_its_name_as_the_reason(catalogue: Catalogue) -> None:
    found = reasons(one(catalogue, {"rule": "exclude_nodes", "name": "no_stores", "kinds": ["store"]}))
    store = catalogue.columns.empty.node_is_store
    assert found == {(0, j): "no_stores" if store[j] else "" for j in range(NODES)}


def test_a_rule_with_a_price_makes_options_dearer_and_leaves_them(catalogue: Catalogue) -> None:
    before = one(catalogue)
    problem = one(catalogue, {"rule": "exclude_nodes", "name": "rather_not", "node_tags": ["old"], "cents": 70})
    more = problem.option_unit_cents - before.option_unit_cents
    old = np.array(["old" in tags for tags in catalogue.node_tags])
    assert more.tolist() == (70 * old[problem.option_node]).tolist()
    assert set(reasons(problem).values()) == {""}


def test_the_first_rule_that_rules_out_is_named(catalogue: Catalogue) -> None:
    first = {"rule": "exclude_nodes", "name": "first", "kinds": ["store"]}
    second = {"rule": "exclude_nodes", "name": "second", "kinds": ["store", "warehouse"]}
    assert set(reasons(one(catalogue, first, second)).values()) == {"first", "second"}


def test_a_rule_of_one_channel_leaves_the_others_alone(catalogue: Catalogue) -> None:
    problem = asked(catalogue, [[(0, 1)], [(0, 1)]], [LONDON, LONDON], EVERYWHERE)
    rule = {"rule": "exclude_nodes", "name": "closed_to_us", "kinds": ["store", "warehouse"]}
    found = reasons(restrict(problem, ruled(catalogue, [rule], []), np.array([0, 1]), ("", ""), no_rejections()))
    assert {line: {why for (l, _), why in found.items() if l == line} for line in (0, 1)} == {
        0: {"closed_to_us"},
        1: {""},
    }


def test_a_paused_node_serves_nobody(catalogue: Catalogue) -> None:
    problem = asked(catalogue, [[(0, 1)]], [LONDON], EVERYWHERE)
    paused = np.arange(NODES) == 2
    found = restrict(problem, replace(catalogue, paused=paused), np.array([0]), ("",), no_rejections())
    assert reasons(found) == {(0, j): "node_paused" if j == 2 else "" for j in range(NODES)}


def test_a_node_that_refused_an_order_does_not_get_it_again(catalogue: Catalogue) -> None:
    problem = asked(catalogue, [[(0, 1)], [(0, 1)]], [LONDON, LONDON], EVERYWHERE)
    refused = Rejections(np.array([1]), np.array([3]), np.array([1]))
    found = reasons(restrict(problem, catalogue, np.array([0, 0]), ("", ""), refused))
    assert [key for key, why in found.items() if why == "node_refused"] == [(1, 3)]


def test_an_order_is_split_no_further_than_its_channel_wants(catalogue: Catalogue) -> None:
    assert one(catalogue, {"rule": "max_parcels", "name": "two_at_most", "parcels": 2}).order_max_parcels.tolist() == [
        2
    ]
    other = {"rule": "max_parcels", "name": "two_at_most", "parcels": 2, "skus": ["K3"]}
    assert one(catalogue, other).order_max_parcels.tolist() == [NO_LIMIT]


def test_the_last_units_in_a_store_are_kept_for_those_who_collect_them_there(catalogue: Catalogue) -> None:
    fence = {"rule": "ring_fence", "name": "for_collection", "units": 7, "kinds": ["store"]}
    store = catalogue.columns.empty.node_is_store
    scarce = int(np.flatnonzero(store)[-1])  # a store that has no more than that
    units = [[7 if j == scarce else 9 for j in range(NODES)]] * SKUS
    delivered = one(catalogue, fence, units=units)
    left = {j: min(stock_limits(delivered, 0, j)) for j in range(NODES)}
    assert left == {j: (2 if j != scarce else 0) if store[j] else 9 for j in range(NODES)}
    assert [j for (_, j), why in reasons(delivered).items() if why == "for_collection"] == [scarce]
    here = one(catalogue, fence, units=units, place=[scarce])
    assert stock_limits(here, 0, scarce) == [7]
    assert set(reasons(here).values()) == {""}


def test_a_plan_leaves_what_is_fenced_in(catalogue: Catalogue) -> None:
    fence = {"rule": "ring_fence", "name": "for_collection", "units": 7}
    problem = asked(catalogue, [[(1, 9)], [(1, 9)]], [LONDON, [0]], [[0] * NODES, [9] + [0] * 5, *[[0] * NODES] * 2])
    fenced = restrict(problem, ruled(catalogue, [], [fence]), np.array([1, 1]), ("", ""), no_rejections())
    draft = serve_in_turn(fenced, new_draft(fenced), np.arange(2))
    nothing = np.zeros(fenced.rows), np.zeros(fenced.nodes)
    plan = plan_of(fenced, draft, 0.0, *nothing, 0.0, "cheapest", 0)
    assert check(fenced, plan).violations == []
    assert units_by_line(fenced, plan).tolist() == [2, 7]


def test_two_fences_keep_back_what_the_lower_one_says_from_all(catalogue: Catalogue) -> None:
    problem = asked(catalogue, [[(0, 1)], [(0, 1)]], [LONDON, LONDON], [[9] * NODES, *[[0] * NODES] * 3])
    low = {"rule": "ring_fence", "name": "low", "units": 2}
    high = {"rule": "ring_fence", "name": "high", "units": 5}
    found = restrict(problem, ruled(catalogue, [low], [high]), np.array([0, 1]), ("", ""), no_rejections())
    assert stock_limits(found, 0, 0) == [7, 9]
    assert stock_limits(found, 1, 0) == [4, 7, 9]


def test_every_kind_of_rule_is_applied() -> None:
    assert set(APPLIED) == set(get_args(AnyRule))


# --- the same as a slow reading ---------------------------------------------------------------------------------------

SELECTED = {
    "skus": st.lists(st.sampled_from(["K0", "K1", "gone"]), unique=True, max_size=2),
    "sku_tags": st.lists(st.sampled_from(["fragile", "large"]), unique=True, max_size=1),
    "regions": st.lists(st.sampled_from(["north", "south"]), unique=True, max_size=1),
}
NAMED = {
    "kinds": st.lists(st.sampled_from(["store", "warehouse"]), unique=True, max_size=1),
    "node_regions": st.lists(st.sampled_from(["north", "south"]), unique=True, max_size=1),
    "node_tags": st.lists(st.just("old"), max_size=1),
}
PRICE = {"cents": st.none() | st.integers(1, 90)}
RULES = st.one_of(
    st.fixed_dictionaries({"rule": st.sampled_from(["exclude_nodes", "only_nodes"]), **SELECTED, **NAMED, **PRICE})
    .filter(lambda rule: rule["kinds"] or rule["node_regions"] or rule["node_tags"]),
    st.fixed_dictionaries({"rule": st.just("max_distance"), "km": st.floats(1, 700), **SELECTED, **NAMED, **PRICE}),
    st.fixed_dictionaries({"rule": st.just("same_region"), **SELECTED, **PRICE}),
    st.fixed_dictionaries({"rule": st.just("max_parcels"), "parcels": st.integers(1, 4), **SELECTED}),
)  # fmt: skip
PLACES = st.tuples(st.floats(50, 58), st.floats(-5, 1)) | st.lists(st.integers(0, NODES - 1), min_size=1, max_size=2,
                                                                   unique=True)  # fmt: skip


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 3))

    def each(what: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(what, min_size=count, max_size=count))

    line = st.tuples(st.integers(0, SKUS - 1), st.integers(1, 3))
    rules = [draw(st.lists(RULES, max_size=3)) for _ in range(2)]
    return {
        "lines": each(st.lists(line, min_size=1, max_size=2)),
        "places": each(PLACES),
        "units": draw(
            st.lists(st.lists(st.integers(0, 9), min_size=NODES, max_size=NODES), min_size=SKUS, max_size=SKUS)
        ),
        "channel": each(st.integers(0, 1)),
        "region": each(st.sampled_from(REGIONS)),
        "rules": [[{"name": f"rule{c}{i}", **rule} for i, rule in enumerate(own)] for c, own in enumerate(rules)],
        "paused": draw(st.lists(st.booleans(), min_size=NODES, max_size=NODES)),
    }


def breaks(rule: dict[str, Any], catalogue: Catalogue, sku: int, node: int, region: str, place: Any) -> bool:
    """The slow reading of one rule for one line at one node."""
    if not concerns(rule, sku, region):
        return False
    empty = catalogue.columns.empty
    kind = "store" if empty.node_is_store[node] else "warehouse"
    named = (
        (not rule.get("kinds") or kind in rule["kinds"])
        and (not rule.get("node_regions") or catalogue.node_region[node] in rule["node_regions"])
        and (not rule.get("node_tags") or "old" in catalogue.node_tags[node])
    )
    if rule["rule"] == "exclude_nodes":
        return bool(named)
    if rule["rule"] == "only_nodes":
        return not named
    if rule["rule"] == "same_region":
        return region not in ("", catalogue.node_region[node])
    if rule["rule"] == "max_distance" and isinstance(place, tuple):
        return bool(named and km(empty.node_lat[node], empty.node_lon[node], *place) > rule["km"])
    return False


def concerns(rule: dict[str, Any], sku: int, region: str) -> bool:
    return (
        (not rule["skus"] or f"K{sku}" in rule["skus"])
        and (not rule["sku_tags"] or not set(rule["sku_tags"]).isdisjoint(SKU_TAGS[sku]))
        and (not rule["regions"] or region in rule["regions"])
    )


@given(questions())
def test_rules_on_columns_say_the_same_as_reading_them_one_by_one(catalogue: Catalogue, asks: dict[str, Any]) -> None:
    catalogue = replace(ruled(catalogue, *asks["rules"]), paused=np.array(asks["paused"], dtype=np.bool_))
    before = asked(catalogue, asks["lines"], asks["places"], asks["units"])
    after = restrict(before, catalogue, np.array(asks["channel"]), tuple(asks["region"]), no_rejections())
    why, sku_of = reasons(after), [sku for order in asks["lines"] for sku, _ in order]
    for q, (line, node) in enumerate(why):
        order = int(before.line_order[line])
        own = asks["rules"][asks["channel"][order]]
        broken = [rule for rule in own
                  if breaks(rule, catalogue, sku_of[line], node, asks["region"][order], asks["places"][order])]  # fmt: skip
        hard = ["node_paused"] * asks["paused"][node] + [r["name"] for r in broken if r["cents"] is None]
        assert why[line, node] == (hard[0] if hard else "")
        cents = sum(rule["cents"] for rule in broken if rule["cents"] is not None)
        assert after.option_unit_cents[q] - before.option_unit_cents[q] == cents
    for order, lines in enumerate(asks["lines"]):
        own = [rule for rule in asks["rules"][asks["channel"][order]] if rule["rule"] == "max_parcels"]
        most = [r["parcels"] for r in own if any(concerns(r, sku, asks["region"][order]) for sku, _ in lines)]
        assert after.order_max_parcels[order] == min(most, default=NO_LIMIT)
