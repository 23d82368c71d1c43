"""A sample shop to try things on: a network, a catalogue, stock, what is to come, and orders that wait to be decided.

Everything is made up from a seed around one moment. What was loaded first stays: loading again finds its moment written down, makes
the same, and changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from engine.calendar import MINUTES_PER_DAY, MS_PER_MINUTE, format_day, format_minute
from engine.catalogue import put_network
from engine.database import Database, Tx, decoded
from engine.entries import ChannelEntry, SkuEntry, change_entry, put_channels, put_skus, write_setting
from engine.facts import OrderedLine, OrderPlaced, Place
from engine.network import Network
from engine.placing import place as place_orders
from simulation.history import History
from simulation.networks import example
from simulation.placing import Supply, place
from simulation.synthetic import make_history
from solver.problem import Bools, Ints
from solver.refusal import Refusal
from solver.wave import Sku

TOGETHER = 500
"""Orders that are placed in one transaction."""
DAYS_BEFORE, DAYS = 4, 28
"""When its demand begins, and how long it goes on: orders are those up to now, stock and receipts are for all of it."""
SUPPLY = Supply(cover_weeks=1.0, level=1.0)
LARGE_G = 1500
CHANNEL_SHARE = {"web": 0.55, "marketplace": 0.25, "store": 0.12, "phone": 0.08}
CHANNELS = (
    ChannelEntry(
        id="marketplace", safety=1,
        rules=(
            {"rule": "exclude_nodes", "name": "no_stores_for_marketplace", "kinds": ["store"]},
            {"rule": "max_parcels", "name": "marketplace_two_parcels", "parcels": 2},
        ),
    ),
    ChannelEntry(id="phone", rules=({"rule": "max_distance", "name": "near_the_customer", "km": 2500, "cents": 40},)),
    ChannelEntry(id="store", rules=({"rule": "same_region", "name": "own_region_first", "cents": 25},)),
    ChannelEntry(
        id="web",
        rules=(
            {"rule": "exclude_nodes", "name": "no_large_parcels_from_stores", "kinds": ["store"], "sku_tags": ["large"]},
            {"rule": "ring_fence", "name": "kept_for_collection", "kinds": ["store"], "units": 1},
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """What is loaded.

    Attributes
    ----------
    holidays
        By calendar, whose public holidays are closed days.
    regions
        By node.
    kits
        SKUs made of others; `tags` and the pre-order are on SKUs of the network.
    """

    at: int
    network: Network
    holidays: dict[str, str]
    regions: dict[str, str]
    tags: dict[str, tuple[str, ...]]
    preorder: dict[str, tuple[int, int]]
    kits: tuple[SkuEntry, ...]
    channels: tuple[ChannelEntry, ...]
    orders: tuple[OrderPlaced, ...]


@dataclass(frozen=True)
class Loaded:
    """What a sample comes to; `new` is how many of its orders were not there before."""

    nodes: int
    skus: int
    stock_units: int
    inbound: int
    orders: int
    new: int
    refused: int


def make_sample(at: int, *, seed: int = 0, orders: int = 3000, skus: int = 1000) -> Sample:
    """Make up a shop on the `us` example.

    Parameters
    ----------
    at
        Milliseconds: orders came in up to then, and receipts come after.
    """
    assert orders >= 1, "a sample has an order"
    assert skus >= 20, "a sample has some SKUs"
    minute, today = at // MS_PER_MINUTE, at // MS_PER_MINUTE // MINUTES_PER_DAY
    generator = np.random.default_rng([seed, orders, skus])
    network = _network(example("us"), today, orders, skus, generator)
    per_day = max(1, orders // 2)
    history = make_history(DAYS, per_day, network, seed, first_day=today - DAYS_BEFORE)
    placed = place(history, network, seed, SUPPLY)
    history = placed.history
    later = history.receipt_at > minute
    receipts = [
        (format_minute(when), history.node_id[node], history.sku_id[sku], units)
        for when, node, sku, units in zip(
            history.receipt_at[later].tolist(), history.receipt_node[later].tolist(),
            history.receipt_sku[later].tolist(), history.receipt_units[later].tolist(), strict=True,
        )
    ]  # fmt: skip
    network = msgspec.structs.replace(placed.network, receipts=receipts)
    kits = _kits(network, generator)
    names = [sku.id for sku in network.skus]
    return Sample(
        at=at,
        network=network,
        holidays={"warehouse": "US"},
        regions=_regions(network),
        tags={sku.id: ("large",) for sku in network.skus if sku.weight_g >= LARGE_G},
        preorder={names[-1]: (50, today + 21)},
        kits=kits,
        channels=CHANNELS,
        orders=_orders(history, network, kits, minute, orders, generator),
    )


def load_sample(
    database: Database,
    at: int,
    *,
    seed: int = 0,
    orders: int = 3000,
    skus: int = 1000,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Loaded:
    """Put a sample into a database; its orders are open and wait for a wave.

    Parameters
    ----------
    at
        Milliseconds, now; where a sample was loaded (or half loaded) before, the moment of that one counts.
    told
        Called with the orders placed so far, and all.

    Raises
    ------
    Refusal
        `other_sample`: one with another seed or size is there.
    """
    wanted = {"seed": seed, "orders": orders, "skus": skus}
    at = database.write(lambda tx: _moment(tx, wanted, at))
    sample = make_sample(at, seed=seed, orders=orders, skus=skus)
    database.write(lambda tx: _put(tx, sample))
    new = refused = 0
    for low in range(0, len(sample.orders), TOGETHER):
        batch = sample.orders[low : low + TOGETHER]
        outcomes = [answer.outcome for answer in database.write(lambda tx, batch=batch: place_orders(tx, batch))]  # type: ignore[misc]
        new += outcomes.count("new")
        refused += outcomes.count("refused")
        told(low + len(batch), len(sample.orders))
    return Loaded(
        nodes=len(sample.network.nodes),
        skus=len(sample.network.skus) + len(sample.kits),
        stock_units=sum(row[2] for row in sample.network.stock),
        inbound=len(sample.network.receipts),
        orders=len(sample.orders),
        new=new,
        refused=refused,
    )


def _moment(tx: Tx, wanted: dict[str, int], at: int) -> int:
    found = tx.first("SELECT value FROM setting WHERE name = 'sample'")
    if found is None:
        write_setting(tx, "sample", {**wanted, "at": at}, at)
        return at
    there = decoded(found[0])
    if {name: there[name] for name in wanted} != wanted:
        told = ", ".join(f"{name} {there[name]}" for name in wanted)
        raise Refusal("sample", f"another sample is loaded here ({told}); use an empty database", "other_sample")
    return int(there["at"])


def _put(tx: Tx, sample: Sample) -> None:
    """Write what is not there yet; what somebody changed since stays as it is now."""
    if tx.first("SELECT 1 FROM channel WHERE id = :id", id=sample.channels[0].id):
        return
    put_network(tx, sample.network, sample.at)
    for calendar, country in sample.holidays.items():
        change_entry(tx, "calendar", calendar, {"holidays": country}, sample.at)
    for node, region in sample.regions.items():
        change_entry(tx, "node", node, {"region": region}, sample.at)
    for sku, tags in sample.tags.items():
        change_entry(tx, "sku", sku, {"tags": tags}, sample.at)
    for sku, (limit, day) in sample.preorder.items():
        change_entry(tx, "sku", sku, {"presale_limit": limit, "sale_day": day}, sample.at)
    put_skus(tx, sample.kits, sample.at)
    put_channels(tx, sample.channels, sample.at)


def _network(network: Network, today: int, orders: int, skus: int, generator: np.random.Generator) -> Network:
    """The example with SKUs, with calendars of these years, and with nodes that can make a little more than a day's orders."""
    grams = np.maximum(20, 400 * generator.lognormal(0, 0.9, skus)).astype(np.int64).tolist()
    total = sum(node.capacity_parcels or 0 for node in network.nodes)
    room = 1.3 * orders / total
    year = int(format_day(today)[:4])
    christmas = tuple(f"{year + more}-12-25" for more in range(-1, 3))
    return msgspec.structs.replace(
        network,
        # dear enough that an order of one cheap thing is worth its carriage
        terms=msgspec.structs.replace(network.terms, unfilled_cents=2500),
        calendars=tuple(msgspec.structs.replace(c, closed=christmas) for c in network.calendars),
        nodes=tuple(
            msgspec.structs.replace(
                node, capacity_parcels=None if node.capacity_parcels is None else int(node.capacity_parcels * room) + 1
            )
            for node in network.nodes
        ),
        skus=[Sku(f"SKU-{k:04}", g, [], ["express"] if g > 20_000 else []) for k, g in enumerate(grams)],
    )


def _regions(network: Network) -> dict[str, str]:
    """The region of the nearest market, by node."""
    at = [[node.lat, node.lon] for node in network.nodes]
    return {node.id: region for node, region in zip(network.nodes, _near(network, np.array(at)), strict=True)}


def _near(network: Network, point: np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    market = np.array([[market.lat, market.lon] for market in network.markets])
    nearest = ((point[:, None, :] - market[None, :, :]) ** 2).sum(axis=2).argmin(axis=1)
    return [network.markets[m].region for m in nearest.tolist()]


def _kits(network: Network, generator: np.random.Generator) -> tuple[SkuEntry, ...]:
    """Ten kits of two or three SKUs, of those that lie at most nodes."""
    held: dict[str, int] = {}
    for _, sku, _, _ in network.stock:
        held[sku] = held.get(sku, 0) + 1
    common = sorted(held, key=lambda sku: (-held[sku], sku))[:30]
    grams = {sku.id: sku.weight_g for sku in network.skus}
    kits = []
    for n in range(min(10, len(common) // 3)):
        own = common[3 * n : 3 * n + 2 + n % 2]
        parts = {sku: int(units) for sku, units in zip(own, generator.integers(1, 3, len(own)), strict=True)}
        weight = sum(grams[sku] * units for sku, units in parts.items())
        kits.append(SkuEntry(id=f"KIT-{n:02}", weight_g=weight, tags=("kit",), parts=parts))
    return tuple(kits)


def _orders(
    history: History,
    network: Network,
    kits: tuple[SkuEntry, ...],
    minute: int,
    count: int,
    generator: np.random.Generator,
) -> tuple[OrderPlaced, ...]:
    """The last orders up to now; one in thirty asks for a kit besides."""
    last = int(np.searchsorted(history.order_placed_at, minute, side="right"))
    chosen = np.arange(max(0, last - count), last)
    point = np.stack([history.order_lat[chosen], history.order_lon[chosen]], axis=1)
    collected: Bools = np.isnan(point[:, 0])
    region = _near(network, np.where(collected[:, None], 0.0, point))
    channel = generator.choice(list(CHANNEL_SHARE), len(chosen), p=list(CHANNEL_SHARE.values())).tolist()
    with_kit = generator.random(len(chosen)) < 1 / 30
    kit: Ints = generator.integers(0, max(1, len(kits)), len(chosen))
    placed = []
    for n, i in enumerate(chosen.tolist()):
        span = range(history.order_line_start[i], history.order_line_start[i + 1])
        lines = [
            OrderedLine(sku=history.sku_id[history.line_sku[line]], qty=int(history.line_qty[line]),
                        price_cents=int(history.line_price_cents[line])) for line in span
        ]  # fmt: skip
        if with_kit[n] and kits:
            lines.append(OrderedLine(sku=kits[kit[n]].id, qty=1, price_cents=4900))
        nodes = history.pickup_node[history.order_pickup_start[i] : history.order_pickup_start[i + 1]]
        when = int(history.order_placed_at[i])
        where = None if collected[n] else Place(lat=float(point[n, 0]), lon=float(point[n, 1]), region=region[n])
        placed.append(
            OrderPlaced(
                at=when * MS_PER_MINUTE,
                channel="web" if collected[n] else channel[n],
                external_id=f"S-{i + 1:06}",
                lines=tuple(lines),
                place=where,
                pickup=tuple(history.node_id[j] for j in nodes.tolist()),
                # nobody is promised a day that has passed
                promise_day=max(when, minute) // MINUTES_PER_DAY + int(history.order_promise_days[i]),
                ship_complete=bool(history.order_ship_complete[i]),
            )
        )
    return tuple(placed)


__all__ = ["Loaded", "Sample", "load_sample", "make_sample"]
