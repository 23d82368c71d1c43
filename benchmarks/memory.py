"""What a process holds in memory, and the most that it has held."""

import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most memory that this process has held, 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def held_bytes() -> int:
    """What this process holds now; where the system does not say, the most that it has held."""
    told = Path("/proc/self/status")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return peak_bytes()
