"""Contestants that count tokens: each a process of its own, taking turns, as in ``turns.py``.

A benchmark script is both the parent and, with ``--serve NAME``, the child of one contestant. The child makes
its work, says what it is in one line of JSON, and then answers every line of stdin (a number of seconds) with
the times of the steps it could do. What cannot start says why and is left out, never guessed. Whoever has
not its turn is stopped by a signal, because the threads of some spin after their work.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCE = str(Path(__file__).resolve().parent.parent / "src")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PANTOUM_THREADS")


@dataclass
class Work:
    """What a contestant does."""

    step: Callable[[], Any]
    units: float = 1.0
    """Tokens (or whatever is counted) in a step."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else it tells about itself when it begins."""
    after: Callable[[], dict[str, Any]] = dict
    """What it tells when it ends."""


def serve(make: Callable[[], Work], warm: int = 3) -> None:
    """The child."""
    try:
        work = make()
        for _ in range(warm):
            work.step()
    except Exception as problem:
        print(json.dumps({"missing": f"{type(problem).__name__}: {problem}"}), flush=True)
        return
    print(json.dumps({"units": work.units, **work.facts}), flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + float(line)
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            work.step()
            times.append(time.perf_counter() - start)
        print(json.dumps({"times": times, "facts": work.after()}), flush=True)


class Child:
    """A contestant as the parent sees it."""

    def __init__(self, script: str, name: str, threads: int, *more: str, **environment: str) -> None:
        path = os.pathsep.join([SOURCE, os.environ.get("PYTHONPATH", "")])
        self.name, self.times, self.threads = name, [], threads
        self.process = subprocess.Popen(
            [sys.executable, script, "--serve", name, *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, **dict.fromkeys(THREADS, str(threads)), "PYTHONPATH": path, **environment})
        self.facts: dict[str, Any] = self._answer()
        self._signal("SIGSTOP")

    times: list[float]

    @property
    def missing(self) -> str | None:
        """Why it does not take part."""
        return self.facts.get("missing")

    def run(self, seconds: float) -> None:
        """One turn."""
        if self.missing is None:
            assert self.process.stdin is not None
            self._signal("SIGCONT")
            print(seconds, file=self.process.stdin, flush=True)
            answer = self._answer()
            self._signal("SIGSTOP")
            self.times += answer.get("times", [])
            self.facts |= answer.get("facts", answer)

    def close(self) -> dict[str, Any]:
        """What was found: least, median and most seconds of a step, and units a second at the first two."""
        assert self.process.stdin is not None
        self._signal("SIGCONT")
        self.process.stdin.close()
        self.process.wait()
        found: dict[str, Any] = {"threads": self.threads, **self.facts}
        if self.times:
            low, middle = min(self.times), statistics.median(self.times)
            found |= {"min": low, "median": middle, "max": max(self.times), "steps": len(self.times),
                      "rate": found["units"] / low, "median_rate": found["units"] / middle}
        return found

    def _signal(self, name: str) -> None:
        if hasattr(signal, name):  # not on Windows
            self.process.send_signal(getattr(signal, name))

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith("{"):  # a framework may have something to say before
                answer: dict[str, Any] = json.loads(line)
                return answer
        return {"missing": f"it ended with code {self.process.wait()}"}


def take_turns(children: Mapping[str, Child], seconds: float, turns: int = 4) -> dict[str, dict[str, Any]]:
    """All of them in turns, each for so many seconds in all."""
    for _ in range(turns):
        for child in children.values():
            child.run(seconds / turns)
    return {name: child.close() for name, child in children.items()}


def machine() -> dict[str, Any]:
    """Where it ran."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return {"processor": model or platform.processor() or platform.machine(), "cores": os.cpu_count(),
            "system": platform.platform(), "python": platform.python_version()}
