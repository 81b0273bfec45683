"""Contestants that take turns: each a process of its own, so that the machine's noise hits all of them alike.

A contestant is a script called with ``--serve NAME``: it makes its work, says what it is in one line of JSON,
and then answers every line of stdin (a number of seconds) with the times of the steps that it could do. Two
frameworks never share a process, its threads and its allocator; whoever has not its turn is stopped by a
signal, because the threads of some spin after their work. Starting is done two at a time (JAX compiles for a
while); what cannot start, or not in time, says why and is left out, never guessed. Children import the same
pantoum as the script that starts them (``measured.py``).
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PANTOUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
START = 120.0
"""Seconds that a contestant may take until it is ready."""
END = 10.0
"""Seconds that it may take to end."""
STARTED_TOGETHER = 2


@dataclass
class Work:
    """What a contestant does."""

    step: Callable[[], Any]
    units: float = 1.0
    """Tokens, GFLOP or whatever is counted in a step."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else it tells about itself when it begins."""
    after: Callable[[], dict[str, Any]] = dict
    """What it tells after each turn."""


def serve(make: Callable[[], Work], warm: int = 3, least: int = 1) -> None:
    """The child: so many steps before it is ready, and at least so many in a turn, however long they take."""
    try:
        work = make()
        for _ in range(warm):
            work.step()
    except Exception as problem:
        print(json.dumps({"missing": f"{type(problem).__name__}: {problem}"}), flush=True)
        return
    print(json.dumps({"units": work.units, **work.facts}), flush=True)
    for line in sys.stdin:
        times, end = list[float](), time.perf_counter() + float(line)
        while len(times) < least or time.perf_counter() < end:
            start = time.perf_counter()
            work.step()
            times.append(time.perf_counter() - start)
        print(json.dumps({"times": times, "facts": work.after()}), flush=True)


class Child:
    """A contestant as the parent sees it: its process begins at once; ``wait`` until it is ready."""

    def __init__(self, script: str, name: str, threads: int, *more: str, **environment: str) -> None:
        self.name, self.threads, self.times = name, threads, list[float]()
        self.facts: dict[str, Any] = {}
        self.process = subprocess.Popen(
            [sys.executable, script, "--serve", name, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **dict.fromkeys(THREADS, str(threads)), **environment},
        )

    @property
    def missing(self) -> str | None:
        """Why it does not take part."""
        return self.facts.get("missing")

    def wait(self) -> Child:
        """Until it has said what it is, or why it cannot."""
        late = threading.Timer(START, self.process.kill)
        late.start()
        self.facts = self._answer()
        late.cancel()
        self._signal("SIGSTOP")
        return self

    def run(self, seconds: float) -> list[float]:
        """One turn: the times of its steps, which it also keeps."""
        if self.missing is not None:
            return []
        assert self.process.stdin is not None
        self._signal("SIGCONT")
        print(seconds, file=self.process.stdin, flush=True)
        answer = self._answer()
        self._signal("SIGSTOP")
        times: list[float] = answer.get("times", [])
        self.times += times
        self.facts |= answer.get("facts", answer)
        return times

    def close(self) -> dict[str, Any]:
        """What was found: least, median and most seconds of a step, and units a second at the first two."""
        assert self.process.stdin is not None
        self._signal("SIGCONT")
        with suppress(BrokenPipeError):  # it has ended
            self.process.stdin.close()
        try:
            self.process.wait(END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        found: dict[str, Any] = {"threads": self.threads, **self.facts}
        if self.times:
            low, middle = min(self.times), statistics.median(self.times)
            found |= {
                "min": low,
                "median": middle,
                "max": max(self.times),
                "steps": len(self.times),
                "rate": found["units"] / low,
                "median_rate": found["units"] / middle,
            }
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


def start(makers: Mapping[str, Callable[[], Child]]) -> dict[str, Child]:
    """All of them begun, ready or ``missing``."""
    children: dict[str, Child] = {}
    names = list(makers)
    for first in range(0, len(names), STARTED_TOGETHER):
        began = time.perf_counter()
        begun = {name: makers[name]() for name in names[first : first + STARTED_TOGETHER]}
        for name, child in begun.items():
            children[name] = child.wait()
            say(
                f"{name} {'ready' if child.missing is None else f'LEFT OUT ({child.missing})'} "
                f"after {time.perf_counter() - began:.1f} s"
            )
    return children


def take_turns(children: Mapping[str, Child], seconds: float, turns: int = 4) -> None:
    """So many seconds for each of them in all."""
    for turn in range(turns):
        for child in children.values():
            child.run(seconds / turns)
        say(f"turn {turn + 1} of {turns} done")


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
