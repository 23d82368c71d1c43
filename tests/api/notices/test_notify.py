"""Customers are told by mail, once, unless they said that they do not want it; and nothing of them is kept or logged."""

import email
import socket
import ssl
from collections.abc import Callable, Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography.fernet import Fernet

from api.notices import Away, Later, Message, Refused
from api.notices.notify import Notifier
from api.notices.smtp import Smtp
from api.notices.unsubscribing import link_of, read_token
from api.notices.writing import Writer
from api.serving import check_telling
from api.settings import Settings, read_settings
from api.vault import Vault
from engine import notices
from engine.books import fsck
from engine.database import Database
from engine.events import FRESH, relay
from engine.facts import RecipientErased
from engine.notices import LEASE, REST, TOLD
from engine.orders import Person, place, remember
from engine.privacy import erase
from engine.webhooks import SCHEDULE
from solver.refusal import Refusal
from tests.api.webhooks.sink import certificate
from tests.engine.shop import NOON, open_shop, ordered

SHOP = "The Shop <orders@shop.example>"
ANN = Person("cus-1", "Ann Example", "1 High Street", "ann@example.org", "en")
VAULT = Vault(Fernet.generate_key().decode())
PUBLIC = "https://allot.example"


class Outbox:
    """A sender that keeps what it is given, and answers as a test says."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.answers: list[Exception] = []

    def takes(self, contact: str) -> bool:
        return "@" in contact

    def send(self, message: Message) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.sent.append(message)


class Office:
    """A shop that tells its customers."""

    def __init__(self, database: Database) -> None:
        self.database, self.at, self.outbox = database, NOON, Outbox()
        open_shop(database)
        while database.write(lambda tx: relay(tx, NOON, TOLD)):
            pass

    def know(self, *people: Person) -> None:
        self.database.write(lambda tx: remember(tx, people, self.at))

    def order(self, external_id: str = "1", recipient: str = "cus-1") -> str:
        order = ordered(external_id, ("tee", 1), recipient=recipient, at=self.at)
        id = self.database.write(lambda tx: place(tx, [order]))[0].id
        while self.database.write(lambda tx: relay(tx, self.at, TOLD)):
            pass
        return id

    def notifier(self, sender: Any = None, worker: str = "w", writer: Writer | None = None) -> Notifier:
        sender, writer = sender or self.outbox, writer or Writer()
        return Notifier(self.database, VAULT, sender, writer, PUBLIC, lambda: self.at, worker)

    def step(self, sender: Any = None, **more: Any) -> int:
        """Send all that can be sent; how many were tried."""
        notifier, count = self.notifier(sender, **more), 0
        while notifier.step():
            count += 1
        return count

    def states(self) -> list[tuple[str, str]]:
        with self.database.read() as tx:
            assert fsck(tx) == []
            return [(state, why) for state, why in tx.all("SELECT state, why FROM notice ORDER BY event_no")]


@pytest.fixture
def office(database: Database) -> Office:
    made = Office(database)
    made.know(ANN)
    return made


def test_a_customer_is_told_once(office: Office) -> None:
    office.order()
    assert (office.step(), office.step()) == (1, 0)
    (message,) = office.outbox.sent
    assert (message.contact, message.name) == ("ann@example.org", "Ann Example")
    assert "Dear Ann Example" in message.text
    assert office.states() == [("sent", "")]


def test_a_customer_is_told_in_their_language(office: Office) -> None:
    office.know(Person("cus-2", "Eva", None, "eva@example.org", "de-AT"))
    office.order(recipient="cus-2")
    office.step()
    assert office.outbox.sent[0].subject.startswith("Wir haben Ihre Bestellung")


@pytest.mark.parametrize(
    ("types", "why"), [(["order.confirmed"], "opted_out"), ([""], "opted_out"), (["order.shipped"], "")]
)
def test_who_does_not_want_to_be_told_is_not(office: Office, types: list[str], why: str) -> None:
    office.database.write(lambda tx: notices.put_opt_outs(tx, NOON, "cus-1", types))
    office.order()
    office.step()
    assert office.states() == [("skipped" if why else "sent", why)]


def test_who_has_no_address_or_was_erased_is_not_told(office: Office) -> None:
    office.know(Person("cus-2", "Eva", None, "+43 1 234567"), Person("cus-3", "Eva"))
    for number, recipient in enumerate(("cus-1", "cus-2", "cus-3")):
        office.order(str(number), recipient)
    erased = RecipientErased(id="e", at=NOON, recipient="cus-1")
    office.database.write(lambda tx: erase(tx, erased))
    office.step()
    assert office.states() == [("skipped", "erased"), ("skipped", "no_contact"), ("skipped", "no_contact")]


def test_what_is_no_news_any_more_is_not_told(office: Office) -> None:
    office.order()
    office.at += FRESH + 1
    office.step()
    assert office.states() == [("skipped", "too_late")]


def test_what_is_not_taken_now_is_sent_later_and_what_never_is_is_dead(office: Office) -> None:
    office.order("1")
    office.order("2")
    office.outbox.answers = [Later("refused_451"), Refused("refused_550")]
    office.step()
    assert office.states() == [("waiting", "refused_451"), ("dead", "refused_550")]
    assert office.step() == 0
    office.at += SCHEDULE[1]
    office.step()
    assert office.states()[0] == ("sent", "")


def test_where_nothing_is_taken_all_wait_and_the_server_is_asked_once(office: Office) -> None:
    for number in range(5):
        office.order(str(number))
    office.outbox.answers = [Away("no_connection")] * 2
    assert office.step() == 0
    assert len(office.outbox.answers) == 1
    assert office.states() == [("waiting", "no_connection")] * 5


def test_until_a_setting_is_mended_messages_wait_however_often_that_is_tried_and_are_sent_then(office: Office) -> None:
    office.order("1")
    office.order("2")
    with structlog.testing.capture_logs() as logs:
        for _ in range(2 * len(SCHEDULE)):
            office.outbox.answers = [Away("not_let_in")]
            office.step()
            assert office.states() == [("waiting", "not_let_in")] * 2
            office.at += REST
    assert logs[0] == {"event": "notices not sent", "log_level": "warning", "why": "not_let_in", "waiting": 2}
    office.at += 1
    assert office.step() == 2
    assert office.states() == [("sent", "")] * 2


def test_a_message_at_which_the_server_hangs_up_holds_up_no_other(office: Office) -> None:
    office.order("1")
    office.order("2")
    office.outbox.answers = [Away("no_connection")]
    office.step()
    office.at += REST
    office.step()
    assert office.states() == [("waiting", "no_connection"), ("sent", "")]


def test_a_notice_that_goes_wrong_here_holds_up_no_other_and_ends_some_time(office: Office) -> None:
    office.order("1")
    office.order("2")
    office.outbox.answers = [RuntimeError("Ann")]
    with structlog.testing.capture_logs() as logs:
        assert office.step() == 2
    assert office.states() == [("waiting", "bug"), ("sent", "")]
    assert [one["event"] for one in logs] == ["bug"]
    for wait in SCHEDULE[1:]:
        office.at += wait
        office.outbox.answers = [RuntimeError("Ann")]
        office.step()
    assert office.states()[0] == ("dead", "bug")


def test_however_slow_the_server_is_nobody_else_sends_the_same(office: Office) -> None:
    for number in range(4):
        office.order(str(number))

    class Slow(Outbox):
        def send(self, message: Message) -> None:
            office.outbox.sent.append(message)
            office.at += LEASE - 1
            office.notifier(worker="another").step()

    office.step(Slow())
    assert len(office.outbox.sent) == len({message.id for message in office.outbox.sent}) == 4
    assert office.states() == [("sent", "")] * 4


def test_who_dies_between_sending_and_marking_leaves_a_message_that_is_sent_again_as_the_same(office: Office) -> None:
    office.order()

    class Dies(Outbox):
        def send(self, message: Message) -> None:
            office.outbox.sent.append(message)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        office.step(Dies())
    assert office.step() == 0
    office.at += LEASE
    office.step()
    first, second = office.outbox.sent
    assert first.id == second.id
    assert office.states() == [("sent", "")]


def test_a_template_that_is_wrong_ends_its_notice_and_no_other(office: Office, tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "order.confirmed.j2").write_text("{{ nobody }}")
    office.know(Person("cus-2", "Eva", None, "eva@example.org", "de"))
    office.order("1", "cus-2")
    office.order("2")
    office.step(writer=Writer("en", tmp_path))
    assert office.states() == [("dead", "bad_template"), ("sent", "")]


def test_nothing_personal_is_in_a_row_or_in_a_log(office: Office) -> None:
    with structlog.testing.capture_logs() as logs:
        office.order("1")
        office.order("2")
        office.outbox.answers = [Refused("refused_550")]
        office.step()
    with office.database.read() as tx:
        kept = str([tx.all(f"SELECT * FROM {name}") for name in ("notice", "event", "told", "fact", "opt_out")])
    due = office.notifier()
    shown = kept + str(logs) + repr(due) + repr(office.outbox.sent)
    assert not any(word in shown for word in ("Ann", "High Street", "ann@"))


# --- links ------------------------------------------------------------------------------------------------------------


def test_a_link_says_who_and_what_to_nobody_but_us() -> None:
    link = link_of(VAULT, PUBLIC + "/", "cus-1", "order.shipped")
    assert link.startswith(f"{PUBLIC}/unsubscribe?token=")
    assert "cus-1" not in link
    token = link.partition("=")[2].replace("%3D", "=")
    assert read_token(VAULT, token) == ("cus-1", "order.shipped")


@pytest.mark.parametrize(
    "token", ["", "x", "é", VAULT.seal("whsec_abc"), VAULT.seal('["other", "cus-1", "x"]')],
    ids=["nothing", "a letter", "no ASCII", "a secret", "of other use"],
)  # fmt: skip
def test_nothing_else_is_a_link_not_even_another_secret_of_ours(token: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_token(VAULT, token)
    assert refused.value.code == "bad_token"


# --- mail -------------------------------------------------------------------------------------------------------------


class Mailbox:
    """A mail server's end: what it got, and what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[list[str], EmailMessage]] = []
        self.raw: list[bytes] = []
        self.sender, self.to, self.said, self.bye = "250 OK", "250 OK", "250 OK", "221 Bye"

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _o: list[str]
    ) -> str:
        if self.sender.startswith("250"):
            envelope.mail_from = address
        return self.sender

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return self.bye

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _o: list[str]
    ) -> str:
        if self.to.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append((envelope.rcpt_tos, message))
        return self.said


Serve = Callable[..., tuple[Mailbox, int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[Controller] = []

    def start(**more: Any) -> tuple[Mailbox, int]:
        mailbox = Mailbox()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        controller = Controller(mailbox, hostname="127.0.0.1", port=port, **more)
        controller.start()
        running.append(controller)
        return mailbox, port

    yield start
    for one in running:
        one.stop()


def message(**more: Any) -> Message:
    usual = {
        "id": "evt_1", "at": NOON, "contact": "ann@example.org", "name": "Ann Müller", "subject": "Grüße: W-1",
        "text": "Dear Ann\n", "html": "<p>Dear Ann</p>\n", "unsubscribe": "https://allot.example/unsubscribe?token=a",
    }  # fmt: skip
    return Message(**{**usual, **more})


def plain(port: int) -> Smtp:
    return Smtp("127.0.0.1", port, SHOP, tls="none")


def test_mail_arrives_with_text_and_html_and_one_click_to_get_no_more(serve: Serve) -> None:
    mailbox, port = serve()
    link = link_of(VAULT, PUBLIC, "cus-1" * 20, "order.ready_for_pickup")
    plain(port).send(message(unsubscribe=link))
    ((to, mail),) = mailbox.got
    assert to == ["ann@example.org"]
    assert (mail["From"], mail["To"]) == ("The Shop <orders@shop.example>", "Ann Müller <ann@example.org>")
    assert (mail["Subject"], mail["Message-ID"]) == ("Grüße: W-1", "<evt_1@shop.example>")
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in mailbox.raw[0]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    parts = {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in mail.iter_parts()}
    assert parts == {"text/plain": "Dear Ann\n", "text/html": "<p>Dear Ann</p>\n"}


@pytest.mark.parametrize(
    "contact",
    [
        "", "ann", "ann@", "@example.org", "ann@example", "ann@example.org\r\nBcc: eve@example.org", "ann@example.org\n",
        "ann@example.org, eve@example.org", "ann@example.org;eve@example.org", "Ann <ann@example.org>",
        "ann@example.org eve", "a@b@example.org", "ann@example.org\x00", "all: ann@example.org", "+49 30 123456",
        "ann@example.org>\r\nRCPT TO:<eve@example.org",
    ],
)  # fmt: skip
def test_what_is_not_the_address_of_one_mailbox_is_not_written_to(serve: Serve, contact: str) -> None:
    mailbox, port = serve()
    assert not plain(port).takes(contact)
    with pytest.raises(Refused):
        plain(port).send(message(contact=contact))
    assert mailbox.got == []


@pytest.mark.parametrize("place", ["name", "subject"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
def test_nothing_that_is_said_becomes_a_header(serve: Serve, place: str, end: str) -> None:
    mailbox, port = serve()
    plain(port).send(message(**{place: f"Ann{end}Bcc: eve@example.org"}))
    ((to, mail),) = mailbox.got
    assert to == ["ann@example.org"]
    assert mail["Bcc"] is None
    assert len(mail.get_all("To")) == 1


@pytest.mark.parametrize(
    ("to", "said", "kind", "why"),
    [
        ("550 no such mailbox ann@example.org", "250 OK", Refused, "refused_550"),
        ("451 later, ann@example.org", "250 OK", Later, "refused_451"),
        ("250 OK", "554 spam", Refused, "refused_554"),
        ("250 OK", "452 full", Later, "refused_452"),
        ("530 who are you?", "250 OK", Away, "refused_530"),
        ("421 closing", "250 OK", Away, "refused_421"),
    ],
)
def test_what_a_server_says_ends_a_message_or_puts_it_off_and_names_nobody(
    serve: Serve, to: str, said: str, kind: type[Exception], why: str
) -> None:
    mailbox, port = serve()
    mailbox.to, mailbox.said = to, said
    with pytest.raises(kind) as refused:
        plain(port).send(message())
    assert (str(refused.value), refused.value.__cause__) == (why, None)


@pytest.mark.parametrize(
    ("sender", "kind", "why"),
    [
        ("550 not from you", Away, "sender_refused_550"), ("451 not now", Away, "sender_refused_451"),
        ("552 too large", Refused, "refused_552"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_take_the_sender_takes_nothing_until_that_is_mended(
    serve: Serve, sender: str, kind: type[Exception], why: str
) -> None:
    mailbox, port = serve()
    mailbox.sender = sender
    with pytest.raises(kind, match=why):
        plain(port).send(message())


def test_a_server_that_does_not_encrypt_or_let_us_in_takes_nothing_until_that_is_mended(serve: Serve) -> None:
    _, port = serve()
    with pytest.raises(Away, match="no_starttls_or_login"):
        Smtp("127.0.0.1", port, SHOP, tls="starttls").send(message())
    with pytest.raises(Away, match="no_starttls_or_login"):
        Smtp("127.0.0.1", port, SHOP, tls="none", user="shop").send(message())
    _, port = serve(auth_require_tls=False, authenticator=lambda *_: AuthResult(success=False, handled=False))
    with pytest.raises(Away, match="not_let_in"):
        Smtp("127.0.0.1", port, SHOP, tls="none", user="shop").send(message())


@pytest.mark.parametrize("bye", ["421 not so", "500 what?"])
def test_what_was_taken_is_sent_whatever_the_server_says_to_goodbye(serve: Serve, bye: str) -> None:
    mailbox, port = serve()
    mailbox.bye = bye
    plain(port).send(message())
    assert len(mailbox.got) == 1


def test_a_server_that_is_not_there_is_away() -> None:
    with pytest.raises(Away, match="no_connection"):
        plain(1).send(message())


def test_mail_goes_over_tls_to_a_server_whose_certificate_is_believed(serve: Serve, tmp_path: Path) -> None:
    public, both = certificate(tmp_path, "localhost")
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(both)
    mailbox, port = serve(tls_context=own, require_starttls=True)
    context = ssl.create_default_context(cafile=str(public))
    Smtp("localhost", port, SHOP, context=context).send(message())
    assert len(mailbox.got) == 1
    with pytest.raises(Away):
        Smtp("localhost", port, SHOP).send(message())
    with pytest.raises(Away):
        plain(port).send(message())
    assert len(mailbox.got) == 1


# --- settings ---------------------------------------------------------------------------------------------------------


def test_customers_are_told_nothing_unless_there_is_a_mail_server() -> None:
    assert Settings().notify == frozenset()
    told = {"smtp_host": "mail.example", "smtp_from": SHOP, "public_url": PUBLIC}
    assert read_settings(**told).notify == frozenset(TOLD)
    assert read_settings(**told, notice_types="order.shipped order.delayed").notify == {
        "order.shipped",
        "order.delayed",
    }


def test_a_process_does_not_begin_where_customers_could_not_be_told(tmp_path: Path) -> None:
    told = {"smtp_host": "mail.example", "smtp_from": SHOP, "public_url": PUBLIC}
    embedded = {"database_url": f"sqlite:///{tmp_path}/allot.db", **told}
    check_telling(read_settings())
    check_telling(read_settings(**embedded))
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "order.shipped.j2").write_text("{% block %}")
    server = {"database_url": "postgresql+psycopg://allot@nowhere/allot", **told}
    for given, name in (
        ({**embedded, "notice_templates": str(tmp_path)}, "ALLOT_NOTICE_TEMPLATES"),
        ({**embedded, "notice_sender": "pigeon"}, "ALLOT_NOTICE_SENDER"),
        (server, "ALLOT_SECRET_KEY"),
    ):
        with pytest.raises(Refusal) as refused:
            check_telling(read_settings(**given))
        assert refused.value.place == name


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"smtp_from": None}, "ALLOT_SMTP_FROM"),
        ({"smtp_from": "The Shop"}, "ALLOT_SMTP_FROM"),
        ({"public_url": None}, "ALLOT_PUBLIC_URL"),
        ({"public_url": None, "smtp_host": None, "notice_sender": "sms"}, "ALLOT_PUBLIC_URL"),
        ({"public_url": "allot.example"}, "ALLOT_PUBLIC_URL"),
        ({"smtp_tls": "none", "smtp_user": "shop"}, "ALLOT_SMTP_TLS"),
        ({"smtp_tls": "maybe"}, "ALLOT_SMTP_TLS"),
        ({"notice_types": "order.shipped order.eaten"}, "ALLOT_NOTICE_TYPES"),
        ({"notice_templates": "/nowhere/at/all"}, "ALLOT_NOTICE_TEMPLATES"),
        ({"webhook_networks": "10.0.0.0/8 home"}, "ALLOT_WEBHOOK_NETWORKS"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_its_name(given: dict[str, Any], place: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_settings(**{"smtp_host": "mail.example", "smtp_from": SHOP, "public_url": PUBLIC, **given})
    assert refused.value.place == place
