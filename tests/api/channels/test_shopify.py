"""What Shopify's payloads say, and who they are from."""

import msgspec
import pytest

from api.channels import channel_of
from api.channels.payload import paid, postal_area
from engine.channel_said import ChangeSaid, LineSaid, Nothing, OrderGone, OrderSaid, ToForget, UnitsChanged
from engine.money import minor
from solver.refusal import Refusal
from tests.api.channels.shop import ACCOUNT, PAYLOADS, SECRET, connection_of, reading_of, recorded, sign

SHOPIFY = channel_of("shopify")


def state(name: str, **options: str) -> OrderSaid:
    said = reading_of("shopify", name, **options).said
    assert isinstance(said, OrderSaid)
    return said


def wanted(name: str) -> list[tuple[str | None, int, int]]:
    return [(line.sku, line.wanted, line.fulfilled) for line in state(name).lines]


def test_an_order_says_what_of_it_is_wanted_where_and_how() -> None:
    said = state("create")
    assert (said.order, said.currency, said.cancelled, said.waits) == ("6120448001", "EUR", False, False)
    assert said.placed_at == said.said_at == 1_764_003_731_000
    assert (said.lat, said.lon, said.country, said.area, said.service) == (52.09, 5.12, "NL", "3511", "Standard")
    assert said.lines == (
        LineSaid(ref="14001", sku="kettle", wanted=2, ordered=2, paid="59.90"),
        LineSaid(ref="14002", sku="cup", wanted=1, ordered=1, paid="25.00"),
    )


def test_what_is_personal_is_apart_and_nowhere_else() -> None:
    reading = reading_of("shopify", "create")
    assert reading.whom is not None
    assert reading.whom.name == "Noor de Vries"
    assert reading.whom.address == "Oudegracht 158\n2 hoog\n3511 AZ Utrecht\nUtrecht\nNetherlands"
    assert (reading.whom.contact, reading.whom.locale) == ("noor@example.org", "nl")
    said = msgspec.json.encode(reading.said).decode()
    for personal in ("Noor", "noor", "Vries", "Oudegracht", "3511 AZ", "5550", "ring twice", "52.0906"):
        assert personal not in said


def test_names_are_as_they_are_written() -> None:
    whom = reading_of("shopify", "unicode").whom
    assert whom is not None
    assert (whom.name, whom.contact) == ("Zoë Ngọc-Nguyễn 李", "zoë@exämple.org")


def test_removed_units_are_not_wanted_and_returned_ones_have_been() -> None:
    assert wanted("update") == [("kettle", 1, 0), ("cup", 1, 0), ("cup", 3, 0)]
    assert wanted("returned") == [("kettle", 2, 2), ("cup", 1, 1)]
    assert wanted("shipped_elsewhere") == [("kettle", 2, 2)]


def test_of_a_cancelled_order_only_what_has_left_is_wanted() -> None:
    assert state("cancel").cancelled
    assert wanted("cancel") == [("kettle", 0, 0), ("cup", 0, 0)]


def test_what_is_not_sent_does_not_ship() -> None:
    assert [line.ships for line in state("digital").lines] == [False, False]
    assert [line.ships for line in state("mixed").lines] == [False, True]
    assert state("null_sku").lines[0].sku is None


def test_money_is_the_shops_own_less_discounts_and_without_added_taxes() -> None:
    assert [line.paid for line in state("taxes").lines] == ["60.00"]
    assert [line.paid for line in state("discounts").lines] == ["78.94"]
    assert (state("multi_currency").currency, state("multi_currency").lines[0].paid) == ("EUR", "29.95")
    assert (state("other_currency").currency, state("bad_money").lines[0].paid) == ("USD", "29,95")


def test_a_place_without_coordinates_says_its_postal_area_and_a_pickup_where_it_is_collected() -> None:
    far = state("no_coordinates")
    assert (far.lat, far.lon, far.country, far.area) == (None, None, "NL", "3511")
    assert state("pickup").collect == ("City shop", "City shop")
    assert state("create").collect == ()


def test_a_refund_takes_out_what_has_not_left_and_an_edit_says_what_has_changed() -> None:
    refund = reading_of("shopify", "refund").said
    assert refund == ChangeSaid(
        order="6120448001", said_at=1_764_009_005_000, changes=(UnitsChanged(ref="14001", units=-1),)
    )
    assert isinstance(reading_of("shopify", "refund_of_what_left").said, Nothing)
    edited = reading_of("shopify", "edited").said
    assert isinstance(edited, ChangeSaid)
    assert edited.changes == (UnitsChanged(ref="14002", units=2), UnitsChanged(ref="14001", units=-1))


def test_other_topics_delete_forget_or_say_nothing() -> None:
    gone = reading_of("shopify", "delete").said
    assert gone == OrderGone(order="6120448001", said_at=1_764_061_200_123)
    assert reading_of("shopify", "redact").said == ToForget(orders=("6120448001",))
    assert isinstance(reading_of("shopify", "products").said, Nothing)


def test_options_say_which_orders_are_none() -> None:
    message = recorded("shopify", "create")
    message["payload"] |= {"financial_status": "pending", "test": True}
    from api.channels import Arrival

    arrival = Arrival("e", "orders/create")
    assert isinstance(SHOPIFY.read(connection_of("shopify"), arrival, message["payload"]).said, Nothing)
    taken = SHOPIFY.read(connection_of("shopify", test_orders="take", unpaid="wait"), arrival, message["payload"]).said
    assert isinstance(taken, OrderSaid)
    assert taken.waits


HEADERS = {
    "x-shopify-shop-domain": ACCOUNT, "x-shopify-topic": "orders/create", "x-shopify-webhook-id": "w-1",
    "x-shopify-event-id": "e-1", "x-shopify-triggered-at": "2025-11-24T17:02:11.877041743Z",
}  # fmt: skip


def test_a_message_is_theirs_by_the_signature_of_its_very_bytes_and_by_its_shop() -> None:
    here, body = connection_of("shopify"), b'{"id": 1}'
    signed = {**HEADERS, "x-shopify-hmac-sha256": sign(body)}
    arrival = SHOPIFY.verify(here, signed, body, ["new", SECRET])
    assert arrival is not None
    assert (arrival.event, arrival.topic, arrival.sent_at) == ("w-1", "orders/create", 1_764_003_731_877)
    assert SHOPIFY.verify(here, signed, body + b" ", [SECRET]) is None
    assert SHOPIFY.verify(here, signed, body, ["other"]) is None
    assert SHOPIFY.verify(here, signed, body, []) is None
    assert SHOPIFY.verify(here, HEADERS, body, [SECRET]) is None
    assert SHOPIFY.verify(here, {**signed, "x-shopify-shop-domain": "other.myshopify.com"}, body, [SECRET]) is None
    assert SHOPIFY.verify(here, HEADERS, body, None) == arrival, "somebody with a key of ours sends it on"


def test_a_message_without_an_id_is_known_by_its_event_or_by_what_it_says() -> None:
    here, body = connection_of("shopify"), b'{"id": 1}'
    less = {name: value for name, value in HEADERS.items() if name != "x-shopify-webhook-id"}
    shared = SHOPIFY.verify(here, less, body, None)
    del less["x-shopify-event-id"]
    first, again, other = (SHOPIFY.verify(here, less, sent, None) for sent in (body, body, b'{"id": 2}'))
    assert shared is not None
    assert first is not None
    assert other is not None
    assert shared.event == "e-1 orders/create", "several topics tell of one event"
    assert first == again
    assert first.event != other.event


@pytest.mark.parametrize(
    "account", ["example.com", "evil.com/.myshopify.com", "Shop.myshopify.com", "-x.myshopify.com"]
)
def test_a_connection_is_to_a_shop_of_theirs(account: str) -> None:
    with pytest.raises(Refusal, match="is no shop"):
        SHOPIFY.check(connection_of("shopify", account))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"id": None}, "id"), ({"updated_at": "yesterday"}, "updated_at"), ({"line_items": {}}, "line_items"),
        ({"line_items": [7]}, "line_items[0]"), ({"line_items": [{"id": 1, "quantity": -1}]}, "line_items[0].quantity"),
        ({"shipping_address": "here"}, "shipping_address"), ({"refunds": [{"refund_line_items": [{}]}]},
         "refunds[0].refund_line_items[0].line_item_id"), ({"created_at": 5}, "created_at"), ({"test": "no"}, "test"),
        ({"line_items": [{"id": True}]}, "line_items[0].id"), ({"line_items": [{}] * 1001}, "line_items"),
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused_where_it_is_none_without_saying_what_is_there(
    changes: dict[str, object], place: str
) -> None:
    from api.channels import Arrival

    message = recorded("shopify", "create")
    message["payload"] |= changes
    if changes.get("line_items") == {}:
        message["payload"]["line_items"] = {"a": 1}
    with pytest.raises(Refusal) as refused:
        SHOPIFY.read(connection_of("shopify"), Arrival("e", message["topic"]), message["payload"])
    assert (refused.value.place, refused.value.code) == (place, "bad_payload")
    assert "yesterday" not in str(refused.value)


def test_every_recorded_payload_can_be_read() -> None:
    names = sorted(path.stem for path in (PAYLOADS / "shopify").glob("*.json"))
    assert len(names) > 20
    for name in names:
        assert reading_of("shopify", name)


@pytest.mark.parametrize(
    ("country", "code", "area"),
    [
        ("NL", "1012 AB", "1012"), ("NL", "1012AB", "1012"), ("GB", "SW1A 1AA", "SW1A"), ("GB", "sw1a1aa", "SW1A"),
        ("US", "94103-1234", "94103"), ("DE", "10623", "10623"), ("CA", "K1A 0B1", "K1A"), ("JP", "100-0001", "100"),
        ("IE", "D02 AF30", "D02"), ("US", "", ""),
    ],
)  # fmt: skip
def test_a_postal_area_is_wider_than_a_street(country: str, code: str, area: str) -> None:
    assert postal_area(country, code) == area


def test_amounts_are_in_the_smallest_unit_of_their_currency() -> None:
    assert (minor("29.95", "EUR"), minor("4900", "JPY"), minor("1.234", "KWD")) == (2995, 4900, 1234)
    assert minor("78.94", "EUR", 3) == 2631, "what is left over is dropped"
    for bad in ("29,95", "-1", "1e3", "NaN", "", "1" * 13, "99999999.00"):
        with pytest.raises(ValueError, match="is"):
            minor(bad, "EUR")
    assert (paid("2.50", 3, ["1.00"]), paid("x", 2), paid("", 2), paid("1.00", 1, ["9.00"])) == ("6.50", "x", "", "0")
