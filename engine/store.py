"""The one store: what can be done with stock and orders, each in a transaction of its own.

The functions of `engine.orders`, `engine.stock` and the others do the work within a transaction, so that they can be put together;
here each stands alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine import consignments, feed, holds, orders, privacy, refunds, return_requests, returns, shipping, stock
from engine.ahead import lookout_of
from engine.books import Finding, fsck
from engine.database import Database
from engine.facts import (
    ConsignmentFact,
    ConsignmentRejected,
    Delivered,
    HoldPlaced,
    HoldReleased,
    OrderCancelled,
    OrderEdited,
    OrderFact,
    OrderPlaced,
    OrderReleased,
    OrderReviewed,
    OutForDelivery,
    Packed,
    Picked,
    PickupLapsed,
    ReadyForPickup,
    RecipientErased,
    ReturnApproved,
    ReturnCancelled,
    ReturnFact,
    ReturnInspected,
    ReturnReceived,
    ReturnRefused,
    ReturnRequested,
    Shipped,
    ShortPicked,
    StockFact,
    StockReported,
)
from engine.holds import Held
from engine.log import Entry, Position, advance, facts_about, position_of, read_log
from engine.orders import Person, Placed
from engine.return_routing import route_returns


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended because its time was up."""

    holds: int
    orders: int
    pickups: int
    returns: int


class Store:
    """Stock and orders in a database.

    Parameters
    ----------
    database
        A migrated one, or its address.
    """

    def __init__(self, database: Database | str) -> None:
        self.database = Database(database) if isinstance(database, str) else database

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- orders -------------------------------------------------------------------------------------------------

    def place(self, placed: Sequence[OrderPlaced], by: str = "") -> list[Placed]:
        """Take orders in, without deciding about them (`engine.orders.place`)."""
        return self.database.write(lambda tx: orders.place(tx, placed, by))

    def change(self, fact: OrderFact, by: str = "") -> bool:
        """Edit, cancel or review an order, and say whether the fact is new."""
        match fact:
            case OrderEdited():
                return self.database.write(lambda tx: orders.edit(tx, fact, by))
            case OrderCancelled():
                return self.database.write(lambda tx: orders.cancel(tx, fact, by))
            case OrderReviewed():
                return self.database.write(lambda tx: orders.review(tx, fact, by))

    def lease(self, by: str, now: int, until: int, limit: int, *, unserved_only: bool = False) -> list[int]:
        """Take orders to decide about them (`engine.orders.lease_orders`)."""
        return self.database.write(
            lambda tx: orders.lease_orders(tx, by, now, until, limit, unserved_only=unserved_only)
        )

    def unlease(self, by: str, order_no: Sequence[int]) -> int:
        """Give leased orders back."""
        return self.database.write(lambda tx: orders.unlease_orders(tx, by, order_no))

    def remember(self, people: Sequence[Person], at: int) -> None:
        """Write down recipients."""
        self.database.write(lambda tx: orders.remember(tx, people, at))

    def erase(self, fact: RecipientErased, by: str = "") -> bool:
        """Forget everything personal about a recipient."""
        return self.database.write(lambda tx: privacy.erase(tx, fact, by))

    # --- consignments -------------------------------------------------------------------------------------------

    def release(self, facts: Sequence[OrderReleased], by: str = "") -> list[list[str]]:
        """Hand orders to nodes, and name the consignments of each (`engine.consignments.release`)."""
        return self.database.write(lambda tx: consignments.release(tx, facts, by))

    def handle(self, fact: ConsignmentFact, by: str = "") -> bool:
        """What nodes and carriers did with a consignment, or customers; says whether the fact is new."""
        match fact:
            case OrderReleased():
                return bool(self.release([fact], by)[0])
            case Picked():
                return self.database.write(lambda tx: consignments.pick(tx, fact, by))
            case ShortPicked():
                return self.database.write(lambda tx: consignments.pick_short(tx, fact, by))
            case ConsignmentRejected():
                return self.database.write(lambda tx: consignments.reject(tx, fact, by))
            case Packed():
                return self.database.write(lambda tx: consignments.pack(tx, fact, by))
            case Shipped():
                return self.database.write(lambda tx: shipping.ship(tx, fact, by))
            case OutForDelivery():
                return self.database.write(lambda tx: shipping.send_out(tx, fact, by))
            case ReadyForPickup():
                return self.database.write(lambda tx: shipping.make_ready(tx, fact, by))
            case PickupLapsed():
                return self.database.write(lambda tx: shipping.lapse(tx, fact, by))
            case Delivered():
                return self.database.write(lambda tx: shipping.deliver(tx, fact, by))
            case ReturnReceived():
                return self.database.write(lambda tx: returns.take_back(tx, fact, by))

    # --- returns ------------------------------------------------------------------------------------------------

    def ask_back(self, facts: Sequence[ReturnRequested], by: str = "") -> list[bool]:
        """Take returns in (`engine.return_requests.request`), and give those that are approved nodes together."""
        new = self.database.write(lambda tx: return_requests.request(tx, facts, by))
        self._route([return_requests.rma_id(fact) for fact in facts], max((fact.at for fact in facts), default=0))
        return new

    def go_back(self, fact: ReturnFact, by: str = "") -> bool:
        """What customers and staff do with a return; says whether the fact is new."""
        match fact:
            case ReturnRequested():
                return self.ask_back([fact], by)[0]
            case ReturnApproved():
                new = self.database.write(lambda tx: return_requests.approve(tx, fact, by))
                self._route([fact.rma], fact.at)
                return new
            case ReturnRefused():
                return self.database.write(lambda tx: return_requests.refuse(tx, fact, by))
            case ReturnCancelled():
                return self.database.write(lambda tx: return_requests.cancel(tx, fact, by))
            case ReturnInspected():
                return self.database.write(lambda tx: returns.inspect(tx, fact, by))

    def _route(self, rmas: list[str], at: int) -> None:
        if rmas:
            route_returns(self.database, at, lookout_of(self.database), rmas)

    # --- stock --------------------------------------------------------------------------------------------------

    def record(self, facts: Sequence[StockFact], by: str = "") -> list[bool]:
        """What happened to stock, nodes and inbound: all or nothing (`engine.stock.record`)."""
        return self.database.write(lambda tx: stock.record(tx, facts, by))

    def report(self, facts: Sequence[StockReported], by: str = "") -> list[str]:
        """Messages of feeds (`engine.feed.report`)."""
        return self.database.write(lambda tx: feed.report(tx, facts, by))

    def hold(self, facts: Sequence[HoldPlaced], by: str = "") -> list[Held]:
        """Keep units for carts, each all or nothing (`engine.holds.place_holds`)."""
        return self.database.write(lambda tx: holds.place_holds(tx, facts, by))

    def give_up(self, fact: HoldReleased, by: str = "") -> bool:
        """Give a hold up."""
        return self.database.write(lambda tx: holds.release_hold(tx, fact, by))

    def expire(self, now: int) -> Ended:
        """End holds, orders, pickups and returns whose time is up, and refund what is not kept for an exchange any more."""
        write = self.database.write
        return Ended(
            write(lambda tx: holds.expire_holds(tx, now)),
            write(lambda tx: orders.expire_orders(tx, now)),
            write(lambda tx: shipping.lapse_pickups(tx, now)),
            write(lambda tx: return_requests.expire_returns(tx, now))
            + write(lambda tx: refunds.settle_returns(tx, now)),
        )

    # --- the log and the books ----------------------------------------------------------------------------------

    def read_log(self, after: Position, limit: int = 1000) -> list[Entry]:
        """The facts behind a position."""
        with self.database.read() as tx:
            return read_log(tx, after, limit)

    def facts_about(self, subject: str) -> list[Entry]:
        """What is known of an order, a SKU, a node or a hold."""
        with self.database.read() as tx:
            return facts_about(tx, subject)

    def position_of(self, consumer: str) -> Position:
        """How far a reader of the log has come."""
        return self.database.write(lambda tx: position_of(tx, consumer))

    def advance(self, consumer: str, to: Position) -> bool:
        """Note how far a reader has come."""
        return self.database.write(lambda tx: advance(tx, consumer, to))

    def fsck(self) -> list[Finding]:
        """What does not balance."""
        with self.database.read() as tx:
            return fsck(tx)
