"""The smallest shop: two nodes, a few SKUs, two channels, and stock where a test says so."""

from engine.database import Database, Tx
from engine.facts import OrderedLine, OrderPlaced, Place, StockReceived

NOON = 1_750_000_000_000
"""2025-06-15, about noon."""
MINUTE = 60_000
DAY = 86_400_000
WEEK = '["mon", "tue", "wed", "thu", "fri", "sat", "sun"]'
WAREHOUSE, STORE, FAR = 1, 2, 3
TEE, CAP, MUG, SET = 1, 2, 3, 4


def open_shop(database: Database) -> None:
    """Nodes `warehouse`, `store` and `far`; SKUs `tee`, `cap`, `mug`, and `set` (1 tee and 2 caps); channels `web` and `market`."""
    database.write(_furnish)


def _furnish(tx: Tx) -> None:
    tx.run("INSERT INTO calendar (id, open_weekdays, closed) VALUES ('daily', :week, '[]')", week=WEEK)
    nodes = {"warehouse": ("warehouse", False), "store": ("store", True), "far": ("warehouse", False)}
    for node, (kind, collects) in nodes.items():
        tx.run(
            "INSERT INTO node (id, kind, lat, lon, parcel_cents, line_cents, unit_cents, ready_days, calendar, "
            "cut_off_minute, collects, tags) VALUES (:id, :kind, 52, 5, 100, 10, 5, 0, 'daily', 900, :collects, '[]')",
            id=node,
            kind=kind,
            collects=collects,
        )
    for sku in ("tee", "cap", "mug", "set"):
        tx.run(
            "INSERT INTO sku (id, weight_g, is_kit, requires) VALUES (:id, 100, :is_kit, '[]')",
            id=sku,
            is_kit=sku == "set",
        )
    tx.run("INSERT INTO kit_part (kit_no, part_no, units) VALUES (4, 1, 1), (4, 2, 2)")
    for channel in ("web", "market"):
        tx.run("INSERT INTO channel (id, rules) VALUES (:id, '[]')", id=channel)


def received(n: int, sku: str, node: str, units: int) -> StockReceived:
    return StockReceived(id=f"r{n}", at=NOON, sku=sku, node=node, units=units)


def ordered(
    external_id: str, *lines: tuple[str, int], channel: str = "web", at: int = NOON, **more: object
) -> OrderPlaced:
    return OrderPlaced(
        at=at,
        channel=channel,
        external_id=external_id,
        lines=tuple(OrderedLine(sku=sku, qty=qty, unfilled_cents=500) for sku, qty in lines),
        place=Place(lat=52.0, lon=5.0),
        **more,  # type: ignore[arg-type]
    )
