"""Pictures of means with their intervals: policies over time by regret, policies of papers by cost over hindsight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from api import charts


@dataclass(frozen=True)
class Interval:
    """A mean, and half of its interval of 95 % where there is one; `ours` is drawn stronger."""

    name: str
    mean: float
    half: float | None
    ours: bool = True


def picture(panels: Mapping[str, Sequence[Interval]], axis: str, form: str) -> str | None:
    """Draw a panel for each title, one below the other, the best at the top; `None` where there is none.

    Parameters
    ----------
    form
        How values are written on the axis: a format of d3.
    """
    drawn = [
        _panel(title, sorted(ones, key=lambda one: one.mean), axis, form) for title, ones in panels.items() if ones
    ]
    return charts.svg(alt.vconcat(*drawn, spacing=24)) if drawn else None


def _panel(title: str, ones: Sequence[Interval], axis: str, form: str) -> Any:
    rows = [
        {"name": one.name, "mean": one.mean, "low": one.mean - (one.half or 0), "high": one.mean + (one.half or 0),
         "ours": one.ours}
        for one in ones
    ]  # fmt: skip
    base = alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]
    labels = alt.Axis(labelColor=charts.INK, labelLimit=260, minExtent=230, grid=False)
    y = alt.Y("name:N", sort=[one.name for one in ones], title=None, axis=labels)
    scale, numbers = alt.Scale(zero=False, nice=True), alt.Axis(format=form, tickCount=6)
    color = alt.condition("datum.ours", alt.value(charts.WHOLE), alt.value(charts.QUIET))
    both = alt.layer(
        base.mark_rule(strokeWidth=3, opacity=0.5).encode(
            y=y, x=alt.X("low:Q", scale=scale, title=axis, axis=numbers), x2="high:Q", color=color
        ),
        base.mark_point(filled=True, size=80, opacity=1).encode(y=y, x=alt.X("mean:Q", scale=scale), color=color),
    )
    return both.properties(width=420, height=alt.Step(22), title=title)


__all__ = ["Interval", "picture"]
