"""What may still be sold: presales, allotments of channels, and SKUs that are not sold beyond what is there.

Rows that limit anything are locked while orders are taken in, so that no two of them have the same last unit.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from engine.calendar import MS_PER_DAY
from engine.database import Ask, Rows, Tx

NOTHING: Mapping[int, int] = {}
Answers = Sequence[list[tuple[Any, ...]]]
"""Rows by what was asked."""


@dataclass(frozen=True, slots=True)
class SoldSku:
    """A SKU as selling sees it. `parts` are what a kit is made of; of itself where it is none."""

    no: int
    unfilled_cents: int | None
    backorder: bool
    presale_limit: int | None
    sale_day: int | None
    is_kit: bool
    parts: tuple[tuple[int, int], ...]

    def on_presale(self, at: int) -> bool:
        return self.presale_limit is not None and (self.sale_day is None or at // MS_PER_DAY < self.sale_day)


@dataclass(frozen=True, slots=True)
class Sale:
    """Units of a SKU that somebody wants to buy, and which limits they count against."""

    sku: SoldSku
    units: int
    presale: bool
    allotted: bool


class Sales:
    """What may still be sold of SKUs by channels, counted down as it is sold.

    Parameters
    ----------
    channels
        Ids and their safety.
    answers
        To what `asks_of` the SKUs asks, which may be asked together with other things.
    """

    @classmethod
    def read(cls, tx: Tx, channels: dict[str, int], skus: Iterable[str]) -> Self:
        """The same for SKUs by their ids; those that do not exist are not in `skus` afterwards."""
        return cls(tx, channels, tx.together(*asks_of(skus)))

    def __init__(self, tx: Tx, channels: dict[str, int], answers: Answers) -> None:
        of_skus, of_channels = answers
        self._safety = channels
        self.skus = _skus(tx, of_skus)
        limited = sorted({sku.no for sku in self.skus.values() if sku.presale_limit is not None})
        scarce = sorted({part for sku in self.skus.values() if not sku.backorder for part, _ in sku.parts})
        self._presold = _lock_skus(tx, sorted({*limited, *scarce}))
        kept = [row for row in of_channels if row[0] in channels]
        self._buffer: dict[tuple[str, int], int] = {(channel, sku): buffer for channel, sku, buffer, _ in kept}
        self._left = _lock_allotments(tx, [(channel, sku) for channel, sku, _, allotted in kept if allotted])
        kits = {sku.no for sku in self.skus.values() if sku.is_kit and not sku.backorder}
        self._free, self._wanted = _read_scarce(tx, sorted({*scarce, *kits}))
        self.presold: dict[int, int] = defaultdict(int)
        self.sold: dict[tuple[str, int], int] = defaultdict(int)

    def sale(self, channel: str, sku: SoldSku, units: int, at: int) -> Sale:
        """Units to sell now, with the limits that hold for them."""
        return Sale(sku, units, sku.on_presale(at), (channel, sku.no) in self._left)

    def refuse(
        self, channel: str, sales: Sequence[Sale], held: Sequence[int], counted: Mapping[int, int] = NOTHING
    ) -> tuple[int, str, str] | None:
        """Sell all of it, or say which is not to be had: its index, a code and the problem.

        Parameters
        ----------
        held
            Units of each sale that are kept for it already.
        counted
            Units by SKU that count as sold of the channel's allotments already, and are given back once it is sold.
        """
        presold: dict[int, int] = defaultdict(int)
        sold: dict[tuple[str, int], int] = defaultdict(int)
        wanted: dict[int, int] = defaultdict(int)
        for i, sale in enumerate(sales):
            no = sale.sku.no
            if sale.presale:
                presold[no] += sale.units
                limit = sale.sku.presale_limit
                left = 0 if limit is None else limit - self._presold[no] - self.presold[no]
                if limit is not None and presold[no] > left:
                    return i, "presale_sold_out", f"{left} units are left of what may be sold before there are any"
            if sale.allotted:
                sold[channel, no] += sale.units
                left = self._left.get((channel, no), 0) - self.sold[channel, no] + counted.get(no, 0)
                if (channel, no) in self._left and sold[channel, no] > left:
                    return i, "allotment_sold_out", f"{left} units are left of what this channel may sell"
            if not sale.sku.backorder and not sale.presale:
                left = self._sellable(channel, sale.sku, wanted)
                if sale.units - held[i] > left and sale.units > held[i]:
                    return i, "not_enough_stock", f"{max(left, 0)} units are free to sell"
            if not sale.presale:
                for part, each in sale.sku.parts:
                    wanted[part] += each * (sale.units - held[i])
                if sale.sku.is_kit:
                    wanted[no] += sale.units - held[i]
        for sku, units in presold.items():
            self.presold[sku] += units
        for pair, units in sold.items():
            self.sold[pair] += units
        for sku, units in counted.items():
            self.sold[channel, sku] -= units
        for sku, units in wanted.items():
            self._wanted[sku] += units
        return None

    def kept(self, channel: str, sku_no: int) -> int:
        """Units of a SKU that are kept back from a channel."""
        return self._safety[channel] + self._buffer.get((channel, sku_no), 0)

    def _sellable(self, channel: str, sku: SoldSku, wanted: dict[int, int]) -> int:
        """Units (kits) that are free, after what open lines and this order wait for, safety and buffers."""
        kept = self.kept(channel, sku.no)
        least = min(
            (sum(self._free[part].values()) - self._wanted[part] - wanted[part] - (0 if sku.is_kit else kept)) // each
            for part, each in sku.parts
        )
        if not sku.is_kit:
            return least
        nodes = set.intersection(*(set(self._free[part]) for part, _ in sku.parts))
        together = sum(min(self._free[part][node] // each for part, each in sku.parts) for node in nodes)
        return min(least, together - self._wanted[sku.no] - wanted[sku.no]) - kept


def count_sold(tx: Tx, presold: dict[int, int], sold: dict[tuple[str, int], int]) -> None:
    """Add to what counts as presold (by SKU) and as sold of allotments (by channel and SKU)."""
    skus = sorted(no for no, units in presold.items() if units)
    if skus:
        _lock_skus(tx, skus)
        tx.run(
            "UPDATE sku SET presold = sku.presold + rows.units FROM {rows} WHERE sku.no = rows.no",
            Rows(no=skus, units=[presold[no] for no in skus]),
        )
    pairs = sorted(pair for pair, units in sold.items() if units)
    if pairs:
        _lock_allotments(tx, pairs)
        tx.run(
            "UPDATE channel_stock SET sold = channel_stock.sold + rows.units FROM {rows} "
            "WHERE channel_stock.channel = rows.channel AND channel_stock.sku_no = rows.sku_no",
            Rows(
                channel=[channel for channel, _ in pairs],
                sku_no=[sku for _, sku in pairs],
                units=[sold[pair] for pair in pairs],
            ),
        )


def lock_counted(tx: Tx, holds: Iterable[str]) -> dict[str, dict[tuple[str, int], int]]:
    """What holds count against allotments while they hold, by channel and SKU; called before the holds are locked."""
    counted: dict[str, dict[tuple[str, int], int]] = {hold: {} for hold in sorted(holds)}
    if counted:
        for hold, channel, sku, units in tx.all(
            "SELECT a.hold, h.channel, a.sku_no, a.units FROM {rows} "
            "JOIN hold_allotted a ON a.hold = rows.id JOIN hold h ON h.id = a.hold",
            Rows(id=list(counted)),
        ):
            counted[hold][channel, sku] = units
    _lock_allotments(tx, {pair for pairs in counted.values() for pair in pairs})
    return counted


def asks_of(skus: Iterable[str]) -> tuple[Ask, Ask]:
    """What `Sales` must know of SKUs: themselves, and what channels have of them."""
    rows = Rows(id=sorted(set(skus)))
    return (
        Ask(
            "SELECT s.id, s.no, s.unfilled_cents, s.backorder, s.presale_limit, s.sale_day, s.is_kit FROM {rows} "
            "JOIN sku s ON s.id = rows.id",
            rows,
        ),
        Ask(
            "SELECT c.channel, c.sku_no, c.buffer, c.allotment IS NOT NULL FROM {rows} "
            "JOIN sku s ON s.id = rows.id JOIN channel_stock c ON c.sku_no = s.no",
            rows,
        ),
    )


def _skus(tx: Tx, found: list[tuple[Any, ...]]) -> dict[str, SoldSku]:
    parts: dict[int, list[tuple[int, int]]] = defaultdict(list)
    kits = [no for _, no, *_, is_kit in found if is_kit]
    if kits:
        for kit, part, units in tx.all(
            "SELECT k.kit_no, k.part_no, k.units FROM {rows} JOIN kit_part k ON k.kit_no = rows.no ORDER BY k.part_no",
            Rows(no=kits),
        ):
            parts[kit].append((part, units))
    return {
        sku: SoldSku(no, unfilled, bool(backorder), limit, day, bool(kit), tuple(parts[no]) if kit else ((no, 1),))
        for sku, no, unfilled, backorder, limit, day, kit in found
    }


def _lock_skus(tx: Tx, skus: list[int]) -> dict[int, int]:
    if not skus:
        return {}
    found = tx.all(
        "SELECT s.no, s.presold FROM {rows} JOIN sku s ON s.no = rows.no ORDER BY s.no"
        + (" FOR NO KEY UPDATE OF s" if tx.locking else ""),
        Rows(no=skus),
    )
    return dict(found)


def _lock_allotments(tx: Tx, pairs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Lock what is allotted of SKUs to channels, and say how much of it is left."""
    wanted = sorted(pairs)
    if not wanted:
        return {}
    found = tx.all(
        "SELECT c.channel, c.sku_no, c.allotment - c.sold FROM {rows} "
        "JOIN channel_stock c ON c.channel = rows.channel AND c.sku_no = rows.sku_no "
        "ORDER BY c.channel, c.sku_no" + (" FOR NO KEY UPDATE OF c" if tx.locking else ""),
        Rows(channel=[channel for channel, _ in wanted], sku_no=[sku for _, sku in wanted]),
    )
    return {(channel, sku): left for channel, sku, left in found if left is not None}


def _read_scarce(tx: Tx, skus: list[int]) -> tuple[dict[int, dict[int, int]], dict[int, int]]:
    """Units free to sell by SKU and node (where work is done), and units that open lines wait for by SKU.

    A kit waits for its parts. What was presold waits for what is to come. One statement, so that units that are tied
    meanwhile are seen on one side only.
    """
    free: dict[int, dict[int, int]] = defaultdict(dict)
    wanted: dict[int, int] = defaultdict(int)
    if skus:
        for sku, node, units in tx.all(
            "WITH wanted AS (SELECT no FROM {rows}) "
            "SELECT w.no, s.node_no, s.on_hand - s.reserved - s.safety_sell FROM wanted w "
            "JOIN stock s ON s.sku_no = w.no JOIN node n ON n.no = s.node_no WHERE NOT n.paused "
            "UNION ALL SELECT w.no, NULL, l.open FROM wanted w JOIN order_line l ON l.sku_no = w.no "
            "WHERE l.open > 0 AND NOT l.presale "
            "UNION ALL SELECT w.no, NULL, l.open * k.units FROM wanted w JOIN kit_part k ON k.part_no = w.no "
            "JOIN order_line l ON l.sku_no = k.kit_no WHERE l.open > 0 AND NOT l.presale",
            Rows(no=skus),
        ):
            if node is None:
                wanted[sku] += units
            else:
                free[sku][node] = max(units, 0)
    return free, wanted
