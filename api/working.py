"""What goes on beside the requests: jobs, and what the clock asks for. Any number of processes do it, each thing by one of them."""

import asyncio
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from api.carriers.calls import Calls
from api.channels.pushing import make_client, push_due, ship_due
from api.http import idempotency
from api.http.service import now
from api.http.telemetry import Metrics, log
from api.kinds import KINDS
from api.notices import sender_of
from api.notices.notify import Notifier
from api.notices.writing import Writer
from api.payments.calls import Payments
from api.settings import Settings
from api.vault import vault_of
from api.webhooks import Deliverer, Guard, client_of
from engine import channel_customers, channels, events, jobs, notices, privacy
from engine.ahead import lookout_of
from engine.calendar import MS_PER_DAY
from engine.connections import get_connection
from engine.database import Database, Tx, Unavailable
from engine.return_routing import route_returns
from engine.store import Store
from engine.waves import run_wave
from solver.effort import Effort
from solver.refusal import Refusal

IDLE = 0.3
"""Seconds between looks for a job where there was none."""
LOOK_EVERY = 15.0
"""Seconds between looks whether what policies know of the days to come is old; memory is each process's own."""
TRACK_EVERY = 60.0
"""Seconds between looks for parcels whose carriers are to be asked where they are."""
TELL_EVERY = 0.5
"""Seconds between looks for what others are to be told."""
ERASE_EVERY = 3600.0
"""Seconds between looks for people whose time is up."""
STOP = 8.0
"""What all that goes on may still take together when the process is to end."""


@dataclass(frozen=True)
class Task:
    """Something that happens every so many seconds, in one of all processes, or in each."""

    name: str
    every: float
    act: Callable[[int], None]
    in_each: bool = False


class Working:
    """The threads of one process that work."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics | None = None) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._doing: dict[str, jobs.Work] = {}
        self._efforts: list[threading.Event] = []
        self._ends = math.inf

    def start(self, workers: int) -> None:
        """Begin, with so many workers for jobs."""
        for number in range(workers):
            self._threads.append(
                threading.Thread(target=self._work, args=(f"{self._name}:{number}",), name=f"job-{number}", daemon=True)
            )
        for task in self.tasks():
            self._threads.append(threading.Thread(target=self._keep, args=(task,), name=task.name, daemon=True))
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Begin nothing new; jobs are given back at their next step."""
        self._ends = min(self._ends, time.monotonic() + STOP)
        self._over.set()
        for stop in list(self._efforts):
            stop.set()
        for work in list(self._doing.values()):
            work.stop.set()

    def stop(self) -> None:
        """End, and wait until everything has, or for as long as may be after it was first told to end."""
        self.end()
        for thread in self._threads:
            thread.join(max(0.0, self._ends - time.monotonic()))

    def tasks(self) -> list[Task]:
        """What the clock asks for."""
        tasks = [
            Task("forget", 3600.0, self._forget),
            Task("erase", ERASE_EVERY, self._erase),
            Task("expire", self._settings.sweep_every, self._expire),
            Task("labels", self._settings.sweep_every, self._settle_labels),
            Task("track", TRACK_EVERY, self._track),
            Task("channels", self._settings.sweep_every, self._catch_up),
            Task("payments", self._settings.sweep_every, self._settle_payments),
            Task("look ahead", LOOK_EVERY, self._look_ahead, in_each=True),
            Task("tell", TELL_EVERY, self._tell, in_each=True),
            Task("deliver", TELL_EVERY, self._deliver, in_each=True),
        ]
        if self._settings.notify:
            tasks.append(Task("notify", TELL_EVERY, self._notify, in_each=True))
        if self._settings.push_every:
            tasks.append(Task("push", self._settings.push_every, self._push))
            tasks.append(Task("ship", self._settings.push_every, self._ship))
        if self._settings.wave_every:
            tasks.append(Task("wave", self._settings.wave_every, self._wave))
        return tasks

    def _work(self, worker: str) -> None:
        while not self._over.is_set():
            try:
                work = jobs.claim(self._database, now, worker, list(KINDS))
                if work is None:
                    self._over.wait(IDLE)
                    continue
                self._doing[worker] = work
                if self._over.is_set():
                    work.stop.set()
                state = jobs.perform(work, KINDS)
                log.info("job", job=work.job.id, kind=work.job.kind, state=state)
                if self._metrics:
                    self._metrics.jobs.labels(work.job.kind, state).inc()
            except Unavailable:
                log.warning("database away", worker=worker)
                self._over.wait(1.0)
            except Exception:
                log.exception("bug", worker=worker)  # its lease ends, and the job is tried again a few times
                self._over.wait(1.0)
            finally:
                self._doing.pop(worker, None)

    def _keep(self, task: Task) -> None:
        while not self._over.wait(task.every if task.in_each else min(task.every, 1.0)):
            try:
                at = now()
                due = partial(jobs.due, name=task.name, at=at, every=int(1000 * task.every))
                if task.in_each or self._database.write(due):
                    task.act(at)
            except Unavailable:
                log.warning("database away", task=task.name)
            except Refusal as refusal:  # a wave where there is no network yet
                log.info("nothing to do", task=task.name, why=str(refusal))
            except Exception:
                log.exception("bug", task=task.name)

    def _expire(self, at: int) -> None:
        """End holds, orders, pickups and returns whose time is up, and give a node to returns whose process died before it did."""
        store = Store(self._database)
        while not self._over.is_set():
            ended = store.expire(at)
            if not (ended.holds or ended.orders or ended.pickups or ended.returns):
                break
        route_returns(self._database, at, lookout_of(self._database))

    def _erase(self, at: int) -> None:
        """Erase people by age or as channels want it, and write over what was erased since the last time, by whomever."""
        if forgotten := channel_customers.forget_customers(self._database, at):
            log.info("erased for channels", recipients=forgotten)
        if erased := privacy.erase_due(self._database, at):
            log.info("erased by age", recipients=erased)
        if not privacy.sweep_after_erasing(self._database):
            log.warning("not swept", why="somebody reads what was there before; it is tried again")

    def _settle_labels(self, _at: int) -> None:
        """Call carriers for labels that they did not answer for, or that are not wanted any more."""
        Calls(self._database, now).settle()

    def _settle_payments(self, _at: int) -> None:
        """Bill what left or came back, and ask providers of payments for what is due."""
        Payments(self._settings, self._database, now).settle()

    def _track(self, _at: int) -> None:
        """Ask carriers where parcels are."""
        Calls(self._database, now).look_after()

    def _catch_up(self, at: int) -> None:
        """Cancel what channels gave up while it was at its nodes, where it came back from there."""
        with self._database.read() as tx:
            found = channels.orders_to_retry(tx, at)
        for connection, order in found:
            try:
                self._database.write(partial(_hear_again, connection=connection, order=order, at=at))
            except Unavailable:
                raise
            except Exception:
                log.exception("bug", connection=connection, task="channels")
                self._database.write(partial(channels.note_failed, connection=connection, external_id=order, at=at))

    def _push(self, _at: int) -> None:
        """Tell channels what they may sell."""
        self._tell_channels("SELECT 1 FROM channel_item LIMIT 1", push_due)

    def _ship(self, _at: int) -> None:
        """Tell channels what has left of their orders."""
        self._tell_channels("SELECT 1 FROM connection WHERE active LIMIT 1", ship_due)

    def _tell_channels(self, any_of: str, tell: Callable[..., int]) -> None:
        """Tell channels something, where a query finds any for which there may be something."""
        with self._database.read() as tx:
            if tx.first(any_of) is None:
                return
        with make_client(Guard(self._settings.networks)) as client:
            tell(self._database, vault_of(self._settings), now, client, self._over.is_set)

    def _look_ahead(self, at: int) -> None:
        """Make ready what policies that look ahead need at capture."""
        lookout_of(self._database).prepare(self._database, at)

    def _tell(self, _at: int) -> None:
        """Make events of what was written down."""
        notify = self._settings.notify
        while not self._over.is_set():
            with self._database.read() as tx:
                if not events.has_news(tx, notify):
                    return
            if not self._database.write(lambda tx: events.relay(tx, now(), notify)):
                return

    def _deliver(self, _at: int) -> None:
        """Deliver to webhooks, from when there are any until the process is to end."""
        with self._database.read() as tx:
            if tx.first("SELECT 1 FROM webhook LIMIT 1") is None:
                return
        asyncio.run(self._deliver_all())

    async def _deliver_all(self) -> None:
        settings = self._settings
        guard = Guard(settings.networks, http=settings.webhook_http)
        async with client_of() as client:
            deliverer = Deliverer(
                self._database, vault_of(settings), client, guard, now, f"{self._name}:webhooks", settings.source,
                self._count_delivery,
            )  # fmt: skip
            await deliverer.run(self._over)

    def _count_delivery(self, delivered: bool) -> None:
        if self._metrics:
            self._metrics.deliveries.labels("delivered" if delivered else "failed").inc()

    def _notify(self, at: int) -> None:
        """Send messages to customers that are due."""
        with self._database.read() as tx:
            if not notices.is_due(tx, at):
                return
        settings = self._settings
        sender = sender_of(settings)
        assert sender is not None, "customers are told something"
        notifier = Notifier(
            self._database, vault_of(settings), sender, Writer(settings.notice_locale, settings.notice_templates),
            settings.source, now, f"{self._name}:notices",
        )  # fmt: skip
        while not self._over.is_set() and notifier.step():
            pass

    def _wave(self, at: int) -> None:
        """Decide all that is not released anew."""
        effort = Effort(seconds=self._settings.wave_seconds)
        self._efforts.append(effort.stop)
        try:
            if self._over.is_set():
                return
            done = run_wave(
                self._database, at, worker=self._name, policy=self._settings.wave_policy, effort=effort,
                timer=time.perf_counter,
            )  # fmt: skip
        except Refusal:
            raise
        except Exception:
            self._count_wave("failed")
            raise
        finally:
            self._efforts.remove(effort.stop)
        self._count_wave("done")
        log.info("wave", wave=done.id, orders=done.orders, changed=done.changed, gap=round(done.gap, 5))

    def _count_wave(self, state: str) -> None:
        if self._metrics:
            self._metrics.waves.labels(state).inc()

    def _forget(self, at: int) -> None:
        """Forget answers and ended jobs that were kept long enough."""
        answered = at - self._settings.key_days * MS_PER_DAY
        ended = at - self._settings.job_days * MS_PER_DAY
        self._database.write(lambda tx: idempotency.forget(tx, answered))
        self._database.write(lambda tx: jobs.forget(tx, ended))
        told = at - self._settings.event_days * MS_PER_DAY
        while not self._over.is_set() and self._database.write(lambda tx: events.forget(tx, told)):
            pass
        while not self._over.is_set() and self._database.write(lambda tx: channels.forget(tx, at - channels.KEPT, at)):
            pass


def _hear_again(tx: Tx, connection: str, order: str, at: int) -> None:
    channels.hear_again(tx, get_connection(tx, connection), order, at)
