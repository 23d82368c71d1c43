"""A feed: absolute levels of stock from another system, whose messages come twice, late, and in any order.

Each message has a number; of a feed's messages about a SKU at a node only the newest counts. What it says goes before what was
promised: see `engine.stock`.
"""

from collections.abc import Sequence

from engine.database import Rows, Tx
from engine.facts import StockReported
from engine.ledger import write_facts
from engine.stock import apply_levels, check_names, read_numbers


def report(tx: Tx, facts: Sequence[StockReported], by: str = "") -> list[str]:
    """Take messages of feeds: each says how many units are there. Only the newest of a feed about a SKU at a node counts.

    Returns
    -------
    list of str
        For each message `applied`, `late` (a newer one was there), or `seen` (the same one was there).
    """
    new = write_facts(tx, facts, by)
    effective = [fact for fact, is_new in zip(facts, new, strict=True) if is_new]
    numbers = read_numbers(tx, effective)
    for i, fact in enumerate(facts):
        if new[i]:
            check_names(numbers, fact, f"facts[{i}]." if len(facts) > 1 else "")
    newest: dict[tuple[str, int, int], StockReported] = {}
    for fact in effective:
        key = (fact.source, numbers.skus[fact.sku][0], numbers.nodes[fact.node])
        if key not in newest or newest[key].sequence < fact.sequence:
            newest[key] = fact
    keys = sorted(newest)
    ahead: set[str] = set()
    if keys:
        advanced = tx.all(
            "INSERT INTO feed_mark (source, sku_no, node_no, sequence) "
            "SELECT source, sku_no, node_no, sequence FROM {rows} WHERE true ORDER BY source, sku_no, node_no "
            "ON CONFLICT (source, sku_no, node_no) DO UPDATE SET sequence = excluded.sequence "
            "WHERE feed_mark.sequence < excluded.sequence RETURNING source, sku_no, node_no",
            Rows(
                source=[source for source, _, _ in keys],
                sku_no=[sku for _, sku, _ in keys],
                node_no=[node for _, _, node in keys],
                sequence=[newest[key].sequence for key in keys],
            ),
        )
        ahead = {newest[source, sku, node].id for source, sku, node in advanced}
    applied = [fact for fact in effective if fact.id in ahead]
    if applied:
        apply_levels(tx, numbers, [("", fact) for fact in applied])
    return [
        ("applied" if fact.id in ahead else "late") if is_new else "seen"
        for fact, is_new in zip(facts, new, strict=True)
    ]
