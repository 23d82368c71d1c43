"""Explanations hold what they say: forced alternatives cost at least their floor, and bills are those of the plans."""

from dataclasses import replace

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.bill import bill
from solver.certificate import values
from solver.check import check
from solver.choices import Way, plan_of, way_of
from solver.effort import Effort
from solver.explain import explain
from solver.explanation import Alternative, Explanation, NodeAnswer
from solver.plan import Plan
from solver.policies import make
from solver.problem import HARD, NO_LIMIT, Problem
from solver.wave import Node, Wave, problem_of
from tests.solver.test_certificate import POLICIES, as_from_a_file, optimum
from tests.solver.test_joint import large_orders
from tests.solver.test_prices import CENTS
from tests.strategies import small_waves
from tests.worlds import collection, delivery, line, node, service, sku, world

EPS = 1e-5


def solved(problem: Problem, policy: str = "joint") -> Plan:
    plan = make(policy, Effort(seconds=30))(problem)
    assert check(problem, plan).ok
    return plan


def with_way(problem: Problem, plan: Plan, order: int, way: Way) -> Plan:
    """The plan, with one order served another way and all others as they are."""
    kept = plan.parcel_order != order
    entries = kept[plan.entry_parcel]
    line, dest = problem.order_line_start[order], problem.order_dest_start[order]
    own = Plan(
        *(np.array([], dtype=np.int64),) * 4, np.zeros(1, dtype=np.int64), *(np.array([], dtype=np.int64),) * 2, 0, 0.0
    )  # fmt: skip
    if len(way.node):
        parcel, lines = np.nonzero(way.units)
        counts = (way.units > 0).sum(axis=1)
        own = replace(
            own, parcel_order=np.full(len(way.node), order), parcel_node=way.node, parcel_service=way.service,
            parcel_dest=np.full(len(way.node), dest + way.dest), entry_start=np.concatenate([[0], np.cumsum(counts)]),
            entry_line=line + lines, entry_units=way.units[parcel, lines],
        )  # fmt: skip
    counts = np.concatenate([np.diff(plan.entry_start)[kept], np.diff(own.entry_start)])
    changed = replace(
        plan,
        parcel_order=np.concatenate([plan.parcel_order[kept], own.parcel_order]),
        parcel_node=np.concatenate([plan.parcel_node[kept], own.parcel_node]),
        parcel_service=np.concatenate([plan.parcel_service[kept], own.parcel_service]),
        parcel_dest=np.concatenate([plan.parcel_dest[kept], own.parcel_dest]),
        entry_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        entry_line=np.concatenate([plan.entry_line[entries], own.entry_line]),
        entry_units=np.concatenate([plan.entry_units[entries], own.entry_units]),
        bound_cents=0.0,
    )
    return replace(changed, cost_cents=sum(bill(problem, changed).values()))


def forced(wave: Wave, found: Explanation, way: Way) -> int:
    """The least cost of the whole wave with the order served that way: the others decide about what it leaves."""
    one, order = found.problem, found.order
    plan = plan_of(one, way)
    sent: dict[tuple[str, str], int] = {}
    for p in range(len(way.node)):
        for k in np.flatnonzero(way.units[p]):
            key = one.node_id[way.node[p]], one.sku_id[one.line_sku[k]]
            sent[key] = sent.get(key, 0) + int(way.units[p, k])
    parcels = np.bincount(way.node, minlength=one.nodes)
    left, overtime = [], 0
    for j, place in enumerate(wave.nodes):
        units = sum(count for (name, _), count in sent.items() if name == place.id)
        left.append(_less(place, int(parcels[j]), units))
        if place.capacity_parcels is not None and place.overtime_cents is not None:
            overtime += max(0, int(parcels[j]) - place.capacity_parcels) * place.overtime_cents
    stock = [(at, name, units - sent.get((at, name), 0), value) for at, name, units, value in wave.stock]
    assert min((units for _, _, units, _ in stock), default=0) >= 0
    terms = bill(one, plan)
    own = sum(terms.values()) - terms["overtime"] + overtime
    orders = [other for o, other in enumerate(wave.orders) if o != order]
    if not orders:
        return own
    return own + optimum(problem_of(msgspec.structs.replace(wave, nodes=left, stock=stock, orders=orders)))


def _less(place: Node, parcels: int, units: int) -> Node:
    assert place.capacity_units is None or units <= place.capacity_units
    hard = place.overtime_cents is None
    assert place.capacity_parcels is None or not hard or parcels <= place.capacity_parcels
    return msgspec.structs.replace(
        place,
        capacity_parcels=None if place.capacity_parcels is None else max(0, place.capacity_parcels - parcels),
        capacity_units=None if place.capacity_units is None else place.capacity_units - units,
    )


def node_ways(answer: NodeAnswer) -> list[Alternative]:
    return [way for way in (answer.at_prices, answer.alone, answer.now) if way is not None]


def assert_holds(wave: Wave, policy: str, data: st.DataObject) -> None:
    problem = problem_of(wave)
    plan = solved(problem, policy)
    if data.draw(st.booleans()):
        plan = as_from_a_file(problem, plan)
    order = data.draw(st.integers(0, problem.orders - 1))
    found = explain(problem, plan, order)
    assert len(found.nodes) == problem.nodes
    assert with_way(problem, plan, order, found.chosen).cost_cents == plan.cost_cents
    before = bill(problem, plan)
    for other in [*found.alternatives, *(way for answer in found.nodes for way in node_ways(answer))]:
        after = with_way(problem, plan, order, other.way)
        assert {term: cents - before[term] for term, cents in bill(problem, after).items()} == other.terms
        assert check(problem, after).ok == (not other.blocks)
        assert other.floor_cents >= plan.bound_cents
        if not other.blocks:
            assert other.floor_cents <= after.cost_cents + EPS
    for other in found.alternatives[:4]:
        assert forced(wave, found, other.way) >= other.floor_cents - EPS
    for answer in found.nodes:
        ways = node_ways(answer)
        if ways:
            assert answer.floor_cents is not None
            least = min(forced(wave, found, way.way) for way in ways)
            assert least >= answer.floor_cents - EPS


@given(wave=small_waves(max_orders=4), policy=POLICIES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_forced_alternative_never_costs_less_than_its_floor(wave: Wave, policy: str, data: st.DataObject) -> None:
    assert_holds(wave, policy, data)


@given(wave=large_orders(max_orders=2), policy=st.sampled_from(["cheapest", "nearest"]), data=st.data())
@settings(max_examples=20, deadline=None)
def test_nor_does_that_of_an_order_of_many_units(wave: Wave, policy: str, data: st.DataObject) -> None:
    assert_holds(wave, policy, data)


@given(wave=small_waves(max_orders=3), data=st.data())
@settings(max_examples=60, deadline=None)
def test_alone_the_best_way_by_any_node_is_the_optimum_of_the_order(wave: Wave, data: st.DataObject) -> None:
    """Of a plan that leaves an order open, the best way by some node, or staying open, is its own optimum."""
    problem = problem_of(wave)
    plan = with_way(
        problem,
        solved(problem, "nearest"),
        0,
        Way(0, *(np.zeros(0, dtype=np.int64),) * 2, np.zeros((0, 1), dtype=np.int64)),
    )
    found = explain(problem, plan, 0)
    best = optimum(problem_of(msgspec.structs.replace(wave, orders=wave.orders[:1])))
    alone = []
    capacity = problem.node_capacity_parcels
    for answer in found.nodes:
        if answer.alone is not None:
            # overtime here is that of the order alone
            parcels = np.bincount(answer.alone.way.node, minlength=problem.nodes)
            overtime = np.maximum(0, parcels - capacity) * np.where(
                problem.node_overtime_cents == HARD, 0, problem.node_overtime_cents
            )
            terms = answer.alone.terms
            alone.append(sum(terms.values()) - terms["overtime"] + int(overtime.sum()))
    assert sum(found.terms.values()) + min([0, *alone]) == best


@given(wave=small_waves(max_orders=3), policy=POLICIES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_way_of_another_plan_is_better_at_the_prices_than_the_best_alternative(
    wave: Wave, policy: str, data: st.DataObject
) -> None:
    problem = problem_of(wave)
    drawn = data.draw(st.lists(CENTS, min_size=problem.rows, max_size=problem.rows))
    plan = replace(solved(problem, policy), row_price=np.array(drawn))
    order = data.draw(st.integers(0, problem.orders - 1))
    found = explain(problem, plan, order)
    priced = found.certificate.priced
    rivals = [solved(problem, name) for name in ("nearest", "fewest_parcels", "cheapest", "joint", "cp_sat")]
    for rival in rivals:
        if way_of(problem, rival, order).parcels != found.chosen.parcels:
            ours, theirs = (values(problem, one, priced.row_price, priced.node_price)[order] for one in (plan, rival))
            assert found.margin_cents is not None
            assert theirs - ours >= found.margin_cents - EPS


@given(wave=small_waves(max_orders=1))
@settings(max_examples=40, deadline=None)
def test_a_node_of_the_optimum_is_never_said_to_be_impossible(wave: Wave) -> None:
    problem = problem_of(wave)
    best = make("cp_sat", Effort(seconds=60))(problem)
    found = explain(problem, solved(problem, "nearest"), 0)
    impossible = {answer.node for answer in found.nodes if answer.verdict not in ("used", "cheaper", "dearer")}
    assert not impossible & set(best.parcel_node.tolist())


def answers(wave: Wave, order: int = 0, policy: str = "joint", **prices: list[float]) -> dict[str, NodeAnswer]:
    problem = problem_of(wave)
    plan = replace(solved(problem, policy), **{name: np.array(cents) for name, cents in prices.items()})
    return {problem.node_id[answer.node]: answer for answer in explain(problem, plan, order).nodes}


def test_a_dearer_node_says_by_which_terms() -> None:
    near, far = node("A"), node("B", 3, line=30)
    bands = service(zone_km=[100, 500], steps_g=[5000], cents=[[500], [890]], over=[0, 0], transit=[1, 1])
    wave = world([near, far], [delivery("O", line("x"))], {("A", "x"): 1, ("B", "x"): 1}, services=[bands])
    found = answers(wave)
    assert [found[name].verdict for name in "AB"] == ["used", "dearer"]
    told = found["B"].told
    assert told is not None
    assert {term: cents for term, cents in told.terms.items() if cents} == {"carriage": 390, "handling": 20}
    assert found["B"].now is not None
    assert found["B"].now.own_cents == 410


def test_every_line_says_why_it_cannot_come_from_a_node() -> None:
    nodes = [
        node("A", tags=["cold"]),
        node("warm"),
        node("empty", tags=["cold"]),
        node("zero", tags=["cold"]),
        node("closed", tags=["cold"], parcels=0),
        node("full", tags=["cold"], units=0),
        node("distant", 30, tags=["cold"]),
    ]
    stock = {(one.id, "x"): 0 if one.id == "zero" else 1 for one in nodes if one.id != "empty"}
    found = answers(world(nodes, [delivery("O", line("x"))], stock, skus=[sku("x", requires=["cold"])]))
    said = {name: (answer.verdict, *answer.lines) for name, answer in found.items()}
    assert said == {
        "A": ("used", ""),
        "warm": ("no_option", "node_cannot_handle"),
        "empty": ("no_option", "no_stock"),
        "zero": ("no_option", "no_stock"),
        "closed": ("no_option", "no_capacity"),
        "full": ("no_option", "no_capacity"),
        "distant": ("no_option", "no_service"),
    }


def scarce() -> Wave:
    """One x at A, 500 cheaper than B; O has nothing else nearby, P can go without A for 300 more."""
    near, far = node("A"), node("B", parcel=550)
    orders = [delivery("O", line("x")), delivery("P", line("x", unfilled=800))]
    return world([near, far], orders, {("A", "x"): 1, ("B", "x"): 2})


def test_stock_that_others_hold_is_named_with_its_holders_and_what_it_is_worth_to_them() -> None:
    problem = problem_of(scarce())
    plan = solved(problem)
    holder = int(plan.parcel_order[plan.parcel_node == 0][0])
    other = 1 - holder
    priced = replace(plan, row_price=np.array([700.0, 0.0]))
    found = explain(problem, priced, other)
    answer = found.nodes[0]
    assert answer.verdict == "worth_more"
    assert answer.told is not None
    (block,) = answer.told.blocks
    assert (block.node, block.needed, block.left, block.holders) == (0, 1, 0, ((holder, 1),))
    assert answer.told.stock_cents == 700
    assert explain(problem, replace(plan, row_price=np.zeros(2)), other).nodes[0].verdict == "taken"


def test_one_more_unit_of_what_others_hold_is_what_would_tip_it() -> None:
    problem = problem_of(scarce())
    plan = solved(problem)
    other = 1 - int(plan.parcel_order[plan.parcel_node == 0][0])
    found = explain(problem, replace(plan, row_price=np.array([700.0, 0.0])), other)
    adds = [lever for lever in found.levers if lever.term == "one_more_unit"]
    (lever,) = adds
    limit = problem.row_limit + np.array([1, 0])
    assert lever.by_cents == plan.cost_cents - optimum(replace(problem, row_limit=limit))


def test_the_smallest_change_makes_the_best_alternative_tie() -> None:
    """B costs 41 more for its parcel; with 41 less there, either will do."""

    def wave(parcel: int) -> Wave:
        nodes = [node("A"), node("B", parcel=parcel)]
        return world(nodes, [delivery("O", line("x"))], {("A", "x"): 1, ("B", "x"): 1})

    problem = problem_of(wave(91))
    found = explain(problem, solved(problem), 0)
    assert found.margin_cents == 41
    assert {(lever.term, lever.index, lever.by_cents) for lever in found.levers} == {
        ("carriage", 1, 41),
        ("handling", 1, 41),
    }
    tied = problem_of(wave(91 - 41))
    assert explain(tied, solved(tied), 0).margin_cents == 0


def test_a_limit_of_parcels_that_keeps_a_node_out_is_named() -> None:
    """x only at A and y only at B: the dearer y goes, in the one parcel that there may be, and nothing can come with z from C."""
    stock = {("A", "x"): 1, ("A", "y"): 1, ("B", "x"): 1}
    wave = world([node("A"), node("B")], [delivery("O", line("x"), line("y"), max_parcels=1, complete=True)], stock)
    assert answers(wave)["B"].verdict == "max_parcels"


def test_an_order_that_must_be_complete_says_so() -> None:
    stock = {("A", "x"): 1}
    wave = world([node("A"), node("B")], [delivery("O", line("x"), line("y"), complete=True)], stock)
    found = answers(wave)
    assert (found["A"].verdict, found["A"].lines) == ("ship_complete", ("", "no_stock"))
    assert found["B"].verdict == "no_option"


def test_a_full_node_names_the_orders_that_fill_it() -> None:
    nodes = [node("A", parcels=1), node("B", parcel=550)]
    orders = [delivery("O", line("x")), delivery("P", line("x"))]
    problem = problem_of(world(nodes, orders, {("A", "x"): 5, ("B", "x"): 5}))
    plan = solved(problem)
    holder = int(plan.parcel_order[plan.parcel_node == 0][0])
    answer = explain(problem, replace(plan, node_price=np.array([500.0, 0.0])), 1 - holder).nodes[0]
    assert answer.verdict == "worth_more"
    assert answer.told is not None
    (block,) = answer.told.blocks
    assert (block.row, block.node, block.holders) == (-1, 0, ((holder, 1),))


def test_a_plan_that_can_be_improved_says_where() -> None:
    wave = world([node("A", parcel=550), node("B", 1)], [delivery("O", line("x"))], {("A", "x"): 1, ("B", "x"): 1})
    found = answers(wave, policy="nearest")
    assert found["A"].verdict == "used"
    assert found["B"].verdict == "cheaper"
    assert found["B"].told is not None
    assert found["B"].told.own_cents == -500


def test_an_order_to_collect_may_be_collected_elsewhere() -> None:
    nodes = [node("A", kind="store"), node("B", 1, kind="store", parcel=60)]
    wave = world(nodes, [collection("O", line("x"), at=["A", "B"])], {("A", "x"): 1, ("B", "x"): 1})
    problem = problem_of(wave)
    found = explain(problem, solved(problem), 0)
    elsewhere = next(other for other in found.alternatives if ("collected", 1) in other.why)
    assert elsewhere.own_cents == 10
    assert elsewhere.way.dest == 1


def test_a_problem_without_limits_of_parcels_has_none_to_lift() -> None:
    problem = problem_of(world([node("A")], [delivery("O", line("x"))], {}))
    found = explain(problem, solved(problem), 0)
    assert problem.order_max_parcels[0] == NO_LIMIT
    assert [answer.verdict for answer in found.nodes] == ["no_option"]
    assert found.alternatives == ()
    assert found.margin_cents is None
