"""A small edition of what nobody would send."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_whatever_is_sent_there_is_no_bug_and_a_refusal_changes_nothing(database_url: str) -> None:
    """In a process of its own, as it is run in the large."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.api.http.fuzzing", database_url, "200", "60", "0"], cwd=ROOT, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert [found[name] for name in ("bugs", "changed", "undescribed", "unbalanced")] == [[]] * 4
    assert found["cases"] >= 200
    assert len(found["statuses"]) >= 5, found["statuses"]
