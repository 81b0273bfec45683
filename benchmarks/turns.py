"""Processes that take turns: so that noise of a shared machine hits all of them, and none disturbs another.

Each contestant is a process of its own (two frameworks in one process share threads and allocators). While
one has its turn the others are stopped by a signal: threads that spin after their work would take its cores.
Starting is done two at a time and may take a while (JAX compiles); what does not start in time, because its
framework is not installed or compiles for minutes, is left out and said.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from contestants import Shape, work

START = 120.0
"""Seconds that a contestant may take until it is ready."""
STARTED_TOGETHER = 2
TURNS = 4
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PANTOUM_THREADS",
           "TF_NUM_INTRAOP_THREADS")


class Child:
    """One contestant's process; a name may end in ``@N``: on N threads."""

    def __init__(self, name: str, shape: Shape, threads: int) -> None:
        self.name, self.times = name, list[float]()
        contestant, _, own = name.partition("@")
        here = Path(__file__).resolve().parent
        self.process = subprocess.Popen(
            [sys.executable, str(here / "contestants.py"), contestant, json.dumps(shape)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **dict.fromkeys(THREADS, own or str(threads)),
                 "KERAS_BACKEND": contestant.split(":")[0],
                 # What JAX has compiled once it finds again in the next run.
                 "JAX_COMPILATION_CACHE_DIR": str(Path(tempfile.gettempdir(), "jax-compiled")),
                 "PYTHONPATH": os.pathsep.join([str(here.parent / "src"), os.environ.get("PYTHONPATH", "")])})

    def wait(self) -> bool:
        """Until it is ready; False if it failed or took too long."""
        late = threading.Timer(START, self.process.kill)
        late.start()
        line = "-"
        while line and line.strip() != "ready":
            line = self._line()
        late.cancel()
        if line:
            self._signal("SIGSTOP")
        return bool(line)

    def run(self, seconds: float) -> list[float]:
        """One turn: the times of its steps, which it also keeps."""
        assert self.process.stdin is not None
        self._signal("SIGCONT")
        print(seconds, file=self.process.stdin, flush=True)
        found: list[float] = json.loads(self._line())
        self._signal("SIGSTOP")
        self.times += found
        return found

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _signal(self, name: str) -> None:
        if hasattr(signal, name):  # not on Windows
            self.process.send_signal(getattr(signal, name))


def start(names: list[str], shape: Shape, threads: int) -> tuple[dict[str, Child], list[str]]:
    """The contestants that are ready, and the names of those that are not."""
    ready: dict[str, Child] = {}
    missing: list[str] = []
    for first in range(0, len(names), STARTED_TOGETHER):
        began = time.perf_counter()
        for child in [Child(name, shape, threads) for name in names[first : first + STARTED_TOGETHER]]:
            if child.wait():
                ready[child.name] = child
            else:
                missing.append(child.name)
            say(f"{child.name} {'ready' if child.name in ready else 'DID NOT START'} "
                f"after {time.perf_counter() - began:.1f} s")
    return ready, missing


def take_turns(children: dict[str, Child], seconds: float) -> None:
    """So many seconds for each of them in all."""
    for turn in range(TURNS):
        for child in children.values():
            child.run(seconds / TURNS)
        say(f"turn {turn + 1} of {TURNS} done")


def summary(child: Child, shape: Shape) -> dict[str, Any]:
    """What its times say: seconds, and the rate of its least time."""
    low = min(child.times)
    return {"min": low, "median": statistics.median(child.times), "max": max(child.times),
            "steps": len(child.times), "gflops": work(child.name.partition("@")[0], shape) / low}


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
