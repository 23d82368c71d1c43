"""`allot papers` prints what belongs to a consignment."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.http.service import now
from engine.capture import capture
from engine.consignments import release
from engine.database import Database
from engine.facts import OrderReleased
from engine.labels import made, want
from tests.api.papers.reading import barcodes_of, text_of
from tests.engine.town import NOON, TEE, found_town, order, receive


@pytest.fixture
def sent(sqlite_template: Path, tmp_path: Path) -> tuple[str, str]:
    """A database, and a consignment in it."""
    path = tmp_path / "allot.db"
    shutil.copy(sqlite_template, path)
    with Database(f"sqlite:///{path}") as database:
        found_town(database)
        receive(database, 5)
        (one,) = capture(database, [order((TEE, 2))], NOON)
        fact = OrderReleased(id="rel", at=NOON, order=one.placed.id)
        ((consignment,),) = database.write(lambda tx: release(tx, [fact]))
    return f"sqlite:///{path}", consignment


def run(*arguments: str) -> dict[str, list[str]]:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    said: dict[str, list[str]] = json.loads(done.stdout)
    return said


def test_what_a_consignment_has_is_printed(sent: tuple[str, str], tmp_path: Path) -> None:
    url, consignment = sent
    papers = ("papers", consignment, "--out", str(tmp_path / "out"), "--database", url)
    assert run(*papers)["files"] == [str(tmp_path / "out" / "packing-slip.pdf")]
    with Database(url) as database:
        label, _ = database.write(lambda tx: want(tx, now(), "lab", consignment, "own", "post", 200))
        database.write(lambda tx: made(tx, now(), label, "X1", 300))
    slip, label_file = (Path(file) for file in run(*papers)["files"])
    assert barcodes_of(slip.read_bytes()) == [consignment]
    assert barcodes_of(label_file.read_bytes()) == ["X1"]
    assert "200 g" in text_of(label_file.read_bytes())


def test_there_are_no_papers_of_what_is_not_there(sent: tuple[str, str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["papers", "con_none", "--out", str(tmp_path / "out"), "--database", sent[0]])
    assert done.exit_code == 2
    assert "there is no consignment 'con_none'" in done.stderr
    assert not (tmp_path / "out").exists()
