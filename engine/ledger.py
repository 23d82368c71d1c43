"""The ledger: the one way in which stock changes, and the one way in which facts are written.

Stock is what its movements add up to. Whoever moves it says why (`cause`) and for what (`ref`), and writes a fact in the same
transaction.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.database import Ask, Column, Rows, Tx
from engine.facts import Fact, check_refs, checked, content, notes_of
from solver.refusal import Refusal

STATES = ("on_hand", "reserved", "damaged", "quarantined")
"""What a movement changes."""
MISSED = "missed"
"""Units that a count had missed among those that were handed to the node, and that turned out to be gone."""


def move(
    tx: Tx,
    at: int,
    cause: Column | str,
    ref: Column | str,
    sku_no: Column,
    node_no: Column,
    *,
    on_hand: Column | None = None,
    reserved: Column | None = None,
    damaged: Column | None = None,
    quarantined: Column | None = None,
) -> None:
    """Change stock by so many units, and note each change.

    Rows are locked in order; a row that is not there yet is made. Entries may name a row more than once: its net change must fit.

    Parameters
    ----------
    cause, ref
        (n,) why each change was made and what it is for, or one for all.
    sku_no, node_no
        (n,) whose stock.
    on_hand, reserved, damaged, quarantined
        (n,) units more (or fewer); none where not said.

    Raises
    ------
    Refusal
        `not_enough_stock` where fewer than no units would be left, `stock_is_reserved` where fewer than are claimed.
    """
    size = len(sku_no)
    if not size:
        return
    given = {"on_hand": on_hand, "reserved": reserved, "damaged": damaged, "quarantined": quarantined}
    change = np.zeros((4, size), dtype=np.int64)
    for i, column in enumerate(given.values()):
        if column is not None:
            change[i] = column
    keys = np.stack([np.asarray(sku_no, dtype=np.int64), np.asarray(node_no, dtype=np.int64)])
    rows, which = np.unique(keys, axis=1, return_inverse=True)
    net = np.zeros((4, rows.shape[1]), dtype=np.int64)
    np.add.at(net.T, which.reshape(-1), change.T)
    gone = _change(tx, rows, net)
    causes = [cause] * size if isinstance(cause, str) else list(cause)
    refs = [ref] * size if isinstance(ref, str) else list(ref)
    moved = np.flatnonzero(change.any(axis=0))
    _note(tx, at, [causes[i] for i in moved], [refs[i] for i in moved], keys[:, moved], change[:, moved])
    if gone.size:
        lost = np.zeros((4, gone.shape[1]), dtype=np.int64)
        lost[0] = -gone[2]
        _note(tx, at, [MISSED] * gone.shape[1], [refs[0]] * gone.shape[1], gone[:2], lost)


def lock_stock(
    tx: Tx, sku_no: Column, node_no: Column, *, make: bool = False
) -> dict[tuple[int, int], tuple[int, int, int, int]]:
    """Lock stock rows in the order that everybody keeps, and say what is there.

    Parameters
    ----------
    make
        Whether rows that are not there yet are made.

    Returns
    -------
    dict
        (sku_no, node_no) to on hand, reserved, damaged and quarantined, for each row that exists.
    """
    pairs = sorted({(int(s), int(n)) for s, n in zip(sku_no, node_no, strict=True)})
    if not pairs:
        return {}
    found = tx.all(
        "SELECT s.sku_no, s.node_no, s.on_hand, s.reserved, s.damaged, s.quarantined FROM {rows} "
        "JOIN stock s ON s.sku_no = rows.sku_no AND s.node_no = rows.node_no ORDER BY s.sku_no, s.node_no"
        + (" FOR NO KEY UPDATE OF s" if tx.locking else ""),
        Rows(sku_no=[s for s, _ in pairs], node_no=[n for _, n in pairs]),
    )
    there = {(s, n): (on_hand, reserved, damaged, aside) for s, n, on_hand, reserved, damaged, aside in found}
    new = [pair for pair in pairs if pair not in there]
    if make and new:
        tx.run(
            "INSERT INTO stock (sku_no, node_no) SELECT sku_no, node_no FROM {rows} WHERE true "
            "ORDER BY sku_no, node_no ON CONFLICT DO NOTHING",
            Rows(sku_no=[sku for sku, _ in new], node_no=[node for _, node in new]),
        )
        there |= lock_stock(tx, [sku for sku, _ in new], [node for _, node in new])
    return there


def write_facts(tx: Tx, facts: Sequence[Fact], by: str = "") -> list[bool]:
    """Add facts to the log.

    Parameters
    ----------
    by
        The key that did it; empty for the engine itself.

    Returns
    -------
    list of bool
        Which are new; the others were there already, with the same content, and must have no second effect.

    Raises
    ------
    Refusal
        `fact_conflict`: a fact of that id is there, with other content.
    """
    if not facts:
        return []
    payloads = [checked(fact, f"facts[{i}]" if len(facts) > 1 else "") for i, fact in enumerate(facts)]
    for fact in facts:
        check_refs(fact)
    contents = [content(fact, payload) for fact, payload in zip(facts, payloads, strict=True)]
    first: dict[str, int] = {}
    for i, fact in enumerate(facts):
        if contents[first.setdefault(fact.id, i)] != contents[i]:
            raise _conflict(facts, i)
    n = list(first.values())
    inserted = tx.all(
        _insertion(tx) + " ON CONFLICT (id) DO NOTHING RETURNING id",
        Rows(
            n=n,
            id=[facts[i].id for i in n],
            kind=[facts[i].kind for i in n],
            at=[facts[i].at for i in n],
            subject=[facts[i].subject for i in n],
            content=[contents[i] for i in n],
            payload=[_without_notes(facts[i], payloads[i]).decode() for i in n],
        ),
        by=by,
    )
    new = {fact_id for (fact_id,) in inserted}
    _write_notes(tx, [facts[i] for i in n if facts[i].id in new])
    if len(new) < len(n):
        seen = [i for i in n if facts[i].id not in new]
        there = tx.all(
            "SELECT fact.id, fact.content FROM {rows} JOIN fact ON fact.id = rows.id",
            Rows(id=[facts[i].id for i in seen]),
        )
        known = dict(there)
        for i in seen:
            if known[facts[i].id] != contents[i]:
                raise _conflict(facts, i)
    return [fact.id in new and first[fact.id] == i for i, fact in enumerate(facts)]


def _without_notes(fact: Fact, payload: bytes) -> bytes:
    """A fact as the log keeps it for ever: free text is kept apart, where it can be erased."""
    notes = notes_of(fact)
    return msgspec.json.encode(msgspec.structs.replace(fact, **dict.fromkeys(notes, ""))) if notes else payload


def _write_notes(tx: Tx, facts: Sequence[Fact]) -> None:
    notes = [(fact, name, text) for fact in facts for name, text in notes_of(fact).items()]
    if notes:
        tx.run(
            "INSERT INTO remark (fact, field, subject, at, text) SELECT fact, field, subject, at, text FROM {rows}",
            Rows(
                fact=[fact.id for fact, _, _ in notes],
                field=[name for _, name, _ in notes],
                subject=[fact.subject for fact, _, _ in notes],
                at=[fact.at for fact, _, _ in notes],
                text=[text for _, _, text in notes],
            ),
        )


def reserve(at: int, cause: str, ref: str, sku_no: Column, node_no: Column, units: Column) -> tuple[Ask, Ask]:
    """Claim units (or give them back) in rows of stock that are locked, have them, and miss none: `move` without a look."""
    rows = Rows(sku=sku_no, node=node_no, units=units)
    return (
        Ask(
            "UPDATE stock SET reserved = stock.reserved + rows.units FROM {rows} "
            "WHERE stock.sku_no = rows.sku AND stock.node_no = rows.node",
            rows,
        ),
        Ask(
            "INSERT INTO movement (at, sku_no, node_no, reserved, cause, ref) "
            "SELECT :at, sku, node, units, :cause, :ref FROM {rows}",
            rows,
            at=at,
            cause=cause,
            ref=ref,
        ),
    )


def new_facts(tx: Tx, facts: Sequence[Fact], payloads: Sequence[bytes] | None = None, by: str = "") -> Ask:
    """Add facts to the log whose ids nobody else can have.

    Parameters
    ----------
    payloads
        The facts as the log keeps them, where they are known already.
    """
    if payloads is None:
        payloads = [msgspec.json.encode(fact) for fact in facts]
    return Ask(
        _insertion(tx),
        Rows(
            n=range(len(facts)),
            id=[fact.id for fact in facts],
            kind=[fact.kind for fact in facts],
            at=[fact.at for fact in facts],
            subject=[fact.subject for fact in facts],
            content=[content(fact, payload) for fact, payload in zip(facts, payloads, strict=True)],
            payload=[payload.decode() for payload in payloads],
        ),
        by=by,
    )


def _insertion(tx: Tx) -> str:
    running = "pg_current_xact_id()::text::bigint" if tx.dialect == "postgresql" else "0"
    return (
        "INSERT INTO fact (id, kind, at, subject, by, content, payload, tx) "
        f"SELECT id, kind, at, subject, :by, content, payload, {running} FROM {{rows}} WHERE true ORDER BY n"
    )


def _conflict(facts: Sequence[Fact], i: int) -> Refusal:
    place = f"facts[{i}].id" if len(facts) > 1 else "id"
    return Refusal(place, f"a fact {facts[i].id!r} is there, with other content; send what is new with a new id",
                   "fact_conflict")  # fmt: skip


def _change(tx: Tx, rows: NDArray[np.int64], net: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add the net changes, after a look at whether they fit: the database would refuse too, but could not say why.

    Returns
    -------
    (3, n) SKU, node and units of what a count had missed and is free now: it is not there.
    """
    keys = list(zip(rows[0].tolist(), rows[1].tolist(), strict=True))
    there = lock_stock(tx, rows[0], rows[1], make=True)
    before = np.array([there[key] for key in keys], dtype=np.int64).T
    _refuse(before, before + net, net)
    least = "MIN" if tx.dialect == "sqlite" else "LEAST"
    # what a count missed is among what is reserved; where units are free, it is gone
    lost = f"{least}(stock.missing, stock.on_hand + rows.on_hand - stock.reserved - rows.reserved)"
    changed = tx.ints(
        3,
        f"UPDATE stock SET on_hand = stock.on_hand + rows.on_hand - {lost}, reserved = stock.reserved + rows.reserved, "
        "damaged = stock.damaged + rows.damaged, quarantined = stock.quarantined + rows.quarantined, "
        f"missing = {least}(stock.missing - {lost}, stock.reserved + rows.reserved) "
        "FROM {rows} WHERE stock.sku_no = rows.sku_no AND stock.node_no = rows.node_no "
        "RETURNING stock.sku_no, stock.node_no, stock.on_hand",
        Rows(sku_no=rows[0], node_no=rows[1], **dict(zip(STATES, net, strict=True))),
    )
    assert changed.shape[1] == rows.shape[1], "every row of stock is there"
    changed = changed[:, np.lexsort((changed[1], changed[0]))]
    less = before[0] + net[0] - changed[2]
    return np.stack([rows[0], rows[1], less])[:, less > 0]


def _refuse(before: NDArray[np.int64], after: NDArray[np.int64], net: NDArray[np.int64]) -> None:
    negative = np.argwhere(after < 0)
    if len(negative):
        state, row = negative[0]
        raise Refusal("units", f"only {before[state, row]} units are {STATES[state]}", "not_enough_stock")
    for row in np.flatnonzero(after[1] > after[0])[:1]:
        if net[0, row] < 0:
            raise Refusal("units", f"{after[1, row]} of {before[0, row]} units are reserved", "stock_is_reserved")
        raise Refusal("units", f"only {before[0, row] - before[1, row]} units are free", "not_enough_stock")


def _note(
    tx: Tx, at: int, causes: list[str], refs: list[str], keys: NDArray[np.int64], change: NDArray[np.int64]
) -> None:
    if not refs:
        return
    tx.run(
        "INSERT INTO movement (at, sku_no, node_no, on_hand, reserved, damaged, quarantined, cause, ref) "
        "SELECT :at, sku_no, node_no, on_hand, reserved, damaged, quarantined, cause, ref FROM {rows}",
        Rows(cause=causes, ref=refs, sku_no=keys[0], node_no=keys[1], **dict(zip(STATES, change, strict=True))),
        at=at,
    )
