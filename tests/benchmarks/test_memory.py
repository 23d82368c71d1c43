"""The peak of a process is its own, not that of the process that started it."""

import subprocess
import sys

from benchmarks.memory import held_bytes, peak_bytes

TOLD = "from benchmarks.memory import peak_bytes; print(peak_bytes())"


def test_a_process_is_not_charged_for_the_one_that_started_it() -> None:
    big = bytearray(b"x" * 300 * 2**20)
    told = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=True)
    assert held_bytes() > len(big)
    assert int(told.stdout) < len(big)


def test_the_peak_stays_when_memory_is_given_back() -> None:
    big = bytearray(b"x" * 200 * 2**20)
    size = len(big)
    del big
    assert peak_bytes() >= size
