"""Carriers are called outside of transactions, once for each label, whatever goes wrong on the way."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

from api.carriers import CARRIERS
from api.carriers.calls import LOOK_AGAIN, Asked, Calls
from api.papers import Letters
from engine import labels
from engine.books import fsck
from engine.consignments import reject, release
from engine.database import Database
from engine.entries import ServiceEntry, put_services
from engine.facts import ConsignmentRejected, Delivered, OrderReleased, Shipped
from engine.labels import LEASE, Label
from engine.orders import Person, place, remember
from engine.shipping import ShippingTerms, deliver, put_shipping, ship
from solver.refusal import Refusal
from tests.api.carriers.stand_in import Company, ParcelCo
from tests.engine.shop import DAY, NOON, STORE, TEE, open_shop, ordered, settle, supply


@dataclass
class World:
    """A shop, a carrier that can be told to fail, and a clock that can be moved."""

    database: Database
    consignment: str
    company: Company
    at: int = NOON

    @property
    def calls(self) -> Calls:
        known = {**CARRIERS, "parcelco": lambda _setup: ParcelCo(self.company)}
        return Calls(self.database, lambda: self.at, known)

    def ask(self, id: str = "lab1", carrier: str | None = "parcelco", service: str = "express") -> Label:
        return self.calls.ask(Asked(id, self.consignment, carrier, service))

    def states(self) -> list[str]:
        with self.database.read() as tx:
            assert fsck(tx) == []
            return [label.state for label in labels.of_consignment(tx, self.consignment)]

    def state(self) -> str:
        with self.database.read() as tx:
            return str(tx.value("SELECT state FROM consignment"))


@pytest.fixture
def world(database: Database) -> World:
    open_shop(database)
    card = ServiceEntry(id="post", zone_km=[500.0], steps_g=[150, 5000], cents=[[300, 450]], over_cents_per_kg=[10],
                        transit_days=[2])  # fmt: skip
    database.write(lambda tx: put_services(tx, [card], NOON))
    supply(database, (TEE, STORE, 10))
    database.write(lambda tx: remember(tx, [Person("ann", "Ann Example", "12 High Street", "ann@example.org")], NOON))
    (placed,) = database.write(lambda tx: place(tx, [ordered("1", ("tee", 2), recipient="ann")]))
    database.write(lambda tx: settle(tx, placed.id, (1, STORE, 2)))
    ((made,),) = database.write(lambda tx: release(tx, [OrderReleased(id="rel", at=NOON, order=placed.id)]))
    return World(database, made, Company())


@pytest.fixture(autouse=True)
def told() -> Iterator[list[str]]:
    """What is logged."""
    lines: list[str] = []

    def keep(_logger: object, _method: str, event: dict[str, object]) -> str:
        lines.append(repr(event))
        raise structlog.DropEvent

    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    yield lines
    structlog.reset_defaults()


def test_the_carrier_of_a_service_is_called_at_once(world: World) -> None:
    label = world.ask(carrier=None, service="post")
    assert (label.state, label.carrier, label.cents, label.grams) == ("made", "own", 450, 200)
    world.database.write(lambda tx: labels.unwant(tx, NOON, world.consignment))
    world.database.write(lambda tx: put_shipping(tx, ShippingTerms(carriers={"express": "parcelco"}), NOON))
    label = world.ask("lab2", carrier=None)
    assert (label.state, label.carrier, label.tracking) == ("made", "parcelco", "PC00000000")


def test_a_request_that_comes_twice_makes_one_label(world: World) -> None:
    assert world.ask() == world.ask()
    assert len(world.company.parcels) == 1


@pytest.mark.parametrize("fails", ["down", "late"])
def test_a_carrier_that_does_not_answer_is_asked_again_with_the_same_key(
    world: World, told: list[str], fails: str
) -> None:
    """It may have made the label already."""
    world.company.fails = [fails]
    assert world.ask().state == "wanted"
    assert world.calls.settle() == 0, "not yet"
    world.at += LEASE
    assert world.calls.settle() == 1
    assert (world.states(), len(world.company.parcels)) == (["made"], 1)
    assert "NoAnswer" in told[0]


def test_a_carrier_that_we_died_at_is_asked_again(world: World) -> None:
    """After the lease of whoever asked first: the label that it made is ours."""
    world.database.write(lambda tx: labels.want(tx, NOON, "lab1", world.consignment, "parcelco", "express", 200))
    world.company.parcels["lab1"] = {"tracking": "PC1", "price": 400}
    assert world.calls.settle() == 0
    world.at += LEASE
    assert world.calls.settle() == 1
    with world.database.read() as tx:
        label = labels.get(tx, "lab1")
    assert (label.state, label.tracking) == ("made", "PC1")


def test_what_a_carrier_says_of_people_is_neither_kept_nor_logged(world: World, told: list[str]) -> None:
    label = world.ask(service="moped")
    assert (label.state, label.why) == ("refused", "unknown_service")
    world.company.fails = ["down"]
    world.ask("lab2")
    with world.database.read() as tx:
        kept = repr([tx.all("SELECT * FROM label"), tx.all("SELECT * FROM fact")])
    for text in ("Ann", "High Street", "ann@"):
        assert text not in kept
        assert all(text not in line for line in told)


def test_a_label_of_what_the_node_refused_is_cancelled_with_its_carrier(world: World) -> None:
    world.ask()
    world.database.write(lambda tx: reject(tx, ConsignmentRejected(id="n", at=NOON, consignment=world.consignment)))
    world.company.fails = ["down"]
    assert world.calls.settle() == 1
    assert world.states() == ["unwanted"]
    world.at += LEASE
    assert world.calls.settle() == 1
    assert world.states() == ["cancelled"]
    assert world.company.parcels["lab1"]["cancelled"]


def test_a_label_that_nobody_heard_of_is_cancelled_as_well(world: World) -> None:
    """It may be there: the carrier is told by the key alone."""
    world.company.fails = ["late"]
    world.ask()
    world.database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=world.consignment)))
    world.at += LEASE
    world.calls.settle()
    assert world.states() == ["cancelled"]
    assert world.company.parcels["lab1"]["cancelled"]


def test_somebody_cancels_a_label_and_asks_for_another(world: World) -> None:
    world.ask()
    assert world.calls.drop(world.consignment).state == "cancelled"
    assert world.ask("lab2", carrier=None, service="post").state == "made"
    assert world.states() == ["cancelled", "made"]


def test_rates_of_all_carriers_are_asked_for_and_who_is_silent_is_left_out(world: World) -> None:
    assert [(name, one.service, one.cents) for name, one in world.calls.rates(world.consignment)] == [
        ("parcelco", "express", 400), ("own", "post", 450),
    ]  # fmt: skip
    world.company.fails = ["down"]
    assert [name for name, _ in world.calls.rates(world.consignment)] == ["own"]


def test_a_live_carriers_own_paper_is_printed_again(world: World) -> None:
    with pytest.raises(Refusal) as refused:
        world.calls.paper(world.consignment, Letters())
    assert refused.value.code == "no_label"
    world.ask()
    assert world.calls.paper(world.consignment, Letters()) == b"%PDF-1.4 PC00000000"
    for fault in ("down", "odd"):
        world.company.fails = [fault]
        with pytest.raises(Refusal) as refused:
            world.calls.paper(world.consignment, Letters())
        assert refused.value.code == "no_answer"
    assert len(world.company.parcels) == 1


def test_a_carrier_that_is_not_here_is_refused_before_anything_is_written(world: World) -> None:
    with pytest.raises(Refusal) as refused:
        world.ask(carrier="snail")
    assert (refused.value.code, world.states()) == ("unknown_carrier", [])


def test_what_a_carrier_saw_is_written_down_once(world: World) -> None:
    world.ask()
    assert world.calls.look_after() == 0, "it has not left"
    world.database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=world.consignment)))
    world.company.scans = [{"at": NOON + 5, "status": "in_transit"}]
    assert (world.calls.look_after(), world.state()) == (1, "shipped")
    world.company.scans += [{"at": NOON + DAY, "status": "out_for_delivery"}]
    assert world.calls.look_after() == 0, "it was asked a moment ago"
    world.at += DAY
    assert (world.calls.look_after(), world.state()) == (1, "out_for_delivery")
    world.company.scans += [{"at": NOON + DAY + 9, "status": "delivered"}]
    world.at += LOOK_AGAIN + 1
    assert (world.calls.look_after(), world.state()) == (1, "delivered")
    with world.database.read() as tx:
        assert tx.value("SELECT delivered_at FROM consignment") == NOON + DAY + 9
        assert tx.value("SELECT COUNT(*) FROM fact WHERE kind IN ('OutForDelivery', 'Delivered')") == 2
    world.at += DAY
    assert world.calls.look_after() == 0


def test_what_a_carrier_brings_to_a_store_waits_there_until_the_store_says_it_is_collected(world: World) -> None:
    world.ask()
    world.database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = 2"))
    world.database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=world.consignment)))
    early = Delivered(id="d", at=NOON, consignment=world.consignment)
    with pytest.raises(Refusal, match="not ready to be collected"):
        world.database.write(lambda tx: deliver(tx, early))
    world.company.scans = [{"at": NOON + 9, "status": "delivered"}, {"at": NOON + 10, "status": "delivered"}]
    world.at += DAY
    assert (world.calls.look_after(), world.state()) == (1, "ready")
    world.database.write(lambda tx: deliver(tx, early))
    assert world.state() == "delivered"


def test_what_staff_said_first_stays_said(world: World) -> None:
    world.ask()
    world.database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=world.consignment)))
    world.company.scans = [{"at": NOON, "status": "delivered"}]
    world.database.write(lambda tx: deliver(tx, Delivered(id="d", at=NOON + 1, consignment=world.consignment)))
    world.at += DAY
    assert world.calls.look_after() == 0
    assert world.state() == "delivered"


def test_own_parcels_are_not_asked_for(world: World) -> None:
    world.ask(carrier="own", service="post")
    world.database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=world.consignment)))
    world.at += DAY
    assert world.calls.look_after() == 0
