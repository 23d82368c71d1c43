"""Do the books balance? Every invariant of stock and orders is a query here that finds what breaks it.

The database's own constraints hold most of these row by row; what spans rows and tables is proven here, by `allot fsck`.
"""

from dataclasses import dataclass

from engine.claims import UNDECIDED
from engine.consignments import AT_NODE, ON_ITS_WAY
from engine.database import Tx
from engine.ledger import STATES
from engine.money_checks import MONEY
from engine.tables import LINE_STATES


@dataclass(frozen=True, slots=True)
class Check:
    """An invariant: its name, what must be true, and a query for where it is not (place, what should be, what is)."""

    name: str
    rule: str
    sql: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not balance."""

    name: str
    rule: str
    place: str
    should: str
    found: str

    def __str__(self) -> str:
        return f"{self.name}: {self.place}: {self.found}, should be {self.should} ({self.rule})"


MOST_FINDINGS = 100
"""Of each check, at most."""

_AT_NODE = ", ".join(f"'{state}'" for state in AT_NODE)
_ON_ITS_WAY = ", ".join(f"'{state}'" for state in ON_ITS_WAY)
_STOCK = "'SKU ' || s.id || ' at ' || n.id"
_LINE = "'order ' || o.id || ' line ' || l.number"
# a kit's parts stand for the same units of the line
_IN_CONSIGNMENTS = """
    SELECT k.order_no, c.number, k.state, MIN(c.line_units) AS units,
           MIN(CASE WHEN c.units = 0 THEN 0 ELSE c.returned / (c.units / c.line_units) END) AS returned
    FROM consignment_line c JOIN consignment k ON k.no = c.consignment_no
    WHERE c.line_units > 0 AND k.state <> 'withdrawn' GROUP BY k.no, k.order_no, c.number, k.state
"""
_TIED = """
    SELECT order_no, number, node_no, service, MIN(line_units) AS units FROM claim
    GROUP BY order_no, number, node_no, service
"""


def _movements(state: str) -> Check:
    return Check(
        f"{state}_is_movements",
        f"{state} units are what the movements add up to",
        f"""
        SELECT {_STOCK}, t.moved, t.{state} FROM (
            SELECT sku_no, node_no, SUM({state}) AS {state}, SUM(moved) AS moved FROM (
                SELECT sku_no, node_no, {state}, 0 AS moved FROM stock
                UNION ALL SELECT sku_no, node_no, 0, {state} FROM movement
            ) AS entries GROUP BY sku_no, node_no HAVING SUM({state}) <> SUM(moved)
        ) AS t JOIN sku s ON s.no = t.sku_no JOIN node n ON n.no = t.node_no
        """,
    )


def _order_sums(state: str) -> Check:
    return Check(
        f"orders_{state}_is_lines",
        f"the {state} units of an order are those of its lines",
        f"""
        SELECT 'order ' || o.id, COALESCE(t.units, 0), o.{state} FROM orders o
        LEFT JOIN (SELECT order_no, SUM({state}) AS units FROM order_line GROUP BY order_no) AS t ON t.order_no = o.no
        WHERE o.{state} <> COALESCE(t.units, 0)
        """,
    )


def _in_consignments(state: str, states: str, units: str) -> Check:
    return Check(
        f"{state}_is_consignments",
        f"the {state} units of a line are in consignments that are so far",
        f"""
        SELECT {_LINE}, COALESCE(t.units, 0), l.{state} FROM order_line l JOIN orders o ON o.no = l.order_no
        LEFT JOIN (SELECT order_no, number, SUM({units}) AS units FROM ({_IN_CONSIGNMENTS}) AS entries
                   WHERE state IN ({states}) GROUP BY order_no, number) AS t
        ON t.order_no = l.order_no AND t.number = l.number WHERE l.{state} <> COALESCE(t.units, 0)
        """,
    )


def _planned(what: str, of_parcel: str, of_consignment: str) -> Check:
    return Check(
        f"planned_{what}_is_work",
        f"the {what} of a node's day are those of its parcels and consignments",
        f"""
        SELECT n.id || ' on day ' || t.day, t.work, t.planned FROM (
            SELECT node_no, day, SUM(planned) AS planned, SUM(work) AS work FROM (
                SELECT node_no, day, {what} AS planned, 0 AS work FROM node_day
                UNION ALL {of_parcel} UNION ALL {of_consignment}
            ) AS entries GROUP BY node_no, day HAVING SUM(planned) <> SUM(work)
        ) AS t JOIN node n ON n.no = t.node_no
        """,
    )


def _return_sums(what: str) -> Check:
    return Check(
        f"returns_{what}_is_lines",
        f"the {what} units of a return are those of its lines",
        f"""
        SELECT 'return ' || r.id, COALESCE(t.units, 0), r.{what} FROM rma r
        LEFT JOIN (SELECT rma_no, SUM({what}) AS units FROM rma_line GROUP BY rma_no) AS t ON t.rma_no = r.no
        WHERE r.{what} <> COALESCE(t.units, 0)
        """,
    )


_RETURN_LINE = "'return ' || r.id || ' line ' || l.number || ' SKU ' || s.id"
# what is owed of a return: nothing while it is kept for an exchange that may still be ordered
_HELD = "(r.wanted = 'exchange' AND r.exchange_no IS NULL)"


CHECKS = (
    *(_movements(state) for state in STATES),
    Check(
        "stock_in_bounds",
        "0 <= missing <= reserved <= on hand, and nothing is below 0",
        f"""
        SELECT {_STOCK}, 'in bounds', 'on hand ' || k.on_hand || ', reserved ' || k.reserved || ', missing ' || k.missing
        FROM stock k JOIN sku s ON s.no = k.sku_no JOIN node n ON n.no = k.node_no
        WHERE k.reserved > k.on_hand OR k.missing > k.reserved OR k.missing < 0 OR k.damaged < 0 OR k.quarantined < 0
        """,
    ),
    Check(
        "reserved_is_claims",
        "reserved units are claimed, in consignments at the node, or held",
        f"""
        SELECT {_STOCK}, t.claimed, t.reserved FROM (
            SELECT sku_no, node_no, SUM(reserved) AS reserved, SUM(claimed) AS claimed FROM (
                SELECT sku_no, node_no, reserved, 0 AS claimed FROM stock
                UNION ALL SELECT sku_no, node_no, 0, units FROM claim
                UNION ALL SELECT c.sku_no, k.node_no, 0, c.units FROM consignment_line c
                    JOIN consignment k ON k.no = c.consignment_no WHERE k.state IN ({_AT_NODE})
                UNION ALL SELECT u.sku_no, u.node_no, 0, u.units FROM hold_unit u
                    JOIN hold h ON h.id = u.hold WHERE h.state = 'held'
            ) AS entries GROUP BY sku_no, node_no HAVING SUM(reserved) <> SUM(claimed)
        ) AS t JOIN sku s ON s.no = t.sku_no JOIN node n ON n.no = t.node_no
        """,
    ),
    Check(
        "line_units_add_up",
        "each unit of a line is in one state",
        f"""
        SELECT {_LINE}, l.qty, {" + ".join(f"l.{state}" for state in LINE_STATES)}
        FROM order_line l JOIN orders o ON o.no = l.order_no
        WHERE l.qty <> {" + ".join(f"l.{state}" for state in LINE_STATES)}
           OR {" OR ".join(f"l.{state} < 0" for state in LINE_STATES)}
        """,
    ),
    *(_order_sums(state) for state in LINE_STATES),
    Check(
        "allocated_is_claims",
        "the allocated units of a line are tied by claims",
        f"""
        SELECT {_LINE}, COALESCE(t.units, 0), l.allocated FROM order_line l JOIN orders o ON o.no = l.order_no
        LEFT JOIN (SELECT order_no, number, SUM(units) AS units FROM ({_TIED}) AS entries GROUP BY order_no, number) AS t
        ON t.order_no = l.order_no AND t.number = l.number WHERE l.allocated <> COALESCE(t.units, 0)
        """,
    ),
    _in_consignments("released", _AT_NODE, "units"),
    _in_consignments("shipped", _ON_ITS_WAY, "units - returned"),
    _in_consignments("delivered", "'delivered'", "units - returned"),
    _in_consignments("returned", f"{_ON_ITS_WAY}, 'delivered', 'lapsed'", "returned"),
    Check(
        "claims_are_of_their_line",
        "a line claims its SKU, unit by unit; a kit claims all of its parts, in proportion, for the same units of the line",
        f"""
        SELECT DISTINCT {_LINE}, 'in proportion', 'SKU ' || c.sku_no || ': ' || c.units || ' for ' || c.line_units
        FROM claim c JOIN order_line l ON l.order_no = c.order_no AND l.number = c.number
        JOIN orders o ON o.no = l.order_no JOIN sku s ON s.no = l.sku_no
        LEFT JOIN kit_part p ON p.kit_no = l.sku_no AND p.part_no = c.sku_no
        WHERE (NOT s.is_kit AND (c.sku_no <> l.sku_no OR c.units <> c.line_units))
           OR (s.is_kit AND (p.units IS NULL OR c.units <> c.line_units * p.units
               OR (SELECT COUNT(*) FROM claim d WHERE d.order_no = c.order_no AND d.number = c.number
                   AND d.node_no = c.node_no AND d.service = c.service AND d.line_units = c.line_units)
                  <> (SELECT COUNT(*) FROM kit_part q WHERE q.kit_no = l.sku_no)))
        """,
    ),
    Check(
        "claims_have_parcels",
        "what is allocated is in a parcel, unless it was held and is not decided",
        f"""
        SELECT DISTINCT 'order ' || o.id || ' at node ' || c.node_no, 'a parcel', 'none' FROM claim c
        JOIN orders o ON o.no = c.order_no LEFT JOIN parcel p ON p.order_no = c.order_no
            AND p.node_no = c.node_no AND p.service = c.service
        WHERE c.service <> '{UNDECIDED}' AND p.order_no IS NULL
        """,
    ),
    Check(
        "parcels_have_claims",
        "a parcel holds something",
        """
        SELECT 'order ' || o.id || ' at node ' || p.node_no, 'claims', 'none' FROM parcel p
        JOIN orders o ON o.no = p.order_no LEFT JOIN claim c ON c.order_no = p.order_no
            AND c.node_no = p.node_no AND c.service = p.service
        WHERE c.order_no IS NULL
        """,
    ),
    _planned(
        "parcels",
        "SELECT node_no, work_day, 0, 1 FROM parcel",
        "SELECT node_no, work_day, 0, 1 FROM consignment WHERE state <> 'withdrawn'",
    ),
    _planned(
        "units",
        f"SELECT p.node_no, p.work_day, 0, t.units FROM parcel p JOIN ({_TIED}) AS t "
        "ON t.order_no = p.order_no AND t.node_no = p.node_no AND t.service = p.service",
        "SELECT k.node_no, k.work_day, 0, c.units FROM consignment k JOIN (SELECT consignment_no, number, "
        "MIN(line_units) AS units FROM consignment_line GROUP BY consignment_no, number) AS c "
        "ON c.consignment_no = k.no WHERE k.state <> 'withdrawn'",
    ),
    Check(
        "allotments_are_sold",
        "what counts as sold of an allotment are the units of its lines that are not cancelled, and those that are held",
        """
        SELECT a.channel || ' of SKU ' || s.id, COALESCE(t.units, 0), a.sold FROM channel_stock a
        JOIN sku s ON s.no = a.sku_no
        LEFT JOIN (SELECT channel, sku_no, SUM(units) AS units FROM (
                SELECT o.channel, l.sku_no, l.qty - l.cancelled AS units FROM order_line l
                    JOIN orders o ON o.no = l.order_no WHERE l.allotted
                UNION ALL SELECT h.channel, u.sku_no, u.units FROM hold_allotted u
                    JOIN hold h ON h.id = u.hold WHERE h.state = 'held'
            ) AS entries GROUP BY channel, sku_no) AS t
        ON t.channel = a.channel AND t.sku_no = a.sku_no WHERE a.sold <> COALESCE(t.units, 0)
        """,
    ),
    Check(
        "presales_are_counted",
        "what counts as presold are the units of presale lines that are not cancelled",
        """
        SELECT 'SKU ' || s.id, COALESCE(t.units, 0), s.presold FROM sku s
        LEFT JOIN (SELECT sku_no, SUM(qty - cancelled) AS units FROM order_line WHERE presale GROUP BY sku_no) AS t
        ON t.sku_no = s.no WHERE s.presold <> COALESCE(t.units, 0)
        """,
    ),
    Check(
        "holds_end_once",
        "a hold has an order where it was converted, one fact of its end where it was not, and neither while it holds",
        """
        SELECT 'hold ' || h.id, 'one end', h.state || ' with ' || COALESCE(t.ends, 0) || ' facts and '
            || CASE WHEN h.order_no IS NULL THEN 'no order' ELSE 'an order' END FROM hold h
        LEFT JOIN (SELECT subject, COUNT(*) AS ends FROM fact WHERE kind = 'HoldReleased' GROUP BY subject) AS t
        ON t.subject = h.id
        WHERE (h.state = 'converted') <> (h.order_no IS NOT NULL)
           OR COALESCE(t.ends, 0) <> CASE WHEN h.state IN ('released', 'expired') THEN 1 ELSE 0 END
        """,
    ),
    Check(
        "orders_have_facts",
        "each order was placed by one fact of the same content, and each such fact has its order",
        """
        SELECT 'order ' || o.id, 'the fact that placed it', COALESCE(f.kind || ' of other content', 'no fact')
        FROM orders o LEFT JOIN fact f ON f.id = o.id
        WHERE f.id IS NULL OR f.kind <> 'OrderPlaced' OR f.content <> o.content
        UNION ALL SELECT 'fact ' || f.no, 'an order', 'none' FROM fact f LEFT JOIN orders o ON o.id = f.id
        WHERE f.kind = 'OrderPlaced' AND o.no IS NULL
        """,
    ),
    Check(
        "holds_have_facts",
        "each hold was placed by one fact of the same content",
        """
        SELECT 'hold ' || h.id, 'the fact that placed it', COALESCE(f.kind || ' of other content', 'no fact')
        FROM hold h LEFT JOIN fact f ON f.id = h.id
        WHERE f.id IS NULL OR f.kind <> 'HoldPlaced' OR f.content <> h.content
        """,
    ),
    Check(
        "channel_orders_are_of_their_channel",
        "an order that a connection says is one of its channel, by the id that it has there",
        """
        SELECT 'order ' || o.id, c.channel || ' ' || r.external_id, o.channel || ' ' || o.external_id FROM channel_order r
        JOIN connection c ON c.id = r.connection JOIN orders o ON o.no = r.order_no
        WHERE o.channel <> c.channel OR o.external_id <> r.external_id
        """,
    ),
    Check(
        "channel_lines_are_lines",
        "a line that a connection says is one of an order that it says",
        """
        SELECT 'line ' || l.ref || ' of order ' || l.order_no, 'a line of an order that was said',
            CASE WHEN i.number IS NULL THEN 'no line' ELSE 'nobody said it' END FROM channel_line l
        LEFT JOIN order_line i ON i.order_no = l.order_no AND i.number = l.number
        LEFT JOIN channel_order r ON r.order_no = l.order_no WHERE i.number IS NULL OR r.order_no IS NULL
        """,
    ),
    Check(
        "what_is_not_done_is_told",
        "what a connection said and was not done has an issue: units that were given up too late, and states that are kept",
        """
        SELECT 'order ' || r.external_id || ' of ' || r.connection, 'an issue', 'none' FROM channel_order r
        WHERE (r.said <> '' OR r.waiting <> ''
               OR EXISTS (SELECT 1 FROM channel_line l WHERE l.order_no = r.order_no AND l.undone > 0))
          AND NOT EXISTS (SELECT 1 FROM channel_issue i
                          WHERE i.connection = r.connection AND i.external_id = r.external_id)
        """,
    ),
    Check(
        "consumers_read_what_is_there",
        "no reader of the log is ahead of it",
        """
        SELECT 'consumer ' || c.name, 'at most ' || (SELECT COALESCE(MAX(no), 0) FROM fact), c.fact_no FROM consumer c
        WHERE c.fact_no > (SELECT COALESCE(MAX(no), 0) FROM fact)
        """,
    ),
    *(_return_sums(what) for what in ("awaited", "received", "inspected", "closed")),
    Check(
        "return_units_balance",
        "each unit of a return is in one state; what came is at nodes, and what was looked at was written down",
        f"""
        SELECT {_RETURN_LINE}, 'came ' || (l.received + l.inspected) || ', looked at ' || l.inspected,
               'came ' || COALESCE(t.units, 0) || ', looked at ' || COALESCE(t.inspected, 0) || ' and '
               || COALESCE(i.units, 0) FROM rma_line l
        JOIN rma r ON r.no = l.rma_no JOIN sku s ON s.no = l.sku_no
        LEFT JOIN (SELECT rma_no, consignment_no, number, sku_no, SUM(units) AS units, SUM(inspected) AS inspected
            FROM rma_receipt GROUP BY rma_no, consignment_no, number, sku_no) AS t
        ON t.rma_no = l.rma_no AND t.consignment_no = l.consignment_no AND t.number = l.number AND t.sku_no = l.sku_no
        LEFT JOIN (SELECT rma_no, consignment_no, number, sku_no, SUM(units) AS units
            FROM inspection GROUP BY rma_no, consignment_no, number, sku_no) AS i
        ON i.rma_no = l.rma_no AND i.consignment_no = l.consignment_no AND i.number = l.number AND i.sku_no = l.sku_no
        WHERE l.received + l.inspected <> COALESCE(t.units, 0) OR l.inspected <> COALESCE(t.inspected, 0)
           OR l.inspected <> COALESCE(i.units, 0)
           OR l.announced + l.extra <> l.awaited + l.received + l.inspected + l.closed
        """,
    ),
    Check(
        "returned_was_shipped",
        "no more came back of a consignment than it held, what came by returns counts as returned, and no more is awaited "
        "than can still come",
        """
        SELECT 'consignment ' || k.id || ' line ' || c.number, 'at most ' || c.units,
               c.returned || ' returned, ' || t.came || ' by returns, ' || t.awaited || ' awaited'
        FROM (SELECT consignment_no, number, sku_no, SUM(received + inspected) AS came, SUM(awaited) AS awaited
              FROM rma_line GROUP BY consignment_no, number, sku_no) AS t
        JOIN consignment_line c ON c.consignment_no = t.consignment_no AND c.number = t.number AND c.sku_no = t.sku_no
        JOIN consignment k ON k.no = c.consignment_no
        WHERE t.came > c.returned OR c.returned + t.awaited > c.units
        """,
    ),
    Check(
        "what_came_back_is_quarantined",
        "units that came back and that nobody has looked at yet are quarantined",
        f"""
        SELECT {_STOCK}, 'at least ' || t.units, COALESCE(k.quarantined, 0) FROM (
            SELECT sku_no, node_no, SUM(units - inspected) AS units FROM rma_receipt GROUP BY sku_no, node_no
        ) AS t JOIN sku s ON s.no = t.sku_no JOIN node n ON n.no = t.node_no
        LEFT JOIN stock k ON k.sku_no = t.sku_no AND k.node_no = t.node_no WHERE t.units > COALESCE(k.quarantined, 0)
        """,
    ),
    Check(
        "refunds_are_what_was_inspected",
        "what is owed of a return are the goods and fees of what was looked at, unless it is kept for an exchange",
        f"""
        SELECT 'return ' || r.id, CASE WHEN {_HELD} THEN 0 ELSE COALESCE(i.cents, 0) END, COALESCE(f.cents, 0) FROM rma r
        LEFT JOIN (SELECT rma_no, SUM(goods_cents - fee_cents) AS cents FROM inspection GROUP BY rma_no) AS i
        ON i.rma_no = r.no
        LEFT JOIN (SELECT rma_no, SUM(goods_cents - fee_cents) AS cents FROM refund GROUP BY rma_no) AS f
        ON f.rma_no = r.no
        WHERE COALESCE(f.cents, 0) <> CASE WHEN {_HELD} THEN 0 ELSE COALESCE(i.cents, 0) END
        """,
    ),
    Check(
        "label_and_exchange_are_kept_once",
        "of what is owed, the parcel back is kept as far as it goes, an exchange no more than it costs",
        """
        SELECT 'return ' || r.id, 'label ' || r.label_cents || ', exchange ' || r.exchange_cents,
               'label ' || f.label || ', exchange ' || f.exchange || ', left ' || f.cents FROM rma r
        JOIN (SELECT rma_no, SUM(label_cents) AS label, SUM(exchange_cents) AS exchange, SUM(cents) AS cents
              FROM refund GROUP BY rma_no) AS f ON f.rma_no = r.no
        WHERE f.label > r.label_cents OR f.exchange > r.exchange_cents OR f.exchange < 0
           OR (f.cents > 0 AND f.label < r.label_cents)
        """,
    ),
    Check(
        "lapsed_is_owed",
        "what was not collected in time, and did not come back before, is owed",
        """
        SELECT 'consignment ' || k.id, 'a refund', 'none' FROM consignment k WHERE k.state = 'lapsed'
          AND NOT EXISTS (SELECT 1 FROM refund f WHERE f.consignment_no = k.no AND f.rma_no IS NULL)
          AND EXISTS (SELECT 1 FROM consignment_line c WHERE c.consignment_no = k.no AND c.returned > (
              SELECT COALESCE(SUM(l.received + l.inspected), 0) FROM rma_line l
              WHERE l.consignment_no = c.consignment_no AND l.number = c.number AND l.sku_no = c.sku_no))
        """,
    ),
    Check(
        "refunds_within_price",
        "the goods of a line that are owed are at most what was paid for the units, and the carriage of a parcel is owed once",
        f"""
        SELECT {_LINE}, 'at most ' || (COALESCE(l.price_cents, 0) * l.qty), t.cents || ' cents' FROM (
            SELECT r.order_no, i.number, SUM(i.goods_cents) AS cents FROM inspection i JOIN rma r ON r.no = i.rma_no
            GROUP BY r.order_no, i.number
        ) AS t JOIN order_line l ON l.order_no = t.order_no AND l.number = t.number JOIN orders o ON o.no = l.order_no
        WHERE t.cents > COALESCE(l.price_cents, 0) * l.qty
        UNION ALL SELECT 'consignment ' || k.id, 'carriage once', t.times || ' times' FROM (
            SELECT consignment_no, COUNT(*) AS times FROM refund WHERE carriage_cents > 0 GROUP BY consignment_no
            HAVING COUNT(*) > 1
        ) AS t JOIN consignment k ON k.no = t.consignment_no
        """,
    ),
    Check(
        "refunds_have_facts",
        "what is owed was said by one fact, and each such fact is of something that is owed",
        """
        SELECT 'refund ' || f.id, 'one fact', COUNT(a.no) || ' facts' FROM refund f
        LEFT JOIN fact a ON a.id = f.id AND a.kind = 'RefundOwed' WHERE f.goods_cents + f.carriage_cents + f.cents > 0
        GROUP BY f.id HAVING COUNT(a.no) <> 1
        UNION ALL SELECT 'fact ' || a.id, 'a refund', 'none' FROM fact a
        LEFT JOIN refund f ON f.id = a.id AND f.goods_cents + f.carriage_cents + f.cents > 0
        WHERE a.kind = 'RefundOwed' AND f.no IS NULL
        """,
    ),
    Check(
        "exchanges_are_ordered",
        "an order has as many facts of exchanges as returns that were exchanged",
        """
        SELECT 'order ' || o.id, t.exchanged, t.facts FROM (
            SELECT r.order_no, COUNT(*) AS exchanged, (SELECT COUNT(*) FROM fact a JOIN orders o ON o.id = a.subject
                WHERE o.no = r.order_no AND a.kind = 'ExchangeOrdered') AS facts
            FROM rma r WHERE r.exchange_no IS NOT NULL GROUP BY r.order_no
        ) AS t JOIN orders o ON o.no = t.order_no WHERE t.exchanged <> t.facts
        """,
    ),
    Check(
        "events_are_numbered",
        "the events of a subject are numbered without holes, up to the last that was told of it",
        """
        SELECT t.subject, t.sequence || ' as the last', e.last || ' of ' || e.events FROM told t JOIN (
            SELECT subject, MIN(sequence) AS first, MAX(sequence) AS last, COUNT(*) AS events FROM event GROUP BY subject
        ) AS e ON e.subject = t.subject WHERE e.last <> t.sequence OR e.events <> e.last - e.first + 1
        UNION ALL SELECT 'event ' || e.id, 'a subject', 'none' FROM event e LEFT JOIN told t ON t.subject = e.subject
        WHERE t.subject IS NULL
        """,
    ),
    Check(
        "events_have_facts",
        "each event comes from a fact, unless it was asked for",
        """
        SELECT 'event ' || e.id, 'fact ' || e.fact, 'none' FROM event e LEFT JOIN fact f ON f.id = e.fact
        WHERE f.id IS NULL AND e.fact <> ''
        """,
    ),
    Check(
        "deliveries_were_answered",
        "what is delivered was answered with success, and each try is written down",
        """
        SELECT 'event ' || d.event_no || ' to ' || d.webhook, d.tries, COALESCE(a.tries, 0) || ', ' || COALESCE(a.done, 0)
            || ' with success' FROM delivery d
        LEFT JOIN (SELECT webhook, event_no, COUNT(*) AS tries,
                          SUM(CASE WHEN code BETWEEN 200 AND 299 THEN 1 ELSE 0 END) AS done
                   FROM attempt GROUP BY webhook, event_no) AS a ON a.webhook = d.webhook AND a.event_no = d.event_no
        WHERE (d.state = 'delivered' AND COALESCE(a.done, 0) = 0) OR COALESCE(a.tries, 0) < d.tries
           OR (d.replays = 0 AND COALESCE(a.tries, 0) > d.tries)
        """,
    ),
    Check(
        "deliveries_go_in_sequence",
        "nothing is delivered while an earlier event of its subject waits, unless that was asked for again",
        """
        SELECT DISTINCT 'event ' || d.event_no || ' to ' || d.webhook, 'after event ' || f.event_no, 'before'
        FROM delivery d JOIN delivery f ON f.webhook = d.webhook AND f.subject = d.subject AND f.event_no < d.event_no
        WHERE d.state = 'delivered' AND f.state = 'waiting' AND f.replays = 0
        """,
    ),
    Check(
        "consignments_have_times",
        "what was shipped has a time at which it was, and what was delivered too",
        f"""
        SELECT 'consignment ' || k.id, 'its times', k.state FROM consignment k
        WHERE (k.state IN ({_ON_ITS_WAY}, 'delivered', 'lapsed')) <> (k.shipped_at IS NOT NULL)
           OR (k.state = 'delivered') <> (k.delivered_at IS NOT NULL)
        """,
    ),
    Check(
        "pickups_end",
        "what is ready waits where it is collected, until then; what was collected or lapsed waited; of what lapsed all came back",
        """
        SELECT 'consignment ' || k.id, 'an end', k.state FROM consignment k
        WHERE (k.state IN ('ready', 'lapsed') AND (k.collect_until IS NULL OR k.collect_no IS NULL))
           OR (k.collect_until IS NOT NULL AND k.state NOT IN ('ready', 'lapsed', 'delivered'))
           OR (k.state = 'lapsed' AND EXISTS (SELECT 1 FROM consignment_line c
               WHERE c.consignment_no = k.no AND c.returned <> c.units))
        """,
    ),
    Check(
        "kits_stay_whole",
        "all parts of a kit in a consignment stand for the same units of its line, so many for each",
        """
        SELECT 'consignment ' || k.id || ' line ' || t.number, 'whole kits', t.least || ' to ' || t.most FROM (
            SELECT consignment_no, number, MIN(line_units) AS least, MAX(line_units) AS most,
                   MAX(CASE WHEN line_units = 0 THEN units ELSE units % line_units END) AS broken
            FROM consignment_line GROUP BY consignment_no, number
        ) AS t JOIN consignment k ON k.no = t.consignment_no WHERE t.least <> t.most OR t.broken <> 0
        """,
    ),
    Check(
        "labels_have_facts",
        "a label that is made has the one fact that says so, and none that it was cancelled; others were not made, or are over",
        """
        SELECT 'label ' || l.id, CASE WHEN l.state = 'made' THEN '1 made, 0 cancelled' ELSE 'no fact of a made one' END,
               COALESCE(t.made, 0) || ' made, ' || COALESCE(t.cancelled, 0) || ' cancelled, ' || l.state FROM label l
        JOIN consignment k ON k.no = l.consignment_no
        LEFT JOIN (SELECT f.id, SUM(CASE WHEN f.kind = 'LabelMade' THEN 1 ELSE 0 END) AS made,
                          SUM(CASE WHEN f.kind = 'LabelCancelled' THEN 1 ELSE 0 END) AS cancelled
                   FROM (SELECT l.id, f.kind FROM label l JOIN consignment k ON k.no = l.consignment_no
                         JOIN fact f ON f.subject = k.id AND f.kind IN ('LabelMade', 'LabelCancelled')
                         AND f.payload LIKE '%"label":"' || l.id || '"%') AS f GROUP BY f.id) AS t ON t.id = l.id
        WHERE (l.state = 'made' AND (COALESCE(t.made, 0) <> 1 OR COALESCE(t.cancelled, 0) <> 0))
           OR (l.state IN ('wanted', 'refused') AND COALESCE(t.made, 0) + COALESCE(t.cancelled, 0) <> 0)
        """,
    ),
    Check(
        "labels_are_of_what_is_there",
        "nothing that was withdrawn has a label that is wanted or made, and nothing that has left waits for one",
        f"""
        SELECT 'label ' || l.id, 'unwanted', l.state || ' for what is ' || k.state FROM label l
        JOIN consignment k ON k.no = l.consignment_no
        WHERE (l.state IN ('wanted', 'made') AND k.state = 'withdrawn')
           OR (l.state = 'wanted' AND k.state NOT IN ({_AT_NODE}))
        """,
    ),
    *(Check(*one) for one in MONEY),
)
"""Every invariant that spans rows or tables."""


def fsck(tx: Tx) -> list[Finding]:
    """Look for what does not balance, all in one state of the database (a read transaction)."""
    return [
        Finding(check.name, check.rule, str(place), str(should), str(found))
        for check in CHECKS
        for place, should, found in tx.all(f"{check.sql} LIMIT {MOST_FINDINGS}")
    ]
