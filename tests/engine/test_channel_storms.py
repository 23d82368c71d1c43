"""What shops elsewhere say in any order, twice, and while others release and send it: one order, right stock, balanced books."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.channel_issues import ALREADY_RELEASED
from engine.channel_said import AnySaid, ChangeSaid, LineSaid, OrderSaid, UnitsChanged
from engine.channels import hear, orders_to_retry
from engine.channels import hear_again as again
from engine.connections import Connection
from engine.database import Database
from engine.entries import put_services
from engine.facts import ConsignmentRejected, OrderReleased, Shipped
from engine.store import Store
from engine.waves import run_wave
from solver.effort import Effort
from solver.refusal import Refusal
from tests.engine.shop import CAP, MUG, NOON, STORE, TEE, WAREHOUSE, connect, open_shop, said, supply
from tests.engine.test_books_machine import SERVICES

SKUS = ("tee", "cap", "mug")
SECOND = 1000


@dataclass(frozen=True)
class Story:
    """An order as it goes on at a shop: its states, and the changes between them that are told as well."""

    states: tuple[OrderSaid, ...]
    changes: tuple[ChangeSaid, ...]

    @property
    def last(self) -> OrderSaid:
        return self.states[-1]

    @property
    def wanted(self) -> dict[str, int]:
        """Units of each line in the end."""
        return {line.ref: line.wanted for line in self.last.lines}


def story_of(order: str, first: list[int], steps: list[tuple[int, int]], end: bool) -> Story:
    """An order of some lines; each step makes the units of a line other ones, or adds a line; in the end it may be cancelled."""
    lines = {str(i): (SKUS[i % 3], units) for i, units in enumerate(first)}
    states, changes = [_state(order, lines, NOON)], []
    for n, (which, units) in enumerate(steps, start=1):
        at = NOON + n * SECOND
        ref = str(which % (len(lines) + 1))
        sku, before = lines.get(ref, (SKUS[which % 3], 0))
        if ref in lines and units != before:
            changes.append(ChangeSaid(order=order, said_at=at, changes=(UnitsChanged(ref=ref, units=units - before),)))
        lines[ref] = sku, units
        states.append(_state(order, lines, at))
    if end:
        lines = {ref: (sku, 0) for ref, (sku, _) in lines.items()}
        states.append(_state(order, lines, NOON + (len(steps) + 1) * SECOND, cancelled=True))
    return Story(tuple(states), tuple(changes))


def _state(order: str, lines: dict[str, tuple[str, int]], at: int, **more: Any) -> OrderSaid:
    state = said(order, at=at, **more)
    told = tuple(LineSaid(ref=ref, sku=sku, wanted=units) for ref, (sku, units) in lines.items())
    return msgspec.structs.replace(state, lines=told)


def found(database: Database) -> Connection:
    """A shop with enough of everything, and its connection."""
    open_shop(database)
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    supply(database, *((sku, node, 500) for sku in (TEE, CAP, MUG) for node in (WAREHOUSE, STORE)))
    return connect(database)


def tell(database: Database, here: Connection, event: str, message: AnySaid) -> str:
    heard = database.write(lambda tx: hear(tx, here, event, "orders", message, None, NOON + 1_000_000))
    return heard.outcome


def live(database: Database, order: str) -> dict[str, tuple[int, int, int]]:
    """By line: units that are not cancelled, those among them that were released, and those that were given up too late."""
    with database.read() as tx:
        rows = tx.all(
            "SELECT l.ref, i.qty - i.cancelled, i.released + i.shipped + i.delivered + i.returned, l.undone "
            "FROM channel_order r JOIN channel_line l ON l.order_no = r.order_no "
            "JOIN order_line i ON i.order_no = l.order_no AND i.number = l.number WHERE r.external_id = :order",
            order=order,
        )
    return {ref: (units, later, undone) for ref, units, later, undone in rows}


def check(database: Database, story: Story) -> None:
    """One order at most, with what is wanted of each line; what is more was released before it was given up, and is told."""
    order, store = story.last.order, Store(database)
    assert store.fsck() == []
    with database.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM orders WHERE external_id = :order", order=order) <= 1
        told = tx.all(
            "SELECT COUNT(*) FROM channel_issue WHERE external_id = :order AND code = :code AND state = 'open'",
            order=order, code=ALREADY_RELEASED,
        )[0][0]  # fmt: skip
        reserved, claimed = (
            tx.value("SELECT SUM(reserved) FROM stock"),
            tx.value("SELECT COALESCE(SUM(allocated + released), 0) FROM order_line"),
        )
    assert reserved == claimed
    lines, wanted = live(database, order), story.wanted
    for ref, (units, later, undone) in lines.items():
        assert units == wanted.get(ref, 0) + undone, (ref, lines, wanted)
        assert undone <= later, "only what was released is too late"
    assert {ref for ref, units in wanted.items() if units} <= set(lines)
    assert told == sum(undone > 0 for _, _, undone in lines.values())


few = st.integers(1, 4)
steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=5)


def test_whatever_comes_twice_late_and_after_release_there_is_one_order_with_what_is_wanted(
    database: Database,
) -> None:
    """Between messages nodes are handed what is allocated, and send it, or send it back."""
    here, store, number = found(database), Store(database), count()

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(first=st.lists(few, min_size=1, max_size=3), steps=steps, end=st.booleans(), data=st.data())
    def tell_all(first: list[int], steps: list[tuple[int, int]], end: bool, data: Any) -> None:
        story = story_of(f"S{next(number)}", first, steps, end)
        messages: list[tuple[str, AnySaid]] = [
            (f"{story.last.order} {i}", message) for i, message in enumerate((*story.states, *story.changes))
        ]
        sent = data.draw(st.permutations(messages + messages[:: data.draw(st.integers(1, 3))]))
        for event, message in sent:
            tell(database, here, event, message)
            if data.draw(st.booleans()):
                handle(store, next(number), data.draw(st.sampled_from(("release", "release", "ship", "reject"))))
        catch_up(database, here)
        check(database, story)

    tell_all()


def catch_up(database: Database, here: Connection) -> None:
    """What the clock does: cancel what was given up and came back."""
    with database.read() as tx:
        left = orders_to_retry(tx, NOON, 1000)
    for _, order in left:
        database.write(lambda tx, order=order: again(tx, here, order, NOON + 2_000_000))


def handle(store: Store, n: int, what: str) -> None:
    """Release what is allocated, ship what is released, or have it refused."""
    with store.database.read() as tx:
        orders = tx.all("SELECT id FROM orders WHERE allocated > 0 ORDER BY no")
        consignments = tx.all("SELECT id FROM consignment WHERE state = 'released' ORDER BY no")
    with suppress(Refusal):
        if what == "release":
            for (order,) in orders:
                store.release([OrderReleased(id=f"rel {n} {order}", at=NOON, order=order)])
        for (consignment,) in consignments if what != "release" else []:
            kind = Shipped if what == "ship" else ConsignmentRejected
            store.handle(kind(id=f"{what} {n} {consignment}", at=NOON, consignment=consignment))


@pytest.mark.parametrize("orders", [12, pytest.param(150, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_a_storm_of_messages_by_many_at_once_leaves_each_order_once_and_right(database: Database, orders: int) -> None:
    """Cancels race with releases; waves decide anew; nodes ship and refuse."""
    here, store, chance = found(database), Store(database), np.random.default_rng(orders)
    stories = []
    for n in range(orders):
        first = chance.integers(1, 4, size=chance.integers(1, 4)).tolist()
        changed = [(int(a), int(b)) for a, b in chance.integers(0, 4, size=(chance.integers(0, 4), 2))]
        stories.append(story_of(f"S{n}", first, changed, bool(chance.integers(2))))
    messages: list[tuple[str, AnySaid]] = [
        (f"{story.last.order} {i}", message)
        for story in stories
        for i, message in enumerate((*story.states, *story.changes))
    ]
    sent = [messages[i] for i in chance.permutation(np.repeat(np.arange(len(messages)), 2))]
    over = threading.Event()

    def go_on(number: int) -> None:
        n = 0
        while not over.is_set():
            n += 1
            handle(store, number * 1_000_000 + n, ("release", "reject", "release", "ship")[n % 4])
            run_wave(database, NOON, worker=f"w{number}-{n}", policy="cheapest", effort=Effort(seconds=1))

    beside = [threading.Thread(target=go_on, args=(number,)) for number in range(2)]
    for thread in beside:
        thread.start()
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda one: tell(database, here, *one), sent))
    over.set()
    for thread in beside:
        thread.join()
    catch_up(database, here)
    assert outcomes.count("seen") == len(messages)
    for story in stories:
        check(database, story)
