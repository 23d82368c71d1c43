"""A million orders of two lines at 200 nodes, replayed in daily waves: seconds by part, peak memory and the hash of decisions.

Each policy has a process of its own (`python -m benchmarks.million REQUEST`), so that its peak memory is that of nothing else.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec
import numpy as np

from api import figures
from benchmarks.memory import peak_bytes
from benchmarks.results import Say, table
from benchmarks.waves import Piece
from engine.network import Network, Node
from simulation.networks import example
from simulation.outlook import outlook_of
from simulation.placing import Placed, place
from simulation.replay import replay_placed
from simulation.synthetic import Demand, make_history, make_retail_day
from solver import policies
from solver.bill import bill
from solver.effort import Effort, Policy
from solver.kernels import warm_up
from solver.outlook import Future, Outlook, Present, StockPrices
from solver.plan import Plan
from solver.policies import bid_price
from solver.problem import Floats, Ints, Problem

STORE_CENTS = 200
"""What a unit in a store is worth to later orders under `cheapest, stock values`."""
BID_PRICE = bid_price.Settings(days=5, every=None, samples=1, lines=8_000, passes=6)
"""`bid_price` where ten thousand orders come in a day: a sample of bounded size, priced again when its five days are over."""
POLICIES = ("cheapest", "cheapest, stock values", "bid_price")
ONE_BY_ONE = "one by one"
"""Orders of three lines decided as each arrives, under `bid_price` as it is by default."""
ONE_BY_ONE_DAYS, ONE_BY_ONE_LINES = 10, 3

PARTS = {
    "building problems": "build_cpu_seconds",
    "making the outlook": "outlook_cpu_seconds",
    "fitting it and drawing futures": "sample_cpu_seconds",
    "pricing them": "price_cpu_seconds",
    "deciding": "decide_cpu_seconds",
}
"""Parts of a replay's processor time, as people read them, and where they are measured."""


@dataclass(frozen=True)
class Settings:
    """How many orders are replayed, and where.

    Attributes
    ----------
    seed
        Of the network, the history, its stock and receipts, and the policies.
    """

    days: int = 100
    orders_per_day: int = 10_000
    nodes: int = 200
    skus: int = 5_000
    seed: int = 0


QUICK = Settings(days=5, orders_per_day=60, nodes=8, skus=50)


def skipped() -> str:
    """Why it cannot be measured here; it always can."""
    return ""


def measure(settings: Settings, wanted: Callable[[str], bool], say: Say) -> Iterator[Piece]:
    """Replay the same history under each policy."""
    for name in POLICIES:
        if wanted(name):
            say(f"{settings.days * settings.orders_per_day:,} orders: {name}")
            yield name, _apart(name, settings)
    if wanted(ONE_BY_ONE):
        say(f"orders of {ONE_BY_ONE_LINES} lines, {ONE_BY_ONE}")
        yield ONE_BY_ONE, _apart(ONE_BY_ONE, settings)


def _apart(name: str, settings: Settings) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.million", json.dumps({"policy": name, **asdict(settings)})]
    here = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def measured_here(name: str, settings: Settings) -> dict[str, Any]:
    """Make the history, place it, and replay it under one policy."""
    warm_up()
    began = perf_counter()
    network = network_of(settings)
    history = make_history(settings.days, settings.orders_per_day, network, settings.seed, demand=Demand(lines=2))
    made = perf_counter()
    placed = place(history, network, settings.seed)
    ready, cpu = perf_counter(), process_time()
    policy = policy_of(name, settings.seed, placed)
    run = replay_placed(placed, policy, name=name, timer=process_time)
    seconds, cpu = perf_counter() - ready, process_time() - cpu
    spent = policy.spent if isinstance(policy, Measured) else Spent()
    return {
        "policy": name,
        "orders": run.orders,
        "lines": run.lines,
        "units": run.units_ordered,
        "make_seconds": made - began,
        "place_seconds": ready - made,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "build_cpu_seconds": float(run.waves.build_seconds.sum()),
        "decide_cpu_seconds": float(run.waves.seconds.sum()) - spent.sample_cpu_seconds - spent.price_cpu_seconds,
        **asdict(spent),
        "waves": len(run.waves.at),
        "peak_bytes": peak_bytes(),
        "cost_cents": run.cost_cents,
        "fill_rate": run.fill_rate,
        "split_rate": run.split_rate,
        "decisions": run.decisions,
    }


def one_by_one(settings: Settings) -> dict[str, Any]:
    """Decide orders as they arrive, on some days a twentieth of those of the other runs.

    Prices are found once a day, by whoever comes first; that is in the time of that order.
    """
    warm_up()
    network, days = network_of(settings), min(ONE_BY_ONE_DAYS, settings.days)
    a_day = max(60, settings.orders_per_day // 20)
    history = make_history(days, a_day, network, settings.seed, demand=Demand(lines=ONE_BY_ONE_LINES))
    placed = place(history, network, settings.seed)
    policy = bid_price.BidPrice(
        bid_price.Settings(), outlook_of(placed), Effort(seconds=None, work=10**9), settings.seed
    )
    run = replay_placed(placed, policy, every="arrival", name=ONE_BY_ONE, timer=perf_counter)
    one = run.waves.orders == 1
    decide, build = run.waves.seconds[one], run.waves.build_seconds[one]
    return {
        "orders": int(one.sum()),
        "decide_p50_seconds": float(np.quantile(decide, 0.5)),
        "decide_p99_seconds": float(np.quantile(decide, 0.99)),
        "decide_most_seconds": float(decide.max()),
        "build_p50_seconds": float(np.quantile(build, 0.5)),
        "build_p99_seconds": float(np.quantile(build, 0.99)),
    }


def network_of(settings: Settings) -> Network:
    """The example `us` with other nodes: those of a made-up retail day, with room for all that comes."""
    base = example("us")
    wave = make_retail_day(max(200, settings.nodes), settings.nodes, settings.seed)
    hours = base.nodes[0]
    nodes = tuple(
        Node(
            **{name: getattr(node, name) for name in node.__struct_fields__ if name in Node.__struct_fields__}
            | {"calendar": hours.calendar, "cut_off_minute": hours.cut_off_minute, "tags": []}
            | {"capacity_parcels": None, "capacity_units": None, "overtime_cents": None}
        )
        for node in wave.nodes
    )
    weights = np.random.default_rng([settings.seed, settings.skus]).lognormal(-0.4, 0.9, settings.skus)
    kind = wave.skus[0]
    skus = [
        msgspec.structs.replace(kind, id=f"K{k}", weight_g=max(20, int(700 * weight)), requires=[], no_services=[])
        for k, weight in enumerate(weights)
    ]
    return msgspec.structs.replace(base, nodes=nodes, skus=skus, stock=[], receipts=[])


@dataclass
class Spent:
    """What looking ahead takes of processor time, all cores, and how often prices were found."""

    solves: int = 0
    outlook_cpu_seconds: float = 0.0
    sample_cpu_seconds: float = 0.0
    price_cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Watched:
    """An outlook that notes what it takes."""

    outlook: Outlook
    spent: Spent

    def future(self, problem: Problem, present: Present, *, days: float, samples: int, lines: int, seed: int) -> Future:
        """Draw futures."""
        began = process_time()
        drawn = self.outlook.future(problem, present, days=days, samples=samples, lines=lines, seed=seed)
        self.spent.sample_cpu_seconds += process_time() - began
        return drawn

    def expected(self, present: Present, sku: Ints, *, days: float) -> Floats:
        """Ask for expected units."""
        return self.outlook.expected(present, sku, days=days)


@dataclass(frozen=True)
class Measured(bid_price.BidPrice):
    """`bid_price` that notes what looking ahead takes."""

    spent: Spent = field(default_factory=Spent)

    def solve(self, problem: Problem, present: Present, start: StockPrices | None) -> StockPrices:
        """Find prices."""
        began, before = process_time(), self.spent.sample_cpu_seconds
        found = super().solve(problem, present, start)
        self.spent.solves += 1
        self.spent.price_cpu_seconds += process_time() - began - (self.spent.sample_cpu_seconds - before)
        return found


def policy_of(name: str, seed: int, placed: Placed) -> Policy:
    """`cheapest`, the same where units in stores are worth something to later orders, or prices of a sampled future."""
    effort = Effort(seconds=None, work=10**9)
    if name == "bid_price":
        spent, began = Spent(), process_time()
        outlook = Watched(outlook_of(placed), spent)
        spent.outlook_cpu_seconds = process_time() - began
        return Measured(BID_PRICE, outlook, effort, seed, spent=spent)
    cheapest = policies.make("cheapest", effort, seed)
    if name == "cheapest":
        return cheapest

    def with_values(problem: Problem) -> Plan:
        worth = STORE_CENTS * problem.node_is_store[problem.option_node]
        plan = cheapest(replace(problem, option_value_cents=problem.option_value_cents + worth))
        return replace(plan, cost_cents=sum(bill(problem, plan).values()), bound_cents=0.0)

    return with_values


def render(measured: dict[str, Any], _settings: dict[str, Any]) -> str:
    """Show the policies side by side, and how long an order by itself takes."""
    runs = [measured[name] for name in POLICIES if name in measured]
    lines = [
        ("orders", [figures.whole(run["orders"]) for run in runs]),
        ("lines", [figures.whole(run["lines"]) for run in runs]),
        ("making the history", [figures.duration(run["make_seconds"]) for run in runs]),
        ("placing it", [figures.duration(run["place_seconds"]) for run in runs]),
        ("the replay", [figures.duration(run["seconds"]) for run in runs]),
        ("processor time of it, all cores", [figures.duration(run["cpu_seconds"]) for run in runs]),
        *[
            (f"of it {part}", [figures.duration(run[key]) if run[key] else "" for run in runs])
            for part, key in PARTS.items()
        ],
        ("waves", [figures.whole(run["waves"]) for run in runs]),
        ("times prices were found", [figures.whole(run["solves"]) if run["solves"] else "" for run in runs]),
        ("peak memory", [f"{run['peak_bytes'] / 2**30:.2f} GiB" for run in runs]),
        ("cost", [figures.whole(run["cost_cents"] // 100) for run in runs]),
        ("units filled", [figures.percent(run["fill_rate"]) for run in runs]),
        ("orders in more than one parcel", [figures.percent(run["split_rate"]) for run in runs]),
        ("decisions", [f"`{run['decisions'][:12]}`" for run in runs]),
    ]
    told = (
        f"{table(['', *(run['policy'] for run in runs)], [[name, *cells] for name, cells in lines])}\n" if runs else ""
    )
    return told + (_told_one_by_one(measured[ONE_BY_ONE]) if ONE_BY_ONE in measured else "")


def _told_one_by_one(one: dict[str, Any]) -> str:
    rows = [
        [what, *(figures.duration(one[f"{part}_{which}_seconds"]) for which in ("p50", "p99"))]
        for what, part in (("deciding it", "decide"), ("building its problem", "build"))
    ]
    return (
        f"Each order as it arrives, {one['orders']:,} of {ONE_BY_ONE_LINES} lines, under `bid_price` as it is by default; the one "
        f"that finds new prices waits {figures.duration(one['decide_most_seconds'])} at most.\n\n"
        f"{table(['one order', 'p50', 'p99'], rows)}\n"
    )


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    asked_for, settings = asked.pop("policy"), Settings(**asked)
    sys.stdout.write(
        json.dumps(one_by_one(settings) if asked_for == ONE_BY_ONE else measured_here(asked_for, settings))
    )

__all__ = ["QUICK", "Settings", "measure", "render", "skipped"]
