"""The public schema of Olist's files, in miniature."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from engine.calendar import format_minute
from simulation.history import read_history
from simulation.importers import olist, write_import
from solver.refusal import Refusal

ORDERS = """"order_id","customer_id","order_status","order_purchase_timestamp","order_approved_at",\
"order_delivered_carrier_date","order_delivered_customer_date","order_estimated_delivery_date"
"a1","c1","delivered","2017-10-02 10:56:33","2017-10-02 11:07:15","2017-10-04 19:55:00","2017-10-10 21:25:13","2017-10-18 00:00:00"
"a2","c2","canceled","2017-10-03 23:40:00","2017-10-04 00:10:00","","","2017-10-20 00:00:00"
"a3","c3","unavailable","2017-11-01 08:00:00","","","","2017-11-20 00:00:00"
"a4","c1","delivered","soon","","","","2017-11-20 00:00:00"
"a5","c9","shipped","2017-11-24 12:00:00","","","","2017-11-20 00:00:00"
"a1","c1","delivered","2017-10-02 10:56:33","","","","2017-10-18 00:00:00"
"""
ITEMS = """"order_id","order_item_id","product_id","seller_id","shipping_limit_date","price","freight_value"
"a1",1,"p1","s1","2017-10-06 11:07:15",29.99,8.72
"a1",2,"p2","s1","2017-10-06 11:07:15",5.00,8.72
"a1",3,"p1","s1","2017-10-06 11:07:15",29.99,8.72
"a2",1,"p2","s1","2017-10-06 11:07:15",5.00,8.72
"a4",1,"p2","s1","2017-10-06 11:07:15",5.00,8.72
"a5",1,"p2","s1","2017-10-06 11:07:15",5.00,8.72
"a5",2,"p2","s1","2017-10-06 11:07:15",free,8.72
"""
CUSTOMERS = """"customer_id","customer_unique_id","customer_zip_code_prefix","customer_city","customer_state"
"c1","u1","01037","sao paulo",SP
"c2","u1","99999","nowhere",RS
"c3","u3","01037","sao paulo",SP
"""
GEOLOCATION = """"geolocation_zip_code_prefix","geolocation_lat","geolocation_lng","geolocation_city","geolocation_state"
1037,-23.54,-46.63,sao paulo,SP
01037,-23.56,-46.65,são paulo,SP
01037,-23.55,-46.64,sao paulo,SP
01037,45.06,9.33,sao paulo,SP
"""
PRODUCTS = """"product_id","product_category_name","product_name_lenght","product_description_lenght",\
"product_photos_qty","product_weight_g","product_length_cm","product_height_cm","product_width_cm"
"p1",perfumaria,40,287,1,225,16,10,14
"p2",,,,,,,,
"p3",artes,44,276,1,1000,30,18,20
"p4",artes,44,276,1,0,30,18,20
"""
CONTENT = {
    "olist_orders_dataset": ORDERS,
    "olist_order_items_dataset": ITEMS,
    "olist_customers_dataset": CUSTOMERS,
    "olist_geolocation_dataset": GEOLOCATION,
    "olist_products_dataset": PRODUCTS,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in CONTENT.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def test_orders_have_their_time_place_promise_and_lines(folder: Path) -> None:
    history = olist.read(folder).history
    assert history.order_id == ("a1", "a2", "a5")
    assert format_minute(int(history.order_placed_at[0])) == "2017-10-02T10:56Z"
    assert history.order_promise_days.tolist() == [16, 17, 0]  # the last was promised for a day that had passed
    assert (history.order_lat[0], history.order_lon[0]) == (-23.55, -46.64)  # the middle of what lies in Brazil
    assert np.isnan(history.order_lat[1:]).all()
    assert [history.region_id[r] if r >= 0 else None for r in history.order_region] == ["SP", "RS", None]
    assert history.order_customer.tolist() == [0, 0, -1]  # one person under two numbers; one whom no file knows
    assert [history.sku_id[k] for k in history.line_sku] == ["p1", "p2", "p2", "p2"]
    assert (history.line_qty.tolist(), history.line_price_cents.tolist()) == ([2, 1, 1, 1], [2999, 500, 500, 500])
    assert history.currency == "BRL"


def test_a_cancelled_order_is_cancelled_an_hour_after_its_approval(folder: Path) -> None:
    history = olist.read(folder).history
    assert [format_minute(int(at)) for at in history.cancel_at] == ["2017-10-04T01:10Z"]
    assert (history.cancel_line.tolist(), history.cancel_units.tolist()) == ([2], [1])


def test_what_is_left_out_is_listed_with_its_reason(folder: Path) -> None:
    dropped = olist.read(folder).dropped
    assert sorted(zip(dropped.row, dropped.reason, strict=True)) == [
        (3, "no_items"),
        (4, "bad_time"),
        (5, "unknown_order"),
        (6, "duplicate_order"),
        (7, "no_product_or_price"),
    ]


def test_files_that_are_not_there_are_named(folder: Path) -> None:
    assert olist.read(folder).history.simulated[-1] == (
        "not there: olist_sellers_dataset, olist_order_payments_dataset, olist_order_reviews_dataset, "
        "product_category_name_translation"
    )
    (folder / "olist_geolocation_dataset.csv").unlink()
    history = olist.read(folder).history
    assert "olist_geolocation_dataset" in history.simulated[-1]
    assert np.isnan(history.order_lat).all()
    (folder / "olist_orders_dataset.csv").unlink()
    (folder / "olist_customers_dataset.csv").unlink()
    with pytest.raises(Refusal, match=r"lacks olist_orders_dataset.csv, olist_customers_dataset.csv"):
        olist.read(folder)


def test_files_may_be_compressed_and_become_a_history_folder(folder: Path, tmp_path: Path) -> None:
    path = folder / "olist_order_items_dataset.csv"
    with gzip.open(f"{path}.gz", "wt") as stream:
        stream.write(path.read_text())
    path.unlink()
    write_import(tmp_path / "history", olist.read(folder), "parquet")
    history = read_history(tmp_path / "history")
    assert history.order_id == ("a1", "a2", "a5")
    assert dict(history.dropped)["no_items"] == 1


def test_products_have_weights(folder: Path) -> None:
    assert [(sku.id, sku.weight_g) for sku in olist.skus(folder)] == [
        ("p1", 225),
        ("p2", 612),
        ("p3", 1000),
        ("p4", 612),
    ]
    (folder / "olist_products_dataset.csv").unlink()
    with pytest.raises(Refusal, match=r"lacks olist_products_dataset.csv"):
        olist.skus(folder)


def test_the_published_files_are_read_where_they_are() -> None:
    data = Path(os.environ.get("ALLOT_DATA", "../shared/data")) / "olist_partial"
    if not data.is_dir():
        pytest.skip(f"there is no {data}")
    assert len(olist.skus(data)) == 32_951
    places = olist.read_places(data / "olist_geolocation_one_row_per_prefix.csv.gz")
    assert 18_900 < len(places) < 19_015
    with pytest.raises(Refusal, match=r"lacks olist_orders_dataset.csv"):
        olist.read(data)
