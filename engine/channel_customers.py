"""Customers of channels who are to be forgotten, or ask what is known of them."""

from collections.abc import Iterable, Sequence
from functools import partial

from engine.channel_issues import DATA_ASKED, TO_FORGET, end_issues, raise_issues
from engine.channel_said import DataAsked, Heard, ToForget
from engine.connections import Connection, get_connection
from engine.database import Database, Rows, Tx
from engine.facts import RecipientErased, short_id
from engine.privacy import TOGETHER, erase_all
from solver.refusal import Refusal

_SHOP = "shop"
"""What an issue is about that is about no order."""
_SOON = "the customer is to be forgotten, and is by the clock, once no job has anything about them to do"
_EVERYBODY = (
    "whoever ordered there is to be forgotten, and is by the clock, each once nothing is to be sent to them any more"
)


def forget_who_ordered(tx: Tx, connection: Connection, said: ToForget, at: int) -> Heard:
    """Forget who received these orders; who cannot be forgotten yet is later, by the clock (`forget_customers`)."""
    known = _recipients_of(tx, connection, said.orders)
    refused = isinstance(_try_to_erase(tx, connection, [person for person, _ in known], at), Refusal)
    later = [order for _, order in known] if refused else []
    count = forget_later(tx, connection.id, later, at, everybody=said.everybody)
    return Heard("issue" if count else "applied" if known else "unchanged", None, count)


def forget_later(tx: Tx, connection: str, orders: Sequence[str], at: int, *, everybody: bool) -> int:
    """Keep that people are to be forgotten; how many issues that is."""
    for order in orders:
        raise_issues(tx, connection, order, [(TO_FORGET, "recipient", _SOON)], at)
    if everybody:
        raise_issues(tx, connection, _SHOP, [(TO_FORGET, "recipients", _EVERYBODY)], at)
    return len(orders) + everybody


def note_data_asked(tx: Tx, connection: Connection, said: DataAsked, at: int) -> Heard:
    """Have people answer what is known of a customer."""
    known = _recipients_of(tx, connection, said.orders)
    for person, order in known:
        told = f"the customer asks what is known of them: `allot privacy export {person}` is the answer"
        raise_issues(tx, connection.id, order, [(DATA_ASKED, "recipient", told)], at)
    return Heard("issue" if known else "unchanged", None, len(known))


def forget_who_never_ordered(tx: Tx, connection: Connection, orders: Sequence[str], at: int) -> bool:
    """Forget who was to receive orders that never came to be ours; says whether that can be done yet."""
    people = [person for person, _ in _recipients_of(tx, connection, orders)]
    return not isinstance(_try_to_erase(tx, connection, people, at), Refusal)


def _recipients_of(tx: Tx, connection: Connection, orders: Iterable[str]) -> list[tuple[str, str]]:
    """Who received some orders, of those that are not forgotten yet: our id of them, and the order."""
    ordered = {recipient_id(connection, order): order for order in orders}
    if not ordered:
        return []
    found = tx.all("SELECT r.id FROM {rows} JOIN recipient r ON r.id = rows.id WHERE NOT r.erased ORDER BY r.id",
                   Rows(id=sorted(ordered)))  # fmt: skip
    return [(id, ordered[id]) for (id,) in found]


def _try_to_erase(tx: Tx, connection: Connection, people: Sequence[str], at: int) -> int | Refusal:
    """Forget some people, or say why that cannot be done yet."""
    facts = [
        RecipientErased(id=short_id("chn", connection.id, "erased", person), at=at, recipient=person)
        for person in people
    ]
    return tx.attempt(lambda: erase_all(tx, facts, connection.id))


def forget_customers(database: Database, at: int) -> int:
    """Forget whom connections want to be forgotten and who could not be so far, some in each transaction; says how many."""
    with database.read() as tx:
        found = tx.all("SELECT connection, external_id, place, at FROM channel_issue WHERE code = :code AND state = 'open' "
                       "ORDER BY no", code=TO_FORGET)  # fmt: skip
    count = 0
    for id, order, place, asked_at in found:
        with database.read() as tx:
            connection = get_connection(tx, id)
            everybody = order == _SHOP
            people = _recipients_of(tx, connection, _orders_of(tx, connection, asked_at) if everybody else [order])
            awaiting = _awaiting(tx, [person for person, _ in people]) if everybody else set()
        left, free = len(awaiting), [person for person, _ in people if person not in awaiting]
        for start in range(0, len(free), TOGETHER):
            some = free[start : start + TOGETHER]
            done = database.write(partial(_try_to_erase, connection=connection, people=some, at=at))
            if isinstance(done, Refusal):
                left += len(some)
            else:
                count += done
        if not left:
            database.write(partial(end_issues, connection=id, external_id=order, code=TO_FORGET, place=place, at=at))
    return count


def _orders_of(tx: Tx, connection: Connection, before: int) -> list[str]:
    """What a connection calls its orders, those that were placed before then."""
    found = tx.all(
        "SELECT external_id FROM orders WHERE channel = :channel AND placed_at <= :before "
        "UNION SELECT external_id FROM channel_order WHERE connection = :connection AND order_no IS NULL",
        channel=connection.channel, before=before, connection=connection.id,
    )  # fmt: skip
    return [id for (id,) in found]


def _awaiting(tx: Tx, people: Sequence[str]) -> set[str]:
    """Those of whose orders some units are still to be sent. What has left may never be said to have arrived: it counts as done."""
    if not people:
        return set()
    found = tx.all(
        "SELECT DISTINCT o.recipient FROM {rows} JOIN orders o ON o.recipient = rows.id "
        "WHERE o.open + o.allocated + o.released > 0",
        Rows(id=people),
    )
    return {person for (person,) in found}


def recipient_id(connection: Connection, external_id: str) -> str:
    """Our id of who receives an order."""
    return short_id("rcp", connection.channel, external_id)
