"""Taking a whole wave to a proof: one integer program solved twice, side by side.

One search has every parcel that a better plan could use, and looks for no plans at all: it cuts, fixes and branches until nothing
is left below the best plan known. The other has only parcels of small reduced cost, a larger share of them each time, and looks
for plans. What it finds is handed to the first, which can fix the more the better the plan is.
"""

from collections.abc import Callable
from dataclasses import replace
from threading import Event, Lock, Thread
from time import monotonic

import highspy
import numpy as np

from highspy.highs import HighsCallbackEvent

from solver.mip import INFINITY, Choice, Model
from solver.problem import Floats

SHARES, WIDE = (0.1, 0.4), 0.2
"""Of the range of reduced costs: what the searches for plans may use."""
STALLED_SECONDS, STALLED_SHARE = 2.0, 0.3
"""The proof begins when no better plan has come for as many seconds, and for this share of the time that the last one took."""
FIRST_SHARE = 0.25
"""Of the time, for the first better plan."""
PROVING = {
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_heuristic_run_shifting": False,
    "mip_heuristic_run_zi_round": False,
    "mip_pscost_minreliable": 1,
}
TELL_SECONDS = 1.0

Teller = Callable[[float, float], None]
"""Told the cost of the best plan and the best bound, on the scale of the model."""


class Proof:
    """The two searches of one model.

    Parameters
    ----------
    slack
        The range of reduced costs of the model's parcels.
    cutoff
        Only plans cheaper than this are wanted.
    stop
        Set by somebody else to end both early.
    """

    def __init__(self, model: Model, slack: float, seconds: float, seed: int, cutoff: float, stop: Event, tell: Teller):
        self.model, self.slack, self.seed, self.stop, self.tell = model, slack, seed, stop, tell
        self.began = self.told = self.bettered = monotonic()
        self.until = self.began + seconds
        self.cost, self.value, self.given = cutoff, np.zeros(0), cutoff
        self.lock, self.done = Lock(), Event()

    def run(self, start: Floats | None) -> Choice:
        """Search until the optimum is proven, or time is over."""
        cutoff = self.cost
        beside = Thread(target=self._seek_plans, name="plans")
        beside.start()
        try:
            self._seek(WIDE, self._stalled)
            choice = self._prove(self.value if len(self.value) else start)
        finally:
            self.done.set()
            beside.join()
        if self.cost < min(cutoff, choice.cost_cents):
            return replace(choice, ways=self.model.ways(self.value), cost_cents=self.cost)
        return choice

    def _prove(self, start: Floats | None) -> Choice:
        """Search without looking for plans."""
        self.given = cutoff = self.cost
        solver = self._solver(start, 1.0)
        for name, setting in PROVING.items():
            solver.setOptionValue(name, setting)
        solver.cbMipUserSolution += self._hand_over
        solver.cbMipInterrupt += lambda event: self._tell(float(event.data_out.mip_dual_bound))
        solver.run()
        return self.model.choice(solver, start, cutoff)

    def _seek_plans(self) -> None:
        for share in SHARES:
            if not self._over:
                self._seek(share, lambda: False)

    def _seek(self, share: float, enough: Callable[[], bool]) -> None:
        """Search for plans among parcels up to a share of the range, until that is enough."""
        solver = self._solver(None, share)
        solver.cbMipInterrupt += lambda _: solver.cancelSolve() if enough() else None
        solver.run()

    def _solver(self, start: Floats | None, share: float) -> highspy.Highs:
        """Make a search that may use parcels up to a share of the range; it ends when the other has, or when told to."""
        lp = self.model.lp()
        dear = self.model.first_parcel + np.flatnonzero(self.model.parcels.reduced > share * self.slack)
        most = np.array(lp.col_upper_)
        most[dear] = 0.0
        lp.col_upper_ = most
        solver = self.model.solver(lp, start, self.until - monotonic(), INFINITY, self.seed, self.cost)
        solver.HandleUserInterrupt = True
        solver.cbMipInterrupt += lambda _: solver.cancelSolve() if self._over else None
        solver.cbMipImprovingSolution += self._keep
        return solver

    @property
    def _over(self) -> bool:
        return self.done.is_set() or self.stop.is_set() or monotonic() >= self.until

    def _stalled(self) -> bool:
        """Tell whether a better plan has come, and for a while no other."""
        self._tell(-INFINITY)
        now = monotonic()
        if not len(self.value):
            return now > self.began + FIRST_SHARE * (self.until - self.began)
        return now - self.bettered > max(STALLED_SECONDS, STALLED_SHARE * (self.bettered - self.began))

    def _keep(self, event: HighsCallbackEvent) -> None:
        with self.lock:
            if event.data_out.objective_function_value < self.cost - 0.5:
                self.cost = float(event.data_out.objective_function_value)
                self.value = np.array(event.data_out.mip_solution)
                self.bettered = monotonic()

    def _hand_over(self, event: HighsCallbackEvent) -> None:
        with self.lock:
            if self.cost < self.given:
                self.given = self.cost
                event.data_in.setSolution(self.value)

    def _tell(self, bound: float) -> None:
        if monotonic() >= self.told + TELL_SECONDS:
            self.told = monotonic()
            self.tell(self.cost, bound)


__all__ = ["Proof", "Teller"]
