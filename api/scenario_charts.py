"""The pictures of a comparison of scenarios: intervals of the cost, cost against speed, and the network before and after."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from api import figures
from api.charts import INK, MAP_WIDTH, PAPER, QUIET, SPLIT, WHOLE, _chart, _degrees, frame, svg
from engine.network import Node
from scenarios.comparison import Comparison, Row

DEARER, CHEAPER, UNKNOWN = SPLIT, "#009e73", QUIET
KINDS = ["Costs more", "Costs less", "The seeds cannot tell"]
GONE, MORE, LESS, SAME = "#d55e00", "#009e73", "#e69f00", "#667079"


def intervals(found: Comparison, labels: dict[tuple[str, str], str]) -> str:
    """Draw what each scenario costs more or less than the baseline, with its interval."""
    values = []
    for row in found.scenarios:
        cost = row.differences["cost"]
        kind = KINDS[2] if not cost.shown else KINDS[0] if cost.mean > 0 else KINDS[1]
        low, high = (cost.mean if end is None else end for end in (cost.low, cost.high))
        label = labels[row.scenario, row.policy]
        values.append(
            {"name": label, "mean": cost.mean, "low": low, "high": high, "kind": kind, "text": figures.more(cost.mean)}
        )
    names = [value["name"] for value in values]
    y = alt.Y(
        "name:N", sort=names, title=None, axis=alt.Axis(labelColor=INK, labelFontSize=13, labelLimit=260, grid=False)
    )
    x = alt.X("mean:Q", title=None, axis=alt.Axis(format="+.1%", tickCount=6))
    color = alt.Color(
        "kind:N", scale=alt.Scale(domain=KINDS, range=[DEARER, CHEAPER, UNKNOWN]), legend=alt.Legend(title=None)
    )
    base = _chart(values)
    zero = _chart([{"at": 0.0}]).mark_rule(color=INK, strokeWidth=1).encode(x="at:Q")
    axis = alt.Axis(format="+.1%", tickCount=6)
    bars = base.mark_rule(strokeWidth=3).encode(y=y, x=alt.X("low:Q", title=None, axis=axis), x2="high:Q", color=color)
    points = base.mark_point(filled=True, size=90, opacity=1).encode(y=y, x=x, color=color)
    text = base.mark_text(dy=-11, color=INK, fontSize=11).encode(y=y, x=x, text="text:N")
    return svg(alt.layer(zero, bars, points, text).properties(width=560, height=alt.Step(34)))


def pareto(found: Comparison, labels: dict[tuple[str, str], str]) -> str:
    """Draw cost per unit against days, the size of a point its splits; what is dominated is hollow."""
    kinds = ["Not dominated", "Dominated"]
    values = [
        {
            "name": labels[row.scenario, row.policy],
            "cost": row.values["cost_per_unit"] / 100,
            "days": row.values["days"],
            "split": row.values["split"],
            "kind": kinds[row.dominated_by is not None],
        }
        for row in found.rows
    ]
    x = alt.X("days:Q", title="Days from order to arrival", scale=alt.Scale(zero=False, padding=40))
    y = alt.Y("cost:Q", title="Cost per unit ordered", scale=alt.Scale(zero=False, padding=30))
    base = _chart(values)
    points = base.mark_point(filled=True, opacity=1, stroke=PAPER, strokeWidth=1).encode(
        x=x,
        y=y,
        color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[WHOLE, QUIET]), legend=alt.Legend(title=None)),
        shape=alt.Shape(
            "kind:N", scale=alt.Scale(domain=kinds, range=["circle", "cross"]), legend=alt.Legend(title=None)
        ),
        size=alt.Size(
            "split:Q",
            scale=alt.Scale(range=[60, 420], domainMin=0),
            legend=alt.Legend(
                title="Orders split", format=".1%", tickCount=3, symbolFillColor=QUIET, symbolStrokeColor=PAPER
            ),
        ),
    )
    text = base.mark_text(align="left", dx=12, color=INK, fontSize=11).encode(x=x, y=y, text="name:N")
    layers = alt.layer(points, text).resolve_scale(color="independent", shape="independent", size="independent")
    return svg(layers.properties(width=MAP_WIDTH - 80, height=320))


def before_and_after(nodes: Sequence[Node], row: Row) -> str:
    """Draw the network before and after: each node by the units that it shipped, after it also by how that changed."""
    kinds = ["More than before", "Less than before", "As before", "Nothing any more"]
    before, after = [], []
    most = max([1.0, *(row.node_units.get(n.id, 0.0) for n in nodes), *(_before(row, n.id) for n in nodes)])
    for node in nodes:
        was, now = _before(row, node.id), row.node_units.get(node.id, 0.0)
        change = now - was
        place = {"lon": node.lon, "lat": node.lat, "name": node.id}
        if was or not now:
            before.append({**place, "units": was, "kind": kinds[2], "text": f"{node.id} {figures.whole(was)}"})
        kind = kinds[3] if was and not now else kinds[2] if abs(change) < 0.5 else kinds[0] if change > 0 else kinds[1]
        sign = "" if abs(change) < 0.5 else f" ({'+' if change > 0 else '−'}{figures.whole(abs(change))})"
        after.append({**place, "units": now, "kind": kind, "text": f"{node.id} {figures.whole(now)}{sign}"})
    lon, lat, height = frame(np.array([node.lon for node in nodes]), np.array([node.lat for node in nodes]))
    width = MAP_WIDTH // 2 - 10
    maps = [
        _map(values, kinds, lon, lat, most).properties(width=width, height=min(height, 420), title=title)
        for values, title in ((before, "Before: units shipped"), (after, "After"))
    ]
    return svg(alt.hconcat(*maps, spacing=20))


def _before(row: Row, node: str) -> float:
    return row.node_units.get(node, 0.0) - row.node_change.get(node, 0.0)


def _map(values: list[dict[str, Any]], kinds: list[str], lon: list[float], lat: list[float], most: float) -> Any:
    x = alt.X("lon:Q", scale=alt.Scale(domain=lon, nice=False, zero=False), title=None, axis=_degrees("E", "W"))
    y = alt.Y("lat:Q", scale=alt.Scale(domain=lat, nice=False, zero=False), title=None, axis=_degrees("N", "S"))
    colours = alt.Scale(domain=kinds, range=[MORE, LESS, SAME, GONE])
    colour = alt.Color("kind:N", scale=colours, legend=alt.Legend(title=None, columns=4))
    size = alt.Size("units:Q", scale=alt.Scale(domain=[0, most], range=[24, 700]), legend=None)
    base = _chart(values)
    points = base.mark_circle(opacity=0.85, stroke=PAPER, strokeWidth=1).encode(x=x, y=y, size=size, color=colour)
    text = base.mark_text(dy=-13, fontSize=9, color=INK).encode(x=x, y=y, text="text:N")
    return alt.layer(points, text)


__all__ = ["before_and_after", "intervals", "pareto"]
