import math
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from api.progress import describe, interruption


def test_what_is_not_known_yet_is_not_shown() -> None:
    assert describe("pricing", 1.5, math.inf, -math.inf) == "pricing  1.50 s"
    assert describe("pricing", 12, 200_00, 150_00) == "pricing  12 s  cost 200.00  bound 150.00  gap 25.00 %"


def test_an_interruption_that_compiled_code_swallowed_still_stops_the_work(
    run: Callable[..., Result], wave: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "signal", signal.SIGINT)
    result = run("solve", wave, "--out", tmp_path / "plan.json")
    assert (result.exit_code, result.stderr) == (130, "allot: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["wave.json"]
