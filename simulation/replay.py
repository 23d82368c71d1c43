"""Replay: a history on a network, on simulated time, under any policy.

Time is integer minutes. A wave stands on every day on which a node works, at the same minute, and sees every open unit;
what happens between two waves is in `simulation.world`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.calendar import MINUTES_PER_DAY, format_day
from engine.network import Network, columns_of
from simulation.history import History
from simulation.placing import Placed, Supply, place
from simulation.run import REAL, TERMS, Books, Run, Shipped, Waves
from simulation.world import World, wave_minutes
from solver.check import check
from solver.effort import Policy

Progress = Callable[[int, int, str], None]
"""Told before each wave: waves done, waves in all, the day."""
Timer = Callable[[], float]

WAVE_MINUTE = 14 * 60


def replay(
    history: History,
    network: Network,
    policy: Policy,
    *,
    name: str = "",
    seed: int = 0,
    supply: Supply | None = None,
    wave_minute: int = WAVE_MINUTE,
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
    wave_minute
        The minute of the day, UTC, of the daily wave.
    until
        The last day (counted from 1970-01-01); by default the run ends when the last order is served or given up.
    timer
        Read before and after each decision (`time.perf_counter`); without it, seconds are 0.

    Returns
    -------
    Run
        The same arguments, and a policy that decides the same, give the same run.
    """
    placed = place(history, network, seed, supply)
    return replay_placed(
        placed, policy, name=name, wave_minute=wave_minute, until=until, timer=timer, progress=progress
    )


def replay_placed(
    placed: Placed,
    policy: Policy,
    *,
    name: str = "",
    wave_minute: int = WAVE_MINUTE,
    until: int | None = None,
    timer: Timer | None = None,
    progress: Progress | None = None,
) -> Run:
    """Replay a history that is placed already: placing once serves any number of policies."""
    assert 0 <= wave_minute < MINUTES_PER_DAY, "wave_minute is a minute of the day"
    timer = timer or _no_time
    began = timer()
    columns = columns_of(placed.network)
    waves = wave_minutes(placed.history, columns, wave_minute, until)
    world = World(placed.history, columns, waves)
    for i, at in enumerate(waves.tolist()):
        if progress:
            progress(i, len(waves), format_day(at // MINUTES_PER_DAY))
        world.let_happen(at)
        _decide(world, policy, at, timer)
        world.lapse(at)
    world.lapse(None)
    return _run_of(world, placed, name, wave_minute, timer() - began)


def _decide(world: World, policy: Policy, at: int, timer: Timer) -> None:
    """Let the policy decide a wave, check its plan, and ship it."""
    began = timer()
    asked = world.ask(at)
    if asked is None:
        return
    built = timer()
    plan = policy(asked.problem)
    decided = timer()
    verdict = check(asked.problem, plan)
    assert not verdict.violations, f"a plan breaks the rules: {verdict.violations[:3]}"
    world.ship(asked, plan, at)
    bill = verdict.bill
    world.log.waves.append(
        (
            at,
            asked.problem.orders,
            asked.problem.lines,
            int(asked.problem.line_qty.sum()),
            plan.parcels,
            int(plan.entry_units.sum()),
            sum(bill.values()),
            plan.bound_cents,
            *(bill.get(term, 0) for term in ("carriage", "handling", "late", "overtime", "stock_value", "unfilled")),
            decided - built,
            built - began,
        )
    )


def _no_time() -> float:
    return 0.0


def _run_of(world: World, placed: Placed, name: str, wave_minute: int, seconds: float) -> Run:
    history, log, tally = world.history, world.log, world.tally
    table = np.array(log.waves, dtype=np.float64).reshape(-1, len(Waves.__dataclass_fields__)).T
    named = dict(zip(Waves.__dataclass_fields__, table, strict=True))
    typed: dict[str, Any] = {name: c if name in REAL else c.astype(np.int64) for name, c in named.items()}
    waves = Waves(**typed)
    none = np.zeros((7, 0), dtype=np.int64)
    shipped = Shipped(*np.concatenate([none, *log.parcels], axis=1))
    seen = world.order_seen
    late = shipped.arrives_day > world.promise_day(shipped.order)
    lines = int(history.order_line_start[world.placed])
    start = int(history.order_placed_at[0]) if history.orders else 0
    return Run(
        policy=name,
        seed=placed.seed,
        source=history.source,
        currency=history.currency,
        simulated=placed.simulated,
        start=start,
        end=max([start, *waves.at[-1:].tolist()]),
        wave_minute=wave_minute,
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
            world.stock.units,
        ),
    )
