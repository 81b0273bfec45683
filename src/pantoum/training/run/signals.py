"""Being asked to stop: SIGTERM, SIGHUP and Ctrl-C are noted, and the loop ends after the step it is in.

The handlers only note; the loop asks at each step, saves and returns. A second Ctrl-C raises
``KeyboardInterrupt`` at once: what is on disk is whole at every instant, so nothing has to be waited for.
Before the first step there is nothing to save: ``ending_at_once`` lets SIGTERM and SIGHUP unwind the stack
like Ctrl-C, so that what was begun is cleared away.
Outside the ``with`` the handlers are what they were. In a thread other than the main one, where Python
allows no handlers (a notebook's worker, say), nothing is installed and nothing is noted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Windows has no SIGHUP; SIGBREAK, which it alone has, is Ctrl-Break and the end of the session."""


class StopSignals:
    """While inside, a signal to stop sets ``received`` to its name instead of ending the process."""

    def __init__(self) -> None:
        self.received: str | None = None
        """The name of the first signal that came, or ``None``."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for name in NAMES:
                number = getattr(signal, name, None)
                if number is not None and not _without_terminal(number):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.received is None:
            self.received = signal.Signals(number).name


@contextmanager
def ending_at_once() -> Iterator[None]:
    """While inside, SIGTERM and SIGHUP raise ``SystemExit`` (128 + their number, as shells tell it)."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in NAMES[1:] if hasattr(signal, name)] if main else []
    numbers = [number for number in numbers if not _without_terminal(number)]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _without_terminal(number: int) -> bool:
    """Whether this is SIGHUP under ``nohup``, which lets a command go on after its terminal was closed."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN
