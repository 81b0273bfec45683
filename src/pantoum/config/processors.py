"""How many processors this process may use, and the variables by which people and programs limit its threads.

``PANTOUM_THREADS`` counts first. Without it ``OMP_NUM_THREADS`` does, as for the numeric libraries of others:
joblib and dask set it in their workers, so that several of them share a machine. Without both all processors
are used that the system lets this process run on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["MOST_THREADS", "THREAD_VARIABLES", "thread_limit", "usable_processors"]

THREAD_VARIABLES = (
    "PANTOUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""What limits the threads of the core and of the BLAS libraries that NumPy may use."""
MOST_THREADS = 1024


def usable_processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_limit(environment: Mapping[str, str] | None = None) -> int | None:
    """The threads that ``PANTOUM_THREADS`` allows, or else ``OMP_NUM_THREADS`` (of several numbers the
    first), which is for other libraries too, so that it is not taken for more than the processors there are.
    ``None`` if neither is set, or no such number."""
    environment = os.environ if environment is None else environment
    own = _number(environment.get("PANTOUM_THREADS", ""))
    if own is not None:
        return own
    others = _number(environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip())
    return None if others is None else min(others, usable_processors())


def _number(text: str) -> int | None:
    found = int(text) if text.isascii() and text.isdigit() else 0
    return min(found, MOST_THREADS) or None
