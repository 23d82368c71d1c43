"""What a wave file may say, and how it is refused."""

import copy
import dataclasses
import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from solver.problem import DELIVERED, HARD, NO_LIMIT, NO_SERVICE, Problem
from solver.refusal import Refusal
from solver.wave import Wave, load, problem_of, read_wave, write_wave
from tests.strategies import small_waves
from tests.worlds import collection, delivery, line, node, service, sku, world

Json = dict[str, Any]

VALID: Json = {
    "format": "wave/1",
    "nodes": [
        {
            "id": "N0",
            "kind": "warehouse",
            "lat": 52.5,
            "lon": 13.4,
            "parcel_cents": 50,
            "line_cents": 10,
            "unit_cents": 1,
            "ready_days": 0,
            "tags": ["cold"],
            "capacity_parcels": 3,
            "capacity_units": None,
            "overtime_cents": 200,
        },
        {
            "id": "N1",
            "kind": "store",
            "lat": 48.1,
            "lon": 11.6,
            "parcel_cents": 90,
            "line_cents": 30,
            "unit_cents": 5,
            "ready_days": 1,
            "tags": [],
            "capacity_parcels": None,
            "capacity_units": 8,
            "overtime_cents": None,
        },
    ],
    "skus": [
        {"id": "K0", "weight_g": 700, "requires": ["cold"], "no_services": []},
        {"id": "K1", "weight_g": 300, "requires": [], "no_services": ["S1"]},
    ],
    "stock": [["N0", "K0", 5, 0], ["N0", "K1", 2, 15], ["N1", "K1", 4, 0]],
    "services": [
        {
            "id": "S0",
            "zone_km": [100, 800.5],
            "steps_g": [500, 1000],
            "cents": [[300, 400], [500, 700]],
            "over_cents_per_kg": [100, 150],
            "transit_days": [1, 3],
        },
        {
            "id": "S1",
            "zone_km": [900],
            "steps_g": [2000],
            "cents": [[1500]],
            "over_cents_per_kg": [0],
            "transit_days": [1],
        },
    ],
    "orders": [
        {
            "id": "O0",
            "promise_days": 3,
            "late_cents": 200,
            "max_parcels": 2,
            "ship_complete": False,
            "lines": [
                {"sku": "K0", "qty": 2, "unfilled_cents": 3000},
                {"sku": "K1", "qty": 1, "unfilled_cents": 2500},
            ],
            "lat": 52.4,
            "lon": 13.1,
        },
        {
            "id": "O1",
            "promise_days": 1,
            "late_cents": 0,
            "max_parcels": None,
            "ship_complete": True,
            "lines": [{"sku": "K1", "qty": 1, "unfilled_cents": 2500}],
            "pickup_nodes": ["N1", "N0"],
        },
    ],
}

Change = Callable[[Json], None]


def find(wave: Json, path: Iterable[str | int]) -> Any:
    found: Any = wave
    for key in path:
        found = found[key]
    return found


def put(*path_and_value: Any) -> Change:
    """Set what is at a path: `put("nodes", 0, "lat", 91)`."""
    *path, key, value = path_and_value

    def change(wave: Json) -> None:
        find(wave, path)[key] = value

    return change


def drop(*path: str | int) -> Change:
    """Leave out what is at a path."""

    def change(wave: Json) -> None:
        del find(wave, path[:-1])[path[-1]]

    return change


def again(*path: str | int) -> Change:
    """Repeat the row at a path at the end of its list."""

    def change(wave: Json) -> None:
        table = find(wave, path[:-1])
        table.append(copy.deepcopy(table[path[-1]]))

    return change


def both(*changes: Change) -> Change:
    def change(wave: Json) -> None:
        for one in changes:
            one(wave)

    return change


MALFORMED: dict[str, tuple[Change, str]] = {
    # keys
    "unknown key of the wave": (put("note", "x"), "`note`"),
    "unknown key of a node": (put("nodes", 1, "capcity_units", 3), "nodes[1]: "),
    "unknown key of a SKU": (put("skus", 0, "weight", 3), "skus[0]: "),
    "unknown key of a service": (put("services", 1, "zones", 3), "services[1]: "),
    "unknown key of an order": (put("orders", 1, "priority", 3), "orders[1]: "),
    "unknown key of a line": (put("orders", 0, "lines", 1, "price", 3), "orders[0].lines[1]: "),
    "no nodes": (drop("nodes"), "`nodes`"),
    "no orders": (drop("orders"), "`orders`"),
    "a node without an id": (drop("nodes", 0, "id"), "nodes[0]: "),
    "a node without ready_days": (drop("nodes", 1, "ready_days"), "nodes[1]: "),
    "a SKU without a weight": (drop("skus", 1, "weight_g"), "skus[1]: "),
    "a service without transit days": (drop("services", 0, "transit_days"), "services[0]: "),
    "an order without lines": (drop("orders", 0, "lines"), "orders[0]: "),
    "a line without a penalty": (drop("orders", 0, "lines", 0, "unfilled_cents"), "orders[0].lines[0]: "),
    # types
    "another format": (put("format", "wave/2"), "is a wave (wave/2); a wave (wave/1) is expected"),
    "no format": (drop("format"), "`format`"),
    "nodes are an object": (put("nodes", {}), "nodes: "),
    "a node is a list": (put("nodes", 0, []), "nodes[0]: "),
    "an id is a number": (put("skus", 0, "id", 7), "skus[0].id: "),
    "an empty id": (put("orders", 0, "id", ""), "orders[0].id: "),
    "an unknown kind of node": (put("nodes", 0, "kind", "vendor"), "nodes[0].kind: "),
    "tags are null": (put("nodes", 0, "tags", None), "nodes[0].tags: "),
    "an empty tag": (put("skus", 0, "requires", [""]), "skus[0].requires[0]: "),
    "a flag for an integer": (put("orders", 0, "lines", 0, "qty", True), "orders[0].lines[0].qty: "),
    "a number for a flag": (put("orders", 0, "ship_complete", 1), "orders[0].ship_complete: "),
    "a fraction of a unit": (put("orders", 0, "lines", 0, "qty", 1.5), "orders[0].lines[0].qty: "),
    "units as text": (put("orders", 0, "lines", 0, "qty", "2"), "orders[0].lines[0].qty: "),
    "a fraction of a cent": (put("nodes", 0, "parcel_cents", 50.25), "nodes[0].parcel_cents: "),
    "a stock row of three": (put("stock", 0, ["N0", "K0", 5]), "stock[0]: "),
    "a stock row of five": (put("stock", 0, ["N0", "K0", 5, 0, 0]), "stock[0]: "),
    "a penalty of null": (put("orders", 0, "lines", 0, "unfilled_cents", None), "orders[0].lines[0].unfilled_cents: "),
    # amounts
    "nothing asked for": (put("orders", 0, "lines", 0, "qty", 0), "orders[0].lines[0].qty: "),
    "less than nothing asked for": (put("orders", 0, "lines", 0, "qty", -1), "orders[0].lines[0].qty: "),
    "more units than can be counted": (put("orders", 0, "lines", 0, "qty", 2**31), "orders[0].lines[0].qty: "),
    "at most no parcels": (put("orders", 0, "max_parcels", 0), "orders[0].max_parcels: "),
    "a negative weight": (put("skus", 0, "weight_g", -5), "skus[0].weight_g: "),
    "negative stock": (put("stock", 1, 2, -1), "stock[1][2]: "),
    "a negative price of overtime": (put("nodes", 0, "overtime_cents", -1), "nodes[0].overtime_cents: "),
    "money above the limit": (put("orders", 1, "late_cents", 2**40 + 1), "orders[1].late_cents: "),
    "money beyond 64 bits": (put("orders", 1, "late_cents", 10**30), "orders[1].late_cents: "),
    "days below zero": (put("nodes", 1, "ready_days", -1), "nodes[1].ready_days: "),
    "a latitude off the globe": (put("nodes", 1, "lat", 90.01), "nodes[1].lat: "),
    "a longitude off the globe": (put("orders", 0, "lon", -180.5), "orders[0].lon: "),
    "a bill too large to be exact": (
        put("orders", 0, "lines", 0, "qty", 2**31 - 1),
        "the wave: its amounts are too large",
    ),
    "a weight too large to be added up": (
        both(
            put("skus", 1, "weight_g", 2**40),
            put("orders", 1, "lines", 0, "qty", 100_000),
            put("services", 0, "over_cents_per_kg", [0, 0]),
        ),
        "the wave: its weights are too large",
    ),
    # lists
    "an order of no lines": (put("orders", 1, "lines", []), "orders[1].lines: "),
    "no distance bands": (put("services", 0, "zone_km", []), "services[0].zone_km: "),
    "no weight steps": (put("services", 1, "steps_g", []), "services[1].steps_g: "),
    "nowhere to collect": (put("orders", 1, "pickup_nodes", []), "orders[1].pickup_nodes: "),
    "bands that do not ascend": (put("services", 0, "zone_km", [100, 100]), "services[0].zone_km[1]: "),
    "steps that descend": (put("services", 0, "steps_g", [1000, 500]), "services[0].steps_g[1]: "),
    "a tariff that falls": (put("services", 0, "cents", 1, [500, 499]), "services[0].cents[1][1]: "),
    "a tariff with too few zones": (put("services", 0, "cents", [[1, 2]]), "services[0].cents: "),
    "a tariff with too many steps": (put("services", 0, "cents", 1, [1, 2, 3]), "services[0].cents[1]: "),
    "too few prices above the last step": (
        put("services", 0, "over_cents_per_kg", [1]),
        "services[0].over_cents_per_kg: ",
    ),
    "too many transit times": (put("services", 1, "transit_days", [1, 2]), "services[1].transit_days: "),
    # names
    "two nodes of one id": (again("nodes", 0), "nodes[2].id: "),
    "two SKUs of one id": (again("skus", 1), "skus[2].id: "),
    "two services of one id": (again("services", 0), "services[2].id: "),
    "two orders of one id": (again("orders", 0), "orders[2].id: "),
    "two stock rows of one pair": (again("stock", 1), "stock[3]: "),
    "stock at an unknown node": (put("stock", 2, 0, "N9"), "stock[2][0]: 'N9'"),
    "stock of an unknown SKU": (put("stock", 2, 1, "K9"), "stock[2][1]: 'K9'"),
    "an unknown SKU asked for": (put("orders", 0, "lines", 1, "sku", "K9"), "orders[0].lines[1].sku: 'K9'"),
    "collected at an unknown node": (put("orders", 1, "pickup_nodes", ["N1", "N9"]), "orders[1].pickup_nodes: 'N9'"),
    "collected twice at one node": (put("orders", 1, "pickup_nodes", ["N1", "N1"]), "orders[1].pickup_nodes: "),
    "an unknown service ruled out": (put("skus", 1, "no_services", ["S9"]), "skus[1].no_services: 'S9'"),
    # where to
    "delivered and collected": (put("orders", 0, "pickup_nodes", ["N1"]), "orders[0]: "),
    "collected, with a longitude": (put("orders", 1, "lon", 3), "orders[1]: "),
    "neither delivered nor collected": (both(drop("orders", 0, "lat"), drop("orders", 0, "lon")), "orders[0]: "),
    "delivered to a longitude only": (drop("orders", 0, "lat"), "orders[0]: "),
    "too many services": (
        lambda wave: wave["services"].extend({**VALID["services"][1], "id": f"T{i}"} for i in range(61)),
        "services: 63 services",
    ),
    # what would spoil a one-line message
    "a key with a line break": (put("nodes", 0, "a\nb", 1), "nodes[0]: "),
    "a format with a line break": (put("format", "wave/1\n"), "has the format 'wave/1"),
    "an id with a line break": (put("stock", 0, 0, "N\n0"), "stock[0][0]: "),
}

NOT_JSON: dict[str, bytes] = {
    "empty": b"",
    "truncated": json.dumps(VALID).encode()[:-20],
    "text": b"nodes: []",
    "NaN": json.dumps(VALID).replace("52.5", "NaN").encode(),
    "infinity": json.dumps(VALID).replace("52.5", "Infinity").encode(),
    "two documents": json.dumps(VALID).encode() * 2,
    "nested too deeply": b'{"nodes":' + b"[" * 100_000,
    "unknown key, nested too deeply": b'{"note":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not UTF-8": json.dumps(VALID).encode().replace(b"N0", b"N\xff"),
    "half a surrogate": json.dumps(VALID).replace("N0", "\\ud800").encode(),
    "a number without end": json.dumps(VALID).replace("52.5", "1e999").encode(),
}


def written(folder: Path, wave: Json) -> Path:
    path = folder / "wave.json"
    path.write_text(json.dumps(wave))
    return path


def refusal_of(path: Path) -> str:
    with pytest.raises(Refusal) as refused:
        load(path)
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


def columns(problem: Problem) -> dict[str, Any]:
    """The columns of a problem as lists, for comparison."""
    values = {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def test_the_valid_wave_is_read(tmp_path: Path) -> None:
    problem = load(written(tmp_path, VALID))
    assert problem.node_id == ("N0", "N1")
    assert problem.orders == 2
    assert problem.line_qty.tolist() == [2, 1, 1]


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_wave_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    change, place = MALFORMED[name]
    wave = copy.deepcopy(VALID)
    change(wave)
    assert place in refusal_of(written(tmp_path, wave))


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "wave.json"
    path.write_bytes(NOT_JSON[name])
    assert refusal_of(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "none.json: no such file" in refusal_of(tmp_path / "none.json")
    assert "cannot be read" in refusal_of(tmp_path)


@pytest.mark.parametrize("where", ["header", "content", "end", "none"])
def test_a_broken_gzip_is_refused(where: str, tmp_path: Path) -> None:
    content = bytearray(gzip.compress(json.dumps(VALID).encode()))
    if where == "end":
        content = content[:-12]
    elif where == "none":
        content = bytearray(json.dumps(VALID).encode())
    else:
        at = 0 if where == "header" else 14
        content[at : at + 3] = b"\xff\xff\xff"
    path = tmp_path / "wave.json.gz"
    path.write_bytes(content)
    assert "cannot be read" in refusal_of(path)


@pytest.mark.parametrize("key", ["capacity_parcels", "capacity_units", "overtime_cents"])
def test_what_may_be_null_may_be_left_out(key: str, tmp_path: Path) -> None:
    with_null, without = copy.deepcopy(VALID), copy.deepcopy(VALID)
    put("nodes", 0, key, None)(with_null)
    drop("nodes", 0, key)(without)
    expected = columns(load(written(tmp_path, with_null)))
    assert columns(load(written(tmp_path, without))) == expected


@pytest.mark.parametrize("name", ["wave.json", "wave.json.gz"])
def test_a_wave_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    wave = read_wave(written(tmp_path, VALID))
    write_wave(tmp_path / name, wave)
    assert read_wave(tmp_path / name) == wave
    assert columns(load(tmp_path / name)) == columns(problem_of(wave))


@given(wave=small_waves())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_wave_is_read_as_it_was_written(wave: Wave, tmp_path: Path) -> None:
    write_wave(tmp_path / "wave.json", wave)
    assert read_wave(tmp_path / "wave.json") == wave
    assert columns(load(tmp_path / "wave.json")) == columns(problem_of(wave))


def test_an_option_is_a_line_at_a_node_that_stocks_it() -> None:
    problem = problem_of(
        world(
            [node("A", tags=["cold"]), node("B", unit=7), node("C")],
            [delivery("O", line("milk"), line("bread"), line("milk"))],
            {("B", "milk"): 4, ("A", "milk"): (3, 25), ("C", "bread"): 0},
            skus=[sku("milk", requires=["cold"])],
        )
    )
    assert problem.option_line.tolist() == [0, 0, 1, 2, 2]
    assert problem.option_node.tolist() == [0, 1, 2, 0, 1]
    assert [problem.reasons[r] for r in problem.option_reason] == [
        "",
        "node_cannot_handle",
        "",
        "",
        "node_cannot_handle",
    ]
    assert problem.option_value_cents.tolist() == [25, 0, 0, 25, 0]
    assert problem.option_unit_cents.tolist() == [1, 7, 1, 1, 7]
    # both lines of milk draw on one row
    assert problem.row_limit[problem.option_row[:, 0]].tolist() == [3, 4, 0, 3, 4]
    assert problem.option_row[0, 0] == problem.option_row[3, 0]


def test_units_of_a_node_are_a_row_that_all_its_options_share() -> None:
    problem = problem_of(
        world(
            [node("A", units=2), node("B", parcels=1, overtime=9), node("C", parcels=0)],
            [delivery("O", line("x"), line("y"))],
            {("A", "x"): 5, ("A", "y"): 5, ("B", "x"): 5},
        )
    )
    assert problem.row_limit.tolist() == [5, 5, 5, 2]
    assert problem.option_row.tolist() == [[0, 3], [2, -1], [1, 3]]
    assert problem.node_capacity_parcels.tolist() == [NO_LIMIT, 1, 0]
    assert problem.node_overtime_cents.tolist() == [HARD, 9, HARD]


def test_goods_collected_where_they_are_picked_do_not_travel() -> None:
    problem = problem_of(
        world([node("A"), node("B", 1)], [collection("O", line("x"), at=["B", "A"])], {("A", "x"): 1, ("B", "x"): 1})
    )
    assert problem.dest_node.tolist() == [1, 0]
    assert problem.lane_zone[:, :, 0].tolist() == [[0, NO_SERVICE], [NO_SERVICE, 0]]


def test_a_zone_is_the_first_band_whose_end_is_not_below_the_distance() -> None:
    one_degree = 111.1950802335329  # the last digit counts
    ends = [one_degree, 2 * one_degree - 1e-9]
    problem = problem_of(
        world(
            [node("A")],
            [delivery(f"O{at}", line("x"), at=at) for at in (0, 1, 1.001, 2)],
            {("A", "x"): 1},
            services=[service(zone_km=ends, steps_g=[1000], cents=[[1], [2]], over=[0, 0], transit=[1, 1])],
        )
    )
    assert problem.lane_zone[:, 0, 0].tolist() == [0, 0, 1, NO_SERVICE]
    assert (problem.dest_node == DELIVERED).all()
