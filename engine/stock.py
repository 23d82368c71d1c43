"""What happens to stock: received, counted, adjusted, moved, set aside, and what a feed says about it.

What is physically there goes before what was promised. Where fewer units are left than are claimed, the latest orders that are not
released give their claims back (they are open again), then the latest holds. What was handed to the node stays: picking will tell
(`stock.missing` remembers what a count did not find of it).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from engine.claims import Tied, free_claims, lock_orders
from engine.database import Rows, Tx
from engine.entries import touch
from engine.facts import (
    CapacitySet,
    ChannelStockSet,
    Deallocated,
    Fact,
    HoldReleased,
    InboundAnnounced,
    InboundChanged,
    LineUnits,
    NodePaused,
    NodeResumed,
    SafetySet,
    StockAdjusted,
    StockCounted,
    StockFact,
    StockPutBack,
    StockReceived,
    StockReported,
    StockScrapped,
    StockSetAside,
    StockTransferred,
    short_id,
)
from engine.holds import end_holds
from engine.ledger import lock_stock, move, write_facts
from engine.selling import lock_counted
from solver.refusal import Refusal

Key = tuple[int, int]
"""SKU and node, by number."""

CAUSES = {
    StockReceived: "received",
    StockCounted: "counted",
    StockAdjusted: "adjusted",
    StockTransferred: "transferred",
    StockSetAside: "set_aside",
    StockPutBack: "put_back",
    StockScrapped: "scrapped",
    StockReported: "reported",
}


@dataclass(slots=True)
class _Level:
    """Units at a node: what is really there (without what a count missed), claimed, and set aside."""

    there: int = 0
    reserved: int = 0
    damaged: int = 0
    quarantined: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    """One change by one fact."""

    cause: str
    ref: str
    key: Key
    there: int = 0
    damaged: int = 0
    quarantined: int = 0


@dataclass(frozen=True)
class Numbers:
    """Numbers by id of what facts name."""

    skus: dict[str, tuple[int, bool]]
    """Number, and whether it is a kit."""
    nodes: dict[str, int]


def record_one(tx: Tx, fact: StockFact, by: str = "") -> bool:
    """Do what one fact says; whether it is new."""
    return record(tx, [fact], by)[0]


def record(tx: Tx, facts: Sequence[StockFact], by: str = "") -> list[bool]:
    """Do what facts about stock, nodes and inbound say, in their order: all of them or, where one is refused, none.

    Parameters
    ----------
    by
        The key that sent them.

    Returns
    -------
    list of bool
        Which are new; the others were there already and have no second effect.

    Raises
    ------
    Refusal
        `unknown_sku`, `unknown_node`, `unknown_channel`, `unknown_inbound`, `kit_has_no_stock`, `not_enough_stock`,
        `stock_is_reserved` (what is reserved may not leave), `count_conflict` (the books did not say what was expected),
        `awaits_inspection` (what came back is not looked at yet), `fact_conflict`.
    """
    new = write_facts(tx, facts, by)
    effective = [(i, fact) for i, (fact, is_new) in enumerate(zip(facts, new, strict=True)) if is_new]
    if not effective:
        return new
    numbers = read_numbers(tx, [fact for _, fact in effective])
    where = [f"facts[{i}]." if len(facts) > 1 else "" for i in range(len(facts))]
    for i, fact in effective:
        check_names(numbers, fact, where[i])
    levels = [(where[i], fact) for i, fact in effective if type(fact) in CAUSES]
    if levels:
        apply_levels(tx, numbers, levels)
    for i, fact in effective:
        if type(fact) not in CAUSES or isinstance(fact, StockReceived):
            _apply_other(tx, numbers, fact, where[i])
    return new


def make_room(tx: Tx, at: int, ref: str, wanted: dict[Key, int]) -> dict[Key, _Level]:
    """Give back claims, then holds, until no more is claimed than will be there; lock the rows of stock.

    Parameters
    ----------
    ref
        The fact because of which.
    wanted
        Units that will be there, by SKU and node.

    Returns
    -------
    dict
        What is there and still claimed (by what was handed to nodes, at most), for each row.
    """
    keys = sorted(wanted)
    short = _short(_read_levels(tx, keys), wanted)
    if short:
        # orders are locked before stock; what is read here is old once it is locked, so it is read again
        claims, holds = _who_claims(tx, sorted(short))
        lock_orders(tx, {one.order_no for one in _victims(claims, short)})
        _lock_holds(tx, {hold for hold, *_ in holds} if max(short.values()) > 0 else set())
    lock_stock(tx, [sku for sku, _ in keys], [node for _, node in keys], make=True)
    levels = _read_levels(tx, keys)
    short = _short(levels, wanted)
    if not short:
        return levels
    claims, holds = _who_claims(tx, sorted(short))
    victims = _victims(claims, short)
    lock_orders(tx, {one.order_no for one in victims})
    _free_victims(tx, at, ref, victims)
    ended: dict[str, None] = {}
    for hold, sku, node, _ in holds:
        if short[sku, node] > 0 and hold not in ended:
            ended[hold] = None
            for other, its_sku, its_node, units in holds:
                if other == hold:
                    short[its_sku, its_node] -= units
    if ended:
        _lock_holds(tx, set(ended))
        write_facts(
            tx, [HoldReleased(id=short_id("end", hold), at=at, hold=hold, reason="stock_lost") for hold in ended]
        )
        end_holds(tx, at, list(ended), "stock_lost")
    return _read_levels(tx, keys)


def _short(levels: dict[Key, _Level], wanted: dict[Key, int]) -> dict[Key, int]:
    """Units that are claimed and will not be there."""
    return {key: level.reserved - wanted[key] for key, level in levels.items() if level.reserved > wanted[key]}


def apply_levels(tx: Tx, numbers: Numbers, facts: Sequence[tuple[str, Fact]]) -> None:
    """Change levels by facts (each with its place in the request) in their order.

    Raises
    ------
    Refusal
        `not_enough_stock`, `stock_is_reserved`, `count_conflict`.
    """
    keys = sorted({key for _, fact in facts for key in _keys(numbers, fact)})
    at, ref = facts[-1][1].at, facts[-1][1].id
    expected, _ = _simulate(numbers, facts, _read_levels(tx, keys), strict=False)
    wanted = {key: max(level.there, 0) for key, level in expected.items()}
    levels = make_room(tx, at, ref, wanted)
    before = {key: level.missing for key, level in levels.items()}
    after, entries = _simulate(numbers, facts, levels, strict=True)
    again = {key: level.there for key, level in after.items() if level.there < level.reserved}
    if any(level.there != wanted[key] for key, level in after.items()) and again:
        # the rows had changed before they were locked
        claimed = make_room(tx, at, f"{ref}+", {key: after[key].there for key in after})
        for key, level in after.items():
            level.reserved = claimed[key].reserved
    _refuse_reserved(numbers, facts, after)
    _refuse_awaiting(tx, numbers, facts, after)
    missing = {key: max(0, level.reserved - level.there) for key, level in after.items()}
    changed = [key for key in keys if missing[key] != before[key]]
    entries += [_Entry("missed", ref, key, missing[key] - before[key]) for key in changed]
    _set_missing(tx, dict.fromkeys((key for key in keys if before[key]), 0))
    move(
        tx, at, [e.cause for e in entries], [e.ref for e in entries], [e.key[0] for e in entries],
        [e.key[1] for e in entries], on_hand=[e.there for e in entries], damaged=[e.damaged for e in entries],
        quarantined=[e.quarantined for e in entries],
    )  # fmt: skip
    _set_missing(tx, {key: units for key, units in missing.items() if units})


def _set_missing(tx: Tx, missing: dict[Key, int]) -> None:
    if missing:
        tx.run(
            "UPDATE stock SET missing = rows.units FROM {rows} "
            "WHERE stock.sku_no = rows.sku_no AND stock.node_no = rows.node_no",
            Rows(sku_no=[s for s, _ in missing], node_no=[n for _, n in missing], units=list(missing.values())),
        )


def _refuse_reserved(numbers: Numbers, facts: Sequence[tuple[str, Fact]], after: dict[Key, _Level]) -> None:
    """What was handed to a node may be found missing there, but nobody takes it away."""
    for place, fact in facts:
        if isinstance(fact, StockTransferred | StockSetAside):
            level = after[_keys(numbers, fact)[0]]
            if level.reserved > level.there:
                raise Refusal(f"{place}units", f"{level.reserved} units are reserved at the node", "stock_is_reserved")


def _refuse_awaiting(tx: Tx, numbers: Numbers, facts: Sequence[tuple[str, Fact]], after: dict[Key, _Level]) -> None:
    """What came back is quarantined until somebody has looked at it: nobody puts it back or throws it away before."""
    for place, fact in facts:
        if isinstance(fact, StockPutBack | StockScrapped) and fact.state == "quarantined":
            sku, node = _keys(numbers, fact)[0]
            waiting = tx.value(
                "SELECT COALESCE(SUM(units - inspected), 0) FROM rma_receipt WHERE sku_no = :sku AND node_no = :node "
                "AND units > inspected",
                sku=sku, node=node,
            )  # fmt: skip
            if after[sku, node].quarantined < waiting:
                told = f"{waiting} of the quarantined units came back and wait to be looked at: inspect their return"
                raise Refusal(f"{place}units", told, "awaits_inspection")


def _simulate(
    numbers: Numbers, facts: Sequence[tuple[str, Fact]], levels: dict[Key, _Level], *, strict: bool
) -> tuple[dict[Key, _Level], list[_Entry]]:
    """Levels after facts, and the change that each made. Refuses what cannot be, where `strict`."""
    now = {key: _Level(v.there, v.reserved, v.damaged, v.quarantined, v.missing) for key, v in levels.items()}
    entries = []
    for place, fact in facts:
        for entry in _entries(numbers, fact, now, place if strict else None):
            level = now[entry.key]
            level.there += entry.there
            level.damaged += entry.damaged
            level.quarantined += entry.quarantined
            if strict:
                _refuse_negative(level, entry, place)
            entries.append(entry)
    return now, entries


def _refuse_negative(level: _Level, entry: _Entry, place: str) -> None:
    for name in ("there", "damaged", "quarantined"):
        left = getattr(level, name)
        if left < 0:
            had = left - getattr(entry, name)
            words = "on hand" if name == "there" else name
            raise Refusal(f"{place}units", f"only {had} units are {words}", "not_enough_stock")


def _entries(numbers: Numbers, fact: Fact, now: dict[Key, _Level], place: str | None) -> list[_Entry]:
    """What a fact changes, given what is there."""
    cause, keys = CAUSES[type(fact)], _keys(numbers, fact)
    key = keys[0]
    match fact:
        case StockReceived(units=units):
            return [_Entry(cause, fact.id, key, units)]
        case StockCounted(units=units, expected=expected):
            said = now[key].there + now[key].missing
            if place is not None and expected is not None and said != expected:
                raise Refusal(f"{place}expected", f"the books say {said} units, not {expected}", "count_conflict")
            return [_Entry(cause, fact.id, key, units - now[key].there)]
        case StockReported(units=units):
            return [_Entry(cause, fact.id, key, units - now[key].there)]
        case StockAdjusted(change=change):
            return [_Entry(cause, fact.id, key, change)]
        case StockTransferred(units=units):
            return [_Entry(cause, fact.id, key, -units), _Entry(cause, fact.id, keys[1], units)]
        case StockSetAside(units=units, state=state):
            return [_Entry(cause, fact.id, key, -units, **{state: units})]
        case StockPutBack(units=units, state=state):
            return [_Entry(cause, fact.id, key, units, **{state: -units})]
        case StockScrapped(units=units, state=state):
            return [_Entry(cause, fact.id, key, **{state: -units})]
    raise AssertionError(fact)


def _keys(numbers: Numbers, fact: Fact) -> list[Key]:
    """The rows of stock that a fact is about."""
    sku = numbers.skus[fact.sku][0]  # type: ignore[attr-defined]
    own = (sku, numbers.nodes[fact.node])  # type: ignore[attr-defined]
    return [own, (sku, numbers.nodes[fact.to_node])] if isinstance(fact, StockTransferred) else [own]


def _read_levels(tx: Tx, keys: Sequence[Key]) -> dict[Key, _Level]:
    levels = {key: _Level() for key in keys}
    for sku, node, *values in tx.all(
        "SELECT s.sku_no, s.node_no, s.on_hand - s.missing, s.reserved, s.damaged, s.quarantined, s.missing "
        "FROM {rows} JOIN stock s ON s.sku_no = rows.sku_no AND s.node_no = rows.node_no",
        Rows(sku_no=[sku for sku, _ in keys], node_no=[node for _, node in keys]),
    ):
        levels[sku, node] = _Level(*values)
    return levels


# --- who claims ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A claim of a row, of whoever came last first."""

    key: Key
    tied: Tied
    order: str
    each: int
    """Units of the row for each unit of the line."""


@dataclass(frozen=True, slots=True)
class _Victim:
    """What an order has to give back."""

    order_no: int
    order: str
    tied: Tied


def _who_claims(tx: Tx, keys: Sequence[Key]) -> tuple[list[_Claimed], list[tuple[str, int, int, int]]]:
    """Claims of orders, and holds with their units (hold, SKU, node, units), the latest first."""
    rows = Rows(sku_no=[sku for sku, _ in keys], node_no=[node for _, node in keys])
    claims = tx.all(
        "SELECT c.sku_no, c.node_no, c.order_no, c.number, c.service, c.line_units, c.units, o.id FROM {rows} "
        "JOIN claim c ON c.sku_no = rows.sku_no AND c.node_no = rows.node_no JOIN orders o ON o.no = c.order_no "
        "ORDER BY o.priority DESC, o.placed_at DESC, o.no DESC, c.number DESC, c.service",
        rows,
    )
    holds = tx.all(
        "SELECT u.hold, u.sku_no, u.node_no, u.units FROM {rows} "
        "JOIN hold_unit u ON u.sku_no = rows.sku_no AND u.node_no = rows.node_no JOIN hold h ON h.id = u.hold "
        "WHERE h.state = 'held' ORDER BY h.placed_at DESC, h.id DESC",
        rows,
    )
    return [
        _Claimed((sku, node), Tied(order_no, number, node, service, line_units), order, units // line_units)
        for sku, node, order_no, number, service, line_units, units, order in claims
    ], [(hold, sku, node, units) for hold, sku, node, units in holds]


def _victims(claims: Sequence[_Claimed], short: dict[Key, int]) -> list[_Victim]:
    """Which claims are given back so that the rows are no more short by so many units; counts `short` down."""
    left: dict[tuple[int, int, int, str], int] = defaultdict(int)
    victims: dict[tuple[int, int, int, str], _Victim] = {}
    for claim in claims:
        t = claim.tied
        own = (t.order_no, t.number, t.node_no, t.service)
        # another part of the same kit may have been given back already
        given = left[own]
        lacks = short[claim.key] - given * claim.each
        if lacks > 0:
            count = min(t.line_units - given, -(-lacks // claim.each))
            left[own] += count
            victims[own] = _Victim(t.order_no, claim.order, Tied(*own, line_units=left[own]))
        short[claim.key] -= left[own] * claim.each
    return list(victims.values())


def _free_victims(tx: Tx, at: int, ref: str, victims: Sequence[_Victim]) -> None:
    if not victims:
        return
    free_claims(tx, at, "stock_lost", [one.tied for one in victims])
    lines: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for one in victims:
        lines[one.order][one.tied.number] += one.tied.line_units
    write_facts(
        tx,
        [
            Deallocated(
                id=short_id("lost", ref, order), at=at, order=order, reason="stock_lost",
                lines=tuple(LineUnits(line=number, units=units) for number, units in by_line.items()),
            )
            for order, by_line in lines.items()
        ],
    )  # fmt: skip


def _lock_holds(tx: Tx, holds: set[str]) -> None:
    if holds and tx.locking:
        lock_counted(tx, holds)
        tx.all("SELECT h.id FROM {rows} JOIN hold h ON h.id = rows.id ORDER BY h.id FOR NO KEY UPDATE OF h",
               Rows(id=sorted(holds)))  # fmt: skip


# --- what is no level of stock ------------------------------------------------------------------------------------


def read_numbers(tx: Tx, facts: Sequence[Fact]) -> Numbers:
    """The numbers of what facts name."""
    skus = sorted({getattr(fact, "sku") for fact in facts if hasattr(fact, "sku")})  # noqa: B009 -- not all have one
    nodes = sorted({getattr(fact, name) for fact in facts for name in ("node", "to_node") if hasattr(fact, name)})
    sku_rows = (
        tx.all("SELECT s.id, s.no, s.is_kit FROM {rows} JOIN sku s ON s.id = rows.id", Rows(id=skus)) if skus else []
    )
    node_rows = tx.all("SELECT n.id, n.no FROM {rows} JOIN node n ON n.id = rows.id", Rows(id=nodes)) if nodes else []
    return Numbers({sku: (no, bool(kit)) for sku, no, kit in sku_rows}, dict(node_rows))


def check_names(numbers: Numbers, fact: Fact, place: str) -> None:
    """Refuse what a fact names in vain."""
    sku = getattr(fact, "sku", None)
    if sku is not None and sku not in numbers.skus:
        raise Refusal(f"{place}sku", f"there is no SKU {sku!r}", "unknown_sku")
    if sku is not None and numbers.skus[sku][1] and not isinstance(fact, ChannelStockSet):
        raise Refusal(f"{place}sku", f"{sku!r} is a kit: its parts have the stock", "kit_has_no_stock")
    for name in ("node", "to_node"):
        node = getattr(fact, name, None)
        if node is not None and node not in numbers.nodes:
            raise Refusal(f"{place}{name}", f"there is no node {node!r}", "unknown_node")
    if isinstance(fact, StockTransferred) and fact.node == fact.to_node:
        raise Refusal(f"{place}to_node", "units are transferred to another node", "bad_input")


def _apply_other(tx: Tx, numbers: Numbers, fact: Fact, place: str) -> None:
    match fact:
        case StockReceived(inbound=inbound) if inbound is not None:
            _receive_inbound(tx, numbers, fact, place)
        case SafetySet():
            tx.run(
                "INSERT INTO stock (sku_no, node_no, safety_sell, safety_route) VALUES (:sku, :node, :sell, :route) "
                "ON CONFLICT (sku_no, node_no) DO UPDATE SET safety_sell = :sell, safety_route = :route",
                sku=numbers.skus[fact.sku][0], node=numbers.nodes[fact.node], sell=fact.sell, route=fact.route,
            )  # fmt: skip
        case ChannelStockSet():
            _set_channel_stock(tx, numbers, fact, place)
        case CapacitySet():
            tx.run(
                "INSERT INTO node_day (node_no, day, capacity_parcels, capacity_units) "
                "VALUES (:node, :day, :parcels, :units) ON CONFLICT (node_no, day) "
                "DO UPDATE SET capacity_parcels = :parcels, capacity_units = :units",
                node=numbers.nodes[fact.node], day=fact.day, parcels=fact.parcels, units=fact.units,
            )  # fmt: skip
        case NodePaused() | NodeResumed():
            tx.run(
                "UPDATE node SET paused = :paused, version = version + 1 WHERE no = :node",
                paused=isinstance(fact, NodePaused),
                node=numbers.nodes[fact.node],
            )
            touch(tx)
        case InboundAnnounced():
            _announce(tx, numbers, fact, place)
        case InboundChanged():
            _change_inbound(tx, fact, place)


def _set_channel_stock(tx: Tx, numbers: Numbers, fact: ChannelStockSet, place: str) -> None:
    if tx.first("SELECT 1 FROM channel WHERE id = :id", id=fact.channel) is None:
        raise Refusal(f"{place}channel", f"there is no channel {fact.channel!r}", "unknown_channel")
    sku = numbers.skus[fact.sku][0]
    tx.run("INSERT INTO channel_stock (channel, sku_no) VALUES (:channel, :sku) ON CONFLICT DO NOTHING",
           channel=fact.channel, sku=sku)  # fmt: skip
    sold = tx.value(
        "SELECT sold FROM channel_stock WHERE channel = :channel AND sku_no = :sku" + tx.locking,
        channel=fact.channel,
        sku=sku,
    )
    if fact.allotment is not None and fact.allotment < sold:
        raise Refusal(f"{place}allotment", f"{sold} units are sold already", "allotment_sold_out")
    tx.run(
        "UPDATE channel_stock SET buffer = :buffer, allotment = :allotment WHERE channel = :channel AND sku_no = :sku",
        buffer=fact.buffer, allotment=fact.allotment, channel=fact.channel, sku=sku,
    )  # fmt: skip


def _receive_inbound(tx: Tx, numbers: Numbers, fact: StockReceived, place: str) -> None:
    found = _lock_inbound(tx, fact.inbound or "", place)
    sku_no, node_no, units, received, cancelled = found
    if (sku_no, node_no) != (numbers.skus[fact.sku][0], numbers.nodes[fact.node]):
        raise Refusal(f"{place}inbound", f"inbound {fact.inbound!r} is of another SKU or node", "inbound_mismatch")
    if cancelled:
        raise Refusal(f"{place}inbound", f"inbound {fact.inbound!r} is cancelled", "inbound_cancelled")
    tx.run(
        # more may come than was announced
        "UPDATE inbound SET received = :received, units = :units WHERE id = :id",
        received=received + fact.units,
        units=max(units, received + fact.units),
        id=fact.inbound,
    )


def _announce(tx: Tx, numbers: Numbers, fact: InboundAnnounced, place: str) -> None:
    made = tx.run(
        "INSERT INTO inbound (id, sku_no, node_no, units, due_day) VALUES (:id, :sku, :node, :units, :day) "
        "ON CONFLICT (id) DO NOTHING",
        id=fact.inbound, sku=numbers.skus[fact.sku][0], node=numbers.nodes[fact.node], units=fact.units,
        day=fact.due_day,
    )  # fmt: skip
    if not made:
        raise Refusal(f"{place}inbound", f"inbound {fact.inbound!r} was announced before", "inbound_conflict")


def _change_inbound(tx: Tx, fact: InboundChanged, place: str) -> None:
    *_, received, _ = _lock_inbound(tx, fact.inbound, place)
    if fact.units is not None and fact.units < received:
        raise Refusal(f"{place}units", f"{received} units were received already", "already_received")
    tx.run(
        "UPDATE inbound SET units = COALESCE(:units, units), due_day = COALESCE(:day, due_day), "
        "cancelled = COALESCE(:cancelled, cancelled) WHERE id = :id",
        units=fact.units, day=fact.due_day, cancelled=fact.cancelled, id=fact.inbound,
    )  # fmt: skip


def _lock_inbound(tx: Tx, inbound: str, place: str) -> tuple[int, int, int, int, bool]:
    found = tx.first(
        "SELECT sku_no, node_no, units, received, cancelled FROM inbound WHERE id = :id" + tx.locking, id=inbound
    )
    if found is None:
        raise Refusal(f"{place}inbound", f"there is no inbound {inbound!r}", "unknown_inbound")
    sku, node, units, received, cancelled = found
    return sku, node, units, received, bool(cancelled)
