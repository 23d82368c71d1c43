import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from solver import policies
from solver.effort import Effort, Policy, Watch, unwatched
from solver.plan import Plan
from solver.planfile import write_plan
from solver.problem import Problem

Run = Callable[..., Result]
Make = Callable[[str, Effort, int, Watch], Policy]

ROOT = Path(__file__).parent.parent.parent
LIMIT = Effort(seconds=1.0)
HEAVY = (
    "numpy",
    "scipy",
    "numba",
    "ortools",
    "highspy",
    "duckdb",
    "altair",
    "jinja2",
    "msgspec",
    "solver",
    "simulation",
)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def changed(make: Make, change: Callable[[Problem, Plan], Plan]) -> Make:
    """The same policies, whose plans are changed before anyone sees them."""

    def other(name: str, effort: Effort = LIMIT, seed: int = 0, watch: Watch = unwatched) -> Policy:
        decide = make(name, effort, seed, watch)
        return lambda problem: change(problem, decide(problem))

    return other


def only_line(result: Result) -> str:
    """The one line that a command says when it cannot go on."""
    (line,) = result.stderr.splitlines()
    assert result.stdout == ""
    return line


@pytest.mark.parametrize("arguments", [["--help"], ["solve", "--help"], ["replay", "-h"], ["--version"]])
def test_help_answers_before_anything_heavy_is_loaded(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom api.cli import app\n"
        f"result = CliRunner().invoke(app, {arguments!r})\nassert result.exit_code == 0, result.output\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_every_command_explains_itself(run: Run) -> None:
    for command in ("solve", "check", "compare", "import", "replay", "demo", "doctor"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert result.stderr == ""


def test_the_version_goes_to_standard_output(run: Run) -> None:
    assert run("--version").stdout.startswith("allot ")


@pytest.mark.parametrize("arguments", [[], ["solve"], ["solve", "--no-such-option"], ["pack"], ["import", "sap", "x"]])
def test_wrong_usage_is_exit_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--no-such-option"], "No such option: --no-such-option; see allot --help"),
        (["ponder"], "No such command 'ponder'; see allot --help"),
        (["solve"], "Missing argument 'WAVE'; see allot solve --help"),
        (["solve", "wave.json", "--out", "plan.json", "--seed", "x"], "Invalid value for '--seed': "),
        (
            ["solve", "wave.json", "--out", "plan.json", "--time-limit", "nan"],
            "Invalid value for '--time-limit': ",
        ),
    ],
)
def test_wrong_usage_is_said_in_one_line(run: Run, wave: Path, arguments: list[str], says: str) -> None:
    arguments = [str(wave) if word == "wave.json" else word for word in arguments]
    assert says in only_line(run(*arguments))


def allot(*arguments: object, first: str = "", stdout: int | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process of its own, after a line of Python."""
    script = f"{first}\nimport sys\nsys.argv[0] = 'allot'\nfrom api.__main__ import main\nmain()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ALLOT_DEBUG": ""}
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=environment,
    )


def killed_at(module: str, signal: str) -> str:
    """A line that has the process get a signal when it begins to import a module."""
    return (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.{signal})\n"
        "sys.meta_path.insert(0, Finder())"
    )


@pytest.mark.parametrize("group", ["export", "keys"])
def test_a_group_of_commands_alone_shows_its_help_and_says_nothing_more(run: Run, group: str) -> None:
    result = run(group)
    assert (result.exit_code, result.stderr) == (2, "")
    assert "Usage: allot" in result.stdout


def test_an_interruption_before_the_command_line_is_loaded_is_quiet() -> None:
    done = allot("doctor", first=killed_at("typer", "SIGINT"))
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interruption_while_a_command_is_loaded_is_one_line(wave: Path, name: str, code: int) -> None:
    done = allot("compare", wave, first=killed_at("solver.wave", name))
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "allot: interrupted\n")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_who_has_seen_enough_is_no_fault(run: Run, wave: Path, tmp_path: Path, form: list[str]) -> None:
    run("solve", wave, "--out", tmp_path / "plan.json")
    read, write = os.pipe()
    os.close(read)
    done = allot("check", wave, tmp_path / "plan.json", *form, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no device that is always full")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_output_that_cannot_be_written_is_said_in_one_line(
    run: Run, wave: Path, tmp_path: Path, form: list[str]
) -> None:
    run("solve", wave, "--out", tmp_path / "plan.json")
    full = os.open("/dev/full", os.O_WRONLY)
    done = allot("check", wave, tmp_path / "plan.json", *form, stdout=full)
    os.close(full)
    assert (done.returncode, done.stderr) == (
        2,
        "allot: standard output: cannot be written: No space left on device\n",
    )


# --- solve ----------------------------------------------------------------------------------------------------------


def test_solve_writes_a_plan_that_check_accepts(run: Run, wave: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    solved = run("solve", wave, "--out", plan, "--seed", "7")
    assert (solved.exit_code, solved.stderr) == (0, f"allot: plan written to {plan}\n")
    assert "21.20" in solved.stdout
    written = json.loads(plan.read_text())
    assert (written["cost_cents"], written["status"], written["policy"], written["seed"]) == (
        2_120,
        "optimal",
        "joint",
        7,
    )
    assert run("check", wave, plan).exit_code == 0


def test_solve_as_json_is_one_object_on_standard_output(run: Run, wave: Path, tmp_path: Path) -> None:
    result = run("solve", wave, "--out", tmp_path / "plan.json.gz", "--policy", "nearest", "--json")
    answer = json.loads(result.stdout)
    assert result.stderr == ""
    assert (answer["policy"], answer["cost_cents"], answer["parcels"]) == ("nearest", 5_665, 1)
    assert answer["bill"]["unfilled"] == 5_000


def test_a_wave_may_come_and_a_plan_may_go_by_a_pipe(run: Run, wave: Path, tmp_path: Path) -> None:
    solved = run("solve", "-", "--out", "-", stdin=wave.read_bytes())
    assert (solved.exit_code, solved.stderr) == (0, "")
    assert json.loads(solved.stdout)["cost_cents"] == 2_120
    assert run("check", wave, "-", stdin=solved.stdout).exit_code == 0
    both = run("solve", wave, "--out", "-", "--json")
    assert (both.exit_code, only_line(both).startswith("allot: --json: goes to standard output")) == (2, True)
    assert only_line(run("compare", wave, "--out", "-")) == "allot: -: is no folder; name one"


def test_the_seconds_of_a_plan_count_from_reading_the_wave(run: Run, wave: Path, tmp_path: Path) -> None:
    run("solve", wave, "--out", tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text())["seconds"] > 0


def test_solve_starts_from_the_prices_of_an_earlier_plan(
    run: Run, wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    run("solve", wave, "--out", first)
    priced = json.loads(first.read_text())
    priced["prices"] = {"stock": [["far", "kettle", 12.5]], "nodes": [["near", 3.0]]}
    first.write_text(json.dumps(priced))
    seen: list[Problem] = []

    def remember(problem: Problem, plan: Plan) -> Plan:
        seen.append(problem)
        return plan

    monkeypatch.setattr(policies, "make", changed(policies.make, remember))
    assert run("solve", wave, "--out", second, "--warm", first).exit_code == 0
    assert seen[0].row_price.tolist() == [0.0, 12.5]
    assert seen[0].node_price.tolist() == [3.0, 0.0]


def test_prices_are_refused_by_a_policy_that_has_no_use_for_them(run: Run, wave: Path, tmp_path: Path) -> None:
    run("solve", wave, "--out", tmp_path / "plan.json")
    result = run("solve", wave, "--out", tmp_path / "b.json", "--policy", "nearest", "--warm", tmp_path / "plan.json")
    assert (result.exit_code, only_line(result)) == (
        2,
        "allot: --warm: is for joint; nearest has no use for prices",
    )


def test_a_wave_with_a_fault_is_refused_in_one_line_and_nothing_is_written(
    run: Run, wave: Path, tmp_path: Path
) -> None:
    wave.write_text(wave.read_text().replace('"qty":1', '"qty":0', 1))
    for command in (["solve", wave, "--out", tmp_path / "plan.json"], ["compare", wave, "--out", tmp_path / "report"]):
        result = run(*command)
        assert result.exit_code == 2
        assert only_line(result).startswith("allot: orders[0].lines[0].qty: ")
    assert files(tmp_path) == ["wave.json"]


@pytest.mark.parametrize(
    ("out", "says"),
    [("nowhere/plan.json", "there is no folder"), (".", "is a folder"), ("wave.json", "is what is read")],
)
def test_a_place_that_cannot_take_the_plan_is_refused_before_the_work(
    run: Run, wave: Path, tmp_path: Path, out: str, says: str
) -> None:
    before = wave.read_bytes()
    result = run("solve", wave, "--out", tmp_path / out)
    assert result.exit_code == 2
    assert says in only_line(result)
    assert files(tmp_path) == ["wave.json"]
    assert wave.read_bytes() == before


def test_a_policy_that_is_not_there_is_refused_with_those_that_are(run: Run, wave: Path, tmp_path: Path) -> None:
    result = run("solve", wave, "--out", tmp_path / "plan.json", "--policy", "psychic")
    assert result.exit_code == 2
    assert "'psychic' is not a policy" in only_line(result)
    assert "joint" in only_line(result)


def test_a_policy_that_looks_ahead_needs_a_history(run: Run, wave: Path, tmp_path: Path) -> None:
    result = run("compare", wave, "--policy", "bid_price:days=3")
    assert result.exit_code == 2
    assert "looks ahead" in only_line(result)


def test_a_missing_file_is_refused(run: Run, tmp_path: Path) -> None:
    result = run("compare", tmp_path / "none.json")
    assert result.exit_code == 2
    assert "none.json: no such file" in only_line(result)


def test_a_bug_says_so_in_one_line_and_how_to_see_where(
    run: Run, wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "make", lambda *_: lambda _problem: 1 // 0)
    result = run("solve", wave, "--out", tmp_path / "plan.json")
    assert result.exit_code == 1
    assert only_line(result).startswith("allot: this is a bug: ZeroDivisionError")
    assert "ALLOT_DEBUG=1" in only_line(result)
    assert files(tmp_path) == ["wave.json"]
    shown = run("--debug", "solve", wave, "--out", tmp_path / "plan.json")
    assert isinstance(shown.exception, ZeroDivisionError)


def test_a_plan_that_breaks_a_rule_is_a_bug_and_is_never_written(
    run: Run, wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oversell = changed(policies.make, lambda _problem, plan: replace(plan, entry_units=plan.entry_units + 1))
    monkeypatch.setattr(policies, "make", oversell)
    result = run("solve", wave, "--out", tmp_path / "plan.json")
    assert result.exit_code == 1
    assert "joint broke the rules" in only_line(result)
    assert files(tmp_path) == ["wave.json"]


def test_an_interruption_is_exit_130_without_a_traceback(
    run: Run, wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_problem: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(policies, "make", lambda *_: interrupted)
    result = run("solve", wave, "--out", tmp_path / "plan.json")
    assert (result.exit_code, only_line(result)) == (130, "allot: interrupted")


def test_an_interruption_while_the_plan_is_written_does_not_lose_it(
    run: Run, wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, problem: Problem, plan: Plan) -> None:
        signal.raise_signal(signal.SIGINT)
        write_plan(path, problem, plan)

    monkeypatch.setattr("solver.planfile.write_plan", write)
    result = run("solve", wave, "--out", tmp_path / "plan.json")
    says = f"allot: stopped: this is the best plan so far\nallot: plan written to {tmp_path / 'plan.json'}\n"
    assert (result.exit_code, result.stderr) == (0, says)
    assert run("check", wave, tmp_path / "plan.json").exit_code == 0


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_lists_every_violation_and_exits_1(run: Run, wave: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    run("solve", wave, "--out", plan)
    broken = json.loads(plan.read_text())
    broken["parcels"][0]["lines"] = [[0, 2]]
    plan.write_text(json.dumps(broken))
    result = run("check", wave, plan)
    assert (result.exit_code, result.stderr) == (1, "")
    assert len(result.stdout.splitlines()) >= 2
    verdict = json.loads(run("check", wave, plan, "--json").stdout)
    assert verdict["ok"] is False
    assert verdict["violations"] == result.stdout.splitlines()


def test_check_as_json_gives_the_bill(run: Run, wave: Path, tmp_path: Path) -> None:
    run("solve", wave, "--out", tmp_path / "plan.json")
    verdict = json.loads(run("check", wave, tmp_path / "plan.json", "--json").stdout)
    assert verdict["ok"] is True
    assert sum(verdict["bill"].values()) == 2_120


def test_a_plan_that_is_no_plan_is_refused(run: Run, wave: Path) -> None:
    result = run("check", wave, wave)
    assert result.exit_code == 2
    assert only_line(result) == f"allot: {wave}: is a wave (wave/1); a plan (plan/1) is expected"


# --- doctor ---------------------------------------------------------------------------------------------------------


def test_doctor_finds_the_machine_of_these_tests_fit() -> None:
    command = [sys.executable, "-m", "api.cli", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent.parent)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["ok"]) == (0, True), answer
    assert "Solvers together" in [finding["name"] for finding in answer["findings"]]
