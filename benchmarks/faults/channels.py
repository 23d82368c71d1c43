"""A storm of what a shop elsewhere says of its orders: twice, in any order, forged and broken, while nodes send and refuse them.

Each order goes on there for a while: lines are added, made more and fewer, refunded, sent elsewhere, and half of the orders are
cancelled in the end. All of it is said as Shopify says it, signed, as states and as changes; every message twice, in disorder,
by eight clients at once. Cancels race with releases. In the end there is one order for each, with just what is
wanted of each line, or more of what was released before it was given up, and then people were told.
"""

import base64
import hashlib
import hmac
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import numpy as np
from cryptography.fernet import Fernet
from sqlmodel import SQLModel

from api.channels.hearing import Secrets, hear_message, seal
from api.moments import moment
from api.vault import Vault
from benchmarks.faults.postgres import migrated
from benchmarks.faults.rows import Edition, Row, must, unbalanced
from benchmarks.results import Say
from benchmarks.shop import NOW, Shop, open_shop
from engine.channel_issues import ALREADY_RELEASED
from engine.channels import hear_again, orders_to_retry
from engine.connections import Connection, ConnectionEntry, get_connection, put_connection
from engine.database import Database, Tx
from engine.facts import ConsignmentFact, ConsignmentRejected, OrderReleased, Shipped
from engine.store import Store
from engine.waves import run_wave
from solver.effort import Effort
from solver.refusal import Refusal

CLIENTS = 8
SHOP = Shop(nodes=6, skus=40, stock=1_000_000)
ACCOUNT = "storm.myshopify.com"
SECRET = "storm"  # noqa: S105 -- of no shop
PLANTED = "Planted"
"""What is personal here begins with it."""
DONE_BY = NOW + 86_400_000


@dataclass(frozen=True)
class Message:
    """What is sent: its headers are those of Shopify."""

    event: str
    topic: str
    body: bytes
    signature: str

    @property
    def headers(self) -> dict[str, str]:
        return {
            "x-shopify-topic": self.topic, "x-shopify-shop-domain": ACCOUNT, "x-shopify-webhook-id": self.event,
            "x-shopify-hmac-sha256": self.signature,
        }  # fmt: skip


@dataclass
class Line:
    """A line as the shop has it."""

    id: int
    sku: str
    quantity: int
    current: int


@dataclass
class Story:
    """An order as it goes on at the shop, and all that is said of it."""

    id: int
    rng: np.random.Generator
    lines: list[Line] = field(default_factory=list)
    place: tuple[float, float] = (50.0, 10.0)
    at: int = NOW
    cancelled: bool = False
    messages: list[Message] = field(default_factory=list)
    _told: set[int] = field(default_factory=set)

    @property
    def wanted(self) -> dict[str, int]:
        return {str(line.id): 0 if self.cancelled else line.current for line in self.lines}

    def tell(self) -> None:
        """All of it, from beginning to end."""
        for _ in range(int(self.rng.integers(1, 4))):
            self._add()
        self._say("orders/create")
        for _ in range(int(self.rng.integers(0, 5))):
            self.at += 1000
            (self._more, self._fewer, self._refund, self._new, self._move)[int(self.rng.integers(5))]()
            self._say("orders/updated")
        if self.rng.integers(2):
            self.at += 1000
            self.cancelled = True
            self._say("orders/cancelled")
            self._say("orders/updated")

    def _add(self) -> Line:
        units = int(self.rng.integers(1, 4))
        line = Line(self.id * 100 + len(self.lines), f"S{int(self.rng.integers(SHOP.skus)):05}", units, units)
        self.lines.append(line)
        return line

    def _any(self) -> Line:
        return self.lines[int(self.rng.integers(len(self.lines)))]

    def _more(self) -> None:
        line = self._any()
        line.quantity, line.current = line.quantity + 1, line.current + 1
        self._edited("additions", line)

    def _fewer(self) -> None:
        line = self._any()
        if line.current:
            line.current -= 1
            self._edited("removals", line)

    def _new(self) -> None:
        self._edited("additions", self._add())

    def _refund(self) -> None:
        line = self._any()
        if line.current:
            line.current -= 1
            refunded = {"line_item_id": line.id, "quantity": 1, "restock_type": "cancel"}
            self._send("refunds/create", {"id": self.at, "order_id": self.id, "created_at": moment(self.at),
                                          "note": f"{PLANTED} refund", "refund_line_items": [refunded]})  # fmt: skip

    def _move(self) -> None:
        self.place = float(np.round(self.rng.uniform(47.5, 55.0), 2)), float(np.round(self.rng.uniform(6.0, 15.0), 2))

    def _edited(self, what: str, line: Line) -> None:
        delta = {"id": line.id, "delta": 1 if line.id in self._told else line.current}
        edit = {"id": self.at, "order_id": self.id, "committed_at": moment(self.at), "line_items": {what: [delta]}}
        self._send("orders/edited", {"order_edit": edit})

    def _say(self, topic: str) -> None:
        """The state as it is."""
        lat, lon = self.place
        self._told |= {line.id for line in self.lines}
        person = {"name": f"{PLANTED} Person", "address1": f"{PLANTED} Street 1", "phone": f"{PLANTED} phone"}
        lines = [
            {"id": one.id, "sku": one.sku, "quantity": one.quantity, "price": "19.95", "title": f"{PLANTED} engraving",
             "current_quantity": 0 if self.cancelled else one.current}
            for one in self.lines
        ]  # fmt: skip
        state = {
            "id": self.id, "created_at": moment(NOW), "updated_at": moment(self.at), "currency": "EUR", "line_items": lines,
            "email": f"{PLANTED}@example.org", "note": f"{PLANTED} note", "customer": person,
            "shipping_address": {**person, "latitude": lat, "longitude": lon, "country_code": "DE", "zip": "10115"},
        }  # fmt: skip
        if self.cancelled:
            state["cancelled_at"] = moment(self.at)
        self._send(topic, state)

    def _send(self, topic: str, payload: dict[str, Any]) -> None:
        body = msgspec.json.encode(payload)
        self.messages.append(Message(f"{self.id}-{len(self.messages)}", topic, body, sign(body)))


def sign(body: bytes, secret: str = SECRET) -> str:
    """A body's signature, as Shopify makes it."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def storms(database: str, edition: Edition, say: Say) -> Row:
    """Send the storm, and see what is there when it is over."""
    number = 20 if edition.quick else 1_500
    stories = [Story(10_000 + n, np.random.default_rng([edition.seed, n])) for n in range(number)]
    for story in stories:
        story.tell()
    rng = np.random.default_rng([edition.seed, 1_000_000])
    good = [message for story in stories for message in story.messages]
    bad = [Message(f"forged {n}", one.topic, one.body, sign(one.body, "guess")) for n, one in enumerate(good[::20])]
    broken = [Message(f"broken {n}", one.topic, one.body[:-9], sign(one.body[:-9])) for n, one in enumerate(good[::20])]
    sent = _in_disorder(stories, [*bad, *broken], rng)
    vault = Vault(Fernet.generate_key().decode())
    with migrated(database) as (url, _), Database(url, connections=CLIENTS + 4) as opened:
        open_shop(opened, SHOP)
        entry = ConnectionEntry(id="storm", kind="shopify", channel="web", account=ACCOUNT)
        sealed = seal(vault, Secrets(now={"signing": SECRET}))
        opened.write(lambda tx: put_connection(tx, entry, NOW, secrets=sealed))
        beside = Beside(opened)
        outcomes = beside.during(lambda: _send_all(opened, vault, sent, say))
        _catch_up(opened)
        figures, wrong = _judged(opened, stories)
    asked = {
        "orders": number, "messages": len(good), "sent": len(sent), "clients": CLIENTS, **_outcomes(outcomes),
        "waves": beside.waves, **figures, "consignments shipped": beside.shipped, "refused by nodes": beside.rejected,
    }  # fmt: skip
    return Row(
        "a shop's orders are edited, refunded and cancelled, told as Shopify tells them: every message twice, in disorder, forged "
        "and broken ones among them, by eight clients, while waves decide and nodes release, ship and refuse",
        asked,
        must(
            *((not found, f"{name}: {found[:3]}") for name, found in wrong.items()),
            (outcomes["seen"] == len(good), f"{outcomes['seen']} messages were known again, not {len(good)}"),
            (outcomes["refused"] == len(bad), f"{outcomes['refused']} of {len(bad)} forged messages were refused"),
            (beside.shipped > 0 and beside.rejected > 0 and beside.waves > 0, "nothing went on beside the messages"),
            (not beside.failed, f"beside the messages: {beside.failed[:3]}"),
        ),
    )


def _in_disorder(stories: Sequence[Story], others: Sequence[Message], rng: np.random.Generator) -> list[Message]:
    """Every message of each order twice, some orders nearly as it was and some in any order; many orders at a time."""
    timed: list[tuple[float, Message]] = []
    for story in stories:
        begins, late = rng.uniform(0, len(stories)), float(rng.choice([0.3, 2.0, 50.0]))
        for n, message in enumerate(story.messages):
            timed += [(begins + n + float(rng.exponential(late)), message) for _ in range(2)]
    timed += [(float(rng.uniform(0, len(stories))), message) for message in others]
    return [message for _, message in sorted(timed, key=lambda one: one[0])]


def _outcomes(outcomes: Counter[str]) -> dict[str, int]:
    names = {"applied": "applied", "unchanged": "nothing new", "older": "too late", "parked": "too early", "seen": "known again",
             "issue": "with issues", "refused": "forged, refused"}  # fmt: skip
    return {shown: outcomes[name] for name, shown in names.items()}


def _send_all(database: Database, vault: Vault, sent: Sequence[Message], say: Say) -> Counter[str]:
    """Every message, by so many clients at once; what came of them."""
    outcomes: Counter[str] = Counter()

    def send(one: Message) -> str:
        heard = hear_message(database, vault, "storm", one.headers, one.body, DONE_BY, trusted=False)
        return "refused" if heard is None else heard.outcome

    with ThreadPoolExecutor(CLIENTS) as pool:
        for n, outcome in enumerate(pool.map(send, sent), start=1):
            outcomes[outcome] += 1
            if n % 1000 == 0:
                say(f"{n:,} of {len(sent):,} messages")
    return outcomes


class Beside:
    """Nodes at work, and waves."""

    def __init__(self, database: Database) -> None:
        self.database, self.store = database, Store(database)
        self.waves = self.shipped = self.rejected = self.made = 0
        self.failed: list[str] = []
        self._over = threading.Event()

    def during(self, act: Callable[[], Counter[str]]) -> Counter[str]:
        """Work while something is done, and once after it."""
        threads = [threading.Thread(target=self._again, args=(one,)) for one in (self.nodes, self.wave)]
        for thread in threads:
            thread.start()
        try:
            return act()
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _again(self, act: Callable[[], None]) -> None:
        last = False
        while not last:
            last = self._over.wait(0.02)
            try:
                act()
            except Exception as error:
                self.failed.append(f"{act.__name__}: {error!r}")

    def wave(self) -> None:
        """Decide what waits."""
        run_wave(
            self.database, NOW, worker=f"w{self.waves}", policy="cheapest", effort=Effort(seconds=1.0), limit=1_000
        )
        self.waves += 1

    def nodes(self) -> None:
        """Release some of what is allocated; ship what was released, or refuse it."""
        with self.database.read() as tx:
            orders = [id for (id,) in tx.all("SELECT id FROM orders WHERE allocated > 0 ORDER BY no LIMIT 40")]
            released = [
                id for (id,) in tx.all("SELECT id FROM consignment WHERE state = 'released' ORDER BY no LIMIT 40")
            ]
        for order in orders[::2]:
            self._handle(OrderReleased(id=self._id(), at=NOW, order=order))
        for i, consignment in enumerate(released):
            if i % 3 == 0:
                self.rejected += self._handle(ConsignmentRejected(id=self._id(), at=NOW, consignment=consignment))
            else:
                self.shipped += self._handle(Shipped(id=self._id(), at=NOW, consignment=consignment))

    def _id(self) -> str:
        self.made += 1
        return f"n{self.made}"

    def _handle(self, fact: ConsignmentFact) -> bool:
        """Do something that may come too late."""
        with suppress(Refusal):
            return self.store.handle(fact)
        return False


def _catch_up(database: Database) -> None:
    """What the clock does: cancel what was given up and came back."""
    with database.read() as tx:
        here, left = get_connection(tx, "storm"), orders_to_retry(tx, DONE_BY, 100_000)
    for _, order in left:
        database.write(partial(_hear_again, here=here, order=order))


def _hear_again(tx: Tx, here: Connection, order: str) -> None:
    hear_again(tx, here, order, DONE_BY)


def _judged(database: Database, stories: Sequence[Story]) -> tuple[dict[str, int], dict[str, list[str]]]:
    """What is there in the end, and what of it should not be."""
    with database.read() as tx:
        orders = Counter(row[0] for row in tx.all("SELECT external_id FROM orders"))
        found = tx.all(
            "SELECT r.external_id, l.ref, i.qty - i.cancelled, l.undone, i.released + i.shipped + i.delivered + i.returned "
            "FROM channel_order r JOIN channel_line l ON l.order_no = r.order_no "
            "JOIN order_line i ON i.order_no = l.order_no AND i.number = l.number"
        )
        told = set(tx.all("SELECT external_id, place FROM channel_issue WHERE code = :code AND state = 'open'",
                          code=ALREADY_RELEASED))  # fmt: skip
        places = {row[0]: row[1:] for row in tx.all("SELECT external_id, lat, lon, open + allocated FROM orders")}
        reserved = tx.value("SELECT SUM(reserved) FROM stock")
        claimed = tx.value("SELECT SUM(allocated + released) FROM order_line")
        leaked = [name for name in sorted(SQLModel.metadata.tables) if name != "recipient"
                  and PLANTED in repr(tx.all(f'SELECT * FROM "{name}"'))]  # noqa: S608  # fmt: skip
        people = tx.value("SELECT COUNT(*) FROM recipient WHERE name IS NOT NULL")
    live = {(order, ref): (units, undone, later) for order, ref, units, undone, later in found}
    wrong: dict[str, list[str]] = {"orders placed twice": [id for id, times in orders.items() if times > 1]}
    lines, lost, strayed = [], [], []
    for story in stories:
        for ref, units in story.wanted.items():
            has, undone, later = live.get((str(story.id), ref), (0, 0, 0))
            if has != units + undone or undone > later:
                lines.append(f"line {ref}: {has} units, {units} wanted, {undone} too late")
            if undone and (str(story.id), f"lines[{ref}].quantity") not in told:
                lost.append(f"line {ref}")
        lat, lon, left = places.get(str(story.id), (None, None, 0))
        if left and not story.cancelled and (lat, lon) != story.place and (str(story.id), "destination") not in told:
            strayed.append(str(story.id))
    wrong |= {
        "lines that are not right": lines, "given up too late and not told": lost, "sent elsewhere": strayed,
        "personal data outside its table": leaked, "fsck": unbalanced(database),
        "stock": [] if reserved == claimed else [f"{reserved} units are reserved, {claimed} claimed"],
    }  # fmt: skip
    figures = {
        "orders here": len(orders), "lines": len(live), "lines that are not right": len(lines),
        "given up too late, told": len([1 for units, undone, later in live.values() if undone]), "recipients": people,
        "tables with personal data but theirs": len(leaked), "fsck findings": len(wrong["fsck"]),
    }  # fmt: skip
    return figures, wrong
