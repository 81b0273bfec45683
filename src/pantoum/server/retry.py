"""When those who were turned away shall ask again.

Who is told the same second as everybody else comes back together with everybody else, and most are turned
away once more, which costs time that the texts in work could use. So whoever is turned away is counted as if
they stood in a queue behind the one that is full, and is told when, at the rate at which places become free,
their turn would come. Nobody holds the place: it is an estimate, in whole seconds, as HTTP wants it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

__all__ = ["RetryAfter"]

LONGEST = 30
"""Seconds that nobody is sent away beyond."""
RECENT = 64
"""Places that became free last: how fast that goes."""


class RetryAfter:
    """The estimate of one engine. ``clock``: seconds that only go up."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._freed: deque[float] = deque(maxlen=RECENT)
        self._back: deque[float] = deque()
        """When those who were turned away will be back, soonest first."""

    def freed(self) -> None:
        """A place has become free."""
        self._freed.append(self._clock())

    def seconds(self, taken: int) -> int:
        """The seconds that somebody who is turned away now shall wait, at least 1, where ``taken`` places are
        taken."""
        now = self._clock()
        while self._back and self._back[0] <= now:
            self._back.popleft()
        wait = 1
        if len(self._freed) > 1:
            each = (now - self._freed[0]) / len(self._freed)
            wait = min(LONGEST, max(1, math.ceil((taken + len(self._back)) * each)))
        # Estimates may fall; the order of the queue is kept.
        self._back.append(max(now + wait, self._back[-1] if self._back else 0.0))
        return wait
