"""Notes Ctrl-C, whatever becomes of its ``KeyboardInterrupt``.

Python raises ``KeyboardInterrupt`` wherever the program stands. In the middle of an import other code may
turn it into another error (NumPy reports an ``ImportError``). Such an error is no bug: the command was
interrupted. In a callback of a weak reference, which the end of an import calls, too, Python itself drops the
error with a traceback. It is then raised again, a moment later and until it was not dropped.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]

LATER = 0.01
"""Seconds in which a callback has ended, as a rule."""


class Interrupts:
    """While inside, ``came`` says whether Ctrl-C was typed. It still raises ``KeyboardInterrupt``."""

    def __init__(self) -> None:
        self.came = False
        self._dropping = self._due = False
        """Whether a dropped error is being reported; whether it is to be raised again."""
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
        if not self._dropping:  # an error in the report of an error would be dropped, too
            self._due = False
            raise KeyboardInterrupt

    def _dropped(self, error: sys.UnraisableHookArgs) -> None:
        """Called for an error that nobody can catch."""
        if not issubclass(error.exc_type, KeyboardInterrupt):
            self._report(error)
            return
        self._dropping = self._due = True
        try:
            threading.Thread(target=self._again, daemon=True).start()
        finally:
            self._dropping = False

    def _again(self) -> None:
        while self._due and self._before is not None:
            time.sleep(LATER)
            if self._due and self._before is not None:
                _type_ctrl_c()


def _type_ctrl_c() -> None:
    """Send SIGINT to the main thread, so that what it waits for is interrupted, too."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGINT)
    else:  # Windows
        signal.raise_signal(signal.SIGINT)
