"""The page that a comparison of policies on one wave leaves behind."""

from pathlib import Path
from typing import Any

import numpy as np

from api import charts, figures
from api.compare import JOINT, Comparison, Row
from api.outputs import write_text
from api.report import drawing, encoded, others_cost, page, unbroken
from api.show import used_terms
from solver.files import write_bytes
from solver.plan import Plan
from solver.problem import NO_LIMIT, Problem

BUSIEST = 12
"""Nodes in the table of a page."""


def write_comparison(folder: Path, result: Comparison, subject: str, seed: int) -> Path:
    """Write `report.html`, `compare.json`, `cost.svg` and `map.svg`, and give the path of the page."""
    best = best_row(result)
    cost_chart = charts.cost(result.rows, result.bound_cents)
    map_chart = charts.network(result.problem, result.plans[best.policy])
    values = said(result, best, subject, seed)
    html = page("comparison.html", {**values, "cost_chart": drawing(cost_chart), "map_chart": drawing(map_chart)})
    write_text(folder / "cost.svg", cost_chart)
    write_text(folder / "map.svg", map_chart)
    write_bytes(folder / "compare.json", encoded({"subject": subject, "seed": seed, **result.as_json()}))
    write_text(folder / "report.html", html)
    return folder / "report.html"


def best_row(result: Comparison) -> Row:
    """The joint plan, unless another costs less or joint did not run."""
    return min(result.rows, key=lambda row: (row.cost_cents, row.policy != JOINT))


def said(result: Comparison, best: Row, subject: str, seed: int) -> dict[str, Any]:
    """What the page of a comparison says."""
    plan = result.plans[best.policy]
    return {
        "title": f"Policies on {subject}",
        "subject": f"{subject} · {orders_and_nodes(result.problem)}",
        "headline": unbroken(headline(best)),
        "lead": unbroken(others_cost(result.rows, best)),
        "facts": facts(best),
        "meaning": unbroken(meaning(result, best)),
        "rows": result.rows,
        "terms": used_terms([row.bill for row in result.rows]),
        "best": best.policy,
        "map_note": map_note(plan),
        "nodes": busiest(result.problem, plan),
        "nodes_note": nodes_note(result.problem, plan),
        "seed": seed,
    }


def orders_and_nodes(problem: Problem) -> str:
    """The size of a problem, in words."""
    return f"{problem.orders:,} orders, {problem.lines:,} lines, {problem.nodes:,} nodes"


def headline(best: Row) -> str:
    """One sentence: what the best plan costs, and how good it is proven to be."""
    how = "Decided jointly" if best.policy == JOINT else f"Decided by “{figures.policy_name(best.policy)}”"
    return f"{how}, this wave costs {figures.money(best.cost_cents)}: {proof(best)}."


def proof(row: Row) -> str:
    """How good a plan is proven to be."""
    if row.status == "optimal":
        return "proven to be the least possible"
    if row.gap >= 1:
        return "how good that is, no policy here can prove"
    return f"no plan can save more than {figures.gap(row.gap)} of it"


def meaning(result: Comparison, best: Row) -> str:
    """What the figures mean for whoever pays the bill."""
    least, most = (
        figures.money(max(0.0, cents)) for cents in (result.bound_cents, best.cost_cents - result.bound_cents)
    )
    text = "" if best.gap >= 1 else f"No plan of this wave, whoever makes it, costs less than {least}: that is proven. "
    if best.status == "optimal":
        text += "This one cannot be improved."
    elif best.gap < 1:
        text += f"This one leaves at most {most} to be found."
    worst = max(result.rows, key=lambda row: row.cost_cents)
    if worst.cost_cents > best.cost_cents:
        left = figures.money(worst.cost_cents - best.cost_cents)
        name = figures.policy_name(worst.policy)
        text += f" A rule that takes one order after the other leaves money on the table: “{name}” {left}."
    return text.strip()


def facts(row: Row) -> list[tuple[str, str]]:
    """The figures at the top of the page."""
    return [
        (f"Cost, {figures.policy_name(row.policy).lower()}", figures.money(row.cost_cents)),
        ("Proven gap", figures.gap(row.gap)),
        ("Parcels", figures.whole(row.parcels)),
        ("Orders split", figures.percent(row.split_rate)),
        ("Units filled", figures.percent(row.fill_rate)),
    ]


def map_note(plan: Plan) -> str:
    """What the map shows of the plan."""
    drawn = len(charts.parcels_drawn(plan))
    if drawn < plan.parcels:
        return (
            f"An even sample of {drawn:,} of the {plan.parcels:,} parcels, from the node that packs to where it goes."
        )
    return f"All {plan.parcels:,} parcels, from the node that packs to where it goes."


def busiest(problem: Problem, plan: Plan) -> list[dict[str, Any]]:
    """The nodes that make the most parcels."""
    parcels = np.bincount(plan.parcel_node, minlength=problem.nodes)
    units = np.bincount(plan.parcel_node[plan.entry_parcel], weights=plan.entry_units, minlength=problem.nodes)
    capacity = problem.node_capacity_parcels
    return [
        {
            "id": problem.node_id[j],
            "kind": "store" if problem.node_is_store[j] else "warehouse",
            "parcels": int(parcels[j]),
            "share": float(parcels[j] / max(1, plan.parcels)),
            "units": int(units[j]),
            "capacity": None if capacity[j] >= NO_LIMIT else int(capacity[j]),
        }
        for j in np.argsort(-parcels, kind="stable")[:BUSIEST]
        if parcels[j]
    ]


def nodes_note(problem: Problem, plan: Plan) -> str:
    """How many nodes take part."""
    used = len(np.unique(plan.parcel_node))
    shown = min(used, BUSIEST)
    return (
        f"{used:,} of {problem.nodes:,} nodes make parcels{f'; the {shown} busiest are shown' if shown < used else ''}."
    )
