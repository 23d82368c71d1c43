"""The machine on which something was measured: without it a number of seconds says nothing."""

import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

LIBRARIES = ("numpy", "scipy", "numba", "highspy", "ortools", "duckdb", "msgspec")


@dataclass(frozen=True)
class Machine:
    """What the measurements ran on.

    Attributes
    ----------
    cores
        That this process may use.
    memory_bytes
        Of the whole machine, 0 where it cannot be asked.
    """

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    allot: str
    libraries: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The machine as plain values."""
        return asdict(self)


def this_machine() -> Machine:
    """Ask the machine that this runs on."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        allot=_version("allot"),
        libraries={name: _version(name) for name in LIBRARIES},
    )


def described(machine: dict[str, Any]) -> str:
    """One sentence for people, from the plain values of a machine."""
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if machine["memory_bytes"] else ""
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores{memory}, {machine['system']}; "
        f"Python {machine['python']}, {libraries}; allot {machine['allot']}."
    )


def _cpu() -> str:
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or sys.platform


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "(not installed)"
