"""Random small waves for property tests: every feature of the format, on worlds that can be solved in an instant.

Drawn values favour the first of each list, with which goods can ship: a world where none can tests nothing.
"""

from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET

from solver.wave import Line, Node, Order, Service, Sku, Wave

PLACES = st.sampled_from([0.0, 0.5, 2.0, 1.0, 0.25, 4.0, 30.0])
"""Degrees east on the equator; the last is beyond every band of most services."""
BANDS_KM = st.sampled_from([[250.0, 500.0], [60.0, 20_100.0], [60.0, 250.0], [500.0], [60.0]])
STEPS_G = st.sampled_from([[500], [1000, 1500], [0, 700, 2500], [300, 600, 900]])
TAGS = st.sampled_from([["cold", "large"], ["cold", "large"], ["cold"], ["large"], []])


@st.composite
def small_waves(draw: st.DrawFn, max_orders: int = 5) -> Wave:
    """Waves of 2-4 nodes, 1-4 SKUs, 1-3 services and 1-`max_orders` orders."""
    skus = [
        Sku(
            id=f"K{k}",
            weight_g=draw(st.sampled_from([500, 200, 900, 0, 1600, 4200])),
            requires=draw(st.sampled_from([[], [], ["cold"], ["cold", "large"]])),
            no_services=draw(st.sampled_from([[], [], ["S0"]])),
        )
        for k in range(draw(st.integers(1, 4)))
    ]
    nodes = [draw(_nodes(f"N{j}")) for j in range(draw(st.integers(2, 4)))]
    held = st.sampled_from([3, None, 1, 2, 5, None, 0])
    amounts = [(node.id, sku.id, draw(held), draw(st.sampled_from([0, 0, 40, 900]))) for node in nodes for sku in skus]
    return Wave(
        format="wave/1",
        nodes=nodes,
        skus=skus,
        stock=[(node, sku, units, value) for node, sku, units, value in amounts if units is not None],
        services=[draw(_services(f"S{s}")) for s in range(draw(st.integers(1, 3)))],
        orders=[draw(_orders(f"O{o}", nodes, skus)) for o in range(draw(st.integers(1, max_orders)))],
    )


@st.composite
def _nodes(draw: st.DrawFn, name: str) -> Node:
    return Node(
        id=name,
        kind="warehouse" if draw(st.booleans()) else "store",
        lat=0.0,
        lon=draw(PLACES),
        parcel_cents=draw(st.sampled_from([50, 0, 300])),
        line_cents=draw(st.sampled_from([0, 10, 60])),
        unit_cents=draw(st.sampled_from([0, 1, 20])),
        ready_days=draw(st.integers(0, 2)),
        tags=draw(TAGS),
        capacity_parcels=draw(st.sampled_from([None, None, None, 2, 1, 3, 0])),
        capacity_units=draw(st.sampled_from([None, None, None, 4, 2, 1, 0])),
        overtime_cents=draw(st.sampled_from([150, None, 2000, 0])),
    )


@st.composite
def _services(draw: st.DrawFn, name: str) -> Service:
    """A service whose tariff may reward splitting as well as gathering: its rises are in no order."""
    bands, steps = draw(BANDS_KM), draw(STEPS_G)
    rises = st.lists(st.sampled_from([0, 0, 30, 200, 900]), min_size=len(steps), max_size=len(steps))
    cents = []
    for _ in bands:
        total = draw(st.sampled_from([0, 150, 500]))
        cents.append([total := total + rise for rise in draw(rises)])
    return Service(
        id=name,
        zone_km=bands,
        steps_g=steps,
        cents=cents,
        over_cents_per_kg=[draw(st.sampled_from([0, 70, 400])) for _ in bands],
        transit_days=[draw(st.integers(0, 4)) for _ in bands],
    )


@st.composite
def _orders(draw: st.DrawFn, name: str, nodes: list[Node], skus: list[Sku]) -> Order:
    where: dict[str, Any] = {"lat": 0.0, "lon": draw(PLACES)}
    if draw(st.sampled_from([False, False, True])):
        ids = st.sampled_from([node.id for node in nodes])
        where = {"pickup_nodes": draw(st.lists(ids, unique=True, min_size=1, max_size=2))}
    lines = [
        Line(
            sku=draw(st.sampled_from([sku.id for sku in skus])),
            qty=draw(st.sampled_from([1, 2, 1, 4])),
            unfilled_cents=draw(st.sampled_from([3000, 9000, 1000, 300, 0])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return Order(
        id=name,
        promise_days=draw(st.integers(0, 4)),
        late_cents=draw(st.sampled_from([0, 50, 700])),
        ship_complete=draw(st.sampled_from([False, False, True])),
        lines=lines,
        max_parcels=draw(st.sampled_from([UNSET, None, 1, 2])),
        **where,
    )
