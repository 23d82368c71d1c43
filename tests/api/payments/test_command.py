"""`allot reconcile` says of each order whether money, parcels and papers agree, and ends with 1 where they do not."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from engine.database import Database
from tests.engine.shop import open_shop
from tests.engine.tills import answer, bill, pay, sell, send


@pytest.fixture
def url(sqlite_template: Path, tmp_path: Path) -> str:
    """A shop with an order that is paid, and one that is paid too little."""
    path = tmp_path / "allot.db"
    shutil.copy(sqlite_template, path)
    with Database(f"sqlite:///{path}") as database:
        open_shop(database)
        for name, cents in (("paid", 1000), ("short", 600)):
            order = sell(database, name, ("tee", 1))
            pay(database, order, cents)
            send(database, order, (1, 1))
        bill(database)
        answer(database)
    return f"sqlite:///{path}"


def test_it_writes_every_order_and_the_totals(url: str) -> None:
    done = CliRunner().invoke(app, ["reconcile", "--database", url])
    assert done.exit_code == 1, "one does not balance"
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert [row[2] for row in rows] == ["external_id", "paid", "short", ""]
    assert [row[-1] for row in rows[1:]] == ["", "exceptions captured_is_not_shipped", "1"]
    assert rows[-1][4:6] == ["1600", "1600"]


def test_it_writes_only_what_is_amiss_where_asked_to(url: str) -> None:
    done = CliRunner().invoke(app, ["reconcile", "--unbalanced", "--json", "--database", url])
    assert [one["external_id"] for one in json.loads(done.stdout)["accounts"]] == ["short"]


def test_it_is_of_orders_of_a_time(url: str) -> None:
    done = CliRunner().invoke(app, ["reconcile", "--to", "2000-01-01", "--json", "--database", url])
    assert (done.exit_code, json.loads(done.stdout)["totals"]["orders"]) == (0, 0)


def test_a_day_that_is_none_is_named(url: str) -> None:
    done = CliRunner().invoke(app, ["reconcile", "--from", "monday", "--database", url])
    assert done.exit_code == 2 or "--from" in str(done.exception)
