"""What is the fastest on this machine: measured once, and kept in the user's cache folder.

The ways take turns and the least time of each counts, so that a machine that is busy meanwhile does not
choose wrongly; where the least times do not come again, it is measured for longer. A cache that is damaged,
or cannot be written, is measured again.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pantoum.config import VERSION
from pantoum.config.processors import processor_name

ROUNDS, MOST_SECONDS = 12, 1.0
"""The least rounds, and the time within which others follow."""
MOST_BYTES = 1 << 20
"""Bytes that the cache file may have: a larger file was not written by pantoum."""


def cache_folder(system: str = sys.platform) -> Path:
    """Where a person's caches of pantoum lie."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "pantoum"
    if system == "win32" and (given := os.environ.get("LOCALAPPDATA")):
        return Path(given) / "pantoum" / "Cache"
    return Path.home() / ("Library/Caches" if system == "darwin" else ".cache") / "pantoum"


def cache_file() -> Path:
    """Where measurements are kept."""
    return cache_folder() / "fastest.json"


def least_times(
    question: str, ways: Mapping[str, Callable[[], object]], clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The least seconds of each way. ``question``: what is asked, with all on which the answer depends, apart
    from the processor and the version of pantoum."""
    key = f"{processor_name()}|{platform.machine()}|{VERSION}|{question}"
    known = _read()
    found = known.get(key, {})
    if set(found) != set(ways) or not all(0.0 < took < math.inf for took in found.values()):
        times: dict[str, list[float]] = {name: [] for name in ways}
        start, rounds = clock(), 0
        while rounds < ROUNDS or (clock() - start < MOST_SECONDS and not all(map(_settled, times.values()))):
            for name, work in ways.items():
                began = clock()
                work()
                times[name].append(max(clock() - began, 1e-9))
            rounds += 1
        found = {name: min(each) for name, each in times.items()}
        _write({**known, key: found})
    return found


def _settled(times: list[float]) -> bool:
    least = sorted(times)[:3]
    return least[-1] < 1.1 * least[0]


def _read() -> dict[str, dict[str, float]]:
    """What was measured before; whatever is no such file is nothing."""
    try:
        with cache_file().open("rb") as file:
            found = json.loads(file.read(MOST_BYTES))
        return {
            str(key): {str(way): float(took) for way, took in each.items()} for key, each in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, RuntimeError):
        return {}


def _write(known: Mapping[str, Mapping[str, float]]) -> None:
    """In one step: others may read it, or write it at the same time."""
    with suppress(OSError, RuntimeError):
        file = cache_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}.{os.getpid()}")
        fresh.write_text(json.dumps(known, indent=1), encoding="utf-8")
        fresh.replace(file)
