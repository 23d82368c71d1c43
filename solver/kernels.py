"""Compiling every kernel ahead of the first solve, two processes at a time: `python -m solver.kernels`.

The kernels are compiled when they are first called and kept on disk. That takes about a minute on two cores, once for a machine;
made ahead, it does not count against anybody's first solve. Leaves come before what calls them, so that little is compiled twice.
"""

import subprocess
import sys
from functools import cache

import numpy as np

from solver.draft import new_draft, serve_in_turn
from solver.many import QUICK, lane_bounds, price_many
from solver.many_tree import close_in
from solver.policies import make
from solver.prices import Pricing
from solver.problem import Problem
from solver.split import TABLE_MAX, split_few
from solver.wave import Line, Node, Order, Service, Sku, Wave, problem_of

STAGES = (("bounds", "many"), ("draft", "price"), ("rules", "joint"))


def smallest_problem() -> Problem:
    """Make a wave that calls every kernel: an order of few units, one of many, one to collect."""
    nodes = [Node(name, "store", lat, 0.0, 50, 10, 5, 0, [], 9, None, 100) for name, lat in (("A", 0.0), ("B", 1.0))]
    line, big = Line("K", 1, 5000), Line("K", 2000, 100)
    orders = [
        Order("few", 2, 100, False, [line, line], lat=0.0, lon=0.1),
        Order("many", 2, 100, False, [big], lat=0.5, lon=0.1),
        Order("collect", 2, 100, False, [line], pickup_nodes=["A", "B"]),
    ]
    return problem_of(
        Wave(
            format="wave/1",
            nodes=nodes,
            skus=[Sku("K", 500, [], [])],
            stock=[("A", "K", 2, 0), ("B", "K", 900, 0)],
            services=[Service("S", [500.0], [1000, 20000], [[400, 900]], [50], [2])],
            orders=orders,
        )
    )


def compile_part(part: str) -> None:
    """Call the kernels of one part."""
    problem = smallest_problem()
    draft = new_draft(problem)
    prices = np.zeros(problem.rows), np.zeros(problem.nodes), problem.line_open_cents.astype(np.float64)
    state = problem.columns, 0, draft.left, draft.node_left, *prices, 0.0
    if part == "bounds":
        lane_bounds(*state[:6], prices[2].copy())
        split_few(*state, TABLE_MAX)
    elif part == "many":
        price_many(*state, prices[2].copy(), QUICK, 2, 1e9)
        close_in(*state[:7], prices[2].copy(), 1e9, 1000)
    elif part == "draft":
        serve_in_turn(problem, draft, np.arange(problem.orders))
        serve_in_turn(problem, draft, np.array([1, 1]))
    elif part == "price":
        pricing = Pricing(problem, np.arange(problem.orders), draft.left, draft.node_left)
        pricing.at(prices[0], prices[1], pricing.start_lines(), 2)
    elif part == "rules":
        for name in ("nearest", "fewest_parcels", "magento.priority"):
            make(name)(problem)
    else:
        make("joint")(problem)


@cache
def warm_up() -> None:
    """Have all kernels in memory before a clock starts: a second where they are on disk, a minute or two where they are not."""
    for part in STAGES[-1]:
        compile_part(part)


def compile_all() -> None:
    """Compile all parts, those of a stage side by side."""
    for stage in STAGES:
        running = [subprocess.Popen([sys.executable, "-m", "solver.kernels", part]) for part in stage]  # noqa: S603
        for process in running:
            if process.wait():
                raise SystemExit("a kernel did not compile")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compile_part(sys.argv[1])
    else:
        compile_all()


__all__ = ["compile_all", "compile_part", "smallest_problem", "warm_up"]
