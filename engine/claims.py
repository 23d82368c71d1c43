"""Claims: units of stock tied to a line until they are released, and how they are given back.

Whoever frees claims has locked their orders (`lock_orders`) first: orders by number, then SKUs and allotments, then stock.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.database import Ask, Column, Rows, Tx
from engine.ledger import move
from engine.tables import LINE_STATES

UNDECIDED = "*"
"""The service of claims that were a hold's: no parcel is planned for them yet."""


@dataclass(frozen=True, slots=True)
class Tied:
    """Units of a line tied to a node by a service: one claim, or one for each part of a kit."""

    order_no: int
    number: int
    node_no: int
    service: str
    line_units: int


def lock_orders(tx: Tx, order_no: Iterable[int]) -> list[int]:
    """Lock orders in the order that everybody keeps, and say which there are."""
    numbers = sorted(set(order_no))
    if not numbers:
        return []
    found = tx.all(
        "SELECT o.no FROM {rows} JOIN orders o ON o.no = rows.no ORDER BY o.no"
        + (" FOR NO KEY UPDATE OF o" if tx.locking else ""),
        Rows(no=numbers),
    )
    return [no for (no,) in found]


def tied(tx: Tx, order_no: Iterable[int]) -> list[Tied]:
    """What is tied of orders, by order, line, node and service."""
    numbers = sorted(set(order_no))
    if not numbers:
        return []
    found = tx.all(
        "SELECT c.order_no, c.number, c.node_no, c.service, MIN(c.line_units) FROM {rows} "
        "JOIN claim c ON c.order_no = rows.no GROUP BY c.order_no, c.number, c.node_no, c.service "
        "ORDER BY c.order_no, c.number, c.node_no, c.service",
        Rows(no=numbers),
    )
    return [Tied(*row) for row in found]


def free_claims(tx: Tx, at: int, cause: str, given: Sequence[Tied]) -> None:
    """Give claims back: stock is free again, units of lines are open again, and parcels that hold nothing are not planned.

    Parameters
    ----------
    given
        Each with the units of the line to give back, at most what is tied.
    """
    if not given:
        return
    found = tx.all(
        "SELECT o.id, c.order_no, c.number, c.sku_no, c.node_no, c.service, c.units, c.line_units, rows.line_units "
        "FROM {rows} JOIN claim c ON c.order_no = rows.order_no AND c.number = rows.number "
        "AND c.node_no = rows.node_no AND c.service = rows.service JOIN orders o ON o.no = c.order_no "
        "ORDER BY c.order_no, c.number, c.sku_no, c.node_no, c.service",
        _rows(given),
    )
    back = [units // line_units * take for *_, units, line_units, take in found]
    _shrink(tx, found, back)
    move(
        tx, at, cause, [row[0] for row in found], [row[3] for row in found], [row[4] for row in found],
        reserved=[-units for units in back],
    )  # fmt: skip
    shift_units(tx, [t.order_no for t in given], [t.number for t in given], [t.line_units for t in given],
                "allocated", "open")  # fmt: skip
    _plan_less(tx, given)


def shift_units(tx: Tx, order_no: Column, number: Column, units: Column, before: str, after: str) -> None:
    """Units of lines go from one state into another, and so do the sums of their orders, which get a new version."""
    assert before in LINE_STATES, before
    assert after in LINE_STATES, after
    lines: dict[tuple[int, int], int] = defaultdict(int)
    orders: dict[int, int] = defaultdict(int)
    for order, line, count in zip(order_no, number, units, strict=True):
        lines[int(order), int(line)] += int(count)
        orders[int(order)] += int(count)
    if not lines:
        return
    change = f"{before} = {{table}}.{before} - rows.units, {after} = {{table}}.{after} + rows.units"
    tx.run(
        "UPDATE order_line SET " + change.format(table="order_line") + " FROM {rows} "
        "WHERE order_line.order_no = rows.order_no AND order_line.number = rows.number",
        Rows(order_no=[o for o, _ in lines], number=[n for _, n in lines], units=list(lines.values())),
    )
    tx.run(
        "UPDATE orders SET " + change.format(table="orders") + ", version = orders.version + 1 FROM {rows} "
        "WHERE orders.no = rows.no",
        Rows(no=list(orders), units=list(orders.values())),
    )


def plan_work(tx: Tx, node_no: Column, day: Column, parcels: Column, units: Column) -> None:
    """Add to (or take from) the work that is planned for nodes by day."""
    net: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])
    for node, when, more_parcels, more_units in zip(node_no, day, parcels, units, strict=True):
        work = net[int(node), int(when)]
        work[0] += int(more_parcels)
        work[1] += int(more_units)
    keys = sorted(key for key, work in net.items() if any(work))
    if not keys:
        return
    tx.together(
        *count_work(
            tx, [node for node, _ in keys], [when for _, when in keys], [net[key][0] for key in keys],
            [net[key][1] for key in keys],
        )
    )  # fmt: skip


MAKE_DAYS = "INSERT INTO node_day (node_no, day) SELECT node, day FROM {rows} WHERE true ORDER BY node, day ON CONFLICT DO NOTHING"


def count_work(tx: Tx, node_no: Column, day: Column, parcels: Column, units: Column) -> list[Ask]:
    """Add to the work of nodes' days, each of which is named once; their rows are made, and locked in order."""
    days = Rows(node=node_no, day=day, parcels=parcels, units=units)
    lock = Ask(
        "SELECT 1 FROM {rows} JOIN node_day ON node_no = rows.node AND node_day.day = rows.day "
        "ORDER BY node_no, node_day.day FOR NO KEY UPDATE OF node_day",
        days,
    )
    return [
        Ask(MAKE_DAYS, days),
        *([lock] if tx.dialect == "postgresql" else []),
        Ask(
            "UPDATE node_day SET parcels = node_day.parcels + rows.parcels, units = node_day.units + rows.units "
            "FROM {rows} WHERE node_no = rows.node AND node_day.day = rows.day",
            days,
        ),
    ]


def _rows(given: Sequence[Tied]) -> Rows:
    return Rows(
        order_no=[t.order_no for t in given],
        number=[t.number for t in given],
        node_no=[t.node_no for t in given],
        service=[t.service for t in given],
        line_units=[t.line_units for t in given],
    )


def _shrink(tx: Tx, found: Sequence[tuple[object, ...]], back: Sequence[int]) -> None:
    """Make claims smaller by what is given back, and delete those of which nothing is left."""
    same = (
        "claim.order_no = rows.order_no AND claim.number = rows.number AND claim.sku_no = rows.sku_no "
        "AND claim.node_no = rows.node_no AND claim.service = rows.service"
    )
    gone: list[tuple[object, ...]] = []
    smaller: list[tuple[object, ...]] = []
    for row, units in zip(found, back, strict=True):
        assert units <= row[6], "no more is given back than is tied"  # type: ignore[operator]
        (gone if units == row[6] else smaller).append((*row[1:6], units, row[8]))
    names = ("order_no", "number", "sku_no", "node_no", "service", "units", "line_units")
    if gone:
        columns = dict(zip(names, zip(*gone, strict=True), strict=True))
        tx.run("DELETE FROM claim WHERE EXISTS (SELECT 1 FROM {rows} WHERE " + same + ")" if tx.dialect == "sqlite"
               else "DELETE FROM claim USING {rows} WHERE " + same, Rows(**columns))  # fmt: skip
    if smaller:
        columns = dict(zip(names, zip(*smaller, strict=True), strict=True))
        tx.run(
            "UPDATE claim SET units = claim.units - rows.units, line_units = claim.line_units - rows.line_units "
            "FROM {rows} WHERE " + same,
            Rows(**columns),
        )


def _plan_less(tx: Tx, given: Sequence[Tied]) -> None:
    """Take freed units from the work of their days, and with them the parcels that hold nothing any more."""
    units: dict[tuple[int, int, str], int] = defaultdict(int)
    for t in given:
        if t.service != UNDECIDED:
            units[t.order_no, t.node_no, t.service] += t.line_units
    if not units:
        return
    keys = list(units)
    planned = tx.all(
        "SELECT p.order_no, p.node_no, p.service, p.work_day, "
        "EXISTS (SELECT 1 FROM claim c WHERE c.order_no = p.order_no AND c.node_no = p.node_no "
        "AND c.service = p.service) FROM {rows} JOIN parcel p ON p.order_no = rows.order_no "
        "AND p.node_no = rows.node_no AND p.service = rows.service",
        Rows(order_no=[k[0] for k in keys], node_no=[k[1] for k in keys], service=[k[2] for k in keys]),
    )
    delete_parcels(tx, [row[:3] for row in planned if not row[4]])
    plan_work(
        tx,
        [row[1] for row in planned],
        [row[3] for row in planned],
        [0 if row[4] else -1 for row in planned],
        [-units[row[:3]] for row in planned],
    )


def delete_parcels(tx: Tx, parcels: Sequence[tuple[int, int, str]]) -> None:
    """Delete planned parcels by order, node and service."""
    if not parcels:
        return
    same = "parcel.order_no = rows.order_no AND parcel.node_no = rows.node_no AND parcel.service = rows.service"
    tx.run(
        "DELETE FROM parcel WHERE EXISTS (SELECT 1 FROM {rows} WHERE " + same + ")"
        if tx.dialect == "sqlite"
        else "DELETE FROM parcel USING {rows} WHERE " + same,
        Rows(
            order_no=[order for order, _, _ in parcels],
            node_no=[node for _, node, _ in parcels],
            service=[service for _, _, service in parcels],
        ),
    )
