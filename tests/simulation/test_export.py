from pathlib import Path

import pytest

from engine.consignments import release
from engine.database import Database
from engine.entries import put_services
from engine.facts import (
    Delivered,
    InboundAnnounced,
    LineUnits,
    OrderCancelled,
    OrderReleased,
    PickupLapsed,
    ReadyForPickup,
    ReturnedUnits,
    ReturnReceived,
    Shipped,
)
from engine.network import columns_of
from engine.orders import cancel, place
from engine.returns import take_back
from engine.shipping import deliver, lapse, make_ready, ship
from engine.stock import record
from simulation.export import export_history, history_in, network_in
from simulation.history import History, read_history
from simulation.replay import replay
from simulation.tables import Format
from solver.effort import Policy
from tests.engine.shop import CAP, DAY, MINUTE, NOON, STORE, TEE, WAREHOUSE, open_shop, ordered, settle, supply
from tests.engine.test_available import EXPRESS

MINUTE_OF_DAY = NOON // MINUTE


@pytest.fixture
def lived(database: Database) -> Database:
    """A shop in which three orders came in: one partly cancelled, a set to be collected, and one that came back."""
    open_shop(database)
    database.write(lambda tx: put_services(tx, [EXPRESS], NOON))
    supply(database, (TEE, STORE, 10), (CAP, STORE, 10), (TEE, WAREHOUSE, 10))
    come = InboundAnnounced(id="i", at=NOON, sku="mug", node="far", inbound="truck", units=40, due_day=NOON // DAY + 4)
    database.write(lambda tx: record(tx, [come]))
    orders = [
        ordered("1", ("tee", 5), ("cap", 1)),
        ordered("2", ("set", 2), at=NOON + MINUTE, pickup=("store",)),
        ordered("3", ("tee", 3), channel="market", at=NOON + 2 * MINUTE),
    ]
    first, _, third = (answer.id for answer in database.write(lambda tx: place(tx, orders)))
    gone = OrderCancelled(id="c", at=NOON + 9 * MINUTE, order=first, lines=(LineUnits(line=1, units=2),))
    database.write(lambda tx: cancel(tx, gone))
    database.write(lambda tx: settle(tx, third, (1, STORE, 3)))
    ((box,),) = database.write(lambda tx: release(tx, [OrderReleased(id="r", at=NOON + 10 * MINUTE, order=third)]))
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON + 11 * MINUTE, consignment=box)))
    database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON + DAY, consignment=box)))
    back = ReturnReceived(
        id="b", at=NOON + 3 * DAY, consignment=box, units=(ReturnedUnits(line=1, sku="tee", units=1),)
    )
    database.write(lambda tx: take_back(tx, back))
    return database


def exported(database: Database, folder: Path, tables: Format = "csv") -> History:
    with database.read() as tx:
        export_history(tx, folder, NOON + 3 * DAY, tables=tables)
    return read_history(folder)


@pytest.mark.parametrize("tables", ["csv", "parquet"])
def test_what_happened_reads_back_as_a_history(lived: Database, tmp_path: Path, tables: Format) -> None:
    history = exported(lived, tmp_path, tables)
    assert (history.orders, history.currency, history.channel_id) == (3, "EUR", ("web", "market"))
    assert (history.order_placed_at - MINUTE_OF_DAY).tolist() == [0, 1, 2]
    lines = list(zip((history.sku_id[k] for k in history.line_sku), history.line_qty.tolist(), strict=True))
    # a set is a tee and two caps
    assert lines == [("tee", 5), ("cap", 1), ("tee", 2), ("cap", 4), ("tee", 3)]
    assert [history.node_id[j] for j in history.pickup_node] == ["store"]
    cancelled = (history.cancel_at - MINUTE_OF_DAY, history.cancel_line, history.cancel_units)
    assert [column.tolist() for column in cancelled] == [[9], [0], [2]]
    returned = (history.return_at - MINUTE_OF_DAY, history.return_line, history.return_units)
    assert [column.tolist() for column in returned] == [[3 * 1440], [4], [1]]


def test_what_nobody_collected_came_back_when_it_lapsed(lived: Database, tmp_path: Path) -> None:
    (placed,) = lived.write(lambda tx: place(tx, [ordered("4", ("tee", 2), at=NOON + 3 * MINUTE)]))
    lived.write(lambda tx: settle(tx, placed.id, (1, STORE, 2)))
    ((box,),) = lived.write(lambda tx: release(tx, [OrderReleased(id="r4", at=NOON + DAY, order=placed.id)]))
    lived.write(lambda tx: tx.run("UPDATE consignment SET collect_no = node_no WHERE id = :id", id=box))
    lived.write(lambda tx: make_ready(tx, ReadyForPickup(id="y", at=NOON + DAY, consignment=box)))
    lived.write(lambda tx: lapse(tx, PickupLapsed(id="l", at=NOON + 2 * DAY, consignment=box)))
    history = exported(lived, tmp_path)
    returned = (history.return_at - MINUTE_OF_DAY, history.return_line, history.return_units)
    assert [column.tolist() for column in returned] == [[2 * 1440, 3 * 1440], [5, 4], [2, 1]]


def test_what_came_in_and_what_is_to_come_are_receipts(lived: Database, tmp_path: Path) -> None:
    history = exported(lived, tmp_path)
    receipts = zip(
        ((history.receipt_at - MINUTE_OF_DAY) // 1440).tolist(),
        (history.node_id[j] for j in history.receipt_node),
        (history.sku_id[k] for k in history.receipt_sku),
        history.receipt_units.tolist(),
        strict=True,
    )
    assert sorted(receipts) == [
        (0, "store", "cap", 10), (0, "store", "tee", 10), (0, "warehouse", "tee", 10), (3, "far", "mug", 40),
    ]  # fmt: skip


def test_a_history_names_nobody(lived: Database, tmp_path: Path) -> None:
    lived.write(
        lambda tx: tx.run("INSERT INTO recipient (id, name, contact) VALUES ('anna.b', 'Anna B.', 'anna@b.nl')")
    )
    lived.write(lambda tx: tx.run("UPDATE orders SET recipient = 'anna.b' WHERE external_id = '1'"))
    folder = tmp_path / "history"
    assert exported(lived, folder).customer_id == ("C1",)
    assert all("anna" not in file.read_text().lower() for file in folder.iterdir())


def test_a_history_replays_on_the_network_of_its_database(lived: Database, first_node: Policy, tmp_path: Path) -> None:
    history = exported(lived, tmp_path)
    with lived.read() as tx:
        network = network_in(tx, NOON)
    assert [sku.id for sku in network.skus] == ["cap", "mug", "tee"]
    columns_of(network)
    run = replay(history, network, first_node)
    assert run.source == "a database of allot"
    assert run.bill["carriage"] > 0


def test_reading_page_by_page_gives_the_same(lived: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with lived.read() as tx:
        whole = history_in(tx, NOON)
        monkeypatch.setattr("simulation.export.PAGE", 1)
        seen: list[int] = []
        paged = history_in(tx, NOON, told=seen.append)
    assert seen == [1, 2, 3]
    assert whole.order_id == paged.order_id
    assert (whole.line_qty == paged.line_qty).all()
    assert (whole.cancel_units == paged.cancel_units).all()
