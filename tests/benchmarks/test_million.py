from dataclasses import replace

import pytest

from benchmarks.million import ONE_BY_ONE, PARTS, POLICIES, QUICK, measured_here, network_of, one_by_one, render


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, object]]:
    return {name: measured_here(name, QUICK) for name in POLICIES}


def test_every_order_has_two_lines_and_is_replayed(measured: dict[str, dict[str, object]]) -> None:
    for run in measured.values():
        assert run["lines"] == 2 * int(str(run["orders"]))
        assert 200 < int(str(run["orders"])) < 400
        assert float(str(run["fill_rate"])) > 0.8


def test_stock_values_change_decisions_and_not_the_customers(measured: dict[str, dict[str, object]]) -> None:
    plain, valued, ahead = measured.values()
    assert (plain["orders"], plain["units"]) == (valued["orders"], valued["units"])
    assert plain["decisions"] != valued["decisions"]
    assert (plain["orders"], plain["units"]) == (ahead["orders"], ahead["units"])


def test_processor_time_of_looking_ahead_is_told_by_part(measured: dict[str, dict[str, object]]) -> None:
    ahead, cheapest = measured["bid_price"], measured["cheapest"]
    assert 2 <= int(str(ahead["solves"])) <= int(str(ahead["waves"])) / 2
    assert cheapest["solves"] == 0
    for part in PARTS.values():
        assert float(str(ahead[part])) > 0
    parts = sum(float(str(ahead[part])) for part in PARTS.values())
    assert parts < float(str(ahead["cpu_seconds"]))


def test_the_page_shows_seconds_memory_and_the_hash(measured: dict[str, dict[str, object]]) -> None:
    page = render(measured, {})
    assert "| peak memory |" in page
    assert all(f"| of it {part} |" in page for part in PARTS)
    assert str(measured["cheapest"]["decisions"])[:12] in page


def test_the_network_has_as_many_nodes_and_skus_as_it_is_told() -> None:
    network = network_of(replace(QUICK, nodes=11, skus=7))
    assert (len(network.nodes), len(network.skus)) == (11, 7)
    assert not network.stock


def test_orders_are_also_decided_one_by_one_and_their_time_is_told() -> None:
    measured = one_by_one(QUICK)
    assert measured["orders"] > 200
    assert 0 < measured["decide_p50_seconds"] <= measured["decide_p99_seconds"] <= measured["decide_most_seconds"]
    assert f"Each order as it arrives, {measured['orders']:,} of 3 lines" in render({ONE_BY_ONE: measured}, {})
