"""Closing in on all orders of many lines at given prices: those first whose own bound and best known way are furthest apart.

Each order is priced by itself, so the bound of the whole problem rises with every one of them, and holds whenever this ends.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import repeat

import numpy as np

from solver.many_tree import close_in
from solver.mip import Way
from solver.prices import Priced, Pricing
from solver.problem import Floats
from solver.ways import THREADS

WORK = (60_000, 300_000, 1_500_000, 7_500_000)
"""Offers that are looked at for an order, from one round to the next. Each round begins anew."""
WORTH = 1e-3
"""A share of its cost: an order whose bound is nearer than that is left alone."""


def close_in_on(
    pricing: Pricing,
    priced: Priced,
    known: Floats,
    rounds: tuple[int, ...],
    over: Callable[[], bool],
    told: Callable[[float], None],
) -> tuple[Priced, list[Way]]:
    """Raise the least costs of orders of many lines at the prices, and find better ways for them.

    Parameters
    ----------
    priced
        The prices, and what they prove so far.
    known
        (O,) the cost at the prices of some way of serving each order.
    rounds
        Offers that are looked at for an order, round by round.
    over
        Told before each order whether to end here.
    told
        Called after each round with the bound of the whole problem.

    Returns
    -------
    priced, ways
        The same prices with what they prove now; for some orders a way that costs less at the prices than the one known.
    """
    problem, many = pricing.problem, pricing.orders[~pricing.few]
    value, cost, found = priced.order_value.copy(), known.copy(), dict[int, Way]()
    open_cents, line_price = problem.line_open_cents.astype(np.float64), priced.line_price.copy()

    def close(order: int, work: int) -> None:
        if over():
            return
        bound, least, dest, node, service, units = close_in(
            problem.columns, order, pricing.left, pricing.open_nodes, priced.row_price, priced.node_price, open_cents,
            line_price, cost[order], work,
        )  # fmt: skip
        if least < cost[order] - 0.5:
            cost[order], found[order] = least, (order, dest, node, service, units)
        value[order] = max(value[order], bound)

    for work in rounds:
        gap = (cost - value)[many]
        wanted = gap > np.maximum(1.0, WORTH * cost[many])
        first = many[wanted][np.argsort(-gap[wanted], kind="stable")]
        if over() or not len(first):
            break
        list(THREADS.map(close, first.tolist(), repeat(work)))
        told(pricing.total(priced.row_price, priced.node_price, value))
    bound = max(priced.bound_cents, pricing.total(priced.row_price, priced.node_price, value))
    closer = replace(priced, order_value=value, bound_cents=bound, line_price=line_price)
    return closer, [found[order] for order in sorted(found)]


__all__ = ["close_in_on"]
