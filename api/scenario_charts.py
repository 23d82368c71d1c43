"""The pictures of a comparison of scenarios: intervals of the cost, cost against speed, and the network before and after."""

from collections.abc import Collection, Sequence
from typing import Any

import altair as alt
import numpy as np

from api import figures
from api.charts import INK, MAP_WIDTH, PAPER, QUIET, SPLIT, WHOLE, _chart, _degrees, frame, svg
from engine.network import Node
from scenarios.comparison import Comparison, Row

DEARER, CHEAPER, UNKNOWN = SPLIT, "#009e73", QUIET
KINDS = ["Costs more", "Costs less", "The seeds cannot tell"]
MOST_HEIGHT = 420
GONE, MORE, LESS, SAME = "#d55e00", "#009e73", "#e69f00", "#667079"


def intervals(found: Comparison, labels: dict[tuple[str, str], str]) -> str:
    """Draw what each scenario costs more or less than the baseline, with its interval."""
    values, names = list[dict[str, Any]](), list[str]()
    for row in found.scenarios:
        cost = row.differences["cost"]
        kind = KINDS[2] if not cost.shown else KINDS[0] if cost.mean > 0 else KINDS[1]
        low, high = (cost.mean if end is None else end for end in (cost.low, cost.high))
        label = labels[row.scenario, row.policy]
        names.append(label)
        values.append(
            {"name": label, "mean": cost.mean, "low": low, "high": high, "kind": kind, "text": figures.more(cost.mean)}
        )
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
    """Draw cost per unit against days, the size of a point its splits; what is dominated is a cross."""
    kinds = ["Not dominated", "Dominated"]
    values = [
        {
            "cost": row.values["cost_per_unit"] / 100,
            "days": row.values["days"],
            "split": row.values["split"],
            "kind": kinds[row.dominated_by is not None],
        }
        for row in found.rows
    ]
    x = alt.X("days:Q", title="Days from order to arrival", scale=alt.Scale(zero=False, padding=40))
    y = alt.Y("cost:Q", title="Cost per unit ordered", scale=alt.Scale(zero=False, padding=30))
    shapes, colours = ["circle", "cross"], [WHOLE, QUIET]
    split = alt.Legend(title="Orders split", format=".1%", tickCount=3, symbolFillColor=QUIET, symbolStrokeColor=PAPER)
    points = _chart(values).mark_point(filled=True, opacity=1, stroke=PAPER, strokeWidth=1)
    points = points.encode(
        x=x,
        y=y,
        color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=colours), legend=alt.Legend(title=None)),
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=shapes), legend=alt.Legend(title=None)),
        size=alt.Size("split:Q", scale=alt.Scale(range=[60, 420], domainMin=0), legend=split),
    )
    sides = zip(("left", "right"), _named(found, labels), strict=True)
    texts = [
        _chart(names).mark_text(align=side, dx=12 if side == "left" else -12, color=INK, fontSize=11)
        .encode(x=x, y=y, text="name:N")
        for side, names in sides if names
    ]  # fmt: skip
    layers = alt.layer(points, *texts).resolve_scale(color="independent", shape="independent", size="independent")
    return svg(layers.properties(width=MAP_WIDTH - 80, height=320))


def _named(found: Comparison, labels: dict[tuple[str, str], str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The names to the right of their points, and those to the left; points that are one to the eye share a line."""
    days = [row.values["days"] for row in found.rows]
    cents = [row.values["cost_per_unit"] for row in found.rows]
    low, wide, high = min(days), max(days) - min(days) or 1.0, max(cents) - min(cents) or 1.0
    together: dict[tuple[int, int], list[Row]] = {}
    for row in found.rows:
        place = round(12 * row.values["days"] / wide), round(16 * row.values["cost_per_unit"] / high)
        together.setdefault(place, []).append(row)
    sides: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for rows in together.values():
        at = rows[0].values
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        name = ", ".join(labels[row.scenario, row.policy] for row in rows[:3]) + more
        value = {"name": name, "days": at["days"], "cost": at["cost_per_unit"] / 100}
        sides[at["days"] - low > 0.6 * wide].append(value)
    return sides


def before_and_after(nodes: Sequence[Node], new: Collection[str], row: Row) -> str:
    """Draw the network before and after: each node by the units that it shipped, after it also by how that changed.

    Parameters
    ----------
    new
        Ids of the nodes that were not there before.
    """
    kinds = ["More than before", "Less than before", "As before", "Nothing any more"]
    before, after = list[dict[str, Any]](), list[dict[str, Any]]()
    for node in nodes:
        now = row.node_units.get(node.id, 0.0)
        change = row.node_change.get(node.id, 0.0)
        was = now - change
        place = {"lon": node.lon, "lat": node.lat}
        kind = kinds[3] if was >= 0.5 and not now else kinds[(change < 0) if abs(change) >= 0.5 else 2]
        sign = "" if abs(change) < 0.5 else f" ({'+' if change > 0 else '−'}{figures.whole(abs(change))})"
        if node.id not in new:
            text = f"{node.id} {figures.whole(was)}" if was >= 0.5 else ""
            before.append({**place, "units": was, "kind": kinds[2], "text": text})
        text = f"{node.id} {figures.whole(now)}{sign}" if max(now, was) >= 0.5 else ""
        after.append({**place, "units": now, "kind": kind, "text": text})
    most = max([1.0, *(value["units"] for value in (*before, *after))])
    lon, lat, height = frame(np.array([node.lon for node in nodes]), np.array([node.lat for node in nodes]))
    maps = [
        _map(values, kinds, lon, lat, most).properties(
            width=MAP_WIDTH // 2 - 10, height=min(height, MOST_HEIGHT), title=title
        )
        for values, title in ((before, "Before: units shipped"), (after, "After"))
    ]
    return svg(alt.hconcat(*maps, spacing=20))


def _map(values: list[dict[str, Any]], kinds: list[str], lon: list[float], lat: list[float], most: float) -> Any:
    x = alt.X("lon:Q", scale=alt.Scale(domain=lon, nice=False, zero=False), title=None, axis=_degrees("E", "W"))
    y = alt.Y("lat:Q", scale=alt.Scale(domain=lat, nice=False, zero=False), title=None, axis=_degrees("N", "S"))
    colours = alt.Scale(domain=kinds, range=[MORE, LESS, SAME, GONE])
    colour = alt.Color("kind:N", scale=colours, legend=alt.Legend(title=None, columns=4))
    size = alt.Size("units:Q", scale=alt.Scale(domain=[0, most], range=[24, 700]), legend=None)
    base = _chart(sorted(values, key=lambda value: -value["units"]))
    points = base.mark_circle(opacity=0.85, stroke=PAPER, strokeWidth=1).encode(x=x, y=y, size=size, color=colour)
    text = base.mark_text(dy=-15, fontSize=9, color=INK).encode(x=x, y=y, text="text:N")
    return alt.layer(points, text)


__all__ = ["before_and_after", "intervals", "pareto"]
