from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.calendar import parse_minute
from engine.network import NetworkColumns, Receipts, columns_of, read_network
from engine.sourcing import OpenOrders, apply, build_problem
from engine.waiting import Inbound, price_waiting
from solver.plan import Plan
from solver.problem import DELIVERED, NO_LIMIT, Problem

EXAMPLE = Path(__file__).parents[2] / "simulation" / "examples" / "network.json"
MUG, KETTLE, CHEESE = range(3)
VENLO, UTRECHT = range(2)
TUESDAY = parse_minute("2024-04-30T14:00Z")
DAY = 1440


def ints(*values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def orders_of(*wanted: list[tuple[int, int]], **changes: Any) -> OpenOrders:
    """Orders of (SKU, units) lines to Amsterdam, promised for the first of May."""
    lines = [line for order in wanted for line in order]
    count = len(wanted)
    orders = OpenOrders(
        order_id=tuple(f"O{i}" for i in range(count)),
        order_line_start=np.cumsum([0, *map(len, wanted)]).astype(np.int64),
        order_dest_start=np.arange(count + 1),
        order_promise_day=np.full(count, TUESDAY // DAY + 1),
        order_late_cents=np.full(count, 100),
        order_max_parcels=np.full(count, NO_LIMIT),
        order_ship_complete=np.zeros(count, dtype=np.bool_),
        dest_node=np.full(count, DELIVERED),
        dest_lat=np.full(count, 52.37),
        dest_lon=np.full(count, 4.90),
        line_sku=ints(*(sku for sku, _ in lines)),
        line_qty=ints(*(units for _, units in lines)),
        line_unfilled_cents=np.full(len(lines), 2000),
        line_must_fill=np.zeros(len(lines), dtype=np.bool_),
    )
    return replace(orders, **changes)


def plan_of(problem: Problem, node: int, *entries: tuple[int, int]) -> Plan:
    """One parcel of the first order from a node, with (line, units)."""
    lines, units = zip(*entries, strict=True)
    return Plan(ints(0), ints(node), ints(0), ints(0), ints(0, len(entries)), ints(*lines), ints(*units), 0, 0.0)


@pytest.fixture
def network() -> NetworkColumns:
    return columns_of(read_network(EXAMPLE))


def options(problem: Problem) -> list[tuple[int, int, int, str]]:
    """Line, node, units in stock there, and the reason why it is no option."""
    limit = problem.row_limit[problem.option_row[:, 0]].tolist()
    reason = [problem.reasons[r] for r in problem.option_reason]
    return list(zip(problem.option_line.tolist(), problem.option_node.tolist(), limit, reason, strict=True))


def test_a_line_may_come_from_every_node_that_has_its_sku(network: NetworkColumns) -> None:
    problem = build_problem(network, network.stock, orders_of([(CHEESE, 1), (MUG, 2)]), at=TUESDAY)
    assert options(problem) == [(0, VENLO, 4, ""), (1, VENLO, 6, ""), (1, UTRECHT, 2, "")]
    assert problem.sku_id == ("mug", "cheese")
    assert problem.option_value_cents.tolist() == [0, 0, 20]
    assert problem.option_unit_cents.tolist() == [3, 3, 8]
    assert problem.order_promise_days.tolist() == [1]


def test_a_node_that_cannot_handle_a_sku_is_no_option_and_the_reason_is_named(network: NetworkColumns) -> None:
    units = network.stock.units.copy()
    stock = replace(network.stock, sku=np.where(units == 2, CHEESE, network.stock.sku))
    stock = replace(
        stock, **{name: getattr(stock, name)[[0, 2, 3, 1]] for name in ("node", "sku", "units", "value_cents")}
    )
    problem = build_problem(network, stock, orders_of([(CHEESE, 1)]), at=TUESDAY)
    assert options(problem) == [(0, VENLO, 4, ""), (0, UTRECHT, 2, "node_cannot_handle")]


def test_an_empty_shelf_is_no_option(network: NetworkColumns) -> None:
    stock = replace(network.stock, units=network.stock.units * (network.stock.node == UTRECHT))
    problem = build_problem(network, stock, orders_of([(MUG, 2)], [(KETTLE, 1)]), at=TUESDAY)
    assert options(problem) == [(0, UTRECHT, 2, "")]


def test_lines_of_one_sku_share_its_stock(network: NetworkColumns) -> None:
    problem = build_problem(network, network.stock, orders_of([(KETTLE, 1)], [(KETTLE, 1)]), at=TUESDAY)
    assert problem.option_row[0, 0] == problem.option_row[1, 0]


def test_a_node_that_is_closed_is_ready_the_later_for_it(network: NetworkColumns) -> None:
    asked = [parse_minute(f"2024-{text}Z") for text in ("04-30T14:00", "04-30T16:00", "04-30T18:00", "05-04T14:00")]
    ready = [
        build_problem(network, network.stock, orders_of([(MUG, 1)]), at=at).node_ready_days.tolist() for at in asked
    ]
    assert ready == [[0, 0], [0, 1], [2, 1], [2, 0]]


def test_a_promise_that_has_passed_is_negative(network: NetworkColumns) -> None:
    problem = build_problem(network, network.stock, orders_of([(MUG, 1)]), at=TUESDAY + 4 * DAY)
    assert problem.order_promise_days.tolist() == [-3]


def test_what_is_left_of_the_day_limits_the_decision(network: NetworkColumns) -> None:
    problem = build_problem(
        network, network.stock, orders_of([(MUG, 1)]), at=TUESDAY, parcels_left=ints(7, 0), units_left=ints(NO_LIMIT, 9)
    )
    assert problem.node_capacity_parcels.tolist() == [7, 0]
    assert problem.row_limit.tolist() == [6, 2, 9]
    assert problem.option_row.tolist() == [[0, -1], [1, 2]]


def test_one_order_is_asked_as_it_is_among_a_thousand(network: NetworkColumns) -> None:
    alone = build_problem(network, network.stock, orders_of([(MUG, 3), (CHEESE, 1)]), at=TUESDAY)
    crowd = build_problem(network, network.stock, orders_of(*[[(MUG, 3), (CHEESE, 1)]] * 1000), at=TUESDAY)
    assert options(alone) == options(crowd)[: len(options(alone))]
    assert crowd.lines == 2000
    assert crowd.row_limit.tolist() == alone.row_limit.tolist()
    assert (crowd.lane_zone == alone.lane_zone[0]).all()


def test_a_decision_without_orders_is_an_empty_problem(network: NetworkColumns) -> None:
    problem = build_problem(network, network.stock, orders_of(), at=TUESDAY)
    assert (problem.orders, problem.lines, problem.rows) == (0, 0, 1)


def test_a_plan_takes_its_units_from_the_rows_of_its_node(network: NetworkColumns) -> None:
    orders = orders_of([(CHEESE, 1), (MUG, 3), (MUG, 2)])
    problem = build_problem(network, network.stock, orders, at=TUESDAY)
    plan = plan_of(problem, VENLO, (0, 1), (1, 3), (2, 2))
    assert apply(network.stock, orders, problem, plan).tolist() == [5, 0, 0, 1]


def test_a_plan_that_takes_what_is_not_there_is_a_bug(network: NetworkColumns) -> None:
    orders = orders_of([(MUG, 3)])
    problem = build_problem(network, network.stock, orders, at=TUESDAY)
    with pytest.raises(AssertionError, match="takes what is not there"):
        apply(network.stock, orders, problem, plan_of(problem, UTRECHT, (0, 3)))


def waiting(
    network: NetworkColumns, orders: OpenOrders, *receipts: tuple[int, int, int, int], last: int = 9
) -> list[int]:
    """What a unit of each line costs while it is left open, with receipts of (day from now, node, SKU, units)."""
    problem = build_problem(network, network.stock, orders, at=TUESDAY)
    table = ints(*(value for row in sorted(receipts) for value in row)).reshape(-1, 4)
    inbound = Inbound.of(Receipts(TUESDAY + table[:, 0] * DAY, table[:, 1], table[:, 2], table[:, 3]))
    last_wave = np.full(problem.orders, TUESDAY + last * DAY)
    priced = price_waiting(problem, orders.line_sku, inbound, at=TUESDAY, last_wave=last_wave, wait_cents_per_day=10)
    return priced.line_unfilled_cents.tolist()


def test_waiting_costs_its_days_and_serving_the_line_alone_later(network: NetworkColumns) -> None:
    orders = orders_of([(KETTLE, 3)], order_late_cents=ints(0))
    # three kettles from Venlo: 4.5 kg to the second zone for 610, handling 75 and 9: 232 each, and three days
    assert waiting(network, orders, (3, VENLO, KETTLE, 5)) == [232 + 30]


def test_waiting_counts_the_days_that_it_makes_late(network: NetworkColumns) -> None:
    promised = orders_of([(KETTLE, 1)], order_late_cents=ints(100))
    free = replace(promised, order_late_cents=ints(0))
    later = waiting(network, promised, (3, VENLO, KETTLE, 5))[0] - waiting(network, free, (3, VENLO, KETTLE, 5))[0]
    assert later == 400  # there on the fifth day, promised for the first


def test_a_unit_without_a_receipt_in_time_costs_its_full_penalty(network: NetworkColumns) -> None:
    orders = orders_of([(KETTLE, 3)])
    assert waiting(network, orders) == [2000]
    assert waiting(network, orders, (3, VENLO, MUG, 5)) == [2000]
    assert waiting(network, orders, (10, VENLO, KETTLE, 5)) == [2000]


def test_waiting_never_costs_more_than_the_penalty(network: NetworkColumns) -> None:
    orders = orders_of([(KETTLE, 1)], line_unfilled_cents=ints(40))
    assert waiting(network, orders, (3, VENLO, KETTLE, 5)) == [40]


def test_what_comes_too_scarcely_costs_the_more_to_wait_for(network: NetworkColumns) -> None:
    orders = orders_of([(KETTLE, 21)], order_late_cents=ints(0))
    few, enough = (waiting(network, orders, (3, VENLO, KETTLE, units))[0] for units in (5, 20))
    assert few > enough
    assert few == -(-(3 * 2000 + enough) // 4)  # twenty are short, a quarter of them is coming


def test_an_order_that_may_make_one_parcel_cannot_wait_in_part(network: NetworkColumns) -> None:
    orders = orders_of([(KETTLE, 3)], order_max_parcels=ints(1))
    assert waiting(network, orders, (3, VENLO, KETTLE, 5)) == [2000]


def test_goods_collected_where_they_come_in_wait_without_carriage(network: NetworkColumns) -> None:
    orders = orders_of([(KETTLE, 1)], dest_node=ints(UTRECHT), order_late_cents=ints(0))
    assert waiting(network, orders, (1, UTRECHT, KETTLE, 5)) == [110 + 30 + 8 + 10]
