from collections.abc import Callable
from pathlib import Path

import pytest

from engine.catalogue import read_catalogue
from engine.database import Database
from engine.migrations import upgrade
from simulation.sample import Loaded, load_sample, make_sample
from solver.refusal import Refusal

NOON = 1_764_072_000_000  # 2025-11-25T12:00Z


def load(database: Database, at: int = NOON, told: Callable[[int, int], None] = lambda done, total: None) -> Loaded:
    return load_sample(database, at, seed=3, orders=120, skus=60, told=told)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    url = f"sqlite:///{tmp_path / 'allot.db'}"
    upgrade(url)
    return Database(url)


def totals(database: Database) -> dict[str, int]:
    tables = ("node", "sku", "kit_part", "stock", "inbound", "orders", "order_line", "fact", "movement", "channel")
    with database.read() as tx:
        return {table: tx.value(f"SELECT count(*) FROM {table}") for table in tables}


def test_a_seed_makes_one_sample() -> None:
    first, again, other = (make_sample(NOON, seed=seed, orders=50, skus=40) for seed in (1, 1, 2))
    assert first == again
    assert first.orders != other.orders


def test_a_sample_is_a_shop_with_orders_that_wait(database: Database) -> None:
    with database:
        loaded = load(database)
        assert (loaded.orders, loaded.new, loaded.refused) == (120, 120, 0)
        with database.read() as tx:
            catalogue = read_catalogue(tx, NOON)
            states = tx.all("SELECT DISTINCT state FROM orders")
            used = {channel for (channel,) in tx.all("SELECT DISTINCT channel FROM orders")}
            collected = tx.value("SELECT count(*) FROM orders WHERE pickup <> '[]'")
            kits = tx.value("SELECT count(*) FROM order_line JOIN sku ON sku.no = sku_no WHERE is_kit")
            early = tx.value("SELECT min(promise_day) FROM orders")
        assert states == [("open",)]
        assert used == {"web", "marketplace", "store", "phone"}
        assert all(channel.rules for channel in catalogue.channels)
        assert len(catalogue.kits.sku) == 10
        assert collected
        assert kits
        assert early >= NOON // 86_400_000
        assert loaded.stock_units > 0
        assert loaded.inbound > 0


def test_loading_again_changes_nothing_even_later(database: Database) -> None:
    with database:
        load(database)
        before = totals(database)
        again = load(database, NOON + 5 * 86_400_000)
        assert (again.new, totals(database)) == (0, before)


def test_a_half_loaded_sample_is_completed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulation.sample.TOGETHER", 50)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with database:
        with pytest.raises(KeyboardInterrupt):
            load(database, told=stop)
        assert load(database, NOON + 60_000).new == 70


def test_another_sample_is_refused(database: Database) -> None:
    with database:
        load(database)
        with pytest.raises(Refusal) as refusal:
            load_sample(database, NOON, seed=4, orders=120, skus=60)
        assert refusal.value.code == "other_sample"
