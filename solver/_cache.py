"""Where compiled kernels are kept: in a folder named after the sources of all of them.

Numba notices a change of the file that a kernel stands in, but not of the kernels that it calls in other files. A folder for each
state of the sources means that no stale kernel is ever run.
"""

import hashlib
import os
from pathlib import Path

import numba


def kernel_folder() -> Path:
    """Name the folder for the kernels as their sources stand now: beside them, or where that cannot be written, at home."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(here.rglob("*.py")):
        content = source.read_bytes()
        if b"njit" in content or source.name == "problem.py":
            digest.update(content)
    name = f"kernels-{digest.hexdigest()[:16]}"
    beside = here / "__pycache__"
    writable = os.access(beside if beside.exists() else here, os.W_OK)
    return (beside if writable else Path.home() / ".cache" / "allot") / name


KERNEL_FOLDER = kernel_folder()
if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = str(KERNEL_FOLDER)  # type: ignore[attr-defined]
