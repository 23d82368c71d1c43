"""Sentences that the data support: what a scenario costs more or less, and whether the seeds can tell."""

from scenarios.comparison import Comparison, Difference, Row


def decision(found: Comparison, row: Row) -> str:
    """One scenario in a sentence or two, as `uk-close-cardiff costs 4.1 % more (+3.2 to +5.0): 1,234.50 over 10 days.`."""
    cost = row.differences["cost"]
    more = (
        row.values["cost_per_unit"] and abs(row.differences["cost"].mean - row.differences["cost_per_unit"].mean) > 1e-9
    )
    named = row.scenario if row.policy == row.against and _one_policy(found) else f"{row.scenario} ({row.policy})"
    text = f"{named} {told(cost)}"
    if more:
        text += f"; for each unit ordered it {told(row.differences['cost_per_unit'])}"
    if row.extra_cents is not None and cost.shown:
        days = (found.end - found.start) // 1440 + 1
        cents = row.extra_cents.mean
        pays = "it pays where what it saves elsewhere is more" if cents > 0 else "it pays where it takes less than that"
        text += f". That is {abs(cents) / 100:,.2f} over {days:,} days: {pays}"
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
    return f"costs about the same: {_signed(cost.mean)} % {between}, which these seeds cannot tell from nothing"


def summary(found: Comparison) -> str:
    """The scenarios that save something, or that none does."""
    rows = found.scenarios
    saving = sorted((row for row in rows if _cost(row).shown and _cost(row).mean < 0), key=lambda row: _cost(row).mean)
    dearer = [row for row in rows if _cost(row).shown and _cost(row).mean > 0]
    if not saving and len(rows) > 1:
        unknown = len(rows) - len(dearer)
        rest = f", and of {unknown} the seeds cannot tell" if unknown and dearer else ""
        return f"No scenario is shown to save anything: {len(dearer)} of {len(rows)} cost more{rest}."
    best = saving[0] if saving else rows[0]
    return decision(found, best)


def pareto(found: Comparison) -> str:
    """Who is dominated in cost per unit, days and splits, by the means."""
    dominated = [row for row in found.rows if row.dominated_by]
    if not dominated:
        return "Nothing is dominated: whoever is cheaper here is slower, or splits more."
    said = [f"{_name(found, row)} by {_named(found, *row.dominated_by)}" for row in dominated if row.dominated_by]
    return f"Dominated in cost per unit, days and splits, by the means: {'; '.join(said)}."


def _cost(row: Row) -> Difference:
    """Per unit where demand differs, so that more orders are not taken for waste."""
    return row.differences["cost_per_unit"]


def _name(found: Comparison, row: Row) -> str:
    return _named(found, row.scenario, row.policy)


def _named(found: Comparison, scenario: str, policy: str) -> str:
    return scenario if _one_policy(found) else f"{scenario} ({policy})"


def _one_policy(found: Comparison) -> bool:
    return len({row.policy for row in found.rows}) == 1


def _direction(share: float) -> str:
    return "more" if share >= 0 else "less"


def _percent(share: float) -> str:
    return f"{100 * share:,.1f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+,.1f}".replace("-", "−")
