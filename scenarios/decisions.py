"""Sentences that the data support: what a scenario costs more or less, and whether the seeds can tell."""

from scenarios.comparison import Comparison, Difference, Row


def decision(found: Comparison, row: Row) -> str:
    """One scenario in a sentence, as `close-cardiff costs 4.1 % more (+3.2 to +5.0), 1,234.50 more over 10 days.`."""
    cost, unit = row.differences["cost"], row.differences["cost_per_unit"]
    text = f"{_named(found, row.scenario, row.policy)} {told(cost)}"
    if row.extra_cents is not None and cost.shown:
        cents = row.extra_cents.mean
        text += f", {abs(cents) / 100:,.2f} {_direction(cents)} over {found.days:,} day{'' if found.days == 1 else 's'}"
    if abs(cost.mean - unit.mean) > 1e-9:
        text += f"; each unit ordered {told(unit)}"
    return text + "."


def told(cost: Difference) -> str:
    """What something costs more or less, with its interval, or that nothing is shown."""
    if cost.low is None or cost.high is None:
        return f"costs {_percent(abs(cost.mean))} {_direction(cost.mean)} on one seed, which has no interval"
    between = f"({_signed(cost.low)} to {_signed(cost.high)})"
    if cost.shown:
        return f"costs {_percent(abs(cost.mean))} {_direction(cost.mean)} {between}"
    if cost.low == cost.high == 0:
        return "costs the same on every seed"
    return f"is not shown to cost more or less: {_signed(cost.mean)} % {between}"


def summary(found: Comparison) -> str:
    """The scenarios that save something, or that none does."""
    rows = found.scenarios
    saving = sorted((row for row in rows if _cost(row).shown and _cost(row).mean < 0), key=lambda row: _cost(row).mean)
    dearer = [row for row in rows if _cost(row).shown and _cost(row).mean > 0]
    if not saving and len(rows) > 1:
        if not dearer:
            return "No scenario is shown to save anything, and none to cost more."
        unknown = len(rows) - len(dearer)
        rest = f", and of {unknown} the seeds cannot tell" if unknown else ""
        return f"No scenario is shown to save anything: {len(dearer)} of {len(rows)} cost more{rest}."
    best = saving[0] if saving else rows[0]
    return decision(found, best)


def pareto(found: Comparison) -> str:
    """Who is dominated in cost per unit, days and splits."""
    dominated = [(row, row.dominated_by) for row in found.rows if row.dominated_by]
    if not dominated:
        return "Nothing is shown to be dominated in cost per unit, days and splits."
    said = [f"{_named(found, row.scenario, row.policy)} by {_named(found, *by)}" for row, by in dominated]
    return f"Dominated in cost per unit, days and splits: {'; '.join(said)}."


def _cost(row: Row) -> Difference:
    """Per unit where demand differs, so that more orders are not taken for waste."""
    return row.differences["cost_per_unit"]


def _named(found: Comparison, scenario: str, policy: str) -> str:
    return scenario if found.one_policy else f"{scenario} ({policy})"


def _direction(share: float) -> str:
    return "more" if share >= 0 else "less"


def _percent(share: float) -> str:
    return f"{100 * share:,.1f} %"


def _signed(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:+,.1f}".replace("-", "−")
