import json
from pathlib import Path

from benchmarks import __main__ as command
from benchmarks.returns import worst_over_rules
from simulation.returning import RULES


def test_a_quick_run_sets_the_rules_side_by_side(tmp_path: Path) -> None:
    assert command.main(["returns", "--quick", "--out", str(tmp_path)]) == 0
    measured = json.loads((tmp_path / "results.json").read_text())["returns"]["measured"]
    assert list(measured["made up 0"]["runs"]) == list(RULES)
    worst = worst_over_rules(measured)
    assert worst is not None
    assert worst <= 0
    page = (tmp_path / "results.md").read_text()
    assert "| joint choice |" in page
    assert "| where it came from |" in page
