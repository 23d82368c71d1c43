"""The section of the results page that shows waves."""

from collections.abc import Iterator
from statistics import median
from typing import Any

from api import figures
from benchmarks import growth
from benchmarks.results import spread, table
from benchmarks.waves import CASES, JOINT, RULES

CHEAPEST = "cheapest"


def best_bound(one: dict[str, Any], seed: int) -> float:
    """The best bound that any run proved on a wave: it holds for all of them."""
    return max(float(run.get("bound_cents", 0.0)) for run in one["runs"] if run["seed"] == seed)


def gap_from(bound: float, run: dict[str, Any]) -> float:
    """How far above a bound a plan can be, as a share of its cost."""
    cost = run["cost_cents"]
    return float(max(0.0, cost - bound) / cost) if cost else 0.0


def own_gap(run: dict[str, Any]) -> float:
    """The gap that a run itself proves."""
    return gap_from(run["bound_cents"], run)


def ended(one: dict[str, Any], policy: str, seconds: float | None = None) -> list[dict[str, Any]]:
    """The runs of a policy that ended with a plan, with one limit of time or any."""
    return [
        run
        for run in one.get("runs", [])
        if run["policy"] == policy and "failed" not in run and seconds in (None, run["seconds"])
    ]


def savings(waves: dict[str, Any]) -> Iterator[tuple[dict[str, Any], float]]:
    """For each run of `joint`: its wave, and what it saves against `cheapest`, as a share of the cost of `cheapest`."""
    for one in waves.values():
        if "profile" in one:
            start = {run["seed"]: run["cost_cents"] for run in ended(one, CHEAPEST)}
            for run in ended(one, JOINT):
                if run["seed"] in start and start[run["seed"]]:
                    yield one, 1 - run["cost_cents"] / start[run["seed"]]


def render(measured: dict[str, Any], _settings: dict[str, Any]) -> str:
    """Show what was measured."""
    place = {case.name: number for number, case in enumerate(CASES)}
    names = sorted((name for name, one in measured.items() if "profile" in one), key=lambda name: place.get(name, 0))
    made = {name: measured[name] for name in names}
    parts = [
        "Waves by `make_wave.py`. Every run is a process of its own; its seconds count from the columns in memory and include "
        "loading the compiled kernels; its memory is the peak of the process, columns included. Figures are medians over "
        "waves of one kind, with their range. *Own gap* is what the run itself proves, *gap* is measured from the best bound of "
        "all.\n"
    ]
    if made:
        parts += ["### What deciding jointly saves\n", _regimes(measured), "### Growth\n", growth.render(measured)]
        if growth.picture(measured):
            parts.append("![Seconds and memory over the orders of a wave](growth.svg)\n")
    for name, one in made.items():
        parts.append(f"### {name}\n\n{_wave(one)}")
    known = {name: one for name, one in measured.items() if "optimum_cents" in one}
    if known:
        parts += ["### Waves with known optima\n", _optima(known)]
    if "reading" in measured:
        parts += ["### Reading\n", _reading(measured["reading"])]
    return "\n".join(parts)


def _regimes(measured: dict[str, Any]) -> str:
    rows: dict[tuple[str, str, str], list[float]] = {}
    for one, saving in savings(measured):
        key = one["profile"], one["regime"], "yes" if one["capacity"] else "no"
        rows.setdefault(key, []).append(saving)
    shown = [[" ".join(key[:2]), key[2], str(len(found)), spread(found, _share)] for key, found in rows.items()]
    return table(["waves", "capacities", "runs", "joint saves against cheapest"], shown)


def _wave(one: dict[str, Any]) -> str:
    size = (
        f"{one['orders']:,} orders with {one['lines']:,} lines, {one['nodes']:,} nodes, {one['options']:,} options "
        "(first wave).\n"
    )
    rows = []
    kinds = dict.fromkeys((run["policy"], run["seconds"]) for run in one["runs"])
    for policy, seconds in kinds:
        runs = [run for run in one["runs"] if (run["policy"], run["seconds"]) == (policy, seconds)]
        good = [run for run in runs if "failed" not in run]
        name = figures.policy_name(policy) + ("" if policy in RULES else f", {seconds:.0f} s")
        if not good:
            rows.append([name, runs[0]["failed"], "", "", "", "", ""])
            continue
        start = {run["seed"]: run["cost_cents"] for run in ended(one, CHEAPEST)}
        against = [run["cost_cents"] / start[run["seed"]] - 1 for run in good if start.get(run["seed"])]
        proven = policy not in RULES
        rows.append([
            name,
            spread([run["cost_cents"] for run in good], figures.money),
            spread(against, _share) if against and policy != CHEAPEST else "",
            spread([own_gap(run) for run in good], figures.gap) if proven else "",
            spread([gap_from(best_bound(one, run["seed"]), run) for run in good], figures.gap),
            spread([run["seconds_used"] for run in good], figures.duration),
            f"{median(run['peak_bytes'] for run in good) / 2**20:,.0f} MiB",
        ])  # fmt: skip
    shown = table(["policy", "cost", "against cheapest", "own gap", "gap", "time", "memory"], rows)
    left_out = "".join(f"- {figures.policy_name(p)} is left out: {why}.\n" for p, why in one["skipped"].items())
    return f"{size}\n{shown}{_unavoidable(one)}{left_out and chr(10) + left_out}"


def _unavoidable(one: dict[str, Any]) -> str:
    """Where stock is short whatever is done, the gap of what can be decided."""
    runs = [run for run in ended(one, JOINT) if run.get("unavoidable_cents", 0) > 0.01 * run["cost_cents"]]
    said = [
        f"- With {run['seconds']:.0f} s the own gap is {figures.gap(without_unavoidable(run))} of the cost without the "
        f"{figures.money(run['unavoidable_cents'])} that no plan can avoid, because less is in stock than is asked for.\n"
        for run in {run["seconds"]: run for run in runs}.values()
    ]
    return f"\n{''.join(said)}" if said else ""


def without_unavoidable(run: dict[str, Any]) -> float:
    """The own gap as a share of the cost that can be decided on."""
    decided = run["cost_cents"] - run["unavoidable_cents"]
    return float((run["cost_cents"] - run["bound_cents"]) / decided) if decided > 0 else 0.0


def _optima(known: dict[str, Any]) -> str:
    rows = []
    for name, one in known.items():
        (run,) = one["runs"]
        if "failed" in run:
            rows.append([name.removeprefix("example "), figures.money(one["optimum_cents"]), run["failed"], "", ""])
            continue
        above = run["cost_cents"] / one["optimum_cents"] - 1
        proven = "yes" if run["status"] == "optimal" else f"no, gap {figures.gap(own_gap(run))}"
        rows.append([name.removeprefix("example "), figures.money(one["optimum_cents"]), _share(above), proven,
                     figures.duration(run["seconds_used"])])  # fmt: skip
    return table(["wave", "optimum", "joint above it", "proven", "time"], rows)


def _reading(read: dict[str, Any]) -> str:
    return (
        f"{read['orders']:,} orders with {read['lines']:,} lines, {read['nodes']:,} nodes and {read['options']:,} "
        f"options ({read['file_bytes'] / 1e6:,.1f} MB of JSON) become a problem in "
        f"{figures.duration(read['seconds'])}. The process peaks at {read['peak_bytes'] / 2**20:,.0f} MiB; before it "
        f"reads it holds {read['peak_before_bytes'] / 2**20:,.0f} MiB.\n"
    )


def _share(share: float) -> str:
    return f"{100 * share:+,.2f} %".replace("-", "−")


__all__ = ["best_bound", "ended", "gap_from", "own_gap", "render", "savings", "without_unavoidable"]
