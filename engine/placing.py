"""Orders are placed: many at once in a handful of statements, each with an answer of its own."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from engine.calendar import MS_PER_DAY
from engine.claims import UNDECIDED
from engine.database import Ask, Rows, Tx, decoded
from engine.facts import MOST_WORTH, OrderPlaced, check_refs, checked, content
from engine.ledger import move, new_facts
from engine.network import Terms
from engine.selling import Sale, Sales, SoldSku, asks_of, count_sold, lock_counted
from solver.refusal import Refusal

TERMS = Terms(
    promise_days=5, late_cents=200, unfilled_cents=1500, unfilled_percent=0, wait_cents_per_day=50,
    cancel_after_days=30, restock_days=3,
)  # fmt: skip
"""What holds until somebody says something else."""

LATE_ARRIVAL = 7 * MS_PER_DAY
"""An order that arrives later than this after it was placed is promised, and sold, as of its arrival."""

ASK_TERMS = Ask("SELECT value FROM setting WHERE name = 'terms'")


@dataclass(frozen=True, slots=True)
class Placed:
    """The answer to one order.

    Attributes
    ----------
    id
        Of the order.
    no
        Its number; none where it was refused.
    outcome
        It is new; it was there already (`seen`); it was there with other content (`conflict`); or it is `refused`.
    code, place, problem
        Why it was refused (or is a conflict), and where in the order.
    """

    id: str
    no: int | None
    outcome: Literal["new", "seen", "conflict", "refused"]
    code: str = ""
    place: str = ""
    problem: str = ""


@dataclass(slots=True)
class _Hold:
    id: str
    channel: str
    state: str
    until: int
    units: dict[tuple[int, int], int]
    """By SKU and node."""
    counted: dict[int, int]
    """By SKU: what counts against the channel's allotment."""


@dataclass(slots=True)
class _Accepted:
    order: OrderPlaced
    payload: bytes
    content: str
    sales: list[Sale]
    tied: list[tuple[int, int, int, int, int]]
    """Line, SKU, node, units and units of the line: what was held for it."""
    converted: list[int]
    """Units of each line that were held for it."""


@dataclass(frozen=True)
class _Known:
    """What orders may refer to."""

    channels: dict[str, tuple[int, bool]]
    """Safety, and whether orders are held for review."""
    collects: dict[str, bool]
    recipients: set[str]
    sales: Sales
    holds: dict[str, _Hold]
    terms: Terms
    now: int | None

    def counted_from(self, order: OrderPlaced) -> int:
        """The moment from which its promise counts, and at which presales and holds are looked at."""
        return order.at if self.now is None or order.at >= self.now - LATE_ARRIVAL else self.now


def place(tx: Tx, orders: Sequence[OrderPlaced], by: str = "", now: int | None = None) -> list[Placed]:
    """Take orders in.

    An order is known by its channel and its id there: the same again is the same order, with other content a conflict. What is not
    refused is open (or allocated as far as a hold was kept for it), and waits for a decision.

    Parameters
    ----------
    by
        The key that sent them.
    now
        Milliseconds, when they arrive; where nothing is said, each arrives when it was placed, as in a history.

    Returns
    -------
    list of Placed
        One answer for each order.
    """
    answers: list[Placed | None] = [None] * len(orders)
    hashes: list[str] = [""] * len(orders)
    payloads: list[bytes] = [b""] * len(orders)
    for i, order in enumerate(orders):
        try:
            payloads[i] = checked(order)
            check_refs(order)
            hashes[i] = content(order, payloads[i])
        except Refusal as refused:
            answers[i] = Placed(order.id, None, "refused", refused.code, refused.place, refused.problem)
    asked = [i for i, answer in enumerate(answers) if answer is None]
    if asked:
        known, there = _read_known(tx, [orders[i] for i in asked], now)
        accepted: dict[str, _Accepted] = {}
        for i in asked:
            order = orders[i]
            if order.id in there:
                answers[i] = _again(order, hashes[i], *there[order.id])
            elif order.id in accepted:
                answers[i] = None  # the same twice in one batch: answered below
            else:
                taken = _accept(known, order, payloads[i], hashes[i])
                if isinstance(taken, Placed):
                    answers[i] = taken
                else:
                    accepted[order.id] = taken
        numbers = _insert(tx, known, list(accepted.values()), by)
        lost = [order_id for order_id in accepted if order_id not in numbers]
        there = _there(*tx.together(_ask_there(lost))) if lost else {}
        first: set[str] = set()
        for i in asked:
            if answers[i] is None:
                order_id = orders[i].id
                if order_id in numbers and order_id not in first:
                    first.add(order_id)
                    answers[i] = Placed(order_id, numbers[order_id], "new")
                elif order_id in numbers:
                    answers[i] = _again(orders[i], hashes[i], numbers[order_id], accepted[order_id].content)
                else:
                    answers[i] = _again(orders[i], hashes[i], *there[order_id])
    return [answer for answer in answers if answer is not None]


def _again(order: OrderPlaced, hashed: str, no: int, known: str) -> Placed:
    if hashed == known:
        return Placed(order.id, no, "seen")
    problem = f"order {order.external_id!r} of this channel is there, with other content"
    return Placed(order.id, no, "conflict", "order_conflict", "external_id", problem)


def _read_known(tx: Tx, orders: Sequence[OrderPlaced], now: int | None) -> tuple[_Known, dict[str, tuple[int, str]]]:
    """Read what the orders refer to and which are there already, and lock what limits them."""
    asks = {
        "channels": Ask(
            "SELECT c.id, c.safety, c.review FROM {rows} JOIN channel c ON c.id = rows.id",
            Rows(id=sorted({order.channel for order in orders})),
        ),
        "terms": ASK_TERMS,
        "there": _ask_there([order.id for order in orders]),
    }
    if nodes := sorted({node for order in orders for node in order.pickup}):
        asks["nodes"] = Ask("SELECT n.id, n.collects FROM {rows} JOIN node n ON n.id = rows.id", Rows(id=nodes))
    if people := sorted({order.recipient for order in orders if order.recipient is not None}):
        asks["people"] = Ask(
            "SELECT r.id FROM {rows} JOIN recipient r ON r.id = rows.id WHERE NOT r.erased", Rows(id=people)
        )
    *found, of_skus, of_channel_stock = tx.together(
        *asks.values(), *asks_of(line.sku for order in orders for line in order.lines)
    )
    answer = dict(zip(asks, found, strict=True))
    channels = {channel: (safety, bool(review)) for channel, safety, review in answer["channels"]}
    safety = {channel: kept for channel, (kept, _) in channels.items()}
    sales = Sales(tx, safety, (of_skus, of_channel_stock))
    holds = _lock_holds(tx, sorted({order.hold for order in orders if order.hold is not None}))
    collects = {node: bool(may) for node, may in answer.get("nodes", [])}
    recipients = {one for (one,) in answer.get("people", [])}
    known = _Known(channels, collects, recipients, sales, holds, _terms(answer["terms"]), now)
    return known, _there(answer["there"])


def _lock_holds(tx: Tx, holds: list[str]) -> dict[str, _Hold]:
    if not holds:
        return {}
    counted = lock_counted(tx, holds)
    found = {
        hold: _Hold(hold, channel, state, until, {}, {sku: units for (_, sku), units in counted[hold].items()})
        for hold, channel, state, until in tx.all(
            "SELECT h.id, h.channel, h.state, h.until FROM {rows} JOIN hold h ON h.id = rows.id ORDER BY h.id"
            + (" FOR NO KEY UPDATE OF h" if tx.locking else ""),
            Rows(id=holds),
        )
    }
    for hold, sku, node, units in tx.all(
        "SELECT u.hold, u.sku_no, u.node_no, u.units FROM {rows} JOIN hold_unit u ON u.hold = rows.id "
        "ORDER BY u.hold, u.sku_no, u.node_no",
        Rows(id=holds),
    ):
        found[hold].units[sku, node] = units
    return found


def _ask_there(ids: list[str]) -> Ask:
    return Ask("SELECT o.id, o.no, o.content FROM {rows} JOIN orders o ON o.id = rows.id", Rows(id=ids))


def _there(found: list[tuple[Any, ...]]) -> dict[str, tuple[int, str]]:
    return {order_id: (no, known) for order_id, no, known in found}


def _accept(known: _Known, order: OrderPlaced, payload: bytes, hashed: str) -> _Accepted | Placed:
    """Everything that may be wrong with an order, and else what becomes of it."""
    refused = _refusal(known, order)
    if refused is not None:
        return Placed(order.id, None, "refused", *refused)
    skus = [known.sales.skus[line.sku] for line in order.lines]
    worth = sum(
        line.qty * known.terms.open_cents(line.unfilled_cents, sku.unfilled_cents, line.price_cents)
        for line, sku in zip(order.lines, skus, strict=True)
    )
    if worth > MOST_WORTH:
        return Placed(order.id, None, "refused", "too_much", "lines", too_much(worth))
    hold = known.holds[order.hold] if order.hold is not None else None
    tied = _take_held(dict(hold.units), skus, [line.qty for line in order.lines]) if hold else []
    converted = [0] * len(skus)
    for number, node, line_units in {(number, node, line_units) for number, _, node, _, line_units in tied}:
        assert node, "held somewhere"
        converted[number - 1] += line_units
    at = known.counted_from(order)
    sales = [known.sales.sale(order.channel, sku, line.qty, at) for sku, line in zip(skus, order.lines, strict=True)]
    problem = known.sales.refuse(order.channel, sales, converted, hold.counted if hold else {})
    if problem is not None:
        line, code, text = problem
        return Placed(order.id, None, "refused", code, f"lines[{line}].qty", text)
    if hold:
        hold.state = "converted"
    return _Accepted(order, payload, hashed, sales, tied, converted)


def too_much(worth: int) -> str:
    """Why an order is refused of which so many cents would be lost."""
    return f"leaving all of it unserved would cost {worth:,} cents; {MOST_WORTH:,} are allowed"


def _refusal(known: _Known, order: OrderPlaced) -> tuple[str, str, str] | None:
    """Code, place and problem of what an order refers to in vain."""
    if order.channel not in known.channels:
        return "unknown_channel", "channel", f"there is no channel {order.channel!r}"
    for i, line in enumerate(order.lines):
        if line.sku not in known.sales.skus:
            return "unknown_sku", f"lines[{i}].sku", f"there is no SKU {line.sku!r}"
    for i, node in enumerate(order.pickup):
        if node not in known.collects:
            return "unknown_node", f"pickup[{i}]", f"there is no node {node!r}"
        if not known.collects[node]:
            return "node_does_not_collect", f"pickup[{i}]", f"customers may not collect at {node!r}"
    if not order.pickup and order.place is None:
        return "no_destination", "place", "say where it is delivered (`place`) or collected (`pickup`)"
    if order.recipient is not None and order.recipient not in known.recipients:
        return "unknown_recipient", "recipient", f"there is no recipient {order.recipient!r}"
    if order.hold is not None:
        hold = known.holds.get(order.hold)
        if hold is None or hold.channel != order.channel:
            return "unknown_hold", "hold", f"this channel has no hold {order.hold!r}"
        if hold.state != "held" or hold.until <= known.counted_from(order):
            return "hold_ended", "hold", f"hold {order.hold!r} has ended; place the order without it"
    return None


def _take_held(
    held: dict[tuple[int, int], int], skus: Sequence[SoldSku], wanted: Sequence[int]
) -> list[tuple[int, int, int, int, int]]:
    """Which of the held units each line gets: line, SKU, node, units and units of the line.

    Kits come first, as their parts must be together at a node.
    """
    taken = []
    nodes = sorted({node for _, node in held})
    for i in sorted(range(len(skus)), key=lambda i: not skus[i].is_kit):
        number, sku, left = i + 1, skus[i], wanted[i]
        for node in nodes:
            units = min([left, *(held.get((part, node), 0) // each for part, each in sku.parts)])
            if units > 0:
                for part, each in sku.parts:
                    held[part, node] -= units * each
                    taken.append((number, part, node, units * each, units))
                left -= units
    return taken


def _insert(tx: Tx, known: _Known, accepted: Sequence[_Accepted], by: str) -> dict[str, int]:
    """Write orders, lines, what was sold and what was held.

    Returns
    -------
    dict
        Numbers by id; an order that somebody else placed meanwhile is not among them.
    """
    if not accepted:
        return {}
    numbers = _insert_orders(tx, known, sorted(accepted, key=lambda one: (one.order.channel, one.order.external_id)))
    new = [one for one in accepted if one.order.id in numbers]
    if not new:
        return {}
    presold: dict[int, int] = defaultdict(int)
    sold: dict[tuple[str, int], int] = defaultdict(int)
    for one in new:
        for sale in one.sales:
            if sale.presale:
                presold[sale.sku.no] += sale.units
            if sale.allotted:
                sold[one.order.channel, sale.sku.no] += sale.units
        if one.order.hold is not None:
            for sku, units in known.holds[one.order.hold].counted.items():
                sold[one.order.channel, sku] -= units
    count_sold(tx, presold, sold)
    facts = new_facts(tx, [one.order for one in new], [one.payload for one in new], by)
    tx.later(_lines(known, new, numbers), facts)
    _convert_holds(tx, known, new, numbers)
    return numbers


def _insert_orders(tx: Tx, known: _Known, accepted: Sequence[_Accepted]) -> dict[str, int]:
    orders = [one.order for one in accepted]
    terms = known.terms
    usual_late, usual_days = terms.late_cents, terms.promise_days
    return dict(
        tx.all(
            "INSERT INTO orders (id, channel, external_id, content, placed_at, priority, lat, lon, region, pickup, "
            "recipient, promise_day, late_cents, max_parcels, ship_complete, review, cancel_at, open, allocated) "
            "SELECT id, channel, external_id, content, placed_at, priority, lat, lon, region, "
            f"{tx.json('pickup')}, recipient, promise_day, late_cents, max_parcels, ship_complete, review, cancel_at, open, "
            "allocated FROM {rows} WHERE true ORDER BY channel, external_id "
            "ON CONFLICT DO NOTHING RETURNING id, no",
            Rows(
                id=[o.id for o in orders],
                channel=[o.channel for o in orders],
                external_id=[o.external_id for o in orders],
                content=[one.content for one in accepted],
                placed_at=[o.at for o in orders],
                priority=[o.priority for o in orders],
                lat=[o.place.lat if o.place else None for o in orders],
                lon=[o.place.lon if o.place else None for o in orders],
                region=[o.place.region if o.place else "" for o in orders],
                pickup=[msgspec.json.encode(o.pickup).decode() for o in orders],
                recipient=[o.recipient for o in orders],
                promise_day=[
                    known.counted_from(o) // MS_PER_DAY + usual_days if o.promise_day is None else o.promise_day
                    for o in orders
                ],
                late_cents=[usual_late if o.late_cents is None else o.late_cents for o in orders],
                max_parcels=[o.max_parcels for o in orders],
                ship_complete=[o.ship_complete for o in orders],
                review=[o.review or known.channels[o.channel][1] for o in orders],
                cancel_at=[o.cancel_at for o in orders],
                open=[sum(line.qty for line in one.order.lines) - sum(one.converted) for one in accepted],
                allocated=[sum(one.converted) for one in accepted],
            ),
        )
    )


def _lines(known: _Known, new: Sequence[_Accepted], numbers: dict[str, int]) -> Ask:
    columns: dict[str, list[int | bool | None]] = defaultdict(list)
    for one in new:
        no = numbers[one.order.id]
        for i, (line, sale, held) in enumerate(zip(one.order.lines, one.sales, one.converted, strict=True)):
            columns["order_no"].append(no)
            columns["number"].append(i + 1)
            columns["sku_no"].append(sale.sku.no)
            columns["qty"].append(line.qty)
            columns["unfilled_cents"].append(
                known.terms.open_cents(line.unfilled_cents, sale.sku.unfilled_cents, line.price_cents)
            )
            columns["price_cents"].append(line.price_cents)
            columns["presale"].append(sale.presale)
            columns["allotted"].append(sale.allotted)
            columns["open"].append(line.qty - held)
            columns["allocated"].append(held)
    names = ", ".join(columns)
    return Ask(f"INSERT INTO order_line ({names}) SELECT {names} FROM {{rows}}", Rows(**columns))


def read_terms(tx: Tx) -> Terms:
    """What holds for orders that say nothing else."""
    return _terms(*tx.together(ASK_TERMS))


def _terms(found: list[tuple[Any, ...]]) -> Terms:
    if not found:
        return TERMS
    [(value,)] = found
    return msgspec.convert(decoded(value), Terms)


def _convert_holds(tx: Tx, known: _Known, new: Sequence[_Accepted], numbers: dict[str, int]) -> None:
    """Units that were held become claims; what was held and not ordered is free again."""
    holding = [one for one in new if one.order.hold is not None]
    if not holding:
        return
    claims = [(numbers[one.order.id], *claim) for one in holding for claim in one.tied]
    if claims:
        order_no, number, sku_no, node_no, units, line_units = (list(column) for column in zip(*claims, strict=True))
        tx.run(
            "INSERT INTO claim (order_no, number, sku_no, node_no, service, units, line_units) "
            "SELECT order_no, number, sku_no, node_no, :service, units, line_units FROM {rows}",
            Rows(order_no=order_no, number=number, sku_no=sku_no, node_no=node_no, units=units, line_units=line_units),
            service=UNDECIDED,
        )
    rest: list[tuple[str, int, int, int]] = []
    for one in holding:
        assert one.order.hold is not None
        left = dict(known.holds[one.order.hold].units)
        for _, sku, node, taken, _ in one.tied:
            left[sku, node] -= taken
        rest += [(one.order.hold, sku, node, units) for (sku, node), units in left.items() if units]
    move(
        tx, holding[0].order.at, "hold_converted", [hold for hold, *_ in rest], [sku for _, sku, _, _ in rest],
        [node for _, _, node, _ in rest], reserved=[-units for *_, units in rest],
    )  # fmt: skip
    tx.run(
        "UPDATE hold SET state = 'converted', order_no = rows.no FROM {rows} WHERE hold.id = rows.id",
        Rows(id=[one.order.hold for one in holding], no=[numbers[one.order.id] for one in holding]),
    )
