"""Everything at once by many clients: nothing is oversold, nothing is stuck, and the books balance."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from engine.capture import capture
from engine.channels import hear
from engine.connections import get_connection
from engine.database import Database
from engine.entries import put_services
from engine.facts import (
    ConsignmentRejected,
    HoldReleased,
    LineQuantity,
    OrderCancelled,
    OrderEdited,
    OrderReleased,
    Shipped,
    StockAdjusted,
    StockCounted,
    StockReported,
)
from engine.store import Store
from engine.waves import run_wave
from solver.effort import Effort
from solver.refusal import Refusal
from tests.engine.shop import (
    CAP,
    NOON,
    SERVICES,
    STORE,
    TEE,
    WAREHOUSE,
    connect,
    held,
    open_shop,
    ordered,
    said,
    supply,
)  # fmt: skip

SKUS = ("tee", "cap", "set")


class Client:
    """Somebody who does one thing after another, whatever comes to mind."""

    def __init__(self, store: Store, number: int, orders: list[str]) -> None:
        self.store, self.number, self.orders = store, number, orders
        self.chance = np.random.default_rng(number)
        self.count = 0
        with store.database.read() as tx:
            self.shop = get_connection(tx, "shop")

    def about(self) -> dict[str, object]:
        self.count += 1
        return {"id": f"c{self.number}-{self.count}", "at": NOON + self.count}

    def pick(self, many: int) -> int:
        return int(self.chance.integers(many))

    def act(self) -> None:
        todo = (
            self.order,
            self.order,
            self.order,
            self.hold,
            self.cancel,
            self.edit,
            self.release,
            self.feed,
            self.wave,
            self.hear,
        )
        with suppress(Refusal):  # expected: it came too late
            todo[self.pick(len(todo))]()

    def order(self) -> None:
        lines = [(SKUS[self.pick(3)], 1 + self.pick(2)) for _ in range(1 + self.pick(3))]
        fact = ordered(str(self.about()["id"]), *lines, at=NOON + self.count)
        (one,) = capture(self.store.database, [fact], fact.at)
        if one.placed.outcome == "new":
            self.orders.append(one.placed.id)

    def hold(self) -> None:
        fact = held(str(self.about()["id"]), (SKUS[self.pick(3)], 1 + self.pick(2)))
        (answer,) = self.store.hold([fact])
        if answer.outcome == "new":
            if self.pick(2):
                self.store.give_up(HoldReleased(**self.about(), hold=fact.id))  # type: ignore[arg-type]
            else:
                unit = fact.units[0]
                order = ordered(str(self.about()["id"]), (unit.sku, unit.units), at=NOON, hold=fact.id)
                self.store.place([order])

    def any_order(self) -> str:
        return self.orders[self.pick(len(self.orders))] if self.orders else "none"

    def cancel(self) -> None:
        self.store.change(OrderCancelled(**self.about(), order=self.any_order()))  # type: ignore[arg-type]

    def edit(self) -> None:
        lines = (LineQuantity(line=1, qty=self.pick(4)),)
        self.store.change(
            OrderEdited(**self.about(), order=self.any_order(), lines=lines, ship_complete=bool(self.pick(2)))  # type: ignore[arg-type]
        )

    def release(self) -> None:
        ((*made,),) = self.store.release([OrderReleased(**self.about(), order=self.any_order())])  # type: ignore[arg-type]
        for consignment in made:
            kind = (Shipped, ConsignmentRejected)[self.pick(2)]
            self.store.handle(kind(**self.about(), consignment=consignment))  # type: ignore[arg-type]

    def feed(self) -> None:
        sku, node = ("tee", "cap")[self.pick(2)], ("warehouse", "store")[self.pick(2)]
        kind = self.pick(3)
        if kind == 0:
            self.store.report([StockReported(**self.about(), source="erp", sequence=self.pick(99), sku=sku, node=node,
                                             units=10 + self.pick(20))])  # type: ignore[arg-type]  # fmt: skip
        elif kind == 1:
            self.store.record([StockCounted(**self.about(), sku=sku, node=node, units=10 + self.pick(20))])  # type: ignore[arg-type]
        else:
            self.store.record([StockAdjusted(**self.about(), sku=sku, node=node, change=self.pick(9) - 4, reason="x")])  # type: ignore[arg-type]

    def hear(self) -> None:
        """A shop elsewhere says one of a few orders, as it was at some time or other."""
        at, order = NOON + self.pick(50), f"S{self.pick(5)}"
        lines = [(str(i), SKUS[i], 1 + self.pick(3)) for i in range(1 + self.pick(3))]
        state = said(order, *lines, at=at, cancelled=self.pick(6) == 0)
        event = str(self.about()["id"])
        heard = self.store.database.write(
            lambda tx: hear(tx, self.shop, event, "orders", state, None, NOON + self.count)
        )
        if heard.order:
            self.orders.append(heard.order)

    def wave(self) -> None:
        worker = str(self.about()["id"])
        run_wave(self.store.database, NOON + self.count, worker=worker, policy="cheapest", effort=Effort(seconds=1))


@pytest.mark.parametrize("acts", [25, pytest.param(400, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_everything_at_once_leaves_books_that_balance(database: Database, acts: int) -> None:
    open_shop(database)
    database.write(lambda tx: put_services(tx, SERVICES, NOON))
    database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id IN ('cap', 'set')"))
    supply(database, (TEE, STORE, 30), (TEE, WAREHOUSE, 30), (CAP, STORE, 30), (CAP, WAREHOUSE, 30))
    connect(database)
    store = Store(database)
    orders: list[str] = []
    clients = [Client(store, number, orders) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda client: [client.act() for _ in range(acts)], clients))
    assert store.fsck() == []
    with database.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM stock WHERE reserved > on_hand") == 0
    assert orders
