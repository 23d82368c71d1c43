"""A policy in a file of one's own sits the same exam as ours, and only the command line takes its path."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from api import compare
from api.cli import app
from api.solving import solve_wave
from scenarios.applying import apply
from scenarios.grids import Grid
from solver.effort import Effort
from solver.policies import bid_price, own
from solver.refusal import Refusal
from tests.api.conftest import JOINT_CENTS, small_wave
from tests.scenarios.worlds import history, network, scenario

Write = Callable[..., str]

SPARE = '''
from dataclasses import replace
from solver import Effort, Plan, Problem, bill, make

def spare(problem: Problem, effort: Effort, seed: int, cents: int = 0) -> Plan:
    """The joint plan, as if parcels cost more."""
    plan = make("joint", effort, seed)(replace(problem, node_parcel_cents=problem.node_parcel_cents + cents))
    return replace(plan, cost_cents=sum(bill(problem, plan).values()))

def dearer(problem: Problem) -> Problem:
    return problem

def billed(problem: Problem, plan: Plan) -> Plan:
    return plan
'''
NOTHING = """
from solver.plan import Plan, empty_plan

def keep(problem) -> Plan:
    return empty_plan(problem, int((problem.line_qty * problem.line_unfilled_cents).sum()), 0.0)
"""
AHEAD = '''
from dataclasses import dataclass
import msgspec
from solver import Effort, Plan, make
from solver.outlook import Outlook

class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: float = 1.0

@dataclass(frozen=True)
class Ahead:
    """Sees what is free and what is expected, and remembers how often it was asked."""
    settings: Settings
    outlook: Outlook
    effort: Effort
    seed: int

    def __call__(self, problem):
        raise AssertionError("it looks ahead")

    def look(self, problem, present, memory):
        asked = (memory or 0) + 1
        expected = self.outlook.expected(present, present.stock_sku[:1], days=self.settings.days)
        with open({path!r}, "a") as seen:
            print(asked, self.settings.days, len(expected), file=seen)
        return make("nearest", self.effort, self.seed)(problem), asked
'''


def call(*arguments: str | Path, debug: str = "") -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"ALLOT_DEBUG": debug})


def line(result: Result) -> str:
    """What was said, which is one line."""
    (said,) = result.stderr.splitlines()
    return said


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a policy file; gives its path as somebody types it."""

    def written(source: str, name: str = "mine.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        return str(path)

    return written


@pytest.fixture
def past(tmp_path: Path) -> Path:
    """A history of two days."""
    (tmp_path / "orders.csv").write_text(
        "order,placed_at,sku,qty,unit_price_cents,lat,lon\n"
        "1,2024-05-01 10:00,kettle,1,2500,51.5,-0.1\n2,2024-05-02 11:30,cup,2,400,53.4,-2.2\n"
    )
    done = call("import", "csv", tmp_path / "orders.csv", "--currency", "GBP", "--out", tmp_path / "history")
    assert done.exit_code == 0, done.output
    return tmp_path / "history"


# --- the same exam ----------------------------------------------------------------------------------------------------


def test_a_policy_in_a_file_is_compared_with_ours_by_the_name_of_file_and_function(wave: Path, write: Write) -> None:
    mine = write(SPARE)
    result = call(
        "compare", wave, "--policy", mine, "--policy", f"{mine}:spare:cents=9000", "--policy", "joint", "--json"
    )
    assert result.exit_code == 0, result.output
    by_name = {row["policy"]: row for row in json.loads(result.stdout)["policies"]}
    assert list(by_name) == ["mine.spare", "mine.spare:cents=9000", "joint"]
    assert [row["cost_cents"] for row in by_name.values()] == [JOINT_CENTS, 10_000, JOINT_CENTS]
    assert "mine.spare:cents=9000" in call("compare", wave, "--policy", f"{mine}:spare:cents=9000").stdout


def test_a_policy_in_a_file_decides_a_wave(wave: Path, write: Write, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    result = call("solve", wave, "--policy", write(SPARE), "--out", plan)
    assert result.exit_code == 0, result.output
    assert json.loads(plan.read_text())["policy"] == "mine.spare"
    assert call("check", wave, plan).exit_code == 0


def test_a_bound_of_ones_own_is_not_believed(wave: Path, write: Write) -> None:
    claim = NOTHING.replace("0.0)", "10_000.0)")
    rows = json.loads(call("compare", wave, "--policy", write(claim), "--policy", "joint", "--json").stdout)["policies"]
    assert [row["bound_cents"] for row in rows] == [pytest.approx(JOINT_CENTS)] * 2
    assert rows[0]["gap"] == pytest.approx((10_000 - JOINT_CENTS) / 10_000)


def test_a_class_is_made_with_effort_and_seed_and_then_called(wave: Path, write: Write) -> None:
    mine = write(
        NOTHING.replace("def keep", "def _keep") + "from solver import make\nclass Near:\n"
        "    def __init__(self, effort, seed, watch, ship=True):\n"
        "        self.by = make('nearest', effort, seed, watch) if ship else _keep\n"
        "    def __call__(self, problem): return self.by(problem)\n"
    )
    usual, told = mine, f"{mine}:Near:ship=false"
    rows = json.loads(call("compare", wave, "--policy", usual, "--policy", told, "--json").stdout)["policies"]
    assert [(row["policy"], row["cost_cents"]) for row in rows] == [
        ("mine.Near", JOINT_CENTS),
        ("mine.Near:ship=false", 10_000),
    ]


def test_a_policy_in_a_file_is_replayed(past: Path, write: Write) -> None:
    result = call("replay", past, "--network", "uk", "--policy", write(NOTHING), "--policy", "nearest", "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [(row["policy"], row["parcels"]) for row in rows] == [("mine.keep", 0), ("nearest", 2)]


def test_a_copy_of_a_file_of_ours_decides_as_ours_does(past: Path, write: Write) -> None:
    mine = write(Path(bid_price.__file__).read_text(), "mine.py")
    told = "days=2,samples=2"
    result = call(
        "replay",
        past,
        "--network",
        "uk",
        "--policy",
        f"{mine}:BidPrice:{told}",
        "--policy",
        f"bid_price:{told}",
        "--json",
    )
    assert result.exit_code == 0, result.output
    copy, ours = json.loads(result.stdout)["rows"]
    assert copy["policy"] == "mine.BidPrice:days=2,samples=2"
    assert copy["decisions"] == ours["decisions"]


def test_one_that_looks_ahead_is_told_the_outlook_and_what_it_remembers(
    past: Path, wave: Path, write: Write, tmp_path: Path
) -> None:
    mine = write(AHEAD.replace("{path!r}", repr(str(tmp_path / "seen"))))
    result = call("replay", past, "--network", "uk", "--policy", f"{mine}:Ahead:days=2")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "seen").read_text().splitlines() == ["1 2.0 1", "2 2.0 1"]
    refused = call("compare", wave, "--policy", mine)
    assert (refused.exit_code, "needs an outlook" in line(refused)) == (2, True)


@pytest.mark.slow
def test_processes_of_a_sweep_run_the_file_themselves(past: Path, write: Write) -> None:
    run = ("scenario", "run", "rate-card-up-8", "--history", past, "--network", "uk", "--seeds", "2", "--json")
    mine = write("import beside\n" + NOTHING)
    write("", "beside.py")
    one, two = (call(*run, "--policy", mine, "--jobs", jobs) for jobs in ("1", "2"))
    assert (one.exit_code, two.exit_code) == (0, 0), one.output + two.output
    assert json.loads(one.stdout)["hash"] == json.loads(two.stdout)["hash"]
    assert {row["policy"] for row in json.loads(two.stdout)["rows"]} == {"mine.keep"}


# --- what is refused, and whose fault it is -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "named", "says"),
    [
        ("", "", "mine.py: has no policy; name what to use"),
        (SPARE + NOTHING, "", "mine.py: has 2 policies (spare, keep); name what to use, as in "),
        (NOTHING, ":lend", "mine.py:lend: there is no such name in it"),
        ("keep = 3", ":keep", "mine.py:keep: is neither a function nor a class"),
        ("def keep(:", "", "mine.py: cannot be imported: SyntaxError: "),
        ("\nimport nowhere", "", "mine.py: cannot be imported: ModuleNotFoundError: No module named 'nowhere' (line 2)"),
        ("raise SystemExit(3)", "", "mine.py: cannot be imported: SystemExit: 3 (line 1)"),
        (NOTHING, ":keep:cents=3", "mine.keep:cents=3: cannot be made: TypeError: got an unexpected keyword argument 'cents'"),
        (NOTHING, ":keep:cents", "mine.py: settings of keep: 'cents' is not like key=value"),
        ("class Keep: pass", ":Keep", "mine.Keep: is a class without __call__, so it cannot decide"),
    ],
)  # fmt: skip
def test_a_file_without_such_a_policy_is_refused_in_one_line(
    wave: Path, write: Write, source: str, named: str, says: str
) -> None:
    result = call("compare", wave, "--policy", write(source) + named)
    assert result.exit_code == 2
    assert says in line(result)


def test_a_file_that_is_not_there_is_refused(wave: Path, tmp_path: Path) -> None:
    result = call("compare", wave, "--policy", tmp_path / "mine.py")
    assert (result.exit_code, line(result)) == (2, f"allot: {tmp_path / 'mine.py'}: no such file")


def test_two_policies_that_tables_could_not_tell_apart_are_refused(wave: Path, write: Write) -> None:
    one, two = write(NOTHING), write(NOTHING, "other/mine.py")
    result = call("compare", wave, "--policy", one, "--policy", two)
    assert (result.exit_code, "another policy is called mine.keep, too" in line(result)) == (2, True)
    ours = write("def priority(problem): ...", "magento.py")
    assert "another policy is called magento.priority, too" in line(call("compare", wave, "--policy", ours))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def rule(problem): ...", "mine.rule: gives nothing, not a Plan"),
        ("def rule(problem): return 3", "mine.rule: gives int, not a Plan"),
        ("def rule(problem):\n    return 1 // 0", "mine.rule: ZeroDivisionError: integer division or modulo by zero (line 2)"),
        ("def rule(problem): raise KeyError('x' * 1000)", f"mine.rule: KeyError: '{'x' * 289}... (line 1)"),
        (NOTHING.replace("keep", "rule").replace(".sum()", ".sum() - 1"),
         "mine.rule: breaks the rules: the plan: claims 9999 cents, costs 10000"),
        (
            "from dataclasses import replace\nfrom solver import make\n"
            "def rule(problem):\n"
            "    plan = make('nearest')(problem)\n"
            "    return replace(plan, entry_units=plan.entry_units + 1)\n",
            "mine.rule: breaks the rules: ",
        ),
    ],
)  # fmt: skip
def test_a_policy_that_fails_or_breaks_a_rule_is_its_authors_fault(
    wave: Path, write: Write, tmp_path: Path, source: str, says: str
) -> None:
    mine = write(source)
    result = call("solve", wave, "--policy", mine, "--out", tmp_path / "plan.json")
    assert result.exit_code == 1
    assert line(result).startswith(f"allot: {says}")
    assert line(result).endswith("(set ALLOT_DEBUG=1 to see where)")
    assert not (tmp_path / "plan.json").exists()
    shown = call("compare", wave, "--policy", mine, debug="1")
    assert isinstance(shown.exception, own.PolicyFault)


def test_columns_of_a_plan_are_whole_numbers(wave: Path, write: Write) -> None:
    mine = write(
        "from dataclasses import replace\nfrom solver import make\ndef rule(problem):\n"
        "    plan = make('nearest')(problem)\n    return replace(plan, parcel_node=plan.parcel_node * 1.0)\n"
    )
    result = call("compare", wave, "--policy", mine)
    assert result.exit_code == 1
    assert "mine.rule: parcel_node is of float64, not of whole numbers" in line(result)


def test_a_fault_in_a_replay_is_said_in_one_line(past: Path, write: Write) -> None:
    result = call("replay", past, "--network", "uk", "--policy", write("def rule(problem): ..."))
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1,
        "allot: mine.rule: gives nothing, not a Plan (set ALLOT_DEBUG=1 to see where)",
    )


def test_a_refusal_and_a_fault_come_whole_out_of_another_process() -> None:
    refusal = pickle.loads(pickle.dumps(Refusal("mine.py", "no such file", "no_file")))  # noqa: S301
    assert (str(refusal), refusal.code) == ("mine.py: no such file", "no_file")
    assert str(pickle.loads(pickle.dumps(own.PolicyFault("mine.rule: fails")))) == "mine.rule: fails"  # noqa: S301


# --- only the command line takes paths ----------------------------------------------------------------------------------


def test_a_path_in_a_request_or_a_scenario_file_is_refused_and_the_file_never_run(write: Write, tmp_path: Path) -> None:
    mine = write(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n" + NOTHING)
    for text in (mine, f"{mine}:keep", f"{mine}:keep:cents=1", "mine.keep"):
        with pytest.raises(Refusal):
            solve_wave(small_wave(("Ann",), ("near", "far")), text, Effort(1.0), 0)
        grid = Grid(history(), network(), (scenario(f'policy name="{text}"'),), ("cheapest",), (1,))
        with pytest.raises(Refusal, match="is not a policy"):
            apply(grid.scenarios[0], grid.placed(1))
    assert not (tmp_path / "ran").exists()
    assert isinstance(compare.known([mine])[0], own.Own)
    assert (tmp_path / "ran").exists()
