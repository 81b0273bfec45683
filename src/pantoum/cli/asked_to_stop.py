"""How a command ends when a signal comes.

A command that has something to save is asked to stop (``Asked``); it is not torn from its work. Elsewhere
SIGTERM and SIGHUP end the process, and Ctrl-C is noted (``Interrupts``), whatever becomes of its
``KeyboardInterrupt``, which Python raises wherever the program stands. In the middle of an import other code
may turn it into another error (NumPy reports an ``ImportError``). Such an error is no bug: the command was
interrupted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

__all__ = ["Asked", "Interrupts", "Stopped"]


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP came."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Asked:
    """While inside, a signal to stop ends the command at once where it waits (``waited_for``), else at the
    next ``check``: what has been learned by then is whole. A second Ctrl-C does not wait; a signal that was
    ignored before, as under ``nohup``, still is."""

    def __init__(self, *, at_once: bool = False) -> None:
        """``at_once``: there is nothing to save, so a signal ends the command wherever it stands."""
        self._at_once = at_once
        self._number: int | None = None
        self._waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Asked:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
                number = getattr(signal, name, None)  # Windows has no SIGHUP, and alone has SIGBREAK
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *problem: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def waited_for(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts, each of which is waited for."""
        rest = iter(parts)
        while True:
            self._waits = True
            try:
                self.check()
                part = next(rest)
            except StopIteration:
                return
            finally:
                self._waits = False
            yield part

    def check(self) -> None:
        """Raise what came."""
        if self._number is not None:
            raise KeyboardInterrupt if self._number == signal.SIGINT else Stopped(self._number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self._number is None:
            self._number = number
            if self._waits or self._at_once:
                self.check()


class Interrupts:
    """While inside, ``came`` says whether Ctrl-C was typed. It still raises ``KeyboardInterrupt``."""

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *problem: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt
