"""The section of papers on the results page."""

from math import sqrt
from statistics import mean, stdev
from typing import Any, NamedTuple

from api import figures
from benchmarks import intervals
from benchmarks.paper_exam import BEST, FAMILIES, GREEDY
from benchmarks.papers import CARRIED, SIZES
from benchmarks.results import table

NORMAL_95 = 1.96
PICTURE = "papers.svg"
"""Beside the page."""
SMALL = "Ma's small network"
PUBLISHED = "Published instances, largest order {}"
LARGE = "Ma's large network, centres carry {}"


class Mean(NamedTuple):
    """A mean and its standard error, which is missing where there is one value."""

    value: float
    error: float | None

    @classmethod
    def of(cls, values: list[float]) -> "Mean":
        return cls(mean(values), stdev(values) / sqrt(len(values)) if len(values) > 1 else None)


def groups(measured: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The instances that were measured, by setting."""
    prefixes = {SMALL: "ma small "}
    prefixes |= {PUBLISHED.format(size): f"published size {size} " for size in SIZES}
    prefixes |= {LARGE.format(f"{share:.0%}"): f"ma large {int(100 * share)}" for share in CARRIED}
    found = {
        title: [one for name, one in measured.items() if name.startswith(start)] for title, start in prefixes.items()
    }
    return {title: ones for title, ones in found.items() if ones}


def over(ones: list[dict[str, Any]], policy: str, base: str) -> Mean:
    """Cost over `compact` or `hindsight`: the mean of instances, each of the means of its sequences; of one, over its sequences."""
    ratios = []
    for one in ones:
        costs = one["hindsight"] if policy == "hindsight" else one["cost"][policy]
        bases = one[base] if base == "hindsight" else [one[base]] * len(costs)
        ratios.append(
            [sum(costs) / sum(bases)] if len(ones) > 1 else [c / b for c, b in zip(costs, bases, strict=True)]
        )
    return Mean.of([ratio for some in ratios for ratio in some])


def captured(ones: list[dict[str, Any]], policy: str) -> float:
    """Share of the costs between greedy and hindsight that a policy saves."""
    total = {name: sum(sum(one["cost"][name]) for one in ones) for name in (policy, GREEDY)}
    bound = sum(sum(one["hindsight"]) for one in ones)
    return (total[GREEDY] - total[policy]) / (total[GREEDY] - bound)


def best_of(ones: list[dict[str, Any]]) -> str:
    """Our best policy on these instances."""
    ours: list[str] = [name for name in ones[0]["cost"] if name not in FAMILIES]
    ratio = {name: over(ones, name, "hindsight").value for name in ours}
    return min(ours, key=ratio.__getitem__)


def not_beaten(ones: list[dict[str, Any]]) -> int:
    """Families of papers that cost no more than our best policy on some sequence."""
    best = best_of(ones)
    return sum(
        any(theirs <= ours for one in ones for theirs, ours in zip(one["cost"][name], one["cost"][best], strict=True))
        for name in FAMILIES
        if name in ones[0]["cost"]
    )


def render(measured: dict[str, Any], settings: dict[str, Any]) -> str:
    """Show each setting: every policy over the two yardsticks."""
    parts = [
        "Orders of known types arrive one by one and are served for good; stock is not replenished. *Over compact* is over the "
        "item-centre program of the expected orders, which papers divide by and which no policy can reach; *over hindsight* over "
        "the pattern program of the orders that came, which is a bound for a clairvoyant. Means of instances with standard errors "
        "(of sequences, where there is one instance); all policies serve the same sequences. *Captured* is the share of the costs "
        "between `greedy` and hindsight that a policy saves. Families of papers are marked †: where the centre that they name is "
        f"sold out, an item is unfilled. `{BEST}` samples {settings['small_samples']} futures on Ma's small network and "
        f"{settings['published_samples']} on the published instances.\n"
    ]
    if measured:
        parts.append(f"![Cost over hindsight of each policy]({PICTURE})\n")
    for title, ones in groups(measured).items():
        sequences = len(ones[0]["hindsight"])
        gap = mean(one["pattern"] / one["compact"] for one in ones)
        told = (
            f"{len(ones)} instances, {sequences} sequences each"
            if len(ones) > 1
            else f"1 instance, {sequences} sequences"
        )
        parts.append(f"### {title}\n\n{told}; the pattern program is {gap:.4f} of the compact one.\n")
        parts.append(table(["policy", "over compact", "over hindsight", "captured", "programs", "time"], _rows(ones)))
        parts.append(_published(ones))
    return "\n".join(part for part in parts if part)


def picture(measured: dict[str, Any]) -> str | None:
    """Draw the cost of each policy over hindsight, with intervals over instances, or over sequences of one."""
    return intervals.picture(
        {title: [_interval(ones, name) for name in ones[0]["cost"]] for title, ones in groups(measured).items()},
        "cost over that of a clairvoyant; means with intervals of 95 %",
        ".2f",
    )


def _interval(ones: list[dict[str, Any]], policy: str) -> intervals.Interval:
    one = over(ones, policy, "hindsight")
    half = None if one.error is None else NORMAL_95 * one.error
    return intervals.Interval(policy.replace("_", " "), one.value, half, policy not in FAMILIES)


def _published(ones: list[dict[str, Any]]) -> str:
    """What the authors of instances publish for them, over our hindsight."""
    bound = sum(mean(one["hindsight"]) for one in ones)
    ratios = {name: sum(one["published"][name] for one in ones) / bound for name in ones[0].get("published", {})}
    if not ratios:
        return ""
    told = " and ".join(f"{ratio:.3f} for {name.replace('_', ' ')}" for name, ratio in ratios.items())
    return f"Means that the authors publish for these instances, on sequences of their own, over our mean hindsight: {told}.\n"


def _rows(ones: list[dict[str, Any]]) -> list[list[str]]:
    rows = [["hindsight", _told(over(ones, "hindsight", "compact")), "1", "100.0 %", "", ""]]
    for policy in ones[0]["cost"]:
        solves, seconds = (mean(x for one in ones for x in one[what][policy]) for what in ("solves", "seconds"))
        rows.append([
            f"{policy.replace('_', ' ')}{' †' if policy in FAMILIES else ''}", _told(over(ones, policy, "compact")),
            _told(over(ones, policy, "hindsight")), figures.percent(captured(ones, policy)), f"{solves:,.0f}",
            figures.duration(seconds),
        ])  # fmt: skip
    return rows


def _told(one: Mean) -> str:
    return f"{one.value:.4f}" if one.error is None else f"{one.value:.4f} ± {one.error:.4f}"
