"""What happens, as facts: frozen, in the past tense, each with an id of its own, and without personal data.

A fact is the body of a request, an entry of the log that is never changed, and what a replay reads. Seen twice with the same
content it has one effect; with other content it is refused. Numbers are bounded, so that sums of
them stay in 64 bits.
"""

import base64
import hashlib
import re
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec
from msgspec import Meta

from solver.refusal import Refusal

MOST = 10**9
"""The largest number that a fact may bring."""
MOST_WORTH = 10**12
"""Cents that leaving an order unserved may cost at most: so that sums over a wave stay in 64 bits."""
LATEST = 4_102_444_800_000
"""2100-01-01, in milliseconds: no fact is later."""
AHEAD = 300_000
"""Milliseconds that a fact may be ahead of our clock."""
LINES = 200
"""Lines of an order, at most."""

# no control characters: PostgreSQL cannot store NUL, and nobody means the others
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Note = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*\Z", extra={"pii": True})]
"""Free text, in which a person may be named: the log does not have it, only `remark`, from where it can be erased."""
Ref = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z", extra={"opaque": True})]
"""What somebody else calls a thing. The log keeps it for ever, so it must not say who a person is (`check_opaque`)."""
Time = Annotated[int, Meta(ge=0, le=LATEST)]
Units = Annotated[int, Meta(ge=1, le=MOST)]
Level = Annotated[int, Meta(ge=0, le=MOST)]
Change = Annotated[int, Meta(ge=-MOST, le=MOST)]
Cents = Annotated[int, Meta(ge=0, le=10**8)]
Owed = Annotated[int, Meta(ge=0, le=2**53)]
Ordered = Annotated[int, Meta(ge=1, le=10**6)]
Paid = Annotated[int, Meta(ge=1, le=10**12)]
Day = Annotated[int, Meta(ge=0, le=47_482)]
Number = Annotated[int, Meta(ge=1, le=LINES)]
Lat = Annotated[float, Meta(ge=-90, le=90)]
Lon = Annotated[float, Meta(ge=-180, le=180)]
Sequence = Annotated[int, Meta(ge=0, le=2**62)]
SetAside = Literal["damaged", "quarantined"]
ReturnReason = Literal[
    "unwanted", "wrong_size", "late", "damaged", "defective", "wrong_item", "not_as_described", "undelivered", "other"
]
"""Why units come back."""
Condition = Literal["as_new", "opened", "used", "damaged"]
"""How units are that came back."""
Disposition = Literal["restock", "refurbish", "liquidate", "scrap"]
"""What becomes of them: sold again, mended, sold off, thrown away."""
Prefix = Literal[
    "cat", "chn", "con", "end", "evt", "fed", "inb", "inv", "iss", "job", "lab", "lost", "net", "ord", "pay",
    "rcp", "req", "rfd", "rma", "wav", "whk",
]  # fmt: skip
"""What the ids that we make begin with."""
_OURS = re.compile(rf"(?:{'|'.join(get_args(Prefix))})_[a-z2-7]{{20}}(?::|\Z)")


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag=True):
    """Something that happened, `at` milliseconds since 1970-01-01 UTC."""

    about: ClassVar[str]
    """The field that names the order, node, SKU or hold that it is about."""

    id: Name
    at: Time

    @property
    def kind(self) -> str:
        return type(self).__name__

    @property
    def subject(self) -> str:
        return str(getattr(self, self.about))


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of a fact."""


def content(fact: Fact, payload: bytes | None = None) -> str:
    """What a fact says apart from when, as a hash: the same twice is one fact.

    Parameters
    ----------
    payload
        The fact as the log keeps it, where that is known already.
    """
    said = msgspec.json.encode(fact) if payload is None else payload
    # the first such field is the fact's own: quotes within texts are escaped
    timeless = said.replace(b'"at":%d' % fact.at, b'"at":0', 1)
    return hashlib.sha256(timeless).hexdigest()[:32]


def checked(fact: Fact, place: str = "") -> bytes:
    """A fact as the log keeps it (JSON).

    Raises
    ------
    Refusal
        A value is out of its bounds.
    """
    try:
        payload = msgspec.json.encode(fact)
        msgspec.json.decode(payload, type=type(fact))
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError, OverflowError) as error:
        problem, _, path = str(error).partition(" - at `$.")
        where = path.rstrip("`")
        raise Refusal(".".join(part for part in (place, where) if part), problem) from error
    return payload


def short_id(prefix: Prefix, *parts: str) -> str:
    """An id that is always the same for the same parts: the prefix and 20 characters."""
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()
    return f"{prefix}_{base64.b32encode(digest[:15])[:20].decode().lower()}"


def order_id(channel: str, external_id: str) -> str:
    """The id of a channel's order."""
    return short_id("ord", channel, external_id)


def check_id(id: str) -> None:
    """Refuse an id that somebody brings for a fact where it looks like one of ours, as we may need that one, or like a person.

    Raises
    ------
    Refusal
        `reserved_id`, `personal_id`.
    """
    check_opaque("id", id)
    if _OURS.match(id):
        raise Refusal("id", f"{id!r} looks like an id that is made here; choose another one", "reserved_id")


_MAIL = re.compile(r"[^\s@]@[^\s@]+\.\w")
_PHONE = re.compile(r"\+\(?\d[\d ()./-]{5,}\d")
_SPACE = re.compile(r"\s")
_STREET = re.compile(r"\d.*\s|\s.*\d", re.DOTALL)


def check_opaque(place: str, text: str) -> None:
    """Refuse an id that says who a person is: an e-mail address, a telephone number, or text with white space, as names are.

    A region may have white space, or digits, but not both, as addresses have. What an id cannot be seen to say (a bare
    surname) is the caller's to keep out.

    Raises
    ------
    Refusal
        `personal_id`.
    """
    # regions are called "New York" too, but have no house numbers
    is_region = place.endswith("region")
    spaced = (_STREET, "an address") if is_region else (_SPACE, "text, as it has white space")
    for look, what in ((_MAIL, "an e-mail address"), (_PHONE, "a telephone number"), spaced):
        if look.search(text):
            told = (
                f"looks like {what}: it is kept for ever, so it must be an id or a code that says nothing of a person"
            )
            raise Refusal(place, told, "personal_id")


def looks_personal(text: str) -> bool:
    """Whether there is an e-mail address or a telephone number in a text."""
    return bool(_MAIL.search(text) or _PHONE.search(text))


def check_refs(fact: Fact) -> None:
    """Refuse a fact whose ids say who a person is. Raises `personal_id`, which does not repeat them."""
    for field in marked(type(fact), "opaque"):
        value = fact
        for name in field.split("."):
            value = getattr(value, name)
            if value is None:
                break
        else:
            assert isinstance(value, str), "only text is marked"
            check_opaque(field, value)


@cache
def marked(kind: type[msgspec.Struct], mark: str) -> tuple[str, ...]:
    """The fields of a struct whose text is marked (`pii`, `opaque`), as paths; those of the structs in it too, not of lists."""
    found: list[str] = []
    shape = msgspec.inspect.type_info(kind)
    assert isinstance(shape, msgspec.inspect.StructType), "a fact or a part of one"
    for field in shape.fields:
        for one in getattr(field.type, "types", (field.type,)):
            if isinstance(one, msgspec.inspect.Metadata) and (one.extra or {}).get(mark):
                found.append(field.name)
            elif isinstance(one, msgspec.inspect.StructType):
                found += [f"{field.name}.{path}" for path in marked(one.cls, mark)]
    return tuple(found)


def notes_of(fact: Fact) -> dict[str, str]:
    """The free text of a fact by field, where there is any."""
    said = {name: getattr(fact, name) for name in marked(type(fact), "pii")}
    return {name: text for name, text in said.items() if text}


def check_happened(fact: Fact, now: int) -> None:
    """Refuse what is ahead of our clock by more than clocks differ.

    Raises
    ------
    Refusal
        It is.
    """
    if fact.at > now + AHEAD:
        raise Refusal("at", "has not happened yet", "bad_input")


# --- stock ------------------------------------------------------------------------------------------------------------


class AtNode(Fact, frozen=True, kw_only=True):
    """Something about a SKU at a node."""

    about = "sku"

    sku: Name
    node: Name


class StockReceived(AtNode, frozen=True, kw_only=True):
    """Units came in, perhaps those of an announced inbound."""

    units: Units
    inbound: Name | None = None


class StockCounted(AtNode, frozen=True, kw_only=True):
    """So many units are there, whatever the books said. With `expected`, only if the books said that."""

    units: Level
    expected: Level | None = None


class StockAdjusted(AtNode, frozen=True, kw_only=True):
    """Units more or fewer than the books said, for a reason."""

    change: Change
    reason: Note


class StockTransferred(Fact, frozen=True, kw_only=True):
    """Units went from a node to another."""

    about = "sku"

    sku: Name
    node: Name
    to_node: Name
    units: Units


class StockSetAside(AtNode, frozen=True, kw_only=True):
    """Units may not be sold: damaged, or quarantined."""

    units: Units
    state: SetAside


class StockPutBack(AtNode, frozen=True, kw_only=True):
    """Units that were set aside may be sold again."""

    units: Units
    state: SetAside


class StockScrapped(AtNode, frozen=True, kw_only=True):
    """Units that were set aside are gone."""

    units: Units
    state: SetAside


class StockReported(AtNode, frozen=True, kw_only=True):
    """A feed says how many units are there, as its message of that number."""

    source: Ref
    sequence: Sequence
    units: Level


class SafetySet(AtNode, frozen=True, kw_only=True):
    """How many units are kept back: when selling, and when sourcing."""

    sell: Level
    route: Level


class ChannelStockSet(Fact, frozen=True, kw_only=True):
    """What a channel may sell of a SKU: a buffer kept back from it, and an allotment that is all it gets."""

    about = "sku"

    channel: Name
    sku: Name
    buffer: Level = 0
    allotment: Level | None = None


class CapacitySet(Fact, frozen=True, kw_only=True):
    """Another capacity of a node on a day; as usual where `None`."""

    about = "node"

    node: Name
    day: Day
    parcels: Level | None = None
    units: Level | None = None


class NodePaused(Fact, frozen=True, kw_only=True):
    """A node takes no more work."""

    about = "node"

    node: Name
    reason: Note = ""


class NodeResumed(Fact, frozen=True, kw_only=True):
    """A node takes work again."""

    about = "node"

    node: Name


class InboundAnnounced(AtNode, frozen=True, kw_only=True):
    """Units are to come."""

    inbound: Ref
    units: Units
    due_day: Day


class InboundChanged(Fact, frozen=True, kw_only=True):
    """An inbound will be another one than announced; `None`: as it was."""

    about = "inbound"

    inbound: Name
    units: Units | None = None
    due_day: Day | None = None
    cancelled: bool | None = None


# --- the catalogue ----------------------------------------------------------------------------------------------------


class CatalogueChanged(Fact, frozen=True, kw_only=True):
    """A row of the catalogue is another one, or is new."""

    about = "entry"

    entry: Name
    table: Literal["calendar", "node", "sku", "service", "channel", "connection", "setting"]
    version: int


class NetworkLoaded(Fact, frozen=True, kw_only=True):
    """A network file was put into the catalogue, with the stock of nodes and SKUs that had none, and what is to come."""

    about = "content"

    content: Name
    nodes: int
    skus: int
    stock_rows: int
    receipts: int


class WebhookChanged(Fact, frozen=True, kw_only=True):
    """What another system is told, where, or by which secret is another one; or it is asked to be told again."""

    about = "webhook"

    webhook: Name
    change: Literal["created", "changed", "deleted", "enabled", "disabled", "secret_made", "replayed", "tested"]


# --- orders -----------------------------------------------------------------------------------------------------------


class OrderedLine(Part, frozen=True, kw_only=True):
    """A SKU and how many; what each one unserved costs, where not as usual."""

    sku: Name
    qty: Ordered
    unfilled_cents: Cents | None = None
    price_cents: Cents | None = None


class Place(Part, frozen=True, kw_only=True):
    """Where it is delivered: enough to decide, not to find the door."""

    lat: Lat
    lon: Lon
    region: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\Z", extra={"opaque": True})] = ""

    def __post_init__(self) -> None:
        for name in ("lat", "lon"):  # about a kilometre: an exact place is a person's
            value = getattr(self, name)
            if isinstance(value, int | float):
                msgspec.structs.force_setattr(self, name, round(float(value), 2))


Lines = Annotated[tuple[OrderedLine, ...], Meta(min_length=1, max_length=LINES)]
Pickup = Annotated[tuple[Name, ...], Meta(max_length=100)]
Priority = Annotated[int, Meta(ge=-1000, le=1000)]
MaxParcels = Annotated[int, Meta(ge=1, le=1000)]


class OrderPlaced(Fact, frozen=True, kw_only=True):
    """A customer ordered. Its id is that of the order: the same order has the same id, whoever sends it."""

    about = "id"

    id: str = ""
    channel: Name
    external_id: Ref
    lines: Lines
    place: Place | None = None
    pickup: Pickup = ()
    recipient: Ref | None = None
    priority: Priority = 0
    """The lowest is served first."""
    promise_day: Day | None = None
    """The day by which the customer wants it; some days from now where not said."""
    late_cents: Cents | None = None
    max_parcels: MaxParcels | None = None
    ship_complete: bool = False
    cancel_at: Time | None = None
    review: bool = False
    hold: Name | None = None
    """A hold whose units become this order's."""

    def __post_init__(self) -> None:
        own = order_id(self.channel, self.external_id)
        if self.id not in ("", own):
            raise ValueError(f"the id of this order is {own!r}")
        msgspec.structs.force_setattr(self, "id", own)


class AboutOrder(Fact, frozen=True, kw_only=True):
    """Something about an order."""

    about = "order"

    order: Name


class LineUnits(Part, frozen=True, kw_only=True):
    """Some units of a line."""

    line: Number
    units: Units


class LineQuantity(Part, frozen=True, kw_only=True):
    """How many of a line are wanted now, of those that are not yet released or cancelled before."""

    line: Number
    qty: Annotated[int, Meta(ge=0, le=10**6)]


class OrderEdited(AboutOrder, frozen=True, kw_only=True):
    """The order is another one; what is `None` (or not among `lines`) stays."""

    version: int | None = None
    """Only if the order has this version."""
    lines: Annotated[tuple[LineQuantity, ...], Meta(max_length=LINES)] = ()
    added: Annotated[tuple[OrderedLine, ...], Meta(max_length=LINES)] = ()
    place: Place | None = None
    pickup: Pickup | None = None
    priority: Priority | None = None
    promise_day: Day | None = None
    late_cents: Cents | None = None
    max_parcels: MaxParcels | None = None
    ship_complete: bool | None = None
    cancel_at: Time | None = None


class OrderCancelled(AboutOrder, frozen=True, kw_only=True):
    """An order is not wanted any more; some units of it where `lines` says so."""

    version: int | None = None
    lines: Annotated[tuple[LineUnits, ...], Meta(max_length=LINES)] = ()
    reason: Note = ""


class OrderReviewed(AboutOrder, frozen=True, kw_only=True):
    """Somebody looked at an order that was held for review."""

    accepted: bool
    reason: Note = ""


class AllocatedParcel(Part, frozen=True, kw_only=True):
    """What is to leave a node by a service; '' is collected there."""

    node: Name
    service: Annotated[str, Meta(max_length=200)] = ""
    lines: tuple[LineUnits, ...]
    arrives_day: int
    cents: int


class Allocated(AboutOrder, frozen=True, kw_only=True):
    """An order's units were tied to nodes: all of what it has now."""

    wave: str = ""
    parcels: tuple[AllocatedParcel, ...]
    open: int = 0
    promise_day: int | None = None


class Deallocated(AboutOrder, frozen=True, kw_only=True):
    """An order's claims were given back, because their stock was not there."""

    lines: tuple[LineUnits, ...]
    reason: str


class OrderReleased(AboutOrder, frozen=True, kw_only=True):
    """What is allocated was handed to its nodes, or to one of them."""

    node: Name | None = None


# --- consignments -----------------------------------------------------------------------------------------------------


class AboutConsignment(Fact, frozen=True, kw_only=True):
    """Something about a consignment."""

    about = "consignment"

    consignment: Name


class Picked(AboutConsignment, frozen=True, kw_only=True):
    """Everything in it was found."""


class MissingUnits(Part, frozen=True, kw_only=True):
    """Units of a SKU of a line that were not found."""

    line: Number
    sku: Name
    units: Units


class ShortPicked(AboutConsignment, frozen=True, kw_only=True):
    """Some units were not found at the node; the rest was."""

    missing: Annotated[tuple[MissingUnits, ...], Meta(min_length=1, max_length=LINES)]


class ConsignmentRejected(AboutConsignment, frozen=True, kw_only=True):
    """The node refuses it: its units are open again, and the node does not get the order until then."""

    reason: Note = ""
    until: Time | None = None


class Packed(AboutConsignment, frozen=True, kw_only=True):
    """It is packed."""


class ShippedUnits(Part, frozen=True, kw_only=True):
    """Units of a SKU of a line that left."""

    line: Number
    sku: Name
    units: Units


class Shipped(AboutConsignment, frozen=True, kw_only=True):
    """It left the node, or these units of it did: the rest is a consignment of its own from then on."""

    tracking: Ref | None = None
    units: Annotated[tuple[ShippedUnits, ...], Meta(max_length=LINES)] = ()


class OutForDelivery(AboutConsignment, frozen=True, kw_only=True):
    """It is on the van that takes it to the customer."""


class ReadyForPickup(AboutConsignment, frozen=True, kw_only=True):
    """It waits for the customer, until then, or for as long as is usual here. Said again, it waits longer."""

    until: Time | None = None


class PickupLapsed(AboutConsignment, frozen=True, kw_only=True):
    """It was not collected in time: its units are stock of the store again, and count as returned."""


class Delivered(AboutConsignment, frozen=True, kw_only=True):
    """The customer has it."""


class ReturnedUnits(Part, frozen=True, kw_only=True):
    """Units of a SKU that came back: quarantined until somebody has looked at them, unless that was done at once."""

    line: Number
    sku: Name
    units: Units
    to: Literal["stock", "damaged", "quarantined"] = "quarantined"
    """`stock`: looked at, and as new, to be sold again; `damaged`: looked at, and to be mended."""
    reason: ReturnReason | None = None
    """Why, where no return announced it."""


class ReturnReceived(AboutConsignment, frozen=True, kw_only=True):
    """Units came back to a node; where it does not say, to that of the return that it names, or to the one they came from."""

    units: Annotated[tuple[ReturnedUnits, ...], Meta(min_length=1, max_length=LINES)]
    node: Name | None = None
    rma: Name | None = None


# --- returns ----------------------------------------------------------------------------------------------------------


class WantedBack(Part, frozen=True, kw_only=True):
    """Units of a line that the customer gives back, and why."""

    line: Number
    units: Units
    reason: ReturnReason


class ReturnRequested(AboutOrder, frozen=True, kw_only=True):
    """A customer asks to give units back. The id of the return is made from the fact's."""

    lines: Annotated[tuple[WantedBack, ...], Meta(min_length=1, max_length=LINES)]
    wanted: Literal["refund", "exchange"] = "refund"
    how: Literal["parcel", "store"] = "parcel"
    node: Name | None = None
    """The store that the customer brings it to."""
    place: Place | None = None
    """From where it is sent; the place of the order where not said."""
    carriage_cents: Cents | None = None
    """What the customer paid for the delivery of the order; as it was billed where not said."""


class AboutReturn(Fact, frozen=True, kw_only=True):
    """Something about a return."""

    about = "rma"

    rma: Name


class ReturnApproved(AboutReturn, frozen=True, kw_only=True):
    """The customer may send it, or bring it."""


class ReturnRefused(AboutReturn, frozen=True, kw_only=True):
    """The customer may not."""

    reason: Note = ""


class ReturnRouted(AboutReturn, frozen=True, kw_only=True):
    """The node that it goes to was chosen; `cents` is what that costs, less what the units are worth there."""

    node: Name
    service: Annotated[str, Meta(max_length=200)] = ""
    cents: int


class ReturnCancelled(AboutReturn, frozen=True, kw_only=True):
    """What has not come is not to come any more."""

    reason: Note = ""


class ReturnExpired(AboutReturn, frozen=True, kw_only=True):
    """What has not come in time is not awaited any more."""


class InspectedUnits(Part, frozen=True, kw_only=True):
    """Units of a SKU that somebody looked at: how they are, and what becomes of them."""

    line: Number
    sku: Name
    units: Units
    condition: Condition = "as_new"
    disposition: Disposition


class ReturnInspected(AboutReturn, frozen=True, kw_only=True):
    """Somebody looked at units that had come back; at which node, where they lie at more than one."""

    units: Annotated[tuple[InspectedUnits, ...], Meta(min_length=1, max_length=LINES)]
    node: Name | None = None


class RefundedLine(Part, frozen=True, kw_only=True):
    """What is owed for units of a SKU of a line."""

    line: Number
    sku: Name
    units: Units
    cents: Owed


class RefundOwed(AboutOrder, frozen=True, kw_only=True):
    """The customer is owed money for units of a consignment: goods and carriage, less fee, label and what is kept for an exchange.

    What an exchange does not need any more is owed of no consignment, and `exchange_cents` is below 0.
    """

    rma: Name | None = None
    consignment: Name | None = None
    cents: Owed
    why: Literal["inspected", "exchange_lapsed", "exchange_undone", "pickup_lapsed"]
    lines: tuple[RefundedLine, ...]
    fee_cents: Owed = 0
    carriage_cents: Owed = 0
    label_cents: Owed = 0
    exchange_cents: int = 0


class CreditWithdrawn(AboutOrder, frozen=True, kw_only=True):
    """Less came back than an order in place of it was credited with: the customer pays the rest."""

    rma: Name
    cents: Paid


class ExchangeOrdered(AboutOrder, frozen=True, kw_only=True):
    """An order took the place of what is given back: what it costs, what was to be credited then, and the difference.

    `difference_cents` is above 0 where the customer pays more, below 0 where something is left to refund.
    """

    rma: Name
    new_order: Name
    price_cents: Owed
    credit_cents: Owed
    difference_cents: int


class LabelMade(AboutConsignment, frozen=True, kw_only=True):
    """A carrier takes it, by a service and for a price: its label can be printed."""

    label: Name
    carrier: Name
    service: Name
    tracking: Name
    cents: Cents
    grams: Level


class LabelCancelled(AboutConsignment, frozen=True, kw_only=True):
    """The carrier was told not to take it."""

    label: Name
    carrier: Name
    tracking: Name | None = None


# --- payments and invoices --------------------------------------------------------------------------------------------


class TaxLine(Part, frozen=True, kw_only=True):
    """Tax at a rate, in hundredths of a percent, of all units of a line; line 0 is the carriage."""

    line: Annotated[int, Meta(ge=0, le=LINES)] = 0
    rate: Annotated[int, Meta(ge=0, le=10_000)]
    tax_cents: Cents


class OrderTaxed(AboutOrder, frozen=True, kw_only=True):
    """What the customer pays beside the prices of lines: carriage, and taxes of lines as they are ordered. The last one holds."""

    carriage_cents: Cents = 0
    taxes: Annotated[tuple[TaxLine, ...], Meta(max_length=5 * LINES)] = ()


class AboutPayment(AboutOrder, frozen=True, kw_only=True):
    """Something about a payment of an order."""

    payment: Name
    cents: Paid


class PaymentAuthorised(AboutPayment, frozen=True, kw_only=True):
    """A provider keeps money for the order, until then."""

    provider: Name
    expires_at: Time | None = None


class PaymentCaptured(AboutPayment, frozen=True, kw_only=True):
    """The money of a shipment was taken."""

    charge: Name


class PaymentVoided(AboutPayment, frozen=True, kw_only=True):
    """Money that was kept is the customer's again."""

    why: Literal["not_needed", "captured_once", "expired"]


class PaymentRefunded(AboutPayment, frozen=True, kw_only=True):
    """Money was given back."""

    charge: Name


class PaymentDeclined(AboutPayment, frozen=True, kw_only=True):
    """A provider does not do it, for a reason that has a name, or did not say in time what it did."""

    what: Literal["authorise", "capture", "void", "refund"]
    why: Name


class PaymentSettled(AboutOrder, frozen=True, kw_only=True):
    """Somebody says how a call to a provider ended that it did not answer: it is done, by its `reference` there, or it is not."""

    step: Name
    done: bool
    reference: Ref | None = None


class InvoiceIssued(AboutOrder, frozen=True, kw_only=True):
    """A shipment was invoiced."""

    invoice: Name
    number: Name
    charge: Name
    cents: int


class CreditNoteIssued(AboutOrder, frozen=True, kw_only=True):
    """A refund was credited."""

    invoice: Name
    number: Name
    charge: Name
    cents: int


# --- holds and people -------------------------------------------------------------------------------------------------


class HeldUnits(Part, frozen=True, kw_only=True):
    """Units of a SKU; at a node where it matters."""

    sku: Name
    units: Units
    node: Name | None = None


class HoldPlaced(Fact, frozen=True, kw_only=True):
    """Units are kept for a cart, until then. The hold has the fact's id."""

    about = "id"

    channel: Name
    until: Time
    units: Annotated[tuple[HeldUnits, ...], Meta(min_length=1, max_length=LINES)]


class HoldReleased(Fact, frozen=True, kw_only=True):
    """A cart was given up."""

    about = "hold"

    hold: Name
    reason: Literal["released", "expired", "stock_lost"] = "released"


class RecipientErased(Fact, frozen=True, kw_only=True):
    """Everything personal about a recipient was forgotten."""

    about = "recipient"

    recipient: Name


StockFact = (
    StockReceived | StockCounted | StockAdjusted | StockTransferred | StockSetAside | StockPutBack | StockScrapped
    | SafetySet | ChannelStockSet | CapacitySet | NodePaused | NodeResumed | InboundAnnounced | InboundChanged
)  # fmt: skip
CatalogueFact = CatalogueChanged | NetworkLoaded | WebhookChanged
OrderFact = OrderEdited | OrderCancelled | OrderReviewed
ConsignmentFact = (
    OrderReleased | Picked | ShortPicked | ConsignmentRejected | Packed | Shipped | OutForDelivery | ReadyForPickup
    | PickupLapsed | Delivered | ReturnReceived
)  # fmt: skip
ReturnFact = ReturnRequested | ReturnApproved | ReturnRefused | ReturnCancelled | ReturnInspected
PaymentFact = (
    OrderTaxed | PaymentAuthorised | PaymentCaptured | PaymentVoided | PaymentRefunded | PaymentDeclined | PaymentSettled
    | InvoiceIssued | CreditNoteIssued
)  # fmt: skip
AnyFact = (
    StockFact | CatalogueFact | OrderFact | ConsignmentFact | PaymentFact | StockReported | OrderPlaced | Allocated | Deallocated
    | LabelMade | LabelCancelled | ReturnFact | ReturnRouted | ReturnExpired | RefundOwed | CreditWithdrawn | ExchangeOrdered
    | HoldPlaced | HoldReleased | RecipientErased
)  # fmt: skip

_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AnyFact)


def read_fact(payload: bytes | str) -> Fact:
    """A fact from the log.

    Raises
    ------
    Refusal
        It is none of ours.
    """
    try:
        fact = _DECODER.decode(payload)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeError) as error:
        problem, _, path = str(error).partition(" - at `$.")
        raise Refusal(path.rstrip("`"), problem) from error
    assert isinstance(fact, Fact)
    return fact
