"""Backups of both databases: whole, restored into an empty one, refused where something is wrong."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from api import backup, keys
from api.settings import Settings
from engine import jobs
from engine.database import Database
from engine.ledger import write_facts
from solver.refusal import Refusal
from tests.engine.shop import open_shop, received

Make = Callable[[], str]


def fill(url: str) -> None:
    with Database(url) as database:
        open_shop(database)
        database.write(lambda tx: keys.create(tx, 1, "Zoë\t\\N", ["admin"]))
        database.write(lambda tx: write_facts(tx, [received(n, "tee", "store", n + 1) for n in range(50)]))
        database.write(lambda tx: jobs.create(tx, 1, "job_1", "count", "", bytes(range(256)), {"a": [1, "é"]}))


def everything(url: str) -> dict[str, list[tuple[object, ...]]]:
    with Database(url) as database, database.read() as tx:
        return {name: sorted(tx.all(f'SELECT * FROM "{name}"'), key=repr) for name in SQLModel.metadata.tables}


def test_what_is_restored_is_what_was_there_and_goes_on(make_url_of_empty: Make, tmp_path: Path) -> None:
    before, after = make_url_of_empty(), make_url_of_empty()
    fill(before)
    rows = backup.back_up(Settings(database_url=before), 7, tmp_path / "b")
    assert rows["fact"] == 50
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("b")] == ["b"]
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert backup.restore(Settings(database_url=after), tmp_path / "b") == rows
    assert everything(after) == everything(before)
    with Database(after) as database:
        assert database.write(lambda tx: write_facts(tx, [received(99, "tee", "store", 1)])) == [True]
        with database.read() as tx:
            assert tx.value("SELECT max(no) FROM fact") == 51


def test_nothing_is_restored_over_what_is_there(make_url_of_empty: Make, tmp_path: Path) -> None:
    url = make_url_of_empty()
    fill(url)
    backup.back_up(Settings(database_url=url), 7, tmp_path / "b")
    before = everything(url)
    with pytest.raises(Refusal, match="not empty"):
        backup.restore(Settings(database_url=url), tmp_path / "b")
    assert everything(url) == before


@pytest.mark.parametrize("damage", ["cut", "other", "flip", "none"])
def test_a_damaged_backup_restores_nothing(make_url_of_empty: Make, tmp_path: Path, damage: str) -> None:
    before, after = make_url_of_empty(), make_url_of_empty()
    fill(before)
    file = tmp_path / "b"
    backup.back_up(Settings(database_url=before), 7, file)
    whole = file.read_bytes()
    if damage == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "other":
        file.write_bytes(b"something else" * 1000)
    elif damage == "none":
        file.unlink()
    elif zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        held["fact"] = held["fact"].replace(b"store", b"stork", 1)
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in held.items():
                archive.writestr(name, data)
    else:
        file.write_bytes(whole[:4096] + bytes(2 * 4096) + whole[3 * 4096 :])
    empty = everything(after)
    with pytest.raises(Refusal):
        backup.restore(Settings(database_url=after), file)
    assert everything(after) == empty
