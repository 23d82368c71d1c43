"""What the tests do in small, done at length: odd requests, and parts of the suite that count what they do.

They need the checkout and what is installed for development.
"""

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from benchmarks.faults.postgres import migrated, no_server
from benchmarks.faults.rows import Edition, Row, must
from benchmarks.results import Say

ROOT = Path(__file__).parents[2]
MACHINE = "tests/engine/test_books_machine.py::test_the_books_balance_whatever_happens"


def no_suite() -> str:
    """Why the tests cannot be run here; empty where they can."""
    found = (ROOT / "tests").exists() and all(find_spec(name) for name in ("pytest", "schemathesis", "xdist"))
    return (
        no_server() if found else "there are no tests here: it takes a checkout and what is installed for development"
    )


def odd_requests(edition: Edition, say: Say) -> Row:
    """Send what nobody would send, to a service on each database, side by side."""
    cases, imports = (100, 20) if edition.quick else (11_200, 600)
    with ExitStack() as stack:
        running = []
        for database in ("sqlite", "postgresql"):
            url, _ = stack.enter_context(migrated(database))
            asked = [url, str(cases), str(imports), str(edition.seed)]
            running.append(_python("-m", "tests.api.http.fuzzing", *asked))
        say(f"{cases} cases and {imports} files to each database")
        told = [json.loads(process.communicate()[0] or "{}") for process in running]
    assert not any(process.returncode for process in running), "it ended in an error; see above"
    statuses: Counter[str] = Counter()
    for one in told:
        statuses.update(one["statuses"])
    wrong = {
        name: [what for one in told for what in one[name]] for name in ("bugs", "changed", "undescribed", "unbalanced")
    }
    made_up = [one["cases"] - one["imports"] for one in told]
    figures = {
        "cases on SQLite and PostgreSQL": " and ".join(f"{number:,}" for number in made_up),
        "mutated files": sum(one["imports"] for one in told),
        "taken": _between(statuses, 200, 400), "refused": _between(statuses, 400, 500), "5xx": _between(statuses, 500, 600),
        "refusals that changed something": len(wrong["changed"]), "answers unlike their description": len(wrong["undescribed"]),
        "fsck findings": len(wrong["unbalanced"]),
    }  # fmt: skip
    return Row(
        "requests that schemathesis makes up from the description of every route, half of them bad, and imports with NaN, NUL, "
        "right-to-left text, negative, huge and overflowing numbers put into them; all tables are compared after each",
        figures,
        must(
            (edition.quick or min(made_up) >= 10_000, f"{min(made_up)} cases are not 10,000"),
            *((not found, f"{name}: {found[:3]}") for name, found in wrong.items()),
        ),
    )


def _between(statuses: Counter[str], first: int, end: int) -> int:
    return sum(number for status, number in statuses.items() if first <= int(status) < end)


def keys_and_scopes(edition: Edition, _say: Say) -> Row:
    """Ask every route with every scope."""
    return _suite(
        "every route is asked without a key, with a wrong one, and with one of each scope",
        ["tests/api/http/test_keys.py"],
        edition,
    )


def card_numbers(edition: Edition, _say: Say) -> Row:
    """Plant a card's number in every text of every body."""
    return _suite(
        "the number of a card is put into each text of the body of every route in turn, into headers, addresses and files, written "
        "in many ways; all tables are searched after",
        ["tests/api/http/test_cards.py"],
        edition,
    )


def any_order(edition: Edition, _say: Say) -> Row:
    """Let anything happen in a shop, in any order."""
    return _suite(
        "a stateful hypothesis machine over stock, orders, holds, feeds, waves, edits, cancellations, consignments and returns, "
        "on both databases; the books are checked after every step",
        [
            f"{MACHINE}[{database}]" if edition.quick else f"{MACHINE}_for_long[{database}]"
            for database in ("sqlite", "postgresql")
        ],
        edition,
    )


def accounting(edition: Edition, _say: Say) -> Row:
    """Tell the recorded cases of other systems."""
    return _suite(
        "cases of accounting recorded from other systems, and their defects, told by our ledger on both databases",
        ["tests/engine/test_peer_accounting.py"],
        edition,
    )


def _suite(done: str, tests: Sequence[str], edition: Edition) -> Row:
    """Run some tests, and add up what they counted; a text that they noted counts once."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-n", "2", "-p", "no:cacheprovider", "-o", "junit_family=xunit1", f"--junitxml={report}"]
        process = _python("-m", "pytest", *options, f"--hypothesis-seed={edition.seed}", *tests)
        said = process.communicate()[0]
        assert report.exists(), said[-2000:]
        cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 -- our own
    failed = [
        str(case.get("name")) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = [case.find("skipped") for case in cases]
    reasons = [str(found.get("message")) for found in skipped if found is not None]
    if len(reasons) == len(cases):
        return Row(done, {}, skipped=reasons[0] if reasons else "there are no such tests")
    noted = [(str(one.get("name")), str(one.get("value"))) for case in cases for one in case.iter("property")]
    counted: Counter[str] = Counter()
    for name, value in noted:
        counted[name] += int(value) if value.isdigit() else 0
    for name, _ in {(name, value) for name, value in noted if not value.isdigit()}:
        counted[name] += 1
    figures = {**counted, "tests": len(cases), "failed": len(failed), "left out": len(reasons)}
    return Row(done, figures, must((not failed, f"{failed[:5]}"), (process.returncode == 0, "the tests failed")))


def _python(*arguments: str) -> "subprocess.Popen[str]":
    """Python on the checkout; hypothesis looks for new examples, by the seed."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ALLOT_TEST_EXPLORE": "1"},
    )  # fmt: skip
