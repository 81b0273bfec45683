"""Commands of pantoum that are ended by a signal at a drawn instant, and what became of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pantoum.__main__ import entry

__all__ = ["Commands", "Forked", "Outcome", "start"]

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

    def __init__(self, outcome: Outcome, draw: random.Random, start: Any) -> None:
        self.outcome, self.draw, self.start = outcome, draw, start

    def whole(self, *arguments: str, seconds: float = 600.0) -> str:
        """Run to the end; what it told on stderr."""
        process = self.start(*arguments)
        _, told = process.communicate(timeout=seconds)
        self._judge(process.returncode, {0}, told, arguments)
        return told

    def cut(self, seconds: float, *arguments: str) -> bool:
        """End it after some time; whether it was still running."""
        how, process = self.draw.choice(SIGNALS), self.start(*arguments)
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


class Forked:
    """``pantoum`` in a process forked from this one, which has imported everything: as ``start``, faster."""

    def __init__(self, *arguments: str) -> None:
        self.returncode: int | None = None
        self._told, path = tempfile.mkstemp()
        Path(path).unlink()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._run(arguments))

    def _run(self, arguments: tuple[str, ...]) -> int:
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for number, target in enumerate((nothing, nothing, self._told)):
                os.dup2(target, number)
            sys.argv = ["pantoum", *arguments]
            entry()
        except SystemExit as end:
            return int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
        return 1

    def poll(self) -> int | None:
        """The exit code, once there is one."""
        if self.returncode is None and (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(found[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[None, str]:
        """Wait for the end; what was told on stderr."""
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"no end after {timeout:g} s")
            time.sleep(0.005)
        with os.fdopen(self._told, "rb") as file:
            file.seek(0)
            return None, file.read().decode(errors="replace")
