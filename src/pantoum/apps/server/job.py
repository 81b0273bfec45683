"""One prompt that is to be read, the texts that are to be written after it, and who gets a slot for them.

A job is made on the event loop and goes to the engine's thread; its events come back in the inbox of its
request, in order. A job is done when its last event arrived; whoever does not wait for that must cancel it.

    Reading   the prompt was read: the reading itself, with its recorded tokens and its summary
    Written   some characters of text ``number``, with its recorded tokens, and its end where that has come
    an error  the job will say no more
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pantoum.apps.server.caller import client
from pantoum.seams import Drawn, Reading, SamplingConfig, State, Stream

__all__ = [
    "Ended",
    "Event",
    "Inbox",
    "Job",
    "Slots",
    "Text",
    "Writing",
    "Written",
]

UNREAD = 256
"""Characters of one request that may wait for its client before its texts pause."""
LONGEST = 600.0
"""Seconds that a request may take."""
SLICE = 0.5
"""Seconds for which a text keeps its slot where its job has one slot more than one that waits."""
CHECK = 0.01
"""Seconds between two checks whether somebody makes room: they bound what changing slots costs."""


class Ended(NamedTuple):
    """The end of a text."""

    stopped: str | None
    """``stop``, ``eos``, or ``None``: its length."""
    tokens: int
    state: State


class Written(NamedTuple):
    """A part of a text, as much as came since the last one."""

    number: int
    text: str
    drawn: Sequence[Drawn]
    end: Ended | None = None
    """``None``: more is to come."""


Event = Reading | Written | Exception


@dataclass(frozen=True)
class Writing:
    """What is to be written after a prompt: ``count`` texts of at least one token, text k from stream k of
    the seed."""

    length: int
    sampling: SamplingConfig
    seed: int
    count: int = 1
    alternatives: int | None = None


class Inbox:
    """Where the events of one request's jobs arrive, in order. It lives on the event loop."""

    def __init__(self, cancel: Callable[[Job], object], pause: Callable[[Job, bool], object]) -> None:
        """``pause`` and ``cancel`` of an engine are called when more than ``UNREAD`` characters wait here,
        when they were taken, and when the request has taken ``LONGEST``; whoever waits gets a
        ``TimeoutError`` then."""
        self.jobs: list[Job] = []
        self._cancel, self._pause_job = cancel, pause
        self._unread, self._paused = 0, False
        self._arrived: deque[tuple[Job, Event]] = deque()
        self._waiting: asyncio.Future[None] | None = None

    def job(self, reading: Reading, writing: Writing | None = None) -> Job:
        """A job whose events arrive here."""
        job = Job(self, len(self.jobs), reading, writing)
        self.jobs.append(job)
        return job

    def arrive(self, job: Job, events: Sequence[Event]) -> None:
        """Events of a job have come."""
        for event in events:
            if isinstance(event, Exception):
                job.failed, job.left = True, 0
            elif isinstance(event, Written):
                self._unread += len(event.text)
                job.left -= event.end is not None
            else:
                job.left -= 1
            self._arrived.append((job, event))
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        elif self._unread > UNREAD and not self._paused:  # whoever takes them still waits for the client
            self._pause(True)

    async def events(self) -> AsyncIterator[list[tuple[Job, Event]]]:
        """All that arrived since the last time, until all jobs are done; a failure is raised."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(LONGEST, self._late)
        try:
            while self._arrived or not all(job.done for job in self.jobs):
                if not self._arrived:
                    self._waiting = loop.create_future()
                    await self._waiting
                found = list(self._arrived)
                self._arrived.clear()
                self._unread = 0
                if self._paused:
                    self._pause(False)
                for _, event in found:
                    if isinstance(event, Exception):
                        raise event
                yield found
        finally:
            timer.cancel()

    def _late(self) -> None:
        for job in self.jobs:
            if not job.done:
                self._cancel(job)
                self.arrive(job, [TimeoutError()])

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        for job in self.jobs:
            if not job.done:
                self._pause_job(job, paused)


@dataclass(eq=False)
class Job:
    """A prompt's reading and what is written after it. ``number``: its place in the request."""

    inbox: Inbox
    number: int
    reading: Reading
    writing: Writing | None = None
    left: int = field(init=False)
    """Events that are still to come, beside the parts of texts before their ends."""
    failed: bool = False
    """Whether it was given up; the engine may still have it."""
    client: str = field(default_factory=client)
    """Whose it is: slots are shared among clients."""

    # What follows the engine's thread alone changes and reads.
    read: bool = False
    """Whether its prompt was read."""
    paused: bool = False
    """Whether its client reads too slowly."""
    since: float = 0.0
    """When its reading got the slot that it has."""
    held: int = 0
    """Slots that it has."""
    begun: int = 0
    """Texts that were begun."""
    texts: list[Text] = field(default_factory=list)
    """Those that are being written."""
    parked: deque[Text] = field(default_factory=deque)
    """Those that pause: their client reads slowly, or others have their slots for a while."""
    unplaced: int = 0
    """Texts whose slots and places were given up, because their client reads slowly."""

    def __post_init__(self) -> None:
        self.left = self.streams + 1

    @property
    def streams(self) -> int:
        """Texts that it writes."""
        return 0 if self.writing is None else self.writing.count

    @property
    def slots(self) -> int:
        """Slots that it takes."""
        return max(1, self.streams)

    @property
    def done(self) -> bool:
        """Whether its last event has arrived."""
        return self.left <= 0


@dataclass(eq=False)
class Text:
    """A text that is being written, or pauses; the engine's thread alone has it."""

    job: Job
    index: int
    stream: Stream
    since: float
    """When it got the slot that it has."""
    parts: list[str] = field(default_factory=list)
    """What was written of it and not told yet."""
    told: bool = False
    """Whether its first characters were told."""


class Slots:
    """Who has a slot of a model, who waits for one, and who gives one up. Only the engine's thread is here.

    A slot that is free goes to the client that has fewest, there to the job that has fewest, and there to the
    one that came first. Where none is free, a text or a reading that has had its slot for long makes room: it
    keeps it for ``SLICE`` seconds, divided by the number of slots that its client, or its job, has more than
    the one that waits. So whoever wants one slot gets it soon, also where others keep all of them busy for
    minutes; texts of equal jobs that end within ``SLICE`` seconds are never interrupted.
    """

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
