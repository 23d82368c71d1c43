"""The smallest shop: two nodes, a few SKUs, two channels, and stock where a test says so."""

from engine.channel_said import LineSaid, OrderSaid
from engine.claims import plan_work, shift_units
from engine.connections import Connection, ConnectionEntry, get_connection, put_connection
from engine.database import Database, Tx
from engine.entries import ServiceEntry
from engine.facts import HeldUnits, HoldPlaced, OrderedLine, OrderPlaced, Place, StockReceived
from engine.ledger import move
from engine.tables import LINE_STATES

NOON = 1_750_000_000_000
"""2025-06-15, about noon."""
MINUTE = 60_000
DAY = 86_400_000
WEEK = '["mon", "tue", "wed", "thu", "fri", "sat", "sun"]'
WAREHOUSE, STORE, FAR = 1, 2, 3
TEE, CAP, MUG, SET = 1, 2, 3, 4

SERVICES = [
    ServiceEntry(id=name, zone_km=[500.0], steps_g=[5000], cents=[[cents]], over_cents_per_kg=[10], transit_days=[days])
    for name, cents, days in (("post", 300, 2), ("van", 700, 1))
]


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


def settle(tx: Tx, order_id: str, *claims: tuple[int, int, int], service: str = "post", day: int = 20_300) -> None:
    """Tie units of an order's lines to nodes as a decision would: line, node and units of the line."""
    no = tx.value("SELECT no FROM orders WHERE id = :id", id=order_id)
    for number, node, units in claims:
        sku = tx.value("SELECT sku_no FROM order_line WHERE order_no = :no AND number = :number", no=no, number=number)
        parts = tx.all("SELECT part_no, units FROM kit_part WHERE kit_no = :sku ORDER BY part_no", sku=sku) or [
            (sku, 1)
        ]
        for part, each in parts:
            tx.run(
                "INSERT INTO claim (order_no, number, sku_no, node_no, service, units, line_units) "
                "VALUES (:no, :number, :part, :node, :service, :units, :line_units) "
                "ON CONFLICT (order_no, number, sku_no, node_no, service) DO UPDATE "
                "SET units = claim.units + :units, line_units = claim.line_units + :line_units",
                no=no, number=number, part=part, node=node, service=service, units=units * each, line_units=units,
            )  # fmt: skip
        move(tx, NOON, "allocated", "test", [part for part, _ in parts], [node] * len(parts),
             reserved=[units * each for _, each in parts])  # fmt: skip
        new = tx.run(
            "INSERT INTO parcel (order_no, node_no, service, work_day, arrives_day, cents) "
            "VALUES (:no, :node, :service, :day, :day + 2, 100) ON CONFLICT DO NOTHING",
            no=no, node=node, service=service, day=day,
        )  # fmt: skip
        planned = tx.value(  # a wave may have planned the parcel for another day
            "SELECT work_day FROM parcel WHERE order_no = :no AND node_no = :node AND service = :service",
            no=no, node=node, service=service,
        )  # fmt: skip
        plan_work(tx, [node], [planned], [max(new, 0)], [units])
        shift_units(tx, [no], [number], [units], "open", "allocated")


def numbers_of(database: Database, order_id: str) -> tuple[int, ...]:
    """Open, allocated, released, shipped, delivered, returned, cancelled."""
    with database.read() as tx:
        found = tx.first(f"SELECT {', '.join(LINE_STATES)} FROM orders WHERE id = :id", id=order_id)
    assert found is not None
    return tuple(found)


def state_of(database: Database, order_id: str) -> str:
    with database.read() as tx:
        return str(tx.value("SELECT state FROM orders WHERE id = :id", id=order_id))


def stock_of(database: Database, sku: int, node: int) -> tuple[int, int]:
    """On hand and reserved."""
    with database.read() as tx:
        found = tx.first(
            "SELECT on_hand, reserved FROM stock WHERE sku_no = :sku AND node_no = :node", sku=sku, node=node
        )
    return (0, 0) if found is None else (found[0], found[1])


def supply(database: Database, *entries: tuple[int, int, int]) -> None:
    """Put units on hand: SKU, node and units."""
    skus, nodes, units = zip(*entries, strict=True)
    database.write(lambda tx: move(tx, NOON, "received", "test", skus, nodes, on_hand=units))


def held(
    hold: str, *units: tuple[str, int], minutes: int = 10, at: int = NOON, channel: str = "web", node: str | None = None
) -> HoldPlaced:
    """A hold of units of SKUs."""
    return HoldPlaced(
        id=hold,
        at=NOON,
        channel="web",
        until=NOON + minutes * MINUTE,
        units=tuple(HeldUnits(sku=sku, units=count, node=node) for sku, count in units),
    )


def connect(database: Database) -> Connection:
    """A connection `shop` that sells on the channel `market`."""
    entry = ConnectionEntry(id="shop", kind="shopify", channel="market", account="example.myshopify.com")
    database.write(lambda tx: put_connection(tx, entry, NOON))
    with database.read() as tx:
        return get_connection(tx, "shop")


def said(order: str, *lines: tuple[str, str, int], at: int = NOON, **more: object) -> OrderSaid:
    """An order as a connection says it: what it calls its lines, their SKUs, and units."""
    return OrderSaid(
        order=order,
        placed_at=NOON,
        said_at=at,
        currency="EUR",
        lines=tuple(LineSaid(ref=ref, sku=sku, wanted=units, ordered=units) for ref, sku, units in lines),
        **{"lat": 52.0, "lon": 5.0, **more},  # type: ignore[arg-type]
    )
