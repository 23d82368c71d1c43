"""Requests and files that nobody would send, to every route: none may end in a bug, and what is refused may change nothing.

`python -m tests.api.http.fuzzing URL CASES IMPORTS SEED` does that to an empty, migrated database and writes what came of it as
JSON; the suite runs a small edition, `make faults` a large one.
"""

import hashlib
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from sqlmodel import SQLModel

from api.kinds import KINDS
from engine import jobs
from engine.books import fsck
from engine.database import Ask, Database
from tests.api.http.conftest import APP, Desk, opened
from tests.api.http.world import fill, order

APART = {"idempotency", "api_key"}
"""Tables that a refusal may change: that a request was refused is kept for its key."""
APPENDED = {"fact", "movement", "decision", "shadow"}
"""Tables to which rows are only added: how many there are is all that can change."""
ROWS = [json.dumps(order(f"W-{n}")) for n in range(5)]
LEVELS = [json.dumps({"sku": "kettle", "node": "near", "sequence": n, "units": 40 + n}) for n in range(5)]
IMPORTS = (
    ("/v1/orders/import", "application/x-ndjson", "\n".join(ROWS)),
    ("/v1/orders/import", "text/csv", "channel,external_id,sku,qty,lat,lon\nweb,a,kettle,2,52,5\nweb,b,cup,1,52,5\n"),
    ("/v1/stock/feed/import?source=wms", "application/x-ndjson", "\n".join(LEVELS)),
    ("/v1/stock/feed/import?source=erp", "text/csv", "sku,node,sequence,units\nkettle,near,1,9\nkettle,far,2,8\n"),
)
PIECES = [
    b"\x00", b"\xff", b'"', b"\n", b",", b"NaN", b"Infinity", b"-1", b"1.5", b"99999999999999999999", b"9" * 400, b"1e999", b"{",
    b"[" * 50, b"\\u0000", b"\\ud800", "\u202e\u2066".encode(), "\u0645\u0631".encode(), b"x" * 100_000,
]  # fmt: skip
"""What is put into files: no text, no numbers, too large ones, right to left, too long, too deep."""


@dataclass
class Fuzzed:
    """What came of it.

    Attributes
    ----------
    cases, imports
        Requests sent, and mutated files among them.
    statuses
        How many were answered how.
    bugs, changed, undescribed
        Answers of 500 and above, and imports that did not end; refusals that changed something; refusals that are no
        problem+json, or of a status that the description does not know.
    unbalanced
        Where the books do not balance at the end.
    """

    cases: int = 0
    imports: int = 0
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


def digest(desk: Desk, apart: Iterable[str] = ()) -> str:
    """Everything that a refusal may not change, as a hash."""
    names = sorted(set(SQLModel.metadata.tables) - APART - {*apart})
    asked = [Ask(f'SELECT {"COUNT(*)" if name in APPENDED else "*"} FROM "{name}"') for name in names]
    with desk.database.read() as tx:
        return hashlib.sha256(repr(tx.together(*asked)).encode(errors="replace")).hexdigest()


def mutate_imports(desk: Desk, imports: int, number: int, found: Fuzzed) -> None:
    """Send so many files with something wrong in them; each job ends, and one of which no line was taken changes nothing."""
    chance = random.Random(number)  # noqa: S311 -- a seed, not a secret
    _do_jobs(desk)
    before = digest(desk, ["job"])
    for n in range(imports):
        path, media, whole = IMPORTS[n % len(IMPORTS)]
        mutated = bytearray(whole.encode())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(mutated))
            mutated[at : at + chance.randint(0, 9)] = chance.choice(PIECES)
        answer = desk.ask("POST", path, once=f"mutated {n}", content=bytes(mutated), headers={"Content-Type": media})
        found.cases += 1
        found.imports += 1
        found.statuses[answer.status_code] += 1
        taken = answer.status_code == 202 and _import(desk, found, answer.json()["id"])
        if answer.status_code != 202:
            found.bugs.append(f"{path} -> {answer.status_code} {answer.text[:200]}")
        now = digest(desk, ["job"])
        if not taken and now != before:
            found.changed.append(f"{path} {bytes(mutated[:300])!r}")
        before = now


def _do_jobs(desk: Desk) -> None:
    """Do all jobs that wait."""
    while work := jobs.claim(desk.database, desk.clock, "w", list(KINDS)):
        jobs.perform(work, KINDS)


def _import(desk: Desk, found: Fuzzed, job: str) -> bool:
    """Do a job, and say whether any line of it was taken."""
    _do_jobs(desk)
    with desk.database.read() as tx:
        done = jobs.get(tx, job)
    if done.state not in ("done", "failed") or "bug" in done.note:
        found.bugs.append(f"{done}")
    return done.done > done.failed


def fuzz_example(url: str, cases: int, imports: int, number: int = 0) -> Fuzzed:
    """Fuzz a service on the example network, in an empty database."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    unlimited = "10000000/minute"
    with (
        Database(url) as database,
        opened(database, rate=unlimited, failed_rate=unlimited, wave_seconds=0.1) as desk,
    ):
        ids = fill(desk)
        _do_jobs(desk)  # or whoever follows one waits for ever
        names = {
            "order": [ids["ord_example"], ids["ord_in_review"]],
            "consignment": [ids["con_example"], ids["con_picked"], ids["con_shipped"], ids["con_pickup"],
                            ids["con_ready"], ids["con_labelled"]],
            "rma": [ids["rma_example"], ids["rma_in_review"], ids["rma_received"], ids["rma_exchange"]],
            "hold": ["hold-example"], "inbound": ["po-example"], "sku": ["kettle", "cup", "tea-set"], "channel": ["web"],
            "connection": ["shopify-example"], "issue": [ids["iss_example"]],
            "node": ["near", "far", "shop"], "job": [ids["job_example"]], "wave": [ids["wav_example"]],
            "webhook": [ids["whk_example"]], "event": [ids["evt_example"]], "recipient": ["cus-example"],
        }  # fmt: skip
        found = fuzz(desk, names, cases, number)
        mutate_imports(desk, imports, number, found)
        with desk.database.read() as tx:
            found.unbalanced = [str(finding) for finding in fsck(tx)]
        return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(vars(fuzz_example(sys.argv[1], *map(int, sys.argv[2:])))) + "\n")
