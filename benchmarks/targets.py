"""What the benchmarks are to reach, and what they measured: one table at the head of the results page."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from api import figures
from benchmarks import growth, million, over_time, papers_page, returns, yardsticks
from benchmarks.results import table
from benchmarks.waves import GENERAL, JOINT
from benchmarks.waves_page import ended, own_gap, savings

Sections = dict[str, dict[str, Any]]
"""What was measured, by benchmark."""


@dataclass(frozen=True)
class Target:
    """A number to reach.

    Attributes
    ----------
    reach, aim
        The number is to be at most this.
    measured
        From what was measured to the number; `None` where it was not.
    write
        The number for people.
    """

    what: str
    reach: float
    aim: float
    measured: Callable[[Sections], float | None]
    write: Callable[[float], str] = figures.gap


def _joint_gap(name: str, seconds: float) -> Callable[[Sections], float | None]:
    """The largest own gap of `joint` on the waves of a case with that limit of time."""

    def measured(sections: Sections) -> float | None:
        one = sections.get("waves", {}).get(name, {"runs": []})
        return max((own_gap(run) for run in ended(one, JOINT, seconds)), default=None)

    return measured


def _joint_memory(name: str) -> Callable[[Sections], float | None]:
    def measured(sections: Sections) -> float | None:
        one = sections.get("waves", {}).get(name, {"runs": []})
        return max((run["peak_bytes"] / 2**30 for run in ended(one, JOINT)), default=None)

    return measured


def _small_waves(sections: Sections) -> float | None:
    waves = [one for one in sections.get("waves", {}).values() if one.get("orders") == 1_000 and "profile" in one]
    return max((own_gap(run) for one in waves for run in ended(one, JOINT)), default=None)


def _growth(sections: Sections) -> float | None:
    return growth.exponent(growth.to_gap(sections.get("waves", {}))[0])


def _over_cheapest(sections: Sections) -> float | None:
    """The worst that `joint` cost more than `cheapest` on any wave; below 0 it cost less on all."""
    return max((-saving for _, saving in savings(sections.get("waves", {}))), default=None)


def _return_nodes(sections: Sections) -> float | None:
    """The most that the chosen return nodes cost above a rule on the same returns, under the same objective."""
    return returns.worst_over_rules(sections.get("returns", {}))


def _against_general(orders: int) -> Callable[[Sections], float | None]:
    """Runs of general-purpose solvers, from so many orders on, that `joint` does not beat in cost and in bound."""

    def measured(sections: Sections) -> float | None:
        waves = [one for one in sections.get("waves", {}).values() if one.get("orders", 0) >= orders]
        beaten = [
            _beats(mine, other)
            for one in waves
            for policy in GENERAL
            for other in ended(one, policy)
            for mine in ended(one, JOINT, other["seconds"])
            if mine["seed"] == other["seed"]
        ]
        return float(beaten.count(False)) if beaten else None

    return measured


def _beats(mine: dict[str, Any], other: dict[str, Any]) -> bool:
    """Better cost and better bound; where the optimum is proven, there is no better."""
    if mine["status"] == "optimal":
        return True
    return bool(mine["cost_cents"] < other["cost_cents"] and mine["bound_cents"] > other["bound_cents"])


def _mean_of(share: Callable[[dict[str, Any]], float]) -> Callable[[Sections], float | None]:
    def measured(sections: Sections) -> float | None:
        found = yardsticks.large(sections.get("yardsticks", {}))
        return mean(map(share, found)) if found else None

    return measured


def _examples(sections: Sections) -> float | None:
    """Seconds of the slowest example; infinite where one is not proven optimal."""
    runs = [run for one in sections.get("waves", {}).values() if "optimum_cents" in one for run in one["runs"]]
    return max((run["seconds_used"] if run.get("status") == "optimal" else float("inf") for run in runs), default=None)


def _million(what: str, unit: float) -> Callable[[Sections], float | None]:
    """A measure of the replay of a million orders under `bid_price`."""

    def measured(sections: Sections) -> float | None:
        run = sections.get("million", {}).get("bid_price", {})
        return run[what] / unit if run.get("orders", 0) >= 990_000 else None

    return measured


def _one_by_one(sections: Sections) -> float | None:
    one = sections.get("million", {}).get(million.ONE_BY_ONE)
    return None if one is None else one["decide_p99_seconds"]


def _missed(history: str) -> Callable[[Sections], float | None]:
    """The share of the distance from myopic to the best run in hindsight that our best policy does not save."""

    def measured(sections: Sections) -> float | None:
        share = over_time.best_share(sections.get("over_time", {}), history)
        return None if share is None else 1 - share

    return measured


def _papers(title: str, base: str) -> Callable[[Sections], float | None]:
    """The cost of our best policy on the instances of a setting, over `compact` or `hindsight`."""

    def measured(sections: Sections) -> float | None:
        ones = papers_page.groups(sections.get("papers", {})).get(title)
        return papers_page.over(ones, papers_page.best_of(ones), base).value if ones else None

    return measured


def _families_ahead(sections: Sections) -> float | None:
    """Families of papers that are not dearer than our best policy, in the settings of Ma's large network."""
    settings = papers_page.groups(sections.get("papers", {}))
    large = [ones for title, ones in settings.items() if title.startswith("Ma's large network")]
    return float(sum(papers_page.not_beaten(ones) for ones in large)) if large else None


def _ratio(number: float) -> str:
    return f"{number:.4f}"


def _plain(number: float) -> str:
    return f"{number:.2f}"


def _gib(number: float) -> str:
    return f"{number:.1f} GiB"


def _seconds(number: float) -> str:
    return figures.duration(number) if number < float("inf") else "not all proven"


def _dearer(share: float) -> str:
    return "never worse" if share <= 0 else f"{100 * share:.2f} % worse"


LARGE = "100k orders, 200 nodes, 50k SKUs"
TARGETS = (
    Target(f"{LARGE}: retail, usual day, 60 s", 0.0015, 0.0005, _joint_gap("retail 100k usual plain", 60.0)),
    Target("the same, peak memory", 3.0, 3.0, _joint_memory("retail 100k usual plain"), _gib),
    Target("the same at a peak, 60 s", 0.005, 0.0025, _joint_gap("retail 100k peak plain", 60.0)),
    Target("the same at a peak, peak memory", 3.0, 3.0, _joint_memory("retail 100k peak plain"), _gib),
    Target("100k at a peak with capacities, 60 s", 0.01, 0.005, _joint_gap("retail 100k peak capacity", 60.0)),
    Target("100k electronics at a peak, 60 s", 0.01, 0.005, _joint_gap("electronics 100k peak plain", 60.0)),
    Target("100k clearance, 60 s", 0.02, 0.01, _joint_gap("retail 100k clearance plain", 60.0)),
    Target("100k clearance, 5 min", 0.01, 0.005, _joint_gap("retail 100k clearance plain", 300.0)),
    Target("grocery, 10k orders, 60 s", 0.01, 0.003, _joint_gap("grocery 10k peak plain", 60.0)),
    Target("wholesale, 10k orders, 60 s", 0.01, 0.003, _joint_gap("wholesale 10k peak plain", 60.0)),
    Target("1k orders, any profile, 10 s: largest gap", 0.002, 0.0, _small_waves),
    Target("growth of the seconds to a 0.5 % gap: exponent", 1.15, 1.0, _growth, _plain),
    Target("cost against `cheapest`, worst wave", 0.0, 0.0, _over_cheapest, _dearer),
    Target("general-purpose runs not beaten, from 3k orders", 0.0, 0.0, _against_general(3_000), figures.whole),
    Target(
        "general-purpose runs not beaten, from 1k orders", float("inf"), 0.0, _against_general(1_000), figures.whole
    ),
    Target("assignment c, d, e, 200 jobs and more, 60 s: mean deviation", 0.003, 0.002, _mean_of(yardsticks.deviation)),
    Target("the same: mean own gap", 0.006, 0.005, _mean_of(yardsticks.own_gap)),
    Target("replay of 1,000,000 orders under `bid_price`", 100.0, 50.0, _million("seconds", 1.0), _seconds),
    Target("the same, peak memory", 4.0, 2.0, _million("peak_bytes", 2**30), _gib),
    Target("`bid_price` decides an order of 3 lines, 200 nodes: p99", 0.002, 0.001, _one_by_one, figures.duration),
    Target(
        "papers, Ma's small network: cost over the compact program",
        1.018,
        1.018,
        _papers(papers_page.SMALL, "compact"),
        _ratio,
    ),
    Target(
        "papers, published, largest order 5: cost over hindsight",
        1.035,
        1.035,
        _papers(papers_page.PUBLISHED.format(5), "hindsight"),
        _ratio,
    ),
    Target(
        "papers, published, largest order 2: cost over hindsight",
        1.015,
        1.015,
        _papers(papers_page.PUBLISHED.format(2), "hindsight"),
        _ratio,
    ),
    Target("papers, Ma's large network: published families not beaten", 0.0, 0.0, _families_ahead, figures.whole),
    *(
        Target(f"{history}, weekly receipts: not captured of myopic to best in hindsight", 0.5, 0.5, _missed(history))
        for history in ("uci", "superstore")
    ),
    Target("return nodes against nearest and origin, worst replay", 0.0, 0.0, _return_nodes, _dearer),
    Target("waves with known optima: slowest proof", 20.0, 2.0, _examples, _seconds),
)


def render(sections: Sections) -> str:
    """Show every target beside what was measured; a shortfall is called one."""
    rows = []
    for target in TARGETS:
        number = target.measured(sections)
        reach = target.write(target.reach) if target.reach < float("inf") else ""
        rows.append([target.what, reach, target.write(target.aim), _measured(target, number), verdict(target, number)])
    return table(["number to reach", "reach", "aim", "measured", ""], rows)


def _measured(target: Target, number: float | None) -> str:
    return "" if number is None else target.write(number)


def verdict(target: Target, number: float | None) -> str:
    """Say how a number stands to its target."""
    if number is None:
        return "not measured"
    if number <= target.aim:
        return "aim reached"
    if target.reach == float("inf"):
        return "aim not reached"
    return "reached" if number <= target.reach else "**shortfall**"
