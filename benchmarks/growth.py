"""How seconds and memory grow with the size of a wave: fitted exponents, and a picture."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import altair as alt
import numpy as np

from api import charts, figures
from benchmarks.results import ELSEWHERE
from benchmarks.waves import JOINT

GAP = 0.005
"""The gap whose first time is compared over sizes."""
Point = tuple[int, float]
"""Orders, and seconds or bytes."""


def is_growth(one: dict[str, Any]) -> bool:
    """Whether these are waves by which growth is measured: retail at a peak, without capacities, all on one machine."""
    peak = one.get("profile") == "retail" and one.get("regime") == "peak" and not one.get("capacity")
    return peak and ELSEWHERE not in one


def to_gap(waves: dict[str, Any]) -> tuple[list[Point], list[int]]:
    """Seconds in which `joint` reached the gap, medians by size; and the sizes at which it did not."""
    points, missed = [], []
    for one in sorted(filter(is_growth, waves.values()), key=lambda one: one["orders"]):
        runs = [run for run in one["runs"] if run["policy"] == JOINT and "failed" not in run]
        reached = [run["reached"][str(GAP)] for run in runs if str(GAP) in run["reached"]]
        if runs and len(reached) == len(runs):
            points.append((one["orders"], median(reached)))
        elif one["runs"]:
            missed.append(one["orders"])
    return points, missed


def memory(waves: dict[str, Any]) -> list[Point]:
    """Peak memory of `joint` above that of the bare process, medians by size."""
    points = []
    for one in sorted(filter(is_growth, waves.values()), key=lambda one: one["orders"]):
        above = [
            run["peak_bytes"] - run["bare_bytes"]
            for run in one["runs"]
            if run["policy"] == JOINT and "failed" not in run
        ]
        if above and min(above) > 0:
            points.append((one["orders"], median(above)))
    return points


def exponent(points: Sequence[Point]) -> float | None:
    """The slope of a straight line through the logarithms by least squares; `None` for fewer than two sizes."""
    if len({orders for orders, _ in points}) < 2:
        return None
    logs = np.log(np.array(points, dtype=float))
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def render(waves: dict[str, Any]) -> str:
    """Say how seconds and memory grow."""
    seconds, missed = to_gap(waves)
    rest = (
        f" Not reached at {' and '.join(f'{size:,}' for size in missed)} orders, which the fit leaves out."
        if missed
        else ""
    )
    rows = [
        (f"seconds to a gap of {figures.percent(GAP)}", seconds, figures.duration),
        ("memory above the bare process", memory(waves), _mib),
    ]
    parts = []
    for what, points, write in rows:
        slope = exponent(points)
        grown = "too few sizes for a fit" if slope is None else f"grows as the {slope:.2f}th power of the orders"
        listed = ", ".join(f"{orders:,}: {write(value)}" for orders, value in points) or "none"
        parts.append(f"- {what[0].upper()}{what[1:]}: {grown} ({listed}).\n")
    return f"Retail at a peak, without capacities, `joint`.{rest}\n\n{''.join(parts)}"


def picture(waves: dict[str, Any]) -> str | None:
    """Draw both over the orders, with logarithmic axes and the fitted line; `None` where there is nothing to fit."""
    seconds, _ = to_gap(waves)
    held = [(orders, value / 2**20) for orders, value in memory(waves)]
    panels = [
        _panel(points, title)
        for points, title in ((seconds, f"Seconds to a gap of {figures.percent(GAP)}"), (held, "Memory, MiB"))
        if exponent(points) is not None
    ]
    return charts.svg(alt.hconcat(*panels, spacing=40)) if panels else None


def _panel(points: list[Point], title: str) -> Any:
    slope = exponent(points)
    assert slope is not None, "the caller asks first"
    at = float(np.mean([math.log(value) - slope * math.log(orders) for orders, value in points]))
    ends = [min(orders for orders, _ in points), max(orders for orders, _ in points)]
    x = alt.X("orders:Q", title="orders", scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", tickCount=4))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(type="log"), axis=alt.Axis(format="~s", tickCount=5))
    line = _chart([(orders, math.exp(at + slope * math.log(orders))) for orders in ends])
    dots = _chart(points)
    both = alt.layer(
        line.mark_line(strokeDash=[6, 3], color=charts.QUIET).encode(x=x, y=y),
        dots.mark_point(filled=True, size=80, color=charts.WHOLE, opacity=1).encode(x=x, y=y),
    )
    return both.properties(width=300, height=220, title=f"{title}: exponent {slope:.2f}")


def _chart(points: Sequence[Point]) -> Any:
    values = [{"orders": orders, "value": value} for orders, value in points]
    return alt.Chart(alt.Data(values=values))  # type: ignore[no-untyped-call]


def _mib(amount: float) -> str:
    return f"{amount / 2**20:,.0f} MiB"
