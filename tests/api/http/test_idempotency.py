"""One effect and one answer for a request, however often it is sent."""

import pytest

from api.http import idempotency
from api.http.idempotency import Answered, Asked, Taken
from engine.database import Database


def asked(key: str = "k", request: str = "r", at: int = 1_000, owner: str = "o") -> Asked:
    return Asked(owner, key, request, at, at + 30_000)


def take(database: Database, *wanted: Asked) -> list[Taken]:
    return idempotency.take_all(database, wanted)


ANSWER = Answered(201, {"etag": '"1"'}, '{"a":"é"}'.encode())


def test_of_many_at_once_one_may_answer(database: Database) -> None:
    assert take(database, *[asked()] * 3) == [Taken(mine=True), Taken(), Taken()]
    assert take(database, asked()) == [Taken()]


def test_what_was_answered_is_answered_again_byte_for_byte(database: Database) -> None:
    (one,) = take(database, asked())
    idempotency.finish_all(database, [(asked(), ANSWER)])
    assert one.mine
    assert take(database, asked(at=90_000_000), asked(at=90_000_001)) == [Taken(answered=ANSWER)] * 2


def test_another_request_may_not_use_the_key(database: Database) -> None:
    first, other = take(database, asked(), asked(request="other"))
    assert first.mine
    assert other.differs
    assert not other.mine
    assert take(database, asked(request="other"))[0].differs
    idempotency.finish_all(database, [(asked(), ANSWER)])
    assert take(database, asked(request="other"))[0].differs


def test_keys_of_others_are_other_keys(database: Database) -> None:
    assert [one.mine for one in take(database, asked(), asked(owner="p"), asked(key="l"))] == [True] * 3


def test_a_key_whose_process_died_is_tried_again_when_its_lease_ends(database: Database) -> None:
    take(database, asked(at=1_000))
    assert take(database, asked(at=31_000)) == [Taken()]
    again, late = take(database, asked(at=31_001), asked(at=31_001))
    assert again.mine
    assert not late.mine
    assert take(database, asked(request="other", at=90_000))[0].differs


def test_a_key_that_was_given_up_is_free(database: Database) -> None:
    take(database, asked())
    database.write(lambda tx: idempotency.give_up(tx, asked()))
    assert take(database, asked(request="other"))[0].mine


def test_an_answer_is_kept_once(database: Database) -> None:
    take(database, asked())
    idempotency.finish_all(database, [(asked(), ANSWER)])
    idempotency.finish_all(database, [(asked(), Answered(500, {}, b""))])
    assert take(database, asked())[0].answered == ANSWER


@pytest.mark.parametrize("before", [1_000, 1_001])
def test_answers_are_forgotten_when_they_are_old(database: Database, before: int) -> None:
    take(database, asked(at=1_000))
    assert database.write(lambda tx: idempotency.forget(tx, before)) == before - 1_000
