"""Notes Ctrl-C, whatever becomes of its ``KeyboardInterrupt``.

Python raises ``KeyboardInterrupt`` wherever the program stands. In the middle of an import other code may
turn it into another error (NumPy reports an ``ImportError``). Such an error is no bug: the command was
interrupted. In a callback of a weak reference, which the end of an import calls, too, Python itself drops the
error with a traceback. It is then raised again a moment later.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]

LATER = 0.01
"""Seconds within which a callback has ended."""


class Interrupts:
    """While inside, ``came`` says whether Ctrl-C was typed. It still raises ``KeyboardInterrupt``."""

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None
        self._report = sys.unraisablehook

    def __enter__(self) -> Interrupts:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
            self._report, sys.unraisablehook = sys.unraisablehook, self._dropped
        return self

    def __exit__(self, *problem: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before, sys.unraisablehook = None, self._report

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt

    def _dropped(self, error: sys.UnraisableHookArgs) -> None:
        """Called for an error that nobody can catch."""
        if not issubclass(error.exc_type, KeyboardInterrupt):
            self._report(error)
            return
        again = threading.Timer(LATER, self._again)
        again.daemon = True
        again.start()

    def _again(self) -> None:
        if self._before is not None:
            signal.raise_signal(signal.SIGINT)
