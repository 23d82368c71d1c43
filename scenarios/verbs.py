"""The verbs there are. A new one is its settings (`settings.py`), a function, and one entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from engine.network import Network
from scenarios import demand_verbs, network_verbs, settings, stock_verbs
from simulation.placing import Placed


@dataclass(frozen=True)
class Verb:
    """What a change does.

    Attributes
    ----------
    network
        Makes another network of the same nodes, SKUs and services; holds on the days of the change.
    placed
        Makes another placed history, before anything begins: orders, stock, receipts. It draws from the generator.
    """

    settings: type[settings.Settings]
    network: Callable[[Network, Any], Network] | None = None
    placed: Callable[[Placed, Any, Generator], Placed] | None = None


VERBS = {
    "close_node": Verb(settings.CloseNode, network_verbs.close_node, stock_verbs.empty_node),
    "open_node": Verb(settings.OpenNode, network_verbs.open_node, stock_verbs.add_node),
    "move_stock": Verb(settings.MoveStock, placed=stock_verbs.move_stock),
    "redirect_receipts": Verb(settings.RedirectReceipts, placed=stock_verbs.redirect_receipts),
    "safety_stock": Verb(settings.SafetyStock, placed=stock_verbs.safety_stock),
    "scale_demand": Verb(settings.ScaleDemand, placed=demand_verbs.scale_demand),
    "pickup_share": Verb(settings.PickupShare, placed=demand_verbs.pickup_share),
    "faster_promise": Verb(settings.FasterPromise, placed=demand_verbs.faster_promise),
    "change_rate_card": Verb(settings.ChangeRateCard, network_verbs.change_rate_card),
    "surcharge": Verb(settings.Surcharge, network_verbs.surcharge),
    "carrier_strike": Verb(settings.CarrierStrike, network_verbs.carrier_strike),
    "cut_off": Verb(settings.CutOff, network_verbs.cut_off),
    "ship_from_store": Verb(settings.ShipFromStore, network_verbs.ship_from_store),
    "capacity": Verb(settings.Capacity, network_verbs.capacity),
    "labour": Verb(settings.Labour, network_verbs.labour),
    "policy": Verb(settings.UsePolicy),
}
