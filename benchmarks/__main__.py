"""The benchmarks: `python -m benchmarks [policies|waves|papers|replay|returns|service|...|all]`, or `allot bench`."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from api import compare
from api.outputs import write_text
from benchmarks import (
    growth,
    million,
    over_time,
    papers,
    papers_page,
    replay,
    returns,
    service,
    sliced,
    targets,
    waves,
    waves_page,
    yardsticks,
)
from benchmarks.machine import this_machine
from benchmarks.results import Render, Say, Section, joined, keep, kept_in, pieces_of, write_page
from solver.policies.own import PolicyFault
from solver.refusal import Refusal

HERE = Path(__file__).parent
RENDERS: dict[str, Render] = {
    "waves": waves_page.render,
    "sliced": sliced.render,
    "yardsticks": yardsticks.render,
    "papers": papers_page.render,
    "over_time": over_time.render,
    "replay": replay.render,
    "returns": returns.render,
    "million": million.render,
    "service": service.render,
}
PICTURES: dict[str, tuple[str, Callable[[dict[str, Any]], str | None]]] = {
    "waves": ("growth.svg", growth.picture),
    "papers": (papers_page.PICTURE, papers_page.picture),
    "over_time": (over_time.PICTURE, over_time.picture),
}
SECTIONS = {"policies": "over_time"}
"""What a section is called, too."""
MODULES: dict[str, Any] = {
    "waves": waves,
    "sliced": sliced,
    "yardsticks": yardsticks,
    "papers": papers,
    "over_time": over_time,
    "replay": replay,
    "returns": returns,
    "million": million,
    "service": service,
}
"""What measures each: with settings, the quick ones, and why it cannot be measured here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, and write the results piece by piece."""
    asked = read_arguments(arguments)
    folder = asked.out or (Path("out") / "benchmarks" if asked.quick or asked.policy else HERE)
    began = perf_counter()

    def say(message: str) -> None:
        sys.stderr.write(f"benchmarks: {perf_counter() - began:6.0f} s  {message}\n")

    measured = False
    for name in RENDERS if asked.what == "all" else (asked.what,):
        reason = MODULES[name].skipped()
        if reason:
            say(f"{name} skipped: {reason}")
            continue
        measured = True
        if not _measure(name, asked, folder, say):
            return 2
        page = write_page(folder, RENDERS, targets.render)
        say(f"{name} written to {page}")
        if asked.policy:
            one = kept_in(folder)[name]
            sys.stdout.write(f"{RENDERS[name](one['measured'], one['settings'])}\n")
    if not measured:
        say("nothing was measured; benchmarks/README.md says what each benchmark needs")
        return 2
    return 0


def _measure(name: str, asked: argparse.Namespace, folder: Path, say: Say) -> bool:
    """Measure one benchmark, keeping each piece as soon as it is there; False where it cannot join what is kept."""
    settings = settings_of(name, asked)
    machine = this_machine().as_json()
    plain = asdict(settings)
    old = kept_in(folder).get(name, {}).get("measured", {})
    same = pieces_of(folder, name, plain)
    if (asked.only or asked.resume) and old and not same:
        say(f"{name}: the results in {folder} have other settings; --out names another folder")
        return False
    found = same if asked.only or asked.resume else {}
    done = frozenset(found) if asked.resume else frozenset()
    words = (asked.only or "").replace(",", " ").split()

    matched: list[str] = []
    first = True

    def wanted(piece: str) -> bool:
        if not all(word in piece.split() for word in words):
            return False
        matched.append(piece)
        return piece not in done

    for piece, one in _pieces(name, settings, wanted, say, asked.quick, found):
        section = Section(name, datetime.now(UTC).date().isoformat(), machine, plain, {piece: one} if piece else one)
        if asked.only or asked.resume or not first:
            section = joined(folder, section)
        keep(folder, section)
        first, found = False, section.measured
        _draw(name, folder, found)
        write_page(folder, RENDERS, targets.render)
    if words and not matched and name != "replay":
        say(f"{name} has no piece whose name has the words {', '.join(words)}")
    return True


def _pieces(
    name: str, settings: Any, wanted: Callable[[str], bool], say: Say, quick: bool, kept: dict[str, Any]
) -> Iterator[waves.Piece]:
    if name == "waves":
        yield from waves.measure(settings, wanted, say, quick, kept)
    elif name == "sliced":
        yield from sliced.measure(settings, wanted, say, quick)
    elif name == "yardsticks":
        yield from yardsticks.measure(settings, wanted, say, quick)
    elif name == "million":
        yield from million.measure(settings, wanted, say)
    elif name == "papers":
        yield from papers.measure(settings, wanted, say, quick)
    elif name == "over_time":
        yield from over_time.measure(settings, wanted, say, quick)
    elif name == "returns":
        yield from returns.measure(settings, wanted, say)
    elif name == "service":
        yield from service.measure(settings, wanted, say, quick)
    else:
        # one replay after the other shares a placed history: all of it is one piece
        yield "", replay.measure(settings, say)


def settings_of(name: str, asked: argparse.Namespace) -> Any:
    """The settings of a benchmark, with what was asked for in place of the usual."""
    module = MODULES[name]
    settings = module.QUICK if asked.quick else module.Settings()
    others = compare.known(asked.policy, ahead=True) if asked.policy else None
    given = {"seconds": asked.seconds, "seeds": asked.seeds, "until": asked.until, "others": others}
    known = {key: value for key, value in given.items() if value is not None and hasattr(settings, key)}
    return replace(settings, **known)


def _draw(name: str, folder: Path, found: dict[str, Any]) -> None:
    """Leave the picture of a section beside the page."""
    if name in PICTURES:
        file, picture = PICTURES[name]
        drawing = picture(found)
        if drawing is not None:
            write_text(folder / file, drawing)


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for, by the name of its section."""
    made = parser()
    asked = made.parse_args(arguments)
    asked.what = SECTIONS.get(asked.what, asked.what)
    if asked.policy and asked.what != "over_time":
        made.error("argument --policy: is for `policies`; the other benchmarks have those that they name")
    return asked


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    made = argparse.ArgumentParser("python -m benchmarks", description="Measure policies against each other.")
    made.add_argument(
        "what", nargs="?", default="all", choices=[*RENDERS, *SECTIONS, "all"], help="what to measure (all)"
    )
    made.add_argument("--quick", action="store_true", help="tiny: shows that it works; results go to out/benchmarks")
    made.add_argument("--only", metavar="WORDS", help="pieces whose names have all these words, as retail,100k,peak")
    made.add_argument("--resume", action="store_true", help="leave out the pieces that are already in the results")
    made.add_argument("--seconds", type=float, metavar="SECONDS", help="limit of each run, instead of the usual")
    made.add_argument("--seeds", type=int, metavar="NUMBER", help="waves of each kind, instead of the usual")
    made.add_argument("--until", metavar="DAY", help="last day of the replay, as 2011-01-31 (the whole history)")
    made.add_argument(
        "--policy",
        action="append",
        metavar="NAME",
        help="with policies: another beside them, as mine.py:spare:cents=100; may be repeated; results go to out/benchmarks",
    )
    made.add_argument("--out", type=Path, metavar="DIR", help="where results.md and results.json go (benchmarks)")
    return made


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refusal, PolicyFault) as fault:
        sys.exit(f"benchmarks: {fault}")
