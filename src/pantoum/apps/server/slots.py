"""Who has a slot of a model, who waits for one, and who gives one up. Only the engine's thread is here.

A slot that is free goes to the client that has fewest, there to the job that has fewest, and there to the one
that came first. Where none is free, a text or a reading that has had its slot for long makes room: it keeps
it for ``SLICE`` seconds, divided by the number of slots that its client, or its job, has more than the one
that waits. So whoever wants one slot gets it soon, also where others keep all of them busy for minutes;
texts of equal jobs that end within ``SLICE`` seconds are never interrupted.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from pantoum.apps.server.job import Job, Text

__all__ = ["Slots"]

SLICE = 0.5
"""Seconds for which a text keeps its slot where its job has one slot more than one that waits."""
CHECK = 0.01
"""Seconds between two checks whether somebody makes room: they bound what changing slots costs."""


class Slots:
    """The slots of one engine."""

    def __init__(self, count: int) -> None:
        self.count, self.taken = count, 0
        self.waiting: deque[Job] = deque()
        self._held: Counter[str] = Counter()
        """Slots of each client."""
        self._checked = 0.0

    def wait(self, job: Job, *, first: bool = False) -> None:
        """A job wants a slot, or one more."""
        if job not in self.waiting:
            (self.waiting.appendleft if first else self.waiting.append)(job)

    def leave(self, job: Job) -> None:
        """It wants none any more."""
        if job in self.waiting:
            self.waiting.remove(job)

    def may_change(self, now: float) -> bool:
        """Whether somebody who waits may get a slot now."""
        return bool(self.waiting) and (self.taken < self.count or now - self._checked >= CHECK)

    def next(self) -> Job | None:
        """Who gets the next slot."""
        return min(self.waiting, key=lambda job: (self._held[job.client], job.held), default=None)

    def take(self, job: Job) -> None:
        """A job gets a slot."""
        self._change(job, 1)

    def give_back(self, job: Job) -> None:
        """A job gives a slot back."""
        self._change(job, -1)

    def _change(self, job: Job, count: int) -> None:
        self.taken += count
        job.held += count
        self._held[job.client] += count
        if not self._held[job.client]:
            del self._held[job.client]

    def who_makes_room(self, waiting: Job, having: Iterable[Job | Text], now: float) -> Job | Text | None:
        """Which of the texts, and of the jobs that read, gives its slot to a job that waits; most often
        none."""
        if now - self._checked < CHECK:
            return None
        self._checked = now
        found, longest = None, SLICE
        for one in having:
            job = one.job if isinstance(one, Text) else one
            if job.client == waiting.client:
                more = job.held - waiting.held
            else:
                more = self._held[job.client] - self._held[waiting.client]
            had = (now - one.since) * more
            if had >= longest:
                found, longest = one, had
        return found
