"""What a line costs in a parcel of its own, and what carriage costs, by columns."""

import numpy as np

from solver.problem import Bools, Floats, Ints, Problem


def alone_cents(problem: Problem, line: Ints, node: Ints, days: Ints) -> Floats:
    """What each line costs in a parcel of its own from `node`, `days` from now."""
    order = problem.line_order[line]
    dest = problem.order_dest_start[order]
    weight = problem.sku_weight_g[problem.line_sku[line]] * problem.line_qty[line]
    promise = problem.order_promise_days[order]
    ready = days + problem.node_ready_days[node]
    late = problem.order_late_cents[order]
    best: Floats = np.where(problem.dest_node[dest] == node, late * np.maximum(0, ready - promise), np.inf)
    for s in range(problem.services):
        zone = problem.lane_zone[dest, node, s].astype(np.int64)
        served: Bools = (zone >= 0) & problem.sku_carried[problem.line_sku[line], s]
        carriage = tariff_cents(problem, s, zone, weight)
        days_late = np.maximum(0, ready + problem.service_transit_days[s, zone] - promise)
        best = np.where(served, np.minimum(best, carriage + late * days_late), best)
    handling = problem.node_parcel_cents[node] + problem.node_line_cents[node]
    alone: Floats = best + handling + problem.node_unit_cents[node] * problem.line_qty[line]
    return alone


def tariff_cents(problem: Problem, service: int, zone: Ints, grams: Ints) -> Ints:
    """What a service takes to zones for weights, of shapes that go together: `parcel.carriage_cents` by columns."""
    steps = problem.service_steps_g[service, : problem.service_steps[service]]
    step = np.minimum(np.searchsorted(steps, grams), len(steps) - 1)
    started = np.maximum(0, grams - steps[-1] + 999) // 1000
    cents: Ints = problem.service_cents[service][zone, step] + started * problem.service_over_cents[service][zone]
    return cents


__all__ = ["alone_cents", "tariff_cents"]
