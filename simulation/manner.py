"""How a history is replayed: what single runs and grids of them are told alike, made into policies and a run in one place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.calendar import MINUTES_PER_DAY, format_day
from engine.network import Network, columns_of
from simulation.chance import Chance
from simulation.history import History
from simulation.outlook import outlook_of
from simulation.placing import Placed
from simulation.replay import WAVE_MINUTE, Progress, Timer, replay_placed
from simulation.rhythm import Every, rhythm_of
from simulation.run import Run
from solver.effort import Effort, Policy
from solver.policies.named import looks_ahead, make_named
from solver.refusal import Refusal


@dataclass(frozen=True)
class Manner:
    """How time goes by in a replay, and how long its policies may think.

    Attributes
    ----------
    seconds, work
        Limits of a policy for each wave; `None` for no limit.
    until
        The last day, counted from 1970-01-01; `None`: when the last order is served or given up.
    every, wave_minute, release_after
        As in `simulation.replay`.
    chance
        What nobody planned, drawn from the seed of the placing in place of its own; nothing where it is `None`.
    """

    seconds: float | None = 10.0
    work: int | None = None
    until: int | None = None
    every: Every = "day"
    wave_minute: int = WAVE_MINUTE
    release_after: int = 0
    chance: Chance | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.wave_minute < MINUTES_PER_DAY:
            raise Refusal("wave_minute", f"{self.wave_minute} is not a minute of the day, 0 to 1439", "bad_option")
        if self.release_after < 0:
            raise Refusal("release_after", f"{self.release_after} is not a number of minutes from 0", "bad_option")

    def check(self, history: History, network: Network) -> None:
        """Refuse a history of which nothing would be decided."""
        if not history.orders:
            raise Refusal(history.source, "has no orders, so there is nothing to replay", "empty_run")
        rhythm = rhythm_of(history, columns_of(network), self.every, wave_minute=self.wave_minute, until=self.until)
        if self.until is not None and not len(rhythm.at):
            first = format_day(int(history.order_placed_at[0]) // MINUTES_PER_DAY)
            message = f"{format_day(self.until)} is before the first wave; the first order came on {first}"
            raise Refusal("--until", message, "empty_run")

    def policies(self, names: Sequence[str], placed: Placed) -> list[Policy]:
        """Make policies for the replay of a placed history, under its seed; those that look ahead share one outlook.

        Parameters
        ----------
        names
            As in `solver.policies.named`.

        Raises
        ------
        Refusal
            A policy that is not there, or cannot be told what its settings say.
        """
        outlook = outlook_of(placed) if any(map(looks_ahead, names)) else None
        effort = Effort(self.seconds, self.work)
        return [make_named(name, effort, placed.seed, outlook=outlook) for name in names]

    def replay(
        self,
        placed: Placed,
        policy: Policy,
        name: str,
        *,
        timer: Timer | None = None,
        progress: Progress | None = None,
    ) -> Run:
        """Replay a placed history under a policy."""
        return replay_placed(
            placed,
            policy,
            name=name,
            every=self.every,
            wave_minute=self.wave_minute,
            release_after=self.release_after,
            chance=None if self.chance is None else replace(self.chance, seed=placed.seed),
            until=self.until,
            timer=timer,
            progress=progress,
        )


USUAL = Manner()
"""A wave a day, nothing that was not planned."""

__all__ = ["USUAL", "Manner"]
