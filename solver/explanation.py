"""What is said of one order: its way, its alternatives, an answer for each node, and what would tip the decision."""

from dataclasses import dataclass

from solver.certificate import Certificate
from solver.choices import Way
from solver.problem import Problem

USED, NO_OPTION, NO_WAY, MAX_PARCELS, SHIP_COMPLETE = "used", "no_option", "no_way", "max_parcels", "ship_complete"
DEARER, CHEAPER, TAKEN, WORTH_MORE = "dearer", "cheaper", "taken", "worth_more"
NO_STOCK, NO_CAPACITY, NO_LANE = "no_stock", "no_capacity", "no_service"


@dataclass(frozen=True)
class Block:
    """What a way lacks as long as all other orders keep what they have.

    Attributes
    ----------
    row
        The resource row of the whole problem, or -1 where it is parcels at the node that are lacking.
    node
        -1 where the row belongs to no one node.
    needed, left
        What the way draws, and what the others leave of it.
    holders
        Other orders and how much each draws, those that draw most first.
    """

    row: int
    node: int
    needed: int
    left: int
    holders: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Alternative:
    """Another way of serving the order, against the one in the plan.

    Attributes
    ----------
    why
        What it is the best answer to: (`without`, node), (`by`, node), (`whole`, node), (`collected`, node), (`service`, node),
        (`parcels`, at most so many), (`alone`, -1), (`open`, -1).
    terms
        Its own bill less that of the plan's way, by term, all other orders as they are (stock that it lacks is not asked for).
    stock_cents, capacity_cents
        What it draws at the prices, less what the plan's way draws: what that is worth to other orders.
    reduced_cents
        What it costs at the prices above the least for this order.
    floor_cents
        No plan of the wave that has this way costs less.
    blocks
        What it lacks now; where nothing, the whole wave's cost changes by `own_cents`, exactly.
    """

    why: tuple[tuple[str, int], ...]
    way: Way
    terms: dict[str, int]
    stock_cents: float
    capacity_cents: float
    reduced_cents: float
    floor_cents: float
    blocks: tuple[Block, ...]

    @property
    def own_cents(self) -> int:
        return sum(self.terms.values())

    @property
    def worth_cents(self) -> float:
        """What it takes from other orders more than the plan's way; overtime, which the price of a capacity covers, is paid."""
        return self.stock_cents + self.capacity_cents - self.terms["overtime"]

    @property
    def at_prices_cents(self) -> float:
        """What it costs at the prices above the plan's way."""
        return self.own_cents + self.worth_cents


@dataclass(frozen=True)
class NodeAnswer:
    """Why a node is not used, or that it is.

    Attributes
    ----------
    verdict
        `used`; `no_option`: it can serve no line, see `lines`; `max_parcels`, `ship_complete`, `no_way`: no way of serving the
        order has it; `dearer`: it costs more; `cheaper`: it would cost less, and nothing is in its way; `taken`, `worth_more`: it
        would cost less, but others have what it takes, and where that is `worth_more`, it is worth more to them at the prices.
    lines
        For each line of the order, why it cannot come from here: empty, or `no_stock`, `no_capacity`, `no_service`, or the
        problem's own reason.
    at_prices, alone, now
        The best way by this node at the prices, were this order alone, and with all others as they are; `None` where there is none.
    told
        That of the three which the verdict speaks of.
    floor_cents
        No plan of the wave that has a parcel of this order from here costs less; `None` where no plan has.
    """

    node: int
    verdict: str
    lines: tuple[str, ...]
    at_prices: Alternative | None
    alone: Alternative | None
    now: Alternative | None
    told: Alternative | None
    floor_cents: float | None


@dataclass(frozen=True)
class Lever:
    """One change that would make the best alternative as good as the plan's way.

    Attributes
    ----------
    term
        `carriage`, `handling`, `late`, `stock_value`, `unfilled` or `stock_price`, `capacity_price`: what falls; `one_more_unit`,
        `one_more_parcel`: what is added.
    index
        The node; for `unfilled`, the line within the order.
    other
        The service, SKU or -1.
    from_cents, by_cents
        What the term is now (for a unit, a parcel), and by how much it would have to fall. For what is added, `by_cents` is
        what that saves, all other orders as they are.
    """

    term: str
    index: int
    other: int
    from_cents: float
    by_cents: float


@dataclass(frozen=True)
class Explanation:
    """Why an order is served as it is.

    Attributes
    ----------
    problem
        The order as a problem of its own; ways index into it. Its capacities are what the other orders leave.
    exact
        Whether the order is decided exactly; else (many lines) alternatives come from a local search, floors still hold.
    chosen, terms
        The way in the plan and its bill by term.
    stock_cents, capacity_cents
        What it draws, at the prices.
    reduced_cents
        What it costs at the prices above the least for this order: its part of the gap.
    alternatives
        Distinct ways, best at the prices first.
    levers
        The smallest change first; see `margin_cents`.
    """

    problem: Problem
    certificate: Certificate
    order: int
    exact: bool
    priced: bool
    chosen: Way
    terms: dict[str, int]
    stock_cents: float
    capacity_cents: float
    reduced_cents: float
    alternatives: tuple[Alternative, ...]
    nodes: tuple[NodeAnswer, ...]
    levers: tuple[Lever, ...]

    @property
    def margin_cents(self) -> float | None:
        """How far the best alternative is behind at the prices; below 0 it is ahead, and `None` where there is none."""
        return self.alternatives[0].at_prices_cents if self.alternatives else None


__all__ = [
    "CHEAPER",
    "DEARER",
    "MAX_PARCELS",
    "NO_CAPACITY",
    "NO_LANE",
    "NO_OPTION",
    "NO_STOCK",
    "NO_WAY",
    "SHIP_COMPLETE",
    "TAKEN",
    "USED",
    "WORTH_MORE",
    "Alternative",
    "Block",
    "Explanation",
    "Lever",
    "NodeAnswer",
]
