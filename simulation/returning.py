"""Where returns go in a replay: those that came due since the decision before are given a node by one rule, and lie there.

Without it they lie where they came from, and coming back costs nothing.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from engine.network import NetworkColumns, Stock
from engine.outlook import DemandOutlook
from engine.return_nodes import Back, Question, Routed, Worth, room_of, route, worth_of
from solver.effort import Effort
from solver.problem import DELIVERED, Floats, Ints

if TYPE_CHECKING:
    from simulation.world import World

RULES = ("solver", "carriage", "nearest", "origin")
"""The solver; where it costs least to carry and handle; the nearest node; where it came from."""
DAYS = 28.0
"""For how long units are expected to be sold where no receipt is known."""
Came = tuple[int, int, int, int]
"""Units that come back: minute, line, stock row that they left, units."""


@dataclass
class Returning:
    """Give returns a node by a rule, and count what that costs.

    Attributes
    ----------
    outlook
        What the units are expected to be sold by.
    rest_percent
        What is left of a unit's worth beyond the room for it.
    parcels, units, away
        What came back, and the parcels among them that did not go where they came from.
    carriage_cents, handling_cents, worth_cents
        Of what was chosen.
    objective_cents, bound_cents
        What the same returns cost by each rule, worth taken off, and the least that any choice costs.
    """

    rule: str
    outlook: DemandOutlook
    rest_percent: int = 10
    effort: Effort = field(default_factory=lambda: Effort(seconds=2.0))
    parcels: int = 0
    units: int = 0
    away: int = 0
    carriage_cents: int = 0
    handling_cents: int = 0
    worth_cents: int = 0
    objective_cents: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    bound_cents: float = 0.0

    def __post_init__(self) -> None:
        assert self.rule in RULES, f"{self.rule} is no rule"

    def send(self, world: "World", came: list[Came], at: int) -> Ints:
        """(n,) the stock row where each lies from now on."""
        table = np.array(came, dtype=np.int64).T
        question, of = self._question(world, table, at)
        found = {
            "carriage": question.routed(_without_worth(question)),
            "nearest": question.routed(question.nearest()),
            "origin": question.routed(question.origin()),
            "solver": route(question, self.effort),
        }
        self._note(found, question.back)
        node = found[self.rule].node[of]
        sku = world.stock.sku[table[2]]
        return world.rows_of(node, sku)

    def _question(self, world: "World", came: Ints, at: int) -> tuple[Question, Ints]:
        """Where parcels could go, one for each order, and (n,) the parcel of each."""
        network, history = world.network, world.history
        _, line, row, units = came
        order, of = np.unique(history.line_order[line], return_inverse=True)
        by = np.argsort(of, kind="stable")
        origin = np.zeros(len(order), dtype=np.int64)
        origin[of[by[::-1]]] = world.stock.node[row[by[::-1]]]
        collect = world.order_collect[order]
        sent, empty = collect == DELIVERED, network.empty
        sku = world.stock.sku[row[by]]
        back = Back(
            line_start=np.searchsorted(of[by], np.arange(len(order) + 1)).astype(np.int64),
            lat=np.where(sent, history.order_lat[order], empty.node_lat[collect]),
            lon=np.where(sent, history.order_lon[order], empty.node_lon[collect]),
            brought_to=np.full(len(order), -1),
            origin=origin,
            line_sku=sku,
            line_units=units[by],
            line_percent=np.full(len(by), 100),
        )
        every = np.ones(network.nodes, dtype=np.bool_)
        return Question(network, back, self._worth(world, np.unique(sku), at), every, ~every), of

    def _worth(self, world: "World", sku: Ints, at: int) -> Worth:
        network = world.network
        shape = (network.skus, network.nodes)
        coming = np.zeros(shape, dtype=np.int64)
        for _, row, units in world.restocks:
            coming[world.stock.sku[row], world.stock.node[row]] += units
        value, free = (column.reshape(shape)[sku] for column in (world.value, world.stock.units))
        present, lag = world.present(at), float(network.terms.restock_days)
        expected: Floats = np.stack([self.outlook.expected(present, sku, days=days) for days in (DAYS, lag)])
        return worth_of(network, sku, value, room_of(value, free, coming[sku], expected), self.rest_percent)

    def _note(self, found: dict[str, Routed], back: Back) -> None:
        chosen = found[self.rule]
        self.parcels += back.returns
        self.units += int(back.line_units.sum())
        self.away += int((chosen.node != back.origin).sum())
        self.carriage_cents += int(chosen.carriage.sum())
        self.handling_cents += int(chosen.handling.sum())
        self.worth_cents += int(chosen.worth.sum())
        self.bound_cents += found["solver"].bound_cents
        for rule, one in found.items():
            self.objective_cents[rule] += one.cost_cents


def everywhere(stock: Stock, network: NetworkColumns) -> Stock:
    """A row for every SKU at every node: what comes back may lie anywhere."""
    key = stock.sku * network.nodes + stock.node
    keys = np.arange(network.skus * network.nodes)
    units, value = np.zeros((2, len(keys)), dtype=np.int64)
    units[key], value[key] = stock.units, stock.value_cents
    return Stock(keys % network.nodes, keys // network.nodes, units, value)


def _without_worth(question: Question) -> Ints:
    """(R,) where each costs least to carry and handle."""
    node: Ints = np.argmin(np.where(question.reason == 0, question.carriage + question.handling, np.inf), axis=1)
    return node.astype(np.int64)


__all__ = ["RULES", "Returning", "everywhere"]
