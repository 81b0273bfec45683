"""When those who were turned away should ask again.

The engine says several times per second what its texts still take. From that follows when they end: they take
turns at the slots as ``slots`` lets them, so equal texts that came together also end together, and not
one after the other. Whoever is turned away is told when a place will be free for them, if those who were
turned away before come back when they were told to, and take theirs first. Nobody holds the place: it is an
estimate, in whole seconds, as HTTP wants it.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heapify, heappop, heappush

from pantoum.apps.server.slots import SLICE

__all__ = ["RetryAfter"]

LONGEST = 30
"""The most seconds that a client is told to wait."""
EVERY, STALE = 0.1, 0.5
"""Seconds between two observations of the texts, and the age at which an observation is ignored."""
AGAIN = 0.05
"""Seconds between two estimates of all ends."""
RECENT = 1 / 16
"""The weight of the newest text in the means."""


class RetryAfter:
    """The estimate of one engine of so many slots, and places of its queue. ``clock``: seconds that only go
    up."""

    def __init__(self, slots: int, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots, self._most, self._clock = slots, slots + places, clock
        self._share, self._tokens = 1.0, 0.0
        """What texts write of the tokens that they may write, and tokens that one takes: means."""
        self._rate = 0.0
        """Tokens that one slot takes per second where most are taken."""
        self._observed: tuple[float, int | None] = (0.0, None)
        """When the engine was last observed, and its tokens then, if most slots were taken."""
        self._seen: tuple[float, list[float], float] = (-math.inf, [], 0.0)
        """When, the seconds of a slot that each text still takes, and those of one that comes."""
        self._made = -math.inf
        self._ends: tuple[float, Iterator[float], list[float]] = (0.0, iter(()), [])
        """When places become free, in seconds after some moment: still to be found, and found; and when that
        was estimated."""
        self._back: deque[float] = deque()
        """When those who were turned away will be back, soonest first."""
        self._coming = Counter[int]()
        """How many of them, by the second."""

    # What follows is for the engine's thread.

    def ended(self, read: int, written: int, length: int) -> None:
        """A text has ended, after so many tokens of its prompt and of its own; ``length``: its limit."""
        if length:
            self._share += RECENT * (written / length - self._share)
        self._tokens += (RECENT if self._tokens else 1.0) * (read + written - self._tokens)

    def observe(self, done: int, full: bool, left: Callable[[], Iterable[tuple[int, int, int]]]) -> None:
        """``done``: tokens so far; ``full``: whether most slots are taken; ``left``: of each text the tokens
        of its prompt that are still to be read, those written, and its limit, first where it has a slot."""
        now = self._clock()
        since, before = self._observed
        if now - since < EVERY:
            return
        if full and before is not None and done > before:
            rate = (done - before) / (now - since) / self._slots
            self._rate += (0.25 if self._rate else 1.0) * (rate - self._rate)
        self._observed = now, done if full else None
        if self._rate:
            share = self._share
            tokens = [read + max(1.0, share * most - wrote) for read, wrote, most in left()]
            each = self._tokens or sum(tokens) / max(1, len(tokens))
            self._seen = now, [one / self._rate for one in tokens], each / self._rate

    # What follows is for the event loop.

    def seconds(self, taken: int, places: int = 1) -> int:
        """The seconds that somebody who is turned away now shall wait until so many places more are free, at
        least 1. ``taken``: slots and places that are taken."""
        now = self._clock()
        while self._back and self._back[0] <= now:
            self._back.popleft()
        wait = min(LONGEST, max(1, math.ceil(self._until(places + len(self._back), taken, now))))
        # They come back together after whole seconds: there may be no more of them than there are places.
        while wait < LONGEST and self._coming[int(now) + wait] >= self._most:
            wait += 1
        self._coming = Counter({then: count for then, count in self._coming.items() if then > now})
        self._coming[int(now) + wait] += 1
        # Estimates may fall; the order of the queue is kept.
        self._back.append(max(now + wait, self._back[-1] if self._back else 0.0))
        return wait

    def _until(self, count: int, taken: int, now: float) -> float:
        """Seconds until so many places have become free."""
        if not self._rate or not taken:
            return 0.0
        if now - self._made >= AGAIN:
            at, left, each = self._seen
            if now - at > STALE:
                at, left = now, []
            since = [each] * (taken - len(left))  # those that came since
            self._made, self._ends = now, (at, ends([*left, *since], each, self._slots), [])
        at, coming, found = self._ends
        while len(found) < count and (not found or found[-1] < LONGEST):
            found.append(next(coming))
        return found[min(count, len(found)) - 1] - (now - at)


def ends(left: list[float], each: float, slots: int) -> Iterator[float]:
    """When texts end, in seconds, that take so many seconds of a slot each. Whoever waits gets the slot of
    one that has had it for ``SLICE``; for one that ends another one comes, which takes ``each``."""
    waiting = deque(left[slots:])
    having = [(min(one, SLICE) if waiting else one, one) for one in left[:slots]]
    having = [(until, one - until) for until, one in having]
    heapify(having)
    while having:
        now, rest = heappop(having)
        if rest <= 0.0:
            yield now
        waiting.append(rest if rest > 0.0 else each)
        one = waiting.popleft()
        had = min(one, SLICE) if waiting else one
        heappush(having, (now + had, one - had))
