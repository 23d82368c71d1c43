"""Requests that nobody would send, to every route: none may end in a bug, and what is refused may change nothing.

`python -m tests.api.http.fuzzing CASES SEED` writes what came of it as JSON; the suite runs a small edition.
"""

import hashlib
import json
import logging
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from sqlmodel import SQLModel

from engine.books import fsck
from engine.database import Database
from engine.migrations import upgrade
from tests.api.http.conftest import APP, Desk, opened
from tests.api.http.world import fill

APART = {"idempotency", "api_key"}
"""Tables that a refusal may change: that a request was refused is kept for its key."""


@dataclass
class Fuzzed:
    """What came of it.

    Attributes
    ----------
    cases
        Requests sent.
    statuses
        How many were answered how.
    bugs, changed, undescribed
        Answers of 500 and above; refusals that changed something; refusals that are no problem+json, or of a status that the
        description does not know.
    unbalanced
        Where the books do not balance at the end.
    """

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    undescribed: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)


def fuzz(desk: Desk, names: dict[str, list[str]], cases: int, number: int = 0) -> Fuzzed:
    """Send about so many requests, as many good ones as bad ones to each route, as somebody who may do everything.

    Parameters
    ----------
    names
        Ids that there are, by what the path calls them, so that not everything is unknown.
    number
        Seed.
    """
    found = Fuzzed()
    state = [digest(desk)]
    operations = [one.ok() for one in schemathesis.openapi.from_dict(APP.openapi()).get_all_operations()]
    each = max(1, -(-cases // (2 * len(operations))))
    for operation in operations:
        if operation.path in ("/metrics", "/livez") or operation.method.upper() == "DELETE":
            continue  # the first have no input; a revoked key would end it all
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _fuzz_one(desk, operation, mode, names, each, number, found, state)
    with desk.database.read() as tx:
        found.unbalanced = [str(finding) for finding in fsck(tx)]
    return found


def _fuzz_one(
    desk: Desk,
    operation: Any,
    mode: Any,
    names: dict[str, list[str]],
    each: int,
    number: int,
    found: Fuzzed,
    state: list[str],
) -> None:
    @seed(number)
    @settings(
        max_examples=each, database=None, deadline=None, phases=[Phase.generate], derandomize=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        for name, known in names.items():
            if name in (case.path_parameters or {}) and found.cases % 2:
                case.path_parameters[name] = known[found.cases % len(known)]
        _send(desk, case, operation, found, state)

    try:
        send()
    except schemathesis.errors.SchemathesisError:
        pass
    except Exception as error:
        if type(error).__name__ not in ("Unsatisfiable", "SkipTest"):  # a route without anything to get wrong
            raise


def _send(desk: Desk, case: Any, operation: Any, found: Fuzzed, state: list[str]) -> None:
    asked = case.as_transport_kwargs(base_url="http://allot")
    content = json.dumps(asked["json"]).encode() if "json" in asked else asked.get("data")
    headers = {**asked["headers"], **desk.headers("admin")}
    try:
        request = desk.client.build_request(
            asked["method"], asked["url"], params=asked.get("params"), headers=headers,
            content=content.encode(errors="replace") if isinstance(content, str) else content,
        )  # fmt: skip
    except (httpx.InvalidURL, UnicodeError, TypeError, ValueError, AttributeError):
        return  # no client could send it
    answer = desk.loop.run_until_complete(desk.client.send(request))
    found.cases += 1
    found.statuses[answer.status_code] += 1
    said = f"{asked['method']} {asked['url']} {str(content)[:300]} -> {answer.status_code} {answer.text[:200]}"
    if answer.status_code >= 500:
        found.bugs.append(said)
    known = set(operation.definition.raw["responses"]) | {"404", "405"}
    described = answer.status_code < 400 or answer.headers.get("content-type") == "application/problem+json"
    if str(answer.status_code) not in known or not described:
        found.undescribed.append(said)
    now = digest(desk)
    if answer.status_code >= 400 and now != state[0]:
        found.changed.append(said)
    state[0] = now


def digest(desk: Desk) -> str:
    """Everything that a refusal may not change, as a hash."""
    total = hashlib.sha256()
    with desk.database.read() as tx:
        for name in sorted(set(SQLModel.metadata.tables) - APART):
            total.update(repr((name, tx.all(f'SELECT * FROM "{name}"'))).encode(errors="replace"))
    return total.hexdigest()


def fuzz_example(folder: Path, cases: int, number: int = 0) -> Fuzzed:
    """Fuzz a service on the example network, in a new database in that folder."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    url = f"sqlite:///{folder}/fuzz.db"
    upgrade(url)
    unlimited = "10000000/minute"
    with (
        Database(url) as database,
        opened(database, rate=unlimited, failed_rate=unlimited, wave_seconds=0.1) as desk,
    ):
        ids = fill(desk)
        names = {
            "order": [ids["ord_example"], ids["ord_in_review"]],
            "consignment": [ids["con_example"], ids["con_picked"], ids["con_shipped"], ids["con_pickup"]],
            "hold": ["hold-example"], "inbound": ["po-example"], "sku": ["kettle", "cup", "tea-set"], "channel": ["web"],
            "node": ["near", "far", "shop"], "job": [ids["job_example"]], "wave": [ids["wav_example"]],
        }  # fmt: skip
        return fuzz(desk, names, cases, number)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        sys.stdout.write(json.dumps(vars(fuzz_example(Path(made), *map(int, sys.argv[1:])))) + "\n")
