"""When those who were turned away shall ask again.

Who is told the same second as everybody else comes back together with everybody else, and most are turned
away once more, which costs time that the texts in work could use. So whoever is turned away is told when a
place will be free for them, if those who were turned away before take theirs first. Places become free as
fast as texts end: the time for which a text has a slot, divided by the number of slots. Where the next end is
overdue, all are told so much more. Nobody holds the place: it is an estimate, in whole seconds, as HTTP wants
it.
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
"""Places that became free last: how long they had a slot."""


class RetryAfter:
    """The estimate of one engine of so many slots. ``clock``: seconds that only go up."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._clock = slots, clock
        self._took: deque[float] = deque(maxlen=RECENT)
        self._back: deque[float] = deque()
        """When those who were turned away will be back, soonest first."""
        self._stuck: float | None = None
        """Since when somebody is turned away and no place becomes free."""

    def freed(self, seconds: float) -> None:
        """A place has become free, which had a slot for so long."""
        self._took.append(seconds)
        self._stuck = None

    def seconds(self, places: int = 1) -> int:
        """The seconds that somebody who is turned away now shall wait for so many places, at least 1."""
        now = self._clock()
        while self._back and self._back[0] <= now:
            self._back.popleft()
        self._stuck = now if self._stuck is None else self._stuck
        each = sum(self._took) / len(self._took) / self._slots if self._took else 0.0
        overdue = max(0.0, now - self._stuck - each)
        wait = min(LONGEST, max(1, math.ceil((places + len(self._back)) * each + overdue)))
        # Estimates may fall; the order of the queue is kept.
        self._back.append(max(now + wait, self._back[-1] if self._back else 0.0))
        return wait
