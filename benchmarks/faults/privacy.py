"""A person is planted in every place where a caller can put text, then erased: nothing of it may be left, in no table, file or log.

What the log would keep for ever must be refused; what is taken must be there before, and gone after.
"""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import make_url

from api import keys
from api.http.app import make_app
from api.http.telemetry import log, set_up_logs
from api.kinds import KINDS
from api.settings import Settings
from benchmarks.faults.postgres import migrated
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.results import Say
from engine import events, jobs, notices, privacy
from engine.database import Database

AT = 1_764_064_800_000
"""2025-11-25T10:00:00Z."""
MARKS = (b"planted", b"170 5550")
"""What every planted text has one of, in lower case."""
PERSON = "cus-1"
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
GROUND = {
    "zone_km": [6000.0], "steps_g": [2000, 30000], "cents": [[600, 900]], "over_cents_per_kg": [10], "transit_days": [1],
}  # fmt: skip


@dataclass
class Planted:
    """What was planted, by what came of it."""

    refused: int = 0
    taken: int = 0
    logged: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.refused + self.taken + self.logged

    def note(self, place: str, answer: httpx.Response, refused: bool | None, code: str = "") -> None:
        """Count a text that was sent. `refused`: whether it had to be; `None`: either."""
        was = answer.status_code >= 400
        self.refused += was
        self.taken += not was
        said = answer.json().get("errors", []) if was and code else []
        codes = [answer.json().get("code", "") if was and code else "", *(one["code"] for one in said)]
        if answer.status_code >= 500 or (refused is not None and was != refused) or (code and code not in codes):
            self.wrong.append(f"{place}: {answer.status_code} {answer.text[:120]}")


class Desk:
    """Asks a service in this process; every text that is planted has a number of its own."""

    def __init__(self, client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop, key: str) -> None:
        self._client, self._loop, self._key, self._number = client, loop, key, 0

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Send a request; a body that is text is sent as it is."""
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            **more.pop("headers", {}),
        }
        if method != "GET":
            headers.setdefault("Idempotency-Key", f"key-{self.number()}")
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        return self._loop.run_until_complete(
            self._client.request(method, f"/v1/{path}", content=content, headers=headers, **more)
        )

    def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """What is answered to what must be taken."""
        answer = self.ask(method, path, body, **more)
        assert answer.status_code < 400, answer.text
        return answer.json()

    def number(self) -> int:
        self._number += 1
        return self._number

    def name(self) -> str:
        return f"Ann Planted {self.number()}"

    def mail(self) -> str:
        return f"ann.planted{self.number()}@example.org"

    def phone(self) -> str:
        return f"+49 170 5550{self.number():02}"


def planted(database: str, _edition: Edition, say: Say) -> Row:
    """Plant a person, and erase them."""
    seen = Planted()
    with migrated(database) as (url, _), _logs() as said, Database(url) as opened:
        with _desk(url, opened) as desk:
            _furnish(desk)
            _plant(desk, seen, opened)
            before = {place for place, text in texts(opened) if has_mark(text)}
            desk.done("POST", f"recipients/{PERSON}/erase", {})
            again = desk.done("POST", f"recipients/{PERSON}/erase", {})
        privacy.sweep(opened)
        books = unbalanced(opened)
        after = sorted({place for place, text in texts(opened) if has_mark(text)})
        files = [file.name for file in _files(url) if has_mark(file.read_bytes())]
        logged = [line for line in said.getvalue().splitlines() if has_mark(line.encode())]
        lines = len(said.getvalue().splitlines())
    say(f"{seen.count} texts planted, {seen.refused} refused; the others were in {', '.join(sorted(before))}")
    outbox = [place for place in after if place.split(".")[0] in ("event", "delivery", "attempt", "notice", "fact")]
    figures = {
        "planted": seen.count, "refused": seen.refused, "taken": seen.taken, "given to the log": seen.logged,
        "columns that had any before": len(before), "columns after": len(after), "of the outbox": len(outbox),
        "files after": len(files), "log lines": lines, "of these with any": len(logged), "fsck findings": len(books),
    }  # fmt: skip
    return Row(
        "one person's name, address, e-mail addresses and telephone numbers are put into every field, header, address and file "
        "that a caller may send, then erased; every column of every table is searched, on SQLite the files byte by byte, and "
        "all that was logged",
        figures,
        must(
            (seen.count >= 50, f"{seen.count} texts are not 50"),
            (len(before) >= 6, f"only {sorted(before)} had any of it before"),
            (not [place for place in before if place.startswith("fact.")], "the log of facts had some of it"),
            (not seen.wrong, f"{seen.wrong[:5]}"),
            (not after, f"in tables: {after}"),
            (not files, f"in files: {files}"),
            (lines > 0 and not logged, f"in logs: {logged[:3]}"),
            (not again["seen"], "erasing again was refused"),
            (not books, f"books: {books[:3]}"),
        ),
    )


def texts(database: Database) -> Iterator[tuple[str, bytes]]:
    """Every value of every table of a database, with the name of its column."""
    with database.read() as tx:
        names = (
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            if tx.dialect == "postgresql"
            else "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1"
        )
        for (table,) in tx.all(names):
            columns = [
                name
                for (name,) in tx.all(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = :table AND table_schema = 'public'"
                    if tx.dialect == "postgresql"
                    else "SELECT name FROM pragma_table_info(:table)",
                    table=table,
                )
            ]
            for name in columns:
                for (value,) in tx.all(f'SELECT "{name}" FROM "{table}"'):  # noqa: S608 -- what is there
                    yield f"{table}.{name}", value if isinstance(value, bytes) else str(value).encode()


def has_mark(text: bytes) -> bool:
    """Whether any of what was planted is in a text."""
    return any(mark in text.lower() for mark in MARKS)


def _files(url: str) -> list[Path]:
    """The files of an embedded database."""
    path = make_url(url).database or ""
    return sorted(Path(path).parent.glob(f"{Path(path).name}*")) if url.startswith("sqlite") else []


@contextmanager
def _logs() -> Iterator[io.StringIO]:
    """All that is logged meanwhile, as a process would log it."""
    said, kept, root = io.StringIO(), sys.stderr, logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sys.stderr = said
    try:
        set_up_logs("debug")
        yield said
    finally:
        sys.stderr = kept
        root.handlers[:] = handlers
        root.setLevel(level)
        set_up_logs()
        root.handlers[:] = handlers


@contextmanager
def _desk(url: str, database: Database) -> Iterator[Desk]:
    settings = Settings(database_url=url, secret_key=SecretStr(Fernet.generate_key().decode()))
    app = make_app(settings, database, lambda: AT)
    loop = asyncio.new_event_loop()
    lifespan = app.router.lifespan_context(app)
    loop.run_until_complete(lifespan.__aenter__())
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://allot")
    _, secret = database.write(lambda tx: keys.create(tx, AT, "faults", ["admin"], None))
    try:
        yield Desk(client, loop, secret)
    finally:
        loop.run_until_complete(client.aclose())
        loop.run_until_complete(lifespan.__aexit__(None, None, None))
        loop.close()


# --- what is planted, and where -----------------------------------------------------------------------------------


def _furnish(desk: Desk) -> None:
    desk.done("PUT", "calendars/daily", {"open_weekdays": WEEK})
    desk.done("PUT", "services/ground", GROUND)
    costs = {"parcel_cents": 150, "line_cents": 20, "unit_cents": 5, "ready_days": 0}
    for name in ("near", "far"):
        node = {"kind": "warehouse", "lat": 52.0, "lon": 5.0, "calendar": "daily", "cut_off_minute": 900, **costs}
        desk.done("PUT", f"nodes/{name}", node)
    desk.done("PUT", "skus/kettle", {"weight_g": 1100})
    desk.done("PUT", "channels/web", {"safety": 0})
    for name in ("near", "far"):
        desk.done("POST", "stock/receipts", {"sku": "kettle", "node": name, "units": 100})


def _order(external_id: str, **more: Any) -> dict[str, Any]:
    lines = [{"sku": "kettle", "qty": 2}]
    place = {"lat": 52.1, "lon": 5.1, "region": "NL"}
    return {"channel": "web", "external_id": external_id, "recipient": PERSON, "lines": lines, "place": place, **more}


def _plant(desk: Desk, seen: Planted, database: Database) -> None:
    for plant in (_known, _ids, _unknown, _webhooks, _reasons, _headers, _addresses):
        plant(desk, seen)
    _jobs(desk, seen, database)
    _told(database)
    _logged(desk, seen)


def _known(desk: Desk, seen: Planted) -> None:
    """Who they are, and who they were before."""
    for body in (
        {"name": f"Ann {desk.name()}", "address": f"{desk.number()} Planted Mews"},
        {"name": "Ann Planted", "address": "12 Planted Lane\n1234 Plantedville", "contact": "ann.planted@example.org"},
    ):
        for name in body:
            seen.note(f"recipient {name}", desk.ask("PUT", f"recipients/{PERSON}", body), False)


def _ids(desk: Desk, seen: Planted) -> None:
    """In ids and codes, which are kept for ever: all of it is refused."""
    thing = {"sku": "kettle", "node": "near"}
    hold = {"channel": "web", "until": "2030-01-01T00:00:00Z", "units": [{"sku": "kettle", "units": 1}]}
    order = desk.done("POST", "orders", _order("ids"))["id"]
    desk.done("POST", f"orders/{order}/release", {})
    [parcel] = desk.done("GET", f"orders/{order}")["consignments"]
    placed = desk.done("POST", "orders", _order("ids-2"))["id"]
    for text in (desk.name, desk.mail, desk.phone):
        for place, method, path, body in (
            ("external id", "POST", "orders", _order(text())),
            ("region", "POST", "orders", _order("r", place={"lat": 52.1, "lon": 5.1, "region": f"{text()} Lane"})),
            (
                "region of an edit",
                "POST",
                f"orders/{placed}/edit",
                {"place": {"lat": 5.1, "lon": 5.1, "region": text()}},
            ),
            ("id of a hold", "POST", "holds", {**hold, "id": text()}),
            ("id of a fact", "POST", "stock/receipts", {**thing, "units": 1, "id": text()}),
            ("inbound", "POST", "inbound", {**thing, "units": 1, "inbound": text(), "due_day": "2030-01-01"}),
            ("tracking", "POST", f"consignments/{parcel['id']}/ship", {"tracking": text()}),
            ("feed", "POST", "stock/feed", {"source": text(), "messages": [{**thing, "sequence": 1, "units": 100}]}),
        ):
            seen.note(place, desk.ask(method, path, body), True, "personal_id")
        seen.note("recipient id", desk.ask("PUT", f"recipients/{text()}", {"name": "x"}), True, "personal_id")


def _unknown(desk: Desk, seen: Planted) -> None:
    """Where it does not belong: refused, and quoted in an answer that is kept."""
    for place, path, body, refused in (
        ("unknown field", "orders", _order("u", customer=desk.name()), True),
        ("field that is called so", "orders", {**_order("u"), desk.name(): 1}, True),
        ("SKU", "orders", _order("u", lines=[{"sku": desk.name(), "qty": 1}]), True),
        ("channel", "orders", _order("u", channel=desk.mail()), True),
        ("unknown recipient", "orders", _order("u", recipient="PlantedAnn"), True),
        ("SKU of a batch", "orders:batch", {"orders": [_order("u", lines=[{"sku": desk.name(), "qty": 1}])]}, False),
        ("no JSON", "orders", f'{{"name": "{desk.name()}"', True),
        ("promise", "promise", {"lines": [{"sku": desk.mail(), "qty": 1}], "channel": "web"}, True),
        ("number", "stock/receipts", {"sku": "kettle", "node": "near", "units": desk.name()}, True),
        ("node", "stock/receipts", {"sku": "kettle", "node": desk.mail(), "units": 1}, True),
    ):
        seen.note(place, desk.ask("POST", path, body), refused)


def _webhooks(desk: Desk, seen: Planted) -> None:
    """In the description of a webhook; from now on everything that happens is told."""
    body = {"url": "https://hooks.example.com/allot", "description": f"for {desk.name()}"}
    seen.note("webhook", desk.ask("POST", "webhooks", body), False)


def _reasons(desk: Desk, seen: Planted) -> None:
    """In free text: of their orders found by the order, elsewhere by the name."""
    whole, part, held, given = (
        desk.done("POST", "orders", _order(f"reason-{n}", review=n == 2))["id"] for n in range(4)
    )
    desk.done("POST", f"orders/{given}/release", {})
    [parcel] = desk.done("GET", f"orders/{given}")["consignments"]
    for place, path, text in (
        ("cancel", f"orders/{whole}/cancel", {"reason": f"{desk.phone()} was engaged"}),
        ("cancel in part", f"orders/{part}/cancel", {"reason": desk.mail(), "lines": [{"line": 1, "units": 1}]}),
        (
            "review",
            f"orders/{held}/review",
            {"accepted": False, "reason": f"Mr Planted {desk.number()} next door says no"},
        ),
        ("reject", f"consignments/{parcel['id']}/reject", {"reason": f"the plantedville branch knows {desk.phone()}"}),
        (
            "adjustment",
            "stock/adjustments",
            {"sku": "kettle", "node": "near", "change": -1, "reason": f"{desk.name()} has it"},
        ),
        ("pause", "nodes/far/pause", {"reason": f"ann.planted@example.org complained {desk.number()} times"}),
    ):
        seen.note(f"reason of {place}", desk.ask("POST", path, text), False)


def _headers(desk: Desk, seen: Planted) -> None:
    """In headers."""
    for name, text in (
        ("Idempotency-Key", desk.name()), ("Idempotency-Key", desk.mail()), ("If-Match", desk.name()),
        ("User-Agent", desk.name()), ("X-Customer", desk.mail()), ("X-Request-Id", desk.mail()),
        ("Authorization", f"Bearer {desk.mail()}"), ("Content-Type", f"text/{desk.mail()}"), ("Cookie", f"name={desk.name()}"),
        ("Referer", f"https://shop.example/{desk.mail()}"),
    ):  # fmt: skip
        body = _order(f"header-{desk.number()}")
        seen.note(name, desk.ask("POST", "orders", body, headers={name: text}), None)


def _addresses(desk: Desk, seen: Planted) -> None:
    """In paths and queries."""
    for path, params in (
        ("orders", {"external_id": desk.mail()}), ("orders", {desk.name(): "1"}), ("orders", {"after": desk.name()}),
        (f"orders/{desk.mail()}", {}), (f"recipients/{desk.mail()}/export", {}), (f"jobs/{desk.name()}", {}),
    ):  # fmt: skip
        seen.note(path, desk.ask("GET", path, params=params), None)


def _jobs(desk: Desk, seen: Planted, database: Database) -> None:
    """In files: of bad lines, and of good ones about what is not taken."""
    good = json.dumps(_order("job-1"))
    lines = [
        json.dumps(_order("job-2", customer=desk.name())), json.dumps(_order(desk.mail())), f'{{"name": "{desk.name()}',
        json.dumps(_order("job-3", lines=[{"sku": desk.name(), "qty": 1}])), good,
    ]  # fmt: skip
    head = "channel,external_id,sku,qty,lat,lon"
    for place, path, media, text in (
        ("import of JSON", "orders/import", "application/x-ndjson", "\n".join(lines)),
        (
            "import of CSV",
            "orders/import",
            "text/csv",
            f"{head}\nweb,c-1,kettle,{desk.name()},52,5\nweb,{desk.mail()},kettle,1,5,5\n",
        ),
        ("column of CSV", "orders/import", "text/csv", f"{head},{desk.name()}\nweb,c-2,kettle,1,52,5,{desk.mail()}\n"),
        (
            "import of stock",
            "stock/feed/import?source=wms",
            "text/csv",
            f"sku,node,sequence,units\n{desk.name()},near,1,1\n",
        ),
    ):
        seen.note(place, desk.ask("POST", path, text, headers={"Content-Type": media}), False)
    seen.taken += 7  # texts in files beyond the first of each
    early = desk.ask("POST", f"recipients/{PERSON}/erase", {})
    if early.status_code != 409:
        seen.wrong.append(f"erased while a file about them was waiting: {early.text[:120]}")
    while (work := jobs.claim(database, lambda: AT, "faults", list(KINDS))) is not None:
        jobs.perform(work, KINDS)


def _told(database: Database) -> None:
    """What happened becomes events, deliveries and messages."""
    while database.write(lambda tx: events.relay(tx, AT, notices.TOLD)):
        pass


def _logged(desk: Desk, seen: Planted) -> None:
    """By ourselves, in errors and in fields that should not be there."""

    def wrong() -> None:
        raise RuntimeError(f"no row {desk.name()}")

    attempts: tuple[Callable[[], Any], ...] = (
        lambda: log.warning("fields", contact=desk.mail(), name=desk.name(), order={"address": "12 Planted Lane"}),
        lambda: log.warning("mail", why=f"no such box: {desk.mail()}"),
        lambda: logging.getLogger("library").warning("could not reach %s", desk.phone()),
    )
    for attempt in attempts:
        attempt()
    try:
        wrong()
    except RuntimeError:
        log.exception("bug")
        logging.getLogger("library").exception("bug")
    seen.logged += len(attempts) + 2
