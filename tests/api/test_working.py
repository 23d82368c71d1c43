"""What goes on beside the requests comes to its end."""

import threading
import time

import pytest

from api import working
from api.settings import Settings
from api.working import Task, Working
from engine.capture import capture
from engine.database import Database
from tests.engine.town import HOUR, NOON, TEE, found_town, order


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
