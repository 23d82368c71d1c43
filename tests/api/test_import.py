import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from simulation.history import read_history

Run = Callable[..., Result]

ORDERS = """id,when,item,qty
1,2024-05-01 10:00,kettle,2
1,2024-05-01 10:00,cup,1
2,2024-05-02 11:30,cup,many
"""
NAMES = ("--column", "order=id", "--column", "placed_at=when", "--column", "sku=item")


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(ORDERS)
    return path


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_flat_file_becomes_a_history(run: Run, orders: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "new" / "history"
    result = run("import", "csv", orders, "--out", out, "--format", form, *NAMES)
    assert (result.exit_code, result.stderr) == (0, f"allot: history written to {out}\n")
    history = read_history(out)
    assert (history.orders, history.lines, history.sku_id) == (1, 2, ("kettle", "cup"))
    assert (out / f"orders.{form}").exists()


def test_what_is_left_out_is_counted_by_reason_and_listed(run: Run, orders: Path, tmp_path: Path) -> None:
    out = tmp_path / "history"
    said = json.loads(run("import", "csv", orders, "--out", out, "--json", *NAMES).stdout)
    assert (said["rows"], said["rows_dropped"], said["dropped"]) == (3, 1, {"bad_qty": 1})
    assert said["dropped_rows_listed_in"] == str(out / "dropped.csv")
    assert "3,bad_qty,many" in (out / "dropped.csv").read_text()
    shown = run("import", "csv", orders, "--out", out, *NAMES).stdout
    assert "bad_qty" in shown
    assert str(out / "dropped.csv") in shown


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "column is missing"),
        (["--column", "order"], "'order' is not OURS=THEIRS"),
        (["--places", "zip.txt"], "is for superstore"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_nothing_is_written(
    run: Run, orders: Path, tmp_path: Path, options: list[str], says: str
) -> None:
    result = run("import", "csv", orders, "--out", tmp_path / "history", *options)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert says in result.stderr
    assert not (tmp_path / "history").exists()


@pytest.mark.parametrize(("name", "form"), [("orders.csv", "csv"), ("lines.csv", "parquet"), ("dropped.csv", "csv")])
def test_an_import_never_takes_the_place_of_its_source(
    run: Run, orders: Path, tmp_path: Path, name: str, form: str
) -> None:
    source = orders.rename(tmp_path / name)
    result = run("import", "csv", source, "--out", tmp_path, "--format", form, *NAMES)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert f"{name}: is what is read" in result.stderr
    assert source.read_text() == ORDERS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_import_replaces_an_earlier_history_but_nothing_else(run: Run, orders: Path, tmp_path: Path) -> None:
    out = tmp_path / "history"
    for _ in range(2):
        assert run("import", "csv", orders, "--out", out, *NAMES).exit_code == 0
    (out / "history.json").unlink()
    result = run("import", "csv", orders, "--out", out, *NAMES)
    assert result.exit_code == 2
    assert "orders.csv: is no part of a history and would be replaced" in result.stderr
