"""What tests of channels share: the recorded payloads, how they are signed and sent, and what came of them."""

import base64
import copy
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from api.channels import Arrival, Reading, channel_of
from api.moments import read_moment
from api.settings import Settings
from api.working import Working
from engine.connections import Arrangement, Connection, ServiceTerms
from engine.facts import order_id
from tests.api.http.conftest import Desk
from tests.api.http.world import done, furnish, put

PAYLOADS = Path(__file__).parent / "payloads"
SECRET = "hush"  # noqa: S105 -- of no shop
ACCOUNT = "brouwer-koffie.myshopify.com"
ARRANGED: dict[str, Any] = {
    "usual": {"promise_days": 4},
    "services": {"Express": {"promise_days": 1, "late_cents": 900}},
    "pickup": {"City shop": "shop"},
    "options": {"location": "gid://shopify/Location/64"},
}
ORDER = "6120448001"
"""The order that most of Shopify's payloads are about."""


def recorded(kind: str, name: str) -> dict[str, Any]:
    """A recorded message: its topic, when it was sent, and its payload."""
    found: dict[str, Any] = json.loads((PAYLOADS / kind / f"{name}.json").read_text())
    return found


def connection_of(kind: str, account: str = ACCOUNT, **options: str) -> Connection:
    """A connection for what is read without a database."""
    arrangement = Arrangement(usual=ServiceTerms(promise_days=4), options=options)
    return Connection(
        id=kind, kind=kind, channel="web", account=account, secrets="", arrangement=arrangement, active=True,
        push_at=0, push_tries=0, push_problem="", version=1,
    )  # fmt: skip


def reading_of(kind: str, name: str, **options: str) -> Reading:
    """What a recorded message says."""
    message = recorded(kind, name)
    sent_at = read_moment(message["triggered_at"]) if message["triggered_at"] else 0
    arrival = Arrival(event=name, topic=message["topic"], sent_at=sent_at)
    return channel_of(kind).read(connection_of(kind, **options), arrival, message["payload"])


def sign(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@dataclass
class Shop:
    """Sends messages to a connection, as its channel does."""

    desk: Desk
    connection: str = "shopify"
    sent: list[str] = field(default_factory=list)

    def post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return self.desk.ask("POST", f"/v1/channels/{self.connection}/events", scope=None, content=body,
                             headers={"Content-Type": "application/json", **headers})  # fmt: skip

    def send(self, name: str, *, event: str | None = None, secret: str = SECRET, **changes: Any) -> dict[str, Any]:
        """Send a recorded message of Shopify, with some of its fields changed; gives the answer."""
        message = recorded("shopify", name)
        payload = {**copy.deepcopy(message["payload"]), **changes}
        return self.tell(
            message["topic"], payload, event or f"{name}-{len(self.sent)}", message["triggered_at"], secret
        )

    def tell(
        self, topic: str, payload: Any, event: str, at: str = "2025-11-24T18:00:00Z", secret: str = SECRET
    ) -> dict[str, Any]:
        """Send a message of Shopify."""
        self.sent.append(event)
        body = json.dumps(payload, ensure_ascii=False).encode()
        headers = {
            "X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": ACCOUNT, "X-Shopify-Webhook-Id": event,
            "X-Shopify-Triggered-At": at, "X-Shopify-Hmac-Sha256": sign(body, secret),
        }  # fmt: skip
        found: dict[str, Any] = done(self.post(body, headers), 200)
        return found

    def order(self, external_id: str = ORDER, channel: str = "online") -> dict[str, Any]:
        """The order as it is here."""
        found: dict[str, Any] = done(self.desk.get(f"/v1/orders/{order_id(channel, external_id)}"))
        return found

    def lines(self, external_id: str = ORDER) -> list[tuple[str, int, int]]:
        """SKU, units that are not cancelled, and those that are."""
        return [
            (line["sku"], line["qty"] - line["cancelled"], line["cancelled"])
            for line in self.order(external_id)["lines"]
        ]

    def issues(self, state: str = "open") -> list[tuple[str, str]]:
        """Codes and places of issues, the oldest first."""
        found = done(self.desk.get(f"/v1/channel-issues?state={state}"))["data"]
        return [(issue["code"], issue["place"]) for issue in reversed(found)]

    def release(self, external_id: str = ORDER) -> list[str]:
        """Release all that is allocated of an order; its consignments."""
        order = self.order(external_id)
        if order["allocated"] < order["open"] + order["allocated"]:
            done(self.desk.post("/v1/waves", {"policy": "cheapest", "seconds": 1.0}))
        done(self.desk.post(f"/v1/orders/{order['id']}/release", {}, once=f"release {len(self.sent)} {external_id}"))
        return [one["id"] for one in self.order(external_id)["consignments"]]

    def step(self, consignment: str, what: str, **body: Any) -> None:
        done(self.desk.post(f"/v1/consignments/{consignment}/{what}", body, once=f"{what} {consignment}"))

    def clock(self, task: str) -> None:
        """Have a task done as the clock has it done."""
        database = self.desk.database
        url = database.engine.url.render_as_string(hide_password=False)
        tasks = {task.name: task for task in Working(Settings(database_url=url), database).tasks()}
        tasks[task].act(self.desk.clock())

    def balanced(self) -> bool:
        from engine.books import fsck

        with self.desk.database.read() as tx:
            found = fsck(tx)
        assert found == []
        return True


def found_shop(desk: Desk) -> Shop:
    """The example network, a channel `online`, and the connection that sells on it."""
    furnish(desk)
    for name in ("near", "far"):
        done(desk.post("/v1/stock/receipts", {"sku": "cup", "node": name, "units": 100}, once=f"cups {name}"))
    put(desk, "channels/online", {"safety": 0})
    connection = {"kind": "shopify", "channel": "online", "account": ACCOUNT, "arrangement": ARRANGED,
                  "secrets": {"signing": SECRET, "token": "shpat_x"}}  # fmt: skip
    put(desk, "connections/shopify", connection)
    put(desk, "postal-areas", {"areas": [
        {"country": "NL", "area": "", "lat": 52.2, "lon": 5.3, "region": "NL"},
        {"country": "NL", "area": "35", "lat": 52.09, "lon": 5.11, "region": "NL"},
    ]})  # fmt: skip
    return Shop(desk)
