import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.calendar import parse_minute
from engine.network import columns_of, read_network, write_network
from simulation.networks import NAMES, example
from solver.distance import km
from solver.problem import HARD, NO_LIMIT
from solver.refusal import Refusal

EXAMPLE = Path(__file__).parents[2] / "simulation" / "examples" / "network.json"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def content() -> dict[str, Any]:
    return dict(json.loads(EXAMPLE.read_text()))


def test_the_example_reads_as_it_is_written() -> None:
    columns = columns_of(read_network(EXAMPLE))
    assert columns.empty.node_id == ("VENLO", "UTRECHT")
    assert columns.node_cut_off.tolist() == [1020, 900]
    assert columns.node_capacity_units.tolist() == [NO_LIMIT, 60]
    assert columns.empty.node_overtime_cents.tolist() == [150, HARD]
    assert columns.kind_handled[columns.sku_kind].tolist() == [[True, True], [True, True], [True, False]]
    stock = columns.stock
    rows = zip(stock.sku.tolist(), stock.node.tolist(), stock.units.tolist(), stock.value_cents.tolist(), strict=True)
    assert list(rows) == [(0, 0, 6, 0), (0, 1, 2, 20), (1, 0, 1, 0), (2, 0, 4, 0)]
    assert columns.receipts.at.tolist() == [parse_minute("2024-05-03T07:00Z")]
    assert (columns.nodes, columns.skus) == (2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_that_are_shipped_are_sound(name: str) -> None:
    network = example(name)
    assert network.markets
    assert "made up" in network.simulated[0]
    assert {node.kind for node in network.nodes} == {"warehouse", "store"}


def test_every_market_of_the_examples_is_served_by_some_node() -> None:
    for name in NAMES:
        network = example(name)
        reach = max(service.zone_km[-1] for service in network.services)
        assert all(km(m.lat, m.lon, n.lat, n.lon) <= reach for m in network.markets for n in network.nodes)


@pytest.mark.parametrize("name", ["network.json", "network.json.gz"])
def test_a_network_survives_writing_and_reading(tmp_path: Path, name: str) -> None:
    network = read_network(EXAMPLE)
    write_network(tmp_path / name, network)
    assert read_network(tmp_path / name) == network


def setting(*path: Any, to: Any) -> Change:
    """A change of the value at a path."""

    def change(content: dict[str, Any]) -> None:
        *way, last = path
        for key in way:
            content = content[key]
        content[last] = to

    return change


def twice(table: str) -> Change:
    return lambda content: content[table].append(copy.deepcopy(content[table][0]))


def without(*path: Any) -> Change:
    def change(content: dict[str, Any]) -> None:
        *way, last = path
        for key in way:
            content = content[key]
        del content[last]

    return change


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (
            setting("format", to="network/2"),
            "network.json: is a network (network/2); a network (network/1) is expected",
        ),
        (setting("currency", to="euro"), "currency: expected `str` matching regex"),
        (setting("stok", to=[]), "network.json: object contains unknown field `stok`"),
        (without("terms"), "network.json: object missing required field `terms`"),
        (without("nodes", 0, "overtime_cents"), "nodes[0]: object missing required field `overtime_cents`"),
        (setting("nodes", to=[]), "nodes: expected `array` of length >= 1"),
        (setting("nodes", 0, "kind", to="depot"), "nodes[0].kind: invalid enum value 'depot'"),
        (setting("nodes", 0, "lat", to=91), "nodes[0].lat: expected `float` <= 90"),
        (setting("nodes", 0, "parcel_cents", to=1.5), "nodes[0].parcel_cents: expected `int`, got `float`"),
        (setting("nodes", 0, "unit_cents", to=-1), "nodes[0].unit_cents: expected `int` >= 0"),
        (setting("nodes", 0, "cut_off_minute", to=1440), "nodes[0].cut_off_minute: expected `int` <= 1439"),
        (setting("nodes", 1, "id", to=""), "nodes[1].id: expected `str` of length >= 1"),
        (setting("nodes", 1, "id", to="VENLO"), "nodes[1].id: 'VENLO' is already the id of nodes[0]"),
        (setting("nodes", 1, "calendar", to="never"), "nodes[1].calendar: 'never' is not a calendar here"),
        (twice("calendars"), "calendars[2].id: 'weekdays' is already the id of calendars[0]"),
        (
            setting("calendars", 0, "open_weekdays", to=[]),
            "calendars[0].open_weekdays: expected `array` of length >= 1",
        ),
        (setting("calendars", 0, "open_weekdays", to=["day"]), "calendars[0].open_weekdays[0]: invalid enum value"),
        (
            setting("calendars", 0, "open_weekdays", to=["mon", "mon"]),
            "calendars[0].open_weekdays: names a weekday twice",
        ),
        (setting("calendars", 1, "closed", to=["2024-02-30"]), "calendars[1].closed[0]: '2024-02-30' is a day that no"),
        (setting("calendars", 1, "closed", to=["1 May"]), "calendars[1].closed[0]: '1 May' is not a day like"),
        (twice("skus"), "skus[3].id: 'mug' is already the id of skus[0]"),
        (
            setting("skus", 0, "no_services", to=["drone"]),
            "skus[0].no_services: 'drone' is not a service of this network",
        ),
        (twice("services"), "services[2].id: 'parcel' is already the id of services[0]"),
        (setting("services", to=[]), "services: is empty; a network needs a service"),
        (setting("services", 0, "zone_km", to=[300, 100]), "services[0].zone_km[1]: 100"),
        (setting("services", 0, "cents", 0, to=[520, 395]), "services[0].cents[0][1]: 395 is below 520"),
        (setting("services", 0, "cents", to=[[1, 2]]), "services[0].cents: 1 entries for 2 zones"),
        (setting("stock", 0, 0, to="ROME"), "stock[0][0]: 'ROME' is not a node of this network"),
        (setting("stock", 0, 1, to="cup"), "stock[0][1]: 'cup' is not a SKU of this network"),
        (setting("stock", 0, 2, to=-6), "stock[0][2]: expected `int` >= 0"),
        (twice("stock"), "stock[4]: a second row for 'VENLO' and 'mug'"),
        (setting("receipts", 0, 0, to="2024-05-03 07:00"), "receipts[0][0]: '2024-05-03 07:00' is not a day like"),
        (setting("receipts", 0, 1, to="ROME"), "receipts[0][1]: 'ROME' is not a node of this network"),
        (setting("receipts", 0, 2, to="cup"), "receipts[0][2]: 'cup' is not a SKU of this network"),
        (setting("receipts", 0, 3, to=0), "receipts[0][3]: expected `int` >= 1"),
        (setting("terms", "restock_days", to=-1), "terms.restock_days: expected `int` >= 0"),
        (setting("terms", "patience", to=1), "terms: object contains unknown field `patience`"),
        (twice("markets"), "markets[2].id: 'Amsterdam' is already the id of markets[0]"),
        (setting("markets", 0, "weight", to=0), "markets[0].weight: expected `int` >= 1"),
    ],
)
def test_a_malformed_network_is_refused_with_its_place(
    content: dict[str, Any], tmp_path: Path, change: Change, refusal: str
) -> None:
    change(content)
    (tmp_path / "network.json").write_text(json.dumps(content))
    with pytest.raises(Refusal) as raised:
        read_network(tmp_path / "network.json")
    assert refusal in str(raised.value)


def test_the_columns_of_a_network_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        columns_of(read_network(EXAMPLE)).node_cut_off[0] = 1
