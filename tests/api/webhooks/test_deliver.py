"""What is sent arrives signed, at the address that was looked at, and what does not arrive is tried again."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from cryptography.fernet import Fernet
from standardwebhooks import Webhook, WebhookVerificationError

from api.vault import Vault
from api.webhooks import Deliverer, Guard, client_of, deliver, new_secret
from api.webhooks.envelope import schema_of
from api.webhooks.guard import Resolver
from engine import webhooks
from engine.books import fsck
from engine.consignments import release
from engine.database import Database
from engine.events import relay
from engine.facts import OrderReleased, Shipped
from engine.orders import Person, place, remember
from engine.shipping import ship
from engine.webhooks import AT_ONCE
from tests.api.webhooks.sink import ADDRESS, Sink, answered_with, certificate, listening, resolve
from tests.engine.shop import STORE, TEE, open_shop, ordered, settle, supply

LOOPBACK = [ip_network("127.0.0.0/8")]
URL = "https://hooks.example.com:8443/allot?key=1"


def clock() -> int:
    return time.time_ns() // 1_000_000


class Office:
    """A shop with one webhook, and what delivers to it."""

    def __init__(self, database: Database) -> None:
        self.database, self.vault = database, Vault(Fernet.generate_key().decode())
        self.secret = new_secret()
        open_shop(database)
        supply(database, (TEE, STORE, 100))

    def hear(self, url: str = URL, id: str = "whk_a") -> None:
        sealed = self.vault.seal(self.secret)
        self.database.write(lambda tx: webhooks.create(tx, clock(), id, url, (), "", sealed))

    def order(self, external_id: str = "1", **more: Any) -> str:
        order = self.database.write(lambda tx: place(tx, [ordered(external_id, ("tee", 1), **more)]))[0].id
        while self.database.write(lambda tx: relay(tx, clock())):
            pass
        return order

    def deliverer(
        self, client: httpx.AsyncClient, guard: Guard | None = None, at: Callable[[], int] = clock
    ) -> Deliverer:
        return Deliverer(
            self.database, self.vault, client, guard or Guard(resolve=resolve), at, "w", "https://allot.example"
        )

    def deliver(self, client: httpx.AsyncClient, guard: Guard | None = None) -> int:
        async def once() -> int:
            async with client:
                return await self.deliverer(client, guard).step()

        return asyncio.run(once())

    def last(self) -> tuple[int | None, str]:
        """What was answered to the last try, or why nothing was."""
        with self.database.read() as tx:
            assert fsck(tx) == []
            found = tx.first("SELECT code, error FROM attempt ORDER BY no DESC LIMIT 1")
        assert found is not None
        return found[0], found[1]

    def states(self) -> list[str]:
        with self.database.read() as tx:
            return [state for (state,) in tx.all("SELECT state FROM delivery ORDER BY webhook, event_no")]


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


def test_an_event_arrives_as_a_cloud_event_with_a_signature_that_verifies(office: Office) -> None:
    office.hear()
    order = office.order()
    sink = Sink()
    assert office.deliver(sink.client) == 1
    (request,) = sink.got
    assert str(request.url) == f"https://{ADDRESS}:8443/allot?key=1"
    assert request.headers["host"] == "hooks.example.com:8443"
    assert request.extensions["sni_hostname"] == "hooks.example.com"
    assert request.headers["content-type"] == "application/cloudevents+json"
    said = Webhook(office.secret).verify(request.content, dict(request.headers))
    jsonschema_rs.validator_for(schema_of("order.confirmed")).validate(said)
    assert (said["id"], said["subject"], said["sequence"]) == (request.headers["webhook-id"], order, "0000000001")
    assert said["data"]["lines"] == [{"line": 1, "sku": "tee", "units": 1}]
    with pytest.raises(WebhookVerificationError):
        Webhook(office.secret).verify(request.content.replace(b"tee", b"cap"), dict(request.headers))
    assert office.states() == ["delivered"]


def test_while_secrets_change_either_of_them_verifies(office: Office) -> None:
    office.hear()
    office.order()
    new = new_secret()
    office.database.write(lambda tx: webhooks.add_secret(tx, clock(), "whk_a", office.vault.seal(new), 60_000))
    sink = Sink()
    office.deliver(sink.client)
    for secret in (office.secret, new):
        Webhook(secret).verify(sink.got[0].content, dict(sink.got[0].headers))


def test_a_try_is_the_same_bytes_with_the_same_id_as_the_one_before(office: Office) -> None:
    office.hear()
    office.order()
    sink = Sink(lambda _: 500)
    office.deliver(sink.client)
    office.database.write(lambda tx: tx.run("UPDATE delivery SET next_at = 0"))
    office.deliver(sink.client)
    first, second = sink.got
    assert (first.content, first.headers["webhook-id"]) == (second.content, second.headers["webhook-id"])


def refuse(error: Exception) -> Callable[[httpx.Request], int]:
    def raises(_: httpx.Request) -> int:
        raise error

    return raises


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        (lambda _: 301, 301, ""),
        (lambda _: answered_with(302, location="http://169.254.169.254/"), 302, ""),
        (lambda _: 404, 404, ""),
        (lambda _: 500, 500, ""),
        (refuse(httpx.ReadTimeout("")), None, "timeout"),
        (refuse(httpx.ConnectError("refused")), None, "no_connection"),
        (refuse(httpx.RemoteProtocolError("")), None, "no_answer"),
        (refuse(KeyError("ours")), None, "bug"),
    ],
)
def test_anything_but_success_is_a_failure_and_redirects_are_not_followed(
    office: Office, answer: Any, code: int | None, error: str
) -> None:
    office.hear()
    office.order()
    sink = Sink(answer)
    office.deliver(sink.client)
    assert (office.last(), office.states(), len(sink.got)) == ((code, error), ["waiting"], 1)


def test_a_name_that_means_an_address_of_ours_a_moment_later_is_refused_then(office: Office) -> None:
    """Between the look when it was made, the first try, and the second."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    async def rebound(_host: str, _port: int) -> Sequence[str]:
        return next(answers)

    guard, sink = Guard(resolve=rebound), Sink(lambda _: 500)
    office.hear()
    office.order()
    office.deliver(sink.client, guard)
    assert [str(request.url.host) for request in sink.got] == ["93.184.216.34"]
    office.database.write(lambda tx: tx.run("UPDATE delivery SET next_at = 0"))
    office.deliver(sink.client, guard)
    assert len(sink.got) == 1
    assert office.last() == (None, "forbidden_address")


def test_a_host_is_tried_at_its_next_address_where_the_first_cannot_be_reached(office: Office) -> None:
    async def two(_host: str, _port: int) -> Sequence[str]:
        return ["8.8.8.8", "1.1.1.1"]

    def answer(request: httpx.Request) -> int:
        if request.url.host == "8.8.8.8":
            raise httpx.ConnectError("unreachable")
        return 200

    office.hear()
    office.order()
    sink = Sink(answer)
    office.deliver(sink.client, Guard(resolve=two))
    assert office.states() == ["delivered"]


def test_a_secret_that_cannot_be_read_any_more_is_a_failure_that_says_so(office: Office) -> None:
    office.hear()
    office.order()
    office.vault = Vault(Fernet.generate_key().decode())
    office.deliver(Sink().client)
    assert office.last() == (None, "wrong_secret_key")


# --- on the wire ------------------------------------------------------------------------------------------------------


async def here(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def answer_with(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers["content-length"]))
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def trusting(public: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(public)), trust_env=False)


@pytest.mark.parametrize(
    ("name", "found"), [("hooks.example.test", (200, "")), ("other.example.test", (None, "bad_certificate"))]
)
def test_tls_asks_for_the_name_and_believes_a_certificate_of_that_name_alone(
    office: Office, tmp_path: Path, name: str, found: tuple[int | None, str]
) -> None:
    public, both = certificate(tmp_path, "hooks.example.test")
    hosts: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        hosts.append(request.headers["host"])
        answer_with(200)(request)

    with listening(answer, both) as (port, asked):
        office.hear(f"https://{name}:{port}/")
        office.order()
        office.deliver(trusting(public), Guard(LOOPBACK, resolve=here))
        assert (office.last(), asked) == (found, [name])
    assert hosts == ([f"{name}:{port}"] if found[0] else [])


def test_proxies_of_the_environment_are_not_used_and_cookies_not_kept(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    cookies: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        cookies.append(request.headers["cookie"])
        answer_with(200, set_cookie="a=1; Path=/")(request)

    async def twice(port: int) -> None:
        async with client_of() as client:
            deliverer = office.deliverer(client, Guard(LOOPBACK, http=True, resolve=here))
            office.hear(f"http://hooks.example.test:{port}/")
            for number in range(2):
                office.order(str(number))
                await deliverer.step()

    with listening(answer) as (port, _):
        asyncio.run(twice(port))
    assert (office.last(), cookies) == ((200, ""), [None, None])


def test_no_more_than_a_little_of_an_answer_is_read(office: Office) -> None:
    sent: list[int] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers["content-length"]))
        request.send_response(200)
        request.end_headers()
        try:
            sent.extend(request.wfile.write(b"x" * 65_536) for _ in range(2000))
        except OSError:
            request.close_connection = True

    with listening(answer) as (port, _):
        office.hear(f"http://hooks.example.test:{port}/")
        office.order()
        office.deliver(client_of(), Guard(LOOPBACK, http=True, resolve=here))
        assert office.last() == (200, "")
    assert sum(sent) < 2000 * 65_536


def test_who_answers_a_drop_at_a_time_is_given_up_when_the_time_of_a_try_is_over(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "SECONDS", 0.5)
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            try:
                request.wfile.write(b"x: y\r\n")
            except OSError:
                return

    with listening(drip) as (port, _):
        office.hear(f"http://hooks.example.test:{port}/")
        office.order()
        office.deliver(client_of(), Guard(LOOPBACK, http=True, resolve=here))
        over.set()
    assert office.last() == (None, "timeout")


def run_until(office: Office, client: httpx.AsyncClient, done: Callable[[], bool], guard: Guard | None = None) -> None:
    """Deliver as a process does, until something is so."""
    over = threading.Event()

    async def run() -> None:
        async with client:
            deliverer = asyncio.create_task(office.deliverer(client, guard).run(over))
            while not done():
                await asyncio.sleep(0.01)
            over.set()
            await deliverer

    asyncio.run(asyncio.wait_for(run(), 30))


def test_who_never_answers_does_not_hold_up_others(office: Office) -> None:
    """While one has all that it may have under way, every event of the other arrives."""
    stuck = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["host"].startswith("slow"):
            await stuck.wait()
        return answered_with(200)

    office.hear("https://slow.example/", "whk_slow")
    office.hear("https://quick.example/", "whk_quick")
    for number in range(AT_ONCE + 3):
        office.order(str(number))

    def arrived() -> bool:
        with office.database.read() as tx:
            sql = "SELECT COUNT(*) FROM delivery WHERE webhook = 'whk_quick' AND state = 'delivered'"
            return bool(tx.value(sql) == AT_ONCE + 3)

    deliver_seconds, deliver.LAST_SECONDS = deliver.LAST_SECONDS, 0.1
    try:
        run_until(office, httpx.AsyncClient(transport=httpx.MockTransport(answer)), arrived)
    finally:
        deliver.LAST_SECONDS = deliver_seconds
    with office.database.read() as tx:
        left = tx.value("SELECT COUNT(*) FROM delivery WHERE state = 'waiting' AND leased_by IS NULL")
    assert left == AT_ONCE + 3, "what was under way is given back"


def test_many_events_arrive_each_order_in_its_sequence(office: Office) -> None:
    office.hear()
    orders = [office.order(str(number)) for number in range(12)]
    for number, order in enumerate(orders):
        office.database.write(lambda tx, order=order: settle(tx, order, (1, STORE, 1)))
        fact = OrderReleased(id=f"l{number}", at=1, order=order)
        ((consignment,),) = office.database.write(lambda tx, fact=fact: release(tx, [fact]))
        sent = Shipped(id=f"s{number}", at=1, consignment=consignment)
        office.database.write(lambda tx, sent=sent: ship(tx, sent))
    office.database.write(lambda tx: relay(tx, clock()))
    sink = Sink()
    run_until(office, sink.client, lambda: len(sink.got) == 24)
    assert set(office.states()) == {"delivered"}
    got = [json.loads(request.content) for request in sink.got]
    for order in orders:
        assert [one["type"] for one in got if one["subject"] == order] == ["order.confirmed", "order.shipped"]


def test_nothing_that_is_sent_is_personal(office: Office) -> None:
    person = Person("cus-1", "Ann Example", "1 High Street", "ann@example.org")
    office.database.write(lambda tx: remember(tx, [person], clock()))
    office.hear()
    office.order(recipient="cus-1")
    sink = Sink()
    office.deliver(sink.client)
    sent = sink.got[0].content.decode()
    assert not any(word in sent for word in ("Ann", "High Street", "ann@", "cus-1"))


def test_resolvers_are_asked_for_the_name_as_the_network_spells_it(office: Office) -> None:
    asked: list[str] = []

    async def note(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return [ADDRESS]

    resolver: Resolver = note
    office.hear("https://bücher.example/")
    office.order()
    sink = Sink()
    office.deliver(sink.client, Guard(resolve=resolver))
    assert (asked, sink.got[0].headers["host"]) == (["xn--bcher-kva.example"], "xn--bcher-kva.example")
