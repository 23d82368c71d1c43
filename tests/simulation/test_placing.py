from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.calendar import parse_minute
from engine.network import Network, columns_of
from simulation.history import History
from simulation.networks import example
from simulation.placing import Supply, place
from simulation.synthetic import make_history as make_up
from solver.refusal import Refusal
from solver.wave import Sku

MakeNetwork = Callable[..., Network]
MakeHistory = Callable[..., History]

BARE: dict[str, Any] = {"skus": [], "stock": []}
NOWHERE = {"lat": np.nan, "lon": np.nan}


def test_what_history_and_network_say_is_kept(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    said = {"promise_days": 4, "late_cents": 9}
    history = make_history(("04-29T09:00", {"mug": 1}, said), receipts=[("04-30T09:00", "W", "pan", 3)])
    history = replace(history, line_unfilled_cents=np.array([55]))
    network = make_network(receipts=[("2024-04-29", "W", "mug", 2)])
    placed = place(history, network)
    assert placed.simulated == ()
    assert placed.network == network
    assert placed.history.order_promise_days.tolist() == [4]
    assert placed.history.line_unfilled_cents.tolist() == [55]
    assert placed.history.receipt_units.tolist() == [2, 3]
    assert [placed.history.sku_id[k] for k in placed.history.receipt_sku] == ["mug", "pan"]


def test_everything_that_is_drawn_or_assumed_is_named(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    placed = place(make_history(("04-29T09:00", {"mug": 1}, NOWHERE)), make_network(**BARE, simulated=("tariffs",)))
    assert [label.split(":")[0] for label in placed.simulated] == [
        "tariffs",
        "weights",
        "destinations",
        "promises",
        "cost of lateness",
        "cost of units left open",
        "stock and receipts",
    ]
    assert placed.simulated == placed.network.simulated == placed.history.simulated


def test_the_same_seed_draws_the_same_and_another_one_does_not(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    history = make_history(*[("04-29T09:00", {"mug": 5, "pan": 2}, NOWHERE)] * 9)
    once, again, other = (place(history, make_network(**BARE), seed) for seed in (1, 1, 2))
    assert once.network == again.network != other.network
    assert once.history.order_lat.tolist() == again.history.order_lat.tolist() != other.history.order_lat.tolist()


def test_a_customer_lives_in_one_place_and_strangers_apart(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    history = make_history(
        *[("04-29T09:00", {"mug": 1}, NOWHERE | {"customer": who}) for who in ("ann", "bob", "ann", None, None)]
    )
    lat = place(history, make_network()).history.order_lat
    assert lat[0] == lat[2]
    assert len(set(lat.tolist())) == 4


def test_a_destination_is_drawn_in_the_region_of_the_order(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    regions = ["NL", "BE"] * 20
    history = make_history(*[("04-29T09:00", {"mug": 1}, NOWHERE | {"region": region}) for region in regions])
    lon = place(history, make_network()).history.order_lon
    assert (lon[::2] > 4.4).all()
    assert (lon[1::2] < 4.4).all()


def test_an_order_with_an_address_or_a_store_keeps_it(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}), ("04-29T09:00", {"mug": 1}, NOWHERE | {"pickup_nodes": "W"}))
    placed = place(history, make_network())
    assert placed.history.order_lat.tolist()[0] == 52.1
    assert np.isnan(placed.history.order_lat[1])
    assert not any("destinations" in label for label in placed.simulated)


def test_a_unit_left_open_costs_a_fixed_sum_and_a_share_of_its_price(
    make_network: MakeNetwork, make_history: MakeHistory
) -> None:
    history = replace(make_history(("04-29T09:00", {"mug": 1, "pan": 1})), line_price_cents=np.array([999, -(2**62)]))
    placed = place(history, make_network(terms={"unfilled_cents": 60, "unfilled_percent": 50}))
    assert placed.history.line_unfilled_cents.tolist() == [60 + 499, 60]


def test_drawn_stock_lies_where_it_may(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    network = example("us")
    skus = [Sku(f"K{k}", 500, ["cold"] if k % 2 else [], []) for k in range(240)]
    nodes = tuple(msgspec.structs.replace(node, tags=["cold"] if j % 3 else []) for j, node in enumerate(network.nodes))
    network = msgspec.structs.replace(network, skus=skus, nodes=nodes)
    placed = place(make_up(28, 60, network, seed=1), network)
    columns = columns_of(placed.network)
    handled = columns.kind_handled[columns.sku_kind]
    assert handled[columns.stock.sku, columns.stock.node].all()
    assert handled[placed.history.receipt_sku, placed.history.receipt_node].all()


def test_what_is_drawn_covers_what_is_asked_for(make_network: MakeNetwork) -> None:
    network = example("us")
    history = make_up(56, 80, network, seed=1)
    placed = place(history, network, supply=Supply(cover_weeks=3, level=1.0))
    asked = history.line_qty.sum()
    stock = sum(row[2] for row in placed.network.stock)
    assert 0.7 < placed.history.receipt_units.sum() / (asked * 7 / 8) < 1.3
    assert 0.7 < stock / (asked * 3 / 8) < 1.3


def test_what_is_cancelled_is_not_stocked_for(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    history = make_history(("04-29T09:00", {"mug": 74_215}), cancellations=[("04-29T09:16", "O0", 0, 74_215)])
    placed = place(history, make_network(**BARE))
    assert placed.network.stock == []


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"currency": "GBP"}, "currency: the history is in EUR, the network in GBP"),
        ({"skus": [Sku("pan", 1, [], [])], "stock": []}, "the history: 'mug' is not a SKU of the network"),
        ({"markets": ()}, "markets: is empty, and orders of the history have no destination"),
        ({"nodes": 2**40}, "the history: on this network it could cost more than whole cents can count"),
        ({"terms": {"unfilled_cents": 2**40}}, "the history: on this network it could cost more"),
    ],
)
def test_a_history_that_does_not_fit_its_network_is_refused(
    make_network: MakeNetwork, make_history: MakeHistory, changes: dict[str, Any], refusal: str
) -> None:
    history = make_history(("04-29T09:00", {"mug": 9000}, NOWHERE))
    if "nodes" in changes:
        dear = msgspec.structs.replace(make_network().nodes[0], unit_cents=changes["nodes"])
        changes = {"nodes": (dear,)}
    with pytest.raises(Refusal) as raised:
        place(history, make_network(**changes))
    assert refusal in str(raised.value)


def test_a_receipt_at_a_node_that_is_not_there_is_refused(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}), receipts=[("04-30T09:00", "X", "mug", 3)])
    with pytest.raises(Refusal, match="'X' is not a node of the network"):
        place(history, make_network())


def test_receipts_stand_by_ascending_time(make_network: MakeNetwork, make_history: MakeHistory) -> None:
    history = make_history(("04-29T09:00", {"mug": 1}), receipts=[("04-30T09:00", "W", "mug", 3)])
    placed = place(history, make_network(receipts=[("2024-05-02", "W", "mug", 1), ("2024-04-28", "W", "mug", 1)]))
    assert placed.history.receipt_at.tolist() == sorted(placed.history.receipt_at.tolist())
    assert placed.history.receipt_at[1] == parse_minute("2024-04-30T09:00Z")
