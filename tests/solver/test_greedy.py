"""Serving an order at once: a way that holds, if not the best."""

import numpy as np
from hypothesis import given, settings

from solver.check import check
from solver.draft import AT_ONCE, cost_of, new_draft, plan_of, serve_in_turn
from solver.problem import Problem
from solver.wave import Wave, problem_of
from tests.solver.test_joint import large_orders
from tests.worlds import delivery, line, node, world


def served_at_once(problem: Problem) -> int:
    draft = serve_in_turn(problem, new_draft(problem), np.arange(problem.orders), effort=AT_ONCE)
    nothing = np.zeros(problem.rows), np.zeros(problem.nodes)
    plan = plan_of(problem, draft, 0.0, *nothing, 0.0, "at once", 0)
    verdict = check(problem, plan)
    assert verdict.ok, verdict.violations
    return cost_of(problem, draft)


@given(wave=large_orders(max_orders=3))
@settings(max_examples=60, deadline=None)
def test_orders_served_at_once_hold_and_cost_no_more_than_nothing(wave: Wave) -> None:
    problem = problem_of(wave)
    assert served_at_once(problem) <= int((problem.line_unfilled_cents * problem.line_qty).sum())


def test_a_large_order_goes_where_most_of_it_is() -> None:
    lines = [line(f"x{k}", 3) for k in range(14)]
    stock = {("A", f"x{k}"): 3 for k in range(14)} | {("B", f"x{k}"): 3 for k in range(5)}
    problem = problem_of(world([node("A"), node("B")], [delivery("O", *lines)], stock))
    draft = serve_in_turn(problem, new_draft(problem), np.arange(1), effort=AT_ONCE)
    assert draft.order_count.tolist() == [1]
    assert draft.left[problem.row_node == 0].sum() == 0
