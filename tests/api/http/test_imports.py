"""Imports as jobs: each line by itself, an error file by line, gone on with after a crash, harmless whatever is sent."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from api.kinds import KINDS
from engine import jobs
from engine.books import fsck
from engine.database import Database
from tests.api.http.conftest import Desk, opened
from tests.api.http.test_conventions import problem
from tests.api.http.world import done, furnish, order

CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def shop(database: Database) -> Iterator[Desk]:
    with opened(database) as desk:
        furnish(desk)
        yield desk
        with database.read() as tx:
            assert fsck(tx) == []


def run(desk: Desk, worker: str = "w") -> str:
    """Do the next job, and say how it ended."""
    work = jobs.claim(desk.database, desk.clock, worker, list(KINDS))
    assert work is not None
    return jobs.perform(work, KINDS)


def send(desk: Desk, content: bytes | str, headers: dict[str, str], path: str = "orders/import", **more: Any) -> str:
    return str(done(desk.ask("POST", f"/v1/{path}", content=content, headers=headers, **more), 202)["id"])


def errors(desk: Desk, job: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in desk.get(f"/v1/jobs/{job}/errors").text.splitlines()]


def test_each_line_is_an_order_and_what_is_refused_is_in_the_error_file(shop: Desk) -> None:
    good = [msgspec.json.encode(order(str(n))) for n in range(3)]
    bad = [b"{", b'{"channel": "web"}', msgspec.json.encode({**order("9"), "channel": "moon"}), b'{"a": "\\u0000"}']
    job = send(shop, b"\n".join([good[0], bad[0], good[1], b"", *bad[1:], good[2]]), LINES)
    assert run(shop) == "done"
    seen = done(shop.get(f"/v1/jobs/{job}"))
    assert (seen["state"], seen["done"], seen["total"], seen["failed"]) == ("done", 7, 7, 4)
    assert [(one["line"], one["code"]) for one in errors(shop, job)] == [
        (2, "bad_json"), (5, "missing"), (6, "unknown_channel"), (7, "bad_json"),
    ]  # fmt: skip
    assert shop.rows("orders") == 3


def test_rows_of_csv_that_follow_each_other_are_lines_of_one_order(shop: Desk) -> None:
    rows = ["channel,external_id,sku,qty,lat,lon,pickup", "web,a,kettle,2,52,5,", "web,a,cup,1,52,5,", "web,b,kettle,x,52,5,",
            "web,c,kettle,1,,,shop", "web,d,kettle"]  # fmt: skip
    job = send(shop, "\n".join(rows), CSV)
    assert run(shop) == "done"
    assert [(one["line"], one["field"]) for one in errors(shop, job)] == [(4, "qty"), (6, "")]
    found = done(shop.get("/v1/orders"))["data"]
    assert [(one["external_id"], one["allocated"] + one["open"]) for one in found] == [("c", 1), ("a", 3)]


def test_an_order_of_which_a_row_is_bad_is_not_taken_in_by_half(shop: Desk) -> None:
    rows = ["channel,external_id,sku,qty,lat,lon", "web,a,kettle,2,52,5", "web,b,kettle,1,52,5", "web,a,cup,one,52,5",
            "web,c,kettle,1,52,5", "web,b,cup,3,52,5", "web,c,cup", "web,a,kettle,1,52,5", ",d,cup,1,52,5"]  # fmt: skip
    job = send(shop, "\n".join(rows), CSV)
    assert run(shop) == "done"
    assert [(one["line"], one["field"]) for one in errors(shop, job)] == [(4, "qty"), (7, ""), (9, "channel")]
    (found,) = done(shop.get("/v1/orders"))["data"]
    whole = done(shop.get(f"/v1/orders/{found['id']}"))
    assert (whole["external_id"], [(line["sku"], line["qty"]) for line in whole["lines"]]) == (
        "b", [("kettle", 1), ("cup", 3)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("orders/import", "channel,external_id,sku,qty,colour"),
        ("stock/feed/import?source=wms", "sku,node,sequence,units,colour"),
    ],
)
def test_a_column_that_means_nothing_to_us_is_refused(embedded: Database, path: str, columns: str) -> None:
    with opened(embedded) as desk:
        job = send(desk, f"{columns}\n1,2,3,4,5\n", CSV, path, once="k")
        assert run(desk) == "failed"
        assert "has a column 'colour'" in done(desk.get(f"/v1/jobs/{job}"))["note"]


def test_the_same_import_with_the_same_key_is_one_job(shop: Desk) -> None:
    content = msgspec.json.encode(order("1"))
    first = send(shop, content, LINES, once="k")
    assert send(shop, content, LINES, once="k") == first
    assert shop.rows("job") == 1


def test_a_worker_that_dies_is_followed_by_one_that_goes_on(shop: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.kinds.PIECE", 2)
    job = send(shop, b"\n".join(msgspec.json.encode(order(str(n))) for n in range(7)), LINES)
    work = jobs.claim(shop.database, shop.clock, "dies", list(KINDS))
    assert work
    steps = iter([True, True])

    def advance(*_: Any) -> None:
        if not next(steps, False):
            raise SystemExit("killed")  # after the effect, before it is said

    with monkeypatch.context() as patch:
        patch.setattr(work, "advance", advance)
        with pytest.raises(SystemExit):
            jobs.perform(work, KINDS)
    assert shop.rows("orders") == 6
    shop.clock.at += jobs.LEASE + 1
    assert run(shop, "follows") == "done"
    assert (shop.rows("orders"), done(shop.get(f"/v1/jobs/{job}"))["failed"]) == (7, 0)


def test_levels_of_stock_come_in_by_line(shop: Desk) -> None:
    rows = "sku,node,sequence,units\nkettle,near,2,70\nkettle,near,1,60\nnothing,near,1,5\nkettle,far,1,-5\n"
    job = send(shop, rows, CSV, "stock/feed/import?source=wms", once="k")
    assert run(shop) == "done"
    assert [one["line"] for one in errors(shop, job)] == [4, 5]
    assert done(shop.get("/v1/stock/kettle/near"))["on_hand"] == 70


def test_a_large_wave_is_solved_by_a_job(embedded: Database) -> None:
    from api.http.routes.deciding import _WAVE

    with opened(embedded, solve_at_once=0) as desk:
        job = done(desk.post("/v1/solve?policy=cheapest&seconds=1", _WAVE), 202)["id"]
        problem(desk.get(f"/v1/jobs/{job}/result"), 409, "no_result")
        assert run(desk) == "done"
        plan = done(desk.get(f"/v1/jobs/{job}/result"))
        assert (plan["format"], plan["cost_cents"], desk.rows("fact")) == ("plan/1", 665, 0)
        problem(desk.post("/v1/solve", {"format": "wave/1"}), 422, "bad_input")


def test_whoever_follows_a_job_hears_how_it_ended(shop: Desk) -> None:
    job = send(shop, msgspec.json.encode(order("1")), LINES)
    assert run(shop) == "done"
    answer = shop.get(f"/v1/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: done" in answer.text
    problem(shop.get("/v1/jobs/none/events"), 404, "unknown_job")
