"""Where returns go: a made-up history of which some comes back, replayed with each rule for the return node.

Orders are decided by `joint` throughout, so that all runs of a seed differ in where units lie that came back. A run costs what it
shipped and left open, and what it cost to carry back and handle what came back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import mean
from time import perf_counter
from typing import Any

from api import figures
from benchmarks.over_time import network_of
from benchmarks.results import Say, table
from benchmarks.waves import Piece
from scenarios.comparison import Difference, paired
from simulation.chance import Chance
from simulation.outlook import outlook_of
from simulation.placing import place
from simulation.receiving import Weekly
from simulation.replay import replay_placed
from simulation.returning import RULES, Returning
from simulation.synthetic import make_history
from solver.effort import Effort
from solver.policies import make

SOLVER = "solver"
TOLD = {
    "solver": "joint choice",
    "carriage": "least carriage and handling",
    "nearest": "nearest node",
    "origin": "where it came from",
}


@dataclass(frozen=True)
class Settings:
    """How the history is made and replayed.

    Attributes
    ----------
    seeds
        Of the history, its stock and receipts, what comes back, and the policy.
    weeks, orders
        Weeks of the history, the eight of the past included, and its orders a day.
    give_back
        How likely a line comes back, within three weeks of its arrival.
    seconds
        Limit of `joint` for a wave of orders.
    """

    seeds: int = 10
    weeks: int = 14
    orders: int = 60
    give_back: float = 0.2
    seconds: float = 5.0


QUICK = Settings(1, 10, 6, 0.3, 1.0)


def skipped() -> str:
    """It can always be measured."""
    return ""


def measure(settings: Settings, wanted: Callable[[str], bool], say: Say) -> Iterator[Piece]:
    """Replay each seed with every rule."""
    for seed in range(settings.seeds):
        piece = f"made up {seed}"
        if wanted(piece):
            yield piece, _measured(piece, settings, seed, say)


def _measured(piece: str, settings: Settings, seed: int, say: Say) -> dict[str, Any]:
    network = network_of("us")
    placed = place(make_history(7 * settings.weeks, settings.orders, network, seed), network, seed, Weekly())
    outlook, chance = outlook_of(placed), Chance(seed=seed, give_back=settings.give_back)
    runs: dict[str, Any] = {}
    for rule in RULES:
        began = perf_counter()
        returning = Returning(rule, outlook)
        policy = make("joint", Effort(seconds=settings.seconds), seed)
        run = replay_placed(placed, policy, name=rule, chance=chance, returning=returning)
        runs[rule] = {
            "run_cents": run.cost_cents,
            "unfilled_cents": run.bill["unfilled"],
            "carriage_cents": returning.carriage_cents,
            "handling_cents": returning.handling_cents,
            "worth_cents": returning.worth_cents,
            "parcels": returning.parcels,
            "units": returning.units,
            "away": returning.away,
            "objective_cents": returning.objective_cents,
            "bound_cents": returning.bound_cents,
            "fill_rate": run.fill_rate,
        }
        say(f"{piece}: {rule} {_total(runs[rule]):,} in {perf_counter() - began:.0f} s")
    return {"orders": placed.history.orders, "runs": runs}


def _total(run: dict[str, Any]) -> int:
    """All that a run costs, in cents."""
    return int(run["run_cents"] + run["carriage_cents"] + run["handling_cents"])


def _back(run: dict[str, Any]) -> int:
    """What coming back costs, in cents."""
    return int(run["carriage_cents"] + run["handling_cents"])


def saving(measured: dict[str, Any], rule: str, cost: Callable[[dict[str, Any]], int]) -> Difference:
    """What a rule costs more than the joint choice, as a share of that rule's cost, over paired seeds; above 0 the choice saves."""
    ones = measured.values()
    mine, theirs = ([cost(one["runs"][name]) for one in ones] for name in (SOLVER, rule))
    found = paired(theirs, mine, relative=True)
    high, low = (None if end is None else -end for end in (found.low, found.high))
    return Difference(-found.mean, low, high)


def worst_over_rules(measured: dict[str, Any]) -> float | None:
    """The most that the choice cost above nearest node or origin on the same returns, as a share; below 0 it was cheaper."""
    if not measured:
        return None
    found: list[float] = [
        (cost[SOLVER] - cost[rule]) / max(1, abs(cost[rule]))
        for one in measured.values()
        for run in one["runs"].values()
        for cost in (run["objective_cents"],)
        for rule in ("nearest", "origin")
    ]
    return max(found)


def render(measured: dict[str, Any], settings: dict[str, Any]) -> str:
    """Show what each rule costs, and what the joint choice saves against it."""
    ones = list(measured.values())
    rows, objective = [], []
    for rule in RULES:
        runs = [one["runs"][rule] for one in ones]
        own = rule == SOLVER
        rows.append(
            [
                TOLD[rule],
                figures.money(round(mean(map(_total, runs)))),
                "" if own else _share(saving(measured, rule, _total)),
                figures.money(round(mean(map(_back, runs)))),
                "" if own else _share(saving(measured, rule, _back)),
                figures.money(round(mean(run["unfilled_cents"] for run in runs))),
                figures.percent(mean(run["away"] / max(1, run["parcels"]) for run in runs)),
                figures.percent(mean(run["fill_rate"] for run in runs)),
            ]
        )
        costs = [one["runs"][SOLVER]["objective_cents"] for one in ones]
        mine = [cost[SOLVER] for cost in costs]
        theirs = [cost[rule] for cost in costs]
        more = paired([0.0] * len(ones), [float(b - a) for a, b in zip(mine, theirs, strict=True)])
        objective.append([TOLD[rule], figures.money(round(mean(theirs))), "" if own else _money(more)])
    bound = mean(one["runs"][SOLVER]["bound_cents"] for one in ones)
    heading = ["returns go to", "cost of the run", "joint choice saves", "of it coming back", "saves", "left open",
               "not to origin", "units filled"]  # fmt: skip
    first = ones[0]["runs"][SOLVER]
    return (
        f"{ones[0]['orders']:,} orders, {first['parcels']:,} parcels back with {first['units']:,} units (first seed), "
        f"{100 * settings['give_back']:.0f} % of the lines, 20 nodes, {len(ones)} seeds; means, with intervals of 95 % over "
        f"paired seeds. Orders are decided by `joint`; the rules differ in where units lie that came back.\n\n"
        f"{table(heading, rows)}\n"
        "The same returns, those of the first run, by each rule under the objective that is minimised (carriage and handling, less "
        f"what the units are worth there); none could cost less than {figures.money(round(bound))}:\n\n"
        f"{table(['returns go to', 'objective', 'more than the joint choice'], objective)}"
    )


def _share(share: Difference) -> str:
    half = "" if share.high is None else f" ± {100 * (share.high - share.mean):.2f}"
    return f"{100 * share.mean:.2f} %{half}".replace("-", "−")


def _money(cents: Difference) -> str:
    half = "" if cents.high is None else f" ± {figures.money(round(cents.high - cents.mean))}"
    return f"{figures.money(round(cents.mean))}{half}"


__all__ = ["QUICK", "Settings", "measure", "render", "saving", "skipped", "worst_over_rules"]
