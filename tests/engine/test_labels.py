import pytest

from engine import labels
from engine.books import fsck
from engine.consignments import reject, release
from engine.database import Database
from engine.facts import ConsignmentRejected, OrderReleased, RecipientErased, Shipped
from engine.labels import LEASE, MOST_TRIES, Label
from engine.orders import Person, place, remember
from engine.privacy import erase
from engine.shipping import ship
from solver.refusal import Refusal
from tests.engine.shop import NOON, STORE, TEE, open_shop, ordered, settle, supply


@pytest.fixture
def consignment(database: Database) -> str:
    """Two tees that were handed to the store."""
    open_shop(database)
    supply(database, (TEE, STORE, 10))
    (placed,) = database.write(lambda tx: place(tx, [ordered("1", ("tee", 2))]))
    database.write(lambda tx: settle(tx, placed.id, (1, STORE, 2)))
    ((made,),) = database.write(lambda tx: release(tx, [OrderReleased(id="rel", at=NOON, order=placed.id)]))
    return made


def want(database: Database, consignment: str, id: str = "lab1") -> Label:
    return database.write(lambda tx: labels.want(tx, NOON, id, consignment, "own", "post", 200))[0]


def state(database: Database, consignment: str) -> list[str]:
    with database.read() as tx:
        assert fsck(tx) == []
        return [label.state for label in labels.of_consignment(tx, consignment)]


def facts(database: Database) -> list[str]:
    with database.read() as tx:
        return [kind for (kind,) in tx.all("SELECT kind FROM fact WHERE kind LIKE 'Label%' ORDER BY no")]


def due(database: Database, at: int) -> list[str]:
    with database.read() as tx:
        return [label.id for label in labels.waiting(tx, at)]


def test_a_parcel_leaves_under_the_number_of_its_label(database: Database, consignment: str) -> None:
    label = want(database, consignment)
    assert want(database, consignment) == label, "the same id is the same label"
    database.write(lambda tx: labels.made(tx, NOON, label, "T1", 300))
    database.write(lambda tx: labels.made(tx, NOON, label, "T1", 300))
    assert (state(database, consignment), facts(database)) == (["made"], ["LabelMade"])
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=consignment)))
    with database.read() as tx:
        assert tx.value("SELECT tracking FROM consignment") == "T1"


def test_a_parcel_has_one_label_at_a_time(database: Database, consignment: str) -> None:
    label = want(database, consignment)
    with pytest.raises(Refusal) as refused:
        want(database, consignment, "lab2")
    assert refused.value.code == "label_exists"
    database.write(lambda tx: labels.refused(tx, label, "too_heavy"))
    want(database, consignment, "lab2")
    assert state(database, consignment) == ["refused", "wanted"]


def test_a_carrier_is_called_by_one_at_a_time_and_again_where_nobody_heard(
    database: Database, consignment: str
) -> None:
    label = want(database, consignment)
    assert due(database, NOON + LEASE - 1) == [], "whoever asked for it calls"
    assert due(database, NOON + LEASE) == ["lab1"], "and has died, it seems"
    at = NOON + LEASE
    assert database.write(lambda tx: labels.take(tx, at, label))
    assert not database.write(lambda tx: labels.take(tx, at, label))
    database.write(lambda tx: labels.unanswered(tx, at, label))
    waits = []
    for _ in range(2):
        waits.append(next(wait for wait in range(5, 100, 5) if due(database, at + 1000 * wait)))
        at += 1000 * waits[-1]
        assert database.write(lambda tx, at=at: labels.take(tx, at, label))
        database.write(lambda tx, at=at: labels.unanswered(tx, at, label))
    assert waits == [10, 20], "each time twice as long"


def test_a_carrier_that_never_answers_is_told_that_nothing_is_wanted(database: Database, consignment: str) -> None:
    label = want(database, consignment)
    at = NOON
    for _ in range(MOST_TRIES - 1):
        at += 100 * LEASE
        assert database.write(lambda tx, at=at: labels.take(tx, at, label))
        database.write(lambda tx, at=at: labels.unanswered(tx, at, label))
    assert state(database, consignment) == ["unwanted"]
    want(database, consignment, "lab2")
    assert due(database, at + 100 * LEASE) == ["lab2", "lab1"]


def test_the_label_of_what_the_node_refuses_is_cancelled(database: Database, consignment: str) -> None:
    label = want(database, consignment)
    database.write(lambda tx: labels.made(tx, NOON, label, "T1", 300))
    database.write(lambda tx: reject(tx, ConsignmentRejected(id="n", at=NOON, consignment=consignment)))
    assert due(database, NOON) == ["lab1"]
    database.write(lambda tx: labels.cancelled(tx, NOON, label))
    assert (state(database, consignment), facts(database)) == (["cancelled"], ["LabelMade", "LabelCancelled"])


def test_a_label_that_is_made_too_late_is_cancelled(database: Database, consignment: str) -> None:
    """The consignment went while its carrier was thinking."""
    label = want(database, consignment)
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=consignment)))
    assert due(database, NOON) == []
    now = database.write(lambda tx: labels.made(tx, NOON, label, "T1", 300))
    assert (now.state, now.tracking, due(database, NOON)) == ("unwanted", "T1", ["lab1"])
    assert facts(database) == []


def test_a_label_is_cancelled_before_the_parcel_leaves(database: Database, consignment: str) -> None:
    label = want(database, consignment)
    database.write(lambda tx: labels.made(tx, NOON, label, "T1", 300))
    database.write(lambda tx: labels.unwant(tx, NOON, consignment))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: labels.unwant(tx, NOON, consignment))
    assert refused.value.code == "no_label"
    again = want(database, consignment, "lab2")
    database.write(lambda tx: labels.made(tx, NOON, again, "T2", 300))
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=consignment)))
    with pytest.raises(Refusal) as refused:
        database.write(lambda tx: labels.unwant(tx, NOON, consignment))
    assert refused.value.code == "wrong_state"


def test_what_is_collected_where_it_is_packed_needs_no_label(database: Database, consignment: str) -> None:
    database.write(lambda tx: tx.run("UPDATE consignment SET collect_no = node_no"))
    with pytest.raises(Refusal) as refused:
        want(database, consignment)
    assert refused.value.code == "needs_no_label"


def test_the_carrier_is_asked_where_what_left_is(database: Database, consignment: str) -> None:
    label = want(database, consignment)
    database.write(lambda tx: labels.made(tx, NOON, label, "T1", 300))

    def asked(at: int, *carriers: str) -> list[str]:
        with database.read() as tx:
            return [one.id for one in labels.to_look_after(tx, at, list(carriers))]

    assert asked(NOON + 1, "own") == []
    database.write(lambda tx: ship(tx, Shipped(id="s", at=NOON, consignment=consignment)))
    assert (asked(NOON + 1, "own"), asked(NOON + 1, "other"), asked(NOON + 1)) == (["lab1"], [], [])
    database.write(lambda tx: labels.looked_after(tx, NOON + 1, label))
    assert (asked(NOON + 1, "own"), asked(NOON + 2, "own")) == ([], ["lab1"])


def test_a_parcel_to_somebody_who_was_erased_gets_no_label(database: Database) -> None:
    open_shop(database)
    supply(database, (TEE, STORE, 10))
    database.write(lambda tx: remember(tx, [Person("ann", "Ann", "1 Road", None)], NOON))
    (placed,) = database.write(lambda tx: place(tx, [ordered("1", ("tee", 2), recipient="ann")]))
    database.write(lambda tx: settle(tx, placed.id, (1, STORE, 2)))
    ((made,),) = database.write(lambda tx: release(tx, [OrderReleased(id="rel", at=NOON, order=placed.id)]))
    database.write(lambda tx: erase(tx, RecipientErased(id="gone", at=NOON, recipient="ann")))
    with pytest.raises(Refusal, match="no address is kept") as refused:
        want(database, made)
    assert refused.value.code == "recipient_erased"
