"""Policies that look ahead: what they pay for the future, what they remember, and what they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solver import policies
from solver.bill import TERMS
from solver.check import check
from solver.effort import Effort, Policy
from solver.offers import PAIRS_MAX, pairs_of
from solver.outlook import Future, LooksAhead, Present, present_of
from solver.plan import Plan
from solver.policies import AHEAD, decide, make
from solver.problem import Floats, Ints, Problem
from solver.wave import Order, Wave, problem_of
from tests.strategies import small_waves
from tests.worlds import collection, delivery, line, node, service, world

EFFORT = Effort(seconds=None, work=200)
NEAR, FAR = 0.5, 3.5
GROUND = service(
    zone_km=(100.0, 300.0, 500.0), cents=((500,) * 5, (700,) * 5, (900,) * 5), over=(0,) * 3, transit=(2,) * 3
)


class Foretold:
    """Knows the orders to come, and asks for all of them in each of its samples."""

    def __init__(self, wave: Wave, coming: Sequence[Order] = ()) -> None:
        self.wave = wave
        self.coming = [msgspec.structs.replace(order, id=f"then {order.id}") for order in coming]

    def future(self, problem: Problem, present: Present, *, days: float, samples: int, lines: int, seed: int) -> Future:
        """One wave of now and then, on the stock of now."""
        now = [order for order in self.wave.orders if order.id in problem.order_id]
        stock = [
            (problem.node_id[j], problem.sku_id[k], int(units), 0)
            for k, j, units in zip(present.stock_sku, present.stock_node, present.stock_units, strict=True)
        ]
        both = problem_of(msgspec.structs.replace(self.wave, stock=stock, orders=now + self.coming))
        return Future(both, both.row_limit.astype(np.float64), present.keys(both))

    def expected(self, present: Present, sku: Ints, *, days: float) -> Floats:
        """What the orders to come ask for, all of it close to the first node."""
        units = np.zeros((len(sku), len(self.wave.nodes)))
        for order in self.coming:
            for one in order.lines:
                units[sku == present.sku_at[one.sku], 0] += one.qty
        return units


def two_nodes(orders: Sequence[Order], a: int = 1, b: int = 1) -> Wave:
    """Node A at 0 and node B three degrees east of it, with so many mugs."""
    stock = {("A", "mug"): a, ("B", "mug"): b}
    return world([node("A"), node("B", 3.0)], orders, stock, services=[GROUND])


def told(name: str, wave: Wave, coming: Sequence[Order] = (), **named: Any) -> Policy:
    return make(name, EFFORT, settings=named, outlook=Foretold(wave, coming))


def nodes_of(problem: Problem, plan: Plan) -> list[str]:
    return [problem.node_id[j] for j in plan.parcel_node]


@pytest.mark.parametrize("name", ["bid_price", "sampled_futures"])
def test_the_last_unit_is_kept_for_whom_it_saves_more(name: str) -> None:
    # between the nodes A is 200 cheaper for this order, and 400 cheaper for the next one
    wave = two_nodes([delivery("now", line("mug"), at=0.7)])
    problem = problem_of(wave)
    assert nodes_of(problem, make("cheapest", EFFORT)(problem)) == ["A"]
    plan = told(name, wave, [delivery("then", line("mug"), at=-0.8)])(problem)
    assert nodes_of(problem, plan) == ["B"]
    assert check(problem, plan).ok
    assert plan.row_price.max() > 0


@pytest.mark.parametrize("name", ["bid_price", "sampled_futures"])
def test_the_last_unit_is_kept_for_a_basket_that_would_have_to_do_without(name: str) -> None:
    basket = [line(f"part {i}") for i in range(13)]
    stock = {("A", "mug"): 1, ("B", "mug"): 1} | {("A", one.sku): 1 for one in basket}
    now, then = delivery("now", line("mug"), at=0.7), delivery("then", line("mug"), *basket, at=-0.8)
    both = problem_of(world([node("A"), node("B", 3.0)], [then], stock, services=[GROUND]))
    assert pairs_of(both.columns, 0) > PAIRS_MAX, "of many lines"
    wave = world([node("A"), node("B", 3.0)], [now], stock, services=[GROUND])
    problem = problem_of(wave)
    assert nodes_of(problem, make("cheapest", EFFORT)(problem)) == ["A"]
    assert nodes_of(problem, told(name, wave, [then])(problem)) == ["B"]


def test_the_bill_has_no_prices_in_it() -> None:
    wave = two_nodes([delivery("now", line("mug"), at=0.7)])
    problem = problem_of(wave)
    plan = told("bid_price", wave, [delivery("then", line("mug"), at=-0.8)])(problem)
    bill = check(problem, plan).bill
    assert (bill["stock_value"], plan.cost_cents) == (0, sum(bill[term] for term in TERMS if term in bill))
    assert plan.bound_cents <= plan.cost_cents


@given(wave=small_waves())
@settings(max_examples=25)
def test_where_there_is_enough_of_everything_all_decide_as_the_cheapest(wave: Wave) -> None:
    rows = [(node.id, sku.id, 1000, 0) for node in wave.nodes for sku in wave.skus]
    free = [msgspec.structs.replace(one, capacity_parcels=None, capacity_units=None) for one in wave.nodes]
    wave = msgspec.structs.replace(wave, stock=rows, nodes=free)
    problem = problem_of(wave)
    cost = make("cheapest", EFFORT)(problem).cost_cents
    for name in AHEAD:
        own = {"days": 0, "by": "cheapest"} if name == "window" else {"reserve": 0} if name == "spillover" else {}
        plan = told(name, wave, wave.orders, **own)(problem)
        assert check(problem, plan).ok
        assert (name, plan.cost_cents) == (name, cost)


def in_turn(wave: Wave, name: str, **named: Any) -> int:
    """What all orders cost one after the other, each decided with those after it foretold."""
    left = {(node, sku): units for node, sku, units, _ in wave.stock}
    cost = 0
    for i, order in enumerate(wave.orders):
        stock = [(node, sku, units, 0) for (node, sku), units in left.items()]
        problem = problem_of(msgspec.structs.replace(wave, stock=stock, orders=[order]))
        plan = told(name, wave, wave.orders[i + 1 :], **named)(problem)
        cost += plan.cost_cents
        sku = problem.sku_id[problem.line_sku[0]]
        for j, units in zip(plan.parcel_node[plan.entry_parcel], plan.entry_units, strict=True):
            left[problem.node_id[j], sku] -= int(units)
    return cost


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15)
def test_at_prices_of_the_true_future_single_lines_cost_what_hindsight_pays(seed: int) -> None:
    generator = np.random.default_rng(seed)
    bands = np.arange(50.0, 1050.0, 50.0)
    cents = np.cumsum(generator.integers(13, 170, len(bands)))
    tariff = service(
        zone_km=bands.tolist(), steps_g=[1000], cents=[[int(c)] for c in cents], over=[0] * 20, transit=[1] * 20
    )
    nodes = [
        node(name, at, parcel=int(generator.integers(1, 99))) for name, at in zip("ABC", (0.0, 3.0, 6.0), strict=True)
    ]
    orders = [
        delivery(f"O{i}", line("mug", unfilled=int(generator.integers(2_000, 9_000))), at=float(at))
        for i, at in enumerate(generator.uniform(0, 6, 10))
    ]
    stock = {(name, "mug"): int(units) for name, units in zip("ABC", generator.integers(1, 5, 3), strict=True)}
    wave = world(nodes, orders, stock, services=[tariff])
    hindsight = make("joint", EFFORT)(problem_of(wave))
    assert hindsight.status == "optimal"
    assert in_turn(wave, "bid_price", passes=100, share=1.0) == hindsight.cost_cents


def price_at(wave: Wave, coming: Sequence[Order]) -> float:
    return float(told("bid_price", wave, coming)(problem_of(wave)).row_price[0])


def test_prices_rise_as_stock_falls_and_never_exceed_what_a_unit_is_worth() -> None:
    now = [delivery("now", line("mug", unfilled=3_000), at=0.7)]
    coming = [delivery(f"O{i}", line("mug", unfilled=3_000), at=-0.8) for i in range(6)]
    prices = [price_at(two_nodes(now, a, 2), coming) for a in (12, 6, 3, 1)]
    assert prices == sorted(prices)
    assert (prices[0], prices[-1] > 0) == (0.0, True)
    assert prices[-1] <= 3_000


def later(present: Present, minutes: int, inbound: Sequence[int] = ()) -> Present:
    """The same present, so many minutes later, with receipts known to come to the first row."""
    at = np.array(inbound, dtype=np.int64)
    first = np.zeros(len(at), dtype=np.int64)
    return replace(
        present, at=present.at + minutes, inbound_at=at, inbound_sku=first, inbound_node=first, inbound_units=first + 1
    )


@pytest.mark.parametrize(
    ("every", "minutes", "inbound", "solves"),
    [
        (60, 59, (), 1),
        (60, 60, (), 2),
        (60, 59, (30,), 2),
        (None, 1440, (30,), 1),
        (None, 3 * 1440, (), 2),
        (0, 0, (), 2),
    ],
)
def test_prices_are_found_again_when_they_are_old(
    every: int | None, minutes: int, inbound: Sequence[int], solves: int
) -> None:
    wave = two_nodes([delivery("now", line("mug"), at=0.7)])
    problem = problem_of(wave)
    policy = told("bid_price", wave, [], every=every, days=3)
    assert isinstance(policy, LooksAhead)
    present = later(present_of(problem), 0, inbound)
    _, memory = policy.look(problem, present, None)
    _, after = policy.look(problem, later(present_of(problem), minutes), memory)
    assert after.solves == solves


def test_a_shelf_gets_dearer_as_it_empties_and_is_cheap_again_after_a_receipt() -> None:
    order = delivery("now", line("mug"), at=0.7)
    policy = make("primal_dual", EFFORT, settings={"portion": 1})
    prices, memory = [], None
    for units in (8, 6, 2, 9):
        problem = problem_of(two_nodes([order], units, 8))
        plan, memory = decide(policy, problem, lambda now=problem: present_of(now), memory)  # type: ignore[misc]
        prices.append(plan.row_price[0])
    assert prices[0] == prices[3] == 0
    assert 0 < prices[1] < prices[2] < 200  # the next node is 200 dearer


def test_what_a_node_expects_to_need_stays_with_its_own_customers() -> None:
    foreign, local = delivery("foreign", line("mug", 3), at=1.6), delivery("local", line("mug", 3), at=0.0)
    coming = [delivery("then", line("mug", 4), at=0.0)]
    for order, units in [(foreign, 1), (local, 3)]:
        wave = two_nodes([order], 5, 0)
        problem = problem_of(wave)
        plan = told("spillover", wave, coming, reserve=1.0)(problem)
        assert check(problem, plan).ok
        assert plan.entry_units.sum() == units


def test_who_may_collect_at_several_nodes_is_a_customer_of_each() -> None:
    wave = two_nodes([collection("O", line("mug", 3), at=["B", "A"])], 3, 0)
    problem = problem_of(wave)
    plan = told("spillover", wave, [delivery("then", line("mug", 4), at=0.0)], reserve=1.0)(problem)
    assert check(problem, plan).ok
    assert (nodes_of(problem, plan), plan.entry_units.tolist()) == (["A"], [3])


def windowed(waves: Sequence[Sequence[Order]], **named: Any) -> list[list[str]]:
    """Which orders a window releases on each day; what it leaves open is there again on the next."""
    policy = make("window", EFFORT, settings={"by": "joint", **named})
    memory, waiting, out = None, list[Order](), list[list[str]]()
    for day, new in enumerate(waves):
        waiting = [msgspec.structs.replace(one, promise_days=one.promise_days - 1) for one in waiting] + list(new)
        problem = problem_of(two_nodes(waiting, 9, 9))
        present = present_of(problem, 1440 * day)
        plan, memory = decide(policy, problem, lambda now=present: now, memory)  # type: ignore[misc]
        assert check(problem, plan).ok
        out.append(sorted({problem.order_id[o] for o in plan.parcel_order}))
        waiting = [one for one in waiting if one.id not in out[-1]]
    return out


def test_an_order_waits_as_long_as_the_window_and_its_promise_allow() -> None:
    soon, patient = delivery("soon", line("mug"), promise=2), delivery("patient", line("mug"), promise=9)
    assert windowed([[soon, patient], [], []], days=1) == [["soon"], ["patient"], []]
    assert windowed([[soon, patient], [], []], days=0) == [["patient", "soon"], [], []]
    assert windowed([[patient], *[[]] * 8], days=None) == [[]] * 7 + [["patient"], []]


def test_a_window_without_limit_releases_the_joint_plan() -> None:
    # an order a day; all are promised for the same day, and so all must go on the same day
    places = (0.7, 0.6, -0.8, -0.7, 0.5, -0.5)
    orders = [delivery(f"O{i}", line("mug"), at=at, promise=8 - i) for i, at in enumerate(places)]
    policy = make("window", EFFORT, settings={"days": None})
    memory, cost = None, 0
    for day in range(7):
        open_now = [msgspec.structs.replace(o, promise_days=8 - day) for o in orders[: day + 1]]
        problem = problem_of(two_nodes(open_now, 3, 3))
        present = present_of(problem, 1440 * day)
        plan, memory = decide(policy, problem, lambda now=present: now, memory)  # type: ignore[misc]
        cost = plan.cost_cents
        assert bool(plan.parcels) == (day == 6)
    joint = make("joint", EFFORT)(problem)
    assert (cost, plan.bound_cents) == (joint.cost_cents, joint.bound_cents)
    assert joint.cost_cents < make("cheapest", EFFORT)(problem).cost_cents


def test_one_seed_gives_one_plan() -> None:
    wave = two_nodes([delivery(f"O{i}", line("mug"), at=0.3 * i) for i in range(6)], 3, 4)
    problem = problem_of(wave)
    for name in AHEAD:
        once, twice = (told(name, wave, wave.orders)(problem) for _ in range(2))
        for column in ("parcel_node", "entry_units", "row_price"):
            assert np.array_equal(getattr(once, column), getattr(twice, column))


@pytest.mark.parametrize(
    ("name", "named", "message"),
    [
        ("bid_price", {"sample": 3}, "settings of bid_price: Object contains unknown field `sample`"),
        ("bid_price", {"samples": 0}, r"settings of bid_price: Expected `int` >= 1 - at `\$.samples`"),
        ("sampled_futures", {"by": "magic"}, r"settings of sampled_futures: 'magic' is not a policy - at `\$.by`"),
        ("primal_dual", {"stake": "all"}, r"settings of primal_dual: Invalid enum value 'all' - at `\$.stake`"),
        ("window", {"by": "bid_price"}, "policy 'bid_price' looks ahead and needs an outlook"),
        ("spillover", {}, "policy 'spillover' looks ahead and needs an outlook on demand: replay a history under it"),
    ],
)
def test_what_a_policy_cannot_do_is_refused(name: str, named: Mapping[str, Any], message: str) -> None:
    outlook = None if "outlook" in message else Foretold(two_nodes([]))
    with pytest.raises(ValueError, match=message):
        make(name, EFFORT, settings=named, outlook=outlook)


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        ("joint", "joint", {}),
        ("bid_price:days=3,every=null,by=joint", "bid_price", {"days": 3, "every": None, "by": "joint"}),
        ('magento.priority:{"nodes": ["A", "B"]}', "magento.priority", {"nodes": ["A", "B"]}),
        ("primal_dual:", "primal_dual", {}),
    ],
)
def test_a_policy_is_told_its_settings_by_name(text: str, name: str, named: Mapping[str, Any]) -> None:
    assert policies.told(text) == (name, named)


@pytest.mark.parametrize("text", ["bid_price:3", 'bid_price:{"days": 3', "bid_price:[3]"])
def test_settings_that_say_nothing_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not like key=value,key=value, nor a JSON object"):
        policies.told(text)
