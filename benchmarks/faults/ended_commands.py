"""Commands of pantoum that are ended by a signal at a drawn instant, and what became of them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Commands", "Outcome"]

SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGINT twice")
CODES = {
    "SIGKILL": {-9},
    "SIGTERM": {0, 143, -15},
    "SIGHUP": {0, 129, -1},
    "SIGINT": {130, -2},
    "SIGINT twice": {130, -2},
}
"""Exit codes after a signal; 0 is also that of a command which ended before it."""


@dataclass
class Outcome:
    """What became of one case."""

    kind: str
    number: int
    same: bool = False
    rollbacks: int = 0
    ended: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Commands:
    """Starts ``pantoum`` and ends it at a drawn instant."""

    stdin: Path | None = None
    """What they read."""

    def __init__(self, outcome: Outcome, draw: random.Random) -> None:
        self.outcome, self.draw = outcome, draw

    def whole(self, *arguments: str, seconds: float = 600.0) -> str:
        """Run to the end; what it told on stderr."""
        process = start(*arguments, stdin=self.stdin)
        _, told = process.communicate(timeout=seconds)
        self._judge(process.returncode, {0}, told, arguments)
        return told

    def cut(self, seconds: float, *arguments: str) -> bool:
        """End it after some time; whether it was still running."""
        how, process = self.draw.choice(SIGNALS), start(*arguments, stdin=self.stdin)
        time.sleep(self.draw.uniform(0.0, seconds))
        if self.draw.random() < 0.2:
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.draw.uniform(0.0, 0.3))
            process.send_signal(signal.SIGCONT)
        ran = process.poll() is None
        name, *twice = how.split()
        process.send_signal(getattr(signal, name))
        if twice:
            time.sleep(self.draw.uniform(0.0, 0.05))
            process.send_signal(getattr(signal, name))
        _, told = process.communicate(timeout=600)
        self._judge(process.returncode, CODES[how] | {0}, told, arguments)
        self.outcome.ended.append(how if ran else "ended before")
        return ran

    def _judge(self, code: int, allowed: set[int], told: str, arguments: tuple[str, ...]) -> None:
        odd = "Traceback" in told or "bug in pantoum" in told
        if code not in allowed or odd:
            last = (told.strip().splitlines() or [""])[-1]
            self.outcome.faults.append(f"pantoum {' '.join(arguments)}: exit {code}: {last}")


def start(*arguments: str, stdin: Path | None = None) -> subprocess.Popen[str]:
    """``pantoum`` with these arguments, deaf to what ends this process's terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "pantoum", *arguments],
        stdin=subprocess.DEVNULL if stdin is None else stdin.open("rb"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
