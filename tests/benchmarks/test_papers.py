"""Published programs and settings of papers, and their section of the results."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import paper_models, papers, papers_page, targets
from solver.fluid import Pool, Program, compact

PUBLISHED = {
    (30, 2): (643.4934832722296, 643.4934832722296),
    (30, 5): (936.1783686961312, 959.546003253489),
    (1, 5): (1228.2835772124886, 1257.7303335467377),
}
"""By seed and size of the largest order: optimum of the compact and of the pattern program (Amil, Makhdoumi and Wei)."""


@pytest.fixture
def data() -> None:
    reason = papers.skipped()
    if reason:
        pytest.skip(reason)


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("instance", PUBLISHED)
def test_programs_have_the_published_optima(instance: tuple[int, int]) -> None:
    one = next(one for one in paper_models.read_published() if (one["seed"], one["n_max"]) == instance)
    fluid = paper_models.fluid_of(one)
    assert compact(fluid).cost == pytest.approx(PUBLISHED[instance][0], rel=1e-9)
    answer = Program(Pool(fluid)).generate(fluid.expected, fluid.stock)
    assert answer.cost == pytest.approx(PUBLISHED[instance][1], rel=1e-9)
    assert answer.bound == pytest.approx(PUBLISHED[instance][1], rel=1e-9)


@pytest.mark.usefixtures("data")
def test_a_network_of_ma_is_drawn_as_he_describes_it() -> None:
    fluid = paper_models.draw(paper_models.SMALL, np.random.default_rng(1))
    assert fluid.sizes.tolist() == [0, *np.repeat([1, 2, 3, 4, 5], 5)]
    assert fluid.rate.sum() == pytest.approx(1)
    assert (fluid.centres, fluid.items, fluid.regions) == (5, 20, 10)
    assert (fluid.fixed == np.array([8.759] * 5 + [17.518])[:, None]).all()
    assert fluid.unit[-1] == pytest.approx(2 * fluid.unit[:-1].max(axis=0))
    # New York to Avoca, Pennsylvania, is about 100 miles
    assert fluid.unit[2, 0] == pytest.approx(0.423 + 0.000541 * 106, abs=0.01)
    units = (fluid.expected.sum(axis=1) * fluid.sizes).sum()
    assert units < fluid.stock.sum() < 1.1 * units


@pytest.mark.usefixtures("data")
def test_a_quick_run_leaves_its_section_and_rows_of_what_is_to_be_reached(tmp_path: Path) -> None:
    assert command.main(["papers", "--quick", "--out", str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "results.json").read_text())["papers"]["measured"]
    assert list(kept) == ["ma small 1", "published size 2 seed 1", "published size 5 seed 1"]
    for one in kept.values():
        assert all(cost >= one["hindsight"][0] * (1 - 1e-9) for costs in one["cost"].values() for cost in costs)
        assert one["pattern"] >= one["compact"] * (1 - 1e-9)
    page = (tmp_path / "results.md").read_text()
    assert "### Ma's small network" in page
    assert "| dilate † |" in page
    assert "for magician and" in page
    again = ["papers", "--quick", "--resume", "--out", str(tmp_path)]
    assert command.main(again) == 0
    assert json.loads((tmp_path / "results.json").read_text())["papers"]["measured"] == kept


def test_ratios_are_means_of_instances_with_their_standard_error() -> None:
    ones = [
        {"compact": 100.0, "hindsight": [100.0, 110.0], "cost": {"greedy": [121.0, 110.0], "dilate": [130.0, 140.0]}},
        {"compact": 200.0, "hindsight": [200.0, 200.0], "cost": {"greedy": [240.0, 240.0], "dilate": [260.0, 260.0]}},
    ]
    mean = papers_page.over(ones, "greedy", "hindsight")
    assert mean.value == pytest.approx((1.1 + 1.2) / 2)
    assert mean.error == pytest.approx(0.05)
    assert papers_page.over(ones[:1], "greedy", "hindsight").value == pytest.approx((1.21 + 1.0) / 2)
    assert papers_page.over(ones, "greedy", "compact").value == pytest.approx((1.155 + 1.2) / 2)
    assert papers_page.best_of(ones) == "greedy"
    assert papers_page.captured(ones, "greedy") == 0
    assert papers_page.not_beaten(ones) == 0


def test_a_shortfall_in_a_setting_of_a_paper_is_called_one() -> None:
    one = {"compact": 100.0, "hindsight": [100.0], "cost": {"greedy": [102.0]}}
    page = targets.render({"papers": {"published size 2 seed 1": one, "published size 5 seed 1": one}})
    row = {line.split("|")[1].strip(): line for line in page.splitlines()}
    assert "shortfall" in row["papers, published, largest order 2: cost over hindsight"]
    assert "reached" in row["papers, published, largest order 5: cost over hindsight"]
    assert "not measured" in row["papers, Ma's small network: cost over the compact program"]
