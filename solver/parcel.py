"""What one parcel costs on its way: carriage by weight step and zone, and lateness.

This is the one place where the way of a parcel is priced; every policy and the bill come here (the checker does not). What its
node takes for handling it are plain sums, which stand where parcels are put together.
"""

from numba import njit

from solver.problem import NO_SERVICE, Columns, Ints

UNSERVED = -1


@njit(cache=True, nogil=True)
def carriage_cents(c: Columns, service: int, zone: int, grams: int) -> int:
    """Price the carriage of a weight."""
    return tariff_cents(c.service_steps, c.service_steps_g, c.service_cents, c.service_over_cents, service, zone, grams)


@njit(cache=True, nogil=True)
def tariff_cents(steps: Ints, steps_g: Ints, cents: Ints, over_cents: Ints, service: int, zone: int, grams: int) -> int:
    """Price a weight: the first step that holds it, and beyond the last each started kg.

    The columns come one by one (`service_steps`, `service_steps_g`, `service_cents`, `service_over_cents`), because reading them
    through their common reference counts references, which is slow in an inner loop and slower on two cores.
    """
    low, high = 0, steps[service]
    while low < high:
        middle = (low + high) // 2
        if steps_g[service, middle] < grams:
            low = middle + 1
        else:
            high = middle
    last = steps[service] - 1
    if low <= last:
        return cents[service, zone, low]
    over = grams - steps_g[service, last]
    return cents[service, zone, last] + (over + 999) // 1000 * over_cents[service, zone]


@njit(cache=True, nogil=True)
def late_cents(c: Columns, order: int, days: int) -> int:
    """Price the days after the promise."""
    return c.order_late_cents[order] * max(0, days - c.order_promise_days[order])


@njit(cache=True, nogil=True)
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
