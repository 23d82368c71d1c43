"""Make everything go wrong that can: `python -m benchmarks.faults [--quick] [--only WORDS] [--seed SEED]`."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter

from benchmarks.faults import webhooks
from benchmarks.faults.channels import storms
from benchmarks.faults.deciding import deciding
from benchmarks.faults.idempotency import idempotency
from benchmarks.faults.kills import kills
from benchmarks.faults.oversell import oversell
from benchmarks.faults.postgres import no_server
from benchmarks.faults.privacy import planted
from benchmarks.faults.rows import Edition, Fault, Kept, Row
from benchmarks.faults.suite import accounting, any_order, card_numbers, keys_and_scopes, no_suite, odd_requests
from benchmarks.machine import this_machine
from benchmarks.results import Say

HERE = Path(__file__).parent.parent
FAULTS = (
    Fault("oversell, postgresql", partial(oversell, "postgresql"), no_server),
    Fault("oversell, sqlite", partial(oversell, "sqlite")),
    Fault("kills, postgresql", partial(kills, "postgresql"), no_server),
    Fault("kills, sqlite", partial(kills, "sqlite")),
    Fault("idempotency, postgresql", partial(idempotency, "postgresql"), no_server),
    Fault("idempotency, sqlite", partial(idempotency, "sqlite")),
    Fault("odd requests", odd_requests, no_suite),
    Fault("deciding, postgresql", partial(deciding, "postgresql"), no_server),
    Fault("deciding, sqlite", partial(deciding, "sqlite")),
    Fault("webhooks sink, postgresql", partial(webhooks.sink, "postgresql"), no_server),
    Fault("webhooks sink, sqlite", partial(webhooks.sink, "sqlite")),
    Fault("webhooks kills, postgresql", partial(webhooks.kills, "postgresql"), no_server),
    Fault("webhooks kills, sqlite", partial(webhooks.kills, "sqlite")),
    Fault("channel storms, postgresql", partial(storms, "postgresql"), no_server),
    Fault("channel storms, sqlite", partial(storms, "sqlite")),
    Fault("privacy, postgresql", partial(planted, "postgresql"), no_server),
    Fault("privacy, sqlite", partial(planted, "sqlite")),
    Fault("card numbers", card_numbers, no_suite),
    Fault("keys and scopes", keys_and_scopes, no_suite),
    Fault("anything in any order", any_order, no_suite),
    Fault("peers' accounting", accounting, no_suite),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what is asked for, and write each row as soon as it is there; 1 where a fault was not survived."""
    asked = parser().parse_args(arguments)
    folder = asked.out or (Path("out") / "benchmarks" if asked.quick else HERE)
    edition = Edition(asked.quick, asked.seed)
    began = perf_counter()

    def say(message: str) -> None:
        sys.stderr.write(f"faults: {perf_counter() - began:6.0f} s  {message}\n")

    kept = Kept.of(folder)
    if kept.rows and kept.quick != asked.quick:
        if asked.only:
            say(f"the rows in {folder} are of another edition; --out names another folder")
            return 2
        kept.rows = {}
    kept.quick = asked.quick
    words = (asked.only or "").replace(",", " ").split()
    wanted = [fault for fault in FAULTS if all(word in fault.name.replace(",", "").split() for word in words)]
    if not wanted:
        say(f"no fault has the words {', '.join(words)} in its name: {'; '.join(fault.name for fault in FAULTS)}")
        return 2
    rows = []
    for fault in wanted:
        say(fault.name)
        rows.append(try_fault(fault, edition, say))
        say(f"{fault.name}: {rows[-1].verdict}{''.join(f'; {what}' for what in rows[-1].wrong)}")
        kept.keep(rows[-1], [fault.name for fault in FAULTS])
    say(f"written to {folder / 'faults.md'}")
    return int(any(row.wrong for row in rows))


def try_fault(fault: Fault, edition: Edition, say: Say) -> Row:
    """Make it go wrong, and see what comes of it; what ends in an error was not survived."""
    began = perf_counter()
    reason = fault.skipped()
    try:
        row = Row("", {}, skipped=reason) if reason else fault.make(edition, say)
    except Exception as error:
        traceback.print_exc()
        row = Row("", {}, [f"it ended in {error!r}"])
    day, machine = datetime.now(UTC).date().isoformat(), this_machine().as_json()
    seconds = perf_counter() - began
    return replace(row, fault=fault.name, machine=machine, day=day, seed=edition.seed, seconds=seconds)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser("python -m benchmarks.faults", description="Make go wrong what can go wrong.")
    made.add_argument("--quick", action="store_true", help="tiny: shows that it works; results go to out/benchmarks")
    made.add_argument("--only", metavar="WORDS", help="faults whose names have all these words, as oversell,sqlite")
    made.add_argument("--seed", type=int, default=7, metavar="SEED", help="with which everything is drawn (7)")
    made.add_argument("--out", type=Path, metavar="DIR", help="where faults.md and faults.json go (benchmarks)")
    return made


if __name__ == "__main__":
    sys.exit(main())
