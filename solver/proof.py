"""Taking a whole wave to a proof: one integer program solved twice, side by side.

One search has every parcel that a better plan could use, and looks for no plans at all: it cuts, fixes and branches until nothing
is left below the best plan known. The other has only the parcels of least reduced cost, more of them each time, and looks
for plans. What it finds is handed to the first, which can fix the more the better the plan is.
"""

import atexit
from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic
from weakref import WeakSet

import highspy
import numpy as np
from highspy.highs import HighsCallbackEvent

from solver.mip import INFINITY, Choice, Model
from solver.problem import Floats

PARCELS_AN_ORDER = (12, 24, 48)
"""What the search for plans may use: so many times the orders, those of least reduced cost."""
FAR, FIRST_SHARE = 0.01, 0.25
"""A plan so far above the floor is not worth proving; for that share of the time the proof waits for a better one."""
STALLED_SECONDS, STALLED_SHARE = 2.0, 0.4
"""No better plan is expected soon when none has come for as many seconds, and for this share of the time that the last one took."""
MUCH = 0.2
"""The proof begins again with a plan that is better by this share of what such a plan leaves between cost and floor."""
STUCK_SECONDS, STUCK_RISE = 2.0, 0.1
"""And with one that is better by what is left to prove, when for so long the bound has not risen by such a share of that."""
AGAIN = 1.0
"""And only with so many times the time left that the search has taken."""
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
TELL_SECONDS, TICK_SECONDS, GRACE_SECONDS = 1.0, 0.05, 1.0

_left_behind: WeakSet[Thread] = WeakSet()


def _wait() -> None:
    """Let searches that were left behind end before the interpreter does, which they would otherwise crash."""
    for search in list(_left_behind):
        search.join()


atexit.register(_wait)

Teller = Callable[[float, float], None]
"""Told the cost of the best plan and the best bound, on the scale of the model."""


class Proof:
    """The two searches of one model.

    Parameters
    ----------
    floor
        What the prices prove.
    cutoff
        Only plans cheaper than this are wanted.
    stop
        Set by somebody else to end both early.
    """

    def __init__(self, model: Model, floor: float, seconds: float, seed: int, cutoff: float, stop: Event, tell: Teller):
        self.model, self.floor, self.seed, self.stop, self.tell = model, floor, seed, stop, tell
        self.began = self.told = self.bettered = monotonic()
        self.until = self.began + seconds
        self.cost, self.value, self.given, self.bound, self.work = cutoff, np.zeros(0), cutoff, -INFINITY, 0
        self.lock, self.done, self.sought = Lock(), Event(), Event()
        self.failure: Exception | None = None

    def run(self, start: Floats | None) -> Choice:
        """Search until the optimum is proven, or time is over.

        HiGHS has phases in which it does not ask whether to go on. A search in one of them is left behind, to end by itself.
        At the latest the process waits for it when it ends.
        """
        cutoff = self.cost
        searches = [
            Thread(target=self._search, args=(lambda: self._prove_again(start),), name="proof", daemon=True),
            Thread(target=self._search, args=(self._seek_plans,), name="plans", daemon=True),
        ]
        for search in searches:
            search.start()
        try:
            self._wait_for(searches)
        finally:
            self.done.set()
            for search in searches:
                if search.is_alive():
                    _left_behind.add(search)
        if self.failure is not None:
            raise self.failure
        with self.lock:
            better = self.model.ways(self.value) if self.cost < cutoff else []
            return Choice(better, self.cost if better else INFINITY, min(self.bound, self.cost), self.work)

    def _wait_for(self, searches: list[Thread]) -> None:
        """Wait until both searches have ended, or a little longer than they may take; tell how they go."""
        ending = INFINITY
        while any(search.is_alive() for search in searches) and monotonic() < ending + GRACE_SECONDS:
            if self._over:
                ending = min(ending, monotonic())
            searches[0].join(TICK_SECONDS)
            if not searches[0].is_alive():
                self.done.set()
                searches[1].join(TICK_SECONDS)
            self._tell()

    def _search(self, search: Callable[[], None]) -> None:
        try:
            search()
        except Exception as failure:
            self.failure = failure
            self.done.set()

    def _prove_again(self, start: Floats | None) -> None:
        """Prove, again whenever that is better; far above the floor only once a better plan has come."""
        far = self.cost - self.floor > FAR * self.cost
        latest = self.began + FIRST_SHARE * (self.until - self.began)
        while far and not self._over and monotonic() < latest and not (len(self.value) and self._stalled()):
            if self.sought.wait(TICK_SECONDS):
                break
        while self._prove(start) and not self._over:
            pass

    def _prove(self, start: Floats | None) -> bool:
        """Search without looking for plans; tells whether it was ended to begin again with a plan much better."""
        with self.lock:
            start = self.value if len(self.value) else start
            self.given = cutoff = self.cost
        solver = self._solver(start, len(self.model.parcels.order), cutoff)
        for name, setting in PROVING.items():
            solver.setOptionValue(name, setting)

        began = raised = monotonic()
        known, outdated = -INFINITY, False

        def watch(event: HighsCallbackEvent) -> None:
            nonlocal known, raised, outdated
            bound, now = float(event.data_out.mip_dual_bound), monotonic()
            self.bound = max(self.bound, bound)
            if bound - known > STUCK_RISE * (self.cost - bound):
                known, raised = bound, now
            gained = cutoff - self.cost
            much = gained > MUCH * (self.cost - self.floor) and self._stalled()
            stuck = gained > self.cost - bound and now > raised + STUCK_SECONDS
            outdated = (much or stuck) and self.until - now > AGAIN * (now - began)
            if outdated:
                solver.cancelSolve()

        solver.cbMipUserSolution += self._hand_over
        solver.cbMipInterrupt += watch
        solver.run()
        choice = self.model.choice(solver, start, cutoff)
        with self.lock:
            self.bound, self.work = max(self.bound, choice.bound_cents), self.work + choice.work
        return outdated

    def _seek_plans(self) -> None:
        for parcels in PARCELS_AN_ORDER:
            if not self._over:
                self._solver(None, parcels * len(self.model.pricing.orders), self.cost).run()
                self.sought.set()

    def _solver(self, start: Floats | None, parcels: int, cutoff: float) -> highspy.Highs:
        """Make a search that may use so many parcels; it ends when the other has, or when told to."""
        lp = self.model.lp()
        most = np.array(lp.col_upper_)
        most[self.model.first_parcel + np.argsort(self.model.parcels.reduced, kind="stable")[parcels:]] = 0.0
        lp.col_upper_ = most
        solver = self.model.solver(lp, start, self.until - monotonic(), INFINITY, self.seed, cutoff)
        solver.HandleUserInterrupt = True
        solver.cbMipInterrupt += lambda _: solver.cancelSolve() if self._over else None
        solver.cbMipImprovingSolution += self._keep
        return solver

    @property
    def _over(self) -> bool:
        return self.done.is_set() or self.stop.is_set() or monotonic() >= self.until

    def _stalled(self) -> bool:
        """Tell whether no better plan has come for a while."""
        return monotonic() - self.bettered > max(STALLED_SECONDS, STALLED_SHARE * (self.bettered - self.began))

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

    def _tell(self) -> None:
        if monotonic() >= self.told + TELL_SECONDS:
            self.told = monotonic()
            self.tell(self.cost, min(self.bound, self.cost))


__all__ = ["Proof", "Teller"]
