"""A small town to source in: a warehouse and two stores with rate cards, four SKUs, one of them a kit, and two channels."""

from engine.calendar import parse_minute
from engine.catalogue import put_network
from engine.database import Database, Tx
from engine.entries import ChannelEntry, SkuEntry, put_channels, put_skus
from engine.facts import OrderedLine, OrderPlaced, Place
from engine.ledger import move
from engine.network import Hours, Network, Node, Terms
from solver.wave import Service, Sku

NOON = parse_minute("2026-03-03T11:00Z") * 60_000  # a Tuesday
HOUR, DAY = 3_600_000, 86_400_000
TODAY = NOON // DAY
VENLO, UTRECHT, DELFT = "VENLO", "UTRECHT", "DELFT"
TEE, MUG, POT, SET = "TEE", "MUG", "POT", "SET"
AMSTERDAM = Place(lat=52.37, lon=4.90)
ROTTERDAM = Place(lat=51.92, lon=4.48)
_names = iter(range(10**9))


def network() -> Network:
    """Services `next` (next day, dear) and `slow` (three days, cheap); the stores hand over on the same day."""
    node = {"kind": "store", "parcel_cents": 80, "line_cents": 15, "unit_cents": 3, "ready_days": 0, "tags": []}
    node |= {"calendar": "daily", "cut_off_minute": 1020}
    node |= dict.fromkeys(("capacity_parcels", "capacity_units", "overtime_cents"))
    return Network(
        format="network/1",
        currency="EUR",
        simulated=(),
        calendars=(Hours(id="daily", open_weekdays=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), closed=()),),
        nodes=(
            Node(id=VENLO, lat=51.37, lon=6.17, **{**node, "kind": "warehouse", "parcel_cents": 50}),
            Node(id=UTRECHT, lat=52.09, lon=5.12, **node),
            Node(id=DELFT, lat=52.01, lon=4.36, **node),
        ),
        skus=[Sku(id=name, weight_g=400, requires=[], no_services=[]) for name in (TEE, MUG, POT)],
        services=[
            Service(id=name, zone_km=[80.0, 400.0], steps_g=[1000, 5000], cents=cents, over_cents_per_kg=[50, 60],
                    transit_days=[days, days])
            for name, cents, days in (("next", [[500, 620], [560, 700]], 1), ("slow", [[300, 380], [340, 420]], 3))
        ],
        stock=[],
        receipts=[],
        terms=Terms(promise_days=5, late_cents=150, unfilled_cents=2000, unfilled_percent=0, wait_cents_per_day=10,
                    cancel_after_days=30, restock_days=2),
        markets=(),
    )  # fmt: skip


def found_town(database: Database, **units: int) -> None:
    """Put the town into a database, with units of `TEE` at nodes (`venlo=3`)."""

    def act(tx: Tx) -> None:
        put_network(tx, network(), NOON)
        put_skus(tx, [SkuEntry(id=SET, weight_g=1200, parts={MUG: 2, POT: 1})], NOON)
        put_channels(tx, [ChannelEntry(id="web"), ChannelEntry(id="market", stock_values=False)], NOON)
        tx.run("UPDATE node SET collects = true WHERE kind = 'store'")

    database.write(act)
    for node, count in units.items():
        receive(database, count, node=node.upper())


def receive(database: Database, units: int, *, node: str = VENLO, sku: str = TEE) -> None:
    def act(tx: Tx) -> None:
        numbers = [
            tx.value(f"SELECT no FROM {table} WHERE id = :id", id=name)
            for table, name in (("sku", sku), ("node", node))
        ]
        move(tx, NOON, "received", f"r{next(_names)}", numbers[:1], numbers[1:], on_hand=[units])

    database.write(act)


def order(*lines: tuple[str, int], at: int = NOON, name: str = "", **more: object) -> OrderPlaced:
    """An order to Amsterdam, of (SKU, units)."""
    facts = {"channel": "web", "place": AMSTERDAM, **more}
    return OrderPlaced(
        at=at,
        external_id=name or f"o{next(_names)}",
        lines=tuple(OrderedLine(sku=sku, qty=qty) for sku, qty in lines),
        **facts,
    )


def claims(database: Database, order_id: str = "") -> list[tuple[str, str, int]]:
    """(SKU, node, units) of all claims, or those of one order."""
    with database.read() as tx:
        found = tx.all(
            "SELECT s.id, n.id, c.units FROM claim c JOIN sku s ON s.no = c.sku_no JOIN node n ON n.no = c.node_no "
            "JOIN orders o ON o.no = c.order_no WHERE :id = '' OR o.id = :id ORDER BY s.id, n.id",
            id=order_id,
        )
    return [(str(sku), str(node), int(units)) for sku, node, units in found]


def stock(database: Database, node: str = VENLO, sku: str = TEE) -> tuple[int, int]:
    """On hand and reserved."""
    with database.read() as tx:
        found = tx.first(
            "SELECT on_hand, reserved FROM stock JOIN sku s ON s.no = sku_no JOIN node n ON n.no = node_no "
            "WHERE s.id = :sku AND n.id = :node",
            sku=sku,
            node=node,
        )
    return (0, 0) if found is None else (int(found[0]), int(found[1]))
