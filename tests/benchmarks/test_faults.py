"""Everything that can go wrong, in a small edition; what is a part of the suite is in it already."""

import json
from pathlib import Path

import pytest

from benchmarks.faults import __main__ as command
from benchmarks.faults.postgres import no_server
from benchmarks.faults.rows import Edition, Fault, Row

SUITE = ("odd requests", "card numbers", "keys and scopes", "anything in any order", "peers' accounting")
LONG = ("oversell, postgresql", "kills, sqlite", "idempotency, postgresql", "deciding, postgresql",
        "webhooks sink, postgresql", "webhooks kills, postgresql")  # fmt: skip
OWN = [fault.name for fault in command.FAULTS if fault.name not in SUITE]


def rows_in(folder: Path) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = json.loads((folder / "faults.json").read_text())["rows"]
    return rows


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow) if one in LONG else one for one in OWN])
def test_a_fault_is_survived(tmp_path: Path, name: str) -> None:
    if "postgresql" in name and no_server():
        pytest.skip(no_server())
    asked = ["--quick", "--only", name.replace(", ", ","), "--out", str(tmp_path)]
    assert command.main(asked) == 0, (tmp_path / "faults.md").read_text()
    assert rows_in(tmp_path)[name]["verdict"] == "passed"


def give(row: Row) -> Fault:
    return Fault("flood", lambda _edition, _say: row)


def test_what_was_not_survived_is_on_the_page_and_is_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_edition: Edition, _say: object) -> Row:
        raise RuntimeError("the roof fell in")

    faults = (give(Row("water comes in", {"units": 5_000}, ["5 units are wet"])), Fault("fire", fail))
    monkeypatch.setattr(command, "FAULTS", faults)
    assert command.main(["--quick", "--seed", "3", "--out", str(tmp_path)]) == 1
    page = (tmp_path / "faults.md").read_text()
    assert "| flood | failed | water comes in | units 5,000 |" in page
    assert "- flood: 5 units are wet" in page
    assert "- fire: it ended in RuntimeError('the roof fell in')" in page
    assert rows_in(tmp_path)["flood"]["seed"] == 3


def test_a_row_takes_the_place_of_an_older_one_of_the_same_edition_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "FAULTS", (give(Row("", {}, ["wet"])), Fault("fire", lambda *_: Row("", {}))))
    assert command.main(["--quick", "--out", str(tmp_path)]) == 1
    monkeypatch.setattr(command, "FAULTS", (give(Row("", {})), *command.FAULTS[1:]))
    assert command.main(["--quick", "--only", "flood", "--out", str(tmp_path)]) == 0
    assert {name: row["verdict"] for name, row in rows_in(tmp_path).items()} == {"flood": "passed", "fire": "passed"}
    assert command.main(["--only", "flood", "--out", str(tmp_path)]) == 2
    assert command.main(["--quick", "--only", "drought", "--out", str(tmp_path)]) == 2


def test_what_cannot_be_tried_here_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = Fault("flood", lambda *_: Row("", {}, ["tried"]), lambda: "there is no water")
    monkeypatch.setattr(command, "FAULTS", (fault,))
    assert command.main(["--quick", "--out", str(tmp_path)]) == 0
    assert "skipped: there is no water" in (tmp_path / "faults.md").read_text()
