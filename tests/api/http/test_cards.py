"""The number of a card is refused wherever it is said, and nothing of it is kept; what only looks like one passes."""

import json
import sys
import uuid
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from sqlmodel import SQLModel

from api.cards import has_card
from api.http.cards import check_body, check_lines
from solver.refusal import Refusal
from tests.api.http.conftest import APP, Desk
from tests.api.http.test_examples import example_of
from tests.api.http.world import done, fill, furnish, order, put

CARDS = (
    "4111111111111111", "4222222222222", "4000056655665556", "5555555555554444", "2223003122003222", "378282246310005",
    "6011111111111117", "30569309025904", "3566002020360505", "6200000000000005", "6759649826438453", "4000000000000000006",
)  # fmt: skip
"""Numbers that issuers and providers give out for tests."""
WRITTEN = (
    "4111 1111 1111 1111", "4111-1111-1111-1111", "4111.1111.1111.1111", "3782 822463 10005", "4111\u00a01111\u00a01111\u00a01111",
    "4111\u20111111\u20111111\u20111111", "card 4111111111111111, exp 12/30", "no:4111111111111111", "4111\n1111\n1111\n1111",
    "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
)  # fmt: skip
LOOKALIKES = (
    "4006381333931", "5012345678900", "9780306406157", "4902430698733",  # EAN-13
    "00340434161094042557", "340434161094042557",  # SSCC
    "+31 20 555 0123", "+49 (0)30 1234-56789", "0044 20 7946 0958",  # telephones
    "1Z999AA10123456784", "JJD000390007882", "3SABCD1234567", "9400111899223197428490", "420 90210 9400 1118 9922 3197 4284 90",
    "2025-11-25 10:00:00", "2026-11-25-2026-11-27", "1764064800000", "52.37021612345678", "5.136412345678901",
    "ord_abcdefghijklmnopqrst", "gid://shopify/Order/4512345678904", "4111111111111112", "1234567890123456", "NL91ABNA0417164300",
)  # fmt: skip
OPERATIONS = [
    (method, path, operation)
    for path, operations in APP.openapi()["paths"].items()
    for method, operation in operations.items()
    if "requestBody" in operation and operation["operationId"] != "hear_channel"  # it is always answered
]


@pytest.mark.parametrize("number", CARDS)
def test_numbers_of_cards_are_known(number: str) -> None:
    assert has_card(number)
    assert has_card(f"my card is {number}")


@pytest.mark.parametrize("text", WRITTEN)
def test_however_they_are_written(text: str) -> None:
    assert has_card(text)


@pytest.mark.parametrize("text", LOOKALIKES)
def test_what_is_common_in_the_trade_passes(text: str) -> None:
    assert not has_card(text)


@pytest.mark.parametrize("piece", [" 1", "4 ", " n4222222222222", "4111-", "1.", " 1.1"])
def test_twice_the_text_is_twice_the_work_whatever_is_in_it(piece: str) -> None:
    """Else a body of a few megabytes would keep a process busy for as long as its sender likes."""
    assert lines_run("1." + 800 * piece) < 2.5 * lines_run("1." + 400 * piece)


def lines_run(text: str) -> int:
    """Lines of ours that are run to look through a text."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        assert not has_card(text)
    finally:
        sys.settrace(before)
    return count


def test_ids_made_by_chance_are_hardly_ever_hit() -> None:
    """A UUID never is, and no hash."""
    ids = [uuid.uuid5(uuid.NAMESPACE_URL, str(n)) for n in range(20_000)]
    assert not any(has_card(f"cus-{id}") for id in ids)
    assert not any(has_card(id.hex) for id in ids)


def test_numbers_of_parcels_are_never_hit() -> None:
    """Every article and every parcel has a check digit of its own, and one in ten would have that of a card as well."""
    from api.carriers.own import check_digit

    eans = [f"{n:012d}" for n in range(400_000_000_000, 400_000_002_000)]
    assert not any(has_card(ean + check_digit(ean)) for ean in eans)
    parcels = [f"{n:017d}" for n in range(62_000_000_000_000_000, 62_000_000_000_002_000)]
    assert not any(has_card(code + check_digit(code)) for code in parcels)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"note": CARDS[0]}, "note"),
        ({"lines": [{"sku": "a"}, {"sku": CARDS[0]}]}, "lines[1].sku"),
        ({"card": {"number": int(CARDS[0])}}, "card.number"),
        ({"card": {"number": float(CARDS[0])}}, "card.number"),
        ({"a": {CARDS[0]: 1}}, "a"),
        ({"a": "\\4111 1111 1111 1111"}, "a"),
    ],
)
def test_the_field_is_named_and_not_what_is_in_it(body: dict[str, Any], place: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_body(json.dumps(body).encode(), body)
    assert (refused.value.place, refused.value.code) == (place, "card_number")
    assert "4111" not in str(refused.value)


def test_digits_that_are_escaped_are_digits(desk: Desk) -> None:
    raw = b'{"channel": "web", "external_id": "\\u0034111111111111111"}'
    answer = desk.ask("POST", "/v1/orders", content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "card_number")


def planted(value: Any, card: str) -> list[tuple[str, Any]]:
    """The same value with a card's number in each text of it in turn, and where that is."""
    if isinstance(value, str):
        return [("", card)]
    found: list[tuple[str, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        for where, changed in planted(inner, card):
            copy: Any = dict(value) if isinstance(value, dict) else list(value)
            copy[name] = changed
            found.append((f"/{name}{where}", copy))
    return found


def test_every_text_of_every_body_is_looked_at_and_nothing_is_kept(
    desk: Desk, record_property: Callable[[str, object], None]
) -> None:
    """The example of each route, with the number in each of its texts in turn."""
    ids = fill(desk)
    count = 0
    for method, path, operation in OPERATIONS:
        for name, said in ids.items():
            path = path.replace(f"{{{name}}}", said)
        path = path.replace("{", "").replace("}", "")
        for media, content in operation["requestBody"]["content"].items():
            body = content["example"] if "example" in content else example_of(content["schema"])
            texts = (
                planted({**body, "more": "x"}, CARDS[0])
                if media == "application/json"
                else [("", f"{body}\n{CARDS[0]}\n")]
            )
            for where, changed in texts:
                once = {"once": f"card {count}"} if "Idempotency-Key" in str(operation.get("parameters")) else {}
                raw = json.dumps(changed) if media == "application/json" else changed
                answer = desk.ask(
                    method.upper(), path, content=raw, headers={"Content-Type": media, "If-Match": '"1"'}, **once
                )
                assert (answer.status_code, answer.json()["code"]) == (422, "card_number"), (path, where, answer.text)
                assert [one["pointer"] for one in answer.json()["errors"]] in ([where], [])
                assert CARDS[0] not in answer.text
                count += 1
    assert count > 150
    record_property("bodies with one, all refused", count)
    with desk.database.read() as tx:
        for table in SQLModel.metadata.tables:
            assert CARDS[0] not in repr(tx.all(f'SELECT * FROM "{table}"')), table


@pytest.mark.parametrize("media", ["text/csv", "application/x-ndjson"])
def test_a_file_with_one_is_refused_whole_and_the_line_named(desk: Desk, media: str) -> None:
    raw = f"channel,external_id,sku,qty\nweb,1,kettle,1\nweb,{WRITTEN[0]},kettle,1\n"
    answer = desk.ask("POST", "/v1/orders/import", content=raw, headers={"Content-Type": media})
    assert answer.json()["code"] == "card_number"
    assert "line 3" in answer.json()["detail"]
    assert desk.rows("job") == 0


def test_ids_of_shops_elsewhere_pass_in_files() -> None:
    """They have 13 digits, and one in ten of those that begin with a 4 has the last digit of a card."""
    check_lines(b'{"id": 4222222222222, "line": "gid://shop/Line/4222222222222"}')


def test_neither_is_it_taken_in_an_address_or_a_header(desk: Desk) -> None:
    for path, once in (
        (f"/v1/orders/{CARDS[0]}/edit", "k"),
        ("/v1/orders/o/edit", CARDS[0]),
        ("/v1/orders/o/edit?a=" + CARDS[0], "k"),
    ):
        answer = desk.post(path, {}, once=once)
        assert answer.json()["code"] == "card_number"
        assert CARDS[0] not in answer.text
    assert desk.rows("idempotency") == 0


def test_an_order_of_what_looks_like_one_is_taken(desk: Desk) -> None:
    furnish(desk)
    customer = "4b2f9c1e-4111-4111-8111-111111111111"
    put(desk, f"recipients/{customer}", {"name": "Anna", "contact": "+31 20 555 0123"})
    done(desk.post("/v1/orders", order("4006381333931", recipient=customer)))
