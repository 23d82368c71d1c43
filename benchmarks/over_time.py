"""Policies over time: histories with weekly receipts, replayed under each policy, beside what a clairvoyant would have paid."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from statistics import mean, median
from time import perf_counter
from typing import Any

import msgspec

from api import figures
from benchmarks import intervals
from benchmarks.outside import data_file, uci_file
from benchmarks.results import Say, table
from benchmarks.waves import Piece
from engine.calendar import MINUTES_PER_DAY
from engine.network import Network
from scenarios.comparison import Difference, paired
from simulation.hindsight import Clairvoyant, hindsight
from simulation.history import History
from simulation.importers import superstore, uci
from simulation.networks import example
from simulation.outlook import KnownFuture, outlook_of
from simulation.placing import Placed, place
from simulation.receiving import Weekly, before, enlarged
from simulation.regret import Causes, Make, Regret
from simulation.replay import replay_placed
from simulation.synthetic import make_history
from solver.effort import Effort, unwatched
from solver.policies.named import make_named

MYOPIC = "cheapest"
RULES = ("nearest", MYOPIC, "joint")
FUTURES = "sampled_futures:samples=8,by=joint"
AHEAD = ("primal_dual", "bid_price:by=joint", FUTURES)
AHEAD_MANY = ("primal_dual", "bid_price:lines=6000,passes=4,share=0.3,by=joint")
"""On UCI, whose orders have two dozen lines: a smaller program, and prices that are trusted less, as few samples tell them."""
CLAIRVOYANT = "clairvoyant"
TOLD, TOLD_AS = "told the future", "bid_price:days=30,samples=1,lines=100000,share=1,passes=24"
"""On UCI, whose orders have too many lines for a good plan in hindsight: who knows all orders to come, and prices stock by them."""
SPLIT = (*RULES, FUTURES)
"""Policies whose regret is split by cause."""
PICTURE = "over_time.svg"
"""Beside the page."""
UCI = "uci"
NODES = 20
CANCEL_AFTER_DAYS = {"us": 1, "uk": 0}
"""For how many more days a customer waits: what cannot be served from the week's stock is lost, as in the literature."""


@dataclass(frozen=True)
class Settings:
    """How histories are replayed.

    Attributes
    ----------
    seeds
        Of stock and receipts, of policies, and of the made-up history itself.
    seconds
        Limit of a policy for each wave.
    hindsight_seconds
        For the bound.
    split_seeds
        For how many seeds regret is split by cause, which takes a few more runs.
    uci_seeds, uci_hindsight_seconds
        Of UCI, whose orders of two dozen lines take longer; its regret is not split.
    made_up_weeks, made_up_orders
        Weeks of the made-up history, the eight of the past included, and its orders a day.
    uci_days, superstore_days
        Days of the data sets that are replayed, the past included.
    others
        Policies beside ours, as `solver.policies.named` has them.
    """

    seeds: int = 10
    seconds: float = 5.0
    hindsight_seconds: float = 20.0
    split_seeds: int = 2
    uci_seeds: int = 6
    uci_hindsight_seconds: float = 60.0
    made_up_weeks: int = 14
    made_up_orders: int = 40
    uci_days: int = 77
    superstore_days: int = 420
    others: tuple[str, ...] = ()


QUICK = Settings(1, 1.0, 4.0, 1, 1, 4.0, 10, 6, 63, 120)


def skipped() -> str:
    """The made-up history can always be measured."""
    return ""


def measure(settings: Settings, wanted: Callable[[str], bool], say: Say, quick: bool = False) -> Iterator[Piece]:
    """Replay the histories that are wanted, and that are there."""
    for name, read in (("made up", _made_up), ("superstore", _superstore), (UCI, _uci)):
        if quick and name != "made up":
            continue
        for seed in range(settings.uci_seeds if name == UCI else settings.seeds):
            piece = f"{name} {seed}"
            if not wanted(piece):
                continue
            found = read(settings, seed)
            if found is None:
                say(f"{piece} left out: its data are not in the data folder; ALLOT_DATA names the folder")
                break
            yield piece, _measured(piece, place(*found, seed, Weekly()), settings, seed, say)


def _measured(piece: str, placed: Placed, settings: Settings, seed: int, say: Say) -> dict[str, Any]:
    began, many = perf_counter(), piece.startswith(UCI)
    seconds = settings.uci_hindsight_seconds if many else settings.hindsight_seconds
    found = hindsight(placed, Effort(seconds=seconds), seed=seed)
    say(f"{piece}: bound {found.bound_cents:,.0f}, plan {found.cost_cents:,} in {perf_counter() - began:.0f} s")
    effort, names = Effort(seconds=settings.seconds), (*RULES, *_ahead(piece), *settings.others)
    makers: dict[str, Make] = {text: partial(make_named, text, effort, seed, unwatched) for text in names}
    outlook = outlook_of(placed)
    chosen = {text: make(outlook) for text, make in makers.items()} | {CLAIRVOYANT: Clairvoyant(found)}
    if many:
        chosen[TOLD] = make_named(TOLD_AS, effort, seed, unwatched, outlook_of(placed, KnownFuture))
    half = Effort(seconds=settings.hindsight_seconds / 2)
    causes = Causes(placed, found, half, seed) if seed < settings.split_seeds and not many else None
    runs: dict[str, Any] = {}
    for name, policy in chosen.items():
        run = replay_placed(placed, policy, name=name, timer=perf_counter)
        runs[name] = {
            "cost_cents": run.cost_cents,
            "bill": dict(run.bill),
            "fill_rate": run.fill_rate,
            "split_rate": run.split_rate,
            "seconds": run.seconds,
            "decisions": run.decisions,
        }
        if causes is not None and name in (*SPLIT, *settings.others):
            runs[name]["regret"] = asdict(causes.split(name, makers[name], run.cost_cents))
        say(f"{piece}: {name} {run.cost_cents:,} in {run.seconds:.0f} s")
    orders, lines = placed.history.orders, placed.history.lines
    return {"bound_cents": found.bound_cents, "orders": orders, "lines": lines, "runs": runs}


def _ahead(piece: str) -> tuple[str, ...]:
    return AHEAD_MANY if piece.startswith(UCI) else AHEAD


Found = tuple[History, Network]


def _made_up(settings: Settings, seed: int) -> Found:
    network = network_of("us")
    return make_history(7 * settings.made_up_weeks, settings.made_up_orders, network, seed), network


def _superstore(settings: Settings, _seed: int) -> Found | None:
    path = data_file("superstore_us", "Orders.csv*")
    if path is None:
        return None
    returns, places = data_file("superstore_us", "Returns.csv*"), data_file("geonames_postal", "US.txt*")
    history = superstore.read(path, returns=returns, places=places).history
    return _first(history, settings.superstore_days), network_of("us")


def _uci(settings: Settings, _seed: int) -> Found | None:
    path = uci_file()
    return None if path is None else (_first(uci.read(path).history, settings.uci_days), network_of("uk"))


def network_of(name: str) -> Network:
    """An example with more stores, where a customer waits for a day or not at all."""
    network = enlarged(example(name), NODES)
    return msgspec.structs.replace(
        network, terms=msgspec.structs.replace(network.terms, cancel_after_days=CANCEL_AFTER_DAYS[name])
    )


def _first(history: History, days: int) -> History:
    """The first days of a history."""
    return before(history, int(history.order_placed_at[0]) + days * MINUTES_PER_DAY)


def captured(ones: list[dict[str, Any]], policy: str, *, of_bound: bool) -> Difference:
    """Share of the distance from myopic to hindsight that a policy saves, over paired seeds.

    Parameters
    ----------
    of_bound
        Whether hindsight is the proven bound, or the cheapest run there was.
    """
    shares = []
    for one in ones:
        costs = {name: run["cost_cents"] for name, run in one["runs"].items()}
        best = one["bound_cents"] if of_bound else min(costs.values())
        shares.append((costs[MYOPIC] - costs[policy]) / max(1, costs[MYOPIC] - best))
    return paired([0.0] * len(shares), shares)


def by_history(measured: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What was measured of each history, seed by seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for piece, one in measured.items():
        found.setdefault(piece.rpartition(" ")[0], []).append(one)
    return found


def best_share(measured: dict[str, Any], history: str) -> float | None:
    """The share that our best policy captures of the distance from myopic to the best run in hindsight; `joint` is one of them."""
    ones = by_history(measured).get(history)
    return max(captured(ones, name, of_bound=False).mean for name in ("joint", *_ahead(history))) if ones else None


def render(measured: dict[str, Any], _settings: dict[str, Any]) -> str:
    """Show a picture, and a table for each history."""
    drawn = f"![Regret of each policy]({PICTURE})\n\n" if measured else ""
    return drawn + "\n".join(_table(history, ones) for history, ones in by_history(measured).items())


def picture(measured: dict[str, Any]) -> str | None:
    """Draw the regret of each policy on each history, with intervals over the seeds."""
    return intervals.picture(
        {
            f"{history.capitalize()}: cost above the bound in hindsight": [
                _regret(ones, name) for name in ones[0]["runs"]
            ]
            for history, ones in by_history(measured).items()
        },
        "share of the bound; means with intervals of 95 % over the seeds",
        "%",
    )


def _regret(ones: list[dict[str, Any]], name: str) -> intervals.Interval:
    regret = paired([0.0] * len(ones), [one["runs"][name]["cost_cents"] / one["bound_cents"] - 1 for one in ones])
    half = None if regret.high is None else regret.high - regret.mean
    return intervals.Interval(name, regret.mean, half, name not in (*RULES, CLAIRVOYANT, TOLD))


def _table(history: str, ones: list[dict[str, Any]]) -> str:
    rows = []
    for name in ones[0]["runs"]:
        runs = [one["runs"][name] for one in ones]
        over = mean(run["cost_cents"] / one["bound_cents"] - 1 for run, one in zip(runs, ones, strict=True))
        rows.append(
            [
                f"`{name}`",
                figures.money(round(mean(run["cost_cents"] for run in runs))),
                figures.percent(over),
                "" if name == MYOPIC else _share(captured(ones, name, of_bound=False)),
                "" if name == MYOPIC else _share(captured(ones, name, of_bound=True)),
                figures.percent(mean(run["fill_rate"] for run in runs)),
                figures.duration(median(run["seconds"] for run in runs)),
            ]
        )
    heading = [
        "policy",
        "cost",
        "regret",
        "of myopic to best run",
        "of myopic to bound",
        "units filled",
        "time of a run",
    ]
    bound = figures.money(round(mean(one["bound_cents"] for one in ones)))
    return (
        f"### {history.capitalize()}\n\n{ones[0]['orders']:,} orders, {ones[0]['lines']:,} lines (first seed), {NODES} nodes, "
        f"{len(ones)} seeds. Nobody could have paid less than {bound} (mean).\n\n{table(heading, rows)}{_causes(ones)}"
    )


def _causes(ones: list[dict[str, Any]]) -> str:
    """Regret by cause, for each policy for which it was split."""
    split: dict[str, list[dict[str, float]]] = {}
    for one in ones:
        for name, run in one["runs"].items():
            if "regret" in run:
                split.setdefault(name, []).append(run["regret"])
    if not split:
        return ""
    causes = [part.name for part in fields(Regret)]
    rows = [
        [f"`{name}`", *(figures.money(round(mean(part[cause] for part in parts))) for cause in causes)]
        for name, parts in split.items()
    ]
    seeds = len(next(iter(split.values())))
    return f"\nRegret by cause (mean of {seeds} seeds):\n\n{table(['policy', *causes], rows)}"


def _share(share: Difference) -> str:
    half = "" if share.high is None else f" ± {100 * (share.high - share.mean):.0f}"
    return f"{100 * share.mean:.0f} %{half}"


__all__ = [
    "PICTURE",
    "QUICK",
    "Settings",
    "best_share",
    "by_history",
    "captured",
    "measure",
    "picture",
    "render",
    "skipped",
]
