import json
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import duckdb
import numpy as np
import pytest

from engine.calendar import parse_minute
from engine.network import read_network
from simulation.history import History, read_history, write_history
from simulation.networks import example
from simulation.replay import replay
from simulation.synthetic import make_history as make_up
from simulation.tables import NOT_SAID
from solver.effort import Policy
from solver.problem import NO_LIMIT
from solver.refusal import Refusal

EXAMPLES = Path(__file__).parents[2] / "simulation" / "examples"

# file, what stands there, what stands there instead, and the refusal
MALFORMED = [
    ("lines.csv", "A2,0,mug,3,", "A2,0,mug,-3,", "lines.csv row 3 qty: -3 is not from 1 to 2147483647"),
    ("lines.csv", "A2,0,mug,3,", "A2,0,mug,0,", "lines.csv row 3 qty: 0 is not from 1 to"),
    ("lines.csv", "A2,0,mug,3,", "A2,0,mug,1.5,", "lines.csv row 3 qty: 1.5 is not a whole number"),
    ("lines.csv", "A2,0,mug,3,", "A2,0,mug, 3,", "lines.csv row 3 qty:  3 is not a whole number"),
    ("lines.csv", "A2,0,mug,3,", "A2,0,mug,99999999999999999999,", "is not a whole number"),
    ("lines.csv", "A2,0,mug,3,", "A2,0,mug,,", "lines.csv row 3 qty: is empty; it must be a whole number"),
    ("lines.csv", "A2,0,mug,3,", "A2,0,,3,", "lines.csv row 3 sku: is empty"),
    ("lines.csv", "A2,0,mug,3,900", "A2,0,mug,3,-1", "lines.csv row 3 unit_price_cents: -1 is not from 0"),
    ("lines.csv", "A2,0,mug,3,900", "A2,0,mug,3,9.99", "lines.csv row 3 unit_price_cents: 9.99 is not a whole number"),
    ("lines.csv", "A2,0,mug", "B2,0,mug", "lines.csv row 3 order: 'B2' is not an order of this history"),
    ("lines.csv", "A1,1,kettle", "A1,2,kettle", "lines.csv row 2 line: 2 is twice, or out of turn"),
    ("lines.csv", "A1,1,kettle", "A1,0,kettle", "is twice, or out of turn; lines are numbered from 0"),
    ("lines.csv", "A2,0,mug,3,900,\n", "", "history.json counts.lines: 6, but lines.csv has 5 rows"),
    ("lines.csv", "A2,0,mug,3,900,", "A1,2,mug,3,900,", "orders.csv row 2 order: 'A2' has no line in lines"),
    ("lines.csv", "order,line,sku", "order,line,item", "lines.csv item: is no column of it; it has order, line, sku"),
    ("lines.csv", "order,line,sku", "sku,line,sku", "lines.csv sku: stands there twice"),
    ("lines.csv", "A2,0,mug,3,900,", "A2,0,mug,3,900,1,2", "lines.csv: cannot be read: CSV Error on Line: 4"),
    ("lines.csv", "A2,0,mug,3,900,", "A2,0,mug,3", "Expected Number of Columns: 6 Found: 4"),
    ("lines.csv", "A2,0,mug,3,900,", 'A2,0,"mug,3,900,', "lines.csv: cannot be read: "),
    ("orders.csv", "order,placed_at,", "order,when,", "orders.csv when: is no column of it"),
    ("orders.csv", "placed_at,channel", "lat,channel", "orders.csv lat: stands there twice"),
    ("orders.csv", "2024-04-29T09:15Z", "2024-02-30T09:15Z", "row 1 placed_at: 2024-02-30T09:15Z is not a minute like"),
    ("orders.csv", "2024-04-29T09:15Z", "2024-04-29T24:15Z", "is not a minute like 2011-01-18T10:01Z"),
    ("orders.csv", "2024-04-29T09:15Z", "2024-04-29 09:15", "is not a minute like 2011-01-18T10:01Z"),
    ("orders.csv", "2024-04-29T09:15Z", "2024-04-29T09:15:30Z", "is not a minute like 2011-01-18T10:01Z"),
    ("orders.csv", "2024-04-29T09:15Z", "", "orders.csv row 1 placed_at: is empty"),
    ("orders.csv", "52.36,4.88", "92.36,4.88", "orders.csv row 1 lat: 92.36 is not from -90 to 90"),
    ("orders.csv", "52.36,4.88", "52.36,184.88", "orders.csv row 1 lon: 184.88 is not from -180 to 180"),
    ("orders.csv", "52.36,4.88", "nan,4.88", "orders.csv row 1 lat: nan is not a number"),
    ("orders.csv", "52.36,4.88", "52.36,", "orders.csv row 1 lat: lat and lon go together"),
    ("orders.csv", "52.36,4.88,", "52.36,4.88,UTRECHT", "orders.csv row 1 pickup_nodes: UTRECHT beside an address"),
    (
        "orders.csv",
        ",UTRECHT,",
        ",UTRECHT|UTRECHT,",
        "orders.csv row 3 pickup_nodes: 'UTRECHT|UTRECHT' names a node twice",
    ),
    ("orders.csv", ",UTRECHT,", ",UTRECHT|,", "orders.csv row 3 pickup_nodes: 'UTRECHT|' names a node twice, or none"),
    ("orders.csv", "\nA2,", "\nA1,", "orders.csv row 2 order: 'A1' is already an order above"),
    ("orders.csv", ",1,false", ",0,false", "orders.csv row 2 max_parcels: 0 is not from 1 to"),
    ("orders.csv", ",1,false", ",1,no", "orders.csv row 2 ship_complete: no is not true or false"),
    ("orders.csv", ",,2,,,", ",,-2,,,", "orders.csv row 1 promise_days: -2 is not from 0 to 100000"),
    ("receipts.csv", "mug,4", "mug,0", "receipts.csv row 1 units: 0 is not from 1 to"),
    ("receipts.csv", "UTRECHT", "", "receipts.csv row 1 node: is empty"),
    ("receipts.csv", "at,node", "day,node", "receipts.csv day: is no column of it"),
    ("cancellations.csv", "A2,0,1", "B2,0,1", "cancellations.csv row 1 order: 'B2' is not an order of this history"),
    ("cancellations.csv", "A2,0,1", "A2,1,1", "cancellations.csv row 1 line: 1 is not a line of that order"),
    ("cancellations.csv", "A2,0,1", "A2,0,4", "cancellations.csv row 1 units: 4 is more than the line still had"),
    ("cancellations.csv", "T17:05Z", "T16:39Z", "cancellations.csv row 1 at: 2024-04-29T16:39Z is before the order"),
    ("returns.csv", "A1,0,1", "A1,0,3", "returns.csv row 1 units: 3 is more than the line still had"),
    ("returns.csv", "at,order,line,units", "at,order,line", "returns.csv units: this column is missing"),
    (
        "history.json",
        '"history/1"',
        '"history/2"',
        "history.json: is a history (history/2); a history (history/1) is expected",
    ),
    ("history.json", '"tables": "csv"', '"tables": "xls"', "history.json tables: invalid enum value 'xls'"),
    ("history.json", '"tables": "csv"', '"tables": "parquet"', "orders.parquet: is missing from the folder"),
    ("history.json", '"EUR"', '"euro"', "history.json currency: "),
    ("history.json", '"source"', '"sauce"', "history.json: object contains unknown field `sauce`"),
    ("history.json", '"returns": 1', '"refunds": 1', "history.json counts: object contains unknown field `refunds`"),
    ("history.json", '"returns": 1', '"returns": 2', "history.json counts.returns: 2, but returns.csv has 1 rows"),
    ("history.json", '"format"', "format", "history.json: is not JSON"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / "history", tmp_path / "history"))


def assert_same(one: History, other: History) -> None:
    for field in fields(History):
        a, b = getattr(one, field.name), getattr(other, field.name)
        same = np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a == b
        assert same, field.name


def test_the_example_reads_as_it_is_written() -> None:
    history = read_history(EXAMPLES / "history")
    assert history.order_id == ("A1", "A2", "A3", "A4")
    assert history.order_placed_at[0] == parse_minute("2024-04-29T09:15Z")
    assert [history.sku_id[k] for k in history.line_sku] == ["mug", "kettle", "mug", "mug", "kettle", "cheese"]
    assert history.line_unfilled_cents.tolist() == [NOT_SAID, 1800, *[NOT_SAID] * 4]
    assert history.order_max_parcels.tolist() == [NO_LIMIT, 1, NO_LIMIT, NO_LIMIT]
    assert history.order_ship_complete.tolist() == [False, False, False, True]
    assert history.order_customer.tolist() == [0, 1, 0, -1]
    assert [history.node_id[j] for j in history.pickup_node] == ["UTRECHT"]
    assert np.isnan(history.order_lat).tolist() == [False, True, True, False]


def test_the_examples_of_both_formats_replay_together(first_node: Policy) -> None:
    run = replay(read_history(EXAMPLES / "history"), read_network(EXAMPLES / "network.json"), first_node)
    assert (run.orders, run.units_withdrawn, run.units_ordered) == (4, 1, 10)
    assert run.fill_rate == 1.0


@pytest.mark.parametrize(("file", "there", "instead", "refusal"), MALFORMED)
def test_a_malformed_history_is_refused_with_its_place(
    folder: Path, file: str, there: str, instead: str, refusal: str
) -> None:
    text = (folder / file).read_text()
    assert there in text
    (folder / file).write_text(text.replace(there, instead, 1))
    with pytest.raises(Refusal) as raised:
        read_history(folder)
    assert refusal in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("file", ["orders.csv", "lines.csv", "receipts.csv"])
def test_a_missing_table_is_refused(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(Refusal, match=rf"{file}: is missing from the folder"):
        read_history(folder)


def test_a_table_without_rows_may_be_missing(folder: Path) -> None:
    cover = json.loads((folder / "history.json").read_text())
    cover["counts"]["receipts"] = 0
    (folder / "history.json").write_text(json.dumps(cover))
    (folder / "receipts.csv").unlink()
    assert len(read_history(folder).receipt_at) == 0


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"order,line,sku,qty\nA1,0,\xff,1\n"])
def test_a_file_that_is_no_table_is_refused(folder: Path, content: bytes) -> None:
    (folder / "lines.csv").write_bytes(content)
    with pytest.raises(Refusal, match=r"lines.csv"):
        read_history(folder)


def test_a_folder_that_is_no_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"holds no history.json"):
        read_history(tmp_path)


def test_columns_and_rows_may_stand_in_any_order(folder: Path) -> None:
    plain = read_history(folder)
    for file, change in [("lines.csv", slice(None, None, -1)), ("orders.csv", slice(None))]:
        header, *rows = [line.split(",") for line in (folder / file).read_text().splitlines()]
        rows = [header, *rows[change]]
        (folder / file).write_text("".join(",".join(row[::-1]) + "\n" for row in rows))
    other = read_history(folder)
    assert [other.sku_id[k] for k in other.line_sku] == [plain.sku_id[k] for k in plain.line_sku]
    assert other.line_qty.tolist() == plain.line_qty.tolist()
    assert other.order_placed_at.tolist() == plain.order_placed_at.tolist()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_history_survives_writing_and_reading(tmp_path: Path, kind: str) -> None:
    history = make_up(10, 40, example("us"), seed=1)
    odd = 'a "quoted", name\nof ü ' + "'"
    history = replace(history, sku_id=(odd, *history.sku_id[1:]), dropped=(("bad_day", 3),))
    write_history(tmp_path / "h", history, kind)  # type: ignore[arg-type]
    assert_same(read_history(tmp_path / "h"), history)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_example_survives_writing_and_reading(tmp_path: Path, kind: str) -> None:
    history = read_history(EXAMPLES / "history")
    write_history(tmp_path / "h", history, kind)  # type: ignore[arg-type]
    assert_same(read_history(tmp_path / "h"), history)


def test_writing_again_in_the_other_form_leaves_one_set_of_tables(tmp_path: Path) -> None:
    history = read_history(EXAMPLES / "history")
    write_history(tmp_path, history, "csv")
    write_history(tmp_path, history, "parquet")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] + [".parquet"] * 6


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[[str, str], Path]:
    """The example in Parquet, with one table replaced by what SQL makes of it."""

    def change(table: str, select: str) -> Path:
        write_history(tmp_path, read_history(EXAMPLES / "history"), "parquet")
        path = tmp_path / f"{table}.parquet"
        rows = duckdb.sql(f"SELECT {select} FROM read_parquet('{path}')").fetchall
        duckdb.sql(f"CREATE OR REPLACE TABLE changed AS SELECT {select} FROM read_parquet('{path}')")
        assert rows()
        duckdb.sql(f"COPY changed TO '{path}' (FORMAT parquet)")
        return tmp_path

    return change


@pytest.mark.parametrize(
    ("table", "select", "refusal"),
    [
        ("lines", "* REPLACE (qty::DOUBLE AS qty)", "lines.parquet qty: is of type DOUBLE, not a whole number"),
        ("lines", "* REPLACE (-qty AS qty)", "lines.parquet row 1 qty: -2 is not from 1"),
        ("lines", "* EXCLUDE (qty)", "lines.parquet qty: this column is missing"),
        ("lines", "*, 1 AS extra", "lines.parquet extra: is no column of it"),
        ("lines", "* REPLACE (NULL::VARCHAR AS sku)", "lines.parquet row 1 sku: is empty"),
        ("orders", "* REPLACE (placed_at::VARCHAR AS placed_at)", "orders.parquet placed_at: is of type VARCHAR"),
        ("orders", "* REPLACE (placed_at + INTERVAL 1 SECOND AS placed_at)", "is not a minute like"),
        ("orders", "* REPLACE ('inf'::DOUBLE AS lat)", "orders.parquet row 1 lat: inf is not from -90 to 90"),
        ("orders", "* REPLACE ('nan'::DOUBLE AS lat)", "orders.parquet row 1 lat: nan is not from -90 to 90"),
    ],
)
def test_a_malformed_parquet_table_is_refused_with_its_place(
    parquet: Callable[[str, str], Path], table: str, select: str, refusal: str
) -> None:
    with pytest.raises(Refusal) as raised:
        read_history(parquet(table, select))
    assert refusal in str(raised.value)


def test_a_history_cannot_be_changed_once_it_is_made() -> None:
    history = read_history(EXAMPLES / "history")
    with pytest.raises(ValueError, match="read-only"):
        history.line_qty[0] = 5
