"""Promise: what an order would get, by service, store and date, is what it gets when it is placed, and asking changes nothing."""

import json

import pytest

from engine.capture import capture
from engine.catalogue import read_catalogue
from engine.database import Database
from engine.facts import OrderedLine
from engine.promise import Offer, Wanted, promise, promise_all
from solver.refusal import Refusal
from tests.engine.town import (
    AMSTERDAM,
    DELFT,
    MUG,
    NOON,
    POT,
    ROTTERDAM,
    SET,
    TEE,
    TODAY,
    UTRECHT,
    VENLO,
    claims,
    found_town,
    order,
    receive,
)


@pytest.fixture
def town(database: Database) -> Database:
    found_town(database, venlo=5, utrecht=2)
    return database


def wanted(*lines: tuple[str, int], **more: object) -> Wanted:
    given = {"channel": "web", "place": AMSTERDAM, **more}
    return Wanted(lines=tuple(OrderedLine(sku=sku, qty=qty) for sku, qty in lines), **given)  # type: ignore[arg-type]


def ask(town: Database, one: Wanted) -> list[Offer]:
    with town.read() as tx:
        return promise(tx, read_catalogue(tx, NOON), one, NOON)


def ways(offers: list[Offer]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.service, one.store) for one in offers]


def test_every_way_is_offered_the_cheapest_first(town: Database) -> None:
    offers = ask(town, wanted((TEE, 2)))
    assert {*ways(offers)} == {
        ("delivery", "", ""), ("service", "next", ""), ("service", "slow", ""), ("pickup", "", UTRECHT),
        ("pickup", "", DELFT),
    }  # fmt: skip
    assert [one.cost_cents for one in offers] == sorted(one.cost_cents for one in offers)
    days = {(one.kind, one.service): one.day for one in offers}
    assert days["service", "next"] == TODAY + 1
    assert days["service", "slow"] == TODAY + 3


@pytest.mark.parametrize("lines", [((TEE, 2),), ((TEE, 6),), ((TEE, 1), (MUG, 3)), ((SET, 1), (TEE, 1))])
def test_what_is_promised_is_what_is_allocated(town: Database, lines: tuple[tuple[str, int], ...]) -> None:
    for node in (VENLO, DELFT):
        receive(town, 4, node=node, sku=MUG)
        receive(town, 2, node=node, sku=POT)
    promised = next(one for one in ask(town, wanted(*lines)) if one.kind == "delivery")
    [one] = capture(town, [order(*lines)], NOON)
    with town.read() as tx:
        bill = json.loads(tx.value("SELECT body FROM decision"))["bill"]
        parcels = tx.all(
            "SELECT n.id, p.service, p.arrives_day FROM parcel p JOIN node n ON n.no = p.node_no ORDER BY n.id"
        )
    assert [(p.node, p.service, p.arrives_day) for p in promised.parcels] == parcels
    assert promised.cost_cents == bill["carriage_cents"] + bill["handling_cents"]
    assert promised.complete == (one.open == 0)


def test_asking_changes_nothing(town: Database) -> None:
    before = ask(town, wanted((TEE, 7)))
    assert ask(town, wanted((TEE, 7))) == before
    assert claims(town) == []
    with town.read() as tx:
        assert tx.value("SELECT COUNT(*) FROM orders") == 0


def test_many_that_ask_at_once_each_get_what_they_would_get_alone(town: Database) -> None:
    questions = [
        wanted((TEE, 7)), wanted((TEE, 1), place=ROTTERDAM), wanted((MUG, 1)), wanted((TEE, 2), place=None, pickup=(DELFT,)),
        wanted((TEE, 6), max_parcels=1),
    ]  # fmt: skip
    with town.read() as tx:
        assert promise_all(tx, read_catalogue(tx, NOON), questions, NOON) == [ask(town, one) for one in questions]


def test_one_that_cannot_be_answered_holds_up_no_other(town: Database) -> None:
    questions = [wanted(("GHOST", 1)), wanted((TEE, 1)), wanted((TEE, 1), channel="moon"), wanted((TEE, 1), place=None)]
    with town.read() as tx:
        answers = promise_all(tx, read_catalogue(tx, NOON), questions, NOON)
    refused = [(one.code, one.place) for one in answers if isinstance(one, Refusal)]
    assert refused == [("unknown_sku", "lines[0].sku"), ("unknown_channel", "channel"), ("no_destination", "place")]
    assert answers[1] == ask(town, wanted((TEE, 1)))


def test_a_node_where_nobody_collects_is_refused_as_it_is_for_an_order(town: Database) -> None:
    asked = {"place": None, "pickup": (DELFT, VENLO)}
    with pytest.raises(Refusal) as refusal:
        ask(town, wanted((TEE, 1), **asked))
    [captured] = capture(town, [order((TEE, 1), **asked)], NOON)
    assert (refusal.value.code, refusal.value.place) == (captured.placed.code, captured.placed.place)
    assert refusal.value.code == "node_does_not_collect"


def test_what_is_there_too_late_is_not_offered(town: Database) -> None:
    assert {one.day for one in ask(town, wanted((TEE, 1), day=TODAY + 1))} <= {TODAY, TODAY + 1}
    assert ask(town, wanted((TEE, 1), day=TODAY - 1)) == []


def test_what_is_missing_is_said_by_line(town: Database) -> None:
    offer = next(one for one in ask(town, wanted((TEE, 9), (MUG, 1))) if one.kind == "delivery")
    assert (offer.complete, offer.missing, offer.missing_day) == (False, {1: 2, 2: 1}, None)
    assert sum(parcel.units for parcel in offer.parcels) == 7


def test_nothing_is_offered_of_what_nobody_has(town: Database) -> None:
    assert ask(town, wanted((POT, 1))) == []
