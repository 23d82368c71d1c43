"""Replay: a history on a network, on simulated time, under any policy.

Time is integer minutes. When decisions stand is in `simulation.rhythm`, what happens between two of them in
`simulation.world`, and what nobody planned in `simulation.chance`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.calendar import MINUTES_PER_DAY, format_day
from engine.network import Network, columns_of
from simulation.chance import Chance
from simulation.claims import Claims, plan_of
from simulation.history import History
from simulation.log import Asked
from simulation.placing import Placed, Supply, place
from simulation.receiving import Weekly
from simulation.returning import Returning
from simulation.rhythm import Every, rhythm_of
from simulation.run import REAL, TERMS, Books, Run, Shipped, Waves
from simulation.world import World
from solver.bill import bill
from solver.check import Verdict, check
from solver.effort import Policy
from solver.plan import Plan
from solver.policies import decide
from solver.problem import Problem

Progress = Callable[[int, int, str], None]
"""Told before each wave: waves done, waves in all, the day."""
Timer = Callable[[], float]

WAVE_MINUTE = 14 * 60


@dataclass(frozen=True)
class Told:
    """What a run repeats of what it was told."""

    policy: str
    every: Every
    wave_minute: int
    release_after: int


@dataclass
class Decider:
    """A policy, and what it remembers from one decision to the next."""

    policy: Policy
    memory: Any = None

    def __call__(self, world: World, problem: Problem, at: int) -> Plan:
        """Let the policy decide, and tell it the present if it looks ahead."""
        plan, self.memory = decide(self.policy, problem, lambda: world.present(at), self.memory)
        return plan


def replay(
    history: History,
    network: Network,
    policy: Policy,
    *,
    name: str = "",
    seed: int = 0,
    supply: Supply | Weekly | None = None,
    every: Every = "day",
    wave_minute: int = WAVE_MINUTE,
    release_after: int = 0,
    chance: Chance | None = None,
    until: int | None = None,
    timer: Timer | None = None,
    progress: Progress | None = None,
) -> Run:
    """Place a history on a network and replay it under a policy.

    Parameters
    ----------
    name
        What the run calls the policy.
    seed
        Draws what history and network lack; policies under one seed see the same customers, stock and receipts.
    every
        When to decide: once a `day`, every so many minutes, or each order on `arrival` (and once a day what that left open).
    wave_minute
        The minute of the day, UTC, of the daily wave; one of the waves where they stand more often.
    release_after
        Minutes from the first decision on an order to its release. Until then it holds its units, and each wave decides
        it anew together with all that is open; it is released earlier where its node's day of work ends. 0: at once.
    chance
        What nodes, suppliers and customers do that nobody planned; nothing where it is `None`.
    until
        The last day (counted from 1970-01-01); by default the run ends when the last order is served or given up.
    timer
        Read before and after each decision (`time.perf_counter`); without it, seconds are 0.

    Returns
    -------
    Run
        The same arguments, and a policy that decides the same, give the same run.
    """
    return replay_placed(
        place(history, network, seed, supply),
        policy,
        name=name,
        every=every,
        wave_minute=wave_minute,
        release_after=release_after,
        chance=chance,
        until=until,
        timer=timer,
        progress=progress,
    )


def replay_placed(
    placed: Placed,
    policy: Policy,
    *,
    name: str = "",
    every: Every = "day",
    wave_minute: int = WAVE_MINUTE,
    release_after: int = 0,
    chance: Chance | None = None,
    until: int | None = None,
    timer: Timer | None = None,
    progress: Progress | None = None,
    returning: Returning | None = None,
) -> Run:
    """Replay a history that is placed already: placing once serves any number of policies.

    Parameters
    ----------
    returning
        Where what comes back goes, and what that costs beside the run; where it came from where it is `None`.
    """
    assert 0 <= wave_minute < MINUTES_PER_DAY, "wave_minute is a minute of the day"
    assert release_after >= 0, "release_after is a number of minutes"
    timer = timer or _no_time
    began = timer()
    columns = columns_of(placed.network)
    rhythm = rhythm_of(placed.history, columns, every, wave_minute=wave_minute, until=until)
    world = World(
        placed.history,
        columns,
        rhythm,
        chance=chance,
        release_after=release_after,
        announced_days=placed.announced_days,
        returning=returning,
    )
    decider = Decider(policy)
    networks = [(0, placed.network), *placed.later]
    for i, (at, whole) in enumerate(zip(rhythm.at.tolist(), rhythm.whole.tolist(), strict=True)):
        while networks and networks[0][0] <= at:
            world.enter(networks.pop(0)[1])
        if progress:
            progress(i, len(rhythm.at), format_day(at // MINUTES_PER_DAY))
        if whole:
            world.lapse(at - 1)  # those whose last decision was that of their arrival
        world.let_happen(at)
        _decide(world, decider, at, timer, whole)
        if whole:
            world.lapse(at)
    world.lapse(None)
    return _run_of(world, placed, Told(name, every, wave_minute, release_after), timer() - began)


def _decide(world: World, policy: Decider, at: int, timer: Timer, whole: bool) -> None:
    """Let the policy decide a wave, check its plan, and carry it out."""
    began, held = timer(), world.claims
    asked = world.ask(at, whole=whole)
    if asked is None:
        return
    built = timer()
    plan = policy(world, asked.problem, at)
    seconds = timer() - built, built - began
    verdict = _judged(asked, plan)
    if verdict.bill["broken_promise"]:
        _keep(world, policy, held, at, timer)
    else:
        _carry_out(world, asked, plan, verdict, at, seconds)


def _keep(world: World, policy: Decider, held: Claims, at: int, timer: Timer) -> None:
    """A plan broke a promise: whoever held something keeps it, and the policy decides the others once more."""
    kept = world.ask_for(np.unique(held.order), at)
    assert kept is not None, "what is held is there"
    plan = plan_of(held, kept.problem, kept.order, kept.line)
    plan = replace(plan, cost_cents=sum(bill(kept.problem, plan).values()))
    _carry_out(world, kept, plan, _judged(kept, plan), at, (0.0, 0.0))
    began = timer()
    others = world.ask_for(np.setdiff1d(world.open, kept.order), at)
    if others is not None:
        built = timer()
        plan = policy(world, others.problem, at)
        seconds = timer() - built, built - began
        _carry_out(world, others, plan, _judged(others, plan), at, seconds)


def _judged(asked: Asked, plan: Plan) -> Verdict:
    verdict = check(asked.problem, plan)
    assert not verdict.violations, f"a plan breaks the rules: {verdict.violations[:3]}"
    return verdict


def _carry_out(world: World, asked: Asked, plan: Plan, verdict: Verdict, at: int, seconds: tuple[float, float]) -> None:
    """Carry out a plan, and write down what was decided and what was shipped."""
    done = world.carry_out(asked, plan, at)
    paid = verdict.bill if done is plan else bill(asked.problem, done)
    world.log.waves.append(
        (
            at,
            asked.problem.orders,
            asked.problem.lines,
            int(asked.problem.line_qty.sum()),
            done.parcels,
            int(done.entry_units.sum()),
            sum(verdict.bill.values()),
            plan.bound_cents,
            *(paid.get(term, 0) for term in ("carriage", "handling", "late", "overtime", "stock_value")),
            verdict.bill["unfilled"],
            *seconds,
        )
    )


def _no_time() -> float:
    return 0.0


def _run_of(world: World, placed: Placed, told: Told, seconds: float) -> Run:
    history, log, tally = world.history, world.log, world.tally
    table = np.array(log.waves, dtype=np.float64).reshape(-1, len(Waves.__dataclass_fields__)).T
    named = dict(zip(Waves.__dataclass_fields__, table, strict=True))
    typed: dict[str, Any] = {name: c if name in REAL else c.astype(np.int64) for name, c in named.items()}
    waves = Waves(**typed)
    none = np.zeros((7, 0), dtype=np.int64)
    shipped = Shipped(*np.concatenate([none, *log.parcels], axis=1))
    seen = world.order_seen
    late = shipped.arrives_day > history.promise_day(shipped.order)
    lines = int(history.order_line_start[world.placed])
    start = int(history.order_placed_at[0]) if history.orders else 0
    return Run(
        policy=told.policy,
        seed=placed.seed,
        source=history.source,
        currency=history.currency,
        simulated=placed.simulated + (world.chance.labels() if world.chance else ()),
        start=start,
        end=max([start, *waves.at[-1:].tolist()]),
        every=told.every,
        wave_minute=told.wave_minute,
        release_after=told.release_after,
        bill={term: tally.unfilled_cents if term == "unfilled" else int(getattr(waves, term).sum()) for term in TERMS},
        stock_value_cents=int(waves.stock_value.sum()),
        orders=world.placed,
        lines=lines,
        units_ordered=int(history.line_qty[:lines].sum()),
        units_withdrawn=tally.withdrawn,
        units_cancelled=tally.cancelled,
        units_lapsed=tally.lapsed,
        units_shipped=int(shipped.units.sum()),
        units_returned=tally.returned,
        units_missing=tally.missing,
        parcels_refused=tally.refused,
        parcels=len(shipped.order),
        parcels_late=int(late.sum()),
        orders_asked=int(seen.sum()),
        orders_shipped=int((world.order_parcels > 0).sum()),
        orders_split=int((world.order_parcels > 1).sum()),
        orders_on_time=int((seen & ~world.order_missed).sum()),
        decisions=log.hash.hexdigest(),
        seconds=seconds,
        waves=waves,
        shipped=shipped,
        books=Books(
            world.stock.node,
            world.stock.sku,
            world.initial,
            world.received,
            world.returned,
            world.shipped,
            world.lost,
            world.stock.units,
        ),
    )
