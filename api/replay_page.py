"""The page that a replay of a history leaves behind."""

from itertools import accumulate
from pathlib import Path
from typing import Any

from api import charts, figures
from api.compare import JOINT
from api.outputs import write_text
from api.replays import ReplayRow, Replays
from api.report import drawing, encoded, others_cost, page, unbroken
from api.show import used_terms
from solver.files import write_bytes

Points = list[tuple[str, float]]
"""Days, and a value for each."""


def write_replays(folder: Path, run: Replays) -> Path:
    """Write `report.html`, `replay.json` and `cost.svg`, and give the path of the page."""
    cost_chart = charts.cost_by_term(run.rows)
    drawings = [(label, drawing(chart)) for label, chart in day_charts(run)]
    html = page("replay.html", {**said(run), "cost_chart": drawing(cost_chart), "charts": drawings})
    write_text(folder / "cost.svg", cost_chart)
    write_bytes(folder / "replay.json", encoded(run.as_json()))
    write_text(folder / "report.html", html)
    return folder / "report.html"


def said(run: Replays) -> dict[str, Any]:
    """What the page of a replay says."""
    best = run.best
    span = f"{run.first_day} to {run.last_day}"
    return {
        "title": f"Replay of {run.source}",
        "subject": f"{run.source} · {span} · {run.orders:,} orders",
        "headline": unbroken(headline(run)),
        "lead": unbroken(others_cost(run.rows, best)),
        "facts": facts(best),
        "meaning": unbroken(meaning(run)),
        "run": run,
        "terms": used_terms([row.bill for row in run.rows]),
    }


def headline(run: Replays) -> str:
    """One sentence: what the best policy cost."""
    how = (
        "Decided jointly, wave by wave"
        if run.best.policy == JOINT
        else f"Under “{figures.policy_name(run.best.policy)}”"
    )
    return f"{how}, this history costs {figures.money(run.best.cost_cents)} {run.currency}."


def facts(row: ReplayRow) -> list[tuple[str, str]]:
    """The figures at the top of the page of a replay."""
    return [
        (f"Cost, {figures.policy_name(row.policy).lower()}", figures.money(row.cost_cents)),
        ("Gap of its waves", figures.gap(row.waves_gap)),
        ("Parcels", figures.whole(row.parcels)),
        ("Orders on time", figures.percent(row.on_time_rate)),
        ("Units filled", figures.percent(row.fill_rate)),
    ]


def meaning(run: Replays) -> str:
    """What the figures of a replay mean for whoever pays the bill."""
    best, worst = run.best, max(run.rows, key=lambda row: row.cost_cents)
    text = "Each wave was decided with what was known then. "
    if best.waves_gap < 1:
        text += f"No plan of these waves could have saved more than {figures.gap(best.waves_gap)} of what they cost."
    else:
        text += "How good these decisions are, no policy here can prove."
    if worst.cost_cents > best.cost_cents:
        left = figures.money(worst.cost_cents - best.cost_cents)
        text += f" Over these days “{figures.policy_name(worst.policy)}” leaves {left} on the table."
    return text


def day_charts(run: Replays) -> list[tuple[str, str]]:
    """Cumulative cost, what each policy has cost more than the best so far, and the gap of each day."""
    best = run.best
    name = figures.policy_name(best.policy).lower()
    sums = running_costs(run)
    titled = [("Cumulative cost", sums, "~s")]
    if len(sums) > 1:
        extra = {policy: _above(points, sums[best.policy]) for policy, points in sums.items() if policy != best.policy}
        titled.append((f"Cumulative cost above {name}", extra, "~s"))
    if best.waves_gap < 1:
        gaps = [(day.day, day.gap) for day in best.days]
        titled.append((f"Gap of the waves of each day: {name}", {best.policy: gaps}, ".2%"))
    return [(title, charts.over_days(series, title, form)) for title, series, form in titled if any(series.values())]


def running_costs(run: Replays) -> dict[str, Points]:
    """What each policy has cost by the end of each day on which any of them did something."""
    days = sorted({day.day for row in run.rows for day in row.days})
    daily = {row.policy: {day.day: day.cost_cents for day in row.days} for row in run.rows}
    return {
        policy: [(day, cents / 100) for day, cents in zip(days, accumulate(cost.get(d, 0) for d in days), strict=True)]
        for policy, cost in daily.items()
    }


def _above(points: Points, base: Points) -> Points:
    return [(day, value - least) for (day, value), (_, least) in zip(points, base, strict=True)]
