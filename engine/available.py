"""Available to promise: what may be sold of SKUs, now and by each day, with what is to come in and what is asked for already.

For a channel: what is free at nodes that work, less the open demand that waits for it, less what is kept back from the channel,
and no more than is left of its allotment. It is the same count as that by which orders are refused (`engine.selling`); days to
come add what is due by then, and the demand of presales from the day on which their SKU is there. Kits count where their parts
lie together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.calendar import MS_PER_DAY
from engine.catalogue import Catalogue
from engine.database import Rows, Tx
from engine.sourcing import Kits, parts_of
from solver.problem import NO_LIMIT, Bools, Ints

_PLACES = 2**20  # more than any network has nodes, so that SKU and node fit one sortable number


@dataclass(frozen=True, eq=False)
class Availability:
    """What may be sold of S SKUs, now and by D days; R places where some of it is.

    Attributes
    ----------
    sku
        (S,) indices into the catalogue, as asked.
    days
        (D,) ascending.
    now, by_day
        (S,), (S, D) units: of what is here, and of what is here by the end of that day.
    presale
        (S,) units that may be sold before there are any; -1 where the SKU is not on pre-order.
    allotment
        (S,) units left of the channel's allotment (`NO_LIMIT`); every number is at most that already.
    row_sku, row_node, row_now, row_by_day
        (R,), (R, D) the same by node: the place in `sku`, and a node of the catalogue. No more than the whole, as demand is
        not yet any node's.
    """

    sku: Ints
    days: Ints
    now: Ints
    by_day: Ints
    presale: Ints
    allotment: Ints
    row_sku: Ints
    row_node: Ints
    row_now: Ints
    row_by_day: Ints


def available_to_promise(
    tx: Tx, catalogue: Catalogue, sku: Ints, at: int, *, channel: str | None = None, days: Sequence[int] | None = None
) -> Availability:
    """Count what may be sold.

    Parameters
    ----------
    sku
        (S,) indices into the catalogue, each once.
    at
        Milliseconds, now. What was due before counts as due today.
    channel
        Whose safety, buffers and allotments hold; none where not said.
    days
        Today or later; every day on which something is due where not said.
    """
    today = at // MS_PER_DAY
    wanted = _with_parts(catalogue.kits, sku)
    inbound = inbound_of(tx, catalogue, wanted)
    due = np.maximum(inbound[2], today)
    chosen = np.unique(due if days is None else np.asarray(days, dtype=np.int64))
    # column 0 is now, column d + 1 is day d
    rows = _rows(_stock(tx, catalogue, wanted), inbound, np.searchsorted(chosen, due), len(chosen))
    total = np.zeros((len(wanted), len(chosen) + 1), dtype=np.int64)
    np.add.at(total, np.searchsorted(wanted, rows.sku), rows.units)
    total -= _demand(tx, catalogue, wanted, chosen)
    kit_rows, kit_total = _kits(catalogue.kits, sku, rows, wanted, total)
    whole = np.where(np.isin(sku, catalogue.kits.sku)[:, None], kit_total, total[np.searchsorted(wanted, sku)])
    kept, allotment = _channel(tx, catalogue, channel, sku)
    whole = np.clip(whole - kept[:, None], 0, allotment[:, None])
    by = np.argsort(sku)
    plain = np.isin(rows.sku, sku)
    everywhere = [
        np.concatenate([mine[plain], of_kits]) for mine, of_kits in zip(rows.columns, kit_rows.columns, strict=True)
    ]
    place = by[np.searchsorted(sku[by], everywhere[0])]
    units = np.minimum(everywhere[2], whole[place])
    order = np.lexsort((everywhere[1], place))
    return Availability(
        sku=sku,
        days=chosen,
        now=whole[:, 0],
        by_day=whole[:, 1:],
        presale=_presale(tx, catalogue, sku, today),
        allotment=allotment,
        row_sku=place[order],
        row_node=everywhere[1][order],
        row_now=units[order, 0],
        row_by_day=units[order, 1:],
    )


def available(
    tx: Tx, catalogue: Catalogue, channel: str, sku: Ints, units: Sequence[int], at: int
) -> dict[int, int | None]:
    """The first day by which each line, by its number from 1, could be had by what is here and known to come in.

    Parameters
    ----------
    sku, units
        (L,) what is asked for; lines of one SKU take it one after the other.

    Returns
    -------
    dict
        `None` where nobody knows.
    """
    skus = np.unique(sku)
    found = available_to_promise(tx, catalogue, skus, at, channel=channel)
    today, taken = at // MS_PER_DAY, dict.fromkeys(skus.tolist(), 0)
    days: dict[int, int | None] = {}
    for line, (k, count) in enumerate(zip(np.asarray(sku).tolist(), units, strict=True), start=1):
        taken[k] += count
        s = int(np.searchsorted(skus, k))
        enough = np.flatnonzero(found.by_day[s] >= taken[k])
        days[line] = None
        if found.presale[s] >= taken[k]:
            days[line] = int(catalogue.sale_day[k]) if catalogue.sale_day[k] >= 0 else None
        elif found.now[s] >= taken[k]:
            days[line] = today
        elif len(enough):
            days[line] = int(found.days[enough[0]])
    return days


@dataclass(frozen=True, eq=False)
class _Rows:
    """Units at places: by SKU, then node; (R, 1 + D) now and by each day."""

    sku: Ints
    node: Ints
    units: Ints

    @property
    def columns(self) -> tuple[Ints, Ints, Ints]:
        return self.sku, self.node, self.units


def _with_parts(kits: Kits, sku: Ints) -> Ints:
    """SKUs and what the kits among them are made of, ascending."""
    return np.union1d(sku, parts_of(kits, sku, sku)[1]).astype(np.int64)


def _stock(tx: Tx, catalogue: Catalogue, sku: Ints) -> Ints:
    """(3, n) SKU, node and units free to sell, at nodes that work; fewer than none where safety is more than there is."""
    found = tx.ints(
        3,
        "SELECT s.sku_no, s.node_no, s.on_hand - s.reserved - s.safety_sell FROM {rows} "
        "JOIN stock s ON s.sku_no = rows.no JOIN node n ON n.no = s.node_no WHERE NOT n.paused",
        Rows(no=catalogue.sku_no[sku]),
    )
    return np.stack([catalogue.skus_of(found[0]), catalogue.nodes_of(found[1]), found[2]])


def inbound_of(tx: Tx, catalogue: Catalogue, sku: Ints) -> Ints:
    """(4, n) SKU, node, day and units of some SKUs still to come to nodes that work."""
    found = tx.ints(
        4,
        "SELECT i.sku_no, i.node_no, i.due_day, SUM(i.units - i.received) FROM {rows} "
        "JOIN inbound i ON i.sku_no = rows.no JOIN node n ON n.no = i.node_no "
        "WHERE NOT i.cancelled AND i.units > i.received AND NOT n.paused GROUP BY i.sku_no, i.node_no, i.due_day",
        Rows(no=catalogue.sku_no[sku]),
    )
    return np.stack([catalogue.skus_of(found[0]), catalogue.nodes_of(found[1]), found[2], found[3]])


def _rows(stock: Ints, inbound: Ints, column: Ints, days: int) -> _Rows:
    keys = np.concatenate([stock[0] * _PLACES + stock[1], inbound[0] * _PLACES + inbound[1]])
    places, of = np.unique(keys, return_inverse=True)
    more = np.zeros((len(places), days + 2), dtype=np.int64)
    more[of[: stock.shape[1]], 0] = stock[2]
    # what is due after the last day is in the last column, which is left out
    np.add.at(more.reshape(-1), of[stock.shape[1] :] * more.shape[1] + column + 1, inbound[3])
    return _Rows(places // _PLACES, places % _PLACES, np.maximum(0, np.cumsum(more, axis=1)[:, :-1]))


def _demand(tx: Tx, catalogue: Catalogue, sku: Ints, days: Ints) -> Ints:
    """(K, 1 + D) units that open lines wait for, kits taken apart; presales from the day on which the SKU is there."""
    found = tx.ints(
        4,
        "WITH wanted AS (SELECT no FROM {rows}), waiting AS ("
        "SELECT w.no, l.sku_no AS sold, l.open AS units, l.presale FROM wanted w JOIN order_line l ON l.sku_no = w.no "
        "WHERE l.open > 0 UNION ALL "
        "SELECT w.no, l.sku_no, l.open * k.units, l.presale FROM wanted w JOIN kit_part k ON k.part_no = w.no "
        "JOIN order_line l ON l.sku_no = k.kit_no WHERE l.open > 0) "
        "SELECT no, sold, CASE WHEN presale THEN 1 ELSE 0 END, SUM(units) FROM waiting GROUP BY no, sold, presale",
        Rows(no=catalogue.sku_no[sku]),
    )
    demand = np.zeros((len(sku), 1 + len(days)), dtype=np.int64)
    place = np.searchsorted(sku, catalogue.skus_of(found[0]))
    from_day = np.where(found[2] == 1, catalogue.sale_day[catalogue.skus_of(found[1])], -1)
    waits: Bools = np.concatenate([(found[2] == 0)[:, None], days[None, :] >= from_day[:, None]], axis=1)
    np.add.at(demand, place, waits * found[3][:, None])
    return demand


def _kits(kits: Kits, sku: Ints, rows: _Rows, wanted: Ints, total: Ints) -> tuple[_Rows, Ints]:
    """Kits by node, where all their parts lie, and (S, 1 + D) in all: no more than the parts that nobody else waits for."""
    whole = np.zeros((len(sku), rows.units.shape[1]), dtype=np.int64)
    asked = np.flatnonzero(np.isin(sku, kits.sku))
    of, part, each = parts_of(kits, sku[asked], np.ones(len(asked), dtype=np.int64))
    if not len(asked):
        none = np.zeros(0, dtype=np.int64)
        return _Rows(none, none, whole[:0]), whole
    first = np.searchsorted(rows.sku, part, side="left")
    count = np.searchsorted(rows.sku, part, side="right") - first
    entry = np.repeat(np.arange(len(part)), count)
    at = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    by = np.lexsort((rows.node[at], of[entry]))
    key = np.stack([of[entry], rows.node[at]])[:, by]
    places, start, parts_there = np.unique(key, axis=1, return_index=True, return_counts=True)
    sets = rows.units[at][by] // each[entry][by][:, None]
    together = np.minimum.reduceat(sets, start) if len(start) else sets[:0]
    complete = parts_there == np.bincount(of, minlength=len(asked))[places[0]]
    kit, node, together = places[0][complete], places[1][complete], together[complete]
    in_all = np.zeros((len(asked), whole.shape[1]), dtype=np.int64)
    np.add.at(in_all, kit, together)
    least = np.full_like(in_all, NO_LIMIT)
    np.minimum.at(least, of, total[np.searchsorted(wanted, part)] // each[:, None])
    # what is asked for of the kit itself stands in its own total, which has no stock
    whole[asked] = np.minimum(least, in_all + total[np.searchsorted(wanted, sku[asked])])
    return _Rows(sku[asked][kit], node, together), whole


def _channel(tx: Tx, catalogue: Catalogue, channel: str | None, sku: Ints) -> tuple[Ints, Ints]:
    """(S,) units that are kept back from a channel, and what is left of its allotment."""
    kept, left = np.zeros(len(sku), dtype=np.int64), np.full(len(sku), NO_LIMIT)
    if channel is None:
        return kept, left
    kept += catalogue.channels[catalogue.channel_at[channel]].safety
    found = tx.all(
        "SELECT rows.place, c.buffer, c.allotment - c.sold FROM {rows} "
        "JOIN channel_stock c ON c.sku_no = rows.no AND c.channel = :channel",
        Rows(place=np.arange(len(sku)), no=catalogue.sku_no[sku]), channel=channel,
    )  # fmt: skip
    for place, buffer, allotment in found:
        kept[place] += buffer
        if allotment is not None:
            left[place] = max(0, allotment)
    return kept, left


def _presale(tx: Tx, catalogue: Catalogue, sku: Ints, today: int) -> Ints:
    """(S,) what may still be sold before there is any; -1 where the SKU is not on pre-order."""
    early = (catalogue.sale_day[sku] < 0) | (today < catalogue.sale_day[sku])
    on = np.flatnonzero((catalogue.presale_limit[sku] < NO_LIMIT) & early)
    left = np.full(len(sku), -1, dtype=np.int64)
    if len(on):
        found = tx.ints(2, "SELECT rows.place, s.presold FROM {rows} JOIN sku s ON s.no = rows.no",
                        Rows(place=on, no=catalogue.sku_no[sku[on]]))  # fmt: skip
        left[found[0]] = np.maximum(0, catalogue.presale_limit[sku[found[0]]] - found[1])
    return left
