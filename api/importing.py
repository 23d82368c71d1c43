"""Importing past orders: which importer reads the file, and what it says of the rows that are kept and left out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api import figures, outputs, show
from engine.calendar import format_minute
from simulation.importers import Import, csv, files_of, olist, superstore, uci
from solver.refusal import Refusal


def read(
    source: str, file: Path, places: Path | None, returns: Path | None, columns: Sequence[str], currency: str | None
) -> Import:
    """Read a file by the importer of its source, refusing options that this importer has no use for."""
    given = {
        "--places": (places, "superstore"),
        "--returns": (returns, "superstore"),
        "--column": (columns, "csv"),
        "--currency": (currency, "csv"),
    }
    for option, (value, meant_for) in given.items():
        if value and source != meant_for:
            raise Refusal(option, f"is for {meant_for}; {source} has no use for it", "bad_option")
    if source == "uci":
        return uci.read(file)
    if source == "olist":
        return olist.read(file)
    if source == "superstore":
        return superstore.read(file, returns=returns, places=places)
    return csv.read(file, columns=mapping(columns), source=file.name, currency=currency or "USD")


def check_folder(out: Path, inputs: Sequence[Path | None]) -> None:
    """Refuse a folder where the history would take the place of what is read, or of what is no history."""
    outputs.check_folder(out)
    there = [path for path in files_of(out) if path.exists()]
    for path in there:
        outputs.check_file(path, *(source for source in inputs if source is not None))
    if there and not (out / "history.json").exists():
        raise Refusal(
            str(there[0]), "is no part of a history and would be replaced; name another folder to write", "unwritable"
        )


def mapping(columns: Sequence[str]) -> dict[str, str]:
    """Read `ours=theirs` pairs."""
    pairs = [pair.partition("=") for pair in columns]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise Refusal("--column", f"{ours + equals + theirs!r} is not OURS=THEIRS, as in sku=item_no", "bad_option")
    return {ours: theirs for ours, _, theirs in pairs}


def summary(imported: Import, folder: Path) -> dict[str, Any]:
    """What was kept, and what was left out by reason."""
    history, dropped = imported.history, imported.dropped
    placed = history.order_placed_at
    return {
        "history": str(folder),
        "source": history.source,
        "rows": imported.rows,
        "rows_dropped": len(dropped.row),
        "dropped": dropped.summary(),
        "dropped_rows_listed_in": str(folder / "dropped.csv"),
        "orders": history.orders,
        "lines": history.lines,
        "skus": len(history.sku_id),
        "cancellations": len(history.cancel_at),
        "returns": len(history.return_at),
        "first_order_at": format_minute(int(placed[0])) if history.orders else None,
        "last_order_at": format_minute(int(placed[-1])) if history.orders else None,
        "simulated": list(history.simulated),
    }


def show_summary(said: dict[str, Any]) -> None:
    """Show what was kept, and what was left out by reason."""
    show.pairs(
        f"{said['source']}: {said['orders']:,} orders",
        [
            ("Rows read", figures.whole(said["rows"])),
            ("Rows left out", figures.whole(said["rows_dropped"])),
            *((f"  {reason}", figures.whole(rows)) for reason, rows in said["dropped"].items()),
            *((name.capitalize(), figures.whole(said[name])) for name in ("orders", "lines")),
            ("SKUs", figures.whole(said["skus"])),
            *((name.capitalize(), figures.whole(said[name])) for name in ("cancellations", "returns")),
            ("First order", said["first_order_at"] or ""),
            ("Last order", said["last_order_at"] or ""),
        ],
    )
    for what in said["simulated"]:
        show.line(f"Assumed: {what}")
    show.line(f"Left out, row by row: {said['dropped_rows_listed_in']}")
