"""What goes on beside the requests comes to its end."""

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from unittest.mock import patch

import pytest

from api import working
from api.http.service import now
from api.notices import Message
from api.settings import Settings
from api.vault import Vault
from api.webhooks import new_secret
from api.working import Task, Working
from engine import webhooks
from engine.ahead import lookout_of
from engine.books import fsck
from engine.capture import capture
from engine.consignments import release
from engine.database import Database
from engine.facts import OrderReleased, ReadyForPickup
from engine.labels import want
from engine.orders import Person, remember
from engine.shipping import make_ready
from engine.waves import WaveDone
from tests.api.http.conftest import SECRET_KEY
from tests.api.webhooks.sink import listening
from tests.engine.town import HOUR, NOON, TEE, found_town, order, receive


def test_all_that_goes_on_has_one_time_together_to_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """From when it was first told to."""
    monkeypatch.setattr(working, "STOP", 1.0)
    begun, over = threading.Barrier(5), threading.Event()

    def wait(_at: int) -> None:
        begun.wait(20)
        over.wait(20)

    url = database.engine.url.render_as_string(hide_password=False)
    beside = Working(Settings(database_url=url), database)
    monkeypatch.setattr(beside, "tasks", lambda: [Task(f"slow {n}", 0.01, wait) for n in range(4)])
    beside.start(0)
    begun.wait(20)
    started = time.monotonic()
    beside.end()
    time.sleep(0.5)
    beside.stop()
    took = time.monotonic() - started
    over.set()
    assert 0.9 < took < 2.0


def test_all_orders_whose_time_is_up_end_in_one_look_however_many(database: Database) -> None:
    found_town(database)
    capture(database, [order((TEE, 1), cancel_at=NOON + HOUR) for _ in range(150)], NOON)
    url = database.engine.url.render_as_string(hide_password=False)
    {task.name: task for task in Working(Settings(database_url=url), database).tasks()}["expire"].act(NOON + HOUR)
    with database.read() as tx:
        assert tx.all("SELECT state, COUNT(*) FROM orders GROUP BY state") == [("cancelled", 150)]


def test_pickups_lapse_and_labels_are_settled_on_the_clock(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    found_town(database)
    receive(database, 5)
    sent, kept = (one.placed.id for one in capture(database, [order((TEE, 1)), order((TEE, 1))], NOON))
    facts = [OrderReleased(id=f"r {id}", at=NOON, order=id) for id in (sent, kept)]
    (parcel,), (pickup,) = database.write(lambda tx: release(tx, facts))
    database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = node_no WHERE id = :id", id=pickup))
    database.write(lambda tx: make_ready(tx, ReadyForPickup(id="y", at=NOON, consignment=pickup, until=NOON + HOUR)))
    with database.read() as tx:
        service = tx.value("SELECT service FROM consignment WHERE id = :id", id=parcel)
    database.write(lambda tx: want(tx, NOON, "lab", parcel, "own", service, 200))  # and whoever asked has died
    monkeypatch.setattr(working, "now", lambda: NOON + HOUR)
    tasks = {task.name: task for task in beside(database).tasks()}
    for name in ("expire", "labels", "track"):
        tasks[name].act(NOON + HOUR)
    with database.read() as tx:
        assert tx.value("SELECT state FROM consignment WHERE id = :id", id=pickup) == "lapsed"
        assert tx.value("SELECT state FROM label") == "made"


def beside(database: Database, **settings: Any) -> Working:
    url = database.engine.url.render_as_string(hide_password=False)
    return Working(Settings(database_url=url, **settings), database)


def test_what_happens_reaches_another_system_and_the_customer(database: Database) -> None:
    found_town(database, venlo=3)
    got, mailbox = queue.SimpleQueue[str](), queue.SimpleQueue[str]()

    def take(request: BaseHTTPRequestHandler) -> None:
        got.put(json.loads(request.rfile.read(int(request.headers["content-length"])))["type"])
        request.send_response(204)
        request.end_headers()

    class Outbox:
        def takes(self, contact: str) -> bool:
            return True

        def send(self, message: Message) -> None:
            mailbox.put(message.contact)

    vault = Vault(SECRET_KEY)
    told = {"webhook_http": True, "webhook_networks": "127.0.0.0/8", "secret_key": SECRET_KEY}
    customers = {"smtp_host": "mail.example", "smtp_from": "a@shop.example", "public_url": "https://allot.example"}
    with listening(take) as (port, _), patch("api.working.sender_of", lambda _settings: Outbox()):
        address, sealed = f"http://127.0.0.1:{port}/", vault.seal(new_secret())
        database.write(lambda tx: webhooks.create(tx, NOON, "whk_1", address, (), "", sealed))
        database.write(lambda tx: remember(tx, [Person("cus-1", "Ann", None, "ann@example.org")], NOON))
        one = beside(database, **told, **customers, wave_every=0)
        one.start(0)
        try:
            capture(database, [order((TEE, 1), at=now(), recipient="cus-1")], now())
            assert [got.get(timeout=20), got.get(timeout=20)] == ["order.confirmed", "order.allocated"]
            assert mailbox.get(timeout=20) == "ann@example.org"
        finally:
            one.stop()
    with database.read() as tx:
        assert fsck(tx) == []


def test_what_is_kept_in_memory_is_made_ready_in_each_process(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_are_at_it = threading.Barrier(3)
    monkeypatch.setattr(working, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(lookout_of(database), "prepare", lambda *_: both_are_at_it.wait(20))
    several = [beside(database) for _ in range(2)]
    for one in several:
        one.start(0)
    both_are_at_it.wait(20)
    for one in several:
        one.end()
    both_are_at_it.abort()
    for one in several:
        one.stop()


def test_waves_on_the_timer_are_decided_by_the_policy_that_was_set(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def run(*_: object, policy: str, **__: object) -> WaveDone:
        asked.append(policy)
        return WaveDone("wav_1")

    monkeypatch.setattr(working, "run_wave", run)
    (wave,) = (task for task in beside(database, wave_policy="bid_price").tasks() if task.name == "wave")
    wave.act(0)
    assert asked == ["bid_price"]
