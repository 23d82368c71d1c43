"""A live carrier as somebody might write one, in one file, and the company that it calls, in this process."""

import base64
import json
from dataclasses import dataclass, field

import httpx

from api.carriers import Declined, Load, Made, NoAnswer, Rate, Scan, Setup, Wanted


@dataclass
class Company:
    """The other side: parcels by idempotency key.

    `fails`: what goes wrong, a request each: `down`, `late` (done, not told), or `odd` (no JSON).
    """

    fails: list[str] = field(default_factory=list)
    parcels: dict[str, dict[str, object]] = field(default_factory=dict)
    scans: list[dict[str, object]] = field(default_factory=list)
    asked: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        fails = self.fails.pop(0) if self.fails else ""
        if fails == "down":
            raise httpx.ConnectError("no route")
        answer = self._answer(request)
        if fails == "late":
            raise httpx.ReadTimeout("too late")
        if fails == "odd":
            return httpx.Response(200, text="<html>")
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"{}")
        if request.method == "GET":
            return httpx.Response(200, json={"scans": self.scans})
        if request.method == "DELETE":
            self.parcels.get(request.url.path.rpartition("/")[2], {})["cancelled"] = True
            return httpx.Response(204)
        price = 400 + body["grams"] // 1000
        if request.url.path == "/rates":
            return httpx.Response(200, json={"express": price})
        if body["service"] != "express":
            return httpx.Response(422, json={"code": "unknown_service", "address": body["address"]})
        key = request.headers["Idempotency-Key"]
        made = self.parcels.setdefault(
            key, {"tracking": f"PC{len(self.parcels):08d}", "price": price, "to": body["name"]}
        )
        paper = base64.b64encode(b"%PDF-1.4 " + str(made["tracking"]).encode()).decode()
        return httpx.Response(201, json={**made, "label": paper})


class ParcelCo:
    """Carries parcels by `express`."""

    tracks = True

    def __init__(self, company: Company) -> None:
        self._client = httpx.Client(
            transport=httpx.MockTransport(company), base_url="https://parcel.example", timeout=10
        )

    def rate(self, load: Load) -> list[Rate]:
        """What its one service takes."""
        prices = self._ask("POST", "/rates", {"grams": load.grams}).json()
        return [Rate(service, cents, 1) for service, cents in prices.items()]

    def make(self, wanted: Wanted) -> Made:
        """Make a label."""
        to = wanted.load.recipient
        body = {"service": wanted.service, "grams": wanted.load.grams, "name": to.name, "address": to.address}
        answer = self._ask("POST", "/parcels", body, wanted.key)
        said = answer.json()
        if answer.status_code == 422:
            raise Declined(said["code"])
        return Made(said["tracking"], said["price"], base64.b64decode(said["label"]))

    def cancel(self, key: str, tracking: str | None) -> None:
        """Cancel a label."""
        self._ask("DELETE", f"/parcels/{key}")

    def track(self, tracking: str) -> list[Scan]:
        """Where it was seen."""
        return [Scan(**scan) for scan in self._ask("GET", f"/parcels/{tracking}").json()["scans"]]

    def _ask(self, method: str, path: str, body: object = None, key: str = "") -> httpx.Response:
        try:
            return self._client.request(method, path, json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError as error:
            raise NoAnswer from error


def opener(company: Company) -> object:
    """As an entry point would name it."""

    def open_it(_setup: Setup) -> ParcelCo:
        return ParcelCo(company)

    return open_it
