"""How long reading a wave takes, and how much memory: a process of its own, so that nothing else counts.

`python -m benchmarks.reading WAVE` writes one JSON object.
"""

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import solver
from benchmarks.memory import peak_bytes
from solver.wave import load


def measured_apart(wave: Path) -> dict[str, Any]:
    """Read a wave in a new process, and bring back what that took."""
    root = Path(__file__).parent.parent
    done = subprocess.run(  # noqa: S603 - this interpreter, on a file of our own making
        [sys.executable, "-m", "benchmarks.reading", str(wave.resolve())],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def measure(wave: Path) -> dict[str, Any]:
    """Read a wave once the compiled kernels are there."""
    load(Path(solver.__file__).parent / "examples" / "wave.json")
    before = peak_bytes()
    began = perf_counter()
    problem = load(wave)
    seconds = perf_counter() - began
    return {
        "orders": problem.orders,
        "lines": problem.lines,
        "nodes": problem.nodes,
        "options": len(problem.option_node),
        "file_bytes": wave.stat().st_size,
        "seconds": seconds,
        "peak_bytes": peak_bytes(),
        "peak_before_bytes": before,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))) + "\n")
