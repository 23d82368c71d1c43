"""The pictures of a report, drawn as SVG. They need no network and no script, and light and dark share one drawing.

Every colour here has a rule in `templates/base.html` that replaces it on a dark page.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import altair as alt
import numpy as np
import vl_convert

from api import figures
from api.compare import Row
from api.show import used_terms
from solver.plan import Plan
from solver.problem import Floats, Ints, Problem

INK, QUIET, GRID, PAPER = "#1c2024", "#667079", "#e3e6e9", "#fefefe"
# Okabe and Ito's palette: told apart with any colour vision
TERM_COLOURS = {
    "carriage": "#0072b2",
    "handling": "#56b4e9",
    "late": "#d55e00",
    "stock_value": "#009e73",
    "overtime": "#cc79a7",
    "unfilled": "#e69f00",
    "broken_promise": "#8a5a44",
}
POLICY_LINES = {
    "joint": ("#0072b2", [1, 0]),
    "nearest": ("#d55e00", [6, 3]),
    "fewest_parcels": ("#e69f00", [2, 2]),
    "cheapest": ("#009e73", [8, 3, 2, 3]),
    "cp_sat": ("#cc79a7", [4, 2]),
    "highs": ("#8a5a44", [1, 2]),
}
"""Colour and dash of each policy, the same in every picture."""
WHOLE, SPLIT = "#0072b2", "#d55e00"
FONT = "Arial, Helvetica, sans-serif"
"""Its widths are known where the chart is laid out; the page may show a wider one, so everything has room to spare."""
MOST_LINES = 1_500
"""Parcels drawn on a map: more would hide each other."""
LEGENDS = {"top": {"anchor": "start", "direction": "horizontal", "margin": 54}}
MAP_WIDTH, MAP_HEIGHTS = 820, (260, 600)


class Billed(Protocol):
    """What has a policy, and a bill by term."""

    @property
    def policy(self) -> str: ...
    @property
    def cost_cents(self) -> int: ...
    @property
    def bill(self) -> dict[str, int]: ...


def svg(chart: Any) -> str:
    """Draw a chart."""
    chart = chart.configure(
        background="transparent",
        font=FONT,
        padding=4,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            domain=False,
            ticks=False,
            gridColor=GRID,
            labelColor=QUIET,
            titleColor=QUIET,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelPadding=6,
        ),
        legend=alt.LegendConfig(
            labelColor=INK,
            titleColor=QUIET,
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=12,
            symbolSize=90,
            orient="top",
            offset=10,
            columnPadding=30,
        ),
        title=alt.TitleConfig(color=INK, fontSize=13, fontWeight="bold", anchor="start", offset=10),
    )
    spec = chart.to_dict(validate=False)
    spec["config"]["legend"]["layout"] = LEGENDS  # vega reads it, altair's schema does not know it
    return vl_convert.vegalite_to_svg(spec)


def _chart(values: list[dict[str, Any]]) -> Any:
    """Begin a chart of rows; altair's own types do not follow what is chained to it."""
    return alt.Chart(alt.Data(values=values))  # type: ignore[no-untyped-call]


def cost(rows: Sequence[Row], bound_cents: float) -> str:
    """Draw the cost of each policy by term, and beside it how far above the bound each one is, where there is one."""
    if bound_cents <= 0:
        return cost_by_term(rows)
    y, bare = _by_policy(rows)
    left = _by_term(rows, y).properties(width=480, height=alt.Step(38), title="Cost by term")
    right = _above(rows, bare, bound_cents).properties(
        width=220, height=alt.Step(38), title=f"Above the bound of {figures.money(bound_cents)}"
    )
    return svg(alt.hconcat(left, right, spacing=36))


def cost_by_term(rows: Sequence[Billed]) -> str:
    """Draw the cost of each policy by term."""
    y, _ = _by_policy(rows)
    return svg(_by_term(rows, y).properties(width=640, height=alt.Step(38)))


def _by_policy(rows: Sequence[Billed]) -> tuple[alt.Y, alt.Y]:
    """The axis of policies, in the order of the rows, with and without their names."""
    names = [figures.policy_name(row.policy) for row in rows]
    labels = alt.Axis(labelColor=INK, labelFontSize=13, labelLimit=160, minExtent=112, grid=False)
    axes = [alt.Y("policy:N", sort=names, title=None, axis=axis) for axis in (labels, None)]
    return axes[0], axes[1]


def _by_term(rows: Sequence[Billed], y: alt.Y) -> Any:
    return alt.layer(_bars(rows, y), _totals(rows, y))


def _bars(rows: Sequence[Billed], y: alt.Y) -> Any:
    terms = used_terms([row.bill for row in rows])
    values = [
        {
            "policy": figures.policy_name(row.policy),
            "term": figures.term_name(term),
            "rank": rank,
            "cost": row.bill.get(term, 0) / 100,
        }
        for row in rows
        for rank, term in enumerate(terms)
    ]
    colours = [TERM_COLOURS.get(term, QUIET) for term in terms]
    scale = alt.Scale(domain=[figures.term_name(term) for term in terms], range=colours)
    return (
        _chart(values)
        .mark_bar(size=22, stroke=PAPER, strokeWidth=1)
        .encode(
            y=y,
            x=alt.X(
                "cost:Q", stack="zero", title=None, scale=_room(rows, 1.2), axis=alt.Axis(format="~s", tickCount=5)
            ),
            color=alt.Color("term:N", scale=scale, legend=alt.Legend(title=None, columns=8)),
            order=alt.Order("rank:Q"),
        )
    )


def _room(rows: Sequence[Billed], factor: float) -> alt.Scale:
    """An axis that leaves room for the figure at the end of the longest bar."""
    return alt.Scale(domain=[0, max(1, *(row.cost_cents for row in rows)) / 100 * factor], nice=False)


def _totals(rows: Sequence[Billed], y: alt.Y) -> Any:
    values = [
        {"policy": figures.policy_name(r.policy), "cost": r.cost_cents / 100, "text": figures.money(r.cost_cents)}
        for r in rows
    ]
    text = _chart(values).mark_text(align="left", dx=7, color=INK, fontSize=12)
    return text.encode(y=y, x=alt.X("cost:Q"), text="text:N")


def _above(rows: Sequence[Row], y: alt.Y, bound_cents: float) -> Any:
    values = [
        {
            "policy": figures.policy_name(row.policy),
            "above": max(0.0, row.cost_cents - bound_cents) / 100,
            "text": f"{figures.money(max(0.0, row.cost_cents - bound_cents))}  ({figures.gap(row.gap)})",
        }
        for row in rows
    ]
    room = alt.Scale(domain=[0, max(0.01, *(float(str(value["above"])) for value in values)) * 1.9], nice=False)
    base = _chart(values)
    bars = base.mark_bar(size=22, color=QUIET).encode(
        y=y,
        x=alt.X("above:Q", title=None, scale=room, axis=alt.Axis(format="~s", tickCount=3)),
    )
    text = base.mark_text(align="left", dx=7, color=INK, fontSize=12)
    return alt.layer(bars, text.encode(y=y, x="above:Q", text="text:N"))


def parcels_drawn(plan: Plan) -> Ints:
    """The parcels on the map: all, or an even sample of `MOST_LINES`."""
    if plan.parcels <= MOST_LINES:
        return np.arange(plan.parcels)
    return np.linspace(0, plan.parcels - 1, MOST_LINES).astype(np.int64)


def network(problem: Problem, plan: Plan) -> str:
    """Draw nodes, and parcels as lines to where they go, in longitude and latitude."""
    drawn = parcels_drawn(plan)
    dests = plan.parcel_dest[drawn]
    extent = (
        np.concatenate([problem.node_lon, problem.dest_lon[dests]]),
        np.concatenate([problem.node_lat, problem.dest_lat[dests]]),
    )
    lon, lat, height = frame(*extent)
    x = alt.X("lon:Q", scale=alt.Scale(domain=lon, nice=False, zero=False), title=None, axis=_degrees("E", "W"))
    y = alt.Y("lat:Q", scale=alt.Scale(domain=lat, nice=False, zero=False), title=None, axis=_degrees("N", "S"))
    layers = [_lines(problem, plan, drawn, x, y), _nodes(problem, plan, x, y)]
    chart = alt.layer(*layers).resolve_scale(color="independent", shape="independent", size="independent")
    return svg(chart.properties(width=MAP_WIDTH, height=height))


def frame(lon: Floats, lat: Floats) -> tuple[list[float], list[float], int]:
    """Find the ends of both axes and the height at which a kilometre is as long in either direction."""
    ends = [(float(v.min()), float(v.max())) if len(v) else (0.0, 0.0) for v in (lon, lat)]
    (west, east), (south, north) = ends
    middle = [(west + east) / 2, (south + north) / 2]
    shrink = max(0.1, math.cos(math.radians(middle[1])))
    spans = [max(0.5, east - west) * 1.06, max(0.5, north - south) * 1.1]
    height = MAP_WIDTH * spans[1] / (spans[0] * shrink)
    low, high = MAP_HEIGHTS
    if height > high:
        spans[0] *= height / high
    elif height < low:
        spans[1] *= low / height
    axes = [[m - s / 2, m + s / 2] for m, s in zip(middle, spans, strict=True)]
    return axes[0], axes[1], round(min(max(height, low), high))


def _degrees(above: str, below: str) -> alt.Axis:
    label = f"format(abs(datum.value), '~f') + '°' + (datum.value < 0 ? '{below}' : datum.value > 0 ? '{above}' : '')"
    return alt.Axis(labelExpr=label, tickCount=6, labelFontSize=11)


def _lines(problem: Problem, plan: Plan, drawn: Ints, x: alt.X, y: alt.Y) -> Any:
    split = np.bincount(plan.parcel_order, minlength=problem.orders)[plan.parcel_order] > 1
    kinds = ["Order in one parcel", "Order in several parcels"]
    values = [
        {
            "lon": float(problem.node_lon[plan.parcel_node[p]]),
            "lat": float(problem.node_lat[plan.parcel_node[p]]),
            "to_lon": float(problem.dest_lon[plan.parcel_dest[p]]),
            "to_lat": float(problem.dest_lat[plan.parcel_dest[p]]),
            "kind": kinds[int(split[p])],
        }
        for p in sorted(drawn, key=lambda p: bool(split[p]))
    ]
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=kinds, range=[WHOLE, SPLIT]),
        legend=alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=3, symbolOpacity=1),
    )
    opacity = 0.5 if len(values) < 300 else 0.2
    lines = _chart(values).mark_rule(strokeWidth=0.9, opacity=opacity)
    return lines.encode(x=x, y=y, x2="to_lon:Q", y2="to_lat:Q", color=colour)


def _nodes(problem: Problem, plan: Plan, x: alt.X, y: alt.Y) -> Any:
    parcels = np.bincount(plan.parcel_node, minlength=problem.nodes)
    kinds = ["Warehouse", "Store"]
    values = [
        {
            "lon": float(problem.node_lon[j]),
            "lat": float(problem.node_lat[j]),
            "parcels": int(parcels[j]),
            "kind": kinds[int(problem.node_is_store[j])],
        }
        for j in np.argsort(-parcels)
    ]
    points = _chart(values).mark_point(filled=True, opacity=1, stroke=PAPER, strokeWidth=1.2)
    return points.encode(
        x=x,
        y=y,
        color=alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[INK, "#009e73"]), legend=alt.Legend(title=None)),
        shape=alt.Shape(
            "kind:N", scale=alt.Scale(domain=kinds, range=["square", "circle"]), legend=alt.Legend(title=None)
        ),
        size=alt.Size(
            "parcels:Q",
            scale=alt.Scale(range=[28, 420], domainMin=0),
            legend=alt.Legend(title="Parcels", tickCount=3, symbolFillColor=QUIET, symbolStrokeColor=PAPER),
        ),
    )


def over_days(series: Mapping[str, Sequence[tuple[str, float]]], title: str, form: str) -> str:
    """Draw a line over days for each policy.

    Parameters
    ----------
    series
        For each policy its (day as `YYYY-MM-DD`, value) pairs.
    form
        How values are written on the axis: a format of d3.
    """
    names = {policy: figures.policy_name(policy) for policy in series}
    looks = [POLICY_LINES.get(policy, (QUIET, [1, 0])) for policy in series]
    values = [{"name": names[p], "day": day, "value": value} for p, points in series.items() for day, value in points]
    legend = alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=3) if len(series) > 1 else None
    domain = list(names.values())
    chart = _chart(values).mark_line(strokeWidth=2, point=len(values) <= 40 * len(names))
    chart = chart.encode(
        x=alt.X("day:T", scale=alt.Scale(type="utc"), title=None, axis=alt.Axis(grid=False, tickCount=8)),
        y=alt.Y("value:Q", title=None, axis=alt.Axis(format=form, tickCount=5, minExtent=44)),
        color=alt.Color("name:N", scale=alt.Scale(domain=domain, range=[c for c, _ in looks]), legend=legend),
        strokeDash=alt.StrokeDash("name:N", scale=alt.Scale(domain=domain, range=[d for _, d in looks]), legend=legend),
    )
    return svg(chart.properties(width=MAP_WIDTH - 40, height=230, title=title))
