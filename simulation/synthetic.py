"""Made-up demand from a seed: one retail day as a wave, or weeks of orders as a history.

Popularity falls as a power of rank, orders have few lines, weights and prices are skewed, and customers live around the
markets of a network. What it is worth as evidence is nothing; as an example that looks like retail it is honest.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.calendar import MINUTES_PER_DAY, parse_day, weekday
from engine.network import Market, Network
from simulation.history import History, history_of
from simulation.networks import example
from simulation.placing import draw_places, shelves, split_units
from simulation.tables import NOT_SAID, TABLES, table_of
from solver.problem import Bools, Floats, Ints
from solver.wave import Line, Node, Order, Sku, Wave

COLD = "cold"
WEEKDAY_SHARE = np.array([1.14, 1.12, 1.08, 1.04, 1.0, 0.77, 0.85])
"""Orders by weekday, Monday first, relative to a mean day."""
HOUR_SHARE = np.array([25, 12, 6, 4, 3, 4, 8, 18, 36, 50, 61, 65, 62, 64, 65, 64, 66, 61, 58, 60, 63, 62, 52, 38])
"""Orders by hour of the day."""
FIRST_DAY = parse_day("2024-01-01")
DAYS_PER_YEAR = 365.25
MOST_ORDERS_DAY = parse_day("2024-12-15")
"""Around here a season of orders is at its top."""


def make_retail_day(
    orders: int = 2000, nodes: int = 40, seed: int = 0, *, cover: float = 3.5, pickup: float = 0.15
) -> Wave:
    """Make up one retail day, on the markets and tariffs of the `us` example.

    Parameters
    ----------
    nodes
        A tenth are warehouses, the rest stores.
    cover
        Units in stock over units asked for: about 10 on a usual day, 4 at a peak, 1.5 in a clearance.
    pickup
        The share of orders that are collected in a store.
    """
    assert orders >= 1, "a day has an order"
    assert nodes >= 1, "a network has a node"
    network = example("us")
    generator = np.random.default_rng([seed, orders, nodes])
    places = _Nodes.drawn(network, nodes, generator)
    goods = _Goods.drawn(max(200, orders // 2), generator)
    made = _orders(orders, places, goods, network.markets, pickup, generator)
    expected = goods.chance * sum(line.qty for order in made for line in order.lines)
    rank = np.argsort(np.argsort(goods.chance)) / len(goods.chance)
    handled = ~goods.cold[:, None] | places.cold
    share = shelves(places.is_store, handled, rank, generator)
    units = split_units(generator.poisson(np.maximum(cover * expected, 1.0)), share, generator)
    value = np.where(places.is_store, generator.choice([0, 0, 20, 60], units.shape), 0)
    return Wave(
        format="wave/1",
        nodes=places.rows(orders, generator),
        skus=goods.rows(),
        stock=[(f"N{j}", f"K{k}", int(units[k, j]), int(value[k, j])) for k, j in np.argwhere(units > 0).tolist()],
        services=network.services,
        orders=made,
    )


@dataclass(frozen=True)
class Demand:
    """How demand goes up and down over a made-up history.

    Attributes
    ----------
    season
        From 0 to below 1: how far orders rise above and fall below a mean day over the year; most in the middle of December.
    sku_season
        The same for each SKU by itself, each with its own time of the year.
    peaks
        Days counted from the first, and by what their orders are multiplied.
    promotions, promotion_days, promotion_share, promotion_lift
        So many times, drawn over the history, a share of the SKUs sells more by a factor, for some days.
    lines
        Lines of every order; `None` for one to eight, mostly one or two.
    """

    season: float = 0.0
    sku_season: float = 0.0
    peaks: tuple[tuple[int, float], ...] = ()
    promotions: int = 0
    promotion_days: int = 7
    promotion_share: float = 0.02
    promotion_lift: float = 5.0
    lines: int | None = None

    def __post_init__(self) -> None:
        assert 0 <= self.season < 1, "a season is a share of the mean day"
        assert 0 <= self.sku_season < 1, "a season is a share of the mean day"
        assert self.lines is None or self.lines >= 1, "an order has a line"


def make_history(
    days: int,
    orders_per_day: int,
    network: Network,
    seed: int = 0,
    *,
    first_day: int = FIRST_DAY,
    demand: Demand | None = None,
) -> History:
    """Make up weeks of orders around the markets of a network: repeat customers, cancellations and returns.

    Parameters
    ----------
    network
        Where customers live, which SKUs there are (made up where it has none), and where orders may be collected.
    first_day
        Counted from 1970-01-01.
    demand
        Seasons, peak days and promotions; none by default.
    """
    assert network.markets, "customers live in markets"
    demand = demand or Demand()
    generator = np.random.default_rng([seed, days, orders_per_day])
    placed = _arrivals(days, orders_per_day, first_day, demand, generator)
    count = len(placed)
    customer = np.minimum(generator.geometric(min(1.0, 3 / max(1, count)), count) - 1, 10**6)
    home = draw_places(network.markets, generator, int(customer.max(initial=0)) + 1)[customer]
    skus = [sku.id for sku in network.skus] or [f"K{k}" for k in range(max(50, 4 * orders_per_day))]
    goods = _Goods.drawn(len(skus), generator)
    collected, pickups = _collected(network, home, generator)
    names = np.array([f"O{i}" for i in range(count)], dtype=np.object_)
    orders = {
        "order": names,
        "placed_at": placed,
        "channel": np.array(["web", "app"], dtype=np.object_)[(generator.random(count) < 0.3).astype(np.int64)],
        "customer": [f"C{c}" for c in customer.tolist()],
        "lat": np.where(collected, np.nan, home[:, 0]),
        "lon": np.where(collected, np.nan, home[:, 1]),
        "pickup_nodes": pickups,
        "promise_days": generator.choice([2, 3, 5, 7], count, p=[0.2, 0.3, 0.35, 0.15]),
        "ship_complete": generator.random(count) < 0.05,
    }
    line_order, lines = _lines(placed, names, skus, goods, demand, generator)
    cancellations, returns = _troubles(placed, line_order, lines, generator)
    contents: dict[str, dict[str, Any]] = {
        "orders": orders,
        "lines": lines,
        "cancellations": cancellations,
        "returns": returns,
    }
    tables = {name: table_of(name, contents.get(name, {})) for name in TABLES}
    return history_of("made up", network.currency, tables, simulated=("history: made up from a seed",))


@dataclass(frozen=True, eq=False)
class _Goods:
    """What is sold: how often, how heavy, how dear, and how it must be kept or may travel."""

    chance: Floats
    weight_g: Ints
    price_cents: Ints
    cold: Bools
    no_air: Bools

    @classmethod
    def drawn(cls, count: int, generator: np.random.Generator) -> "_Goods":
        chance = 1 / np.arange(1, count + 1) ** 0.85
        generator.shuffle(chance)
        return cls(
            chance=chance / chance.sum(),
            weight_g=np.maximum(20, 700 * generator.lognormal(-0.4, 0.9, count)).astype(np.int64),
            price_cents=np.maximum(300, generator.lognormal(7.4, 0.8, count)).astype(np.int64),
            cold=generator.random(count) < 0.04,
            no_air=generator.random(count) < 0.03,
        )

    def rows(self) -> list[Sku]:
        return [
            Sku(f"K{k}", int(self.weight_g[k]), [COLD] if self.cold[k] else [], ["express"] if self.no_air[k] else [])
            for k in range(len(self.chance))
        ]


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Where nodes stand, and what they are."""

    point: Floats
    is_store: Bools
    cold: Bools

    @classmethod
    def drawn(cls, network: Network, count: int, generator: np.random.Generator) -> "_Nodes":
        warehouses = max(1, round(count / 10))
        known = [[node.lat, node.lon] for node in network.nodes if node.kind == "warehouse"][:warehouses]
        elsewhere = draw_places(network.markets, generator, count - len(known))
        is_store = np.arange(count) >= warehouses
        cold = (generator.random(count) < 0.5) | ~is_store
        return cls(np.concatenate([np.array(known).reshape(-1, 2), elsewhere]), is_store, cold)

    def nearest_stores(self, point: Floats, count: int) -> Ints:
        """The stores nearest to a point, on a flat map."""
        stores = np.flatnonzero(self.is_store)
        squares = ((self.point[stores] - point) ** 2).sum(axis=1)
        return stores[np.argsort(squares, kind="stable")[:count]]

    def rows(self, orders: int, generator: np.random.Generator) -> list[Node]:
        """Nodes that together can make a little more parcels than there are orders."""
        count = len(self.is_store)
        room = np.where(self.is_store, 1.0, 12.0) * generator.uniform(0.6, 1.4, count)
        parcels = np.ceil(1.4 * orders * room / room.sum()).astype(int)
        rows = []
        for j in range(count):
            store = bool(self.is_store[j])
            rows.append(
                Node(
                    id=f"N{j}",
                    kind="store" if store else "warehouse",
                    lat=float(self.point[j, 0]),
                    lon=float(self.point[j, 1]),
                    parcel_cents=int(generator.integers(60, 140) if store else generator.integers(30, 80)),
                    line_cents=int(generator.integers(25, 60) if store else generator.integers(10, 25)),
                    unit_cents=int(generator.integers(5, 20) if store else generator.integers(2, 8)),
                    ready_days=int(generator.random() < (0.4 if store else 0.2)),
                    tags=[COLD] if self.cold[j] else [],
                    capacity_parcels=int(parcels[j]),
                    capacity_units=int(np.ceil(1.6 * parcels[j])) + 2 if generator.random() < 0.3 else None,
                    overtime_cents=int(generator.choice([200, 350])) if generator.random() < 0.5 else None,
                )
            )
        return rows


def _orders(
    count: int,
    nodes: _Nodes,
    goods: _Goods,
    markets: tuple[Market, ...],
    pickup: float,
    generator: np.random.Generator,
) -> list[Order]:
    home = draw_places(markets, generator, count)
    line_count = np.minimum(generator.geometric(0.525, count), 8)
    sku = generator.choice(len(goods.chance), line_count.sum(), p=goods.chance).tolist()
    qty = generator.geometric(0.8, line_count.sum()).tolist()
    end = np.cumsum(line_count).tolist()
    promise = generator.choice([1, 2, 3, 5, 7], count, p=[0.05, 0.2, 0.3, 0.3, 0.15]).tolist()
    late = generator.choice([0, 150, 400, 1000], count, p=[0.1, 0.4, 0.35, 0.15]).tolist()
    complete = (generator.random(count) < 0.08).tolist()
    most = generator.choice([0, 1, 2, 3], count, p=[0.7, 0.05, 0.1, 0.15]).tolist()
    collect = (generator.random(count) < pickup) & nodes.is_store.any()
    orders = []
    for i in range(count):
        lines = [
            Line(f"K{sku[k]}", qty[k], int(2500 + goods.price_cents[sku[k]]))
            for k in range(end[i] - line_count[i], end[i])
        ]
        order = Order(f"O{i}", promise[i], late[i], complete[i], lines, max_parcels=most[i] or None)
        if collect[i]:
            order.pickup_nodes = [f"N{j}" for j in nodes.nearest_stores(home[i], 1 + i % 3).tolist()]
        else:
            order.lat, order.lon = float(home[i, 0]), float(home[i, 1])
        orders.append(order)
    return orders


def _arrivals(days: int, orders_per_day: int, first_day: int, demand: Demand, generator: np.random.Generator) -> Ints:
    """Minutes of orders, ascending: by season, peak, weekday and hour."""
    usual = WEEKDAY_SHARE / WEEKDAY_SHARE.mean()
    day = np.arange(first_day, first_day + days)
    mean = orders_per_day * usual[[weekday(int(d)) for d in day]] * _season(day, demand.season, MOST_ORDERS_DAY)
    for peak, factor in demand.peaks:
        assert 0 <= peak < days, f"day {peak} is not in the history"
        mean[peak] *= factor
    count = generator.poisson(mean)
    hour = generator.choice(24, count.sum(), p=HOUR_SHARE / HOUR_SHARE.sum())
    minute = np.repeat(day, count) * MINUTES_PER_DAY + hour * 60 + generator.integers(0, 60, count.sum())
    return np.sort(minute)


def _season(day: Ints, share: float, top: Floats | float) -> Floats:
    """What a day's demand is multiplied by, around 1, most on the day `top` of the year."""
    return np.asarray(1 + share * np.cos(2 * np.pi * (day - top) / DAYS_PER_YEAR))


def _collected(network: Network, home: Floats, generator: np.random.Generator) -> tuple[Bools, list[str | None]]:
    """A tenth of the orders is collected at the store nearest to the customer, where there are stores."""
    stores = [node for node in network.nodes if node.kind == "store"]
    if not stores:
        return np.zeros(len(home), dtype=np.bool_), [None] * len(home)
    collected = generator.random(len(home)) < 0.1
    here = np.flatnonzero(collected)
    nearest, least = np.zeros(len(home), dtype=np.int64), np.full(len(here), np.inf)
    for j, store in enumerate(stores):  # one after the other: all at once would be orders x stores numbers
        squares = (home[here, 0] - store.lat) ** 2 + (home[here, 1] - store.lon) ** 2
        nearest[here[squares < least]] = j
        least = np.minimum(least, squares)
    return collected, [stores[j].id if there else None for j, there in zip(nearest.tolist(), collected, strict=True)]


def _lines(
    placed: Ints,
    names: NDArray[np.object_],
    skus: list[str],
    goods: _Goods,
    demand: Demand,
    generator: np.random.Generator,
) -> tuple[Ints, dict[str, Any]]:
    count = len(placed)
    line_count = (
        np.minimum(generator.geometric(0.525, count), 8) if demand.lines is None else np.full(count, demand.lines)
    )
    total = int(line_count.sum())
    order = np.repeat(np.arange(count), line_count)
    sku = _wanted(placed[order] // MINUTES_PER_DAY, goods, demand, generator)
    return order, {
        "order": names[order],
        "line": np.arange(total) - np.repeat(np.cumsum(line_count) - line_count, line_count),
        "sku": np.array(skus, dtype=np.object_)[sku],
        "qty": generator.geometric(0.8, total),
        "unit_price_cents": goods.price_cents[sku],
        "unfilled_cents": np.full(total, NOT_SAID),
    }


def _wanted(day: Ints, goods: _Goods, demand: Demand, generator: np.random.Generator) -> Ints:
    """(L,) the SKU of each line, whose days ascend: by how often it sells, its season, and promotions."""
    drawn = generator.random(len(day))
    top = generator.random(len(goods.chance)) * DAYS_PER_YEAR
    if not len(day):
        return np.zeros(0, dtype=np.int64)
    first, last = int(day[0]), int(day[-1])
    begin = generator.integers(first, last + 1, demand.promotions)
    promoted = generator.random((demand.promotions, len(goods.chance))) < demand.promotion_share
    sku = np.zeros(len(day), dtype=np.int64)
    for today in range(first, last + 1):
        here = slice(*np.searchsorted(day, [today, today + 1]).tolist())
        on = (begin <= today) & (today < begin + demand.promotion_days)
        weight = goods.chance * _season(np.array(today), demand.sku_season, top)
        weight = np.where(promoted[on].any(axis=0), demand.promotion_lift * weight, weight)
        share = np.cumsum(weight)
        sku[here] = np.minimum(np.searchsorted(share, drawn[here] * share[-1], side="right"), len(share) - 1)
    return sku


def _troubles(
    placed: Ints, order: Ints, lines: dict[str, Any], generator: np.random.Generator
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two orders in a hundred are cancelled within a day and a half; six lines in a hundred of the others come back."""
    cancelled = (generator.random(len(placed)) < 0.02)[order]
    within = generator.integers(5, 36 * 60, len(placed))[order]
    comes_back = (generator.random(len(order)) < 0.06) & ~cancelled
    after = generator.integers(5 * MINUTES_PER_DAY, 21 * MINUTES_PER_DAY, len(order))
    return (
        _befell(placed[order] + within, lines, cancelled),
        _befell(placed[order] + after, lines, comes_back),
    )


def _befell(at: Ints, lines: dict[str, Any], which: Bools) -> dict[str, Any]:
    return {
        "at": at[which],
        "order": lines["order"][which],
        "line": lines["line"][which],
        "units": lines["qty"][which],
    }
