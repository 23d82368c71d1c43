"""A shop to put load on: 40 nodes, some thousand SKUs of skewed popularity, orders of three lines."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from engine.catalogue import put_network
from engine.database import Database, Tx
from engine.entries import ChannelEntry, put_channels
from engine.facts import OrderedLine, OrderPlaced, Place
from engine.network import Hours, Network, Node, Terms, Weekday
from solver.wave import Service, Sku

NOW = 1_772_535_600_000
"""2026-03-03, noon."""
LINES = 3
SKEW = 0.8
"""Popularity falls as this power of the rank: the first of 5,000 SKUs is in about one line of twenty."""
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Shop:
    """How large the shop is, and with what it is drawn."""

    nodes: int = 40
    skus: int = 5_000
    stock: int = 200
    stocked: float = 0.5
    seed: int = 7


def network_of(shop: Shop) -> Network:
    """Warehouses and stores over a country, each with stock of a share of the SKUs."""
    rng = np.random.default_rng(shop.seed)
    lat, lon = rng.uniform(47.5, 55.0, shop.nodes), rng.uniform(6.0, 15.0, shop.nodes)
    here = rng.random((shop.skus, shop.nodes)) < shop.stocked
    here[:, 0] = True
    warehouses = max(1, shop.nodes // 10)
    nodes = tuple(
        Node(
            id=f"N{j:03}", kind="warehouse" if j < warehouses else "store", lat=float(lat[j]), lon=float(lon[j]),
            parcel_cents=60 if j < warehouses else 90, line_cents=15, unit_cents=3, ready_days=0, tags=[],
            calendar="daily", cut_off_minute=1020, capacity_parcels=None, capacity_units=None, overtime_cents=None,
        )
        for j in range(shop.nodes)
    )  # fmt: skip
    steps = [1000, 2000, 5000, 10_000]
    cards = {"next": (1, 550), "standard": (2, 390), "slow": (4, 310)}
    services = [
        Service(
            id=name, zone_km=[100.0, 300.0, 1000.0], steps_g=steps, over_cents_per_kg=[40, 50, 60],
            cents=[[base + 60 * z + 45 * s for s in range(4)] for z in range(3)], transit_days=[days, days, days + 1],
        )
        for name, (days, base) in cards.items()
    ]  # fmt: skip
    return Network(
        format="network/1", currency="EUR", simulated=(), markets=(), receipts=[], nodes=nodes, services=services,
        calendars=(Hours(id="daily", open_weekdays=WEEK, closed=()),),
        skus=[Sku(id=f"S{k:05}", weight_g=int(rng.integers(100, 2000)), requires=[], no_services=[]) for k in range(shop.skus)],
        stock=[(f"N{j:03}", f"S{k:05}", shop.stock, 0) for k, j in np.argwhere(here).tolist()],
        terms=Terms(promise_days=5, late_cents=150, unfilled_cents=3000, unfilled_percent=0, wait_cents_per_day=10,
                    cancel_after_days=30, restock_days=2),
    )  # fmt: skip


def open_shop(database: Database, shop: Shop) -> None:
    """Put the shop into an empty database."""

    def act(tx: Tx) -> None:
        put_network(tx, network_of(shop), NOW)
        put_channels(tx, [ChannelEntry(id="web")], NOW)

    database.write(act)


class Customers:
    """Draws orders; each is another one.

    Parameters
    ----------
    hot
        Whether the most popular SKU is in every order.
    prefix
        Of the ids of the orders.
    """

    def __init__(self, shop: Shop, seed: int, *, hot: bool = False, prefix: str = "c") -> None:
        self._rng = np.random.default_rng(seed)
        self._shop, self._hot, self._prefix, self._number = shop, hot, prefix, count()
        popularity = 1.0 / np.arange(1, shop.skus + 1) ** SKEW
        self._chance = popularity / popularity.sum()

    def orders(self, number: int) -> list[OrderPlaced]:
        """So many orders."""
        shape = (number, LINES)
        sku = self._rng.choice(self._shop.skus, size=shape, p=self._chance)
        if self._hot:
            sku[:, 0] = 0
        lat, lon = self._rng.uniform(47.5, 55.0, number), self._rng.uniform(6.0, 15.0, number)
        return [
            OrderPlaced(
                at=NOW,
                channel="web",
                external_id=f"{self._prefix}{next(self._number)}",
                lines=tuple(OrderedLine(sku=f"S{k:05}", qty=1) for k in sorted({*sku[i].tolist()})),
                place=Place(lat=round(float(lat[i]), 4), lon=round(float(lon[i]), 4)),
            )
            for i in range(number)
        ]
