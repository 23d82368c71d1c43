"""What one parcel costs: carriage by weight step and zone, lateness, and handling.

This is the one place where a parcel is priced; every policy and the bill come here (the checker does not).
"""

from numba import njit

from solver.problem import NO_SERVICE, Columns

UNSERVED = -1


@njit(cache=True)
def carriage_cents(c: Columns, service: int, zone: int, grams: int) -> int:
    """Price the carriage of a weight: the first step that holds it, and beyond the last each started kg."""
    low, high = 0, c.service_steps[service]
    while low < high:
        middle = (low + high) // 2
        if c.service_steps_g[service, middle] < grams:
            low = middle + 1
        else:
            high = middle
    last = c.service_steps[service] - 1
    if low <= last:
        return c.service_cents[service, zone, low]
    over = grams - c.service_steps_g[service, last]
    return c.service_cents[service, zone, last] + (over + 999) // 1000 * c.service_over_cents[service, zone]


@njit(cache=True)
def late_cents(c: Columns, order: int, days: int) -> int:
    """Price the days after the promise."""
    return c.order_late_cents[order] * max(0, days - c.order_promise_days[order])


@njit(cache=True)
def travel_cents(c: Columns, order: int, dest: int, node: int, service: int, grams: int) -> int:
    """Price carriage and lateness of a parcel, `UNSERVED` where that service cannot take it there.

    Goods picked where they are collected have `NO_SERVICE` and no carriage.
    """
    if service == NO_SERVICE:
        return late_cents(c, order, c.node_ready_days[node])
    zone = c.lane_zone[dest, node, service]
    if zone < 0:
        return UNSERVED
    days = c.node_ready_days[node] + c.service_transit_days[service, zone]
    return carriage_cents(c, service, zone, grams) + late_cents(c, order, days)
