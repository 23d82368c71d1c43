"""Placing a history on a network: what neither of them says is drawn from a seed, and named in `simulated`.

Each kind of draw has a stream of its own, so that one that is not needed leaves the others as they are.
"""

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.network import Market, Network, columns_of
from simulation.history import History
from simulation.receiving import RECEIVED_MINUTE, Weekly, receive_weekly
from simulation.tables import NOT_SAID
from solver.problem import EXACT_CENTS, Bools, Floats, Ints
from solver.refusal import Refusal
from solver.wave import Sku

ADDRESSES, WEIGHTS, SHELVES, RECEIPTS = range(4)
SPREAD_DEGREES = 0.12
"""How far around a market its customers live (standard deviation)."""
MOST_DAYS_LATE = 200_000
"""More days than any parcel can be late."""


@dataclass(frozen=True)
class Supply:
    """How stock and receipts are drawn from what a history asks for in total.

    Attributes
    ----------
    cover_weeks
        Weeks of demand that lie on the shelves at the beginning.
    level
        Units received over units asked for: below 1 the network runs short in the long run.
    noise
        How wrong each week's receipt of a SKU is (standard deviation of the logarithm).
    weight_g, weight_spread
        Median weight of a SKU, and the standard deviation of its logarithm.
    """

    cover_weeks: float = 4.0
    level: float = 1.05
    noise: float = 0.4
    weight_g: int = 220
    weight_spread: float = 0.9


@dataclass(frozen=True, eq=False)
class Placed:
    """A history on a network, with nothing left open; both use the same SKUs and nodes, by index.

    Attributes
    ----------
    later
        Minutes, ascending, and the network as it is from each of them on: the same nodes, SKUs and services in the same
        places. What lies on its shelves or comes in is not looked at: that is the history's, and the first network's.
    past
        What was ordered before the history begins, where it is known: neither replayed nor billed, but for forecasts to look at.
    announced_days
        How many days before it comes a receipt is known; `None`: all are known from the beginning.
    simulated
        Everything that was drawn or assumed, by the source, the network or the placing.
    """

    network: Network
    history: History
    seed: int
    later: tuple[tuple[int, Network], ...] = ()
    past: History | None = None
    announced_days: int | None = None

    @property
    def simulated(self) -> tuple[str, ...]:
        return self.history.simulated


def place(history: History, network: Network, seed: int = 0, supply: Supply | Weekly | None = None) -> Placed:
    """Complete a history on a network: SKUs and weights, stock and receipts, addresses, promises and penalties.

    What the history or the network says is kept. Stock and receipts are drawn only where neither says anything of them.

    Parameters
    ----------
    supply
        How they are drawn: around the whole history's demand (`Supply`), or week by week from the past alone (`Weekly`, which
        takes the first weeks away as past, and keeps them as such).

    Raises
    ------
    Refusal
        Another currency, a SKU or node that the network lacks, nowhere to draw a destination, amounts beyond exactness.
    """
    supply = supply or Supply()
    drawn = supply if isinstance(supply, Supply) else Supply()
    if history.currency != network.currency:
        raise Refusal(
            "currency", f"the history is in {history.currency}, the network in {network.currency}", "currency"
        )
    labels = list(dict.fromkeys((*history.simulated, *network.simulated)))
    network = _with_skus(history, network, seed, drawn, labels)
    history = _on_nodes(history, network)
    history = _with_addresses(history, network, seed, labels)
    history = _with_terms(history, network, labels)
    network, history, past = _with_supply(history, network, seed, supply, labels)
    network = msgspec.structs.replace(network, simulated=tuple(labels))
    _check_amounts(history, network)
    announced = supply.announced_days if past is not None and isinstance(supply, Weekly) else None
    return Placed(network, replace(history, simulated=tuple(labels)), seed, past=past, announced_days=announced)


def shelves(is_store: Bools, handled: Bools, popularity: Floats, generator: np.random.Generator) -> Floats:
    """Draw which nodes hold which SKUs: (K, J) shares of a SKU's units, 0 where a node does not hold it.

    Warehouses hold nearly all SKUs and much of each, stores the popular ones and little of each; nobody holds what they
    cannot handle.

    Parameters
    ----------
    is_store
        (J,) which nodes are stores.
    handled
        (K, J) which nodes may hold which SKUs.
    popularity
        (K,) from 0 to 1, the share of SKUs that sell less.
    """
    chance = np.where(is_store, 0.4 * popularity[:, None], 0.95)
    held = (generator.random(handled.shape) < chance) & handled
    lonely = ~held.any(axis=1)
    held[lonely] = handled[lonely]
    weight = np.where(is_store, 1.0, 10.0) * generator.lognormal(0, 0.4, handled.shape)
    share = np.where(held, weight, 0.0)
    total = share.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(share, total, out=np.zeros_like(share), where=total > 0))


def split_units(units: Ints, share: Floats, generator: np.random.Generator) -> Ints:
    """Draw (K, J) where the units of each SKU lie, by the shares of the nodes; what nobody may hold lies nowhere."""
    held = share.sum(axis=1) > 0
    exact = np.where(held[:, None], share, 1.0)
    drawn = generator.multinomial(np.where(held, units, 0), exact / exact.sum(axis=1, keepdims=True))
    return np.asarray(drawn, dtype=np.int64)


def draw_places(markets: tuple[Market, ...], generator: np.random.Generator, count: int) -> Floats:
    """Draw (count, 2) addresses around markets, by their weight."""
    weight = np.array([market.weight for market in markets], dtype=np.float64)
    chosen = generator.choice(len(markets), count, p=weight / weight.sum())
    centre = np.array([[market.lat, market.lon] for market in markets])
    point = centre[chosen] + generator.normal(0, SPREAD_DEGREES, (count, 2))
    return np.asarray(np.clip(point, [-90, -180], [90, 180]).round(5))


def _stream(seed: int, kind: int) -> np.random.Generator:
    return np.random.default_rng([seed, kind])


def _with_skus(history: History, network: Network, seed: int, supply: Supply, labels: list[str]) -> Network:
    if network.skus:
        return network
    labels.append("weights: drawn for each SKU")
    names = sorted(history.sku_id)
    grams = supply.weight_g * _stream(seed, WEIGHTS).lognormal(0, supply.weight_spread, len(names))
    skus = [Sku(name, int(max(5, g)), [], []) for name, g in zip(names, grams, strict=True)]
    return msgspec.structs.replace(network, skus=skus)


def _on_nodes(history: History, network: Network) -> History:
    """Count SKUs and nodes as the network does."""
    sku_at = {sku.id: k for k, sku in enumerate(network.skus)}
    node_at = {node.id: j for j, node in enumerate(network.nodes)}
    for what, names, at in [("SKU", history.sku_id, sku_at), ("node", history.node_id, node_at)]:
        unknown = [name for name in names if name not in at]
        if unknown:
            more = f" ({len(unknown)} are unknown)" if len(unknown) > 1 else ""
            raise Refusal(
                "the history", f"{unknown[0]!r} is not a {what} of the network{more}", f"unknown_{what.lower()}"
            )
    sku = np.array([sku_at[name] for name in history.sku_id], dtype=np.int64)
    node = np.array([node_at[name] for name in history.node_id], dtype=np.int64)
    return replace(
        history,
        sku_id=tuple(sku_at),
        node_id=tuple(node_at),
        line_sku=sku[history.line_sku],
        receipt_sku=sku[history.receipt_sku],
        receipt_node=node[history.receipt_node],
        pickup_node=node[history.pickup_node],
        count_sku=sku[history.count_sku],
        count_node=node[history.count_node],
    )


def _with_addresses(history: History, network: Network, seed: int, labels: list[str]) -> History:
    """Draw where orders without address or pickup go: a market of their region, the same customer to the same place."""
    nowhere = np.isnan(history.order_lat) & (np.diff(history.order_pickup_start) == 0)
    if not nowhere.any():
        return history
    if not network.markets:
        raise Refusal("markets", "is empty, and orders of the history have no destination", "no_markets")
    labels.append("destinations: drawn for each customer")
    by_region: dict[str, list[Market]] = {}
    for market in network.markets:
        by_region.setdefault(market.region, []).append(market)
    generator = _stream(seed, ADDRESSES)
    lat, lon = history.order_lat.copy(), history.order_lon.copy()
    for region in sorted(set(history.order_region[nowhere].tolist())):
        name = history.region_id[region] if region >= 0 else None
        here = np.flatnonzero(nowhere & (history.order_region == region))
        # a customer's orders share a draw; an order without a customer has its own
        who = np.where(history.order_customer[here] >= 0, history.order_customer[here], -2 - here)
        people, of = np.unique(who, return_inverse=True)
        point = draw_places(tuple(by_region.get(name or "", network.markets)), generator, len(people))[of]
        lat[here], lon[here] = point[:, 0], point[:, 1]
    return replace(history, order_lat=lat, order_lon=lon)


def _with_terms(history: History, network: Network, labels: list[str]) -> History:
    """Fill what the history leaves open from the terms of the network."""
    terms = network.terms
    price = np.maximum(0, history.line_price_cents)
    usual = terms.unfilled_cents + price * terms.unfilled_percent // 100
    wanted: list[tuple[str, Ints, str]] = [
        ("order_promise_days", np.full(history.orders, terms.promise_days), "promises"),
        ("order_late_cents", np.full(history.orders, terms.late_cents), "cost of lateness"),
        ("line_unfilled_cents", usual, "cost of units left open"),
    ]
    for name, value, label in wanted:
        column: Ints = getattr(history, name)
        missing: Bools = column == NOT_SAID
        if missing.any():
            labels.append(f"{label}: the terms of the network")
            history = replace(history, **{name: np.where(missing, value, column)})  # type: ignore[arg-type]
    return history


def _with_supply(
    history: History, network: Network, seed: int, supply: Supply | Weekly, labels: list[str]
) -> tuple[Network, History, History | None]:
    """Take stock and receipts as they are said, or draw both from what the history asks for; part off what is only past."""
    if network.stock or network.receipts or len(history.receipt_at):
        given = columns_of(network).receipts
        by = np.argsort(np.concatenate([history.receipt_at, given.at]), kind="stable")
        received = replace(
            history,
            receipt_at=np.concatenate([history.receipt_at, given.at])[by],
            receipt_node=np.concatenate([history.receipt_node, given.node])[by],
            receipt_sku=np.concatenate([history.receipt_sku, given.sku])[by],
            receipt_units=np.concatenate([history.receipt_units, given.units])[by],
        )
        return network, received, None
    if not history.orders:
        return network, history, None
    if isinstance(supply, Weekly):
        labels.append(
            f"stock and receipts: each week {supply.cover:g} times a forecast from the {supply.weeks} weeks before it, "
            f"by the population around nodes; the first {supply.weeks} weeks are past"
        )
        return receive_weekly(history, network, supply, _stream(seed, RECEIPTS))
    labels.append("stock and receipts: drawn around the history's own weekly demand")
    first = int(history.order_placed_at[0]) // MINUTES_PER_DAY
    demand = _weekly_demand(history, first, len(network.skus))
    rank = np.argsort(np.argsort(demand.sum(axis=1), kind="stable"), kind="stable")
    columns = columns_of(network)
    handled = columns.kind_handled[columns.sku_kind]
    share = shelves(columns.empty.node_is_store, handled, rank / max(1, len(rank)), _stream(seed, SHELVES))
    generator = _stream(seed, RECEIPTS)
    start = generator.poisson(supply.cover_weeks * demand[:, : max(2, int(supply.cover_weeks))].mean(axis=1))
    node_id = [node.id for node in network.nodes]
    units = split_units(start, share, generator)
    stock = [(node_id[j], network.skus[k].id, int(units[k, j]), 0) for k, j in np.argwhere(units > 0).tolist()]
    at, node, sku, count = _weekly_receipts(demand, share, first, supply, generator)
    drawn = replace(history, receipt_at=at, receipt_node=node, receipt_sku=sku, receipt_units=count)
    return msgspec.structs.replace(network, stock=stock), drawn, None


def _weekly_demand(history: History, first: int, skus: int) -> Floats:
    """(K, W) units asked for in each week, smoothed over its neighbours; what a customer cancels is not asked for."""
    qty = history.line_qty.copy()
    np.subtract.at(qty, history.cancel_line, history.cancel_units)
    week = (history.order_placed_at[history.line_order] // MINUTES_PER_DAY - first) // 7
    demand = np.zeros((skus, int(week[-1]) + 1))
    np.add.at(demand, (history.line_sku, week), qty)
    padded = np.pad(demand, ((0, 0), (1, 1)), mode="edge")
    return np.asarray(0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:])


def _weekly_receipts(
    demand: Floats, share: Floats, first: int, supply: Supply, generator: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    """Draw each week's receipts: what the next week asks for, more or less, on each node's own weekday."""
    ats, nodes, skus, counts = [], [], [], []
    for week in range(1, demand.shape[1]):
        guess = generator.lognormal(-(supply.noise**2) / 2, supply.noise, len(demand))
        units = split_units(generator.poisson(supply.level * demand[:, week] * guess), share, generator)
        sku, node = np.nonzero(units)
        ats.append((first + 7 * week + node % 5 - 2) * MINUTES_PER_DAY + RECEIVED_MINUTE)
        nodes.append(node)
        skus.append(sku)
        counts.append(units[sku, node])
    none = np.zeros(0, dtype=np.int64)
    at, node, sku, count = (np.concatenate([none, *column]).astype(np.int64) for column in (ats, nodes, skus, counts))
    by = np.argsort(at, kind="stable")
    return at[by], node[by], sku[by], count[by]


def _check_amounts(history: History, network: Network) -> None:
    """Refuse what could cost more, all orders together and each unit by itself, than whole cents count exactly."""
    columns = columns_of(network).empty
    usual = [columns.node_parcel_cents, columns.node_line_cents, columns.node_unit_cents, columns.node_overtime_cents]
    worth = float(max((row[3] for row in network.stock), default=0))
    dearest = worth + sum(float(column.max(initial=0)) for column in (*usual, columns.service_cents))
    late = float(history.order_late_cents.max(initial=0)) * MOST_DAYS_LATE
    weight = columns.sku_weight_g[history.line_sku] / 1000 + 1
    per_unit = history.line_unfilled_cents + dearest + late + weight * float(columns.service_over_cents.max(initial=0))
    if float((history.line_qty * per_unit).sum()) >= EXACT_CENTS:
        raise Refusal("the history", "on this network it could cost more than whole cents can count", "too_large")
