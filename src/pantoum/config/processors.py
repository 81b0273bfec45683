"""How many processors this process may use, and the variables by which people and programs limit its threads.

``PANTOUM_THREADS`` counts first. Without it ``OMP_NUM_THREADS`` does, as for the numeric libraries of others:
joblib and dask set it in their workers, so that several of them share a machine. Without both all processors
are used that the system lets this process run on; a container that may use the time of two has two.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

THREAD_VARIABLES = (
    "PANTOUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""What limits the threads of the core and of the BLAS libraries that NumPy may use."""
MOST_THREADS = 1024
CONTROL_GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable_processors() -> int:
    """Processors that this process may run on, but no more than its container has time for."""
    return _processors(0)


def machine_processors() -> int:
    """Processors for all processes of this machine, or of this container, together. A launcher may have bound
    this process to some of them, but hardly the first process."""
    return _processors(1)


def processor_name() -> str:
    """The processor's name, where the system says it."""
    try:
        with Path("/proc/cpuinfo").open(errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return platform.processor()


def _processors(process: int) -> int:
    """``process``: its number; 0: this one."""
    try:
        count = len(os.sched_getaffinity(process))
    except (AttributeError, OSError):  # not Linux, or not to be asked
        count = os.cpu_count() or 1
    limit = control_group_limit()
    return count if limit is None else min(count, limit)


@lru_cache(maxsize=4)
def control_group_limit(root: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> int | None:
    """For how many processors the control groups of this process, and those above them, have time, rounded
    up; ``None``: for all. It is what ``docker run --cpus`` and the limits of Kubernetes set (Linux, Control
    Group v2: ``cpu.max``)."""
    try:
        path = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    quotas, place = [], root / path.lstrip("/")
    for folder in (place, *place.parents):
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            quotas.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            pass  # not there, without a limit ("max"), or of a form that is not known
        if folder == root:
            break
    return max(1, math.ceil(min(quotas))) if quotas else None


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
    number = int(text) if text.isascii() and text.isdigit() else 0
    return min(number, MOST_THREADS) or None
