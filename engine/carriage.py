"""Carriage: what the customer pays for the delivery of an order, by the parcels that it comes in."""

from engine.database import Tx


def carriage_of(tx: Tx, order_no: int, consignment_no: int) -> int:
    """What the customer pays for the carriage of a consignment, in cents: as it is charged, else what it would be charged now.

    Shares go by units, and are of sums, so that over all parcels nothing is lost by rounding.
    """
    parcels = tx.all(
        "SELECT t.no, t.cents, SUM(t.units) FROM (SELECT k.no, c.carriage_cents AS cents, MIN(l.line_units) AS units "
        "FROM consignment k JOIN consignment_line l ON l.consignment_no = k.no AND l.line_units > 0 "
        "LEFT JOIN charge c ON c.ref = k.id WHERE k.order_no = :no GROUP BY k.no, c.carriage_cents, l.number) AS t "
        "GROUP BY t.no, t.cents",
        no=order_no,
    )
    mine = next((row for row in parcels if row[0] == consignment_no), None)
    if mine is None:
        return 0
    if mine[1] is not None:
        return int(mine[1])
    said, wanted = tx.all(
        "SELECT COALESCE((SELECT carriage_cents FROM order_bill WHERE order_no = :no), 0), SUM(qty - cancelled) "
        "FROM order_line WHERE order_no = :no",
        no=order_no,
    )[0]
    charged = [(int(units), int(cents)) for _, cents, units in parcels if cents is not None]
    gone = sum(units for units, _ in charged) + int(mine[2])
    whole = max(1, int(wanted))
    return max(0, int(said) * min(gone, whole) // whole - sum(cents for _, cents in charged))


__all__ = ["carriage_of"]
