"""What a process holds in memory, and the most that it has held."""

import os
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """The most memory that this process has held, 0 where the system does not say.

    Linux tells it in `VmHWM`. What `getrusage` says there also counts the process that started this one.
    """
    told = _told("VmHWM:")
    if told is not None:
        return told
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def held_bytes() -> int:
    """What this process holds now; where the system does not say, the most that it has held."""
    told = _told("VmRSS:")
    return peak_bytes() if told is None else told


def limit_memory(share: float) -> None:
    """Let this process have no more than a share of the machine's memory: beyond it, it fails, and the machine goes on."""
    try:
        import resource

        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        resource.setrlimit(resource.RLIMIT_AS, (int(share * whole), resource.RLIM_INFINITY))
    except (ImportError, AttributeError, ValueError, OSError):
        return  # a system without such limits


def _told(name: str) -> int | None:
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return None
