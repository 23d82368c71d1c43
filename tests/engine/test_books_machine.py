"""Whatever happens in a shop, in whatever order: after every step the books balance, and the same again changes nothing."""

from collections import Counter
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import labels, payments, webhooks
from engine.billing import follow
from engine.capture import capture
from engine.channels import hear
from engine.charges import BillingTerms, put_billing, state_taxes
from engine.database import Tx
from engine.entries import put_services
from engine.events import Thresholds, forget, put_thresholds, relay
from engine.exchanges import exchange
from engine.facts import (
    ChannelStockSet,
    Condition,
    ConsignmentFact,
    ConsignmentRejected,
    Delivered,
    Disposition,
    HeldUnits,
    HoldPlaced,
    HoldReleased,
    InspectedUnits,
    LineQuantity,
    LineUnits,
    MissingUnits,
    OrderCancelled,
    OrderEdited,
    OrderedLine,
    OrderPlaced,
    OrderReleased,
    OrderReviewed,
    OrderTaxed,
    OutForDelivery,
    Packed,
    PaymentSettled,
    Picked,
    PickupLapsed,
    Place,
    ReadyForPickup,
    ReturnApproved,
    ReturnCancelled,
    ReturnedUnits,
    ReturnInspected,
    ReturnReceived,
    ReturnRefused,
    ReturnRequested,
    SafetySet,
    Shipped,
    ShippedUnits,
    ShortPicked,
    StockAdjusted,
    StockCounted,
    StockPutBack,
    StockReceived,
    StockReported,
    StockSetAside,
    StockTransferred,
    TaxLine,
    WantedBack,
    short_id,
)
from engine.notices import TOLD
from engine.return_requests import rma_id
from engine.return_rules import Fee, ReturnRules, put_return_rules
from engine.store import Store
from engine.waves import run_wave
from solver.effort import Effort
from solver.refusal import Refusal
from tests.engine.shop import DAY, MINUTE, NOON, SERVICES, connect, open_shop, said, settle
from tests.engine.tills import PRICES

SKUS = ("tee", "cap", "mug")
NODES = ("warehouse", "store", "far")
skus, nodes = st.sampled_from(SKUS), st.sampled_from(NODES)
few = st.integers(1, 6)
levels = st.integers(0, 12)
which = st.integers(0, 50)
wanted = st.lists(st.tuples(st.sampled_from((*SKUS, "set")), few), min_size=1, max_size=3)


STOCK = (StockReceived, StockAdjusted, StockSetAside, StockPutBack, StockTransferred, SafetySet)
STEPS = (
    Picked, Packed, Shipped, Shipped, ReadyForPickup, ReadyForPickup, OutForDelivery, PickupLapsed, Delivered, Delivered,
    ConsignmentRejected, ShortPicked, ShortPicked, ReturnReceived, ReturnReceived,
)  # fmt: skip
WAYS = (
    (Shipped, OutForDelivery, Delivered, ReturnReceived),
    (Packed, Shipped, Shipped, OutForDelivery),
    (ReadyForPickup, Delivered, ReturnReceived),
    (ReadyForPickup, PickupLapsed, Delivered),
    (ReadyForPickup, ReturnReceived, PickupLapsed),
)
"""What may happen to a consignment one after the other; by van it is collected in the store."""


REASONS = ("unwanted", "late", "other")
CONDITIONS, DISPOSITIONS = get_args(Condition), get_args(Disposition)
RULES = ReturnRules(fees=(Fee(15, ("unwanted",)),), label_cents=250, tag_days={"odd": 5})
"""A fee, and a label that may be more than what is owed."""
ENDS = (*6 * ("done",), "card_declined", "expired", "unanswered", "asleep")
"""How calls to providers of payments end."""


class Shop(RuleBasedStateMachine):
    """A shop to which anything may happen."""

    checked = 0
    """How often the books were checked: after every step."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.store = Store(url)
        open_shop(self.store.database)
        self.store.database.write(lambda tx: put_services(tx, SERVICES, NOON))
        self.store.database.write(lambda tx: webhooks.create(tx, NOON, "whk_1", "https://a.example", (), "", "sealed"))
        self.store.database.write(lambda tx: put_thresholds(tx, Thresholds(units=3), NOON))
        self.here = connect(self.store.database)
        self.store.database.write(lambda tx: put_return_rules(tx, RULES, NOON))
        self.now, self.count = NOON, 0
        self.orders: list[str] = []
        self.holds: list[str] = []
        self.consignments: list[str] = []
        self.rmas: list[str] = []
        self.last: Callable[[], Any] | None = None

    def teardown(self) -> None:
        self.store.close()

    def new_id(self) -> str:
        self.count += 1
        self.now += MINUTE
        return f"f{self.count}"

    def about(self) -> dict[str, Any]:
        return {"id": self.new_id(), "at": self.now}

    def do(self, act: Callable[[], Any]) -> Any:
        """Do something that may be refused; what was done can be done again."""
        try:
            done = act()
        except Refusal:
            return None
        self.last = act
        return done

    def order(self, lines: list[tuple[str, int]], channel: str, **more: Any) -> OrderPlaced:
        external_id = self.new_id()
        return OrderPlaced(
            at=self.now,
            channel=channel,
            external_id=external_id,
            lines=tuple(OrderedLine(sku=sku, qty=qty, price_cents=PRICES[sku]) for sku, qty in lines),
            place=Place(lat=52.0, lon=5.0),
            **more,
        )

    def of(self, things: list[str], index: int) -> str:
        return things[index % len(things)]

    def movements(self) -> int:
        with self.store.database.read() as tx:
            return int(tx.value("SELECT COUNT(*) FROM movement"))

    @initialize(
        units=st.lists(st.integers(3, 12), min_size=9, max_size=9), allotment=st.one_of(st.none(), levels), limit=levels
    )
    def stock(self, units: list[int], allotment: int | None, limit: int) -> None:
        places = [(sku, node) for sku in SKUS for node in NODES]
        self.store.record([
            StockCounted(**self.about(), sku=sku, node=node, units=n) for (sku, node), n in zip(places, units, strict=True)
        ])  # fmt: skip
        self.store.record([ChannelStockSet(**self.about(), channel="market", sku="tee", allotment=allotment)])
        self.store.database.write(
            lambda tx: tx.run("UPDATE sku SET presale_limit = :limit WHERE id = 'mug'", limit=limit)
        )
        self.store.database.write(lambda tx: tx.run("UPDATE sku SET backorder = false WHERE id IN ('cap', 'set')"))
        for far in range(4):  # open, allocated, released and shipped, so that there is something to go on with
            (order,) = self.store.place([self.order([("tee", 2), ("mug", 1)], "web")])
            if order.outcome == "new":
                self.orders.append(order.id)
                self.go_far(order.id, "post", None, far)
        (pickup,) = self.store.place([self.order([("tee", 2)], "web")])
        self.orders.append(pickup.id)
        self.go_far(pickup.id, "van", "store", 2)
        if self.consignments:
            self.handle(ReadyForPickup(**self.about(), consignment=self.consignments[-1]))

    # --- stock --------------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(STOCK), sku=skus, node=nodes, to_node=nodes, units=few, change=st.integers(-6, 6))
    def move_stock(self, kind: Any, sku: str, node: str, to_node: str, units: int, change: int) -> None:
        more: dict[str, Any] = {"units": units}
        if kind is StockAdjusted:
            more = {"change": change, "reason": "audit"}
        elif kind is StockTransferred:
            more["to_node"] = to_node
        elif kind is SafetySet:
            more = {"sell": units // 2, "route": 0}
        elif kind in (StockSetAside, StockPutBack):
            more["state"] = "damaged" if change < 3 else "quarantined"
        fact = kind(**self.about(), sku=sku, node=node, **more)
        self.do(lambda: self.store.record([fact]))

    @rule(sku=skus, node=nodes, units=levels, sequence=st.one_of(st.none(), st.integers(0, 20)))
    def count_units(self, sku: str, node: str, units: int, sequence: int | None) -> None:
        """By hand, or by a feed whose messages come in any order."""
        outcome = ["applied"]
        if sequence is None:
            count = StockCounted(**self.about(), sku=sku, node=node, units=units)
            self.do(lambda: self.store.record([count]))
        else:
            said = StockReported(**self.about(), source="erp", sequence=sequence, sku=sku, node=node, units=units)
            outcome = self.do(lambda: self.store.report([said]))
        with self.store.database.read() as tx:
            there = tx.value(
                "SELECT k.on_hand - k.missing FROM stock k JOIN sku s ON s.no = k.sku_no JOIN node n ON n.no = k.node_no "
                "WHERE s.id = :sku AND n.id = :node", sku=sku, node=node,
            )  # fmt: skip
        assert there == units or outcome == ["late"], "a count is never lost"

    # --- holds and orders ---------------------------------------------------------------------------------------

    @rule(units=wanted, minutes=st.integers(1, 20), give_up=st.booleans(), index=which)
    def hold(self, units: list[tuple[str, int]], minutes: int, give_up: bool, index: int) -> None:
        about = self.about()
        fact = HoldPlaced(
            **about, channel="web", until=self.now + minutes * MINUTE,
            units=tuple(HeldUnits(sku=sku, units=count) for sku, count in units),
        )  # fmt: skip
        if self.do(lambda: self.store.hold([fact]))[0].outcome == "new":
            self.holds.append(fact.id)
        if give_up and self.holds:
            ended = HoldReleased(**self.about(), hold=self.of(self.holds, index))
            self.do(lambda: self.store.give_up(ended))

    @rule(minutes=st.one_of(st.integers(0, 10), st.just(8 * 24 * 60)))
    def expire(self, minutes: int) -> None:
        """Once in a while after so long that pickups lapse, too."""
        self.now += minutes * MINUTE
        now = self.now
        self.do(lambda: self.store.expire(now))

    @rule(
        lines=wanted, channel=st.sampled_from(("web", "market")), use_hold=st.booleans(), index=which,
        review=st.integers(0, 5), cancel_in=st.one_of(st.none(), st.integers(1, 15)), pickup=st.booleans(),
        far=st.integers(0, 3), captured=st.booleans(),
    )  # fmt: skip
    def place(
        self, lines: list[tuple[str, int]], channel: str, use_hold: bool, index: int, review: int,
        cancel_in: int | None, pickup: bool, far: int, captured: bool,
    ) -> None:  # fmt: skip
        fact = self.order(
            lines, channel, pickup=("store",) if pickup else (), review=review == 0,
            cancel_at=None if cancel_in is None else self.now + cancel_in * MINUTE,
            hold=self.of(self.holds, index) if use_hold and self.holds else None,
        )  # fmt: skip
        if captured:
            (answer,) = [one.placed for one in self.do(lambda: capture(self.store.database, [fact], fact.at))]
        else:
            (answer,) = self.do(lambda: self.store.place([fact]))
        if answer.outcome == "new":
            self.orders.append(answer.id)
            self.go_far(answer.id, "post", None, far)

    @rule(
        order=st.integers(0, 2), lines=st.dictionaries(st.integers(0, 3), st.integers(0, 5), min_size=1, max_size=3),
        at=st.integers(0, 9), cancelled=st.integers(0, 5),
    )  # fmt: skip
    def say(self, order: int, lines: dict[int, int], at: int, cancelled: int) -> None:
        """A shop elsewhere says what an order was like at some time or other."""
        told = [(str(line), (*SKUS, "set")[line], units if cancelled else 0) for line, units in lines.items()]
        state, event, now = said(f"S{order}", *told, at=NOON + at, cancelled=not cancelled), self.new_id(), self.now
        heard = self.do(
            lambda: self.store.database.write(lambda tx: hear(tx, self.here, event, "orders", state, None, now))
        )
        if heard.order is not None and heard.order not in self.orders:
            self.orders.append(heard.order)

    @precondition(lambda self: self.orders)
    @rule(
        index=which, kind=st.sampled_from((OrderEdited, OrderCancelled, OrderReviewed)), yes=st.booleans(),
        lines=st.lists(st.tuples(st.integers(1, 3), few), max_size=2), added=st.booleans(), pickup=st.booleans(),
    )  # fmt: skip
    def change(self, index: int, kind: Any, yes: bool, lines: list[tuple[int, int]], added: bool, pickup: bool) -> None:
        more: dict[str, Any] = {"accepted": yes}
        if kind is OrderCancelled:
            more = {"lines": tuple(LineUnits(line=line, units=units) for line, units in lines)}
        elif kind is OrderEdited:
            more = {
                "lines": tuple(LineQuantity(line=line, qty=units) for line, units in lines),
                "added": (OrderedLine(sku="tee", qty=1),) if added else (),
                "pickup": ("store",) if pickup else None,
            }
        fact = kind(**self.about(), order=self.of(self.orders, index), **more)
        self.do(lambda: self.store.change(fact))

    @precondition(lambda self: self.orders)
    @rule(
        index=which, service=st.sampled_from(("post", "van")), node=st.one_of(st.none(), nodes), far=st.integers(1, 3)
    )
    def serve(self, index: int, service: str, node: str | None, far: int) -> None:
        self.go_far(self.of(self.orders, index), service, node, far)

    def go_far(self, order: str, service: str, node: str | None, far: int) -> None:
        """Decide about an order, release it, ship it: as far as said."""
        if far >= 1:
            self.decide_order(order, service, None if node is None else NODES.index(node) + 1)
        if far >= 2:
            fact = OrderReleased(**self.about(), order=order, node=node)
            made = self.do(lambda: self.store.release([fact])) or [[]]
            self.consignments += made[0]
            self.store.database.write(
                lambda tx: tx.run("UPDATE consignment SET collect_no = node_no WHERE node_no = 2 AND service = 'van'")
            )
            if far >= 3 and made[0]:
                self.handle(Shipped(**self.about(), consignment=made[0][0]))

    def decide_order(self, order: str, service: str, only: int | None) -> None:
        """Tie what is open to nodes, as far as stock is free."""
        with self.store.database.read() as tx:
            lines = tx.all(
                "SELECT l.number, l.sku_no, l.open FROM order_line l JOIN orders o ON o.no = l.order_no "
                "WHERE o.id = :id AND l.open > 0 AND NOT o.review ORDER BY l.number", id=order,
            )  # fmt: skip
            stock = tx.all("SELECT sku_no, node_no, on_hand - reserved FROM stock")
            kits = tx.all("SELECT kit_no, part_no, units FROM kit_part")
        free = {(sku, node): units for sku, node, units in stock}
        for number, sku, left in lines:
            parts = [(part, each) for kit, part, each in kits if kit == sku] or [(sku, 1)]
            for node in (1, 2, 3) if only is None else (only,):
                units = min([left, *(free.get((part, node), 0) // each for part, each in parts)])
                if units > 0:
                    left -= units
                    for part, each in parts:
                        free[part, node] -= units * each
                    entry = (number, node, units)
                    self.store.database.write(lambda tx, e=entry: settle(tx, order, e, service=service))

    @rule(policy=st.sampled_from(("joint", "cheapest")))
    def wave(self, policy: str) -> None:
        """Decide everything anew that is not released."""
        worker = self.new_id()
        self.last = None
        run_wave(self.store.database, self.now, worker=worker, policy=policy, effort=Effort(seconds=1))

    # --- consignments -------------------------------------------------------------------------------------------

    def handle(self, fact: ConsignmentFact) -> None:
        self.do(lambda: self.store.handle(fact))

    @precondition(lambda self: self.consignments)
    @rule(
        index=which, kind=st.sampled_from(STEPS), pick=which, units=st.integers(1, 3),
        node=st.one_of(st.none(), nodes), to=st.sampled_from(("stock", "damaged", "quarantined")), by=which,
    )  # fmt: skip
    def go_on(self, index: int, kind: Any, pick: int, units: int, node: str | None, to: Any, by: int) -> None:
        self.happen(self.of(self.consignments, index), kind, pick, units, node, to, by)

    def happen(
        self, consignment: str, kind: Any, pick: int, units: int, node: str | None, to: Any, by: int = 0
    ) -> None:
        """Something happens to a consignment; perhaps only to some units of a line of it."""
        with self.store.database.read() as tx:
            held = tx.all(
                "SELECT c.number, s.id FROM consignment_line c JOIN sku s ON s.no = c.sku_no "
                "JOIN consignment k ON k.no = c.consignment_no WHERE k.id = :id ORDER BY c.number, s.id",
                id=consignment,
            )
        line, sku = held[pick % len(held)]
        more: dict[str, Any] = {}
        if kind is Shipped and to == "damaged":  # in part: some units of one line
            parts = [other for number, other in held if number == line]
            more = {"units": tuple(ShippedUnits(line=line, sku=one, units=units * self.each(line, one, consignment))
                                   for one in parts)}  # fmt: skip
        elif kind is ShortPicked:
            more = {"missing": (MissingUnits(line=line, sku=sku, units=units),)}
        elif kind is ReturnReceived:
            more = {"units": (ReturnedUnits(line=line, sku=sku, units=units, to=to),), "node": node}
            if self.rmas and by % 2:
                more["rma"] = self.of(self.rmas, by)
        fact = kind(**self.about(), consignment=consignment, **more)
        self.handle(fact)
        with self.store.database.read() as tx:
            rest = tx.first("SELECT id FROM consignment WHERE id = :id", id=short_id("con", fact.id, "rest"))
        self.consignments += rest or ()

    def each(self, line: int, sku: str, consignment: str) -> int:
        """Units of a SKU for each unit of a line."""
        with self.store.database.read() as tx:
            found = tx.first(
                "SELECT c.units / c.line_units FROM consignment_line c JOIN consignment k ON k.no = c.consignment_no "
                "JOIN sku s ON s.no = c.sku_no WHERE k.id = :id AND c.number = :line AND s.id = :sku AND c.line_units > 0",
                id=consignment, line=line, sku=sku,
            )  # fmt: skip
        return int(found[0]) if found else 1

    @precondition(lambda self: self.orders)
    @rule(
        index=which, service=st.sampled_from(("post", "van")), pick=which, units=st.integers(1, 2),
        way=st.sampled_from(WAYS),
    )  # fmt: skip
    def travel(self, index: int, service: str, pick: int, units: int, way: tuple[Any, ...]) -> None:
        """Hand what an order has to the store, and let several things happen to it."""
        self.go_far(self.of(self.orders, index), service, "store", 2)
        if self.consignments:
            for kind in way:
                self.happen(self.consignments[-1], kind, pick, units, None, "damaged" if pick % 2 else "stock")
                assert self.store.fsck() == []

    @precondition(lambda self: self.consignments)
    @rule(index=which, ends=st.sampled_from(("made", "refused", "unanswered", "asleep")), drop=st.booleans())
    def label(self, index: int, ends: str, drop: bool) -> None:
        """Ask for a label, and call a carrier for all that waits; it may not answer, or we may die before it does."""
        write, now, id = self.store.database.write, self.now, self.new_id()
        consignment = self.of(self.consignments, index)
        if drop:
            self.do(lambda: write(lambda tx: labels.unwant(tx, now, consignment)))
        else:
            self.do(lambda: write(lambda tx: labels.want(tx, now, id, consignment, "own", "post", 100)))
        self.last = None  # how a call ends is no fact
        self.now += labels.LEASE
        at = self.now
        with self.store.database.read() as tx:
            found = labels.waiting(tx, at)
        for label in found:
            if not write(lambda tx, label=label: labels.take(tx, at, label)) or ends == "asleep":
                continue
            if ends == "unanswered":
                write(lambda tx, label=label: labels.unanswered(tx, at, label))
            elif label.state == "unwanted":
                write(lambda tx, label=label: labels.cancelled(tx, at, label))
            elif ends == "made":
                write(lambda tx, label=label: labels.made(tx, at, label, f"T{label.no}", 300))
            else:
                write(lambda tx, label=label: labels.refused(tx, label, "too_heavy"))

    # --- who is told --------------------------------------------------------------------------------------------

    @rule(codes=st.lists(st.sampled_from((200, 200, 200, 500, 500, None, 410)), max_size=6), minutes=st.integers(0, 30))
    def tell(self, codes: list[int | None], minutes: int) -> None:
        """Events are made of what happened, and some of them delivered, or not."""
        self.last = None
        write = self.store.database.write
        while write(lambda tx: relay(tx, self.now, TOLD)):
            pass
        self.now += minutes * MINUTE
        due = write(lambda tx: webhooks.claim(tx, self.now, "w", Counter(), len(codes)))
        results = [
            webhooks.Result(one.webhook, one.event_no, one.leased_until, self.now, 1, code)
            for one, code in zip(due, codes, strict=False)
        ]
        write(lambda tx: webhooks.settle(tx, self.now, "w", results))
        write(lambda tx: webhooks.give_back(tx, "w"))

    @rule(since=st.integers(0, 60), what=st.sampled_from(("enable", "missed", "all", "disable", "forget")))
    def tell_again(self, since: int, what: str) -> None:
        self.last = None
        write, at = self.store.database.write, self.now - since * MINUTE
        if what == "enable":
            write(lambda tx: webhooks.enable(tx, self.now, "whk_1", at))
        elif what == "disable":
            write(lambda tx: webhooks.disable(tx, self.now, "whk_1"))
        elif what == "forget":
            write(lambda tx: forget(tx, at))
        else:
            self.do(lambda: write(lambda tx: webhooks.replay(tx, self.now, "whk_1", at, delivered=what == "all")))
            self.last = None

    # --- returns ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.orders)
    @rule(
        index=which, lines=st.lists(st.tuples(st.integers(1, 3), few, st.sampled_from(REASONS)), min_size=1, max_size=2),
        exchanged=st.booleans(), brought=st.booleans(), paid=st.one_of(st.none(), st.integers(0, 500)),
    )  # fmt: skip
    def ask_back(
        self, index: int, lines: list[tuple[int, int, Any]], exchanged: bool, brought: bool, paid: int | None
    ) -> None:
        fact = ReturnRequested(
            **self.about(), order=self.of(self.orders, index), carriage_cents=paid,
            lines=tuple(WantedBack(line=line, units=units, reason=reason) for line, units, reason in lines),
            wanted="exchange" if exchanged else "refund", how="store" if brought else "parcel",
            node="store" if brought else None,
        )  # fmt: skip
        if self.do(lambda: self.store.ask_back([fact])) is not None:
            self.rmas.append(rma_id(fact))

    @precondition(lambda self: self.consignments)
    @rule(
        index=which,
        units=st.integers(1, 3),
        exchanged=st.booleans(),
        far=st.integers(0, 3),
        reason=st.sampled_from(REASONS),
        leaves=st.booleans(),
        condition=st.sampled_from(CONDITIONS),
    )
    def go_back_far(
        self, index: int, units: int, exchanged: bool, far: int, reason: Any, leaves: bool, condition: Any
    ) -> None:
        """Deliver a consignment, ask its first line back, receive it and look at it: as far as said.

        What is ordered in exchange may leave before, and then less comes back than it was credited with.
        """
        consignment = self.of(self.consignments, index)
        for kind in (Shipped, Delivered):
            self.handle(kind(**self.about(), consignment=consignment))
        with self.store.database.read() as tx:
            held = tx.first(
                "SELECT o.id, c.number, s.id FROM consignment k JOIN orders o ON o.no = k.order_no JOIN consignment_line c "
                "ON c.consignment_no = k.no JOIN sku s ON s.no = c.sku_no WHERE k.id = :id ORDER BY c.number, s.id",
                id=consignment,
            )
        assert held is not None
        order, line, sku = held
        asked = ReturnRequested(
            **self.about(), order=order, lines=(WantedBack(line=line, units=1, reason=reason),),
            wanted="exchange" if exchanged else "refund",
        )  # fmt: skip
        if self.do(lambda: self.store.ask_back([asked])) is None:
            return
        self.rmas.append(rma_id(asked))
        if exchanged and leaves and (new := self.exchange(-1, [("cap", 1)], 300)) is not None:
            self.go_far(new, "post", None, 3)
            self.settle_money(["done"], 0)
        if far >= 1:
            back = (ReturnedUnits(line=line, sku=sku, units=units),)
            self.handle(ReturnReceived(**self.about(), consignment=consignment, units=back, rma=self.rmas[-1]))
        if far >= 2:
            self.look(-1, line, sku, units, condition, "restock", None)
        if far >= 3 and exchanged and not leaves:
            self.swap(-1, [("cap", 1)], 300)

    @precondition(lambda self: self.rmas)
    @rule(index=which, kind=st.sampled_from((ReturnApproved, ReturnRefused, ReturnCancelled)))
    def decide_back(self, index: int, kind: Any) -> None:
        fact = kind(**self.about(), rma=self.of(self.rmas, index))
        self.do(lambda: self.store.go_back(fact))

    @precondition(lambda self: self.rmas)
    @rule(
        index=which, line=st.integers(1, 3), sku=skus, units=st.integers(1, 3), condition=st.sampled_from(CONDITIONS),
        disposition=st.sampled_from(DISPOSITIONS), node=st.one_of(st.none(), nodes),
    )  # fmt: skip
    def look(
        self, index: int, line: int, sku: str, units: int, condition: Any, disposition: Any, node: str | None
    ) -> None:
        one = InspectedUnits(line=line, sku=sku, units=units, condition=condition, disposition=disposition)
        fact = ReturnInspected(**self.about(), rma=self.of(self.rmas, index), units=(one,), node=node)
        self.do(lambda: self.store.go_back(fact))

    @precondition(lambda self: self.rmas)
    @rule(index=which, lines=wanted, price=st.integers(0, 900))
    def swap(self, index: int, lines: list[tuple[str, int]], price: int) -> None:
        self.exchange(index, lines, price)

    def exchange(self, index: int, lines: list[tuple[str, int]], price: int) -> str | None:
        """Order in place of a return; gives the order, where it is new."""
        rma, at = self.of(self.rmas, index), self.now
        asked = [OrderedLine(sku=sku, qty=qty, price_cents=price) for sku, qty in lines]
        done = self.do(lambda: self.store.database.write(lambda tx: exchange(tx, rma, asked, at)))
        if done is not None and done.captured.placed.outcome == "new":
            self.orders.append(done.fact.new_order)
            return str(done.fact.new_order)
        return None

    @rule(days=st.integers(1, 30))
    def days_go_by(self, days: int) -> None:
        self.now += days * DAY
        now = self.now
        self.do(lambda: self.store.expire(now))

    # --- money --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.orders)
    @rule(
        index=which, cents=st.integers(1500, 9000), carriage=st.integers(0, 500), often=st.booleans(), net=st.booleans()
    )
    def pay(self, index: int, cents: int, carriage: int, often: bool, net: bool) -> None:
        """Say taxes, perhaps others than before, and have money kept, perhaps too little, to be taken once or often."""
        write, now, order, id = self.store.database.write, self.now, self.of(self.orders, index), self.new_id()
        terms = BillingTerms(prices="net" if net else "gross", invoices="on_shipment" if often else "by_call")
        write(lambda tx: put_billing(tx, terms, now))
        taxes = OrderTaxed(**self.about(), order=order, carriage_cents=carriage, taxes=(
            TaxLine(line=1, rate=2100, tax_cents=cents // 5), TaxLine(line=0, rate=900, tax_cents=carriage // 9),
        ))  # fmt: skip
        self.do(lambda: write(lambda tx: state_taxes(tx, taxes)))
        self.do(
            lambda: write(
                lambda tx: payments.want(tx, now, id, order, "once" if not often else "often", "sealed", cents)
            )
        )

    @rule(ends=st.lists(st.sampled_from(ENDS), min_size=2, max_size=12),
          hours=st.integers(0, 30))  # fmt: skip
    def settle_money(self, ends: list[str], hours: int) -> None:
        """Bill what the log says, let what is kept too long expire, and ask providers, who answer, refuse or are silent."""
        write = self.store.database.write
        self.last = None  # how a call ends is no fact
        self.now += hours * 60 * MINUTE
        at = self.now
        while write(lambda tx: follow(tx, at)):
            pass
        write(lambda tx: payments.lose(tx, at))
        write(lambda tx: payments.expire(tx, at))
        for end in ends:  # what is asked first is answered first
            with self.store.database.read() as tx:
                found = payments.waiting(tx, at)
            for step in found[:1]:
                write(lambda tx, step=step: payments.take(tx, at, step))
                if end != "asleep":
                    write(lambda tx, step=step, end=end: self.told(tx, step, end))

    def told(self, tx: Tx, step: payments.Step, end: str) -> None:
        """How a call to a provider ended; again, nothing more happens."""
        at = self.now
        if end == "unanswered":
            payments.unanswered(tx, at, step)
        elif end != "done":
            payments.refused(tx, at, step, end)
        elif step.kind == "authorise":
            often = payments.get(tx, step.payment).provider == "often"
            payments.authorised(tx, at, step, step.id, at + 48 * 60 * MINUTE, often)
        else:
            act = {"capture": payments.captured, "void": payments.voided, "refund": payments.refunded}[step.kind]
            before = act(tx, at, step)
            assert act(tx, at, step) == before

    @rule(index=which, done=st.booleans())
    def settle_lost(self, index: int, done: bool) -> None:
        """Somebody says how a call ended that no provider answered."""
        with self.store.database.read() as tx:
            lost = tx.all("SELECT s.id, o.id FROM payment_step s JOIN payment p ON p.no = s.payment_no "
                          "JOIN orders o ON o.no = p.order_no WHERE s.state = 'lost' ORDER BY s.no")  # fmt: skip
        if lost:
            step, order = lost[index % len(lost)]
            fact = PaymentSettled(**self.about(), order=order, step=step, done=done, reference=step)
            self.do(lambda: self.store.database.write(lambda tx: payments.end(tx, fact)))

    # --- what holds all the time --------------------------------------------------------------------------------

    @precondition(lambda self: self.last is not None)
    @rule()
    def again(self) -> None:
        """The same fact again has no second effect."""
        assert self.last is not None
        before = self.movements()
        self.last()
        assert self.movements() == before

    @invariant()
    def books_balance(self) -> None:
        Shop.checked += 1
        assert self.store.fsck() == []


def run(make_url: Callable[[], str], examples: int, steps: int) -> int:
    """Let so many shops have so many steps each; says how many steps there were."""
    before = Shop.checked
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Shop(make_url()),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Shop.checked - before


def test_the_books_balance_whatever_happens(
    make_url_of_empty: Callable[[], str], record_property: Callable[[str, object], None]
) -> None:
    record_property("steps", run(make_url_of_empty, examples=6, steps=30))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_books_balance_whatever_happens_for_long(
    make_url_of_empty: Callable[[], str], record_property: Callable[[str, object], None]
) -> None:
    record_property("steps", run(make_url_of_empty, examples=400, steps=60))
