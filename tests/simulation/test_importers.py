import gzip
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engine.calendar import format_minute, parse_day, parse_minute
from simulation.history import History, read_history
from simulation.importers import Import, csv, superstore, uci, write_import
from simulation.networks import example
from simulation.replay import replay
from simulation.tables import NOT_SAID
from solver.effort import Policy
from solver.refusal import Refusal

DATA = Path(os.environ.get("ALLOT_DATA") or Path(__file__).parents[3] / "shared" / "data")
UCI_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def data(*names: str) -> Path:
    path = DATA.joinpath(*names)
    if not path.exists():
        pytest.skip(f"{path.name} is not there: the shared data set is absent (set ALLOT_DATA)")
    return path


def uci_of(tmp_path: Path, *rows: str) -> Import:
    (tmp_path / "uci.csv").write_text(UCI_HEADER + "".join(f"{row}\n" for row in rows))
    return uci.read(tmp_path / "uci.csv")


def befell(history: History, what: str) -> list[tuple[str, str, int, int]]:
    """(minute, order, line in the history, units) of cancellations or returns."""
    at, line, units = (getattr(history, f"{what}_{column}") for column in ("at", "line", "units"))
    return [
        (format_minute(int(a)), history.order_id[history.line_order[k]], int(k), int(u))
        for a, k, u in zip(at, line, units, strict=True)
    ]


@pytest.fixture(scope="module")
def retail() -> Import:
    return uci.read(data("uci_online_retail", "online_retail_2010-12_to_2011-09.parquet"))


def test_online_retail_has_its_published_clean_orders_and_lines(retail: Import) -> None:
    assert (retail.rows, retail.history.orders, retail.history.lines) == (370_931, 14_201, 360_537)
    lines = np.diff(retail.history.order_line_start)
    assert (np.median(lines), lines.max()) == (15, 704)


def test_every_row_of_online_retail_is_kept_or_dropped_with_a_reason(retail: Import) -> None:
    sales = retail.rows - 6652  # credits
    dropped = Counter(retail.dropped.reason)
    assert retail.history.lines + sum(n for reason, n in dropped.items() if not reason.startswith("credit")) == (
        sales + 438  # credits of no goods
    )
    assert dropped["adjustment"] == 3
    assert dropped["stock_write_off"] == 1011
    assert dropped["no_price"] == 923
    assert len(set(retail.dropped.row)) == len(retail.dropped.row)


def test_the_enormous_order_cancelled_at_once_is_a_cancellation(retail: Import) -> None:
    most = int(retail.history.cancel_units.argmax())
    line = int(retail.history.cancel_line[most])
    assert retail.history.cancel_units[most] == retail.history.line_qty[line] == 74_215
    assert retail.history.cancel_at[most] - retail.history.order_placed_at[retail.history.line_order[line]] == 16


def test_online_retail_survives_writing_and_reading(retail: Import, tmp_path: Path) -> None:
    write_import(tmp_path, retail, "parquet")
    history = read_history(tmp_path)
    assert (history.orders, history.lines) == (14_201, 360_537)
    assert history.line_qty.tolist() == retail.history.line_qty.tolist()
    dropped = (tmp_path / "dropped.csv").read_text().splitlines()
    assert len(dropped) == 1 + len(retail.dropped.row)
    assert dropped[1] == "46,not_goods,POST"


def test_online_retail_replays_on_the_example_network(retail: Import, first_node: Policy) -> None:
    network, day = example("uk"), parse_day("2010-12-10")
    run = replay(retail.history, network, first_node, seed=1, until=day)
    books = run.books
    assert (books.initial + books.received + books.returned - books.shipped == books.final).all()
    assert run.orders == (retail.history.order_placed_at <= day * 1440 + run.wave_minute).sum()
    assert run.units_ordered == run.units_shipped + run.units_withdrawn + run.units_cancelled + run.units_lapsed
    assert run.fill_rate > 0.8
    assert len(run.simulated) >= 5


def test_superstore_is_read_with_its_places_and_returns() -> None:
    folder = data("superstore_us")
    places = data("geonames_postal", "US.txt.gz")
    imported = superstore.read(folder / "Orders.csv.gz", returns=folder / "Returns.csv.gz", places=places)
    history = imported.history
    assert (history.orders, history.lines, imported.dropped.row) == (5009, 9994, ())
    assert not np.isnan(history.order_lat).any()
    assert len({history.order_id[o] for o in history.line_order[history.return_line]}) == 296
    bare = superstore.read(folder / "Orders.csv.gz").history
    assert np.isnan(bare.order_lat).all()
    assert len(bare.return_at) == 0


def test_an_invoice_is_an_order_and_its_rows_are_lines(tmp_path: Path) -> None:
    imported = uci_of(
        tmp_path,
        "1001,85123a,LIGHT,6,2010-12-01 08:27:00,2.55,17850,EIRE",
        "1001,85123A,LIGHT,6,2010-12-01 08:26:00,2.55,17850,EIRE",
        "1002,71053,LANTERN,1,2010-12-01 08:30:00,0.1,,Unspecified",
    )
    history = imported.history
    assert (history.orders, history.lines, imported.dropped.row) == (2, 3, ())
    assert format_minute(int(history.order_placed_at[0])) == "2010-12-01T08:26Z"
    assert (history.sku_id, history.line_price_cents.tolist()) == (("85123A", "71053"), [255, 255, 10])
    assert (history.region_id, history.order_region.tolist()) == (("Ireland",), [0, -1])
    assert history.order_customer.tolist() == [0, -1]
    assert history.currency == "GBP"


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("1001,POST,POSTAGE,1,2010-12-01 08:26:00,18,1,France", "not_goods", "POST"),
        ("C1001,D,Discount,-1,2010-12-01 08:26:00,27.5,1,France", "not_goods", "D"),
        ("A1001,B,Adjust bad debt,1,2010-12-01 08:26:00,11062.06,,United Kingdom", "adjustment", "A1001"),
        ("1001,71053,lost,-5,2010-12-01 08:26:00,0,,United Kingdom", "stock_write_off", "-5"),
        ("1001,71053,found,5,2010-12-01 08:26:00,0,,United Kingdom", "no_price", "0"),
        ("C1001,71053,LANTERN,-5,2010-12-01 08:26:00,1,,United Kingdom", "credit_without_customer", "C1001"),
        ("C1001,71053,LANTERN,-5,2010-12-01 08:26:00,1,7,United Kingdom", "credit_without_sale", "5 of 5 units"),
        ("C1001,71053,LANTERN,5,2010-12-01 08:26:00,1,7,United Kingdom", "credit_of_nothing", "5"),
        ("1001,71053,LANTERN,many,2010-12-01 08:26:00,1,7,United Kingdom", "unreadable", "1001|71053|many|"),
        ("1001,71053,LANTERN,5,1 Dec 2010,1,7,United Kingdom", "unreadable", "1 Dec 2010"),
        ("1001,71053,LANTERN,5,2010-12-41 08:26:00,1,7,United Kingdom", "unreadable", "2010-12-41"),
        (",71053,LANTERN,5,2010-12-01 08:26:00,1,7,United Kingdom", "unreadable", "None|71053"),
    ],
)
def test_a_row_that_is_no_sale_is_dropped_with_its_reason(tmp_path: Path, row: str, reason: str, detail: str) -> None:
    imported = uci_of(tmp_path, "1000,85123A,LIGHT,6,2010-11-30 08:26:00,2.55,17850,France", row)
    assert (imported.dropped.row, imported.dropped.reason) == ((2,), (reason,))
    assert detail in imported.dropped.detail[0]
    assert imported.history.lines == 1
    assert imported.history.dropped == ((reason, 1),)


def test_a_credit_goes_to_the_latest_earlier_sale_then_to_the_one_before(tmp_path: Path) -> None:
    sale = "{},71053,LANTERN,{},2010-12-{} 09:00:00,1,7,United Kingdom"
    imported = uci_of(
        tmp_path,
        sale.format(1, 10, "01"),
        sale.format(2, 4, "03"),
        sale.format(3, 50, "20"),
        sale.format(4, 50, "03").replace(",7,", ",8,"),
        "C5,71053,LANTERN,-6,2010-12-05 12:00:00,1,7,United Kingdom",
        "C6,71053,LANTERN,-9,2010-12-06 12:00:00,1,7,United Kingdom",
    )
    assert befell(imported.history, "return") == [
        ("2010-12-05T12:00Z", "2", 1, 4),
        ("2010-12-05T12:00Z", "1", 0, 2),
        ("2010-12-06T12:00Z", "1", 0, 8),
    ]
    assert (imported.dropped.row, imported.dropped.detail) == ((6,), ("1 of 9 units",))


def test_a_credit_within_a_day_is_a_cancellation_and_later_a_return(tmp_path: Path) -> None:
    imported = uci_of(
        tmp_path,
        "1,71053,LANTERN,10,2010-12-01 09:00:00,1,7,United Kingdom",
        "C2,71053,LANTERN,-3,2010-12-02 09:00:00,1,7,United Kingdom",
        "C3,71053,LANTERN,-2,2010-12-02 09:01:00,1,7,United Kingdom",
    )
    assert befell(imported.history, "cancel") == [("2010-12-02T09:00Z", "1", 0, 3)]
    assert befell(imported.history, "return") == [("2010-12-02T09:01Z", "1", 0, 2)]


def test_a_source_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "uci.csv").write_text("InvoiceNo,StockCode\n1,2\n")
    with pytest.raises(Refusal, match=r"uci.csv Quantity: this column is missing"):
        uci.read(tmp_path / "uci.csv")
    with pytest.raises(Refusal, match="no such file"):
        uci.read(tmp_path / "none.csv")
    (tmp_path / "uci.parquet").write_text("this is no Parquet")
    with pytest.raises(Refusal, match=r"uci.parquet: cannot be read"):
        uci.read(tmp_path / "uci.parquet")


SUPERSTORE = (
    "Order ID,Order Date,Ship Date,Ship Mode,Customer ID,Customer Name,State,Postal Code,Product ID,Sales,Quantity\n"
    "A-1,2013-11-09,2013-11-12,Second Class,C-1,Ann,Vermont,5401,P-1,30.00,3\n"
    "A-1,2013-11-09,2013-11-12,Second Class,C-1,Ann,Vermont,5401,P-2,9.99,2\n"
    "A-2,2013-11-10,2013-11-09,Same Day,C-2,Bob,Ohio,43004,P-1,10,1\n"
    "A-3,2013-11-10,2013-11-10,Drone,C-2,Bob,Ohio,43004,P-1,10,1\n"
    "A-4,2013-13-10,2013-11-10,Same Day,C-2,Bob,Ohio,43004,P-1,10,1\n"
    "A-5,2013-11-10,2013-11-10,Same Day,C-2,Bob,Ohio,43004,P-1,10,0\n"
    "A-6,2013-11-10,2013-11-10,Same Day,C-2,Bob,Ohio,43004,P-1,ten,1\n"
    "A-7,2013-11-10,2013-11-10,Same Day,C-2,Bob,Ohio,43004,,10,1\n"
)


def test_superstore_zips_get_their_zero_back(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(SUPERSTORE)
    with gzip.open(tmp_path / "US.txt.gz", "wt") as stream:
        for lat in (44.4, 44.6):
            stream.write(f"US\t05401\tBurlington\tVermont\tVT\tChittenden\t007\t\t\t{lat}\t-73.2\t4\n")
    (tmp_path / "returns.csv").write_text("Returned,Order ID\nYes,A-1\nNo,A-2\n")
    imported = superstore.read(tmp_path / "orders.csv", returns=tmp_path / "returns.csv", places=tmp_path / "US.txt.gz")
    history = imported.history
    assert (history.order_lat.tolist(), history.order_lon.tolist()) == ([44.5], [-73.2])
    assert history.order_promise_days.tolist() == [5]
    assert history.line_price_cents.tolist() == [1000, 500]
    assert history.return_units.tolist() == [3, 2]
    assert history.return_at[0] == parse_minute("2013-11-26T09:00Z")
    assert len(history.simulated) == 3
    assert dict(zip(imported.dropped.row, imported.dropped.reason, strict=True)) == {
        3: "shipped_before_ordered",
        4: "unknown_ship_mode",
        5: "bad_day",
        6: "no_quantity_or_price",
        7: "bad_number",
        8: "no_id",
    }


def test_no_customer_name_gets_into_a_history(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(SUPERSTORE)
    write_import(tmp_path / "out", superstore.read(tmp_path / "orders.csv"))
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "C-1" in written
    assert "Ann" not in written


FLAT = (
    "order,when,sku,qty,lat,lon,unit_price_cents,ship_complete,pickup_nodes,max_parcels\n"
    "1,2024-05-01 10:00:30,mug,2,52.1,5.1,900,true,,\n"
    "1,2024-05-01 10:00:59,pan,1.0,,,,,,\n"
    "2,2024-05-02,mug,1,,,,0,S1|S2,\n"
    "1,2024-05-01T11:00Z,cup,1,,,,,,\n"
    "3,2024-05-01 10:00,mug,0,,,,,,\n"
    "3,2024-05-01 10:00,mug,x,,,,,,\n"
    "3,2024-05-01 10:00,,1,,,,,,\n"
    "3,yesterday,mug,1,,,,,,\n"
    "3,2024-05-01 10:00,mug,1,52.1,,,,,\n"
    "3,2024-05-01 10:00,mug,1,52.1,5.1,,,S1,\n"
    "3,2024-05-01 10:00,mug,1,,,,,S1|S1,\n"
    "3,2024-05-01 10:00,mug,1,,,,maybe,,\n"
    "3,2024-05-01 10:00,mug,1,,,,,,0\n"
)


def test_a_flat_file_is_read_by_a_mapping_of_its_columns(tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text(FLAT)
    imported = csv.read(tmp_path / "flat.csv", columns={"placed_at": "when"}, source="our shop", currency="EUR")
    history = imported.history
    assert (history.source, history.currency, history.simulated) == ("our shop", "EUR", ())
    assert history.order_id == ("1", "2")
    assert history.order_placed_at.tolist() == [parse_minute("2024-05-01T10:00Z"), parse_minute("2024-05-02T00:00Z")]
    assert history.line_qty.tolist() == [2, 1, 1]
    assert history.order_ship_complete.tolist() == [True, False]
    assert history.node_id == ("S1", "S2")
    assert dict(zip(imported.dropped.row, imported.dropped.reason, strict=True)) == {
        4: "contradicts_its_order",
        5: "qty_out_of_range",
        6: "bad_qty",
        7: "no_sku",
        8: "bad_placed_at",
        9: "half_address",
        10: "two_places",
        11: "bad_pickup_nodes",
        12: "bad_ship_complete",
        13: "max_parcels_out_of_range",
    }
    write_import(tmp_path / "out", imported)
    assert read_history(tmp_path / "out").dropped == history.dropped


def test_a_flat_file_of_bad_rows_only_is_an_empty_history(tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text("order,placed_at,sku,qty\n1,never,mug,1\n")
    imported = csv.read(tmp_path / "flat.csv")
    assert (imported.history.orders, imported.rows, imported.dropped.reason) == (0, 1, ("bad_placed_at",))
    write_import(tmp_path / "out", imported)
    assert read_history(tmp_path / "out").orders == 0


def test_a_mapping_of_a_column_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text(FLAT)
    with pytest.raises(Refusal, match="columns when: is not a column of ours"):
        csv.read(tmp_path / "flat.csv", columns={"when": "placed_at"})
    with pytest.raises(Refusal, match="placed_at: this column is missing"):
        csv.read(tmp_path / "flat.csv")


def flat(tmp_path: Path, *rows: str, header: str = "order,placed_at,sku,qty") -> Import:
    (tmp_path / "flat.csv").write_text("".join(f"{row}\n" for row in (header, *rows)))
    return csv.read(tmp_path / "flat.csv")


def left_out(imported: Import) -> dict[int, str]:
    """The rows that are left out, and why."""
    return dict(zip(imported.dropped.row, imported.dropped.reason, strict=True))


@pytest.mark.parametrize("first", ["#1", "1", "//1", '"a ""b"""', "'1'"])
def test_every_row_of_a_file_is_a_row_whatever_its_id_begins_with(tmp_path: Path, first: str) -> None:
    imported = flat(tmp_path, *(f"{name},2024-05-01,mug,1" for name in (first, "#2", "#3", ";4")))
    assert (imported.rows, imported.history.orders, left_out(imported)) == (4, 4, {})
    assert imported.history.order_id[1:] == ("#2", "#3", ";4")
    write_import(tmp_path / "out", imported)
    assert read_history(tmp_path / "out").order_id == imported.history.order_id


def test_a_row_with_a_field_too_many_is_left_out_and_listed_with_its_line(tmp_path: Path) -> None:
    imported = flat(tmp_path, "1,2024-05-01,mug,1", "", "2,2024-05-01,mug,1,1", '3,2024-05-01,"a\nb",1', "4,2024-05-01")
    assert (imported.rows, imported.history.order_id) == (4, ("1", "3"))
    assert left_out(imported) == {2: "ragged", 4: "ragged"}
    assert imported.dropped.detail == ("line 4: 5 fields, the header has 4", "line 7: 2 fields, the header has 4")


def test_a_quote_that_is_never_closed_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"^flat.csv line 3: cannot be read: unexpected end of data"):
        flat(tmp_path, "1,2024-05-01,mug,1", '2,2024-05-01,"mug,1', "3,2024-05-01,mug,1")


def test_a_packed_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "flat.csv.gz", "wt") as stream:
        stream.write("order,placed_at,sku,qty\n1,2024-05-01,mug,1\n")
    assert csv.read(tmp_path / "flat.csv.gz").history.order_id == ("1",)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "is empty; its first line names the columns"),
        ("order,placed_at,sku,qty,qty", "qty: stands there twice"),
        ("order;placed_at;sku;qty", "order: this column is missing; there are order;placed_at;sku;qty"),
    ],
)
def test_a_header_that_does_not_name_each_column_once_is_refused(tmp_path: Path, header: str, says: str) -> None:
    (tmp_path / "flat.csv").write_text(header)
    with pytest.raises(Refusal, match=re.escape(says)):
        csv.read(tmp_path / "flat.csv")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_bytes("order,placed_at,sku,qty\n1,2024-05-01,té,1\n".encode("latin-1"))
    with pytest.raises(Refusal, match=r"^flat.csv: is not UTF-8"):
        csv.read(tmp_path / "flat.csv")


def test_a_price_in_cents_has_no_decimals_and_a_price_in_dollars_is_exact(tmp_path: Path) -> None:
    header = "order,placed_at,sku,qty,unit_price_cents,unit_price"
    prices = ("2500,", "25.00,", ",25.00", ",0.29", ",1.005", ",1e3", "2500,25", "2500,26", ",")
    imported = flat(tmp_path, *(f"{i},2024-05-01,mug,1,{price}" for i, price in enumerate(prices)), header=header)
    assert dict(zip(imported.history.order_id, imported.history.line_price_cents.tolist(), strict=True)) == {
        "0": 2500,
        "2": 2500,
        "3": 29,
        "6": 2500,
        "8": NOT_SAID,
    }
    assert left_out(imported) == {
        2: "bad_unit_price_cents",
        5: "bad_unit_price",
        6: "bad_unit_price",
        8: "two_prices",
    }


def test_only_plain_digits_are_a_quantity(tmp_path: Path) -> None:
    imported = flat(tmp_path, *(f"{i},2024-05-01,mug,{qty}" for i, qty in enumerate(("1_0", "٣", "3", "3.0", "3.5"))))
    assert imported.history.order_id == ("2", "3")
    assert left_out(imported) == {1: "bad_qty", 2: "bad_qty", 5: "bad_qty"}


def test_a_day_of_another_age_is_left_out_and_refused_in_a_history(tmp_path: Path) -> None:
    imported = flat(tmp_path, "1,2024-05-01,mug,1", "2,9999-05-01,mug,1", "3,1024-05-01,mug,1", "4,2100-12-31,mug,1")
    assert left_out(imported) == {2: "placed_at_out_of_range", 3: "placed_at_out_of_range"}
    write_import(tmp_path / "out", imported)
    orders = tmp_path / "out" / "orders.csv"
    orders.write_text(orders.read_text().replace("2024-05-01", "9999-05-01"))
    with pytest.raises(Refusal, match="row 1 placed_at: is not from 1970-01-01T00:00Z to 2100-12-31T23:59Z"):
        read_history(tmp_path / "out")


def test_a_currency_is_three_capitals(tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text(FLAT)
    with pytest.raises(Refusal, match="currency: 'POUND' is not three capitals, as in USD"):
        csv.read(tmp_path / "flat.csv", columns={"placed_at": "when"}, currency="POUND")
