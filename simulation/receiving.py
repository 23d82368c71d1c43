"""Weekly receipts from a forecast that knows the past alone, placed by the population around nodes.

The recipe, for a history that says nothing of stock. Weeks count from the day of the first order.

1. The first `weeks` weeks are the past that the first forecast knows; they are not replayed, but kept for whoever forecasts.
2. What comes in is ordered `announced_days` before, in whole weeks, and known from then on; but for the first week it is ordered
   at once. The demand of a week for each SKU is forecast from the `weeks` weeks before the order: a Gamma-Poisson rate,
   (a + units) / (b + weeks), whose prior is fitted by moments over all SKUs. Units cancelled in the week of their order are not
   demand.
3. What is ordered tops up what is thought to be there when it comes, to `cover` times the forecast. What is thought to be there
   is what came in less what was asked for until the order, and what is forecast from then on: it depends on no policy. Parts of
   a unit are rounded up or down by chance.
4. Each unit goes to a node by chance, by the population of the markets that are nearest to it.

The first such week's receipts are the stock at the beginning; the others come in on the first day of their week, in the morning.
"""

from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec
import numpy as np

from engine.calendar import MINUTES_PER_DAY
from engine.network import Network, columns_of
from simulation.history import History
from solver.problem import Bools, Floats, Ints
from solver.refusal import Refusal

RECEIVED_MINUTE = 6 * 60
EARTH_KM = 6371.0088
NEAR_KM = 50.0
"""A market within this of a node needs no store of its own."""
LATEST = 2**50  # a minute after all others


@dataclass(frozen=True)
class Weekly:
    """How weekly receipts are sized.

    Attributes
    ----------
    cover
        Units there are at the beginning of a week, over the units forecast for it.
    weeks
        Weeks of the past that a forecast looks at.
    announced_days
        How many days before it comes a receipt is ordered and known: by default the one of next week.
    """

    cover: float = 1.2
    weeks: int = 8
    announced_days: int = 7


def receive_weekly(
    history: History, network: Network, recipe: Weekly, generator: np.random.Generator
) -> tuple[Network, History, History]:
    """Draw the stock at the beginning and weekly receipts, and part the weeks that are only past from those to replay.

    Parameters
    ----------
    history
        Its SKUs and nodes are those of the network, by index.

    Returns
    -------
    tuple
        The network with its stock, the history to replay, and the weeks before it.

    Raises
    ------
    Refusal
        The history is not longer than the past that the first forecast looks at, or the network has no markets.
    """
    if not network.markets:
        raise Refusal("markets", "is empty, so that nothing says where people live", "no_markets")
    first = int(history.order_placed_at[0]) // MINUTES_PER_DAY
    demand = weekly_units(history, first, len(network.skus))
    if demand.shape[1] <= recipe.weeks:
        problem = f"has {demand.shape[1]} weeks; the first forecast alone looks at {recipe.weeks}"
        raise Refusal("the history", problem, "too_short")
    columns = columns_of(network)
    share = shares(network, columns.kind_handled[columns.sku_kind])
    lead, came, there, rows = -(-recipe.announced_days // 7), np.zeros(demand.shape), np.zeros(demand.shape), []
    for week in range(recipe.weeks, demand.shape[1]):
        ordered = max(recipe.weeks, week - lead)
        expected = forecast(demand[:, ordered - recipe.weeks : ordered])
        left = there[:, ordered]
        for between in range(ordered, week):
            left = np.maximum(0, left + came[:, between] - expected)
        units = _rounded(np.maximum(0, recipe.cover * expected - left), generator)
        held = share.sum(axis=1) > 0
        placed = generator.multinomial(np.where(held, units, 0), np.where(held[:, None], share, 1 / share.shape[1]))
        came[:, week] = placed.sum(axis=1)
        if week + 1 < demand.shape[1]:
            there[:, week + 1] = np.maximum(0, there[:, week] + came[:, week] - demand[:, week])
        sku, node = np.nonzero(placed)
        rows.append((np.full(len(sku), week), node, sku, placed[sku, node]))
    week_of, node, sku, units = (np.concatenate(column).astype(np.int64) for column in zip(*rows, strict=True))
    begins = week_of == recipe.weeks
    stock = [
        (network.nodes[j].id, network.skus[k].id, n, 0)
        for j, k, n in zip(node[begins].tolist(), sku[begins].tolist(), units[begins].tolist(), strict=True)
    ]
    later, begin = ~begins, (first + 7 * recipe.weeks) * MINUTES_PER_DAY
    replayed = replace(
        since(history, begin),
        receipt_at=(first + 7 * week_of[later]) * MINUTES_PER_DAY + RECEIVED_MINUTE,
        receipt_node=node[later],
        receipt_sku=sku[later],
        receipt_units=units[later],
    )
    return msgspec.structs.replace(network, stock=stock), replayed, before(history, begin)


def forecast(past: Ints) -> Floats:
    """(K,) units of each SKU expected next week.

    Parameters
    ----------
    past
        (K, n) units of the last n weeks.
    """
    weeks = past.shape[1]
    mean = past.mean()
    between = np.var(past.mean(axis=1)) - mean / weeks
    if mean == 0:
        return np.zeros(len(past))
    if between <= 0:
        return np.full(len(past), mean)
    rate = mean / between
    return np.asarray((mean * rate + past.sum(axis=1)) / (rate + weeks))


def weekly_units(history: History, first: int, skus: int) -> Ints:
    """(K, W) units asked for in each week from the day `first` on, less what was cancelled in the week of its order."""
    placed = history.order_placed_at[history.line_order] // MINUTES_PER_DAY
    week = (placed - first) // 7
    qty = history.line_qty.copy()
    soon = (history.cancel_at // MINUTES_PER_DAY - first) // 7 == week[history.cancel_line]
    np.subtract.at(qty, history.cancel_line[soon], history.cancel_units[soon])
    demand = np.zeros((skus, int(week[-1]) + 1), dtype=np.int64)
    np.add.at(demand, (history.line_sku, week), qty)
    return demand


def shares(network: Network, handled: Bools) -> Floats:
    """(K, J) the share of each node in the units of each SKU: the people to whom it is the nearest node that handles it.

    Where the nodes that handle a SKU have nobody around them, they share equally.
    """
    distance = _distances(network)
    weight = np.array([market.weight for market in network.markets], dtype=np.float64)
    kinds, of = np.unique(handled, axis=0, return_inverse=True)
    share = np.zeros(kinds.shape)
    for i, may in enumerate(kinds):
        if may.any():
            nearest = np.where(may, distance, np.inf).argmin(axis=1)
            people = np.bincount(nearest, weights=weight, minlength=len(may))
            share[i] = people / people.sum() if people.sum() else may / may.sum()
    return np.asarray(share[of.ravel()])


def since(history: History, minute: int) -> History:
    """The orders from a minute on, what befell them, and the receipts and counts from then on."""
    return _between(history, minute, LATEST)


def before(history: History, minute: int) -> History:
    """The orders before a minute, and what befell them, came in and was counted before it: nothing that happened since."""
    return _between(history, -LATEST, minute)


def _between(history: History, begin: int, end: int) -> History:
    """The orders of a span of time and, until its end, what befell them; the receipts and counts of that span."""
    first, last = np.searchsorted(history.order_placed_at, [begin, end]).tolist()
    lines, pickups = (start[[first, last]].tolist() for start in (history.order_line_start, history.order_pickup_start))
    kept: dict[str, Bools] = {
        "receipt": (history.receipt_at >= begin) & (history.receipt_at < end),
        "count": (history.count_at >= begin) & (history.count_at < end),
    }
    for what in ("cancel", "return"):
        line, at = getattr(history, f"{what}_line"), getattr(history, f"{what}_at")
        kept[what] = (line >= lines[0]) & (line < lines[1]) & (at < end)
    changed: dict[str, Any] = {
        "order_line_start": history.order_line_start[first : last + 1] - lines[0],
        "order_pickup_start": history.order_pickup_start[first : last + 1] - pickups[0],
        "pickup_node": history.pickup_node[slice(*pickups)],
        "cancel_line": history.cancel_line[kept["cancel"]] - lines[0],
        "return_line": history.return_line[kept["return"]] - lines[0],
    }
    for field in fields(history):
        table, value = field.name.split("_")[0], getattr(history, field.name)
        if field.name in changed or not isinstance(value, np.ndarray | tuple):
            continue
        if table in kept:
            changed[field.name] = value[kept[table]]
        elif table in ("order", "line"):
            changed[field.name] = value[slice(first, last) if table == "order" else slice(*lines)]
    return replace(history, **changed)


def enlarged(network: Network, nodes: int) -> Network:
    """The network with more stores, and room at each node for the people around it.

    A store like the first of the network is added at the market of most people that has no node within `NEAR_KM`, and so on; when
    all have one, at the market of most people that has no store of its own. Then the daily parcels and units that all nodes
    make together are given to each by its share of the people, or what it makes already where that is more.

    Raises
    ------
    Refusal
        There are not so many markets.
    """
    made = list(network.nodes)
    like = next((node for node in made if node.kind == "store"), made[-1])
    taken = {node.id for node in made}
    weight = np.array([market.weight for market in network.markets], dtype=np.float64)
    while len(made) < nodes:
        near = _distances(msgspec.structs.replace(network, nodes=tuple(made))).min(axis=1) <= NEAR_KM
        for m in np.lexsort((-weight, near)).tolist():
            market = network.markets[m]
            name = f"ST-{market.id.upper()}"
            if name not in taken:
                break
        else:
            raise Refusal("nodes", f"{nodes} is more than the markets of the network give", "too_many_nodes")
        taken.add(name)
        made.append(msgspec.structs.replace(like, id=name, lat=market.lat, lon=market.lon))
    network = msgspec.structs.replace(network, nodes=tuple(made))
    share = shares(network, np.ones((1, len(made)), dtype=np.bool_))[0]
    for what in ("capacity_parcels", "capacity_units"):
        total = sum(getattr(node, what) or 0 for node in made)
        made = [
            node if own is None else msgspec.structs.replace(node, **{what: max(own, int(np.ceil(total * part)))})
            for node, own, part in zip(made, [getattr(node, what) for node in made], share.tolist(), strict=True)
        ]
    return msgspec.structs.replace(network, nodes=tuple(made))


def _rounded(amount: Floats, generator: np.random.Generator) -> Ints:
    """Whole numbers whose mean is the amount."""
    return np.floor(amount + generator.random(len(amount))).astype(np.int64)


def _distances(network: Network) -> Floats:
    """(M, J) kilometres from each market to each node."""
    place, node = (
        np.radians([[where.lat, where.lon] for where in places]) for places in (network.markets, network.nodes)
    )
    lat, lon = place[:, None, 0], place[:, None, 1]
    half = np.sin((node[:, 0] - lat) / 2) ** 2
    half = half + np.cos(lat) * np.cos(node[:, 0]) * np.sin((node[:, 1] - lon) / 2) ** 2
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(np.minimum(1, half))))
