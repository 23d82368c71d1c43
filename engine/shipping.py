"""Shipping: a consignment leaves, whole or in part, and reaches the customer, or is not collected in time.

What leaves is no longer on hand. What waits in a store for its customer has left the books of stock as well; where nobody comes
for it in time it is stock of that store again.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.calendar import MS_PER_DAY
from engine.claims import lock_orders, plan_work
from engine.consignments import AT_NODE, ON_ITS_WAY, Content, Locked, begin, read, set_state, shift, stock_rows
from engine.database import Rows, Tx
from engine.entries import read_setting, write_setting
from engine.facts import (
    Delivered,
    Name,
    Note,
    OutForDelivery,
    PickupLapsed,
    ReadyForPickup,
    Shipped,
    ShippedUnits,
    short_id,
)
from engine.ledger import move, write_facts
from engine.refunds import owe_lapsed
from solver.refusal import Refusal


class ShippingTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How consignments leave, for the whole retailer.

    Attributes
    ----------
    collect_days
        Days for which what is ready waits for its customer.
    sender
        Who sends, as papers name it: lines of text.
    gs1_prefix
        The retailer's GS1 company prefix, which its own parcels are numbered with. The usual one is of those that GS1 keeps
        free for numbers within a company: others do not know them.
    carriers
        Who carries services that are not carried by the retailer's own rate cards: carrier by service.
    """

    collect_days: Annotated[int, Meta(ge=1, le=365)] = 7
    sender: Note = ""
    gs1_prefix: Annotated[str, Meta(pattern=r"^[0-9]{4,10}\Z")] = "0400000"
    carriers: Annotated[dict[Name, Name], Meta(max_length=1000)] = {}


SHIPPING = ShippingTerms()
"""What holds until somebody says something else."""


def put_shipping(tx: Tx, terms: ShippingTerms, at: int, by: str = "") -> int:
    """Write how consignments leave; returns whether it differs from what was there."""
    return write_setting(tx, "shipping", msgspec.to_builtins(terms), at, by)


def read_shipping(tx: Tx) -> ShippingTerms:
    """How consignments leave."""
    return read_setting(tx, "shipping", SHIPPING)


def ship(tx: Tx, fact: Shipped, by: str = "") -> bool:
    """It left, or some units of it did: they are no longer on hand. It is tracked as said, else as its label is.

    Of what leaves in part, the rest is a consignment of its own, at the same node and as far as this one was; its id is made
    from the fact's.

    Raises
    ------
    Refusal
        `unknown_consignment`, `wrong_state`, `unknown_line`, `too_many_units`, `kit_in_parts`, `must_ship_complete`, or
        `too_many_parcels`.
    """
    one = begin(tx, fact, by, AT_NODE)
    if one is None:
        return False
    if fact.units:
        one = _set_apart(tx, one, fact)
    _leave(tx, one, fact.at)
    label = tx.first("SELECT tracking FROM label WHERE consignment_no = :no AND state = 'made'", no=one.no)
    tracking = label[0] if fact.tracking is None and label else fact.tracking
    # nobody can stick on it what is made from now on
    tx.run("UPDATE label SET state = 'unwanted' WHERE consignment_no = :no AND state = 'wanted'", no=one.no)
    set_state(tx, one, "shipped", shipped_at=fact.at, tracking=tracking)
    return True


def send_out(tx: Tx, fact: OutForDelivery, by: str = "") -> bool:
    """It is on its last way; where nobody was at home, it is so again another day.

    Raises
    ------
    Refusal
        `unknown_consignment`, `wrong_state`, or `for_pickup`.
    """
    one = begin(tx, fact, by, ("shipped", "out_for_delivery"))
    if one is None:
        return False
    if one.collect_no is not None:
        raise Refusal("consignment", "it is collected, not delivered", "for_pickup")
    set_state(tx, one, "out_for_delivery")
    return True


def make_ready(tx: Tx, fact: ReadyForPickup, by: str = "") -> bool:
    """It waits for the customer, who collects it where it arrived or where it was packed. What waits already waits longer.

    Raises
    ------
    Refusal
        `unknown_consignment`, `wrong_state`, `not_for_pickup`, or `bad_input`.
    """
    one = begin(tx, fact, by, (*AT_NODE, "shipped", *(["ready"] if fact.until is not None else [])))
    if one is None:
        return False
    if one.collect_no is None:
        raise Refusal("consignment", "it is delivered, not collected", "not_for_pickup")
    until = fact.at + read_shipping(tx).collect_days * MS_PER_DAY if fact.until is None else fact.until
    if until <= fact.at:
        raise Refusal("until", "is over when it begins to wait", "bad_input")
    if one.state in AT_NODE:
        if one.collect_no != one.node_no:
            raise Refusal("consignment", "it has not left for the store where it is collected", "wrong_state")
        _leave(tx, one, fact.at)
        set_state(tx, one, "ready", shipped_at=fact.at, collect_until=until)
    else:
        set_state(tx, one, "ready", collect_until=until)
    return True


def deliver(tx: Tx, fact: Delivered, by: str = "") -> bool:
    """The customer has it. What is collected waits for them first (`make_ready`).

    Raises
    ------
    Refusal
        `unknown_consignment`, `pickup_lapsed`, or `wrong_state`.
    """
    one = begin(tx, fact, by, ON_ITS_WAY)
    if one is None:
        return False
    if one.collect_no is not None and one.state != "ready":
        raise Refusal("consignment", f"it is {one.state}, not ready to be collected", "wrong_state")
    shift(tx, one, _not_back(one), "shipped", "delivered")
    set_state(tx, one, "delivered", delivered_at=fact.at)
    return True


def arrive(tx: Tx, id: str, at: int, consignment: str) -> bool:
    """A carrier says that it is there: with the customer, or in the store where it waits for them. `id` is the fact's.

    Raises
    ------
    Refusal
        As `deliver`, or `make_ready`: it waits already.
    """
    collect_no = tx.value("SELECT MIN(collect_no) FROM consignment WHERE id = :id", id=consignment)
    if collect_no is None:
        return deliver(tx, Delivered(id=id, at=at, consignment=consignment))
    return make_ready(tx, ReadyForPickup(id=id, at=at, consignment=consignment))


def lapse(tx: Tx, fact: PickupLapsed, by: str = "") -> bool:
    """Nobody collected it: what did not come back before is stock of the store that holds it, and counts as returned.

    Raises
    ------
    Refusal
        `unknown_consignment`, or `wrong_state`.
    """
    one = begin(tx, fact, by, ("ready",))
    if one is None:
        return False
    _put_back(tx, fact.at, [one])
    return True


def lapse_pickups(tx: Tx, now: int, limit: int = 100) -> int:
    """Let what waited long enough lapse, and say how much did."""
    due = tx.all(
        "SELECT no, order_no FROM consignment WHERE state = 'ready' AND collect_until <= :now ORDER BY no LIMIT :limit",
        now=now,
        limit=limit,
    )
    lock_orders(tx, [order_no for _, order_no in due])
    found = [read(tx, no) for no, _ in due]
    ended = [
        one for one in found if one.state == "ready" and one.collect_until is not None and one.collect_until <= now
    ]
    write_facts(
        tx, [PickupLapsed(id=short_id("end", one.id, str(one.collect_until)), at=now, consignment=one.id) for one in ended]
    )  # fmt: skip
    _put_back(tx, now, ended)
    return len(ended)


def _leave(tx: Tx, one: Locked, at: int) -> None:
    """Its units are no longer at the node."""
    skus, nodes, units = stock_rows(one)
    less = [-count for count in units]
    move(tx, at, "shipped", one.id, skus, nodes, on_hand=less, reserved=less)
    shift(tx, one, one.line_units(), "released", "shipped")


def _not_back(one: Locked) -> dict[int, int]:
    """Units of the order's lines in it that did not come back whole."""
    back = one.returned()
    return {number: units - back[number] for number, units in one.line_units().items()}


def _put_back(tx: Tx, at: int, ended: Sequence[Locked]) -> None:
    """Units that wait in stores are stock there again, and their price is owed. The orders are locked."""
    held = [(one, content) for one in ended for content in one.contents if content.units > content.returned]
    left = [content.units - content.returned for _, content in held]
    move(
        tx, at, "lapsed", [one.id for one, _ in held], [content.sku_no for _, content in held],
        [one.collect_no for one, _ in held], on_hand=left,
    )  # fmt: skip
    for one in ended:
        owe_lapsed(tx, one, at)
        tx.run("UPDATE consignment_line SET returned = units WHERE consignment_no = :no", no=one.no)
        shift(tx, one, _not_back(one), "shipped", "returned")
        set_state(tx, one, "lapsed", collect_until=min(at, one.collect_until or at))


def _set_apart(tx: Tx, one: Locked, fact: Shipped) -> Locked:
    """Leave only what ships in a consignment; the rest is a new one. The same, where everything ships."""
    takes = _taken(one, fact.units)
    rest = {number: units - takes.get(number, 0) for number, units in one.line_units().items()}
    if not any(rest.values()):
        return one
    _check_more_parcels(tx, one)
    rest_id = short_id("con", fact.id, "rest")
    tx.run(
        "INSERT INTO consignment (id, order_no, node_no, service, collect_no, state, released_at, work_day, arrives_day, "
        "cents) SELECT :id, order_no, node_no, service, collect_no, state, released_at, work_day, arrives_day, 0 "
        "FROM consignment WHERE no = :no",
        id=rest_id, no=one.no,
    )  # fmt: skip
    goes = [content for content in one.contents if rest.get(content.number)]
    columns = Rows(
        number=[content.number for content in goes],
        sku_no=[content.sku_no for content in goes],
        units=[rest[content.number] * content.each for content in goes],
        line_units=[rest[content.number] for content in goes],
    )
    tx.run(
        "INSERT INTO consignment_line (consignment_no, number, sku_no, units, line_units) "
        "SELECT k.no, rows.number, rows.sku_no, rows.units, rows.line_units FROM {rows} JOIN consignment k ON k.id = :id",
        columns,
        id=rest_id,
    )
    tx.run(
        "UPDATE consignment_line SET units = consignment_line.units - rows.units, "
        "line_units = consignment_line.line_units - rows.line_units FROM {rows} "
        "WHERE consignment_line.consignment_no = :no AND consignment_line.number = rows.number "
        "AND consignment_line.sku_no = rows.sku_no",
        columns,
        no=one.no,
    )
    # what was not found stays told where it was looked for
    tx.run("DELETE FROM consignment_line WHERE consignment_no = :no AND units = 0 AND short = 0", no=one.no)
    plan_work(tx, [one.node_no], [one.work_day], [1], [0])
    return read(tx, one.no)


def _taken(one: Locked, units: Sequence[ShippedUnits]) -> dict[int, int]:
    """Units of the order's lines that are named, kits as wholes."""
    contents = {(content.number, content.sku): content for content in one.contents if content.units}
    named: dict[tuple[int, str], int] = defaultdict(int)
    for i, said in enumerate(units):
        content = contents.get((said.line, said.sku))
        if content is None:
            raise Refusal(f"units[{i}].line", f"it holds no {said.sku!r} of line {said.line}", "unknown_line")
        named[said.line, said.sku] += said.units
        if named[said.line, said.sku] > content.units:
            raise Refusal(f"units[{i}].units", f"it holds {content.units} units", "too_many_units")
    return {number: _whole(number, named, contents) for number in dict.fromkeys(number for number, _ in named)}


def _whole(number: int, named: dict[tuple[int, str], int], contents: dict[tuple[int, str], Content]) -> int:
    """Units of a line that named units of its parts make."""
    made = {divmod(named.get(key, 0), content.each) for key, content in contents.items() if key[0] == number}
    whole, left = made.pop()
    if made or left:
        parts = ", ".join(f"{content.each} {content.sku}" for key, content in contents.items() if key[0] == number)
        raise Refusal("units", f"line {number} is a kit of {parts}: it leaves whole or not at all", "kit_in_parts")
    return whole


def _check_more_parcels(tx: Tx, one: Locked) -> None:
    """Refuse one parcel more where the order is to come complete, or in no more than it has."""
    row = tx.first(
        "SELECT o.ship_complete, o.max_parcels, (SELECT COUNT(*) FROM consignment k WHERE k.order_no = o.no "
        "AND k.state <> 'withdrawn') + (SELECT COUNT(*) FROM parcel p WHERE p.order_no = o.no) "
        "FROM orders o WHERE o.no = :no",
        no=one.order_no,
    )
    assert row is not None, "orders are never deleted"
    ship_complete, most, parcels = row
    if ship_complete:
        raise Refusal("units", f"order {one.order!r} is to be shipped complete", "must_ship_complete")
    if most is not None and parcels >= most:
        raise Refusal("units", f"order {one.order!r} may come in {most} parcels, and does already", "too_many_parcels")
