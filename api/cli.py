"""The command line. Data goes to standard output, messages to standard error.

Exit codes: 0 done; 1 the answer is no (`check` found a violation, `doctor` a fault), or a bug; 2 refused input, wrong usage
or nowhere to write; 130 and 143 interrupted by Ctrl-C and SIGTERM; 141 nobody reads standard output any more. Heavy modules
are imported inside the commands, so that `--help` answers at once.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from api import figures, operating, options, scenarios

DEBUG = "ALLOT_DEBUG"
NAMES = ", ".join(figures.POLICY_NAMES)
OWN = "or one in a file of your own: mine.py, mine.py:spare, mine.py:spare:cents=100"


class Commands(TyperGroup):
    """The commands, and what they say when one of them cannot go on."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        with _saying_why(None):
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        with _saying_why(ctx):
            return super().invoke(ctx)


@contextmanager
def _saying_why(ctx: Any) -> Iterator[None]:
    """Turn what stops a command into one line and an exit code."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError as error:
        _forget_stdout()
        raise typer.Exit(128 + signal.SIGPIPE) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(_interrupted()) from error
    except Exception as error:
        raise typer.Exit(_told(error, ctx)) from error


def _told(error: Exception, ctx: Any) -> int:
    """Say in one line what went wrong; gives the exit code."""
    from api.progress import interruption

    if interruption.signal:  # it came where nothing may be raised, and what it broke is no bug
        return _interrupted()
    if _is_refusal(error):
        _say(str(error))
        return 2
    if _is_usage(error):
        where = getattr(getattr(error, "ctx", None), "command_path", "allot")
        if said := error.format_message().rstrip("."):  # type: ignore[attr-defined]
            _say(f"{said}; see {where} --help")
        return 2
    if _debugging(ctx):
        raise error
    if _is_of_a_policy(error):
        _say(f"{error} (set {DEBUG}=1 to see where)")
        return 1
    if (why := _of_the_database(error)) is not None:
        _say(f"the database cannot be used: {why}")
        return 2
    if isinstance(error, OSError):
        _forget_stdout()
        _say(f"{error.filename or 'standard output'}: cannot be written: {error.strerror or error}")
        return 2
    _say(f"this is a bug: {type(error).__name__}: {error} (set {DEBUG}=1 to see where)")
    return 1


def _interrupted() -> int:
    from api.progress import interruption

    _say("interrupted")
    return 128 + (interruption.signal or signal.SIGINT)


def _forget_stdout() -> None:
    """Let what nobody can read any more go nowhere, so that leaving is quiet."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    cls=Commands,
    name="allot",
    help="Decides which warehouse or store ships what, for every order at once, and proves how good the decision is.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Source(StrEnum):
    """What kind of order history is imported."""

    uci = "uci"
    olist = "olist"
    superstore = "superstore"
    csv = "csv"


class HistoryFormat(StrEnum):
    """How the tables of a history are stored."""

    csv = "csv"
    parquet = "parquet"


WaveFile = Annotated[
    Path,
    typer.Argument(metavar="WAVE", help="Wave file (.json, .json.gz, or - for standard input).", show_default=False),
]
PlanFile = Annotated[
    Path,
    typer.Argument(metavar="PLAN", help="Plan file (.json, .json.gz, or - for standard input).", show_default=False),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**63 - 1, metavar="NUMBER", help="The same seed and the same work give the same plan."),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Stop with the best plan so far; 60 unless --work is given."),
]
Work = Annotated[
    int | None, typer.Option(min=0, metavar="UNITS", help="Deterministic limit, the same on every machine.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="NAME",
        help=f"{NAMES}; with settings as in bid_price:days=3,by=joint; {OWN}; may be repeated.",
        show_default=False,
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"allot {figures.version()}")
        raise typer.Exit


@app.callback()
def allot(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Show where a bug is.")] = False,
) -> None:
    """Take the options of every command; what they ask for is done elsewhere."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@app.command()
def solve(
    wave: WaveFile,
    out: Annotated[
        Path, typer.Option(metavar="PLAN", help="Plan file to write; - is standard output.", show_default=False)
    ],
    policy: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"How to decide: {NAMES}; {OWN}."),
    ] = "joint",
    time_limit: TimeLimit = None,
    work: Work = None,
    seed: Seed = 0,
    warm: Annotated[
        Path | None, typer.Option(metavar="PLAN", help="Start from the prices of this plan.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Decide a wave, and prove how good the plan is. Ctrl-C ends the search and writes the best plan so far."""
    from dataclasses import replace
    from time import monotonic

    from api import compare, outputs, show
    from api.progress import following, stopped_by_signals
    from solver.planfile import read_prices, write_plan
    from solver.refusal import Refusal
    from solver.wave import load

    (name,) = compare.known([policy])
    if warm is not None and name != compare.JOINT:
        raise Refusal("--warm", f"is for {compare.JOINT}; {name} has no use for prices", "bad_option")
    outputs.check_file(out, wave, *([warm] if warm else []))
    piped = outputs.is_standard(out)
    if piped and json:
        raise Refusal("--json", "goes to standard output, and so does the plan; name a file for one", "bad_option")
    started = monotonic()
    problem = load(wave)
    if warm is not None:
        problem = problem.priced(*read_prices(warm, problem))
    reading = monotonic() - started
    effort = options.effort_of(time_limit, work, reading)
    title = f"{name}: {problem.orders:,} orders, {problem.nodes:,} nodes"
    with stopped_by_signals(effort.stop):
        with following(title) as watch:
            plan = compare.solve(problem, name, effort, seed, watch)
        plan = replace(plan, seconds=reading + plan.seconds)
        write_plan(out, problem, plan)
    if effort.stop.is_set():
        _say("stopped: this is the best plan so far")
    row = compare.row_of(problem, plan, None)
    if piped:
        return
    if json:
        from dataclasses import asdict

        from api import gaps
        from solver.certificate import certify

        certificate = gaps.as_json(problem, certify(problem, plan), gaps.MOST)
        show.as_json({"plan": str(out), "seed": seed, **asdict(row), "certificate": certificate})
    else:
        show.plan(f"{name}: {problem.orders:,} orders at {problem.nodes:,} nodes", row)
        _say(f"plan written to {out}")


@app.command()
def check(wave: WaveFile, plan: PlanFile, json: Json = False) -> None:
    """Judge a plan against its wave, whoever made it: exit 0 if it holds, 1 and every violation if not."""
    from api import show
    from solver.check import check as judge
    from solver.planfile import read_plan
    from solver.wave import load

    problem = load(wave)
    answer = read_plan(plan, problem)
    verdict = judge(problem, answer)
    if json:
        found = {"ok": verdict.ok, "found": verdict.found, "violations": verdict.violations, "bill": verdict.bill}
        show.as_json(found)
    elif not verdict.ok:
        for violation in verdict.violations:
            show.line(violation)
        if verdict.found > len(verdict.violations):
            _say(f"{verdict.found - len(verdict.violations):,} more violations are not listed")
    else:
        show.pairs(
            f"The plan holds: {answer.parcels:,} parcels",
            [(figures.term_name(term), figures.money(cents)) for term, cents in verdict.bill.items() if cents]
            + [("Cost", figures.money(answer.cost_cents)), ("Bound", figures.money(answer.bound_cents))]
            + [("Gap", f"{figures.gap(answer.gap)} ({answer.status})")],
        )
    if not verdict.ok:
        raise typer.Exit(1)


@app.command()
def gap(
    wave: WaveFile,
    plan: PlanFile,
    most: Annotated[int, typer.Option("--most", min=0, metavar="N", help="Orders, stocks and nodes to name.")] = 5,
    json: Json = False,
) -> None:
    """Say what holds the gap of a plan: which orders, which stock, which capacity."""
    from api import explaining, gaps, show
    from solver.certificate import certify
    from solver.planfile import read_plan
    from solver.wave import load

    problem = load(wave)
    answer = read_plan(plan, problem)
    explaining.must_hold(plan, problem, answer)
    found = certify(problem, answer)
    if json:
        show.as_json(gaps.as_json(problem, found, most))
    else:
        gaps.show_gap(problem, found, answer.gap, most)


@app.command()
def explain(
    wave: WaveFile,
    plan: PlanFile,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Id of the order.", show_default=False)],
    alternatives: Annotated[int, typer.Option(min=0, metavar="N", help="Alternatives to show.")] = 5,
    json: Json = False,
) -> None:
    """Say why an order is served as it is: its bill, its best alternatives, why not each node, what would tip it."""
    from api import explaining, show
    from solver.explain import explain as explained
    from solver.planfile import read_plan
    from solver.wave import load

    problem = load(wave)
    number = explaining.order_of(problem, order)
    answer = read_plan(plan, problem)
    explaining.must_hold(plan, problem, answer)
    told = explaining.Telling(problem, explained(problem, answer, number), alternatives)
    if json:
        show.as_json(told.as_json())
    else:
        told.show()


@app.command()
def compare(
    wave: WaveFile,
    policy: Policies = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Leave report.html, compare.json, cost.svg and map.svg here.", show_default=False
        ),
    ] = None,
    time_limit: TimeLimit = None,
    work: Work = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Set policies side by side on one wave: cost by term, parcels, splits, fill, lateness, gap and time."""
    from api import compare as comparing
    from api import outputs, show
    from api.progress import following
    from solver.wave import load

    names = comparing.known(policy or comparing.USUAL)
    if out is not None:
        outputs.check_folder(out)
    problem = load(wave)
    with following(f"{problem.orders:,} orders, {problem.nodes:,} nodes") as watch:
        result = comparing.compare(problem, names, options.effort_of(time_limit, work), seed, watch)
    if out is not None:
        from api.comparison_page import write_comparison

        page = write_comparison(outputs.make_folder(out), result, wave.name, seed)
    if json:
        show.as_json({"wave": str(wave), "seed": seed, **result.as_json()})
    else:
        show.comparison(result)
    if out is not None:
        _say(f"report written to {page}")


@app.command("import")
def import_history(
    source: Annotated[Source, typer.Argument(help="Where the file comes from.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="HISTORY", help="Folder to write.", show_default=False)],
    form: Annotated[HistoryFormat, typer.Option("--format", help="How to store the tables.")] = HistoryFormat.csv,
    places: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Postal codes in the form of GeoNames (superstore).", show_default=False),
    ] = None,
    returns: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The sheet of returned orders (superstore).", show_default=False)
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="OURS=THEIRS", help="What a column is called there (csv). May be repeated."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="Of the prices (csv); USD if not given.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Turn a file of past orders into a history that can be replayed."""
    from api import importing, outputs, show
    from api.progress import following
    from simulation.importers import write_import

    importing.check_folder(out, [file, places, returns])
    with following(f"reading {file}"):
        imported = importing.read(source, file, places, returns, column or [], currency)
        write_import(outputs.make_folder(out), imported, form.value)
    said = importing.summary(imported, out)
    if json:
        show.as_json(said)
    else:
        importing.show_summary(said)
    _say(f"history written to {out}")


@app.command()
def replay(
    history: Annotated[Path, typer.Argument(metavar="HISTORY", help="History folder.", show_default=False)],
    network: Annotated[
        str, typer.Option(metavar="NET", help="Network file, or the example uk or us.", show_default=False)
    ],
    policy: Policies = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Leave report.html, replay.json and cost.svg here.", show_default=False),
    ] = None,
    until: options.Until = None,
    every: options.When = "day",
    release_after: options.ReleaseAfter = 0,
    chance: options.Chances = None,
    time_limit: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="For each wave; 10 unless --work is given."),
    ] = None,
    work: Work = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Run a history through the engine, wave by wave, under each policy."""
    from api import compare, outputs, replays, show
    from api.progress import counting
    from simulation.history import read_history

    names = compare.known(policy or compare.USUAL, ahead=True)
    manner = replays.manner_of(options.effort_of(time_limit, work, usual=10.0), until, every, release_after, chance)
    if out is not None:
        outputs.check_folder(out)
    past, net = read_history(history), replays.network_of(network)
    with counting("replaying") as progress:
        run = replays.replay(past, net, names, manner, seed, progress)
    if out is not None:
        from api.replay_page import write_replays

        page = write_replays(outputs.make_folder(out), run)
    if json:
        show.as_json(run.as_json())
    else:
        show.replays(run)
    if out is not None:
        _say(f"report written to {page}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to leave what is made.")] = Path("allot-demo"),
    orders: Annotated[int, typer.Option(min=1, max=1_000_000)] = 2_000,
    nodes: Annotated[int, typer.Option(min=2, max=10_000)] = 40,
    seed: Seed = 1,
    time_limit: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="For the joint plan.")] = 15.0,
) -> None:
    """Make a retail day, decide it jointly, compare the usual rules, and leave a report."""
    from api import outputs
    from api.demonstration import demonstrate

    outputs.check_folder(out)
    demonstrate(out, orders, nodes, seed, options.effort_of(time_limit, None), _say)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> None:
    """Measure policies against each other: policies, waves, papers, replay, million or all; --help tells more."""
    from importlib.metadata import entry_points

    from solver.refusal import Refusal

    found = next(iter(entry_points(group="allot.commands", name="bench")), None)
    if found is None:
        raise Refusal(
            "bench", "the benchmarks are not installed; from a checkout: python -m benchmarks", "not_installed"
        )
    raise typer.Exit(found.load()(context.args))


@app.command()
def doctor(json: Json = False) -> None:
    """Say whether this machine has what allot needs."""
    from dataclasses import asdict

    from api import doctor as checks
    from api import show

    findings = checks.examine()
    ok = checks.healthy(findings)
    if json:
        show.as_json({"ok": ok, "findings": [asdict(finding) for finding in findings]})
    else:
        show.findings(findings)
    if not ok:
        raise typer.Exit(1)


def _say(message: str) -> None:
    """Write one line on standard error."""
    typer.echo(f"allot: {''.join(c if c.isprintable() else ' ' for c in message)}", err=True)


def _is_refusal(error: Exception) -> bool:
    from solver.refusal import Refusal

    return isinstance(error, Refusal)


def _of_the_database(error: Exception) -> str | None:
    """Why a database could not do what was asked: it is away, locked, read-only, full, or no database; `None` for all else."""
    import sqlite3

    database = sys.modules.get("engine.database")
    if database is None:
        return None
    cause = getattr(error, "orig", None) or error  # what the driver said
    used = isinstance(cause, database.Unavailable) or type(cause) in (sqlite3.OperationalError, sqlite3.DatabaseError)
    return str(cause).partition("\n")[0] if used else None


def _is_of_a_policy(error: Exception) -> bool:
    """Whether a policy in a file of the user's own failed or broke a rule."""
    from solver.policies.own import PolicyFault

    return isinstance(error, PolicyFault)


def _is_usage(error: Exception) -> bool:
    """Whether typer says it itself: a missing argument, an unknown option."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def _debugging(ctx: Any) -> bool:
    return bool(ctx and ctx.params.get("debug")) or os.environ.get(DEBUG, "") not in ("", "0")


operating.register(app)
app.add_typer(scenarios.scenario_app, name="scenario")


def main() -> None:
    """Run the command line."""
    with suppress(AttributeError, ValueError):  # a terminal that cannot show a dash shows a question mark
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        sys.stderr.reconfigure(errors="replace")  # type: ignore[union-attr]
    from api.progress import interruption

    interruption.heed()
    app()


if __name__ == "__main__":
    main()
