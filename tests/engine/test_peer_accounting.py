"""Cases of accounting that were recorded from other systems, told by our ledger.

They come in a folder that is handed round beside a checkout. Quantities are scaled to whole units. What another system calls a
reservation is a hold here, its threshold is safety stock, and a floor below zero (backorders up to a limit) is an allotment. Where
ours differs on purpose, the test says how.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any

import pytest

from engine.consignments import release
from engine.database import Database, Tx
from engine.facts import (
    ChannelStockSet,
    HeldUnits,
    HoldPlaced,
    LineUnits,
    NodePaused,
    OrderCancelled,
    OrderedLine,
    OrderPlaced,
    OrderReleased,
    Place,
    ReturnedUnits,
    ReturnReceived,
    SafetySet,
    Shipped,
    StockCounted,
    StockReceived,
    StockSetAside,
)
from engine.orders import Placed
from engine.returns import take_back
from engine.shipping import ship
from engine.store import Store
from solver.refusal import Refusal
from tests.engine.shop import MINUTE, NOON, WEEK, numbers_of, settle

CASES = Path(__file__).parent.parent.parent.parent / "shared" / "cases" / "peer_cases.json"
NOT_OURS = {
    "PC022": "the least quantity of a sale is a rule of the shop that sends orders, not of stock",
    "PC024": "so are quantities by the dozen",
}


class World:
    """The stock of a case: its locations, SKUs, and one channel."""

    def __init__(self, database: Database, case: dict[str, Any], *, backorder: bool = False) -> None:
        self.store = Store(database)
        self.scale = scale_of(case)
        self.case = case
        self.count = 0
        self.nodes = list(case["stock"])
        self.skus = sorted({sku for held in case["stock"].values() for sku in held})
        database.write(lambda tx: self._furnish(tx, backorder))
        for node, held in case["stock"].items():
            for sku, qty in held.items():
                if self.units(qty) > 0:
                    self.store.record([StockReceived(**self.about(), sku=sku, node=node, units=self.units(qty))])

    def _furnish(self, tx: Tx, backorder: bool) -> None:
        tx.run("INSERT INTO calendar (id, open_weekdays, closed) VALUES ('daily', :week, '[]')", week=WEEK)
        tx.run("INSERT INTO channel (id, rules) VALUES ('web', '[]')")
        for node in self.nodes:
            tx.run(
                "INSERT INTO node (id, kind, lat, lon, parcel_cents, line_cents, unit_cents, ready_days, calendar, "
                "cut_off_minute, tags) VALUES (:id, 'warehouse', 0, 0, 0, 0, 0, 0, 'daily', 0, '[]')", id=node,
            )  # fmt: skip
        for sku in self.skus:
            tx.run(
                "INSERT INTO sku (id, weight_g, requires, backorder) VALUES (:id, 1, '[]', :backorder)",
                id=sku,
                backorder=backorder,
            )

    def units(self, qty: float) -> int:
        """A quantity in whole units."""
        scaled = Fraction(str(qty)) * self.scale
        assert scaled.denominator == 1
        return int(scaled)

    def about(self) -> dict[str, Any]:
        self.count += 1
        return {"id": f"f{self.count}", "at": NOON}

    def hold(
        self, sku: str, qty: float, *, node: str | None = None, hold: str | None = None, minutes: int = 10
    ) -> bool:
        """Whether so much can be held."""
        about = self.about()
        units = (HeldUnits(sku=sku, units=self.units(qty), node=node),)
        fact = HoldPlaced(id=hold or about["id"], at=NOON, channel="web", until=NOON + minutes * MINUTE, units=units)
        (answer,) = self.store.hold([fact])
        assert answer.code in ("", "not_enough_stock")
        return answer.outcome in ("new", "seen")

    def can_supply(self, sku: str, qty: float) -> bool:
        """Whether an order for so much is taken, without one being left."""
        answer = self.order((sku, qty))
        if answer.outcome == "new":
            self.store.change(OrderCancelled(**self.about(), order=answer.id))
        assert answer.code in ("", "not_enough_stock")
        return answer.outcome == "new"

    def order(self, *lines: tuple[str, float]) -> Placed:
        external_id = self.about()["id"]
        fact = OrderPlaced(
            at=NOON, channel="web", external_id=external_id, place=Place(lat=0, lon=0),
            lines=tuple(OrderedLine(sku=sku, qty=self.units(qty)) for sku, qty in lines),
        )  # fmt: skip
        (answer,) = self.store.place([fact])
        return answer

    def allocate(self, order: str, *entries: tuple[int, str, float]) -> None:
        rows = [(line, self.nodes.index(node) + 1, self.units(qty)) for line, node, qty in entries]
        self.store.database.write(lambda tx: settle(tx, order, *rows))

    def ship(self, order: str) -> list[str]:
        """Everything that is allocated leaves."""
        (made,) = self.store.database.write(lambda tx: release(tx, [OrderReleased(**self.about(), order=order)]))
        for consignment in made:
            fact = Shipped(**self.about(), consignment=consignment)
            self.store.database.write(lambda tx, f=fact: ship(tx, f))
        return made

    def allot(self, sku: str, qty: float) -> None:
        units = self.units(qty)
        self.store.record([ChannelStockSet(**self.about(), channel="web", sku=sku, allotment=units)])

    def stock(self, node: str, sku: str) -> tuple[int, int]:
        """On hand and reserved."""
        with self.store.database.read() as tx:
            found = tx.first(
                "SELECT k.on_hand, k.reserved FROM stock k JOIN sku s ON s.no = k.sku_no JOIN node n ON n.no = k.node_no "
                "WHERE s.id = :sku AND n.id = :node", sku=sku, node=node,
            )  # fmt: skip
        return (0, 0) if found is None else (found[0], found[1])

    def reserved(self, sku: str) -> int:
        return sum(self.stock(node, sku)[1] for node in self.nodes)

    def check(self) -> None:
        assert self.store.fsck() == []


def scale_of(case: dict[str, Any]) -> int:
    """By what quantities are multiplied, so that all are whole."""

    def numbers(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [n for one in value.values() for n in numbers(one)]
        if isinstance(value, list):
            return [n for one in value for n in numbers(one)]
        return [value] if isinstance(value, float) else []

    parts = (case["stock"], case["order"], case["settings"], case["expected"])
    return lcm(1, *(Fraction(str(n)).denominator for part in parts for n in numbers(part)))


def pool(database: Database, case: dict[str, Any], name: str) -> World:
    """A world of only those locations that a pool has, with its closed ones paused and flagged items set aside."""
    settings = case["settings"]
    nodes = settings["pools_by_priority"][name] if "pools_by_priority" in settings else list(case["stock"])
    skus = {sku: 0 for held in case["stock"].values() for sku in held}
    stock = {node: skus | case["stock"][node] for node in nodes}
    world = World(database, {**case, "stock": stock}, backorder=bool(settings.get("backorders")))
    for node, enabled in settings.get("location_enabled", {}).items():
        if node in nodes and not enabled:
            world.store.record([NodePaused(**world.about(), node=node)])
    for node, sku in settings.get("item_out_of_stock_flag", []):
        on_hand, _ = world.stock(node, sku) if node in nodes else (0, 0)
        if on_hand:
            fact = StockSetAside(**world.about(), sku=sku, node=node, units=on_hand, state="quarantined")
            world.store.record([fact])
    return world


def simple(database: Database, case: dict[str, Any], *, backorder: bool = False) -> World:
    return World(database, case, backorder=backorder)


Fresh = Callable[[], Database]


def salable_by_pool(fresh: Fresh, case: dict[str, Any]) -> None:
    for sku, name, qty in case["expected"]["salable"]:
        world = pool(fresh(), case, name)
        least = Fraction(1, world.scale)
        assert qty == 0 or world.can_supply(sku, qty), (sku, name)
        assert not world.can_supply(sku, float(Fraction(str(qty)) + least)), (sku, name)


def safety_is_withheld(fresh: Fresh, case: dict[str, Any]) -> None:
    for sku, name, qty, can in case["expected"]["can_sell"]:
        world = pool(fresh(), case, name)
        kept = world.units(case["settings"]["min_qty"])
        world.store.database.write(lambda tx, k=kept: tx.run("UPDATE channel SET safety = :kept", kept=k))
        assert world.can_supply(sku, qty) == can, (sku, name, qty)


def fully_reserved(fresh: Fresh, case: dict[str, Any]) -> None:
    world = pool(fresh(), case, case["settings"]["pool"])
    for sku, qty in case["settings"]["reservations"]:
        assert world.hold(sku, -qty)
    (line,) = case["order"]
    assert world.can_supply(line["sku"], line["qty"]) == case["expected"]["can_sell"]
    world.check()


def bounded_backorder(fresh: Fresh, case: dict[str, Any]) -> None:
    """A floor of -n is an allotment of what is there and n more."""
    world = pool(fresh(), case, case["settings"]["pool"])
    salable = 8.5
    world.allot("SKU-1", salable - case["settings"]["min_qty"])
    for sku, qty in case["settings"]["reservations"]:
        assert world.order((sku, -qty)).outcome == "new"
    expected = case["expected"].get("can_sell", case["expected"].get("is_salable"))
    least = float(Fraction(1, world.scale))
    assert (world.order(("SKU-1", case["order"][0]["qty"] if case["order"] else least)).outcome == "new") == expected
    world.check()


def backorder_below_zero(fresh: Fresh, case: dict[str, Any]) -> None:
    """Stock is never below zero here: what is owed is open on orders."""
    world = World(fresh(), {**case, "stock": {"us-1": {"SKU-2": 0}}}, backorder=True)
    assert world.order(("SKU-2", 15)).outcome == "new"
    assert (world.order(("SKU-2", 1)).outcome == "new") == case["expected"]["can_sell"]
    world.check()


def refused_above_stock(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)
    for node, held in case["settings"].get("allocated", {}).items():
        for sku, qty in held.items():
            assert world.hold(sku, qty, node=node)
    for one in case["settings"].get("reservations", []):
        assert world.hold(one["sku"], one["qty"], node=one["loc"])
    before = world.reserved(case["order"][0]["sku"])
    (line,) = case["order"]
    assert not world.hold(line["sku"], line["qty"])
    assert world.order((line["sku"], line["qty"])).code == "not_enough_stock"
    assert world.reserved(line["sku"]) == before
    world.check()


def backorder_accepts_above_stock(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case, backorder=True)
    answer = world.order(("SKU-2", 6.5))
    world.allocate(answer.id, (1, "us-1", 5))
    assert numbers_of(world.store.database, answer.id)[:2] == (world.units(1.5), world.units(5))
    world.check()


def can_supply(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)
    (sku,) = world.skus
    for node, held in case["settings"].get("reserved", {}).items():
        for held_sku, qty in held.items():
            assert world.hold(held_sku, qty, node=node)
    expected = case["expected"]
    asked = expected.get("can_supply") or [[expected["available"], True], [expected["available"] + 1, False]]
    for qty, can in asked:
        assert world.can_supply(sku, qty) == can, qty


def reservations_subtract(fresh: Fresh, case: dict[str, Any]) -> None:
    """The third: more claimed than there is happens here only for what was handed to a node, and nothing is free then."""
    active, expired, more = case["expected"]["total"]
    world = simple(fresh(), case)
    assert world.hold("v", 4)
    assert [world.can_supply("v", active), world.can_supply("v", active + 1)] == [True, False]
    world.store.expire(NOON + 10 * MINUTE)
    assert [world.can_supply("v", expired), world.can_supply("v", expired + 1)] == [True, False]
    order = world.order(("v", 5)).id
    world.allocate(order, (1, "L1", 5))
    world.store.release([OrderReleased(**world.about(), order=order)])
    world.store.record([StockCounted(**world.about(), sku="v", node="L1", units=2)])
    assert more == 0
    assert not world.can_supply("v", 1)
    world.check()


def reserving_twice_is_once(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)
    assert [world.hold("v", 3, hold="one"), world.hold("v", 3, hold="one")] == [True, True]
    assert world.reserved("v") == case["expected"]["reserved"]
    world.check()


def time_to_live(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)
    assert world.hold("v", 3, minutes=case["settings"]["ttl_minutes"])
    ends = NOON + case["expected"]["expires_in_s"] * 1000
    assert (world.store.expire(ends - 1).holds, world.reserved("v")) == (0, 3)
    assert (world.store.expire(ends).holds, world.reserved("v")) == (1, 0)


def released_in_part(fresh: Fresh, case: dict[str, Any]) -> None:
    """Of several claims the smallest is given back first, so that a parcel is saved: the total is the same."""
    world = simple(fresh(), case)
    allocated = [(1, node, held["v"]) for node, held in case["settings"]["allocated"].items()]
    order = world.order(("v", sum(qty for *_, qty in allocated))).id
    world.allocate(order, *allocated)
    asked = case["settings"].get("decrease") or [case["settings"]["release"]["v"]]
    for units in asked:
        left = world.reserved("v")
        fact = OrderCancelled(**world.about(), order=order, lines=(LineUnits(line=1, units=units),))
        if units <= left:
            world.store.change(fact)
        else:  # nobody takes back more than there is; everything is what they mean
            with pytest.raises(Refusal, match="can be cancelled"):
                world.store.change(fact)
            world.store.change(OrderCancelled(**world.about(), order=order))
    after = case["expected"]["allocated_after"]
    expected = after[-1] if isinstance(after, list) else sum(held["v"] for held in after.values())
    assert world.reserved("v") == expected
    assert sum(world.stock(node, "v")[0] for node in world.nodes) == sum(h["v"] for h in case["stock"].values())
    world.check()


def life_of_an_order(fresh: Fresh, case: dict[str, Any]) -> None:
    """What was shipped is not cancelled here: it comes back as a return."""
    world = simple(fresh(), case)
    order = world.order(("T1", 2), ("T2", 2)).id
    world.allocate(order, (1, "L1", 2), (2, "L2", 2))
    world.store.change(OrderCancelled(**world.about(), order=order, lines=(LineUnits(line=2, units=1),)))
    cancelled, fulfilled, returned = case["expected"]["after_steps"]
    assert world.stock("L2", "T2")[1] == cancelled["allocated"]["L2"]["T2"]
    made = world.ship(order)
    assert {n: {s: world.stock(n, s)[0] for s in world.skus} for n in world.nodes} == fulfilled["on_hand"]
    for line, sku, node, units in ((1, "T1", "L1", 2), (2, "T2", "L2", 1)):
        consignment = made[world.nodes.index(node)]
        fact = ReturnReceived(**world.about(), consignment=consignment,
                              units=(ReturnedUnits(line=line, sku=sku, units=units, to="stock"),))  # fmt: skip
        world.store.database.write(lambda tx, f=fact: take_back(tx, f))
    assert {n: {s: world.stock(n, s)[0] for s in world.skus} for n in world.nodes} == returned["on_hand"]
    assert world.reserved("T1") == world.reserved("T2") == 0
    world.check()


def threshold_is_kept(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)
    kept = case["settings"]["threshold"]
    world.store.record([SafetySet(**world.about(), sku="v", node="L", sell=kept, route=0)])
    answer = world.order(("v", 2))
    assert answer.code == "not_enough_stock"
    assert answer.problem.startswith(f"{case['expected']['quantityAvailable']} units")
    assert world.order(("v", case["expected"]["line_qty"])).outcome == "new"


def threshold_below_zero(fresh: Fresh, case: dict[str, Any]) -> None:
    """Only what is there is allocated; the rest is open."""
    world = simple(fresh(), case, backorder=True)
    world.allot("v", 3 - case["settings"]["threshold"])
    answer = world.order(("v", 8))
    assert answer.outcome == "new"
    assert world.order(("v", 1)).code == "allotment_sold_out"
    world.allocate(answer.id, (1, "L", 3))
    assert numbers_of(world.store.database, answer.id)[:2] == (5, 3)
    assert world.stock("L", "v")[0] == case["expected"]["on_hand_after"]


def fulfilled_as_stock_comes(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case, backorder=True)
    order = world.order(("v", 8)).id
    with pytest.raises(Refusal) as refused:
        world.allocate(order, (1, "L", 8))
    assert refused.value.code == "not_enough_stock"
    on_hand = [world.stock("L", "v")[0]]
    world.allocate(order, (1, "L", 3))
    world.ship(order)
    on_hand.append(world.stock("L", "v")[0])
    world.store.record([StockCounted(**world.about(), sku="v", node="L", units=10)])
    on_hand.append(world.stock("L", "v")[0])
    world.allocate(order, (1, "L", 5))
    world.ship(order)
    on_hand.append(world.stock("L", "v")[0])
    assert on_hand == case["expected"]["on_hand"]
    assert numbers_of(world.store.database, order) == (0, 0, 0, 8, 0, 0, 0)
    world.check()


def one_unit_for_two(fresh: Fresh, case: dict[str, Any]) -> None:
    """At once: one gets it, and the other one is told so."""
    world = simple(fresh(), case)
    (sku,) = world.skus
    with ThreadPoolExecutor(2) as clients:
        codes = sorted(answer.code for answer in clients.map(lambda _: world.order((sku, 1)), range(2)))
    assert codes == ["", "not_enough_stock"]
    held = simple(fresh(), case)
    with ThreadPoolExecutor(2) as clients:
        assert sorted(clients.map(lambda i: held.hold(sku, 1, hold=f"cart{i}"), range(2))) == [False, True]
    assert held.reserved(sku) == 1
    world.check()
    held.check()


def nothing_beyond_stock_but_backorders(fresh: Fresh, case: dict[str, Any]) -> None:
    """A hold is of units that are there, always; what is sold beyond them is open on an order and reserves nothing."""
    world = simple(fresh(), case)
    assert not world.hold("i", 3, node="loc1")
    assert world.reserved("i") == case["expected"]["reserved_after"][0]
    beyond = simple(fresh(), case, backorder=True)
    answer = beyond.order(("i", 5))
    assert numbers_of(beyond.store.database, answer.id)[0] == 5
    beyond.check()


def alternating_orders_do_not_lock_each_other(fresh: Fresh, case: dict[str, Any]) -> None:
    stock = {"F": dict.fromkeys(case["stock"]["F"], 600)}
    world = World(fresh(), {**case, "stock": stock})
    with ThreadPoolExecutor(5) as clients:
        answers = list(clients.map(lambda one: world.order(*map(tuple, one["lines"])), case["order"] * 2))
    assert [answer.code for answer in answers] == [""] * 10
    for sku in world.skus:
        assert not world.can_supply(sku, 1)
    world.check()


def shared_by_two(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)
    for one in case["order"]:
        answer = world.order((one["sku"], one["qty"]))
        world.allocate(answer.id, (1, "W", one["qty"]))
    assert world.stock("W", "i") == (10, 10)
    world.check()


def another_cart_is_respected(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)
    for one in case["settings"]["reservations"]:
        assert world.hold(one["sku"], one["qty"], node=one["loc"])
    assert world.hold("a", 1)
    assert world.stock("LA", "a")[1] == case["expected"]["should_be"]["alloc"]["LA"]["a"]


def units_add_up(fresh: Fresh, case: dict[str, Any]) -> None:
    """What is held is what was asked for: no unit twice, none left out."""
    world = simple(fresh(), case)
    for line in case["order"]:
        assert world.hold(line["sku"], line["qty"])
        assert world.reserved(line["sku"]) == world.units(line["qty"])
    world.check()


def allocated_and_open_add_up(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case, backorder=True)
    answer = world.order(("a", 3))
    world.allocate(answer.id, (1, "NYC", 1))
    expected = case["expected"]["should_be"]
    assert numbers_of(world.store.database, answer.id)[:2] == (expected["backordered"], expected["on_hand"])


def lines_that_share_a_part(fresh: Fresh, case: dict[str, Any]) -> None:
    world = simple(fresh(), case)

    def bundle(tx: Tx) -> None:
        tx.run("INSERT INTO sku (id, weight_g, requires, is_kit, backorder) VALUES ('bundle', 1, '[]', true, false)")
        tx.run("INSERT INTO kit_part (kit_no, part_no, units) VALUES (2, 1, 2)")

    world.store.database.write(bundle)
    assert world.order(("bundle", 1), ("part", 2)).code == "not_enough_stock"
    both = (HeldUnits(sku="bundle", units=1), HeldUnits(sku="part", units=2))
    (answer,) = world.store.hold([HoldPlaced(**world.about(), channel="web", until=NOON + MINUTE, units=both)])
    assert answer.code == "not_enough_stock"
    assert world.reserved("part") == case["expected"]["reserved"]
    assert world.order(("bundle", 1), ("part", 1)).outcome == "new"


TOLD: dict[str, Callable[[Fresh, dict[str, Any]], None]] = {
    "PC012": salable_by_pool,
    "PC015": safety_is_withheld,
    "PC016": fully_reserved,
    "PC017": bounded_backorder,
    "PC019": bounded_backorder,
    "PC020": bounded_backorder,
    "PC021": backorder_below_zero,
    "PC026": refused_above_stock,
    "PC027": backorder_accepts_above_stock,
    "PC069": can_supply,
    "PC071": reservations_subtract,
    "PC072": reserving_twice_is_once,
    "PC073": refused_above_stock,
    "PC074": refused_above_stock,
    "PC076": time_to_live,
    "PC108": released_in_part,
    "PC109": released_in_part,
    "PC110": released_in_part,
    "PC114": refused_above_stock,
    "PC117": life_of_an_order,
    "PC119": threshold_is_kept,
    "PC120": threshold_below_zero,
    "PC121": fulfilled_as_stock_comes,
    "PC122": one_unit_for_two,
    "PC125": nothing_beyond_stock_but_backorders,
    "PC126": can_supply,
    "PC127": can_supply,
    "PC134": alternating_orders_do_not_lock_each_other,
    "PC137": shared_by_two,
    # defects of other systems that must not be ours
    "PC055": another_cart_is_respected,
    "PC063": allocated_and_open_add_up,
    "PC094": units_add_up,
    "PC123": units_add_up,
    "PC124": one_unit_for_two,
    "PC129": units_add_up,
    "PC130": units_add_up,
    "PC131": lines_that_share_a_part,
    "PC133": one_unit_for_two,
}


def cases() -> dict[str, dict[str, Any]]:
    if not CASES.exists():
        pytest.skip(f"needs {CASES.name} in a folder beside the project")
    return {case["id"]: case for case in json.loads(CASES.read_text())["cases"]}


@pytest.fixture
def fresh(make_url_of_empty: Callable[[], str]) -> Any:
    """A function that opens a database of its own each time."""
    opened: list[Database] = []

    def another() -> Database:
        opened.append(Database(make_url_of_empty()))
        return opened[-1]

    yield another
    for database in opened:
        database.close()


@pytest.mark.parametrize("name", list(TOLD))
def test_a_case_of_accounting_comes_out_as_recorded(
    fresh: Fresh, name: str, record_property: Callable[[str, object], None]
) -> None:
    TOLD[name](fresh, cases()[name])
    record_property("cases", name)


def test_every_case_of_accounting_is_told_or_said_not_to_be_ours() -> None:
    of_accounting = {name for name, case in cases().items() if case.get("policy") is None}
    assert of_accounting <= {*TOLD, *NOT_OURS}
    assert not {*TOLD} & {*NOT_OURS}
