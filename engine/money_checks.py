"""What must hold of money, for `engine.books`: name, rule, and a query for where it does not hold."""

_BEHIND = "(f.tx < r.fact_tx OR (f.tx = r.fact_tx AND f.no <= r.fact_no))"
_READ = f"JOIN consumer r ON r.name = 'billing' AND {_BEHIND}"


def _steps(column: str, kind: str) -> tuple[str, str, str]:
    return (
        f"{column}_is_steps",
        f"what is {column} of a payment was asked for, and done, as its facts say",
        f"""
        SELECT 'payment ' || p.id, COALESCE(t.cents, 0), p.{column}_cents FROM payment p
        LEFT JOIN (SELECT payment_no, SUM(cents) AS cents FROM payment_step WHERE kind = '{kind}' AND state = 'done'
                   GROUP BY payment_no) AS t ON t.payment_no = p.no
        WHERE p.{column}_cents <> COALESCE(t.cents, 0)
        """,
    )


def _facts(kind: str, fact: str) -> tuple[str, str, str]:
    return (
        f"{kind}_has_facts",
        f"each {kind} that is done is one fact, and each such fact is one that is done",
        f"""
        SELECT 'order ' || o.id, COALESCE(s.done, 0), COALESCE(f.told, 0) FROM orders o
        LEFT JOIN (SELECT p.order_no, COUNT(*) AS done FROM payment_step e JOIN payment p ON p.no = e.payment_no
                   WHERE e.kind = '{kind}' AND e.state = 'done' GROUP BY p.order_no) AS s ON s.order_no = o.no
        LEFT JOIN (SELECT subject, COUNT(*) AS told FROM fact WHERE kind = '{fact}' GROUP BY subject) AS f ON f.subject = o.id
        WHERE COALESCE(s.done, 0) <> COALESCE(f.told, 0)
        """,
    )


def _within(kind: str) -> tuple[str, str, str]:
    return (
        f"{kind}_within_charge",
        f"no more is asked for by {kind}s than a charge comes to",
        f"""
        SELECT 'charge ' || t.charge, COALESCE(c.cents, 0), t.cents FROM (
            SELECT charge, SUM(cents) AS cents FROM payment_step WHERE kind = '{kind}' AND state <> 'refused' GROUP BY charge
        ) AS t LEFT JOIN charge c ON c.ref = t.charge AND (c.kind = 'refund') = ('{kind}' = 'refund')
        WHERE t.cents > COALESCE(c.cents, 0)
        """,
    )


MONEY: tuple[tuple[str, str, str], ...] = (
    (
        "payments_in_bounds",
        "refunded <= captured, and captured and voided <= authorised <= what was asked for",
        """
        SELECT 'payment ' || p.id, 'in bounds', 'authorised ' || p.authorised_cents || ', captured ' || p.captured_cents
            || ', voided ' || p.voided_cents || ', refunded ' || p.refunded_cents FROM payment p
        WHERE p.captured_cents + p.voided_cents > p.authorised_cents OR p.authorised_cents > p.cents
           OR p.refunded_cents > p.captured_cents OR p.refunded_cents < 0 OR p.voided_cents < 0
        """,
    ),
    _steps("captured", "capture"),
    _steps("refunded", "refund"),
    (
        "authorised_is_steps",
        "what is authorised of a payment was asked for, and done",
        """
        SELECT 'payment ' || p.id, COALESCE(s.cents, 0), p.authorised_cents FROM payment p
        LEFT JOIN payment_step s ON s.payment_no = p.no AND s.kind = 'authorise' AND s.state = 'done'
        WHERE p.authorised_cents <> COALESCE(s.cents, 0)
        """,
    ),
    _facts("authorise", "PaymentAuthorised"),
    _facts("capture", "PaymentCaptured"),
    _facts("refund", "PaymentRefunded"),
    (
        "lost_is_an_exception",
        "a step whose end nobody knows is an exception until somebody says it",
        """
        SELECT 'step ' || s.id, 'an exception', 'none' FROM payment_step s JOIN payment p ON p.no = s.payment_no
        LEFT JOIN payment_exception x ON x.order_no = p.order_no AND x.ref = s.id WHERE s.state = 'lost' AND x.ref IS NULL
        UNION ALL SELECT 'exception ' || x.ref, 'lost', s.state FROM payment_exception x
        JOIN payment_step s ON s.id = x.ref WHERE s.state <> 'lost'
        """,
    ),
    (
        "settled_has_facts",
        "each step of which somebody said how it ended is one fact, and has ended so",
        """
        SELECT 'order ' || o.id, COALESCE(s.ended, 0), COALESCE(f.told, 0) FROM orders o
        LEFT JOIN (SELECT p.order_no, COUNT(*) AS ended FROM payment_step e JOIN payment p ON p.no = e.payment_no
                   WHERE (e.state = 'done' AND e.why = 'settled') OR (e.state = 'refused' AND e.why = 'not_done')
                   GROUP BY p.order_no) AS s ON s.order_no = o.no
        LEFT JOIN (SELECT subject, COUNT(*) AS told FROM fact WHERE kind = 'PaymentSettled' GROUP BY subject) AS f
            ON f.subject = o.id
        WHERE COALESCE(s.ended, 0) <> COALESCE(f.told, 0)
        """,
    ),
    (
        "charges_are_asked_for",
        "of an order that is paid here, what a charge comes to is asked for, as far as billing has read, or is an exception",
        f"""
        WITH RECURSIVE paid (no) AS (
            SELECT order_no FROM payment
            UNION SELECT r.exchange_no FROM paid JOIN rma r ON r.order_no = paid.no WHERE r.exchange_no IS NOT NULL
        )
        SELECT 'charge ' || t.ref, t.cents, t.asked FROM (
            SELECT c.ref, c.order_no, c.cents, COALESCE((
                SELECT SUM(s.cents) FROM payment_step s JOIN payment p ON p.no = s.payment_no
                WHERE p.order_no = c.order_no AND s.charge = c.ref AND s.state <> 'refused'), 0) AS asked
            FROM paid JOIN charge c ON c.order_no = paid.no
        ) AS t WHERE t.asked < t.cents
          AND NOT EXISTS (SELECT 1 FROM payment_exception x WHERE x.order_no = t.order_no AND x.ref = t.ref)
          AND NOT EXISTS (SELECT 1 FROM payment_step s JOIN payment p ON p.no = s.payment_no
                          WHERE p.order_no = t.order_no AND s.state = 'wanted' AND s.kind IN ('authorise', 'capture'))
          AND NOT EXISTS (SELECT 1 FROM fact f LEFT JOIN consumer r ON r.name = 'billing' AND {_BEHIND}
                          WHERE f.subject = t.ref AND r.name IS NULL)
        """,
    ),
    _within("capture"),
    _within("refund"),
    (
        "shipments_are_charged",
        "what has left is charged, as far as billing has read, and nothing else is charged as a shipment",
        f"""
        SELECT DISTINCT 'consignment ' || k.id, 'a charge', 'none' FROM fact f {_READ}
        JOIN consignment k ON k.id = f.subject LEFT JOIN charge c ON c.ref = k.id
        WHERE f.kind IN ('Shipped', 'ReadyForPickup') AND k.shipped_at IS NOT NULL AND c.no IS NULL
        UNION ALL SELECT 'charge ' || c.ref, 'of what has left', COALESCE(k.state, 'none') FROM charge c
        LEFT JOIN consignment k ON k.id = c.ref AND k.order_no = c.order_no
        WHERE c.kind = 'shipment' AND (k.no IS NULL OR k.shipped_at IS NULL)
        """,
    ),
    (
        "refunds_are_charged",
        "what is owed or withdrawn is charged, as far as billing has read, and nothing else is charged so",
        f"""
        SELECT 'fact ' || f.id, 'a charge', 'none' FROM fact f {_READ} LEFT JOIN charge c ON c.ref = f.id
        WHERE f.kind IN ('RefundOwed', 'CreditWithdrawn') AND c.no IS NULL
        UNION ALL SELECT 'charge ' || c.ref, c.kind, COALESCE(f.kind, 'none') FROM charge c LEFT JOIN fact f ON f.id = c.ref
        WHERE c.kind <> 'shipment'
          AND (f.no IS NULL OR f.kind <> CASE c.kind WHEN 'refund' THEN 'RefundOwed' ELSE 'CreditWithdrawn' END)
        """,
    ),
    (
        "exchanges_use_what_is_kept",
        "an order in place of a return uses no more than it costs, and in the end what is kept for it, no more and no less",
        f"""
        SELECT 'return ' || t.id, 'at most ' || t.most, 'kept ' || t.kept || ', used ' || t.used FROM (
            SELECT r.id, r.exchange_cents AS most, r.awaited + r.received AS coming,
                   n.open + n.allocated + n.released AS to_leave,
                   (SELECT COALESCE(SUM(f.exchange_cents), 0) FROM refund f WHERE f.rma_no = r.no) AS kept,
                   (SELECT COALESCE(SUM(CASE WHEN c.kind = 'refund' THEN -c.passed_cents ELSE c.set_off_cents END), 0)
                    FROM charge c WHERE c.order_no = n.no) AS used
            FROM rma r JOIN orders n ON n.no = r.exchange_no
        ) AS t WHERE t.used < 0 OR t.used > t.most OR t.kept < 0 OR t.kept > t.most
           OR (((t.coming = 0 AND t.used > t.kept) OR (t.to_leave = 0 AND t.kept > t.used))
               AND NOT EXISTS (SELECT 1 FROM fact f LEFT JOIN consumer r ON r.name = 'billing' AND {_BEHIND}
                               WHERE r.name IS NULL))
        """,
    ),
    (
        "invoices_are_charges",
        "an invoice is of a shipment, a credit note of a refund, both of what that comes to, net and tax, and each is one fact",
        """
        SELECT 'invoice ' || i.id, c.kind || ' of ' || (c.cents + c.set_off_cents + c.passed_cents),
               i.kind || ' of ' || i.cents FROM invoice i
        JOIN charge c ON c.no = i.charge_no LEFT JOIN fact f ON f.id = i.id || ':1'
        WHERE i.cents <> c.cents + c.set_off_cents + c.passed_cents
           OR i.net_cents < 0 OR i.net_cents + i.tax_cents <> i.cents OR i.tax_cents <> c.tax_cents
           OR i.order_no <> c.order_no OR (i.kind = 'invoice') <> (c.kind = 'shipment') OR f.no IS NULL
        """,
    ),
    (
        "invoice_numbers_have_no_holes",
        "the numbers of a series and year are all from 1 to the last, each once",
        """
        SELECT 'series ' || s.series || '-' || s.year, '1 to ' || s.last,
               COALESCE(t.times, 0) || ' from ' || COALESCE(t.least, 0) || ' to ' || COALESCE(t.most, 0) FROM invoice_series s
        LEFT JOIN (SELECT series, year, COUNT(*) AS times, MIN(number) AS least, MAX(number) AS most FROM invoice
                   GROUP BY series, year) AS t ON t.series = s.series AND t.year = s.year
        WHERE COALESCE(t.times, 0) <> s.last OR COALESCE(t.least, 1) <> 1 OR COALESCE(t.most, s.last) <> s.last
        UNION ALL SELECT 'invoice ' || i.id, 'a series', 'none' FROM invoice i
        LEFT JOIN invoice_series s ON s.series = i.series AND s.year = i.year WHERE s.last IS NULL
        """,
    ),
    (
        "own_provider_agrees",
        "what the embedded provider did for a step is in its ledger",
        """
        SELECT 'step ' || s.id, s.kind || ' of ' || s.cents, COALESCE(g.kind || ' of ' || g.cents, 'nothing') FROM payment_step s
        JOIN payment p ON p.no = s.payment_no LEFT JOIN gateway_entry g ON g.key = s.id
        WHERE p.provider = 'own' AND s.state = 'done' AND (g.key IS NULL OR g.kind <> s.kind OR g.cents <> s.cents)
          AND EXISTS (SELECT 1 FROM gateway_entry a WHERE a.reference = p.reference)
        """,
    ),
)
