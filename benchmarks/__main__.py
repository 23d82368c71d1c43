"""The benchmarks: `python -m benchmarks [waves|replay|all] [--quick]`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from benchmarks import replay, waves
from benchmarks.machine import this_machine
from benchmarks.results import Render, Section, keep

HERE = Path(__file__).parent
RENDERS: dict[str, Render] = {"waves": waves.render, "replay": replay.render}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, and write the results."""
    asked = parser().parse_args(arguments)
    folder = asked.out or (Path("out") / "benchmarks" if asked.quick else HERE)
    began = perf_counter()

    def say(message: str) -> None:
        sys.stderr.write(f"benchmarks: {perf_counter() - began:6.0f} s  {message}\n")

    for name in RENDERS if asked.what == "all" else (asked.what,):
        if name == "waves":
            wave_settings = waves.QUICK if asked.quick else waves.Settings()
            if asked.time_limit is not None:
                wave_settings = replace(wave_settings, seconds=asked.time_limit)
            if asked.seeds is not None:
                wave_settings = replace(wave_settings, seeds=asked.seeds)
            settings, measured = asdict(wave_settings), waves.measure(wave_settings, say)
        else:
            reason = replay.skipped()
            if reason:
                say(f"replay skipped: {reason}")
                continue
            replay_settings = replay.QUICK if asked.quick else replay.Settings()
            if asked.seconds is not None:
                replay_settings = replace(replay_settings, seconds=asked.seconds)
            if asked.until is not None:
                replay_settings = replace(replay_settings, until=asked.until)
            settings, measured = asdict(replay_settings), replay.measure(replay_settings, say)
        today = datetime.now(UTC).date().isoformat()
        page = keep(folder, Section(name, today, this_machine().as_json(), settings, measured), RENDERS)
        say(f"{name} written to {page}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser("python -m benchmarks", description="Measure policies against each other.")
    made.add_argument("what", nargs="?", default="all", choices=[*RENDERS, "all"], help="what to measure (all)")
    made.add_argument("--quick", action="store_true", help="tiny: shows that it works; results go to out/benchmarks")
    made.add_argument("--time-limit", type=float, metavar="SECONDS", help="of joint and cp_sat on a wave (60)")
    made.add_argument("--seeds", type=int, metavar="NUMBER", help="waves of each size (3)")
    made.add_argument("--seconds", type=float, metavar="SECONDS", help="of a policy for each wave of a replay (10)")
    made.add_argument("--until", metavar="DAY", help="last day of the replay, as 2011-01-31 (the whole history)")
    made.add_argument("--out", type=Path, metavar="DIR", help="where results.md and results.json go (benchmarks)")
    return made


if __name__ == "__main__":
    sys.exit(main())
