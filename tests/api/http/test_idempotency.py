"""One effect and one answer for a request, however often it is sent."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.http import idempotency
from api.http.idempotency import REPLAYED, Answered, Asked, Taken
from api.http.routes import deciding
from engine.database import Database, Unavailable
from engine.waves import WaveDone
from tests.api.http.conftest import Desk, opened
from tests.api.http.world import furnish


def asked(key: str = "k", request: str = "r", at: int = 1_000, owner: str = "o") -> Asked:
    return Asked(owner, key, request, at, at + 30_000)


def take(database: Database, *wanted: Asked) -> list[Taken]:
    return idempotency.take_all(database, wanted)


ANSWER = Answered(201, {"etag": '"1"'}, '{"a":"é"}'.encode())


def test_of_many_at_once_one_may_answer(database: Database) -> None:
    assert take(database, *[asked()] * 3) == [Taken(mine=True), Taken(), Taken()]
    assert take(database, asked()) == [Taken()]


def test_what_was_answered_is_answered_again_byte_for_byte(database: Database) -> None:
    (one,) = take(database, asked())
    idempotency.finish_all(database, [(asked(), ANSWER)])
    assert one.mine
    assert take(database, asked(at=90_000_000), asked(at=90_000_001)) == [Taken(answered=ANSWER)] * 2


def test_another_request_may_not_use_the_key(database: Database) -> None:
    first, other = take(database, asked(), asked(request="other"))
    assert first.mine
    assert other.differs
    assert not other.mine
    assert take(database, asked(request="other"))[0].differs
    idempotency.finish_all(database, [(asked(), ANSWER)])
    assert take(database, asked(request="other"))[0].differs


def test_keys_of_others_are_other_keys(database: Database) -> None:
    assert [one.mine for one in take(database, asked(), asked(owner="p"), asked(key="l"))] == [True] * 3


def test_a_key_whose_process_died_is_tried_again_when_its_lease_ends(database: Database) -> None:
    take(database, asked(at=1_000))
    assert take(database, asked(at=31_000)) == [Taken()]
    again, late = take(database, asked(at=31_001), asked(at=31_001))
    assert again.mine
    assert not late.mine
    assert take(database, asked(request="other", at=90_000))[0].differs


def test_a_key_that_was_given_up_is_free(database: Database) -> None:
    take(database, asked())
    database.write(lambda tx: idempotency.give_up(tx, asked()))
    assert take(database, asked(request="other"))[0].mine


def test_an_answer_is_kept_once(database: Database) -> None:
    take(database, asked())
    idempotency.finish_all(database, [(asked(), ANSWER)])
    idempotency.finish_all(database, [(asked(), Answered(500, {}, b""))])
    assert take(database, asked())[0].answered == ANSWER


@pytest.mark.parametrize("before", [1_000, 1_001])
def test_answers_are_forgotten_when_they_are_old(database: Database, before: int) -> None:
    take(database, asked(at=1_000))
    assert database.write(lambda tx: idempotency.forget(tx, before)) == before - 1_000


RECEIVED = {"sku": "kettle", "node": "near", "units": 5}


@pytest.fixture
def shop(database: Database) -> Iterator[Desk]:
    with opened(database) as desk:
        furnish(desk)
        yield desk


def on_hand(desk: Desk) -> int:
    return int(desk.get("/v1/stock/kettle/near").json()["on_hand"])


def test_ten_at_once_have_one_effect_and_one_answer(shop: Desk) -> None:
    def send(client: httpx.AsyncClient) -> Any:
        return client.post("/v1/stock/receipts", json=RECEIVED, headers=shop.headers("admin", {"Idempotency-Key": "k"}))

    answers = shop.together(*[send] * 10)
    later = shop.post("/v1/stock/receipts", RECEIVED, once="k")
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in [*answers, later] if answer.status_code == 200}) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"in_flight"}
    assert later.headers[REPLAYED] == "true"
    assert on_hand(shop) == 205


def test_a_refusal_is_an_answer_too(shop: Desk) -> None:
    lost = {"sku": "kettle", "node": "near", "change": -900, "reason": "flood"}
    first = shop.post("/v1/stock/adjustments", lost, once="k")
    shop.post("/v1/stock/receipts", {**RECEIVED, "units": 1000}, once="other")
    again = shop.post("/v1/stock/adjustments", lost, once="k")
    assert first.status_code == again.status_code == 409
    assert first.content == again.content
    assert shop.post("/v1/stock/adjustments", {**lost, "change": -1}, once="k").status_code == 422


def test_a_crash_after_the_effect_and_before_the_answer_has_no_second_effect(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> Any:
        raise Unavailable("nothing is written any more")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "finish_all", crash)
        assert shop.post("/v1/stock/receipts", RECEIVED, once="k").status_code == 503
    assert on_hand(shop) == 205
    assert shop.post("/v1/stock/receipts", RECEIVED, once="k").json()["code"] == "in_flight"
    shop.clock.at += 31_000
    again = shop.post("/v1/stock/receipts", RECEIVED, once="k")
    assert (again.status_code, again.json()["seen"], on_hand(shop)) == (200, True, 205)
    assert shop.post("/v1/stock/receipts", RECEIVED, once="k").content == again.content


def test_what_failed_may_be_tried_again_at_once(shop: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise Unavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr("engine.stock.write_facts", away)
        assert shop.post("/v1/stock/receipts", RECEIVED, once="k").status_code == 503
    assert shop.post("/v1/stock/receipts", RECEIVED, once="k").status_code == 200
    assert on_hand(shop) == 205


ORDER = {
    "channel": "web",
    "external_id": "W-1",
    "lines": [{"sku": "kettle", "qty": 2}],
    "place": {"lat": 52.1, "lon": 5.1},
}


def test_an_order_sent_ten_times_at_once_is_one_order_with_one_answer(shop: Desk) -> None:
    def send(client: httpx.AsyncClient) -> Any:
        return client.post("/v1/orders", json=ORDER, headers=shop.headers("admin", {"Idempotency-Key": "k"}))

    before = shop.rows("idempotency")
    answers = shop.together(*[send] * 10)
    later = shop.post("/v1/orders", ORDER, once="k")
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.content for answer in answers if answer.status_code == 201} == {later.content}
    assert (later.status_code, later.headers[REPLAYED]) == (201, "true")
    assert later.headers["Location"] == f"/v1/orders/{later.json()['id']}"
    assert shop.post("/v1/orders", {**ORDER, "priority": 1}, once="k").json()["code"] == "idempotency_key_reused"
    assert (shop.rows("orders"), shop.rows("idempotency")) == (1, before + 1)


def test_an_order_and_the_answer_to_its_key_are_kept_together_or_not_at_all(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> Any:
        raise Unavailable("nothing is written any more")

    before = shop.rows("idempotency")
    for path, body in (("/v1/orders", ORDER), ("/v1/orders:batch", {"orders": [ORDER]})):
        with monkeypatch.context() as patch:
            patch.setattr(idempotency, "finish", crash)
            assert shop.post(path, body, once=path).status_code == 503
        assert (shop.rows("orders"), shop.rows("idempotency")) == (0, before)
    assert shop.post("/v1/orders", ORDER, once="/v1/orders").status_code == 201


def test_what_was_wrong_with_an_order_is_said_again(shop: Desk) -> None:
    unreadable, unknown = {**ORDER, "priority": "high"}, {**ORDER, "channel": "moon"}
    for key, body, status in (("a", unreadable, 422), ("b", unknown, 422)):
        first, again = (shop.post("/v1/orders", body, once=key) for _ in range(2))
        assert first.status_code == again.status_code == status
        assert first.content == again.content
        assert again.headers[REPLAYED] == "true"
        assert shop.post("/v1/orders", ORDER, once=key).json()["code"] == "idempotency_key_reused"
    assert shop.rows("orders") == 0


def test_a_batch_has_one_answer_however_often_it_is_sent(shop: Desk) -> None:
    batch = {"orders": [ORDER, {**ORDER, "external_id": "W-2", "channel": "moon"}]}
    first, again = (shop.post("/v1/orders:batch", batch, once="k") for _ in range(2))
    assert [one["outcome"] for one in first.json()["data"]] == ["new", "refused"]
    assert (again.content, again.headers[REPLAYED]) == (first.content, "true")
    assert [one["outcome"] for one in shop.post("/v1/orders:batch", batch).json()["data"]] == ["seen", "refused"]


def test_a_wave_that_takes_longer_than_a_lease_is_run_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    with opened(database, key_lease=1.0) as desk:

        def slow(*_: Any, **__: Any) -> WaveDone:
            ran.append("wave")
            for _tenth in range(25):
                time.sleep(0.1)
                desk.clock.at += 100
            return WaveDone("wav_slow")

        monkeypatch.setattr(deciding, "run_wave", slow)
        wearing = desk.headers("planner", {"Idempotency-Key": "k"})

        async def send(client: httpx.AsyncClient) -> httpx.Response:
            return await client.post("/v1/waves", json={}, headers=wearing)

        async def send_later(client: httpx.AsyncClient) -> httpx.Response:
            await asyncio.sleep(2.0)
            return await send(client)

        first, second = desk.together(send, send_later)
        again = desk.post("/v1/waves", {}, scope="planner", once="k")
    assert (first.status_code, second.json()["code"]) == (200, "in_flight")
    assert (again.content, ran) == (first.content, ["wave"])


def test_the_same_change_of_another_version_is_another_request(shop: Desk) -> None:
    node = {
        name: value
        for name, value in shop.get("/v1/nodes/near").json().items()
        if name not in ("id", "version", "paused")
    }
    answers = [
        shop.ask("PUT", "/v1/nodes/near", json=node, once="k", headers={"If-Match": version})
        for version in ('"9"', '"1"')
    ]
    assert [answer.json()["code"] for answer in answers] == ["changed_meanwhile", "idempotency_key_reused"]
