"""Ejection: an order takes its ideal, and whoever holds that gives way, if all bills together fall."""

import numpy as np
from hypothesis import given, settings

from solver.check import check
from solver.draft import Draft, cost_of, new_draft, plan_of, serve_in_turn
from solver.effort import Effort, Meter
from solver.eject import eject
from solver.prices import Pricing, ascend
from solver.problem import Problem
from solver.wave import Wave, problem_of
from tests.strategies import small_waves
from tests.worlds import delivery, line, node, world


def ejected(problem: Problem) -> tuple[Draft, int]:
    """A draft order by order, then a sweep over all orders; what it cost before."""
    everyone = np.arange(problem.orders)
    meter = Meter(Effort(seconds=None))
    draft = serve_in_turn(problem, new_draft(problem), everyone)
    before = cost_of(problem, draft)
    pricing = Pricing(problem, everyone, problem.row_limit, problem.node_capacity_parcels)
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    priced = ascend(pricing, *nothing, np.inf, meter).best
    return eject(problem, draft, pricing, priced, everyone, 0, meter), before


@given(wave=small_waves())
@settings(max_examples=80, deadline=None)
def test_a_sweep_leaves_a_plan_that_holds_and_never_costs_more(wave: Wave) -> None:
    problem = problem_of(wave)
    draft, before = ejected(problem)
    assert cost_of(problem, draft) <= before
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    assert check(problem, plan_of(problem, draft, 0.0, *nothing, 0.0, "ejected", 0)).ok


def test_the_first_comer_gives_way_to_the_order_that_has_nothing_else() -> None:
    """A has the last x and y. O could have its x from B as well; P needs both from one place to be whole."""
    nodes = [node("A"), node("B", 0.2)]
    orders = [delivery("O", line("x")), delivery("P", line("x"), line("y"))]
    problem = problem_of(world(nodes, orders, {("A", "x"): 1, ("A", "y"): 1, ("B", "x"): 1}))
    draft, before = ejected(problem)
    assert draft.order_count.tolist() == [1, 1]
    assert cost_of(problem, draft) < before
