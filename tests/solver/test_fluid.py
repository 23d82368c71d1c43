"""The small models of papers: programs, roundings, gates, and the policies on them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from solver.fluid import (
    RULES,
    Fluid,
    LookAhead,
    Pace,
    Pool,
    Program,
    arrivals,
    ascend,
    compact,
    expected_future,
    gates,
    open_share,
    sampled_futures,
)  # fmt: skip
from solver.fluid.rounding import round_by
from solver.fluid.splits import best_split, scratch, split_cost
from solver.problem import Floats, Ints
from solver.refusal import Refusal


def world(seed: int = 1, types: int = 5, most: int = 3, stock: int = 6, periods: int = 60) -> Fluid:
    """Two centres and the dummy, three regions, four items, and no order now and then."""
    generator = np.random.default_rng(seed)
    kinds = [(), *(tuple(generator.permutation(4)[: 1 + q % most].tolist()) for q in range(types))]
    rate = generator.random((types + 1, 3))
    return Fluid(
        order_types=tuple(kinds),
        rate=rate / rate.sum(),
        periods=periods,
        stock=generator.integers(0, stock, (2, 4)),
        fixed=np.vstack([np.full((2, 3), 8.0), np.full((1, 3), 16.0)]),
        unit=np.vstack([generator.uniform(0.5, 3.0, (2, 3)), np.full((1, 3), 6.0)]),
    )


def endless(fluid: Fluid) -> Fluid:
    """The same with more in stock than is ever asked for."""
    return Fluid(
        fluid.order_types, fluid.rate, fluid.periods, np.full_like(fluid.stock, 1_000), fluid.fixed, fluid.unit
    )


def every_split(fluid: Fluid, kind: int) -> list[tuple[int, ...]]:
    return list(itertools.product(range(fluid.centres + 1), repeat=len(fluid.order_types[kind])))


def enumerated(fluid: Fluid, demand: Floats) -> float:
    """The pattern program over all patterns at once, by another solver."""
    cost, use, serve = [], [], []
    asked = [(q, j) for q in range(len(fluid.order_types)) for j in range(fluid.regions) if fluid.order_types[q]]
    for row, (q, j) in enumerate(asked):
        for split in every_split(fluid, q):
            cost.append(sum(fluid.fixed[k, j] for k in set(split)) + sum(fluid.unit[k, j] for k in split))
            taken = np.zeros(fluid.stock.shape)
            for k, item in zip(split, fluid.order_types[q], strict=True):
                if k < fluid.centres:
                    taken[k, item] += 1
            use.append(taken.ravel())
            serve.append(np.arange(len(asked)) == row)
    found = linprog(
        cost, A_ub=np.array(use).T, b_ub=fluid.stock.ravel(),
        A_eq=np.array(serve, dtype=float).T, b_eq=[demand[q, j] for q, j in asked],
    )  # fmt: skip
    return float(found.fun)


def item_centre(fluid: Fluid) -> float:
    """The item-centre program by another solver: u of every place of every kind, y of every kind, row by row."""
    asked = [(q, j) for q in range(len(fluid.order_types)) for j in range(fluid.regions) if fluid.order_types[q]]
    centres = range(fluid.centres + 1)
    u = {one: n for n, one in enumerate((q, j, l, k) for q, j in asked for l in range(fluid.sizes[q]) for k in centres)}
    y = {one: len(u) + n for n, one in enumerate((q, j, k) for q, j in asked for k in centres)}
    cost = [fluid.unit[k, j] for _, j, _, k in u] + [fluid.fixed[k, j] for _, j, k in y]
    serve = {(q, j, l): n for n, (q, j, l) in enumerate((q, j, l) for q, j in asked for l in range(fluid.sizes[q]))}
    equal, at_most = np.zeros((len(serve), len(cost))), np.zeros((fluid.stock.size + len(u), len(cost)))
    for n, ((q, j, l, k), column) in enumerate(u.items()):
        equal[serve[q, j, l], column] = 1
        if k < fluid.centres:
            at_most[k * fluid.items + fluid.order_types[q][l], column] = 1
        at_most[fluid.stock.size + n, [column, y[q, j, k]]] = 1, -1
    found = linprog(
        cost, A_ub=at_most, b_ub=np.concatenate([fluid.stock.ravel(), np.zeros(len(u))]),
        A_eq=equal, b_eq=[fluid.expected[q, j] for q, j, _ in serve],
    )  # fmt: skip
    return float(found.fun)


# --- the model and its programs


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("order_types", ((), (0, 0), (1,), (2,), (3,), (0,)), r"order_types\[1\]: is \(0, 0\); at most 12 different"),
        ("order_types", ((), (9,), (1,), (2,), (3,), (0,)), r"order_types\[1\]: has the item 9; items are 0 to 3"),
        ("rate", np.full((6, 3), 1.0), "rate: adds up to 18; at most 1"),
        ("rate", np.ones(3), "rate: has 1 dimensions; it is a table"),
        ("fixed", np.ones((2, 3)), r"fixed: has the shape \(2, 3\); \(3, 3\) is needed"),
        ("unit", np.full((3, 3), np.nan), r"unit\[0, 0\]: is nan; a finite number from 0 on"),
        ("stock", np.array([[1, 1, 1, 1], [1, 1, -7, 1]]), r"stock\[1, 2\]: is -7; a finite number from 0 on"),
        ("periods", 0, "periods: is 0; at least 1"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(field: str, value: object, message: str) -> None:
    known = world()
    given = {name: getattr(known, name) for name in ("order_types", "rate", "periods", "stock", "fixed", "unit")}
    with pytest.raises(Refusal, match=f"^{message}"):
        Fluid(**{**given, field: value})


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_split_is_the_cheapest_of_all_ways_to_serve_an_order(seed: int) -> None:
    fluid = world(seed, most=4)
    generator = np.random.default_rng(seed)
    prices = generator.uniform(0, 10, fluid.stock.shape)
    choice = np.zeros(fluid.most, dtype=np.int64)
    for kind, items in enumerate(fluid.order_types):
        if items:
            region = int(generator.integers(3))
            found = best_split(fluid.tables, kind, region, prices, fluid.stock, scratch(fluid.most), choice)
            costs = []
            for split in every_split(fluid, kind):
                pairs = [(k, i) for k, i in zip(split, items, strict=True) if k < fluid.centres]
                if all(fluid.stock[cell] > 0 for cell in pairs):
                    own = split_cost(fluid.tables, kind, region, np.array(split))
                    costs.append(own + sum(prices[cell] for cell in pairs))
            assert found == pytest.approx(min(costs))
            used = [(k, i) for k, i in zip(choice, items, strict=False) if k < fluid.centres]
            assert found == pytest.approx(
                split_cost(fluid.tables, kind, region, choice) + sum(prices[cell] for cell in used)
            )


@pytest.mark.parametrize("seed", range(5))
def test_generated_patterns_cost_what_all_patterns_at_once_cost(seed: int) -> None:
    fluid = world(seed)
    answer = Program(Pool(fluid)).generate(fluid.expected, fluid.stock)
    assert answer.cost == pytest.approx(enumerated(fluid, fluid.expected), rel=1e-9)
    assert answer.bound == pytest.approx(answer.cost, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_item_centre_program_costs_what_its_formulas_say_and_no_more_than_patterns(seed: int) -> None:
    fluid = world(seed)
    shares = compact(fluid)
    assert shares.cost == pytest.approx(item_centre(fluid), rel=1e-9)
    assert shares.cost <= Program(Pool(fluid)).generate(fluid.expected, fluid.stock).cost * (1 + 1e-9)
    for q, items in enumerate(fluid.order_types):
        of_type = shares.share[q * fluid.regions : (q + 1) * fluid.regions]
        assert of_type[:, : len(items)].sum(axis=2) == pytest.approx(np.ones((fluid.regions, len(items))))
        assert (of_type[:, len(items) :] == 0).all()


def test_a_program_solved_again_for_other_demand_and_stock_is_as_good_as_a_new_one() -> None:
    fluid = world(3)
    program = Program(Pool(fluid))
    program.generate(fluid.expected, fluid.stock)
    generator = np.random.default_rng(1)
    for _ in range(5):
        demand = fluid.counts(fluid.sample(fluid.periods, generator))
        stock = generator.integers(0, 6, fluid.stock.shape)
        again = Fluid(fluid.order_types, fluid.rate, fluid.periods, stock, fluid.fixed, fluid.unit)
        assert program.generate(demand, stock).cost == pytest.approx(enumerated(again, demand), rel=1e-9)


def test_prices_say_what_one_more_unit_saves() -> None:
    fluid = world(2)
    program = Program(Pool(fluid))
    answer = program.generate(fluid.expected, fluid.stock)
    assert answer.prices.max() > 0
    for cell in zip(*np.nonzero(fluid.stock), strict=True):
        less, more = fluid.stock.astype(float), fluid.stock.astype(float)
        less[cell], more[cell] = less[cell] - 1e-4, more[cell] + 1e-4
        assert answer.cost - program.generate(fluid.expected, more).cost <= 1e-4 * answer.prices[cell] + 1e-7
        assert program.generate(fluid.expected, less).cost - answer.cost >= 1e-4 * answer.prices[cell] - 1e-7


def test_an_ascent_bounds_the_program_and_leaves_patterns_near_its_optimum() -> None:
    fluid = world(4, periods=300, stock=40)
    pool = Pool(fluid)
    bound, _ = ascend(pool, fluid.expected, fluid.stock)
    near = Program(pool).solve(fluid.expected, fluid.stock)
    exact = Program(Pool(fluid)).generate(fluid.expected, fluid.stock).cost
    assert bound <= exact * (1 + 1e-9)
    assert bound > 0.98 * exact
    assert near < 1.01 * exact


# --- roundings and gates


@pytest.mark.parametrize("rule", RULES)
def test_a_rounding_serves_every_item_from_a_centre_as_often_as_its_share_says(rule: str) -> None:
    share = np.array([[0.5, 0.3, 0.2, 0.0], [0.5, 0.0, 0.2, 0.3], [0.1, 0.1, 0.1, 0.7], [0.0, 1.0, 0.0, 0.0]])
    draws, generator = 10_000, np.random.default_rng(7)
    choice, seen = np.zeros(4, dtype=np.int64), np.zeros(share.shape)
    for _ in range(draws):
        round_by(RULES.index(rule), share, generator, choice)
        seen[np.arange(4), choice] += 1
    # five standard errors, and none where the share is none
    assert (np.abs(seen / draws - share) <= 5 * np.sqrt(share * (1 - share) / draws)).all()


def test_correlated_roundings_keep_items_with_equal_shares_together() -> None:
    share = np.tile([0.4, 0.35, 0.25], (3, 1))
    apart = {}
    for rule, name in enumerate(RULES):
        generator, choice = np.random.default_rng(3), np.zeros(3, dtype=np.int64)
        split = 0
        for _ in range(2_000):
            round_by(rule, share, generator, choice)
            split += len(set(choice.tolist())) > 1
        apart[name] = split
    assert apart["jasin_sinha"] == apart["dilate"] == 0
    assert apart["force_open"] < apart["independent"]


def test_a_gate_is_open_equally_often_in_every_period() -> None:
    """While the chances of all periods add up to what is in stock."""
    periods, stock = 40, np.array([[5, 0]])
    chance, share = np.array([[0.1, 0.1]]), open_share(stock, 0.5)
    below, tie = gates(chance, stock, share, periods)
    gone = np.zeros(7)
    gone[0] = 1.0
    for t in range(periods):
        at = below[t, 0, 0]
        opened = np.array([1.0 if w < at else tie[t, 0, 0] if w == at else 0.0 for w in range(7)])
        assert opened @ gone == pytest.approx(share[0, 0])
        moved = gone * opened * 0.1
        gone = gone - moved + np.concatenate([[0.0], moved[:-1]])
    assert gone[6] == 0
    assert below[:, 0, 1].max() == 0


# --- policies


def costs(fluid: Fluid, orders: Ints) -> dict[str, float]:
    """What every policy pays on a sequence."""
    t, most = fluid.tables, fluid.most
    shares, pool = compact(fluid), Pool(fluid)
    answer = Program(pool).generate(fluid.expected, fluid.stock)
    first, mass, pattern = pool.by_kind(answer.mass)

    def stock() -> Ints:
        return np.array(fluid.stock)

    def chance() -> np.random.Generator:
        return np.random.default_rng(4)

    used = np.zeros(fluid.stock.size)
    at, cell = pool.entries(0)
    np.add.at(used, cell, answer.mass[at])
    guard = gates(used.reshape(fluid.stock.shape) / fluid.periods, stock(), open_share(stock(), 0.01), fluid.periods)
    found = {
        rule: arrivals.serve_rounded(t, orders, n, shares.share, stock(), most, chance())
        for n, rule in enumerate(RULES)
    }
    found["nearest"] = arrivals.serve_nearest(t, orders, stock(), most)
    found["magician"] = arrivals.serve_gated(t, orders, first, mass, pattern, *guard, stock(), chance())
    found["greedy"] = arrivals.serve_by_prices(t, orders, np.zeros(fluid.stock.shape), stock(), most)
    found["static"] = arrivals.serve_by_prices(t, orders, answer.prices, stock(), most)
    found["fill"] = arrivals.serve_by_fill(t, orders, np.full(fluid.stock.shape, 10.0), stock(), most)
    found["patterns"] = arrivals.serve_by_pattern(t, orders, first, mass, pattern, answer.prices, stock(), chance())
    found["resolved"] = LookAhead(pool).serve(orders, expected_future(fluid)).cost
    for exact in (0, fluid.periods):
        ahead = LookAhead(pool, Pace(0.1, exact))
        found[f"sampled, exact {exact}"] = ahead.serve(orders, sampled_futures(fluid, 3, chance())).cost
    return found


@pytest.mark.parametrize("seed", range(3))
def test_no_policy_beats_hindsight_on_the_same_sequence(seed: int) -> None:
    fluid = world(seed)
    orders = fluid.sample(fluid.periods, np.random.default_rng(seed))
    bound = Program(Pool(fluid)).generate(fluid.counts(orders), fluid.stock).bound
    for policy, cost in costs(fluid, orders).items():
        assert cost >= bound * (1 - 1e-9), policy


def test_with_endless_stock_every_policy_that_looks_at_stock_pays_what_greedy_pays() -> None:
    fluid = endless(world(5))
    orders = fluid.sample(fluid.periods, np.random.default_rng(5))
    found = costs(fluid, orders)
    for policy in ("static", "fill", "patterns", "resolved", "sampled, exact 0", f"sampled, exact {fluid.periods}"):
        # a price that rises with what is gone is not exactly 0
        assert found[policy] == pytest.approx(found["greedy"], rel=1e-3 if policy == "fill" else 1e-9), policy


def test_with_endless_stock_and_orders_of_one_item_every_policy_pays_the_same() -> None:
    fluid = endless(world(6, most=1))
    orders = fluid.sample(fluid.periods, np.random.default_rng(6))
    found = costs(fluid, orders)
    # a gate stays shut now and then, however much is in stock
    found.pop("magician")
    for policy, cost in found.items():
        assert cost == pytest.approx(found["greedy"], rel=1e-9), policy


@pytest.mark.parametrize("seed", range(4))
def test_orders_of_one_item_at_hindsight_prices_cost_what_hindsight_costs(seed: int) -> None:
    fluid = world(seed, most=1, stock=30, periods=120)
    # ties between centres are broken, so that prices alone say what goes where
    noise = np.random.default_rng(seed).uniform(0, 0.5, fluid.unit.shape)
    fluid = Fluid(fluid.order_types, fluid.rate, fluid.periods, fluid.stock, fluid.fixed, fluid.unit + noise)
    orders = fluid.sample(fluid.periods, np.random.default_rng(seed))
    answer = Program(Pool(fluid)).generate(fluid.counts(orders), fluid.stock)
    paid = arrivals.serve_by_prices(fluid.tables, orders, answer.prices, np.array(fluid.stock), fluid.most)
    # one order more or less of a kind that two centres share at the margin
    assert answer.bound * (1 - 1e-9) <= paid <= answer.bound * 1.02


def test_looking_ahead_pays_where_stock_is_short() -> None:
    fluid = world(2, stock=20, periods=120)
    ahead = LookAhead(Pool(fluid), Pace(0.1, exact=10))
    greedy = expected = sampled = 0.0
    for seed in range(8):
        orders = fluid.sample(fluid.periods, np.random.default_rng([8, seed]))
        nothing = np.zeros(fluid.stock.shape)
        greedy += arrivals.serve_by_prices(fluid.tables, orders, nothing, np.array(fluid.stock), fluid.most)
        expected += ahead.serve(orders, expected_future(fluid)).cost
        sampled += ahead.serve(orders, sampled_futures(fluid, 4, np.random.default_rng([9, seed]))).cost
    assert max(expected, sampled) < greedy


def test_the_same_seed_serves_in_the_same_way() -> None:
    fluid = world(3)
    orders = fluid.sample(fluid.periods, np.random.default_rng(3))
    assert costs(fluid, orders) == costs(fluid, orders)


def test_prices_are_made_more_often_towards_the_end() -> None:
    epochs = list(Pace(0.25, exact=3).epochs(20))
    assert epochs[0] == (0, 5)
    assert [end - first for first, end in epochs[-3:]] == [1, 1, 1]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(epochs))
    assert epochs[-1][1] == 20
