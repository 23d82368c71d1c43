"""What holds for every route: errors, sizes, JSON, ids, headers, rates, readiness."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from api import moments
from api.http import problems, values
from api.http.pages import cursor, read_cursor
from api.http.problems import Refused
from api.http.telemetry import HIDDEN, redact
from engine.database import Database, Unavailable
from solver.refusal import Refusal
from tests.api.http.conftest import Desk, opened

NEW = {"name": "shop", "scopes": ["operator"]}


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == problems.MEDIA
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    return body


def test_a_key_is_shown_once_and_never_kept(desk: Desk) -> None:
    made = desk.post("/v1/keys", NEW)
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("allot_")
    assert len(secret) >= 6 + 43
    listed = desk.get("/v1/keys").text
    assert made.json()["id"] in listed
    assert secret not in listed
    with desk.database.read() as tx:
        assert secret not in str(tx.all("SELECT * FROM api_key"))


def test_a_revoked_or_expired_key_is_no_key(desk: Desk) -> None:
    made = desk.post("/v1/keys", {**NEW, "scopes": ["admin"], "expires_at": "2025-11-25T11:00:00Z"}).json()
    wearing = {"Authorization": f"Bearer {made['secret']}"}
    assert desk.get("/v1/keys", scope=None, headers=wearing).status_code == 200
    desk.clock.at += 3_600_000
    problem(desk.get("/v1/keys", scope=None, headers=wearing), 401, "unauthenticated")
    desk.clock.at -= 3_600_000
    assert desk.ask("DELETE", f"/v1/keys/{made['id']}").json()["revoked_at"]
    answer = desk.get("/v1/keys", scope=None, headers=wearing)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({**NEW, "colour": "red"}, "/colour", "extra_forbidden"),
        ({**NEW, "scopes": ["operator", "king"]}, "/scopes/1", "literal_error"),
        ({"scopes": ["operator"]}, "/name", "missing"),
        ({**NEW, "name": 7}, "/name", "string_type"),
        ({**NEW, "expires_at": "tomorrow"}, "/expires_at", "value_error"),
        ({**NEW, "expires_at": "2026-01-01T00:00:00"}, "/expires_at", "value_error"),
    ],
)
def test_a_body_that_is_not_allowed_says_where(desk: Desk, body: Any, pointer: str, code: str) -> None:
    errors = problem(desk.post("/v1/keys", body), 422, "invalid")["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [(pointer, code)]
    assert desk.rows("api_key") == 1  # our own


BAD_JSON = {
    "NaN": b'{"name": NaN}',
    "infinite": b'{"name": -Infinity}',
    "too large a number": b'{"name": 1e999}',
    "NUL": b'{"name": "a\\u0000b"}',
    "NUL in a key": b'{"a\\u0000b": 1}',
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "no UTF-8": b'{"name": "\xff"}',
    "cut off": b'{"name": "a',
    "nothing": b"",
    "deep": b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}",
    "very deep": b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_what_is_no_json_of_ours_is_no_request(desk: Desk, body: bytes) -> None:
    answer = desk.ask("POST", "/v1/keys", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "bad_json")
    assert desk.rows("api_key") == 1


def test_a_path_to_a_policy_is_no_policy_here_and_its_file_is_never_run(desk: Desk, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\ndef keep(problem): ...\n")
    for text in (str(mine), f"{mine}:keep"):
        wave = problem(desk.post("/v1/waves", {"policy": text}, once=f"wave {text}"), 422, "invalid")
        solve = problem(desk.ask("POST", "/v1/solve", params={"policy": text}, json={}), 422, "invalid")
        assert [error["code"] for error in wave["errors"] + solve["errors"]] == ["literal_error"] * 2
    assert not (tmp_path / "ran").exists()


def test_a_body_may_not_be_too_large_whether_it_says_so_or_not(desk: Desk) -> None:
    large = b" " * (desk.app.state.service.settings.most_body + 1)
    sent = {"Content-Type": "application/json"}
    problem(desk.ask("POST", "/v1/keys", content=large, headers=sent), 413, "too_large")

    async def pieces() -> Any:
        for _ in range(40):
            yield large[:65536]

    problem(desk.ask("POST", "/v1/keys", content=pieces(), headers=sent), 413, "too_large")


def test_a_body_must_say_that_it_is_json(desk: Desk) -> None:
    problem(
        desk.ask("POST", "/v1/keys", content=b"{}", headers={"Content-Type": "text/plain"}),
        415,
        "unsupported_media_type",
    )


def test_what_is_not_there_and_what_cannot_be_done_there_are_problems_too(desk: Desk) -> None:
    problem(desk.get("/v1/nothing"), 404, "not_found")
    answer = desk.get("/v1/jobs/none")
    problem(answer, 404, "unknown_job")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["job"], (
        "what the path names is no part of a body"
    )
    problem(desk.ask("PUT", "/v1/keys"), 405, "method_not_allowed")


def test_every_answer_has_its_request_id_and_headers_that_protect(desk: Desk) -> None:
    mine = desk.get("/v1/keys", headers={"X-Request-Id": "mine-1"})
    assert mine.headers["x-request-id"] == "mine-1"
    other = desk.get("/v1/nothing", headers={"X-Request-Id": "not mine\x7f"})
    assert other.headers["x-request-id"].startswith("r_")
    assert other.json()["request_id"] == other.headers["x-request-id"]
    for answer in (mine, other, desk.get("/livez")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_who_asks_too_often_is_told_when_to_come_back(embedded: Database) -> None:
    with opened(embedded, rate="3/minute", failed_rate="2/minute") as desk:
        left = [desk.get("/v1/keys").headers["ratelimit"] for _ in range(3)]
        assert ["r=2" in left[0], "r=1" in left[1], "r=0" in left[2]] == [True] * 3
        answer = desk.get("/v1/keys")
        problem(answer, 429, "too_many_requests")
        assert 1 <= int(answer.headers["retry-after"]) <= 61
        wrong = {"Authorization": "Bearer allot_wrong"}
        codes = [desk.get("/v1/keys", scope=None, headers=wrong).status_code for _ in range(4)]
        assert codes == [401, 401, 429, 429]


def test_one_request_too_many_at_once_is_told_to_come_back(embedded: Database) -> None:
    with opened(embedded, most_requests=3) as desk:
        desk.key("admin")
        answers = desk.together(*[lambda c: c.get("/v1/keys", headers=desk.headers("admin"))] * 8)
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [200] * 3 + [503] * 5
        assert {a.headers.get("retry-after") for a in answers if a.status_code == 503} == {"1"}
        assert desk.get("/v1/keys").status_code == 200


def test_a_bug_shows_nothing_of_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_tx: Any) -> Any:
        raise KeyError("secret thing")

    monkeypatch.setattr("api.keys.listed", broken)
    answer = desk.get("/v1/keys")
    problem(answer, 500, "bug")
    assert "secret thing" not in answer.text


def test_a_database_that_is_away_is_worth_another_try(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_tx: Any) -> Any:
        raise Unavailable("gone")

    monkeypatch.setattr("api.keys.listed", away)
    answer = desk.get("/v1/keys")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"


def test_a_process_is_ready_while_its_database_is_migrated_and_it_is_not_ending(desk: Desk) -> None:
    assert desk.get("/livez", scope=None).json() == desk.get("/readyz", scope=None).json() == {"status": "ok"}
    desk.database.write(lambda tx: tx.run("UPDATE alembic_version SET version_num = 'older'"))
    problem(desk.get("/readyz", scope=None), 503, "not_migrated")
    desk.database.write(lambda tx: tx.run("DROP TABLE alembic_version"))
    problem(desk.get("/readyz", scope=None), 503, "not_migrated")
    desk.app.state.service.draining = True
    problem(desk.get("/readyz", scope=None), 503, "draining")
    assert desk.get("/livez", scope=None).status_code == 200


def test_figures_tell_what_was_asked_but_not_of_whom(desk: Desk) -> None:
    desk.get("/v1/jobs/some-private-id")
    figures = desk.get("/metrics", scope=None).text
    assert 'allot_requests_total{method="GET",route="/jobs/{job}",status="404"} 1.0' in figures
    assert "some-private-id" not in figures


def test_logs_hide_what_is_personal() -> None:
    told = redact(
        None, "", {"event": "x", "name": "Ann", "more": {"Address": "1 Road", "units": 2}, "all": [{"email": "a@b"}]}
    )
    assert told == {"event": "x", "name": HIDDEN, "more": {"Address": HIDDEN, "units": 2}, "all": [{"email": HIDDEN}]}


@pytest.mark.parametrize("after", ["x", "AAAA", cursor("a"), cursor(1, 2), cursor(1 << 63), "é", "W3RydWVd"])
def test_a_cursor_is_ours_or_none(after: str) -> None:
    with pytest.raises(Refused, match="no cursor"):
        read_cursor(after, int)


def test_a_cursor_says_what_was_last() -> None:
    assert read_cursor(cursor(17, "a/b?"), int, str) == (17, "a/b?")


def test_a_refusal_points_into_the_body() -> None:
    told = problems.refusal(Refusal("orders[3].lines[0].qty", "is 0", "bad_units"))
    assert told == {"pointer": "/orders/3/lines/0/qty", "code": "bad_units", "detail": "is 0"}
    assert problems.pointer_of("a/b.c~d") == "/a~1b/c~0d"


@pytest.mark.parametrize("at", [0, 1, 1_764_064_800_123, values.LAST_MOMENT])
def test_moments_and_days_go_out_as_they_come_in(at: int) -> None:
    class Asked(values.Body):
        at: values.Moment
        day: values.Day

    read = Asked.model_validate({"at": moments.moment(at), "day": moments.day(at // 86_400_000)})
    assert (read.at, read.day) == (at, at // 86_400_000)


def test_libraries_log_as_we_do(capsys: pytest.CaptureFixture[str]) -> None:
    import json

    import structlog

    from api.http.telemetry import set_up_logs

    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        set_up_logs()
        logging.getLogger("uvicorn.error").warning("something")
        structlog.get_logger().warning("request", contact="ann@example.org")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["event"] for line in lines] == ["something", "request"]
        assert lines[1]["contact"] == HIDDEN
    finally:
        root.handlers[:], root.level = before[0], before[1]
        structlog.reset_defaults()


def test_a_batch_does_together_what_was_asked_one_by_one() -> None:
    from api.http.batcher import Batcher

    sizes = []

    def work(asked: Any) -> list[Any]:
        sizes.append(len(asked))
        return [ValueError("three") if one == 3 else one * 10 for one in asked]

    async def ask() -> list[Any]:
        batcher: Batcher[int, int] = Batcher("test", work, most=4, waiting=10)
        batcher.start()
        answers = await asyncio.gather(*(batcher.do(n) for n in range(12)), return_exceptions=True)
        await batcher.stop()
        return answers

    answers = asyncio.run(ask())
    assert [a for a in answers if isinstance(a, int)] == [0, 10, 20, 40, 50, 60, 70, 80, 90]
    assert isinstance(answers[3], ValueError)
    assert all(isinstance(a, Refused) for a in answers[10:])
    assert sum(sizes) == 10
    assert max(sizes) == 4
