"""What a network would be: each verb makes another network of the same nodes, SKUs and services.

These are the changes that may hold on some days only: a replay goes on with another network then.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from engine.network import Hours, Network, Node
from scenarios.naming import chosen, node_of, services_of
from scenarios.settings import (
    Capacity,
    CarrierStrike,
    ChangeRateCard,
    CloseNode,
    CutOff,
    Labour,
    OpenNode,
    ShipFromStore,
    Surcharge,
)
from simulation.world import CLOSED, COLLECT_ONLY
from solver.wave import Service

LAST_MINUTE = 1439


def close_node(network: Network, said: CloseNode) -> Network:
    """Let nothing leave a node."""
    node_of(network, "node", said.node)
    return _with_nodes(network, {said.node}, lambda node: _tagged(node, CLOSED, True))


def open_node(network: Network, said: OpenNode) -> Network:
    """Open the node that `stock_verbs.add_node` has made."""
    return _with_nodes(network, {said.id}, lambda node: _tagged(node, CLOSED, False))


def ship_from_store(network: Network, said: ShipFromStore) -> Network:
    """Let stores send parcels, or not."""
    stores = chosen(network, said.nodes)
    return _with_nodes(network, stores, lambda node: _tagged(node, COLLECT_ONLY, not said.on))


def change_rate_card(network: Network, said: ChangeRateCard) -> Network:
    """Let carriage cost and last more or less."""

    def changed(service: Service) -> Service:
        return replace(
            service,
            cents=[[scaled(cents, said.percent) for cents in zone] for zone in service.cents],
            over_cents_per_kg=[scaled(cents, said.percent) for cents in service.over_cents_per_kg],
            transit_days=[max(0, days + said.more_days) for days in service.transit_days],
        )

    return _with_services(network, services_of(network, said.services), changed)


def surcharge(network: Network, said: Surcharge) -> Network:
    """Charge more for each parcel."""

    def dearer(service: Service) -> Service:
        extra = [said.cents if step > said.above_g else 0 for step in service.steps_g]
        extra[-1] = said.cents  # heavier parcels than the last step pay it too
        return replace(
            service, cents=[[c + more for c, more in zip(zone, extra, strict=True)] for zone in service.cents]
        )

    return _with_services(network, services_of(network, said.services), dearer)


def carrier_strike(network: Network, said: CarrierStrike) -> Network:
    """Let services carry nothing."""
    out = services_of(network, said.services)
    skus = [replace(sku, no_services=[*sku.no_services, *sorted(out - set(sku.no_services))]) for sku in network.skus]
    return replace(network, skus=skus)


def cut_off(network: Network, said: CutOff) -> Network:
    """End the day's work earlier, or at a minute of the day."""

    def changed(node: Node) -> Node:
        if said.at is not None:
            hour, minute = said.at.split(":")
            return replace(node, cut_off_minute=int(hour) * 60 + int(minute))
        return replace(node, cut_off_minute=max(0, node.cut_off_minute - (said.earlier_minutes or 0)))

    return _with_nodes(network, chosen(network, said.nodes), changed)


def capacity(network: Network, said: Capacity) -> Network:
    """Let nodes make more or less in a day."""

    def limit(usual: int | None, given: int | None) -> int | None:
        return given if given is not None else None if usual is None else scaled(usual, said.percent)

    def changed(node: Node) -> Node:
        parcels, units = limit(node.capacity_parcels, said.parcels), limit(node.capacity_units, said.units)
        return replace(node, capacity_parcels=parcels, capacity_units=units)

    return _with_nodes(network, chosen(network, said.nodes), changed)


def labour(network: Network, said: Labour) -> Network:
    """Let work at nodes cost more or less, last longer, or be done on other weekdays."""
    nodes = chosen(network, said.nodes)
    calendars = {hours.id: hours for hours in network.calendars}
    new: dict[str, Hours] = {}

    def calendar(name: str) -> str:
        if said.open_weekdays is None:
            return name
        made = f"{name}: {' '.join(said.open_weekdays)}"
        new[made] = replace(calendars[name], id=made, open_weekdays=said.open_weekdays)
        return made

    def changed(node: Node) -> Node:
        cost: dict[str, Any] = {
            name: scaled(getattr(node, name), said.percent) for name in ("parcel_cents", "line_cents", "unit_cents")
        }
        overtime = None if node.overtime_cents is None else scaled(node.overtime_cents, said.percent)
        ready = node.ready_days if said.ready_days is None else said.ready_days
        return replace(node, **cost, overtime_cents=overtime, ready_days=ready, calendar=calendar(node.calendar))

    network = _with_nodes(network, nodes, changed)
    return replace(network, calendars=(*network.calendars, *(h for name, h in new.items() if name not in calendars)))


def scaled(count: int, percent: float) -> int:
    """A percentage of a count, rounded half up."""
    return int(count * percent / 100 + 0.5)


def _tagged(node: Node, tag: str, wanted: bool) -> Node:
    others = [name for name in node.tags if name != tag]
    return replace(node, tags=[*others, tag] if wanted else others)


def _with_nodes(network: Network, names: set[str], change: Callable[[Node], Node]) -> Network:
    return replace(network, nodes=tuple(change(node) if node.id in names else node for node in network.nodes))


def _with_services(network: Network, names: set[str], change: Callable[[Service], Service]) -> Network:
    return replace(network, services=[change(s) if s.id in names else s for s in network.services])
