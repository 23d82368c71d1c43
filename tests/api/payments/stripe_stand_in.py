"""As much of Stripe's API as payments need, over HTTP, in a thread: intents, captures, cancels, refunds, keys, and its faults.

Written from docs.stripe.com/api: bodies are forms, errors have `type`, `code` and `decline_code`, an `Idempotency-Key` is answered
as before, or refused where the request is another one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl

KEY = "sk_test_stand_in"
CARDS = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_authenticationRequired": ("authentication_required", "authentication_required"),
}
"""Payment methods that are declined: code and decline code."""
Answer = tuple[int, dict[str, Any]]


@dataclass
class Account:
    """What an account has. `fails`: what goes wrong, a request each: `lost` (done, not told), `down` (500), `busy` (429), or ''."""

    multicapture: bool = False
    fails: list[str] = field(default_factory=list)
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def expire(self) -> None:
        """Let the time of all that is kept run out."""
        for intent in self.intents.values():
            if intent["status"] == "requires_capture":
                intent |= {"status": "canceled", "amount_capturable": 0, "cancellation_reason": "automatic"}

    def answer(self, method: str, path: str, form: dict[str, str], headers: Any) -> Answer:
        """What a request is answered."""
        if headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "invalid_request_error", "api_key_invalid")
        self.asked.append((method, path, form))
        key, said = headers.get("Idempotency-Key"), json.dumps([path, form])
        if key in self.keys:
            before, answer = self.keys[key]
            return answer if before == said else _error(400, "idempotency_error", "idempotency_key_in_use")
        answer = self._do(method, path.strip("/").split("/")[1:], form)
        if key and method == "POST":
            self.keys[key] = said, answer
        return answer

    def _do(self, method: str, path: list[str], form: dict[str, str]) -> Answer:
        if path == ["payment_intents"]:
            return self._create(form)
        if path == ["refunds"]:
            return self._refund(form)
        intent = self.intents.get(path[1])
        if intent is None:
            return _error(404, "invalid_request_error", "resource_missing")
        if method == "GET":
            return 200, intent
        return self._capture(intent, form) if path[2] == "capture" else self._cancel(intent)

    def _create(self, form: dict[str, str]) -> Answer:
        method, amount = form["payment_method"], int(form["amount"])
        assert form["capture_method"] == "manual"
        assert form["confirm"] == form["off_session"] == "true"
        if method in CARDS:
            code, decline = CARDS[method]
            return _error(402, "card_error", code, decline_code=decline, message="Ann Example's card was declined.")
        wants = form.get("payment_method_options[card][request_multicapture]") == "if_available"
        status = "available" if wants and self.multicapture else "unavailable"
        id = f"pi_{len(self.intents) + 1}"
        card = {"multicapture": {"status": status}, "capture_before": 1_764_669_600, "last4": "4242"}
        self.intents[id] = {
            "id": id, "object": "payment_intent", "amount": amount, "currency": form["currency"], "amount_capturable": amount,
            "amount_received": 0, "status": "requires_capture", "captures": 0, "payment_method": method,
            "customer": form.get("customer"), "metadata": {"order": form["metadata[order]"]},
            "latest_charge": {"id": f"ch_{id}", "object": "charge", "payment_method_details": {"type": "card", "card": card}},
        }  # fmt: skip
        return 200, self.intents[id]

    def _capture(self, intent: dict[str, Any], form: dict[str, str]) -> Answer:
        if intent["status"] != "requires_capture":
            return _error(400, "invalid_request_error", "payment_intent_unexpected_state")
        amount = int(form["amount_to_capture"])
        if amount > intent["amount_capturable"]:
            return _error(400, "invalid_request_error", "amount_too_large")
        final = form.get("final_capture", "true") == "true"
        has = intent["latest_charge"]["payment_method_details"]["card"]["multicapture"]["status"] == "available"
        if not final and not has:
            return _error(400, "invalid_request_error", "parameter_invalid")
        intent["amount_received"] += amount
        intent["amount_capturable"] = 0 if final else intent["amount_capturable"] - amount
        intent["status"] = "requires_capture" if intent["amount_capturable"] else "succeeded"
        return 200, intent

    def _cancel(self, intent: dict[str, Any]) -> Answer:
        if intent["status"] != "requires_capture":
            return _error(400, "invalid_request_error", "payment_intent_unexpected_state")
        intent |= {"status": "succeeded" if intent["amount_received"] else "canceled", "amount_capturable": 0}
        return 200, intent

    def _refund(self, form: dict[str, str]) -> Answer:
        intent, amount = self.intents[form["payment_intent"]], int(form["amount"])
        back = sum(one["amount"] for one in self.refunds if one["payment_intent"] == intent["id"])
        if amount > intent["amount_received"] - back:
            return _error(400, "invalid_request_error", "charge_already_refunded")
        made = {"id": f"re_{len(self.refunds) + 1}", "object": "refund", "amount": amount, "payment_intent": intent["id"],
                "status": "succeeded"}  # fmt: skip
        self.refunds.append(made)
        return 200, made


def _error(status: int, kind: str, code: str, **more: str) -> Answer:
    return status, {"error": {"type": kind, "code": code, "message": "no", **more}}


@contextmanager
def served(account: Account) -> Iterator[str]:
    """Serve an account; gives the address of its API."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = dict(parse_qsl(self.rfile.read(length).decode()))
            with account.lock:
                fails = account.fails.pop(0) if account.fails else ""
                status, body = (500, {}) if fails == "down" else (429, {}) if fails == "busy" else account.answer(
                    self.command, self.path.partition("?")[0], form, self.headers
                )  # fmt: skip
            if fails == "lost":
                self.close_connection = True
                self.connection.close()
                return
            said = json.dumps(body or {"error": {"type": "api_error", "message": "no"}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = _handle  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A connection that was closed on purpose."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
