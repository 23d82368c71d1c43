"""A wave file in, a plan file out: what `POST /v1/solve` does at once, and a job does where the wave is large."""

import msgspec

from api import compare
from solver.effort import Effort
from solver.files import refusal_of
from solver.planfile import plan_bytes
from solver.refusal import Refusal
from solver.wave import Wave, problem_of


def wave_of(given: bytes) -> Wave:
    """Read a wave; raises a refusal that names the place of the fault."""
    try:
        return msgspec.json.decode(given, type=Wave)
    except msgspec.ValidationError as error:
        raise refusal_of(error, "wave") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("wave", f"is no JSON: {str(error)[:200]}", "not_json") from None


def solve_wave(wave: Wave, policy: str, effort: Effort, seed: int) -> bytes:
    """Decide a wave, have the checker read the plan, and give its file."""
    problem = problem_of(wave)
    return plan_bytes(problem, compare.solve(problem, policy, effort, seed))
