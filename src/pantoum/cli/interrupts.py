"""Notes Ctrl-C, whatever becomes of its ``KeyboardInterrupt``.

Python raises ``KeyboardInterrupt`` wherever the program stands. In the middle of an import or of a callback,
other code may turn it into another error (NumPy reports an ``ImportError``). Such an error is no bug: the
command was interrupted.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["Interrupts"]


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
