"""What the engine's thread tells the event loop, and when.

The first characters of a text are told at once. What follows is put together, and told at an interval that
grows with the number of texts, and not before the event loop has dealt with what it was told last. So the
loop sends a bounded number of events per second, however fast the model writes, and larger ones where it is
behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from pantoum.apps.server.job import Event, Job, JobText, Written

__all__ = ["Telling"]

SOONEST, LATEST, EACH = 0.004, 0.100, 0.0006
"""Seconds between two tellings: at least, at most, and per text that is being written."""


class Telling:
    """Events that are on their way. ``closed``: whether the event loop has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.closed = False
        self._loop = loop
        self._outbox: dict[Job, list[Event]] = {}
        self._told = 0.0
        self._behind = False
        """Whether the event loop still works on what it was told last."""

    def post(self, job: Job, event: Event) -> None:
        """An event of a job; it is told with the others of this turn."""
        self._outbox.setdefault(job, []).append(event)

    def forget(self, job: Job) -> None:
        """Nobody waits for the events of a job."""
        self._outbox.pop(job, None)

    def gather(self, text: JobText) -> None:
        """What was written of a text becomes an event."""
        drawn = text.stream.drawn()
        if text.parts or drawn:
            text.told = True
            self.post(text.job, Written(text.index, "".join(text.parts), drawn))
            text.parts.clear()

    def gather_due(self, texts: Iterable[JobText], count: int) -> None:
        """What was written of all texts, if it is time."""
        now = time.monotonic()
        if not self._behind and now - self._told >= min(LATEST, max(SOONEST, EACH * count)):
            self._told = now
            for text in texts:
                self.gather(text)

    def tell(self) -> None:
        """Hand over what was posted, in one call for all jobs."""
        if not self._outbox:
            return
        outbox, self._outbox = self._outbox, {}
        self._behind = True

        def deliver() -> None:
            for job, events in outbox.items():
                job.inbox.arrive(job, events)
            self._loop.call_soon(self._dealt)  # after the tasks that these events have woken

        self.call(deliver)

    def call(self, function: Callable[[], None]) -> None:
        """Let the event loop call a function."""
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the event loop has ended; nobody waits any more
            self.closed = True

    def _dealt(self) -> None:
        self._behind = False
