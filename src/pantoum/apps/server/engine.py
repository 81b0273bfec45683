"""The thread that owns a model's batch: it reads prompts, writes texts, and tells the event loop what came.

A turn, in order: jobs that came or were cancelled are taken in; prompts are read for some milliseconds; the
batch writes for at least one round; what was written goes to the event loop.

Slots are bounded, and so is the queue in front of them: ``submit`` refuses a request when both are taken.
A job needs one slot to read its prompt; each further text begins when a slot is free for it, and ``Slots``
decides who gets one. A job whose request went away is cancelled between two steps, and one whose client does
not read is parked; their slots and places are free from then on.

Prompts of one kind are read together and the kinds in turns, for about ``READ_TURN`` seconds, so that a long
prompt delays the others by one turn and never by its own length.

The first characters of a text are told at once. What follows is put together, and told at an interval that
grows with the number of texts, and not before the event loop has dealt with what it was told last. So the
loop sends a bounded number of events per second, however fast the model writes, and larger ones where it is
behind.

The engine does no HTTP and knows no fields. Everything that it does is decided by jobs and settings, never
by time alone, except how the work is cut into turns, which changes no result.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial

from pantoum.apps.server.activations import UnitReading
from pantoum.apps.server.caller import client
from pantoum.apps.server.job import Ended, Event, Job, Slots, Text, Written
from pantoum.apps.server.refusals import RequestError, busy, stopping
from pantoum.seams import LoadedModel, Stream, StreamBatch, advance

__all__ = ["Engine"]

READ_TURN = 0.008
"""Seconds that prompts are read before the others write on, and before cancelled jobs are noticed."""
WRITE_TURN = 0.004
"""Seconds that texts are written before prompts are read on."""
ALONE = 32
"""Tokens of each prompt that are read at once where nobody writes: what many prompts need to be read fast,
and little enough of a single one that a client who vanishes is noticed soon."""
SIDE_BY_SIDE = 64
"""Prompts that are read together."""
SOONEST, LATEST, EACH = 0.004, 0.100, 0.0006
"""Seconds between two tellings: at least, at most, and per text that is being written."""


class Engine:
    """A model's thread. ``submit``, ``cancel`` and ``pause`` are for the event loop."""

    def __init__(self, model: LoadedModel, slots: int, places: int, loop: asyncio.AbstractEventLoop) -> None:
        self.model, self.slots, self.places = model, slots, places
        self.counters: Counter[str] = Counter()
        """Tokens read and written, texts begun and ended; changed by the engine's thread alone."""
        self.taken = 0
        """Slots and places that are taken, as the event loop counts them."""
        self._of: Counter[str] = Counter()  # by client
        self._loop = loop
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._batch = StreamBatch(model)
        self._slots = Slots(slots)
        self._reading: list[Job] = []
        """Jobs whose prompts are being read; each has a slot."""
        self._rates: defaultdict[str, float] = defaultdict(lambda: 4000.0)
        """Tokens per second, as measured, for each kind of reading."""
        self._texts: dict[Stream, Text] = {}
        """Those that are being written."""
        self._active: set[Job] = set()
        """Jobs in work: being read, written, parked, or with texts that wait for a slot."""
        self._outbox: dict[Job, list[Event]] = {}
        self._told = 0.0
        self._behind = False
        """Whether the event loop still works on what it was told last."""
        self._closing = False
        self.stopped = False
        self._thread = threading.Thread(target=self._run, name="pantoum-engine", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether it can take no other text of this client now."""
        return self._lacking(client(), 1, 0)

    def require_places(self, texts: int) -> None:
        """Refuse a request of more texts than ever fit."""
        most = self.slots + self.places
        if texts > most:
            rule = f"this server takes {most} at once, waiting ones included"
            raise RequestError(400, f"the request has {texts} texts: {rule}; send fewer in a request")

    def submit(self, *jobs: Job) -> None:
        """Take the jobs of a request, all of them or none."""
        slots = sum(job.slots for job in jobs)
        self.require_places(slots)
        if self.stopped:
            raise stopping()
        if self._lacking(jobs[-1].client, slots, slots - jobs[-1].slots):
            raise busy(f" (this request needs {slots})")
        for job in jobs:
            self._take(job, job.slots)
            self._commands.put(partial(self._slots.wait, job))

    def cancel(self, *jobs: Job) -> None:
        """Nobody waits for these jobs any more."""
        for job in jobs:
            if not job.done or job.failed:
                self._commands.put(partial(self._drop, job))

    def pause(self, job: Job, paused: bool) -> None:
        """Its client reads too slowly: write no more of it for now, and let others have its slots; or it
        reads again. A prompt is read to its end, for that leaves nothing more for the client to read."""
        self._commands.put(lambda: self._park(job) if paused else self._unpark(job))

    def stop(self) -> None:
        """Take no more jobs; the thread ends when all are done."""
        if not self.stopped:
            self.stopped = True
            self._commands.put(self._close)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread's end; whether it has come."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _lacking(self, whose: str, texts: int, before: int) -> bool:
        """Whether a client cannot have so many texts more, ``before`` of them before its last job. Who has
        most leaves some places to others."""
        most = self.slots + self.places
        others = self.places // 4 if 2 * (self._of[whose] + before) > most else 0
        return self.taken + texts > most - others

    def _take(self, job: Job, slots: int) -> None:
        """Count slots and places."""
        self.taken += slots
        self._of[job.client] += slots
        if not self._of[job.client]:
            del self._of[job.client]

    # What follows runs in the engine's thread.

    def _close(self) -> None:
        self._closing = True

    def _run(self) -> None:
        while not (self._closing and not self._active and not self._slots.waiting and self._commands.empty()):
            try:
                if not self._step() and not (self._closing and not self._active):
                    self._commands.get()()
            except Exception as error:  # whatever it is: the jobs in work must hear of it
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Every job in work is told of an error, and the batch begins anew."""
        self._batch = StreamBatch(self.model)
        for job in list(self._active):
            self._give_up(job)
            self._post(job, error)
        self._tell()

    def _step(self) -> bool:
        """Commands are done, slots go to those that wait, and who has one goes on for a turn; whether anybody
        has."""
        while not self._commands.empty():
            self._commands.get()()
        self._admit()
        if not self._reading and not self._texts:
            return False
        if self._reading:
            self._read()
        until = time.monotonic() + WRITE_TURN
        while self._texts:
            self._write()
            now = time.monotonic()
            if now >= until or self._slots.may_change(now) or not self._commands.empty():
                break
        self._tell()
        return True

    def _admit(self) -> None:
        """Slots go to those that wait for one."""
        while (job := self._slots.next()) is not None:
            if self._slots.taken >= self.slots and not self._make_room(job):
                return
            self._slots.take(job)
            if job.parked:
                self._go_on(job)
            elif job.read:
                self._begin(job)
            else:
                self._active.add(job)
                job.since = time.monotonic()
                self._reading.append(job)
            if not self._wants(job):
                self._slots.leave(job)

    def _make_room(self, waiting: Job) -> bool:
        """Whether a text or a reading gives up its slot for a job that waits. Its own job waits then, too."""
        having: list[Job | Text] = [*self._texts.values(), *self._reading]
        found = self._slots.who_makes_room(waiting, having, time.monotonic())
        if found is None:
            return False
        if isinstance(found, Text):
            self._park_text(found)
            self._slots.wait(found.job)
        else:
            self._reading.remove(found)
            self._slots.give_back(found)
            self._slots.wait(found)
        return True

    def _gone(self, job: Job) -> bool:
        """Whether a job has ended or was given up: a command about it may come after that."""
        return job not in self._active and job not in self._slots.waiting

    def _wants(self, job: Job) -> bool:
        """Whether a job in work waits for a slot, or for one more."""
        if job not in self._active:
            return False
        if not job.read:
            return job not in self._reading
        return not job.paused and (job.begun < job.streams or bool(job.parked))

    def _read(self) -> None:
        """One turn of reading; the texts after the prompts that were read begin."""
        kind = self._reading[0].reading.kind
        jobs = [job for job in self._reading if job.reading.kind == kind][:SIDE_BY_SIDE]
        readings = [job.reading for job in jobs if job.reading.left]
        if readings:
            tokens = max(len(readings) * (1 if self._texts else ALONE), int(self._rates[kind] * READ_TURN))
            begun = time.perf_counter()
            units = [reading for reading in readings if isinstance(reading, UnitReading)]
            if units:
                count = sum(reading.advance(tokens // len(units)) for reading in units)
            else:
                count = advance(readings, tokens)
            seconds = time.perf_counter() - begun
            self._rates[kind] += 0.2 * (count / max(seconds, 1e-6) - self._rates[kind])
            self.counters["tokens_read"] += count
        taken = set(jobs)
        rest = [job for job in self._reading if job not in taken]
        self._reading = rest + [job for job in jobs if job.reading.left]
        for job in jobs:
            if not job.reading.left:
                job.read = True
                self._post(job, job.reading)
                self._begin(job)

    def _begin(self, job: Job) -> None:
        """The prompt was read: the next text joins the batch, in the slot of the reading or one more."""
        writing = job.writing
        if writing is None:
            self._slots.give_back(job)
            self._active.discard(job)
            self._freed(job, 1)
            return
        try:
            stream = self._batch.join(
                job.reading.state,
                length=writing.length,
                sampling=writing.sampling,
                seed=writing.seed,
                stream=job.begun,
                alternatives=writing.alternatives,
            )
        except Exception as error:
            self._drop(job)
            self._post(job, error)
            return
        self.counters["texts_begun"] += 1
        text = self._texts[stream] = Text(job, job.begun, stream, time.monotonic())
        job.texts.append(text)
        job.begun += 1
        if stream.ended:
            self._end(text)
        elif job.paused:
            self._park(job)
        if self._wants(job):
            self._slots.wait(job)

    def _go_on(self, job: Job) -> None:
        """A parked text of a job that has got a slot resumes."""
        text = job.parked.popleft()
        self._batch.resume(text.stream)
        text.since = time.monotonic()
        self._texts[text.stream] = text
        job.texts.append(text)
        if job.unplaced:  # it counts again
            job.unplaced -= 1
            self._freed(job, -1)

    def _write(self) -> None:
        """One round."""
        texts, count, written = self._texts, len(self._batch), self._batch.written
        for stream, shown in self._batch.round():
            text = texts[stream]
            text.parts.append(shown)
            if not text.told:
                self._gather(text)
        self.counters["tokens_written"] += self._batch.written - written
        if len(self._batch) != count:
            for text in [one for one in texts.values() if one.stream.ended]:
                self._end(text)
        now = time.monotonic()
        if not self._behind and now - self._told >= min(LATEST, max(SOONEST, EACH * len(texts))):
            self._told = now
            for text in texts.values():
                self._gather(text)
        self._tell()

    def _leave(self, text: Text) -> None:
        """A text is not written any more, and gives its slot back."""
        del self._texts[text.stream]
        text.job.texts.remove(text)
        self._slots.give_back(text.job)

    def _end(self, text: Text) -> None:
        self._leave(text)
        job, stream = text.job, text.stream
        self.counters["texts_ended"] += 1
        self._gather(text, Ended(stream.stopped, stream.tokens, stream.state))
        if not job.held and job.begun == job.streams and not job.parked:
            self._active.discard(job)
        self._freed(job, 1)

    def _drop(self, job: Job) -> None:
        """Nobody waits for a job any more."""
        if self._gone(job):
            return
        writing = list(job.texts)
        self._give_up(job)
        for text in writing:
            self._batch.leave(text.stream)
        self._outbox.pop(job, None)

    def _give_up(self, job: Job) -> None:
        """A job is in work no more, wherever it was."""
        left = len(job.texts) + len(job.parked)
        self.counters["texts_cancelled"] += left
        places = job.slots - job.begun + left - job.unplaced
        for text in list(job.texts):
            self._leave(text)
        job.parked.clear()
        if job in self._reading:
            self._reading.remove(job)
        while job.held:  # of its reading, or of a text that could not begin
            self._slots.give_back(job)
        self._slots.leave(job)
        self._active.discard(job)
        self._freed(job, places)

    def _park_text(self, text: Text) -> None:
        self._leave(text)
        self._batch.park(text.stream)
        text.job.parked.append(text)

    def _park(self, job: Job) -> None:
        """The client reads slowly: its texts pause, and others get their slots and places."""
        if self._gone(job):  # its places are free already, those of the texts that had paused, too
            return
        job.paused = True  # a prompt that is still being read: its texts pause when they begin
        for text in list(job.texts):
            self._park_text(text)
        self._freed(job, len(job.parked) - job.unplaced)
        job.unplaced = len(job.parked)
        if job.read:
            self._slots.leave(job)

    def _unpark(self, job: Job) -> None:
        job.paused = False
        if self._wants(job):
            self._slots.wait(job, first=True)

    def _freed(self, job: Job, slots: int) -> None:
        if slots:
            self._call(lambda: self._take(job, -slots))

    # What the event loop is told.

    def _post(self, job: Job, event: Event) -> None:
        """An event of a job; it is told with the others of this turn."""
        self._outbox.setdefault(job, []).append(event)

    def _gather(self, text: Text, end: Ended | None = None) -> None:
        """What was written of a text becomes an event."""
        drawn = text.stream.drawn()
        if text.parts or drawn or end is not None:
            text.told = True
            self._post(text.job, Written(text.index, "".join(text.parts), drawn, end))
            text.parts.clear()

    def _tell(self) -> None:
        """Hand over what was posted, in one call for all jobs."""
        if not self._outbox:
            return
        outbox, self._outbox = self._outbox, {}
        self._behind = True

        def deliver() -> None:
            for job, events in outbox.items():
                job.inbox.arrive(job, events)
            self._loop.call_soon(self._dealt)  # after the tasks that these events have woken

        self._call(deliver)

    def _dealt(self) -> None:
        self._behind = False

    def _call(self, function: Callable[[], None]) -> None:
        """Let the event loop call a function."""
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the event loop has ended; nobody waits any more
            self._closing = self.stopped = True
