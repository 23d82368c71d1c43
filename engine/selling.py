"""What may still be sold: presales, allotments of channels, and SKUs that are not sold beyond what is there.

Rows that limit anything are locked while orders are taken in, so that no two of them have the same last unit.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.database import Rows, Tx

MS_PER_DAY = 86_400_000


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
    skus
        Ids; those that do not exist are not in `skus` afterwards.
    """

    def __init__(self, tx: Tx, channels: dict[str, int], skus: Iterable[str]) -> None:
        self._safety = channels
        self.skus = _read_skus(tx, sorted(set(skus)))
        limited = sorted({sku.no for sku in self.skus.values() if sku.presale_limit is not None})
        scarce = sorted({part for sku in self.skus.values() if not sku.backorder for part, _ in sku.parts})
        self._presold = _lock_skus(tx, sorted({*limited, *scarce}))
        self._buffer, self._left = _lock_channel_stock(tx, sorted(channels), [sku.no for sku in self.skus.values()])
        kits = {sku.no for sku in self.skus.values() if sku.is_kit and not sku.backorder}
        self._free, self._wanted = _read_scarce(tx, sorted({*scarce, *kits}))
        self.presold: dict[int, int] = defaultdict(int)
        self.sold: dict[tuple[str, int], int] = defaultdict(int)

    def sale(self, channel: str, sku: SoldSku, units: int, at: int) -> Sale:
        """Units to sell now, with the limits that hold for them."""
        return Sale(sku, units, sku.on_presale(at), (channel, sku.no) in self._left)

    def refuse(self, channel: str, sales: Sequence[Sale], held: Sequence[int]) -> tuple[int, str, str] | None:
        """Sell all of it, or say which is not to be had: its index, a code and the problem.

        Parameters
        ----------
        held
            Units of each sale that are kept for it already.
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
                left = self._left.get((channel, no), 0) - self.sold[channel, no]
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
        for channel in sorted({channel for channel, _ in pairs}):
            _lock_channel_stock(tx, [channel], [sku for other, sku in pairs if other == channel])
        tx.run(
            "UPDATE channel_stock SET sold = channel_stock.sold + rows.units FROM {rows} "
            "WHERE channel_stock.channel = rows.channel AND channel_stock.sku_no = rows.sku_no",
            Rows(
                channel=[channel for channel, _ in pairs],
                sku_no=[sku for _, sku in pairs],
                units=[sold[pair] for pair in pairs],
            ),
        )


def _read_skus(tx: Tx, skus: list[str]) -> dict[str, SoldSku]:
    if not skus:
        return {}
    found = tx.all(
        "SELECT s.id, s.no, s.unfilled_cents, s.backorder, s.presale_limit, s.sale_day, s.is_kit FROM {rows} "
        "JOIN sku s ON s.id = rows.id",
        Rows(id=skus),
    )
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


def _lock_channel_stock(
    tx: Tx, channels: list[str], skus: list[int]
) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """Buffers by channel and SKU, and what is left of allotments, whose rows are locked."""
    if not channels or not skus:
        return {}, {}
    pairs = Rows(channel=[c for c in channels for _ in skus], sku_no=skus * len(channels))
    wanted = "FROM {rows} JOIN channel_stock c ON c.channel = rows.channel AND c.sku_no = rows.sku_no "
    found = tx.all("SELECT c.channel, c.sku_no, c.buffer, c.allotment IS NOT NULL " + wanted, pairs)
    left = {}
    if any(limited for *_, limited in found):
        left = {
            (channel, sku): units
            for channel, sku, units in tx.all(
                "SELECT c.channel, c.sku_no, c.allotment - c.sold " + wanted + "WHERE c.allotment IS NOT NULL "
                "ORDER BY c.channel, c.sku_no" + (" FOR NO KEY UPDATE OF c" if tx.locking else ""),
                pairs,
            )
        }
    return {(channel, sku): buffer for channel, sku, buffer, _ in found}, left


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
