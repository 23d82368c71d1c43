import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest

from engine.books import fsck
from engine.calendar import is_open, parse_day
from engine.catalogue import Catalogue, put_network, read_catalogue
from engine.database import Database, Tx
from engine.entries import (
    CalendarEntry,
    ChannelEntry,
    NodeEntry,
    SkuEntry,
    change_entry,
    check_holidays,
    put_calendars,
    put_channels,
    put_nodes,
    put_skus,
    read_entries,
    read_entry,
)
from engine.facts import CatalogueChanged, NetworkLoaded, order_id, read_fact
from engine.log import Position, read_log
from engine.network import Network, columns_of, read_network
from engine.placing import place
from solver.refusal import Refusal
from tests.engine.shop import CAP, STORE, TEE, open_shop, ordered, settle, supply

EXAMPLE = read_network(Path(__file__).parents[2] / "simulation" / "examples" / "network.json")
NOON = 1_714_564_800_000  # 2024-05-01T12:00Z


@pytest.fixture
def loaded(database: Database) -> Database:
    database.write(lambda tx: put_network(tx, EXAMPLE, NOON))
    return database


def read(database: Database, at: int = NOON) -> Catalogue:
    with database.read() as tx:
        return read_catalogue(tx, at)


def count(database: Database, table: str) -> int:
    with database.read() as tx:
        return int(tx.value(f"SELECT count(*) FROM {table}"))


def test_a_network_that_was_put_reads_as_the_columns_of_its_file(loaded: Database) -> None:
    catalogue, file = read(loaded), columns_of(replace_stock(EXAMPLE))
    # rows are numbered by ascending id
    assert sorted(catalogue.node_id) == sorted(file.empty.node_id)
    node = [file.empty.node_id.index(name) for name in catalogue.node_id]
    sku = [file.empty.sku_id.index(name) for name in catalogue.sku_id]
    service = [file.empty.service_id.index(name) for name in catalogue.columns.empty.service_id]
    for name in ("node_lat", "node_lon", "node_parcel_cents", "node_line_cents", "node_unit_cents", "node_ready_days",
                 "node_capacity_parcels", "node_overtime_cents", "node_is_store"):  # fmt: skip
        assert (getattr(catalogue.columns.empty, name) == getattr(file.empty, name)[node]).all(), name
    assert (catalogue.columns.empty.sku_carried == file.empty.sku_carried[sku][:, service]).all()
    assert (catalogue.columns.empty.sku_weight_g == file.empty.sku_weight_g[sku]).all()
    assert (catalogue.columns.empty.service_cents == file.empty.service_cents[service]).all()
    assert catalogue.columns.node_calendar == tuple(file.node_calendar[j] for j in node)
    handled = catalogue.columns.kind_handled[catalogue.columns.sku_kind]
    assert (handled == file.kind_handled[file.sku_kind][sku][:, node]).all()
    assert (catalogue.terms, catalogue.currency) == (EXAMPLE.terms, EXAMPLE.currency)
    assert not len(catalogue.columns.stock.units)


def replace_stock(network: Network) -> Network:
    return msgspec.structs.replace(network, stock=[], receipts=[])


def test_what_a_file_does_not_know_of_a_node_stays(loaded: Database) -> None:
    with loaded.read() as tx:
        (first, *_) = read_entries(tx, "node")
    more = {"address": "Havenweg 5\nUtrecht", "region": "NL", "collects": True}
    loaded.write(lambda tx: change_entry(tx, "node", first.id, more, NOON))
    loaded.write(lambda tx: put_network(tx, msgspec.structs.replace(EXAMPLE, receipts=[]), NOON + 1))
    with loaded.read() as tx:
        (after,) = read_entries(tx, "node", [first.id])
    assert {name: getattr(after, name) for name in more} == more


def test_its_stock_is_on_the_books_and_its_receipts_are_inbound(loaded: Database) -> None:
    with loaded.read() as tx:
        stock = tx.all(
            "SELECT node.id, sku.id, on_hand, value_cents FROM stock JOIN sku ON sku.no = sku_no "
            "JOIN node ON node.no = node_no"
        )
        moved = tx.all("SELECT node.id, sku.id, sum(on_hand) FROM movement JOIN sku ON sku.no = sku_no "
                       "JOIN node ON node.no = node_no GROUP BY node.id, sku.id")  # fmt: skip
        inbound = tx.all("SELECT node.id, sku.id, units, due_day FROM inbound JOIN sku ON sku.no = sku_no "
                         "JOIN node ON node.no = node_no")  # fmt: skip
    assert sorted(stock) == sorted(EXAMPLE.stock)
    assert sorted((n, s, int(u)) for n, s, u in moved) == sorted(row[:3] for row in EXAMPLE.stock)
    assert inbound == [(node, sku, units, parse_day(at[:10])) for at, node, sku, units in EXAMPLE.receipts]


def test_the_same_network_again_changes_nothing(loaded: Database) -> None:
    before = {table: count(loaded, table) for table in ("fact", "movement", "inbound", "stock")}
    stamp = read(loaded).stamp
    assert loaded.write(lambda tx: put_network(tx, EXAMPLE, NOON + 1000)) is False
    assert before == {table: count(loaded, table) for table in before}
    assert read(loaded).stamp == stamp


def test_what_was_read_is_kept_until_the_catalogue_changes(loaded: Database) -> None:
    first = read(loaded)
    assert read(loaded) is first
    loaded.write(lambda tx: change_entry(tx, "node", "VENLO", {"parcel_cents": 77}, NOON))
    second = read(loaded)
    assert second is not first
    assert second.columns.empty.node_parcel_cents[second.node_at["VENLO"]] == 77


def test_what_was_read_in_a_transaction_that_failed_is_not_kept_for_others(loaded: Database) -> None:
    before = read(loaded)

    def fail(tx: Tx) -> None:
        change_entry(tx, "node", "VENLO", {"parcel_cents": 77}, NOON)
        assert read_catalogue(tx, NOON).columns.empty.node_parcel_cents.min() == 77
        raise Refusal("", "changed my mind")

    with pytest.raises(Refusal):
        loaded.write(fail)
    assert read(loaded) is before


def test_there_is_no_catalogue_before_there_is_a_network(database: Database) -> None:
    with pytest.raises(Refusal, match="there is no node yet") as refusal:
        read(database)
    assert refusal.value.code == "no_network"


def test_a_change_raises_the_version_and_leaves_a_fact(loaded: Database) -> None:
    version = loaded.write(lambda tx: change_entry(tx, "node", "VENLO", {"tags": ["frozen"]}, NOON, version=1, by="me"))
    assert version == 2
    with loaded.read() as tx:
        facts = tx.all("SELECT kind, by FROM fact WHERE subject = 'VENLO' ORDER BY no")
        assert read_entries(tx, "node", ["VENLO"])[0].tags == ("frozen",)  # type: ignore[attr-defined]
    assert facts == [("CatalogueChanged", ""), ("CatalogueChanged", "me")]


def test_a_change_of_nothing_changes_nothing(loaded: Database) -> None:
    facts = count(loaded, "fact")
    assert loaded.write(lambda tx: change_entry(tx, "node", "VENLO", {"kind": "warehouse"}, NOON)) == 1
    assert count(loaded, "fact") == facts


@pytest.mark.parametrize(
    ("table", "name", "changes", "version", "place", "code"),
    [
        ("node", "VENLO", {"cut_off_minute": 1440}, None, "cut_off_minute", "bad_input"),
        ("node", "VENLO", {"colour": "red"}, None, "colour", "bad_input"),
        ("node", "VENLO", {"id": "OTHER"}, None, "id", "id_is_fixed"),
        ("node", "VENLO", {"calendar": "none"}, None, "calendar", "dangling_reference"),
        ("node", "VENLO", {"tags": ["a\x00"]}, None, "tags[0]", "bad_input"),
        ("node", "VENLO", {}, 7, "version", "version_conflict"),
        ("node", "NOWHERE", {}, None, "id", "unknown_node"),
        ("sku", "MUG", {"services": ["balloon"]}, None, "services", "dangling_reference"),
        ("calendar", "weekdays", {"holidays": "XX"}, None, "holidays", "unknown_country"),
        ("calendar", "weekdays", {"holidays": "US-XX"}, None, "holidays", "unknown_country"),
        ("calendar", "weekdays", {"closed": ["2024-02-30"]}, None, "closed[0]", "bad_day"),
    ],
)
def test_a_bad_change_is_refused_by_its_place(
    loaded: Database, table: str, name: str, changes: dict[str, Any], version: int | None, place: str, code: str
) -> None:
    with loaded.read() as tx:
        ids = {t: sorted(e.id for e in read_entries(tx, t)) for t in ("sku", "calendar")}
    name = ids[table][0] if table in ids else name
    with pytest.raises(Refusal) as refusal:
        loaded.write(lambda tx: change_entry(tx, table, name, changes, NOON, version=version))
    assert refusal.value.code == code
    assert place in str(refusal.value)


def test_holidays_are_closed_days(loaded: Database) -> None:
    name = EXAMPLE.nodes[0].calendar
    loaded.write(lambda tx: change_entry(tx, "calendar", name, {"holidays": "NL"}, NOON))
    catalogue = read(loaded)
    calendar = catalogue.columns.node_calendar[catalogue.node_at[EXAMPLE.nodes[0].id]]
    assert not is_open(calendar, parse_day("2024-05-09"))  # Ascension, a Thursday
    assert not is_open(calendar, parse_day("2025-12-25"))
    later = read(loaded, NOON + 3 * 366 * 86_400_000)
    calendar = later.columns.node_calendar[later.node_at[EXAMPLE.nodes[0].id]]
    assert not is_open(calendar, parse_day("2028-12-25"))
    check_holidays("GB-SCT")


def test_a_kit_is_its_parts(loaded: Database) -> None:
    mug, tea = EXAMPLE.skus[0].id, EXAMPLE.skus[1].id
    entry = SkuEntry(id="GIFT", weight_g=500, parts={mug: 2, tea: 1})
    assert loaded.write(lambda tx: put_skus(tx, [entry], NOON)) == 1
    catalogue = read(loaded)
    kits = catalogue.kits
    assert (kits.sku.tolist(), kits.part_start.tolist()) == ([catalogue.sku_at["GIFT"]], [0, 2])
    parts = zip(kits.part_sku.tolist(), kits.part_units.tolist(), strict=True)
    assert {catalogue.sku_id[part]: units for part, units in parts} == {mug: 2, tea: 1}
    assert loaded.write(lambda tx: change_entry(tx, "sku", "GIFT", {"parts": {mug: 3}}, NOON)) == 2
    with loaded.read() as tx:
        assert read_entries(tx, "sku", ["GIFT"]) == [SkuEntry(id="GIFT", weight_g=500, parts={mug: 3})]


@pytest.mark.parametrize(
    ("parts", "code"), [({"NONE": 1}, "unknown_sku"), ({"GIFT": 1}, "kit_of_kits"), ({"KIT": 1}, "kit_of_kits")]
)
def test_a_kit_of_kits_or_of_nothing_is_refused(loaded: Database, parts: dict[str, int], code: str) -> None:
    part = EXAMPLE.skus[0].id
    loaded.write(lambda tx: put_skus(tx, [SkuEntry(id="KIT", weight_g=1, parts={part: 1})], NOON))
    with pytest.raises(Refusal) as refusal:
        loaded.write(lambda tx: put_skus(tx, [SkuEntry(id="GIFT", weight_g=1, parts=parts)], NOON))
    assert refusal.value.code == code


def test_what_has_stock_does_not_become_a_kit(loaded: Database) -> None:
    first, second = EXAMPLE.skus[0].id, EXAMPLE.skus[1].id
    with pytest.raises(Refusal) as refusal:
        loaded.write(lambda tx: change_entry(tx, "sku", first, {"parts": {second: 1}}, NOON))
    assert refusal.value.code == "kit_has_stock"


def test_the_parts_of_a_kit_stay_while_orders_wait_for_it(database: Database) -> None:
    open_shop(database)
    database.write(lambda tx: place(tx, [ordered("A", ("set", 1))]))
    with pytest.raises(Refusal) as refusal:
        database.write(lambda tx: change_entry(tx, "sku", "set", {"parts": {"tee": 3}}, NOON))
    assert (refusal.value.place, refusal.value.code) == ("parts", "kit_in_use")


def test_the_parts_of_a_kit_stay_while_it_is_claimed(database: Database) -> None:
    open_shop(database)
    supply(database, (TEE, STORE, 5), (CAP, STORE, 5))
    database.write(lambda tx: place(tx, [ordered("A", ("set", 1))]))
    database.write(lambda tx: settle(tx, order_id("web", "A"), (1, STORE, 1)))
    with pytest.raises(Refusal) as refusal:
        database.write(lambda tx: put_skus(tx, [SkuEntry(id="set", weight_g=100, parts={"cap": 2})], NOON))
    assert (refusal.value.place, refusal.value.code) == ("skus[0].parts", "kit_in_use")
    with database.read() as tx:
        assert fsck(tx) == []


def test_the_parts_of_a_kit_stay_for_an_order_that_is_just_being_placed(database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("it has one writer")
    open_shop(database)
    placed, refused = Event(), []

    def place_slowly(tx: Tx) -> None:
        place(tx, [ordered("A", ("set", 1))])
        tx.value("SELECT 1")  # whatever comes next: the lines travel with it
        placed.set()
        ends = time.monotonic() + 5
        while time.monotonic() < ends and not waits():
            time.sleep(0.01)

    def waits() -> bool:
        """Whether somebody waits for what is locked."""
        with database.read() as tx:
            return bool(tx.value("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    def change() -> None:
        placed.wait(10)
        try:
            database.write(lambda tx: put_skus(tx, [SkuEntry(id="set", weight_g=100, parts={"cap": 2})], NOON))
        except Refusal as refusal:
            refused.append(refusal.code)

    with ThreadPoolExecutor(2) as pool:
        [*pool.map(lambda act: act(), (lambda: database.write(place_slowly), change))]
    assert refused == ["kit_in_use"]


def test_what_changed_in_the_catalogue_is_read_back_from_the_log(loaded: Database) -> None:
    with loaded.read() as tx:
        facts = [read_fact(entry.payload) for entry in read_log(tx, Position())]
    assert {type(fact) for fact in facts} == {CatalogueChanged, NetworkLoaded}


def test_channels_come_with_their_rules(loaded: Database) -> None:
    rule = {"rule": "exclude_nodes", "name": "no_stores", "kinds": ["store"]}
    loaded.write(lambda tx: put_channels(tx, [ChannelEntry(id="web", safety=2, rules=(rule,))], NOON))
    (channel,) = read(loaded).channels
    assert (channel.id, channel.safety, channel.rules[0].name) == ("web", 2, "no_stores")


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({"rule": "exclude_nodes", "name": "no_stores", "kinds": ["shop"]}, "rules[0].kinds[0]"),
        ({"rule": "exclude_nodes", "name": "No stores", "kinds": ["store"]}, "rules[0].name"),
        ({"rule": "exclude_nodes", "name": "nobody"}, "rules[0]"),
        ({"rule": "teleport", "name": "x"}, "rules[0].rule"),
        ({"rule": "max_parcels", "name": "x", "parcels": 2, "cents": 5}, "rules[0].cents"),
        ({"rule": "max_distance", "name": "x", "km": 5, "miles": 3}, "rules[0]"),
        ({"rule": "max_distance", "name": "x", "km": float("nan")}, "rules[0].km"),
    ],
)
def test_a_bad_rule_is_refused_by_its_place(loaded: Database, rule: dict[str, Any], place: str) -> None:
    with pytest.raises(Refusal) as refusal:
        loaded.write(lambda tx: put_channels(tx, [ChannelEntry(id="web", rules=(rule,))], NOON))
    assert (refusal.value.place, refusal.value.code) == (place, "bad_rule")


def test_an_entry_is_read_strictly() -> None:
    with pytest.raises(Refusal) as refusal:
        read_entry({"id": "A", "weight_g": -1}, SkuEntry, "skus[3]")
    assert refusal.value.place == "skus[3].weight_g"


def test_writing_many_at_once_is_writing_each(database: Database) -> None:
    calendar = CalendarEntry(id="always", open_weekdays=("mon", "sun"))
    nodes = [NodeEntry(id=f"N{j}", kind="store", lat=1.5 * j, lon=-j, calendar="always", cut_off_minute=60 * j,
                       overtime_cents=None if j % 2 else 100) for j in range(20)]  # fmt: skip
    database.write(lambda tx: put_calendars(tx, [calendar], NOON))
    assert database.write(lambda tx: put_nodes(tx, nodes, NOON)) == 20
    changed = [msgspec.structs.replace(node, region="north") if j < 3 else node for j, node in enumerate(nodes)]
    assert database.write(lambda tx: put_nodes(tx, changed, NOON)) == 3
    with database.read() as tx:
        assert read_entries(tx, "node") == sorted(changed, key=lambda node: node.id)
        assert sorted(v for (v,) in tx.all("SELECT version FROM node")) == [1] * 17 + [2] * 3
